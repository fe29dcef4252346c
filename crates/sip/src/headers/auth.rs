//! Authorization and WWW-Authenticate with the Digest scheme (RFC 3261 §20.7, §20.44, RFC 7616, RFC 8760).
//!
//! In: one header line. Out: fields borrowed from it, quoted ones without their quotes and otherwise as sent (that is
//! what the digest is computed over). `Display` writes both back. Not here: checking anything.

use std::fmt;

use crate::block::find;
use crate::chars::{hex_number, is_lws, is_token_byte, quoted_end, skip_lws, token_end, trim};
use crate::digest::Algorithm;
use crate::error::HeaderError;

/// What a request proves its sender with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// User name, or its hash.
    pub username: &'a str,
    /// True if `username` is a hash (RFC 7616 §3.4.4).
    pub userhash: bool,
    /// Realm.
    pub realm: &'a str,
    /// The challenge's nonce.
    pub nonce: &'a str,
    /// digest-uri.
    pub uri: &'a str,
    /// The response digits as sent.
    pub response: &'a str,
    /// Algorithm token; none means MD5.
    pub algorithm: Option<&'a str>,
    /// Client nonce.
    pub cnonce: Option<&'a str>,
    /// Opaque.
    pub opaque: Option<&'a str>,
    /// Quality of protection as sent.
    pub qop: Option<&'a str>,
    /// Nonce count; `None` if missing or no hexadecimal number.
    pub nc: Option<u32>,
    /// The digits of the nonce count as sent, which the digest is computed over.
    pub nc_str: Option<&'a str>,
}

/// The fields of [`Credentials`] as they are called on the wire.
const FIELDS: [&str; 11] = [
    "username",
    "userhash",
    "realm",
    "nonce",
    "uri",
    "response",
    "algorithm",
    "cnonce",
    "opaque",
    "qop",
    "nc",
];

/// The place in [`FIELDS`] of the parameter whose name and `=` these bytes start with, spelled as in the RFC as most
/// are, and how long that is. Why by four bytes: they tell nearly all of them apart in one comparison each.
#[inline(always)]
fn exact_field(bytes: &[u8]) -> Option<(usize, usize)> {
    const USER: u32 = u32::from_le_bytes(*b"user");
    const REALM: u32 = u32::from_le_bytes(*b"real");
    const NONCE: u32 = u32::from_le_bytes(*b"nonc");
    const URI: u32 = u32::from_le_bytes(*b"uri=");
    const RESPONSE: u32 = u32::from_le_bytes(*b"resp");
    const ALGORITHM: u32 = u32::from_le_bytes(*b"algo");
    const CNONCE: u32 = u32::from_le_bytes(*b"cnon");
    const OPAQUE: u32 = u32::from_le_bytes(*b"opaq");
    const QOP: u32 = u32::from_le_bytes(*b"qop=");
    let (start, rest) = bytes.split_first_chunk()?;
    match u32::from_le_bytes(*start) {
        USER if rest.starts_with(b"name=") => Some((0, 9)),
        USER if rest.starts_with(b"hash=") => Some((1, 9)),
        REALM if rest.starts_with(b"m=") => Some((2, 6)),
        NONCE if rest.starts_with(b"e=") => Some((3, 6)),
        URI => Some((4, 4)),
        RESPONSE if rest.starts_with(b"onse=") => Some((5, 9)),
        ALGORITHM if rest.starts_with(b"rithm=") => Some((6, 10)),
        CNONCE if rest.starts_with(b"ce=") => Some((7, 7)),
        OPAQUE if rest.starts_with(b"ue=") => Some((8, 7)),
        QOP => Some((9, 4)),
        _ => bytes.starts_with(b"nc=").then_some((10, 3)),
    }
}

