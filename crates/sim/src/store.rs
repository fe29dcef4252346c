//! A store in virtual time: rows are durable when their commit is over, and a crash loses the commits that were not.
//!
//! In: records with their tickets, as the node hands them out. Out: decisions in ticket order. All records that gather
//! while one commit runs share the next one (group commit), and a commit succeeds or fails as a whole. Its disk may be
//! full, slow or refuse single records, and a crash may leave more or less behind than it should ([`Aftermath`]).

use lampyris_core::journal::{Key, Record, Value};
use lampyris_core::output::Ticket;
use lampyris_core::rng::Rng;
use lampyris_core::time::{Instant, UnixTime};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Commits that a power loss can take back where the disk was not waited for.
const UNSYNCED_MAX: usize = 4;

/// What a crash does to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aftermath {
    /// The commit under way is lost.
    Clean,
    /// The commit under way is torn: its first records are durable, and nobody was told.
    Torn,
    /// Commits that were told durable are lost: the disk was not waited for (`durability = "process"`, and no power).
    Unsynced,
    /// One row in eight cannot be read any more, and is left out.
    Damaged,
}

impl Aftermath {
    /// Whether what was acknowledged may be gone.
    pub const fn breaks_promises(self) -> bool {
        matches!(self, Self::Unsynced | Self::Damaged)
    }
}

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
    /// The disk is full until then: every commit fails.
    pub full_until: Option<Instant>,
    /// The disk is slow until then: a commit takes so much longer.
    pub slow_until: Option<(Instant, Duration)>,
    /// Records, by their number since the beginning, whose commit meets an I/O error.
    pub errors_at: BTreeSet<u64>,
    submitted: u64,
    /// The commit under way holds a record of `errors_at`.
    meets_error: bool,
    /// What the last commits replaced, the newest last.
    undo: VecDeque<Vec<(Key, Option<Value>)>>,
}

impl Store {
    /// Takes a record to be stored.
    pub(crate) fn submit(&mut self, now: Instant, ticket: Ticket, record: Record) {
        self.meets_error |= self.errors_at.remove(&self.submitted);
        self.submitted += 1;
        self.waiting.push((ticket, record));
        self.begin(now);
    }

    fn begin(&mut self, now: Instant) {
        if self.committing.is_none() && !self.waiting.is_empty() {
            let slower = self.slow_until.filter(|(until, _)| now < *until).map(|(_, slower)| slower);
            let over = now + self.commit_takes + slower.unwrap_or_default();
            self.committing = Some((over, std::mem::take(&mut self.waiting)));
            self.commits_to_fail += u32::from(std::mem::take(&mut self.meets_error));
        }
    }

    /// When the running commit is over.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.committing.as_ref().map(|(at, _)| *at)
    }

    /// Ends the running commit if it is due: its tickets, and whether they are durable.
    pub(crate) fn advance(&mut self, now: Instant) -> Option<(Vec<Ticket>, bool)> {
        let (_, batch) = self.committing.take_if(|(at, _)| *at <= now)?;
        let full = self.full_until.is_some_and(|until| now < until);
        let stored = self.commits_to_fail == 0 && !full;
        self.commits_to_fail = self.commits_to_fail.saturating_sub(1);
        let tickets = batch.iter().map(|(ticket, _)| *ticket).collect();
        if stored {
            self.apply(batch);
        }
        self.begin(now);
        Some((tickets, stored))
    }

    fn apply(&mut self, batch: Vec<(Ticket, Record)>) {
        let mut undo = Vec::new();
        for (_, record) in batch {
            let key = record.key();
            let before = match record {
                Record::Upsert(key, value) => self.rows.insert(key, value),
                Record::Delete(key) => self.rows.remove(&key),
            };
            undo.push((key, before));
        }
        self.undo.push_back(undo);
        if self.undo.len() > UNSYNCED_MAX {
            self.undo.pop_front();
        }
    }

    /// The process is gone, and what was not durable with it; the disk may have done more or less than that.
    pub(crate) fn crash(&mut self, aftermath: Aftermath, rng: &mut Rng) {
        self.waiting.clear();
        self.meets_error = false;
        let running = self.committing.take();
        match aftermath {
            Aftermath::Clean => {}
            Aftermath::Torn => {
                let mut batch = running.map_or_else(Vec::new, |(_, batch)| batch);
                let kept = rng.below(batch.len() as u64 + 1);
                batch.truncate(usize::try_from(kept).unwrap_or(0));
                self.apply(batch);
            }
            Aftermath::Unsynced => {
                for _ in 0..rng.below(UNSYNCED_MAX as u64 + 1) {
                    for (key, before) in self.undo.pop_back().into_iter().flatten().rev() {
                        match before {
                            Some(value) => self.rows.insert(key, value),
                            None => self.rows.remove(&key),
                        };
                    }
                }
            }
            Aftermath::Damaged => self.rows.retain(|_, _| rng.below(8) > 0),
        }
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
        store.crash(Aftermath::Clean, &mut Rng::new([0; 32]));
        assert_eq!((store.advance(at(9)), store.restore(UnixTime::default()).len()), (None, 1));
    }

    #[test]
    fn a_full_disk_and_an_error_at_one_record_fail_their_commits_and_no_others() {
        let mut store = Store { errors_at: [2].into(), full_until: Some(at(5)), ..Store::default() };
        for (ticket, ms, stored) in [(0, 4, false), (1, 5, true), (2, 6, false), (3, 7, true)] {
            store.submit(at(ms), Ticket(ticket), record(ticket));
            assert_eq!(store.advance(at(ms)), Some((vec![Ticket(ticket)], stored)), "{ticket}");
        }
    }

    #[test]
    fn a_torn_commit_keeps_its_first_records_and_an_unsynced_one_is_taken_back() {
        let mut kept = BTreeSet::new();
        for seed in 0..20 {
            let mut rng = Rng::new([seed; 32]);
            let mut store = Store { commit_takes: Duration::from_millis(10), ..Store::default() };
            store.submit(at(0), Ticket(0), record(0));
            store.advance(at(10));
            store.submit(at(11), Ticket(1), record(1));
            store.advance(at(21));
            for ticket in 2..5 {
                store.submit(at(30), Ticket(ticket), record(ticket));
            }
            store.advance(at(40));
            let before: Vec<_> = store.rows().map(|(key, _)| key.slot).collect();
            assert_eq!(before, [0, 1, 2], "two more wait in the next commit");
            store.crash(Aftermath::Torn, &mut rng);
            kept.insert(store.rows().count());
            let mut unsynced = store.clone();
            unsynced.crash(Aftermath::Unsynced, &mut rng);
            let left: Vec<_> = unsynced.rows().map(|(key, _)| key.slot).collect();
            assert_eq!(left, (0..left.len() as u64).collect::<Vec<_>>(), "the newest go first");
        }
        assert_eq!(kept, [3, 4, 5].into());
    }
}
