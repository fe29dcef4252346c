//! Calls that pass, from the INVITE to the documents of each watcher; and publications as calls.

use super::*;
use crate::body::Variant;
use crate::calls::{LegId, Party};
use crate::command::{Command, Reply};
use crate::device_state::DeviceName;
use crate::flow::{Flow, Listener, ListenerId, Transport};
use crate::hint::Hint;
use crate::input::Input;
use crate::node::Node;
use crate::output::Output;
use crate::settings::{Authentication, Host, NotifyCid, Peer, Profile, Settings};
use crate::time::{Instant, Now, UnixTime};
use lampyris_sip::{Message, Name};
use std::sync::Arc;
use std::time::Duration;

const WATCHER: &str = "192.0.2.13:5060";

/// A node at which Alice can call Bob, Carol and Dora watch, and whoever they call their own.
struct Stage {
    node: Node,
    now: Now,
    sent: Vec<Message>,
}

fn address(name: &str) -> std::net::SocketAddr {
    let last = match name {
        "alice" => 11,
        "bob" => 12,
        _ => return WATCHER.parse().unwrap(),
    };
    format!("192.0.2.{last}:5060").parse().unwrap()
}

fn flow(name: &str) -> Flow {
    Flow::Udp { listener: ListenerId(0), remote: address(name) }
}

fn contact(name: &str) -> String {
    format!("sip:{name}@{}", address(name))
}

