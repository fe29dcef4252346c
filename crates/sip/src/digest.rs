//! Digest computation (RFC 7616, RFC 8760; RFC 2617 and the qop-less form of RFC 2069 for old phones).
//!
//! In: texts. Out: fixed-size digests and lower-case hex. Not here: nonces, comparison in constant time, who may use
//! what; header syntax is in [`crate::headers::auth`].

use std::fmt;

use md5::Md5;
use sha2::{Sha256, Sha512_256};

use crate::chars::hex_pair;

/// A digest algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512/256.
    Sha512_256,
    /// MD5 with a session key.
    Md5Sess,
    /// SHA-256 with a session key.
    Sha256Sess,
    /// SHA-512/256 with a session key.
    Sha512_256Sess,
}

impl Algorithm {
    /// The token in a challenge.
    pub fn token(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512_256 => "SHA-512-256",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256Sess => "SHA-256-sess",
            Algorithm::Sha512_256Sess => "SHA-512-256-sess",
        }
    }

    /// The algorithm of a token, in any case.
    pub fn parse(token: &str) -> Option<Self> {
        use Algorithm::{Md5, Md5Sess, Sha256, Sha256Sess, Sha512_256, Sha512_256Sess};
        [Md5, Sha256, Sha512_256, Md5Sess, Sha256Sess, Sha512_256Sess]
            .into_iter()
            .find(|a| a.token().eq_ignore_ascii_case(token))
    }

    /// The hash without the session key.
    pub fn base(self) -> Self {
        match self {
            Algorithm::Md5Sess => Algorithm::Md5,
            Algorithm::Sha256Sess => Algorithm::Sha256,
            Algorithm::Sha512_256Sess => Algorithm::Sha512_256,
            other => other,
        }
    }

    /// True for the `-sess` forms.
    pub fn is_session(self) -> bool {
        self != self.base()
    }

    /// Bytes of a digest: 16 or 32.
    pub fn digest_bytes(self) -> usize {
        if self.base() == Algorithm::Md5 { 16 } else { 32 }
    }
}

/// A digest in binary: 16 or 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Raw {
    bytes: [u8; 32],
    len: usize,
}

impl Raw {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn hex(&self) -> Hex {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = Hex { bytes: [b'0'; 64], len: self.len * 2 };
        for (pair, byte) in hex.bytes.chunks_exact_mut(2).zip(self.bytes()) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        hex
    }
}

fn hash(algorithm: Algorithm, parts: &[&[u8]]) -> Raw {
    fn run<D: sha2::Digest>(parts: &[&[u8]]) -> Raw {
        let mut hasher = D::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                hasher.update(b":");
            }
            hasher.update(part);
        }
        let digest = hasher.finalize();
        let mut raw = Raw { bytes: [0; 32], len: digest.len().min(32) };
        for (to, from) in raw.bytes.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        raw
    }
    match algorithm.base() {
        Algorithm::Sha256 => run::<Sha256>(parts),
        Algorithm::Sha512_256 => run::<Sha512_256>(parts),
        _ => run::<Md5>(parts),
    }
}

/// H(A1), the secret that stands for a password in one realm, with its algorithm (always a base one). Its `Debug`
/// shows no digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1 {
    algorithm: Algorithm,
    raw: Raw,
}

impl Ha1 {
    /// Reads 32 or 64 hexadecimal digits, as sip.conf's `md5secret` has them; `None` for anything else.
    pub fn from_hex(algorithm: Algorithm, hex: &str) -> Option<Self> {
        let algorithm = algorithm.base();
        let len = algorithm.digest_bytes();
        if hex.len() != len * 2 {
            return None;
        }
        let mut raw = Raw { bytes: [0; 32], len };
        for (to, pair) in raw.bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let [high, low] = *pair else { return None };
            *to = hex_pair(high, low)?;
        }
        Some(Ha1 { algorithm, raw })
    }

    /// The algorithm, without session key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The secret as hex, for storing it. Never log it.
    pub fn to_hex(&self) -> Hex {
        self.raw.hex()
    }

    /// H(A1) of a `-sess` algorithm: bound to this nonce and cnonce (RFC 7616 §3.4.2).
    pub fn session(&self, nonce: &str, cnonce: &str) -> Ha1 {
        let hex = self.raw.hex();
        let raw = hash(self.algorithm, &[hex.as_str().as_bytes(), nonce.as_bytes(), cnonce.as_bytes()]);
        Ha1 { algorithm: self.algorithm, raw }
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ha1({}, redacted)", self.algorithm.token())
    }
}

/// Lower-case hexadecimal digits of a digest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hex {
    bytes: [u8; 64],
    len: usize,
}

impl Hex {
    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The digits as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What quality of protection adds to a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qop<'a> {
    /// Nonce count: eight hexadecimal digits, as sent.
    pub nc: &'a str,
    /// Client nonce.
    pub cnonce: &'a str,
    /// `auth` or `auth-int`, as sent.
    pub qop: &'a str,
}

/// H(A1) = H(user ":" realm ":" password). A `-sess` algorithm gives that of its base; see [`Ha1::session`].
pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> Ha1 {
    let raw = hash(algorithm, &[user.as_bytes(), realm.as_bytes(), password.as_bytes()]);
    Ha1 { algorithm: algorithm.base(), raw }
}

