//! `application/dialog-info+xml` (RFC 4235): the dialogs of a user, or the lamp of an extension as one dialog.
//!
//! In: a [`LampState`], a [`DialogInfo`], or a publisher's bytes. Out: a document with holes for version and entity, or a
//! [`DialogInfo`]. It does not decide which dialogs a watcher sees, and does not merge partial documents.

use super::foreign::{Foreign, Keeper};
use super::xml::{Document, Element};
use super::xml_writer::{Part, XmlWriter};
use super::{BodyError, EncodedBody, Hole, NotifyRinging, Style, Variant, freeswitch};
use crate::composition::extension::LampState;
use crate::device_state::ExtensionState;
use crate::limits;

/// The content type.
pub const CONTENT_TYPE: &str = "application/dialog-info+xml";
/// The namespace of RFC 4235.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:dialog-info";

/// The dialogs of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialogInfo {
    /// The document's number, from 0.
    pub version: u32,
    /// Only what changed is in it.
    pub partial: bool,
    /// The user's URI; empty where the document names none.
    pub entity: String,
    /// The dialogs.
    pub dialogs: Vec<Dialog>,
    /// What else it says.
    pub foreign: Vec<Foreign>,
}

/// One dialog (RFC 4235 §4.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialog {
    /// Its id in the document.
    pub id: String,
    /// Its Call-ID.
    pub call_id: Option<String>,
    /// The tag of the user's side.
    pub local_tag: Option<String>,
    /// The tag of the other side.
    pub remote_tag: Option<String>,
    /// Who began it.
    pub direction: Option<Direction>,
    /// Its state.
    pub state: DialogState,
    /// Why it came into this state.
    pub event: Option<DialogEvent>,
    /// The SIP status code that brought it there, 100 to 699.
    pub code: Option<u16>,
    /// Seconds since it began.
    pub duration_s: Option<u32>,
    /// The dialog it replaced.
    pub replaces: Option<Replaces>,
    /// Who referred the caller.
    pub referred_by: Option<Identity>,
    /// Its route set.
    pub route_set: Vec<String>,
    /// The user's side.
    pub local: Participant,
    /// The other side.
    pub remote: Participant,
    /// What else it says.
    pub foreign: Vec<Foreign>,
}

impl Dialog {
    /// Whether it stands for a lamp and not for a SIP dialog: neither Call-ID nor tags.
    ///
    /// Interop: Asterisk's outbound publish reuses such an id after `terminated`; only a real dialog's end is final.
    pub const fn is_pseudo(&self) -> bool {
        self.call_id.is_none() && self.local_tag.is_none() && self.remote_tag.is_none()
    }

    /// Whether the user's side holds the call (`+sip.rendering=no`, RFC 4235 §4.1.6).
    pub fn is_held(&self) -> bool {
        let target = self.local.target.as_ref();
        target.is_some_and(|target| {
            target.params.iter().any(|(name, value)| {
                name.eq_ignore_ascii_case("+sip.rendering")
                    && value.trim_matches('"').eq_ignore_ascii_case("no")
            })
        })
    }
}

/// Who began a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The user.
    Initiator,
    /// The other side.
    Recipient,
}

/// The state of a dialog (RFC 4235 §3.7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DialogState {
    /// A request is out.
    Trying,
    /// A provisional answer without a tag came.
    Proceeding,
    /// A provisional answer with a tag came.
    Early,
    /// It is up.
    Confirmed,
    /// It is over.
    #[default]
    Terminated,
}

/// Why a dialog changed state (RFC 4235 §4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogEvent {
    /// `cancelled`.
    Cancelled,
    /// `rejected`.
    Rejected,
    /// `replaced`.
    Replaced,
    /// `local-bye`.
    LocalBye,
    /// `remote-bye`.
    RemoteBye,
    /// `error`.
    Error,
    /// `timeout`.
    Timeout,
}

const DIRECTIONS: [(&str, Direction); 2] =
    [("initiator", Direction::Initiator), ("recipient", Direction::Recipient)];
