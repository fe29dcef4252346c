//! Backups: a store's live records in one file that any version of this program, on any machine, can judge by itself.
//!
//! ```text
//! head: "lampyris backup\n" | format u8 = 1 | schema u8 | program u64 | made ms u64 | last commit ms u64 | crc32 u32
//! row:  kind u8 (never 0) | slot u64 | length u32 | the row as it lies in the store, with its own checksum
//! end:  0 u8 | rows u64 | crc32 of all before u32
//! ```
//! Numbers are little endian. A file is written under another name, synced and renamed, so that one that bears its name
//! is whole. Nothing is taken from a backup before all of it was read once.

use super::clean::sync_directory;
use super::codec::{self, SCHEMA, Seal};
use super::kinds;
use super::tables::{How, META_LAST_COMMIT, Program, Shared, Tables, words};
use lampyris_core::journal::{Key, Kind};
use lampyris_core::time::UnixTime;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 16] = b"lampyris backup\n";
const FORMAT: u8 = 1;
/// Longest row that is taken; the store's own are far shorter.
const ROW_BYTES_MAX: u32 = 16 << 20;
/// Rows between two reports of progress.
const PROGRESS_ROWS: u64 = 1024;
/// Rows of one transaction of a restore.
const RESTORE_ROWS: usize = 16_384;

/// What a backup says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// When it was made.
    pub made_at: UnixTime,
    /// The last commit of the store it was made of.
    pub last_commit: UnixTime,
    /// Its rows.
    pub rows: u64,
    /// The schema of the program that made it.
    pub schema: u8,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// Damaged rows that were left out.
    pub damaged: u64,
    /// When it was made.
    pub made_at: UnixTime,
}

/// Why a backup cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum BackupFault {
    /// The file cannot be written or read.
    #[error("the backup {path} cannot be {what}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// As in `written`.
        what: &'static str,
        /// The system's words.
        cause: io::Error,
    },
    /// It is none.
    #[error("{path} is no backup of lampyris, or not a whole one ({what}); take another one")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What cannot be.
        what: &'static str,
    },
    /// A newer program made it.
    #[error(
        "the backup {path} was made by lampyris {program} (schema {found}); this is lampyris {own}, which reads \
         schemas 1 to {SCHEMA}; restore it with the newer program"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version that made it.
        program: String,
        /// This program's version.
        own: String,
        /// Its schema.
        found: u8,
    },
    /// The store cannot be read or written.
    #[error("{0}")]
    Store(String),
    /// The server is stopping.
    #[error("the server is stopping; the backup was given up")]
    Interrupted,
}

/// Told how far a long work is: rows done, and of how many.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

struct Summed<W> {
    inner: W,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl<W> Summed<W> {
    fn new(inner: W) -> Self {
        Self { inner, crc: crc32fast::Hasher::new(), bytes: 0 }
    }
}

impl<W: Write> Summed<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        self.bytes += bytes.len() as u64;
        self.inner.write_all(bytes)
    }
}

impl<R: Read> Summed<R> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.crc.update(bytes);
        Ok(())
    }

    fn sum(&self) -> u32 {
        self.crc.clone().finalize()
    }
}

/// Writes what the store holds now to `path`, while it goes on.
///
/// # Errors
/// The file cannot be written, the store cannot be read, or it is being closed. Nothing of that name is left then, but
/// what was there before.
pub(crate) fn write(
    shared: &Shared,
    path: &Path,
    now: UnixTime,
    progress: Progress<'_>,
) -> Result<Made, BackupFault> {
    let fault = |cause| BackupFault::Io { path: path.to_owned(), what: "written", cause };
    let partial = path.with_extension("partial");
    let made = write_partial(shared, &partial, path, now, progress).and_then(|made| {
        std::fs::rename(&partial, path).map_err(fault)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_directory(parent.unwrap_or(Path::new("."))).map_err(fault)?;
        Ok(made)
    });
    if made.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    made
}

