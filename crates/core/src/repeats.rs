//! Requests that the process before has answered, and that come again because the answer was lost.
//!
//! The transaction layer absorbs retransmissions (RFC 3261 §17.2.2), but its memory ends with the process. So a record
//! keeps Call-ID, CSeq and branch of the request that wrote it, and from the record the same answer is made once more:
//! the same status, dialog tag and entity-tag, with the time that is left. A request that removed its record leaves its
//! answer itself behind ([`AnswerRecord`]), for as long as retransmissions come. As in the transaction layer, the source
//! address counts and nobody is authenticated again: who sends the same request from the same address gets the answer
//! that was for it, and nothing is changed. 64*T1 after the start nothing of before is on its way any more.
//!
//! What left no record is answered anew: a fetch, and a publication that ended at once.

use crate::authn::Identity;
use crate::flow::Flow;
use crate::journal::{AnswerRecord, BindingRecord, Key, Kind, Origin, Record, Value};
use crate::limits;
use crate::map::{Map, Maps};
use crate::node::Node;
use crate::notifier::subscription::{Subscription, Text, slot_of_tag};
use crate::router::Request;
use crate::slots::Slots;
use crate::tickets::Undo;
use crate::time::{Now, UnixTime};
use crate::transaction::Parts;
use bytes::Bytes;
use lampyris_sip::{Message, Method, Name};
use std::collections::VecDeque;
use std::hash::BuildHasher as _;
use std::net::IpAddr;

/// What answers a request that comes again.
#[derive(Clone, Debug)]
enum Repeated {
    /// The subscription it began.
    Subscription(u32),
    /// The publication it made or changed.
    Publication(u32),
    /// The bindings of this AOR, one of which it made or prolonged.
    Bindings(String),
    /// This.
    Answer(Bytes),
}

/// What is known of requests that the process before answered, and what the next one will know.
pub(crate) struct Repeats {
    subscriptions: Map<u64, u32>,
    publications: Map<u64, u32>,
    answers: Map<u64, AnswerRecord>,
    hasher: foldhash::quality::SeedableRandomState,
    /// Rows of answers.
    slots: Slots<()>,
    /// When each row may be used again, oldest first.
    order: VecDeque<(UnixTime, u32)>,
}

impl Repeats {
    /// Nothing yet.
    pub(crate) fn new(maps: Maps) -> Self {
        let answers = maps.map();
        let hasher = answers.hasher().clone();
        let (slots, order) = (Slots::default(), VecDeque::new());
        Self { subscriptions: maps.map(), publications: maps.map(), answers, hasher, slots, order }
    }

    fn hash(&self, method: &str, call_id: &str, cseq: u32, branch: &str) -> u64 {
        self.hasher.hash_one((method, call_id, cseq, branch))
    }

    /// A subscription that the process before has stored.
    pub(crate) fn knows_subscription(&mut self, now: Now, slot: u32, subscription: &Subscription) {
        // Why: one of long ago was not begun by anything that is still on its way, and there may be a million; a refresh
        // is found by its To tag.
        if subscription.created_at + limits::REPEATS_LAST < now.wall {
            return;
        }
        let (call_id, branch) = (subscription.text(Text::CallId), subscription.text(Text::OriginBranch));
        let hash = self.hash("SUBSCRIBE", call_id, subscription.origin_cseq, branch);
        self.subscriptions.insert(hash, slot);
    }

    /// A publication that the process before has stored.
    pub(crate) fn knows_publication(&mut self, slot: u32, call_id: &str, origin: &Origin) {
        let hash = self.hash("PUBLISH", call_id, origin.cseq, &origin.branch);
        self.publications.insert(hash, slot);
    }

    /// A stored answer.
    pub(crate) fn knows_answer(&mut self, slot: u32, record: AnswerRecord) {
        self.slots.restore(slot, ());
        self.order.push_back((record.until, slot));
        let hash = self.hash(&record.method, &record.call_id, record.origin.cseq, &record.origin.branch);
        self.answers.insert(hash, record);
    }

    /// After the last row of a restart.
    pub(crate) fn restored(&mut self) {
        self.slots.rebuild_free();
        self.order.make_contiguous().sort_unstable();
    }

    /// Nothing of before is on its way any more.
    pub(crate) fn forget(&mut self) {
        self.subscriptions.clear();
        self.subscriptions.shrink_to_fit();
        self.publications.clear();
        self.publications.shrink_to_fit();
        self.answers.clear();
        self.answers.shrink_to_fit();
    }

    /// A row for another answer: one whose time is over, else a new one, else the oldest.
    fn row(&mut self, now: UnixTime, until: UnixTime) -> u32 {
        let is_full = self.slots.len() >= limits::ANSWERS_KEPT_MAX;
        let old = self.order.pop_front_if(|(until, _)| is_full || *until <= now);
        let slot = old.map_or_else(|| self.slots.insert(()), |(_, slot)| slot);
        self.order.push_back((until, slot));
        slot
    }
}

impl Node {
    /// Answers a request that the process before has answered; `false` where it did not, or that is too long ago.
    pub(crate) fn answer_repeated(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        parts: &Parts<'_>,
    ) -> bool {
        if self.started + limits::REPEATS_LAST <= now.mono || parts.branch.is_none_or(str::is_empty) {
            return false;
        }
        let Some(repeated) = self.repeated(flow, message, parts) else { return false };
        let Some(server) = self.transactions.open(now.mono, flow, parts) else { return false };
        // Why: nobody is asked who it is; what is answered was allowed to whoever asked first.
        let identity = Identity { peer: None, domain: 0, user: String::new(), foreign: None };
        let request = Request { flow, message, identity, server, body_done: false };
        match repeated {
            Repeated::Subscription(slot) => self.subscribe_answered_again(now, &request, slot),
            Repeated::Publication(slot) => self.publish_answered_again(now, &request, slot),
            Repeated::Bindings(aor) => self.register_answered_again(now, &request, &aor),
            Repeated::Answer(bytes) => self.respond(now, server, 200, bytes, None),
        }
        true
    }

