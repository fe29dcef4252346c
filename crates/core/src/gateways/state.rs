//! What becomes of a request to a gateway, and the states between: pure decisions, no timers and no messages.
//!
//! ```text
//!            due               2xx                NOTIFY
//!  UNSUBED -------> TRYING ----------> SUBSCRIBE ---------> SUBED --- before it ends ---> TRYING
//!     ^               | refused, silent                      | terminated
//!     |               v                                      v
//!     +--- wait --- FAIL_WAIT, or FAILED where a second try is of little use
//!
//!  not wanted any more: UNSUBSCRIBE --> NOSUB
//! ```
//! A registration and a publication are SUBED with the 2xx; a publication is UNSUBED where there is nothing to tell.
//!
//! The names are FreeSWITCH's, so that who comes from there knows them; a registration has the same states by other names.

use crate::limits;
use std::time::Duration;

/// What is wanted of a server elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// That it knows where we are.
    Registration,
    /// That it tells us.
    Subscription,
    /// That it takes what we tell.
    Publication,
}

/// What the other server has of ours when it refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Nothing that the request was about.
    Nothing,
    /// A dialog, in which the request was sent.
    Dialog,
    /// A publication, whose entity-tag the request named.
    Publication,
}

/// How far a subscription to, or a registration at, a server elsewhere is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is to be asked for now: a way is being found.
    Unsubed,
    /// It was asked for.
    Trying,
    /// It was granted, nothing was told yet.
    Subscribe,
    /// It was granted and told of.
    Subed,
    /// It is being ended.
    Unsubscribe,
    /// It was refused for a reason that is not likely to pass soon.
    Failed,
    /// It failed and is tried again soon.
    FailWait,
}

impl State {
    /// FreeSWITCH's name.
    pub const fn name(self, kind: Kind) -> &'static str {
        use Kind::{Publication, Registration, Subscription};
        match (self, kind) {
            (Self::Unsubed, Subscription) => "UNSUBED",
            (Self::Unsubed, Registration) => "UNREGED",
            (Self::Unsubed, Publication) => "UNPUBED",
            (Self::Trying, _) => "TRYING",
            (Self::Subscribe, Subscription) => "SUBSCRIBE",
            (Self::Subscribe, Registration) => "REGISTER",
            (Self::Subscribe, Publication) => "PUBLISH",
            (Self::Subed, Subscription) => "SUBED",
            (Self::Subed, Registration) => "REGED",
            (Self::Subed, Publication) => "PUBED",
            (Self::Unsubscribe, Subscription) => "UNSUBSCRIBE",
            (Self::Unsubscribe, Registration) => "UNREGISTER",
            (Self::Unsubscribe, Publication) => "UNPUBLISH",
            (Self::Failed, _) => "FAILED",
            (Self::FailWait, _) => "FAIL_WAIT",
        }
    }
}

/// What to do after an answer that is no 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Answer the challenge.
    Authenticate,
    /// Ask again for this many seconds.
    Longer(u32),
    /// The dialog is gone: begin another at once.
    Anew,
    /// The next hop of the same lookup, where there is one (RFC 3263 §4.3); else as `Wait`.
    OtherHop,
    /// Try again later.
    Wait {
        /// After this long.
        after: Duration,
        /// The subscription, where there was one, is over (RFC 6665 §4.1.2.2); else it lasts as long as was granted.
        is_over: bool,
        /// The state meanwhile.
        state: State,
    },
}

/// An answer that is no 2xx.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// Its status; 408 for silence, 503 for a broken connection.
    pub status: u16,
    /// What there is of ours.
    pub stands: Stands,
    /// Retry-After, in seconds.
    pub retry_after_s: Option<u32>,
    /// Min-Expires, in seconds.
    pub min_expires_s: Option<u32>,
    /// The life that was asked for, in seconds.
    pub expires_s: u32,
    /// The wait after a failure as configured.
    pub retry: Duration,
}

/// Statuses that end a subscription that is being refreshed (RFC 6665 §4.1.2.2, RFC 5057 §5.1).
const ENDING: [u16; 13] = [404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501];

/// Decides.
pub fn next(refusal: &Refusal) -> Next {
    let Refusal { status, stands, retry_after_s, min_expires_s, expires_s, retry } = *refusal;
    match status {
        401 | 407 => return Next::Authenticate,
        423 => {
            // Why: what is not more than was asked for would be asked for again for ever.
            if let Some(min) =
                min_expires_s.filter(|min| *min > expires_s && *min <= limits::GATEWAY_EXPIRES_S_MAX)
            {
                return Next::Longer(min);
            }
        }
        // RFC 6665 §4.1.2.2, RFC 3261 §12.2.1.2: the dialog is gone.
        408 | 481 if stands == Stands::Dialog => return Next::Anew,
        // RFC 3903 §4.1: it knows no such publication (any more).
        412 if stands == Stands::Publication => return Next::Anew,
        // Why: Retry-After speaks of the server, not of one of its hosts.
        408 | 503 if retry_after_s.is_none() => return Next::OtherHop,
        _ => {}
    }
    let hopeless = matches!(status, 405 | 416 | 420 | 489 | 501);
    let least = if hopeless { limits::GATEWAY_REFUSED_WAIT } else { retry };
    let asked = Duration::from_secs(u64::from(retry_after_s.unwrap_or(0))).min(limits::GATEWAY_WAIT_MAX);
    let state = if hopeless { State::Failed } else { State::FailWait };
    let is_over = match stands {
        Stands::Nothing => true,
        Stands::Dialog => ENDING.contains(&status),
        // Why: who did not answer may have it all the same, until it expires.
        Stands::Publication => status != 408 && ENDING.contains(&status),
    };
    Next::Wait { after: least.max(asked), is_over, state }
}

