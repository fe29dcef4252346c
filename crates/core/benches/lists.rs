//! What lists cost (RFC 4662): CPU time, bytes and memory, beside the same lamps watched one by one, and a whole domain.
//!
//! No socket and no disk: bytes go in and come out, records are taken for durable at once, and every NOTIFY is answered. Each
//! part runs in a process of its own, so that what one has freed is not counted for the next. Time is the thread's CPU time,
//! the answers that the watchers make up left out; memory is what the process has more than before. Run it with
//! `cargo bench -p lampyris-core --bench lists`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may end where something is not as it must be"
)]

use bytes::Bytes;
use lampyris_core::device_state::DeviceName;
use lampyris_core::flow::{Flow, Listener, ListenerId, StreamId, Transport};
use lampyris_core::input::Input;
use lampyris_core::lists::{List, Member, What};
use lampyris_core::node::Node;
use lampyris_core::output::Output;
use lampyris_core::settings::{Domain, Peer, Settings};
use lampyris_core::time::{Instant, Now, UnixTime};
use lampyris_sip::{Message, ResponseWriter, StatusCode};
use nix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const WATCHERS: u32 = 1000;
const MEMBERS: u32 = 100;
const USERS: u32 = 10_000;

fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// Bytes of memory that this process has.
fn memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

struct Rig {
    node: Node,
    now: Now,
    flow: Flow,
    spent: Duration,
    sent: Vec<Bytes>,
    notifies: u32,
    bytes: usize,
    largest: usize,
    requests: u32,
}

impl Rig {
    fn new(settings: Settings) -> Self {
        let local = ([127, 0, 0, 1], 5060).into();
        let listeners = [Transport::Udp, Transport::Tcp].into_iter().zip(0_u16..).map(|(transport, id)| {
            Listener { id: ListenerId(id), transport, local, advertised: local, names: Vec::new() }
        });
        let now = Now { mono: Instant::default(), wall: UnixTime::from_millis(1_767_225_600_000) };
        let mut node = Node::new(Arc::new(settings), listeners.collect(), [7; 32], now);
        let (id, listener, remote) = (StreamId(1), ListenerId(1), ([127, 0, 0, 1], 5070).into());
        node.handle_input(now, Input::FlowOpened { id, transport: Transport::Tcp, listener, remote });
        let flow = Flow::Stream { id, remote };
        Self {
            node,
            now,
            flow,
            spent: Duration::ZERO,
            sent: Vec::new(),
            notifies: 0,
            bytes: 0,
            largest: 0,
            requests: 0,
        }
    }

    fn input(&mut self, input: Input) {
        let started = cpu_time();
        self.node.handle_input(self.now, input);
        let mut tickets = VecDeque::new();
        loop {
            match self.node.poll_output(self.now) {
                Output::Transmit { bytes, .. } => self.sent.push(bytes),
                Output::Persist(ticket, _) => tickets.push_back(ticket),
                Output::Timeout(at) => match tickets.pop_front() {
                    Some(ticket) => self.node.handle_input(self.now, Input::Persisted(ticket, Ok(()))),
                    None if at <= self.now.mono => self.node.handle_input(self.now, Input::Timeout),
                    None => break,
                },
                _ => {}
            }
        }
        self.spent += cpu_time().saturating_sub(started);
    }

    fn receive(&mut self, bytes: Bytes) {
        let (flow, message) = (self.flow, Message::parse(bytes));
        self.input(Input::Received { flow, message });
    }

    /// Answers every NOTIFY, until nothing comes for a while.
    fn settle(&mut self, time: Duration) {
        let until = self.now.mono + time;
        loop {
            for bytes in std::mem::take(&mut self.sent) {
                let message = Message::parse(bytes).unwrap();
                if message.is_request() {
                    self.notifies += 1;
                    self.bytes += message.raw().len();
                    self.largest = self.largest.max(message.raw().len());
                    self.receive(ResponseWriter::reply_to(&message, StatusCode(200), None, None).finish());
                } else {
                    assert_eq!(
                        message.status(),
                        Some(StatusCode(200)),
                        "{}",
                        String::from_utf8_lossy(message.raw())
                    );
                }
            }
            if self.sent.is_empty() {
                if self.now.mono >= until {
                    return;
                }
                let step = Duration::from_millis(50);
                (self.now.mono, self.now.wall) = (self.now.mono + step, self.now.wall + step);
                self.input(Input::Timeout);
            }
        }
    }

    fn subscribe(&mut self, watcher: u32, to: &str, package: &str) {
        self.requests += 1;
        let n = self.requests;
        self.receive(Bytes::from(format!(
            "SUBSCRIBE sip:{to}bench.example SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5070;branch=z9hG4bK-{n:x};rport\r\n\
             Max-Forwards: 70\r\nFrom: \"Watcher {watcher}\" <sip:w{watcher}@bench.example>;tag=5f3a{n:x}\r\n\
             To: <sip:{to}bench.example>\r\nCall-ID: 3c26700a{n:x}-jh2b7tq8@127.0.0.1\r\nCSeq: 1 SUBSCRIBE\r\n\
             Contact: <sip:w{watcher}@127.0.0.1:5070;transport=tcp;line={n:x}>\r\nEvent: {package}\r\n\
             Accept: application/dialog-info+xml, application/pidf+xml, multipart/related, application/rlmi+xml\r\n\
             Supported: eventlist, replaces\r\nExpires: 3600\r\nUser-Agent: Bench Phone 1.0\r\nContent-Length: 0\r\n\r\n"
        )));
    }

