//! One INVITE and what becomes of it: what the proxy reports while it forwards the request and its responses.

use super::dialog::Step;
use super::table::{Call, Leg};
use super::{CallId, DialogId, LegId, Party, Side, message};
use crate::body::dialog_info::DialogEvent;
use crate::flow::Flow;
use crate::limits;
use crate::node::Node;
use crate::time::Now;
use lampyris_sip::{Message, Uri};

impl Node {
    /// An INVITE outside a dialog is being forwarded.
    ///
    /// Beyond [`limits::CALLS_MAX`] the call is not tracked, and its id finds nothing.
    pub(crate) fn call_begins(&mut self, now: Now, invite: &Message, caller: Party) -> CallId {
        if self.facts.calls.len() >= limits::CALLS_MAX {
            return CallId { slot: u32::MAX, generation: 0 };
        }
        let registered_by = caller.registered_by.clone().or_else(|| self.registration_of(&caller));
        let id = self.facts.calls.insert(Call {
            generation: 0,
            // Why: 48 bits are unique enough for one server and short in a document.
            serial: self.rng.next_u64() >> 16,
            call_id: invite.call_id().to_owned(),
            from_tag: invite.from_tag().unwrap_or("").to_owned(),
            cseq: invite.cseq().seq,
            from: message::identity(&invite.from()),
            to: message::identity(&invite.to()),
            caller: Party { registered_by, ..caller },
            private: message::is_private(invite),
            sdp: message::sdp(invite),
            replaces: message::replaces(invite),
            referred_by: message::referred_by(invite),
            began_at: now.wall,
            pending: true,
            unanswered_until: now.mono + limits::CALL_UNANSWERED_MAX,
            outcome: None,
            over_at: None,
            counted: Vec::new(),
            hidden: false,
            legs: Vec::new(),
            timer: None,
            stored: false,
            dirty: false,
            restored: false,
        });
        self.call_changed(now, id);
        id
    }

    /// It is forwarded to one more contact; `asked` is what the caller dialled, as a `ResourceKey` prints it.
    pub(crate) fn call_branches(&mut self, now: Now, call: CallId, callee: Party, asked: &str) -> LegId {
        let untracked = LegId { call, leg: u32::MAX };
        let settle = self.facts.settings.calls.settle;
        let registered_by = callee.registered_by.clone().or_else(|| self.registration_of(&callee));
        let Some(entry) = self.facts.calls.get_mut(call).filter(|call| call.over_at.is_none()) else {
            return untracked;
        };
        if entry.dialogs().count() >= limits::DIALOGS_PER_CALL_MAX {
            return untracked;
        }
        let Ok(leg) = u32::try_from(entry.legs.len()) else { return untracked };
        let peer = callee.peer.clone();
        entry.legs.push(Leg {
            callee: Party { registered_by, ..callee },
            asked: asked.to_owned(),
            began_at: now.wall,
            settles_at: Some(now.mono + settle),
            dialogs: Vec::new(),
        });
        entry.add_dialog(leg, None);
        if let Some(peer) = peer {
            self.facts.calls.index_peer(call, &peer);
        }
        self.call_changed(now, call);
        LegId { call, leg }
    }

    /// For limits: the calls a peer takes part in, on either side, those included that are not shown yet.
    pub(crate) fn calls_of(&self, peer: &str) -> u32 {
        self.facts.calls.count_of(peer)
    }

    /// The Call-ID of the REGISTER that made the binding a party is reached by.
    fn registration_of(&self, party: &Party) -> Option<String> {
        let peer = self.facts.settings.peers.get(party.peer.as_ref()?)?;
        let target = Uri::parse(&party.target).ok()?;
        let same = |contact: &str| Uri::parse(contact).is_ok_and(|contact| contact.equivalent(&target));
        let bindings = self.facts.registrar.bindings(&self.facts.aor(peer));
        bindings.iter().find(|binding| same(&binding.contact)).map(|binding| binding.call_id.clone())
    }

    /// A 101 to 199 came. A second tag is a fork further on: one more dialog under the same leg.
    pub(crate) fn call_rings(&mut self, now: Now, leg: LegId, response: &Message, flow: Flow) {
        let Some(status) = response.status().map(|status| status.0) else { return };
        if let Some(call) = self.facts.calls.get_mut(leg.call) {
            call.unanswered_until = now.mono + limits::CALL_UNANSWERED_MAX;
        }
        let Some(id) = self.answering_dialog(leg, response.to_tag()) else { return };
        let step = match (status, response.to_tag()) {
            // RFC 6228 §4: that early dialog is over, the INVITE is not.
            (199, Some(_)) => Step::Refused(DialogEvent::Rejected, status),
            (_, Some(_)) => Step::Rings(status),
            (_, None) => Step::Proceeding(status),
        };
        if self.step(now, id, step) {
            self.read_callee(id, response, flow);
            self.call_changed(now, leg.call);
        }
    }

