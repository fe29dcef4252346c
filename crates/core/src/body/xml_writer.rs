//! Writing XML 1.0: every value escaped, nothing illegal, always well-formed.
//!
//! In: element and attribute names from this crate (`&'static str`), values from anywhere. Out: an [`EncodedBody`] whose
//! holes are filled in per watcher. It does not check documents against schemas.

use super::encoded::{EncodedBody, Hole, Syntax};
use super::foreign::Foreign;

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Text,
    Attribute,
}

/// Gives `value` to `sink` in pieces, escaped; characters that XML 1.0 forbids become U+FFFD.
pub(crate) fn escape(value: &str, place: Place, ascii: bool, sink: &mut dyn FnMut(&str)) {
    // Why: almost every value is plain, and a look at all bytes without stopping is a few vector instructions.
    if value.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        return sink(value);
    }
    let mut clean_from = 0;
    for (at, c) in value.char_indices() {
        let replacement = match c {
            '<' => "&lt;",
            '>' => "&gt;",
            '&' => "&amp;",
            '"' => "&quot;",
            '\'' => "&#39;",
            '\r' => "&#13;",
            '\n' if place == Place::Attribute => "&#10;",
            '\t' if place == Place::Attribute => "&#9;",
            '\t' | '\n' => continue,
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                if ascii {
                    "&#65533;"
                } else {
                    "\u{fffd}"
                }
            }
            _ if ascii && !c.is_ascii() => "",
            _ => continue,
        };
        sink(&value[clean_from..at]);
        if replacement.is_empty() {
            sink(&format!("&#{};", u32::from(c)));
        } else {
            sink(replacement);
        }
        clean_from = at + c.len_utf8();
    }
    sink(&value[clean_from..]);
}

/// Whether a byte stands for itself everywhere in XML.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\'')
}

/// A part of a value: text known now, or a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Text, to be escaped.
    Text(&'a str),
    /// A hole, filled in (and escaped) per watcher.
    Hole(Hole),
}

impl<'a> From<&'a str> for Part<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<Hole> for Part<'_> {
    fn from(hole: Hole) -> Self {
        Self::Hole(hole)
    }
}

/// Writes one document.
#[derive(Debug, Default)]
pub struct XmlWriter {
    body: EncodedBody,
    open: Vec<Open>,
    in_tag: bool,
    pretty: bool,
}

#[derive(Debug)]
struct Open {
    name: &'static str,
    has_text: bool,
    has_children: bool,
}

impl XmlWriter {
    /// A compact document in UTF-8.
    pub fn new() -> Self {
        let mut writer = Self::default();
        writer.push("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        writer
    }

    /// A document in UTF-8 with one element per line, as Asterisk writes them.
    pub fn pretty() -> Self {
        Self { pretty: true, ..Self::new() }
    }

    /// A document with one element per line that declares `encoding`; beyond ASCII it holds character references only.
    pub fn pretty_ascii(encoding: &'static str) -> Self {
        let mut writer = Self { pretty: true, ..Self::default() };
        writer.body.syntax = Syntax::XmlAscii;
        writer.push("<?xml version=\"1.0\" encoding=\"");
        writer.push(encoding);
        writer.push("\"?>\n");
        writer
    }

    /// Opens an element.
    pub fn open(&mut self, name: &'static str) -> &mut Self {
        self.start_child();
        self.push("<");
        self.push(name);
        self.open.push(Open { name, has_text: false, has_children: false });
        self.in_tag = true;
        self
    }

    /// Adds an attribute to the element just opened.
    pub fn attr<'a>(&mut self, name: &str, value: impl Into<Part<'a>>) -> &mut Self {
        self.attr_parts(name, &[value.into()])
    }

