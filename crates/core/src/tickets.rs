//! Changes on their way to the disk: what to undo, and whom to answer 503, if one cannot be stored.

use crate::authn::Identity;
use crate::flow::Flow;
use crate::input::StoreError;
use crate::journal::{Key, Kind, Record, Value};
use crate::limits;
use crate::node::{Node, Put};
use crate::notifier::subscription::{Before, Text};
use crate::output::{Output, Ticket};
use crate::reject::Reject;
use crate::resource::ResourceKey;
use crate::time::Now;
use crate::transaction::{ClientId, ServerId};
use bytes::Bytes;
use lampyris_sip::Message;
use std::collections::{BTreeSet, VecDeque};

/// Whom to answer 503 if the change fails.
pub(crate) struct Petitioner {
    /// The request: its bytes, since hardly one is ever answered otherwise.
    pub(crate) request: Bytes,
    /// Its transaction.
    pub(crate) server: ServerId,
    /// Where it came from.
    pub(crate) flow: Flow,
}

/// What becomes of a change that cannot be stored.
#[derive(Debug)]
pub(crate) enum Undo {
    /// The row goes back to this, in memory too; `None`: there was none.
    To(Option<Value>),
    /// The row of a subscription goes back to how it stood.
    Subscription(Box<Before>),
    /// It has happened, whatever the disk says: time ran out, a watcher went.
    No,
}

impl Undo {
    /// NOTIFYs that left between this change and a newer one of the same subscription are counted.
    fn counts_on(&mut self, newer: &Self) {
        if let (Self::Subscription(before), Self::Subscription(newer)) = (self, newer) {
            let (subscription, newer) = (&mut before.subscription, &newer.subscription);
            if subscription.text(Text::LocalTag) == newer.text(Text::LocalTag) {
                (subscription.local_cseq, subscription.version) = (newer.local_cseq, newer.version);
            }
        }
    }
}

/// A NOTIFY that leaves when a record is durable.
pub(crate) struct Held {
    /// Its subscription.
    pub(crate) slot: u32,
    /// Its transaction.
    pub(crate) client: ClientId,
    /// Whether it has a document, which has a version.
    pub(crate) has_body: bool,
}

/// The rest of a SUBSCRIBE that waits for what its body asked for.
pub(crate) struct Resume {
    /// Who sent it.
    pub(crate) identity: Identity,
    /// The user whose features it set.
    pub(crate) user: ResourceKey,
}

struct Pending {
    key: Key,
    undo: Undo,
    /// If it fails, the store keeps a row that memory has not.
    leaves_row: bool,
    petitioner: Option<Petitioner>,
    /// CSeq in the row of a subscription.
    cseq: Option<u32>,
    /// The NOTIFYs that leave when it is durable.
    notifies: Vec<Held>,
    /// What goes on when it is durable.
    resumes: Option<Resume>,
}

impl Pending {
    /// Whether it stores a subscription for no other reason than its CSeq.
    const fn is_count(&self) -> bool {
        matches!((&self.undo, self.cseq), (Undo::No, Some(_)))
    }
}

/// Records handed out and not yet decided.
#[derive(Default)]
pub(crate) struct Tickets {
    /// By ticket, from `first` on; `None` where one was decided before an older one.
    pending: VecDeque<Option<Pending>>,
    first: u64,
    undecided: usize,
    /// Rows of what is over, which the store refused to remove. Why: a restart would take them for what is not over.
    unremoved: BTreeSet<Key>,
    /// The record of the command that is being done.
    cause: Option<Ticket>,
}

impl Tickets {
    /// How many are undecided.
    pub(crate) fn len(&self) -> usize {
        self.undecided
    }

    fn add(&mut self, pending: Pending) -> Ticket {
        let ticket = Ticket(self.first + self.pending.len() as u64);
        self.pending.push_back(Some(pending));
        self.undecided += 1;
        ticket
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        usize::try_from(ticket.0.checked_sub(self.first)?).ok()
    }

    fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Pending> {
        let place = self.place(ticket)?;
        self.pending.get_mut(place)?.as_mut()
    }

    fn take(&mut self, ticket: Ticket) -> Option<Pending> {
        let place = self.place(ticket)?;
        let pending = self.pending.get_mut(place)?.take()?;
        self.undecided -= 1;
        while matches!(self.pending.front(), Some(None)) {
            self.pending.pop_front();
            self.first += 1;
        }
        Some(pending)
    }

    /// The first undecided change of a row after this ticket.
    fn newer(&mut self, ticket: Ticket, key: Key) -> Option<&mut Pending> {
        let from = (ticket.0 + 1).saturating_sub(self.first);
        let newer = self.pending.iter_mut().skip(usize::try_from(from).unwrap_or(usize::MAX)).flatten();
        newer.into_iter().find(|newer| newer.key == key)
    }

    /// The first of them that is more than a count of NOTIFYs.
    fn newer_change(&mut self, ticket: Ticket, key: Key) -> Option<&mut Pending> {
        let from = (ticket.0 + 1).saturating_sub(self.first);
        let newer = self.pending.iter_mut().skip(usize::try_from(from).unwrap_or(usize::MAX)).flatten();
        newer.into_iter().find(|newer| newer.key == key && !newer.is_count())
    }

    /// A subscription's NOTIFY leaves when this ticket is durable, or never.
    pub(crate) fn sends_notify(&mut self, ticket: Ticket, held: Held) {
        if let Some(pending) = self.get_mut(ticket) {
            pending.notifies.push(held);
        }
    }

    /// The petitioner's request goes on when this ticket is durable.
    pub(crate) fn resumes(&mut self, ticket: Ticket, rest: Resume) {
        if let Some(pending) = self.get_mut(ticket) {
            pending.resumes = Some(rest);
        }
    }

    /// The record of the command that is being done.
    pub(crate) const fn cause(&self) -> Option<Ticket> {
        self.cause
    }

    /// A ticket, if it is undecided.
    pub(crate) fn undecided(&self, ticket: Option<Ticket>) -> Option<Ticket> {
        ticket.filter(|ticket| {
            let place = self.place(*ticket).and_then(|place| self.pending.get(place));
            place.is_some_and(Option::is_some)
        })
    }
}

impl Node {
    /// Asks the store to make `record` durable.
    pub(crate) fn persist(&mut self, record: Record, undo: Undo) -> Ticket {
        let key = record.key();
        let is_over = matches!((&record, &undo), (Record::Delete(_), Undo::No));
        let leaves_row = self.tickets.unremoved.remove(&key) || is_over;
        let cseq = match &record {
            Record::Upsert(_, Value::Subscription(subscription)) => Some(subscription.local_cseq),
            _ => None,
        };
        let pending =
            Pending { key, undo, leaves_row, petitioner: None, cseq, notifies: Vec::new(), resumes: None };
        let ticket = self.tickets.add(pending);
        self.outputs.push_back(Output::Persist(ticket, record));
        ticket
    }

    /// Makes the change that a record is about: who watches what it changes is told when the record is durable.
    ///
    /// Why: unlike a phone, which publishes again what was lost, nobody repeats an administrator's command after a crash,
    /// so nobody may have seen what is not true afterwards.
    pub(crate) fn told_after(&mut self, ticket: Ticket, change: impl FnOnce(&mut Self)) {
        let outer = self.tickets.cause.replace(ticket);
        change(self);
        self.tickets.cause = outer;
    }

    /// Names the request that waits for a ticket.
    pub(crate) fn answerable(&mut self, ticket: Ticket, petitioner: Petitioner) {
        if let Some(pending) = self.tickets.get_mut(ticket) {
            pending.petitioner = Some(petitioner);
        }
    }

