//! `/metrics` (OpenMetrics 1.0, which Prometheus scrapes): one table of what there is, filled in when asked.
//!
//! Nothing is counted here: the node and the I/O side count plain integers, and one command reads them. `docs/metrics.md` is
//! generated from [`METRICS`]; tests hold the table to what is served, and the Grafana dashboard to the table.

use super::grant::Grant;
use super::problem::Problem;
use super::server::Remote;
use super::{Api, read};
use crate::admin::protocol::Counters;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use lampyris_core::command::{Command, Reply};
use lampyris_core::view;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt::Write as _;
use std::sync::Arc;

/// The media type.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric: name without `_total`, kind, labels, what it says.
type Metric = (&'static str, Kind, &'static str, &'static str);

/// Every metric, in the order of the page.
#[rustfmt::skip]
const METRICS: &[Metric] = &[
    ("lampyris_requests_received", Kind::Counter, "method, transport", "Requests received."),
    ("lampyris_requests_sent", Kind::Counter, "method, transport", "Requests sent, repetitions included."),
    ("lampyris_responses_received", Kind::Counter, "class, transport", "Responses received."),
    ("lampyris_responses_sent", Kind::Counter, "class, transport", "Responses sent, repetitions included."),
    ("lampyris_malformed", Kind::Counter, "", "Messages that were not SIP."),
    ("lampyris_requests_refused", Kind::Counter, "code", "Requests refused, challenges not included."),
    ("lampyris_limits_hit", Kind::Counter, "limit", "What was over a limit; `lampyris show limits` says what each is."),
    ("lampyris_transactions", Kind::Gauge, "", "Transactions in flight."),
    ("lampyris_timers", Kind::Gauge, "", "Timers that are set, those of transactions included."),
    ("lampyris_subscriptions", Kind::Gauge, "package, state, transport", "Subscriptions: active, or ending with their last NOTIFY on its way."),
    ("lampyris_publications", Kind::Gauge, "", "Publications."),
    ("lampyris_bindings", Kind::Gauge, "", "Bindings."),
    ("lampyris_calls", Kind::Gauge, "", "Calls, those included that ended a moment ago."),
    ("lampyris_requests_passing", Kind::Gauge, "", "Requests that are passed on and not answered yet, and their forks."),
    ("lampyris_notifies_sent", Kind::Counter, "", "NOTIFYs sent, repetitions not included."),
    ("lampyris_notifies_answered", Kind::Counter, "", "NOTIFYs answered 2xx."),
    ("lampyris_notifies_failed", Kind::Counter, "code", "NOTIFYs that were refused; 408 for those nobody answered."),
    ("lampyris_notify_change_to_sent_seconds", Kind::Histogram, "", "From a change of state to the NOTIFY that tells it: waiting for the answer to the one before, and for a failed one to be tried again."),
    ("lampyris_notify_sent_to_answered_seconds", Kind::Histogram, "", "From a NOTIFY to its answer, repetitions included."),
    ("lampyris_compositions", Kind::Counter, "", "States composed, once per resource and package."),
    ("lampyris_lamps_stale", Kind::Gauge, "", "Subscriptions whose watcher has not acknowledged the current state for 40 seconds. Must be 0."),
    ("lampyris_records_waiting", Kind::Gauge, "", "Records that wait for the store."),
    ("lampyris_messages_held", Kind::Gauge, "", "Messages that wait for the store."),
    ("lampyris_messages_held_dropped", Kind::Counter, "", "Messages dropped because the record they waited for could not be stored."),
    ("lampyris_records_stored", Kind::Counter, "", "Records stored."),
    ("lampyris_records_failed", Kind::Counter, "", "Records that could not be stored."),
    ("lampyris_store_commits", Kind::Counter, "", "Commits of the store."),
    ("lampyris_store_commit_seconds", Kind::Histogram, "", "From the first record of a commit to its being durable."),
    ("lampyris_datagrams_waiting", Kind::Gauge, "", "Datagrams read that wait for their turn."),
    ("lampyris_inbox_waiting", Kind::Gauge, "", "What other threads told the node (messages of streams, the store, DNS, commands) and waits for its turn."),
    ("lampyris_datagrams_received", Kind::Counter, "", "Datagrams received, keep-alives included."),
    ("lampyris_datagrams_sent", Kind::Counter, "", "Datagrams sent."),
    ("lampyris_datagrams_failed", Kind::Counter, "", "Datagrams the kernel would not take."),
    ("lampyris_streams_open", Kind::Gauge, "", "Streams open now."),
    ("lampyris_streams_opened", Kind::Counter, "", "Streams opened, both ways."),
    ("lampyris_streams_failed", Kind::Counter, "", "Messages to streams that were gone or not read."),
    ("lampyris_events_dropped", Kind::Counter, "", "Debug messages and events lost to slow readers."),
    ("lampyris_webhook_delivered", Kind::Counter, "webhook", "Deliveries that a webhook took."),
    ("lampyris_webhook_retried", Kind::Counter, "webhook", "Deliveries that were tried again."),
    ("lampyris_webhook_dead", Kind::Counter, "webhook", "Events a webhook never took, or that were forgotten before it could."),
    ("lampyris_bugs", Kind::Counter, "", "Own bugs met and survived. Must be 0."),
    ("lampyris_uptime_seconds", Kind::Gauge, "", "Seconds since the start."),
    ("process_cpu_seconds", Kind::Counter, "", "CPU time of the process."),
    ("process_resident_memory_bytes", Kind::Gauge, "", "Memory of the process."),
    ("process_virtual_memory_bytes", Kind::Gauge, "", "Address space of the process; the store reserves much and uses little."),
    ("process_threads", Kind::Gauge, "", "Threads of the process."),
    ("process_start_time_seconds", Kind::Gauge, "", "When the process started, in seconds since the Unix epoch."),
    ("process_max_fds", Kind::Gauge, "", "Most descriptors the process may have."),
    ("process_open_fds", Kind::Gauge, "", "Open descriptors of the process."),
];

/// A value.
#[derive(Debug)]
enum Value {
    Count(Vec<view::Sample>),
    Float(f64),
    Latency(view::Histogram),
}

/// What is served at one moment.
#[derive(Debug)]
struct Page(Vec<(&'static str, Value)>);

impl Page {
    fn of(metrics: view::Metrics, io: &Counters, webhooks: Webhooks, started_s: u64) -> Self {
        let one = |value: u64| Value::Count(vec![view::Sample { labels: Vec::new(), value }]);
        let size = |value: usize| one(u64::try_from(value).unwrap_or(u64::MAX));
        let status = metrics.status;
        let process = Process::read();
        Self(vec![
            ("lampyris_requests_received", Value::Count(metrics.requests_received)),
            ("lampyris_requests_sent", Value::Count(metrics.requests_sent)),
            ("lampyris_responses_received", Value::Count(metrics.responses_received)),
            ("lampyris_responses_sent", Value::Count(metrics.responses_sent)),
            ("lampyris_malformed", one(status.malformed)),
            ("lampyris_requests_refused", Value::Count(metrics.refused)),
            ("lampyris_limits_hit", Value::Count(metrics.limits)),
            ("lampyris_transactions", size(status.transactions)),
            ("lampyris_timers", size(status.timers)),
            ("lampyris_subscriptions", Value::Count(metrics.subscriptions)),
            ("lampyris_publications", size(status.publications)),
            ("lampyris_bindings", size(status.bindings)),
            ("lampyris_calls", size(status.calls)),
            ("lampyris_requests_passing", size(status.passing)),
            ("lampyris_notifies_sent", one(status.notifies)),
            ("lampyris_notifies_answered", one(status.notifies_ok)),
            ("lampyris_notifies_failed", Value::Count(metrics.notify_failed)),
            ("lampyris_notify_change_to_sent_seconds", Value::Latency(metrics.change_to_sent)),
            ("lampyris_notify_sent_to_answered_seconds", Value::Latency(metrics.sent_to_answered)),
            ("lampyris_compositions", one(metrics.compositions)),
            ("lampyris_lamps_stale", one(metrics.stale)),
            ("lampyris_records_waiting", size(status.unpersisted)),
            ("lampyris_messages_held", one(io.held)),
            ("lampyris_messages_held_dropped", one(io.held_dropped)),
            ("lampyris_records_stored", one(io.records_stored)),
            ("lampyris_records_failed", one(io.records_failed)),
            ("lampyris_store_commits", one(io.commits)),
            ("lampyris_store_commit_seconds", Value::Latency(io.store_latency.clone())),
            ("lampyris_datagrams_waiting", one(io.datagrams_waiting)),
            ("lampyris_inbox_waiting", one(io.inbox_waiting)),
            ("lampyris_datagrams_received", one(io.udp_received)),
            ("lampyris_datagrams_sent", one(io.udp_sent)),
            ("lampyris_datagrams_failed", one(io.udp_send_failed)),
            ("lampyris_streams_open", one(io.streams_open)),
            ("lampyris_streams_opened", one(io.streams_opened)),
            ("lampyris_streams_failed", one(io.streams_send_failed)),
            ("lampyris_events_dropped", one(io.debug_dropped)),
            ("lampyris_webhook_delivered", Value::Count(webhooks.delivered)),
            ("lampyris_webhook_retried", Value::Count(webhooks.retried)),
            ("lampyris_webhook_dead", Value::Count(webhooks.dead)),
            ("lampyris_bugs", one(status.bugs)),
            ("lampyris_uptime_seconds", one(status.up_s)),
            ("process_cpu_seconds", Value::Float(process.cpu_s)),
            ("process_resident_memory_bytes", one(process.resident_bytes)),
            ("process_virtual_memory_bytes", one(process.virtual_bytes)),
            ("process_threads", one(process.threads)),
            ("process_start_time_seconds", one(started_s)),
            ("process_max_fds", one(process.descriptors_max)),
            ("process_open_fds", one(process.descriptors)),
        ])
    }
}

/// What webhooks counted.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    /// By `webhook`.
    pub(crate) delivered: Vec<view::Sample>,
    /// By `webhook`.
    pub(crate) retried: Vec<view::Sample>,
    /// By `webhook`.
    pub(crate) dead: Vec<view::Sample>,
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        for (name, value) in &self.0 {
            let Some((_, kind, _, help)) = METRICS.iter().find(|metric| metric.0 == *name) else { continue };
            let kind = match kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let is_counter = matches!(kind, MetricType::Counter);
            let mut metric = encoder.encode_descriptor(name, help.trim_end_matches('.'), None, kind)?;
            match value {
                Value::Count(samples) => {
                    for sample in samples {
                        // Why: a family without labels would have empty braces.
                        if sample.labels.is_empty() {
                            encode(&mut metric, is_counter, sample.value)?;
                        } else {
                            encode(&mut metric.encode_family(&sample.labels)?, is_counter, sample.value)?;
                        }
                    }
                }
                Value::Float(value) => metric.encode_counter::<NoLabelSet, _, f64>(value, None)?,
                Value::Latency(latency) => {
                    let bounds = latency.bounds_us.iter().map(|us| seconds(*us)).chain([f64::MAX]);
                    let buckets: Vec<_> = bounds.zip(latency.buckets.iter().copied()).collect();
                    let count = latency.buckets.iter().sum();
                    metric.encode_histogram::<NoLabelSet>(seconds(latency.sum_us), count, &buckets, None)?;
                }
            }
        }
        Ok(())
    }
}

fn encode(metric: &mut MetricEncoder<'_>, is_counter: bool, value: u64) -> std::fmt::Result {
    if is_counter {
        return metric.encode_counter::<NoLabelSet, _, u64>(&value, None);
    }
    // A gauge of this many is beyond all that fits into memory.
    metric.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))
}

