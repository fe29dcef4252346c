//! An ordered queue of timers: what is due, in the order of (instant, insertion).
//!
//! In go values with the instant they are due at; out they come once it is reached, or never if cancelled first. The
//! order is total, so the same inputs fire the same timers in the same order. It reads no clock.
//!
//! It is a heap of sixteen-byte entries with four children each; beside it stands per timer its value and where in the heap
//! it is, so that a timer is cancelled without a search. There may be one or two for each of a million subscriptions.

use crate::limits;
use crate::time::Instant;
use std::num::NonZeroU32;

/// Names one timer until it fires or is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimerToken {
    slot: u32,
    generation: NonZeroU32,
}

/// Children of a heap's entry.
const CHILDREN: usize = 4;
/// Bits of a [`Due`] for the slot, and for the sequence number: 2^46 timers, and 35 years in microseconds.
const SLOT_BITS: u32 = 32;
const SEQUENCE_BITS: u32 = 46;
const MICROS_MAX: u64 = (1 << (128 - SLOT_BITS - SEQUENCE_BITS)) - 1;
/// No slot.
const NONE: u32 = u32::MAX;

/// When a timer is due, which of all it is, and its slot: one number, in the order in which timers fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due(u128);

impl Due {
    fn new(at: Instant, sequence: u64, slot: u32) -> Self {
        let at = u128::from(at.as_micros().min(MICROS_MAX)) << SEQUENCE_BITS;
        let sequence = u128::from(sequence & ((1 << SEQUENCE_BITS) - 1));
        Self((at | sequence) << SLOT_BITS | u128::from(slot))
    }

    fn at(self) -> Instant {
        Instant::from_micros(u64::try_from(self.0 >> (SLOT_BITS + SEQUENCE_BITS)).unwrap_or(MICROS_MAX))
    }

    fn slot(self) -> usize {
        usize::try_from(self.0 & u128::from(u32::MAX)).unwrap_or(usize::MAX)
    }
}

/// What is kept of a timer beside the heap.
#[derive(Clone, Debug)]
struct Entry<T> {
    /// Where in the heap it is; of a free slot, the next one that is free.
    place: u32,
    generation: NonZeroU32,
    value: Option<T>,
}

/// Timers that carry a `T`.
#[derive(Clone, Debug)]
pub(crate) struct Timers<T> {
    heap: Vec<Due>,
    entries: Vec<Entry<T>>,
    free: u32,
    sequence: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { heap: Vec::new(), entries: Vec::new(), free: NONE, sequence: 0 }
    }
}

impl<T> Timers<T> {
    /// Arms a timer for `at`.
    pub(crate) fn insert(&mut self, at: Instant, value: T) -> TimerToken {
        let place = place(self.heap.len());
        let slot = self.free;
        let (slot, generation) = match self.entries.get_mut(slot as usize) {
            Some(entry) => {
                self.free = entry.place;
                (entry.place, entry.value) = (place, Some(value));
                (slot, entry.generation)
            }
            None => {
                // Why: its room may have been given back, and a token of before names nothing any more.
                let generation = u32::try_from(self.sequence & u64::from(u32::MAX)).unwrap_or(0);
                let generation = NonZeroU32::new(generation).unwrap_or(NonZeroU32::MIN);
                self.entries.push(Entry { place, generation, value: Some(value) });
                (u32::try_from(self.entries.len() - 1).unwrap_or(NONE), generation)
            }
        };
        self.heap.push(Due::new(at, self.sequence, slot));
        self.sequence += 1;
        self.rise(self.heap.len() - 1);
        TimerToken { slot, generation }
    }

    /// When a timer fires; `None` where it has fired or was cancelled.
    pub(crate) fn at(&self, token: TimerToken) -> Option<Instant> {
        let entry = self.entry(token)?;
        Some(self.heap.get(entry.place as usize)?.at())
    }

    /// Cancels a timer; `None` where it has fired or was cancelled before.
    pub(crate) fn cancel(&mut self, token: TimerToken) -> Option<T> {
        let place = self.entry(token)?.place;
        self.take(place as usize)
    }

