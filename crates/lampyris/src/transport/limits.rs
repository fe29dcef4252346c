//! Every bound on streams, named (security rows 36 to 42), and [`Limits`] and [`Seats`], in which tests make them small.

use lampyris_core::quotas::Quotas;
use std::time::Duration;

/// From accepting a TCP connection to its first byte; over TLS and WebSocket from the end of the handshake.
const FIRST_BYTE: Duration = Duration::from_secs(5);
/// From a message's first byte to its last.
const WHOLE_MESSAGE: Duration = Duration::from_secs(10);
/// Between the messages of a stranger: somebody we have not yet answered with a 2xx.
const STRANGER_IDLE: Duration = Duration::from_secs(30);
/// For a peer to read what is being written.
const WRITE_STALL: Duration = Duration::from_secs(10);
/// For a connection of ours to come up.
const CONNECT: Duration = Duration::from_secs(10);
/// For a whole TLS handshake, in either direction.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// For a whole WebSocket upgrade request, from the first byte on the connection (or the end of TLS).
const WS_HANDSHAKE: Duration = Duration::from_secs(5);
/// Between two pings on a WebSocket; who has sent nothing from one to the next is gone.
const WS_PING_EVERY: Duration = Duration::from_secs(30);
/// Bytes that may wait for one peer to read them; one message more closes its stream.
const WRITE_BUFFER_BYTES_MAX: usize = 1 << 20;
/// Bytes from which on NOTIFYs wait in the node, where the newest state replaces older ones.
const WRITE_BLOCKED_BYTES: usize = 256 * 1024;
/// Messages read from all streams that the engine has not handled yet.
const UNHANDLED_MAX: usize = 1024;

/// Longest head of a WebSocket upgrade request, in bytes (security row 40).
pub(crate) const WS_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header lines in one (security row 39).
pub(crate) const WS_HEADERS_MAX: usize = 64;
/// Most messages written with one system call.
pub(crate) const WRITE_BATCH: usize = 32;
/// How often peers that still use it are pinged by TCP itself once they are silent.
pub(crate) const TCP_KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Between two of those pings.
pub(crate) const TCP_KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

/// The first wait after a stream could not be accepted, doubled each time.
pub(crate) const ACCEPT_BACK_OFF_MIN: Duration = Duration::from_millis(50);
/// The longest.
pub(crate) const ACCEPT_BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// Streams of strangers.
const STRANGERS_MAX: usize = 4096;
/// Streams of strangers from one address.
const STRANGERS_PER_ADDRESS_MAX: usize = 256;

/// How long peers may take, and how much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// [`FIRST_BYTE`].
    pub(crate) first: Duration,
    /// [`WHOLE_MESSAGE`].
    pub(crate) whole: Duration,
    /// [`STRANGER_IDLE`].
    pub(crate) stranger_idle: Duration,
    /// [`WRITE_STALL`].
    pub(crate) write_stall: Duration,
    /// [`CONNECT`].
    pub(crate) connect: Duration,
    /// [`TLS_HANDSHAKE`].
    pub(crate) tls_handshake: Duration,
    /// [`WS_HANDSHAKE`].
    pub(crate) ws_handshake: Duration,
    /// [`WS_PING_EVERY`].
    pub(crate) ws_ping_every: Duration,
    /// [`WRITE_BUFFER_BYTES_MAX`].
    pub(crate) write_buffer_bytes: usize,
    /// [`WRITE_BLOCKED_BYTES`].
    pub(crate) write_blocked_bytes: usize,
    /// [`UNHANDLED_MAX`].
    pub(crate) unhandled: usize,
    /// How many streams.
    pub(crate) seats: Seats,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first: FIRST_BYTE,
            whole: WHOLE_MESSAGE,
            stranger_idle: STRANGER_IDLE,
            write_stall: WRITE_STALL,
            connect: CONNECT,
            tls_handshake: TLS_HANDSHAKE,
            ws_handshake: WS_HANDSHAKE,
            ws_ping_every: WS_PING_EVERY,
            write_buffer_bytes: WRITE_BUFFER_BYTES_MAX,
            write_blocked_bytes: WRITE_BLOCKED_BYTES,
            unhandled: UNHANDLED_MAX,
            seats: Seats::default(),
        }
    }
}

/// How many streams there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seats {
    /// Streams accepted, all together (`streams_max`).
    pub(crate) all_max: usize,
    /// Streams from one address (`streams_per_address_max`).
    pub(crate) address_max: usize,
    /// [`STRANGERS_MAX`].
    pub(crate) strangers_max: usize,
    /// [`STRANGERS_PER_ADDRESS_MAX`].
    pub(crate) address_strangers_max: usize,
}

impl Default for Seats {
    fn default() -> Self {
        Self::of(&Quotas::default())
    }
}

impl Seats {
    /// As many as configured; 0 is without limit.
    pub(crate) fn of(quotas: &Quotas) -> Self {
        let most = |count: u32| match usize::try_from(count) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(count) => count,
        };
        Self {
            all_max: most(quotas.streams),
            address_max: most(quotas.streams_per_address),
            strangers_max: STRANGERS_MAX,
            address_strangers_max: STRANGERS_PER_ADDRESS_MAX,
        }
    }
}

const _: () = assert!(WRITE_BLOCKED_BYTES < WRITE_BUFFER_BYTES_MAX);
