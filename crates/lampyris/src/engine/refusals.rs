//! How many requests are refused in words while there is more to do than can be done; the others are dropped unparsed.
//!
//! In: a datagram, and how long those have waited whom it would wait behind. Out: its [`Fate`]. A refusal costs a parse, a
//! transaction and a datagram: too large a part of what it refuses. So it is earned: by what was taken, and by time, so that a
//! server that only refuses says so now and then. What was dropped comes again from its sender (RFC 3261 §17.1.2.2) and is
//! served, or refused, then. Nothing that the node would take is dropped here: [`bound`] is the order of
//! `lampyris_core::overload`, read off the bytes.

use lampyris_core::limits;
use lampyris_core::time::Instant;
use std::time::Duration;

/// So many requests taken earn one refusal.
const TAKEN_PER_REFUSAL: u32 = 8;
/// So much time does.
const EVERY: Duration = Duration::from_millis(10);
/// Most that is saved, in requests taken.
const SAVED_MAX: u32 = 32 * TAKEN_PER_REFUSAL;

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It waits for its turn.
    Taken,
    /// The node refuses it, at once.
    Refused,
    /// It is as if it had been lost on its way.
    Dropped,
}

/// What may still be refused in words.
#[derive(Default)]
pub(super) struct Refusals {
    saved: u32,
    last: Instant,
}

impl Refusals {
    /// What becomes of a datagram that would wait behind one that has waited so long.
    pub(super) fn fate(&mut self, bytes: &[u8], ahead: Duration, now: Instant) -> Fate {
        let is_refused =
            ahead >= limits::OVERLOAD_SUBSCRIBE && bound(bytes).is_some_and(|from| ahead >= from);
        if !is_refused {
            self.saved = (self.saved + 1).min(SAVED_MAX);
            return Fate::Taken;
        }
        if self.saved >= TAKEN_PER_REFUSAL {
            self.saved -= TAKEN_PER_REFUSAL;
        } else if now.since(self.last) >= EVERY {
            self.last = now;
        } else {
            return Fate::Dropped;
        }
        Fate::Refused
    }
}

/// From which wait on the node refuses it; `None` for what it never does, and for what is not clear without parsing.
fn bound(bytes: &[u8]) -> Option<Duration> {
    let method = bytes.split(|byte| *byte == b' ').next()?;
    let (mut is_in_dialog, mut is_zero) = (false, false);
    for line in bytes.split(|byte| *byte == b'\n').skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        // Why: a folded header is read whole by the parser only.
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return None;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"To") || name.eq_ignore_ascii_case(b"t") {
            is_in_dialog |= value.windows(4).any(|part| part.eq_ignore_ascii_case(b"tag="));
        } else if name.eq_ignore_ascii_case(b"Expires") {
            is_zero |= !value.is_empty() && value.iter().all(|byte| *byte == b'0');
        }
    }
    match method {
        b"SIP/2.0" | b"ACK" | b"BYE" | b"CANCEL" => None,
        b"SUBSCRIBE" if is_in_dialog => (!is_zero).then_some(limits::OVERLOAD_REFRESH),
        b"PUBLISH" | b"REGISTER" if is_zero => None,
        _ if is_in_dialog => Some(limits::OVERLOAD_DIALOG),
        b"PUBLISH" | b"REGISTER" | b"INVITE" => Some(limits::OVERLOAD_PUBLISH),
        _ => Some(limits::OVERLOAD_SUBSCRIBE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    #[test]
    fn what_may_be_dropped_keeps_the_order_of_refusals() {
        let (out, inside, zero) =
            ("To: <sip:b@h>\r\n", "t : <sip:b@h>;Tag=2\r\n", "To: <sip:b@h>\r\nexpires:0\r\n");
        for (method, headers, from_ms) in [
            ("SUBSCRIBE", out, Some(50)),
            ("SUBSCRIBE", zero, Some(50)),
            ("OPTIONS", out, Some(50)),
            ("SUBSCRIBE", inside, Some(100)),
            ("SUBSCRIBE", "To: <sip:b@h>;tag=2\r\nExpires: 0\r\n", None),
            ("PUBLISH", out, Some(200)),
            ("REGISTER", out, Some(200)),
            ("INVITE", out, Some(200)),
            ("INVITE", inside, Some(400)),
            ("INFO", inside, Some(400)),
            ("PUBLISH", zero, None),
            ("REGISTER", zero, None),
            ("BYE", inside, None),
            ("ACK", inside, None),
            ("CANCEL", out, None),
            ("SUBSCRIBE", "To: <sip:b@h>\r\n ;tag=2\r\n", None),
        ] {
            let text = format!("{method} sip:b@h SIP/2.0\r\nCSeq: 1 {method}\r\n{headers}\r\nTo: a;tag=body");
            assert_eq!(bound(text.as_bytes()), from_ms.map(Duration::from_millis), "{method} {headers}");
        }
        assert_eq!(bound(b"SIP/2.0 200 OK\r\nTo: <sip:b@h>\r\n\r\n"), None);
    }

    #[test]
    fn refusals_are_earned_by_what_is_taken_and_by_time() {
        let (text, calm, late) =
            (b"OPTIONS sip:a SIP/2.0\r\n\r\n", Duration::ZERO, Duration::from_millis(60));
        let mut refusals = Refusals::default();
        let refused = |refusals: &mut Refusals, ms| {
            (0..100).filter(|_| refusals.fate(text, late, at(ms)) == Fate::Refused).count()
        };
        let taken = |refusals: &mut Refusals, count, ms| {
            (0..count).all(|_| refusals.fate(text, calm, at(ms)) == Fate::Taken)
        };
        assert_eq!(refused(&mut refusals, 1000), 1, "time has gone");
        assert_eq!(refused(&mut refusals, 1009), 0);
        assert!(taken(&mut refusals, 40, 1009), "nothing is refused while nobody waits");
        assert_eq!(refused(&mut refusals, 1009), 5);
        assert_eq!(refused(&mut refusals, 1010), 1);
        assert!(taken(&mut refusals, 10_000, 1010));
        assert_eq!(refused(&mut refusals, 1010), 32, "no more is saved");
    }
}
