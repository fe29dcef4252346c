//! How many of something each of many has: subscriptions of a watcher, publications of a publisher.
//!
//! Who has none takes no room. What is counted says [`Counts::add`] and [`Counts::remove`]; limits are not known here.

use crate::map::{Map, Maps};
use std::hash::{BuildHasher, Hash};

/// Counts by key.
pub(crate) struct Counts<K> {
    counts: Map<K, u32>,
}

impl<K: Copy + Eq + Hash> Counts<K> {
    /// Nobody has any.
    pub(crate) fn new(maps: Maps) -> Self {
        Self { counts: maps.map() }
    }

    /// One more.
    pub(crate) fn add(&mut self, key: K) {
        *self.counts.entry(key).or_default() += 1;
    }

    /// One less.
    pub(crate) fn remove(&mut self, key: K) {
        if let Some(count) = self.counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&key);
            }
        }
    }

    /// How many there are.
    pub(crate) fn of(&self, key: K) -> usize {
        self.counts.get(&key).map_or(0, |count| usize::try_from(*count).unwrap_or(usize::MAX))
    }
}

impl Counts<u64> {
    /// A name as a key; two names share one by no more than chance, and then their counts.
    pub(crate) fn key(&self, name: &str) -> u64 {
        self.counts.hasher().hash_one(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_none_left_is_forgotten() {
        let mut counts = Counts::new(Maps::new(1));
        let (a, b) = (counts.key("a"), counts.key("b"));
        counts.add(a);
        counts.add(a);
        counts.add(b);
        counts.remove(a);
        assert_eq!((counts.of(a), counts.of(b), counts.of(7)), (1, 1, 0));
        counts.remove(a);
        counts.remove(a);
        counts.remove(b);
        assert!(counts.counts.is_empty());
    }
}
