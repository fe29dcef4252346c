//! How the store is: what `lampyris status` says of it beside its counts.

use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a store is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Health {
    /// Records that were met damaged at the start, and left out.
    pub damaged: u64,
    /// What was done about a store that could not be used at the start.
    pub rescue: Option<Rescue>,
    /// Why records cannot be stored now.
    pub failing: Option<Failing>,
    /// When the last backup was made, in milliseconds since the Unix epoch.
    pub backup_ms: Option<u64>,
    /// Why the last backup was not made.
    pub backup_failed: Option<String>,
}

/// A store that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rescue {
    /// What was wrong with it.
    pub damage: String,
    /// Where it is now.
    pub aside: String,
    /// The backup that was taken instead, and when that was made; `None`: there was none, and the store began empty.
    pub backup: Option<(String, u64)>,
    /// Records taken from it.
    pub records: u64,
}

/// A store that takes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Failing {
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Why, and what to do.
    pub reason: String,
    /// Records refused since.
    pub refused: u64,
}

/// The health of the store of this process, for all who change or show it.
#[derive(Clone, Debug, Default)]
pub struct Shown(Arc<Mutex<Health>>);

impl Shown {
    /// As it is now.
    pub fn get(&self) -> Health {
        self.lock().clone()
    }

    /// Changes it.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
