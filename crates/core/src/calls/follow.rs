//! Requests inside the dialogs of a call: whose they are, and what they and their answers change.
//!
//! In: requests and responses as the proxy forwards them. Out: where they go, holds that begin and end (RFC 6337 §5.3),
//! refreshed targets and sessions (RFC 3261 §12.2, RFC 4028 §10), and the end of the dialog.

use super::dialog::Step;
use super::table::{Dialog, Offer, Probe};
use super::{DialogId, Hop, Side, message, sdp};
use crate::body::dialog_info::DialogEvent;
use crate::flow::Flow;
use crate::node::Node;
use crate::time::Now;
use lampyris_sip::{Message, Method};

impl Hop {
    const fn dialog_id(&self) -> DialogId {
        DialogId { leg: self.leg, dialog: self.dialog }
    }
}

impl Node {
    /// Which call a request inside a dialog belongs to, and the side it must go to; `None` for a dialog that is not
    /// tracked. A dialog that ended a moment ago is found: requests of its two sides cross.
    pub(crate) fn call_of(&self, request: &Message) -> Option<Hop> {
        let (from_tag, to_tag) = (request.from_tag()?, request.to_tag()?);
        let (id, sender) = self.facts.calls.find(request.call_id(), from_tag, to_tag)?;
        let towards = sender.other();
        let party = &self.facts.calls.dialog(id)?.end(towards).party;
        Some(Hop {
            leg: id.leg,
            towards,
            target: party.target.clone(),
            flow: party.flow,
            routes: party.routes.clone(),
            peer: party.peer.clone(),
            dialog: id.dialog,
        })
    }

    /// A request inside a dialog is being forwarded.
    pub(crate) fn call_request(&mut self, now: Now, hop: &Hop, request: &Message, flow: Flow) {
        let (id, sender) = (hop.dialog_id(), hop.towards.other());
        let Some(method) = request.method() else { return };
        let probe_at = now.mono + self.facts.settings.calls.probe_after;
        let Some(dialog) = self.facts.calls.dialog_mut(id).filter(|dialog| !dialog.machine.is_over()) else {
            return;
        };
        if dialog.machine.is_up() {
            dialog.probe_at = Some(probe_at);
        }
        let end = dialog.end_mut(sender);
        let mut moved = end.party.flow != Some(flow);
        end.party.flow = Some(flow);
        end.probe = Probe::Quiet;
        if method != Method::Ack {
            end.cseq = end.cseq.max(Some(request.cseq().seq));
        }
        // RFC 3261 §12.2.2, RFC 3311 §5.2: the target refresh requests of an INVITE's dialog.
        let refreshes = matches!(method, Method::Invite | Method::Update);
        if let Some(target) =
            message::target(request).filter(|target| refreshes && *target != end.party.target)
        {
            target.clone_into(&mut end.party.target);
            moved = true;
        }
        let mut shown = moved;
        match method {
            Method::Invite | Method::Update => {
                *dialog.offer_mut(sender) = offer(request);
            }
            Method::Ack => {
                // Why: an ACK without a description answers nothing, and an offer of the other side may be on its way.
                shown |= sdp::in_message(request).is_some() && answer(dialog, sender, request);
                // Why: after a restart the 2xx may have passed us by; only a 2xx is acknowledged end to end.
                if !dialog.machine.is_up() {
                    dialog.probe_at = Some(probe_at);
                    self.step(now, id, Step::Answered(200));
                    shown = true;
                    if let Some(call) = self.facts.calls.get_mut(hop.leg.call) {
                        call.pending = false;
                    }
                }
            }
            _ => {}
        }
        if shown {
            if let Some(call) = self.facts.calls.get_mut(hop.leg.call) {
                call.dirty = true;
            }
            self.call_changed(now, hop.leg.call);
        } else {
            self.arm_call(hop.leg.call);
        }
    }

