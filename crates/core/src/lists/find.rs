//! Which list a SUBSCRIBE is for: one that it brings along, one that is configured, one's own, or everybody of a domain.
//!
//! In: a request and who sent it. Out: the key of the list, which the subscription keeps.

use super::request::recipient_list;
use super::resource_lists::Entry;
use super::{List, OPTION};
use crate::authn::Identity;
use crate::fingerprint::{FNV_START, fnv1a_on};
use crate::node::Node;
use crate::notifier::bad_event;
use crate::packages::PackageId;
use crate::reject::Reject;
use crate::resource::ResourceKey;
use crate::settings::Domain;
use crate::view_of::Facts;
use lampyris_sip::{Message, Name};

/// The user part that means one's own list.
const MINE: &str = "mine";

/// A list that was asked for.
pub(crate) struct FoundList {
    /// What the subscription is to.
    pub(crate) key: ResourceKey,
    /// What the request brought along.
    pub(crate) brought: Option<Vec<Entry>>,
}

/// What a list's key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source<'k> {
    /// A configured one, by its user part.
    Named(&'k str),
    /// The own list of this address.
    Own(&'k str),
    /// Everybody of the domain.
    Everybody,
    /// One that the request brought along.
    Brought,
}

/// Reads the name in a list's key.
pub(crate) fn source_of(name: &str) -> Source<'_> {
    // Invariant: no configured list has a semicolon in its name.
    match name.split_once(';') {
        None if name.is_empty() => Source::Everybody,
        None => Source::Named(name),
        Some((MINE, address)) if address.starts_with("sip:") => Source::Own(address),
        Some(_) => Source::Brought,
    }
}

impl Node {
    /// The list that a SUBSCRIBE is for; `None` where it is for one resource.
    ///
    /// # Errors
    /// 400, 413 and 415 of the list it brings; 421: the watcher cannot read lists; 403: it is somebody else's; 489: the list
    /// is for other packages.
    pub(crate) fn find_list(
        &self,
        identity: &Identity,
        message: &Message,
        package: PackageId,
    ) -> Result<Option<FoundList>, Reject> {
        let brought = recipient_list(message)?;
        let Some(address) = self.target_of(message)? else { return Ok(None) };
        let Some(domain) = self.facts.settings.domains.get(address.domain) else { return Ok(None) };
        let mut tags = message.values(Name::Supported).chain(message.values(Name::Require));
        let reads_lists = tags.any(|tag| tag.eq_ignore_ascii_case(OPTION));
        let name = match &brought {
            Some(entries) => Some(format!("{};{:016x}", address.user.replace(';', ""), hash_of(entries))),
            None => self.list_name(identity, address.domain, &address.user),
        };
        let Some(name) = name else { return Ok(None) };
        if !reads_lists && source_of(&name) == Source::Everybody {
            // Why: who asks for a domain without knowing of lists means nobody in it.
            return Ok(None);
        }
        let key = ResourceKey::List { domain: domain.name.clone(), name };
        if !reads_lists {
            return Err(Reject::ExtensionRequired { require: OPTION });
        }
        let list = self.facts.list_of(&key);
        if list.is_some_and(|list| {
            !list.packages.is_empty() && !list.packages.iter().any(|p| p == package.name())
        }) {
            return Err(bad_event());
        }
        Ok(Some(FoundList { key, brought }))
    }

    fn list_name(&self, identity: &Identity, domain: usize, user: &str) -> Option<String> {
        let settings = &self.facts.settings;
        let home = settings.domains.get(domain)?;
        if settings.lists.named.contains_key(&(domain, user.to_owned())) {
            return Some(user.to_owned());
        }
        let means_all = *user == *home.everybody && self.peer_named(domain, user).is_none();
        if (user.is_empty() || means_all) && self.facts.shows_everybody(domain, home) {
            return Some(String::new());
        }
        if user != MINE {
            return None;
        }
        let own = self.facts.own_address(identity);
        settings.lists.own.contains_key(&own).then(|| format!("{MINE};{own}"))
    }
}

impl Facts {
    /// The configured list that a key means; `None` where it means none, or none any more.
    pub(crate) fn list_of(&self, key: &ResourceKey) -> Option<&List> {
        let ResourceKey::List { domain, name } = key else { return None };
        match source_of(name) {
            Source::Named(name) => {
                let domain = self.settings.domains.iter().position(|known| known.name == *domain)?;
                self.settings.lists.named.get(&(domain, name.to_owned()))
            }
            Source::Own(address) => self.settings.lists.own.get(address),
            Source::Everybody | Source::Brought => None,
        }
    }

    /// Whether a watcher may subscribe to a list; what it is shown of each member is another matter.
    pub(crate) fn may_read_list(&self, watcher: &str, key: &ResourceKey) -> bool {
        let ResourceKey::List { name, .. } = key else { return false };
        let peer = self.settings.peers.get(watcher);
        let addresses = match peer {
            Some(peer) => vec![self.aor(peer), self.owner_of(&self.user_key(peer)).to_string()],
            None => vec![watcher.to_owned()],
        };
        match source_of(name) {
            Source::Own(address) => addresses.iter().any(|own| own == address),
            Source::Named(_) => self.list_of(key).is_none_or(|list| {
                list.watchers.is_empty() || list.watchers.iter().any(|named| addresses.contains(named))
            }),
            Source::Everybody | Source::Brought => true,
        }
    }

    /// Whether a subscription to a domain is one to everybody in it.
    pub(crate) fn shows_everybody(&self, index: usize, domain: &Domain) -> bool {
        domain.everybody_max > 0 && self.users_of(index) <= domain.everybody_max
    }

    /// How many users a domain has.
    fn users_of(&self, domain: usize) -> usize {
        self.settings.peers.values().filter(|peer| peer.domain == domain).count()
    }

    /// The address of whoever is behind an identity.
    fn own_address(&self, identity: &Identity) -> String {
        match identity.peer.as_ref().and_then(|name| self.settings.peers.get(name)) {
            Some(peer) => self.owner_of(&self.user_key(peer)).to_string(),
            None => identity.name(&self.settings).into_owned(),
        }
    }
}

/// What tells the lists of one watcher apart that it brings along to one URI.
fn hash_of(entries: &[Entry]) -> u64 {
    entries.iter().fold(FNV_START, |hash, (uri, name)| {
        [uri, name].into_iter().fold(hash, |hash, text| fnv1a_on(fnv1a_on(hash, text.as_bytes()), &[0]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_where_its_members_come_from() {
        assert_eq!(source_of(""), Source::Everybody);
        assert_eq!(source_of("board"), Source::Named("board"));
        assert_eq!(source_of("mine;sip:alice@example.com"), Source::Own("sip:alice@example.com"));
        assert_eq!(source_of("rls;0123456789abcdef"), Source::Brought);
        assert_eq!(source_of("mine;0123456789abcdef"), Source::Brought);
    }
}