fn seconds(us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64()
}

/// What the system says of this process.
struct Process {
    cpu_s: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: u64,
    descriptors: u64,
    descriptors_max: u64,
}

impl Process {
    fn read() -> Self {
        use nix::sys::resource::{UsageWho, getrusage};
        let second = |time: nix::sys::time::TimeVal| {
            use nix::sys::time::TimeValLike as _;
            seconds(u64::try_from(time.num_microseconds()).unwrap_or(0))
        };
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        let cpu_s = usage.map_or(0.0, |usage| second(usage.user_time()) + second(usage.system_time()));
        let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let said = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value
                .and_then(|value| value.trim().trim_end_matches("kB").trim().parse::<u64>().ok())
                .unwrap_or(0)
        };
        let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self {
            cpu_s,
            resident_bytes: said("VmRSS") * 1024,
            virtual_bytes: said("VmSize") * 1024,
            threads: said("Threads"),
            descriptors_max: limit.map_or(0, |(soft, _)| soft),
            descriptors: u64::try_from(open).unwrap_or(u64::MAX),
        }
    }
}

/// The metrics. From this machine they take no token, unless somebody asks on behalf of another.
pub(super) async fn metrics(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let remote = parts.extensions.get::<Remote>().copied();
    let is_local = remote.is_some_and(|Remote(remote)| remote.ip().is_loopback());
    let is_open = is_local && is_direct(&parts.headers) && !parts.headers.contains_key(header::AUTHORIZATION);
    if !is_open && !Grant::from_request_parts(&mut parts, &api).await?.reads_metrics() {
        return Err(Problem::forbidden("this takes the scope metrics:read"));
    }
    let Reply::Metrics(counted) = api.ask(Command::Metrics).await? else {
        return Err(read::unexpected(&Reply::Done { count: 0 }));
    };
    let started_s = api.server.started_ms / 1000;
    let page = Page::of(*counted, &api.counters().await?, api.webhooks.counted(), started_s);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(page));
    let mut out = String::new();
    text::encode(&mut out, &registry)
        .map_err(|_| Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "an own bug"))?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], out).into_response())
}

