//! Calls that come in, and what the other side asks for in those that are up (RFC 3261 §9.2, §13.3, §14.2, §15.1.2;
//! RFC 3311; RFC 3891 §3).

use super::call::{Call, CallState, Leg};
use super::dialog::Dialog;
use super::inviting::{ALLOW, SUPPORTED};
use super::line::{GIVE_UP, Line, T1, T2, lock};
use super::sdp;
use bytes::Bytes;
use lampyris_sip::{Message, Method, Name, ResponseWriter, StatusCode};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::{Instant, sleep};

/// Takes an INVITE. One outside a dialog rings, and is given to whoever answers the phone.
pub(super) async fn on_invite(line: &Arc<Line>, message: &Message) -> Option<Call> {
    if message.to_tag().is_some() {
        on_offer(line, message).await;
        return None;
    }
    let replaced = match replaced(line, message) {
        Ok(replaced) => replaced,
        Err(status) => {
            line.reply(message, answer_with(message, status, None)).await;
            return None;
        }
    };
    let leg = Leg::open(line, Some(message.clone()), Dialog::invited(message));
    let call = Call { leg: Arc::clone(&leg) };
    if let Some(replaced) = replaced {
        answer(&leg).await;
        let replaced = Call { leg: replaced };
        tokio::spawn(async move { replaced.hang_up().await });
    } else if answers_itself(message) {
        answer(&leg).await;
    } else {
        let bytes = respond(&leg, message, 180, None);
        line.reply(message, bytes).await;
    }
    Some(call)
}

