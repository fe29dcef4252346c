//! Transports: bytes between the network and the engine, and nothing about what they mean.
//!
//! UDP belongs to the engine's thread ([`udp`], [`mmsg`]); streams live on the tokio runtime ([`streams`]), as SIP on bytes
//! ([`framed`]) or WebSocket messages ([`upgrade`], [`ws`]), maybe inside TLS ([`tls`]), and talk with the engine over its
//! inbox. [`still`] holds them still while another process takes them over.

pub(crate) mod admission;
pub(crate) mod framed;
pub(crate) mod limits;
pub(crate) mod mmsg;
pub(crate) mod still;
pub(crate) mod streams;
pub(crate) mod tls;
pub(crate) mod udp;
pub(crate) mod upgrade;
mod ws;
