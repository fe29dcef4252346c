//! Servers on port 0 around a double of the node: what the shell promises whatever the node does.

use super::{Options, Reload, Reloaded, Running, StartError, StoreFault, start_limited};
use crate::admin::protocol::{Direction, Remarks, Response, Server, SipMessage};
use crate::config::{Door, HttpSettings, Listen, ShellSettings};
use crate::engine::Core;
use crate::store::tests::TempDir;
use crate::transport::limits::Limits;
use crate::transport::limits::Seats;
use crate::transport::tls::{KeyFiles, Keys};
use bytes::Bytes;
use lampyris_core::command::{Command, Reply};
use lampyris_core::flow::{Flow, ListenerId, StreamId, Transport};
use lampyris_core::input::{DnsAnswer, DnsQuestion, Input, QueryId};
use lampyris_core::journal::{DeviceRecord, Key, Kind, Record, Value};
use lampyris_core::output::{Output, Ticket};
use lampyris_core::time::Now;
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Answers every message twice: once behind a record, once at once, in that order. Tells the test what it met.
struct Double {
    outputs: VecDeque<Output>,
    met: Sender<String>,
    ticket: u64,
    waiting: Vec<(Ticket, Flow)>,
    /// Bytes of each record and of each answer.
    record_bytes: usize,
    answer_bytes: usize,
    wants: Vec<Output>,
}

impl Double {
    fn tell(&self, text: String) {
        let _ = self.met.send(text);
    }

    fn transmit(&mut self, flow: Flow, text: &str, after: Option<Ticket>) {
        let bytes = Bytes::from(format!("{text}\r\nPad: {}\r\n\r\n", "x".repeat(self.answer_bytes)));
        self.outputs.push_back(Output::Transmit { flow, bytes, after });
    }
}

impl Core for Double {
    fn restore(&mut self, _: Now, key: Key, value: Value) {
        let Value::Device(device) = value else { panic!("no {value:?} was stored") };
        self.tell(format!("restore {} {}", key.slot, device.device.len()));
    }

    fn inherit(&mut self, _: Now, _: StreamId, _: Transport, _: ListenerId, _: SocketAddr) {}

    fn restored(&mut self, _: Now, _: bool) {
        self.tell("restored".into());
        self.outputs.extend(std::mem::take(&mut self.wants));
    }

    fn handle_input(&mut self, now: Now, input: Input) {
        match input {
            Input::Received { flow, message } => {
                self.tell(format!("received {}", message.is_ok()));
                self.ticket += 1;
                let ticket = Ticket(self.ticket);
                let device = "d".repeat(self.record_bytes);
                let device = DeviceRecord { device, state: "INUSE".into(), until: None, set_at: now.wall };
                let key = Key { kind: Kind::Device, slot: self.ticket };
                self.outputs.push_back(Output::Persist(ticket, Record::Upsert(key, Value::Device(device))));
                self.waiting.push((ticket, flow));
                self.transmit(flow, "SIP/2.0 200 OK\r\nCSeq: 1 REGISTER", Some(ticket));
                self.transmit(flow, "NOTIFY sip:a@b SIP/2.0", None);
            }
            Input::Persisted(ticket, result) => {
                let at = self.waiting.iter().position(|(t, _)| *t == ticket).expect("a ticket that waits");
                let (_, flow) = self.waiting.remove(at);
                if result.is_err() {
                    self.transmit(flow, "SIP/2.0 503 Service Unavailable", None);
                }
            }
            Input::FlowOpened { id, .. } => self.tell(format!("opened {}", whose(id))),
            Input::FlowProved { names, .. } => self.tell(format!("proved {names:?}")),
            Input::FlowClosed { id } => self.tell(format!("closed {}", whose(id))),
            Input::Resolved { query, answer } => self.tell(format!("resolved {} {answer:?}", query.0)),
            Input::Timeout => self.tell("timeout".into()),
            Input::FlowBlocked { .. } => self.tell("blocked".into()),
            Input::FlowUnblocked { .. } => self.tell("unblocked".into()),
            Input::Load(_) | Input::Peer(..) => {}
        }
    }

