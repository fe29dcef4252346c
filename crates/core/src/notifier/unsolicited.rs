//! Message counts for phones that never subscribe: a NOTIFY outside any dialog to each binding of a mailbox's owner.
//!
//! Interop: no RFC has it (RFC 6665 knows only NOTIFYs of subscriptions), but chan_sip does it and phones have taken it ever
//! since. A peer is told when a binding of it is durable and when its counts change (those that a command sets: when they
//! are durable), unless it watches its mailbox itself.
//! One NOTIFY is in flight per binding and the newest counts win. A phone that says it knows no such thing is not told again
//! until it registers anew; any other failure means the next try is at its next REGISTER or at the next change.
//!
//! After a restart nobody is told at once: what each binding was told is not stored, so its next REGISTER tells it.

use super::send::routed;
use crate::body::{EncodedBody, HoleValues};
use crate::flow::Flow;
use crate::journal::BindingRecord;
use crate::node::{Node, Requester};
use crate::notifier::subscription::Text;
use crate::packages::{Class, PackageId, Watched};
use crate::registrar::contact_id;
use crate::resource::ResourceKey;
use crate::settings::Peer;
use crate::time::Now;
use crate::transaction::Branch;
use lampyris_sip::{Name, RequestWriter};
use std::collections::{BTreeMap, BTreeSet};

/// A binding: its AOR and what tells it from the others there.
type BindingId = (String, u64);

/// What a binding was told.
struct Told {
    /// The REGISTER's Call-ID; another one means that the phone has started anew.
    call_id: String,
    /// Hash of the document it has, or is being sent; `None` where that failed.
    hash: Option<u64>,
    /// The NOTIFY that is unanswered.
    waiting: Option<u32>,
    /// It knows no such event.
    refused: bool,
}

/// Whom to tell, and what they were told.
#[derive(Default)]
pub(crate) struct Unsolicited {
    due: BTreeSet<String>,
    told: BTreeMap<BindingId, Told>,
    /// NOTIFYs in flight: the peer and the binding.
    flights: BTreeMap<u32, (String, BindingId)>,
    next: u32,
}

impl Unsolicited {
    /// Nobody is to be told for what was read at a start.
    pub(crate) fn restored(&mut self) {
        self.due.clear();
    }

    /// Forgets the bindings of an AOR that are no more.
    pub(crate) fn keep(&mut self, aor: &str, bindings: &[BindingRecord]) {
        if self.told.is_empty() {
            return;
        }
        let all = (aor.to_owned(), 0)..=(aor.to_owned(), u64::MAX);
        let is_gone = |id: &u64| !bindings.iter().any(|binding| contact_id(binding) == *id);
        let gone: Vec<_> =
            self.told.range(all).map(|(key, _)| key.clone()).filter(|(_, id)| is_gone(id)).collect();
        for key in gone {
            if let Some(flight) = self.told.remove(&key).and_then(|told| told.waiting) {
                self.flights.remove(&flight);
            }
        }
    }

    /// Whether a binding is to be told a document with this hash.
    fn wants(&self, id: &BindingId, call_id: &str, hash: u64) -> bool {
        let told = self.told.get(id).filter(|told| told.call_id == call_id);
        told.is_none_or(|told| !told.refused && told.waiting.is_none() && told.hash != Some(hash))
    }
}

impl Node {
    /// A binding of this AOR is durable.
    pub(crate) fn on_bindings_stored(&mut self, slot: u32) {
        let key = self.facts.registrar.get(slot).and_then(|entry| ResourceKey::parse(&entry.aor));
        if let Some(peer) = key.as_ref().and_then(|key| self.facts.peer_of(key)).filter(|peer| is_meant(peer))
        {
            self.unsolicited.due.insert(peer.name.clone());
        }
    }

    /// The counts of a mailbox that a command set are durable.
    pub(crate) fn on_counts_stored(&mut self, slot: u32) {
        if let Some(name) = self.facts.mailboxes.name(slot).map(str::to_owned) {
            self.tell_owners(&name);
        }
    }

    /// The counts of a mailbox may have changed: its owners' phones are to be told.
    fn tell_owners(&mut self, mailbox: &str) {
        let peers = self.facts.settings.peers.values();
        let owners = peers.filter(|peer| is_meant(peer) && peer.mailboxes.iter().any(|own| own == mailbox));
        self.unsolicited.due.extend(owners.map(|peer| peer.name.clone()));
    }

    /// What was published for a resource changed: where it is about mailboxes, their owners' phones are to be told.
    pub(crate) fn tell_owners_of(&mut self, key: &ResourceKey) {
        if self.tickets.cause().is_some() {
            return; // Why: a command ends what was published; what it says instead is told when it is durable.
        }
        match key {
            ResourceKey::Mailbox(name) => self.tell_owners(name),
            key @ ResourceKey::User { .. } => {
                let peer = self.facts.peer_of(key).filter(|peer| is_meant(peer));
                self.unsolicited.due.extend(peer.map(|peer| peer.name.clone()));
            }
            ResourceKey::Extension { .. } | ResourceKey::List { .. } | ResourceKey::Remote { .. } => {}
        }
    }

    /// After a reload: who is to be told may be others than before.
    pub(crate) fn tell_all_owners(&mut self) {
        let peers = self.facts.settings.peers.values().filter(|peer| is_meant(peer));
        self.unsolicited.due.extend(peers.map(|peer| peer.name.clone()));
    }

