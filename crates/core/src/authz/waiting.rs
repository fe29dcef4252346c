//! Watchers whose subscription ended before anybody decided upon them (RFC 3857 §4.7.1, state `waiting`), and why those
//! ended that did just now.
//!
//! Kept for a bounded time and number, and not stored: a watcher that still wants to know asks again.

use super::policy::Standing;
use super::pres_rules::Handling;
use crate::fingerprint::fnv1a;
use crate::limits;
use crate::node::{Node, Timer};
use crate::notifier::subscription::{Subscription, Text};
use crate::packages::{PackageId, StateKind};
use crate::resource::{ResourceId, ResourceKey};
use crate::time::{Now, UnixTime};
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

/// One that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    /// What it asked for.
    pub(crate) resource: ResourceKey,
    /// In which package.
    pub(crate) package: PackageId,
    /// Who: a peer's name, or a URI.
    pub(crate) watcher: String,
    /// What its subscription was called in documents.
    pub(crate) id: u64,
    /// When it asked first.
    pub(crate) since: UnixTime,
}

/// Those that wait, by the presentity that is to decide.
#[derive(Default)]
pub(crate) struct Waiting {
    next: u64,
    waiters: BTreeMap<(String, u64), Waiter>,
    users: BTreeMap<u64, String>,
    /// Subscriptions that ended, by what they were called in documents, and why.
    ended: VecDeque<(u64, &'static str)>,
}

fn all_of(user: &str) -> RangeInclusive<(String, u64)> {
    (user.to_owned(), 0)..=(user.to_owned(), u64::MAX)
}

impl Waiting {
    /// Those that wait for a user's decision, the oldest first.
    pub(crate) fn of<'w>(&'w self, user: &str) -> impl Iterator<Item = &'w Waiter> + use<'w> {
        self.waiters.range(all_of(user)).map(|(_, waiter)| waiter)
    }

    /// All, with who is to decide.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Waiter)> {
        self.waiters.iter().map(|((user, _), waiter)| (user.as_str(), waiter))
    }

    /// Adds one; its number. `None` where there are too many.
    fn add(&mut self, user: &str, waiter: Waiter) -> Option<u64> {
        self.remove(user, |old| (&old.watcher, old.package) == (&waiter.watcher, waiter.package));
        let same = self.waiters.range(all_of(user)).filter(|(_, old)| old.package == waiter.package);
        if same.clone().count() >= limits::WAITING_PER_RESOURCE_MAX
            && let Some(oldest) = same.map(|(key, _)| key.clone()).next()
        {
            self.users.remove(&oldest.1);
            self.waiters.remove(&oldest);
        }
        if self.waiters.len() >= limits::WAITING_MAX {
            return None;
        }
        self.next += 1;
        self.users.insert(self.next, user.to_owned());
        self.waiters.insert((user.to_owned(), self.next), waiter);
        Some(self.next)
    }

    /// Forgets those of a user that `are` so; what they asked for.
    fn remove(&mut self, user: &str, are: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let found = self.waiters.range(all_of(user)).filter(|(_, waiter)| are(waiter));
        let keys: Vec<_> = found.map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|(_, number)| _ = self.users.remove(number));
        keys.iter().filter_map(|key| self.waiters.remove(key)).collect()
    }

    fn ended(&mut self, id: u64, why: &'static str) {
        self.ended.push_back((id, why));
        if self.ended.len() > limits::WATCHERS_ENDED_MAX {
            self.ended.pop_front();
        }
    }

    /// Why a subscription ended that did so just now, as RFC 3858 calls it.
    pub(crate) fn why_ended(&self, id: u64) -> &'static str {
        self.ended.iter().rev().find(|(ended, _)| *ended == id).map_or("timeout", |(_, why)| why)
    }
}

/// What a subscription is called in documents about watchers: the same for as long as it lives, and no help to anybody who
/// would like to guess its dialog.
pub(crate) fn watcher_id(subscription: &Subscription) -> u64 {
    fnv1a(subscription.text(Text::LocalTag).as_bytes())
}

