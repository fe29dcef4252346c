//! What survives a restart, and what nodes replicate: upserts and deletes of records, each under a dense slot.
//!
//! Memory is authoritative; the store is written behind `Output::Persist` and read once, at start (`Node::restore`).
//! Expiry is part of a record: what has expired is not restored.

use crate::features::{Feature, Features};
use crate::filter::FilterSet;
use crate::flow::Flow;
use crate::time::UnixTime;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

mod octets;

/// The kinds of record, one database each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// [`SubscriptionRecord`].
    Subscription,
    /// [`PublicationRecord`].
    Publication,
    /// [`BindingsRecord`].
    Bindings,
    /// [`DeviceRecord`].
    Device,
    /// [`MailboxRecord`].
    Mailbox,
    /// [`ResourceRecord`].
    Resource,
    /// [`CallRecord`].
    Call,
    /// [`FeaturesRecord`].
    Features,
    /// [`StatusRecord`].
    Status,
    /// [`RulesRecord`].
    Rules,
    /// [`AnswerRecord`].
    Answer,
    /// [`GatewayRecord`].
    Gateway,
    /// [`DocumentRecord`].
    Document,
}

impl Kind {
    /// All kinds, in the order they are restored: facts before those who watch them.
    pub const ALL: [Self; 13] = [
        Self::Rules,
        Self::Device,
        Self::Mailbox,
        Self::Features,
        Self::Status,
        Self::Document,
        Self::Bindings,
        Self::Call,
        Self::Publication,
        Self::Resource,
        Self::Subscription,
        Self::Answer,
        Self::Gateway,
    ];
}

/// A record's place: dense slot numbers per kind, reused after deletion, so that the store's pages stay hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Which database.
    pub kind: Kind,
    /// Which row.
    pub slot: u64,
}

/// One change to the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Insert or replace.
    Upsert(Key, Value),
    /// Remove.
    Delete(Key),
}

impl Record {
    /// The row it changes.
    pub const fn key(&self) -> Key {
        match self {
            Self::Upsert(key, _) | Self::Delete(key) => *key,
        }
    }
}

/// What a row holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// A live subscription.
    Subscription(Box<SubscriptionRecord>),
    /// A live publication.
    Publication(Box<PublicationRecord>),
    /// All bindings of one AOR.
    Bindings(BindingsRecord),
    /// A device state set by command.
    Device(DeviceRecord),
    /// A mailbox's counts set by command.
    Mailbox(MailboxRecord),
    /// What a resource's watchers were last shown.
    Resource(ResourceRecord),
    /// A call that rings or is up.
    Call(Box<CallRecord>),
    /// What a user has set.
    Features(FeaturesRecord),
    /// What a person said of themselves by command.
    Status(StatusRecord),
    /// Who may watch a user.
    Rules(RulesRecord),
    /// The answer to a request that removed something.
    Answer(Box<AnswerRecord>),
    /// A subscription of ours at a gateway.
    Gateway(Box<GatewayRecord>),
    /// What holds of a person where nobody publishes otherwise.
    Document(DocumentRecord),
}

impl Value {
    /// When the row stops meaning anything, if it does by itself.
    pub fn expires_at(&self) -> Option<UnixTime> {
        match self {
            Self::Subscription(s) => Some(s.expires_at),
            Self::Publication(p) => Some(p.expires_at),
            Self::Bindings(b) => b.bindings.iter().map(|b| b.expires_at).max(),
            Self::Device(d) => d.until,
            Self::Status(s) => s.until,
            Self::Answer(a) => Some(a.until),
            Self::Gateway(g) => Some(g.expires_at),
            Self::Mailbox(_)
            | Self::Resource(_)
            | Self::Call(_)
            | Self::Features(_)
            | Self::Rules(_)
            | Self::Document(_) => None,
        }
    }

