//! SIP, SIPS, tel and other URIs (RFC 3261 §19.1, RFC 3966), borrowed from their text.
//!
//! In: text. Out: pieces and RFC 3261 §19.1.4 equality. Open to any scheme: what is behind an unknown one is kept and
//! not judged. Not here: which URI is ours, and where to send.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::block::{ALL, Block, Mask, find};
use crate::chars::{cut, hex_pair, is_token_byte};
use crate::error::UriError;
use crate::field::{Field, Piece};
use crate::params::Params;

use self::plain::Plain;

pub(crate) mod plain;

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
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        match Self::at(text, 0) {
            Some((host, end)) if end == text.len() => Ok(host),
            _ => Err(UriError::Host),
        }
    }

    /// The host that starts at `at`, and where it ends.
    fn at(text: &'a str, at: usize) -> Option<(Self, usize)> {
        let end = Self::end_in(Field::all(text), at)?;
        let name = text.get(at..end)?;
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let host = bare.map_or_else(|| Some(Self::named(name)), |bare| parse_ipv6(bare).map(Host::Ipv6));
        Some((host?, end))
    }

    /// Where the host that starts at `at` ends; `None` if there is none.
    #[inline(always)]
    pub(crate) fn end_in(field: Field<'_>, at: usize) -> Option<usize> {
        if field.byte(at) == Some(b'[') {
            let end = field.find(at, |b| b.is(b']').mask());
            let address = field.bytes().get(at + 1..end)?;
            return (field.byte(end).is_some() && parse_ipv6(std::str::from_utf8(address).ok()?).is_some())
                .then_some(end + 1);
        }
        let end = field.find(at, no_host);
        (end > at).then_some(end)
    }

    /// The host of this text, which is known to have no other bytes than names have.
    #[inline]
    pub(crate) fn named(name: &'a str) -> Self {
        let numeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        let ip = match name.as_bytes() {
            name if numeric(name.first()) && numeric(name.last()) => parse_ipv4(name),
            _ => None,
        };
        ip.map_or(Host::Name(name), Host::Ipv4)
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
#[inline(always)]
fn parse_ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let digit = |at: usize| text.get(at).map(|b| b.wrapping_sub(b'0')).filter(|&digit| digit <= 9);
    let mut octets = [0_u8; 4];
    let mut at = 0;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            if text.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        *octet = digit(at)?;
        at += 1;
        // What begins with 0 ends there.
        while *octet > 0
            && let Some(digit) = digit(at)
        {
            *octet = octet.checked_mul(10)?.checked_add(digit)?;
            at += 1;
        }
    }
    (at == text.len()).then(|| Ipv4Addr::from(octets))
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

/// The bytes that no URI has (RFC 3986 §2, read liberally).
#[inline(always)]
fn forbidden(block: Block) -> Block {
    // Each of `<` and `>`, `\\` and `^`, ` ` and `"` are one bit apart.
    let folded = block.without(2);
    let braces = block.ascii_from(0x7b).but(block.is(b'~'));
    folded.up_to(b' ').or(folded.is(b'<')).or(folded.is(b'\\')).or(braces)
}

/// What ends a user part (RFC 3261 §25.1 `userinfo`, read liberally: no `@`).
#[inline(always)]
fn no_user(block: Block) -> Mask {
    forbidden(block).or(block.is(b'@')).mask()
}

/// What ends a host name. Interop: `_` is no letter of a host name, but names with it are in use.
#[inline(always)]
fn no_host(block: Block) -> Mask {
    let host = block.letters().or(block.within(b'-', b'9')).or(block.is(b'_'));
    !(host.mask() & !block.is(b'/').mask()) & ALL
}

/// What ends the parameters behind the host.
#[inline(always)]
fn no_tail(block: Block) -> Mask {
    forbidden(block).or(block.is(b'?')).mask()
}

/// What a URI of unknown scheme does not have.
#[inline(always)]
fn no_uri(block: Block) -> Mask {
    forbidden(block).or(block.is(b'`')).mask()
}

impl<'a> Uri<'a> {
    /// Reads a URI of any scheme; `sip:`, `sips:` and `tel:` are checked in detail.
    ///
    /// # Errors
    /// [`UriError`], which is a 400 where the URI stands in a message.
    pub fn parse(raw: &'a str) -> Result<Self, UriError> {
        Self::read(raw)
    }

