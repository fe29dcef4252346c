//! Who sent a request: trusted networks, peers known by their address, digest; and whether they may speak as they do.

use crate::authn::{self, Asks, Claim, Home, Identity, Verdict};
use crate::flow::Flow;
use crate::node::Node;
use crate::output::Event;
use crate::reject::Reject;
use crate::settings::Authentication;
use crate::time::Now;
use lampyris_sip::{Message, Method, Name, NameAddr};

/// What became of the question who it is.
pub(crate) enum Who {
    /// This one.
    Known(Identity),
    /// Not known, and told so, as far as that was allowed.
    Challenged,
}

impl Node {
    /// Who sent a request; it is challenged where that is not known: in the realm of the domain it claims to be from, or of
    /// `domain`, the one it asks at, where that is none of ours.
    ///
    /// # Errors
    /// 403: known, but the From (of a REGISTER the To) is an AOR of somebody else. 503: asked or guessed too often.
    pub(crate) fn identify(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        domain: usize,
        asks: Asks,
    ) -> Result<Who, Reject> {
        match self.federated(flow, message, domain) {
            Ok(Some(identity)) => return Ok(Who::Known(identity)),
            Ok(None) => {}
            Err(reject) => {
                self.tell_stranger(flow, message);
                return Err(reject);
            }
        }
        let settings = self.facts.settings.clone();
        let uri = claimed_uri(message, authn::Authenticator::is_trusted(&settings, flow));
        let address = self.address(&uri).ok().flatten();
        let claim = Claim { uri: &uri, address: address.as_ref().map(|a| (a.domain, a.user.as_str())) };
        // Why: a password is known where its user is at home, whomever it asks for.
        let domain = address.as_ref().map_or(domain, |address| address.domain);
        let home = Home { settings: &settings, listeners: &self.listeners };
        let verdict = self.authenticator.check(now.mono, home, (asks, domain), flow, message, &claim);
        let identity = match verdict {
            Verdict::Accepted(identity) => identity,
            Verdict::Throttled(limit) => return Err(limit.into()),
            Verdict::Challenge { stale } => {
                let challenge =
                    self.authenticator.challenge(now.mono, &settings, (asks, domain), flow, message, stale);
                if let Some(bytes) = challenge {
                    self.send(flow, bytes, None);
                }
                return Ok(Who::Challenged);
            }
        };
        if self.may_speak(flow, message, &identity) {
            return Ok(Who::Known(identity));
        }
        let speaks = spoken_uri(message);
        self.tell(Event::Rejected {
            from: flow.remote(),
            status: 403,
            why: format!("{} authenticated, but speaks as {speaks}", identity.name(&settings)),
        });
        Err(Reject::Forbidden)
    }

    /// Whether a request names as its sender (a REGISTER: as the registered) what is this identity's own.
    fn may_speak(&self, flow: Flow, message: &Message, identity: &Identity) -> bool {
        let settings = &self.facts.settings;
        let spoken = self.address(spoken_uri(message)).ok().flatten();
        let peer = identity.peer.as_ref().and_then(|name| settings.peers.get(name));
        let owned = spoken.as_ref().is_some_and(|spoken| match peer {
            Some(peer) => authn::owns(settings, peer, spoken.domain, &spoken.user),
            None => {
                identity.foreign.is_none()
                    && (identity.domain, &identity.user) == (spoken.domain, &spoken.user)
            }
        });
        let free = match message.method() {
            Some(Method::Register) => false,
            // Why: a PBX that publishes for others may say so in From.
            Some(Method::Publish) if peer.is_some_and(|peer| peer.trusted_publisher) => true,
            // Why: a proxy hides who it is in From (RFC 3325 §7), and a gateway known by its address passes callers on.
            _ => {
                authn::Authenticator::is_trusted(settings, flow)
                    || peer.is_some_and(|peer| peer.authentication == Authentication::Address)
            }
        };
        owned || free
    }
}

/// Whom a request names as its sender: From, and for REGISTER To.
fn spoken_uri(message: &Message) -> &str {
    if message.method() == Some(Method::Register) { message.to().uri() } else { message.from().uri() }
}

/// Whom a request says it is from: in trusted networks P-Asserted-Identity (RFC 3325 §9.1), else From; for REGISTER To.
fn claimed_uri(message: &Message, trusted: bool) -> String {
    if trusted {
        let asserted = message.values(Name::PAssertedIdentity).next();
        if let Some(asserted) = asserted.and_then(|value| NameAddr::parse(value).ok()) {
            return asserted.uri().to_owned();
        }
    }
    spoken_uri(message).to_owned()
}
