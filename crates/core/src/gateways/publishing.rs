//! Publishing to others (RFC 3903 §4): the composed state of presentities here, at another event state compositor.
//!
//! ```text
//! settings -> one Errand per presentity and URI there
//!   it changes -> PUBLISH with what holds now; one in flight, the newest wins
//!   it has nothing to tell, or that server tells us of it -> removal
//!   before it ends -> refresh without a body; 412 -> all anew
//! ```
//!
//! In: changes of resources, answers. Out: what the next PUBLISH says. Whose rules hold of who may see it there is that
//! server's matter; of calls it is told as much as watchers here by default. A server is not told what it tells us itself:
//! both would hold each other's word for true for ever.

use super::settings::Gateway;
use super::state::{Kind, State};
use super::{Errand, Want, gateway_of};
use crate::authz::policy::Standing;
use crate::body::{HoleValues, Style};
use crate::limits;
use crate::node::{Node, leading_number};
use crate::output::Ticket;
use crate::packages::{Class, PackageId};
use crate::resource::{ResourceId, ResourceKey};
use crate::time::Now;
use crate::view;
use lampyris_sip::{Message, Name, Uri};
use std::time::Duration;

/// One presentity that is published as one URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Publishing {
    /// The package.
    pub(super) package: PackageId,
    /// Who it is here.
    pub(super) key: ResourceKey,
    /// Who it is there: Request-URI and To.
    pub(super) target: String,
    /// Next hop.
    pub(super) hop: Option<String>,
    /// The life asked for, in seconds.
    pub(super) expires_s: u32,
    /// The wait after a failure.
    pub(super) retry: Duration,
}

/// What the other server knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Entity-tag of what stands there (RFC 3903 §4.1).
    pub(super) etag: Option<String>,
    /// Hash of it; 0 where that is not known.
    hash: u64,
    /// Hash of what the request in flight says; 0 for a removal.
    pub(super) sending: Option<u64>,
    /// Something changed since that was written.
    pub(super) is_stale: bool,
    /// It was silent because the other server told of the presentity itself.
    yields: bool,
    /// Documents written.
    version: u32,
}

/// What a PUBLISH says.
pub(super) struct Saying {
    /// Content-Type and body; none for a refresh and a removal.
    pub(super) body: Option<(String, Vec<u8>)>,
    /// Hash of the state; 0 for none.
    pub(super) hash: u64,
    /// The record that it rests on.
    pub(super) after: Option<Ticket>,
}

impl Saying {
    pub(super) const fn is_removal(&self) -> bool {
        self.hash == 0
    }
}

