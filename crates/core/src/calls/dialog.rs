//! The state machine of one dialog of a call, as the server in the middle sees it (RFC 4235 §3.7.1, figure 3).
//!
//! In: what a response or request that passed means ([`Step`]). Out: whether it was taken. States only go forward: what
//! arrives late, from a losing fork or from a tired network, is refused and changes nothing. It reads no message and knows
//! no time.

use crate::body::dialog_info::{DialogEvent, DialogState};

/// What may happen to a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A 101 to 199 without a tag.
    Proceeding(u16),
    /// A 101 to 199 with a tag.
    Rings(u16),
    /// A 2xx.
    Answered(u16),
    /// The INVITE's end without a dialog: cancelled, refused, timed out, taken by somebody else. A dialog that is up does
    /// not end by it.
    Refused(DialogEvent, u16),
    /// The end of the dialog itself: a BYE, a dialog that the other side does not know, a session that ran out.
    Ended(DialogEvent, Option<u16>),
}

/// Where one dialog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    state: DialogState,
    event: Option<DialogEvent>,
    code: Option<u16>,
}

impl Machine {
    /// The INVITE is out.
    pub(crate) const fn new() -> Self {
        Self { state: DialogState::Trying, event: None, code: None }
    }

    /// As it was stored.
    pub(crate) const fn restored(state: DialogState) -> Self {
        Self { state, event: None, code: None }
    }

    /// Its state.
    pub(crate) const fn state(self) -> DialogState {
        self.state
    }

    /// Why it ended, as the caller sees it: [`DialogEvent::LocalBye`] is a BYE of the caller.
    pub(crate) const fn event(self) -> Option<DialogEvent> {
        self.event
    }

    /// The status code that brought it into its state.
    pub(crate) const fn code(self) -> Option<u16> {
        self.code
    }

    /// Whether it is over.
    pub(crate) fn is_over(self) -> bool {
        self.state == DialogState::Terminated
    }

    /// Whether it is up.
    pub(crate) fn is_up(self) -> bool {
        self.state == DialogState::Confirmed
    }

    /// Takes a step; `false` where it would lead backwards, and then nothing has changed.
    pub(crate) fn take(&mut self, step: Step) -> bool {
        let (state, event, code) = match step {
            Step::Proceeding(code) => (DialogState::Proceeding, None, Some(code)),
            Step::Rings(code) => (DialogState::Early, None, Some(code)),
            Step::Answered(code) => (DialogState::Confirmed, None, Some(code)),
            Step::Refused(..) if self.is_up() => return false,
            Step::Refused(event, code) => (DialogState::Terminated, Some(event), Some(code)),
            Step::Ended(event, code) => (DialogState::Terminated, Some(event), code),
        };
        if self.is_over() || rank(state) < rank(self.state) {
            return false;
        }
        *self = Self { state, event, code };
        true
    }
}

/// The order in which states may follow each other.
pub(crate) const fn rank(state: DialogState) -> u8 {
    match state {
        DialogState::Trying => 0,
        DialogState::Proceeding => 1,
        DialogState::Early => 2,
        DialogState::Confirmed => 3,
        DialogState::Terminated => 4,
    }
}

/// The same event as the other side sees it.
pub(crate) const fn mirrored(event: DialogEvent) -> DialogEvent {
    match event {
        DialogEvent::LocalBye => DialogEvent::RemoteBye,
        DialogEvent::RemoteBye => DialogEvent::LocalBye,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DialogEvent::{Cancelled, Error, LocalBye, Rejected, RemoteBye, Replaced, Timeout};
    use DialogState::{Confirmed, Early, Proceeding, Terminated, Trying};

    const EVENTS: [DialogEvent; 7] = [Cancelled, Rejected, Replaced, LocalBye, RemoteBye, Error, Timeout];

    /// Every (state, step) pair: the state after it, or `None` where it is refused.
    #[test]
    fn no_step_leads_backwards() {
        let table: [(DialogState, [Option<DialogState>; 5]); 5] = [
            // from         1xx without tag   1xx with tag  2xx              refused           ended
            (Trying, [Some(Proceeding), Some(Early), Some(Confirmed), Some(Terminated), Some(Terminated)]),
            (
                Proceeding,
                [Some(Proceeding), Some(Early), Some(Confirmed), Some(Terminated), Some(Terminated)],
            ),
            (Early, [None, Some(Early), Some(Confirmed), Some(Terminated), Some(Terminated)]),
            (Confirmed, [None, None, Some(Confirmed), None, Some(Terminated)]),
            (Terminated, [None, None, None, None, None]),
        ];
        for (from, expected) in table {
            for event in EVENTS {
                let steps = [
                    Step::Proceeding(183),
                    Step::Rings(180),
                    Step::Answered(200),
                    Step::Refused(event, 486),
                    Step::Ended(event, None),
                ];
                for (step, expected) in steps.into_iter().zip(expected) {
                    let before = Machine::restored(from);
                    let mut machine = before;
                    assert_eq!(machine.take(step), expected.is_some(), "{from:?} {step:?}");
                    assert_eq!(machine.state(), expected.unwrap_or(from), "{from:?} {step:?}");
                    if expected.is_none() {
                        assert_eq!(machine, before, "a refused step changes nothing: {from:?} {step:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_end_is_the_reason() {
        let mut machine = Machine::new();
        assert!(machine.take(Step::Rings(180)));
        assert!(machine.take(Step::Refused(Cancelled, 487)));
        assert!(!machine.take(Step::Ended(Error, Some(481))));
        assert_eq!((machine.event(), machine.code()), (Some(Cancelled), Some(487)));
        assert_eq!(mirrored(LocalBye), RemoteBye);
        assert_eq!(mirrored(mirrored(RemoteBye)), RemoteBye);
    }
}
