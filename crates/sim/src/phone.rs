//! A phone of the simulator: a pure state machine that subscribes, registers and publishes, and answers NOTIFYs.
//!
//! In: messages, the time, and what its user wants. Out: messages to send. It retransmits, answers challenges, refreshes
//! in time and subscribes again where its subscription is gone; what it last was told is there to be looked at. A
//! [`Quirk`] bends how it answers NOTIFYs or refreshes. It knows nothing of the network.

use crate::authorize::{Request, authorize};
use crate::calls::agent::Agent;
use bytes::Bytes;
use lampyris_core::rng::Rng;
use lampyris_core::time::Instant;
use lampyris_sip::{Message, Method, Name, RequestWriter, ResponseWriter, StatusCode};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const GIVE_UP: Duration = Duration::from_secs(32);
/// Most challenges answered for one wish.
const CHALLENGES_MAX: u32 = 4;

/// How a phone misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// It does not.
    None,
    /// It never answers a NOTIFY.
    Silent,
    /// It answers every other NOTIFY with this status.
    Answers(u16),
    /// It answers every other NOTIFY 503 with this Retry-After, in seconds.
    RetryAfter(u32),
    /// It sends every refresh twice, as two requests.
    RefreshesTwice,
    /// It answers NOTIFYs after this time.
    Slow(Duration),
    /// The CSeq of its requests in a dialog jumps.
    CSeqJumps,
    /// It reads its stream so much later; over UDP nothing.
    SlowReader(Duration),
}

/// What a phone is about.
#[derive(Clone, Debug)]
pub struct Account {
    /// Name of its peer, and password.
    pub name: String,
    /// The peer's password.
    pub password: String,
    /// Its address, in Via and Contact.
    pub address: SocketAddr,
    /// Whether it speaks over streams.
    pub is_stream: bool,
    /// Whether its password is wrong, so that it must get nothing.
    pub is_stranger: bool,
}

/// A subscription as the phone sees it.
#[derive(Clone, Debug)]
pub struct Watch {
    /// User part watched.
    pub user: String,
    /// Event package.
    pub event: &'static str,
    /// Accept.
    pub accept: &'static str,
    /// Whether the user still wants it.
    pub wanted: bool,
    /// Whether a 2xx came and no end.
    pub active: bool,
    /// Its dialog's Call-ID.
    pub call_id: String,
    /// The last document it was told.
    pub told: Option<String>,
    /// What the last fetch gave.
    pub fetched: Option<String>,
    tag: String,
    remote_tag: String,
    cseq: u32,
    notified_cseq: u32,
    refresh_at: Option<Instant>,
    fetch_call_id: String,
}

/// What the phone publishes.
#[derive(Clone, Debug, Default)]
struct Published {
    wanted: Option<String>,
    etag: Option<String>,
    refresh_at: Option<Instant>,
    busy: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Register,
    Watch(usize),
    Fetch(usize),
    Publish,
    Bindings,
}

struct Client {
    wish: Wish,
    bytes: Bytes,
    call_id: String,
    again_at: Instant,
    interval: Duration,
    gives_up_at: Instant,
    challenges: u32,
    body: Option<String>,
    expires_s: u32,
}

/// A phone.
pub struct Phone {
    /// Who it is.
    pub account: Account,
    /// How it misbehaves now.
    pub quirk: Quirk,
    /// What it watches.
    pub watches: Vec<Watch>,
    /// What the last PUBLISH that was answered 2xx said.
    pub acknowledged: Option<String>,
    /// Until when the last REGISTER that was answered 2xx binds its Contact.
    pub registered_until: Option<Instant>,
    /// The Contacts that the last question for bindings gave.
    pub bindings: Option<String>,
    /// Whether its user switched it off: it sends nothing more.
    pub is_off: bool,
    /// Its network is gone: what it has to say waits.
    pub(crate) is_away: bool,
    /// Its calls.
    pub(crate) calls: Agent,
    /// When it had power again.
    pub(crate) started_at: Option<Instant>,
    expires_s: u32,
    published: Published,
    registers: bool,
    register_at: Option<Instant>,
    reconnect_at: Option<Instant>,
    register_call_id: String,
    register_cseq: u32,
    clients: BTreeMap<String, Client>,
    answered: BTreeMap<String, Option<Bytes>>,
    later: Vec<(Instant, Bytes)>,
    again: Vec<(Instant, Wish)>,
    challenge: Option<(Message, u32)>,
    notifies: u64,
    out: VecDeque<Bytes>,
    rng: Rng,
    serial: u64,
}

