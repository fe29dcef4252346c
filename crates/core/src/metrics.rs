//! What a node counts while it works: plain integers in fixed places, so that counting costs an addition and no memory.
//!
//! Names and labels are the reader's business (`view::Metrics`); what can be counted by looking is counted when asked
//! (`view_metrics`). The number of label values is bounded by the enums they come from.

use crate::flow::Transport;
use crate::node::Node;
use crate::packages::PackageId;
use crate::time::{Instant, Now};
use crate::view::{self, Sample};
use lampyris_sip::Method;
use std::time::Duration;

/// Methods that are counted by name; the last is for all others.
const METHODS: [&str; 15] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "OPTIONS",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "MESSAGE",
    "REFER",
    "INFO",
    "UPDATE",
    "PRACK",
    "other",
];
const TRANSPORTS: usize = Transport::ALL.len();
/// Responses by the first digit of their status.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "6xx"];
/// Final statuses that are no success, 300 to 699.
const FAILURES: usize = 400;

/// A subscription whose watcher has not acknowledged the current state for longer than this is stale: longer than a
/// NOTIFY is repeated (RFC 3261 §17.1.2.2, Timer F), so that only one that is lost for good counts.
const STALE_AFTER: Duration = Duration::from_secs(40);

/// Upper bounds of the buckets of a latency, in microseconds.
pub(crate) const BOUNDS_US: [u64; 13] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 4_000_000, 10_000_000,
    32_000_000,
];

/// Latencies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Histogram {
    /// How many fell between each bound and the one before; the last is beyond all.
    buckets: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Histogram {
    fn observe(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS_US.partition_point(|bound| *bound < us);
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.sum_us = self.sum_us.saturating_add(us);
    }

    fn view(&self) -> view::Histogram {
        view::Histogram { bounds_us: BOUNDS_US.to_vec(), buckets: self.buckets.to_vec(), sum_us: self.sum_us }
    }
}

/// How far a watcher is behind; 0 for not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    /// When the first change happened that no NOTIFY has told yet, in microseconds.
    changed_at: u64,
    /// When the first change happened that a NOTIFY told and nobody acknowledged yet.
    told_at: u64,
    /// When that NOTIFY was sent.
    sent_at: u64,
}

impl Behind {
    /// The state changed.
    pub(crate) fn changed(&mut self, now: Instant) {
        if self.changed_at == 0 {
            self.changed_at = now.as_micros().max(1);
        }
    }

    /// The state is again what was told last.
    pub(crate) fn unchanged(&mut self) {
        self.changed_at = 0;
    }

    /// Since when the watcher does not know the current state.
    fn since(&self) -> Option<u64> {
        [self.changed_at, self.told_at].into_iter().filter(|at| *at > 0).min()
    }
}

/// All counters that are kept while working.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests_received: [[u64; TRANSPORTS]; METHODS.len()],
    requests_sent: [[u64; TRANSPORTS]; METHODS.len()],
    responses_received: [[u64; TRANSPORTS]; CLASSES.len()],
    responses_sent: [[u64; TRANSPORTS]; CLASSES.len()],
    refused: [u32; FAILURES],
    notify_failed: [u32; FAILURES],
    change_to_sent: Histogram,
    sent_to_answered: Histogram,
    /// States composed.
    pub(crate) compositions: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests_received: Default::default(),
            requests_sent: Default::default(),
            responses_received: Default::default(),
            responses_sent: Default::default(),
            refused: [0; FAILURES],
            notify_failed: [0; FAILURES],
            change_to_sent: Histogram::default(),
            sent_to_answered: Histogram::default(),
            compositions: 0,
        }
    }
}

fn count(table: &mut [[u64; TRANSPORTS]], row: usize, transport: Transport) {
    if let Some(cell) = table.get_mut(row).and_then(|row| row.get_mut(transport as usize)) {
        *cell += 1;
    }
}

fn place_of(method: &str) -> usize {
    METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1)
}

