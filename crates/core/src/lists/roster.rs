//! Who is in a list, as one watcher and one package see it.
//!
//! In: a list's key, and what the request brought along. Out: a [`Roster`]: each resource once, lists inside lists laid flat,
//! lists that lead back to themselves cut (RFC 4662 §7.4, security row 51). It says who is in it, not what may be shown.

use super::find::{Source, source_of};
use super::resource_lists::Entry as Brought;
use super::{Member, What};
use crate::authn::Identity;
use crate::fingerprint::fnv1a;
use crate::hint::Dialplan;
use crate::limits;
use crate::names::Address;
use crate::node::Node;
use crate::packages::PackageId;
use crate::resource::ResourceKey;
use lampyris_sip::uri::escape_user;
use std::collections::BTreeSet;
use std::time::Duration;

/// Who is in a list; shared by all watchers who see the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Roster {
    /// The list's name for people; may be empty.
    pub(crate) display: String,
    /// How long changes are gathered.
    pub(crate) batch: Duration,
    /// Every NOTIFY tells all of it.
    pub(crate) full_state: bool,
    /// Whom the watcher may not see is not in it.
    pub(crate) hides: bool,
    /// The members, in order.
    pub(crate) entries: Vec<Entry>,
    /// There are more than are in it.
    pub(crate) is_cut: bool,
}

/// A member.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Its URI, as the list has it.
    pub(crate) uri: Box<str>,
    /// Its name for people; may be empty.
    pub(crate) display: Box<str>,
    /// The id of its one instance, the same at all times and for all watchers.
    pub(crate) id: Box<str>,
    /// Where it is.
    pub(crate) at: At,
}

/// Where a member is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum At {
    /// Here, or of another server that is asked.
    Here(ResourceKey),
    /// Here, but there is no such thing.
    Nowhere,
    /// On another server that is not asked: nothing is known of it.
    Elsewhere,
}

struct Gatherer<'n> {
    node: &'n Node,
    identity: &'n Identity,
    package: PackageId,
    domain: usize,
    most: usize,
    roster: Roster,
    seen: BTreeSet<String>,
    /// The lists on the way here.
    inside: Vec<String>,
}

impl Node {
    /// Who is in a list; `None` where there is no such list any more.
    pub(crate) fn roster(
        &self,
        identity: &Identity,
        key: &ResourceKey,
        brought: Option<&[Brought]>,
        package: PackageId,
    ) -> Option<Roster> {
        let ResourceKey::List { domain, name } = key else { return None };
        let index = self.facts.settings.domains.iter().position(|known| known.name == *domain)?;
        let list = self.facts.list_of(key);
        let mut roster = Roster::default();
        if let Some(list) = list {
            roster.display.clone_from(&list.display);
            (roster.batch, roster.full_state) = (list.batch, list.full_state);
        }
        let (seen, inside) = (BTreeSet::new(), Vec::new());
        let most = limits::LIST_MEMBERS_MAX;
        let mut gatherer =
            Gatherer { node: self, identity, package, domain: index, most, roster, seen, inside };
        match source_of(name) {
            Source::Named(name) => {
                gatherer.inside.push(name.to_owned());
                gatherer.members(&list?.members);
            }
            Source::Own(_) => gatherer.members(&list?.members),
            Source::Everybody => gatherer.everybody()?,
            Source::Brought => {
                for (uri, display) in brought? {
                    gatherer.uri(uri, display);
                }
            }
        }
        Some(gatherer.roster)
    }

    /// Who is meant by what stands in a list of the first domain, each with its URI there: those who exist here.
    pub(crate) fn presentities(&self, who: &[Member], package: PackageId) -> Vec<(String, ResourceKey)> {
        let nobody = Identity { peer: None, domain: 0, user: String::new(), foreign: None };
        let mut gatherer = Gatherer {
            node: self,
            identity: &nobody,
            package,
            domain: 0,
            most: limits::GATEWAY_PUBLICATIONS_MAX,
            roster: Roster::default(),
            seen: BTreeSet::new(),
            inside: Vec::new(),
        };
        gatherer.members(who);
        let here = |entry: Entry| match entry.at {
            At::Here(key) => Some((entry.uri.into_string(), key)),
            At::Nowhere | At::Elsewhere => None,
        };
        gatherer.roster.entries.into_iter().filter_map(here).collect()
    }

    /// The identity of a watcher, by its name.
    pub(crate) fn identity_named(&self, name: &str) -> Identity {
        if let Some(peer) = self.facts.settings.peers.get(name) {
            return Identity {
                peer: Some(peer.name.clone()),
                domain: peer.domain,
                user: peer.name.clone(),
                foreign: None,
            };
        }
        match self.address(name).ok().flatten() {
            Some(Address { domain, user }) => Identity { peer: None, domain, user, foreign: None },
            None => Identity { peer: None, domain: 0, user: String::new(), foreign: Some(name.to_owned()) },
        }
    }
}

