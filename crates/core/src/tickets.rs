//! Changes on their way to the disk: what to undo, and whom to answer 503, if one cannot be stored.

use crate::authn::Identity;
use crate::flow::Flow;
use crate::input::StoreError;
use crate::journal::{Key, Kind, Record, Value};
use crate::node::{Node, Put};
use crate::output::{Output, Ticket};
use crate::reject::Reject;
use crate::resource::ResourceKey;
use crate::time::Now;
use crate::transaction::{ClientId, ServerId};
use lampyris_sip::Message;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Whom to answer 503 if the change fails.
pub(crate) struct Petitioner {
    /// The request.
    pub(crate) message: Message,
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
    /// It has happened, whatever the disk says: time ran out, a watcher went.
    No,
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
    petitioner: Option<Petitioner>,
    /// The NOTIFY that leaves with the answer.
    notify: Option<ClientId>,
    resumes: Option<Resume>,
}

/// Records handed out and not yet decided.
#[derive(Default)]
pub(crate) struct Tickets {
    next: u64,
    pending: BTreeMap<Ticket, Pending>,
}

impl Tickets {
    /// How many are undecided.
    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    /// A NOTIFY leaves with the answer that waits for this ticket, or never.
    pub(crate) fn sends_notify(&mut self, ticket: Ticket, client: ClientId) {
        if let Some(pending) = self.pending.get_mut(&ticket) {
            pending.notify = Some(client);
        }
    }

    /// The petitioner's request goes on when this ticket is durable.
    pub(crate) fn resumes(&mut self, ticket: Ticket, rest: Resume) {
        if let Some(pending) = self.pending.get_mut(&ticket) {
            pending.resumes = Some(rest);
        }
    }
}

impl Node {
    /// Asks the store to make `record` durable.
    pub(crate) fn persist(&mut self, record: Record, undo: Undo) -> Ticket {
        let ticket = Ticket(self.tickets.next);
        self.tickets.next += 1;
        let pending = Pending { key: record.key(), undo, petitioner: None, notify: None, resumes: None };
        self.tickets.pending.insert(ticket, pending);
        self.outputs.push_back(Output::Persist(ticket, record));
        ticket
    }

    /// Names the request that waits for a ticket.
    pub(crate) fn answerable(&mut self, ticket: Ticket, petitioner: Petitioner) {
        if let Some(pending) = self.tickets.pending.get_mut(&ticket) {
            pending.petitioner = Some(petitioner);
        }
    }

    /// The store decided on a ticket.
    pub(crate) fn on_persisted(&mut self, now: Now, ticket: Ticket, result: Result<(), StoreError>) {
        let Some(pending) = self.tickets.pending.remove(&ticket) else { return };
        if result.is_ok() {
            if let (Some(rest), Some(petitioner)) = (pending.resumes, &pending.petitioner) {
                self.resume_subscribe(now, rest, petitioner);
            }
            if let (Kind::Bindings, Ok(slot)) = (pending.key.kind, u32::try_from(pending.key.slot)) {
                self.on_bindings_stored(slot);
            }
            return;
        }
        if let Ok(slot) = u32::try_from(pending.key.slot) {
            if let Some(client) = pending.notify {
                self.transactions.abandon(client);
                self.unsend(slot, client);
            }
            // Why: a newer change of the row stands on this one, perhaps by another owner of the slot. If it is stored,
            // memory is as the store is; if it is not, it is what goes back, and then to before both.
            let newer = (Bound::Excluded(ticket), Bound::Unbounded);
            let newer = self.tickets.pending.range_mut(newer).find(|(_, newer)| newer.key == pending.key);
            match (newer, pending.undo) {
                (Some((_, newer)), undo @ Undo::To(_)) => {
                    if matches!(newer.undo, Undo::To(_)) {
                        newer.undo = undo;
                    }
                }
                (None, Undo::To(previous)) => {
                    self.put_row(now, pending.key.kind, slot, previous, Put::Undo);
                }
                (_, Undo::No) => {}
            }
        }
        if let Some(Petitioner { message, server, flow }) = pending.petitioner {
            let reject = Reject::ServiceUnavailable { retry_after_s: crate::limits::RETRY_AFTER_S };
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
    use std::sync::Arc;
    use std::time::Duration;

    struct Stage {
        node: Node,
        now: Now,
        sent: u32,
        undecided: Vec<Ticket>,
    }

    impl Stage {
        fn new() -> Self {
            let mut settings = Settings::empty();
            for name in ["Alice", "Bob"] {
                let peer = Peer::named(name, DeviceName::parse(&format!("SIP/{name}")).unwrap());
                let peer = Peer { authentication: Authentication::Open, ..peer };
                settings.peers.insert(name.to_owned(), peer);
            }
            let local = "192.0.2.1:5060".parse().unwrap();
            let (id, transport, names) = (ListenerId(0), Transport::Udp, Vec::new());
            let listeners = vec![Listener { id, transport, local, advertised: local, names }];
            let now = Now { mono: Instant::from_micros(0), wall: UnixTime::from_millis(1_000_000) };
            let mut node = Node::new(Arc::new(settings), listeners, [0; 32], now);
            while !matches!(node.poll_output(now), Output::Timeout(_)) {}
            Self { node, now, sent: 0, undecided: Vec::new() }
        }

        fn drain(&mut self) {
            loop {
                match self.node.poll_output(self.now) {
                    Output::Persist(ticket, _) => self.undecided.push(ticket),
                    Output::Timeout(_) => return,
                    _ => {}
                }
            }
        }

        /// `REGISTER Alice a1 60`: user, Contact host, Expires; `SUBSCRIBE Alice Bob 60`; `100s`; `ok`, `failed`: what
        /// the store says of the oldest undecided record; `stop`.
        fn step(&mut self, step: &str) {
            let words: Vec<_> = step.split(' ').collect();
            match words[..] {
                [time] if time.ends_with('s') => {
                    let wait = Duration::from_secs(time.trim_end_matches('s').parse().unwrap());
                    self.now = Now { mono: self.now.mono + wait, wall: self.now.wall + wait };
                    self.node.handle_input(self.now, Input::Timeout);
                }
                ["stop"] => {
                    self.node.handle_command(self.now, Command::Stop);
                }
                [outcome @ ("ok" | "failed")] => {
                    let error = StoreError { reason: "full".to_owned() };
                    let result = if outcome == "ok" { Ok(()) } else { Err(error) };
                    let ticket = self.undecided.remove(0);
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
                    let flow =
                        Flow::Udp { listener: ListenerId(0), remote: "192.0.2.9:5060".parse().unwrap() };
                    let message = Message::parse(text.into());
                    self.node.handle_input(self.now, Input::Received { flow, message });
                }
                _ => panic!("{step}"),
            }
            self.drain();
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
            // What is only written again, or over anyway, is nobody's to undo.
            ("SUBSCRIBE Alice Bob 60, ok, stop, failed", 0, 0, 1),
            ("SUBSCRIBE Alice Bob 60, ok, 61s, SUBSCRIBE Bob Alice 60, failed, ok", 0, 0, 1),
            ("SUBSCRIBE Alice Bob 60, failed", 0, 0, 0),
        ] {
            let mut stage = Stage::new();
            steps.split(", ").for_each(|step| stage.step(step));
            let bindings = |user| stage.node.facts.registrar.bindings(&format!("sip:{user}@localhost")).len();
            let live = stage.node.subscriptions.iter().filter(|(_, s)| s.ending.is_none()).count();
            assert_eq!((bindings("Alice"), bindings("Bob"), live), (alice, bob, subscriptions), "{steps}");
        }
    }
}
