//! The limits that a peer can run into: what each is called, what it answers, and how often that happened.
//!
//! The numbers themselves stand in [`crate::limits`] and, where an administrator may change them, in
//! [`crate::quotas`]. A refusal for a limit is one value ([`crate::reject`]'s `Over`), counted where it is answered; what
//! has no answer (a stream that is closed, a datagram that is dropped) is counted where it happens, by the node or the shell.

use crate::quotas::Quotas;
use crate::{limits, view};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a request gets that is over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This status; 400 says why in Warning, 503 has a Retry-After.
    Status(u16),
    /// This status of HTTP.
    Http(u16),
    /// Nothing: its stream is closed, or it is dropped or not sent.
    None,
}

macro_rules! limits {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $answer:expr, $most:expr, $why:literal;)*) => {
        /// A limit.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Limit { $($(#[$doc])* $variant,)* }

        impl Limit {
            /// All of them, in the order they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name, for programs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What a request over it gets.
            pub const fn answer(self) -> Answer {
                match self { $(Self::$variant => $answer,)* }
            }

            /// What is over it, in a few words without quotes.
            pub const fn why(self) -> &'static str {
                match self { $(Self::$variant => $why,)* }
            }

            /// How much is allowed; `None` where the shell knows, or where it is no single number.
            fn most(self, quotas: &Quotas) -> Option<u64> {
                let _ = quotas;
                match self { $(Self::$variant => ($most)(quotas),)* }
            }
        }
    };
}

const fn bad(status: u16) -> Answer {
    Answer::Status(status)
}

const DROPPED: Answer = Answer::None;

/// A fixed number.
fn fixed(number: usize) -> impl Fn(&Quotas) -> Option<u64> {
    move |_| u64::try_from(number).ok()
}

fn count(number: u32) -> impl Fn(&Quotas) -> Option<u64> {
    move |_| Some(u64::from(number))
}

/// A configured number; 0 is without limit.
fn quota(of: impl Fn(&Quotas) -> u32) -> impl Fn(&Quotas) -> Option<u64> {
    move |quotas| Some(u64::from(of(quotas))).filter(|most| *most > 0)
}

fn other(_: &Quotas) -> Option<u64> {
    None
}

