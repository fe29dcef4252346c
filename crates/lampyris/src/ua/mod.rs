//! A small SIP user agent over real sockets: the demo's phones, and whoever else has to speak SIP to a server.
//!
//! It registers, publishes, subscribes, answers NOTIFY and OPTIONS, makes and takes calls (hold, CANCEL, Replaces), and
//! answers digest challenges. It has no media: its session descriptions only say who holds. It has one server, through
//! which everything goes.
//!
//! ```text
//! Phone ── Line ── Wire        requests, each until it is answered     line, wire
//!   │       │
//!   │       └─ reader ─> Heard     NOTIFYs and calls that came in      reader, invited
//!   └─ Call ── Leg ── Dialog       one side of a call                  call, inviting, dialog, sdp
//! ```

mod account;
mod call;
mod dialog;
mod invited;
mod inviting;
mod line;
mod phone;
mod reader;
mod repeats;
mod sdp;
#[cfg(test)]
mod tests;
mod wire;

pub use account::Account;
pub use call::{Call, CallState};
pub use phone::{Phone, Published, Subscription};
pub use reader::{Heard, Notified};
pub use wire::Trust;

use lampyris_sip::{Method, StatusCode};
use std::io;

/// Timer B and F, and N (RFC 3261 §17.1, RFC 6665 §4.1.2.4): how long silence is borne.
pub const GIVE_UP: std::time::Duration = line::GIVE_UP;

/// Why a request did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub enum UaError {
    /// The server, or the other side, said no.
    #[error("{method} was refused: {status} {reason}")]
    Refused {
        /// What was asked.
        method: String,
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// Nobody answered within 32 s.
    #[error("{method} was not answered")]
    Unanswered {
        /// What was asked.
        method: String,
    },
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

impl UaError {
    fn refused(method: Method<'_>, status: u16) -> Self {
        let reason = StatusCode(status).reason().to_owned();
        Self::Refused { method: method.as_str().to_owned(), status, reason }
    }

    fn unanswered(method: Method<'_>) -> Self {
        Self::Unanswered { method: method.as_str().to_owned() }
    }
}
