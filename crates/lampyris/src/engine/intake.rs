//! Datagrams between the socket and the node: two queues, so that what there is too much of is chosen and not left to chance.
//!
//! In: datagrams as they are read, and whether the node knows who sent them. Out: the next one, and how long it had to wait by
//! the look of the queue when it came. What is too long for it by then never joins the queue: a few are handed over to be
//! refused at once, the others dropped before anything is spent on them ([`Refusals`]).
//!
//! Who showed who they are comes first; strangers get every fourth turn, so that they can show it. Both queues are bounded:
//! beyond that the oldest goes, which its sender has most likely sent again by now (RFC 3261 §17.1.2.2). So do requests that
//! have waited for T1, and then those behind them up to what is fresh: whoever works off a queue of copies never ends.

use super::refusals::{Fate, Refusals};
use bytes::Bytes;
use lampyris_core::flow::Flow;
use lampyris_core::limits::OVERLOAD_BACKLOG;
use lampyris_core::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Most datagrams waiting of those the node knows.
const KNOWN_MAX: usize = 16_384;
/// Most datagrams waiting of strangers.
const STRANGERS_MAX: usize = 4096;
/// Most bytes waiting in each queue.
const QUEUE_BYTES_MAX: usize = 16 << 20;
/// A request that has waited so long has been sent again (T1).
const STALE: Duration = Duration::from_millis(500);
/// What has waited less is fresh.
const FRESH: Duration = Duration::from_millis(25);
/// Every so many turns is a stranger's.
const STRANGERS_TURN: u32 = 4;
/// Waits shorter than this are none.
const WAIT_NOTED: Duration = Duration::from_millis(10);

/// What of a wait is load, where `behind` requests wait still.
pub(super) fn noted(waited: Duration, behind: usize) -> Duration {
    if waited < WAIT_NOTED || behind < OVERLOAD_BACKLOG { Duration::ZERO } else { waited }
}

/// The two queues.
pub(crate) struct Intake {
    known: Queue,
    strangers: Queue,
    refusals: Refusals,
    /// What is to be refused, before anything else.
    refused: VecDeque<(Flow, Bytes, Duration)>,
    turn: u32,
    dropped: u64,
}

struct Waiting {
    flow: Flow,
    bytes: Bytes,
    /// When it came, and how long the first before it had waited then.
    at: Instant,
    ahead: Duration,
}

struct Queue {
    datagrams: VecDeque<Waiting>,
    bytes: usize,
    most: usize,
    is_shedding: bool,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            known: Queue::new(KNOWN_MAX),
            strangers: Queue::new(STRANGERS_MAX),
            refusals: Refusals::default(),
            refused: VecDeque::new(),
            turn: 0,
            dropped: 0,
        }
    }
}

impl Queue {
    fn new(most: usize) -> Self {
        Self { datagrams: VecDeque::new(), bytes: 0, most, is_shedding: false }
    }

    /// How long the first has waited.
    fn wait(&self, now: Instant) -> Duration {
        self.datagrams.front().map_or(Duration::ZERO, |first| now.since(first.at))
    }

    /// Puts a datagram in; how many had to go for it.
    fn put(&mut self, waiting: Waiting) -> u64 {
        self.bytes += waiting.bytes.len();
        self.datagrams.push_back(waiting);
        let mut dropped = 0;
        while self.datagrams.len() > self.most || self.bytes > QUEUE_BYTES_MAX {
            if self.take().is_none() {
                break;
            }
            dropped += 1;
        }
        dropped
    }

    /// Drops stale requests, and then all up to a fresh one; how many.
    fn shed(&mut self, now: Instant) -> u64 {
        let mut dropped = 0;
        while let Some(Waiting { bytes, at, .. }) = self.datagrams.front() {
            let waited = now.since(*at);
            self.is_shedding = waited >= STALE || (self.is_shedding && waited >= FRESH);
            // Why: nobody sends an ACK again by himself, and an answer ends work of ours.
            if !self.is_shedding || bytes.starts_with(b"SIP/2.0 ") || bytes.starts_with(b"ACK ") {
                break;
            }
            self.take();
            dropped += 1;
        }
        dropped
    }

    fn take(&mut self) -> Option<(Flow, Bytes, Duration)> {
        let Waiting { flow, bytes, ahead, .. } = self.datagrams.pop_front()?;
        self.bytes -= bytes.len();
        Some((flow, bytes, ahead))
    }
}

impl Intake {
    /// Takes a datagram in, or not, while so many others wait elsewhere.
    pub(crate) fn put(&mut self, flow: Flow, bytes: &[u8], is_known: bool, now: Instant, others: usize) {
        let behind = self.waiting() + others;
        let queue = if is_known { &mut self.known } else { &mut self.strangers };
        let ahead = noted(queue.wait(now), behind);
        match self.refusals.fate(bytes, ahead, now) {
            Fate::Taken => {
                let bytes = Bytes::copy_from_slice(bytes);
                self.dropped += queue.put(Waiting { flow, bytes, at: now, ahead });
            }
            Fate::Refused => self.refused.push_back((flow, Bytes::copy_from_slice(bytes), ahead)),
            Fate::Dropped => self.dropped += 1,
        }
    }

