//! From fact to lamp: devices, hints and the one path on which a change reaches the watchers.
//!
//! Anything that changes calls [`Node::changed`]; [`Node::flush`] composes once per (resource, package) and hands every
//! watcher to the notifier. Nothing else sends a NOTIFY.

use crate::device_state::{
    Channel, ChannelState, DeviceName, DeviceState, PeerFacts, endpoint_state, peer_state,
};
use crate::devices::{DeviceId, Provider, unprovided};
use crate::journal::{Key, Kind, Record, ResourceRecord, Value};
use crate::mailbox::full_name;
use crate::node::Node;
use crate::notifier::subscription::EndReason;
use crate::output::Event;
use crate::packages::{Calls, PackageId, StateKind};
use crate::resource::{ResourceId, ResourceKey};
use crate::settings::{Host, Peer};
use crate::tickets::Undo;
use crate::time::Now;

/// The hash in a mark that says nothing of what watchers were shown.
pub(crate) const MARK_UNTOLD: u64 = 0;

/// What moved a peer's device: for `why`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeerSources {
    /// Bindings of its AOR.
    pub(crate) bindings: usize,
    /// Calls that publications tell of.
    pub(crate) calls: Calls,
    /// Publications that tell of calls.
    pub(crate) publications: usize,
    /// Calls that pass through the proxy.
    pub(crate) tracked: Calls,
}

impl PeerSources {
    /// All its calls, each counted once.
    fn all(&self) -> Calls {
        Calls {
            inuse: self.calls.inuse.saturating_add(self.tracked.inuse),
            ringing: self.calls.ringing.saturating_add(self.tracked.ringing),
            onhold: self.calls.onhold.saturating_add(self.tracked.onhold),
        }
    }
}

