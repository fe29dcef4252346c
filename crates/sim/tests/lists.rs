//! Whoever applies the partial documents of a list in order sees what a fresh full one shows (RFC 4662 §5.6): for any
//! interleaving of changes, rules, members that come and go, lost messages, failed NOTIFYs and crashes.
//!
//! The oracle is another subscription of the same watcher, made at the end.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod settings;

use bytes::Bytes;
use lampyris_core::authz::Handling;
use lampyris_core::body::rlmi::NAMESPACE;
use lampyris_core::body::xml::Document;
use lampyris_core::command::{Command, Reply};
use lampyris_core::flow::{Flow, Listener, ListenerId, Transport};
use lampyris_core::input::Input;
use lampyris_core::rng::Rng;
use lampyris_core::settings::Settings;
use lampyris_core::time::{Instant, Now, UnixTime};
use lampyris_sim::host::{Effect, Host};
use lampyris_sim::store::Aftermath;
use lampyris_sip::{Message, Name, ResponseWriter, StatusCode, multipart};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const USERS: [&str; 3] = ["Bob", "Carol", "Alice"];

/// What a watcher knows of a list: its row for each URI.
#[derive(Default)]
struct Picture {
    call_id: String,
    tag: String,
    cseq: u32,
    version: Option<u32>,
    rows: BTreeMap<String, String>,
    /// A version is missing, so it wants to subscribe again (RFC 4662 §5.6.2).
    gap: bool,
    over: bool,
    fulls: usize,
    partials: usize,
    seen: BTreeMap<u32, Bytes>,
}

impl Picture {
    fn take(&mut self, notify: &Message) {
        if notify.header(Name::SubscriptionState).unwrap().starts_with("terminated") {
            self.over = true;
        }
        if self.seen.insert(notify.cseq().seq, notify.raw().clone()).is_some() || notify.body().is_empty() {
            return;
        }
        let content_type = notify.header(Name::ContentType).unwrap();
        let parts = multipart::parse_as(content_type, &notify.body()).unwrap();
        let (meta, states) = parts.split_first().unwrap();
        let document = Document::parse(&meta.body).unwrap();
        let root = document.root();
        let version: u32 = root.attr("version").unwrap().parse().unwrap();
        let full = root.attr("fullState") == Some("true");
        match self.version {
            None => assert!(full, "the first NOTIFY is full"),
            Some(known) if version <= known => return,
            Some(known) => self.gap |= !full && version != known + 1,
        }
        self.version = Some(version);
        if full {
            self.rows.clear();
            self.gap = false;
        }
        *(if full { &mut self.fulls } else { &mut self.partials }) += 1;
        let mut used = 0;
        for resource in root.children().filter(|child| child.is(NAMESPACE, "resource")) {
            let uri = resource.attr("uri").unwrap().to_owned();
            let Some(instance) = resource.child(NAMESPACE, "instance") else {
                self.rows.insert(uri, "unknown".to_owned());
                continue;
            };
            let state = instance.attr("state").unwrap();
            let told = match (state, instance.attr("cid")) {
                ("active", Some(cid)) => {
                    used += 1;
                    let part = states.iter().find(|part| part.content_id() == Some(cid)).unwrap();
                    let text = String::from_utf8(part.body.to_vec()).unwrap();
                    // Why: each document of a dialog has its own version.
                    match text.split_once("<dialog-info").and_then(|(_, rest)| rest.split_once("version=\""))
                    {
                        Some((_, rest)) => rest.split_once('"').unwrap().1.to_owned(),
                        None => text,
                    }
                }
                ("active", None) => panic!("active without state: RFC 4662 §5.5"),
                (state, cid) => {
                    assert_eq!(cid, None);
                    format!("{state} {}", instance.attr("reason").unwrap_or(""))
                }
            };
            self.rows.insert(uri, told);
        }
        assert_eq!(used, states.len(), "every part is named by one cid");
    }

    /// The rows that mean something: who is gone may be forgotten at any time.
    fn lasting(&self) -> BTreeMap<&String, &String> {
        self.rows.iter().filter(|(_, told)| !told.starts_with("terminated")).collect()
    }
}

