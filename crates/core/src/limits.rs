//! Every bound of the core, named. Units and qualifiers come last; relations between bounds are asserted below.

/// Longest SIP message taken, in bytes; a larger one is 413 (RFC 3261 §21.4.11).
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// Longest body taken, in bytes; a larger one is 413.
pub const BODY_BYTES_MAX: usize = 60_000;
/// Longest URI taken, in bytes; a longer one is 414 (security row 19).
pub const URI_BYTES_MAX: usize = 1024;
/// Most bindings of one AOR; one more is 403.
pub const BINDINGS_PER_AOR_MAX: usize = 10;
/// Most Contact values in one REGISTER; more is 400.
pub const CONTACTS_PER_REQUEST_MAX: usize = 16;
/// Most media ranges read of a request's Accept headers; more is 400 (security row 3).
pub const ACCEPT_RANGES_MAX: usize = 48;
/// Longest entity-tag taken from a peer, in bytes (security row 21).
pub const ETAG_BYTES_MAX: usize = 128;
/// Most route entries kept of a dialog's route set; more is 400.
pub const ROUTES_MAX: usize = 16;
/// Most live subscriptions of one node; one more is 503.
pub const SUBSCRIPTIONS_MAX: usize = 4_000_000;
/// Most live publications per presentity and package; one more is 403.
pub const PUBLICATIONS_PER_RESOURCE_MAX: usize = 32;
/// Most server transactions in flight; one more is 503.
pub const TRANSACTIONS_MAX: usize = 1_000_000;
/// Longest nonce we make, in characters (a challenge over UDP may not be larger than the request).
pub const NONCE_CHARS_MAX: usize = 32;

/// Margin between the stored CSeq of a subscription and the last one sent; after a crash CSeq jumps by it.
pub const CSEQ_JUMP: u32 = 1 << 16;
/// A subscription's record is rewritten before this many NOTIFYs went out since it was last stored.
pub const CSEQ_STORED_EVERY: u32 = 1 << 15;

/// Seconds after which an unanswered DNS query is given up.
pub const DNS_WAIT_S: u64 = 5;

const _: () = assert!(BODY_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(CSEQ_STORED_EVERY < CSEQ_JUMP);
const _: () = assert!(BINDINGS_PER_AOR_MAX <= CONTACTS_PER_REQUEST_MAX);