impl Node {
    /// What is to be published at a gateway, as the settings say.
    pub(super) fn to_publish(&self, gateway: &Gateway) -> Vec<Publishing> {
        let mut all: Vec<Publishing> = Vec::new();
        for rule in &gateway.publications {
            let Some(package) = PackageId::by_name(&rule.package) else { continue };
            for (uri, key) in self.presentities(&rule.who, package) {
                let Ok(uri) = Uri::parse(&uri) else { continue };
                let Some(user) = uri.user_unescaped() else { continue };
                let host = uri.host_str().to_ascii_lowercase();
                let Some(target) = rule.maps.iter().find_map(|mapping| mapping.apply(&user, &host)) else {
                    continue;
                };
                let hop = rule.hop.clone();
                let one =
                    Publishing { package, key, target, hop, expires_s: rule.expires_s, retry: rule.retry };
                if all.len() < limits::GATEWAY_PUBLICATIONS_MAX && !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        all
    }

    /// A new errand that publishes is told of changes.
    pub(super) fn watch_to_publish(&mut self, now: Now, slot: u32) {
        let Some(Errand { want: Want::Publication(publication), .. }) = self.gateways.errands.get(slot)
        else {
            return;
        };
        let (key, package) = (publication.key.clone(), publication.package);
        let id = self.resource(now, &key);
        self.gateways.publishing.entry((id, package)).or_default().push(slot);
        if let Some(state) = self.facts.resources.package_mut(id, package) {
            state.published = true;
        }
    }

    /// One that is over is not.
    pub(super) fn watch_to_publish_no_more(&mut self, slot: u32) {
        let Some((id, package)) = self.published_resource(slot) else { return };
        let Some(slots) = self.gateways.publishing.get_mut(&(id, package)) else { return };
        slots.retain(|other| *other != slot);
        if !slots.is_empty() {
            return;
        }
        self.gateways.publishing.remove(&(id, package));
        if let Some(state) = self.facts.resources.package_mut(id, package) {
            state.published = false;
        }
        self.release_resource(id);
    }

    fn published_resource(&self, slot: u32) -> Option<(ResourceId, PackageId)> {
        let Want::Publication(publication) = &self.gateways.errands.get(slot)?.want else { return None };
        Some((self.facts.resources.find(&publication.key)?, publication.package))
    }

    /// The state of a resource that is published elsewhere may have changed.
    pub(crate) fn publish_elsewhere(&mut self, now: Now, id: ResourceId, package: PackageId) {
        for slot in self.gateways.publishing.get(&(id, package)).cloned().unwrap_or_default() {
            let state = self.state_to_publish(now, slot);
            let hash = state.map_or(0, |saying| saying.hash);
            let chance = self.rng.next_u64();
            let Some(errand) = self.gateways.errands.get_mut(slot).filter(|errand| !errand.is_ending) else {
                continue;
            };
            errand.told.is_stale = true;
            let known = if errand.told.etag.is_some() { errand.told.hash } else { 0 };
            let waits = matches!(errand.state, State::Failed | State::FailWait);
            if known != hash && !waits && errand.in_flight.is_none() {
                let retry_ms = u64::try_from(errand.want.retry().as_millis()).unwrap_or(u64::MAX).max(1);
                // Why not at once: the other server, which fell silent at the same time, would begin again too.
                let after =
                    if std::mem::take(&mut errand.told.yields) && hash != 0 { chance % retry_ms } else { 0 };
                self.arm_errand(now, slot, Duration::from_millis(after));
            }
        }
    }

    /// Whether a PUBLISH that is due would say nothing to a server that knows nothing: then none leaves.
    pub(super) fn has_nothing_to_publish(&mut self, now: Now, slot: u32) -> bool {
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return true };
        if errand.want.kind() != Kind::Publication {
            return false;
        }
        if errand.told.etag.is_some() && errand.expires_at.is_some_and(|at| at <= now.wall) {
            errand.told.etag = None; // RFC 3903 §4.1: it has run out there.
        }
        if errand.told.etag.is_some() || !errand.is_ending && self.state_to_publish(now, slot).is_some() {
            return false;
        }
        if self.gateways.errands.get(slot).is_some_and(|errand| errand.is_ending) {
            self.forget_errand(slot);
        } else {
            self.nothing_is_published(now, slot);
        }
        true
    }

    fn nothing_is_published(&mut self, now: Now, slot: u32) {
        self.unstore_errand(slot);
        if let Some(errand) = self.gateways.errands.get_mut(slot) {
            (errand.told.etag, errand.told.hash, errand.expires_at) = (None, 0, None);
            errand.trouble.clear();
        }
        self.enter_state(now, slot, State::Unsubed, "");
    }

    /// What the PUBLISH that is written now says; `None` for other requests.
    pub(super) fn saying_now(&mut self, now: Now, slot: u32) -> Option<Saying> {
        let errand = self.gateways.errands.get(slot)?;
        if errand.want.kind() != Kind::Publication {
            return None;
        }
        let is_ending = errand.is_ending;
        let state = if is_ending { None } else { self.state_to_publish(now, slot) };
        let Some(mut state) = state else { return Some(Saying { body: None, hash: 0, after: None }) };
        let told = &mut self.gateways.errands.get_mut(slot)?.told;
        if told.etag.is_some() && told.hash == state.hash {
            state.body = None; // RFC 3903 §4.3: a refresh has none.
        } else {
            told.version = told.version.wrapping_add(1);
        }
        Some(state)
    }

    /// What there is to tell of a presentity; `None` where that is nothing.
    fn state_to_publish(&mut self, now: Now, slot: u32) -> Option<Saying> {
        let (id, package) = self.published_resource(slot)?;
        let errand = self.gateways.errands.get(slot)?;
        let Want::Publication(publication) = &errand.want else { return None };
        let (target, version, call_id) =
            (publication.target.clone(), errand.told.version, errand.call_id.clone());
        if self.is_told_by(&errand.gateway, id) {
            if let Some(errand) = self.gateways.errands.get_mut(slot) {
                errand.told.yields = true;
            }
            return None;
        }
        let reveal = self.reveal_to("", &publication.key);
        let class = |standing| Class { reveal, standing, ..Class::default() };
        let style = Style::default();
        let (body, hash) = self.shared_body(id, package, 0, style, class(&Standing::Open))?;
        let (_, nobody) = self.shared_body(id, package, 0, style, class(&Standing::Withheld))?;
        if hash == nobody {
            return None;
        }
        let values =
            HoleValues { version, entity: &target, watcher: &target, call_id: &call_id, now: now.wall };
        let content_type =
            body.content_type.clone().or_else(|| package.get().content_type(0).map(Into::into))?;
        let after = self.facts.resources.package(id, package).and_then(|state| state.after);
        Some(Saying {
            body: Some((content_type, body.fill(&values))),
            hash: hash.max(1),
            after: self.tickets.undecided(after),
        })
    }

    /// Whether a gateway tells us of a presentity.
    fn is_told_by(&self, gateway: &Gateway, id: ResourceId) -> bool {
        let Some(resource) = self.facts.resources.get(id) else { return false };
        PackageId::all().flat_map(|package| self.facts.published_for(resource, package)).any(|publication| {
            gateway_of(publication) == Some(gateway.name.as_str())
                || !gateway.peer.is_empty() && publication.publisher == gateway.peer
        })
    }

    /// A PUBLISH was taken (RFC 3903 §4.1).
    pub(super) fn on_published(&mut self, now: Now, slot: u32, message: &Message) {
        let Some(errand) = self.gateways.errands.get_mut(slot) else { return };
        let sent = errand.told.sending.take().unwrap_or(0);
        let is_stale = std::mem::take(&mut errand.told.is_stale);
        let asked = errand.expires_s;
        let granted = message.header(Name::Expires).and_then(leading_number).unwrap_or(asked).min(asked);
        let etag = message.header(Name::SipETag).map(str::to_owned);
        if sent == 0 || granted == 0 {
            self.nothing_is_published(now, slot);
        } else if let Some(etag) = etag {
            (errand.told.etag, errand.told.hash) = (Some(etag), sent);
            errand.expires_at = Some(now.wall + Duration::from_secs(u64::from(granted)));
            let after = errand.renew_after(granted).max(limits::GATEWAY_RENEW_LEAST);
            self.store_errand(slot);
            self.enter_state(now, slot, State::Subed, "");
            self.arm_errand(now, slot, after);
        } else {
            errand.told.etag = None;
            let retry = errand.want.retry().max(Duration::from_secs(u64::from(granted)));
            self.enter_state(now, slot, State::FailWait, "taken without an entity-tag");
            return self.arm_errand(now, slot, retry);
        }
        let is_ending = self.gateways.errands.get(slot).is_some_and(|errand| errand.is_ending);
        if is_ending || is_stale {
            self.arm_errand(now, slot, Duration::ZERO);
        }
    }

    /// Where a presentity is published, for `why`.
    pub(crate) fn view_published(&self, now: Now, id: ResourceId) -> Vec<view::Published> {
        let first = PackageId::all();
        let slots = first.filter_map(|package| self.gateways.publishing.get(&(id, package))).flatten();
        let row = |slot: &u32| {
            let errand = self.gateways.errands.get(*slot)?;
            let Want::Publication(publication) = &errand.want else { return None };
            Some(view::Published {
                gateway: errand.gateway.name.clone(),
                package: publication.package.name().to_owned(),
                uri: publication.target.clone(),
                state: errand.state.name(Kind::Publication).to_owned(),
                since_s: now.wall.since(errand.since).as_secs(),
                because: match self.is_told_by(&errand.gateway, id) {
                    true => "that server tells of it itself".to_owned(),
                    false if errand.trouble.is_empty() && errand.state == State::Unsubed => {
                        "there is nothing to tell".to_owned()
                    }
                    false => errand.trouble.clone(),
                },
            })
        };
        slots.filter_map(row).collect()
    }
}
