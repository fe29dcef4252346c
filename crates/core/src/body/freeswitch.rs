//! The documents FreeSWITCH's mod_sofia writes, from the lamp alone: dialog-info, pidf and xpidf in its words.
//!
//! In: a lamp or a composed [`Presence`]. Out: documents with holes for version, entity and the pickup target. Real calls
//! with their own ids and parties are not written here, and nothing is read: what FreeSWITCH sends is ordinary XML.

use super::appearance::{Appearance, appearance};
use super::dialog_info::{DialogState, lamp_dialog, start};
use super::pidf::{DATA_MODEL_NAMESPACE, NAMESPACE};
use super::rpid::{self, Token};
use super::xml_writer::{Part, XmlWriter};
use super::{EncodedBody, Hole, Style, Variant};
use crate::composition::extension::{LampState, Presence};
use crate::device_state::ExtensionState;

/// The namespace of RFC 4482, which mod_sofia declares and does not use.
const CIPID_NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:cipid";
/// The ids of its one tuple and its one person, the same in every document.
const TUPLE_ID: &str = "t6a5ed77e";
const PERSON_ID: &str = "p06360c4a";

/// No `<dialog>` without a call, `early` on hold (its `presence-hold-state` is that by default), the pickup code in the
/// remote target.
pub(super) fn dialog_info(lamp: &LampState, extension: &str, style: Style) -> EncodedBody {
    let held = lamp.extension == ExtensionState::Hold;
    let (state, incoming) =
        if held { (DialogState::Early, false) } else { lamp_dialog(lamp.extension, style) };
    let mut w = start(XmlWriter::pretty(), "full");
    if state == DialogState::Terminated {
        return w.finish();
    }
    w.open("dialog").attr("id", extension);
    // Why: who began a call that is up is not known from a lamp, and the attribute may be absent (RFC 4235 §4.1.1).
    w.attr_opt("direction", incoming.then_some("recipient"));
    w.leaf("state", state.name());
    w.open("local").leaf("identity", Hole::Entity).open("target").attr("uri", Hole::Entity);
    // Interop: like Asterisk it writes `pvalue` where RFC 4235 has `pval`.
    w.open("param").attr("pname", "+sip.rendering").attr("pvalue", if held { "no" } else { "yes" });
    w.close().close().close();
    w.open("remote").open("target").attr("uri", Hole::PickupCode).close().close();
    w.finish()
}

/// One tuple and one person with fixed ids; the note is the person's.
pub(super) fn pidf(presence: &Presence) -> EncodedBody {
    let shown = appearance(presence, Variant::FreeSwitch);
    let mut w = XmlWriter::pretty_ascii("ISO-8859-1");
    w.open("presence").attr("xmlns", NAMESPACE).attr("xmlns:dm", DATA_MODEL_NAMESPACE);
    w.attr("xmlns:rpid", rpid::NAMESPACE).attr("xmlns:c", CIPID_NAMESPACE).attr("entity", Hole::Entity);
    w.open("tuple").attr("id", TUPLE_ID).open("status").leaf("basic", shown.basic.name()).close().close();
    w.open("dm:person").attr("id", PERSON_ID);
    if let Some(activity) = shown.activity {
        w.open("rpid:activities").empty(activity.qualified()).close();
    }
    w.leaf("dm:note", shown.note);
    w.finish()
}

/// The note stands before the presentity and in the status.
pub(super) fn xpidf(shown: &Appearance<'_>, extension: &str) -> EncodedBody {
    let mut w = XmlWriter::pretty();
    w.open("presence").open("status").leaf("note", shown.note).close();
    w.open("presentity").attr_parts("uri", &[Part::Hole(Hole::Entity), Part::Text(";method=SUBSCRIBE")]);
    w.close().open("atom").attr("id", extension);
    w.open("address").attr_parts("uri", &[Part::Hole(Hole::Entity), Part::Text(";user=ip")]);
    w.attr("priority", "0.800000");
    w.open("status").attr("status", shown.status).leaf("note", shown.note).close();
    w.open("msnsubstatus").attr("substatus", shown.substatus).close();
    w.finish()
}
