//! What can be watched: resources, who watches them, and which facts they are made of.
//!
//! A resource is an extension in a context, a user's AOR, or a mailbox. Its state is composed once per event package
//! and shared by all its watchers. This is a table, not a machine: `notifier` drives it.

use crate::authz::policy::Standing;
use crate::body::dialog_info::shown::Reveal;
use crate::body::{EncodedBody, Style};
use crate::device_state::ExtensionState;
use crate::devices::DeviceId;
use crate::map::{Map, Maps};
use crate::output::Ticket;
use crate::packages::PackageId;
use crate::slots::Slots;
use crate::time::UnixTime;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Index of a resource in the table; dense, not stored.
pub(crate) type ResourceId = u32;

/// What a resource is. Its printed form is stored and parsed back after a restart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ResourceKey {
    /// An extension, as in `6001@default`.
    Extension {
        /// Where its hint stands.
        context: String,
        /// The extension as asked for.
        extension: String,
    },
    /// An AOR, as in `sip:alice@example.com`.
    User {
        /// Canonical domain.
        domain: String,
        /// Unescaped user part; the peer's name, never an alias.
        user: String,
    },
    /// A mailbox, as in `mailbox:100@default`.
    Mailbox(String),
    /// A presentity of another server, as in `remote:alice>sip:carol@b.example`.
    Remote {
        /// The watcher whom alone it is shown, by name; empty where all may see it. First, so that one's stand together.
        on_behalf: String,
        /// Its URI there.
        uri: String,
    },
    /// A list of resources (RFC 4662), as in `list:board@example.com`.
    List {
        /// Canonical domain.
        domain: String,
        /// What it is: see [`crate::lists`].
        name: String,
    },
}

impl ResourceKey {
    /// Reads what `Display` printed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("sip:") {
            let (user, domain) = rest.rsplit_once('@')?;
            return Some(Self::User { domain: domain.to_owned(), user: user.to_owned() });
        }
        if let Some(name) = text.strip_prefix("mailbox:") {
            return Some(Self::Mailbox(name.to_owned()));
        }
        if let Some(rest) = text.strip_prefix("remote:") {
            let (on_behalf, uri) = rest.split_once('>')?;
            return Some(Self::Remote { uri: uri.to_owned(), on_behalf: on_behalf.to_owned() });
        }
        if let Some(rest) = text.strip_prefix("list:") {
            let (name, domain) = rest.rsplit_once('@')?;
            return Some(Self::List { domain: domain.to_owned(), name: name.to_owned() });
        }
        let (extension, context) = text.rsplit_once('@')?;
        Some(Self::Extension { context: context.to_owned(), extension: extension.to_owned() })
    }

    /// Whether [`ResourceKey::parse`] makes this one of `text`, without making it.
    pub(crate) fn is_written(&self, text: &str) -> bool {
        match self {
            Self::User { domain, user } => {
                text.strip_prefix("sip:").and_then(|rest| rest.rsplit_once('@')) == Some((user, domain))
            }
            // Why: these are hardly ever asked about.
            Self::Extension { .. } | Self::Mailbox(_) | Self::Remote { .. } | Self::List { .. } => {
                Self::parse(text).as_ref() == Some(self)
            }
        }
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Why in pieces: each request prints some, and a pattern costs several times as much.
        let mut put = |pieces: &[&str]| pieces.iter().try_for_each(|piece| f.write_str(piece));
        match self {
            Self::Extension { context, extension } => put(&[extension, "@", context]),
            Self::User { domain, user } => put(&["sip:", user, "@", domain]),
            Self::Mailbox(name) => put(&["mailbox:", name]),
            Self::Remote { uri, on_behalf } => put(&["remote:", on_behalf, ">", uri]),
            Self::List { domain, name } => put(&["list:", name, "@", domain]),
        }
    }
}

impl ResourceKey {
    /// The extension, the user part or the mailbox: what element ids are made of.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Extension { extension: name, .. }
            | Self::User { user: name, .. }
            | Self::Mailbox(name)
            | Self::Remote { uri: name, .. }
            | Self::List { name, .. } => name,
        }
    }
}

