//! Calls from their first INVITE to their last lamp, driven as the proxy drives them, with real messages.

use super::{CallId, DialogView, Hop, LegId, Party};
use crate::body::dialog_info::{DialogEvent, DialogState};
use crate::command::{Command, Reply};
use crate::device_state::DeviceName;
use crate::flow::{Flow, Listener, ListenerId, Transport};
use crate::hint::Hint;
use crate::input::Input;
use crate::journal::{Key, Kind, Record, Value};
use crate::node::Node;
use crate::output::Output;
use crate::settings::{Authentication, HoldShows, Host, Peer, Settings};
use crate::time::{Instant, Now, UnixTime};
use lampyris_sip::Message;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const HOLD: &str = "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";
const HELD: &str = "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\na=recvonly\r\n";
const TALK: &str = "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n";

const A_TO_B: (&str, &str) = ("alice/a1", "bob/b1");
const B_TO_A: (&str, &str) = ("bob/b1", "alice/a1");

struct Stage {
    node: Node,
    settings: Arc<Settings>,
    now: Now,
    /// The probes that were sent since they were last looked at.
    sent: Vec<Message>,
    rows: BTreeMap<Key, Value>,
    /// The call that is meant, and who calls in it.
    call_id: u32,
    caller: &'static str,
}

fn settings(change: impl FnOnce(&mut Settings)) -> Arc<Settings> {
    let mut settings = Settings::empty();
    for name in ["alice", "bob", "carol"] {
        let peer = Peer::named(name, DeviceName::parse(&format!("SIP/{name}")).unwrap());
        let host = Host::Fixed { address: address(name), any_port: false };
        let authentication = Authentication::Open;
        let peer = Peer { authentication, host, call_limit: Some(u32::MAX), ..peer };
        settings.peers.insert(name.to_owned(), peer);
    }
    change(&mut settings);
    Arc::new(settings)
}

fn address(name: &str) -> std::net::SocketAddr {
    let last = match name {
        "alice" => 11,
        "bob" => 12,
        _ => 13,
    };
    format!("192.0.2.{last}:5060").parse().unwrap()
}

fn flow(name: &str) -> Flow {
    Flow::Udp { listener: ListenerId(0), remote: address(name) }
}

fn contact(name: &str) -> String {
    format!("sip:{name}@{}", address(name))
}

fn party(name: &str) -> Party {
    let (peer, flow) = (Some(name.to_owned()), Some(flow(name)));
    Party { peer, target: contact(name), flow, registered_by: None, routes: Vec::new() }
}

/// A message of a dialog; `from` and `to` are names with tags, as in `alice/a1`.
fn message(
    call_id: u32,
    start: &str,
    (from, to): (&str, &str),
    cseq: &str,
    headers: &str,
    sdp: &str,
) -> Message {
    let address = |who: &str| match who.split_once('/') {
        Some((name, tag)) => format!("\"{name}\" <sip:{name}@localhost>;tag={tag}"),
        None => format!("<sip:{who}@localhost>"),
    };
    let content_type = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let text = format!(
        "{start}\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
         Call-ID: call-{call_id}\r\nCSeq: {cseq}\r\n{headers}{content_type}Content-Length: {}\r\n\r\n{sdp}",
        address(from),
        address(to),
        sdp.len()
    );
    Message::parse(text.into()).unwrap()
}

impl Stage {
    fn new() -> Self {
        Self::with(settings(|_| {}))
    }

