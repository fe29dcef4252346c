//! The server side of the transaction layer: which request belongs where, and what its answer was.

use super::key::{Key, Parts};
use super::server::ServerStep;
use super::{Action, Seen, ServerId, Timer, Transactions, Transmit, rearm, server, server_invite};
use crate::flow::Flow;
use crate::limits;
use crate::output::Ticket;
use crate::time::Instant;
use crate::timers::TimerToken;
use bytes::Bytes;

#[derive(Debug)]
enum ServerMachine {
    NonInvite(server::NonInvite),
    Invite(server_invite::Invite),
}

#[derive(Debug)]
pub(super) struct Server {
    generation: u32,
    machine: ServerMachine,
    key: Key,
    merge: Option<Key>,
    flow: Flow,
    /// The last response, or for an unanswered INVITE the 100 it may need.
    response: Bytes,
    after: Option<Ticket>,
    timer: Option<TimerToken>,
}

impl Server {
    fn transmit(&self, flow: Flow) -> Option<Transmit> {
        (!self.response.is_empty()).then(|| Transmit {
            flow,
            bytes: self.response.clone(),
            after: self.after,
        })
    }

    fn due(&self) -> Option<Instant> {
        match &self.machine {
            ServerMachine::NonInvite(m) => m.due(),
            ServerMachine::Invite(m) => m.due(),
        }
    }

    fn is_over(&self) -> bool {
        match &self.machine {
            ServerMachine::NonInvite(m) => m.is_over(),
            ServerMachine::Invite(m) => m.is_over(),
        }
    }

    fn is_answered(&self) -> bool {
        match &self.machine {
            ServerMachine::NonInvite(m) => m.is_answered(),
            ServerMachine::Invite(m) => m.is_answered(),
        }
    }
}

impl<U: Copy> Transactions<U> {
    /// What this request is; opens nothing.
    pub(crate) fn lookup(&mut self, now: Instant, flow: Flow, parts: &Parts<'_>) -> Seen {
        let source = flow.remote().ip();
        let found = self.by_key.get(&self.keys.transaction(parts, source)).copied();
        if parts.method == "ACK" {
            return found.map_or(Seen::Ack, |slot| self.on_ack(now, slot));
        }
        if let Some(server) = found.and_then(|slot| self.servers.get(slot)) {
            let step = match &server.machine {
                ServerMachine::NonInvite(m) => m.on_request(),
                ServerMachine::Invite(m) => m.on_request(),
            };
            // Why: to where this copy came from; the port of a NAT may have changed since the first.
            let again = if step == ServerStep::SendAgain { server.transmit(flow) } else { None };
            return Seen::Retransmission(again);
        }
        if parts.method == "CANCEL" {
            let of = self.by_key.get(&self.keys.cancelled(parts, source)).and_then(|slot| {
                let server = self.servers.get(*slot)?;
                (!server.is_answered()).then_some(ServerId { slot: *slot, generation: server.generation })
            });
            return Seen::Cancel { of };
        }
        match self.keys.merge(parts) {
            Some(key) if self.by_merge.contains_key(&key) => Seen::Merged,
            _ => Seen::New,
        }
    }

    fn on_ack(&mut self, now: Instant, slot: u32) -> Seen {
        let Some(server) = self.servers.get_mut(slot) else { return Seen::Ack };
        let ServerMachine::Invite(machine) = &mut server.machine else { return Seen::Ack };
        let step = machine.on_ack(now);
        self.settle_server(slot);
        if step == ServerStep::AckToUser { Seen::Ack } else { Seen::Acknowledged }
    }

    /// Opens the transaction of a request that `lookup` called new (or a CANCEL); `None` (503) where there are too many.
    pub(crate) fn open(&mut self, now: Instant, flow: Flow, parts: &Parts<'_>) -> Option<ServerId> {
        if self.servers.len() >= self.servers_max || parts.method == "ACK" {
            return None;
        }
        let reliable = flow.is_reliable();
        let machine = if parts.method == "INVITE" {
            ServerMachine::Invite(server_invite::Invite::open(now, reliable))
        } else {
            ServerMachine::NonInvite(server::NonInvite::open(reliable))
        };
        let key = self.keys.transaction(parts, flow.remote().ip());
        let merge = self.keys.merge(parts);
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let (response, after, timer) = (Bytes::new(), None, None);
        let slot =
            self.servers.insert(Server { generation, machine, key, merge, flow, response, after, timer });
        self.by_key.insert(key, slot);
        if let Some(merge) = merge {
            self.by_merge.insert(merge, slot);
        }
        self.settle_server(slot);
        Some(ServerId { slot, generation })
    }

