//! The sources of a resource's presence, gathered for composition, and the policy that weighs them.
//!
//! In: devices, publications and what was set by hand. Out: [`Sources`]. It weighs nothing; it also looks after the age of
//! publications, since composition reads no clock.

use crate::body::presence_document::PresenceDocument;
use crate::composition::policy::{Policy, SourceKind};
use crate::composition::sources::{Says, Source, Sources};
use crate::device_state::{DeviceState, ExtensionState};
use crate::features::Feature;
use crate::gateways::gateway_of;
use crate::node::{Node, Timer};
use crate::packages::{Content, PackageId};
use crate::publication::Publication;
use crate::resource::{Resource, ResourceKey};
use crate::settings::NoHint;
use crate::time::{Now, UnixTime};
use crate::view_of::Facts;
use std::sync::{Arc, LazyLock};

/// What holds where the configuration names a policy that is not there, which the loader refuses.
static UNION: LazyLock<Policy> = LazyLock::new(|| Policy::of(crate::composition::policy::Base::Union));

impl Facts {
    /// How the presence of a resource is composed: as the person says, else the domain.
    pub(crate) fn policy_of(&self, key: &ResourceKey) -> &Policy {
        let settings = &self.settings;
        let person = self.person_of(key);
        let domain = match (person, key) {
            (Some(person), _) => settings.domains.get(person.domain),
            (None, ResourceKey::User { domain, .. }) => settings.domains.iter().find(|d| d.name == *domain),
            (None, _) => settings.domains.first(),
        };
        let own = person.and_then(|person| person.composition);
        let index = own.or(domain.map(|domain| domain.composition)).unwrap_or(0);
        settings.compositions.get(index).unwrap_or(&UNION)
    }

    /// Everybody who speaks of a resource's presence.
    pub(crate) fn presence_sources(&self, resource: &Resource, package: PackageId) -> Sources {
        let mut all = Vec::new();
        for device in resource.devices.iter().filter_map(|id| self.devices.get(*id)) {
            push_device(&mut all, device.name.as_typed(), device.state, device.since);
        }
        if let Some(state) = self.published_calls(resource) {
            push_device(&mut all, "published calls", state, resource.lamp_since);
        }
        if let Some(state) = self.registered(resource) {
            push_device(&mut all, "registration", state, resource.lamp_since);
        }
        let has_device = !all.is_empty();
        let published = self.published_for(resource, package);
        all.extend(published.iter().filter_map(|publication| published_source(publication)));
        let is_extension = matches!(resource.key, ResourceKey::Extension { .. });
        let is_open = resource.hint.is_empty() && self.settings.no_hint == NoHint::Open;
        self.push_owners(&mut all, resource);
        // Why: who only publishes, or left a document, has no lamp that could be dark.
        let own = self.publications_of(resource).any(|publication| publication.package == package)
            || all.iter().any(|source| source.kind == SourceKind::Document);
        let bare = if is_extension && is_open { ExtensionState::Idle } else { ExtensionState::Unavailable };
        let bare = (is_extension || has_device || !own).then_some(bare);
        Sources { all, bare, said: self.presence_state(resource) }
    }

    /// What whoever is behind a resource set by hand; several people must agree on wanting no calls.
    fn push_owners(&self, all: &mut Vec<Source>, resource: &Resource) {
        let owners = self.owners_behind(resource);
        let source = |name: String, since, until, says| Source {
            kind: SourceKind::Manual,
            name,
            tie: 0,
            since,
            until,
            stale: false,
            says,
        };
        let plain = |owner: &ResourceKey| owner.to_string().trim_start_matches("sip:").to_owned();
        if let Some(owner) = owners.first().filter(|_| owners.len() == 1)
            && let Some(said) = self.manual_status(owner)
        {
            let name = format!("status of {}", plain(owner));
            all.push(source(name, said.set_at, said.until, Says::Status(said.clone())));
        }
        if let Some(owner) = owners.first().filter(|_| owners.len() == 1)
            && let Some(standing) = self.hard_state(owner)
        {
            let by = if standing.by_file { "file" } else { "command" };
            let name = format!("document of {} by {by}", plain(owner));
            let says = Says::Document(Arc::clone(&standing.document));
            all.push(Source { kind: SourceKind::Document, ..source(name, standing.since, None, says) });
        }
        if self.do_not_disturb(resource) {
            let origins = owners.iter().filter_map(|owner| self.feature_keys.find(&owner.to_string()));
            let since = origins.flat_map(|record| &record.origins);
            let since =
                since.filter(|origin| origin.feature == Feature::DoNotDisturb).map(|origin| origin.at);
            // Why: without a feature key it is the status above that says so.
            if let Some(since) = since.max() {
                let names: Vec<_> = owners.iter().map(plain).collect();
                all.push(source(format!("dnd of {}", names.join(", ")), since, None, Says::DoNotDisturb));
            }
        }
    }
}

