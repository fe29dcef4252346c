//! Answers to digest challenges (RFC 7616 §3.4, RFC 8760), for the phones and for `{authorize ...}` in scenarios.
//!
//! Words change the answer: an algorithm's name chooses among the challenges, `plain` leaves qop out,
//! `password=x`, `user=x`, `nc=00000002` and `nonce=x` lie.

use lampyris_sip::digest::{self, Algorithm, Qop};
use lampyris_sip::headers::auth::Challenge;
use lampyris_sip::{Message, Name};
use std::fmt::Write as _;

/// Who answers, and what for.
pub(crate) struct Request<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) body: &'a [u8],
}

/// The value of an Authorization header.
pub(crate) fn authorize(challenged: &Message, words: &str, request: &Request<'_>) -> Result<String, String> {
    let word =
        |name: &str| words.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let wanted = words.split_whitespace().find_map(Algorithm::parse);
    let names = [Name::WwwAuthenticate, Name::ProxyAuthenticate];
    let challenges = names
        .into_iter()
        .flat_map(|name| challenged.headers(name))
        .filter_map(|value| Challenge::parse(value).ok());
    let known = challenges.filter_map(|challenge| Some((challenge, challenge.digest_algorithm()?)));
    let mut chosen = known.filter(|(_, algorithm)| wanted.is_none_or(|wanted| wanted == *algorithm));
    let (challenge, algorithm) = chosen.next().ok_or("no challenge that can be answered so")?;
    let realm = challenge.realm;
    let nonce = word("nonce").unwrap_or(challenge.nonce);
    let user = word("user").unwrap_or(request.user);
    let ha1 = digest::ha1(algorithm, user, realm, word("password").unwrap_or(request.password));
    let plain = words.split_whitespace().any(|word| word == "plain");
    let nc = word("nc").unwrap_or("00000001");
    let qop = (!plain && challenge.offers_qop("auth")).then_some(Qop { nc, cnonce: "0a4f113b", qop: "auth" });
    let with_qop = qop.is_some();
    let response = digest::response(&ha1, nonce, qop, request.method, request.uri, request.body);
    let mut value = format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{}\", response=\"{}\", algorithm={}",
        request.uri,
        response.as_str(),
        algorithm.token()
    );
    if with_qop {
        let _ = write!(value, ", qop=auth, nc={nc}, cnonce=\"0a4f113b\"");
    }
    if let Some(opaque) = challenge.opaque {
        let _ = write!(value, ", opaque=\"{opaque}\"");
    }
    Ok(value)
}