fn write_partial(
    shared: &Shared,
    partial: &Path,
    path: &Path,
    now: UnixTime,
    progress: Progress<'_>,
) -> Result<Made, BackupFault> {
    let fault = |cause| BackupFault::Io { path: path.to_owned(), what: "written", cause };
    let store = |cause: heed::Error| BackupFault::Store(words(&cause, shared.how.bytes_max));
    let tables = shared.tables().map_err(store)?;
    let txn = tables.env.read_txn().map_err(store)?;
    let mut total = 0;
    for kind in Kind::ALL {
        total += tables.rows(kind).len(&txn).map_err(store)?;
    }
    let last_commit = tables.meta.get(&txn, META_LAST_COMMIT).map_err(store)?.unwrap_or_default();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(partial)
        .map_err(fault)?;
    let mut out = Summed::new(BufWriter::with_capacity(1 << 18, file));
    out.put(MAGIC).map_err(fault)?;
    out.put(&[FORMAT, SCHEMA]).map_err(fault)?;
    for number in [Program::own().0, now.as_millis(), last_commit] {
        out.put(&number.to_le_bytes()).map_err(fault)?;
    }
    let head = out.crc.clone().finalize();
    out.put(&head.to_le_bytes()).map_err(fault)?;
    let (mut seen, mut rows, mut damaged) = (0, 0, 0);
    progress(0, total);
    for kind in Kind::ALL {
        for row in tables.rows(kind).iter(&txn).map_err(store)? {
            let (slot, row) = row.map_err(store)?;
            match codec::seal(Key { kind, slot }, row, now) {
                Seal::Whole { .. } | Seal::Newer(_) => {
                    let length = u32::try_from(row.len()).unwrap_or(u32::MAX);
                    out.put(&[kinds::number(kind)]).map_err(fault)?;
                    out.put(&slot.to_le_bytes()).map_err(fault)?;
                    out.put(&length.to_le_bytes()).map_err(fault)?;
                    out.put(row).map_err(fault)?;
                    rows += 1;
                }
                Seal::Damaged => damaged += 1,
                Seal::Expired => {}
            }
            seen += 1;
            if seen % PROGRESS_ROWS == 0 {
                progress(seen, total);
                if shared.is_closing() {
                    return Err(BackupFault::Interrupted);
                }
            }
        }
    }
    out.put(&[0]).map_err(fault)?;
    out.put(&u64::to_le_bytes(rows)).map_err(fault)?;
    let end = out.crc.clone().finalize();
    out.put(&end.to_le_bytes()).map_err(fault)?;
    let bytes = out.bytes;
    let file = out.inner.into_inner().map_err(|error| fault(error.into_error()))?;
    file.sync_all().map_err(fault)?;
    progress(total, total);
    Ok(Made { path: path.to_owned(), bytes, rows, damaged, made_at: now })
}

/// Takes each row of a backup.
pub(crate) type Each<'a, E> = &'a mut dyn FnMut(Key, &[u8]) -> Result<(), E>;

