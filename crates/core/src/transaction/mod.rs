//! The transaction layer (RFC 3261 §17, RFC 6026): four state machines as plain data, driven by the node.
//!
//! # Server side
//! [`Transactions::lookup`] says what a request is: new, a retransmission (with what to send again), an ACK, a CANCEL, a
//! merged request (482). It keeps nothing, so the node can authenticate, or refuse statelessly, first.
//! [`Transactions::open`] makes the transaction, [`Transactions::respond`] remembers its response and says what to send.
//!
//! # Client side
//! [`Transactions::start`] takes a closure that writes the request around the branch it is given.
//! [`Transactions::on_response`] finds the transaction of a response by the slot number in its branch.
//!
//! # Both
//! [`Transactions::on_timeout`] at [`Transactions::next_timeout`] retransmits and gives up. Streams are never
//! retransmitted on, and their transactions end as soon as they are answered. After the final response a client
//! transaction keeps no bytes and a server transaction only its response.
//!
//! What it does not do: choose a transport, look at anything but the fields that identify a transaction, build any
//! message but the ACK to a non-2xx, decide what a time-out means.

pub(crate) mod ack;
mod branch;
pub(crate) use branch::Branch;
mod client;
mod client_invite;
mod clients;
mod key;
mod server;
mod server_invite;
mod servers;
mod slab;
pub(crate) mod timers;

use crate::flow::{Flow, StreamId};
use crate::limits;
use crate::map::{Map, Maps};
use crate::output::Ticket;
use crate::rng::Rng;
use crate::time::Instant;
use crate::timers::{TimerToken, Timers};
use bytes::Bytes;
use clients::Client;
#[allow(unused_imports, reason = "the node uses it")]
pub(crate) use key::Parts;
use key::{Key, Keys};
use servers::Server;
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet};

/// Names a server transaction; one that is over is not found any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ServerId {
    slot: u32,
    generation: u32,
}

/// Names a client transaction; one that is over is not found any more.
// Why packed: twelve bytes instead of sixteen in each subscription, which has one or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(Rust, packed(4))]
pub(crate) struct ClientId {
    slot: u32,
    random: u64,
}

/// Bytes to send: becomes an `Output::Transmit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transmit {
    /// Where.
    pub(crate) flow: Flow,
    /// One whole message.
    pub(crate) bytes: Bytes,
    /// Not before this ticket is durable.
    pub(crate) after: Option<Ticket>,
}

/// What a request is to the transaction layer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A request without a transaction: authenticate it, then [`Transactions::open`] one or refuse statelessly.
    New,
    /// A new CANCEL, of this INVITE if there is one that is not answered yet (else 481); it may not be challenged.
    Cancel {
        /// The INVITE to answer 487.
        of: Option<ServerId>,
    },
    /// A retransmission: send this again, if anything. The request itself is to be forgotten.
    Retransmission(Option<Transmit>),
    /// The same request over another path (RFC 3261 §8.2.2.2): answer 482.
    Merged,
    /// An ACK to a 2xx, for the dialog it belongs to; never answered.
    Ack,
    /// An ACK to an error response; nothing is to be done.
    Acknowledged,
}

/// What became of a request that was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer<U> {
    /// A provisional response for this user.
    Provisional(U),
    /// The one final response for this user; the ACK is to be sent where there is one.
    Final(U, Option<Transmit>),
    /// A 2xx to INVITE beyond the first: a fork, or a retransmission to acknowledge again (RFC 6026 §7.2).
    AnotherSuccess(U),
    /// A retransmitted response; the ACK is to be sent again where there is one.
    Absorbed(Option<Transmit>),
    /// No transaction of ours: to be forgotten.
    Stray,
}

/// What a timer or a lost stream asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action<U> {
    /// Send this (again).
    Transmit(Transmit),
    /// No final response came in time: to be treated as 408 (RFC 3261 §8.1.3.1).
    TimedOut(U),
    /// The stream is gone: to be treated as 503 (RFC 3261 §8.1.3.1).
    TransportFailed(U),
    /// The final response to this INVITE was never acknowledged.
    Unacknowledged(ServerId),
}

/// The fields of a response that find its transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseParts<'a> {
    /// The branch of the topmost Via.
    pub(crate) branch: Option<&'a str>,
    /// The method of CSeq.
    pub(crate) method: &'a str,
    /// The status code.
    pub(crate) status: u16,
}

#[derive(Clone, Copy, Debug)]
enum Timer {
    Server(u32),
    Client(u32),
}

/// All transactions of a node. `U` is whatever the node wants back with an answer.
pub(crate) struct Transactions<U> {
    servers: Slab<Server>,
    by_key: Map<Key, u32>,
    by_merge: Map<Key, u32>,
    generation: u32,
    clients: Slab<Client<U>>,
    /// CANCELs by the random bits of the INVITE whose branch they share.
    cancels: BTreeMap<u64, u32>,
    /// Client transactions on streams that may still fail with them.
    on_streams: BTreeSet<(StreamId, u32)>,
    timers: Timers<Timer>,
    keys: Keys,
    rng: Rng,
    servers_max: usize,
}

impl<U: Copy> Transactions<U> {
    /// No transactions yet; branches and keys come from `rng`.
    pub(crate) fn new(maps: Maps, mut rng: Rng) -> Self {
        Self {
            servers: Slab::new(),
            by_key: maps.map(),
            by_merge: maps.map(),
            generation: 0,
            clients: Slab::new(),
            cancels: BTreeMap::new(),
            on_streams: BTreeSet::new(),
            timers: Timers::default(),
            keys: Keys::new(&mut rng),
            rng,
            servers_max: limits::TRANSACTIONS_MAX,
        }
    }

    /// Transactions alive, both sides.
    pub(crate) fn len(&self) -> usize {
        self.servers.len() + self.clients.len()
    }

    /// Timers of theirs that are set.
    pub(crate) fn timers_set(&self) -> usize {
        self.timers.len()
    }

    /// Whether there is none.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A short token that follows from these parts: the same for a retransmission, not to be foreseen by others.
    pub(crate) fn fingerprint<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> String {
        self.keys.fingerprint(parts.into_iter())
    }

    /// When `on_timeout` wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Fires every timer due by `now`, in order.
    pub(crate) fn on_timeout(&mut self, now: Instant, out: &mut Vec<Action<U>>) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Server(slot) => self.on_server_timer(now, slot, out),
                Timer::Client(slot) => self.on_client_timer(now, slot, out),
            }
        }
    }
}

/// Moves a transaction's one timer to `due`.
fn rearm(timers: &mut Timers<Timer>, token: &mut Option<TimerToken>, due: Option<Instant>, timer: Timer) {
    if token.and_then(|token| timers.at(token)) == due {
        return;
    }
    if let Some(old) = token.take() {
        timers.cancel(old);
    }
    *token = due.map(|at| timers.insert(at, timer));
}

#[cfg(test)]
mod tests;
