//! `presence` (RFC 3856): who is there and what they do, as PIDF and its older relatives.

use super::{Audience, BodyFormat, EventPackage, PublishFormat, StateKind, Subject, Tells, Timed, Topic};
use crate::authz::policy::Standing;
use crate::authz::reveal::cut;
use crate::body::cpim_pidf::{self, CpimPidf};
use crate::body::pidf::{self, Pidf};
use crate::body::pidf_diff::{self, PidfDiff};
use crate::body::presence_document::{Note, PresenceDocument};
use crate::body::presence_json::{self, PresenceJson};
use crate::body::rpid::Rpid;
use crate::body::validity;
use crate::body::xpidf::{self, Xpidf};
use crate::body::{BodyError, Brevity, Style};
use crate::composition::extension::Presence;
use crate::composition::revised::Revised;
use crate::limits;
use crate::time::UnixTime;
use crate::view_of::View;
use std::borrow::Cow;
use std::sync::Arc;

/// The package.
pub(crate) struct PresencePackage;

impl EventPackage for PresencePackage {
    type State = Revised;
    type Published = Arc<PresenceDocument>;
    const NAME: &'static str = "presence";
    const SPEC: &'static str = "RFC 3856";
    const DEPENDS_ON: &'static [StateKind] =
        &[StateKind::DeviceStates, StateKind::Publications, StateKind::Features];
    const FILTERABLE: Option<&'static str> = Some(pidf::CONTENT_TYPE);
    const AUDIENCE: Audience = Audience::Colleagues(Topic::Presence);
    const IS_PRESENCE: bool = true;

    fn formats(&self) -> &'static [BodyFormat<Revised>] {
        &[
            BodyFormat {
                content_type: pidf::CONTENT_TYPE,
                encode: |state, subject, style| {
                    Pidf::encode(&told(&state.presence, subject, style), subject.name, style)
                },
            },
            BodyFormat {
                content_type: xpidf::CONTENT_TYPE,
                encode: |state, subject, style| {
                    Xpidf::encode(&told(&state.presence, subject, style), subject.name, style)
                },
            },
            BodyFormat {
                content_type: cpim_pidf::CONTENT_TYPE,
                encode: |state, subject, style| {
                    CpimPidf::encode(&told(&state.presence, subject, style), subject.name, style)
                },
            },
            BodyFormat {
                content_type: pidf_diff::CONTENT_TYPE,
                encode: |state, subject, _| {
                    let told = subject.class.told.filter(|_| subject.class.partial);
                    let told = told.and_then(|told| state.earlier(told)).map(|told| shown(told, subject));
                    PidfDiff::encode(&shown(&state.presence, subject), told.as_deref(), subject.name)
                },
            },
            BodyFormat {
                content_type: presence_json::CONTENT_TYPE,
                encode: |state, subject, style| {
                    PresenceJson::encode(&told(&state.presence, subject, style), subject.name)
                },
            },
        ]
    }

    fn tells(&self, format: usize) -> Tells {
        let is_diff = self.formats().get(format).is_some_and(|f| f.content_type == pidf_diff::CONTENT_TYPE);
        if is_diff { Tells::Changes } else { Tells::State }
    }

    fn publishable(&self) -> &'static [PublishFormat<Self::Published>] {
        &[
            PublishFormat {
                content_type: pidf::CONTENT_TYPE,
                decode: |body| Pidf::decode(body).map(Arc::new),
            },
            PublishFormat {
                content_type: pidf_diff::CONTENT_TYPE,
                decode: |body| PidfDiff::decode(body).map(Arc::new),
            },
            PublishFormat {
                content_type: cpim_pidf::CONTENT_TYPE,
                decode: |body| CpimPidf::decode(body).map(Arc::new),
            },
            PublishFormat {
                content_type: xpidf::CONTENT_TYPE,
                decode: |body| Xpidf::decode(body).map(Arc::new),
            },
            PublishFormat {
                content_type: pidf::DRAFT_RPID_CONTENT_TYPE,
                decode: |body| Pidf::decode(body).map(Arc::new),
            },
        ]
    }

    fn compose(&self, view: &View<'_>) -> Revised {
        Revised::compose(view.presence().presence, view.before())
    }

    fn withheld(&self, view: &View<'_>) -> Revised {
        Revised::compose(Presence::of_lamp(view.lamp_of_nobody()), None)
    }

    fn spheres(&self, published: &Self::Published) -> Vec<String> {
        published.persons.iter().filter_map(|person| person.rpid.sphere_name()).collect()
    }

    fn word(&self, state: &Revised) -> Option<&'static str> {
        state.presence.lamp.as_ref().map(|lamp| lamp.extension.cli_word())
    }

    fn revision(&self, state: &Revised) -> u32 {
        state.revision
    }

    fn base(&self, state: &Revised, told: u32) -> Option<u32> {
        state.earlier(told).map(|_| told)
    }

    fn patched(&self, content_type: &str, old: &[u8], body: &[u8]) -> Result<Option<Vec<u8>>, BodyError> {
        if content_type.eq_ignore_ascii_case(pidf_diff::CONTENT_TYPE) {
            PidfDiff::patched(old, body)
        } else {
            Ok(None)
        }
    }

    fn replaces(&self, old: &Self::Published, new: &Self::Published) -> bool {
        old.tuples.iter().map(|tuple| &tuple.id).eq(new.tuples.iter().map(|tuple| &tuple.id))
    }

    fn at(&self, published: &Self::Published, now: UnixTime) -> Option<Timed<Self::Published>> {
        validity::at(published, now).map(|(document, until)| (Arc::new(document), until))
    }

    fn summary(&self, published: &Self::Published) -> String {
        published.in_words()
    }
}

