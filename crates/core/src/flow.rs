//! Flows: where a message came from and where an answer goes (RFC 5626 §3, RFC 3261 §18).
//!
//! A UDP flow is a value, (listener, remote address), so it costs no state. A stream flow names a connection that the
//! shell holds open.

use lampyris_sip::{Scheme, Uri, ValueWriter};
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

/// A [`Flow`] in sixteen bytes, for what there may be millions of; over IPv6 it has an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackedFlow(Packed);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Packed {
    Udp4 { listener: ListenerId, ip: [u8; 4], port: u16 },
    Stream4 { id: StreamId, ip: [u8; 4], port: u16 },
    Any(Box<Flow>),
}

const _: () = assert!(size_of::<PackedFlow>() == 16);

impl From<Flow> for PackedFlow {
    fn from(flow: Flow) -> Self {
        Self(match flow {
            Flow::Udp { listener, remote: SocketAddr::V4(remote) } => {
                Packed::Udp4 { listener, ip: remote.ip().octets(), port: remote.port() }
            }
            Flow::Stream { id, remote: SocketAddr::V4(remote) } => {
                Packed::Stream4 { id, ip: remote.ip().octets(), port: remote.port() }
            }
            flow => Packed::Any(Box::new(flow)),
        })
    }
}

impl PackedFlow {
    /// The flow.
    pub(crate) fn get(&self) -> Flow {
        match &self.0 {
            Packed::Udp4 { listener, ip, port } => {
                Flow::Udp { listener: *listener, remote: (*ip, *port).into() }
            }
            Packed::Stream4 { id, ip, port } => Flow::Stream { id: *id, remote: (*ip, *port).into() },
            Packed::Any(flow) => **flow,
        }
    }
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
    /// TLS over streams (RFC 3261 §26.2.1).
    Tls,
    /// WebSocket (RFC 7118).
    Ws,
    /// WebSocket over TLS (RFC 7118).
    Wss,
}

impl Transport {
    /// All of them, those first that are asked DNS for first.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// The Via form, in capitals.
    pub const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The name in listeners and for people, in small letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// The `transport=` URI parameter: a URI has `ws` for both kinds of WebSocket (RFC 7118 §5.2).
    pub const fn param(self) -> &'static str {
        match self {
            Self::Wss => Self::Ws.name(),
            other => other.name(),
        }
    }

    /// Whether nobody on the way can read or change what is sent, as `sips:` wants it (RFC 3261 §26.2.2).
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Whether only the peer can open it: browsers cannot be connected to (RFC 7118 §5).
    pub const fn is_opened_by_peers(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// The port where none is said (RFC 3261 §19.1.2); WebSockets have those of HTTP (RFC 6455 §3).
    pub const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// Reads either form, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.via().eq_ignore_ascii_case(text))
    }

    /// The port of a URI, with the default of its scheme and transport (RFC 3261 §19.1.2).
    pub fn port_of(uri: &Uri<'_>) -> u16 {
        uri.port().unwrap_or_else(|| {
            let named = uri.params().get("transport").and_then(Self::parse);
            // Why: a `sips:` URI names the transport beneath TLS (RFC 3261 §26.2.2).
            let tls = uri.scheme() == Scheme::Sips && !named.is_some_and(Self::is_opened_by_peers);
            if tls { Self::Tls.port() } else { named.unwrap_or(Self::Udp).port() }
        })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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

impl Listener {
    /// A URI that leads here: `address` with our transport. It is `sips:` where that is asked for and kept by us.
    pub(crate) fn uri<'u>(&self, user: &'u str, address: SocketAddr, is_sips: bool) -> OwnUri<'u> {
        let (scheme, transport) = match self.transport {
            // RFC 5630 §3.1.3: sips over TLS needs no `transport`.
            Transport::Tls if is_sips => ("sips:", None),
            Transport::Udp => ("sip:", None),
            transport => {
                let scheme = if is_sips && transport.is_secure() { "sips:" } else { "sip:" };
                (scheme, Some(transport.param()))
            }
        };
        OwnUri { scheme, user, address, transport }
    }
}

/// A URI that leads to us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnUri<'u> {
    scheme: &'static str,
    user: &'u str,
    address: SocketAddr,
    transport: Option<&'static str>,
}

impl OwnUri<'_> {
    /// Writes it in angle brackets, as a Contact.
    pub(crate) fn write(&self, value: &mut ValueWriter<'_>) {
        value.text("<").text(self.scheme).text(self.user);
        if !self.user.is_empty() {
            value.text("@");
        }
        value.address(self.address);
        if let Some(transport) = self.transport {
            value.text(";transport=").text(transport);
        }
        value.text(">");
    }
}

impl fmt::Display for OwnUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, user, address, transport } = self;
        let at = if user.is_empty() { "" } else { "@" };
        write!(f, "{scheme}{user}{at}{address}")?;
        transport.map_or(Ok(()), |transport| write!(f, ";transport={transport}"))
    }
}

/// Whether a URI wants TLS on every hop (RFC 3261 §19.1).
pub(crate) fn is_sips(uri: &str) -> bool {
    uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_uris() {
        for (uri, port) in [
            ("sip:a@h", 5060),
            ("sip:a@h;transport=tcp", 5060),
            ("sip:a@h;transport=TLS", 5061),
            ("sips:a@h", 5061),
            ("sips:a@h;transport=tcp", 5061),
            ("sip:a@h;transport=ws", 80),
            ("sips:a@h:9", 9),
            ("sip:a@h;transport=sctp", 5060),
        ] {
            assert_eq!(Transport::port_of(&Uri::parse(uri).unwrap()), port, "{uri}");
        }
    }
}
