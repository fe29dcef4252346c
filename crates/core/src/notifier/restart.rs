//! Who is told again after a restart, in which order, and how fast.
//!
//! No NOTIFY is written to the store. What the watchers of a resource were shown last is known from its mark
//! ([`crate::journal::ResourceRecord`]): a NOTIFY is owed where the mark differs from what is composed now, where it says
//! that not all were told, and, unless the process before ended by itself, where the change or the subscription is so young
//! that its NOTIFY may not have been answered. Those owed are told at `restart_notify_rate`, the newest change of each
//! package first, packages in turn; what changes meanwhile is told at once, by the ordinary way. The mark says that not
//! all were told until they are, so that a second crash forgets nobody.

use super::Subscriptions;
use super::subscription::{EndReason, Subscription};
use crate::journal::{Key, Kind, Record};
use crate::lamps::MARK_UNTOLD;
use crate::limits;
use crate::node::{Node, Timer};
use crate::packages::PackageId;
use crate::resource::{ResourceId, ResourceKey};
use crate::tickets::Undo;
use crate::time::{Now, UnixTime};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Those that a restart owes a NOTIFY.
#[derive(Default)]
pub(crate) struct Backlog {
    /// By package, newest first.
    queues: Vec<VecDeque<u32>>,
    /// Whose turn it is.
    turn: usize,
    /// How many of a resource's watchers are still in a queue.
    owed: BTreeMap<(ResourceId, PackageId), usize>,
}

impl Backlog {
    fn fill(&mut self, found: Vec<(PackageId, UnixTime, u32)>) {
        let mut by_package: BTreeMap<PackageId, Vec<(UnixTime, u32)>> = BTreeMap::new();
        for (package, at, slot) in found {
            by_package.entry(package).or_default().push((at, slot));
        }
        for mut found in by_package.into_values() {
            found.sort_unstable_by_key(|(at, slot)| (Reverse(*at), *slot));
            self.queues.push(found.into_iter().map(|(_, slot)| slot).collect());
        }
    }

    /// The next one, of each package in turn.
    fn pop(&mut self) -> Option<u32> {
        self.queues.retain(|queue| !queue.is_empty());
        if self.turn >= self.queues.len() {
            self.turn = 0;
        }
        let slot = self.queues.get_mut(self.turn)?.pop_front();
        self.turn += 1;
        slot
    }

    fn len(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }
}

impl Subscriptions {
    /// Whether a restart still owes watchers of a resource a NOTIFY.
    pub(crate) fn is_owed(&self, resource: ResourceId, package: PackageId) -> bool {
        self.backlog.owed.contains_key(&(resource, package))
    }

    /// All watchers of a resource are told now, by the ordinary way.
    pub(crate) fn owe_no_more(&mut self, resource: ResourceId, package: PackageId) {
        if !self.backlog.owed.is_empty() {
            self.backlog.owed.remove(&(resource, package));
        }
    }

    /// How many the last restart still owes a NOTIFY.
    pub(crate) fn owed(&self) -> usize {
        self.backlog.len()
    }
}

impl Node {
    /// After the last row: finds out who is owed a NOTIFY, and begins.
    pub(crate) fn notify_restored(&mut self, now: Now, clean: bool) {
        let unsure = match u64::try_from(limits::RESTART_UNSURE.as_millis()) {
            Ok(unsure) if !clean => self.subscriptions.last_stored.as_millis().saturating_sub(unsure),
            _ => u64::MAX,
        };
        let unsure = UnixTime::from_millis(unsure);
        self.dirty.clear();
        self.due.clear();
        self.take_marks();
        let mut found = Vec::new();
        let is_list = |key: &ResourceKey| matches!(key, ResourceKey::List { .. });
        // Why: a list has no state beside that of its members.
        let resources = self.facts.resources.iter().filter(|(_, resource)| !is_list(&resource.key));
        let ids: Vec<_> = resources.map(|(id, _)| id).collect();
        for id in ids {
            for package in PackageId::all() {
                self.find_owed(now, (id, package), unsure, &mut found);
            }
        }
        // Why: what a list's members owe it is due by now; it takes its turn with the others.
        for slot in std::mem::take(&mut self.due) {
            if let Some(subscription) = self.subscriptions.get(slot) {
                found.push((subscription.package, now.wall, slot));
            }
        }
        self.subscriptions.backlog.fill(found);
        self.baseline_restored();
        self.end_orphans(now);
        self.on_backlog_due(now);
    }

