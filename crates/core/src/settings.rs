//! The configuration as the core uses it: resolved, complete, no `Option` that means "default".
//!
//! Files and dialects live in the binary (`config/`); they end here. A node gets new settings whole
//! (`Command::Reload`) and compares them with the old ones.

use crate::authz::PresRules;
use crate::composition::policy::{Base, Policy};
use crate::device_state::DeviceName;
use crate::federation::Federation;
pub use crate::gateways::settings::{
    Gateway, Mapping, Password, Registration, RemotePublication, RemoteSubscription,
};
use crate::hard_state::HardState;
use crate::hint::Dialplan;
use crate::lists::Lists;
use crate::people::People;
use crate::quotas::Quotas;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Everything configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Our domains; the first is the default one, which also answers for all our addresses.
    pub domains: Vec<Domain>,
    /// Peers by name. A peer's name is its digest username and the user part of its AOR.
    pub peers: BTreeMap<String, Peer>,
    /// Which of them, and which extensions and mailboxes, belong to one person.
    pub people: People,
    /// Policies by which sources become one presence.
    pub compositions: Vec<Policy>,
    /// Contexts, extensions and hints.
    pub dialplan: Dialplan,
    /// Networks whose requests are not challenged (an authenticating proxy stands there).
    pub trusted: Vec<IpNet>,
    /// `allowsubscribe` of the general section: `false` answers every SUBSCRIBE 403, once it is known who asks.
    pub allow_subscribe: bool,
    /// What a SUBSCRIBE to an extension that exists without a hint gets.
    pub no_hint: NoHint,
    /// Status of an accepted SUBSCRIBE: 200, or 202 for old clients (RFC 6665 §8.3.1 forbids it).
    pub subscribe_response: u16,
    /// Bounds of a subscription's life, in seconds: (min, default, max).
    pub subscription_expires_s: Bounds,
    /// Bounds of a publication's life, in seconds.
    pub publication_expires_s: Bounds,
    /// Bounds of a binding's life, in seconds.
    pub registration_expires_s: Bounds,
    /// Most NOTIFYs per second of one subscription.
    pub notify_max_rate: NotifyRates,
    /// Body details of ringing (`notifyringing`).
    pub notify_ringing: NotifyRinging,
    /// Whether chan_sip's documents name the caller and the call to pick up (`notifycid`).
    pub notify_cid: NotifyCid,
    /// Whether a held call shows as on hold (`notifyhold`); otherwise it shows as the call it is.
    pub notify_hold: bool,
    /// How calls become device states.
    pub calls: CallSettings,
    /// Where calls go, and how they are picked up.
    pub routing: RoutingSettings,
    /// How long a binding outlives its closed stream.
    pub flow_grace: Duration,
    /// How much of everything peers may have.
    pub quotas: Quotas,
    /// Where requests of ours may go that a peer named the address of.
    pub egress: Egress,
    /// What a graceful stop does to subscriptions.
    pub stop: StopPolicy,
    /// NOTIFYs per second that a restart sends of its own account, at most; at least 1.
    pub restart_notify_rate: u32,
    /// `Server` and `User-Agent` of authenticated answers and NOTIFYs.
    pub server_name: String,
    /// Who may watch whom until rules say otherwise, per package.
    pub watch: WatchPolicy,
    /// Phone profiles, first match wins; the last one matches everything.
    pub profiles: Vec<Profile>,
    /// Lists of resources.
    pub lists: Lists,
    /// Longest first NOTIFY of a list over UDP, in bytes: where the names alone have more, and the watcher takes no stream, its
    /// SUBSCRIBE is 403. Beyond [`crate::limits::DATAGRAM_REQUEST_BYTES_MAX`] it goes in fragments.
    pub list_datagram_bytes: usize,
    /// Whether a NOTIFY over UDP that nothing makes fit goes in fragments; otherwise it goes without its document.
    pub notify_fragments: bool,
    /// Servers elsewhere that we are a client of.
    pub gateways: Vec<Gateway>,
    /// Domains whose users may watch ours, and whom ours may watch.
    pub federation: Vec<Federation>,
    /// Presence rules that stand in files, by the user's address as in `sip:alice@example.com`.
    pub rules: BTreeMap<String, Arc<PresRules>>,
    /// What holds of people where nobody publishes otherwise, where it stands in files: by the person's address.
    pub documents: BTreeMap<String, Arc<HardState>>,
}

/// Where calls go that name nobody here, and how a ringing one is picked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingSettings {
    /// The peer that calls to numbers not ours go to, by name.
    pub default_route: Option<String>,
    /// What stands before an extension whose ringing call is to be picked up, as in `**6001`; empty for none.
    pub pickup_code: String,
    /// What picks up a call that rings in one's group, as in `*8`; empty for none.
    pub group_pickup_code: String,
}

