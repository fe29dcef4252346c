//! What administrators ask of a node, answered at once (`Command` to `Reply`).

use crate::command::{Command, Reply, Selector};
use crate::device_state::{DeviceName, DeviceState, PresenceState, PresenceValue};
use crate::devices::{DeviceId, Manual};
use crate::features::FeatureChange;
use crate::journal::{Counts, DeviceRecord, Key, Kind, MailboxRecord, Record, Value};
use crate::mailbox::full_name;
use crate::node::{Node, Put, Timer};
use crate::notifier::subscription::{EndReason, Text};
use crate::packages::{PackageId, StateKind, Watched};
use crate::resource::ResourceKey;
use crate::resource::{Resource, ResourceId};
use crate::settings::{Settings, StopPolicy};
use crate::tickets::Undo;
use crate::time::Now;
use std::sync::Arc;
use std::time::Duration;

/// The technology of presence states said by command.
const PRESENCE_TECH: &str = "CustomPresence";

impl Node {
    /// Does what an administrator asks, and answers.
    pub fn handle_command(&mut self, now: Now, command: Command) -> Reply {
        self.follow_wall_clock(now);
        let reply = match command {
            Command::Hints => Reply::Hints(self.view_hints("")),
            Command::Hint(prefix) => Reply::Hints(self.view_hints(&prefix)),
            Command::Presentities => Reply::Presentities(self.view_presentities(now)),
            Command::Subscriptions => Reply::Subscriptions(self.view_subscriptions(now)),
            Command::Publications => Reply::Publications(self.view_publications(now)),
            Command::Registrations => Reply::Registrations(self.view_registrations(now)),
            Command::Devices => Reply::Devices(self.view_devices(now)),
            Command::Calls => Reply::Calls(self.view_calls(now)),
            Command::Peers => Reply::Peers(self.view_peers()),
            Command::Mailboxes => Reply::Mailboxes(self.view_mailboxes()),
            Command::Lists => self.view_lists(),
            Command::List(what) => self.view_list_named(now, &what),
            Command::Profiles => Reply::Profiles(self.view_profiles()),
            Command::SetDevice { device, state, for_s } => self.set_device(now, &device, &state, for_s),
            Command::ClearDevice { device } => self.clear_device(now, &device),
            Command::SetMailbox { mailbox, counts } => self.set_mailbox(now, &mailbox, counts),
            Command::Features => Reply::Features(self.view_features(now)),
            Command::SetFeature { user, feature, target, after_s: no_answer_s } => {
                self.command_feature(now, &user, &FeatureChange { feature, on: true, target, no_answer_s })
            }
            Command::ClearFeature { user, feature } => {
                let change = FeatureChange { feature, on: false, target: None, no_answer_s: None };
                self.command_feature(now, &user, &change)
            }
            Command::SetStatus { person, status, note, for_s } => {
                self.command_set_status(now, (&person, &status), &note, for_s)
            }
            Command::ClearStatus { person } => self.command_clear_status(&person),
            Command::SetDocument { person, document } => {
                self.command_set_document(now, &person, document.as_deref())
            }
            Command::Document(person) => self.view_document(now, &person),
            Command::People(name) => self.view_people(now, name.as_deref()),
            Command::Rule { user, watcher, handling } => self.command_rule(now, &user, &watcher, handling),
            Command::Rules(user) => self.view_rules(now, &user),
            Command::ClearRules(user) => self.command_clear_rules(now, &user),
            Command::Pending(user) => self.view_pending(now, user.as_deref()),
            Command::Nudge(selector) => self.nudge(&selector),
            Command::Drop(selector) => self.drop_subscriptions(now, &selector),
            Command::Limits => Reply::Limits(self.hits.rows(&self.facts.settings.quotas)),
            Command::Gateways => Reply::Gateways(self.view_gateways(now)),
            Command::Status => Reply::Status(self.view_status(now)),
            Command::Metrics => Reply::Metrics(Box::new(self.view_metrics(now))),
            Command::Biggest { most } => Reply::Biggest(self.view_biggest(most)),
            Command::Why(what) => self.why(now, &what),
            Command::Reload(settings) => self.reload(now, settings),
            Command::Settings => Reply::Settings(self.facts.settings.clone()),
            Command::Stop => self.stop(now),
            Command::Leave => {
                self.mark_unanswered(now);
                Reply::Done { count: 0 }
            }
            Command::Drain(drain) => self.drain(now, drain),
            Command::EndDrain => self.end_drain(),
        };
        self.flush(now);
        reply
    }