    fn handle_command(&mut self, _: Now, command: Command) -> Reply {
        match command {
            Command::Status => Reply::Status(lampyris_core::view::Status::default()),
            Command::SetDevice { .. } => Reply::Refused { reason: "a double has no devices".into() },
            _ => Reply::Done { count: 7 },
        }
    }

    fn knows(&self, _: Flow) -> bool {
        false
    }

    fn poll_output(&mut self, now: Now) -> Output {
        self.outputs.pop_front().unwrap_or(Output::Timeout(now.mono + Duration::from_secs(3600)))
    }
}

/// The node marks the streams it connects with this bit.
const OURS: u64 = 1 << 63;

fn whose(id: StreamId) -> &'static str {
    if id.0 & OURS == 0 { "theirs" } else { "ours" }
}

/// A server around a double, and what the double meets.
struct Lab {
    running: Running,
    met: Receiver<String>,
}

struct Setup {
    shell: ShellSettings,
    options: Options,
    limits: Limits,
    record_bytes: usize,
    answer_bytes: usize,
    wants: Vec<Output>,
}

/// Loopback, ports of the system's choosing, nothing stored.
fn shell() -> ShellSettings {
    let listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"].map(|text| Listen::parse(text).expect("listens"));
    let http = HttpSettings { address: None, ..HttpSettings::default() };
    ShellSettings { listen: listen.into(), http, ..ShellSettings::defaults() }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            shell: shell(),
            options: Options::default(),
            limits: Limits::default(),
            record_bytes: 0,
            answer_bytes: 0,
            wants: Vec::new(),
        }
    }
}

impl Setup {
    fn start(self) -> Result<Lab, StartError> {
        let (sender, met) = mpsc::channel();
        let running = start_limited(
            &self.shell,
            &self.options,
            self.limits,
            super::Inherited::default(),
            |listeners, _, _| {
                assert!(listeners.iter().all(|l| l.local.port() != 0));
                Double {
                    outputs: VecDeque::new(),
                    met: sender,
                    ticket: 0,
                    waiting: Vec::new(),
                    record_bytes: self.record_bytes,
                    answer_bytes: self.answer_bytes,
                    wants: self.wants,
                }
            },
        )?;
        Ok(Lab { running, met })
    }
}

impl Lab {
    fn address(&self, transport: Transport) -> SocketAddr {
        self.running.address(transport).expect("it listens")
    }

    fn udp(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
        socket.connect(self.address(Transport::Udp)).expect("connects");
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        socket
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address(Transport::Tcp)).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream
    }

    /// Waits until the double meets exactly these, in order.
    fn meets(&self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.met.recv_timeout(PATIENCE).as_deref(), Ok(*expected));
        }
    }
}

const MESSAGE: &str = "OPTIONS sip:lampyris@127.0.0.1 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1\r\n\
    Max-Forwards: 70\r\n\
    From: <sip:a@127.0.0.1>;tag=1\r\n\
    To: <sip:b@127.0.0.1>\r\n\
    Call-ID: 1\r\n\
    CSeq: 1 OPTIONS\r\n\
    Content-Length: 0\r\n\r\n";

fn start_line(datagram: &[u8]) -> String {
    String::from_utf8_lossy(datagram).lines().next().unwrap_or_default().to_owned()
}

fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).expect("an answer");
    start_line(&buffer[..len])
}

