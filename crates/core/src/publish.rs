//! PUBLISH, from request to publication (RFC 3903 §6), and what ends a publication besides.
//!
//! ```text
//! operation | body | SIP-If-Match | Expires
//! initial   | yes  | no           | > 0
//! refresh   | no   | yes          | > 0
//! modify    | yes  | yes          | > 0
//! remove    | no   | yes          | 0
//! ```

use crate::hits::Limit;
use crate::journal::{Key, Kind, Origin, PublicationRecord, Record, Value};
use crate::limits;
use crate::node::{Node, Put, Timer};
use crate::notifier::bad_event;
use crate::output::{Event, Ticket};
use crate::packages::{Content, PackageId};
use crate::publication::{Publication, parse_etag, print_etag};
use crate::quotas::is_full;
use crate::received_body::{media_type, read};
use crate::reject::Reject;
use crate::resource::{ResourceId, ResourceKey};
use crate::router::Request;
use crate::tickets::Undo;
use crate::time::{Now, UnixTime};
use bytes::Bytes;
use lampyris_sip::headers::Event as EventHeader;
use lampyris_sip::{Name, StatusCode};
use std::time::Duration;

/// A body as it is kept.
pub(crate) struct Said {
    pub(crate) content_type: String,
    pub(crate) content: Content,
    pub(crate) body: Bytes,
}

impl Node {
    /// Takes an authenticated PUBLISH.
    ///
    /// # Errors
    /// 400, 403, 404, 412, 413, 415, 423, 489, 503.
    pub(crate) fn on_publish(&mut self, now: Now, request: &Request<'_>) -> Result<(), Reject> {
        let message = request.message;
        let event = message.header(Name::Event).ok_or_else(bad_event)?;
        let event = EventHeader::parse(event).map_err(|_| Reject::BadRequest("malformed Event".into()))?;
        let package = PackageId::by_name(event.package).ok_or_else(bad_event)?;
        if package.get().publish_types().is_empty() {
            return Err(bad_event()); // RFC 3903 §6, step 2: not a package that can be published.
        }
        let key = self.find_resource(&request.identity, message, package, true)?;
        if !self.may_publish(request, &key) {
            return Err(Reject::Forbidden);
        }
        self.may_publish_now(now, request)?;
        let body = message.body();
        let mut bounds = self.facts.settings.publication_expires_s;
        let least_s = bounds.min;
        if !body.is_empty() {
            bounds.min = 0;
        }
        let expires_s = self.granted_within(message, bounds)?;
        let known = match message.header(Name::SipIfMatch) {
            None => None,
            Some(etag) => Some(self.matched(request, &key, package, etag.trim())?),
        };
        let said = if body.is_empty() { None } else { Some(self.decoded(request, package, known)?) };
        // Interop: Kamailio 5.6.3's pua_dialoginfo tells of the end of a call for 10 s, as a change or, where it has no
        // entity-tag yet, as something new, and takes no 423 for an answer: the lamp would stay lit until what it said
        // before expires. RFC 3903 §6 step 4: we may refuse, we need not.
        if let (None, Some(said)) = (known, &said)
            && (1..least_s).contains(&expires_s)
            && !self.is_said_again(request, &key, package, &said.content)
        {
            return Err(Reject::IntervalTooBrief { min_expires_s: least_s });
        }
        let said = said.map(|said| self.merged(&key, package, known, said));
        match (known, said) {
            // RFC 3903 §6 step 5: an initial publication without a body says nothing.
            (None, None) => Err(Reject::BadRequest("neither body nor SIP-If-Match".into())),
            (None, Some(said)) => self.publish_new(now, request, &key, package, said, expires_s),
            (Some(slot), _) if expires_s == 0 => {
                let Some(old) = self.facts.publications.get(slot) else { return Err(Reject::Internal) };
                let (etag, previous) = (old.etag, self.publication_value(slot));
                let answer = self.publish_answer(request, etag, 0);
                self.keep_answer(now, request, &answer);
                self.drop_publication(now, slot, "removed");
                let ticket = self.persist(Record::Delete(publication_key(slot)), Undo::To(previous));
                self.answer_publish(now, request, etag, 0, ticket);
                Ok(())
            }
            (Some(slot), said) => {
                self.publish_again(now, request, slot, said, expires_s);
                Ok(())
            }
        }
    }

