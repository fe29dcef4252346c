//! Requests that reach a phone about its calls (RFC 3261 §8.2, §12.2.2, §13.3, §15.1.2, RFC 3891, RFC 3515).

use super::agent::{Act, Agent, Cancel, LEGS_MAX, Leg, State};
use super::answers::refer_to;
use super::requests::{GIVE_UP, Server, T1, sdp};
use bytes::Bytes;
use lampyris_core::time::Instant;
use lampyris_sip::{Message, Method, Name, ResponseWriter, StatusCode};
use std::collections::BTreeMap;

impl Agent {
    /// A request came: any but NOTIFYs of subscriptions.
    pub(crate) fn on_request(&mut self, now: Instant, message: &Message) {
        let Some(method) = message.method() else { return };
        let branch = message.top_via().branch().unwrap_or_default().to_owned();
        if method == Method::Ack {
            return self.on_ack(&branch, message);
        }
        let key = (branch, method.as_str().to_owned());
        if let Some(server) = self.servers.get(&key) {
            return self.out.push_back(server.last.clone());
        }
        match method {
            Method::Cancel => self.on_cancel(now, key, message),
            Method::Invite if message.to_tag().is_none() => self.on_invite(now, key, message),
            _ => self.on_in_dialog(now, key, message, method),
        }
    }

    fn write_answer(&self, request: &Message, status: u16, tag: &str, holds: bool) -> Bytes {
        let mut writer = ResponseWriter::reply_to(request, StatusCode(status), None, Some(tag));
        if request.method() == Some(Method::Invite) && (101..400).contains(&status) {
            writer.copy_headers(request, Name::RecordRoute);
            if status == 302 {
                // Why: whoever calls the first phone's extension is sent to the second's, and all others to the first's.
                let user = u64::from(self.account.name == "P0");
                writer.header_fmt(Name::Contact, format_args!("<sip:50{user:02}@example.com>"));
                return writer.finish();
            }
            writer.header(Name::Contact, &self.contact());
            if (200..300).contains(&status) {
                let offered =
                    std::str::from_utf8(&request.body()).is_ok_and(|body| body.contains("a=sendonly"));
                let direction = match (offered, holds) {
                    (true, true) => "inactive",
                    (true, false) => "recvonly",
                    (false, true) => "sendonly",
                    (false, false) => "sendrecv",
                };
                writer.body("application/sdp", sdp(direction).as_bytes());
            }
        }
        writer.finish()
    }

    /// Answers a request and remembers the answer.
    fn answer(
        &mut self,
        now: Instant,
        key: (String, String),
        message: &Message,
        status: u16,
        leg: Option<u64>,
    ) {
        let own = leg.and_then(|leg| self.legs.get(&leg)).map(|leg| (leg.local_tag.clone(), leg.holds));
        let (tag, holds) = own.unwrap_or_else(|| (self.token("n"), false));
        let last = self.write_answer(message, status, &tag, holds);
        self.out.push_back(last.clone());
        let server = Server {
            request: message.clone(),
            tag,
            last,
            status,
            leg,
            acked: false,
            due: None,
            gives_up_at: None,
            interval: T1,
        };
        let is_invite = key.1 == "INVITE";
        let stored = self.servers.entry(key).insert_entry(server).into_mut();
        arm(stored, now, is_invite, self.account.is_stream);
    }

    /// Answers the INVITE that began a leg, once more.
    pub(super) fn answer_invite(&mut self, now: Instant, id: u64, status: u16) {
        let Some(leg) = self.legs.get(&id) else { return };
        let key = (leg.invite.clone(), "INVITE".to_owned());
        let Some((request, tag)) = self.servers.get(&key).map(|s| (s.request.clone(), s.tag.clone())) else {
            return;
        };
        let last = self.write_answer(&request, status, &tag, false);
        let is_stream = self.account.is_stream;
        if let Some(server) = self.servers.get_mut(&key).filter(|server| server.status < 200) {
            (server.last, server.status) = (last.clone(), status);
            arm(server, now, true, is_stream);
            self.out.push_back(last);
        }
    }

