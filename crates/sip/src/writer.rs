//! Writing responses and requests (RFC 3261 §8.2.6, §18.2.1, RFC 3581 §4) into one buffer.
//!
//! In: values as text. Out: wire bytes, always with Content-Length. A CR, LF or NUL in a value becomes a space, so no
//! value can end a header or a message. Not here: which headers a response needs.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::block::find;
use crate::chars::{is_token_byte, token_end, trim};
use crate::headers::via::Via;
use crate::message::Message;
use crate::name::Name;
use crate::params::next_piece;
use crate::status::StatusCode;

mod forward;

pub use forward::Forward;

/// The buffer both writers fill. Once a body is there, later headers are moved in front of it.
#[derive(Debug)]
struct Head {
    buffer: Vec<u8>,
    /// Where the headers of the body start.
    body_at: Option<usize>,
}

impl Head {
    fn new(capacity: usize) -> Self {
        Head { buffer: Vec::with_capacity(capacity), body_at: None }
    }

    fn token(&mut self, text: &str) {
        if token_end(text.as_bytes(), 0) == text.len() {
            self.raw(text.as_bytes());
        } else {
            self.buffer.extend(text.bytes().map(|b| if is_token_byte(b) { b } else { b'-' }));
        }
    }

    fn value(&mut self, value: &[u8]) {
        let start = self.buffer.len();
        self.raw(value);
        let breaks = find(value, 0, |b| b.is(b'\r').or(b.is(b'\n')).or(b.is(0)).mask());
        if let Some(rest) = self.buffer.get_mut(start + breaks..) {
            for byte in rest.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                *byte = b' ';
            }
        }
    }

    /// A number in decimal.
    fn number(&mut self, mut number: usize) {
        let mut digits = [0_u8; 20];
        let mut used = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            used += 1;
            if number == 0 {
                break;
            }
        }
        self.raw(digits.get(digits.len() - used..).unwrap_or_default());
    }

    /// An IP address without brackets.
    fn ip(&mut self, ip: IpAddr) {
        let IpAddr::V4(ip) = ip else {
            let _ = write!(self, "{ip}");
            return;
        };
        for (at, octet) in ip.octets().into_iter().enumerate() {
            self.raw(if at == 0 { b"" } else { b"." });
            self.number(usize::from(octet));
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// A URI; white space and control characters are escaped.
    fn uri(&mut self, uri: &str) {
        let escaped = |byte: u8| byte <= b' ' || byte == 0x7f;
        for piece in uri.as_bytes().split_inclusive(|&byte| escaped(byte)) {
            match piece.split_last() {
                Some((&byte, front)) if escaped(byte) => {
                    self.raw(front);
                    let _ = write!(self, "%{byte:02X}");
                }
                _ => self.raw(piece),
            }
        }
    }

    fn line(&mut self, name: Name, value: impl FnOnce(&mut Self)) {
        self.named_line(|head| head.raw(name.as_str().as_bytes()), value);
    }

    fn named_line(&mut self, name: impl FnOnce(&mut Self), value: impl FnOnce(&mut Self)) {
        let before = self.buffer.len();
        name(self);
        self.raw(b": ");
        value(self);
        self.raw(b"\r\n");
        if let Some(start) = self.body_at {
            let added = self.buffer.len() - before;
            if let Some(tail) = self.buffer.get_mut(start..) {
                tail.rotate_right(added);
            }
            self.body_at = Some(start + added);
        }
    }

    fn body(&mut self, content_type: &str, body: &[u8]) {
        if let Some(start) = self.body_at.take() {
            self.buffer.truncate(start);
        }
        let start = self.buffer.len();
        if !content_type.is_empty() {
            self.line(Name::ContentType, |head| head.value(content_type.as_bytes()));
        }
        self.line(Name::ContentLength, |head| head.number(body.len()));
        self.body_at = Some(start);
        self.raw(b"\r\n");
        self.raw(body);
    }

    fn finish(mut self) -> Bytes {
        if self.body_at.is_none() {
            self.raw(b"Content-Length: 0\r\n\r\n");
        }
        // Why: a message may be kept for half a minute and its buffer was guessed; that is free for the next one.
        Bytes::copy_from_slice(&self.buffer)
    }
}

/// What the value of a header is written into, piece by piece and without formatting.
#[derive(Debug)]
pub struct ValueWriter<'w> {
    head: &'w mut Head,
}

