//! Bodies: one file per body format, from typed event state to bytes and back.
//!
//! In: composed values and an [`Style`]; or a peer's bytes. Out: an [`EncodedBody`] that many watchers share, or a typed
//! document, or a [`BodyError`]. Nothing here knows SIP, subscriptions or who may see what.

pub(crate) mod appearance;
pub mod attribute;
pub mod cipid;
mod cisco;
pub mod cpim_pidf;
pub mod date_time;
pub mod dialog_info;
pub mod encoded;
pub mod feature_event;
pub mod foreign;
mod freeswitch;
pub mod message_summary;
mod patch;
pub mod pidf;
pub mod pidf_diff;
pub mod presence_document;
pub mod presence_json;
pub mod reginfo;
pub mod rlmi;
pub mod rlmi_received;
pub mod rpid;
pub mod timed_status;
pub(crate) mod validity;
pub mod watcherinfo;
pub mod xml;
pub mod xml_writer;
pub mod xpidf;

use std::fmt;

use crate::hits::Limit;
use crate::settings::NotifyRinging;
pub use encoded::{EncodedBody, Hole, HoleValues};

/// Whose documents are imitated; chosen by the phone's profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variant {
    /// What the RFCs say: entity and contact are the presentity's.
    #[default]
    Rfc,
    /// Asterisk's chan_sip, its wrong fields included (entity is the watcher).
    ChanSip,
    /// Asterisk's res_pjsip, its wrong fields included (contact is the watcher).
    Pjsip,
    /// FreeSWITCH's mod_sofia: its words, no dialog while idle, a pickup code in the remote target.
    FreeSwitch,
    /// What Cisco's own phones read: the RFC's, with activities in Cisco's and the drafts' namespaces.
    Cisco,
}

impl Variant {
    /// Every variant.
    pub const ALL: [Self; 5] = [Self::Rfc, Self::ChanSip, Self::Pjsip, Self::FreeSwitch, Self::Cisco];

    /// Its name in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rfc => "rfc",
            Self::ChanSip => "chan_sip",
            Self::Pjsip => "pjsip",
            Self::FreeSwitch => "freeswitch",
            Self::Cisco => "cisco",
        }
    }
}

/// How much of a document is left out because the whole is too large for its way: each also leaves out what those before
/// it do. A format that has nothing of a kind to leave out writes it as before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Brevity {
    /// Nothing.
    #[default]
    Whole,
    /// Session descriptions.
    NoSessions,
    /// Names of people, routes, cards, devices, statuses at other times, and what others put there that we only pass on.
    NoExtras,
    /// All dialogs but the one that tells most; all services but the first, and of the person all but what it does.
    OneDialog,
}

impl Brevity {
    /// What is tried in turn, so that the lamp stays right for as long as it can.
    pub const SHORTER: [Self; 3] = [Self::NoSessions, Self::NoExtras, Self::OneDialog];
}

/// Everything but the state that decides how a body looks; watchers with equal styles share one encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Style {
    /// Whose documents are imitated.
    pub variant: Variant,
    /// What the dialog format tells of ringing; `None` is the variant's own default.
    pub ringing: Option<NotifyRinging>,
    /// Name the call to pick up: `call-id="pickup-<Call-ID of the subscription>"` while ringing (chan_sip `notifycid`).
    pub pickup: bool,
    /// Add the `digium-presence` tuple, for Digium and Sangoma phones.
    pub digium: bool,
    /// Show a held call as the call it is (chan_sip without `notifyhold`).
    pub hold_as_call: bool,
    /// At most one dialog per document.
    pub single_dialog: bool,
    /// Say beside the dialogs who is not there.
    pub offline_presence: bool,
    /// Leave the urgent counts out of message summaries, for Cisco phones that stumble over them (`buggymwi`).
    pub buggy_mwi: bool,
    /// Write no dialog at all for an idle lamp, instead of a terminated one; the imitating variants do as their models.
    pub empty_when_idle: bool,
    /// What is left out for want of room.
    pub brevity: Brevity,
}

impl Style {
    /// The style of `variant` with nothing else asked for.
    pub const fn of(variant: Variant) -> Self {
        Self {
            variant,
            ringing: None,
            pickup: false,
            digium: false,
            hold_as_call: false,
            single_dialog: false,
            offline_presence: false,
            buggy_mwi: false,
            empty_when_idle: false,
            brevity: Brevity::Whole,
        }
    }

    /// Whether a document has one dialog at most.
    pub fn has_one_dialog(&self) -> bool {
        self.single_dialog || self.brevity >= Brevity::OneDialog
    }
}

/// Why a peer's body could not be read: a 400 whose Warning header carries the reason and the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyError {
    /// What is wrong, in a few words without quotes.
    pub reason: &'static str,
    /// Bytes before the place.
    pub offset: usize,
    /// Line of the place, from 1.
    pub line: usize,
    /// Column of the place in bytes, from 1.
    pub column: usize,
}

impl BodyError {
    /// The error `reason` at `offset` of `body`.
    pub fn at(body: &[u8], offset: usize, reason: &'static str) -> Self {
        let before = body.get(..offset).unwrap_or(body);
        let line = before.split(|byte| *byte == b'\n').count();
        let column = before.len() - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |i| i + 1) + 1;
        Self { reason, offset: before.len(), line, column }
    }

    /// The limit that was exceeded, where that is what is wrong.
    pub fn limit(&self) -> Option<Limit> {
        match self.reason {
            "elements nested too deep" => Some(Limit::XmlDepth),
            "too many attributes" => Some(Limit::XmlAttributes),
            "XML body too large"
            | "start tag too long"
            | "too many elements"
            | "too many namespaces"
            | "too many attributes in the document"
            | "namespace name too long" => Some(Limit::XmlSize),
            _ => None,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {} column {} (byte {})", self.reason, self.line, self.column, self.offset)
    }
}

impl std::error::Error for BodyError {}
