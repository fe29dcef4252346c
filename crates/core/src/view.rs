//! Plain structs that commands return: what people and programs see of a node.
//!
//! They are the data transfer objects of the CLI's `--json` too, so their field names are an interface.

use crate::features;
use crate::journal::Counts;
use crate::time::UnixTime;
use serde::{Deserialize, Serialize};

/// One hint, as `core show hints` lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Hint {
    /// As in `6001`.
    pub extension: String,
    /// As in `default`.
    pub context: String,
    /// As configured: `SIP/Bob-mobile&SIP/Bob-desk`.
    pub devices: String,
    /// As in `Idle`, `InUse&Ringing`.
    pub state: String,
    /// As in `not_set`.
    pub presence: String,
    /// SIP subscriptions to it.
    pub watchers: usize,
}

/// One extension or person with what is shown of it: a lamp of a board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Presentity {
    /// As in `6001@default` or `sip:alice@example.com`.
    pub resource: String,
    /// As in `6001` or `alice`.
    pub name: String,
    /// The context of an extension, the domain of a person.
    pub group: String,
    /// For people to read, as in `Alice Smith`; empty where nobody said.
    pub display: String,
    /// As in `Idle`, `InUse&Ringing`.
    pub state: String,
    /// Seconds since it changed.
    pub since_s: u64,
    /// What all sources but the lamp come to, as in `away`; `not_set` where none says anything.
    pub presence: String,
    /// In the person's own words; may be empty.
    pub note: String,
    /// The devices behind it, as in `SIP/Bob-desk`.
    pub devices: Vec<String>,
    /// The peers behind those.
    pub peers: Vec<String>,
    /// SIP subscriptions to it.
    pub watchers: usize,
    /// Publications for it.
    pub publications: usize,
}

impl Presentity {
    /// Whether it is a person and no extension.
    pub fn is_person(&self) -> bool {
        self.resource.starts_with("sip:")
    }
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Subscription {
    /// The watcher's address, as in `10.0.0.7:5060`.
    pub peer: String,
    /// The watcher (peer name or URI).
    pub watcher: String,
    /// Dialog.
    pub call_id: String,
    /// As in `6001@default`, or the AOR.
    pub resource: String,
    /// The URI asked for.
    pub asked: String,
    /// Event package.
    pub package: String,
    /// `id` of Event.
    pub event_id: Option<String>,
    /// Content type of its documents.
    pub format: String,
    /// Members of the list it is to; `None` for one resource.
    pub members: Option<usize>,
    /// State shown last, as in `Idle`; `None` for packages without one word for it.
    pub last_state: Option<String>,
    /// For message-summary: the mailboxes.
    pub mailbox: Option<String>,
    /// Seconds it was granted.
    pub granted_s: u32,
    /// Seconds left.
    pub expires_s: u32,
    /// Phone profile.
    pub profile: String,
    /// Phone.
    pub user_agent: String,
    /// NOTIFYs sent.
    pub notifies: u32,
    /// CSeq of the last NOTIFY.
    pub cseq: u32,
    /// Document version.
    pub version: u32,
    /// Status of the last answer to a NOTIFY; `None` before the first, 408 for none in time.
    pub last_answer: Option<u16>,
    /// What it asked for of how often it is told, as in `max-rate=0.2`; `asleep` where it wants nothing for now.
    pub pace: Option<String>,
    /// Its filters, in a few words.
    pub filter: Option<String>,
    /// Transport.
    pub transport: String,
}

/// One list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct List {
    /// As in `list:board@example.com`.
    pub name: String,
    /// What is subscribed to.
    pub uri: String,
    /// For people; may be empty.
    pub display: String,
    /// Where its members come from, as in `configured`, `everybody`.
    pub source: String,
    /// The event packages it is for; empty for all.
    pub packages: Vec<String>,
    /// How many are in it.
    pub members: usize,
    /// Subscriptions to it.
    pub watchers: usize,
}

impl List {
    /// The domain that it is all of.
    pub fn whole_domain(&self) -> Option<&str> {
        self.name.strip_prefix("list:@")
    }
}

