//! What one class of watchers is shown of a resource's dialogs (RFC 4235 §3.7.2, §4.1): which, how much of each, full or
//! partial.
//!
//! In: composed [`Dialogs`], a [`Style`] and a [`Sight`]. Out: a document with holes. It does not know who the watchers are
//! or what they were told; the notifier says that in the sight.
//!
//! Where `single_dialog` leaves one, it is the first of: ringing at the user, up and heard, not answered yet, held; of two
//! alike the one that came first. Only when none lives, the one that ended last is shown as terminated.

use super::{
    Dialog, DialogInfo, DialogState, Identity, Participant, Target, duration_since, encode_dialog, start,
};
use crate::body::xml_writer::XmlWriter;
use crate::body::{Brevity, EncodedBody, NotifyRinging, Style, Variant};
use crate::composition::dialogs::{ANONYMOUS_HOST, Dialogs, Entry, is_ringing};
use crate::composition::extension::{Caller, LampState};
use crate::device_state::ExtensionState;

/// How much of a call a watcher is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reveal {
    /// That there is one, and in which state.
    State,
    /// Also with whom and by which identifiers, unless the other side asked for privacy.
    #[default]
    Party,
    /// Everything: it is the watcher's own call.
    Own,
}

/// Which dialog a subscription is about (RFC 4235 §3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of the user's side (`to-tag`).
    pub local_tag: String,
    /// The tag of the other side (`from-tag`); without it all dialogs of one INVITE are meant.
    pub remote_tag: Option<String>,
}

impl Only {
    /// Whether a dialog is meant.
    pub fn selects(&self, dialog: &Dialog) -> bool {
        dialog.call_id.as_ref() == Some(&self.call_id)
            && dialog.local_tag.as_ref() == Some(&self.local_tag)
            && (self.remote_tag.is_none() || dialog.remote_tag == self.remote_tag)
    }
}

/// What one class of watchers sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// How much.
    pub reveal: Reveal,
    /// The revision they acknowledged, where it matters; `None` shows just what lives.
    pub told: Option<u32>,
    /// Only what changed since then may be sent.
    pub partial: bool,
    /// The only dialog they asked for.
    pub only: Option<Only>,
    /// They asked for session descriptions.
    pub sessions: bool,
}

impl DialogInfo {
    /// The dialogs of the extension or user `name` as watchers of this style and sight are shown them.
    pub fn encode_shown(dialogs: &Dialogs, name: &str, style: Style, sight: &Sight) -> EncodedBody {
        let lamp = lamp_for(dialogs, sight);
        if !has_dialogs_of_their_own(style.variant) {
            return Self::encode_lamp(&lamp, name, style);
        }
        let (shown, partial) = choose(dialogs, style, sight);
        let lamp_only =
            shown.iter().all(|(entry, state)| entry.source.is_lamp && *state != DialogState::Terminated);
        if lamp_only && !partial && sight.only.is_none() {
            // Why: one dialog that stands for the lamp looks as it does where nothing but the lamp is known.
            return Self::encode_lamp(&lamp, name, style);
        }
        let mut w = start(XmlWriter::new(), if partial { "partial" } else { "full" });
        for (entry, state) in shown {
            let dialog = shortened(told(entry, state, sight), style.brevity);
            let live = state != DialogState::Terminated;
            let duration = entry.source.began_at.filter(|_| live).map(duration_since);
            encode_dialog(&mut w, &dialog, duration, rendering(entry, state, style));
        }
        w.finish()
    }
}

/// Whether a variant has a dialog per call, or one for the lamp as the systems it imitates.
const fn has_dialogs_of_their_own(variant: Variant) -> bool {
    matches!(variant, Variant::Rfc | Variant::Cisco)
}

/// The lamp with as much of the caller as these watchers may see.
fn lamp_for(dialogs: &Dialogs, sight: &Sight) -> LampState {
    let mut lamp = dialogs.lamp.clone();
    match sight.reveal {
        Reveal::State => lamp.caller = None,
        Reveal::Party if dialogs.anonymous_caller => {
            lamp.caller = lamp.caller.map(|caller| Caller { remote: anonymous(), ..caller });
        }
        Reveal::Party | Reveal::Own => {}
    }
    lamp
}

fn anonymous() -> Identity {
    Identity { display_name: Some("Anonymous".to_owned()), uri: format!("sip:anonymous@{ANONYMOUS_HOST}") }
}

