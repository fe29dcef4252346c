//! Conditional notification (RFC 5839): entity-tags, and what a watcher that has the state already is not told again.
//!
//! In: Suppress-If-Match of a SUBSCRIBE and the document that the watcher would be sent. Out: whether the condition holds, and
//! what it suppresses from now on. An entity-tag is made of the document alone, so it is the same after a restart and in the
//! next subscription; nothing is stored for it.

use super::subscription::{Subscription, Text};
use crate::body::{EncodedBody, Hole};
use crate::fingerprint::{FNV_START, fnv1a_on};
use crate::limits;
use crate::node::Node;
use crate::reject::Reject;
use crate::time::Now;
use lampyris_sip::headers::sip_etag::entity_tag;
use lampyris_sip::{Message, Name};

/// An entity-tag of a watcher's document, as SIP-ETag prints it.
// Why packed: each subscription has room for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub(crate) struct EntityTag(u64);

impl EntityTag {
    /// The tag of a watcher's document, whose whole state has this body, the bytes of which have this hash.
    ///
    /// RFC 5839 §4: what stands in Event and Content-Type is part of the entity, Subscription-State is not. Versions and
    /// seconds are left out: they change while the state does not.
    pub(super) fn of(subscription: &Subscription, body: &EncodedBody, hash: u64) -> Self {
        let package = subscription.package;
        let format = package.content_type(usize::from(subscription.format));
        let mut tag = FNV_START;
        // Why the ends: without them the parts could be cut elsewhere and look the same.
        let mut add = |part: &[u8]| tag = fnv1a_on(fnv1a_on(tag, part), &[0]);
        add(package.name().as_bytes());
        add(subscription.text(Text::EventId).as_bytes());
        add(body.content_type.as_deref().unwrap_or(format).as_bytes());
        add(&hash.to_le_bytes());
        for (_, hole) in body.holes() {
            match hole {
                Hole::Entity | Hole::PickupCode => add(subscription.text(Text::Asked).as_bytes()),
                Hole::Watcher => add(subscription.text(Text::Remote).as_bytes()),
                Hole::CallId => add(subscription.text(Text::CallId).as_bytes()),
                Hole::Version | Hole::VersionFromOne | Hole::SecondsUntil(_) | Hole::SecondsSince(_) => {}
            }
        }
        Self(tag)
    }
}

impl std::fmt::Display for EntityTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", { self.0 })
    }
}

/// What a watcher has asked us not to tell, since its last SUBSCRIBE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Suppress {
    /// Nothing.
    #[default]
    Nothing,
    /// The state it has, for as long as that is the current one.
    Known(EntityTag),
    /// Every state (`*`, RFC 5839 §5.2): the subscription sleeps until the next SUBSCRIBE.
    Everything,
}

impl Suppress {
    /// Whether a document with this tag is not to be told.
    pub(super) fn holds(self, tag: EntityTag) -> bool {
        match self {
            Self::Nothing => false,
            Self::Known(known) => known == tag,
            Self::Everything => true,
        }
    }
}

/// The condition of a SUBSCRIBE; `None` without one.
///
/// # Errors
/// 400: it is no token.
pub(super) fn condition(message: &Message) -> Result<Option<&str>, Reject> {
    let value = message.header(Name::SuppressIfMatch);
    let tag = value.map(entity_tag).transpose();
    let tag = tag.map_err(|_| Reject::BadRequest("malformed Suppress-If-Match".into()))?;
    if tag.is_some_and(|tag| tag.len() > limits::ETAG_BYTES_MAX) {
        return Err(Reject::BadRequest("Suppress-If-Match too long".into()));
    }
    Ok(tag)
}

impl Subscription {
    /// Whether its watcher wants no NOTIFY until it subscribes again.
    pub(super) fn sleeps(&self) -> bool {
        self.suppress == Suppress::Everything
    }
}

impl Node {
    /// Evaluates the condition of a SUBSCRIBE against what its watcher would be sent, and keeps what it suppresses.
    pub(super) fn suppress_if(&mut self, slot: u32, condition: Option<&str>) -> bool {
        let suppress = match condition {
            None => Suppress::Nothing,
            Some("*") => Suppress::Everything,
            Some(known) => {
                let tag = self.entity_tag_of(slot);
                tag.filter(|tag| tag.to_string() == known).map_or(Suppress::Nothing, Suppress::Known)
            }
        };
        if let Some(subscription) = self.subscriptions.get_mut(slot) {
            subscription.suppress = suppress;
        }
        suppress != Suppress::Nothing
    }

    /// The watcher has what it would be sent: nothing is, until that changes (RFC 5839 §6.3).
    pub(super) fn hush(&mut self, slot: u32) {
        let shown = self.state_of(slot);
        let Some(subscription) = self.subscriptions.get_mut(slot) else { return };
        subscription.pending = false;
        subscription.forced = false;
        if let Some((hash, revision)) = shown {
            (subscription.sent_hash, subscription.sent_revision) = (hash, revision);
        }
    }

    /// Drops a subscription whose watcher has unsubscribed and knows the state: without a last NOTIFY (RFC 5839 §5.7).
    pub(super) fn finish_silently(&mut self, now: Now, slot: u32) {
        self.leave(slot);
        self.tell_end(now, slot, "timeout");
        if let Some(client) = self.subscriptions.get(slot).and_then(|subscription| subscription.in_flight) {
            self.transactions.abandon(client);
        }
        self.remove_subscription(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_holds_for_its_tag_or_for_all() {
        let (one, two) = (EntityTag(1), EntityTag(2));
        for (suppress, first, second) in [
            (Suppress::Nothing, false, false),
            (Suppress::Known(one), true, false),
            (Suppress::Everything, true, true),
        ] {
            assert_eq!((suppress.holds(one), suppress.holds(two)), (first, second), "{suppress:?}");
        }
        assert_eq!(one.to_string(), "0000000000000001");
    }
}
