//! HEP version 3 (the Homer Encapsulation Protocol): one SIP message as chunks in a datagram, for HOMER, heplify or sngrep.
//!
//! ```text
//! "HEP3" | length of all, 2 bytes | chunk ...
//! chunk:  vendor 0, 2 bytes | type, 2 bytes | length of the chunk, 2 bytes | value
//! ```
//!
//! Integers are in network byte order. Only chunks of vendor 0 ("generic") are written.

use super::packet::Packet;
use lampyris_core::flow::Transport;
use std::net::{IpAddr, ToSocketAddrs as _, UdpSocket};

/// Where collectors listen.
pub(crate) const PORT: u16 = 9060;
/// Which agent we are, where nobody says.
pub(crate) const AGENT: u32 = 2001;
/// What a datagram over IPv4 takes.
const DATAGRAM_MAX: usize = 65_507;

const GENERIC: u16 = 0;
/// Types of chunks.
const FAMILY: u16 = 1;
const PROTOCOL: u16 = 2;
const SOURCE_4: u16 = 3;
const TARGET_4: u16 = 4;
const SOURCE_6: u16 = 5;
const TARGET_6: u16 = 6;
const SOURCE_PORT: u16 = 7;
const TARGET_PORT: u16 = 8;
const SECONDS: u16 = 9;
const MICROSECONDS: u16 = 10;
const PAYLOAD_KIND: u16 = 11;
const CAPTURE_AGENT: u16 = 12;
const PAYLOAD: u16 = 15;
const CORRELATION: u16 = 17;

/// Address families, as the specification numbers them.
const INET: u8 = 2;
const INET6: u8 = 10;
/// Protocols of IP.
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The payload is SIP.
const SIP: u8 = 1;

/// A packet in HEP; `None` where it does not fit a datagram.
pub(crate) fn encode(packet: &Packet<'_>, agent: u32) -> Option<Vec<u8>> {
    let mut out = b"HEP3\0\0".to_vec();
    let mut chunk = |kind: u16, value: &[u8]| {
        // What does not fit here does not fit the datagram, which is asked below.
        let length = u16::try_from(value.len() + 6).unwrap_or(u16::MAX);
        for part in [GENERIC, kind, length] {
            out.extend_from_slice(&part.to_be_bytes());
        }
        out.extend_from_slice(value);
    };
    let is_udp = packet.transport == Transport::Udp;
    chunk(FAMILY, &[if packet.to.is_ipv4() { INET } else { INET6 }]);
    chunk(PROTOCOL, &[if is_udp { UDP } else { TCP }]);
    for (address, four, six) in [(packet.from, SOURCE_4, SOURCE_6), (packet.to, TARGET_4, TARGET_6)] {
        match address.ip() {
            IpAddr::V4(ip) => chunk(four, &ip.octets()),
            IpAddr::V6(ip) => chunk(six, &ip.octets()),
        }
    }
    chunk(SOURCE_PORT, &packet.from.port().to_be_bytes());
    chunk(TARGET_PORT, &packet.to.port().to_be_bytes());
    let seconds = u32::try_from(packet.at_ms / 1000).unwrap_or(u32::MAX);
    let microseconds = u32::try_from(packet.at_ms % 1000).unwrap_or(0) * 1000;
    chunk(SECONDS, &seconds.to_be_bytes());
    chunk(MICROSECONDS, &microseconds.to_be_bytes());
    chunk(PAYLOAD_KIND, &[SIP]);
    chunk(CAPTURE_AGENT, &agent.to_be_bytes());
    if !packet.call_id.is_empty() {
        chunk(CORRELATION, packet.call_id.as_bytes());
    }
    chunk(PAYLOAD, packet.payload);
    let length = u16::try_from(out.len()).ok().filter(|_| out.len() <= DATAGRAM_MAX)?;
    out.get_mut(4..6)?.copy_from_slice(&length.to_be_bytes());
    Some(out)
}

/// A way to a collector.
#[derive(Debug)]
pub(crate) struct Exporter {
    socket: UdpSocket,
    agent: u32,
    /// Messages that the system took.
    pub(crate) sent: u64,
    /// Messages that it did not take, or that no datagram holds.
    pub(crate) failed: u64,
}

