//! Checkers of what was acknowledged: a 2xx is a promise that holds over crashes, full disks and clocks that jump.
//!
//! - *publications*: no entity-tag is given twice, and one that was given is known until it expires or is replaced;
//! - *subscriptions*: a refresh in time does not meet 481 unless the watcher was told of the end, or did not answer;
//! - *NOTIFYs*: none to who was refused, none after `terminated`, one in flight per subscription, none of another's
//!   mailbox, and `expires` is what is left of what was granted;
//! - *strangers*: one with a wrong password gets no 2xx and no NOTIFY;
//! - a request that is repeated over a restart gets the entity-tag it would have had.
//!
//! In: every message as the server hears it, and as it sends it. Out: violations, in words. It reads nothing of the server.

use lampyris_core::time::Instant;
use lampyris_sip::{Message, Method, Name};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// What rounding may make of a time.
const SLACK: Duration = Duration::from_secs(2);
/// So much later than it was granted a life may be acknowledged: two commits on a slow disk.
const LATE: Duration = Duration::from_secs(15);
/// 64*T1: a NOTIFY that waited so long was not answered.
const TIMER_F: Duration = Duration::from_secs(32);
/// So long before a crash the end of a subscription may not have been durable: longer than any commit takes.
const MAYBE_NOT_DURABLE: Duration = Duration::from_secs(30);

/// Whether a request that is repeated over a restart must get the answer it would have had. Not before the server keeps
/// enough of the request that wrote a record.
const REPEATS_OVER_A_RESTART: bool = true;

/// Branch, and CSeq with its method.
type Request = (String, String);
/// Call-ID and the watcher's tag.
type DialogKey = (String, String);

/// What is known of a request that the server heard.
#[derive(Clone, Debug)]
struct Heard {
    is_publish: bool,
    if_match: Option<String>,
    dialog: DialogKey,
    in_dialog: bool,
}

/// A publication that was acknowledged.
#[derive(Debug)]
struct Publication {
    until: Instant,
    /// Requests with its entity-tag that may have replaced it.
    touched: BTreeSet<Request>,
}

/// A dialog of a subscription, as its messages tell it.
#[derive(Debug, Default)]
struct Dialog {
    /// Request-URI, Contact and Event of the request that began it.
    of: String,
    /// The request that began it.
    begun_by: Option<Request>,
    /// Requests without a final answer so far.
    asked: BTreeSet<Request>,
    /// Requests that were answered 2xx.
    granted: BTreeSet<Request>,
    /// What the last of them was granted.
    until: Option<Instant>,
    /// When a `terminated` left, or the 2xx to an end.
    ended: Option<Instant>,
    /// Its watcher did not answer a NOTIFY, or began another, or promises were broken by the disk.
    excused: bool,
    last_cseq: u32,
    /// NOTIFYs without a final answer so far.
    waiting: BTreeMap<String, Instant>,
}

/// What was promised so far.
#[derive(Default)]
pub(crate) struct Promises {
    heard: BTreeMap<Request, Heard>,
    tags: BTreeSet<String>,
    tag_of: BTreeMap<Request, String>,
    /// Requests that an earlier life of the server heard.
    earlier: BTreeSet<Request>,
    /// Requests of `tag_of` whose publication the disk may have lost.
    forgotten: BTreeSet<Request>,
    publications: BTreeMap<String, Publication>,
    dialogs: BTreeMap<DialogKey, Dialog>,
    notify_of: BTreeMap<String, DialogKey>,
    /// Addresses of those who are to get nothing.
    pub(crate) strangers: BTreeSet<SocketAddr>,
    pub(crate) violations: Vec<String>,
}

impl Promises {
    /// The server hears a message.
    pub(crate) fn heard(&mut self, now: Instant, message: &Message) {
        match message.method() {
            None => self.heard_answer(now, message),
            Some(method @ (Method::Subscribe | Method::Publish)) => self.heard_request(message, method),
            Some(_) => {}
        }
    }

