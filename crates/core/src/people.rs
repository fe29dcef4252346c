//! People: which peers, extensions, devices and mailboxes belong to one person.
//!
//! In: the `[people]` of the configuration, and a name somebody asks for. Out: the person behind it, and every other name
//! of that person. A user without an entry is a person of its own. What the names show is composed elsewhere: each name
//! stays a resource, and all of them look at the same sources.

use crate::device_state::DeviceName;
use crate::resource::ResourceKey;
use crate::settings::Peer;
use crate::view_of::Facts;
use std::collections::{BTreeMap, BTreeSet};

/// A person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The name in the configuration, which is a user part at `domain` too.
    pub name: String,
    /// Index into `Settings::domains`.
    pub domain: usize,
    /// For people; may be empty.
    pub display: String,
    /// Peers whose AORs are the person's.
    pub peers: Vec<String>,
    /// Other user parts at `domain` that mean the person.
    pub aliases: Vec<String>,
    /// Extensions that mean the person, as (context, extension).
    pub extensions: Vec<(String, String)>,
    /// Devices beside those of the peers and of the extensions' hints.
    pub devices: Vec<DeviceName>,
    /// Mailboxes, those of the peers included, as in `100@default`.
    pub mailboxes: Vec<String>,
    /// Index into `Settings::compositions`, where it is not the domain's.
    pub composition: Option<usize>,
}

/// All people of a configuration, by each of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    people: Vec<Person>,
    by_peer: BTreeMap<String, usize>,
    by_extension: BTreeMap<(String, String), usize>,
    by_user: BTreeMap<(usize, String), usize>,
}

impl People {
    /// The people; of two that share a name the later one has it.
    pub fn new(people: Vec<Person>) -> Self {
        let mut all = Self::default();
        for (index, person) in people.iter().enumerate() {
            all.by_peer.extend(person.peers.iter().map(|peer| (peer.clone(), index)));
            all.by_extension.extend(person.extensions.iter().map(|extension| (extension.clone(), index)));
            let users = std::iter::once(&person.name).chain(&person.aliases);
            all.by_user.extend(users.map(|user| ((person.domain, user.clone()), index)));
        }
        all.people = people;
        all
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Whom a peer belongs to.
    pub fn of_peer(&self, peer: &str) -> Option<&Person> {
        self.people.get(*self.by_peer.get(peer)?)
    }

    /// Whom an extension means.
    pub fn of_extension(&self, context: &str, extension: &str) -> Option<&Person> {
        if self.by_extension.is_empty() {
            return None;
        }
        self.people.get(*self.by_extension.get(&(context.to_owned(), extension.to_owned()))?)
    }

    /// Whom a user part means that may be no peer's.
    pub fn called(&self, domain: usize, user: &str) -> Option<&Person> {
        if self.by_user.is_empty() {
            return None;
        }
        self.people.get(*self.by_user.get(&(domain, user.to_owned()))?)
    }

    /// The person with this name or alias, in whatever domain.
    pub fn named(&self, name: &str) -> Option<&Person> {
        let is_called = |person: &&Person| person.name == name || person.aliases.iter().any(|a| a == name);
        self.people.iter().find(is_called)
    }

    /// All, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Person> {
        self.people.iter()
    }
}

impl Facts {
    /// The person whom a resource means, where the configuration has one.
    pub(crate) fn person_of(&self, key: &ResourceKey) -> Option<&Person> {
        let settings = &self.settings;
        match key {
            ResourceKey::Extension { context, extension } => settings.people.of_extension(context, extension),
            ResourceKey::User { domain, user } => match self.peer_of(key) {
                Some(peer) => settings.people.of_peer(&peer.name),
                None => {
                    let domain = settings.domains.iter().position(|known| known.name == *domain)?;
                    settings.people.called(domain, user)
                }
            },
            ResourceKey::Mailbox(_) | ResourceKey::List { .. } | ResourceKey::Remote { .. } => None,
        }
    }

    /// The person's own resource.
    pub(crate) fn person_key(&self, person: &Person) -> ResourceKey {
        let domain = self.settings.domains.get(person.domain).map_or("", |domain| domain.name.as_str());
        ResourceKey::User { domain: domain.to_owned(), user: person.name.clone() }
    }

    /// Who owns what a user sets: the person, or the user itself.
    pub(crate) fn owner_of(&self, user: &ResourceKey) -> ResourceKey {
        self.person_of(user).map_or_else(|| user.clone(), |person| self.person_key(person))
    }

