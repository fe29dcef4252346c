//! Checkers that watch the wire: what the server may never do, whatever the network and the phones do.
//!
//! - *responses*: all final answers to one request have one status and one To tag, and an ACK gets none;
//! - *CSeq* and document *versions* rise with each new NOTIFY of a dialog, across restarts too;
//! - nothing is sent that a SIP parser refuses;
//! - what was acknowledged holds (`promises`);
//! - nobody is told too often (`pacing`).
//!
//! In: every message as its sender sends it. Out: violations, in words.

use crate::calls::wire::{Wire, end_to_end};
use crate::pacing::Pacing;
use crate::promises::Promises;
use bytes::Bytes;
use lampyris_core::time::Instant;
use lampyris_sip::{Message, Method, Name};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// Timer F, and a little.
const GIVE_UP: Duration = Duration::from_secs(40);

/// What is known of the wire so far.
pub struct Checks {
    /// Final answer by request: branch and CSeq to status and To tag.
    answers: BTreeMap<(String, String), (u16, String)>,
    /// Requests that are still new to the server's present life.
    unanswered: BTreeMap<(String, String), (Instant, Bytes)>,
    /// Requests that were answered, or met a server that was down.
    settled: BTreeSet<(String, String)>,
    /// What is said about calls.
    pub(crate) wire: Wire,
    /// What was acknowledged.
    pub(crate) promises: Promises,
    /// How often watchers are told.
    pub(crate) pacing: Pacing,
    /// Last CSeq and document version by dialog.
    dialogs: BTreeMap<(String, String), (u32, Option<u64>)>,
    /// What was wrong.
    pub violations: Vec<String>,
    /// Messages of the server.
    pub sent: u64,
    /// Of them NOTIFYs, without retransmissions.
    pub notifies: u64,
}

impl Checks {
    /// Nothing has happened yet; a watcher may be told so many times per second.
    pub(crate) fn new(notify_max_rate: u32) -> Self {
        Self {
            answers: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            settled: BTreeSet::new(),
            wire: Wire::default(),
            promises: Promises::default(),
            pacing: Pacing::new(notify_max_rate),
            dialogs: BTreeMap::new(),
            violations: Vec::new(),
            sent: 0,
            notifies: 0,
        }
    }

    /// A phone sends a request over UDP (or an answer, which says nothing here); streams lose messages when they break.
    pub fn phone_sends(&mut self, now: Instant, bytes: &Bytes) {
        let Ok(message) = Message::parse(bytes.clone()) else { return };
        if message.is_request() && message.method() != Some(Method::Ack) {
            let request = request_of(&message);
            if !self.settled.contains(&request) {
                self.unanswered.entry(request).or_insert_with(|| (now, bytes.clone()));
            }
        }
    }

    /// The server sends something.
    pub fn server_sends(&mut self, now: Instant, to: SocketAddr, bytes: &Bytes) {
        self.sent += 1;
        let message = match Message::parse(bytes.clone()) {
            Ok(message) => message,
            // RFC 3261 §8.2.6: the answer to a request that is no SIP repeats what was wrong with it.
            Err(_) if bytes.starts_with(b"SIP/2.0 400 ") => return,
            Err(error) => {
                return self.violations.push(format!(
                    "not SIP: {}: {}",
                    error.reason(),
                    String::from_utf8_lossy(bytes)
                ));
            }
        };
        if message.is_request() {
            self.wire.passed_on(&message);
        }
        self.promises.sent(now, to, &message);
        match message.method() {
            None => self.on_answer(&message),
            // Why: one with a second Via is another's, passed on.
            Some(Method::Notify) if message.vias().nth(1).is_none() => {
                self.pacing.notified(now, &message);
                self.on_notify(&message);
            }
            Some(_) => {}
        }
    }

