//! Header lines by offset: the head as bytes and text, one line's parts, unfolding (RFC 3261 §7.3.1).
//!
//! In: a head or a line of it. Out: offsets and pieces. Not here: what a line means ([`super::scan`]).

use bytes::{Bytes, BytesMut};

use super::Span;
use crate::block::find;
use crate::chars::{is_lws, skip_lws, token_end};
use crate::name::Name;

/// A head offset. No line that ends beyond 65,535 is looked at ([`line_end`]), so none is cut.
#[inline]
#[allow(clippy::cast_possible_truncation)]
pub(super) fn offset(at: usize) -> u16 {
    debug_assert!(at <= usize::from(u16::MAX));
    at as u16
}

/// What lines have that is neither printable ASCII nor a tab nor their end.
#[derive(Default)]
pub(super) struct Oddities {
    pub(super) controls: bool,
    pub(super) beyond_ascii: bool,
}

/// Where the line that starts at `at` ends, and whether with CRLF rather than LF alone; `None` if it does not, or beyond
/// what an offset can tell.
#[inline]
pub(super) fn line_end(raw: &[u8], mut at: usize, odd: &mut Oddities) -> Option<(usize, bool)> {
    loop {
        at = find(raw, at, |b| b.unprintable().mask());
        match *raw.get(at)? {
            b'\r' if raw.get(at + 1) == Some(&b'\n') => {
                return (at < usize::from(u16::MAX)).then_some((at, true));
            }
            b'\n' => return (at <= usize::from(u16::MAX)).then_some((at, false)),
            b'\t' => {}
            0x80.. => odd.beyond_ascii = true,
            _ => odd.controls = true,
        }
        at += 1;
    }
}

/// The header line from `start` to `end`, if its name is a known one that [`Name::at_front`] finds.
#[inline(always)]
pub(super) fn known_span(raw: &[u8], start: usize, end: usize) -> Option<Span> {
    // No known name goes beyond the end of its line, so the colon does not either.
    let (name, name_len) = Name::at_front(raw.get(start..)?)?;
    let colon = start + name_len;
    if let Some(&[b' ', first]) = raw.get(colon + 1..).and_then(<[u8]>::first_chunk)
        && first > b' '
        && raw.get(end - 1).is_some_and(|&last| last > b' ')
    {
        let (start, name_end) = (offset(start), offset(colon));
        return Some(Span { start, name_end, value: offset(colon + 2), end: offset(end), name: Some(name) });
    }
    Some(span(raw, (start, colon), Some(name), colon, end))
}

/// The header line from `start` to the end of `head`, whatever its name; `None` if it is no header.
pub(super) fn any_span(head: &[u8], start: usize) -> Option<Span> {
    let name_end = token_end(head, start);
    let colon = skip_lws(head, name_end);
    if name_end == start || head.get(colon) != Some(&b':') {
        return None;
    }
    Some(span(head, (start, name_end), Name::find(head.get(start..name_end)?), colon, head.len()))
}

/// The span of a line whose value is what is between `colon` and `end` but for white space at both ends.
fn span(raw: &[u8], at: (usize, usize), name: Option<Name>, colon: usize, mut end: usize) -> Span {
    let value = skip_lws(raw, colon + 1).min(end);
    while end > value && raw.get(end - 1).copied().is_some_and(is_lws) {
        end -= 1;
    }
    Span { start: offset(at.0), name_end: offset(at.1), value: offset(value), end: offset(end), name }
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
            if let Some(span) = known_span(&raw, start, end) {
                let general = any_span(&raw[..end], start).expect("a header");
                proptest::prop_assert_eq!(format!("{span:?}"), format!("{general:?}"));
            }
        }
    }
}
