//! A subscription to a list (RFC 4662): its members, what its watcher was told of each, and what is new.
//!
//! ```text
//! member changes -> flush -> member_changed -> fresh --(batch, pace, one in flight)--> list_document -> NOTIFY -> told
//! ```
//!
//! In: changes of members, of who may see them, and of who is in the list. Out: which members the next NOTIFY is about, and
//! whether it tells the whole list. What is known of a member is composed once for all its watchers, in lists or not; how the
//! watcher of a list stands with each member is decided for that watcher alone (RFC 4662 §7.2). It writes nothing.

use super::subscription::{EndReason, Subscription, Text};
use crate::authz::policy::Standing;
use crate::body::dialog_info::shown::Reveal;
use crate::fingerprint::{FNV_START, fnv1a_on};
use crate::lists::resource_lists::Entry as Brought;
use crate::lists::roster::{At, Entry, Roster};
use crate::node::Node;
use crate::resource::{InList, ResourceId};
use crate::time::Now;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Hash of a member that was named, and nothing more (RFC 4662 §4.5).
pub(super) const NAMED: u64 = 1;

/// A subscription's list.
#[derive(Clone, Debug)]
pub(crate) struct ListState {
    /// Who is in it.
    pub(crate) roster: Arc<Roster>,
    /// What the SUBSCRIBE brought along.
    pub(crate) brought: Option<Arc<[Brought]>>,
    /// One for each entry of the roster.
    pub(crate) members: Vec<MemberState>,
    /// Members that may look different from what was told, each once.
    pub(super) fresh: Vec<u32>,
    /// Members that are in the list no more, by URI and id, and were told.
    pub(super) gone: Vec<(Box<str>, Box<str>)>,
    /// The next NOTIFY tells the whole list.
    pub(super) full: bool,
    /// What was told of all members together.
    pub(super) sum: u64,
    /// What the NOTIFY that is being written tells.
    pub(super) staged: Staged,
}

/// One member, as the watcher of the list sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemberState {
    /// What it is here.
    pub(crate) resource: Option<ResourceId>,
    /// Its place among the lists that the resource is in.
    place: u32,
    /// It is among the fresh ones.
    is_fresh: bool,
    /// How much of calls is shown.
    pub(super) reveal: Reveal,
    /// How the watcher stands; `None` where it may not watch.
    pub(crate) standing: Option<Standing>,
    /// Hash of what was told; 0 for nothing.
    pub(super) told: u64,
}

impl MemberState {
    /// It was named at least.
    pub(super) const fn is_told(&self) -> bool {
        self.told != 0
    }

    /// How it stands was told.
    pub(crate) const fn is_shown(&self) -> bool {
        self.told > NAMED
    }
}

/// What a NOTIFY tells of a list.
#[derive(Clone, Debug, Default)]
pub(super) struct Staged {
    /// Every member is named.
    pub(super) full: bool,
    /// The members told of, with what is told.
    pub(super) told: Vec<(u32, u64)>,
    /// The members whose state has to follow.
    pub(super) left: Vec<u32>,
}

impl ListState {
    fn new(roster: Arc<Roster>, brought: Option<Arc<[Brought]>>) -> Box<Self> {
        let members = vec![MemberState::default(); roster.entries.len()];
        let (fresh, gone) = (Vec::new(), Vec::new());
        Box::new(Self {
            roster,
            brought,
            members,
            fresh,
            gone,
            full: true,
            sum: 0,
            staged: Staged::default(),
        })
    }

    /// The share of a member in what was told of all.
    pub(super) fn share(entry: &Entry, told: u64) -> u64 {
        if told == 0 { 0 } else { fnv1a_on(fnv1a_on(FNV_START, entry.id.as_bytes()), &told.to_le_bytes()) }
    }

    /// The sum after what is staged is told.
    pub(super) fn sum_then(&self) -> u64 {
        let start = if self.staged.full { 0 } else { self.sum };
        self.staged.told.iter().fold(start, |sum, (index, hash)| {
            let index = *index as usize;
            let Some((entry, member)) = self.roster.entries.get(index).zip(self.members.get(index)) else {
                return sum;
            };
            let before = if self.staged.full { 0 } else { Self::share(entry, member.told) };
            sum.wrapping_sub(before).wrapping_add(Self::share(entry, *hash))
        })
    }