    /// Only the presentity itself, or a peer trusted to publish for others.
    fn may_publish(&self, request: &Request<'_>, key: &ResourceKey) -> bool {
        let settings = &self.facts.settings;
        let identity = &request.identity;
        let peer = identity.peer.as_ref().and_then(|name| settings.peers.get(name));
        let trusted = peer.is_some_and(|peer| peer.trusted_publisher);
        match key {
            _ if peer.is_some_and(|peer| self.facts.is_peers_own(peer, key)) => true,
            ResourceKey::User { domain, user } => {
                let own = settings.domains.get(identity.domain).is_some_and(|own| own.name == *domain);
                own && (trusted || identity.user == *user)
            }
            // Why: both were found in the publisher's own context.
            ResourceKey::Extension { .. } | ResourceKey::Mailbox(_) if trusted => true,
            // Its own extension: the one whose hint is its device.
            ResourceKey::Extension { context, extension } => peer.is_some_and(|peer| {
                let found = settings.dialplan.lookup(context, extension);
                found.and_then(|found| found.hint).is_some_and(|hint| hint.devices.contains(&peer.device))
            }),
            ResourceKey::List { .. } | ResourceKey::Remote { .. } => false,
            ResourceKey::Mailbox(name) => peer.is_some_and(|peer| peer.mailboxes.contains(name)),
        }
    }

    /// Whether a publisher has not published too often (RFC 3903 §14.2).
    fn may_publish_now(&mut self, now: Now, request: &Request<'_>) -> Result<(), Reject> {
        let settings = &self.facts.settings;
        let peer = request.identity.peer.as_ref().and_then(|name| settings.peers.get(name));
        // Why: a PBX speaks for all its phones.
        let is_counted = settings.quotas.publishes_per_s > 0 && !peer.is_some_and(|p| p.trusted_publisher);
        let publisher = request.identity.name(settings).into_owned();
        if is_counted && !self.facts.publications.may_publish(now.mono, &publisher) {
            return Err(Limit::PublishRate.into());
        }
        Ok(())
    }

    /// The publication that SIP-If-Match names: bound to the presentity, the package and the publisher, else 412.
    fn matched(
        &self,
        request: &Request<'_>,
        key: &ResourceKey,
        package: PackageId,
        etag: &str,
    ) -> Result<u32, Reject> {
        if etag.len() > limits::ETAG_BYTES_MAX {
            return Err(Limit::EntityTag.into());
        }
        let slot = parse_etag(etag).and_then(|etag| self.facts.publications.find(etag));
        let slot = slot.ok_or(Reject::ConditionalRequestFailed)?;
        let publisher = request.identity.name(&self.facts.settings);
        let same = self.facts.publications.get(slot).is_some_and(|publication| {
            publication.package == package
                && publication.publisher == publisher
                && self.facts.resources.get(publication.resource).is_some_and(|resource| resource.key == *key)
        });
        if same { Ok(slot) } else { Err(Reject::ConditionalRequestFailed) }
    }

    /// The body as the package understands it, changes made to what stands (RFC 5264): 415 for a type it does not take, 400
    /// with the place of the error.
    fn decoded(&self, request: &Request<'_>, package: PackageId, known: Option<u32>) -> Result<Said, Reject> {
        let message = request.message;
        let (package, content_type, body) = (package.get(), media_type(message)?, message.body());
        let old = known.and_then(|slot| self.facts.publications.get(slot));
        let patched = old.map(|old| package.patched(content_type, &old.body, &body)).transpose();
        let whole = read(Some(patched), &[])?.flatten().unwrap_or_else(|| body.to_vec());
        let content = read(package.decode(content_type, &whole), &package.publish_types())?;
        Ok(Said { content_type: content_type.to_owned(), content, body: whole.into() })
    }

    /// What a publication says from now on: the body as it came, or merged with what stands. Remembers what is over.
    pub(crate) fn merged(
        &mut self,
        key: &ResourceKey,
        package: PackageId,
        known: Option<u32>,
        said: Said,
    ) -> Said {
        let (key, publications) = (key.to_string(), &mut self.facts.publications);
        let old = known.and_then(|slot| publications.get(slot)).map(|publication| &publication.content);
        let is_over = |name: &str| publications.over.has(&key, package, name);
        let said = match package.get().merged(old, &said.content, &is_over) {
            Some((content, body)) => Said { content, body: body.into(), ..said },
            None => said,
        };
        for name in package.get().over(&said.content) {
            publications.over.add(&key, package, &name);
        }
        said
    }

