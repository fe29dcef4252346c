//! Filters of a subscription in use (RFC 4660): between the body of a SUBSCRIBE and the NOTIFYs.
//!
//! In: a SUBSCRIBE with a filter set; the document that all watchers of a class share. Out: the document of this watcher, and
//! whether it waits for another change. What filters mean is in [`crate::filter`].

use super::send::hole_values;
use super::subscription::{Subscription, Text};
use crate::body::EncodedBody;
use crate::filter::{self, FilterSet, Filtered};
use crate::fingerprint::fnv1a;
use crate::node::Node;
use crate::packages::PackageId;
use crate::received_body::media_type;
use crate::reject::Reject;
use lampyris_sip::{Message, Name};
use std::sync::Arc;

/// The filters of a subscription.
#[derive(Clone, Debug)]
pub(crate) struct Filtering {
    /// As they are stored.
    pub(crate) set: FilterSet,
    /// The whole document that it was last sent something of; kept while a trigger waits for another.
    shown: Option<Arc<EncodedBody>>,
}

impl Filtering {
    /// These filters; `None` where there are none.
    pub(super) fn of(set: FilterSet) -> Option<Box<Self>> {
        (!set.is_empty()).then(|| Box::new(Self { set, shown: None }))
    }
}

/// The filters that a SUBSCRIBE asks for, over those so far; `None` where it has none, and they stay (RFC 4660 §3.3.3).
///
/// # Errors
/// 488: they are malformed, or for documents that we cannot filter. 415: compressed.
pub(super) fn asked(
    message: &Message,
    (package, format): (PackageId, u8),
    asked: &str,
    known: Option<&Filtering>,
) -> Result<Option<FilterSet>, Reject> {
    let body = message.body();
    let Some(filterable) = package.get().filterable().filter(|_| !body.is_empty()) else { return Ok(None) };
    if !media_type(message)?.eq_ignore_ascii_case(filter::CONTENT_TYPE) {
        return Ok(None);
    }
    if package.content_type(usize::from(format)) != filterable {
        return Err(Reject::NotAcceptableHere(format!("only {filterable} is filtered").into()));
    }
    let none = FilterSet::default();
    let set = known.map_or(&none, |known| &known.set).changed_by(&body, asked, package.name());
    set.map(Some).map_err(|error| Reject::NotAcceptableHere(error.to_string().into()))
}

/// The filters of a list: none.
///
/// # Errors
/// 488: there are some.
pub(super) fn none_of_list(message: &Message) -> Result<Option<FilterSet>, Reject> {
    let content_type =
        message.header(Name::ContentType).and_then(|value| value.split(';').next()).unwrap_or("");
    if !message.body().is_empty() && content_type.trim().eq_ignore_ascii_case(filter::CONTENT_TYPE) {
        return Err(Reject::NotAcceptableHere("lists are not filtered".into()));
    }
    Ok(None)
}

impl Subscription {
    /// What its filters leave of the document that its class of watchers shares, and the hash of that; `None` where they
    /// leave it as it is.
    pub(super) fn filtered(&self, body: &EncodedBody) -> Option<(Arc<EncodedBody>, u64)> {
        let filtering = self.filtering.as_ref().filter(|_| self.is_filterable())?;
        let part = match filtering.set.cut(&self.filled(body)) {
            Filtered::Whole => return None,
            Filtered::Part(part) => part.into_bytes(),
            Filtered::Nothing => Vec::new(),
        };
        let hash = fnv1a(&part);
        Some((Arc::new(EncodedBody { bytes: part, ..EncodedBody::default() }), hash))
    }

    /// Whether its triggers wait for another change than to this document.
    pub(super) fn waits(&self, body: &EncodedBody) -> bool {
        let Some(filtering) = self.filtering.as_ref().filter(|own| own.set.waits() && self.is_filterable())
        else {
            return false;
        };
        let Some(shown) = &filtering.shown else { return false };
        !filtering.set.wants(&self.filled(shown), &self.filled(body))
    }

    /// It is sent something of this document.
    pub(super) fn remember_shown(&mut self, body: Arc<EncodedBody>) {
        if let Some(filtering) = &mut self.filtering {
            filtering.shown = filtering.set.waits().then_some(body);
        }
    }

    /// Whether its filters fit its documents: a refresh may have chosen others.
    fn is_filterable(&self) -> bool {
        self.package.get().filterable() == Some(self.package.content_type(usize::from(self.format)))
    }

    fn filled(&self, body: &EncodedBody) -> Vec<u8> {
        // Why: no document that is filtered tells seconds, so any time will do.
        body.fill(&hole_values(self, self.created_at))
    }

    /// Its filters in a few words, for people.
    pub(crate) fn filter_summary(&self) -> Option<String> {
        self.filtering.as_ref().map(|filtering| filtering.set.summary())
    }

    /// Its pace in a few words, for people: what it asked for, whether it sleeps.
    pub(crate) fn pace_summary(&self) -> Option<String> {
        let mut text = self.rates().to_string().trim_start_matches(';').replace(';', ", ");
        if self.sleeps() {
            let comma = if text.is_empty() { "" } else { ", " };
            text.push_str(comma);
            text.push_str("asleep");
        }
        (!text.is_empty()).then_some(text)
    }
}

impl Node {
    /// The filters that a SUBSCRIBE in a subscription's dialog asks for; `None` where it has none.
    pub(super) fn changed_filters(&self, message: &Message, slot: u32) -> Result<Option<FilterSet>, Reject> {
        let Some(subscription) = self.subscriptions.get(slot) else { return Ok(None) };
        if message.body().is_empty() {
            return Ok(None);
        }
        let package = subscription.package;
        let chosen = message
            .header(Name::Accept)
            .map(|_| self.chosen_format(message, package, subscription.profile, false));
        let format = chosen.and_then(Result::ok).unwrap_or(subscription.format);
        asked(message, (package, format), subscription.text(Text::Asked), subscription.filtering.as_deref())
    }

    /// After a restart: whoever waits for a change, and is not told the state again, waits for one from the state of now.
    pub(super) fn baseline_restored(&mut self) {
        let waits = |s: &Subscription| !s.pending && s.filtering.as_ref().is_some_and(|own| own.set.waits());
        let slots: Vec<_> =
            self.subscriptions.iter().filter(|(_, s)| waits(s)).map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(subscription) = self.subscriptions.get(slot) else { continue };
            let state = self.facts.resources.package(subscription.resource, subscription.package);
            if state.is_some_and(|state| state.dirty) {
                continue;
            }
            let raw = self.whole_document_for(slot);
            if let (Some(subscription), Some(raw)) = (self.subscriptions.get_mut(slot), raw) {
                subscription.remember_shown(raw);
            }
        }
    }

    /// A subscription's filters from now on; `None` leaves them as they are.
    pub(super) fn set_filters(&mut self, slot: u32, set: Option<FilterSet>) {
        if let (Some(subscription), Some(set)) = (self.subscriptions.get_mut(slot), set) {
            subscription.filtering = Filtering::of(set);
        }
    }
}