    /// The answer to a request inside a dialog came back; `response` is `None` where none came in time.
    pub(crate) fn call_response(
        &mut self,
        now: Now,
        hop: &Hop,
        request_method: &str,
        status: u16,
        response: Option<&Message>,
    ) {
        let (id, sender) = (hop.dialog_id(), hop.towards.other());
        let method = Method::parse(request_method);
        if status < 200 {
            return;
        }
        if let Some((event, code)) = end_of(method, status, response.is_some(), sender) {
            return self.end_dialog(now, id, event, code);
        }
        let probe_after = self.facts.settings.calls.probe_after;
        let Some(dialog) = self.facts.calls.dialog_mut(id).filter(|dialog| !dialog.machine.is_over()) else {
            return;
        };
        let reached = response.is_some() && !matches!(status, 408 | 481);
        if dialog.machine.is_up() {
            // Why: a NOTIFY that nobody answers, or a PRACK out of place, is no proof; asking is.
            dialog.probe_at = Some(if reached { now.mono + probe_after } else { now.mono });
        }
        let negotiates = matches!(method, Method::Invite | Method::Update);
        let Some(response) = response.filter(|_| negotiates) else { return self.arm_call(hop.leg.call) };
        if status >= 300 {
            // RFC 3264 §4: a refused offer changes nothing; nor the other side's that met it (RFC 3261 §14.1).
            *dialog.offer_mut(sender) = None;
            return self.arm_call(hop.leg.call);
        }
        if dialog.machine.is_up() {
            dialog.session_until = message::session(response).map(|session| now.mono + session);
        }
        if !answer(dialog, hop.towards, response) {
            // RFC 3264 §4: no offer in the request makes the description in its 2xx one; the ACK answers it.
            *dialog.offer_mut(hop.towards) = offer(response);
        }
        let end = dialog.end_mut(hop.towards);
        if let Some(target) = message::target(response) {
            target.clone_into(&mut end.party.target);
        }
        if let Some(call) = self.facts.calls.get_mut(hop.leg.call) {
            call.dirty = true;
        }
        self.call_changed(now, hop.leg.call);
    }
}

/// The session description in a message as an offer.
fn offer(message: &Message) -> Option<Offer> {
    let direction = sdp::direction(sdp::in_message(message)?);
    Some(Offer { direction, sdp: message::sdp(message) })
}

/// The offer under way is accepted by `answerer`: who holds from now on. Whether there was an offer.
fn answer(dialog: &mut Dialog, answerer: Side, message: &Message) -> bool {
    let by = answerer.other();
    let Some(offer) = dialog.offer_mut(by).take() else { return false };
    let held = (dialog.end(by).holds, dialog.end(answerer).holds);
    // Why: what a session refresh says again is no new wish (RFC 4028 §7.4); a phone that was offered `inactive` says so too.
    let again = offer.sdp.is_some() && offer.sdp == dialog.end(by).sdp;
    let answered = sdp::in_message(message).and_then(sdp::direction);
    if let Some(offered) = offer.direction {
        let (offerer, follower) = sdp::holds(offered, answered, held);
        dialog.end_mut(by).holds = if again { held.0 } else { offerer };
        dialog.end_mut(answerer).holds = follower;
    }
    if let Some(sdp) = offer.sdp {
        dialog.end_mut(by).sdp = Some(sdp);
    }
    if let Some(sdp) = message::sdp(message) {
        dialog.end_mut(answerer).sdp = Some(sdp);
    }
    true
}

/// Whether an answer ends the dialog, and how the caller sees that end.
fn end_of(method: Method<'_>, status: u16, came: bool, sender: Side) -> Option<(DialogEvent, Option<u16>)> {
    match (method, status) {
        // Challenged: the same BYE comes again.
        (Method::Bye, 401 | 407) => None,
        // RFC 3261 §15.1.1: over with its BYE, whatever the other side says, or if it says nothing.
        (Method::Bye, _) => {
            let event = if sender == Side::Caller { DialogEvent::LocalBye } else { DialogEvent::RemoteBye };
            Some((event, None))
        }
        // RFC 3262 §3, RFC 6665 §4.1.3: there it means another transaction or subscription, not the dialog (RFC 5057 §5.1).
        (Method::Prack | Method::Notify | Method::Subscribe, _) => None,
        (_, 481) => Some((DialogEvent::Error, Some(481))),
        (_, 408) if came => Some((DialogEvent::Error, Some(408))),
        (_, 408) => Some((DialogEvent::Timeout, Some(408))),
        _ => None,
    }
}