impl Phone {
    /// A phone that asks for `expires_s` seconds of everything.
    pub(crate) fn new(account: Account, quirk: Quirk, expires_s: u32, rng: Rng, calls: Agent) -> Self {
        let register_call_id = format!("reg-{}", account.name);
        Self {
            account,
            quirk,
            watches: Vec::new(),
            acknowledged: None,
            registered_until: None,
            bindings: None,
            is_off: false,
            is_away: false,
            calls,
            started_at: None,
            expires_s,
            published: Published::default(),
            registers: false,
            register_at: None,
            reconnect_at: None,
            register_call_id,
            register_cseq: 0,
            clients: BTreeMap::new(),
            answered: BTreeMap::new(),
            later: Vec::new(),
            again: Vec::new(),
            challenge: None,
            notifies: 0,
            out: VecDeque::new(),
            rng,
            serial: 0,
        }
    }

    /// The next message to send.
    pub fn poll(&mut self) -> Option<Bytes> {
        if self.is_off {
            self.out.clear();
            self.calls.out_of_power();
        }
        if self.is_away {
            return None;
        }
        self.out.pop_front().or_else(|| self.calls.poll())
    }

    /// When [`Self::tick`] has something to do.
    pub fn next(&self) -> Option<Instant> {
        if self.is_off || self.is_away {
            return None;
        }
        let clients = self.clients.values().map(|client| client.again_at.min(client.gives_up_at));
        let refreshes = self.watches.iter().filter_map(|watch| watch.refresh_at);
        let later = self.later.iter().map(|(at, _)| *at).chain(self.again.iter().map(|(at, _)| *at));
        let own = [self.register_at, self.reconnect_at, self.published.refresh_at, self.calls.next()];
        let own = own.into_iter().flatten();
        clients.chain(refreshes).chain(later).chain(own).min()
    }

    /// Watches `user`.
    pub fn watch(&mut self, now: Instant, user: &str, event: &'static str, accept: &'static str) {
        let watch = Watch {
            user: user.to_owned(),
            event,
            accept,
            wanted: true,
            active: false,
            call_id: String::new(),
            told: None,
            fetched: None,
            tag: String::new(),
            remote_tag: String::new(),
            cseq: 0,
            notified_cseq: 0,
            refresh_at: None,
            fetch_call_id: String::new(),
        };
        self.watches.push(watch);
        self.subscribe_anew(now, self.watches.len() - 1);
    }

    /// Ends a subscription.
    pub fn unwatch(&mut self, now: Instant, index: usize) {
        let Some(watch) = self.watches.get_mut(index).filter(|watch| watch.wanted) else { return };
        watch.wanted = false;
        watch.refresh_at = None;
        if watch.active {
            self.subscribe(now, index, 0);
        }
    }

    /// Fetches the state of what subscription `index` watches.
    pub fn fetch(&mut self, now: Instant, index: usize) {
        let call_id = self.token("fetch");
        let Some(watch) = self.watches.get_mut(index) else { return };
        watch.fetched = None;
        watch.fetch_call_id = call_id;
        self.send(now, Wish::Fetch(index), 0, None, 0);
    }

    /// Asks which Contacts are bound to its name.
    pub(crate) fn ask_bindings(&mut self, now: Instant) {
        self.bindings = None;
        self.send(now, Wish::Bindings, 0, None, 0);
    }

    /// Its connection broke: it will come back and refresh everything, in a moment.
    pub fn reconnect(&mut self, now: Instant) {
        let wait = Duration::from_millis(500 + self.rng.below(2000));
        self.reconnect_at.get_or_insert(now + wait);
    }

    /// Refreshes everything now.
    pub(crate) fn refresh(&mut self, now: Instant) {
        for index in 0..self.watches.len() {
            if self.watches[index].active && self.watches[index].wanted {
                self.subscribe(now, index, self.expires_s);
            }
        }
        if self.registers {
            self.send(now, Wish::Register, self.expires_s, None, 0);
        }
    }

