//! Answers to a phone's requests about its calls (RFC 3261 §13.2.2, §15.1.1, RFC 5057).

use super::agent::{Act, Agent, Cancel, Leg, State};
use super::requests::{Client, GIVE_UP, Progress};
use lampyris_core::time::Instant;
use lampyris_sip::{Message, Method, Name, NameAddr, RequestWriter};
use std::collections::BTreeMap;

/// Most challenges answered for one INVITE.
const CHALLENGES_MAX: u32 = 3;

impl Agent {
    /// A response came; `false` for one to a request that is not of this half of the phone.
    pub(crate) fn on_response(&mut self, now: Instant, message: &Message) {
        let status = message.status().map_or(0, |status| status.0);
        let (branch, cseq) = (message.top_via().branch().unwrap_or_default().to_owned(), message.cseq());
        let method = match cseq.method {
            Method::Invite => "INVITE",
            Method::Cancel => "CANCEL",
            Method::Bye => "BYE",
            Method::Refer => "REFER",
            Method::Notify => "NOTIFY",
            _ => return,
        };
        let key = (branch, method);
        let Some(client) = self.clients.get_mut(&key) else { return };
        let leg = client.leg;
        if let Progress::Completed(ack) = &client.progress {
            // RFC 3261 §17.1.1.2, §13.2.2.4: what is said again is acknowledged again.
            if method == "INVITE" && (200..300).contains(&status) {
                return self.on_success(now, leg, message);
            }
            return self.out.extend(ack.clone().filter(|_| status >= 300));
        }
        if status < 200 {
            client.progress = Progress::Proceeding;
            if method == "INVITE" {
                let called_off = self.legs.get(&leg).is_some_and(|leg| leg.cancel == Cancel::Sent);
                if !called_off {
                    (client.due, client.gives_up_at) = (None, None);
                }
                self.on_progress(now, leg, message);
            }
            return;
        }
        let ack = (method == "INVITE" && status >= 300).then(|| ack(client, message));
        client.progress = Progress::Completed(ack.clone());
        client.gives_up_at = Some(now + GIVE_UP);
        client.due = client.gives_up_at;
        self.out.extend(ack);
        let is_first = self.legs.get(&leg).is_some_and(|leg| leg.invite == key.0 && leg.is_caller);
        match (method, status) {
            ("INVITE", 200..300) => self.on_success(now, leg, message),
            ("INVITE", _) if is_first => self.on_refusal(now, leg, status, message),
            ("INVITE", 481 | 408) => self.hang_up_if_up(now, leg),
            ("INVITE", _) => {
                if let Some(leg) = self.legs.get_mut(&leg) {
                    leg.offers = None;
                }
            }
            ("REFER", 200..300) => {
                self.tally.transfers += 1;
                let wait = self.between(100, 3_000);
                self.plan(now + wait, leg, Act::HangUp);
            }
            ("REFER", 481 | 408) => self.hang_up_if_up(now, leg),
            _ => {}
        }
    }

    fn on_progress(&mut self, now: Instant, id: u64, message: &Message) {
        let status = message.status().map_or(0, |status| status.0);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if leg.state <= State::Ringing && status > 100 {
            leg.state = State::Ringing;
            if let Some(tag) = message.to_tag() {
                tag.clone_into(&mut leg.remote_tag);
            }
        }
        if leg.cancel == Cancel::Wanted {
            self.cancel(now, id);
        }
    }