/// A body encoded once for all watchers of one format, style and class.
pub(crate) struct SharedBody {
    /// Index into the package's formats.
    pub(crate) format: u8,
    /// Which shape.
    pub(crate) style: Style,
    /// How much of other people's calls it shows.
    pub(crate) reveal: Reveal,
    /// What the rules say of its readers.
    pub(crate) standing: Standing,
    /// What was known to its readers; `None` for the state as it is.
    pub(crate) told: Option<u32>,
    /// It may be partial.
    pub(crate) partial: bool,
    /// The bytes with their holes.
    pub(crate) body: Arc<EncodedBody>,
    /// Hash of the whole state in this shape, to drop identical documents.
    pub(crate) hash: u64,
}

/// A resource's place in a subscription to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InList {
    /// The subscription.
    pub(crate) slot: u32,
    /// Which of its members.
    pub(crate) member: u32,
}

/// One package's view of one resource.
#[derive(Default)]
pub(crate) struct PackageState {
    /// Slots of the subscriptions, in no particular order.
    pub(crate) watchers: Vec<u32>,
    /// Composed when somebody looked, until something changed.
    pub(crate) composed: Option<Arc<dyn Any + Send + Sync>>,
    /// What was composed before that, until something is composed again.
    pub(crate) before: Option<Arc<dyn Any + Send + Sync>>,
    /// Bodies of `composed`.
    pub(crate) bodies: Vec<SharedBody>,
    /// The hash of `composed` as a mark has it, once somebody asked.
    pub(crate) shown: Option<u64>,
    /// The subscriptions to lists that it is in.
    pub(crate) lists: Vec<InList>,
    /// Slots of the publications for it.
    pub(crate) publications: Vec<u32>,
    /// Waiting in the notifier's dirty list.
    pub(crate) dirty: bool,
    /// It is published at other servers.
    pub(crate) published: bool,
    /// The stored mark of what watchers were shown: its slot and the hash in it.
    pub(crate) mark: Option<(u32, u64)>,
    /// What is shown rests on this record; nobody is told before it is durable.
    pub(crate) after: Option<Ticket>,
}

impl PackageState {
    /// Somebody is told of it.
    pub(crate) fn is_watched(&self) -> bool {
        !self.watchers.is_empty() || !self.lists.is_empty()
    }

    /// What was composed is old.
    pub(crate) fn forget(&mut self) {
        self.before = self.composed.take().or_else(|| self.before.take());
        self.bodies.clear();
        self.shown = None;
    }

    /// Nobody watches, nothing is published, nothing was composed.
    const NONE: Self = Self {
        watchers: Vec::new(),
        composed: None,
        before: None,
        bodies: Vec::new(),
        shown: None,
        lists: Vec::new(),
        publications: Vec::new(),
        dirty: false,
        published: false,
        mark: None,
        after: None,
    };
}

/// What stands for a package that nobody has asked a resource for.
static NONE: PackageState = PackageState::NONE;

/// The packages of a resource. Most resources are watched in one of them, so only those that something is known of are
/// there, in the order of `packages::ALL`; of the others nothing is.
#[derive(Default)]
pub(crate) struct PackageStates(Vec<(PackageId, PackageState)>);

impl PackageStates {
    fn find(&self, package: PackageId) -> Result<usize, usize> {
        // Why: there is hardly ever more than one.
        match self.0.iter().position(|(there, _)| *there >= package) {
            Some(at) if self.0[at].0 == package => Ok(at),
            Some(at) => Err(at),
            None => Err(self.0.len()),
        }
    }

    /// What is known of a package.
    pub(crate) fn get(&self, package: PackageId) -> &PackageState {
        self.find(package).ok().and_then(|at| self.0.get(at)).map_or(&NONE, |(_, state)| state)
    }

    /// What is known of a package, where something is.
    pub(crate) fn known_mut(&mut self, package: PackageId) -> Option<&mut PackageState> {
        let at = self.find(package).ok()?;
        self.0.get_mut(at).map(|(_, state)| state)
    }

    /// What is known of a package, to know more.
    pub(crate) fn get_mut(&mut self, package: PackageId) -> &mut PackageState {
        let at = self.find(package).unwrap_or_else(|at| {
            // Why: a vector would make room for four at once.
            self.0.reserve_exact(1);
            self.0.insert(at, (package, PackageState::default()));
            at
        });
        &mut self.0[at].1
    }

