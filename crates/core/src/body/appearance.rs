//! How a presence looks in the documents Asterisk and FreeSWITCH write: their tables, one row per extension state.
//!
//! In: a composed [`Presence`]. Out: the words the chan_sip, pjsip and freeswitch variants put into pidf and xpidf. Where something
//! was published and there is no call, the publication is brought into the same few words.

use super::Variant;
use super::presence_document::{Basic, PresenceDocument};
use super::rpid::{Activity, Values};
use crate::composition::extension::Presence;
use crate::device_state::{ExtensionState, PresenceState, PresenceValue};

/// The note of one who wants no calls.
pub(crate) const DO_NOT_DISTURB: &str = "Do not disturb";

/// What a document in their manner says.
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

/// The row of `variant`'s table for `presence` (the RFC and Cisco variants read the pjsip table: its words are the RFC's).
pub(crate) fn appearance(presence: &Presence, variant: Variant) -> Appearance<'_> {
    let row = row(presence, variant);
    let in_call = presence.lamp.as_ref().is_some_and(|lamp| lamp.extension.is_in_call());
    if presence.do_not_disturb && row.basic != Basic::Closed && !in_call {
        let activity = Some(Activity::Busy);
        return match variant {
            // Its word for whoever is not to be called.
            Variant::FreeSwitch => {
                Appearance { note: "Busy", activity, substatus: substatus(activity), ..row }
            }
            _ => Appearance { note: DO_NOT_DISTURB, activity, ..row },
        };
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
    match variant {
        Variant::ChanSip => chan_sip(state, all_unavailable),
        Variant::FreeSwitch => freeswitch(state, lamp.and_then(|lamp| lamp.presence.as_ref())),
        Variant::Rfc | Variant::Pjsip | Variant::Cisco => pjsip(state),
    }
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

/// Interop: mod_sofia. A lamp does not tell who calls whom, so the notes are the ones it writes when numbers are hidden.
fn freeswitch(state: ExtensionState, said: Option<&PresenceState>) -> Appearance<'_> {
    use {ExtensionState as E, PresenceValue as P};
    let on = |note| (Basic::Open, note, Some(Activity::OnThePhone), "inuse");
    let said = said.filter(|said| said.value > P::NotSet);
    let (basic, note, activity, status) = match state {
        E::Ringing | E::InUseRinging => on("Ring"),
        E::InUse | E::Busy => on("On The Phone"),
        E::Hold | E::InUseHold => on("Hold"),
        E::Unavailable | E::Deactivated | E::Removed => (Basic::Closed, "Unregistered", None, "closed"),
        E::Idle => {
            let (note, activity) = match said.map(|said| said.value) {
                Some(P::DoNotDisturb) => ("Busy", Some(Activity::Busy)),
                Some(P::Away | P::ExtendedAway | P::Unavailable) => ("Idle", Some(Activity::Away)),
                _ => ("Available", None),
            };
            let message = said.map(|said| said.message.as_str()).filter(|message| !message.is_empty());
            (Basic::Open, message.unwrap_or(note), activity, "open")
        }
    };
    Appearance { basic, note, activity, status, substatus: substatus(activity) }
}

/// mod_sofia's `msnsubstatus`: the activity, written in one word.
const fn substatus(activity: Option<Activity>) -> &'static str {
    match activity {
        Some(Activity::OnThePhone) => "onthephone",
        Some(Activity::Busy) => "busy",
        Some(Activity::Away) => "away",
        _ => "online",
    }
}

fn of_published(presence: &Presence, variant: Variant) -> Appearance<'_> {
    let documents = || presence.published.iter().map(AsRef::as_ref);
    let published = documents().filter_map(PresenceDocument::is_open).reduce(|any, next| any || next);
    let open = presence.open.or(published);
    let activity = documents().find_map(first_activity);
    let state = match (open, activity) {
        (Some(false), _) => ExtensionState::Unavailable,
        (_, Some(Activity::OnThePhone)) => ExtensionState::InUse,
        _ if documents().any(PresenceDocument::is_only_in_use) => ExtensionState::InUse,
        _ => ExtensionState::Idle,
    };
    let row = match variant {
        Variant::ChanSip => chan_sip(state, false),
        Variant::FreeSwitch => freeswitch(state, None),
        Variant::Rfc | Variant::Pjsip | Variant::Cisco => pjsip(state),
    };
    let note = documents().find_map(PresenceDocument::first_note).unwrap_or(row.note);
    let activity = activity.or(row.activity);
    let substatus = if variant == Variant::FreeSwitch { substatus(activity) } else { row.substatus };
    Appearance { note, activity, substatus, ..row }
}

fn first_activity(document: &PresenceDocument) -> Option<Activity> {
    let persons = document.persons.iter().map(|person| &person.rpid);
    let mut said = persons.chain(document.tuples.iter().map(|tuple| &tuple.rpid));
    said.find_map(|rpid| {
        rpid.activities.as_deref().and_then(|values: &Values<Activity>| values.known.first().copied())
    })
}
