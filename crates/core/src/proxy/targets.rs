//! The target set of a request (RFC 3261 §16.5): the contacts of a user, of an extension's devices, or a gateway.
//!
//! An extension that has a hint stands for its devices, as a subscription to it does; then comes the user of that name,
//! then the peer that numbers not ours go to. Foreign domains are reached only where a configured peer is there.

use super::context::Target;
use super::forwarding::Forwards;
use crate::authn::Identity;
use crate::flow::{Flow, Transport, is_sips};
use crate::gruu::Instance;
use crate::journal::BindingRecord;
use crate::limits;
use crate::names::Address;
use crate::node::Node;
use crate::reject::Reject;
use crate::resource::ResourceKey;
use crate::settings::{Host, Nat, Peer};
use crate::ways::Reach;
use lampyris_sip::Uri;
use std::net::SocketAddr;

/// Where a request may go.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) targets: Vec<Target>,
    /// What was asked for, as a resource.
    pub(super) asked: String,
    /// What whoever is called alone wants done with calls they cannot take.
    pub(super) forwards: Forwards,
    /// They are one phone: the next is tried only where nothing was heard from the one before (RFC 5627 §6.1).
    pub(super) one_phone: bool,
}

impl Found {
    /// A single target.
    pub(super) fn one(target: Target, asked: String) -> Self {
        Self { targets: vec![target], asked, forwards: Forwards::default(), one_phone: false }
    }
}

/// Who asks for targets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    /// The peer that sent the request.
    pub(super) peer: Option<&'a str>,
    /// Where its numbers are looked up.
    pub(super) context: &'a str,
    /// Where the request came from.
    pub(super) flow: Flow,
    /// Whether it counts as a call.
    pub(super) is_call: bool,
}

/// Why a peer has no target.
enum Empty {
    /// Nothing is registered.
    Absent,
    /// It has as many calls as it takes.
    Busy,
}

impl Node {
    /// The targets of a request to `uri`.
    ///
    /// # Errors
    /// 404 for what does not exist here, 480 for somebody who is not there, 486 for somebody with too many calls.
    pub(super) fn find_targets(&self, asker: &Asker<'_>, uri: &str) -> Result<Found, Reject> {
        if let Some(phone) = self.phone_named(uri)? {
            return self.targets_of_phone(asker, uri, &phone);
        }
        let Some(address) = self.address(uri)? else { return self.peer_at(asker, uri) };
        if address.user.is_empty() {
            return Err(Reject::NotFound);
        }
        let (asked, peers) = self.called(asker, &address)?;
        let mut targets = Vec::new();
        let mut empty = Empty::Absent;
        let mut forwards = Forwards::default();
        // Why: what one person wants holds for the call, not only for one of the person's phones.
        let is_alone = peers.first().is_some_and(|first| {
            let own = self.facts.user_key(first);
            peers.iter().all(|peer| self.facts.is_peers_own(peer, &own))
        });
        for peer in peers {
            if asker.is_call {
                match self.wishes(peer) {
                    Ok(wishes) if is_alone => forwards = wishes,
                    Err(reject) if is_alone => return Err(reject),
                    Ok(_) => {}
                    Err(_) => {
                        empty = Empty::Busy;
                        continue;
                    }
                }
            }
            if asker.is_call && self.is_full(peer) {
                empty = Empty::Busy;
                continue;
            }
            targets.extend(self.contacts_of(peer, &address.user));
        }
        if let ResourceKey::User { domain, user } = &asked
            && self.facts.peer_of(&asked).is_none()
        {
            let bindings = self.facts.registrar.bindings(&format!("sip:{user}@{domain}"));
            targets.extend(self.contacts(None, bindings));
        }
        // Why: a phone that calls a group it is in is not to ring itself.
        targets.retain(|target| target.flow != Some(asker.flow));
        // RFC 5630 §5.3: what was asked for by sips: is never made sip: on the way.
        targets.retain(|target| !is_sips(uri) || is_sips(&target.uri));
        targets.truncate(limits::TARGETS_MAX);
        if !targets.is_empty() {
            return Ok(Found { targets, asked: asked.to_string(), forwards, one_phone: false });
        }
        let (status, reject) = match empty {
            Empty::Busy => (486, Reject::BusyHere),
            Empty::Absent => (480, Reject::TemporarilyUnavailable),
        };
        Err(match forwards.after(status) {
            Some(target) => Reject::MovedTemporarily { contact: target.to_owned() },
            None => reject,
        })
    }

