//! SIP, SIPS, tel and other URIs (RFC 3261 §19.1, RFC 3966), borrowed from their text.
//!
//! In: text. Out: pieces and RFC 3261 §19.1.4 equality. Open to any scheme: what is behind an unknown one is kept and
//! not judged. Not here: which URI is ours, and where to send.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::chars::{cut, hex_pair, is_token_byte};
use crate::error::UriError;
use crate::params::Params;

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme<'a> {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other, as written.
    Other(&'a str),
}

impl<'a> Scheme<'a> {
    /// The scheme's text, without the colon.
    pub fn as_str(&self) -> &'a str {
        match self {
            Scheme::Sip => "sip",
            Scheme::Sips => "sips",
            Scheme::Tel => "tel",
            Scheme::Other(text) => text,
        }
    }
}

/// A host: an address or a name.
#[derive(Clone, Copy, Debug)]
pub enum Host<'a> {
    /// IPv4 address.
    Ipv4(Ipv4Addr),
    /// IPv6 address.
    Ipv6(Ipv6Addr),
    /// Domain name; empty for URIs that have no host. Names compare case-insensitively.
    Name(&'a str),
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Host::Ipv4(a), Host::Ipv4(b)) => a == b,
            (Host::Ipv6(a), Host::Ipv6(b)) => a == b,
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            _ => false,
        }
    }
}

impl Eq for Host<'_> {}

impl<'a> Host<'a> {
    /// Reads a host, an IPv6 address in brackets.
    ///
    /// # Errors
    /// [`UriError::Host`].
    #[inline]
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        let bytes = text.as_bytes();
        match (bytes.first(), bytes.last()) {
            (Some(b'['), Some(b']')) => {
                text.get(1..text.len() - 1).and_then(parse_ipv6).map(Host::Ipv6).ok_or(UriError::Host)
            }
            _ if skip(bytes, 0, HOST) == bytes.len() => Self::of_host_bytes(text),
            _ => Err(UriError::Host),
        }
    }

    /// A host without brackets, of host characters alone.
    #[inline]
    fn of_host_bytes(text: &'a str) -> Result<Self, UriError> {
        match (text.as_bytes().first(), text.as_bytes().last()) {
            (Some(b'0'..=b'9'), Some(b'0'..=b'9')) => {
                Ok(parse_ipv4(text.as_bytes()).map_or(Host::Name(text), Host::Ipv4))
            }
            (Some(_), Some(_)) => Ok(Host::Name(text)),
            _ => Err(UriError::Host),
        }
    }

    /// The address, if this is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Ipv4(ip) => Some(IpAddr::V4(*ip)),
            Host::Ipv6(ip) => Some(IpAddr::V6(*ip)),
            Host::Name(_) => None,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ipv4(ip) => write!(f, "{ip}"),
            Host::Ipv6(ip) => write!(f, "[{ip}]"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

/// Four decimal numbers up to 255, without leading zeros, as the standard library reads them but in one pass.
#[inline]
fn parse_ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    if text.len() > 15 {
        return None;
    }
    let mut octets = [0_u8; 4];
    let (mut index, mut number, mut digits) = (0, 0_u16, 0_u8);
    for &byte in text {
        if byte == b'.' {
            if digits == 0 || index == 3 {
                return None;
            }
            octets[index] = u8::try_from(number).ok()?;
            index += 1;
            (number, digits) = (0, 0);
        } else {
            let leading_zero = digits > 0 && number == 0;
            if !byte.is_ascii_digit() || digits == 3 || leading_zero {
                return None;
            }
            number = number * 10 + u16::from(byte - b'0');
            digits += 1;
        }
    }
    if digits == 0 || index != 3 {
        return None;
    }
    octets[3] = u8::try_from(number).ok()?;
    Some(Ipv4Addr::from(octets))
}

/// An IPv6 address without brackets; `:::` before an IPv4 tail is read as `::` (RFC 5118 §4.10).
pub(crate) fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let at = text.find(":::")?;
    let mut mended = String::with_capacity(text.len());
    mended.push_str(text.get(..at)?);
    mended.push_str(text.get(at + 1..)?);
    mended.parse().ok()
}

