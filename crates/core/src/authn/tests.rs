//! Authentication as a phone sees it: requests and answers as text.

use super::*;
use crate::device_state::DeviceName;
use crate::flow::{ListenerId, StreamId};
use crate::settings::{AccessRule, Domain, Host};
use bytes::Bytes;
use std::net::SocketAddr;

const REALM: &str = "office";
const URI: &str = "sip:6001@example.com";

fn md5() -> Algorithm {
    Algorithm::parse("MD5").unwrap()
}

fn sha256() -> Algorithm {
    Algorithm::parse("SHA-256").unwrap()
}

fn peer(name: &str, algorithms: &[Algorithm]) -> Peer {
    let mut peer = Peer::named(name, DeviceName::parse(&format!("SIP/{name}")).unwrap());
    let secret = format!("{name}-secret");
    let ha1s = algorithms.iter().map(|a| digest::ha1(*a, name, REALM, &secret)).collect();
    peer.authentication = Authentication::Digest(ha1s);
    peer
}

/// alice (SHA-256 and MD5), modern (SHA-256 only), fenced (only from 198.51.100.0/24), stranger (another domain).
fn settings() -> Settings {
    let mut settings = Settings::empty();
    let mut domain = Domain::named("example.com");
    domain.aliases = vec!["pbx.example.com".to_owned(), "192.0.2.10".to_owned()];
    domain.realm = REALM.to_owned();
    domain.algorithms = vec![sha256(), md5()];
    let mut other = Domain::named("other.example");
    other.realm = REALM.to_owned();
    other.algorithms = vec![md5()];
    settings.domains = vec![domain, other];
    let mut fenced = peer("fenced", &[md5()]);
    fenced.access = vec![
        AccessRule { permit: false, network: "0.0.0.0/0".parse().unwrap() },
        AccessRule { permit: true, network: "198.51.100.0/24".parse().unwrap() },
    ];
    let mut stranger = peer("stranger", &[md5()]);
    stranger.domain = 1;
    for peer in [peer("alice", &[sha256(), md5()]), peer("modern", &[sha256()]), fenced, stranger] {
        settings.peers.insert(peer.name.clone(), peer);
    }
    settings
}

fn authenticator(settings: &Settings) -> Authenticator {
    let mut authenticator = Authenticator::new(Maps::new(1), Rng::new([1; 32]));
    authenticator.configure(settings);
    authenticator
}

fn at(s: u64) -> Instant {
    Instant::from_micros(s * 1_000_000)
}

fn udp(last: u8) -> Flow {
    Flow::Udp { listener: ListenerId(0), remote: SocketAddr::from(([192, 0, 2, last], 5060)) }
}

fn tcp(last: u8) -> Flow {
    Flow::Stream { id: StreamId(1), remote: SocketAddr::from(([192, 0, 2, last], 40_000)) }
}

fn request(headers: &str, body: &str) -> Message {
    let text = format!(
        "SUBSCRIBE {URI} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnashds7\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=1928301774\r\n\
         To: <sip:6001@example.com>\r\n\
         Call-ID: a84b4c76e66710@192.0.2.1\r\n\
         CSeq: 1 SUBSCRIBE\r\n\
         Contact: <sip:alice@192.0.2.1:5060>\r\n\
         Event: presence\r\n\
         {headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Message::parse(Bytes::from(text)).unwrap()
}

const CLAIM: Claim<'static> = Claim { uri: "sip:alice@example.com", address: Some((0, "alice")) };

/// An answer as a phone would write it.
#[derive(Clone, Copy)]
struct Phone<'a> {
    user: &'a str,
    secret: &'a str,
    realm: &'a str,
    algorithm: &'a str,
    nonce: &'a str,
    qop: Option<&'a str>,
    userhash: bool,
    nc: u32,
    uri: &'a str,
    body: &'a str,
}