impl Gatherer<'_> {
    fn members(&mut self, members: &[Member]) {
        for Member { what, display } in members {
            match what {
                What::Name(name) => self.named(self.domain, name, None, display),
                What::Uri(uri) => self.uri(uri, display),
                What::List(name) => self.list(name),
                What::Context(context) => self.hints(|hinted, _| hinted == context),
                What::Matching(pattern) => {
                    let context = self.node.context_of(self.identity);
                    let reached = contexts(&self.node.facts.settings.dialplan, &context);
                    self.hints(|hinted, extension| {
                        reached.iter().any(|context| context == hinted) && pattern.matches(extension)
                    });
                    self.peers(|peer| pattern.matches(&peer.name));
                }
                What::Group(group) => self.peers(|peer| peer.call_groups.contains(group)),
            }
        }
    }

    fn list(&mut self, name: &str) {
        if self.inside.iter().any(|known| known == name) || self.inside.len() >= limits::LIST_DEPTH_MAX {
            return;
        }
        let Some(list) = self.node.facts.settings.lists.named.get(&(self.domain, name.to_owned())) else {
            return;
        };
        self.inside.push(name.to_owned());
        self.members(&list.members);
        self.inside.pop();
    }

    fn hints(&mut self, is_meant: impl Fn(&str, &str) -> bool) {
        let node = self.node;
        for hint in node.facts.settings.dialplan.hints() {
            if !hint.is_pattern && is_meant(hint.context, hint.extension) {
                self.named(self.domain, hint.extension, None, "");
            }
        }
    }

    fn peers(&mut self, is_meant: impl Fn(&crate::settings::Peer) -> bool) {
        let (node, domain) = (self.node, self.domain);
        for peer in node.facts.settings.peers.values().filter(|peer| peer.domain == domain && is_meant(peer))
        {
            self.named(domain, &peer.name, None, &peer.display);
        }
    }

    fn everybody(&mut self) -> Option<()> {
        let (node, index) = (self.node, self.domain);
        let domain = node.facts.settings.domains.get(index)?;
        if !node.facts.shows_everybody(index, domain) {
            return None;
        }
        (self.most, self.roster.hides) = (domain.everybody_max, true);
        for peer in node.facts.settings.peers.values().filter(|peer| peer.domain == index) {
            let key = node.facts.owner_of(&node.facts.user_key(peer));
            let display = node.facts.person_of(&key).map_or(&peer.display, |person| &person.display);
            let uri = self.uri_of(key.name());
            self.here(key, &uri, display);
        }
        Some(())
    }

    fn uri(&mut self, uri: &str, display: &str) {
        // Interop: presence URIs mean the SIP address of the same person (RFC 3861 §3).
        let as_sip = uri.strip_prefix("pres:").map(|rest| format!("sip:{rest}"));
        match self.node.address(as_sip.as_deref().unwrap_or(uri)) {
            Ok(Some(Address { domain, user })) => {
                if domain == self.domain
                    && self.node.facts.settings.lists.named.contains_key(&(domain, user.clone()))
                {
                    return self.list(&user);
                }
                self.named(domain, &user, Some(uri), display);
            }
            Ok(None) => match self.node.remote_key(self.identity, uri) {
                Some(key) => self.add(key.to_string(), uri, display, At::Here(key)),
                None => self.add(uri.to_ascii_lowercase(), uri, display, At::Elsewhere),
            },
            Err(_) => self.add(uri.to_owned(), uri, display, At::Nowhere),
        }
    }

    fn named(&mut self, domain: usize, user: &str, uri: Option<&str>, display: &str) {
        let address = Address { domain, user: user.to_owned() };
        let made = self.uri_of(user);
        let uri = uri.unwrap_or(&made);
        match self.node.find_resource_at(self.identity, &address, self.package, false) {
            Ok(key) => self.here(key, uri, display),
            Err(_) => self.add(uri.to_owned(), uri, display, At::Nowhere),
        }
    }

    fn uri_of(&self, user: &str) -> String {
        let domain = self.node.facts.settings.domains.get(self.domain).map_or("", |domain| &domain.name);
        format!("sip:{}@{domain}", escape_user(user))
    }

    fn here(&mut self, key: ResourceKey, uri: &str, display: &str) {
        let facts = &self.node.facts;
        let known = || match (facts.person_of(&key), facts.peer_of(&key)) {
            (Some(person), _) if !person.display.is_empty() => person.display.clone(),
            (_, Some(peer)) => peer.display.clone(),
            _ => String::new(),
        };
        let display = if display.is_empty() { known() } else { display.to_owned() };
        self.add(key.to_string(), uri, &display, At::Here(key));
    }

    /// Adds a member that is not in the list yet, whatever it was called there.
    fn add(&mut self, identity: String, uri: &str, display: &str, at: At) {
        let same_uri = self.seen.contains(uri);
        if same_uri || !self.seen.insert(identity) {
            return;
        }
        if self.roster.entries.len() >= self.most {
            self.roster.is_cut = true;
            return;
        }
        // Why: RLMI tells members apart by their URIs alone.
        self.seen.insert(uri.to_owned());
        let id = format!("{:016x}", fnv1a(uri.as_bytes()));
        self.roster.entries.push(Entry { uri: uri.into(), display: display.into(), id: id.into(), at });
    }
}

/// A context and all that it includes.
fn contexts(dialplan: &Dialplan, context: &str) -> Vec<String> {
    let mut found = vec![context.to_owned()];
    let mut at = 0;
    while let Some(context) = found.get(at).cloned() {
        for included in dialplan.includes(&context) {
            if !found.contains(included) {
                found.push(included.clone());
            }
        }
        at += 1;
    }
    found
}
