//! Publications: the soft state of an event state compositor (RFC 3903 §6), keyed by entity-tag.
//!
//! In: an authorised PUBLISH, its body already decoded by the package. Out: which publication it made, changed or ended.
//! What a publication means for a lamp or a document is the package's and composition's business.

use crate::bucket::Buckets;
use crate::counts::Counts;
use crate::flow::Flow;
use crate::journal::{Origin, PublicationRecord};
use crate::limits;
use crate::map::{Map, Maps};
use crate::packages::{Content, PackageId};
use crate::publish::Said;
use crate::resource::ResourceId;
use crate::rng::Rng;
use crate::slots::Slots;
use crate::time::{Instant, UnixTime};
use crate::timers::TimerToken;
use crate::tombstones::Tombstones;
use bytes::Bytes;

/// A live publication.
#[derive(Clone)]
pub(crate) struct Publication {
    /// Whose state it is.
    pub(crate) resource: ResourceId,
    /// Which package it is for.
    pub(crate) package: PackageId,
    /// Its entity-tag.
    pub(crate) etag: u128,
    /// Who published.
    pub(crate) publisher: String,
    /// Where it published from.
    pub(crate) flow: Flow,
    /// The body's type.
    pub(crate) content_type: String,
    /// The body as published, for the journal.
    pub(crate) body: Bytes,
    /// What the package understood of the body, as it stands now.
    pub(crate) content: Content,
    /// When it ends.
    pub(crate) expires_at: UnixTime,
    /// When its content last changed.
    pub(crate) modified_at: UnixTime,
    /// Which of all changes made it so: tells those of one millisecond apart.
    pub(crate) change: u64,
    /// Call-ID of the request that wrote it.
    pub(crate) call_id: String,
    /// The request that wrote it.
    pub(crate) origin: Origin,
    /// The timer of its end.
    pub(crate) timer: Option<TimerToken>,
    /// The timer of when it will say something else by itself.
    pub(crate) turn: Option<TimerToken>,
    /// It has not changed for longer than the presentity's composition lets it count.
    pub(crate) stale: bool,
}

impl Publication {
    /// What the journal keeps of it.
    pub(crate) fn record(&self, resource: String) -> PublicationRecord {
        PublicationRecord {
            resource,
            package: self.package.name().to_owned(),
            etag: self.etag,
            publisher: self.publisher.clone(),
            flow: self.flow,
            content_type: self.content_type.clone(),
            body: self.body.clone(),
            expires_at: self.expires_at,
            modified_at: self.modified_at,
            call_id: self.call_id.clone(),
            origin: self.origin.clone(),
        }
    }
}

/// An entity-tag as it stands in SIP-ETag.
pub(crate) fn print_etag(etag: u128) -> String {
    format!("{etag:032x}")
}

/// Reads an entity-tag that [`print_etag`] may have made.
pub(crate) fn parse_etag(text: &str) -> Option<u128> {
    if text.len() == 32 { u128::from_str_radix(text, 16).ok() } else { None }
}

/// All publications.
pub(crate) struct Publications {
    slots: Slots<Publication>,
    by_etag: Map<u128, u32>,
    by_publisher: Counts<u64>,
    changes: u64,
    /// How often publishers may still publish.
    rates: Buckets<u64>,
    /// What publications said is over for good.
    pub(crate) over: Tombstones,
}

impl Publications {
    /// None.
    pub(crate) fn new(maps: Maps, rng: Rng) -> Self {
        let (per_s, burst) = (limits::PUBLISHES_PER_S, limits::PUBLISHES_PER_S * limits::PUBLISHES_BURST_S);
        Self {
            slots: Slots::default(),
            by_etag: maps.map(),
            by_publisher: Counts::new(maps),
            changes: 0,
            rates: Buckets::new(maps, rng, per_s, burst, limits::PUBLISHERS_MAX),
            over: Tombstones::new(maps),
        }
    }

