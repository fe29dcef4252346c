//! One pass over a message: the lines of its head, and the headers every message is read by (RFC 3261 §7, §8.1.1).
//!
//! In: the bytes. Out: a [`Message`], and the first [`Reason`] to refuse it if there is one. Not here: single lines
//! ([`super::lines`]) and the accessors of a message.

use bytes::Bytes;
use smallvec::SmallVec;

use super::lines::{Head, controls_are_quoted, header_span, offset, unfold};
use super::{AddrSpan, Message, NO_ADDR, NO_VIA, Range, Span, StartLine, ViaSpan};
use crate::chars::{Commas, digits_saturating, is_lws, is_token};
use crate::error::{ParseError, Reason};
use crate::headers::contact::Contact;
use crate::headers::via::Via;
use crate::method::Method;
use crate::name::Name;
use crate::name_addr::NameAddr;
use crate::uri::{Scheme, Uri};

/// One reading of a message; keeps the first fault and goes on.
pub(super) struct Scan {
    pub(super) fault: Option<Reason>,
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
    pub(super) fn message(&mut self, mut raw: Bytes) -> Option<Message> {
        // RFC 3261 §7.5: line ends before the start line are ignored.
        let skip = raw.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
        if skip > 0 {
            raw = raw.slice(skip..);
        }
        let mut spans = SmallVec::new();
        let (start, head_end) = match self.lines(&raw, &mut spans, false) {
            Some(found) => found,
            None => {
                raw = unfold(&raw);
                spans.clear();
                self.lines(&raw, &mut spans, true)?
            }
        };
        let head = Head::new(raw.get(..head_end).unwrap_or_default());
        let found = self.singles(&head, &spans);
        let via = self.via(&head, found.via);
        let from = self.address(&head, found.from, "From");
        let to = self.address(&head, found.to, "To");
        let call_id = self.call_id(&head, found.call_id);
        let (cseq, cseq_method) = self.cseq(&head, found.cseq, start);
        let max_forwards = self.max_forwards(&head, found.max_forwards);
        let body = self.body(&head, found.content_length, head_end, raw.len());
        if found.has_contact {
            self.contacts(&head, &spans);
        }
        Some(Message { raw, start, spans, via, from, to, call_id, cseq_method, cseq, max_forwards, body })
    }

    /// Finds the lines of the head; gives the start line and the head's length. `None` at the first folded line,
    /// unless they are unfolded already.
    fn lines(
        &mut self,
        raw: &[u8],
        spans: &mut SmallVec<[Span; 24]>,
        unfolded: bool,
    ) -> Option<(StartLine, usize)> {
        let mut start = StartLine::Bad;
        let mut at = 0;
        let mut lines = 0_usize;
        let mut head_end = None;
        for line_end in memchr::memchr_iter(b'\n', raw) {
            if line_end > usize::from(u16::MAX) {
                break;
            }
            let cr = line_end > at && raw.get(line_end - 1) == Some(&b'\r');
            if !cr {
                self.fail(Reason::LineEnd);
            }
            let end = if cr { line_end - 1 } else { line_end };
            let line = raw.get(at..end).unwrap_or_default();
            lines += 1;
            if lines == 1 {
                start = self.start_line(line);
            } else if line.is_empty() {
                head_end = Some(line_end + 1);
                break;
            } else if is_lws(line[0]) && !unfolded && !spans.is_empty() {
                return None;
            } else {
                match header_span(line, at) {
                    Some(span) => spans.push(span),
                    None => self.fail(Reason::HeaderLine),
                }
            }
            at = line_end + 1;
        }
        let head_end = head_end.unwrap_or_else(|| {
            let too_long = raw.len() > usize::from(u16::MAX);
            self.fail(if too_long { Reason::HeadSize } else { Reason::HeadEnd });
            raw.len()
        });
        let head = raw.get(..head_end).unwrap_or_default();
        // Why: counting is branch-free, and a well-formed head has exactly two control characters per line.
        // Chunks of at most 255 bytes, so that one byte holds the count and many are added at once.
        let controls: usize = head
            .chunks(192)
            .map(|c| {
                usize::from(c.iter().map(|&b| u8::from((b < 0x20) & (b != b'\t') | (b == 0x7f))).sum::<u8>())
            })
            .sum();
        if controls != 2 * lines && !controls_are_quoted(head) {
            self.fail(Reason::Control);
        }
        Some((start, head_end))
    }