    /// Registers, or takes its registration back.
    pub fn register(&mut self, now: Instant, on: bool) {
        self.registers = on;
        self.registered_until = self.registered_until.filter(|_| on);
        self.register_at = None;
        self.send(now, Wish::Register, if on { self.expires_s } else { 0 }, None, 0);
    }

    /// Publishes a presence note; `None` takes it back.
    pub fn publish(&mut self, now: Instant, note: Option<String>) {
        self.published.wanted = note;
        self.publish_if_due(now);
    }

    fn publish_if_due(&mut self, now: Instant) {
        if self.published.busy {
            return;
        }
        let (body, expires_s) = match &self.published.wanted {
            Some(note) => (Some(self.pidf(note)), self.expires_s),
            None if self.published.etag.is_some() => (None, 0),
            None => return,
        };
        self.published.busy = true;
        self.published.refresh_at = None;
        self.send(now, Wish::Publish, expires_s, body, 0);
    }

    fn pidf(&self, note: &str) -> String {
        let name = &self.account.name;
        format!(
            "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:{name}@example.com\">\
             <tuple id=\"t\"><status><basic>open</basic></status><note>{note}</note></tuple></presence>"
        )
    }

    fn token(&mut self, what: &str) -> String {
        self.serial += 1;
        format!("{what}-{}-{}", self.account.name, self.serial)
    }

    fn subscribe_anew(&mut self, now: Instant, index: usize) {
        let (call_id, tag) = (self.token("call"), self.token("tag"));
        let expires_s = self.expires_s;
        let Some(watch) = self.watches.get_mut(index).filter(|watch| watch.wanted) else { return };
        (watch.call_id, watch.tag) = (call_id, tag);
        watch.remote_tag.clear();
        watch.active = false;
        watch.cseq = 0;
        watch.notified_cseq = 0;
        watch.refresh_at = None;
        self.subscribe(now, index, expires_s);
    }

    fn subscribe(&mut self, now: Instant, index: usize, expires_s: u32) {
        self.send(now, Wish::Watch(index), expires_s, None, 0);
        if self.quirk == Quirk::RefreshesTwice && self.watches[index].active && expires_s > 0 {
            self.send(now, Wish::Watch(index), expires_s, None, 0);
        }
    }