    fn on_ack(&mut self, branch: &str, message: &Message) {
        let key = (branch.to_owned(), "INVITE".to_owned());
        if let Some(server) = self.servers.get_mut(&key).filter(|server| server.status >= 300) {
            server.acked = true;
            server.due = server.gives_up_at;
            return;
        }
        let Some(id) = self.leg_of(message) else { return };
        let cseq = message.cseq().seq;
        let mut invites = self.servers.iter_mut().filter(|((_, method), _)| method == "INVITE");
        let found = invites.find(|(_, server)| server.leg == Some(id) && server.request.cseq().seq == cseq);
        if let Some((_, server)) = found {
            server.acked = true;
            server.due = server.gives_up_at;
        }
    }

    fn leg_of(&self, message: &Message) -> Option<u64> {
        let (local, remote) = (message.to_tag()?, message.from_tag()?);
        let call_id = message.call_id();
        let fits = |leg: &Leg| leg.call_id == call_id && leg.local_tag == local && leg.remote_tag == remote;
        self.legs.iter().find(|(_, leg)| fits(leg)).map(|(id, _)| *id)
    }

    fn on_cancel(&mut self, now: Instant, key: (String, String), message: &Message) {
        let invite = (key.0.clone(), "INVITE".to_owned());
        let Some(server) = self.servers.get(&invite) else {
            return self.answer(now, key, message, 481, None);
        };
        let (leg, pending) = (server.leg, server.status < 200);
        self.answer(now, key, message, 200, leg);
        if let Some(leg) = leg.filter(|_| pending) {
            self.answer_invite(now, leg, 487);
            self.is_over(now, leg);
        }
    }

    /// An INVITE that begins a call, or takes one over.
    fn on_invite(&mut self, now: Instant, key: (String, String), message: &Message) {
        // RFC 3261 §8.2.2.2: the same request by another way.
        let merged = self.servers.iter().any(|((_, method), server)| {
            let other = &server.request;
            method == "INVITE"
                && server.status < 300
                && other.call_id() == message.call_id()
                && other.from_tag() == message.from_tag()
                && other.cseq().seq == message.cseq().seq
        });
        if merged {
            return self.answer(now, key, message, 482, None);
        }
        let taken = match message.header(Name::Replaces) {
            None => None,
            Some(value) => match self.replaced(value) {
                Ok(taken) => Some(taken),
                Err(status) => return self.answer(now, key, message, status, None),
            },
        };
        if taken.is_none() && self.live().count() >= LEGS_MAX {
            return self.answer(now, key, message, 486, None);
        }
        let leg = Leg {
            call_id: message.call_id().to_owned(),
            state: State::Inviting,
            is_caller: false,
            holds: false,
            local_tag: self.token("b"),
            remote_tag: message.from_tag().unwrap_or_default().to_owned(),
            remote: message.from().uri().to_owned(),
            target: message
                .contacts()
                .find_map(lampyris_sip::Contact::addr)
                .map_or_else(String::new, |contact| contact.uri().to_owned()),
            routes: message.values(Name::RecordRoute).map(str::to_owned).collect(),
            cseq: 0,
            remote_cseq: message.cseq().seq,
            invite: key.0.clone(),
            cancel: Cancel::No,
            acks: BTreeMap::new(),
            referred_by: None,
            added: Vec::new(),
            challenges: 0,
            offers: None,
        };
        let id = self.insert(leg);
        self.answer(now, key, message, 100, Some(id));
        let auto = message.header_by_name("Answer-Mode").is_some();
        if let Some(old) = taken {
            self.plan(now, id, Act::Answer);
            self.plan(now, old, Act::HangUp);
            self.tally.replaced += 1;
            return;
        }
        if auto {
            return self.plan(now, id, Act::Answer);
        }
        let ring = self.between(1, 300);
        if !self.chance(10) {
            self.plan(now + ring, id, Act::Ring);
        }
        let wait = ring + self.between(1, 9_000);
        match self.rng.below(100) {
            0..65 => self.plan(now + wait, id, Act::Answer),
            65..72 => self.plan(now + wait, id, Act::Refuse(486)),
            72..76 => self.plan(now + wait, id, Act::Refuse(302)),
            76..78 => self.plan(now + wait, id, Act::Refuse(603)),
            78..80 => self.plan(now, id, Act::Answer),
            _ => self.plan(now + ring, id, Act::Ring),
        }
    }

