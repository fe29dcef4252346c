//! Subscriptions whose stream is gone, as after every restart: they wait until their phone is back, or they expire.
//!
//! A phone is known by its instance, else by its Contact URI, and by who it authenticated as. It is back when a request of
//! its own comes on a stream, or when its registration names one that is open. A Contact that leads somewhere is tried as
//! well, by [`crate::ways`]; one that names the phone's own end of the old connection, a browser, or an address
//! that no certificate is for leads nowhere, so nothing is tried and nothing retried. Nothing of this is stored: after a
//! restart every stream is gone, and where the mark says so the newest state is owed.

use super::Subscriptions;
use super::subscription::{Subscription, Text};
use crate::authn::Identity;
use crate::flow::{Flow, Transport, is_sips};
use crate::node::Node;
use crate::time::Now;
use crate::ways::Traveller;
use lampyris_sip::headers::Contact;
use lampyris_sip::{Message, Name, Uri};
use std::collections::BTreeSet;
use std::hash::BuildHasher as _;
use std::net::SocketAddr;

/// Slots of subscriptions whose stream is gone, by a hash of watcher and phone.
#[derive(Default)]
pub(crate) struct Parked {
    by_phone: BTreeSet<(u64, u32)>,
}

impl Subscriptions {
    fn phone_hash(&self, watcher: &str, phone: &str) -> u64 {
        self.hasher.hash_one((watcher, phone))
    }

    fn phone_hash_of(&self, subscription: &Subscription) -> u64 {
        self.phone_hash(subscription.text(Text::Watcher), phone_of(subscription))
    }

    /// The stream of a subscription is gone: its phone's next one is looked out for.
    pub(crate) fn park(&mut self, slot: u32) {
        if let Some(subscription) = self.get(slot).filter(|s| waits_for_flow(s)) {
            let hash = self.phone_hash_of(subscription);
            self.parked.by_phone.insert((hash, slot));
        }
    }

    /// A subscription is no more, or has a flow again.
    pub(crate) fn unpark(&mut self, slot: u32) {
        if !self.parked.by_phone.is_empty()
            && let Some(subscription) = self.get(slot)
        {
            let hash = self.phone_hash_of(subscription);
            self.parked.by_phone.remove(&(hash, slot));
        }
    }

    /// Subscriptions that wait for this phone.
    fn waiting_for(&self, watcher: &str, phone: &str) -> Vec<u32> {
        let hash = self.phone_hash(watcher, phone);
        let slots = self.parked.by_phone.range((hash, 0)..=(hash, u32::MAX)).map(|(_, slot)| *slot);
        let same = |slot: &u32| {
            self.get(*slot).is_some_and(|s| phone_of(s) == phone && s.text(Text::Watcher) == watcher)
        };
        slots.filter(same).collect()
    }

    /// How many wait for their phone.
    pub(crate) fn parked(&self) -> usize {
        self.parked.by_phone.len()
    }
}

/// What becomes of a NOTIFY whose stream is not open.
pub(super) enum Without {
    /// It takes this one.
    Over(Flow),
    /// It waits for the phone.
    Wait,
    /// There may be another way.
    Search,
}

impl Node {
    /// What becomes of a NOTIFY of a subscription whose own flow cannot be used.
    pub(super) fn without_stream(&mut self, now: Now, slot: u32) -> Without {
        let Some(subscription) = self.subscriptions.get(slot).filter(|s| waits_for_flow(s)) else {
            return Without::Search;
        };
        if let Flow::Stream { id, .. } = subscription.flow.get()
            && self.connections.is_open(id)
        {
            return Without::Search; // Why: open, but not secure enough for its Contact.
        }
        let registered = self.registered_flow(subscription);
        if let Some(flow) =
            registered.filter(|flow| self.is_secure_for(subscription.text(Text::Target), *flow))
        {
            self.subscriptions.unpark(slot);
            if let Some(subscription) = self.subscriptions.get_mut(slot) {
                subscription.flow = flow.into();
            }
            return Without::Over(flow);
        }
        let (nowhere, is_over) = (leads_nowhere(subscription), subscription.ending.is_some());
        let unit = (subscription.resource, subscription.package);
        self.subscriptions.park(slot);
        if !nowhere {
            return Without::Search;
        }
        if is_over {
            self.vanish(now, slot, "unreachable");
        } else {
            self.mark_untold(now, unit.0, unit.1);
        }
        Without::Wait
    }

    /// Whether a subscription can only wait for its phone.
    pub(super) fn is_parked(&self, slot: u32) -> bool {
        let Some(subscription) = self.subscriptions.get(slot) else { return false };
        let Flow::Stream { id, .. } = subscription.flow.get() else { return false };
        !self.connections.is_open(id)
            && leads_nowhere(subscription)
            && self.registered_flow(subscription).is_none()
    }

