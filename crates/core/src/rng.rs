//! All randomness of a node, from one seed: tags, branches, entity-tags, jitter.
//!
//! SHA-256 in counter mode: unpredictable to peers when the seed is secret (entity-tags and tags are capabilities), and
//! the same sequence for the same seed, so that a simulation repeats exactly.

use sha2::{Digest, Sha256};

/// A deterministic generator.
#[derive(Clone)]
pub struct Rng {
    key: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Rng {
    /// A generator whose whole sequence follows from `seed`.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { key: seed, counter: 0, block: [0; 32], used: 32 }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        if self.used + 8 > self.block.len() {
            let mut hash = Sha256::new();
            hash.update(self.key);
            hash.update(self.counter.to_le_bytes());
            self.block = hash.finalize().into();
            self.counter += 1;
            self.used = 0;
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.block[self.used..self.used + 8]);
        self.used += 8;
        u64::from_le_bytes(bytes)
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Why: the bias of a remainder of 64 bits is below 2^-32 for every bound used here.
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }

    /// 128 random bits, for entity-tags (RFC 3903 §14.4 wants them unguessable).
    pub fn next_u128(&mut self) -> u128 {
        u128::from(self.next_u64()) << 64 | u128::from(self.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_sequence_and_other_seed_another() {
        let take = |seed| {
            let mut rng = Rng::new([seed; 32]);
            (0..9).map(|_| rng.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        assert_eq!(take(1).iter().collect::<std::collections::BTreeSet<_>>().len(), 9);
    }
}
