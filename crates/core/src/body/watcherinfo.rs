//! `application/watcherinfo+xml` (RFC 3858): who watches a resource, and how each subscription stands.
//!
//! In: a composed [`WatcherInfo`] and what its reader knows. Out: a document, full or partial, with holes for the version,
//! the resource as it was asked for, and the seconds. It is written only: nobody publishes watchers.

use super::xml_writer::XmlWriter;
use super::{EncodedBody, Hole};
use crate::limits;
use crate::time::UnixTime;

/// The content type.
pub const CONTENT_TYPE: &str = "application/watcherinfo+xml";
/// The namespace of RFC 3858.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:watcherinfo";

/// How a subscription stands (RFC 3857 §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits for a decision.
    Pending,
    /// Its watcher is told.
    Active,
    /// It ran out before anybody decided.
    Waiting,
    /// It is over.
    Terminated,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Waiting, Self::Terminated];

    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Terminated => "terminated",
        }
    }
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watcher {
    /// Tells it from all others, the same in every document.
    pub id: u64,
    /// Who watches.
    pub uri: String,
    /// A name for people, if one is known.
    pub display_name: Option<String>,
    /// How it stands.
    pub status: Status,
    /// What brought it there, as RFC 3858 §3 calls it.
    pub event: &'static str,
    /// When it began.
    pub since: UnixTime,
    /// When it ends, while it lives.
    pub expires_at: Option<UnixTime>,
    /// The revision of its last change.
    pub changed: u32,
}

impl Watcher {
    fn says(&self) -> (Status, &'static str, &str) {
        (self.status, self.event, &self.uri)
    }
}

/// Who watches a resource in one package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatcherInfo {
    /// The package.
    pub package: &'static str,
    /// Those that live or wait.
    pub watchers: Vec<Watcher>,
    /// Those that ended, the last one at the end.
    pub ended: Vec<Watcher>,
    /// Rises by one with each composition that differs from the one before.
    pub revision: u32,
    /// Ends up to this revision are forgotten.
    pub forgotten: u32,
}

impl WatcherInfo {
    /// Those that live and wait now, compared with what was composed before; `why` knows why one ended.
    pub fn compose(
        package: &'static str,
        mut watchers: Vec<Watcher>,
        before: Option<&Self>,
        why: impl Fn(u64) -> &'static str,
    ) -> Self {
        let empty = Self::default();
        let before = before.unwrap_or(&empty);
        let next = before.revision + 1;
        let mut changed = false;
        for watcher in &mut watchers {
            let old = before.watchers.iter().find(|old| old.id == watcher.id && old.says() == watcher.says());
            watcher.changed = old.map_or(next, |old| old.changed);
            changed |= old.is_none();
        }
        let mut ended = before.ended.clone();
        for old in before.watchers.iter().filter(|old| !watchers.iter().any(|new| new.id == old.id)) {
            changed = true;
            let (status, event) = (Status::Terminated, why(old.id));
            ended.push(Watcher { status, event, expires_at: None, changed: next, ..old.clone() });
        }
        ended.retain(|old| !watchers.iter().any(|new| new.id == old.id));
        let mut forgotten = before.forgotten;
        while ended.len() > limits::WATCHERS_ENDED_MAX {
            forgotten = forgotten.max(ended.remove(0).changed);
        }
        let revision = if changed { next } else { before.revision };
        Self { package, watchers, ended, revision, forgotten }
    }

    /// The revision that stands for all who were told of everything up to `told`; `None` where nothing is new to them.
    pub fn base(&self, told: u32) -> Option<u32> {
        (told < self.revision).then_some(told)
    }