/// One list with its members and watchers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListDetail {
    /// The list.
    pub list: List,
    /// It has more members than are taken.
    pub is_cut: bool,
    /// Who is in it, in order, as its first watcher sees it.
    pub members: Vec<ListMember>,
    /// Who watches it.
    pub watchers: Vec<ListWatcher>,
}

/// One member of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListMember {
    /// Its URI in the list.
    pub uri: String,
    /// For people; may be empty.
    pub name: String,
    /// What it is here, as in `6001@default`; `None` where it is not here.
    pub resource: Option<String>,
    /// It is on another server.
    pub is_elsewhere: bool,
    /// The gateway, or the federated domain, at which it is watched.
    pub asked_at: Option<String>,
    /// Its lamp, as in `Idle`, where somebody watches it.
    pub state: Option<String>,
}

/// One subscription to a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListWatcher {
    /// Peer name or URI.
    pub watcher: String,
    /// As in `10.0.0.7:5060`.
    pub address: String,
    /// Event package.
    pub package: String,
    /// Members it was told of.
    pub told: usize,
    /// Members that have not decided upon it.
    pub pending: usize,
    /// Members it may not watch.
    pub refused: usize,
    /// Version of the last document.
    pub version: u32,
    /// NOTIFYs sent.
    pub notifies: u32,
    /// Status of the last answer.
    pub answer: Option<u16>,
    /// How the last NOTIFY was made to fit its way, where there is something to say.
    pub fit: Option<String>,
    /// Seconds left.
    pub expires_s: u32,
}

/// One publication.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Publication {
    /// The presentity.
    pub resource: String,
    /// Event package.
    pub package: String,
    /// Entity-tag.
    pub etag: String,
    /// Who published.
    pub publisher: String,
    /// The body's type.
    pub content_type: String,
    /// Its size.
    pub body_bytes: usize,
    /// Seconds left.
    pub expires_s: u32,
    /// What it says, in a few words.
    pub summary: String,
}

/// One AOR with its bindings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Registration {
    /// As in `sip:alice@example.com`.
    pub aor: String,
    /// Its bindings.
    pub bindings: Vec<Binding>,
}

/// One binding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Binding {
    /// Contact URI.
    pub contact: String,
    /// Where the REGISTER came from.
    pub source: String,
    /// Seconds left.
    pub expires_s: u32,
    /// Preference, 0 to 1.
    pub q: f32,
    /// Phone.
    pub user_agent: String,
    /// Instance id.
    pub instance: Option<String>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Device {
    /// As in `SIP/Bob-desk`.
    pub device: String,
    /// As in `INUSE`.
    pub state: String,
    /// Where the state comes from: `registration`, `publication`, `command`, `none`, ...
    pub source: String,
    /// Seconds until a manual override ends.
    pub for_s: Option<u64>,
    /// Hints that contain it.
    pub hints: Vec<String>,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Peer {
    /// Name.
    pub name: String,
    /// `dynamic` or the address.
    pub host: String,
    /// Where it is now, or `-`.
    pub address: String,
    /// Device state.
    pub state: String,
    /// `OK (12 ms)`, `UNREACHABLE`, `unmonitored`.
    pub qualify: String,
    /// Context for subscriptions.
    pub context: String,
    /// Live subscriptions as a watcher.
    pub subscriptions: usize,
}

/// One dialog of a call that passes through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Call {
    /// The same for as long as it lives; what stands before `-` is the call, behind it the dialog.
    pub id: String,
    /// The caller: a peer's name, or a URI.
    pub caller: String,
    /// Who was called.
    pub callee: String,
    /// What the caller dialled, as in `6001@default`.
    pub asked: String,
    /// As in `early`, `confirmed` (RFC 4235).
    pub state: String,
    /// Who holds it: `caller`, `callee`, `both`, or nobody.
    pub hold: String,
    /// Seconds since the INVITE.
    pub since_s: u64,
    /// Call-ID.
    pub call_id: String,
}

