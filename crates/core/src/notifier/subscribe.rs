//! SUBSCRIBE, from request to subscription (RFC 6665 §4.2.1): create, refresh, fetch, unsubscribe.
//!
//! What is checked, in this order: the dialog, the package, may this peer subscribe at all, the Contact, the resource, may
//! this watcher watch it, the body format, the life asked for. Only then is anything changed.

use super::filtering;
use super::pace;
use super::rates::Rates;
use super::size::{Fit, StreamTo};
use super::subscription::{EndReason, Subscription, TEXTS, Text, Texts, local_tag, slot_of_tag};
use super::suppress::{Suppress, condition};
use crate::authn::{Authenticator, Identity};
use crate::authz::policy::Standing;
use crate::body::dialog_info::shown::Reveal;
use crate::bucket::network;
use crate::features::{Feature, Features};
use crate::filter::FilterSet;
use crate::hits::Limit;
use crate::limits;
use crate::lists::OPTION;
use crate::lists::find::FoundList;
use crate::lists::request::{brings_list, unsupported};
use crate::lists::resource_lists::Entry as Brought;
use crate::node::Node;
use crate::output::{Event, Ticket};
use crate::packages::{self, PackageId, Tells};
use crate::quotas::is_full;
use crate::received_body::{media_type, read};
use crate::reject::Reject;
use crate::resource::ResourceKey;
use crate::router::Request;
use crate::tickets::{Petitioner, Resume, Undo};
use crate::time::{Instant, Now};
use crate::ways::Traveller;
use bytes::Bytes;
use lampyris_sip::headers::{Contact, Event as EventHeader, expires};
use lampyris_sip::{Message, Name, StatusCode};
use smallvec::SmallVec;
use std::time::Duration;

/// The highest quality in Accept, in thousandths.
const QUALITY_MAX: u16 = 1000;

/// What a SUBSCRIBE asks for, as far as it concerns a new subscription.
struct Wish {
    resource: ResourceKey,
    package: PackageId,
    event_id: String,
    event_params: String,
    format: u8,
    expires_s: u32,
    target: String,
    instance: String,
    routes: String,
    rates: Rates,
    filters: Option<FilterSet>,
    profile: u16,
    set: Option<(Feature, Features)>,
    standing: Standing,
    list: Option<Option<Vec<Brought>>>,
}

impl Node {
    /// Takes an authenticated SUBSCRIBE.
    ///
    /// # Errors
    /// 400, 403, 404, 406, 415, 416, 423, 481, 489, 500, 503.
    pub(crate) fn on_subscribe(&mut self, now: Now, request: &Request<'_>) -> Result<(), Reject> {
        match request.message.to_tag() {
            Some(tag) => self.on_subscribe_in_dialog(now, request, tag),
            None => self.on_new_subscribe(now, request),
        }
    }