    /// As [`Uri::parse`], for the answer alone: what is not asked for is not put together.
    pub(crate) fn check(raw: &str) -> Result<(), UriError> {
        Uri::read(raw).map(|_| ())
    }

    /// True for what may be a Request-URI (RFC 3261 §19.1.1: a SIP URI there has no headers).
    pub(crate) fn is_target(raw: &str) -> bool {
        Uri::read(raw)
            .is_ok_and(|uri| !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) || uri.headers.is_none())
    }

    #[inline(always)]
    fn read(raw: &'a str) -> Result<Self, UriError> {
        if let Some(plain) = Plain::at(Field::all(raw), 0)
            && plain.end() == raw.len()
        {
            return Ok(Self::of_plain(raw, &plain, |(start, end)| raw.get(start..end).unwrap_or_default()));
        }
        Self::read_scheme(raw)
    }

    /// The URI `raw`, of pieces of one text.
    #[inline(always)]
    pub(crate) fn of_plain(raw: &'a str, plain: &Plain, piece: impl Fn(Piece) -> &'a str) -> Self {
        let host_str = piece(plain.host);
        Uri {
            raw,
            scheme: Scheme::Sip,
            user: (plain.user.0 < plain.user.1).then(|| piece(plain.user)),
            password: None,
            host: Host::named(host_str),
            host_str,
            port: plain.port,
            params: Params::of_uri(piece(plain.params)),
            headers: None,
        }
    }

    fn bare(raw: &'a str, scheme: Scheme<'a>) -> Self {
        Uri {
            raw,
            scheme,
            user: None,
            password: None,
            host: Host::Name(""),
            host_str: "",
            port: None,
            params: Params::of_uri(""),
            headers: None,
        }
    }

    /// Reads what [`Plain`] leaves.
    fn read_scheme(raw: &'a str) -> Result<Self, UriError> {
        let (scheme, rest) = cut(raw, b':').ok_or(UriError::Scheme)?;
        let start = scheme.len() + 1;
        if scheme.eq_ignore_ascii_case("sip") {
            return Self::bare(raw, Scheme::Sip).parse_sip(start);
        }
        if scheme.eq_ignore_ascii_case("sips") {
            return Self::bare(raw, Scheme::Sips).parse_sip(start);
        }
        if scheme.eq_ignore_ascii_case("tel") {
            return Self::bare(raw, Scheme::Tel).parse_tel(rest);
        }
        let mut bytes = scheme.bytes();
        let good = bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
            && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !good {
            return Err(UriError::Scheme);
        }
        if rest.is_empty() || find(rest.as_bytes(), 0, no_uri) < rest.len() {
            return Err(UriError::Character);
        }
        // Why: `pres:` and `im:` URIs name a user as `sip:` ones do; anything else stays opaque.
        let bare = Self::bare(raw, Scheme::Other(scheme));
        Ok(if rest.contains('@') { bare.parse_sip(start).unwrap_or(bare) } else { bare })
    }

    /// Reads what is behind the scheme, which ends at `start`.
    fn parse_sip(mut self, start: usize) -> Result<Self, UriError> {
        let raw = self.raw;
        let bytes = raw.as_bytes();
        let mut at = start;
        // The first colon is that of a password or, without a user part, that of a port.
        let colon = find(bytes, at, |b| no_user(b) | b.is(b':').mask());
        let user_end = if bytes.get(colon) == Some(&b':') { find(bytes, colon + 1, no_user) } else { colon };
        if bytes.get(user_end) == Some(&b'@') {
            let end = colon.min(user_end);
            if end == at {
                return Err(UriError::User);
            }
            self.user = raw.get(at..end);
            self.password = raw.get(end + 1..user_end);
            at = user_end + 1;
        } else if user_end < bytes.len() && find(bytes, user_end, |b| b.is(b'@').mask()) < bytes.len() {
            return Err(UriError::User);
        }
        let (host, end) = Host::at(raw, at).ok_or(UriError::Host)?;
        self.host = host;
        self.host_str = raw.get(at..end).ok_or(UriError::Host)?;
        at = end;
        if bytes.get(at) == Some(&b':') {
            let (port, end) = port_at(bytes, at + 1).ok_or(UriError::Port)?;
            self.port = Some(port);
            at = end;
            if !matches!(bytes.get(at), None | Some(b';' | b'?')) {
                return Err(UriError::Port);
            }
        }
        let params_start = at;
        match bytes.get(at) {
            None => return Ok(self),
            Some(b';') => at = find(bytes, at, no_tail),
            Some(b'?') => {}
            Some(_) => return Err(UriError::Host),
        }
        self.params = Params::of_uri(raw.get(params_start..at).ok_or(UriError::Param)?);
        match bytes.get(at) {
            None => return Ok(self),
            Some(b'?') => {}
            Some(_) => return Err(UriError::Character),
        }
        self.headers = raw.get(at + 1..);
        if find(bytes, at + 1, |b| forbidden(b).mask()) < bytes.len() {
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
        if find(params.as_bytes(), 0, |b| forbidden(b).mask()) < params.len() {
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

/// The port whose digits start at `at`, and where they end; `None` if there is none or it is too large.
#[inline(always)]
pub(crate) fn port_at(bytes: &[u8], mut at: usize) -> Option<(u16, usize)> {
    let start = at;
    let mut port = 0_u16;
    while let Some(digit) = bytes.get(at).map(|b| b.wrapping_sub(b'0')).filter(|&digit| digit <= 9) {
        port = port.checked_mul(10)?.checked_add(u16::from(digit))?;
        at += 1;
    }
    (at > start).then_some((port, at))
}

#[inline]
pub(crate) fn parse_port(text: &str) -> Option<u16> {
    port_at(text.as_bytes(), 0).filter(|&(_, end)| end == text.len()).map(|(port, _)| port)
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
    escape(text, |b| is_unreserved(b) || matches!(b, b'+' | b'&' | b'=' | b'$' | b',' | b';' | b'?' | b'/'))
}

/// The text as the value of a URI parameter: everything but `unreserved` and `param-unreserved` becomes `%XX`.
pub fn escape_param(text: &str) -> Cow<'_, str> {
    escape(text, |b| is_unreserved(b) || matches!(b, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$'))
}

/// `unreserved` of RFC 3261 §25.1.
fn is_unreserved(b: u8) -> bool {
    matches!(b, b'(' | b')') || (is_token_byte(b) && !matches!(b, b'%' | b'`' | b'+'))
}

fn escape(text: &str, plain: impl Fn(u8) -> bool) -> Cow<'_, str> {
    if text.bytes().all(&plain) {
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
    fn classes_by_block_are_those_of_the_grammar() {
        for byte in 0..=u8::MAX {
            let ends = |class: fn(Block) -> Mask| class(Block::new([byte; 16])) == ALL;
            let forbidden = byte <= b' ' || byte == 0x7f || b"<>\"\\^{}|".contains(&byte);
            assert_eq!(ends(no_user), forbidden || byte == b'@', "{byte:#x}");
            assert_eq!(ends(no_tail), forbidden || byte == b'?', "{byte:#x}");
            assert_eq!(ends(no_uri), forbidden || byte == b'`', "{byte:#x}");
            let host = byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            assert_eq!(ends(no_host), !host, "{byte:#x}");
        }
    }

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

    proptest::proptest! {
        #[test]
        fn a_plain_uri_is_what_the_general_way_reads(
            pieces in proptest::collection::vec(proptest::sample::select(vec![
                "a", "6001", "@", "@", ":", ":", "5060", "99999", ";", ";lr", ";x=y", "?", "example.com", "192.0.2.1", "%40",
                "é", "_", "-", "<", ">", " ", "\"", "\\", "~", "[::1]", "a longer host name", "\u{7f}",
            ]), 0..8),
            front in "[ -~]{0,3}", behind in "[ -~]{0,20}",
        ) {
            let text = format!("{front}sip:{}{behind}", pieces.concat());
            if let Some(plain) = Plain::at(Field::all(&text), front.len()) {
                let raw = &text[front.len()..plain.end()];
                let read = Uri::of_plain(raw, &plain, |(start, end)| &text[start..end]);
                let general = Uri::read_scheme(raw).expect("a URI");
                proptest::prop_assert_eq!(format!("{read:?}"), format!("{general:?}"));
            }
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
