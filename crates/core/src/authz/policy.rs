//! What is decided about one watcher of one resource: the documents of whoever is behind it, else the configured default.
//!
//! In: a watcher, a resource, a package and the time. Out: a [`Decision`]. A document replaces the default whole (RFC 5025
//! §3.2.1: who is in no rule is blocked); its rule `configured` brings the default back in. Where several people are behind
//! an extension, all must agree. It changes nothing; [`super::gate`] does.

use super::common_policy::{Circumstances, Watcher};
use super::pres_rules::{Handling, PresRules};
use super::provided::Provided;
use crate::devices::Provider;
use crate::gateways::Remote;
use crate::journal::RulesRecord;
use crate::packages::{Audience, PackageId, Topic, Watched};
use crate::resource::{ResourceId, ResourceKey};
use crate::settings::WatchScope;
use crate::slots::Slots;
use crate::time::UnixTime;
use crate::view_of::Facts;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a subscription stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is shown everything.
    #[default]
    Open,
    /// It is shown this much.
    Part(Arc<Provided>),
    /// It is shown somebody who is not there, whatever is true.
    Withheld,
    /// It waits for a decision and is shown nothing.
    Pending,
}

/// What is decided about a watcher.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    /// What becomes of the subscription.
    pub(crate) handling: Handling,
    /// What is shown where it is allowed.
    pub(crate) shows: Arc<Provided>,
    /// Why, for people: the rules that apply, or what stands for them.
    pub(crate) because: String,
}

impl Decision {
    /// A decision that no document made.
    fn plain(handling: Handling, because: &str) -> Self {
        let shows = if handling == Handling::Allow { Provided::everything() } else { Arc::default() };
        Self { handling, shows, because: because.to_owned() }
    }

    /// How a subscription stands by it; `None` where it is refused.
    pub(crate) fn standing(&self) -> Option<Standing> {
        match self.handling {
            Handling::Block => None,
            Handling::Confirm => Some(Standing::Pending),
            Handling::PoliteBlock => Some(Standing::Withheld),
            Handling::Allow if self.shows.is_everything() => Some(Standing::Open),
            Handling::Allow => Some(Standing::Part(self.shows.clone())),
        }
    }

    /// What both allow.
    fn narrower(self, other: Self) -> Self {
        Self {
            handling: self.handling.min(other.handling),
            shows: Provided::narrower(&self.shows, &other.shows),
            because: format!("{}; {}", self.because, other.because),
        }
    }
}

/// A stored document.
struct Stored {
    record: RulesRecord,
    /// `None` where it cannot be read.
    rules: Option<PresRules>,
}

/// The documents of all presentities, and when which of them may say something else.
#[derive(Default)]
pub(crate) struct RuleTable {
    slots: Slots<Stored>,
    by_user: BTreeMap<String, u32>,
    agenda: BTreeSet<(UnixTime, String)>,
}

impl RuleTable {
    /// What is stored of a user.
    pub(crate) fn record(&self, user: &str) -> Option<&RulesRecord> {
        Some(&self.slots.get(*self.by_user.get(user)?)?.record)
    }

    /// Stores a document, which may be one that cannot be read; the slot.
    pub(crate) fn set(&mut self, record: RulesRecord) -> u32 {
        let (user, known) = (record.user.clone(), self.by_user.get(&record.user).copied());
        let stored = Stored { rules: PresRules::read(&record.document).ok(), record };
        match known {
            Some(slot) => {
                self.slots.put(slot, stored);
                slot
            }
            None => {
                let slot = self.slots.insert(stored);
                self.by_user.insert(user, slot);
                slot
            }
        }
    }

    /// Takes a user's document out; the slot.
    pub(crate) fn clear(&mut self, user: &str) -> Option<u32> {
        let slot = self.by_user.remove(user)?;
        self.slots.remove(slot);
        Some(slot)
    }