    /// The leg that a Replaces names, or the status that it deserves (RFC 3891 §3).
    fn replaced(&self, value: &str) -> Result<u64, u16> {
        let param = |name: &str| {
            let mut params = value.split(';').filter_map(|param| param.trim().split_once('='));
            params.find(|(found, _)| *found == name).map_or("", |(_, value)| value)
        };
        let call_id = value.split(';').next().unwrap_or_default().trim();
        let (local, remote) = (param("to-tag"), param("from-tag"));
        let fits = |leg: &Leg| leg.call_id == call_id && leg.local_tag == local && leg.remote_tag == remote;
        let (id, leg) = self.legs.iter().find(|(_, leg)| fits(leg)).ok_or(481u16)?;
        let early_only = value.split(';').any(|param| param.trim() == "early-only");
        match leg.state {
            State::Up if early_only => Err(486),
            State::Up => Ok(*id),
            State::Over => Err(603),
            State::Inviting | State::Ringing if leg.is_caller => Ok(*id),
            State::Inviting | State::Ringing => Err(481),
        }
    }

    fn on_in_dialog(&mut self, now: Instant, key: (String, String), message: &Message, method: Method<'_>) {
        let id = self.leg_of(message);
        let leg = id.and_then(|id| self.legs.get_mut(&id)).filter(|leg| leg.state != State::Over);
        let (Some(id), Some(leg)) = (id, leg) else { return self.answer(now, key, message, 481, None) };
        let cseq = message.cseq().seq;
        if cseq < leg.remote_cseq {
            return self.answer(now, key, message, 500, Some(id));
        }
        leg.remote_cseq = cseq;
        match method {
            Method::Bye => {
                let (pending, is_caller) = (leg.state < State::Up, leg.is_caller);
                if pending && !is_caller {
                    self.answer_invite(now, id, 487);
                }
                self.answer(now, key, message, 200, Some(id));
                self.is_over(now, id);
            }
            Method::Invite if leg.offers.is_some() => self.answer(now, key, message, 491, Some(id)),
            Method::Invite if leg.state == State::Up => {
                if let Some(contact) = message.contacts().find_map(lampyris_sip::Contact::addr) {
                    contact.uri().clone_into(&mut leg.target);
                }
                self.answer(now, key, message, 200, Some(id));
            }
            Method::Refer if leg.state == State::Up => self.on_refer(now, key, message, id),
            Method::Notify => self.answer(now, key, message, 200, Some(id)),
            Method::Options => self.answer(now, key, message, 200, Some(id)),
            _ => self.answer(now, key, message, 500, Some(id)),
        }
    }

    fn on_refer(&mut self, now: Instant, key: (String, String), message: &Message, id: u64) {
        let Some((uri, replaces)) = message.header(Name::ReferTo).and_then(refer_to) else {
            return self.answer(now, key, message, 400, Some(id));
        };
        self.answer(now, key, message, 202, Some(id));
        self.notify_referrer(now, id, "SIP/2.0 100 Trying");
        let dialled =
            uri.strip_prefix("sip:").and_then(|uri| uri.split_once('@')).map(|(user, _)| user.to_owned());
        let mut added = vec![("Referred-By", format!("<{}>", message.from().uri()))];
        added.extend(replaces.map(|value| ("Replaces", value)));
        if let Some(dialled) = dialled {
            self.call(now, &dialled, added, Some(id));
        }
    }
}

/// When an answer is said again, and when it is forgotten.
fn arm(server: &mut Server, now: Instant, is_invite: bool, is_stream: bool) {
    if server.status < 200 {
        return;
    }
    let gives_up_at = now + GIVE_UP;
    let repeats = is_invite && (server.status < 300 || !is_stream);
    server.gives_up_at = Some(gives_up_at);
    server.due = Some(if repeats { now + T1 } else { gives_up_at });
    server.interval = T1;
}
