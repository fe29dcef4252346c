//! Looks after the store of a running server: backups, now and then and when asked for, and checks.
//!
//! All of it reads a snapshot beside the store's own thread, which goes on. One thing is done at a time.

use crate::engine::clock::wall;
use crate::store::backup::Made;
use crate::store::check::{self, Findings};
use crate::store::health::Shown;
use crate::store::shelf;
use crate::store::structure::{FileSource, Flaw};
use crate::store::tables::{DATA_FILE, Shared};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, mpsc};

/// Soonest second try after an automatic backup that failed.
const RETRY: Duration = Duration::from_secs(60);
/// Soonest automatic backup after a start.
const FIRST: Duration = Duration::from_secs(5);
/// How often the head of the file is read again to find the snapshot that is held.
const SNAPSHOT_TRIES: usize = 100;

/// What makes backups and checks.
pub(crate) struct Keeper {
    /// Weak: the store is closed, and its directory free, when the engine is done with it.
    shared: std::sync::Mutex<Weak<Shared>>,
    data: PathBuf,
    kept: usize,
    health: Shown,
    /// The snapshot that the last backup has.
    last: AtomicUsize,
    turn: Mutex<()>,
}

impl Keeper {
    pub(crate) fn new(shared: &Arc<Shared>, data: &Path, kept: usize, health: Shown) -> Arc<Self> {
        // Why: clients that are told of files run elsewhere.
        let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
        if let Some(at) = newest(&data) {
            health.set(|health| health.backup_ms = u64::try_from(at.as_millis()).ok());
        }
        let shared = std::sync::Mutex::new(Arc::downgrade(shared));
        Arc::new(Self { shared, data, kept, health, last: AtomicUsize::new(0), turn: Mutex::default() })
    }

    /// Makes backups every so many seconds from now on, on the runtime that is entered; 0: never.
    pub(crate) fn start(self: &Arc<Self>, every_s: u64) {
        if every_s == 0 {
            return;
        }
        let every = Duration::from_secs(every_s);
        let keeper = Arc::clone(self);
        let since = newest(&self.data).map(|at| {
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(at)
        });
        let mut wait = since.map_or(every, |since| every.saturating_sub(since)).max(FIRST.min(every));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(wait).await;
                wait = if keeper.is_backed_up() {
                    every
                } else {
                    let (progress, _) = mpsc::channel(1);
                    match keeper.backup(false, progress).await {
                        Ok(made) => {
                            let path = made.path.display().to_string();
                            tracing::info!(
                                path,
                                bytes = made.bytes,
                                records = made.rows,
                                "a backup was made"
                            );
                            every
                        }
                        // Why not an error: it is closed, and opened again only where a handover failed.
                        Err(_) if keeper.opened().is_none() => every.min(RETRY),
                        Err(reason) => {
                            tracing::error!(reason, "the store cannot be backed up");
                            every.min(RETRY)
                        }
                    }
                };
            }
        });
    }

    /// The store was closed, and is open again.
    pub(crate) fn goes_on_with(&self, shared: &Arc<Shared>) {
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(shared);
    }

    fn opened(&self) -> Option<Arc<Shared>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// Whether nothing has changed since the last backup of this process.
    fn is_backed_up(&self) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        let now = self.opened().and_then(|shared| shared.tables().ok());
        last != 0 && now.is_some_and(|tables| tables.env.info().last_txn_id == last)
    }

    /// Makes one: on the shelf, or for a client that takes it away. How far it is goes to `progress` when that has room.
    pub(crate) async fn backup(
        self: &Arc<Self>,
        take_away: bool,
        progress: mpsc::Sender<(u64, u64)>,
    ) -> Result<Made, String> {
        let _turn = self.turn.lock().await;
        let keeper = Arc::clone(self);
        let made = blocking(move || {
            let shared = keeper.store()?;
            let snapshot = shared.tables().map_or(0, |tables| tables.env.info().last_txn_id);
            let mut step = |done, total| {
                // Why: a client that reads slowly misses steps, and one that went away all of them.
                let _ = progress.try_send((done, total));
            };
            let made = if take_away {
                shelf::spool(&shared, &keeper.data, wall(), &mut step)
            } else {
                shelf::make(&shared, &keeper.data, keeper.kept, wall(), &mut step)
            };
            let made = made.map_err(|fault| fault.to_string())?;
            if !take_away {
                keeper.last.store(snapshot, Ordering::Relaxed);
            }
            Ok(made)
        })
        .await;
        self.health.set(|health| match &made {
            Ok(made) => {
                health.backup_ms = Some(made.made_at.as_millis());
                health.backup_failed = None;
            }
            Err(reason) => health.backup_failed = Some(reason.clone()),
        });
        made
    }

    /// Looks at all of the store as it is now. How far it is goes to `progress` when that has room.
    pub(crate) async fn check(
        self: &Arc<Self>,
        progress: mpsc::Sender<(u64, u64)>,
    ) -> Result<Findings, String> {
        let _turn = self.turn.lock().await;
        let keeper = Arc::clone(self);
        blocking(move || {
            let shared = keeper.store()?;
            let failed = |cause: &dyn std::fmt::Display| format!("the store cannot be read: {cause}");
            let tables = shared.tables().map_err(|cause| failed(&cause))?;
            let mut step = |done, total| {
                let _ = progress.try_send((done, total));
            };
            for _ in 0..SNAPSHOT_TRIES {
                // While this lives, LMDB keeps the pages of its snapshot; the head is only there for two commits.
                let txn = tables.env.read_txn().map_err(|cause| failed(&cause))?;
                let source =
                    FileSource::open(&shared.path.join(DATA_FILE)).map_err(|cause| failed(&cause))?;
                match check::check(&source, Some(txn.id() as u64), wall(), &mut step) {
                    Err(Flaw::Gone) => {}
                    other => return other.map_err(|cause| failed(&cause)),
                }
            }
            Err("the store changes too fast to be checked; try again, or stop the server first".to_owned())
        })
        .await
    }

    fn store(&self) -> Result<Arc<Shared>, String> {
        self.opened().filter(|shared| !shared.is_closing()).ok_or_else(stopping)
    }
}

fn stopping() -> String {
    "the server is stopping".to_owned()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(stopping()))
}

/// When the newest backup was made.
fn newest(data: &Path) -> Option<Duration> {
    let newest = shelf::list(data).ok()?.into_iter().next()?;
    let at = std::fs::metadata(newest).ok()?.modified().ok()?;
    at.duration_since(SystemTime::UNIX_EPOCH).ok()
}
