//! `application/pidf+xml` (RFC 3863) with the data model (RFC 4479) and rich presence (RFC 4480).
//!
//! In: a composed [`Presence`], or a publisher's bytes. Out: a document with holes for entity and watcher, or a
//! [`PresenceDocument`]. It reads what is out there (drafts' namespaces, elements out of order, ids that are no names)
//! and writes what the schemas allow, except under the variants that imitate Asterisk.

use crate::limits;
use std::collections::BTreeSet;

use super::appearance::{DO_NOT_DISTURB, appearance};
use super::foreign::{Foreign, Keeper};
use super::presence_document::{
    Basic, Contact, DateTime, Device, Note, Person, PresenceDocument, Priority, Tuple,
};
use super::rpid::{self, Activity, Rpid, Token, decode_note, encode_note};
use super::xml::{Document, Element, is_name};
use super::xml_writer::{Part, XmlWriter, xml_id};
use super::{BodyError, EncodedBody, Hole, Style, Variant, cisco, freeswitch};
use crate::composition::extension::{LampState, Presence};
use crate::device_state::{ExtensionState, PresenceState, PresenceValue};

/// The content type.
pub const CONTENT_TYPE: &str = "application/pidf+xml";
/// The namespace of RFC 3863.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf";
/// The namespace of RFC 4479.
pub const DATA_MODEL_NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:data-model";

/// Interop: the drafts' namespaces of the document (cpim-pidf) and of the person (chan_sip, founding trace).
const DRAFT_NAMESPACE: &str = "urn:ietf:params:xml:ns:cpim-pidf";
const DRAFT_PERSON_NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:person";
const DRAFT_STATUS_NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:rpid:status:rpid-status";
const DRAFT_RPID_NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:rpid:rpid-person";

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct Pidf;

impl Pidf {
    /// The document for `presence` of the extension (or user part) `extension`.
    pub fn encode(presence: &Presence, extension: &str, style: Style) -> EncodedBody {
        match style.variant {
            Variant::Rfc => rfc(presence, extension, style),
            Variant::ChanSip => chan_sip(presence, extension, style),
            Variant::Pjsip => pjsip(presence, extension, style),
            Variant::FreeSwitch => freeswitch::pidf(presence),
            Variant::Cisco => cisco::pidf(presence, extension),
        }
    }

    /// `document` as it stands, for storing and forwarding.
    pub fn encode_document(document: &PresenceDocument) -> EncodedBody {
        let mut w = start(Part::Text(&document.entity));
        let mut ids = Ids::default();
        document.tuples.iter().for_each(|tuple| encode_tuple(&mut w, tuple, &mut ids));
        document.notes.iter().for_each(|note| encode_note(&mut w, "note", note));
        document.persons.iter().for_each(|person| encode_person(&mut w, person, &mut ids));
        document.devices.iter().for_each(|device| encode_device(&mut w, device, &mut ids));
        document.foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
        w.finish()
    }

    /// Reads a publication.
    ///
    /// # Errors
    /// 400: not XML within the bounds of `xml`, not a PIDF document, too many tuples, persons, devices or unknown elements.
    pub fn decode(body: &[u8]) -> Result<PresenceDocument, BodyError> {
        let document = Document::parse(body)?;
        let root = document.root();
        let space = root.namespace();
        if root.name() != "presence" || !matches!(space, NAMESPACE | DRAFT_NAMESPACE) {
            return Err(document.error(root, "not a PIDF document"));
        }
        // Why: RFC 3863 requires an entity, but RFC 4479's own example has none; the Request-URI says who is meant.
        let entity = root.attr("entity").unwrap_or("").trim();
        let mut keeper = Keeper::new(&document);
        let mut presence = PresenceDocument { entity: entity.to_owned(), ..PresenceDocument::default() };
        for child in root.children() {
            match (child.name(), child.namespace()) {
                ("tuple", of) if of == space => {
                    push(&mut presence.tuples, decode_tuple(child, &mut keeper)?, child, &document)?
                }
                ("note", of) if of == space || of == DATA_MODEL_NAMESPACE => {
                    presence.notes.push(decode_note(child));
                }
                ("person", DATA_MODEL_NAMESPACE | DRAFT_PERSON_NAMESPACE) => {
                    push(&mut presence.persons, decode_person(child, &mut keeper)?, child, &document)?;
                }
                ("device", DATA_MODEL_NAMESPACE) => {
                    push(&mut presence.devices, decode_device(child, &mut keeper)?, child, &document)?
                }
                (_, DATA_MODEL_NAMESPACE) => {}
                _ => keeper.keep(child, space, &mut presence.foreign)?,
            }
        }
        Ok(presence)
    }
}

