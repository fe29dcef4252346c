//! Elements of namespaces we do not interpret, kept so that they reach the watchers.
//!
//! In: an element of a parsed document. Out: the same element as XML that stands anywhere, every namespace declared in
//! it. Comments, processing instructions and prefixes as they were typed are not kept.

use super::BodyError;
use super::xml::tree::Tree;
use super::xml::{Document, Element};
use crate::limits;

/// Namespaces of location objects: RFC 4119, its civic addresses (RFC 5139), and the shapes of RFC 5491 and of GML.
const LOCATION_NAMESPACES: [&str; 4] = [
    "urn:ietf:params:xml:ns:pidf:geopriv10",
    "http://www.opengis.net/gml",
    "http://www.opengis.net/pidflo",
    "urn:ietf:params:xml:ns:geopriv:",
];

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

    /// Whether it, or something in it, says where somebody is (RFC 4119, RFC 5491).
    pub fn is_location(&self) -> bool {
        LOCATION_NAMESPACES.iter().any(|namespace| self.xml.contains(namespace))
    }

    /// The element as XML, independent of what stands around it.
    pub fn xml(&self) -> &str {
        &self.xml
    }

    fn of(element: Element<'_>) -> Self {
        let xml = Tree::of(element).to_xml();
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
    pub(crate) fn keep_other(
        &mut self,
        element: Element<'_>,
        parent: &str,
        list: &mut Vec<Foreign>,
    ) -> Result<(), BodyError> {
        if element.namespace().is_empty() || element.namespace() == parent {
            return Ok(());
        }
        self.keep(element, list)
    }

    /// Keeps `element` in `list`, whatever it is.
    ///
    /// Interop: Digium's and Avaya's phones put elements of their own among those of PIDF, and in its namespace.
    pub(crate) fn keep(&mut self, element: Element<'_>, list: &mut Vec<Foreign>) -> Result<(), BodyError> {
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
            Keeper::new(&document).keep_other(element, "urn:p", &mut list).unwrap();
            assert_eq!(list[0].xml(), kept);
            let inside = format!("<q xmlns='urn:q' xmlns:n0='urn:other'>{kept}</q>");
            let again = Document::parse(inside.as_bytes()).unwrap();
            let mut twice = Vec::new();
            Keeper::new(&again)
                .keep_other(again.root().children().next().unwrap(), "urn:q", &mut twice)
                .unwrap();
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
        let kept = document.root().children().try_for_each(|e| keeper.keep_other(e, "urn:p", &mut list));
        assert_eq!(kept.unwrap_err().reason, "too many extension elements");
        assert!(
            list.len() <= limits::FOREIGNS_MAX
                && list.iter().map(|f| f.xml().len()).sum::<usize>() <= limits::FOREIGN_BYTES_MAX
        );
    }
}
