//! Members of lists on a server that tells each user something else: what it tells on behalf of one reaches that one alone
//! (RFC 4662 §7.2), and in the end everybody sees what it tells, for any interleaving of its decisions, its changes of mind,
//! broken connections, crashes on either side, and messages to phones that are lost.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod settings;
mod stage;

use lampyris_core::command::Command;
use lampyris_core::federation::{Federation, Rule};
use lampyris_core::flow::{Flow, StreamId};
use lampyris_core::input::Input;
use lampyris_core::settings::Settings;
use lampyris_core::time::Instant;
use lampyris_sim::host::Effect;
use lampyris_sim::store::Aftermath;
use lampyris_sip::{Message, Name, ResponseWriter, StatusCode, Uri};
use stage::picture::Picture;
use stage::{Stage, Town, udp};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const USERS: [&str; 3] = ["Alice", "Bob", "Carol"];
const SERVER: &str = "192.0.2.20:5061";
const MEMBERS: [&str; 3] = [
    "\"6001\", \"sip:eve@b.example\", \"sip:dan@b.example\", \"sip:frank@c.example\"",
    "\"sip:eve@b.example\", \"6002\"",
    "\"sip:dan@b.example\", \"sip:eve@b.example\"",
];

/// What the other server answers to who asks it.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Tells,
    Waits,
    Refuses(u16),
    Nothing,
}

/// A dialog at the other server.
struct Dialog {
    watcher: &'static str,
    call_id: String,
    from: String,
    to: String,
    target: String,
    stream: StreamId,
    cseq: u32,
    state: &'static str,
    until: Instant,
}

struct World {
    stage: Stage,
    /// A list of each user, by place.
    pictures: Vec<Picture>,
    /// Those of somebody alone.
    alone: u32,
    loses: u64,
    /// What the other server does for each user.
    answers: [Answer; 3],
    dialogs: Vec<Dialog>,
    streams: Vec<StreamId>,
    told: u64,
    seen: [usize; 3],
    asked: usize,
}

fn loaded(members: &str) -> Arc<Settings> {
    let toml = format!("watch = \"everyone\"\n[lists.team]\nmembers = [{members}]\n");
    let mut settings = settings::load(Some("office.toml"), &toml).unwrap();
    settings.federation = vec![Federation {
        domain: "b.example".to_owned(),
        hop: "sip:b.example:5061;transport=tls;maddr=192.0.2.20".to_owned(),
        names: vec!["b.example".to_owned()],
        ask: Rule::parse("* = *").into_iter().collect(),
        allow: Vec::new(),
    }];
    Arc::new(settings)
}

