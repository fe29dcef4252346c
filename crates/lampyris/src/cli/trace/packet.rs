//! Messages as packets: who sent them to whom, for a capture file or a collector.
//!
//! The server tells the other end's address; our own is that of the listener of the same transport, or, where it listens on
//! every address, the one from which the system would go there.

use crate::admin::protocol::{Direction, SipMessage};
use lampyris_core::flow::Transport;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The port of SIP where nothing better is known (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;
/// Most peers whose way is remembered.
const WAYS_MAX: usize = 4096;

/// One message between two addresses of the same family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) transport: Transport,
    /// Milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    pub(crate) payload: &'a [u8],
    pub(crate) call_id: &'a str,
}

/// Our own addresses.
#[derive(Debug, Default)]
pub(crate) struct Own {
    listeners: Vec<(String, SocketAddr)>,
    ways: HashMap<IpAddr, IpAddr>,
}

impl Own {
    /// From a server's listeners, as in `udp:127.0.0.1:5060`.
    pub(crate) fn of(listeners: &[String]) -> Self {
        let read = |text: &String| {
            let (transport, address) = text.split_once(':')?;
            Some((transport.to_ascii_lowercase(), address.parse().ok()?))
        };
        Self { listeners: listeners.iter().filter_map(read).collect(), ways: HashMap::new() }
    }

    /// A message as a packet.
    pub(crate) fn packet<'a>(&mut self, message: &'a SipMessage, call_id: &'a str) -> Packet<'a> {
        let own = self.toward(message.transport, message.remote);
        let (from, to) = match message.direction {
            Direction::Received => (message.remote, own),
            Direction::Sent => (own, message.remote),
        };
        Packet {
            from,
            to,
            transport: message.transport,
            at_ms: message.at_ms,
            payload: message.text.as_bytes(),
            call_id,
        }
    }

    fn toward(&mut self, transport: Transport, remote: SocketAddr) -> SocketAddr {
        let fits = |own: &SocketAddr| own.is_ipv4() == remote.is_ipv4();
        let same = self.listeners.iter().filter(|(name, _)| name == transport.name());
        let same = same.map(|(_, own)| *own).find(fits);
        let own = same.or_else(|| self.listeners.iter().map(|(_, own)| *own).find(fits));
        let port = own.map_or(SIP_PORT, |own| own.port());
        match own.filter(|own| !own.ip().is_unspecified()) {
            Some(own) => own,
            None => SocketAddr::new(self.way(remote.ip()), port),
        }
    }

    /// From which address the system would go there; nothing is sent.
    fn way(&mut self, to: IpAddr) -> IpAddr {
        if let Some(known) = self.ways.get(&to) {
            return *known;
        }
        let any: IpAddr =
            if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let asked = UdpSocket::bind((any, 0)).and_then(|socket| {
            socket.connect((to, SIP_PORT))?;
            socket.local_addr()
        });
        let own = asked.map_or(any, |own| own.ip());
        if self.ways.len() < WAYS_MAX {
            self.ways.insert(to, own);
        }
        own
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A message of one second and 500 ms after the epoch.
    pub(in super::super) fn message(
        direction: Direction,
        transport: Transport,
        remote: &str,
        text: &str,
    ) -> SipMessage {
        let remote = remote.parse().expect("an address");
        SipMessage { direction, transport, remote, at_ms: 1500, text: text.to_owned(), dropped: 0 }
    }

    #[test]
    fn our_end_is_the_listener_that_fits() {
        let listeners = [
            "udp:192.0.2.1:5060",
            "tcp:192.0.2.1:5070",
            "udp:[2001:db8::1]:5080",
            "wss:0.0.0.0:443",
            "nonsense",
        ];
        let mut own = Own::of(&listeners.map(str::to_owned));
        for (transport, remote, expected) in [
            (Transport::Udp, "192.0.2.9:1", "192.0.2.1:5060"),
            (Transport::Tcp, "192.0.2.9:1", "192.0.2.1:5070"),
            (Transport::Tls, "192.0.2.9:1", "192.0.2.1:5060"),
            (Transport::Udp, "[2001:db8::9]:1", "[2001:db8::1]:5080"),
            (Transport::Wss, "127.0.0.7:1", "127.0.0.1:443"),
        ] {
            let found = own.toward(transport, remote.parse().expect("an address"));
            assert_eq!(found.to_string(), expected, "{transport:?} {remote}");
        }
        let received = message(Direction::Received, Transport::Udp, "192.0.2.9:7", "x");
        let packet = own.packet(&received, "c");
        assert_eq!(
            (packet.from.to_string(), packet.to.to_string()),
            ("192.0.2.9:7".into(), "192.0.2.1:5060".into())
        );
        let sent = SipMessage { direction: Direction::Sent, ..received.clone() };
        assert_eq!(own.packet(&sent, "c").to, received.remote);
    }
}
