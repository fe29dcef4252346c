//! Values at stable slots: a vector with a free list, so that a slot number can travel in a branch or an id.
//!
//! A slot is reused after removal; callers keep a generation or random bits beside it to tell old from new.

use crate::limits;

#[derive(Debug)]
enum Entry<T> {
    Free { next: Option<u32> },
    Used(T),
}

/// Values at stable slots.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Option<u32>,
    len: usize,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), free: None, len: 0 }
    }

    /// Puts `value` into a free slot.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        if let Some(slot) = self.free
            && let Some(entry) = self.entries.get_mut(slot as usize)
            && let Entry::Free { next } = *entry
        {
            self.free = next;
            *entry = Entry::Used(value);
            return slot;
        }
        // Invariant: 2^32 entries of a hundred bytes do not fit into memory.
        let slot = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry::Used(value));
        slot
    }

    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        match self.entries.get(slot as usize) {
            Some(Entry::Used(value)) => Some(value),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        match self.entries.get_mut(slot as usize) {
            Some(Entry::Used(value)) => Some(value),
            _ => None,
        }
    }

    /// Takes the value out and frees its slot.
    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        let entry = self.entries.get_mut(slot as usize)?;
        match std::mem::replace(entry, Entry::Free { next: self.free }) {
            Entry::Used(value) => {
                self.free = Some(slot);
                self.len -= 1;
                if self.len == 0 && self.entries.capacity() > limits::IDLE_ENTRIES_KEPT {
                    // What a slot's user keeps beside its number tells the old from the new here too.
                    (self.entries, self.free) = (Vec::new(), None);
                }
                Some(value)
            }
            free => {
                *entry = free;
                None
            }
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_stable_and_reused_after_removal() {
        let mut slab = Slab::new();
        let slots = ["a", "b", "c"].map(|v| slab.insert(v));
        assert_eq!(slots, [0, 1, 2]);
        assert_eq!(slab.remove(1), Some("b"));
        assert_eq!(slab.remove(1), None);
        assert_eq!((slab.get(1), slab.get(2), slab.get(9)), (None, Some(&"c"), None));
        assert_eq!(slab.insert("d"), 1);
        assert_eq!(slab.insert("e"), 3);
        assert_eq!(slab.len(), 4);
    }
}
