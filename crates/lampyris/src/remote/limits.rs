//! Every bound of a client at another server: how long it waits, how much it takes.

use std::time::Duration;

/// How long a connection may take to open, its handshake included.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
/// The wait before a request that failed is tried again, where the server does not say.
pub(crate) const RETRY: Duration = Duration::from_secs(10);
/// The least time between two requests that nobody waits for.
pub(crate) const LEAST_WAIT: Duration = Duration::from_secs(1);
/// How long the last NOTIFY of a subscription that we end is waited for.
pub(crate) const LAST_NOTIFY: Duration = Duration::from_secs(2);
/// Most resources of one subscription whose calls are remembered.
pub(crate) const RESOURCES_MAX: usize = 10_000;
/// The life that `probe` asks for, in seconds: short, should the end not arrive there.
pub(crate) const PROBE_EXPIRES_S: u32 = 60;
/// Longest document that `publish` takes from a file, in bytes; larger ones no server takes.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 64 * 1024;