    /// The kind of row it belongs in.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Subscription(_) => Kind::Subscription,
            Self::Publication(_) => Kind::Publication,
            Self::Bindings(_) => Kind::Bindings,
            Self::Device(_) => Kind::Device,
            Self::Mailbox(_) => Kind::Mailbox,
            Self::Resource(_) => Kind::Resource,
            Self::Call(_) => Kind::Call,
            Self::Features(_) => Kind::Features,
            Self::Status(_) => Kind::Status,
            Self::Rules(_) => Kind::Rules,
            Self::Answer(_) => Kind::Answer,
            Self::Gateway(_) => Kind::Gateway,
            Self::Document(_) => Kind::Document,
        }
    }
}

/// The request that wrote a record: a retransmission that arrives after a restart is recognised by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its CSeq number.
    pub cseq: u32,
    /// Its Via branch.
    pub branch: String,
}

/// The answer to a request that removed what would have known it, for when the request comes again after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// The request's method.
    pub method: String,
    /// Its Call-ID.
    pub call_id: String,
    /// Its CSeq and branch.
    pub origin: Origin,
    /// Where it came from.
    pub source: IpAddr,
    /// The whole response.
    pub response: Vec<u8>,
    /// When the request does not come again any more.
    pub until: UnixTime,
}

/// A subscription, as much as is needed to send the next NOTIFY in the same dialog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionRecord {
    /// The watched resource, as `ResourceKey` prints it.
    pub resource: String,
    /// The event package's name, as in `presence`.
    pub package: String,
    /// The `id` parameter of Event, as it was.
    pub event_id: Option<String>,
    /// The parameters of Event that the package keeps, as in `;call-id="a";to-tag=b`; mostly empty.
    pub event_params: String,
    /// Dialog: Call-ID.
    pub call_id: String,
    /// Dialog: our tag.
    pub local_tag: String,
    /// Dialog: the watcher's tag; empty for an RFC 2543 peer that sent none.
    pub remote_tag: String,
    /// The To of the SUBSCRIBE without its tag, verbatim: the From of each NOTIFY.
    pub local: String,
    /// The From of the SUBSCRIBE without its tag, verbatim: the To of each NOTIFY.
    pub remote: String,
    /// The Request-URI as this watcher asked for it.
    pub asked: String,
    /// The authenticated watcher: a peer's name, or a URI.
    pub watcher: String,
    /// Remote target (Contact URI).
    pub target: String,
    /// `+sip.instance` of the Contact.
    pub instance: Option<String>,
    /// Route set, in the order of use (RFC 3261 §12.1.1).
    pub routes: Vec<String>,
    /// Where the SUBSCRIBE came from.
    pub flow: Flow,
    /// CSeq of the watcher's last request in the dialog.
    pub remote_cseq: u32,
    /// CSeq of our last NOTIFY when this was stored.
    pub local_cseq: u32,
    /// Version of the last document when this was stored.
    pub version: u32,
    /// Content type of the body format chosen.
    pub format: String,
    /// The phone profile's name.
    pub profile: String,
    /// The phone's User-Agent.
    pub user_agent: String,
    /// How often it is told, as parameters of Subscription-State (RFC 6446); mostly empty.
    pub rates: String,
    /// What of the state it wants to be told, and when (RFC 4661); mostly nothing.
    pub filters: FilterSet,
    /// Its watcher wants no NOTIFY until it subscribes again (RFC 5839 §5.2).
    pub sleeps: bool,
    /// The list that the SUBSCRIBE brought along (RFC 5367), as URIs and names; mostly none.
    pub members: Vec<(String, String)>,
    /// When it ends.
    pub expires_at: UnixTime,
    /// When it began.
    pub created_at: UnixTime,
    /// The request that wrote this.
    pub origin: Origin,
}