    /// Those of which something is known.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &PackageState> {
        self.0.iter().map(|(_, state)| state)
    }
}

/// A resource.
pub(crate) struct Resource {
    /// What it is.
    pub(crate) key: ResourceKey,
    /// The devices its lamp is made of.
    pub(crate) devices: Vec<DeviceId>,
    /// The `CustomPresence:` names of its hint.
    pub(crate) presence_names: Vec<String>,
    /// The hint as configured, for the CLI; empty without one.
    pub(crate) hint: String,
    /// Its hint stands in the configuration by name, so it stays without watchers; one that a pattern made goes.
    pub(crate) configured: bool,
    /// The lamp as last computed.
    pub(crate) lamp: ExtensionState,
    /// When the lamp last changed.
    pub(crate) lamp_since: UnixTime,
    /// What is known of its packages.
    pub(crate) packages: PackageStates,
}

/// All resources.
pub(crate) struct Resources {
    slots: Slots<Resource>,
    by_key: Map<ResourceKey, ResourceId>,
}

impl Resources {
    /// An empty table.
    pub(crate) fn new(maps: Maps) -> Self {
        Self { slots: Slots::default(), by_key: maps.map() }
    }

    /// The resource with this key, if it is in the table.
    pub(crate) fn find(&self, key: &ResourceKey) -> Option<ResourceId> {
        self.by_key.get(key).copied()
    }

    /// Adds a resource that is not in the table yet.
    pub(crate) fn add(&mut self, key: ResourceKey, now: UnixTime) -> ResourceId {
        let id = self.slots.insert(Resource {
            key: key.clone(),
            devices: Vec::new(),
            presence_names: Vec::new(),
            hint: String::new(),
            configured: false,
            lamp: ExtensionState::Unavailable,
            lamp_since: now,
            packages: PackageStates::default(),
        });
        self.by_key.insert(key, id);
        id
    }

    /// Takes a resource out of the table.
    pub(crate) fn remove(&mut self, id: ResourceId) -> Option<Resource> {
        let resource = self.slots.remove(id)?;
        self.by_key.remove(&resource.key);
        Some(resource)
    }

    /// The resource.
    pub(crate) fn get(&self, id: ResourceId) -> Option<&Resource> {
        self.slots.get(id)
    }

    /// The resource, to change.
    pub(crate) fn get_mut(&mut self, id: ResourceId) -> Option<&mut Resource> {
        self.slots.get_mut(id)
    }

    /// One package's view of a resource.
    pub(crate) fn package(&self, id: ResourceId, package: PackageId) -> Option<&PackageState> {
        Some(self.get(id)?.packages.get(package))
    }

    /// One package's view of a resource, to change.
    pub(crate) fn package_mut(&mut self, id: ResourceId, package: PackageId) -> Option<&mut PackageState> {
        Some(self.get_mut(id)?.packages.get_mut(package))
    }

    /// One package's view of one resource, where something is known of it.
    pub(crate) fn known_package_mut(
        &mut self,
        id: ResourceId,
        package: PackageId,
    ) -> Option<&mut PackageState> {
        self.get_mut(id)?.packages.known_mut(package)
    }

    /// All, in slot order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ResourceId, &Resource)> {
        self.slots.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_what_they_print() {
        for key in [
            ResourceKey::Extension { context: "default".into(), extension: "6001".into() },
            ResourceKey::Extension { context: "default".into(), extension: "*8@x".into() },
            ResourceKey::User { domain: "example.com".into(), user: "a@b".into() },
            ResourceKey::Mailbox("100@default".into()),
            ResourceKey::Remote { uri: "sip:a@b.example".into(), on_behalf: String::new() },
            ResourceKey::Remote { uri: "sip:a@b.example".into(), on_behalf: "sip:c@d.example".into() },
            ResourceKey::List { domain: "example.com".into(), name: String::new() },
            ResourceKey::List { domain: "example.com".into(), name: "mine;sip:a@b.example".into() },
        ] {
            let text = key.to_string();
            assert!(key.is_written(&text) && !key.is_written(&text[1..]), "{text}");
            assert_eq!(ResourceKey::parse(&text), Some(key));
        }
    }
}
