//! One SUBSCRIBE to a domain of 10,000 users (RFC 4662 §5.2): the first NOTIFY names everybody, their states follow in pages,
//! then a change is one small NOTIFY; who is new appears, who is removed ends.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod settings;
mod stage;

use bytes::Bytes;
use lampyris_core::command::Command;
use lampyris_core::device_state::DeviceName;
use lampyris_core::flow::{Flow, ListenerId, StreamId, Transport};
use lampyris_core::input::Input;
use lampyris_core::limits::LIST_PAGE_BYTES_MAX;
use lampyris_core::settings::{Peer, Settings};
use lampyris_sim::host::Effect;
use lampyris_sip::{Message, ResponseWriter, StatusCode};
use stage::picture::Picture;
use stage::{Stage, Town, udp};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

const USERS: u32 = 10_000;
/// The office's own.
const OFFICE: usize = 4;
/// Headers, and the one part that was too large for what was left.
const ROOM: usize = 4000;

struct World {
    stage: Stage,
    picture: Picture,
    /// Bytes of each NOTIFY, in order.
    notifies: Vec<usize>,
    answers: Vec<Message>,
}

fn with_users(users: Range<u32>) -> Arc<Settings> {
    let mut settings: Settings = settings::load(Some("office.toml"), "watch = \"everyone\"").unwrap();
    for n in users {
        let name = format!("user{n}");
        let device = DeviceName::parse(&format!("SIP/{name}")).unwrap();
        settings.peers.insert(name.clone(), Peer::named(&name, device));
    }
    settings.domains[0].everybody_max = 10_100;
    Arc::new(settings)
}

impl World {
    fn send(&mut self, flow: Flow, line: &str, more: &str, body: &str) {
        self.stage.requests += 1;
        let (n, method) = (self.stage.requests, line.split(' ').next().unwrap());
        let text = format!(
            "{line} SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\nCall-ID: c{n}\r\n\
             CSeq: 1 {method}\r\n{more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.deliver(flow, text.into());
    }

    fn subscribe(&mut self, flow: Flow, transport: &str) {
        self.picture.call_id = format!("c{}", self.stage.requests + 1);
        let more = format!(
            "From: <sip:Alice@example.com>;tag=w\r\nTo: <sip:example.com>\r\nContact: <sip:Alice@192.0.2.1{transport}>\r\n\
             Event: presence\r\nSupported: eventlist\r\nExpires: 3600\r\n"
        );
        self.send(flow, "SUBSCRIBE sip:example.com", &more, "");
    }

    fn reload(&mut self, users: Range<u32>) {
        self.command(Command::Reload(with_users(users)));
        self.pass(Duration::from_secs(10));
    }
}

impl Town for World {
    fn stage(&mut self) -> &mut Stage {
        &mut self.stage
    }

    fn carry(&mut self) {
        while let Some(effect) = self.stage.host.poll() {
            let (flow, bytes): (Flow, Bytes) = match effect {
                Effect::Send { flow, bytes } => (flow, bytes),
                _ => continue,
            };
            let message = Message::parse(bytes).unwrap();
            if !message.is_request() {
                self.answers.push(message);
                continue;
            }
            self.notifies.push(message.raw().len());
            self.picture.take(&message);
            self.stage
                .receive(flow, ResponseWriter::reply_to(&message, StatusCode(200), None, None).finish());
        }
    }
}

#[test]
fn ten_thousand_users_are_watched_by_one_subscription() {
    let mut world = World {
        stage: Stage::new(with_users(0..USERS), 1),
        picture: Picture::default(),
        notifies: Vec::new(),
        answers: Vec::new(),
    };
    // The names alone are too many for a datagram.
    let remote: SocketAddr = "192.0.2.1:5061".parse().unwrap();
    world.subscribe(udp(remote), "");
    world.pass(Duration::from_secs(5));
    let refused = world.answers.pop().unwrap();
    let text = String::from_utf8_lossy(refused.raw()).into_owned();
    assert!(refused.status() == Some(StatusCode(403)) && text.contains("Warning: "), "{text}");

    let (id, listener) = (StreamId(1), ListenerId(1));
    let now = world.stage.now;
    world.stage.host.input(now, Input::FlowOpened { id, transport: Transport::Tls, listener, remote });
    let stream = Flow::Stream { id, remote };
    world.subscribe(stream, ";transport=tls");
    assert!(world.notifies.len() <= 1);
    world.pass(Duration::from_secs(600));
    let count = usize::try_from(USERS).unwrap() + OFFICE;
    assert_eq!((world.picture.rows.len(), world.picture.fulls), (count, 1));
    assert!(!world.picture.gap && !world.picture.rows.values().any(|told| told == "unknown"));
    let (first, pages) = world.notifies.split_first().unwrap();
    assert!(*first < 100 * count, "{first} bytes name {count} users");
    assert!(pages.len() > 100 && pages.iter().all(|bytes| *bytes < LIST_PAGE_BYTES_MAX + ROOM), "{pages:?}");

    // One changes: one NOTIFY, of that one.
    let (before, rows) = (world.notifies.len(), world.picture.rows.clone());
    let body = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:Bob@example.com\"><tuple id=\"t\"><status>\
                <basic>open</basic></status><note>back</note></tuple></presence>";
    let more = "From: <sip:Bob@example.com>;tag=p\r\nTo: <sip:Bob@example.com>\r\nEvent: presence\r\nExpires: 3600\r\n\
                Content-Type: application/pidf+xml\r\n";
    world.send(stream, "PUBLISH sip:Bob@example.com", more, body);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.notifies.len(), before + 1);
    assert!(world.notifies[before] < 2500, "{} bytes tell of one change", world.notifies[before]);
    let changed: Vec<_> = rows.iter().filter(|(uri, told)| world.picture.rows[*uri] != **told).collect();
    assert_eq!(changed.len(), 1);
    assert!(world.picture.rows["sip:Bob@example.com"].contains("back"));

    // Some are new, and some are gone: told alone, not with the whole list.
    world.reload(3..USERS + 2);
    assert_eq!(world.picture.rows["sip:user0@example.com"], "terminated noresource");
    assert!(world.picture.rows.contains_key("sip:user10001@example.com"));
    assert_eq!((world.picture.lasting().len(), world.picture.fulls), (count - 1, 1));
    assert!(!world.picture.gap && world.notifies.len() <= before + 3);

    // More than are allowed: the subscription ends.
    world.reload(0..10_200);
    assert!(world.picture.over);
}
