//! The builder: from bytes to the tree, every bound checked on the way.
//!
//! In: a body. Out: the arrays of a [`Document`], or the place and the reason. One pass over the events of the tokenizer,
//! no recursion; each loop consumes input.

use crate::limits;
use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use smallvec::SmallVec;

use super::{
    AttributeData, BodyError, Declaration, Document, NodeData, ShortSlice, Slice, Source, XML_NAMESPACE,
    slice_of,
};

/// Reads `body` into a document.
pub(super) fn read(body: &[u8]) -> Result<Document<'_>, BodyError> {
    if body.len() > limits::XML_BYTES_MAX {
        return Err(BodyError::at(body, limits::XML_BYTES_MAX, "XML body too large"));
    }
    let (source, decoded) = decode(body)?;
    if let Some(at) = illegal_character(&decoded) {
        return Err(source.error(at, "character not allowed in XML"));
    }
    Builder::new(source, &decoded).read(&decoded)
}

/// Decodes `body` by its declared encoding.
fn decode(body: &[u8]) -> Result<(Source<'_>, Cow<'_, str>), BodyError> {
    let without_mark = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // Why: an empty line too many before the XML declaration is no reason to refuse a publication.
    let bytes = without_mark.trim_ascii_start();
    let mut source = Source { body, skipped: body.len() - bytes.len(), latin1: false };
    let declared = declared_encoding(bytes);
    let is = |name: &str| declared.is_some_and(|declared| declared.eq_ignore_ascii_case(name.as_bytes()));
    let utf8 = std::str::from_utf8(bytes);
    if declared.is_none() || is("UTF-8") || is("US-ASCII") || is("ASCII") {
        let invalid = |e: std::str::Utf8Error| source.error(e.valid_up_to(), "not valid UTF-8");
        return utf8.map(|text| (source, Cow::Borrowed(text))).map_err(invalid);
    }
    if !(is("ISO-8859-1") || is("Latin1")) {
        return Err(source.error(0, "XML encoding not supported"));
    }
    // Interop: chan_sip declares ISO-8859-1 whatever it copies from its configuration. Text beyond ASCII that is also
    // valid UTF-8 is UTF-8.
    match utf8 {
        Ok(text) => Ok((source, Cow::Borrowed(text))),
        Err(_) => {
            source.latin1 = true;
            Ok((source, Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect())))
        }
    }
}

/// The encoding named in the XML declaration at the start of `bytes`.
fn declared_encoding(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.starts_with(b"\xfe\xff") || bytes.starts_with(b"\xff\xfe") || bytes.contains(&0) {
        return Some(b"UTF-16");
    }
    let declaration = bytes.strip_prefix(b"<?xml")?;
    let declaration = declaration.get(..memchr_of(declaration, b"?>")?)?;
    let after = declaration.get(memchr_of(declaration, b"encoding")? + b"encoding".len()..)?;
    let after = after.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, rest) = after.split_first()?;
    rest.split(|byte| byte == quote).next()
}

