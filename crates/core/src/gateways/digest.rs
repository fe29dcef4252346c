//! Answers to the challenges of other servers (RFC 7616, RFC 8760): any algorithm that is offered and known, one realm.

use super::settings::Gateway;
use lampyris_sip::headers::Challenge;
use lampyris_sip::{Message, Name, digest};
use std::fmt::Write as _;

/// What answers a challenge, kept so that later requests carry it without being asked (RFC 7616 §3.6).
#[derive(Clone, Debug)]
pub(crate) struct Answerable {
    header: Name,
    algorithm: digest::Algorithm,
    token: String,
    nonce: String,
    opaque: Option<String>,
    with_qop: bool,
    /// How often the nonce was used.
    count: u32,
}

/// Why a challenge is not answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// There is no password, or the one there is was refused.
    Password,
    /// No challenge is of the configured realm; the realm of the first.
    Realm(String),
    /// None of the algorithms or qualities of protection is known.
    Unknown,
}

impl Answerable {
    /// Picks the first challenge of our realm that can be answered: the server's own order of preference (RFC 8760 §2.4).
    /// `refused` is what the request carried.
    ///
    /// # Errors
    /// Why none can.
    pub(crate) fn pick(
        gateway: &Gateway,
        refusal: &Message,
        refused: Option<&Self>,
    ) -> Result<Self, Unanswered> {
        let (asked, header) = match refusal.status().map(|status| status.0) {
            Some(407) => (Name::ProxyAuthenticate, Name::ProxyAuthorization),
            _ => (Name::WwwAuthenticate, Name::Authorization),
        };
        if gateway.password.0.is_empty() {
            return Err(Unanswered::Password);
        }
        let mut other = None;
        for value in refusal.headers(asked) {
            let Ok(challenge) = Challenge::parse(value) else { continue };
            // RFC 7616 §3.3: the realm is compared as it is. Nobody else's challenge is given a hash of this password.
            if challenge.realm != gateway.realm {
                other.get_or_insert_with(|| challenge.realm.to_owned());
                continue;
            }
            let Some(algorithm) = challenge.digest_algorithm() else { continue };
            let with_qop = challenge.offers_qop("auth");
            // Why: `auth-int` alone and a session without cnonce are not answered.
            if !with_qop && (challenge.qop.is_some() || algorithm.is_session()) {
                continue;
            }
            // Why: a nonce that is refused though it is new says that the password is wrong; asking on would lock us out.
            if refused.is_some_and(|known| known.header == header && !challenge.stale && known.count <= 1) {
                return Err(Unanswered::Password);
            }
            return Ok(Self {
                header,
                algorithm,
                token: algorithm.token().to_owned(),
                nonce: challenge.nonce.to_owned(),
                opaque: challenge.opaque.map(str::to_owned),
                with_qop,
                count: 0,
            });
        }
        Err(other.map_or(Unanswered::Unknown, Unanswered::Realm))
    }

    /// The header that answers it in this request; `cnonce` is new each time.
    pub(crate) fn header(
        &mut self,
        gateway: &Gateway,
        method: &str,
        uri: &str,
        cnonce: &str,
    ) -> (Name, String) {
        self.count = self.count.saturating_add(1);
        let mut ha1 = digest::ha1(self.algorithm, &gateway.username, &gateway.realm, &gateway.password.0);
        if self.algorithm.is_session() {
            ha1 = ha1.session(&self.nonce, cnonce);
        }
        let count = format!("{:08x}", self.count);
        let qop = self.with_qop.then_some(digest::Qop { nc: &count, cnonce, qop: "auth" });
        let response = digest::response(&ha1, &self.nonce, qop, method, uri, b"");
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut value = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{}\", algorithm={}",
            quoted(&gateway.username),
            quoted(&gateway.realm),
            self.nonce,
            response.as_str(),
            self.token,
        );
        if self.with_qop {
            let _ = write!(value, ", qop=auth, nc={count}, cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(value, ", opaque=\"{opaque}\"");
        }
        (self.header, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateways::settings::Password;
    use lampyris_sip::headers::Credentials;

    fn gateway() -> Gateway {
        Gateway {
            name: "fs2".into(),
            realm: "http-auth@example.org".into(),
            username: "Mufasa".into(),
            password: Password("Circle of Life".into()),
            identity: "sip:Mufasa@example.org".into(),
            proxy: None,
            registration: None,
            subscriptions: Vec::new(),
            publications: Vec::new(),
            peer: String::new(),
            watches: Vec::new(),
            server: String::new(),
        }
    }

    fn refusal(challenges: &str) -> Message {
        let text = format!(
            "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 SUBSCRIBE\r\n{challenges}Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into()).expect("a response")
    }

    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";

    fn challenge(algorithm: &str) -> String {
        format!(
            "WWW-Authenticate: Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"{NONCE}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"\r\n"
        )
    }

    /// RFC 7616 §3.9.1 prints the responses.
    #[test]
    fn rfc7616_3_9_1_example() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let mut found = Answerable::pick(&gateway(), &refusal(&challenge(algorithm)), None).expect("one");
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let (_, value) = found.header(&gateway(), "GET", "/dir/index.html", cnonce);
            assert_eq!(Credentials::parse(&value).expect("credentials").response, response, "{value}");
        }
    }

    #[test]
    fn the_first_known_algorithm_of_our_realm_alone() {
        let both = format!("{}{}", challenge("SHA-512-256-what"), challenge("SHA-256"));
        assert_eq!(Answerable::pick(&gateway(), &refusal(&both), None).expect("one").token, "SHA-256");
        let other = "WWW-Authenticate: Digest realm=\"evil.example\", nonce=\"n\"\r\n";
        let found = Answerable::pick(&gateway(), &refusal(other), None).expect_err("none");
        assert_eq!(found, Unanswered::Realm("evil.example".into()));
        let first = Answerable::pick(&gateway(), &refusal(&format!("{other}{}", challenge("MD5"))), None);
        assert_eq!(first.expect("one").token, "MD5");
        let found = Answerable::pick(&gateway(), &refusal(&challenge("what")), None).expect_err("none");
        assert_eq!(found, Unanswered::Unknown);
    }

    #[test]
    fn a_password_that_is_refused_is_not_said_again() {
        let mut first = Answerable::pick(&gateway(), &refusal(&challenge("MD5")), None).expect("one");
        first.header(&gateway(), "SUBSCRIBE", "sip:a", "c");
        let again = Answerable::pick(&gateway(), &refusal(&challenge("MD5")), Some(&first));
        assert_eq!(again.expect_err("refused"), Unanswered::Password);
        let stale = challenge("MD5").replace("qop=", "stale=true, qop=");
        assert!(Answerable::pick(&gateway(), &refusal(&stale), Some(&first)).is_ok());
        first.header(&gateway(), "SUBSCRIBE", "sip:a", "c");
        let old = Answerable::pick(&gateway(), &refusal(&challenge("MD5")), Some(&first));
        assert!(old.is_ok(), "it was good once: the nonce has grown old");
    }
}
