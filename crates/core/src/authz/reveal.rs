//! Cutting out of a presence what a watcher is not shown (RFC 5025 §3.3).
//!
//! In: a composed [`Presence`] and what is [`Provided`]. Out: the presence with the rest left out. What the lamp of the
//! server's own says is cut like what a phone publishes: the lamp is a service, a call is an activity of the person.
//!
//! Contact, basic status, service class, device ids of devices and timestamps go with their element (RFC 5025 §3.3.2).

use super::provided::{Attribute, Identifier, Parts, Provided, UserInputShown};
use crate::body::cipid::{self, Cipid};
use crate::body::foreign::Foreign;
use crate::body::presence_document::{Device, Note, Person, PresenceDocument, Tuple};
use crate::body::rpid::Rpid;
use crate::body::timed_status::{self, TimedStatus};
use crate::composition::extension::{LampState, Presence};
use crate::device_state::{ExtensionState, PresenceState};
use std::sync::Arc;

/// What is left of a presence.
pub(crate) fn cut(presence: &Presence, name: &str, provided: &Provided) -> Presence {
    let published = presence.published.iter().map(|document| Arc::new(cut_document(document, provided)));
    let knows_activities = shows_person(provided) && provided.has(Attribute::Activities);
    Presence {
        lamp: presence.lamp.as_ref().and_then(|lamp| cut_lamp(lamp, name, provided)),
        published: published.collect(),
        do_not_disturb: presence.do_not_disturb && knows_activities,
        // Why: what is decided over services that are not shown would tell of them.
        open: presence.open.filter(|_| provided.services == Parts::All),
        lamp_first: presence.lamp_first,
    }
}

/// Whether the person that the server itself speaks of is shown: it has no class, and an id of ours.
fn shows_person(provided: &Provided) -> bool {
    provided.persons.has(|_| false)
}

fn cut_lamp(lamp: &LampState, name: &str, provided: &Provided) -> Option<LampState> {
    let is_lamp = |identifier: &Identifier| match identifier {
        Identifier::Occurrence(id) => id == name,
        Identifier::Scheme(scheme) => scheme == "sip",
        Identifier::Class(_) | Identifier::Device(_) | Identifier::Uri(_) => false,
    };
    if !provided.services.has(is_lamp) {
        return None;
    }
    let mut lamp = lamp.clone();
    if !(shows_person(provided) && provided.has(Attribute::Activities)) {
        let is_closed = matches!(lamp.extension, ExtensionState::Unavailable | ExtensionState::Removed);
        lamp.extension = if is_closed { lamp.extension } else { ExtensionState::Idle };
        lamp.presence = lamp.presence.map(|said| PresenceState { value: Default::default(), ..said });
        lamp.caller = None;
    }
    if !(shows_person(provided) && provided.has(Attribute::Note)) {
        let bare = |said: PresenceState| PresenceState { value: said.value, ..PresenceState::default() };
        lamp.presence = lamp.presence.map(bare);
    }
    Some(lamp)
}

fn cut_document(document: &PresenceDocument, provided: &Provided) -> PresenceDocument {
    let tuples = document.tuples.iter().filter(|tuple| provided.services.has(|id| is_tuple(tuple, id)));
    let persons = document
        .persons
        .iter()
        .filter(|person| provided.persons.has(|id| is_element(&person.id, &person.rpid, id)));
    let devices = document.devices.iter().filter(|device| {
        let is_device = |id: &Identifier| match id {
            Identifier::Device(urn) => *urn == device.device_id,
            id => is_element(&device.id, &device.rpid, id),
        };
        provided.devices.has(is_device)
    });
    PresenceDocument {
        entity: document.entity.clone(),
        tuples: tuples.map(|tuple| cut_tuple(tuple, provided)).collect(),
        persons: persons.map(|person| cut_person(person, provided)).collect(),
        devices: devices.map(|device| cut_device(device, provided)).collect(),
        notes: cut_notes(&document.notes, provided),
        // Why: no permission of its own is defined for what stands beside persons, services and devices.
        foreign: if provided.all_attributes { document.foreign.clone() } else { Vec::new() },
    }
}

fn is_element(id: &str, rpid: &Rpid, identifier: &Identifier) -> bool {
    match identifier {
        Identifier::Occurrence(wanted) => wanted == id,
        Identifier::Class(class) => rpid.class.as_ref() == Some(class),
        Identifier::Device(_) | Identifier::Uri(_) | Identifier::Scheme(_) => false,
    }
}

fn is_tuple(tuple: &Tuple, identifier: &Identifier) -> bool {
    let uri = tuple.contact.as_ref().map(|contact| contact.uri.as_str());
    match identifier {
        Identifier::Uri(wanted) => uri.is_some_and(|uri| is_same_uri(uri, wanted)),
        Identifier::Scheme(scheme) => {
            uri.and_then(|uri| uri.split_once(':')).is_some_and(|(s, _)| s == scheme)
        }
        identifier => is_element(&tuple.id, &tuple.rpid, identifier),
    }
}