    fn set_device(&mut self, now: Now, device: &str, state: &str, for_s: Option<u64>) -> Reply {
        let Some(name) = DeviceName::parse(device) else {
            return refused(format!(
                "{device:?} is not a device name; use TECH/name or Tech:name, as in Custom:night"
            ));
        };
        if name.is_tech(PRESENCE_TECH) {
            if for_s.is_some() {
                return refused(
                    "what a person says of themselves holds until it is set again; leave out how long".into(),
                );
            }
            return self.set_presence(now, &name, state);
        }
        let Some(state) = DeviceState::from_name(state) else {
            return refused(format!(
                "{state:?} is not a device state; use NOT_INUSE, INUSE, BUSY, INVALID, UNAVAILABLE, RINGING, RINGINUSE, \
                 ONHOLD or UNKNOWN"
            ));
        };
        let until = for_s.map(|s| now.wall + Duration::from_secs(s));
        let id = self.facts.devices.find_or_add(&name, now.wall);
        let Some(device) = self.facts.devices.get_mut(id) else {
            return refused("no room for the device".into());
        };
        let previous =
            device.manual.as_ref().map(|manual| Value::Device(device_record(&device.name, manual)));
        if let Some(timer) = device.manual.as_mut().and_then(|manual| manual.timer.take()) {
            self.timers.cancel(timer);
        }
        let slot = match &device.manual {
            Some(manual) => manual.slot,
            None => self.device_rows.insert(name.as_typed().to_owned()),
        };
        let manual = Manual { state, until, set_at: now.wall, slot, timer: None };
        let record = Value::Device(device_record(&name, &manual));
        let ticket = self.persist(Record::Upsert(device_key(slot), record), Undo::To(previous));
        self.told_after(ticket, |node| node.enter_manual(now, id, manual));
        Reply::Done { count: 1 }
    }

    /// `CustomPresence:x`: what a person says of themselves, as `value,subtype,message`.
    fn set_presence(&mut self, now: Now, name: &DeviceName, text: &str) -> Reply {
        let Some(state) = parse_presence(text) else {
            return refused(format!(
                "{text:?} is not a presence state; use not_set, unavailable, available, away, xa, chat or dnd, then \
                 optionally ,subtype,message"
            ));
        };
        let key = name.key();
        let old = self.facts.presence_states.get(&key).cloned();
        let record = |state: &PresenceState| {
            let (device, state) = (name.as_typed().to_owned(), print_presence(state));
            Value::Device(DeviceRecord { device, state, until: None, set_at: now.wall })
        };
        let (value, previous) = (record(&state), old.as_ref().map(|(state, _)| record(state)));
        let slot = old.map_or_else(|| self.device_rows.insert(name.as_typed().to_owned()), |(_, slot)| slot);
        self.facts.presence_states.insert(key.clone(), (state, slot));
        let ticket = self.persist(Record::Upsert(device_key(slot), value), Undo::To(previous));
        self.told_after(ticket, |node| node.presence_changed(&key));
        Reply::Done { count: 1 }
    }

