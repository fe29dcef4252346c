//! The non-INVITE server transaction (RFC 3261 §17.2.2) as plain data.
//!
//! ```text
//!  Trying ---- 1xx: send ----> Proceeding (request again: send the 1xx again)
//!    | (request again: absorbed)  |
//!    +------- final: send --------+--> Completed (request again: send it again) -- J=64*T1 (0 on streams) --> end
//! ```
//!
//! Trying and Proceeding have no timer: the user answers every transaction it opens.

use super::timers::{T64, unless_reliable};
use crate::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
}

/// What a server transaction asks for after a request, a response of its user, or a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerStep {
    /// Nothing.
    Nothing,
    /// Send the response just given.
    Send,
    /// Send the last response again.
    SendAgain,
    /// Send 100 (INVITE, unanswered for 200 ms).
    SendTrying,
    /// Give the ACK to the user (RFC 6026 §7.1).
    AckToUser,
    /// Tell the user that the final response was never acknowledged (Timer H).
    Unacknowledged,
}

/// A non-INVITE server transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct NonInvite {
    state: State,
    reliable: bool,
    /// Timer J.
    end_at: Option<Instant>,
    over: bool,
}

impl NonInvite {
    pub(super) const fn open(reliable: bool) -> Self {
        Self { state: State::Trying, reliable, end_at: None, over: false }
    }

    pub(super) const fn on_request(&self) -> ServerStep {
        match self.state {
            State::Trying => ServerStep::Nothing,
            State::Proceeding | State::Completed => ServerStep::SendAgain,
        }
    }

    pub(super) fn respond(&mut self, now: Instant, status: u16) -> ServerStep {
        match self.state {
            State::Completed => return ServerStep::Nothing,
            _ if status < 200 => self.state = State::Proceeding,
            _ => {
                self.state = State::Completed;
                self.end_at = Some(now + unless_reliable(self.reliable, T64));
                self.over = self.reliable;
            }
        }
        ServerStep::Send
    }

    pub(super) fn on_timer(&mut self, now: Instant) -> ServerStep {
        self.over |= self.end_at.is_some_and(|at| now >= at);
        ServerStep::Nothing
    }

    pub(super) const fn due(&self) -> Option<Instant> {
        self.end_at
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn is_answered(&self) -> bool {
        self.state == State::Completed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ServerStep::{Nothing, Send, SendAgain};

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    /// `Some(status)` responds, `None` is the request once more.
    fn run(reliable: bool, events: &[(u64, Option<u16>)]) -> (Vec<ServerStep>, Option<u64>) {
        let mut machine = NonInvite::open(reliable);
        let mut steps = Vec::new();
        for (ms, event) in events {
            assert!(!machine.is_over());
            steps.push(match event {
                Some(status) => machine.respond(at(*ms), *status),
                None => machine.on_request(),
            });
        }
        if machine.is_over() {
            return (steps, Some(events.last().map_or(0, |(ms, _)| *ms)));
        }
        let due = machine.due().map(|due| due.as_micros() / 1000);
        if let Some(due) = due {
            machine.on_timer(at(due - 1));
            assert!(!machine.is_over());
            machine.on_timer(at(due));
            assert!(machine.is_over());
        }
        (steps, due)
    }

    #[test]
    fn every_state_and_event() {
        type Row = (&'static str, bool, &'static [(u64, Option<u16>)], &'static [ServerStep], Option<u64>);
        let rows: &[Row] = &[
            ("unanswered", false, &[(1, None), (2, None)], &[Nothing, Nothing], None),
            (
                "answered",
                false,
                &[(10, Some(200)), (500, None), (1500, None)],
                &[Send, SendAgain, SendAgain],
                Some(32_010),
            ),
            (
                "provisional first",
                false,
                &[(10, Some(100)), (20, None), (30, Some(404)), (40, None)],
                &[Send, SendAgain, Send, SendAgain],
                Some(32_030),
            ),
            (
                "only the first final counts",
                false,
                &[(10, Some(200)), (20, Some(500)), (30, Some(100))],
                &[Send, Nothing, Nothing],
                Some(32_010),
            ),
            ("a stream keeps nothing", true, &[(5, None), (10, Some(200))], &[Nothing, Send], Some(10)),
        ];
        for (name, reliable, events, steps, end) in rows {
            assert_eq!(run(*reliable, events), (steps.to_vec(), *end), "{name}");
        }
    }
}
