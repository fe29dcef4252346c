//! Character classes of RFC 3261 §25.1 and the scans over quoted text that every parser here shares.
//!
//! In: bytes or text. Out: yes/no and positions. No allocation, no errors of its own.

#[allow(clippy::cast_possible_truncation)] // the table is indexed by bytes
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = matches!(i as u8, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
            | b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        i += 1;
    }
    table
};

/// True for the characters of `token`.
#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// True for a non-empty `token`.
#[inline]
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&b| is_token_byte(b))
}

/// True for linear white space within one (unfolded) line.
#[inline]
pub(crate) fn is_lws(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The text without white space at both ends.
#[inline]
pub(crate) fn trim(text: &str) -> &str {
    let bytes = text.as_bytes();
    let (mut start, mut end) = (0, bytes.len());
    while start < end && is_lws(bytes[start]) {
        start += 1;
    }
    while end > start && is_lws(bytes[end - 1]) {
        end -= 1;
    }
    text.get(start..end).unwrap_or_default()
}

/// The text without white space at its front.
#[inline]
pub(crate) fn trim_start(text: &str) -> &str {
    let skip = text.bytes().take_while(|&b| is_lws(b)).count();
    text.get(skip..).unwrap_or_default()
}

/// The text before and behind the first `separator` (an ASCII character). For separators that come early: a loop is
/// cheaper than a vector search there.
#[inline]
pub(crate) fn cut(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = text.as_bytes().iter().position(|&b| b == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Position just behind the quoted string that starts at byte 0 (a `"`); `None` if it never ends.
pub(crate) fn quoted_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        let step = memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        at += step;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Position of the first `separator` outside quoted strings and angle brackets.
pub(crate) fn find_outside(text: &str, separator: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let first = memchr::memchr(separator, bytes)?;
    let mut at = 0;
    loop {
        // Why: most lines hold no quote or bracket before the separator, or no separator at all.
        let step = memchr::memchr3(separator, b'"', b'<', bytes.get(at..)?)?;
        at += step;
        match bytes.get(at)? {
            b'"' => at += quoted_end(text.get(at..)?)?,
            b'<' => at += memchr::memchr(b'>', bytes.get(at..)?)? + 1,
            _ => return Some(at.max(first)),
        }
    }
}

/// Comma-separated values of one header line: quoted strings and `<...>` keep their commas, empty values are
/// skipped.
#[derive(Clone, Debug)]
pub(crate) struct Commas<'a> {
    rest: Option<&'a str>,
}

impl<'a> Commas<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Commas { rest: Some(text) }
    }
}

impl<'a> Iterator for Commas<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let text = self.rest.take()?;
            let value = match find_outside(text, b',') {
                Some(at) => {
                    self.rest = text.get(at + 1..);
                    text.get(..at).unwrap_or_default()
                }
                None => text,
            };
            let value = trim(value);
            if !value.is_empty() {
                return Some(value);
            }
        }
    }
}

/// Decimal digits only, as a number; `None` for anything else, the maximum when it does not fit.
pub(crate) fn digits_saturating(text: impl AsRef<[u8]>) -> Option<u32> {
    let text = text.as_ref();
    if text.is_empty() {
        return None;
    }
    let mut number: u32 = 0;
    for &byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
    }
    Some(number)
}

/// The value of two hexadecimal digits.
pub(crate) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    fn nibble(byte: u8) -> Option<u8> {
        match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            b'A'..=b'F' => Some(byte - b'A' + 10),
            _ => None,
        }
    }
    Some(nibble(high)? << 4 | nibble(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_respect_quotes_and_brackets() {
        for (text, want) in [
            ("a, b ,c", vec!["a", "b", "c"]),
            ("\"a, b\" <sip:x,y@z>;q=1, c", vec!["\"a, b\" <sip:x,y@z>;q=1", "c"]),
            (",, a,", vec!["a"]),
            ("", vec![]),
            ("\"open, b", vec!["\"open, b"]),
            ("\"x\\\", y\", z", vec!["\"x\\\", y\"", "z"]),
        ] {
            assert_eq!(Commas::new(text).collect::<Vec<_>>(), want, "{text}");
        }
    }

    #[test]
    fn digits_saturate_and_refuse_signs() {
        for (text, want) in [
            ("0068", Some(68)),
            ("99999999999999999999", Some(u32::MAX)),
            ("-1", None),
            ("+1", None),
            ("", None),
            ("1 ", None),
        ] {
            assert_eq!(digits_saturating(text), want, "{text}");
        }
    }
}
