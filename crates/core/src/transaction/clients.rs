//! The client side of the transaction layer: our requests, and whom their answers are for.

use super::branch::Branch;
use super::client::ClientStep;
use super::{
    Action, Answer, ClientId, ResponseParts, Timer, Transactions, Transmit, client, client_invite, rearm,
};
use crate::flow::{Flow, StreamId};
use crate::output::Ticket;
use crate::time::Instant;
use crate::timers::TimerToken;
use bytes::Bytes;

#[derive(Debug)]
enum ClientMachine {
    NonInvite(client::NonInvite),
    Invite(client_invite::Invite),
}

#[derive(Debug)]
pub(super) struct Client<U> {
    random: u64,
    machine: ClientMachine,
    /// A CANCEL lives under the branch of its INVITE.
    cancels: Option<u64>,
    flow: Flow,
    /// The request, then the ACK of an INVITE, then nothing.
    pub(super) bytes: Bytes,
    /// Who waits for the answer; none once it was given.
    user: U,
    waiting: bool,
    /// It leaves when this ticket is durable, and its timers begin then.
    after: Option<Ticket>,
    timer: Option<TimerToken>,
}

impl<U> Client<U> {
    fn transmit(&self) -> Option<Transmit> {
        (!self.bytes.is_empty()).then(|| Transmit {
            flow: self.flow,
            bytes: self.bytes.clone(),
            after: self.after,
        })
    }

    fn due(&self) -> Option<Instant> {
        if self.after.is_some() {
            return None;
        }
        match &self.machine {
            ClientMachine::NonInvite(m) => Some(m.due()),
            ClientMachine::Invite(m) => m.due(),
        }
    }

    const fn is_over(&self) -> bool {
        match &self.machine {
            ClientMachine::NonInvite(m) => m.is_over(),
            ClientMachine::Invite(m) => m.is_over(),
        }
    }
}

impl<U: Copy> Transactions<U> {
    /// Sends a request in a new transaction: `write` gets the branch for its topmost Via and gives the whole message.
    pub(crate) fn start(
        &mut self,
        now: Instant,
        flow: Flow,
        method: &str,
        user: U,
        write: impl FnOnce(&Branch) -> Bytes,
    ) -> (ClientId, Transmit) {
        let random = self.rng.next_u64();
        let reliable = flow.is_reliable();
        let machine = if method == "INVITE" {
            ClientMachine::Invite(client_invite::Invite::start(now, reliable))
        } else {
            ClientMachine::NonInvite(client::NonInvite::start(now, reliable))
        };
        let (bytes, cancels, after, timer) = (Bytes::new(), None, None, None);
        let client = Client { random, machine, cancels, flow, bytes, user, waiting: true, after, timer };
        let slot = self.clients.insert(client);
        let bytes = write(&Branch::new(slot, random));
        if let Some(client) = self.clients.get_mut(slot) {
            client.bytes = bytes.clone();
        }
        if let Flow::Stream { id, .. } = flow {
            self.on_streams.insert((id, slot));
        }
        self.settle_client(slot);
        (ClientId { slot, random }, Transmit { flow, bytes, after: None })
    }

    /// Sends the CANCEL of an INVITE, under the INVITE's branch (RFC 3261 §9.1); `None` if that INVITE is answered
    /// or cancelled.
    pub(crate) fn cancel(
        &mut self,
        now: Instant,
        invite: ClientId,
        user: U,
        write: impl FnOnce(&Branch) -> Bytes,
    ) -> Option<(ClientId, Transmit)> {
        let target = self.clients.get(invite.slot).filter(|c| c.random == invite.random && c.waiting)?;
        if self.cancels.contains_key(&{ invite.random }) {
            return None;
        }
        let flow = target.flow;
        let branch = Branch::new(invite.slot, invite.random);
        let (id, transmit) = self.start(now, flow, "CANCEL", user, |_| write(&branch));
        if let Some(client) = self.clients.get_mut(id.slot) {
            client.cancels = Some(invite.random);
        }
        self.cancels.insert(invite.random, id.slot);
        Some((id, transmit))
    }

    /// The branch of a transaction that is not over.
    pub(crate) fn branch_of(&self, id: ClientId) -> Option<Branch> {
        let client = self.clients.get(id.slot).filter(|client| client.random == id.random)?;
        Some(Branch::new(id.slot, client.random))
    }

