//! Presence with what it was a moment ago, so that watchers can be told only what changed.
//!
//! In: a [`Presence`] and the state composed before. Out: the same with a revision that rises with each change, and the last
//! few states that watchers may have acknowledged. It does not find the changes: that is `body::pidf_diff`.

use crate::composition::extension::Presence;
use crate::limits;

/// The event state of the presence package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revised {
    /// How it is.
    pub presence: Presence,
    /// Rises by one with each composition that differs from the one before.
    pub revision: u32,
    /// How it was, by revision, the newest last.
    earlier: Vec<(u32, Presence)>,
}

impl Revised {
    /// What follows `before`.
    pub fn compose(presence: Presence, before: Option<&Self>) -> Self {
        let Some(before) = before else { return Self { presence, ..Self::default() } };
        if before.presence == presence {
            return before.clone();
        }
        let forgotten = (before.earlier.len() + 1).saturating_sub(limits::PRESENCE_EARLIER_MAX);
        let earlier = before.earlier.iter().skip(forgotten).cloned();
        let earlier = earlier.chain([(before.revision, before.presence.clone())]).collect();
        Self { presence, revision: before.revision.wrapping_add(1), earlier }
    }

    /// How it was at `revision`, where that is not how it is and is still known.
    pub fn earlier(&self, revision: u32) -> Option<&Presence> {
        self.earlier.iter().find(|(known, _)| *known == revision).map(|(_, presence)| presence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_states_are_known_and_older_ones_are_not() {
        let state = |do_not_disturb| Presence { do_not_disturb, ..Presence::default() };
        let mut revised = Revised::compose(state(false), None);
        assert_eq!(Revised::compose(state(false), Some(&revised)), revised);
        for revision in 1..10_u32 {
            revised = Revised::compose(state(revision % 2 == 1), Some(&revised));
            assert_eq!(revised.revision, revision);
            let known: Vec<_> = (0..=revision).filter(|at| revised.earlier(*at).is_some()).collect();
            let oldest = revision.saturating_sub(3);
            assert_eq!(known, (oldest..revision).collect::<Vec<_>>());
            assert_eq!(revised.earlier(revision - 1), Some(&state(revision % 2 == 0)));
        }
    }
}