/// How calls that pass through the proxy become device states, and how it is found out that one is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallSettings {
    /// How long an INVITE that does not ring yet is not shown at the callee, so that "in use" does not flash before
    /// "ringing".
    pub settle: Duration,
    /// Whose lamp shows a hold.
    pub hold_shows: HoldShows,
    /// After how much silence the phones of a call are asked whether it is still there.
    pub probe_after: Duration,
    /// How often from then on.
    pub probe_every: Duration,
}

/// Whose lamp shows that a call is on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldShows {
    /// Who put it on hold.
    Holder,
    /// Who was put on hold.
    Held,
    /// Both sides.
    Both,
}

/// Where requests of ours may go to addresses that a peer named: in Contact, Record-Route, or by a name in DNS.
///
/// Some addresses are never gone to, whatever is written here (`ways`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// Only these; where there are none, wherever is no nearer to us than the peer is.
    pub allow: Vec<IpNet>,
    /// Not these, not even for peers whose address is configured.
    pub deny: Vec<IpNet>,
}

/// A range with a default; `min <= default <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Below it: 423 with Min-Expires.
    pub min: u32,
    /// Where the request names none.
    pub default: u32,
    /// Above it: cut to it.
    pub max: u32,
}

/// A domain we are responsible for.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// Canonical name, lower case.
    pub name: String,
    /// Other names and addresses that mean the same domain, lower case.
    pub aliases: Vec<String>,
    /// Digest realm.
    pub realm: String,
    /// Which algorithms the realm offers, most preferred first (RFC 8760 §2.3).
    pub algorithms: Vec<lampyris_sip::digest::Algorithm>,
    /// Whether every user part exists (`users = "any"`), for a domain behind an authenticating proxy.
    pub any_user: bool,
    /// Index into `Settings::compositions`: how the presence of its users is composed.
    pub composition: usize,
    /// The context of watchers that have no peer entry of their own (`any_user`, trusted networks).
    pub context: String,
    /// Who may watch its users where their rules do not say.
    pub watch: Scopes,
    /// The user part that means everybody of the domain, beside none at all.
    pub everybody: String,
    /// A domain with more users than this cannot be watched as a whole; 0 for none at all.
    pub everybody_max: usize,
}

/// A configured peer: a phone, a gateway, another server.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Its name: digest username, AOR user part.
    pub name: String,
    /// Index into `Settings::domains`.
    pub domain: usize,
    /// `friend`, `peer` or `user` (sip.conf `type=`).
    pub role: Role,
    /// How it proves who it is.
    pub authentication: Authentication,
    /// Other user parts that mean this AOR.
    pub aliases: Vec<String>,
    /// Where its requests are looked up.
    pub context: String,
    /// Where hints are looked up first (`subscribecontext`).
    pub subscribe_context: Option<String>,
    /// `allowsubscribe`.
    pub allow_subscribe: bool,
    /// Where it is.
    pub host: Host,
    /// The device its calls and registration move, as in `SIP/Alice`.
    pub device: DeviceName,
    /// `call-limit`, or `u32::MAX` for `callcounter=yes`; `None` counts nothing.
    pub call_limit: Option<u32>,
    /// Calls from which on the device shows BUSY.
    pub busy_level: Option<u32>,
    /// Calls from which on a `PJSIP/` device shows BUSY (`device_state_busy_at`); 0 for never.
    pub busy_at: u32,
    /// OPTIONS period where `qualify` is on.
    pub qualify: Option<Qualify>,
    /// Mailboxes it owns, as in `100@default`.
    pub mailboxes: Vec<String>,
    /// Groups its calls belong to (`callgroup`, `namedcallgroup`).
    pub call_groups: Vec<String>,
    /// Groups whose calls it may pick up (`pickupgroup`, `namedpickupgroup`).
    pub pickup_groups: Vec<String>,
    /// Whether its phones are told their message counts without having asked (`subscribemwi=no` of sip.conf).
    pub mwi_unsolicited: bool,
    /// Where requests to it go.
    pub nat: Nat,
    /// May publish for any presentity of its domain (a PBX).
    pub trusted_publisher: bool,
    /// Display name for people (`callerid`), may be empty.
    pub display: String,
    /// A profile by name instead of by User-Agent.
    pub profile: Option<String>,
    /// How much of other people's calls it is shown, where that is not as `WatchPolicy` says.
    pub dialog_reveal: Option<DialogReveal>,
    /// `permit=` and `deny=` in their order; the last that contains the source address decides, none permits.
    pub access: Vec<AccessRule>,
}

