//! How often the engine's loop goes round: under load it rests for a moment after a turn that found little.
//!
//! Each turn costs a wake-up and a system call of each kind, as much as a message, whether it finds one message or many.
//! What comes while the loop rests waits in the socket, where there is room for it.

use std::time::{Duration, Instant};

/// A turn that found fewer messages and happenings than this found few.
const FEW: u32 = 16;
/// Turns that find few begin so long after one another, where there is always something to find.
const EVERY: Duration = Duration::from_micros(200);
/// Where the next turn had to be waited for longer than this, nothing is lost by waiting for it.
const CROWDED: Duration = Duration::from_micros(100);

/// The turns of the loop.
#[derive(Default)]
pub(super) struct Turns {
    /// What this one found.
    found: u32,
    /// When it began.
    began: Option<Instant>,
    /// When waiting for the next one began.
    ended: Option<Instant>,
    /// Hardly any time was waited for this one.
    is_crowded: bool,
}

impl Turns {
    /// The wait is over.
    pub(super) fn begin(&mut self) {
        let now = Instant::now();
        self.is_crowded = self.ended.is_some_and(|ended| now - ended < CROWDED);
        self.began = Some(now);
        self.found = 0;
    }

    /// This turn found something.
    pub(super) const fn found(&mut self) {
        self.found = self.found.saturating_add(1);
    }

    /// Before the wait for the next turn.
    pub(super) fn end(&mut self) {
        let rest = self.rest(Instant::now());
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
        self.ended = Some(Instant::now());
    }

    fn rest(&self, now: Instant) -> Duration {
        if !self.is_crowded || self.found == 0 || self.found >= FEW {
            return Duration::ZERO;
        }
        self.began.map_or(Duration::ZERO, |began| EVERY.saturating_sub(now - began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_turns_that_find_little_and_follow_at_once_rest() {
        let began = Instant::now();
        let turn = |found, is_crowded| Turns { found, began: Some(began), ended: None, is_crowded };
        let after = |us| began + Duration::from_micros(us);
        for (found, is_crowded, took_us, rest_us) in [
            (1, true, 30, 170),
            (15, true, 150, 50),
            (15, true, 250, 0),
            (16, true, 30, 0),
            (1, false, 30, 0),
            (0, true, 30, 0),
        ] {
            let rest = turn(found, is_crowded).rest(after(took_us));
            assert_eq!(rest, Duration::from_micros(rest_us), "{found} {is_crowded} {took_us}");
        }
    }
}
