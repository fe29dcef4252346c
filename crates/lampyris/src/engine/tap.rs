//! `sip debug` and `events`: administrators who watch messages and events go by.
//!
//! In: every message sent or received, every event. Out: copies into bounded queues; a reader that is too slow loses
//! messages, which are counted and reported with the next that fits. Without a tap the cost is one look at an empty list.
//! Events go to one feed, numbered; who reads them, and how fast, is the business of `events`.

use crate::admin::protocol::{Direction, SipDebug, SipMessage};
use lampyris_core::flow::Transport;
use lampyris_core::output::Event;
use std::net::{IpAddr, SocketAddr};
use tokio::sync::mpsc;

/// Most messages waiting for one reader.
pub(crate) const QUEUE_MAX: usize = 1024;
/// Most events waiting to be written down.
pub(crate) const FEED_MAX: usize = 8192;

/// An event on its way to whoever reads events.
#[derive(Debug)]
pub(crate) struct Told {
    /// Counts all events of the process from 1; where one is missing, the feed was full.
    pub(crate) number: u64,
    /// When, in milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    /// What.
    pub(crate) event: Event,
}

/// Somebody who watches.
pub(crate) struct Tap {
    /// What to show.
    pub(crate) filter: Filter,
    /// Where to; the tap ends when the other end is gone.
    pub(crate) queue: mpsc::Sender<Seen>,
    dropped: u64,
}

/// What a reader gets.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A message.
    Message(SipMessage),
    /// Somebody switched this stream off: nothing follows.
    Off,
}

/// What a tap shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Whose messages.
    peer: Option<Peer>,
    /// Upper case.
    method: Option<String>,
    /// How the Call-ID begins.
    call_id: Option<String>,
    /// A user part of the head.
    extension: Option<String>,
}

/// Whose messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Any port of an address.
    Ip(IpAddr),
    /// An address.
    Address(SocketAddr),
    /// A name: as a URI's user part or the digest username.
    Name(String),
}

impl Filter {
    /// What a request asks for.
    pub(crate) fn messages(request: &SipDebug) -> Self {
        let peer = request.peer.as_deref().map(|text| {
            let ip = text.trim_start_matches('[').trim_end_matches(']');
            match (text.parse(), ip.parse()) {
                (Ok(address), _) => Peer::Address(address),
                (_, Ok(ip)) => Peer::Ip(ip),
                _ => Peer::Name(text.to_owned()),
            }
        });
        Self {
            peer,
            method: request.method.as_deref().map(str::to_ascii_uppercase),
            call_id: request.call_id.clone(),
            extension: request.extension.clone(),
        }
    }

    fn shows(&self, remote: SocketAddr, text: &str) -> bool {
        let peer = match &self.peer {
            None => true,
            Some(Peer::Ip(ip)) => remote.ip() == *ip,
            Some(Peer::Address(address)) => remote == *address,
            Some(Peer::Name(name)) => names(text, name),
        };
        let call_id = |wanted: &str| call_id_of(text).is_some_and(|found| found.starts_with(wanted));
        peer && self.method.as_deref().is_none_or(|wanted| method_of(text) == wanted)
            && self.call_id.as_deref().is_none_or(call_id)
            && self.extension.as_deref().is_none_or(|wanted| names(text, wanted))
    }
}

impl Tap {
    /// A tap, and where its reader reads.
    pub(crate) fn new(filter: Filter) -> (Self, mpsc::Receiver<Seen>) {
        let (queue, reader) = mpsc::channel(QUEUE_MAX);
        (Self { filter, queue, dropped: 0 }, reader)
    }
}

/// All who watch.
#[derive(Default)]
pub(crate) struct Taps {
    taps: Vec<Tap>,
    feed: Option<mpsc::Sender<Told>>,
    told: u64,
    dropped: u64,
}

impl Taps {
    /// One more.
    pub(crate) fn add(&mut self, tap: Tap) {
        self.taps.push(tap);
    }

    /// Where events go from now on.
    pub(crate) fn feed(&mut self, feed: mpsc::Sender<Told>) {
        self.feed = Some(feed);
    }