impl Phone<'_> {
    fn header(&self) -> String {
        let Self { user, realm, algorithm, nonce, uri, .. } = self;
        let known = Algorithm::parse(algorithm).unwrap_or(md5());
        let ha1 = digest::ha1(known, user, realm, self.secret);
        let ha1 = if known.is_session() { ha1.session(nonce, "0a4f113b") } else { ha1 };
        let hash = digest::userhash(known, user, realm);
        let user = if self.userhash { hash.as_str() } else { user };
        let nc = format!("{:08x}", self.nc);
        let qop = self.qop.map(|qop| digest::Qop { nc: &nc, cnonce: "0a4f113b", qop });
        let response = digest::response(&ha1, nonce, qop, "SUBSCRIBE", uri, self.body.as_bytes());
        let mut text = format!(
            "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{}\", algorithm={algorithm}",
            response.as_str()
        );
        if self.userhash {
            text += ", userhash=true";
        }
        if let Some(qop) = self.qop {
            text += &format!(", qop={qop}, nc={nc}, cnonce=\"0a4f113b\"");
        }
        text + "\r\n"
    }
}

fn alice(nonce: &str) -> Phone<'_> {
    Phone {
        user: "alice",
        secret: "alice-secret",
        realm: REALM,
        algorithm: "SHA-256",
        nonce,
        qop: Some("auth"),
        userhash: false,
        nc: 1,
        uri: URI,
        body: "",
    }
}

struct Server {
    settings: Settings,
    authenticator: Authenticator,
}

impl Server {
    fn new() -> Self {
        let settings = settings();
        let authenticator = authenticator(&settings);
        Self { settings, authenticator }
    }

    fn check(&mut self, s: u64, flow: Flow, message: &Message) -> Verdict {
        let home = Home { settings: &self.settings, listeners: &[] };
        self.authenticator.check(at(s), home, (Asks::Server, 0), flow, message, &CLAIM)
    }