/// A registration, or a watched URI, at a server elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Gateway {
    /// The gateway's name.
    pub gateway: String,
    /// The event package, `publish` before it where we tell it, or `register`.
    pub what: String,
    /// A list is watched.
    pub list: bool,
    /// Who is watched, who is published there, or where we register.
    pub uri: String,
    /// As in `SUBED`.
    pub state: String,
    /// The server has not decided whether we may.
    pub pending: bool,
    /// When it came to this state, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub since: UnixTime,
    /// Seconds until what was granted ends.
    pub expires_s: Option<u64>,
    /// NOTIFYs taken.
    pub notifies: u64,
    /// Local sources that it is.
    pub sources: usize,
    /// Call-ID of the dialog.
    pub call_id: String,
    /// The user who watches and alone is told, or `all`; empty for what the configuration wants.
    pub on_behalf: String,
    /// What went wrong last; empty where nothing has since.
    pub trouble: String,
}

/// One mailbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Mailbox {
    /// As in `100@default`.
    pub mailbox: String,
    /// Its counts.
    pub counts: Counts,
    /// Watchers.
    pub watchers: usize,
}

/// One feature that a user has set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Feature {
    /// As in `alice@example.com`.
    pub user: String,
    /// Which.
    pub feature: features::Feature,
    /// `on`, or where calls go.
    pub value: String,
    /// After how many seconds nobody has answered, where the user said so.
    pub after_s: Option<u32>,
    /// Who set it, as in `phone at 192.0.2.2:5060`.
    pub by: String,
    /// Seconds since then.
    pub since_s: u64,
}

/// A person, or a user who is one alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Person {
    /// As in `bob@example.com`.
    pub person: String,
    /// For people; may be empty.
    pub display: String,
    /// What the lamp shows, as in `InUse`.
    pub lamp: String,
    /// What all sources but the lamp come to, as in `away`; `not_set` where none says anything.
    pub presence: String,
    /// What was set by command, as in `away`.
    pub status: Option<String>,
    /// In the person's own words.
    pub note: Option<String>,
    /// Seconds since it was set.
    pub since_s: Option<u64>,
    /// Seconds until it ends, if it does.
    pub left_s: Option<u64>,
    /// Whether calls are refused.
    pub do_not_disturb: bool,
    /// Every name that means the person, as in `6001@default`.
    pub names: Vec<String>,
    /// Its devices and their states, as in `SIP/bob-desk INUSE`.
    pub devices: Vec<String>,
    /// Its mailboxes.
    pub mailboxes: Vec<String>,
}

/// One phone profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Profile {
    /// As in `polycom`.
    pub name: String,
    /// Parts of the User-Agent that select it; empty where it is chosen by name only or takes what is left.
    pub user_agents: Vec<String>,
    /// As in `rfc`.
    pub variant: String,
    /// Body formats it prefers.
    pub prefer: Vec<String>,
    /// Seconds until an unanswered NOTIFY is tried again; `None` ends the subscription instead.
    pub retry_after_s: Option<u64>,
    /// Most NOTIFYs per second of one of its subscriptions; `None` for as many as others get.
    pub notify_max_rate: Option<u32>,
    /// Answers after which a NOTIFY is tried again.
    pub retry_statuses: Vec<u16>,
    /// Whether message summaries leave out the urgent counts.
    pub buggy_mwi: bool,
    /// Whether an idle lamp is a terminated dialog.
    pub idle_dialog: bool,
    /// Whether dialog-info holds one dialog at most.
    pub single_dialog: bool,
    /// Whether dialog-info may be partial.
    pub partial_dialogs: bool,
    /// Whether pidf has the tuple `digium-presence`.
    pub digium: bool,
    /// Header lines of a call it answers by itself.
    pub auto_answer: Vec<String>,
    /// As in `replaces`.
    pub pickup: String,
    /// Whether it gets the last NOTIFY of a subscription.
    pub end_notify: bool,
    /// Why it is so.
    pub reason: String,
}