    /// Gives each resource its mark; rows of resources that are gone go too.
    fn take_marks(&mut self) {
        let slots: Vec<_> = self.subscriptions.marks.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(record) = self.subscriptions.marks.get_mut(slot) else { continue };
            let (hash, package) = (record.hash, PackageId::by_name(&record.package));
            let key = ResourceKey::parse(&record.resource);
            // Why: the names are in the resource; there may be a million marks.
            (record.resource, record.package) = (String::new(), String::new());
            let resource = key.and_then(|key| self.facts.resources.find(&key)).zip(package);
            let state = resource.and_then(|(id, package)| self.facts.resources.package_mut(id, package));
            match state.filter(|state| state.mark.is_none()) {
                Some(state) => state.mark = Some((slot, hash)),
                None => {
                    self.subscriptions.forget(slot);
                    let key = Key { kind: Kind::Resource, slot: u64::from(slot) };
                    self.persist(Record::Delete(key), Undo::No);
                }
            }
        }
    }

    /// Which watchers of one resource are owed a NOTIFY.
    fn find_owed(
        &mut self,
        now: Now,
        (id, package): (ResourceId, PackageId),
        unsure: UnixTime,
        found: &mut Vec<(PackageId, UnixTime, u32)>,
    ) {
        let Some(state) = self.facts.resources.known_package_mut(id, package) else { return };
        state.dirty = false;
        if !state.is_watched() {
            return;
        }
        let (mark, watchers, lists) = (state.mark, state.watchers.clone(), state.lists.clone());
        let at = mark.and_then(|(slot, _)| self.subscriptions.marks.get(slot));
        let at = at.map_or(UnixTime::default(), |record| record.changed_at);
        let fresh = self.shown_hash(id, package);
        let moved = self.rules_may_have_moved(id);
        let differs = moved || mark.is_none_or(|(_, hash)| Some(hash) != fresh);
        // Why: one that is told seldom may have been waiting for a change of long ago.
        let is_crash = unsure != UnixTime::from_millis(u64::MAX);
        let may_wait = |s: &Subscription| {
            is_crash && s.rates().max.is_some_and(|max| max.interval() >= limits::RESTART_UNSURE)
        };
        let when = |s: &Subscription| {
            if differs {
                Some(now.wall)
            } else if at >= unsure || s.created_at >= unsure || may_wait(s) {
                // Why: a change of long ago says nothing about whether somebody who came since got the first NOTIFY.
                Some(at.max(s.created_at))
            } else {
                None
            }
        };
        if differs || at >= unsure {
            lists.into_iter().for_each(|place| self.member_changed(now, place));
        }
        let before = found.len();
        for slot in watchers {
            if let Some(at) = self.subscriptions.get(slot).and_then(when) {
                found.push((package, at, slot));
                if let Some(subscription) = self.subscriptions.get_mut(slot) {
                    subscription.pending = true;
                }
            }
        }
        if found.len() > before {
            self.subscriptions.backlog.owed.insert((id, package), found.len() - before);
            // Why: else a crash before they are told would find the mark old enough to be believed.
            self.mark_untold(now, id, package);
        }
    }

    /// Tells the next ones, as many as the rate allows until it is asked again.
    pub(crate) fn on_backlog_due(&mut self, now: Now) {
        let rate = self.facts.settings.restart_notify_rate.max(1);
        let ticks = rate.min(limits::RESTART_TICKS_PER_S);
        let mut left = rate.div_ceil(ticks);
        // Why: who cannot be told costs a look, and there may be a million of them.
        let mut looks = left.saturating_mul(limits::RESTART_LOOKS_PER_NOTIFY);
        while left > 0 && looks > 0 {
            looks -= 1;
            let Some(slot) = self.subscriptions.backlog.pop() else { break };
            let Some(subscription) = self.subscriptions.get(slot) else { continue };
            let unit = (subscription.resource, subscription.package);
            if subscription.pending && subscription.ending.is_none() {
                left -= u32::from(!self.is_parked(slot));
                self.due.push_back(slot);
            }
            let owed = self.subscriptions.backlog.owed.get_mut(&unit);
            if let Some(owed) = owed {
                *owed -= 1;
                if *owed == 0 {
                    self.subscriptions.owe_no_more(unit.0, unit.1);
                    // Why: lists that it is in may still wait for their turn; the mark is right at its next change.
                    let state = self.facts.resources.package(unit.0, unit.1);
                    if state.is_some_and(|state| state.lists.is_empty()) {
                        self.mark_shown(now, unit.0, unit.1);
                    }
                }
            }
        }
        if self.subscriptions.owed() > 0 {
            self.timers.insert(now.mono + Duration::from_secs(1) / ticks, Timer::Backlog);
        } else {
            self.subscriptions.backlog = Backlog::default();
        }
    }

    /// Before a graceful end: who has not answered, or could not be told, is told again after the restart.
    pub(crate) fn mark_unanswered(&mut self, now: Now) {
        let untold = |s: &Subscription| {
            s.ending.is_none() && (s.pending || s.in_flight.is_some() || s.retry.is_some())
        };
        let subscriptions = self.subscriptions.iter().filter(|(_, s)| untold(s));
        let units: Vec<_> = subscriptions.map(|(_, s)| (s.resource, s.package)).collect();
        for (resource, package) in units {
            self.mark_untold(now, resource, package);
        }
    }

    /// Ends restored subscriptions whose resource the configuration no longer has.
    fn end_orphans(&mut self, now: Now) {
        let resources = self.facts.resources.iter();
        let gone: Vec<_> =
            resources.filter(|(_, resource)| !self.exists(&resource.key)).map(|(id, _)| id).collect();
        for id in gone {
            self.end_all(now, id, EndReason::NoResource);
        }
    }

    fn exists(&self, key: &ResourceKey) -> bool {
        let settings = &self.facts.settings;
        match key {
            ResourceKey::Extension { context, extension } => {
                settings.dialplan.lookup(context, extension).is_some()
            }
            ResourceKey::User { domain, .. } => {
                self.facts.peer_of(key).is_some()
                    || self.facts.person_of(key).is_some()
                    || settings.domains.iter().any(|d| d.any_user && d.name == *domain)
            }
            ResourceKey::Mailbox(_) | ResourceKey::List { .. } | ResourceKey::Remote { .. } => true,
        }
    }
}

const _: () = assert!(MARK_UNTOLD == 0 && limits::RESTART_TICKS_PER_S > 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_package_come_first_and_packages_take_turns() {
        let mut packages = PackageId::all();
        let (a, b) = (packages.next().unwrap(), packages.next().unwrap());
        let row = |package, at, slot| (package, UnixTime::from_millis(at), slot);
        let mut backlog = Backlog::default();
        backlog.fill(vec![row(a, 5, 1), row(a, 9, 2), row(a, 7, 3), row(b, 1, 4), row(b, 2, 5)]);
        assert_eq!(backlog.len(), 5);
        let order: Vec<_> = std::iter::from_fn(|| backlog.pop()).collect();
        assert_eq!(order, [2, 5, 3, 4, 1]);
    }
}
