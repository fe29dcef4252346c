//! `application/dialog-info+xml` (RFC 4235): the dialogs of a user, or the lamp of an extension as one dialog.
//!
//! In: a [`LampState`], a [`DialogInfo`], or a publisher's bytes. Out: a document with holes for version and entity, or a
//! [`DialogInfo`]. Which of a resource's dialogs a watcher is shown, and how much of them, is decided in [`shown`].

pub mod shown;

use super::foreign::{Foreign, Keeper};
use super::xml::{Document, Element};
use super::xml_writer::{Part, XmlWriter};
use super::{BodyError, EncodedBody, Hole, NotifyRinging, Style, Variant, freeswitch};
use crate::composition::extension::{Caller, LampState};
use crate::device_state::ExtensionState;
use crate::limits;
use crate::time::UnixTime;

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
            target
                .params
                .iter()
                .any(|(name, value)| is_rendering(name) && value.trim_matches('"').eq_ignore_ascii_case("no"))
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

/// The Contact parameter that says whether media is heard (RFC 4235 §5.2).
const RENDERING: &str = "+sip.rendering";

/// Whether a parameter is that one. Interop: the RFC's own example leaves the plus sign out.
pub(crate) fn is_rendering(name: &str) -> bool {
    name.trim_start_matches('+').eq_ignore_ascii_case(RENDERING.trim_start_matches('+'))
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
    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        named(&STATES, name)
    }

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
    /// The session description it uses (RFC 4235 §4.1.6.3).
    pub session: Option<SessionDescription>,
    /// The last CSeq it used.
    pub cseq: Option<u32>,
    /// What else it says.
    pub foreign: Vec<Foreign>,
}

/// A session description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionDescription {
    /// Its media type, as in `application/sdp`.
    pub content_type: String,
    /// Its text.
    pub text: String,
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
        for dialog in &self.dialogs {
            let duration = dialog.duration_s.map(|seconds| seconds.to_string());
            encode_dialog(&mut w, dialog, duration.as_deref().map(Part::Text), None);
        }
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
                keeper.keep_other(child, NAMESPACE, &mut info.foreign)?;
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
                state = Some(DialogState::named(&child.trimmed()).ok_or_else(unknown)?);
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
        keeper.keep_other(child, NAMESPACE, &mut dialog.foreign)?;
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
            "session-description" if child.namespace() == NAMESPACE => {
                let content_type = child.attr("type").unwrap_or("application/sdp").to_owned();
                side.session = Some(SessionDescription { content_type, text: child.trimmed().into_owned() });
            }
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
            _ => keeper.keep_other(child, NAMESPACE, &mut side.foreign)?,
        }
    }
    Ok(side)
}

pub(super) fn start(mut w: XmlWriter, state: &'static str) -> XmlWriter {
    w.open("dialog-info").attr("xmlns", NAMESPACE).attr("version", Hole::Version).attr("state", state);
    w.attr("entity", Hole::Entity);
    w
}

