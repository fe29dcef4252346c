//! `dialog` (RFC 4235): the calls of an extension or user.
//!
//! In: tracked calls, publications and the lamp of a resource. Out: [`Dialogs`], which `body::dialog_info` writes for each
//! class of watchers. [`sources`] gathers, [`event_params`] reads what a SUBSCRIBE asks for, [`publications`] keeps what
//! publishers say in order.

mod event_params;
mod publications;
mod sources;
#[cfg(test)]
mod tests;

use super::{
    Audience, BodyFormat, Calls, EventPackage, IsTracked, Merged, PublishFormat, StateKind, Subject, Tells,
    Topic,
};
use crate::body::dialog_info::shown::Sight;
use crate::body::dialog_info::{self, DialogInfo, DialogState};
use crate::body::{EncodedBody, Style};
use crate::composition::dialogs::{Dialogs, Entry, is_ringing};
use crate::view_of::View;
use lampyris_sip::Params;

/// The package.
pub(crate) struct DialogPackage;

impl EventPackage for DialogPackage {
    type State = Dialogs;
    type Published = DialogInfo;
    const NAME: &'static str = "dialog";
    const SPEC: &'static str = "RFC 4235";
    const DEPENDS_ON: &'static [StateKind] =
        &[StateKind::DeviceStates, StateKind::Calls, StateKind::Publications];
    const AUDIENCE: Audience = Audience::Colleagues(Topic::Calls);

    fn formats(&self) -> &'static [BodyFormat<Dialogs>] {
        &[BodyFormat { content_type: dialog_info::CONTENT_TYPE, encode }]
    }

    fn tells(&self, _format: usize) -> Tells {
        Tells::Ends
    }

    fn publishable(&self) -> &'static [PublishFormat<DialogInfo>] {
        &[PublishFormat { content_type: dialog_info::CONTENT_TYPE, decode: DialogInfo::decode }]
    }

    fn compose(&self, view: &View<'_>) -> Dialogs {
        sources::compose(view)
    }

    fn withheld(&self, view: &View<'_>) -> Dialogs {
        Dialogs::of_lamp(view.lamp_of_nobody(), view.name())
    }

    fn word(&self, state: &Dialogs) -> Option<&'static str> {
        Some(state.lamp.extension.cli_word())
    }

    fn event_params(&self, params: Params<'_>) -> Result<String, &'static str> {
        event_params::kept(params)
    }

    fn revision(&self, state: &Dialogs) -> u32 {
        state.revision
    }

    fn base(&self, state: &Dialogs, told: u32) -> Option<u32> {
        state.base(told)
    }

    /// RFC 4235 §3.4: a subscription to a dialog ends with the dialog.
    fn is_over(&self, state: &Dialogs, params: &str) -> bool {
        event_params::read(params).only.is_some_and(|only| {
            let any = |entries: &[Entry]| entries.iter().any(|entry| only.selects(entry.dialog()));
            any(&state.ended) && !any(&state.live)
        })
    }

    fn calls(&self, published: &DialogInfo, is_tracked: &IsTracked<'_>) -> Option<Calls> {
        let mut calls = Calls::default();
        for dialog in &published.dialogs {
            let (local, remote) = (dialog.local_tag.as_deref(), dialog.remote_tag.as_deref());
            if dialog.call_id.as_deref().is_some_and(|call_id| is_tracked(call_id, local, remote)) {
                continue; // Why: the proxy has seen its messages, which is better than being told.
            }
            match dialog.state {
                DialogState::Terminated => continue,
                DialogState::Confirmed if dialog.is_held() => calls.onhold += 1,
                // Asterisk and pua_dialoginfo leave the direction out where nobody knows it: a lamp that blinks.
                _ if is_ringing(dialog) => calls.ringing += 1,
                _ => {}
            }
            calls.inuse += 1;
        }
        Some(calls)
    }

    /// Asterisk, Kamailio and phones publish once per dialog: only the same dialogs said again are the same.
    fn replaces(&self, old: &DialogInfo, new: &DialogInfo) -> bool {
        publications::same_ids(old, new)
    }

    fn supersedes(&self, old: &DialogInfo, new: &DialogInfo) -> bool {
        publications::supersedes(old, new)
    }

    fn merged(
        &self,
        old: Option<&DialogInfo>,
        new: &DialogInfo,
        is_over: &dyn Fn(&str) -> bool,
    ) -> Option<Merged<DialogInfo>> {
        publications::merged(old, new, is_over)
    }

    fn over(&self, published: &DialogInfo) -> Vec<String> {
        publications::over(published)
    }

    fn summary(&self, published: &DialogInfo) -> String {
        if published.dialogs.is_empty() {
            return "no dialogs".to_owned();
        }
        let states: Vec<_> = published.dialogs.iter().map(|dialog| dialog.state.name()).collect();
        states.join(", ")
    }
}

/// The document for one class of watchers.
fn encode(dialogs: &Dialogs, subject: Subject<'_>, style: Style) -> EncodedBody {
    let class = subject.class;
    let asked = event_params::read(class.params);
    let sight = Sight {
        reveal: class.reveal,
        told: class.told,
        partial: class.partial,
        only: asked.only,
        sessions: asked.sessions,
    };
    DialogInfo::encode_shown(dialogs, subject.name, style, &sight)
}
