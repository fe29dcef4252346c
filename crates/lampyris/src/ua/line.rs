//! What all tasks of a phone share: its account, its socket, its open transactions and its calls; and how a request is
//! sent until it is answered (RFC 3261 §17.1).
//!
//! Everything goes to the one server the phone was given, as through an outbound proxy; the first Route is that server.

use super::UaError;
use super::account::Account;
use super::call::Leg;
use super::repeats::Repeats;
use super::wire::{Wire, token};
use bytes::Bytes;
use lampyris_core::flow::Transport;
use lampyris_sip::{Message, Method, Name, RequestWriter, StatusCode};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

pub(super) const T1: Duration = Duration::from_millis(500);
pub(super) const T2: Duration = Duration::from_secs(4);
/// Timers B and F, and how long a 2xx is repeated: 64*T1 (RFC 3261 §17.1.1.2, §17.1.2.2, §13.3.1.4).
pub(super) const GIVE_UP: Duration = Duration::from_secs(32);

/// A request before it has a transaction.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: Method<'a>,
    pub(super) uri: &'a str,
    /// With tag.
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) call_id: &'a str,
    pub(super) routes: &'a [String],
    pub(super) headers: &'a [(Name, String)],
    /// Content type and body.
    pub(super) body: Option<(&'a str, &'a str)>,
}

/// What makes copies of a request one transaction.
pub(super) struct Transaction {
    pub(super) branch: String,
    pub(super) cseq: u32,
}

/// A phone's line.
pub(super) struct Line {
    pub(super) account: Account,
    pub(super) transport: Transport,
    pub(super) wire: Wire,
    pub(super) local: SocketAddr,
    pub(super) agent: &'static str,
    /// Call-ID of its REGISTERs: the same as long as it runs (RFC 3261 §10.2.4).
    pub(super) registration: String,
    pub(super) repeats: Mutex<Repeats>,
    /// By Call-ID and our tag.
    pub(super) calls: Mutex<HashMap<(String, String), Arc<Leg>>>,
    waiting: Mutex<HashMap<String, mpsc::UnboundedSender<Message>>>,
    /// What is wrong with the socket.
    trouble: Mutex<Option<io::Error>>,
    cseq: AtomicU32,
}

impl Line {
    pub(super) fn new(account: Account, transport: Transport, wire: Wire, local: SocketAddr) -> Self {
        Self {
            account,
            transport,
            wire,
            local,
            agent: concat!("lampyris-ua/", env!("CARGO_PKG_VERSION")),
            registration: token(),
            repeats: Mutex::default(),
            calls: Mutex::default(),
            waiting: Mutex::default(),
            trouble: Mutex::default(),
            cseq: AtomicU32::new(0),
        }
    }

    pub(super) fn contact(&self) -> String {
        let (user, local) = (&self.account.user, self.local);
        format!("<sip:{user}@{local};transport={}>", self.transport.param())
    }

    /// A new transaction. One CSeq for all dialogs: in each of them it only has to grow (RFC 3261 §12.2.2).
    pub(super) fn transaction(&self) -> Transaction {
        let cseq = self.cseq.fetch_add(1, Ordering::Relaxed) + 1;
        Transaction { branch: format!("z9hG4bK{}", token()), cseq }
    }

    pub(super) fn write(
        &self,
        request: &Request<'_>,
        transaction: &Transaction,
        credentials: Option<&(Name, String)>,
    ) -> Bytes {
        let method = request.method.as_str();
        let mut writer = RequestWriter::new(method, request.uri);
        let (via, local, branch) = (self.transport.via(), self.local, &transaction.branch);
        writer.header_fmt(Name::Via, format_args!("SIP/2.0/{via} {local};branch={branch};rport"));
        writer.header(Name::MaxForwards, "70");
        for route in request.routes {
            writer.header(Name::Route, route);
        }
        writer.header(Name::From, request.from);
        writer.header(Name::To, request.to);
        writer.header(Name::CallId, request.call_id);
        writer.header_fmt(Name::CSeq, format_args!("{} {method}", transaction.cseq));
        for (name, value) in request.headers {
            writer.header(*name, value);
        }
        writer.header(Name::UserAgent, self.agent);
        if let Some((name, value)) = credentials {
            writer.header(*name, value);
        }
        if let Some((content_type, body)) = request.body {
            writer.body(content_type, body.as_bytes());
        }
        writer.finish()
    }

