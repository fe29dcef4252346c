//! What gateways tell, as sources of local presentities: publications of kind `connector`, as long as the subscription lasts.
//!
//! In: the body of a NOTIFY. A list's document (RFC 4662) is taken apart, its members each mapped for itself. One
//! publication stands for each instance of each member. Whatever cannot be read or mapped leaves the state as it was; the
//! NOTIFY is still accepted, since the server would end the subscription otherwise, and `gateways` tells of it.

use super::{Errand, Want};
use crate::body::presence_document::PresenceDocument;
use crate::body::rlmi_received::{self as rlmi, Rlmi};
use crate::body::rpid::Token;
use crate::flow::Flow;
use crate::journal::Origin;
use crate::limits;
use crate::node::Node;
use crate::output::Event;
use crate::packages::{Content, PackageId, Watched};
use crate::publication::Publication;
use crate::publish::Said;
use crate::quotas::is_full;
use crate::resource::ResourceKey;
use crate::time::Now;
use bytes::Bytes;
use lampyris_sip::multipart::{self, Part};
use lampyris_sip::{Message, Name, Uri};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What the publisher of a gateway's publications begins with; no address and no peer's name does.
const PUBLISHER: &str = "gateway:";

/// The gateway that a publication comes from.
pub(crate) fn gateway_of(publication: &Publication) -> Option<&str> {
    publication.publisher.strip_prefix(PUBLISHER)
}

/// One state in a NOTIFY.
struct Arrived<'a> {
    slot: u32,
    flow: Flow,
    /// Which virtual subscription: empty outside lists.
    instance: &'a str,
    /// Whose state it is there.
    uri: &'a str,
}

impl Node {
    /// Takes the body of a NOTIFY.
    pub(super) fn take_document(&mut self, now: Now, slot: u32, flow: Flow, message: &Message) {
        let body = message.body();
        if body.is_empty() {
            return; // RFC 6665 §4.1.3: nothing is said of the state, as while it is pending.
        }
        let Some(errand) = self.gateways.errands.get(slot) else { return };
        let Want::Subscription(subscription) = &errand.want else { return };
        let content_type = message.header(Name::ContentType).unwrap_or("").to_owned();
        let encoding = message.header(Name::ContentEncoding).unwrap_or("identity");
        let watched = subscription.watched.clone();
        let taken = if !encoding.trim().eq_ignore_ascii_case("identity") {
            Err("a compressed body".to_owned())
        } else if is_type(&content_type, "multipart/related") {
            self.take_list(now, (slot, flow), &content_type, &body)
        } else {
            let arrived = Arrived { slot, flow, instance: "", uri: &watched };
            self.take_state(now, &arrived, &content_type, &body)
        };
        if let (Err(trouble), Some(errand)) = (taken, self.gateways.errands.get_mut(slot)) {
            errand.trouble = trouble;
        }
    }