    fn challenge(&mut self, s: u64, flow: Flow, message: &Message, stale: bool) -> Option<String> {
        let bytes =
            self.authenticator.challenge(at(s), &self.settings, (Asks::Server, 0), flow, message, stale)?;
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// A fresh nonce, as read from a challenge.
    fn nonce(&mut self, s: u64, flow: Flow) -> String {
        let stream = Flow::Stream { id: StreamId(1), remote: flow.remote() };
        nonce_in(&self.challenge(s, stream, &request("", ""), false).unwrap()).to_owned()
    }
}

fn nonce_in(challenge: &str) -> &str {
    challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap()
}

fn accepted(name: &str) -> Verdict {
    Verdict::Accepted(Identity {
        peer: Some(name.to_owned()),
        domain: 0,
        user: name.to_owned(),
        foreign: None,
    })
}

const FRESH: Verdict = Verdict::Challenge { stale: false };
const STALE: Verdict = Verdict::Challenge { stale: true };

#[test]
fn every_way_to_answer_a_challenge() {
    type Change = for<'a> fn(&mut Phone<'a>);
    let rows: &[(&str, Change, Verdict)] = &[
        ("SHA-256 auth", |_| {}, accepted("alice")),
        ("SHA-256 auth-int", |p| p.qop = Some("auth-int"), accepted("alice")),
        ("MD5 auth", |p| p.algorithm = "MD5", accepted("alice")),
        ("MD5 without qop", |p| (p.algorithm, p.qop) = ("MD5", None), accepted("alice")),
        ("SHA-256 without qop", |p| p.qop = None, FRESH),
        ("user with SHA-256 only", |p| (p.user, p.secret) = ("modern", "modern-secret"), accepted("modern")),
        (
            "MD5 of one who may not",
            |p| (p.user, p.secret, p.algorithm) = ("modern", "modern-secret", "MD5"),
            FRESH,
        ),
        ("MD5-sess", |p| p.algorithm = "MD5-sess", accepted("alice")),
        ("SHA-256-sess", |p| p.algorithm = "SHA-256-sess", accepted("alice")),
        (
            "SHA-256-sess auth-int",
            |p| (p.algorithm, p.qop) = ("SHA-256-sess", Some("auth-int")),
            accepted("alice"),
        ),
        ("a session without qop", |p| (p.algorithm, p.qop) = ("MD5-sess", None), FRESH),
        ("a session and a wrong password", |p| (p.algorithm, p.secret) = ("MD5-sess", "guess"), FRESH),
        (
            "MD5-sess of one who may not MD5",
            |p| (p.user, p.secret, p.algorithm) = ("modern", "modern-secret", "MD5-sess"),
            FRESH,
        ),
        ("SHA-512-256-sess, which nobody here has", |p| p.algorithm = "SHA-512-256-sess", FRESH),
        ("unknown algorithm", |p| p.algorithm = "SHA-1", FRESH),
        ("hashed user", |p| p.userhash = true, accepted("alice")),
        ("hashed user, MD5-sess", |p| (p.userhash, p.algorithm) = (true, "MD5-sess"), accepted("alice")),
        ("hashed user, wrong password", |p| (p.userhash, p.secret) = (true, "guess"), FRESH),
        ("hash of nobody", |p| (p.userhash, p.user) = (true, "nobody"), FRESH),
        (
            "hashed user of another domain",
            |p| (p.userhash, p.user, p.secret, p.algorithm) = (true, "stranger", "stranger-secret", "MD5"),
            FRESH,
        ),
        ("unknown qop", |p| p.qop = Some("token"), FRESH),
        ("wrong password", |p| p.secret = "guess", FRESH),
        ("unknown user", |p| p.user = "nobody", FRESH),
        ("user in other case", |p| p.user = "Alice", FRESH),
        ("other realm", |p| p.realm = "elsewhere", FRESH),
        (
            "user of another domain",
            |p| (p.user, p.secret, p.algorithm) = ("stranger", "stranger-secret", "MD5"),
            FRESH,
        ),
        (
            "refused source address",
            |p| (p.user, p.secret, p.algorithm) = ("fenced", "fenced-secret", "MD5"),
            FRESH,
        ),
        ("a nonce that is not ours", |p| p.nonce = "522456f4", STALE),
        ("and a wrong password", |p| (p.nonce, p.secret) = ("522456f4", "guess"), FRESH),
        ("the URI of the domain", |p| p.uri = "sip:example.com", accepted("alice")),
        ("the user at an alias", |p| p.uri = "sip:6001@PBX.example.com;transport=udp", accepted("alice")),
        ("another user", |p| p.uri = "sip:6002@example.com", FRESH),
        ("another place", |p| p.uri = "sip:6001@elsewhere.example", FRESH),
        ("no URI", |p| p.uri = "*", FRESH),
    ];
    for body in ["", "v=0 and more"] {
        for (name, change, want) in rows {
            let mut server = Server::new();
            let nonce = server.nonce(1, udp(1));
            let mut phone = Phone { body, ..alice(&nonce) };
            change(&mut phone);
            let message = request(&phone.header(), body);
            assert_eq!(server.check(2, udp(1), &message), *want, "{name}");
            let stored = usize::from(matches!(want, Verdict::Accepted(_)));
            assert_eq!(
                server.authenticator.nonces.len(),
                stored,
                "{name}: only what was right leaves a trace"
            );
        }
    }
}

#[test]
fn auth_int_covers_the_body() {
    let mut server = Server::new();
    let nonce = server.nonce(1, udp(1));
    let phone = Phone { qop: Some("auth-int"), body: "closed", ..alice(&nonce) };
    assert_eq!(server.check(1, udp(1), &request(&phone.header(), "open!!")), FRESH);
    assert_eq!(server.check(1, udp(1), &request(&phone.header(), "closed")), accepted("alice"));
}

