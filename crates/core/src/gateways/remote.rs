//! Back-end subscriptions (RFC 4662 §4, §7): presentities of other servers whom users of ours watch, in lists or alone.
//!
//! ```text
//! somebody here watches sip:carol@b.example -> resource `remote:` of that watcher -> errand at b.example
//!   its NOTIFYs -> publication of that resource -> everybody who watches the resource
//!   the last watcher goes -> the errand ends
//! ```
//!
//! Who shares one: what a server told on behalf of one user reaches that user alone, in all lists and packages and on all
//! phones of theirs, since it was that user whom the other side let see it. At a gateway with an account (`watches`) it is the
//! account whom the other side lets see it; the administrator has put the account up for all, so all users share it.
//!
//! How the other side decided is how the watcher stands here: pending until it has told something, rejected where it refused.

use super::settings::{Gateway, Password, RemoteSubscription};
use super::{Errand, Want};
use crate::authn::Identity;
use crate::federation::user_and_host;
use crate::limits;
use crate::node::Node;
use crate::packages::PackageId;
use crate::reject::Reject;
use crate::resource::{ResourceId, ResourceKey};
use crate::time::Now;
use crate::view;
use crate::view_of::Facts;
use lampyris_sip::uri::escape_user;
use lampyris_sip::{Message, Name, Via};
use std::sync::Arc;
use std::time::Duration;

/// The life asked for, in seconds.
const EXPIRES_S: u32 = 3600;
/// The wait after a failure.
const RETRY: Duration = Duration::from_secs(30);

/// What another server says of its presentity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remote {
    /// Nothing yet, or not decided.
    Asked,
    /// Its state.
    Told,
    /// That it will not be told: a reason as in RLMI (RFC 4662 §5.2).
    Over(&'static str),
}

impl Facts {
    /// How a presentity of another server stands.
    pub(crate) fn remote(&self, key: &ResourceKey, package: PackageId) -> Remote {
        self.remotes.get(&(key.clone(), package)).copied().unwrap_or(Remote::Asked)
    }

    /// The gateway, or the federated domain, that is asked for a presentity of another server.
    pub(crate) fn asked_at(&self, key: &ResourceKey) -> Option<String> {
        Some(self.remote_account(key)?.name)
    }

    /// Whether its server has told anything of it, in any package.
    pub(crate) fn is_told(&self, key: &ResourceKey) -> bool {
        PackageId::all().any(|package| self.remote(key, package) == Remote::Told)
    }

    /// At which server, and as whom, a presentity of another server is watched.
    fn remote_account(&self, key: &ResourceKey) -> Option<Gateway> {
        let ResourceKey::Remote { uri, on_behalf } = key else { return None };
        let (_, host) = user_and_host(uri)?;
        if on_behalf.is_empty() {
            let gateway = self.settings.gateways.iter().find(|gateway| gateway.watches.contains(&host))?;
            let (subscriptions, publications) = (Vec::new(), Vec::new());
            let proxy = Some(gateway.proxy.as_ref().unwrap_or(&gateway.server).clone());
            return Some(Gateway {
                proxy,
                registration: None,
                subscriptions,
                publications,
                ..gateway.clone()
            });
        }
        let identity = match self.settings.peers.get(on_behalf) {
            Some(peer) => self.aor(peer),
            None => on_behalf.clone(),
        };
        let (user, home) = identity.strip_prefix("sip:")?.rsplit_once('@')?;
        let federation = self.federation_for(user, uri)?;
        Some(Gateway {
            name: federation.domain.clone(),
            realm: String::new(),
            username: String::new(),
            password: Password::default(),
            identity: format!("sip:{}@{home}", escape_user(user)),
            server: federation.hop.clone(),
            proxy: Some(federation.hop.clone()),
            registration: None,
            subscriptions: Vec::new(),
            publications: Vec::new(),
            peer: String::new(),
            watches: Vec::new(),
        })
    }

    /// Whether a presentity of another server may be watched from here at all.
    pub(crate) fn is_remote_known(&self, key: &ResourceKey) -> bool {
        self.remote_account(key).is_some()
    }
}

