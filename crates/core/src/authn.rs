//! Who sent this request: digest challenges and their answers (RFC 3261 §22, RFC 7616, RFC 8760), trusted networks,
//! and peers known by their address.
//!
//! In go a request and whom it claims to be from; out comes an [`Identity`] or the word that it must be challenged, and
//! then the bytes of the 401. Until a digest is right nothing is stored and nothing is told: an unknown user, a wrong
//! password, a user of another domain and a refused source address are the same work and the same answer.
//!
//! ```text
//! phone                        server
//!   | SUBSCRIBE                  |  check: Challenge { stale: false }
//!   |--------------------------->|  challenge: a nonce that only its MAC remembers
//!   |<---------------------- 401 |
//!   | SUBSCRIBE, Authorization   |  check: the digest first, then the nonce, then its count
//!   |--------------------------->|  Accepted, or Challenge { stale: true } where only the nonce was bad
//! ```
//!
//! What it does not do: decide what an identity may do ([`owns`] says which addresses are its own), send anything,
//! answer challenges of others.

mod challenge;
mod index;
mod nonce;
mod ownership;
mod throttle;

#[allow(unused_imports, reason = "the node uses it")]
pub(crate) use ownership::owns;

use crate::bucket::{Buckets, network};
use crate::flow::{Flow, Listener};
use crate::hits::Limit;
use crate::limits;
use crate::map::Maps;
use crate::names::domain_of;
use crate::rng::Rng;
use crate::settings::{Authentication, Peer, Role, Settings};
use crate::time::Instant;
use index::Index;
use lampyris_sip::digest::{self, Algorithm, Ha1};
use lampyris_sip::{Credentials, Message, Name, Uri};
use nonce::Nonces;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use subtle::ConstantTimeEq;
use throttle::Throttle;

/// The algorithms of RFC 8760; which of them a realm offers is configured.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Sha256, Algorithm::Sha512_256, Algorithm::Md5];

/// Who a request is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The configured peer; none for a user of an `any_user` domain and for whom a trusted network vouches for.
    pub(crate) peer: Option<String>,
    /// The domain whose settings apply: an index into `Settings::domains`.
    pub(crate) domain: usize,
    /// The user part, unescaped; a peer's is its name.
    pub(crate) user: String,
    /// The URI of one who is at home elsewhere (a trusted network vouches for it).
    pub(crate) foreign: Option<String>,
}

impl Identity {
    /// What tells it from everybody else, for people too: the name of a peer, else a URI.
    ///
    /// Why: peers have names of their own, but users of an `any_user` domain may be called as those of another.
    pub(crate) fn name(&self, settings: &Settings) -> Cow<'_, str> {
        match (&self.foreign, &self.peer) {
            (Some(uri), _) => uri.into(),
            (None, Some(peer)) => peer.into(),
            (None, None) => {
                let domain = settings.domains.get(self.domain).map_or("", |domain| domain.name.as_str());
                format!("sip:{}@{domain}", self.user).into()
            }
        }
    }
}

/// As what we ask who it is (RFC 3261 §22.2, §22.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// A server the request is for: 401.
    Server,
    /// A proxy that is to pass it on: 407.
    Proxy,
}

impl Asks {
    /// The header of the answer to our challenge.
    const fn credentials(self) -> Name {
        match self {
            Self::Server => Name::Authorization,
            Self::Proxy => Name::ProxyAuthorization,
        }
    }
}

/// Whom a request says it is from: From, or in trusted networks P-Asserted-Identity (RFC 3325 §9.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    /// The URI as it stands there.
    pub(crate) uri: &'a str,
    /// What it names here: domain and unescaped user; `None` where it is not one of our domains.
    pub(crate) address: Option<(usize, &'a str)>,
}

/// What is at home here: for telling our own names from others'.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home<'a> {
    /// Domains and peers.
    pub(crate) settings: &'a Settings,
    /// Addresses.
    pub(crate) listeners: &'a [Listener],
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is from this one.
    Accepted(Identity),
    /// It is to be challenged ([`Authenticator::challenge`]).
    Challenge {
        /// The password was right and only the nonce is not good (any more).
        stale: bool,
    },
    /// Its source has asked or guessed too often; nothing was looked at.
    Throttled(Limit),
}