    /// A 2xx to an INVITE: of the leg, or of a further fork, which is ended at once (RFC 3261 §13.2.2.4).
    fn on_success(&mut self, now: Instant, id: u64, message: &Message) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let tag = message.to_tag().unwrap_or_default().to_owned();
        let cseq = message.cseq().seq;
        let is_first = leg.is_caller && leg.acks.is_empty() && !leg.acks.contains_key(&cseq);
        if leg.acks.is_empty() && is_first {
            tag.clone_into(&mut leg.remote_tag);
            let mut routes: Vec<_> = message.values(Name::RecordRoute).map(str::to_owned).collect();
            routes.reverse();
            leg.routes = routes;
        }
        if leg.remote_tag != tag {
            return self.on_further_fork(now, id, message);
        }
        if let Some(contact) = message.contacts().find_map(lampyris_sip::Contact::addr) {
            contact.uri().clone_into(&mut leg.target);
        }
        let (again, state, cancelled) = (leg.acks.contains_key(&cseq), leg.state, leg.cancel != Cancel::No);
        if !again
            && state == State::Up
            && let Some(offer) = leg.offers.take()
        {
            leg.holds = offer;
            self.tally.holds += 1;
        }
        if state < State::Up {
            leg.state = State::Up;
        }
        let referred_by = leg.referred_by.take_if(|_| state < State::Up);
        self.acknowledge(id, cseq);
        if state >= State::Up {
            return;
        }
        self.tally.answered += 1;
        if let Some(referrer) = referred_by {
            self.notify_referrer(now, referrer, "SIP/2.0 200 OK");
        }
        // RFC 3261 §9.1: the CANCEL came too late.
        if cancelled { self.hang_up(now, id) } else { self.is_up(now, id) }
    }

    fn on_further_fork(&mut self, now: Instant, id: u64, message: &Message) {
        let tag = message.to_tag().unwrap_or_default();
        let cseq = message.cseq().seq;
        let Some(first) = self.legs.get(&id) else { return };
        let known = self.legs.iter().find(|(_, leg)| leg.call_id == first.call_id && leg.remote_tag == tag);
        if let Some(known) = known.map(|(key, _)| *key) {
            return self.acknowledge(known, cseq);
        }
        let mut routes: Vec<_> = message.values(Name::RecordRoute).map(str::to_owned).collect();
        routes.reverse();
        let target = message.contacts().find_map(lampyris_sip::Contact::addr);
        let leg = Leg {
            call_id: first.call_id.clone(),
            state: State::Up,
            is_caller: true,
            holds: false,
            local_tag: first.local_tag.clone(),
            remote_tag: tag.to_owned(),
            remote: first.remote.clone(),
            target: target.map_or_else(|| first.remote.clone(), |contact| contact.uri().to_owned()),
            routes,
            cseq: first.cseq,
            remote_cseq: 0,
            invite: String::new(),
            cancel: Cancel::No,
            acks: BTreeMap::new(),
            referred_by: None,
            added: Vec::new(),
            challenges: 0,
            offers: None,
        };
        let id = self.insert(leg);
        self.acknowledge(id, cseq);
        self.hang_up(now, id);
    }

    fn on_refusal(&mut self, now: Instant, id: u64, status: u16, message: &Message) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if status == 407 && leg.challenges < CHALLENGES_MAX && leg.state < State::Up {
            leg.challenges += 1;
            let called_off = leg.cancel != Cancel::No;
            self.challenge = Some((message.clone(), 0));
            if called_off {
                return self.is_over(now, id);
            }
            return self.invite(now, id);
        }
        self.fails(now, id, status);
    }

    /// The INVITE of a leg came to nothing.
    pub(super) fn fails(&mut self, now: Instant, id: u64, status: u16) {
        let referrer = self.legs.get_mut(&id).and_then(|leg| leg.referred_by.take());
        self.is_over(now, id);
        if let Some(referrer) = referrer {
            self.notify_referrer(now, referrer, &format!("SIP/2.0 {status} No"));
        }
    }
}

/// The ACK to a refusal: hop by hop, in the transaction of its INVITE (RFC 3261 §17.1.1.3).
fn ack(client: &Client, refusal: &Message) -> bytes::Bytes {
    let Ok(invite) = Message::parse(client.bytes.clone()) else { return bytes::Bytes::new() };
    let mut writer = RequestWriter::new("ACK", invite.request_uri().unwrap_or_default());
    writer.copy_headers(&invite, Name::Via).header(Name::MaxForwards, "70");
    writer.copy_headers(&invite, Name::Route).copy_headers(&invite, Name::From);
    writer.copy_headers(refusal, Name::To).copy_headers(&invite, Name::CallId);
    writer.header_fmt(Name::CSeq, format_args!("{} ACK", invite.cseq().seq));
    writer.finish()
}

/// The URI and the Replaces of a Refer-To value.
pub(super) fn refer_to(value: &str) -> Option<(String, Option<String>)> {
    let uri = NameAddr::parse(value).ok()?.uri().to_owned();
    let (uri, headers) = uri.split_once('?').map_or((uri.as_str(), ""), |(uri, headers)| (uri, headers));
    let replaces = headers.split('&').find_map(|header| header.strip_prefix("Replaces="));
    let replaces = replaces.map(|value| value.replace("%3B", ";").replace("%3D", "="));
    Some((uri.to_owned(), replaces))
}
