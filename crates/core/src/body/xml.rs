//! Reading XML from peers: bounded in size, depth, names and time, into a small tree with its namespaces resolved.
//!
//! In: the bytes of a body. Out: a [`Document`], or a [`BodyError`] with the place. There is no DTD, no entity beyond
//! the five of XML 1.0, no inclusion and no recursion, so a body can neither grow nor reach outside itself. White space
//! between elements, comments and processing instructions are dropped; validity is left to the formats.

mod build;
pub(crate) mod tree;

use std::borrow::Cow;

use super::BodyError;

/// The namespace the prefix `xml` always stands for.
pub const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

/// A parsed document.
#[derive(Debug)]
pub struct Document<'s> {
    source: Source<'s>,
    /// Names, attribute values and texts, one after the other, unescaped.
    text: String,
    nodes: Vec<NodeData>,
    attributes: Vec<AttributeData>,
    /// Namespace names as slices of `text`; 0 is "none".
    namespaces: Vec<ShortSlice>,
    /// Which prefix was declared where, for names that stand in values.
    declarations: Vec<Declaration>,
}

#[derive(Debug)]
struct Declaration {
    node: u16,
    prefix: ShortSlice,
    namespace: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    start: u32,
    len: u32,
}

/// Like [`Slice`], for what stands in a start tag.
#[derive(Clone, Copy, Debug, Default)]
struct ShortSlice {
    start: u32,
    len: u16,
}

impl From<ShortSlice> for Slice {
    fn from(short: ShortSlice) -> Self {
        Self { start: short.start, len: u32::from(short.len) }
    }
}

// Why so narrow: these are what a hostile body can have most of. The bounds asserted above make them fit.
#[derive(Debug)]
enum NodeData {
    // `end` is the index after the last node inside the element; `at` its offset in the decoded source.
    Element { namespace: u8, attributes_len: u8, attributes: u16, end: u16, name: ShortSlice, at: u32 },
    Text(Slice),
}

#[derive(Debug)]
struct AttributeData {
    namespace: u8,
    name: ShortSlice,
    value: ShortSlice,
}

/// The body as it came, and how offsets in the decoded text lead back to it.
#[derive(Clone, Copy, Debug)]
struct Source<'s> {
    body: &'s [u8],
    skipped: usize,
    latin1: bool,
}

impl Source<'_> {
    fn error(&self, decoded_at: usize, reason: &'static str) -> BodyError {
        let mut raw_at = decoded_at;
        if self.latin1 {
            let mut decoded = 0;
            let bytes = self.body.get(self.skipped..).unwrap_or_default();
            raw_at = bytes
                .iter()
                .take_while(|byte| {
                    decoded += 1 + usize::from(!byte.is_ascii());
                    decoded <= decoded_at
                })
                .count();
        }
        BodyError::at(self.body, self.skipped + raw_at, reason)
    }
}

impl<'s> Document<'s> {
    /// Reads `body`.
    ///
    /// # Errors
    /// 400 with the reason and the place: not well-formed, over a bound, with a DTD, an entity or an encoding that is not
    /// supported.
    pub fn parse(body: &'s [u8]) -> Result<Self, BodyError> {
        build::read(body)
    }

    /// The outermost element.
    pub fn root(&self) -> Element<'_> {
        // Invariant: node 0 is the root element; the builder refuses documents without one.
        Element { document: self, index: 0 }
    }

    /// The error `reason` at the start of `element`.
    pub fn error(&self, element: Element<'_>, reason: &'static str) -> BodyError {
        let at = match self.nodes.get(element.index) {
            Some(NodeData::Element { at, .. }) => *at as usize,
            _ => 0,
        };
        self.source.error(at, reason)
    }

    fn slice(&self, slice: impl Into<Slice>) -> &str {
        slice_of(&self.text, slice)
    }

    fn namespace(&self, index: u8) -> &str {
        self.namespaces.get(usize::from(index)).map_or("", |slice| self.slice(*slice))
    }
}

fn slice_of(text: &str, slice: impl Into<Slice>) -> &str {
    let slice = slice.into();
    let start = slice.start as usize;
    text.get(start..start + slice.len as usize).unwrap_or("")
}

/// An element of a [`Document`].
#[derive(Clone, Copy, Debug)]
pub struct Element<'d> {
    document: &'d Document<'d>,
    index: usize,
}

/// A child of an element.
#[derive(Clone, Copy, Debug)]
pub enum Node<'d> {
    /// An element.
    Element(Element<'d>),
    /// Text that is more than white space.
    Text(&'d str),
}

/// An attribute; namespace declarations are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'d> {
    /// The namespace, empty for none.
    pub namespace: &'d str,
    /// The local name.
    pub name: &'d str,
    /// The value, normalised.
    pub value: &'d str,
}

