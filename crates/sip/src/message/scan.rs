//! One pass over a message: the lines of its head, and the headers every message is read by (RFC 3261 §7, §8.1.1).
//!
//! In: the bytes. Out: a [`Message`], and the first [`Reason`] to refuse it if there is one. Not here: single lines
//! ([`super::lines`]) and the accessors of a message.

use bytes::Bytes;

use super::lines::{Oddities, any_span, controls_are_quoted, known_span, line_end, offset, unfold};
use super::store::Store;
use super::table::Table;
use super::{AddrSpan, Message, NO_ADDR, NO_VIA, Range, Span, StartLine, ViaSpan};
use crate::chars::{Commas, digits_saturating, is_lws, is_token, skip_lws, token_end};
use crate::error::{ParseError, Reason};
use crate::headers::contact::Contact;
use crate::headers::via::Via;
use crate::method::Method;
use crate::name::Name;
use crate::name_addr::NameAddr;
use crate::uri::Uri;

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
    fn fail(&mut self, reason: Reason) {
        self.fault.get_or_insert(reason);
    }

    pub(super) fn finish(self, message: Message) -> Result<Message, ParseError> {
        match self.fault {
            None => Ok(message),
            Some(reason) => Err(ParseError::new(reason, message.answerable().then(|| Box::new(message)))),
        }
    }

    /// Reads start line, headers and body; `None` if there is nothing to read.
    #[inline(always)]
    pub(super) fn message(&mut self, mut raw: Bytes) -> Option<Message> {
        // RFC 3261 §7.5: line ends before the start line are ignored.
        let skip = raw.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
        if skip > 0 {
            raw = raw.slice(skip..);
        }
        let mut table = Table::new();
        let head = match self.lines(&raw, &mut table, false) {
            Some(head) => head,
            None => {
                raw = unfold(&raw);
                table = Table::new();
                self.lines(&raw, &mut table, true)?
            }
        };
        let Head { start, end: head_end, ascii } = head;
        let store = Store::new(raw, if ascii { head_end } else { 0 });
        self.singles(&store, &table);
        let via = self.via(&store, table.first(Name::Via));
        let from = self.address(&store, table.first(Name::From), "From");
        let to = self.address(&store, table.first(Name::To), "To");
        let call_id = self.call_id(&store, table.first(Name::CallId));
        let (cseq, cseq_method) = self.cseq(&store, table.first(Name::CSeq), start);
        let max_forwards = self.max_forwards(&store, table.first(Name::MaxForwards));
        let body = self.body(&store, table.first(Name::ContentLength), head_end);
        self.contacts(&store, &table);
        Some(Message { store, start, table, via, from, to, call_id, cseq_method, cseq, max_forwards, body })
    }

    /// Finds the lines of the head. `None` at the first folded line, unless they are unfolded already.
    fn lines(&mut self, raw: &[u8], table: &mut Table, unfolded: bool) -> Option<Head> {
        let mut start = StartLine::Bad;
        let mut at = 0;
        let mut head_end = None;
        let mut odd = Oddities::default();
        while let Some((end, crlf)) = line_end(raw, at, &mut odd) {
            if !crlf {
                self.fail(Reason::LineEnd);
            }
            let next = end + 1 + usize::from(crlf);
            if at == 0 {
                start = self.start_line(raw.get(..end).unwrap_or_default());
            } else if let Some(span) = known_span(raw, at, end) {
                table.push(span);
            } else if at == end {
                head_end = Some(next);
                break;
            } else if !unfolded && !table.lines().is_empty() && raw.get(at).copied().is_some_and(is_lws) {
                return None;
            } else if let Some(span) = any_span(raw.get(..end).unwrap_or_default(), at) {
                table.push(span);
            } else {
                self.fail(Reason::HeaderLine);
            }
            at = next;
        }
        let ended = head_end.is_some();
        let head_end = head_end.unwrap_or_else(|| {
            let too_long = raw.len() > usize::from(u16::MAX);
            self.fail(if too_long { Reason::HeadSize } else { Reason::HeadEnd });
            raw.len()
        });
        if odd.controls && !controls_are_quoted(raw.get(..head_end).unwrap_or_default()) {
            self.fail(Reason::Control);
        }
        Some(Head { start, end: head_end, ascii: !odd.beyond_ascii && ended })
    }

    #[inline(never)]
    fn start_line(&mut self, line: &[u8]) -> StartLine {
        let range = |from: usize, to: usize| (offset(from), offset(to));
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
            return StartLine::Response { code, reason: range(reason, line.len()) };
        }
        let method_end = token_end(line, 0);
        if method_end == 0 || line.get(method_end) != Some(&b' ') {
            self.fail(Reason::StartLine);
            return StartLine::Bad;
        }
        let uri_start = method_end + 1;
        let version_start = match line.strip_suffix(b" SIP/2.0") {
            Some(front) => front.len() + 1,
            None => memchr::memrchr(b' ', line).map_or(line.len(), |at| at + 1),
        };
        let version_start = version_start.max(uri_start);
        let version = line.get(version_start..).unwrap_or_default();
        let uri_end = if version_start > uri_start { version_start - 1 } else { line.len() };
        if version == b"SIP/2.0" || version.eq_ignore_ascii_case(b"SIP/2.0") {
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
        StartLine::Request { method: range(0, method_end), uri: range(uri_start, uri_end) }
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
        match store.value(span).map(Via::split_first) {
            Some(Ok((via, _))) => ViaSpan {
                transport: store.range_of(via.transport()),
                host: store.range_of(via.sent_by_str()),
                ip: via.sent_by().ip(),
                port: via.port(),
                params: store.range_of(via.params().as_str()),
            },
            _ => {
                self.fail(Reason::Header("Via"));
                NO_VIA
            }
        }
    }

    fn address(&mut self, store: &Store, span: Option<&Span>, name: &'static str) -> AddrSpan {
        let Some(span) = span else { return NO_ADDR };
        let text = store.value(span).unwrap_or_default();
        // Why: what can be split can be copied into an answer, even if the URI is none.
        let Ok(addr) = NameAddr::split(text) else {
            self.fail(Reason::Header(name));
            return NO_ADDR;
        };
        if addr.check().is_err() {
            self.fail(Reason::Header(name));
        }
        AddrSpan {
            display: addr.display().map_or((0, 0), |display| store.range_of(display)),
            uri: store.range_of(addr.uri()),
            params: store.range_of(addr.params().as_str()),
            tag: addr.tag().map(|tag| store.range_of(tag)),
        }
    }

    fn call_id(&mut self, store: &Store, span: Option<&Span>) -> Range {
        let Some(span) = span else { return (0, 0) };
        let good = store.value(span).is_some_and(|id| !id.is_empty() && !id.bytes().any(is_lws));
        if !good {
            self.fail(Reason::Header("Call-ID"));
        }
        (span.value, span.end)
    }

    fn cseq(&mut self, store: &Store, span: Option<&Span>, start: StartLine) -> (u32, Range) {
        let Some(span) = span else { return (0, (0, 0)) };
        let value = store.value_bytes(span);
        let (mut digits, mut number) = (0, Some(0_u32));
        while let Some(digit) = value.get(digits).map(|b| b.wrapping_sub(b'0')).filter(|&digit| digit <= 9) {
            number = number.and_then(|number| number.checked_mul(10)?.checked_add(u32::from(digit)));
            digits += 1;
        }
        let gap = skip_lws(value, digits) - digits;
        let method = value.get(digits + gap..).unwrap_or_default();
        if digits == 0 || gap == 0 || !is_token(method) {
            self.fail(Reason::Header("CSeq"));
            return (0, (0, 0));
        }
        if number.is_none() {
            self.fail(Reason::CSeqRange);
        }
        if let StartLine::Request { method: own, .. } = start {
            let own = store.slice(own);
            if own != method {
                let known = std::str::from_utf8(own).is_ok_and(|own| Method::parse(own).is_known());
                self.fail(if known { Reason::CSeqMethod } else { Reason::CSeqMethodUnknown });
            }
        }
        (number.unwrap_or(0), (offset(usize::from(span.value) + digits + gap), span.end))
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

    fn contacts(&mut self, store: &Store, table: &Table) {
        for span in table.all(Name::Contact) {
            let good = store
                .value(span)
                .is_some_and(|line| Commas::new(line).all(|value| Contact::parse(value).is_ok()));
            if !good {
                self.fail(Reason::Header("Contact"));
            }
        }
    }
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
