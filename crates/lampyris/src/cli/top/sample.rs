//! What the server says of itself at one moment, and what lies between two of them: rates and latencies.

use crate::admin::protocol::Server;
use lampyris_core::view::{Biggest, Histogram, Metrics, Sample as Counted};
use std::collections::VecDeque;

/// Latencies are those of this long, in milliseconds.
const LATELY_MS: u64 = 60_000;
/// Samples that are kept: the length of the small curves.
pub(crate) const KEPT_MAX: usize = 240;

/// One moment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    pub(crate) metrics: Metrics,
    pub(crate) server: Server,
    pub(crate) biggest: Biggest,
}

/// The last moments.
#[derive(Debug, Default)]
pub(crate) struct History {
    samples: VecDeque<Sample>,
}

/// A latency of which so much lies below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantile {
    /// Nothing was observed.
    None,
    /// At most so many microseconds.
    Within(u64),
    /// More than so many.
    Beyond(u64),
}

impl History {
    pub(crate) fn push(&mut self, sample: Sample) {
        // Why: a server that started again counts from zero.
        if self.newest().is_some_and(|last| last.server.started_ms != sample.server.started_ms) {
            self.samples.clear();
        }
        self.samples.push_back(sample);
        if self.samples.len() > KEPT_MAX + 1 {
            self.samples.pop_front();
        }
    }

    pub(crate) fn newest(&self) -> Option<&Sample> {
        self.samples.back()
    }

    /// How often per second this rose, between each two samples, the newest last.
    pub(crate) fn rates(&self, of: impl Fn(&Metrics) -> u64) -> Vec<f64> {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        pairs.map(|(old, new)| rate(of(&old.metrics), of(&new.metrics), old.at_ms, new.at_ms)).collect()
    }

    /// The same, lately alone.
    pub(crate) fn rate(&self, of: impl Fn(&Metrics) -> u64) -> f64 {
        let mut newest = self.samples.iter().rev();
        match (newest.next(), newest.next()) {
            (Some(new), Some(old)) => rate(of(&old.metrics), of(&new.metrics), old.at_ms, new.at_ms),
            _ => 0.0,
        }
    }

    /// The latency below which `part` of the last minute's lie.
    pub(crate) fn latency(&self, part: f64, of: impl Fn(&Metrics) -> &Histogram) -> Quantile {
        let Some(new) = self.newest() else { return Quantile::None };
        let from = self.samples.iter().rev().take_while(|old| new.at_ms - old.at_ms <= LATELY_MS).last();
        let Some(old) = from.filter(|old| old.at_ms < new.at_ms) else { return Quantile::None };
        let (new, old) = (of(&new.metrics), of(&old.metrics));
        let counts: Vec<u64> =
            new.buckets.iter().zip(&old.buckets).map(|(new, old)| new.saturating_sub(*old)).collect();
        let all: u64 = counts.iter().sum();
        if all == 0 {
            return Quantile::None;
        }
        let mut below = 0;
        for (count, bound) in counts.iter().zip(&new.bounds_us) {
            below += count;
            if below as f64 >= all as f64 * part {
                return Quantile::Within(*bound);
            }
        }
        Quantile::Beyond(new.bounds_us.last().copied().unwrap_or(0))
    }
}

fn rate(old: u64, new: u64, old_ms: u64, new_ms: u64) -> f64 {
    let passed_s = new_ms.saturating_sub(old_ms) as f64 / 1000.0;
    if passed_s > 0.0 { new.saturating_sub(old) as f64 / passed_s } else { 0.0 }
}

/// All values of a table together.
pub(crate) fn total(rows: &[Counted]) -> u64 {
    rows.iter().map(|row| row.value).sum()
}

