//! The message: bytes plus a table of where its parts are (RFC 3261 §7, §25).
//!
//! In: one datagram or one framed stream message. Out: a [`Message`] whose accessors borrow from its bytes. One scan
//! finds every header line; the same scan serves refused requests, which are read as far as they go so that they can
//! be answered. Folded lines are unfolded once at parse; all other header bytes stay verbatim. Not here: what a
//! header means ([`crate::headers`]).

use std::net::IpAddr;

use bytes::Bytes;

use self::scan::Scan;
use self::store::Store;
use self::table::Table;
use crate::chars::{Commas, trim};
use crate::error::{ParseError, Reason};
use crate::headers::contact::Contact;
use crate::headers::cseq::CSeq;
use crate::headers::via::Via;
use crate::method::Method;
use crate::name::Name;
use crate::name_addr::NameAddr;
use crate::params::Params;
use crate::status::StatusCode;
use crate::uri::Host;

mod lines;
mod scan;
mod store;
mod table;

/// Where one header line is; offsets from the start of the message.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u16,
    name_end: u16,
    value: u16,
    end: u16,
    name: Option<Name>,
}

/// Offsets of a piece of the head.
type Range = (u16, u16);

#[derive(Clone, Copy, Debug)]
enum StartLine {
    Request {
        method: Range,
        uri: Range,
    },
    Response {
        code: u16,
        reason: Range,
    },
    /// Unreadable; occurs only while a message is being refused.
    Bad,
}

/// Where the parts of a From or To are. Kept because every request is asked for them several times.
#[derive(Clone, Copy, Debug)]
struct AddrSpan {
    display: Range,
    uri: Range,
    params: Range,
    tag: Option<Range>,
}

/// Where the parts of the top Via are.
#[derive(Clone, Copy, Debug)]
struct ViaSpan {
    transport: Range,
    host: Range,
    ip: Option<IpAddr>,
    port: Option<u16>,
    params: Range,
}

const NO_ADDR: AddrSpan = AddrSpan { display: (0, 0), uri: (0, 0), params: (0, 0), tag: None };
const NO_VIA: ViaSpan = ViaSpan { transport: (0, 0), host: (0, 0), ip: None, port: None, params: (0, 0) };

/// A SIP request or response. Cloning is cheap: the bytes are shared.
#[derive(Clone, Debug)]
pub struct Message {
    store: Store,
    start: StartLine,
    table: Table,
    via: ViaSpan,
    from: AddrSpan,
    to: AddrSpan,
    call_id: Range,
    cseq_method: Range,
    cseq: u32,
    max_forwards: Option<u32>,
    body: (usize, usize),
}

impl Message {
    /// Reads the message in a datagram, or one that [`crate::Framer`] cut from a stream. Octets beyond
    /// Content-Length are ignored; without one the body is the rest.
    ///
    /// # Errors
    /// 400, 501, 505 or 513 in a [`ParseError`], which carries what is needed to answer.
    #[inline]
    pub fn parse(raw: Bytes) -> Result<Message, ParseError> {
        let mut scan = Scan { fault: None };
        match scan.message(raw) {
            Some(message) => scan.finish(message),
            None => Err(ParseError::new(scan.fault.unwrap_or(Reason::Empty), None)),
        }
    }

    /// As much of a head as can be read, refused for `reason`.
    pub(crate) fn refused(head: Bytes, reason: Reason) -> ParseError {
        let mut scan = Scan { fault: Some(reason) };
        match scan.message(head) {
            Some(message) => ParseError::new(reason, message.answerable().then(|| Box::new(message))),
            None => ParseError::new(reason, None),
        }
    }

