//! The embedded store: LMDB through heed, one database per kind of record, dense integer keys, group commit.
//!
//! In: records under tickets. Out: decisions, a commit's worth at a time. The engine thread only queues; a thread of
//! the store's own (`writer`) takes all that waits, writes it in one transaction, commits (with fsync for `power`) and
//! then delivers. What cannot be committed (map full, disk full, I/O error) is aborted whole: its tickets fail, the rows
//! on disk stay as they were and the next commit is tried as if nothing had been.

use super::changes::Changes;
use super::codec::{self, Row};
use super::directory::DataDirectory;
use super::health::Shown;
use super::tables::{How, Shared, Tables, is_broken};
use super::walk::Walker;
use super::writer::{Counters, Work, Writer};
use super::{Deliver, Journal, Loaded, Previous, StoreFault, Written, clean, rescue};
use heed::MdbError;
use lampyris_core::input::StoreError;
use lampyris_core::journal::{Key, Kind, Record, Value};
use lampyris_core::output::Ticket;
use lampyris_core::time::UnixTime;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

/// A store that is open. Loading happens on the caller's thread, commits on the store's own.
pub(crate) struct Lmdb {
    shared: Arc<Shared>,
    stale: BTreeSet<Key>,
    gathered: Changes,
    deliver: Deliver,
    writer: Option<Thread>,
    counters: Arc<Counters>,
    health: Shown,
    previous: Previous,
}

struct Thread {
    work: Sender<Work>,
    handle: JoinHandle<Result<(), StoreFault>>,
}

impl Lmdb {
    /// Opens `directory`'s store, making it if there is none; one that is damaged is set aside (`rescue`).
    ///
    /// # Errors
    /// It cannot be opened, or a newer program wrote it.
    pub(crate) fn open(
        directory: Arc<DataDirectory>,
        how: How,
        walker: Option<&Walker>,
        deliver: Deliver,
        health: Shown,
    ) -> Result<Self, StoreFault> {
        let data = directory.path().to_owned();
        let path = data.join(super::STORE);
        let mut prepared = rescue::prepare(&data, how.bytes_max, walker)?;
        let tables = match Tables::open(&path, how) {
            // Why: the walk found nothing, and LMDB does all the same; once, so that no loop can come of it.
            Err(StoreFault::Engine { cause, .. }) if prepared.rescue.is_none() && is_broken(&cause) => {
                prepared.rescue = Some(rescue::start_over(&data, how.bytes_max, cause.to_string())?);
                Tables::open(&path, how)?
            }
            other => other?,
        };
        let last_commit = tables.check_program()?;
        let clean = prepared.clean && prepared.rescue.is_none();
        let previous = Previous { clean, last_commit };
        health.set(|health| health.rescue = prepared.rescue);
        let shared = Shared::new(tables, how, directory);
        let counters = Arc::default();
        let writer = Writer::new(Arc::clone(&shared), deliver.clone(), Arc::clone(&counters), health.clone());
        let (work, receiver) = mpsc::channel();
        let handle = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run(&receiver))
            .map_err(StoreFault::Thread)?;
        Ok(Self {
            shared,
            stale: BTreeSet::new(),
            gathered: Changes::default(),
            deliver,
            writer: Some(Thread { work, handle }),
            counters,
            health,
            previous,
        })
    }

    /// How the process before left it.
    pub(crate) const fn previous(&self) -> Previous {
        self.previous
    }

    /// How it is, for whom it is shown to.
    #[cfg(test)]
    pub(crate) fn health(&self) -> Shown {
        self.health.clone()
    }

    /// The environment, for those who read beside the writer.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    fn tables(&self) -> Result<Tables, StoreFault> {
        let path = &self.shared.path;
        self.shared.tables().map_err(|cause| StoreFault::Engine { path: path.clone(), what: "opened", cause })
    }
}

