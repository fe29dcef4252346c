//! What `watch`, `publish` and `probe` do at any SIP server, ours or another: a subscription, a publication, a look.
//!
//! ```text
//! way ── hops ──> reach ── Phone (ua) ──> watch, publish, probe
//!                                           └─ document: what a NOTIFY's body says
//! ```
//!
//! The user agent is that of `ua`, where requests go is decided by the core's `target`, and when to ask again by the
//! core's `gateways::state`. Nothing here prints; it tells its caller what happens.

pub(crate) mod certificate;
pub(crate) mod document;
pub(crate) mod limits;
pub(crate) mod probe;
pub(crate) mod publish;
pub(crate) mod reach;
#[cfg(test)]
mod tests;
pub(crate) mod watch;
pub(crate) mod way;

use crate::ua::UaError;
use lampyris_core::gateways::state::{Refusal, Stands};
use lampyris_sip::headers::RetryAfter;
use lampyris_sip::{Message, Name};
use limits::RETRY;

/// Why a verb at another server did not do what it is for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// The URI, or what goes with it, is not one.
    #[error("{0}")]
    Usage(String),
    /// No address of it can be reached.
    #[error("{0}")]
    Unreachable(String),
    /// It answered, and said no.
    #[error("{0}")]
    Refused(String),
    /// It did not answer, or the connection failed.
    #[error("{0}")]
    Broken(#[from] UaError),
    /// What was to be told could not be.
    #[error("cannot write the output: {0}")]
    Output(std::io::Error),
}

/// The status of an answer; 500 for one that has none.
pub(crate) fn status_of(answer: &Message) -> u16 {
    answer.status().map_or(500, |status| status.0)
}

/// What the core's rules for clients want to know of an answer that is no 2xx.
fn refusal(answer: &Message, stands: Stands, expires_s: u32) -> Refusal {
    Refusal {
        status: status_of(answer),
        stands,
        retry_after_s: answer
            .header(Name::RetryAfter)
            .and_then(|value| RetryAfter::parse(value).ok())
            .map(|after| after.seconds),
        min_expires_s: answer.header(Name::MinExpires).and_then(|value| value.trim().parse().ok()),
        expires_s,
        retry: RETRY,
    }
}

/// The life that a 2xx grants, in seconds; what was asked for where it does not say.
fn granted_s(answer: &Message, asked_s: u32) -> u32 {
    let said = answer.header(Name::Expires).and_then(|value| value.trim().parse().ok());
    said.unwrap_or(asked_s)
}

/// An answer that is no 2xx, for people: what it says, why, and what to do about it.
pub(crate) fn explain(answer: &Message, method: &str, has_password: bool) -> String {
    let status = status_of(answer);
    let mut out = format!("{method} was refused: {status} {}", answer.reason_phrase());
    if let Some(warning) = answer.header(Name::Warning) {
        out.push_str(&format!(" ({warning})"));
    }
    let allowed = || answer.values(Name::AllowEvents).collect::<Vec<_>>().join(", ");
    let fix = match status {
        401 | 407 if has_password => {
            "the password of --user is not right, or --user is somebody else's".to_owned()
        }
        401 | 407 => {
            "it asks who you are: give --user, and the password with --password-file or in LAMPYRIS_PASSWORD"
                .to_owned()
        }
        403 => "this user may not; is --from who may?".to_owned(),
        404 => "nobody of this name is there: look at the user part, and at the domain".to_owned(),
        405 | 501 => format!("that server has no {method}"),
        406 | 415 => "it has the state in none of the formats asked for".to_owned(),
        421 => format!("it demands {}", answer.header(Name::Require).unwrap_or("an extension")),
        480 => "nobody is there now".to_owned(),
        489 if allowed().is_empty() => {
            "it does not know this event package: choose another with --event".to_owned()
        }
        489 => format!("it does not know this event package, only {}", allowed()),
        503 => "it is overloaded, or not ready".to_owned(),
        _ => return out,
    };
    out.push_str(&format!("\n{fix}"));
    out
}
