//! The hash map of the core: seeded, so that a peer cannot choose colliding keys and a simulation repeats exactly.
//!
//! Its iteration order must never be observable: iterate a `BTreeMap`, or sort first.

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;

/// A seeded hash map.
pub type Map<K, V> = hashbrown::HashMap<K, V, SeedableRandomState>;

/// Makes the maps of one node, all from one seed.
#[derive(Clone, Copy, Debug)]
pub struct Maps {
    seed: u64,
}

impl Maps {
    /// Maps whose hashes depend on `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// An empty map.
    pub fn map<K, V>(self) -> Map<K, V> {
        Map::with_hasher(SeedableRandomState::with_seed(self.seed, SharedSeed::global_fixed()))
    }
}
