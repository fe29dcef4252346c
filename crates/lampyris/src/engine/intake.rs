//! Datagrams between the socket and the node: two queues, so that what there is too much of is chosen and not left to chance.
//!
//! In: datagrams as they are read, and whether the node knows who sent them. Out: the next one, and how long it has waited.
//! Who showed who they are comes first; strangers get every fourth turn, so that they can show it. Both queues are bounded:
//! beyond that the oldest goes, which its sender has most likely sent again by now (RFC 3261 §17.1.2.2).

use bytes::Bytes;
use lampyris_core::flow::Flow;
use lampyris_core::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Most datagrams waiting of those the node knows.
const KNOWN_MAX: usize = 16_384;
/// Most datagrams waiting of strangers.
const STRANGERS_MAX: usize = 4096;
/// Most bytes waiting in each queue.
const QUEUE_BYTES_MAX: usize = 16 << 20;
/// Every so many turns is a stranger's.
const STRANGERS_TURN: u32 = 4;

/// The two queues.
pub(crate) struct Intake {
    known: Queue,
    strangers: Queue,
    turn: u32,
}

struct Queue {
    datagrams: VecDeque<(Flow, Bytes, Instant)>,
    bytes: usize,
    most: usize,
}

impl Default for Intake {
    fn default() -> Self {
        Self { known: Queue::new(KNOWN_MAX), strangers: Queue::new(STRANGERS_MAX), turn: 0 }
    }
}

impl Queue {
    fn new(most: usize) -> Self {
        Self { datagrams: VecDeque::new(), bytes: 0, most }
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
