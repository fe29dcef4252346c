//! A colleague with their phones: how calls that come in are treated, and what is said of them.

use super::documents;
use super::office::{Person, name_of};
use crate::ua::{Call, CallState, Heard, Notified, Phone, UaError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// What the board is told.
#[derive(Debug)]
pub(super) enum Told {
    /// A NOTIFY came to the phone with the lamps.
    Notified(Notified),
    /// Somebody did something.
    Happened(String),
}

/// How long a tenth of a second of the office's day takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace(pub(super) Duration);

impl Pace {
    /// Waits for so many of the day's tenths of a second.
    pub(super) async fn wait(self, tenths: u32) {
        sleep(self.0 * tenths).await;
    }
}

/// What a colleague does with a call that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Answers, at the desk.
    Answers,
    /// Answers, and puts the caller on hold for a while.
    AnswersAndHolds,
    /// Does not want to be disturbed now.
    Declines,
    /// Is not there.
    LetsRing,
}

/// A colleague.
pub(super) struct Colleague {
    pub(super) person: &'static Person,
    /// As in `person`.
    pub(super) phones: Vec<Phone>,
    pub(super) pace: Pace,
    manner: watch::Sender<Manner>,
    etag: Mutex<Option<String>>,
    tell: mpsc::UnboundedSender<Told>,
}

impl Colleague {
    /// A colleague with these phones, who answers them.
    pub(super) fn at(
        person: &'static Person,
        phones: Vec<Phone>,
        pace: Pace,
        tell: mpsc::UnboundedSender<Told>,
    ) -> Arc<Self> {
        let (manner, etag) = (watch::Sender::new(Manner::Answers), Mutex::new(None));
        Arc::new(Self { person, phones, pace, manner, etag, tell })
    }

    /// From now on, this is done with calls that come in.
    pub(super) fn behave(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// Tells the board.
    pub(super) fn say(&self, what: &str) {
        // Why: at the end of the demo nobody looks any more.
        let _ = self.tell.send(Told::Happened(format!("{} {what}", self.person.name)));
    }

    /// The phone at the desk.
    pub(super) fn phone(&self) -> Option<&Phone> {
        self.phones.last()
    }

    /// The phone that says what its owner does: not that at the desk, where there are two.
    fn speaker(&self) -> Option<&Phone> {
        self.phones.first()
    }

    /// Publishes what the colleague does, over what was published before.
    pub(super) async fn publish(&self, activity: &str, note: &str) -> Result<(), UaError> {
        let Some(phone) = self.speaker() else { return Ok(()) };
        let body = documents::presence(&phone.account().aor(), activity, note);
        self.put(phone, Some((documents::CONTENT_TYPE, body.as_str()))).await
    }

    /// Says again what is published, before it runs out.
    pub(super) async fn renew(&self) -> Result<(), UaError> {
        match self.speaker() {
            Some(phone) if self.etag().is_some() => self.put(phone, None).await,
            _ => Ok(()),
        }
    }

    fn etag(&self) -> Option<String> {
        self.etag.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn put(&self, phone: &Phone, body: Option<(&str, &str)>) -> Result<(), UaError> {
        let old = self.etag();
        let published = phone.publish("presence", body, old.as_deref(), 600).await;
        // RFC 3903 §4.1: what the server has forgotten is published anew the next time.
        let etag = published.as_ref().ok().map(|published| published.etag.clone());
        *self.etag.lock().unwrap_or_else(PoisonError::into_inner) = etag;
        published.map(|_| ())
    }

    /// Listens to one of the phones for as long as it runs; its NOTIFYs go to the board where it has the lamps.
    pub(super) async fn listen(
        self: Arc<Self>,
        index: usize,
        has_lamps: bool,
        mut heard: mpsc::UnboundedReceiver<Heard>,
    ) {
        while let Some(heard) = heard.recv().await {
            match heard {
                Heard::Notified(notified) if has_lamps => {
                    let _ = self.tell.send(Told::Notified(notified));
                }
                Heard::Notified(_) => {}
                Heard::Called(call) => {
                    tokio::spawn(Arc::clone(&self).attend(index, call));
                }
            }
        }
    }

    /// Does what is done with a call that rings.
    async fn attend(self: Arc<Self>, index: usize, call: Call) {
        if call.state() != CallState::Ringing {
            return; // It has replaced another, and is up.
        }
        let is_at_desk = index + 1 == self.phones.len();
        let is_in_others = self.phones.get(index).is_some_and(|phone| phone.calls().len() > 2);
        let manner = *self.manner.borrow();
        self.pace.wait(24).await;
        match manner {
            _ if is_in_others => call.refuse(486).await,
            _ if !is_at_desk => {}
            Manner::LetsRing => {}
            Manner::Declines => {
                self.say("declines: busy");
                call.refuse(486).await;
            }
            Manner::Answers | Manner::AnswersAndHolds => {
                call.answer().await;
                if call.state() != CallState::Up {
                    return;
                }
                self.say(&format!("answers {}", name_of(&call.other_side())));
                if manner == Manner::AnswersAndHolds {
                    self.pace.wait(25).await;
                    self.hold_for_a_while(&call, 35).await;
                }
            }
        }
    }

    /// Puts the other side on hold, and goes on after a while.
    pub(super) async fn hold_for_a_while(&self, call: &Call, tenths: u32) {
        let other = name_of(&call.other_side()).to_owned();
        // Why: a call that has ended meanwhile cannot be held, and that is no error of the day.
        if call.hold().await.is_ok() {
            self.say(&format!("puts {other} on hold"));
            self.pace.wait(tenths).await;
            if call.resume().await.is_ok() {
                self.say(&format!("goes on with {other}"));
            }
        }
    }
}