/// What one class of watchers is shown of a presence.
fn shown<'p>(presence: &'p Presence, subject: Subject<'_>) -> Cow<'p, Presence> {
    match subject.class.standing {
        Standing::Part(provided) => Cow::Owned(cut(presence, subject.name, provided)),
        Standing::Open | Standing::Withheld | Standing::Pending => Cow::Borrowed(presence),
    }
}

/// The same, with no more in it than its way can carry.
fn told<'p>(presence: &'p Presence, subject: Subject<'_>, style: Style) -> Cow<'p, Presence> {
    match style.brevity {
        Brevity::Whole | Brevity::NoSessions => shown(presence, subject),
        brevity => Cow::Owned(shortened(shown(presence, subject).into_owned(), brevity)),
    }
}

/// A presence without what its watchers can best do without.
fn shortened(mut presence: Presence, brevity: Brevity) -> Presence {
    for document in &mut presence.published {
        let document = Arc::make_mut(document);
        (document.foreign, document.devices) = (Vec::new(), Vec::new());
        for tuple in &mut document.tuples {
            (tuple.foreign, tuple.status_foreign, tuple.timed) = (Vec::new(), Vec::new(), Vec::new());
            tuple.cipid = None;
        }
        for person in &mut document.persons {
            (person.foreign, person.cipid) = (Vec::new(), None);
        }
    }
    if brevity < Brevity::OneDialog {
        return presence;
    }
    // Why: where the lamp comes first it is the service that phones read.
    let in_call = presence.lamp.as_ref().is_some_and(|lamp| lamp.extension.is_in_call());
    let mut services = usize::from(!in_call && !presence.lamp_first);
    for document in &mut presence.published {
        let document = Arc::make_mut(document);
        let kept = services.min(document.tuples.len());
        document.tuples.truncate(kept);
        services -= kept;
        for tuple in &mut document.tuples {
            tuple.rpid = Rpid { activities: tuple.rpid.activities.take(), ..Rpid::default() };
            few(&mut tuple.notes);
        }
        for person in &mut document.persons {
            person.rpid = Rpid { activities: person.rpid.activities.take(), ..Rpid::default() };
            few(&mut person.notes);
        }
        few(&mut document.notes);
    }
    presence
}

/// Leaves the first note, unless it is long.
fn few(notes: &mut Vec<Note>) {
    notes.truncate(1);
    notes.retain(|note| note.text.len() <= limits::STATUS_NOTE_BYTES_MAX);
}
