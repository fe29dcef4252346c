//! The life of a call: what a change brings about, when it is looked at again, and what of it survives a restart.
//!
//! Every change ends in [`Node::call_changed`]: the store, the one timer of the call, the devices of its peers. The store
//! is never waited for: a message is forwarded whether or not the disk has heard of it.

use super::dialog::{Machine, Step};
use super::table::{Call, Dialog, End, Leg, Probe};
use super::{CallId, DialogId, LegId, Party, Side};
use crate::body::dialog_info::{DialogEvent, DialogState, Identity, Replaces};
use crate::journal::{
    CallDialogRecord, CallEndRecord, CallRecord, CallReplacesRecord, IdentityRecord, Key, Kind, Record, Value,
};
use crate::limits;
use crate::node::{Node, Timer};
use crate::packages::StateKind;
use crate::tickets::Undo;
use crate::time::{Instant, Now};
use crate::transaction::timers::T64;
use std::time::Duration;

impl Node {
    /// Moves one dialog; `false` where that would lead it backwards.
    pub(super) fn step(&mut self, now: Now, id: DialogId, step: Step) -> bool {
        let Some(dialog) = self.facts.calls.dialog_mut(id) else { return false };
        let before = dialog.machine.state();
        if !dialog.machine.take(step) {
            return false;
        }
        if dialog.machine.is_over() {
            dialog.ended_at = Some(now.mono);
            (dialog.session_until, dialog.probe_at, dialog.offers) = (None, None, [None, None]);
        }
        let moved = dialog.machine.state() != before;
        if let Some(call) = self.facts.calls.get_mut(id.leg.call) {
            call.dirty |= moved;
        }
        true
    }

    /// Ends a dialog; `event` as the caller sees it.
    pub(super) fn end_dialog(&mut self, now: Now, id: DialogId, event: DialogEvent, code: Option<u16>) {
        if self.step(now, id, Step::Ended(event, code)) {
            self.call_changed(now, id.leg.call);
        }
    }

    /// After any change of a call.
    pub(super) fn call_changed(&mut self, now: Now, id: CallId) {
        let Some(call) = self.facts.calls.get_mut(id) else { return };
        if call.over_at.is_none() && call.is_over() {
            call.over_at = Some(now.mono);
        }
        let peers = call.peers();
        self.facts.calls.count(id);
        self.store_call(now, id);
        self.arm_call(id);
        for peer in peers {
            self.calls_changed(now, &peer);
        }
    }

    /// The calls of a peer are others than before, or look otherwise.
    fn calls_changed(&mut self, now: Now, peer: &str) {
        self.refresh_peer(now, peer);
        let device = self.facts.settings.peers.get(peer).and_then(|p| self.facts.devices.find(&p.device));
        let device = device.and_then(|device| self.facts.devices.get(device));
        let resources = device.map(|device| device.resources.clone()).unwrap_or_default();
        for resource in resources {
            self.changed(resource, StateKind::Calls);
        }
    }

    /// Moves the one timer of a call to what is due next.
    pub(super) fn arm_call(&mut self, id: CallId) {
        let Some(call) = self.facts.calls.get_mut(id) else { return };
        let due = next_due(call);
        let old = call.timer.take();
        if let Some(old) = old {
            self.timers.cancel(old);
        }
        let timer = due.map(|at| self.timers.insert(at, Timer::Call(id)));
        if let Some(call) = self.facts.calls.get_mut(id) {
            call.timer = timer;
        }
    }