    /// Adds an attribute to the element just opened, if there is a value.
    pub fn attr_opt(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.attr(name, value);
        }
        self
    }

    /// Adds an attribute whose value has several parts.
    pub fn attr_parts(&mut self, name: &str, parts: &[Part<'_>]) -> &mut Self {
        debug_assert!(self.in_tag, "an attribute belongs to an element just opened");
        self.push(" ");
        self.push(name);
        self.push("=\"");
        parts.iter().for_each(|part| self.part(*part, Place::Attribute));
        self.push("\"");
        self
    }

    /// Adds text to the open element.
    pub fn text<'a>(&mut self, value: impl Into<Part<'a>>) -> &mut Self {
        self.end_tag();
        if let Some(open) = self.open.last_mut() {
            open.has_text = true;
        }
        self.part(value.into(), Place::Text);
        self
    }

    /// Closes the open element.
    pub fn close(&mut self) -> &mut Self {
        let Some(open) = self.open.pop() else { return self };
        if self.in_tag {
            self.in_tag = false;
            self.push("/>");
        } else {
            if self.pretty && open.has_children && !open.has_text {
                self.new_line();
            }
            self.push("</");
            self.push(open.name);
            self.push(">");
        }
        self
    }

    /// Writes an element with nothing in it.
    pub fn empty(&mut self, name: &'static str) -> &mut Self {
        self.open(name).close()
    }

    /// Writes an element with text and no attributes.
    pub fn leaf<'a>(&mut self, name: &'static str, value: impl Into<Part<'a>>) -> &mut Self {
        self.open(name).text(value).close()
    }

    /// Writes an element of a namespace we do not interpret, as it was kept.
    pub fn foreign(&mut self, foreign: &Foreign) -> &mut Self {
        self.start_child();
        if self.body.syntax == Syntax::XmlAscii {
            // Why: beyond ASCII a kept element has letters in text and values only, where a reference may stand.
            let bytes = &mut self.body.bytes;
            foreign.xml().chars().for_each(|c| match c {
                c if c.is_ascii() => bytes.push(c as u8),
                c => bytes.extend_from_slice(format!("&#{};", u32::from(c)).as_bytes()),
            });
        } else {
            self.push(foreign.xml());
        }
        self
    }

    /// Closes what is open and gives the document.
    pub fn finish(mut self) -> EncodedBody {
        while !self.open.is_empty() {
            self.close();
        }
        self.push("\n");
        self.body
    }

    fn start_child(&mut self) {
        self.end_tag();
        let break_line = match self.open.last_mut() {
            Some(open) => {
                open.has_children = true;
                self.pretty && !open.has_text
            }
            None => false,
        };
        if break_line {
            self.new_line();
        }
    }

    fn end_tag(&mut self) {
        if self.in_tag {
            self.in_tag = false;
            self.push(">");
        }
    }

    fn new_line(&mut self) {
        self.push("\n");
        for _ in 0..self.open.len() {
            self.push(" ");
        }
    }

    fn part(&mut self, part: Part<'_>, place: Place) {
        match part {
            Part::Text(text) => {
                let ascii = self.body.syntax == Syntax::XmlAscii;
                let bytes = &mut self.body.bytes;
                escape(text, place, ascii, &mut |piece| bytes.extend_from_slice(piece.as_bytes()));
            }
            Part::Hole(hole) => {
                let offset = u32::try_from(self.body.bytes.len()).unwrap_or(u32::MAX);
                self.body.holes.push((offset, hole));
            }
        }
    }

    fn push(&mut self, raw: &str) {
        self.body.bytes.extend_from_slice(raw.as_bytes());
    }
}

/// An `xs:ID` made of `prefix` (a name) and any text: different texts give different ids.
pub(crate) fn xml_id(prefix: &str, text: &str) -> String {
    let mut id = String::with_capacity(prefix.len() + text.len());
    id.push_str(prefix);
    for c in text.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' => id.push(c),
            c => id.push_str(&format!("_{:x}_", u32::from(c))),
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::super::encoded::HoleValues;
    use super::super::xml::{Document, canonical};
    use super::*;

    #[test]
    fn whatever_is_written_can_be_read_back() {
        let nasty = "\"'<>&]]>\t\n\r\u{0}\u{1f}\u{7f}\u{85}\u{fffe}\u{ffff}\u{e9}\u{10ffff}";
        let read = nasty.replace(['\u{0}', '\u{1f}', '\u{fffe}', '\u{ffff}'], "\u{fffd}");
        for make in [XmlWriter::new, XmlWriter::pretty, || XmlWriter::pretty_ascii("ISO-8859-1")] {
            let mut w = make();
            w.open("a").attr("b", nasty).attr("c", Hole::Entity).leaf("d", nasty).empty("e");
            let bytes = w.finish().fill(&HoleValues { entity: nasty, ..HoleValues::default() });
            let document = Document::parse(&bytes).unwrap();
            let root = document.root();
            assert_eq!(root.attr("b"), Some(read.as_str()));
            assert_eq!(root.attr("c"), Some(read.as_str()));
            assert_eq!(root.child("", "d").unwrap().text(), read);
        }
    }

    #[test]
    fn pretty_and_compact_are_the_same_document() {
        let write = |mut w: XmlWriter| {
            w.open("a").attr("x", "1").open("b").leaf("c", "t").close().empty("d");
            String::from_utf8(w.finish().fill(&HoleValues::default())).unwrap()
        };
        let (pretty, compact) = (write(XmlWriter::pretty()), write(XmlWriter::new()));
        assert!(pretty.ends_with("<a x=\"1\">\n <b>\n  <c>t</c>\n </b>\n <d/>\n</a>\n"), "{pretty}");
        assert!(compact.ends_with("\n<a x=\"1\"><b><c>t</c></b><d/></a>\n"), "{compact}");
        assert_eq!(canonical(&pretty), canonical(&compact));
    }

    #[test]
    fn ids_are_names_and_differ_where_texts_differ() {
        let texts = ["6001", "6001 ", "a_b", "a_5f_b", "a<b", "\u{e9}", "", "*8"];
        let ids: std::collections::BTreeSet<_> = texts.iter().map(|text| xml_id("e-", text)).collect();
        assert_eq!(ids.len(), texts.len());
        assert!(ids.iter().all(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))));
    }
}