/// One `permit=` or `deny=` of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// `permit`, or `deny`.
    pub permit: bool,
    /// Source addresses it is about.
    pub network: IpNet,
}

impl Peer {
    /// Whether a request of this peer may come from this address.
    pub fn permits(&self, source: std::net::IpAddr) -> bool {
        self.access.iter().rev().find(|rule| rule.network.contains(&source)).is_none_or(|rule| rule.permit)
    }
}

impl Settings {
    /// The settings of an empty configuration: one domain `localhost`, nobody in it.
    ///
    /// Every default that an administrator can change is stated here or in the other constructors of this file, once.
    pub fn empty() -> Self {
        Self {
            domains: vec![Domain::named("localhost")],
            peers: BTreeMap::new(),
            people: People::default(),
            compositions: Base::ALL.map(Policy::of).to_vec(),
            dialplan: Dialplan::default(),
            trusted: Vec::new(),
            allow_subscribe: true,
            no_hint: NoHint::NotFound,
            subscribe_response: 200,
            subscription_expires_s: Bounds { min: 60, default: 3600, max: 43_200 },
            publication_expires_s: Bounds { min: 60, default: 3600, max: 43_200 },
            registration_expires_s: Bounds { min: 60, default: 3600, max: 43_200 },
            notify_max_rate: NotifyRates { any: 10, presence: None, dialog: None },
            notify_ringing: NotifyRinging::Yes,
            notify_cid: NotifyCid::No,
            notify_hold: true,
            calls: CallSettings {
                settle: Duration::from_millis(80),
                hold_shows: HoldShows::Holder,
                probe_after: Duration::from_secs(1800),
                probe_every: Duration::from_secs(300),
            },
            routing: RoutingSettings {
                default_route: None,
                pickup_code: "**".to_owned(),
                group_pickup_code: "*8".to_owned(),
            },
            flow_grace: Duration::from_secs(5),
            quotas: Quotas::default(),
            egress: Egress::default(),
            stop: StopPolicy::Keep,
            restart_notify_rate: 2000,
            server_name: concat!("lampyris/", env!("CARGO_PKG_VERSION")).to_owned(),
            watch: WatchPolicy::default(),
            profiles: vec![Profile::rfc()],
            lists: Lists::default(),
            list_datagram_bytes: crate::limits::DATAGRAM_REQUEST_BYTES_MAX,
            notify_fragments: true,
            gateways: Vec::new(),
            federation: Vec::new(),
            rules: BTreeMap::new(),
            documents: BTreeMap::new(),
        }
    }
}

impl Domain {
    /// A domain with every default: realm of the same name, no algorithm yet, configured users only.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_ascii_lowercase(),
            aliases: Vec::new(),
            realm: name.to_ascii_lowercase(),
            algorithms: Vec::new(),
            any_user: false,
            composition: 0,
            context: "default".to_owned(),
            watch: Scopes::default(),
            everybody: "all".to_owned(),
            everybody_max: 100,
        }
    }

    /// Whether this is its name or one of its aliases, in any case.
    pub(crate) fn answers_to(&self, host: &str) -> bool {
        self.name.eq_ignore_ascii_case(host)
            || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(host))
    }
}

impl Peer {
    /// A phone that registers, in the first domain, with every default and no secret yet.
    pub fn named(name: &str, device: DeviceName) -> Self {
        Self {
            name: name.to_owned(),
            domain: 0,
            role: Role::Friend,
            authentication: Authentication::Digest(Vec::new()),
            aliases: Vec::new(),
            context: "default".to_owned(),
            subscribe_context: None,
            allow_subscribe: true,
            host: Host::Dynamic,
            device,
            call_limit: None,
            busy_level: None,
            busy_at: 0,
            qualify: None,
            mailboxes: Vec::new(),
            call_groups: Vec::new(),
            pickup_groups: Vec::new(),
            mwi_unsolicited: false,
            nat: Nat::Auto,
            trusted_publisher: false,
            display: String::new(),
            profile: None,
            dialog_reveal: None,
            access: Vec::new(),
        }
    }
}

impl Profile {
    /// Stands in `user_agents` of a profile that is chosen by name only; no header can contain it.
    pub const BY_NAME_ONLY: &'static str = "\r\n";

