//! Flows: where a message came from and where an answer goes (RFC 5626 §3, RFC 3261 §18).
//!
//! A UDP flow is a value, (listener, remote address), so it costs no state. A stream flow names a connection that the
//! shell holds open.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// A socket the shell listens on; an index into `Listeners` as announced at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ListenerId(pub u16);

/// A connection the shell holds; never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId(pub u64);

/// A two-way path to one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Flow {
    /// Datagrams between a listener and a remote address.
    Udp {
        /// Our socket.
        listener: ListenerId,
        /// The peer's address.
        remote: SocketAddr,
    },
    /// A stream connection.
    Stream {
        /// The connection.
        id: StreamId,
        /// The peer's address.
        remote: SocketAddr,
    },
}

impl StreamId {
    /// A stream of an earlier process: never open again.
    pub(crate) const GONE: Self = Self(u64::MAX);
}

impl Flow {
    /// The same flow after a restart: the streams of the process before are gone, and their numbers are used again.
    pub(crate) const fn restarted(self) -> Self {
        match self {
            Self::Stream { remote, .. } => Self::Stream { id: StreamId::GONE, remote },
            udp @ Self::Udp { .. } => udp,
        }
    }

    /// The peer's address as seen by our socket.
    pub const fn remote(self) -> SocketAddr {
        match self {
            Self::Udp { remote, .. } | Self::Stream { remote, .. } => remote,
        }
    }

    /// Whether the transport retransmits by itself (RFC 3261 §17.1.1.1).
    pub const fn is_reliable(self) -> bool {
        matches!(self, Self::Stream { .. })
    }
}

/// The transports we speak, by their Via and URI names (RFC 3261 §20.42, RFC 7118 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Plain streams.
    Tcp,
}

impl Transport {
    /// The Via form, in capitals.
    pub const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// The `transport=` URI parameter.
    pub const fn param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// Reads either form, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp].into_iter().find(|t| t.via().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.param())
    }
}

/// A socket we listen on, as the shell bound it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its id in flows.
    pub id: ListenerId,
    /// Its transport.
    pub transport: Transport,
    /// The address bound; the port is never 0.
    pub local: SocketAddr,
    /// What we put into Via and Contact: the configured external address, else the bound one, else (bound to the
    /// wildcard) the address that routes to the peer, which the shell fills in per network.
    pub advertised: SocketAddr,
    /// Every other name and address that means this machine, lower case: a URI with one of them names us.
    pub names: Vec<String>,
}