#[test]
fn a_replay_is_stale_and_a_count_is_good_once() {
    let mut server = Server::new();
    let nonce = server.nonce(1, udp(1));
    for (nc, want) in
        [(1, accepted("alice")), (1, STALE), (3, accepted("alice")), (2, accepted("alice")), (3, STALE)]
    {
        let message = request(&Phone { nc, ..alice(&nonce) }.header(), "");
        assert_eq!(server.check(2, udp(1), &message), want, "nc {nc}");
    }
    let once = Phone { algorithm: "MD5", qop: None, ..alice(&nonce) }.header();
    assert_eq!(server.check(2, udp(1), &request(&once, "")), accepted("alice"));
    assert_eq!(server.check(2, udp(1), &request(&once, "")), STALE, "without qop each nonce is good once");
    let next = server.nonce(2, udp(1));
    let once = Phone { algorithm: "MD5", qop: None, ..alice(&next) }.header();
    assert_eq!(server.check(2, udp(1), &request(&once, "")), accepted("alice"));
}

#[test]
fn a_nonce_ends_and_does_not_travel() {
    let mut server = Server::new();
    let nonce = server.nonce(1, udp(1));
    let message = request(&alice(&nonce).header(), "");
    assert_eq!(server.check(1, udp(2), &message), STALE, "another address");
    assert_eq!(server.check(301, udp(1), &message), STALE, "too late");
    assert_eq!(server.check(300, udp(1), &message), accepted("alice"));
    let mut restarted = Server::new();
    restarted.authenticator = Authenticator::new(Maps::new(1), Rng::new([2; 32]));
    assert_eq!(restarted.check(1, udp(1), &message), STALE, "after a restart no phone asks its user");
}

#[test]
fn auth_other_realm_and_several_headers() {
    let mut server = Server::new();
    let nonce = server.nonce(1, udp(1));
    let elsewhere = Phone { realm: "elsewhere", ..alice("x") }.header();
    let wrong = Phone { algorithm: "MD5", secret: "guess", ..alice(&nonce) }.header();
    let right = alice(&nonce).header();
    let basic = "Authorization: Basic YWxpY2U6YWxpY2U=\r\n";
    let rows = [
        (elsewhere.clone(), FRESH),
        (basic.to_owned(), FRESH),
        (format!("{basic}{elsewhere}{wrong}{right}"), accepted("alice")),
        (format!("{}{right}", wrong.repeat(limits::CREDENTIALS_MAX)), FRESH),
    ];
    for (row, (headers, want)) in rows.into_iter().enumerate() {
        assert_eq!(server.check(1, udp(1), &request(&headers, "")), want, "row {row}");
    }
}

#[test]
fn auth_trunc_every_part_of_a_header_is_refused() {
    let mut server = Server::new();
    let nonce = server.nonce(1, udp(1));
    let header = alice(&nonce).header();
    let header = header.trim_end();
    for end in "Authorization: ".len()..header.len() - 1 {
        let message = request(&format!("{}\r\n", &header[..end]), "");
        assert_ne!(server.check(1, udp(1), &message), accepted("alice"), "{}", &header[..end]);
    }
    for part in ["nc=", "nc=1", "nc=0000000g", "qop=", "cnonce=", "response=\"\"", "=,=,=", "Digest", ","] {
        let broken = format!("Authorization: Digest username=\"alice\", realm=\"{REALM}\", {part}\r\n");
        assert_eq!(server.check(1, udp(1), &request(&broken, "")), FRESH, "{part}");
    }
    assert_eq!(server.authenticator.nonces.len(), 0);
}

/// Everything but the nonce.
fn masked(challenge: &str) -> String {
    challenge.replace(nonce_in(challenge), "NONCE")
}

