//! `;name=value` parameters of headers and URIs (RFC 3261 §25.1 `generic-param`, `uri-parameters`).
//!
//! In: the text from the first `;`. Out: pairs, found on demand. Names compare case-insensitively; quoted values lose
//! their quotes but keep their backslashes (see [`unescape_quoted`]).

use std::borrow::Cow;

use crate::block::{Block, Mask, find};
use crate::chars::{cut, find_outside, is_token_byte, quoted_end, skip_lws, trim};
use crate::field::Field;
use crate::uri::unescape;

/// Parameters: a piece of text that is empty or starts with `;`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    raw: &'a str,
    /// True in a URI, where `%xx` in a name stands for a character (RFC 3261 §19.1.2).
    escapes: bool,
}

impl<'a> Params<'a> {
    /// Header parameters in this text, which is empty or starts with `;`.
    pub fn new(raw: &'a str) -> Self {
        Params { raw, escapes: false }
    }

    /// URI parameters in this text: names compare unescaped (values are given as written).
    pub fn of_uri(raw: &'a str) -> Self {
        Params { raw, escapes: true }
    }

    /// The text, with its leading `;`.
    pub fn as_str(&self) -> &'a str {
        self.raw
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// All parameters in order: name, and value if there is a `=`.
    pub fn iter(&self) -> ParamIter<'a> {
        ParamIter { rest: self.raw }
    }

    /// The value of the first parameter of this name that has one.
    #[inline(always)]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.find(name).flatten()
    }

    /// True if a parameter of this name is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The first parameter of this name: `Some(None)` is one without a value.
    #[inline(always)]
    pub fn find(&self, name: &str) -> Option<Option<&'a str>> {
        let mut rest = self.raw;
        while let Some(piece) = next_piece(&mut rest) {
            let (key, value) = split_pair(piece);
            // Why the first comparison: nearly all are written alike, and then that of a literal is of one word.
            if !piece.is_empty() && (key == name || self.is_same_name(key, name)) {
                return Some(value);
            }
        }
        None
    }

    fn is_same_name(&self, key: &str, name: &str) -> bool {
        key.len() == name.len() && key.eq_ignore_ascii_case(name)
            || self.escapes && key.contains('%') && unescape(key).eq_ignore_ascii_case(name)
    }

    /// True if every parameter has a name of token characters and balanced quotes; for header parameters.
    #[inline]
    pub(crate) fn is_well_formed(&self) -> bool {
        self.raw.is_empty() || params_end(self.raw.as_bytes(), 0) == Some(self.raw.len())
    }
}

/// Where the header parameters that start at `at`, with the white space behind them, end; `None` if one of them has no
/// name of token characters or an open quote.
pub(crate) fn params_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = skip_lws(bytes, at);
        if bytes.get(at) != Some(&b';') {
            return Some(at);
        }
        at = skip_lws(bytes, at + 1);
        let start = at;
        // Why: names are short, so a loop over them is the faster way.
        while bytes.get(at).copied().is_some_and(is_token_byte) {
            at += 1;
        }
        if at == start {
            return None;
        }
        at = skip_lws(bytes, at);
        if bytes.get(at) != Some(&b'=') {
            continue;
        }
        at = skip_lws(bytes, at + 1);
        if bytes.get(at) == Some(&b'"') {
            at = quoted_end(bytes, at)?;
            continue;
        }
        // What ends a value ends the parameters as well, unless it is white space or the next one.
        at = find(bytes, at, no_value);
    }
}

/// What ends a parameter's value that has no quotes.
#[inline(always)]
fn no_value(block: Block) -> Mask {
    // `<` and `>`, ` ` and `"` are one bit apart.
    let folded = block.without(2);
    let ends = block.is(b';').or(block.is(b'\t')).or(block.is(b','));
    ends.or(folded.is(b' ')).or(folded.is(b'<')).mask()
}

/// Where the value without quotes that starts at `at` ends.
#[inline(always)]
pub(crate) fn plain_value_end(field: Field<'_>, at: usize) -> usize {
    field.find(at, no_value)
}

