//! What makes two requests the same transaction (RFC 3261 §17.2.3), boiled down to 128 seeded bits each.
//!
//! In go the parts of a request; out come the key of its transaction and the key under which a merged request would
//! be found (§8.2.2.2). Keys are fingerprints, so that a finished transaction costs no strings.

use super::branch::COOKIE;
use crate::rng::Rng;
use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use smallvec::SmallVec;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// The parts of a request that identify its transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    /// The request's method.
    pub(crate) method: &'a str,
    /// The Request-URI as sent.
    pub(crate) uri: &'a [u8],
    /// The value of the topmost Via as sent.
    pub(crate) via: &'a [u8],
    /// Its branch.
    pub(crate) branch: Option<&'a str>,
    /// Its sent-by host.
    pub(crate) host: &'a str,
    /// Its sent-by port.
    pub(crate) port: Option<u16>,
    /// Call-ID.
    pub(crate) call_id: &'a str,
    /// The tag of From.
    pub(crate) from_tag: Option<&'a str>,
    /// The tag of To.
    pub(crate) to_tag: Option<&'a str>,
    /// The number of CSeq.
    pub(crate) cseq: u32,
}

/// A transaction's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(u64, u64);

/// Makes keys; two seeds, so that nobody outside can make two transactions collide.
#[derive(Clone, Debug)]
pub(super) struct Keys(SeedableRandomState, SeedableRandomState);

impl Keys {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let mut state = || SeedableRandomState::with_seed(rng.next_u64(), SharedSeed::global_fixed());
        Self(state(), state())
    }

    fn key(&self, text: &Text) -> Key {
        Key(self.0.hash_one(text.0.as_slice()), self.1.hash_one(text.0.as_slice()))
    }

    /// The key of the server transaction this request belongs to; for ACK the INVITE's it acknowledges.
    ///
    /// Why: the source address is part of it, beyond §17.2.3: behind NATs two phones may share a private sent-by and a
    /// weak branch, and nobody can have a stored response sent to a forged address. The port is not: NATs change it.
    pub(super) fn transaction(&self, parts: &Parts<'_>, source: IpAddr) -> Key {
        self.of_method(parts, source, if parts.method == "ACK" { "INVITE" } else { parts.method })
    }

    /// The key of the INVITE that this CANCEL cancels (RFC 3261 §9.2).
    pub(super) fn cancelled(&self, parts: &Parts<'_>, source: IpAddr) -> Key {
        self.of_method(parts, source, "INVITE")
    }

    fn of_method(&self, parts: &Parts<'_>, source: IpAddr, method: &str) -> Key {
        let mut text = Text::default();
        match source.to_canonical() {
            IpAddr::V4(v4) => text.add(&v4.octets()),
            IpAddr::V6(v6) => text.add(&v6.octets()),
        };
        text.add(method.as_bytes());
        match parts.branch.filter(|branch| branch.len() > COOKIE.len() && branch.starts_with(COOKIE)) {
            Some(branch) => {
                text.add(branch.as_bytes());
                text.add(parts.host.as_bytes()).make_ascii_lowercase();
                text.add(&parts.port.unwrap_or(5060).to_be_bytes());
            }
            // RFC 2543: everything must be equal, but for the To tag of an ACK, which is ours.
            None => {
                text.add(parts.uri);
                text.add(parts.via);
                text.add(parts.call_id.as_bytes());
                text.add_tag(parts.from_tag);
                text.add(&parts.cseq.to_be_bytes());
                if method != "INVITE" {
                    text.add_tag(parts.to_tag);
                }
            }
        }
        self.key(&text)
    }

    /// A short text that follows from these parts and nothing else, while this process lives; a `token`.
    pub(super) fn fingerprint<'p>(&self, parts: impl Iterator<Item = &'p [u8]>) -> String {
        let mut text = Text::default();
        parts.for_each(|part| {
            text.add(part);
        });
        format!("{:016x}", self.0.hash_one(text.0.as_slice()))
    }

    /// What a merged request has in common with the one that came first; none inside a dialog.
    pub(super) fn merge(&self, parts: &Parts<'_>) -> Option<Key> {
        let mergeable = parts.to_tag.is_none() && !matches!(parts.method, "ACK" | "CANCEL");
        mergeable.then(|| {
            let mut text = Text::default();
            text.add(parts.call_id.as_bytes());
            text.add_tag(parts.from_tag);
            text.add(&parts.cseq.to_be_bytes());
            text.add(parts.method.as_bytes());
            self.key(&text)
        })
    }
}