    /// Sends a request for a wish, and keeps at it.
    fn send(&mut self, now: Instant, wish: Wish, expires_s: u32, body: Option<String>, challenges: u32) {
        let branch = format!("z9hG4bK{}", self.token("b"));
        let name = self.account.name.clone();
        let own = format!("sip:{name}@example.com");
        let (method, uri, call_id, cseq, tag, remote_tag) = match wish {
            Wish::Bindings => (
                Method::Register,
                "sip:example.com".to_owned(),
                self.token("ask"),
                challenges + 1,
                self.token("t"),
                String::new(),
            ),
            Wish::Register => {
                self.register_cseq += 1;
                let call_id = self.register_call_id.clone();
                (
                    Method::Register,
                    "sip:example.com".to_owned(),
                    call_id,
                    self.register_cseq,
                    self.token("t"),
                    "".into(),
                )
            }
            Wish::Publish => (
                Method::Publish,
                own.clone(),
                self.token("pub"),
                challenges + 1,
                self.token("t"),
                String::new(),
            ),
            Wish::Watch(index) => {
                let jump = if self.quirk == Quirk::CSeqJumps { 100_000 } else { 0 };
                let watch = &mut self.watches[index];
                watch.cseq += 1 + jump;
                let uri = format!("sip:{}@example.com", watch.user);
                let (tag, remote) = (watch.tag.clone(), watch.remote_tag.clone());
                (Method::Subscribe, uri, watch.call_id.clone(), watch.cseq, tag, remote)
            }
            Wish::Fetch(index) => {
                let watch = &self.watches[index];
                let (uri, call_id) = (format!("sip:{}@example.com", watch.user), watch.fetch_call_id.clone());
                (Method::Subscribe, uri, call_id, challenges + 1, "fetch".to_owned(), String::new())
            }
        };
        let to = if matches!(wish, Wish::Register | Wish::Publish | Wish::Bindings) {
            own.clone()
        } else {
            uri.clone()
        };
        let to_tag = if remote_tag.is_empty() { String::new() } else { format!(";tag={remote_tag}") };
        let transport = if self.account.is_stream { "TCP" } else { "UDP" };
        let address = self.account.address;
        let mut writer = RequestWriter::new(method.as_str(), &uri);
        writer.header_fmt(Name::Via, format_args!("SIP/2.0/{transport} {address};branch={branch};rport"));
        writer.header(Name::MaxForwards, "70");
        writer.header_fmt(Name::From, format_args!("<{own}>;tag={tag}"));
        writer.header_fmt(Name::To, format_args!("<{to}>{to_tag}"));
        writer.header(Name::CallId, &call_id);
        writer.header_fmt(Name::CSeq, format_args!("{cseq} {}", method.as_str()));
        if wish != Wish::Bindings {
            writer.header_fmt(Name::Expires, format_args!("{expires_s}"));
        }
        if !matches!(wish, Wish::Publish | Wish::Bindings) {
            let suffix = if self.account.is_stream { ";transport=tcp" } else { "" };
            // Why: each watch has a Contact of its own, or the server would take it for the same phone's newer one.
            let user = match wish {
                Wish::Watch(index) | Wish::Fetch(index) => format!("{name}-{index}"),
                _ => name.clone(),
            };
            writer.header_fmt(Name::Contact, format_args!("<sip:{user}@{address}{suffix}>"));
        }
        if let Wish::Watch(index) | Wish::Fetch(index) = wish {
            let watch = &self.watches[index];
            writer.header(Name::Event, watch.event);
            writer.header(Name::Accept, watch.accept);
        }
        if wish == Wish::Publish {
            writer.header(Name::Event, "presence");
            if let Some(etag) = &self.published.etag {
                writer.header(Name::SipIfMatch, etag);
            }
        }
        if let Some((challenge, nc)) = &mut self.challenge {
            *nc += 1;
            let text = body.clone().unwrap_or_default();
            let request = Request {
                user: &name,
                password: &self.account.password,
                method: method.as_str(),
                uri: &uri,
                body: text.as_bytes(),
            };
            if let Ok(value) = authorize(challenge, &format!("nc={nc:08x}"), &request) {
                writer.header(Name::Authorization, &value);
            }
        }
        if let Some(body) = &body {
            writer.body("application/pidf+xml", body.as_bytes());
        }
        let bytes = writer.finish();
        self.out.push_back(bytes.clone());
        let gives_up_at = now + GIVE_UP;
        let again_at = if self.account.is_stream { gives_up_at } else { now + T1 };
        let client =
            Client { wish, bytes, call_id, again_at, interval: T1, gives_up_at, challenges, body, expires_s };
        self.clients.insert(branch, client);
    }

    /// A message came in.
    pub fn receive(&mut self, now: Instant, bytes: Bytes) {
        if self.is_off {
            return;
        }
        let Ok(message) = Message::parse(bytes) else { return };
        match message.method() {
            None => {
                self.calls.on_response(now, &message);
                self.on_response(now, &message);
            }
            Some(Method::Notify) if message.header(Name::Event) != Some("refer") => {
                self.on_notify(now, &message);
            }
            Some(Method::Options) if message.to_tag().is_none() => {
                self.out.push_back(answer(&message, 200, None));
            }
            Some(_) => self.calls.on_request(now, &message),
        }
    }

    fn on_response(&mut self, now: Instant, message: &Message) {
        let status = message.status().map_or(0, |status| status.0);
        let Some(branch) = message.top_via().branch().filter(|_| status >= 200) else { return };
        let Some(client) = self.clients.remove(branch) else { return };
        let late = match client.wish {
            Wish::Watch(index) => self.watches[index].call_id != client.call_id,
            Wish::Fetch(index) => self.watches[index].fetch_call_id != client.call_id,
            _ => false,
        };
        if late {
            return; // It belongs to a dialog that was given up.
        }
        match status {
            200..=299 => self.on_success(now, &client, message),
            401 if client.challenges < CHALLENGES_MAX => {
                self.challenge = Some((message.clone(), 0));
                self.send(now, client.wish, client.expires_s, client.body, client.challenges + 1);
            }
            _ => {
                let wait =
                    message.header(Name::RetryAfter).and_then(|value| value.trim().parse().ok()).unwrap_or(3);
                self.on_failure(now, client.wish, status, wait);
            }
        }
    }