/// A URI in pieces.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    raw: &'a str,
    scheme: Scheme<'a>,
    user: Option<&'a str>,
    password: Option<&'a str>,
    host: Host<'a>,
    host_str: &'a str,
    port: Option<u16>,
    params: Params<'a>,
    headers: Option<&'a str>,
}

/// May stand in the user part (RFC 3261 §25.1 `userinfo`, read liberally: no `@`).
const USER: u8 = 1;
/// May stand in a host name. Interop: `_` is no letter of a host name, but names with it are in use.
const HOST: u8 = 2;
/// May stand behind the host, but for the `?` that starts the headers.
const TAIL: u8 = 4;
/// May stand in a URI of unknown scheme (RFC 3986 §2).
const ANY: u8 = 8;

#[allow(clippy::cast_possible_truncation)] // the table is indexed by bytes
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        let forbidden = byte <= b' '
            || byte == 0x7f
            || matches!(byte, b'<' | b'>' | b'"' | b'\\' | b'^' | b'{' | b'}' | b'|');
        if !forbidden {
            table[i] = TAIL | USER;
            if byte != b'`' {
                table[i] |= ANY;
            }
        }
        if byte == b'@' {
            table[i] &= !USER;
        }
        if byte == b'?' {
            table[i] &= !TAIL;
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            table[i] |= HOST;
        }
        i += 1;
    }
    table
};

/// The first position from `at` on whose byte is not of this class.
#[inline]
fn skip(bytes: &[u8], mut at: usize, class: u8) -> usize {
    while let Some(&byte) = bytes.get(at) {
        if CLASS[usize::from(byte)] & class == 0 {
            break;
        }
        at += 1;
    }
    at
}

impl<'a> Uri<'a> {
    /// Reads a URI of any scheme; `sip:`, `sips:` and `tel:` are checked in detail.
    ///
    /// # Errors
    /// [`UriError`], which is a 400 where the URI stands in a message.
    #[inline]
    pub fn parse(raw: &'a str) -> Result<Self, UriError> {
        let (scheme, rest) = match raw.strip_prefix("sip:") {
            Some(rest) => ("sip", rest),
            None => cut(raw, b':').ok_or(UriError::Scheme)?,
        };
        let scheme = if scheme.eq_ignore_ascii_case("sip") {
            Scheme::Sip
        } else if scheme.eq_ignore_ascii_case("sips") {
            Scheme::Sips
        } else if scheme.eq_ignore_ascii_case("tel") {
            Scheme::Tel
        } else {
            let mut bytes = scheme.bytes();
            let good = bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
                && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
            if !good {
                return Err(UriError::Scheme);
            }
            Scheme::Other(scheme)
        };
        let bare = Uri {
            raw,
            scheme,
            user: None,
            password: None,
            host: Host::Name(""),
            host_str: "",
            port: None,
            params: Params::default(),
            headers: None,
        };
        match scheme {
            Scheme::Sip | Scheme::Sips => bare.parse_sip(rest),
            Scheme::Tel => bare.parse_tel(rest),
            Scheme::Other(_) => {
                if rest.is_empty() || skip(rest.as_bytes(), 0, ANY) < rest.len() {
                    return Err(UriError::Character);
                }
                // Why: `pres:` and `im:` URIs name a user as `sip:` ones do; anything else stays opaque.
                Ok(if rest.contains('@') { bare.parse_sip(rest).unwrap_or(bare) } else { bare })
            }
        }
    }