    /// What is staged leaves: it counts as told. `true` where more has to follow.
    pub(super) fn commit(&mut self) -> bool {
        self.sum = self.sum_then();
        let staged = std::mem::take(&mut self.staged);
        if staged.full {
            self.members.iter_mut().for_each(|member| member.told = 0);
        }
        for index in std::mem::take(&mut self.fresh) {
            if let Some(member) = self.members.get_mut(index as usize) {
                member.is_fresh = false;
            }
        }
        for (index, hash) in staged.told {
            if let Some(member) = self.members.get_mut(index as usize) {
                member.told = hash;
            }
        }
        for index in staged.left {
            self.refresh(index);
        }
        self.gone.clear();
        self.full = false;
        !self.fresh.is_empty()
    }

    /// A member may look different from what was told.
    fn refresh(&mut self, index: u32) {
        if let Some(member) = self.members.get_mut(index as usize)
            && !std::mem::replace(&mut member.is_fresh, true)
        {
            self.fresh.push(index);
        }
    }
}

impl Subscription {
    /// Whether everything is to be told, whatever of it is new.
    pub(super) fn tells_whole_list(&self) -> bool {
        self.list.as_ref().is_some_and(|list| {
            list.full || list.roster.full_state || self.forced || !self.acknowledged || self.failures > 0
        })
    }
}

