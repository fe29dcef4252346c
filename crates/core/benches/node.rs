//! What the node costs without a socket or a disk: CPU time per request, per NOTIFY, per document and per record.
//!
//! Bytes go in and come out, so parsing and writing are part of every figure; records are taken for durable at once.
//! A virtual millisecond passes per request, so finished transactions linger as at 1,000 requests per second. Only the
//! node's own work is on the clock, not the answers that the simulated phones make up; and the clock of the `node` group
//! is the thread's CPU time, so that other work on the machine disturbs less. Run it with
//! `cargo bench -p lampyris-core --bench node`.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark may end where something is not as it must be"
)]

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use lampyris_core::body::dialog_info::DialogInfo;
use lampyris_core::body::pidf::Pidf;
use lampyris_core::body::{HoleValues, Style};
use lampyris_core::command::{Command, Selector};
use lampyris_core::composition::extension::{LampState, Presence};
use lampyris_core::device_state::{DeviceName, ExtensionState};
use lampyris_core::flow::{Flow, Listener, ListenerId, Transport};
use lampyris_core::input::Input;
use lampyris_core::journal::{Record, Value};
use lampyris_core::node::Node;
use lampyris_core::output::Output;
use lampyris_core::settings::{Authentication, Domain, Peer, Settings};
use lampyris_core::time::{Now, UnixTime};
use lampyris_sip::digest::{self, Algorithm, Ha1};
use lampyris_sip::headers::Challenge;
use lampyris_sip::{Message, Name, ResponseWriter, StatusCode};
use nix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

/// When the virtual clock starts: 2026-01-01.
const EPOCH_MS: u64 = 1_767_225_600_000;

/// CPU time of this thread.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// What it costs to look at the clock.
fn clock_cost() -> Duration {
    static COST: OnceLock<Duration> = OnceLock::new();
    *COST.get_or_init(|| {
        let looks = 100_000;
        let started = cpu_time();
        for _ in 0..looks {
            black_box(cpu_time());
        }
        (cpu_time() - started) / looks
    })
}

/// A node, its virtual clock, and how long it has worked.
struct Rig {
    node: Node,
    now: Now,
    flow: Flow,
    spent: Duration,
    /// What the node sent, and has not been looked at.
    sent: Vec<Bytes>,
    /// The last record that was stored.
    record: Option<Record>,
}

impl Rig {
    fn new(settings: Settings) -> Self {
        let local: SocketAddr = ([127, 0, 0, 1], 5060).into();
        let names = Vec::new();
        let listener =
            Listener { id: ListenerId(0), transport: Transport::Udp, local, advertised: local, names };
        let now =
            Now { mono: lampyris_core::time::Instant::default(), wall: UnixTime::from_millis(EPOCH_MS) };
        let flow = Flow::Udp { listener: ListenerId(0), remote: ([127, 0, 0, 1], 5070).into() };
        let node = Node::new(Arc::new(settings), vec![listener], [7; 32], now);
        Self { node, now, flow, spent: Duration::ZERO, sent: Vec::new(), record: None }
    }

    /// A node that believes everybody, for a domain in which everybody exists.
    fn trusting() -> Self {
        let mut settings = Settings::empty();
        settings.domains = vec![Domain { any_user: true, ..Domain::named("bench.example") }];
        settings.trusted = vec!["127.0.0.0/8".parse().unwrap()];
        Self::new(settings)
    }

    /// Hands over one message and drains the node, on the clock.
    fn receive(&mut self, bytes: Bytes) {
        self.timed(|rig| {
            let input = Input::Received { flow: rig.flow, message: Message::parse(bytes) };
            rig.node.handle_input(rig.now, input);
        });
    }

    fn command(&mut self, command: Command) {
        self.timed(|rig| {
            black_box(rig.node.handle_command(rig.now, command));
        });
    }

