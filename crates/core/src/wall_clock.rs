//! A wall clock that is set while the server runs: what was granted for 300 seconds lasts 300 seconds all the same.
//!
//! Timers are monotonic and need nothing. What is kept in memory with the wall time of its end (subscriptions,
//! publications, bindings, device states set for a time) moves along with the clock, so that what is said of the seconds
//! left stays true; and what a restart reads never lasts longer than may be granted, though the clock was set back since.
//! It writes nothing: a stored end is right again with the next refresh.

use crate::journal::Value;
use crate::limits;
use crate::node::Node;
use crate::time::{Now, UnixTime};
use std::time::Duration;

impl Node {
    /// Looks whether the wall clock went on as the monotonic clock did since it was last looked at.
    pub(crate) fn follow_wall_clock(&mut self, now: Now) {
        let expected = self.clocks.wall_at(now.mono);
        self.clocks = now;
        if now.wall.since(expected).max(expected.since(now.wall)) < limits::WALL_JUMP_MIN {
            return;
        }
        let moved = |at: UnixTime| {
            UnixTime::from_millis(match now.wall >= expected {
                true => at.as_millis().saturating_add(now.wall.as_millis() - expected.as_millis()),
                false => at.as_millis().saturating_sub(expected.as_millis() - now.wall.as_millis()),
            })
        };
        let slots: Vec<_> = self.subscriptions.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            if let Some(subscription) = self.subscriptions.get_mut(slot) {
                subscription.expires_at = moved(subscription.expires_at);
            }
        }
        let slots: Vec<_> = self.facts.publications.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(publication) = self.facts.publications.get_mut(slot) else { continue };
            publication.expires_at = moved(publication.expires_at);
            if let Some(turn) = publication.turn.take() {
                // What it says of times of the day is about the clock as it is now.
                self.timers.cancel(turn);
                self.on_publication_turns(now, slot);
            }
        }
        let slots: Vec<_> = self.facts.registrar.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(entry) = self.facts.registrar.get_mut(slot) else { continue };
            entry.bindings.iter_mut().for_each(|binding| binding.expires_at = moved(binding.expires_at));
        }
        let devices: Vec<_> = self.facts.devices.iter().map(|(id, _)| id).collect();
        for id in devices {
            let manual = self.facts.devices.get_mut(id).and_then(|device| device.manual.as_mut());
            if let Some(manual) = manual {
                manual.until = manual.until.map(moved);
            }
        }
        // What documents and rules say of times of the day is about the clock as it is now.
        self.settle_hard_states(now);
        self.authorize_everything(now);
    }

    /// A row as a restart takes it: its end no further off than may be granted.
    pub(crate) fn within_what_is_granted(&self, now: Now, mut value: Value) -> Value {
        let settings = &self.facts.settings;
        let latest = |max_s: u32| now.wall + Duration::from_secs(u64::from(max_s));
        match &mut value {
            Value::Subscription(s) => {
                s.expires_at = s.expires_at.min(latest(settings.subscription_expires_s.max));
            }
            Value::Publication(p) => {
                p.expires_at = p.expires_at.min(latest(settings.publication_expires_s.max));
            }
            Value::Bindings(record) => {
                let latest = latest(settings.registration_expires_s.max);
                record.bindings.iter_mut().for_each(|b| b.expires_at = b.expires_at.min(latest));
            }
            _ => {}
        }
        value
    }
}