    fn heard_answer(&mut self, now: Instant, message: &Message) {
        let status = message.status().map_or(0, |status| status.0);
        if status < 200 || message.cseq().method != Method::Notify {
            return;
        }
        let branch = message.top_via().branch().unwrap_or_default();
        let Some(dialog) = self.notify_of.get(branch).and_then(|key| self.dialogs.get_mut(key)) else {
            return;
        };
        let too_late = dialog.waiting.remove(branch).is_some_and(|sent| now.since(sent) + SLACK > TIMER_F);
        dialog.excused |= status >= 300 || too_late;
    }

    fn heard_request(&mut self, message: &Message, method: Method<'_>) {
        let request = request_of(message);
        let heard = Heard {
            is_publish: method == Method::Publish,
            if_match: message.header(Name::SipIfMatch).map(str::to_owned),
            dialog: (message.call_id().to_owned(), message.from_tag().unwrap_or_default().to_owned()),
            in_dialog: message.to_tag().is_some(),
        };
        if let Some(publication) = heard.if_match.as_ref().and_then(|tag| self.publications.get_mut(tag)) {
            publication.touched.insert(request.clone());
        }
        if method == Method::Subscribe {
            let header = |name| message.header(name).unwrap_or_default();
            let of = format!(
                "{} {} {}",
                message.request_uri().unwrap_or_default(),
                header(Name::Contact),
                header(Name::Event)
            );
            if !heard.in_dialog {
                // Why: a phone that begins anew has forgotten the dialog before, and the server may know it.
                let older = self.dialogs.iter_mut().filter(|(key, d)| **key != heard.dialog && d.of == of);
                older.for_each(|(_, dialog)| dialog.excused = true);
            }
            let dialog = self.dialogs.entry(heard.dialog.clone()).or_default();
            // Why: one that begins twice with the same Call-ID, before it was answered, has two dialogs, of which the second
            // replaces the first.
            dialog.excused |= !heard.in_dialog && *dialog.begun_by.get_or_insert(request.clone()) != request;
            dialog.asked.insert(request.clone());
            if dialog.of.is_empty() {
                dialog.of = of;
            }
        }
        self.heard.insert(request, heard);
    }

    /// The server sends a message.
    pub(crate) fn sent(&mut self, now: Instant, to: SocketAddr, message: &Message) {
        match message.method() {
            None => self.sent_answer(now, to, message),
            Some(Method::Notify) if message.vias().nth(1).is_none() => self.sent_notify(now, to, message),
            Some(_) => {}
        }
    }

    fn sent_answer(&mut self, now: Instant, to: SocketAddr, message: &Message) {
        let status = message.status().map_or(0, |status| status.0);
        if status < 200 {
            return;
        }
        let method = message.cseq().method;
        let lets_in = [Method::Subscribe, Method::Publish, Method::Register].contains(&method);
        if status < 300 && lets_in && self.strangers.contains(&to) {
            self.violations
                .push(format!("{} of the stranger at {to} was answered {status}", method.as_str()));
        }
        let request = request_of(message);
        let Some(heard) = self.heard.get(&request).cloned() else { return };
        if heard.is_publish {
            self.answered_publish(now, &request, &heard, status, message);
        } else {
            self.answered_subscribe(now, &request, &heard, status, message);
        }
    }

    fn answered_publish(&mut self, now: Instant, request: &Request, heard: &Heard, status: u16, m: &Message) {
        if status < 300 {
            let Some(tag) = m.header(Name::SipETag) else {
                return self.violations.push(format!("{status} to {request:?} has no SIP-ETag"));
            };
            match self.tag_of.get(request) {
                Some(before) if before == tag => return,
                Some(_) if self.forgotten.remove(request) || self.is_repeated(request) => {}
                Some(before) => {
                    let what = format!("{request:?} was repeated and got {tag}, not {before} as before");
                    return self.violations.push(what);
                }
                None => {}
            }
            let until = now + granted(m);
            // A publication that is taken back is named once more.
            if !self.tags.insert(tag.to_owned()) && until > now {
                self.violations.push(format!("the entity-tag {tag} was given twice"));
            }
            self.tag_of.insert(request.clone(), tag.to_owned());
            if let Some(old) = &heard.if_match {
                self.publications.remove(old);
            }
            if until > now {
                self.publications.insert(tag.to_owned(), Publication { until, touched: BTreeSet::new() });
            }
            return;
        }
        let Some(tag) = &heard.if_match else { return };
        let repeated = self.is_repeated(request);
        let Some(publication) = self.publications.get_mut(tag) else { return };
        publication.touched.remove(request);
        if repeated {
            return;
        }
        if status == 412 && publication.until > now + LATE && publication.touched.is_empty() {
            self.violations.push(format!("the entity-tag {tag} was acknowledged and is lost: 412"));
            self.publications.remove(tag);
        }
    }

