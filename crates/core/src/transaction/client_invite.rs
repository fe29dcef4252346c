//! The INVITE client transaction (RFC 3261 §17.1.1, with the Accepted state of RFC 6026 §7.2) as plain data.
//!
//! ```text
//!            start: send, A=T1, B=64*T1
//!  Calling --------- 1xx: deliver --------> Proceeding (no timers)
//!    |  A: send, A=2A      B: timed out, end   |
//!    +--------------- 2xx: deliver ------------+--> Accepted -- M=64*T1 --> end      (2xx: deliver again)
//!    +--------- 3xx-6xx: deliver, ACK ---------+--> Completed - D=32s (0 on streams) --> end   (3xx-6xx: ACK)
//! ```
//!
//! Proceeding has no timer: how long a call may ring is the user's matter (RFC 3261 §16.6, Timer C).

use super::client::ClientStep;
use super::timers::{T1, T64, TIMER_D, unless_reliable};
use crate::time::Instant;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Accepted,
    Completed,
}

/// An INVITE client transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Invite {
    state: State,
    reliable: bool,
    gap: Duration,
    retransmit_at: Option<Instant>,
    /// Timer B, then D or M; none in Proceeding.
    end_at: Option<Instant>,
    over: bool,
}

impl Invite {
    pub(super) fn start(now: Instant, reliable: bool) -> Self {
        let retransmit_at = (!reliable).then(|| now + T1);
        Self { state: State::Calling, reliable, gap: T1, retransmit_at, end_at: Some(now + T64), over: false }
    }

    pub(super) fn on_response(&mut self, now: Instant, status: u16) -> ClientStep {
        match (self.state, status) {
            (State::Calling | State::Proceeding, ..=199) => {
                self.state = State::Proceeding;
                self.retransmit_at = None;
                self.end_at = None;
                ClientStep::Provisional
            }
            (State::Calling | State::Proceeding, 200..=299) => {
                self.state = State::Accepted;
                self.retransmit_at = None;
                self.end_at = Some(now + T64);
                ClientStep::Final
            }
            (State::Calling | State::Proceeding, _) => {
                self.state = State::Completed;
                self.retransmit_at = None;
                self.end_at = Some(now + unless_reliable(self.reliable, TIMER_D));
                self.over = self.reliable;
                ClientStep::FinalAck
            }
            (State::Accepted, 200..=299) => ClientStep::AnotherSuccess,
            (State::Completed, 300..) => ClientStep::AckAgain,
            (State::Accepted | State::Completed, _) => ClientStep::Nothing,
        }
    }

    pub(super) fn on_timer(&mut self, now: Instant) -> ClientStep {
        if self.end_at.is_some_and(|at| now >= at) {
            self.over = true;
            return if self.state == State::Calling { ClientStep::TimedOut } else { ClientStep::Nothing };
        }
        if self.retransmit_at.is_none_or(|at| now < at) {
            return ClientStep::Nothing;
        }
        self.gap *= 2;
        self.retransmit_at = Some(now + self.gap);
        ClientStep::Retransmit
    }

    pub(super) fn due(&self) -> Option<Instant> {
        [self.retransmit_at, self.end_at].into_iter().flatten().min()
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ClientStep::{AckAgain, AnotherSuccess, Final, FinalAck, Nothing, Provisional, Retransmit, TimedOut};

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    /// As in `client`: (ms, step) and when it ended; `None` where it waits without a timer.
    fn run(reliable: bool, responses: &[(u64, u16)]) -> (Vec<(u64, ClientStep)>, Option<u64>) {
        let mut machine = Invite::start(at(0), reliable);
        let mut responses = responses.iter().copied().peekable();
        let mut log = Vec::new();
        let mut now = 0;
        while !machine.is_over() {
            let due = machine.due().map(|due| due.as_micros() / 1000);
            match (responses.next_if(|(ms, _)| due.is_none_or(|due| *ms < due)), due) {
                (Some((ms, status)), _) => {
                    now = ms;
                    log.push((ms, machine.on_response(at(ms), status)));
                }
                (None, Some(due)) => {
                    now = due;
                    let step = machine.on_timer(at(due));
                    if step != Nothing {
                        log.push((due, step));
                    }
                }
                (None, None) => return (log, None),
            }
        }
        (log, Some(now))
    }

    #[test]
    fn rfc3261_17_1_1_2_timer_a_doubles_without_a_cap_until_timer_b() {
        let mut want: Vec<_> = [500, 1500, 3500, 7500, 15_500, 31_500].map(|ms| (ms, Retransmit)).to_vec();
        want.push((32_000, TimedOut));
        assert_eq!(run(false, &[]), (want, Some(32_000)));
        assert_eq!(run(true, &[]), (vec![(32_000, TimedOut)], Some(32_000)));
    }

    #[test]
    fn every_state_and_response() {
        type Row = (&'static str, bool, &'static [(u64, u16)], &'static [(u64, ClientStep)], Option<u64>);
        let rows: &[Row] = &[
            (
                "ringing waits for ever",
                false,
                &[(100, 180), (99_000, 183)],
                &[(100, Provisional), (99_000, Provisional)],
                None,
            ),
            (
                "2xx is accepted for 64*T1 on UDP",
                false,
                &[(100, 200), (600, 200), (700, 486), (800, 180)],
                &[(100, Final), (600, AnotherSuccess), (700, Nothing), (800, Nothing)],
                Some(32_100),
            ),
            (
                "and on streams",
                true,
                &[(100, 180), (200, 200), (300, 202)],
                &[(100, Provisional), (200, Final), (300, AnotherSuccess)],
                Some(32_200),
            ),
            (
                "a failure is acknowledged each time, for Timer D",
                false,
                &[(100, 486), (600, 486), (700, 200), (800, 180)],
                &[(100, FinalAck), (600, AckAgain), (700, Nothing), (800, Nothing)],
                Some(32_100),
            ),
            ("on streams once", true, &[(100, 486)], &[(100, FinalAck)], Some(100)),
            (
                "after ringing",
                false,
                &[(100, 180), (90_000, 603)],
                &[(100, Provisional), (90_000, FinalAck)],
                Some(122_000),
            ),
        ];
        for (name, reliable, responses, log, end) in rows {
            assert_eq!(run(*reliable, responses), (log.to_vec(), *end), "{name}");
        }
    }
}
