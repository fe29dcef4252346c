//! The embedded store: LMDB through heed, one database per kind of record, dense integer keys, group commit.
//!
//! In: records under tickets. Out: decisions, a commit's worth at a time. The engine thread only queues; a thread of
//! the store's own takes all that waits, writes it in one transaction, commits (with fsync for `power`) and then
//! delivers. What cannot be committed (map full, disk full, I/O error) is aborted whole: its tickets fail, the rows on
//! disk stay as they were and the next commit is tried as if nothing had been.
//!
//! No MDB_WRITEMAP: a stray write must not reach the file. The map is reserved once and never resized.

use super::codec::{self, Row};
use super::directory::DataDirectory;
use super::writer::{Counters, Work, Writer};
use super::{Deliver, Journal, Loaded, Previous, StoreFault, Written};
use crate::config::Durability;
use crate::engine::clock::wall;
use heed::types::{Bytes, Str, U64};
use heed::{Database, Env, EnvFlags, EnvOpenOptions, IntegerComparator, MdbError, RwTxn, WithoutTls};
use lampyris_core::input::StoreError;
use lampyris_core::journal::{Key, Kind, Record, Value};
use lampyris_core::output::Ticket;
use lampyris_core::time::UnixTime;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Instant;

const META: &str = "meta";
const META_CLEAN: &str = "clean";
pub(crate) const META_LAST_COMMIT: &str = "last_commit_ms";

type Rows = Database<U64<heed::byteorder::NativeEndian>, Bytes, IntegerComparator>;
type Meta = Database<Str, U64<heed::byteorder::LittleEndian>>;

/// A store that is open. Loading happens on the caller's thread, commits on the store's own.
pub(crate) struct Lmdb {
    tables: Tables,
    stale: BTreeSet<Key>,
    gathered: Vec<(Ticket, Record)>,
    deliver: Deliver,
    writer: Option<Thread>,
    counters: Arc<Counters>,
    previous: Previous,
    _directory: Arc<DataDirectory>,
}

struct Thread {
    work: Sender<Work>,
    handle: JoinHandle<Result<(), StoreFault>>,
}

/// The open environment and its databases.
#[derive(Clone)]
pub(crate) struct Tables {
    pub(crate) env: Env<WithoutTls>,
    rows: [(Kind, Rows); Kind::ALL.len()],
    pub(crate) meta: Meta,
    path: PathBuf,
}

impl Lmdb {
    /// Opens `directory`'s store, making it if there is none.
    ///
    /// # Errors
    /// It cannot be opened. With `process` durability a store that a power failure has broken is set aside instead, and
    /// a new one begun.
    pub(crate) fn open(
        directory: Arc<DataDirectory>,
        durability: Durability,
        bytes_max: u64,
        deliver: Deliver,
    ) -> Result<Self, StoreFault> {
        let path = directory.path().join("store");
        let opened = open_tables(&path, durability, bytes_max).and_then(|(tables, previous)| {
            if durability == Durability::Process && !previous.clean {
                tables.read_through()?;
            }
            Ok((tables, previous))
        });
        let (tables, previous) = match opened {
            Err(StoreFault::Engine { cause, .. })
                if durability == Durability::Process && is_broken(&cause) =>
            {
                let aside = path.with_file_name(format!("store.broken-{}", wall().as_millis()));
                tracing::error!(
                    store = %path.display(), aside = %aside.display(), cause = %cause,
                    "the store is broken (durability = \"process\" does not survive a power failure): \
                     it is set aside and an empty one begun; phones have to register and subscribe again"
                );
                std::fs::rename(&path, &aside)
                    .map_err(|cause| StoreFault::Directory { path: path.clone(), cause })?;
                let (tables, _) = open_tables(&path, durability, bytes_max)?;
                (tables, Previous { clean: false, last_commit: None })
            }
            other => other?,
        };
        let counters = Arc::default();
        let writer = Writer {
            tables: tables.clone(),
            stale: BTreeSet::new(),
            deliver: deliver.clone(),
            counters: Arc::clone(&counters),
            durability,
            last_sync: Instant::now(),
            unsynced: false,
        };
        let (work, receiver) = mpsc::channel();
        let handle = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run(&receiver))
            .map_err(StoreFault::Thread)?;
        Ok(Self {
            tables,
            stale: BTreeSet::new(),
            gathered: Vec::new(),
            deliver,
            writer: Some(Thread { work, handle }),
            counters,
            previous,
            _directory: directory,
        })
    }

    /// How the process before left it.
    pub(crate) const fn previous(&self) -> Previous {
        self.previous
    }
}

