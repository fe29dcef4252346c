//! What a package sees of the world when it composes: the facts behind one resource, read only.

use crate::authz::policy::{RuleTable, Standing};
use crate::authz::waiting::{Waiter, Waiting};
use crate::calls::{Calls, DialogView};
use crate::composition::extension::LampState;
use crate::composition::sources::{Outcome, compose};
use crate::device_state::{DeviceState, ExtensionState, PresenceState, aggregate};
use crate::devices::{DeviceId, Devices};
use crate::features::{FeatureKeys, Features};
use crate::gateways::Remote;
use crate::hard_state::HardStates;
use crate::journal::Counts;
use crate::mailbox::Mailboxes;
use crate::manual_status::ManualStatuses;
use crate::notifier::Subscriptions;
use crate::notifier::subscription::Subscription;
use crate::packages::{Content, PackageId};
use crate::publication::{Publication, Publications};
use crate::registrar::Registrar;
use crate::resource::{Resource, ResourceId, ResourceKey, Resources};
use crate::settings::{NoHint, NotifyCid, Peer, Settings};
use crate::time::UnixTime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All facts of a node: what sources say, before anybody composes it.
pub(crate) struct Facts {
    /// The configuration.
    pub(crate) settings: Arc<Settings>,
    /// What can be watched.
    pub(crate) resources: Resources,
    /// Devices and their states.
    pub(crate) devices: Devices,
    /// Publications.
    pub(crate) publications: Publications,
    /// Bindings.
    pub(crate) registrar: Registrar,
    /// Calls that pass through the proxy.
    pub(crate) calls: Calls,
    /// Message counts.
    pub(crate) mailboxes: Mailboxes,
    /// What users have set.
    pub(crate) feature_keys: FeatureKeys,
    /// What people said of themselves by command.
    pub(crate) manual_statuses: ManualStatuses,
    /// What holds of people where nobody publishes otherwise.
    pub(crate) hard_states: HardStates,
    /// Who may watch whom.
    pub(crate) rules: RuleTable,
    /// Who waits for a decision.
    pub(crate) waiting: Waiting,
    /// What other servers said of their presentities that are watched here.
    pub(crate) remotes: BTreeMap<(ResourceKey, PackageId), Remote>,
    /// What was said by command as a presence state (`CustomPresence:x`), by lower-case name.
    pub(crate) presence_states: BTreeMap<String, (PresenceState, u32)>,
}

impl Facts {
    /// The AOR of a user in canonical form, as in `sip:alice@example.com`.
    pub(crate) fn aor(&self, peer: &Peer) -> String {
        let domain = self.settings.domains.get(peer.domain).map_or("", |domain| domain.name.as_str());
        format!("sip:{}@{domain}", peer.name)
    }

    /// The key of a peer's own resource.
    pub(crate) fn user_key(&self, peer: &Peer) -> ResourceKey {
        let domain = self.settings.domains.get(peer.domain).map_or("", |domain| domain.name.as_str());
        ResourceKey::User { domain: domain.to_owned(), user: peer.name.clone() }
    }

    /// The peer whose own resource this is.
    pub(crate) fn peer_of(&self, key: &ResourceKey) -> Option<&Peer> {
        let ResourceKey::User { domain, user } = key else { return None };
        let peer = self.settings.peers.get(user)?;
        (self.settings.domains.get(peer.domain)?.name == *domain).then_some(peer)
    }

    /// A lamp and what it is made of.
    pub(crate) fn lamp(&self, resource: &Resource) -> LampState {
        let own = [self.published_calls(resource), self.registered(resource)];
        let own = own.into_iter().flatten().reduce(|a, b| aggregate([a, b].into_iter()));
        let states: Vec<_> =
            resource.devices.iter().filter_map(|id| self.devices.get(*id)).map(|d| d.state).collect();
        if states.is_empty() && own.is_none() {
            let open = resource.hint.is_empty() && self.settings.no_hint == NoHint::Open;
            let is_extension = matches!(resource.key, ResourceKey::Extension { .. });
            let idle = if open && is_extension { ExtensionState::Idle } else { ExtensionState::Unavailable };
            return LampState { presence: self.presence_state(resource), ..LampState::of(idle) };
        }
        let all_unavailable = own.is_none() && states.iter().all(|state| *state == DeviceState::Unavailable);
        let extension = aggregate(states.into_iter().chain(own)).extension();
        LampState { extension, all_unavailable, presence: self.presence_state(resource), caller: None }
    }

    /// What the `CustomPresence:` part of a hint says, the highest value of several.
    pub(crate) fn presence_state(&self, resource: &Resource) -> Option<PresenceState> {
        let said = |name: &String| {
            let state = self.presence_states.get(&name.to_ascii_lowercase());
            state.map_or_else(PresenceState::default, |(state, _)| state.clone())
        };
        PresenceState::highest(resource.presence_names.iter().map(said))
    }

