//! What a session description says of hold: the direction of its streams (RFC 3264 §6.1, §8.4; RFC 6337 §5.3).
//!
//! In: a body of type `application/sdp`, alone or as the first such part of a multipart. Out: [`Direction`]s of the whole
//! session. It reads `m=`, `c=` and direction attributes and nothing else; what it cannot read is no hold.

use lampyris_sip::Message;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which way media of a session flow, as its sender describes it: the union of its active streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Both ways.
    SendReceive,
    /// Only from the sender: it holds.
    SendOnly,
    /// Only to the sender: it is held, or listens.
    ReceiveOnly,
    /// Neither: it holds, or answers a hold.
    Inactive,
}

impl Direction {
    const fn of(send: bool, receive: bool) -> Self {
        match (send, receive) {
            (true, true) => Self::SendReceive,
            (true, false) => Self::SendOnly,
            (false, true) => Self::ReceiveOnly,
            (false, false) => Self::Inactive,
        }
    }

    const fn sends(self) -> bool {
        matches!(self, Self::SendReceive | Self::SendOnly)
    }

    /// Whether the sender takes media.
    pub(crate) const fn receives(self) -> bool {
        matches!(self, Self::SendReceive | Self::ReceiveOnly)
    }
}

/// The session description in a message, if it has one.
pub(crate) fn in_message(message: &Message) -> Option<&[u8]> {
    let body = message.body_bytes();
    let content_type = message.header(lampyris_sip::Name::ContentType)?;
    let essence = content_type.split(';').next().unwrap_or("").trim();
    if body.is_empty() {
        return None;
    }
    if essence.eq_ignore_ascii_case("application/sdp") {
        return Some(body);
    }
    // Why: a SIPREC or ISUP part beside it does not make it another session.
    let is_multipart = essence.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"));
    let start = memmem(body, b"v=0").filter(|_| is_multipart)?;
    let rest = body.get(start..)?;
    let end = memmem(rest, b"\n--").map_or(rest.len(), |end| end + 1);
    rest.get(..end)
}