    fn parse_sip(mut self, rest: &'a str) -> Result<Self, UriError> {
        let bytes = rest.as_bytes();
        let mut at = 0;
        let user_end = skip(bytes, 0, USER);
        if bytes.get(user_end) == Some(&b'@') {
            let userinfo = rest.get(..user_end).ok_or(UriError::User)?;
            let (user, password) = match cut(userinfo, b':') {
                Some((user, password)) => (user, Some(password)),
                None => (userinfo, None),
            };
            if user.is_empty() {
                return Err(UriError::User);
            }
            self.user = Some(user);
            self.password = password;
            at = user_end + 1;
        } else if user_end < bytes.len() && memchr::memchr(b'@', bytes).is_some() {
            return Err(UriError::User);
        }
        let host_start = at;
        if bytes.get(at) == Some(&b'[') {
            at += memchr::memchr(b']', bytes.get(at..).unwrap_or_default()).ok_or(UriError::Host)? + 1;
            self.host_str = rest.get(host_start..at).ok_or(UriError::Host)?;
            self.host = Host::parse(self.host_str)?;
        } else {
            at = skip(bytes, at, HOST);
            self.host_str = rest.get(host_start..at).ok_or(UriError::Host)?;
            self.host = Host::of_host_bytes(self.host_str)?;
        }
        if bytes.get(at) == Some(&b':') {
            let digits =
                bytes.get(at + 1..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
            let port = rest.get(at + 1..at + 1 + digits).and_then(parse_port).ok_or(UriError::Port)?;
            self.port = Some(port);
            at += 1 + digits;
            if !matches!(bytes.get(at), None | Some(b';' | b'?')) {
                return Err(UriError::Port);
            }
        }
        let params_start = at;
        match bytes.get(at) {
            None => return Ok(self),
            Some(b';') => at = skip(bytes, at, TAIL),
            Some(b'?') => {}
            Some(_) => return Err(UriError::Host),
        }
        self.params = Params::of_uri(rest.get(params_start..at).ok_or(UriError::Param)?);
        match bytes.get(at) {
            None => return Ok(self),
            Some(b'?') => {}
            Some(_) => return Err(UriError::Character),
        }
        self.headers = rest.get(at + 1..);
        if skip(bytes, at + 1, TAIL | USER) < bytes.len() {
            return Err(UriError::Character);
        }
        Ok(self)
    }

    fn parse_tel(mut self, rest: &'a str) -> Result<Self, UriError> {
        let end = rest.bytes().position(|b| b == b';').unwrap_or(rest.len());
        let (number, params) = rest.split_at_checked(end).ok_or(UriError::User)?;
        let digits = number.strip_prefix('+').unwrap_or(number);
        let good = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#' | b'-' | b'.' | b'(' | b')');
        if digits.is_empty() || !digits.bytes().all(good) {
            return Err(UriError::User);
        }
        if skip(params.as_bytes(), 0, TAIL | USER) < params.len() {
            return Err(UriError::Character);
        }
        self.user = Some(number);
        self.params = Params::of_uri(params);
        Ok(self)
    }

    /// The whole text.
    pub fn as_str(&self) -> &'a str {
        self.raw
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme<'a> {
        self.scheme
    }

