//! Calls that pass through the proxy, as dialogs and as what they make of the devices of both sides.
//!
//! ```text
//! proxy -> call_begins, call_branches, call_rings, call_answered, call_refused, call_fails     one INVITE
//!          call_of, call_request, call_response                                                 what follows in its dialogs
//!       -> Calls -> dialogs_of (dialog documents), counts_of (device states), `show calls`
//! ```
//!
//! In: messages as they are forwarded. Out: states, and every change told to `lamps`. It forwards nothing and answers
//! nothing; the one message of its own is an OPTIONS that asks whether a call is still there (`probe`). A dialog never
//! goes backwards (`dialog`), and no call outlives its phones: it ends by its BYE, by its session timer, by what a probe
//! finds, or by having rung for too long.

mod dialog;
mod follow;
mod invite;
mod keep;
mod message;
mod probe;
mod replaced;
mod sdp;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use table::{Call, Calls};

use crate::body::dialog_info::{DialogEvent, DialogState, Direction, Identity, Replaces};
use crate::flow::Flow;
use crate::time::UnixTime;
use serde::{Deserialize, Serialize};

/// A call (one INVITE transaction's worth of forks and what becomes of them), by its place; one that is forgotten is not
/// found any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId {
    slot: u32,
    generation: u32,
}

/// One fork of a call: what one contact of the callee made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LegId {
    call: CallId,
    leg: u32,
}

/// One dialog of a fork: a contact that forks further makes several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DialogId {
    leg: LegId,
    dialog: u32,
}

/// One of the two sides of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Side {
    /// Who sent the INVITE.
    Caller,
    /// Who was called.
    Callee,
}

impl Side {
    /// The side it talks to.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// One side of a call, as the proxy knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Party {
    /// The peer it is, if one of ours (a key of `Settings::peers`); `None` for a stranger.
    pub(crate) peer: Option<String>,
    /// Its Contact URI: of the INVITE; the binding's, until a response brings another.
    pub(crate) target: String,
    /// The flow it used or uses.
    pub(crate) flow: Option<Flow>,
    /// Call-ID of the REGISTER of the binding it was reached by: a phone that restarts registers with another.
    pub(crate) registered_by: Option<String>,
    /// The route set towards it beyond ourselves (Path, Record-Route of further proxies), in the order of use.
    pub(crate) routes: Vec<String>,
}

/// Where a request inside a dialog goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    /// The fork it belongs to.
    pub(crate) leg: LegId,
    /// The side it goes to.
    pub(crate) towards: Side,
    /// That side's remote target.
    pub(crate) target: String,
    /// Where that side was last heard.
    pub(crate) flow: Option<Flow>,
    /// The route set towards it beyond ourselves.
    pub(crate) routes: Vec<String>,
    /// The peer that side is, if one of ours.
    pub(crate) peer: Option<String>,
    /// Which dialog of the fork.
    dialog: u32,
}

/// One dialog as one of its two users sees it (RFC 4235 §3.5).
#[derive(Clone, Debug)]
pub(crate) struct DialogView<'a> {
    /// The fork.
    pub(crate) leg: LegId,
    /// Whose view it is.
    pub(crate) side: Side,
    /// An id for documents: the same for as long as the dialog lives, also over a restart.
    pub(crate) id: String,
    /// Its Call-ID.
    pub(crate) call_id: &'a str,
    /// The tag of this side; empty while the callee has sent none.
    pub(crate) local_tag: &'a str,
    /// The tag of the other side.
    pub(crate) remote_tag: Option<&'a str>,
    /// Who began it.
    pub(crate) direction: Direction,
    /// Its state.
    pub(crate) state: DialogState,
    /// Why it ended, as this side sees it.
    pub(crate) event: Option<DialogEvent>,
    /// The status code that brought it into its state.
    pub(crate) code: Option<u16>,
    /// Since when it is there.
    pub(crate) began_at: UnixTime,
    /// Who this side is: display name and URI, as From or To says.
    pub(crate) local_identity: (Option<&'a str>, &'a str),
    /// Who the other side is.
    pub(crate) remote_identity: (Option<&'a str>, &'a str),
    /// This side's Contact.
    pub(crate) local_target: &'a str,
    /// The other side's Contact.
    pub(crate) remote_target: &'a str,
    /// What the caller dialled, as a `ResourceKey` prints it.
    pub(crate) asked: &'a str,
    /// This side holds the call.
    pub(crate) holding: bool,
    /// The other side holds it.
    pub(crate) held: bool,
    /// The other side asked for privacy (RFC 3323).
    pub(crate) restricted: bool,
    /// The session as this side describes it.
    pub(crate) local_sdp: Option<&'a [u8]>,
    /// The session as the other side describes it.
    pub(crate) remote_sdp: Option<&'a [u8]>,
    /// The dialog it was to replace (RFC 3891).
    pub(crate) replaces: Option<Replaces>,
    /// Who sent the caller here (RFC 3892).
    pub(crate) referred_by: Option<&'a Identity>,
}
