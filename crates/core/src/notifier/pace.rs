//! How often a watcher is told (RFC 6446): at most, at least, and at least on average.
//!
//! In: what a SUBSCRIBE, or a 2xx to a NOTIFY, asks for in Event, and the moments at which NOTIFYs leave. Out: the rates
//! adopted, as Subscription-State reflects them, until when the next NOTIFY waits, and when the state is told though nothing
//! has changed. What is told then is the newest state: there is no queue. It does not write NOTIFYs.

use super::rates::{Rate, Rates};
use super::subscription::Subscription;
use crate::limits;
use crate::node::{Node, Timer};
use crate::packages::{Audience, Topic};
use crate::reject::Reject;
use crate::tickets::Undo;
use crate::time::{Instant, Now};
use crate::timers::TimerToken;
use lampyris_sip::headers::Event;
use lampyris_sip::{Message, Name, Params};
use std::collections::VecDeque;
use std::time::Duration;

/// The pace of a subscription that asked for one.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// What was adopted.
    pub(crate) rates: Rates,
    /// When the state is told again though nothing has changed.
    pub(super) again: Option<TimerToken>,
    /// For the adaptive rate: when each NOTIFY of its period leaves that.
    sent: VecDeque<Instant>,
}

impl Pace {
    /// The pace of these rates; `None` where there is none.
    pub(super) fn of(now: Instant, rates: Rates) -> Option<Box<Self>> {
        if rates == Rates::default() {
            return None;
        }
        // RFC 6446 §7.2: the history begins as if the rate asked for had been kept all along.
        let start = |rate: Rate| (1..=limits::ADAPTIVE_PERIOD).map(move |n| now + rate.interval() * n);
        let sent = rates.adaptive.into_iter().flat_map(start).collect();
        Some(Box::new(Self { rates, again: None, sent }))
    }

    /// A NOTIFY leaves.
    fn count(&mut self, now: Instant) {
        let Some(rate) = self.rates.adaptive else { return };
        while self.sent.front().is_some_and(|leaves| *leaves <= now)
            || self.sent.len() >= limits::ADAPTIVE_HISTORY_MAX
        {
            self.sent.pop_front();
        }
        self.sent.push_back(now + rate.interval() * limits::ADAPTIVE_PERIOD);
    }

    /// How long after a NOTIFY the state is told again at the latest.
    fn patience(&self) -> Option<Duration> {
        // RFC 6446 §7.4: timeout = count / (rate^2 * period), and the period is so many intervals of that rate.
        let count = u32::try_from(self.sent.len()).unwrap_or(u32::MAX);
        let adaptive = self.rates.adaptive.map(|rate| {
            let timeout = rate.interval() * count / limits::ADAPTIVE_PERIOD;
            timeout.max(self.rates.max.map_or(Duration::ZERO, Rate::interval))
        });
        let min = self.rates.min.map(Rate::interval);
        [adaptive, min].into_iter().flatten().min()
    }
}

impl Subscription {
    /// The rates that were adopted for it.
    pub(crate) fn rates(&self) -> Rates {
        self.pace.as_ref().map_or(Rates::default(), |pace| pace.rates)
    }

    /// The time between two NOTIFYs, and how much of it may be drawn in advance.
    fn spacing(&self, local: Rate) -> (Duration, Duration) {
        let gap = self.package.get().pace();
        match self.rates().max {
            Some(asked) => (asked.interval().max(gap), Duration::ZERO),
            None if gap > local.interval() => (gap, Duration::ZERO),
            None => (local.interval(), limits::NOTIFY_BURST.saturating_sub(local.interval())),
        }
    }
}

/// The rates that a SUBSCRIBE asks for.
pub(super) fn asked(params: Params<'_>) -> Result<Rates, Reject> {
    Rates::read(params).map_err(|why| Reject::BadRequest(why.into()))
}

impl Node {
    /// The rate beyond which this watcher is not told.
    fn local_rate(&self, slot: u32) -> Option<Rate> {
        let subscription = self.subscriptions.get(slot)?;
        let settings = &self.facts.settings;
        let rates = settings.notify_max_rate;
        let of_package = match subscription.package.get().audience() {
            Audience::Colleagues(Topic::Presence) => rates.presence,
            Audience::Colleagues(Topic::Calls) => rates.dialog,
            Audience::Owner => None,
        };
        let profile = settings.profiles.get(usize::from(subscription.profile));
        let of_phone = profile.and_then(|profile| profile.notify_max_rate).unwrap_or(u32::MAX);
        Some(Rate::per_second(of_package.unwrap_or(rates.any).min(of_phone)))
    }

    /// Adopts the rates that a watcher asks for.
    pub(super) fn set_pace(&mut self, now: Now, slot: u32, asked: Rates) {
        let Some(local) = self.local_rate(slot) else { return };
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        let rates = asked.adopted(local, subscription.expires_s(now.wall));
        if subscription.rates() != rates {
            if subscription.rates().max != rates.max {
                // RFC 6446 §5.2: counted from the last NOTIFY; from here at the latest.
                let wait = rates.max.map_or(Duration::ZERO, Rate::interval);
                subscription.next_at = now.mono + wait;
            }
            let old = std::mem::replace(&mut subscription.pace, Pace::of(now.mono, rates));
            if let Some(token) = old.and_then(|old| old.again) {
                self.timers.cancel(token);
            }
        }
        self.arm_again(now.mono, slot);
    }

