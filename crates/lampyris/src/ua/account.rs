//! Who a user agent is, and its answers to digest challenges (RFC 7616, RFC 8760).

use super::line::Request;
use lampyris_sip::digest;
use lampyris_sip::headers::Challenge;
use lampyris_sip::{Message, Name};
use std::fmt::Write as _;

/// An account at a server.
#[derive(Clone)]
pub struct Account {
    /// User part, and digest username where there is no `login`.
    pub user: String,
    /// Digest username.
    pub login: Option<String>,
    /// Domain of the AOR.
    pub domain: String,
    /// Password; without one no challenge is answered.
    pub password: Option<String>,
    /// Display name; may be empty.
    pub display: String,
}

impl Account {
    /// The AOR.
    pub fn aor(&self) -> String {
        format!("sip:{}@{}", self.user, self.domain)
    }

    /// From or To value of this account, without tag.
    pub(super) fn name_addr(&self) -> String {
        if self.display.is_empty() {
            return format!("<{}>", self.aor());
        }
        let display = self.display.replace(['"', '\\'], "");
        format!("\"{display}\" <{}>", self.aor())
    }

    /// The credentials that answer a 401 or 407, and the header they go into: for the first challenge we know, as the
    /// server prefers (RFC 8760 §2.4).
    pub(super) fn answer(&self, refusal: &Message, request: &Request<'_>) -> Option<(Name, String)> {
        let password = self.password.as_deref()?;
        let (challenges, header) = match refusal.status()?.0 {
            401 => (Name::WwwAuthenticate, Name::Authorization),
            407 => (Name::ProxyAuthenticate, Name::ProxyAuthorization),
            _ => return None,
        };
        let known = refusal
            .headers(challenges)
            .filter_map(|value| Challenge::parse(value).ok())
            .find_map(|challenge| challenge.digest_algorithm().map(|algorithm| (challenge, algorithm)));
        let (challenge, algorithm) = known?;
        let (method, uri) = (request.method.as_str(), request.uri);
        let body = request.body.map_or(&[][..], |(_, body)| body.as_bytes());
        let (realm, nonce) = (challenge.realm, challenge.nonce);
        let login = self.login.as_deref().unwrap_or(&self.user);
        let ha1 = digest::ha1(algorithm, login, realm, password);
        let cnonce = super::wire::token();
        let offers_auth = challenge.offers_qop("auth");
        let qop = offers_auth.then_some(digest::Qop { nc: "00000001", cnonce: &cnonce, qop: "auth" });
        let response = digest::response(&ha1, nonce, qop, method, uri, body);
        let mut value = format!(
            "Digest username=\"{login}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{}\", algorithm={}",
            response.as_str(),
            algorithm.token()
        );
        if offers_auth {
            let _ = write!(value, ", qop=auth, nc=00000001, cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = challenge.opaque {
            let _ = write!(value, ", opaque=\"{opaque}\"");
        }
        Some((header, value))
    }
}