    fn with(settings: Arc<Settings>) -> Self {
        let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(1_000_000_000) };
        let node = Self::node(&settings, now);
        let mut stage = Self {
            node,
            settings,
            now,
            sent: Vec::new(),
            rows: BTreeMap::new(),
            call_id: 1,
            caller: "alice/a1",
        };
        stage.drain();
        stage
    }

    fn node(settings: &Arc<Settings>, now: Now) -> Node {
        let local = "192.0.2.1:5060".parse().unwrap();
        let (id, transport, names) = (ListenerId(0), Transport::Udp, Vec::new());
        let listeners = vec![Listener { id, transport, local, advertised: local, names }];
        Node::new(settings.clone(), listeners, [7; 32], now)
    }

    /// The process ends and another reads what it has stored.
    fn restart(&mut self) {
        self.drain();
        let rows = std::mem::take(&mut self.rows);
        self.now = Now { mono: Instant::from_micros(0), wall: self.now.wall + Duration::from_secs(3) };
        self.node = Self::node(&self.settings, self.now);
        for kind in Kind::ALL {
            for (key, value) in rows.iter().filter(|(key, _)| key.kind == kind) {
                self.node.restore(self.now, *key, value.clone());
            }
        }
        self.rows = rows;
        self.node.restored(self.now, false);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.node.poll_output(self.now) {
                Output::Persist(_, Record::Upsert(key, value)) => _ = self.rows.insert(key, value),
                Output::Persist(_, Record::Delete(key)) => _ = self.rows.remove(&key),
                Output::Transmit { bytes, .. } if bytes.starts_with(b"OPTIONS") => {
                    self.sent.push(Message::parse(bytes).unwrap());
                }
                Output::Timeout(_) => return,
                _ => {}
            }
        }
    }

    /// Lets time pass, timer by timer.
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

    fn secs(&mut self, secs: u64) {
        self.wait(Duration::from_secs(secs));
    }

    fn states(&self) -> String {
        let state =
            |name| self.node.device_state_of(&DeviceName::parse(&format!("SIP/{name}")).unwrap()).name();
        format!("{} {}", state("alice"), state("bob"))
    }

    fn state(&self, device: &str) -> &'static str {
        self.node.device_state_of(&DeviceName::parse(device).unwrap()).name()
    }

    /// The caller calls Bob; `forks` are the contacts rung.
    fn call(&mut self, forks: &[&str]) -> (CallId, Vec<LegId>) {
        self.call_with("", forks)
    }

    fn call_with(&mut self, headers: &str, forks: &[&str]) -> (CallId, Vec<LegId>) {
        let line = "INVITE sip:bob@localhost SIP/2.0";
        let invite = message(self.call_id, line, (self.caller, "bob"), "1 INVITE", headers, TALK);
        let caller = party(self.caller.split('/').next().unwrap());
        let call = self.node.call_begins(self.now, &invite, caller);
        let legs =
            forks.iter().map(|fork| self.node.call_branches(self.now, call, party(fork), "6001@default"));
        let legs = legs.collect();
        self.drain();
        (call, legs)
    }

    fn response(&self, status: u16, to: &str, headers: &str, sdp: &str) -> Message {
        let line = format!("SIP/2.0 {status} X");
        let headers = format!("Contact: <{}>\r\n{headers}", contact(to.split('/').next().unwrap()));
        message(self.call_id, &line, (self.caller, to), "1 INVITE", &headers, sdp)
    }

    fn rings(&mut self, leg: LegId, to: &str) {
        let response = self.response(180, to, "", "");
        self.node.call_rings(self.now, leg, &response, flow(to.split('/').next().unwrap()));
        self.drain();
    }

    fn answers(&mut self, leg: LegId, to: &str, headers: &str) {
        let response = self.response(200, to, headers, TALK);
        self.node.call_answered(self.now, leg, &response, flow(to.split('/').next().unwrap()));
        self.drain();
    }

    /// A call of Alice to Bob that is up.
    fn talk(&mut self, headers: &str) -> (CallId, LegId) {
        let (call, legs) = self.call(&["bob"]);
        self.rings(legs[0], "bob/b1");
        self.answers(legs[0], "bob/b1", headers);
        self.drain();
        (call, legs[0])
    }

    fn request(&mut self, method: &str, dialog: (&str, &str), cseq: u32, sdp: &str) -> Hop {
        let name = dialog.0.split('/').next().unwrap();
        let headers = format!("Contact: <{}>\r\n", contact(name));
        let start = format!("{method} sip:x@localhost SIP/2.0");
        let request = message(self.call_id, &start, dialog, &format!("{cseq} {method}"), &headers, sdp);
        let hop = self.node.call_of(&request).expect("a tracked dialog");
        self.node.call_request(self.now, &hop, &request, flow(name));
        hop
    }

    /// A whole transaction inside the dialog.
    fn exchange(
        &mut self,
        method: &str,
        dialog: (&str, &str),
        cseq: u32,
        sdp: &str,
        (status, answer): (u16, &str),
    ) {
        let hop = self.request(method, dialog, cseq, sdp);
        self.response_to(method, &hop, dialog, cseq, (status, answer));
    }

    fn response_to(
        &mut self,
        method: &str,
        hop: &Hop,
        dialog: (&str, &str),
        cseq: u32,
        (status, answer): (u16, &str),
    ) {
        let line = format!("SIP/2.0 {status} X");
        let response = message(self.call_id, &line, dialog, &format!("{cseq} {method}"), "", answer);
        self.node.call_response(self.now, hop, method, status, Some(&response));
        self.drain();
    }

    fn dialogs(&self, peer: &str) -> Vec<DialogView<'_>> {
        self.node.facts.calls.dialogs_of(peer).collect()
    }

    fn shown(&self, peer: &str) -> Vec<(DialogState, Option<DialogEvent>, Option<u16>)> {
        self.dialogs(peer).iter().map(|view| (view.state, view.event, view.code)).collect()
    }

    /// Answers the probes that were sent; (to Alice, to Bob).
    fn probes(&mut self, alice: Option<u16>, bob: Option<u16>) -> usize {
        let probes = std::mem::take(&mut self.sent);
        for probe in &probes {
            let to_alice = probe.request_uri().unwrap().contains("alice");
            let Some(status) = (if to_alice { alice } else { bob }) else { continue };
            let text = format!(
                "SIP/2.0 {status} X\r\nVia: {}\r\nFrom: <sip:x@localhost>;tag={}\r\nTo: <sip:x@localhost>;tag={}\r\n\
                 Call-ID: {}\r\nCSeq: {} OPTIONS\r\nContent-Length: 0\r\n\r\n",
                probe.header(lampyris_sip::Name::Via).unwrap(),
                probe.from_tag().unwrap(),
                probe.to_tag().unwrap(),
                probe.call_id(),
                probe.cseq().seq
            );
            let message = Message::parse(text.into());
            let flow = flow(if to_alice { "alice" } else { "bob" });
            self.node.handle_input(self.now, Input::Received { flow, message });
        }
        let count = probes.len();
        self.drain();
        count
    }
}

use DialogEvent::{Cancelled, Error, LocalBye, Rejected, RemoteBye, Replaced, Timeout};
use DialogState::{Confirmed, Early, Proceeding, Terminated};

