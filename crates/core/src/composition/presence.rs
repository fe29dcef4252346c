//! The presence of a person or extension as one typed document: the lamp, what was published, and one person for all.
//!
//! In: a [`Presence`]. Out: a [`Composed`] document, which the RFC's formats write and which rules for watchers can look at
//! element by element. The words and shapes that imitate other servers are `body::appearance`'s.

use crate::body::appearance::DO_NOT_DISTURB;
use crate::body::pidf::name_parts;
use crate::body::presence_document::{Basic, Note, Person, PresenceDocument, Tuple};
use crate::body::rpid::Activity;
use crate::body::xml::is_name;
use crate::body::xml_writer::xml_id;
use crate::composition::extension::{LampState, Presence};
use crate::device_state::{ExtensionState, PresenceState, PresenceValue};

/// A composed document. Its entity is empty: each watcher knows the presentity by the name it asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Composed {
    /// The document.
    pub document: PresenceDocument,
    /// Which of its tuples stands for the lamp; that one's contact is the entity.
    pub lamp: Option<usize>,
}

impl Composed {
    /// A tuple for the lamp, the tuples published, and one person for all.
    pub fn of(presence: &Presence, extension: &str) -> Self {
        let lamp = presence.lamp.as_ref();
        let published = || presence.published.iter();
        let in_call = lamp.is_some_and(|lamp| lamp.extension.is_in_call());
        let mut document = PresenceDocument {
            tuples: published().flat_map(|document| &document.tuples).cloned().collect(),
            devices: published().flat_map(|document| &document.devices).cloned().collect(),
            foreign: published().flat_map(|document| &document.foreign).cloned().collect(),
            ..PresenceDocument::default()
        };
        // Why: many phones read only the first tuple. A call comes first, then what was published, then the registration.
        let place = lamp.map(|_| if in_call || presence.lamp_first { 0 } else { document.tuples.len() });
        if let Some((lamp, at)) = lamp.zip(place) {
            document.tuples.insert(at, lamp_tuple(lamp, extension));
        }
        if presence.do_not_disturb && !in_call && !presence.is_offline() {
            document.notes.push(Note::of(DO_NOT_DISTURB));
        } else if let Some(lamp) = lamp.filter(|_| in_call || presence.published.is_empty()) {
            document.notes.push(Note::of(lamp_note(lamp)));
        }
        document.notes.extend(published().flat_map(|document| &document.notes).cloned());
        let has_person = published().any(|said| !said.persons.is_empty() || said.is_only_in_use());
        if lamp.is_some() || has_person || presence.do_not_disturb {
            document.persons.push(merged_person(presence, extension));
        }
        name_parts(&mut document);
        Self { document, lamp: place }
    }
}

fn lamp_tuple(lamp: &LampState, extension: &str) -> Tuple {
    let closed = matches!(lamp.extension, ExtensionState::Unavailable | ExtensionState::Removed);
    let id = if is_name(extension) { extension.to_owned() } else { xml_id("ext-", extension) };
    Tuple { id, basic: Some(if closed { Basic::Closed } else { Basic::Open }), ..Tuple::default() }
}

/// The words clients show and match; they are Asterisk's.
fn lamp_note(lamp: &LampState) -> &str {
    use ExtensionState as E;
    match lamp.extension {
        E::Ringing | E::InUseRinging => "Ringing",
        E::InUse | E::Busy | E::InUseHold => "On the phone",
        E::Hold => "On hold",
        E::Unavailable | E::Removed | E::Deactivated => "Unavailable",
        E::Idle => match lamp.presence.as_ref() {
            Some(PresenceState { message, value, .. })
                if !message.is_empty() && *value > PresenceValue::NotSet =>
            {
                message
            }
            Some(PresenceState { value: PresenceValue::DoNotDisturb, .. }) => DO_NOT_DISTURB,
            Some(PresenceState { value: PresenceValue::Away | PresenceValue::ExtendedAway, .. }) => "Away",
            Some(PresenceState { value: PresenceValue::Unavailable, .. }) => "Unavailable",
            _ => "Ready",
        },
    }
}

/// One person: activities of the lamp before those published; of everything else the newest word.
fn merged_person(presence: &Presence, extension: &str) -> Person {
    let persons = || presence.published.iter().flat_map(|document| &document.persons);
    let mut person = Person { id: xml_id("p-", extension), ..Person::default() };
    for next in persons() {
        let (rpid, other) = (&mut person.rpid, &next.rpid);
        merge(&mut rpid.activities, &other.activities);
        merge(&mut rpid.class, &other.class);
        merge(&mut rpid.mood, &other.mood);
        merge(&mut rpid.place_is, &other.place_is);
        merge(&mut rpid.place_type, &other.place_type);
        merge(&mut rpid.privacy, &other.privacy);
        merge(&mut rpid.relationship, &other.relationship);
        merge(&mut rpid.service_class, &other.service_class);
        merge(&mut rpid.sphere, &other.sphere);
        merge(&mut rpid.status_icon, &other.status_icon);
        merge(&mut rpid.time_offset, &other.time_offset);
        merge(&mut rpid.user_input, &other.user_input);
        match (&mut person.cipid, &next.cipid) {
            (Some(newest), Some(older)) => newest.merge(older),
            (newest, older) => merge(newest, older),
        }
        merge(&mut person.timestamp, &next.timestamp);
        if person.notes.is_empty() {
            person.notes.clone_from(&next.notes);
        }
        person.foreign.extend(next.foreign.iter().cloned());
    }
    let mut said = presence.lamp.as_ref().map(lamp_activities).unwrap_or_default();
    let in_use = presence.published.iter().any(|document| document.is_only_in_use());
    if (presence.do_not_disturb || in_use) && !said.contains(&Activity::Busy) {
        said.push(Activity::Busy);
    }
    if !said.is_empty() {
        let activities = person.rpid.activities.get_or_insert_with(Box::default);
        activities.known.retain(|activity| !said.contains(activity));
        activities.known.splice(0..0, said);
    }
    let told = presence.lamp.as_ref().and_then(|lamp| lamp.presence.as_ref());
    let message = told.map(|told| told.message.as_str()).filter(|message| !message.is_empty());
    if let Some(message) = message.filter(|_| person.notes.is_empty()) {
        person.notes.push(Note::of(message));
    }
    if presence.do_not_disturb {
        person.notes.insert(0, Note::of(DO_NOT_DISTURB));
    }
    person
}

fn merge<T: Clone>(newest: &mut Option<T>, older: &Option<T>) {
    if newest.is_none() {
        newest.clone_from(older);
    }
}

fn lamp_activities(lamp: &LampState) -> Vec<Activity> {
    let mut said = Vec::new();
    if lamp.extension.is_in_call() {
        said.push(Activity::OnThePhone);
    }
    let value = lamp.presence.as_ref().map(|said| said.value);
    if lamp.extension == ExtensionState::Busy || value == Some(PresenceValue::DoNotDisturb) {
        said.push(Activity::Busy);
    }
    let away = [PresenceValue::Away, PresenceValue::ExtendedAway, PresenceValue::Unavailable];
    if value.is_some_and(|value| away.contains(&value)) {
        said.push(Activity::Away);
    }
    said
}
