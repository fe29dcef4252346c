//! The data directory: made where it is missing, readable by its owner only, and held by one process at a time.

use super::StoreFault;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: Flock<File>,
}

impl DataDirectory {
    /// Takes the directory, making it if need be.
    ///
    /// # Errors
    /// It cannot be made or written, or another process has it (then its pid is in the message).
    pub fn take(path: &Path) -> Result<Self, StoreFault> {
        let fault = |cause| StoreFault::Directory { path: path.to_owned(), cause };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fault)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(fault)?;
        // Why: flock is given back by the kernel however the process ends, so no stale lock survives a kill.
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                // Why: who has it is for messages only; a full disk must not keep a server from starting.
                let told = lock.set_len(0).and_then(|()| lock.rewind());
                if let Err(cause) = told.and_then(|()| write!(lock, "{}", std::process::id())) {
                    tracing::warn!(%cause, "the data directory does not say who has it");
                }
                Ok(Self { path: path.to_owned(), _lock: lock })
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                Err(StoreFault::InUse { path: path.to_owned(), pid })
            }
            Err((_, errno)) => Err(fault(errno.into())),
        }
    }

    /// Gives what root has made here to the directory's owner, who runs the server.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn give_to_owner(data: &Path, made: &Path) -> std::io::Result<()> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(());
        }
        let owner = std::fs::metadata(data)?;
        std::os::unix::fs::chown(made, Some(owner.uid()), Some(owner.gid()))?;
        if made.is_dir() {
            for entry in std::fs::read_dir(made)? {
                Self::give_to_owner(data, &entry?.path())?;
            }
        }
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::TempDir;

    #[test]
    fn a_directory_is_held_once_and_says_by_whom() {
        let temp = TempDir::new();
        let path = temp.path().join("a/b");
        let first = DataDirectory::take(&path).expect("new");
        match DataDirectory::take(&path) {
            Err(StoreFault::InUse { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("taken twice: {other:?}"),
        }
        drop(first);
        DataDirectory::take(&path).expect("given back");
    }

    #[test]
    #[allow(clippy::print_stdout)]
    fn what_root_makes_belongs_to_whoever_runs_the_server() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED 1 what root makes: this is not root");
            return;
        }
        let temp = TempDir::new();
        std::os::unix::fs::chown(temp.path(), Some(4711), Some(4712)).expect("given away");
        let made = temp.path().join("store");
        std::fs::create_dir(&made).expect("made");
        std::fs::write(made.join("data.mdb"), "").expect("written");
        DataDirectory::give_to_owner(temp.path(), &made).expect("given");
        for path in [made.join("data.mdb"), made] {
            let found = std::fs::metadata(&path).expect("there");
            assert_eq!((found.uid(), found.gid()), (4711, 4712), "{}", path.display());
        }
    }
}
