//! What the bodies of an extension or a person are made of: the lamp, and what was published.
//!
//! In: device states already aggregated, and decoded publications. Out: the values that the body formats encode. It does
//! not decide whose word counts or for how long; the sources do that before.

use std::sync::Arc;

use crate::body::dialog_info::Identity;
use crate::body::presence_document::PresenceDocument;
use crate::device_state::{ExtensionState, PresenceState};

/// The lamp of an extension as a body needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LampState {
    /// What the lamp shows.
    pub extension: ExtensionState,
    /// Every device of the hint is unavailable (not registered): chan_sip then says "Not online".
    pub all_unavailable: bool,
    /// What the person said of themselves, where the hint has a presence part.
    pub presence: Option<PresenceState>,
    /// Who calls, while it rings and that is known and wanted.
    pub caller: Option<Caller>,
}

/// The two sides of the oldest call that rings at an extension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Who calls.
    pub remote: Identity,
    /// Who is called.
    pub local: Identity,
    /// `notifycid` lets documents name the call, so that it can be picked up.
    pub pickup: bool,
}

impl LampState {
    /// A lamp that shows `extension` and nothing else.
    pub fn of(extension: ExtensionState) -> Self {
        Self { extension, ..Self::default() }
    }
}

/// The event state of the presence package: a lamp, publications, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// The lamp; `None` for a person without a hint or registration.
    pub lamp: Option<LampState>,
    /// The live publications, newest first.
    pub published: Vec<Arc<PresenceDocument>>,
    /// The person wants no calls now: laid over everything else, and never over that nobody is there.
    pub do_not_disturb: bool,
    /// Whether the presentity as a whole can be reached, where the policy decides that over its services.
    pub open: Option<bool>,
    /// The lamp's service stands before those published even without a call.
    pub lamp_first: bool,
}

impl Presence {
    /// Whether nobody is there: the lamp says so, or without one all that was published.
    pub fn is_offline(&self) -> bool {
        match &self.lamp {
            _ if self.open.is_some() => self.open == Some(false),
            Some(lamp) => matches!(lamp.extension, ExtensionState::Unavailable | ExtensionState::Removed),
            None => {
                let said: Vec<_> = self.published.iter().filter_map(|document| document.is_open()).collect();
                !said.is_empty() && said.iter().all(|open| !open)
            }
        }
    }

    /// The presence of an extension nobody published for.
    pub fn of_lamp(lamp: LampState) -> Self {
        Self { lamp: Some(lamp), ..Self::default() }
    }
}
