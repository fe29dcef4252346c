//! NOTIFYs that are too large for a datagram (RFC 3261 §18.1.1): by a stream, else shortened, else in fragments.
//!
//! ```text
//!  over UDP, more than 1,300 bytes
//!    |-- the next hop names no transport, is behind no NAT, and takes a connection --> by that stream, whole
//!    |-- its profile lets a shorter document do ([`Brevity`] has the order), and it fits --> over UDP, shortened
//!    |-- fragments are allowed (`notify_fragments`), and a datagram can hold it ------> over UDP, whole, in fragments
//!    \-- none of these ---------------------------------------------------------------> over UDP, without its document
//! ```
//!
//! In: a NOTIFY that is about to leave, whatever its package. Out: the flow it takes and the shorter body, if it has one; or
//! nothing, while a stream is being opened. What is left out of a document is its body format's matter.

use super::send::{Notification, hole_values};
use super::subscription::{EndReason, Text};
use crate::body::{Brevity, EncodedBody};
use crate::flow::{Flow, Transport};
use crate::limits;
use crate::node::Node;
use crate::output::Event;
use crate::settings::Nat;
use crate::time::Now;
use crate::ways::{Reach, Traveller, WayTo};
use lampyris_sip::{NameAddr, Uri};
use std::sync::Arc;

/// How the last NOTIFY of a subscription was made to fit its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It did fit.
    #[default]
    Whole,
    /// It took a stream.
    Stream,
    /// Its document has less in it.
    Shortened(Brevity),
    /// It is of a list, and the rest follows in others.
    Paged,
    /// It did not, and went as it was.
    Fragments,
    /// It did not, and went without its document.
    Empty,
}

impl Fit {
    /// Whether the watcher was told less than there is.
    pub(crate) const fn is_shortened(self) -> bool {
        matches!(self, Self::Shortened(_) | Self::Empty)
    }

    /// In words, where there is something to say.
    pub(crate) const fn said(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::Stream => Some("by tcp: too large for a datagram"),
            Self::Shortened(Brevity::OneDialog) => {
                Some("one dialog or service only: too large for a datagram")
            }
            Self::Shortened(_) => Some("shortened: too large for a datagram"),
            Self::Paged => Some("in several: too large for a datagram"),
            Self::Fragments => Some("in fragments: too large for a datagram"),
            Self::Empty => Some("without its document: too large for a datagram"),
        }
    }
}

/// The stream that a subscription's large NOTIFYs take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum StreamTo {
    /// Not needed so far, or there was one.
    #[default]
    Untried,
    /// It is being opened.
    Opening,
    /// The watcher takes none, for as long as it is where it is.
    Refused,
}

/// More than a NOTIFY has beside its subscription's strings, its state and its body.
const NOTIFY_BYTES_AROUND: usize = 500;
/// More than the Content-Type of a list has, with its start and boundary, and Content-Length.
const MULTIPART_TYPE_BYTES: usize = 240;
/// As long as our branches are.
const ANY_BRANCH: &str = "z9hG4bK0123456789abcdef";

impl Node {
    /// The flow a NOTIFY takes and, where it has to be shortened, its body; `None` while a stream is being opened.
    pub(super) fn fitted(
        &mut self,
        now: Now,
        slot: u32,
        flow: Flow,
        notification: &Notification<'_>,
    ) -> Option<(Flow, Option<Arc<EncodedBody>>)> {
        if !self.is_too_large(now, slot, flow, notification, notification.body) {
            self.set_fit(slot, Fit::Whole);
            return Some((flow, None));
        }
        match self.stream_instead(now, slot, flow) {
            WayTo::Known(stream) => {
                self.set_fit(slot, Fit::Stream);
                return Some((stream, None));
            }
            WayTo::Later => return None,
            WayTo::None => {}
        }
        if self.subscriptions.get(slot)?.list.is_some() {
            let none = EncodedBody::default();
            let head_bytes = self.head_of(slot, flow, notification)?.write(ANY_BRANCH, &none, now.wall).len();
            let (body, fit) = self.paged_list(now, slot, head_bytes + MULTIPART_TYPE_BYTES)?;
            if head_bytes + body.shared_bytes().len() > limits::DATAGRAM_BYTES_MAX {
                // Why: its names alone are more than a datagram can hold, and the stream it seemed to take is not there.
                self.end(now, slot, EndReason::Rejected, None);
                return None;
            }
            self.set_fit(slot, fit);
            return Some((flow, Some(body)));
        }
        let profile = self.subscriptions.get(slot)?.profile;
        let profile = self.facts.settings.profiles.get(usize::from(profile));
        let shorter = Brevity::SHORTER.into_iter().filter(|_| profile.is_none_or(|profile| profile.shorten));
        for brevity in shorter.collect::<Vec<_>>() {
            let Some(shorter) = self.shorter_body(slot, brevity) else { break };
            if !self.is_too_large(now, slot, flow, notification, &shorter) {
                self.set_fit(slot, Fit::Shortened(brevity));
                return Some((flow, Some(shorter)));
            }
        }
        // Why: beyond what a datagram can hold no fragments help.
        let can_hold = notification.body.shared_bytes().len() <= limits::DATAGRAM_BYTES_MAX;
        if self.facts.settings.notify_fragments && can_hold {
            self.set_fit(slot, Fit::Fragments);
            return Some((flow, None));
        }
        self.set_fit(slot, Fit::Empty);
        Some((flow, Some(Arc::default())))
    }

