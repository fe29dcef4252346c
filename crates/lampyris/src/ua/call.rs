//! A call as its user holds it: how far it is, and what can be done with it.
//!
//! ```text
//! outgoing  Calling -> Ringing -> Up -> Ended
//! incoming             Ringing -> Up -> Ended
//! ```
//!
//! What was asked for by `answer`, `hold` or `hang_up` is sent by this side; what the other side does moves the state,
//! which [`Call::reached`] waits for.

use super::UaError;
use super::dialog::Dialog;
use super::inviting;
use super::line::{GIVE_UP, Line, lock};
use super::sdp::{self, Session};
use lampyris_sip::{Message, Method};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// How far a call is, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallState {
    /// Sent, and nobody rings yet.
    Calling,
    /// It rings: here, or at the other side.
    Ringing,
    /// It was answered.
    Up,
    /// It is over: refused with this status, or by a BYE.
    Ended(Option<u16>),
}

/// A call. Dropping it changes nothing.
#[derive(Clone)]
pub struct Call {
    pub(super) leg: Arc<Leg>,
}

/// One side of a call.
pub(super) struct Leg {
    pub(super) line: Arc<Line>,
    /// The INVITE that rings here; none for a call that we made.
    pub(super) invite: Option<Message>,
    pub(super) dialog: Mutex<Dialog>,
    pub(super) session: Mutex<Session>,
    pub(super) state: watch::Sender<CallState>,
    /// The caller does not want it any more.
    pub(super) cancelled: Notify,
    /// The ACK to our 2xx is there.
    pub(super) acknowledged: AtomicBool,
    /// An offer of ours is under way.
    pub(super) offering: AtomicBool,
}

impl Leg {
    /// A side of a call, known to its line until it ends.
    pub(super) fn open(line: &Arc<Line>, invite: Option<Message>, dialog: Dialog) -> Arc<Self> {
        let state = if invite.is_some() { CallState::Ringing } else { CallState::Calling };
        let key = (dialog.call_id.clone(), dialog.local_tag.clone());
        let leg = Arc::new(Self {
            line: Arc::clone(line),
            invite,
            dialog: Mutex::new(dialog),
            session: Mutex::new(Session::at(line.local.ip())),
            state: watch::Sender::new(state),
            cancelled: Notify::new(),
            acknowledged: AtomicBool::new(false),
            offering: AtomicBool::new(false),
        });
        lock(&line.calls).insert(key, Arc::clone(&leg));
        leg
    }

    pub(super) fn state(&self) -> CallState {
        *self.state.borrow()
    }

    /// Moves it on; a call never goes back.
    pub(super) fn becomes(&self, state: CallState) {
        let moved = self.state.send_if_modified(|now| {
            let forward = state > *now && !matches!(now, CallState::Ended(_));
            if forward {
                *now = state;
            }
            forward
        });
        if moved && matches!(state, CallState::Ended(_)) {
            let key = {
                let dialog = lock(&self.dialog);
                (dialog.call_id.clone(), dialog.local_tag.clone())
            };
            lock(&self.line.calls).remove(&key);
        }
    }

    /// A request inside its dialog.
    pub(super) async fn send(&self, method: Method<'_>) -> Result<Message, UaError> {
        let dialog = lock(&self.dialog).clone();
        self.line.request(&dialog.request(method, &[])).await
    }

    /// Says good-bye; whatever the other side answers, it is over (RFC 3261 §15.1.1).
    pub(super) async fn bye(&self) {
        self.becomes(CallState::Ended(None));
        let _ = self.send(Method::Bye).await;
    }
}

impl Call {
    /// How far it is.
    pub fn state(&self) -> CallState {
        self.leg.state()
    }

    /// Who is called, or who calls: the user part of the other side.
    pub fn other_side(&self) -> String {
        lock(&self.leg.dialog).remote_user().to_owned()
    }

    /// Whether it came in.
    pub fn is_incoming(&self) -> bool {
        self.leg.invite.is_some()
    }

    /// Whether this side holds it.
    pub fn is_holding(&self) -> bool {
        lock(&self.leg.session).holding
    }

    /// Waits until it is at least this far (an ended call is as far as any); how far it is then.
    pub async fn reached(&self, state: CallState) -> CallState {
        let mut states = self.leg.state.subscribe();
        // Why: the sender lives in the leg that we hold, so that waiting cannot fail.
        let reached = states.wait_for(|now| *now >= state || matches!(now, CallState::Ended(_))).await;
        reached.map_or(CallState::Ended(None), |now| *now)
    }

    /// Answers a call that rings here.
    pub async fn answer(&self) {
        super::invited::answer(&self.leg).await;
    }

    /// Refuses a call that rings here: 486 for busy, 603 for declined.
    pub async fn refuse(&self, status: u16) {
        super::invited::refuse(&self.leg, status).await;
    }

    /// Puts it on hold.
    ///
    /// # Errors
    /// It is not up, or the other side refuses.
    pub async fn hold(&self) -> Result<(), UaError> {
        self.offer(true).await
    }

    /// Goes on with it.
    ///
    /// # Errors
    /// It is not up, or the other side refuses.
    pub async fn resume(&self) -> Result<(), UaError> {
        self.offer(false).await
    }

    async fn offer(&self, hold: bool) -> Result<(), UaError> {
        let leg = &self.leg;
        if leg.state() != CallState::Up || leg.offering.swap(true, Ordering::AcqRel) {
            return Err(UaError::refused(Method::Invite, 491));
        }
        let body = lock(&leg.session).offer(hold);
        let answered = inviting::invite(leg, (sdp::CONTENT_TYPE, &body)).await;
        leg.offering.store(false, Ordering::Release);
        lock(&leg.dialog).refresh(&answered?);
        lock(&leg.session).holding = hold;
        Ok(())
    }

    /// Ends it, however far it is: CANCEL, 486 or BYE. It is over when this returns.
    pub async fn hang_up(&self) {
        match self.leg.state() {
            CallState::Ended(_) => {}
            CallState::Up => self.leg.bye().await,
            _ if self.is_incoming() => self.refuse(486).await,
            _ => {
                self.leg.cancelled.notify_one();
                let ended = self.reached(CallState::Ended(None));
                if timeout(GIVE_UP, ended).await.is_err() {
                    self.leg.becomes(CallState::Ended(Some(408)));
                }
            }
        }
    }
}
