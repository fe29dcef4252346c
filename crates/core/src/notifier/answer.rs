//! What a watcher answers to a NOTIFY, or does not (RFC 6665 §4.2.2, RFC 5057 §5.1).

use super::subscription::{EndReason, Text};
use crate::authz::policy::Standing;
use crate::limits;
use crate::node::{Node, Timer};
use crate::settings::OnTimeout;
use crate::tickets::Held;
use crate::time::{Instant, Now};
use std::time::Duration;

/// Answers that end a subscription at once (RFC 6665 §4.2.2).
const fn ends_subscription(status: u16) -> bool {
    matches!(status, 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604)
}

impl Node {
    /// A NOTIFY was answered; 408 where it was not.
    pub(crate) fn on_notify_answer(
        &mut self,
        now: Now,
        slot: u32,
        cseq: u32,
        status: u16,
        retry_after_s: Option<u32>,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(slot).filter(|s| s.local_cseq == cseq) else {
            return;
        };
        subscription.in_flight = None;
        subscription.last_answer = Some(status);
        subscription.answered_at = now.wall;
        self.metrics.answered(&mut subscription.behind, status, now.mono);
        if (200..300).contains(&status) {
            subscription.failures = 0;
            // Why: of what was left out it knows nothing, and after a refresh all is told; only the whole state can follow.
            let is_told = !subscription.fit.is_shortened() && !subscription.forced;
            subscription.told_revision = is_told.then_some(subscription.sent_revision);
            subscription.acknowledged = is_told;
            self.counters.notifies_ok += 1;
            if self.was_told_the_end(slot) {
                return self.end(now, slot, EndReason::NoResource, None);
            }
            return self.go_on(now, slot);
        }
        self.counters.notifies_failed += 1;
        if status == 408 && self.forsakes_stream(slot) {
            return self.resume(now, slot);
        }
        // RFC 3263 §4.3: what makes a hop's failure; the next hop is tried before the subscription is judged.
        if matches!(status, 408 | 503) && self.notify_by_next_way(now, slot) {
            return;
        }
        self.judge(now, slot, status, retry_after_s);
    }

    /// A NOTIFY has failed for good: the subscription ends, or it is tried again later.
    fn judge(&mut self, now: Now, slot: u32, status: u16, retry_after_s: Option<u32>) {
        let Some(subscription) = self.subscriptions.get(slot) else { return };
        let profile = self.facts.settings.profiles.get(usize::from(subscription.profile));
        let keeps = profile.is_some_and(|profile| profile.retry_statuses.contains(&status));
        if ends_subscription(status) && !keeps {
            return self.vanish(now, slot, "gone");
        }
        let mut wait = limits::NOTIFY_BACK_OFF_MIN;
        if status == 408 {
            match profile.map_or(OnTimeout::Remove, |profile| profile.on_timeout) {
                OnTimeout::Remove => return self.vanish(now, slot, "unanswered"),
                OnTimeout::Retry(first) => wait = first,
            }
        }
        self.try_later(now, slot, wait, retry_after_s);
    }

    /// Whether what a subscription asked for by the parameters of Event is over, and its watcher knows.
    fn was_told_the_end(&mut self, slot: u32) -> bool {
        let Some(subscription) = self.subscriptions.get(slot) else { return false };
        if subscription.list.is_some() {
            return false;
        }
        let params = subscription.text(Text::EventParams).to_owned();
        // Why: whom the truth is kept from learns nothing by the end of a subscription either.
        let is_shown = matches!(subscription.standing, Standing::Open | Standing::Part(_));
        if !is_shown || params.is_empty() || subscription.pending || subscription.ending.is_some() {
            return false;
        }
        let (resource, package) = (subscription.resource, subscription.package);
        self.composed(resource, package).is_some_and(|state| package.get().is_over(&state, &params))
    }

