//! The server's table of contents: what becomes of each request (RFC 3261 §8.2, in its order).
//!
//! ```text
//! datagram -> Message -> transaction layer -> checks -> who is it? -> method
//! ```
//!
//! Until a request is authenticated nothing is kept of it and it gets at most one answer, over UDP no larger than itself.

use crate::authn::Asks;
use crate::authn::{Authenticator, Identity};
use crate::fingerprint::fnv1a;
use crate::flow::Flow;
use crate::hits::Limit;
use crate::limits;
use crate::node::Node;
use crate::output::{Event, Ticket};
use crate::packages;
use crate::reject::{Reject, option_tags};
use crate::time::Now;
use crate::transaction::{Parts, Seen, ServerId};
use crate::who::Who;
use bytes::Bytes;
use lampyris_sip::{Message, Method, Name, ParseError, ResponseWriter, StatusCode};

/// Methods we take outside and inside our dialogs.
const ALLOW: &str = "OPTIONS, REGISTER, SUBSCRIBE, PUBLISH";
/// The extensions we support: what Require may name, and what OPTIONS tells of.
const SUPPORTED: [&str; 5] = [
    "path",
    crate::outbound::OPTION,
    crate::gruu::OPTION,
    crate::lists::OPTION,
    crate::lists::RECIPIENT_LIST,
];

/// An authenticated request in its transaction.
pub(crate) struct Request<'m> {
    /// Where it came from.
    pub(crate) flow: Flow,
    /// The message.
    pub(crate) message: &'m Message,
    /// Who sent it.
    pub(crate) identity: Identity,
    /// Its transaction.
    pub(crate) server: ServerId,
    /// What its body asks for has been done.
    pub(crate) body_done: bool,
}

impl Node {
    /// Takes any request.
    pub(crate) fn on_request(&mut self, now: Now, flow: Flow, message: &Message) {
        self.counters.requests += 1;
        let via = message.top_via();
        let parts = Parts {
            method: message.method().map_or("", |method| method.as_str()),
            uri: message.request_uri().unwrap_or("").as_bytes(),
            via: message.header(Name::Via).unwrap_or("").as_bytes(),
            branch: via.branch(),
            host: via.sent_by_str(),
            port: via.port(),
            call_id: message.call_id(),
            from_tag: message.from_tag(),
            to_tag: message.to_tag(),
            cseq: message.cseq().seq,
        };
        match self.transactions.lookup(now.mono, flow, &parts) {
            Seen::Retransmission(Some(again)) => self.transmit(again),
            Seen::Retransmission(None) | Seen::Acknowledged => {}
            Seen::Ack => self.on_ack(now, flow, message),
            Seen::Merged => self.refuse(now, flow, message, &Reject::LoopDetected),
            Seen::Cancel { of } => {
                if let Err(reject) = self.on_cancel(now, flow, message, &parts, of) {
                    self.refuse(now, flow, message, &reject);
                }
            }
            Seen::New => {
                if let Err(reject) = self.on_new_request(now, flow, message, &parts) {
                    self.refuse(now, flow, message, &reject);
                }
            }
        }
    }