fn address(user: &str) -> SocketAddr {
    let last = USERS.iter().position(|known| *known == user).unwrap() + 1;
    format!("192.0.2.{last}:5060").parse().unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            stage: Stage::new(loaded(MEMBERS[0]), seed),
            pictures: Vec::new(),
            alone: 0,
            loses: 8,
            answers: [Answer::Tells; 3],
            dialogs: Vec::new(),
            streams: Vec::new(),
            told: 0,
            seen: [0; 3],
            asked: 0,
        }
    }

    fn subscribe(&mut self, user: &str, uri: &str, dialog: (&str, &str, u32), expires: u32) {
        self.stage.requests += 1;
        let (at, n, (call_id, tag, cseq)) = (address(user), self.stage.requests, dialog);
        let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
        let text = format!(
            "SUBSCRIBE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@example.com>;tag=w\r\nTo: <{uri}>{tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} SUBSCRIBE\r\n\
             Contact: <sip:{user}@{at}>;+sip.instance=\"<urn:uuid:{call_id}>\"\r\nEvent: presence\r\n\
             Supported: eventlist\r\nExpires: {expires}\r\nContent-Length: 0\r\n\r\n"
        );
        self.deliver(udp(at), text.into());
    }

    /// The list of a user: refreshed, or subscribed to.
    fn renew(&mut self, which: usize) {
        if which == self.pictures.len() {
            self.pictures.push(Picture::of(format!("list{which}")));
        } else if self.pictures[which].is_lost() {
            self.pictures[which] = self.pictures[which].anew();
        }
        let picture = &mut self.pictures[which];
        picture.cseq += 1;
        let (call_id, tag, cseq) = (picture.call_id.clone(), picture.tag.clone(), picture.cseq);
        self.subscribe(USERS[which % USERS.len()], "sip:team@example.com", (&call_id, &tag, cseq), 3600);
    }

    /// The other server tells a dialog how it stands.
    fn tell(&mut self, index: usize) {
        let (told, is_open) = (self.told, |dialog: &Dialog| self.streams.contains(&dialog.stream));
        let Some(dialog) = self.dialogs.get_mut(index).filter(|dialog| is_open(dialog)) else { return };
        dialog.cseq += 1;
        let body = format!(
            "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:eve@b.example\"><tuple id=\"t\"><status>\
             <basic>open</basic></status><note>SECRET-{}-{told}</note></tuple></presence>",
            dialog.watcher
        );
        let body = if dialog.state.starts_with("active") { body } else { String::new() };
        let content_type = if body.is_empty() { "" } else { "Content-Type: application/pidf+xml\r\n" };
        let text = format!(
            "NOTIFY {} SIP/2.0\r\nVia: SIP/2.0/TLS {SERVER};branch=z9hG4bK{}-{}\r\nMax-Forwards: 70\r\nFrom: {};tag=e\r\n\
             To: {}\r\nCall-ID: {}\r\nCSeq: {} NOTIFY\r\nContact: <sip:{SERVER};transport=tls>\r\nEvent: presence\r\n\
             Subscription-State: {}\r\n{content_type}Content-Length: {}\r\n\r\n{body}",
            dialog.target,
            dialog.call_id,
            dialog.cseq,
            dialog.to,
            dialog.from,
            dialog.call_id,
            dialog.cseq,
            dialog.state,
            body.len()
        );
        let flow = Flow::Stream { id: dialog.stream, remote: SERVER.parse().unwrap() };
        self.stage.receive(flow, text.into());
    }

    /// The other server is asked.
    fn asked(&mut self, flow: Flow, stream: StreamId, request: &Message) {
        self.asked += 1;
        let from = Uri::parse(request.from().uri()).unwrap();
        assert_eq!(from.host_str(), "example.com");
        let place = USERS.iter().position(|user| Some(*user) == from.user()).unwrap();
        let known = self.dialogs.iter().position(|dialog| dialog.call_id == request.call_id());
        let ends = request.header(Name::Expires) == Some("0");
        let status = match (request.to_tag(), known, self.answers[place]) {
            (_, _, Answer::Nothing) => return,
            (Some(_), None, _) => 481,
            (None, _, Answer::Refuses(status)) => status,
            _ if request.to().uri().contains("dan@") => 404,
            _ => 200,
        };
        let mut answer = ResponseWriter::reply_to(request, StatusCode(status), None, Some("e"));
        if status == 200 {
            answer.header(Name::Expires, if ends { "0" } else { "600" });
            answer.header(Name::Contact, &format!("<sip:{SERVER};transport=tls>"));
        }
        self.stage.receive(flow, answer.finish());
        if status != 200 {
            return;
        }
        let state = if self.answers[place] == Answer::Waits { "pending" } else { "active;expires=600" };
        let index = known.unwrap_or_else(|| {
            self.dialogs.push(Dialog {
                watcher: USERS[place],
                call_id: request.call_id().to_owned(),
                from: request.header(Name::From).unwrap().to_owned(),
                to: request.header(Name::To).unwrap().to_owned(),
                target: request
                    .contacts()
                    .find_map(|contact| Some(contact.addr()?.uri().to_owned()))
                    .unwrap(),
                stream,
                cseq: 0,
                state,
                until: self.stage.now.mono,
            });
            self.dialogs.len() - 1
        });
        let dialog = &mut self.dialogs[index];
        (dialog.stream, dialog.state) = (stream, state);
        dialog.until = self.stage.now.mono + Duration::from_secs(600);
        if ends {
            self.dialogs[index].state = "terminated;reason=timeout";
        }
        self.tell(index);
        if ends {
            self.dialogs.remove(index);
        }
    }

    /// Every user's presentity there is another now.
    fn change(&mut self) {
        self.told += 1;
        (0..self.dialogs.len()).for_each(|index| self.tell(index));
        self.carry();
    }

    fn break_streams(&mut self) {
        for id in std::mem::take(&mut self.streams) {
            self.stage.host.input(self.stage.now, Input::FlowClosed { id });
        }
        self.carry();
    }

    fn step(&mut self) {
        let place = self.stage.pick(USERS.len());
        match self.stage.pick(14) {
            0..=1 => self.renew(place),
            2 => {
                self.alone += 1;
                let (call_id, expires) = (format!("alone{}", self.alone), [0, 120, 600][self.stage.pick(3)]);
                self.subscribe(USERS[place], "sip:eve@b.example", (&call_id, "", 1), expires);
            }
            3..=5 => self.change(),
            6 => {
                use Answer::{Nothing, Refuses, Tells, Waits};
                self.answers[place] =
                    [Tells, Tells, Waits, Refuses(403), Refuses(404), Refuses(503), Nothing]
                        [self.stage.pick(7)];
            }
            7 if !self.dialogs.is_empty() => {
                let reason = ["deactivated", "rejected", "noresource", "timeout"][self.stage.pick(4)];
                let index = self.stage.pick(self.dialogs.len());
                self.dialogs[index].state = match reason {
                    "deactivated" => "terminated;reason=deactivated",
                    "rejected" => "terminated;reason=rejected",
                    "noresource" => "terminated;reason=noresource",
                    _ => "terminated;reason=timeout",
                };
                self.tell(index);
                self.dialogs.remove(index);
                self.carry();
            }
            8 if self.stage.one_in(2) => self.break_streams(),
            8 => {
                self.dialogs.clear();
                self.break_streams();
            }
            9 => {
                let members = MEMBERS[self.stage.pick(MEMBERS.len())];
                self.command(Command::Reload(loaded(members)));
            }
            10 if self.stage.one_in(3) => {
                self.streams.clear();
                self.crash(Aftermath::Clean);
            }
            _ => {
                let seconds = [1, 5, 40, 300][self.stage.pick(4)];
                self.pass(Duration::from_secs(seconds));
            }
        }
    }
}

