//! The views of a node: its tables as plain rows, and why a lamp shows what it shows.

use crate::command::Reply;
use crate::composition::presence::Composed;
use crate::composition::sources::{self, compose};
use crate::device_state::{ExtensionState, PresenceValue, aggregate};
use crate::devices::{Device, Provider};
use crate::gateways::gateway_of;
use crate::manual_status::nobody;
use crate::node::Node;
use crate::notifier::subscription::{Subscription, Text};
use crate::packages::{PackageId, Watched};
use crate::publication::print_etag;
use crate::resource::{Resource, ResourceKey};
use crate::settings::{Host, OnTimeout, Profile};
use crate::time::{Now, seconds_until};
use crate::view;
use crate::ways::Traveller;
use std::collections::BTreeSet;

impl Node {
    pub(crate) fn view_hints(&self, prefix: &str) -> Vec<view::Hint> {
        let mut rows: Vec<_> = self
            .facts
            .resources
            .iter()
            .filter(|(_, resource)| !resource.hint.is_empty())
            .filter_map(|(_, resource)| {
                let ResourceKey::Extension { context, extension } = &resource.key else { return None };
                extension.starts_with(prefix).then(|| view::Hint {
                    extension: extension.clone(),
                    context: context.clone(),
                    devices: resource.hint.clone(),
                    state: resource.lamp.cli_word().to_owned(),
                    presence: self.facts.presence_state(resource).unwrap_or_default().value.name().to_owned(),
                    watchers: watchers(resource),
                })
            })
            .collect();
        let patterns = self.facts.settings.dialplan.hints().filter(|hint| hint.is_pattern);
        // A pattern lights nothing itself; the extensions asked for under it have rows of their own.
        rows.extend(patterns.filter(|hint| hint.extension.starts_with(prefix)).map(|hint| view::Hint {
            extension: hint.extension.to_owned(),
            context: hint.context.to_owned(),
            devices: hint.hint.text.clone(),
            state: ExtensionState::Unavailable.cli_word().to_owned(),
            presence: PresenceValue::NotSet.name().to_owned(),
            watchers: 0,
        }));
        rows.sort_by(|a, b| (&a.context, &a.extension).cmp(&(&b.context, &b.extension)));
        rows
    }

    pub(crate) fn view_subscriptions(&self, now: Now) -> Vec<view::Subscription> {
        let live = self.subscriptions.iter().filter(|(_, s)| s.ending.is_none());
        live.map(|(_, s)| self.view_subscription(now, s)).collect()
    }

    fn view_subscription(&self, now: Now, s: &Subscription) -> view::Subscription {
        let key = self.facts.resources.get(s.resource).map(|resource| &resource.key);
        let mailbox = (s.package.get().watches() == Watched::Mailboxes).then(|| match key {
            Some(ResourceKey::Mailbox(name)) => name.clone(),
            Some(key) => self.facts.mailboxes_of_user(key).join(","),
            None => String::new(),
        });
        let profile = self.facts.settings.profiles.get(usize::from(s.profile));
        view::Subscription {
            peer: s.flow.get().remote().to_string(),
            watcher: s.text(Text::Watcher).to_owned(),
            call_id: s.text(Text::CallId).to_owned(),
            resource: key.map(ToString::to_string).unwrap_or_default(),
            asked: s.text(Text::Asked).to_owned(),
            package: s.package.name().to_owned(),
            event_id: s.text_opt(Text::EventId).map(str::to_owned),
            format: s.package.content_type(usize::from(s.format)).to_owned(),
            members: s.list.as_ref().map(|list| list.members.len()),
            last_state: s.told.map(str::to_owned),
            mailbox,
            granted_s: s.granted_s,
            expires_s: s.expires_s(now.wall),
            profile: profile.map(|profile| profile.name.clone()).unwrap_or_default(),
            user_agent: s.text(Text::UserAgent).to_owned(),
            notifies: s.notifies,
            cseq: s.local_cseq,
            version: if s.version == u32::MAX { 0 } else { s.version },
            last_answer: s.last_answer,
            pace: s.pace_summary(),
            filter: s.filter_summary(),
            transport: self.connections.transport(s.flow.get()).to_string(),
        }
    }