impl ValueWriter<'_> {
    /// A piece of text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.head.value(text.as_bytes());
        self
    }

    /// A number in decimal.
    pub fn number(&mut self, number: u32) -> &mut Self {
        self.head.number(number as usize);
        self
    }

    /// An address and its port, as `host:port` of a URI or Via.
    pub fn address(&mut self, address: SocketAddr) -> &mut Self {
        match address {
            SocketAddr::V4(address) => {
                self.head.ip((*address.ip()).into());
                self.head.raw(b":");
                self.head.number(usize::from(address.port()));
            }
            SocketAddr::V6(_) => {
                let _ = write!(self.head, "{address}");
            }
        }
        self
    }
}

impl fmt::Write for Head {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.value(text.as_bytes());
        Ok(())
    }
}

macro_rules! header_methods {
    () => {
        /// Adds a header line. Content-Length is left out here: the writer adds it itself.
        pub fn header(&mut self, name: Name, value: &str) -> &mut Self {
            if name != Name::ContentLength {
                self.head.line(name, |head| head.value(value.as_bytes()));
            }
            self
        }

        /// Adds a header line with a name of any kind; characters no name can have become `-`.
        pub fn header_str(&mut self, name: &str, value: &str) -> &mut Self {
            if Name::find(name.as_bytes()) != Some(Name::ContentLength) {
                self.head.named_line(|head| head.token(name), |head| head.value(value.as_bytes()));
            }
            self
        }

        /// Adds a header line from `format_args!`, without an intermediate string.
        pub fn header_fmt(&mut self, name: Name, value: fmt::Arguments<'_>) -> &mut Self {
            if name != Name::ContentLength {
                self.head.line(name, |head| {
                    let _ = head.write_fmt(value);
                });
            }
            self
        }

        /// Adds a header line whose value `write` writes, piece by piece.
        pub fn header_with(&mut self, name: Name, write: impl FnOnce(&mut ValueWriter<'_>)) -> &mut Self {
            if name != Name::ContentLength {
                self.head.line(name, |head| write(&mut ValueWriter { head }));
            }
            self
        }

        /// Copies every line of a header from another message, verbatim and in order.
        pub fn copy_headers(&mut self, from: &Message, name: Name) -> &mut Self {
            if name != Name::ContentLength {
                for value in from.value_bytes(name) {
                    self.head.line(name, |head| head.value(value));
                }
            }
            self
        }

        /// Sets the body, with its Content-Type (none for an empty text) and Content-Length.
        pub fn body(&mut self, content_type: &str, body: &[u8]) -> &mut Self {
            self.head.body(content_type, body);
            self
        }

        /// Bytes written so far; Content-Length and the empty line come on top if there is no body.
        #[allow(clippy::len_without_is_empty)]
        pub fn len(&self) -> usize {
            self.head.buffer.len()
        }

        /// The message.
        pub fn finish(self) -> Bytes {
            self.head.finish()
        }
    };
}

/// Writes a response.
#[derive(Debug)]
pub struct ResponseWriter {
    head: Head,
}

impl ResponseWriter {
    /// Starts a response: copies Via, From, To, Call-ID and CSeq. `source` is where the request came from: it fills
    /// `received` and `rport` of the top Via. `to_tag` is added to a To that has none, except in a 100.
    pub fn reply_to(
        request: &Message,
        status: StatusCode,
        source: Option<SocketAddr>,
        to_tag: Option<&str>,
    ) -> ResponseWriter {
        Self::reply_with(request, status, status.reason(), source, to_tag)
    }

    /// As [`ResponseWriter::reply_to`] with another reason phrase.
    pub fn reply_with(
        request: &Message,
        status: StatusCode,
        reason: &str,
        source: Option<SocketAddr>,
        to_tag: Option<&str>,
    ) -> ResponseWriter {
        let mut head = Head::new(1024);
        head.raw(b"SIP/2.0 ");
        head.number(usize::from(status.0));
        head.raw(b" ");
        head.value(reason.as_bytes());
        head.raw(b"\r\n");
        let mut top = true;
        for value in request.value_bytes(Name::Via) {
            head.line(Name::Via, |head| match (std::str::from_utf8(value), source) {
                (Ok(text), Some(source)) if top => write_top_via(head, text, source),
                _ => head.value(value),
            });
            top = false;
        }
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
            let Some(value) = request.value_bytes(name).next() else { continue };
            head.line(name, |head| {
                head.value(value);
                if let (Name::To, Some(tag)) = (name, to_tag)
                    && status != StatusCode::TRYING
                    && request.to_tag().is_none()
                {
                    head.raw(b";tag=");
                    head.token(tag);
                }
            });
        }
        ResponseWriter { head }
    }

    header_methods!();
}

