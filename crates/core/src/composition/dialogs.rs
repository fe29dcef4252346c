//! The dialogs of a resource: what calls, publications and the lamp tell of, merged, with what changed when.
//!
//! In: [`Source`]s and the state composed before. Out: [`Dialogs`]: those that live and, for watchers who have seen them,
//! those that ended, each with the revision of its last change. It decides nothing about who is shown what: that is
//! `body::dialog_info::shown`.
//!
//! Two sources speak of one dialog where Call-ID and tags agree (RFC 4235 §4.1.1); a tracked call wins over its published
//! twin, and of two publications the newer. A dialog without Call-ID and tags stands for a lamp and is its own. The end of
//! a real dialog is final: whatever tells of it later is not believed.

use crate::body::dialog_info::{Dialog, DialogState, Direction, Target, is_rendering};
use crate::composition::extension::LampState;
use crate::device_state::ExtensionState;
use crate::limits;
use crate::time::UnixTime;

/// The host of addresses that name nobody (RFC 3323 §4.1.1.3).
pub const ANONYMOUS_HOST: &str = "anonymous.invalid";

/// What one source says of one dialog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The dialog; how long it lasts and whether it is heard stand beside it.
    pub dialog: Dialog,
    /// When it began, where that is known.
    pub began_at: Option<UnixTime>,
    /// Whether the user hears the other side: not while holding.
    pub rendering: Option<bool>,
    /// The other side asked for privacy (RFC 3323).
    pub restricted: bool,
    /// The caller dialled just what is watched.
    pub dialled: bool,
    /// It stands for what the lamp shows and nobody explains.
    pub is_lamp: bool,
}

impl Source {
    /// A published dialog; `at` is when it was published.
    pub fn published(dialog: &Dialog, at: UnixTime) -> Self {
        let mut dialog = dialog.clone();
        let seconds = dialog.duration_s.take().map(|seconds| u64::from(seconds).saturating_mul(1000));
        let began_at = seconds.map(|ago| UnixTime::from_millis(at.as_millis().saturating_sub(ago)));
        for side in [&mut dialog.local, &mut dialog.remote] {
            if let Some(session) = &mut side.session {
                session.text = without_keys(&session.text);
            }
        }
        let rendering = dialog.local.target.as_mut().and_then(take_rendering);
        let remote = dialog.remote.identity.as_ref().map_or("", |identity| identity.uri.as_str());
        let restricted = remote.trim_end_matches('>').ends_with(ANONYMOUS_HOST);
        Self { dialog, began_at, rendering, restricted, dialled: true, is_lamp: false }
    }

    /// The one dialog that stands for what a lamp shows.
    fn of_lamp(name: &str, state: DialogState, held: bool) -> Self {
        let direction = (state == DialogState::Early).then_some(Direction::Recipient);
        let dialog = Dialog { id: name.to_owned(), direction, state, ..Dialog::default() };
        Self { dialog, rendering: held.then_some(false), is_lamp: true, ..Self::default() }
    }

    fn is_live(&self) -> bool {
        self.dialog.state != DialogState::Terminated
    }
}

/// A session description without the keys of its media, which would let a watcher listen (RFC 4567, RFC 4568).
pub fn without_keys(sdp: &str) -> String {
    let is_key = |line: &&str| ["k=", "a=crypto:", "a=key-mgmt:"].iter().any(|key| line.starts_with(key));
    sdp.split_inclusive('\n').filter(|line| !is_key(line)).collect()
}

/// Takes `+sip.rendering` out of a target; whether the media is heard.
fn take_rendering(target: &mut Target) -> Option<bool> {
    let at = target.params.iter().position(|(name, _)| is_rendering(name))?;
    let (_, value) = target.params.remove(at);
    match value.trim_matches('"').to_ascii_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Whether two descriptions are of one SIP dialog. A tag that one of them does not know yet is no difference.
pub fn is_same_dialog(a: &Dialog, b: &Dialog) -> bool {
    let agrees = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
    a.call_id.is_some()
        && a.call_id == b.call_id
        && agrees(&a.local_tag, &b.local_tag)
        && agrees(&a.remote_tag, &b.remote_tag)
}

/// The same, with every tag known: enough to say that what ended is this dialog and no other of the same call.
///
/// Why: a call that is challenged or refused before it rings comes again with the same Call-ID and the same first tag.
fn is_surely_same_dialog(a: &Dialog, b: &Dialog) -> bool {
    let tags = |dialog: &Dialog| dialog.local_tag.is_some() && dialog.remote_tag.is_some();
    tags(a) && tags(b) && is_same_dialog(a, b)
}

/// Whether a dialog is a call that comes in and rings; who began it may be unsaid, as in Asterisk's documents.
///
/// Why not before `early`: that somebody is called is no proof that a phone rings (RFC 4235 §3.7.1).
pub fn is_ringing(dialog: &Dialog) -> bool {
    dialog.state == DialogState::Early && dialog.direction != Some(Direction::Initiator)
}

/// One dialog in the composed state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is known of it.
    pub source: Source,
    /// Its number among the dialogs of this resource, which tells nothing of it.
    pub serial: u32,
    /// The revision it came with.
    pub first: u32,
    /// The revision of its last change.
    pub changed: u32,
}

