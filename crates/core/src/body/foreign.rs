//! Elements of namespaces we do not interpret, kept so that they reach the watchers.
//!
//! In: an element of a parsed document. Out: the same element as XML that stands anywhere, every namespace declared in
//! it. Comments, processing instructions and prefixes as they were typed are not kept.

use super::BodyError;
use super::xml::{Document, Element, Node, XML_NAMESPACE};
use super::xml_writer::{Place, escape};
use crate::limits;

/// One kept element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    namespace: Box<str>,
    name: Box<str>,
    xml: Box<str>,
}

impl Foreign {
    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its local name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The element as XML, independent of what stands around it.
    pub fn xml(&self) -> &str {
        &self.xml
    }

    fn of(element: Element<'_>) -> Self {
        let mut prefixes = Prefixes { known: Vec::new(), default: "" };
        let mut some_without = false;
        collect(element, &mut prefixes, &mut some_without);
        if !some_without {
            prefixes.default = element.namespace();
        }
        let mut xml = String::new();
        write(element, &prefixes, true, &mut xml);
        Self { namespace: element.namespace().into(), name: element.name().into(), xml: xml.into() }
    }
}

/// Keeps elements of one document within [`limits::FOREIGN_BYTES_MAX`].
#[derive(Debug)]
pub(crate) struct Keeper<'d> {
    document: &'d Document<'d>,
    left: usize,
    count: usize,
}

impl<'d> Keeper<'d> {
    pub(crate) fn new(document: &'d Document<'d>) -> Self {
        Self { document, left: limits::FOREIGN_BYTES_MAX, count: 0 }
    }

    pub(crate) fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// Keeps `element` in `list`, if it is of a namespace at all and of another than `parent`, as `##other` asks.
    pub(crate) fn keep(
        &mut self,
        element: Element<'_>,
        parent: &str,
        list: &mut Vec<Foreign>,
    ) -> Result<(), BodyError> {
        if element.namespace().is_empty() || element.namespace() == parent {
            return Ok(());
        }
        self.count += 1;
        if self.count > limits::FOREIGNS_MAX {
            return Err(self.document.error(element, "too many extension elements"));
        }
        let foreign = Foreign::of(element);
        match self.left.checked_sub(foreign.xml.len()) {
            Some(left) => self.left = left,
            None => return Err(self.document.error(element, "too many extension elements")),
        }
        list.push(foreign);
        Ok(())
    }
}

struct Prefixes<'d> {
    known: Vec<&'d str>,
    default: &'d str,
}

impl Prefixes<'_> {
    fn write(&self, namespace: &str, is_element: bool, out: &mut String) {
        if namespace.is_empty() || (is_element && namespace == self.default) {
        } else if namespace == XML_NAMESPACE {
            out.push_str("xml:");
        } else if let Some(at) = self.known.iter().position(|known| *known == namespace) {
            out.push_str(&format!("n{at}:"));
        }
    }
}

// Invariant: the depth of a parsed document is bounded, so the recursion here is.
fn collect<'d>(element: Element<'d>, prefixes: &mut Prefixes<'d>, some_without: &mut bool) {
    let attributes = element.attrs().map(|attribute| attribute.namespace);
    *some_without |= element.namespace().is_empty();
    for namespace in attributes.chain([element.namespace()]) {
        let new = !namespace.is_empty() && namespace != XML_NAMESPACE && !prefixes.known.contains(&namespace);
        if new {
            prefixes.known.push(namespace);
        }
    }
    element.children().for_each(|child| collect(child, prefixes, some_without));
}

