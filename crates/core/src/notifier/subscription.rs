//! One subscription as the notifier holds it (RFC 6665 §4.2): compact, because there may be millions.
//!
//! The strings of a subscription live in one boxed slice; what is counted and timed stands beside it.

use super::filtering::Filtering;
use super::list::ListState;
use super::pace::Pace;
use super::size::{Fit, StreamTo};
use super::suppress::Suppress;
use crate::authz::policy::Standing;
use crate::flow::PackedFlow;
use crate::journal::{Origin, SubscriptionRecord};
use crate::metrics::Behind;
use crate::packages::PackageId;
use crate::resource::ResourceId;
use crate::time::{Instant, UnixTime};
use crate::timers::TimerToken;
use crate::transaction::ClientId;

/// The strings of a subscription, in the order they are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// `id` of Event, verbatim; empty where there is none.
    EventId,
    /// The parameters of Event that the package keeps.
    EventParams,
    /// Call-ID.
    CallId,
    /// Our tag.
    LocalTag,
    /// The watcher's tag; empty for an RFC 2543 peer.
    RemoteTag,
    /// To of the SUBSCRIBE without tag.
    Local,
    /// From of the SUBSCRIBE without tag.
    Remote,
    /// Request-URI as asked.
    Asked,
    /// Authenticated watcher.
    Watcher,
    /// Contact URI.
    Target,
    /// `+sip.instance`; empty where there is none.
    Instance,
    /// Route header value, entries joined by `, `; empty where there is none.
    Routes,
    /// User-Agent.
    UserAgent,
    /// Branch of the request that wrote the record.
    OriginBranch,
}

/// How many strings there are.
pub(crate) const TEXTS: usize = Text::OriginBranch as usize + 1;

/// Which strings mostly stand in another one already, as a URI in its To or From.
const WITHIN: [(Text, Text); 2] = [(Text::Asked, Text::Local), (Text::Watcher, Text::Remote)];

/// Where in another string one stands; without a length it has its own place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Within {
    at: u8,
    len: u8,
}

impl Within {
    fn find(part: &str, whole: &str) -> Self {
        let at = whole.find(part).and_then(|at| u8::try_from(at).ok());
        let found = at.zip(u8::try_from(part.len()).ok());
        found.map_or_else(Self::default, |(at, len)| Self { at, len })
    }
}

/// Strings packed into one allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Texts {
    ends: [u16; TEXTS],
    within: [Within; WITHIN.len()],
    packed: Box<str>,
}

impl Texts {
    /// Packs strings given in the order of [`Text`]. Together they are shorter than a SIP message, so 16 bits hold
    /// their ends; what would not fit is left out.
    pub(crate) fn pack(parts: [&str; TEXTS]) -> Self {
        let mut own = parts;
        let mut within = [Within::default(); WITHIN.len()];
        for (found, (part, whole)) in within.iter_mut().zip(WITHIN) {
            *found = Within::find(parts[part as usize], parts[whole as usize]);
            if found.len > 0 {
                own[part as usize] = "";
            }
        }
        let mut ends = [0; TEXTS];
        let mut packed = String::with_capacity(own.iter().map(|part| part.len()).sum());
        for (end, part) in ends.iter_mut().zip(own) {
            if packed.len() + part.len() <= usize::from(u16::MAX) {
                packed.push_str(part);
            }
            *end = u16::try_from(packed.len()).unwrap_or(u16::MAX);
        }
        Self { ends, within, packed: packed.into_boxed_str() }
    }

    /// One of the strings.
    pub(crate) fn get(&self, text: Text) -> &str {
        for ((part, whole), Within { at, len }) in WITHIN.into_iter().zip(self.within) {
            if part == text && len > 0 {
                let (at, len) = (usize::from(at), usize::from(len));
                return self.own(whole as usize).get(at..at + len).unwrap_or("");
            }
        }
        self.own(text as usize)
    }

    fn own(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { usize::from(self.ends[index - 1]) };
        &self.packed[start..usize::from(self.ends[index])]
    }