    /// Whether this profile is for a phone that says this of itself.
    pub fn matches(&self, user_agent: &str) -> bool {
        // Why without copies: every SUBSCRIBE asks each profile.
        let agent = user_agent.as_bytes();
        let selects = |part: &String| match part.strip_prefix('^') {
            Some(start) => {
                agent.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start.as_bytes()))
            }
            None if part.is_empty() => true,
            None => agent.windows(part.len()).any(|own| own.eq_ignore_ascii_case(part.as_bytes())),
        };
        self.user_agents.is_empty() || self.user_agents.iter().any(selects)
    }

    /// The profile of phones that do as the RFCs say; it matches every User-Agent.
    pub fn rfc() -> Self {
        Self {
            name: "default".to_owned(),
            user_agents: Vec::new(),
            variant: crate::body::Variant::Rfc,
            prefer: Vec::new(),
            on_timeout: OnTimeout::Remove,
            buggy_mwi: false,
            retry_statuses: Vec::new(),
            idle_dialog: true,
            single_dialog: false,
            notify_max_rate: None,
            partial_dialogs: false,
            digium: false,
            auto_answer: Vec::new(),
            pickup: Pickup::Replaces,
            end_notify: true,
            list_event_capital: false,
            list_bare_ids: false,
            shorten: true,
            reason: String::new(),
        }
    }
}

/// sip.conf's `type=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Both.
    Friend,
    /// Matched by address or registration.
    Peer,
    /// Matched by From user.
    User,
}

/// How a peer proves who it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Authentication {
    /// Digest, with the HA1s known (plain secrets are turned into all HA1s its algorithms need at load).
    Digest(Vec<lampyris_sip::digest::Ha1>),
    /// By its source address (`host=` with `insecure=invite` or no secret).
    Address,
    /// Not challenged at all; explicit and logged (`insecure=very`-like opening in a laboratory).
    Open,
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq)]
pub enum Host {
    /// It registers.
    Dynamic,
    /// Always at this address; `insecure=port` leaves the port out of the match.
    Fixed {
        /// Address and port.
        address: SocketAddr,
        /// Match any source port.
        any_port: bool,
    },
    /// Always at this name, resolved by RFC 3263.
    Named(String, Option<u16>),
}

/// OPTIONS keep-alive of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qualify {
    /// Between two OPTIONS.
    pub every: Duration,
    /// A later answer counts as unreachable.
    pub wait: Duration,
}

/// Where a NOTIFY without a route set goes over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// To the Contact, except where its address is not the one the request came from.
    Auto,
    /// To the Contact.
    Contact,
    /// To the source.
    Source,
}

/// What watching an extension without a hint gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHint {
    /// 404.
    NotFound,
    /// An always-open lamp (old Asterisk).
    Open,
}

/// What the documents tell of ringing (`notifyringing` of sip.conf).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NotifyRinging {
    /// Ringing shows, also beside a call.
    #[default]
    Yes,
    /// Ringing does not show as such.
    No,
    /// Ringing shows only while no call is up.
    NotInUse,
}

/// Whether chan_sip's documents name the caller (`notifycid` of sip.conf).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotifyCid {
    /// No.
    #[default]
    No,
    /// Where the call was looked up in the context of the watched extension.
    Yes,
    /// Always.
    IgnoreContext,
}

/// How much of other people's calls watchers are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DialogReveal {
    /// Also with whom, and the identifiers that picking up needs.
    #[default]
    Party,
    /// That there is a call, and its state.
    State,
}

/// What dialog documents say of somebody who is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DialogOffline {
    /// The same as of somebody who is idle.
    #[default]
    Idle,
    /// A presence document beside the dialogs says `closed`.
    Presence,
}

/// What a graceful stop does to subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopPolicy {
    /// They stay in the store and go on after the restart.
    Keep,
    /// Each is told `terminated;reason=probation`, with when to come back.
    End,
}

/// What watchers of mailboxes and calls are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchPolicy {
    /// Of a mailbox: beside the owner, these peers may watch this mailbox.
    pub mailbox_watchers: BTreeMap<String, Vec<String>>,
    /// How much of a call its watchers are shown; the presentity sees all of its own.
    pub dialog_reveal: DialogReveal,
    /// What dialog documents say of somebody who is not there.
    pub dialog_offline: DialogOffline,
}

/// Who may watch a domain's users by default, per kind of state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// Their presence.
    pub presence: WatchScope,
    /// Their calls.
    pub calls: WatchScope,
}

/// Who may watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchScope {
    /// Whoever is authenticated in the same domain.
    #[default]
    SameDomain,
    /// Whoever is authenticated.
    Everyone,
    /// Nobody but the presentity.
    Nobody,
    /// Whoever is authenticated, as soon as the presentity allows it.
    Confirm,
}