    fn on_answer(&mut self, message: &Message) {
        let status = message.status().map_or(0, |status| status.0);
        if message.cseq().method == Method::Ack {
            self.violations.push(format!("an ACK was answered {status}"));
        }
        if status < 200 {
            return;
        }
        let key = request_of(message);
        self.unanswered.remove(&key);
        self.settled.insert(key.clone());
        let tag = message.to_tag().unwrap_or_default().to_owned();
        if tag.is_empty() {
            self.violations.push(format!("{status} to {key:?} has no To tag"));
        }
        // RFC 3261 §13.2.2.4: an INVITE that forks may be answered 2xx by several.
        let forks = message.cseq().method == Method::Invite && (200..300).contains(&status);
        if forks && self.answers.get(&key).is_some_and(|(before, _)| (200..300).contains(before)) {
            return;
        }
        let before = self.answers.entry(key.clone()).or_insert_with(|| (status, tag.clone()));
        // RFC 3261 §8.2.7: who is challenged, or throttled before that, is answered without memory, so that strangers cost
        // none; a request that comes twice may meet both.
        let is_stateless = |status: u16| matches!(status, 401 | 503);
        if before.1 == tag && is_stateless(before.0) && is_stateless(status) {
            return;
        }
        if *before != (status, tag.clone()) {
            self.violations.push(format!("{key:?} was answered {before:?}, then {:?}", (status, tag)));
        }
    }

    fn on_notify(&mut self, message: &Message) {
        let dialog = (message.call_id().to_owned(), message.from_tag().unwrap_or_default().to_owned());
        let (cseq, body) = (message.cseq().seq, message.body());
        let version = version_of(&body);
        match self.dialogs.get_mut(&dialog) {
            Some((last, _)) if *last == cseq => return,
            Some((last, last_version)) => {
                if cseq < *last {
                    self.violations.push(format!("CSeq of {dialog:?} went from {last} to {cseq}"));
                }
                if version.is_some() && version <= *last_version {
                    self.violations
                        .push(format!("version of {dialog:?} went from {last_version:?} to {version:?}"));
                }
                *last = cseq;
                *last_version = version.or(*last_version);
            }
            None => {
                self.dialogs.insert(dialog, (cseq, version));
            }
        }
        self.notifies += 1;
        self.wire.notify(message, version);
        if message.header(Name::SubscriptionState).is_none() || message.header(Name::Event).is_none() {
            self.violations.push("a NOTIFY without Subscription-State or Event".to_owned());
        }
    }

    /// The server was killed: a request that it meets again in its next life may be answered otherwise.
    pub fn server_crashes(&mut self, now: Instant) {
        self.promises.crashed(now);
        self.pacing.crashed();
        self.answers.clear();
        self.wire.crashed();
        self.settled.extend(std::mem::take(&mut self.unanswered).into_keys());
    }

    /// The disk or the clock broke what was promised; where the disk did, CSeq and versions may be old ones too.
    pub(crate) fn promises_broken(&mut self, by_disk: bool) {
        self.promises.broken();
        if by_disk {
            self.dialogs.clear();
        }
    }

    /// The server hears something.
    pub(crate) fn server_hears(&mut self, now: Instant, bytes: &Bytes) {
        if let Ok(message) = Message::parse(bytes.clone()) {
            self.wire.heard(&message);
            self.promises.heard(now, &message);
            self.pacing.heard(&message);
        }
    }

    /// A phone lost its power: it will not repeat what may have been lost.
    pub(crate) fn phone_dies(&mut self, name: &str) {
        let own = format!("-{name}-");
        let gone: Vec<_> =
            self.unanswered.keys().filter(|(branch, _)| branch.contains(&own)).cloned().collect();
        for request in gone {
            self.unanswered.remove(&request);
            self.settled.insert(request);
        }
    }

    /// A request that was retransmitted for 32 s cannot have been lost every time: it was answered.
    pub fn all_answered(&mut self, now: Instant) {
        for (request, (since, bytes)) in &self.unanswered {
            let Ok(message) = Message::parse(bytes.clone()) else { continue };
            let is_invite = message.method() == Some(Method::Invite);
            let silent =
                !is_invite && message.to_tag().is_some() && self.wire.may_be_silent(&end_to_end(&message));
            if now.since(*since) > GIVE_UP && !silent {
                let line = String::from_utf8_lossy(message.start_line()).into_owned();
                self.violations.push(format!("never answered: {line} {request:?}"));
            }
        }
        self.violations.append(&mut self.wire.violations);
        self.violations.append(&mut self.promises.violations);
        self.violations.append(&mut self.pacing.violations);
    }
}

/// What tells one request from another: branch, and CSeq with its method.
fn request_of(message: &Message) -> (String, String) {
    let cseq = message.cseq();
    (
        message.top_via().branch().unwrap_or_default().to_owned(),
        format!("{} {}", cseq.seq, cseq.method.as_str()),
    )
}