    /// The bindings of one phone, one after the other (RFC 5627 §6.1); its calls are never forwarded elsewhere.
    ///
    /// # Errors
    /// 480 where it is not registered, 486 where its user wants no calls or has too many.
    fn targets_of_phone(&self, asker: &Asker<'_>, uri: &str, phone: &Instance) -> Result<Found, Reject> {
        let peer = ResourceKey::parse(&phone.aor).and_then(|key| self.facts.peer_of(&key));
        if let Some(peer) = peer.filter(|_| asker.is_call)
            && (self.is_full(peer) || self.facts.features(peer).dnd)
        {
            return Err(Reject::BusyHere);
        }
        let bindings = self.facts.registrar.of_instance(phone);
        let mut targets: Vec<_> = bindings.into_iter().filter_map(|b| self.contact(peer, b)).collect();
        targets.retain(|target| !is_sips(uri) || is_sips(&target.uri));
        for (target, q) in targets.iter_mut().zip((0..=1000).rev()) {
            target.q = q;
        }
        if targets.is_empty() {
            return Err(Reject::TemporarilyUnavailable);
        }
        Ok(Found { targets, asked: phone.aor.clone(), forwards: Forwards::default(), one_phone: true })
    }

    /// Who is called: the peers behind an extension, or the one with this name, or the default route.
    pub(super) fn called(
        &self,
        asker: &Asker<'_>,
        address: &Address,
    ) -> Result<(ResourceKey, Vec<&Peer>), Reject> {
        let settings = &self.facts.settings;
        let plain = address.user.strip_prefix('+');
        for extension in [Some(address.user.as_str()), plain].into_iter().flatten() {
            let Some(found) = settings.dialplan.lookup(asker.context, extension) else { continue };
            let Some(hint) = found.hint else { continue };
            let devices = hint.devices.iter().filter_map(|device| self.facts.devices.find(device));
            let peers: Vec<_> = devices.filter_map(|device| self.facts.peer_of_device(device)).collect();
            if !peers.is_empty() {
                let key = ResourceKey::Extension {
                    context: found.context.to_owned(),
                    extension: extension.to_owned(),
                };
                return Ok((key, peers));
            }
        }
        if let Some(peer) = self.peer_named(address.domain, &address.user) {
            return Ok((self.facts.user_key(peer), vec![peer]));
        }
        if let Some(person) = settings.people.called(address.domain, &address.user) {
            let key = self.facts.person_key(person);
            let peers = self.facts.peers_of(&key);
            return Ok((key, peers));
        }
        let Some(domain) = settings.domains.get(address.domain) else { return Err(Reject::NotFound) };
        let key = ResourceKey::User { domain: domain.name.clone(), user: address.user.clone() };
        if domain.any_user {
            return Ok((key, Vec::new()));
        }
        // Why: a gateway that asks for what is not ours must not get it back.
        let route = settings.routing.default_route.as_ref().and_then(|name| settings.peers.get(name));
        let route = route.filter(|peer| asker.peer != Some(peer.name.as_str()));
        route.map(|peer| (key, vec![peer])).ok_or(Reject::NotFound)
    }

    /// The contacts of a peer, for a request to `user`.
    pub(super) fn contacts_of(&self, peer: &Peer, user: &str) -> Vec<Target> {
        let fixed = |at: String| {
            let uri = format!("sip:{}@{at}", lampyris_sip::uri::escape_user(user));
            Target { peer: Some(peer.name.clone()), ..Target::new(uri, Reach::Anywhere) }
        };
        match &peer.host {
            Host::Fixed { address, .. } => vec![fixed(address.to_string())],
            Host::Named(name, None) => vec![fixed(name.clone())],
            Host::Named(name, Some(port)) => vec![fixed(format!("{name}:{port}"))],
            Host::Dynamic => {
                let bindings = self.facts.registrar.bindings(&self.facts.aor(peer));
                self.contacts(Some(peer), bindings)
            }
        }
    }

