//! One pass over a message: the lines of its head, and the headers every message is read by (RFC 3261 §7, §8.1.1).
//!
//! In: the bytes. Out: a [`Message`], and the first [`Reason`] to refuse it if there is one. Not here: single lines
//! ([`super::lines`]) and the accessors of a message.

use bytes::Bytes;

use super::lines::{Lines, any_span, controls_are_quoted, known_line, offset, unfold};
use super::store::Store;
use super::table::Table;
use super::{AddrSpan, Message, NO_ADDR, NO_VIA, Range, Span, StartLine, Target, ViaSpan, range};
use crate::chars::{Commas, digits_saturating, is_lws, token_end};
use crate::error::Reason;
use crate::field::Field;
use crate::headers::contact::Contact;
use crate::headers::via;
use crate::method::Method;
use crate::name::Name;
use crate::name_addr::Parts;
use crate::params::Params;
use crate::uri::Uri;
use crate::uri::plain::Plain;

/// One reading of a message; keeps the first fault and goes on.
pub(super) struct Scan {
    pub(super) fault: Option<Reason>,
}

/// What the lines of a head are apart from its headers.
struct Head {
    start: StartLine,
    end: usize,
    /// True if all of it is known to be ASCII.
    ascii: bool,
}

impl Scan {
    #[cold]
    fn fail(&mut self, reason: Reason) {
        self.fault.get_or_insert(reason);
    }

    /// Reads start line, headers and body into an empty message; false if there is nothing to read.
    #[inline(always)]
    pub(super) fn message(&mut self, mut raw: Bytes, message: &mut Message) -> bool {
        // RFC 3261 §7.5: line ends before the start line are ignored.
        let Some(skip) = raw.iter().position(|b| !matches!(b, b'\r' | b'\n')) else { return false };
        if skip > 0 {
            raw = raw.slice(skip..);
        }
        let head = match self.lines(&raw, &mut message.table, false) {
            Some(head) => head,
            None => {
                raw = unfold(&raw);
                message.table = Table::new();
                match self.lines(&raw, &mut message.table, true) {
                    Some(head) => head,
                    None => return false,
                }
            }
        };
        message.store = Store::new(raw, if head.ascii { head.end } else { 0 });
        message.start = head.start;
        let (store, table) = (&message.store, &message.table);
        self.singles(store, table);
        message.via = self.via(store, table.first(Name::Via));
        message.from = self.address(store, table.first(Name::From), "From");
        message.to = self.address(store, table.first(Name::To), "To");
        message.call_id = self.call_id(store, table.first(Name::CallId));
        (message.cseq, message.cseq_method) = self.cseq(store, table.first(Name::CSeq), head.start);
        message.max_forwards = self.max_forwards(store, table.first(Name::MaxForwards));
        message.body = self.body(store, table.first(Name::ContentLength), head.end);
        message.lone_contact = self.contacts(store, table);
        true
    }

    /// Finds the lines of the head. `None` at the first folded line, unless they are unfolded already.
    #[inline(never)]
    fn lines(&mut self, raw: &[u8], table: &mut Table, unfolded: bool) -> Option<Head> {
        let mut start = StartLine::Bad;
        let mut head_end = None;
        let mut lines = Lines::new(raw);
        if let Some((_, end)) = lines.next() {
            self.line_end(lines.bare);
            start = self.start_line(raw, end, !lines.beyond_ascii);
        }
        while let Some((at, end)) = lines.next() {
            if let Some((name, value)) = known_line(raw, at, end) {
                table.push_known(name, offset(at), offset(value), offset(end));
            } else if at == end {
                head_end = Some(lines.position());
                break;
            } else if !unfolded && !table.is_empty() && raw.get(at).copied().is_some_and(is_lws) {
                self.line_end(lines.bare);
                return None;
            } else if let Some(span) = any_span(raw.get(..end).unwrap_or_default(), at) {
                table.push(span);
            } else {
                self.line_end(lines.bare);
                self.fail(Reason::HeaderLine);
            }
        }
        self.line_end(lines.bare);
        let ended = head_end.is_some();
        let head_end = head_end.unwrap_or_else(|| {
            let too_long = raw.len() > usize::from(u16::MAX);
            self.fail(if too_long { Reason::HeadSize } else { Reason::HeadEnd });
            raw.len()
        });
        if lines.controls && !controls_are_quoted(raw.get(..head_end).unwrap_or_default()) {
            self.fail(Reason::Control);
        }
        Some(Head { start, end: head_end, ascii: !lines.beyond_ascii && ended })
    }

    /// Refuses lines that do not end with CRLF. Asked before each other fault of a line, which comes later.
    fn line_end(&mut self, bare: bool) {
        if bare {
            self.fail(Reason::LineEnd);
        }
    }

