//! Which subscriptions are the same one: from a hash of what makes them so to their slots, in nine bytes for each.
//!
//! Only half of the hash is kept, so more than one slot may be found for it: the caller looks which is meant. In go and out
//! come slots; it knows no subscription.

use hashbrown::HashTable;

/// Slots by hash.
#[derive(Debug, Default)]
pub(super) struct Identities {
    table: HashTable<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    half: u32,
    slot: u32,
}

impl Entry {
    fn new(hash: u64, slot: u32) -> Self {
        Self { half: u32::try_from(hash >> 32).unwrap_or(0), slot }
    }

    /// What the table sorts by: it looks at the first and the last bits, and only 32 are kept.
    fn spread(self) -> u64 {
        u64::from(self.half).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Identities {
    /// This slot has this hash.
    pub(super) fn insert(&mut self, hash: u64, slot: u32) {
        let entry = Entry::new(hash, slot);
        self.table.insert_unique(entry.spread(), entry, |entry| entry.spread());
    }

    /// This slot has this hash no more.
    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let entry = Entry::new(hash, slot);
        if let Ok(found) = self.table.find_entry(entry.spread(), |other| *other == entry) {
            found.remove();
        }
    }

    /// The slots that may have this hash.
    pub(super) fn find(&self, hash: u64) -> impl Iterator<Item = u32> {
        let wanted = Entry::new(hash, 0);
        let same = move |entry: &&Entry| entry.half == wanted.half;
        self.table.iter_hash(wanted.spread()).filter(same).map(|entry| entry.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(identities: &Identities, hash: u64) -> Vec<u32> {
        let mut slots: Vec<u32> = identities.find(hash).collect();
        slots.sort_unstable();
        slots
    }

    #[test]
    fn slots_of_one_hash_come_and_go_one_by_one() {
        let mut identities = Identities::default();
        let hash = |n: u64| n.wrapping_mul(0xd6e8_feb8_6659_fd93);
        (0..10_000).for_each(|n| identities.insert(hash(u64::from(n)), n));
        identities.insert(hash(7), 70_000);
        assert_eq!(found(&identities, hash(7)), [7, 70_000]);
        identities.remove(hash(7), 7);
        identities.remove(hash(7), 7);
        assert_eq!(found(&identities, hash(7)), [70_000]);
        assert_eq!(found(&identities, hash(8)), [8]);
        identities.remove(hash(8), 70_000);
        assert_eq!(found(&identities, hash(8)), [8]);
        assert_eq!(found(&identities, hash(10_001)), [0; 0]);
    }
}