impl Node {
    /// What somebody means by the URI of another server's presentity; `None` where we do not ask there, or not for them.
    pub(crate) fn remote_key(&self, identity: &Identity, uri: &str) -> Option<ResourceKey> {
        let mut gateways = self.facts.settings.gateways.iter();
        let is_server =
            identity.peer.as_ref().is_some_and(|peer| gateways.any(|gateway| gateway.peer == *peer));
        // RFC 4662 §7.4: for servers and users of elsewhere we ask nobody; chains of servers end here.
        if is_server || identity.foreign.is_some() {
            return None;
        }
        let (user, host) = user_and_host(uri)?;
        let port =
            lampyris_sip::Uri::parse(uri).ok()?.port().map_or_else(String::new, |port| format!(":{port}"));
        let uri = format!("sip:{}@{host}{port}", escape_user(&user));
        let own = ResourceKey::Remote {
            uri: uri.clone(),
            on_behalf: identity.name(&self.facts.settings).into_owned(),
        };
        let shared = ResourceKey::Remote { uri, on_behalf: String::new() };
        [own, shared].into_iter().find(|key| self.facts.remote_account(key).is_some())
    }

    /// What a SUBSCRIBE to another server's presentity is for.
    ///
    /// # Errors
    /// 404: we do not ask there. 482, 483: it came from ourselves, or through too many.
    pub(crate) fn find_remote(
        &self,
        identity: &Identity,
        message: &Message,
        package: PackageId,
    ) -> Result<ResourceKey, Reject> {
        // Why: what cannot be published cannot be taken from elsewhere either.
        if package.get().publish_types().is_empty() {
            return Err(Reject::NotFound);
        }
        let uri = message.request_uri().unwrap_or("");
        let key = self.remote_key(identity, uri).ok_or(Reject::NotFound)?;
        if message.max_forwards() == Some(0) {
            return Err(Reject::TooManyHops);
        }
        let is_ours = |via: &str| {
            Via::parse(via).is_ok_and(|via| {
                let at = format!("{}:{}", via.sent_by_str(), via.port().unwrap_or(5060));
                self.listeners.iter().any(|listener| listener.advertised.to_string() == at)
            })
        };
        if message.values(Name::Via).skip(1).any(is_ours) {
            return Err(Reject::LoopDetected);
        }
        Ok(key)
    }

    /// Somebody watches a resource: where it is of another server, that is asked, unless it is being asked.
    pub(crate) fn demand(&mut self, now: Now, id: ResourceId, package: PackageId) {
        let Some(key) = self.facts.resources.get(id).map(|resource| resource.key.clone()) else { return };
        let ResourceKey::Remote { on_behalf, uri } = &key else { return };
        let place = (key.clone(), package);
        if self.gateways.demanded.contains_key(&place) {
            return;
        }
        let Some(gateway) = self.facts.remote_account(&key) else { return };
        if self.gateways.demanded.len() >= limits::REMOTES_MAX || self.demands_too_much(on_behalf) {
            self.facts.remotes.insert(place, Remote::Over("giveup"));
            return;
        }
        let accept = package.get().publish_types().first().copied().unwrap_or_default();
        let wanted = RemoteSubscription {
            package: package.name().to_owned(),
            list: false,
            accept: accept.to_owned(),
            target: uri.clone(),
            watched: uri.clone(),
            expires_s: EXPIRES_S,
            retry: RETRY,
            maps: Vec::new(),
        };
        let slot = self.begin_errand(now, Arc::new(gateway), Want::Subscription(wanted), Some(key));
        self.gateways.demanded.insert(place, slot);
    }

    /// Whether no more is asked for on behalf of this user.
    fn demands_too_much(&self, user: &str) -> bool {
        let on_behalf = user.to_owned();
        let least = ResourceKey::Remote { on_behalf, uri: String::new() };
        let Some(package) = PackageId::all().next() else { return false };
        let from = self.gateways.demanded.range((least, package)..);
        let is_theirs =
            |key: &ResourceKey| matches!(key, ResourceKey::Remote { on_behalf, .. } if on_behalf == user);
        let theirs = from.take_while(|((key, _), _)| is_theirs(key));
        !user.is_empty() && theirs.take(limits::REMOTES_PER_USER_MAX).count() == limits::REMOTES_PER_USER_MAX
    }

    /// After a start or a reload: everything of other servers that is watched.
    pub(super) fn demand_all(&mut self, now: Now) {
        let remotes = self.facts.resources.iter();
        let remotes = remotes.filter(|(_, resource)| matches!(resource.key, ResourceKey::Remote { .. }));
        let ids: Vec<_> = remotes.map(|(id, _)| id).collect();
        for id in ids {
            for package in PackageId::all() {
                if self.facts.resources.package(id, package).is_some_and(|state| state.is_watched()) {
                    self.demand(now, id, package);
                }
            }
        }
    }

