//! `dialog` (RFC 4235): the calls of an extension, as one dialog that stands for its lamp.

use super::{Audience, BodyFormat, Calls, EventPackage, PublishFormat, StateKind};
use crate::body::dialog_info::{self, Dialog, DialogInfo, DialogState, Direction};
use crate::composition::extension::LampState;
use crate::view_of::View;

/// The package.
pub(crate) struct DialogPackage;

impl EventPackage for DialogPackage {
    type State = LampState;
    type Published = DialogInfo;
    const NAME: &'static str = "dialog";
    const SPEC: &'static str = "RFC 4235";
    const DEPENDS_ON: &'static [StateKind] = &[StateKind::DeviceStates];
    const AUDIENCE: Audience = Audience::Colleagues;

    fn formats(&self) -> &'static [BodyFormat<LampState>] {
        &[BodyFormat {
            content_type: dialog_info::CONTENT_TYPE,
            encode: |state, subject, style| DialogInfo::encode_lamp(state, subject.name, style),
        }]
    }

    fn publishable(&self) -> &'static [PublishFormat<DialogInfo>] {
        &[PublishFormat { content_type: dialog_info::CONTENT_TYPE, decode: DialogInfo::decode }]
    }

    fn compose(&self, view: &View<'_>) -> LampState {
        view.lamp()
    }

    fn word(&self, state: &LampState) -> Option<&'static str> {
        Some(state.extension.cli_word())
    }

    fn calls(&self, published: &DialogInfo) -> Option<Calls> {
        let mut calls = Calls::default();
        for dialog in &published.dialogs {
            match dialog.state {
                DialogState::Terminated => continue,
                DialogState::Confirmed if dialog.is_held() => calls.onhold += 1,
                DialogState::Confirmed => {}
                // Asterisk and pua_dialoginfo leave the direction out where nobody knows it: a lamp that blinks.
                _ if is_incoming(dialog) => calls.ringing += 1,
                _ => {}
            }
            calls.inuse += 1;
        }
        Some(calls)
    }

    /// Asterisk, Kamailio and phones publish once per dialog: only the same dialogs said again are the same.
    fn replaces(&self, old: &DialogInfo, new: &DialogInfo) -> bool {
        let key = |dialog: &Dialog| (dialog.id.clone(), dialog.call_id.clone());
        !old.dialogs.is_empty() && old.dialogs.iter().map(key).eq(new.dialogs.iter().map(key))
    }

    fn summary(&self, published: &DialogInfo) -> String {
        if published.dialogs.is_empty() {
            return "no dialogs".to_owned();
        }
        let states: Vec<_> = published.dialogs.iter().map(|dialog| dialog.state.name()).collect();
        states.join(", ")
    }
}

fn is_incoming(dialog: &Dialog) -> bool {
    dialog.direction != Some(Direction::Initiator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_dialogs_count_as_calls() {
        let dialog = |state, direction| {
            let direction = match direction {
                "" => String::new(),
                direction => format!(" direction=\"{direction}\""),
            };
            format!("<dialog id=\"{state}{}\"{direction}><state>{state}</state></dialog>", direction.len())
        };
        let held = "<dialog id=\"h\"><state>confirmed</state><local><target uri=\"sip:a@x\">\
                    <param pname=\"+sip.rendering\" pvalue=\"no\"/></target></local></dialog>";
        for (dialogs, inuse, ringing, onhold) in [
            (String::new(), 0, 0, 0),
            (dialog("terminated", ""), 0, 0, 0),
            (dialog("early", "recipient"), 1, 1, 0),
            (dialog("early", ""), 1, 1, 0),
            (dialog("early", "initiator"), 1, 0, 0),
            (dialog("trying", "initiator"), 1, 0, 0),
            (dialog("confirmed", "recipient") + &dialog("early", "recipient"), 2, 1, 0),
            (held.to_owned(), 1, 0, 1),
        ] {
            let body = format!(
                "<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" \
                 state=\"full\" entity=\"sip:a@x\">{dialogs}</dialog-info>"
            );
            let published = DialogInfo::decode(body.as_bytes()).unwrap();
            let calls = EventPackage::calls(&DialogPackage, &published);
            assert_eq!(calls, Some(Calls { inuse, ringing, onhold }), "{dialogs}");
        }
    }
}