    /// Gives an INVITE transaction the 100 to send should it stay unanswered for 200 ms (RFC 3261 §17.2.1).
    pub(crate) fn trying_with(&mut self, id: ServerId, trying: Bytes) {
        if let Some(server) = self.server_mut(id)
            && server.response.is_empty()
            && matches!(server.machine, ServerMachine::Invite(_))
        {
            server.response = trying;
        }
    }

    /// Answers a request: what to send, which is `None` if it was finally answered before or is no more.
    ///
    /// `after` goes with every copy of the response.
    pub(crate) fn respond(
        &mut self,
        now: Instant,
        id: ServerId,
        status: u16,
        bytes: Bytes,
        after: Option<Ticket>,
    ) -> Option<Transmit> {
        let server = self.server_mut(id)?;
        let step = match &mut server.machine {
            ServerMachine::NonInvite(m) => m.respond(now, status),
            ServerMachine::Invite(m) => m.respond(now, status),
        };
        let transmit = (step == ServerStep::Send).then(|| {
            // Why: it is kept for 64*T1, and the writer's buffer is twice as large as the message. That goes back at once.
            server.response = Bytes::copy_from_slice(&bytes);
            server.after = after;
            Transmit { flow: server.flow, bytes: server.response.clone(), after }
        });
        self.settle_server(id.slot);
        transmit
    }

    /// Replaces a final response that never left because its record could not be stored; what to send instead.
    ///
    /// On a stream the transaction is over by then: send the bytes to the request's flow.
    pub(crate) fn replace(&mut self, id: ServerId, bytes: Bytes) -> Option<Transmit> {
        let server = self.server_mut(id)?;
        server.response = bytes;
        server.after = None;
        server.transmit(server.flow)
    }

    /// Drops a server transaction that will never be answered.
    pub(crate) fn forget(&mut self, id: ServerId) {
        if self.server_mut(id).is_some() {
            self.drop_server(id.slot);
        }
    }

    fn server_mut(&mut self, id: ServerId) -> Option<&mut Server> {
        self.servers.get_mut(id.slot).filter(|server| server.generation == id.generation)
    }

    /// Re-arms the timer of a server transaction, or drops it if it is over.
    fn settle_server(&mut self, slot: u32) {
        let Some(server) = self.servers.get_mut(slot) else { return };
        if server.is_over() {
            return self.drop_server(slot);
        }
        let due = server.due();
        rearm(&mut self.timers, &mut server.timer, due, Timer::Server(slot));
    }

    fn drop_server(&mut self, slot: u32) {
        let Some(server) = self.servers.remove(slot) else { return };
        self.by_key.remove(&server.key);
        if let Some(merge) = server.merge
            && self.by_merge.get(&merge) == Some(&slot)
        {
            self.by_merge.remove(&merge);
        }
        if let Some(token) = server.timer {
            self.timers.cancel(token);
        }
        if self.by_key.is_empty() && self.by_key.capacity() > limits::IDLE_ENTRIES_KEPT {
            self.by_key.shrink_to_fit();
            self.by_merge.shrink_to_fit();
        }
    }

    pub(super) fn on_server_timer(&mut self, now: Instant, slot: u32, out: &mut Vec<Action<U>>) {
        let Some(server) = self.servers.get_mut(slot) else { return };
        server.timer = None;
        let step = match &mut server.machine {
            ServerMachine::NonInvite(m) => m.on_timer(now),
            ServerMachine::Invite(m) => m.on_timer(now),
        };
        match step {
            ServerStep::SendAgain | ServerStep::SendTrying => {
                out.extend(server.transmit(server.flow).map(Action::Transmit));
            }
            ServerStep::Unacknowledged => {
                out.push(Action::Unacknowledged(ServerId { slot, generation: server.generation }));
            }
            ServerStep::Nothing | ServerStep::Send | ServerStep::AckToUser => {}
        }
        self.settle_server(slot);
    }
}
