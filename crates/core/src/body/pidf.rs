//! `application/pidf+xml` (RFC 3863) with the data model (RFC 4479) and rich presence (RFC 4480).
//!
//! In: a composed [`Presence`], or a publisher's bytes. Out: a document with holes for entity and watcher, or a
//! [`PresenceDocument`]. It reads what is out there (drafts' namespaces, elements out of order, ids that are no names)
//! and writes what the schemas allow, except under the variants that imitate Asterisk.

use crate::limits;
use std::collections::BTreeSet;

use super::appearance::appearance;
use super::cipid::Cipid;
use super::foreign::Keeper;
use super::presence_document::{
    Basic, Contact, DateTime, Device, Note, Person, PresenceDocument, Priority, TimedStatus, Tuple,
};
use super::rpid::{self, Token, decode_note, encode_note};
use super::xml::{Document, Element, is_name};
use super::xml_writer::{XmlWriter, xml_id};
use super::{BodyError, EncodedBody, Hole, Style, Variant, cisco, freeswitch, pidf_diff};
use crate::composition::extension::{LampState, Presence};
use crate::composition::presence::Composed;

/// The content type.
pub const CONTENT_TYPE: &str = "application/pidf+xml";
/// The content type of its extension by rich presence while both were drafts; the body is the same, read and not written.
pub const DRAFT_RPID_CONTENT_TYPE: &str = "application/rpidf+xml";
/// The namespace of RFC 3863.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf";
/// The namespace of RFC 4479.
pub const DATA_MODEL_NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:data-model";

/// Interop: the drafts' namespaces of the document (cpim-pidf) and of the person (chan_sip, founding trace).
const DRAFT_NAMESPACE: &str = "urn:ietf:params:xml:ns:cpim-pidf";
const DRAFT_PERSON_NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:person";
const DRAFT_STATUS_NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:rpid:status:rpid-status";
const DRAFT_RPID_NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:rpid:rpid-person";

/// The tuple in which Digium and Sangoma phones look for a presence state.
const DIGIUM_ID: &str = "digium-presence";

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
        let mut document = document.clone();
        name_parts(&mut document);
        let mut w = XmlWriter::new();
        w.open("presence");
        declare(&mut w);
        w.attr("entity", document.entity.as_str());
        document.tuples.iter().for_each(|tuple| encode_tuple(&mut w, tuple, false));
        write_rest(&mut w, &document);
        w.finish()
    }

    /// Reads a publication.
    ///
    /// # Errors
    /// 400: not XML within the bounds of `xml`, not a PIDF document, too many tuples, persons, devices or unknown elements.
    pub fn decode(body: &[u8]) -> Result<PresenceDocument, BodyError> {
        let document = Document::parse(body)?;
        let root = document.root();
        let space = match (root.name(), root.namespace()) {
            ("presence", space @ (NAMESPACE | DRAFT_NAMESPACE)) => space,
            ("pidf-full", pidf_diff::NAMESPACE) => NAMESPACE,
            _ => return Err(document.error(root, "not a PIDF document")),
        };
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
                _ => keeper.keep(child, &mut presence.foreign)?,
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
            _ if Cipid::decode_child(&mut tuple.cipid, child) => {}
            _ => match TimedStatus::decode(child, keeper)? {
                Some(timed) if tuple.timed.len() < limits::TIMED_STATUSES_MAX => tuple.timed.push(timed),
                Some(_) => return Err(keeper.document().error(child, "too many timed statuses")),
                None => keeper.keep(child, &mut tuple.foreign)?,
            },
        }
    }
    Ok(tuple)
}