#[test]
fn answers_leave_after_the_commit_in_order_and_records_are_there_after_a_restart() {
    let temp = TempDir::new();
    let setup = || Setup {
        shell: ShellSettings { data: Some(temp.path().join("data")), ..shell() },
        record_bytes: 5,
        ..Setup::default()
    };
    let lab = setup().start().expect("starts");
    lab.meets(&["restored"]);
    let phone = lab.udp();
    phone.send(b"\r\n\r\n").expect("a keep-alive");
    for _ in 0..3 {
        phone.send(MESSAGE.as_bytes()).expect("sent");
        assert_eq!(receive(&phone), "SIP/2.0 200 OK");
        assert_eq!(receive(&phone), "NOTIFY sip:a@b SIP/2.0");
    }
    lab.meets(&["received true", "received true", "received true"]);
    let counters = lab.running.counters().expect("runs");
    assert_eq!((counters.udp_received, counters.udp_keepalives, counters.udp_sent), (4, 1, 6));
    assert_eq!((counters.records_stored, counters.held, counters.held_dropped), (3, 0, 0));

    match setup().start().map(drop) {
        Err(StartError::Store(StoreFault::InUse { pid, .. })) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("two servers in one directory: {other:?}"),
    }
    lab.running.stop().expect("stops");
    assert!(!temp.path().join("data/lampyris.sock").exists(), "the socket goes with the server");

    let lab = setup().start().expect("starts again");
    assert_eq!(lab.running.restored(), 3);
    lab.meets(&["restore 1 5", "restore 2 5", "restore 3 5", "restored"]);
}

#[test]
fn what_cannot_be_stored_is_refused_and_its_answer_never_leaves() {
    let temp = TempDir::new();
    let shell = ShellSettings { data: Some(temp.path().into()), store_bytes_max: 256 << 10, ..shell() };
    let lab = Setup { shell, record_bytes: 1 << 20, ..Setup::default() }.start().expect("starts");
    let phone = lab.udp();
    phone.send(MESSAGE.as_bytes()).expect("sent");
    // The message behind the failed one is freed by the decision; the node's refusal comes of it.
    assert_eq!(receive(&phone), "NOTIFY sip:a@b SIP/2.0");
    assert_eq!(receive(&phone), "SIP/2.0 503 Service Unavailable");
    let counters = lab.running.counters().expect("runs");
    assert_eq!((counters.records_stored, counters.records_failed, counters.held_dropped), (0, 1, 1));
}

#[test]
fn a_stream_is_framed_answered_in_order_and_its_pings_are_ponged() {
    let lab = Setup::default().start().expect("starts");
    lab.meets(&["restored"]);
    let mut phone = lab.tcp();
    // A ping, one message in two pieces, and two messages in one.
    let all = format!("\r\n\r\n{MESSAGE}{MESSAGE}{MESSAGE}");
    for piece in [&all[..10], &all[10..all.len() - 1], &all[all.len() - 1..]] {
        phone.write_all(piece.as_bytes()).expect("sent");
        phone.flush().expect("sent");
    }
    lab.meets(&["opened theirs", "received true", "received true", "received true"]);
    let mut lines = BufReader::new(phone.try_clone().expect("clones")).lines();
    let mut seen = Vec::new();
    let mut pongs = 0;
    while seen.len() < 6 || pongs == 0 {
        let line = lines.next().expect("open").expect("reads");
        match &line[..] {
            line if line.starts_with("SIP/2.0") || line.starts_with("NOTIFY") => seen.push(line.to_owned()),
            // Each message of the double has one empty line; the pong is the one more.
            "" => pongs += 1,
            _ => {}
        }
    }
    assert_eq!(seen, ["SIP/2.0 200 OK", "NOTIFY sip:a@b SIP/2.0"].repeat(3));
    drop((lines, phone));
    lab.meets(&["closed theirs"]);
    let counters = lab.running.counters().expect("runs");
    assert_eq!((counters.streams_opened, counters.streams_open), (1, 0));
}

#[test]
fn what_is_no_message_reaches_the_node_once_and_ends_the_stream() {
    let lab = Setup::default().start().expect("starts");
    lab.meets(&["restored"]);
    // A whole message, then one whose end nobody can know; the answers to both are delivered before the end.
    let endless = MESSAGE.replace("Content-Length: 0\r\n", "");
    let mut phone = lab.tcp();
    phone.write_all(format!("{MESSAGE}{endless}{MESSAGE}").as_bytes()).expect("sent");
    lab.meets(&["opened theirs", "received true", "received false", "closed theirs"]);
    let answers =
        BufReader::new(phone).lines().map_while(Result::ok).filter(|line| line.starts_with("SIP/2.0 200"));
    assert_eq!(answers.count(), 2);
}

