//! What the shell costs without the node: CPU microseconds per record stored, and per datagram in and out.
//!
//! CPU time is user and system of all threads of this process but the one that makes the load. Plain text out; run it
//! with `cargo bench -p lampyris --bench shell`.
#![allow(clippy::print_stdout)]

use lampyris::config::{Durability, Listen, ShellSettings};
use lampyris::server::{self, Core, Options};
use lampyris::store::{self, DataDirectory, health::Shown};
use lampyris_core::command::{Command, Reply};
use lampyris_core::flow::{Flow, ListenerId, Transport};
use lampyris_core::input::Input;
use lampyris_core::journal::{Key, Kind, Origin, Record, SubscriptionRecord, Value};
use lampyris_core::output::{Output, Ticket};
use lampyris_core::time::{Now, UnixTime};
use nix::sys::resource::{UsageWho, getrusage};
use std::collections::VecDeque;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn main() {
    let dir = std::env::temp_dir().join(format!("lampyris-bench-{}", std::process::id()));
    for (durability, words) in [(Durability::Power, "fsync each commit"), (Durability::Process, "no sync")] {
        for batch in [1, 64, 256] {
            store(&dir, durability, words, batch);
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
    udp();
}

/// CPU time of the process without this thread, in microseconds.
fn cpu_us() -> i64 {
    let of = |who| {
        let usage = getrusage(who).expect("usage");
        let us = |t: nix::sys::time::TimeVal| t.tv_sec() * 1_000_000 + t.tv_usec();
        us(usage.user_time()) + us(usage.system_time())
    };
    of(UsageWho::RUSAGE_SELF) - of(UsageWho::RUSAGE_THREAD)
}

fn per(us: i64, count: u64) -> f64 {
    us as f64 / count as f64
}

fn store(dir: &Path, durability: Durability, words: &str, batch: u64) {
    let records: u64 = if batch == 1 { 2_000 } else { 51_200 };
    let path: PathBuf = dir.join(format!("{}-{batch}", durability.name()));
    let directory = Arc::new(DataDirectory::take(&path).expect("a directory"));
    let (sender, decided) = mpsc::channel();
    let deliver = Arc::new(move |batch: Vec<store::Decision>| {
        let _ = sender.send(batch);
    });
    let mut journal = store::open(&directory, durability, 4 << 30, None, deliver, Shown::default())
        .expect("a store")
        .journal;
    let mut ticket = 0;
    for round in ["create", "refresh"] {
        // Records are made before the clock starts: the engine has them anyway.
        let batches: Vec<Vec<Record>> = (0..records / batch)
            .map(|b| {
                (0..batch).map(|n| Record::Upsert(key(b * batch + n), subscription(b * batch + n))).collect()
            })
            .collect();
        let (cpu, begun) = (cpu_us(), Instant::now());
        let mut worst = Duration::ZERO;
        for records in batches {
            let commit = Instant::now();
            let mut waiting = records.len();
            for record in records {
                ticket += 1;
                journal.submit(Ticket(ticket), record);
            }
            journal.flush();
            while waiting > 0 {
                let decisions = decided.recv().expect("decisions");
                assert!(decisions.iter().all(|(_, result)| result.is_ok()));
                waiting -= decisions.len();
            }
            worst = worst.max(commit.elapsed());
        }
        println!(
            "store {words:18} batch {batch:3} {round:7} {:6.2} us CPU/record {:8.0} records/s worst commit {:5.1} ms",
            per(cpu_us() - cpu, records),
            records as f64 / begun.elapsed().as_secs_f64(),
            worst.as_secs_f64() * 1e3,
        );
    }
    let bytes = store_bytes();
    journal.close().expect("closed");
    let opened = store::open(&directory, durability, 4 << 30, None, Arc::new(drop), Shown::default())
        .expect("a store");
    let mut journal = opened.journal;
    let begun = Instant::now();
    let loaded = journal.load(Kind::Subscription, UnixTime::from_millis(0), &mut |_, _| {}).expect("loads");
    println!(
        "store {words:18} load {} records of {bytes} bytes: {:.2} us each",
        loaded.live,
        begun.elapsed().as_secs_f64() * 1e6 / loaded.live as f64
    );
    journal.close().expect("closed");
    let begun = Instant::now();
    let findings = store::walk::walk(&path.join("store"), &mut |_, _| {}).expect("walked");
    assert!(findings.is_sound());
    println!(
        "store {words:18} walk of {} pages: {:.2} us a record",
        findings.used,
        begun.elapsed().as_secs_f64() * 1e6 / loaded.live as f64
    );
}

fn key(slot: u64) -> Key {
    Key { kind: Kind::Subscription, slot }
}

fn store_bytes() -> usize {
    postcard::to_allocvec(&subscription(1)).expect("encodes").len() + 13
}

fn subscription(n: u64) -> Value {
    Value::Subscription(Box::new(SubscriptionRecord {
        resource: "6001@default".into(),
        package: "presence".into(),
        event_id: None,
        event_params: String::new(),
        call_id: format!("{n:032x}@192.0.2.17"),
        local_tag: format!("{n:016x}"),
        remote_tag: format!("{n:08x}"),
        local: "<sip:6001@pbx.example.com>".into(),
        remote: format!("\"Alice {n}\" <sip:alice{n}@pbx.example.com>"),
        asked: "sip:6001@pbx.example.com".into(),
        watcher: format!("alice{n}"),
        target: format!("sip:alice{n}@192.0.2.17:5060;transport=udp"),
        instance: Some(format!("urn:uuid:00000000-0000-1000-8000-{n:012x}")),
        routes: Vec::new(),
        flow: Flow::Udp { listener: ListenerId(0), remote: ([192, 0, 2, 17], 5060).into() },
        remote_cseq: 2,
        local_cseq: 1,
        version: 0,
        format: "application/pidf+xml".into(),
        profile: "rfc".into(),
        user_agent: "Yealink SIP-T46U 108.86.0.20".into(),
        rates: String::new(),
        filters: lampyris_core::filter::FilterSet::default(),
        sleeps: false,
        members: Vec::new(),
        expires_at: UnixTime::from_millis(1_900_000_000_000),
        created_at: UnixTime::from_millis(1_800_000_000_000),
        origin: Origin { cseq: 2, branch: format!("z9hG4bK{n:016x}") },
    }))
}

/// Answers every message with the same bytes.
struct Echo {
    outputs: VecDeque<Output>,
}

impl Core for Echo {
    fn restore(&mut self, _: Now, _: Key, _: Value) {}
    fn inherit(
        &mut self,
        _: Now,
        _: lampyris_core::flow::StreamId,
        _: lampyris_core::flow::Transport,
        _: lampyris_core::flow::ListenerId,
        _: std::net::SocketAddr,
    ) {
    }

    fn restored(&mut self, _: Now, _: bool) {}
    fn handle_input(&mut self, _: Now, input: Input) {
        if let Input::Received { flow, message: Ok(_) } = input {
            let bytes = bytes::Bytes::from_static(&[b'x'; 500]);
            self.outputs.push_back(Output::Transmit { flow, bytes, after: None });
        }
    }
    fn handle_command(&mut self, _: Now, _: Command) -> Reply {
        Reply::Done { count: 0 }
    }
    fn knows(&self, _: Flow) -> bool {
        true
    }

    fn poll_output(&mut self, now: Now) -> Output {
        self.outputs.pop_front().unwrap_or(Output::Timeout(now.mono + Duration::from_secs(60)))
    }
}

const MESSAGE: &str = "SUBSCRIBE sip:6001@pbx.example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK0123456789abcdef;rport\r\n\
    Max-Forwards: 70\r\n\
    From: \"Alice\" <sip:alice@pbx.example.com>;tag=0123abcd\r\n\
    To: <sip:6001@pbx.example.com>\r\n\
    Call-ID: 0123456789abcdef0123456789abcdef@192.0.2.17\r\n\
    CSeq: 2 SUBSCRIBE\r\n\
    Contact: <sip:alice@192.0.2.17:5060>\r\n\
    Authorization: Digest username=\"alice\", realm=\"pbx.example.com\", nonce=\"0123456789abcdef0123456789abcdef\", \
    uri=\"sip:6001@pbx.example.com\", response=\"0123456789abcdef0123456789abcdef\", algorithm=MD5, cnonce=\"0a4f113b\", \
    qop=auth, nc=00000001\r\n\
    Event: presence\r\n\
    Accept: application/pidf+xml\r\n\
    User-Agent: Yealink SIP-T46U 108.86.0.20\r\n\
    Expires: 3600\r\n\
    Content-Length: 0\r\n\r\n";

fn udp() {
    let listen = vec![Listen::parse("udp:127.0.0.1:0").expect("an address")];
    let shell = ShellSettings { listen, ..ShellSettings::defaults() };
    let running =
        server::start_with(&shell, &Options::default(), |_, _, _| Echo { outputs: VecDeque::new() })
            .expect("a server");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    socket.connect(running.address(Transport::Udp).expect("UDP")).expect("connects");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
    let mut buffer = [0; 2048];
    for window in [1, 16, 64] {
        let messages: u64 = 100_000 / if window == 1 { 5 } else { 1 };
        let (cpu, begun) = (cpu_us(), Instant::now());
        let mut sent = 0;
        while sent < messages {
            for _ in 0..window {
                socket.send(MESSAGE.as_bytes()).expect("sent");
            }
            for _ in 0..window {
                socket.recv(&mut buffer).expect("an answer");
            }
            sent += window;
        }
        println!(
            "udp   {} bytes in, 500 out, {window:2} at a time: {:5.2} us CPU per message and answer, {:7.0}/s",
            MESSAGE.len(),
            per(cpu_us() - cpu, sent),
            sent as f64 / begun.elapsed().as_secs_f64()
        );
    }
    running.stop().expect("stopped");
}
