//! One phone: its requests with retransmission and digest, and its answers to what the server sends.
//!
//! ```text
//! phone             server
//!   | SUBSCRIBE       |
//!   |---------------->|
//!   |<------------401-|
//!   | SUBSCRIBE, Auth |
//!   |---------------->|
//!   |<------------200-|
//!   |<---------NOTIFY-|  -> Notified, answered 200
//! ```

use super::account::Account;
use super::wire::{Ear, Wire, token};
use bytes::Bytes;
use lampyris_core::flow::Transport;
use lampyris_sip::{Message, Method, Name, RequestWriter, ResponseWriter, StatusCode};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// Timer F: 64*T1 (RFC 3261 §17.1.2.2).
const GIVE_UP: Duration = Duration::from_secs(32);

/// Why a request did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub enum UaError {
    /// The server said no.
    #[error("{method} was refused: {status} {reason}")]
    Refused {
        /// What was asked.
        method: String,
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// Nobody answered within 32 s.
    #[error("{method} was not answered")]
    Unanswered {
        /// What was asked.
        method: String,
    },
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
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

/// What a PUBLISH left at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The entity-tag.
    pub etag: String,
    /// Seconds granted.
    pub expires_s: u32,
}

struct Shared {
    account: Account,
    transport: Transport,
    wire: Wire,
    local: SocketAddr,
    waiting: Mutex<HashMap<String, oneshot::Sender<Message>>>,
    cseq: AtomicU32,
    agent: &'static str,
}

/// A phone. Dropping it stops it without a word.
pub struct Phone {
    shared: Arc<Shared>,
    reader: JoinHandle<()>,
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Phone {
    /// A phone of `account` on its own socket towards `server`; NOTIFYs come out of the receiver.
    ///
    /// # Errors
    /// The socket cannot be opened.
    pub async fn start(
        account: Account,
        transport: Transport,
        server: SocketAddr,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<Notified>)> {
        let (wire, ear, local) = Wire::open(transport, server).await?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            account,
            transport,
            wire,
            local,
            waiting: Mutex::new(HashMap::new()),
            cseq: AtomicU32::new(0),
            agent: concat!("lampyris-ua/", env!("CARGO_PKG_VERSION")),
        });
        let reader = tokio::spawn(read(Arc::clone(&shared), ear, sender));
        Ok((Self { shared, reader }, receiver))
    }

    /// The phone's account.
    pub fn account(&self) -> &Account {
        &self.shared.account
    }

    /// Registers this phone's address for `expires_s` seconds; 0 takes it back.
    ///
    /// # Errors
    /// [`UaError`].
    pub async fn register(&self, expires_s: u32) -> Result<(), UaError> {
        let account = &self.shared.account;
        let uri = format!("sip:{}", account.domain);
        let headers = [(Name::Contact, self.contact()), (Name::Expires, expires_s.to_string())];
        let to = account.name_addr();
        self.request(Method::Register, &uri, &to, &token(), &headers, None).await.map(|_| ())
    }

    /// Subscribes to `user` of the own domain; what comes is told by the receiver.
    ///
    /// # Errors
    /// [`UaError`].
    pub async fn subscribe(
        &self,
        user: &str,
        event: &str,
        accept: &str,
        expires_s: u32,
    ) -> Result<String, UaError> {
        let uri = format!("sip:{user}@{}", self.shared.account.domain);
        let headers = [
            (Name::Contact, self.contact()),
            (Name::Event, event.to_owned()),
            (Name::Accept, accept.to_owned()),
            (Name::Expires, expires_s.to_string()),
        ];
        let call_id = token();
        self.request(Method::Subscribe, &uri, &format!("<{uri}>"), &call_id, &headers, None).await?;
        Ok(call_id)
    }

    /// Publishes for the own AOR: a first document, a new one for `etag`, or (without a body) a refresh of it.
    ///
    /// # Errors
    /// [`UaError`].
    pub async fn publish(
        &self,
        event: &str,
        body: Option<(&str, &str)>,
        etag: Option<&str>,
        expires_s: u32,
    ) -> Result<Published, UaError> {
        let uri = self.shared.account.aor();
        let mut headers = vec![(Name::Event, event.to_owned()), (Name::Expires, expires_s.to_string())];
        headers.extend(etag.map(|etag| (Name::SipIfMatch, etag.to_owned())));
        let to = self.shared.account.name_addr();
        let answer = self.request(Method::Publish, &uri, &to, &token(), &headers, body).await?;
        let text = |name| answer.header(name).unwrap_or("").to_owned();
        Ok(Published {
            etag: text(Name::SipETag),
            expires_s: text(Name::Expires).parse().unwrap_or(expires_s),
        })
    }

    fn contact(&self) -> String {
        let user = &self.shared.account.user;
        let local = self.shared.local;
        format!("<sip:{user}@{local};transport={}>", self.shared.transport.param())
    }

    /// Sends a request, answers one challenge, and gives the 2xx.
    async fn request(
        &self,
        method: Method<'_>,
        uri: &str,
        to: &str,
        call_id: &str,
        headers: &[(Name, String)],
        body: Option<(&str, &str)>,
    ) -> Result<Message, UaError> {
        let from_tag = token();
        let mut authorization: Option<String> = None;
        loop {
            let branch = format!("z9hG4bK{}", token());
            let cseq = self.shared.cseq.fetch_add(1, Ordering::Relaxed) + 1;
            let mut writer = RequestWriter::new(method.as_str(), uri);
            let (via, local) = (self.shared.transport.via(), self.shared.local);
            writer.header_fmt(Name::Via, format_args!("SIP/2.0/{via} {local};branch={branch};rport"));
            writer.header(Name::MaxForwards, "70");
            writer.header_fmt(Name::From, format_args!("{};tag={from_tag}", self.shared.account.name_addr()));
            writer.header(Name::To, to);
            writer.header(Name::CallId, call_id);
            writer.header_fmt(Name::CSeq, format_args!("{cseq} {}", method.as_str()));
            for (name, value) in headers {
                writer.header(*name, value);
            }
            writer.header(Name::UserAgent, self.shared.agent);
            if let Some(value) = &authorization {
                writer.header(Name::Authorization, value);
            }
            if let Some((content_type, body)) = body {
                writer.body(content_type, body.as_bytes());
            }
            let answer = self.exchange(method, &branch, writer.finish()).await?;
            let status = answer.status().unwrap_or(StatusCode(500)).0;
            match status {
                200..=299 => return Ok(answer),
                401 if authorization.is_none() => {
                    let content = body.map_or(&[][..], |(_, body)| body.as_bytes());
                    authorization = self.shared.account.answer(&answer, method.as_str(), uri, content);
                    if authorization.is_some() {
                        continue;
                    }
                }
                _ => {}
            }
            let reason = StatusCode(status).reason().to_owned();
            return Err(UaError::Refused { method: method.as_str().to_owned(), status, reason });
        }
    }

    /// Sends bytes until the final answer is there (RFC 3261 §17.1.2).
    async fn exchange(&self, method: Method<'_>, branch: &str, bytes: Bytes) -> Result<Message, UaError> {
        let (sender, mut receiver) = oneshot::channel();
        lock(&self.shared.waiting).insert(branch.to_owned(), sender);
        let give_up = Instant::now() + GIVE_UP;
        let mut wait = if self.shared.wire.is_reliable() { GIVE_UP } else { T1 };
        loop {
            self.shared.wire.send(&bytes).await?;
            match timeout(wait, &mut receiver).await {
                Ok(Ok(answer)) => return Ok(answer),
                Err(_) if Instant::now() < give_up => wait = (wait * 2).min(T2),
                Ok(Err(_)) | Err(_) => {
                    lock(&self.shared.waiting).remove(branch);
                    return Err(UaError::Unanswered { method: method.as_str().to_owned() });
                }
            }
        }
    }
}