fn count_failure(table: &mut [u32; FAILURES], status: u16) {
    if let Some(cell) = usize::from(status).checked_sub(300).and_then(|at| table.get_mut(at)) {
        *cell = cell.saturating_add(1);
    }
}

impl Metrics {
    /// A request came in.
    pub(crate) fn request_received(&mut self, method: Method<'_>, transport: Transport) {
        count(&mut self.requests_received, place_of(method.as_str()), transport);
    }

    /// A response came in.
    pub(crate) fn response_received(&mut self, status: u16, transport: Transport) {
        count(&mut self.responses_received, usize::from(status / 100).wrapping_sub(1), transport);
    }

    /// A message goes out; keep-alives are none.
    pub(crate) fn sent(&mut self, message: &[u8], transport: Transport) {
        if let Some(status) = message.strip_prefix(b"SIP/2.0 ") {
            let class = status.first().map_or(usize::MAX, |digit| usize::from(digit.wrapping_sub(b'1')));
            return count(&mut self.responses_sent, class, transport);
        }
        let method =
            message.split(|byte| *byte == b' ').next().and_then(|method| std::str::from_utf8(method).ok());
        if let Some(method) = method.filter(|method| method.starts_with(|c: char| c.is_ascii_uppercase())) {
            count(&mut self.requests_sent, place_of(method), transport);
        }
    }

    /// A request was refused.
    pub(crate) fn refused(&mut self, status: u16) {
        count_failure(&mut self.refused, status);
    }

    /// A NOTIFY tells what changed.
    pub(crate) fn notified(&mut self, behind: &mut Behind, now: Instant) {
        if behind.changed_at > 0 {
            self.change_to_sent.observe(now.since(Instant::from_micros(behind.changed_at)));
            if behind.told_at == 0 {
                behind.told_at = behind.changed_at;
            }
        }
        behind.changed_at = 0;
        behind.sent_at = now.as_micros().max(1);
    }

    /// A NOTIFY was answered, or given up (408).
    pub(crate) fn answered(&mut self, behind: &mut Behind, status: u16, now: Instant) {
        if behind.sent_at > 0 && status != 408 {
            self.sent_to_answered.observe(now.since(Instant::from_micros(behind.sent_at)));
        }
        behind.sent_at = 0;
        if status < 300 {
            behind.told_at = 0;
        } else {
            count_failure(&mut self.notify_failed, status);
        }
    }
}