/// Whether nobody passed this on, and it is no page that was led here by a name of its own (DNS rebinding).
fn is_direct(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let is_own = name.eq_ignore_ascii_case("localhost") || ip.is_ok();
    is_own && !["forwarded", "x-forwarded-for", "via"].iter().any(|name| headers.contains_key(*name))
}

/// `docs/metrics.md`.
pub fn document() -> String {
    let mut out = String::from(
        "# Metrics\n\nThis file is generated from the table of metrics; a test compares them.\n\n`/metrics` of the HTTP \
         address speaks OpenMetrics, which Prometheus scrapes. From this machine it takes no token; from\nelsewhere, or \
         through a proxy, one with the scope `metrics:read`. A label has few values whatever the traffic is: no name \
         of a\nperson or phone is one. A scrape looks at each subscription once, on the node's thread.\n\n\
         [A dashboard for Grafana](../packaging/grafana.json) draws them. What to be woken for: `lampyris_lamps_stale` or \
         `lampyris_bugs`\nabove 0, `lampyris_records_failed_total` rising.\n\n| metric | kind | labels | says |\n|---|---|---|---|\n",
    );
    for (name, kind, labels, help) in METRICS {
        let (suffix, kind) = match kind {
            Kind::Counter => ("_total", "counter"),
            Kind::Gauge => ("", "gauge"),
            Kind::Histogram => ("", "histogram"),
        };
        let labels: Vec<_> =
            labels.split(", ").filter(|label| !label.is_empty()).map(|label| format!("`{label}`")).collect();
        let _ = writeln!(out, "| `{name}{suffix}` | {kind} | {} | {help} |", labels.join(" "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn page() -> Page {
        Page::of(view::Metrics::default(), &Counters::default(), Webhooks::default(), 0)
    }

    #[test]
    fn the_table_is_what_is_served() {
        let names: Vec<_> = METRICS.iter().map(|metric| metric.0).collect();
        assert_eq!(page().0.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    }

    #[test]
    fn a_page_is_openmetrics() {
        let mut counted = view::Metrics::default();
        let labels =
            vec![("method".to_owned(), "NOTIFY".to_owned()), ("transport".to_owned(), "udp".to_owned())];
        counted.requests_sent = vec![view::Sample { labels, value: 7 }];
        counted.change_to_sent =
            view::Histogram { bounds_us: vec![1000], buckets: vec![2, 1], sum_us: 5_500 };
        let mut registry = Registry::default();
        let page = Page::of(counted, &Counters::default(), Webhooks::default(), 1_767_225_600);
        registry.register_collector(Box::new(page));
        let mut out = String::new();
        text::encode(&mut out, &registry).expect("text");
        for line in [
            "lampyris_requests_sent_total{method=\"NOTIFY\",transport=\"udp\"} 7",
            "lampyris_notify_change_to_sent_seconds_sum 0.0055",
            "lampyris_notify_change_to_sent_seconds_count 3",
            "lampyris_notify_change_to_sent_seconds_bucket{le=\"0.001\"} 2",
            "lampyris_notify_change_to_sent_seconds_bucket{le=\"+Inf\"} 3",
            "lampyris_lamps_stale 0",
            "process_start_time_seconds 1767225600",
            "# TYPE lampyris_bugs counter",
            "# EOF",
        ] {
            assert!(out.lines().any(|found| found == line), "{line}\n{out}");
        }
    }

    #[test]
    fn only_what_comes_straight_from_here_is_open() {
        for (host, more, open) in [
            ("127.0.0.1:8470", None, true),
            ("localhost:8470", None, true),
            ("[::1]:8470", None, true),
            ("[::1]", None, true),
            ("evil.example:8470", None, false),
            ("", None, false),
            ("127.0.0.1", Some("x-forwarded-for"), false),
            ("127.0.0.1", Some("forwarded"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().expect("a value"));
            if let Some(name) = more {
                headers.insert(name, "x".parse().expect("a value"));
            }
            assert_eq!(is_direct(&headers), open, "{host} {more:?}");
        }
    }

    #[test]
    fn the_dashboard_names_metrics_that_there_are() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/grafana.json");
        let text = std::fs::read_to_string(path).expect("the dashboard");
        let _: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let named: BTreeSet<_> = text
            .split(|c| !word(c))
            .filter(|name| name.starts_with("lampyris_") || name.starts_with("process_"))
            .collect();
        assert!(named.len() > 15, "{named:?}");
        for name in named {
            let known = METRICS.iter().any(|(known, kind, ..)| match kind {
                Kind::Counter => format!("{known}_total") == name,
                Kind::Gauge => *known == name,
                Kind::Histogram => {
                    ["bucket", "sum", "count"].iter().any(|part| format!("{known}_{part}") == name)
                }
            });
            assert!(known, "{name} is no metric");
        }
    }

    #[test]
    fn the_documents_are_fresh() {
        for (name, fresh) in [("metrics.md", document()), ("openapi.json", crate::http::openapi_document())] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
            if std::env::var_os("LAMPYRIS_WRITE_DOCS").is_some() {
                std::fs::write(&path, &fresh).expect("written");
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == fresh, "docs/{name} is old: run the tests with LAMPYRIS_WRITE_DOCS=1");
        }
    }
}
