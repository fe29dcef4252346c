//! Everything that can happen to a node: one closed enum, handled one at a time.

use crate::flow::{Flow, ListenerId, StreamId, Transport};
use crate::output::{PeerMessage, Ticket};
use crate::overload::Load;
use lampyris_sip::{Message, ParseError};
use std::net::{IpAddr, SocketAddr};

/// One happening. The shell calls `Node::handle_input(now, input)` and then drains `Node::poll_output`.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a message is the common case; a box would cost an allocation each"
)]
pub enum Input {
    /// A message, or what was wrong with it, came in on a flow.
    Received {
        /// Where it came from; answers go back here (RFC 3261 §18.2.2, RFC 3581).
        flow: Flow,
        /// The message, or why it is none.
        message: Result<Message, ParseError>,
    },
    /// A stream was accepted or, after `Output::Connect`, connected.
    FlowOpened {
        /// The connection.
        id: StreamId,
        /// Its transport.
        transport: Transport,
        /// The listener it was accepted by or belongs to.
        listener: ListenerId,
        /// The peer.
        remote: SocketAddr,
    },
    /// The peer of a stream that it opened has shown a certificate that our authorities vouch for.
    FlowProved {
        /// The connection.
        id: StreamId,
        /// Which of the configured names it is for.
        names: Vec<String>,
    },
    /// A stream closed, or an `Output::Connect` failed.
    FlowClosed {
        /// The connection.
        id: StreamId,
    },
    /// A stream's peer reads more slowly than we write: what need not be said now waits.
    FlowBlocked {
        /// The connection.
        id: StreamId,
    },
    /// It has caught up.
    FlowUnblocked {
        /// The connection.
        id: StreamId,
    },
    /// DNS answered an `Output::Resolve`.
    Resolved {
        /// The query's id.
        query: QueryId,
        /// What DNS said.
        answer: DnsAnswer,
    },
    /// A record is durable, or could not be stored.
    Persisted(Ticket, Result<(), StoreError>),
    /// How much there is to do, said before what came under that load, and again when it is another.
    Load(Load),
    /// Another node sent something.
    Peer(NodeId, PeerMessage),
    /// The instant of the last `Output::Timeout` was reached (or just: look at the clock).
    Timeout,
}

/// Names one DNS query of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// One DNS question (RFC 3263 §4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DnsQuestion {
    /// Which transports a domain offers (RFC 3263 §4.1).
    Naptr(String),
    /// Hosts and ports of a service, as in `_sip._udp.example.com` (RFC 3263 §4.2).
    Srv(String),
    /// A and AAAA of a host.
    Address(String),
}

/// What DNS said. An empty list is "no such record"; `Failed` is a time-out or a server failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsAnswer {
    /// NAPTR records, unsorted.
    Naptr(Vec<NaptrRecord>),
    /// SRV records, unsorted.
    Srv(Vec<SrvRecord>),
    /// Addresses.
    Address(Vec<IpAddr>),
    /// No answer to be had.
    Failed,
}

/// A NAPTR record (RFC 3403 §4.1, as RFC 3263 §4.1 uses it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NaptrRecord {
    /// Lower first.
    pub order: u16,
    /// Lower first within an order.
    pub preference: u16,
    /// `s` for SRV.
    pub flags: String,
    /// As in `SIP+D2U`.
    pub service: String,
    /// The SRV name to ask next.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvRecord {
    /// Lower first.
    pub priority: u16,
    /// Share among equals.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host to look up.
    pub target: String,
}

/// Why a record could not be stored; its request is answered 503 with Retry-After.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// For the log.
    pub reason: String,
}

/// Another node of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);