    fn timed(&mut self, work: impl FnOnce(&mut Self)) {
        let started = cpu_time();
        work(self);
        self.drain();
        self.spent += cpu_time().saturating_sub(started).saturating_sub(clock_cost());
    }

    fn drain(&mut self) {
        let mut tickets = VecDeque::new();
        loop {
            match self.node.poll_output(self.now) {
                Output::Transmit { bytes, .. } => self.sent.push(bytes),
                Output::Persist(ticket, record) => {
                    tickets.push_back(ticket);
                    self.record = Some(record);
                }
                Output::Timeout(_) => match tickets.pop_front() {
                    Some(ticket) => self.node.handle_input(self.now, Input::Persisted(ticket, Ok(()))),
                    None => return,
                },
                _ => {}
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.now.wall = self.now.wall + time;
    }

    /// Sends a request and returns its answer; NOTIFYs that came with it are answered 200.
    fn ask(&mut self, request: Bytes) -> Message {
        self.pass(Duration::from_millis(1));
        self.receive(request);
        self.answered()
    }

    /// Answers all NOTIFYs 200 and returns the last response.
    fn answered(&mut self) -> Message {
        let mut response = None;
        while !self.sent.is_empty() {
            for bytes in std::mem::take(&mut self.sent) {
                let message = Message::parse(bytes).unwrap();
                if message.is_request() {
                    let answer = ResponseWriter::reply_to(&message, StatusCode(200), None, None).finish();
                    self.receive(answer);
                } else {
                    response = Some(message);
                }
            }
        }
        response.expect("every request is answered")
    }
}

/// A SUBSCRIBE as a desk phone writes it, about 700 bytes.
fn subscribe(n: u64, cseq: u32, to_tag: &str, package: &str, presentity: &str, authorization: &str) -> Bytes {
    let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    let accept = if package == "dialog" { "application/dialog-info+xml" } else { "application/pidf+xml" };
    Bytes::from(format!(
        "SUBSCRIBE sip:{presentity}@bench.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-{n:x}-{cseq};rport\r\n\
         Max-Forwards: 70\r\n\
         From: \"Watcher {n}\" <sip:watcher@bench.example>;tag=5f3a{n:x}\r\n\
         To: <sip:{presentity}@bench.example>{to_tag}\r\n\
         Call-ID: 3c26700a{n:x}-jh2b7tq8@127.0.0.1\r\n\
         CSeq: {cseq} SUBSCRIBE\r\n\
         Contact: <sip:watcher@127.0.0.1:5070;line={n:x}>\r\n\
         Event: {package}\r\n\
         Accept: {accept}\r\n\
         Expires: 3600\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, REFER, OPTIONS, NOTIFY, SUBSCRIBE, PRACK, MESSAGE, INFO\r\n\
         Supported: timer, 100rel, replaces, from-change\r\n\
         User-Agent: Bench Phone 1.0\r\n{authorization}\
         Content-Length: 0\r\n\r\n"
    ))
}

/// A PUBLISH of presence with a note.
fn publish(n: u64, presentity: &str, etag: &str) -> Bytes {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \
         entity=\"sip:{presentity}@bench.example\"><tuple id=\"t1\"><status><basic>open</basic></status></tuple>\
         <dm:person id=\"p1\"><rpid:activities><rpid:busy/></rpid:activities><dm:note>change {n}</dm:note></dm:person>\
         </presence>\n"
    );
    let condition = if etag.is_empty() { String::new() } else { format!("SIP-If-Match: {etag}\r\n") };
    Bytes::from(format!(
        "PUBLISH sip:{presentity}@bench.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-p{n:x};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:{presentity}@bench.example>;tag=77a{n:x}\r\n\
         To: <sip:{presentity}@bench.example>\r\n\
         Call-ID: pub{n:x}@127.0.0.1\r\n\
         CSeq: 1 PUBLISH\r\n\
         Event: presence\r\n\
         Expires: 3600\r\n{condition}\
         Content-Type: application/pidf+xml\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn expect(status: u16, message: &Message) {
    assert_eq!(message.status(), Some(StatusCode(status)), "{}", String::from_utf8_lossy(message.raw()));
}

/// Time for `count` new subscriptions, each with its NOTIFY and the 200 to it; presentities have ten watchers.
fn subscribing(count: u64, package: &str) -> Duration {
    let mut rig = Rig::trusting();
    for n in 0..count {
        let answer = rig.ask(subscribe(n, 1, "", package, &format!("p{}", n / 10), ""));
        expect(200, &answer);
    }
    rig.spent
}

fn refreshing(count: u64) -> Duration {
    let mut rig = Rig::trusting();
    let tags: Vec<String> = (0..1000)
        .map(|n| {
            rig.ask(subscribe(n, 1, "", "presence", &format!("p{}", n / 10), "")).to_tag().unwrap().to_owned()
        })
        .collect();
    rig.spent = Duration::ZERO;
    for round in 0..count {
        let n = round % 1000;
        let cseq = u32::try_from(round / 1000).unwrap() + 2;
        let tag = &tags[usize::try_from(n).unwrap()];
        let answer = rig.ask(subscribe(n, cseq, tag, "presence", &format!("p{}", n / 10), ""));
        expect(200, &answer);
    }
    rig.spent
}

/// Time for `count` new subscriptions of one user, each with a digest of its own.
fn authenticating(count: u64, algorithm: Algorithm) -> Duration {
    let ha1 = digest::ha1(algorithm, "watcher", "bench.example", "secret");
    let mut settings = Settings::empty();
    settings.domains =
        vec![Domain { any_user: true, algorithms: vec![algorithm], ..Domain::named("bench.example") }];
    let mut peer = Peer::named("watcher", DeviceName::parse("SIP/watcher").unwrap());
    peer.authentication = Authentication::Digest(vec![ha1.clone()]);
    settings.peers.insert("watcher".into(), peer);
    let mut rig = Rig::new(settings);
    let mut nonce = String::new();
    let mut nc = 0;
    for n in 0..count {
        let presentity = format!("p{}", n / 10);
        // Why: a nonce lives for 300 s.
        if n % 200_000 == 0 {
            let spent = rig.spent;
            let refusal = rig.ask(subscribe(n, 1, "", "presence", &presentity, ""));
            expect(401, &refusal);
            let challenge = Challenge::parse(refusal.header(Name::WwwAuthenticate).unwrap()).unwrap();
            (nonce, nc, rig.spent) = (challenge.nonce.to_owned(), 0, spent);
        }
        nc += 1;
        let authorization = authorization(&ha1, &nonce, nc, &format!("sip:{presentity}@bench.example"));
        let answer = rig.ask(subscribe(n, 2, "", "presence", &presentity, &authorization));
        expect(200, &answer);
    }
    rig.spent
}

fn authorization(ha1: &Ha1, nonce: &str, nc: u32, uri: &str) -> String {
    let nc = format!("{nc:08x}");
    let qop = digest::Qop { nc: &nc, cnonce: "0a4f113b", qop: "auth" };
    let response = digest::response(ha1, nonce, Some(qop), "SUBSCRIBE", uri, b"");
    format!(
        "Authorization: Digest username=\"watcher\", realm=\"bench.example\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{}\", algorithm={}, qop=auth, nc={nc}, cnonce=\"0a4f113b\"\r\n",
        response.as_str(),
        ha1.algorithm().token()
    )
}

/// Time for `count` changes of one presentity, each told to all its watchers and answered by them.
fn publishing(count: u64, watchers: u64) -> Duration {
    let mut rig = Rig::trusting();
    for n in 0..watchers {
        expect(200, &rig.ask(subscribe(n, 1, "", "presence", "p0", "")));
    }
    let mut etag = String::new();
    for n in 0..=count {
        if n == 1 {
            rig.spent = Duration::ZERO;
        }
        let answer = rig.ask(publish(n, "p0", &etag));
        expect(200, &answer);
        answer.header(Name::SipETag).unwrap().clone_into(&mut etag);
    }
    rig.spent
}

/// Time for `count` NOTIFYs that a command asks for, with the 200 to each: the transaction, its head and its body.
fn notifying(count: u64) -> Duration {
    let mut rig = Rig::trusting();
    expect(200, &rig.ask(subscribe(0, 1, "", "presence", "p0", "")));
    rig.spent = Duration::ZERO;
    for _ in 0..count {
        rig.pass(Duration::from_millis(1));
        rig.command(Command::Nudge(Selector::default()));
        let notify = Message::parse(rig.sent.pop().expect("a NOTIFY")).unwrap();
        rig.receive(ResponseWriter::reply_to(&notify, StatusCode(200), None, None).finish());
    }
    rig.spent
}

fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("node");
    group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    group.bench_function("notify_and_its_200", |b| b.iter_custom(notifying));
    group.bench_function("subscribe/presence", |b| b.iter_custom(|count| subscribing(count, "presence")));
    group.bench_function("subscribe/dialog", |b| b.iter_custom(|count| subscribing(count, "dialog")));
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let name = format!("subscribe/{}", algorithm.token());
        group.bench_function(name, |b| b.iter_custom(|count| authenticating(count, algorithm)));
    }
    group.bench_function("refresh", |b| b.iter_custom(refreshing));
    for watchers in [0, 10, 1000] {
        let name = format!("publish_modify/{watchers}_watchers");
        group.bench_function(name, |b| b.iter_custom(|count| publishing(count, watchers)));
    }
    group.finish();
}

fn documents(c: &mut Criterion) {
    let mut group = c.benchmark_group("body");
    group.sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    let lamp = LampState::of(ExtensionState::InUse);
    let published = publish(1, "p0", "");
    let published = Message::parse(published).unwrap();
    let document = Arc::new(Pidf::decode(published.body_bytes()).unwrap());
    let presence = Presence { lamp: None, published: vec![document], ..Presence::default() };
    group.bench_function("presence/decode", |b| {
        b.iter(|| Pidf::decode(black_box(published.body_bytes())).unwrap())
    });
    group.bench_function("presence/encode", |b| {
        b.iter(|| Pidf::encode(black_box(&presence), "p0", Style::default()))
    });
    group.bench_function("dialog/encode", |b| {
        b.iter(|| DialogInfo::encode_lamp(black_box(&lamp), "6001", Style::default()));
    });
    let body = DialogInfo::encode_lamp(&lamp, "6001", Style::default());
    let values = HoleValues {
        version: 17,
        entity: "sip:6001@bench.example",
        watcher: "sip:watcher@bench.example",
        call_id: "3c26700a0-jh2b7tq8@127.0.0.1",
        now: UnixTime::from_millis(0),
    };
    group.bench_function("dialog/fill", |b| b.iter(|| body.fill(black_box(&values))));
    group.finish();
}

fn records(c: &mut Criterion) {
    let mut rig = Rig::trusting();
    expect(200, &rig.ask(subscribe(0, 1, "", "presence", "p0", "")));
    let Some(Record::Upsert(_, value @ Value::Subscription(_))) = rig.record else {
        panic!("no subscription stored")
    };
    let mut group = c.benchmark_group("journal");
    group.sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    group.bench_function("subscription/encode", |b| {
        b.iter(|| postcard::to_extend(black_box(&value), Vec::with_capacity(512)).unwrap());
    });
    let bytes = postcard::to_extend(&value, Vec::new()).unwrap();
    group.bench_function("subscription/decode", |b| {
        b.iter(|| postcard::from_bytes::<Value>(black_box(&bytes)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, requests, documents, records);
criterion_main!(benches);
