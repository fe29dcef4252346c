//! What the command line does with a store that no server uses: back it up, restore it, check it.
//!
//! Each takes the data directory's lock first, so none of it meets a server.

use super::backup::{BackupFault, Made, Progress, Summary};
use super::check::Findings;
use super::tables::{DATA_FILE, How, Shared, Tables};
use super::walk::{self, Verdict, Walker};
use super::{DataDirectory, STORE, StoreFault, backup, clean, rescue, shelf};
use crate::config::{Durability, ShellSettings};
use crate::engine::clock::wall;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why something cannot be done with a store; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is none.
    #[error("there is no store in {0}; name the server's directory with --data DIR or LAMPYRIS_DATA")]
    None(PathBuf),
    /// It cannot be used.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The backup cannot be made or used.
    #[error(transparent)]
    Backup(#[from] BackupFault),
    /// It is damaged.
    #[error(
        "the store in {0} is damaged ({1}); start the server, which sets it aside and begins with its last backup, \
         or take a backup of your own: `lampyris restore FILE`"
    )]
    Damaged(PathBuf, String),
}

fn take(data: &Path) -> Result<Arc<DataDirectory>, Fault> {
    if !data.join(STORE).join(DATA_FILE).exists() {
        return Err(Fault::None(data.to_owned()));
    }
    Ok(Arc::new(DataDirectory::take(data)?))
}

/// Makes a backup: at `to`, or in the data directory, of which `kept` are kept.
///
/// # Errors
/// There is no store, a server uses it, it is damaged, or the backup cannot be written.
pub fn back_up(
    data: &Path,
    to: Option<&Path>,
    kept: usize,
    walker: &Walker,
    progress: Progress<'_>,
) -> Result<Made, Fault> {
    let directory = take(data)?;
    let store = data.join(STORE);
    if !clean::is_set(&store)
        && let Verdict::Damaged(what) = walk::judge(&store, Some(walker))?
    {
        return Err(Fault::Damaged(data.to_owned(), what));
    }
    let bytes_max = ShellSettings::defaults().store_bytes_max;
    let how = How { durability: Durability::Power, bytes_max };
    let tables = Tables::open(&store, how)?;
    tables.check_program()?;
    let shared = Shared::new(tables, how, directory);
    match to {
        Some(path) => Ok(backup::write(&shared, path, wall(), progress)?),
        None => Ok(shelf::make(&shared, data, kept, wall(), progress)?),
    }
}

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    /// What the backup says of itself.
    pub summary: Summary,
    /// Where the store is that was there before.
    pub aside: Option<PathBuf>,
}

/// Puts a backup in the store's place; the store is kept under another name.
///
/// # Errors
/// A server uses the directory, the backup cannot be used (then nothing is changed), or the disk fails.
pub fn restore(data: &Path, from: &Path, bytes_max: u64, progress: Progress<'_>) -> Result<Restored, Fault> {
    // Why: a mistyped name is found before a directory is made.
    backup::verify(from)?;
    let _directory = DataDirectory::take(data)?;
    let summary = rescue::stage(from, data, bytes_max, progress)?;
    let store = data.join(STORE);
    let aside = if store.join(DATA_FILE).exists() {
        Some(rescue::set_aside(&store, "before-restore")?)
    } else {
        None
    };
    rescue::place(data)?;
    Ok(Restored { summary, aside })
}

/// Looks at all of a store.
///
/// # Errors
/// There is none, a server uses it, or it cannot be read.
pub fn check(data: &Path, walker: &Walker) -> Result<Findings, Fault> {
    let _directory = take(data)?;
    Ok(match walk::judge(&data.join(STORE), Some(walker))? {
        Verdict::Sound(findings) => findings,
        Verdict::Damaged(what) => Findings { structure: Some(what), ..Findings::default() },
    })
}

/// The backups of a data directory, newest first, each with what it says of itself or why it cannot be used.
pub fn backups(data: &Path) -> Vec<(PathBuf, Result<Summary, BackupFault>)> {
    let all = shelf::list(data).unwrap_or_default();
    all.into_iter().map(|path| (path.clone(), backup::verify(&path))).collect()
}

/// Stores that were set aside and still lie in a data directory.
pub fn asides(data: &Path) -> Vec<PathBuf> {
    rescue::asides(data)
}
