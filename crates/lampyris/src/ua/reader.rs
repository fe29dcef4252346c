//! What comes in on a phone's socket: answers go to who waits for them, requests to what answers them.

use super::call::Call;
use super::invited;
use super::line::{Line, lock};
use super::wire::Ear;
use lampyris_sip::{Message, Method, Name};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a phone tells whoever has it.
#[derive(Clone)]
pub enum Heard {
    /// A NOTIFY, already answered.
    Notified(Notified),
    /// A call that came in: it rings, or has answered itself.
    Called(Call),
}

/// A NOTIFY that came in, already answered.
#[derive(Clone, Debug)]
pub struct Notified {
    /// Its Call-ID: which subscription.
    pub call_id: String,
    /// Event.
    pub event: String,
    /// Subscription-State.
    pub state: String,
    /// The From URI: whose state.
    pub resource: String,
    /// CSeq number.
    pub cseq: u32,
    /// Content-Type.
    pub content_type: String,
    /// The document.
    pub body: String,
}

/// Reads the socket until it fails.
pub(super) async fn read(line: Arc<Line>, mut ear: Ear, heard: mpsc::UnboundedSender<Heard>) {
    loop {
        let bytes = match line.wire.receive(&mut ear).await {
            Ok(bytes) => bytes,
            // Why: over UDP it says that nobody listens there now, which may pass.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                line.fail(error);
                continue;
            }
            Err(error) => return line.fail(error),
        };
        let Ok(message) = Message::parse(bytes) else { continue };
        let message = if message.is_request() {
            message
        } else {
            let Some(message) = line.on_response(message) else { continue };
            message
        };
        let again = lock(&line.repeats).find(&message);
        if let Some(reply) = again {
            let _ = line.wire.send(&reply).await;
        } else if let Some(told) = on_request(&line, &message).await {
            // Why: a phone whose owner does not listen works all the same.
            let _ = heard.send(told);
        }
    }
}

async fn on_request(line: &Arc<Line>, message: &Message) -> Option<Heard> {
    match message.method()? {
        Method::Ack => invited::on_ack(line, message),
        Method::Invite => return invited::on_invite(line, message).await.map(Heard::Called),
        Method::Cancel => invited::on_cancel(line, message).await,
        Method::Bye => invited::on_bye(line, message).await,
        Method::Update => invited::on_offer(line, message).await,
        Method::Options => invited::on_options(line, message).await,
        Method::Notify => {
            line.reply(message, invited::answer_with(message, 200, None)).await;
            return Some(Heard::Notified(notified(message)));
        }
        _ => line.reply(message, invited::answer_with(message, 405, None)).await,
    }
    None
}

fn notified(message: &Message) -> Notified {
    let text = |name| message.header(name).unwrap_or("").to_owned();
    Notified {
        call_id: message.call_id().to_owned(),
        event: text(Name::Event),
        state: text(Name::SubscriptionState),
        resource: message.from().uri().to_owned(),
        cseq: message.cseq().seq,
        content_type: text(Name::ContentType),
        body: String::from_utf8_lossy(&message.body()).into_owned(),
    }
}
