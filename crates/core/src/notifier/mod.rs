//! The notifier (RFC 6665 §4.2): from SUBSCRIBE to the last NOTIFY of a subscription.
//!
//! ```text
//! watcher                    lampyris                   store
//!   | SUBSCRIBE                 |                          |
//!   |-------------------------->|  Persist                 |
//!   |                           |------------------------->|
//!   |<-- 200, NOTIFY -----------|<-------------- durable --|
//!   | 200 (NOTIFY)              |
//!   |-------------------------->|
//! ```
//!
//! [`subscribe`] takes requests, [`send`] writes NOTIFYs, [`destination`] says where they go, [`answer`] takes what watchers
//! answer; [`list`] and [`list_document`] are for those that watch several resources at once; [`suppress`] knows what they
//! have already, [`pace`] how often they want to be told, [`filtering`] what; [`size`] makes large ones fit their way;
//! [`unsolicited`] is for phones that never ask. After a restart [`restart`] decides who is told again and when, [`cseq`]
//! from which number on, and [`parked`] keeps those whose stream has to come back first. One NOTIFY is in flight per subscription; the newest state
//! wins; identical documents are dropped.

mod answer;
mod cseq;
mod destination;
mod filtering;
mod identities;
mod list;
mod list_document;
pub(crate) mod pace;
mod parked;
mod rates;
mod restart;
mod send;
mod size;
mod subscribe;
pub(crate) mod subscription;
mod suppress;
mod unsolicited;

pub(crate) use send::routed;
pub(crate) use subscribe::{bad_event, user_agent_of};
pub(crate) use unsolicited::Unsolicited;

use crate::authz::policy::Standing;
use crate::bucket::network;
use crate::counts::Counts;
use crate::flow::Flow;
use crate::journal::{Key, Kind, Record, ResourceRecord, SubscriptionRecord, Value};
use crate::map::Maps;
use crate::node::{Node, Put, Timer};
use crate::output::{Event, Ticket};
use crate::packages::PackageId;
use crate::resource::{ResourceId, ResourceKey};
use crate::slots::Slots;
use crate::tickets::Undo;
use crate::time::{Instant, Now, UnixTime};
use crate::ways::Traveller;
use filtering::Filtering;
use identities::Identities;
use lampyris_sip::Params;
use pace::Pace;
use parked::Parked;
use rates::Rates;
use restart::Backlog;
use size::{Fit, StreamTo};
use std::net::IpAddr;
use subscription::{Before, EndReason, Subscription, Text, texts_of};
use suppress::Suppress;

/// All subscriptions of a node.
pub(crate) struct Subscriptions {
    slots: Slots<Subscription>,
    /// By what makes two subscriptions the same one: see [`Subscriptions::identity`].
    by_identity: Identities,
    /// How many each watcher has.
    by_watcher: Counts<u64>,
    /// How many came from each address ([`network`]).
    by_source: Counts<IpAddr>,
    hasher: foldhash::quality::SeedableRandomState,
    /// Stored marks of resources, by slot.
    marks: Slots<ResourceRecord>,
    /// The newest moment any restored row knows.
    last_stored: UnixTime,
    /// Those whose stream is gone.
    parked: Parked,
    /// Those that a restart owes a NOTIFY.
    backlog: Backlog,
}

impl Subscriptions {
    /// None.
    pub(crate) fn new(maps: Maps) -> Self {
        let hasher = maps.map::<u32, u32>().hasher().clone();
        Self {
            slots: Slots::default(),
            by_identity: Identities::default(),
            by_watcher: Counts::new(maps),
            by_source: Counts::new(maps),
            hasher,
            marks: Slots::default(),
            last_stored: UnixTime::default(),
            parked: Parked::default(),
            backlog: Backlog::default(),
        }
    }

    /// A hash of what makes two subscriptions the same one: the watcher, the resource, the Event with its id and what else
    /// of it decides what is shown, and the phone (its instance, else its Contact URI).
    fn identity(
        &self,
        watcher: &str,
        resource: ResourceId,
        package: PackageId,
        (id, params): (&str, &str),
        phone: &str,
    ) -> u64 {
        use std::hash::BuildHasher;
        self.hasher.hash_one((watcher, resource, package, id, params, phone))
    }

    fn identity_of(&self, subscription: &Subscription) -> u64 {
        let phone = subscription.text_opt(Text::Instance).unwrap_or_else(|| subscription.text(Text::Target));
        let event = (subscription.text(Text::EventId), subscription.text(Text::EventParams));
        let (watcher, resource) = (subscription.text(Text::Watcher), subscription.resource);
        self.identity(watcher, resource, subscription.package, event, phone)
    }