    /// The next datagram, and how much waiting it is to be judged by.
    pub(crate) fn take(&mut self, now: Instant) -> Option<(Flow, Bytes, Duration)> {
        if let Some(refused) = self.refused.pop_front() {
            return Some(refused);
        }
        self.turn = self.turn.wrapping_add(1);
        self.dropped += self.known.shed(now) + self.strangers.shed(now);
        if self.turn.is_multiple_of(STRANGERS_TURN) {
            self.strangers.take().or_else(|| self.known.take())
        } else {
            self.known.take().or_else(|| self.strangers.take())
        }
    }

    /// How many datagrams wait.
    pub(crate) fn waiting(&self) -> usize {
        self.refused.len() + self.known.datagrams.len() + self.strangers.datagrams.len()
    }

    /// How many of them are of those the node knows.
    pub(crate) fn known_waiting(&self) -> usize {
        self.known.datagrams.len()
    }

    /// How many were dropped since this was asked last.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lampyris_core::flow::ListenerId;

    fn from(port: u16) -> Flow {
        Flow::Udp { listener: ListenerId(0), remote: ([127, 0, 0, 1], port).into() }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    #[test]
    fn who_waits_alone_waited_for_the_machine() {
        let (short, long) = (Duration::from_millis(9), Duration::from_millis(300));
        assert_eq!(noted(long, 0), Duration::ZERO);
        assert_eq!(noted(long, OVERLOAD_BACKLOG - 1), Duration::ZERO);
        assert_eq!(noted(long, OVERLOAD_BACKLOG), long);
        assert_eq!(noted(short, 1000), Duration::ZERO);
    }

    /// Whom those that wait came from, and the milliseconds they are judged by.
    fn all(intake: &mut Intake, ms: u64) -> Vec<(u16, u128)> {
        let next = || intake.take(at(ms)).map(|(flow, _, ahead)| (flow.remote().port(), ahead.as_millis()));
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn the_known_come_first_and_strangers_are_not_forgotten() {
        let mut intake = Intake::default();
        (1..=6).for_each(|port| intake.put(from(port), b"x", port > 3, at(10), 0));
        assert_eq!(all(&mut intake, 10), [4, 5, 6, 1, 2, 3].map(|port| (port, 0)));
        (1..=10).for_each(|port| intake.put(from(port), b"", port != 1, at(10), 0));
        let place = all(&mut intake, 10).iter().position(|(port, _)| *port == 1);
        assert!(place.is_some_and(|place| place < STRANGERS_TURN as usize), "{place:?}");
        assert_eq!(intake.take_dropped(), 0);
    }

    #[test]
    fn who_would_wait_too_long_behind_others_does_not_join_them() {
        let (publish, bye) = (b"PUBLISH sip:a SIP/2.0\r\n\r\n", b"BYE sip:a SIP/2.0\r\n\r\n");
        let mut intake = Intake::default();
        (0..OVERLOAD_BACKLOG).for_each(|_| intake.put(from(1), publish, true, at(1000), 0));
        intake.put(from(2), publish, true, at(1199), 0);
        // As much as has been taken earns two refusals; time earns another one.
        (0..9).for_each(|_| intake.put(from(3), publish, true, at(1200), 0));
        intake.put(from(4), bye, true, at(1200), 0);
        // Strangers have a queue of their own.
        intake.put(from(5), publish, false, at(1200), 0);
        assert_eq!(intake.take_dropped(), 6);
        let refused = [(3, 200); 3];
        let taken =
            [(1, 0), (1, 0), (1, 0), (5, 0)].into_iter().chain([(1, 0); 13]).chain([(2, 199), (4, 200)]);
        assert_eq!(all(&mut intake, 1210), refused.into_iter().chain(taken).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_sent_again_meanwhile_is_dropped_but_for_answers_and_acks() {
        let mut intake = Intake::default();
        let rows = [
            ("PUBLISH sip:a", 0),
            ("SIP/2.0 200 OK", 10),
            ("SUBSCRIBE sip:a", 20),
            ("ACK sip:a", 200),
            ("BYE sip:a", 570),
            ("OPTIONS sip:a", 590),
            ("SUBSCRIBE sip:b", 595),
        ];
        for (text, ms) in rows {
            intake.put(from(1), text.as_bytes(), true, at(ms), 0);
        }
        let mut taken = Vec::new();
        while let Some((_, bytes, _)) = intake.take(at(600)) {
            taken.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        assert_eq!(taken, ["SIP/2.0 200 OK", "ACK sip:a", "OPTIONS sip:a", "SUBSCRIBE sip:b"]);
        assert_eq!((intake.take_dropped(), intake.take_dropped()), (3, 0));
        intake.put(from(1), b"BYE sip:a", true, at(0), 0);
        assert!(intake.take(at(499)).is_some(), "it is no copy yet");
    }

    #[test]
    fn both_queues_are_bounded_in_number_and_bytes_and_the_oldest_goes() {
        let mut intake = Intake::default();
        for n in 0..STRANGERS_MAX + 10 {
            let port = u16::try_from(n % 60_000).unwrap_or_default();
            intake.put(from(port), b"x", false, at(0), 0);
        }
        assert_eq!(intake.take_dropped(), 10);
        assert_eq!(intake.take(at(0)).map(|(flow, ..)| flow.remote().port()), Some(10));
        let large = vec![0; 60_000];
        (0..1000).for_each(|_| intake.put(from(1), &large, true, at(0), 0));
        assert_eq!(
            usize::try_from(intake.take_dropped()).unwrap_or_default(),
            1000 - QUEUE_BYTES_MAX / 60_000
        );
        while intake.take(at(0)).is_some() {}
        assert!(intake.is_empty() && intake.known.bytes == 0 && intake.strangers.bytes == 0);
    }
}
