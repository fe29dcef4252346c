//! Digest credentials of the simulated phones (RFC 7616): a challenge met, and Authorization lines made from it.

use bytes::Bytes;
use lampyris_sip::digest::{self, Ha1};
use lampyris_sip::headers::Challenge;
use lampyris_sip::{Message, Name};

/// Whose password answers challenges.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The user, who is also in From.
    pub(crate) user: String,
    pub(crate) password: String,
    /// Whether a nonce is used again; else every request is challenged first.
    pub(crate) keeps_nonce: bool,
}

/// A challenge that was met, and how often it was answered.
pub(crate) struct Nonce {
    ha1: Ha1,
    nonce: String,
    realm: String,
    opaque: Option<String>,
    /// Whether the server counts (RFC 7616 §3.4); else it is the form of RFC 2069.
    counts: bool,
    /// Of a proxy (407), not of the server itself (401).
    proxy: bool,
    count: u32,
}

impl Nonce {
    /// What a 401 or 407 asks for; `None` where it asks for what we cannot do.
    pub(crate) fn of(refusal: &[u8], account: &Account) -> Option<Self> {
        let refusal = Message::parse(Bytes::copy_from_slice(refusal)).ok()?;
        let proxy = refusal.status()?.0 == 407;
        let name = if proxy { Name::ProxyAuthenticate } else { Name::WwwAuthenticate };
        refusal.headers(name).find_map(|value| {
            let challenge = Challenge::parse(value).ok()?;
            let algorithm = challenge.digest_algorithm()?;
            Some(Self {
                ha1: digest::ha1(algorithm, &account.user, challenge.realm, &account.password),
                nonce: challenge.nonce.to_owned(),
                realm: challenge.realm.to_owned(),
                opaque: challenge.opaque.map(ToOwned::to_owned),
                counts: challenge.qop.is_some(),
                proxy,
                count: 0,
            })
        })
    }

    /// The next Authorization or Proxy-Authorization line.
    pub(crate) fn line(&mut self, user: &str, method: &str, uri: &str) -> String {
        self.count = self.count.saturating_add(1);
        let name = if self.proxy { "Proxy-Authorization" } else { "Authorization" };
        let (nc, cnonce) = (format!("{:08x}", self.count), "0a4f113b");
        let qop = self.counts.then_some(digest::Qop { nc: &nc, cnonce, qop: "auth" });
        let response = digest::response(&self.ha1, &self.nonce, qop, method, uri, b"");
        let mut line = format!(
            "{name}: Digest username=\"{user}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{}\", \
             algorithm={}",
            self.realm,
            self.nonce,
            response.as_str(),
            self.ha1.algorithm().token()
        );
        if let Some(opaque) = &self.opaque {
            line.push_str(&format!(", opaque=\"{opaque}\""));
        }
        if self.counts {
            line.push_str(&format!(", qop=auth, nc={nc}, cnonce=\"{cnonce}\""));
        }
        line.push_str("\r\n");
        line
    }
}