    /// A 2xx came. What it replaces ends (RFC 3891 §3), and so do early dialogs of the same contact: that was its answer.
    pub(crate) fn call_answered(&mut self, now: Now, leg: LegId, response: &Message, flow: Flow) {
        let Some(status) = response.status().map(|status| status.0) else { return };
        let Some(id) = self.answering_dialog(leg, response.to_tag()) else { return };
        // Why: the same 2xx again says nothing new, and must not undo what a re-INVITE has changed since.
        let was_up = self.facts.calls.dialog(id).is_some_and(|dialog| dialog.machine.is_up());
        if was_up || !self.step(now, id, Step::Answered(status)) {
            return;
        }
        self.read_callee(id, response, flow);
        let (session, probe_at) =
            (message::session(response), now.mono + self.facts.settings.calls.probe_after);
        if let Some(dialog) = self.facts.calls.dialog_mut(id) {
            dialog.session_until = session.map(|session| now.mono + session);
            dialog.probe_at = Some(probe_at);
        }
        let Some(call) = self.facts.calls.get_mut(leg.call) else { return };
        call.pending = false;
        call.dirty = true;
        let replaces = call.replaces.clone();
        let others = call.legs.get(leg.leg as usize).map_or(0, |leg| leg.dialogs.len());
        for dialog in (0..).take(others).filter(|dialog| *dialog != id.dialog) {
            let over = Step::Refused(DialogEvent::Cancelled, status);
            self.step(now, DialogId { leg, dialog }, over);
        }
        self.call_changed(now, leg.call);
        let replaced = replaces
            .and_then(|r| self.facts.calls.find(&r.call_id, &r.local_tag, &r.remote_tag))
            .filter(|(replaced, _)| replaced.leg.call != leg.call);
        if let Some((replaced, _)) = replaced {
            self.end_dialog(now, replaced, DialogEvent::Replaced, None);
        }
    }

    /// A final non-2xx came, or it was cancelled, or nobody answered in time (408), or its contact lost it to a pickup.
    pub(crate) fn call_refused(&mut self, now: Now, leg: LegId, status: u16, event: DialogEvent) {
        let dialogs = self.facts.calls.leg_mut(leg).map_or(0, |leg| leg.dialogs.len());
        let mut any = false;
        for dialog in (0..).take(dialogs) {
            any |= self.step(now, DialogId { leg, dialog }, Step::Refused(event, status));
        }
        if any {
            self.call_changed(now, leg.call);
        }
    }

    /// The INVITE has its final answer and no leg is left: the caller sees it end.
    pub(crate) fn call_fails(&mut self, now: Now, call: CallId, status: u16, event: DialogEvent) {
        let Some(entry) = self.facts.calls.get_mut(call).filter(|call| call.pending) else { return };
        entry.pending = false;
        entry.outcome = Some((event, status));
        let legs = entry.legs.len();
        for leg in (0..).take(legs) {
            let leg = LegId { call, leg };
            let dialogs = self.facts.calls.leg_mut(leg).map_or(0, |leg| leg.dialogs.len());
            for dialog in (0..).take(dialogs) {
                self.step(now, DialogId { leg, dialog }, Step::Refused(event, status));
            }
        }
        self.call_changed(now, call);
    }

    /// The dialog of a leg that a response with this tag is about, made where it is a further fork.
    fn answering_dialog(&mut self, leg: LegId, tag: Option<&str>) -> Option<DialogId> {
        let call = self.facts.calls.get_mut(leg.call)?;
        let dialogs = &mut call.legs.get_mut(leg.leg as usize)?.dialogs;
        let found = (0..).zip(dialogs.iter()).find(|(_, dialog)| dialog.to_tag.as_deref() == tag);
        if let Some((dialog, _)) = found {
            return Some(DialogId { leg, dialog });
        }
        let Some(tag) = tag else { return Some(DialogId { leg, dialog: 0 }) };
        if let Some((dialog, untagged)) =
            (0..).zip(dialogs.iter_mut()).find(|(_, dialog)| dialog.to_tag.is_none())
            && !untagged.machine.is_over()
        {
            untagged.to_tag = Some(tag.to_owned());
            return Some(DialogId { leg, dialog });
        }
        // Why: a leg that has ended makes no new dialogs; only a fork that lives beside others does.
        let open = dialogs.iter().any(|dialog| !dialog.machine.is_over());
        let dialog = if open { call.add_dialog(leg.leg, Some(tag)) } else { None };
        Some(DialogId { leg, dialog: dialog? })
    }

    /// What a response says of who sent it.
    fn read_callee(&mut self, id: DialogId, response: &Message, flow: Flow) {
        let routes = message::routes_beyond(response, |uri| matches!(self.address(uri), Ok(Some(_))));
        let Some(dialog) = self.facts.calls.dialog_mut(id) else { return };
        dialog.private |= message::is_private(response);
        let end = dialog.end_mut(Side::Callee);
        end.party.flow = Some(flow);
        if let Some(target) = message::target(response) {
            target.clone_into(&mut end.party.target);
        }
        if let Some(routes) = routes {
            end.party.routes = routes;
        }
        if let Some(sdp) = message::sdp(response) {
            end.sdp = Some(sdp);
        }
    }
}
