//! How long records wait for the disk: counted by the committing thread, read by whoever asks.

use lampyris_core::view::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds: from a disk with a battery to one that is failing.
const BOUNDS_US: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_000_000];

/// The counts.
#[derive(Default)]
pub(crate) struct Latency {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Latency {
    /// One more.
    pub(crate) fn observe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(BOUNDS_US.partition_point(|bound| *bound < us)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// All of them.
    pub(crate) fn view(&self) -> Histogram {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Histogram {
            bounds_us: BOUNDS_US.to_vec(),
            buckets: self.buckets.iter().map(read).collect(),
            sum_us: read(&self.sum_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_falls_into_the_bucket_that_holds_it() {
        let latency = Latency::default();
        for us in [99, 100, 101, 3_000_000] {
            latency.observe(Duration::from_micros(us));
        }
        let found = latency.view();
        assert_eq!((found.buckets[0], found.buckets[1], found.buckets[12]), (2, 1, 1));
        assert_eq!(found.sum_us, 3_000_300);
    }
}