    /// Checks what RFC 3261 §8.2 wants checked, asks who it is, and hands over to the method.
    fn on_new_request(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        parts: &Parts<'_>,
    ) -> Result<(), Reject> {
        self.refused_by_load(message)?;
        let uri = message.request_uri().unwrap_or("");
        if uri.len() > limits::URI_BYTES_MAX {
            return Err(Limit::Uri.into());
        }
        let identifiers = [message.call_id(), parts.branch.unwrap_or("")];
        if identifiers.iter().any(|text| text.len() > limits::IDENTIFIER_BYTES_MAX) {
            return Err(Limit::Identifier.into());
        }
        let addresses =
            [Name::From, Name::To, Name::Contact].into_iter().flat_map(|name| message.values(name));
        if addresses.into_iter().any(|text| text.len() > limits::ADDRESS_BYTES_MAX) {
            return Err(Limit::Address.into());
        }
        if message.body().len() > limits::BODY_BYTES_MAX {
            return Err(Limit::Body.into());
        }
        let method = message.method().unwrap_or(Method::Options);
        let known =
            matches!(method, Method::Options | Method::Register | Method::Subscribe | Method::Publish);
        let may_be_in_call = method != Method::Register && message.to_tag().is_some();
        let hop = if may_be_in_call { self.call_of(message) } else { None };
        // RFC 3261 §8.2.2.1: a scheme we do not know; before the method, so that the torture set's are all 416.
        let ours = self.target_of(message)?;
        if let Some(slot) = self.gateway_dialog(message) {
            return self.on_gateway_notify(now, flow, message, (slot, parts));
        }
        let for_us = ours.as_ref().is_some_and(|address| address.user.is_empty());
        let for_phone = ours.is_some() && self.is_for_phone(message);
        if hop.is_some() || for_phone || (!known && !for_us && method != Method::Notify) {
            return self.on_proxied(now, flow, message, parts, hop);
        }
        if !known {
            return Err(self.without_handler(method, message));
        }
        let required = message.values(Name::Require).chain(message.values(Name::ProxyRequire));
        let unknown: Vec<_> =
            required.filter(|tag| !SUPPORTED.iter().any(|known| known.eq_ignore_ascii_case(tag))).collect();
        if !unknown.is_empty() {
            return Err(Reject::BadExtension { unsupported: option_tags(unknown) });
        }
        if method == Method::Options {
            self.on_options(now, flow, message);
            return Ok(());
        }
        if self.answer_repeated(now, flow, message, parts) {
            return Ok(());
        }
        let domain = match &ours {
            Some(address) => address.domain,
            // Why: REGISTER's Request-URI names a domain only; the To is looked at after authentication.
            None => 0,
        };
        let Some(request) = self.admit(now, flow, message, parts, (Asks::Server, domain))? else {
            return Ok(());
        };
        self.phone_is_back(now, flow, &request.identity, message);
        // Why: a SUBSCRIBE may be for somebody whom we ask another server for.
        let is_new_watcher = method == Method::Subscribe && message.to_tag().is_none();
        let outcome = if ours.is_none() && !is_new_watcher {
            Err(Reject::NotFound)
        } else {
            match method {
                Method::Register => self.on_register(now, &request),
                Method::Publish => self.on_publish(now, &request),
                _ => self.on_subscribe(now, &request),
            }
        };
        if let Err(reject) = outcome {
            self.reject(now, &request, &reject);
        }
        Ok(())
    }

