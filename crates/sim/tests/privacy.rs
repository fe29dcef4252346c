//! No secret reaches who may not know it: rules change at any time, by command or as documents that show parts alone, the
//! presentity publishes, calls, and leaves words for when nobody publishes, messages are lost and doubled, the server
//! crashes; every message to a watcher is searched for what it may not hold.
//!
//! The oracle knows only what was typed: who was last allowed, and to see what. What was already on its way then may come
//! again.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod settings;
mod stage;

use bytes::Bytes;
use lampyris_core::authz::{Handling, PresRules};
use lampyris_core::command::Command;
use lampyris_core::settings::Settings;
use lampyris_sim::host::Effect;
use lampyris_sim::store::Aftermath;
use lampyris_sip::{Message, ResponseWriter, StatusCode};
use stage::{Stage, Town, udp};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const WATCHERS: [&str; 3] = ["Bob", "Carol", "Pbx"];

/// Alice by herself, in a list, and as one of everybody.
const TARGETS: [&str; 4] = ["Alice@", "Alice@", "team@", ""];
const TOML: &str = "watch = \"confirm\"\n[lists.team]\nmembers = [\"Alice\", \"list:rest\"]\n[lists.rest]\nmembers = [\"Bob\", \"Carol\"]\n";

/// What a watcher may see of a presence: services, persons, devices; of these notes, activities, moods, vendors' elements.
#[derive(Clone, Copy, Debug, Default)]
struct Grant {
    /// Also all calls, which are shown or not.
    allowed: bool,
    parts: [bool; 3],
    attributes: [bool; 4],
}

impl Grant {
    const EVERYTHING: Self = Self { allowed: true, parts: [true; 3], attributes: [true; 4] };

    /// Which secrets are no secrets to the watcher.
    fn shows(self, token: &str) -> bool {
        let ([service, person, device], [note, activities, mood, unknown]) = (self.parts, self.attributes);
        match token {
            "SECRET-service" => service,
            "SECRET-note" => service && note,
            "SECRET-unknown" => service && unknown,
            "SECRET-personal" => person && note,
            "SECRET-doing" => person && activities,
            "SECRET-mood" => person && mood,
            "SECRET-device" => device,
            _ => self.allowed,
        }
    }

    /// The rule that says so (RFC 5025).
    fn rule(self, watcher: &str) -> String {
        let parts = ["services", "persons", "devices"].into_iter().zip(self.parts);
        let parts = parts.filter(|(_, shown)| *shown);
        let parts = parts.map(|(part, _)| format!("<pr:provide-{part}><pr:all-{part}/></pr:provide-{part}>"));
        let plain = ["note", "activities", "mood"].into_iter().zip(self.attributes);
        let plain = plain.map(|(name, shown)| format!("<pr:provide-{name}>{shown}</pr:provide-{name}>"));
        let unknown = format!(
            "<pr:provide-unknown-attribute ns=\"urn:example:vendor\" name=\"story\">{}</pr:provide-unknown-attribute>",
            self.attributes[3]
        );
        format!(
            "<rule id=\"{watcher}\"><conditions><identity><one id=\"sip:{watcher}@example.com\"/></identity></conditions>\
             <actions><pr:sub-handling>allow</pr:sub-handling></actions><transformations>{}{}{unknown}</transformations></rule>",
            parts.collect::<String>(),
            plain.collect::<String>(),
        )
    }
}

/// Every kind of secret in a presence.
const TOKENS: [&str; 7] = [
    "SECRET-service",
    "SECRET-note",
    "SECRET-unknown",
    "SECRET-personal",
    "SECRET-doing",
    "SECRET-mood",
    "SECRET-device",
];

/// A presence document with all of them.
fn presence_of_secrets(n: u64) -> String {
    format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" \
         xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns:v=\"urn:example:vendor\" entity=\"sip:Alice@example.com\">\
         <tuple id=\"t{}\"><status><basic>open</basic></status><v:story>SECRET-unknown-{n:x}</v:story>\
         <contact>sip:SECRET-service-{n:x}@example.com</contact><note>SECRET-note-{n:x}</note></tuple>\
         <dm:person id=\"p\"><r:activities><r:other>SECRET-doing-{n:x}</r:other></r:activities>\
         <r:mood><r:other>SECRET-mood-{n:x}</r:other></r:mood><dm:note>SECRET-personal-{n:x}</dm:note></dm:person>\
         <dm:device id=\"d\"><dm:deviceID>urn:x-mac:SECRET-device-{n:x}</dm:deviceID></dm:device></presence>",
        n % 3
    )
}

