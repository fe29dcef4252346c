//! Lists for people: which there are, who is in one, who watches it and what each was told.

use super::find::{Source, source_of};
use super::roster::{At, Roster};
use crate::authn::Identity;
use crate::authz::policy::Standing;
use crate::command::Reply;
use crate::node::Node;
use crate::notifier::subscription::{Subscription, Text};
use crate::packages::PackageId;
use crate::resource::ResourceKey;
use crate::time::Now;
use crate::view;
use std::collections::BTreeMap;

impl Node {
    /// Every list that is configured or watched.
    pub(crate) fn view_lists(&self) -> Reply {
        let mut rows: Vec<_> =
            self.list_keys().into_iter().map(|(key, watched)| self.view_list(&key, &watched)).collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Reply::Lists(rows)
    }

    /// One list, by its name, its URI or as `lampyris lists` prints it.
    pub(crate) fn view_list_named(&self, now: Now, what: &str) -> Reply {
        let key = self.list_keys().into_iter().find(|(key, _)| {
            let ResourceKey::List { domain, name } = key else { return false };
            let plain = what.strip_prefix("sip:").unwrap_or(what);
            what == key.to_string()
                || plain == name
                || plain == format!("{name}@{domain}").trim_start_matches('@')
        });
        let Some((key, watched)) = key else {
            let reason = format!("no list is called {what:?}; `lampyris lists` shows them");
            return Reply::Refused { reason };
        };
        let roster = watched.first().and_then(|(_, s)| s.list.as_ref()).map(|list| (*list.roster).clone());
        let roster = roster.or_else(|| self.roster_of_nobody(&key)).unwrap_or_default();
        let members = roster.entries.iter().map(|entry| view::ListMember {
            uri: entry.uri.to_string(),
            name: entry.display.to_string(),
            resource: match &entry.at {
                At::Here(ResourceKey::Remote { .. }) | At::Nowhere | At::Elsewhere => None,
                At::Here(key) => Some(key.to_string()),
            },
            is_elsewhere: matches!(entry.at, At::Elsewhere | At::Here(ResourceKey::Remote { .. })),
            asked_at: match &entry.at {
                At::Here(key) => self.facts.asked_at(key),
                At::Nowhere | At::Elsewhere => None,
            },
            state: match &entry.at {
                At::Here(key @ ResourceKey::Remote { .. }) if !self.facts.is_told(key) => None,
                At::Here(key) => Some(self.member_state(key).to_owned()),
                At::Nowhere | At::Elsewhere => None,
            },
        });
        Reply::List(Box::new(view::ListDetail {
            list: self.view_list(&key, &watched),
            is_cut: roster.is_cut,
            members: members.collect(),
            watchers: watched.iter().map(|(_, subscription)| self.list_watcher(now, subscription)).collect(),
        }))
    }

    /// What a member's lamp shows; of whom nobody watches there is no resource, but devices.
    fn member_state(&self, key: &ResourceKey) -> &'static str {
        let resource = self.facts.resources.find(key).and_then(|id| self.facts.resources.get(id));
        let of_devices =
            || self.lamp_of(&self.facts.devices_behind(&self.facts.owner_of(key)), None).extension();
        resource.map_or_else(of_devices, |resource| resource.lamp).cli_word()
    }

    /// The keys of all lists, with who watches each.
    fn list_keys(&self) -> BTreeMap<ResourceKey, Vec<(u32, &Subscription)>> {
        let settings = &self.facts.settings;
        let mut keys: BTreeMap<ResourceKey, Vec<_>> = BTreeMap::new();
        for (domain, name) in settings.lists.named.keys() {
            let Some(domain) = settings.domains.get(*domain) else { continue };
            keys.insert(ResourceKey::List { domain: domain.name.clone(), name: name.clone() }, Vec::new());
        }
        for address in settings.lists.own.keys() {
            let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned();
            keys.insert(ResourceKey::List { domain, name: format!("mine;{address}") }, Vec::new());
        }
        for (index, domain) in settings.domains.iter().enumerate() {
            if self.facts.shows_everybody(index, domain) {
                keys.insert(
                    ResourceKey::List { domain: domain.name.clone(), name: String::new() },
                    Vec::new(),
                );
            }
        }
        for (slot, subscription) in
            self.subscriptions.iter().filter(|(_, s)| s.list.is_some() && s.ending.is_none())
        {
            let Some(resource) = self.facts.resources.get(subscription.resource) else { continue };
            keys.entry(resource.key.clone()).or_default().push((slot, subscription));
        }
        keys
    }

    fn roster_of_nobody(&self, key: &ResourceKey) -> Option<Roster> {
        let ResourceKey::List { domain, .. } = key else { return None };
        let domain = self.facts.settings.domains.iter().position(|known| known.name == *domain)?;
        let identity = Identity { peer: None, domain, user: String::new(), foreign: None };
        let list = self.facts.list_of(key);
        let wanted = list.and_then(|list| PackageId::by_name(list.packages.first()?));
        let presence = || PackageId::all().find(|package| package.get().is_presence());
        self.roster(&identity, key, None, wanted.or_else(presence)?)
    }

    fn view_list(&self, key: &ResourceKey, watched: &[(u32, &Subscription)]) -> view::List {
        let ResourceKey::List { domain, name } = key else { return view::List::default() };
        let list = self.facts.list_of(key);
        let roster = watched.first().and_then(|(_, s)| s.list.as_ref()).map(|list| list.roster.entries.len());
        let (uri, source) = match source_of(name) {
            Source::Named(name) => (format!("sip:{name}@{domain}"), "configured".to_owned()),
            Source::Own(address) => (format!("sip:mine@{domain}"), format!("{address}'s own")),
            Source::Everybody => (format!("sip:{domain}"), "everybody".to_owned()),
            Source::Brought => {
                let user = name.split_once(';').map_or("", |(user, _)| user);
                (format!("sip:{user}@{domain}"), "brought by its watcher".to_owned())
            }
        };
        view::List {
            name: key.to_string(),
            uri,
            display: list.map(|list| list.display.clone()).unwrap_or_default(),
            source,
            packages: list.map(|list| list.packages.clone()).unwrap_or_default(),
            members: roster.or_else(|| Some(self.roster_of_nobody(key)?.entries.len())).unwrap_or(0),
            watchers: watched.len(),
        }
    }

    fn list_watcher(&self, now: Now, s: &Subscription) -> view::ListWatcher {
        let members = s.list.as_ref().map(|list| list.members.as_slice()).unwrap_or_default();
        let count = |is: fn(&Option<Standing>) -> bool| {
            members.iter().filter(|member| member.resource.is_some() && is(&member.standing)).count()
        };
        view::ListWatcher {
            watcher: s.text(Text::Watcher).to_owned(),
            address: s.flow.get().remote().to_string(),
            package: s.package.name().to_owned(),
            told: members.iter().filter(|member| member.is_shown()).count(),
            pending: count(|standing| *standing == Some(Standing::Pending)),
            refused: count(Option::is_none),
            version: if s.version == u32::MAX { 0 } else { s.version },
            notifies: s.notifies,
            answer: s.last_answer,
            fit: s.fit.said().map(str::to_owned),
            expires_s: s.expires_s(now.wall),
        }
    }
}
