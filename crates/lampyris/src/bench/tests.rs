//! The load generator against a server of this process, over each transport; and against one that does wrong.

use super::{Account, Pace, Plan, Report, Shape, Target, Work, run};
use crate::config::{self, Listen, ShellSettings};
use crate::server::{self, Options, Running};
use lampyris_core::flow::Transport;
use lampyris_core::node::Node;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

/// A server without a store, for `bench.example`, with this in its configuration.
fn server(name: &str, listen: &str, more: &str) -> Running {
    let directory = std::env::temp_dir().join(format!("lampyris-bench-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let file = directory.join("bench.toml");
    std::fs::write(&file, more).expect("a configuration");
    let loaded = config::load(&file, None).expect("a right configuration");
    let _ = std::fs::remove_dir_all(&directory);
    let listen = vec![Listen::parse(listen).expect("an address")];
    let shell = ShellSettings { listen, data: None, ..loaded.shell };
    let settings = Arc::new(loaded.settings);
    server::start_with(&shell, &Options::default(), |listeners, seed, now| {
        Node::new(settings, listeners, seed, now)
    })
    .expect("it starts")
}

const OPEN: &str = "trusted = [\"127.0.0.0/8\"]\n[domains.\"bench.example\"]\nusers = \"any\"\n";

fn plan(listen: Listen, work: Work) -> Plan {
    Plan {
        target: Target {
            server: listen,
            domain: "bench.example".into(),
            ca: None,
            pids: vec![std::process::id()],
        },
        work,
        watchers: 60,
        presentities: 6,
        count: None,
        seconds: None,
        // Why fewer than `OVERLOAD_BACKLOG`: a stalled machine is not to be taken for overload, and refused.
        pace: Pace::Window(12),
        flows: 4,
        account: None,
        shape: Shape { body_bytes: 600, expires_s: 600, presentity: "p".into() },
        leave: false,
        settle_s: 0,
    }
}

fn at(running: &Running, transport: Transport) -> Listen {
    Listen { transport, address: running.address(transport).expect("it listens") }
}

/// Runs it, and fails where anything was wrong.
fn well(plan: &Plan) -> Report {
    let report = run(plan, None).expect("the server is there");
    assert!(report.ok, "{:#?}", report.rows);
    report
}

#[test]
fn every_load_runs_clean_against_our_own_server() {
    let running = server("loads", "udp:127.0.0.1:0", OPEN);
    let listen = at(&running, Transport::Udp);
    for (work, count, operations, notifies) in [
        (Work::Subscribe, None, 60, 60),
        (Work::Refresh { random: false }, Some(90), 90, 90),
        (Work::Refresh { random: true }, Some(30), 30, 30),
        (Work::Publish, Some(30), 30, 0),
        (Work::Fanout, Some(12), 12, 120),
    ] {
        let report = well(&Plan { count, ..plan(listen, work.clone()) });
        let row = report.rows.last().expect("a row");
        assert_eq!((row.operations, row.notifies), (operations, notifies), "{work:?}");
        let cpu = row.server_cpu_us.as_ref().expect("measured");
        assert!(cpu.per_operation > 0.0 && row.latency_ms.is_some(), "{work:?}");
    }
    let report = well(&Plan { count: Some(200), ..plan(listen, Work::Mixed) });
    assert_eq!(report.rows.last().expect("a row").operations, 200);
    running.stop().expect("stopped");
}

#[test]
fn growth_has_a_row_for_each_size_and_fan_out() {
    let running = server("growth", "udp:127.0.0.1:0", OPEN);
    let work = Work::Growth { sizes: vec![20, 60], fan_outs: vec![30] };
    let report = well(&Plan { count: Some(20), ..plan(at(&running, Transport::Udp), work) });
    let names: Vec<&str> = report.rows.iter().map(|row| row.name.as_str()).collect();
    for name in
        ["subscribe at 20", "refresh at 60", "refresh, random at 60", "publish at 20", "fanout 2 x 30"]
    {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let held = report.rows.iter().find(|row| row.name == "subscribe at 60").map(|row| row.subscriptions);
    assert_eq!(held, Some(60));
    running.stop().expect("stopped");
}

#[test]
fn a_rate_is_kept_whatever_the_window() {
    let running = server("rate", "udp:127.0.0.1:0", OPEN);
    let plan = Plan {
        pace: Pace::Rate(100.0),
        count: Some(50),
        ..plan(at(&running, Transport::Udp), Work::Subscribe)
    };
    let row = well(&plan).rows.pop().expect("a row");
    assert!(row.seconds >= 0.49, "50 at 100/s take half a second, not {}", row.seconds);
    running.stop().expect("stopped");
}

#[test]
fn streams_and_websockets_carry_the_same_load() {
    for transport in ["tcp", "ws"] {
        let running = server(transport, &format!("{transport}:127.0.0.1:0"), OPEN);
        let listen = at(&running, Transport::parse(transport).expect("a transport"));
        let report = well(&Plan { count: Some(12), ..plan(listen, Work::Fanout) });
        assert_eq!(report.rows.last().map(|row| row.notifies), Some(120), "{transport}");
        running.stop().expect("stopped");
    }
}

#[test]
fn challenges_are_answered_each_time_or_with_a_nonce_that_is_kept() {
    let config = "[domains.\"bench.example\"]\nusers = \"any\"\n[peers.watcher]\nsecret = \"bench secret\"\n";
    let running = server("digest", "udp:127.0.0.1:0", config);
    let listen = at(&running, Transport::Udp);
    let account =
        |keeps_nonce| Account { user: "watcher".into(), password: "bench secret".into(), keeps_nonce };
    for keeps in [false, true] {
        let report = well(&Plan { account: Some(account(keeps)), ..plan(listen, Work::Subscribe) });
        assert_eq!(report.rows.last().map(|row| row.operations), Some(60));
    }
    let wrong = Account { password: "no".into(), ..account(false) };
    let report = run(&Plan { account: Some(wrong), watchers: 4, ..plan(listen, Work::Subscribe) }, None)
        .expect("the server is there");
    let failed: u64 = report.rows.iter().flat_map(|row| row.failed.values()).sum();
    assert_eq!((report.ok, failed), (false, 4));
    running.stop().expect("stopped");
}

#[test]
fn calls_run_through_the_proxy() {
    let config = "[domains.\"bench.example\"]\n[peers.caller]\nopen = true\n[peers.p0]\nopen = true\n\
                  [peers.p1]\nopen = true\n";
    for transport in ["udp", "tcp"] {
        let running = server(&format!("calls-{transport}"), &format!("{transport}:127.0.0.1:0"), config);
        let listen = at(&running, Transport::parse(transport).expect("a transport"));
        let work = Work::Calls { hold_ms: 50 };
        let plan = Plan { presentities: 2, count: Some(40), ..plan(listen, work) };
        assert_eq!(well(&plan).rows.last().map(|row| row.operations), Some(40), "{transport}");
        running.stop().expect("stopped");
    }
}

#[test]
fn where_nobody_listens_it_says_so() {
    let unused = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = unused.local_addr().expect("bound");
    let error = run(&plan(Listen { transport: Transport::Udp, address }, Work::Subscribe), None);
    let text = error.map(|_| ()).expect_err("nobody answers").to_string();
    assert!(text.contains("nothing answers"), "{text}");
}

/// A server that accepts everything and sends each watcher these NOTIFYs, by CSeq and body; it ends with the test.
fn false_server(notifies: &'static [(u32, &'static str)]) -> Listen {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("bound");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(buffer.get(..len).unwrap_or_default()).into_owned();
            if !text.starts_with("SUBSCRIBE") && !text.starts_with("PUBLISH") {
                continue;
            }
            let line = |name: &str| {
                text.lines().find(|line| line.starts_with(name)).unwrap_or_default().trim().to_owned()
            };
            let (via, call, cseq) = (line("Via:"), line("Call-ID:"), line("CSeq:"));
            let (watcher, presentity) = (line("From:"), line("To:"));
            let answer = format!(
                "SIP/2.0 200 OK\r\n{via}\r\n{watcher}\r\n{presentity};tag=x\r\n{call}\r\n{cseq}\r\n\
                 Contact: <sip:{address}>\r\nSIP-ETag: e\r\nContent-Length: 0\r\n\r\n"
            );
            let _ = socket.send_to(answer.as_bytes(), from);
            for (number, body) in notifies.iter().filter(|_| text.starts_with("SUBSCRIBE")) {
                let notify = format!(
                    "NOTIFY sip:w@{from} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{number}\r\n\
                     From: {}\r\nTo: {}\r\n{call}\r\nCSeq: {number} NOTIFY\r\nEvent: presence\r\n\
                     Subscription-State: active\r\nContent-Length: {}\r\n\r\n{body}",
                    presentity.trim_start_matches("To: "),
                    watcher.trim_start_matches("From: "),
                    body.len()
                );
                let _ = socket.send_to(notify.as_bytes(), from);
            }
        }
    });
    Listen { transport: Transport::Udp, address }
}