/// Reads a whole backup, giving each row to `each`; `path` is for messages.
///
/// # Errors
/// It is cut or damaged, or of a newer program; rows were given before this was known.
pub(crate) fn read<E: From<BackupFault>>(
    path: &Path,
    input: impl Read,
    each: Each<'_, E>,
) -> Result<Summary, E> {
    let damaged = |what| BackupFault::Damaged { path: path.to_owned(), what };
    let fault = |cause: io::Error| match cause.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it is cut"),
        _ => BackupFault::Io { path: path.to_owned(), what: "read", cause },
    };
    let mut input = Summed::new(input);
    if &input.take::<16>().map_err(fault)? != MAGIC {
        return Err(damaged("it does not begin like one").into());
    }
    let [format, schema] = input.take::<2>().map_err(fault)?;
    let mut number = || input.take::<8>().map(u64::from_le_bytes).map_err(fault);
    let (program, made_ms, last_commit_ms) = (Program(number()?), number()?, number()?);
    let sum = input.sum();
    if u32::from_le_bytes(input.take().map_err(fault)?) != sum {
        return Err(damaged("its head is damaged").into());
    }
    if format != FORMAT || schema > SCHEMA {
        let (program, own) = (program.to_string(), Program::own().to_string());
        return Err(BackupFault::Newer { path: path.to_owned(), program, own, found: schema }.into());
    }
    let mut rows = 0;
    let mut row = Vec::new();
    loop {
        let [kind] = input.take::<1>().map_err(fault)?;
        if kind == 0 {
            break;
        }
        let kind = kinds::of_number(kind).ok_or_else(|| damaged("it has a record of an unknown kind"))?;
        let slot = u64::from_le_bytes(input.take().map_err(fault)?);
        let length = u32::from_le_bytes(input.take().map_err(fault)?);
        if length > ROW_BYTES_MAX {
            return Err(damaged("it has a record of impossible length").into());
        }
        row.resize(usize::try_from(length).unwrap_or_default(), 0);
        input.fill(&mut row).map_err(fault)?;
        let key = Key { kind, slot };
        if !matches!(codec::seal(key, &row, UnixTime::default()), Seal::Whole { .. }) {
            return Err(damaged("it has a record whose checksum is wrong").into());
        }
        each(key, &row)?;
        rows += 1;
    }
    if u64::from_le_bytes(input.take().map_err(fault)?) != rows {
        return Err(damaged("it has not as many records as it says").into());
    }
    let sum = input.sum();
    if u32::from_le_bytes(input.take().map_err(fault)?) != sum {
        return Err(damaged("its checksum is wrong").into());
    }
    if input.inner.read(&mut [0]).map_err(fault)? != 0 {
        return Err(damaged("something follows its end").into());
    }
    let (made_at, last_commit) = (UnixTime::from_millis(made_ms), UnixTime::from_millis(last_commit_ms));
    Ok(Summary { made_at, last_commit, rows, schema })
}

fn open(path: &Path) -> Result<BufReader<File>, BackupFault> {
    let fault = |cause| BackupFault::Io { path: path.to_owned(), what: "read", cause };
    Ok(BufReader::with_capacity(1 << 18, File::open(path).map_err(fault)?))
}

/// Reads a backup to its end and says what it is.
///
/// # Errors
/// It cannot be used.
pub fn verify(path: &Path) -> Result<Summary, BackupFault> {
    read::<BackupFault>(path, open(path)?, &mut |_, _| Ok(()))
}

/// Makes a store in the directory `store`, which holds none, of a backup's rows.
///
/// # Errors
/// The backup cannot be used (then nothing was made), or the store cannot be written.
pub(crate) fn restore(
    path: &Path,
    store: &Path,
    bytes_max: u64,
    progress: Progress<'_>,
) -> Result<Summary, BackupFault> {
    let summary = verify(path)?;
    progress(0, summary.rows);
    // Why: nobody waits for single commits here; what counts is the sync at the end.
    let how = How { durability: crate::config::Durability::Process, bytes_max };
    let tables = Tables::open(store, how).map_err(|fault| BackupFault::Store(fault.to_string()))?;
    let engine = |cause: heed::Error| {
        BackupFault::Store(format!(
            "the store {} cannot be written: {}",
            store.display(),
            words(&cause, bytes_max)
        ))
    };
    let mut waiting: Vec<(Key, Vec<u8>)> = Vec::new();
    let mut done = 0;
    let mut commit = |waiting: &mut Vec<(Key, Vec<u8>)>| {
        let mut txn = tables.env.write_txn()?;
        for (key, row) in waiting.drain(..) {
            tables.rows(key.kind).put(&mut txn, &key.slot, &row)?;
            done += 1;
        }
        tables.meta.put(&mut txn, META_LAST_COMMIT, &summary.last_commit.as_millis())?;
        tables.sign(&mut txn)?;
        txn.commit()?;
        progress(done, summary.rows);
        Ok(())
    };
    read::<BackupFault>(path, open(path)?, &mut |key, row| {
        waiting.push((key, row.to_vec()));
        if waiting.len() >= RESTORE_ROWS {
            commit(&mut waiting).map_err(engine)?;
        }
        Ok(())
    })?;
    commit(&mut waiting).map_err(engine)?;
    tables.env.force_sync().map_err(engine)?;
    Ok(summary)
}
