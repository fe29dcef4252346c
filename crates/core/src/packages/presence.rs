//! `presence` (RFC 3856): who is there and what they do, as PIDF and its older relatives.

use super::{Audience, BodyFormat, EventPackage, PublishFormat, StateKind};
use crate::body::cpim_pidf::{self, CpimPidf};
use crate::body::pidf::{self, Pidf};
use crate::body::presence_document::PresenceDocument;
use crate::body::xpidf::{self, Xpidf};
use crate::composition::extension::Presence;
use crate::view_of::View;
use std::sync::Arc;

/// The package.
pub(crate) struct PresencePackage;

impl EventPackage for PresencePackage {
    type State = Presence;
    type Published = Arc<PresenceDocument>;
    const NAME: &'static str = "presence";
    const SPEC: &'static str = "RFC 3856";
    const DEPENDS_ON: &'static [StateKind] =
        &[StateKind::DeviceStates, StateKind::Publications, StateKind::Features];
    const AUDIENCE: Audience = Audience::Colleagues;

    fn formats(&self) -> &'static [BodyFormat<Presence>] {
        &[
            BodyFormat {
                content_type: pidf::CONTENT_TYPE,
                encode: |state, subject, style| Pidf::encode(state, subject.name, style),
            },
            BodyFormat {
                content_type: xpidf::CONTENT_TYPE,
                encode: |state, subject, style| Xpidf::encode(state, subject.name, style),
            },
            BodyFormat {
                content_type: cpim_pidf::CONTENT_TYPE,
                encode: |state, subject, style| CpimPidf::encode(state, subject.name, style),
            },
        ]
    }

    fn publishable(&self) -> &'static [PublishFormat<Self::Published>] {
        &[
            PublishFormat {
                content_type: pidf::CONTENT_TYPE,
                decode: |body| Pidf::decode(body).map(Arc::new),
            },
            PublishFormat {
                content_type: cpim_pidf::CONTENT_TYPE,
                decode: |body| CpimPidf::decode(body).map(Arc::new),
            },
        ]
    }

    fn compose(&self, view: &View<'_>) -> Presence {
        Presence {
            lamp: view.known_lamp(),
            published: view.published::<Arc<PresenceDocument>>(),
            do_not_disturb: view.do_not_disturb(),
        }
    }

    fn word(&self, state: &Presence) -> Option<&'static str> {
        state.lamp.as_ref().map(|lamp| lamp.extension.cli_word())
    }

    fn replaces(&self, old: &Self::Published, new: &Self::Published) -> bool {
        old.tuples.iter().map(|tuple| &tuple.id).eq(new.tuples.iter().map(|tuple| &tuple.id))
    }

    fn summary(&self, published: &Self::Published) -> String {
        let basic = match published.is_open() {
            Some(true) => "open",
            Some(false) => "closed",
            None => "no basic status",
        };
        published.first_note().map_or_else(|| basic.to_owned(), |note| format!("{basic}, {note:?}"))
    }
}
