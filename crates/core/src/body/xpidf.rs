//! `application/xpidf+xml`: the presence format of the first SIP phones, which Polycom phones still like best.
//!
//! In: a composed [`Presence`]. Out: a document with holes for entity and watcher. The format never became an RFC; it is
//! written only, and knows no more than open, in use and closed.

use super::appearance::appearance;
use super::xml_writer::{Part, XmlWriter, xml_id};
use super::{EncodedBody, Hole, Style, Variant, freeswitch};
use crate::composition::extension::Presence;

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
}
