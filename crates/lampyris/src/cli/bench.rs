//! `lampyris bench`: load for a SIP presence server, and what it costs the server. The load itself is in `crate::bench`.
//!
//! Exit code 1 where an operation failed or the server did something wrong; the table says what.

use super::failure::Failure;
use super::table::{self, Column};
use super::{Context, Verb};
use crate::bench::limits::{BODY_BYTES_MAX, FLOWS_MAX, WATCHERS_MAX};
use crate::bench::{self, Account, Pace, Plan, Report, Row, Shape, Target, Work};
use crate::config::Listen;
use clap::{Args, FromArgMatches};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "bench",
    about: "Load a SIP presence server, this one or another, check what it sends, and measure what that costs it",
    examples: &[
        ("bench subscribe udp:127.0.0.1:5060 --watchers 10000 --presentities 1000", "new subscriptions"),
        (
            "bench fanout udp:127.0.0.1:5060 --watchers 1000 --presentities 1 --rate 100 --seconds 60 --pid 4711",
            "100,000 NOTIFYs per second, and the CPU time of process 4711 for each",
        ),
        (
            "bench subscribe tls:127.0.0.1:5061 --domain example.com --ca ca.pem --user Alice --password secret",
            "with digest, over TLS",
        ),
        (
            "bench growth udp:127.0.0.1:5060 --watchers 10000 --presentities 1000 --pid 4711 --json",
            "cost as it grows, for a program",
        ),
        ("bench calls udp:127.0.0.1:5060 --presentities 10 --rate 200 --seconds 30", "calls to p0 ... p9"),
    ],
    args: BenchArgs::augment_args,
    run: |matches, context| run(&BenchArgs::from_arg_matches(matches)?, context),
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// New subscriptions
    Subscribe,
    /// Refreshes of subscriptions
    Refresh,
    /// Changes of state that nobody watches
    Publish,
    /// Changes of state that are watched
    Fanout,
    /// Five refreshes, three changes, one new and one ended subscription of ten
    Mixed,
    /// Calls through the server as a proxy
    Calls,
    /// All of them but calls, as the number of subscriptions and of watchers grows
    Growth,
}

