//! Timed presence (RFC 4481): the status of a service at other times, and its becoming the status when the time comes.
//!
//! In: children of a tuple, and the time. Out: [`TimedStatus`]es, and a document as it stands at that time. It arms no
//! timer: it says when the document will next be another.

use super::BodyError;
use super::foreign::{Foreign, Keeper};
use super::presence_document::{Basic, DateTime, Note, PresenceDocument, Tuple};
use super::rpid::{date, decode_note};
use super::xml::Element;
use super::xml_writer::XmlWriter;
use crate::time::UnixTime;

/// The namespace of RFC 4481.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:timed-status";

/// A status that holds from some time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedStatus {
    /// Since when it holds.
    pub from: DateTime,
    /// Until when it holds; without it until the publication ends.
    pub until: Option<DateTime>,
    /// Whether the service can be reached then.
    pub basic: Option<Basic>,
    /// A note for that time.
    pub note: Option<Note>,
    /// What else the status says.
    pub foreign: Vec<Foreign>,
}

impl TimedStatus {
    /// Reads `element`; `None` where it is no such status or does not say from when it holds.
    pub(crate) fn decode(element: Element<'_>, keeper: &mut Keeper<'_>) -> Result<Option<Self>, BodyError> {
        if !element.is(NAMESPACE, "timed-status") {
            return Ok(None);
        }
        let Some(from) = date(element, "from") else { return Ok(None) };
        let until = date(element, "until");
        let mut timed = Self { from, until, basic: None, note: None, foreign: Vec::new() };
        for child in element.children() {
            match child.name() {
                "basic" if child.namespace() == NAMESPACE => timed.basic = Basic::parse(&child.trimmed()),
                "note" if child.namespace() == NAMESPACE => timed.note = Some(decode_note(child)),
                _ => keeper.keep_other(child, NAMESPACE, &mut timed.foreign)?,
            }
        }
        Ok(Some(timed))
    }

    /// Writes it.
    pub(crate) fn encode(&self, w: &mut XmlWriter) {
        w.open("ts:timed-status").attr("xmlns:ts", NAMESPACE).attr("from", self.from.as_str());
        w.attr_opt("until", self.until.as_ref().map(DateTime::as_str));
        if let Some(basic) = self.basic {
            w.leaf("ts:basic", basic.name());
        }
        if let Some(note) = &self.note {
            w.open("ts:note").attr_opt("xml:lang", note.lang.as_deref()).text(note.text.as_str()).close();
        }
        self.foreign.iter().for_each(|foreign| _ = w.foreign(foreign));
        w.close();
    }

    fn holds_at(&self, now: UnixTime) -> bool {
        self.from.unix() <= now && self.until.as_ref().is_none_or(|until| now < until.unix())
    }
}

/// The document as it stands at `now`, and when it will next be another; `None` where it says the same at all times.
pub(crate) fn at(document: &PresenceDocument, now: UnixTime) -> Option<(PresenceDocument, Option<UnixTime>)> {
    let timed = || document.tuples.iter().flat_map(|tuple| &tuple.timed);
    timed().next()?;
    let ends = timed().flat_map(|timed| [Some(&timed.from), timed.until.as_ref()]).flatten();
    let next = ends.map(DateTime::unix).filter(|end| *end > now).min();
    let mut document = document.clone();
    document.tuples.iter_mut().for_each(|tuple| settle(tuple, now));
    Some((document, next))
}

/// RFC 4481 §3: a status whose time has come is the status. Of several the one that began last counts; none of them is
/// left as a status of another time.
fn settle(tuple: &mut Tuple, now: UnixTime) {
    let (current, other): (Vec<_>, Vec<_>) =
        std::mem::take(&mut tuple.timed).into_iter().partition(|timed| timed.holds_at(now));
    tuple.timed = other;
    let Some(current) = current.into_iter().max_by_key(|timed| timed.from.unix()) else { return };
    tuple.basic = current.basic.or(tuple.basic);
    if let Some(note) = current.note {
        tuple.notes = vec![note];
    }
    let replaced = |old: &Foreign| {
        let same = |new: &Foreign| (new.namespace(), new.name()) == (old.namespace(), old.name());
        current.foreign.iter().any(same)
    };
    tuple.status_foreign.retain(|old| !replaced(old));
    tuple.status_foreign.extend(current.foreign.iter().cloned());
}

#[cfg(test)]
mod tests {
    use super::super::pidf::Pidf;
    use super::*;

    const DOCUMENT: &str = "<presence xmlns='urn:ietf:params:xml:ns:pidf' \
        xmlns:ts='urn:ietf:params:xml:ns:pidf:timed-status' entity='pres:someone@example.com'><tuple id='c8dqui'><status>\
        <basic>open</basic><x xmlns='urn:x'>1</x><y xmlns='urn:x'>2</y></status>\
        <ts:timed-status from='2026-11-21T10:00:00Z' until='2026-11-21T12:00:00Z'><ts:basic>closed</ts:basic>\
        <ts:note xml:lang='en'>lunch</ts:note><x xmlns='urn:x'>3</x></ts:timed-status>\
        <ts:timed-status from='2026-11-21T11:00:00Z' until='2026-11-21T11:30:00Z'><ts:basic>open</ts:basic>\
        </ts:timed-status><ts:timed-status from='2026-11-21T20:00:00Z'/><note>here</note></tuple></presence>";

    fn time(text: &str) -> UnixTime {
        DateTime::parse(&format!("2026-11-21T{text}Z")).unwrap().unix()
    }

    #[test]
    fn a_status_whose_time_has_come_is_the_status() {
        let document = Pidf::decode(DOCUMENT.as_bytes()).unwrap();
        assert_eq!(document.tuples[0].timed.len(), 3);
        for (now, basic, note, left, next) in [
            ("09:00:00", Basic::Open, "here", 3, Some("10:00:00")),
            ("10:00:00", Basic::Closed, "lunch", 2, Some("11:00:00")),
            ("11:00:00", Basic::Open, "here", 1, Some("11:30:00")),
            ("11:30:00", Basic::Closed, "lunch", 2, Some("12:00:00")),
            ("12:00:00", Basic::Open, "here", 3, Some("20:00:00")),
            ("20:00:00", Basic::Open, "here", 2, None),
        ] {
            let (shown, then) = at(&document, time(now)).unwrap();
            let tuple = &shown.tuples[0];
            assert_eq!((tuple.basic, tuple.timed.len()), (Some(basic), left), "{now}");
            assert_eq!(tuple.notes[0].text, note, "{now}");
            assert_eq!(then, next.map(time), "{now}");
        }
        let (shown, _) = at(&document, time("10:30:00")).unwrap();
        let said: Vec<_> = shown.tuples[0].status_foreign.iter().map(Foreign::xml).collect();
        assert_eq!(said, ["<y xmlns=\"urn:x\">2</y>", "<x xmlns=\"urn:x\">3</x>"]);
    }

    #[test]
    fn a_document_without_them_is_the_same_at_all_times() {
        assert_eq!(at(&PresenceDocument::default(), time("10:00:00")), None);
    }
}
