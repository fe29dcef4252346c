//! Device states, their aggregation into an extension state, and presence states, with Asterisk's semantics.
//!
//! In: what is known of a device (peer counters, channels, a stored state) and the devices of a hint. Out: one
//! [`DeviceState`], one [`ExtensionState`], one [`PresenceState`]. It keeps no state and knows no hints or names of
//! people; who reports a state and until when is the business of `composition`.

use crate::limits;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The state of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceState {
    /// Nothing is known of the device.
    #[default]
    Unknown,
    /// Reachable and free.
    NotInUse,
    /// In a call.
    InUse,
    /// In as many calls as it takes.
    Busy,
    /// No such device.
    Invalid,
    /// Not registered or not reachable.
    Unavailable,
    /// A call is ringing.
    Ringing,
    /// A call is ringing while another is up.
    RingInUse,
    /// Its call is on hold.
    OnHold,
}

impl DeviceState {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::NotInUse,
        Self::InUse,
        Self::Busy,
        Self::Invalid,
        Self::Unavailable,
        Self::Ringing,
        Self::RingInUse,
        Self::OnHold,
    ];

    /// The state named `name` in any case; a name nobody knows is [`DeviceState::Unknown`].
    pub fn parse(name: &str) -> Self {
        Self::from_name(name).unwrap_or(Self::Unknown)
    }

    /// The state named `name` in any case, or `None`, for input that should be checked.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL.into_iter().find(|state| state.name().eq_ignore_ascii_case(name))
    }

    /// The word used in commands and files, such as `NOT_INUSE`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::NotInUse => "NOT_INUSE",
            Self::InUse => "INUSE",
            Self::Busy => "BUSY",
            Self::Invalid => "INVALID",
            Self::Unavailable => "UNAVAILABLE",
            Self::Ringing => "RINGING",
            Self::RingInUse => "RINGINUSE",
            Self::OnHold => "ONHOLD",
        }
    }

    /// The long form shown to people, such as `Not in use`.
    pub const fn long_name(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::NotInUse => "Not in use",
            Self::InUse => "In use",
            Self::Busy => "Busy",
            Self::Invalid => "Invalid",
            Self::Unavailable => "Unavailable",
            Self::Ringing => "Ringing",
            Self::RingInUse => "Ring+Inuse",
            Self::OnHold => "On Hold",
        }
    }

    /// What an extension with this aggregated device state shows.
    pub const fn extension(self) -> ExtensionState {
        match self {
            Self::NotInUse | Self::Unknown => ExtensionState::Idle,
            Self::InUse => ExtensionState::InUse,
            Self::Busy => ExtensionState::Busy,
            Self::Unavailable | Self::Invalid => ExtensionState::Unavailable,
            Self::Ringing => ExtensionState::Ringing,
            Self::RingInUse => ExtensionState::InUseRinging,
            Self::OnHold => ExtensionState::Hold,
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Invalid => 0,
            Self::Unknown => 1,
            Self::Unavailable => 2,
            Self::NotInUse => 3,
            Self::OnHold => 4,
            Self::Ringing => 5,
            Self::InUse => 6,
            Self::Busy => 7,
            Self::RingInUse => 8,
        }
    }
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One state for many devices (or for one device as several servers see it); none at all is `Invalid`.
///
/// The highest rank wins, except that a ringing device beside one in use, on hold or busy gives `RingInUse`. The order
/// of the devices does not matter.
pub fn aggregate(states: impl Iterator<Item = DeviceState>) -> DeviceState {
    let (mut highest, mut ringing, mut in_call) = (DeviceState::Invalid, false, false);
    for state in states {
        ringing |= state == DeviceState::Ringing;
        in_call |= matches!(state, DeviceState::InUse | DeviceState::OnHold | DeviceState::Busy);
        if state.rank() > highest.rank() {
            highest = state;
        }
    }
    if ringing && in_call { DeviceState::RingInUse } else { highest }
}

