//! Expires, Min-Expires and other `delta-seconds` (RFC 3261 §20.19, §20.23).

use crate::chars::{digits_saturating, trim};
use crate::error::HeaderError;
use crate::message::Message;
use crate::name::Name;

/// Reads seconds, cut to 2^32-1.
///
/// # Errors
/// 400: no number.
pub fn delta_seconds(value: &str) -> Result<u32, HeaderError> {
    digits_saturating(trim(value)).ok_or(HeaderError("delta-seconds"))
}

impl Message {
    /// The Expires header in seconds; `None` if it is missing or no number (RFC 3261 §20.19: then the default holds).
    pub fn expires(&self) -> Option<u32> {
        self.header(Name::Expires).and_then(|value| delta_seconds(value).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds() {
        assert_eq!(delta_seconds(" 0068 "), Ok(68));
        assert_eq!(delta_seconds("1000000000000000000"), Ok(u32::MAX));
        for value in ["", "-5", "1.5", "Thu, 01 Dec 1994 16:00:00 GMT"] {
            assert!(delta_seconds(value).is_err(), "{value}");
        }
    }
}