impl Node {
    /// Who watches a resource, or how they stand, changed: who watches the watchers is told.
    pub(crate) fn watchers_changed(&mut self, resource: ResourceId, package: PackageId) {
        if package.get().watchers_of().is_some() {
            return;
        }
        let Some(resource) = self.facts.resources.get(resource) else { return };
        for owner in self.facts.owners(&resource.key.clone()) {
            self.watchers_of_changed(&owner);
        }
    }

    fn watchers_of_changed(&mut self, user: &ResourceKey) {
        for name in self.facts.names_of(user) {
            if let Some(id) = self.facts.resources.find(&name) {
                self.changed(id, StateKind::Watchers);
            }
        }
    }

    /// A subscription began: whoever waited under the same name does so no more.
    pub(crate) fn watcher_came(&mut self, slot: u32) {
        let Some(subscription) = self.subscriptions.get(slot) else { return };
        let (id, package) = (subscription.resource, subscription.package);
        let watcher = subscription.text(Text::Watcher).to_owned();
        if let Some(resource) = self.facts.resources.get(id) {
            for owner in self.facts.owners(&resource.key) {
                let same = |old: &Waiter| (&old.watcher, old.package) == (&watcher, package);
                for waiter in self.facts.waiting.remove(&owner.to_string(), same) {
                    self.facts.waiting.ended(waiter.id, "giveup");
                }
            }
        }
        self.watchers_changed(id, package);
    }

    /// A subscription ended: one that nobody has decided upon, and that ran out, waits.
    pub(crate) fn watcher_left(&mut self, now: Now, slot: u32, why: &'static str) {
        let Some(subscription) = self.subscriptions.get(slot) else { return };
        let (id, resource, package) = (watcher_id(subscription), subscription.resource, subscription.package);
        let why = match why {
            "deactivated" | "probation" | "rejected" | "noresource" => why,
            _ => "timeout",
        };
        self.facts.waiting.ended(id, why);
        if subscription.standing == Standing::Pending
            && why == "timeout"
            && let Some(key) = self.facts.resources.get(resource).map(|resource| resource.key.clone())
        {
            let (watcher, since) = (subscription.text(Text::Watcher).to_owned(), subscription.created_at);
            for owner in self.facts.owners(&key) {
                let waiter = Waiter { resource: key.clone(), package, watcher: watcher.clone(), id, since };
                if let Some(number) = self.facts.waiting.add(&owner.to_string(), waiter) {
                    self.timers.insert(now.mono + limits::WAITING_KEPT, Timer::WaitingEnds(number));
                }
            }
        }
        self.watchers_changed(resource, package);
    }

    /// A watcher has waited for long enough.
    pub(crate) fn on_waiting_ends(&mut self, number: u64) {
        let Some(user) = self.facts.waiting.users.remove(&number) else { return };
        if let Some(waiter) = self.facts.waiting.waiters.remove(&(user.clone(), number)) {
            self.facts.waiting.ended(waiter.id, "giveup");
        }
        if let Some(user) = ResourceKey::parse(&user) {
            self.watchers_of_changed(&user);
        }
    }

    /// A user's rules changed: who is decided upon waits no more (RFC 3857 §4.7.1).
    pub(super) fn settle_waiting(&mut self, now: Now, user: &ResourceKey) {
        let name = user.to_string();
        let decided: Vec<_> = self
            .facts
            .waiting
            .of(&name)
            .filter_map(|waiter| {
                let Waiter { resource, package, watcher, id, .. } = waiter;
                let handling = self.facts.decide(now.wall, watcher, resource, *package).handling;
                (handling != Handling::Confirm).then_some((*id, handling))
            })
            .collect();
        for (id, handling) in &decided {
            let why = if *handling == Handling::Block { "rejected" } else { "approved" };
            self.facts.waiting.remove(&name, |waiter| waiter.id == *id);
            self.facts.waiting.ended(*id, why);
        }
        if !decided.is_empty() {
            self.watchers_of_changed(user);
        }
    }
}