    /// Reads the first line, which ends at `end`; `ascii` if it is that alone, so that its URI is UTF-8.
    #[inline(never)]
    fn start_line(&mut self, raw: &[u8], end: usize, ascii: bool) -> StartLine {
        let field = Field::within(raw, 0, end);
        let method_end = field.token_end(0);
        if ascii
            && method_end > 0
            && field.byte(method_end) == Some(b' ')
            && let Some(plain) = Plain::at(field, method_end + 1)
            && plain.end() + 8 == end
            && field.has(plain.end(), b" SIP/2.0")
        {
            let uri = (method_end + 1, plain.end());
            let target = Some(Target::of(&plain));
            return StartLine::Request { method: range((0, method_end)), uri: range(uri), target };
        }
        self.any_start_line(field.bytes())
    }

    /// Reads the first line, whatever it is.
    fn any_start_line(&mut self, line: &[u8]) -> StartLine {
        // Why: `SI` of either case begins no method that is in use.
        if matches!(line, [b's' | b'S', b'i' | b'I', ..])
            && line.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"SIP/"))
        {
            if !line.get(..8).is_some_and(|p| p.eq_ignore_ascii_case(b"SIP/2.0 ")) {
                self.fail(Reason::Version);
                return StartLine::Bad;
            }
            let rest = line.get(8..).unwrap_or_default();
            let digits = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
            let code = digits_saturating(rest.get(..digits).unwrap_or_default());
            let code = match code.and_then(|c| u16::try_from(c).ok()) {
                Some(code) if digits == 3 && (100..700).contains(&code) => code,
                _ => {
                    self.fail(Reason::Status);
                    return StartLine::Bad;
                }
            };
            let reason = (8 + digits + 1).min(line.len());
            return StartLine::Response { code, reason: range((reason, line.len())) };
        }
        let method_end = token_end(line, 0);
        if method_end == 0 || line.get(method_end) != Some(&b' ') {
            self.fail(Reason::StartLine);
            return StartLine::Bad;
        }
        let uri_start = method_end + 1;
        let version_start = memchr::memrchr(b' ', line).map_or(line.len(), |at| at + 1).max(uri_start);
        let version = line.get(version_start..).unwrap_or_default();
        let uri_end = if version_start > uri_start { version_start - 1 } else { line.len() };
        if version.eq_ignore_ascii_case(b"SIP/2.0") {
            // fine
        } else if version.len() > 4 && version.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"SIP/")) {
            self.fail(Reason::Version);
        } else {
            self.fail(Reason::StartLine);
        }
        let uri = line.get(uri_start..uri_end).unwrap_or_default();
        let good = std::str::from_utf8(uri).is_ok_and(Uri::is_target);
        if !good {
            self.fail(Reason::RequestUri);
        }
        let (method, uri) = (range((0, method_end)), range((uri_start, uri_end)));
        StartLine::Request { method, uri, target: None }
    }

    /// Refuses headers that are missing or repeated, and a Content-Length that is none.
    fn singles(&mut self, store: &Store, table: &Table) {
        let length = |span: &Span| digits_saturating(store.value_bytes(span));
        let content_length = table.first(Name::ContentLength).map(length);
        if table.repeats() {
            let mut seen = [false; Name::COUNT];
            for span in table.lines() {
                let repeated = span.name.and_then(|name| seen.get_mut(name as usize));
                let repeated = repeated.is_some_and(|seen| std::mem::replace(seen, true));
                match span.name {
                    Some(Name::ContentLength)
                        if length(span).is_none() || content_length != Some(length(span)) =>
                    {
                        self.fail(Reason::ContentLength);
                    }
                    Some(name) if repeated && is_single(name) => {
                        self.fail(Reason::Repeated(name.as_str()));
                    }
                    _ => {}
                }
            }
        } else if content_length == Some(None) {
            self.fail(Reason::ContentLength);
        }
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            if table.first(name).is_none() {
                self.fail(Reason::Missing(name.as_str()));
            }
        }
    }

    fn via(&mut self, store: &Store, span: Option<&Span>) -> ViaSpan {
        let Some(span) = span else { return NO_VIA };
        let Some(parts) = store.field(span).and_then(via::Parts::read) else {
            self.fail(Reason::Header("Via"));
            return NO_VIA;
        };
        ViaSpan {
            transport: range(parts.transport),
            host: range(parts.host),
            port: parts.port,
            params: range(parts.params),
            branch: range(parts.branch),
        }
    }

    fn address(&mut self, store: &Store, span: Option<&Span>, name: &'static str) -> AddrSpan {
        let Some(span) = span else { return NO_ADDR };
        let read = store.field(span).and_then(|field| Some((field, Parts::read(field)?)));
        // Why: what can be split can be copied into an answer, even if the URI is none.
        let Some((field, parts)) = read else {
            self.fail(Reason::Header(name));
            return NO_ADDR;
        };
        let (good, tag) = match parts.lone_tag(field) {
            Some(tag) => (true, Some(range(tag))),
            None => {
                let params = Params::new(store.text(range(parts.params)).unwrap_or_default());
                (parts.params_are_well_formed(field), params.get("tag").map(|tag| store.range_of(tag)))
            }
        };
        if !good || !is_uri(store, &parts) {
            self.fail(Reason::Header(name));
        }
        AddrSpan { tag, ..addr_span(&parts) }
    }

    fn call_id(&mut self, store: &Store, span: Option<&Span>) -> Range {
        let Some(span) = span else { return (0, 0) };
        let good = store.field(span).is_some_and(|id| {
            let end = id.find(id.start(), |b| b.is(b' ').or(b.is(b'\t')).mask());
            id.start() < id.end() && end == id.end()
        });
        if !good {
            self.fail(Reason::Header("Call-ID"));
        }
        (span.value, span.end)
    }

    fn cseq(&mut self, store: &Store, span: Option<&Span>, start: StartLine) -> (u32, Range) {
        let Some(span) = span else { return (0, (0, 0)) };
        let value = Field::within(store.raw(), span.value.into(), span.end.into());
        let (mut at, mut number) = (value.start(), Some(0_u32));
        while let Some(digit) = value.byte(at).map(|b| b.wrapping_sub(b'0')).filter(|&digit| digit <= 9) {
            number = number.and_then(|number| number.checked_mul(10)?.checked_add(u32::from(digit)));
            at += 1;
        }
        let method = value.skip_lws(at);
        let good = at > value.start() && method > at && method < value.end();
        if !good || value.token_end(method) < value.end() {
            self.fail(Reason::Header("CSeq"));
            return (0, (0, 0));
        }
        if number.is_none() {
            self.fail(Reason::CSeqRange);
        }
        let method = range((method, value.end()));
        if let StartLine::Request { method: own, .. } = start {
            let own = store.slice(own);
            if own != store.slice(method) {
                let known = std::str::from_utf8(own).is_ok_and(|own| Method::parse(own).is_known());
                self.fail(if known { Reason::CSeqMethod } else { Reason::CSeqMethodUnknown });
            }
        }
        (number.unwrap_or(0), method)
    }

    fn max_forwards(&mut self, store: &Store, span: Option<&Span>) -> Option<u32> {
        let hops = digits_saturating(store.value_bytes(span?));
        if hops.is_none() {
            self.fail(Reason::Header("Max-Forwards"));
        }
        hops
    }

    fn body(&mut self, store: &Store, length: Option<&Span>, start: usize) -> (usize, usize) {
        let end = store.raw().len();
        let Some(length) = length.and_then(|span| digits_saturating(store.value_bytes(span))) else {
            return (start, end);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > end - start {
            self.fail(Reason::Truncated);
            return (start, end);
        }
        (start, start + length)
    }

    /// Checks every Contact; what is given is the only one, if there is no other.
    fn contacts(&mut self, store: &Store, table: &Table) -> Option<AddrSpan> {
        let lone = table.lone(Name::Contact).and_then(|span| lone_contact(store, span));
        if lone.is_some() {
            return lone;
        }
        for span in table.all(Name::Contact) {
            let good = store
                .value(span)
                .is_some_and(|line| Commas::new(line).all(|value| Contact::parse(value).is_ok()));
            if !good {
                self.fail(Reason::Header("Contact"));
            }
        }
        None
    }
}

/// The one address of a line that begins with its bracket or quote: then no comma is outside them if the rest is well
/// formed, and [`Commas`] would find this value alone.
fn lone_contact(store: &Store, span: &Span) -> Option<AddrSpan> {
    let field = store.field(span)?;
    if !matches!(field.byte(field.start()), Some(b'<' | b'"')) {
        return None;
    }
    let parts = Parts::read(field)?;
    (is_uri(store, &parts) && parts.params_are_well_formed(field)).then(|| addr_span(&parts))
}

fn addr_span(parts: &Parts) -> AddrSpan {
    AddrSpan { display: range(parts.display), uri: range(parts.uri), params: range(parts.params), tag: None }
}

#[inline(always)]
fn is_uri(store: &Store, parts: &Parts) -> bool {
    parts.checked || store.text(range(parts.uri)).is_some_and(|uri| Uri::check(uri).is_ok())
}

/// True for the headers that a message may have once, of those that this server reads.
fn is_single(name: Name) -> bool {
    matches!(
        name,
        Name::From
            | Name::To
            | Name::CallId
            | Name::CSeq
            | Name::MaxForwards
            | Name::Event
            | Name::Expires
            | Name::ContentType
            | Name::SipIfMatch
            | Name::SubscriptionState
    )
}
