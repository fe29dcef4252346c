//! A whole node as operation sequences: messages on flows, time, streams, DNS, a disk that stores or fails, kills and
//! administrators, in any order. Nothing panics, every drain ends, and what leaves is SIP.
//!
//! The input is text: operations separated by lines of `%%`, each a letter and what it is about:
//! `m3...` a message on UDP flow 3 (line ends may be bare LF), `s1...` one on stream 1, `o1`/`c1` a stream opens or closes,
//! `t90` time passes, `w-3600` the wall clock is set, `p`/`f` what is to be stored is stored or fails, `d` DNS fails,
//! `k` the process is killed and starts on what was stored, `aSIP/a INUSE` a device state is set, `n` everybody is nudged.
#![no_main]

use bytes::Bytes;
use lampyris_core::command::{Command, Selector};
use lampyris_core::flow::{Flow, Listener, ListenerId, StreamId, Transport};
use lampyris_core::input::{DnsAnswer, Input, StoreError};
use lampyris_core::journal::{Key, Kind, Record, Value};
use lampyris_core::node::Node;
use lampyris_core::output::{Output, Ticket};
use lampyris_core::settings::{Domain, Settings};
use lampyris_core::time::{Instant, Now, UnixTime};
use lampyris_sip::Message;
use libfuzzer_sys::fuzz_target;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// More outputs than one input of 64 KiB can cause.
const OUTPUTS_MAX: usize = 200_000;
const START_MS: u64 = 1_795_252_533_000;

struct World {
    now: Now,
    wall_ahead_ms: i64,
    settings: Arc<Settings>,
    node: Node,
    lives: u8,
    rows: BTreeMap<Key, Value>,
    unstored: VecDeque<(Ticket, Record)>,
}

fn settings() -> Settings {
    let mut settings = Settings::empty();
    let mut domain = Domain::named("example.com");
    domain.any_user = true;
    settings.domains = vec![domain];
    settings.trusted = vec!["192.0.2.0/24".parse().expect("a network")];
    settings
}

fn node(settings: &Arc<Settings>, lives: u8, now: Now) -> Node {
    let local = SocketAddr::from(([198, 51, 100, 1], 5060));
    let listener = |id, transport| Listener {
        id: ListenerId(id),
        transport,
        local,
        advertised: local,
        names: Vec::new(),
    };
    let listeners = vec![listener(0, Transport::Udp), listener(1, Transport::Tcp)];
    Node::new(settings.clone(), listeners, [lives; 32], now)
}

