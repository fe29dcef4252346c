//! Runs simulated worlds: `lampyris-sim --seeds N [--from S] [--loss P] [--calls N] [--seed X --trace]`.
//!
//! Each seed is a world of its own, with faults of every kind mixed; one that fails prints what was wrong and the command
//! that shows it again.

#![allow(clippy::print_stdout, reason = "this is a command line program")]

use lampyris_sim::Tally;
use lampyris_sim::network::Weather;
use lampyris_sim::topology::Wanted;
use lampyris_sim::world;
use std::process::ExitCode;

const USAGE: &str = "lampyris-sim [--seeds N] [--from S] [--seed X] [--loss PERCENT] [--calls N] [--trace]\n\
    --loss uses this loss, duplication and reordering in every world instead of the seed's own\n\
    --calls makes worlds of phones that call each other, so many times";

fn main() -> ExitCode {
    let (mut seeds, mut from, mut trace, mut wanted) = (100, 0, false, Wanted::default());
    let mut again = String::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|value| value.parse::<u64>().ok());
        let known = match arg.as_str() {
            "--seeds" => number().map(|value| seeds = value),
            "--from" => number().map(|value| from = value),
            "--seed" => number().map(|value| (from, seeds) = (value, 1)),
            "--loss" => number().map(|loss| {
                wanted.weather = Some(Weather { loss, duplication: loss, reordering: loss, delay_ms: 50 });
                again += &format!(" --loss {loss}");
            }),
            "--calls" => number().map(|calls| {
                wanted.calls = calls;
                again += &format!(" --calls {calls}");
            }),
            "--trace" => {
                trace = true;
                Some(())
            }
            _ => None,
        };
        if known.is_none() {
            println!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    let (mut failed, mut notifies, mut compared, mut crashes) = (0, 0, 0, 0);
    let mut calls = Tally::default();
    for seed in from..from + seeds {
        match world::run(seed, wanted, trace) {
            Ok(report) => {
                notifies += report.notifies;
                compared += report.compared;
                crashes += report.crashes;
                calls.add(report.calls);
            }
            Err(violations) => {
                failed += 1;
                println!("seed {seed} fails: cargo run -p lampyris-sim -- --seed {seed}{again} --trace");
                for violation in violations.iter().take(5) {
                    println!("  {violation}");
                }
            }
        }
    }
    println!(
        "{} of {seeds} worlds converged; {notifies} NOTIFYs, {compared} subscriptions compared, {crashes} crashes",
        seeds - failed
    );
    if wanted.calls > 0 {
        println!(
            "{} calls placed, {} answered, {} cancelled, {} holds and resumes, {} transfers, {} taken over",
            calls.placed, calls.answered, calls.cancelled, calls.holds, calls.transfers, calls.replaced
        );
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
