//! What a presence document can say of a service, person or device, one row for each permission of RFC 5025 §3.3.2.
//!
//! In: a document and which attributes may stay. Out: the document without the others. Who may see what is decided
//! elsewhere; whether a whole service, person or device is shown, too.

use super::foreign::Foreign;
use super::presence_document::{Device, Note, Person, PresenceDocument, Tuple};
use super::rpid::{self, Rpid};
use super::{cipid, pidf};

/// An attribute of a service, person or device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute<'a> {
    /// `provide-activities`.
    Activities,
    /// `provide-class`.
    Class,
    /// `provide-deviceID`.
    DeviceId,
    /// `provide-mood`.
    Mood,
    /// `provide-place-is`.
    PlaceIs,
    /// `provide-place-type`.
    PlaceType,
    /// `provide-privacy`.
    Privacy,
    /// `provide-relationship`.
    Relationship,
    /// `provide-sphere`.
    Sphere,
    /// `provide-status-icon`.
    StatusIcon,
    /// `provide-time-offset`.
    TimeOffset,
    /// `provide-user-input`.
    UserInput,
    /// `provide-note`: the notes of services, persons, devices and of the document; those inside an attribute go with it.
    Note,
    /// `provide-unknown-attribute`: whatever else, by its name. RFC 5025 has no row of its own for `service-class`,
    /// contact information, capabilities, timed status or location.
    Unknown {
        /// The namespace.
        namespace: &'a str,
        /// The local name.
        name: &'a str,
    },
}

impl<'a> Attribute<'a> {
    /// Those that have a permission of their own.
    pub const KNOWN: [Self; 13] = [
        Self::Activities,
        Self::Class,
        Self::DeviceId,
        Self::Mood,
        Self::PlaceIs,
        Self::PlaceType,
        Self::Privacy,
        Self::Relationship,
        Self::Sphere,
        Self::StatusIcon,
        Self::TimeOffset,
        Self::UserInput,
        Self::Note,
    ];

    /// The element's local name, which RFC 5025 puts behind `provide-`.
    pub const fn name(self) -> &'a str {
        match self {
            Self::Activities => "activities",
            Self::Class => "class",
            Self::DeviceId => "deviceID",
            Self::Mood => "mood",
            Self::PlaceIs => "place-is",
            Self::PlaceType => "place-type",
            Self::Privacy => "privacy",
            Self::Relationship => "relationship",
            Self::Sphere => "sphere",
            Self::StatusIcon => "status-icon",
            Self::TimeOffset => "time-offset",
            Self::UserInput => "user-input",
            Self::Note => "note",
            Self::Unknown { name, .. } => name,
        }
    }

    /// The attribute that an element is.
    pub fn of(namespace: &'a str, name: &'a str) -> Self {
        let known = || Self::KNOWN.into_iter().find(|known| known.name() == name);
        let is_known = match name {
            "deviceID" | "note" => matches!(namespace, pidf::NAMESPACE | pidf::DATA_MODEL_NAMESPACE),
            _ => rpid::is_rpid(namespace),
        };
        known().filter(|_| is_known).unwrap_or(Self::Unknown { namespace, name })
    }

    fn of_foreign(foreign: &'a Foreign) -> Self {
        Self::of(foreign.namespace(), foreign.name())
    }
}

impl PresenceDocument {
    /// Takes away every attribute that may not stay. Ids, basic status, contacts, timestamps and the devices' own ids are
    /// no attributes: they stay with their service, person or device.
    pub fn retain(&mut self, stays: &dyn Fn(Attribute<'_>) -> bool) {
        for tuple in &mut self.tuples {
            tuple.retain(stays);
        }
        for person in &mut self.persons {
            person.retain(stays);
        }
        for device in &mut self.devices {
            device.retain(stays);
        }
        retain_notes(&mut self.notes, stays);
        retain_foreign(&mut self.foreign, stays);
    }
}

impl Tuple {
    /// Takes away every attribute that may not stay.
    pub fn retain(&mut self, stays: &dyn Fn(Attribute<'_>) -> bool) {
        self.rpid.retain(stays);
        if !stays(Attribute::DeviceId) {
            self.device_id = None;
        }
        cipid::Cipid::retain(&mut self.cipid, stays);
        let timed = Attribute::of(super::timed_status::NAMESPACE, "timed-status");
        self.timed.retain(|_| stays(timed));
        for timed in &mut self.timed {
            timed.note = timed.note.take().filter(|_| stays(Attribute::Note));
            retain_foreign(&mut timed.foreign, stays);
        }
        retain_foreign(&mut self.status_foreign, stays);
        retain_notes(&mut self.notes, stays);
        retain_foreign(&mut self.foreign, stays);
    }
}

impl Person {
    /// Takes away every attribute that may not stay.
    pub fn retain(&mut self, stays: &dyn Fn(Attribute<'_>) -> bool) {
        self.rpid.retain(stays);
        cipid::Cipid::retain(&mut self.cipid, stays);
        retain_notes(&mut self.notes, stays);
        retain_foreign(&mut self.foreign, stays);
    }
}

impl Device {
    /// Takes away every attribute that may not stay. The device's own id is what makes it one, and stays.
    pub fn retain(&mut self, stays: &dyn Fn(Attribute<'_>) -> bool) {
        self.rpid.retain(stays);
        retain_notes(&mut self.notes, stays);
        retain_foreign(&mut self.foreign, stays);
    }
}

impl Rpid {
    fn retain(&mut self, stays: &dyn Fn(Attribute<'_>) -> bool) {
        fn keep<T>(place: &mut Option<T>, stays: bool) {
            if !stays {
                *place = None;
            }
        }
        keep(&mut self.activities, stays(Attribute::Activities));
        keep(&mut self.class, stays(Attribute::Class));
        keep(&mut self.mood, stays(Attribute::Mood));
        keep(&mut self.place_is, stays(Attribute::PlaceIs));
        keep(&mut self.place_type, stays(Attribute::PlaceType));
        keep(&mut self.privacy, stays(Attribute::Privacy));
        keep(&mut self.relationship, stays(Attribute::Relationship));
        keep(&mut self.service_class, stays(Attribute::of(rpid::NAMESPACE, "service-class")));
        keep(&mut self.sphere, stays(Attribute::Sphere));
        keep(&mut self.status_icon, stays(Attribute::StatusIcon));
        keep(&mut self.time_offset, stays(Attribute::TimeOffset));
        keep(&mut self.user_input, stays(Attribute::UserInput));
    }
}

impl cipid::Cipid {
    fn retain(of: &mut Option<Box<Self>>, stays: &dyn Fn(Attribute<'_>) -> bool) {
        let Some(cipid) = of else { return };
        let stays = |name| stays(Attribute::of(cipid::NAMESPACE, name));
        for (name, place) in [
            ("card", &mut cipid.card),
            ("homepage", &mut cipid.homepage),
            ("icon", &mut cipid.icon),
            ("map", &mut cipid.map),
            ("sound", &mut cipid.sound),
        ] {
            *place = place.take().filter(|_| stays(name));
        }
        if !stays("display-name") {
            cipid.display_names.clear();
        }
    }
}

fn retain_notes(notes: &mut Vec<Note>, stays: &dyn Fn(Attribute<'_>) -> bool) {
    if !stays(Attribute::Note) {
        notes.clear();
    }
}

fn retain_foreign(foreign: &mut Vec<Foreign>, stays: &dyn Fn(Attribute<'_>) -> bool) {
    foreign.retain(|element| stays(Attribute::of_foreign(element)));
}