/// Reads the socket until it fails: answers go to who waits, requests are answered.
async fn read(shared: Arc<Shared>, mut ear: Ear, notified: mpsc::UnboundedSender<Notified>) {
    while let Ok(bytes) = shared.wire.receive(&mut ear).await {
        let Ok(message) = Message::parse(bytes) else { continue };
        match message.method() {
            None => {
                let is_final = message.status().is_some_and(|status| status.0 >= 200);
                let waiting = message
                    .top_via()
                    .branch()
                    .and_then(|branch| is_final.then(|| lock(&shared.waiting).remove(branch)).flatten());
                if let Some(waiting) = waiting {
                    let _ = waiting.send(message);
                }
            }
            Some(Method::Ack) => {}
            Some(Method::Notify) => {
                if shared.wire.send(&answer(&message, StatusCode(200))).await.is_err() {
                    return;
                }
                let text = |name| message.header(name).unwrap_or("").to_owned();
                let told = Notified {
                    call_id: message.call_id().to_owned(),
                    event: text(Name::Event),
                    state: text(Name::SubscriptionState),
                    resource: message.from().uri().to_owned(),
                    cseq: message.cseq().seq,
                    content_type: text(Name::ContentType),
                    body: String::from_utf8_lossy(&message.body()).into_owned(),
                };
                let _ = notified.send(told);
            }
            Some(method) => {
                let status = if method == Method::Options { StatusCode(200) } else { StatusCode(405) };
                if shared.wire.send(&answer(&message, status)).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn answer(request: &Message, status: StatusCode) -> Bytes {
    let mut writer = ResponseWriter::reply_to(request, status, None, Some("ua"));
    if status.0 == 405 {
        writer.header(Name::Allow, "NOTIFY, OPTIONS");
    }
    writer.finish()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