    /// Sends a request, answers one challenge, and gives the 2xx. Not for INVITE.
    pub(super) async fn request(&self, request: &Request<'_>) -> Result<Message, UaError> {
        let answer = self.ask(request).await?;
        match answer.status().unwrap_or(StatusCode(500)).0 {
            200..300 => Ok(answer),
            status => Err(UaError::refused(request.method, status)),
        }
    }

    /// Sends a request, answers one challenge, and gives the final answer, whatever it is. Not for INVITE.
    pub(super) async fn ask(&self, request: &Request<'_>) -> Result<Message, UaError> {
        let mut credentials = None;
        loop {
            let transaction = self.transaction();
            let bytes = self.write(request, &transaction, credentials.as_ref());
            let answer = self.exchange(request.method, &transaction.branch, bytes).await?;
            if credentials.is_some() {
                return Ok(answer);
            }
            credentials = self.account.answer(&answer, request);
            if credentials.is_none() {
                return Ok(answer);
            }
        }
    }

    /// Sends bytes until the final answer is there (RFC 3261 §17.1.2).
    pub(super) async fn exchange(
        &self,
        method: Method<'_>,
        branch: &str,
        bytes: Bytes,
    ) -> Result<Message, UaError> {
        let mut answers = self.answers_to(method, branch);
        let give_up = Instant::now() + GIVE_UP;
        let mut wait = if self.wire.is_reliable() { GIVE_UP } else { T1 };
        self.wire.send(&bytes).await?;
        let mut again = Instant::now() + wait;
        loop {
            let left = again.min(give_up).saturating_duration_since(Instant::now());
            match timeout(left, answers.receiver.recv()).await {
                Ok(Some(answer)) if answer.status().is_some_and(|status| status.0 >= 200) => {
                    return Ok(answer);
                }
                Ok(Some(_)) => {}
                Err(_) if Instant::now() < give_up => {
                    self.wire.send(&bytes).await?;
                    wait = (wait * 2).min(T2);
                    again = Instant::now() + wait;
                }
                // The reader has given up on everything that waits.
                Ok(None) => return Err(UaError::Io(self.trouble())),
                Err(_) => return Err(UaError::unanswered(method)),
            }
        }
    }

    /// What comes in answer to a request, until this is dropped.
    pub(super) fn answers_to(&self, method: Method<'_>, branch: &str) -> Answers<'_> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let key = format!("{branch} {}", method.as_str());
        lock(&self.waiting).insert(key.clone(), sender);
        Answers { line: self, key, receiver }
    }

    /// Gives a response to who waits for it.
    pub(super) fn on_response(&self, message: Message) -> Option<Message> {
        let key = {
            let via = message.top_via();
            format!("{} {}", via.branch().unwrap_or(""), message.cseq().method.as_str())
        };
        match lock(&self.waiting).get(&key) {
            Some(waiting) => waiting.send(message).err().map(|unsent| unsent.0),
            None => Some(message),
        }
    }

    /// The socket failed: nobody is kept waiting for an answer (RFC 3261 §18.4).
    pub(super) fn fail(&self, error: io::Error) {
        *lock(&self.trouble) = Some(error);
        lock(&self.waiting).clear();
    }

    fn trouble(&self) -> io::Error {
        let trouble = lock(&self.trouble);
        trouble.as_ref().map_or(io::ErrorKind::NotConnected.into(), |error| {
            error
                .raw_os_error()
                .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
        })
    }

    /// The call that a request with this To belongs to.
    pub(super) fn call_of(&self, request: &Message) -> Option<Arc<Leg>> {
        self.call(request.call_id(), request.to_tag()?)
    }

    /// The call with this Call-ID and tag of ours.
    pub(super) fn call(&self, call_id: &str, local_tag: &str) -> Option<Arc<Leg>> {
        lock(&self.calls).get(&(call_id.to_owned(), local_tag.to_owned())).cloned()
    }

    /// Sends a reply, and has it sent again whenever that message comes again.
    pub(super) async fn reply(&self, to: &Message, bytes: Bytes) {
        lock(&self.repeats).keep(to, bytes.clone());
        // Why: a reply that is lost is asked for again, or its sender gives up; the reader finds a dead socket.
        let _ = self.wire.send(&bytes).await;
    }
}

/// The responses to one request.
pub(super) struct Answers<'l> {
    line: &'l Line,
    key: String,
    pub(super) receiver: mpsc::UnboundedReceiver<Message>,
}

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        lock(&self.line.waiting).remove(&self.key);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
