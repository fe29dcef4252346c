//! Answers on branches, and the one that goes on (RFC 3261 §16.7, RFC 6026 §7.3, RFC 4320).

use super::context::{Best, BranchId, State, Target, passed_on};
use super::targets::Asker;
use crate::body::dialog_info::DialogEvent;
use crate::flow::Flow;
use crate::limits;
use crate::node::{Node, Timer};
use crate::reject::Reject;
use crate::time::Now;
use crate::transaction::timers::T64;
use crate::ways::{Traveller, WayTo};
use lampyris_sip::{Message, Name, StatusCode};

/// What a CANCEL says where another phone has answered (RFC 3326; phones then do not list a missed call).
pub(super) const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

impl Node {
    /// A provisional answer came on a branch.
    pub(crate) fn on_branch_progress(&mut self, now: Now, id: BranchId, response: &Message, flow: Flow) {
        let status = response.status().map_or(100, |status| status.0);
        let Some(branch) = self.proxy.get_mut(id) else { return };
        let (context, leg, server) = (branch.context, branch.leg, branch.server);
        if branch.state == State::Calling {
            branch.state = State::Proceeding;
        }
        if status > 100 {
            // RFC 3261 §16.7 step 2: somebody is there, so it may take its time.
            self.rearm_branch(now, id, limits::TIMER_C);
        }
        if let Some(leg) = leg
            && status > 100
        {
            self.call_rings(now, leg, response, flow);
        }
        self.cancel_if_wanted(now, id);
        let Some(context) = self.proxy.context(context) else { return };
        // RFC 4320 §4.1: nothing provisional to what is no INVITE; a 100 is every hop's own.
        if context.is_invite && status > 100 && !context.answered {
            self.respond(now, server, status, response.without_top_via(&[]), None);
        }
    }

    /// A final answer came on a branch.
    pub(crate) fn on_branch_answer(&mut self, now: Now, id: BranchId, response: &Message, flow: Flow) {
        let status = response.status().map_or(500, |status| status.0);
        let Some(branch) = self.proxy.get(id) else { return };
        let (slot, leg) = (branch.context, branch.leg);
        self.tell_dialog(now, slot, status, Some(response));
        self.end_branch(id);
        if (200..300).contains(&status) {
            if let Some(leg) = leg {
                self.call_answered(now, leg, response, flow);
            }
            return self.on_branch_success(now, id, response);
        }
        if let Some(leg) = leg {
            let taken = self.proxy.context(slot).is_some_and(|context| context.picked_up);
            let event = if taken { DialogEvent::Replaced } else { refusal_event(status) };
            self.call_refused(now, leg, status, event);
        }
        self.proxy.close(id);
        let Some(context) = self.proxy.context_mut(slot) else { return };
        let is_heard = context.one_phone && !matches!(status, 408 | 430);
        // RFC 5627 §6.1: whoever asked for this phone did not ask for another.
        let may_redirect = (300..400).contains(&status) && !context.one_phone;
        let redirected = may_redirect && self.redirect(slot, response);
        let Some(context) = self.proxy.context_mut(slot) else { return };
        if matches!(status, 401 | 407) {
            let names = [Name::WwwAuthenticate, Name::ProxyAuthenticate];
            for name in names {
                context.challenges.extend(response.headers(name).map(|value| (name, value.to_owned())));
            }
        }
        // RFC 3261 §16.7 step 5: a 6xx means nobody will answer.
        let is_last_word = (status >= 600 || is_heard) && !context.answered;
        context.closed |= is_last_word;
        if !redirected {
            self.propose(slot, status, Some(response));
        }
        if is_last_word {
            self.cancel_open(now, slot, &[]);
        }
        self.proxy.release(slot);
        self.try_next(now, slot);
    }

    /// Keeps an answer where it is better than those before.
    pub(super) fn propose(&mut self, slot: u32, status: u16, response: Option<&Message>) {
        if let Some(context) = self.proxy.context_mut(slot)
            && !context.answered
            && beats(status, context.best.as_ref().map(|best| best.status))
        {
            context.best = Some(Best { status, response: response.cloned() });
        }
    }

