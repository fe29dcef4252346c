//! Nonces without memory, and the memory of those that were used.
//!
//! A nonce is (second, salt, MAC over both, the realm and the client's address) in 27 characters: to hand one out costs
//! nothing that stays. Only a *valid* authentication leaves a trace: the nonce counts seen under it (RFC 7616 §3.4),
//! as a window of 64, until the nonce expires. The trace is bounded; when it is full the oldest nonces go, and with
//! them every nonce as old, so that forgetting never makes a replay possible.

use crate::mac::{decode, encode, keyed};
use crate::rng::Rng;
use crate::time::Instant;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

const MAC_BYTES: usize = 12;
const NONCE_BYTES: usize = 4 + 4 + MAC_BYTES;
const _: () = assert!((NONCE_BYTES * 4).div_ceil(3) <= crate::limits::NONCE_CHARS_MAX);

/// A nonce of ours that has not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nonce {
    issued_s: u32,
    salt: u32,
}

/// What was used of a nonce.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    /// The highest nonce count seen.
    highest: u32,
    /// Bit n: `highest - n` was seen.
    seen: u64,
    /// Whether it was used without qop, which it can be once.
    without_qop: bool,
}

/// Issues and checks nonces.
pub(super) struct Nonces {
    key: [u8; 32],
    rng: Rng,
    lifetime: Duration,
    used: BTreeMap<Nonce, Used>,
    used_max: usize,
    /// Nonces issued up to here are as good as expired, unless `used` knows them.
    floor_s: Option<u32>,
}

impl Nonces {
    pub(super) fn new(mut rng: Rng, lifetime: Duration, used_max: usize) -> Self {
        let mut key = [0; 32];
        for part in key.chunks_exact_mut(8) {
            part.copy_from_slice(&rng.next_u64().to_le_bytes());
        }
        Self { key, rng, lifetime, used: BTreeMap::new(), used_max: used_max.max(1), floor_s: None }
    }

    /// A fresh nonce for a client at `source`.
    pub(super) fn issue(&mut self, now: Instant, realm: &str, source: IpAddr) -> String {
        let salt = self.rng.next_u64().to_le_bytes();
        let [a, b, c, d, ..] = salt;
        let nonce = Nonce { issued_s: seconds(now), salt: u32::from_le_bytes([a, b, c, d]) };
        let mut bytes = [0; NONCE_BYTES];
        bytes[..4].copy_from_slice(&nonce.issued_s.to_be_bytes());
        bytes[4..8].copy_from_slice(&nonce.salt.to_be_bytes());
        let mac = self.mac(nonce, realm, source).finalize().into_bytes();
        bytes[8..].copy_from_slice(&mac[..MAC_BYTES]);
        encode(&bytes)
    }

    /// The nonce behind `text`, if it is ours, for this realm and client, and not expired.
    pub(super) fn check(&self, now: Instant, text: &str, realm: &str, source: IpAddr) -> Option<Nonce> {
        let bytes: [u8; NONCE_BYTES] = decode(text)?;
        let [a, b, c, d, e, f, g, h, mac @ ..] = bytes;
        let nonce =
            Nonce { issued_s: u32::from_be_bytes([a, b, c, d]), salt: u32::from_be_bytes([e, f, g, h]) };
        self.mac(nonce, realm, source).verify_truncated_left(&mac).ok()?;
        let age = u64::from(seconds(now)).checked_sub(u64::from(nonce.issued_s))?;
        let forgotten = self.floor_s.is_some_and(|floor| nonce.issued_s <= floor);
        (age < self.lifetime.as_secs() && (!forgotten || self.used.contains_key(&nonce))).then_some(nonce)
    }

    /// Takes note of a nonce count; `false` if it was used before, or is too far behind to know.
    pub(super) fn count(&mut self, now: Instant, nonce: Nonce, nc: u32) -> bool {
        let used = self.used(now, nonce);
        if used.seen != 0 && nc <= used.highest {
            let bit = 1u64.checked_shl(used.highest - nc).unwrap_or(0);
            let fresh = bit != 0 && used.seen & bit == 0;
            used.seen |= bit;
            return fresh;
        }
        used.seen = used.seen.checked_shl(nc - used.highest).unwrap_or(0) | 1;
        used.highest = nc;
        true
    }

    /// Takes note of the use of a nonce without qop; `false` if it is not the first.
    pub(super) fn once(&mut self, now: Instant, nonce: Nonce) -> bool {
        !std::mem::replace(&mut self.used(now, nonce).without_qop, true)
    }