    fn on_new_subscribe(&mut self, now: Now, request: &Request<'_>) -> Result<(), Reject> {
        let mut wish = self.wish(now, request)?;
        let known = condition(request.message)?;
        if let Some(retry_after_s) = self.drain_retry_after() {
            return Err(Reject::ServiceUnavailable { retry_after_s });
        }
        self.has_room(request, &wish)?;
        if self.set_by_body(now, request, &wish.resource, wish.set.take()) {
            return Ok(());
        }
        let (message, fetch) = (request.message, wish.expires_s == 0);
        let resource = self.resource(now, &wish.resource);
        let watcher = request.identity.name(&self.facts.settings).into_owned();
        let replaced = self.same_subscription(&watcher, resource, &wish);
        let random = self.rng.next_u64();
        let is_pending = wish.standing == Standing::Pending;
        let slot = self.subscriptions.slots.insert(Subscription {
            resource,
            place: 0,
            package: wish.package,
            format: wish.format,
            profile: wish.profile,
            texts: Texts::pack([""; TEXTS]),
            flow: request.flow.into(),
            remote_cseq: message.cseq().seq,
            local_cseq: 0,
            stored_cseq: 0,
            // Why: each NOTIFY raises it first, so the first document has version 0 (RFC 4235 §4.1).
            version: u32::MAX,
            origin_cseq: message.cseq().seq,
            granted_s: wish.expires_s,
            expires_at: now.wall + Duration::from_secs(u64::from(wish.expires_s)),
            created_at: now.wall,
            expiry: None,
            retry: None,
            failures: 0,
            in_flight: None,
            pending: true,
            forced: true,
            suppress: Suppress::Nothing,
            filtering: None,
            list: None,
            next_at: Instant::default(),
            pace: None,
            ending: fetch.then_some(EndReason::Timeout),
            sent_hash: 0,
            sent_revision: 0,
            told_revision: None,
            acknowledged: false,
            told: None,
            last_answer: None,
            answered_at: now.wall,
            notifies: 0,
            behind: crate::metrics::Behind::default(),
            fit: Fit::Whole,
            stream: StreamTo::Untried,
            standing: wish.standing,
            approved: false,
        });
        let tag = local_tag(slot, random);
        let texts = Texts::pack([
            &wish.event_id,
            &wish.event_params,
            message.call_id(),
            &tag,
            message.from_tag().unwrap_or(""),
            without_tag(message.header(Name::To).unwrap_or("")),
            without_tag(message.header(Name::From).unwrap_or("")),
            message.request_uri().unwrap_or(""),
            &watcher,
            &wish.target,
            &wish.instance,
            &wish.routes,
            user_agent_of(message),
            message.top_via().branch().unwrap_or(""),
        ]);
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.texts = texts;
        }
        self.set_filters(slot, wish.filters.take());
        if let Some(brought) = wish.list.take() {
            let fits = if self.open_list(now, slot, brought.map(Into::into)) {
                self.list_fits(slot, request.flow)
            } else {
                Err(Reject::NotFound)
            };
            if let Err(reject) = fits {
                self.remove_subscription(slot);
                return Err(reject);
            }
        }
        // RFC 5839 §6.2: outside a dialog there is always a NOTIFY; only its body goes.
        self.suppress_if(slot, known);
        let accepted = self.accepted();
        if fetch {
            // RFC 6665 §4.4.3: one NOTIFY with the state, nothing kept.
            self.answer_subscribe(now, request, slot, accepted, None);
            // RFC 3857 §4.7.1: a fetch that nobody has decided upon waits too.
            if self.subscriptions.get(slot).is_some_and(|fetch| fetch.standing == Standing::Pending) {
                self.watcher_left(now, slot, EndReason::Timeout.as_str());
            }
            self.say_farewell(now, slot, None);
            return Ok(());
        }
        self.set_pace(now, slot, wish.rates);
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.next_at = Instant::default();
        }
        self.enter(now, slot);
        self.demand(now, resource, wish.package);
        if let Some(old) = replaced {
            self.end(now, old, EndReason::NoResource, None);
        }
        let ticket = self.store_subscription(slot, Undo::To(None));
        if let Some(ticket) = ticket {
            self.answerable(ticket, request.petitioner());
        }
        self.answer_subscribe(now, request, slot, accepted, ticket);
        let event = Event::Subscription {
            resource: message.request_uri().unwrap_or("").to_owned(),
            package: wish.package.name(),
            watcher,
            state: if is_pending { "pending" } else { "active" },
        };
        self.tell(event);
        self.watcher_came(slot);
        // Why: what changed while nobody watched is not in the mark, and this watcher is shown it.
        self.mark_shown(now, resource, wish.package);
        self.notify(now, slot, ticket);
        Ok(())
    }

    /// Whether there may be one subscription more: of this watcher, to this resource, from this address, at all.
    fn has_room(&self, request: &Request<'_>, wish: &Wish) -> Result<(), Reject> {
        let (settings, subscriptions) = (&self.facts.settings, &self.subscriptions);
        let quotas = &settings.quotas;
        if is_full(subscriptions.len(), quotas.subscriptions) {
            return Err(Limit::Subscriptions.into());
        }
        let watcher = request.identity.name(settings);
        let resource = self.facts.resources.find(&wish.resource);
        // Why: what is replaced, or not kept, takes no room.
        let replaces = resource.is_some_and(|id| self.same_subscription(&watcher, id, wish).is_some());
        if replaces || wish.expires_s == 0 {
            return Ok(());
        }
        if is_full(
            subscriptions.by_watcher.of(subscriptions.by_watcher.key(&watcher)),
            quotas.subscriptions_per_watcher,
        ) {
            return Err(Limit::SubscriptionsPerWatcher.into());
        }
        let source = network(request.flow.remote().ip());
        // Why: a proxy that is trusted to know who asks stands for many.
        let is_counted =
            !Authenticator::is_trusted(settings, request.flow) && request.identity.foreign.is_none();
        if is_counted && is_full(subscriptions.by_source.of(source), quotas.subscriptions_per_source) {
            return Err(Limit::SubscriptionsPerSource.into());
        }
        let watching = |package| {
            let state = resource.and_then(|id| self.facts.resources.package(id, package));
            state.map_or(0, |state| state.watchers.len())
        };
        if is_full(PackageId::all().map(watching).sum(), quotas.subscriptions_per_presentity) {
            return Err(Limit::SubscriptionsPerPresentity.into());
        }
        Ok(())
    }

    /// An older subscription of the same phone to the same thing: the new one replaces it.
    fn same_subscription(&self, watcher: &str, resource: u32, wish: &Wish) -> Option<u32> {
        let phone = if wish.instance.is_empty() { &wish.target } else { &wish.instance };
        let event = (wish.event_id.as_str(), wish.event_params.as_str());
        let identity = self.subscriptions.identity(watcher, resource, wish.package, event, phone);
        // Why: two things may share a hash.
        let is_same = |old: &Subscription| {
            let same_phone = if wish.instance.is_empty() {
                old.text(Text::Instance).is_empty() && old.text(Text::Target) == wish.target
            } else {
                old.text(Text::Instance) == wish.instance
            };
            same_phone
                && old.text(Text::Watcher) == watcher
                && old.resource == resource
                && old.package == wish.package
                && (old.text(Text::EventId), old.text(Text::EventParams)) == event
        };
        let mut slots = self.subscriptions.by_identity.find(identity);
        slots.find(|slot| self.subscriptions.get(*slot).is_some_and(is_same))
    }

    fn on_subscribe_in_dialog(&mut self, now: Now, request: &Request<'_>, tag: &str) -> Result<(), Reject> {
        let message = request.message;
        let slot = slot_of_tag(tag).ok_or(Reject::NoSuchDialog)?;
        let subscription = self.subscriptions.get(slot).ok_or(Reject::NoSuchDialog)?;
        let event = event_of(message)?;
        let same = subscription.ending.is_none()
            && subscription.text(Text::LocalTag) == tag
            && subscription.text(Text::CallId) == message.call_id()
            && subscription.text(Text::RemoteTag) == message.from_tag().unwrap_or("")
            && subscription.text(Text::Watcher) == request.identity.name(&self.facts.settings)
            && PackageId::by_name(event.package) == Some(subscription.package)
            && subscription.text(Text::EventId) == event.id().unwrap_or("");
        if !same {
            return Err(Reject::NoSuchDialog);
        }
        let cseq = message.cseq().seq;
        if cseq <= subscription.remote_cseq && !request.body_done {
            return Err(Reject::OutOfOrder);
        }
        let package = subscription.package;
        let watched = self.facts.resources.get(subscription.resource).map(|resource| resource.key.clone());
        let watched = watched.ok_or(Reject::NoSuchDialog)?;
        let still = self.decision_on(now, slot).and_then(|decision| decision.standing());
        let refusal = self.may_subscribe(&request.identity).err();
        let refusal = refusal.or(still.is_none().then_some(Reject::Forbidden));
        if let Some(reject) = refusal {
            self.end(now, slot, EndReason::Rejected, None);
            return Err(reject);
        }
        let expires_s = self.granted(message)?;
        let known = condition(message)?;
        let rates = pace::asked(event.params)?;
        let set = self.wished_features(request, package, &watched)?;
        if self.set_by_body(now, request, &watched, set) {
            // Why: a request that comes meanwhile is a later one.
            if let Some(subscription) = self.subscriptions.get_mut(slot) {
                subscription.remote_cseq = cseq;
            }
            return Ok(());
        }
        let is_list = self.subscriptions.get(slot).is_some_and(|subscription| subscription.list.is_some());
        // RFC 5367 §5.1: a later list means nothing.
        if is_list && brings_list(message) {
            return Err(unsupported());
        }
        let filters = if is_list { None } else { self.changed_filters(message, slot)? };
        if let Some(list) =
            self.subscriptions.get_mut(slot).and_then(|subscription| subscription.list.as_mut())
        {
            // RFC 4662 §5.2: after each SUBSCRIBE everything is told.
            list.full = true;
        }
        if expires_s == 0 {
            let undo = self.undo_to(slot);
            let suppressed = self.suppress_if(slot, known);
            // Why: it is counted by the address it came from before.
            self.leave(slot);
            if let Some(subscription) = self.subscriptions.get_mut(slot) {
                subscription.remote_cseq = subscription.remote_cseq.max(cseq);
                subscription.expires_at = now.wall;
                subscription.granted_s = 0;
                subscription.flow = request.flow.into();
            }
            let status = if suppressed { StatusCode::NO_NOTIFICATION } else { self.accepted() };
            if let Some(answer) = self.subscribe_answer(request, slot, status) {
                self.keep_answer(now, request, &answer);
            }
            let ticket = self.persist_end(slot, undo);
            self.answerable(ticket, request.petitioner());
            self.answer_subscribe(now, request, slot, status, Some(ticket));
            if suppressed {
                self.finish_silently(now, slot);
            } else {
                self.finish(now, slot, EndReason::Timeout, Some(ticket));
            }
            return Ok(());
        }
        let undo = self.undo_to(slot);
        let target = match contact_of(message) {
            Ok((target, _)) => target,
            Err(_) => self.subscriptions.get(slot).map_or("", |s| s.text(Text::Target)).to_owned(),
        };
        let profile = self.subscriptions.get(slot).map_or(0, |s| s.profile);
        let format = self.chosen_format(message, package, profile, is_list);
        self.leave(slot);
        // Why: the way was to where the phone was before.
        if self.subscriptions.get(slot).is_some_and(|subscription| subscription.text(Text::Target) != target)
        {
            self.forget_way(Traveller::Subscription(slot));
            if let Some(subscription) = self.subscriptions.get_mut(slot) {
                subscription.stream = StreamTo::Untried;
            }
        }
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            let branch = message.top_via().branch().unwrap_or("").to_owned();
            subscription.texts =
                subscription.texts.with(&[(Text::Target, &target), (Text::OriginBranch, &branch)]);
            subscription.remote_cseq = subscription.remote_cseq.max(cseq);
            subscription.origin_cseq = cseq;
            subscription.flow = request.flow.into();
            subscription.granted_s = expires_s;
            subscription.expires_at = now.wall + Duration::from_secs(u64::from(expires_s));
            // A refresh without Accept keeps the format (asterisk.md B5).
            if message.header(Name::Accept).is_some()
                && let Ok(format) = format
            {
                subscription.format = format;
            }
        }
        self.set_filters(slot, filters);
        self.set_pace(now, slot, rates);
        let suppressed = self.suppress_if(slot, known);
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.pending = true;
            subscription.forced = true;
            // Why: a watcher that has the whole state and missed no version may be told what is new next.
            if !suppressed || subscription.failures > 0 {
                subscription.told_revision = None;
            }
            subscription.failures = 0;
            if !suppressed {
                // RFC 6446 §5.2: the NOTIFY that answers a SUBSCRIBE waits for nothing.
                subscription.next_at = Instant::default();
            }
        }
        self.enter(now, slot);
        let ticket = self.store_subscription(slot, undo);
        if let Some(ticket) = ticket {
            self.answerable(ticket, request.petitioner());
        }
        if suppressed {
            self.hush(slot);
            self.answer_subscribe(now, request, slot, StatusCode::NO_NOTIFICATION, ticket);
            return Ok(());
        }
        self.answer_subscribe(now, request, slot, self.accepted(), ticket);
        self.notify(now, slot, ticket);
        Ok(())
    }

    /// The features that a user has after the body of this SUBSCRIBE, and which of them it changes.
    fn wished_features(
        &self,
        request: &Request<'_>,
        package: PackageId,
        user: &ResourceKey,
    ) -> Result<Option<(Feature, Features)>, Reject> {
        let (message, types) = (request.message, package.get().set_types());
        let body = message.body();
        if body.is_empty() || types.is_empty() || request.body_done {
            return Ok(None);
        }
        let change = read(package.get().change(media_type(message)?, &body), &types)?;
        let features = self.facts.features_of(user).with(&change);
        let features = features.map_err(|why| Reject::BadRequest(why.into()))?;
        Ok(Some((change.feature, features)))
    }

    /// Sets what the body of a SUBSCRIBE asks for; whether the rest of it has to wait until that is durable.
    ///
    /// Why one after the other: a 2xx can wait for one row only, and it promises two.
    fn set_by_body(
        &mut self,
        now: Now,
        request: &Request<'_>,
        user: &ResourceKey,
        set: Option<(Feature, Features)>,
    ) -> bool {
        let by = || format!("phone at {}", request.flow.remote());
        let Some(ticket) = set.and_then(|set| self.set_features(now, user, set, by())) else { return false };
        self.answerable(ticket, request.petitioner());
        self.tickets.resumes(ticket, Resume { identity: request.identity.clone(), user: user.clone() });
        true
    }

    /// What the body of a SUBSCRIBE asked for is durable: it is shown, and now the rest of it.
    pub(crate) fn resume_subscribe(&mut self, now: Now, resume: Resume, petitioner: &Petitioner) {
        let Resume { identity, user } = resume;
        self.features_changed(&user);
        let Petitioner { request, server, flow } = petitioner;
        let Ok(message) = Message::parse(request.clone()) else { return };
        let request = Request { flow: *flow, message: &message, identity, server: *server, body_done: true };
        if let Err(reject) = self.on_subscribe(now, &request) {
            self.reject(now, &request, &reject);
        }
    }

    /// The status of an accepted SUBSCRIBE that a NOTIFY follows (RFC 6665 §8.3.1: 200 unless configured otherwise).
    fn accepted(&self) -> StatusCode {
        StatusCode(self.facts.settings.subscribe_response)
    }

    /// The 2xx (RFC 6665 §4.2.1.1).
    fn answer_subscribe(
        &mut self,
        now: Now,
        request: &Request<'_>,
        slot: u32,
        status: StatusCode,
        after: Option<Ticket>,
    ) {
        if let Some(bytes) = self.subscribe_answer(request, slot, status) {
            self.respond(now, request.server, status.0, bytes, after);
        }
    }

    /// The answer that the SUBSCRIBE which wrote a subscription had, once more, and a NOTIFY, as it may be lost as well.
    pub(crate) fn subscribe_answered_again(&mut self, now: Now, request: &Request<'_>, slot: u32) {
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.granted_s = subscription.expires_s(now.wall);
            subscription.flow = request.flow.into();
            subscription.pending = true;
            subscription.forced = true;
        }
        self.answer_subscribe(now, request, slot, self.accepted(), None);
        self.notify_if_due(now, slot);
    }

    fn subscribe_answer(&self, request: &Request<'_>, slot: u32, status: StatusCode) -> Option<Bytes> {
        let subscription = self.subscriptions.get(slot)?;
        let tag = subscription.text(Text::LocalTag);
        let contact = self.contact_in(request.flow, subscription)?;
        let mut writer = self.response(request.message, request.flow, status, Some(tag));
        for route in request.message.headers(Name::RecordRoute) {
            writer.header(Name::RecordRoute, route);
        }
        writer.header_with(Name::Contact, |value| contact.write(value));
        if subscription.list.is_some() {
            // RFC 4662 §4.1.
            writer.header(Name::Require, OPTION);
        }
        writer.header_fmt(Name::Expires, format_args!("{}", subscription.granted_s));
        self.name_us(&mut writer);
        Some(writer.finish())
    }

    fn wish(&self, now: Now, request: &Request<'_>) -> Result<Wish, Reject> {
        let message = request.message;
        let event = event_of(message)?;
        let package = PackageId::by_name(event.package).ok_or_else(bad_event)?;
        self.may_subscribe(&request.identity)?;
        let (target, instance) = contact_of(message)?;
        let (resource, list) = match self.find_list(&request.identity, message, package)? {
            Some(FoundList { key, brought }) => (key, Some(brought)),
            None => (self.find_resource(&request.identity, message, package, false)?, None),
        };
        let watcher = request.identity.name(&self.facts.settings);
        let decision = self.facts.decide(now.wall, &watcher, &resource, package);
        let standing = decision.standing().ok_or(Reject::Forbidden)?;
        let user_agent = message.header(Name::UserAgent).unwrap_or("");
        let profile = self.profile_for(request.identity.peer.as_deref(), user_agent);
        let format = self.chosen_format(message, package, profile, list.is_some())?;
        let expires_s = self.granted(message)?;
        let routes = route_set(message)?;
        let event_id = event.id().unwrap_or("").to_owned();
        let event_params = package.get().event_params(event.params);
        let event_params = event_params.map_err(|why| Reject::BadRequest(why.into()))?;
        if event_params.len() > limits::EVENT_PARAMS_BYTES_MAX {
            return Err(Limit::EventParams.into());
        }
        // RFC 4235 §3.7.2: who may not see identifiers may not subscribe by them.
        if !event_params.is_empty() && self.reveal_to(&watcher, &resource) == Reveal::State {
            return Err(Reject::Forbidden);
        }
        let set = self.wished_features(request, package, &resource)?;
        Ok(Wish {
            resource,
            package,
            event_id,
            event_params,
            format,
            expires_s,
            target,
            instance,
            routes,
            rates: pace::asked(event.params)?,
            filters: match list {
                Some(_) => filtering::none_of_list(message)?,
                None => {
                    filtering::asked(message, (package, format), message.request_uri().unwrap_or(""), None)?
                }
            },
            profile,
            set,
            standing,
            list,
        })
    }

    /// `allowsubscribe`, of the general section and of the peer.
    fn may_subscribe(&self, identity: &Identity) -> Result<(), Reject> {
        let settings = &self.facts.settings;
        let peer = identity.peer.as_ref().and_then(|name| settings.peers.get(name));
        if settings.allow_subscribe && peer.is_none_or(|peer| peer.allow_subscribe) {
            Ok(())
        } else {
            Err(Reject::Forbidden)
        }
    }

    /// The body format for this phone: its Accept decides, its profile's preference and then ours break ties.
    pub(super) fn chosen_format(
        &self,
        message: &Message,
        package: PackageId,
        profile: u16,
        is_list: bool,
    ) -> Result<u8, Reject> {
        let count = package.get().format_count();
        let mut preferred: SmallVec<[usize; 8]> = SmallVec::new();
        if let Some(profile) = self.facts.settings.profiles.get(usize::from(profile)) {
            preferred.extend(profile.prefer.iter().filter_map(|t| package.format(t)).map(usize::from));
        }
        for format in 0..count {
            if !preferred.contains(&format) {
                preferred.push(format);
            }
        }
        let accept = message.accept();
        if accept.as_ref().is_some_and(|accept| accept.len() > limits::ACCEPT_RANGES_MAX) {
            return Err(Limit::Accept.into());
        }
        let is_named =
            |format: usize| accept.as_ref().is_some_and(|accept| accept.names(package.content_type(format)));
        // RFC 5263 §4.3: changes are for those who ask for them, and those who do want them rather than the whole. A package
        // that has nothing else tells them to everybody (RFC 3857 §4.5).
        let is_partial = |format: &usize| package.get().tells(*format) == Tells::Changes;
        let has_whole = !preferred.iter().all(is_partial);
        let changes = |format: &usize| has_whole && is_partial(format);
        let asked_for = preferred.iter().copied().filter(|format| changes(format) && is_named(*format));
        let mut offered = asked_for.chain(preferred.iter().copied().filter(|format| !changes(format)));
        // RFC 6665 §3.1.3: without Accept the package's default format.
        let best = match &accept {
            None => offered.next(),
            Some(accept) => {
                let (mut first, mut best): (_, Option<(u16, usize)>) = (None, None);
                for format in offered {
                    first = first.or(Some(format));
                    let quality = accept.quality(package.content_type(format));
                    if quality > 0 && best.is_none_or(|(best, _)| quality > best) {
                        best = Some((quality, format));
                    }
                    // Why: none is better than the best there is.
                    if quality == QUALITY_MAX {
                        break;
                    }
                }
                // Interop: some name only what a list itself is made of.
                let names_list = is_list && accept.names("multipart/related");
                best.map(|(_, format)| format).or_else(|| first.filter(|_| names_list))
            }
        };
        let format = best.and_then(|format| u8::try_from(format).ok());
        format.ok_or_else(|| {
            let ours: Vec<_> = (0..count).map(|format| package.content_type(format)).collect();
            Reject::NotAcceptable { accept: ours.join(", ").into() }
        })
    }

    /// Seconds granted for what the request asks; 0 ends or fetches.
    fn granted(&self, message: &Message) -> Result<u32, Reject> {
        self.granted_within(message, self.facts.settings.subscription_expires_s)
    }

    /// Seconds granted within bounds: 423 below the minimum, cut to the maximum, 0 stays 0.
    pub(crate) fn granted_within(
        &self,
        message: &Message,
        bounds: crate::settings::Bounds,
    ) -> Result<u32, Reject> {
        let asked = message.header(Name::Expires).map(expires::delta_seconds);
        match asked {
            None => Ok(bounds.default),
            Some(Err(_)) => Err(Reject::BadRequest("malformed Expires".into())),
            Some(Ok(0)) => Ok(0),
            Some(Ok(asked)) if asked < bounds.min => {
                Err(Reject::IntervalTooBrief { min_expires_s: bounds.min })
            }
            Some(Ok(asked)) => Ok(asked.min(bounds.max)),
        }
    }
}

