//! Simulated worlds: a small number of seeds here (`.ci/run` adds hundreds); `LAMPYRIS_SEEDS=200` (or
//! `LAMPYRIS_EFFORT=10`) runs more.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

use lampyris_sim::network::Weather;
use lampyris_sim::topology::Wanted;
use lampyris_sim::world;

/// How many seeds to run: so many, or so many times as usual.
fn seeds(usual: u64) -> u64 {
    let number = |name| std::env::var(name).ok().and_then(|value: String| value.parse::<u64>().ok());
    number("LAMPYRIS_SEEDS").unwrap_or_else(|| usual * number("LAMPYRIS_EFFORT").unwrap_or(1))
}

fn all_converge(usual: u64, wanted: Wanted, option: &str) {
    let mut failures = Vec::new();
    let mut compared = 0;
    for seed in 0..seeds(usual) {
        match world::run(seed, wanted, false) {
            Ok(report) => compared += report.compared,
            Err(violations) => failures.push(format!(
                "cargo run -p lampyris-sim -- --seed {seed}{option} --trace\n  {}",
                violations.join("\n  ")
            )),
        }
    }
    assert!(compared > 0, "nothing was compared");
    assert!(failures.is_empty(), "{} worlds fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn worlds_of_all_kinds_converge() {
    all_converge(20, Wanted::default(), "");
}

#[test]
fn worlds_with_ten_percent_loss_duplication_and_reordering_converge() {
    let weather = Weather { loss: 10, duplication: 10, reordering: 10, delay_ms: 50 };
    all_converge(10, Wanted { weather: Some(weather), ..Wanted::default() }, " --loss 10");
}

/// Phones call each other through the proxy; `cargo run -p lampyris-sim -- --calls 10000 --seeds 100` runs more of them.
#[test]
fn worlds_with_calls_go_dark() {
    const CALLS: u64 = 150;
    let wanted = Wanted { calls: CALLS, ..Wanted::default() };
    all_converge(5, wanted, &format!(" --calls {CALLS}"));
    assert_eq!(world::run(1, wanted, false), world::run(1, wanted, false));
}

/// Nothing is lost, so every 2xx has its ACK.
#[test]
fn worlds_with_calls_in_fair_weather_lose_no_ack() {
    const CALLS: u64 = 150;
    let weather = Weather { loss: 0, duplication: 0, reordering: 0, delay_ms: 50 };
    all_converge(2, Wanted { weather: Some(weather), calls: CALLS }, &format!(" --loss 0 --calls {CALLS}"));
}

#[test]
fn the_same_seed_is_the_same_world() {
    assert_eq!(world::run(3, Wanted::default(), false), world::run(3, Wanted::default(), false));
}

/// kill -9 between any two things that happen while Alice watches Bob: she subscribes, is told, Bob registers and changes.
#[test]
fn a_crash_at_any_step_leaves_the_dialog_going() {
    let steps = world::run_alice_and_bob(u64::MAX, false).unwrap().steps;
    assert!(steps > 30, "{steps} steps are too few to be the whole scenario");
    for step in 0..steps {
        if let Err(violations) = world::run_alice_and_bob(step, false) {
            panic!("a crash after step {step} of {steps}:\n  {}", violations.join("\n  "));
        }
    }
}