/// The words RFC 4235's own examples use for `recipient` and for the attribute `event`.
const RECEIVER: &str = "receiver";
const REASON: &str = "reason";
const STATES: [(&str, DialogState); 5] = [
    ("trying", DialogState::Trying),
    ("proceeding", DialogState::Proceeding),
    ("early", DialogState::Early),
    ("confirmed", DialogState::Confirmed),
    ("terminated", DialogState::Terminated),
];
const EVENTS: [(&str, DialogEvent); 7] = [
    ("cancelled", DialogEvent::Cancelled),
    ("rejected", DialogEvent::Rejected),
    ("replaced", DialogEvent::Replaced),
    ("local-bye", DialogEvent::LocalBye),
    ("remote-bye", DialogEvent::RemoteBye),
    ("error", DialogEvent::Error),
    ("timeout", DialogEvent::Timeout),
];

fn named<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.trim())).map(|(_, value)| *value)
}

fn name_of<T: Copy + PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

impl DialogState {
    /// The RFC's word for it.
    pub fn name(self) -> &'static str {
        name_of(&STATES, self)
    }
}

/// The dialog another one replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of the user's side.
    pub local_tag: String,
    /// The tag of the other side.
    pub remote_tag: String,
}

/// A name and address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The name shown to people.
    pub display_name: Option<String>,
    /// The address.
    pub uri: String,
}

/// One side of a dialog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participant {
    /// Who it is.
    pub identity: Option<Identity>,
    /// Where it is (its Contact).
    pub target: Option<Target>,
    /// The last CSeq it used.
    pub cseq: Option<u32>,
    /// What else it says.
    pub foreign: Vec<Foreign>,
}

/// A Contact with its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The URI.
    pub uri: String,
    /// Names and values of parameters.
    pub params: Vec<(String, String)>,
}

impl DialogInfo {
    /// The document, with holes for version and entity; its own are not written.
    pub fn encode(&self) -> EncodedBody {
        let mut w = start(XmlWriter::new(), if self.partial { "partial" } else { "full" });
        self.dialogs.iter().for_each(|dialog| encode_dialog(&mut w, dialog));
        self.foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
        w.finish()
    }

    /// The lamp of the extension `extension` as a document with one dialog.
    pub fn encode_lamp(lamp: &LampState, extension: &str, style: Style) -> EncodedBody {
        encode_lamp(lamp, extension, style)
    }

    /// Reads a publication.
    ///
    /// # Errors
    /// 400: not XML within the bounds of `xml`, not such a document, a required attribute missing, a state nobody knows.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let document = Document::parse(body)?;
        let root = document.root();
        if !root.is(NAMESPACE, "dialog-info") {
            return Err(document.error(root, "not a dialog-info document"));
        }
        let version = root.attr("version").and_then(|version| version.trim().parse().ok());
        let version = version.ok_or_else(|| document.error(root, "dialog-info version not readable"))?;
        // Interop: a draft called this attribute `notify-state`, and so does one of RFC 4235's examples.
        let partial = match root.attr("state").or(root.attr("notify-state")).map(str::trim) {
            Some("full") => false,
            Some("partial") => true,
            _ => return Err(document.error(root, "dialog-info state is neither full nor partial")),
        };
        let entity = root.attr("entity").unwrap_or("").trim();
        let mut keeper = Keeper::new(&document);
        let mut info = Self { version, partial, entity: entity.to_owned(), ..Self::default() };
        for child in root.children() {
            if child.is(NAMESPACE, "dialog") {
                if info.dialogs.len() >= limits::DIALOGS_MAX {
                    return Err(document.error(child, "too many dialogs"));
                }
                info.dialogs.push(decode_dialog(child, &mut keeper)?);
            } else {
                keeper.keep(child, NAMESPACE, &mut info.foreign)?;
            }
        }
        Ok(info)
    }
}

fn owned(element: Element<'_>, name: &str) -> Option<String> {
    element.attr(name).map(str::to_owned)
}

fn direction(name: &str) -> Option<Direction> {
    named(&DIRECTIONS, name).or((name == RECEIVER).then_some(Direction::Recipient))
}

