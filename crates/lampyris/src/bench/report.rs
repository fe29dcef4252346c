//! What a benchmark found: one row per part, as numbers for programs. The command line makes a table of it.

use super::driver::Amount;
use super::process::{Memory, Usage};
use super::tally::{Faults, Latencies, Tally};
use super::{Pace, Target};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct LatencyMs {
    /// Half take at most this.
    pub(crate) p50: f64,
    /// 99 of 100.
    pub(crate) p99: f64,
    /// 999 of 1,000.
    pub(crate) p999: f64,
    /// All.
    pub(crate) max: f64,
}

impl LatencyMs {
    fn of(latencies: &Latencies) -> Option<Self> {
        let ms = |quantile| latencies.ms(quantile);
        (latencies.count() > 0).then(|| Self { p50: ms(0.5), p99: ms(0.99), p999: ms(0.999), max: ms(1.0) })
    }
}

/// CPU time, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CpuUs {
    /// Per operation, all threads.
    pub(crate) per_operation: f64,
    /// Of that, in user space, to a clock tick.
    pub(crate) user_per_operation: f64,
    /// Of that, in the kernel, to a clock tick.
    pub(crate) system_per_operation: f64,
    /// Per NOTIFY that came, everything counted; none where none came.
    pub(crate) per_notify: Option<f64>,
    /// Per operation, by name of thread.
    pub(crate) threads_per_operation: BTreeMap<String, f64>,
}

impl CpuUs {
    fn of(usage: &Usage, operations: u64, notifies: u64) -> Self {
        let per = |us: f64| us / operations.max(1) as f64;
        Self {
            per_operation: per(usage.cpu_us),
            user_per_operation: per(usage.user_us),
            system_per_operation: per(usage.system_us),
            per_notify: (notifies > 0).then(|| usage.cpu_us / notifies as f64),
            threads_per_operation: usage.threads.iter().map(|(name, us)| (name.clone(), per(*us))).collect(),
        }
    }
}

/// One part of the load.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What was done.
    pub(crate) name: String,
    /// Operations that ended well.
    pub(crate) operations: u64,
    /// NOTIFYs that came with them.
    pub(crate) notifies: u64,
    /// From the first operation to the last thing one brought about.
    pub(crate) seconds: f64,
    /// Operations.
    pub(crate) per_second: f64,
    /// From when an operation began, or was due, until all of it had come.
    pub(crate) latency_ms: Option<LatencyMs>,
    /// From a PUBLISH to each NOTIFY that tells of it.
    pub(crate) notify_latency_ms: Option<LatencyMs>,
    /// The server's, where its process id is known.
    pub(crate) server_cpu_us: Option<CpuUs>,
    /// The load generator's own.
    pub(crate) generator_cpu_us: Option<CpuUs>,
    /// The server's memory before, in bytes.
    pub(crate) memory_before: Option<Memory>,
    /// The server's memory afterwards, in bytes.
    pub(crate) memory: Option<Memory>,
    /// Subscriptions held afterwards.
    pub(crate) subscriptions: u64,
    /// Requests we sent again.
    pub(crate) sent_again: u64,
    /// Requests the server sent again.
    pub(crate) repeated: u64,
    /// Messages that belong to no subscription or call of this run.
    pub(crate) foreign: u64,
    /// Operations that failed, by status or what else was wrong.
    pub(crate) failed: BTreeMap<String, u64>,
    /// What a server must not do.
    pub(crate) faults: Faults,
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Where the load went.
    pub(crate) server: String,
    /// How it came.
    pub(crate) pace: String,
    /// Sockets or connections.
    pub(crate) flows: usize,
    /// The parts, in their order.
    pub(crate) rows: Vec<Row>,
    /// Whether nothing failed and nothing was wrong.
    pub(crate) ok: bool,
}

impl Report {
    pub(crate) fn new(target: &Target, pace: Pace, flows: usize) -> Self {
        let pace = match pace {
            Pace::Window(window) => format!("{window} at a time"),
            Pace::Rate(rate) => format!("{rate} per second"),
        };
        Self { server: target.server.to_string(), pace, flows, rows: Vec::new(), ok: true }
    }

    pub(crate) fn push(&mut self, row: Row, tally: &Tally) {
        self.ok &= tally.faults.sum() == 0 && tally.failures() == 0;
        self.rows.push(row);
    }
}

/// What a part used and did.
pub(crate) struct Measured {
    pub(crate) took: Duration,
    pub(crate) server: Option<(Usage, Memory, Memory)>,
    pub(crate) own: Usage,
    pub(crate) subscriptions: usize,
    pub(crate) sent_again: u64,
}

impl Row {
    pub(crate) fn new(name: String, measured: &Measured, tally: &Tally) -> Self {
        let operations = tally.operations.count();
        let seconds = measured.took.as_secs_f64();
        let cpu = |usage: &Usage| CpuUs::of(usage, operations, tally.notified);
        Self {
            name,
            operations,
            notifies: tally.notified,
            seconds,
            per_second: if seconds > 0.0 { operations as f64 / seconds } else { 0.0 },
            latency_ms: LatencyMs::of(&tally.operations),
            notify_latency_ms: LatencyMs::of(&tally.notifies),
            server_cpu_us: measured.server.as_ref().map(|(usage, ..)| cpu(usage)),
            generator_cpu_us: Some(cpu(&measured.own)),
            memory_before: measured.server.as_ref().map(|(_, before, _)| *before),
            memory: measured.server.as_ref().map(|(.., after)| *after),
            subscriptions: measured.subscriptions as u64,
            sent_again: measured.sent_again,
            repeated: tally.repeated,
            foreign: tally.foreign,
            failed: tally.failed.clone(),
            faults: tally.faults,
        }
    }
}

/// How long a part is, for its name.
pub(crate) fn amount(count: Option<u64>, seconds: Option<u64>, otherwise: usize) -> Amount {
    match (seconds, count) {
        (Some(seconds), _) => Amount::Time(Duration::from_secs(seconds)),
        (None, Some(count)) => Amount::Count(count),
        (None, None) => Amount::Count(otherwise as u64),
    }
}