impl Journal for Lmdb {
    fn load(
        &mut self,
        kind: Kind,
        now: UnixTime,
        each: &mut dyn FnMut(Key, Value),
    ) -> Result<Loaded, StoreFault> {
        let tables = &self.tables;
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
                Row::Newer(found) => return Err(StoreFault::Newer { found, known: codec::SCHEMA }),
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
        Ok(loaded)
    }

    fn submit(&mut self, ticket: Ticket, record: Record) {
        self.gathered.push((ticket, record));
    }

    fn flush(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.gathered);
        let stale = std::mem::take(&mut self.stale);
        let refused = match &self.writer {
            Some(writer) => writer.work.send(Work::Records { records, stale }).err().map(|refused| refused.0),
            None => Some(Work::Records { records, stale }),
        };
        // Why: the thread ends only in `close`, or by a bug of ours; what it can no longer store is refused.
        if let Some(Work::Records { records, .. }) = refused {
            tracing::error!("the store's thread is gone; nothing can be stored");
            let reason = "the store's thread is gone";
            let fail = |(ticket, _)| (ticket, Err(StoreError { reason: reason.into() }));
            (self.deliver)(records.into_iter().map(fail).collect());
        }
    }

    fn written(&self) -> Written {
        Written {
            records: self.counters.records.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
            commits: self.counters.commits.load(Ordering::Relaxed),
        }
    }

    fn close(mut self: Box<Self>) -> Result<(), StoreFault> {
        self.flush();
        let Some(Thread { work, handle }) = self.writer.take() else {
            return self.tables.mark_clean();
        };
        let _ = work.send(Work::Close);
        handle.join().unwrap_or_else(|_| Err(self.tables.fault("closed")(heed::Error::Mdb(MdbError::Panic))))
    }
}

impl Drop for Lmdb {
    fn drop(&mut self) {
        // Why: the environment must be closed and the directory's lock held until the thread has let go of both.
        if let Some(Thread { work, handle }) = self.writer.take() {
            drop(work);
            let _ = handle.join();
        }
    }
}

impl Tables {
    pub(crate) fn rows(&self, kind: Kind) -> &Rows {
        // Invariant: `rows` holds every kind of `Kind::ALL`, which is all there are.
        let at = self.rows.iter().position(|(k, _)| *k == kind).unwrap_or_default();
        &self.rows[at].1
    }

    fn fault(&self, what: &'static str) -> impl Fn(heed::Error) -> StoreFault + use<> {
        let path = self.path.clone();
        move |cause| StoreFault::Engine { path: path.clone(), what, cause }
    }

    /// Touches every row, so that a page a power failure has torn is met now and not in service.
    fn read_through(&self) -> Result<(), StoreFault> {
        let txn = self.env.read_txn().map_err(self.fault("read"))?;
        for (_, rows) in &self.rows {
            for row in rows.iter(&txn).map_err(self.fault("read"))? {
                row.map_err(self.fault("read"))?;
            }
        }
        Ok(())
    }

    pub(crate) fn mark_clean(&self) -> Result<(), StoreFault> {
        let mut txn = self.env.write_txn().map_err(self.fault("closed"))?;
        self.meta.put(&mut txn, META_CLEAN, &1).map_err(self.fault("closed"))?;
        txn.commit().map_err(self.fault("closed"))?;
        self.env.force_sync().map_err(self.fault("synced"))
    }
}