fn push<T>(
    parts: &mut Vec<T>,
    part: T,
    element: Element<'_>,
    document: &Document<'_>,
) -> Result<(), BodyError> {
    if parts.len() >= limits::PIDF_PARTS_MAX {
        return Err(document.error(element, "too many tuples, persons or devices"));
    }
    parts.push(part);
    Ok(())
}

fn id_of(element: Element<'_>) -> String {
    element.attr("id").unwrap_or("").trim().to_owned()
}

fn decode_tuple(element: Element<'_>, keeper: &mut Keeper<'_>) -> Result<Tuple, BodyError> {
    let space = element.namespace();
    let mut tuple = Tuple { id: id_of(element), ..Tuple::default() };
    for child in element.children() {
        match (child.name(), child.namespace()) {
            ("status", of) if of == space => decode_status(child, &mut tuple, keeper)?,
            ("contact", of) if of == space => {
                let uri = child.trimmed().into_owned();
                let priority = child.attr("priority").and_then(Priority::parse);
                if tuple.contact.is_none() && !uri.is_empty() {
                    tuple.contact = Some(Contact { uri, priority });
                }
            }
            ("note", of) if of == space => tuple.notes.push(decode_note(child)),
            ("timestamp", of) if of == space => tuple.timestamp = DateTime::parse(&child.trimmed()),
            ("deviceID", DATA_MODEL_NAMESPACE) => tuple.device_id = Some(child.trimmed().into_owned()),
            _ if tuple.rpid.decode_child(child, keeper)? => {}
            _ => keeper.keep(child, NAMESPACE, &mut tuple.foreign)?,
        }
    }
    Ok(tuple)
}

fn decode_status(status: Element<'_>, tuple: &mut Tuple, keeper: &mut Keeper<'_>) -> Result<(), BodyError> {
    for child in status.children() {
        if child.is(status.namespace(), "basic") {
            tuple.basic = tuple.basic.or(Basic::parse(&child.trimmed()));
        } else if !tuple.rpid.decode_child(child, keeper)? {
            keeper.keep(child, NAMESPACE, &mut tuple.status_foreign)?;
        }
    }
    Ok(())
}

fn decode_person(element: Element<'_>, keeper: &mut Keeper<'_>) -> Result<Person, BodyError> {
    let mut person = Person { id: id_of(element), ..Person::default() };
    for child in element.children() {
        match child.name() {
            // Interop: linphone 5.1 writes the person's timestamp in the namespace of PIDF.
            "timestamp" if is_ours(child) => person.timestamp = DateTime::parse(&child.trimmed()),
            "note" if is_ours(child) => person.notes.push(decode_note(child)),
            // Interop: the person of chan_sip keeps its activities in a status.
            "status" if is_ours(child) || child.namespace() == DRAFT_PERSON_NAMESPACE => {
                for inner in child.children() {
                    person.rpid.decode_child(inner, keeper)?;
                }
            }
            _ if person.rpid.decode_child(child, keeper)? => {}
            _ => keeper.keep(child, DATA_MODEL_NAMESPACE, &mut person.foreign)?,
        }
    }
    Ok(person)
}

fn decode_device(element: Element<'_>, keeper: &mut Keeper<'_>) -> Result<Device, BodyError> {
    let mut device = Device { id: id_of(element), ..Device::default() };
    for child in element.children() {
        match child.name() {
            "deviceID" if is_ours(child) => device.device_id = child.trimmed().into_owned(),
            "timestamp" if is_ours(child) => device.timestamp = DateTime::parse(&child.trimmed()),
            "note" if is_ours(child) => device.notes.push(decode_note(child)),
            _ if device.rpid.decode_child(child, keeper)? => {}
            _ => keeper.keep(child, DATA_MODEL_NAMESPACE, &mut device.foreign)?,
        }
    }
    Ok(device)
}

fn is_ours(element: Element<'_>) -> bool {
    matches!(element.namespace(), NAMESPACE | DATA_MODEL_NAMESPACE | DRAFT_NAMESPACE)
}

