//! A store in virtual time: rows are durable when their commit is over, and a crash loses the commits that were not.
//!
//! In: records with their tickets, as the node hands them out. Out: decisions in ticket order. All records that gather
//! while one commit runs share the next one (group commit), and a commit succeeds or fails as a whole.

use lampyris_core::journal::{Key, Record, Value};
use lampyris_core::output::Ticket;
use lampyris_core::time::{Instant, UnixTime};
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows, and those on their way.
#[derive(Clone, Debug, Default)]
pub struct Store {
    rows: BTreeMap<Key, Value>,
    waiting: Vec<(Ticket, Record)>,
    committing: Option<(Instant, Vec<(Ticket, Record)>)>,
    /// How long a commit takes.
    pub commit_takes: Duration,
    /// How many of the next commits fail.
    pub commits_to_fail: u32,
}

impl Store {
    /// Takes a record to be stored.
    pub(crate) fn submit(&mut self, now: Instant, ticket: Ticket, record: Record) {
        self.waiting.push((ticket, record));
        self.begin(now);
    }

    fn begin(&mut self, now: Instant) {
        if self.committing.is_none() && !self.waiting.is_empty() {
            self.committing = Some((now + self.commit_takes, std::mem::take(&mut self.waiting)));
        }
    }

    /// When the running commit is over.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.committing.as_ref().map(|(at, _)| *at)
    }

    /// Ends the running commit if it is due: its tickets, and whether they are durable.
    pub(crate) fn advance(&mut self, now: Instant) -> Option<(Vec<Ticket>, bool)> {
        let (_, batch) = self.committing.take_if(|(at, _)| *at <= now)?;
        let stored = self.commits_to_fail == 0;
        self.commits_to_fail = self.commits_to_fail.saturating_sub(1);
        let tickets = batch.iter().map(|(ticket, _)| *ticket).collect();
        if stored {
            for (_, record) in batch {
                match record {
                    Record::Upsert(key, value) => {
                        self.rows.insert(key, value);
                    }
                    Record::Delete(key) => {
                        self.rows.remove(&key);
                    }
                }
            }
        }
        self.begin(now);
        Some((tickets, stored))
    }

    /// The process is gone, and what was not durable with it.
    pub(crate) fn crash(&mut self) {
        self.waiting.clear();
        self.committing = None;
    }

    /// Rows to restore, in the order the node wants them, without those that have expired; they are deleted.
    pub(crate) fn restore(&mut self, now: UnixTime) -> Vec<(Key, Value)> {
        self.rows.retain(|_, value| value.expires_at().is_none_or(|at| at > now));
        let of_kind = |kind| self.rows.iter().filter(move |(key, _)| key.kind == kind);
        let rows = lampyris_core::journal::Kind::ALL.into_iter().flat_map(of_kind);
        rows.map(|(key, value)| (*key, value.clone())).collect()
    }

    /// Rows that are durable.
    pub fn rows(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.rows.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lampyris_core::journal::{Counts, Kind, MailboxRecord};

    fn record(slot: u64) -> Record {
        let value = MailboxRecord { mailbox: format!("{slot}@default"), counts: Counts::default() };
        Record::Upsert(Key { kind: Kind::Mailbox, slot }, Value::Mailbox(value))
    }

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    #[test]
    fn what_gathers_during_a_commit_shares_the_next_one() {
        let mut store = Store { commit_takes: Duration::from_millis(10), ..Store::default() };
        for (ticket, ms) in [(0, 0), (1, 2), (2, 3)] {
            store.submit(at(ms), Ticket(ticket), record(ticket));
        }
        assert_eq!(store.advance(at(9)), None);
        assert_eq!(store.advance(at(10)), Some((vec![Ticket(0)], true)));
        assert_eq!((store.rows().count(), store.next()), (1, Some(at(20))));
        assert_eq!(store.advance(at(20)), Some((vec![Ticket(1), Ticket(2)], true)));
        assert_eq!((store.rows().count(), store.next()), (3, None));
    }

    #[test]
    fn a_crash_keeps_what_is_durable_and_a_failed_commit_changes_nothing() {
        let mut store = Store { commits_to_fail: 1, ..Store::default() };
        store.submit(at(0), Ticket(0), record(0));
        assert_eq!(store.advance(at(0)), Some((vec![Ticket(0)], false)));
        store.submit(at(1), Ticket(1), record(1));
        assert_eq!(store.advance(at(1)), Some((vec![Ticket(1)], true)));
        store.submit(at(2), Ticket(2), record(2));
        store.crash();
        assert_eq!((store.advance(at(9)), store.restore(UnixTime::default()).len()), (None, 1));
    }
}