    pub(crate) fn view_publications(&self, now: Now) -> Vec<view::Publication> {
        let row = |p: &crate::publication::Publication| view::Publication {
            resource: self.facts.resources.get(p.resource).map(|r| r.key.to_string()).unwrap_or_default(),
            package: p.package.name().to_owned(),
            etag: print_etag(p.etag),
            publisher: p.publisher.clone(),
            content_type: p.content_type.clone(),
            body_bytes: p.body.len(),
            expires_s: seconds_until(now.wall, p.expires_at),
            summary: p.package.get().summary(&p.content),
        };
        self.facts.publications.iter().map(|(_, p)| row(p)).collect()
    }

    pub(crate) fn view_registrations(&self, now: Now) -> Vec<view::Registration> {
        let mut rows: Vec<_> = self
            .facts
            .registrar
            .iter()
            .map(|(_, entry)| view::Registration {
                aor: entry.aor.clone(),
                bindings: entry
                    .bindings
                    .iter()
                    .map(|b| view::Binding {
                        contact: b.contact.clone(),
                        source: b.flow.remote().to_string(),
                        expires_s: seconds_until(now.wall, b.expires_at),
                        q: f32::from(b.q) / 1000.0,
                        user_agent: b.user_agent.clone(),
                        instance: b.instance.clone(),
                    })
                    .collect(),
            })
            .collect();
        rows.sort_by(|a, b| a.aor.cmp(&b.aor));
        rows
    }

    pub(crate) fn view_devices(&self, now: Now) -> Vec<view::Device> {
        let mut rows: Vec<_> = self
            .facts
            .devices
            .iter()
            .map(|(_, device)| view::Device {
                device: device.name.as_typed().to_owned(),
                state: device.state.name().to_owned(),
                source: source_of(device).to_owned(),
                for_s: device
                    .manual
                    .as_ref()
                    .and_then(|manual| manual.until)
                    .map(|until| u64::from(seconds_until(now.wall, until))),
                hints: device
                    .resources
                    .iter()
                    .filter_map(|id| self.facts.resources.get(*id))
                    .filter(|resource| !resource.hint.is_empty())
                    .map(|resource| resource.key.to_string())
                    .collect(),
            })
            .collect();
        rows.extend(self.facts.presence_states.iter().map(|(key, (state, slot))| view::Device {
            device: self.device_rows.get(*slot).unwrap_or(key).clone(),
            state: state.value.name().to_owned(),
            source: "command".to_owned(),
            for_s: None,
            hints: self.presence_hints(key).map(|(_, resource)| resource.key.to_string()).collect(),
        }));
        rows.sort_by_key(|row| row.device.to_ascii_lowercase());
        rows
    }

    pub(crate) fn view_peers(&self) -> Vec<view::Peer> {
        let subscriptions = |name: &str| {
            let live = self.subscriptions.iter().filter(|(_, s)| s.ending.is_none());
            live.filter(|(_, s)| s.text(Text::Watcher) == name).count()
        };
        let settings = &self.facts.settings;
        settings
            .peers
            .values()
            .map(|peer| {
                let binding = self.facts.registrar.bindings(&self.facts.aor(peer)).last();
                let (host, fixed) = match &peer.host {
                    Host::Dynamic => ("dynamic".to_owned(), None),
                    Host::Fixed { address, .. } => (address.to_string(), Some(address.to_string())),
                    Host::Named(name, _) => (name.clone(), None),
                };
                let qualify = match (peer.qualify, self.qualifier.rtt(&peer.name)) {
                    (None, _) => "Unmonitored".to_owned(),
                    (Some(_), Some(rtt)) => format!("OK ({} ms)", rtt.as_millis()),
                    (Some(_), None) if self.qualifier.is_reachable(&peer.name) => "UNKNOWN".to_owned(),
                    (Some(_), None) => "UNREACHABLE".to_owned(),
                };
                view::Peer {
                    name: peer.name.clone(),
                    host,
                    address: fixed
                        .or_else(|| binding.map(|b| b.flow.remote().to_string()))
                        .unwrap_or_else(|| "-".to_owned()),
                    state: self.device_state_of(&peer.device).name().to_owned(),
                    qualify,
                    context: peer.subscribe_context.clone().unwrap_or_else(|| peer.context.clone()),
                    subscriptions: subscriptions(&peer.name),
                }
            })
            .collect()
    }