    /// The first timer that is due at `now`, if one is.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        let first = self.heap.first()?;
        if first.at() > now { None } else { self.take(0) }
    }

    /// When the next timer is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|first| first.at())
    }

    fn entry(&self, token: TimerToken) -> Option<&Entry<T>> {
        let entry = self.entries.get(token.slot as usize)?;
        (entry.generation == token.generation && entry.value.is_some()).then_some(entry)
    }

    /// Takes out what is at a place of the heap.
    fn take(&mut self, at: usize) -> Option<T> {
        let last = self.heap.pop()?;
        let gone = match self.heap.get_mut(at) {
            Some(hole) => {
                let gone = std::mem::replace(hole, last);
                // Only one of them moves it.
                self.sink(at);
                self.rise(at);
                gone
            }
            None => last,
        };
        let slot = u32::try_from(gone.slot()).unwrap_or(NONE);
        let entry = self.entries.get_mut(gone.slot())?;
        entry.generation = entry.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        entry.place = std::mem::replace(&mut self.free, slot);
        let value = entry.value.take();
        if self.heap.is_empty() && self.entries.capacity() > limits::IDLE_ENTRIES_KEPT {
            (self.heap, self.entries, self.free) = (Vec::new(), Vec::new(), NONE);
        }
        value
    }

    /// Moves the entry at a place towards the front, past all that are due later.
    fn rise(&mut self, mut at: usize) {
        let due = self.heap[at];
        while at > 0 {
            let parent = (at - 1) / CHILDREN;
            let above = self.heap[parent];
            if above <= due {
                break;
            }
            self.put(at, above);
            at = parent;
        }
        self.put(at, due);
    }

    /// Moves the entry at a place away from the front, past all that are due earlier.
    fn sink(&mut self, mut at: usize) {
        let due = self.heap[at];
        loop {
            let first = at * CHILDREN + 1;
            let children = self.heap.get(first..self.heap.len().min(first + CHILDREN)).unwrap_or_default();
            let Some((nth, next)) = children.iter().copied().enumerate().min_by_key(|(_, due)| *due) else {
                break;
            };
            if due <= next {
                break;
            }
            self.put(at, next);
            at = first + nth;
        }
        self.put(at, due);
    }

    fn put(&mut self, at: usize, due: Due) {
        self.heap[at] = due;
        if let Some(entry) = self.entries.get_mut(due.slot()) {
            entry.place = place(at);
        }
    }

    /// How many are armed.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none is armed.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

/// A place in a heap. Invariant: 2^32 timers do not fit into memory.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    fn due(timers: &mut Timers<&'static str>, now: u64) -> Vec<&'static str> {
        std::iter::from_fn(|| timers.pop_due(at(now))).collect()
    }

    #[test]
    fn fires_by_instant_then_by_insertion() {
        let mut timers = Timers::default();
        for (ms, name) in [(5, "c"), (1, "a"), (5, "d"), (3, "b"), (9, "e")] {
            timers.insert(at(ms), name);
        }
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(due(&mut timers, 0), Vec::<&str>::new());
        assert_eq!(due(&mut timers, 5), ["a", "b", "c", "d"]);
        assert_eq!(timers.next(), Some(at(9)));
        assert_eq!(due(&mut timers, 100), ["e"]);
        assert!(timers.is_empty());
    }

    #[test]
    fn a_cancelled_timer_never_fires_and_cancels_once() {
        let mut timers = Timers::default();
        let keep = timers.insert(at(1), "keep");
        let gone = timers.insert(at(1), "gone");
        assert_eq!(timers.cancel(gone), Some("gone"));
        assert_eq!(timers.cancel(gone), None);
        assert_eq!(due(&mut timers, 1), ["keep"]);
        assert_eq!(timers.cancel(keep), None);
        assert_eq!((timers.len(), timers.next()), (0, None));
    }

    #[test]
    fn it_does_what_an_ordered_map_does() {
        let mut rng = crate::rng::Rng::new([9; 32]);
        let (mut timers, mut model) = (Timers::default(), std::collections::BTreeMap::new());
        let mut tokens = Vec::new();
        let mut now = 0;
        for sequence in 0..20_000_u64 {
            let due = now + rng.next_u64() % 500;
            tokens.push((timers.insert(at(due), sequence), (due, sequence)));
            model.insert((due, sequence), sequence);
            if !rng.next_u64().is_multiple_of(3) {
                let nth = usize::try_from(rng.next_u64()).unwrap_or(0) % tokens.len();
                let (token, key) = tokens.swap_remove(nth);
                assert_eq!(timers.at(token), model.get(&key).map(|_| at(key.0)));
                assert_eq!(timers.cancel(token), model.remove(&key));
                assert_eq!(timers.cancel(token), None);
            }
            now += rng.next_u64() % 3;
            while let Some(fired) = timers.pop_due(at(now)) {
                assert_eq!(model.pop_first().map(|(_, value)| value), Some(fired));
            }
            assert_eq!(timers.next(), model.first_key_value().map(|((due, _), _)| at(*due)));
            assert_eq!(timers.len(), model.len());
        }
        assert!(timers.entries.len() < 1000, "slots are used again: {}", timers.entries.len());
    }

    #[test]
    fn room_that_nobody_needs_is_given_back_and_old_tokens_name_nothing() {
        let mut timers = Timers::default();
        let tokens: Vec<_> = (0..5000).map(|n| timers.insert(at(n), n)).collect();
        assert_eq!(std::iter::from_fn(|| timers.pop_due(at(9000))).count(), 5000);
        assert_eq!((timers.heap.capacity(), timers.entries.capacity()), (0, 0));
        timers.insert(at(1), 1);
        assert!(tokens.into_iter().all(|token| timers.cancel(token).is_none()));
        assert_eq!(timers.len(), 1);
    }
}