    fn counted(&self, slot: u32) -> Option<(u64, IpAddr)> {
        let subscription = self.slots.get(slot)?;
        let watcher = self.by_watcher.key(subscription.text(Text::Watcher));
        Some((watcher, network(subscription.flow.get().remote().ip())))
    }

    fn count(&mut self, slot: u32) {
        if let Some((watcher, source)) = self.counted(slot) {
            self.by_watcher.add(watcher);
            self.by_source.add(source);
        }
    }

    fn discount(&mut self, slot: u32) {
        if let Some((watcher, source)) = self.counted(slot) {
            self.by_watcher.remove(watcher);
            self.by_source.remove(source);
        }
    }

    /// A subscription by slot.
    pub(crate) fn get(&self, slot: u32) -> Option<&Subscription> {
        self.slots.get(slot)
    }

    /// A subscription by slot, to change what does not identify it.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Subscription> {
        self.slots.get_mut(slot)
    }

    /// All, in slot order; those that only wait for their last NOTIFY too.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Subscription)> {
        self.slots.iter()
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// A slot for a new mark.
    pub(crate) fn new_mark(&mut self) -> u32 {
        let (resource, package) = (String::new(), String::new());
        self.marks.insert(ResourceRecord { resource, package, hash: 0, changed_at: UnixTime::default() })
    }

    /// A mark as it was stored.
    pub(crate) fn remember(&mut self, slot: u32, record: ResourceRecord) {
        self.last_stored = self.last_stored.max(record.changed_at);
        self.marks.restore(slot, record);
    }

    /// A mark that is no more.
    pub(crate) fn forget(&mut self, slot: u32) {
        self.marks.remove(slot);
    }

    /// After the last row of a restart.
    pub(crate) fn restored(&mut self) {
        self.slots.rebuild_free();
        self.marks.rebuild_free();
    }
}

impl Node {
    /// Puts a subscription into the tables and arms its expiry.
    fn enter(&mut self, now: Now, slot: u32) {
        let Some(subscription) = self.subscriptions.slots.get(slot) else { return };
        let identity = self.subscriptions.identity_of(subscription);
        self.subscriptions.by_identity.insert(identity, slot);
        let (resource, package) = (subscription.resource, subscription.package);
        let expiry =
            self.timers.insert(now.mono_at(subscription.expires_at), Timer::SubscriptionExpires(slot));
        let Some(state) = self.facts.resources.package_mut(resource, package) else { return };
        let place = u32::try_from(state.watchers.len()).unwrap_or(u32::MAX);
        state.watchers.push(slot);
        self.subscriptions.count(slot);
        if let Some(subscription) = self.subscriptions.slots.get_mut(slot) {
            subscription.place = place;
            subscription.expiry = Some(expiry);
        }
    }

    /// Takes a subscription out of the tables, so that no change reaches it any more; its slot stays.
    fn leave(&mut self, slot: u32) {
        let Some(subscription) = self.subscriptions.slots.get(slot) else { return };
        let identity = self.subscriptions.identity_of(subscription);
        self.subscriptions.by_identity.remove(identity, slot);
        let (resource, package, place) =
            (subscription.resource, subscription.package, subscription.place as usize);
        if let Some(state) = self.facts.resources.package_mut(resource, package)
            && state.watchers.get(place) == Some(&slot)
        {
            state.watchers.swap_remove(place);
            self.subscriptions.discount(slot);
            if let Some(moved) = state.watchers.get(place).copied()
                && let Some(moved) = self.subscriptions.slots.get_mut(moved)
            {
                moved.place = u32::try_from(place).unwrap_or(u32::MAX);
            }
        }
        if let Some(subscription) = self.subscriptions.slots.get_mut(slot) {
            let again = subscription.pace.as_mut().and_then(|pace| pace.again.take());
            for token in [subscription.expiry.take(), subscription.retry.take(), again].into_iter().flatten()
            {
                self.timers.cancel(token);
            }
        }
    }

    /// The record of a subscription as it stands.
    fn subscription_record(&self, slot: u32) -> Option<SubscriptionRecord> {
        let subscription = self.subscriptions.get(slot)?;
        let resource = self.facts.resources.get(subscription.resource)?.key.to_string();
        let format = subscription.package.content_type(usize::from(subscription.format));
        Some(subscription.record(resource, format, self.profile_name(subscription)))
    }

    /// Back to a subscription as it stands.
    fn undo_to(&self, slot: u32) -> Undo {
        let before = || {
            let subscription = self.subscriptions.get(slot)?.clone();
            let resource = self.facts.resources.get(subscription.resource)?.key.to_string();
            let profile = self.profile_name(&subscription).to_owned();
            Some(Box::new(Before { subscription, resource, profile }))
        };
        before().map_or(Undo::To(None), Undo::Subscription)
    }