    /// Who sent a request, and a transaction for it; `None` where its sender is not known and was challenged.
    ///
    /// # Errors
    /// 403: it speaks as somebody else. 503: too many transactions.
    pub(crate) fn admit<'m>(
        &mut self,
        now: Now,
        flow: Flow,
        message: &'m Message,
        parts: &Parts<'_>,
        (asks, domain): (Asks, usize),
    ) -> Result<Option<Request<'m>>, Reject> {
        let identity = match self.identify(now, flow, message, domain, asks)? {
            Who::Known(identity) => identity,
            Who::Challenged => return Ok(None),
        };
        let Some(server) = self.transactions.open(now.mono, flow, parts) else {
            return Err(Limit::Transactions.into());
        };
        Ok(Some(Request { flow, message, identity, server, body_done: false }))
    }

    /// The answer to a method we do nothing with.
    fn without_handler(&self, method: Method<'_>, message: &Message) -> Reject {
        match method {
            Method::Other(_) => Reject::NotImplemented { allow: ALLOW.into() },
            // RFC 3261 §12.2.2, RFC 6665 §4.1.3: inside a dialog that is not ours, or a NOTIFY nobody asked for.
            Method::Notify => Reject::NoSuchDialog,
            _ if message.to_tag().is_some() => Reject::NoSuchDialog,
            _ => Reject::MethodNotAllowed { allow: ALLOW.into() },
        }
    }

    /// What is not SIP, or not quite: answered where that is possible (RFC 3261 §8.2, §18.3).
    pub(crate) fn on_malformed(&mut self, now: Now, flow: Flow, error: &ParseError) {
        self.counters.malformed += 1;
        let Some(message) = error.reply_to() else { return };
        if message.method() == Some(Method::Ack) {
            return;
        }
        let reject = match error.status().0 {
            505 => Reject::VersionNotSupported,
            501 => Reject::NotImplemented { allow: ALLOW.into() },
            416 => Reject::UnsupportedUriScheme,
            413 => Limit::Body.into(),
            513 => Limit::Message.into(),
            _ => Reject::BadRequest(error.reason().into()),
        };
        self.refuse(now, flow, message, &reject);
    }

    /// OPTIONS: everything we support (RFC 3261 §11.2).
    fn on_options(&mut self, now: Now, flow: Flow, message: &Message) {
        let accept: Vec<_> = packages::PackageId::all().flat_map(|p| p.get().publish_types()).collect();
        let mut headers = vec![
            (Name::Allow, ALLOW.to_owned()),
            (Name::AllowEvents, packages::allow_events()),
            (Name::Accept, accept.join(", ")),
            (Name::AcceptEncoding, "identity".to_owned()),
            (Name::AcceptLanguage, "en".to_owned()),
            (Name::Supported, SUPPORTED.join(", ")),
        ];
        // Why: nobody proved who they are, so the answer may not be larger than the question (over UDP).
        loop {
            let mut writer =
                self.response(message, flow, StatusCode(200), Some(&self.stateless_tag(message)));
            for (name, value) in &headers {
                writer.header(*name, value);
            }
            let bytes = writer.finish();
            if headers.is_empty() || self.may_answer(flow, message, &bytes) {
                return self.answer_stateless(now, flow, message, bytes);
            }
            headers.pop();
        }
    }

    /// Refuses an authenticated request, in its transaction.
    pub(crate) fn reject(&mut self, now: Now, request: &Request<'_>, reject: &Reject) {
        self.count(reject);
        self.tell(Event::Rejected {
            from: request.flow.remote(),
            status: reject.status(),
            why: format!(
                "{} {} by {}: {}",
                request.message.method().map_or("", |method| method.as_str()),
                request.message.request_uri().unwrap_or(""),
                request.identity.name(&self.facts.settings),
                reject.reason()
            ),
        });
        let bytes = self.reject_bytes(request.message, request.flow, reject);
        self.respond(now, request.server, reject.status(), bytes, None);
    }

    /// A whole error response.
    pub(crate) fn reject_bytes(&self, message: &Message, flow: Flow, reject: &Reject) -> Bytes {
        let tag = self.stateless_tag(message);
        let mut writer = self.response(message, flow, StatusCode(reject.status()), Some(&tag));
        reject.headers(spread(&tag), &mut |name, value| {
            writer.header_str(name, value);
        });
        self.name_us(&mut writer);
        writer.finish()
    }

    /// Refuses a request of somebody unknown: without a transaction, and not larger than the request over UDP.
    fn refuse(&mut self, now: Now, flow: Flow, message: &Message, reject: &Reject) {
        self.count(reject);
        if message.method() == Some(Method::Ack) {
            return; // RFC 3261 §17: an ACK is never answered.
        }
        let tag = self.stateless_tag(message);
        let status = StatusCode(reject.status());
        let mut writer = self.response(message, flow, status, Some(&tag));
        reject.headers(spread(&tag), &mut |name, value| {
            writer.header_str(name, value);
        });
        let mut bytes = writer.finish();
        if !self.may_answer(flow, message, &bytes) {
            bytes = self.response(message, flow, status, Some(&tag)).finish();
        }
        self.answer_stateless(now, flow, message, bytes);
    }

    /// Sends an answer that no transaction remembers; one that is larger than its request costs a token.
    pub(crate) fn answer_stateless(&mut self, now: Now, flow: Flow, message: &Message, bytes: Bytes) {
        if self.may_answer(flow, message, &bytes)
            || self.authenticator.spare_answer(now.mono, flow.remote().ip())
        {
            self.send(flow, bytes, None);
        } else {
            self.hits.add(Limit::ShortAnswers);
        }
    }

    fn count(&mut self, reject: &Reject) {
        self.counters.rejects += 1;
        self.metrics.refused(reject.status());
        if let Reject::Over { limit, .. } = reject {
            self.hits.add(*limit);
        }
    }

    /// Whether an answer is no larger than its request, or its address is proven: by a stream, by being trusted.
    pub(crate) fn may_answer(&self, flow: Flow, message: &Message, bytes: &Bytes) -> bool {
        flow.is_reliable()
            || bytes.len() <= message.raw().len()
            || Authenticator::is_trusted(&self.facts.settings, flow)
    }

    /// A response with what it copies from its request (RFC 3261 §8.2.6).
    pub(crate) fn response(
        &self,
        message: &Message,
        flow: Flow,
        status: StatusCode,
        to_tag: Option<&str>,
    ) -> ResponseWriter {
        ResponseWriter::reply_to(message, status, Some(flow.remote()), to_tag)
    }

    /// Says who we are, to somebody who said so first.
    pub(crate) fn name_us(&self, writer: &mut ResponseWriter) {
        let name = &self.facts.settings.server_name;
        if !name.is_empty() {
            writer.header(Name::Server, name);
        }
    }

    /// A tag for an answer that nobody remembers: the same for a retransmission (RFC 3261 §8.2.7).
    pub(crate) fn stateless_tag(&self, message: &Message) -> String {
        self.authenticator.stateless_tag(message)
    }

    /// Sends a response in its transaction.
    pub(crate) fn respond(
        &mut self,
        now: Now,
        server: ServerId,
        status: u16,
        bytes: Bytes,
        after: Option<Ticket>,
    ) {
        if let Some(transmit) = self.transactions.respond(now.mono, server, status, bytes, after) {
            self.transmit(transmit);
        }
    }
}

/// A number that differs from request to request, and is the same for a retransmission.
fn spread(tag: &str) -> u32 {
    u32::try_from(fnv1a(tag.as_bytes()) >> 32).unwrap_or(0)
}