    /// A list: its versions in order, its members one by one.
    fn take_list(
        &mut self,
        now: Now,
        (slot, flow): (u32, Flow),
        content_type: &str,
        body: &Bytes,
    ) -> Result<(), String> {
        let (list, parts) = read_list(content_type, body)?;
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return Ok(()) };
        let expected = errand.version.map(|version| version.wrapping_add(1));
        if errand.version.is_some_and(|last| list.version <= last) && !list.full {
            return Ok(()); // RFC 4662 §5.2: told already.
        }
        if !list.full && expected != Some(list.version) {
            // RFC 4662 §5.2: something is missing; a refresh brings the whole list.
            errand.version = None;
            self.arm_errand(now, slot, limits::GATEWAY_RENEW_LEAST);
            return Err(format!("a list document is missing before version {}", list.version));
        }
        errand.version = Some(list.version);
        self.take_members(now, (slot, flow), "", &list, &parts, 0)
    }

    fn take_members(
        &mut self,
        now: Now,
        (slot, flow): (u32, Flow),
        path: &str,
        list: &Rlmi,
        parts: &[Part],
        depth: usize,
    ) -> Result<(), String> {
        let mut outcome = Ok(());
        let mut listed = BTreeSet::new();
        for resource in list.resources.iter().take(limits::GATEWAY_MEMBERS_MAX) {
            for instance in &resource.instances {
                let name = format!("{path}{}#{}", resource.uri, instance.id);
                if instance.is_terminated {
                    continue; // Not listed, so its source ends below.
                }
                listed.insert(name.clone());
                let Some(cid) = &instance.cid else { continue };
                let Some(part) = parts.iter().find(|part| part.content_id() == Some(cid.as_str())) else {
                    outcome = Err(format!("no part for {}", resource.uri));
                    continue;
                };
                let taken = if is_type(part.content_type(), "multipart/related") {
                    if depth >= limits::GATEWAY_LIST_DEPTH_MAX {
                        Err("lists too deep in lists".to_owned())
                    } else {
                        read_list(part.content_type(), &part.body).and_then(|(inner, parts)| {
                            let path = format!("{name}/");
                            self.take_members(now, (slot, flow), &path, &inner, &parts, depth + 1)
                        })
                    }
                } else {
                    let arrived = Arrived { slot, flow, instance: &name, uri: &resource.uri };
                    self.take_state(now, &arrived, part.content_type(), &part.body)
                };
                if let Err(trouble) = taken {
                    outcome = Err(trouble);
                }
            }
        }
        self.end_unlisted(now, slot, path, list, &listed);
        outcome
    }

    /// Ends the sources that a list no longer has: in a full document those of all members that it does not name, in a partial
    /// one those that it says are terminated.
    fn end_unlisted(&mut self, now: Now, slot: u32, path: &str, list: &Rlmi, listed: &BTreeSet<String>) {
        let Some(errand) = self.gateways.errands.get(slot) else { return };
        let belongs = |known: &str, name: &str| {
            known.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let terminated: Vec<String> = list
            .resources
            .iter()
            .flat_map(|r| {
                r.instances.iter().filter(|i| i.is_terminated).map(|i| format!("{path}{}#{}", r.uri, i.id))
            })
            .collect();
        let is_gone = |known: &String| {
            if list.full {
                known.starts_with(path) && !listed.iter().any(|name| belongs(known, name))
            } else {
                terminated.iter().any(|name| belongs(known, name))
            }
        };
        let gone: Vec<_> = errand.sources.keys().filter(|known| is_gone(known)).cloned().collect();
        for instance in gone {
            self.drop_source(now, slot, &instance);
        }
    }

    /// The state of one presentity.
    fn take_state(
        &mut self,
        now: Now,
        arrived: &Arrived<'_>,
        content_type: &str,
        body: &Bytes,
    ) -> Result<(), String> {
        let media_type = content_type.split(';').next().unwrap_or("").trim();
        let Some(errand) = self.gateways.errands.get(arrived.slot) else { return Ok(()) };
        let Want::Subscription(subscription) = &errand.want else { return Ok(()) };
        // A package that we only watch has no presentities here; the event is all there is.
        let Some(package) = PackageId::by_name(&subscription.package) else { return Ok(()) };
        let content = match package.get().decode(media_type, body) {
            None => return Err(format!("a document of type {media_type}")),
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(content)) => content,
        };
        self.tell_presence(arrived, package, &content);
        let Some(key) = self.local_name(arrived, package) else { return Ok(()) };
        let said = Said { content_type: media_type.to_owned(), content, body: Bytes::copy_from_slice(body) };
        self.put_source(now, arrived, package, &key, said)
    }

    /// Who somebody elsewhere is here, as the gateway's rules say; only somebody who exists.
    fn local_name(&self, arrived: &Arrived<'_>, package: PackageId) -> Option<ResourceKey> {
        let errand = self.gateways.errands.get(arrived.slot)?;
        let Want::Subscription(subscription) = &errand.want else { return None };
        if let Some(key) = &errand.demanded {
            return Some(key.clone());
        }
        let uri = Uri::parse(arrived.uri).ok()?;
        let user = uri.user_unescaped()?;
        let host = uri.host_str().to_ascii_lowercase();
        let name = subscription.maps.iter().find_map(|mapping| mapping.apply(&user, &host))?;
        self.local_resource(&name, package)
    }

    /// A local name as a resource.
    fn local_resource(&self, name: &str, package: PackageId) -> Option<ResourceKey> {
        let settings = &self.facts.settings;
        if package.get().watches() == Watched::Mailboxes {
            if let Some(peer) = settings.peers.get(name).filter(|peer| !peer.mailboxes.is_empty()) {
                return Some(self.mailboxes_of(peer));
            }
            let full = if name.contains('@') { name.to_owned() } else { format!("{name}@default") };
            let is_known = settings.peers.values().any(|peer| peer.mailboxes.contains(&full))
                || settings.watch.mailbox_watchers.contains_key(&full);
            return is_known.then_some(ResourceKey::Mailbox(full));
        }
        if name.starts_with("sip:") {
            return self.find_user(&self.address(name).ok()??);
        }
        if let Some((extension, context)) = name.split_once('@') {
            let found = settings.dialplan.lookup(context, extension)?;
            let context = found.context.to_owned();
            return found
                .hint
                .is_some()
                .then(|| ResourceKey::Extension { context, extension: extension.to_owned() });
        }
        if let Some(peer) = settings.peers.get(name) {
            return Some(self.facts.user_key(peer));
        }
        if let Some(person) = settings.people.called(0, name) {
            return Some(self.facts.person_key(person));
        }
        let context = settings.domains.first().map_or("default", |domain| domain.context.as_str());
        if let Some(found) = settings.dialplan.lookup(context, name).filter(|found| found.hint.is_some()) {
            let context = found.context.to_owned();
            return Some(ResourceKey::Extension { context, extension: name.to_owned() });
        }
        let domain = settings.domains.first().filter(|domain| domain.any_user)?;
        Some(ResourceKey::User { domain: domain.name.clone(), user: name.to_owned() })
    }

    /// Makes or changes the publication that holds a state.
    fn put_source(
        &mut self,
        now: Now,
        arrived: &Arrived<'_>,
        package: PackageId,
        key: &ResourceKey,
        said: Said,
    ) -> Result<(), String> {
        let resource = self.resource(now, key);
        let known = self.source_at(arrived.slot, arrived.instance);
        // Why: a reload may have given somebody elsewhere another name here.
        let same = |slot: &u32| self.facts.publications.get(*slot).is_some_and(|p| p.resource == resource);
        let known = match known {
            Some(slot) if same(&slot) => Some(slot),
            Some(_) => {
                self.drop_source(now, arrived.slot, arrived.instance);
                None
            }
            None => None,
        };
        let said = self.merged(key, package, known, said);
        let etag = self.rng.next_u128();
        let Some(errand) = self.gateways.errands.get_mut(arrived.slot) else { return Ok(()) };
        let expires_at = errand.ends_at(now);
        let slot = match known {
            Some(slot) => {
                let Some(publication) = self.facts.publications.modify(slot, said, now.wall) else {
                    return Ok(());
                };
                publication.flow = arrived.flow;
                slot
            }
            None => {
                let held = self
                    .facts
                    .resources
                    .package(resource, package)
                    .map_or(0, |state| state.publications.len());
                if is_full(held, self.facts.settings.quotas.publications_per_presentity) {
                    self.release_resource(resource);
                    return Err(format!("{key} has too many sources"));
                }
                let publication = Publication {
                    resource,
                    package,
                    etag,
                    publisher: format!("{PUBLISHER}{}", errand.gateway.name),
                    flow: arrived.flow,
                    content_type: said.content_type,
                    body: said.body,
                    content: said.content,
                    expires_at,
                    modified_at: now.wall,
                    change: self.facts.publications.next_change(),
                    call_id: errand.name(),
                    origin: Origin { cseq: 0, branch: arrived.instance.to_owned() },
                    timer: None,
                    turn: None,
                    stale: false,
                };
                let slot = self.facts.publications.insert(publication);
                errand.sources.insert(arrived.instance.to_owned(), slot);
                slot
            }
        };
        self.source_said(now, slot, known.is_none(), expires_at);
        Ok(())
    }

    /// The publication of an instance, where it has not ended by itself.
    fn source_at(&self, slot: u32, instance: &str) -> Option<u32> {
        let errand = self.gateways.errands.get(slot)?;
        let at = *errand.sources.get(instance)?;
        let publication = self.facts.publications.get(at)?;
        let is_its = gateway_of(publication) == Some(errand.gateway.name.as_str())
            && publication.call_id == errand.name()
            && publication.origin.branch == instance;
        is_its.then_some(at)
    }

    fn drop_source(&mut self, now: Now, slot: u32, instance: &str) {
        let at = self.source_at(slot, instance);
        if let Some(errand) = self.gateways.errands.get_mut(slot) {
            errand.sources.remove(instance);
        }
        if let Some(at) = at {
            self.end_publication(now, at);
        }
    }

    /// Ends all that an errand said.
    pub(super) fn drop_sources(&mut self, now: Now, slot: u32) {
        let Some(errand) = self.gateways.errands.get(slot) else { return };
        for instance in errand.sources.keys().cloned().collect::<Vec<_>>() {
            self.drop_source(now, slot, &instance);
        }
    }

    /// The subscription lasts longer, and what it said with it.
    pub(super) fn renew_sources(&mut self, now: Now, slot: u32) {
        let Some(errand) = self.gateways.errands.get(slot) else { return };
        let expires_at = errand.ends_at(now);
        for instance in errand.sources.keys().cloned().collect::<Vec<_>>() {
            if let Some(at) = self.source_at(slot, &instance) {
                self.source_lasts(now, at, expires_at);
            }
        }
    }

    /// Takes over, after a start, what an errand said before; ends what no errand stands behind.
    pub(super) fn adopt_sources(&mut self, now: Now) {
        let said: Vec<_> = self
            .facts
            .publications
            .iter()
            .filter(|(_, publication)| gateway_of(publication).is_some())
            .map(|(at, publication)| (at, publication.call_id.clone(), publication.origin.branch.clone()))
            .collect();
        let names: Vec<_> =
            self.gateways.errands.iter().map(|(slot, errand)| (errand.name(), slot)).collect();
        for (at, name, instance) in said {
            let slot = names.iter().find(|(known, _)| *known == name).map(|(_, slot)| *slot);
            let errand = slot.and_then(|slot| self.gateways.errands.get_mut(slot));
            match errand.filter(|errand| errand.dialog.is_some()) {
                Some(errand) => _ = errand.sources.insert(instance, at),
                None => self.end_publication(now, at),
            }
        }
    }

    /// FreeSWITCH's PRESENCE_IN.
    fn tell_presence(&mut self, arrived: &Arrived<'_>, package: PackageId, content: &Content) {
        let Some(errand) = self.gateways.errands.get(arrived.slot) else { return };
        let rpid = match content.downcast_ref::<Arc<PresenceDocument>>() {
            Some(document) => {
                let said = document.persons.iter().filter_map(|person| person.rpid.activities.as_ref());
                let first = said.flat_map(|activities| activities.known.iter()).next();
                first.map_or("unknown", |activity| Token::name(*activity))
            }
            None => "unknown",
        };
        let from = arrived.uri.trim_start_matches("sips:").trim_start_matches("sip:");
        let event = Event::PresenceIn {
            proto: "sip",
            login: errand.gateway.name.clone(),
            from: from.to_owned(),
            rpid,
            status: package.get().summary(content),
            event_type: package.name(),
        };
        self.tell(event);
    }
}

impl Errand {
    /// Until when what it says holds.
    fn ends_at(&self, now: Now) -> crate::time::UnixTime {
        self.expires_at.unwrap_or(now.wall + Duration::from_secs(u64::from(self.expires_s)))
    }
}

fn is_type(content_type: &str, wanted: &str) -> bool {
    content_type.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(wanted)
}

/// The list document of a multipart/related body, and all its parts (RFC 4662 §5.2, RFC 2387 §3).
fn read_list(content_type: &str, body: &Bytes) -> Result<(Rlmi, Vec<Part>), String> {
    let parts = multipart::parse_as(content_type, body).map_err(|error| error.to_string())?;
    // Why not by `start` alone: some servers leave it out, or quote it in ways of their own.
    let root = parts.iter().find(|part| is_type(part.content_type(), rlmi::CONTENT_TYPE));
    let root = root.ok_or("a multipart body without a list document")?;
    let list = Rlmi::decode(&root.body).map_err(|error| error.to_string())?;
    Ok((list, parts))
}
