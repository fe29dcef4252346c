//! The table of calls: what is known of each, how it is found, and how many of them a peer has.
//!
//! A call stays in its place for 64*T1 after its end: what comes late finds it and cannot bring it back. This is data; `invite` and `follow` change it, `keep` looks after its time.

use super::dialog::Machine;
use super::sdp;
use super::tally::Tally;
use super::{CallId, DialogId, LegId, Party, Side};
use crate::body::dialog_info::{DialogEvent, Identity, Replaces};
use crate::limits::DIALOGS_PER_CALL_MAX;
use crate::map::{Map, Maps};
use crate::slots::Slots;
use crate::time::{Instant, UnixTime};
use crate::timers::TimerToken;
use std::collections::BTreeMap;

/// A call.
pub(crate) struct Call {
    pub(super) generation: u32,
    /// What its ids in documents are made of.
    pub(super) serial: u64,
    pub(super) call_id: String,
    pub(super) from_tag: String,
    /// CSeq of the INVITE.
    pub(super) cseq: u32,
    pub(super) from: Identity,
    pub(super) to: Identity,
    pub(super) caller: Party,
    /// The caller asked for privacy.
    pub(super) private: bool,
    pub(super) sdp: Option<Box<[u8]>>,
    /// Replaces of the INVITE: `local_tag` is its to-tag, `remote_tag` its from-tag.
    pub(super) replaces: Option<Replaces>,
    pub(super) referred_by: Option<Identity>,
    pub(super) began_at: UnixTime,
    /// The INVITE has no final answer yet.
    pub(super) pending: bool,
    /// When what has not been answered is given up.
    pub(super) unanswered_until: Instant,
    /// What the caller's INVITE came to, where it made no dialog.
    pub(super) outcome: Option<(DialogEvent, u16)>,
    pub(super) over_at: Option<Instant>,
    /// The caller's end is not shown any more.
    pub(super) hidden: bool,
    pub(super) legs: Vec<Leg>,
    pub(super) timer: Option<TimerToken>,
    /// What it counts for at each of its peers.
    pub(super) counted: Vec<(Tally, String)>,
    /// It stands in the store.
    pub(super) stored: bool,
    /// It is not in the store as it is here.
    pub(super) dirty: bool,
    /// The process before forwarded its INVITE.
    pub(super) restored: bool,
}

/// One fork.
pub(crate) struct Leg {
    pub(super) callee: Party,
    pub(super) asked: String,
    pub(super) began_at: UnixTime,
    /// Until then an INVITE that nobody has heard ring does not show at the callee.
    pub(super) settles_at: Option<Instant>,
    pub(super) dialogs: Vec<Dialog>,
}

/// One dialog.
pub(crate) struct Dialog {
    /// Its number in the call.
    pub(super) number: u32,
    pub(super) machine: Machine,
    pub(super) to_tag: Option<String>,
    /// The callee asked for privacy.
    pub(super) private: bool,
    /// The caller's end and the callee's, in this order.
    pub(super) ends: [End; 2],
    /// What the caller and the callee have offered and has no answer yet: two re-INVITEs may meet.
    pub(super) offers: [Option<Offer>; 2],
    /// When the session ends unless it is refreshed (RFC 4028 §10).
    pub(super) session_until: Option<Instant>,
    /// When its two sides are asked whether they are there.
    pub(super) probe_at: Option<Instant>,
    pub(super) ended_at: Option<Instant>,
    /// Its end is not shown any more.
    pub(super) hidden: bool,
}

/// A session description offered inside a dialog (RFC 3264 §4).
pub(crate) struct Offer {
    pub(super) direction: Option<sdp::Direction>,
    pub(super) sdp: Option<Box<[u8]>>,
}

/// One side of a dialog.
#[derive(Clone)]
pub(crate) struct End {
    pub(super) party: Party,
    /// CSeq of its last request.
    pub(super) cseq: Option<u32>,
    /// It holds the call.
    pub(super) holds: bool,
    pub(super) sdp: Option<Box<[u8]>>,
    pub(super) probe: Probe,
}

/// What the last probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Nothing, or that it is there.
    Quiet,
    /// No way leads to it.
    Astray,
    /// It is being asked.
    Asked,
    /// It does not answer.
    Silent,
}

impl End {
    pub(super) const fn of(party: Party) -> Self {
        Self { party, cseq: None, holds: false, sdp: None, probe: Probe::Quiet }
    }
}

impl Dialog {
    pub(super) fn end(&self, side: Side) -> &End {
        let [caller, callee] = &self.ends;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }

