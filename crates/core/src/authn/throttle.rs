//! How often a source may be asked who it is before it says so, and how often it may guess (security rows 7 and 30).
//!
//! In go challenges sent, answers that were wrong and answers that were right; out comes which limit a source is over. An
//! answer that is right gives its challenge back, so a site whose phones all start at once runs dry only by the phones that
//! never answer. What is over the limit is refused before any digest is computed, except on flows that showed right
//! credentials before: a guesser behind the same address as honest phones does not lock those out.

use crate::bucket::{Buckets, network};
use crate::hits::Limit;
use crate::limits;
use crate::map::{Map, Maps};
use crate::rng::Rng;
use crate::time::Instant;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// What sources have left.
pub(super) struct Throttle {
    challenges: Buckets<IpAddr>,
    guesses: Buckets<IpAddr>,
    known: Map<SocketAddr, ()>,
    /// The same, longest known first.
    order: VecDeque<SocketAddr>,
    known_max: usize,
}

impl Throttle {
    /// Nobody has used anything.
    pub(super) fn new(maps: Maps, mut fork: impl FnMut() -> Rng) -> Self {
        let sources = limits::THROTTLED_SOURCES_MAX;
        let (per_s, burst) = (limits::CHALLENGES_PER_S, limits::CHALLENGES_BURST);
        let challenges = Buckets::new(maps, fork(), per_s, burst, sources);
        let guesses = Buckets::new(maps, fork(), limits::GUESSES_PER_S, limits::GUESSES_BURST, sources);
        let known_max = limits::KNOWN_FLOWS_MAX;
        Self { challenges, guesses, known: maps.map(), order: VecDeque::new(), known_max }
    }

    /// Whether right credentials came from this address and port before.
    pub(super) fn knows(&self, remote: SocketAddr) -> bool {
        self.known.contains_key(&remote)
    }

    /// Right credentials came from here, or did before a restart.
    pub(super) fn remember(&mut self, remote: SocketAddr) {
        if self.known.insert(remote, ()).is_some() {
            return;
        }
        self.order.push_back(remote);
        if self.order.len() > self.known_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Which limit a source is over that sends a request with credentials, or without.
    pub(super) fn refusal(&self, now: Instant, remote: SocketAddr, has_credentials: bool) -> Option<Limit> {
        if self.knows(remote) {
            return None;
        }
        let source = network(remote.ip());
        if has_credentials {
            return self.guesses.is_empty(now, source).then_some(Limit::Guesses);
        }
        self.challenges.is_empty(now, source).then_some(Limit::Challenges)
    }

    /// It is challenged.
    pub(super) fn challenged(&mut self, now: Instant, remote: SocketAddr) {
        self.challenges.take(now, network(remote.ip()));
    }

    /// Its credentials are right.
    pub(super) fn right(&mut self, remote: SocketAddr) {
        self.challenges.give(network(remote.ip()));
        self.remember(remote);
    }

    /// Its credentials are wrong.
    pub(super) fn wrong(&mut self, now: Instant, remote: SocketAddr) {
        self.guesses.take(now, network(remote.ip()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> Throttle {
        Throttle::new(Maps::new(1), || Rng::new([1; 32]))
    }

    fn at(s: u64) -> Instant {
        Instant::from_micros(s * 1_000_000)
    }

    fn from(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn who_never_answers_runs_dry_and_who_answers_does_not() {
        let mut throttle = throttle();
        for _ in 0..limits::CHALLENGES_BURST {
            assert_eq!(throttle.refusal(at(0), from(1), false), None);
            throttle.challenged(at(0), from(1));
        }
        assert_eq!(throttle.refusal(at(0), from(2), false), Some(Limit::Challenges), "any port of it");
        assert_eq!(throttle.refusal(at(0), ([192, 0, 2, 9], 1).into(), false), None);
        assert_eq!(throttle.refusal(at(1), from(2), false), None, "some time later again");
        let mut throttle = self::throttle();
        for port in 0..5000 {
            assert_eq!(throttle.refusal(at(0), from(port), false), None, "{port}");
            throttle.challenged(at(0), from(port));
            throttle.right(from(port));
        }
    }

    #[test]
    fn a_guesser_is_stopped_and_its_honest_neighbours_are_not() {
        let mut throttle = throttle();
        throttle.challenged(at(0), from(7));
        throttle.right(from(7));
        for _ in 0..limits::GUESSES_BURST {
            assert_eq!(throttle.refusal(at(0), from(1), true), None);
            throttle.wrong(at(0), from(1));
        }
        assert_eq!(throttle.refusal(at(0), from(1), true), Some(Limit::Guesses));
        assert_eq!(throttle.refusal(at(0), from(1), false), None, "it may still ask");
        assert_eq!(throttle.refusal(at(0), from(7), true), None, "known before");
    }

    #[test]
    fn the_known_are_bounded_and_the_longest_known_goes_first() {
        let mut throttle = Throttle { known_max: 2, ..throttle() };
        for port in [1, 2, 1, 3] {
            throttle.remember(from(port));
        }
        assert_eq!([1, 2, 3].map(|port| throttle.knows(from(port))), [false, true, true]);
        assert_eq!((throttle.known.len(), throttle.order.len()), (2, 2));
    }
}
