//! What a board shows: every extension or person that exists now, one row each.
//!
//! Read only. The state is the lamp as `relamp` last computed it, so a row and the `extension` event before it agree. A
//! person of `[people]` is one row, whatever names there are; one whom nobody watches is what the devices show.

use crate::composition::sources::compose;
use crate::device_state::{DeviceName, DeviceState, PresenceValue, aggregate};
use crate::devices::DeviceId;
use crate::manual_status::Status;
use crate::node::Node;
use crate::output::Event;
use crate::packages::PackageId;
use crate::resource::{Resource, ResourceKey};
use crate::time::Now;
use crate::view;
use crate::view_of::Facts;
use std::collections::BTreeSet;

/// What a resource's presence comes down to: a word, and a note; both may be empty.
#[derive(Default)]
pub(crate) struct Shown {
    /// As in `away`; empty where nothing is said.
    pub(crate) word: &'static str,
    /// In the person's own words.
    pub(crate) note: String,
}

impl Facts {
    /// The devices of whom a user is.
    pub(crate) fn devices_behind(&self, owner: &ResourceKey) -> Vec<DeviceName> {
        match self.person_of(owner) {
            Some(person) => self.devices_of(person).0,
            None => self.peers_of(owner).into_iter().map(|peer| peer.device.clone()).collect(),
        }
    }

    /// What all sources but the lamp say of a resource, as its policy composes them.
    pub(crate) fn shown(&self, resource: &Resource) -> Shown {
        let package = PackageId::all().find(|package| package.get().is_presence());
        let owners = self.owners_behind(resource);
        let has_manual = owners.iter().any(|owner| self.manual_status(owner).is_some());
        let wants_none = !owners.is_empty() && owners.iter().all(|owner| self.wants_no_calls(owner));
        let is_published = self.publications_of(resource).any(|said| Some(said.package) == package)
            || self.person_of(&resource.key).is_some();
        let Some(package) = package.filter(|_| has_manual || wants_none || is_published) else {
            let said = self.presence_state(resource).unwrap_or_default();
            let word = if said.value == PresenceValue::NotSet { "" } else { said.value.name() };
            return Shown { word, note: said.message };
        };
        let presence =
            compose(self.policy_of(&resource.key), &self.presence_sources(resource, package)).presence;
        let said = presence.lamp.as_ref().and_then(|lamp| lamp.presence.clone()).unwrap_or_default();
        if presence.do_not_disturb {
            return Shown { word: Status::DoNotDisturb.name(), note: said.message };
        }
        let mut persons = presence.published.iter().flat_map(|document| &document.persons);
        let activity = persons.find_map(|person| person.rpid.activities.as_ref()?.known.first());
        let note = presence.published.iter().find_map(|document| document.first_note());
        let manual = owners.iter().find_map(|owner| self.manual_status(owner));
        let word = match (activity, manual) {
            (Some(activity), _) => Status::Doing(*activity).name(),
            (None, Some(manual)) if !matches!(manual.status, Status::Doing(_)) => manual.status.name(),
            _ if said.value == PresenceValue::NotSet => "",
            _ => said.value.name(),
        };
        Shown { word, note: note.map_or(said.message, str::to_owned) }
    }
}

impl Node {
    /// Extensions, then people, each by group and name.
    pub(crate) fn view_presentities(&self, now: Now) -> Vec<view::Presentity> {
        let facts = &self.facts;
        let resources = facts.resources.iter().filter_map(|(_, resource)| match &resource.key {
            ResourceKey::Extension { context, .. } => Some(self.view_presentity(now, resource, context)),
            // Why: another name of a person shows what the person's own row shows.
            key @ ResourceKey::User { domain, .. } if facts.owner_of(key) == *key => {
                Some(self.view_presentity(now, resource, domain))
            }
            ResourceKey::User { .. }
            | ResourceKey::Mailbox(_)
            | ResourceKey::List { .. }
            | ResourceKey::Remote { .. } => None,
        });
        let mut rows: Vec<_> = resources.chain(self.unwatched_people(now)).collect();
        rows.sort_by(|a, b| (a.is_person(), &a.group, &a.name).cmp(&(b.is_person(), &b.group, &b.name)));
        rows
    }