    /// The offer of a side that has no answer yet.
    pub(super) fn offer_mut(&mut self, by: Side) -> &mut Option<Offer> {
        let [caller, callee] = &mut self.offers;
        match by {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }

    pub(super) fn end_mut(&mut self, side: Side) -> &mut End {
        let [caller, callee] = &mut self.ends;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }
}

impl Leg {
    /// Whether the callee has anything of it still.
    pub(super) fn is_live(&self) -> bool {
        self.dialogs.iter().any(|dialog| !dialog.machine.is_over())
    }
}

impl Call {
    /// All its dialogs with the forks they belong to.
    pub(super) fn dialogs(&self) -> impl Iterator<Item = (u32, u32, &Leg, &Dialog)> {
        (0..).zip(&self.legs).flat_map(|(index, leg)| {
            (0..).zip(&leg.dialogs).map(move |(number, dialog)| (index, number, leg, dialog))
        })
    }

    /// Whether the caller is still in it. What rings on after another fork has answered is the callee's alone.
    pub(super) fn caller_is_in(&self) -> bool {
        self.pending || self.dialogs().any(|(.., dialog)| dialog.machine.is_up())
    }

    /// Whether nobody is in it any more.
    pub(super) fn is_over(&self) -> bool {
        !self.pending && self.dialogs().all(|(.., dialog)| dialog.machine.is_over())
    }

    /// The peers that take part, each once.
    pub(super) fn peers(&self) -> Vec<String> {
        let callees = self.legs.iter().filter_map(|leg| leg.callee.peer.clone());
        let mut peers: Vec<_> = self.caller.peer.clone().into_iter().chain(callees).collect();
        peers.sort_unstable();
        peers.dedup();
        peers
    }

    /// Adds a dialog to a fork; its number within it.
    pub(super) fn add_dialog(&mut self, leg: u32, to_tag: Option<&str>) -> Option<u32> {
        if self.dialogs().count() >= DIALOGS_PER_CALL_MAX {
            return None;
        }
        let number = self.next_number();
        let caller = End { sdp: self.sdp.clone(), cseq: Some(self.cseq), ..End::of(self.caller.clone()) };
        let entry = self.legs.get_mut(leg as usize)?;
        let callee = End::of(entry.callee.clone());
        entry.dialogs.push(Dialog {
            number,
            machine: Machine::new(),
            to_tag: to_tag.map(str::to_owned),
            private: false,
            ends: [caller, callee],
            offers: [None, None],
            session_until: None,
            probe_at: None,
            ended_at: None,
            hidden: false,
        });
        u32::try_from(entry.dialogs.len() - 1).ok()
    }

    /// The number its next dialog gets.
    pub(super) fn next_number(&self) -> u32 {
        self.dialogs().map(|(.., dialog)| dialog.number + 1).max().unwrap_or(0)
    }

    fn dialog(&self, leg: u32, dialog: u32) -> Option<&Dialog> {
        self.legs.get(leg as usize)?.dialogs.get(dialog as usize)
    }
}

/// All calls.
pub(crate) struct Calls {
    slots: Slots<Call>,
    generation: u32,
    by_call_id: Map<String, Vec<u32>>,
    /// In the order in which they began.
    by_peer: BTreeMap<String, Vec<u32>>,
    pub(super) tallies: Map<String, Tally>,
}

impl Calls {
    /// No calls.
    pub(crate) fn new(maps: Maps) -> Self {
        let (slots, by_peer) = (Slots::default(), BTreeMap::new());
        Self { slots, generation: 0, by_call_id: maps.map(), by_peer, tallies: maps.map() }
    }

    /// How many there are, those included that ended a moment ago.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Enters a new call.
    pub(super) fn insert(&mut self, mut call: Call) -> CallId {
        self.generation = self.generation.wrapping_add(1);
        call.generation = self.generation;
        let slot = self.slots.insert(call);
        self.index(slot);
        CallId { slot, generation: self.generation }
    }

    /// Enters a call from the store, in its own place.
    pub(super) fn restore(&mut self, slot: u32, mut call: Call) {
        self.generation = self.generation.wrapping_add(1);
        call.generation = self.generation;
        self.slots.restore(slot, call);
    }

    /// After the last [`Self::restore`].
    pub(super) fn restored(&mut self) {
        self.slots.rebuild_free();
        let mut order: Vec<_> = self.slots.iter().map(|(slot, call)| (call.began_at, slot)).collect();
        order.sort_unstable();
        order.into_iter().for_each(|(_, slot)| self.index(slot));
    }

    fn index(&mut self, slot: u32) {
        let Some(call) = self.slots.get(slot) else { return };
        self.by_call_id.entry(call.call_id.clone()).or_default().push(slot);
        for peer in call.peers() {
            self.by_peer.entry(peer).or_default().push(slot);
        }
    }