fn memchr_of(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn illegal_character(text: &str) -> Option<usize> {
    // Why: hardly a body has one, and this looks at many bytes at once. What is not allowed is a control character, or
    // begins with 0xef in UTF-8.
    let suspicious = |byte: u8| (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0xef;
    if !text.bytes().fold(false, |found, byte| found | suspicious(byte)) {
        return None;
    }
    text.char_indices().find(|(_, c)| !is_xml_character(*c)).map(|(at, _)| at)
}

const fn is_xml_character(c: char) -> bool {
    !matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

fn is_space(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

fn small(number: usize) -> u32 {
    // Invariant: bodies, and so all offsets in them, are far below 4 GiB (limits::XML_BYTES_MAX).
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn short(number: usize) -> u16 {
    // Invariant: only for what the bounds asserted above keep small.
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// How many elements and texts, and how many attributes, `text` can have at most: room for them is made once.
fn count(text: &str) -> (usize, usize) {
    let bytes = text.as_bytes();
    // Why: without branches, many bytes are looked at at once; the sums are of short pieces, so that small numbers do.
    let next = bytes.get(1..).unwrap_or_default();
    let mut nodes = 0;
    for (bytes, next) in bytes.chunks(255).zip(next.chunks(255)) {
        let opens = |b: u8, n: u8| u8::from(b == b'<' && n != b'/' && n != b'!' && n != b'?');
        let closes = |b: u8, n: u8| u8::from(b == b'>' && n != b'<');
        let pairs = bytes.iter().zip(next).map(|(b, n)| opens(*b, *n) | closes(*b, *n));
        nodes += usize::from(pairs.fold(0, u8::wrapping_add));
    }
    let attributes = bytes
        .chunks(255)
        .map(|bytes| usize::from(bytes.iter().map(|b| u8::from(*b == b'=')).fold(0, u8::wrapping_add)));
    (nodes.min(limits::XML_NODES_MAX), attributes.sum::<usize>().min(limits::XML_ATTRIBUTES_MAX))
}

struct Binding {
    prefix: ShortSlice,
    namespace: u8,
}

struct Open {
    node: usize,
    bindings_before: usize,
}

struct Builder<'s> {
    document: Document<'s>,
    bindings: Vec<Binding>,
    open: Vec<Open>,
    /// Where the text not yet made a node starts.
    text_from: usize,
    has_root: bool,
}

impl<'s> Builder<'s> {
    fn new(source: Source<'s>, decoded: &str) -> Self {
        let text = String::with_capacity(decoded.len() + XML_NAMESPACE.len());
        let (nodes, attributes) = count(decoded);
        let (nodes, attributes) = (Vec::with_capacity(nodes), Vec::with_capacity(attributes));
        let namespaces = vec![ShortSlice::default()];
        let document = Document { source, text, nodes, attributes, namespaces, declarations: Vec::new() };
        let mut builder =
            Self { document, bindings: Vec::new(), open: Vec::new(), text_from: 0, has_root: false };
        let xml = builder.push(XML_NAMESPACE);
        builder.document.namespaces.push(xml);
        builder.text_from = builder.document.text.len();
        builder
    }

    fn read(mut self, decoded: &str) -> Result<Document<'s>, BodyError> {
        let mut reader = Reader::from_str(decoded);
        loop {
            let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            let event = reader.read_event().map_err(|error| {
                let at = usize::try_from(reader.error_position()).unwrap_or(at).max(at);
                self.document.source.error(at, reason(&error))
            })?;
            let read = match event {
                Event::Start(tag) => self.start(&tag, at),
                Event::Empty(tag) => self.start(&tag, at).and_then(|()| self.end()),
                Event::End(_) => self.end(),
                Event::Text(text) => self.text(&text.xml10_content()),
                Event::CData(text) if !self.open.is_empty() => self.text(&text.xml10_content()),
                Event::GeneralRef(reference) if !self.open.is_empty() => self.reference(&reference),
                Event::CData(_) | Event::GeneralRef(_) => Err("text outside the root element"),
                Event::DocType(_) => Err("DTD not allowed"),
                Event::Decl(declaration) if at == 0 => match declaration.version() {
                    Ok(version) if version == "1.0" => Ok(()),
                    _ => Err("XML version not supported"),
                },
                Event::Decl(_) => Err("XML declaration not at the start"),
                Event::Comment(_) | Event::PI(_) => Ok(()),
                Event::Eof => break,
            };
            read.map_err(|reason| self.document.source.error(at, reason))?;
        }
        if !self.open.is_empty() {
            return Err(self.document.source.error(decoded.len(), "element not closed"));
        }
        if !self.has_root {
            return Err(self.document.source.error(decoded.len(), "no XML element"));
        }
        Ok(self.document)
    }

    fn start(&mut self, tag: &BytesStart<'_>, at: usize) -> Result<(), &'static str> {
        self.flush_text()?;
        if self.open.is_empty() && self.has_root {
            return Err("more than one root element");
        }
        if tag.len() > limits::XML_TAG_BYTES_MAX {
            return Err("start tag too long");
        }
        if self.open.len() >= limits::XML_DEPTH_MAX {
            return Err("elements nested too deep");
        }
        self.has_root = true;
        let bindings_before = self.bindings.len();
        let mut others: SmallVec<[_; 8]> = SmallVec::new();
        for (count, attribute) in tag.attributes().with_checks(false).enumerate() {
            if count >= limits::XML_ATTRIBUTES_PER_ELEMENT_MAX {
                return Err("too many attributes");
            }
            let attribute = attribute.map_err(|_| "attribute not well-formed")?;
            match attribute.key.into_inner() {
                "xmlns" => self.bind("", &attribute.value, bindings_before)?,
                key => {
                    match key.strip_prefix("xmlns:") {
                        Some(prefix) => self.bind(prefix, &attribute.value, bindings_before)?,
                        // Why: what binds its prefix may stand behind it.
                        None => others.push((key, attribute.value)),
                    }
                }
            }
        }
        let (namespace, name) = self.resolve(tag.name().into_inner(), true)?;
        let attributes = self.document.attributes.len();
        for (key, value) in &others {
            self.attribute(key, value, attributes)?;
        }
        let attributes_len = self.document.attributes.len() - attributes;
        if self.document.attributes.len() > limits::XML_ATTRIBUTES_MAX {
            return Err("too many attributes in the document");
        }
        let node = self.document.nodes.len();
        self.node(NodeData::Element {
            namespace,
            name,
            attributes: short(attributes),
            attributes_len: u8::try_from(attributes_len).unwrap_or(u8::MAX),
            end: 0,
            at: small(at),
        })?;
        self.open.push(Open { node, bindings_before });
        self.text_from = self.document.text.len();
        Ok(())
    }

    fn end(&mut self) -> Result<(), &'static str> {
        self.flush_text()?;
        let Some(open) = self.open.pop() else { return Err("end tag without a start tag") };
        self.bindings.truncate(open.bindings_before);
        let after = short(self.document.nodes.len());
        if let Some(NodeData::Element { end, .. }) = self.document.nodes.get_mut(open.node) {
            *end = after;
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), &'static str> {
        if self.open.is_empty() {
            return if is_space(text) { Ok(()) } else { Err("text outside the root element") };
        }
        self.document.text.push_str(text);
        Ok(())
    }

    fn reference(&mut self, reference: &str) -> Result<(), &'static str> {
        self.document.text.push(resolve_reference(reference)?);
        Ok(())
    }

    fn flush_text(&mut self) -> Result<(), &'static str> {
        let from = self.text_from;
        if is_space(self.document.text.get(from..).unwrap_or("")) {
            self.document.text.truncate(from);
            return Ok(());
        }
        let len = self.document.text.len() - from;
        self.text_from = self.document.text.len();
        self.node(NodeData::Text(Slice { start: small(from), len: small(len) }))
    }

    fn node(&mut self, node: NodeData) -> Result<(), &'static str> {
        if self.document.nodes.len() >= limits::XML_NODES_MAX {
            return Err("too many elements");
        }
        self.document.nodes.push(node);
        Ok(())
    }

    fn attribute(&mut self, key: &str, value: &str, siblings: usize) -> Result<(), &'static str> {
        let (namespace, name) = self.resolve(key, false)?;
        let start = self.document.text.len();
        unescape_attribute(value, &mut self.document.text)?;
        let value = ShortSlice { start: small(start), len: short(self.document.text.len() - start) };
        let text = &self.document.text;
        let same = |other: &AttributeData| {
            other.namespace == namespace && slice_of(text, other.name) == slice_of(text, name)
        };
        if self.document.attributes.iter().skip(siblings).any(same) {
            return Err("attribute given twice");
        }
        self.document.attributes.push(AttributeData { namespace, name, value });
        Ok(())
    }

    fn bind(&mut self, prefix: &str, name: &str, siblings: usize) -> Result<(), &'static str> {
        if self.document.namespaces.len() >= limits::XML_NAMESPACES_MAX {
            return Err("too many namespaces");
        }
        if name.len() > limits::XML_NAMESPACE_BYTES_MAX {
            return Err("namespace name too long");
        }
        if prefix == "xmlns"
            || (prefix == "xml" && name != XML_NAMESPACE)
            || (!prefix.is_empty() && name.is_empty())
        {
            return Err("namespace prefix not allowed");
        }
        if !prefix.is_empty() && !super::is_name(prefix) {
            return Err("namespace prefix not well-formed");
        }
        let mut unescaped = String::new();
        unescape_attribute(name, &mut unescaped)?;
        let text = &self.document.text;
        if self.bindings.iter().skip(siblings).any(|other| slice_of(text, other.prefix) == prefix) {
            return Err("attribute given twice");
        }
        // Why: one number per name, so that equal namespaces are equal numbers.
        let known = self.document.namespaces.iter().position(|known| slice_of(text, *known) == unescaped);
        let index = match known {
            Some(index) => index,
            None => {
                let name = self.push(&unescaped);
                self.document.namespaces.push(name);
                self.document.namespaces.len() - 1
            }
        };
        let prefix = self.push(prefix);
        let namespace = u8::try_from(index).unwrap_or(0);
        self.bindings.push(Binding { prefix, namespace });
        let node = short(self.document.nodes.len());
        self.document.declarations.push(Declaration { node, prefix, namespace });
        if self.bindings.len() > limits::XML_NAMESPACES_MAX {
            return Err("too many namespaces");
        }
        Ok(())
    }

    /// The namespace and local name of `key`; a prefix without a declaration is an error.
    fn resolve(&mut self, key: &str, default_applies: bool) -> Result<(u8, ShortSlice), &'static str> {
        let (prefix, local) = key.split_once(':').unwrap_or(("", key));
        if !super::is_name(local) || (key.contains(':') && !super::is_name(prefix)) {
            return Err("name not well-formed");
        }
        let text = &self.document.text;
        let bound = self.bindings.iter().rev().find(|binding| slice_of(text, binding.prefix) == prefix);
        let namespace = match (prefix, bound) {
            ("", _) if !default_applies => 0,
            ("xml", _) => 1,
            (_, Some(binding)) => binding.namespace,
            ("", None) => 0,
            _ => return Err("namespace prefix not declared"),
        };
        Ok((namespace, self.push(local)))
    }

    fn push(&mut self, text: &str) -> ShortSlice {
        let slice = ShortSlice { start: small(self.document.text.len()), len: short(text.len()) };
        self.document.text.push_str(text);
        slice
    }
}