    pub(crate) fn view_profiles(&self) -> Vec<view::Profile> {
        let row = |profile: &Profile| {
            let selects = |part: &&String| *part != Profile::BY_NAME_ONLY;
            view::Profile {
                name: profile.name.clone(),
                user_agents: profile.user_agents.iter().filter(selects).cloned().collect(),
                variant: profile.variant.name().to_owned(),
                prefer: profile.prefer.clone(),
                retry_after_s: match profile.on_timeout {
                    OnTimeout::Remove => None,
                    OnTimeout::Retry(after) => Some(after.as_secs()),
                },
                retry_statuses: profile.retry_statuses.clone(),
                notify_max_rate: profile.notify_max_rate,
                buggy_mwi: profile.buggy_mwi,
                idle_dialog: profile.idle_dialog,
                single_dialog: profile.single_dialog,
                partial_dialogs: profile.partial_dialogs,
                digium: profile.digium,
                auto_answer: profile
                    .auto_answer
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect(),
                pickup: profile.pickup.name().to_owned(),
                end_notify: profile.end_notify,
                reason: profile.reason.clone(),
            }
        };
        self.facts.settings.profiles.iter().map(row).collect()
    }

    pub(crate) fn view_mailboxes(&self) -> Vec<view::Mailbox> {
        let mut names: Vec<String> = self.facts.mailboxes.iter().map(|(name, _)| name.to_owned()).collect();
        names.extend(self.facts.settings.peers.values().flat_map(|peer| peer.mailboxes.iter().cloned()));
        names.sort();
        names.dedup();
        let watching = |name: &String| {
            let key = ResourceKey::Mailbox(name.clone());
            let keys = self.facts.owners_of_mailbox(name).into_iter().chain([key]);
            let found = keys.filter_map(|key| self.facts.resources.find(&key));
            found
                .filter_map(|id| self.facts.resources.get(id))
                .flat_map(|resource| {
                    let mailboxes = PackageId::all().filter(|p| p.get().watches() == Watched::Mailboxes);
                    mailboxes.map(|p| resource.packages.get(p).watchers.len())
                })
                .sum()
        };
        names
            .into_iter()
            .map(|mailbox| view::Mailbox {
                counts: self.facts.mailboxes.counts(&mailbox),
                watchers: watching(&mailbox),
                mailbox,
            })
            .collect()
    }

    pub(crate) fn view_status(&self, now: Now) -> view::Status {
        let counters = self.counters;
        view::Status {
            up_s: now.mono.since(self.started).as_secs(),
            subscriptions: self.subscriptions.iter().filter(|(_, s)| s.ending.is_none()).count(),
            parked: self.subscriptions.parked(),
            owed: self.subscriptions.owed(),
            draining: self.draining.is_some(),
            publications: self.facts.publications.len(),
            bindings: self.facts.registrar.binding_count(),
            hints: self.facts.resources.iter().filter(|(_, resource)| resource.configured).count(),
            peers: self.facts.settings.peers.len(),
            transactions: self.transactions.len(),
            timers: self.timers.len() + self.transactions.timers_set(),
            calls: self.facts.calls.len(),
            passing: self.proxy.len(),
            requests: counters.requests,
            rejects: counters.rejects,
            notifies: counters.notifies,
            notifies_ok: counters.notifies_ok,
            notifies_failed: counters.notifies_failed,
            malformed: counters.malformed,
            unpersisted: self.tickets.len(),
            bugs: counters.bugs,
        }
    }

    /// Whom `name` means, or everybody who is configured as a person or said something.
    pub(crate) fn view_people(&self, now: Now, name: Option<&str>) -> Reply {
        let owners: BTreeSet<ResourceKey> = match name {
            Some(name) => match self.user_called(name) {
                Some(user) => BTreeSet::from([self.facts.owner_of(&user)]),
                None => return nobody(name),
            },
            None => {
                let people = self.facts.settings.people.iter().map(|person| self.facts.person_key(person));
                let said = self.facts.manual_statuses.iter();
                people.chain(said.filter_map(|(owner, _)| ResourceKey::parse(owner))).collect()
            }
        };
        Reply::People(owners.iter().map(|owner| self.view_person(now, owner)).collect())
    }