/// The parts of a request that a digest covers.
#[derive(Clone, Copy, Debug)]
struct Asked<'a> {
    method: &'a str,
    body: &'a [u8],
    source: IpAddr,
}

/// An answer to one of our challenges, right in form.
#[derive(Clone, Copy, Debug)]
struct Answer<'a> {
    credentials: Credentials<'a>,
    /// As the phone names it, with a session key or without.
    algorithm: Algorithm,
    /// qop, nonce count as sent and as a number, cnonce; `None` without qop (RFC 2069 style).
    counted: Option<(digest::Qop<'a>, u32)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Right(String),
    Stale,
    Wrong,
}

/// Authenticates requests.
pub(crate) struct Authenticator {
    nonces: Nonces,
    /// What sources may draw beyond what they send, before they are known.
    answers: Buckets,
    /// How often they may be asked who they are, and guess.
    throttle: Throttle,
    dummies: Vec<Ha1>,
    index: Index,
}

impl Authenticator {
    /// One that knows no peers by alias or address until [`Self::configure`]; keys and nonces come from `rng`.
    pub(crate) fn new(maps: Maps, mut rng: Rng) -> Self {
        let mut fork = || {
            let mut seed = [0; 32];
            seed.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&rng.next_u64().to_le_bytes()));
            Rng::new(seed)
        };
        let lifetime = Duration::from_secs(limits::NONCE_LIFETIME_S);
        let nonces = Nonces::new(fork(), lifetime, limits::NONCES_USED_MAX);
        let answers = Buckets::new(
            maps,
            fork(),
            limits::SHORT_ANSWERS_PER_S,
            limits::SHORT_ANSWERS_BURST,
            limits::SHORT_ANSWER_SOURCES_MAX,
        );
        let secret = format!("{:032x}", fork().next_u128());
        let dummies = ALGORITHMS.iter().map(|a| digest::ha1(*a, "", "", &secret)).collect();
        let index = Index::new(maps);
        let throttle = Throttle::new(maps, fork);
        Self { nonces, answers, throttle, dummies, index }
    }

    /// Takes the peers from (new) settings.
    pub(crate) fn configure(&mut self, settings: &Settings) {
        self.index.configure(settings);
    }

    /// DNS said where a host is that peers are configured with; it holds until DNS says otherwise.
    pub(crate) fn resolved(&mut self, settings: &Settings, host: &str, ips: Vec<IpAddr>) {
        self.index.resolved(settings, host, ips);
    }

    /// Says who a request is from, asked as what we are to it at our domain with this index.
    ///
    /// Invariant: nothing is stored but for a digest that is right, and how much a source has used ([`Throttle`]).
    pub(crate) fn check(
        &mut self,
        now: Instant,
        home: Home<'_>,
        (asks, domain): (Asks, usize),
        flow: Flow,
        message: &Message,
        claim: &Claim<'_>,
    ) -> Verdict {
        let settings = home.settings;
        if Self::is_trusted(settings, flow) {
            return Verdict::Accepted(self.believe(settings, domain, claim));
        }
        let claimed = claim.address.and_then(|(home, user)| self.peer_of(settings, home, user));
        let source = flow.remote().ip().to_canonical();
        let open = claimed.filter(|p| p.authentication == Authentication::Open && p.permits(source));
        if let Some(peer) = open.or_else(|| self.by_address(settings, flow, claim)) {
            return Verdict::Accepted(of_peer(peer));
        }
        let realm = settings.domains.get(domain).map(|d| d.realm.as_str());
        let (Some(realm), Some(method), Some(uri)) = (realm, message.method(), message.request_uri()) else {
            return Verdict::Challenge { stale: false };
        };
        let has_credentials = message.header(asks.credentials()).is_some();
        if let Some(limit) = self.throttle.refusal(now, flow.remote(), has_credentials) {
            return Verdict::Throttled(limit);
        }
        let asked = Asked { method: method.as_str(), body: message.body_bytes(), source };
        let (mut stale, mut wrong) = (false, false);
        for answer in answers(message, asks, realm) {
            let uri_fits = fits(home, answer.credentials.uri, uri);
            match self.verify(now, settings, domain, uri_fits, &asked, &answer) {
                Outcome::Right(name) => {
                    if let Some(peer) = settings.peers.get(&name) {
                        self.throttle.right(flow.remote());
                        return Verdict::Accepted(of_peer(peer));
                    }
                }
                Outcome::Stale => stale = true,
                Outcome::Wrong => wrong = true,
            }
        }
        if wrong && !stale {
            self.throttle.wrong(now, flow.remote());
        }
        self.throttle.challenged(now, flow.remote());
        Verdict::Challenge { stale }
    }

    /// Whether a request came from a network whose requests are not challenged.
    pub(crate) fn is_trusted(settings: &Settings, flow: Flow) -> bool {
        let source = flow.remote().ip().to_canonical();
        settings.trusted.iter().any(|network| network.contains(&source))
    }

    /// The identity a claim leads to when it is believed.
    fn believe(&self, settings: &Settings, domain: usize, claim: &Claim<'_>) -> Identity {
        let Some((home, user)) = claim.address else {
            let foreign = Some(claim.uri.to_owned());
            return Identity { peer: None, domain, user: String::new(), foreign };
        };
        match self.peer_of(settings, home, user) {
            Some(peer) => of_peer(peer),
            None => Identity { peer: None, domain: home, user: user.to_owned(), foreign: None },
        }
    }

    fn peer_of<'s>(&self, settings: &'s Settings, domain: usize, user: &str) -> Option<&'s Peer> {
        let named = settings.peers.get(user).filter(|peer| peer.domain == domain);
        named.or_else(|| settings.peers.get(self.index.alias(domain, user)?))
    }

    /// Who may come from this address without a digest: the peer the claim names, else the first one configured there.
    ///
    /// As sip.conf has it, a claim that names another `friend` or `user` counts before the address, so a phone behind
    /// the same NAT as a gateway is challenged.
    fn by_address<'s>(&self, settings: &'s Settings, flow: Flow, claim: &Claim<'_>) -> Option<&'s Peer> {
        let remote = flow.remote();
        let mut peers = self
            .index
            .at(remote.ip())
            .iter()
            // Why: a stream's source port is never the configured one.
            .filter(|(port, _)| flow.is_reliable() || port.is_none_or(|port| port == remote.port()))
            .filter_map(|(_, name)| settings.peers.get(name))
            .filter(|peer| peer.authentication == Authentication::Address && peer.permits(remote.ip()));
        let claimed = claim.address.and_then(|(domain, user)| self.peer_of(settings, domain, user));
        match claimed {
            Some(claimed) => {
                let named = peers.clone().find(|peer| peer.name == claimed.name);
                named.or_else(|| peers.next().filter(|_| claimed.role == Role::Peer))
            }
            None => peers.next(),
        }
    }

    /// Tries one answer to a challenge; the digest comes first, so that nothing else can be told from outside.
    fn verify(
        &mut self,
        now: Instant,
        settings: &Settings,
        domain: usize,
        uri_fits: bool,
        asked: &Asked<'_>,
        answer: &Answer<'_>,
    ) -> Outcome {
        let Some(realm) = settings.domains.get(domain).map(|d| d.realm.as_str()) else {
            return Outcome::Wrong;
        };
        let algorithm = answer.algorithm.base();
        let Some(dummy) = self.dummies.iter().find(|ha1| ha1.algorithm() == algorithm) else {
            return Outcome::Wrong;
        };
        let Credentials { username, userhash, nonce, uri, response, .. } = answer.credentials;
        let named = if userhash {
            self.index.hashed(username).and_then(|name| settings.peers.get(name))
        } else {
            settings.peers.get(username)
        };
        let peer = named.filter(|peer| peer.domain == domain && peer.permits(asked.source));
        let ha1 = peer.and_then(|peer| match &peer.authentication {
            Authentication::Digest(ha1s) => ha1s.iter().find(|ha1| ha1.algorithm() == algorithm),
            Authentication::Address | Authentication::Open => None,
        });
        // Why: somebody unknown costs the same hashes as somebody known.
        let used = ha1.unwrap_or(dummy);
        let qop = answer.counted.map(|(qop, _)| qop);
        // Why: RFC 7616 §3.4.2 has the cnonce of the first answer in the key. Phones put that of this one; only one that
        // changes its cnonce while it keeps the nonce could tell, and it is challenged once more.
        let session =
            qop.filter(|_| answer.algorithm.is_session()).map(|qop| used.session(nonce, qop.cnonce));
        let used = session.as_ref().unwrap_or(used);
        let want = digest::response(used, nonce, qop, asked.method, uri, asked.body);
        let equal = bool::from(want.as_str().as_bytes().ct_eq(response.to_ascii_lowercase().as_bytes()));
        let Some(peer) = peer.filter(|_| equal & ha1.is_some() & uri_fits) else { return Outcome::Wrong };
        let Some(nonce) = self.nonces.check(now, nonce, realm, asked.source) else {
            return Outcome::Stale;
        };
        let fresh = match answer.counted {
            Some((_, count)) => self.nonces.count(now, nonce, count),
            // Why: RFC 8760 §2.6 wants qop. Only old MD5 phones do without, and without a count each nonce is good
            // for one request.
            None if algorithm == Algorithm::Md5 => self.nonces.once(now, nonce),
            None => return Outcome::Wrong,
        };
        if fresh { Outcome::Right(peer.name.clone()) } else { Outcome::Stale }
    }

    /// Takes one of the source's tokens for an answer that is larger than its request.
    pub(crate) fn spare_answer(&mut self, now: Instant, source: IpAddr) -> bool {
        self.answers.take(now, network(source))
    }

    /// Whether somebody at this address and port showed who they are before, or is configured there.
    pub(crate) fn knows(&self, settings: &Settings, flow: Flow) -> bool {
        let remote = flow.remote();
        self.throttle.knows(remote)
            || Self::is_trusted(settings, flow)
            || !self.index.at(remote.ip()).is_empty()
    }

    /// Somebody at this address showed who they are in the process before.
    pub(crate) fn remember(&mut self, remote: SocketAddr) {
        self.throttle.remember(remote);
    }

    /// A To tag for an answer that nobody remembers: it follows from the request, so a retransmission gets the same
    /// (RFC 3261 §8.2.7).
    pub(crate) fn stateless_tag(&self, message: &Message) -> String {
        let branch = message.top_via().branch().unwrap_or("");
        let from = message.header(Name::From).unwrap_or("");
        self.nonces.tag([message.call_id().as_bytes(), from.as_bytes(), branch.as_bytes()])
    }
}