/// Writes one dialog. `rendering` is the value of `+sip.rendering` at the user's own target, where it is known beside it.
fn encode_dialog(
    w: &mut XmlWriter,
    dialog: &Dialog,
    duration: Option<Part<'_>>,
    rendering: Option<&'static str>,
) {
    w.open("dialog").attr("id", dialog.id.as_str());
    w.attr_opt("call-id", dialog.call_id.as_deref());
    w.attr_opt("local-tag", dialog.local_tag.as_deref());
    w.attr_opt("remote-tag", dialog.remote_tag.as_deref());
    w.attr_opt("direction", dialog.direction.map(|direction| name_of(&DIRECTIONS, direction)));
    w.open("state");
    w.attr_opt("event", dialog.event.map(|event| name_of(&EVENTS, event)));
    w.attr_opt("code", dialog.code.map(|code| code.to_string()).as_deref());
    w.text(dialog.state.name()).close();
    if let Some(duration) = duration {
        w.leaf("duration", duration);
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
    encode_participant(w, "local", &dialog.local, rendering);
    encode_participant(w, "remote", &dialog.remote, None);
    dialog.foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
    w.close();
}

fn encode_identity(w: &mut XmlWriter, name: &'static str, identity: &Identity) {
    w.open(name).attr_opt("display-name", identity.display_name.as_deref());
    w.text(identity.uri.as_str()).close();
}

fn encode_participant(
    w: &mut XmlWriter,
    name: &'static str,
    side: &Participant,
    rendering: Option<&'static str>,
) {
    if *side == Participant::default() && rendering.is_none() {
        return;
    }
    w.open(name);
    if let Some(identity) = &side.identity {
        encode_identity(w, "identity", identity);
    }
    if side.target.is_some() || rendering.is_some() {
        // Why: where the user is may be unknown or not for this watcher, and the parameter needs a target to stand in.
        let uri = side.target.as_ref().map_or(Part::Hole(Hole::Entity), |target| Part::Text(&target.uri));
        w.open("target").attr("uri", uri);
        for (name, value) in side.target.iter().flat_map(|target| &target.params) {
            w.open("param").attr("pname", name.as_str()).attr("pval", value.as_str()).close();
        }
        if let Some(rendering) = rendering {
            w.open("param").attr("pname", RENDERING).attr("pval", rendering).close();
        }
        w.close();
    }
    if let Some(session) = &side.session {
        w.open("session-description").attr("type", session.content_type.as_str());
        w.text(session.text.as_str()).close();
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
        encode_offline(&mut w, lamp, extension, style);
        return w.finish();
    }
    w.open("dialog").attr("id", extension);
    let caller = lamp.caller.as_ref().filter(|_| incoming);
    let pickup = caller.filter(|caller| style.pickup && caller.pickup && style.variant != Variant::Pjsip);
    if pickup.is_some() {
        w.attr_parts("call-id", &[Part::Text("pickup-"), Part::Hole(Hole::CallId)]);
    }
    if incoming {
        w.attr("direction", "recipient");
    }
    match style.variant {
        Variant::Pjsip if incoming => encode_pjsip_caller(&mut w, caller),
        Variant::ChanSip => pickup.into_iter().for_each(|caller| encode_caller(&mut w, caller)),
        _ => {}
    }
    w.leaf("state", state.name());
    if lamp.extension == ExtensionState::Hold {
        // Interop: Asterisk's attribute is `pvalue`; the schema of RFC 4235 has `pval`.
        let value = if by_rfc { "pval" } else { "pvalue" };
        w.open("local").open("target").attr("uri", Hole::Entity);
        w.open("param").attr("pname", "+sip.rendering").attr(value, "no").close().close().close();
    }
    w.close();
    encode_offline(&mut w, lamp, extension, style);
    w.finish()
}

/// Who calls whom, as chan_sip writes it: both sides, the caller first, all before the state.
fn encode_caller(w: &mut XmlWriter, caller: &Caller) {
    for (name, identity) in [("remote", &caller.remote), ("local", &caller.local)] {
        w.open(name).open("identity").attr("display", identity.display_name.as_deref().unwrap_or(""));
        w.text(identity.uri.as_str()).close();
        w.open("target").attr("uri", identity.uri.as_str()).close().close();
    }
}

/// Who calls whom, as res_pjsip writes it; without a call only who was asked for.
fn encode_pjsip_caller(w: &mut XmlWriter, caller: Option<&Caller>) {
    if let Some(Caller { remote, .. }) = caller {
        w.open("remote").open("identity").attr_opt("display", remote.display_name.as_deref());
        w.text(remote.uri.as_str()).close();
        w.open("target").attr("uri", remote.uri.as_str()).close().close();
    }
    w.open("local").open("identity");
    w.attr_opt("display", caller.and_then(|caller| caller.local.display_name.as_deref()));
    w.text(Hole::Entity).close().open("target").attr("uri", Hole::Entity).close().close();
}

/// The extension that tells somebody who is not there from somebody who is idle: a presence document (RFC 3863) beside the
/// dialogs, where RFC 4235 §4.4 lets elements of other namespaces stand.
fn encode_offline(w: &mut XmlWriter, lamp: &LampState, extension: &str, style: Style) {
    if !style.offline_presence || lamp.extension != ExtensionState::Unavailable {
        return;
    }
    w.open("presence").attr("xmlns", super::pidf::NAMESPACE).attr("entity", Hole::Entity);
    w.open("tuple").attr("id", id_of(extension).as_str());
    w.open("status").leaf("basic", "closed").close().close().close();
}

/// An XML id made of an extension.
fn id_of(extension: &str) -> String {
    let letters = extension.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    std::iter::once('t').chain(letters).collect()
}

/// Seconds since a dialog began, filled in when the document is sent so that they make no new document of the same state.
fn duration_since(began_at: UnixTime) -> Part<'static> {
    Part::Hole(Hole::SecondsSince(began_at))
}