    /// People whom nobody watches and nobody publishes for, so that there is no resource: what their devices show.
    fn unwatched_people(&self, now: Now) -> impl Iterator<Item = view::Presentity> {
        let facts = &self.facts;
        let peers = facts.settings.peers.values().map(|peer| facts.owner_of(&facts.user_key(peer)));
        let people = facts.settings.people.iter().map(|person| facts.person_key(person));
        let owners: BTreeSet<_> = peers.chain(people).collect();
        owners.into_iter().filter(|owner| facts.resources.find(owner).is_none()).map(move |owner| {
            let names = facts.devices_behind(&owner);
            let devices = || names.iter().filter_map(|name| facts.devices.get(facts.devices.find(name)?));
            let peers = facts.peers_of(&owner);
            let display = facts.person_of(&owner).map(|person| &person.display);
            let display = display.or(peers.first().map(|peer| &peer.display));
            let since = devices().map(|device| now.wall.since(device.since).as_secs()).min();
            let said = facts.manual_status(&owner);
            let group = match &owner {
                ResourceKey::User { domain, .. } => domain.clone(),
                _ => String::new(),
            };
            view::Presentity {
                resource: owner.to_string(),
                name: owner.name().to_owned(),
                group,
                display: display.cloned().unwrap_or_default(),
                state: self.lamp_of(&names, None).extension().cli_word().to_owned(),
                since_s: since.unwrap_or_default(),
                presence: said.map_or(PresenceValue::NotSet.name(), |said| said.status.name()).to_owned(),
                note: said.map(|said| said.note.clone()).unwrap_or_default(),
                devices: names.iter().map(|name| name.as_typed().to_owned()).collect(),
                peers: peers.iter().map(|peer| peer.name.clone()).collect(),
                watchers: 0,
                publications: 0,
            }
        })
    }

    /// What several devices are together, one of them maybe as it was before.
    pub(crate) fn lamp_of(
        &self,
        names: &[DeviceName],
        was: Option<(&DeviceName, DeviceState)>,
    ) -> DeviceState {
        aggregate(names.iter().map(|name| match was {
            Some((changed, was)) if changed.key() == name.key() => was,
            _ => self.device_state_of(name),
        }))
    }

    /// Tells of the lamps of those whom nobody watches, after a device of theirs changed.
    pub(crate) fn tell_unwatched(&mut self, id: DeviceId, was: DeviceState) {
        let facts = &self.facts;
        let Some(device) = facts.devices.get(id) else { return };
        let peer = facts.peer_of_device(id).map(|peer| facts.owner_of(&facts.user_key(peer)));
        let lamps = device.resources.iter().filter_map(|id| facts.resources.get(*id));
        let people = lamps.filter_map(|lamp| Some(facts.person_key(facts.person_of(&lamp.key)?)));
        let owners: BTreeSet<_> = peer.into_iter().chain(people).collect();
        let told = owners.iter().filter(|owner| facts.resources.find(owner).is_none()).filter_map(|owner| {
            let names = facts.devices_behind(owner);
            let before = self.lamp_of(&names, Some((&device.name, was))).extension();
            let after = self.lamp_of(&names, None).extension();
            (before != after).then(|| Event::Extension {
                extension: owner.to_string(),
                state: after.cli_word(),
                was: before.cli_word(),
            })
        });
        for event in told.collect::<Vec<_>>() {
            self.tell(event);
        }
    }

    fn view_presentity(&self, now: Now, resource: &Resource, group: &str) -> view::Presentity {
        let devices = || resource.devices.iter().filter_map(|id| self.facts.devices.get(*id));
        let peers: Vec<String> =
            devices().filter_map(|device| device.provider.peer().map(str::to_owned)).collect();
        let shown = peers.iter().filter_map(|name| self.facts.settings.peers.get(name));
        let display = shown.map(|peer| peer.display.as_str()).find(|display| !display.is_empty());
        let person = self.facts.person_of(&resource.key).map(|person| person.display.as_str());
        let display = person.filter(|display| !display.is_empty()).or(display);
        let shown = self.facts.shown(resource);
        view::Presentity {
            resource: resource.key.to_string(),
            name: resource.key.name().to_owned(),
            group: group.to_owned(),
            display: display.unwrap_or_default().to_owned(),
            state: resource.lamp.cli_word().to_owned(),
            since_s: now.wall.since(resource.lamp_since).as_secs(),
            presence: if shown.word.is_empty() { PresenceValue::NotSet.name() } else { shown.word }
                .to_owned(),
            note: shown.note,
            devices: devices().map(|device| device.name.as_typed().to_owned()).collect(),
            peers,
            watchers: resource.packages.iter().map(|package| package.watchers.len()).sum(),
            publications: resource.packages.iter().map(|package| package.publications.len()).sum(),
        }
    }
}