    fn publish_new(
        &mut self,
        now: Now,
        request: &Request<'_>,
        key: &ResourceKey,
        package: PackageId,
        said: Said,
        expires_s: u32,
    ) -> Result<(), Reject> {
        let etag = self.rng.next_u128();
        if expires_s == 0 {
            // Why: state that ends at once; nothing would ever see it.
            self.answer_publish_now(now, request, etag, 0);
            return Ok(());
        }
        let resource = self.resource(now, key);
        let held =
            self.facts.resources.package(resource, package).map_or(0, |state| state.publications.len());
        let quotas = &self.facts.settings.quotas;
        if is_full(held, quotas.publications_per_presentity) {
            return Err(Limit::PublicationsPerPresentity.into());
        }
        let superseded = self.superseded(request, resource, package, &said.content);
        if superseded.is_empty() {
            let publisher = request.identity.name(&self.facts.settings);
            if is_full(self.facts.publications.len(), quotas.publications) {
                return Err(Limit::Publications.into());
            }
            if is_full(self.facts.publications.of(&publisher), quotas.publications_per_publisher) {
                return Err(Limit::PublicationsPerPublisher.into());
            }
        }
        let message = request.message;
        let publication = Publication {
            resource,
            package,
            etag,
            publisher: request.identity.name(&self.facts.settings).into_owned(),
            flow: request.flow,
            content_type: said.content_type,
            body: said.body,
            content: said.content,
            expires_at: now.wall + Duration::from_secs(u64::from(expires_s)),
            modified_at: now.wall,
            change: self.facts.publications.next_change(),
            call_id: message.call_id().to_owned(),
            origin: origin_of(request),
            timer: None,
            turn: None,
            stale: false,
        };
        let slot = self.facts.publications.insert(publication);
        self.enter_publication(now, slot);
        self.tell_publication(slot, "created");
        for slot in superseded {
            self.end_publication(now, slot);
        }
        self.publications_changed(now, resource);
        let ticket = self.store_publication(slot, None);
        self.answer_publish(now, request, etag, expires_s, ticket);
        Ok(())
    }

    /// Whether a new publication takes the place of an older one.
    fn is_said_again(
        &self,
        request: &Request<'_>,
        key: &ResourceKey,
        package: PackageId,
        content: &Content,
    ) -> bool {
        let resource = self.facts.resources.find(key);
        resource.is_some_and(|resource| !self.superseded(request, resource, package, content).is_empty())
    }

    /// Older publications that a new one says again: by the same publisher, of the same things, and from the same address
    /// where the things have no name of their own.
    ///
    /// Interop: baresip 1.0.0 publishes twice at its start and keeps one entity-tag; a phone that was switched off and
    /// on has lost its own. Nobody would ever take back what they said before.
    fn superseded(
        &self,
        request: &Request<'_>,
        resource: ResourceId,
        package: PackageId,
        content: &Content,
    ) -> Vec<u32> {
        let Some(state) = self.facts.resources.package(resource, package) else { return Vec::new() };
        let publisher = request.identity.name(&self.facts.settings);
        let same = |slot: &u32| {
            self.facts.publications.get(*slot).is_some_and(|old| {
                old.publisher == publisher
                    && (package.get().supersedes(&old.content, content)
                        || old.flow.remote() == request.flow.remote()
                            && package.get().replaces(&old.content, content))
            })
        };
        state.publications.iter().copied().filter(same).collect()
    }

    /// Refresh or modify.
    fn publish_again(
        &mut self,
        now: Now,
        request: &Request<'_>,
        slot: u32,
        said: Option<Said>,
        expires_s: u32,
    ) {
        let previous = self.publication_value(slot);
        let modified = said.is_some();
        // RFC 3903 §6 step 6: a new tag for each that succeeds, a refresh too.
        let etag = self.rng.next_u128();
        self.facts.publications.retag(slot, etag);
        if let Some(said) = said {
            self.facts.publications.modify(slot, said, now.wall);
        }
        let Some(publication) = self.facts.publications.get_mut(slot) else { return };
        publication.expires_at = now.wall + Duration::from_secs(u64::from(expires_s));
        publication.call_id = request.message.call_id().to_owned();
        publication.origin = origin_of(request);
        publication.flow = request.flow;
        let resource = publication.resource;
        if let Some(timer) = publication.timer.take() {
            self.timers.cancel(timer);
        }
        let at = now.mono + Duration::from_secs(u64::from(expires_s));
        let timer = self.timers.insert(at, Timer::PublicationExpires(slot));
        if let Some(publication) = self.facts.publications.get_mut(slot) {
            publication.timer = Some(timer);
        }
        if modified {
            self.settle_publication(now, slot);
        }
        self.tell_publication(slot, if modified { "modified" } else { "refreshed" });
        if modified {
            self.arm_freshness(now, slot);
            self.publications_changed(now, resource);
        }
        let ticket = self.store_publication(slot, previous);
        self.answer_publish(now, request, etag, expires_s, ticket);
    }