/// What is kept of User-Agent.
pub(crate) fn user_agent_of(message: &Message) -> &str {
    let agent = message.header(Name::UserAgent).unwrap_or("");
    &agent[..agent.floor_char_boundary(limits::USER_AGENT_BYTES_MAX)]
}

/// 489 with what we have.
pub(crate) fn bad_event() -> Reject {
    Reject::BadEvent { allow_events: packages::allow_events().into() }
}

/// The Event header; a request without one is 489 (RFC 6665 §7.2.1 makes it mandatory; asterisk.md B5).
fn event_of(message: &Message) -> Result<EventHeader<'_>, Reject> {
    let value = message.header(Name::Event).ok_or_else(bad_event)?;
    EventHeader::parse(value).map_err(|_| Reject::BadRequest("malformed Event".into()))
}

/// The remote target and the phone's instance; exactly one Contact is needed (RFC 3261 §8.1.1.8, security row 4).
fn contact_of(message: &Message) -> Result<(String, String), Reject> {
    let mut values = message.values(Name::Contact);
    let Some(first) = values.next() else { return Err(Reject::BadRequest("no Contact".into())) };
    if values.next().is_some() {
        return Err(Reject::BadRequest("more than one Contact".into()));
    }
    let Ok(Contact::Addr(contact)) = Contact::parse(first) else {
        return Err(Reject::BadRequest("malformed Contact".into()));
    };
    if contact.uri().len() > limits::URI_BYTES_MAX {
        return Err(Limit::Contact.into());
    }
    Ok((contact.uri().to_owned(), contact.instance().unwrap_or("").to_owned()))
}

