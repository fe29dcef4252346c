//! Authorization and WWW-Authenticate with the Digest scheme (RFC 3261 §20.7, §20.44, RFC 7616, RFC 8760).
//!
//! In: one header line. Out: fields borrowed from it, quoted ones without their quotes and otherwise as sent (that is
//! what the digest is computed over). `Display` writes both back. Not here: checking anything.

use std::fmt;

use crate::chars::{is_lws, is_token_byte, quoted_end, trim};
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

/// The place of a parameter among the fields of [`Credentials`]; `None` for one that is none of them.
#[inline]
fn field(name: &str) -> Option<usize> {
    let bytes = name.as_bytes();
    // Why: length and one or two letters leave a single candidate, so each name is compared once.
    let (index, text) = match (bytes.len(), bytes.first()? | 0x20) {
        (8, b'u') if bytes.get(4)? | 0x20 == b'n' => (0, "username"),
        (8, b'u') => (1, "userhash"),
        (5, b'r') => (2, "realm"),
        (5, b'n') => (3, "nonce"),
        (3, b'u') => (4, "uri"),
        (8, b'r') => (5, "response"),
        (9, b'a') => (6, "algorithm"),
        (6, b'c') => (7, "cnonce"),
        (6, b'o') => (8, "opaque"),
        (3, b'q') => (9, "qop"),
        (2, b'n') => (10, "nc"),
        _ => return None,
    };
    (name == text || name.eq_ignore_ascii_case(text)).then_some(index)
}

/// Splits `Digest a=b, c="d"`: the text behind the scheme.
fn digest_params(value: &str, bad: HeaderError) -> Result<&str, HeaderError> {
    let value = trim(value);
    let end = value.bytes().position(is_lws).ok_or(bad)?;
    let (scheme, rest) = value.split_at_checked(end).ok_or(bad)?;
    if scheme.eq_ignore_ascii_case("Digest") { Ok(rest) } else { Err(HeaderError("authentication scheme")) }
}

/// The text from the first character that is neither white space nor a comma.
#[inline]
fn skip_separators(text: &str) -> &str {
    let skip = text.bytes().take_while(|&b| is_lws(b) || b == b',').count();
    text.get(skip..).unwrap_or_default()
}

/// Cuts one `name=value` off the front of a comma-separated list; `None` at its end.
#[inline]
fn next_param<'a>(rest: &mut &'a str, bad: HeaderError) -> Result<Option<(&'a str, &'a str)>, HeaderError> {
    let text = skip_separators(rest);
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = text.as_bytes();
    let name_end = bytes.iter().position(|&b| !is_token_byte(b)).ok_or(bad)?;
    let name = text.get(..name_end).ok_or(bad)?;
    let lws = |mut at: usize| {
        while bytes.get(at).copied().is_some_and(is_lws) {
            at += 1;
        }
        at
    };
    let equals = lws(name_end);
    if name.is_empty() || bytes.get(equals) != Some(&b'=') {
        return Err(bad);
    }
    let start = lws(equals + 1);
    let (value, end) = if bytes.get(start) == Some(&b'"') {
        let end = start + text.get(start..).and_then(quoted_end).ok_or(bad)?;
        (text.get(start + 1..end - 1), end)
    } else {
        let mut end = start;
        while bytes.get(end).is_some_and(|&b| b != b',') {
            end += 1;
        }
        (text.get(start..end).map(trim), end)
    };
    let tail = lws(end);
    if !matches!(bytes.get(tail), None | Some(b',')) {
        return Err(bad);
    }
    *rest = text.get(tail..).ok_or(bad)?;
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
        let mut rest = digest_params(value, BAD)?;
        let mut found: [Option<&'a str>; 11] = [None; 11];
        while let Some((name, value)) = next_param(&mut rest, BAD)? {
            let Some(index) = field(name) else { continue };
            // Why: with two of one kind, what is checked and what is hashed could differ.
            if found[index].replace(value).is_some() {
                return Err(BAD);
            }
        }
        let [username, userhash, realm, nonce, uri, response, algorithm, cnonce, opaque, qop, nc_str] = found;
        let is_hex = |digits: &&str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
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
            nc: nc_str.filter(is_hex).and_then(|digits| u32::from_str_radix(digits, 16).ok()),
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
        let mut rest = digest_params(value, BAD)?;
        let (mut realm, mut nonce) = (None, None);
        let mut challenge = Challenge::default();
        while let Some((name, value)) = next_param(&mut rest, BAD)? {
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
}
