//! What people said of themselves by command: away, in a meeting, not to be disturbed; stored, told, and over in time.
//!
//! In: `presence set` and `presence clear` for a person or a user who is one alone. Out: one [`ManualStatus`] per person,
//! which composition takes for a source. It does not decide what beats what.

use crate::body::presence_document::{DateTime, Note, Person, PresenceDocument};
use crate::body::rpid::{Activity, Rpid, Token, Values};
use crate::command::Reply;
use crate::journal::{Key, Kind, Record, StatusRecord, Value};
use crate::limits;
use crate::node::{Node, Put, Timer};
use crate::output::{Event, Ticket};
use crate::resource::ResourceKey;
use crate::slots::Slots;
use crate::tickets::Undo;
use crate::time::{Now, UnixTime};
use crate::timers::TimerToken;
use crate::view_of::Facts;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a person can say by command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There, and doing nothing that matters.
    Available,
    /// No calls now.
    DoNotDisturb,
    /// Not there, whatever phones say.
    Offline,
    /// Doing this (RFC 4480 §3.2).
    Doing(Activity),
}

impl Status {
    /// The word for it on the command line.
    pub const AVAILABLE: &'static str = "available";
    const DND: &'static str = "dnd";
    const OFFLINE: &'static str = "offline";

    /// The status with this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            Self::AVAILABLE => Some(Self::Available),
            Self::DND => Some(Self::DoNotDisturb),
            Self::OFFLINE => Some(Self::Offline),
            _ => Activity::parse(name).filter(|activity| *activity != Activity::Unknown).map(Self::Doing),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Available => Self::AVAILABLE,
            Self::DoNotDisturb => Self::DND,
            Self::Offline => Self::OFFLINE,
            Self::Doing(activity) => activity.name(),
        }
    }

    /// Every name, the common ones first.
    pub fn names() -> Vec<&'static str> {
        let known = Activity::ALL.iter().filter(|activity| **activity != Activity::Unknown);
        [Self::AVAILABLE, Self::DND, Self::OFFLINE].into_iter().chain(known.map(|a| a.name())).collect()
    }
}

/// What a person said, and for how long it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualStatus {
    /// What.
    pub status: Status,
    /// In the person's own words; may be empty.
    pub note: String,
    /// Since when.
    pub set_at: UnixTime,
    /// Until when, if that is known.
    pub until: Option<UnixTime>,
}

impl ManualStatus {
    /// As a presence document that speaks of the person alone.
    pub fn document(&self) -> PresenceDocument {
        let known = match self.status {
            Status::Available | Status::Offline => Vec::new(),
            Status::DoNotDisturb => vec![Activity::Busy],
            Status::Doing(activity) => vec![activity],
        };
        let date = |at: UnixTime| DateTime::parse(&at.rfc3339());
        let activities =
            Values { from: date(self.set_at), until: self.until.and_then(date), ..Values::of(known) };
        let person = Person {
            // Why: an element without a word is none (RFC 4480 §3.2).
            rpid: Rpid {
                activities: (!activities.is_empty()).then(|| Box::new(activities)),
                ..Rpid::default()
            },
            notes: Some(&self.note).filter(|note| !note.is_empty()).map(Note::of).into_iter().collect(),
            timestamp: date(self.set_at),
            ..Person::default()
        };
        PresenceDocument { persons: vec![person], ..PresenceDocument::default() }
    }
}

/// A status in the table.
struct Row {
    owner: String,
    said: ManualStatus,
    timer: Option<TimerToken>,
}

/// The statuses of all who have one, by the printed key of the person.
#[derive(Default)]
pub(crate) struct ManualStatuses {
    slots: Slots<Row>,
    by_owner: BTreeMap<String, u32>,
}

impl ManualStatuses {
    /// What a person said.
    pub(crate) fn find(&self, owner: &str) -> Option<&ManualStatus> {
        self.by_owner.get(owner).and_then(|slot| self.slots.get(*slot)).map(|row| &row.said)
    }