/// What a server that ended a subscription wants: the wait before the next, and the state meanwhile (RFC 6665 §4.1.3).
pub fn after_end(reason: Option<&str>, retry_after_s: Option<u32>, retry: Duration) -> (Duration, State) {
    let asked = retry_after_s.map(|s| Duration::from_secs(u64::from(s)).min(limits::GATEWAY_WAIT_MAX));
    match reason.map(str::to_ascii_lowercase).as_deref() {
        Some("deactivated" | "timeout") => (Duration::ZERO, State::Unsubed),
        // Why not never: it is an administrator who wants the subscription, and who may have it allowed there. FreeSWITCH
        // says `noresource` of whoever is not registered just now.
        Some("rejected" | "noresource" | "invariant") => (limits::GATEWAY_REFUSED_WAIT, State::Failed),
        _ => (asked.unwrap_or(retry), State::FailWait),
    }
}

/// How long after it was granted a life of `granted` is renewed: early enough for one request that goes unanswered, and
/// never later than half of a short one.
pub fn renew_after(granted: Duration) -> Duration {
    granted - (granted / 2).min(limits::GATEWAY_RENEW_EARLY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, stands: Stands) -> Refusal {
        let retry = Duration::from_secs(30);
        Refusal { status, stands, retry_after_s: None, min_expires_s: None, expires_s: 60, retry }
    }

    #[test]
    fn each_refusal_has_its_consequence() {
        let wait =
            |after: u64, is_over, state| Next::Wait { after: Duration::from_secs(after), is_over, state };
        use Stands::{Dialog, Nothing, Publication};
        use State::{FailWait, Failed};
        for (status, stands, want) in [
            (401, Nothing, Next::Authenticate),
            (407, Dialog, Next::Authenticate),
            (403, Nothing, wait(30, true, FailWait)),
            (403, Dialog, wait(30, false, FailWait)),
            (404, Dialog, wait(30, true, FailWait)),
            (408, Nothing, Next::OtherHop),
            (408, Dialog, Next::Anew),
            (423, Nothing, wait(30, true, FailWait)),
            (481, Dialog, Next::Anew),
            (481, Nothing, wait(30, true, FailWait)),
            (489, Dialog, wait(3600, true, Failed)),
            (500, Dialog, wait(30, false, FailWait)),
            (503, Nothing, Next::OtherHop),
            (404, Publication, wait(30, true, FailWait)),
            (408, Publication, Next::OtherHop),
            (412, Nothing, wait(30, true, FailWait)),
            (412, Publication, Next::Anew),
            (500, Publication, wait(30, false, FailWait)),
        ] {
            assert_eq!(next(&refusal(status, stands)), want, "{status} {stands:?}");
        }
    }

    #[test]
    fn a_server_says_when_to_come_back_and_how_long_to_ask_for() {
        let later = Refusal { retry_after_s: Some(120), ..refusal(503, Stands::Nothing) };
        let after = Duration::from_secs(120);
        assert_eq!(next(&later), Next::Wait { after, is_over: true, state: State::FailWait });
        for (min, want) in [(3600, Some(3600)), (60, None), (u32::MAX, None)] {
            let found = next(&Refusal { min_expires_s: Some(min), ..refusal(423, Stands::Nothing) });
            assert_eq!(
                matches!(found, Next::Longer(s) if Some(s) == want),
                want.is_some(),
                "{min}: {found:?}"
            );
        }
    }

    #[test]
    fn rfc6665_4_1_3_reasons() {
        let retry = Duration::from_secs(30);
        for (reason, retry_after, want) in [
            (Some("deactivated"), None, (0, State::Unsubed)),
            (Some("Timeout"), None, (0, State::Unsubed)),
            (Some("probation"), Some(90), (90, State::FailWait)),
            (Some("giveup"), None, (30, State::FailWait)),
            (Some("rejected"), None, (3600, State::Failed)),
            (Some("noresource"), Some(5), (3600, State::Failed)),
            (None, None, (30, State::FailWait)),
        ] {
            let (after, state) = after_end(reason, retry_after, retry);
            assert_eq!((after.as_secs(), state), want, "{reason:?}");
        }
    }

    #[test]
    fn renewed_before_it_ends() {
        for (granted, after) in [(3600, 3560), (120, 80), (60, 30), (10, 5), (0, 0)] {
            assert_eq!(renew_after(Duration::from_secs(granted)), Duration::from_secs(after), "{granted}");
        }
    }
}