#[test]
fn strangers_who_say_nothing_or_half_a_message_are_closed_and_those_served_are_not() {
    let short = Duration::from_millis(150);
    let limits = Limits { first: short, whole: short, stranger_idle: short, ..Limits::default() };
    let lab = Setup { limits, ..Setup::default() }.start().expect("starts");
    let (silent, mut half, mut served) = (lab.tcp(), lab.tcp(), lab.tcp());
    half.write_all(&MESSAGE.as_bytes()[..40]).expect("sent");
    served.write_all(MESSAGE.as_bytes()).expect("sent");
    for mut closed in [&silent, &half] {
        match closed.read(&mut [0; 16]) {
            Ok(0) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            other => panic!("still open: {other:?}"),
        }
    }
    // The served one outlived both, opened after them and silent since; it still answers.
    served.write_all(MESSAGE.as_bytes()).expect("still open");
    let mut answers =
        BufReader::new(&served).lines().map_while(Result::ok).filter(|l| l.starts_with("SIP/2.0 200"));
    assert!(answers.next().is_some() && answers.next().is_some());
}

/// Whether the server closes a connection that says this much and no more.
fn is_closed_after(mut stream: &TcpStream, said: &[u8]) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.write_all(said).expect("sent");
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn handshakes_that_do_not_end_and_browsers_that_do_not_answer_are_closed() {
    let temp = TempDir::new();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("signed");
    let (certificate, key) = (temp.path().join("a.pem"), temp.path().join("a.key"));
    std::fs::write(&certificate, own.cert.pem()).expect("written");
    std::fs::write(&key, own.signing_key.serialize_pem()).expect("written");
    let files = KeyFiles { certificate: Some(certificate), key: Some(key), ..KeyFiles::default() };
    let keys = Some(Keys::load(&files).expect("keys"));
    let door = Door { files, keys, ..Door::default() };
    let short = Duration::from_millis(100);
    let limits =
        Limits { tls_handshake: short, ws_handshake: short, ws_ping_every: short, ..Limits::default() };
    let listen = ["ws:127.0.0.1:0", "wss:127.0.0.1:0", "tls:[::1]:0"];
    let listen = listen.map(|text| Listen::parse(text).expect("listens")).into();
    let shell = ShellSettings { listen, door, ..shell() };
    let lab = Setup { shell, limits, ..Setup::default() }.start().expect("starts");
    let open = |transport| TcpStream::connect(lab.address(transport)).expect("connects");
    // Of such connections the node learns nothing.
    assert!(is_closed_after(&open(Transport::Tls), b""));
    assert!(is_closed_after(&open(Transport::Tls), b"\x16\x03\x01\x02"));
    assert!(is_closed_after(&open(Transport::Wss), b""));
    assert!(is_closed_after(&open(Transport::Ws), b""));
    assert!(is_closed_after(&open(Transport::Ws), b"GET / HTTP/1.1\r\nHost: a\r\n"));
    lab.meets(&["restored"]);
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Protocol: sip\r\n\r\n";
    assert!(is_closed_after(&open(Transport::Ws), upgrade.as_bytes()), "it answers no ping");
    lab.meets(&["opened theirs", "closed theirs"]);
}

#[test]
fn a_peer_that_does_not_read_is_closed_and_costs_bounded_memory() {
    let limits = Limits { write_buffer_bytes: 64 << 10, ..Limits::default() };
    let lab = Setup { limits, answer_bytes: 60_000, ..Setup::default() }.start().expect("starts");
    let mut phone = lab.tcp();
    // Sends until the server has had enough: then writing fails.
    let closed = (0..100_000).any(|_| phone.write_all(MESSAGE.as_bytes()).is_err());
    assert!(closed);
    assert!(lab.met.iter().any(|met| met == "closed theirs"));
    assert!(lab.running.counters().expect("runs").streams_send_failed > 0);
}