fn decode_dialog(element: Element<'_>, keeper: &mut Keeper<'_>) -> Result<Dialog, BodyError> {
    let id = owned(element, "id").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| keeper.document().error(element, "dialog without id"))?;
    let mut dialog = Dialog {
        id,
        call_id: owned(element, "call-id"),
        local_tag: owned(element, "local-tag"),
        remote_tag: owned(element, "remote-tag"),
        direction: element.attr("direction").and_then(direction),
        ..Dialog::default()
    };
    let mut state = None;
    for child in element.children().filter(|child| child.namespace() == NAMESPACE) {
        match child.name() {
            "state" => {
                let unknown = || keeper.document().error(child, "dialog state not known");
                state = Some(named(&STATES, &child.trimmed()).ok_or_else(unknown)?);
                let event = child.attr("event").or(child.attr(REASON));
                dialog.event = event.and_then(|name| named(&EVENTS, name));
                let code = child.attr("code").and_then(|code| code.trim().parse().ok());
                dialog.code = code.filter(|code| (100..700).contains(code));
            }
            "duration" => dialog.duration_s = child.trimmed().parse().ok(),
            "replaces" => {
                let attr = |name| child.attr(name).unwrap_or("").to_owned();
                let (call_id, local_tag) = (attr("call-id"), attr("local-tag"));
                dialog.replaces = Some(Replaces { call_id, local_tag, remote_tag: attr("remote-tag") });
            }
            "referred-by" => dialog.referred_by = Some(decode_identity(child)),
            "route-set" => {
                let hops = child.children().filter(|hop| hop.is(NAMESPACE, "hop"));
                dialog.route_set = hops.map(|hop| hop.trimmed().into_owned()).collect();
            }
            "local" => dialog.local = decode_participant(child, keeper)?,
            "remote" => dialog.remote = decode_participant(child, keeper)?,
            _ => {}
        }
    }
    for child in element.children() {
        keeper.keep(child, NAMESPACE, &mut dialog.foreign)?;
    }
    dialog.state = state.ok_or_else(|| keeper.document().error(element, "dialog without state"))?;
    Ok(dialog)
}

fn decode_identity(element: Element<'_>) -> Identity {
    // Interop: the attribute is `display-name` in the schema and `display` in the RFC's own examples.
    let name = element.attr("display-name").or(element.attr("display"));
    Identity { display_name: name.map(str::to_owned), uri: element.trimmed().into_owned() }
}

fn decode_participant(element: Element<'_>, keeper: &mut Keeper<'_>) -> Result<Participant, BodyError> {
    let mut side = Participant::default();
    for child in element.children() {
        match child.name() {
            "identity" if child.namespace() == NAMESPACE => side.identity = Some(decode_identity(child)),
            "cseq" if child.namespace() == NAMESPACE => side.cseq = child.trimmed().parse().ok(),
            "target" if child.namespace() == NAMESPACE => {
                let params = child.children().filter_map(|param| {
                    // Interop: Asterisk writes `pvalue` where RFC 4235 has `pval`.
                    let value = param.attr("pval").or(param.attr("pvalue"))?;
                    Some((param.attr("pname")?.to_owned(), value.to_owned()))
                });
                let params = params.collect();
                side.target = Some(Target { uri: child.attr("uri").unwrap_or("").to_owned(), params });
            }
            _ => keeper.keep(child, NAMESPACE, &mut side.foreign)?,
        }
    }
    Ok(side)
}

pub(super) fn start(mut w: XmlWriter, state: &'static str) -> XmlWriter {
    w.open("dialog-info").attr("xmlns", NAMESPACE).attr("version", Hole::Version).attr("state", state);
    w.attr("entity", Hole::Entity);
    w
}

fn encode_dialog(w: &mut XmlWriter, dialog: &Dialog) {
    w.open("dialog").attr("id", dialog.id.as_str());
    w.attr_opt("call-id", dialog.call_id.as_deref());
    w.attr_opt("local-tag", dialog.local_tag.as_deref());
    w.attr_opt("remote-tag", dialog.remote_tag.as_deref());
    w.attr_opt("direction", dialog.direction.map(|direction| name_of(&DIRECTIONS, direction)));
    w.open("state");
    w.attr_opt("event", dialog.event.map(|event| name_of(&EVENTS, event)));
    w.attr_opt("code", dialog.code.map(|code| code.to_string()).as_deref());
    w.text(dialog.state.name()).close();
    if let Some(seconds) = dialog.duration_s {
        w.leaf("duration", seconds.to_string().as_str());
    }
    if let Some(replaces) = &dialog.replaces {
        w.open("replaces").attr("call-id", replaces.call_id.as_str());
        w.attr("local-tag", replaces.local_tag.as_str())
            .attr("remote-tag", replaces.remote_tag.as_str())
            .close();
    }
    if let Some(by) = &dialog.referred_by {
        encode_identity(w, "referred-by", by);
    }
    if !dialog.route_set.is_empty() {
        w.open("route-set");
        dialog.route_set.iter().for_each(|hop| _ = w.leaf("hop", hop.as_str()));
        w.close();
    }
    encode_participant(w, "local", &dialog.local);
    encode_participant(w, "remote", &dialog.remote);
    dialog.foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
    w.close();
}