    fn answer_publish(&mut self, now: Now, request: &Request<'_>, etag: u128, expires_s: u32, after: Ticket) {
        self.answerable(after, request.petitioner());
        let bytes = self.publish_answer(request, etag, expires_s);
        self.respond(now, request.server, 200, bytes, Some(after));
    }

    /// The answer that the PUBLISH of a publication had, once more.
    pub(crate) fn publish_answered_again(&mut self, now: Now, request: &Request<'_>, slot: u32) {
        let Some(publication) = self.facts.publications.get(slot) else { return };
        let left = publication.expires_at.since(now.wall).as_millis().div_ceil(1000);
        let (etag, left) = (publication.etag, u32::try_from(left).unwrap_or(u32::MAX));
        self.answer_publish_now(now, request, etag, left);
    }

    fn answer_publish_now(&mut self, now: Now, request: &Request<'_>, etag: u128, expires_s: u32) {
        let bytes = self.publish_answer(request, etag, expires_s);
        self.respond(now, request.server, 200, bytes, None);
    }

    fn publish_answer(&self, request: &Request<'_>, etag: u128, expires_s: u32) -> Bytes {
        let tag = self.stateless_tag(request.message);
        let mut writer = self.response(request.message, request.flow, StatusCode(200), Some(&tag));
        writer.header(Name::SipETag, &print_etag(etag));
        writer.header_fmt(Name::Expires, format_args!("{expires_s}"));
        self.name_us(&mut writer);
        writer.finish()
    }

    /// Puts a publication into the tables and arms its expiry.
    fn enter_publication(&mut self, now: Now, slot: u32) {
        let Some(publication) = self.facts.publications.get(slot) else { return };
        let (resource, package) = (publication.resource, publication.package);
        let at = now.mono_at(publication.expires_at);
        let timer = self.timers.insert(at, Timer::PublicationExpires(slot));
        if let Some(publication) = self.facts.publications.get_mut(slot) {
            publication.timer = Some(timer);
        }
        if let Some(state) = self.facts.resources.package_mut(resource, package) {
            state.publications.push(slot);
        }
        self.settle_publication(now, slot);
        self.arm_freshness(now, slot);
    }

    /// Lets a publication whose body was just read say what it says now, and arms the timer of when that changes.
    fn settle_publication(&mut self, now: Now, slot: u32) {
        let Some(publication) = self.facts.publications.get_mut(slot) else { return };
        if let Some(turn) = publication.turn.take() {
            self.timers.cancel(turn);
        }
        let Some((content, until)) = publication.package.get().at(&publication.content, now.wall) else {
            return;
        };
        publication.content = content;
        publication.turn =
            until.map(|until| self.timers.insert(now.mono_at(until), Timer::PublicationTurns(slot)));
    }

    /// A time came that a publication speaks of.
    pub(crate) fn on_publication_turns(&mut self, now: Now, slot: u32) {
        let Some(publication) = self.facts.publications.get_mut(slot) else { return };
        publication.turn = None;
        let package = publication.package.get();
        // Why: what stood until now has forgotten what it replaced; the body has not.
        let Some(Ok(whole)) = package.decode(&publication.content_type, &publication.body) else { return };
        publication.content = whole;
        let resource = publication.resource;
        self.settle_publication(now, slot);
        self.tell_publication(slot, "timed");
        self.publications_changed(now, resource);
    }

    /// Takes a publication out of memory; its row is the caller's.
    fn drop_publication(&mut self, now: Now, slot: u32, change: &'static str) {
        self.tell_publication(slot, change);
        let Some(publication) = self.facts.publications.remove(slot) else { return };
        for timer in publication.timer.into_iter().chain(publication.turn) {
            self.timers.cancel(timer);
        }
        let resource = publication.resource;
        if let Some(state) = self.facts.resources.package_mut(resource, publication.package) {
            state.publications.retain(|other| *other != slot);
        }
        self.publications_changed(now, resource);
        self.release_resource(resource);
    }

    /// Ends a publication whose presentity is gone.
    pub(crate) fn end_publication(&mut self, now: Now, slot: u32) {
        self.drop_publication(now, slot, "removed");
        self.persist(Record::Delete(publication_key(slot)), Undo::No);
    }

