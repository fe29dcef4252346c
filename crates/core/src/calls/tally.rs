//! How many calls each peer has, kept beside the calls: asked at every change, and a gateway may have a thousand.
//!
//! Every change of a call takes what the call counted for before off its peers and adds what it counts for now.

use super::dialog::rank;
use super::table::{Call, Calls, Dialog, Leg};
use super::{CallId, Side};
use crate::body::dialog_info::DialogState;
use crate::packages;
use crate::settings::HoldShows;

/// What one call, or all calls, count for at a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Shown: ringing, up, or called by it.
    inuse: u32,
    /// Ringing at it.
    ringing: u32,
    /// On hold, as `holder`, `held` and `both` show it.
    onhold: [u32; 3],
    /// Calls it takes part in, shown or not.
    total: u32,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.inuse += other.inuse;
        self.ringing += other.ringing;
        self.total += other.total;
        for (sum, one) in self.onhold.iter_mut().zip(other.onhold) {
            *sum += one;
        }
    }

    fn subtract(&mut self, other: &Self) {
        self.inuse = self.inuse.saturating_sub(other.inuse);
        self.ringing = self.ringing.saturating_sub(other.ringing);
        self.total = self.total.saturating_sub(other.total);
        for (sum, one) in self.onhold.iter_mut().zip(other.onhold) {
            *sum = sum.saturating_sub(one);
        }
    }

    fn hold(&mut self, dialog: &Dialog, side: Side) {
        let (holding, held) = (dialog.end(side).holds, dialog.end(side.other()).holds);
        for (sum, shows) in self.onhold.iter_mut().zip([holding, held, holding || held]) {
            *sum += u32::from(shows);
        }
    }
}

/// What a call counts for at one of its peers; several contacts of the peer that it rings are one call.
fn of_call(call: &Call, peer: &str) -> Tally {
    let mut tally = Tally::default();
    if call.caller.peer.as_deref() == Some(peer) && call.caller_is_in() {
        (tally.inuse, tally.total) = (1, 1);
        let up = call.dialogs().map(|(.., dialog)| dialog).filter(|dialog| dialog.machine.is_up());
        if let Some(held) = up.max_by_key(|dialog| dialog.ends.iter().filter(|end| end.holds).count()) {
            tally.hold(held, Side::Caller);
        }
    }
    let own = |leg: &&Leg| leg.callee.peer.as_deref() == Some(peer);
    tally.total += u32::from(call.legs.iter().filter(own).any(Leg::is_live));
    let best = call.legs.iter().filter(own).filter_map(|leg| {
        let live = leg.dialogs.iter().filter(|dialog| !dialog.machine.is_over());
        let best = live.max_by_key(|dialog| rank(dialog.machine.state()))?;
        Some((best, leg.settles_at.is_none()))
    });
    let Some((dialog, settled)) = best.max_by_key(|(d, settled)| (rank(d.machine.state()), *settled)) else {
        return tally;
    };
    match dialog.machine.state() {
        DialogState::Trying | DialogState::Proceeding => tally.inuse += u32::from(settled),
        DialogState::Early => {
            tally.inuse += 1;
            tally.ringing += 1;
        }
        DialogState::Confirmed => {
            tally.inuse += 1;
            tally.hold(dialog, Side::Callee);
        }
        DialogState::Terminated => {}
    }
    tally
}

impl Calls {
    /// Counts a call anew, after any change of it.
    pub(super) fn count(&mut self, id: CallId) {
        let Some(call) = self.get_mut(id) else { return };
        let now: Vec<_> = call.peers().into_iter().map(|peer| (of_call(call, &peer), peer)).collect();
        let before = std::mem::replace(&mut call.counted, now.clone());
        self.discount(&before);
        for (tally, peer) in now.into_iter().filter(|(tally, _)| *tally != Tally::default()) {
            self.tallies.entry(peer).or_default().add(&tally);
        }
    }

    /// Takes off what a call counted for.
    pub(super) fn discount(&mut self, counted: &[(Tally, String)]) {
        for (tally, peer) in counted {
            let Some(sum) = self.tallies.get_mut(peer) else { continue };
            sum.subtract(tally);
            if *sum == Tally::default() {
                self.tallies.remove(peer);
            }
        }
    }

    /// The calls a peer's device has, as it shows them.
    pub(crate) fn counts_of(&self, peer: &str, shows: HoldShows) -> packages::Calls {
        let Some(Tally { inuse, ringing, onhold: [holder, held, both], .. }) =
            self.tallies.get(peer).copied()
        else {
            return packages::Calls::default();
        };
        let onhold = match shows {
            HoldShows::Holder => holder,
            HoldShows::Held => held,
            HoldShows::Both => both,
        };
        packages::Calls { inuse, ringing, onhold }
    }

    /// The calls a peer takes part in, shown or not.
    pub(crate) fn count_of(&self, peer: &str) -> u32 {
        self.tallies.get(peer).map_or(0, |tally| tally.total)
    }
}