/// Gives every element an id that is a name and that no other element of the document has.
#[derive(Default)]
struct Ids {
    used: BTreeSet<String>,
}

impl Ids {
    fn unique(&mut self, wanted: &str, prefix: &str) -> String {
        let base = if is_name(wanted) { wanted.to_owned() } else { xml_id(prefix, wanted) };
        let mut id = base.clone();
        let mut count = 2;
        while !self.used.insert(id.clone()) {
            id = format!("{base}-{count}");
            count += 1;
        }
        id
    }
}

fn start(entity: Part<'_>) -> XmlWriter {
    let mut w = XmlWriter::new();
    w.open("presence").attr("xmlns", NAMESPACE).attr("xmlns:dm", DATA_MODEL_NAMESPACE);
    w.attr("xmlns:rpid", rpid::NAMESPACE).attr_parts("entity", &[entity]);
    w
}

fn encode_tuple(w: &mut XmlWriter, tuple: &Tuple, ids: &mut Ids) {
    w.open("tuple").attr("id", ids.unique(&tuple.id, "t-").as_str()).open("status");
    if let Some(basic) = tuple.basic {
        w.leaf("basic", basic.name());
    }
    tuple.status_foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
    w.close();
    tuple.rpid.encode(w);
    if let Some(device) = &tuple.device_id {
        w.leaf("dm:deviceID", device.as_str());
    }
    tuple.foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
    if let Some(contact) = &tuple.contact {
        let priority = contact.priority.map(|priority| priority.to_string());
        w.open("contact").attr_opt("priority", priority.as_deref()).text(contact.uri.as_str()).close();
    }
    tuple.notes.iter().for_each(|note| encode_note(w, "note", note));
    if let Some(timestamp) = &tuple.timestamp {
        w.leaf("timestamp", timestamp.as_str());
    }
    w.close();
}

fn encode_person(w: &mut XmlWriter, person: &Person, ids: &mut Ids) {
    w.open("dm:person").attr("id", ids.unique(&person.id, "p-").as_str());
    encode_characteristics(w, &person.rpid, &person.foreign);
    encode_end(w, &person.notes, person.timestamp.as_ref());
}

fn encode_device(w: &mut XmlWriter, device: &Device, ids: &mut Ids) {
    w.open("dm:device").attr("id", ids.unique(&device.id, "d-").as_str());
    encode_characteristics(w, &device.rpid, &device.foreign);
    w.leaf("dm:deviceID", device.device_id.as_str());
    encode_end(w, &device.notes, device.timestamp.as_ref());
}

fn encode_characteristics(w: &mut XmlWriter, rpid: &Rpid, foreign: &[Foreign]) {
    rpid.encode(w);
    foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
}

fn encode_end(w: &mut XmlWriter, notes: &[Note], timestamp: Option<&DateTime>) {
    notes.iter().for_each(|note| encode_note(w, "dm:note", note));
    if let Some(timestamp) = timestamp {
        w.leaf("dm:timestamp", timestamp.as_str());
    }
    w.close();
}

/// The document as the RFCs want it: a tuple for the lamp, the tuples published, and one person for all.
fn rfc(presence: &Presence, extension: &str, style: Style) -> EncodedBody {
    let mut w = start(Part::Hole(Hole::Entity));
    let mut ids = Ids::default();
    let lamp = presence.lamp.as_ref();
    let published = || presence.published.iter();
    // Why: many phones read only the first tuple. A call comes first, then what was published, then the registration.
    let lamp_last = lamp.is_some_and(|lamp| !lamp.extension.is_in_call());
    if let Some(lamp) = lamp.filter(|_| !lamp_last) {
        encode_lamp_tuple(&mut w, lamp, extension, &mut ids);
    }
    published().flat_map(|d| &d.tuples).for_each(|tuple| encode_tuple(&mut w, tuple, &mut ids));
    if let Some(lamp) = lamp.filter(|_| lamp_last) {
        encode_lamp_tuple(&mut w, lamp, extension, &mut ids);
    }
    if style.digium {
        encode_digium(&mut w, lamp, &mut ids);
    }
    let in_call = lamp.is_some_and(|lamp| lamp.extension.is_in_call());
    if presence.do_not_disturb && !in_call && !presence.is_offline() {
        w.leaf("note", DO_NOT_DISTURB);
    } else if let Some(lamp) = lamp.filter(|_| in_call || presence.published.is_empty()) {
        w.leaf("note", lamp_note(lamp));
    }
    published().flat_map(|d| &d.notes).for_each(|note| encode_note(&mut w, "note", note));
    let has_person = published().any(|document| !document.persons.is_empty());
    if lamp.is_some() || has_person || presence.do_not_disturb {
        encode_person(&mut w, &merged_person(presence, extension), &mut ids);
    }
    published().flat_map(|d| &d.devices).for_each(|device| encode_device(&mut w, device, &mut ids));
    published().flat_map(|d| &d.foreign).for_each(|foreign| _ = w.foreign(foreign));
    w.finish()
}