/// How the node is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Status {
    /// Seconds since start.
    pub up_s: u64,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Of them those whose phone has not come back since its stream was lost.
    pub parked: usize,
    /// Of them those whom the last restart still owes a NOTIFY.
    pub owed: usize,
    /// Whether it is being drained: no new subscription is taken.
    pub draining: bool,
    /// Publications.
    pub publications: usize,
    /// Bindings.
    pub bindings: usize,
    /// Hints.
    pub hints: usize,
    /// Peers.
    pub peers: usize,
    /// Transactions in flight.
    pub transactions: usize,
    /// Timers set, those of transactions included.
    pub timers: usize,
    /// Calls, those included that ended a moment ago.
    pub calls: usize,
    /// Requests that are passed on and not answered yet, and their forks.
    pub passing: usize,
    /// Requests received, by what became of them.
    pub requests: u64,
    /// Requests refused.
    pub rejects: u64,
    /// NOTIFYs sent.
    pub notifies: u64,
    /// NOTIFYs answered 2xx.
    pub notifies_ok: u64,
    /// NOTIFYs that were refused or unanswered.
    pub notifies_failed: u64,
    /// Messages that were not SIP.
    pub malformed: u64,
    /// Records waiting for the store.
    pub unpersisted: usize,
    /// Own bugs met and survived; must be 0.
    pub bugs: u64,
}

/// A limit, and how often it was hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Limit {
    /// Its name, as in `subscriptions_per_watcher`.
    pub name: String,
    /// How much is allowed; `None` for no limit, or where it is no single number.
    pub most: Option<u64>,
    /// The SIP status of what is over it; `None` where it is dropped, or its stream closed.
    pub answer: Option<u16>,
    /// How often it was hit since the start.
    pub hits: u64,
    /// What is over it.
    pub about: String,
}

/// One value of something that is counted by labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Sample {
    /// Names and values.
    pub labels: Vec<(String, String)>,
    /// How many.
    pub value: u64,
}

/// Latencies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Histogram {
    /// Upper bounds of the buckets, in microseconds.
    pub bounds_us: Vec<u64>,
    /// How many fell into each; one more than there are bounds.
    pub buckets: Vec<u64>,
    /// All together, in microseconds.
    pub sum_us: u64,
}

/// What was counted since the start, and what is there now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Metrics {
    /// By `method`, `transport`.
    pub requests_received: Vec<Sample>,
    /// By `method`, `transport`.
    pub requests_sent: Vec<Sample>,
    /// By `class`, `transport`.
    pub responses_received: Vec<Sample>,
    /// By `class`, `transport`.
    pub responses_sent: Vec<Sample>,
    /// Requests refused, by `code`.
    pub refused: Vec<Sample>,
    /// How often limits were hit, by `limit`.
    pub limits: Vec<Sample>,
    /// NOTIFYs that failed, by `code`; 408 for no answer.
    pub notify_failed: Vec<Sample>,
    /// Subscriptions now, by `package`, `state`, `transport`.
    pub subscriptions: Vec<Sample>,
    /// From a change to the NOTIFY that tells it.
    pub change_to_sent: Histogram,
    /// From a NOTIFY to its answer.
    pub sent_to_answered: Histogram,
    /// States composed.
    pub compositions: u64,
    /// Subscriptions whose watcher has not acknowledged the current state for too long; must be 0.
    pub stale: u64,
    /// The rest.
    pub status: Status,
}

/// Who has the most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Biggest {
    /// Watchers, the one with the most subscriptions first.
    pub watchers: Vec<BigWatcher>,
    /// What is watched, the most watched first.
    pub watched: Vec<BigWatched>,
}

/// A watcher and all its subscriptions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BigWatcher {
    /// Peer name or URI.
    pub watcher: String,
    /// How many it has.
    pub subscriptions: usize,
    /// NOTIFYs sent in them.
    pub notifies: u64,
    /// The phone of one of them.
    pub user_agent: String,
}

/// A resource and all who watch it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BigWatched {
    /// As in `6001@default`.
    pub resource: String,
    /// As in `Idle`.
    pub state: String,
    /// SIP subscriptions to it.
    pub watchers: usize,
}

/// Why a lamp shows what it shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Why {
    /// As in `6001@default`.
    pub resource: String,
    /// The state shown, as in `Busy`.
    pub state: String,
    /// Seconds since it changed.
    pub since_s: u64,
    /// Every source, the winner first.
    pub sources: Vec<Source>,
    /// How presence is composed; `None` for what has none.
    pub presence: Option<Composition>,
    /// Everybody who watches.
    pub watchers: Vec<Watcher>,
    /// The same by what they are shown.
    pub classes: Vec<WatcherClass>,
    /// Where it is published.
    pub published: Vec<Published>,
}

