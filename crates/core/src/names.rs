//! From a URI to what it names here: our domains, our users, our extensions.
//!
//! Every alias leads to the same resource; user parts are compared unescaped; `tel:` and `;user=phone` lose their visual
//! separators (RFC 3966 §3). A foreign domain names nothing here and nothing is relayed.

use crate::authn::Identity;
use crate::flow::Listener;
use crate::mailbox::full_name;
use crate::node::Node;
use crate::packages::{PackageId, Watched};
use crate::reject::Reject;
use crate::resource::ResourceKey;
use crate::settings::{NoHint, Peer, Settings};
use lampyris_sip::{Host, Message, Scheme, Uri};
use std::borrow::Cow;

/// A user part at one of our domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Index into `Settings::domains`.
    pub(crate) domain: usize,
    /// Unescaped, without URI parameters that hide in it; empty where there is none.
    pub(crate) user: String,
}

fn malformed() -> Reject {
    Reject::BadRequest("malformed URI".into())
}

impl Node {
    /// Which of our domains a host is: its name, its aliases, our own addresses (they mean the default domain).
    pub(crate) fn domain_of(&self, host: Host<'_>) -> Option<usize> {
        domain_of(&self.facts.settings, &self.listeners, host)
    }

    /// Reads a URI as an address of ours; `None` for a foreign domain.
    ///
    /// # Errors
    /// 416 for a scheme we do not serve, 400 for what is no URI.
    pub(crate) fn address(&self, uri: &str) -> Result<Option<Address>, Reject> {
        self.address_of(&Uri::parse(uri).map_err(|_| malformed())?)
    }

    /// The Request-URI as an address of ours; `None` for a foreign domain.
    ///
    /// # Errors
    /// As [`Node::address`].
    pub(crate) fn target_of(&self, message: &Message) -> Result<Option<Address>, Reject> {
        self.address_of(&message.request_target().ok_or_else(malformed)?)
    }

    fn address_of(&self, uri: &Uri<'_>) -> Result<Option<Address>, Reject> {
        match uri.scheme() {
            Scheme::Sip | Scheme::Sips => {}
            // A telephone number is a user of the default domain (RFC 3261 §19.1.6).
            Scheme::Tel => {
                return Ok(Some(Address {
                    domain: 0,
                    user: uri.tel_digits().unwrap_or_default().into_owned(),
                }));
            }
            Scheme::Other(_) => return Err(Reject::UnsupportedUriScheme),
        }
        let Some(domain) = self.domain_of(uri.host()) else { return Ok(None) };
        let user = uri.user_unescaped().unwrap_or(Cow::Borrowed(""));
        // A telephone-subscriber carries its own parameters behind a semicolon (RFC 3261 §19.1.6).
        let phone = uri.params().get("user").is_some_and(|value| value.eq_ignore_ascii_case("phone"));
        let user = if phone {
            let number = user.split(';').next().unwrap_or("");
            number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ')).collect()
        } else {
            user.into_owned()
        };
        Ok(Some(Address { domain, user }))
    }

    /// The peer with this name or alias in a domain.
    pub(crate) fn peer_named(&self, domain: usize, user: &str) -> Option<&Peer> {
        let peers = &self.facts.settings.peers;
        if let Some(peer) = peers.get(user).filter(|peer| peer.domain == domain) {
            return Some(peer);
        }
        peers.values().find(|peer| peer.domain == domain && peer.aliases.iter().any(|alias| alias == user))
    }

    /// The context in which an identity's subscriptions look for hints.
    pub(crate) fn context_of(&self, identity: &Identity) -> String {
        match identity.peer.as_ref().and_then(|name| self.facts.settings.peers.get(name)) {
            Some(peer) => peer.subscribe_context.clone().unwrap_or_else(|| peer.context.clone()),
            None => self
                .facts
                .settings
                .domains
                .get(identity.domain)
                .map_or_else(String::new, |d| d.context.clone()),
        }
    }

    /// What a SUBSCRIBE or PUBLISH of `identity` names.
    ///
    /// # Errors
    /// 404 for what does not exist here or has no user part, 416, 400.
    pub(crate) fn find_resource(
        &self,
        identity: &Identity,
        message: &Message,
        package: PackageId,
        publish: bool,
    ) -> Result<ResourceKey, Reject> {
        let Some(mut address) = self.target_of(message)? else {
            return if publish {
                Err(Reject::NotFound)
            } else {
                self.find_remote(identity, message, package)
            };
        };
        if address.user.is_empty() && !publish {
            // Why: FreeSWITCH's gateways say in To alone whom they ask for (`username-in-request`).
            let to = self.address(message.to().uri()).ok().flatten();
            address = to.filter(|to| to.domain == address.domain).unwrap_or(address);
        }
        self.find_resource_at(identity, &address, package, publish)
    }

