//! Requests of a phone about its calls, and the transactions that repeat them (RFC 3261 §17, RFC 6026).
//!
//! In: a leg and what to ask. Out: messages, and again until they are answered. An INVITE's 2xx is repeated by who sent it
//! until its ACK comes, also over streams (§13.3.1.4).

use super::agent::{Agent, Cancel, State};
use crate::authorize::{Request, authorize};
use bytes::Bytes;
use lampyris_core::time::Instant;
use lampyris_sip::{Message, Name, RequestWriter};
use std::time::Duration;

pub(super) const T1: Duration = Duration::from_millis(500);
pub(super) const T2: Duration = Duration::from_secs(4);
/// 64*T1.
pub(super) const GIVE_UP: Duration = Duration::from_secs(32);

/// How far a request of ours is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Calling,
    Proceeding,
    /// It has its final answer; for a refused INVITE the ACK.
    Completed(Option<Bytes>),
}

/// A request of ours.
pub(super) struct Client {
    pub(super) bytes: Bytes,
    pub(super) leg: u64,
    pub(super) progress: Progress,
    pub(super) due: Option<Instant>,
    pub(super) gives_up_at: Option<Instant>,
    interval: Duration,
}

/// A request of another, as it was answered last.
pub(super) struct Server {
    pub(super) request: Message,
    pub(super) tag: String,
    pub(super) last: Bytes,
    pub(super) status: u16,
    pub(super) leg: Option<u64>,
    pub(super) acked: bool,
    pub(super) due: Option<Instant>,
    pub(super) gives_up_at: Option<Instant>,
    pub(super) interval: Duration,
}

/// A session description that sends and receives, or only sends.
pub(super) fn sdp(direction: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na={direction}\r\n"
    )
}

impl Agent {
    pub(super) fn contact(&self) -> String {
        let suffix = if self.account.is_stream { ";transport=tcp" } else { "" };
        format!("<sip:{}@{}{suffix}>", self.account.name, self.account.address)
    }

    fn via(&self, branch: &str) -> String {
        let transport = if self.account.is_stream { "TCP" } else { "UDP" };
        format!("SIP/2.0/{transport} {};branch={branch};rport", self.account.address)
    }

    /// Writes a request of a leg; `cseq` is a fresh number unless one is given.
    fn write(
        &mut self,
        id: u64,
        method: &str,
        branch: &str,
        cseq: Option<u32>,
        added: &[(&str, &str)],
        body: Option<(&str, String)>,
    ) -> Option<Bytes> {
        let (contact, via, name) = (self.contact(), self.via(branch), self.account.name.clone());
        let leg = self.legs.get_mut(&id)?;
        let cseq = cseq.unwrap_or_else(|| {
            leg.cseq += 1;
            leg.cseq
        });
        let mut writer = RequestWriter::new(method, &leg.target);
        writer.header(Name::Via, &via).header(Name::MaxForwards, "70");
        for route in &leg.routes {
            writer.header(Name::Route, route);
        }
        let remote_tag =
            if leg.remote_tag.is_empty() { String::new() } else { format!(";tag={}", leg.remote_tag) };
        writer.header_fmt(Name::From, format_args!("<sip:{name}@example.com>;tag={}", leg.local_tag));
        writer.header_fmt(Name::To, format_args!("<{}>{remote_tag}", leg.remote));
        writer.header(Name::CallId, &leg.call_id);
        writer.header_fmt(Name::CSeq, format_args!("{cseq} {method}"));
        writer.header(Name::Contact, &contact);
        for (name, value) in added {
            writer.header_str(name, value);
        }
        if let Some((content_type, text)) = body {
            writer.body(content_type, text.as_bytes());
        }
        Some(writer.finish())
    }