    fn profile_name(&self, subscription: &Subscription) -> &str {
        let profile = self.facts.settings.profiles.get(usize::from(subscription.profile));
        profile.map_or("", |profile| profile.name.as_str())
    }

    /// Stores a subscription as it stands.
    pub(crate) fn store_subscription(&mut self, slot: u32, undo: Undo) -> Option<Ticket> {
        let record = self.subscription_record(slot)?;
        let value = Value::Subscription(Box::new(record));
        Some(self.persist(Record::Upsert(subscription_key(slot), value), undo))
    }

    /// Ends a subscription: out of the tables and the store at once, then its last NOTIFY, after the one in flight.
    pub(crate) fn end(&mut self, now: Now, slot: u32, reason: EndReason, after: Option<Ticket>) {
        let Some(subscription) = self.subscriptions.get(slot) else { return };
        if subscription.ending.is_some() {
            return;
        }
        self.leave(slot);
        self.tell_end(now, slot, reason.as_str());
        let deleted = self.persist(Record::Delete(subscription_key(slot)), Undo::No);
        let after = after.or_else(|| self.may_count_again(now, slot).then_some(deleted));
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        subscription.ending = Some(reason);
        if subscription.in_flight.is_none() {
            self.say_farewell(now, slot, after);
        }
    }

    /// Ends a subscription because an administrator says so: its last NOTIFY leaves when that is durable.
    pub(crate) fn end_by_command(&mut self, now: Now, slot: u32, reason: EndReason) {
        if self.subscriptions.get(slot).is_none_or(|subscription| subscription.ending.is_some()) {
            return;
        }
        let undo = self.undo_to(slot);
        let ticket = self.persist_end(slot, undo);
        self.finish(now, slot, reason, Some(ticket));
    }

    /// Drops a subscription without a word: the watcher said it is not there.
    pub(crate) fn vanish(&mut self, now: Now, slot: u32, why: &'static str) {
        if let Some(subscription) = self.subscriptions.get(slot)
            && subscription.ending.is_none()
        {
            self.leave(slot);
            self.tell_end(now, slot, why);
            self.persist(Record::Delete(subscription_key(slot)), Undo::No);
        }
        self.remove_subscription(slot);
    }

    /// Frees the slot of a subscription that has left.
    fn remove_subscription(&mut self, slot: u32) {
        self.forget_way(Traveller::Subscription(slot));
        self.subscriptions.unpark(slot);
        self.close_list(slot);
        if let Some(subscription) = self.subscriptions.slots.remove(slot) {
            self.release_resource(subscription.resource);
        }
    }

    fn tell_end(&mut self, now: Now, slot: u32, state: &'static str) {
        self.watcher_left(now, slot, state);
        let Some(subscription) = self.subscriptions.get(slot) else { return };
        let event = Event::Subscription {
            resource: subscription.text(Text::Asked).to_owned(),
            package: subscription.package.name(),
            watcher: subscription.text(Text::Watcher).to_owned(),
            state,
        };
        self.tell(event);
    }

    /// Ends all subscriptions to a resource that is gone, and its publications.
    pub(crate) fn end_all(&mut self, now: Now, resource: ResourceId, reason: EndReason) {
        for package in PackageId::all() {
            let Some(state) = self.facts.resources.package(resource, package) else { continue };
            let (watchers, publications) = (state.watchers.clone(), state.publications.clone());
            for slot in publications {
                self.end_publication(now, slot);
            }
            for slot in watchers {
                self.end(now, slot, reason, None);
            }
        }
        if let Some(resource) = self.facts.resources.get_mut(resource) {
            resource.configured = false;
            resource.devices.clear();
        }
        self.release_resource(resource);
    }

    /// A subscription's time is up.
    pub(crate) fn on_subscription_expired(&mut self, now: Now, slot: u32) {
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        subscription.expiry = None;
        self.end(now, slot, EndReason::Timeout, None);
    }

