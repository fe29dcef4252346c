//! Whoever applies the partial documents of a list in order sees what a fresh full one shows (RFC 4662 §5.6): for any
//! interleaving of changes, rules, members that come and go, lost messages, failed NOTIFYs and crashes.
//!
//! The oracle is another subscription of the same watcher, made at the end.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod settings;
mod stage;

use lampyris_core::authz::Handling;
use lampyris_core::command::Command;
use lampyris_core::input::Input;
use lampyris_core::settings::Settings;
use lampyris_sim::host::Effect;
use lampyris_sim::store::Aftermath;
use lampyris_sip::{Message, ResponseWriter, StatusCode};
use stage::picture::Picture;
use stage::{Stage, Town, udp};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const USERS: [&str; 3] = ["Bob", "Carol", "Alice"];

struct Watchers {
    stage: Stage,
    pictures: Vec<Picture>,
    /// Of how many messages one is lost; 0 for none.
    loses: u64,
    dropped: usize,
    most_bytes: usize,
}

fn address(user: &str) -> SocketAddr {
    let last = USERS.iter().position(|known| *known == user).unwrap() + 1;
    format!("192.0.2.{last}:5060").parse().unwrap()
}

fn loaded(members: &str) -> Arc<Settings> {
    let toml = format!(
        "watch = \"everyone\"\n[limits]\nlist_datagram_bytes = 16000\n[lists.board]\nmembers = [{members}]\n\
         [lists.more]\nmembers = [\"6002\", \"list:board\"]\n"
    );
    Arc::new(settings::load(Some("office.toml"), &toml).unwrap())
}

const MEMBERS: [&str; 4] = [
    "\"Bob\", \"Carol\", \"6001\", \"list:more\"",
    "\"Bob\", \"sip:eve@elsewhere.example\", \"6002\"",
    "\"6001\", \"Carol\", \"Pbx\", \"list:more\"",
    "\"Carol\"",
];

impl Watchers {
    fn new(seed: u64, loses: u64) -> Self {
        let stage = Stage::new(loaded(MEMBERS[0]), seed);
        Self { stage, pictures: Vec::new(), loses, dropped: 0, most_bytes: 0 }
    }

    fn send(&mut self, from: &str, head: &str, body: &str) {
        self.stage.requests += 1;
        let (at, n) = (address(from), self.stage.requests);
        let (line, rest) = head.split_once("\r\n").unwrap();
        let text = format!(
            "{line} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\nContact: <sip:{from}@{at}>\r\n\
             {rest}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.deliver(udp(at), text.into());
    }

    /// Subscribes anew, or in the dialog of a picture.
    fn subscribe(&mut self, which: usize, (list, package): (&str, &str)) {
        let fresh = which == self.pictures.len();
        if fresh {
            let call_id = format!("list{which}");
            self.pictures.push(Picture::of(call_id));
        }
        let picture = &mut self.pictures[which];
        picture.cseq += 1;
        let tag = if picture.tag.is_empty() { String::new() } else { format!(";tag={}", picture.tag) };
        let head = format!(
            "SUBSCRIBE sip:{list}example.com\r\nFrom: <sip:Alice@example.com>;tag=w\r\nTo: <sip:{list}example.com>{tag}\r\n\
             Call-ID: {}\r\nCSeq: {} SUBSCRIBE\r\nEvent: {package}\r\nSupported: eventlist\r\nExpires: 3600\r\n",
            picture.call_id, picture.cseq
        );
        // Why: an instance of its own, so that no subscription replaces another.
        let head = head.replace("Event:", &format!("User-Agent: {which}\r\nEvent:"));
        self.send_as(which, &head);
    }

    fn send_as(&mut self, which: usize, head: &str) {
        self.stage.requests += 1;
        let (at, n) = (address("Alice"), self.stage.requests);
        let (line, rest) = head.split_once("\r\n").unwrap();
        let text = format!(
            "{line} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
             Contact: <sip:Alice@{at}>;+sip.instance=\"<urn:uuid:{which}>\"\r\n{rest}Content-Length: 0\r\n\r\n"
        );
        self.deliver(udp(at), text.into());
    }

    fn step(&mut self, lists: &[(&str, &str)]) {
        match self.stage.pick(14) {
            0..=3 => {
                let (user, note) = (["Bob", "Carol"][self.stage.pick(2)], self.stage.rng.next_u64() % 5);
                let n = self.stage.requests;
                let body = format!(
                    "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:{user}@example.com\"><tuple id=\"t\"><status>\
                     <basic>open</basic></status><note>note {note}</note></tuple></presence>"
                );
                let head = format!(
                    "PUBLISH sip:{user}@example.com\r\nFrom: <sip:{user}@example.com>;tag=p{n}\r\nTo: <sip:{user}@example.com>\r\n\
                     Call-ID: p{n}\r\nCSeq: 1 PUBLISH\r\nEvent: presence\r\nExpires: 90\r\nContent-Type: application/pidf+xml\r\n"
                );
                self.send(user, &head, &body);
            }
            4..=6 => {
                let device = ["Custom:night", "SIP/Bob", "SIP/Carol"][self.stage.pick(3)].to_owned();
                let state = ["INUSE", "RINGING", "NOT_INUSE", "ONHOLD"][self.stage.pick(4)].to_owned();
                self.command(Command::SetDevice { device, state, for_s: None });
            }
            7 => {
                let handling =
                    [None].into_iter().chain(Handling::ALL.map(Some)).nth(self.stage.pick(5)).unwrap();
                let user = ["Bob", "Carol"][self.stage.pick(2)].to_owned();
                self.command(Command::Rule { user, watcher: "Alice".to_owned(), handling });
            }
            8 => {
                let members = MEMBERS[self.stage.pick(MEMBERS.len())];
                self.command(Command::Reload(loaded(members)));
            }
            9 => {
                let which = self.stage.pick(lists.len());
                self.renew(which, lists[which]);
            }
            10 if self.stage.pick(3) == 0 => {
                self.crash(Aftermath::Clean);
            }
            _ => {
                let millis = [50, 700, 3000, 40_000][self.stage.pick(4)];
                self.pass(Duration::from_millis(millis));
            }
        }
    }

    /// Refreshes a subscription, or makes it again where it is over.
    fn renew(&mut self, which: usize, list: (&str, &str)) {
        if self.pictures[which].over || self.pictures[which].tag.is_empty() {
            self.pictures[which] = self.pictures[which].anew();
        }
        self.subscribe(which, list);
    }
}

impl Town for Watchers {
    fn stage(&mut self) -> &mut Stage {
        &mut self.stage
    }

