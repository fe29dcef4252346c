//! `lampyris drain`: send the watchers away, spread over a time, before the server is taken out of service.

use super::client::{Client, decode, touched};
use super::failure::Failure;
use super::{Context, Verb, span, stop};
use clap::{Args, FromArgMatches};
use lampyris_core::command::{Command, Drain};
use lampyris_core::view;
use serde_json::json;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "drain",
    about: "End all subscriptions little by little and refuse new ones, before the server is taken away",
    examples: &[
        ("drain --stop", "over a minute; then the server stops"),
        ("drain --within 10m --retry-after 5m", "slowly, and nobody comes back for five minutes"),
        ("drain --to-another --stop", "another server is ready: the phones go there at once"),
        ("drain --cancel", "it stays after all"),
    ],
    args: DrainArgs::augment_args,
    run: |matches, context| run(&DrainArgs::from_arg_matches(matches)?, context),
};

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long the last ones may take beyond the time given: their phones may still be connected to.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
struct DrainArgs {
    /// Over how long subscriptions end, as in 90s or 10m
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = span::parse)]
    within: u64,
    /// After how long the phones come back, up to twice as long
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = span::parse)]
    retry_after: u64,
    /// Another server is ready: the phones are told to subscribe again at once
    #[arg(long)]
    to_another: bool,
    /// Stop the server when all are gone
    #[arg(long)]
    stop: bool,
    /// Take new subscriptions again; those that have ended stay so
    #[arg(long, conflicts_with_all = ["to_another", "stop"])]
    cancel: bool,
}

fn run(args: &DrainArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut client = Client::connect(&context.data)?;
    if args.cancel {
        let kept = touched(&client.command(Command::EndDrain)?)?;
        if context.json {
            return context.print_json(&json!({ "done": true, "kept": kept }));
        }
        return context.print("new subscriptions are taken again\n");
    }
    let seconds = |span| u32::try_from(span).unwrap_or(u32::MAX);
    let (within_s, retry_after_s) = (seconds(args.within), seconds(args.retry_after));
    let drain = Drain { within_s, retry_after_s, elsewhere: args.to_another };
    let all = touched(&client.command(Command::Drain(drain))?)?;
    let until = Instant::now() + Duration::from_secs(args.within) + GRACE;
    let mut shown = false;
    let left = loop {
        let status: view::Status = decode(client.command(Command::Status)?)?;
        if status.subscriptions == 0 || Instant::now() >= until {
            break status.subscriptions as u64;
        }
        if std::io::stderr().is_terminal() {
            eprint_progress(all.saturating_sub(status.subscriptions as u64), all);
            shown = true;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    if shown {
        let _ = writeln!(std::io::stderr());
    }
    let ended = all.saturating_sub(left);
    if args.stop {
        client.done(&crate::admin::protocol::Request::Stop)?;
        stop::wait(&mut client)?;
    }
    if context.json {
        return context.print_json(&json!({ "ended": ended, "left": left, "stopped": args.stop }));
    }
    let stopped = if args.stop { "; stopped" } else { "; new ones are refused" };
    let left = if left > 0 { format!(", {left} are left") } else { String::new() };
    context.print(&format!("{ended} subscriptions ended{left}{stopped}\n"))
}

/// One line, written over the one before.
fn eprint_progress(ended: u64, all: u64) {
    let _ = write!(std::io::stderr(), "\r{ended} of {all} subscriptions ended");
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::{Fake, context};
    use super::*;

    fn status(subscriptions: usize) -> String {
        let counts = [
            "parked",
            "owed",
            "publications",
            "bindings",
            "hints",
            "peers",
            "transactions",
            "calls",
            "passing",
            "requests",
            "rejects",
            "notifies",
            "notifies_ok",
            "notifies_failed",
            "malformed",
            "unpersisted",
            "bugs",
            "up_s",
            "timers",
        ];
        let counts: String = counts.iter().map(|name| format!(r#","{name}":0"#)).collect();
        format!(r#"{{"reply":{{"subscriptions":{subscriptions},"draining":true{counts}}}}}"#)
    }

    #[test]
    fn it_waits_until_all_are_gone() {
        let answers = [r#"{"reply":{"count":3}}"#, &status(2), &status(0)];
        let fake = Fake::answering("drain", &answers);
        let mut out = Vec::new();
        let mut context = context(&fake.data, false, &mut out);
        let args = DrainArgs { within: 60, retry_after: 30, to_another: false, stop: false, cancel: false };
        run(&args, &mut context).expect("drained");
        assert_eq!(out, b"3 subscriptions ended; new ones are refused\n");
        let asked = fake.asked();
        assert_eq!(asked[0], r#"{"command":{"Drain":{"within_s":60,"retry_after_s":30,"elsewhere":false}}}"#);
        assert_eq!(asked[1..], [r#"{"command":"Status"}"#, r#"{"command":"Status"}"#]);
    }
}
