//! How long a server takes from its start until it serves, with a store full of subscriptions; and how long an upgrade.
//!
//! `LAMPYRIS_RESTORE=1000000 cargo test --release -p lampyris --test restore -- --nocapture` measures it; without the
//! variable a small store shows that all of it comes back. Every watcher is owed a NOTIFY, which is the most a start can find.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

use lampyris::config;
use lampyris::server::{self, Options};
use lampyris::store::{self, DataDirectory, health::Shown};
use lampyris_core::flow::{Flow, ListenerId};
use lampyris_core::journal::{Key, Kind, Origin, Record, ResourceRecord, SubscriptionRecord, Value};
use lampyris_core::node::Node;
use lampyris_core::output::Ticket;
use lampyris_core::time::UnixTime;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

/// Subscriptions in the store where nothing else is said.
const FEW: u64 = 2000;
/// Watchers of each lamp.
const WATCHERS: u64 = 10;
/// What a million may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Listens on the loopback interface, and tells hardly anybody anything while it is measured.
const CONFIG: &str = "restart_notify_rate = 1\n[server]\nlisten = [\"udp:127.0.0.1:0\"]\n\
                      [domains.\"example.com\"]\nusers = \"any\"\n";

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    UnixTime::from_millis(since.as_millis().try_into().unwrap())
}

/// As large as those of desk phones: 450 to 500 bytes in the store.
fn subscription(number: u64) -> SubscriptionRecord {
    let (user, watched) = (format!("watcher{number}"), format!("lamp{}", number / WATCHERS));
    SubscriptionRecord {
        resource: format!("sip:{watched}@example.com"),
        package: "dialog".to_owned(),
        event_id: None,
        event_params: String::new(),
        call_id: format!("{number:032x}@192.0.2.17"),
        local_tag: format!("{number:x}-0123456789abcdef"),
        remote_tag: format!("{number:016x}"),
        local: format!("<sip:{watched}@example.com>"),
        remote: format!("\"A Watcher\" <sip:{user}@example.com>"),
        asked: format!("sip:{watched}@example.com"),
        watcher: format!("sip:{user}@example.com"),
        target: format!("sip:{user}@127.0.0.1:9"),
        instance: Some("<urn:uuid:00000000-0000-1000-8000-000a95a0e128>".to_owned()),
        routes: Vec::new(),
        flow: Flow::Udp { listener: ListenerId(0), remote: "127.0.0.1:9".parse().unwrap() },
        remote_cseq: 1,
        local_cseq: 7,
        version: 7,
        format: "application/dialog-info+xml".to_owned(),
        profile: "rfc".to_owned(),
        user_agent: "Example SIP-T46G 28.83.0.120".to_owned(),
        rates: String::new(),
        filters: Default::default(),
        sleeps: false,
        members: Vec::new(),
        expires_at: now() + Duration::from_secs(3600),
        created_at: now(),
        origin: Origin { cseq: 1, branch: format!("z9hG4bK{number:016x}") },
    }
}

fn mark(number: u64) -> ResourceRecord {
    let (resource, package) = (format!("sip:lamp{number}@example.com"), "dialog".to_owned());
    ResourceRecord { resource, package, hash: 1, changed_at: now() }
}

fn fill(data: &Path, count: u64) {
    let (decided, decisions) = mpsc::channel();
    let deliver: store::Deliver = Arc::new(move |some| decided.send(some.len()).unwrap());
    let directory = Arc::new(DataDirectory::take(data).unwrap());
    let (durability, health) = (config::Durability::Process, Shown::default());
    let opened = store::open(&directory, durability, 64 << 30, None, deliver, health).unwrap();
    let mut journal = opened.journal;
    let rows = (0..count).map(|n| (Kind::Subscription, n, Value::Subscription(Box::new(subscription(n)))));
    let marks = (0..count.div_ceil(WATCHERS)).map(|n| (Kind::Resource, n, Value::Resource(mark(n))));
    let mut tickets = 0;
    for (ticket, (kind, slot, value)) in (0..).zip(rows.chain(marks)) {
        journal.submit(Ticket(ticket), Record::Upsert(Key { kind, slot }, value));
        tickets += 1;
        if ticket % 4096 == 0 {
            journal.flush();
        }
    }
    journal.close().unwrap();
    assert_eq!(decisions.try_iter().sum::<usize>(), tickets);
}

/// A directory with a configuration and a full store, and how many subscriptions that has.
fn full(name: &str) -> (PathBuf, u64) {
    let count = std::env::var("LAMPYRIS_RESTORE").map_or(FEW, |count| count.parse().unwrap());
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("lampyris.toml"), CONFIG).unwrap();
    fill(&directory.join("data"), count);
    (directory, count)
}

#[test]
fn an_upgrade_with_a_full_store_is_short() {
    let (directory, count) = full("restore-upgrade");
    let lampyris = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lampyris"));
        command.arg("--data").arg(directory.join("data"));
        command
    };
    let mut child =
        lampyris().arg("run").arg(directory.join("lampyris.toml")).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.take_while(|line| !line.starts_with("data ")).count() > 0);
    let output = lampyris().args(["upgrade", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let upgraded: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{count} subscriptions: nothing was answered for {} ms", upgraded["gap_ms"]);
    assert!(child.wait().unwrap().success());
    assert!(lampyris().arg("stop").output().unwrap().status.success());
    assert!(upgraded["restored"].as_u64().unwrap() >= count, "{upgraded}");
    // A small store says nothing about time, and other tests run beside it.
    let bound_ms = if count > FEW { 1000 * count.div_ceil(100_000) } else { 30_000 };
    assert!(upgraded["gap_ms"].as_u64().unwrap() < bound_ms, "{upgraded}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_full_store_is_ready_in_time() {
    let (directory, count) = full("restore");

    let loaded = config::load(&directory.join("lampyris.toml"), None).unwrap();
    let mut shell = loaded.shell;
    shell.data = Some(directory.join("data"));
    let settings = Arc::new(loaded.settings);
    let since = Instant::now();
    let running = server::start_with(&shell, &Options::default(), |listeners, seed, now| {
        Node::new(settings, listeners, seed, now)
    })
    .unwrap();
    let took = since.elapsed();
    println!("{count} subscriptions of {} lamps ready in {took:?}", count.div_ceil(WATCHERS));
    assert_eq!(running.restored(), count + count.div_ceil(WATCHERS));
    assert!(took < PATIENCE, "{took:?}");
    running.stop().unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}
