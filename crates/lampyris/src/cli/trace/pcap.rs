//! Messages as a capture file (libpcap, link type RAW), as Wireshark, tshark and sngrep read it.
//!
//! What came by streams is written as datagrams too: what was said is the same, and no handshake has to be invented; what is
//! too long for one is cut, and the file says so by its lengths.

use super::packet::Packet;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

/// Nanosecond files are younger; everybody reads this one.
const MAGIC: u32 = 0xa1b2_c3d4;
/// Packets begin with their IP header.
const LINKTYPE_RAW: u32 = 101;
const SNAP_BYTES: u32 = 262_144;
const UDP: u8 = 17;
const HOPS: u8 = 64;
/// What fits a datagram beside its headers, rounded down.
const PAYLOAD_MAX: usize = 65_400;

/// A capture file that is being written.
pub(crate) struct Pcap<W: Write> {
    out: W,
    /// Packets in it.
    pub(crate) packets: u64,
}

impl<W: Write> Pcap<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn begin(mut out: W) -> io::Result<Self> {
        let mut head = Vec::with_capacity(24);
        head.extend_from_slice(&MAGIC.to_be_bytes());
        head.extend_from_slice(&2_u16.to_be_bytes());
        head.extend_from_slice(&4_u16.to_be_bytes());
        // Time zone and accuracy, which nobody uses.
        head.extend_from_slice(&[0; 8]);
        head.extend_from_slice(&SNAP_BYTES.to_be_bytes());
        head.extend_from_slice(&LINKTYPE_RAW.to_be_bytes());
        out.write_all(&head)?;
        out.flush()?;
        Ok(Self { out, packets: 0 })
    }

    /// Adds a packet, and hands it over at once, so that who reads along sees it.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn write(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let payload = packet.payload.get(..PAYLOAD_MAX).unwrap_or(packet.payload);
        let datagram = datagram(packet.from, packet.to, payload);
        let whole = datagram.len() + (packet.payload.len() - payload.len());
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes();
        let mut record = Vec::with_capacity(16 + datagram.len());
        record.extend_from_slice(&number(packet.at_ms / 1000));
        record.extend_from_slice(&number(packet.at_ms % 1000 * 1000));
        record.extend_from_slice(&number(datagram.len() as u64));
        record.extend_from_slice(&number(whole as u64));
        record.extend_from_slice(&datagram);
        self.out.write_all(&record)?;
        self.out.flush()?;
        self.packets += 1;
        Ok(())
    }
}

/// The IP packet (RFC 791, RFC 8200) with a UDP datagram (RFC 768) in it.
fn datagram(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    let mut udp = Vec::with_capacity(usize::from(length));
    for field in [from.port(), to.port(), length, 0] {
        udp.extend_from_slice(&field.to_be_bytes());
    }
    udp.extend_from_slice(payload);
    let octets = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let addresses = [octets(from), octets(to)].concat();
    let mut pseudo = addresses.clone();
    pseudo.extend_from_slice(&[0, UDP]);
    pseudo.extend_from_slice(&length.to_be_bytes());
    // Why: 0 would mean that there is none.
    let checksum = match sum(&[&pseudo, &udp]) {
        0 => u16::MAX,
        sum => sum,
    };
    udp.splice(6..8, checksum.to_be_bytes());
    let mut ip = if to.is_ipv4() {
        let [high, low] = (20 + length).to_be_bytes();
        vec![0x45, 0, high, low, 0, 0, 0, 0, HOPS, UDP, 0, 0]
    } else {
        let [high, low] = length.to_be_bytes();
        vec![0x60, 0, 0, 0, high, low, UDP, HOPS]
    };
    ip.extend_from_slice(&addresses);
    if to.is_ipv4() {
        let checksum = sum(&[&ip]);
        ip.splice(10..12, checksum.to_be_bytes());
    }
    ip.extend_from_slice(&udp);
    ip
}

/// The checksum of RFC 1071 over parts of which each begins a new word.
fn sum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let word = |chunk: &[u8]| {
        let (high, low) = (chunk.first().copied().unwrap_or(0), chunk.get(1).copied().unwrap_or(0));
        u32::from(u16::from_be_bytes([high, low]))
    };
    let mut total: u32 = words.map(word).fold(0, |total, word| {
        let total = total + word;
        (total & 0xffff) + (total >> 16)
    });
    total = (total & 0xffff) + (total >> 16);
    !u16::try_from(total).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::packet::Own;
    use super::super::packet::tests::message;
    use super::*;
    use crate::admin::protocol::Direction;
    use lampyris_core::flow::Transport;

    fn file(remote: &str, text: &str) -> Vec<u8> {
        let mut pcap = Pcap::begin(Vec::new()).expect("memory");
        let message = message(Direction::Received, Transport::Tcp, remote, text);
        let mut own = Own::of(&["udp:192.0.2.1:5060".to_owned(), "udp:[2001:db8::1]:5060".to_owned()]);
        pcap.write(&own.packet(&message, "")).expect("memory");
        assert_eq!(pcap.packets, 1);
        pcap.out
    }

    #[test]
    fn a_message_is_a_datagram_of_four() {
        let bytes = file("192.0.2.9:5062", "abc");
        assert_eq!(bytes[..4], [0xa1, 0xb2, 0xc3, 0xd4]);
        assert_eq!(bytes[20..24], [0, 0, 0, 101]);
        assert_eq!(bytes[24..32], [0, 0, 0, 1, 0, 7, 0xa1, 0x20], "1.5 s");
        assert_eq!(bytes[32..40], [0, 0, 0, 31, 0, 0, 0, 31]);
        let ip = &bytes[40..];
        assert_eq!((ip[0], ip[9], &ip[12..20]), (0x45, UDP, &[192, 0, 2, 9, 192, 0, 2, 1][..]));
        assert_eq!(sum(&[&ip[..20]]), 0, "a receiver's check of the header");
        assert_eq!((&ip[20..26], &ip[28..]), (&[0x13, 0xc6, 0x13, 0xc4, 0, 11][..], &b"abc"[..]));
        let pseudo = [&ip[12..20], &[0, UDP, 0, 11]].concat();
        assert_eq!(sum(&[&pseudo, &ip[20..]]), 0, "and of the datagram");
    }

    #[test]
    fn six_has_a_longer_head() {
        let bytes = file("[2001:db8::9]:5062", "abcd");
        let ip = &bytes[40..];
        assert_eq!((ip[0], &ip[4..8], ip.len()), (0x60, &[0, 12, UDP, HOPS][..], 52));
        let pseudo = [&ip[8..40], &[0, UDP, 0, 12]].concat();
        assert_eq!(sum(&[&pseudo, &ip[40..]]), 0);
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let bytes = file("192.0.2.9:5062", &"x".repeat(70_000));
        let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        assert_eq!((number(32), number(36)), (65_428, 70_028));
        assert_eq!(bytes.len(), 40 + 65_428);
    }

    #[test]
    fn the_checksum_is_that_of_its_rfc() {
        // RFC 1071 §3: the words 0001 f203 f4f5 f6f7 sum to ddf2.
        assert_eq!(sum(&[&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
    }
}