/// The `response` of a request (RFC 7616 §3.4.1); without `qop` in the form of RFC 2069. `body` counts only for
/// `auth-int`. For a `-sess` algorithm give [`Ha1::session`].
pub fn response(ha1: &Ha1, nonce: &str, qop: Option<Qop<'_>>, method: &str, uri: &str, body: &[u8]) -> Hex {
    let algorithm = ha1.algorithm;
    let a2 = if qop.is_some_and(|q| q.qop.eq_ignore_ascii_case("auth-int")) {
        let body = hash(algorithm, &[body]).hex();
        hash(algorithm, &[method.as_bytes(), uri.as_bytes(), body.as_str().as_bytes()]).hex()
    } else {
        hash(algorithm, &[method.as_bytes(), uri.as_bytes()]).hex()
    };
    let a1 = ha1.raw.hex();
    let (a1, a2) = (a1.as_str().as_bytes(), a2.as_str().as_bytes());
    match qop {
        None => hash(algorithm, &[a1, nonce.as_bytes(), a2]).hex(),
        Some(q) => {
            let (nc, cnonce, qop) = (q.nc.as_bytes(), q.cnonce.as_bytes(), q.qop.as_bytes());
            hash(algorithm, &[a1, nonce.as_bytes(), nc, cnonce, qop, a2]).hex()
        }
    }
}

/// The user name of `userhash=true` (RFC 7616 §3.4.4): H(user ":" realm).
pub fn userhash(algorithm: Algorithm, user: &str, realm: &str) -> Hex {
    hash(algorithm, &[user.as_bytes(), realm.as_bytes()]).hex()
}

/// `rspauth` of Authentication-Info (RFC 7616 §3.5): as [`response`] with an empty method.
pub fn response_auth(ha1: &Ha1, nonce: &str, qop: Qop<'_>, uri: &str, body: &[u8]) -> Hex {
    response(ha1, nonce, Some(qop), "", uri, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_vectors() {
        // RFC 2617 §3.5; RFC 7616 §3.9.1 (MD5, SHA-256) and §3.9.2 (SHA-512/256 with userhash).
        let mufasa = ("Mufasa", "testrealm@host.com", "Circle Of Life");
        let first = ha1(Algorithm::Md5, mufasa.0, mufasa.1, mufasa.2);
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        let qop = Qop { nc: "00000001", cnonce: "0a4f113b", qop: "auth" };
        let hex = response(&first, nonce, Some(qop), "GET", "/dir/index.html", b"");
        assert_eq!(hex.as_str(), "6629fae49393a05397450978507c4ef1");
        // The same without qop: RFC 2069 §2.4 as corrected by its erratum.
        let hex = response(&first, nonce, None, "GET", "/dir/index.html", b"");
        assert_eq!(hex.as_str(), "670fd8c2df070c60b045671b8b24ff02");

        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let qop = Qop { nc: "00000001", cnonce, qop: "auth" };
        for (algorithm, want) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let secret = ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
            assert_eq!(response(&secret, nonce, Some(qop), "GET", "/dir/index.html", b"").as_str(), want);
        }
    }

    /// H over the parts as one string, by the hash crates alone.
    fn plain(algorithm: Algorithm, text: &str) -> String {
        use sha2::Digest;
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        match algorithm {
            Algorithm::Md5 => hex(&Md5::digest(text)),
            Algorithm::Sha256 => hex(&Sha256::digest(text)),
            _ => hex(&Sha512_256::digest(text)),
        }
    }

    #[test]
    fn auth_int_and_session_keys_from_first_principles() {
        let qop = Qop { nc: "00000002", cnonce: "c", qop: "auth-int" };
        for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256] {
            let h = |text: &str| plain(algorithm, text);
            let a1 = h("u:r:p");
            let a2 = h(&format!("PUBLISH:sip:a@b:{}", h("body")));
            let first = ha1(algorithm, "u", "r", "p");
            let got = response(&first, "n", Some(qop), "PUBLISH", "sip:a@b", b"body");
            assert_eq!(got.as_str(), h(&format!("{a1}:n:00000002:c:auth-int:{a2}")));
            let session = h(&format!("{a1}:n:c"));
            let got = response(&first.session("n", "c"), "n", Some(qop), "PUBLISH", "sip:a@b", b"body");
            assert_eq!(got.as_str(), h(&format!("{session}:n:00000002:c:auth-int:{a2}")));
            assert_eq!(got.as_bytes().len(), algorithm.digest_bytes() * 2);
        }
    }

    #[test]
    fn userhash_of_rfc_7616() {
        // RFC 7616 §3.9.2, whose user is "Jäsøn Doe". The RFC prints 488869477bf2..., which is no hash of
        // "user:realm" by SHA-512/256; this one is.
        let got = userhash(Algorithm::Sha512_256, "J\u{e4}s\u{f8}n Doe", "api@example.org");
        assert_eq!(got.as_str(), plain(Algorithm::Sha512_256, "J\u{e4}s\u{f8}n Doe:api@example.org"));
        assert_eq!(got.as_str(), "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b");
    }

    #[test]
    fn hex_round_trip_and_redaction() {
        for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256] {
            let secret = ha1(algorithm, "alice", "example.test", "secret");
            let again = Ha1::from_hex(algorithm, secret.to_hex().as_str()).expect("hex");
            assert_eq!(again, secret);
            assert!(!format!("{secret:?}").contains(secret.to_hex().as_str()));
            assert_eq!(Algorithm::parse(&algorithm.token().to_lowercase()), Some(algorithm));
        }
        for hex in ["", "00", "zz345678901234567890123456789012", "é2345678901234567890123456789012"] {
            assert_eq!(Ha1::from_hex(Algorithm::Md5, hex), None, "{hex}");
        }
    }
}