impl<'a> IntoIterator for Params<'a> {
    type Item = (&'a str, Option<&'a str>);
    type IntoIter = ParamIter<'a>;

    fn into_iter(self) -> ParamIter<'a> {
        self.iter()
    }
}

/// Iterator over [`Params`].
#[derive(Clone, Debug)]
pub struct ParamIter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for ParamIter<'a> {
    type Item = (&'a str, Option<&'a str>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let piece = next_piece(&mut self.rest)?;
            if !piece.is_empty() {
                return Some(split_pair(piece));
            }
        }
    }
}

/// Cuts the text before the next `;` off; a leading `;` is skipped. `None` at the end.
#[inline]
pub(crate) fn next_piece<'a>(rest: &mut &'a str) -> Option<&'a str> {
    if rest.is_empty() {
        return None;
    }
    let text = rest.strip_prefix(';').unwrap_or(rest);
    let bytes = text.as_bytes();
    let end = match find(bytes, 0, |b| b.is(b';').or(b.is(b'"')).or(b.is(b'<')).mask()) {
        at if matches!(bytes.get(at), None | Some(b';')) => at,
        _ => find_outside(bytes, b';').unwrap_or(text.len()),
    };
    let (piece, tail) = text.split_at_checked(end).unwrap_or((text, ""));
    *rest = tail;
    Some(trim(piece))
}

/// A value such as `active;expires=5`: what is before the first `;`, and the parameters.
#[inline]
pub(crate) fn split_value(value: &str) -> (&str, Params<'_>) {
    let end = find(value.as_bytes(), 0, |b| b.is(b';').mask());
    let (front, params) = value.split_at_checked(end).unwrap_or((value, ""));
    (trim(front), Params::new(params))
}

/// `name = value` with the quotes of the value taken off.
#[inline]
pub(crate) fn split_pair(piece: &str) -> (&str, Option<&str>) {
    match cut(piece, b'=') {
        None => (piece, None),
        Some((name, value)) => (trim(name), Some(unquote(trim(value)))),
    }
}

/// The text without its surrounding quotes, if it has both.
#[inline]
pub(crate) fn unquote(text: &str) -> &str {
    match text.as_bytes() {
        [b'"', .., b'"'] => text.get(1..text.len() - 1).unwrap_or(text),
        _ => text,
    }
}

/// The text of a quoted string (without its quotes) with every `\x` turned into `x`.
pub fn unescape_quoted(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            out.extend(chars.next());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The text with `\` put before every `"` and `\`, for use between quotes.
pub fn escape_quoted(text: &str) -> Cow<'_, str> {
    if !text.contains(['"', '\\']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_with_quotes_and_white_space() {
        let params = Params::new(" ; a = 1;B;c=\"x;\\\"y\" ;lr;expires=60");
        assert_eq!(params.get("A"), Some("1"));
        assert!(params.has("b"));
        assert_eq!(params.get("b"), None);
        assert_eq!(params.get("c"), Some("x;\\\"y"));
        assert_eq!(unescape_quoted("x;\\\"y"), "x;\"y");
        assert_eq!(params.get("expires"), Some("60"));
        assert_eq!(params.get("d"), None);
        assert_eq!(params.iter().count(), 5);
    }

    #[test]
    fn a_value_ends_where_it_should() {
        for byte in 0..=u8::MAX {
            let ends = b"; \t\",<>".contains(&byte);
            assert_eq!(no_value(Block::new([byte; 16])) != 0, ends, "{byte:#x}");
        }
    }

    #[test]
    fn well_formed_means_named_and_balanced() {
        for (text, want) in [
            ("", true),
            (";a", true),
            (" ; a = b ; c", true),
            (";a=\"x;,y\"", true),
            (";received=[2001:db8::1]", true),
            (";;", false),
            (";", false),
            (";a=\"x", false),
            (";a=b,c", false),
            ("a", false),
            (";=b", false),
            (";a b", false),
        ] {
            assert_eq!(Params::new(text).is_well_formed(), want, "{text}");
        }
    }
}