    /// How many bytes they have together.
    pub(crate) fn bytes(&self) -> usize {
        self.packed.len() + self.within.iter().map(|within| usize::from(within.len)).sum::<usize>()
    }

    /// The same strings with some replaced.
    pub(crate) fn with(&self, changes: &[(Text, &str)]) -> Self {
        let mut parts: [&str; TEXTS] = std::array::from_fn(|index| self.own(index));
        for (part, _) in WITHIN {
            parts[part as usize] = self.get(part);
        }
        for (text, value) in changes {
            parts[*text as usize] = value;
        }
        Self::pack(parts)
    }
}

/// Why a subscription ends (RFC 6665 §4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// It expired, or the watcher unsubscribed.
    Timeout,
    /// The resource is gone, or a newer subscription of the same watcher replaced this one.
    NoResource,
    /// Subscribe again at once.
    Deactivated,
    /// The watcher may no longer watch.
    Rejected,
    /// Subscribe again later: we are stopping, or the extension may come back.
    Probation,
}

impl EndReason {
    /// The `reason` parameter.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NoResource => "noresource",
            Self::Deactivated => "deactivated",
            Self::Rejected => "rejected",
            Self::Probation => "probation",
        }
    }
}

/// A subscription.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    /// What is watched.
    pub(crate) resource: ResourceId,
    /// Its place in the watchers list of that resource and package.
    pub(crate) place: u32,
    /// Which package.
    pub(crate) package: PackageId,
    /// Index into the package's formats.
    pub(crate) format: u8,
    /// Index into `Settings::profiles`.
    pub(crate) profile: u16,
    /// Its strings.
    pub(crate) texts: Texts,
    /// Where the last SUBSCRIBE came from.
    pub(crate) flow: PackedFlow,
    /// CSeq of the watcher's last request.
    pub(crate) remote_cseq: u32,
    /// CSeq of our last NOTIFY.
    pub(crate) local_cseq: u32,
    /// CSeq of our last NOTIFY in the row that the store is known to have.
    pub(crate) stored_cseq: u32,
    /// Version of the last document.
    pub(crate) version: u32,
    /// CSeq of the request that wrote the record.
    pub(crate) origin_cseq: u32,
    /// Seconds granted by the last 2xx.
    pub(crate) granted_s: u32,
    /// When it ends.
    pub(crate) expires_at: UnixTime,
    /// When it began.
    pub(crate) created_at: UnixTime,
    /// The timer of its end.
    pub(crate) expiry: Option<TimerToken>,
    /// The timer before which no NOTIFY leaves: after one failed, or because it is too soon.
    pub(crate) retry: Option<TimerToken>,
    /// NOTIFYs that failed in a row.
    pub(crate) failures: u8,
    /// The NOTIFY that is unanswered.
    pub(crate) in_flight: Option<ClientId>,
    /// The state changed since the last NOTIFY was sent.
    pub(crate) pending: bool,
    /// The next NOTIFY goes out even if its document is the same.
    pub(crate) forced: bool,
    /// What is not told because the watcher has it (RFC 5839).
    pub(crate) suppress: Suppress,
    /// When the next NOTIFY is due if they keep their rate.
    pub(crate) next_at: Instant,
    /// How often it wants to be told; mostly nothing.
    pub(crate) pace: Option<Box<Pace>>,
    /// What of the state it wants to be told, and when; mostly everything, always.
    pub(crate) filtering: Option<Box<Filtering>>,
    /// What it is a list of; mostly it is of one resource.
    pub(crate) list: Option<Box<ListState>>,
    /// It has ended: the final NOTIFY waits for the one in flight.
    pub(crate) ending: Option<EndReason>,
    /// Hash of the document sent last.
    pub(crate) sent_hash: u64,
    /// Revision of the state sent last.
    pub(crate) sent_revision: u32,
    /// Revision of the state that the watcher acknowledged, since it was last shown everything.
    pub(crate) told_revision: Option<u32>,
    /// The last NOTIFY was answered by a 2xx, so that no version is missing.
    pub(crate) acknowledged: bool,
    /// The state word of the document sent last.
    pub(crate) told: Option<&'static str>,
    /// Status of the last answer; 408 where there was none.
    pub(crate) last_answer: Option<u16>,
    /// When it came.
    pub(crate) answered_at: UnixTime,
    /// NOTIFYs sent.
    pub(crate) notifies: u32,
    /// How far its watcher is behind.
    pub(crate) behind: Behind,
    /// How the last of them was made to fit its way.
    pub(crate) fit: Fit,
    /// What became of the stream that larger ones would take.
    pub(crate) stream: StreamTo,
    /// What the rules say of it.
    pub(crate) standing: Standing,
    /// It was pending once, and was let in.
    pub(crate) approved: bool,
}