    /// All, by person.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &ManualStatus)> {
        self.by_owner.iter().filter_map(|(owner, slot)| Some((owner.as_str(), &self.slots.get(*slot)?.said)))
    }

    /// After a restart.
    pub(crate) fn restored(&mut self) {
        self.slots.rebuild_free();
    }
}

impl Facts {
    /// What whoever a user is said of themselves.
    pub(crate) fn manual_status(&self, user: &ResourceKey) -> Option<&ManualStatus> {
        self.manual_statuses.find(&self.owner_of(user).to_string())
    }

    /// Whether a user wants no calls now, by feature key or by command.
    pub(crate) fn wants_no_calls(&self, user: &ResourceKey) -> bool {
        let said = self.manual_status(user).map(|said| said.status);
        said == Some(Status::DoNotDisturb) || self.features_of(user).dnd
    }
}

impl Node {
    /// `presence set`.
    pub(crate) fn command_set_status(
        &mut self,
        now: Now,
        (user, status): (&str, &str),
        note: &str,
        for_s: Option<u64>,
    ) -> Reply {
        let Some(user) = self.user_called(user) else { return nobody(user) };
        let Some(status) = Status::parse(status) else {
            let reason = format!("{status:?} is no status; use one of {}", Status::names().join(", "));
            return Reply::Refused { reason };
        };
        if note.len() > limits::STATUS_NOTE_BYTES_MAX || note.chars().any(char::is_control) {
            let reason = format!("a note is one line of at most {} bytes", limits::STATUS_NOTE_BYTES_MAX);
            return Reply::Refused { reason };
        }
        let lease = self.facts.policy_of(&user).lease;
        let until = for_s.map(Duration::from_secs).or(lease).map(|time| now.wall + time);
        let said = ManualStatus { status, note: note.to_owned(), set_at: now.wall, until };
        let owner = self.facts.owner_of(&user).to_string();
        let previous = self.facts.manual_statuses.find(&owner).map(|said| value(&owner, said));
        let stored = value(&owner, &said);
        let slot = self.enter_status(now, None, owner.clone(), said);
        let ticket = self.persist(Record::Upsert(key(slot), stored), Undo::To(previous));
        self.told_after(ticket, |node| node.features_changed(&user));
        self.tell(Event::Status { person: owner, status: status.name(), note: note.to_owned() });
        Reply::Done { count: 1 }
    }

    /// `presence clear`.
    pub(crate) fn command_clear_status(&mut self, user: &str) -> Reply {
        let Some(user) = self.user_called(user) else { return nobody(user) };
        match self.end_status(&user) {
            Some(ticket) => {
                self.told_after(ticket, |node| node.features_changed(&user));
                Reply::Done { count: 1 }
            }
            None => Reply::Done { count: 0 },
        }
    }

    /// Forgets what a user said; watchers are told by [`Self::features_changed`].
    pub(crate) fn end_status(&mut self, user: &ResourceKey) -> Option<Ticket> {
        let owner = self.facts.owner_of(user).to_string();
        let slot = *self.facts.manual_statuses.by_owner.get(&owner)?;
        let said = self.drop_status(slot)?;
        self.tell(Event::Status { person: owner.clone(), status: "none", note: String::new() });
        Some(self.persist(Record::Delete(key(slot)), Undo::To(Some(value(&owner, &said)))))
    }

    /// The time of a status is over.
    pub(crate) fn on_status_expired(&mut self, slot: u32) {
        let Some(row) = self.facts.manual_statuses.slots.get_mut(slot) else { return };
        row.timer = None;
        let Some(user) = ResourceKey::parse(&row.owner) else { return };
        self.end_status(&user);
        self.features_changed(&user);
    }