    /// Something of a call is due.
    pub(crate) fn on_call_due(&mut self, now: Now, id: CallId) {
        let Some(call) = self.facts.calls.get_mut(id) else { return };
        call.timer = None;
        if call.over_at.is_some_and(|over| over + T64 <= now.mono) {
            let peers = call.peers();
            self.facts.calls.remove(id);
            // Why: what was published of it counts again, if it is still there.
            return peers.iter().for_each(|peer| self.calls_changed(now, peer));
        }
        let shown =
            |ended: Option<Instant>| ended.is_some_and(|at| at + limits::ENDED_DIALOG_SHOWN <= now.mono);
        call.hidden |= shown(call.over_at);
        for leg in call
            .legs
            .iter_mut()
            .filter(|leg| leg.is_live() && leg.settles_at.is_some_and(|at| at <= now.mono))
        {
            leg.settles_at = None;
        }
        let mut due = Vec::new();
        let gives_up = call.unanswered_until <= now.mono;
        if gives_up && call.pending {
            call.pending = false;
            call.outcome = Some((DialogEvent::Timeout, 408));
        }
        for (number, leg) in (0..).zip(call.legs.iter_mut()) {
            let leg_id = LegId { call: id, leg: number };
            for (number, dialog) in (0..).zip(leg.dialogs.iter_mut()) {
                dialog.hidden |= shown(dialog.ended_at);
                let id = DialogId { leg: leg_id, dialog: number };
                match dialog.machine.state() {
                    DialogState::Terminated => {}
                    DialogState::Confirmed if dialog.session_until.is_some_and(|at| at <= now.mono) => {
                        due.push((id, Due::SessionOver));
                    }
                    _ if dialog.probe_at.is_some_and(|at| at <= now.mono) => due.push((id, Due::Probe)),
                    DialogState::Confirmed => {}
                    _ if gives_up => due.push((id, Due::NeverAnswered)),
                    _ => {}
                }
            }
        }
        let is_gone = call.hidden && call.dialogs().all(|(.., dialog)| dialog.hidden);
        if is_gone {
            self.facts.calls.unlist(id);
        }
        for (dialog, due) in due {
            match due {
                Due::SessionOver => {
                    self.step(now, dialog, Step::Ended(DialogEvent::Timeout, None));
                }
                Due::NeverAnswered => {
                    self.step(now, dialog, Step::Refused(DialogEvent::Timeout, 408));
                }
                Due::Probe => self.probe_dialog(now, dialog),
            }
        }
        self.call_changed(now, id);
    }

    /// Brings the store up to date: what rings or is up stands there, what is over does not.
    fn store_call(&mut self, now: Now, id: CallId) {
        let Some(call) = self.facts.calls.get_mut(id) else { return };
        let key = Key { kind: Kind::Call, slot: u64::from(id.slot) };
        if !std::mem::take(&mut call.dirty) {
            return;
        }
        let record = record_of(call, now);
        if record.dialogs.is_empty() {
            if std::mem::take(&mut call.stored) {
                self.persist(Record::Delete(key), Undo::No);
            }
            return;
        }
        call.stored = true;
        self.persist(Record::Upsert(key, Value::Call(Box::new(record))), Undo::No);
    }

    /// A call from the store. What rang then has [`limits::CALL_RESTORED_UNANSWERED_MAX`] to be answered; all is asked
    /// soon whether it is still there.
    pub(crate) fn put_call(&mut self, now: Now, slot: u32, record: CallRecord) {
        let spread = u64::try_from(limits::CALL_RESTORED_PROBE_SPREAD.as_micros()).unwrap_or(u64::MAX);
        let probe_at =
            now.mono + limits::CALL_RESTORED_PROBE_MIN + Duration::from_micros(self.rng.below(spread));
        let mut legs: Vec<Leg> = Vec::new();
        for stored in record.dialogs {
            let [caller, callee] = stored.ends.map(|end| self.end_from(end));
            let state = if stored.is_up { DialogState::Confirmed } else { DialogState::Early };
            legs.push(Leg {
                callee: callee.party.clone(),
                asked: stored.asked,
                began_at: stored.began_at,
                settles_at: None,
                dialogs: vec![Dialog {
                    number: stored.number,
                    machine: Machine::restored(state),
                    to_tag: Some(stored.to_tag),
                    private: stored.private,
                    ends: [caller, callee],
                    offers: [None, None],
                    session_until: stored.session_until.map(|at| now.mono_at(at)),
                    probe_at: Some(probe_at),
                    ended_at: None,
                    hidden: false,
                }],
            });
        }
        let Some(caller) = legs.iter().flat_map(|leg| &leg.dialogs).map(|d| d.end(Side::Caller)).next()
        else {
            return;
        };
        let call = Call {
            generation: 0,
            serial: record.serial,
            call_id: record.call_id,
            from_tag: record.from_tag,
            cseq: caller.cseq.unwrap_or(0),
            from: identity_from(record.from),
            to: identity_from(record.to),
            caller: caller.party.clone(),
            private: record.private,
            sdp: None,
            replaces: record.replaces.map(|r| Replaces {
                call_id: r.call_id,
                local_tag: r.to_tag,
                remote_tag: r.from_tag,
            }),
            referred_by: record.referred_by.map(identity_from),
            began_at: record.began_at,
            pending: record.pending,
            unanswered_until: now.mono + limits::CALL_RESTORED_UNANSWERED_MAX,
            outcome: None,
            over_at: None,
            counted: Vec::new(),
            hidden: false,
            legs,
            timer: None,
            stored: true,
            dirty: false,
            restored: true,
        };
        self.facts.calls.restore(slot, call);
    }

