//! What publications said is over for good, so that what arrives late cannot bring it back.
//!
//! In: names of things that ended, per resource. Out: whether one did. It holds hashes only, as many as
//! [`limits::TOMBSTONES_MAX`], and forgets the oldest first; after a restart it is empty, when nothing of before is on its
//! way any more.

use crate::limits;
use crate::map::{Map, Maps};
use crate::packages::PackageId;
use std::collections::VecDeque;
use std::hash::BuildHasher;

/// The memory of what is over.
pub(crate) struct Tombstones {
    known: Map<u64, ()>,
    order: VecDeque<u64>,
    hasher: foldhash::quality::SeedableRandomState,
}

impl Tombstones {
    /// Nothing is over.
    pub(crate) fn new(maps: Maps) -> Self {
        let known = maps.map();
        let hasher = known.hasher().clone();
        Self { known, order: VecDeque::new(), hasher }
    }

    /// Remembers that something is over.
    pub(crate) fn add(&mut self, resource: &str, package: PackageId, name: &str) {
        let hash = self.hash(resource, package, name);
        if self.known.insert(hash, ()).is_some() {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > limits::TOMBSTONES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Whether something is over.
    pub(crate) fn has(&self, resource: &str, package: PackageId, name: &str) -> bool {
        self.known.contains_key(&self.hash(resource, package, name))
    }

    fn hash(&self, resource: &str, package: PackageId, name: &str) -> u64 {
        self.hasher.hash_one((resource, package, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut tombstones = Tombstones::new(Maps::new(1));
        let package = PackageId::all().next().unwrap();
        for n in 0..=limits::TOMBSTONES_MAX {
            tombstones.add("sip:a@x", package, &n.to_string());
            tombstones.add("sip:a@x", package, &n.to_string());
        }
        let has = |name: &str| tombstones.has("sip:a@x", package, name);
        assert!(!has("0") && has("1") && has(&limits::TOMBSTONES_MAX.to_string()));
        assert!(!tombstones.has("sip:b@x", package, "1"));
        assert_eq!(tombstones.known.len(), limits::TOMBSTONES_MAX);
    }
}
