//! The store: `journal::Record`s made durable behind `Output::Persist`, and read once at start.
//!
//! In: records under tickets, from the engine thread. Out: decisions (durable, or why not) in ticket order, through the
//! closure given at open. Memory is authoritative while the server runs, so nothing here is ever read again. It does
//! not know what a record means beyond its key and expiry. A second backend (local store plus a replicated journal)
//! will stand behind the same trait.

pub(crate) mod codec;
pub(crate) mod directory;
pub(crate) mod lmdb;
pub(crate) mod memory;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use crate::config::Durability;
use lampyris_core::input::StoreError;
use lampyris_core::journal::{Key, Kind, Record, Value};
use lampyris_core::output::Ticket;
use lampyris_core::time::UnixTime;
use std::path::PathBuf;
use std::sync::Arc;

pub use directory::DataDirectory;

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

/// Opens the store that `durability` asks for, and says how the process before left it.
///
/// # Errors
/// The store in `directory` cannot be opened; each fault says why and what to do.
pub fn open(
    directory: &Arc<DataDirectory>,
    durability: Durability,
    bytes_max: u64,
    deliver: Deliver,
) -> Result<(Box<dyn Journal>, Previous), StoreFault> {
    if durability == Durability::Memory {
        return Ok(nowhere(deliver));
    }
    let store = lmdb::Lmdb::open(directory.clone(), durability, bytes_max, deliver)?;
    let previous = store.previous();
    Ok((Box::new(store), previous))
}

/// A store for a server without a data directory.
pub fn nowhere(deliver: Deliver) -> (Box<dyn Journal>, Previous) {
    (Box::new(memory::Memory::new(deliver)), Previous { clean: true, last_commit: None })
}

/// What a store did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Records made durable.
    pub records: u64,
    /// Records that could not be.
    pub failed: u64,
    /// Commits.
    pub commits: u64,
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
        "the store was written by a newer version of lampyris (schema {found}; this one reads up to {known}); \
         use that version, or start with another data directory"
    )]
    Newer {
        /// The schema met.
        found: u8,
        /// The newest schema this program reads.
        known: u8,
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