#[test]
fn the_oldest_stranger_leaves_when_the_seats_are_taken() {
    let seats = Seats { all_max: 100, address_max: 100, strangers_max: 2, address_strangers_max: 100 };
    let lab =
        Setup { limits: Limits { seats, ..Limits::default() }, ..Setup::default() }.start().expect("starts");
    let (first, _second) = (lab.tcp(), lab.tcp());
    lab.meets(&["restored", "opened theirs", "opened theirs"]);
    let _third = lab.tcp();
    assert!(matches!((&first).read(&mut [0; 16]), Ok(0) | Err(_)), "the first is gone");
}

#[test]
fn the_node_connects_streams_and_learns_when_it_cannot() {
    let peer = TcpListener::bind("127.0.0.1:0").expect("binds");
    let remote = peer.local_addr().expect("bound");
    let nobody = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("bound");
    let connect = |id, remote| Output::Connect {
        id: StreamId(OURS | id),
        transport: Transport::Tcp,
        listener: ListenerId(1),
        remote,
        name: "".into(),
    };
    let flow = Flow::Stream { id: StreamId(OURS | 1), remote };
    let transmit =
        |flow, text: &'static [u8]| Output::Transmit { flow, bytes: Bytes::from_static(text), after: None };
    let wants = vec![
        connect(1, remote),
        transmit(flow, b"written before it is open"),
        Output::Close { id: StreamId(OURS | 1) },
        Output::Resolve { query: QueryId(5), question: DnsQuestion::Address("127.0.0.1".into()) },
    ];
    let lab = Setup { wants, ..Setup::default() }.start().expect("starts");
    let (mut stream, _) = peer.accept().expect("connected");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("closed after what was written");
    assert_eq!(text, "written before it is open");
    drop(stream);
    let mut met: Vec<String> = (0..4).map(|_| lab.met.recv_timeout(PATIENCE).expect("met")).collect();
    met.sort();
    let address = DnsAnswer::Address(vec![[127, 0, 0, 1].into()]);
    assert_eq!(met, ["closed ours", "opened ours", &format!("resolved 5 {address:?}"), "restored"]);

    // One that nobody accepts, and one of an earlier process.
    let old = Flow::Stream { id: StreamId(OURS | 99), remote };
    let lab = Setup { wants: vec![connect(2, nobody), transmit(old, b"x")], ..Setup::default() }
        .start()
        .expect("starts");
    lab.meets(&["restored", "closed ours", "closed ours"]);
}

/// A client of the admin socket.
struct Client(BufReader<UnixStream>);

impl Client {
    fn connect(temp: &TempDir) -> Self {
        let stream = UnixStream::connect(temp.path().join("lampyris.sock")).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        Self(BufReader::new(stream))
    }

    fn read(&mut self) -> Response<serde_json::Value> {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("a response")
    }

    fn ask(&mut self, line: &str) -> Response<serde_json::Value> {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).expect("sent");
        self.read()
    }
}