    /// The number of the last event.
    pub(crate) const fn told(&self) -> u64 {
        self.told
    }

    /// Ends all streams of messages; how many there were.
    pub(crate) fn end_messages(&mut self) -> usize {
        let mut ended = 0;
        self.taps.retain(|tap| {
            if tap.queue.is_closed() {
                return false;
            }
            ended += 1;
            // Why: a queue that is full has no room for the word; its reader finds that nothing more comes.
            let _ = tap.queue.try_send(Seen::Off);
            false
        });
        ended
    }

    /// Whether nobody watches.
    pub(crate) fn is_empty(&self) -> bool {
        self.taps.is_empty()
    }

    /// Messages and events lost to slow readers, over all taps.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Shows a message to those who want it.
    pub(crate) fn message(
        &mut self,
        direction: Direction,
        (transport, remote): (Transport, SocketAddr),
        at_ms: u64,
        bytes: &[u8],
    ) {
        let text = String::from_utf8_lossy(bytes);
        self.show(|tap| {
            tap.filter.shows(remote, &text).then(|| {
                let text = text.clone().into_owned();
                Seen::Message(SipMessage { direction, transport, remote, at_ms, text, dropped: tap.dropped })
            })
        });
    }

    /// Passes an event on.
    pub(crate) fn event(&mut self, at_ms: u64, event: Event) {
        self.told += 1;
        let Some(feed) = &self.feed else { return };
        // Why: the reader sees by the numbers that one is missing.
        if feed.try_send(Told { number: self.told, at_ms, event }).is_err() {
            self.dropped += 1;
        }
    }

    fn show(&mut self, seen: impl Fn(&Tap) -> Option<Seen>) {
        let dropped = &mut self.dropped;
        self.taps.retain_mut(|tap| {
            let Some(seen) = seen(tap) else { return !tap.queue.is_closed() };
            match tap.queue.try_send(seen) {
                Ok(()) => tap.dropped = 0,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    tap.dropped += 1;
                    *dropped += 1;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
            }
            true
        });
    }
}

/// The method of a request, or that of a response's CSeq; empty where there is none.
pub(crate) fn method_of(text: &str) -> &str {
    if !text.starts_with("SIP/2.0 ") {
        return text.split([' ', '\r', '\n']).next().unwrap_or_default();
    }
    let cseq = header(text, "CSeq", "CSeq");
    cseq.and_then(|value| value.split_ascii_whitespace().nth(1)).unwrap_or_default()
}

fn call_id_of(text: &str) -> Option<&str> {
    header(text, "Call-ID", "i")
}

/// A header's value, by its long or its short name (RFC 3261 §7.3.3).
fn header<'a>(text: &'a str, long: &str, short: &str) -> Option<&'a str> {
    let lines = text.lines().skip(1).take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        let name = name.trim();
        (name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short)).then(|| value.trim())
    })
}

