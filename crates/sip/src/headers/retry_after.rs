//! Retry-After (RFC 3261 §20.33): seconds, an optional comment, parameters.

use crate::chars::{digits_saturating, trim};
use crate::error::HeaderError;
use crate::message::Message;
use crate::name::Name;
use crate::params::Params;

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter<'a> {
    /// Seconds, cut to 2^32-1.
    pub seconds: u32,
    /// Parameters, such as `duration`.
    pub params: Params<'a>,
}

impl<'a> RetryAfter<'a> {
    /// Reads a value; the comment is skipped.
    ///
    /// # Errors
    /// 400.
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        const BAD: HeaderError = HeaderError("Retry-After");
        let end = value.find(['(', ';']).unwrap_or(value.len());
        let (seconds, rest) = value.split_at_checked(end).ok_or(BAD)?;
        let seconds = digits_saturating(trim(seconds)).ok_or(BAD)?;
        let params = match rest.rfind(')') {
            Some(at) => trim(rest.get(at + 1..).unwrap_or_default()),
            None if rest.starts_with('(') => return Err(BAD),
            None => rest,
        };
        Ok(RetryAfter { seconds, params: Params::new(params) })
    }
}

impl Message {
    /// Retry-After in seconds; `None` if it is missing or malformed.
    pub fn retry_after(&self) -> Option<u32> {
        self.header(Name::RetryAfter)
            .and_then(|value| RetryAfter::parse(value).ok())
            .map(|value| value.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (value, want) in [
            ("18000;duration=3600", Ok((18000, Some("3600")))),
            ("120 (I'm in a meeting)", Ok((120, None))),
            ("949302838503028349304023988", Ok((u32::MAX, None))),
            ("soon", Err(HeaderError("Retry-After"))),
        ] {
            let got = RetryAfter::parse(value).map(|r| (r.seconds, r.params.get("duration")));
            assert_eq!(got, want, "{value}");
        }
    }
}
