//! A node with a virtual clock, driven by bytes: what `node` times and `instructions` counts.

use bytes::Bytes;
use lampyris_core::command::{Command, Selector};
use lampyris_core::flow::{Flow, Listener, ListenerId, Transport};
use lampyris_core::input::Input;
use lampyris_core::journal::{Record, Value};
use lampyris_core::node::Node;
use lampyris_core::output::Output;
use lampyris_core::settings::{Domain, Settings};
use lampyris_core::time::{Now, UnixTime};
use lampyris_sip::{Message, ResponseWriter, StatusCode};
use nix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// When the virtual clock starts: 2026-01-01.
pub(super) const EPOCH_MS: u64 = 1_767_225_600_000;

/// CPU time of this thread.
pub(super) fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// What it costs to look at the clock.
pub(super) fn clock_cost() -> Duration {
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
pub(super) struct Rig {
    node: Node,
    now: Now,
    flow: Flow,
    pub(super) spent: Duration,
    /// What the node sent, and has not been looked at.
    pub(super) sent: Vec<Bytes>,
    /// The last subscription that was stored.
    pub(super) subscription: Option<Value>,
}

impl Rig {
    pub(super) fn new(settings: Settings) -> Self {
        let local: SocketAddr = ([127, 0, 0, 1], 5060).into();
        let names = Vec::new();
        let listener =
            Listener { id: ListenerId(0), transport: Transport::Udp, local, advertised: local, names };
        let now =
            Now { mono: lampyris_core::time::Instant::default(), wall: UnixTime::from_millis(EPOCH_MS) };
        let flow = Flow::Udp { listener: ListenerId(0), remote: ([127, 0, 0, 1], 5070).into() };
        let node = Node::new(Arc::new(settings), vec![listener], [7; 32], now);
        Self { node, now, flow, spent: Duration::ZERO, sent: Vec::new(), subscription: None }
    }

    /// A node that believes everybody, for a domain in which everybody exists.
    pub(super) fn trusting() -> Self {
        let mut settings = Settings::empty();
        settings.domains = vec![Domain { any_user: true, ..Domain::named("bench.example") }];
        settings.trusted = vec!["127.0.0.0/8".parse().unwrap()];
        // Why: a publisher comes every millisecond, and each of its words is to be told.
        settings.quotas.publishes_per_s = 0;
        settings.notify_max_rate.any = 10_000;
        Self::new(settings)
    }

    /// Hands over one message and drains the node, on the clock.
    pub(super) fn receive(&mut self, bytes: Bytes) {
        self.timed(|rig| {
            let input = Input::Received { flow: rig.flow, message: Message::parse(bytes) };
            rig.node.handle_input(rig.now, input);
        });
    }

    pub(super) fn command(&mut self, command: Command) {
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
                    if let Record::Upsert(_, value @ Value::Subscription(_)) = record {
                        self.subscription = Some(value);
                    }
                }
                Output::Timeout(at) => match tickets.pop_front() {
                    Some(ticket) => self.node.handle_input(self.now, Input::Persisted(ticket, Ok(()))),
                    None if at <= self.now.mono => self.node.handle_input(self.now, Input::Timeout),
                    None => return,
                },
                _ => {}
            }
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.now.wall = self.now.wall + time;
    }

    /// Sends a request and returns its answer; NOTIFYs that came with it are answered 200.
    pub(super) fn ask(&mut self, request: Bytes) -> Message {
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
pub(super) fn subscribe(
    n: u64,
    cseq: u32,
    to_tag: &str,
    package: &str,
    presentity: &str,
    authorization: &str,
) -> Bytes {
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
pub(super) fn publish(n: u64, presentity: &str, etag: &str) -> Bytes {
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

pub(super) fn expect(status: u16, message: &Message) {
    assert_eq!(message.status(), Some(StatusCode(status)), "{}", String::from_utf8_lossy(message.raw()));
}

/// Time for `count` new subscriptions, each with its NOTIFY and the 200 to it; presentities have ten watchers.
pub(super) fn subscribing(count: u64, package: &str) -> Duration {
    let mut rig = Rig::trusting();
    for n in 0..count {
        let answer = rig.ask(subscribe(n, 1, "", package, &format!("p{}", n / 10), ""));
        expect(200, &answer);
    }
    rig.spent
}

/// Time for `count` NOTIFYs that a command asks for, with the 200 to each: the transaction, its head and its body.
pub(super) fn notifying(count: u64) -> Duration {
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