    /// A publication's time is up (RFC 3903 §6 step 6: no state is kept beyond it).
    pub(crate) fn on_publication_expired(&mut self, now: Now, slot: u32) {
        let Some(publication) = self.facts.publications.get_mut(slot) else { return };
        publication.timer = None;
        self.drop_publication(now, slot, "expired");
        self.persist(Record::Delete(publication_key(slot)), Undo::No);
    }

    fn tell_publication(&mut self, slot: u32, change: &'static str) {
        let Some(publication) = self.facts.publications.get(slot) else { return };
        let resource = self.resource_name(publication.resource);
        let package = publication.package.name();
        self.tell(Event::Publication { resource, package, change });
    }

    fn resource_name(&self, id: ResourceId) -> String {
        self.facts.resources.get(id).map_or_else(String::new, |resource| resource.key.to_string())
    }

    fn publication_value(&self, slot: u32) -> Option<Value> {
        let publication = self.facts.publications.get(slot)?;
        let record = publication.record(self.resource_name(publication.resource));
        Some(Value::Publication(Box::new(record)))
    }

    fn store_publication(&mut self, slot: u32, previous: Option<Value>) -> Ticket {
        let key = publication_key(slot);
        let record = match self.publication_value(slot) {
            Some(value) => Record::Upsert(key, value),
            None => Record::Delete(key),
        };
        self.persist(record, Undo::To(previous))
    }

    /// A gateway has said something: the publication at `slot` holds it, until then.
    pub(crate) fn source_said(&mut self, now: Now, slot: u32, is_new: bool, expires_at: UnixTime) {
        let Some(resource) = self.facts.publications.get(slot).map(|publication| publication.resource) else {
            return;
        };
        if is_new {
            self.enter_publication(now, slot);
        } else {
            self.settle_publication(now, slot);
            self.arm_freshness(now, slot);
        }
        self.tell_publication(slot, if is_new { "created" } else { "modified" });
        self.publications_changed(now, resource);
        self.source_lasts(now, slot, expires_at);
    }

    /// What a gateway said holds until then.
    pub(crate) fn source_lasts(&mut self, now: Now, slot: u32, expires_at: UnixTime) {
        let Some(publication) = self.facts.publications.get_mut(slot) else { return };
        publication.expires_at = expires_at;
        if let Some(timer) = publication.timer.take() {
            self.timers.cancel(timer);
        }
        publication.timer =
            Some(self.timers.insert(now.mono_at(expires_at), Timer::PublicationExpires(slot)));
        if let Some(value) = self.publication_value(slot) {
            // Why nobody undoes it: the gateway tells it again.
            self.persist(Record::Upsert(publication_key(slot), value), Undo::No);
        }
    }

    /// A publication's row from the store, or before a change that could not be stored.
    pub(crate) fn put_publication(
        &mut self,
        now: Now,
        slot: u32,
        record: Option<PublicationRecord>,
        put: Put,
    ) {
        if put == Put::Undo && self.facts.publications.get(slot).is_some() {
            self.drop_publication(now, slot, "undone");
        }
        let Some(record) = record else { return };
        let Some(package) = PackageId::by_name(&record.package) else { return };
        let Some(key) = ResourceKey::parse(&record.resource) else { return };
        let Some(Ok(content)) = package.get().decode(&record.content_type, &record.body) else { return };
        let resource = self.resource(now, &key);
        let publication = Publication {
            resource,
            package,
            etag: record.etag,
            publisher: record.publisher,
            flow: if put == Put::Restart { record.flow.restarted() } else { record.flow },
            content_type: record.content_type,
            body: record.body,
            content,
            expires_at: record.expires_at,
            modified_at: record.modified_at,
            change: self.facts.publications.next_change(),
            call_id: record.call_id,
            origin: record.origin,
            timer: None,
            turn: None,
            stale: false,
        };
        if put == Put::Restart {
            self.repeats.knows_publication(slot, &publication.call_id, &publication.origin);
            self.facts.publications.restore(slot, publication);
        } else {
            self.facts.publications.put(slot, publication);
        }
        self.enter_publication(now, slot);
        self.publications_changed(now, resource);
    }
}

fn origin_of(request: &Request<'_>) -> Origin {
    Origin {
        cseq: request.message.cseq().seq,
        branch: request.message.top_via().branch().unwrap_or("").to_owned(),
    }
}

/// The row of a publication.
fn publication_key(slot: u32) -> Key {
    Key { kind: Kind::Publication, slot: u64::from(slot) }
}