impl<'d> Element<'d> {
    /// The namespace, empty for none.
    pub fn namespace(self) -> &'d str {
        match self.data() {
            Some(NodeData::Element { namespace, .. }) => self.document.namespace(*namespace),
            _ => "",
        }
    }

    /// The local name.
    pub fn name(self) -> &'d str {
        match self.data() {
            Some(NodeData::Element { name, .. }) => self.document.slice(*name),
            _ => "",
        }
    }

    /// Whether it is `name` of `namespace`.
    pub fn is(self, namespace: &str, name: &str) -> bool {
        self.name() == name && self.namespace() == namespace
    }

    /// The attributes, in the order they were written.
    pub fn attrs(self) -> impl Iterator<Item = Attribute<'d>> {
        let range = match self.data() {
            Some(NodeData::Element { attributes, attributes_len, .. }) => {
                let start = usize::from(*attributes);
                start..start + usize::from(*attributes_len)
            }
            _ => 0..0,
        };
        let document = self.document;
        document.attributes.get(range).unwrap_or_default().iter().map(move |data| Attribute {
            namespace: document.namespace(data.namespace),
            name: document.slice(data.name),
            value: document.slice(data.value),
        })
    }

    /// The namespace that `prefix` stands for here, where a value holds names with prefixes; empty for the default
    /// namespace where there is none.
    pub(crate) fn namespace_of(self, prefix: &str) -> Option<&'d str> {
        if prefix == "xml" {
            return Some(XML_NAMESPACE);
        }
        let document = self.document;
        let around = |declaration: &&Declaration| {
            let at = usize::from(declaration.node);
            let end = Element { document, index: at }.end();
            at <= self.index && self.index < end && document.slice(declaration.prefix) == prefix
        };
        let found = document.declarations.iter().rev().find(around);
        let found = found.map(|declaration| document.namespace(declaration.namespace));
        found.or_else(|| prefix.is_empty().then_some(""))
    }

    /// The value of the attribute `name` without a namespace.
    pub fn attr(self, name: &str) -> Option<&'d str> {
        self.attr_of("", name)
    }

    /// The value of the attribute `name` of `namespace`.
    pub fn attr_of(self, namespace: &str, name: &str) -> Option<&'d str> {
        let is_it = |a: &Attribute<'d>| a.name == name && a.namespace == namespace;
        self.attrs().find(is_it).map(|attribute| attribute.value)
    }

    /// Elements and texts directly inside.
    pub fn nodes(self) -> impl Iterator<Item = Node<'d>> {
        let document = self.document;
        let end = self.end();
        let mut next = self.index + 1;
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            match document.nodes.get(next)? {
                NodeData::Text(slice) => {
                    next += 1;
                    Some(Node::Text(document.slice(*slice)))
                }
                NodeData::Element { end, .. } => {
                    let element = Element { document, index: next };
                    next = usize::from(*end).max(next + 1);
                    Some(Node::Element(element))
                }
            }
        })
    }

    /// Elements directly inside.
    pub fn children(self) -> impl Iterator<Item = Element<'d>> {
        self.nodes().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child `name` of `namespace`.
    pub fn child(self, namespace: &str, name: &str) -> Option<Element<'d>> {
        self.children().find(|child| child.is(namespace, name))
    }

    /// The text directly inside, as it was written.
    pub fn text(self) -> Cow<'d, str> {
        let mut texts = self.nodes().filter_map(|node| match node {
            Node::Text(text) => Some(text),
            Node::Element(_) => None,
        });
        let first = texts.next().unwrap_or("");
        match texts.next() {
            None => Cow::Borrowed(first),
            Some(second) => Cow::Owned([first, second].into_iter().chain(texts).collect()),
        }
    }

    /// The text directly inside, without white space around it.
    pub fn trimmed(self) -> Cow<'d, str> {
        match self.text() {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        }
    }

    fn end(self) -> usize {
        match self.data() {
            Some(NodeData::Element { end, .. }) => usize::from(*end),
            _ => 0,
        }
    }

    fn data(self) -> Option<&'d NodeData> {
        self.document.nodes.get(self.index)
    }
}

/// Whether `name` is a name without a prefix (an `NCName`).
pub(crate) fn is_name(name: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || (!c.is_ascii() && c.is_alphabetic());
    let goes_on = |c: char| {
        starts(c) || c.is_ascii_digit() || "-.\u{b7}".contains(c) || (!c.is_ascii() && c.is_alphanumeric())
    };
    name.starts_with(starts) && name.chars().all(goes_on)
}

/// The document with attributes sorted, namespaces resolved and white space between elements dropped, for comparing two
/// documents in tests; the parse error where it is none.
pub fn canonical(document: &str) -> String {
    fn write(element: Element<'_>, out: &mut String) {
        out.push_str(&format!("<{{{}}}{}", element.namespace(), element.name()));
        let mut attributes: Vec<_> = element.attrs().map(|a| (a.namespace, a.name, a.value)).collect();
        attributes.sort_unstable();
        for (namespace, name, value) in attributes {
            out.push_str(&format!(" {{{namespace}}}{name}={value:?}"));
        }
        out.push_str(">\n");
        for node in element.nodes() {
            match node {
                Node::Element(child) => write(child, out),
                Node::Text(text) => out.push_str(&format!("{:?}\n", text.trim())),
            }
        }
        out.push_str("</>\n");
    }
    match Document::parse(document.as_bytes()) {
        Ok(document) => {
            let mut out = String::new();
            write(document.root(), &mut out);
            out
        }
        Err(error) => format!("not XML: {error}"),
    }
}
