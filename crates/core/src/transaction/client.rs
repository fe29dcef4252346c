//! The non-INVITE client transaction (RFC 3261 §17.1.2) as plain data: a state, a gap and two instants.
//!
//! ```text
//!            start: send, E=T1, F=64*T1
//!  Trying ---------------- 1xx ----------> Proceeding (E from now on every T2)
//!    |   E: send, E=min(2E,T2)               |   E: send
//!    |   F: timed out, end                   |   F: timed out, end
//!    +------------- final: deliver ----------+--> Completed -- K=T4 (0 on streams) --> end
//! ```

use super::timers::{T1, T2, T4, T64, unless_reliable};
use crate::time::Instant;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
}

/// What a client transaction asks for after a response or a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientStep {
    /// Nothing: too early, or a retransmission absorbed.
    Nothing,
    /// Send the request again.
    Retransmit,
    /// Give a provisional response to the user.
    Provisional,
    /// Give the final response to the user; the request's bytes are no longer needed.
    Final,
    /// As `Final`, and acknowledge it (INVITE, 3xx-6xx).
    FinalAck,
    /// A 2xx to INVITE beyond the first (RFC 6026 §7.2).
    AnotherSuccess,
    /// Send the ACK again.
    AckAgain,
    /// Tell the user that no final response came.
    TimedOut,
}

/// A non-INVITE client transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct NonInvite {
    state: State,
    reliable: bool,
    gap: Duration,
    retransmit_at: Option<Instant>,
    /// Timer F, then Timer K.
    end_at: Instant,
    over: bool,
}

impl NonInvite {
    pub(super) fn start(now: Instant, reliable: bool) -> Self {
        let retransmit_at = (!reliable).then(|| now + T1);
        Self { state: State::Trying, reliable, gap: T1, retransmit_at, end_at: now + T64, over: false }
    }

    pub(super) fn on_response(&mut self, now: Instant, status: u16) -> ClientStep {
        match self.state {
            State::Completed => ClientStep::Nothing,
            _ if status < 200 => {
                self.state = State::Proceeding;
                ClientStep::Provisional
            }
            _ => {
                self.state = State::Completed;
                self.retransmit_at = None;
                self.end_at = now + unless_reliable(self.reliable, T4);
                self.over = self.reliable;
                ClientStep::Final
            }
        }
    }

    pub(super) fn on_timer(&mut self, now: Instant) -> ClientStep {
        if now >= self.end_at {
            self.over = true;
            return if self.state == State::Completed { ClientStep::Nothing } else { ClientStep::TimedOut };
        }
        if self.retransmit_at.is_none_or(|at| now < at) {
            return ClientStep::Nothing;
        }
        self.gap = if self.state == State::Proceeding { T2 } else { T2.min(self.gap * 2) };
        self.retransmit_at = Some(now + self.gap);
        ClientStep::Retransmit
    }

    pub(super) fn due(&self) -> Instant {
        self.retransmit_at.map_or(self.end_at, |at| at.min(self.end_at))
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ClientStep::{Final, Nothing, Provisional, Retransmit, TimedOut};

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    /// Runs to the end on virtual time; `responses` are (ms, status), in order. Gives (ms, step), Nothing left out of
    /// timers.
    fn run(reliable: bool, responses: &[(u64, u16)]) -> (Vec<(u64, ClientStep)>, u64) {
        let mut machine = NonInvite::start(at(0), reliable);
        let mut responses = responses.iter().copied().peekable();
        let mut log = Vec::new();
        let mut now = 0;
        while !machine.is_over() {
            let due = machine.due().as_micros() / 1000;
            match responses.next_if(|(ms, _)| *ms < due) {
                Some((ms, status)) => {
                    now = ms;
                    log.push((ms, machine.on_response(at(ms), status)));
                }
                None => {
                    now = due;
                    let step = machine.on_timer(at(due));
                    if step != Nothing {
                        log.push((due, step));
                    }
                }
            }
        }
        (log, now)
    }

    #[test]
    fn rfc3261_17_1_2_2_retransmits_doubling_to_t2_until_timer_f() {
        let sent = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        let mut want: Vec<_> = sent.map(|ms| (ms, Retransmit)).to_vec();
        want.push((32_000, TimedOut));
        assert_eq!(run(false, &[]), (want, 32_000));
    }

    #[test]
    fn a_reliable_flow_never_retransmits_and_ends_with_the_response() {
        assert_eq!(run(true, &[]), (vec![(32_000, TimedOut)], 32_000));
        assert_eq!(run(true, &[(40, 200)]), (vec![(40, Final)], 40));
        assert_eq!(run(true, &[(40, 100), (90, 500)]), (vec![(40, Provisional), (90, Final)], 90));
    }

    #[test]
    fn a_provisional_response_slows_retransmission_to_t2() {
        let mut want = vec![(500, Retransmit), (600, Provisional)];
        want.extend([1500, 5500, 9500, 13_500, 17_500, 21_500, 25_500, 29_500].map(|ms| (ms, Retransmit)));
        want.push((32_000, TimedOut));
        assert_eq!(run(false, &[(600, 100)]), (want, 32_000));
    }

    #[test]
    fn completed_absorbs_until_timer_k() {
        for status in [200, 404, 603] {
            let (log, end) = run(false, &[(700, status), (800, status), (900, 100), (5600, 200)]);
            let want = vec![(500, Retransmit), (700, Final), (800, Nothing), (900, Nothing), (5600, Nothing)];
            assert_eq!((log, end), (want, 5700));
        }
    }

    #[test]
    fn a_late_timer_does_not_burst() {
        let mut machine = NonInvite::start(at(0), false);
        assert_eq!(machine.on_timer(at(9000)), Retransmit);
        assert_eq!(machine.on_timer(at(9000)), Nothing);
        assert_eq!(machine.due(), at(10_000));
        assert_eq!(machine.on_timer(at(40_000)), TimedOut);
    }
}
