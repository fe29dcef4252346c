//! The timer values of RFC 3261 §17 (Table 4) and RFC 6026 §8.

use std::time::Duration;

/// Round-trip time estimate.
pub(crate) const T1: Duration = Duration::from_millis(500);
/// Longest gap between retransmissions of a non-INVITE request and of a final response to INVITE.
pub(crate) const T2: Duration = Duration::from_secs(4);
/// Longest time a message stays in the network.
pub(crate) const T4: Duration = Duration::from_secs(5);
/// 64 * T1: Timers B, F, H, J, L and M.
pub(crate) const T64: Duration = Duration::from_secs(32);
/// How long an INVITE client transaction keeps acknowledging retransmitted responses over UDP (at least 32 s).
pub(crate) const TIMER_D: Duration = Duration::from_secs(32);
/// When an unanswered INVITE gets its 100 (RFC 3261 §17.2.1).
pub(crate) const TRYING_AFTER: Duration = Duration::from_millis(200);

const _: () = assert!(T64.as_millis() == 64 * T1.as_millis());
const _: () = assert!(TIMER_D.as_secs() >= 32);

/// `wait` over UDP, nothing over transports that retransmit by themselves (Timers D, I, J and K).
pub(super) const fn unless_reliable(reliable: bool, wait: Duration) -> Duration {
    if reliable { Duration::ZERO } else { wait }
}
