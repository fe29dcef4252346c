//! What a board shows: every extension or person that exists now, one row each.
//!
//! Read only. The state is the lamp as `relamp` last computed it, so a row and the `extension` event before it agree.

use crate::device_state::PresenceValue;
use crate::node::Node;
use crate::resource::{Resource, ResourceKey};
use crate::time::Now;
use crate::view;

impl Node {
    /// Extensions, then people, each by group and name.
    pub(crate) fn view_presentities(&self, now: Now) -> Vec<view::Presentity> {
        let resources = self.facts.resources.iter().filter_map(|(_, resource)| match &resource.key {
            ResourceKey::Extension { context, .. } => Some(self.view_presentity(now, resource, context)),
            ResourceKey::User { domain, .. } => Some(self.view_presentity(now, resource, domain)),
            ResourceKey::Mailbox(_) | ResourceKey::List { .. } => None,
        });
        let mut rows: Vec<_> = resources.chain(self.unwatched_people(now)).collect();
        rows.sort_by(|a, b| (a.is_person(), &a.group, &a.name).cmp(&(b.is_person(), &b.group, &b.name)));
        rows
    }

    /// Peers that nobody watches and nobody publishes for, so that there is no resource: what their device shows.
    fn unwatched_people(&self, now: Now) -> impl Iterator<Item = view::Presentity> {
        let peers = self.facts.settings.peers.values().map(|peer| (peer, self.facts.user_key(peer)));
        peers.filter(|(_, key)| self.facts.resources.find(key).is_none()).map(move |(peer, key)| {
            let device = self.facts.devices.find(&peer.device).and_then(|id| self.facts.devices.get(id));
            let group = self.facts.settings.domains.get(peer.domain).map_or("", |domain| &domain.name);
            view::Presentity {
                resource: key.to_string(),
                name: peer.name.clone(),
                group: group.to_owned(),
                display: peer.display.clone(),
                state: self.device_state_of(&peer.device).extension().cli_word().to_owned(),
                since_s: device.map_or(0, |device| now.wall.since(device.since).as_secs()),
                presence: PresenceValue::NotSet.name().to_owned(),
                devices: vec![peer.device.as_typed().to_owned()],
                peers: vec![peer.name.clone()],
                watchers: 0,
                publications: 0,
            }
        })
    }

    fn view_presentity(&self, now: Now, resource: &Resource, group: &str) -> view::Presentity {
        let devices = || resource.devices.iter().filter_map(|id| self.facts.devices.get(*id));
        let peers: Vec<String> =
            devices().filter_map(|device| device.provider.peer().map(str::to_owned)).collect();
        let shown = peers.iter().filter_map(|name| self.facts.settings.peers.get(name));
        let display = shown.map(|peer| peer.display.as_str()).find(|display| !display.is_empty());
        view::Presentity {
            resource: resource.key.to_string(),
            name: resource.key.name().to_owned(),
            group: group.to_owned(),
            display: display.unwrap_or_default().to_owned(),
            state: resource.lamp.cli_word().to_owned(),
            since_s: now.wall.since(resource.lamp_since).as_secs(),
            presence: self.facts.presence_state(resource).unwrap_or_default().value.name().to_owned(),
            devices: devices().map(|device| device.name.as_typed().to_owned()).collect(),
            peers,
            watchers: resource.packages.iter().map(|package| package.watchers.len()).sum(),
            publications: resource.packages.iter().map(|package| package.publications.len()).sum(),
        }
    }
}
