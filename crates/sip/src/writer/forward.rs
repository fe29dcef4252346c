//! Messages passed on: verbatim but for what a proxy changes (RFC 3261 §16.6, §16.7).
//!
//! In: a message and the changes. Out: wire bytes, the lines that are not the proxy's business byte for byte and in
//! their order. Not here: what to change, and where to send.

use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;

use super::{Head, write_top_via};
use crate::chars::trim;
use crate::headers::via::Via;
use crate::message::Message;
use crate::name::Name;

/// What changes in a request that is passed on (RFC 3261 §16.6).
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    /// The new Request-URI (step 2).
    pub request_uri: &'a str,
    /// Our Via value (step 8).
    pub via: &'a str,
    /// Where the request came from: marks what was its topmost Via (RFC 3261 §18.2.1, RFC 3581 §4).
    pub source: Option<SocketAddr>,
    /// The new Max-Forwards (step 3).
    pub max_forwards: u32,
    /// Record-Route values to put before those it has, topmost first (step 4).
    pub record_routes: &'a [String],
    /// Every Route value it is to have (steps 6 and 7).
    pub routes: &'a [String],
    /// Known headers of which no line is passed on, besides those replaced above.
    pub without: &'a [Name],
    /// Lines added at the end of the head.
    pub added: &'a [(&'a str, &'a str)],
}

impl Message {
    /// This request as it is passed on; `None` for a response.
    pub fn forward(&self, changes: &Forward<'_>) -> Option<Bytes> {
        let mut head = Head::new(self.raw().len() + 256);
        head.token(self.method()?.as_str());
        head.raw(b" ");
        head.uri(changes.request_uri);
        head.raw(b" SIP/2.0\r\n");
        head.line(Name::Via, |head| head.value(changes.via.as_bytes()));
        let mut top = true;
        for value in self.value_bytes(Name::Via) {
            head.line(Name::Via, |head| match (std::str::from_utf8(value), changes.source) {
                (Ok(text), Some(source)) if top => write_top_via(head, text, source),
                _ => head.value(value),
            });
            top = false;
        }
        for value in changes.record_routes {
            head.line(Name::RecordRoute, |head| head.value(value.as_bytes()));
        }
        for value in changes.routes {
            head.line(Name::Route, |head| head.value(value.as_bytes()));
        }
        head.line(Name::MaxForwards, |head| {
            let _ = write!(head, "{}", changes.max_forwards);
        });
        let replaced = [Name::Via, Name::Route, Name::MaxForwards, Name::ContentLength];
        for (known, name, value) in self.named_lines() {
            if !known.is_some_and(|known| replaced.contains(&known) || changes.without.contains(&known)) {
                head.text_line(name, value);
            }
        }
        for (name, value) in changes.added {
            head.text_line(name, value.as_bytes());
        }
        Some(head.finish_with(self.body_bytes()))
    }

    /// This response without its topmost Via value and with lines added: as the hop before gets it (RFC 3261 §16.7).
    pub fn without_top_via(&self, added: &[(&str, &str)]) -> Bytes {
        let mut head = Head::new(self.raw().len());
        head.value(self.start_line());
        head.raw(b"\r\n");
        let mut top = true;
        for (known, name, value) in self.named_lines() {
            if known == Some(Name::ContentLength) {
                continue;
            }
            if known != Some(Name::Via) || !std::mem::take(&mut top) {
                head.text_line(name, value);
                continue;
            }
            let rest = std::str::from_utf8(value).ok().and_then(|text| Via::split_first(text).ok());
            let rest = rest.map_or("", |(_, rest)| trim(trim(rest).trim_start_matches(',')));
            if !rest.is_empty() {
                head.text_line(name, rest.as_bytes());
            }
        }
        for (name, value) in added {
            head.text_line(name, value.as_bytes());
        }
        head.finish_with(self.body_bytes())
    }
}

impl Head {
    /// A line whose name is whatever a peer wrote.
    fn text_line(&mut self, name: &str, value: &[u8]) {
        self.named_line(|head| head.token(name), |head| head.value(value));
    }

