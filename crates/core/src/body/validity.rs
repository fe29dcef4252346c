//! What a presence document says at a time: values that hold from some time on, or until some time (RFC 4480 §3.1), and the
//! statuses of RFC 4481.
//!
//! In: a document as it was published, and the time. Out: the document as it stands then, and when it will next be
//! another. A value whose time is over is gone. One whose time has not come stays in the document, for readers that look
//! ahead, and says nothing of the present until then. It arms no timer.

use super::HoleValues;
use super::foreign::{Foreign, Keeper};
use super::presence_document::{DateTime, PresenceDocument};
use super::rpid::{NAMESPACE, PlaceIs, Rpid, TimeOffset, Timed, Values, date, is_rpid};
use super::timed_status;
use super::xml::Document;
use super::xml_writer::XmlWriter;
use crate::time::UnixTime;

/// The document as it stands at `now`, and when it will next be another; `None` where it says the same at all times.
pub(crate) fn at(document: &PresenceDocument, now: UnixTime) -> Option<(PresenceDocument, Option<UnixTime>)> {
    let statuses = timed_status::at(document, now);
    if statuses.is_none() && !may_be_timed(document) {
        return None;
    }
    let mut clock = Clock { now, next: None, is_timed: statuses.is_some() };
    let (mut document, next) = statuses.unwrap_or_else(|| (document.clone(), None));
    document.persons.iter_mut().for_each(|person| clock.settle(&mut person.rpid, &mut person.foreign));
    document.tuples.iter_mut().for_each(|tuple| clock.settle(&mut tuple.rpid, &mut tuple.foreign));
    document.devices.iter_mut().for_each(|device| clock.settle(&mut device.rpid, &mut device.foreign));
    clock.is_timed.then(|| (document, next.into_iter().chain(clock.next).min()))
}

/// Whether anything in a document may hold for a while only; most say the same at all times, and need no copy.
fn may_be_timed(document: &PresenceDocument) -> bool {
    let persons = document.persons.iter().map(|person| (&person.rpid, &person.foreign));
    let tuples = document.tuples.iter().map(|tuple| (&tuple.rpid, &tuple.foreign));
    let devices = document.devices.iter().map(|device| (&device.rpid, &device.foreign));
    persons.chain(tuples).chain(devices).any(|(rpid, foreign)| {
        let Rpid {
            activities, mood, place_is, place_type, privacy, sphere, status_icon, time_offset, ..
        } = rpid;
        let timed = [
            is_timed(activities),
            is_timed(mood),
            is_timed(place_is),
            is_timed(place_type),
            is_timed(privacy),
            is_timed(sphere),
            is_timed(status_icon),
            is_timed(time_offset),
        ];
        timed.contains(&true) || foreign.iter().any(|kept| is_rpid(kept.namespace()))
    })
}

fn is_timed<V: Lasting>(value: &Option<Box<V>>) -> bool {
    value.as_ref().is_some_and(|value| !matches!(value.interval(), (None, None)))
}

/// Something that holds for a while.
trait Lasting {
    /// Since when, and until when.
    fn interval(&self) -> (Option<&DateTime>, Option<&DateTime>);
}

macro_rules! lasting {
    ($($type:ty),+) => {
        $(impl Lasting for $type {
            fn interval(&self) -> (Option<&DateTime>, Option<&DateTime>) {
                (self.from.as_ref(), self.until.as_ref())
            }
        })+
    };
}
lasting!(PlaceIs, Timed, TimeOffset);

impl<T> Lasting for Values<T> {
    fn interval(&self) -> (Option<&DateTime>, Option<&DateTime>) {
        (self.from.as_ref(), self.until.as_ref())
    }
}

/// Where a time lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Over,
    Now,
    Later,
}

/// The time, and what was seen of other times.
struct Clock {
    now: UnixTime,
    /// When something seen so far next begins or ends.
    next: Option<UnixTime>,
    /// Something seen so far does not hold at all times.
    is_timed: bool,
}

impl Clock {
    fn when(&mut self, (from, until): (Option<&DateTime>, Option<&DateTime>)) -> When {
        let (from, until) = (from.map(DateTime::unix), until.map(DateTime::unix));
        self.is_timed |= from.is_some() || until.is_some();
        if until.is_some_and(|until| until <= self.now) {
            return When::Over;
        }
        let coming = from.into_iter().chain(until).filter(|end| *end > self.now).min();
        self.next = self.next.into_iter().chain(coming).min();
        if from.is_some_and(|from| from > self.now) { When::Later } else { When::Now }
    }

