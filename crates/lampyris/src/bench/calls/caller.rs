//! The caller's side: INVITE, ACK, BYE, and the callees' REGISTER.

use super::{Call, Calls, Part, Purpose, What};
use crate::bench::account::Nonce;
use crate::bench::scan::{Heard, uri_of};
use crate::bench::write::Head;
use bytes::Bytes;
use std::time::Instant;

/// The least session description there is (RFC 8866 §5), with one stream of audio.
pub(super) const SDP: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";

impl Calls {
    /// Makes the next call.
    pub(super) fn call(&mut self, intended: Instant, now: Instant) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let at = usize::try_from(number).unwrap_or(0);
        let call = Call {
            flow: self.caller_flow(at),
            callee: at % self.callees,
            cseq: 0,
            intended,
            began: now,
            target: Vec::new(),
            routes: Vec::new(),
            tag: Vec::new(),
            up: false,
            acknowledged: None,
            answer: None,
            branch: Vec::new(),
            confirmed: false,
            bye_branch: Vec::new(),
            ended: false,
        };
        self.open.insert(number, call);
        self.send(Purpose { what: What::Invite(number), challenged: 0 }, "", (intended, now));
    }

    /// Sends a request, with this header line.
    pub(super) fn send(&mut self, purpose: Purpose, authorization: &str, times: (Instant, Instant)) {
        let branch = self.requests.next();
        let sent = match purpose.what {
            What::Register(callee) => self.register(callee, branch, purpose.challenged, authorization),
            What::Invite(number) => self.in_call(number, "INVITE", branch, authorization),
            What::Bye(number) => self.in_call(number, "BYE", branch, authorization),
        };
        if let Some((flow, bytes)) = sent {
            self.outbox.push((flow, bytes.clone()));
            self.requests.add(purpose, flow, bytes, 0, times);
        }
    }

    fn register(
        &mut self,
        callee: usize,
        branch: u64,
        challenged: u8,
        authorization: &str,
    ) -> Option<(usize, Bytes)> {
        let flow = self.callee_flow(callee);
        let local = self.local(flow);
        let name = format!("{}{callee}", self.presentity);
        let mut more = self.pen.contact(format_args!("{name}"), local);
        let (expires_s, cseq) = if self.part == Part::Unregister { (0, 11) } else { (3600, 1) };
        more.push_str(&format!("Expires: {expires_s}\r\n"));
        more.push_str(authorization);
        let target = format!("sip:{}", self.pen.domain());
        let bytes = self.pen.request(&Head {
            method: "REGISTER",
            target: target.as_bytes(),
            branch,
            local,
            from: format_args!("{name}"),
            from_tag: format_args!("r{callee:x}"),
            to: format_args!("{name}"),
            to_tag: b"",
            call: u32::try_from(callee).ok()?,
            kind: 'r',
            cseq: cseq + u32::from(challenged),
            more: more.as_bytes(),
            body: b"",
        });
        Some((flow, bytes))
    }

    /// A request of a call, in or before its dialog.
    fn in_call(
        &mut self,
        number: u32,
        method: &str,
        branch: u64,
        authorization: &str,
    ) -> Option<(usize, Bytes)> {
        let target = self.target(number);
        let call = self.open.get_mut(&number)?;
        let local = self.locals.get(call.flow).copied()?;
        if method != "ACK" {
            call.cseq += 1;
        }
        let user = self.account.as_ref().map_or("caller", |account| account.user.as_str());
        let mut more = Vec::new();
        let mut body: &[u8] = b"";
        if method == "INVITE" {
            more.extend_from_slice(self.pen.contact(format_args!("{user}"), local).as_bytes());
            more.extend_from_slice(b"Content-Type: application/sdp\r\n");
            body = SDP;
        }
        more.extend_from_slice(&call.routes);
        more.extend_from_slice(authorization.as_bytes());
        let bytes = self.pen.request(&Head {
            method,
            target: &target,
            branch,
            local,
            from: format_args!("{user}"),
            from_tag: format_args!("c{number:x}"),
            to: format_args!("{}{}", self.presentity, call.callee),
            to_tag: &call.tag,
            call: number,
            kind: 'c',
            cseq: call.cseq,
            more: &more,
            body,
        });
        Some((call.flow, bytes))
    }

    /// Where a request of the call goes.
    fn target(&self, number: u32) -> Vec<u8> {
        match self.open.get(&number) {
            Some(call) if !call.target.is_empty() => call.target.clone(),
            Some(call) => {
                format!("sip:{}{}@{}", self.presentity, call.callee, self.pen.domain()).into_bytes()
            }
            None => Vec::new(),
        }
    }

    pub(super) fn on_answer(&mut self, status: u16, heard: &Heard<'_>, bytes: &[u8], now: Instant) {
        let Some(number) = self.pen.transaction(heard.branch()) else {
            self.tally.foreign += 1;
            return;
        };
        let Some(request) = self.requests.get(number) else {
            // Why: a 200 that comes again wants its ACK again (RFC 3261 §13.2.2.4).
            if (200..=299).contains(&status)
                && heard.cseq_line.trim_ascii().ends_with(b"INVITE")
                && let Some((call, b'c')) = self.pen.dialog(heard.call_id)
                && let Some(Call { flow, acknowledged: Some(ack), .. }) = self.open.get(&call)
            {
                self.tally.repeated += 1;
                self.outbox.push((*flow, ack.clone()));
            }
            return;
        };
        let purpose = request.what;
        request.answered = true;
        match (status, purpose.what) {
            (100..=199, _) => {}
            (200..=299, What::Register(_)) => {
                if let Some(request) = self.requests.end(number) {
                    self.tally.operations.record(now.saturating_duration_since(request.intended));
                }
            }
            (200..=299, What::Invite(call)) => self.answered(call, number, heard, now),
            (200..=299, What::Bye(call)) => {
                let _ = self.requests.end(number);
                if let Some(call) = self.open.get_mut(&call) {
                    call.ended = true;
                    // A callee that has its BYE needs no ACK any more.
                    call.confirmed |= !call.bye_branch.is_empty();
                }
                self.close(call);
            }
            (401 | 407, what) if self.account.is_some() && purpose.challenged < 2 => {
                self.refused(number, what, heard);
                self.meet_challenge(number, bytes, now);
            }
            (_, what) => {
                self.refused(number, what, heard);
                self.failed(number, &status.to_string());
            }
        }
    }

    /// The ACK of a refusal, which belongs to the INVITE's transaction (RFC 3261 §17.1.1.3).
    fn refused(&mut self, branch: u64, what: What, heard: &Heard<'_>) {
        let What::Invite(number) = what else { return };
        if let Some(call) = self.open.get_mut(&number) {
            call.tag = heard.remote_tag().to_vec();
        }
        if let Some(ack) = self.in_call(number, "ACK", branch, "") {
            self.outbox.push(ack);
        }
        if let Some(call) = self.open.get_mut(&number) {
            call.tag.clear();
        }
    }

    fn meet_challenge(&mut self, number: u64, refusal: &[u8], now: Instant) {
        let nonce = self.account.as_ref().and_then(|account| Nonce::of(refusal, account));
        let (Some(mut nonce), Some(account)) = (nonce, self.account.clone()) else {
            return self.failed(number, "challenge not understood");
        };
        let Some(request) = self.requests.end(number) else { return };
        let (method, uri) = match request.what.what {
            What::Register(_) => ("REGISTER", format!("sip:{}", self.pen.domain()).into_bytes()),
            What::Invite(call) => ("INVITE", self.target(call)),
            What::Bye(call) => ("BYE", self.target(call)),
        };
        let line = nonce.line(&account.user, method, &String::from_utf8_lossy(&uri));
        let purpose = Purpose { what: request.what.what, challenged: request.what.challenged + 1 };
        self.send(purpose, &line, (request.intended, now));
    }

    /// The 200 to an INVITE: the call is up.
    fn answered(&mut self, number: u32, invite: u64, heard: &Heard<'_>, now: Instant) {
        let _ = self.requests.end(invite);
        let Some(call) = self.open.get_mut(&number) else { return };
        call.up = true;
        call.tag = heard.remote_tag().to_vec();
        call.target = uri_of(heard.contact).to_vec();
        // RFC 3261 §12.1.2: the route set is the Record-Routes, last first.
        for line in heard.record_route.iter().rev() {
            if let Some(value) = memchr::memchr(b':', line).and_then(|at| line.get(at..)) {
                call.routes.extend_from_slice(b"Route");
                call.routes.extend_from_slice(value);
            }
        }
        self.tally.operations.record(now.saturating_duration_since(call.intended));
        let branch = self.requests.next() | (1 << 63);
        if let Some((flow, ack)) = self.in_call(number, "ACK", branch, "") {
            self.outbox.push((flow, ack.clone()));
            if let Some(call) = self.open.get_mut(&number) {
                call.acknowledged = Some(ack);
            }
        }
        match self.hold.is_zero() {
            true => self.hang_up(number, now),
            false => self.held.push_back((now + self.hold, number)),
        }
    }

    pub(super) fn hang_up(&mut self, number: u32, now: Instant) {
        if self.open.get(&number).is_some_and(|call| call.up) {
            self.send(Purpose { what: What::Bye(number), challenged: 0 }, "", (now, now));
        }
    }

    pub(super) fn failed(&mut self, number: u64, why: &str) {
        let Some(request) = self.requests.end(number) else { return };
        self.tally.fail(why);
        if let What::Invite(call) | What::Bye(call) = request.what.what {
            self.open.remove(&call);
        }
    }
}
