//! `application/xpidf+xml`: the presence format of the first SIP phones, which Polycom phones still like best.
//!
//! In: a composed [`Presence`], or a publisher's bytes. Out: a document with holes for entity and watcher, or a
//! [`PresenceDocument`]. The format never became an RFC; it knows no more than open, in use and closed, and a few words of
//! MSN's for why.

use super::appearance::appearance;
use super::presence_document::{Basic, Contact, Note, Person, PresenceDocument, Priority, Tuple};
use super::rpid::{Activity, Values};
use super::xml::{Document, Element};
use super::xml_writer::{Part, XmlWriter, xml_id};
use super::{BodyError, EncodedBody, Hole, Style, Variant, freeswitch};
use crate::composition::extension::Presence;
use crate::limits;

/// The content type.
pub const CONTENT_TYPE: &str = "application/xpidf+xml";

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct Xpidf;

impl Xpidf {
    /// The document for `presence` of the extension `extension`.
    pub fn encode(presence: &Presence, extension: &str, style: Style) -> EncodedBody {
        let shown = appearance(presence, style.variant);
        if style.variant == Variant::FreeSwitch {
            return freeswitch::xpidf(&shown, extension);
        }
        // Why: Asterisk's address is not the presentity's in one of the two, and their priorities differ by a digit.
        let (presentity, address, priority) = match style.variant {
            Variant::Rfc | Variant::FreeSwitch | Variant::Cisco => (Hole::Entity, Hole::Entity, "0.8"),
            Variant::ChanSip => (Hole::Watcher, Hole::Entity, "0.800000"),
            Variant::Pjsip => (Hole::Entity, Hole::Watcher, "0.80000"),
        };
        let mut w = XmlWriter::pretty();
        w.open("presence").open("presentity");
        w.attr_parts("uri", &[Part::Hole(presentity), Part::Text(";method=SUBSCRIBE")]).close();
        w.open("atom");
        if style.variant == Variant::Pjsip {
            w.attr("atomid", xml_id("a-", extension).as_str());
        }
        w.attr("id", extension).open("address");
        w.attr_parts("uri", &[Part::Hole(address), Part::Text(";user=ip")]).attr("priority", priority);
        w.open("status").attr("status", shown.status).close();
        w.open("msnsubstatus").attr("substatus", shown.substatus).close();
        w.finish()
    }
    /// Reads a publication: each address of each atom is a service, and the person does what the first of them says.
    ///
    /// # Errors
    /// 400: not XML within the bounds of `xml`, not such a document, too many addresses.
    pub fn decode(body: &[u8]) -> Result<PresenceDocument, BodyError> {
        let document = Document::parse(body)?;
        let root = document.root();
        if root.name() != "presence" || !root.namespace().is_empty() {
            return Err(document.error(root, "not an XPIDF document"));
        }
        let mut presence = PresenceDocument::default();
        let mut activity = None;
        for child in root.children() {
            match child.name() {
                "presentity" => presence.entity = bare(child.attr("uri").unwrap_or("")).to_owned(),
                "atom" => {
                    let addresses = || child.children().filter(|address| address.name() == "address");
                    for (at, address) in addresses().enumerate() {
                        if presence.tuples.len() >= limits::PIDF_PARTS_MAX {
                            return Err(document.error(address, "too many addresses"));
                        }
                        presence.tuples.push(decode_address(child, address, at));
                        activity = activity.or_else(|| activity_of(address));
                    }
                }
                _ => {}
            }
            presence.notes.extend(notes(child));
        }
        if let Some(activity) = activity {
            let mut person = Person::default();
            person.rpid.activities = Some(Box::new(Values::of(vec![activity])));
            presence.persons.push(person);
        }
        Ok(presence)
    }
}

fn decode_address(atom: Element<'_>, address: Element<'_>, at: usize) -> Tuple {
    let id = atom.attr("id").or_else(|| atom.attr("atomid")).unwrap_or("");
    let uri = bare(address.attr("uri").unwrap_or(""));
    let status = address.child("", "status");
    let word = status.and_then(|status| status.attr("status"));
    Tuple {
        id: if at == 0 { id.to_owned() } else { format!("{id}-{}", at + 1) },
        basic: word.and_then(Basic::parse),
        contact: (!uri.is_empty()).then(|| Contact {
            uri: uri.to_owned(),
            priority: address.attr("priority").and_then(Priority::parse),
        }),
        notes: status.into_iter().chain([address]).flat_map(notes).collect(),
        ..Tuple::default()
    }
}

fn notes(element: Element<'_>) -> impl Iterator<Item = Note> {
    element.children().filter(|child| child.name() == "note").map(|note| Note::of(note.trimmed()))
}

/// The activity that MSN's words for a status stand for.
fn activity_of(address: Element<'_>) -> Option<Activity> {
    match address.child("", "msnsubstatus")?.attr("substatus")? {
        "onthephone" => Some(Activity::OnThePhone),
        "busy" => Some(Activity::Busy),
        "away" | "idle" | "berightback" => Some(Activity::Away),
        "outtolunch" => Some(Activity::Meal),
        _ => None,
    }
}

/// A URI without the parameters that the format adds to it.
fn bare(uri: &str) -> &str {
    let uri = uri.trim();
    let cut = [";method=SUBSCRIBE", ";user=ip"].into_iter().find_map(|added| uri.strip_suffix(added));
    cut.unwrap_or(uri)
}
