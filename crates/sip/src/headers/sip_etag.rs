//! SIP-ETag and SIP-If-Match (RFC 3903 §11.3): one token each.

use crate::chars::{is_token, trim};
use crate::error::HeaderError;
use crate::message::Message;
use crate::name::Name;

/// Reads an entity-tag.
///
/// # Errors
/// 400: no token.
pub fn entity_tag(value: &str) -> Result<&str, HeaderError> {
    let value = trim(value);
    if is_token(value.as_bytes()) { Ok(value) } else { Err(HeaderError("entity-tag")) }
}

impl Message {
    /// The entity-tag a PUBLISH refers to: `Ok(None)` for an initial one.
    ///
    /// # Errors
    /// 400: the header is no token.
    pub fn sip_if_match(&self) -> Result<Option<&str>, HeaderError> {
        self.header(Name::SipIfMatch).map(entity_tag).transpose()
    }

    /// The entity-tag of a response to PUBLISH.
    pub fn sip_etag(&self) -> Option<&str> {
        self.header(Name::SipETag).and_then(|value| entity_tag(value).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        assert_eq!(entity_tag(" dx200xyz "), Ok("dx200xyz"));
        for value in ["", "a b", "\"a\"", "a,b"] {
            assert!(entity_tag(value).is_err(), "{value}");
        }
    }
}