/// Parts one after the other, each with its length before it, so that none can run into the next.
#[derive(Default)]
struct Text(SmallVec<[u8; 256]>);

impl Text {
    fn add(&mut self, part: &[u8]) -> &mut [u8] {
        self.0.extend_from_slice(&part.len().to_be_bytes());
        let from = self.0.len();
        self.0.extend_from_slice(part);
        &mut self.0[from..]
    }

    fn add_tag(&mut self, tag: Option<&str>) {
        self.0.push(u8::from(tag.is_some()));
        self.add(tag.unwrap_or("").as_bytes());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::transaction) const PARTS: Parts<'static> = Parts {
        method: "SUBSCRIBE",
        uri: b"sip:6001@example.com",
        via: b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc",
        branch: Some("z9hG4bKabc"),
        host: "192.0.2.1",
        port: Some(5060),
        call_id: "c1",
        from_tag: Some("f1"),
        to_tag: None,
        cseq: 1,
    };

    fn same(a: Parts<'_>, b: Parts<'_>) -> bool {
        let keys = Keys::new(&mut Rng::new([1; 32]));
        let source = IpAddr::from([192, 0, 2, 1]);
        keys.transaction(&a, source) == keys.transaction(&b, source)
    }

    #[test]
    fn rfc3261_17_2_3_branch_sent_by_and_method_decide() {
        let p = PARTS;
        let rows: &[(&str, Parts<'_>, bool)] = &[
            ("itself", p, true),
            (
                "other headers do not matter",
                Parts { uri: b"sip:x", via: b"y", call_id: "z", cseq: 9, ..p },
                true,
            ),
            ("default port", Parts { port: None, ..p }, true),
            ("other branch", Parts { branch: Some("z9hG4bKabd"), ..p }, false),
            ("other host", Parts { host: "192.0.2.2", ..p }, false),
            ("other port", Parts { port: Some(5061), ..p }, false),
            ("other method", Parts { method: "PUBLISH", ..p }, false),
        ];
        for (name, other, want) in rows {
            assert_eq!(same(p, *other), *want, "{name}");
        }
        let named = Parts { host: "Proxy.example.com", ..p };
        assert!(same(named, Parts { host: "proxy.EXAMPLE.com", ..p }), "host names in any case");
        let invite = Parts { method: "INVITE", ..p };
        assert!(same(invite, Parts { method: "ACK", ..p }), "an ACK belongs to its INVITE");
    }

    #[test]
    fn rfc2543_everything_decides_where_the_branch_does_not() {
        for branch in [None, Some("1"), Some("z9hG4bK")] {
            let p = Parts { branch, ..PARTS };
            let rows: &[(&str, Parts<'_>, bool)] = &[
                ("itself", p, true),
                ("other URI", Parts { uri: b"sip:6002@example.com", ..p }, false),
                ("other Via", Parts { via: b"SIP/2.0/UDP 192.0.2.1:5070", ..p }, false),
                ("other call", Parts { call_id: "c2", ..p }, false),
                ("other From tag", Parts { from_tag: None, ..p }, false),
                ("other To tag", Parts { to_tag: Some("t"), ..p }, false),
                ("other CSeq", Parts { cseq: 2, ..p }, false),
            ];
            for (name, other, want) in rows {
                assert_eq!(same(p, *other), *want, "{branch:?} {name}");
            }
            let invite = Parts { method: "INVITE", ..p };
            assert!(same(invite, Parts { method: "ACK", to_tag: Some("ours"), ..p }), "{branch:?} ACK");
        }
    }

    #[test]
    fn the_source_address_decides_too() {
        let keys = Keys::new(&mut Rng::new([1; 32]));
        let key = |ip: [u8; 4]| keys.transaction(&PARTS, IpAddr::from(ip));
        assert_ne!(key([192, 0, 2, 1]), key([192, 0, 2, 9]));
    }
}