    fn view_person(&self, now: Now, owner: &ResourceKey) -> view::Person {
        let facts = &self.facts;
        let said = facts.manual_status(owner);
        let person = facts.person_of(owner);
        let devices = facts.devices_behind(owner);
        let states: Vec<_> = devices.iter().map(|device| self.device_state_of(device)).collect();
        let display = person.map(|person| &person.display).or(facts.peer_of(owner).map(|peer| &peer.display));
        let plain = |key: &ResourceKey| key.to_string().trim_start_matches("sip:").to_owned();
        let mut names: Vec<_> = facts.names_of(owner).iter().map(plain).collect();
        names.extend(person.iter().flat_map(|person| person.aliases.iter().cloned()));
        let listed =
            devices.iter().zip(&states).map(|(device, state)| format!("{} {state}", device.as_typed()));
        let resource = facts.resources.find(owner).and_then(|id| facts.resources.get(id));
        let word = match resource {
            Some(resource) => facts.shown(resource).word,
            None => said.map_or("", |said| said.status.name()),
        };
        view::Person {
            person: plain(owner),
            display: display.cloned().unwrap_or_default(),
            lamp: aggregate(states.iter().copied()).extension().cli_word().to_owned(),
            presence: if word.is_empty() { PresenceValue::NotSet.name() } else { word }.to_owned(),
            status: said.map(|said| said.status.name().to_owned()),
            note: said.map(|said| said.note.clone()).filter(|note| !note.is_empty()),
            since_s: said.map(|said| now.wall.since(said.set_at).as_secs()),
            left_s: said.and_then(|said| said.until).map(|at| u64::from(seconds_until(now.wall, at))),
            do_not_disturb: facts.wants_no_calls(owner),
            names,
            devices: listed.collect(),
            mailboxes: facts.mailboxes_of_user(owner).to_vec(),
        }
    }

    /// Every resource of that name, with its sources and its watchers; also of a user whom nobody watches yet.
    pub(crate) fn why(&mut self, now: Now, what: &str) -> Reply {
        let named = |key: &ResourceKey| match key {
            ResourceKey::Extension { context, extension } => {
                what == extension || what.split_once('@') == Some((extension, context))
            }
            ResourceKey::User { domain, user } => {
                let what = what.strip_prefix("sip:").unwrap_or(what);
                what == user || what.split_once('@') == Some((user, domain))
            }
            ResourceKey::Remote { uri, .. } => what == uri || uri.strip_prefix("sip:") == Some(what),
            ResourceKey::Mailbox(name) => what == name || what == crate::mailbox::full_name(name),
            list @ ResourceKey::List { name, .. } => {
                !name.is_empty() && (what == name || what == list.to_string())
            }
        };
        let all = || self.facts.resources.iter().map(|(_, resource)| resource);
        let mut found: Vec<_> = all().filter(|resource| named(&resource.key)).collect();
        // Why: a person is asked for to learn who sees what of them, by whatever name they are watched.
        let person = self.facts.settings.people.named(what).map(|person| self.facts.person_key(person));
        if let Some(person) = &person {
            let is_own = |resource: &&Resource| self.facts.is_same_person(&resource.key, person);
            let others = all().filter(|resource| watchers(resource) > 0 && !named(&resource.key));
            found.extend(others.filter(is_own));
        }
        let has_own = found.iter().any(|resource| named(&resource.key));
        let mut found: Vec<_> = found.into_iter().map(|resource| self.view_why(now, resource)).collect();
        if let (false, Some(user)) = (has_own, self.user_called(what)) {
            let id = self.resource(now, &user);
            let row = self.facts.resources.get(id).map(|resource| self.view_why(now, resource));
            self.release_resource(id);
            found.splice(0..0, row);
            return Reply::Why(found);
        }
        if found.is_empty() {
            let reason = format!(
                "nothing here is called {what:?}; `lampyris show hints` and `lampyris show peers` list what can be watched"
            );
            return Reply::Refused { reason };
        }
        Reply::Why(found)
    }