    /// Bindings as targets. Of one phone's several flows only the newest that is there counts, or it would ring more than
    /// once (RFC 5626 §7).
    fn contacts(&self, peer: Option<&Peer>, bindings: &[BindingRecord]) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut phones = Vec::new();
        for binding in bindings.iter().rev() {
            let phone = binding.reg_id.and(binding.instance.as_deref());
            if phone.is_some_and(|phone| phones.contains(&phone)) {
                continue;
            }
            if let Some(target) = self.contact(peer, binding) {
                phones.extend(phone);
                targets.push(target);
            }
        }
        targets.reverse();
        targets
    }

    /// A binding as a target; `None` where its stream is gone.
    fn contact(&self, peer: Option<&Peer>, binding: &BindingRecord) -> Option<Target> {
        let nat = peer.map_or(Nat::Auto, |peer| peer.nat);
        let flow = if binding.path.is_empty() {
            Some(self.contact_flow(&binding.contact, binding.flow, nat)?)
        } else {
            None
        };
        Some(Target {
            routes: binding.path.clone(),
            flow,
            peer: peer.map(|peer| peer.name.clone()),
            q: binding.q,
            registered_by: Some(binding.call_id.clone()),
            ..Target::new(binding.contact.clone(), Reach::Of(binding.flow.remote().ip()))
        })
    }

    /// The flow to the binding of a phone that it prolonged last; none behind a proxy of its own.
    pub(crate) fn flow_of_phone(&self, phone: &Instance) -> Option<Flow> {
        let nat = ResourceKey::parse(&phone.aor).and_then(|key| Some(self.facts.peer_of(&key)?.nat));
        let binding = *self.facts.registrar.of_instance(phone).first()?;
        let flow = self.contact_flow(&binding.contact, binding.flow, nat.unwrap_or(Nat::Auto));
        flow.filter(|_| binding.path.is_empty())
    }

    /// Where a Contact is reached: its open stream; over UDP its own address, or behind a NAT the source.
    pub(super) fn contact_flow(&self, contact: &str, flow: Flow, nat: Nat) -> Option<Flow> {
        if !self.is_secure_for(contact, flow) {
            return None;
        }
        let Flow::Udp { listener, remote } = flow else {
            let Flow::Stream { id, .. } = flow else { return None };
            return self.connections.is_open(id).then_some(flow);
        };
        let address = Uri::parse(contact).ok().and_then(|uri| {
            let ip = uri.host().ip()?.to_canonical();
            let same = nat == Nat::Contact || (nat == Nat::Auto && ip == remote.ip().to_canonical());
            same.then(|| SocketAddr::new(ip, Transport::port_of(&uri)))
        });
        let to = address.filter(|address| address.is_ipv6() == remote.is_ipv6()).unwrap_or(remote);
        self.may_return(remote, to).then_some(Flow::Udp { listener, remote: to })
    }

    /// A foreign domain: where one of our configured peers is.
    fn peer_at(&self, asker: &Asker<'_>, uri: &str) -> Result<Found, Reject> {
        let parsed = Uri::parse(uri).map_err(|_| Reject::BadRequest("malformed URI".into()))?;
        let peer = self.facts.settings.peers.values().find(|peer| match &peer.host {
            Host::Dynamic => false,
            Host::Fixed { address, .. } => {
                parsed.host().ip() == Some(address.ip()) && Transport::port_of(&parsed) == address.port()
            }
            Host::Named(name, port) => {
                name.eq_ignore_ascii_case(parsed.host_str())
                    && port.unwrap_or(5060) == Transport::port_of(&parsed)
            }
        });
        let peer = peer.filter(|peer| asker.peer != Some(peer.name.as_str())).ok_or(Reject::NotFound)?;
        let target = Target { peer: Some(peer.name.clone()), ..Target::new(uri.to_owned(), Reach::Anywhere) };
        Ok(Found::one(target, uri.to_owned()))
    }

    /// Whether a peer has as many calls as its `call-limit` allows.
    fn is_full(&self, peer: &Peer) -> bool {
        let limit = peer.call_limit.filter(|limit| *limit > 0);
        limit.is_some_and(|limit| self.calls_of(&peer.name) >= limit)
    }

    /// Whether the sender of an INVITE has as many calls as it may.
    pub(super) fn is_above_limit(&self, identity: &Identity) -> bool {
        let peer = identity.peer.as_ref().and_then(|name| self.facts.settings.peers.get(name));
        peer.is_some_and(|peer| self.is_full(peer))
    }
}