    /// A status from the store, or before a change that could not be stored.
    pub(crate) fn put_status(&mut self, now: Now, slot: u32, record: Option<StatusRecord>, put: Put) {
        let before = self.facts.manual_statuses.slots.get(slot).map(|row| row.owner.clone());
        if put == Put::Undo {
            self.drop_status(slot);
        }
        let owner = record.as_ref().map(|record| record.person.clone()).or(before);
        if let Some(record) = record
            && let Some(status) = Status::parse(&record.status)
        {
            let StatusRecord { person, note, set_at, until, .. } = record;
            self.enter_status(now, Some((slot, put)), person, ManualStatus { status, note, set_at, until });
        }
        if let Some(user) = owner.and_then(|owner| ResourceKey::parse(&owner)) {
            self.features_changed(&user);
        }
    }

    /// Puts a status into the table and arms its end; the slot.
    fn enter_status(
        &mut self,
        now: Now,
        place: Option<(u32, Put)>,
        owner: String,
        said: ManualStatus,
    ) -> u32 {
        let known = self.facts.manual_statuses.by_owner.get(&owner).copied();
        if let Some(known) = known {
            self.cancel_status_timer(known);
        }
        let until = said.until;
        let row = Row { owner: owner.clone(), said, timer: None };
        let table = &mut self.facts.manual_statuses;
        let slot = match (place, known) {
            (Some((slot, Put::Restart)), _) => {
                table.slots.restore(slot, row);
                slot
            }
            (Some((slot, Put::Undo)), _) | (None, Some(slot)) => {
                table.slots.put(slot, row);
                slot
            }
            (None, None) => table.slots.insert(row),
        };
        table.by_owner.insert(owner, slot);
        let timer = until.map(|at| self.timers.insert(now.mono_at(at), Timer::StatusExpires(slot)));
        if let Some(row) = self.facts.manual_statuses.slots.get_mut(slot) {
            row.timer = timer;
        }
        slot
    }

    fn drop_status(&mut self, slot: u32) -> Option<ManualStatus> {
        self.cancel_status_timer(slot);
        let row = self.facts.manual_statuses.slots.remove(slot)?;
        self.facts.manual_statuses.by_owner.remove(&row.owner);
        Some(row.said)
    }

    fn cancel_status_timer(&mut self, slot: u32) {
        let row = self.facts.manual_statuses.slots.get_mut(slot);
        if let Some(timer) = row.and_then(|row| row.timer.take()) {
            self.timers.cancel(timer);
        }
    }
}

/// Refuses a name that means nobody.
pub(crate) fn nobody(name: &str) -> Reply {
    let reason = format!("no user or person is called {name:?}; `lampyris presence show` lists them");
    Reply::Refused { reason }
}

fn key(slot: u32) -> Key {
    Key { kind: Kind::Status, slot: u64::from(slot) }
}

fn value(owner: &str, said: &ManualStatus) -> Value {
    Value::Status(StatusRecord {
        person: owner.to_owned(),
        status: said.status.name().to_owned(),
        note: said.note.clone(),
        set_at: said.set_at,
        until: said.until,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_name() {
        let names = Status::names();
        assert!(names.iter().all(|name| Status::parse(name).is_some_and(|status| status.name() == *name)));
        assert_eq!(names.len(), names.iter().collect::<std::collections::BTreeSet<_>>().len());
        assert_eq!((Status::parse("unknown"), Status::parse("Away")), (None, None));
    }

    #[test]
    fn a_status_as_a_document_speaks_of_the_person() {
        let at = UnixTime::from_millis(1_000_000);
        let status = Status::Doing(Activity::Meal);
        let said = ManualStatus { status, note: "Lunch".into(), set_at: at, until: Some(at) };
        let document = said.document();
        let activities = document.persons[0].rpid.activities.as_ref().unwrap();
        assert_eq!(activities.known, [Activity::Meal]);
        assert_eq!(activities.until.as_ref().unwrap().as_str(), at.rfc3339());
        assert_eq!((document.first_note(), document.is_open()), (Some("Lunch"), None));
    }
}