    /// A 2xx goes on at once, and the others are called off (RFC 3261 §16.7 steps 5 and 10).
    fn on_branch_success(&mut self, now: Now, id: BranchId, response: &Message) {
        let Some(branch) = self.proxy.get_mut(id) else { return };
        let (slot, server) = (branch.context, branch.server);
        let status = response.status().map_or(200, |status| status.0);
        let is_invite = self.proxy.context(slot).is_some_and(|context| context.is_invite);
        if is_invite {
            // RFC 6026 §7.2: the callee repeats its 2xx until the ACK is there.
            if let Some(branch) = self.proxy.get_mut(id) {
                branch.state = State::Accepted;
            }
            self.timers.insert(now.mono + T64, Timer::Branch(id));
        }
        self.respond(now, server, status, response.without_top_via(&[]), None);
        self.proxy.close(id);
        if let Some(context) = self.proxy.context_mut(slot) {
            context.answered = true;
            context.closed = true;
        }
        self.cancel_open(now, slot, &[ELSEWHERE.to_owned()]);
        self.proxy.release(slot);
    }

    /// A 2xx again, or of a further fork behind this branch (RFC 6026 §7.2).
    pub(crate) fn on_branch_again(&mut self, now: Now, id: BranchId, response: &Message, flow: Flow) {
        let Some(branch) = self.proxy.get(id) else { return };
        let (server, leg) = (branch.server, branch.leg);
        if let Some(leg) = leg {
            self.call_answered(now, leg, response, flow);
        }
        let status = response.status().map_or(200, |status| status.0);
        self.respond(now, server, status, response.without_top_via(&[]), None);
    }

    /// No answer came (408), or it could not be sent (503).
    pub(crate) fn on_branch_failed(&mut self, now: Now, id: BranchId, status: u16) {
        // RFC 3263 §4.3: the next address of the same target, unless somebody there has answered already.
        let tried = self.proxy.get(id).is_some_and(|branch| matches!(branch.state, State::Calling));
        if tried && self.try_next_address(now, id) {
            return;
        }
        self.end_branch(id);
        let Some(branch) = self.proxy.get(id) else { return };
        let (slot, leg) = (branch.context, branch.leg);
        self.tell_dialog(now, slot, status, None);
        if let Some(leg) = leg {
            let event = if status == 408 { DialogEvent::Timeout } else { refusal_event(status) };
            self.call_refused(now, leg, status, event);
        }
        self.proxy.close(id);
        self.propose(slot, status, None);
        self.proxy.release(slot);
        self.try_next(now, slot);
    }

    /// Tells the call tracker of the answer to a request inside a dialog.
    fn tell_dialog(&mut self, now: Now, slot: u32, status: u16, response: Option<&Message>) {
        let Some(context) = self.proxy.context(slot) else { return };
        let Some(hop) = context.hop.clone() else { return };
        let request = context.request.clone();
        let method = request.method().map_or("", |method| method.as_str());
        self.call_response(now, &hop, method, status, response);
    }

    /// Sends a branch to the next address of its lookup.
    fn try_next_address(&mut self, now: Now, id: BranchId) -> bool {
        let Some(branch) = self.proxy.get_mut(id) else { return false };
        if let Some(client) = branch.client.take() {
            self.transactions.abandon(client);
        }
        if let Some(timer) = self.proxy.get_mut(id).and_then(|branch| branch.timer.take()) {
            self.timers.cancel(timer);
        }
        match self.next_way(now, Traveller::Branch(id.slot)) {
            WayTo::Known(flow) => {
                self.send_branch(now, id, flow);
                true
            }
            WayTo::Later => {
                if let Some(branch) = self.proxy.get_mut(id) {
                    branch.state = State::Seeking;
                }
                true
            }
            WayTo::None => false,
        }
    }

