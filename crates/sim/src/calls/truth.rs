//! Whether lamps show what the phones are doing, once the network is quiet.
//!
//! In: every phone with its legs and the last document of each of its subscriptions. Out: violations. A lamp may be behind
//! for [`BEHIND_MAX`], and no longer.

use super::agent::{Leg, State};
use super::wire::dialogs;
use crate::phone::Phone;
use lampyris_core::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a lamp may differ from its phone: the way there and back, and what an INVITE takes to ring.
pub(crate) const BEHIND_MAX: Duration = Duration::from_secs(3);
/// The same where the server was killed while a call was on its way: its answer or CANCEL goes nowhere then, and only the
/// end of patience (`limits::CALL_RESTORED_UNANSWERED_MAX`) tells.
pub(crate) const BEHIND_RESTART_MAX: Duration = Duration::from_secs(190);

/// What a lamp shows of a phone's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lamp {
    Dark,
    Ringing,
    Busy,
    Held,
}

/// What a document says.
fn lamp_of(document: &str) -> Option<Lamp> {
    if document.contains("<dialog-info") {
        let live: Vec<_> =
            dialogs(document).into_iter().filter(|shown| shown.state != "terminated").collect();
        let up = || live.iter().filter(|shown| !(shown.is_recipient && shown.state == "early"));
        return Some(match (live.is_empty(), up().count()) {
            (true, _) => Lamp::Dark,
            (_, 0) => Lamp::Ringing,
            _ if up().all(|shown| shown.holds) => Lamp::Held,
            _ => Lamp::Busy,
        });
    }
    let (_, note) = document.split_once("<note>")?;
    Some(match note.split_once('<').map_or("", |(note, _)| note) {
        "Ringing" => Lamp::Ringing,
        "On the phone" => Lamp::Busy,
        "On hold" => Lamp::Held,
        _ => Lamp::Dark,
    })
}

/// What may be shown of these legs.
fn expected<'a>(legs: impl Iterator<Item = &'a Leg>) -> Vec<Lamp> {
    let (mut rings, mut talks, mut holds, mut invited) = (false, false, false, false);
    for leg in legs {
        match (leg.state, leg.is_caller) {
            (State::Ringing, false) => rings = true,
            (State::Inviting, false) => invited = true,
            (State::Over, _) => {}
            (State::Up, _) if leg.holds => holds = true,
            _ => talks = true,
        }
    }
    let mut lamps = Vec::new();
    if talks {
        lamps.push(Lamp::Busy);
    }
    if holds {
        lamps.push(Lamp::Held);
    }
    if rings {
        lamps.push(Lamp::Ringing);
    }
    if lamps.is_empty() {
        lamps.push(Lamp::Dark);
    }
    // Why: a phone that does not ring shows as busy once it has had its time (`calls.settle`).
    if invited {
        lamps.push(Lamp::Busy);
    }
    lamps
}

/// The phone whose calls a watch shows, where it shows nothing else.
fn shown_phone<'a>(phones: &'a [Phone], user: &str) -> Option<&'a Phone> {
    let index = user.strip_prefix("50").or_else(|| user.strip_prefix('P'))?.parse::<usize>().ok()?;
    phones.get(index)
}

/// Since when which lamp is behind.
#[derive(Default)]
pub(crate) struct Truth {
    behind: BTreeMap<(usize, usize), Instant>,
    reported: BTreeSet<(usize, usize)>,
    /// How long a lamp may be behind now.
    pub(crate) behind_max: Duration,
    pub(crate) compared: usize,
    pub(crate) violations: Vec<String>,
}

impl Truth {
    /// Looks at every lamp.
    pub(crate) fn look(&mut self, now: Instant, phones: &[Phone], when: &str) {
        for (index, phone) in phones.iter().enumerate().filter(|(_, phone)| !phone.is_off) {
            for (number, watch) in phone.watches.iter().enumerate().filter(|(_, watch)| watch.wanted) {
                let Some(shown) = shown_phone(phones, &watch.user).filter(|shown| !shown.is_off) else {
                    continue;
                };
                let Some(lamp) = watch.told.as_deref().and_then(lamp_of) else { continue };
                let expected = expected(shown.calls.live());
                self.compared += 1;
                let key = (index, number);
                if expected.contains(&lamp) {
                    self.behind.remove(&key);
                    continue;
                }
                let since = *self.behind.entry(key).or_insert(now);
                if now.since(since) > self.behind_max && self.reported.insert(key) {
                    let legs: Vec<_> = shown
                        .calls
                        .live()
                        .map(|leg| (&leg.call_id, leg.state, leg.is_caller, leg.holds))
                        .collect();
                    self.violations.push(format!(
                        "{when}: {} sees {lamp:?} at {} ({}) for more than {:?}, but it has {legs:?}",
                        phone.account.name, watch.user, watch.event, self.behind_max
                    ));
                }
            }
        }
    }

    /// Every call is over: whatever is not dark is wrong.
    pub(crate) fn all_dark(&mut self, phones: &[Phone]) {
        for phone in phones.iter().filter(|phone| !phone.is_off) {
            for leg in phone.calls.live() {
                self.violations
                    .push(format!("{} has {} {:?} at the end", phone.account.name, leg.call_id, leg.state));
            }
            for watch in phone.watches.iter().filter(|watch| watch.wanted) {
                let lamp = watch.told.as_deref().and_then(lamp_of);
                if shown_phone(phones, &watch.user).is_some() && lamp.is_some_and(|lamp| lamp != Lamp::Dark) {
                    self.violations.push(format!(
                        "{} sees {lamp:?} at {} ({}) when all calls are over",
                        phone.account.name, watch.user, watch.event
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lamps_say() {
        let dialog = |direction: &str, state: &str| {
            format!("<dialog id=\"1\" direction=\"{direction}\"><state>{state}</state></dialog>")
        };
        let info = |dialogs: String| format!("<dialog-info version=\"1\">{dialogs}</dialog-info>");
        for (document, lamp) in [
            (info(String::new()), Some(Lamp::Dark)),
            (info(dialog("recipient", "terminated")), Some(Lamp::Dark)),
            (info(dialog("recipient", "early")), Some(Lamp::Ringing)),
            (info(dialog("initiator", "early")), Some(Lamp::Busy)),
            (info(dialog("recipient", "early") + &dialog("recipient", "confirmed")), Some(Lamp::Busy)),
            ("<presence><note>Ready</note></presence>".to_owned(), Some(Lamp::Dark)),
            ("<presence><note>On hold</note></presence>".to_owned(), Some(Lamp::Held)),
            ("<presence/>".to_owned(), None),
        ] {
            assert_eq!(lamp_of(&document), lamp, "{document}");
        }
    }
}