    fn end_from(&self, stored: CallEndRecord) -> End {
        let party = Party {
            peer: stored.peer,
            target: stored.target,
            flow: stored.flow.map(|flow| self.restarted(flow)),
            registered_by: stored.registered_by,
            routes: stored.routes,
        };
        End { party, cseq: stored.cseq, holds: stored.holds, sdp: None, probe: Probe::Quiet }
    }

    /// After the last [`Self::put_call`].
    pub(crate) fn calls_restored(&mut self) {
        self.facts.calls.restored();
        let ids: Vec<_> = self.facts.calls.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.facts.calls.count(id);
            self.arm_call(id);
        }
    }
}

enum Due {
    SessionOver,
    NeverAnswered,
    Probe,
}

/// When a call is to be looked at again.
fn next_due(call: &Call) -> Option<Instant> {
    let mut due = Vec::new();
    let shown_until = |ended: Option<Instant>, hidden: bool| {
        ended.filter(|_| !hidden).map(|ended| ended + limits::ENDED_DIALOG_SHOWN)
    };
    due.extend(shown_until(call.over_at, call.hidden));
    due.extend(call.over_at.map(|over| over + T64));
    due.extend(call.pending.then_some(call.unanswered_until));
    for (_, _, leg, dialog) in call.dialogs() {
        due.extend(shown_until(dialog.ended_at, dialog.hidden));
        due.extend(dialog.probe_at);
        due.extend(dialog.session_until);
        match dialog.machine.state() {
            DialogState::Trying | DialogState::Proceeding => {
                due.extend(leg.settles_at);
                due.push(call.unanswered_until);
            }
            DialogState::Early => due.push(call.unanswered_until),
            DialogState::Confirmed | DialogState::Terminated => {}
        }
    }
    due.into_iter().min()
}

/// What of a call survives a restart: dialogs that exist as such, with both tags.
fn record_of(call: &Call, now: Now) -> CallRecord {
    let end = |end: &End| CallEndRecord {
        peer: end.party.peer.clone(),
        target: end.party.target.clone(),
        flow: end.party.flow,
        registered_by: end.party.registered_by.clone(),
        routes: end.party.routes.clone(),
        cseq: end.cseq,
        holds: end.holds,
    };
    let dialog = |leg: &Leg, dialog: &Dialog| {
        let is_up = dialog.machine.is_up();
        let lives = is_up || dialog.machine.state() == DialogState::Early;
        Some(CallDialogRecord {
            number: dialog.number,
            to_tag: dialog.to_tag.clone().filter(|_| lives)?,
            asked: leg.asked.clone(),
            began_at: leg.began_at,
            is_up,
            private: dialog.private,
            ends: dialog.ends.each_ref().map(end),
            session_until: dialog.session_until.map(|at| now.wall_at(at)),
        })
    };
    CallRecord {
        serial: call.serial,
        call_id: call.call_id.clone(),
        from_tag: call.from_tag.clone(),
        from: identity_record(&call.from),
        to: identity_record(&call.to),
        private: call.private,
        replaces: call.replaces.as_ref().map(|r| CallReplacesRecord {
            call_id: r.call_id.clone(),
            to_tag: r.local_tag.clone(),
            from_tag: r.remote_tag.clone(),
        }),
        referred_by: call.referred_by.as_ref().map(identity_record),
        began_at: call.began_at,
        pending: call.pending,
        dialogs: call.dialogs().filter_map(|(_, _, leg, entry)| dialog(leg, entry)).collect(),
    }
}

fn identity_record(identity: &Identity) -> IdentityRecord {
    IdentityRecord { display_name: identity.display_name.clone(), uri: identity.uri.clone() }
}

fn identity_from(record: IdentityRecord) -> Identity {
    Identity { display_name: record.display_name, uri: record.uri }
}
