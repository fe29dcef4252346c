//! The message: bytes plus a table of where its parts are (RFC 3261 §7, §25).
//!
//! In: one datagram or one framed stream message. Out: a [`Message`] whose accessors borrow from its bytes. One scan
//! finds every header line; the same scan serves refused requests, which are read as far as they go so that they can
//! be answered. Folded lines are unfolded once at parse; all other header bytes stay verbatim. Not here: what a
//! header means ([`crate::headers`]).

use bytes::Bytes;

use self::lines::offset;
use self::scan::Scan;
use self::store::Store;
use self::table::Table;
use crate::chars::{Commas, token_end, trim};
use crate::error::{ParseError, Reason};
use crate::field::Piece;
use crate::headers::contact::Contact;
use crate::headers::cseq::CSeq;
use crate::headers::via::{self, Via};
use crate::method::Method;
use crate::name::Name;
use crate::name_addr::NameAddr;
use crate::params::Params;
use crate::status::StatusCode;
use crate::uri::Uri;
use crate::uri::plain::Plain;

mod lines;
mod scan;
mod store;
mod table;

/// Where one header line is; offsets from the start of the message.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u16,
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
        target: Option<Target>,
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

/// Where the parts of the top Via are; see [`via::Parts`].
#[derive(Clone, Copy, Debug)]
struct ViaSpan {
    transport: Range,
    host: Range,
    port: Option<u16>,
    params: Range,
    branch: Range,
}

/// Where the parts of a Request-URI are that is of the usual form; see [`Plain`].
#[derive(Clone, Copy, Debug)]
struct Target {
    user: Range,
    host: Range,
    port: Option<u16>,
    params: Range,
}

const NO_ADDR: AddrSpan = AddrSpan { display: (0, 0), uri: (0, 0), params: (0, 0), tag: None };
const NO_VIA: ViaSpan =
    ViaSpan { transport: (0, 0), host: (0, 0), port: None, params: (0, 0), branch: (0, 0) };

impl Target {
    fn of(plain: &Plain) -> Target {
        let (user, host, params) = (range(plain.user), range(plain.host), range(plain.params));
        Target { user, host, port: plain.port, params }
    }

    #[inline(always)]
    fn plain(&self) -> Plain {
        let (user, host, params) = (piece(self.user), piece(self.host), piece(self.params));
        Plain { user, host, port: self.port, params }
    }
}

fn range((start, end): Piece) -> Range {
    (offset(start), offset(end))
}

fn piece((start, end): Range) -> Piece {
    (start.into(), end.into())
}

/// A SIP request or response. Cloning is cheap: the bytes are shared.
#[derive(Clone, Debug)]
pub struct Message {
    store: Store,
    start: StartLine,
    table: Table,
    via: ViaSpan,
    from: AddrSpan,
    to: AddrSpan,
    /// The only Contact, where there is one that is of the usual form.
    lone_contact: Option<AddrSpan>,
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
        let mut message = Message::empty();
        let mut scan = Scan { fault: None };
        let found = scan.message(raw, &mut message);
        if found && scan.fault.is_none() {
            return Ok(message);
        }
        Err(message.refuse(found, scan.fault.unwrap_or(Reason::Empty)))
    }

    /// As much of a head as can be read, refused for `reason`.
    pub(crate) fn refused(head: Bytes, reason: Reason) -> ParseError {
        let mut message = Message::empty();
        let found = Scan { fault: Some(reason) }.message(head, &mut message);
        message.refuse(found, reason)
    }

    #[cold]
    fn refuse(self, found: bool, reason: Reason) -> ParseError {
        ParseError::new(reason, (found && self.answerable()).then(|| Box::new(self)))
    }

    /// What a message is read into.
    #[inline(always)]
    fn empty() -> Message {
        Message {
            store: Store::Bytes(Bytes::new()),
            start: StartLine::Bad,
            table: Table::new(),
            via: NO_VIA,
            from: NO_ADDR,
            to: NO_ADDR,
            lone_contact: None,
            call_id: (0, 0),
            cseq_method: (0, 0),
            cseq: 0,
            max_forwards: None,
            body: (0, 0),
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

    /// The Request-URI in pieces, which are known since the parse; `None` for a response.
    #[inline]
    pub fn request_target(&self) -> Option<Uri<'_>> {
        let StartLine::Request { uri, target, .. } = self.start else { return None };
        let raw = self.text(uri);
        match target {
            Some(target) => Some(Uri::of_plain(raw, &target.plain(), |piece| self.text(range(piece)))),
            None => Uri::parse(raw).ok(),
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
    #[inline]
    pub fn from(&self) -> NameAddr<'_> {
        self.addr(&self.from)
    }

    /// The To header.
    #[inline]
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
    #[inline]
    pub fn top_via(&self) -> Via<'_> {
        let span = &self.via;
        let parts = via::Parts {
            transport: piece(span.transport),
            host: piece(span.host),
            port: span.port,
            params: piece(span.params),
            branch: piece(span.branch),
            rest: 0,
        };
        Via::of_parts(&parts, |piece| self.text(range(piece)))
    }

    /// Every Via that can be read, from the top.
    pub fn vias(&self) -> impl Iterator<Item = Via<'_>> {
        self.values(Name::Via).filter_map(|value| Via::parse(value).ok())
    }

    /// Every Contact. At parse all of them could be read; in a refused message the URI may be none.
    #[inline]
    pub fn contacts(&self) -> impl Iterator<Item = Contact<'_>> {
        let lone = self.lone_contact.as_ref().map(|span| Contact::of(self.addr(span)));
        let values = lone.is_none().then(|| self.values(Name::Contact));
        let read = values.into_iter().flatten().filter_map(|value| Contact::split(value).ok());
        lone.into_iter().chain(read)
    }

    /// Max-Forwards, cut to 2^32-1.
    pub fn max_forwards(&self) -> Option<u32> {
        self.max_forwards
    }

    /// The value of the first line of this header, without white space around it.
    #[inline]
    pub fn header(&self, name: Name) -> Option<&str> {
        match self.store.value(self.table.first(name)?) {
            None => self.later_header(name),
            value => value,
        }
    }

    /// The first that is UTF-8.
    #[cold]
    fn later_header(&self, name: Name) -> Option<&str> {
        self.headers(name).next()
    }

    /// The value of the only line of this header; `None` if there are more, or it is not UTF-8.
    #[inline]
    pub(crate) fn lone_header(&self, name: Name) -> Option<&str> {
        self.table.lone(name).and_then(|span| self.store.value(span))
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
        self.table.lines().map(|span| {
            let end = token_end(self.raw(), span.start.into());
            (span.name, self.text((span.start, offset(end))), self.store.value_bytes(span))
        })
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

    #[inline(always)]
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
