//! The LMDB environment and its databases: how they are opened, and opened again after the disk has failed.
//!
//! No MDB_WRITEMAP: a stray write must not reach the file. The map is reserved once and never resized. An environment
//! that is there already is opened without writing, so that a full disk does not keep a server from starting.

use super::StoreFault;
use super::codec::SCHEMA;
use super::directory::DataDirectory;
use super::kinds;
use crate::config::Durability;
use heed::types::{Bytes, Str, U64};
use heed::{Database, Env, EnvFlags, EnvOpenOptions, IntegerComparator, MdbError, RwTxn, WithoutTls};
use lampyris_core::journal::Kind;
use lampyris_core::time::UnixTime;
use std::fs::OpenOptions;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// LMDB's file in the store's directory.
pub(crate) const DATA_FILE: &str = "data.mdb";
const LOCK_FILE: &str = "lock.mdb";
/// What LMDB's lock file takes with its usual number of readers.
const LOCK_BYTES: i64 = 8192;

const META: &str = "meta";
pub(crate) const META_LAST_COMMIT: &str = "last_commit_ms";
const META_SCHEMA: &str = "schema";
const META_PROGRAM: &str = "program";

type Rows = Database<U64<heed::byteorder::NativeEndian>, Bytes, IntegerComparator>;
type Meta = Database<Str, U64<heed::byteorder::LittleEndian>>;

/// How an environment is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) durability: Durability,
    /// Most bytes it may grow to: address space that is reserved.
    pub(crate) bytes_max: u64,
}

/// The open environment and its databases.
#[derive(Clone)]
pub(crate) struct Tables {
    pub(crate) env: Env<WithoutTls>,
    rows: [(Kind, Rows); Kind::ALL.len()],
    pub(crate) meta: Meta,
    path: PathBuf,
}

impl Tables {
    /// Opens the environment in the directory `path`, making it if there is none.
    pub(crate) fn open(path: &Path, how: How) -> Result<Self, StoreFault> {
        let fault = |what| engine_fault(path, what);
        let directory = |cause| StoreFault::Directory { path: path.to_owned(), cause };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(directory)?;
        allocate_lock(path).map_err(directory)?;
        let flags = match how.durability {
            Durability::Process => EnvFlags::NO_SYNC,
            Durability::Power | Durability::Memory => EnvFlags::empty(),
        };
        let env = open_env(path, flags, how.bytes_max).map_err(fault("opened"))?;
        if let Some(tables) = Self::existing(&env, path).map_err(fault("read"))? {
            return Ok(tables);
        }
        let mut txn = env.write_txn().map_err(fault("written"))?;
        let meta: Meta = env.create_database(&mut txn, Some(META)).map_err(fault("written"))?;
        for kind in Kind::ALL {
            env.database_options()
                .types::<U64<heed::byteorder::NativeEndian>, Bytes>()
                .key_comparator::<IntegerComparator>()
                .name(kinds::name(kind))
                .create(&mut txn)
                .map_err(fault("written"))?;
        }
        let _ = meta;
        txn.commit().map_err(fault("written"))?;
        Self::existing(&env, path)
            .map_err(fault("read"))?
            .ok_or_else(|| fault("read")(heed::Error::Mdb(MdbError::NotFound)))
    }

    /// The databases of an environment, if it has them all.
    fn existing(env: &Env<WithoutTls>, path: &Path) -> Result<Option<Self>, heed::Error> {
        let txn = env.read_txn()?;
        let mut rows = Vec::with_capacity(Kind::ALL.len());
        for kind in Kind::ALL {
            let found = env
                .database_options()
                .types::<U64<heed::byteorder::NativeEndian>, Bytes>()
                .key_comparator::<IntegerComparator>()
                .name(kinds::name(kind))
                .open(&txn)?;
            rows.extend(found.map(|found| (kind, found)));
        }
        let meta = env.open_database(&txn, Some(META))?;
        // Why: LMDB forgets databases that were opened in a transaction which was not committed.
        txn.commit()?;
        let (Ok(rows), Some(meta)) = (rows.try_into(), meta) else { return Ok(None) };
        Ok(Some(Self { env: env.clone(), rows, meta, path: path.to_owned() }))
    }

    pub(crate) fn rows(&self, kind: Kind) -> &Rows {
        // Invariant: `rows` holds every kind of `Kind::ALL`, which is all there are.
        let at = self.rows.iter().position(|(k, _)| *k == kind).unwrap_or_default();
        &self.rows[at].1
    }

    /// What LMDB says of something that cannot be done with this store.
    pub(crate) fn fault(&self, what: &'static str) -> impl Fn(heed::Error) -> StoreFault + use<> {
        engine_fault(&self.path, what)
    }

    /// Refuses a store that a newer program wrote; else says when its last commit was made.
    pub(crate) fn check_program(&self) -> Result<Option<UnixTime>, StoreFault> {
        let fault = self.fault("read");
        let txn = self.env.read_txn().map_err(&fault)?;
        let get = |key| self.meta.get(&txn, key).map_err(&fault);
        match get(META_SCHEMA)?.and_then(|found| u8::try_from(found).ok()) {
            Some(found) if found > SCHEMA => Err(StoreFault::newer(found, get(META_PROGRAM)?.map(Program))),
            _ => Ok(get(META_LAST_COMMIT)?.map(UnixTime::from_millis)),
        }
    }

    /// Who wrote the store last, for messages.
    pub(crate) fn program(&self) -> Option<Program> {
        let txn = self.env.read_txn().ok()?;
        self.meta.get(&txn, META_PROGRAM).ok().flatten().map(Program)
    }

