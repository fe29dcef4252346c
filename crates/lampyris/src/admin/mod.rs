//! The admin channel: a Unix socket in the data directory on which the CLI's verbs talk with a running server.

pub mod protocol;
pub(crate) mod server;
