//! REGISTER, from request to bindings (RFC 3261 §10.3), and what ends a binding besides.

use crate::authn::Identity;
use crate::body::reginfo::ContactEvent;
use crate::flow::StreamId;
use crate::gruu;
use crate::hits::Limit;
use crate::journal::{BindingRecord, BindingsRecord, GruuRecord, Key, Kind, Record, Value};
use crate::limits;
use crate::node::{Node, Put, Timer};
use crate::notifier::user_agent_of;
use crate::outbound;
use crate::output::{Event, Ticket};
use crate::packages::{PackageId, StateKind};
use crate::quotas::is_full;
use crate::registrar::{Change, Refusal, Update, first_expiry, streams_of};
use crate::reject::Reject;
use crate::resource::ResourceKey;
use crate::router::Request;
use crate::tickets::Undo;
use crate::time::Now;
use bytes::Bytes;
use lampyris_sip::headers::{Contact, expires};
use lampyris_sip::{Message, Name, NameAddr, StatusCode};
use std::time::Duration;

impl Node {
    /// Takes an authenticated REGISTER.
    ///
    /// # Errors
    /// 400, 403, 404, 423, 439, 500, 503.
    pub(crate) fn on_register(&mut self, now: Now, request: &Request<'_>) -> Result<(), Reject> {
        let message = request.message;
        let aor = self.registered_aor(&request.identity, message)?;
        let contacts: Vec<&str> = message.values(Name::Contact).collect();
        if contacts.len() > limits::CONTACTS_PER_REQUEST_MAX {
            return Err(Limit::Contacts.into());
        }
        if contacts.is_empty() {
            self.answer_register(now, request, &aor, false);
            return Ok(());
        }
        let outbound = outbound::applies(message, request.flow)?;
        let series = self.rng.next_u64();
        let (bindings, removes) = self.wanted_bindings(now, request, &aor, &contacts, series)?;
        if removes {
            let answer = self.register_answer(now, request, &aor, &bindings, outbound);
            self.keep_answer(now, request, &answer);
        }
        let ticket = self.set_bindings(now, &aor, bindings, ContactEvent::Unregistered);
        if let Some(ticket) = ticket {
            self.answerable(ticket, request.petitioner());
        }
        // Why only now: the first temporary GRUU of an AOR is made of the slot it has been given.
        let answer = self.register_answer(now, request, &aor, self.facts.registrar.bindings(&aor), outbound);
        self.respond(now, request.server, 200, answer, ticket);
        Ok(())
    }

    /// The answer that the REGISTER of a binding had, once more.
    pub(crate) fn register_answered_again(&mut self, now: Now, request: &Request<'_>, aor: &str) {
        let outbound = outbound::applies(request.message, request.flow).unwrap_or(false);
        self.answer_register(now, request, aor, outbound);
    }

    /// The AOR in To, which must be a user of ours (RFC 3261 §10.3 steps 4 and 5).
    fn registered_aor(&self, identity: &Identity, message: &Message) -> Result<String, Reject> {
        let address = self.address(message.to().uri())?.ok_or(Reject::NotFound)?;
        if address.user.is_empty() {
            return Err(Reject::NotFound);
        }
        if let Some(peer) = self.peer_named(address.domain, &address.user) {
            return Ok(self.facts.aor(peer));
        }
        let domain = self.facts.settings.domains.get(address.domain).filter(|domain| domain.any_user);
        let domain = domain.ok_or(Reject::NotFound)?;
        if identity.peer.is_some() {
            return Err(Reject::Forbidden);
        }
        Ok(format!("sip:{}@{}", address.user, domain.name))
    }

