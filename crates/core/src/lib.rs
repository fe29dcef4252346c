//! The presence server as a function of (state, now, input): no sockets, clocks, threads or files.
//!
//! [`node::Node`] is the only public state. The shell feeds it [`input::Input`]s, drains [`output::Output`]s and does
//! what they say. Everything else here is the vocabulary of those two enums.

mod admin;
pub(crate) mod authn;
pub mod authz;
mod biggest;
pub mod body;
pub(crate) mod bucket;
mod calls;
pub mod command;
pub mod composition;
mod connections;
mod counts;
pub mod device_state;
mod devices;
mod dns;
mod drain;
mod egress;
mod errors;
mod feature_keys;
pub mod features;
pub mod federation;
pub mod filter;
mod fingerprint;
pub mod flow;
pub mod gateways;
mod gruu;
pub mod hard_state;
pub mod hint;
pub mod hits;
pub mod input;
pub mod journal;
mod lamps;
pub mod limits;
pub mod lists;
mod mac;
mod mailbox;
pub mod manual_status;
pub mod map;
mod metrics;
mod names;
pub mod node;
mod notifier;
mod outbound;
pub mod output;
pub mod overload;
mod packages;
mod pattern;
mod peer_hosts;
pub mod people;
mod presence_sources;
mod presentities;
mod proxy;
mod publication;
mod publish;
mod qualify;
pub mod quotas;
mod received_body;
mod register;
mod registrar;
pub(crate) mod reject;
mod repeats;
mod resource;
pub mod rng;
mod router;
pub mod settings;
mod show;
pub mod sizes;
mod slots;
pub mod target;
mod tickets;
pub mod time;
pub(crate) mod timers;
pub(crate) mod tombstones;
pub(crate) mod transaction;
pub mod view;
mod view_of;
mod wall_clock;
mod ways;
mod who;

/// The statuses and limits that requests are refused with, as the body of a page of the manual.
pub fn errors_document() -> String {
    errors::document()
}

/// The event packages as a page of the manual: names, sources, formats, defaults.
pub fn events_document() -> String {
    packages::document()
}