    /// Whether its answer is excused because an earlier life may have answered it already.
    fn is_repeated(&self, request: &Request) -> bool {
        !REPEATS_OVER_A_RESTART && self.earlier.contains(request)
    }

    fn answered_subscribe(
        &mut self,
        now: Instant,
        request: &Request,
        heard: &Heard,
        status: u16,
        m: &Message,
    ) {
        let repeated = self.is_repeated(request);
        let Some(dialog) = self.dialogs.get_mut(&heard.dialog) else { return };
        dialog.asked.remove(request);
        if status >= 300 {
            dialog.begun_by.take_if(|begun_by| begun_by == request);
        }
        if status < 300 {
            let life = granted(m);
            // Why: an answer that is repeated grants nothing more.
            if dialog.granted.insert(request.clone()) {
                dialog.until = Some(now + life);
            }
            if life.is_zero() {
                // Its last NOTIFY may still be on its way.
                dialog.excused = true;
            }
        } else if status == 481 && heard.in_dialog {
            let in_time = dialog.until.is_some_and(|until| until > now + LATE);
            let unheard = dialog.waiting.values().any(|sent| now.since(*sent) + SLACK > TIMER_F);
            if in_time && dialog.ended.is_none() && !dialog.excused && !unheard && !repeated {
                let what = format!("the subscription {:?} was acknowledged and is lost: 481", heard.dialog);
                self.violations.push(what);
            }
        }
    }

    fn sent_notify(&mut self, now: Instant, to: SocketAddr, message: &Message) {
        let key = (message.call_id().to_owned(), message.to_tag().unwrap_or_default().to_owned());
        let mut wrong = Vec::new();
        if self.strangers.contains(&to) {
            wrong.push(format!("a NOTIFY to the stranger at {to}"));
        }
        if message.header(Name::Event).is_some_and(|event| event.starts_with("message-summary")) {
            let user = |value: &str| value.split(['@', '>']).next().map(str::to_owned);
            let (of, to) =
                (message.header(Name::From).and_then(user), message.header(Name::To).and_then(user));
            if of != to {
                wrong.push(format!("the mailbox of {of:?} was told to {to:?}"));
            }
        }
        let Some(dialog) = self.dialogs.get_mut(&key) else {
            wrong.push(format!("a NOTIFY to {key:?}, who never subscribed"));
            return self.violations.append(&mut wrong);
        };
        let cseq = message.cseq().seq;
        if cseq > dialog.last_cseq {
            dialog.last_cseq = cseq;
            if dialog.until.is_none() && dialog.asked.is_empty() {
                wrong.push(format!("a NOTIFY to {key:?}, who was refused"));
            }
            if dialog.ended.is_some() {
                wrong.push(format!("a NOTIFY to {key:?} after its end"));
            }
            // Why: what was on a stream that broke is sent again, as another.
            let state = message.header(Name::SubscriptionState).unwrap_or_default();
            let is_last = state.starts_with("terminated");
            let is_udp = message.top_via().transport().eq_ignore_ascii_case("UDP");
            if is_udp && !is_last && dialog.waiting.values().any(|sent| now.since(*sent) + SLACK < TIMER_F) {
                wrong.push(format!("two NOTIFYs to {key:?} are in flight"));
            }
            let branch = message.top_via().branch().unwrap_or_default().to_owned();
            dialog.waiting.insert(branch.clone(), now);
            if is_last {
                dialog.ended = Some(now);
            } else if let Some(until) = dialog.until.filter(|_| dialog.asked.is_empty() && !dialog.excused) {
                let left = until.since(now).as_secs();
                let told = state.split("expires=").nth(1).and_then(|value| value.parse::<u64>().ok());
                let fits = |told: u64| told.abs_diff(left) <= LATE.as_secs();
                if !told.is_some_and(fits) {
                    wrong.push(format!("a NOTIFY to {key:?} says `{state}` where {left} s are left"));
                }
            }
            self.notify_of.insert(branch, key);
        }
        self.violations.append(&mut wrong);
    }