    /// The bindings the AOR is to have after this request, and whether it asks for any to be removed.
    fn wanted_bindings(
        &self,
        now: Now,
        request: &Request<'_>,
        aor: &str,
        contacts: &[&str],
        series: u64,
    ) -> Result<(Vec<BindingRecord>, bool), Reject> {
        let message = request.message;
        let bounds = self.facts.settings.registration_expires_s;
        let default = match message.header(Name::Expires).map(expires::delta_seconds) {
            Some(Ok(asked)) => asked,
            // RFC 3261 §20.19: a malformed value is as good as 3600; ours is the configured default.
            Some(Err(_)) | None => bounds.default,
        };
        let mut updates = Vec::with_capacity(contacts.len());
        for (value, series) in contacts.iter().zip((0..).map(|n| series.wrapping_add(n))) {
            let contact = match Contact::parse(value) {
                Ok(Contact::Addr(contact)) => contact,
                // RFC 3261 §10.3 step 6: alone, and only to remove everything.
                Ok(Contact::Star)
                    if contacts.len() == 1 && default == 0 && message.header(Name::Expires).is_some() =>
                {
                    let cleared = self.facts.registrar.cleared(aor, message.call_id(), message.cseq().seq);
                    return cleared.map(|bindings| (bindings, true)).map_err(refusal);
                }
                Ok(Contact::Star) => {
                    return Err(Reject::BadRequest("Contact: * not alone or without Expires: 0".into()));
                }
                Err(_) => return Err(Reject::BadRequest("malformed Contact".into())),
            };
            if contact.uri().len() > limits::URI_BYTES_MAX {
                return Err(Limit::Contact.into());
            }
            let asked = contact.expires().unwrap_or(default);
            if asked != 0 && asked < bounds.min {
                return Err(Reject::IntervalTooBrief { min_expires_s: bounds.min });
            }
            let instance = contact.instance().filter(|instance| !instance.is_empty());
            if asked != 0 && instance.is_some() {
                self.may_contact(aor, contact.uri())?;
            }
            let granted = asked.min(bounds.max);
            let path = message.values(Name::Path).map(str::to_owned).collect::<Vec<_>>();
            if path.len() > limits::ROUTES_MAX {
                return Err(Limit::Routes.into());
            }
            let binding = BindingRecord {
                contact: contact.uri().to_owned(),
                params: contact_params(value),
                q: contact.q(),
                instance: instance.map(str::to_owned),
                reg_id: contact.reg_id(),
                call_id: message.call_id().to_owned(),
                cseq: message.cseq().seq,
                path,
                flow: request.flow,
                user_agent: user_agent_of(message).to_owned(),
                expires_at: now.wall + Duration::from_secs(u64::from(granted)),
                created_at: now.wall,
                branch: message.top_via().branch().unwrap_or("").to_owned(),
                gruu: instance.map(|_| GruuRecord {
                    key: self.facts.registrar.gruu_key().0,
                    series,
                    first_cseq: message.cseq().seq,
                    made: 0,
                    turn: 0,
                }),
            };
            updates.push(Update { binding, remove: asked == 0 });
        }
        let quotas = &self.facts.settings.quotas;
        let registrar = &self.facts.registrar;
        let removes = updates.iter().any(|update| update.remove);
        let wanted = registrar.updated(aor, &updates, quotas.bindings_per_aor).map_err(refusal)?;
        let grows = wanted.len() > registrar.bindings(aor).len();
        if grows && is_full(registrar.binding_count(), quotas.bindings) {
            return Err(Limit::Bindings.into());
        }
        Ok((wanted, removes))
    }

    /// 200 with every binding and its time left (RFC 3261 §10.3 step 8).
    fn answer_register(&mut self, now: Now, request: &Request<'_>, aor: &str, outbound: bool) {
        let bytes = self.register_answer(now, request, aor, self.facts.registrar.bindings(aor), outbound);
        self.respond(now, request.server, 200, bytes, None);
    }

    fn register_answer(
        &self,
        now: Now,
        request: &Request<'_>,
        aor: &str,
        bindings: &[BindingRecord],
        outbound: bool,
    ) -> Bytes {
        let message = request.message;
        let tag = self.stateless_tag(message);
        let mut writer = self.response(message, request.flow, StatusCode(200), Some(&tag));
        let wants_gruus = message.has_token(Name::Supported, gruu::OPTION);
        for binding in bindings {
            let left = binding.expires_at.since(now.wall).as_millis().div_ceil(1000);
            let gruus = if wants_gruus { self.gruu_params(aor, binding) } else { String::new() };
            writer.header_fmt(
                Name::Contact,
                format_args!("<{}>{};expires={left}{gruus}", binding.contact, binding.params),
            );
        }
        let offers_path = message.values(Name::Supported).any(|tag| tag.eq_ignore_ascii_case("path"));
        if offers_path {
            for path in message.headers(Name::Path) {
                writer.header(Name::Path, path);
            }
        }
        if outbound {
            outbound::promise(&mut writer, message);
        }
        self.name_us(&mut writer);
        writer.finish()
    }