impl Subscription {
    /// One of its strings.
    pub(crate) fn text(&self, text: Text) -> &str {
        self.texts.get(text)
    }

    /// Like [`Self::text`], `None` where it is empty.
    pub(crate) fn text_opt(&self, text: Text) -> Option<&str> {
        Some(self.texts.get(text)).filter(|value| !value.is_empty())
    }

    /// Seconds left at `now`, rounded up so that a live subscription never shows 0.
    pub(crate) fn expires_s(&self, now: UnixTime) -> u32 {
        u32::try_from(self.expires_at.since(now).as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
    }

    /// What the journal keeps of it.
    pub(crate) fn record(&self, resource: String, format: &str, profile: &str) -> SubscriptionRecord {
        let own = |text| self.text(text).to_owned();
        SubscriptionRecord {
            resource,
            package: self.package.name().to_owned(),
            event_id: self.text_opt(Text::EventId).map(str::to_owned),
            event_params: own(Text::EventParams),
            call_id: own(Text::CallId),
            local_tag: own(Text::LocalTag),
            remote_tag: own(Text::RemoteTag),
            local: own(Text::Local),
            remote: own(Text::Remote),
            asked: own(Text::Asked),
            watcher: own(Text::Watcher),
            target: own(Text::Target),
            instance: self.text_opt(Text::Instance).map(str::to_owned),
            routes: self.text_opt(Text::Routes).into_iter().map(str::to_owned).collect(),
            flow: self.flow.get(),
            remote_cseq: self.remote_cseq,
            local_cseq: self.local_cseq,
            version: self.version,
            format: format.to_owned(),
            profile: profile.to_owned(),
            user_agent: own(Text::UserAgent),
            rates: self.rates().to_string(),
            filters: self.filtering.as_ref().map(|own| own.set.clone()).unwrap_or_default(),
            sleeps: self.sleeps(),
            members: self.list.as_ref().and_then(|list| list.brought.as_deref()).unwrap_or_default().to_vec(),
            expires_at: self.expires_at,
            created_at: self.created_at,
            origin: Origin { cseq: self.origin_cseq, branch: own(Text::OriginBranch) },
        }
    }
}

/// A subscription as it stood before a change that may not be stored. It becomes a record only if it has to.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    /// The subscription then.
    pub(crate) subscription: Subscription,
    /// The name of its resource, which may be gone with it.
    pub(crate) resource: String,
    /// The name of its profile; a reload may have given the index to another.
    pub(crate) profile: String,
}

impl Before {
    /// What the journal had of it.
    pub(crate) fn record(self) -> SubscriptionRecord {
        let format = self.subscription.package.content_type(usize::from(self.subscription.format));
        self.subscription.record(self.resource, format, &self.profile)
    }
}

/// The strings of a record.
pub(crate) fn texts_of(record: &SubscriptionRecord) -> Texts {
    Texts::pack([
        record.event_id.as_deref().unwrap_or(""),
        &record.event_params,
        &record.call_id,
        &record.local_tag,
        &record.remote_tag,
        &record.local,
        &record.remote,
        &record.asked,
        &record.watcher,
        &record.target,
        record.instance.as_deref().unwrap_or(""),
        &record.routes.join(", "),
        &record.user_agent,
        &record.origin.branch,
    ])
}