    /// The stream closed under a NOTIFY: the newest state goes out by another way.
    pub(crate) fn on_notify_lost(&mut self, now: Now, slot: u32, cseq: u32) {
        let Some(subscription) = self.subscriptions.get_mut(slot).filter(|s| s.local_cseq == cseq) else {
            return;
        };
        subscription.in_flight = None;
        subscription.pending = true;
        subscription.forced = true;
        // Why: one more try at once, since a stream may just have been idle for too long; but a peer that takes every
        // connection and closes it must not keep us busy.
        let is_first = subscription.failures == 0;
        if self.notify_by_next_way(now, slot) {
            return;
        }
        if !is_first && self.forsakes_stream(slot) {
            return self.resume(now, slot);
        }
        if !is_first {
            return self.try_later(now, slot, limits::NOTIFY_BACK_OFF_MIN, None);
        }
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.failures = 1;
        }
        self.go_on(now, slot);
    }

    /// A NOTIFY was not sent after all: what it was to follow could not be stored. It is tried again, maybe later.
    pub(crate) fn unsend(&mut self, held: &Held, again_at: Option<Instant>) {
        let slot = held.slot;
        let Some(subscription) =
            self.subscriptions.get_mut(slot).filter(|s| s.in_flight == Some(held.client))
        else {
            return;
        };
        subscription.in_flight = None;
        subscription.pending = true;
        subscription.forced = true;
        // Why: nobody has seen them, and they are the last that were given.
        subscription.local_cseq = subscription.local_cseq.wrapping_sub(1);
        subscription.version = subscription.version.wrapping_sub(u32::from(held.has_body));
        match again_at {
            Some(at) => self.wait_until(slot, at),
            None => self.due.push_back(slot),
        }
    }

    /// There is no way to the watcher now; the state is kept for when there is one.
    pub(crate) fn on_unreachable(&mut self, now: Now, slot: u32) {
        if self.forsakes_stream(slot) {
            return self.resume(now, slot);
        }
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        // Why: where the last hop did not answer and there is no other, that is what is judged.
        let status = if subscription.last_answer == Some(408) { 408 } else { 503 };
        subscription.last_answer = Some(status);
        subscription.answered_at = now.wall;
        self.counters.notifies_failed += 1;
        self.metrics.answered(&mut subscription.behind, status, now.mono);
        self.judge(now, slot, status, None);
    }

    /// The wait after a failure is over.
    pub(crate) fn on_notify_again(&mut self, slot: u32) {
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.retry = None;
            subscription.pending = true;
            subscription.forced = true;
            self.due.push_back(slot);
        }
    }

    /// The way to a watcher is known or open again.
    pub(crate) fn resume(&mut self, now: Now, slot: u32) {
        if let Some(subscription) = self.subscriptions.get_mut(slot)
            && let Some(token) = subscription.retry.take()
        {
            self.timers.cancel(token);
        }
        self.go_on(now, slot);
    }

    /// After a NOTIFY is out of the way: the last one if the subscription has ended, else what changed meanwhile.
    fn go_on(&mut self, now: Now, slot: u32) {
        match self.subscriptions.get(slot) {
            // Why: a way may open while a NOTIFY goes by another; its answer comes here again.
            Some(subscription) if subscription.in_flight.is_some() => {}
            Some(subscription) if subscription.ending.is_some() => self.say_farewell(now, slot, None),
            Some(subscription) if subscription.pending => self.due.push_back(slot),
            _ => {}
        }
    }

    fn try_later(&mut self, now: Now, slot: u32, first: Duration, retry_after_s: Option<u32>) {
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        if subscription.ending.is_some() {
            return self.vanish(now, slot, "unanswered");
        }
        let doubled =
            first.saturating_mul(1 << subscription.failures.min(8)).min(limits::NOTIFY_BACK_OFF_MAX);
        subscription.failures = subscription.failures.saturating_add(1);
        let wait = retry_after_s
            .map_or(doubled, |s| Duration::from_secs(u64::from(s)).min(limits::NOTIFY_BACK_OFF_MAX));
        if let Some(token) = subscription.retry.take() {
            self.timers.cancel(token);
        }
        let unit = (subscription.resource, subscription.package);
        self.mark_untold(now, unit.0, unit.1);
        let token = self.timers.insert(now.mono + wait, Timer::NotifyAgain(slot));
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.pending = true;
            subscription.forced = true;
            subscription.retry = Some(token);
        }
    }
}
