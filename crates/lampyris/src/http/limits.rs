//! Every bound on HTTP, named.

use std::time::Duration;

/// Connections, all together.
pub(crate) const CONNECTIONS_MAX: usize = 1024;
/// Connections from one address that is not loopback.
pub(crate) const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;
/// Requests a second from one address, on average.
pub(crate) const REQUESTS_PER_S: u32 = 500;
/// Requests at once from one address that was quiet before.
pub(crate) const REQUESTS_BURST: u32 = 1000;
/// Addresses whose requests are counted.
pub(crate) const ADDRESSES_MAX: usize = 4096;
/// Longest head of a request, in bytes; hyper's least is 8 KiB.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header lines of a request.
pub(crate) const HEADERS_MAX: usize = 64;
/// Longest body of a request, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// From the first byte of a head to its last, and between requests on a connection.
pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// For a whole body.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(10);
/// For a TLS handshake.
pub(crate) const TLS_WITHIN: Duration = Duration::from_secs(10);
/// For a client to read anything of what is being written.
pub(crate) const WRITE_STALL: Duration = Duration::from_secs(30);
/// Silence on a stream of events after which it says that it is still there.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Tokens stored.
pub(crate) const TOKENS_MAX: usize = 1000;
/// Names in a filter.
pub(crate) const FILTER_NAMES_MAX: usize = 1000;
/// How long a one-time link may be used.
pub(crate) const LINK_FOR: Duration = Duration::from_secs(3600);
/// One-time links at a time.
pub(crate) const LINKS_MAX: usize = 16;