#[test]
fn unknown_users_and_wrong_passwords_get_the_same_bytes() {
    let mut server = Server::new();
    let nonce = server.nonce(1, udp(1));
    let mut answers = Vec::new();
    for (user, secret, algorithm) in [
        ("alice", "guess", "MD5"),
        ("malic", "guess", "MD5"),
        ("modern", "modern-secret", "MD5"),
        ("stranger", "stranger-secret", "MD5"),
        ("fenced", "fenced-secret", "MD5"),
    ] {
        let message = request(&Phone { user, secret, algorithm, ..alice(&nonce) }.header(), "");
        let Verdict::Challenge { stale } = server.check(1, udp(1), &message) else { panic!("{user}") };
        answers.push(masked(&server.challenge(1, udp(1), &message, stale).unwrap()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(server.authenticator.nonces.len(), 0);
}

#[test]
fn a_challenge_is_minimal_and_offers_the_most_preferred_first() {
    let mut server = Server::new();
    for (stale, flow) in [(false, udp(1)), (true, tcp(1))] {
        let message = request(&format!("X: {}\r\n", "p".repeat(300)), "");
        let text = server.challenge(1, flow, &message, stale).unwrap();
        assert!(text.starts_with("SIP/2.0 401 Unauthorized\r\n"), "{text}");
        let answer = Message::parse(Bytes::from(text.clone())).unwrap();
        let offers: Vec<&str> = answer.headers(Name::WwwAuthenticate).collect();
        let nonce = nonce_in(&text);
        assert!(nonce.len() <= limits::NONCE_CHARS_MAX);
        let end = if stale { ",stale=true" } else { "" };
        let want = ["SHA-256", "MD5"].map(|algorithm| {
            format!("Digest realm=\"office\",nonce=\"{nonce}\",algorithm={algorithm},qop=\"auth\"{end}")
        });
        assert_eq!(offers, want);
        for name in [Name::Server, Name::Allow, Name::Date, Name::Contact, Name::Supported] {
            assert_eq!(answer.header(name), None, "{name}");
        }
        assert_eq!(answer.call_id(), message.call_id());
        assert!(answer.to_tag().is_some());
        let again = server.challenge(2, flow, &message, stale).unwrap();
        assert_eq!(masked(&again), masked(&text), "a retransmission gets the same, but for the nonce");
    }
}

#[test]
fn over_udp_an_answer_is_no_larger_than_its_request() {
    let mut server = Server::new();
    let challenges = |text: &str| text.matches("WWW-Authenticate").count();
    let plain = request("", "").raw().len();
    let (mut seen, mut spared) = (Vec::new(), 0);
    for padding in (0..400).step_by(3) {
        let headers = format!("X: {}\r\n", "p".repeat(padding));
        let message = request(&headers, "");
        match server.challenge(1, udp(1), &message, false) {
            Some(text) if text.len() > message.raw().len() => spared += 1,
            Some(text) => seen.push(challenges(&text)),
            None => seen.push(0),
        }
        assert_eq!(
            challenges(&server.challenge(1, tcp(1), &message, false).unwrap()),
            2,
            "streams prove themselves"
        );
    }
    assert!(seen.is_sorted() && seen.contains(&1) && seen.contains(&2), "{plain}: {seen:?}");
    assert!(spared <= limits::SHORT_ANSWERS_BURST, "{spared}");
    let short = Message::parse(Bytes::from_static(
        b"SUBSCRIBE sip:6001@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKn\r\nFrom: <sip:a@b>;tag=1\r\n\
          To: <sip:c@d>\r\nCall-ID: a\r\nCSeq: 1 SUBSCRIBE\r\n\r\n",
    ))
    .unwrap();
    let mut server = Server::new();
    let answered = |server: &mut Server, s, last| server.challenge(s, udp(last), &short, false).is_some();
    for n in 0..2 * limits::SHORT_ANSWERS_BURST {
        assert_eq!(answered(&mut server, 1, 1), n < limits::SHORT_ANSWERS_BURST, "{n}");
    }
    assert!(answered(&mut server, 1, 2), "each source has its own");
    assert!(answered(&mut server, 3, 1), "and gets more with time");
}

#[test]
fn a_flood_without_passwords_leaves_nothing() {
    let mut server = Server::new();
    for n in 0..2000 {
        // Why: from anywhere, since one source would be throttled.
        let remote = ([10, 0, u8::try_from(n / 250).unwrap(), u8::try_from(n % 250).unwrap()], 5060).into();
        let source = Flow::Udp { listener: ListenerId(0), remote };
        let nonce = server.nonce(1, source);
        let user = format!("user{n}");
        let message = request(&Phone { user: &user, secret: "x", ..alice(&nonce) }.header(), "");
        assert_eq!(server.check(1, source, &message), FRESH);
        assert!(server.challenge(1, source, &message, false).is_some());
    }
    assert_eq!((server.authenticator.nonces.len(), server.authenticator.answers.len()), (0, 0));
}

#[test]
fn trusted_networks_addresses_and_open_peers() {
    let mut settings = settings();
    settings.trusted = vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let fixed = |name: &str, any_port, role| {
        let mut gateway = peer(name, &[]);
        gateway.authentication = Authentication::Address;
        gateway.host = Host::Fixed { address: "192.0.2.20:5080".parse().unwrap(), any_port };
        gateway.role = role;
        gateway
    };
    let mut open = peer("open", &[]);
    open.authentication = Authentication::Open;
    let mut named = peer("alice", &[md5()]);
    named.aliases = vec!["al".to_owned()];
    for peer in [fixed("gate", false, Role::Peer), fixed("hatch", true, Role::Peer), open, named] {
        settings.peers.insert(peer.name.clone(), peer);
    }
    let mut server = Server { authenticator: authenticator(&settings), settings };
    let user = |user: &str| {
        Verdict::Accepted(Identity { peer: None, domain: 0, user: user.to_owned(), foreign: None })
    };
    let foreign = Verdict::Accepted(Identity {
        peer: None,
        domain: 0,
        user: String::new(),
        foreign: Some("sip:x@y".to_owned()),
    });
    let udp = |address: &str| Flow::Udp { listener: ListenerId(0), remote: address.parse().unwrap() };
    let stream = Flow::Stream { id: StreamId(1), remote: "192.0.2.20:40000".parse().unwrap() };
    let rows = [
        ("a stranger", udp("192.0.2.1:5060"), Some("alice"), FRESH),
        ("trusted", udp("203.0.113.9:5060"), Some("alice"), accepted("alice")),
        ("by alias", udp("203.0.113.9:5060"), Some("al"), accepted("alice")),
        ("no such peer", udp("203.0.113.9:5060"), Some("guest"), user("guest")),
        ("from elsewhere", udp("203.0.113.9:5060"), None, foreign),
        ("trusted IPv6", udp("[2001:db8::7]:5060"), Some("alice"), accepted("alice")),
        ("trusted, mapped", udp("[::ffff:203.0.113.9]:5060"), Some("alice"), accepted("alice")),
        ("open", udp("192.0.2.1:5060"), Some("open"), accepted("open")),
        ("its address and port", udp("192.0.2.20:5080"), None, accepted("gate")),
        ("as it says", udp("192.0.2.20:5080"), Some("hatch"), accepted("hatch")),
        ("any port", udp("192.0.2.20:1024"), Some("gate"), accepted("hatch")),
        ("streams have any port", stream, Some("gate"), accepted("gate")),
        ("a phone behind the gateway", udp("192.0.2.20:1024"), Some("alice"), FRESH),
        ("a gateway from elsewhere", udp("192.0.2.21:5080"), Some("gate"), FRESH),
    ];
    for (name, flow, claimed, want) in rows {
        let claim = Claim { uri: "sip:x@y", address: claimed.map(|user| (0, user)) };
        let message = request("", "");
        let got = server.authenticator.check(
            at(1),
            Home { settings: &server.settings, listeners: &[] },
            (Asks::Server, 0),
            flow,
            &message,
            &claim,
        );
        assert_eq!(got, want, "{name}");
    }
    server.settings.peers.remove("gate");
    server.authenticator.configure(&server.settings);
    let claim = Claim { uri: "sip:x@y", address: Some((0, "gate")) };
    let message = request("", "");
    let got = server.authenticator.check(
        at(1),
        Home { settings: &server.settings, listeners: &[] },
        (Asks::Server, 0),
        udp("192.0.2.20:5080"),
        &message,
        &claim,
    );
    assert_eq!(got, accepted("hatch"), "after a reload");
}