/// What the lamp of an extension shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExtensionState {
    /// The extension is gone.
    Removed,
    /// Its hint is out of service.
    Deactivated,
    /// Free.
    Idle,
    /// In a call.
    InUse,
    /// In as many calls as it takes.
    Busy,
    /// Not there.
    #[default]
    Unavailable,
    /// A call is ringing.
    Ringing,
    /// A call is ringing while another is up.
    InUseRinging,
    /// Its call is on hold.
    Hold,
    /// In a call and another on hold; it has a name but no device state leads to it.
    InUseHold,
}

impl ExtensionState {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Removed,
        Self::Deactivated,
        Self::Idle,
        Self::InUse,
        Self::Busy,
        Self::Unavailable,
        Self::Ringing,
        Self::InUseRinging,
        Self::Hold,
        Self::InUseHold,
    ];

    /// Asterisk's word for it on the command line; the two states without one print as `Unknown`.
    pub const fn cli_word(self) -> &'static str {
        match self {
            Self::Removed | Self::Deactivated => "Unknown",
            Self::Idle => "Idle",
            Self::InUse => "InUse",
            Self::Busy => "Busy",
            Self::Unavailable => "Unavailable",
            Self::Ringing => "Ringing",
            Self::InUseRinging => "InUse&Ringing",
            Self::Hold => "Hold",
            Self::InUseHold => "InUse&Hold",
        }
    }

    /// Asterisk's number for it.
    pub const fn number(self) -> i8 {
        match self {
            Self::Removed => -2,
            Self::Deactivated => -1,
            Self::Idle => 0,
            Self::InUse => 1,
            Self::Busy => 2,
            Self::Unavailable => 4,
            Self::Ringing => 8,
            Self::InUseRinging => 9,
            Self::Hold => 16,
            Self::InUseHold => 17,
        }
    }

    /// Whether a call is ringing.
    pub const fn is_ringing(self) -> bool {
        matches!(self, Self::Ringing | Self::InUseRinging)
    }

    /// Whether there is a call: up, held or ringing.
    pub const fn is_in_call(self) -> bool {
        matches!(
            self,
            Self::InUse | Self::Busy | Self::Ringing | Self::InUseRinging | Self::Hold | Self::InUseHold
        )
    }
}

impl From<DeviceState> for ExtensionState {
    fn from(state: DeviceState) -> Self {
        state.extension()
    }
}

impl fmt::Display for ExtensionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cli_word())
    }
}

/// Whether watchers are told: the state differs, or it rings (again), since another caller may be ringing now.
pub fn changed_worth_notifying(old: ExtensionState, new: ExtensionState) -> bool {
    old != new || new.is_ringing()
}

/// The name of a device of any technology, such as `SIP/alice`, `park:701@parkedcalls` or `Custom:door`.
///
/// Names that differ only in ASCII case are the same device; it is shown as it was typed.
#[derive(Clone)]
pub struct DeviceName(Box<str>);

impl DeviceName {
    /// The device called `typed`.
    ///
    /// `None` where it cannot name one: empty, longer than [`limits::DEVICE_NAME_BYTES_MAX`], with a control character or with
    /// one of the separators of a hint (`&`, `,`).
    pub fn parse(typed: &str) -> Option<Self> {
        let typed = typed.trim();
        let names_nothing = typed.is_empty() || typed.len() > limits::DEVICE_NAME_BYTES_MAX;
        if names_nothing || typed.contains(|c: char| c.is_control() || c == '&' || c == ',') {
            return None;
        }
        Some(Self(typed.into()))
    }

    /// The name as it was typed.
    pub fn as_typed(&self) -> &str {
        &self.0
    }

    /// The name all its spellings share, for keys that leave this process.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The technology: what stands before the first `/` or `:` (`SIP`, `park`, `Custom`); empty where there is none.
    pub fn tech(&self) -> &str {
        self.split().0
    }