fn memmem(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// What a description says; `None` where no stream is active, so that nothing is said of hold.
pub(crate) fn direction(sdp: &[u8]) -> Option<Direction> {
    let mut session = Level::default();
    let mut streams: Vec<(bool, Level)> = Vec::new();
    for line in sdp.split(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(line).unwrap_or("").trim_end_matches('\r');
        let Some((kind, value)) = line.split_once('=') else { continue };
        match kind {
            "m" if streams.len() < crate::limits::SDP_STREAMS_MAX => {
                streams.push((is_active(value), session))
            }
            "m" => break,
            "c" | "a" => {
                let level = streams.last_mut().map_or(&mut session, |(_, level)| level);
                level.read(kind, value);
            }
            _ => {}
        }
    }
    let active = streams.iter().filter(|(active, _)| *active).map(|(_, level)| level.direction());
    active.reduce(|a, b| Direction::of(a.sends() || b.sends(), a.receives() || b.receives()))
}

/// What one level, the session's or a stream's, says; a stream begins with what the session says.
#[derive(Clone, Copy, Default)]
struct Level {
    attribute: Option<Direction>,
    /// Interop: RFC 2543 §B.5 holds with the address 0.0.0.0 and no attribute.
    unspecified: bool,
}

impl Level {
    fn read(&mut self, kind: &str, value: &str) {
        if kind == "c" {
            let address = value.split_ascii_whitespace().nth(2).unwrap_or("");
            let address = address.split('/').next().unwrap_or("");
            self.unspecified = match address.parse::<IpAddr>() {
                Ok(IpAddr::V4(ip)) => ip == Ipv4Addr::UNSPECIFIED,
                Ok(IpAddr::V6(ip)) => ip == Ipv6Addr::UNSPECIFIED,
                Err(_) => false,
            };
            return;
        }
        match value.trim() {
            "sendrecv" => self.attribute = Some(Direction::SendReceive),
            "sendonly" => self.attribute = Some(Direction::SendOnly),
            "recvonly" => self.attribute = Some(Direction::ReceiveOnly),
            "inactive" => self.attribute = Some(Direction::Inactive),
            _ => {}
        }
    }

    fn direction(self) -> Direction {
        let said = self.attribute.unwrap_or(Direction::SendReceive);
        if self.unspecified { Direction::of(said.sends(), false) } else { said }
    }
}

/// Whether an `m=` line's port is not 0 (RFC 3264 §6: a stream with port 0 is off).
fn is_active(media: &str) -> bool {
    let port = media.split_ascii_whitespace().nth(1).unwrap_or("0");
    port.split('/').next() != Some("0")
}

/// Whether each side holds after an offer and its answer; `held` is what held before (offerer, answerer).
///
/// The offerer holds where it takes no media. The answerer can only follow a hold, so that its refusal to listen says
/// something of itself only where the offer was no hold (RFC 6337 §5.3).
pub(crate) fn holds(offer: Direction, answer: Option<Direction>, held: (bool, bool)) -> (bool, bool) {
    let offerer = !offer.receives();
    let answerer = match answer {
        Some(answer) if offer.sends() && answer.receives() => false,
        Some(_) if offer.sends() && offer.receives() => true,
        _ => held.1,
    };
    (offerer, answerer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Inactive, ReceiveOnly, SendOnly, SendReceive};

    #[test]
    fn streams_tell_the_direction() {
        for (lines, expected) in [
            ("c=IN IP4 10.0.0.1|m=audio 4000 RTP/AVP 0", Some(SendReceive)),
            ("c=IN IP4 10.0.0.1|m=audio 4000 RTP/AVP 0|a=sendonly", Some(SendOnly)),
            ("c=IN IP4 10.0.0.1|m=audio 4000 RTP/AVP 0|a=inactive ", Some(Inactive)),
            ("c=IN IP4 10.0.0.1|m=audio 4000 RTP/AVP 0|a=recvonly", Some(ReceiveOnly)),
            // At the session's level, and overridden by the stream.
            ("a=sendonly|c=IN IP4 10.0.0.1|m=audio 4000 RTP/AVP 0", Some(SendOnly)),
            ("a=sendonly|c=IN IP4 10.0.0.1|m=audio 4000 RTP/AVP 0|a=sendrecv", Some(SendReceive)),
            // RFC 2543.
            ("c=IN IP4 0.0.0.0|m=audio 4000 RTP/AVP 0", Some(SendOnly)),
            ("c=IN IP6 ::|m=audio 4000 RTP/AVP 0", Some(SendOnly)),
            ("c=IN IP4 0.0.0.0|m=audio 4000 RTP/AVP 0|a=inactive", Some(Inactive)),
            ("c=IN IP4 0.0.0.0|m=audio 4000 RTP/AVP 0|c=IN IP4 10.0.0.1", Some(SendReceive)),
            ("m=audio 4000 RTP/AVP 0|c=IN IP4 224.2.1.1/127", Some(SendReceive)),
            // Several streams: held only if all that are on are.
            (
                "c=IN IP4 1.1.1.1|m=audio 1 RTP/AVP 0|a=sendonly|m=video 2 RTP/AVP 9|a=sendrecv",
                Some(SendReceive),
            ),
            (
                "c=IN IP4 1.1.1.1|m=audio 1 RTP/AVP 0|a=sendonly|m=video 2 RTP/AVP 9|a=inactive",
                Some(SendOnly),
            ),
            (
                "c=IN IP4 1.1.1.1|m=audio 1 RTP/AVP 0|a=inactive|m=video 0 RTP/AVP 9|a=sendrecv",
                Some(Inactive),
            ),
            ("c=IN IP4 1.1.1.1|m=audio 1 RTP/AVP 0|a=sendonly|m=image 0/2 udptl t38", Some(SendOnly)),
            // Nothing said.
            ("c=IN IP4 1.1.1.1|m=audio 0 RTP/AVP 0|a=inactive", None),
            ("c=IN IP4 1.1.1.1|a=inactive", None),
            ("", None),
            ("c=|m=|a=|=|m=audio", None),
        ] {
            for end in ["\r\n", "\n"] {
                let sdp = format!("v=0|o=- 1 1 IN IP4 1.1.1.1|s=-|{lines}|").replace('|', end);
                assert_eq!(direction(sdp.as_bytes()), expected, "{lines}");
            }
        }
    }

    #[test]
    fn who_holds_after_offer_and_answer() {
        for (offer, answer, held, expected) in [
            (SendOnly, Some(ReceiveOnly), (false, false), (true, false)),
            (Inactive, Some(Inactive), (false, false), (true, false)),
            (SendReceive, Some(SendReceive), (true, false), (false, false)),
            (ReceiveOnly, Some(SendOnly), (true, false), (false, false)),
            // The answerer holds, or goes on holding.
            (SendReceive, Some(SendOnly), (false, false), (false, true)),
            (SendReceive, Some(Inactive), (true, true), (false, true)),
            // Interop: some phones answer `sendonly` with `inactive`; being held is not holding.
            (SendOnly, Some(Inactive), (false, false), (true, false)),
            (SendOnly, Some(Inactive), (false, true), (true, true)),
            (SendOnly, Some(ReceiveOnly), (false, true), (true, false)),
            // An answer to `inactive` can only be `inactive`.
            (Inactive, Some(Inactive), (false, true), (true, true)),
            (SendReceive, None, (true, true), (false, true)),
        ] {
            assert_eq!(holds(offer, answer, held), expected, "{offer:?} {answer:?} {held:?}");
        }
    }

    #[test]
    fn a_description_is_found_in_its_body() {
        let message = |content_type: &str, body: &str| {
            let text = format!(
                "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
                 From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\
                 Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            Message::parse(text.into()).unwrap()
        };
        let sdp = "v=0\r\nm=audio 1 RTP/AVP 0\r\na=sendonly\r\n";
        let parts =
            format!("--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}--b\r\n\r\na=sendrecv\r\n--b--\r\n");
        for (content_type, body, expected) in [
            ("application/sdp", sdp, Some(SendOnly)),
            ("Application/SDP; charset=utf-8", sdp, Some(SendOnly)),
            ("multipart/mixed;boundary=b", &parts, Some(SendOnly)),
            ("text/plain", sdp, None),
            ("application/sdp", "", None),
        ] {
            let message = message(content_type, body);
            assert_eq!(in_message(&message).and_then(direction), expected, "{content_type}");
        }
    }
}