/// Alice's INVITE and what follows it; `to` is `bob`, with his tag behind a slash where he has given one.
fn message(start: &str, to: &str, cseq: &str, headers: &str) -> Message {
    let (to, tag) = to.split_once('/').map_or((to, String::new()), |(to, tag)| (to, format!(";tag={tag}")));
    let text = format!(
        "{start}\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n\
         From: \"Alice A\" <sip:alice@localhost>;tag=a1\r\nTo: <sip:{to}@localhost>{tag}\r\nCall-ID: call-1\r\n\
         CSeq: {cseq}\r\n{headers}Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    );
    Message::parse(text.into()).unwrap()
}

impl Stage {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::empty();
        for name in ["alice", "bob", "carol", "dora"] {
            let peer = Peer::named(name, DeviceName::parse(&format!("SIP/{name}")).unwrap());
            let host = Host::Fixed { address: address(name), any_port: false };
            let peer =
                Peer { authentication: Authentication::Open, host, call_limit: Some(u32::MAX), ..peer };
            settings.peers.insert(name.to_owned(), peer);
        }
        settings.dialplan.add_hint("default", "6001", Hint::parse("SIP/bob")).unwrap();
        change(&mut settings);
        let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(1_000_000_000) };
        let local = "192.0.2.1:5060".parse().unwrap();
        let (id, transport, names) = (ListenerId(0), Transport::Udp, Vec::new());
        let listeners = vec![Listener { id, transport, local, advertised: local, names }];
        let node = Node::new(Arc::new(settings), listeners, [7; 32], now);
        let mut stage = Self { node, now, sent: Vec::new() };
        stage.drain();
        stage
    }

    /// Takes what the node asks for; everything is stored at once.
    fn drain(&mut self) {
        loop {
            match self.node.poll_output(self.now) {
                Output::Persist(ticket, _) => {
                    self.node.handle_input(self.now, Input::Persisted(ticket, Ok(())))
                }
                Output::Transmit { bytes, .. } => self.sent.push(Message::parse(bytes).unwrap()),
                Output::Timeout(_) => return,
                _ => {}
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now.mono + time;
        loop {
            let Output::Timeout(next) = self.node.poll_output(self.now) else { continue };
            let next = next.min(until);
            self.now = Now { mono: next, wall: self.now.wall_at(next) };
            self.node.handle_input(self.now, Input::Timeout);
            self.drain();
            if next == until {
                return;
            }
        }
    }

    fn receive(&mut self, text: String) {
        let message = Message::parse(text.into()).unwrap();
        self.node.handle_input(self.now, Input::Received { flow: flow("carol"), message: Ok(message) });
        self.drain();
    }

    fn subscribe(&mut self, who: &str, event: &str) -> String {
        self.receive(format!(
            "SUBSCRIBE sip:6001@localhost SIP/2.0\r\nVia: SIP/2.0/UDP {WATCHER};branch=z9hG4bK{who}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{who}@localhost>;tag=w\r\nTo: <sip:6001@localhost>\r\n\
             Call-ID: {who}\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:{who}@{WATCHER}>\r\nEvent: {event}\r\n\
             Content-Length: 0\r\n\r\n"
        ));
        self.told(who)
    }

    /// The document of the NOTIFY that a watcher got, which it answers; `-` where there is none.
    fn told(&mut self, who: &str) -> String {
        self.answered(who, 200)
    }

    fn answered(&mut self, who: &str, status: u16) -> String {
        self.drain();
        let is_theirs = |m: &Message| m.call_id() == who && m.request_uri().is_some();
        let Some(at) = self.sent.iter().position(is_theirs) else { return "-".to_owned() };
        let notify = self.sent.remove(at);
        // It may have been retransmitted meanwhile.
        self.sent.retain(|m| m.call_id() != who || m.cseq().seq != notify.cseq().seq);
        let header = |name: Name| notify.header(name).unwrap_or("").to_owned();
        self.receive(format!(
            "SIP/2.0 {status} X\r\nVia: {}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {who}\r\nCSeq: {}\r\n\
             Content-Length: 0\r\n\r\n",
            header(Name::Via),
            header(Name::From),
            header(Name::To),
            header(Name::CSeq),
        ));
        let body = String::from_utf8(notify.body().to_vec()).unwrap();
        if body.is_empty() { header(Name::SubscriptionState) } else { body }
    }

    fn rings(&mut self) -> LegId {
        self.rings_by("6001@default")
    }

    /// Bob rings because Alice dialled this.
    fn rings_by(&mut self, dialled: &str) -> LegId {
        let headers = format!("Contact: <{}>\r\n", contact("alice"));
        let invite = message("INVITE sip:6001@localhost SIP/2.0", "bob", "1 INVITE", &headers);
        let party = |name: &str| Party {
            peer: Some(name.to_owned()),
            target: contact(name),
            flow: Some(flow(name)),
            registered_by: None,
            routes: Vec::new(),
        };
        let call = self.node.call_begins(self.now, &invite, party("alice"));
        let leg = self.node.call_branches(self.now, call, party("bob"), dialled);
        self.node.call_rings(self.now, leg, &self.response(180), flow("bob"));
        self.node.handle_input(self.now, Input::Timeout);
        leg
    }

    fn response(&self, status: u16) -> Message {
        let headers = format!("Contact: <{}>\r\n", contact("bob"));
        message(&format!("SIP/2.0 {status} X"), "bob/b1", "1 INVITE", &headers)
    }

    fn answers(&mut self, leg: LegId) {
        self.node.call_answered(self.now, leg, &self.response(200), flow("bob"));
        self.node.handle_input(self.now, Input::Timeout);
    }

    fn ends(&mut self) {
        let bye = message("BYE sip:bob@localhost SIP/2.0", "bob/b1", "2 BYE", "");
        let hop = self.node.call_of(&bye).unwrap();
        self.node.call_request(self.now, &hop, &bye, flow("alice"));
        self.node.call_response(self.now, &hop, "BYE", 200, None);
        self.node.handle_input(self.now, Input::Timeout);
    }
}

fn shows(document: &str, parts: &[&str], lacks: &[&str]) {
    for part in parts {
        assert!(document.contains(part), "{part} in {document}");
    }
    for part in lacks {
        assert!(!document.contains(part), "{part} not in {document}");
    }
}

const ALICE: &str = "<identity display-name=\"Alice A\">sip:alice@localhost</identity>\
                     <target uri=\"sip:alice@192.0.2.11:5060\"/>";

#[test]
fn rfc4235_4_1_a_call_from_its_first_ring_to_its_end() {
    let mut stage = Stage::new(|_| {});
    let idle = stage.subscribe("carol", "dialog");
    shows(&idle, &["version=\"0\"", "<dialog id=\"6001\"><state>terminated</state></dialog>"], &[]);
    let leg = stage.rings();
    let early = stage.told("carol");
    let dialog = "call-id=\"call-1\" local-tag=\"b1\" remote-tag=\"a1\" direction=\"recipient\">\
                  <state code=\"180\">early</state><duration>0</duration>";
    shows(&early, &["version=\"1\" state=\"full\"", dialog, ALICE], &["6001\">", "rendering", "v=0"]);
    stage.wait(Duration::from_secs(7));
    stage.answers(leg);
    let up = stage.told("carol");
    let state = "<state code=\"200\">confirmed</state><duration>7</duration>";
    let heard = "<target uri=\"sip:bob@192.0.2.12:5060\"><param pname=\"+sip.rendering\" pval=\"yes\"/>";
    shows(&up, &["version=\"2\"", state, heard, ALICE], &[]);
    stage.ends();
    let over = stage.told("carol");
    shows(&over, &["version=\"3\"", "<state event=\"remote-bye\"", ">terminated</state>"], &["duration"]);
    // The tracker forgets the call; nobody needs to know.
    stage.wait(Duration::from_secs(60));
    assert_eq!(stage.told("carol"), "-");
}

#[test]
fn rfc4235_4_3_partial_documents_follow_what_a_watcher_acknowledged() {
    let mut stage = Stage::new(|settings| {
        settings.profiles[0].partial_dialogs = true;
    });
    shows(&stage.subscribe("carol", "dialog"), &["state=\"full\""], &[]);
    let leg = stage.rings();
    shows(&stage.told("carol"), &["version=\"1\" state=\"partial\"", ">early<"], &[]);
    shows(&stage.subscribe("dora", "dialog"), &["version=\"0\" state=\"full\"", ">early<"], &[]);
    stage.answers(leg);
    shows(&stage.told("carol"), &["version=\"2\" state=\"partial\"", ">confirmed<"], &[]);
    // What failed may not have been read: the whole state is sent again.
    shows(&stage.answered("dora", 500), &["version=\"1\" state=\"partial\""], &[]);
    stage.wait(Duration::from_secs(10));
    shows(&stage.told("dora"), &["version=\"2\" state=\"full\"", ">confirmed<"], &[]);
    stage.ends();
    for who in ["carol", "dora"] {
        shows(&stage.told(who), &["version=\"3\" state=\"partial\"", ">terminated<"], &[]);
    }
}

#[test]
fn complaint_46_a_profile_may_want_one_dialog() {
    let mut stage = Stage::new(|settings| {
        let one = Profile { name: "one".into(), single_dialog: true, ..Profile::rfc() };
        settings.profiles.push(one);
        settings.peers.get_mut("dora").unwrap().profile = Some("one".into());
    });
    for who in ["carol", "dora"] {
        stage.subscribe(who, "dialog");
    }
    let leg = stage.rings();
    for who in ["carol", "dora"] {
        stage.told(who);
    }
    stage.answers(leg);
    for who in ["carol", "dora"] {
        stage.told(who);
    }
    // A command says that Bob's other line rings.
    let (device, state) = ("SIP/bob".to_owned(), "RINGINUSE".to_owned());
    stage.node.handle_command(stage.now, Command::SetDevice { device, state, for_s: None });
    let both = stage.told("carol");
    assert_eq!(both.matches("<dialog ").count(), 2, "{both}");
    let one = stage.told("dora");
    assert_eq!(one.matches("<dialog ").count(), 1, "{one}");
    shows(&one, &[">early<"], &[">confirmed<"]);
}

#[test]
fn rfc4235_3_4_a_subscription_to_a_dialog_ends_with_it() {
    let mut stage = Stage::new(|_| {});
    let leg = stage.rings();
    let event = "dialog;call-id=call-1;to-tag=b1;from-tag=a1;include-session-description";
    let first = stage.subscribe("carol", event);
    shows(&first, &[">early<", "<session-description type=\"application/sdp\">v=0"], &[]);
    stage.answers(leg);
    shows(&stage.told("carol"), &[">confirmed<"], &[]);
    stage.ends();
    shows(&stage.told("carol"), &[">terminated<"], &[]);
    assert_eq!(stage.told("carol"), "terminated;reason=noresource");
}

#[test]
fn complaint_24_imitated_systems_name_the_call_to_pick_up() {
    use {NotifyCid as N, Variant as V};
    let (own, other) = ("6001@default", "6002@default");
    type Row = (Variant, NotifyCid, &'static str, &'static [&'static str], &'static [&'static str]);
    let rows: [Row; 5] = [
        (V::ChanSip, N::Yes, own, &["call-id=\"pickup-carol\"", "Alice A", ">early<"], &[]),
        (V::ChanSip, N::Yes, other, &[">early<"], &["pickup", "alice"]),
        (V::ChanSip, N::IgnoreContext, other, &["call-id=\"pickup-carol\""], &[]),
        (V::ChanSip, N::No, own, &[">early<"], &["pickup", "alice"]),
        (V::Pjsip, N::No, own, &["sip:alice@localhost</identity>", ">early<"], &["call-id"]),
    ];
    for (variant, notify_cid, dialled, parts, lacks) in rows {
        let mut stage = Stage::new(|settings| {
            settings.profiles[0].variant = variant;
            settings.notify_cid = notify_cid;
        });
        stage.subscribe("carol", "dialog");
        stage.rings_by(dialled);
        shows(&stage.told("carol"), parts, lacks);
    }
}

#[test]
fn published_dialogs_count_as_calls() {
    let dialog = |state, direction| {
        let direction = match direction {
            "" => String::new(),
            direction => format!(" direction=\"{direction}\""),
        };
        format!("<dialog id=\"{state}{}\"{direction}><state>{state}</state></dialog>", direction.len())
    };
    let held = "<dialog id=\"h\"><state>confirmed</state><local><target uri=\"sip:a@x\">\
                <param pname=\"+sip.rendering\" pvalue=\"no\"/></target></local></dialog>";
    for (dialogs, inuse, ringing, onhold) in [
        (String::new(), 0, 0, 0),
        (dialog("terminated", ""), 0, 0, 0),
        (dialog("early", "recipient"), 1, 1, 0),
        (dialog("early", ""), 1, 1, 0),
        (dialog("early", "initiator"), 1, 0, 0),
        (dialog("trying", "initiator"), 1, 0, 0),
        (dialog("confirmed", "recipient") + &dialog("early", "recipient"), 2, 1, 0),
        (held.to_owned(), 1, 0, 1),
    ] {
        let body = format!(
            "<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" \
             state=\"full\" entity=\"sip:a@x\">{dialogs}</dialog-info>"
        );
        let published = DialogInfo::decode(body.as_bytes()).unwrap();
        let calls = EventPackage::calls(&DialogPackage, &published, &|_, _, _| false);
        assert_eq!(calls, Some(Calls { inuse, ringing, onhold }), "{dialogs}");
    }
}

#[test]
fn a_dialog_that_is_tracked_is_not_counted_again() {
    let body = "<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" \
                state=\"full\" entity=\"sip:a@x\"><dialog id=\"1\" call-id=\"c\" local-tag=\"l\" remote-tag=\"r\">\
                <state>confirmed</state></dialog><dialog id=\"2\" call-id=\"d\"><state>early</state></dialog>\
                <dialog id=\"3\"><state>early</state></dialog></dialog-info>";
    let published = DialogInfo::decode(body.as_bytes()).unwrap();
    let count = |is_tracked: &IsTracked<'_>| {
        EventPackage::calls(&DialogPackage, &published, is_tracked).map(|calls| calls.inuse)
    };
    assert_eq!(count(&|_, _, _| false), Some(3));
    assert_eq!(count(&|_, _, _| true), Some(1), "one that says no Call-ID may be any");
    assert_eq!(count(&|id, local, remote| (id, local, remote) == ("c", Some("l"), Some("r"))), Some(2));
}

/// freeswitch#1720: a NOTIFY larger than its path was dropped on the way, and nobody knew why.
#[test]
fn complaint_42_why_tells_how_a_large_notify_went() {
    let mut stage = Stage::new(|_| {});
    stage.subscribe("carol", "dialog");
    stage.subscribe("dora", &format!("dialog;id={}", "x".repeat(1200)));
    let Reply::Why(rows) = stage.node.handle_command(stage.now, Command::Why("6001".to_owned())) else {
        panic!("no answer")
    };
    let fits: Vec<_> = rows[0].watchers.iter().map(|w| (w.watcher.as_str(), w.fit.as_deref())).collect();
    let in_fragments = Some("in fragments: too large for a datagram");
    assert_eq!(fits, [("carol", None), ("dora", in_fragments)]);
}