    /// The user part as written; for `tel:` the number.
    pub fn user(&self) -> Option<&'a str> {
        self.user
    }

    /// The user part with its `%xx` escapes taken out. A user that would not be UTF-8 stays as written; a NUL is a
    /// character like any other and ends nothing.
    pub fn user_unescaped(&self) -> Option<Cow<'a, str>> {
        self.user.map(unescape)
    }

    /// The password (never use it, RFC 3261 §19.1.1).
    pub fn password(&self) -> Option<&'a str> {
        self.password
    }

    /// The host; an empty name for `tel:` and opaque URIs.
    pub fn host(&self) -> Host<'a> {
        self.host
    }

    /// The host as written.
    pub fn host_str(&self) -> &'a str {
        self.host_str
    }

    /// The port, if written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The URI parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// The text behind `?`, if there is one.
    pub fn headers(&self) -> Option<&'a str> {
        self.headers
    }

    /// The digits of a `tel:` number or a phone-like user part, without visual separators; a leading `+` stays.
    pub fn tel_digits(&self) -> Option<Cow<'a, str>> {
        let user = self.user?;
        if user.contains(['-', '.', '(', ')']) {
            Some(Cow::Owned(user.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect()))
        } else {
            Some(Cow::Borrowed(user))
        }
    }

    /// RFC 3261 §19.1.4 (for `tel:` RFC 3966 §4) equality; other schemes compare as text.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        match (self.scheme, other.scheme) {
            (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) => {}
            (Scheme::Tel, Scheme::Tel) => {
                let number = |uri: &Uri<'_>| uri.tel_digits().map(|d| d.to_ascii_lowercase());
                let within = |a: &Uri<'_>, b: &Uri<'_>| {
                    a.params.iter().all(|(name, value)| {
                        b.params.find(name).is_some_and(|v| same_text(v.unwrap_or(""), value.unwrap_or("")))
                    })
                };
                return number(self) == number(other) && within(self, other) && within(other, self);
            }
            (Scheme::Other(a), Scheme::Other(b)) => {
                let rest = |uri: &Uri<'_>, n: usize| uri.raw.get(n..).map(str::to_owned);
                return a.eq_ignore_ascii_case(b) && rest(self, a.len()) == rest(other, b.len());
            }
            _ => return false,
        }
        // Why: these never match when only one side has them; all others matter only when both have them.
        const STRICT: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
        let params_match = |a: &Uri<'_>, b: &Uri<'_>| {
            a.params.iter().all(|(name, value)| {
                let name = unescape(name);
                match b.params.find(&name) {
                    Some(found) => same_text(found.unwrap_or(""), value.unwrap_or("")),
                    None => !STRICT.iter().any(|s| s.eq_ignore_ascii_case(&name)),
                }
            })
        };
        self.user_unescaped() == other.user_unescaped()
            && self.password.map(unescape) == other.password.map(unescape)
            && self.host == other.host
            && self.port == other.port
            && params_match(self, other)
            && params_match(other, self)
            && same_headers(self.headers, other.headers)
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.raw)
    }
}

fn same_text(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || unescape(a).eq_ignore_ascii_case(&unescape(b))
}

fn same_headers(a: Option<&str>, b: Option<&str>) -> bool {
    let pairs = |text: Option<&str>| {
        let mut all: Vec<(String, String)> = text
            .unwrap_or("")
            .split('&')
            .filter(|p| !p.is_empty())
            .map(|p| p.split_once('=').unwrap_or((p, "")))
            .map(|(k, v)| (unescape(k).to_ascii_lowercase(), unescape(v).into_owned()))
            .collect();
        all.sort();
        all
    };
    (a.is_none() && b.is_none()) || pairs(a) == pairs(b)
}

pub(crate) fn parse_port(text: &str) -> Option<u16> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0_u16, |port, b| {
        let digit = b.is_ascii_digit().then(|| u16::from(b - b'0'))?;
        port.checked_mul(10)?.checked_add(digit)
    })
}