    /// Nonces remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.used.len()
    }

    fn used(&mut self, now: Instant, nonce: Nonce) -> &mut Used {
        let now_s = u64::from(seconds(now));
        while let Some(oldest) = self.used.first_entry() {
            let issued_s = oldest.key().issued_s;
            if u64::from(issued_s) + self.lifetime.as_secs() > now_s {
                break;
            }
            oldest.remove();
        }
        if self.used.len() >= self.used_max
            && !self.used.contains_key(&nonce)
            && let Some((oldest, _)) = self.used.pop_first()
        {
            self.floor_s = self.floor_s.max(Some(oldest.issued_s));
        }
        self.used.entry(nonce).or_default()
    }

    fn mac(&self, nonce: Nonce, realm: &str, source: IpAddr) -> Hmac<Sha256> {
        let mut mac = keyed(&self.key, b"nonce");
        mac.update(&nonce.issued_s.to_be_bytes());
        mac.update(&nonce.salt.to_be_bytes());
        match source.to_canonical() {
            IpAddr::V4(v4) => mac.update(&v4.octets()),
            IpAddr::V6(v6) => mac.update(&v6.octets()),
        }
        mac.update(realm.as_bytes());
        mac
    }

    /// A tag that follows from the request: the same for its retransmissions, though nothing is kept (RFC 3261 §8.2.7).
    pub(super) fn tag(&self, parts: [&[u8]; 3]) -> String {
        let mut mac = keyed(&self.key, b"tag");
        for part in parts {
            mac.update(&part.len().to_be_bytes());
            mac.update(part);
        }
        encode(&mac.finalize().into_bytes()[..6])
    }
}

fn seconds(now: Instant) -> u32 {
    u32::try_from(now.as_micros() / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mac::ALPHABET;

    fn at(s: u64) -> Instant {
        Instant::from_micros(s * 1_000_000)
    }

    fn source(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn nonces(used_max: usize) -> Nonces {
        Nonces::new(Rng::new([3; 32]), Duration::from_secs(300), used_max)
    }

    #[test]
    fn a_nonce_is_good_for_its_realm_its_client_and_its_time() {
        let mut n = nonces(10);
        let text = n.issue(at(100), "office", source(1));
        assert!(text.len() <= 32 && text.bytes().all(|b| ALPHABET.contains(&b)), "{text}");
        assert_ne!(text, n.issue(at(100), "office", source(1)));
        for (now, realm, client, good) in [
            (100, "office", 1, true),
            (399, "office", 1, true),
            (400, "office", 1, false),
            (99, "office", 1, false),
            (100, "other", 1, false),
            (100, "office", 2, false),
        ] {
            let got = n.check(at(now), &text, realm, source(client)).is_some();
            assert_eq!(got, good, "{now} {realm} {client}");
        }
        assert_eq!(n.len(), 0, "nothing is kept");
        let other = Nonces::new(Rng::new([4; 32]), Duration::from_secs(300), 1);
        assert!(other.check(at(100), &text, "office", source(1)).is_none(), "another key");
    }

    #[test]
    fn every_changed_character_spoils_it() {
        let mut n = nonces(10);
        let text = n.issue(at(100), "office", source(1));
        for at_char in 0..text.len() {
            for c in ALPHABET {
                let mut bytes = text.clone().into_bytes();
                if bytes[at_char] != *c {
                    bytes[at_char] = *c;
                    let changed = String::from_utf8(bytes).unwrap();
                    assert!(n.check(at(100), &changed, "office", source(1)).is_none(), "{changed}");
                }
            }
        }
        for text in ["", "522456f4", "\u{e9}", &"A".repeat(27), &"=".repeat(27), &"A".repeat(100_000)] {
            assert!(n.check(at(100), text, "office", source(1)).is_none());
        }
    }

    #[test]
    fn each_nonce_count_is_good_once_within_a_window_of_64() {
        let mut n = nonces(10);
        let nonce = Nonce { issued_s: 1, salt: 1 };
        let rows = [
            (1, true),
            (1, false),
            (3, true),
            (2, true),
            (2, false),
            (0, true),
            (0, false),
            (66, true),
            (3, false),
            (4, true),
            (2, false),
            (130, true),
            (66, false),
            (67, true),
            (1000, true),
            (937, true),
            (936, false),
            (u32::MAX, true),
            (u32::MAX, false),
            (1000, false),
        ];
        for (row, (nc, fresh)) in rows.into_iter().enumerate() {
            assert_eq!(n.count(at(2), nonce, nc), fresh, "row {row}: {nc}");
        }
        assert!(n.once(at(2), nonce) && !n.once(at(2), nonce), "without qop once");
    }

    #[test]
    fn used_nonces_are_forgotten_when_they_expire() {
        let mut n = nonces(10);
        for s in 0..9 {
            assert!(n.once(at(s), Nonce { issued_s: u32::try_from(s).unwrap(), salt: 0 }));
        }
        assert_eq!(n.len(), 9);
        assert!(n.once(at(304), Nonce { issued_s: 304, salt: 0 }));
        assert_eq!(n.len(), 5, "0 to 4 are over, 5 to 8 and 304 are not");
    }

    #[test]
    fn forgetting_for_want_of_room_makes_no_replay_possible() {
        let mut n = nonces(3);
        let texts: Vec<String> = (0..5).map(|s| n.issue(at(s), "office", source(1))).collect();
        for text in &texts {
            let nonce = n.check(at(10), text, "office", source(1)).unwrap();
            assert!(n.count(at(10), nonce, 1));
        }
        assert_eq!(n.len(), 3);
        let good: Vec<bool> =
            texts.iter().map(|text| n.check(at(10), text, "office", source(1)).is_some()).collect();
        assert_eq!(good, [false, false, true, true, true], "the forgotten ones are refused");
    }
}