fn open_tables(
    path: &Path,
    durability: Durability,
    bytes_max: u64,
) -> Result<(Tables, Previous), StoreFault> {
    let fault = |what| {
        let path = path.to_owned();
        move |cause| StoreFault::Engine { path: path.clone(), what, cause }
    };
    std::fs::create_dir_all(path).map_err(|cause| StoreFault::Directory { path: path.to_owned(), cause })?;
    let env = open_env(path, durability, bytes_max).map_err(fault("opened"))?;
    let mut txn = env.write_txn().map_err(fault("written"))?;
    let meta: Meta = env.create_database(&mut txn, Some(META)).map_err(fault("written"))?;
    let rows = |txn: &mut RwTxn<'_>, kind| {
        env.database_options()
            .types::<U64<heed::byteorder::NativeEndian>, Bytes>()
            .key_comparator::<IntegerComparator>()
            .name(name(kind))
            .create(txn)
            .map(|rows| (kind, rows))
            .map_err(fault("written"))
    };
    let rows = [
        rows(&mut txn, Kind::Rules)?,
        rows(&mut txn, Kind::Device)?,
        rows(&mut txn, Kind::Mailbox)?,
        rows(&mut txn, Kind::Features)?,
        rows(&mut txn, Kind::Status)?,
        rows(&mut txn, Kind::Bindings)?,
        rows(&mut txn, Kind::Call)?,
        rows(&mut txn, Kind::Publication)?,
        rows(&mut txn, Kind::Resource)?,
        rows(&mut txn, Kind::Subscription)?,
    ];
    let read = |txn: &RwTxn<'_>, key| meta.get(txn, key).map_err(fault("read"));
    let previous = Previous {
        clean: read(&txn, META_CLEAN)? != Some(0),
        last_commit: read(&txn, META_LAST_COMMIT)?.map(UnixTime::from_millis),
    };
    meta.put(&mut txn, META_CLEAN, &0).map_err(fault("written"))?;
    txn.commit().map_err(fault("written"))?;
    Ok((Tables { env, rows, meta, path: path.to_owned() }, previous))
}

#[allow(unsafe_code)]
fn open_env(path: &Path, durability: Durability, bytes_max: u64) -> Result<Env<WithoutTls>, heed::Error> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    let page = 4096;
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX - page) / page * page;
    options.map_size(bytes_max).max_dbs(16);
    if durability == Durability::Process {
        // SAFETY: NO_SYNC only weakens what survives a power failure, which is what `process` says.
        unsafe { options.flags(EnvFlags::NO_SYNC) };
    }
    // SAFETY: the file is ours alone: `DataDirectory` holds the lock, and no other code opens files in it.
    unsafe { options.open(path) }
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Device => "device",
        Kind::Mailbox => "mailbox",
        Kind::Features => "features",
        Kind::Status => "status",
        Kind::Rules => "rules",
        Kind::Bindings => "bindings",
        Kind::Publication => "publication",
        Kind::Resource => "resource",
        Kind::Call => "call",
        Kind::Subscription => "subscription",
    }
}

/// Whether the file itself is at fault, rather than the disk, the address space or the permissions.
const fn is_broken(cause: &heed::Error) -> bool {
    matches!(
        cause,
        heed::Error::Mdb(
            MdbError::Invalid
                | MdbError::Corrupted
                | MdbError::PageNotFound
                | MdbError::VersionMismatch
                | MdbError::Panic
                | MdbError::Incompatible
        )
    )
}

#[cfg(test)]
impl Lmdb {
    /// Overwrites a row's bytes behind the codec's back.
    pub(crate) fn scribble(&self, key: Key, scribble: impl Fn(&mut Vec<u8>)) {
        let mut txn = self.tables.env.write_txn().expect("txn");
        let rows = self.tables.rows(key.kind);
        let mut row = rows.get(&txn, &key.slot).expect("get").expect("a row").to_vec();
        scribble(&mut row);
        rows.put(&mut txn, &key.slot, &row).expect("put");
        txn.commit().expect("commit");
    }

    /// How many rows of a kind the file holds, whatever is in them.
    pub(crate) fn rows_in_file(&self, kind: Kind) -> u64 {
        let txn = self.tables.env.read_txn().expect("txn");
        self.tables.rows(kind).len(&txn).expect("len")
    }
}