    /// The server was killed: what it had not made durable may come back.
    pub(crate) fn crashed(&mut self, now: Instant) {
        self.earlier.extend(self.heard.keys().cloned());
        for dialog in self.dialogs.values_mut() {
            dialog.excused |= dialog.waiting.values().any(|sent| now.since(*sent) + SLACK > TIMER_F);
            dialog.waiting.clear();
            if dialog.ended.is_some_and(|at| now.since(at) < MAYBE_NOT_DURABLE) {
                dialog.ended = None;
                dialog.excused = true;
            }
        }
    }

    /// The disk or the clock broke what was promised: nothing that was acknowledged so far need hold.
    pub(crate) fn broken(&mut self) {
        self.publications.clear();
        self.forgotten.extend(self.tag_of.keys().cloned());
        for dialog in self.dialogs.values_mut() {
            dialog.excused = true;
            dialog.ended = None;
        }
    }
}

/// What tells one request from another.
fn request_of(message: &Message) -> Request {
    let cseq = message.cseq();
    let branch = message.top_via().branch().unwrap_or_default().to_owned();
    (branch, format!("{} {}", cseq.seq, cseq.method.as_str()))
}

/// The life that a 2xx grants.
fn granted(message: &Message) -> Duration {
    let seconds = message.header(Name::Expires).and_then(|value| value.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(start: &str, cseq: &str, branch: &str, more: &str) -> Message {
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{branch}\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:a@x>;tag=2\r\n\
             Call-ID: c\r\nCSeq: {cseq}\r\n{more}Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    fn publish(branch: &str, if_match: &str) -> Message {
        let more = if if_match.is_empty() { String::new() } else { format!("SIP-If-Match: {if_match}\r\n") };
        message("PUBLISH sip:a@x SIP/2.0", "1 PUBLISH", branch, &more)
    }

    fn published(branch: &str, status: u16, etag: &str) -> Message {
        let more = format!("SIP-ETag: {etag}\r\nExpires: 60\r\n");
        message(&format!("SIP/2.0 {status} X"), "1 PUBLISH", branch, &more)
    }

    fn subscribe(branch: &str) -> Message {
        message("SUBSCRIBE sip:b@x SIP/2.0", "1 SUBSCRIBE", branch, "Event: presence\r\n")
    }

    fn begins(branch: &str) -> Message {
        let text = format!(
            "SUBSCRIBE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{branch}\r\nFrom: <sip:a@x>;tag=1\r\n\
             To: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\nContent-Length: 0\r\n\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    fn subscribed(branch: &str, status: u16) -> Message {
        message(&format!("SIP/2.0 {status} X"), "1 SUBSCRIBE", branch, "Expires: 60\r\n")
    }

    fn notify(cseq: u32, state: &str) -> Message {
        // Sent by the server, so the watcher's tag, 1, is in To.
        let text = format!(
            "NOTIFY sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP s;branch=z9hG4bKn{cseq}\r\nFrom: <sip:b@x>;tag=2\r\nTo: \
             <sip:a@x>;tag=1\r\nCall-ID: c\r\nCSeq: {cseq} NOTIFY\r\nEvent: presence\r\nSubscription-State: {state}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    fn told(cseq: u32, status: u16) -> Message {
        message(&format!("SIP/2.0 {status} X"), &format!("{cseq} NOTIFY"), &format!("n{cseq}"), "")
    }

    enum Step {
        Hears(Message),
        Sends(Message),
        Crash,
        Broken,
        Stranger,
    }
    use Step::{Broken, Crash, Hears, Sends, Stranger};

    #[test]
    fn each_promise_is_noticed_when_it_is_broken() {
        let first = || [Hears(publish("1", "")), Sends(published("1", 200, "e1"))];
        let watch = || [Hears(subscribe("1")), Sends(subscribed("1", 200))];
        let all = |a: Vec<Step>, b: Vec<Step>| a.into_iter().chain(b).collect::<Vec<_>>();
        let rows: Vec<(&str, Vec<Step>, usize)> = vec![
            ("the same answer again", all(first().into(), vec![Crash, Sends(published("1", 200, "e1"))]), 0),
            ("another tag for it", all(first().into(), vec![Sends(published("1", 200, "e2"))]), 1),
            (
                "one tag twice",
                all(first().into(), vec![Hears(publish("2", "")), Sends(published("2", 200, "e1"))]),
                1,
            ),
            (
                "lost",
                all(first().into(), vec![Crash, Hears(publish("2", "e1")), Sends(published("2", 412, "-"))]),
                1,
            ),
            (
                "lost with the disk",
                all(first().into(), vec![Broken, Hears(publish("2", "e1")), Sends(published("2", 412, "-"))]),
                0,
            ),
            (
                "replaced by a request whose answer was lost",
                all(
                    first().into(),
                    vec![
                        Hears(publish("2", "e1")),
                        Hears(publish("3", "e1")),
                        Sends(published("3", 412, "-")),
                    ],
                ),
                0,
            ),
            (
                "not replaced by one that was refused",
                all(
                    first().into(),
                    vec![
                        Hears(publish("2", "e1")),
                        Sends(published("2", 503, "-")),
                        Hears(publish("3", "e1")),
                        Sends(published("3", 412, "-")),
                    ],
                ),
                1,
            ),
            (
                "a lost subscription",
                all(watch().into(), vec![Crash, Hears(subscribe("2")), Sends(subscribed("2", 481))]),
                1,
            ),
            (
                "one that a second beginning replaced",
                all(
                    vec![Hears(begins("0")), Hears(begins("1")), Sends(subscribed("0", 200))],
                    vec![Sends(subscribed("1", 200)), Hears(subscribe("2")), Sends(subscribed("2", 481))],
                ),
                0,
            ),
            (
                "one that began again after a refusal",
                all(
                    vec![Hears(begins("0")), Sends(subscribed("0", 401)), Hears(begins("1"))],
                    vec![Sends(subscribed("1", 200)), Hears(subscribe("2")), Sends(subscribed("2", 481))],
                ),
                1,
            ),
            (
                "one whose watcher refused a NOTIFY",
                all(
                    watch().into(),
                    vec![
                        Sends(notify(1, "active;expires=60")),
                        Hears(told(1, 481)),
                        Hears(subscribe("2")),
                        Sends(subscribed("2", 481)),
                    ],
                ),
                0,
            ),
            (
                "who was refused",
                vec![Hears(subscribe("1")), Sends(subscribed("1", 403)), Sends(notify(1, "active"))],
                1,
            ),
            ("who never asked", vec![Sends(notify(1, "active;expires=60"))], 1),
            (
                "after its end",
                all(
                    watch().into(),
                    vec![
                        Sends(notify(1, "terminated")),
                        Hears(told(1, 200)),
                        Sends(notify(2, "active;expires=60")),
                    ],
                ),
                1,
            ),
            (
                "two in flight",
                all(
                    watch().into(),
                    vec![Sends(notify(1, "active;expires=60")), Sends(notify(2, "active;expires=60"))],
                ),
                1,
            ),
            (
                "one after the other",
                all(
                    watch().into(),
                    vec![
                        Sends(notify(1, "active;expires=60")),
                        Hears(told(1, 200)),
                        Sends(notify(2, "active;expires=59")),
                    ],
                ),
                0,
            ),
            (
                "a life that is not left",
                all(watch().into(), vec![Sends(notify(1, "active;expires=3660"))]),
                1,
            ),
            ("a stranger", all(vec![Stranger], watch().into()), 1),
        ];
        for (what, steps, violations) in rows {
            let mut promises = Promises::default();
            let now = Instant::from_micros(1_000_000);
            let to: SocketAddr = "192.0.2.9:5060".parse().unwrap();
            for step in steps {
                match step {
                    Hears(message) => promises.heard(now, &message),
                    Sends(message) => promises.sent(now, to, &message),
                    Crash => promises.crashed(now),
                    Broken => promises.broken(),
                    Stranger => assert!(promises.strangers.insert(to)),
                }
            }
            assert_eq!(promises.violations.len(), violations, "{what}: {:?}", promises.violations);
        }
    }
}