fn is_same_uri(a: &str, b: &str) -> bool {
    let parsed = lampyris_sip::Uri::parse(a).ok().zip(lampyris_sip::Uri::parse(b).ok());
    a == b || parsed.is_some_and(|(a, b)| a.equivalent(&b))
}

fn cut_tuple(tuple: &Tuple, provided: &Provided) -> Tuple {
    Tuple {
        device_id: tuple.device_id.clone().filter(|_| provided.has(Attribute::DeviceId)),
        rpid: cut_rpid(&tuple.rpid, provided),
        cipid: cut_cipid(tuple.cipid.as_deref(), provided),
        timed: cut_timed(&tuple.timed, provided),
        notes: cut_notes(&tuple.notes, provided),
        status_foreign: cut_foreign(&tuple.status_foreign, provided),
        foreign: cut_foreign(&tuple.foreign, provided),
        ..tuple.clone()
    }
}

fn cut_person(person: &Person, provided: &Provided) -> Person {
    Person {
        rpid: cut_rpid(&person.rpid, provided),
        cipid: cut_cipid(person.cipid.as_deref(), provided),
        notes: cut_notes(&person.notes, provided),
        foreign: cut_foreign(&person.foreign, provided),
        ..person.clone()
    }
}

fn cut_device(device: &Device, provided: &Provided) -> Device {
    Device {
        rpid: cut_rpid(&device.rpid, provided),
        notes: cut_notes(&device.notes, provided),
        foreign: cut_foreign(&device.foreign, provided),
        ..device.clone()
    }
}

fn cut_notes(notes: &[Note], provided: &Provided) -> Vec<Note> {
    if provided.has(Attribute::Note) { notes.to_vec() } else { Vec::new() }
}

fn cut_foreign(foreign: &[Foreign], provided: &Provided) -> Vec<Foreign> {
    foreign.iter().filter(|f| provided.has_unknown(f.namespace(), f.name())).cloned().collect()
}

/// RFC 5025 has no permission for contact information and times: they are attributes unknown to it (§3.3.2.15).
fn cut_cipid(cipid: Option<&Cipid>, provided: &Provided) -> Option<Box<Cipid>> {
    let has = |name| provided.has_unknown(cipid::NAMESPACE, name);
    let kept = |value: &Option<String>, name| value.clone().filter(|_| has(name));
    let cipid = cipid?;
    let names = if has("display-name") { cipid.display_names.clone() } else { Vec::new() };
    let left = Cipid {
        card: kept(&cipid.card, "card"),
        display_names: names,
        homepage: kept(&cipid.homepage, "homepage"),
        icon: kept(&cipid.icon, "icon"),
        map: kept(&cipid.map, "map"),
        sound: kept(&cipid.sound, "sound"),
    };
    (left != Cipid::default()).then(|| Box::new(left))
}

fn cut_timed(timed: &[TimedStatus], provided: &Provided) -> Vec<TimedStatus> {
    if !provided.has_unknown(timed_status::NAMESPACE, "timed-status") {
        return Vec::new();
    }
    let cut = |timed: &TimedStatus| TimedStatus {
        note: timed.note.clone().filter(|_| provided.has(Attribute::Note)),
        foreign: cut_foreign(&timed.foreign, provided),
        ..timed.clone()
    };
    timed.iter().map(cut).collect()
}

fn cut_rpid(rpid: &Rpid, provided: &Provided) -> Rpid {
    fn kept<T: Clone>(value: &Option<T>, holds: bool) -> Option<T> {
        value.clone().filter(|_| holds)
    }
    let has = |attribute| provided.has(attribute);
    let shown = provided.user_input();
    let mut user_input = kept(&rpid.user_input, shown > UserInputShown::False);
    if let Some(input) = &mut user_input {
        // RFC 4480 calls `last-input` what RFC 5025 still calls `since`.
        input.last_input = input.last_input.take().filter(|_| shown == UserInputShown::Full);
        input.idle_threshold_s = input.idle_threshold_s.filter(|_| shown >= UserInputShown::Thresholds);
    }
    Rpid {
        activities: kept(&rpid.activities, has(Attribute::Activities)),
        class: kept(&rpid.class, has(Attribute::Class)),
        mood: kept(&rpid.mood, has(Attribute::Mood)),
        place_is: kept(&rpid.place_is, has(Attribute::PlaceIs)),
        place_type: kept(&rpid.place_type, has(Attribute::PlaceType)),
        privacy: kept(&rpid.privacy, has(Attribute::Privacy)),
        relationship: kept(&rpid.relationship, has(Attribute::Relationship)),
        service_class: rpid.service_class.clone(),
        sphere: kept(&rpid.sphere, has(Attribute::Sphere)),
        status_icon: kept(&rpid.status_icon, has(Attribute::StatusIcon)),
        time_offset: kept(&rpid.time_offset, has(Attribute::TimeOffset)),
        user_input,
    }
}
