//! The life of a world with calls.
//!
//! ```text
//! chaos   calls, deaths, loss, crashes
//! calm    nothing goes wrong any more; what was left over ends
//! quiet   more calls; every second each lamp is held against the phones (`truth`)
//! crash   once more, with calls that stay up; they are still shown
//! dark    everybody hangs up: every lamp goes dark
//! end     phones vanish with calls up: probing finds out, and nothing is left
//! ```

use super::{CALM, OVER, World};
use crate::calls::agent::State;
use crate::calls::truth::{BEHIND_MAX, BEHIND_RESTART_MAX, Truth};
use crate::network::Weather;
use crate::phone::Phone;
use lampyris_core::time::Instant;
use std::time::Duration;

/// Calls in the quiet phase.
const QUIET_CALLS: u64 = 30;
/// How long after a fault a call may be without its ACK for reasons that are nobody's: 64*T1 for the INVITE, and as much for its 2xx.
const EXCUSED: Duration = Duration::from_secs(80);
/// How long what a phone has called before it lost its power may ring: its longest patience.
const FORGOTTEN: Duration = Duration::from_secs(450);
/// After a restart streams come back, and phones register on them.
const SETTLED: Duration = Duration::from_secs(15);

impl World {
    pub(super) fn live_with_calls(&mut self) -> usize {
        let chaos = self.deeds.back().map_or(self.now.mono, |(at, _)| *at);
        self.play(chaos);
        self.note("---- calm");
        self.network.weather = Weather::FAIR;
        self.crashes.clear();
        self.disturbed = self.now.mono;
        for index in 0..self.phones.len() {
            self.start(index);
        }
        self.play(self.now.mono + CALM);
        self.checks.all_answered(self.now.mono);
        let mut compared = self.compare_twice("when quiet");
        self.note("---- quiet");
        let mut truth = Truth::default();
        truth.behind_max = BEHIND_MAX;
        for _ in 0..QUIET_CALLS {
            self.place_one();
            let seconds = 1 + self.rng.below(5);
            self.look(&mut truth, seconds, "when quiet");
        }
        for phone in &mut self.phones {
            phone.calls.talks_on = true;
        }
        for _ in 0..QUIET_CALLS / 4 {
            self.place_one();
            self.look(&mut truth, 4, "when quiet");
        }
        self.look(&mut truth, 70, "when quiet");
        self.note("---- crash and restart");
        let pending = |phone: &Phone| phone.calls.live().any(|leg| leg.state != State::Up);
        if self.phones.iter().any(pending) {
            truth.behind_max = BEHIND_RESTART_MAX;
        }
        self.crash(Duration::ZERO);
        self.play(self.now.mono + SETTLED);
        self.look(&mut truth, 90, "after a restart");
        compared += self.compare_twice("after a restart");
        self.note("---- dark");
        for phone in &mut self.phones {
            phone.calls.hang_up_all(self.now.mono);
        }
        let seconds = 60.max(truth.behind_max.as_secs());
        self.look(&mut truth, seconds, "after all hung up");
        truth.all_dark(&self.phones);
        for _ in 0..QUIET_CALLS / 4 {
            self.place_one();
            self.play(self.now.mono + Duration::from_secs(2));
        }
        self.checks.all_answered(self.now.mono);
        self.note("---- end");
        for phone in &mut self.phones {
            phone.is_off = true;
        }
        self.play(self.now.mono + OVER);
        self.nothing_is_left();
        self.checks.violations.append(&mut truth.violations);
        compared + truth.compared
    }

    /// Compares, and once more where something differed: a call may have changed between the fetch and the look at it.
    fn compare_twice(&mut self, when: &str) -> usize {
        let known = self.checks.violations.len();
        let compared = self.compare(when);
        if self.checks.violations.len() == known {
            return compared;
        }
        self.checks.violations.truncate(known);
        self.compare(when)
    }

    fn place_one(&mut self) {
        let count = self.phones.len() as u64;
        let who = usize::try_from(self.rng.below(count)).unwrap_or(0);
        let other = self.rng.below(count);
        let dialled =
            if self.rng.below(5) == 0 { format!("**50{other:02}") } else { format!("50{other:02}") };
        self.note(&format!("P{who} calls {dialled}"));
        self.place(who, &dialled);
    }

    /// A phone calls, or the next one that can.
    pub(super) fn place(&mut self, who: usize, dialled: &str) {
        let count = self.phones.len();
        let mut order = (who..count).chain(0..who);
        let able = |index: &usize| !self.phones[*index].is_off && !self.phones[*index].calls.is_full();
        if let Some(index) = order.find(able) {
            self.phones[index].calls.place(self.now.mono, dialled);
        }
    }

    /// Plays so many seconds and looks at the lamps after each.
    fn look(&mut self, truth: &mut Truth, seconds: u64, when: &str) {
        for _ in 0..seconds {
            self.play(self.now.mono + Duration::from_secs(1));
            let known = truth.violations.len();
            truth.look(self.now.mono, &self.phones, when);
            for violation in truth.violations.get(known..).unwrap_or_default().to_vec() {
                self.note(&format!("VIOLATION {violation}"));
            }
        }
    }

    /// A phone comes back: its old stream is gone.
    pub(super) fn start(&mut self, index: usize) {
        if !self.phones[index].is_off {
            return;
        }
        self.disturbed = self.now.mono;
        if let Some(id) = self.connections[index].take() {
            self.network.close(self.now.mono, id);
        }
        self.phones[index].start(self.now.mono);
    }

    /// A phone loses its power.
    pub(super) fn die(&mut self, index: usize) {
        self.disturbed = self.now.mono;
        self.phones[index].is_off = true;
        let name = self.phones[index].account.name.clone();
        self.checks.phone_dies(&name);
    }

    /// A 2xx that nobody acknowledged, where nothing can have been lost.
    pub(super) fn all_acknowledged(&mut self) {
        let now: Instant = self.now.mono;
        let excused = self.network.weather.loss > 0 || now.since(self.disturbed) < EXCUSED;
        // Why: a caller whose stream broke while it rang, or that lost its power, cannot be told.
        let deaf = |phone: &&Phone| {
            phone.is_off
                || phone.account.is_stream
                || phone.started_at.is_some_and(|at| now.since(at) < FORGOTTEN)
        };
        let deaf = self.phones.iter().filter(deaf).map(|phone| format!("talk-{}-", phone.account.name));
        let deaf: Vec<_> = deaf.collect();
        for phone in &mut self.phones {
            let is_deaf = |call_id: &String| deaf.iter().any(|caller| call_id.starts_with(caller));
            let mut open = phone.calls.unacknowledged.drain(..);
            for call_id in open.by_ref().filter(|call_id| !excused && !is_deaf(call_id)) {
                let what = format!("{} answered {call_id}, and no ACK came", phone.account.name);
                self.checks.violations.push(what);
            }
        }
    }
}
