//! Calls as others see them: the dialogs of a peer, each from its own side, and rows for people.

use super::dialog::{mirrored, rank};
use super::table::{Call, Calls, Dialog, Leg};
use super::{CallId, DialogView, LegId, Side};
use crate::body::dialog_info::{DialogState, Direction, Identity, Replaces};
use crate::node::Node;
use crate::time::Now;
use crate::view;

impl Calls {
    /// The dialogs of a peer as it sees them, in order of beginning; one that has ended is among them for a moment.
    pub(crate) fn dialogs_of(&self, peer: &str) -> impl Iterator<Item = DialogView<'_>> {
        self.of_peer(peer).flat_map(move |(id, call)| {
            let is_caller = call.caller.peer.as_deref() == Some(peer);
            let mut views = if is_caller { caller_views(id, call) } else { Vec::new() };
            views.extend(call.dialogs().filter_map(|(leg, _, entry, dialog)| {
                let own = entry.callee.peer.as_deref() == Some(peer) && !dialog.hidden && entry.shows(dialog);
                own.then(|| callee_view(LegId { call: id, leg }, call, entry, dialog))
            }));
            views
        })
    }
}

impl Leg {
    /// Whether the callee's end of a dialog is shown: not before it rings, unless it takes its time.
    fn shows(&self, dialog: &Dialog) -> bool {
        self.settles_at.is_none()
            || dialog.to_tag.is_some()
            || matches!(dialog.machine.state(), DialogState::Early | DialogState::Confirmed)
    }
}

/// What the caller has: a dialog for each tag it was given, and before that one for all forks together.
fn caller_views(id: CallId, call: &Call) -> Vec<DialogView<'_>> {
    let tagged = || call.dialogs().filter(|(.., dialog)| dialog.to_tag.is_some());
    let mut views: Vec<_> = tagged()
        .filter(|(.., dialog)| !dialog.hidden)
        .map(|(leg, _, entry, dialog)| caller_view(LegId { call: id, leg }, call, entry, dialog))
        .collect();
    let waits = call.pending && !tagged().any(|(.., dialog)| !dialog.machine.is_over());
    let failed = call.outcome.is_some() && tagged().next().is_none() && !call.hidden;
    if waits || failed {
        views.push(half_dialog(id, call));
    }
    views
}

fn caller_view<'a>(leg: LegId, call: &'a Call, entry: &'a Leg, dialog: &'a Dialog) -> DialogView<'a> {
    let (local, remote) = (dialog.end(Side::Caller), dialog.end(Side::Callee));
    DialogView {
        leg,
        side: Side::Caller,
        id: id_text(call, dialog.number, Side::Caller),
        call_id: &call.call_id,
        local_tag: &call.from_tag,
        remote_tag: dialog.to_tag.as_deref(),
        direction: Direction::Initiator,
        state: dialog.machine.state(),
        event: dialog.machine.event(),
        code: dialog.machine.code(),
        began_at: call.began_at,
        local_identity: named(&call.from),
        remote_identity: named(&call.to),
        local_target: &local.party.target,
        remote_target: &remote.party.target,
        asked: &entry.asked,
        holding: local.holds,
        held: remote.holds,
        restricted: dialog.private,
        local_sdp: local.sdp.as_deref(),
        remote_sdp: remote.sdp.as_deref(),
        replaces: call.replaces.as_ref().map(turned),
        referred_by: call.referred_by.as_ref(),
    }
}

fn callee_view<'a>(leg: LegId, call: &'a Call, entry: &'a Leg, dialog: &'a Dialog) -> DialogView<'a> {
    let (local, remote) = (dialog.end(Side::Callee), dialog.end(Side::Caller));
    DialogView {
        side: Side::Callee,
        id: id_text(call, dialog.number, Side::Callee),
        local_tag: dialog.to_tag.as_deref().unwrap_or(""),
        remote_tag: Some(&call.from_tag),
        direction: Direction::Recipient,
        event: dialog.machine.event().map(mirrored),
        began_at: entry.began_at,
        local_identity: named(&call.to),
        remote_identity: named(&call.from),
        local_target: &local.party.target,
        remote_target: &remote.party.target,
        holding: local.holds,
        held: remote.holds,
        restricted: call.private,
        local_sdp: local.sdp.as_deref(),
        remote_sdp: remote.sdp.as_deref(),
        replaces: call.replaces.clone(),
        ..caller_view(leg, call, entry, dialog)
    }
}