#[test]
fn a_call_from_ringing_to_bye() {
    let mut stage = Stage::new();
    assert_eq!(stage.states(), "NOT_INUSE NOT_INUSE");
    let (_, legs) = stage.call(&["bob"]);
    assert_eq!(stage.states(), "INUSE NOT_INUSE", "what does not ring yet settles first");
    assert_eq!((stage.dialogs("alice").len(), stage.dialogs("bob").len()), (1, 0));
    stage.rings(legs[0], "bob/b1");
    assert_eq!(stage.states(), "INUSE RINGING");
    stage.answers(legs[0], "bob/b1", "");
    assert_eq!(stage.states(), "INUSE INUSE");
    stage.exchange("INVITE", A_TO_B, 2, HOLD, (200, HELD));
    assert_eq!(stage.states(), "ONHOLD INUSE");
    let view = &stage.dialogs("alice")[0];
    assert_eq!((view.holding, view.held, view.remote_sdp), (true, false, Some(HELD.as_bytes())));
    stage.exchange("UPDATE", A_TO_B, 3, TALK, (200, TALK));
    assert_eq!(stage.states(), "INUSE INUSE");
    stage.exchange("BYE", B_TO_A, 7, "", (401, ""));
    assert_eq!(stage.states(), "INUSE INUSE", "a challenged BYE comes again");
    stage.exchange("BYE", B_TO_A, 8, "", (200, ""));
    assert_eq!(stage.states(), "NOT_INUSE NOT_INUSE");
    assert_eq!(stage.shown("alice"), [(Terminated, Some(RemoteBye), None)]);
    assert_eq!(stage.shown("bob"), [(Terminated, Some(LocalBye), None)]);
    assert!(stage.rows.is_empty(), "an ended call is not stored: {:?}", stage.rows);
    stage.secs(5);
    assert!(stage.shown("alice").is_empty() && stage.shown("bob").is_empty());
    stage.secs(60);
    assert_eq!((stage.node.facts.calls.len(), stage.node.facts.calls.count_of("bob")), (0, 0));
}

#[test]
fn what_takes_its_time_to_ring_shows_after_a_while() {
    let mut stage = Stage::new();
    let (_, legs) = stage.call(&["bob"]);
    let trying = stage.response(183, "bob", "", "");
    stage.node.call_rings(stage.now, legs[0], &trying, flow("bob"));
    assert_eq!(stage.shown("alice"), [(Proceeding, None, Some(183))]);
    stage.wait(Duration::from_millis(79));
    assert_eq!(stage.states(), "INUSE NOT_INUSE");
    assert_eq!(stage.node.facts.calls.count_of("bob"), 1, "limits count it at once");
    stage.wait(Duration::from_millis(1));
    assert_eq!(stage.states(), "INUSE INUSE");
    assert_eq!(stage.shown("bob"), [(Proceeding, None, Some(183))]);
}

#[test]
fn one_of_two_forks_wins_and_what_comes_late_changes_nothing() {
    let mut stage = Stage::new();
    let (call, legs) = stage.call(&["bob", "carol"]);
    stage.rings(legs[0], "bob/b1");
    stage.rings(legs[1], "carol/c1");
    assert_eq!((stage.states().as_str(), stage.state("SIP/carol")), ("INUSE RINGING", "RINGING"));
    assert_eq!(stage.shown("alice"), [(Early, None, Some(180)); 2]);
    stage.answers(legs[1], "carol/c1", "");
    stage.node.call_refused(stage.now, legs[0], 487, Cancelled);
    assert_eq!((stage.states().as_str(), stage.state("SIP/carol")), ("INUSE NOT_INUSE", "INUSE"));
    // A late 180 of the loser, and the loser's end once more, and for the winner.
    stage.rings(legs[0], "bob/b1");
    stage.node.call_refused(stage.now, legs[0], 408, Timeout);
    stage.node.call_refused(stage.now, legs[1], 487, Cancelled);
    stage.node.call_fails(stage.now, call, 487, Cancelled);
    stage.rings(legs[1], "carol/c1");
    assert_eq!((stage.states().as_str(), stage.state("SIP/carol")), ("INUSE NOT_INUSE", "INUSE"));
    assert_eq!(stage.shown("bob"), [(Terminated, Some(Cancelled), Some(487))]);
    assert_eq!(stage.shown("carol"), [(Confirmed, None, Some(200))]);
    stage.secs(100);
    stage.rings(legs[0], "bob/b1");
    assert_eq!((stage.states().as_str(), stage.state("SIP/carol")), ("INUSE NOT_INUSE", "INUSE"));
}

#[test]
fn a_refused_call_stays_refused() {
    let mut stage = Stage::new();
    let (call, legs) = stage.call(&["bob"]);
    stage.node.call_refused(stage.now, legs[0], 486, Rejected);
    assert_eq!(stage.states(), "INUSE NOT_INUSE", "the proxy may try others");
    stage.node.call_fails(stage.now, call, 486, Rejected);
    assert_eq!(stage.states(), "NOT_INUSE NOT_INUSE");
    assert_eq!(stage.shown("alice"), [(Terminated, Some(Rejected), Some(486))]);
    assert!(stage.shown("bob").is_empty(), "it never rang");
    for _ in 0..3 {
        stage.rings(legs[0], "bob/b1");
        stage.answers(legs[0], "bob/b1", "");
        let more = stage.node.call_branches(stage.now, call, party("bob"), "6001@default");
        stage.rings(more, "bob/b2");
        assert_eq!(stage.states(), "NOT_INUSE NOT_INUSE");
        stage.secs(20);
    }
}

