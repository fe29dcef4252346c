//! Via (RFC 3261 §20.42, `rport` RFC 3581).

use std::net::IpAddr;

use crate::chars::{is_token_byte, skip_lws};
use crate::error::HeaderError;
use crate::field::{Field, Piece};
use crate::params::{Params, params_end, plain_value_end};
use crate::uri::{Host, parse_ipv6, parse_port, port_at};

/// One hop of a message's way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Via<'a> {
    transport: &'a str,
    host: &'a str,
    port: Option<u16>,
    params: Params<'a>,
    /// The branch, where [`Parts::branch`] is it.
    branch: Option<&'a str>,
}

/// Where the parts of a Via are in the text of its field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) transport: Piece,
    pub(crate) host: Piece,
    pub(crate) port: Option<u16>,
    pub(crate) params: Piece,
    /// The branch, where it is the first parameter and has no quotes, as in nearly all; empty otherwise.
    pub(crate) branch: Piece,
    /// Where the rest of the line starts: at a comma, or at the end.
    pub(crate) rest: usize,
}

impl Parts {
    /// Finds the parts of the first value of this field; `None` if it is malformed.
    #[inline(always)]
    pub(crate) fn read(field: Field<'_>) -> Option<Parts> {
        let bytes = field.bytes();
        let start = field.start();
        let start = if field.has(start, b"SIP/2.0/") { start + 8 } else { protocol_end(bytes, start)? };
        let mut end = start;
        // Why: a transport is a short word, so a loop over it is the faster way.
        while bytes.get(end).copied().is_some_and(is_token_byte) {
            end += 1;
        }
        let transport = (start, end);
        let start = field.skip_lws(end);
        if transport.0 == end || start == end {
            return None;
        }
        let end = Host::end_in(field, start)?;
        let host = (start, end);
        let mut port = None;
        let mut end = field.skip_lws(end);
        if field.byte(end) == Some(b':') {
            let (number, digits_end) = port_at(bytes, field.skip_lws(end + 1))?;
            port = Some(number);
            end = field.skip_lws(digits_end);
        }
        let (mut branch, mut checked) = ((0, 0), end);
        if field.has(end, b";branch=") {
            // Whatever else is in it is for the general way to judge, which starts where nothing is amiss yet.
            let value = end + 8;
            let behind = plain_value_end(field, value);
            if matches!(field.byte(behind), None | Some(b';')) {
                (branch, checked) = ((value, behind), behind);
            }
        }
        let rest = if field.has(checked, b";rport") && checked + 6 == field.end() {
            field.end()
        } else {
            params_end(bytes, checked)?
        };
        if !matches!(field.byte(rest), None | Some(b',')) {
            return None;
        }
        // Without parameters, what is left is empty or white space alone.
        let params = if field.byte(end) == Some(b';') { (end, rest) } else { (rest, rest) };
        Some(Parts { transport, host, port, params, branch, rest })
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
        let parts = Parts::read(Field::all(line)).ok_or(HeaderError("Via"))?;
        let text = |(start, end)| line.get(start..end).unwrap_or_default();
        Ok((Self::of_parts(&parts, text), text((parts.rest, line.len()))))
    }

    /// Puts together what was read before, of pieces of the same text.
    #[inline(always)]
    pub(crate) fn of_parts(parts: &Parts, text: impl Fn(Piece) -> &'a str) -> Self {
        Via {
            transport: text(parts.transport),
            host: text(parts.host),
            port: parts.port,
            params: Params::new(text(parts.params)),
            branch: (parts.branch.0 < parts.branch.1).then(|| text(parts.branch)),
        }
    }

    /// The transport token, such as `UDP`.
    pub fn transport(&self) -> &'a str {
        self.transport
    }

    /// The host the sender put in.
    pub fn sent_by(&self) -> Host<'a> {
        Host::parse(self.host).unwrap_or(Host::Name(self.host))
    }

    /// That host as written.
    pub fn sent_by_str(&self) -> &'a str {
        self.host
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
    #[inline]
    pub fn branch(&self) -> Option<&'a str> {
        if self.branch.is_some() { self.branch } else { branch_among(self.params) }
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

#[cold]
fn branch_among(params: Params<'_>) -> Option<&str> {
    params.get("branch")
}

/// Where `SIP / 2.0 /` ends, with the white space around its parts.
#[cold]
fn protocol_end(bytes: &[u8], start: usize) -> Option<usize> {
    let start = skip_lws(bytes, start);
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

    proptest::proptest! {
        #[test]
        fn a_branch_by_its_place_is_the_parameter(
            pieces in proptest::collection::vec(proptest::sample::select(vec![
                ";branch=", ";branch", ";rport", ";received=192.0.2.1", "=", "z9hG4bK-a-branch-of-some-length", "z9hG4bK1", " ",
                "\"", ",", "<", ";", "é", "\t",
            ]), 0..6),
        ) {
            let text = format!("SIP/2.0/UDP h:5;branch={}", pieces.concat());
            // The same parameters, behind one that keeps the branch from its place.
            let other = text.replacen(";branch=", ";x;branch=", 1);
            let read = |text: &str| Via::split_first(text).map(|(via, rest)| format!("{:?} {rest}", via.branch()));
            proptest::prop_assert_eq!(read(&text), read(&other));
            if let Ok((via, _)) = Via::split_first(&text) {
                proptest::prop_assert_eq!(via.branch(), via.params().get("branch"));
            }
        }
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