impl Journal for Lmdb {
    fn load(
        &mut self,
        kind: Kind,
        now: UnixTime,
        each: &mut dyn FnMut(Key, Value),
    ) -> Result<Loaded, StoreFault> {
        let tables = self.tables()?;
        let mut loaded = Loaded::default();
        let txn = tables.env.read_txn().map_err(tables.fault("read"))?;
        for row in tables.rows(kind).iter(&txn).map_err(tables.fault("read"))? {
            let (slot, bytes) = row.map_err(tables.fault("read"))?;
            let key = Key { kind, slot };
            match codec::decode(key, bytes, now) {
                Row::Live(value) => {
                    loaded.live += 1;
                    each(key, value);
                }
                Row::Newer(found) => return Err(StoreFault::newer(found, tables.program())),
                Row::Expired => {
                    loaded.expired += 1;
                    self.stale.insert(key);
                }
                Row::Damaged => {
                    loaded.damaged += 1;
                    self.stale.insert(key);
                }
            }
        }
        self.health.set(|health| health.damaged += loaded.damaged);
        Ok(loaded)
    }

    fn submit(&mut self, ticket: Ticket, record: Record) {
        self.gathered.push(ticket, &record);
    }

    fn flush(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let changes = std::mem::take(&mut self.gathered);
        let stale = std::mem::take(&mut self.stale);
        let refused = match &self.writer {
            Some(writer) => writer.work.send(Work::Changes { changes, stale }).err().map(|refused| refused.0),
            None => Some(Work::Changes { changes, stale }),
        };
        // Why: the thread ends only in `close`, or by a bug of ours; what it can no longer store is refused.
        if let Some(Work::Changes { changes, .. }) = refused {
            tracing::error!("the store's thread is gone; nothing can be stored");
            let reason = "the store's thread is gone";
            let fail = |ticket| (ticket, Err(StoreError { reason: reason.into() }));
            (self.deliver)(changes.tickets().map(fail).collect());
        }
    }

    fn written(&self) -> Written {
        Written {
            records: self.counters.records.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
            commits: self.counters.commits.load(Ordering::Relaxed),
            latency: self.counters.latency.view(),
        }
    }

    fn close(mut self: Box<Self>) -> Result<(), StoreFault> {
        self.flush();
        let fault = |what| {
            let path = self.shared.path.clone();
            move |cause| StoreFault::Engine { path: path.clone(), what, cause }
        };
        let closed = match self.writer.take() {
            Some(Thread { work, handle }) => {
                let _ = work.send(Work::Close);
                let ended = handle.join();
                ended.unwrap_or_else(|_| Err(fault("closed")(heed::Error::Mdb(MdbError::Panic))))
            }
            None => self.tables()?.env.force_sync().map_err(fault("synced")),
        };
        self.shared.close();
        closed?;
        let path = &self.shared.path;
        clean::set(path).map_err(|cause| StoreFault::Directory { path: path.clone(), cause })
    }
}

impl Drop for Lmdb {
    fn drop(&mut self) {
        // Why: the environment must be closed and the directory's lock held until the thread has let go of both.
        if let Some(Thread { work, handle }) = self.writer.take() {
            drop(work);
            let _ = handle.join();
        }
        self.shared.close();
    }
}

#[cfg(test)]
impl Lmdb {
    /// Overwrites a row's bytes behind the codec's back.
    pub(crate) fn scribble(&self, key: Key, scribble: impl Fn(&mut Vec<u8>)) {
        let tables = self.tables().expect("open");
        let mut txn = tables.env.write_txn().expect("txn");
        let rows = tables.rows(key.kind);
        let mut row = rows.get(&txn, &key.slot).expect("get").expect("a row").to_vec();
        scribble(&mut row);
        rows.put(&mut txn, &key.slot, &row).expect("put");
        txn.commit().expect("commit");
    }

    /// How many rows of a kind the file holds, whatever is in them.
    pub(crate) fn rows_in_file(&self, kind: Kind) -> u64 {
        let tables = self.tables().expect("open");
        let txn = tables.env.read_txn().expect("txn");
        tables.rows(kind).len(&txn).expect("len")
    }
}
