//! Route, Record-Route and Path values (RFC 3261 §20.30, §20.34, RFC 3327): lists of name-addr.

use crate::chars::Commas;
use crate::error::HeaderError;
use crate::name_addr::NameAddr;
use crate::uri::Uri;

/// One entry of a route set.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    value: &'a str,
    uri: Uri<'a>,
}

impl<'a> Route<'a> {
    /// Reads one value, which has its URI in `<>`.
    ///
    /// # Errors
    /// 400.
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let addr = NameAddr::parse(value).map_err(|_| HeaderError("route"))?;
        if !value.contains('<') {
            return Err(HeaderError("route"));
        }
        Ok(Route { value, uri: Uri::parse(addr.uri())? })
    }

    /// The whole value, as it goes into another header.
    pub fn value(&self) -> &'a str {
        self.value
    }

    /// The URI.
    pub fn uri(&self) -> Uri<'a> {
        self.uri
    }

    /// True for a loose router (`;lr`).
    pub fn is_loose(&self) -> bool {
        self.uri.params().has("lr")
    }
}

/// The entries of a list as it stands in one header line.
pub fn split(list: &str) -> impl Iterator<Item = &str> {
    Commas::new(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let route = Route::parse("<sip:p1.example.com;lr;x=y>;foo=bar").expect("route");
        assert!(route.is_loose());
        assert_eq!(route.uri().host_str(), "p1.example.com");
        assert!(!Route::parse("<sip:p1.example.com>").expect("strict").is_loose());
        assert!(Route::parse("sip:p1.example.com;lr").is_err());
    }
}
