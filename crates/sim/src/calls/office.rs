//! What a seed with calls means: an office whose phones call each other, die, and come back, and what goes wrong meanwhile.
//!
//! Extensions: `50NN` is phone NN, `80NN` rings phone NN and the next one, `PNN` is the phone's user. Calls come so close
//! together that a phone has some at once.

use crate::network::Weather;
use crate::phone::{Account, Quirk};
use crate::topology::{Crash, Deed, Topology, Wanted, below, phone, settings};
use lampyris_core::hint::Hint;
use lampyris_core::rng::Rng;
use std::collections::BTreeSet;
use std::time::Duration;

/// How far apart calls begin, in milliseconds, on average.
const BETWEEN_CALLS_MS: u64 = 3_000;
/// One crash for so many calls, on average.
const CALLS_PER_CRASH: u64 = 300;
/// One phone dies for so many calls, on average.
const CALLS_PER_DEATH: u64 = 40;

impl Topology {
    /// The office of a seed, with so many calls.
    pub(crate) fn of_calls(rng: &mut Rng, wanted: Wanted) -> Self {
        let weather = wanted.weather.unwrap_or(Weather {
            loss: [0, 2, 5, 10, 20][below(rng, 5)],
            duplication: [0, 5, 10][below(rng, 3)],
            reordering: [0, 5, 10, 20][below(rng, 4)],
            delay_ms: [1, 20, 100][below(rng, 3)],
        });
        let count = 5 + below(rng, 6);
        let phones: Vec<(Account, Quirk)> =
            (0..count).map(|index| (phone(rng, index).0, Quirk::None)).collect();
        let mut settings = settings(&phones, rng);
        for index in 0..count {
            let next = (index + 1) % count;
            for (extension, hint) in [
                (format!("50{index:02}"), format!("SIP/P{index}")),
                (format!("80{index:02}"), format!("SIP/P{index}&SIP/P{next}")),
            ] {
                let added = settings.dialplan.add_hint("default", &extension, Hint::parse(&hint));
                debug_assert!(added.is_ok());
            }
        }
        settings.calls.probe_after = Duration::from_secs(120);
        settings.calls.probe_every = Duration::from_secs(60);
        let span = (wanted.calls * BETWEEN_CALLS_MS).max(60_000);
        let mut topology = Self {
            settings,
            phones,
            weather,
            deeds: Vec::new(),
            crashes: Vec::new(),
            chaos: Duration::from_millis(span),
            expires_s: [60, 120, 300][below(rng, 3)],
            commit_takes: Duration::from_micros([0, 500, 20_000][below(rng, 3)]),
            store_errors: BTreeSet::new(),
            rough_crashes: false,
        };
        topology.plan_calls(rng, wanted.calls, span);
        topology
    }

    fn plan_calls(&mut self, rng: &mut Rng, calls: u64, span: u64) {
        let count = self.phones.len();
        let kinds: [(&'static str, &'static str); 2] =
            [("presence", "application/pidf+xml"), ("dialog", "application/dialog-info+xml")];
        for index in 0..count {
            let first = Duration::from_millis(rng.below(1_000));
            self.deeds.push((first, Deed::Register(index, true)));
            for _ in 0..1 + rng.below(2) {
                let (event, accept) = kinds[below(rng, kinds.len())];
                let other = below(rng, count);
                let user = if rng.below(3) == 0 { format!("P{other}") } else { format!("50{other:02}") };
                let at = Duration::from_millis(1_000 + rng.below(5_000));
                self.deeds.push((at, Deed::Watch(index, user, event, accept)));
            }
        }
        for _ in 0..calls {
            let (who, other) = (below(rng, count), rng.below(count as u64));
            let dialled = match rng.below(20) {
                0..3 => format!("P{other}"),
                3..5 => format!("80{other:02}"),
                5..7 => format!("**50{other:02}"),
                7 => "*8".to_owned(),
                8 => "5999".to_owned(),
                _ => format!("50{other:02}"),
            };
            let at = Duration::from_millis(5_000 + rng.below(span - 5_000));
            self.deeds.push((at, Deed::Call(who, dialled)));
        }
        for _ in 0..calls / CALLS_PER_DEATH + 1 {
            let (who, at) = (below(rng, count), rng.below(span));
            let down = if rng.below(3) == 0 { 60_000 + rng.below(900_000) } else { 100 + rng.below(20_000) };
            self.deeds.push((Duration::from_millis(at), Deed::Die(who)));
            self.deeds.push((Duration::from_millis((at + down).min(span)), Deed::Start(who)));
        }
        for _ in 0..calls / CALLS_PER_DEATH + 1 {
            self.deeds.push((Duration::from_millis(rng.below(span)), Deed::Break(below(rng, count))));
        }
        self.deeds.sort_by_key(|(at, _)| *at);
        for _ in 0..rng.below(2 * calls / CALLS_PER_CRASH + 3) {
            let down = Duration::from_millis([0, 200, 5_000, 40_000][below(rng, 4)]);
            self.crashes.push((Crash::At(Duration::from_millis(rng.below(span))), down));
        }
    }
}