    fn settle(&mut self, rpid: &mut Rpid, foreign: &mut Vec<Foreign>) {
        let mut later = Rpid::default();
        self.part(&mut rpid.activities, &mut later.activities);
        self.part(&mut rpid.mood, &mut later.mood);
        self.part(&mut rpid.place_is, &mut later.place_is);
        self.part(&mut rpid.place_type, &mut later.place_type);
        self.part(&mut rpid.privacy, &mut later.privacy);
        self.part(&mut rpid.sphere, &mut later.sphere);
        self.part(&mut rpid.status_icon, &mut later.status_icon);
        self.part(&mut rpid.time_offset, &mut later.time_offset);
        // RFC 4480 §3.1: there may be more of the same for other times; they were kept as they came.
        foreign.retain(|kept| !is_rpid(kept.namespace()) || !self.takes_over(rpid, kept));
        if later != Rpid::default() {
            foreign.extend(kept(&later));
        }
    }

    /// Leaves a value where it is while it holds, and puts it aside before.
    fn part<V: Lasting>(&mut self, place: &mut Option<Box<V>>, later: &mut Option<Box<V>>) {
        let Some(value) = place else { return };
        match self.when(value.interval()) {
            When::Now => {}
            When::Over => *place = None,
            When::Later => *later = place.take(),
        }
    }

    /// Whether a kept value is none of another time any more: it is over, or it is the one that counts now.
    fn takes_over(&mut self, rpid: &mut Rpid, kept: &Foreign) -> bool {
        let Ok(document) = Document::parse(kept.xml().as_bytes()) else { return false };
        let root = document.root();
        let (from, until) = (date(root, "from"), date(root, "until"));
        match self.when((from.as_ref(), until.as_ref())) {
            When::Over => true,
            When::Later => false,
            // Why: untimed, it is none of RFC 4480's, and of two that hold at once the first counts.
            When::Now if from.is_none() && until.is_none() => false,
            When::Now => rpid.decode_child(root, &mut Keeper::new(&document)).unwrap_or(false),
        }
    }
}

/// Rich presence as kept elements.
fn kept(rpid: &Rpid) -> Vec<Foreign> {
    let mut w = XmlWriter::new();
    w.open("rpid:later").attr("xmlns:rpid", NAMESPACE);
    rpid.encode(&mut w);
    let bytes = w.finish().fill(&HoleValues::default());
    let mut list = Vec::new();
    if let Ok(document) = Document::parse(&bytes) {
        let mut keeper = Keeper::new(&document);
        // Why: what does not fit was within the same bound when it was read.
        document.root().children().for_each(|child| _ = keeper.keep(child, &mut list));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::super::pidf::Pidf;
    use super::super::rpid::Activity;
    use super::*;

    fn time(text: &str) -> UnixTime {
        DateTime::parse(&format!("2026-11-21T{text}Z")).unwrap().unix()
    }

    fn document(person: &str) -> PresenceDocument {
        let text = format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' \
             xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='pres:a@b'><tuple id='t'><status><basic>open</basic>\
             </status></tuple><d:person id='p'>{person}</d:person></presence>"
        );
        Pidf::decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn activities_follow_each_other_and_end() {
        let document = document(
            "<r:activities from='2026-11-21T10:00:00Z' until='2026-11-21T11:00:00Z'><r:meeting/></r:activities>\
             <r:activities from='2026-11-21T11:00:00Z' until='2026-11-21T12:00:00Z'><r:meal/></r:activities>\
             <r:mood until='2026-11-21T10:30:00Z'><r:happy/></r:mood>",
        );
        // The activities and moods of now, what is kept for later, and when that is over.
        for (now, activity, has_mood, kept, next) in [
            ("09:00:00", None, true, 2, Some("10:00:00")),
            ("10:00:00", Some(Activity::Meeting), true, 1, Some("10:30:00")),
            ("10:30:00", Some(Activity::Meeting), false, 1, Some("11:00:00")),
            ("11:00:00", Some(Activity::Meal), false, 0, Some("12:00:00")),
            ("12:00:00", None, false, 0, None),
        ] {
            let (shown, then) = at(&document, time(now)).unwrap();
            let person = &shown.persons[0];
            let said = person.rpid.activities.as_deref().map(|values| values.known.as_slice());
            assert_eq!(said, activity.as_ref().map(std::slice::from_ref), "{now}");
            assert_eq!((person.rpid.mood.is_some(), person.foreign.len()), (has_mood, kept), "{now}");
            assert_eq!(then, next.map(time), "{now}");
        }
    }

    #[test]
    fn what_comes_later_is_still_told() {
        let (shown, _) =
            at(&document("<r:sphere from='2026-11-21T17:00:00Z'><r:home/></r:sphere>"), time("09:00:00"))
                .unwrap();
        let person = &shown.persons[0];
        assert!(person.rpid.sphere.is_none());
        assert!(person.foreign[0].xml().contains("from=\"2026-11-21T17:00:00Z\""), "{:?}", person.foreign);
    }

    #[test]
    fn what_holds_at_all_times_is_not_looked_at_again() {
        assert_eq!(at(&document("<r:activities><r:away/></r:activities>"), time("09:00:00")), None);
    }
}