#[derive(Debug, clap::Args)]
struct BenchArgs {
    /// Which load
    #[arg(value_name = "LOAD")]
    kind: Kind,
    /// The server, as in udp:127.0.0.1:5060, tls:192.0.2.5:5061 or ws:127.0.0.1:5080
    #[arg(value_name = "TRANSPORT:ADDR:PORT", value_parser = Listen::parse)]
    server: Listen,
    /// Domain of all users [default: bench.example]
    #[arg(long, value_name = "DOMAIN", default_value = "bench.example", hide_default_value = true)]
    domain: String,
    /// Subscriptions in all [default: 1000]
    #[arg(long, value_name = "N", default_value_t = 1000, hide_default_value = true)]
    watchers: usize,
    /// Presentities they are spread over, or callees [default: 100]
    #[arg(long, value_name = "N", default_value_t = 100, hide_default_value = true)]
    presentities: usize,
    /// Operations that are measured; as many as there are watchers (of publish and fanout: presentities) where not given
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Seconds for which operations are begun, instead of a number of them
    #[arg(long, value_name = "N", conflicts_with = "count")]
    seconds: Option<u64>,
    /// Operations under way at a time [default: 512]
    #[arg(long, value_name = "N", default_value_t = 512, hide_default_value = true)]
    window: usize,
    /// Operations per second, whether the server keeps up or not, instead of a window
    #[arg(long, value_name = "N", conflicts_with = "window")]
    rate: Option<f64>,
    /// With refresh: in any order instead of that in which the subscriptions were made
    #[arg(long)]
    random: bool,
    /// Sockets, or connections, that the phones share [default: 64]
    #[arg(long, value_name = "N", default_value_t = 64, hide_default_value = true)]
    flows: usize,
    /// Answer challenges as this user; a challenge for each request unless --keep-nonce
    #[arg(long, value_name = "USER", requires = "password")]
    user: Option<String>,
    /// The password of --user
    #[arg(long, value_name = "SECRET", requires = "user")]
    password: Option<String>,
    /// Use a nonce again as long as the server takes it
    #[arg(long, requires = "user")]
    keep_nonce: bool,
    /// Presentities and callees are called this and a number [default: p]
    #[arg(long, value_name = "NAME", default_value = "p", hide_default_value = true)]
    presentity: String,
    /// Size of published documents in bytes [default: 600]
    #[arg(long, value_name = "N", default_value_t = 600, hide_default_value = true)]
    body_bytes: usize,
    /// Seconds that subscriptions are asked to last [default: 3600]
    #[arg(long, value_name = "N", default_value_t = 3600, hide_default_value = true)]
    expires: u32,
    /// With calls: milliseconds from ACK to BYE [default: 0]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    hold_ms: u64,
    /// With growth: subscriptions held [default: 10000,100000]
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "10000,100000",
        hide_default_value = true
    )]
    sizes: Vec<usize>,
    /// With growth: watchers of one presentity [default: 1,10,100,1000,10000]
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "1,10,100,1000,10000",
        hide_default_value = true
    )]
    fan_outs: Vec<usize>,
    /// With subscribe and growth: seconds between the last subscription and a second look at the memory
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    settle: u64,
    /// Leave subscriptions to expire instead of ending them
    #[arg(long)]
    leave: bool,
    /// Process id of the server, whose CPU time and memory are measured, with its descendants; may be given several times,
    /// for a database beside it
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    /// Authorities (PEM) that vouch for the server's certificate; the system's where not given
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl BenchArgs {
    fn plan(&self) -> Result<Plan, Failure> {
        let within = |name: &str, value: usize, max: usize| match (1..=max).contains(&value) {
            true => Ok(()),
            false => Err(Failure::Usage(format!("--{name} is from 1 to {max}, not {value}"))),
        };
        within("watchers", self.watchers, WATCHERS_MAX)?;
        within("presentities", self.presentities, WATCHERS_MAX)?;
        within("flows", self.flows, FLOWS_MAX)?;
        within("window", self.window, WATCHERS_MAX)?;
        within("body-bytes", self.body_bytes, BODY_BYTES_MAX)?;
        for (name, list) in [("sizes", &self.sizes), ("fan-outs", &self.fan_outs)] {
            list.iter().try_for_each(|size| within(name, *size, WATCHERS_MAX))?;
        }
        if self.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
            return Err(Failure::Usage("--rate is more than 0 per second".to_owned()));
        }
        let work = match self.kind {
            Kind::Subscribe => Work::Subscribe,
            Kind::Refresh => Work::Refresh { random: self.random },
            Kind::Publish => Work::Publish,
            Kind::Fanout => Work::Fanout,
            Kind::Mixed => Work::Mixed,
            Kind::Calls => Work::Calls { hold_ms: self.hold_ms },
            Kind::Growth => Work::Growth { sizes: self.sizes.clone(), fan_outs: self.fan_outs.clone() },
        };
        let account = self.user.clone().zip(self.password.clone()).map(|(user, password)| Account {
            user,
            password,
            keeps_nonce: self.keep_nonce,
        });
        Ok(Plan {
            target: Target {
                server: self.server,
                domain: self.domain.clone(),
                ca: self.ca.clone(),
                pids: self.pid.clone(),
            },
            work,
            watchers: self.watchers,
            presentities: self.presentities,
            count: self.count,
            seconds: self.seconds,
            pace: self.rate.map_or(Pace::Window(self.window), Pace::Rate),
            flows: self.flows,
            account,
            shape: Shape {
                body_bytes: self.body_bytes,
                expires_s: self.expires,
                presentity: self.presentity.clone(),
            },
            leave: self.leave,
            settle_s: self.settle,
        })
    }
}

