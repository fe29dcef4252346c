//! Content-Disposition (RFC 3261 §20.11).

use crate::chars::is_token;
use crate::error::HeaderError;
use crate::params::{Params, split_value};

/// How a body is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentDisposition<'a> {
    /// Such as `session`, `render`, `recipient-list`.
    pub kind: &'a str,
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> ContentDisposition<'a> {
    /// Reads a value.
    ///
    /// # Errors
    /// 400.
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        const BAD: HeaderError = HeaderError("Content-Disposition");
        let (kind, params) = split_value(value);
        if !is_token(kind.as_bytes()) {
            return Err(BAD);
        }
        Ok(ContentDisposition { kind, params })
    }

    /// True unless `handling=optional`: a body that is not understood is a 415.
    pub fn is_required(&self) -> bool {
        !self.params.get("handling").is_some_and(|h| h.eq_ignore_ascii_case("optional"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let value = ContentDisposition::parse("session;handling=optional").expect("value");
        assert_eq!((value.kind, value.is_required()), ("session", false));
        assert!(ContentDisposition::parse("recipient-list").expect("value").is_required());
        assert!(ContentDisposition::parse("").is_err());
    }
}
