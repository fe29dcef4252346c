//! Token buckets per source: how much an address, or a publisher, may still do.
//!
//! In go a time and a source (an address, see [`network`], or whoever is counted); out comes whether there is a token left. The number of sources remembered is bounded:
//! a new one beyond it takes the place of one drawn by lot. It knows nothing of what the tokens pay for.

use crate::map::{Map, Maps};
use crate::rng::Rng;
use crate::time::Instant;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

/// One token in units of time: a bucket is kept as microseconds of credit.
type Micros = u64;

#[derive(Clone, Copy, Debug)]
struct Bucket<K> {
    source: K,
    /// When the bucket will be full.
    full_at: Instant,
}

/// Buckets of many sources, all of one size.
pub(crate) struct Buckets<K = IpAddr> {
    buckets: Vec<Bucket<K>>,
    by_source: Map<K, usize>,
    rng: Rng,
    sources_max: usize,
    /// Time that refills one token.
    token: Micros,
    /// Time that refills an empty bucket.
    burst: Micros,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    /// Buckets that hold `burst` tokens and gain `per_s` each second, for at most `sources_max` sources.
    pub(crate) fn new(maps: Maps, rng: Rng, per_s: u32, burst: u32, sources_max: usize) -> Self {
        let mut buckets = Self {
            buckets: Vec::new(),
            by_source: maps.map(),
            rng,
            sources_max: sources_max.max(1),
            token: 0,
            burst: 0,
        };
        buckets.resize(per_s, burst);
        buckets
    }

    /// Other sizes from now on; what was taken stays taken.
    pub(crate) fn resize(&mut self, per_s: u32, burst: u32) {
        self.token = 1_000_000 / u64::from(per_s.max(1));
        self.burst = self.token * u64::from(burst);
    }

    /// Takes a token of this source if it has one left.
    pub(crate) fn take(&mut self, now: Instant, source: K) -> bool {
        let slot = self.slot(now, source);
        let Some(bucket) = self.buckets.get_mut(slot) else { return false };
        let full_at = bucket.full_at.max(now).as_micros() + self.token;
        if full_at > now.as_micros() + self.burst {
            return false;
        }
        bucket.full_at = Instant::from_micros(full_at);
        true
    }

    /// Whether a source has no token left.
    pub(crate) fn is_empty(&self, now: Instant, source: K) -> bool {
        let bucket = self.by_source.get(&source).and_then(|slot| self.buckets.get(*slot));
        bucket.is_some_and(|bucket| {
            bucket.full_at.max(now).as_micros() + self.token > now.as_micros() + self.burst
        })
    }

    /// Gives a token back.
    pub(crate) fn give(&mut self, source: K) {
        let slot = self.by_source.get(&source).copied();
        if let Some(bucket) = slot.and_then(|slot| self.buckets.get_mut(slot)) {
            bucket.full_at = Instant::from_micros(bucket.full_at.as_micros().saturating_sub(self.token));
        }
    }

    /// Sources remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }

    fn slot(&mut self, now: Instant, source: K) -> usize {
        if let Some(slot) = self.by_source.get(&source) {
            return *slot;
        }
        let fresh = Bucket { source, full_at: now };
        let slot = if self.buckets.len() < self.sources_max {
            self.buckets.push(fresh);
            self.buckets.len() - 1
        } else {
            let bound = u64::try_from(self.buckets.len()).unwrap_or(u64::MAX);
            let slot = usize::try_from(self.rng.below(bound)).unwrap_or(0);
            if let Some(old) = self.buckets.get_mut(slot) {
                self.by_source.remove(&old.source);
                *old = fresh;
            }
            slot
        };
        self.by_source.insert(source, slot);
        slot
    }
}

/// What of an address is one source: the address itself, or the /64 of an IPv6 one, which one host may own whole.
pub(crate) fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(sources_max: usize) -> Buckets {
        Buckets::new(Maps::new(1), Rng::new([1; 32]), 2, 3, sources_max)
    }

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut buckets = buckets(10);
        let a = ip("192.0.2.1");
        let rows = [(0, 4, 3), (100, 1, 0), (500, 2, 1), (1000, 2, 1), (60_000, 9, 3)];
        for (ms, asked, given) in rows {
            let got = (0..asked).filter(|_| buckets.take(at(ms), a)).count();
            assert_eq!(got, given, "at {ms} ms");
        }
        assert!(buckets.take(at(60_000), ip("192.0.2.2")), "each source has its own");
    }

    #[test]
    fn an_ipv6_network_is_one_source_and_a_mapped_address_its_ipv4() {
        let mut buckets = buckets(10);
        for (source, given) in [
            ("2001:db8::1", true),
            ("2001:db8::2", true),
            ("2001:db8::3:4", true),
            ("2001:db8::5", false),
            ("2001:db8:0:1::1", true),
        ] {
            assert_eq!(buckets.take(at(0), network(ip(source))), given, "{source}");
        }
        for mapped in ["192.0.2.1", "::ffff:192.0.2.1"] {
            assert!(buckets.take(at(0), network(ip(mapped))));
        }
        assert_eq!(buckets.len(), 3);
    }

    #[test]
    fn a_token_given_back_can_be_taken_again() {
        let mut buckets = buckets(10);
        let a = ip("192.0.2.1");
        assert!(!buckets.is_empty(at(0), a));
        assert_eq!((0..9).filter(|_| buckets.take(at(0), a)).count(), 3);
        assert!(buckets.is_empty(at(0), a));
        buckets.give(a);
        assert!(!buckets.is_empty(at(0), a) && buckets.take(at(0), a) && !buckets.take(at(0), a));
    }

    #[test]
    fn the_number_of_sources_is_bounded() {
        let mut buckets = buckets(8);
        for n in 0..1000u32 {
            buckets.take(at(0), IpAddr::V4(n.into()));
        }
        assert_eq!((buckets.len(), buckets.by_source.len()), (8, 8));
    }
}
