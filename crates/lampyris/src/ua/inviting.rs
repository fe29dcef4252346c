//! INVITE from the caller's side (RFC 3261 §13.2, §17.1.1): until its final answer, with ACK, digest and CANCEL; the
//! same for the re-INVITE of a call that is up (§14.1).

use super::UaError;
use super::call::{CallState, Leg};
use super::line::{Answers, GIVE_UP, Request, T1, Transaction, lock};
use bytes::Bytes;
use lampyris_sip::{Message, Method, Name, StatusCode};
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

/// What the phones can do, for INVITE and OPTIONS.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, UPDATE";
pub(super) const SUPPORTED: &str = "replaces";

/// Makes the call: rings until it is up or ended.
pub(super) async fn call(leg: Arc<Leg>, content_type: &'static str, body: String) {
    match invite(&leg, (content_type, &body)).await {
        // RFC 3261 §15: a 2xx that crossed the CANCEL makes a call that nobody wants.
        Ok(_) if leg.state() < CallState::Up => leg.bye().await,
        Ok(_) => {}
        Err(UaError::Refused { status, .. }) => leg.becomes(CallState::Ended(Some(status))),
        Err(_) => leg.becomes(CallState::Ended(Some(408))),
    }
}

/// Sends an INVITE in the leg's dialog, answers one challenge, acknowledges, and gives the 2xx.
pub(super) async fn invite(leg: &Arc<Leg>, body: (&str, &str)) -> Result<Message, UaError> {
    let line = &leg.line;
    let mut credentials: Option<(Name, String)> = None;
    loop {
        let dialog = lock(&leg.dialog).clone();
        let headers = [
            (Name::Contact, line.contact()),
            (Name::Allow, ALLOW.to_owned()),
            (Name::Supported, SUPPORTED.to_owned()),
        ];
        let request = Request { body: Some(body), ..dialog.request(Method::Invite, &headers) };
        let transaction = line.transaction();
        let bytes = line.write(&request, &transaction, credentials.as_ref());
        let mut answers = line.answers_to(Method::Invite, &transaction.branch);
        let ringing = Ringing { leg, request: &request, transaction: &transaction };
        let answer = ringing.until_answered(&mut answers, bytes).await?;
        let status = answer.status().unwrap_or(StatusCode(500)).0;
        if (200..300).contains(&status) {
            acknowledge(leg, &answer, transaction.cseq, credentials.as_ref()).await;
            return Ok(answer);
        }
        // RFC 3261 §17.1.1.3: of the same transaction, with the To of the answer.
        let to = answer.header(Name::To).unwrap_or(request.to);
        let ack = Request { method: Method::Ack, to, headers: &[], body: None, ..request };
        line.reply(&answer, line.write(&ack, &transaction, None)).await;
        if credentials.is_none() {
            credentials = line.account.answer(&answer, &request);
            if credentials.is_some() {
                continue;
            }
        }
        return Err(UaError::refused(Method::Invite, status));
    }
}

/// The ACK to a 2xx (RFC 3261 §13.2.2.4): a transaction of its own in the dialog that the 2xx has made.
async fn acknowledge(leg: &Leg, answer: &Message, cseq: u32, credentials: Option<&(Name, String)>) {
    let line = &leg.line;
    let dialog = {
        let mut dialog = lock(&leg.dialog);
        if leg.state() < CallState::Up {
            dialog.learn(answer);
        }
        dialog.refresh(answer);
        dialog.clone()
    };
    let ack = dialog.request(Method::Ack, &[]);
    let transaction = Transaction { cseq, ..line.transaction() };
    line.reply(answer, line.write(&ack, &transaction, credentials)).await;
}

/// An INVITE that waits for its answer.
struct Ringing<'a> {
    leg: &'a Arc<Leg>,
    request: &'a Request<'a>,
    transaction: &'a Transaction,
}

impl Ringing<'_> {
    async fn until_answered(&self, answers: &mut Answers<'_>, bytes: Bytes) -> Result<Message, UaError> {
        let line = &self.leg.line;
        let is_first = self.leg.state() < CallState::Up;
        line.wire.send(&bytes).await?;
        let give_up = Instant::now() + GIVE_UP;
        let mut wait = if line.wire.is_reliable() { GIVE_UP } else { T1 };
        let mut again = Instant::now() + wait;
        let (mut heard, mut unwanted, mut cancelled) = (false, false, false);
        loop {
            if heard && unwanted && !cancelled {
                cancelled = true;
                again = Instant::now() + GIVE_UP;
                self.cancel();
            }
            tokio::select! {
                answer = answers.receiver.recv() => {
                    let Some(answer) = answer else { return Err(UaError::unanswered(Method::Invite)) };
                    let status = answer.status().unwrap_or(StatusCode(500)).0;
                    if status >= 200 {
                        // Why: here, before anybody else can see the 2xx, so that CANCEL and 2xx have one order.
                        if is_first && (200..300).contains(&status) && !unwanted {
                            lock(&self.leg.dialog).learn(&answer);
                            self.leg.becomes(CallState::Up);
                        }
                        return Ok(answer);
                    }
                    heard = true;
                    if is_first && status > 100 {
                        lock(&self.leg.dialog).remote_tag = answer.to_tag().map(str::to_owned);
                        self.leg.becomes(CallState::Ringing);
                    }
                }
                () = self.leg.cancelled.notified(), if is_first && !unwanted => unwanted = true,
                () = sleep_until(again), if !heard || cancelled => {
                    if cancelled || Instant::now() >= give_up {
                        return Err(UaError::unanswered(Method::Invite));
                    }
                    line.wire.send(&bytes).await?;
                    wait *= 2;
                    again = (Instant::now() + wait).min(give_up);
                }
            }
        }
    }

    /// Calls the INVITE off (RFC 3261 §9.1): its own branch and CSeq number, and no body.
    fn cancel(&self) {
        let cancel = Request { method: Method::Cancel, headers: &[], body: None, ..*self.request };
        let bytes = self.leg.line.write(&cancel, self.transaction, None);
        let (line, branch) = (Arc::clone(&self.leg.line), self.transaction.branch.clone());
        // Why: what answers the CANCEL says nothing; the INVITE's own answer does.
        tokio::spawn(async move { line.exchange(Method::Cancel, &branch, bytes).await.map(|_| ()) });
    }
}