    /// The store decided on a ticket.
    pub(crate) fn on_persisted(&mut self, now: Now, ticket: Ticket, result: Result<(), StoreError>) {
        let Some(pending) = self.tickets.take(ticket) else { return };
        if result.is_ok() {
            for held in pending.notifies {
                self.transactions.release(now.mono, held.client);
            }
            if let (Some(cseq), Ok(slot)) = (pending.cseq, u32::try_from(pending.key.slot)) {
                self.cseq_stored(slot, cseq);
            }
            if let (Some(rest), Some(petitioner)) = (pending.resumes, &pending.petitioner) {
                self.resume_subscribe(now, rest, petitioner);
            }
            match (pending.key.kind, u32::try_from(pending.key.slot)) {
                (Kind::Bindings, Ok(slot)) => self.on_bindings_stored(slot),
                (Kind::Mailbox, Ok(slot)) => self.on_counts_stored(slot),
                _ => {}
            }
            for key in std::mem::take(&mut self.tickets.unremoved) {
                self.persist(Record::Delete(key), Undo::No);
            }
            return;
        }
        let again_at = pending.is_count().then(|| now.mono + limits::CSEQ_UNSTORED_WAIT);
        for held in pending.notifies {
            self.transactions.abandon(held.client);
            self.unsend(&held, again_at);
        }
        if let Ok(slot) = u32::try_from(pending.key.slot) {
            // Why: a newer change of the row stands on this one, perhaps by another owner of the slot. If it is stored,
            // memory is as the store is; if it is not, it is what goes back, and then to before both.
            if pending.leaves_row {
                match self.tickets.newer(ticket, pending.key) {
                    Some(newer) => newer.leaves_row = true,
                    None => drop(self.tickets.unremoved.insert(pending.key)),
                }
            }
            // Why not a count: it would keep what its row happens to hold of a request that was answered 503.
            match (self.tickets.newer_change(ticket, pending.key), pending.undo) {
                (_, Undo::No) | (Some(Pending { undo: Undo::No, .. }), _) => {}
                (Some(newer), mut undo) => {
                    undo.counts_on(&newer.undo);
                    newer.undo = undo;
                }
                (None, Undo::To(previous)) => {
                    self.put_row(now, pending.key.kind, slot, previous, Put::Undo);
                }
                (None, Undo::Subscription(before)) => {
                    let stored = before.subscription.stored_cseq;
                    let previous = Value::Subscription(Box::new(before.record()));
                    self.put_row(now, pending.key.kind, slot, Some(previous), Put::Undo);
                    self.cseq_stored(slot, stored);
                }
            }
        }
        if let Some(Petitioner { request, server, flow }) = pending.petitioner
            && let Ok(message) = Message::parse(request)
        {
            let reject = Reject::ServiceUnavailable { retry_after_s: limits::RETRY_AFTER_S };
            let bytes = self.reject_bytes(&message, flow, &reject);
            match self.transactions.replace(server, bytes.clone()) {
                Some(transmit) => self.transmit(transmit),
                None => self.send(flow, bytes, None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::device_state::DeviceName;
    use crate::flow::{Listener, ListenerId, Transport};
    use crate::input::Input;
    use crate::settings::{Authentication, Peer, Settings};
    use crate::time::{Instant, UnixTime};
    use bytes::Bytes;
    use lampyris_sip::{Name, ResponseWriter, StatusCode};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    struct Stage {
        node: Node,
        now: Now,
        sent: u32,
        undecided: Vec<(Ticket, Record)>,
        /// What the store holds.
        rows: BTreeMap<Key, Value>,
        /// NOTIFYs handed to the shell since this was last looked at, and what they wait for.
        notifies: Vec<(Bytes, Option<Ticket>)>,
    }

    impl Stage {
        fn new() -> Self {
            let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(1_000_000) };
            let node = Self::node(now, BTreeMap::new());
            Self { node, now, sent: 0, undecided: Vec::new(), rows: BTreeMap::new(), notifies: Vec::new() }
        }

        /// A node that finds these rows in its store.
        fn node(now: Now, rows: BTreeMap<Key, Value>) -> Node {
            let mut settings = Settings::empty();
            for name in ["Alice", "Bob"] {
                let peer = Peer::named(name, DeviceName::parse(&format!("SIP/{name}")).unwrap());
                let peer = Peer { authentication: Authentication::Open, ..peer };
                settings.peers.insert(name.to_owned(), peer);
            }
            let local = "192.0.2.1:5060".parse().unwrap();
            let (id, transport, names) = (ListenerId(0), Transport::Udp, Vec::new());
            let listeners = vec![Listener { id, transport, local, advertised: local, names }];
            let mut node = Node::new(Arc::new(settings), listeners, [0; 32], now);
            rows.into_iter().for_each(|(key, value)| node.restore(now, key, value));
            node.restored(now, false);
            node
        }

        fn drain(&mut self) {
            loop {
                match self.node.poll_output(self.now) {
                    // Why: marks and kept answers are nobody's to undo, and never fail here.
                    Output::Persist(ticket, record)
                        if matches!(record.key().kind, Kind::Resource | Kind::Answer) =>
                    {
                        self.node.handle_input(self.now, Input::Persisted(ticket, Ok(())));
                    }
                    Output::Persist(ticket, record) => self.undecided.push((ticket, record)),
                    Output::Transmit { bytes, after, .. } if bytes.starts_with(b"NOTIFY") => {
                        self.notifies.push((bytes, after));
                    }
                    Output::Timeout(_) => return,
                    _ => {}
                }
            }
        }

        fn receive(&mut self, message: Result<Message, lampyris_sip::ParseError>) {
            let flow = Flow::Udp { listener: ListenerId(0), remote: "192.0.2.9:5060".parse().unwrap() };
            self.node.handle_input(self.now, Input::Received { flow, message });
        }

        /// `REGISTER Alice a1 60`: user, Contact host, Expires; `SUBSCRIBE Alice Bob 60`; `100s`, `600ms`; `ok`, `failed`: what
        /// the store says of the oldest undecided record; `devstate STATE` of Bob's phone; `answer` the last NOTIFY; `crash`;
        /// `refresh` in the dialog of the last NOTIFY.
        fn step(&mut self, step: &str) {
            let words: Vec<_> = step.split(' ').collect();
            match words[..] {
                [time] if time.ends_with('s') => {
                    let (number, unit) =
                        time.split_once("ms").map_or((time.trim_end_matches('s'), 1000), |(n, _)| (n, 1));
                    let wait = Duration::from_millis(number.parse::<u64>().unwrap() * unit);
                    self.now = Now { mono: self.now.mono + wait, wall: self.now.wall + wait };
                    self.node.handle_input(self.now, Input::Timeout);
                }
                ["devstate", state] => {
                    let (device, state) = ("SIP/Bob".to_owned(), state.to_owned());
                    self.node.handle_command(self.now, Command::SetDevice { device, state, for_s: None });
                }
                ["answer"] => {
                    let (bytes, _) = self.notifies.last().unwrap();
                    let notify = Message::parse(bytes.clone()).unwrap();
                    let answer = ResponseWriter::reply_to(&notify, StatusCode(200), None, None).finish();
                    self.receive(Message::parse(answer));
                }
                ["crash"] => {
                    self.node = Self::node(self.now, self.rows.clone());
                    self.undecided.clear();
                }
                ["refresh"] => {
                    self.sent += 1;
                    let n = self.sent;
                    let notify = Message::parse(self.notifies.last().unwrap().0.clone()).unwrap();
                    let header = |name| notify.header(name).unwrap().to_owned();
                    let text = format!(
                        "SUBSCRIBE sip:Bob@localhost SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{n}\r\n\
                         Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {n} SUBSCRIBE\r\n\
                         Contact: <sip:Alice@c>\r\nEvent: presence\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n",
                        header(Name::To),
                        header(Name::From),
                        header(Name::CallId)
                    );
                    self.receive(Message::parse(text.into()));
                }
                [outcome @ ("ok" | "failed")] => {
                    let error = StoreError { reason: "full".to_owned() };
                    let result = if outcome == "ok" { Ok(()) } else { Err(error) };
                    let (ticket, record) = self.undecided.remove(0);
                    match record {
                        Record::Upsert(key, value) if result.is_ok() => drop(self.rows.insert(key, value)),
                        Record::Delete(key) if result.is_ok() => drop(self.rows.remove(&key)),
                        _ => {}
                    }
                    self.node.handle_input(self.now, Input::Persisted(ticket, result));
                }
                [method, user, other, expires] => {
                    self.sent += 1;
                    let n = self.sent;
                    let (to, contact, event) = match method {
                        "REGISTER" => (user, other, ""),
                        _ => (other, "c", "Event: presence\r\n"),
                    };
                    let text = format!(
                        "{method} sip:{to}@localhost SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{n}\r\n\
                         Max-Forwards: 70\r\nFrom: <sip:{user}@localhost>;tag={n}\r\nTo: <sip:{to}@localhost>\r\n\
                         Call-ID: {n}\r\nCSeq: {n} {method}\r\nContact: <sip:{user}@{contact}>\r\n{event}\
                         Expires: {expires}\r\nContent-Length: 0\r\n\r\n"
                    );
                    self.receive(Message::parse(text.into()));
                }
                _ => panic!("{step}"),
            }
            self.drain();
        }
    }

    #[test]
    fn what_a_command_changed_is_told_when_it_is_durable() {
        let mut stage = Stage::new();
        // What is undecided and which NOTIFYs went out, with what they wait for, since the step before.
        let mut play = |steps: &str| {
            let (decided, sent) = (stage.undecided.last().map(|(ticket, _)| *ticket), stage.notifies.len());
            steps.split(", ").for_each(|step| stage.step(step));
            let record =
                stage.undecided.iter().map(|(ticket, _)| *ticket).find(|ticket| Some(*ticket) > decided);
            let told = stage.notifies[sent..].iter();
            let told: Vec<_> = told
                .map(|(bytes, after)| (String::from_utf8_lossy(bytes).contains("On the phone"), *after))
                .collect();
            (record, told)
        };
        play("SUBSCRIBE Alice Bob 600, answer, ok");
        let (first, told) = play("devstate INUSE");
        assert!(first.is_some());
        assert_eq!(told, [(true, first)]);
        assert_eq!(play("40s").1, [], "what has not left is not repeated, and has not waited for an answer");
        let (second, told) = play("devstate NOT_INUSE");
        assert!(second > first && told.is_empty(), "one is in flight");
        assert_eq!(play("ok, 600ms").1, [(true, None)], "now it has left");
        assert_eq!(play("answer").1, [(false, second)]);
        assert_eq!(play("failed").1, [(true, None)], "the command is undone");
        assert_eq!(play("answer, 100s").1, []);
    }

    #[test]
    fn cseqs_rise_over_two_crashes_between_which_a_storm_of_refreshes_could_not_be_stored() {
        let mut stage = Stage::new();
        "SUBSCRIBE Alice Bob 600, ok, answer, crash".split(", ").for_each(|step| stage.step(step));
        let mut told = Vec::new();
        for life in 0..3 {
            let (before, mut seen) = (told.len(), stage.notifies.len());
            for _ in 0..200 {
                stage.step("refresh");
                stage.step("10ms");
                let mut failed = BTreeSet::new();
                while let Some((ticket, _)) = stage.undecided.first() {
                    failed.insert(Some(*ticket));
                    stage.step("failed");
                }
                let left = stage.notifies.split_off(seen);
                for notify in left.into_iter().filter(|(_, after)| !failed.contains(after)) {
                    told.push(Message::parse(notify.0.clone()).unwrap().cseq().seq);
                    stage.notifies.push(notify);
                    stage.step("answer");
                }
                seen = stage.notifies.len();
            }
            assert!(told.len() > before + 10, "{life}: {told:?}");
            stage.step("crash");
        }
        assert!(told.is_sorted_by(|a, b| a < b), "{told:?}");
    }

    #[test]
    fn a_refresh_is_undone_also_where_its_cseq_was_stored_meanwhile() {
        for second in ["failed", "ok"] {
            let mut stage = Stage::new();
            let steps = "SUBSCRIBE Alice Bob 60, ok, answer, crash, failed, 2s, failed, refresh, answer";
            steps.split(", ").for_each(|step| stage.step(step));
            assert_eq!(
                stage.undecided.len(),
                2,
                "the refresh, and the CSeq of a NOTIFY that did not wait for it"
            );
            stage.step("failed");
            while !stage.undecided.is_empty() {
                stage.step(second);
            }
            let (_, subscription) = stage.node.subscriptions.iter().next().unwrap();
            assert!(subscription.expires_at < stage.now.wall + Duration::from_secs(60), "{second}");
        }
    }

    #[test]
    fn memory_is_what_the_store_is_whatever_it_refuses() {
        for (steps, alice, bob, subscriptions) in [
            ("REGISTER Alice a 60, failed", 0, 0, 0),
            // Two phones of Alice, stored one after the other.
            ("REGISTER Alice a 60, REGISTER Alice b 60, failed, ok", 2, 0, 0),
            ("REGISTER Alice a 60, REGISTER Alice b 60, ok, failed", 1, 0, 0),
            ("REGISTER Alice a 60, REGISTER Alice b 60, failed, failed", 0, 0, 0),
            // Alice leaves and Bob gets her slot before it is known whether she could.
            ("REGISTER Alice a 60, ok, REGISTER Alice a 0, REGISTER Bob b 60, failed, failed", 1, 0, 0),
            ("REGISTER Alice a 60, ok, REGISTER Alice a 0, REGISTER Bob b 60, failed, ok", 0, 1, 0),
            // The short life that was not granted must not end the longer one.
            ("REGISTER Alice a 3600, ok, REGISTER Alice a 60, failed, 100s", 1, 0, 0),
            // What is over anyway is nobody's to undo.
            ("SUBSCRIBE Alice Bob 60, ok, 61s, SUBSCRIBE Bob Alice 60, failed, ok", 0, 0, 1),
            ("SUBSCRIBE Alice Bob 60, failed", 0, 0, 0),
            // What is over and could not be removed is removed when the disk takes something again.
            ("SUBSCRIBE Alice Bob 60, ok, 61s, failed, REGISTER Bob b 60, ok, ok", 0, 1, 0),
            // Another gets its slot meanwhile, in vain.
            (
                "SUBSCRIBE Alice Bob 60, ok, 61s, failed, SUBSCRIBE Bob Alice 60, failed, REGISTER Bob b 60, ok, ok",
                0,
                1,
                0,
            ),
            (
                "SUBSCRIBE Alice Bob 60, ok, 61s, SUBSCRIBE Bob Alice 60, failed, failed, REGISTER Bob b 60, ok, ok",
                0,
                1,
                0,
            ),
            (
                "SUBSCRIBE Alice Bob 60, ok, 61s, failed, SUBSCRIBE Bob Alice 60, ok, REGISTER Bob b 60, ok",
                0,
                1,
                1,
            ),
        ] {
            let mut stage = Stage::new();
            steps.split(", ").for_each(|step| stage.step(step));
            let bindings = |user| stage.node.facts.registrar.bindings(&format!("sip:{user}@localhost")).len();
            let live = stage.node.subscriptions.iter().filter(|(_, s)| s.ending.is_none()).count();
            assert_eq!((bindings("Alice"), bindings("Bob"), live), (alice, bob, subscriptions), "{steps}");
            let rows = stage.rows.keys().filter(|key| key.kind == Kind::Subscription).count();
            assert_eq!((rows, stage.undecided.len()), (subscriptions, 0), "{steps}");
        }
    }
}