fn resolve_reference(reference: &str) -> Result<char, &'static str> {
    let number = |digits: &str, radix| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let number = if plain { u32::from_str_radix(digits, radix).ok() } else { None };
        number
            .and_then(char::from_u32)
            .filter(|c| is_xml_character(*c))
            .ok_or("character reference not allowed")
    };
    match reference {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => match (reference.strip_prefix("#x"), reference.strip_prefix('#')) {
            (Some(hex), _) => number(hex, 16),
            (None, Some(decimal)) => number(decimal, 10),
            (None, None) => Err("entity not allowed"),
        },
    }
}

/// Appends the attribute value `raw` to `out`, references resolved and white space normalised (XML 1.0 §3.3.3).
fn unescape_attribute(raw: &str, out: &mut String) -> Result<(), &'static str> {
    let mut rest = raw;
    let is_special = |byte| matches!(byte, b'&' | b'<' | b'\t' | b'\r' | b'\n');
    while let Some(at) = rest.bytes().position(is_special) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        rest = if let Some(after) = from.strip_prefix('&') {
            let (reference, after) = after.split_once(';').ok_or("reference not closed")?;
            out.push(resolve_reference(reference)?);
            after
        } else if from.starts_with('<') {
            return Err("attribute not well-formed");
        } else {
            out.push(' ');
            from.strip_prefix("\r\n").or_else(|| from.get(1..)).unwrap_or("")
        };
    }
    out.push_str(rest);
    Ok(())
}

fn reason(error: &quick_xml::Error) -> &'static str {
    match error {
        quick_xml::Error::Syntax(_) => "XML markup not closed",
        quick_xml::Error::IllFormed(_) => "XML not well-formed",
        quick_xml::Error::InvalidAttr(_) => "attribute not well-formed",
        _ => "XML not readable",
    }
}
