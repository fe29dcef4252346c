//! How large the process is, looked at once a second: above the configured size the node takes nothing new.

use lampyris_core::time::Instant;
use std::time::Duration;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The watch on it.
#[derive(Default)]
pub(crate) struct Memory {
    bytes_max: u64,
    next: Instant,
    is_full: bool,
}

impl Memory {
    /// A watch for a size in MiB; 0 is without limit.
    pub(crate) fn new(mib_max: u32) -> Self {
        Self { bytes_max: u64::from(mib_max) << 20, next: Instant::default(), is_full: false }
    }

    /// Whether the process is too large now.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        if self.bytes_max > 0 && now >= self.next {
            self.next = now + EVERY;
            self.look(own_bytes().unwrap_or(0));
        }
        self.is_full
    }

    fn look(&mut self, bytes: u64) {
        // Why: a little below the bound it holds on, so that it does not flutter.
        let bound = if self.is_full { self.bytes_max - self.bytes_max / 20 } else { self.bytes_max };
        let was_full = std::mem::replace(&mut self.is_full, bytes >= bound);
        if self.is_full && !was_full {
            tracing::warn!(bytes, bytes_max = self.bytes_max, "no memory for more: nothing new is taken");
        }
    }
}

/// Resident memory of this process that is its own, in bytes.
fn own_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
    let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(resident.saturating_sub(shared) * u64::try_from(page).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_at_its_size_and_free_again_well_below() {
        let mut memory = Memory::new(100);
        let mib = |n: u64| n << 20;
        for (bytes, full) in [(99, false), (100, true), (99, true), (96, true), (94, false), (99, false)] {
            memory.look(mib(bytes));
            assert_eq!(memory.is_full, full, "{bytes} MiB");
        }
    }

    #[test]
    fn the_system_says_how_large_we_are() {
        let held = vec![1_u8; 64 << 20];
        let bytes = own_bytes();
        assert!(bytes.is_some_and(|bytes| bytes > 32 << 20), "{bytes:?} with {} held", held.len());
        assert!(Memory::new(1).is_full(Instant::default()), "more than a MiB");
        drop(held);
        assert!(!Memory::new(0).is_full(Instant::default()), "without limit");
    }
}
