//! Scenarios: a conversation with the server in raw SIP, written so that a person can read it beside the RFC.
//!
//! ```text
//! # RFC 6665 §4.2.1.1: an accepted SUBSCRIBE is answered 200, then a NOTIFY follows.
//! settings: office.toml
//! Alice is udp 192.0.2.1:5060, password alice-secret
//!
//! Alice sends:
//!     SUBSCRIBE sip:6001@example.com SIP/2.0
//!     ...
//! lampyris sends Alice:
//!     SIP/2.0 200 {any}
//!     Expires: 1800
//!     !Warning
//! Alice answers 200
//! Bob answers INVITE 180
//! after 32s:
//! admin: devstate set SIP/Bob INUSE
//! lampyris sends nothing to Alice for 5s
//! lampyris sends Alice within 40s:
//!     ...
//! lampyris crashes and restarts
//! the clock jumps back 30m
//! Alice's flow closes
//! DNS has:
//!     _sip._udp.proxy.example SRV 1 0 5070 first.proxy.example
//!     first.proxy.example A 192.0.2.11
//! DNS is down
//! ```
//!
//! The first line cites the clause. What belongs to a step is indented by four spaces, an empty line ends a head. In what
//! is sent, Via, Max-Forwards and Content-Length are added where they are missing (`!Via` leaves it out), `${name}` is a
//! captured value or an address (`${Alice}`, `${lampyris}`, `.ip`, `.port`), `{branch}` a fresh branch, `{authorize}` the
//! answer to the last challenge, `{to 65536}` letters that bring the body to this size. In what is expected, the listed
//! headers must match in any order, `!Header` must be absent, all others do not matter; `{any}`, `{capture name}` and
//! `{above name}` (a number greater than the captured one, which it replaces) match; an XML body is compared after
//! canonicalisation, or by lines `contains ...` and `lacks ...`.
//!
//! [`parse`] reads a script, [`run()`] plays it on a [`Stage`]: [`virtual_stage`] here, real sockets in the binary's tests.

mod expect;
pub mod parse;
mod pattern;
mod run;
pub mod virtual_stage;
pub mod zone;

pub use parse::{Script, Transport, Way};
pub use run::{Outcome, Stage, run};
