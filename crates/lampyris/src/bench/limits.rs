//! Every bound of the load generator, named.

use std::time::Duration;

/// Most sockets or connections the phones share.
pub(crate) const FLOWS_MAX: usize = 4096;
/// Most watchers, so that one fits eight hexadecimal digits of a Call-ID with room to spare.
pub(crate) const WATCHERS_MAX: usize = 1 << 28;
/// Longest published document, in bytes: what fits a datagram beside its head.
pub(crate) const BODY_BYTES_MAX: usize = 60_000;
/// T1 of RFC 3261 §17.1.1.1: a request goes again after this, then after twice that.
pub(crate) const T1: Duration = Duration::from_millis(500);
/// T2: it never waits longer than this to go again.
pub(crate) const T2: Duration = Duration::from_secs(4);
/// 64 times T1: then it has failed.
pub(crate) const GIVEN_UP_AFTER: Duration = Duration::from_secs(32);
/// How long a server that has never answered is waited for.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);
/// How often requests are looked at that may have to go again.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// After a part of the load: how long NOTIFYs may come that nothing asked for, and calls may end.
pub(crate) const SETTLE: Duration = Duration::from_millis(300);
/// To connect, and for a handshake.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// Largest message taken from a stream: head, then body, in bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// See [`HEAD_BYTES_MAX`].
pub(crate) const STREAM_BODY_BYTES_MAX: usize = 1 << 20;
/// Messages are written into pieces of memory of this size, in bytes.
pub(crate) const ARENA_BYTES: usize = 64 * 1024;
/// Latencies are counted up to this, in microseconds; longer ones count as this.
pub(crate) const LATENCY_US_MAX: u64 = 120_000_000;
/// Operations under way while what is measured later is prepared.
pub(crate) const PREPARE_WINDOW: usize = 128;