    fn carry(&mut self) {
        while let Some(effect) = self.stage.host.poll() {
            let (flow, bytes) = match effect {
                Effect::Send { flow, bytes } => (flow, bytes),
                // Why: nobody here takes connections, so large lists come in several.
                Effect::Connect { id, .. } => {
                    self.stage.host.input(self.stage.now, Input::FlowClosed { id });
                    continue;
                }
                _ => continue,
            };
            if self.stage.one_in(self.loses) {
                self.dropped += 1;
                continue;
            }
            if flow.remote() != address("Alice") {
                continue;
            }
            let message = Message::parse(bytes).unwrap();
            let call_id = message.call_id().to_owned();
            let Some(picture) = self.pictures.iter_mut().find(|picture| picture.call_id == call_id) else {
                continue;
            };
            if !message.is_request() {
                let status = message.status().unwrap().0;
                match status {
                    200 => picture.tag = message.to_tag().unwrap().to_owned(),
                    481 => picture.over = true,
                    _ => {}
                }
                continue;
            }
            self.most_bytes = self.most_bytes.max(message.raw().len());
            // Why not always: a NOTIFY that fails is not looked at either.
            let fails = self.loses > 0 && self.stage.one_in(16);
            let status = if fails { StatusCode(500) } else { StatusCode(200) };
            if !fails {
                picture.take(&message);
            }
            let answer = ResponseWriter::reply_to(&message, status, None, None).finish();
            if !self.stage.one_in(self.loses) {
                self.stage.receive(flow, answer);
            }
        }
    }
}

const LISTS: [(&str, &str); 4] =
    [("board@", "presence"), ("more@", "dialog"), ("", "presence"), ("more@", "presence")];

fn holds(seed: u64, steps: usize, loses: u64) -> (usize, usize, usize) {
    let mut town = Watchers::new(seed, loses);
    for (which, list) in LISTS.into_iter().enumerate() {
        town.subscribe(which, list);
    }
    for _ in 0..steps {
        town.step(&LISTS);
    }
    // The network is well again; whoever misses a version, or its subscription, asks.
    town.loses = 0;
    town.pass(Duration::from_secs(400));
    for (which, list) in LISTS.into_iter().enumerate() {
        if town.pictures[which].is_lost() {
            town.renew(which, list);
            town.pass(Duration::from_secs(60));
        }
        if town.pictures[which].over {
            town.renew(which, list);
            town.pass(Duration::from_secs(60));
        }
    }
    for (which, list) in LISTS.into_iter().enumerate() {
        let fresh = town.pictures.len();
        town.subscribe(fresh, list);
        town.pass(Duration::from_secs(60));
        let (old, new) = (&town.pictures[which], &town.pictures[fresh]);
        assert!(new.version.is_some(), "seed {seed}: {list:?} was not told");
        assert_eq!(old.lasting(), new.lasting(), "seed {seed}: {list:?}");
        assert!(
            !new.rows.values().any(|told| told == "unknown")
                || new.rows.contains_key("sip:eve@elsewhere.example"),
            "seed {seed}"
        );
    }
    let fulls = town.pictures.iter().map(|picture| picture.fulls).sum();
    let partials = town.pictures.iter().map(|picture| picture.partials).sum();
    (fulls, partials, town.dropped)
}

#[test]
fn rfc4662_5_6_partial_documents_in_order_show_what_a_full_one_shows() {
    let effort = match std::env::var("LAMPYRIS_EFFORT").as_deref() {
        Ok("large") => 30,
        Ok("small") | Err(_) => 1,
        Ok(number) => number.parse().unwrap(),
    };
    let (mut fulls, mut partials, mut dropped) = (0, 0, 0);
    for seed in 0..24 * effort {
        let (f, p, d) = holds(seed, 120, if seed % 3 == 0 { 0 } else { 8 });
        (fulls, partials, dropped) = (fulls + f, partials + p, dropped + d);
    }
    // Why: a world in which nothing is told, or lost, finds nothing.
    assert!(
        fulls > 300 && partials > 1000 && dropped > 400,
        "{fulls} full, {partials} partial, {dropped} lost"
    );
}
