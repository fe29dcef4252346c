//! A dialog by what Replaces names (RFC 3891 §3), for pickup and attended transfer.

use super::table::{Calls, Dialog};
use super::{CallId, DialogId, LegId, Party, Side};
use crate::body::dialog_info::DialogState;
use lampyris_sip::Message;

impl LegId {
    /// The call it is a fork of.
    pub(crate) const fn call(self) -> CallId {
        self.call
    }
}

impl DialogId {
    /// The fork it belongs to.
    pub(crate) const fn leg(self) -> LegId {
        self.leg
    }
}

impl Calls {
    /// The dialog of these tags, and the side whose tag the first one is: it receives the INVITE that replaces it.
    pub(crate) fn replaced(&self, call_id: &str, to_tag: &str, from_tag: &str) -> Option<(DialogId, Side)> {
        self.find(call_id, to_tag, from_tag)
    }

    /// The dialog that this answer to an INVITE of the process before belongs to; none where the caller has another final
    /// answer already.
    pub(crate) fn answering_restored(&self, response: &Message) -> Option<DialogId> {
        let (to_tag, from_tag) = response.to_tag().zip(response.from_tag())?;
        let status = response.status()?.0;
        let (id, side) = self.find(response.call_id(), to_tag, from_tag)?;
        let call = self.get(id.leg.call)?;
        let is_open = match (call.outcome, status) {
            (Some((_, given)), _) => given == status,
            (None, 200..300) => true,
            (None, _) => call.pending,
        };
        let is_its = side == Side::Callee && call.restored && call.cseq == response.cseq().seq;
        (is_its && is_open).then_some(id)
    }

    /// Whether a call still rings somewhere.
    pub(crate) fn is_ringing(&self, id: CallId) -> bool {
        let call = self.get(id);
        call.is_some_and(|call| {
            call.dialogs().any(|(.., dialog)| dialog.machine.state() == DialogState::Early)
        })
    }

    /// How far a dialog is.
    pub(crate) fn state_of(&self, id: DialogId) -> Option<DialogState> {
        self.dialog(id).map(|dialog| dialog.machine.state())
    }

    /// One side of a dialog.
    pub(crate) fn party(&self, id: DialogId, side: Side) -> Option<&Party> {
        self.dialog(id).map(|dialog| &dialog.end(side).party)
    }

    /// Who called.
    pub(crate) fn caller(&self, id: CallId) -> Option<&Party> {
        self.get(id).map(|call| &call.caller)
    }

    /// Who is called on a fork.
    pub(crate) fn callee(&self, id: LegId) -> Option<&Party> {
        self.get(id.call)?.legs.get(id.leg as usize).map(|leg| &leg.callee)
    }

    /// The tag of the callee that rings on a fork, once it has one.
    pub(crate) fn ringing_tag(&self, id: LegId) -> Option<&str> {
        let leg = self.get(id.call)?.legs.get(id.leg as usize)?;
        let ringing = |dialog: &&Dialog| dialog.machine.state() == DialogState::Early;
        leg.dialogs.iter().filter(ringing).find_map(|dialog| dialog.to_tag.as_deref())
    }
}
