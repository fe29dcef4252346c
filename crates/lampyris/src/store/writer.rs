//! The committing thread of the embedded store.
//!
//! In: rows under tickets, in order. Out: decisions, a commit's worth at a time, in the same order. It takes all that
//! waits (up to the bounds below), writes it in one transaction, commits and delivers. A commit that fails is aborted
//! whole; only its deletes are tried again alone, since they free space. LMDB itself gives up for good where writing its
//! head failed; then the environment is closed and opened again, so that a disk that works again is used again.

use super::changes::{Change, Changes};
use super::health::{Failing, Shown};
use super::latency::Latency;
use super::tables::{META_LAST_COMMIT, Shared, words};
use super::{Decision, Deliver, StoreFault};
use crate::config::Durability;
use crate::engine::clock::wall;
use heed::{MdbError, RwTxn};
use lampyris_core::input::StoreError;
use lampyris_core::journal::Key;
use lampyris_core::output::Ticket;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Most records of one commit.
const COMMIT_RECORDS_MAX: usize = 4096;
/// Most bytes of one commit; the record that passes it is the last.
const COMMIT_BYTES_MAX: usize = 1 << 20;
/// Longest time spent gathering one commit.
const COMMIT_GATHER: Duration = Duration::from_millis(1);
/// After a commit of this many records more are on their way, and ...
const COMMIT_CROWD: usize = 8;
/// ... the next commit begins so long after that one did: a commit costs the same for one record as for fifty, and much of
/// that is CPU time, in writing pages, syncing and waking the engine.
const COMMIT_EVERY: Duration = Duration::from_millis(2);
/// How long records that nobody waits for may wait for company: a call's progress is not worth a sync of its own.
const COMMIT_PATIENCE: Duration = Duration::from_millis(50);
/// Most places of expired rows freed with one commit.
const COMMIT_STALE_MAX: usize = 512;
/// How often a store that takes nothing says so again.
const FAILING_SAID_EVERY: Duration = Duration::from_secs(30);
/// How often `process` durability syncs what it has written.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// What was written so far.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) records: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) latency: Latency,
}

/// What the thread is told.
pub(crate) enum Work {
    /// Commit these, and free the places of these stale rows by and by.
    Changes { changes: Changes, stale: BTreeSet<Key> },
    /// Commit what waits, mark the store clean, and end.
    Close,
}

/// The committing thread.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    /// Places of rows not taken back at the start, to be freed with the next commits.
    stale: BTreeSet<Key>,
    deliver: Deliver,
    counters: Arc<Counters>,
    health: Shown,
    last_sync: Instant,
    unsynced: bool,
    /// Whether the store says by whom it is written.
    signed: bool,
    /// When it was last said that nothing can be stored.
    failing_said: Option<Instant>,
    /// When the last commit began, where more is to be expected.
    crowded_since: Option<Instant>,
}

impl Writer {
    /// One for the store that `shared` is.
    pub(crate) fn new(shared: Arc<Shared>, deliver: Deliver, counters: Arc<Counters>, health: Shown) -> Self {
        Self {
            shared,
            stale: BTreeSet::new(),
            deliver,
            counters,
            health,
            last_sync: Instant::now(),
            unsynced: false,
            signed: false,
            failing_said: None,
            crowded_since: None,
        }
    }

