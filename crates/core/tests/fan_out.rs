//! One change that very many watch: they are told in turns, each once, and nobody else waits for all of them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "this is a test")]

use bytes::Bytes;
use lampyris_core::flow::{Flow, Listener, ListenerId, Transport};
use lampyris_core::input::Input;
use lampyris_core::limits::NOTIFIES_PER_TURN;
use lampyris_core::node::Node;
use lampyris_core::output::Output;
use lampyris_core::settings::{Domain, Settings};
use lampyris_core::time::{Instant, Now, UnixTime};
use lampyris_sip::{Message, ResponseWriter, StatusCode};
use std::collections::BTreeSet;
use std::sync::Arc;

const NOW: Now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(1_800_000_000_000) };
const FLOW: Flow = Flow::Udp {
    listener: ListenerId(0),
    remote: std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5070),
};

/// What a node sends after an input, and whether it wants to be called again at once.
fn input(node: &mut Node, input: Input) -> (Vec<Message>, bool) {
    let mut sent = Vec::new();
    node.handle_input(NOW, input);
    loop {
        match node.poll_output(NOW) {
            Output::Transmit { bytes, .. } => sent.push(Message::parse(bytes).unwrap()),
            Output::Timeout(at) => return (sent, at <= NOW.mono),
            _ => {}
        }
    }
}

fn request(method: &str, user: &str, more: &str) -> Input {
    let text = format!(
        "{method} sip:seen@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{method}{user}\r\n\
         From: <sip:{user}@example.com>;tag=1\r\nTo: <sip:seen@example.com>\r\nCall-ID: {method}{user}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:{user}@127.0.0.1:5070>\r\nEvent: presence\r\n{more}"
    );
    Input::Received { flow: FLOW, message: Message::parse(Bytes::from(text)) }
}

fn watch(node: &mut Node, watcher: usize) -> Vec<Message> {
    let request = request("SUBSCRIBE", &format!("w{watcher}"), "Content-Length: 0\r\n\r\n");
    let (sent, _) = input(node, request);
    for notify in sent.iter().filter(|message| message.is_request()) {
        answer(node, notify);
    }
    sent
}

fn answer(node: &mut Node, notify: &Message) {
    let bytes = ResponseWriter::reply_to(notify, StatusCode(200), None, None).finish();
    let (sent, _) = input(node, Input::Received { flow: FLOW, message: Message::parse(bytes) });
    assert!(sent.is_empty(), "an answer makes nobody's turn come sooner");
}

#[test]
fn very_many_watchers_are_told_in_turns() {
    let mut settings = Settings::empty();
    settings.domains = vec![Domain { any_user: true, ..Domain::named("example.com") }];
    settings.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let (id, transport, local) = (ListenerId(0), Transport::Udp, "127.0.0.1:5060".parse().unwrap());
    let listeners = vec![Listener { id, transport, local, advertised: local, names: Vec::new() }];
    let mut node = Node::new(Arc::new(settings), listeners, [1; 32], NOW);
    let watchers = 2 * NOTIFIES_PER_TURN + 1;
    for watcher in 0..watchers {
        assert_eq!(watch(&mut node, watcher).len(), 2, "200 and NOTIFY");
    }
    let body = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:seen@example.com\"><tuple id=\"t\">\
                <status><basic>open</basic></status></tuple></presence>";
    let head = format!("Content-Type: application/pidf+xml\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (sent, mut more) = input(&mut node, request("PUBLISH", "seen", &head));
    let (answers, mut turn): (Vec<_>, Vec<_>) = sent.into_iter().partition(|message| !message.is_request());
    assert_eq!((answers.len(), turn.len(), more), (1, NOTIFIES_PER_TURN, true));
    let sent = watch(&mut node, watchers);
    assert_eq!(sent.len(), 2, "who comes meanwhile waits for nobody's turn");

    let (mut told, mut turns) = (BTreeSet::new(), 0);
    loop {
        turns += 1;
        for notify in &turn {
            assert!(told.insert(notify.call_id().to_owned()), "told once");
            answer(&mut node, notify);
        }
        if !more {
            break;
        }
        (turn, more) = input(&mut node, Input::Timeout);
        assert!(turn.len() <= NOTIFIES_PER_TURN);
    }
    assert_eq!((told.len(), turns), (watchers, 3));
}