    /// The open stream by which the phone of a subscription is registered.
    pub(super) fn registered_flow(&self, subscription: &Subscription) -> Option<Flow> {
        let watcher = subscription.text(Text::Watcher);
        let peer = self.facts.settings.peers.get(watcher);
        let aor = peer.map(|peer| self.facts.aor(peer));
        let bindings = self.facts.registrar.bindings(aor.as_deref().unwrap_or(watcher));
        let phone = phone_of(subscription);
        let same = |instance: Option<&str>, contact: &str| instance == Some(phone) || contact == phone;
        let found = bindings.iter().find(|binding| {
            same(binding.instance.as_deref(), &binding.contact)
                && matches!(binding.flow, Flow::Stream { id, .. } if self.connections.is_open(id))
        });
        found.map(|binding| binding.flow)
    }

    /// A request of an authenticated phone came on a stream: subscriptions of its that have none go on there.
    pub(crate) fn phone_is_back(&mut self, now: Now, flow: Flow, identity: &Identity, message: &Message) {
        if !flow.is_reliable() || self.subscriptions.parked() == 0 {
            return;
        }
        let watcher = identity.name(&self.facts.settings).into_owned();
        let contacts = message.values(Name::Contact).take(crate::limits::CONTACTS_PER_REQUEST_MAX);
        let mut slots = Vec::new();
        for contact in contacts {
            let Ok(Contact::Addr(contact)) = Contact::parse(contact) else { continue };
            slots.extend(self.subscriptions.waiting_for(&watcher, contact.uri()));
            if let Some(instance) = contact.instance() {
                slots.extend(self.subscriptions.waiting_for(&watcher, instance));
            }
        }
        for slot in slots {
            self.take_flow(now, slot, flow);
        }
    }

    /// A subscription goes on over another stream.
    pub(super) fn take_flow(&mut self, now: Now, slot: u32, flow: Flow) {
        self.forget_way(Traveller::Subscription(slot));
        self.subscriptions.unpark(slot);
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.flow = flow.into();
            self.resume(now, slot);
        }
    }
}

/// What tells the phone of a subscription from others of the same watcher.
fn phone_of(subscription: &Subscription) -> &str {
    subscription.text_opt(Text::Instance).unwrap_or_else(|| subscription.text(Text::Target))
}

/// Whether it came on a stream, and NOTIFYs go where it came from.
fn waits_for_flow(subscription: &Subscription) -> bool {
    subscription.flow.get().is_reliable() && subscription.text(Text::Routes).is_empty()
}

/// Whether only its own stream leads to the phone of a subscription.
fn leads_nowhere(subscription: &Subscription) -> bool {
    waits_for_flow(subscription)
        && is_no_address(subscription.text(Text::Target), subscription.flow.get().remote())
}

/// Whether nobody can be connected to at a Contact of somebody whose connection came from `remote`.
fn is_no_address(target: &str, remote: SocketAddr) -> bool {
    let Ok(uri) = Uri::parse(target) else { return true };
    let transport = uri.params().get("transport").and_then(Transport::parse).unwrap_or(Transport::Udp);
    let ip = uri.host().ip();
    // RFC 5626 §5.3: `ob` asks for requests by the flow alone.
    let by_flow = uri.params().has("ob") || transport.is_opened_by_peers();
    // Why: nobody proves by certificate to be an address of an office network.
    let unprovable = ip.is_some() && (transport.is_secure() || is_sips(target));
    let own_end = ip == Some(remote.ip().to_canonical())
        && uri.port() == Some(remote.port())
        && remote.port() != transport.port();
    // RFC 7118 §5: what browsers write as their host.
    let invalid = target.contains(".invalid");
    by_flow || unprovable || own_end || invalid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_contacts_lead_nowhere() {
        for (target, nowhere) in [
            ("sip:a@192.0.2.1:40001;transport=tcp", true),
            ("sip:a@192.0.2.1:5060;transport=tcp", false),
            ("sip:a@192.0.2.1;transport=tcp", false),
            ("sip:a@192.0.2.9:40001;transport=tcp", false),
            ("sip:a@192.0.2.1;transport=tcp;ob", true),
            ("sip:a@df7jal23ls0d.invalid;transport=ws", true),
            ("sip:a@192.0.2.1;transport=tls", true),
            ("sips:a@192.0.2.1", true),
            ("sips:a@phone.example.com", false),
            ("not a uri", true),
        ] {
            assert_eq!(is_no_address(target, "192.0.2.1:40001".parse().unwrap()), nowhere, "{target}");
        }
    }
}