struct Watchers {
    stage: Stage,
    settings: Arc<Settings>,
    /// Rules are documents that show parts; otherwise commands that show all or nothing.
    partial: bool,
    /// What each watcher may see; none of it where nothing was said.
    may: BTreeMap<&'static str, Grant>,
    /// What each has been sent, so that a retransmission is known.
    sent: BTreeMap<&'static str, BTreeSet<Bytes>>,
    secrets_seen: BTreeMap<&'static str, usize>,
    notifies: usize,
    /// Subscriptions to lists.
    lists: usize,
}

fn address(name: &str) -> SocketAddr {
    let last = WATCHERS.iter().position(|known| *known == name).map_or(1, |at| at + 2);
    format!("192.0.2.{last}:5060").parse().unwrap()
}

impl Watchers {
    fn new(seed: u64, partial: bool) -> Self {
        let settings = Arc::new(settings::load(Some("office.toml"), TOML).unwrap());
        Self {
            stage: Stage::new(settings.clone(), seed),
            settings,
            partial,
            may: BTreeMap::new(),
            sent: BTreeMap::new(),
            secrets_seen: BTreeMap::new(),
            notifies: 0,
            lists: 0,
        }
    }

    fn send(&mut self, from: &str, method: &str, more: &str, body: &str) {
        self.send_to("Alice@", from, method, more, body);
    }

    fn send_to(&mut self, to: &str, from: &str, method: &str, more: &str, body: &str) {
        self.stage.requests += 1;
        let n = self.stage.requests;
        let text = format!(
            "{method} sip:{to}example.com SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:{from}@example.com>;tag=t{n}\r\nTo: <sip:{to}example.com>\r\nCall-ID: c{n}\r\nCSeq: {n} {method}\r\n\
             Contact: <sip:{from}@{}>\r\n{more}Content-Length: {}\r\n\r\n{body}",
            address(from),
            address(from),
            body.len()
        );
        // One request in eight is lost on its way, or comes twice.
        let copies = [0, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1][self.stage.pick(16)];
        for _ in 0..copies {
            self.deliver(udp(address(from)), text.clone().into());
        }
    }

    /// New rules for everybody, as a document that shows parts.
    fn write_rules(&mut self) {
        let mut text = String::from(
            "<ruleset xmlns=\"urn:ietf:params:xml:ns:common-policy\" xmlns:pr=\"urn:ietf:params:xml:ns:pres-rules\">",
        );
        let mut may = BTreeMap::new();
        for watcher in WATCHERS {
            let bits = self.stage.rng.next_u64();
            let bit = |at: usize| bits >> at & 3 > 0;
            let grant = Grant {
                allowed: true,
                parts: [bit(0), bit(2), bit(4)],
                attributes: [bit(6), bit(8), bit(10), bit(12)],
            };
            if bits >> 14 & 3 > 0 {
                text.push_str(&grant.rule(watcher));
                may.insert(watcher, grant);
            }
        }
        text.push_str("</ruleset>");
        let mut settings = Settings::clone(&self.settings);
        let rules = Arc::new(PresRules::read(&text).unwrap());
        settings.rules.insert("sip:Alice@example.com".to_owned(), rules);
        // Why: as with a command.
        self.pass(Duration::from_millis(100));
        self.may = may;
        self.command(Command::Reload(Arc::new(settings)));
    }

