//! `as-feature-event`: a user's feature keys, the same on all the user's phones.
//!
//! No RFC: BroadSoft's Device Feature Key Synchronization, as Cisco, Polycom, Yealink and FreeSWITCH have it. A SUBSCRIBE
//! with a body sets a feature, one without asks.

use super::{Audience, BodyFormat, EventPackage, PublishFormat, StateKind, Watched};
use crate::body::feature_event;
use crate::features::{FeatureChange, Features};
use crate::view_of::View;
use std::convert::Infallible;

/// The package.
pub(crate) struct FeaturePackage;

impl EventPackage for FeaturePackage {
    type State = Features;
    type Published = Infallible;
    const NAME: &'static str = "as-feature-event";
    const SPEC: &'static str = "BroadSoft Device Feature Key Synchronization";
    const DEPENDS_ON: &'static [StateKind] = &[StateKind::Features];
    const AUDIENCE: Audience = Audience::Owner;
    const WATCHES: Watched = Watched::Users;

    fn formats(&self) -> &'static [BodyFormat<Features>] {
        &[BodyFormat {
            content_type: feature_event::CONTENT_TYPE,
            encode: |state, subject, _| feature_event::encode(state, subject.name),
        }]
    }

    fn publishable(&self) -> &'static [PublishFormat<Infallible>] {
        &[]
    }

    fn settable(&self) -> &'static [PublishFormat<FeatureChange>] {
        &[PublishFormat { content_type: feature_event::CONTENT_TYPE, decode: feature_event::decode }]
    }

    fn compose(&self, view: &View<'_>) -> Features {
        view.features()
    }

    fn withheld(&self, _view: &View<'_>) -> Features {
        Features::default()
    }

    fn word(&self, state: &Features) -> Option<&'static str> {
        state.dnd.then_some("Do not disturb")
    }

    fn replaces(&self, old: &Infallible, _new: &Infallible) -> bool {
        match *old {}
    }

    fn summary(&self, published: &Infallible) -> String {
        match *published {}
    }
}