    /// The document; `told` is the revision its reader acknowledged, after which it may be `partial`.
    pub fn encode(&self, told: Option<u32>, partial: bool) -> EncodedBody {
        // Why: what ended and is forgotten here is still alive for the reader, until a full document says otherwise.
        let since = told.filter(|told| partial && *told >= self.forgotten);
        let mut w = XmlWriter::new();
        w.open("watcherinfo").attr("xmlns", NAMESPACE).attr("version", Hole::Version);
        w.attr("state", if since.is_some() { "partial" } else { "full" });
        w.open("watcher-list").attr("resource", Hole::Entity).attr("package", self.package);
        let is_new = |watcher: &&Watcher| since.is_none_or(|since| watcher.changed > since);
        let ended = self.ended.iter().filter(|watcher| told.is_some_and(|told| watcher.changed > told));
        self.watchers.iter().filter(is_new).chain(ended).for_each(|watcher| encode_watcher(&mut w, watcher));
        w.finish()
    }
}

fn encode_watcher(w: &mut XmlWriter, watcher: &Watcher) {
    w.open("watcher").attr("id", format!("{:016x}", watcher.id).as_str());
    w.attr("status", watcher.status.name()).attr("event", watcher.event);
    w.attr_opt("display-name", watcher.display_name.as_deref());
    w.attr("duration-subscribed", Hole::SecondsSince(watcher.since));
    if let Some(expires_at) = watcher.expires_at {
        w.attr("expiration", Hole::SecondsUntil(expires_at));
    }
    w.text(watcher.uri.as_str()).close();
}

#[cfg(test)]
mod tests {
    use super::super::HoleValues;
    use super::*;

    fn watcher(id: u64, status: Status, event: &'static str) -> Watcher {
        Watcher {
            id,
            uri: format!("sip:w{id}@example.com"),
            display_name: None,
            status,
            event,
            since: UnixTime::from_millis(1000),
            expires_at: Some(UnixTime::from_millis(61_000)),
            changed: 0,
        }
    }

    /// Ids, statuses and events in a document, and its state.
    fn read(info: &WatcherInfo, told: Option<u32>, partial: bool) -> String {
        let values = HoleValues { now: UnixTime::from_millis(11_000), ..HoleValues::default() };
        let body = String::from_utf8(info.encode(told, partial).fill(&values)).unwrap();
        let document = super::super::xml::Document::parse(body.as_bytes()).unwrap();
        let list = document.root().children().next().unwrap();
        let rows = list.children().map(|watcher| {
            let attr = |name| watcher.attr(name).unwrap_or("-");
            format!(
                " {}/{}/{}/{}/{}",
                attr("id").trim_start_matches('0'),
                attr("status"),
                attr("event"),
                attr("duration-subscribed"),
                attr("expiration")
            )
        });
        format!("{}{}", document.root().attr("state").unwrap(), rows.collect::<String>())
    }

    #[test]
    fn rfc3858_4_a_reader_is_told_what_changed_since_it_was_told() {
        use Status as S;
        let why = |_: u64| "rejected";
        let first = WatcherInfo::compose(
            "p",
            vec![watcher(1, S::Pending, "subscribe"), watcher(2, S::Active, "subscribe")],
            None,
            why,
        );
        assert_eq!(read(&first, None, true), "full 1/pending/subscribe/10/50 2/active/subscribe/10/50");
        let same = WatcherInfo::compose("p", first.watchers.clone(), Some(&first), why);
        assert_eq!((same.revision, same.base(first.revision)), (first.revision, None));
        let second = WatcherInfo::compose(
            "p",
            vec![watcher(1, S::Active, "approved"), watcher(2, S::Active, "subscribe")],
            Some(&same),
            why,
        );
        assert_eq!(read(&second, second.base(first.revision), true), "partial 1/active/approved/10/50");
        let third = WatcherInfo::compose("p", vec![watcher(1, S::Active, "approved")], Some(&second), why);
        assert_eq!(read(&third, third.base(second.revision), true), "partial 2/terminated/rejected/10/-");
        assert_eq!(
            read(&third, third.base(first.revision), true),
            "partial 1/active/approved/10/50 2/terminated/rejected/10/-"
        );
        assert_eq!(read(&third, None, true), "full 1/active/approved/10/50");
        assert_eq!(
            read(&third, Some(first.revision), false),
            "full 1/active/approved/10/50 2/terminated/rejected/10/-"
        );
    }
}