    /// Takes a response. `ack` makes the ACK to a non-2xx from the INVITE's bytes ([`super::ack::ack`]).
    pub(crate) fn on_response(
        &mut self,
        now: Instant,
        parts: &ResponseParts<'_>,
        ack: impl FnOnce(&Bytes) -> Option<Bytes>,
    ) -> Answer<U> {
        let Some(slot) = self.client_of(parts) else { return Answer::Stray };
        let Some(client) = self.clients.get_mut(slot) else { return Answer::Stray };
        let step = match &mut client.machine {
            ClientMachine::NonInvite(m) => m.on_response(now, parts.status),
            ClientMachine::Invite(m) => m.on_response(now, parts.status),
        };
        let user = client.user;
        let answer = match step {
            ClientStep::Provisional => Answer::Provisional(user),
            ClientStep::AnotherSuccess => Answer::AnotherSuccess(user),
            ClientStep::Final => {
                client.bytes = Bytes::new();
                client.waiting = false;
                Answer::Final(user, None)
            }
            ClientStep::FinalAck => {
                client.bytes = ack(&client.bytes).unwrap_or_default();
                client.waiting = false;
                Answer::Final(user, client.transmit())
            }
            ClientStep::AckAgain => Answer::Absorbed(client.transmit()),
            ClientStep::Nothing | ClientStep::Retransmit | ClientStep::TimedOut => Answer::Absorbed(None),
        };
        self.settle_client(slot);
        answer
    }

    /// Who waits for this response.
    pub(crate) fn waiting(&self, parts: &ResponseParts<'_>) -> Option<U> {
        self.client_of(parts).and_then(|slot| self.clients.get(slot)).map(|client| client.user)
    }

    fn client_of(&self, parts: &ResponseParts<'_>) -> Option<u32> {
        let (slot, random) = Branch::parse(parts.branch?)?;
        if parts.method == "CANCEL"
            && let Some(slot) = self.cancels.get(&random)
        {
            return Some(*slot);
        }
        let client = self.clients.get(slot).filter(|client| client.random == random)?;
        let invite = matches!(client.machine, ClientMachine::Invite(_));
        (client.cancels.is_none() && invite == (parts.method == "INVITE")).then_some(slot)
    }

    /// A request that was started leaves when this ticket is durable: [`Self::release`].
    pub(crate) fn hold(&mut self, id: ClientId, after: Ticket) {
        if let Some(client) = self.clients.get_mut(id.slot).filter(|client| client.random == id.random) {
            client.after = Some(after);
            self.settle_client(id.slot);
        }
    }

    /// A request that was held leaves now. Why: its peer has all of Timer F to answer, however long the disk took.
    pub(crate) fn release(&mut self, now: Instant, id: ClientId) {
        let client = self.clients.get_mut(id.slot).filter(|client| client.random == id.random);
        let Some(client) = client.filter(|client| client.after.is_some()) else { return };
        client.after = None;
        let reliable = client.flow.is_reliable();
        client.machine = match client.machine {
            ClientMachine::NonInvite(_) => ClientMachine::NonInvite(client::NonInvite::start(now, reliable)),
            ClientMachine::Invite(_) => ClientMachine::Invite(client_invite::Invite::start(now, reliable)),
        };
        self.settle_client(id.slot);
    }

    /// Gives up a request whose answer nobody waits for any more.
    pub(crate) fn abandon(&mut self, id: ClientId) {
        if self.clients.get(id.slot).is_some_and(|client| client.random == id.random) {
            self.drop_client(id.slot);
        }
    }

    /// A stream closed: requests that wait for an answer on it have failed.
    pub(crate) fn on_stream_closed(&mut self, stream: StreamId, out: &mut Vec<Action<U>>) {
        let slots: Vec<u32> =
            self.on_streams.range((stream, 0)..=(stream, u32::MAX)).map(|(_, slot)| *slot).collect();
        for slot in slots {
            if let Some(client) = self.clients.get(slot)
                && client.waiting
            {
                out.push(Action::TransportFailed(client.user));
            }
            self.drop_client(slot);
        }
    }

    fn settle_client(&mut self, slot: u32) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        if client.is_over() {
            return self.drop_client(slot);
        }
        let due = client.due();
        rearm(&mut self.timers, &mut client.timer, due, Timer::Client(slot));
    }

    fn drop_client(&mut self, slot: u32) {
        let Some(client) = self.clients.remove(slot) else { return };
        if let Some(random) = client.cancels {
            self.cancels.remove(&random);
        }
        if let Flow::Stream { id, .. } = client.flow {
            self.on_streams.remove(&(id, slot));
        }
        if let Some(token) = client.timer {
            self.timers.cancel(token);
        }
    }

    pub(super) fn on_client_timer(&mut self, now: Instant, slot: u32, out: &mut Vec<Action<U>>) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.timer = None;
        let step = match &mut client.machine {
            ClientMachine::NonInvite(m) => m.on_timer(now),
            ClientMachine::Invite(m) => m.on_timer(now),
        };
        match step {
            ClientStep::Retransmit => out.extend(client.transmit().map(Action::Transmit)),
            ClientStep::TimedOut => {
                client.waiting = false;
                out.push(Action::TimedOut(client.user));
            }
            _ => {}
        }
        self.settle_client(slot);
    }
}