/// The caller's dialog before anybody has given it a tag (RFC 4235 §3.7.1), or that nobody has.
fn half_dialog(id: CallId, call: &Call) -> DialogView<'_> {
    let untagged = || call.dialogs().filter(|(.., dialog)| dialog.to_tag.is_none());
    let open = untagged().filter(|(.., dialog)| !dialog.machine.is_over());
    let furthest = open.map(|(.., dialog)| dialog.machine).max_by_key(|machine| rank(machine.state()));
    let first = untagged().min_by_key(|(.., dialog)| dialog.number);
    let (event, code) = call.outcome.unzip();
    let state = match furthest {
        _ if call.outcome.is_some() => DialogState::Terminated,
        Some(machine) => machine.state(),
        None => DialogState::Trying,
    };
    DialogView {
        leg: LegId { call: id, leg: first.map_or(0, |(leg, ..)| leg) },
        side: Side::Caller,
        id: id_text(
            call,
            first.map_or_else(|| call.next_number(), |(.., dialog)| dialog.number),
            Side::Caller,
        ),
        call_id: &call.call_id,
        local_tag: &call.from_tag,
        remote_tag: None,
        direction: Direction::Initiator,
        state,
        event,
        code: code.or_else(|| furthest.and_then(|machine| machine.code())),
        began_at: call.began_at,
        local_identity: named(&call.from),
        remote_identity: named(&call.to),
        local_target: &call.caller.target,
        remote_target: &call.to.uri,
        asked: first.map_or("", |(_, _, leg, _)| &leg.asked),
        holding: false,
        held: false,
        restricted: false,
        local_sdp: call.sdp.as_deref(),
        remote_sdp: None,
        replaces: call.replaces.as_ref().map(turned),
        referred_by: call.referred_by.as_ref(),
    }
}

fn id_text(call: &Call, number: u32, side: Side) -> String {
    let side = if side == Side::Caller { 'a' } else { 'b' };
    format!("{:x}{side}{number}", call.serial)
}

fn named(identity: &Identity) -> (Option<&str>, &str) {
    (identity.display_name.as_deref(), &identity.uri)
}

/// The same dialog as its other side names it.
fn turned(replaces: &Replaces) -> Replaces {
    Replaces {
        call_id: replaces.call_id.clone(),
        local_tag: replaces.remote_tag.clone(),
        remote_tag: replaces.local_tag.clone(),
    }
}

impl Node {
    /// Every dialog that is not over, one row each.
    pub(crate) fn view_calls(&self, now: Now) -> Vec<view::Call> {
        let calls = self.facts.calls.iter().filter(|(_, call)| !call.is_over());
        let mut calls: Vec<_> = calls.collect();
        calls.sort_by_key(|(id, call)| (call.began_at, *id));
        let name = |peer: Option<&String>, identity: &Identity| peer.unwrap_or(&identity.uri).clone();
        let mut rows = Vec::new();
        for (_, call) in calls {
            let caller = name(call.caller.peer.as_ref(), &call.from);
            let live: Vec<_> = call.dialogs().filter(|(.., dialog)| !dialog.machine.is_over()).collect();
            let row = |number, callee: String, asked: &str, state: DialogState, hold: &str| view::Call {
                id: format!("{:x}-{number}", call.serial),
                caller: caller.clone(),
                callee,
                asked: asked.to_owned(),
                state: state.name().to_owned(),
                hold: hold.to_owned(),
                since_s: now.wall.since(call.began_at).as_secs(),
                call_id: call.call_id.clone(),
            };
            if live.is_empty() {
                let asked = call.legs.first().map_or("", |leg| &leg.asked);
                rows.push(row(call.next_number(), call.to.uri.clone(), asked, DialogState::Trying, ""));
            }
            for (_, _, leg, dialog) in live {
                let callee = name(leg.callee.peer.as_ref(), &call.to);
                let hold = match (dialog.end(Side::Caller).holds, dialog.end(Side::Callee).holds) {
                    (false, false) => "",
                    (true, false) => "caller",
                    (false, true) => "callee",
                    (true, true) => "both",
                };
                rows.push(row(dialog.number, callee, &leg.asked, dialog.machine.state(), hold));
            }
        }
        rows
    }

    /// The calls of a peer as reasons for its lamp.
    pub(crate) fn call_sources(&self, now: Now, peer: &str) -> Vec<view::Source> {
        let live = self.facts.calls.dialogs_of(peer).filter(|view| view.state != DialogState::Terminated);
        live.map(|call| {
            let (display, uri) = call.remote_identity;
            let who = display.map_or_else(|| uri.to_owned(), |display| format!("{display} <{uri}>"));
            let way = if call.side == Side::Caller { "to" } else { "from" };
            let hold = match (call.holding, call.held) {
                (true, _) => ", on hold",
                (false, true) => ", held by the other side",
                (false, false) => "",
            };
            view::Source {
                name: format!("call of {peer}"),
                state: call.state.name().to_owned(),
                because: format!("{way} {who}{hold}; Call-ID {}", call.call_id),
                won: false,
                since_s: now.wall.since(call.began_at).as_secs(),
                expires_s: None,
            }
        })
        .collect()
    }
}