impl Exporter {
    /// To `HOST` or `HOST:PORT`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(crate) fn to(place: &str, agent: u32) -> Result<Self, String> {
        let wrong = |why: String| format!("HEP cannot go to `{place}`: {why}; write HOST or HOST:PORT");
        let alone = place.trim_start_matches('[').trim_end_matches(']');
        let has_port = place.parse::<std::net::SocketAddr>().is_ok()
            || (alone.parse::<IpAddr>().is_err() && place.contains(':'));
        let found = if has_port { place.to_socket_addrs() } else { (alone, PORT).to_socket_addrs() };
        let address = found.map_err(|error| wrong(error.to_string()))?.next();
        let address = address.ok_or_else(|| wrong("it has no address".to_owned()))?;
        let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(own).and_then(|socket| socket.connect(address).map(|()| socket));
        let socket = socket.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { socket, agent, sent: 0, failed: 0 })
    }

    /// Sends a packet; where nobody listens is no reason to stop, and is counted.
    pub(crate) fn send(&mut self, packet: &Packet<'_>) {
        match encode(packet, self.agent).map(|bytes| self.socket.send(&bytes)) {
            Some(Ok(_)) => self.sent += 1,
            _ => self.failed += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::Own;
    use super::super::packet::tests::message;
    use super::*;
    use crate::admin::protocol::Direction;

    /// Type and value of each chunk, read as the specification has it.
    fn chunks(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let number = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        assert_eq!(&bytes[..4], b"HEP3");
        assert_eq!(usize::from(number(4)), bytes.len());
        let (mut at, mut out) = (6, Vec::new());
        while at < bytes.len() {
            assert_eq!(number(at), 0, "vendor");
            let length = usize::from(number(at + 4));
            out.push((number(at + 2), bytes[at + 6..at + length].to_vec()));
            at += length;
        }
        out
    }

    #[test]
    fn a_message_is_chunks() {
        let text = "OPTIONS sip:x SIP/2.0\r\n\r\n";
        let received = message(Direction::Received, Transport::Udp, "192.0.2.9:5062", text);
        let mut own = Own::of(&["udp:192.0.2.1:5060".to_owned()]);
        let bytes = encode(&own.packet(&received, "abc@x"), 7).expect("it fits");
        let expected: [(u16, &[u8]); 13] = [
            (1, &[2]),
            (2, &[17]),
            (3, &[192, 0, 2, 9]),
            (4, &[192, 0, 2, 1]),
            (7, &[0x13, 0xc6]),
            (8, &[0x13, 0xc4]),
            (9, &[0, 0, 0, 1]),
            (10, &[0, 7, 0xa1, 0x20]),
            (11, &[1]),
            (12, &[0, 0, 0, 7]),
            (17, b"abc@x"),
            (15, text.as_bytes()),
            (0, &[]),
        ];
        let expected = expected.into_iter().filter(|(kind, _)| *kind != 0);
        assert_eq!(chunks(&bytes), expected.map(|(kind, value)| (kind, value.to_vec())).collect::<Vec<_>>());
    }

    #[test]
    fn six_and_streams_have_their_numbers() {
        let sent = message(Direction::Sent, Transport::Tls, "[2001:db8::9]:5061", "x");
        let mut own = Own::of(&["tls:[2001:db8::1]:5061".to_owned()]);
        let found = chunks(&encode(&own.packet(&sent, ""), AGENT).expect("it fits"));
        let value = |kind: u16| found.iter().find(|chunk| chunk.0 == kind).map(|chunk| chunk.1.clone());
        assert_eq!((value(1), value(2)), (Some(vec![10]), Some(vec![6])));
        assert_eq!(value(5).map(|ip| (ip[0], ip[15], ip.len())), Some((0x20, 1, 16)));
        assert_eq!(value(6).map(|ip| ip[15]), Some(9));
        assert_eq!((value(3), value(4), value(17)), (None, None, None));
    }

    #[test]
    fn what_no_datagram_holds_is_not_sent() {
        let mut own = Own::default();
        for (length, fits) in [(65_000, true), (65_507, false), (70_000, false)] {
            let text = "x".repeat(length);
            let message = message(Direction::Sent, Transport::Tcp, "192.0.2.9:5061", &text);
            assert_eq!(encode(&own.packet(&message, ""), AGENT).is_some(), fits, "{length}");
        }
    }

    #[test]
    fn a_collector_gets_it() {
        let collector = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let place = collector.local_addr().expect("bound").to_string();
        let mut exporter = Exporter::to(&place, AGENT).expect("an address");
        let sent = message(Direction::Sent, Transport::Udp, "127.0.0.1:5062", "hello");
        exporter.send(&Own::default().packet(&sent, "c"));
        let mut bytes = [0; 1500];
        let length = collector.recv(&mut bytes).expect("a datagram");
        assert_eq!(chunks(&bytes[..length]).last().map(|chunk| chunk.1.clone()), Some(b"hello".to_vec()));
        assert_eq!((exporter.sent, exporter.failed), (1, 0));
    }

    #[test]
    fn places_are_read() {
        for (place, port) in [
            ("127.0.0.1", Some(PORT)),
            ("127.0.0.1:7", Some(7)),
            ("::1", Some(PORT)),
            ("[::1]", Some(PORT)),
            ("[::1]:7", Some(7)),
            ("localhost:8", Some(8)),
            ("127.0.0.1:x", None),
            ("", None),
        ] {
            let found = Exporter::to(place, 1).ok().and_then(|to| to.socket.peer_addr().ok());
            assert_eq!(found.map(|to| to.port()), port, "{place:?}");
        }
    }
}