    /// The GRUUs of a binding as Contact parameters (RFC 5627 §5.2); empty where it has none.
    fn gruu_params(&self, aor: &str, binding: &BindingRecord) -> String {
        let all = [gruu::public(aor, binding), self.facts.registrar.temporary(aor, binding)];
        let named = gruu::GIVEN.iter().zip(all);
        named.filter_map(|(name, uri)| Some(format!(";{name}=\"{}\"", uri?))).collect()
    }

    /// Replaces the bindings of an AOR, stores them and moves the device; those that are gone ended by this event.
    fn set_bindings(
        &mut self,
        now: Now,
        aor: &str,
        bindings: Vec<BindingRecord>,
        event: ContactEvent,
    ) -> Option<Ticket> {
        // Why: copied only where somebody is on the phone.
        let old = (self.facts.calls.len() > 0).then(|| self.facts.registrar.bindings(aor).to_vec());
        let before = self.facts.registrar.find(aor);
        let previous = before.and_then(|slot| self.facts.registrar.get(slot)).map(|entry| {
            if let Some(timer) = entry.timer {
                self.timers.cancel(timer);
            }
            Value::Bindings(entry.record())
        });
        let Change { slot, gone } = self.facts.registrar.set(aor, bindings)?;
        if !gone.is_empty() && self.is_registration_watched(aor) {
            self.facts.registrar.keep_ended(aor, gone, event, now.mono);
            self.timers.insert(now.mono + limits::ENDED_BINDING_SHOWN, Timer::EndedBindings);
        }
        let key = Key { kind: Kind::Bindings, slot: u64::from(slot) };
        let record = match self.facts.registrar.get(slot) {
            Some(entry) => Record::Upsert(key, Value::Bindings(entry.record())),
            None => Record::Delete(key),
        };
        self.arm_bindings(now, slot);
        self.bindings_changed(now, aor);
        // Why: what is over is over, whatever the disk says; undone it would end again at once, for as long as the disk is
        // full.
        let is_over = matches!(event, ContactEvent::Expired | ContactEvent::Deactivated);
        let ticket = self.persist(record, if is_over { Undo::No } else { Undo::To(previous) });
        if let Some(old) = old {
            self.calls_follow_registration(now, aor, &old);
        }
        Some(ticket)
    }

    fn is_registration_watched(&self, aor: &str) -> bool {
        let resource = ResourceKey::parse(aor).and_then(|key| self.facts.resources.find(&key));
        let Some(resource) = resource else { return false };
        let mut packages = PackageId::all().filter(|p| p.get().depends_on().contains(&StateKind::Bindings));
        packages.any(|p| {
            self.facts.resources.package(resource, p).is_some_and(|state| !state.watchers.is_empty())
        })
    }

    /// Bindings that ended have been shown long enough. Nobody is told that: RFC 3680 §4.7.2 forbids it of a registration.
    pub(crate) fn on_ended_bindings_due(&mut self, now: Now) {
        for aor in self.facts.registrar.forget_ended(now.mono - limits::ENDED_BINDING_SHOWN) {
            let Some(id) = ResourceKey::parse(&aor).and_then(|key| self.facts.resources.find(&key)) else {
                continue;
            };
            for package in PackageId::all().filter(|p| p.get().depends_on().contains(&StateKind::Bindings)) {
                let Some(state) = self.facts.resources.known_package_mut(id, package) else { continue };
                state.forget();
                if !state.watchers.is_empty() {
                    self.mark_shown(now, id, package);
                }
            }
        }
    }

    fn arm_bindings(&mut self, now: Now, slot: u32) {
        let Some(entry) = self.facts.registrar.get_mut(slot) else { return };
        if let Some(at) = first_expiry(&entry.bindings) {
            entry.timer = Some(self.timers.insert(now.mono_at(at), Timer::BindingExpires(slot)));
        }
    }

    /// The bindings of an AOR are others than before.
    fn bindings_changed(&mut self, now: Now, aor: &str) {
        let bindings = self.facts.registrar.bindings(aor);
        self.unsolicited.keep(aor, bindings);
        let bindings = bindings.len();
        self.tell(Event::Registration { aor: aor.to_owned(), bindings });
        // Why: an AOR reads as the key of its user, so no REGISTER looks at every peer.
        let peer = ResourceKey::parse(aor).and_then(|key| Some(self.facts.peer_of(&key)?.name.clone()));
        let own = ResourceKey::parse(aor).and_then(|key| self.facts.resources.find(&key));
        if let Some(name) = peer {
            self.qualifier.forget(&name);
            self.refresh_peer(now, &name);
        } else if let Some(id) = own {
            self.relamp(now, id);
            self.changed(id, StateKind::DeviceStates);
        }
        if let Some(id) = own {
            self.changed(id, StateKind::Bindings);
        }
    }