/// The parameter at `at`, if it is `field="value"` or `field=value` without white space and ends the list or is
/// followed by a comma: its place in [`FIELDS`], its value, and where it ends. What [`next_param`] reads there is the
/// same; anything else is left to it.
#[inline(always)]
fn plain_param(list: &str, at: usize) -> Option<(usize, &str, usize)> {
    let bytes = list.as_bytes();
    let (index, len) = exact_field(bytes.get(at..)?)?;
    let start = at + len;
    let (value, end) = if bytes.get(start) == Some(&b'"') {
        let quote = find(bytes, start + 1, |b| b.is(b'"').or(b.is(b'\\')).mask());
        if bytes.get(quote) != Some(&b'"') {
            return None;
        }
        (list.get(start + 1..quote)?, quote + 1)
    } else {
        let end = find(bytes, start, |b| b.is(b',').or(b.up_to(b' ')).mask());
        (list.get(start..end)?, end)
    };
    matches!(bytes.get(end), None | Some(b',')).then_some((index, value, end))
}

/// Splits `Digest a=b, c="d"`: the text behind the scheme.
#[inline]
fn digest_params(value: &str, bad: HeaderError) -> Result<&str, HeaderError> {
    let value = trim(value);
    if let Some(rest) = value.strip_prefix("Digest ") {
        return Ok(rest);
    }
    let end = value.bytes().position(is_lws).ok_or(bad)?;
    let (scheme, rest) = value.split_at_checked(end).ok_or(bad)?;
    if scheme.eq_ignore_ascii_case("Digest") { Ok(rest) } else { Err(HeaderError("authentication scheme")) }
}

/// Reads the `name=value` of a comma-separated list that comes at `at` or next, and moves `at` behind it; `None` at
/// the end of the list.
#[inline(never)]
fn next_param<'a>(
    list: &'a str,
    at: &mut usize,
    bad: HeaderError,
) -> Result<Option<(&'a str, &'a str)>, HeaderError> {
    let bytes = list.as_bytes();
    while bytes.get(*at).is_some_and(|&b| is_lws(b) || b == b',') {
        *at += 1;
    }
    if *at >= bytes.len() {
        return Ok(None);
    }
    let name_end = token_end(bytes, *at);
    let name = list.get(*at..name_end).ok_or(bad)?;
    let equals = skip_lws(bytes, name_end);
    if name.is_empty() || bytes.get(equals) != Some(&b'=') {
        return Err(bad);
    }
    let start = skip_lws(bytes, equals + 1);
    let (value, end) = if bytes.get(start) == Some(&b'"') {
        let end = quoted_end(bytes, start).ok_or(bad)?;
        (list.get(start + 1..end - 1), end)
    } else {
        let end = find(bytes, start, |b| b.is(b',').mask());
        (list.get(start..end).map(trim), end)
    };
    *at = skip_lws(bytes, end);
    if !matches!(bytes.get(*at), None | Some(b',')) {
        return Err(bad);
    }
    Ok(Some((name, value.ok_or(bad)?)))
}

impl<'a> Credentials<'a> {
    /// Reads the value of Authorization or Proxy-Authorization.
    ///
    /// # Errors
    /// 400: another scheme, malformed or repeated parameters, or no username, realm, nonce, uri or response. (A
    /// server may rather challenge again.)
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        const BAD: HeaderError = HeaderError("credentials");
        let (list, mut at) = (digest_params(value, BAD)?, 0);
        let mut found: [Option<&'a str>; FIELDS.len()] = [None; FIELDS.len()];
        loop {
            let (index, value) = match plain_param(list, at) {
                Some((index, value, end)) => {
                    at = end;
                    (Some(index), value)
                }
                None => match next_param(list, &mut at, BAD)? {
                    None => break,
                    Some((name, value)) => {
                        (FIELDS.iter().position(|field| field.eq_ignore_ascii_case(name)), value)
                    }
                },
            };
            // Behind its comma, if it does not end the list.
            at = skip_lws(list.as_bytes(), at + 1);
            // Why: with two of one kind, what is checked and what is hashed could differ.
            let place = index.and_then(|index| found.get_mut(index));
            if place.is_some_and(|found| found.replace(value).is_some()) {
                return Err(BAD);
            }
        }
        let [username, userhash, realm, nonce, uri, response, algorithm, cnonce, opaque, qop, nc_str] = found;
        Ok(Credentials {
            username: username.ok_or(BAD)?,
            userhash: userhash.is_some_and(|v| v.eq_ignore_ascii_case("true")),
            realm: realm.ok_or(BAD)?,
            nonce: nonce.ok_or(BAD)?,
            uri: uri.ok_or(BAD)?,
            response: response.ok_or(BAD)?,
            algorithm,
            cnonce,
            opaque,
            qop,
            nc: nc_str.and_then(|digits| hex_number(digits.as_bytes())),
            nc_str,
        })
    }