fn write(element: Element<'_>, prefixes: &Prefixes<'_>, is_root: bool, out: &mut String) {
    let escaped = |text: &str, place, out: &mut String| escape(text, place, false, &mut |s| out.push_str(s));
    out.push('<');
    prefixes.write(element.namespace(), true, out);
    out.push_str(element.name());
    if is_root {
        if !prefixes.default.is_empty() {
            out.push_str(" xmlns=\"");
            escaped(prefixes.default, Place::Attribute, out);
            out.push('"');
        } else {
            // Why: an element without a namespace must not fall into the default one of the document around it.
            out.push_str(" xmlns=\"\"");
        }
        let only_default =
            |at: usize| prefixes.known[at] == prefixes.default && !prefixed(element, prefixes.default);
        for at in (0..prefixes.known.len()).filter(|at| !only_default(*at)) {
            out.push_str(&format!(" xmlns:n{at}=\""));
            escaped(prefixes.known[at], Place::Attribute, out);
            out.push('"');
        }
    }
    for attribute in element.attrs() {
        out.push(' ');
        prefixes.write(attribute.namespace, false, out);
        out.push_str(attribute.name);
        out.push_str("=\"");
        escaped(attribute.value, Place::Attribute, out);
        out.push('"');
    }
    let mut nodes = element.nodes().peekable();
    if nodes.peek().is_none() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for node in nodes {
        match node {
            Node::Element(child) => write(child, prefixes, false, out),
            Node::Text(text) => escaped(text, Place::Text, out),
        }
    }
    out.push_str("</");
    prefixes.write(element.namespace(), true, out);
    out.push_str(element.name());
    out.push('>');
}

fn prefixed(element: Element<'_>, namespace: &str) -> bool {
    element.attrs().any(|attribute| attribute.namespace == namespace)
        || element.children().any(|child| prefixed(child, namespace))
}

#[cfg(test)]
mod tests {
    use super::super::xml::canonical;
    use super::*;

    #[test]
    fn a_kept_element_is_the_same_element_anywhere() {
        let rows = [
            ("<p xmlns='urn:p' xmlns:a='urn:a'><a:x/></p>", "<x xmlns=\"urn:a\"/>"),
            (
                "<p xmlns='urn:p' xmlns:a='urn:a'><a:x a:y='1' z='&lt;&#9;'>t<a:w/>&amp;</a:x></p>",
                "<x xmlns=\"urn:a\" xmlns:n0=\"urn:a\" n0:y=\"1\" z=\"&lt;&#9;\">t<w/>&amp;</x>",
            ),
            (
                "<p xmlns:a='urn:a' xmlns:b='urn:b'><a:x xml:lang='en'><b:y b:i='2'/></a:x></p>",
                "<x xmlns=\"urn:a\" xmlns:n1=\"urn:b\" xml:lang=\"en\"><n1:y n1:i=\"2\"/></x>",
            ),
            ("<p xmlns:a='urn:a'><a:x><y/></a:x></p>", "<n0:x xmlns=\"\" xmlns:n0=\"urn:a\"><y/></n0:x>"),
        ];
        for (body, kept) in rows {
            let document = Document::parse(body.as_bytes()).unwrap();
            let mut list = Vec::new();
            let element = document.root().children().next().unwrap();
            Keeper::new(&document).keep(element, "urn:p", &mut list).unwrap();
            assert_eq!(list[0].xml(), kept);
            let inside = format!("<q xmlns='urn:q' xmlns:n0='urn:other'>{kept}</q>");
            let again = Document::parse(inside.as_bytes()).unwrap();
            let mut twice = Vec::new();
            Keeper::new(&again).keep(again.root().children().next().unwrap(), "urn:q", &mut twice).unwrap();
            assert_eq!(canonical(twice[0].xml()), canonical(kept));
        }
    }

    #[test]
    fn many_short_elements_of_a_long_namespace_are_refused() {
        let namespace = "u".repeat(250);
        let body = format!(
            "<p xmlns='urn:p' xmlns:a='{namespace}'>{}</p>",
            "<a:x/>".repeat(limits::FOREIGNS_MAX + 1)
        );
        let document = Document::parse(body.as_bytes()).unwrap();
        let (mut keeper, mut list) = (Keeper::new(&document), Vec::new());
        let kept = document.root().children().try_for_each(|e| keeper.keep(e, "urn:p", &mut list));
        assert_eq!(kept.unwrap_err().reason, "too many extension elements");
        assert!(
            list.len() <= limits::FOREIGNS_MAX
                && list.iter().map(|f| f.xml().len()).sum::<usize>() <= limits::FOREIGN_BYTES_MAX
        );
    }
}
