//! The INVITE server transaction (RFC 3261 §17.2.1, with the Accepted state of RFC 6026 §7.1) as plain data.
//!
//! ```text
//!  Proceeding (INVITE again: send the last 1xx again; unanswered for 200 ms: send 100)
//!    +-- 2xx: send ----> Accepted -- L=64*T1 --> end   (INVITE again: absorbed, the user retransmits its 2xx; ACK: to the user)
//!    +-- 3xx-6xx: send -> Completed (G=T1, doubling to T2: send again; INVITE again: send again)
//!                           |-- H=64*T1: unacknowledged, end
//!                           +-- ACK --> Confirmed -- I=T4 (0 on streams) --> end
//! ```

use super::server::ServerStep;
use super::timers::{T1, T2, T4, T64, TRYING_AFTER, unless_reliable};
use crate::time::Instant;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Proceeding,
    Accepted,
    Completed,
    Confirmed,
}

/// An INVITE server transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Invite {
    state: State,
    reliable: bool,
    /// The 100 of an unanswered INVITE, then Timer G.
    send_at: Option<Instant>,
    gap: Duration,
    /// Timer H, I or L.
    end_at: Option<Instant>,
    over: bool,
}

impl Invite {
    pub(super) fn open(now: Instant, reliable: bool) -> Self {
        let send_at = Some(now + TRYING_AFTER);
        Self { state: State::Proceeding, reliable, send_at, gap: T1, end_at: None, over: false }
    }

    pub(super) const fn on_request(&self) -> ServerStep {
        match self.state {
            State::Proceeding | State::Completed => ServerStep::SendAgain,
            State::Accepted | State::Confirmed => ServerStep::Nothing,
        }
    }

    pub(super) fn on_ack(&mut self, now: Instant) -> ServerStep {
        match self.state {
            State::Accepted => return ServerStep::AckToUser,
            State::Completed => {
                self.state = State::Confirmed;
                self.send_at = None;
                self.end_at = Some(now + unless_reliable(self.reliable, T4));
                self.over = self.reliable;
            }
            State::Proceeding | State::Confirmed => {}
        }
        ServerStep::Nothing
    }

    pub(super) fn respond(&mut self, now: Instant, status: u16) -> ServerStep {
        match (self.state, status) {
            (State::Proceeding, ..=199) => self.send_at = None,
            (State::Proceeding, 200..=299) => {
                self.state = State::Accepted;
                self.send_at = None;
                self.end_at = Some(now + T64);
            }
            (State::Proceeding, _) => {
                self.state = State::Completed;
                self.send_at = (!self.reliable).then(|| now + T1);
                self.end_at = Some(now + T64);
            }
            // Why: RFC 6026 §7.1 lets the user retransmit its 2xx through the transaction.
            (State::Accepted, 200..=299) => {}
            _ => return ServerStep::Nothing,
        }
        ServerStep::Send
    }

    pub(super) fn on_timer(&mut self, now: Instant) -> ServerStep {
        if self.end_at.is_some_and(|at| now >= at) {
            self.over = true;
            return if self.state == State::Completed {
                ServerStep::Unacknowledged
            } else {
                ServerStep::Nothing
            };
        }
        if self.send_at.is_none_or(|at| now < at) {
            return ServerStep::Nothing;
        }
        if self.state == State::Proceeding {
            self.send_at = None;
            return ServerStep::SendTrying;
        }
        self.gap = T2.min(self.gap * 2);
        self.send_at = Some(now + self.gap);
        ServerStep::SendAgain
    }

    pub(super) fn due(&self) -> Option<Instant> {
        [self.send_at, self.end_at].into_iter().flatten().min()
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn is_answered(&self) -> bool {
        self.state != State::Proceeding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ServerStep::{AckToUser, Nothing, Send, SendAgain, SendTrying, Unacknowledged};

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    #[derive(Clone, Copy)]
    enum Do {
        Respond(u16),
        Invite,
        Ack,
    }
    use Do::{Ack, Respond};

    fn run(reliable: bool, events: &[(u64, Do)]) -> (Vec<(u64, ServerStep)>, Option<u64>) {
        let mut machine = Invite::open(at(0), reliable);
        let mut events = events.iter().copied().peekable();
        let mut log = Vec::new();
        let mut now = 0;
        while !machine.is_over() {
            let due = machine.due().map(|due| due.as_micros() / 1000);
            match (events.next_if(|(ms, _)| due.is_none_or(|due| *ms < due)), due) {
                (Some((ms, event)), _) => {
                    now = ms;
                    let step = match event {
                        Respond(status) => machine.respond(at(ms), status),
                        Do::Invite => machine.on_request(),
                        Ack => machine.on_ack(at(ms)),
                    };
                    log.push((ms, step));
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
    fn rfc3261_17_2_1_timer_g_doubles_to_t2_until_timer_h() {
        let mut want = vec![(100, Send)];
        let sent = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        want.extend(sent.map(|ms| (100 + ms, SendAgain)));
        want.push((32_100, Unacknowledged));
        assert_eq!(run(false, &[(100, Respond(486))]), (want, Some(32_100)));
        let want = vec![(100, Send), (32_100, Unacknowledged)];
        assert_eq!(run(true, &[(100, Respond(486))]), (want, Some(32_100)));
    }

    #[test]
    fn every_state_and_event() {
        type Row = (&'static str, bool, &'static [(u64, Do)], &'static [(u64, ServerStep)], Option<u64>);
        let rows: &[Row] = &[
            ("100 after 200 ms", false, &[], &[(200, SendTrying)], None),
            (
                "not if answered",
                false,
                &[(10, Respond(180)), (20, Do::Invite), (30, Ack)],
                &[(10, Send), (20, SendAgain), (30, Nothing)],
                None,
            ),
            (
                "accepted",
                false,
                &[(10, Respond(200)), (20, Do::Invite), (30, Ack), (40, Respond(200)), (50, Respond(486))],
                &[(10, Send), (20, Nothing), (30, AckToUser), (40, Send), (50, Nothing)],
                Some(32_010),
            ),
            (
                "accepted on a stream",
                true,
                &[(10, Respond(200)), (30, Ack)],
                &[(10, Send), (30, AckToUser)],
                Some(32_010),
            ),
            (
                "confirmed",
                false,
                &[
                    (10, Respond(486)),
                    (20, Do::Invite),
                    (600, Ack),
                    (700, Ack),
                    (800, Do::Invite),
                    (900, Respond(200)),
                ],
                &[
                    (10, Send),
                    (20, SendAgain),
                    (510, SendAgain),
                    (600, Nothing),
                    (700, Nothing),
                    (800, Nothing),
                    (900, Nothing),
                ],
                Some(5600),
            ),
            (
                "confirmed on a stream",
                true,
                &[(10, Respond(486)), (600, Ack)],
                &[(10, Send), (600, Nothing)],
                Some(600),
            ),
        ];
        for (name, reliable, events, log, end) in rows {
            assert_eq!(run(*reliable, events), (log.to_vec(), *end), "{name}");
        }
    }
}