    /// What an address of ours names to `identity`.
    ///
    /// # Errors
    /// 404 for what does not exist here or has no user part.
    pub(crate) fn find_resource_at(
        &self,
        identity: &Identity,
        address: &Address,
        package: PackageId,
        publish: bool,
    ) -> Result<ResourceKey, Reject> {
        if address.user.is_empty() {
            return Err(Reject::NotFound);
        }
        match package.get().watches() {
            Watched::Mailboxes => return self.find_mailboxes(identity, address),
            Watched::Users => {
                let own = || self.own_extension(identity, address).map(|peer| self.facts.user_key(peer));
                return self.find_user(address).or_else(own).ok_or(Reject::NotFound);
            }
            Watched::Lamps => {}
        }
        // Why: a phone publishes for its AOR, even where an extension has the same name and shows it.
        if publish && let Some(user) = self.find_user(address) {
            return Ok(user);
        }
        let context = self.context_of(identity);
        let settings = &self.facts.settings;
        // `user=phone` and tel: numbers are dialled without their plus in most dialplans.
        let plain = address.user.strip_prefix('+');
        for extension in [Some(address.user.as_str()), plain].into_iter().flatten() {
            let Some(found) = settings.dialplan.lookup(&context, extension) else { continue };
            let key =
                ResourceKey::Extension { context: found.context.to_owned(), extension: extension.to_owned() };
            if found.hint.is_some() {
                return Ok(key);
            }
            if self.find_user(address).is_none() && settings.no_hint == NoHint::Open {
                return Ok(key);
            }
        }
        self.find_user(address).ok_or(Reject::NotFound)
    }

    /// The user at an address of ours.
    pub(crate) fn find_user(&self, address: &Address) -> Option<ResourceKey> {
        if let Some(peer) = self.peer_named(address.domain, &address.user) {
            return Some(self.facts.user_key(peer));
        }
        if let Some(person) = self.facts.settings.people.called(address.domain, &address.user) {
            return Some(self.facts.person_key(person));
        }
        let domain = self.facts.settings.domains.get(address.domain)?;
        domain.any_user.then(|| ResourceKey::User { domain: domain.name.clone(), user: address.user.clone() })
    }

    /// A user with mailboxes, an extension that is the watcher's own, or a mailbox by its name.
    fn find_mailboxes(&self, identity: &Identity, address: &Address) -> Result<ResourceKey, Reject> {
        let settings = &self.facts.settings;
        if let Some(peer) = self.peer_named(address.domain, &address.user)
            && !peer.mailboxes.is_empty()
        {
            return Ok(self.mailboxes_of(peer));
        }
        if let Some(person) = settings.people.called(address.domain, &address.user)
            && !person.mailboxes.is_empty()
        {
            return Ok(one_or_owner(&person.mailboxes, || self.facts.person_key(person)));
        }
        let full = full_name(&address.user);
        let known = |peer: &Peer| peer.mailboxes.contains(&full);
        if settings.peers.values().any(known)
            || settings.watch.mailbox_watchers.contains_key(&full)
            || self.facts.mailboxes.iter().any(|(name, _)| name == full)
        {
            return Ok(ResourceKey::Mailbox(full));
        }
        if let Some(peer) = self.own_extension(identity, address).filter(|peer| !peer.mailboxes.is_empty()) {
            return Ok(self.mailboxes_of(peer));
        }
        self.find_user(address).filter(|_| any_user(settings, address)).ok_or(Reject::NotFound)
    }

    /// Phones ask for their own extension: it means themselves.
    fn own_extension(&self, identity: &Identity, address: &Address) -> Option<&Peer> {
        let settings = &self.facts.settings;
        let peer = settings.peers.get(identity.peer.as_ref()?)?;
        let found = settings.dialplan.lookup(&peer.context, &address.user)?;
        found.hint.is_some_and(|hint| hint.devices.contains(&peer.device)).then_some(peer)
    }

    /// A peer's one mailbox, so that its owner's name and its own name mean the same; or the owner of several.
    pub(crate) fn mailboxes_of(&self, peer: &Peer) -> ResourceKey {
        one_or_owner(&peer.mailboxes, || self.facts.user_key(peer))
    }
}

/// Which of our domains a host is: its name, its aliases, our own names and addresses (they mean the default domain).
pub(crate) fn domain_of(settings: &Settings, listeners: &[Listener], host: Host<'_>) -> Option<usize> {
    let domains = &settings.domains;
    // Why: asked several times per request, so a name is not copied.
    let text: Cow<'_, str> = match host {
        Host::Name(name) => name.trim_end_matches('.').into(),
        Host::Ipv4(ip) => ip.to_string().into(),
        Host::Ipv6(ip) => ip.to_string().into(),
    };
    let named = domains.iter().position(|domain| domain.answers_to(&text));
    if named.is_some() || domains.is_empty() {
        return named;
    }
    let is_ours = |listener: &Listener| {
        let own = [listener.local.ip(), listener.advertised.ip()];
        host.ip().is_some_and(|ip| own.contains(&ip))
            || listener.names.iter().any(|name| name.eq_ignore_ascii_case(&text))
    };
    listeners.iter().any(is_ours).then_some(0)
}

/// One mailbox is watched by its own name, several by their owner's.
fn one_or_owner(mailboxes: &[String], owner: impl FnOnce() -> ResourceKey) -> ResourceKey {
    match mailboxes {
        [only] => ResourceKey::Mailbox(only.clone()),
        _ => owner(),
    }
}

/// In a domain where every user exists, every user has a mailbox.
fn any_user(settings: &Settings, address: &Address) -> bool {
    settings.domains.get(address.domain).is_some_and(|domain| domain.any_user)
}