    /// Follows a 3xx where it leads to users of ours (RFC 3261 §16.7 step 4); `true` where it does.
    fn redirect(&mut self, slot: u32, response: &Message) -> bool {
        let Some(context) = self.proxy.context(slot) else { return false };
        if context.closed || context.answered || context.hop.is_some() {
            return false;
        }
        if context.redirects >= limits::REDIRECTS_MAX {
            return false;
        }
        let (flow, is_call, dialplan) = (context.flow, context.is_invite, context.dialplan.clone());
        let uris: Vec<String> =
            response.contacts().filter_map(lampyris_sip::Contact::addr).map(|a| a.uri().to_owned()).collect();
        let mut targets: Vec<Target> = Vec::new();
        for uri in uris {
            let asker = Asker { peer: None, context: &dialplan, flow, is_call };
            if let Ok(found) = self.find_targets(&asker, &uri) {
                targets.extend(found.targets);
            }
        }
        if targets.is_empty() {
            return false;
        }
        if let Some(context) = self.proxy.context_mut(slot) {
            context.redirects += 1;
            let groups = super::request::by_preference(targets, context.breadth);
            for group in groups.into_iter().rev() {
                context.waiting.push_front(group);
            }
        }
        true
    }

    /// Answers with the best of what came (RFC 3261 §16.7 steps 6 to 9).
    pub(super) fn answer_best(&mut self, now: Now, slot: u32) {
        let Some(context) = self.proxy.context_mut(slot) else { return };
        if context.answered {
            return self.proxy.release(slot);
        }
        context.answered = true;
        let best = context.best.take().unwrap_or(Best { status: 480, response: None });
        let forward = context.forwards.after(best.status).map(str::to_owned);
        let challenges = std::mem::take(&mut context.challenges);
        let (server, is_invite, call) = (context.server, context.is_invite, context.call);
        let (request, flow) = (context.request.clone(), context.flow);
        self.proxy.release(slot);
        if let Some(call) = call {
            self.call_fails(now, call, best.status, refusal_event(best.status));
        }
        if let Some(contact) = forward.filter(|_| is_invite) {
            let bytes = self.reject_bytes(&request, flow, &Reject::MovedTemporarily { contact });
            return self.respond(now, server, 302, bytes, None);
        }
        // RFC 4320 §4.2: its sender has given up as well, and a 408 would only cost.
        if best.status == 408 && !is_invite {
            return self.transactions.forget(server);
        }
        let bytes = match &best.response {
            // RFC 3261 §16.7 step 6: a 503 is about a server the caller does not talk to.
            Some(_) if best.status == 503 => self.reject_bytes(&request, flow, &Reject::Internal),
            Some(response) if matches!(best.status, 401 | 407) => passed_on(response, &challenges),
            Some(response) => response.without_top_via(&[]),
            None => {
                let status = if best.status == 503 { 500 } else { best.status };
                let tag = self.stateless_tag(&request);
                self.response(&request, flow, StatusCode(status), Some(&tag)).finish()
            }
        };
        let status = if best.status == 503 { 500 } else { best.status };
        self.respond(now, server, status, bytes, None);
    }
}

/// Whether an answer is better than the best so far: a 6xx, then the lowest class, then what tells the caller how to
/// try again, then the first to come (RFC 3261 §16.7 step 6).
fn beats(status: u16, best: Option<u16>) -> bool {
    fn rank(status: u16) -> (u8, u8) {
        let class = match status {
            600.. => 0,
            300..400 => 1,
            400..500 => 2,
            _ => 3,
        };
        // Why: of several phones one that is busy says more than one that is not there.
        let within = match status {
            401 | 407 | 415 | 420 | 484 => 0,
            486 | 487 => 1,
            408 | 480 | 503 => 3,
            _ => 2,
        };
        (class, within)
    }
    best.is_none_or(|best| rank(status) < rank(best))
}

/// Why a dialog ended that was refused with this status (RFC 4235 §3.7.1).
pub(super) fn refusal_event(status: u16) -> DialogEvent {
    match status {
        487 => DialogEvent::Cancelled,
        408 => DialogEvent::Timeout,
        500..600 => DialogEvent::Error,
        _ => DialogEvent::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_16_7_6_the_best_of_several() {
        for (answers, best) in [
            (&[404, 486, 480][..], 486),
            (&[480, 404], 404),
            (&[486, 401], 401),
            (&[503, 404], 404),
            (&[404, 302], 302),
            (&[302, 603, 404], 603),
            (&[500, 503], 500),
            (&[408, 480], 408),
        ] {
            let mut so_far = None;
            for status in answers {
                if beats(*status, so_far) {
                    so_far = Some(*status);
                }
            }
            assert_eq!(so_far, Some(best), "{answers:?}");
        }
    }
}
