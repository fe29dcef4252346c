//! Asking the two sides of a dialog whether they still have it, because the BYE that says so can get lost.
//!
//! An OPTIONS inside the dialog, to either side as if from the other: its CSeq is the last number seen in that direction
//! and never a higher one, so that the phones' own next requests stay in order (RFC 3261 §12.2.2). 481 means the dialog is
//! gone, no answer from either side that both are; any other answer means somebody is there. A side that no way leads to is
//! as good as silent when the next probe finds none either.

use super::table::Probe;
use super::{CallId, DialogId, LegId, Party, Side};
use crate::body::dialog_info::DialogEvent;
use crate::flow::Flow;
use crate::journal::BindingRecord;
use crate::node::{Node, Requester};
use crate::resource::ResourceKey;
use crate::time::Now;
use crate::transaction::Branch;
use lampyris_sip::{Name, RequestWriter};

impl Node {
    /// Asks both sides of a dialog.
    pub(super) fn probe_dialog(&mut self, now: Now, id: DialogId) {
        let next = now.mono + self.facts.settings.calls.probe_every;
        let Some(dialog) = self.facts.calls.dialog_mut(id) else { return };
        dialog.probe_at = Some(next);
        let ways = [Side::Caller, Side::Callee].map(|side| (side, dialog.end(side).party.clone()));
        for (side, party) in ways {
            self.probe_side(now, id, side, party);
        }
        self.end_if_silent(now, id);
    }

    /// Asks one side, along the way of `party`.
    fn probe_side(&mut self, now: Now, id: DialogId, side: Side, party: Party) {
        let way = self.flow_to(&party);
        let listener = way.and_then(|flow| Some((flow, self.listener_of(flow)?)));
        let Some((flow, (transport, advertised))) = listener.map(|(f, l)| (f, (l.transport, l.advertised)))
        else {
            // Why: after a restart, or when its connection broke, a phone comes back in its own time; it has until the next
            // probe.
            let before = self.facts.calls.dialog(id).map(|dialog| dialog.end(side).probe);
            let found = if before == Some(Probe::Quiet) { Probe::Astray } else { Probe::Silent };
            return self.probed(id, side, found);
        };
        let Some(call) = self.facts.calls.get(id.leg.call) else { return };
        let Some(dialog) = self.facts.calls.dialog(id) else { return };
        let callee_tag = dialog.to_tag.as_deref().unwrap_or("");
        let caller = (call.from.uri.as_str(), call.from_tag.as_str());
        let callee = (call.to.uri.as_str(), callee_tag);
        let ((from, from_tag), (to, to_tag)) = match side {
            Side::Caller => (callee, caller),
            Side::Callee => (caller, callee),
        };
        // Why: 0 where that direction has seen no request yet, since no number of its own can be lower.
        let cseq = dialog.end(side.other()).cseq.unwrap_or(0);
        let via = format!("SIP/2.0/{} {advertised}", transport.via());
        let agent = &self.facts.settings.server_name;
        let routes = party.routes.join(", ");
        let (request_uri, routes) = crate::notifier::routed(&party.target, &routes);
        let write = |branch: &Branch| {
            let mut writer = RequestWriter::new("OPTIONS", &request_uri);
            writer.header_fmt(Name::Via, format_args!("{via};branch={};rport", branch.as_str()));
            writer.header(Name::MaxForwards, "70");
            if !routes.is_empty() {
                writer.header(Name::Route, &routes);
            }
            writer.header_fmt(Name::From, format_args!("<{from}>;tag={from_tag}"));
            writer.header_fmt(Name::To, format_args!("<{to}>;tag={to_tag}"));
            writer.header(Name::CallId, &call.call_id);
            writer.header_fmt(Name::CSeq, format_args!("{cseq} OPTIONS"));
            if !agent.is_empty() {
                writer.header(Name::UserAgent, agent);
            }
            writer.finish()
        };
        let requester = Requester::Probe { dialog: id, side };
        let (_, transmit) = self.transactions.start(now.mono, flow, "OPTIONS", requester, write);
        self.transmit(transmit);
        self.probed(id, side, Probe::Asked);
    }

