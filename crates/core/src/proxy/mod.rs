//! The signalling of our users' calls: a stateful, forking, record-routing proxy (RFC 3261 §16) that touches no media.
//!
//! ```text
//! request -> checks -> who is it? -> targets -> branches -> (responses) -> the best of them
//!            request   who, 407      targets    forward     response
//! ```
//!
//! A [`context::Context`] is one request on its way (the response context of §16.2); a [`context::Branch`] is one of its forks. In-dialog
//! requests have one branch, whose target the tracked call knows (`calls`). What passes is told to `calls`, which turns
//! it into dialogs and lamps. Nothing here waits for the disk.
//!
//! Answers to what the process before passed on have no context; [`stray`] passes those to INVITEs on, statelessly.
//!
//! What it does not do: change bodies, invent dialogs, relay for strangers or to strangers.

mod cancel;
mod context;
mod dialog;
mod forward;
mod forwarding;
mod pickup;
mod request;
mod response;
mod routes;
mod stray;
mod targets;

pub(crate) use context::{BranchId, Proxy};
