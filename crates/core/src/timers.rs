//! An ordered queue of timers: what is due, in the order of (instant, insertion).
//!
//! In go values with the instant they are due at; out they come once it is reached, or never if cancelled first. The
//! order is total, so the same inputs fire the same timers in the same order. It reads no clock.

use crate::time::Instant;
use std::collections::BTreeMap;

/// Names one timer until it fires or is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TimerToken {
    at: Instant,
    sequence: u64,
}

impl TimerToken {
    /// When it fires.
    pub(crate) const fn at(self) -> Instant {
        self.at
    }
}

/// Timers that carry a `T`.
#[derive(Clone, Debug)]
pub(crate) struct Timers<T> {
    queue: BTreeMap<TimerToken, T>,
    sequence: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { queue: BTreeMap::new(), sequence: 0 }
    }
}

impl<T> Timers<T> {
    /// Arms a timer for `at`.
    pub(crate) fn insert(&mut self, at: Instant, value: T) -> TimerToken {
        let token = TimerToken { at, sequence: self.sequence };
        self.sequence += 1;
        self.queue.insert(token, value);
        token
    }

    /// Disarms a timer; `None` if it has fired or was cancelled.
    pub(crate) fn cancel(&mut self, token: TimerToken) -> Option<T> {
        self.queue.remove(&token)
    }

    /// The next timer due at or before `now`; call until `None`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(TimerToken, T)> {
        let first = self.queue.first_entry()?;
        (first.key().at <= now).then(|| first.remove_entry())
    }

    /// When the next timer is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|(token, _)| token.at)
    }

    /// Timers armed.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none is armed.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    fn due(timers: &mut Timers<&'static str>, now: u64) -> Vec<&'static str> {
        std::iter::from_fn(|| timers.pop_due(at(now)).map(|(_, value)| value)).collect()
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
}