impl Entry {
    /// The dialog.
    pub const fn dialog(&self) -> &Dialog {
        &self.source.dialog
    }
}

/// The event state of the dialog package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialogs {
    /// The lamp, with the oldest ringing call.
    pub lamp: LampState,
    /// Who called, while it rings and that person asked for privacy: for the presentity alone.
    pub anonymous_caller: bool,
    /// Dialogs that are not over; the lamp's own, if there is one, comes last.
    pub live: Vec<Entry>,
    /// Dialogs that are over, the one that ended last at the end.
    pub ended: Vec<Entry>,
    /// Rises by one with each composition that differs from the one before.
    pub revision: u32,
    /// Ends up to this revision are forgotten.
    pub forgotten: u32,
    serials: u32,
}

impl Dialogs {
    /// The state of an extension called `name` of which only the lamp is known.
    pub fn of_lamp(lamp: LampState, name: &str) -> Self {
        Self::compose(lamp, name, (Vec::new(), Vec::new()), None)
    }

    /// Merges calls with publications, newest first, and compares with what was composed before.
    pub fn compose(
        lamp: LampState,
        name: &str,
        (tracked, published): (Vec<Source>, Vec<Source>),
        before: Option<&Self>,
    ) -> Self {
        let empty = Self::default();
        let before = before.unwrap_or(&empty);
        let next = before.revision + 1;
        let is_over =
            |dialog: &Dialog| before.ended.iter().any(|old| is_surely_same_dialog(old.dialog(), dialog));
        let (live, over): (Vec<_>, Vec<_>) =
            merged(tracked, published).into_iter().partition(Source::is_live);
        let mut live: Vec<_> = live.into_iter().filter(|source| !is_over(&source.dialog)).collect();
        live.extend(unexplained(&lamp, name, &live));
        distinct_ids(&mut live);

        let mut serials = before.serials;
        let mut changed = false;
        let mut entries: Vec<Entry> = Vec::with_capacity(live.len());
        for source in live {
            let taken = |old: &&Entry| !entries.iter().any(|entry| entry.serial == old.serial);
            let known = before.entry_of(&source, taken);
            let same = known.is_some_and(|old| old.source == source);
            changed |= !same;
            let (serial, first) = known.map_or_else(
                || {
                    serials += 1;
                    (serials, next)
                },
                |old| (old.serial, old.first),
            );
            let at = known.filter(|_| same).map_or(next, |old| old.changed);
            entries.push(Entry { source, serial, first, changed: at });
        }
        let returned = |old: &Entry| entries.iter().any(|entry| entry.serial == old.serial);
        let mut ended: Vec<_> = before.ended.iter().filter(|old| !returned(old)).cloned().collect();
        for old in before.live.iter().filter(|old| !returned(old)) {
            changed = true;
            let end = over.iter().find(|end| is_entry_of(old, end));
            ended.push(Entry { source: terminated(old, end), changed: next, ..old.clone() });
        }
        let mut forgotten = before.forgotten;
        while ended.len() > limits::DIALOGS_ENDED_MAX {
            forgotten = forgotten.max(ended.remove(0).changed);
        }
        let revision = if changed { next } else { before.revision };
        Self { lamp, anonymous_caller: false, live: entries, ended, revision, forgotten, serials }
    }

    /// The entry that a source goes on with: of a lamp also one that ended, of a call only one that lives.
    fn entry_of(&self, source: &Source, may: impl Fn(&&Entry) -> bool) -> Option<&Entry> {
        let ended = self.ended.iter().filter(|old| old.dialog().is_pseudo());
        let same = |old: &&Entry| is_entry_of(old, source) && may(old);
        let mut found = self.live.iter().chain(ended).filter(same);
        let first = found.next()?;
        // Why: forks of one call look alike until each has its tag.
        let by_id = std::iter::once(first).chain(found).find(|old| old.dialog().id == source.dialog.id);
        Some(by_id.unwrap_or(first))
    }