    /// Runs until `Close`, or until the other end is gone.
    pub(crate) fn run(mut self, work: &Receiver<Work>) -> Result<(), StoreFault> {
        loop {
            let first = if self.unsynced {
                work.recv_timeout(SYNC_EVERY)
            } else {
                work.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match first {
                Ok(Work::Changes { changes, stale }) => {
                    self.stale.extend(stale);
                    if self.gather(changes, work) {
                        return self.sync();
                    }
                }
                Ok(Work::Close) => return self.sync(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.sync_if_due();
        }
    }

    /// Commits `first` and all that waits behind it; returns whether the store is to close.
    fn gather(&mut self, first: Changes, work: &Receiver<Work>) -> bool {
        let arrived = Instant::now();
        if let Some(wait) = self.crowded_since.and_then(|began| COMMIT_EVERY.checked_sub(began.elapsed())) {
            std::thread::sleep(wait);
        }
        let since = Instant::now();
        let mut close = false;
        let (mut count, mut patient) = (first.len(), first.is_patient());
        let mut all = vec![first];
        while count < COMMIT_RECORDS_MAX {
            let wait = if patient { COMMIT_PATIENCE.checked_sub(since.elapsed()) } else { None };
            let more = match wait {
                Some(wait) => work.recv_timeout(wait).ok(),
                None if since.elapsed() < COMMIT_GATHER => work.try_recv().ok(),
                None => None,
            };
            match more {
                Some(Work::Changes { changes, stale }) => {
                    patient &= changes.is_patient();
                    count += changes.len();
                    all.push(changes);
                    self.stale.extend(stale);
                }
                Some(Work::Close) => {
                    close = true;
                    break;
                }
                None => break,
            }
        }
        self.crowded_since = (count >= COMMIT_CROWD).then_some(since);
        let mut rows: Vec<(Ticket, Change<'_>)> = Vec::with_capacity(count.min(COMMIT_RECORDS_MAX));
        let mut bytes = 0;
        for (ticket, change) in all.iter().flat_map(Changes::iter) {
            bytes += change.bytes();
            rows.push((ticket, change));
            if rows.len() >= COMMIT_RECORDS_MAX || bytes >= COMMIT_BYTES_MAX {
                self.commit(&rows, arrived);
                rows.clear();
                bytes = 0;
            }
        }
        if !rows.is_empty() {
            self.commit(&rows, arrived);
        }
        close
    }

    /// One transaction of records the first of which `arrived` then, and its decisions.
    fn commit(&mut self, rows: &[(Ticket, Change<'_>)], arrived: Instant) {
        let outcome = match self.write(rows, false) {
            // Why: what frees space must not fail for want of it; deletes need but a few pages.
            Err(reason) if rows.iter().any(|(_, change)| matches!(change, Change::Delete(_))) => {
                match self.write(rows, true) {
                    Ok(()) => Outcome::DeletesOnly(reason),
                    Err(reason) => Outcome::Failed(reason),
                }
            }
            Err(reason) => Outcome::Failed(reason),
            Ok(()) => Outcome::Stored,
        };
        let decisions: Vec<Decision> =
            rows.iter().map(|(ticket, change)| (*ticket, outcome.of(change))).collect();
        let failed = decisions.iter().filter(|(_, result)| result.is_err()).count() as u64;
        self.say(&outcome, failed);
        self.counters.latency.observe(arrived.elapsed());
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.counters.failed.fetch_add(failed, Ordering::Relaxed);
        self.counters.records.fetch_add((decisions.len() as u64).saturating_sub(failed), Ordering::Relaxed);
        (self.deliver)(decisions);
    }

    /// Says when nothing can be stored, every now and then while that lasts, and when it is over.
    fn say(&mut self, outcome: &Outcome, failed: u64) {
        let (Outcome::Failed(reason) | Outcome::DeletesOnly(reason)) = outcome else {
            if self.failing_said.take().is_some() {
                let mut refused = 0;
                self.health.set(|health| {
                    refused = health.failing.take().map_or(0, |failing| failing.refused);
                });
                tracing::warn!(refused, "the store takes records again");
            }
            return;
        };
        let mut refused = 0;
        self.health.set(|health| {
            let since_ms = wall().as_millis();
            let failing = Failing { since_ms, reason: String::new(), refused: 0 };
            let failing = health.failing.get_or_insert(failing);
            failing.reason.clone_from(reason);
            failing.refused += failed;
            refused = failing.refused;
        });
        if self.failing_said.is_none_or(|said| said.elapsed() >= FAILING_SAID_EVERY) {
            self.failing_said = Some(Instant::now());
            tracing::error!(reason, refused, "records cannot be stored; their requests are refused (503)");
        }
    }

    fn write(&mut self, rows: &[(Ticket, Change<'_>)], deletes_only: bool) -> Result<(), String> {
        let bytes_max = self.shared.how.bytes_max;
        let words = |cause: heed::Error| words(&cause, bytes_max);
        match self.try_write(rows, deletes_only) {
            Err(heed::Error::Mdb(MdbError::Panic)) => {
                // LMDB has given up on the environment (an earlier commit could not write its head).
                self.shared.give_up();
                self.try_write(rows, deletes_only).map_err(words)
            }
            other => other.map_err(words),
        }
    }

    fn try_write(&mut self, rows: &[(Ticket, Change<'_>)], deletes_only: bool) -> Result<(), heed::Error> {
        let tables = self.shared.tables()?;
        let mut txn: RwTxn<'_> = tables.env.write_txn()?;
        for (_, change) in rows {
            match change {
                Change::Put(key, row) if !deletes_only => {
                    tables.rows(key.kind).put(&mut txn, &key.slot, row)?;
                }
                Change::Delete(key) => {
                    tables.rows(key.kind).delete(&mut txn, &key.slot)?;
                }
                Change::Put(..) | Change::Unencodable(_) => {}
            }
        }
        // Invariant: a place in `stale` has not been written since the start, so freeing it loses nothing.
        for (_, change) in rows {
            if let Change::Put(key, _) | Change::Delete(key) = change {
                self.stale.remove(key);
            }
        }
        let freed: Vec<Key> = self.stale.iter().copied().take(COMMIT_STALE_MAX).collect();
        for key in &freed {
            tables.rows(key.kind).delete(&mut txn, &key.slot)?;
        }
        tables.meta.put(&mut txn, META_LAST_COMMIT, &wall().as_millis())?;
        if !self.signed {
            tables.sign(&mut txn)?;
        }
        #[cfg(test)]
        if let Some(fault) = self.shared.injected.lock().expect("not poisoned").take() {
            return Err(fault());
        }
        txn.commit()?;
        self.signed = true;
        for key in &freed {
            self.stale.remove(key);
        }
        self.unsynced = self.shared.how.durability == Durability::Process;
        Ok(())
    }

    /// Makes all that was committed survive a power failure.
    fn sync(&self) -> Result<(), StoreFault> {
        let fault = |cause| StoreFault::Engine { path: self.shared.path.clone(), what: "synced", cause };
        self.shared.tables().and_then(|tables| tables.env.force_sync()).map_err(fault)
    }

    fn sync_if_due(&mut self) {
        if self.unsynced && self.last_sync.elapsed() >= SYNC_EVERY {
            self.last_sync = Instant::now();
            self.unsynced = false;
            if let Err(cause) = self.sync() {
                tracing::error!(%cause, "the store cannot be synced");
            }
        }
    }
}

/// What became of a commit.
enum Outcome {
    Stored,
    DeletesOnly(String),
    Failed(String),
}

impl Outcome {
    fn of(&self, change: &Change<'_>) -> Result<(), StoreError> {
        match (self, change) {
            (_, Change::Unencodable(reason)) => Err(StoreError { reason: (*reason).to_owned() }),
            (Self::Stored, _) | (Self::DeletesOnly(_), Change::Delete(_)) => Ok(()),
            (Self::Failed(reason) | Self::DeletesOnly(reason), _) => {
                Err(StoreError { reason: reason.clone() })
            }
        }
    }
}
