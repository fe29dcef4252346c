//! What is sent again when a message comes again: the answer to a request, the ACK to a final answer (RFC 3261 §17.2,
//! §17.1.1.2, §13.2.2.4).

use bytes::Bytes;
use lampyris_sip::{Message, Method};
use std::collections::VecDeque;

/// Replies that are remembered; more than can be under way at one phone.
const REMEMBERED: usize = 128;

/// The last replies, oldest first.
#[derive(Default)]
pub(super) struct Repeats {
    replies: VecDeque<(String, Bytes)>,
}

impl Repeats {
    /// What was sent when this message came the first time.
    pub(super) fn find(&self, message: &Message) -> Option<Bytes> {
        let key = key(message)?;
        self.replies.iter().rev().find(|(known, _)| *known == key).map(|(_, bytes)| bytes.clone())
    }

    /// This is the reply to that message, from now on.
    pub(super) fn keep(&mut self, message: &Message, reply: Bytes) {
        let Some(key) = key(message) else { return };
        self.replies.retain(|(known, _)| *known != key);
        if self.replies.len() >= REMEMBERED {
            self.replies.pop_front();
        }
        self.replies.push_back((key, reply));
    }
}

/// What copies of a message share: the transaction, and of a response also whose it is, because a 2xx of another fork
/// wants an ACK of its own.
fn key(message: &Message) -> Option<String> {
    let via = message.top_via();
    let branch = via.branch()?;
    match message.method() {
        Some(Method::Ack) => None,
        Some(method) => Some(format!("{branch} {}", method.as_str())),
        None => Some(format!("{branch} {} {}", message.status()?.0, message.to_tag().unwrap_or(""))),
    }
}