/// A publication (RFC 3903 §6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationRecord {
    /// The presentity, as `ResourceKey` prints it.
    pub resource: String,
    /// The event package's name.
    pub package: String,
    /// The entity-tag, 128 bits.
    pub etag: u128,
    /// Who published: a peer's name, or a URI.
    pub publisher: String,
    /// Where it published from.
    pub flow: Flow,
    /// The body's type.
    pub content_type: String,
    /// The body as published.
    #[serde(with = "octets")]
    pub body: Bytes,
    /// When it ends.
    pub expires_at: UnixTime,
    /// When its content last changed.
    pub modified_at: UnixTime,
    /// The request that wrote this.
    pub call_id: String,
    /// The request that wrote this.
    pub origin: Origin,
}

/// The bindings of one AOR (RFC 3261 §10.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingsRecord {
    /// The AOR, as in `sip:alice@example.com`.
    pub aor: String,
    /// Its bindings, oldest first.
    pub bindings: Vec<BindingRecord>,
}

/// One binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingRecord {
    /// The Contact URI.
    pub contact: String,
    /// Contact parameters to give back, as in `;+sip.instance="<urn:uuid:...>"`.
    pub params: String,
    /// Preference in thousandths.
    pub q: u16,
    /// `+sip.instance` (RFC 5626).
    pub instance: Option<String>,
    /// `reg-id` (RFC 5626).
    pub reg_id: Option<u32>,
    /// Call-ID of the REGISTER.
    pub call_id: String,
    /// CSeq of the REGISTER.
    pub cseq: u32,
    /// Path (RFC 3327), in the order of use.
    pub path: Vec<String>,
    /// Where the REGISTER came from.
    pub flow: Flow,
    /// The phone's User-Agent.
    pub user_agent: String,
    /// When it ends.
    pub expires_at: UnixTime,
    /// When it was made.
    pub created_at: UnixTime,
    /// Branch of the REGISTER.
    pub branch: String,
    /// What its temporary GRUUs are made of; none for a phone that names no instance.
    pub gruu: Option<GruuRecord>,
}

/// What the temporary GRUUs of a phone are made of: the same in each binding of its instance, but for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GruuRecord {
    /// The node's key: it has to last as long as one GRUU made with it.
    pub key: [u8; 32],
    /// Another one for each series of GRUUs: a series ends with its last binding, or when a REGISTER has a new Call-ID.
    pub series: u64,
    /// CSeq of the REGISTER that began the series.
    pub first_cseq: u32,
    /// How many were made.
    pub made: u32,
    /// Which of them the last REGISTER of this binding made.
    pub turn: u32,
}

/// A device state set by command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// As typed, as in `Custom:night`.
    pub device: String,
    /// The state's name.
    pub state: String,
    /// When the override ends, if it does.
    pub until: Option<UnixTime>,
    /// When it was set.
    pub set_at: UnixTime,
}

/// A mailbox's message counts set by command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Counts {
    /// New messages.
    pub new: u32,
    /// Old messages.
    pub old: u32,
    /// New urgent messages.
    pub urgent_new: u32,
    /// Old urgent messages.
    pub urgent_old: u32,
}

/// A mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxRecord {
    /// As in `100@default`.
    pub mailbox: String,
    /// Its counts.
    pub counts: Counts,
}

/// What a user's feature keys are set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeaturesRecord {
    /// The user, as `ResourceKey` prints it.
    pub user: String,
    /// What is set.
    pub features: Features,
    /// Who set each that is on.
    pub origins: Vec<FeatureOrigin>,
}

/// A user's presence rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesRecord {
    /// The user, as `ResourceKey` prints it.
    pub user: String,
    /// The document (RFC 5025).
    pub document: String,
    /// When it was written.
    pub modified_at: UnixTime,
}

/// What holds of a person where nobody publishes otherwise (RFC 4827).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRecord {
    /// Printed key of the person's own resource.
    pub person: String,
    /// The document (RFC 3863).
    pub document: String,
    /// When it was written.
    pub modified_at: UnixTime,
}