impl World {
    fn new() -> Self {
        let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(START_MS) };
        let settings = Arc::new(settings());
        let mut node = node(&settings, 0, now);
        node.restored(now, true);
        Self {
            now,
            wall_ahead_ms: 0,
            settings,
            node,
            lives: 0,
            rows: BTreeMap::new(),
            unstored: VecDeque::new(),
        }
    }

    fn act(&mut self, operation: &[u8]) {
        let Some((&letter, rest)) = operation.split_first() else { return };
        let text = std::str::from_utf8(rest).unwrap_or_default().trim();
        let number = rest.first().map_or(0, |digit| digit.wrapping_sub(b'0') % 10);
        let remote = SocketAddr::from(([192, 0, 2, 1 + number], 5060));
        let stream = StreamId(u64::from(number) + 1);
        match letter {
            b'm' | b's' => {
                let message = crlf(rest.get(1..).unwrap_or_default());
                let udp = Flow::Udp { listener: ListenerId(0), remote };
                let flow = if letter == b'm' { udp } else { Flow::Stream { id: stream, remote } };
                self.input(Input::Received { flow, message: Message::parse(message) });
            }
            b'o' => {
                self.input(Input::FlowOpened {
                    id: stream,
                    transport: Transport::Tcp,
                    listener: ListenerId(1),
                    remote,
                });
            }
            b'c' => self.input(Input::FlowClosed { id: stream }),
            b't' => self.pass(text.parse::<u64>().unwrap_or(1).min(100_000)),
            b'w' => {
                self.wall_ahead_ms =
                    text.parse::<i64>().unwrap_or(0).clamp(-1_000_000_000, 1_000_000_000) * 1000;
                self.tick(Duration::ZERO);
                self.input(Input::Timeout);
            }
            b'p' | b'f' => self.store(letter == b'p'),
            b'k' => self.kill(),
            b'a' => {
                let (device, state) = text.split_once(' ').unwrap_or((text, "INUSE"));
                let command = Command::SetDevice {
                    device: device.to_owned(),
                    state: state.to_owned(),
                    for_s: Some(60),
                };
                self.node.handle_command(self.now, command);
                self.drain();
            }
            b'n' => {
                self.node.handle_command(self.now, Command::Nudge(Selector::default()));
                self.drain();
            }
            _ => {
                self.node.handle_command(self.now, Command::Status);
                self.drain();
            }
        }
    }

    fn tick(&mut self, by: Duration) {
        self.now.mono = self.now.mono + by;
        let start = UnixTime::from_millis(START_MS.saturating_add_signed(self.wall_ahead_ms));
        self.now.wall = start + self.now.mono.since(Instant::from_micros(0));
    }

    fn pass(&mut self, seconds: u64) {
        // Why: in few steps, or a long time of retransmissions would be all that is ever tried.
        for _ in 0..seconds.min(8) {
            self.tick(Duration::from_millis(seconds * 1000 / seconds.clamp(1, 8)));
            self.input(Input::Timeout);
        }
    }

    fn input(&mut self, input: Input) {
        self.node.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        let mut unanswered = VecDeque::new();
        for _ in 0..OUTPUTS_MAX {
            match self.node.poll_output(self.now) {
                Output::Transmit { bytes, .. } => {
                    let sip = Message::parse(bytes.clone()).is_ok();
                    let about_no_sip = bytes.starts_with(b"SIP/2.0 4")
                        || bytes.starts_with(b"SIP/2.0 505 ")
                        || bytes.iter().all(|b| b"\r\n".contains(b));
                    assert!(sip || about_no_sip, "{}", String::from_utf8_lossy(&bytes));
                }
                Output::Persist(ticket, record) => self.unstored.push_back((ticket, record)),
                Output::Connect { id, .. } => unanswered.push_back(Input::FlowClosed { id }),
                Output::Resolve { query, .. } => {
                    unanswered.push_back(Input::Resolved { query, answer: DnsAnswer::Failed });
                }
                Output::Timeout(_) => match unanswered.pop_front() {
                    Some(input) => self.node.handle_input(self.now, input),
                    None => return,
                },
                Output::Close { .. } | Output::SendPeer(..) | Output::Event(_) => {}
            }
        }
        panic!("a drain does not end");
    }

    fn store(&mut self, works: bool) {
        for (ticket, record) in std::mem::take(&mut self.unstored) {
            let result = if works { Ok(()) } else { Err(StoreError { reason: "full".to_owned() }) };
            match record {
                _ if !works => {}
                Record::Upsert(key, value) => drop(self.rows.insert(key, value)),
                Record::Delete(key) => drop(self.rows.remove(&key)),
            }
            self.input(Input::Persisted(ticket, result));
        }
    }

    fn kill(&mut self) {
        self.unstored.clear();
        self.lives = self.lives.wrapping_add(1);
        self.node = node(&self.settings, self.lives, self.now);
        self.rows.retain(|_, value| value.expires_at().is_none_or(|at| at > self.now.wall));
        for kind in Kind::ALL {
            for (key, value) in self.rows.iter().filter(|(key, _)| key.kind == kind) {
                self.node.restore(self.now, *key, value.clone());
            }
        }
        self.node.restored(self.now, false);
        self.drain();
    }
}

/// Bare line feeds become CRLF, so that seeds can be read and written by people.
fn crlf(text: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(text.len() + 64);
    for (at, byte) in text.iter().enumerate() {
        if *byte == b'\n' && (at == 0 || text[at - 1] != b'\r') {
            bytes.push(b'\r');
        }
        bytes.push(*byte);
    }
    bytes.into()
}

fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    let mut rest = data;
    for _ in 0..64 {
        let end = rest.windows(4).position(|window| window == b"\n%%\n");
        let (operation, more) =
            end.map_or((rest, &rest[rest.len()..]), |end| (&rest[..end + 1], &rest[end + 4..]));
        world.act(operation);
        if more.is_empty() {
            break;
        }
        rest = more;
    }
    world.pass(100_000);
});
