//! The HTTP request that makes a connection a WebSocket for SIP (RFC 6455 §4.2, RFC 7118 §4.1).
//!
//! In: the head of one request. Out: the answer, 101 or a refusal. A page of another site may not use its visitor's
//! browser to come in (security row 42): `Origin` must be allowed, or, where nothing is configured, name the host that was
//! asked for. No cookies are read, nothing is served, and a refusal says why in plain text.

use super::limits::WS_HEADERS_MAX;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The subprotocol (RFC 7118 §4.1).
const SUBPROTOCOL: &str = "sip";

/// Why a request is refused: status and reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: u16,
    reason: &'static str,
    why: &'static str,
}

const fn refusal(status: u16, reason: &'static str, why: &'static str) -> Refusal {
    Refusal { status, reason, why }
}

/// The head is longer than we read.
pub(super) const TOO_LONG: Refusal =
    refusal(431, "Request Header Fields Too Large", "the request is too long");
const MALFORMED: Refusal = refusal(400, "Bad Request", "this is no HTTP request");
const NO_METHOD: Refusal = refusal(405, "Method Not Allowed", "a WebSocket begins with GET");
const NO_UPGRADE: Refusal = refusal(426, "Upgrade Required", "only WebSockets are served here");
const NO_KEY: Refusal = refusal(400, "Bad Request", "there must be one Sec-WebSocket-Key of 16 bytes");
const NO_SIP: Refusal = refusal(400, "Bad Request", "the subprotocol must be sip (RFC 7118)");
const NO_ORIGIN: Refusal = refusal(403, "Forbidden", "pages of this origin may not connect (ws_origins)");

impl Refusal {
    /// As bytes.
    pub(crate) fn response(self) -> String {
        let Self { status, reason, why } = self;
        let more = match status {
            405 => "Allow: GET\r\n",
            426 => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            _ => "",
        };
        format!(
            "HTTP/1.1 {status} {reason}\r\n{more}Content-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{why}\n",
            why.len() + 1
        )
    }

    /// For the log.
    pub(super) const fn why(self) -> &'static str {
        self.why
    }
}

/// Answers a request whose head this is, up to its empty line; `origins` are those allowed.
///
/// # Errors
/// Why it is no WebSocket for SIP, or may not be one.
pub(crate) fn accept(head: &[u8], origins: &[String]) -> Result<String, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; WS_HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(TOO_LONG),
        Ok(httparse::Status::Partial) | Err(_) => return Err(MALFORMED),
    }
    if request.method != Some("GET") {
        return Err(NO_METHOD);
    }
    let values = |name: &'static str| {
        let found = request.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        found.filter_map(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    let single = |name| {
        let mut all = values(name);
        all.next().filter(|_| all.next().is_none())
    };
    let lists = |name, token: &str| {
        values(name).flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
    };
    if request.version != Some(1) || !lists("Upgrade", "websocket") || !lists("Connection", "upgrade") {
        return Err(NO_UPGRADE);
    }
    if single("Sec-WebSocket-Version") != Some("13") {
        return Err(NO_UPGRADE);
    }
    let key = single("Sec-WebSocket-Key").filter(|key| is_key(key)).ok_or(NO_KEY)?;
    // Why: a browser always says where its page is from, and nothing else says it (RFC 6455 §10.2).
    let mut named = values("Origin").peekable();
    if named.peek().is_some() && !named.all(|origin| is_allowed(origin, single("Host"), origins)) {
        return Err(NO_ORIGIN);
    }
    if !lists("Sec-WebSocket-Protocol", SUBPROTOCOL) {
        return Err(NO_SIP);
    }
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    ))
}

/// Whether this is base64 of 16 bytes.
fn is_key(key: &str) -> bool {
    key.len() == 24
        && key.strip_suffix("==").is_some_and(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
        })
}