    /// Ends the head and adds a body, whose Content-Type is among the lines already.
    fn finish_with(mut self, body: &[u8]) -> Bytes {
        self.line(Name::ContentLength, |head| {
            let _ = write!(head, "{}", body.len());
        });
        self.raw(b"\r\n");
        self.raw(body);
        self.buffer.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &'static str) -> Message {
        Message::parse(Bytes::from(text.replace('\n', "\r\n"))).expect("message")
    }

    fn text(bytes: &Bytes) -> String {
        String::from_utf8_lossy(bytes).replace("\r\n", "\n")
    }

    #[test]
    fn rfc3261_16_6_a_request_changes_where_it_must() {
        let invite = message(
            "INVITE sip:6001@example.com SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport, \
             SIP/2.0/UDP a;branch=z9hG4bK0\nVia: SIP/2.0/TCP b;branch=z9hG4bK9\nX-Odd:  kept  as it is\n\
             Record-Route: <sip:p0;lr>\nRoute: <sip:us;lr>\nMax-Forwards: 70\n\
             From: <sip:a@example.com>;tag=1\nTo: <sip:6001@example.com>\nCall-ID: c\nCSeq: 1 INVITE\n\
             Proxy-Authorization: Digest x\nContact: <sip:a@10.0.0.1>\nContent-Type: application/sdp\n\
             Content-Length: 3\n\nv=0",
        );
        let forwarded = invite.forward(&Forward {
            request_uri: "sip:bob@192.0.2.7",
            via: "SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKnew",
            source: "198.51.100.1:6060".parse().ok(),
            max_forwards: 69,
            record_routes: &["<sip:192.0.2.1;lr>".to_owned()],
            routes: &["<sip:path;lr>".to_owned()],
            without: &[Name::ProxyAuthorization],
            added: &[("Max-Breadth", "30")],
        });
        assert_eq!(
            text(&forwarded.expect("request")),
            "INVITE sip:bob@192.0.2.7 SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKnew\n\
             Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport=6060;received=198.51.100.1, SIP/2.0/UDP \
             a;branch=z9hG4bK0\nVia: SIP/2.0/TCP b;branch=z9hG4bK9\nRecord-Route: <sip:192.0.2.1;lr>\n\
             Route: <sip:path;lr>\nMax-Forwards: 69\nX-Odd: kept  as it is\nRecord-Route: <sip:p0;lr>\n\
             From: <sip:a@example.com>;tag=1\nTo: <sip:6001@example.com>\nCall-ID: c\nCSeq: 1 INVITE\n\
             Contact: <sip:a@10.0.0.1>\nContent-Type: application/sdp\nMax-Breadth: 30\nContent-Length: 3\n\nv=0"
        );
    }

    #[test]
    fn rfc3261_16_7_a_response_loses_one_via() {
        let head = "From: <sip:a@x>;tag=1\nTo: <sip:b@x>;tag=2\nCall-ID: c\nCSeq: 1 INVITE\n";
        for (vias, left) in [
            ("Via: SIP/2.0/UDP us;branch=z9hG4bK1\nVia: SIP/2.0/UDP them;branch=z9hG4bK0\n", "them"),
            ("Via: SIP/2.0/UDP us;branch=z9hG4bK1, SIP/2.0/UDP them;branch=z9hG4bK0\n", "them"),
            ("v: SIP/2.0/UDP us;branch=z9hG4bK1\n", ""),
        ] {
            let text = format!("SIP/2.0 180 Ringing\n{vias}{head}Reason: x\n\n").replace('\n', "\r\n");
            let response = Message::parse(Bytes::from(text)).expect("response");
            let passed = Message::parse(response.without_top_via(&[])).ok();
            let top = passed.as_ref().and_then(|m| m.vias().next()).map_or("", |via| via.sent_by_str());
            assert_eq!(top, left, "{vias}");
        }
    }
}