/// Which dialogs a document holds, each with the state shown, and whether it is partial.
fn choose<'d>(dialogs: &'d Dialogs, style: Style, sight: &Sight) -> (Vec<(&'d Entry, DialogState)>, bool) {
    let meant = |entry: &&Entry| {
        // Why: who may not see identifiers may not find out by asking whether a dialog has them.
        sight.only.as_ref().is_none_or(|only| sight.reveal != Reveal::State && only.selects(entry.dialog()))
    };
    let in_call = dialogs.live.iter().any(|entry| entry.dialog().state == DialogState::Confirmed);
    let beside_call = in_call || dialogs.lamp.extension == ExtensionState::InUseRinging;
    let state = |entry: &Entry| state_shown(entry.dialog(), style, beside_call);
    let live: Vec<_> = dialogs.live.iter().filter(meant).map(|entry| (entry, state(entry))).collect();
    let Some(told) = sight.told else { return (single(live, style), false) };
    let seen = |entry: &&Entry| entry.first <= told && told < entry.changed;
    let ended = dialogs.ended.iter().filter(meant).filter(seen);
    let ended: Vec<_> = ended.map(|entry| (entry, DialogState::Terminated)).collect();
    if style.has_one_dialog() {
        return match single(live, style) {
            none if none.is_empty() => (ended.last().copied().into_iter().collect(), false),
            one => (one, false),
        };
    }
    if sight.partial && told >= dialogs.forgotten {
        let new = live.iter().filter(|(entry, _)| told < entry.changed).chain(&ended).copied();
        let new: Vec<_> = new.collect();
        // RFC 4235 §3.3: a document without dialogs is full state.
        if !new.is_empty() {
            return (new, true);
        }
    }
    (live.into_iter().chain(ended).collect(), false)
}

/// The one dialog for phones that look at one only.
fn single(live: Vec<(&Entry, DialogState)>, style: Style) -> Vec<(&Entry, DialogState)> {
    if !style.has_one_dialog() {
        return live;
    }
    let rank = |(entry, state): &(&Entry, DialogState)| match state {
        DialogState::Early if is_ringing(entry.dialog()) => 0,
        DialogState::Confirmed if entry.source.rendering != Some(false) => 1,
        DialogState::Trying | DialogState::Proceeding | DialogState::Early => 2,
        DialogState::Confirmed => 3,
        DialogState::Terminated => 4,
    };
    live.into_iter().min_by_key(|shown| (rank(shown), shown.0.serial)).into_iter().collect()
}

/// The state a live dialog is shown in: ringing may have to look like a call that is up (`notifyringing`).
fn state_shown(dialog: &Dialog, style: Style, beside_call: bool) -> DialogState {
    let shows = match style.ringing.unwrap_or_default() {
        NotifyRinging::Yes => true,
        NotifyRinging::No => false,
        NotifyRinging::NotInUse => !beside_call,
    };
    if is_ringing(dialog) && !shows { DialogState::Confirmed } else { dialog.state }
}

/// `+sip.rendering` of the user's side: of a call that is up and that a source knows it of (RFC 4235 §5.2).
fn rendering(entry: &Entry, state: DialogState, style: Style) -> Option<&'static str> {
    let known = entry.source.rendering.filter(|_| state == DialogState::Confirmed)?;
    Some(if known || style.hold_as_call { "yes" } else { "no" })
}

/// As much of a dialog as may be told.
fn told(entry: &Entry, state: DialogState, sight: &Sight) -> Dialog {
    let whole = entry.dialog();
    if sight.reveal == Reveal::State {
        let id = if entry.source.is_lamp { whole.id.clone() } else { entry.serial.to_string() };
        let (event, direction) = (whole.event, whole.direction);
        return Dialog { id, direction, state, event, ..Dialog::default() };
    }
    let mut dialog = Dialog { state, ..whole.clone() };
    if entry.source.restricted && sight.reveal == Reveal::Party {
        let target = Target { uri: anonymous().uri, params: Vec::new() };
        let (identity, target) = (Some(anonymous()), Some(target));
        dialog.remote = Participant { identity, target, ..Participant::default() };
        (dialog.referred_by, dialog.foreign, dialog.route_set) = (None, Vec::new(), Vec::new());
    }
    if !sight.sessions {
        (dialog.local.session, dialog.remote.session) = (None, None);
    }
    if whole.state != state {
        dialog.code = None;
    }
    dialog
}

/// A dialog without what there is no room for.
fn shortened(mut dialog: Dialog, brevity: Brevity) -> Dialog {
    let sides = [&mut dialog.local, &mut dialog.remote];
    for side in sides {
        if brevity >= Brevity::NoSessions {
            side.session = None;
        }
        if brevity >= Brevity::NoExtras {
            side.foreign.clear();
            side.identity.iter_mut().for_each(|identity| identity.display_name = None);
        }
    }
    if brevity >= Brevity::NoExtras {
        dialog.referred_by.iter_mut().for_each(|identity| identity.display_name = None);
        (dialog.route_set, dialog.foreign) = (Vec::new(), Vec::new());
    }
    dialog
}