    /// Notes in the store that this program writes it.
    pub(crate) fn sign(&self, txn: &mut RwTxn<'_>) -> Result<(), heed::Error> {
        self.meta.put(txn, META_SCHEMA, &u64::from(SCHEMA))?;
        self.meta.put(txn, META_PROGRAM, &Program::own().0)
    }

    /// Reads every row of the environment in the directory `path`, which nobody uses, through LMDB.
    pub(crate) fn read_through(path: &Path) -> Result<(), StoreFault> {
        let fault = |what| engine_fault(path, what);
        let bytes = std::fs::metadata(path.join(DATA_FILE))
            .map_err(|cause| StoreFault::Directory { path: path.to_owned(), cause })?
            .len();
        let env = open_env(path, EnvFlags::READ_ONLY | EnvFlags::NO_LOCK, bytes).map_err(fault("opened"))?;
        let Some(tables) = Self::existing(&env, path).map_err(fault("read"))? else { return Ok(()) };
        let txn = env.read_txn().map_err(fault("read"))?;
        for (_, rows) in &tables.rows {
            for row in rows.iter(&txn).map_err(fault("read"))? {
                row.map_err(fault("read"))?;
            }
        }
        Ok(())
    }
}

/// A version of this program, as `major.minor.patch` in 16 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Program(pub(crate) u64);

impl Program {
    /// This one.
    pub(crate) fn own() -> Self {
        let part = |text: &str| text.parse::<u16>().map_or(0, u64::from);
        Self(
            part(env!("CARGO_PKG_VERSION_MAJOR")) << 32
                | part(env!("CARGO_PKG_VERSION_MINOR")) << 16
                | part(env!("CARGO_PKG_VERSION_PATCH")),
        )
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0 >> 32 & 0xffff, self.0 >> 16 & 0xffff, self.0 & 0xffff)
    }
}

fn engine_fault(path: &Path, what: &'static str) -> impl Fn(heed::Error) -> StoreFault + use<> {
    let path = path.to_owned();
    move |cause| StoreFault::Engine { path: path.clone(), what, cause }
}

/// LMDB maps its lock file and writes to it: on a full disk that would be a SIGBUS, so its room is taken here.
fn allocate_lock(path: &Path) -> std::io::Result<()> {
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK_FILE))?;
    Ok(nix::fcntl::posix_fallocate(&file, 0, LOCK_BYTES)?)
}

#[allow(unsafe_code)]
fn open_env(path: &Path, flags: EnvFlags, bytes_max: u64) -> Result<Env<WithoutTls>, heed::Error> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    let page = 4096;
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX - page) / page * page;
    options.map_size(bytes_max).max_dbs(16);
    // SAFETY: NO_SYNC only weakens what survives a power failure, which is what `process` says; READ_ONLY with NO_LOCK is
    // for a file that nobody uses, which the holder of the directory's lock sees to.
    unsafe { options.flags(flags) };
    // SAFETY: the file is ours alone: `DataDirectory` holds the lock, and what maps it was walked before (`walk`).
    unsafe { options.open(path) }
}

/// Whether the file itself is at fault, rather than the disk, the address space or the permissions.
pub(crate) const fn is_broken(cause: &heed::Error) -> bool {
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

/// A failure in words that say what to do, where something can be done.
pub(crate) fn words(cause: &heed::Error, bytes_max: u64) -> String {
    match cause {
        heed::Error::Mdb(MdbError::MapFull) => {
            format!("the store has reached `store_bytes_max` ({bytes_max} bytes); raise it")
        }
        heed::Error::Io(cause) if cause.raw_os_error() == Some(nix::errno::Errno::ENOSPC as i32) => {
            format!("the disk is full ({cause}); make room on it")
        }
        heed::Error::Io(cause) if cause.raw_os_error() == Some(nix::errno::Errno::EROFS as i32) => {
            format!(
                "the file system has become read-only ({cause}); look at the system's log, mount it writable"
            )
        }
        other => other.to_string(),
    }
}

/// The one environment of a store, for its writer and those who read beside it.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) how: How,
    slot: Mutex<Option<Tables>>,
    closing: AtomicBool,
    _directory: Arc<DataDirectory>,
    /// The next commit fails like this.
    #[cfg(test)]
    pub(crate) injected: Mutex<Option<fn() -> heed::Error>>,
}

impl Shared {
    pub(crate) fn new(tables: Tables, how: How, directory: Arc<DataDirectory>) -> Arc<Self> {
        Arc::new(Self {
            path: tables.path.clone(),
            how,
            slot: Mutex::new(Some(tables)),
            closing: AtomicBool::new(false),
            _directory: directory,
            #[cfg(test)]
            injected: Mutex::new(None),
        })
    }

    fn slot(&self) -> MutexGuard<'_, Option<Tables>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The environment, opened again if it had to be given up.
    pub(crate) fn tables(&self) -> Result<Tables, heed::Error> {
        let mut slot = self.slot();
        if let Some(tables) = &*slot {
            return Ok(tables.clone());
        }
        // Why: a backup that was about to begin must not open again what the server has closed.
        if self.is_closing() {
            return Err(heed::Error::Io(std::io::Error::other("it is closed")));
        }
        let tables = Tables::open(&self.path, self.how).map_err(|fault| match fault {
            StoreFault::Engine { cause, .. } => cause,
            other => heed::Error::Io(std::io::Error::other(other.to_string())),
        })?;
        tracing::warn!(store = %self.path.display(), "the store was opened again");
        Ok(slot.insert(tables).clone())
    }

    /// Gives the environment up, so that it is opened again when it is wanted next.
    pub(crate) fn give_up(&self) {
        *self.slot() = None;
    }

    /// Asks those who read beside the writer to end.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.give_up();
    }

    /// Whether readers have to end.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}
