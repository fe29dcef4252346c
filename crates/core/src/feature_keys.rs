//! Setting a user's features: by the feature key of a phone, or by command; stored, told, and shown to who watches.
//!
//! Nothing here changes a device: do not disturb is a word of the user's beside what the devices say, so a phone that is
//! not there stays not there.

use crate::command::Reply;
use crate::features::{Feature, FeatureChange, Features};
use crate::journal::{FeatureOrigin, FeaturesRecord, Key, Kind, Record, Value};
use crate::manual_status::Status;
use crate::node::{Node, Put};
use crate::output::{Event, Ticket};
use crate::packages::StateKind;
use crate::resource::{Resource, ResourceKey};
use crate::settings::Peer;
use crate::tickets::Undo;
use crate::time::Now;
use crate::view;
use crate::view_of::Facts;
use std::collections::BTreeSet;

impl Facts {
    /// What holds for a peer.
    pub(crate) fn features(&self, peer: &Peer) -> Features {
        self.features_in_force(&self.user_key(peer))
    }

    /// What a user has set, a status set by command that wants no calls included.
    pub(crate) fn features_in_force(&self, user: &ResourceKey) -> Features {
        Features { dnd: self.wants_no_calls(user), ..self.features_of(user) }
    }

    /// What a user has set, who need not be a peer; all names of a person have one set.
    pub(crate) fn features_of(&self, user: &ResourceKey) -> Features {
        self.feature_keys
            .find(&self.owner_of(user).to_string())
            .map(|record| record.features.clone())
            .unwrap_or_default()
    }

    /// The peers behind the devices of an extension.
    pub(crate) fn peers_behind(&self, resource: &Resource) -> Vec<&Peer> {
        let devices = resource.devices.iter().filter_map(|id| self.devices.get(*id));
        let names: BTreeSet<_> = devices.filter_map(|device| device.provider.peer()).collect();
        names.into_iter().filter_map(|name| self.settings.peers.get(name)).collect()
    }

    /// Whether whoever is behind a resource wants no calls now; of several people all.
    pub(crate) fn do_not_disturb(&self, resource: &Resource) -> bool {
        let owners = self.owners_behind(resource);
        !owners.is_empty() && owners.iter().all(|owner| self.wants_no_calls(owner))
    }

    /// Who is behind a resource: the person it means, else the owners of its devices.
    pub(crate) fn owners_behind(&self, resource: &Resource) -> BTreeSet<ResourceKey> {
        if let Some(person) = self.person_of(&resource.key) {
            return BTreeSet::from([self.person_key(person)]);
        }
        match &resource.key {
            ResourceKey::Extension { .. } => {
                let peers = self.peers_behind(resource).into_iter();
                peers.map(|peer| self.owner_of(&self.user_key(peer))).collect()
            }
            user @ ResourceKey::User { .. } => BTreeSet::from([user.clone()]),
            ResourceKey::Mailbox(_) | ResourceKey::List { .. } | ResourceKey::Remote { .. } => {
                BTreeSet::new()
            }
        }
    }
}

impl Node {
    /// Makes these a user's features, of which one was changed by somebody; `None` where nothing is different. Watchers are
    /// told by [`Self::features_changed`].
    pub(crate) fn set_features(
        &mut self,
        now: Now,
        user: &ResourceKey,
        (feature, features): (Feature, Features),
        by: String,
    ) -> Option<Ticket> {
        let name = self.facts.owner_of(user).to_string();
        // Why: a phone that switches do not disturb off means it, whoever switched it on.
        let calls_again = feature == Feature::DoNotDisturb && !features.dnd;
        let said = self.facts.manual_status(user).map(|said| said.status);
        let ended =
            (calls_again && said == Some(Status::DoNotDisturb)).then(|| self.end_status(user)).flatten();
        let previous = self.facts.feature_keys.find(&name).cloned();
        if previous.as_ref().map_or_else(Features::default, |record| record.features.clone()) == features {
            return ended;
        }
        let value = features.value(feature).unwrap_or("off").to_owned();
        self.tell(Event::Feature { user: name.clone(), feature: feature.name(), value, by: by.clone() });
        let key = |slot| Key { kind: Kind::Features, slot: u64::from(slot) };
        let record = if features == Features::default() {
            Record::Delete(key(self.facts.feature_keys.clear(&name)?))
        } else {
            let mut origins = previous.as_ref().map(|record| record.origins.clone()).unwrap_or_default();
            origins.retain(|origin| origin.feature != feature && features.value(origin.feature).is_some());
            if features.value(feature).is_some() {
                origins.push(FeatureOrigin { feature, by, at: now.wall });
            }
            let record = FeaturesRecord { user: name, features, origins };
            Record::Upsert(key(self.facts.feature_keys.set(record.clone())), Value::Features(record))
        };
        Some(self.persist(record, Undo::To(previous.map(Value::Features))))
    }