    /// After a reload: an errand that somebody demanded ends unless it would be asked for in the same way.
    pub(super) fn keep_demanded(&mut self, now: Now, slot: u32, key: &ResourceKey) {
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return };
        let account = self.facts.remote_account(key);
        if let Some(gateway) = account.filter(|now| super::account(now) == super::account(&errand.gateway)) {
            errand.gateway = Arc::new(gateway);
            return self.retry_errand(now, slot);
        }
        for package in PackageId::all() {
            let place = (key.clone(), package);
            if self.gateways.demanded.get(&place) == Some(&slot) {
                self.gateways.demanded.remove(&place);
                self.facts.remotes.remove(&place);
            }
        }
        self.end_errand(now, slot);
    }

    /// What another server says of a presentity, after anything that may have changed it: its watchers stand as that says.
    pub(super) fn settle_remote(&mut self, now: Now, slot: u32) {
        let Some(errand) = self.gateways.errands.get(slot) else { return };
        let Some(key) = errand.demanded.clone() else { return };
        let Want::Subscription(subscription) = &errand.want else { return };
        let Some(package) = PackageId::by_name(&subscription.package) else { return };
        if self.gateways.demanded.get(&(key.clone(), package)) != Some(&slot) {
            return;
        }
        let is_told = errand.is_told && !errand.is_pending && errand.dialog.is_some();
        let remote = match errand.over {
            _ if is_told => Remote::Told,
            Some(reason) => Remote::Over(reason),
            None => Remote::Asked,
        };
        if self.facts.remote(&key, package) == remote {
            return;
        }
        let id = self.facts.resources.find(&key);
        self.facts.remotes.insert((key, package), remote);
        let Some(id) = id else { return };
        self.authorize_all_of(now, id);
        // Why: where it is not told either way, the reason may be another.
        let lists = self.facts.resources.package(id, package).map(|state| state.lists.clone());
        for place in lists.unwrap_or_default() {
            self.member_changed(now, place);
        }
    }

    /// How it stands with asking for a resource of another server.
    pub(crate) fn sources_elsewhere(&self, now: Now, key: &ResourceKey) -> Vec<view::Source> {
        let slots = PackageId::all()
            .filter_map(|package| Some((package, *self.gateways.demanded.get(&(key.clone(), package))?)));
        let errands = slots.filter_map(|(package, slot)| Some((package, self.gateways.errands.get(slot)?)));
        let row = |(package, errand): (PackageId, &Errand)| view::Source {
            name: format!("{} subscription", package.name()),
            state: errand.state.name(errand.want.kind()).to_owned(),
            because: match errand.trouble.as_str() {
                "" => format!("asked at {}", errand.gateway.name),
                trouble => format!("asked at {}: {trouble}", errand.gateway.name),
            },
            won: false,
            since_s: now.wall.since(errand.since).as_secs(),
            expires_s: errand.expires_at.map(|at| at.since(now.wall).as_secs()),
        };
        errands.map(row).collect()
    }

    /// Ends what nobody demands any more.
    pub(crate) fn end_undemanded(&mut self, now: Now) {
        for key in std::mem::take(&mut self.gateways.unwatched) {
            for package in PackageId::all() {
                let id = self.facts.resources.find(&key);
                let state = id.and_then(|id| self.facts.resources.package(id, package));
                if state.is_some_and(|state| state.is_watched()) {
                    continue;
                }
                let place = (key.clone(), package);
                self.facts.remotes.remove(&place);
                if let Some(slot) = self.gateways.demanded.remove(&place) {
                    self.end_errand(now, slot);
                }
            }
        }
    }
}

/// The reason that a status says a presentity will not be told for; `None` where that may pass soon.
pub(super) const fn over_by(status: u16) -> Option<&'static str> {
    match status {
        403 | 603 => Some("rejected"),
        404 | 410 | 416 | 604 => Some("noresource"),
        405 | 406 | 420 | 421 | 489 | 501 => Some("giveup"),
        _ => None,
    }
}

/// The reason of an end as RLMI says it; `None` where it is asked again soon.
pub(super) fn over_for(reason: Option<&str>) -> Option<&'static str> {
    ["rejected", "noresource"]
        .into_iter()
        .find(|known| reason.is_some_and(|said| said.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_server_refuses_has_a_reason() {
        for (status, reason) in [
            (403, Some("rejected")),
            (404, Some("noresource")),
            (489, Some("giveup")),
            (503, None),
            (408, None),
        ] {
            assert_eq!(over_by(status), reason, "{status}");
        }
        assert_eq!(over_for(Some("Rejected")), Some("rejected"));
        assert_eq!((over_for(Some("giveup")), over_for(None)), (None, None));
    }
}
