//! Dense slots: a slab whose indices are also the store's keys, reused after deletion so that pages stay hot.

/// A slab.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: Vec<Option<T>>,
    free: Vec<u32>,
    live: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), live: 0 }
    }
}

impl<T> Slots<T> {
    /// Puts a value into a free slot and returns the slot.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.live += 1;
        if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = Some(value);
            return slot;
        }
        self.entries.push(Some(value));
        u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
    }

    /// Puts a value into the slot it had before a restart or an undone change; what was there is returned.
    pub(crate) fn put(&mut self, slot: u32, value: T) -> Option<T> {
        let index = slot as usize;
        while self.entries.len() <= index {
            self.free.push(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
            self.entries.push(None);
        }
        let old = self.entries[index].replace(value);
        if old.is_none() {
            self.live += 1;
            self.free.retain(|free| *free != slot);
        }
        old
    }

    /// Like [`Self::put`] for a whole restart: call [`Self::rebuild_free`] when all are in.
    pub(crate) fn restore(&mut self, slot: u32, value: T) {
        let index = slot as usize;
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || None);
        }
        if self.entries[index].replace(value).is_none() {
            self.live += 1;
        }
    }

    /// Finds the free slots again after [`Self::restore`].
    pub(crate) fn rebuild_free(&mut self) {
        // Why: popped from the end, so the lowest slots are used first.
        self.free = (0..self.entries.len())
            .rev()
            .filter(|index| self.entries[*index].is_none())
            .filter_map(|index| u32::try_from(index).ok())
            .collect();
    }

    /// Frees a slot.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let value = self.entries.get_mut(slot as usize)?.take()?;
        self.live -= 1;
        self.free.push(slot);
        Some(value)
    }

    /// The value in a slot.
    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.entries.get(slot as usize)?.as_ref()
    }

    /// The value in a slot, to change.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    /// Live values in slot order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries
            .iter()
            .enumerate()
            .filter_map(|(index, value)| Some((u32::try_from(index).ok()?, value.as_ref()?)))
    }

    /// How many are live.
    pub(crate) const fn len(&self) -> usize {
        self.live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_reused_and_survive_a_restore() {
        let mut slots = Slots::default();
        let (a, b, c) = (slots.insert('a'), slots.insert('b'), slots.insert('c'));
        assert_eq!((a, b, c), (0, 1, 2));
        assert_eq!(slots.remove(b), Some('b'));
        assert_eq!(slots.insert('d'), b);
        assert_eq!(slots.len(), 3);

        let mut again = Slots::default();
        again.restore(4, 'x');
        again.restore(1, 'y');
        again.rebuild_free();
        assert_eq!(
            (again.insert('p'), again.insert('q'), again.insert('r'), again.insert('s')),
            (0, 2, 3, 5)
        );
        assert_eq!(again.iter().map(|(slot, _)| slot).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_value_goes_back_to_its_own_slot() {
        let mut slots = Slots::default();
        let a = slots.insert('a');
        slots.remove(a);
        assert_eq!(slots.put(a, 'b'), None);
        assert_eq!(slots.put(a, 'c'), Some('b'));
        assert_eq!(slots.put(2, 'z'), None);
        assert_eq!(slots.insert('n'), 1);
        assert_eq!(slots.len(), 3);
    }
}