/// The call that this INVITE is to replace (RFC 3891 §3).
///
/// # Errors
/// The status to refuse it with.
fn replaced(line: &Line, message: &Message) -> Result<Option<Arc<Leg>>, u16> {
    let Some(value) = message.header(Name::Replaces) else { return Ok(None) };
    let (call_id, params) = value.split_once(';').ok_or(400_u16)?;
    let param = |name: &str| {
        let mut all = params.split(';').filter_map(|param| param.split_once('='));
        all.find(|(found, _)| found.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let (to_tag, from_tag) = (param("to-tag").ok_or(400_u16)?, param("from-tag").ok_or(400_u16)?);
    let leg = line.call(call_id.trim(), to_tag).ok_or(481_u16)?;
    // Why: until it is answered, the forks of our INVITE have as many tags; any of them is this call.
    let is_early = leg.state() < CallState::Up;
    if !is_early && lock(&leg.dialog).remote_tag.as_deref() != Some(from_tag) {
        return Err(481);
    }
    let early_only = params.split(';').any(|param| param.trim().eq_ignore_ascii_case("early-only"));
    match (is_early, early_only) {
        (false, true) => Err(486),
        // Only the caller's side of an early dialog can be replaced.
        (true, _) if leg.invite.is_some() => Err(481),
        _ => Ok(Some(leg)),
    }
}

/// Whether the caller asks that the phone answer by itself (RFC 5373, and what phones took before it).
fn answers_itself(message: &Message) -> bool {
    let says = |name: &str, what: &str| {
        message.header_by_name(name).is_some_and(|value| value.to_ascii_lowercase().contains(what))
    };
    says("Answer-Mode", "auto") || says("Call-Info", "answer-after=0")
}

/// Answers a call that rings here; the 2xx is repeated until its ACK is there (RFC 3261 §13.3.1.4).
pub(super) async fn answer(leg: &Arc<Leg>) {
    let Some(invite) = leg.invite.as_ref().filter(|_| leg.state() == CallState::Ringing) else { return };
    let description = lock(&leg.session).answer(invite);
    let bytes = respond(leg, invite, 200, Some(&description));
    leg.becomes(CallState::Up);
    leg.line.reply(invite, bytes.clone()).await;
    tokio::spawn(repeat(Arc::clone(leg), bytes));
}

async fn repeat(leg: Arc<Leg>, bytes: Bytes) {
    let give_up = Instant::now() + GIVE_UP;
    let mut wait = T1;
    loop {
        sleep(wait).await;
        if leg.acknowledged.load(Ordering::Acquire) || leg.state() != CallState::Up {
            return;
        }
        if Instant::now() >= give_up {
            return leg.bye().await;
        }
        let _ = leg.line.wire.send(&bytes).await;
        wait = (wait * 2).min(T2);
    }
}

/// Refuses a call that rings here.
pub(super) async fn refuse(leg: &Arc<Leg>, status: u16) {
    let Some(invite) = leg.invite.as_ref().filter(|_| leg.state() == CallState::Ringing) else { return };
    let bytes = respond(leg, invite, status, None);
    leg.becomes(CallState::Ended(Some(status)));
    leg.line.reply(invite, bytes).await;
}

/// Takes a CANCEL: it names the INVITE by its branch (RFC 3261 §9.2).
pub(super) async fn on_cancel(line: &Arc<Line>, message: &Message) {
    let is_its = |leg: &&Arc<Leg>| {
        let invite = leg.invite.as_ref();
        invite.is_some_and(|invite| invite.top_via().branch() == message.top_via().branch())
    };
    let leg = lock(&line.calls).values().find(is_its).cloned();
    let Some(leg) = leg else { return line.reply(message, answer_with(message, 481, None)).await };
    let tag = lock(&leg.dialog).local_tag.clone();
    line.reply(message, answer_with(message, 200, Some(&tag))).await;
    refuse(&leg, 487).await;
}

/// Takes an ACK: the 2xx has arrived.
pub(super) fn on_ack(line: &Line, message: &Message) {
    if let Some(leg) = line.call_of(message) {
        leg.acknowledged.store(true, Ordering::Release);
    }
}

/// Takes a BYE.
pub(super) async fn on_bye(line: &Arc<Line>, message: &Message) {
    let Some(leg) = line.call_of(message) else {
        return line.reply(message, answer_with(message, 481, None)).await;
    };
    line.reply(message, answer_with(message, 200, None)).await;
    // RFC 3261 §15.1.2: the INVITE that still rings is answered as well.
    refuse(&leg, 487).await;
    leg.becomes(CallState::Ended(None));
}

/// Takes a re-INVITE or an UPDATE.
pub(super) async fn on_offer(line: &Arc<Line>, message: &Message) {
    let Some(leg) = line.call_of(message) else {
        return line.reply(message, answer_with(message, 481, None)).await;
    };
    let is_invite = message.method() == Some(Method::Invite);
    // RFC 3261 §14.2: one offer at a time.
    if leg.offering.load(Ordering::Acquire) {
        return line.reply(message, respond(&leg, message, 491, None)).await;
    }
    lock(&leg.dialog).refresh(message);
    let describes = is_invite || !message.body_bytes().is_empty();
    let description = describes.then(|| lock(&leg.session).answer(message));
    let bytes = respond(&leg, message, 200, description.as_deref());
    if is_invite {
        leg.acknowledged.store(false, Ordering::Release);
        tokio::spawn(repeat(Arc::clone(&leg), bytes.clone()));
    }
    line.reply(message, bytes).await;
}

/// Answers a question for what we can do; inside a dialog it asks whether that is still there (RFC 3261 §11.2).
pub(super) async fn on_options(line: &Arc<Line>, message: &Message) {
    let status = if message.to_tag().is_some() && line.call_of(message).is_none() { 481 } else { 200 };
    line.reply(message, answer_with(message, status, None)).await;
}

/// An answer in a leg's dialog.
fn respond(leg: &Leg, request: &Message, status: u16, description: Option<&str>) -> Bytes {
    let tag = lock(&leg.dialog).local_tag.clone();
    let mut writer = ResponseWriter::reply_to(request, StatusCode(status), None, Some(&tag));
    if status < 300 {
        writer.copy_headers(request, Name::RecordRoute);
        writer.header(Name::Contact, &leg.line.contact());
        writer.header(Name::Allow, ALLOW).header(Name::Supported, SUPPORTED);
    }
    if let Some(description) = description {
        writer.body(sdp::CONTENT_TYPE, description.as_bytes());
    }
    writer.finish()
}

/// An answer outside any dialog.
pub(super) fn answer_with(request: &Message, status: u16, tag: Option<&str>) -> Bytes {
    let mut writer = ResponseWriter::reply_to(request, StatusCode(status), None, Some(tag.unwrap_or("ua")));
    if status == 405 || request.method() == Some(Method::Options) {
        writer.header(Name::Allow, ALLOW).header(Name::Supported, SUPPORTED);
    }
    writer.finish()
}