/// The text with `%xx` escapes taken out; unchanged if the result would not be UTF-8.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = match (byte, bytes.get(at + 1), bytes.get(at + 2)) {
            (b'%', Some(&high), Some(&low)) => hex_pair(high, low),
            _ => None,
        };
        match pair {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The text as a user part: everything but `unreserved` and `user-unreserved` becomes `%XX`.
pub fn escape_user(text: &str) -> Cow<'_, str> {
    let plain = |b: u8| {
        (is_token_byte(b) && b != b'%' && b != b'`')
            || matches!(b, b'(' | b')' | b'&' | b'=' | b'$' | b',' | b';' | b'?' | b'/')
    };
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            const HEX: [char; 16] =
                ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
            out.push('%');
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_is_read_as_the_standard_library_reads_it() {
        for text in [
            "",
            ".",
            "...",
            "1.2.3",
            "1.2.3.",
            ".1.2.3",
            "1..2.3",
            "1.2.3.4",
            "0.0.0.0",
            "255.255.255.255",
            "256.1.1.1",
            "1.1.1.256",
            "01.2.3.4",
            "00.2.3.4",
            "1.2.3.04",
            "1.2.3.4.5",
            "1.2.3.1000",
            "1.2.3.a",
            "999.1.1.1",
            "192.0.2.17",
            "1.2.3.4 ",
            "+1.2.3.4",
            "192.168.100.2000",
        ] {
            assert_eq!(parse_ipv4(text.as_bytes()), text.parse().ok(), "{text:?}");
        }
    }

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn pieces() {
        type Row = (
            &'static str,
            Option<&'static str>,
            &'static str,
            Option<u16>,
            &'static str,
            Option<&'static str>,
        );
        let rows: &[Row] = &[
            ("sip:alice@example.com", Some("alice"), "example.com", None, "", None),
            (
                "SIPS:alice:pw@[2001:db8::1]:5061;lr?a=b",
                Some("alice"),
                "[2001:db8::1]",
                Some(5061),
                ";lr",
                Some("a=b"),
            ),
            ("sip:192.0.2.1:5060", None, "192.0.2.1", Some(5060), "", None),
            ("sip:user;par=u%40x@example.com", Some("user;par=u%40x"), "example.com", None, "", None),
            (
                "tel:+1-201-555-0123;phone-context=x",
                Some("+1-201-555-0123"),
                "",
                None,
                ";phone-context=x",
                None,
            ),
            ("pres:bob@example.com", Some("bob"), "example.com", None, "", None),
            ("urn:service:sos", None, "", None, "", None),
            ("sip:*97#@pbx", Some("*97#"), "pbx", None, "", None),
        ];
        for (text, user, host, port, params, headers) in rows {
            let uri = uri(text);
            assert_eq!((uri.user(), uri.host_str(), uri.port()), (*user, *host, *port), "{text}");
            assert_eq!((uri.params().as_str(), uri.headers()), (*params, *headers), "{text}");
        }
        assert_eq!(uri("tel:+1-201-555-0123").tel_digits().as_deref(), Some("+12015550123"));
        assert_eq!(uri("sip:a:b@c").password(), Some("b"));
        assert_eq!(uri("sip:[::ffff:192.0.2.1]").host().to_string(), "[::ffff:192.0.2.1]");
    }

    #[test]
    fn refusals() {
        for (text, want) in [
            ("", UriError::Scheme),
            ("alice", UriError::Scheme),
            ("1x:y", UriError::Scheme),
            ("sip:", UriError::Host),
            ("sip:@example.com", UriError::User),
            ("sip:a b@example.com", UriError::User),
            ("sip:a@", UriError::Host),
            ("sip:a@b c", UriError::Host),
            ("sip:a@b@c", UriError::Host),
            ("sip:a@b:", UriError::Port),
            ("sip:a@b:65536", UriError::Port),
            ("sip:2001:db8::10", UriError::Port),
            ("sip:[2001:db8::10", UriError::Host),
            ("sip:[zz]", UriError::Host),
            ("sip:[::1]x", UriError::Host),
            ("sip:a@b; lr", UriError::Character),
            ("sip:a@b;x=\0", UriError::Character),
            ("tel:", UriError::User),
            ("tel:abc-xyz", UriError::User),
            ("x:", UriError::Character),
        ] {
            assert_eq!(Uri::parse(text).err(), Some(want), "{text}");
        }
    }

    #[test]
    fn equality_as_rfc_3261_section_19_1_4_shows_it() {
        for (a, b, want) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5", true),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
                true,
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
                true,
            ),
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false),
            ("sip:a@b", "sips:a@b", false),
            ("sip:a@b;user=phone", "sip:a@b", false),
            ("sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0::1]", true),
            ("tel:+1-201-555", "tel:+1201555", true),
            ("tel:+1-201-555", "tel:+1201556", false),
            ("urn:a:b", "URN:a:b", true),
        ] {
            assert_eq!(uri(a).equivalent(&uri(b)), want, "{a} = {b}");
            assert_eq!(uri(b).equivalent(&uri(a)), want, "{b} = {a}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(uri("sip:null-%00-null@a").user_unescaped().as_deref(), Some("null-\0-null"));
        assert_eq!(uri("sip:%ff@a").user_unescaped().as_deref(), Some("%ff"));
        assert_eq!(unescape("100%"), "100%");
        assert_eq!(unescape("%2541"), "%41");
        for text in ["alice", "a b", "j@x", "Jürgen", "100%", "a;b=c"] {
            let escaped = escape_user(text);
            assert_eq!(unescape(&escaped), text);
            assert_eq!(uri(&format!("sip:{escaped}@h")).user(), Some(&*escaped));
        }
    }
}
