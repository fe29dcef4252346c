//! How a presence looks in the documents Asterisk writes: its tables, one row per extension state.
//!
//! In: a composed [`Presence`]. Out: the words the chan_sip and pjsip variants put into pidf and xpidf. Where something
//! was published and there is no call, the publication is brought into the same few words.

use super::Variant;
use super::presence_document::{Basic, PresenceDocument};
use super::rpid::{Activity, Values};
use crate::composition::extension::Presence;
use crate::device_state::ExtensionState;

/// The note of one who wants no calls.
pub(crate) const DO_NOT_DISTURB: &str = "Do not disturb";

/// What a document in Asterisk's manner says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Appearance<'p> {
    /// Whether the presentity can be reached.
    pub basic: Basic,
    /// The note.
    pub note: &'p str,
    /// The activity, if any.
    pub activity: Option<Activity>,
    /// `status` of xpidf.
    pub status: &'static str,
    /// `msnsubstatus` of xpidf.
    pub substatus: &'static str,
}

/// The row of `variant`'s table for `presence` (the RFC variant reads the pjsip table: its words are the RFC's).
pub(crate) fn appearance(presence: &Presence, variant: Variant) -> Appearance<'_> {
    let row = row(presence, variant);
    let in_call = presence.lamp.as_ref().is_some_and(|lamp| lamp.extension.is_in_call());
    if presence.do_not_disturb && row.basic != Basic::Closed && !in_call {
        return Appearance { note: DO_NOT_DISTURB, activity: Some(Activity::Busy), ..row };
    }
    row
}

fn row(presence: &Presence, variant: Variant) -> Appearance<'_> {
    let lamp = presence.lamp.as_ref();
    let shown = lamp.map(|lamp| lamp.extension);
    let all_unavailable = lamp.is_some_and(|lamp| lamp.all_unavailable);
    if !shown.is_some_and(ExtensionState::is_in_call) && !presence.published.is_empty() {
        return of_published(presence, variant);
    }
    let state = shown.unwrap_or(ExtensionState::Unavailable);
    if variant == Variant::ChanSip { chan_sip(state, all_unavailable) } else { pjsip(state) }
}

fn chan_sip(state: ExtensionState, all_unavailable: bool) -> Appearance<'static> {
    use ExtensionState as E;
    let on = |note| (Basic::Open, note, Some(Activity::Busy), "inuse", "onthephone");
    let (basic, note, activity, status, substatus) = match state {
        _ if all_unavailable => (Basic::Closed, "Not online", Some(Activity::Away), "closed", "offline"),
        E::Ringing | E::InUseRinging => on("Ringing"),
        E::InUse => on("On the phone"),
        E::Busy => (Basic::Open, "On the phone", Some(Activity::Busy), "closed", "offline"),
        E::Hold => (Basic::Open, "On hold", Some(Activity::Busy), "closed", "offline"),
        E::Unavailable => (Basic::Closed, "Unavailable", Some(Activity::Away), "closed", "offline"),
        E::Idle | E::InUseHold | E::Deactivated | E::Removed => {
            (Basic::Open, "Ready", None, "open", "online")
        }
    };
    Appearance { basic, note, activity, status, substatus }
}

fn pjsip(state: ExtensionState) -> Appearance<'static> {
    use ExtensionState as E;
    let on = |note| (Basic::Open, note, Some(Activity::OnThePhone), "inuse", "onthephone");
    let (basic, note, activity, status, substatus) = match state {
        E::Ringing | E::InUseRinging => on("Ringing"),
        E::InUse | E::Busy => on("On the phone"),
        E::Hold => on("On hold"),
        E::Unavailable => (Basic::Closed, "Unavailable", None, "closed", "offline"),
        E::Idle | E::InUseHold | E::Deactivated | E::Removed => {
            (Basic::Open, "Ready", None, "open", "online")
        }
    };
    Appearance { basic, note, activity, status, substatus }
}

fn of_published(presence: &Presence, variant: Variant) -> Appearance<'_> {
    let documents = || presence.published.iter().map(AsRef::as_ref);
    let open = documents().filter_map(PresenceDocument::is_open).reduce(|any, next| any || next);
    let activity = documents().find_map(first_activity);
    let state = match (open, activity) {
        (Some(false), _) => ExtensionState::Unavailable,
        (_, Some(Activity::OnThePhone)) => ExtensionState::InUse,
        _ => ExtensionState::Idle,
    };
    let row = if variant == Variant::ChanSip { chan_sip(state, false) } else { pjsip(state) };
    let note = documents().find_map(PresenceDocument::first_note).unwrap_or(row.note);
    Appearance { note, activity: activity.or(row.activity), ..row }
}

fn first_activity(document: &PresenceDocument) -> Option<Activity> {
    let persons = document.persons.iter().map(|person| &person.rpid);
    let mut said = persons.chain(document.tuples.iter().map(|tuple| &tuple.rpid));
    said.find_map(|rpid| {
        rpid.activities.as_deref().and_then(|values: &Values<Activity>| values.known.first().copied())
    })
}
