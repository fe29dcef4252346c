//! What an administrator can ask of a node: one closed enum, answered at once by [`Reply`].
//!
//! The CLI, the admin socket and HTTP all come down to these.

use crate::authz::Handling;
use crate::features::Feature;
use crate::journal::Counts;
use crate::settings::Settings;
use crate::view;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// All hints.
    Hints,
    /// Hints whose extension starts with this.
    Hint(String),
    /// All extensions and people that exist now, with what is shown of them.
    Presentities,
    /// All subscriptions.
    Subscriptions,
    /// All publications.
    Publications,
    /// All AORs with bindings.
    Registrations,
    /// All devices known: configured, hinted, or set by command.
    Devices,
    /// All peers.
    Peers,
    /// All calls that pass through.
    Calls,
    /// All mailboxes known.
    Mailboxes,
    /// All phone profiles, in the order they are tried.
    Profiles,
    /// All lists that are configured or watched.
    Lists,
    /// One list: who is in it, and who watches it.
    List(String),
    /// Set a device's state: `Custom:` and other devices without a provider are simply stored, others overridden.
    SetDevice {
        /// As in `Custom:night`.
        device: String,
        /// A state's name, in any case.
        state: String,
        /// How long, in seconds; for ever where `None`.
        for_s: Option<u64>,
    },
    /// Remove what `SetDevice` set.
    ClearDevice {
        /// As in `Custom:night`.
        device: String,
    },
    /// Set a mailbox's counts.
    SetMailbox {
        /// As in `100@default`.
        mailbox: String,
        /// The counts.
        counts: Counts,
    },
    /// All features that users have set.
    Features,
    /// Set a feature of a user.
    SetFeature {
        /// A peer's name, or an AOR as in `alice@example.com`.
        user: String,
        /// Which.
        feature: Feature,
        /// Where calls go, for forwarding.
        target: Option<String>,
        /// After how many seconds nobody has answered.
        after_s: Option<u32>,
    },
    /// Switch a feature of a user off.
    ClearFeature {
        /// A peer's name, or an AOR as in `alice@example.com`.
        user: String,
        /// Which.
        feature: Feature,
    },
    /// Set what a person says of themselves.
    SetStatus {
        /// A person's or peer's name, or an AOR as in `alice@example.com`.
        person: String,
        /// As in `away`.
        status: String,
        /// In the person's own words; may be empty.
        note: String,
        /// How long, in seconds; until it is cleared where `None`.
        for_s: Option<u64>,
    },
    /// Forget what a person said of themselves.
    ClearStatus {
        /// A person's or peer's name, or an AOR.
        person: String,
    },
    /// What is to hold of a person where nobody publishes otherwise; `None` removes it.
    SetDocument {
        /// A person's or peer's name, or an AOR.
        person: String,
        /// A presence document (RFC 3863).
        document: Option<String>,
    },
    /// What holds of a person where nobody publishes otherwise.
    Document(String),
    /// People, and what they say: all who are configured or have said something, or one.
    People(Option<String>),
    /// What one watcher of a user is to get from now on.
    Rule {
        /// A peer's name, or an AOR as in `alice@example.com`.
        user: String,
        /// The same, or an address elsewhere.
        watcher: String,
        /// What; `None` forgets what was said of this watcher.
        handling: Option<Handling>,
    },
    /// The rules of a user.
    Rules(String),
    /// Remove all rules of a user, so that the configured default decides.
    ClearRules(String),
    /// Who waits for a decision, of one user or of everybody.
    Pending(Option<String>),
    /// Send the current state again, to the subscriptions that match.
    Nudge(Selector),
    /// End the subscriptions that match, with `terminated;reason=deactivated` (RFC 6665 §4.1.3: subscribe again).
    Drop(Selector),
    /// All limits, and how often each was hit.
    Limits,
    /// What we watch at servers elsewhere, and where we register.
    Gateways,
    /// How the node is.
    Status,
    /// What was counted, for a program that draws it.
    Metrics,
    /// Who has the most subscriptions, and what is watched most.
    Biggest {
        /// At most so many of each.
        most: usize,
    },
    /// Why an extension's lamp shows what it shows.
    Why(String),
    /// Use these settings from now on.
    #[serde(skip)]
    Reload(Arc<Settings>),
    /// The settings in force.
    #[serde(skip)]
    Settings,
    /// Prepare to stop: end subscriptions if configured.
    Stop,
    /// The last one: what is unanswered now is told again after the restart.
    Leave,
    /// End all subscriptions, spread over a time, and refuse new ones.
    Drain(Drain),
    /// Take new subscriptions again.
    EndDrain,
}

/// How a server is emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Over how many seconds subscriptions end.
    pub within_s: u32,
    /// Watchers come back after so many seconds, up to twice as many.
    pub retry_after_s: u32,
    /// Another server is ready: watchers are told `deactivated`, to subscribe again at once.
    pub elsewhere: bool,
}

/// Which subscriptions are meant; all given parts must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// Resource (extension or user part), exactly.
    pub resource: Option<String>,
    /// Watcher (peer name), exactly.
    pub watcher: Option<String>,
    /// Call-ID, by prefix.
    pub call_id: Option<String>,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// For `Hints`, `Hint`.
    Hints(Vec<view::Hint>),
    /// For `Presentities`.
    Presentities(Vec<view::Presentity>),
    /// For `Subscriptions`.
    Subscriptions(Vec<view::Subscription>),
    /// For `Publications`.
    Publications(Vec<view::Publication>),
    /// For `Registrations`.
    Registrations(Vec<view::Registration>),
    /// For `Devices`.
    Devices(Vec<view::Device>),
    /// For `Calls`.
    Calls(Vec<view::Call>),
    /// For `Peers`.
    Peers(Vec<view::Peer>),
    /// For `Mailboxes`.
    Mailboxes(Vec<view::Mailbox>),
    /// For `Features`.
    Features(Vec<view::Feature>),
    /// For `People`.
    People(Vec<view::Person>),
    /// For `Document`; empty where there is none.
    Documents(Vec<view::Document>),
    /// For `Rules`; empty where the user has none.
    Rules(Vec<view::Rules>),
    /// For `Pending`.
    Pending(Vec<view::Pending>),
    /// For `Lists`.
    Lists(Vec<view::List>),
    /// For `List`.
    List(Box<view::ListDetail>),
    /// For `Profiles`.
    Profiles(Vec<view::Profile>),
    /// For `Limits`.
    Limits(Vec<view::Limit>),
    /// For `Gateways`.
    Gateways(Vec<view::Gateway>),
    /// For `Status`.
    Status(view::Status),
    /// For `Metrics`.
    Metrics(Box<view::Metrics>),
    /// For `Biggest`.
    Biggest(view::Biggest),
    /// For `Why`.
    Why(Vec<view::Why>),
    /// For `Settings`.
    #[serde(skip)]
    Settings(Arc<Settings>),
    /// Done, and how many things it touched.
    Done {
        /// Things touched.
        count: usize,
    },
    /// Not done, and why, for people.
    Refused {
        /// The cause and the fix.
        reason: String,
    },
}
