//! Header lines by offset: the head as bytes and text, one line's parts, unfolding (RFC 3261 §7.3.1).
//!
//! In: a head or a line of it. Out: offsets and pieces. Not here: what a line means ([`super::scan`]).

use bytes::{Bytes, BytesMut};

use super::{Range, Span};
use crate::chars::{is_lws, is_token_byte};
use crate::name::Name;

/// A head offset. Heads longer than 65,535 bytes are refused before any offset is made.
#[inline]
pub(super) fn offset(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}
/// The head's bytes, and the same as text where they are UTF-8: then no value needs a check of its own.
pub(super) struct Head<'a> {
    bytes: &'a [u8],
    text: Option<&'a str>,
}

impl<'a> Head<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Head { bytes, text: std::str::from_utf8(bytes).ok() }
    }

    #[inline]
    pub(super) fn slice(&self, range: Range) -> &'a [u8] {
        self.bytes.get(usize::from(range.0)..usize::from(range.1)).unwrap_or_default()
    }

    #[inline]
    pub(super) fn bytes(&self, span: &Span) -> &'a [u8] {
        self.slice((span.value, span.end))
    }

    #[inline]
    pub(super) fn text(&self, span: &Span) -> Option<&'a str> {
        match self.text {
            Some(text) => text.get(usize::from(span.value)..usize::from(span.end)),
            None => std::str::from_utf8(self.bytes(span)).ok(),
        }
    }

    /// Where a piece of the head is.
    #[inline]
    pub(super) fn range_of(&self, part: &str) -> Range {
        let start = (part.as_ptr() as usize).saturating_sub(self.bytes.as_ptr() as usize);
        if part.is_empty() || start > self.bytes.len() {
            return (0, 0);
        }
        (offset(start), offset(start + part.len()))
    }
}

/// The span of one header line that starts at `at`; `None` if it is no header.
#[inline]
pub(super) fn header_span(line: &[u8], at: usize) -> Option<Span> {
    let mut colon = line.iter().position(|&b| b == b':')?;
    let mut name_end = colon;
    let mut known = Name::find(line.get(..colon)?);
    // Why: a known name has been compared whole; only others need a look at their characters.
    if known.is_none() {
        name_end = line.iter().position(|&b| !is_token_byte(b))?;
        colon = name_end;
        while line.get(colon).copied().is_some_and(is_lws) {
            colon += 1;
        }
        if name_end == 0 || line.get(colon) != Some(&b':') {
            return None;
        }
        if colon > name_end {
            known = Name::find(line.get(..name_end)?);
        }
    }
    let mut value = colon + 1;
    let mut end = line.len();
    while value < end && is_lws(line[value]) {
        value += 1;
    }
    while end > value && is_lws(line[end - 1]) {
        end -= 1;
    }
    Some(Span {
        start: offset(at),
        name_end: offset(at + name_end),
        value: offset(at + value),
        end: offset(at + end),
        name: known,
    })
}

/// The message with each folded line joined to the line before it by one space (RFC 3261 §7.3.1).
pub(super) fn unfold(raw: &Bytes) -> Bytes {
    let mut out = BytesMut::with_capacity(raw.len());
    let mut at = 0;
    let mut first = true;
    while let Some(step) = raw.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        let line = raw.get(at..=at + step).unwrap_or_default();
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
        if !first && line.first().copied().is_some_and(is_lws) {
            while out.last().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
                out.truncate(out.len() - 1);
            }
            let text = line.iter().position(|&b| !is_lws(b)).unwrap_or(line.len());
            out.extend_from_slice(b" ");
            out.extend_from_slice(line.get(text..).unwrap_or_default());
        } else {
            out.extend_from_slice(line);
        }
        first = false;
        at += step + 1;
    }
    out.extend_from_slice(raw.get(at..).unwrap_or_default());
    out.freeze()
}

/// True if every control character but CRLF and tab follows a backslash in a quoted string (RFC 3261 §25.1
/// `quoted-pair`).
pub(super) fn controls_are_quoted(head: &[u8]) -> bool {
    head.split(|&b| b == b'\n').all(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (mut quoted, mut escaped) = (false, false);
        line.iter().all(|&byte| {
            if escaped {
                escaped = false;
                return byte != b'\r';
            }
            match byte {
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'\t' => {}
                0..=0x1f | 0x7f => return false,
                _ => {}
            }
            true
        })
    })
}