/// The values of a table by one label, most first.
pub(crate) fn by(rows: &[Counted], name: &str) -> Vec<(String, u64)> {
    let mut out: Vec<(String, u64)> = Vec::new();
    for row in rows {
        let label = row.labels.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value);
        match out.iter_mut().find(|(known, _)| known == label) {
            Some((_, value)) => *value += row.value,
            None => out.push((label.to_owned(), row.value)),
        }
    }
    out.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::admin::protocol::Counters;
    use crate::store::Health;
    use lampyris_core::view::{BigWatched, BigWatcher};

    pub(in super::super) fn counted(labels: &[(&str, &str)], value: u64) -> Counted {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Counted { labels, value }
    }

    /// A server that had so many requests and NOTIFYs, as many of which took 1, 5 and more than 5 ms.
    pub(in super::super) fn sample(at_ms: u64, requests: u64, notifies: u64, buckets: [u64; 3]) -> Sample {
        let histogram = Histogram { bounds_us: vec![1000, 5000], buckets: buckets.to_vec(), sum_us: 0 };
        let mut metrics = Metrics {
            requests_received: vec![
                counted(&[("method", "SUBSCRIBE"), ("transport", "udp")], requests / 2),
                counted(&[("method", "REGISTER"), ("transport", "udp")], requests - requests / 2),
            ],
            subscriptions: vec![
                counted(&[("package", "dialog"), ("state", "active"), ("transport", "udp")], 40),
                counted(&[("package", "presence"), ("state", "active"), ("transport", "tls")], 10),
            ],
            refused: vec![counted(&[("code", "489")], 3)],
            change_to_sent: histogram.clone(),
            sent_to_answered: histogram,
            ..Metrics::default()
        };
        metrics.status.notifies = notifies;
        metrics.status.up_s = 3700;
        let server = Server {
            version: "1.2.3".into(),
            pid: 7,
            listeners: vec!["udp:192.0.2.1:5060".into()],
            durability: "power".into(),
            started_ms: 1,
            counters: Counters { records_stored: 5, ..Counters::default() },
            store: Health::default(),
        };
        let biggest = Biggest {
            watchers: vec![BigWatcher {
                watcher: "Alice".into(),
                subscriptions: 30,
                notifies: 90,
                user_agent: "Z".into(),
            }],
            watched: vec![BigWatched { resource: "6001@default".into(), state: "InUse".into(), watchers: 9 }],
        };
        Sample { at_ms, metrics, server, biggest }
    }

    #[test]
    fn rates_lie_between_samples() {
        let mut history = History::default();
        assert_eq!(history.rate(|metrics| metrics.status.notifies), 0.0);
        for (at_ms, notifies) in [(1000, 10), (3000, 30), (4000, 35)] {
            history.push(sample(at_ms, 0, notifies, [0; 3]));
        }
        assert_eq!(history.rates(|metrics| metrics.status.notifies), [10.0, 5.0]);
        assert_eq!(history.rate(|metrics| metrics.status.notifies), 5.0);
        let mut again = sample(5000, 0, 1, [0; 3]);
        again.server.started_ms = 2;
        history.push(again);
        assert_eq!(history.rate(|metrics| metrics.status.notifies), 0.0, "another process");
        (0..1000).for_each(|n| history.push(sample(n, 0, 0, [0; 3])));
        assert_eq!(history.samples.len(), KEPT_MAX + 1);
    }

    #[test]
    fn latencies_are_those_of_the_last_minute() {
        let mut history = History::default();
        let at = |history: &History, part| history.latency(part, |metrics| &metrics.change_to_sent);
        assert_eq!(at(&history, 0.5), Quantile::None);
        history.push(sample(1000, 0, 0, [0, 900, 0]));
        assert_eq!(at(&history, 0.5), Quantile::None, "of before we looked");
        history.push(sample(2000, 0, 0, [60, 930, 10]));
        assert_eq!(at(&history, 0.5), Quantile::Within(1000));
        assert_eq!(at(&history, 0.9), Quantile::Within(5000));
        assert_eq!(at(&history, 0.99), Quantile::Beyond(5000));
        history.push(sample(62_000, 0, 0, [61, 930, 10]));
        assert_eq!(at(&history, 0.99), Quantile::Within(1000));
    }

    #[test]
    fn tables_are_summed_by_a_label() {
        let rows = [
            counted(&[("method", "A"), ("transport", "udp")], 1),
            counted(&[("method", "B"), ("transport", "udp")], 5),
            counted(&[("method", "A"), ("transport", "tls")], 2),
        ];
        assert_eq!(by(&rows, "method"), [("B".to_owned(), 5), ("A".to_owned(), 3)]);
        assert_eq!(by(&rows, "transport"), [("udp".to_owned(), 6), ("tls".to_owned(), 2)]);
        assert_eq!(total(&rows), 8);
    }
}
