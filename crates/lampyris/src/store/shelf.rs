//! The backups in the data directory: their names, which is the last good one, and which are too many.

use super::DataDirectory;
use super::backup::{self, BackupFault, Made, Progress, Summary};
use super::tables::Shared;
use lampyris_core::time::UnixTime;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The backups' directory in the data directory.
const DIRECTORY: &str = "backups";
const PREFIX: &str = "lampyris-";
const EXTENSION: &str = "backup";

/// The directory of backups of a data directory.
pub(crate) fn directory(data: &Path) -> PathBuf {
    data.join(DIRECTORY)
}

/// The name of a backup made now, as in `lampyris-2026-11-21T170000.123Z.backup`.
fn name(now: UnixTime) -> String {
    let whole = now.rfc3339().replace(':', "");
    format!("{PREFIX}{}.{:03}Z.{EXTENSION}", whole.trim_end_matches('Z'), now.as_millis() % 1000)
}

/// The backups there are, newest first; their names sort by time.
pub(crate) fn list(data: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory(data)) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX) && path.extension().is_some_and(|extension| extension == EXTENSION) {
            found.push(path);
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// The newest backup that is whole; each that is not is said to be so in the log.
pub(crate) fn last_good(data: &Path) -> Option<(PathBuf, Summary)> {
    let listed = list(data).inspect_err(|cause| tracing::error!(%cause, "the backups cannot be listed"));
    listed.unwrap_or_default().into_iter().find_map(|path| match backup::verify(&path) {
        Ok(summary) => Some((path, summary)),
        Err(fault) => {
            tracing::error!(%fault, "a backup is passed over");
            None
        }
    })
}

/// Makes a backup under a name of its time, and removes those beyond `kept`.
///
/// # Errors
/// It cannot be made; nothing is removed then.
pub(crate) fn make(
    shared: &Shared,
    data: &Path,
    kept: usize,
    now: UnixTime,
    progress: Progress<'_>,
) -> Result<Made, BackupFault> {
    let directory = directory(data);
    let path = directory.join(name(now));
    let fault = |cause| BackupFault::Io { path: path.clone(), what: "written", cause };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(fault)?;
    let made = backup::write(shared, &path, now, progress)?;
    DataDirectory::give_to_owner(data, &directory).map_err(fault)?;
    let all = list(data).map_err(fault)?;
    // Why: after a clock jump into the past the newest may not sort first; it is never the one to go.
    for old in all.into_iter().filter(|old| *old != made.path).skip(kept.saturating_sub(1)) {
        if let Err(cause) = std::fs::remove_file(&old) {
            tracing::warn!(backup = %old.display(), %cause, "an old backup cannot be removed");
        }
    }
    Ok(made)
}

/// Makes a backup that somebody takes away at once; it is no member of the shelf.
///
/// # Errors
/// It cannot be made.
pub(crate) fn spool(
    shared: &Shared,
    data: &Path,
    now: UnixTime,
    progress: Progress<'_>,
) -> Result<Made, BackupFault> {
    let directory = directory(data);
    let path = directory.join(format!("spool-{}.{EXTENSION}", now.as_millis()));
    let fault = |cause| BackupFault::Io { path: path.clone(), what: "written", cause };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(fault)?;
    backup::write(shared, &path, now, progress)
}

/// Removes what a process left behind that died while it made a backup.
pub(crate) fn sweep(data: &Path) {
    let Ok(entries) = std::fs::read_dir(directory(data)) else { return };
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_ours = name.starts_with(PREFIX) || name.starts_with("spool-");
        if is_ours && (name.ends_with(".partial") || name.starts_with("spool-")) {
            let _ = std::fs::remove_file(&path);
        }
    }
}
