//! The last day of every lamp: when it changed, and to what, within a bound of number.
//!
//! In: the events that the history is made of. Out: the changes of one lamp, and since when all of them are known. Events say
//! more but are forgotten sooner ([`super::history`]); a change takes 24 bytes here, and which lamp it is of is a hash.

use super::limits::{CHANGES_MAX, DAY_MS};
use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};

/// One change, of the lamp whose name has this hash.
struct Change {
    lamp: u64,
    at_ms: u64,
    /// Places in [`Day::words`].
    was: u8,
    state: u8,
}

/// What a lamp changed from and to, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) at_ms: u64,
    pub(crate) was: &'static str,
    pub(crate) state: &'static str,
}

/// The changes of all lamps in their order.
pub(crate) struct Day {
    changes: VecDeque<Change>,
    hasher: RandomState,
    /// The words of states, each once.
    words: Vec<&'static str>,
    /// From when on all changes are here.
    since_ms: u64,
    most: usize,
}

impl Day {
    /// Begins now.
    pub(crate) fn new(now_ms: u64) -> Self {
        let (changes, words) = (VecDeque::new(), Vec::new());
        Self { changes, hasher: RandomState::new(), words, since_ms: now_ms, most: CHANGES_MAX }
    }

    /// A lamp changed.
    pub(crate) fn push(&mut self, resource: &str, changed: Changed) {
        let Changed { at_ms, was, state } = changed;
        let lamp = self.hasher.hash_one(resource);
        let (was, state) = (self.place(was), self.place(state));
        self.changes.push_back(Change { lamp, at_ms, was, state });
        let is_over = |oldest: &Change| oldest.at_ms + DAY_MS < at_ms;
        while (self.changes.len() > self.most || self.changes.front().is_some_and(is_over))
            && let Some(oldest) = self.changes.pop_front()
        {
            self.since_ms = self.since_ms.max(oldest.at_ms);
        }
    }

    /// Something may be missing before this moment.
    pub(crate) fn forget(&mut self, now_ms: u64) {
        self.changes.clear();
        self.since_ms = now_ms;
    }

    /// Since when all changes are known, and those of a lamp.
    pub(crate) fn of(&self, resource: &str) -> (u64, Vec<Changed>) {
        let lamp = self.hasher.hash_one(resource);
        let word = |place: u8| self.words.get(usize::from(place)).copied().unwrap_or("");
        let mine = self.changes.iter().filter(|change| change.lamp == lamp);
        let changes = mine.map(|change| Changed {
            at_ms: change.at_ms,
            was: word(change.was),
            state: word(change.state),
        });
        (self.since_ms, changes.collect())
    }

    /// The place of a word; there are as many as extension states.
    fn place(&mut self, word: &'static str) -> u8 {
        let known = self.words.iter().position(|known| *known == word);
        let place = known.unwrap_or_else(|| {
            self.words.push(word);
            self.words.len() - 1
        });
        u8::try_from(place).unwrap_or(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ms: u64, was: &'static str, state: &'static str) -> Changed {
        Changed { at_ms, was, state }
    }

    #[test]
    fn a_lamps_changes_are_its_own_and_in_order() {
        let mut day = Day::new(100);
        day.push("6001@default", at(150, "Idle", "InUse"));
        day.push("6002@default", at(160, "Idle", "Ringing"));
        day.push("6001@default", at(170, "InUse", "Idle"));
        assert_eq!(day.of("6001@default"), (100, vec![at(150, "Idle", "InUse"), at(170, "InUse", "Idle")]));
        assert_eq!(day.of("6003@default"), (100, vec![]));
    }

    #[test]
    fn what_is_forgotten_is_said() {
        let mut day = Day::new(100);
        day.most = 2;
        for at_ms in [150, 160, 170] {
            day.push("6001@default", at(at_ms, "Idle", "InUse"));
        }
        assert_eq!(day.of("6001@default").0, 150, "by number");
        assert_eq!(day.of("6001@default").1.len(), 2);
        day.push("6001@default", at(165 + DAY_MS, "Idle", "InUse"));
        assert_eq!(day.of("6001@default").0, 160, "by age");
        day.forget(9000);
        assert_eq!(day.of("6001@default"), (9000, vec![]));
    }
}