    /// Tells whoever is due.
    pub(crate) fn notify_unsolicited(&mut self, now: Now) {
        while let Some(name) = self.unsolicited.due.pop_first() {
            let settings = self.facts.settings.clone();
            let Some(peer) = settings.peers.get(&name).filter(|peer| is_meant(peer)) else { continue };
            for package in PackageId::all().filter(|p| p.get().watches() == Watched::Mailboxes) {
                if !self.watches_own_mailbox(peer, package) {
                    self.tell_bindings(now, peer, package);
                }
            }
        }
    }

    /// Whether a peer has a live subscription to its own mailboxes.
    fn watches_own_mailbox(&self, peer: &Peer, package: PackageId) -> bool {
        let names = peer.mailboxes.iter().map(|name| ResourceKey::Mailbox(name.clone()));
        let keys = names.chain([self.facts.user_key(peer)]);
        let states =
            keys.filter_map(|key| self.facts.resources.package(self.facts.resources.find(&key)?, package));
        let mut watchers = states.flat_map(|state| state.watchers.iter());
        watchers.any(|slot| self.subscriptions.get(*slot).is_some_and(|s| s.text(Text::Watcher) == peer.name))
    }

    fn tell_bindings(&mut self, now: Now, peer: &Peer, package: PackageId) {
        let aor = self.facts.aor(peer);
        let bindings = self.facts.registrar.bindings(&aor).to_vec();
        if bindings.is_empty() {
            return;
        }
        let key = self.mailboxes_of(peer);
        let resource = self.resource(now, &key);
        for binding in bindings {
            let style = self.style_of(self.profile_for(Some(&peer.name), &binding.user_agent));
            let shared = self.shared_body(resource, package, 0, style, Class::default());
            let Some((body, hash)) = shared else { continue };
            let id = (aor.clone(), contact_id(&binding));
            if !self.unsolicited.wants(&id, &binding.call_id, hash) {
                continue;
            }
            // Why: what came along a path goes back along it; there is no other way to such a phone.
            let flow = match binding.path.is_empty() {
                true => self.direct_flow(binding.flow, &binding.contact, peer.nat),
                false => Some(binding.flow),
            };
            let Some(flow) = flow else { continue };
            let Some(flight) = self.send_unsolicited(now, (&aor, &binding), flow, package, &body) else {
                continue;
            };
            let told =
                Told { call_id: binding.call_id, hash: Some(hash), waiting: Some(flight), refused: false };
            self.unsolicited.told.insert(id.clone(), told);
            self.unsolicited.flights.insert(flight, (peer.name.clone(), id));
        }
        self.release_resource(resource);
    }

    /// Sends one; its number.
    fn send_unsolicited(
        &mut self,
        now: Now,
        (aor, binding): (&str, &BindingRecord),
        flow: Flow,
        package: PackageId,
        body: &EncodedBody,
    ) -> Option<u32> {
        let (tag, call_id) = (self.rng.next_u64(), self.rng.next_u128());
        let listener = self.listener_of(flow)?;
        let via = format!("SIP/2.0/{} {}", listener.transport.via(), listener.advertised);
        let contact = self.our_contact(flow, aor, &binding.contact);
        let agent = &self.facts.settings.server_name;
        let path = binding.path.join(", ");
        let (request_uri, routes) = routed(&binding.contact, &path);
        let write = |branch: &Branch| {
            let mut writer = RequestWriter::new("NOTIFY", &request_uri);
            writer.header_fmt(Name::Via, format_args!("{via};branch={};rport", branch.as_str()));
            writer.header(Name::MaxForwards, "70");
            if !routes.is_empty() {
                writer.header(Name::Route, &routes);
            }
            writer.header_fmt(Name::From, format_args!("<{aor}>;tag={tag:016x}"));
            writer.header_fmt(Name::To, format_args!("<{}>", binding.contact));
            writer.header_fmt(Name::CallId, format_args!("{call_id:032x}"));
            writer.header(Name::CSeq, "1 NOTIFY");
            writer.header(Name::Contact, &contact);
            writer.header(Name::Event, package.name());
            // Why: there is no subscription that could be active.
            writer.header(Name::SubscriptionState, "terminated");
            if !agent.is_empty() {
                writer.header(Name::UserAgent, agent);
            }
            let values = HoleValues { entity: aor, watcher: aor, now: now.wall, ..HoleValues::default() };
            writer.body(body.content_type.as_deref().unwrap_or(package.content_type(0)), &body.fill(&values));
            writer.finish()
        };
        self.unsolicited.next = self.unsolicited.next.wrapping_add(1);
        let flight = self.unsolicited.next;
        let requester = Requester::Unsolicited(flight);
        let (_, transmit) = self.transactions.start(now.mono, flow, "NOTIFY", requester, write);
        self.counters.notifies += 1;
        self.transmit(transmit);
        Some(flight)
    }

    /// A phone answered; 408 where it did not.
    pub(crate) fn on_unsolicited_answer(&mut self, flight: u32, status: u16) {
        match status {
            200..=299 => self.counters.notifies_ok += 1,
            _ => self.counters.notifies_failed += 1,
        }
        let Some((peer, id)) = self.unsolicited.flights.remove(&flight) else { return };
        let Some(told) = self.unsolicited.told.get_mut(&id).filter(|told| told.waiting == Some(flight))
        else {
            return;
        };
        told.waiting = None;
        match status {
            // Why: the counts may have changed while it was on its way.
            200..=299 => _ = self.unsolicited.due.insert(peer),
            405 | 481 | 489 => told.refused = true,
            _ => told.hash = None,
        }
    }
}

/// Whether a peer is told without asking.
fn is_meant(peer: &Peer) -> bool {
    peer.mwi_unsolicited && !peer.mailboxes.is_empty()
}
