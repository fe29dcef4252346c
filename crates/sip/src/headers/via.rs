//! Via (RFC 3261 §20.42, `rport` RFC 3581).

use std::net::IpAddr;

use crate::chars::{cut, find_outside, is_lws, is_token, trim, trim_start};
use crate::error::HeaderError;
use crate::params::Params;
use crate::uri::{Host, parse_ipv6, parse_port};

/// One hop of a message's way.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    transport: &'a str,
    host: Host<'a>,
    host_str: &'a str,
    port: Option<u16>,
    params: Params<'a>,
}

impl Default for Via<'_> {
    fn default() -> Self {
        Via { transport: "", host: Host::Name(""), host_str: "", port: None, params: Params::default() }
    }
}

impl<'a> Via<'a> {
    /// Reads one value.
    ///
    /// # Errors
    /// 400.
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let (via, rest) = Self::split_first(value)?;
        if rest.is_empty() { Ok(via) } else { Err(HeaderError("Via")) }
    }

    /// Reads the first value of a line; the rest of the line starts at its comma.
    #[inline]
    pub(crate) fn split_first(line: &'a str) -> Result<(Self, &'a str), HeaderError> {
        const BAD: HeaderError = HeaderError("Via");
        let (value, rest) = match memchr::memchr(b',', line.as_bytes()) {
            None => (line, ""),
            Some(_) => match find_outside(line, b',') {
                Some(at) => line.split_at_checked(at).ok_or(BAD)?,
                None => (line, ""),
            },
        };
        let after = match value.strip_prefix("SIP/2.0/") {
            Some(after) => after,
            None => {
                let (name, after) = cut(value, b'/').ok_or(BAD)?;
                let (version, after) = cut(after, b'/').ok_or(BAD)?;
                if !trim(name).eq_ignore_ascii_case("SIP") || trim(version) != "2.0" {
                    return Err(BAD);
                }
                trim_start(after)
            }
        };
        let end = after.bytes().position(is_lws).ok_or(BAD)?;
        let (transport, after) = after.split_at_checked(end).ok_or(BAD)?;
        if !is_token(transport.as_bytes()) {
            return Err(BAD);
        }
        let end = memchr::memchr(b';', after.as_bytes()).unwrap_or(after.len());
        let (sent_by, params) = after.split_at_checked(end).ok_or(BAD)?;
        let sent_by = trim(sent_by);
        let host_end = match sent_by.as_bytes().first() {
            Some(b'[') => memchr::memchr(b']', sent_by.as_bytes()).ok_or(BAD)? + 1,
            _ => memchr::memchr(b':', sent_by.as_bytes()).unwrap_or(sent_by.len()),
        };
        let (host_str, port) = sent_by.split_at_checked(host_end).ok_or(BAD)?;
        let host_str = trim(host_str);
        let port = match trim_start(port) {
            "" => None,
            port => Some(port.strip_prefix(':').map(trim).and_then(parse_port).ok_or(BAD)?),
        };
        let host = Host::parse(host_str).map_err(|_| BAD)?;
        let params = Params::new(params);
        if !params.is_well_formed() {
            return Err(BAD);
        }
        Ok((Via { transport, host, host_str, port, params }, rest))
    }

    /// Puts a Via together that was read before.
    pub(crate) fn from_parts(
        transport: &'a str,
        host: Host<'a>,
        host_str: &'a str,
        port: Option<u16>,
        params: &'a str,
    ) -> Self {
        Via { transport, host, host_str, port, params: Params::new(params) }
    }

    /// The transport token, such as `UDP`.
    pub fn transport(&self) -> &'a str {
        self.transport
    }

    /// The host the sender put in.
    pub fn sent_by(&self) -> Host<'a> {
        self.host
    }

    /// That host as written.
    pub fn sent_by_str(&self) -> &'a str {
        self.host_str
    }

    /// The port the sender put in.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// All parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// The branch.
    pub fn branch(&self) -> Option<&'a str> {
        self.params.get("branch")
    }

    /// The address the message came from, with or without brackets (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        bare.parse().ok().or_else(|| parse_ipv6(bare).map(IpAddr::V6))
    }

    /// `rport`: `Some(None)` asks for it, `Some(Some(port))` answers.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.find("rport").map(|value| value.and_then(parse_port))
    }

    /// `maddr`.
    pub fn maddr(&self) -> Option<&'a str> {
        self.params.get("maddr")
    }

    /// `ttl`.
    pub fn ttl(&self) -> Option<u8> {
        self.params.get("ttl")?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let line =
            "SIP  / 2.0  / TCP     spindle.example.com :5061  ;  branch  =   z9hG4bK9ikj8  , SIP/2.0/UDP x";
        let (via, rest) = Via::split_first(line).expect("via");
        assert_eq!(
            (via.transport(), via.sent_by_str(), via.port()),
            ("TCP", "spindle.example.com", Some(5061))
        );
        assert_eq!(via.branch(), Some("z9hG4bK9ikj8"));
        assert_eq!(rest, ", SIP/2.0/UDP x");
        let via = Via::parse("SIP/2.0/UDP [2001:db8::9:1]:5060;received=[2001:db8::9:255];rport;ttl=3")
            .expect("v6");
        assert_eq!(via.received().map(|ip| ip.to_string()).as_deref(), Some("2001:db8::9:255"));
        assert_eq!((via.rport(), via.ttl(), via.maddr()), (Some(None), Some(3), None));
    }

    #[test]
    fn refusals() {
        for value in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/1.0/UDP a",
            "SIP/2.0 UDP a",
            "SIP/2.0/UDP 192.0.2.15;;,;,,",
            "SIP/2.0/UDP a:99999",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP [::1",
        ] {
            assert!(Via::split_first(value).is_err(), "{value}");
        }
    }
}
