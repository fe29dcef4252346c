//! One phone: what it registers, watches, publishes, and whom it calls.
//!
//! ```text
//! phone             server
//!   | SUBSCRIBE       |
//!   |---------------->|
//!   |<------------401-|
//!   | SUBSCRIBE, Auth |
//!   |---------------->|
//!   |<------------200-|
//!   |<---------NOTIFY-|  -> Heard::Notified, answered 200
//! ```

use super::UaError;
use super::account::Account;
use super::call::{Call, Leg};
use super::dialog::Dialog;
use super::line::{Line, Request, lock};
use super::reader::{Heard, read};
use super::wire::{Trust, Wire};
use super::{inviting, sdp};
use lampyris_core::flow::Transport;
use lampyris_sip::{Message, Method, Name};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What a PUBLISH left at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The entity-tag.
    pub etag: String,
    /// Seconds granted.
    pub expires_s: u32,
}

/// A subscription that the server has accepted.
#[derive(Clone, Debug)]
pub struct Subscription {
    dialog: Dialog,
    event: String,
    accept: String,
}

impl Subscription {
    /// Its Call-ID, as its NOTIFYs have it.
    pub fn call_id(&self) -> &str {
        &self.dialog.call_id
    }

    fn learn(&mut self, answer: &Message) {
        if self.dialog.remote_tag.is_none() {
            self.dialog.learn(answer);
        } else {
            self.dialog.refresh(answer);
        }
    }
}

/// A phone. Dropping it stops it without a word.
pub struct Phone {
    pub(super) line: Arc<Line>,
    reader: JoinHandle<()>,
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.reader.abort();
        // Why: the calls of a line hold their line.
        lock(&self.line.calls).clear();
    }
}

impl Phone {
    /// A phone of `account` on its own socket towards `server`; NOTIFYs and calls come out of the receiver.
    ///
    /// # Errors
    /// The socket cannot be opened.
    pub async fn start(
        account: Account,
        transport: Transport,
        server: SocketAddr,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<Heard>)> {
        Self::connect(account, transport, server, None).await
    }

    /// The same over TLS too, for which it must be said whom to trust.
    ///
    /// # Errors
    /// The socket cannot be opened, or the server does not prove who it is.
    pub async fn connect(
        account: Account,
        transport: Transport,
        server: SocketAddr,
        trust: Option<&Trust>,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<Heard>)> {
        let (wire, ear, local) = Wire::open(transport, server, trust).await?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let line = Arc::new(Line::new(account, transport, wire, local));
        let reader = tokio::spawn(read(Arc::clone(&line), ear, sender));
        Ok((Self { line, reader }, receiver))
    }

    /// The phone's account.
    pub fn account(&self) -> &Account {
        &self.line.account
    }

    /// Registers this phone's address for `expires_s` seconds; 0 takes it back.
    ///
    /// # Errors
    /// [`UaError`].
    pub async fn register(&self, expires_s: u32) -> Result<(), UaError> {
        let account = self.account();
        let uri = format!("sip:{}", account.domain);
        let dialog = Dialog { call_id: self.line.registration.clone(), ..self.begun(&uri) };
        let headers = [(Name::Contact, self.line.contact()), (Name::Expires, expires_s.to_string())];
        let to = account.name_addr();
        let request = Request { to: &to, ..dialog.request(Method::Register, &headers) };
        self.line.request(&request).await.map(|_| ())
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
    ) -> Result<Subscription, UaError> {
        let dialog = self.begun(&self.uri(user));
        let subscription = Subscription { dialog, event: event.to_owned(), accept: accept.to_owned() };
        self.refresh(subscription, expires_s).await
    }

    /// Prolongs a subscription (RFC 6665 §4.1.2.2); 0 ends it.
    ///
    /// # Errors
    /// [`UaError`].
    pub async fn refresh(&self, old: Subscription, expires_s: u32) -> Result<Subscription, UaError> {
        let headers = [
            (Name::Contact, self.line.contact()),
            (Name::Event, old.event.clone()),
            (Name::Accept, old.accept.clone()),
            (Name::Expires, expires_s.to_string()),
        ];
        let answer = self.line.request(&old.dialog.request(Method::Subscribe, &headers)).await?;
        let mut subscription = old;
        subscription.learn(&answer);
        Ok(subscription)
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
        let mut headers = vec![(Name::Event, event.to_owned()), (Name::Expires, expires_s.to_string())];
        headers.extend(etag.map(|etag| (Name::SipIfMatch, etag.to_owned())));
        let dialog = self.begun(&self.account().aor());
        let to = self.account().name_addr();
        let request = Request { to: &to, body, ..dialog.request(Method::Publish, &headers) };
        let answer = self.line.request(&request).await?;
        let text = |name| answer.header(name).unwrap_or("").to_owned();
        Ok(Published {
            etag: text(Name::SipETag),
            expires_s: text(Name::Expires).parse().unwrap_or(expires_s),
        })
    }

    /// Asks something that makes no dialog, and gives the final answer, whatever it is. `to` where it is not `uri`.
    ///
    /// # Errors
    /// [`UaError`], but not [`UaError::Refused`].
    pub async fn ask(
        &self,
        method: Method<'_>,
        uri: &str,
        headers: &[(Name, String)],
        body: Option<(&str, &str)>,
    ) -> Result<Message, UaError> {
        let dialog = self.begun(uri);
        self.line.ask(&Request { body, ..dialog.request(method, headers) }).await
    }

    /// A subscription to any URI that has not been asked for yet: [`Self::renew`] does.
    pub fn intend(&self, uri: &str, event: &str, accept: &str) -> Subscription {
        Subscription { dialog: self.begun(uri), event: event.to_owned(), accept: accept.to_owned() }
    }

    /// Asks for a subscription, prolongs it, or ends it (0), and gives the final answer, whatever it is.
    ///
    /// # Errors
    /// [`UaError`], but not [`UaError::Refused`].
    pub async fn renew(&self, subscription: &mut Subscription, expires_s: u32) -> Result<Message, UaError> {
        let headers = [
            (Name::Contact, self.line.contact()),
            (Name::Event, subscription.event.clone()),
            (Name::Accept, subscription.accept.clone()),
            (Name::Expires, expires_s.to_string()),
            // Why always: a resource that turns out to be a list is refused otherwise (RFC 4662 §4.1).
            (Name::Supported, "eventlist".to_owned()),
        ];
        let answer = self.line.ask(&subscription.dialog.request(Method::Subscribe, &headers)).await?;
        if answer.status().is_some_and(|status| (200..300).contains(&status.0)) {
            subscription.learn(&answer);
        }
        Ok(answer)
    }

    /// Calls `user` of the own domain; what becomes of it is the call's state.
    pub fn call(&self, user: &str) -> Call {
        let leg = Leg::open(&self.line, None, self.begun(&self.uri(user)));
        let offer = lock(&leg.session).offer(false);
        tokio::spawn(inviting::call(Arc::clone(&leg), sdp::CONTENT_TYPE, offer));
        Call { leg }
    }

    /// The calls it has, ringing ones included.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.line.calls).values().map(|leg| Call { leg: Arc::clone(leg) }).collect()
    }

    fn uri(&self, user: &str) -> String {
        format!("sip:{user}@{}", self.account().domain)
    }

    fn begun(&self, uri: &str) -> Dialog {
        Dialog::begun(&self.account().name_addr(), uri)
    }
}
