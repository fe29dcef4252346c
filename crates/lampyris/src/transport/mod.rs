//! Transports: bytes between the network and the engine, and nothing about what they mean.
//!
//! UDP belongs to the engine's thread ([`udp`], [`mmsg`]); streams live on the tokio runtime ([`tcp`]) and talk with the
//! engine over its inbox.

pub(crate) mod admission;
pub(crate) mod mmsg;
pub(crate) mod tcp;
pub(crate) mod udp;