    /// Puts a row back as it was before a change that could not be stored; the users it was about.
    pub(crate) fn revert(&mut self, slot: u32, record: Option<RulesRecord>) -> Vec<String> {
        let mut users = Vec::new();
        if let Some(old) = self.slots.remove(slot) {
            self.by_user.remove(&old.record.user);
            users.push(old.record.user);
        }
        if let Some(record) = record {
            users.push(record.user.clone());
            self.by_user.insert(record.user.clone(), slot);
            self.slots.put(slot, Stored { rules: PresRules::read(&record.document).ok(), record });
        }
        users
    }

    /// Puts a row back at a restart; `false` where its document cannot be read.
    pub(crate) fn restore(&mut self, slot: u32, record: RulesRecord) -> bool {
        self.by_user.insert(record.user.clone(), slot);
        let stored = Stored { rules: PresRules::read(&record.document).ok(), record };
        let is_read = stored.rules.is_some();
        self.slots.restore(slot, stored);
        is_read
    }

    /// After the last [`Self::restore`].
    pub(crate) fn restored(&mut self) {
        self.slots.rebuild_free();
    }

    /// The users with stored documents.
    pub(crate) fn users(&self) -> impl Iterator<Item = &String> {
        self.by_user.keys()
    }

    /// When a user's document may say something else; `None` where it never does.
    pub(crate) fn plan(&mut self, user: &str, at: Option<UnixTime>) {
        self.agenda.retain(|(_, planned)| planned != user);
        self.agenda.extend(at.map(|at| (at, user.to_owned())));
    }

    /// When the first of all documents may say something else.
    pub(crate) fn next(&self) -> Option<UnixTime> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// A user whose document may say something else by now, taken off the agenda.
    pub(crate) fn pop_due(&mut self, now: UnixTime) -> Option<String> {
        if self.next()? > now {
            return None;
        }
        self.agenda.pop_first().map(|(_, user)| user)
    }
}

impl Facts {
    /// A user's document; `Some(None)` where there is one that cannot be read.
    pub(crate) fn rules_of(&self, user: &str) -> Option<Option<&PresRules>> {
        if let Some(rules) = self.settings.rules.get(user) {
            return Some(Some(rules.as_ref()));
        }
        let slot = self.rules.by_user.get(user)?;
        Some(self.rules.slots.get(*slot)?.rules.as_ref())
    }

    /// Whether a watcher's own state is asked for.
    pub(crate) fn is_own(&self, watcher: &str, key: &ResourceKey) -> bool {
        let Some(peer) = self.settings.peers.get(watcher) else {
            // Why: users without a peer entry are known by their address.
            if key.is_written(watcher) {
                return true;
            }
            if self.settings.people.is_empty() {
                return false;
            }
            let own = ResourceKey::parse(watcher);
            return own.is_some_and(|own| self.is_same_person(&own, key));
        };
        let has = |name: &String| self.mailboxes_of_user(&self.user_key(peer)).contains(name);
        if self.is_peers_own(peer, key) || matches!(key, ResourceKey::Mailbox(name) if has(name)) {
            return true;
        }
        let resource = self.resources.find(key).and_then(|id| self.resources.get(id));
        let devices = resource.map_or(&[][..], |resource| &resource.devices);
        let own = |device| {
            let device = self.devices.get(device);
            device.is_some_and(|d| matches!(&d.provider, Provider::Peer(name) if *name == peer.name))
        };
        !devices.is_empty() && devices.iter().all(|device| own(*device))
    }

    /// Whose rules decide about a resource.
    pub(crate) fn owners(&self, key: &ResourceKey) -> Vec<ResourceKey> {
        if let Some(person) = self.person_of(key) {
            return vec![self.person_key(person)];
        }
        let owners: BTreeSet<ResourceKey> = match key {
            ResourceKey::User { .. } => return vec![key.clone()],
            ResourceKey::Extension { context, extension } => {
                let found = self.settings.dialplan.lookup(context, extension);
                let names =
                    found.and_then(|found| found.hint).map(|hint| hint.devices.clone()).unwrap_or_default();
                let devices = names.iter().filter_map(|name| self.devices.get(self.devices.find(name)?));
                let peers = devices.filter_map(|device| self.settings.peers.get(device.provider.peer()?));
                peers.map(|peer| self.owner_of(&self.user_key(peer))).collect()
            }
            ResourceKey::Mailbox(name) => {
                self.owners_of_mailbox(name).iter().map(|owner| self.owner_of(owner)).collect()
            }
            ResourceKey::List { .. } | ResourceKey::Remote { .. } => BTreeSet::new(),
        };
        owners.into_iter().collect()
    }