limits! {
    /// A message's head is longer than [`limits::MESSAGE_BYTES_MAX`].
    Message, "message_bytes", bad(513), fixed(limits::MESSAGE_BYTES_MAX), "the message is too large";
    /// A body is longer than [`limits::BODY_BYTES_MAX`].
    Body, "body_bytes", bad(413), fixed(limits::BODY_BYTES_MAX), "the body is too large";
    /// A Request-URI is longer than [`limits::URI_BYTES_MAX`].
    Uri, "uri_bytes", bad(414), fixed(limits::URI_BYTES_MAX), "the Request-URI is too long";
    /// A Call-ID or branch is longer than [`limits::IDENTIFIER_BYTES_MAX`].
    Identifier, "identifier_bytes", bad(400), fixed(limits::IDENTIFIER_BYTES_MAX), "Call-ID or branch too long";
    /// A From, To or Contact is longer than [`limits::ADDRESS_BYTES_MAX`].
    Address, "address_bytes", bad(400), fixed(limits::ADDRESS_BYTES_MAX), "From, To or Contact too long";
    /// The URI of a Contact is longer than [`limits::URI_BYTES_MAX`].
    Contact, "contact_bytes", bad(400), fixed(limits::URI_BYTES_MAX), "Contact too long";
    /// More media ranges than [`limits::ACCEPT_RANGES_MAX`].
    Accept, "accept_ranges", bad(400), fixed(limits::ACCEPT_RANGES_MAX), "too many media ranges in Accept";
    /// More Record-Route or Path values than [`limits::ROUTES_MAX`].
    Routes, "routes", bad(400), fixed(limits::ROUTES_MAX), "too many Record-Route or Path entries";
    /// Event parameters longer than [`limits::EVENT_PARAMS_BYTES_MAX`].
    EventParams, "event_params_bytes", bad(400), fixed(limits::EVENT_PARAMS_BYTES_MAX), "parameters of Event too long";
    /// An entity-tag longer than [`limits::ETAG_BYTES_MAX`].
    EntityTag, "entity_tag_bytes", bad(412), fixed(limits::ETAG_BYTES_MAX), "the entity-tag is too long";
    /// XML nested deeper than [`limits::XML_DEPTH_MAX`].
    XmlDepth, "xml_depth", bad(400), fixed(limits::XML_DEPTH_MAX), "elements nested too deep";
    /// More attributes of one element than [`limits::XML_ATTRIBUTES_PER_ELEMENT_MAX`].
    XmlAttributes, "xml_attributes", bad(400), fixed(limits::XML_ATTRIBUTES_PER_ELEMENT_MAX), "too many attributes";
    /// XML larger than one of the other bounds of `XML_` in [`mod@limits`].
    XmlSize, "xml_size", bad(400), fixed(limits::XML_BYTES_MAX), "the XML is too large";
    /// As many subscriptions as the node takes.
    Subscriptions, "subscriptions", bad(503), quota(|q| q.subscriptions), "too many subscriptions";
    /// As many subscriptions as one watcher may have.
    SubscriptionsPerWatcher, "subscriptions_per_watcher", bad(403), quota(|q| q.subscriptions_per_watcher),
        "the watcher has too many subscriptions";
    /// As many subscriptions as one resource may have.
    SubscriptionsPerPresentity, "subscriptions_per_presentity", bad(503),
        quota(|q| q.subscriptions_per_presentity), "the resource has too many watchers";
    /// As many subscriptions as may come from one address.
    SubscriptionsPerSource, "subscriptions_per_source", bad(403), quota(|q| q.subscriptions_per_source),
        "too many subscriptions from this address";
    /// As many publications as the node takes.
    Publications, "publications", bad(503), quota(|q| q.publications), "too many publications";
    /// As many publications as one resource may have in one package.
    PublicationsPerPresentity, "publications_per_presentity", bad(403),
        quota(|q| q.publications_per_presentity), "the resource has too many publications";
    /// As many publications as one publisher may have.
    PublicationsPerPublisher, "publications_per_publisher", bad(403),
        quota(|q| q.publications_per_publisher), "the publisher has too many publications";
    /// A publisher publishes faster than it may.
    PublishRate, "publishes_per_s", bad(503), quota(|q| q.publishes_per_s), "the publisher is too fast";
    /// As many bindings as the node takes.
    Bindings, "bindings", bad(503), quota(|q| q.bindings), "too many bindings";
    /// As many bindings as one AOR may have.
    BindingsPerAor, "bindings_per_aor", bad(403), quota(|q| q.bindings_per_aor), "the AOR has too many bindings";
    /// More Contact values than [`limits::CONTACTS_PER_REQUEST_MAX`].
    Contacts, "contacts_per_request", bad(400), fixed(limits::CONTACTS_PER_REQUEST_MAX), "too many Contact values";
    /// As many server transactions as [`limits::TRANSACTIONS_MAX`].
    Transactions, "transactions", bad(503), fixed(limits::TRANSACTIONS_MAX), "too many transactions";
    /// A source draws challenges and does not answer them.
    Challenges, "challenges_per_source", bad(503), count(limits::CHALLENGES_BURST),
        "too many requests without credentials";
    /// A source gives wrong answers to challenges.
    Guesses, "guesses_per_source", bad(503), count(limits::GUESSES_BURST), "too many wrong credentials";
    /// A source draws answers that are larger than its requests.
    ShortAnswers, "short_answers_per_source", DROPPED, count(limits::SHORT_ANSWERS_BURST),
        "no answer: larger than its request";
    /// New subscriptions are refused while there is more to do than can be done.
    OverloadSubscribe, "overload_subscribe", bad(503), other, "overloaded: no new subscriptions";
    /// Refreshes too.
    OverloadRefresh, "overload_refresh", bad(503), other, "overloaded: no refreshes";
    /// Publications, registrations and new calls too.
    OverloadPublish, "overload_publish", bad(503), other, "overloaded: no publications";
    /// What is in a dialog too.
    OverloadDialog, "overload_dialog", bad(503), other, "overloaded";
    /// The process is as large as it may be: nothing new is taken.
    Memory, "memory", bad(503), quota(|q| q.memory_mib), "no memory for more";
    /// A request of ours would go where it may not.
    Egress, "egress", DROPPED, other, "not sent: the address is not allowed";
    /// A peer reads so slowly that it is told the newest state only.
    SlowReaders, "slow_readers", DROPPED, other, "a peer reads slowly: only the newest state waits";
    /// A peer does not read at all: its stream is closed.
    WriteBuffer, "write_buffer_bytes", DROPPED, other, "a peer does not read: closed";
    /// As many streams as may be open, or as one address may have.
    Streams, "streams", DROPPED, quota(|q| q.streams), "too many streams";
    /// As many streams as one address may have.
    StreamsPerAddress, "streams_per_address", DROPPED, quota(|q| q.streams_per_address),
        "too many streams from one address";
    /// Of those who have not shown who they are, the one who waited longest left for a new one.
    Strangers, "strangers", DROPPED, other, "a stranger made room for another";
    /// A peer took too long for its first byte, a whole message, a handshake, or to say who it is.
    Deadlines, "deadlines", DROPPED, other, "too slow: closed";
    /// There are no file descriptors left.
    Descriptors, "descriptors", DROPPED, other, "no descriptors for another stream";
    /// As many datagrams wait as may; one more is dropped.
    Queue, "queue", DROPPED, other, "too many datagrams wait";
    /// As many bytes wait for the store as may; one more message is dropped.
    Held, "held_bytes", DROPPED, other, "too much waits for the store";
    /// An address asks the HTTP API faster than it may.
    HttpRate, "http_requests_per_s", Answer::Http(429), other, "too many HTTP requests from one address";
    /// As many HTTP connections as may be open, or as one address may have.
    HttpConnections, "http_connections", DROPPED, other, "too many HTTP connections";
}