    /// The algorithm: MD5 if none is named, `None` if it is unknown.
    pub fn digest_algorithm(&self) -> Option<Algorithm> {
        self.algorithm.map_or(Some(Algorithm::Md5), Algorithm::parse)
    }
}

/// Text as it goes between quotes: a `"` that is not escaped yet gets its backslash, so no value can end the string.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        f.write_char('"')?;
        let mut escaped = false;
        for c in self.0.chars() {
            if c == '"' && !escaped {
                f.write_char('\\')?;
            }
            escaped = c == '\\' && !escaped;
            f.write_char(c)?;
        }
        if escaped {
            f.write_char('\\')?;
        }
        f.write_char('"')
    }
}

/// Text as a token: what no token has is left out.
struct Token<'a>(&'a str);

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.chars().filter(|c| u8::try_from(*c).is_ok_and(is_token_byte)).try_for_each(|c| f.write_char(c))
    }
}

impl fmt::Display for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest username={}, realm={}", Quoted(self.username), Quoted(self.realm))?;
        write!(f, ", nonce={}, uri={}", Quoted(self.nonce), Quoted(self.uri))?;
        write!(f, ", response={}", Quoted(self.response))?;
        if let Some(algorithm) = self.algorithm {
            write!(f, ", algorithm={}", Token(algorithm))?;
        }
        if let Some(cnonce) = self.cnonce {
            write!(f, ", cnonce={}", Quoted(cnonce))?;
        }
        if let Some(opaque) = self.opaque {
            write!(f, ", opaque={}", Quoted(opaque))?;
        }
        if let Some(qop) = self.qop {
            write!(f, ", qop={}", Token(qop))?;
        }
        match (self.nc_str, self.nc) {
            (Some(digits), _) => write!(f, ", nc={}", Token(digits))?,
            (None, Some(nc)) => write!(f, ", nc={nc:08x}")?,
            (None, None) => {}
        }
        if self.userhash {
            f.write_str(", userhash=true")?;
        }
        Ok(())
    }
}

/// What a server asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// Realm.
    pub realm: &'a str,
    /// Nonce.
    pub nonce: &'a str,
    /// Opaque.
    pub opaque: Option<&'a str>,
    /// True if only the nonce was too old.
    pub stale: bool,
    /// Algorithm token; none means MD5.
    pub algorithm: Option<&'a str>,
    /// Offered qualities of protection, comma-separated: `auth,auth-int`.
    pub qop: Option<&'a str>,
    /// True if user names may be hashed.
    pub userhash: bool,
}