    /// What stands after the technology (`alice`, `701@parkedcalls`).
    pub fn id(&self) -> &str {
        self.split().1
    }

    /// Whether the technology is `tech`, in any case.
    pub fn is_tech(&self, tech: &str) -> bool {
        self.tech().eq_ignore_ascii_case(tech)
    }

    fn split(&self) -> (&str, &str) {
        self.0.split_once(['/', ':']).unwrap_or(("", &self.0))
    }

    fn folded(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl PartialEq for DeviceName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for DeviceName {}

impl PartialOrd for DeviceName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DeviceName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl Hash for DeviceName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().for_each(|byte| state.write_u8(byte));
        state.write_u8(0xff);
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the registrar and the call counters know of a chan_sip peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerFacts {
    /// It has an address: registered, or a fixed host.
    pub registered: bool,
    /// It answered its last qualify OPTIONS; read only when `qualify` is set.
    pub reachable: bool,
    /// It is probed (`qualify=yes`).
    pub qualify: bool,
    /// Calls on hold.
    pub onhold: u32,
    /// Calls ringing.
    pub ringing: u32,
    /// Calls, ringing ones included.
    pub inuse: u32,
    /// Most calls (`call-limit`); `callcounter=yes` is [`PeerFacts::COUNTED`]; `None` when calls are not counted.
    pub call_limit: Option<u32>,
    /// Calls from which it shows busy (`busylevel`); `None` or 0 when unset.
    pub busylevel: Option<u32>,
}

impl PeerFacts {
    /// The call limit of `callcounter=yes`: calls are counted and never refused.
    pub const COUNTED: u32 = u32::MAX;
}

/// The device state of a chan_sip peer; `None` (no such peer) is `Invalid`.
pub fn peer_state(facts: Option<PeerFacts>) -> DeviceState {
    let Some(facts) = facts else { return DeviceState::Invalid };
    let limit = facts.call_limit.filter(|limit| *limit > 0);
    let full = facts.busylevel.is_some_and(|level| level > 0 && facts.inuse >= level);
    // Why: the order is chan_sip's and the first match wins; a peer that lost its address shows nothing else.
    if !facts.registered {
        DeviceState::Unavailable
    } else if facts.onhold > 0 {
        DeviceState::OnHold
    } else if facts.ringing > 0 {
        if facts.ringing == facts.inuse { DeviceState::Ringing } else { DeviceState::RingInUse }
    } else if limit.is_some_and(|limit| facts.inuse == limit || full) {
        DeviceState::Busy
    } else if limit.is_some() && facts.inuse > 0 {
        DeviceState::InUse
    } else if facts.qualify && !facts.reachable {
        DeviceState::Unavailable
    } else {
        DeviceState::NotInUse
    }
}

/// The state of a channel, that is of one call leg, in Asterisk's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelState {
    /// Down and free.
    Down,
    /// Down but reserved.
    Reserved,
    /// Off hook.
    OffHook,
    /// Digits are being dialled.
    Dialing,
    /// It hears the other end ring.
    Ring,
    /// It rings.
    Ringing,
    /// The call is up.
    Up,
    /// The line is busy.
    Busy,
    /// Dialling while off hook.
    DialingOffHook,
    /// It is about to ring.
    PreRing,
}

impl ChannelState {
    /// The device state one channel in this state gives.
    pub const fn device(self) -> DeviceState {
        match self {
            Self::Down => DeviceState::NotInUse,
            Self::Ringing | Self::PreRing => DeviceState::Ringing,
            Self::Busy => DeviceState::Busy,
            Self::Reserved | Self::OffHook | Self::Dialing | Self::Ring | Self::Up | Self::DialingOffHook => {
                DeviceState::InUse
            }
        }
    }
}

/// One channel of a chan_pjsip endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its state.
    pub state: ChannelState,
    /// It is on hold.
    pub held: bool,
}