    /// Takes from (new) settings how often publishers may publish.
    pub(crate) fn configure(&mut self, publishes_per_s: u32) {
        self.rates.resize(publishes_per_s, publishes_per_s.saturating_mul(limits::PUBLISHES_BURST_S));
    }

    /// Whether a publisher may publish once more now; then it has.
    pub(crate) fn may_publish(&mut self, now: Instant, publisher: &str) -> bool {
        self.rates.take(now, self.by_publisher.key(publisher))
    }

    /// How many a publisher has.
    pub(crate) fn of(&self, publisher: &str) -> usize {
        self.by_publisher.of(self.by_publisher.key(publisher))
    }

    fn count(&mut self, publisher: &str) {
        let key = self.by_publisher.key(publisher);
        self.by_publisher.add(key);
    }

    fn discount(&mut self, publisher: &str) {
        let key = self.by_publisher.key(publisher);
        self.by_publisher.remove(key);
    }

    /// The number of the next change.
    pub(crate) const fn next_change(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    /// The one at this slot, once it says something else.
    pub(crate) fn modify(&mut self, slot: u32, said: Said, at: UnixTime) -> Option<&mut Publication> {
        let change = self.next_change();
        let publication = self.slots.get_mut(slot)?;
        let Said { content_type, content, body } = said;
        publication.content_type = content_type;
        publication.content = content;
        publication.body = body;
        publication.modified_at = at;
        publication.change = change;
        publication.stale = false;
        Some(publication)
    }

    /// Adds one; its slot.
    pub(crate) fn insert(&mut self, publication: Publication) -> u32 {
        let etag = publication.etag;
        self.count(&publication.publisher);
        let slot = self.slots.insert(publication);
        self.by_etag.insert(etag, slot);
        slot
    }

    /// The publication with this entity-tag.
    pub(crate) fn find(&self, etag: u128) -> Option<u32> {
        self.by_etag.get(&etag).copied()
    }

    /// Gives a publication a new entity-tag; the old one is unknown from now on (412).
    pub(crate) fn retag(&mut self, slot: u32, etag: u128) {
        if let Some(publication) = self.slots.get_mut(slot) {
            self.by_etag.remove(&publication.etag);
            publication.etag = etag;
            self.by_etag.insert(etag, slot);
        }
    }

    /// A publication by slot.
    pub(crate) fn get(&self, slot: u32) -> Option<&Publication> {
        self.slots.get(slot)
    }

    /// A publication by slot, to change anything but its entity-tag.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Publication> {
        self.slots.get_mut(slot)
    }

    /// Ends one.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<Publication> {
        let publication = self.slots.remove(slot)?;
        self.by_etag.remove(&publication.etag);
        self.discount(&publication.publisher);
        Some(publication)
    }

    /// Puts one into the slot it had before a restart or an undone change.
    pub(crate) fn put(&mut self, slot: u32, publication: Publication) {
        self.by_etag.insert(publication.etag, slot);
        self.count(&publication.publisher);
        if let Some(old) = self.slots.put(slot, publication) {
            self.by_etag.remove(&old.etag);
            self.discount(&old.publisher);
        }
    }

    /// Like [`Self::put`] for a whole restart: call [`Self::restored`] when all are in.
    pub(crate) fn restore(&mut self, slot: u32, publication: Publication) {
        self.by_etag.insert(publication.etag, slot);
        self.count(&publication.publisher);
        self.slots.restore(slot, publication);
    }

    /// After the last [`Self::restore`].
    pub(crate) fn restored(&mut self) {
        self.slots.rebuild_free();
    }

    /// All, in slot order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Publication)> {
        self.slots.iter()
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_print_and_parse() {
        for etag in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef] {
            assert_eq!(parse_etag(&print_etag(etag)), Some(etag));
        }
        for text in
            ["", "abc", "dlg-1", "zz000000000000000000000000000000", "+0000000000000000000000000000001"]
        {
            assert!(parse_etag(text).is_none_or(|etag| print_etag(etag) != text), "{text}");
        }
    }
}