    fn repeated(&self, flow: Flow, message: &Message, parts: &Parts<'_>) -> Option<Repeated> {
        let branch = parts.branch?;
        let source = flow.remote().ip().to_canonical();
        let same = |call_id: &str, cseq: u32, of: &str, from: IpAddr| {
            (call_id, cseq, of, from.to_canonical()) == (parts.call_id, parts.cseq, branch, source)
        };
        let hash = self.repeats.hash(parts.method, parts.call_id, parts.cseq, branch);
        let made = match message.method()? {
            Method::Subscribe => {
                let begun = || self.repeats.subscriptions.get(&hash).copied();
                let slot = parts.to_tag.map_or_else(begun, slot_of_tag);
                let subscription = slot.and_then(|slot| Some((slot, self.subscriptions.get(slot)?)));
                let found = subscription.filter(|(_, s)| {
                    let text = |which| s.text(which);
                    let is_dialog = parts.to_tag.is_none_or(|tag| tag == text(Text::LocalTag));
                    let origin = (s.origin_cseq, text(Text::OriginBranch), s.flow.get().remote().ip());
                    s.ending.is_none()
                        && is_dialog
                        && text(Text::RemoteTag) == parts.from_tag.unwrap_or("")
                        && same(text(Text::CallId), origin.0, origin.1, origin.2)
                });
                found.map(|(slot, _)| Repeated::Subscription(slot))
            }
            Method::Publish => {
                let slot = self.repeats.publications.get(&hash).copied();
                let publication = slot.and_then(|slot| Some((slot, self.facts.publications.get(slot)?)));
                let found = publication
                    .filter(|(_, p)| same(&p.call_id, p.origin.cseq, &p.origin.branch, p.flow.remote().ip()));
                found.map(|(slot, _)| Repeated::Publication(slot))
            }
            Method::Register => {
                let aor = self.aor_named(message)?;
                let of = |b: &BindingRecord| same(&b.call_id, b.cseq, &b.branch, b.flow.remote().ip());
                let found = self.facts.registrar.bindings(&aor).iter().any(of);
                found.then_some(Repeated::Bindings(aor))
            }
            _ => return None,
        };
        made.or_else(|| {
            // Why: where what it removed is still there, it is carried out after all.
            let answer = self.repeats.answers.get(&hash)?;
            let origin = &answer.origin;
            (answer.method == parts.method
                && same(&answer.call_id, origin.cseq, &origin.branch, answer.source)
                && !self.is_still_there(message))
            .then(|| Repeated::Answer(Bytes::copy_from_slice(&answer.response)))
        })
    }

    /// Whether the subscription or publication that a request names is there.
    fn is_still_there(&self, message: &Message) -> bool {
        let subscription = message.to_tag().and_then(|tag| {
            let subscription = self.subscriptions.get(slot_of_tag(tag)?)?;
            (subscription.text(Text::LocalTag) == tag).then_some(())
        });
        let etag = message.header(Name::SipIfMatch).map(str::trim);
        let etag = etag.and_then(crate::publication::parse_etag);
        subscription.is_some() || etag.is_some_and(|etag| self.facts.publications.find(etag).is_some())
    }

    /// The AOR that a REGISTER names.
    fn aor_named(&self, message: &Message) -> Option<String> {
        let address = self.address(message.to().uri()).ok()??;
        match self.peer_named(address.domain, &address.user) {
            Some(peer) => Some(self.facts.aor(peer)),
            None => {
                let domain = self.facts.settings.domains.get(address.domain)?;
                Some(format!("sip:{}@{}", address.user, domain.name))
            }
        }
    }

    /// Keeps the answer to a request that removes what would have known it; to be called before the row is deleted.
    ///
    /// Why in this order: an answer without its removal is passed over, a removal without its answer would be refused.
    pub(crate) fn keep_answer(&mut self, now: Now, request: &Request<'_>, response: &Bytes) {
        let message = request.message;
        let Some(branch) = message.top_via().branch().filter(|branch| !branch.is_empty()) else { return };
        let until = now.wall + limits::REPEATS_LAST;
        let record = AnswerRecord {
            method: message.method().map_or("", |method| method.as_str()).to_owned(),
            call_id: message.call_id().to_owned(),
            origin: Origin { cseq: message.cseq().seq, branch: branch.to_owned() },
            source: request.flow.remote().ip(),
            response: response.to_vec(),
            until,
        };
        let slot = self.repeats.row(now.wall, until);
        let key = Key { kind: Kind::Answer, slot: u64::from(slot) };
        self.persist(Record::Upsert(key, Value::Answer(Box::new(record))), Undo::No);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn rows_are_used_again_when_their_time_is_over_or_there_are_too_many() {
        let mut repeats = Repeats::new(Maps::new(1));
        let at = |s: u64| UnixTime::from_millis(0) + Duration::from_secs(s);
        assert_eq!((repeats.row(at(0), at(32)), repeats.row(at(1), at(33))), (0, 1));
        assert_eq!(repeats.row(at(32), at(64)), 0, "over");
        assert_eq!(repeats.row(at(32), at(64)), 2);
        for n in 3..limits::ANSWERS_KEPT_MAX {
            assert_eq!(repeats.row(at(32), at(64)) as usize, n);
        }
        assert_eq!(repeats.row(at(32), at(64)), 1, "full: the oldest goes");
    }
}
