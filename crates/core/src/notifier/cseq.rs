//! CSeq over crashes: no NOTIFY leaves with a number that a restart at that moment would use again.
//!
//! A restart goes on at the CSeq of the row and a [`jump`], which grows with the age of the subscription: where nothing could be
//! stored between two crashes, both begin from the same row, and the second has to begin above what the first has counted
//! to. So a life may count, beyond its row, as fast as the jump grows and no faster: what would be faster waits until the row
//! is stored, or for a second. A NOTIFY that is given up before it left gives its number back, so that a storm of requests
//! which the disk refuses uses up none.
//!
//! In: a subscription, and what the store said. Out: what its next NOTIFY waits for.

use crate::limits;
use crate::node::Node;
use crate::output::Ticket;
use crate::tickets::Undo;
use crate::time::{Now, UnixTime};

/// How far a restart jumps beyond the row of a subscription that began then.
pub(super) fn jump(now: UnixTime, began: UnixTime) -> u32 {
    let per_s = u64::from(limits::CSEQ_PER_S);
    let (age_ms, fast) = (now.since(began).as_millis(), u64::from(limits::CSEQ_FAST_MAX));
    let age_ms = u64::try_from(age_ms).unwrap_or(u64::MAX);
    let slow_ms = age_ms.saturating_sub(fast * 1000 / per_s);
    let counted = (age_ms.saturating_mul(per_s) / 1000).min(fast);
    let counted = counted + slow_ms / (1000 * u64::from(limits::CSEQ_SLOW_S));
    limits::CSEQ_JUMP.saturating_add(u32::try_from(counted).unwrap_or(u32::MAX))
}

impl Node {
    /// The store has a subscription's row with this CSeq.
    pub(crate) fn cseq_stored(&mut self, slot: u32, cseq: u32) {
        // Why: the slot may be another's by now, whose own row is decided next.
        if let Some(subscription) = self.subscriptions.get_mut(slot).filter(|s| cseq <= s.local_cseq) {
            subscription.stored_cseq = cseq;
        }
    }

    /// Whether a restart now would use the CSeq of the next NOTIFY again, or has used it for a later one.
    pub(super) fn may_count_again(&self, now: Now, slot: u32) -> bool {
        self.subscriptions.get(slot).is_some_and(|s| {
            s.local_cseq.saturating_add(1) >= s.stored_cseq.saturating_add(jump(now.wall, s.created_at))
        })
    }

    /// Stores a subscription again where its CSeq is far ahead of its row; what the NOTIFY has to wait for.
    pub(super) fn store_cseq(&mut self, now: Now, slot: u32) -> Option<Ticket> {
        let subscription = self.subscriptions.get(slot)?;
        if subscription.local_cseq.saturating_sub(subscription.stored_cseq) < limits::CSEQ_STORED_EVERY {
            return None;
        }
        let waits = self.may_count_again(now, slot);
        // Why: nothing to go back to; a disk that stays full costs the NOTIFY a second, not its watcher.
        self.store_subscription(slot, Undo::No).filter(|_| waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_jump_never_stops_growing_and_leaves_room_for_years_of_restarts() {
        let began = UnixTime::from_millis(1_000_000_000);
        let after = |s| jump(began + Duration::from_secs(s), began);
        let day = 86_400;
        assert_eq!((after(0), after(1), after(10)), (65_536, 65_552, 65_696));
        for age in [0, 60, day / 2, day, 30 * day, 365 * day] {
            assert!(after(age + u64::from(limits::CSEQ_SLOW_S)) > after(age), "{age}");
        }
        let weekly: u32 = (0..104).map(|week| after(week * 7 * day)).sum();
        assert!(weekly < 1 << 31);
        let set_back = jump(began, began + Duration::from_secs(day));
        assert_eq!(set_back, limits::CSEQ_JUMP);
    }
}
