//! The presence server as a function of (state, now, input): no sockets, clocks, threads or files.
//!
//! [`node::Node`] is the only public state. The shell feeds it [`input::Input`]s, drains [`output::Output`]s and does
//! what they say. Everything else here is the vocabulary of those two enums.

pub mod body;
pub mod command;
pub mod device_state;
pub mod flow;
pub mod hint;
pub mod input;
pub mod journal;
pub mod limits;
pub mod map;
pub mod output;
pub mod rng;
pub mod settings;
pub mod time;
pub mod view;