    fn step(&mut self) {
        let watcher = WATCHERS[self.stage.pick(WATCHERS.len())];
        match self.stage.pick(12) {
            0..=2 => {
                let package = ["presence", "dialog", "presence"][self.stage.pick(3)];
                let expires = ["0", "60", "600"][self.stage.pick(3)];
                let target = TARGETS[self.stage.pick(TARGETS.len())];
                let accept = ["pidf+xml", "xpidf+xml", "json", "pidf-diff+xml, application/pidf+xml"]
                    [self.stage.pick(4)];
                let accept = match (package, target) {
                    ("presence", "Alice@") => format!("Accept: application/{accept}\r\n"),
                    _ => String::new(),
                };
                let head =
                    format!("Event: {package}\r\nExpires: {expires}\r\nSupported: eventlist\r\n{accept}");
                self.send_to(target, watcher, "SUBSCRIBE", &head, "");
                self.lists += usize::from(target != "Alice@");
            }
            3..=5 => {
                let body = presence_of_secrets(self.stage.rng.next_u64());
                let head = "Event: presence\r\nExpires: 120\r\nContent-Type: application/pidf+xml\r\n";
                self.send("Alice", "PUBLISH", head, &body);
            }
            6 => {
                let state = ["early", "confirmed", "terminated"][self.stage.pick(3)];
                let body = format!(
                    "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" \
                     entity=\"sip:Alice@example.com\"><dialog id=\"SECRET-d\"><state>{state}</state></dialog></dialog-info>"
                );
                let head = "Event: dialog\r\nExpires: 120\r\nContent-Type: application/dialog-info+xml\r\n";
                self.send("Alice", "PUBLISH", head, &body);
            }
            7..=9 if self.partial => self.write_rules(),
            7..=9 => {
                let handling =
                    [None].into_iter().chain(Handling::ALL.map(Some)).nth(self.stage.pick(5)).unwrap();
                // Why: a NOTIFY that waits for its SUBSCRIBE to be durable was decided upon before this.
                self.pass(Duration::from_millis(100));
                // Why before: what the command lets through may leave while it is done.
                let may =
                    if handling == Some(Handling::Allow) { Grant::EVERYTHING } else { Grant::default() };
                self.may.insert(watcher, may);
                let (user, watcher) = ("Alice".to_owned(), watcher.to_owned());
                self.command(Command::Rule { user, watcher, handling });
            }
            10 if self.stage.pick(4) == 0 => {
                self.pass(Duration::from_secs(1));
                // Why: where a crash may take back what was acknowledged, a command is one of these things.
                use Aftermath::{Clean, Damaged, Torn, Unsynced};
                let worst = if self.partial { 4 } else { 2 };
                let aftermath = [Clean, Torn, Unsynced, Damaged][self.stage.pick(worst)];
                self.crash(aftermath);
            }
            10 if self.stage.pick(2) == 0 => {
                let document =
                    Some(presence_of_secrets(self.stage.rng.next_u64())).filter(|_| self.stage.pick(3) > 0);
                self.command(Command::SetDocument { person: "Alice".to_owned(), document });
            }
            _ => {
                let seconds = [1, 7, 40, 100][self.stage.pick(4)];
                self.pass(Duration::from_secs(seconds));
            }
        }
    }
}

impl Town for Watchers {
    fn stage(&mut self) -> &mut Stage {
        &mut self.stage
    }

    /// Brings messages to their watchers, who look for secrets and answer most NOTIFYs.
    fn carry(&mut self) {
        while let Some(effect) = self.stage.host.poll() {
            let Effect::Send { flow, bytes } = effect else { continue };
            let Some(watcher) = WATCHERS.into_iter().find(|name| address(name) == flow.remote()) else {
                continue;
            };
            let is_new = self.sent.entry(watcher).or_default().insert(bytes.clone());
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let may = self.may.get(watcher).copied().unwrap_or_default();
            for token in TOKENS.into_iter().chain(["SECRET-d\"", "SECRET"]) {
                // Why: the last two are of dialogs, and of any secret that the others do not name.
                let (shows, found) = (may.shows(token), text.contains(token));
                assert!(shows || !is_new || !found, "{watcher} may not know {token}:\n{text}");
                *self.secrets_seen.entry(token).or_default() += usize::from(found);
            }
            let message = Message::parse(bytes).unwrap();
            if message.is_request() {
                self.notifies += 1;
                if self.stage.pick(8) > 0 {
                    let answer = ResponseWriter::reply_to(&message, StatusCode(200), None, None).finish();
                    self.stage.receive(flow, answer);
                }
            }
        }
    }
}

/// What was seen in some worlds: secrets by their kind, NOTIFYs, subscriptions to lists.
fn worlds(partial: bool) -> (BTreeMap<&'static str, usize>, usize, usize) {
    let (mut secrets, mut notifies, mut lists) = (BTreeMap::new(), 0, 0);
    for seed in 0..16 {
        let mut town = Watchers::new(seed, partial);
        for _ in 0..150 {
            town.step();
        }
        for (token, seen) in town.secrets_seen {
            *secrets.entry(token).or_default() += seen;
        }
        notifies += town.notifies;
        lists += town.lists;
    }
    (secrets, notifies, lists)
}

#[test]
fn no_secret_reaches_who_may_not_know_it() {
    let (secrets, notifies, lists) = worlds(false);
    // Why: a test in which nobody is told anything finds nothing.
    assert!(secrets["SECRET"] > 300 && notifies > 2 * secrets["SECRET"], "{secrets:?} in {notifies} NOTIFYs");
    assert!(lists > 150, "{lists} subscriptions to lists");
}

#[test]
fn no_part_reaches_who_is_not_shown_it() {
    let (secrets, notifies, lists) = worlds(true);
    for token in TOKENS {
        assert!(secrets[token] > 100, "{token}: {secrets:?} in {notifies} NOTIFYs");
    }
    assert!(lists > 150, "{lists} subscriptions to lists");
}