struct Town {
    host: Host,
    now: Now,
    rng: Rng,
    requests: u32,
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

impl Town {
    fn new(seed: u64, loses: u64) -> Self {
        let local = "192.0.2.100:5060".parse().unwrap();
        let (id, names) = (ListenerId(0), Vec::new());
        let listener = Listener { id, transport: Transport::Udp, local, advertised: local, names };
        let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(1_795_252_533_000) };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            host: Host::new(loaded(MEMBERS[0]), vec![listener], seed, now),
            now,
            rng: Rng::new(bytes),
            requests: 0,
            pictures: Vec::new(),
            loses,
            dropped: 0,
            most_bytes: 0,
        }
    }

    fn pick(&mut self, of: usize) -> usize {
        usize::try_from(self.rng.next_u64() % u64::try_from(of).unwrap()).unwrap()
    }

    fn send(&mut self, from: &str, head: &str, body: &str) {
        self.requests += 1;
        let (at, n) = (address(from), self.requests);
        let (line, rest) = head.split_once("\r\n").unwrap();
        let text = format!(
            "{line} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\nContact: <sip:{from}@{at}>\r\n\
             {rest}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let flow = Flow::Udp { listener: ListenerId(0), remote: at };
        self.host.input(self.now, Input::Received { flow, message: Message::parse(text.into()) });
        self.carry();
    }

    /// Subscribes anew, or in the dialog of a picture.
    fn subscribe(&mut self, which: usize, (list, package): (&str, &str)) {
        let fresh = which == self.pictures.len();
        if fresh {
            let call_id = format!("list{which}");
            self.pictures.push(Picture { call_id, ..Picture::default() });
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
        self.requests += 1;
        let (at, n) = (address("Alice"), self.requests);
        let (line, rest) = head.split_once("\r\n").unwrap();
        let text = format!(
            "{line} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
             Contact: <sip:Alice@{at}>;+sip.instance=\"<urn:uuid:{which}>\"\r\n{rest}Content-Length: 0\r\n\r\n"
        );
        let flow = Flow::Udp { listener: ListenerId(0), remote: at };
        self.host.input(self.now, Input::Received { flow, message: Message::parse(text.into()) });
        self.carry();
    }

    fn carry(&mut self) {
        while let Some(effect) = self.host.poll() {
            let (flow, bytes) = match effect {
                Effect::Send { flow, bytes } => (flow, bytes),
                // Why: nobody here takes connections, so large lists come in several.
                Effect::Connect { id, .. } => {
                    self.host.input(self.now, Input::FlowClosed { id });
                    continue;
                }
                _ => continue,
            };
            if self.loses > 0 && self.rng.next_u64().is_multiple_of(self.loses) {
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
            let fails = self.loses > 0 && self.rng.next_u64().is_multiple_of(16);
            let status = if fails { StatusCode(500) } else { StatusCode(200) };
            if !fails {
                picture.take(&message);
            }
            let answer = ResponseWriter::reply_to(&message, status, None, None).finish();
            if self.loses == 0 || !self.rng.next_u64().is_multiple_of(self.loses) {
                self.host.input(self.now, Input::Received { flow, message: Message::parse(answer) });
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        while let Some(at) = self.host.next().filter(|at| *at <= until) {
            let step = at.since(self.now.mono);
            self.now = Now { mono: self.now.mono + step, wall: self.now.wall + step };
            self.host.advance(self.now);
            self.carry();
        }
        let step = until.since(self.now.mono);
        self.now = Now { mono: until, wall: self.now.wall + step };
    }

    fn command(&mut self, command: Command) {
        let reply = self.host.command(self.now, command);
        assert!(matches!(reply, Some(Reply::Done { .. })), "{reply:?}");
        self.carry();
    }

    fn step(&mut self, lists: &[(&str, &str)]) {
        match self.pick(14) {
            0..=3 => {
                let (user, note) = (["Bob", "Carol"][self.pick(2)], self.rng.next_u64() % 5);
                let n = self.requests;
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
                let device = ["Custom:night", "SIP/Bob", "SIP/Carol"][self.pick(3)].to_owned();
                let state = ["INUSE", "RINGING", "NOT_INUSE", "ONHOLD"][self.pick(4)].to_owned();
                self.command(Command::SetDevice { device, state, for_s: None });
            }
            7 => {
                let handling = [None].into_iter().chain(Handling::ALL.map(Some)).nth(self.pick(5)).unwrap();
                let user = ["Bob", "Carol"][self.pick(2)].to_owned();
                self.command(Command::Rule { user, watcher: "Alice".to_owned(), handling });
            }
            8 => {
                let members = MEMBERS[self.pick(MEMBERS.len())];
                self.command(Command::Reload(loaded(members)));
            }
            9 => {
                let which = self.pick(lists.len());
                self.renew(which, lists[which]);
            }
            10 if self.pick(3) == 0 => {
                self.host.crash(Aftermath::Clean, &mut self.rng);
                self.host.restart(self.now);
                self.carry();
            }
            _ => {
                let millis = [50, 700, 3000, 40_000][self.pick(4)];
                self.pass(Duration::from_millis(millis));
            }
        }
    }

    /// Refreshes a subscription, or makes it again where it is over.
    fn renew(&mut self, which: usize, list: (&str, &str)) {
        if self.pictures[which].over || self.pictures[which].tag.is_empty() {
            let call_id = format!("{}x", self.pictures[which].call_id);
            let (fulls, partials) = (self.pictures[which].fulls, self.pictures[which].partials);
            self.pictures[which] = Picture { call_id, fulls, partials, ..Picture::default() };
        }
        self.subscribe(which, list);
    }
}

const LISTS: [(&str, &str); 4] =
    [("board@", "presence"), ("more@", "dialog"), ("", "presence"), ("more@", "presence")];

fn holds(seed: u64, steps: usize, loses: u64) -> (usize, usize, usize) {
    let mut town = Town::new(seed, loses);
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
        let picture = &town.pictures[which];
        if picture.over || picture.gap || picture.tag.is_empty() || picture.version.is_none() {
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
