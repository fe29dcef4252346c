//! Webhooks: events posted to configured addresses, signed, in order, at least once while this process lives.
//!
//! ```text
//! POST url
//! Content-Type: application/json
//! Lampyris-Delivery: 19a2b3-42                      the last event of it
//! Lampyris-Signature: t=1767225600,v1=HEX           HMAC-SHA256 of "1767225600." and the body
//!
//! {"gap":false,"events":[{"id":"19a2b3-41",...},{"id":"19a2b3-42",...}]}
//! ```
//!
//! Whatever is not answered 2xx is tried again with back-off, and what is given up is counted. A webhook keeps no queue: it
//! is a place in the history ([`super::Hub`]); one that falls behind it is told `"gap":true`. Redirects are not followed.

use super::filter::Filter;
use super::history::Item;
use super::limits::{BACK_OFF_MAX, BACK_OFF_MIN, DELIVERY_EVENTS_MAX, DELIVERY_WITHIN, TRIES_MAX};
use super::{Found, Hub};
use crate::config::Webhook;
use crate::http::client;
use crate::http::metrics::Webhooks as Counted;
use crate::http::tokens::hex;
use crate::transport::tls::{self, KeyFiles};
use axum::http::{Request, StatusCode, Uri, header};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::Full;
use lampyris_core::view::Sample;
use rustls::ClientConfig;
use sha2::Sha256;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use tokio::time::{sleep, timeout};

/// What one webhook counted.
#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    retried: AtomicU64,
    dead: AtomicU64,
}

/// All webhooks.
#[derive(Default)]
pub(crate) struct Webhooks(Vec<(String, Arc<Counts>)>);

impl Webhooks {
    /// Starts telling; must be called inside the runtime.
    pub(crate) fn start(hooks: &[Webhook], hub: &Arc<Hub>, files: &KeyFiles) -> Arc<Self> {
        if hooks.is_empty() {
            return Arc::default();
        }
        let tls = match tls::web_client(files) {
            Ok(tls) => Some(tls),
            Err(error) => {
                tracing::error!(%error, "webhooks cannot use TLS");
                None
            }
        };
        let started = hooks.iter().map(|hook| {
            let counts = Arc::new(Counts::default());
            let teller =
                Teller { hook: hook.clone(), hub: hub.clone(), tls: tls.clone(), counts: counts.clone() };
            tokio::spawn(teller.tell());
            (hook.name.clone(), counts)
        });
        Arc::new(Self(started.collect()))
    }

    /// What was counted.
    pub(crate) fn counted(&self) -> Counted {
        let samples = |of: fn(&Counts) -> &AtomicU64| {
            let sample = |(name, counts): &(String, Arc<Counts>)| Sample {
                labels: vec![("webhook".to_owned(), name.clone())],
                value: of(counts).load(Ordering::Relaxed),
            };
            self.0.iter().map(sample).collect()
        };
        Counted {
            delivered: samples(|counts| &counts.delivered),
            retried: samples(|counts| &counts.retried),
            dead: samples(|counts| &counts.dead),
        }
    }
}

struct Teller {
    hook: Webhook,
    hub: Arc<Hub>,
    tls: Option<Arc<ClientConfig>>,
    counts: Arc<Counts>,
}

impl Teller {
    async fn tell(self) {
        let (kinds, subjects) = (self.hook.kinds.clone(), self.hook.subjects.clone());
        let filter = Filter { kinds, subjects, ..Filter::everything() };
        let (mut at, mut gap) = (self.hub.now(), false);
        while self.hub.grown(at).await {
            match self.hub.read(at, &filter) {
                Found::Gap => {
                    // How many events that were, nobody knows any more.
                    self.counts.dead.fetch_add(1, Ordering::Relaxed);
                    (at, gap) = (self.hub.now(), true);
                }
                Found::Items(items, after) => {
                    for events in items.chunks(DELIVERY_EVENTS_MAX) {
                        self.deliver(events, std::mem::take(&mut gap)).await;
                    }
                    at = after;
                }
            }
        }
    }

    async fn deliver(&self, events: &[Arc<Item>], gap: bool) {
        let body = body_of(events, gap);
        let id = events.last().map_or_else(String::new, |item| item.id());
        let mut wait = BACK_OFF_MIN;
        for tried in 1..=TRIES_MAX {
            let cause = match timeout(DELIVERY_WITHIN, self.post(&body, &id)).await {
                Ok(Ok(status)) if status.is_success() => {
                    self.counts.delivered.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                // RFC 9110 §15.5.11: whoever is gone stays so.
                Ok(Ok(StatusCode::GONE)) => break,
                Ok(Ok(status)) => status.to_string(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            tracing::info!(webhook = self.hook.name, cause, tried, "a webhook did not take its events");
            if tried < TRIES_MAX {
                self.counts.retried.fetch_add(1, Ordering::Relaxed);
                sleep(wait).await;
                wait = (wait * 2).min(BACK_OFF_MAX);
            }
        }
        self.counts.dead.fetch_add(u64::try_from(events.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        tracing::warn!(webhook = self.hook.name, last = id, events = events.len(), "events are given up");
    }

    async fn post(&self, body: &Bytes, id: &str) -> io::Result<StatusCode> {
        let uri: Uri = self.hook.url.parse().map_err(io::Error::other)?;
        let answered = client::send(&uri, self.request(body, id)?, self.tls.as_ref(), 0).await?;
        Ok(answered.status())
    }

    fn request(&self, body: &Bytes, id: &str) -> io::Result<Request<Full<Bytes>>> {
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let signature = format!("t={at},v1={}", signature(self.hook.secret.0.as_bytes(), at, body));
        Request::post("/")
            .header(header::USER_AGENT, concat!("lampyris/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, "application/json")
            .header("lampyris-delivery", id)
            .header("lampyris-signature", signature)
            .body(Full::new(body.clone()))
            .map_err(io::Error::other)
    }
}

fn body_of(events: &[Arc<Item>], gap: bool) -> Bytes {
    let mut body = format!("{{\"gap\":{gap},\"events\":[").into_bytes();
    for (at, item) in events.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(item.json());
    }
    body.extend_from_slice(b"]}");
    body.into()
}

/// The signature: the time stands in it, so that an old delivery cannot be sent again as a new one.
fn signature(secret: &[u8], at_s: u64, body: &[u8]) -> String {
    // An HMAC takes keys of any length (RFC 2104 §2).
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(format!("{at_s}.").as_bytes());
    mac.update(body);
    hex(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_signed_with_its_time() {
        // printf '5.{}' | openssl dgst -sha256 -hmac key
        let expected = "9be615aec64f0d044b5ad6854ab1d893ec88617fb728d2149dcd3a3428e8c45d";
        assert_eq!(signature(b"key", 5, b"{}"), expected);
        assert_ne!(signature(b"key", 6, b"{}"), expected);
        assert_ne!(signature(b"kex", 5, b"{}"), expected);
    }
}
