//! The 401, and the 407: stateless, minimal, and over UDP no larger than the request it answers (security row 48).
//!
//! It carries no Server, Allow or Date. Its To tag follows from the request, so that a retransmission gets the same one
//! though nothing was kept (RFC 3261 §8.2.7).

use super::{Asks, Authenticator};
use crate::flow::Flow;
use crate::settings::Settings;
use crate::time::Instant;
use bytes::Bytes;
use lampyris_sip::{Message, Name, ResponseWriter, StatusCode};

impl Authenticator {
    /// The 401 or 407 to a request at our domain with this index; `None` where it would be larger than the request and the source
    /// has drawn too many of those: then nothing is sent.
    ///
    /// One challenge per algorithm of the realm, most preferred first (RFC 8760 §2.3). Over UDP the last ones are left
    /// out where the answer would outgrow the request. Accepted, but not offered, are qop `auth-int`, the `-sess` forms
    /// of the algorithms (RFC 7616 §3.4.2) and a hashed user name (§3.4.4).
    pub(crate) fn challenge(
        &mut self,
        now: Instant,
        settings: &Settings,
        (asks, domain): (Asks, usize),
        flow: Flow,
        message: &Message,
        stale: bool,
    ) -> Option<Bytes> {
        let domain = settings.domains.get(domain)?;
        let source = flow.remote().ip().to_canonical();
        let nonce = self.nonces.issue(now, &domain.realm, source);
        let stale = if stale { ",stale=true" } else { "" };
        let realm = quoted(&domain.realm);
        let offers: Vec<String> = domain
            .algorithms
            .iter()
            // Why: `auth` alone is offered, as everywhere: phones that take the list for one word exist. One challenge
            // more per `-sess` form would only make the answer larger, and `userhash=true` would hide from us who asks.
            .map(|a| {
                format!(
                    "Digest realm=\"{realm}\",nonce=\"{nonce}\",algorithm={},qop=\"auth\"{stale}",
                    a.token()
                )
            })
            .collect();
        let tag = self.stateless_tag(message);
        let budget = if flow.is_reliable() { usize::MAX } else { message.raw().len() };
        for count in (1..=offers.len()).rev() {
            let bytes = write(message, flow, asks, &tag, &offers[..count]);
            if bytes.len() <= budget {
                return Some(bytes);
            }
        }
        self.answers.take(now, source).then(|| write(message, flow, asks, &tag, &offers))
    }
}

/// A 401 or 407 with these challenges and nothing beyond what RFC 3261 §8.2.6 copies from the request.
fn write(message: &Message, flow: Flow, asks: Asks, tag: &str, offers: &[String]) -> Bytes {
    let (status, name) = match asks {
        Asks::Server => (StatusCode(401), Name::WwwAuthenticate),
        Asks::Proxy => (StatusCode(407), Name::ProxyAuthenticate),
    };
    let mut writer = ResponseWriter::reply_to(message, status, Some(flow.remote()), Some(tag));
    for offer in offers {
        writer.header(name, offer);
    }
    writer.finish()
}

/// Text for between double quotes (RFC 3261 §25.1).
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