    /// The extensions whose hints name this `CustomPresence:`.
    pub(crate) fn presence_hints<'a>(
        &'a self,
        key: &'a str,
    ) -> impl Iterator<Item = (ResourceId, &'a Resource)> {
        let said = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case(key));
        self.facts.resources.iter().filter(move |(_, resource)| said(&resource.presence_names))
    }

    fn presence_changed(&mut self, key: &str) {
        let ids: Vec<_> = self.presence_hints(key).map(|(id, _)| id).collect();
        for id in ids {
            self.changed(id, StateKind::DeviceStates);
        }
    }

    fn clear_device(&mut self, now: Now, device: &str) -> Reply {
        let name = DeviceName::parse(device);
        if let Some(name) = &name
            && let Some((state, slot)) = self.facts.presence_states.remove(&name.key())
        {
            self.device_rows.remove(slot);
            let (device, state) = (name.as_typed().to_owned(), print_presence(&state));
            let previous = Value::Device(DeviceRecord { device, state, until: None, set_at: now.wall });
            let ticket = self.persist(Record::Delete(device_key(slot)), Undo::To(Some(previous)));
            self.told_after(ticket, |node| node.presence_changed(&name.key()));
            return Reply::Done { count: 1 };
        }
        let id = name.and_then(|name| self.facts.devices.find(&name));
        let set = id.is_some_and(|id| self.facts.devices.get(id).is_some_and(|d| d.manual.is_some()));
        match id {
            Some(id) if set => {
                self.end_manual(now, id, false);
                Reply::Done { count: 1 }
            }
            _ => refused(format!(
                "no state of {device} was set by command; `lampyris devstate list` shows those that are"
            )),
        }
    }

    fn enter_manual(&mut self, now: Now, id: DeviceId, mut manual: Manual) {
        manual.timer = manual.until.map(|at| self.timers.insert(now.mono_at(at), Timer::ManualExpires(id)));
        if let Some(device) = self.facts.devices.get_mut(id) {
            device.manual = Some(manual);
        }
        self.refresh_device(now, id);
    }

    fn end_manual(&mut self, now: Now, id: DeviceId, is_over: bool) {
        let Some(device) = self.facts.devices.get_mut(id) else { return };
        let Some(manual) = device.manual.take() else { return };
        let previous = Value::Device(device_record(&device.name, &manual));
        if let Some(timer) = manual.timer {
            self.timers.cancel(timer);
        }
        self.device_rows.remove(manual.slot);
        if is_over {
            // It has happened, whatever the disk says.
            self.persist(Record::Delete(device_key(manual.slot)), Undo::No);
            return self.refresh_device(now, id);
        }
        let ticket = self.persist(Record::Delete(device_key(manual.slot)), Undo::To(Some(previous)));
        self.told_after(ticket, |node| node.refresh_device(now, id));
    }

    /// A state set `--for` a time is over.
    pub(crate) fn on_manual_expired(&mut self, now: Now, id: DeviceId) {
        let Some(manual) = self.facts.devices.get_mut(id).and_then(|device| device.manual.as_mut()) else {
            return;
        };
        manual.timer = None;
        self.end_manual(now, id, true);
    }

    /// A device state set by command, from the store or before a change that could not be stored.
    pub(crate) fn put_device(&mut self, now: Now, slot: u32, record: Option<DeviceRecord>, put: Put) {
        if put == Put::Undo
            && let Some(name) = self.device_rows.remove(slot).and_then(|name| DeviceName::parse(&name))
        {
            if self.facts.presence_states.remove(&name.key()).is_some() {
                self.presence_changed(&name.key());
            }
            self.end_undone(now, &name);
        }
        let Some(record) = record else { return };
        let Some(name) = DeviceName::parse(&record.device) else { return };
        if put == Put::Restart {
            self.device_rows.restore(slot, record.device.clone());
        } else {
            self.device_rows.put(slot, record.device.clone());
        }
        if name.is_tech(PRESENCE_TECH) {
            if let Some(state) = parse_presence(&record.state) {
                self.facts.presence_states.insert(name.key(), (state, slot));
                self.presence_changed(&name.key());
            }
            return;
        }
        let state = DeviceState::parse(&record.state);
        let id = self.facts.devices.find_or_add(&name, now.wall);
        let manual = Manual { state, until: record.until, set_at: record.set_at, slot, timer: None };
        self.enter_manual(now, id, manual);
    }

    fn end_undone(&mut self, now: Now, name: &DeviceName) {
        let Some(id) = self.facts.devices.find(name) else { return };
        let manual = self.facts.devices.get_mut(id).and_then(|device| device.manual.take());
        if let Some(timer) = manual.and_then(|manual| manual.timer) {
            self.timers.cancel(timer);
        }
        self.refresh_device(now, id);
    }

    fn set_mailbox(&mut self, now: Now, mailbox: &str, counts: Counts) -> Reply {
        let name = full_name(mailbox.trim());
        if name.starts_with('@') || name.chars().any(char::is_control) {
            return refused(format!("{mailbox:?} is not a mailbox; use name or name@context"));
        }
        let value = |counts| Value::Mailbox(MailboxRecord { mailbox: name.clone(), counts });
        let previous = self.facts.mailboxes.find(&name).map(value);
        let slot = self.facts.mailboxes.set(&name, counts);
        let key = Key { kind: Kind::Mailbox, slot: u64::from(slot) };
        let ticket = self.persist(Record::Upsert(key, value(counts)), Undo::To(previous));
        self.told_after(ticket, |node| {
            node.end_counts_published(now, &name);
            node.mailbox_changed_at(now, &name);
        });
        Reply::Done { count: 1 }
    }

    /// What was published of a mailbox is older than what a command says now; its publisher is told 412 and starts anew.
    fn end_counts_published(&mut self, now: Now, name: &str) {
        let keys =
            self.facts.owners_of_mailbox(name).into_iter().chain([ResourceKey::Mailbox(name.to_owned())]);
        let resources: Vec<_> = keys.filter_map(|key| self.facts.resources.find(&key)).collect();
        let mut slots = Vec::new();
        for package in PackageId::all().filter(|package| package.get().watches() == Watched::Mailboxes) {
            let states = resources.iter().filter_map(|id| self.facts.resources.package(*id, package));
            slots.extend(states.flat_map(|state| state.publications.iter().copied()));
        }
        for slot in slots {
            self.end_publication(now, slot);
        }
    }

    fn selected(&self, selector: &Selector) -> Vec<u32> {
        let fits = |slot: u32| {
            let Some(s) = self.subscriptions.get(slot).filter(|s| s.ending.is_none()) else { return false };
            let resource =
                self.facts.resources.get(s.resource).map(|r| r.key.to_string()).unwrap_or_default();
            let named = |wanted: &String| {
                resource == *wanted
                    || resource
                        .split('@')
                        .next()
                        .is_some_and(|name| name.trim_start_matches("sip:") == wanted)
            };
            selector.resource.as_ref().is_none_or(named)
                && selector.watcher.as_ref().is_none_or(|watcher| s.text(Text::Watcher) == watcher)
                && selector
                    .call_id
                    .as_ref()
                    .is_none_or(|prefix| s.text(Text::CallId).starts_with(prefix.as_str()))
        };
        self.subscriptions.iter().map(|(slot, _)| slot).filter(|slot| fits(*slot)).collect()
    }

    fn nudge(&mut self, selector: &Selector) -> Reply {
        let slots = self.selected(selector);
        for slot in &slots {
            if let Some(subscription) = self.subscriptions.get_mut(*slot) {
                subscription.pending = true;
                subscription.forced = true;
                self.due.push_back(*slot);
            }
        }
        Reply::Done { count: slots.len() }
    }

    fn drop_subscriptions(&mut self, now: Now, selector: &Selector) -> Reply {
        let slots = self.selected(selector);
        for slot in &slots {
            self.end_by_command(now, *slot, EndReason::Deactivated);
        }
        Reply::Done { count: slots.len() }
    }

    /// New settings: lamps are built anew, watchers of what changed are told, everything else stays.
    fn reload(&mut self, now: Now, settings: Arc<Settings>) -> Reply {
        let old = std::mem::replace(&mut self.facts.settings, settings);
        self.authenticator.configure(&self.facts.settings);
        self.facts.publications.configure(self.facts.settings.quotas.publishes_per_s);
        self.look_up_peers(now);
        self.subscriptions_follow(&old);
        self.settle_hard_states(now);
        self.build_lamps(now);
        self.lists_follow(now);
        self.authorize_everything(now);
        self.tell_all_owners();
        self.configure_gateways(now);
        self.schedule_qualify(now);
        Reply::Done { count: self.facts.settings.dialplan.hints().count() }
    }

    /// Profiles are found again by name, since their order may have changed.
    fn subscriptions_follow(&mut self, old: &Settings) {
        let slots: Vec<_> = self.subscriptions.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(subscription) = self.subscriptions.get(slot) else { continue };
            let name = old
                .profiles
                .get(usize::from(subscription.profile))
                .map(|p| p.name.clone())
                .unwrap_or_default();
            let profile = self.profile_named(&name);
            if let Some(subscription) = self.subscriptions.get_mut(slot) {
                subscription.profile = profile;
            }
        }
    }

    /// Before a graceful stop: subscriptions end, where that is configured.
    ///
    /// Why nothing is stored of the others: a restart jumps ahead of whatever CSeq and version there can have been, so
    /// that it need not be known how the process before ended.
    fn stop(&mut self, now: Now) -> Reply {
        let slots: Vec<_> =
            self.subscriptions.iter().filter(|(_, s)| s.ending.is_none()).map(|(slot, _)| slot).collect();
        for slot in &slots {
            if self.facts.settings.stop == StopPolicy::End {
                self.end(now, *slot, EndReason::Probation, None);
            }
        }
        Reply::Done { count: slots.len() }
    }
}

