//! An encoded body with holes: written once per state, filled in per subscription.
//!
//! In: bytes from a body format's encoder, with the places where watchers differ left out. Out: one watcher's body, the
//! values escaped for the place they stand in. It does not decide what goes into a hole.

use smallvec::SmallVec;

use super::xml_writer::{Place, escape};
use crate::time::{UnixTime, seconds_until};

/// A place of a body where watchers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hole {
    /// The document version.
    Version,
    /// The document version where the first is 1 (RFC 5263 §4.4).
    VersionFromOne,
    /// The presentity's URI as this watcher asked for it.
    Entity,
    /// The watcher's own URI.
    Watcher,
    /// The Call-ID of the subscription.
    CallId,
    /// Whole seconds from when the document is sent until then, rounded up; 0 after it.
    SecondsUntil(UnixTime),
    /// Whole seconds from then until the document is sent; 0 before it.
    SecondsSince(UnixTime),
    /// The presentity's URI with FreeSWITCH's pickup code before its user part: `sip:**6001@example.com`.
    PickupCode,
}

/// One watcher's values.
#[derive(Clone, Copy, Debug, Default)]
pub struct HoleValues<'a> {
    /// The document version.
    pub version: u32,
    /// The presentity's URI as this watcher asked for it.
    pub entity: &'a str,
    /// The watcher's own URI.
    pub watcher: &'a str,
    /// The Call-ID of the subscription.
    pub call_id: &'a str,
    /// When the document is sent.
    pub now: UnixTime,
}

/// The syntax around the holes, which decides how values are escaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// XML in UTF-8.
    #[default]
    Xml,
    /// XML that declares another encoding: everything beyond ASCII is a character reference.
    XmlAscii,
    /// Lines of text: control characters are left out.
    Lines,
    /// Strings of JSON.
    Json,
}

/// A body shared by many watchers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedBody {
    /// The bytes around the holes.
    pub(crate) bytes: Vec<u8>,
    /// Where the holes are: offsets into `bytes`, ascending.
    pub(crate) holes: SmallVec<[(u32, Hole); 4]>,
    pub(crate) syntax: Syntax,
    /// Its content type where that is not the format's own: a multipart with its boundary.
    pub(crate) content_type: Option<String>,
}

impl EncodedBody {
    /// The same without room to grow.
    pub(crate) fn kept(mut self) -> Self {
        self.bytes.shrink_to_fit();
        self
    }

    /// The bytes shared by all watchers, for telling whether a state looks different from the last one.
    pub fn shared_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The holes: how many bytes of [`EncodedBody::shared_bytes`] stand before each, ascending.
    pub fn holes(&self) -> &[(u32, Hole)] {
        &self.holes
    }

    /// The length in bytes of the body that `values` gives, for a Content-Length written before the body.
    pub fn len_with(&self, values: &HoleValues<'_>) -> usize {
        let mut len = self.bytes.len();
        for (_, hole) in &self.holes {
            self.value(*hole, values, &mut |piece| len += piece.len());
        }
        len
    }

    /// Appends the body that `values` gives to `out`.
    pub fn fill_into(&self, values: &HoleValues<'_>, out: &mut Vec<u8>) {
        let mut rest = self.bytes.as_slice();
        let mut taken = 0;
        for (offset, hole) in &self.holes {
            let (before, after) = rest.split_at((*offset as usize).saturating_sub(taken).min(rest.len()));
            out.extend_from_slice(before);
            taken += before.len();
            rest = after;
            self.value(*hole, values, &mut |piece| out.extend_from_slice(piece.as_bytes()));
        }
        out.extend_from_slice(rest);
    }

    /// The body that `values` gives.
    pub fn fill(&self, values: &HoleValues<'_>) -> Vec<u8> {
        // Why: to know the length exactly, all values would have to be escaped twice.
        let longest = (values.entity.len() + 2).max(values.watcher.len()).max(values.call_id.len()).max(10);
        let mut out = Vec::with_capacity(self.bytes.len() + self.holes.len() * longest);
        self.fill_into(values, &mut out);
        out
    }

    fn value(&self, hole: Hole, values: &HoleValues<'_>, sink: &mut dyn FnMut(&str)) {
        let text = match hole {
            Hole::Version => return decimal(values.version, sink),
            Hole::VersionFromOne => return decimal(values.version.wrapping_add(1), sink),
            Hole::SecondsUntil(then) => return decimal(seconds_until(values.now, then), sink),
            Hole::SecondsSince(then) => {
                return decimal(u32::try_from(values.now.since(then).as_secs()).unwrap_or(u32::MAX), sink);
            }
            Hole::PickupCode => {
                let (scheme, rest) = values.entity.split_once(':').unwrap_or(("sip", values.entity));
                return [scheme, ":**", rest].into_iter().for_each(|part| self.escaped(part, sink));
            }
            Hole::Entity => values.entity,
            Hole::Watcher => values.watcher,
            Hole::CallId => values.call_id,
        };
        self.escaped(text, sink);
    }

    fn escaped(&self, text: &str, sink: &mut dyn FnMut(&str)) {
        match self.syntax {
            Syntax::Xml => escape(text, Place::Attribute, false, sink),
            Syntax::XmlAscii => escape(text, Place::Attribute, true, sink),
            Syntax::Lines => text.split(char::is_control).for_each(sink),
            Syntax::Json => super::presence_json::escape(text, sink),
        }
    }
}

fn decimal(mut number: u32, sink: &mut dyn FnMut(&str)) {
    let mut digits = [0_u8; 10];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b"0123456789"[(number % 10) as usize];
        number /= 10;
        if number == 0 {
            break;
        }
    }
    sink(std::str::from_utf8(&digits[start..]).unwrap_or("0"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_in_order_and_the_length_is_known_before() {
        let body = EncodedBody {
            bytes: b"[]()".to_vec(),
            holes: [(1, Hole::Version), (3, Hole::Entity), (3, Hole::Watcher)].into_iter().collect(),
            ..EncodedBody::default()
        };
        for version in [0, 7, 10, 4_294_967_295] {
            let values = HoleValues {
                version,
                entity: "sip:a@b?x=<&\"'",
                watcher: "\u{1}\u{fffe}",
                ..HoleValues::default()
            };
            let filled = String::from_utf8(body.fill(&values)).unwrap();
            assert_eq!(filled, format!("[{version}](sip:a@b?x=&lt;&amp;&quot;&#39;\u{fffd}\u{fffd})"));
            assert_eq!(filled.len(), body.len_with(&values));
        }
    }

    #[test]
    fn lines_take_no_control_characters_and_ascii_xml_no_other_letters() {
        let holes: SmallVec<[_; 4]> = [(2, Hole::Entity)].into_iter().collect();
        let lines = EncodedBody {
            bytes: b"A:\r\n".to_vec(),
            holes: holes.clone(),
            syntax: Syntax::Lines,
            ..EncodedBody::default()
        };
        let values = HoleValues { entity: "sip:\u{e9}\r\nX: y", ..HoleValues::default() };
        assert_eq!(lines.fill(&values), "A:sip:\u{e9}X: y\r\n".as_bytes());
        let ascii =
            EncodedBody { bytes: b"A:".to_vec(), holes, syntax: Syntax::XmlAscii, ..EncodedBody::default() };
        assert_eq!(ascii.fill(&values), b"A:sip:&#233;&#13;&#10;X: y");
        assert_eq!(ascii.len_with(&values), ascii.fill(&values).len());
    }
}