/// A phone profile: how a kind of phone wants to be treated. Data, chosen by User-Agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its name, as in `polycom`.
    pub name: String,
    /// Case-insensitive parts of the User-Agent, any of which selects it; one that begins with `^` stands at the start.
    /// No part at all matches everything.
    pub user_agents: Vec<String>,
    /// Which shape of body it gets.
    pub variant: crate::body::Variant,
    /// Body formats in order of our preference, over the package's own; only among those in Accept.
    pub prefer: Vec<String>,
    /// What an unanswered NOTIFY means.
    pub on_timeout: OnTimeout,
    /// Cisco's short MWI body.
    pub buggy_mwi: bool,
    /// Most NOTIFYs per second of one of its subscriptions, where that is less than others get.
    pub notify_max_rate: Option<u32>,
    /// Statuses that do not end the subscription but are tried again (Polycom's 450).
    pub retry_statuses: Vec<u16>,
    /// An idle lamp is a terminated `<dialog>`; otherwise dialog-info in the RFC's variant has no dialog then.
    pub idle_dialog: bool,
    /// dialog-info holds at most one `<dialog>`, the first of: ringing at the user, up and heard, not answered yet, held,
    /// terminated; of equals the oldest. Such a document is always `state="full"`.
    pub single_dialog: bool,
    /// After the first, dialog-info may hold only the dialogs that changed, with `state="partial"` (RFC 4235 §3.4).
    pub partial_dialogs: bool,
    /// pidf has the tuple `digium-presence`.
    pub digium: bool,
    /// Headers (name, value) of an INVITE that the phone is to answer by itself.
    pub auto_answer: Vec<(String, String)>,
    /// How a person at this phone takes a call that rings elsewhere.
    pub pickup: Pickup,
    /// It is told when its subscription ran out, was ended by itself or was replaced; without it a fetch is still answered
    /// and an end of our making still told.
    pub end_notify: bool,
    /// NOTIFYs of a list name the event package with a capital, as in `Presence`.
    pub list_event_capital: bool,
    /// The parts of a list's NOTIFY have their Content-Id without angle brackets, as the list has it.
    pub list_bare_ids: bool,
    /// Whether documents too large for a datagram are shortened.
    pub shorten: bool,
    /// Why the profile is as it is, for people.
    pub reason: String,
}

/// Most NOTIFYs per second of one subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifyRates {
    /// Of a package that is not named below.
    pub any: u32,
    /// Of `presence`.
    pub presence: Option<u32>,
    /// Of `dialog`.
    pub dialog: Option<u32>,
}

/// How a phone takes a call that rings elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pickup {
    /// An INVITE with Replaces (RFC 3891), from the Call-ID and tags in dialog-info.
    Replaces,
    /// An INVITE to a feature code and the extension, as in `**6001`.
    Code,
}

impl Pickup {
    /// Its name in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replaces => "replaces",
            Self::Code => "code",
        }
    }
}

/// What an unanswered NOTIFY means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTimeout {
    /// The subscription is removed (RFC 6665 §4.2.2).
    Remove,
    /// It stays and the NOTIFY is tried again with back-off, first after this time.
    Retry(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_user_agent_selects_a_profile() {
        let matches = |parts: &[&str], user_agent| {
            let user_agents = parts.iter().map(|part| (*part).to_owned()).collect();
            Profile { user_agents, ..Profile::rfc() }.matches(user_agent)
        };
        let zoiper: &[&str] = &["^Z ", "zoiper"];
        for (parts, user_agent, selected) in [
            (zoiper, "Z 3.2.21357 r21103", true),
            (zoiper, "z 5.6.1", true),
            (zoiper, "Zoiper rv2.10", true),
            (zoiper, "Blitz 3.2", false),
            (&[], "anything", true),
            (&[Profile::BY_NAME_ONLY], "", false),
        ] {
            assert_eq!(matches(parts, user_agent), selected, "{user_agent}");
        }
    }

    #[test]
    fn the_last_rule_that_contains_the_source_decides() {
        let rule = |permit, network: &str| AccessRule { permit, network: network.parse().unwrap() };
        let mut peer = Peer::named("a", DeviceName::parse("SIP/a").unwrap());
        assert!(peer.permits([10, 0, 0, 1].into()));
        peer.access = vec![rule(false, "0.0.0.0/0"), rule(true, "10.0.0.0/8"), rule(false, "10.1.0.0/16")];
        for (source, permitted) in [([10, 0, 0, 1], true), ([10, 1, 0, 1], false), ([192, 0, 2, 1], false)] {
            assert_eq!(peer.permits(source.into()), permitted, "{source:?}");
        }
    }
}
