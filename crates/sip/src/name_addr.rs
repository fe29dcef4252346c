//! `name-addr` and `addr-spec` with header parameters (RFC 3261 §20.10, §25.1): From, To, Contact, Route and kin.
//!
//! In: one header value. Out: borrowed pieces. In the form without `<>` the parameters belong to the header, and
//! `,` or `?` is refused there.

use std::borrow::Cow;

use crate::chars::quoted_end;
use crate::error::HeaderError;
use crate::field::{Field, Piece};
use crate::params::{Params, params_end, plain_value_end, unescape_quoted, unquote};
use crate::uri::Uri;
use crate::uri::plain::Plain;

/// One address with its display name and header parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameAddr<'a> {
    display: Option<&'a str>,
    uri: &'a str,
    params: Params<'a>,
}

/// Where the parts of an address are in the text of its field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    /// Empty if there is no display name.
    pub(crate) display: Piece,
    pub(crate) uri: Piece,
    /// True if the URI is one of the usual form; otherwise it is not checked yet.
    pub(crate) checked: bool,
    pub(crate) params: Piece,
}

impl Parts {
    /// Finds the parts of the one value of this field; `None` if its quotes, brackets or display name are malformed.
    #[inline(always)]
    pub(crate) fn read(field: Field<'_>) -> Option<Parts> {
        let (start, end) = field.trim((field.start(), field.end()));
        let open = match field.byte(start).filter(|_| start < end)? {
            b'<' => start,
            b'"' => {
                let open = field.skip_lws(Self::quoted_end(field, start)?);
                if field.byte(open) != Some(b'<') {
                    return None;
                }
                open
            }
            // Why: a display name of tokens has none of these, so the first of them tells the forms apart.
            _ => {
                let at = field.find(start, |b| {
                    b.is(b'<').or(b.is(b';')).or(b.is(b':')).or(b.is(b',')).or(b.is(b'"')).mask()
                });
                if field.byte(at) != Some(b'<') {
                    return Self::read_bare(field, (start, end));
                }
                at
            }
        };
        // No URI has a `>`, so one that ends with it is all that is in the brackets.
        let end_of_uri = Plain::at(field, open + 1).map(|plain| plain.end());
        let (checked, close) = match end_of_uri.filter(|&end| field.byte(end) == Some(b'>')) {
            Some(end) => (true, end),
            None => (false, field.find(open + 1, |b| b.is(b'>').mask())),
        };
        field.byte(close)?;
        let rest = field.skip_lws(close + 1);
        if !matches!(field.byte(rest), None | Some(b';')) {
            return None;
        }
        let display = field.trim((start, open));
        Some(Parts { display, uri: (open + 1, close), checked, params: (rest.min(end), end) })
    }

    /// As [`quoted_end`], where nothing is escaped.
    #[inline(always)]
    fn quoted_end(field: Field<'_>, at: usize) -> Option<usize> {
        let end = field.find(at + 1, |b| b.is(b'"').or(b.is(b'\\')).mask());
        if field.byte(end)? == b'"' { Some(end + 1) } else { quoted_end(field.bytes(), at) }
    }

    /// An address without `<>`.
    fn read_bare(field: Field<'_>, (start, end): Piece) -> Option<Parts> {
        let split = field.find(start, |b| b.is(b';').mask()).min(end);
        let uri = field.trim((start, split));
        let bad = field.bytes().get(uri.0..uri.1)?.iter().any(|b| matches!(b, b'?' | b',' | b'<'));
        (!bad).then_some(Parts { display: (start, start), uri, checked: false, params: (split, end) })
    }

    /// The tag, where it is the only parameter and as nearly all are written: all that there is to check of such
    /// parameters, and what [`NameAddr::tag`] finds in them.
    #[inline(always)]
    pub(crate) fn lone_tag(&self, field: Field<'_>) -> Option<Piece> {
        let (start, end) = self.params;
        if !field.has(start, b";tag=") {
            return None;
        }
        (plain_value_end(field, start + 5) >= end).then_some((start + 5, end))
    }

    /// True if every parameter has a name of token characters and balanced quotes.
    #[inline]
    pub(crate) fn params_are_well_formed(&self, field: Field<'_>) -> bool {
        let (start, end) = self.params;
        start == end || params_end(field.bytes().get(..end).unwrap_or_default(), start) == Some(end)
    }
}