    /// What publications to the resource itself (a PBX that publishes per extension) say, as one more device.
    pub(crate) fn published_calls(&self, resource: &Resource) -> Option<DeviceState> {
        // Why: what was published for a peer has moved its device already.
        let names = self.names_of(&resource.key).into_iter().filter(|key| self.peer_of(key).is_none());
        let named: Vec<_> = names.filter_map(|key| self.resources.get(self.resources.find(&key)?)).collect();
        let publications = named.into_iter().flat_map(|resource| self.publications_of(resource));
        let states = publications.filter_map(|p| p.package.get().calls(&p.content, &|_, _, _| false));
        let mut states = states.map(|calls| match calls {
            crate::packages::Calls { inuse: 0, .. } => DeviceState::NotInUse,
            calls if calls.onhold > 0 => DeviceState::OnHold,
            calls if calls.ringing == calls.inuse => DeviceState::Ringing,
            calls if calls.ringing > 0 => DeviceState::RingInUse,
            _ => DeviceState::InUse,
        });
        let first = states.next()?;
        Some(aggregate(std::iter::once(first).chain(states)))
    }

    /// What the bindings of a user say who is no peer, and so has no device (`users = "any"`).
    pub(crate) fn registered(&self, resource: &Resource) -> Option<DeviceState> {
        let is_user =
            matches!(resource.key, ResourceKey::User { .. }) && self.peer_of(&resource.key).is_none();
        let is_there = is_user && !self.registrar.bindings(&resource.key.to_string()).is_empty();
        is_there.then_some(DeviceState::NotInUse)
    }

    /// The publications made for exactly this resource, in slot order per package.
    pub(crate) fn publications_of<'a>(
        &'a self,
        resource: &'a Resource,
    ) -> impl Iterator<Item = &'a Publication> {
        let slots = resource.packages.iter().flat_map(|package| package.publications.iter());
        slots.filter_map(|slot| self.publications.get(*slot))
    }

    /// The publications for a package that count for a resource: for any name of the person, and for those whose devices
    /// it is made of; what changed last comes first.
    pub(crate) fn published_for<'a>(
        &'a self,
        resource: &'a Resource,
        package: PackageId,
    ) -> Vec<&'a Publication> {
        let devices = resource.devices.iter().filter_map(|id| self.resource_of_device(*id));
        let names = self.names_of(&resource.key);
        let names = names.iter().filter_map(|key| self.resources.find(key));
        let mut others: Vec<ResourceId> = devices.chain(names).collect();
        others.sort_unstable();
        others.dedup();
        let others = others.into_iter().filter_map(|id| self.resources.get(id));
        let others = others.filter(|other| other.key != resource.key);
        let mut found: Vec<&Publication> = std::iter::once(resource)
            .chain(others)
            .flat_map(|resource| self.publications_of(resource))
            .filter(|publication| publication.package == package)
            .collect();
        found.sort_by_key(|publication| std::cmp::Reverse((publication.modified_at, publication.change)));
        found
    }

    /// The peer that provides a device.
    pub(crate) fn peer_of_device(&self, device: DeviceId) -> Option<&Peer> {
        self.settings.peers.get(self.devices.get(device)?.provider.peer()?)
    }

    /// The resources of the people behind a device: whoever provides it.
    pub(crate) fn resource_of_device(&self, device: DeviceId) -> Option<ResourceId> {
        let peer = self.peer_of_device(device)?;
        self.resources.find(&self.user_key(peer))
    }
}

/// The facts behind one resource, for one package.
pub(crate) struct View<'a> {
    facts: &'a Facts,
    subscriptions: &'a Subscriptions,
    resource: &'a Resource,
    package: PackageId,
}

impl<'a> View<'a> {
    /// What `package` sees of a resource.
    pub(crate) const fn new(
        facts: &'a Facts,
        subscriptions: &'a Subscriptions,
        resource: &'a Resource,
        package: PackageId,
    ) -> Self {
        Self { facts, subscriptions, resource, package }
    }

    /// The lamp.
    pub(crate) fn lamp(&self) -> LampState {
        self.facts.lamp(self.resource)
    }

    /// The lamp of a resource at which nobody is.
    pub(crate) fn lamp_of_nobody(&self) -> LampState {
        let said = self.facts.presence_state(self.resource);
        LampState {
            all_unavailable: !self.resource.devices.is_empty(),
            presence: said.map(|_| PresenceState::default()),
            ..LampState::of(ExtensionState::Unavailable)
        }
    }

    /// The AOR that the resource is.
    pub(crate) fn aor(&self) -> String {
        self.resource.key.to_string()
    }

