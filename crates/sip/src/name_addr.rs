//! `name-addr` and `addr-spec` with header parameters (RFC 3261 §20.10, §25.1): From, To, Contact, Route and kin.
//!
//! In: one header value. Out: borrowed pieces. In the form without `<>` the parameters belong to the header, and
//! `,` or `?` is refused there.

use std::borrow::Cow;

use crate::block::find;
use crate::chars::{quoted_end, skip_lws, trim};
use crate::error::HeaderError;
use crate::params::{Params, unescape_quoted, unquote};
use crate::uri::Uri;

/// One address with its display name and header parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameAddr<'a> {
    display: Option<&'a str>,
    uri: &'a str,
    params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value and checks its URI.
    ///
    /// # Errors
    /// 400: unbalanced quotes or brackets, a display name that needs quotes, a malformed URI or parameter.
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let addr = Self::split(value)?;
        addr.check()?;
        Ok(addr)
    }

    /// Checks what [`NameAddr::split`] leaves unchecked.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), HeaderError> {
        Uri::check(self.uri)?;
        if self.params.is_well_formed() { Ok(()) } else { Err(HeaderError("parameter")) }
    }

    /// As [`NameAddr::parse`], with the URI and the parameters unchecked.
    #[inline]
    pub(crate) fn split(value: &'a str) -> Result<Self, HeaderError> {
        const BAD: HeaderError = HeaderError("address");
        let value = trim(value);
        let bytes = value.as_bytes();
        let open = match bytes.first() {
            None => return Err(BAD),
            Some(b'<') => Some(0),
            Some(b'"') => {
                let open = skip_lws(bytes, quoted_end(bytes, 0).ok_or(BAD)?);
                if bytes.get(open) != Some(&b'<') {
                    return Err(BAD);
                }
                Some(open)
            }
            // Why: a display name of tokens has none of these, so the first of them tells the forms apart.
            Some(_) => {
                let at = find(bytes, 0, |b| {
                    b.is(b'<').or(b.is(b';')).or(b.is(b':')).or(b.is(b',')).or(b.is(b'"')).mask()
                });
                (bytes.get(at) == Some(&b'<')).then_some(at)
            }
        };
        let Some(open) = open else {
            let end = find(bytes, 0, |b| b.is(b';').mask());
            let (uri, params) = value.split_at_checked(end).ok_or(BAD)?;
            let uri = trim(uri);
            if uri.bytes().any(|b| matches!(b, b'?' | b',' | b'<')) {
                return Err(BAD);
            }
            return Ok(NameAddr { display: None, uri, params: Params::new(params) });
        };
        let display = trim(value.get(..open).ok_or(BAD)?);
        let close = find(bytes, open + 1, |b| b.is(b'>').mask());
        bytes.get(close).ok_or(BAD)?;
        let uri = value.get(open + 1..close).ok_or(BAD)?;
        let rest = skip_lws(bytes, close + 1);
        if !matches!(bytes.get(rest), None | Some(b';')) {
            return Err(BAD);
        }
        let params = Params::new(value.get(rest..).ok_or(BAD)?);
        Ok(NameAddr { display: (!display.is_empty()).then_some(display), uri, params })
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