impl Town for World {
    fn stage(&mut self) -> &mut Stage {
        &mut self.stage
    }

    fn carry(&mut self) {
        while let Some(effect) = self.stage.host.poll() {
            let (flow, bytes) = match effect {
                Effect::Send { flow, bytes } => (flow, bytes),
                Effect::Connect { id, transport, listener, remote } => {
                    assert_eq!(remote, SERVER.parse().unwrap());
                    self.streams.push(id);
                    let opened = Input::FlowOpened { id, transport, listener, remote };
                    self.stage.host.input(self.stage.now, opened);
                    continue;
                }
                _ => continue,
            };
            let message = Message::parse(bytes).unwrap();
            if let Flow::Stream { id, .. } = flow {
                if message.is_request() && self.streams.contains(&id) {
                    self.asked(flow, id, &message);
                }
                continue;
            }
            let place = USERS.iter().position(|user| address(user) == flow.remote()).unwrap();
            let text = String::from_utf8_lossy(message.raw());
            for secret in text.split("SECRET-").skip(1) {
                assert!(secret.starts_with(USERS[place]), "{} is told of {secret}", USERS[place]);
                self.seen[place] += 1;
            }
            if self.stage.one_in(self.loses) {
                continue;
            }
            let picture = self.pictures.iter_mut().find(|picture| picture.call_id == message.call_id());
            if !message.is_request() {
                match (message.status().unwrap().0, picture) {
                    (200, Some(picture)) => picture.tag = message.to_tag().unwrap().to_owned(),
                    (481, Some(picture)) => picture.over = true,
                    _ => {}
                }
                continue;
            }
            if let Some(picture) = picture {
                picture.take(&message);
            }
            self.stage
                .receive(flow, ResponseWriter::reply_to(&message, StatusCode(200), None, None).finish());
        }
    }
}

/// How often each user was told something, and how often the other server was asked.
fn holds(seed: u64, steps: usize) -> ([usize; 3], usize) {
    let mut world = World::new(seed);
    (0..USERS.len()).for_each(|which| world.renew(which));
    for _ in 0..steps {
        world.step();
    }
    // All is well again, and what waits is tried again: a refusal for an hour, at the longest.
    (world.loses, world.answers) = (0, [Answer::Tells; 3]);
    world.command(Command::Reload(loaded(MEMBERS[0])));
    world.pass(Duration::from_secs(4000));
    for which in 0..2 * USERS.len() {
        if which >= USERS.len() || world.pictures[which].is_lost() {
            world.renew(which);
        }
    }
    world.pass(Duration::from_secs(60));
    world.change();
    world.pass(Duration::from_secs(60));
    for (which, user) in USERS.into_iter().enumerate() {
        let [old, new] = [which, which + USERS.len()].map(|which| &world.pictures[which]);
        assert_eq!(old.lasting(), new.lasting(), "seed {seed}: {user}");
        let eve = new.rows.get("sip:eve@b.example").unwrap();
        assert!(eve.contains(&format!("SECRET-{user}-{}<", world.told)), "seed {seed}: {user}: {eve}");
        let rows = ["sip:dan@b.example", "sip:frank@c.example"].map(|uri| new.rows[uri].as_str());
        assert_eq!(rows, ["terminated noresource", "unknown"], "seed {seed}: {user}");
    }
    // Who nobody watches any more is asked for no more.
    for which in 0..2 * USERS.len() {
        let picture = &mut world.pictures[which];
        picture.cseq += 1;
        let (call_id, tag, cseq) = (picture.call_id.clone(), picture.tag.clone(), picture.cseq);
        world.subscribe(USERS[which % USERS.len()], "sip:team@example.com", (&call_id, &tag, cseq), 0);
    }
    world.pass(Duration::from_secs(700));
    let now = world.stage.now.mono;
    assert!(world.dialogs.iter().all(|dialog| dialog.until < now), "seed {seed}");
    (world.seen, world.asked)
}

#[test]
fn rfc4662_7_2_what_one_is_told_elsewhere_reaches_nobody_else() {
    let effort = match std::env::var("LAMPYRIS_EFFORT").as_deref() {
        Ok("large") => 30,
        Ok("small") | Err(_) => 1,
        Ok(number) => number.parse().unwrap(),
    };
    let (mut seen, mut asked) = ([0; 3], 0);
    for seed in 0..12 * effort {
        let (told, times) = holds(seed, 120);
        (0..3).for_each(|place| seen[place] += told[place]);
        asked += times;
    }
    // Why: a world in which nothing is told finds nothing.
    assert!(seen.iter().all(|count| *count > 300) && asked > 500, "{seen:?} told, {asked} asked");
}