fn by_transport(table: &[[u64; TRANSPORTS]], row: &str, rows: &[&'static str]) -> Vec<Sample> {
    let cells = table.iter().zip(rows).flat_map(|(cells, name)| {
        Transport::ALL
            .iter()
            .map(move |transport| (*name, *transport, cells.get(*transport as usize).copied()))
    });
    let counted = cells.filter_map(|(name, transport, value)| {
        let value = value.filter(|value| *value > 0)?;
        let labels = vec![(row.to_owned(), name.to_owned()), label("transport", transport.name())];
        Some(Sample { labels, value })
    });
    counted.collect()
}

fn by_status(table: &[u32]) -> Vec<Sample> {
    let counted = (300_u16..).zip(table).filter(|(_, count)| **count > 0);
    counted
        .map(|(status, count)| Sample {
            labels: vec![label("code", &status.to_string())],
            value: u64::from(*count),
        })
        .collect()
}

fn label(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

impl Node {
    /// Everything counted, and what can be counted by looking. It looks at each subscription once.
    pub(crate) fn view_metrics(&self, now: Now) -> view::Metrics {
        let metrics = &self.metrics;
        let packages: Vec<PackageId> = PackageId::all().collect();
        let mut live = vec![[[0_u64; TRANSPORTS]; 2]; packages.len()];
        let mut stale = 0;
        for (_, subscription) in self.subscriptions.iter() {
            let ending = usize::from(subscription.ending.is_some());
            let transport = self.connections.transport(subscription.flow.get());
            if let Some(table) = live.get_mut(subscription.package.index()) {
                count(table, ending, transport);
            }
            let since = subscription.behind.since().map(Instant::from_micros);
            stale += u64::from(since.is_some_and(|since| now.mono.since(since) > STALE_AFTER));
        }
        let subscriptions = packages.iter().zip(&live).flat_map(|(package, table)| {
            let mut samples = by_transport(table, "state", &["active", "ending"]);
            samples.iter_mut().for_each(|sample| sample.labels.insert(0, label("package", package.name())));
            samples
        });
        view::Metrics {
            requests_received: by_transport(&metrics.requests_received, "method", &METHODS),
            requests_sent: by_transport(&metrics.requests_sent, "method", &METHODS),
            responses_received: by_transport(&metrics.responses_received, "class", &CLASSES),
            responses_sent: by_transport(&metrics.responses_sent, "class", &CLASSES),
            refused: by_status(&metrics.refused),
            limits: self.hits.samples(),
            notify_failed: by_status(&metrics.notify_failed),
            subscriptions: subscriptions.collect(),
            change_to_sent: metrics.change_to_sent.view(),
            sent_to_answered: metrics.sent_to_answered.view(),
            compositions: metrics.compositions,
            stale,
            status: self.view_status(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_by_what_they_are() {
        let mut metrics = Metrics::default();
        for (text, transport) in [
            ("NOTIFY sip:a@b SIP/2.0\r\n", Transport::Udp),
            ("NOTIFY sip:a@b SIP/2.0\r\n", Transport::Udp),
            ("FROBNICATE sip:a@b SIP/2.0\r\n", Transport::Tls),
            ("SIP/2.0 404 Not Found\r\n", Transport::Wss),
            ("SIP/2.0 ", Transport::Udp),
            ("\r\n", Transport::Tcp),
            ("", Transport::Tcp),
        ] {
            metrics.sent(text.as_bytes(), transport);
        }
        let flat = |samples: Vec<Sample>| -> Vec<(String, String, u64)> {
            samples.into_iter().map(|s| (s.labels[0].1.clone(), s.labels[1].1.clone(), s.value)).collect()
        };
        assert_eq!(
            flat(by_transport(&metrics.requests_sent, "method", &METHODS)),
            [("NOTIFY".into(), "udp".into(), 2), ("other".into(), "tls".into(), 1)]
        );
        assert_eq!(
            flat(by_transport(&metrics.responses_sent, "class", &CLASSES)),
            [("4xx".into(), "wss".into(), 1)]
        );
    }

    #[test]
    fn a_watcher_is_behind_until_it_acknowledges_the_newest_state() {
        let at = |ms: u64| Instant::from_micros(ms * 1000);
        let (mut metrics, mut behind) = (Metrics::default(), Behind::default());
        behind.changed(at(10));
        behind.changed(at(20));
        assert_eq!(behind.since(), Some(10_000));
        metrics.notified(&mut behind, at(30));
        assert_eq!(behind.since(), Some(10_000));
        behind.changed(at(40));
        metrics.answered(&mut behind, 200, at(50));
        assert_eq!(behind.since(), Some(40_000), "what changed meanwhile is not told");
        metrics.notified(&mut behind, at(50));
        metrics.answered(&mut behind, 408, at(32_050));
        assert_eq!(behind.since(), Some(40_000), "nobody acknowledged it");
        metrics.notified(&mut behind, at(33_000));
        metrics.answered(&mut behind, 200, at(33_100));
        assert_eq!(behind.since(), None);
        let count = |histogram: Histogram| histogram.buckets.iter().sum::<u64>();
        assert_eq!((count(metrics.change_to_sent), metrics.change_to_sent.sum_us), (2, 30_000));
        assert_eq!((count(metrics.sent_to_answered), metrics.sent_to_answered.sum_us), (2, 120_000));
        assert_eq!(
            by_status(&metrics.notify_failed),
            [Sample { labels: vec![label("code", "408")], value: 1 }]
        );
    }
}
