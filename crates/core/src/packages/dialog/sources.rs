//! What a resource's dialogs are composed of: tracked calls, publications, the lamp.

use crate::body::dialog_info::{
    Dialog, DialogInfo, DialogState, Identity, Participant, SessionDescription, Target,
};
use crate::calls::DialogView;
use crate::composition::dialogs::{Dialogs, Source, without_keys};
use crate::composition::extension::Caller;
use crate::settings::NotifyCid;
use crate::view_of::View;

/// The state of the resource in view.
pub(super) fn compose(view: &View<'_>) -> Dialogs {
    let tracked = view.dialogs().map(|(dialog, dialled)| tracked(&dialog, dialled)).collect();
    let mut published: Vec<Source> = Vec::new();
    for (document, at) in view.published_at::<DialogInfo>() {
        published.extend(document.dialogs.iter().map(|dialog| Source::published(dialog, at)));
    }
    let mut dialogs = Dialogs::compose(view.lamp(), view.name(), (tracked, published), view.before());
    if let Some(ringing) = dialogs.oldest_ringing() {
        let caller = caller(view, ringing);
        (dialogs.anonymous_caller, dialogs.lamp.caller) = (ringing.restricted, Some(caller));
    }
    dialogs
}

/// A call that passes through the proxy.
fn tracked(view: &DialogView<'_>, dialled: bool) -> Source {
    let side = |(name, uri): (Option<&str>, &str), target: &str, sdp: Option<&[u8]>| Participant {
        identity: Some(Identity { display_name: name.map(str::to_owned), uri: uri.to_owned() }),
        target: (!target.is_empty()).then(|| Target { uri: target.to_owned(), params: Vec::new() }),
        session: sdp.map(session),
        ..Participant::default()
    };
    let tag = |tag: &str| (!tag.is_empty()).then(|| tag.to_owned());
    let dialog = Dialog {
        id: view.id.clone(),
        call_id: Some(view.call_id.to_owned()),
        local_tag: tag(view.local_tag),
        remote_tag: view.remote_tag.and_then(tag),
        direction: Some(view.direction),
        state: view.state,
        event: view.event,
        code: view.code,
        replaces: view.replaces.clone(),
        referred_by: view.referred_by.cloned(),
        local: side(view.local_identity, view.local_target, view.local_sdp),
        remote: side(view.remote_identity, view.remote_target, view.remote_sdp),
        ..Dialog::default()
    };
    let rendering = (view.state == DialogState::Confirmed).then_some(!view.holding);
    let (began_at, restricted) = (Some(view.began_at), view.restricted);
    Source { dialog, began_at, rendering, restricted, dialled, is_lamp: false }
}

fn session(sdp: &[u8]) -> SessionDescription {
    let text = without_keys(&String::from_utf8_lossy(sdp));
    SessionDescription { content_type: "application/sdp".to_owned(), text }
}

/// Both sides of the oldest ringing call, for documents that have one dialog for the lamp.
fn caller(view: &View<'_>, ringing: &Source) -> Caller {
    let dialog = &ringing.dialog;
    let remote = dialog.remote.identity.clone().unwrap_or_default();
    let local = dialog.local.identity.clone();
    let local = local.unwrap_or_else(|| Identity { display_name: None, uri: view.address() });
    let pickup = match view.notify_cid() {
        NotifyCid::No => false,
        NotifyCid::IgnoreContext => true,
        // chan_sip finds the caller's channel by the extension and context of the hint.
        NotifyCid::Yes => ringing.dialled,
    };
    Caller { remote, local, pickup }
}
