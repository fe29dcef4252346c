//! A presence document as typed values: RFC 3863 tuples, and the persons and devices of the data model (RFC 4479).
//!
//! Read and written by `pidf`; composed by `composition`. Elements nobody here knows are kept as [`Foreign`] and reach the
//! watchers. Ids are kept as they came; the writer makes them unique names, as XML wants them.

use super::cipid::Cipid;
pub use super::date_time::DateTime;
use super::foreign::Foreign;
use super::rpid::{Activity, Rpid, Token as _};
pub use super::timed_status::TimedStatus;

/// What one source says of a presentity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresenceDocument {
    /// The presentity's URI; empty where the document names none.
    pub entity: String,
    /// The services.
    pub tuples: Vec<Tuple>,
    /// The person, usually one.
    pub persons: Vec<Person>,
    /// The devices.
    pub devices: Vec<Device>,
    /// Notes on the presentity.
    pub notes: Vec<Note>,
    /// What else it says.
    pub foreign: Vec<Foreign>,
}

impl PresenceDocument {
    /// Whether any service is open (or in use); `None` where no tuple says.
    pub fn is_open(&self) -> Option<bool> {
        let said = self.tuples.iter().filter_map(|tuple| tuple.basic);
        said.map(|basic| basic != Basic::Closed).reduce(|any, next| any || next)
    }

    /// Whether a service says with its basic status that it is in use, and nothing says what the person does.
    pub(crate) fn is_only_in_use(&self) -> bool {
        let persons = self.persons.iter().map(|person| &person.rpid);
        let mut said = persons.chain(self.tuples.iter().map(|tuple| &tuple.rpid));
        self.tuples.iter().any(|tuple| tuple.basic == Some(Basic::InUse))
            && said.all(|rpid| rpid.activities.is_none())
    }

    /// What the person is doing: said of the person, else of a service; `None` where nothing says.
    pub(crate) fn activities(&self) -> Option<&[Activity]> {
        let persons = self.persons.iter().map(|person| &person.rpid);
        let mut said = persons.chain(self.tuples.iter().map(|tuple| &tuple.rpid));
        said.find_map(|rpid| rpid.activities.as_ref().map(|values| values.known.as_slice()))
    }

    /// The whole in a few words, as in `open, meeting, "until two"`.
    pub(crate) fn in_words(&self) -> String {
        let basic = self.is_open().map(|open| if open { Basic::Open } else { Basic::Closed }.name());
        let busy = [Activity::Busy];
        let activities =
            if self.is_only_in_use() { &busy[..] } else { self.activities().unwrap_or_default() };
        let activities: Vec<_> = activities.iter().map(|activity| activity.name()).collect();
        let note = self.first_note().map(|note| format!("{note:?}")).unwrap_or_default();
        let parts = [basic.unwrap_or_default(), &activities.join(" "), &note];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        if parts.is_empty() { "nothing of the person".to_owned() } else { parts.join(", ") }
    }

    /// The note a person would be shown: the person's, else the document's, else a tuple's.
    pub fn first_note(&self) -> Option<&str> {
        let persons = self.persons.iter().flat_map(|person| &person.notes);
        let tuples = self.tuples.iter().flat_map(|tuple| &tuple.notes);
        persons.chain(&self.notes).chain(tuples).map(|note| note.text.as_str()).find(|text| !text.is_empty())
    }
}

/// A service (RFC 3863 §4.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuple {
    /// Its id; empty where none was given.
    pub id: String,
    /// Whether it can be reached.
    pub basic: Option<Basic>,
    /// What else its status says.
    pub status_foreign: Vec<Foreign>,
    /// Where it can be reached.
    pub contact: Option<Contact>,
    /// The device it runs on (RFC 4479 §3.4).
    pub device_id: Option<String>,
    /// Its rich presence.
    pub rpid: Rpid,
    /// What it is called and looks like.
    pub cipid: Option<Box<Cipid>>,
    /// Its status at other times.
    pub timed: Vec<TimedStatus>,
    /// Notes on it.
    pub notes: Vec<Note>,
    /// When it said so.
    pub timestamp: Option<DateTime>,
    /// What else it says.
    pub foreign: Vec<Foreign>,
}

/// The person (RFC 4479 §3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Its id; empty where none was given.
    pub id: String,
    /// Its rich presence.
    pub rpid: Rpid,
    /// What the person is called and looks like.
    pub cipid: Option<Box<Cipid>>,
    /// Notes.
    pub notes: Vec<Note>,
    /// When this was said.
    pub timestamp: Option<DateTime>,
    /// What else it says.
    pub foreign: Vec<Foreign>,
}

/// A device (RFC 4479 §3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its id; empty where none was given.
    pub id: String,
    /// Its URN.
    pub device_id: String,
    /// Its rich presence.
    pub rpid: Rpid,
    /// Notes.
    pub notes: Vec<Note>,
    /// When this was said.
    pub timestamp: Option<DateTime>,
    /// What else it says.
    pub foreign: Vec<Foreign>,
}

/// Whether a service can be reached (RFC 3863 §4.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basic {
    /// It can.
    Open,
    /// It cannot.
    Closed,
    /// It can and is in a call; no RFC's word, read from some phones and written as `open`.
    InUse,
}

impl Basic {
    /// The value `text` in any case; an unknown one says nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        match () {
            () if is("open") => Some(Self::Open),
            () if is("closed") => Some(Self::Closed),
            () if is("inuse") => Some(Self::InUse),
            () => None,
        }
    }

    /// The RFC's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open | Self::InUse => "open",
            Self::Closed => "closed",
        }
    }
}

/// Where a service can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// The URI.
    pub uri: String,
    /// Its weight against others.
    pub priority: Option<Priority>,
}

/// A priority from 0 to 1 in thousandths (RFC 3863 §4.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(u16);

impl Priority {
    /// The highest.
    pub const MAX: Self = Self(1000);

    /// The priority `text`, digits beyond the third dropped; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = whole.bytes().chain(fraction.bytes());
        if whole.is_empty() || !digits.clone().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let thousandths = fraction.bytes().chain(*b"000").take(3);
        let fraction = thousandths.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        match (whole.trim_start_matches('0'), fraction) {
            ("", fraction) => Some(Self(fraction)),
            ("1", 0) => Some(Self::MAX),
            _ => None,
        }
    }
}

impl std::fmt::Display for Priority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            1000 => f.write_str("1"),
            0 => f.write_str("0"),
            thousandths => {
                let digits = format!("{thousandths:03}");
                write!(f, "0.{}", digits.trim_end_matches('0'))
            }
        }
    }
}

/// A text for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Its language (`xml:lang`), such as `en`.
    pub lang: Option<String>,
    /// The text.
    pub text: String,
}

impl Note {
    /// A note without a language.
    pub fn of(text: impl Into<String>) -> Self {
        Self { lang: None, text: text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_have_three_digits_at_most() {
        let rows = [
            ("1", Some("1")),
            ("0.8", Some("0.8")),
            ("0.80000", Some("0.8")),
            ("1.000", Some("1")),
            ("0.0099", Some("0.009")),
            ("0", Some("0")),
            ("1.001", None),
            ("2", None),
            ("-0.5", None),
            ("", None),
            (".5", None),
            ("0,5", None),
        ];
        for (text, written) in rows {
            assert_eq!(Priority::parse(text).map(|p| p.to_string()).as_deref(), written, "{text}");
        }
    }
}