/// A device with its calls, and without them.
fn push_device(all: &mut Vec<Source>, name: &str, state: DeviceState, since: UnixTime) {
    let source = |kind, state| Source {
        kind,
        name: name.to_owned(),
        tie: 0,
        since,
        until: None,
        stale: false,
        says: Says::Device(state),
    };
    if state.extension().is_in_call() {
        all.push(source(SourceKind::Calls, state));
        all.push(source(SourceKind::Registration, DeviceState::NotInUse));
    } else {
        all.push(source(SourceKind::Registration, state));
    }
}

fn published_source(publication: &Publication) -> Option<Source> {
    let content: &Content = &publication.content;
    let (kind, name) = match gateway_of(publication) {
        Some(gateway) => (SourceKind::Connector, format!("gateway {gateway}")),
        None => (SourceKind::Publication, format!("publication by {}", publication.publisher)),
    };
    Some(Source {
        kind,
        name,
        // Why: of one millisecond the last is the newest.
        tie: u64::MAX - publication.change,
        since: publication.modified_at,
        until: Some(publication.expires_at),
        stale: publication.stale,
        says: Says::Document(Arc::clone(content.downcast_ref::<Arc<PresenceDocument>>()?)),
    })
}

impl Node {
    /// Wakes up when a publication will be too old to count, where its presentity's policy has such an age.
    pub(crate) fn arm_freshness(&mut self, now: Now, slot: u32) {
        let Some(publication) = self.facts.publications.get(slot) else { return };
        let Some(resource) = self.facts.resources.get(publication.resource) else { return };
        if let Some(fresh) = self.facts.policy_of(&resource.key).fresh {
            let at = now.mono_at(publication.modified_at + fresh);
            self.timers.insert(at, Timer::PublicationStale(slot));
        }
    }

    /// Looks at the age of a publication; the timer may be of an older content, or of an older policy.
    pub(crate) fn on_publication_stale(&mut self, now: Now, slot: u32) {
        let Some(publication) = self.facts.publications.get(slot) else { return };
        let (id, age) = (publication.resource, now.wall.since(publication.modified_at));
        let Some(resource) = self.facts.resources.get(id) else { return };
        let fresh = self.facts.policy_of(&resource.key).fresh;
        let stale = fresh.is_some_and(|fresh| age >= fresh);
        if !stale {
            self.arm_freshness(now, slot);
        }
        let Some(publication) = self.facts.publications.get_mut(slot) else { return };
        if publication.stale != stale {
            publication.stale = stale;
            self.publications_changed(now, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, Reply};
    use crate::composition::policy::Base;
    use crate::device_state::DeviceName;
    use crate::people::{People, Person};
    use crate::settings::{Peer, Settings};
    use crate::time::Instant;

    #[test]
    fn why_tells_the_policy_and_what_it_made_of_each_source() {
        let mut settings = Settings::empty();
        for name in ["desk", "mobile"] {
            let device = DeviceName::parse(&format!("SIP/{name}")).unwrap();
            settings.peers.insert(name.to_owned(), Peer::named(name, device));
        }
        let policy = Policy { name: "own".to_owned(), dnd_beats_all: true, ..Policy::of(Base::Priority) };
        settings.compositions.push(policy);
        settings.people = People::new(vec![Person {
            name: "bob".to_owned(),
            peers: vec!["desk".to_owned(), "mobile".to_owned()],
            composition: Some(4),
            ..Person::default()
        }]);
        let now = Now { mono: Instant::default(), wall: UnixTime::from_millis(1_000_000) };
        let mut node = Node::new(Arc::new(settings), Vec::new(), [0; 32], now);
        let mut done = |command| assert_eq!(node.handle_command(now, command), Reply::Done { count: 1 });
        done(Command::SetDevice { device: "SIP/desk".into(), state: "INUSE".into(), for_s: None });
        let (person, status) = ("mobile".to_owned(), "dnd".to_owned());
        done(Command::SetStatus { person, status, note: "Writing".into(), for_s: Some(60) });
        let Reply::Why(why) = node.handle_command(now, Command::Why("bob".into())) else { panic!() };
        let presence = why[0].presence.as_ref().unwrap();
        let head = (presence.person.as_str(), presence.policy.as_str(), presence.base.as_str());
        assert_eq!(head, ("bob@localhost", "own", "priority"));
        let rows = presence.sources.iter().map(|row| {
            let source = &row.source;
            (
                row.kind.as_str(),
                source.name.as_str(),
                source.state.as_str(),
                source.won,
                source.because.as_str(),
            )
        });
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [
                ("manual", "status of bob@localhost", "dnd, \"Writing\"", true, "do not disturb beats all"),
                ("registration", "SIP/desk", "NOT_INUSE", true, "is what the lamp shows"),
                ("calls", "SIP/desk", "INUSE", false, "do not disturb beats all"),
                ("registration", "SIP/mobile", "UNAVAILABLE", false, "another device beats it"),
            ]
        );
        assert_eq!(presence.sources[0].source.expires_s, Some(60));
    }
}