/// The well-formed answers for our realm; headers for other realms, other schemes and algorithms we do not know are
/// passed over (RFC 3261 §22.3, security row 28).
fn answers<'m>(message: &'m Message, asks: Asks, realm: &str) -> impl Iterator<Item = Answer<'m>> {
    let realm = challenge::quoted(realm);
    let credentials = message.headers(asks.credentials()).filter_map(|value| Credentials::parse(value).ok());
    credentials.filter(move |c| c.realm == realm).filter_map(answer).take(limits::CREDENTIALS_MAX)
}

fn answer(credentials: Credentials<'_>) -> Option<Answer<'_>> {
    let algorithm = credentials.digest_algorithm()?;
    // RFC 7616 §3.4.2: a session key is made with a cnonce, which comes with qop.
    if algorithm.is_session() && credentials.qop.is_none() {
        return None;
    }
    let counted = match credentials.qop {
        None => None,
        Some(qop) => {
            let known = ["auth", "auth-int"].iter().any(|known| known.eq_ignore_ascii_case(qop));
            let (nc, cnonce) = (credentials.nc_str?, credentials.cnonce?);
            known.then_some(Some((digest::Qop { nc, cnonce, qop }, credentials.nc?)))?
        }
    };
    Some(Answer { credentials, algorithm, counted })
}

fn of_peer(peer: &Peer) -> Identity {
    Identity { peer: Some(peer.name.clone()), domain: peer.domain, user: peer.name.clone(), foreign: None }
}

/// Whether the URI a digest covers may stand for the Request-URI: the same, or the same user (or none) at any name of
/// ours (RFC 8760 §2.6, rule 6).
fn fits(home: Home<'_>, covered: &str, asked: &str) -> bool {
    if covered == asked {
        return true;
    }
    let (Ok(covered), Ok(asked)) = (Uri::parse(covered), Uri::parse(asked)) else { return false };
    let user = covered.user_unescaped();
    let same_user = user.is_none() || user == asked.user_unescaped();
    // Interop: SIPp and others cover the address they send to, whatever the Request-URI says.
    same_user
        && (covered.host() == asked.host()
            || domain_of(home.settings, home.listeners, covered.host()).is_some())
}

#[cfg(test)]
mod tests;