impl<'a> Challenge<'a> {
    /// Reads the value of WWW-Authenticate or Proxy-Authenticate.
    ///
    /// # Errors
    /// [`HeaderError`]: another scheme, malformed parameters, no realm or nonce.
    pub fn parse(value: &'a str) -> Result<Self, HeaderError> {
        const BAD: HeaderError = HeaderError("challenge");
        let (list, mut at) = (digest_params(value, BAD)?, 0);
        let (mut realm, mut nonce) = (None, None);
        let mut challenge = Challenge::default();
        while let Some((name, value)) = next_param(list, &mut at, BAD)? {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "nonce" => nonce = Some(value),
                "opaque" => challenge.opaque = Some(value),
                "stale" => challenge.stale = value.eq_ignore_ascii_case("true"),
                "algorithm" => challenge.algorithm = Some(value),
                "qop" => challenge.qop = Some(value),
                "userhash" => challenge.userhash = value.eq_ignore_ascii_case("true"),
                _ => {}
            }
        }
        challenge.realm = realm.ok_or(BAD)?;
        challenge.nonce = nonce.ok_or(BAD)?;
        Ok(challenge)
    }

    /// The algorithm: MD5 if none is named, `None` if it is unknown.
    pub fn digest_algorithm(&self) -> Option<Algorithm> {
        self.algorithm.map_or(Some(Algorithm::Md5), Algorithm::parse)
    }

    /// True if this quality of protection is offered.
    pub fn offers_qop(&self, qop: &str) -> bool {
        self.qop.is_some_and(|list| list.split(',').any(|offer| trim(offer).eq_ignore_ascii_case(qop)))
    }
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm={}, nonce={}", Quoted(self.realm), Quoted(self.nonce))?;
        if let Some(opaque) = self.opaque {
            write!(f, ", opaque={}", Quoted(opaque))?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        if let Some(algorithm) = self.algorithm {
            write!(f, ", algorithm={}", Token(algorithm))?;
        }
        if let Some(qop) = self.qop {
            write!(f, ", qop={}", Quoted(qop))?;
        }
        if self.userhash {
            f.write_str(", userhash=true")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_round_trip() {
        let value = "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"dcd9\", uri=\"sip:bob@biloxi.com\", \
                     qop=auth, nc=0000001F, cnonce=\"0a4f\", response=\"6629\", opaque=\"5ccc\",algorithm=MD5";
        let credentials = Credentials::parse(value).expect("credentials");
        assert_eq!((credentials.username, credentials.nc, credentials.qop), ("bob", Some(31), Some("auth")));
        assert_eq!(credentials.digest_algorithm(), Some(Algorithm::Md5));
        let text = credentials.to_string();
        assert_eq!(Credentials::parse(&text), Ok(credentials));
    }

    #[test]
    fn challenge_round_trip() {
        let challenge = Challenge {
            realm: "a \"b\" c",
            nonce: "n",
            stale: true,
            algorithm: Some("SHA-256"),
            qop: Some("auth,auth-int"),
            ..Challenge::default()
        };
        let text = challenge.to_string();
        let read = Challenge::parse(&text).expect("challenge");
        assert_eq!(read.realm, "a \\\"b\\\" c");
        assert!(read.stale && read.offers_qop("auth-int") && !read.offers_qop("x"));
        assert_eq!(read.digest_algorithm(), Some(Algorithm::Sha256));
        assert_eq!(read.to_string(), text);
    }

    #[test]
    fn refusals() {
        for value in [
            "",
            "Digest",
            "NoOneKnowsThisScheme opaque-data=here",
            "Digest username=\"a",
            "Digest username=\"a\" realm=\"b\"",
            "Digest username=\"a\", username=\"b\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"r\"",
            "Digest username=\"a\"",
        ] {
            assert!(Credentials::parse(value).is_err(), "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_plain_parameter_is_what_the_general_way_reads(
            pieces in proptest::collection::vec(proptest::sample::select(vec![
                "username", "userhash", "user", "nc", "Realm", "realm", "nonce", "uri", "response", "opaque", "cnonce", "qop",
                "algorithm", "x", "=", "=\"", "\"", "\"", ",", ", ", " ", "\t", "\\", "é",
                "a=b", "auth,nc=1", "0a4f113b0a4f113b0", ";",
            ]), 0..12),
            name in proptest::sample::select(vec!["", "username=", "userhash=", "realm=", "nonce=\"", "opaque=", "cnonce=", "nc="]),
            from in proptest::prop_oneof![proptest::strategy::Just(0), 0..20_usize],
        ) {
            let list = format!("{name}{}", pieces.concat());
            if let Some((index, value, end)) = plain_param(&list, from) {
                let mut at = from;
                let read = next_param(&list, &mut at, HeaderError("")).expect("a parameter").expect("one");
                proptest::prop_assert_eq!((read, at), ((FIELDS[index], value), end));
            }
        }
    }
}