    fn start_line(&mut self, line: &[u8]) -> StartLine {
        let range = |from: usize, to: usize| (offset(from), offset(to));
        if line.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"SIP/")) {
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
        let Some(method_end) = memchr::memchr(b' ', line) else {
            self.fail(Reason::StartLine);
            return StartLine::Bad;
        };
        if !is_token(line.get(..method_end).unwrap_or_default()) {
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
        let good = std::str::from_utf8(uri).ok().and_then(|uri| Uri::parse(uri).ok()).is_some_and(|uri| {
            // RFC 3261 §19.1.1: a SIP Request-URI has no headers.
            !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips) || uri.headers().is_none()
        });
        if !good {
            self.fail(Reason::RequestUri);
        }
        StartLine::Request { method: range(0, method_end), uri: range(uri_start, uri_end) }
    }

    /// Finds the headers that are read at once, and refuses those that are missing or repeated.
    fn singles(&mut self, head: &Head<'_>, spans: &[Span]) -> Found {
        let mut found = Found::default();
        for span in spans {
            let slot = match span.name {
                Some(Name::Via) => {
                    found.via.get_or_insert(*span);
                    continue;
                }
                Some(Name::Contact) => {
                    found.has_contact = true;
                    continue;
                }
                Some(Name::ContentLength) => {
                    let value = digits_saturating(head.bytes(span));
                    let other = found.content_length.map(|other| digits_saturating(head.bytes(&other)));
                    if value.is_none() || other.is_some_and(|other| other != value) {
                        self.fail(Reason::ContentLength);
                    }
                    found.content_length.get_or_insert(*span);
                    continue;
                }
                Some(Name::From) => &mut found.from,
                Some(Name::To) => &mut found.to,
                Some(Name::CallId) => &mut found.call_id,
                Some(Name::CSeq) => &mut found.cseq,
                Some(Name::MaxForwards) => &mut found.max_forwards,
                Some(Name::Event) => &mut found.others[0],
                Some(Name::Expires) => &mut found.others[1],
                Some(Name::ContentType) => &mut found.others[2],
                Some(Name::SipIfMatch) => &mut found.others[3],
                Some(Name::SubscriptionState) => &mut found.others[4],
                _ => continue,
            };
            if slot.is_some() {
                self.fail(Reason::Repeated(span.name.map_or("", Name::as_str)));
            } else {
                *slot = Some(*span);
            }
        }
        for (there, name) in [
            (found.via.is_some(), "Via"),
            (found.from.is_some(), "From"),
            (found.to.is_some(), "To"),
            (found.call_id.is_some(), "Call-ID"),
            (found.cseq.is_some(), "CSeq"),
        ] {
            if !there {
                self.fail(Reason::Missing(name));
            }
        }
        found
    }

    fn via(&mut self, head: &Head<'_>, span: Option<Span>) -> ViaSpan {
        let Some(span) = span else { return NO_VIA };
        match head.text(&span).map(Via::split_first) {
            Some(Ok((via, _))) => ViaSpan {
                transport: head.range_of(via.transport()),
                host: head.range_of(via.sent_by_str()),
                ip: via.sent_by().ip(),
                port: via.port(),
                params: head.range_of(via.params().as_str()),
            },
            _ => {
                self.fail(Reason::Header("Via"));
                NO_VIA
            }
        }
    }

    fn address(&mut self, head: &Head<'_>, span: Option<Span>, name: &'static str) -> AddrSpan {
        let Some(span) = span else { return NO_ADDR };
        let text = head.text(&span).unwrap_or_default();
        // Why: what can be split can be copied into an answer, even if the URI is none.
        let Ok(addr) = NameAddr::split(text) else {
            self.fail(Reason::Header(name));
            return NO_ADDR;
        };
        if addr.check().is_err() {
            self.fail(Reason::Header(name));
        }
        AddrSpan {
            display: addr.display().map_or((0, 0), |display| head.range_of(display)),
            uri: head.range_of(addr.uri()),
            params: head.range_of(addr.params().as_str()),
            tag: addr.tag().map(|tag| head.range_of(tag)),
        }
    }

    fn call_id(&mut self, head: &Head<'_>, span: Option<Span>) -> Range {
        let Some(span) = span else { return (0, 0) };
        let good = head.text(&span).is_some_and(|id| !id.is_empty() && !id.bytes().any(is_lws));
        if !good {
            self.fail(Reason::Header("Call-ID"));
        }
        (span.value, span.end)
    }

    fn cseq(&mut self, head: &Head<'_>, span: Option<Span>, start: StartLine) -> (u32, Range) {
        let Some(span) = span else { return (0, (0, 0)) };
        let value = head.bytes(&span);
        let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
        let gap = value.iter().skip(digits).take_while(|&&b| is_lws(b)).count();
        let method = value.get(digits + gap..).unwrap_or_default();
        if digits == 0 || gap == 0 || !is_token(method) {
            self.fail(Reason::Header("CSeq"));
            return (0, (0, 0));
        }
        let number = value
            .iter()
            .take(digits)
            .try_fold(0_u32, |number, &digit| number.checked_mul(10)?.checked_add(u32::from(digit - b'0')));
        if number.is_none() {
            self.fail(Reason::CSeqRange);
        }
        if let StartLine::Request { method: own, .. } = start {
            let own = head.slice(own);
            if own != method {
                let known = std::str::from_utf8(own).is_ok_and(|own| Method::parse(own).is_known());
                self.fail(if known { Reason::CSeqMethod } else { Reason::CSeqMethodUnknown });
            }
        }
        (number.unwrap_or(0), (offset(usize::from(span.value) + digits + gap), span.end))
    }

    fn max_forwards(&mut self, head: &Head<'_>, span: Option<Span>) -> Option<u32> {
        let hops = digits_saturating(head.bytes(&span?));
        if hops.is_none() {
            self.fail(Reason::Header("Max-Forwards"));
        }
        hops
    }

    fn body(&mut self, head: &Head<'_>, length: Option<Span>, start: usize, end: usize) -> (usize, usize) {
        let Some(length) = length.and_then(|span| digits_saturating(head.bytes(&span))) else {
            return (start, end);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > end - start {
            self.fail(Reason::Truncated);
            return (start, end);
        }
        (start, start + length)
    }

    fn contacts(&mut self, head: &Head<'_>, spans: &[Span]) {
        for span in spans.iter().filter(|span| span.name == Some(Name::Contact)) {
            let good = head
                .text(span)
                .is_some_and(|line| Commas::new(line).all(|value| Contact::parse(value).is_ok()));
            if !good {
                self.fail(Reason::Header("Contact"));
            }
        }
    }
}

/// The header lines a message is read by.
#[derive(Default)]
struct Found {
    via: Option<Span>,
    from: Option<Span>,
    to: Option<Span>,
    call_id: Option<Span>,
    cseq: Option<Span>,
    max_forwards: Option<Span>,
    content_length: Option<Span>,
    others: [Option<Span>; 5],
    has_contact: bool,
}
