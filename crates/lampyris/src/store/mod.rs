//! The store: `journal::Record`s made durable behind `Output::Persist`, and read once at start.
//!
//! In: records under tickets, from the engine thread. Out: decisions (durable, or why not) in ticket order, through the
//! closure given at open. Memory is authoritative while the server runs, so nothing here is ever read again. It does
//! not know what a record means beyond its key and expiry. A second backend (local store plus a replicated journal)
//! will stand behind the same trait.

pub mod backup;
mod changes;
pub mod check;
pub(crate) mod clean;
pub(crate) mod codec;
#[cfg(test)]
mod damage_tests;
pub(crate) mod directory;
#[doc(hidden)]
pub mod fuzzing;
pub mod health;
pub(crate) mod kinds;
pub(crate) mod latency;
pub(crate) mod lmdb;
pub(crate) mod memory;
pub mod offline;
mod older;
pub(crate) mod rescue;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod shelf;
pub(crate) mod structure;
pub(crate) mod tables;
#[cfg(test)]
pub(crate) mod tests;
pub mod walk;
mod writer;

use crate::config::Durability;
use lampyris_core::input::StoreError;
use lampyris_core::journal::{Key, Kind, Record, Value};
use lampyris_core::output::Ticket;
use lampyris_core::time::UnixTime;
use lampyris_core::view::Histogram;
use std::path::PathBuf;
use std::sync::Arc;
use tables::How;

pub use codec::SCHEMA;
pub use directory::DataDirectory;
pub use health::Health;
pub use walk::Walker;

/// The store's directory in the data directory.
pub(crate) const STORE: &str = "store";

/// What became of one ticket.
pub type Decision = (Ticket, Result<(), StoreError>);

/// Where decisions go, a commit's worth at a time, in ticket order. Called on the store's own thread.
pub type Deliver = Arc<dyn Fn(Vec<Decision>) + Send + Sync>;

/// A place for records.
pub trait Journal: Send {
    /// Hands every live row of `kind` to `each`, in slot order. Expired and damaged rows are left out and counted.
    ///
    /// # Errors
    /// A row of a newer version of the program, or a store that cannot be read.
    fn load(
        &mut self,
        kind: Kind,
        now: UnixTime,
        each: &mut dyn FnMut(Key, Value),
    ) -> Result<Loaded, StoreFault>;

    /// Takes a record to be made durable, after all taken before it.
    fn submit(&mut self, ticket: Ticket, record: Record);

    /// Lets what was submitted since the last call be committed; each ticket is decided once.
    fn flush(&mut self);

    /// What was written so far.
    fn written(&self) -> Written;

    /// Commits everything submitted, delivers its decisions, marks the store as cleanly closed and closes it.
    ///
    /// # Errors
    /// The last sync failed.
    fn close(self: Box<Self>) -> Result<(), StoreFault>;
}

/// A store, opened.
pub struct Opened {
    /// Where records go.
    pub journal: Box<dyn Journal>,
    /// How the process before left it.
    pub previous: Previous,
    /// The environment, for backups and checks while it is in use; `None`: there is none.
    pub(crate) shared: Option<Arc<tables::Shared>>,
}

/// Opens the store that `durability` asks for. `bytes_max` is the most it may grow to; `walker` starts the process that
/// looks at it first after an unclean stop (without one, this process does); `health` is told how it is.
///
/// # Errors
/// The store in `directory` cannot be opened; each fault says why and what to do.
pub fn open(
    directory: &Arc<DataDirectory>,
    durability: Durability,
    bytes_max: u64,
    walker: Option<&Walker>,
    deliver: Deliver,
    health: health::Shown,
) -> Result<Opened, StoreFault> {
    if durability == Durability::Memory {
        return Ok(nowhere(deliver));
    }
    let store = lmdb::Lmdb::open(directory.clone(), How { durability, bytes_max }, walker, deliver, health)?;
    let (previous, shared) = (store.previous(), Some(store.shared()));
    Ok(Opened { journal: Box::new(store), previous, shared })
}

/// A store for a server without a data directory.
pub fn nowhere(deliver: Deliver) -> Opened {
    Opened {
        journal: Box::new(memory::Memory::new(deliver)),
        previous: Previous { clean: true, last_commit: None },
        shared: None,
    }
}

/// What a store did since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Records made durable.
    pub records: u64,
    /// Records that could not be.
    pub failed: u64,
    /// Commits.
    pub commits: u64,
    /// From the first record of a commit to its being durable.
    pub latency: Histogram,
}

/// What was met while loading one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows handed over.
    pub live: u64,
    /// Rows that had expired; their places are freed with the next commits.
    pub expired: u64,
    /// Rows whose checksum or encoding is wrong; skipped, and freed like the expired.
    pub damaged: u64,
}

impl Loaded {
    /// Both together.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            live: self.live + other.live,
            expired: self.expired + other.expired,
            damaged: self.damaged + other.damaged,
        }
    }
}

/// How the store was left by the process that had it before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Previous {
    /// Whether it was closed (`true` for a new one).
    pub clean: bool,
    /// When its last commit was made, if any was.
    pub last_commit: Option<UnixTime>,
}

/// Why a store cannot be opened or read; each is for people and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// The directory cannot be used.
    #[error("cannot use the data directory {path}: {cause}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// Another process has it.
    #[error(
        "the data directory {path} is in use by {owner}; stop that one, or give this one its own with --data",
        owner = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other process, where it could be read.
        pid: Option<u32>,
    },
    /// A newer program wrote it.
    #[error(
        "the store was written by a newer version of lampyris ({program}, schema {found}); this is lampyris {own}, \
         which reads schemas 1 to {known}: run the newer program, restore a backup that an older one made \
         (`lampyris restore FILE`), or start with another data directory (`--data`)"
    )]
    Newer {
        /// The version that wrote it, or `unknown`.
        program: String,
        /// The schema met.
        found: u8,
        /// This program's version.
        own: String,
        /// The newest schema this program reads.
        known: u8,
    },
    /// Its file cannot be read.
    #[error(
        "the store's file {path} cannot be read: {cause}; look at the system's log for what is wrong with its disk"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// There is no thread for it.
    #[error("the store cannot have a thread of its own: {0}")]
    Thread(std::io::Error),
    /// The storage engine failed.
    #[error("the store {path} cannot be {what}: {cause}")]
    Engine {
        /// The store's file.
        path: PathBuf,
        /// As in `opened`.
        what: &'static str,
        /// The engine's words.
        cause: heed::Error,
    },
}

impl StoreFault {
    pub(crate) fn newer(found: u8, program: Option<tables::Program>) -> Self {
        let program = program.map_or_else(|| "unknown".to_owned(), |program| program.to_string());
        Self::Newer { program, found, own: tables::Program::own().to_string(), known: SCHEMA }
    }
}
