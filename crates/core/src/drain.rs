//! Emptying a server that is to be taken away: its subscriptions end spread over a time, and new ones are refused.
//!
//! In: [`Drain`]. Out: for each subscription a last NOTIFY (RFC 6665 §4.1.3) that says `probation` and, spread, when to come
//! back; or `deactivated`, which says "subscribe again at once" and is for when another server is ready to take them.
//! Whoever subscribes meanwhile gets a 503 with the same spread of Retry-After, and goes elsewhere or comes later.

use crate::command::{Drain, Reply};
use crate::limits;
use crate::node::{Node, Timer};
use crate::notifier::subscription::EndReason;
use crate::time::Now;
use std::collections::VecDeque;
use std::time::Duration;

/// What is being drained.
pub(crate) struct Draining {
    reason: EndReason,
    retry_after_s: u32,
    /// Subscriptions that have not been looked at yet.
    waiting: VecDeque<u32>,
    /// How many end with each step.
    step: usize,
}

impl Node {
    /// Begins to end all subscriptions, or changes how.
    pub(crate) fn drain(&mut self, now: Now, drain: Drain) -> Reply {
        let waiting: VecDeque<_> =
            self.subscriptions.iter().filter(|(_, s)| s.ending.is_none()).map(|(slot, _)| slot).collect();
        let count = waiting.len();
        let steps = u64::from(drain.within_s.max(1)) * u64::from(limits::DRAIN_STEPS_PER_S);
        let step = count.div_ceil(usize::try_from(steps).unwrap_or(usize::MAX)).max(1);
        let reason = if drain.elsewhere { EndReason::Deactivated } else { EndReason::Probation };
        let is_stepping = self.draining.as_ref().is_some_and(|draining| !draining.waiting.is_empty());
        self.draining = Some(Draining { reason, retry_after_s: drain.retry_after_s.max(1), waiting, step });
        if !is_stepping {
            self.on_drain_due(now);
        }
        Reply::Done { count }
    }

    /// New subscriptions are welcome again; those that have ended stay so.
    pub(crate) fn end_drain(&mut self) -> Reply {
        let left = self.draining.take().map_or(0, |draining| draining.waiting.len());
        Reply::Done { count: left }
    }

    /// The next ones.
    pub(crate) fn on_drain_due(&mut self, now: Now) {
        let Some(draining) = &mut self.draining else { return };
        let (reason, step) = (draining.reason, draining.step.min(draining.waiting.len()));
        let slots: Vec<_> = draining.waiting.drain(..step).collect();
        let goes_on = !draining.waiting.is_empty();
        for slot in slots {
            self.end(now, slot, reason, None);
        }
        if goes_on {
            let pause = Duration::from_secs(1) / limits::DRAIN_STEPS_PER_S;
            self.timers.insert(now.mono + pause, Timer::Drain);
        }
    }

    /// Seconds after which somebody turned away now is to come back, while the server is being drained.
    pub(crate) fn drain_retry_after(&mut self) -> Option<u32> {
        let first = self.draining.as_ref()?.retry_after_s;
        Some(self.spread(first, first))
    }

    /// Seconds after which somebody whose subscription ends on probation is to come back.
    ///
    /// Why spread: all of them were told within a moment, and are not to come back within one.
    pub(crate) fn probation_retry_after(&mut self) -> u32 {
        match self.drain_retry_after() {
            Some(seconds) => seconds,
            None => self.spread(limits::RETRY_AFTER_S, limits::STOP_RETRY_SPREAD_S),
        }
    }

    fn spread(&mut self, first_s: u32, spread_s: u32) -> u32 {
        let more = self.rng.below(u64::from(spread_s) + 1);
        first_s.saturating_add(u32::try_from(more).unwrap_or(u32::MAX))
    }
}
