//! Requests under way: which is which, when it goes again, when it is given up (RFC 3261 §17.1).
//!
//! In: a request's bytes and what it is for. Out: a number that its branch carries, and by that number everything about it
//! until it is over. Requests over streams never go again. Numbers rise, so the table is a queue whose head is dropped as
//! it ends.

use super::limits::{GIVEN_UP_AFTER, T1, T2};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One request.
pub(crate) struct Request<W> {
    /// What it is for.
    pub(crate) what: W,
    /// When it should have left: where a rate is asked for, that may be before it did.
    pub(crate) intended: Instant,
    /// Whether its final answer has come.
    pub(crate) answered: bool,
    /// NOTIFYs it brings about that have not come.
    pub(crate) awaits: u32,
    flow: usize,
    bytes: Bytes,
    sent: Instant,
    again_at: Instant,
    interval: Duration,
}

/// All of them.
pub(crate) struct Requests<W> {
    /// Number of the first one.
    base: u64,
    table: VecDeque<Option<Request<W>>>,
    open: usize,
    repeats: bool,
    /// Copies sent.
    pub(crate) again: u64,
}

impl<W> Requests<W> {
    /// None yet; `repeats` where the transport loses.
    pub(crate) fn new(repeats: bool) -> Self {
        Self { base: 0, table: VecDeque::new(), open: 0, repeats, again: 0 }
    }

    /// The number the next one gets.
    pub(crate) fn next(&self) -> u64 {
        self.base + self.table.len() as u64
    }

    /// How many are under way.
    pub(crate) const fn open(&self) -> usize {
        self.open
    }

    /// Notes a request that leaves now.
    pub(crate) fn add(&mut self, what: W, flow: usize, bytes: Bytes, awaits: u32, times: (Instant, Instant)) {
        let (intended, sent) = times;
        let again_at = sent + T1;
        let interval = T1;
        let request =
            Request { what, intended, answered: false, awaits, flow, bytes, sent, again_at, interval };
        self.table.push_back(Some(request));
        self.open += 1;
    }

    /// One that is not over.
    pub(crate) fn get(&mut self, number: u64) -> Option<&mut Request<W>> {
        let at = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.table.get_mut(at)?.as_mut()
    }

    /// Ends one.
    pub(crate) fn end(&mut self, number: u64) -> Option<Request<W>> {
        let at = usize::try_from(number.checked_sub(self.base)?).ok()?;
        let request = self.table.get_mut(at)?.take()?;
        self.open -= 1;
        while matches!(self.table.front(), Some(None)) {
            self.table.pop_front();
            self.base += 1;
        }
        Some(request)
    }

    /// Sends again what is due, and returns the numbers of those that are given up.
    pub(crate) fn tick(&mut self, now: Instant, outbox: &mut Vec<(usize, Bytes)>) -> Vec<u64> {
        let mut lost = Vec::new();
        for (number, request) in (self.base..).zip(&mut self.table) {
            let Some(request) = request else { continue };
            if now.saturating_duration_since(request.sent) >= GIVEN_UP_AFTER {
                lost.push(number);
            } else if self.repeats && !request.answered && now >= request.again_at {
                request.interval = (request.interval * 2).min(T2);
                request.again_at = now + request.interval;
                self.again += 1;
                outbox.push((request.flow, request.bytes.clone()));
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_again_by_timer_e_until_it_is_answered_or_given_up() {
        let start = Instant::now();
        let mut requests = Requests::new(true);
        requests.add("first", 3, Bytes::from_static(b"1"), 0, (start, start));
        requests.add("second", 4, Bytes::from_static(b"2"), 0, (start, start));
        let mut sent = Vec::new();
        // RFC 3261 §17.1.2.2: 500 ms, then 1, 2, 4, 4, ... s after each other; given up at 32 s.
        for tick in 1..320_u32 {
            let mut outbox = Vec::new();
            assert!(requests.tick(start + tick * Duration::from_millis(100), &mut outbox).is_empty());
            sent.extend(outbox.iter().filter(|(flow, _)| *flow == 3).map(|_| tick * 100));
            if tick == 10 {
                requests.get(1).expect("open").answered = true;
            }
        }
        assert_eq!(sent, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
        assert_eq!(requests.again, 10 + 1);
        assert_eq!(requests.tick(start + GIVEN_UP_AFTER, &mut Vec::new()), [0, 1]);
        assert_eq!(requests.end(1).map(|request| request.what), Some("second"));
        assert_eq!((requests.open(), requests.next()), (1, 2));
        assert_eq!(requests.end(0).map(|request| request.what), Some("first"));
        assert!(requests.end(0).is_none() && requests.get(1).is_none());
        assert_eq!((requests.open(), requests.next()), (0, 2));
    }
}