    fn on_success(&mut self, now: Instant, client: &Client, message: &Message) {
        let granted = message.header(Name::Expires).and_then(|value| value.trim().parse().ok());
        let granted: u32 = granted.unwrap_or(client.expires_s);
        let half = now + Duration::from_secs(u64::from(granted / 2).max(1));
        match client.wish {
            Wish::Register => {
                let is_on = self.registers && client.expires_s > 0;
                self.register_at = is_on.then_some(half);
                self.registered_until = is_on.then(|| now + Duration::from_secs(u64::from(granted)));
            }
            Wish::Bindings => {
                let contacts: Vec<_> = message.values(Name::Contact).collect();
                self.bindings = Some(contacts.join(", "));
            }
            Wish::Watch(index) => {
                let watch = &mut self.watches[index];
                if watch.remote_tag.is_empty() {
                    watch.remote_tag = message.to_tag().unwrap_or_default().to_owned();
                }
                if watch.remote_tag != message.to_tag().unwrap_or_default() {
                    return self.subscribe_anew(now, index); // A second dialog of one request: it starts over.
                }
                watch.active = granted > 0;
                watch.refresh_at = (watch.wanted && granted > 0).then_some(half);
                if !watch.wanted && granted > 0 {
                    self.subscribe(now, index, 0);
                }
            }
            Wish::Fetch(_) => {}
            Wish::Publish => {
                self.published.busy = false;
                let removed = client.expires_s == 0;
                let etag = message.header(Name::SipETag).map(str::to_owned);
                self.published.etag = etag.filter(|_| !removed);
                if removed {
                    self.acknowledged = None;
                } else if client.body.is_some() {
                    self.acknowledged = client.body.clone();
                }
                let shown = self.published.wanted.as_ref().map(|note| self.pidf(note));
                if shown == self.acknowledged {
                    self.published.refresh_at = (!removed).then_some(half);
                } else {
                    self.publish_if_due(now);
                }
            }
        }
    }

    fn on_failure(&mut self, now: Instant, wish: Wish, status: u16, wait_s: u64) {
        if let Wish::Watch(index) = wish {
            if !self.watches[index].wanted {
                self.watches[index].active = false;
                return;
            }
            if matches!(status, 481 | 408) {
                return self.subscribe_anew(now, index);
            }
        }
        if wish == Wish::Publish {
            self.published.busy = false;
            if status == 412 {
                self.published.etag = None;
                self.acknowledged = None;
                return self.publish_if_due(now);
            }
        }
        let jitter = Duration::from_millis(self.rng.below(1000));
        // Why: of two requests that failed one is tried again; else a phone that refreshes twice doubles its storm each time.
        if !self.again.iter().any(|(_, other)| *other == wish) {
            self.again.push((now + Duration::from_secs(wait_s) + jitter, wish));
        }
    }

    fn on_notify(&mut self, now: Instant, message: &Message) {
        let Some(branch) = message.top_via().branch().map(str::to_owned) else { return };
        if let Some(known) = self.answered.get(&branch) {
            self.out.extend(known.clone()); // A retransmission gets the same answer, or the same silence.
            return;
        }
        let (status, more) = self.notified(now, message);
        self.notifies += 1;
        let odd = self.notifies % 2 == 1;
        let (status, more) = match self.quirk {
            Quirk::Answers(bad) if odd && status == 200 => (bad, None),
            Quirk::RetryAfter(seconds) if odd && status == 200 => (503, Some(seconds)),
            _ => (status, more),
        };
        let bytes = answer(message, status, more);
        match self.quirk {
            Quirk::Silent => {
                self.answered.insert(branch, None);
            }
            Quirk::Slow(time) => {
                self.answered.insert(branch, None);
                self.later.push((now + time, bytes));
            }
            _ => {
                self.answered.insert(branch, Some(bytes.clone()));
                self.out.push_back(bytes);
            }
        }
    }

