//! Datagrams between the socket and the node: two queues, so that what there is too much of is chosen and not left to chance.
//!
//! In: datagrams as they are read, and whether the node knows who sent them. Out: the next one, and how long it has waited.
//! Who showed who they are comes first; strangers get every fourth turn, so that they can show it. Both queues are bounded:
//! beyond that the oldest goes, which its sender has most likely sent again by now (RFC 3261 §17.1.2.2). So do requests that
//! have waited for T1, and then those behind them up to what is fresh: whoever works off a queue of copies never ends.

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
    turn: u32,
    stale: u64,
}

struct Queue {
    datagrams: VecDeque<(Flow, Bytes, Instant)>,
    bytes: usize,
    most: usize,
    is_shedding: bool,
}

impl Default for Intake {
    fn default() -> Self {
        Self { known: Queue::new(KNOWN_MAX), strangers: Queue::new(STRANGERS_MAX), turn: 0, stale: 0 }
    }
}

impl Queue {
    fn new(most: usize) -> Self {
        Self { datagrams: VecDeque::new(), bytes: 0, most, is_shedding: false }
    }

    fn put(&mut self, flow: Flow, bytes: Bytes, now: Instant) -> u64 {
        self.bytes += bytes.len();
        self.datagrams.push_back((flow, bytes, now));
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
        while let Some((_, bytes, at)) = self.datagrams.front() {
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

    fn take(&mut self) -> Option<(Flow, Bytes, Instant)> {
        let taken = self.datagrams.pop_front()?;
        self.bytes -= taken.1.len();
        Some(taken)
    }
}

impl Intake {
    /// Puts a datagram in; how many had to go for it.
    pub(crate) fn put(&mut self, flow: Flow, bytes: Bytes, is_known: bool, now: Instant) -> u64 {
        let queue = if is_known { &mut self.known } else { &mut self.strangers };
        queue.put(flow, bytes, now)
    }

    /// The next datagram, and how long it has waited.
    pub(crate) fn take(&mut self, now: Instant) -> Option<(Flow, Bytes, Duration)> {
        self.turn = self.turn.wrapping_add(1);
        self.stale += self.known.shed(now) + self.strangers.shed(now);
        let taken = if self.turn.is_multiple_of(STRANGERS_TURN) {
            self.strangers.take().or_else(|| self.known.take())
        } else {
            self.known.take().or_else(|| self.strangers.take())
        };
        taken.map(|(flow, bytes, at)| (flow, bytes, now.since(at)))
    }

    /// How many datagrams wait.
    pub(crate) fn waiting(&self) -> usize {
        self.known.datagrams.len() + self.strangers.datagrams.len()
    }

    /// How many were dropped as stale since this was asked last.
    pub(crate) fn take_stale(&mut self) -> u64 {
        std::mem::take(&mut self.stale)
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

    #[test]
    fn the_known_come_first_and_strangers_are_not_forgotten() {
        let mut intake = Intake::default();
        for port in 1..=6 {
            assert_eq!(intake.put(from(port), Bytes::from_static(b"x"), port > 3, at(u64::from(port))), 0);
        }
        let mut order = Vec::new();
        while let Some((flow, _, waited)) = intake.take(at(10)) {
            let port = flow.remote().port();
            assert_eq!(waited, Duration::from_millis(10 - u64::from(port)));
            order.push(port);
        }
        assert_eq!(order, [4, 5, 6, 1, 2, 3]);
        for port in 1..=10 {
            intake.put(from(port), Bytes::new(), port != 1, at(0));
        }
        let place = (1..).find(|_| intake.take(at(0)).is_some_and(|(flow, ..)| flow.remote().port() == 1));
        assert!(place.is_some_and(|place| place <= STRANGERS_TURN), "{place:?}");
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
            intake.put(from(1), Bytes::from_static(text.as_bytes()), true, at(ms));
        }
        let mut taken = Vec::new();
        while let Some((_, bytes, _)) = intake.take(at(600)) {
            taken.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        assert_eq!(taken, ["SIP/2.0 200 OK", "ACK sip:a", "OPTIONS sip:a", "SUBSCRIBE sip:b"]);
        assert_eq!((intake.take_stale(), intake.take_stale()), (3, 0));
        intake.put(from(1), Bytes::from_static(b"BYE sip:a"), true, at(0));
        assert!(intake.take(at(499)).is_some(), "it is no copy yet");
    }

    #[test]
    fn both_queues_are_bounded_in_number_and_bytes_and_the_oldest_goes() {
        let mut intake = Intake::default();
        let dropped: u64 = (0..STRANGERS_MAX + 10)
            .map(|n| {
                let port = u16::try_from(n % 60_000).unwrap_or_default();
                intake.put(from(port), Bytes::from_static(b"x"), false, at(0))
            })
            .sum();
        assert_eq!(dropped, 10);
        assert_eq!(intake.take(at(0)).map(|(flow, ..)| flow.remote().port()), Some(10));
        let large = Bytes::from(vec![0; 60_000]);
        let dropped: u64 = (0..1000).map(|_| intake.put(from(1), large.clone(), true, at(0))).sum();
        assert_eq!(usize::try_from(dropped).unwrap_or_default(), 1000 - QUEUE_BYTES_MAX / 60_000);
        while intake.take(at(0)).is_some() {}
        assert!(intake.is_empty() && intake.known.bytes == 0 && intake.strangers.bytes == 0);
    }
}
