//! What is counted while load runs: latencies, and everything that a server did wrong.

use super::BenchError;
use super::limits::LATENCY_US_MAX;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Latencies, to three digits.
#[derive(Clone)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    fn new() -> Result<Self, BenchError> {
        let histogram = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3);
        histogram.map(Self).map_err(|error| BenchError::Io(std::io::Error::other(error)))
    }

    /// Counts one.
    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LATENCY_US_MAX));
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Milliseconds that so much of all take at most.
    pub(crate) fn ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// What a server did that it must not do. Every one of these ought to be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    /// NOTIFYs that should have come and did not, and gaps in the CSeq of those that came.
    pub(crate) missing: u64,
    /// NOTIFYs that nothing asked for, by CSeq new; and requests of a call that came twice.
    pub(crate) duplicated: u64,
    /// NOTIFYs whose CSeq is lower than one seen before, and that tell of an older change than one seen before.
    pub(crate) out_of_order: u64,
    /// Documents that are not of the presentity, or not as published.
    pub(crate) wrong_body: u64,
    /// Messages that could not be understood.
    pub(crate) unreadable: u64,
}

impl Faults {
    /// All of them together.
    pub(crate) const fn sum(&self) -> u64 {
        self.missing + self.duplicated + self.out_of_order + self.wrong_body + self.unreadable
    }
}

/// The counts of one part of the load.
#[derive(Clone)]
pub(crate) struct Tally {
    /// From a request to its answer and the last thing it brought about; of a call, from INVITE to 200.
    pub(crate) operations: Latencies,
    /// From a PUBLISH to each NOTIFY that tells of it.
    pub(crate) notifies: Latencies,
    /// NOTIFYs taken and answered, copies not counted.
    pub(crate) notified: u64,
    /// Copies of requests of the server's: our answer was late, or lost.
    pub(crate) repeated: u64,
    /// Messages of earlier runs, answered and left out of account.
    pub(crate) foreign: u64,
    /// Operations that failed, by what was said; `timeout` where nothing was.
    pub(crate) failed: BTreeMap<String, u64>,
    /// What must not be.
    pub(crate) faults: Faults,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new() -> Result<Self, BenchError> {
        Ok(Self {
            operations: Latencies::new()?,
            notifies: Latencies::new()?,
            notified: 0,
            repeated: 0,
            foreign: 0,
            failed: BTreeMap::new(),
            faults: Faults::default(),
        })
    }

    /// Counts a failed operation.
    pub(crate) fn fail(&mut self, why: &str) {
        *self.failed.entry(why.to_owned()).or_default() += 1;
    }

    /// All failed operations.
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}