    /// True for a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// The method; `None` for a response.
    pub fn method(&self) -> Option<Method<'_>> {
        match self.start {
            StartLine::Request { method, .. } => Some(Method::parse(self.text(method))),
            _ => None,
        }
    }

    /// The status code; `None` for a request.
    pub fn status(&self) -> Option<StatusCode> {
        match self.start {
            StartLine::Response { code, .. } => Some(StatusCode(code)),
            _ => None,
        }
    }

    /// The reason phrase as received; empty for a request, or if it is not UTF-8.
    pub fn reason_phrase(&self) -> &str {
        match self.start {
            StartLine::Response { reason, .. } => self.text(reason),
            _ => "",
        }
    }

    /// The Request-URI; `None` for a response.
    pub fn request_uri(&self) -> Option<&str> {
        match self.start {
            StartLine::Request { uri, .. } => Some(self.text(uri)),
            _ => None,
        }
    }

    /// CSeq number and method.
    pub fn cseq(&self) -> CSeq<'_> {
        CSeq { seq: self.cseq, method: Method::parse(self.text(self.cseq_method)) }
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        self.text(self.call_id)
    }

    /// The From header.
    pub fn from(&self) -> NameAddr<'_> {
        self.addr(&self.from)
    }

    /// The To header.
    pub fn to(&self) -> NameAddr<'_> {
        self.addr(&self.to)
    }

    /// The tag of From.
    pub fn from_tag(&self) -> Option<&str> {
        self.from.tag.map(|tag| self.text(tag))
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<&str> {
        self.to.tag.map(|tag| self.text(tag))
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Via<'_> {
        let span = &self.via;
        let name = self.text(span.host);
        let host = match span.ip {
            Some(IpAddr::V4(ip)) => Host::Ipv4(ip),
            Some(IpAddr::V6(ip)) => Host::Ipv6(ip),
            None => Host::Name(name),
        };
        Via::from_parts(self.text(span.transport), host, name, span.port, self.text(span.params))
    }

    /// Every Via that can be read, from the top.
    pub fn vias(&self) -> impl Iterator<Item = Via<'_>> {
        self.values(Name::Via).filter_map(|value| Via::parse(value).ok())
    }

    /// Every Contact. At parse all of them could be read; in a refused message the URI may be none.
    pub fn contacts(&self) -> impl Iterator<Item = Contact<'_>> {
        self.values(Name::Contact).filter_map(|value| Contact::split(value).ok())
    }

    /// Max-Forwards, cut to 2^32-1.
    pub fn max_forwards(&self) -> Option<u32> {
        self.max_forwards
    }

    /// The value of the first line of this header, without white space around it.
    #[inline]
    pub fn header(&self, name: Name) -> Option<&str> {
        match self.store.value(self.table.first(name)?) {
            None => self.headers(name).next(),
            value => value,
        }
    }

    /// The value of each line of this header. A value that is not UTF-8 is left out; see
    /// [`Message::header_lines`].
    #[inline]
    pub fn headers(&self, name: Name) -> impl Iterator<Item = &str> {
        self.table.all(name).filter_map(|span| self.store.value(span))
    }

    /// Each comma-separated value of this header across its lines; quotes and `<...>` keep their commas.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &str> {
        self.headers(name).flat_map(Commas::new)
    }

    /// True if the header is there, readable or not.
    pub fn has(&self, name: Name) -> bool {
        self.table.first(name).is_some()
    }

    /// The value of the first line of a header known or unknown, by its name in any case (not by the compact form of
    /// a known one).
    pub fn header_by_name(&self, name: &str) -> Option<&str> {
        if let Some(known) = Name::find(name.as_bytes()) {
            return self.header(known);
        }
        self.header_lines()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// Every header line as it stands: name and value bytes.
    pub fn header_lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.named_lines().map(|(_, name, value)| (name, value))
    }

    /// The known name, the name as written and the value bytes of every header line.
    pub fn named_lines(&self) -> impl Iterator<Item = (Option<Name>, &str, &[u8])> {
        self.table
            .lines()
            .iter()
            .map(|span| (span.name, self.text((span.start, span.name_end)), self.store.value_bytes(span)))
    }

    /// The body; shares the message's bytes.
    pub fn body(&self) -> Bytes {
        self.raw().slice(self.body.0..self.body.1)
    }

    /// The body's bytes.
    pub fn body_bytes(&self) -> &[u8] {
        self.raw().get(self.body.0..self.body.1).unwrap_or_default()
    }

    /// The bytes of the message: those received, unless lines were folded. Octets before the start line are cut off,
    /// those behind the body are not.
    pub fn raw(&self) -> &Bytes {
        self.store.raw()
    }

    /// The first line, without its CRLF.
    pub fn start_line(&self) -> &[u8] {
        let raw = self.raw();
        let end = memchr::memchr(b'\n', raw).unwrap_or(raw.len());
        let line = raw.get(..end).unwrap_or_default();
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    pub(crate) fn value_bytes(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.table.all(name).map(|span| self.store.value_bytes(span))
    }

    fn answerable(&self) -> bool {
        let ack = matches!(self.method(), Some(Method::Ack));
        self.is_request() && !ack && self.has(Name::Via)
    }

    #[inline]
    fn text(&self, range: Range) -> &str {
        self.store.text(range).unwrap_or_default()
    }

    #[inline]
    fn addr(&self, span: &AddrSpan) -> NameAddr<'_> {
        let display = self.text(span.display);
        let display = (!display.is_empty()).then_some(display);
        NameAddr::from_parts(display, self.text(span.uri), Params::new(self.text(span.params)))
    }
}

/// True if the text is `*`.
#[inline]
pub(crate) fn is_star(value: &str) -> bool {
    // Why: most values start with a bracket or a quote, and need no second look.
    value.starts_with(['*', ' ', '\t']) && trim(value) == "*"
}
