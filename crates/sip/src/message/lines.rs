//! Header lines by offset: the head as bytes and text, one line's parts, unfolding (RFC 3261 §7.3.1).
//!
//! In: a head or a line of it. Out: offsets and pieces. Not here: what a line means ([`super::scan`]).

use bytes::{Bytes, BytesMut};

use super::Span;
use crate::block::{Block, Marks, Mask, WIDTH};
use crate::chars::{is_lws, skip_lws, token_end};
use crate::name::Name;

/// A head offset. No line that ends beyond 65,535 is looked at ([`Lines`]), so none is cut.
#[inline]
#[allow(clippy::cast_possible_truncation)]
pub(super) fn offset(at: usize) -> u16 {
    debug_assert!(at <= usize::from(u16::MAX));
    at as u16
}

/// The lines of a text up to 65,536 bytes long, and what is in them that is neither printable ASCII nor a tab.
pub(super) struct Lines<'a, C> {
    raw: &'a [u8],
    marks: Marks<'a, C>,
    /// Where the next line starts.
    next: usize,
    /// True if a line ended with LF alone.
    pub(super) bare: bool,
    pub(super) controls: bool,
    pub(super) beyond_ascii: bool,
}

impl<'a> Lines<'a, ()> {
    #[inline(always)]
    pub(super) fn new(raw: &'a [u8]) -> Lines<'a, impl Fn(Block) -> Mask + Copy> {
        // No offset tells what is behind that.
        let raw = raw.get(..=usize::from(u16::MAX)).unwrap_or(raw);
        let marks = Marks::new(raw, |b| b.unprintable().mask());
        Lines { raw, marks, next: 0, bare: false, controls: false, beyond_ascii: false }
    }
}

impl<C: Fn(Block) -> Mask + Copy> Lines<'_, C> {
    /// Where the next line starts and ends; `None` behind the last that ends.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<(usize, usize)> {
        loop {
            let at = self.marks.next()?;
            let start = self.next;
            // The LF of a CRLF belongs to the line that is done with.
            if at < start {
                continue;
            }
            if self.raw.get(at + 1) == Some(&b'\n') && self.raw.get(at) == Some(&b'\r') {
                self.marks.pass();
                self.next = at + 2;
                return Some((start, at));
            }
            match self.raw.get(at) {
                Some(b'\n') => {
                    self.bare = true;
                    self.next = at + 1;
                    return Some((start, at));
                }
                Some(b'\t') => {}
                Some(0x80..) => self.beyond_ascii = true,
                _ => self.controls = true,
            }
        }
    }

    /// Where the next line starts.
    pub(super) fn position(&self) -> usize {
        self.next
    }
}

/// The name of the header line from `start` to `end`, and where its value starts: if the name is a known one that
/// [`Name::at_front`] finds, and no white space but one blank is around the value, which then ends with the line. What
/// is given is what [`any_span`] gives.
#[inline(always)]
pub(super) fn known_line(raw: &[u8], start: usize, end: usize) -> Option<(Name, usize)> {
    // No known name goes beyond the end of its line, so the colon does not either.
    let (name, len) = Name::at_front(raw.get(start..start + WIDTH)?.first_chunk()?)?;
    let value = start + len;
    let filled = |at: usize| raw.get(at).is_some_and(|&byte| byte > b' ');
    (filled(value) && filled(end - 1)).then_some((name, value))
}

/// The header line from `start` to the end of `head`, whatever its name; `None` if it is no header.
#[inline(never)]
pub(super) fn any_span(head: &[u8], start: usize) -> Option<Span> {
    let name_end = token_end(head, start);
    let colon = skip_lws(head, name_end);
    if name_end == start || head.get(colon) != Some(&b':') {
        return None;
    }
    let mut end = head.len();
    let value = skip_lws(head, colon + 1).min(end);
    while end > value && head.get(end - 1).copied().is_some_and(is_lws) {
        end -= 1;
    }
    let name = Name::find(head.get(start..name_end)?);
    Some(Span { start: offset(start), value: offset(value), end: offset(end), name })
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

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_known_header_is_what_the_general_way_reads(
            pieces in proptest::collection::vec(proptest::sample::select(vec![
                "Via", "v", "to", "Content-Length", "Subscription-State", "X-Foo", ":", ":", ": ", " ", "\t", "\u{1}", "é",
                "x", "a long value, longer than a block", "\r",
            ]), 0..8),
            front in "[ -~]{0,20}", behind in "[ -~\r\n]{0,20}",
        ) {
            let line = pieces.concat();
            let raw = format!("{front}{line}\r\n{behind}").into_bytes();
            let (start, end) = (front.len(), front.len() + line.len());
            if let Some((name, value)) = known_line(&raw, start, end) {
                let span = Span { start: offset(start), value: offset(value), end: offset(end), name: Some(name) };
                let general = any_span(&raw[..end], start).expect("a header");
                proptest::prop_assert_eq!(format!("{span:?}"), format!("{general:?}"));
            }
        }
    }
}