impl Node {
    /// Makes a subscription one to a list; `false` where there is no such list.
    pub(super) fn open_list(&mut self, now: Now, slot: u32, brought: Option<Arc<[Brought]>>) -> bool {
        let Some(roster) = self.roster_for(slot, brought.as_deref()) else { return false };
        let roster = self.shared_roster(slot, roster);
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return false };
        subscription.list = Some(ListState::new(roster, brought));
        self.link_members(now, slot);
        true
    }

    fn roster_for(&self, slot: u32, brought: Option<&[Brought]>) -> Option<Roster> {
        let subscription = self.subscriptions.get(slot)?;
        let key = &self.facts.resources.get(subscription.resource)?.key;
        let identity = self.identity_named(subscription.text(Text::Watcher));
        self.roster(&identity, key, brought, subscription.package)
    }

    /// The same roster as somebody has already, where that is so: they are large.
    fn shared_roster(&self, slot: u32, roster: Roster) -> Arc<Roster> {
        let known = || {
            let subscription = self.subscriptions.get(slot)?;
            let state = self.facts.resources.package(subscription.resource, subscription.package)?;
            let others =
                state.watchers.iter().rev().filter_map(|slot| self.subscriptions.get(*slot)?.list.as_ref());
            others.take(4).find(|list| *list.roster == roster).map(|list| list.roster.clone())
        };
        known().unwrap_or_else(|| Arc::new(roster))
    }

    /// Ties each member to its resource, and decides what the watcher may see of it.
    fn link_members(&mut self, now: Now, slot: u32) {
        let Some(subscription) = self.subscriptions.get(slot) else { return };
        let (package, watcher) = (subscription.package, subscription.text(Text::Watcher).to_owned());
        let Some(roster) = subscription.list.as_ref().map(|list| list.roster.clone()) else { return };
        for (index, entry) in (0_u32..).zip(&roster.entries) {
            let At::Here(key) = &entry.at else { continue };
            let id = self.resource(now, key);
            let standing = self.facts.decide(now.wall, &watcher, key, package).standing();
            let reveal = self.reveal_to(&watcher, key);
            let Some(state) = self.facts.resources.package_mut(id, package) else { continue };
            let place = u32::try_from(state.lists.len()).unwrap_or(u32::MAX);
            state.lists.push(InList { slot, member: index });
            let is_watched = standing.is_some();
            self.demand(now, id, package);
            if let Some(member) = self.member_mut(slot, index) {
                let told = member.told;
                *member = MemberState { resource: Some(id), place, is_fresh: false, reveal, standing, told };
            }
            if is_watched {
                self.watchers_changed(id, package);
            }
        }
    }

    /// Unties the members of a list that is no more.
    pub(super) fn close_list(&mut self, slot: u32) {
        let Some(subscription) = self.subscriptions.get(slot) else { return };
        let package = subscription.package;
        let count = subscription.list.as_ref().map_or(0, |list| list.members.len());
        for index in (0..count).filter_map(|index| u32::try_from(index).ok()) {
            let Some(member) = self.member_mut(slot, index) else { continue };
            let (Some(id), place) = (member.resource.take(), member.place as usize) else { continue };
            if let Some(state) = self.facts.resources.package_mut(id, package)
                && state.lists.get(place) == Some(&InList { slot, member: index })
            {
                state.lists.swap_remove(place);
                if let Some(moved) = state.lists.get(place).copied()
                    && let Some(moved) = self.member_mut(moved.slot, moved.member)
                {
                    moved.place = u32::try_from(place).unwrap_or(u32::MAX);
                }
            }
            self.watchers_changed(id, package);
            self.release_resource(id);
        }
    }

    fn member_mut(&mut self, slot: u32, member: u32) -> Option<&mut MemberState> {
        self.subscriptions.get_mut(slot)?.list.as_mut()?.members.get_mut(member as usize)
    }

    /// A member of a list changed: its watcher is told, after the time in which the list's changes are gathered.
    pub(crate) fn member_changed(&mut self, now: Now, place: InList) {
        let Some(subscription) = self.subscriptions.get_mut(place.slot) else { return };
        let Some(list) = &mut subscription.list else { return };
        list.refresh(place.member);
        let batch = list.roster.batch;
        subscription.pending = true;
        let is_idle = subscription.in_flight.is_none() && subscription.retry.is_none();
        if !batch.is_zero() && is_idle && subscription.ending.is_none() && !subscription.forced {
            let paced = subscription.next_at.max(now.mono + batch);
            return self.wait_until(place.slot, paced);
        }
        self.due.push_back(place.slot);
    }

    /// What a watcher may see of a member is decided anew.
    pub(crate) fn authorize_member(&mut self, now: Now, place: InList) {
        let Some(subscription) = self.subscriptions.get(place.slot) else { return };
        let (package, watcher) = (subscription.package, subscription.text(Text::Watcher).to_owned());
        let Some(id) = self.member_mut(place.slot, place.member).and_then(|member| member.resource) else {
            return;
        };
        let Some(key) = self.facts.resources.get(id).map(|resource| resource.key.clone()) else { return };
        let standing = self.facts.decide(now.wall, &watcher, &key, package).standing();
        let reveal = self.reveal_to(&watcher, &key);
        let cause = self.tickets.cause();
        let Some(member) = self.member_mut(place.slot, place.member) else { return };
        if (&member.standing, member.reveal) == (&standing, reveal) {
            return;
        }
        (member.standing, member.reveal) = (standing, reveal);
        if let Some(state) = self.facts.resources.package_mut(id, package) {
            state.after = state.after.max(cause);
        }
        self.member_changed(now, place);
        self.watchers_changed(id, package);
    }

    /// After a restart or a reload: who is in each list now; subscriptions to lists that are gone end.
    pub(crate) fn lists_follow(&mut self, now: Now) {
        let slots: Vec<_> =
            self.subscriptions.iter().filter(|(_, s)| s.list.is_some()).map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(list) = self.subscriptions.get(slot).and_then(|s| s.list.as_ref()) else { continue };
            let (old, brought) = (list.roster.clone(), list.brought.clone());
            let Some(roster) = self.roster_for(slot, brought.as_deref()) else {
                self.end(now, slot, EndReason::NoResource, None);
                continue;
            };
            if *old != roster {
                self.change_members(now, slot, &old, roster);
            }
        }
    }

    /// Others are in a list from now on: who came is told, and who is gone.
    fn change_members(&mut self, now: Now, slot: u32, old: &Roster, roster: Roster) {
        self.close_list(slot);
        let roster = self.shared_roster(slot, roster);
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        let Some(list) = &mut subscription.list else { return };
        let told = old.entries.iter().zip(&list.members);
        let mut told: BTreeMap<_, _> = told
            .filter(|(_, member)| member.is_told())
            .map(|(entry, member)| (entry.uri.clone(), (entry, member.told)))
            .collect();
        let member = |entry: &Entry| {
            let told = told.remove(&entry.uri).map_or(0, |(_, told)| told);
            MemberState { told, ..MemberState::default() }
        };
        list.members = roster.entries.iter().map(member).collect();
        for (uri, (entry, hash)) in told {
            list.sum = list.sum.wrapping_sub(ListState::share(entry, hash));
            list.gone.push((uri, entry.id.clone()));
        }
        // Why: who is back before anybody was told of the going was never gone.
        let is_back = |uri: &str| roster.entries.iter().any(|entry| &*entry.uri == uri);
        list.gone.retain(|(uri, _)| !is_back(uri));
        // Why: names and order are told with the whole list only; who came and who went is told alone.
        let renamed = |entry: &Entry| {
            old.entries.iter().any(|known| known.uri == entry.uri && known.display != entry.display)
        };
        list.full |= old.display != roster.display
            || (roster.entries.len() <= 100 && roster.entries.iter().any(renamed));
        (list.roster, list.fresh) = (roster, Vec::new());
        subscription.pending = true;
        self.link_members(now, slot);
        if let Some(list) = self.subscriptions.get_mut(slot).and_then(|s| s.list.as_mut()) {
            let count = list.members.len();
            (0..count).filter_map(|index| u32::try_from(index).ok()).for_each(|index| list.refresh(index));
        }
        self.due.push_back(slot);
    }
}