    fn view_why(&self, now: Now, resource: &Resource) -> view::Why {
        let mut sources: Vec<_> = resource
            .devices
            .iter()
            .filter_map(|id| self.facts.devices.get(*id))
            .flat_map(|device| self.view_sources(now, device, resource))
            .collect();
        if let Some(state) = self.facts.published_calls(resource) {
            sources.push(view::Source {
                name: "publication".to_owned(),
                state: state.name().to_owned(),
                because: match resource.key {
                    ResourceKey::Remote { .. } => "told by its own server".to_owned(),
                    _ => "published for the extension itself".to_owned(),
                },
                won: state.extension() == resource.lamp,
                since_s: 0,
                expires_s: None,
            });
        }
        sources.extend(self.sources_elsewhere(now, &resource.key));
        for publication in self.facts.publications_of(resource) {
            sources.push(view::Source {
                name: format!("{} publication", publication.package.name()),
                state: publication.package.get().summary(&publication.content),
                because: match gateway_of(publication) {
                    Some(gateway) => format!("told by gateway {gateway}"),
                    None => format!("published by {}", publication.publisher),
                },
                won: false,
                since_s: now.wall.since(publication.modified_at).as_secs(),
                expires_s: Some(u64::from(seconds_until(now.wall, publication.expires_at))),
            });
        }
        sources.extend(self.feature_sources(now, resource));
        sources.sort_by_key(|source| !source.won);
        sources.extend(self.sources_of_calls(now, resource));
        let slots = resource.packages.iter().flat_map(|package| {
            let lists = package.lists.iter().map(|place| place.slot);
            package.watchers.iter().copied().chain(lists)
        });
        let watchers = slots.filter_map(|slot| Some((slot, self.subscriptions.get(slot)?)));
        view::Why {
            resource: resource.key.to_string(),
            state: resource.lamp.cli_word().to_owned(),
            since_s: now.wall.since(resource.lamp_since).as_secs(),
            sources,
            presence: self.view_composition(now, resource),
            watchers: watchers
                .map(|(slot, s)| view::Watcher {
                    watcher: s.text(Text::Watcher).to_owned(),
                    address: s.flow.get().remote().to_string(),
                    list: s
                        .list
                        .as_ref()
                        .and_then(|_| Some(self.facts.resources.get(s.resource)?.key.to_string())),
                    package: s.package.name().to_owned(),
                    told: s.told.map(str::to_owned),
                    fit: s.fit.said().map(str::to_owned),
                    unsent: self.unsent(slot),
                    cseq: s.local_cseq,
                    answer: s.last_answer,
                    answered_s: s.last_answer.map(|_| now.wall.since(s.answered_at).as_secs()),
                    expires_s: s.expires_s(now.wall),
                    pace: s.pace_summary(),
                    filter: s.filter_summary(),
                })
                .collect(),
            classes: self.view_classes(now, resource),
            published: self
                .facts
                .resources
                .find(&resource.key)
                .map(|id| self.view_published(now, id))
                .unwrap_or_default(),
        }
    }

    /// The sources of a resource's presence, and what its policy makes of each.
    fn view_composition(&self, now: Now, resource: &Resource) -> Option<view::Composition> {
        let package = PackageId::all().find(|package| package.get().is_presence())?;
        if matches!(resource.key, ResourceKey::Mailbox(_)) {
            return None;
        }
        let policy = self.facts.policy_of(&resource.key);
        let sources = self.facts.presence_sources(resource, package);
        let outcome = compose(policy, &sources);
        let row = |source: &sources::Source, verdict: &sources::Verdict| view::PresenceSource {
            kind: source.kind.name().to_owned(),
            source: view::Source {
                name: source.name.clone(),
                state: source.summary(),
                because: verdict.because.clone(),
                won: verdict.won,
                since_s: now.wall.since(source.since).as_secs(),
                expires_s: source.until.map(|until| u64::from(seconds_until(now.wall, until))),
            },
        };
        let mut rows: Vec<_> =
            sources.all.iter().zip(&outcome.verdicts).map(|(s, verdict)| row(s, verdict)).collect();
        rows.sort_by_key(|row| (!row.source.won, policy.rank_named(&row.kind)));
        let owners = self.facts.owners_behind(resource);
        let owner = owners.first().filter(|_| owners.len() == 1).map(ToString::to_string);
        Some(view::Composition {
            person: owner.map(|owner| owner.trim_start_matches("sip:").to_owned()).unwrap_or_default(),
            policy: policy.name.clone(),
            base: policy.base.name().to_owned(),
            shows: Composed::of(&outcome.presence, "").document.in_words(),
            sources: rows,
        })
    }

    /// Why a subscription's NOTIFY has no way, where that is because nothing may go there.
    fn unsent(&self, slot: u32) -> Option<String> {
        let (to, why) = self.ways.barred(Traveller::Subscription(slot))?;
        Some(format!("not sent to {to}: {why}"))
    }