/// `value,subtype,message`, the last two optional, as Asterisk's `presencestate change` takes it.
fn parse_presence(text: &str) -> Option<PresenceState> {
    let mut parts = text.splitn(3, ',');
    let value = PresenceValue::parse(parts.next()?)?;
    let mut rest = || parts.next().map(|part| part.trim().to_owned()).unwrap_or_default();
    Some(PresenceState { value, subtype: rest(), message: rest() })
}

/// What [`parse_presence`] reads.
fn print_presence(state: &PresenceState) -> String {
    format!("{},{},{}", state.value.name(), state.subtype, state.message)
}

fn refused(reason: String) -> Reply {
    Reply::Refused { reason }
}

fn device_record(name: &DeviceName, manual: &Manual) -> DeviceRecord {
    DeviceRecord {
        device: name.as_typed().to_owned(),
        state: manual.state.name().to_owned(),
        until: manual.until,
        set_at: manual.set_at,
    }
}

/// The row of a device state.
fn device_key(slot: u32) -> Key {
    Key { kind: Kind::Device, slot: u64::from(slot) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::Hint;
    use crate::time::{Instant, UnixTime};

    #[test]
    fn a_presence_is_listed_as_it_was_typed_with_its_hints_and_holds_until_it_is_set_again() {
        let mut settings = Settings::empty();
        settings.dialplan.add_hint("default", "6001", Hint::parse("SIP/bob,CustomPresence:bob")).unwrap();
        let now = Now { mono: Instant::default(), wall: UnixTime::from_millis(1_000_000) };
        let mut node = Node::new(Arc::new(settings), Vec::new(), [0; 32], now);
        let mut set = |for_s| {
            let (device, state) = ("CustomPresence:Bob".to_owned(), "away".to_owned());
            node.handle_command(now, Command::SetDevice { device, state, for_s })
        };
        assert!(matches!(set(Some(60)), Reply::Refused { .. }));
        assert!(matches!(set(None), Reply::Done { count: 1 }));
        let Reply::Devices(rows) = node.handle_command(now, Command::Devices) else { panic!() };
        let row = rows.iter().find(|row| row.state == "away").unwrap();
        assert_eq!(
            (row.device.as_str(), row.hints.as_slice()),
            ("CustomPresence:Bob", &["6001@default".to_owned()][..])
        );
    }
}