    fn start(&mut self, now: Instant, leg: u64, method: &'static str, branch: String, bytes: Bytes) {
        self.out.push_back(bytes.clone());
        let gives_up_at = now + GIVE_UP;
        let due = if self.account.is_stream { gives_up_at } else { now + T1 };
        let client = Client {
            bytes,
            leg,
            progress: Progress::Calling,
            due: Some(due),
            gives_up_at: Some(gives_up_at),
            interval: T1,
        };
        self.clients.insert((branch, method), client);
    }

    /// Sends a request of a leg and keeps at it.
    pub(super) fn request(
        &mut self,
        now: Instant,
        leg: u64,
        method: &'static str,
        added: &[(&str, &str)],
        body: Option<(&str, String)>,
    ) -> String {
        let branch = format!("z9hG4bK{}", self.token("c"));
        if let Some(bytes) = self.write(leg, method, &branch, None, added, body) {
            self.start(now, leg, method, branch.clone(), bytes);
        }
        branch
    }

    /// Sends the INVITE that begins a leg, with credentials where it was challenged before.
    pub(super) fn invite(&mut self, now: Instant, id: u64) {
        let Some(leg) = self.legs.get(&id) else { return };
        let (target, mut added) = (leg.target.clone(), leg.added.clone());
        // Why: half of all phones cannot take a call over, and are called back instead.
        if self.takes_over {
            added.push(("Supported", "replaces".to_owned()));
        }
        let body = sdp("sendrecv");
        if let Some((challenge, nc)) = &mut self.challenge {
            *nc += 1;
            let (user, password) = (&self.account.name, &self.account.password);
            let request = Request { user, password, method: "INVITE", uri: &target, body: body.as_bytes() };
            if let Ok(value) = authorize(challenge, &format!("nc={nc:08x}"), &request) {
                added.push(("Proxy-Authorization", value));
            }
        }
        let added: Vec<_> = added.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let branch = self.request(now, id, "INVITE", &added, Some(("application/sdp", body)));
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.invite = branch;
        }
    }

    /// Offers to hold or to resume.
    pub(super) fn reinvite(&mut self, now: Instant, id: u64) {
        let holds = self.legs.get(&id).is_some_and(|leg| leg.offers == Some(true));
        let direction = if holds { "sendonly" } else { "sendrecv" };
        self.request(now, id, "INVITE", &[], Some(("application/sdp", sdp(direction))));
    }

    pub(super) fn refer(&mut self, now: Instant, id: u64, to: &str) {
        self.request(now, id, "REFER", &[("Refer-To", to)], None);
    }

    pub(super) fn hang_up(&mut self, now: Instant, id: u64) {
        self.request(now, id, "BYE", &[], None);
        self.is_over(now, id);
    }

    /// Says how a transfer goes (RFC 3515 §2.4.4).
    pub(super) fn notify_referrer(&mut self, now: Instant, id: u64, line: &str) {
        let over = !line.contains(" 100 ");
        let state = if over { "terminated;reason=noresource" } else { "active;expires=60" };
        let added = [("Event", "refer"), ("Subscription-State", state)];
        self.request(now, id, "NOTIFY", &added, Some(("message/sipfrag", format!("{line}\r\n"))));
    }

    /// Calls an INVITE off: at once if it was heard of, else as soon as it is (RFC 3261 §9.1).
    pub(super) fn cancel(&mut self, now: Instant, id: u64) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.cancel != Cancel::Sent) else { return };
        let branch = leg.invite.clone();
        let key = (branch.clone(), "INVITE");
        let Some(client) = self.clients.get_mut(&key) else { return };
        if client.progress != Progress::Proceeding {
            leg.cancel = Cancel::Wanted;
            return;
        }
        leg.cancel = Cancel::Sent;
        client.gives_up_at = Some(now + GIVE_UP);
        client.due = client.gives_up_at;
        let cseq = leg.cseq;
        // RFC 3261 §9.1: as the INVITE was sent, without a tag even where one is known by now.
        let tag = std::mem::take(&mut leg.remote_tag);
        let bytes = self.write(id, "CANCEL", &branch, Some(cseq), &[], None);
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.remote_tag = tag;
        }
        self.tally.cancelled += 1;
        if let Some(bytes) = bytes {
            self.start(now, id, "CANCEL", branch, bytes);
        }
    }

    /// The ACK to a 2xx, the same each time the 2xx comes.
    pub(super) fn acknowledge(&mut self, id: u64, cseq: u32) {
        let known = self.legs.get(&id).and_then(|leg| leg.acks.get(&cseq).cloned());
        let branch = format!("z9hG4bK{}", self.token("k"));
        let Some(bytes) = known.or_else(|| self.write(id, "ACK", &branch, Some(cseq), &[], None)) else {
            return;
        };
        self.out.push_back(bytes.clone());
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.acks.insert(cseq, bytes);
        }
    }

    pub(super) fn tick_clients(&mut self, now: Instant) {
        let due = |client: &Client| client.due.is_some_and(|at| at <= now);
        let keys: Vec<_> = self.clients.iter().filter(|(_, c)| due(c)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let Some(client) = self.clients.get_mut(&key) else { continue };
            if client.gives_up_at.is_none_or(|at| at > now) {
                client.interval =
                    if key.1 == "INVITE" { client.interval * 2 } else { (client.interval * 2).min(T2) };
                let again = now + client.interval;
                client.due = Some(client.gives_up_at.map_or(again, |end| again.min(end)));
                self.out.push_back(client.bytes.clone());
                continue;
            }
            let Some(client) = self.clients.remove(&key) else { continue };
            if matches!(client.progress, Progress::Completed(_)) {
                continue;
            }
            let leg = self.legs.get(&client.leg);
            let is_first = leg.is_some_and(|leg| leg.invite == key.0 && leg.is_caller);
            match key.1 {
                "INVITE" if is_first && leg.is_some_and(|leg| leg.state < State::Up) => {
                    self.fails(now, client.leg, 408);
                }
                // RFC 3261 §12.2.1.2: a dialog whose other side does not answer is over.
                "INVITE" | "REFER" if !is_first => {
                    self.hang_up_if_up(now, client.leg);
                }
                _ => {}
            }
        }
    }

    /// Whether the 2xx that began a leg is not acknowledged yet.
    pub(super) fn awaits_ack(&self, id: u64) -> bool {
        let key = self.legs.get(&id).map(|leg| (leg.invite.clone(), "INVITE".to_owned()));
        let server = key.and_then(|key| self.servers.get(&key));
        server.is_some_and(|server| server.leg == Some(id) && !server.acked)
    }

    pub(super) fn hang_up_if_up(&mut self, now: Instant, id: u64) {
        if self.legs.get(&id).is_some_and(|leg| leg.state == State::Up) {
            self.hang_up(now, id);
        }
    }

    pub(super) fn tick_servers(&mut self, now: Instant) {
        let due = |server: &Server| server.due.is_some_and(|at| at <= now);
        let keys: Vec<_> = self.servers.iter().filter(|(_, s)| due(s)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let Some(server) = self.servers.get_mut(&key) else { continue };
            if server.gives_up_at.is_none_or(|at| at > now) {
                server.interval = (server.interval * 2).min(T2);
                let again = now + server.interval;
                server.due = Some(server.gives_up_at.map_or(again, |end| again.min(end)));
                self.out.push_back(server.last.clone());
                continue;
            }
            let Some(server) = self.servers.remove(&key) else { continue };
            let is_success = (200..300).contains(&server.status);
            // RFC 3261 §13.3.1.4: nobody acknowledged: over.
            if let Some(leg) = server.leg.filter(|_| key.1 == "INVITE" && is_success && !server.acked) {
                if let Some(open) = self.legs.get(&leg).filter(|leg| leg.state == State::Up) {
                    self.unacknowledged.push(open.call_id.clone());
                }
                self.hang_up_if_up(now, leg);
            }
        }
    }
}
