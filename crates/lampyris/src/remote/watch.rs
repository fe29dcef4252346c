//! A subscription at any server, for as long as somebody looks (RFC 6665 §4.1): renewed, begun anew where it ends, and ended.
//!
//! ```text
//! reach ── SUBSCRIBE ──> granted ── NOTIFY ──> told ── before it ends: SUBSCRIBE ──┐
//!   ^                       │                   ^────────────────────────────────────┘
//!   └──── wait ── refused, ended, broken        └ stop: SUBSCRIBE with Expires 0, its last NOTIFY
//! ```

use super::document::{Reader, Said};
use super::limits::{LAST_NOTIFY, LEAST_WAIT, RETRY};
use super::reach::Towards;
use super::{RemoteError, explain, granted_s, refusal, status_of};
use crate::ua::{GIVE_UP, Heard, Notified, Phone, Subscription, UaError};
use lampyris_core::gateways::state::{self, Next, Stands, State};
use lampyris_sip::Message;
use lampyris_sip::headers::SubscriptionState;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// When it is enough.
pub(crate) type Stop = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// What is watched.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) towards: Towards,
    /// The event package.
    pub(crate) event: String,
    /// Accept.
    pub(crate) accept: String,
    /// The life asked for, in seconds.
    pub(crate) expires_s: u32,
    /// The first state is enough.
    pub(crate) once: bool,
}

/// What happens meanwhile.
#[derive(Debug)]
pub(crate) enum Told<'a> {
    /// The subscription stands.
    Subscribed { server: String, expires_s: u32 },
    /// The watched one has not decided about us.
    Pending,
    /// Something is as it was not before.
    State { said: &'a Said, notify: &'a Notified },
    /// A body could not be read.
    Unreadable { why: String, notify: &'a Notified },
    /// The subscription is over, or could not be renewed; the next one comes after a while.
    Trouble { why: String, again_in: Duration },
    /// We ended it.
    Unsubscribed,
}

type Tell<'t> = &'t mut dyn FnMut(&Told<'_>) -> io::Result<()>;

/// How a subscription ended.
enum End {
    /// As it was meant to.
    Over,
    /// Otherwise; the next may follow.
    Lost { why: String, after: Duration },
    /// The server wants no other.
    ForGood(String),
}

/// Watches until `stop`, or with `once` until the first state.
///
/// # Errors
/// The first subscription fails, or the server ends one for good.
pub(crate) async fn run(watch: &Watch, mut stop: Stop, tell: Tell<'_>) -> Result<(), RemoteError> {
    let mut shown = Shown::default();
    loop {
        let (why, after) = match shown.session(watch, &mut stop, tell).await {
            Ok(End::Over) => return Ok(()),
            Ok(End::Lost { why, after }) => (why, after),
            Ok(End::ForGood(why)) => return Err(RemoteError::Refused(why)),
            Err(error) if !shown.stood || watch.once => return Err(error),
            Err(error @ RemoteError::Output(_)) => return Err(error),
            Err(error) => (error.to_string(), RETRY),
        };
        let after = after.max(LEAST_WAIT);
        tell(&Told::Trouble { why, again_in: after }).map_err(RemoteError::Output)?;
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = sleep(after) => {}
        }
    }
}

/// What was told already.
#[derive(Default)]
struct Shown {
    reader: Reader,
    said: BTreeMap<String, Said>,
    /// A subscription was granted and told of once.
    stood: bool,
    is_pending: bool,
}

impl Shown {
    /// One connection, and one subscription on it.
    async fn session(&mut self, watch: &Watch, stop: &mut Stop, tell: Tell<'_>) -> Result<End, RemoteError> {
        let towards = &watch.towards;
        let reached = tokio::select! {
            () = &mut *stop => return Ok(End::Over),
            reached = towards.reach() => reached?,
        };
        let (phone, mut heard) = (reached.phone, reached.heard);
        let mut subscription = phone.intend(&towards.uri, &watch.event, &watch.accept);
        let mut asked_s = watch.expires_s;
        let mut granted = loop {
            let answer = tokio::select! {
                () = &mut *stop => {
                    leave(&phone, &mut subscription, None).await;
                    return Ok(End::Over);
                }
                answer = phone.renew(&mut subscription, asked_s) => answer?,
            };
            if (200..300).contains(&status_of(&answer)) {
                break granted_s(&answer, asked_s);
            }
            match state::next(&refusal(&answer, Stands::Nothing, asked_s)) {
                Next::Longer(min_s) => asked_s = min_s,
                _ => return Err(RemoteError::Refused(self.explain(watch, &answer))),
            }
        };
        let server = format!("{}:{}", reached.hop.transport, reached.hop.address);
        tell(&Told::Subscribed { server, expires_s: granted }).map_err(RemoteError::Output)?;
        let mut renew_at = Instant::now() + renewed_after(granted);
        // RFC 6665 §4.1.2.4: timer N.
        let mut silent_until = Some(Instant::now() + GIVE_UP);
        loop {
            let far = Instant::now() + Duration::from_secs(86_400);
            tokio::select! {
                () = &mut *stop => {
                    leave(&phone, &mut subscription, Some(&mut heard)).await;
                    tell(&Told::Unsubscribed).map_err(RemoteError::Output)?;
                    return Ok(End::Over);
                }
                () = sleep_until(silent_until.unwrap_or(far)), if silent_until.is_some() => {
                    let why = format!("it was granted, but no NOTIFY came within {} s: a firewall, or a server that cannot \
                        reach our Contact?", GIVE_UP.as_secs());
                    return Err(RemoteError::Refused(why));
                }
                () = sleep_until(renew_at) => {
                    let answer = tokio::select! {
                        () = &mut *stop => None,
                        answer = phone.renew(&mut subscription, asked_s) => Some(answer),
                    };
                    let Some(answer) = answer else {
                        leave(&phone, &mut subscription, Some(&mut heard)).await;
                        return Ok(End::Over);
                    };
                    match self.renewed(watch, answer, asked_s) {
                        Ok(Renewed::For(seconds)) => granted = seconds,
                        Ok(Renewed::AskFor(seconds)) => { asked_s = seconds; granted = 0; }
                        Err(end) => return Ok(end),
                    }
                    renew_at = Instant::now() + renewed_after(granted);
                }
                told = heard.recv() => {
                    let notify = match told {
                        Some(Heard::Notified(notify)) if notify.call_id == subscription.call_id() => notify,
                        Some(_) => continue,
                        None => return Ok(End::Lost { why: "the connection is gone".into(), after: LEAST_WAIT }),
                    };
                    silent_until = None;
                    self.stood = true;
                    if let Some(end) = self.notified(watch, &notify, tell)? {
                        return Ok(end);
                    }
                    if watch.once && !self.is_pending && !notify.body.is_empty() {
                        leave(&phone, &mut subscription, Some(&mut heard)).await;
                        return Ok(End::Over);
                    }
                }
            }
        }
    }