/// Our tag of a subscription's dialog: its slot, so that a refresh finds it without a table, and 64 random bits, so
/// that nobody guesses it (RFC 3261 §19.3 wants at least 32).
pub(crate) fn local_tag(slot: u32, random: u64) -> String {
    format!("{slot:x}-{random:016x}")
}

/// The slot in a tag that [`local_tag`] may have made.
pub(crate) fn slot_of_tag(tag: &str) -> Option<u32> {
    let (slot, random) = tag.split_once('-')?;
    (random.len() == 16).then(|| u32::from_str_radix(slot, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Text; TEXTS] = [
        Text::EventId,
        Text::EventParams,
        Text::CallId,
        Text::LocalTag,
        Text::RemoteTag,
        Text::Local,
        Text::Remote,
        Text::Asked,
        Text::Watcher,
        Text::Target,
        Text::Instance,
        Text::Routes,
        Text::UserAgent,
        Text::OriginBranch,
    ];

    #[test]
    fn texts_come_back_and_change_one_by_one() {
        let parts = [
            "",
            "",
            "call",
            "lt",
            "rt",
            "<sip:a@x>",
            "<sip:b@x>",
            "sip:a@x",
            "b",
            "sip:b@1",
            "",
            "",
            "ua",
            "z9",
        ];
        let texts = Texts::pack(parts);
        assert_eq!(texts.get(Text::EventId), "");
        assert_eq!(texts.get(Text::EventParams), "");
        assert_eq!(texts.get(Text::CallId), "call");
        assert_eq!(texts.get(Text::OriginBranch), "z9");
        let changed = texts.with(&[(Text::Target, "sip:b@2"), (Text::EventId, "7")]);
        assert_eq!(changed.get(Text::Target), "sip:b@2");
        assert_eq!(changed.get(Text::EventId), "7");
        assert_eq!(changed.get(Text::UserAgent), "ua");
        assert_eq!(texts.get(Text::Target), "sip:b@1");
        for texts in [texts, changed] {
            assert_eq!((texts.get(Text::Asked), texts.get(Text::Local)), ("sip:a@x", "<sip:a@x>"));
            assert_eq!((texts.get(Text::Watcher), texts.get(Text::Remote)), ("b", "<sip:b@x>"));
            assert_eq!(texts.bytes(), ALL.iter().map(|text| texts.get(*text).len()).sum::<usize>());
            let apart = texts.with(&[(Text::Local, "<sip:other@x>")]);
            assert_eq!((apart.get(Text::Asked), apart.get(Text::Local)), ("sip:a@x", "<sip:other@x>"));
        }
    }

    #[test]
    fn what_stands_elsewhere_takes_no_room() {
        let long = "x".repeat(300);
        for (asked, local, kept) in [
            ("sip:a@x", "<sip:a@x>", 9),
            ("sip:a@x", "\"A\" <sip:a@x>;p=1", 17),
            ("sip:a@x", "<sip:b@x>", 16),
            ("", "<sip:b@x>", 9),
            (&long, &format!("<{long}>"), 602),
        ] {
            let texts = Texts::pack([""; TEXTS]).with(&[(Text::Asked, asked), (Text::Local, local)]);
            assert_eq!((texts.get(Text::Asked), texts.get(Text::Local)), (asked, local));
            assert_eq!(texts.packed.len(), kept, "{asked} {local}");
        }
    }

    #[test]
    fn a_tag_names_its_slot() {
        for slot in [0, 1, 0xabc, u32::MAX] {
            assert_eq!(slot_of_tag(&local_tag(slot, 42)), Some(slot));
        }
        for tag in ["", "as46a6e039", "1-2", "zz-0000000000000001", "1ffffffff-0000000000000001"] {
            assert_eq!(slot_of_tag(tag), None, "{tag}");
        }
    }
}