    /// The bindings of everybody.
    pub(crate) const fn registrar(&self) -> &'a Registrar {
        &self.facts.registrar
    }

    /// What the user has set.
    pub(crate) fn features(&self) -> Features {
        self.facts.features_in_force(&self.resource.key)
    }

    /// What was published for this package, with when: to any name of the person and to those whose devices the resource
    /// is made of; what changed last comes first.
    pub(crate) fn published_at<T: 'static>(&self) -> Vec<(&'a T, UnixTime)> {
        let content = |publication: &'a Publication| -> Option<(&'a T, UnixTime)> {
            let content: &'a Content = &publication.content;
            Some((content.downcast_ref::<T>()?, publication.modified_at))
        };
        let found = self.facts.published_for(self.resource, self.package);
        found.into_iter().filter_map(content).collect()
    }

    /// The presence that all sources together give.
    pub(crate) fn presence(&self) -> Outcome {
        compose(
            self.facts.policy_of(&self.resource.key),
            &self.facts.presence_sources(self.resource, self.package),
        )
    }

    /// The state composed before, where the package still had one.
    pub(crate) fn before<T: 'static>(&self) -> Option<&'a T> {
        self.resource.packages.get(self.package).before.as_ref()?.downcast_ref()
    }

    /// The subscriptions in a package to what is the user's own.
    pub(crate) fn watchers(
        &self,
        package: &'static str,
    ) -> impl Iterator<Item = (&'a Subscription, &'a Standing)> {
        let (facts, subscriptions) = (self.facts, self.subscriptions);
        let package = PackageId::by_name(package);
        let ids = facts.resources_of(&self.resource.key).into_iter();
        let states = ids.filter_map(move |id| facts.resources.package(id, package?));
        states.flat_map(move |state| {
            let own = state.watchers.iter().filter_map(|slot| subscriptions.get(*slot));
            let own = own.map(|subscription| (subscription, &subscription.standing));
            let lists = state.lists.iter().filter_map(|place| {
                let subscription = subscriptions.get(place.slot)?;
                let member = subscription.list.as_ref()?.members.get(place.member as usize)?;
                Some((subscription, member.standing.as_ref()?))
            });
            own.chain(lists)
        })
    }

    /// Those who asked for the user's state in a package, and were not decided upon in time.
    pub(crate) fn waiting(&self, package: &'static str) -> impl Iterator<Item = &'a Waiter> {
        let owner = self.facts.owner_of(&self.resource.key);
        let waiting = self.facts.waiting.of(&owner.to_string());
        waiting.filter(move |waiter| waiter.package.name() == package)
    }

    /// Why a subscription ended that did so just now.
    pub(crate) fn why_ended(&self, id: u64) -> &'static str {
        self.facts.waiting.why_ended(id)
    }

    /// The address of a watcher.
    pub(crate) fn watcher_uri(&self, name: &str) -> String {
        self.facts.settings.peers.get(name).map_or_else(|| name.to_owned(), |peer| self.facts.aor(peer))
    }

    /// The name of a watcher for people.
    pub(crate) fn watcher_display(&self, name: &str) -> Option<String> {
        let peer = self.facts.settings.peers.get(name);
        peer.map(|peer| peer.display.clone()).filter(|display| !display.is_empty())
    }

    /// The name that element ids are made of.
    pub(crate) fn name(&self) -> &'a str {
        self.resource.key.name()
    }

    /// The resource as a SIP address.
    pub(crate) fn address(&self) -> String {
        match &self.resource.key {
            ResourceKey::Extension { extension, .. } => {
                let domain = self.facts.settings.domains.first().map_or("", |domain| domain.name.as_str());
                format!("sip:{extension}@{domain}")
            }
            key => key.to_string(),
        }
    }

    /// `notifycid`.
    pub(crate) fn notify_cid(&self) -> NotifyCid {
        self.facts.settings.notify_cid
    }

    /// The calls of those whose devices the resource is made of, each as its own side sees it, and whether the caller
    /// dialled just this resource.
    pub(crate) fn dialogs(&self) -> impl Iterator<Item = (DialogView<'a>, bool)> {
        let facts = self.facts;
        let own: Vec<_> = facts.names_of(&self.resource.key).iter().map(ToString::to_string).collect();
        let peers = self.resource.devices.iter().filter_map(|id| facts.devices.get(*id)?.provider.peer());
        peers.flat_map(|peer| facts.calls.dialogs_of(peer)).map(move |dialog| {
            let dialled = own.iter().any(|own| dialog.asked == *own);
            (dialog, dialled)
        })
    }

    /// The message counts of the mailbox, or of all mailboxes of the user.
    pub(crate) fn counts(&self) -> Counts {
        let published = self.facts.publications_of(self.resource).filter(|p| p.package == self.package);
        let mut published: Vec<_> = published.collect();
        published.sort_by_key(|p| std::cmp::Reverse((p.modified_at, p.change)));
        if let Some(counts) = published.first().and_then(|p| p.package.get().counts(&p.content)) {
            return counts;
        }
        match &self.resource.key {
            ResourceKey::Mailbox(name) => self.facts.mailboxes.counts(name),
            key => {
                let mailboxes = self.facts.mailboxes_of_user(key).iter();
                let counts = mailboxes.map(|name| self.facts.mailboxes.counts(name));
                counts.fold(Counts::default(), |sum, c| Counts {
                    new: sum.new.saturating_add(c.new),
                    old: sum.old.saturating_add(c.old),
                    urgent_new: sum.urgent_new.saturating_add(c.urgent_new),
                    urgent_old: sum.urgent_old.saturating_add(c.urgent_old),
                })
            }
        }
    }
}