    /// The first binding of an AOR has expired.
    pub(crate) fn on_binding_expired(&mut self, now: Now, slot: u32) {
        let Some(entry) = self.facts.registrar.get_mut(slot) else { return };
        entry.timer = None;
        let aor = entry.aor.clone();
        // Why: the timer is monotonic and was armed for the first of them; the wall clock may have jumped since.
        let due = first_expiry(&entry.bindings).map_or(now.wall, |first| first.max(now.wall));
        let left: Vec<_> = entry.bindings.iter().filter(|b| b.expires_at > due).cloned().collect();
        self.set_bindings(now, &aor, left, ContactEvent::Expired);
    }

    /// A stream has been closed for the grace time: bindings that still name it are lost.
    pub(crate) fn on_flow_lost(&mut self, now: Now, stream: StreamId) {
        for aor in self.facts.registrar.on_stream(stream) {
            let on_it =
                |b: &BindingRecord| matches!(b.flow, crate::flow::Flow::Stream { id, .. } if id == stream);
            let left = self.facts.registrar.bindings(&aor).iter().filter(|b| !on_it(b)).cloned().collect();
            self.set_bindings(now, &aor, left, ContactEvent::Deactivated);
        }
        self.facts.registrar.forget_stream(stream);
    }

    /// The bindings of an AOR from the store, or before a change that could not be stored.
    pub(crate) fn put_bindings(&mut self, now: Now, slot: u32, record: Option<BindingsRecord>, put: Put) {
        if put == Put::Restart {
            if let Some(mut record) = record {
                record.bindings.iter_mut().for_each(|binding| binding.flow = self.restarted(binding.flow));
                for binding in record.bindings.iter().filter(|binding| !binding.flow.is_reliable()) {
                    self.authenticator.remember(binding.flow.remote());
                }
                self.facts.registrar.restore(slot, record);
                self.arm_bindings(now, slot);
            }
            return;
        }
        // Why: the timer of bindings that are no more would end the first of those that are.
        if let Some(timer) = self.facts.registrar.get_mut(slot).and_then(|entry| entry.timer.take()) {
            self.timers.cancel(timer);
        }
        if let Some(aor) = self.facts.registrar.revert(slot, record) {
            self.arm_bindings(now, slot);
            self.bindings_changed(now, &aor);
            let streams: Vec<_> = streams_of(self.facts.registrar.bindings(&aor)).collect();
            for stream in streams {
                if !self.connections.is_open(stream) {
                    self.grant_grace(now, stream);
                }
            }
        }
    }

    /// A stream is closed: its bindings have the grace time to be made again on another.
    pub(crate) fn grant_grace(&mut self, now: Now, stream: StreamId) {
        if self.facts.registrar.on_stream(stream).is_empty() {
            self.facts.registrar.forget_stream(stream);
        } else {
            self.timers.insert(now.mono + self.facts.settings.flow_grace, Timer::FlowLost(stream));
        }
    }
}

/// Refusals as responses.
fn refusal(refusal: Refusal) -> Reject {
    match refusal {
        Refusal::OutOfOrder => Reject::OutOfOrder,
        Refusal::TooMany => Limit::BindingsPerAor.into(),
    }
}

/// The parameters of a Contact value as they are given back, without those that are ours to say.
fn contact_params(value: &str) -> String {
    let Ok(name) = NameAddr::parse(value) else { return String::new() };
    let mut text = String::new();
    let is_ours =
        |name: &str| ["expires"].iter().chain(&gruu::GIVEN).any(|ours| name.eq_ignore_ascii_case(ours));
    for (name, value) in name.params().iter().filter(|(name, _)| !is_ours(name)) {
        text.push(';');
        text.push_str(name);
        if let Some(value) = value {
            text.push('=');
            text.push_str(&quoted(value));
        }
    }
    text
}

/// A parameter's value as it is written: in quotes unless it is a token or a host (RFC 3261 §25.1, `gen-value`).
pub(crate) fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~[]:".contains(c);
    if value.chars().all(is_plain) { value.to_owned() } else { format!("\"{value}\"") }
}