    /// The newest revision up to `told` that makes a difference to a watcher who was told of everything up to `told`, so
    /// that all to whom the same is new have the same number; `None` where nothing is new.
    pub fn base(&self, told: u32) -> Option<u32> {
        if told >= self.revision {
            return None;
        }
        let entries = self.live.iter().chain(&self.ended);
        let marks = entries.flat_map(|entry| [entry.first, entry.changed]).chain([self.forgotten, 0]);
        marks.filter(|mark| *mark <= told).max()
    }

    /// The oldest call that rings, with what its source says of it.
    pub fn oldest_ringing(&self) -> Option<&Source> {
        let ringing = self.live.iter().map(|entry| &entry.source);
        let ringing =
            ringing.filter(|source| is_ringing(&source.dialog) && source.dialog.remote.identity.is_some());
        ringing.min_by_key(|source| source.began_at.map_or(u64::MAX, UnixTime::as_millis))
    }
}

/// Whether an entry and a source are of one dialog: the same real one, or the same id of a lamp.
fn is_entry_of(entry: &Entry, source: &Source) -> bool {
    let (old, new) = (entry.dialog(), &source.dialog);
    if old.is_pseudo() && new.is_pseudo() { old.id == new.id } else { is_same_dialog(old, new) }
}

/// How a dialog ended: as its source says, else just that.
fn terminated(old: &Entry, end: Option<&Source>) -> Source {
    let mut source = old.source.clone();
    source.dialog.state = DialogState::Terminated;
    source.dialog.event = end.and_then(|end| end.dialog.event);
    source.dialog.code = end.and_then(|end| end.dialog.code);
    (source.began_at, source.rendering) = (None, None);
    (source.dialog.local.session, source.dialog.remote.session) = (None, None);
    if let Some(tag) = end.and_then(|end| end.dialog.remote_tag.clone()) {
        source.dialog.remote_tag = Some(tag);
    }
    source
}

/// One source per dialog: the first that tells of it, unless a later one knows that it is over.
fn merged(tracked: Vec<Source>, published: Vec<Source>) -> Vec<Source> {
    // Why: the forks of a tracked call look alike until each has its tag, but are known to be different.
    let mut kept = tracked;
    for source in published {
        match kept.iter_mut().find(|known| is_same_dialog(&known.dialog, &source.dialog)) {
            None => kept.push(source),
            // A tracked call knows more of itself than a publication, but both know an end.
            Some(known)
                if known.is_live()
                    && !source.is_live()
                    && is_surely_same_dialog(&known.dialog, &source.dialog) =>
            {
                *known = source;
            }
            Some(_) => {}
        }
    }
    kept
}

/// What the lamp shows and no dialog explains, as a dialog of its own.
fn unexplained(lamp: &LampState, name: &str, live: &[Source]) -> Option<Source> {
    use ExtensionState as E;
    let ringing = live.iter().any(|source| is_ringing(&source.dialog));
    let in_call = live.iter().any(|source| !is_ringing(&source.dialog));
    let (needs_ringing, needs_call) = match lamp.extension {
        E::Ringing => (true, false),
        E::InUseRinging => (true, true),
        E::InUse | E::Busy | E::Hold | E::InUseHold => (false, true),
        E::Idle | E::Unavailable | E::Removed | E::Deactivated => (false, false),
    };
    if needs_ringing && !ringing {
        return Some(Source::of_lamp(name, DialogState::Early, false));
    }
    (needs_call && !in_call).then(|| Source::of_lamp(name, DialogState::Confirmed, lamp.extension == E::Hold))
}

/// Makes the ids different that different publishers chose alike (RFC 4235 §4.1.1: unique among current dialogs).
fn distinct_ids(live: &mut [Source]) {
    for at in 1..live.len() {
        let (before, rest) = live.split_at_mut(at);
        let Some(source) = rest.first_mut() else { return };
        let taken = |id: &str| before.iter().any(|other| other.dialog.id == id);
        if !taken(&source.dialog.id) {
            continue;
        }
        let free = (2..).map(|n: u32| format!("{}-{n}", source.dialog.id)).find(|id| !taken(id));
        source.dialog.id = free.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