/// The route set of the new dialog: Record-Route in the order it stands (RFC 3261 §12.1.1).
fn route_set(message: &Message) -> Result<String, Reject> {
    let routes: Vec<_> = message.values(Name::RecordRoute).collect();
    if routes.len() > limits::ROUTES_MAX {
        return Err(Limit::Routes.into());
    }
    Ok(routes.join(", "))
}

/// A From or To value without its tag; everything else stays as it was.
fn without_tag(value: &str) -> &str {
    // Why: the tag is a header parameter, so it stands behind the closing bracket, or behind the bare URI.
    let params = value.rfind('>').unwrap_or(0);
    // Why: white space may stand around `;` and `=` (RFC 3261 §25.1).
    let is_tag =
        |param: &str| param.split_once('=').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("tag"));
    let (mut at, rest) = (params, &value[params..]);
    for (index, param) in rest.split(';').enumerate() {
        if index > 0 && is_tag(param) {
            return value[..at - 1].trim_end();
        }
        at += param.len() + 1;
    }
    value
}

impl Request<'_> {
    /// Whom to answer 503 if what this request changed cannot be stored.
    pub(crate) fn petitioner(&self) -> Petitioner {
        Petitioner { request: self.message.raw().clone(), server: self.server, flow: self.flow }
    }
}

#[cfg(test)]
mod tests {
    use super::without_tag;

    #[test]
    fn only_the_tag_goes() {
        for (with, without) in [
            ("<sip:a@x>;tag=1", "<sip:a@x>"),
            ("\"A;tag=0\" <sip:a@x;tag=2>;tag=1", "\"A;tag=0\" <sip:a@x;tag=2>"),
            ("sip:a@x;TAG=1", "sip:a@x"),
            ("<sip:a@x>", "<sip:a@x>"),
            ("<sip:a@x> ; tag=1", "<sip:a@x>"),
            ("<sip:a@x>;x=y; tag = 1;z", "<sip:a@x>;x=y"),
            ("sip:a@x;stag=1", "sip:a@x;stag=1"),
        ] {
            assert_eq!(without_tag(with), without);
        }
    }
}