/// RFC 3261 §18.2.1 and RFC 3581 §4: marks the first value of the top Via line with where the request came from.
fn write_top_via(head: &mut Head, line: &str, source: SocketAddr) {
    let Ok((via, rest)) = Via::split_first(line) else { return head.value(line.as_bytes()) };
    let wants_rport = via.rport().is_some();
    let ip = source.ip().to_canonical();
    let received = wants_rport || via.sent_by().ip().map(|host| host.to_canonical()) != Some(ip);
    let mut params = via.params().as_str();
    let first = line.len() - rest.len() - params.len();
    head.value(line.get(..first).map(trim).unwrap_or_default().as_bytes());
    while let Some(piece) = next_piece(&mut params) {
        let name = piece.split_once('=').map_or(piece, |(name, _)| trim(name));
        if name.eq_ignore_ascii_case("rport") {
            head.raw(b";rport=");
            head.number(usize::from(source.port()));
        } else if !name.eq_ignore_ascii_case("received") {
            head.raw(b";");
            head.value(piece.as_bytes());
        }
    }
    if received {
        head.raw(b";received=");
        head.ip(ip);
    }
    head.value(rest.as_bytes());
}

/// Writes a request.
#[derive(Debug)]
pub struct RequestWriter {
    head: Head,
}

impl RequestWriter {
    /// Starts a request. White space and control characters in `uri` are escaped as `%XX`.
    pub fn new(method: &str, uri: &str) -> RequestWriter {
        Self::sized(method, uri, 1024)
    }

    /// As [`RequestWriter::new`], with room for a message of so many bytes.
    pub fn sized(method: &str, uri: &str, bytes: usize) -> RequestWriter {
        let mut head = Head::new(bytes);
        head.token(method);
        head.raw(b" ");
        head.uri(uri);
        head.raw(b" SIP/2.0\r\n");
        RequestWriter { head }
    }

    header_methods!();
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "SUBSCRIBE sip:6001@pbx SIP/2.0\r\n\
        Via: SIP/2.0/UDP 10.0.0.9:5061 ; branch=z9hG4bK1 ;rport;x, SIP/2.0/TCP b;branch=z9hG4bK0\r\n\
        Via: SIP/2.0/TCP c;branch=z9hG4bK9\r\n\
        f: <sip:a@b>;tag=1\r\nTo: sip:6001@pbx\r\nCall-ID: x\r\nCSeq: 7 SUBSCRIBE\r\n\r\n";

    fn request(text: &str) -> Message {
        Message::parse(Bytes::copy_from_slice(text.as_bytes())).expect("request")
    }