fn decode_status(status: Element<'_>, tuple: &mut Tuple, keeper: &mut Keeper<'_>) -> Result<(), BodyError> {
    for child in status.children() {
        if child.is(status.namespace(), "basic") {
            tuple.basic = tuple.basic.or(Basic::parse(&child.trimmed()));
        } else if !tuple.rpid.decode_child(child, keeper)? {
            keeper.keep(child, &mut tuple.status_foreign)?;
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
                    if !person.rpid.decode_child(inner, keeper)? {
                        keeper.keep(inner, &mut person.foreign)?;
                    }
                }
            }
            _ if person.rpid.decode_child(child, keeper)? => {}
            _ if Cipid::decode_child(&mut person.cipid, child) => {}
            _ => keeper.keep(child, &mut person.foreign)?,
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
            _ => keeper.keep(child, &mut device.foreign)?,
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

/// Gives every service, person and device of a document an id that XML allows and that nothing else in it has.
pub(crate) fn name_parts(document: &mut PresenceDocument) {
    let mut ids = Ids::default();
    document.tuples.iter_mut().for_each(|tuple| tuple.id = ids.unique(&tuple.id, "t-"));
    document.persons.iter_mut().for_each(|person| person.id = ids.unique(&person.id, "p-"));
    document.devices.iter_mut().for_each(|device| device.id = ids.unique(&device.id, "d-"));
}

fn declare(w: &mut XmlWriter) {
    w.attr("xmlns", NAMESPACE).attr("xmlns:dm", DATA_MODEL_NAMESPACE).attr("xmlns:rpid", rpid::NAMESPACE);
}

fn encode_tuple(w: &mut XmlWriter, tuple: &Tuple, is_lamp: bool) {
    w.open("tuple").attr("id", tuple.id.as_str()).open("status");
    if let Some(basic) = tuple.basic {
        w.leaf("basic", basic.name());
    }
    tuple.status_foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
    w.close();
    tuple.rpid.encode(w);
    tuple.cipid.iter().for_each(|cipid| cipid.encode(w));
    tuple.timed.iter().for_each(|timed| timed.encode(w));
    if let Some(device) = &tuple.device_id {
        w.leaf("dm:deviceID", device.as_str());
    }
    tuple.foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
    if is_lamp {
        w.open("contact").attr("priority", "1").text(Hole::Entity).close();
    } else if let Some(contact) = &tuple.contact {
        let priority = contact.priority.map(|priority| priority.to_string());
        w.open("contact").attr_opt("priority", priority.as_deref()).text(contact.uri.as_str()).close();
    }
    tuple.notes.iter().for_each(|note| encode_note(w, "note", note));
    if let Some(timestamp) = &tuple.timestamp {
        w.leaf("timestamp", timestamp.as_str());
    }
    w.close();
}

fn encode_person(w: &mut XmlWriter, person: &Person) {
    w.open("dm:person").attr("id", person.id.as_str());
    person.rpid.encode(w);
    person.cipid.iter().for_each(|cipid| cipid.encode(w));
    person.foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
    encode_end(w, &person.notes, person.timestamp.as_ref());
}

fn encode_device(w: &mut XmlWriter, device: &Device) {
    w.open("dm:device").attr("id", device.id.as_str());
    device.rpid.encode(w);
    device.foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
    w.leaf("dm:deviceID", device.device_id.as_str());
    encode_end(w, &device.notes, device.timestamp.as_ref());
}

fn encode_end(w: &mut XmlWriter, notes: &[Note], timestamp: Option<&DateTime>) {
    notes.iter().for_each(|note| encode_note(w, "dm:note", note));
    if let Some(timestamp) = timestamp {
        w.leaf("dm:timestamp", timestamp.as_str());
    }
    w.close();
}

/// The document as the RFCs want it.
fn rfc(presence: &Presence, extension: &str, style: Style) -> EncodedBody {
    let mut w = XmlWriter::new();
    w.open("presence");
    write_composed(&mut w, presence, extension, style);
    w.finish()
}

/// What stands in the root element just opened: its attributes and everything in it.
pub(super) fn write_composed(w: &mut XmlWriter, presence: &Presence, extension: &str, style: Style) {
    let Composed { document, lamp } = Composed::of(presence, extension);
    declare(w);
    w.attr("entity", Hole::Entity);
    for (at, tuple) in document.tuples.iter().enumerate() {
        encode_tuple(w, tuple, Some(at) == lamp);
    }
    if style.digium && !document.tuples.iter().any(|tuple| tuple.id == DIGIUM_ID) {
        encode_digium(w, presence.lamp.as_ref());
    }
    write_rest(w, &document);
}

/// What follows the tuples.
fn write_rest(w: &mut XmlWriter, document: &PresenceDocument) {
    document.notes.iter().for_each(|note| encode_note(w, "note", note));
    document.persons.iter().for_each(|person| encode_person(w, person));
    document.devices.iter().for_each(|device| encode_device(w, device));
    document.foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
}

/// Interop: Digium and Sangoma phones read a presence state from a tuple of this name.
fn encode_digium(w: &mut XmlWriter, lamp: Option<&LampState>) {
    let Some(presence) = lamp.and_then(|lamp| lamp.presence.as_ref()) else { return };
    w.open("tuple").attr("id", DIGIUM_ID).open("status");
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
        encode_digium(&mut w, presence.lamp.as_ref());
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
        encode_digium(&mut w, presence.lamp.as_ref());
    }
    w.open("dm:person");
    if let Some(activity) = shown.activity {
        w.open("rpid:activities").empty(activity.qualified()).close();
    }
    w.close();
    w.finish()
}
