//! How much of everything peers may have: the limits an administrator can change. 0 is without limit.
//!
//! What each does to a request that is over it says [`crate::hits`]; bounds that nobody needs to change are in
//! [`crate::limits`].

use crate::limits;

/// The limits of a node that can be configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Live subscriptions.
    pub subscriptions: u32,
    /// Live subscriptions of one watcher.
    pub subscriptions_per_watcher: u32,
    /// Live subscriptions to one resource, over all packages.
    pub subscriptions_per_presentity: u32,
    /// Live subscriptions from one address (IPv6: one /64), trusted networks apart.
    pub subscriptions_per_source: u32,
    /// Live publications.
    pub publications: u32,
    /// Live publications of one resource and package.
    pub publications_per_presentity: u32,
    /// Live publications of one publisher.
    pub publications_per_publisher: u32,
    /// PUBLISH requests of one publisher in a second, in the long run.
    pub publishes_per_s: u32,
    /// Live bindings.
    pub bindings: u32,
    /// Live bindings of one AOR.
    pub bindings_per_aor: u32,
    /// Memory of the process above which nothing new is taken, in MiB; the shell says when that is so.
    pub memory_mib: u32,
    /// Streams open at once; the shell counts them.
    pub streams: u32,
    /// Streams open at once from one address; the shell counts them.
    pub streams_per_address: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            subscriptions: limits::SUBSCRIPTIONS_MAX,
            subscriptions_per_watcher: limits::SUBSCRIPTIONS_PER_WATCHER_MAX,
            subscriptions_per_presentity: limits::SUBSCRIPTIONS_PER_PRESENTITY_MAX,
            subscriptions_per_source: limits::SUBSCRIPTIONS_PER_SOURCE_MAX,
            publications: limits::PUBLICATIONS_MAX,
            publications_per_presentity: limits::PUBLICATIONS_PER_RESOURCE_MAX,
            publications_per_publisher: limits::PUBLICATIONS_PER_PUBLISHER_MAX,
            publishes_per_s: limits::PUBLISHES_PER_S,
            bindings: limits::BINDINGS_MAX,
            bindings_per_aor: limits::BINDINGS_PER_AOR_MAX,
            memory_mib: 0,
            streams: limits::STREAMS_MAX,
            streams_per_address: limits::STREAMS_PER_ADDRESS_MAX,
        }
    }
}

/// Whether a count has reached a limit; 0 is without limit.
pub(crate) fn is_full(count: usize, most: u32) -> bool {
    most > 0 && u32::try_from(count).unwrap_or(u32::MAX) >= most
}