/// The device state of a chan_pjsip endpoint.
///
/// `online` is `None` while it is neither known to be reachable nor unreachable; `busy_at` is `device_state_busy_at`, 0
/// for never. An endpoint that does not exist is `Invalid` and has no facts to pass here.
pub fn endpoint_state(online: Option<bool>, channels: &[Channel], busy_at: usize) -> DeviceState {
    if channels.is_empty() {
        return match online {
            Some(true) => DeviceState::NotInUse,
            Some(false) => DeviceState::Unavailable,
            None => DeviceState::Unknown,
        };
    }
    let idle = |channel: &&Channel| matches!(channel.state, ChannelState::Down | ChannelState::Reserved);
    let in_use = channels.len() - channels.iter().filter(idle).count();
    if busy_at != 0 && in_use >= busy_at {
        return DeviceState::Busy;
    }
    aggregate(channels.iter().map(|c| if c.held { DeviceState::OnHold } else { c.state.device() }))
}

/// What a person says of themselves (`CustomPresence:`), lowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PresenceValue {
    /// No such presence provider.
    Invalid,
    /// Nothing was said.
    #[default]
    NotSet,
    /// Available.
    Available,
    /// Not available.
    Unavailable,
    /// Wants to chat.
    Chat,
    /// Away for a short while.
    Away,
    /// Away for long ("extended away").
    ExtendedAway,
    /// Does not want to be disturbed.
    DoNotDisturb,
}

impl PresenceValue {
    /// Every value, lowest first.
    pub const ALL: [Self; 8] = [
        Self::Invalid,
        Self::NotSet,
        Self::Available,
        Self::Unavailable,
        Self::Chat,
        Self::Away,
        Self::ExtendedAway,
        Self::DoNotDisturb,
    ];

    /// The word used in commands and files, such as `xa`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotSet => "not_set",
            Self::Available => "available",
            Self::Unavailable => "unavailable",
            Self::Chat => "chat",
            Self::Away => "away",
            Self::ExtendedAway => "xa",
            Self::DoNotDisturb => "dnd",
        }
    }

    /// The value named `name` in any case; `invalid` cannot be set, so it is no name.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        let named = |value: &Self| *value != Self::Invalid && value.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(named)
    }
}

/// A presence value with what was said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresenceState {
    /// The value.
    pub value: PresenceValue,
    /// A finer word, such as `lunch`; empty for none.
    pub subtype: String,
    /// A message for people; empty for none.
    pub message: String,
}

