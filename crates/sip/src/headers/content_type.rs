//! Content-Type (RFC 3261 §20.15).

use crate::chars::{cut, is_token, trim};
use crate::error::HeaderError;
use crate::message::Message;
use crate::name::Name;
use crate::params::{Params, split_value};

/// A media type with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType<'a> {
    /// Type, such as `application`.
    pub kind: &'a str,
    /// Subtype, such as `pidf+xml`.
    pub subtype: &'a str,
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> ContentType<'a> {
    /// Reads a value.
    ///
    /// # Errors
    /// 400.
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        const BAD: HeaderError = HeaderError("Content-Type");
        let (range, params) = split_value(value);
        let (kind, subtype) = cut(range, b'/').ok_or(BAD)?;
        let (kind, subtype) = (trim(kind), trim(subtype));
        if !is_token(kind.as_bytes()) || !is_token(subtype.as_bytes()) {
            return Err(BAD);
        }
        Ok(ContentType { kind, subtype, params })
    }

    /// True if this is `type/subtype`, in any case and whatever the parameters.
    pub fn is(&self, media_type: &str) -> bool {
        media_type.split_once('/').is_some_and(|(kind, subtype)| {
            self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
        })
    }

    /// The boundary of a multipart type.
    pub fn boundary(&self) -> Option<&'a str> {
        self.params.get("boundary").filter(|boundary| !boundary.is_empty())
    }
}

impl Message {
    /// Content-Type; `None` if it is missing or malformed.
    pub fn content_type(&self) -> Option<ContentType<'_>> {
        self.header(Name::ContentType).and_then(|value| ContentType::parse(value).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let value = ContentType::parse("multipart/related; type=\"application/rlmi+xml\" ;boundary=\"a b\"")
            .expect("ct");
        assert!(value.is("Multipart/Related"));
        assert_eq!(value.boundary(), Some("a b"));
        for value in ["", "text", "/", "text/", "te xt/plain"] {
            assert!(ContentType::parse(value).is_err(), "{value}");
        }
    }
}