    /// A subscription's row from the store, or before a change that could not be stored.
    pub(crate) fn put_subscription(
        &mut self,
        now: Now,
        slot: u32,
        record: Option<SubscriptionRecord>,
        put: Put,
    ) {
        let (mut said, mut in_flight) = (None, None);
        if put == Put::Undo
            && let Some(old) = self.subscriptions.get(slot)
        {
            let tag = old.text(Text::LocalTag);
            if record.as_ref().is_some_and(|record| record.local_tag == tag) {
                // Why: what has left is waited for, so that there is one at a time.
                (said, in_flight) = (Some((old.local_cseq, old.version)), old.in_flight);
            } else if let Some(client) = old.in_flight {
                self.transactions.abandon(client);
            }
            self.leave(slot);
            self.remove_subscription(slot);
        }
        let Some(record) = record else { return };
        let Some(package) = PackageId::by_name(&record.package) else { return };
        let Some(key) = ResourceKey::parse(&record.resource) else { return };
        let resource = self.resource(now, &key);
        self.subscriptions.last_stored = self.subscriptions.last_stored.max(record.created_at);
        // Why: NOTIFYs may have left since the row was stored, also the last one of an unsubscribe that is undone.
        let jump = match (put, said) {
            (Put::Restart, _) => cseq::jump(now.wall, record.created_at),
            (Put::Undo, Some(_)) => 0,
            (Put::Undo, None) => crate::limits::CSEQ_JUMP_UNDO,
        };
        let (cseq, version) = said.unwrap_or((record.local_cseq, record.version));
        let undone = put == Put::Undo;
        let subscription = Subscription {
            resource,
            place: 0,
            package,
            format: package.format(&record.format).unwrap_or(0),
            profile: self.profile_named(&record.profile),
            texts: texts_of(&record),
            flow: if put == Put::Restart { self.restarted(record.flow) } else { record.flow }.into(),
            remote_cseq: record.remote_cseq,
            local_cseq: cseq.saturating_add(jump),
            // Why: the row knows nothing of the jump; a second crash would jump to the same numbers again.
            stored_cseq: record.local_cseq,
            // Why: wrapping, because it starts just below 0.
            version: version.wrapping_add(jump),
            origin_cseq: record.origin.cseq,
            granted_s: u32::try_from(record.expires_at.since(record.created_at).as_secs())
                .unwrap_or(u32::MAX),
            expires_at: record.expires_at,
            created_at: record.created_at,
            expiry: None,
            retry: None,
            failures: 0,
            in_flight,
            pending: undone,
            forced: undone,
            suppress: if record.sleeps { Suppress::Everything } else { Suppress::Nothing },
            filtering: Filtering::of(record.filters.clone()),
            next_at: Instant::default(),
            pace: Rates::read(Params::new(&record.rates)).ok().and_then(|rates| Pace::of(now.mono, rates)),
            list: None,
            ending: None,
            sent_hash: 0,
            sent_revision: 0,
            told_revision: None,
            acknowledged: false,
            told: None,
            last_answer: None,
            answered_at: now.wall,
            notifies: 0,
            behind: crate::metrics::Behind::default(),
            fit: Fit::Whole,
            stream: StreamTo::Untried,
            // Why: after the last row of a restart, and below, the rules are asked again.
            standing: Standing::Pending,
            approved: false,
        };
        if put == Put::Restart {
            self.subscriptions.slots.restore(slot, subscription);
        } else {
            self.subscriptions.slots.put(slot, subscription);
        }
        if matches!(key, ResourceKey::List { .. }) {
            let brought = (!record.members.is_empty()).then(|| record.members.clone().into());
            self.open_list(now, slot, brought);
        }
        self.enter(now, slot);
        self.arm_again_restored(now, slot);
        if put == Put::Restart {
            let flow = self.subscriptions.get(slot).map(|subscription| subscription.flow.get());
            if matches!(flow, Some(Flow::Stream { id, .. }) if !self.connections.is_open(id)) {
                self.subscriptions.park(slot);
            }
            if let Some(subscription) = self.subscriptions.get(slot) {
                self.repeats.knows_subscription(now, slot, subscription);
            }
        }
        if undone {
            self.adopt_standing(now, slot);
            // Why: the NOTIFY that told what changed meanwhile may have gone with the change that is undone.
            self.due.push_back(slot);
        }
    }

    /// The profile for a phone: the peer's own, else the first whose pattern its User-Agent contains.
    pub(crate) fn profile_for(&self, peer: Option<&str>, user_agent: &str) -> u16 {
        let settings = &self.facts.settings;
        let named = peer.and_then(|name| settings.peers.get(name)).and_then(|peer| peer.profile.as_deref());
        if let Some(name) = named {
            return self.profile_named(name);
        }
        let index = settings.profiles.iter().position(|profile| profile.matches(user_agent)).unwrap_or(0);
        u16::try_from(index).unwrap_or(0)
    }

    pub(crate) fn profile_named(&self, name: &str) -> u16 {
        let profiles = &self.facts.settings.profiles;
        let last = profiles.len().saturating_sub(1);
        let index = profiles.iter().position(|profile| profile.name == name).unwrap_or(last);
        u16::try_from(index).unwrap_or(0)
    }
}

/// The row of a subscription.
fn subscription_key(slot: u32) -> Key {
    Key { kind: Kind::Subscription, slot: u64::from(slot) }
}