    fn reply(text: &str, status: StatusCode, source: &str, tag: Option<&str>) -> String {
        let source = (!source.is_empty()).then(|| source.parse().expect("source"));
        let bytes = ResponseWriter::reply_to(&request(text), status, source, tag).finish();
        Message::parse(bytes.clone()).expect("response");
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    #[test]
    fn a_reply_copies_and_marks_the_top_via() {
        assert_eq!(
            reply(REQUEST, StatusCode::OK, "192.0.2.7:4444", Some("t")),
            "SIP/2.0 200 OK\r\n\
             Via: SIP/2.0/UDP 10.0.0.9:5061;branch=z9hG4bK1;rport=4444;x;received=192.0.2.7, SIP/2.0/TCP b;branch=z9hG4bK0\r\n\
             Via: SIP/2.0/TCP c;branch=z9hG4bK9\r\n\
             From: <sip:a@b>;tag=1\r\nTo: sip:6001@pbx;tag=t\r\nCall-ID: x\r\nCSeq: 7 SUBSCRIBE\r\n\
             Content-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn received_and_tag_come_only_when_due() {
        let via = |line: &str| {
            REQUEST.replacen(
                "SIP/2.0/UDP 10.0.0.9:5061 ; branch=z9hG4bK1 ;rport;x, SIP/2.0/TCP b;branch=z9hG4bK0",
                line,
                1,
            )
        };
        for (line, source, want) in [
            (
                "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1",
                "192.0.2.7:5060",
                "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1",
            ),
            (
                "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1",
                "[::ffff:192.0.2.7]:5060",
                "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1",
            ),
            (
                "SIP/2.0/UDP a;received=1.2.3.4;branch=z",
                "192.0.2.7:5060",
                "SIP/2.0/UDP a;branch=z;received=192.0.2.7",
            ),
            (
                "SIP/2.0/UDP [2001:db8::1];rport=1",
                "[2001:db8::1]:7",
                "SIP/2.0/UDP [2001:db8::1];rport=7;received=2001:db8::1",
            ),
            ("SIP/2.0/UDP a;branch=z", "", "SIP/2.0/UDP a;branch=z"),
        ] {
            let text = reply(&via(line), StatusCode::OK, source, None);
            assert!(text.contains(&format!("Via: {want}\r\n")), "{line}: {text}");
            assert!(text.contains("To: sip:6001@pbx\r\n"));
        }
        assert!(!reply(REQUEST, StatusCode::TRYING, "", Some("t")).contains("tag=t"));
        let tagged = REQUEST.replace("To: sip:6001@pbx", "To: <sip:6001@pbx>;tag=own");
        assert!(reply(&tagged, StatusCode::OK, "", Some("t")).contains("To: <sip:6001@pbx>;tag=own\r\n"));
    }

    #[test]
    fn a_value_in_pieces_is_as_the_formatted_one() {
        for (address, number) in [("192.0.2.10:5060", 0), ("0.0.0.0:1", 7), ("[2001:db8::1]:65535", u32::MAX)]
        {
            let address: SocketAddr = address.parse().expect("address");
            let mut pieces = RequestWriter::sized("NOTIFY", "sip:a@b", 10);
            pieces.header_with(Name::Via, |value| {
                value.text("a\r\nEvil: ").address(address).text(";").number(number);
            });
            pieces.header_with(Name::ContentLength, |value| {
                value.number(99);
            });
            let mut formatted = RequestWriter::new("NOTIFY", "sip:a@b");
            formatted.header_fmt(Name::Via, format_args!("a  Evil: {address};{number}"));
            assert_eq!(pieces.finish(), formatted.finish());
        }
    }

    #[test]
    fn no_value_breaks_a_message() {
        let mut writer = RequestWriter::new("NOT IFY", "sip:a b@c\r\nX: y");
        writer.header(Name::Via, "SIP/2.0/UDP a\r\nEvil: 1\0");
        writer.header(Name::From, "<sip:a@b>;tag=1").header(Name::To, "<sip:a@b>");
        writer.header(Name::CallId, "1").header_fmt(Name::CSeq, format_args!("{} NOT-IFY", 1));
        writer.header(Name::ContentLength, "999").header_str("Bad Name:\r\n", "x");
        writer.body("text/plain\r\n\r\n", b"body");
        writer.header(Name::Event, "late\n");
        writer.body("text/html", b"new body");
        let length = writer.len();
        let bytes = writer.finish();
        assert_eq!(length, bytes.len());
        let text = std::str::from_utf8(&bytes).expect("text");
        assert!(
            text.starts_with("NOT-IFY sip:a%20b@c%0D%0AX:%20y SIP/2.0\r\nVia: SIP/2.0/UDP a  Evil: 1 \r\n")
        );
        assert!(text.contains("\r\nBad-Name---: x\r\n") && text.contains("\r\nEvent: late \r\n"));
        assert!(text.ends_with("\r\nContent-Length: 8\r\n\r\nnew body"), "{text}");
        assert_eq!(text.matches("Content-Length").count(), 1, "{text}");
        assert_eq!(text.matches("Content-Type").count(), 1, "{text}");
    }
}
