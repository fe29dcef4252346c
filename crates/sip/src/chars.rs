//! Character classes of RFC 3261 §25.1 and the scans over quoted text that every parser here shares.
//!
//! In: bytes or text. Out: yes/no and positions. No allocation, no errors of its own.

use crate::block::{ALL, Block, Mask, find};

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

/// The bytes of a block that are no characters of `token`.
#[inline(always)]
pub(crate) fn no_token(block: Block) -> Mask {
    let symbols = block.is(b'!').or(block.is(b'%')).or(block.is(b'\'')).or(block.is(b'~'));
    // From `*` to `9` are all digits and four symbols; `,` and `/` are the ones that do not belong.
    let tokens = block.letters().or(block.within(b'*', b'9')).or(block.within(b'_', b'`')).or(symbols);
    !(tokens.mask() & !block.is(b',').or(block.is(b'/')).mask()) & ALL
}

/// Where the characters of `token` that start at `at` end.
#[inline]
pub(crate) fn token_end(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, no_token)
}

/// True for a non-empty `token`.
#[inline]
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && token_end(text, 0) == text.len()
}

/// True for linear white space within one (unfolded) line.
#[inline]
pub(crate) fn is_lws(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The first position from `at` on that is no white space.
#[inline]
pub(crate) fn skip_lws(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).copied().is_some_and(is_lws) {
        at += 1;
    }
    at
}

/// The text without white space at both ends.
#[inline]
pub(crate) fn trim(text: &str) -> &str {
    let bytes = text.as_bytes();
    // Why: most text that comes here was cut to size before.
    if bytes.first().is_some_and(|&b| b > b' ') && bytes.last().is_some_and(|&b| b > b' ') {
        return text;
    }
    let (start, mut end) = (skip_lws(bytes, 0), bytes.len());
    while end > start && is_lws(bytes[end - 1]) {
        end -= 1;
    }
    text.get(start..end).unwrap_or_default()
}

/// The text before and behind the first `separator` (an ASCII character).
#[inline]
pub(crate) fn cut(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = find(text.as_bytes(), 0, |b| b.is(separator).mask());
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Position just behind the quoted string that starts at `at` (a `"`); `None` if it never ends.
#[inline]
pub(crate) fn quoted_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at = find(bytes, at, |b| b.is(b'"').or(b.is(b'\\')).mask());
        if *bytes.get(at)? == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Position of the first `separator` outside quoted strings and angle brackets.
#[inline]
pub(crate) fn find_outside(bytes: &[u8], separator: u8) -> Option<usize> {
    // Why: most lines hold no separator at all.
    let mut at = find(bytes, 0, |b| b.is(separator).mask());
    bytes.get(at)?;
    at = 0;
    loop {
        at = find(bytes, at, |b| b.is(separator).or(b.is(b'"')).or(b.is(b'<')).mask());
        match bytes.get(at)? {
            b'"' => at = quoted_end(bytes, at)?,
            b'<' => at = find(bytes, at, |b| b.is(b'>').mask()) + 1,
            _ => return Some(at),
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
            let value = match find_outside(text.as_bytes(), b',') {
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
    let mut number: u64 = 0;
    for &byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = (number * 10 + u64::from(byte - b'0')).min(u64::from(u32::MAX));
    }
    u32::try_from(number).ok()
}

/// What no hexadecimal digit is worth.
const NO_DIGIT: u8 = u8::MAX;

#[allow(clippy::cast_possible_truncation)] // the table is indexed by bytes
const HEX: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut i = 0;
    while i < 16 {
        let digit = b"0123456789abcdef"[i];
        table[digit as usize] = i as u8;
        table[digit.to_ascii_uppercase() as usize] = i as u8;
        i += 1;
    }
    table
};

/// The value of two hexadecimal digits.
pub(crate) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let (high, low) = (HEX[usize::from(high)], HEX[usize::from(low)]);
    (high | low != NO_DIGIT).then_some(high << 4 | low)
}

/// The number that these hexadecimal digits write, if it fits.
#[inline]
pub(crate) fn hex_number(digits: &[u8]) -> Option<u32> {
    let (mut number, mut all) = (0_u64, 0);
    for &digit in digits {
        let digit = HEX[usize::from(digit)];
        all |= digit;
        // Too large stays too large.
        number = number.min(u64::from(u32::MAX)) << 4 | u64::from(digit);
    }
    if all == NO_DIGIT || digits.is_empty() { None } else { number.try_into().ok() }
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
    fn tokens_by_block_are_tokens_by_byte() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_token(&[byte]), is_token_byte(byte), "{byte:#x}");
            assert_eq!(token_end(&[b"a", &[byte; 30][..]].concat(), 1) > 1, is_token_byte(byte), "{byte:#x}");
        }
    }

    #[test]
    fn hexadecimal_digits_are_read_as_the_standard_library_reads_them() {
        for text in [
            "",
            "0",
            "00000001",
            "DEADbeef",
            "ffffffff",
            "100000000",
            "000000000001",
            "1g",
            "+1",
            "fffffffffff",
            "/",
            "é",
        ] {
            let plain = !text.starts_with('+');
            assert_eq!(
                hex_number(text.as_bytes()),
                u32::from_str_radix(text, 16).ok().filter(|_| plain),
                "{text}"
            );
        }
        for byte in 0..=u8::MAX {
            let digit = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            assert_eq!(hex_pair(b'2', byte), digit.map(|digit| 0x20 | digit));
            assert_eq!(hex_pair(byte, b'2'), digit.map(|digit| digit << 4 | 2));
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