fn run(args: &BenchArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let plan = args.plan()?;
    let mut errors = std::io::stderr();
    let terminal: Option<&mut dyn Write> = if errors.is_terminal() { Some(&mut errors) } else { None };
    let report = bench::run(&plan, terminal).map_err(|error| Failure::Refused(error.to_string()))?;
    if context.json {
        let value = serde_json::to_value(&report).map_err(|error| Failure::Refused(error.to_string()))?;
        context.print_json(&value)?;
    } else {
        context.print(&render(&report, context.width))?;
    }
    match report.ok {
        true => Ok(()),
        false if context.json => Err(Failure::Shown),
        false => Err(Failure::Refused(wrong(&report).join("\n"))),
    }
}

const COLUMNS: [Column; 12] = [
    Column::Text("Load"),
    Column::Number("Done"),
    Column::Number("Per s"),
    Column::Number("NOTIFYs"),
    Column::Number("CPU us"),
    Column::Number("user"),
    Column::Number("system"),
    Column::Number("per NOTIFY"),
    Column::Number("p50 ms"),
    Column::Number("p99 ms"),
    Column::Number("Again"),
    Column::Number("Own us"),
];

/// The table, and under it what concerns single rows.
fn render(report: &Report, width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> = report.rows.iter().map(cells).collect();
    let mut out = format!(
        "{}, {}, {} flows; CPU of the server per operation, and the load's own\n",
        report.server, report.pace, report.flows
    );
    out.push_str(&table::render(&COLUMNS, &rows, width));
    for row in &report.rows {
        if let Some(latency) = row.notify_latency_ms {
            out.push_str(&format!(
                "{}: from PUBLISH to each NOTIFY p50 {:.2} ms, p99 {:.2} ms, last {:.2} ms\n",
                row.name, latency.p50, latency.p99, latency.max
            ));
        }
        if let (Some(before), Some(memory)) = (row.memory_before, row.memory) {
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            out.push_str(&format!(
                "{}: {} subscriptions, memory {:.1} MiB of its own ({:+.1}), {:.1} MiB shared, {:.1} MiB of files\n",
                row.name,
                row.subscriptions,
                mib(memory.anonymous),
                mib(memory.anonymous) - mib(before.anonymous),
                mib(memory.shared),
                mib(memory.file)
            ));
        }
    }
    out
}

fn cells(row: &Row) -> Vec<String> {
    let us = |us: Option<f64>| us.map_or("-".to_owned(), |us| format!("{us:.1}"));
    let ms = |ms: Option<f64>| ms.map_or("-".to_owned(), |ms| format!("{ms:.2}"));
    let cpu = row.server_cpu_us.as_ref();
    vec![
        row.name.clone(),
        row.operations.to_string(),
        format!("{:.0}", row.per_second),
        row.notifies.to_string(),
        us(cpu.map(|cpu| cpu.per_operation)),
        us(cpu.map(|cpu| cpu.user_per_operation)),
        us(cpu.map(|cpu| cpu.system_per_operation)),
        us(cpu.and_then(|cpu| cpu.per_notify)),
        ms(row.latency_ms.map(|latency| latency.p50)),
        ms(row.latency_ms.map(|latency| latency.p99)),
        format!("{}+{}", row.sent_again, row.repeated),
        us(row.generator_cpu_us.as_ref().map(|cpu| cpu.per_notify.unwrap_or(cpu.per_operation))),
    ]
}

/// What was not as it must be, a line for each kind.
fn wrong(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for row in &report.rows {
        for (why, count) in &row.failed {
            lines.push(format!("{}: {count} failed: {why}", row.name));
        }
        let faults = row.faults;
        for (what, count) in [
            ("missing", faults.missing),
            ("duplicated", faults.duplicated),
            ("out of order", faults.out_of_order),
            ("wrong in body", faults.wrong_body),
            ("unreadable", faults.unreadable),
        ] {
            if count > 0 {
                lines.push(format!("{}: {count} {what}", row.name));
            }
        }
    }
    lines
}
