//! The mark of a clean stop: a small file beside LMDB's, with that one's length and time, taken away while it is in use.
//!
//! Why beside: whether LMDB's file may be opened at all depends on it. A file that was replaced, cut or written to while
//! nobody used it does not fit its mark, and is walked as after a crash.

use super::tables::DATA_FILE;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

fn mark(store: &Path) -> PathBuf {
    store.join("clean")
}

/// What fits LMDB's file as it is now.
fn text(store: &Path) -> io::Result<String> {
    let data = std::fs::metadata(store.join(DATA_FILE))?;
    Ok(format!("{} {}.{:09} {}\n", data.len(), data.mtime(), data.mtime_nsec(), data.ino()))
}

/// Marks a store that was closed.
pub(crate) fn set(store: &Path) -> io::Result<()> {
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(mark(store))?;
    file.write_all(text(store)?.as_bytes())?;
    file.sync_all()
}

/// Whether the store was closed, and not touched since.
pub(crate) fn is_set(store: &Path) -> bool {
    match (std::fs::read_to_string(mark(store)), text(store)) {
        (Ok(marked), Ok(found)) => marked == found,
        _ => false,
    }
}

/// Takes the mark away: the store is in use from here on.
pub(crate) fn clear(store: &Path) -> io::Result<()> {
    match std::fs::remove_file(mark(store)) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => sync_directory(store),
    }
}

/// Makes what was made, renamed or removed in a directory survive a power failure.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::TempDir;

    #[test]
    fn a_mark_fits_the_file_it_was_made_for_only() {
        let temp = TempDir::new();
        let data = temp.path().join(DATA_FILE);
        assert!(!is_set(temp.path()));
        std::fs::write(&data, "abc").expect("written");
        set(temp.path()).expect("marked");
        assert!(is_set(temp.path()));
        std::fs::write(&data, "abcd").expect("written");
        assert!(!is_set(temp.path()), "another length");
        set(temp.path()).expect("marked");
        std::fs::copy(&data, temp.path().join("copy")).expect("copied");
        std::fs::rename(temp.path().join("copy"), &data).expect("renamed");
        assert!(!is_set(temp.path()), "another file");
        set(temp.path()).expect("marked");
        clear(temp.path()).expect("cleared");
        clear(temp.path()).expect("nothing to clear");
        assert!(!is_set(temp.path()));
    }
}