/// Where a presentity is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Published {
    /// The gateway.
    pub gateway: String,
    /// Event package.
    pub package: String,
    /// Who it is there.
    pub uri: String,
    /// As in `PUBED`.
    pub state: String,
    /// Seconds since it came to this state.
    pub since_s: u64,
    /// Why it is not there, or what went wrong; empty where all is well.
    pub because: String,
}

/// Watchers of whom the rules say the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WatcherClass {
    /// Event package.
    pub package: String,
    /// Peer names or URIs.
    pub watchers: Vec<String>,
    /// As in `allow`, `polite-block`.
    pub handling: String,
    /// What they are shown, in a few words.
    pub sees: String,
    /// By which rule, as in `rule allow of alice`.
    pub because: String,
}

/// A watcher that nobody has decided upon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Pending {
    /// Who is to decide, as in `alice@example.com`.
    pub user: String,
    /// Peer name or URI.
    pub watcher: String,
    /// Event package.
    pub package: String,
    /// `pending`, or `waiting` where the subscription has run out meanwhile.
    pub status: String,
    /// Seconds since it asked.
    pub since_s: u64,
    /// Seconds left of its subscription.
    pub expires_s: Option<u64>,
}

/// What holds of a person where nobody publishes otherwise (RFC 4827).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Document {
    /// As in `bob@example.com`.
    pub person: String,
    /// `command`, or `file`.
    pub source: String,
    /// Seconds since it was written.
    pub since_s: u64,
    /// The document (RFC 3863).
    pub document: String,
}

/// The presence rules of a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Rules {
    /// As in `alice@example.com`.
    pub user: String,
    /// `command`, or `file`.
    pub source: String,
    /// Why they cannot be read; then nobody may watch.
    pub error: Option<String>,
    /// Seconds since they were changed by command.
    pub since_s: Option<u64>,
    /// The sphere the user is in.
    pub sphere: Option<String>,
    /// The rules in their order.
    pub rules: Vec<Rule>,
    /// The document (RFC 5025).
    pub document: String,
}

/// One presence rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// To whom and when, in words.
    pub applies_to: String,
    /// As in `allow`.
    pub handling: String,
    /// What it shows, in words.
    pub shows: String,
}

/// How a presence is composed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Composition {
    /// Whose it is, as in `bob@example.com`; empty for several people.
    pub person: String,
    /// The policy, as in `most-available`.
    pub policy: String,
    /// What it is made of, as in `latest`.
    pub base: String,
    /// What comes of it, as in `open, meeting, "until two"`.
    pub shows: String,
    /// Every source, the winners first.
    pub sources: Vec<PresenceSource>,
}

/// One source of a presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PresenceSource {
    /// As in `publication`.
    pub kind: String,
    /// The source itself; `because` is why it won or lost.
    #[serde(flatten)]
    pub source: Source,
}

/// One source of a lamp's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Source {
    /// As in `SIP/Bob-desk`, or `publication by Bob-desk`.
    pub name: String,
    /// What it says, as in `INUSE`.
    pub state: String,
    /// Where that comes from, as in `2 calls published by Bob-desk`.
    pub because: String,
    /// Whether it decided.
    pub won: bool,
    /// Seconds since it said so.
    pub since_s: u64,
    /// Seconds until it stops counting, if it does.
    pub expires_s: Option<u64>,
}

/// One watcher of a lamp.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Watcher {
    /// Peer name or URI.
    pub watcher: String,
    /// Where.
    pub address: String,
    /// The list by which it watches, as in `list:board@example.com`.
    pub list: Option<String>,
    /// Event package.
    pub package: String,
    /// State it was told last.
    pub told: Option<String>,
    /// How the NOTIFY was made to fit its way, where it was too large for a datagram.
    pub fit: Option<String>,
    /// Where its NOTIFY would have gone and why nothing may go there, where that is so.
    #[serde(default)]
    pub unsent: Option<String>,
    /// CSeq of the NOTIFY that told it.
    pub cseq: u32,
    /// Its answer.
    pub answer: Option<u16>,
    /// Seconds since the answer.
    pub answered_s: Option<u64>,
    /// Seconds left.
    pub expires_s: u32,
    /// What it asked for of how often it is told.
    pub pace: Option<String>,
    /// Its filters, in a few words.
    pub filter: Option<String>,
}
