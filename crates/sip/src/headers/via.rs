//! Via (RFC 3261 §20.42, `rport` RFC 3581).

use std::net::IpAddr;

use crate::chars::{is_token_byte, skip_lws};
use crate::error::HeaderError;
use crate::params::{Params, params_end};
use crate::uri::{Host, parse_ipv6, parse_port, port_at};

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
        Self::read_first(line).ok_or(HeaderError("Via"))
    }

    #[inline(always)]
    fn read_first(line: &'a str) -> Option<(Self, &'a str)> {
        let bytes = line.as_bytes();
        let start = if bytes.first_chunk() == Some(b"SIP/2.0/") { 8 } else { protocol_end(bytes)? };
        let mut end = start;
        // Why: a transport is a short word, so a loop over it is the faster way.
        while bytes.get(end).copied().is_some_and(is_token_byte) {
            end += 1;
        }
        let transport = line.get(start..end)?;
        let start = skip_lws(bytes, end);
        if transport.is_empty() || start == end {
            return None;
        }
        let (host, end) = Host::at(line, start)?;
        let host_str = line.get(start..end)?;
        let mut port = None;
        let mut end = skip_lws(bytes, end);
        if bytes.get(end) == Some(&b':') {
            let (number, digits_end) = port_at(bytes, skip_lws(bytes, end + 1))?;
            port = Some(number);
            end = skip_lws(bytes, digits_end);
        }
        let rest = params_end(bytes, end)?;
        if !matches!(bytes.get(rest), None | Some(b',')) {
            return None;
        }
        // Without parameters, what is left is empty or white space alone.
        let params = if bytes.get(end) == Some(&b';') { line.get(end..rest)? } else { line.get(rest..rest)? };
        Some((Via { transport, host, host_str, port, params: Params::new(params) }, line.get(rest..)?))
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

/// Where `SIP / 2.0 /` ends, with the white space around its parts.
#[cold]
fn protocol_end(bytes: &[u8]) -> Option<usize> {
    let start = skip_lws(bytes, 0);
    let name = bytes.get(start..start + 3)?;
    let slash = skip_lws(bytes, start + 3);
    let start = skip_lws(bytes, slash + 1);
    let version = bytes.get(start..start + 3)?;
    let end = skip_lws(bytes, start + 3);
    let slashes = bytes.get(slash) == Some(&b'/') && bytes.get(end) == Some(&b'/');
    (slashes && name.eq_ignore_ascii_case(b"SIP") && version == b"2.0").then(|| skip_lws(bytes, end + 1))
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