    /// Takes a NOTIFY; the end of the subscription, where it brings that.
    fn notified(
        &mut self,
        watch: &Watch,
        notify: &Notified,
        tell: Tell<'_>,
    ) -> Result<Option<End>, RemoteError> {
        let state = SubscriptionState::parse(&notify.state).ok();
        let is_pending = state.as_ref().is_some_and(|state| state.state.eq_ignore_ascii_case("pending"));
        if is_pending && !self.is_pending {
            tell(&Told::Pending).map_err(RemoteError::Output)?;
        }
        self.is_pending = is_pending;
        if is_pending && watch.once {
            let why = "who is watched has not decided whether we may".to_owned();
            return Err(RemoteError::Refused(why));
        }
        let body = notify.body.clone().into();
        match self.reader.read(&watch.towards.uri, &notify.content_type, &body) {
            Ok(rows) => {
                for said in rows {
                    if self.said.get(&said.resource) != Some(&said) {
                        tell(&Told::State { said: &said, notify }).map_err(RemoteError::Output)?;
                        self.said.insert(said.resource.clone(), said);
                    }
                }
            }
            Err(why) => tell(&Told::Unreadable { why, notify }).map_err(RemoteError::Output)?,
        }
        let Some(state) = state.filter(SubscriptionState::is_terminated) else { return Ok(None) };
        let (after, next) = state::after_end(state.reason(), state.retry_after(), RETRY);
        let why =
            format!("the server ended the subscription: {}", state.reason().unwrap_or("it gives no reason"));
        Ok(Some(match next {
            State::Failed => End::ForGood(why),
            _ => End::Lost { why, after },
        }))
    }

    fn renewed(&self, watch: &Watch, answer: Result<Message, UaError>, asked_s: u32) -> Result<Renewed, End> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(End::Lost { why: error.to_string(), after: LEAST_WAIT }),
        };
        if (200..300).contains(&status_of(&answer)) {
            return Ok(Renewed::For(granted_s(&answer, asked_s)));
        }
        let why = self.explain(watch, &answer);
        Err(match state::next(&refusal(&answer, Stands::Dialog, asked_s)) {
            Next::Longer(seconds) => return Ok(Renewed::AskFor(seconds)),
            Next::Anew => End::Lost { why, after: Duration::ZERO },
            Next::Wait { after, .. } => End::Lost { why, after },
            Next::Authenticate | Next::OtherHop => End::Lost { why, after: RETRY },
        })
    }

    fn explain(&self, watch: &Watch, answer: &Message) -> String {
        explain(answer, "SUBSCRIBE", watch.towards.password.is_some())
    }
}

/// A subscription that was to be renewed.
enum Renewed {
    /// It was, for so many seconds.
    For(u32),
    /// It is to be asked for again, for so many.
    AskFor(u32),
}

fn renewed_after(granted_s: u32) -> Duration {
    // Why at least: a server that grants nothing would be asked without pause.
    state::renew_after(Duration::from_secs(u64::from(granted_s))).max(LEAST_WAIT)
}

/// Ends a subscription, and takes its last NOTIFY so that the server need not repeat it.
pub(crate) async fn leave(
    phone: &Phone,
    subscription: &mut Subscription,
    heard: Option<&mut tokio::sync::mpsc::UnboundedReceiver<Heard>>,
) {
    let Ok(Ok(_)) = timeout(LAST_NOTIFY, phone.renew(subscription, 0)).await else { return };
    let Some(heard) = heard else { return };
    let last = async {
        while let Some(told) = heard.recv().await {
            let Heard::Notified(notify) = told else { continue };
            let ended = SubscriptionState::parse(&notify.state).is_ok_and(|state| state.is_terminated());
            if ended && notify.call_id == subscription.call_id() {
                return;
            }
        }
    };
    let _ = timeout(LAST_NOTIFY, last).await;
}