#[test]
fn what_a_server_does_wrong_is_found() {
    type Row = (&'static [(u32, &'static str)], [u64; 4]);
    let rows: [Row; 4] = [
        // missing, duplicated, out of order, wrong in body
        (&[(1, "")], [0, 0, 0, 0]),
        (&[(1, ""), (1, "")], [0, 0, 0, 0]),
        (&[(1, ""), (2, "")], [0, 1, 0, 0]),
        (&[(1, ""), (4, "")], [2, 1, 0, 0]),
    ];
    for (notifies, expected) in rows {
        let listen = false_server(notifies);
        let plan = Plan { watchers: 1, presentities: 1, leave: true, ..plan(listen, Work::Subscribe) };
        let report = run(&plan, None).expect("it answers");
        let row = report.rows.last().expect("a row");
        let faults = row.faults;
        let found = [faults.missing, faults.duplicated, faults.out_of_order, faults.wrong_body];
        assert_eq!(found, expected, "{notifies:?}");
        assert_eq!(report.ok, expected == [0; 4], "{notifies:?}");
        assert_eq!(row.operations, 1, "{notifies:?}");
    }
    // What was published before does not show in what the watcher is told.
    const OLD: &str = "<presence entity=\"sip:p0@bench.example\"><note>change 1.</note></presence>";
    let told: [&'static [(u32, &'static str)]; 2] = [&[(1, "")], &[(1, OLD)]];
    for notifies in told {
        let listen = false_server(notifies);
        let plan =
            Plan { watchers: 1, presentities: 1, count: Some(0), leave: true, ..plan(listen, Work::Fanout) };
        let report = run(&plan, None).expect("it answers");
        let wrong: u64 = report.rows.iter().map(|row| row.faults.wrong_body).sum();
        assert_eq!((wrong, report.ok), (1, false), "{notifies:?}");
    }
    let listen = false_server(&[(5, ""), (4, "")]);
    let plan = Plan { watchers: 1, presentities: 1, leave: true, ..plan(listen, Work::Subscribe) };
    let report = run(&plan, None).expect("it answers");
    assert_eq!(report.rows.last().map(|row| row.faults.out_of_order), Some(1));
}
