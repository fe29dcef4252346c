//! CSeq (RFC 3261 §20.16).

use crate::chars::{is_token, trim};
use crate::error::HeaderError;
use crate::method::Method;

/// Number and method of a request within its dialog or call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The number, below 2^32 (a sender starts below 2^31).
    pub seq: u32,
    /// The method.
    pub method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// Reads a value.
    ///
    /// # Errors
    /// 400.
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        const BAD: HeaderError = HeaderError("CSeq");
        let (seq, method) = trim(value).split_once([' ', '\t']).ok_or(BAD)?;
        let method = trim(method);
        if !seq.bytes().all(|b| b.is_ascii_digit()) || !is_token(method.as_bytes()) {
            return Err(BAD);
        }
        Ok(CSeq { seq: seq.parse().map_err(|_| BAD)?, method: Method::parse(method) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert_eq!(CSeq::parse("0009  INVITE"), Ok(CSeq { seq: 9, method: Method::Invite }));
        for value in ["", "1", "1INVITE", "-1 INVITE", "4294967296 INVITE", "1 IN VITE"] {
            assert!(CSeq::parse(value).is_err(), "{value}");
        }
    }
}