/// Who set a feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureOrigin {
    /// Which.
    pub feature: Feature,
    /// As in `phone at 192.0.2.2:5060`, or `command`.
    pub by: String,
    /// When.
    pub at: UnixTime,
}

/// A subscription or publication of ours at a gateway, as much as is needed to refresh it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayRecord {
    /// The gateway's name and what is watched there.
    pub errand: String,
    /// Dialog: Call-ID.
    pub call_id: String,
    /// Dialog: our tag.
    pub local_tag: String,
    /// Dialog: the gateway's tag. Of a publication its entity-tag.
    pub remote_tag: String,
    /// Remote target.
    pub target: String,
    /// Route set, in the order of use.
    pub routes: Vec<String>,
    /// CSeq of our last request when this was stored.
    pub local_cseq: u32,
    /// The life asked for, in seconds.
    pub expires_s: u32,
    /// When what was granted ends.
    pub expires_at: UnixTime,
}

/// What a person said of themselves by command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRecord {
    /// Printed key of the person's own resource.
    pub person: String,
    /// As in `away`.
    pub status: String,
    /// In the person's own words; may be empty.
    pub note: String,
    /// When it was set.
    pub set_at: UnixTime,
    /// When it ends, if that is known.
    pub until: Option<UnixTime>,
}

/// What the watchers of a resource were last shown, so that a restart knows who needs a NOTIFY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceRecord {
    /// The resource, as `ResourceKey` prints it.
    pub resource: String,
    /// The event package.
    pub package: String,
    /// Hash of the composed state.
    pub hash: u64,
    /// When it changed.
    pub changed_at: UnixTime,
}

/// A call with its dialogs, as much as is needed to show it and to ask its phones whether it is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// What its ids in documents are made of.
    pub serial: u64,
    /// Call-ID.
    pub call_id: String,
    /// The caller's tag.
    pub from_tag: String,
    /// From of the INVITE.
    pub from: IdentityRecord,
    /// To of the INVITE.
    pub to: IdentityRecord,
    /// The caller asked for privacy.
    pub private: bool,
    /// Replaces of the INVITE.
    pub replaces: Option<CallReplacesRecord>,
    /// Referred-By of the INVITE.
    pub referred_by: Option<IdentityRecord>,
    /// When the INVITE came.
    pub began_at: UnixTime,
    /// It had no final answer yet.
    pub pending: bool,
    /// Those that ring or are up, in order of beginning.
    pub dialogs: Vec<CallDialogRecord>,
}

/// Who takes part in a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRecord {
    /// The name for people.
    pub display_name: Option<String>,
    /// The URI.
    pub uri: String,
}

/// A dialog that another was to replace (RFC 3891).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallReplacesRecord {
    /// Its Call-ID.
    pub call_id: String,
    /// `to-tag`.
    pub to_tag: String,
    /// `from-tag`.
    pub from_tag: String,
}

/// One dialog of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallDialogRecord {
    /// Its number in the call.
    pub number: u32,
    /// The callee's tag.
    pub to_tag: String,
    /// What the caller dialled.
    pub asked: String,
    /// When it was forwarded to this callee.
    pub began_at: UnixTime,
    /// It is up; else it rings.
    pub is_up: bool,
    /// The callee asked for privacy.
    pub private: bool,
    /// The caller's end and the callee's.
    pub ends: [CallEndRecord; 2],
    /// When its session ends unless it is refreshed (RFC 4028).
    pub session_until: Option<UnixTime>,
}

/// One side of a dialog of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEndRecord {
    /// The peer it is, if one of ours.
    pub peer: Option<String>,
    /// Its Contact URI.
    pub target: String,
    /// Where it was last heard.
    pub flow: Option<Flow>,
    /// Call-ID of the REGISTER that made its binding.
    pub registered_by: Option<String>,
    /// Route set towards it, in the order of use.
    pub routes: Vec<String>,
    /// CSeq of its last request when this was stored.
    pub cseq: Option<u32>,
    /// It holds the call.
    pub holds: bool,
}