fn encode_identity(w: &mut XmlWriter, name: &'static str, identity: &Identity) {
    w.open(name).attr_opt("display-name", identity.display_name.as_deref());
    w.text(identity.uri.as_str()).close();
}

fn encode_participant(w: &mut XmlWriter, name: &'static str, side: &Participant) {
    if *side == Participant::default() {
        return;
    }
    w.open(name);
    if let Some(identity) = &side.identity {
        encode_identity(w, "identity", identity);
    }
    if let Some(target) = &side.target {
        w.open("target").attr("uri", target.uri.as_str());
        for (name, value) in &target.params {
            w.open("param").attr("pname", name.as_str()).attr("pval", value.as_str()).close();
        }
        w.close();
    }
    if let Some(cseq) = side.cseq {
        w.leaf("cseq", cseq.to_string().as_str());
    }
    side.foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
    w.close();
}

/// The state of the one dialog that stands for a lamp, and whether it is shown as a call coming in.
pub(super) fn lamp_dialog(lamp: ExtensionState, style: Style) -> (DialogState, bool) {
    use ExtensionState as E;
    let default = match style.variant {
        Variant::Rfc | Variant::ChanSip | Variant::FreeSwitch | Variant::Cisco => NotifyRinging::Yes,
        Variant::Pjsip => NotifyRinging::NotInUse,
    };
    let ringing = style.ringing.unwrap_or(default);
    let chan_sip = style.variant == Variant::ChanSip;
    let state = match lamp {
        E::Ringing if ringing != NotifyRinging::No || chan_sip => DialogState::Early,
        E::InUseRinging if ringing == NotifyRinging::Yes => DialogState::Early,
        lamp if lamp.is_in_call() => DialogState::Confirmed,
        _ => DialogState::Terminated,
    };
    let incoming = if chan_sip {
        lamp.is_ringing() && ringing != NotifyRinging::No
    } else {
        state == DialogState::Early
    };
    (state, incoming)
}

fn encode_lamp(lamp: &LampState, extension: &str, style: Style) -> EncodedBody {
    if style.variant == Variant::FreeSwitch {
        return freeswitch::dialog_info(lamp, extension, style);
    }
    let (state, incoming) = lamp_dialog(lamp.extension, style);
    let by_rfc = matches!(style.variant, Variant::Rfc | Variant::Cisco);
    let mut w = start(if by_rfc { XmlWriter::new() } else { XmlWriter::pretty() }, "full");
    // RFC 4235 §3.5: full state with no dialog in it is how "no call" is said; Asterisk says it with a terminated one.
    if by_rfc && style.empty_when_idle && state == DialogState::Terminated {
        return w.finish();
    }
    w.open("dialog").attr("id", extension);
    if incoming && style.pickup && style.variant != Variant::Pjsip {
        w.attr_parts("call-id", &[Part::Text("pickup-"), Part::Hole(Hole::CallId)]);
    }
    if incoming {
        w.attr("direction", "recipient");
    }
    if incoming && style.variant == Variant::Pjsip {
        w.open("local")
            .leaf("identity", Hole::Entity)
            .open("target")
            .attr("uri", Hole::Entity)
            .close()
            .close();
    }
    w.leaf("state", state.name());
    if lamp.extension == ExtensionState::Hold {
        // Interop: Asterisk's attribute is `pvalue`; the schema of RFC 4235 has `pval`.
        let value = if by_rfc { "pval" } else { "pvalue" };
        w.open("local").open("target").attr("uri", Hole::Entity);
        w.open("param").attr("pname", "+sip.rendering").attr(value, "no").close().close().close();
    }
    w.finish()
}