    /// Remembers the choice, and tells of another than before.
    fn set_fit(&mut self, slot: u32, fit: Fit) {
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        let before = std::mem::replace(&mut subscription.fit, fit);
        if let Some(how) = fit.said().filter(|_| before != fit) {
            let (resource, watcher) = (subscription.text(Text::Asked), subscription.text(Text::Watcher));
            let (resource, watcher) = (resource.to_owned(), watcher.to_owned());
            let package = subscription.package.name();
            self.tell(Event::Oversized { resource, package, watcher, how });
        }
    }

    fn is_too_large(
        &self,
        now: Now,
        slot: u32,
        flow: Flow,
        notification: &Notification<'_>,
        body: &EncodedBody,
    ) -> bool {
        // RFC 3261 §18.1.1: the bound is for a path whose MTU is not known; inside the machine it is larger than any message.
        if flow.is_reliable() {
            return false;
        }
        if flow.remote().ip().to_canonical().is_loopback() {
            return body.shared_bytes().len() > limits::DATAGRAM_BYTES_MAX;
        }
        let Some(subscription) = self.subscriptions.get(slot) else { return false };
        // Why: to know the length exactly it has to be written, and nearly every NOTIFY is far from too large. The target
        // and what was asked for may stand in two headers each.
        let texts =
            2 * subscription.texts.bytes() + self.facts.settings.server_name.len() + notification.state.len();
        let at_most = NOTIFY_BYTES_AROUND + texts + body.len_with(&hole_values(subscription, now.wall));
        let bound = limits::DATAGRAM_REQUEST_BYTES_MAX;
        let head = || self.head_of(slot, flow, notification);
        at_most > bound && head().is_some_and(|head| head.write(ANY_BRANCH, body, now.wall).len() > bound)
    }

    /// The stream to the next hop of a NOTIFY that would go over UDP.
    fn stream_instead(&mut self, now: Now, slot: u32, flow: Flow) -> WayTo {
        let Some(subscription) = self.subscriptions.get(slot) else { return WayTo::None };
        let stream = subscription.stream;
        let Some(uri) = self.stream_uri(slot, flow).filter(|_| stream != StreamTo::Refused) else {
            return WayTo::None;
        };
        let traveller = Traveller::Subscription(slot);
        if stream != StreamTo::Opening {
            // Why: what is known may be the way over UDP.
            self.forget_way(traveller);
        }
        let way = self.way_to(now, traveller, &uri, Reach::Of(flow.remote().ip()));
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.stream = match way {
                WayTo::Known(_) => StreamTo::Untried,
                WayTo::Later => StreamTo::Opening,
                WayTo::None => StreamTo::Refused,
            };
        }
        way
    }

    /// The next hop as a URI that means a stream; `None` where it may not be one.
    pub(super) fn stream_uri(&self, slot: u32, flow: Flow) -> Option<String> {
        self.listener_for(Transport::Tcp, flow.remote().is_ipv6())?;
        let subscription = self.subscriptions.get(slot)?;
        let route = lampyris_sip::headers::route::split(subscription.text(Text::Routes)).next();
        let route = route.and_then(|route| NameAddr::parse(route).ok());
        let hop = route.as_ref().map_or(subscription.text(Text::Target), |route| route.uri());
        let uri = Uri::parse(hop).ok()?;
        if uri.params().has("transport") || uri.params().has("maddr") {
            return None;
        }
        if route.is_none() {
            let nat = self.nat_of(subscription.text(Text::Watcher));
            // Why: behind a NAT only the phone can open a connection.
            let is_there = match uri.host().ip() {
                Some(ip) => nat != Nat::Source && ip.to_canonical() == flow.remote().ip().to_canonical(),
                None => nat == Nat::Contact,
            };
            if !is_there {
                return None;
            }
        }
        let port = uri.port().map_or_else(String::new, |port| format!(":{port}"));
        Some(format!("sip:{}{port};transport=tcp", uri.host_str()))
    }

    /// A NOTIFY could not be brought by the stream that was opened for its size: it goes over UDP after all; `false` where
    /// there was no such stream.
    pub(super) fn forsakes_stream(&mut self, slot: u32) -> bool {
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return false };
        if subscription.stream != StreamTo::Opening && subscription.fit != Fit::Stream {
            return false;
        }
        if subscription.fit == Fit::Stream {
            (subscription.pending, subscription.forced) = (true, true);
        }
        (subscription.stream, subscription.fit) = (StreamTo::Refused, Fit::Whole);
        self.forget_way(Traveller::Subscription(slot));
        true
    }
}