/// Whether a message's head names this peer, as a user part or as the digest username.
fn names(text: &str, name: &str) -> bool {
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let needles = [format!(":{name}@"), format!("username=\"{name}\"")];
    needles.iter().any(|needle| head.contains(needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTIFY: &str =
        "NOTIFY sip:alice@10.0.0.7 SIP/2.0\r\nFrom: <sip:6001@h>\r\nCSeq: 2 NOTIFY\r\n\r\n<sip:carol@x>";
    const OK: &str = "SIP/2.0 200 OK\r\nVia: x\r\ncseq : 7  SUBSCRIBE\r\n\r\n";

    #[test]
    fn filters_match_by_address_name_and_method() {
        let remote: SocketAddr = "10.0.0.7:5060".parse().expect("address");
        for (peer, method, text, shown) in [
            (None, None, NOTIFY, true),
            (None, Some("notify"), NOTIFY, true),
            (None, Some("SUBSCRIBE"), NOTIFY, false),
            (None, Some("SUBSCRIBE"), OK, true),
            (Some("10.0.0.7"), None, OK, true),
            (Some("10.0.0.8"), None, OK, false),
            (Some("10.0.0.7:5060"), None, OK, true),
            (Some("10.0.0.7:5061"), None, OK, false),
            (Some("alice"), None, NOTIFY, true),
            (Some("6001"), Some("NOTIFY"), NOTIFY, true),
            (Some("lice"), None, NOTIFY, false),
            (Some("carol"), None, NOTIFY, false),
        ] {
            let (peer, method) = (peer.map(Into::into), method.map(Into::into));
            let request = SipDebug { on: true, peer, method, ..SipDebug::default() };
            assert_eq!(Filter::messages(&request).shows(remote, text), shown, "{request:?} {text}");
        }
    }

    #[test]
    fn filters_match_by_call_id_and_extension() {
        let remote: SocketAddr = "10.0.0.7:5060".parse().expect("address");
        let call = "INVITE sip:6002@h SIP/2.0\r\nTo: <sip:6001@h>\r\ni : abc@x\r\n\r\nCall-ID: zzz";
        for (call_id, extension, shown) in [
            (Some("abc"), None, true),
            (Some("abc@x"), Some("6001"), true),
            (Some("bc"), None, false),
            (Some("zzz"), None, false),
            (None, Some("6002"), true),
            (None, Some("600"), false),
        ] {
            let (call_id, extension) = (call_id.map(Into::into), extension.map(Into::into));
            let request = SipDebug { on: true, call_id, extension, ..SipDebug::default() };
            assert_eq!(Filter::messages(&request).shows(remote, call), shown, "{request:?}");
        }
    }

    #[test]
    fn all_streams_of_messages_end_at_once() {
        let mut taps = Taps::default();
        let mut readers = Vec::new();
        let all = Filter::default();
        for filter in [all.clone(), all.clone(), all] {
            let (tap, reader) = Tap::new(filter);
            taps.add(tap);
            readers.push(reader);
        }
        drop(readers.pop());
        assert_eq!(taps.end_messages(), 2, "one has gone by itself");
        assert_eq!(taps.end_messages(), 0);
        let off = |reader: &mut mpsc::Receiver<Seen>| matches!(reader.try_recv(), Ok(Seen::Off));
        assert_eq!(readers.iter_mut().map(off).collect::<Vec<_>>(), [true, true]);
        assert!(taps.is_empty());
    }

    #[test]
    fn events_are_numbered_and_one_that_finds_no_room_leaves_a_gap() {
        let (feed, mut reader) = mpsc::channel(2);
        let mut taps = Taps::default();
        let event = || Event::Registration { aor: "sip:a@b".into(), bindings: 1 };
        taps.event(1, event());
        taps.feed(feed);
        for at_ms in 2..=4 {
            taps.event(at_ms, event());
        }
        let mut numbers = std::iter::from_fn(|| reader.try_recv().ok()).map(|told| (told.number, told.at_ms));
        assert_eq!(numbers.by_ref().collect::<Vec<_>>(), [(2, 2), (3, 3)]);
        taps.event(5, event());
        assert_eq!(reader.try_recv().map(|told| told.number), Ok(5));
        assert_eq!((taps.told(), taps.dropped()), (5, 1));
    }

    #[test]
    fn a_slow_reader_loses_messages_and_learns_how_many() {
        let (tap, mut reader) = Tap::new(Filter::default());
        let mut taps = Taps::default();
        taps.add(tap);
        let peer = (Transport::Udp, ([127, 0, 0, 1], 9).into());
        for _ in 0..QUEUE_MAX + 3 {
            taps.message(Direction::Sent, peer, 0, NOTIFY.as_bytes());
        }
        assert_eq!(taps.dropped(), 3);
        while reader.try_recv().is_ok() {}
        taps.message(Direction::Sent, peer, 0, NOTIFY.as_bytes());
        match reader.try_recv() {
            Ok(Seen::Message(message)) => assert_eq!(message.dropped, 3),
            other => panic!("{other:?}"),
        }
        drop(reader);
        taps.message(Direction::Sent, peer, 0, NOTIFY.as_bytes());
        assert!(taps.taps.is_empty(), "a reader that is gone is forgotten");
    }
}