    fn probed(&mut self, id: DialogId, side: Side, found: Probe) {
        if let Some(dialog) = self.facts.calls.dialog_mut(id) {
            dialog.end_mut(side).probe = found;
        }
    }

    /// The way to a party that needs no lookup: where it was last heard, or where its peer has registered since.
    fn flow_to(&self, party: &Party) -> Option<Flow> {
        let is_open = |flow: &Flow| match flow {
            Flow::Udp { listener, .. } => self.listener(*listener).is_some(),
            Flow::Stream { id, .. } => self.connections.is_open(*id),
        };
        let peer = party.peer.as_ref().and_then(|peer| self.facts.settings.peers.get(peer));
        let bindings = peer.map_or(&[][..], |peer| self.facts.registrar.bindings(&self.facts.aor(peer)));
        let same = |binding: &&BindingRecord| {
            binding.contact == party.target || Some(&binding.call_id) == party.registered_by.as_ref()
        };
        let registered = || bindings.iter().find(same).map(|binding| binding.flow);
        let fits = |flow: &Flow| is_open(flow) && self.is_secure_for(&party.target, *flow);
        party.flow.filter(fits).or_else(|| registered().filter(fits))
    }

    /// An answer to a probe: any but 408 and 481 is a sign of life.
    pub(crate) fn on_probe_answer(&mut self, now: Now, dialog: DialogId, side: Side, status: u16) {
        match status {
            481 => self.end_dialog(now, dialog, DialogEvent::Error, Some(481)),
            408 => self.on_probe_lost(now, dialog, side),
            _ => self.probed(dialog, side, Probe::Quiet),
        }
    }

    /// A probe was not answered, or found no way.
    pub(crate) fn on_probe_lost(&mut self, now: Now, dialog: DialogId, side: Side) {
        self.probed(dialog, side, Probe::Silent);
        self.end_if_silent(now, dialog);
    }

    fn end_if_silent(&mut self, now: Now, id: DialogId) {
        let Some(dialog) = self.facts.calls.dialog(id) else { return };
        if dialog.ends.iter().all(|end| end.probe == Probe::Silent) {
            self.end_dialog(now, id, DialogEvent::Timeout, Some(408));
        }
    }

    /// A peer's bindings changed: one that the same phone or Contact made with another Call-ID says that it has begun
    /// anew, and it is asked at once, where it is now, whether it still has its calls.
    pub(crate) fn calls_follow_registration(&mut self, now: Now, aor: &str, before: &[BindingRecord]) {
        let peer = ResourceKey::parse(aor).and_then(|key| Some(self.facts.peer_of(&key)?.name.clone()));
        let Some(peer) = peer else { return };
        let after = self.facts.registrar.bindings(aor).to_vec();
        for new in &after {
            let renewed = before.iter().find(|old| {
                old.call_id != new.call_id
                    && (old.contact == new.contact
                        || (old.instance.is_some() && old.instance == new.instance))
            });
            if let Some(old) = renewed {
                self.probe_restarted(now, &peer, old, new);
            }
        }
    }

    fn probe_restarted(&mut self, now: Now, peer: &str, old: &BindingRecord, new: &BindingRecord) {
        let mut found = Vec::new();
        let calls: Vec<CallId> = self.facts.calls.of_peer(peer).map(|(id, _)| id).collect();
        for call in calls {
            let Some(entry) = self.facts.calls.get(call) else { continue };
            for (leg, dialog, _, state) in entry.dialogs().filter(|(.., d)| d.machine.is_up()) {
                for side in [Side::Caller, Side::Callee] {
                    let party = &state.end(side).party;
                    if party.peer.as_deref() == Some(peer)
                        && party.registered_by.as_ref() == Some(&old.call_id)
                    {
                        found.push((DialogId { leg: LegId { call, leg }, dialog }, side));
                    }
                }
            }
        }
        for (id, side) in found {
            let Some(dialog) = self.facts.calls.dialog_mut(id) else { continue };
            let party = &mut dialog.end_mut(side).party;
            party.registered_by = Some(new.call_id.clone());
            let party = Party {
                target: new.contact.clone(),
                flow: Some(new.flow),
                routes: new.path.clone(),
                ..party.clone()
            };
            self.probe_side(now, id, side, party);
        }
    }
}