    /// Marks whoever shows a user's features: all names of the person, and the extensions with one of their devices.
    pub(crate) fn features_changed(&mut self, user: &ResourceKey) {
        let devices =
            self.facts.peers_of(user).into_iter().filter_map(|peer| self.facts.devices.find(&peer.device));
        let devices = devices.filter_map(|id| self.facts.devices.get(id));
        let mut ids: Vec<_> = devices.flat_map(|device| device.resources.iter().copied()).collect();
        ids.extend(self.facts.names_of(user).iter().filter_map(|name| self.facts.resources.find(name)));
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            self.changed(id, StateKind::Features);
        }
    }

    /// A user's features from the store, or before a change that could not be stored.
    pub(crate) fn put_features(&mut self, slot: u32, record: Option<FeaturesRecord>, put: Put) {
        let users = match (put, record) {
            (Put::Restart, Some(record)) => {
                let user = record.user.clone();
                self.facts.feature_keys.restore(slot, record);
                vec![user]
            }
            (Put::Restart, None) => Vec::new(),
            (Put::Undo, record) => self.facts.feature_keys.revert(slot, record),
        };
        for user in users.iter().filter_map(|user| ResourceKey::parse(user)) {
            self.features_changed(&user);
        }
    }

    /// A feature set or cleared by command.
    pub(crate) fn command_feature(&mut self, now: Now, user: &str, change: &FeatureChange) -> Reply {
        let Some(key) = self.user_called(user) else {
            let reason =
                format!("no user is called {user:?}; `lampyris show peers` lists those that are configured");
            return Reply::Refused { reason };
        };
        match self.facts.features_of(&key).with(change) {
            Err(reason) => Reply::Refused { reason: reason.to_owned() },
            Ok(features) => {
                let ticket = self.set_features(now, &key, (change.feature, features), "command".to_owned());
                if let Some(ticket) = ticket {
                    self.told_after(ticket, |node| node.features_changed(&key));
                }
                Reply::Done { count: usize::from(ticket.is_some()) }
            }
        }
    }

    /// The user or person with this name, or with this AOR, as in `alice@example.com`.
    pub(crate) fn user_called(&self, name: &str) -> Option<ResourceKey> {
        if let Some(peer) = self.facts.settings.peers.get(name) {
            return Some(self.facts.user_key(peer));
        }
        if let Some(person) = self.facts.settings.people.named(name) {
            return Some(self.facts.person_key(person));
        }
        let name = name.strip_prefix("sip:").unwrap_or(name);
        self.find_user(&self.address(&format!("sip:{name}")).ok()??)
    }

    /// Every feature that is set.
    pub(crate) fn view_features(&self, now: Now) -> Vec<view::Feature> {
        let rows = |record: &FeaturesRecord| -> Vec<view::Feature> {
            let row = |origin: &FeatureOrigin| view::Feature {
                user: record.user.trim_start_matches("sip:").to_owned(),
                feature: origin.feature,
                value: record.features.value(origin.feature).unwrap_or("off").to_owned(),
                after_s: record.features.no_answer_s.filter(|_| origin.feature == Feature::ForwardNoAnswer),
                by: origin.by.clone(),
                since_s: now.wall.since(origin.at).as_secs(),
            };
            let mut rows: Vec<_> = record.origins.iter().map(row).collect();
            rows.sort_by_key(|row| row.feature);
            rows
        };
        self.facts.feature_keys.iter().flat_map(rows).collect()
    }

    /// What the people behind a resource have set, as sources of what it shows.
    pub(crate) fn feature_sources(&self, now: Now, resource: &Resource) -> Vec<view::Source> {
        let owners = self.facts.owners_behind(resource);
        let records = owners.iter().filter_map(|user| self.facts.feature_keys.find(&user.to_string()));
        let source = |record: &FeaturesRecord, origin: &FeatureOrigin| view::Source {
            name: format!("{} of {}", origin.feature.name(), record.user.trim_start_matches("sip:")),
            state: record.features.value(origin.feature).unwrap_or("off").to_owned(),
            because: format!("set by {}", origin.by),
            won: false,
            since_s: now.wall.since(origin.at).as_secs(),
            expires_s: None,
        };
        records.flat_map(|record| record.origins.iter().map(move |origin| source(record, origin))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::device_state::DeviceName;
    use crate::hint::Hint;
    use crate::settings::{Peer, Settings};
    use crate::time::{Instant, UnixTime};
    use std::sync::Arc;

    #[test]
    fn why_names_what_people_have_set_and_devices_are_none_of_it() {
        let mut settings = Settings::empty();
        for name in ["Bob", "Carol"] {
            let device = DeviceName::parse(&format!("SIP/{name}")).unwrap();
            settings.peers.insert(name.to_owned(), Peer::named(name, device));
        }
        for (extension, hint) in [("6001", "SIP/Bob"), ("6009", "SIP/Bob&SIP/Carol")] {
            settings.dialplan.add_hint("default", extension, Hint::parse(hint)).unwrap();
        }
        let now = Now { mono: Instant::default(), wall: UnixTime::from_millis(1_000_000) };
        let mut node = Node::new(Arc::new(settings), Vec::new(), [0; 32], now);
        let mut set = |user: &str, feature, target: Option<&str>| {
            let (user, target) = (user.to_owned(), target.map(str::to_owned));
            node.handle_command(now, Command::SetFeature { user, feature, target, after_s: None })
        };
        assert_eq!(set("Bob", Feature::DoNotDisturb, None), Reply::Done { count: 1 });
        assert_eq!(set("sip:Bob@localhost", Feature::DoNotDisturb, None), Reply::Done { count: 0 });
        assert_eq!(set("Bob@localhost", Feature::ForwardBusy, Some("77")), Reply::Done { count: 1 });
        assert!(matches!(set("Nobody", Feature::DoNotDisturb, None), Reply::Refused { .. }));
        assert!(matches!(set("Bob", Feature::ForwardAlways, None), Reply::Refused { .. }));

        let Reply::Why(why) = node.handle_command(now, Command::Why("6001".to_owned())) else { panic!() };
        let said: Vec<_> =
            why[0].sources.iter().map(|s| (s.name.as_str(), s.state.as_str(), s.because.as_str())).collect();
        assert_eq!(
            said,
            [
                ("SIP/Bob", "UNAVAILABLE", "not registered"),
                ("dnd of Bob@localhost", "on", "set by command"),
                ("forward-busy of Bob@localhost", "77", "set by command"),
            ]
        );
        // Two people behind one lamp: one of them does not speak for both.
        let disturbs = |node: &Node, extension: &str| {
            let found = node.facts.resources.iter().find(|(_, r)| r.key.to_string() == extension).unwrap();
            node.facts.do_not_disturb(found.1)
        };
        assert_eq!((disturbs(&node, "6001@default"), disturbs(&node, "6009@default")), (true, false));
        let carol = Command::SetFeature {
            user: "Carol".to_owned(),
            feature: Feature::DoNotDisturb,
            target: None,
            after_s: None,
        };
        node.handle_command(now, carol);
        assert!(disturbs(&node, "6009@default"));
        let Reply::Features(rows) = node.handle_command(now, Command::Features) else { panic!() };
        assert_eq!(rows.len(), 3);
        for row in rows {
            let (user, feature) = (row.user, row.feature);
            node.handle_command(now, Command::ClearFeature { user, feature });
        }
        assert_eq!(node.facts.feature_keys.iter().count(), 0);
    }
}