/// `version` of a dialog-info document.
fn version_of(body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body).ok()?;
    let root = &text[text.find("<dialog-info")?..];
    let value = root[..root.find('>')?].split("version=\"").nth(1)?;
    value.split('"').next()?.parse().ok()
}

/// A document without what differs between two subscriptions: its version, its Call-ID, for how long dialogs have lasted
/// when it was written, and dialogs that have ended: that they are not shown any more is told with the next change.
pub fn comparable(document: &str, call_id: &str) -> String {
    let text = if call_id.is_empty() { document.to_owned() } else { document.replace(call_id, "CALL") };
    let Some(root) = text.find("<dialog-info") else { return text };
    let (head, tail) = text.split_at(root);
    let text = match tail.split_once(" version=\"") {
        Some((start, rest)) => format!("{head}{start}{}", rest.split_once('"').map_or("", |(_, rest)| rest)),
        None => text,
    };
    let text = without(&text, "<dialog ", "</dialog>", |dialog| dialog.contains(">terminated</state>"));
    without(&text, "<duration>", "</duration>", |_| true)
}

/// A text without the elements that are not wanted.
fn without(text: &str, start: &str, end: &str, unwanted: impl Fn(&str) -> bool) -> String {
    let mut pieces = text.split(start);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| match piece.split_once(end) {
        Some((element, rest)) if unwanted(&format!(" {element}")) => text + rest,
        _ => text + start + piece,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(cseq: u32, version: u32) -> Bytes {
        let body = format!("<dialog-info version=\"{version}\"/>");
        format!(
            "NOTIFY sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{cseq}\r\nFrom: <sip:b@x>;tag=1\r\nTo: \
             <sip:a@x>;tag=2\r\nCall-ID: c\r\nCSeq: {cseq} NOTIFY\r\nEvent: dialog\r\nSubscription-State: active\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into()
    }

    fn response(status: u16, tag: &str, method: &str) -> Bytes {
        format!(
            "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKr\r\nFrom: <sip:b@x>;tag=1\r\nTo: \
             <sip:a@x>;tag={tag}\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        )
        .into()
    }

    #[test]
    fn each_rule_is_noticed_when_it_is_broken() {
        let rows: [(&[Bytes], usize); 7] = [
            (&[notify(1, 0), notify(1, 0), notify(2, 1), notify(70_000, 2)], 0),
            (&[notify(2, 0), notify(1, 1)], 1),
            (&[notify(1, 5), notify(2, 5)], 1),
            (&[response(200, "t", "SUBSCRIBE"), response(200, "t", "SUBSCRIBE")], 0),
            (&[response(200, "t", "SUBSCRIBE"), response(481, "t", "SUBSCRIBE")], 1),
            (&[response(200, "t", "SUBSCRIBE"), response(200, "u", "SUBSCRIBE")], 1),
            (&[response(481, "t", "ACK")], 1),
        ];
        for (sent, violations) in rows {
            let mut checks = Checks::new(10);
            let (now, to) = (Instant::from_micros(0), SocketAddr::from(([192, 0, 2, 1], 5060)));
            sent.iter().for_each(|bytes| checks.server_sends(now, to, bytes));
            assert_eq!(checks.violations.len(), violations, "{:?}", checks.violations);
        }
    }

    #[test]
    fn versions_and_call_ids_do_not_make_documents_differ() {
        let a =
            "<?xml version=\"1.0\"?><dialog-info xmlns=\"x\" version=\"3\" state=\"full\" id=\"call-1\"/>";
        let b = a.replace("version=\"3\"", "version=\"9\"").replace("call-1", "call-2");
        assert_eq!(comparable(a, "call-1"), comparable(&b, "call-2"));
        let lasted =
            |s| format!("<dialog-info version=\"3\"><dialog><duration>{s}</duration></dialog></dialog-info>");
        assert_eq!(comparable(&lasted(3), ""), comparable(&lasted(8), ""));
        assert_ne!(comparable(&lasted(3), ""), comparable(a, ""));
        let ended = "<dialog-info version=\"3\"><dialog id=\"1\" call-id=\"c\"><state>terminated</state></dialog></dialog-info>";
        assert_eq!(comparable(ended, ""), "<dialog-info></dialog-info>");
        let up = ended.replace("terminated", "confirmed");
        assert_ne!(comparable(&up, ""), comparable(ended, ""));
    }
}