impl PresenceState {
    /// The one of several presence states a hint shows: the highest value, the first where two are equal.
    pub fn highest(states: impl Iterator<Item = Self>) -> Option<Self> {
        states.reduce(|best, next| if next.value > best.value { next } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeviceState::*;

    const AXIS: [DeviceState; 9] =
        [Unknown, NotInUse, InUse, Busy, Invalid, Unavailable, Ringing, RingInUse, OnHold];
    /// Two devices, what the lamp shows: rows and columns in the order of `AXIS`.
    const TABLE: [&str; 9] = [
        "Idle    Idle    InUse Busy Idle    Unavail Ringing I&R Hold",
        "Idle    Idle    InUse Busy Idle    Idle    Ringing I&R Hold",
        "InUse   InUse   InUse Busy InUse   InUse   I&R     I&R InUse",
        "Busy    Busy    Busy  Busy Busy    Busy    I&R     I&R Busy",
        "Idle    Idle    InUse Busy Unavail Unavail Ringing I&R Hold",
        "Unavail Idle    InUse Busy Unavail Unavail Ringing I&R Hold",
        "Ringing Ringing I&R   I&R  Ringing Ringing Ringing I&R I&R",
        "I&R     I&R     I&R   I&R  I&R     I&R     I&R     I&R I&R",
        "Hold    Hold    InUse Busy Hold    Hold    I&R     I&R Hold",
    ];

    #[test]
    fn every_pair_of_devices_aggregates_as_the_table_says() {
        for (row, first) in TABLE.iter().zip(AXIS) {
            for (word, second) in row.split_whitespace().zip(AXIS) {
                let word = word.replace("I&R", "InUse&Ringing").replace("Unavail", "Unavailable");
                let shown = aggregate([first, second].into_iter()).extension();
                assert_eq!(shown.cli_word(), word, "{first} + {second}");
            }
            assert_eq!(row.split_whitespace().count(), AXIS.len());
        }
    }

    #[test]
    fn the_order_of_devices_never_matters() {
        for a in AXIS {
            for b in AXIS {
                for c in AXIS {
                    let all = [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]];
                    let results = all.map(|order| aggregate(order.into_iter()));
                    assert!(results.iter().all(|r| *r == results[0]), "{a} {b} {c}: {results:?}");
                }
            }
        }
        assert_eq!(aggregate(std::iter::empty()), Invalid);
    }

    #[test]
    fn names_are_read_in_any_case_and_anything_else_is_unknown() {
        for state in DeviceState::ALL {
            assert_eq!(DeviceState::parse(&state.name().to_lowercase()), state);
            assert_eq!(DeviceState::from_name(state.name()), Some(state));
        }
        assert_eq!((DeviceState::parse("asleep"), DeviceState::from_name("asleep")), (Unknown, None));
        assert_eq!(DeviceState::RingInUse.long_name(), "Ring+Inuse");
    }

    #[test]
    fn extension_words_and_numbers() {
        let words = ExtensionState::ALL.map(|s| (s.number(), s.cli_word()));
        let expected = [
            (-2, "Unknown"),
            (-1, "Unknown"),
            (0, "Idle"),
            (1, "InUse"),
            (2, "Busy"),
            (4, "Unavailable"),
            (8, "Ringing"),
            (9, "InUse&Ringing"),
            (16, "Hold"),
            (17, "InUse&Hold"),
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn ringing_is_told_again_and_nothing_else_is() {
        use ExtensionState as E;
        for old in E::ALL {
            for new in E::ALL {
                let told = changed_worth_notifying(old, new);
                assert_eq!(told, old != new || matches!(new, E::Ringing | E::InUseRinging), "{old} -> {new}");
            }
        }
    }

    #[test]
    fn device_names_of_any_technology() {
        let rows = [
            ("SIP/Bob-mobile", "SIP", "Bob-mobile"),
            ("PJSIP/bob", "PJSIP", "bob"),
            ("IAX2/gw", "IAX2", "gw"),
            ("Local/6001@default/n", "Local", "6001@default/n"),
            ("Agent/42", "Agent", "42"),
            ("park:701@parkedcalls", "park", "701@parkedcalls"),
            ("Custom:door", "Custom", "door"),
            ("Queue:sales", "Queue", "sales"),
            ("MWI:100@default", "MWI", "100@default"),
            ("CustomPresence:bob", "CustomPresence", "bob"),
            ("nothing", "", "nothing"),
        ];
        for (typed, tech, id) in rows {
            let name = DeviceName::parse(&format!(" {typed} ")).unwrap();
            assert_eq!((name.as_typed(), name.tech(), name.id()), (typed, tech, id));
            let shouted = DeviceName::parse(&typed.to_uppercase()).unwrap();
            assert!(name == shouted && name.cmp(&shouted) == Ordering::Equal && name.key() == shouted.key());
            assert_eq!(std::collections::BTreeSet::from([name, shouted]).len(), 1);
        }
        let long = "x".repeat(limits::DEVICE_NAME_BYTES_MAX + 1);
        for wrong in ["", "  ", "SIP/a&SIP/b", "SIP/a,b", "SIP/a\nb", long.as_str()] {
            assert_eq!(DeviceName::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_chan_sip_peer_shows_the_first_thing_that_holds() {
        let up = PeerFacts { registered: true, call_limit: Some(PeerFacts::COUNTED), ..PeerFacts::default() };
        let rows = [
            (PeerFacts { registered: false, onhold: 1, ringing: 1, inuse: 1, ..up }, Unavailable),
            (PeerFacts { onhold: 1, ringing: 1, inuse: 1, ..up }, OnHold),
            (PeerFacts { ringing: 1, inuse: 1, ..up }, Ringing),
            (PeerFacts { ringing: 1, inuse: 2, ..up }, RingInUse),
            (PeerFacts { ringing: 1, inuse: 0, call_limit: None, ..up }, RingInUse),
            (PeerFacts { inuse: 2, call_limit: Some(2), ..up }, Busy),
            (PeerFacts { inuse: 3, call_limit: Some(2), ..up }, InUse),
            (PeerFacts { inuse: 1, busylevel: Some(1), ..up }, Busy),
            (PeerFacts { inuse: 1, busylevel: Some(2), ..up }, InUse),
            (PeerFacts { inuse: 1, busylevel: Some(0), ..up }, InUse),
            (PeerFacts { inuse: 1, busylevel: Some(1), call_limit: None, ..up }, NotInUse),
            (PeerFacts { inuse: 1, qualify: true, ..up }, InUse),
            (PeerFacts { qualify: true, ..up }, Unavailable),
            (PeerFacts { qualify: true, reachable: true, ..up }, NotInUse),
            (up, NotInUse),
        ];
        for (facts, state) in rows {
            assert_eq!(peer_state(Some(facts)), state, "{facts:?}");
        }
        assert_eq!(peer_state(None), Invalid);
    }

    #[test]
    fn a_chan_pjsip_endpoint_aggregates_its_channels() {
        use ChannelState as C;
        let (up, ringing) =
            (Channel { state: C::Up, held: false }, Channel { state: C::Ringing, held: false });
        let (held, down) = (Channel { held: true, ..up }, Channel { state: C::Down, held: false });
        let rows: [(Option<bool>, &[Channel], usize, DeviceState); 10] = [
            (None, &[], 0, Unknown),
            (Some(true), &[], 1, NotInUse),
            (Some(false), &[], 0, Unavailable),
            (Some(false), &[up], 0, InUse),
            (Some(true), &[up, ringing], 0, RingInUse),
            (Some(true), &[held], 0, OnHold),
            (Some(true), &[held, up], 0, InUse),
            (Some(true), &[up], 1, Busy),
            (Some(true), &[down], 1, NotInUse),
            (Some(true), &[ringing, up], 2, Busy),
        ];
        for (online, channels, busy_at, state) in rows {
            assert_eq!(endpoint_state(online, channels, busy_at), state, "{online:?} {channels:?} {busy_at}");
        }
    }

    #[test]
    fn the_highest_presence_wins_and_the_first_of_equals_stays() {
        let say =
            |value, message: &str| PresenceState { value, message: message.into(), ..Default::default() };
        let order = ["not_set", "available", "unavailable", "chat", "away", "xa", "dnd"];
        let values: Vec<_> = order.iter().map(|name| PresenceValue::parse(name).unwrap()).collect();
        assert!(values.is_sorted() && values.iter().all(|v| *v > PresenceValue::Invalid));
        let both = [say(PresenceValue::Away, "one"), say(PresenceValue::Away, "two")];
        assert_eq!(PresenceState::highest(both.into_iter()).unwrap().message, "one");
        let both = [say(PresenceValue::Available, "one"), say(PresenceValue::DoNotDisturb, "two")];
        assert_eq!(PresenceState::highest(both.into_iter()).unwrap().message, "two");
        assert_eq!(
            (PresenceValue::parse("invalid"), PresenceValue::parse("DND")),
            (None, PresenceValue::ALL.last().copied())
        );
    }
}