    fn publish(&mut self, user: &str) {
        self.requests += 1;
        let n = self.requests;
        let body = format!(
            "<?xml version=\"1.0\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:{user}@bench.example\">\
             <tuple id=\"t\"><status><basic>open</basic></status><note>change {n}</note></tuple></presence>"
        );
        self.receive(Bytes::from(format!(
            "PUBLISH sip:{user}@bench.example SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5070;branch=z9hG4bK-{n:x}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@bench.example>;tag=1\r\nTo: <sip:{user}@bench.example>\r\n\
             Call-ID: p{n:x}\r\nCSeq: 1 PUBLISH\r\nEvent: presence\r\nExpires: 3600\r\n\
             Content-Type: application/pidf+xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )));
    }

    fn reset(&mut self) {
        (self.spent, self.notifies, self.bytes, self.largest) = (Duration::ZERO, 0, 0, 0);
    }

    fn say(&self, what: &str, count: u32) {
        println!(
            "{what}: {:.1} us each, {} NOTIFYs of {} bytes (largest {})",
            self.spent.as_secs_f64() * 1e6 / f64::from(count.max(1)),
            self.notifies,
            self.bytes / usize::try_from(self.notifies.max(1)).unwrap(),
            self.largest
        );
    }
}

fn settings() -> Settings {
    let mut settings = Settings::empty();
    settings.domains = vec![Domain { any_user: true, ..Domain::named("bench.example") }];
    settings.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let member = |n| Member { what: What::Name(format!("p{n}")), display: String::new() };
    let list = List { members: (0..MEMBERS).map(member).collect(), ..List::default() };
    settings.lists.named.insert((0, "board".to_owned()), list);
    settings
}

/// One subscription per watcher, to a list; or one per watcher and member.
fn lamps(lists: bool) {
    let mut rig = Rig::new(settings());
    let what = if lists { "list" } else { "single" };
    // The first makes what all share.
    rig.subscribe(WATCHERS, if lists { "board@" } else { "p0@" }, "presence");
    rig.settle(Duration::from_secs(1));
    rig.reset();
    let before = memory();
    let mut count = 0;
    for watcher in 0..WATCHERS {
        for member in 0..if lists { 1 } else { MEMBERS } {
            let to = if lists { "board@".to_owned() } else { format!("p{member}@") };
            rig.subscribe(watcher, &to, "presence");
            rig.settle(Duration::ZERO);
            count += 1;
        }
    }
    rig.settle(Duration::from_secs(60));
    rig.say(&format!("{what}: establish {count} subscriptions"), count);
    let grown = memory().saturating_sub(before);
    println!(
        "{what}: {} bytes of memory per subscription, {} per watcher",
        grown / u64::from(count),
        grown / u64::from(WATCHERS)
    );
    rig.settle(Duration::from_secs(60));
    rig.reset();
    let changes = 20;
    for _ in 0..changes {
        rig.publish("p7");
        rig.settle(Duration::from_secs(2));
    }
    assert!(rig.notifies >= changes * WATCHERS, "{}", rig.notifies);
    rig.say(&format!("{what}: a change of one lamp, per NOTIFY and its 200"), rig.notifies);
}

fn domain() {
    let mut settings = settings();
    for n in 0..USERS {
        let name = format!("p{n}");
        settings
            .peers
            .insert(name.clone(), Peer::named(&name, DeviceName::parse(&format!("SIP/{name}")).unwrap()));
    }
    settings.domains[0].everybody_max = usize::try_from(USERS).unwrap();
    let mut rig = Rig::new(settings);
    let before = memory();
    rig.subscribe(0, "", "presence");
    println!(
        "domain: SUBSCRIBE to {USERS} users: {:.1} ms until the first NOTIFY",
        rig.spent.as_secs_f64() * 1e3
    );
    rig.settle(Duration::ZERO);
    println!("domain: the first NOTIFY has {} bytes", rig.largest);
    rig.settle(Duration::from_secs(600));
    rig.say("domain: all of it", 1);
    println!(
        "domain: {} bytes of memory per user, resources included",
        memory().saturating_sub(before) / u64::from(USERS)
    );
    let before = memory();
    rig.reset();
    rig.subscribe(1, "", "presence");
    rig.settle(Duration::from_secs(600));
    rig.say("domain: the second watcher", 1);
    println!(
        "domain: {} bytes of memory per user for that watcher",
        memory().saturating_sub(before) / u64::from(USERS)
    );
    rig.reset();
    rig.publish("p77");
    rig.settle(Duration::from_secs(2));
    assert_eq!(rig.notifies, 2);
    rig.say("domain: a change of one user, per NOTIFY and its 200", rig.notifies);
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("list") => lamps(true),
        Some("single") => lamps(false),
        Some("domain") => domain(),
        _ => {
            for part in ["list", "single", "domain"] {
                let status =
                    std::process::Command::new(std::env::current_exe().unwrap()).arg(part).status().unwrap();
                assert!(status.success(), "{part}");
            }
        }
    }
}