    /// The resources that a user's rules are about.
    pub(crate) fn resources_of(&self, user: &ResourceKey) -> Vec<ResourceId> {
        let devices = self.peers_of(user).into_iter().filter_map(|peer| self.devices.find(&peer.device));
        let devices = devices.filter_map(|id| self.devices.get(id));
        let mut ids: Vec<_> = devices.flat_map(|device| device.resources.iter().copied()).collect();
        let mailboxes = self.mailboxes_of_user(user).iter();
        let keys = mailboxes.map(|name| ResourceKey::Mailbox(name.clone())).chain(self.names_of(user));
        ids.extend(keys.filter_map(|key| self.resources.find(&key)));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// What is decided about a watcher, called by a peer's name or a URI.
    pub(crate) fn decide(
        &self,
        now: UnixTime,
        name: &str,
        key: &ResourceKey,
        package: PackageId,
    ) -> Decision {
        if let ResourceKey::Remote { on_behalf, .. } = key {
            return self.decide_remote(name, on_behalf, self.remote(key, package));
        }
        if self.federation_allows(name, key) == Some(false) {
            return Decision::plain(Handling::Block, "no rule of the federation lets them ask");
        }
        if matches!(key, ResourceKey::List { .. }) {
            let allowed = self.may_read_list(name, key);
            let handling = if allowed { Handling::Allow } else { Handling::Block };
            return Decision::plain(handling, "a list; each of its members is asked for by itself");
        }
        if self.is_own(name, key) {
            return Decision::plain(Handling::Allow, "one's own");
        }
        let watcher = Watcher::called(&self.settings, name);
        match package.get().audience() {
            Audience::Owner if package.get().watches() != Watched::Mailboxes => {
                Decision::plain(Handling::Block, "for the owner only")
            }
            Audience::Owner => self.decide_mailbox(now, name, &watcher, key),
            Audience::Colleagues(topic) => {
                let owners = self.owners(key);
                let decisions = owners.iter().map(|owner| {
                    let configured = self.configured(&watcher, Some(owner), key, topic);
                    self.decide_by(now, &watcher, owner, configured)
                });
                let all = decisions.reduce(Decision::narrower);
                all.unwrap_or_else(|| {
                    Decision::plain(self.configured(&watcher, None, key, topic), "the default")
                })
            }
        }
    }

    /// What the presentity's own server decided; for whom it was asked, and nobody else (RFC 4662 §7.2).
    fn decide_remote(&self, watcher: &str, on_behalf: &str, remote: Remote) -> Decision {
        let is_ours = Watcher::called(&self.settings, watcher).domain.is_some();
        match remote {
            _ if !is_ours => Decision::plain(Handling::Block, "we ask other servers for our own users alone"),
            _ if !on_behalf.is_empty() && on_behalf != watcher => {
                Decision::plain(Handling::Block, "that server is asked on behalf of somebody else")
            }
            Remote::Asked => Decision::plain(Handling::Confirm, "that server has not told anything yet"),
            Remote::Told => Decision::plain(Handling::Allow, "that server tells of it"),
            Remote::Over(reason) => Decision::plain(Handling::Block, reason),
        }
    }

    /// What one presentity's document, or without one the default, says.
    fn decide_by(
        &self,
        now: UnixTime,
        watcher: &Watcher,
        owner: &ResourceKey,
        configured: Handling,
    ) -> Decision {
        let rules = match self.rules_of(&owner.to_string()) {
            None => return Decision::plain(configured, "the default"),
            // Why: nobody knows whom it was to keep out.
            Some(None) => return Decision::plain(Handling::Block, "rules that cannot be read"),
            Some(Some(rules)) => rules,
        };
        let sphere = if rules.asks_for_sphere() { self.sphere_of(owner) } else { None };
        let verdict = rules.decide(&Circumstances { watcher, sphere: sphere.as_deref(), now }, configured);
        let because = match verdict.rules.as_slice() {
            [] => format!("no rule of {}", owner.name()),
            [one] => format!("rule {one} of {}", owner.name()),
            many => format!("rules {} of {}", many.join(", "), owner.name()),
        };
        Decision { handling: verdict.handling, shows: verdict.shows, because }
    }

    /// Mailboxes are for whom the configuration names, unless a rule of the owner blocks them.
    ///
    /// Why not as the rules say: who lets somebody see their presence does not mean their messages.
    fn decide_mailbox(&self, now: UnixTime, name: &str, watcher: &Watcher, key: &ResourceKey) -> Decision {
        let mailboxes = match key {
            ResourceKey::Mailbox(mailbox) => vec![mailbox.clone()],
            key => self.mailboxes_of_user(key).to_vec(),
        };
        // Why: peers are named there, and a user of another domain may be called as one of them.
        let is_named = |mailbox: &String| {
            let names = self.settings.watch.mailbox_watchers.get(mailbox);
            self.settings.peers.contains_key(name)
                && names.is_some_and(|names| names.iter().any(|named| named == name))
        };
        if mailboxes.is_empty() || !mailboxes.iter().all(is_named) {
            return Decision::plain(Handling::Block, "for the owner, and whom mailbox_watchers names");
        }
        let named = Decision::plain(Handling::Allow, "named in mailbox_watchers");
        let owners = self.owners(key);
        let said = owners.iter().map(|owner| self.decide_by(now, watcher, owner, Handling::Allow));
        let blocked = said.filter(|said| said.handling < Handling::Allow);
        blocked.reduce(Decision::narrower).unwrap_or(named)
    }

    /// What the configured default says.
    fn configured(
        &self,
        watcher: &Watcher,
        owner: Option<&ResourceKey>,
        key: &ResourceKey,
        topic: Topic,
    ) -> Handling {
        let domains = &self.settings.domains;
        let home = owner.and_then(|owner| match owner {
            ResourceKey::User { domain, .. } => domains.iter().position(|own| own.name == *domain),
            ResourceKey::Extension { .. }
            | ResourceKey::Mailbox(_)
            | ResourceKey::List { .. }
            | ResourceKey::Remote { .. } => None,
        });
        let scopes = home.or(watcher.domain).and_then(|index| domains.get(index)).or(domains.first());
        let scope = scopes.map_or(WatchScope::Nobody, |domain| match topic {
            Topic::Presence => domain.watch.presence,
            Topic::Calls => domain.watch.calls,
        });
        let allow = |holds: bool| if holds { Handling::Allow } else { Handling::Block };
        match scope {
            WatchScope::Everyone => Handling::Allow,
            WatchScope::Nobody => Handling::Block,
            WatchScope::Confirm => Handling::Confirm,
            // Why: a rule of the federation says of them what being of the domain says of others.
            WatchScope::SameDomain if self.federation_allows(&watcher.uri, key) == Some(true) => {
                Handling::Allow
            }
            WatchScope::SameDomain => match (key, home) {
                (ResourceKey::User { .. }, _) | (_, Some(_)) => {
                    allow(watcher.domain.is_some() && watcher.domain == home)
                }
                // Why: an extension of nobody, as one of a custom device, was found in the watcher's own context.
                (_, None) => allow(watcher.domain.is_some()),
            },
        }
    }

    /// The sphere a user is in: what all that was published with one agrees on (RFC 5025 §3.1.2).
    pub(crate) fn sphere_of(&self, user: &ResourceKey) -> Option<String> {
        let ids = self.names_of(user).into_iter().filter_map(|name| self.resources.find(&name));
        let resources = ids.filter_map(|id| self.resources.get(id));
        let publications = resources.flat_map(|resource| self.publications_of(resource));
        let mut said = publications.flat_map(|p| p.package.get().spheres(&p.content));
        let first = said.next()?;
        said.all(|other| other.eq_ignore_ascii_case(&first)).then_some(first)
    }
}