impl Node {
    /// Builds hints, devices and what depends on what from the settings; after a start, a restore or a reload.
    pub(crate) fn build_lamps(&mut self, now: Now) {
        self.facts.devices.unlink_all();
        let settings = self.facts.settings.clone();
        for peer in settings.peers.values() {
            let id = self.facts.devices.find_or_add(&peer.device, now.wall);
            if let Some(device) = self.facts.devices.get_mut(id) {
                device.provider = Provider::Peer(peer.name.clone());
            }
        }
        let ids: Vec<_> = self.facts.resources.iter().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(resource) = self.facts.resources.get_mut(id) {
                resource.configured = false;
            }
        }
        for found in settings.dialplan.hints().filter(|hint| !hint.is_pattern) {
            let key = ResourceKey::Extension {
                context: found.context.to_owned(),
                extension: found.extension.to_owned(),
            };
            let id = self.facts.resources.find(&key);
            let id = id.unwrap_or_else(|| self.facts.resources.add(key, now.wall));
            if let Some(resource) = self.facts.resources.get_mut(id) {
                resource.configured = true;
            }
        }
        let ids: Vec<_> = self.facts.resources.iter().map(|(id, _)| id).collect();
        for id in ids {
            if self.link(now, id) {
                continue;
            }
            self.end_all(now, id, EndReason::NoResource);
        }
        let publications: Vec<_> = self.facts.publications.iter().map(|(slot, _)| slot).collect();
        for slot in publications {
            self.on_publication_stale(now, slot);
        }
        let devices: Vec<_> = self.facts.devices.iter().map(|(id, _)| id).collect();
        for id in devices {
            self.refresh_device(now, id);
        }
        let ids: Vec<_> = self.facts.resources.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.relamp(now, id);
            for kind in [StateKind::DeviceStates, StateKind::Mailbox] {
                self.changed(id, kind);
            }
        }
    }

    /// Ties a resource to its devices as the settings say; `false` where it exists no more.
    fn link(&mut self, now: Now, id: ResourceId) -> bool {
        let Some(resource) = self.facts.resources.get(id) else { return true };
        let settings = self.facts.settings.clone();
        let (names, presence_names, text): (Vec<DeviceName>, _, _) = match &resource.key {
            ResourceKey::Extension { context, extension } => {
                let Some(found) = settings.dialplan.lookup(context, extension) else { return false };
                match found.hint {
                    Some(hint) => {
                        let devices = hint.devices.clone();
                        (devices, hint.presence.clone(), hint.text.clone())
                    }
                    None => (Vec::new(), Vec::new(), String::new()),
                }
            }
            key @ ResourceKey::User { domain, .. } => match self.facts.peer_of(key) {
                Some(peer) => (vec![peer.device.clone()], Vec::new(), String::new()),
                None if self.facts.person_of(key).is_some() => (Vec::new(), Vec::new(), String::new()),
                None if settings.domains.iter().any(|d| d.any_user && d.name == *domain) => {
                    (Vec::new(), Vec::new(), String::new())
                }
                None => return false,
            },
            ResourceKey::Remote { .. } if !self.facts.is_remote_known(&resource.key) => return false,
            ResourceKey::Mailbox(_) | ResourceKey::List { .. } | ResourceKey::Remote { .. } => {
                (Vec::new(), Vec::new(), String::new())
            }
        };
        let person = self.facts.person_of(&resource.key).map(|person| self.facts.devices_of(person));
        let (names, presence_names) = person.unwrap_or((names, presence_names));
        let mut devices = Vec::with_capacity(names.len());
        for name in &names {
            let device = self.facts.devices.find_or_add(name, now.wall);
            if devices.contains(&device) {
                continue;
            }
            devices.push(device);
            if let Some(device) = self.facts.devices.get_mut(device) {
                device.resources.push(id);
                if name.is_tech("MWI") {
                    device.provider = Provider::Mailbox(full_name(name.id()));
                }
            }
        }
        if let Some(resource) = self.facts.resources.get_mut(id) {
            resource.devices = devices;
            resource.presence_names = presence_names;
            resource.hint = text;
        }
        true
    }

    /// The resource with this key, made and linked where it is new.
    pub(crate) fn resource(&mut self, now: Now, key: &ResourceKey) -> ResourceId {
        if let Some(id) = self.facts.resources.find(key) {
            return id;
        }
        let id = self.facts.resources.add(key.clone(), now.wall);
        self.link(now, id);
        let devices =
            self.facts.resources.get(id).map(|resource| resource.devices.clone()).unwrap_or_default();
        for device in devices {
            self.refresh_device(now, device);
        }
        if let Some(resource) = self.facts.resources.get(id) {
            let lamp = self.facts.lamp(resource).extension;
            if let Some(resource) = self.facts.resources.get_mut(id) {
                resource.lamp = lamp;
            }
        }
        id
    }

    /// Drops a resource that nothing configured and nobody watches or publishes for.
    pub(crate) fn release_resource(&mut self, id: ResourceId) {
        let Some(resource) = self.facts.resources.get(id) else { return };
        let in_use =
            |p: &crate::resource::PackageState| p.is_watched() || p.published || !p.publications.is_empty();
        if matches!(resource.key, ResourceKey::Remote { .. }) {
            self.gateways.watched_no_more(resource.key.clone());
        }
        if resource.configured || resource.packages.iter().any(in_use) {
            return;
        }
        let Some(resource) = self.facts.resources.remove(id) else { return };
        for device in resource.devices {
            if let Some(device) = self.facts.devices.get_mut(device) {
                device.resources.retain(|other| *other != id);
            }
        }
        for (slot, _) in resource.packages.iter().filter_map(|package| package.mark) {
            self.subscriptions.forget(slot);
            self.persist(Record::Delete(Key { kind: Kind::Resource, slot: u64::from(slot) }), Undo::No);
        }
    }

    /// What the sources say of a peer: its bindings, its calls here, and the calls that publications tell of.
    pub(crate) fn peer_sources(&self, peer: &Peer) -> PeerSources {
        let bindings = self.facts.registrar.bindings(&self.facts.aor(peer)).len();
        let tracked = self.facts.calls.counts_of(&peer.name, self.facts.settings.calls.hold_shows);
        let mut sources = PeerSources { bindings, tracked, ..PeerSources::default() };
        let own = self.facts.resources.find(&self.facts.user_key(peer));
        let Some(resource) = own.and_then(|id| self.facts.resources.get(id)) else { return sources };
        for publication in self.facts.publications_of(resource) {
            let is_tracked = |call_id: &str, local: Option<&str>, remote: Option<&str>| {
                self.facts.calls.is_tracked(call_id, local, remote)
            };
            if let Some(calls) = publication.package.get().calls(&publication.content, &is_tracked) {
                sources.publications += 1;
                sources.calls.inuse = sources.calls.inuse.saturating_add(calls.inuse);
                sources.calls.ringing = sources.calls.ringing.saturating_add(calls.ringing);
                sources.calls.onhold = sources.calls.onhold.saturating_add(calls.onhold);
            }
        }
        sources
    }

    /// What a device's provider says it shows.
    fn provided(&self, id: DeviceId) -> DeviceState {
        let Some(device) = self.facts.devices.get(id) else { return DeviceState::Invalid };
        match &device.provider {
            Provider::Nobody => unprovided(&device.name),
            Provider::Mailbox(name) => {
                // Asterisk's res_mwi_devstate: a lamp lit by new messages.
                if self.facts.mailboxes.counts(name).new > 0 {
                    DeviceState::InUse
                } else {
                    DeviceState::NotInUse
                }
            }
            Provider::Peer(name) => {
                let Some(peer) = self.facts.settings.peers.get(name) else { return DeviceState::Invalid };
                let sources = self.peer_sources(peer);
                let mut calls = sources.all();
                if !self.facts.settings.notify_hold {
                    calls.onhold = 0;
                }
                // Why: a phone that has calls is there, even where it registers elsewhere.
                let registered = sources.bindings > 0 || peer.host != Host::Dynamic || calls.inuse > 0;
                let reachable = self.qualifier.is_reachable(name);
                if device.name.is_tech("PJSIP") {
                    let online = registered && (peer.qualify.is_none() || reachable);
                    let busy_at = usize::try_from(peer.busy_at).unwrap_or(usize::MAX);
                    return endpoint_state(Some(online), &channels(calls), busy_at);
                }
                peer_state(Some(PeerFacts {
                    registered,
                    reachable,
                    qualify: peer.qualify.is_some(),
                    onhold: calls.onhold,
                    ringing: calls.ringing,
                    inuse: calls.inuse,
                    call_limit: peer.call_limit,
                    busylevel: peer.busy_level,
                }))
            }
        }
    }

    /// Looks at a device's sources again, and moves every lamp it is part of.
    pub(crate) fn refresh_device(&mut self, now: Now, id: DeviceId) {
        let provided = self.provided(id);
        let Some(device) = self.facts.devices.get_mut(id) else { return };
        device.provided = provided;
        let state = device.decided();
        if state == device.state {
            return;
        }
        let was = std::mem::replace(&mut device.state, state);
        device.since = now.wall;
        let event = Event::Device { device: device.name.as_typed().to_owned(), state: state.name() };
        let resources = device.resources.clone();
        self.tell(event);
        self.tell_unwatched(id, was);
        for resource in resources {
            self.relamp(now, resource);
            self.changed(resource, StateKind::DeviceStates);
        }
    }

    /// Looks at the device of a peer again.
    pub(crate) fn refresh_peer(&mut self, now: Now, name: &str) {
        let device =
            self.facts.settings.peers.get(name).and_then(|peer| self.facts.devices.find(&peer.device));
        if let Some(device) = device {
            self.refresh_device(now, device);
        }
    }

    /// A mailbox's counts changed.
    pub(crate) fn mailbox_changed_at(&mut self, now: Now, name: &str) {
        let lit: Vec<_> = self
            .facts
            .devices
            .iter()
            .filter(|(_, device)| matches!(&device.provider, Provider::Mailbox(mailbox) if mailbox == name))
            .map(|(id, _)| id)
            .collect();
        for device in lit {
            self.refresh_device(now, device);
        }
        self.mailbox_changed(name);
    }

    /// Marks everybody who watches a mailbox, or whose owner has it.
    pub(crate) fn mailbox_changed(&mut self, name: &str) {
        let keys =
            self.facts.owners_of_mailbox(name).into_iter().chain([ResourceKey::Mailbox(name.to_owned())]);
        let ids: Vec<_> = keys.filter_map(|key| self.facts.resources.find(&key)).collect();
        for id in ids {
            self.changed(id, StateKind::Mailbox);
        }
    }

    /// Computes a lamp again.
    pub(crate) fn relamp(&mut self, now: Now, id: ResourceId) {
        let Some(resource) = self.facts.resources.get(id) else { return };
        let (was, lamp) = (resource.lamp, self.facts.lamp(resource).extension);
        if was == lamp {
            return;
        }
        let event = Event::Extension {
            extension: resource.key.to_string(),
            state: lamp.cli_word(),
            was: was.cli_word(),
        };
        if let Some(resource) = self.facts.resources.get_mut(id) {
            resource.lamp = lamp;
            resource.lamp_since = now.wall;
        }
        self.tell(event);
    }

    /// What was published for a resource changed: for itself, for every other name of the same person, and for every lamp
    /// its owner's device is part of.
    pub(crate) fn publications_changed(&mut self, now: Now, id: ResourceId) {
        let Some(resource) = self.facts.resources.get(id) else { return };
        let key = resource.key.clone();
        let peer = self.facts.peer_of(&key).map(|peer| (peer.name.clone(), peer.device.clone()));
        self.tell_owners_of(&key);
        let names = self.facts.names_of(&key);
        let ids: Vec<_> = names.iter().filter_map(|key| self.facts.resources.find(key)).collect();
        self.sphere_may_differ(now, id);
        for id in ids {
            self.relamp(now, id);
            self.changed(id, StateKind::Publications);
            self.changed(id, StateKind::DeviceStates);
        }
        let Some((name, device)) = peer else { return };
        self.refresh_peer(now, &name);
        let device = self.facts.devices.find(&device).and_then(|id| self.facts.devices.get(id));
        let others = device.map(|device| device.resources.clone()).unwrap_or_default();
        for other in others {
            self.changed(other, StateKind::Publications);
        }
    }

    /// A fact of this kind changed for a resource: every package that depends on it is due.
    pub(crate) fn changed(&mut self, id: ResourceId, kind: StateKind) {
        // Why: a list has no state beside that of its members.
        if self
            .facts
            .resources
            .get(id)
            .is_some_and(|resource| matches!(resource.key, ResourceKey::List { .. }))
        {
            return;
        }
        for package in PackageId::all() {
            if !package.get().depends_on().contains(&kind) {
                continue;
            }
            let cause = self.tickets.cause();
            let state = if cause.is_some() {
                self.facts.resources.package_mut(id, package)
            } else {
                // Why: what nothing is known of cannot be old.
                self.facts.resources.known_package_mut(id, package)
            };
            let Some(state) = state else { continue };
            state.forget();
            state.after = state.after.max(cause);
            if !state.dirty && (state.is_watched() || state.published) {
                state.dirty = true;
                self.dirty.push((id, package));
            }
        }
    }

    /// Composes what is due, once per resource and package, and tells all watchers.
    pub(crate) fn flush(&mut self, now: Now) {
        self.flush_some(now, usize::MAX);
    }

    /// Composes what is due, and tells so many watchers. The others are due at once, behind what else is to be done by
    /// then: ten thousand NOTIFYs are not written before the first of them leaves, and nobody else waits for all of them.
    pub(crate) fn flush_some(&mut self, now: Now, mut most: usize) {
        self.end_undemanded(now);
        self.notify_unsolicited(now);
        while !self.dirty.is_empty() || (most > 0 && !self.due.is_empty()) {
            for (id, package) in std::mem::take(&mut self.dirty) {
                let Some(state) = self.facts.resources.package_mut(id, package) else { continue };
                state.dirty = false;
                let (watchers, lists) = (state.watchers.clone(), state.lists.clone());
                if state.published {
                    self.publish_elsewhere(now, id, package);
                }
                self.subscriptions.owe_no_more(id, package);
                if !watchers.is_empty() || !lists.is_empty() {
                    self.mark_shown(now, id, package);
                }
                for place in lists {
                    self.member_changed(now, place);
                }
                for slot in watchers {
                    if let Some(subscription) = self.subscriptions.get_mut(slot) {
                        subscription.pending = true;
                        subscription.behind.changed(now.mono);
                        self.due.push_back(slot);
                    }
                }
            }
            while most > 0
                && let Some(slot) = self.due.pop_front()
            {
                most -= 1;
                self.notify_if_due(now, slot);
            }
        }
    }

    /// Stores what watchers are shown from now on, so that a restart knows who has seen it.
    pub(crate) fn mark_shown(&mut self, now: Now, id: ResourceId, package: PackageId) {
        if self.subscriptions.is_owed(id, package) {
            return; // Why: some of them have not been told yet what the mark would say they were.
        }
        let Some(hash) = self.shown_hash(id, package) else { return };
        let Some(state) = self.facts.resources.package_mut(id, package) else { return };
        if state.mark.is_some_and(|(_, marked)| marked == hash) {
            return;
        }
        self.set_mark(now, id, package, hash);
    }

    /// Not all watchers have been told what there is to tell: a restart tells them again, whatever it finds.
    pub(crate) fn mark_untold(&mut self, now: Now, id: ResourceId, package: PackageId) {
        let mark = self.facts.resources.package(id, package).and_then(|state| state.mark);
        if mark.is_some_and(|(_, marked)| marked != MARK_UNTOLD) {
            self.set_mark(now, id, package, MARK_UNTOLD);
        }
    }

    fn set_mark(&mut self, now: Now, id: ResourceId, package: PackageId, hash: u64) {
        let Some(state) = self.facts.resources.package_mut(id, package) else { return };
        let slot = state.mark.map_or_else(|| self.subscriptions.new_mark(), |(slot, _)| slot);
        state.mark = Some((slot, hash));
        let Some(resource) = self.facts.resources.get(id) else { return };
        let record = ResourceRecord {
            resource: resource.key.to_string(),
            package: package.name().to_owned(),
            hash,
            changed_at: now.wall,
        };
        let key = Key { kind: Kind::Resource, slot: u64::from(slot) };
        self.persist(Record::Upsert(key, Value::Resource(record)), Undo::No);
    }
}

/// A peer's calls as chan_pjsip sees them: a channel each.
fn channels(calls: Calls) -> Vec<Channel> {
    (0..calls.inuse)
        .map(|call| {
            let is_ringing = call < calls.ringing;
            let held = !is_ringing && call - calls.ringing < calls.onhold;
            Channel { state: if is_ringing { ChannelState::Ringing } else { ChannelState::Up }, held }
        })
        .collect()
}