    /// Takes note of a NOTIFY: what it is to be answered.
    fn notified(&mut self, now: Instant, message: &Message) -> (u16, Option<u32>) {
        let body = String::from_utf8_lossy(&message.body()).into_owned();
        let (call_id, cseq) = (message.call_id(), message.cseq().seq);
        if let Some(watch) = self.watches.iter_mut().find(|watch| watch.fetch_call_id == call_id) {
            watch.fetched = Some(body);
            return (200, None);
        }
        let tag = message.to_tag().unwrap_or_default();
        let found = self.watches.iter_mut().enumerate().find(|(_, w)| w.call_id == call_id && w.tag == tag);
        let Some((index, watch)) = found else { return (481, None) };
        let from_tag = message.from_tag().unwrap_or_default();
        if watch.remote_tag.is_empty() {
            watch.remote_tag = from_tag.to_owned(); // RFC 6665 §4.1.2.4: it may come before the 2xx.
        }
        if watch.remote_tag != from_tag {
            return (481, None);
        }
        if cseq < watch.notified_cseq {
            return (500, None); // RFC 3261 §12.2.2: out of order.
        }
        watch.notified_cseq = cseq;
        let state = message.header(Name::SubscriptionState).unwrap_or_default();
        if !body.is_empty() {
            watch.told = Some(body);
        }
        if state.starts_with("terminated") {
            watch.active = false;
            watch.refresh_at = None;
            if watch.wanted && !state.contains("noresource") {
                self.subscribe_anew(now, index);
            }
        }
        (200, None)
    }

    /// It has power again after it was off, and knows of nothing but what its user set up.
    pub(crate) fn start(&mut self, now: Instant) {
        if !std::mem::take(&mut self.is_off) {
            return;
        }
        self.started_at = Some(now);
        self.calls.forget();
        self.clients.clear();
        self.again.clear();
        self.later.clear();
        self.out.clear();
        self.reconnect_at = None;
        self.register_call_id = self.token("reg");
        self.published = Published { wanted: self.published.wanted.take(), ..Published::default() };
        self.acknowledged = None;
        self.registered_until = None;
        self.publish_if_due(now);
        for index in 0..self.watches.len() {
            self.subscribe_anew(now, index);
        }
        if self.registers {
            self.register(now, true);
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        if self.is_off {
            return;
        }
        self.calls.tick(now);
        let due = |(at, _): &mut (Instant, Bytes)| *at <= now;
        let answers: Vec<_> = self.later.extract_if(.., due).map(|(_, bytes)| bytes).collect();
        self.out.extend(answers);
        let branches: Vec<_> = self.clients.keys().cloned().collect();
        for branch in branches {
            let Some(client) = self.clients.get_mut(&branch) else { continue };
            if client.gives_up_at <= now {
                let wish = client.wish;
                let current = match wish {
                    Wish::Watch(index) => self.watches[index].call_id == client.call_id,
                    _ => true,
                };
                self.clients.remove(&branch);
                if current {
                    self.on_failure(now, wish, 408, 1);
                }
            } else if client.again_at <= now {
                client.interval = (client.interval * 2).min(T2);
                client.again_at = now + client.interval;
                self.out.push_back(client.bytes.clone());
            }
        }
        let again: Vec<_> = self.again.extract_if(.., |(at, _)| *at <= now).map(|(_, wish)| wish).collect();
        for wish in again {
            match wish {
                Wish::Register => {
                    self.send(now, wish, if self.registers { self.expires_s } else { 0 }, None, 0)
                }
                Wish::Publish => self.publish_if_due(now),
                Wish::Fetch(_) | Wish::Bindings => self.send(now, wish, 0, None, 0),
                Wish::Watch(index) if self.watches[index].wanted => {
                    self.subscribe(now, index, self.expires_s)
                }
                Wish::Watch(_) => {}
            }
        }
        if self.reconnect_at.take_if(|at| *at <= now).is_some() {
            self.refresh(now);
        }
        if self.register_at.take_if(|at| *at <= now).is_some() {
            self.send(now, Wish::Register, self.expires_s, None, 0);
        }
        if self.published.refresh_at.take_if(|at| *at <= now).is_some() {
            self.published.busy = true;
            let expires_s = self.expires_s;
            self.send(now, Wish::Publish, expires_s, None, 0);
        }
        for index in 0..self.watches.len() {
            if self.watches[index].refresh_at.take_if(|at| *at <= now).is_some() {
                let expires_s = self.expires_s;
                self.subscribe(now, index, expires_s);
            }
        }
    }
}

fn answer(request: &Message, status: u16, retry_after_s: Option<u32>) -> Bytes {
    let mut writer = ResponseWriter::reply_to(request, StatusCode(status), None, Some("phone"));
    if let Some(seconds) = retry_after_s {
        writer.header_fmt(Name::RetryAfter, format_args!("{seconds}"));
    }
    writer.finish()
}
