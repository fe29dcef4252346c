//! The one place that reads the clocks.

use lampyris_core::time::{Instant, Now, UnixTime};
use std::time::{Duration, SystemTime};

/// A monotonic clock that starts at zero, and the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: std::time::Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self { start: std::time::Instant::now() }
    }

    /// Both clocks.
    pub(crate) fn now(self) -> Now {
        let mono = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { mono: Instant::from_micros(mono), wall: wall() }
    }

    /// How long until `at`, zero if it has passed.
    pub(crate) fn until(self, at: Instant) -> Duration {
        at.since(self.now().mono)
    }
}

/// The wall clock.
pub(crate) fn wall() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
