//! Mailboxes and their message counts, as a voicemail system or a command told them.

use crate::journal::Counts;
use crate::slots::Slots;
use std::collections::BTreeMap;

/// All mailboxes with counts.
#[derive(Default)]
pub(crate) struct Mailboxes {
    slots: Slots<(String, Counts)>,
    by_name: BTreeMap<String, u32>,
}

/// A mailbox name with its context: `100` is `100@default`.
pub(crate) fn full_name(name: &str) -> String {
    if name.contains('@') { name.to_owned() } else { format!("{name}@default") }
}

impl Mailboxes {
    /// The counts of a mailbox, all zero for one nobody spoke of.
    pub(crate) fn counts(&self, name: &str) -> Counts {
        self.find(name).unwrap_or_default()
    }

    /// The counts of a mailbox somebody spoke of.
    pub(crate) fn find(&self, name: &str) -> Option<Counts> {
        self.by_name.get(name).and_then(|slot| self.slots.get(*slot)).map(|(_, counts)| *counts)
    }

    /// The mailbox in a slot.
    pub(crate) fn name(&self, slot: u32) -> Option<&str> {
        self.slots.get(slot).map(|(name, _)| name.as_str())
    }

    /// Sets the counts; the mailbox's slot.
    pub(crate) fn set(&mut self, name: &str, counts: Counts) -> u32 {
        if let Some(slot) = self.by_name.get(name) {
            if let Some(entry) = self.slots.get_mut(*slot) {
                entry.1 = counts;
            }
            return *slot;
        }
        let slot = self.slots.insert((name.to_owned(), counts));
        self.by_name.insert(name.to_owned(), slot);
        slot
    }

    /// Puts a row back as it was stored.
    pub(crate) fn restore(&mut self, slot: u32, name: String, counts: Counts) {
        self.by_name.insert(name.clone(), slot);
        self.slots.restore(slot, (name, counts));
    }

    /// After the last [`Self::restore`].
    pub(crate) fn restored(&mut self) {
        self.slots.rebuild_free();
    }

    /// Takes a row out, where setting it for the first time could not be stored.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<String> {
        let (name, _) = self.slots.remove(slot)?;
        self.by_name.remove(&name);
        Some(name)
    }

    /// All, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Counts)> {
        self.by_name.iter().filter_map(|(name, slot)| Some((name.as_str(), self.slots.get(*slot)?.1)))
    }
}