/// How often each limit was hit. May be shared between threads.
#[derive(Debug)]
pub struct Hits([AtomicU64; Limit::ALL.len()]);

impl Default for Hits {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Hits {
    /// It was hit once more.
    pub fn add(&self, limit: Limit) {
        if let Some(count) = self.0.get(limit as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often it was hit.
    pub fn of(&self, limit: Limit) -> u64 {
        self.0.get(limit as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Adds what was counted here to rows of the same limits.
    pub fn add_to(&self, rows: &mut [view::Limit]) {
        for (row, limit) in rows.iter_mut().zip(Limit::ALL) {
            row.hits += self.of(*limit);
        }
    }

    /// Adds what was counted here to samples of the same limits.
    pub fn add_to_samples(&self, samples: &mut [view::Sample]) {
        for (sample, limit) in samples.iter_mut().zip(Limit::ALL) {
            sample.value += self.of(*limit);
        }
    }

    /// How often each was hit, by its name.
    pub(crate) fn samples(&self) -> Vec<view::Sample> {
        let sample = |limit: &Limit| view::Sample {
            labels: vec![("limit".to_owned(), limit.name().to_owned())],
            value: self.of(*limit),
        };
        Limit::ALL.iter().map(sample).collect()
    }

    /// Every limit, what it allows and how often it was hit.
    pub(crate) fn rows(&self, quotas: &Quotas) -> Vec<view::Limit> {
        let row = |limit: &Limit| view::Limit {
            name: limit.name().to_owned(),
            most: limit.most(quotas),
            answer: match limit.answer() {
                Answer::Status(status) | Answer::Http(status) => Some(status),
                Answer::None => None,
            },
            hits: self.of(*limit),
            about: limit.why().to_owned(),
        };
        Limit::ALL.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_by_itself_and_has_a_name_of_its_own() {
        let hits = Hits::default();
        for limit in Limit::ALL {
            hits.add(*limit);
        }
        hits.add(Limit::Memory);
        let rows = hits.rows(&Quotas::default());
        let mut names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert!(rows.iter().all(|row| row.hits == if row.name == "memory" { 2 } else { 1 }), "{rows:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Limit::ALL.len());
        assert!(Limit::ALL.iter().all(|limit| limit.why().is_ascii() && !limit.why().contains('"')));
    }
}