#[test]
fn several_contacts_of_a_peer_are_one_call() {
    let mut stage = Stage::new();
    let (_, legs) = stage.call(&["bob", "bob"]);
    stage.rings(legs[0], "bob/b1");
    stage.rings(legs[1], "bob/b2");
    let shows = HoldShows::Holder;
    let counts = stage.node.facts.calls.counts_of("bob", shows);
    assert_eq!((counts.inuse, counts.ringing), (1, 1));
    assert_eq!(stage.node.facts.calls.count_of("bob"), 1);
    stage.answers(legs[0], "bob/b1", "");
    assert_eq!(stage.states(), "INUSE INUSE", "not ringing beside it while the other is cancelled");
    // A fork beyond the contact: a second tag under the same leg.
    let mut stage = Stage::new();
    let (_, legs) = stage.call(&["bob"]);
    stage.rings(legs[0], "bob/b1");
    stage.rings(legs[0], "bob/b2");
    assert_eq!(stage.shown("alice").len(), 2);
    stage.answers(legs[0], "bob/b2", "");
    assert_eq!(
        stage.shown("alice"),
        [(Terminated, Some(Cancelled), Some(200)), (Confirmed, None, Some(200))]
    );
    let ids: Vec<_> = stage.dialogs("alice").iter().map(|view| view.id.clone()).collect();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_second_caller_rings_beside_the_call() {
    let mut stage = Stage::new();
    stage.talk("");
    (stage.call_id, stage.caller) = (2, "carol/c1");
    let (call, legs) = stage.call(&["bob"]);
    let leg = legs[0];
    stage.rings(leg, "bob/b9");
    assert_eq!(stage.states(), "INUSE RINGINUSE");
    assert_eq!(stage.dialogs("bob").len(), 2);
    stage.node.call_refused(stage.now, leg, 487, Cancelled);
    stage.node.call_fails(stage.now, call, 487, Cancelled);
    assert_eq!(stage.states(), "INUSE INUSE");
}

#[test]
fn a_hold_shows_where_it_is_told_to() {
    for (shows, alice_holds, bob_holds_too) in [
        (HoldShows::Holder, "ONHOLD INUSE", "ONHOLD ONHOLD"),
        (HoldShows::Held, "INUSE ONHOLD", "ONHOLD ONHOLD"),
        (HoldShows::Both, "ONHOLD ONHOLD", "ONHOLD ONHOLD"),
    ] {
        let mut stage = Stage::with(settings(|settings| settings.calls.hold_shows = shows));
        stage.talk("");
        stage.exchange("INVITE", A_TO_B, 2, HOLD, (488, ""));
        assert_eq!(stage.states(), "INUSE INUSE", "a refused offer holds nothing");
        stage.request("INVITE", A_TO_B, 3, HOLD);
        assert_eq!(stage.states(), "INUSE INUSE", "nor does one that is not answered yet");
        stage.exchange("INVITE", A_TO_B, 3, HOLD, (200, HELD));
        assert_eq!(stage.states(), alice_holds, "{shows:?}");
        stage.exchange("INVITE", B_TO_A, 9, &HOLD.replace("sendonly", "inactive"), (200, HELD));
        assert_eq!(stage.states(), bob_holds_too, "{shows:?}");
        stage.exchange("INVITE", B_TO_A, 10, HELD, (200, HOLD));
        assert_eq!(stage.states(), alice_holds, "Bob only listens: {shows:?}");
        stage.exchange("INVITE", A_TO_B, 4, TALK, (200, TALK));
        assert_eq!(stage.states(), "INUSE INUSE", "{shows:?}");
    }
    let mut stage = Stage::with(settings(|settings| settings.notify_hold = false));
    stage.talk("");
    stage.exchange("INVITE", A_TO_B, 2, HOLD, (200, HELD));
    assert_eq!(stage.states(), "INUSE INUSE");
    assert!(stage.dialogs("bob")[0].held);
}

#[test]
fn a_session_refresh_changes_no_hold() {
    let inactive = HOLD.replace("sendonly", "inactive");
    let mut stage = Stage::new();
    stage.talk("");
    let held = inactive.replace("192.0.2.9", "192.0.2.12");
    stage.exchange("INVITE", A_TO_B, 2, &inactive, (200, &held));
    assert_eq!(stage.states(), "ONHOLD INUSE");
    stage.exchange("INVITE", B_TO_A, 2, &held, (200, &inactive));
    assert_eq!(stage.states(), "ONHOLD INUSE", "Bob says again what he was made to say");
    stage.exchange("UPDATE", B_TO_A, 3, TALK, (200, HOLD));
    assert_eq!(stage.states(), "ONHOLD INUSE", "Alice still holds");
    stage.exchange("UPDATE", B_TO_A, 4, "", (200, ""));
    assert_eq!(stage.states(), "ONHOLD INUSE");
}

/// RFC 3261 §14.1: of two re-INVITEs that meet one is refused, and the other one counts.
#[test]
fn two_offers_that_meet_do_not_undo_each_other() {
    for refused_first in [true, false] {
        let mut stage = Stage::new();
        stage.talk("");
        stage.exchange("INVITE", B_TO_A, 1, HOLD, (200, HELD));
        assert_eq!(stage.states(), "INUSE ONHOLD");
        let (refused, taken);
        if refused_first {
            refused = stage.request("INVITE", A_TO_B, 2, HOLD);
            taken = stage.request("INVITE", B_TO_A, 2, TALK);
        } else {
            taken = stage.request("INVITE", B_TO_A, 2, TALK);
            refused = stage.request("INVITE", A_TO_B, 2, HOLD);
        }
        stage.response_to("INVITE", &refused, A_TO_B, 2, (491, ""));
        stage.response_to("INVITE", &taken, B_TO_A, 2, (200, TALK));
        assert_eq!(stage.states(), "INUSE INUSE");
    }
}

#[test]
fn an_offer_in_the_answer_holds_by_the_ack() {
    let mut stage = Stage::new();
    stage.talk("");
    // RFC 6337 section 4.3: no offer in the re-INVITE; the callee's 2xx offers, the ACK answers.
    stage.exchange("INVITE", A_TO_B, 2, "", (200, HOLD));
    assert_eq!(stage.states(), "INUSE INUSE");
    stage.request("ACK", A_TO_B, 2, HELD);
    assert_eq!(stage.states(), "INUSE ONHOLD");
}

#[test]
fn a_blind_transfer_leaves_the_right_lamps() {
    let mut stage = Stage::new();
    stage.talk("");
    stage.exchange("REFER", B_TO_A, 5, "", (202, ""));
    stage.exchange("NOTIFY", A_TO_B, 2, "", (481, ""));
    assert_eq!(stage.states(), "INUSE INUSE", "the refer's subscription is gone, not the call");
    (stage.call_id, stage.caller) = (2, "alice/a2");
    let (_, legs) = stage.call_with("Referred-By: <sip:bob@localhost>\r\n", &["carol"]);
    stage.rings(legs[0], "carol/c1");
    let referred_by = stage.dialogs("carol")[0].referred_by.map(|by| by.uri.clone());
    assert_eq!(referred_by.as_deref(), Some("sip:bob@localhost"));
    stage.call_id = 1;
    stage.exchange("BYE", B_TO_A, 6, "", (200, ""));
    assert_eq!((stage.states().as_str(), stage.state("SIP/carol")), ("INUSE NOT_INUSE", "RINGING"));
}

#[test]
fn an_attended_transfer_ends_what_it_replaces() {
    let mut stage = Stage::new();
    stage.talk("");
    // Carol takes Alice's place in the call with Bob.
    (stage.call_id, stage.caller) = (2, "carol/c1");
    let (_, legs) = stage.call_with("Replaces: call-1;to-tag=b1;from-tag=a1\r\n", &["bob"]);
    let replaces = stage.dialogs("carol")[0].replaces.clone().unwrap();
    assert_eq!((replaces.call_id.as_str(), replaces.remote_tag.as_str()), ("call-1", "b1"));
    assert_eq!(stage.states(), "INUSE INUSE");
    stage.answers(legs[0], "bob/b2", "");
    assert_eq!((stage.states().as_str(), stage.state("SIP/carol")), ("NOT_INUSE INUSE", "INUSE"));
    assert_eq!(stage.shown("alice"), [(Terminated, Some(Replaced), None)]);
    // The BYE that follows finds its way and changes nothing.
    stage.call_id = 1;
    stage.exchange("BYE", B_TO_A, 9, "", (200, ""));
    assert_eq!(stage.shown("alice"), [(Terminated, Some(Replaced), None)]);
}

#[test]
fn a_session_that_is_not_refreshed_ends() {
    let mut stage = Stage::new();
    stage.talk("Session-Expires: 90;refresher=uac\r\n");
    stage.secs(80);
    let hop = stage.request("UPDATE", A_TO_B, 2, "");
    let refreshed = message(1, "SIP/2.0 200 X", A_TO_B, "2 UPDATE", "Session-Expires: 90\r\n", "");
    stage.node.call_response(stage.now, &hop, "UPDATE", 200, Some(&refreshed));
    stage.secs(89);
    assert_eq!(stage.states(), "INUSE INUSE");
    stage.secs(1);
    assert_eq!(stage.states(), "NOT_INUSE NOT_INUSE");
    assert_eq!(stage.shown("bob"), [(Terminated, Some(Timeout), None)]);
}

#[test]
fn what_a_dead_dialog_answers_ends_it() {
    for (method, status, came, ends) in [
        ("INVITE", 481, true, Some(Error)),
        ("INFO", 408, true, Some(Error)),
        ("OPTIONS", 408, false, Some(Timeout)),
        ("BYE", 408, false, Some(LocalBye)),
        ("BYE", 481, true, Some(LocalBye)),
        ("INVITE", 491, true, None),
        ("NOTIFY", 481, true, None),
        ("PRACK", 481, true, None),
    ] {
        let mut stage = Stage::new();
        stage.talk("");
        let hop = stage.request(method, A_TO_B, 2, "");
        let response = message(1, &format!("SIP/2.0 {status} X"), A_TO_B, &format!("2 {method}"), "", "");
        stage.node.call_response(stage.now, &hop, method, status, came.then_some(&response));
        assert_eq!(stage.shown("alice")[0].1, ends, "{method} {status}");
        assert_eq!(stage.states() == "INUSE INUSE", ends.is_none(), "{method} {status}");
    }
}

#[test]
fn a_call_whose_bye_was_lost_is_found_out() {
    for (alice, bob, rounds, ends) in [
        // (answers to the probes, how many rounds, how it ends)
        (Some(200), Some(481), 1, Some((Some(Error), Some(481)))),
        (Some(481), None, 1, Some((Some(Error), Some(481)))),
        (None, None, 1, Some((Some(Timeout), Some(408)))),
        (Some(408), Some(408), 1, Some((Some(Timeout), Some(408)))),
        (Some(200), None, 3, None),
        (Some(405), Some(503), 3, None),
    ] {
        let mut stage = Stage::new();
        stage.talk("");
        stage.exchange("INFO", A_TO_B, 41, "", (200, ""));
        stage.exchange("INFO", B_TO_A, 17, "", (200, ""));
        stage.secs(1799);
        assert_eq!(stage.probes(None, None), 0);
        stage.secs(1);
        let mut ended = None;
        for _ in 0..rounds {
            let numbers = |probe: &Message| (probe.cseq().seq, probe.to_tag().unwrap().to_owned());
            let numbers: Vec<_> = stage.sent.iter().map(numbers).collect();
            assert_eq!(numbers, [(17, "a1".to_owned()), (41, "b1".to_owned())], "{alice:?} {bob:?}");
            assert_eq!(stage.probes(alice, bob), 2);
            for _ in 0..33 {
                let found = stage.shown("alice").first().copied();
                ended = ended.or(found.filter(|(state, ..)| *state == Terminated));
                stage.secs(1);
            }
            stage.sent.clear();
            stage.secs(300 - 33);
        }
        assert_eq!(ended.map(|(_, event, code)| (event, code)), ends, "{alice:?} {bob:?}");
        assert_eq!(stage.states() == "INUSE INUSE", ends.is_none(), "{alice:?} {bob:?}");
    }
}

#[test]
fn a_phone_that_starts_again_is_asked_where_it_is_now() {
    let mut stage = Stage::with(settings(|settings| {
        settings.peers.get_mut("bob").unwrap().host = Host::Dynamic;
    }));
    let register = |stage: &mut Stage, call_id: &str, cseq: u32, port: u16| {
        let text = format!(
            "REGISTER sip:localhost SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.12;branch=z9hG4bK{call_id}{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:bob@localhost>;tag=r\r\nTo: <sip:bob@localhost>\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} REGISTER\r\nContact: <sip:bob@192.0.2.12:{port}>;+sip.instance=\"<urn:uuid:b>\"\r\n\
             Expires: 600\r\nContent-Length: 0\r\n\r\n"
        );
        let flow =
            Flow::Udp { listener: ListenerId(0), remote: format!("192.0.2.12:{port}").parse().unwrap() };
        let message = Message::parse(text.into());
        stage.node.handle_input(stage.now, Input::Received { flow, message });
        stage.drain();
    };
    register(&mut stage, "first", 1, 5060);
    stage.talk("");
    stage.sent.clear();
    register(&mut stage, "first", 2, 5060);
    assert_eq!(stage.probes(None, None), 0, "a refresh says nothing");
    register(&mut stage, "second", 1, 5070);
    assert_eq!(stage.sent[0].request_uri(), Some("sip:bob@192.0.2.12:5070"));
    assert_eq!(stage.probes(Some(200), Some(481)), 1);
    assert_eq!(stage.states(), "NOT_INUSE NOT_INUSE");
    assert_eq!(stage.shown("bob"), [(Terminated, Some(Error), Some(481))]);
}

#[test]
fn calls_survive_a_restart_and_are_asked_after() {
    let mut stage = Stage::new();
    stage.talk("Session-Expires: 1800\r\n");
    stage.exchange("INVITE", B_TO_A, 2, HOLD, (200, HELD));
    (stage.call_id, stage.caller) = (2, "carol/c1");
    let (_, legs) = stage.call(&["bob"]);
    stage.rings(legs[0], "bob/b2");
    (stage.call_id, stage.caller) = (3, "carol/c3");
    stage.call(&["alice"]);
    assert_eq!(stage.rows.len(), 2, "what has not rung yet is not stored");
    let ids = |stage: &Stage| -> Vec<_> {
        stage.dialogs("bob").iter().map(|view| (view.id.clone(), view.state, view.holding)).collect()
    };
    let before = ids(&stage);
    stage.restart();
    assert_eq!(ids(&stage), before);
    assert_eq!((stage.states().as_str(), stage.state("SIP/carol")), ("INUSE ONHOLD", "INUSE"));
    for _ in 0..70 {
        stage.secs(1);
        stage.probes(Some(200), Some(200));
    }
    assert_eq!((stage.states().as_str(), stage.state("SIP/carol")), ("INUSE ONHOLD", "INUSE"));
    // What rang is given up in time; what is up goes on, and ends as any call.
    for _ in 0..110 {
        stage.secs(1);
        stage.probes(Some(200), Some(200));
    }
    assert_eq!((stage.states().as_str(), stage.state("SIP/carol")), ("INUSE ONHOLD", "NOT_INUSE"));
    stage.call_id = 1;
    stage.exchange("BYE", A_TO_B, 3, "", (200, ""));
    assert_eq!(stage.states(), "NOT_INUSE NOT_INUSE");
    assert!(stage.rows.is_empty(), "{:?}", stage.rows);
    stage.secs(40);
    assert_eq!(stage.node.facts.calls.len(), 0);
}

#[test]
fn a_call_that_nobody_remembers_ends_after_a_restart() {
    let mut stage = Stage::new();
    stage.talk("");
    stage.restart();
    assert_eq!(stage.states(), "INUSE INUSE");
    for _ in 0..110 {
        stage.secs(1);
    }
    assert_eq!(stage.states(), "NOT_INUSE NOT_INUSE");
    // One that was answered while nobody watched is up by its ACK.
    let (_, legs) = stage.call(&["bob"]);
    stage.rings(legs[0], "bob/b1");
    stage.restart();
    stage.request("ACK", A_TO_B, 1, "");
    assert_eq!(stage.states(), "INUSE INUSE");
    assert_eq!(stage.shown("bob"), [(Confirmed, None, Some(200))]);
}

#[test]
fn what_never_gets_an_answer_is_given_up() {
    let mut stage = Stage::new();
    let (_, legs) = stage.call(&["bob"]);
    stage.rings(legs[0], "bob/b1");
    stage.secs(299);
    stage.rings(legs[0], "bob/b1");
    stage.secs(299);
    assert_eq!(stage.states(), "INUSE RINGING");
    stage.secs(1);
    assert_eq!(stage.states(), "NOT_INUSE NOT_INUSE");
    assert_eq!(stage.shown("alice"), [(Terminated, Some(Timeout), Some(408))]);
}

#[test]
fn a_peer_that_a_reload_removes_shows_no_calls() {
    let mut stage = Stage::new();
    stage.talk("");
    let without = settings(|settings| _ = settings.peers.remove("bob"));
    stage.node.handle_command(stage.now, Command::Reload(without));
    assert_eq!(stage.states(), "INUSE INVALID");
    stage.exchange("BYE", A_TO_B, 2, "", (200, ""));
    assert_eq!(stage.states(), "NOT_INUSE INVALID");
}

#[test]
fn an_endpoint_of_chan_pjsip_is_busy_from_its_own_number_on() {
    let mut stage = Stage::with(settings(|settings| {
        let bob = settings.peers.get_mut("bob").unwrap();
        (bob.device, bob.busy_at) = (DeviceName::parse("PJSIP/bob").unwrap(), 2);
    }));
    assert_eq!(stage.state("PJSIP/bob"), "NOT_INUSE");
    stage.talk("");
    assert_eq!(stage.state("PJSIP/bob"), "INUSE");
    stage.exchange("INVITE", B_TO_A, 2, HOLD, (200, HELD));
    assert_eq!(stage.state("PJSIP/bob"), "ONHOLD");
    (stage.call_id, stage.caller) = (2, "carol/c1");
    let (call, legs) = stage.call(&["bob"]);
    stage.rings(legs[0], "bob/b2");
    assert_eq!(stage.state("PJSIP/bob"), "BUSY");
    stage.node.call_refused(stage.now, legs[0], 487, Cancelled);
    stage.node.call_fails(stage.now, call, 487, Cancelled);
    assert_eq!(stage.state("PJSIP/bob"), "ONHOLD");
}

#[test]
fn what_a_phone_publishes_of_a_call_that_is_tracked_is_not_another() {
    let mut stage = Stage::new();
    stage.talk("");
    let tracked = |local, remote| stage.node.facts.calls.is_tracked("call-1", local, remote);
    assert!(tracked(Some("b1"), Some("a1")) && tracked(Some("a1"), Some("b1")) && tracked(None, None));
    assert!(!tracked(Some("b1"), Some("x")) && !stage.node.facts.calls.is_tracked("call-2", None, None));
    let publish = |stage: &mut Stage, n: u32, call_id: &str| {
        let body = format!(
            "<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" \
             state=\"full\" entity=\"sip:bob@localhost\"><dialog id=\"{n}\" call-id=\"{call_id}\" local-tag=\"b1\" \
             remote-tag=\"a1\"><state>early</state></dialog></dialog-info>"
        );
        let text = format!(
            "PUBLISH sip:bob@localhost SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.12;branch=z9hG4bKp{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:bob@localhost>;tag=p\r\nTo: <sip:bob@localhost>\r\nCall-ID: p{n}\r\nCSeq: 1 PUBLISH\r\n\
             Event: dialog\r\nExpires: 60\r\nContent-Type: application/dialog-info+xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let message = Message::parse(text.into());
        stage.node.handle_input(stage.now, Input::Received { flow: flow("bob"), message });
        stage.drain();
    };
    publish(&mut stage, 1, "call-1");
    assert_eq!(stage.states(), "INUSE INUSE", "the proxy knows better that it is up");
    publish(&mut stage, 2, "another");
    assert_eq!(stage.states(), "INUSE RINGINUSE");
    stage.exchange("BYE", A_TO_B, 2, "", (200, ""));
    assert_eq!(stage.states(), "NOT_INUSE RINGING", "nor does it bring the call back");
}

#[test]
fn each_side_sees_the_dialog_as_its_own() {
    let mut stage = Stage::new();
    let (_, legs) = stage.call_with("Privacy: id; critical\r\n", &["bob"]);
    let half = &stage.dialogs("alice")[0];
    assert_eq!((half.local_tag, half.remote_tag, half.remote_target), ("a1", None, "sip:bob@localhost"));
    let id = half.id.clone();
    stage.rings(legs[0], "bob/b1");
    stage.answers(legs[0], "bob/b1", "Record-Route: <sip:far;lr>, <sip:near;lr>, <sip:192.0.2.1;lr>\r\n");
    let (alice, bob) = (&stage.dialogs("alice")[0], &stage.dialogs("bob")[0]);
    assert_eq!((alice.id.as_str(), alice.call_id, alice.asked), (id.as_str(), "call-1", "6001@default"));
    assert_ne!(alice.id, bob.id);
    assert_eq!((alice.local_tag, alice.remote_tag), ("a1", Some("b1")));
    assert_eq!((bob.local_tag, bob.remote_tag), ("b1", Some("a1")));
    assert_eq!(alice.local_identity, (Some("alice"), "sip:alice@localhost"));
    assert_eq!((bob.remote_identity, bob.local_identity), (alice.local_identity, alice.remote_identity));
    assert_eq!((bob.local_target, bob.remote_target), (alice.remote_target, alice.local_target));
    assert_eq!((alice.restricted, bob.restricted), (false, true));
    assert_eq!((bob.local_sdp, bob.remote_sdp), (alice.remote_sdp, alice.local_sdp));
    let to_bob = stage.request("INFO", A_TO_B, 2, "");
    assert_eq!((to_bob.target.as_str(), to_bob.routes.len()), ("sip:bob@192.0.2.12:5060", 2));
    assert_eq!(to_bob.routes, ["<sip:near;lr>", "<sip:far;lr>"], "what lies beyond us, in the order of use");
    let to_alice = stage.request("INFO", B_TO_A, 2, "");
    assert_eq!(
        (to_alice.peer.as_deref(), to_alice.flow, to_alice.routes.len()),
        (Some("alice"), Some(flow("alice")), 0)
    );
}

#[test]
fn calls_are_shown_to_people() {
    let mut stage = Stage::with(settings(|settings| {
        settings.dialplan.add_hint("default", "6001", Hint::parse("SIP/bob")).unwrap();
    }));
    stage.talk("");
    stage.exchange("INVITE", A_TO_B, 2, HOLD, (200, HELD));
    stage.secs(7);
    let Reply::Calls(rows) = stage.node.handle_command(stage.now, Command::Calls) else { panic!() };
    let row = &rows[0];
    assert_eq!(
        (row.caller.as_str(), row.callee.as_str(), row.asked.as_str(), row.state.as_str(), row.hold.as_str()),
        ("alice", "bob", "6001@default", "confirmed", "caller")
    );
    assert_eq!((rows.len(), row.since_s, row.call_id.as_str()), (1, 7, "call-1"));
    let Reply::Why(why) = stage.node.handle_command(stage.now, Command::Why("6001".into())) else { panic!() };
    let source = why[0].sources.iter().find(|source| source.name == "call of bob").unwrap();
    assert_eq!(
        (source.state.as_str(), source.because.as_str(), source.since_s),
        ("confirmed", "from alice <sip:alice@localhost>, held by the other side; Call-ID call-1", 7)
    );
    stage.exchange("BYE", A_TO_B, 3, "", (200, ""));
    let Reply::Calls(rows) = stage.node.handle_command(stage.now, Command::Calls) else { panic!() };
    assert_eq!(rows, []);
}

#[test]
fn more_than_fits_passes_untracked() {
    let mut stage = Stage::new();
    let (call, legs) = stage.call(&["bob"; 40]);
    for leg in &legs {
        stage.rings(*leg, "bob/b1");
    }
    assert_eq!(stage.dialogs("bob").len(), crate::limits::DIALOGS_PER_CALL_MAX);
    stage.node.call_fails(stage.now, call, 487, Cancelled);
    assert_eq!(stage.states(), "NOT_INUSE NOT_INUSE");
}

/// Whatever the proxy reports in whatever order, and whatever is lost: when nobody says anything more, every lamp goes out.
#[test]
fn no_lamp_stays_lit() {
    for seed in 0..150 {
        let mut rng = crate::rng::Rng::new([seed; 32]);
        let mut pick = |n: u64| usize::try_from(rng.below(n)).unwrap();
        let mut stage = Stage::new();
        let mut calls: Vec<(u32, CallId)> = Vec::new();
        let mut legs: Vec<(u32, LegId)> = Vec::new();
        for step in 0..60 {
            let to = ["bob/b1", "bob/b2", "carol/c1"][pick(3)];
            let status = [200, 401, 408, 481, 486][pick(5)];
            let event = [Cancelled, Rejected, Replaced, Timeout][pick(4)];
            match pick(12) {
                0 if calls.len() < 4 => {
                    stage.call_id = u32::try_from(calls.len()).unwrap() + 1;
                    let replaces = ["", "Replaces: call-1;to-tag=b1;from-tag=a1\r\n"][pick(2)];
                    let (call, found) = stage.call_with(replaces, &["bob", "carol"][..pick(3)]);
                    legs.extend(found.into_iter().map(|leg| (stage.call_id, leg)));
                    calls.push((stage.call_id, call));
                }
                1 | 2 if !legs.is_empty() => {
                    let (call_id, leg) = legs[pick(legs.len() as u64)];
                    stage.call_id = call_id;
                    stage.rings(leg, to);
                }
                3 | 4 if !legs.is_empty() => {
                    let (call_id, leg) = legs[pick(legs.len() as u64)];
                    stage.call_id = call_id;
                    stage.answers(leg, to, ["", "Session-Expires: 90\r\n"][pick(2)]);
                }
                5 if !legs.is_empty() => {
                    let (_, leg) = legs[pick(legs.len() as u64)];
                    stage.node.call_refused(stage.now, leg, 486, event);
                }
                6 if !calls.is_empty() => {
                    let (_, call) = calls[pick(calls.len() as u64)];
                    stage.node.call_fails(stage.now, call, 486, event);
                }
                7 if !calls.is_empty() => {
                    let (call_id, call) = calls[pick(calls.len() as u64)];
                    legs.push((
                        call_id,
                        stage.node.call_branches(stage.now, call, party("carol"), "6002@default"),
                    ));
                }
                8 | 9 if !calls.is_empty() => {
                    stage.call_id = calls[pick(calls.len() as u64)].0;
                    let dialog = [("alice/a1", to), (to, "alice/a1")][pick(2)];
                    let method = ["INVITE", "UPDATE", "BYE", "ACK", "INFO", "PRACK"][pick(6)];
                    let line = format!("{method} sip:x@localhost SIP/2.0");
                    let known = message(stage.call_id, &line, dialog, &format!("9 {method}"), "", "");
                    if stage.node.call_of(&known).is_some() {
                        let bodies = [HOLD, HELD, TALK, ""];
                        stage.exchange(method, dialog, 9, bodies[pick(4)], (status, bodies[pick(4)]));
                    }
                }
                10 => stage.wait(Duration::from_millis(pick(40_000) as u64)),
                11 if step % 7 == 0 => {
                    stage.restart();
                    (calls, legs) = (Vec::new(), Vec::new());
                }
                _ => {}
            }
            stage.drain();
        }
        for _ in 0..45 {
            stage.secs(60);
        }
        assert_eq!(
            (stage.states().as_str(), stage.state("SIP/carol")),
            ("NOT_INUSE NOT_INUSE", "NOT_INUSE"),
            "{seed}"
        );
        assert_eq!((stage.node.facts.calls.len(), stage.rows.len()), (0, 0), "{seed}");
        for peer in ["alice", "bob", "carol"] {
            assert_eq!((stage.node.calls_of(peer), stage.shown(peer).len()), (0, 0), "{seed}");
        }
    }
}