fn is_allowed(origin: &str, host: Option<&str>, origins: &[String]) -> bool {
    if !origins.is_empty() {
        let same = |known: &String| known == "*" || known.trim_end_matches('/').eq_ignore_ascii_case(origin);
        return origins.iter().any(same);
    }
    let from = origin.split_once("://").map(|(_, authority)| without_port(authority));
    from.zip(host)
        .is_some_and(|(from, host)| !from.is_empty() && from.eq_ignore_ascii_case(without_port(host)))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET /ws HTTP/1.1\r\nHost: pbx.example.com:8080\r\nUpgrade: WebSocket\r\n\
        Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Origin: http://pbx.example.com\r\nSec-WebSocket-Protocol: xmpp, sip\r\nSec-WebSocket-Version: 13\r\n\r\n";

    fn tried(change: (&str, &str)) -> Result<String, u16> {
        assert!(GOOD.contains(change.0), "{change:?}");
        accept(GOOD.replace(change.0, change.1).as_bytes(), &[]).map_err(|refusal| refusal.status)
    }

    #[test]
    fn rfc6455_4_2_2_the_answer() {
        let answer = accept(GOOD.as_bytes(), &[]).unwrap();
        // The key and its answer are those of RFC 6455 §1.3.
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
        assert!(answer.contains("Sec-WebSocket-Protocol: sip\r\n"), "{answer}");
    }

    #[test]
    fn what_is_refused() {
        for (from, to, status) in [
            ("GET", "POST", 405),
            ("HTTP/1.1", "HTTP/1.0", 426),
            ("WebSocket\r\n", "h2c\r\n", 426),
            ("keep-alive, Upgrade", "keep-alive", 426),
            ("Version: 13", "Version: 8", 426),
            ("Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Version: 13\r\n", 426),
            ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", 400),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ!==", 400),
            ("Sec-WebSocket-Key:", "X:", 400),
            ("xmpp, sip", "xmpp", 400),
            ("Sec-WebSocket-Protocol: xmpp, sip\r\n", "", 400),
            ("http://pbx.example.com", "https://evil.example", 403),
            ("http://pbx.example.com", "http://pbx.example.com.evil.example", 403),
            ("http://pbx.example.com", "null", 403),
            ("http://pbx.example.com", "", 403),
            ("Host: pbx.example.com:8080\r\n", "", 403),
            ("GET", "\0", 400),
        ] {
            assert_eq!(tried((from, to)), Err(status), "{from:?} {to:?}");
        }
        // What is no browser has no Origin.
        assert!(tried(("Origin: http://pbx.example.com\r\n", "")).is_ok());
        assert!(tried(("http://pbx.example.com", "https://PBX.example.com:4443")).is_ok());
        let many = "X: y\r\n".repeat(WS_HEADERS_MAX);
        assert_eq!(tried(("\r\n\r\n", &format!("\r\n{many}\r\n"))), Err(431));
    }

    #[test]
    fn ws_evil_origin_only_listed_origins_come_in() {
        let with = |origin: &str, listed: &[&str]| {
            let listed: Vec<_> = listed.iter().map(|known| (*known).to_owned()).collect();
            accept(GOOD.replace("http://pbx.example.com", origin).as_bytes(), &listed).is_ok()
        };
        let listed = ["https://phone.example.com", "http://localhost:3000/"];
        assert!(with("https://phone.example.com", &listed) && with("http://localhost:3000", &listed));
        for evil in [
            "http://phone.example.com",
            "https://phone.example.com:444",
            "https://phone.example.com.evil",
            "http://pbx.example.com",
        ] {
            assert!(!with(evil, &listed), "{evil}");
        }
        assert!(with("https://anything", &["*"]) && with("null", &["null"]));
    }

    #[test]
    fn hosts_lose_their_ports() {
        for (authority, host) in [
            ("a", "a"),
            ("a:80", "a"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("127.0.0.1:1", "127.0.0.1"),
        ] {
            assert_eq!(without_port(authority), host);
        }
    }
}