#[test]
fn administrators_ask_watch_reload_and_stop() {
    let temp = TempDir::new();
    let wrong = |text: &str| {
        let diagnostics = vec![serde_json::json!({ "file": "sip.conf", "line": 3 })];
        Remarks { text: text.to_owned(), diagnostics }
    };
    let reload: Reload = std::sync::Arc::new(move || Err(wrong("sip.conf:3:1: unknown key")));
    let shell = ShellSettings { data: Some(temp.path().into()), ..shell() };
    let options = Options { reload: Some(reload), ..Options::default() };
    let lab = Setup { shell, options, ..Setup::default() }.start().expect("starts");
    let mode = std::fs::metadata(temp.path().join("lampyris.sock"))
        .map(|m| std::os::unix::fs::PermissionsExt::mode(&m.permissions()));
    assert_eq!(mode.expect("there") & 0o777, 0o600);

    let mut client = Client::connect(&temp);
    assert_eq!(client.ask(r#"{"command":"Hints"}"#), Response::Reply(serde_json::json!({ "count": 7 })));
    let refused = client.ask(r#"{"command":{"SetDevice":{"device":"SIP/a","state":"INUSE","for_s":null}}}"#);
    assert_eq!(refused, Response::Reply(serde_json::json!({ "reason": "a double has no devices" })));
    assert!(matches!(client.ask("nonsense"), Response::Error { text } if text.contains("not understood")));
    assert_eq!(client.ask(r#""reload""#), Response::Misconfigured(wrong("sip.conf:3:1: unknown key")));
    match client.ask(r#""server""#) {
        Response::Server(server) => {
            let Server { pid, listeners, durability, .. } = *server;
            assert_eq!((pid, durability.as_str()), (std::process::id(), "power"));
            assert_eq!(listeners[0], format!("udp:{}", lab.address(Transport::Udp)));
        }
        other => panic!("{other:?}"),
    }

    let done = Response::Done { text: String::new() };
    assert_eq!(client.ask(r#"{"sip_debug":{"on":true,"method":"OPTIONS"}}"#), done);
    // The tap is put into the inbox before this answer is.
    assert!(matches!(client.ask(r#"{"command":"Peers"}"#), Response::Reply(_)));
    let phone = lab.udp();
    phone.send(MESSAGE.as_bytes()).expect("sent");
    match client.read() {
        Response::Message(SipMessage { direction, remote, text, dropped, .. }) => {
            assert_eq!((direction, remote), (Direction::Received, phone.local_addr().expect("bound")));
            assert_eq!((&text[..], dropped), (MESSAGE, 0));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(receive(&phone), "SIP/2.0 200 OK");
    let mut other = Client::connect(&temp);
    assert_eq!(
        other.ask(r#"{"sip_debug":{"on":false}}"#),
        Response::Reply(serde_json::json!({ "count": 1 }))
    );
    assert_eq!(client.read(), Response::Done { text: "switched off".into() });

    assert_eq!(client.ask(r#""stop""#), Response::Done { text: "stopping".into() });
    lab.running.wait().expect("stopped");
}

#[test]
fn a_reload_without_errors_reaches_the_node() {
    let temp = TempDir::new();
    let settings = std::sync::Arc::new(lampyris_core::settings::Settings::empty());
    let reload: Reload = std::sync::Arc::new(move || {
        let warnings = Remarks { text: "sip.conf:9: ignored".into(), ..Remarks::default() };
        Ok(Reloaded { settings: settings.clone(), door: Door::default(), warnings })
    });
    let shell = ShellSettings { data: Some(temp.path().into()), ..shell() };
    let options = Options { reload: Some(reload), ..Options::default() };
    let _lab = Setup { shell, options, ..Setup::default() }.start().expect("starts");
    let mut client = Client::connect(&temp);
    assert_eq!(
        client.ask(r#""reload""#),
        Response::Reloaded(Remarks { text: "sip.conf:9: ignored".into(), ..Remarks::default() })
    );
}

#[test]
fn what_cannot_be_bound_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let listen = format!("udp:{}", taken.local_addr().expect("bound"));
    let shell = ShellSettings { listen: vec![Listen::parse(&listen).expect("listens")], ..shell() };
    let error = Setup { shell, ..Setup::default() }.start().map(drop).expect_err("taken");
    assert!(error.to_string().starts_with(&format!("cannot listen on {listen}: ")), "{error}");
}

/// The other half of `signals_reload_and_stop`: does nothing unless started by it.
#[test]
fn signals_child() {
    let Ok(path) = std::env::var("LAMPYRIS_SIGNALS_CHILD") else { return };
    let reloaded = format!("{path}/reloaded");
    let reload: Reload = std::sync::Arc::new(move || {
        std::fs::write(&reloaded, "").expect("note");
        Err(Remarks { text: "nothing changes".to_owned(), ..Remarks::default() })
    });
    let options = Options { reload: Some(reload), signals: true, ..Options::default() };
    let shell = ShellSettings { data: Some(path.clone().into()), ..shell() };
    let lab = Setup { shell, options, ..Setup::default() }.start().expect("starts");
    lab.running.wait().expect("stops well");
    std::fs::write(format!("{path}/stopped"), "").expect("note");
}

#[test]
fn signals_reload_and_stop() {
    use nix::sys::signal::{Signal, kill};
    let temp = TempDir::new();
    let notify = std::os::unix::net::UnixDatagram::bind(temp.path().join("notify")).expect("binds");
    notify.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut child = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "server::tests::signals_child", "--test-threads=1"])
        .env("LAMPYRIS_SIGNALS_CHILD", temp.path())
        .env("NOTIFY_SOCKET", temp.path().join("notify"))
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("child");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let notice = || {
        let mut buffer = [0; 256];
        let len = notify.recv(&mut buffer).expect("a notice");
        start_line(&buffer[..len])
    };
    assert_eq!(notice(), "READY=1");
    kill(pid, Signal::SIGHUP).expect("sent");
    assert_eq!((notice(), notice()), ("RELOADING=1".to_owned(), "READY=1".to_owned()));
    assert!(temp.path().join("reloaded").exists());
    kill(pid, Signal::SIGTERM).expect("sent");
    assert_eq!(notice(), "STOPPING=1");
    assert!(child.wait().expect("ends").success());
    assert!(temp.path().join("stopped").exists(), "the child did its half");
}

fn start_node(data: &std::path::Path) -> Running {
    let shell = ShellSettings { data: Some(data.into()), ..shell() };
    let settings = std::sync::Arc::new(lampyris_core::settings::Settings::empty());
    super::start_with(&shell, &Options::default(), |listeners, seed, now| {
        lampyris_core::node::Node::new(settings, listeners, seed, now)
    })
    .expect("starts")
}

/// The state of a device as the node tells it.
fn device_state(running: &Running, name: &str) -> Option<String> {
    match running.command(Command::Devices) {
        Some(Reply::Devices(devices)) => devices.into_iter().find(|d| d.device == name).map(|d| d.state),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_real_node_answers_over_both_transports_and_remembers_what_was_set() {
    let temp = TempDir::new();
    let running = start_node(temp.path());
    let udp = UdpSocket::bind("127.0.0.1:0").expect("binds");
    udp.set_read_timeout(Some(PATIENCE)).expect("set");
    let port = udp.local_addr().expect("bound").port().to_string();
    let message = MESSAGE.replace("127.0.0.1:9", &format!("127.0.0.1:{port}"));
    udp.send_to(message.as_bytes(), running.address(Transport::Udp).expect("UDP")).expect("sent");
    assert_eq!(receive(&udp), "SIP/2.0 200 OK");

    let mut tcp = TcpStream::connect(running.address(Transport::Tcp).expect("TCP")).expect("connects");
    tcp.set_read_timeout(Some(PATIENCE)).expect("set");
    tcp.write_all(MESSAGE.replace("SIP/2.0/UDP", "SIP/2.0/TCP").as_bytes()).expect("sent");
    let answer = BufReader::new(tcp).lines().next().expect("an answer").expect("reads");
    assert_eq!(answer, "SIP/2.0 200 OK");

    let set = Command::SetDevice { device: "Custom:night".into(), state: "INUSE".into(), for_s: None };
    assert_eq!(running.command(set), Some(Reply::Done { count: 1 }));
    assert_eq!(device_state(&running, "Custom:night").as_deref(), Some("INUSE"));
    running.stop().expect("stops");

    let running = start_node(temp.path());
    assert_eq!(running.restored(), 1);
    assert_eq!(device_state(&running, "Custom:night").as_deref(), Some("INUSE"));
}