impl<'a> NameAddr<'a> {
    /// Reads one value and checks its URI.
    ///
    /// # Errors
    /// 400: unbalanced quotes or brackets, a display name that needs quotes, a malformed URI or parameter.
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let (addr, parts) = Self::read(value)?;
        if !parts.checked {
            Uri::check(addr.uri)?;
        }
        let good = parts.params_are_well_formed(Field::all(value));
        if good { Ok(addr) } else { Err(HeaderError("parameter")) }
    }

    /// As [`NameAddr::parse`], with the URI and the parameters unchecked.
    #[inline]
    pub(crate) fn split(value: &'a str) -> Result<Self, HeaderError> {
        Self::read(value).map(|(addr, _)| addr)
    }

    fn read(value: &'a str) -> Result<(Self, Parts), HeaderError> {
        const BAD: HeaderError = HeaderError("address");
        let parts = Parts::read(Field::all(value)).ok_or(BAD)?;
        let text = |(start, end): Piece| value.get(start..end).ok_or(BAD);
        let display = text(parts.display)?;
        let display = (!display.is_empty()).then_some(display);
        let params = Params::new(text(parts.params)?);
        Ok((NameAddr { display, uri: text(parts.uri)?, params }, parts))
    }

    /// Puts an address together that was read before.
    pub(crate) fn from_parts(display: Option<&'a str>, uri: &'a str, params: Params<'a>) -> Self {
        NameAddr { display, uri, params }
    }

    /// The display name as it stands, with its quotes.
    pub fn display(&self) -> Option<&'a str> {
        self.display
    }

    /// The display name as people read it: without quotes and escapes.
    pub fn display_unquoted(&self) -> Option<Cow<'a, str>> {
        self.display.map(|text| match text.strip_prefix('"') {
            Some(_) => unescape_quoted(unquote(text)),
            None => Cow::Borrowed(text),
        })
    }

    /// The URI's text.
    pub fn uri(&self) -> &'a str {
        self.uri
    }

    /// The parameters of the header (not of the URI).
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&'a str> {
        self.params.get("tag")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (value, display, uri, tag) in [
            ("<sip:a@b>;tag=1", None, "sip:a@b", Some("1")),
            ("sip:a@b;tag=1", None, "sip:a@b", Some("1")),
            ("Alice Smith <sip:a@b;x=1> ; tag = 1", Some("Alice Smith"), "sip:a@b;x=1", Some("1")),
            ("\"A, \\\"B\\\" <x>\"<sip:a@b>", Some("\"A, \\\"B\\\" <x>\""), "sip:a@b", None),
            ("caller<sip:caller@example.com>;tag=323", Some("caller"), "sip:caller@example.com", Some("323")),
        ] {
            let addr = NameAddr::parse(value).expect(value);
            assert_eq!((addr.display(), addr.uri(), addr.tag()), (display, uri, tag), "{value}");
        }
        let quoted = NameAddr::parse("\"A, \\\"B\\\" <x>\"<sip:a@b>").expect("quoted");
        assert_eq!(quoted.display_unquoted().as_deref(), Some("A, \"B\" <x>"));
    }

    proptest::proptest! {
        #[test]
        fn a_lone_tag_is_what_the_general_way_reads(
            pieces in proptest::collection::vec(proptest::sample::select(vec![
                ";tag=", ";", "tag", "=", "4c1f0a77", "a-tag-longer-than-a-block", " ", "\"", ",", "<", ">", "é", "x", "\t",
            ]), 0..6),
        ) {
            let text = format!("<sip:a@b>;tag={}", pieces.concat());
            let field = Field::all(&text);
            if let Some(parts) = Parts::read(field)
                && let Some((start, end)) = parts.lone_tag(field)
            {
                proptest::prop_assert!(parts.params_are_well_formed(field));
                proptest::prop_assert_eq!(NameAddr::parse(&text).expect("address").tag(), text.get(start..end));
            }
        }
    }

    #[test]
    fn refusals() {
        for value in [
            "",
            "\"Mr. J. User <sip:j.user@example.com>",
            "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
            "\"Watson, Thomas\" < sip:t.watson@example.org >",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "<sip:a@b",
            "<sip:a@b> x",
            "<sip:a@b>;;",
            "\"x\" sip:a@b",
        ] {
            assert!(NameAddr::parse(value).is_err(), "{value}");
        }
    }
}