    /// A 2xx to a NOTIFY may ask for other rates (RFC 6446 §9.3), if the SUBSCRIBE asked for any.
    pub(crate) fn set_pace_by_answer(&mut self, now: Now, (slot, cseq): (u32, u32), answer: &Message) {
        let Some(event) = answer.header(Name::Event).and_then(|value| Event::parse(value).ok()) else {
            return;
        };
        let Some(subscription) = self.subscriptions.get(slot) else { return };
        let is_meant = subscription.local_cseq == cseq
            && subscription.ending.is_none()
            && subscription.pace.is_some()
            && event.package.eq_ignore_ascii_case(subscription.package.name());
        let Some(asked) = Rates::read(event.params).ok().filter(|_| is_meant) else { return };
        let before = subscription.rates();
        self.set_pace(now, slot, asked);
        if self.subscriptions.get(slot).is_some_and(|subscription| subscription.rates() != before) {
            self.store_subscription(slot, Undo::No);
        }
    }

    /// Until when a NOTIFY that is due has to wait: none to its watcher is too soon after the last.
    pub(super) fn too_soon(&self, now: Now, slot: u32) -> Option<Instant> {
        let subscription = self.subscriptions.get(slot)?;
        let (_, advance) = subscription.spacing(self.local_rate(slot)?);
        let at = subscription.next_at - advance;
        (now.mono < at).then_some(at)
    }

    /// Waits with what is due; the newest state then goes out.
    pub(super) fn wait_until(&mut self, slot: u32, at: Instant) {
        let token = self.timers.insert(at, Timer::Paced(slot));
        if let Some(old) = self.subscriptions.get_mut(slot).and_then(|s| s.retry.replace(token)) {
            self.timers.cancel(old);
        }
    }

    /// What is due has waited for long enough.
    pub(crate) fn on_paced(&mut self, slot: u32) {
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.retry = None;
            self.due.push_back(slot);
        }
    }

    /// A NOTIFY leaves.
    pub(super) fn count_notify(&mut self, now: Now, slot: u32) {
        let Some(local) = self.local_rate(slot) else { return };
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        let (interval, advance) = subscription.spacing(local);
        let next = subscription.next_at.max(now.mono) + interval;
        subscription.next_at = next.min(now.mono + interval + advance);
        if let Some(pace) = &mut subscription.pace {
            pace.count(now.mono);
            self.arm_again(now.mono, slot);
        }
    }

    /// Arms the timer after which the state is told again.
    fn arm_again(&mut self, from: Instant, slot: u32) {
        let Some(pace) = self.subscriptions.get_mut(slot).and_then(|s| s.pace.as_mut()) else { return };
        if let Some(token) = pace.again.take() {
            self.timers.cancel(token);
        }
        if let Some(patience) = pace.patience() {
            pace.again = Some(self.timers.insert(from + patience, Timer::NotifyUnchanged(slot)));
        }
    }

    /// After a restart: the moment of the last NOTIFY is not known, so the first of these are spread.
    pub(super) fn arm_again_restored(&mut self, now: Now, slot: u32) {
        let Some(pace) = self.subscriptions.get_mut(slot).and_then(|s| s.pace.as_mut()) else { return };
        let Some(patience) = pace.patience() else { return };
        let micros = u64::try_from(patience.as_micros()).unwrap_or(u64::MAX);
        let wait = Duration::from_micros(self.rng.below(micros.max(1)));
        pace.again = Some(self.timers.insert(now.mono + wait, Timer::NotifyUnchanged(slot)));
    }

    /// Nothing has changed for so long that the watcher wants to be told the state again, all of it (RFC 6446 §6.2).
    pub(crate) fn on_unchanged(&mut self, now: Now, slot: u32) {
        if let Some(pace) = self.subscriptions.get_mut(slot).and_then(|s| s.pace.as_mut()) {
            pace.again = None;
        }
        let tag = self.entity_tag_of(slot);
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        if tag.is_some_and(|tag| subscription.suppress.holds(tag)) {
            return self.arm_again(now.mono, slot);
        }
        subscription.told_revision = None;
        if let Some(list) = &mut subscription.list {
            list.full = true;
        }
        subscription.pending = true;
        subscription.forced = true;
        self.due.push_back(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(params: &str) -> Pace {
        *Pace::of(Instant::default(), Rates::read(Params::new(params)).unwrap()).unwrap()
    }

    #[test]
    fn rfc6446_7_4_a_busy_watcher_is_told_again_later_and_a_quiet_one_at_the_rate_asked_for() {
        let mut pace = pace(";adaptive-min-rate=0.1");
        assert_eq!(pace.patience(), Some(Duration::from_secs(10)));
        // Kept at the rate, the timeout stays.
        for n in 1..=30 {
            pace.count(Instant::from_micros(n * 10_000_000));
            assert_eq!(pace.patience(), Some(Duration::from_secs(10)), "{n}");
        }
        // Ten more in one second: twice as many in the period, twice the timeout.
        for n in 0..10 {
            pace.count(Instant::from_micros(301_000_000 + n * 100_000));
        }
        assert_eq!(pace.patience(), Some(Duration::from_secs(20)));
        // However many there are, what is remembered is bounded.
        for _ in 0..10_000 {
            pace.count(Instant::from_micros(303_000_000));
        }
        assert!(pace.patience() <= Some(Duration::from_secs(64)));
        // A period later nothing of it counts.
        pace.count(Instant::from_micros(500_000_000));
        assert_eq!(pace.patience(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn rfc6446_8_the_minimum_bounds_the_adaptive_timeout_and_the_maximum_bounds_it_below() {
        let both = pace(";adaptive-min-rate=0.1;min-rate=0.2");
        assert_eq!(both.patience(), Some(Duration::from_secs(5)));
        let mut slow = pace(";adaptive-min-rate=0.1;max-rate=0.2");
        slow.count(Instant::from_micros(500_000_000));
        assert_eq!(slow.patience(), Some(Duration::from_secs(5)));
        assert_eq!(pace(";max-rate=1").patience(), None);
    }
}
