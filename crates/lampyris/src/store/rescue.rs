//! Before a store is opened: whether it may be, and what is begun with where it may not.
//!
//! A store that was closed is opened as it is. After anything else it is walked first (`walk`); one whose structure is
//! damaged is renamed, and the last whole backup, or an empty store, takes its place. So whatever lies there, the server
//! comes up, and never tries the same file twice.

use super::backup::{self, BackupFault, Summary};
use super::clean::{self, sync_directory};
use super::health::Rescue;
use super::tables::DATA_FILE;
use super::walk::{self, Verdict, Walker};
use super::{DataDirectory, STORE, StoreFault, shelf};
use crate::engine::clock::wall;
use std::path::{Path, PathBuf};

/// What is to be opened.
pub(crate) struct Prepared {
    /// Whether the process before closed it, or there was none.
    pub(crate) clean: bool,
    /// What was done where it could not be used.
    pub(crate) rescue: Option<Rescue>,
}

/// Sees to it that the store of a data directory can be opened.
///
/// # Errors
/// The disk fails: it cannot be read, or nothing can be renamed or made on it.
pub(crate) fn prepare(data: &Path, bytes_max: u64, walker: Option<&Walker>) -> Result<Prepared, StoreFault> {
    let store = data.join(STORE);
    let fault = |cause| StoreFault::Directory { path: store.clone(), cause };
    shelf::sweep(data);
    let is_new = match std::fs::metadata(store.join(DATA_FILE)) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => true,
        other => other.map(|_| false).map_err(fault)?,
    };
    if is_new && clean::is_set(&staged(data)) {
        place(data)?;
        tracing::warn!("a restore that was interrupted is ended");
        return Ok(Prepared { clean: false, rescue: None });
    }
    if is_new {
        return Ok(Prepared { clean: true, rescue: None });
    }
    if clean::is_set(&store) {
        clean::clear(&store).map_err(fault)?;
        return Ok(Prepared { clean: true, rescue: None });
    }
    clean::clear(&store).map_err(fault)?;
    tracing::info!(store = %store.display(), "the store was not closed; it is walked first");
    let began = std::time::Instant::now();
    match walk::judge(&store, walker)? {
        Verdict::Sound(findings) => {
            let rows = findings.rows();
            tracing::info!(
                pages = findings.pages,
                live = rows.live,
                damaged = rows.damaged,
                ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                "the store is sound"
            );
            Ok(Prepared { clean: false, rescue: None })
        }
        Verdict::Damaged(damage) => {
            Ok(Prepared { clean: false, rescue: Some(start_over(data, bytes_max, damage)?) })
        }
    }
}

/// Sets the store aside, and puts the last whole backup or nothing in its place.
///
/// # Errors
/// Nothing can be renamed or made.
pub(crate) fn start_over(data: &Path, bytes_max: u64, damage: String) -> Result<Rescue, StoreFault> {
    // Why: the backup is made ready first, so that a crash in between leaves either the damaged store or the new one.
    let ready = shelf::last_good(data).and_then(|(path, _)| {
        let staged = stage(&path, data, bytes_max, &mut |_, _| {});
        staged
            .inspect_err(|fault| tracing::error!(%fault, "the last backup cannot be restored"))
            .ok()
            .map(|summary| (path, summary))
    });
    let aside = set_aside(&data.join(STORE), "damaged")?;
    let mut rescue = Rescue { damage, aside: aside.display().to_string(), backup: None, records: 0 };
    if let Some((path, summary)) = ready {
        place(data)?;
        rescue.backup = Some((path.display().to_string(), summary.made_at.as_millis()));
        rescue.records = summary.rows;
    }
    tracing::error!(
        damage = rescue.damage,
        aside = rescue.aside,
        backup = rescue.backup.as_ref().map_or("none", |(path, _)| path.as_str()),
        records = rescue.records,
        "the store is damaged: it was set aside, and {}; phones whose records are missing have to register and \
         subscribe again",
        if rescue.backup.is_some() { "the last backup is used" } else { "an empty one is begun" }
    );
    Ok(rescue)
}

/// Renames the store, as in `store.damaged-2026-11-21T170000Z`; returns its new name.
pub(crate) fn set_aside(store: &Path, why: &str) -> Result<PathBuf, StoreFault> {
    let fault = |cause| StoreFault::Directory { path: store.to_owned(), cause };
    let stem = format!("{STORE}.{why}-{}", wall().rfc3339().replace(':', ""));
    let names = std::iter::once(stem.clone()).chain((2..).map(|n| format!("{stem}-{n}")));
    let aside = names.map(|name| store.with_file_name(name)).find(|path| !path.exists());
    let aside = aside.unwrap_or_else(|| store.with_file_name(stem));
    std::fs::rename(store, &aside).map_err(fault)?;
    if let Some(parent) = store.parent() {
        sync_directory(parent).map_err(fault)?;
    }
    Ok(aside)
}

fn staged(data: &Path) -> PathBuf {
    data.join("store.restoring")
}

/// Makes a store of a backup, beside the one there is.
///
/// # Errors
/// The backup cannot be used, or the disk fails.
pub(crate) fn stage(
    backup: &Path,
    data: &Path,
    bytes_max: u64,
    progress: backup::Progress<'_>,
) -> Result<Summary, BackupFault> {
    let staged = staged(data);
    let fault = |cause| BackupFault::Io { path: staged.clone(), what: "written", cause };
    if staged.exists() {
        std::fs::remove_dir_all(&staged).map_err(fault)?;
    }
    let summary = backup::restore(backup, &staged, bytes_max, progress)?;
    clean::set(&staged).map_err(fault)?;
    DataDirectory::give_to_owner(data, &staged).map_err(fault)?;
    Ok(summary)
}

/// Puts the store that was staged where the store belongs, and where none is.
///
/// # Errors
/// The disk fails.
pub(crate) fn place(data: &Path) -> Result<(), StoreFault> {
    let store = data.join(STORE);
    let fault = |cause| StoreFault::Directory { path: store.clone(), cause };
    // Why: LMDB's directory may be there without its file.
    if store.exists() {
        std::fs::remove_dir_all(&store).map_err(fault)?;
    }
    std::fs::rename(staged(data), &store).map_err(fault)?;
    sync_directory(data).map_err(fault)?;
    // Why: what a backup says is older than what was last sent, so it counts as left by a crash.
    clean::clear(&store).map_err(fault)
}

/// Stores that were set aside and still lie there.
pub(crate) fn asides(data: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("store.damaged-") || name.starts_with("store.before-restore-")
        })
        .collect();
    found.sort_unstable();
    found
}