    /// Whether two resources mean the same person; a resource of nobody means only itself.
    pub(crate) fn is_same_person(&self, a: &ResourceKey, b: &ResourceKey) -> bool {
        let (first, second) = (self.person_of(a), self.person_of(b));
        a == b || first.is_some_and(|first| second.is_some_and(|second| first.name == second.name))
    }

    /// Whether a peer is whom a resource means.
    pub(crate) fn is_peers_own(&self, peer: &Peer, key: &ResourceKey) -> bool {
        self.is_same_person(&self.user_key(peer), key)
    }

    /// Every resource that means the same person as this one, itself included.
    pub(crate) fn names_of(&self, key: &ResourceKey) -> Vec<ResourceKey> {
        let Some(person) = self.person_of(key) else { return vec![key.clone()] };
        let peers = person.peers.iter().filter_map(|name| self.settings.peers.get(name));
        let mut names: Vec<_> = peers.map(|peer| self.user_key(peer)).collect();
        names.extend(person.extensions.iter().map(|(context, extension)| ResourceKey::Extension {
            context: context.clone(),
            extension: extension.clone(),
        }));
        names.push(self.person_key(person));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The peers of whom a user is: those of the person, or the one of that name.
    pub(crate) fn peers_of(&self, user: &ResourceKey) -> Vec<&Peer> {
        match self.person_of(user) {
            Some(person) => person.peers.iter().filter_map(|name| self.settings.peers.get(name)).collect(),
            None => self.peer_of(user).into_iter().collect(),
        }
    }

    /// The mailboxes of whom a user is.
    pub(crate) fn mailboxes_of_user(&self, user: &ResourceKey) -> &[String] {
        match (self.person_of(user), self.peer_of(user)) {
            (Some(person), _) => &person.mailboxes,
            (None, Some(peer)) => &peer.mailboxes,
            (None, None) => &[],
        }
    }

    /// Every user who has a mailbox.
    pub(crate) fn owners_of_mailbox(&self, mailbox: &str) -> Vec<ResourceKey> {
        let has = |mailboxes: &[String]| mailboxes.iter().any(|own| own == mailbox);
        let peers = self.settings.peers.values().filter(|peer| has(&peer.mailboxes));
        let people = self.settings.people.iter().filter(|person| has(&person.mailboxes));
        let mut owners: Vec<_> = peers.map(|peer| self.user_key(peer)).collect();
        owners.extend(people.map(|person| self.person_key(person)));
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    /// Every device of a person, each once, and the presence names of the hints among them.
    pub(crate) fn devices_of(&self, person: &Person) -> (Vec<DeviceName>, Vec<String>) {
        let peers = person.peers.iter().filter_map(|name| self.settings.peers.get(name));
        let mut devices: Vec<_> = peers.map(|peer| peer.device.clone()).collect();
        let mut presence_names = Vec::new();
        for (context, extension) in &person.extensions {
            let hint = self.settings.dialplan.lookup(context, extension).and_then(|found| found.hint);
            devices.extend(hint.iter().flat_map(|hint| hint.devices.iter().cloned()));
            presence_names.extend(hint.iter().flat_map(|hint| hint.presence.iter().cloned()));
        }
        devices.extend(person.devices.iter().cloned());
        let mut seen = BTreeSet::new();
        devices.retain(|device| seen.insert(device.key()));
        (devices, presence_names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_found_by_every_name_and_nobody_by_another() {
        let person = Person {
            name: "bob".into(),
            peers: vec!["bob-desk".into(), "bob-mobile".into()],
            aliases: vec!["robert".into()],
            extensions: vec![("default".into(), "6001".into())],
            ..Person::default()
        };
        let people = People::new(vec![Person { name: "eve".into(), ..Person::default() }, person]);
        let name = |found: Option<&Person>| found.map(|person| person.name.clone());
        let bob = Some("bob".to_owned());
        assert_eq!(name(people.of_peer("bob-mobile")), bob);
        assert_eq!(name(people.of_extension("default", "6001")), bob);
        assert_eq!(name(people.called(0, "robert")), bob);
        assert_eq!(name(people.called(0, "bob")), bob);
        assert_eq!(name(people.called(0, "bob-desk")), None);
        assert_eq!(name(people.called(1, "bob")), None);
        assert_eq!(name(people.of_extension("other", "6001")), None);
        assert_eq!(people.iter().count(), 2);
    }
}
