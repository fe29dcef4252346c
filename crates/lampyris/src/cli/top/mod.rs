//! `lampyris top`: how busy the running server is, live: rates, latencies, subscriptions, the biggest watchers.
//!
//! A thread asks the admin socket every now and then for what Prometheus reads too (`Metrics`), for the I/O side's counters and
//! for who has the most. Without a terminal two samples are taken, and what lies between them is printed.

mod sample;
mod view;

use super::client::{Client, decode, unexpected};
use super::failure::Failure;
use super::screen::paint::Paint;
use super::screen::{self, Feed};
use super::{Context, Verb};
use crate::admin::protocol::{Request, Response};
use clap::{Args, FromArgMatches};
use lampyris_core::command::Command;
use sample::{History, Quantile, Sample, by};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use view::TopView;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "top",
    about: "Show how busy the server is, live: rates, latencies, subscriptions, the biggest watchers",
    examples: &[
        ("top", "`space` pauses, `?` shows the keys, `q` leaves"),
        ("top --every 5", "a look every five seconds"),
        ("top --json", "the rates of one second, for programs"),
    ],
    args: TopArgs::augment_args,
    run: |matches, context| run(&TopArgs::from_arg_matches(matches)?, context),
};

/// Watchers and resources asked for; a screen seldom has room for more.
const MOST: usize = 50;
/// Between the two samples where there is no terminal.
const BETWEEN: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
struct TopArgs {
    /// Seconds from one look to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// Draw with ASCII alone
    #[arg(long)]
    ascii: bool,
}

/// What the thread tells the screen.
#[derive(Debug)]
enum News {
    Sample(Box<Sample>),
    /// The server is gone, and what the system said.
    Lost(String),
}

fn run(args: &TopArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut client = Client::connect(&context.data)?;
    if context.json || !screen::is_possible() {
        return once(context, &mut client);
    }
    let mut top = TopView::new(Paint::of_environment(args.ascii), args.every);
    let (data, every) = (context.data.clone(), Duration::from_secs(args.every));
    screen::show(&mut top, move |feed| feed.spawn(move |feed| look(&data, every, &feed)))
}

fn ask(client: &mut Client) -> Result<Sample, Failure> {
    let metrics = decode(client.command(Command::Metrics)?)?;
    let server = match client.request(&Request::Server)? {
        Response::Server(server) => *server,
        other => return Err(unexpected(&other)),
    };
    let biggest = decode(client.command(Command::Biggest { most: MOST })?)?;
    Ok(Sample { at_ms: screen::now_ms(), metrics, server, biggest })
}

/// Looks every now and then, for as long as somebody looks too.
fn look(data: &Path, every: Duration, feed: &Feed<News>) {
    let mut client: Option<Client> = None;
    loop {
        let asked = (|| {
            let client = match &mut client {
                Some(client) => client,
                none => none.insert(Client::connect(data)?),
            };
            ask(client)
        })();
        let news = match asked {
            Ok(sample) => News::Sample(Box::new(sample)),
            Err(failure) => {
                client = None;
                News::Lost(failure.to_string())
            }
        };
        if !feed.send(news) {
            return;
        }
        std::thread::sleep(every);
    }
}

/// Prints the rates of one second.
fn once(context: &mut Context<'_>, client: &mut Client) -> Result<(), Failure> {
    let mut history = History::default();
    history.push(ask(client)?);
    std::thread::sleep(BETWEEN);
    history.push(ask(client)?);
    print(context, &history)
}

fn print(context: &mut Context<'_>, history: &History) -> Result<(), Failure> {
    let Some(newest) = history.newest() else { return Ok(()) };
    if context.json {
        let latency = |of: view::Latency| {
            let ms = |part| match history.latency(part, of) {
                Quantile::None => serde_json::Value::Null,
                Quantile::Within(us) => json!({ "within_ms": us as f64 / 1000.0 }),
                Quantile::Beyond(us) => json!({ "beyond_ms": us as f64 / 1000.0 }),
            };
            json!({ "p50": ms(0.5), "p99": ms(0.99) })
        };
        let rates = view::RATES.iter().map(|(_, key, of)| ((*key).to_owned(), json!(history.rate(of))));
        let latencies = view::LATENCIES.iter().map(|(_, key, of)| ((*key).to_owned(), latency(*of)));
        let (per_s, latencies): (serde_json::Map<_, _>, serde_json::Map<_, _>) =
            (rates.collect(), latencies.collect());
        return context.print_json(&json!({
            "at_ms": newest.at_ms,
            "per_s": per_s,
            "latencies": latencies,
            "biggest": newest.biggest,
            "metrics": newest.metrics,
            "server": newest.server,
        }));
    }
    let mut out = String::new();
    for (name, _, of) in view::RATES {
        out.push_str(&format!("{name:<20} {:>8.1}/s\n", history.rate(of)));
    }
    for (name, _, of) in view::LATENCIES {
        let text = |part| view::quantile(history.latency(part, of), true);
        out.push_str(&format!("{name:<20} 50%: {}, 99%: {}\n", text(0.5), text(0.99)));
    }
    for (package, count) in by(&newest.metrics.subscriptions, "package") {
        out.push_str(&format!("subscriptions {package:<20} {count}\n"));
    }
    for row in &newest.biggest.watchers {
        out.push_str(&format!("watcher {:<26} {}\n", super::text::line(&row.watcher), row.subscriptions));
    }
    context.print(&out)
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::context;
    use super::*;

    fn printed(json: bool) -> String {
        let mut history = History::default();
        history.push(sample::tests::sample(1000, 10, 20, [0, 0, 0]));
        history.push(sample::tests::sample(3000, 20, 60, [10, 0, 1]));
        let mut out = Vec::new();
        let mut context = context("/nonexistent", json, &mut out);
        print(&mut context, &history).expect("printed");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn without_a_terminal_it_is_lines() {
        let text = printed(false);
        for line in [
            "Requests                  5.0/s\n",
            "NOTIFYs                  20.0/s\n",
            "Change to NOTIFY     50%: <= 1 ms, 99%: > 5 ms\n",
            "subscriptions dialog               40\n",
            "watcher Alice                      30\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn programs_get_json() {
        let value: serde_json::Value = serde_json::from_str(&printed(true)).expect("JSON");
        assert_eq!(value["per_s"]["notifies"], 20.0);
        assert_eq!(value["latencies"]["change_to_notify"]["p50"]["within_ms"], 1.0);
        assert_eq!(value["latencies"]["change_to_notify"]["p99"]["beyond_ms"], 5.0);
        assert_eq!(value["biggest"]["watchers"][0]["watcher"], "Alice");
    }
}