    /// A fork was added: its callee takes part too.
    pub(super) fn index_peer(&mut self, id: CallId, peer: &str) {
        let slots = self.by_peer.entry(peer.to_owned()).or_default();
        if !slots.contains(&id.slot) {
            slots.push(id.slot);
        }
    }

    /// An ended call is not shown any more: its peers need not look at it.
    pub(super) fn unlist(&mut self, id: CallId) {
        let Some(call) = self.get(id) else { return };
        for peer in call.peers() {
            if let Some(slots) = self.by_peer.get_mut(&peer) {
                slots.retain(|slot| *slot != id.slot);
                if slots.is_empty() {
                    self.by_peer.remove(&peer);
                }
            }
        }
    }

    /// Forgets a call.
    pub(super) fn remove(&mut self, id: CallId) {
        self.unlist(id);
        if self.get(id).is_none() {
            return;
        }
        let Some(call) = self.slots.remove(id.slot) else { return };
        self.discount(&call.counted);
        if let Some(slots) = self.by_call_id.get_mut(&call.call_id) {
            slots.retain(|slot| *slot != id.slot);
            if slots.is_empty() {
                self.by_call_id.remove(&call.call_id);
            }
        }
    }

    pub(super) fn get(&self, id: CallId) -> Option<&Call> {
        self.slots.get(id.slot).filter(|call| call.generation == id.generation)
    }

    pub(super) fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.slots.get_mut(id.slot).filter(|call| call.generation == id.generation)
    }

    pub(super) fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.get_mut(id.call)?.legs.get_mut(id.leg as usize)
    }

    pub(super) fn dialog(&self, id: DialogId) -> Option<&Dialog> {
        self.get(id.leg.call)?.dialog(id.leg.leg, id.dialog)
    }

    pub(super) fn dialog_mut(&mut self, id: DialogId) -> Option<&mut Dialog> {
        self.leg_mut(id.leg)?.dialogs.get_mut(id.dialog as usize)
    }

    /// All calls, by place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (CallId, &Call)> {
        self.slots.iter().map(|(slot, call)| (CallId { slot, generation: call.generation }, call))
    }

    /// The calls of a peer, in the order in which they began.
    pub(super) fn of_peer(&self, peer: &str) -> impl Iterator<Item = (CallId, &Call)> {
        let slots = self.by_peer.get(peer).map_or(&[][..], Vec::as_slice);
        slots.iter().filter_map(|slot| {
            let call = self.slots.get(*slot)?;
            Some((CallId { slot: *slot, generation: call.generation }, call))
        })
    }

    /// The dialogs with this Call-ID, newest call first: tags tell which one is meant.
    pub(super) fn with_call_id(&self, call_id: &str) -> impl Iterator<Item = (DialogId, &Call, &Dialog)> {
        let slots = self.by_call_id.get(call_id).map_or(&[][..], Vec::as_slice);
        slots.iter().rev().filter_map(|slot| Some((*slot, self.slots.get(*slot)?))).flat_map(
            |(slot, call)| {
                call.dialogs().map(move |(leg, dialog, _, entry)| {
                    let leg = LegId { call: CallId { slot, generation: call.generation }, leg };
                    (DialogId { leg, dialog }, call, entry)
                })
            },
        )
    }

    /// The dialog of these tags, in either direction, and which side the first tag is of.
    pub(super) fn find(&self, call_id: &str, tag: &str, other: &str) -> Option<(DialogId, Side)> {
        self.with_call_id(call_id).find_map(|(id, call, dialog)| {
            let callee = dialog.to_tag.as_deref()?;
            if call.from_tag == tag && callee == other {
                return Some((id, Side::Caller));
            }
            (call.from_tag == other && callee == tag).then_some((id, Side::Callee))
        })
    }

    /// Whether a dialog that somebody publishes is one of these, or was a moment ago: its state is known better here.
    ///
    /// Interop: some publish without tags; then the Call-ID alone must do.
    pub(crate) fn is_tracked(
        &self,
        call_id: &str,
        local_tag: Option<&str>,
        remote_tag: Option<&str>,
    ) -> bool {
        self.with_call_id(call_id).any(|(_, call, dialog)| {
            let fits = |mine: Option<&str>, tag: Option<&str>| mine.zip(tag).is_none_or(|(a, b)| a == b);
            let (from, to) = (Some(call.from_tag.as_str()), dialog.to_tag.as_deref());
            (fits(from, local_tag) && fits(to, remote_tag)) || (fits(to, local_tag) && fits(from, remote_tag))
        })
    }
}
