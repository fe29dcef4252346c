//! What the server costs on real sockets: CPU time per SUBSCRIBE, refresh, PUBLISH and NOTIFY, memory per subscription,
//! and how late the last watcher learns of a change.
//!
//! Starts the real binary on a port of 127.0.0.1 and makes load from this process, in a closed loop. CPU time is that of
//! the server alone, user and system, over all its threads. Every NOTIFY is checked: that it came, once, with the right
//! body. `cargo bench -p lampyris --bench loopback -- [--watchers N] [--rounds N] [--digest N] [--durability D]
//! [--settle SECONDS] [--server FILE]`; LAMPYRIS_EFFORT (a whole number, `small`, `large`) multiplies the sizes.
#![allow(clippy::print_stdout)]

#[path = "loopback/load.rs"]
mod load;
#[path = "loopback/messages.rs"]
mod messages;
#[path = "loopback/server.rs"]
mod server;

use load::{Load, Outcome};
use messages::Account;
use server::{Cpu, Server};

/// Watchers of the presentity that all of a crowd watch.
const CROWD: usize = 1_000;
/// Watchers of every other presentity.
const CIRCLE: usize = 10;
/// Requests in flight.
const WINDOW: usize = 512;

struct Sizes {
    watchers: usize,
    rounds: usize,
    digest: usize,
    settle_s: u64,
    durability: String,
    server: String,
}

fn main() {
    let sizes = sizes();
    println!("server {}, durability {}", sizes.server, sizes.durability);
    println!(
        "{:<34} {:>8} {:>8} {:>9} {:>7} {:>7} {:>7} {:>9} {:>9} {:>6}",
        "", "count", "per s", "CPU us", "user", "system", "engine", "p50 ms", "p99 ms", "again"
    );
    trusting(&sizes);
    digest(&sizes);
}

fn trusting(sizes: &Sizes) {
    let server = Server::start(&sizes.server, &sizes.durability, "trusted = [\"127.0.0.0/8\"]\n", "");
    let mut load = Load::new(server.address(), None);
    let empty = server.anonymous_bytes();
    let watchers = sizes.watchers / CIRCLE * CIRCLE;
    let circles = watchers / CIRCLE;
    measure(&server, "SUBSCRIBE (new, 10 per presentity)", || {
        load.subscribe((0..watchers).map(|n| format!("p{}", n / CIRCLE)), WINDOW)
    });
    let full = server.anonymous_bytes();
    per_subscription("memory per subscription, at once", full.saturating_sub(empty), watchers);
    if sizes.settle_s > 0 {
        load.idle(std::time::Duration::from_secs(sizes.settle_s));
        let settled = server.anonymous_bytes().saturating_sub(empty);
        per_subscription(&format!("memory per subscription, after {} s", sizes.settle_s), settled, watchers);
    }
    measure(&server, "SUBSCRIBE (refresh)", || load.refresh(0..watchers, WINDOW));
    measure(&server, "PUBLISH (initial, no watcher)", || {
        load.publish((0..circles).map(|n| format!("lonely{n}")), WINDOW)
    });
    measure(&server, "PUBLISH (modify, no watcher)", || {
        load.publish((0..circles).map(|n| format!("lonely{n}")), WINDOW)
    });
    let some = circles.min(1_000);
    measure(&server, "PUBLISH + 10 NOTIFY, one by one", || {
        load.publish((0..some).map(|n| format!("p{n}")), 1)
    });
    let outcome = measure(&server, "PUBLISH + 10 NOTIFY, 32 at once", || {
        load.publish((0..circles).map(|n| format!("p{n}")), 32)
    });
    per_notify("  of that, per NOTIFY", outcome, CIRCLE);
    let _ = load.subscribe((0..CROWD).map(|_| "crowd".to_owned()), WINDOW);
    let outcome = measure(&server, "PUBLISH + 1,000 NOTIFY, one by one", || {
        load.publish((0..sizes.rounds).map(|_| "crowd".to_owned()), 1)
    });
    per_notify("  of that, per NOTIFY", outcome, CROWD);
    load.check();
    drop(server);
}

fn digest(sizes: &Sizes) {
    for algorithm in ["MD5", "SHA-256"] {
        let peer = "[peers.watcher]\nsecret = \"bench secret\"\n";
        let server = Server::start(
            &sizes.server,
            &sizes.durability,
            "",
            &format!("algorithms = [\"{algorithm}\"]\n{peer}"),
        );
        let account = Account { user: "watcher".into(), password: "bench secret".into() };
        let mut load = Load::new(server.address(), Some(account));
        load.challenge();
        measure(&server, &format!("SUBSCRIBE (new, digest {algorithm})"), || {
            load.subscribe((0..sizes.digest).map(|n| format!("p{}", n / CIRCLE)), WINDOW)
        });
        load.check();
        drop(server);
    }
}

/// Runs one part of the load and prints its row.
fn measure(server: &Server, name: &str, part: impl FnOnce() -> Outcome) -> (Outcome, Cpu) {
    let before = server.cpu();
    let outcome = part();
    let cpu = server.cpu() - before;
    let count = outcome.count();
    let per = |us: f64| us / count as f64;
    println!(
        "{name:<34} {count:>8} {:>8.0} {:>9.1} {:>7.1} {:>7.1} {:>7.1} {:>9.2} {:>9.2} {:>6}",
        count as f64 / outcome.took.as_secs_f64(),
        per(cpu.all_us),
        per(cpu.user_us),
        per(cpu.system_us),
        per(cpu.engine_us),
        outcome.latency_ms(500),
        outcome.latency_ms(990),
        outcome.again,
    );
    (outcome, cpu)
}

fn per_notify(name: &str, (outcome, cpu): (Outcome, Cpu), watchers: usize) {
    let count = outcome.count() * watchers;
    println!("{name:<34} {count:>8} {:>8} {:>9.1}", "", cpu.all_us / count as f64);
}

fn per_subscription(name: &str, bytes: u64, subscriptions: usize) {
    println!("{name:<34} {subscriptions:>8} {:>8} {:>9} bytes", "", bytes / subscriptions.max(1) as u64);
}

fn sizes() -> Sizes {
    let effort: usize = match std::env::var("LAMPYRIS_EFFORT").as_deref() {
        Err(_) | Ok("small") => 1,
        Ok("large") => 30,
        Ok(number) => number.parse().expect("LAMPYRIS_EFFORT is small, large or a whole number"),
    };
    let mut sizes = Sizes {
        watchers: 2_000 * effort,
        rounds: 10 * effort,
        digest: 500 * effort,
        settle_s: 0,
        durability: "power".into(),
        server: env!("CARGO_BIN_EXE_lampyris").into(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--bench" {
            continue; // Why: cargo says so to every benchmark.
        }
        let value = arguments.next().unwrap_or_else(|| panic!("{argument} wants a value"));
        let number = || value.parse().unwrap_or_else(|_| panic!("{argument} wants a whole number"));
        match argument.as_str() {
            "--watchers" => sizes.watchers = number(),
            "--rounds" => sizes.rounds = number(),
            "--digest" => sizes.digest = number(),
            "--settle" => sizes.settle_s = number() as u64,
            "--durability" => sizes.durability = value,
            "--server" => sizes.server = value,
            _ => panic!("{argument} is no option of this benchmark"),
        }
    }
    sizes
}
