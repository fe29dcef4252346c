//! Checker of pace: no watcher is told more often than the configuration allows, however fast things change.
//!
//! Up to a second's NOTIFYs may leave at once, and then so many per second as is configured: a leaky bucket per dialog
//! (RFC 6446 §5.2 leaves to the notifier how it bounds the rate), with room for one more, since one may have waited for the
//! disk and the next did not. Not counted against it is what the watcher asked for, or
//! what repeats a NOTIFY that did not arrive: one NOTIFY for each SUBSCRIBE, each answer that was no 2xx, each one that was
//! not answered, and each way to it that broke. That what was not told is told in time is for `world.rs` to see.
//!
//! In: every message as the server hears and sends it. Out: violations, in words. It reads nothing of the server.

use lampyris_core::time::Instant;
use lampyris_sip::{Message, Method, Name};
use std::collections::BTreeMap;
use std::time::Duration;

/// How much may leave at once, in time.
const BURST: Duration = Duration::from_secs(1);
/// 64*T1: a NOTIFY that waited so long was not answered.
const TIMER_F: Duration = Duration::from_secs(32);

/// Call-ID and the watcher's tag.
type DialogKey = (String, String);

/// How often each watcher was told.
pub(crate) struct Pacing {
    interval: Duration,
    dialogs: BTreeMap<DialogKey, Bucket>,
    pub(crate) violations: Vec<String>,
}

#[derive(Default)]
struct Bucket {
    last_cseq: u32,
    sent_at: Instant,
    /// When it will have leaked empty.
    empty_at: Instant,
    /// NOTIFYs that do not count.
    free: u32,
    is_answered: bool,
}

impl Pacing {
    /// Watchers may be told so many times per second.
    pub(crate) fn new(per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, dialogs: BTreeMap::new(), violations: Vec::new() }
    }

    /// The server hears a message.
    pub(crate) fn heard(&mut self, message: &Message) {
        match message.method() {
            Some(Method::Subscribe) => {
                let tag = message.from_tag().unwrap_or_default();
                let key = (message.call_id().to_owned(), tag.to_owned());
                self.dialogs.entry(key).or_default().free += 1;
            }
            None if message.cseq().method == Method::Notify => {
                let tag = message.to_tag().unwrap_or_default();
                let key = (message.call_id().to_owned(), tag.to_owned());
                let status = message.status().map_or(0, |status| status.0);
                if let Some(bucket) = self.dialogs.get_mut(&key).filter(|_| status >= 200) {
                    bucket.free += u32::from(status >= 300);
                    bucket.is_answered |= message.cseq().seq == bucket.last_cseq;
                }
            }
            _ => {}
        }
    }

    /// The server sends a NOTIFY, again or for the first time.
    pub(crate) fn notified(&mut self, now: Instant, message: &Message) {
        let key = (message.call_id().to_owned(), message.to_tag().unwrap_or_default().to_owned());
        let bucket = self.dialogs.entry(key).or_default();
        let cseq = message.cseq().seq;
        if cseq == bucket.last_cseq {
            return;
        }
        let repeats = bucket.last_cseq > 0 && !bucket.is_answered && now.since(bucket.sent_at) >= TIMER_F;
        (bucket.last_cseq, bucket.sent_at, bucket.is_answered) = (cseq, now, false);
        if repeats {
            return;
        }
        bucket.empty_at = bucket.empty_at.max(now) + self.interval;
        // Why: how a subscription ends is told at once.
        let state = message.header(Name::SubscriptionState).unwrap_or_default();
        let full = BURST.max(self.interval) + self.interval;
        if state.starts_with("terminated") || bucket.empty_at.since(now) <= full {
            return;
        }
        if bucket.free > 0 {
            bucket.free -= 1;
            bucket.empty_at = now + full;
            return;
        }
        self.violations.push(format!(
            "{:?} was told CSeq {cseq} sooner than one in {:?} allows",
            message.call_id(),
            self.interval
        ));
    }

    /// Everybody is told once more: an administrator wants it, or ways broke.
    pub(crate) fn all_are_told(&mut self) {
        self.dialogs.values_mut().for_each(|bucket| bucket.free += 1);
    }

    /// The server was killed, and does not know when it told whom.
    pub(crate) fn crashed(&mut self) {
        self.dialogs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(cseq: u32) -> Message {
        let text = format!(
            "NOTIFY sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP s;branch=z9hG4bKn{cseq}\r\nFrom: <sip:b@x>;tag=2\r\nTo: \
             <sip:a@x>;tag=1\r\nCall-ID: c\r\nCSeq: {cseq} NOTIFY\r\nEvent: presence\r\nSubscription-State: active\r\n\
             Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    fn heard(start: &str, from: u32, to: u32, cseq: &str) -> Message {
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{from}\r\nFrom: <sip:a@x>;tag={from}\r\nTo: <sip:b@x>;tag={to}\r\n\
             Call-ID: c\r\nCSeq: {cseq}\r\nContent-Length: 0\r\n\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    enum Step {
        /// A NOTIFY at this millisecond, and the same once more.
        Tells(u64),
        Hears(Box<Message>),
        AllAreTold,
        Crash,
    }
    use Step::{AllAreTold, Crash, Hears, Tells};

    #[test]
    fn who_is_told_too_often_is_noticed() {
        let subscribe = || Hears(Box::new(heard("SUBSCRIBE sip:b@x SIP/2.0", 1, 2, "7 SUBSCRIBE")));
        let answer = |status: u16, cseq: u32| {
            Hears(Box::new(heard(&format!("SIP/2.0 {status} X"), 2, 1, &format!("{cseq} NOTIFY"))))
        };
        let rows: Vec<(&str, Vec<Step>, usize)> = vec![
            ("a second's worth at once, and one", vec![Tells(0), Tells(0), Tells(0)], 0),
            ("one more", vec![Tells(0), Tells(0), Tells(0), Tells(0)], 1),
            ("at the rate", vec![Tells(0), Tells(0), Tells(0), Tells(500), Tells(1000), Tells(1500)], 0),
            ("a little faster", vec![Tells(0), Tells(0), Tells(0), Tells(500), Tells(1000), Tells(1400)], 1),
            ("quiet gives no more", vec![Tells(0), Tells(9000), Tells(9000), Tells(9000), Tells(9000)], 1),
            ("what was asked for", vec![Tells(0), Tells(0), Tells(0), subscribe(), Tells(0)], 0),
            ("only once", vec![Tells(0), Tells(0), Tells(0), subscribe(), Tells(0), Tells(0)], 1),
            ("what was refused", vec![Tells(0), Tells(0), Tells(0), answer(500, 3), Tells(0)], 0),
            ("not what was taken", vec![Tells(0), Tells(0), Tells(0), answer(200, 3), Tells(0)], 1),
            ("by command", vec![Tells(0), Tells(0), Tells(0), AllAreTold, Tells(0)], 0),
            ("after a crash", vec![Tells(0), Tells(0), Tells(0), Crash, Tells(0)], 0),
        ];
        for (what, steps, violations) in rows {
            let (mut pacing, mut cseq) = (Pacing::new(2), 0);
            for step in steps {
                match step {
                    Tells(ms) => {
                        cseq += 1;
                        (0..2).for_each(|_| pacing.notified(Instant::from_micros(ms * 1000), &notify(cseq)));
                    }
                    Hears(message) => pacing.heard(&message),
                    AllAreTold => pacing.all_are_told(),
                    Crash => pacing.crashed(),
                }
            }
            assert_eq!(pacing.violations.len(), violations, "{what}: {:?}", pacing.violations);
        }
    }
}