    /// The calls of the peers behind a lamp, one row each.
    fn sources_of_calls(&self, now: Now, resource: &Resource) -> Vec<view::Source> {
        let devices = resource.devices.iter().filter_map(|id| self.facts.devices.get(*id));
        let peers = devices.filter_map(|device| match &device.provider {
            Provider::Peer(name) => Some(name),
            Provider::Nobody | Provider::Mailbox(_) => None,
        });
        peers.flat_map(|name| self.call_sources(now, name)).collect()
    }

    /// What a device contributes: a command's word and, under it, what its provider says.
    fn view_sources(&self, now: Now, device: &Device, resource: &Resource) -> Vec<view::Source> {
        let won = device.state.extension() == resource.lamp;
        let mut rows = Vec::new();
        if let Some(manual) = &device.manual {
            rows.push(view::Source {
                name: device.name.as_typed().to_owned(),
                state: manual.state.name().to_owned(),
                because: "set by command".to_owned(),
                won,
                since_s: now.wall.since(manual.set_at).as_secs(),
                expires_s: manual.until.map(|until| u64::from(seconds_until(now.wall, until))),
            });
        }
        let overridden = device.manual.is_some();
        if !overridden || device.provider != Provider::Nobody {
            let because = self.explain(device);
            rows.push(view::Source {
                name: device.name.as_typed().to_owned(),
                state: device.provided.name().to_owned(),
                because: if overridden { format!("{because}; overridden by command") } else { because },
                won: won && !overridden,
                since_s: now.wall.since(device.since).as_secs(),
                expires_s: None,
            });
        }
        rows
    }

    fn explain(&self, device: &Device) -> String {
        match &device.provider {
            Provider::Nobody => "nobody provides this device".to_owned(),
            Provider::Mailbox(name) => {
                let counts = self.facts.mailboxes.counts(name);
                format!("mailbox {name}: {} new, {} old", counts.new, counts.old)
            }
            Provider::Peer(name) => {
                let Some(peer) = self.facts.settings.peers.get(name) else { return String::new() };
                let sources = self.peer_sources(peer);
                let mut parts = vec![match (sources.bindings, &peer.host) {
                    (0, Host::Dynamic) => "not registered".to_owned(),
                    (0, _) => "at a fixed address".to_owned(),
                    (1, _) => "registered".to_owned(),
                    (n, _) => format!("registered, {n} bindings"),
                }];
                if peer.qualify.is_some() && !self.qualifier.is_reachable(name) {
                    parts.push("does not answer OPTIONS".to_owned());
                }
                if sources.tracked.inuse > 0 {
                    let calls = sources.tracked;
                    parts.push(format!(
                        "{} ({} ringing, {} on hold)",
                        counted(calls.inuse),
                        calls.ringing,
                        calls.onhold
                    ));
                }
                if sources.publications > 0 {
                    let calls = sources.calls;
                    parts.push(format!(
                        "{} published ({} ringing, {} on hold)",
                        counted(calls.inuse),
                        calls.ringing,
                        calls.onhold
                    ));
                    let own = self.facts.resources.find(&self.facts.user_key(peer));
                    let own = own.and_then(|id| self.facts.resources.get(id));
                    let told = own.into_iter().flat_map(|resource| self.facts.publications_of(resource));
                    let gateways: BTreeSet<_> = told.filter_map(gateway_of).collect();
                    parts.extend(gateways.into_iter().map(|gateway| format!("watched at gateway {gateway}")));
                }
                if let Some(level) = peer.busy_level.filter(|_| peer.call_limit.is_some()) {
                    parts.push(format!("busy from {level}"));
                }
                parts.join(", ")
            }
        }
    }
}

/// SIP subscriptions to a resource.
pub(crate) fn watchers(resource: &Resource) -> usize {
    resource.packages.iter().map(|package| package.watchers.len() + package.lists.len()).sum()
}

fn source_of(device: &Device) -> &'static str {
    match (&device.manual, &device.provider) {
        (Some(_), _) => "command",
        (None, Provider::Peer(_)) => "peer",
        (None, Provider::Mailbox(_)) => "mailbox",
        (None, Provider::Nobody) => "none",
    }
}

/// So many calls.
fn counted(calls: u32) -> String {
    format!("{calls} call{}", if calls == 1 { "" } else { "s" })
}
