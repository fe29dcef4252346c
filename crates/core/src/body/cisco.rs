//! PIDF as Cisco's phones of the 7900, 8800 and 9900 series read it, under whichever of its names they accept.
//!
//! In: a composed [`Presence`]. Out: a document with a hole for the entity. The phones take any PIDF and light a lamp only
//! for activities in the namespaces below, the drafts' and Cisco's own (usecallmanagernz#15).

use super::appearance::appearance;
use super::pidf::{DATA_MODEL_NAMESPACE, NAMESPACE};
use super::rpid::Activity;
use super::xml_writer::{XmlWriter, xml_id};
use super::{EncodedBody, Hole, Variant};
use crate::composition::extension::Presence;
use crate::device_state::{ExtensionState, PresenceValue};

const DRAFT_RPID_NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:status:rpid";
const CISCO_RPID_NAMESPACE: &str = "urn:cisco:params:xml:ns:pidf:rpid";

/// One person with the activities, one tuple with the basic status.
pub(super) fn pidf(presence: &Presence, extension: &str) -> EncodedBody {
    let shown = appearance(presence, Variant::Cisco);
    let mut w = XmlWriter::new();
    w.open("presence").attr("xmlns", NAMESPACE).attr("xmlns:dm", DATA_MODEL_NAMESPACE);
    w.attr("xmlns:e", DRAFT_RPID_NAMESPACE).attr("xmlns:ce", CISCO_RPID_NAMESPACE);
    w.attr("entity", Hole::Entity).open("dm:person").open("e:activities");
    let lamp = presence.lamp.as_ref();
    let said = lamp.and_then(|lamp| lamp.presence.as_ref()).map(|said| said.value);
    if lamp.is_some_and(|lamp| lamp.extension.is_ringing()) {
        w.empty("ce:alerting");
    } else if let Some(name) = shown.activity.and_then(draft_name) {
        w.empty(name);
    }
    if lamp.is_some_and(|lamp| lamp.extension == ExtensionState::Busy) {
        w.empty("e:busy");
    }
    if presence.do_not_disturb || said == Some(PresenceValue::DoNotDisturb) {
        w.empty("ce:dnd");
    }
    w.close().close();
    w.open("tuple").attr("id", xml_id("t-", extension).as_str());
    w.open("status").leaf("basic", shown.basic.name());
    w.finish()
}

/// The activities the phones have an icon for.
const fn draft_name(activity: Activity) -> Option<&'static str> {
    match activity {
        Activity::OnThePhone => Some("e:on-the-phone"),
        Activity::Busy => Some("e:busy"),
        Activity::Away => Some("e:away"),
        _ => None,
    }
}