fn encode_lamp_tuple(w: &mut XmlWriter, lamp: &LampState, extension: &str, ids: &mut Ids) {
    let closed = matches!(lamp.extension, ExtensionState::Unavailable | ExtensionState::Removed);
    let basic = if closed { Basic::Closed } else { Basic::Open };
    w.open("tuple").attr("id", ids.unique(extension, "ext-").as_str());
    w.open("status").leaf("basic", basic.name()).close();
    w.open("contact").attr("priority", "1").text(Hole::Entity).close().close();
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
        merge(&mut person.timestamp, &next.timestamp);
        if person.notes.is_empty() {
            person.notes.clone_from(&next.notes);
        }
        person.foreign.extend(next.foreign.iter().cloned());
    }
    let mut said = presence.lamp.as_ref().map(lamp_activities).unwrap_or_default();
    if presence.do_not_disturb && !said.contains(&Activity::Busy) {
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

/// Interop: Digium and Sangoma phones read a presence state from a tuple of this name.
fn encode_digium(w: &mut XmlWriter, lamp: Option<&LampState>, ids: &mut Ids) {
    let Some(presence) = lamp.and_then(|lamp| lamp.presence.as_ref()) else { return };
    w.open("tuple").attr("id", ids.unique("digium-presence", "t-").as_str()).open("status");
    w.open("digium_presence").attr("type", presence.value.name()).attr("subtype", presence.subtype.as_str());
    w.text(presence.message.as_str()).close().close().close();
}

/// Interop: chan_sip. The drafts' namespaces, the watcher as entity, the extension as id.
fn chan_sip(presence: &Presence, extension: &str, style: Style) -> EncodedBody {
    let shown = appearance(presence, Variant::ChanSip);
    let mut w = XmlWriter::pretty_ascii("ISO-8859-1");
    w.open("presence").attr("xmlns", NAMESPACE).attr("xmlns:pp", DRAFT_PERSON_NAMESPACE);
    w.attr("xmlns:es", DRAFT_STATUS_NAMESPACE).attr("xmlns:ep", DRAFT_RPID_NAMESPACE);
    w.attr("entity", Hole::Watcher);
    w.open("pp:person").open("status");
    if let Some(activity) = shown.activity {
        w.open("ep:activities").empty(activity.qualified_as_draft()).close();
    }
    w.close().close().leaf("note", shown.note);
    w.open("tuple").attr("id", extension);
    w.open("contact").attr("priority", "1").text(Hole::Entity).close();
    w.open("status").leaf("basic", shown.basic.name()).close().close();
    if style.digium {
        encode_digium(&mut w, presence.lamp.as_ref(), &mut Ids::default());
    }
    w.finish()
}

/// Interop: res_pjsip. The watcher as contact, the extension as id, a person without one.
fn pjsip(presence: &Presence, extension: &str, style: Style) -> EncodedBody {
    let shown = appearance(presence, Variant::Pjsip);
    let mut w = XmlWriter::pretty();
    w.open("presence").attr("entity", Hole::Entity).attr("xmlns", NAMESPACE);
    w.attr("xmlns:dm", DATA_MODEL_NAMESPACE).attr("xmlns:rpid", rpid::NAMESPACE);
    w.leaf("note", shown.note).open("tuple").attr("id", extension);
    w.open("status").leaf("basic", shown.basic.name()).close();
    w.open("contact").attr("priority", "1").text(Hole::Watcher).close().close();
    if style.digium {
        encode_digium(&mut w, presence.lamp.as_ref(), &mut Ids::default());
    }
    w.open("dm:person");
    if let Some(activity) = shown.activity {
        w.open("rpid:activities").empty(activity.qualified()).close();
    }
    w.close();
    w.finish()
}
