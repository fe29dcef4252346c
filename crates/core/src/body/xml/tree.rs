//! XML as a tree that can be changed and compared, and written again with every namespace declared.
//!
//! In: an element of a parsed [`super::Document`], so of bounded size and depth. Out: the same element as text. Comments,
//! processing instructions, white space between elements and prefixes as they were typed are not in it.

use super::super::xml_writer::{Place, escape};
use super::{Element, Node, XML_NAMESPACE};
use std::sync::Arc;

/// An element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    /// Its namespace; empty for none.
    pub(crate) namespace: Arc<str>,
    /// Its local name.
    pub(crate) name: Box<str>,
    /// Its attributes.
    pub(crate) attributes: Vec<TreeAttribute>,
    /// What is in it; two texts are never neighbours.
    pub(crate) children: Vec<Child>,
}

/// An attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeAttribute {
    /// Its namespace; empty for none.
    pub(crate) namespace: Arc<str>,
    /// Its local name.
    pub(crate) name: Box<str>,
    /// Its value.
    pub(crate) value: Box<str>,
}

/// What an element may have in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Child {
    /// An element.
    Element(Tree),
    /// A text.
    Text(Box<str>),
}

impl Tree {
    /// The tree of `element`.
    pub(crate) fn of(element: Element<'_>) -> Self {
        Self::read(element, &mut Vec::new())
    }

    // Invariant: the depth of a parsed document is bounded, so the recursion here and below is.
    fn read(element: Element<'_>, spaces: &mut Vec<Arc<str>>) -> Self {
        let namespace = interned(element.namespace(), spaces);
        let attributes = element.attrs().map(|attribute| TreeAttribute {
            namespace: interned(attribute.namespace, spaces),
            name: attribute.name.into(),
            value: attribute.value.into(),
        });
        let attributes = attributes.collect();
        let children = element.nodes().map(|node| match node {
            Node::Element(child) => Child::Element(Self::read(child, spaces)),
            Node::Text(text) => Child::Text(text.into()),
        });
        Self { namespace, name: element.name().into(), attributes, children: children.collect() }
    }

    /// The value of an attribute.
    pub(crate) fn attr(&self, namespace: &str, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|a| &*a.name == name && &*a.namespace == namespace);
        found.map(|attribute| &*attribute.value)
    }

    /// The elements directly inside.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|child| match child {
            Child::Element(element) => Some(element),
            Child::Text(_) => None,
        })
    }

    /// How many elements are inside one another.
    pub(crate) fn depth(&self) -> usize {
        1 + self.elements().map(Self::depth).max().unwrap_or(0)
    }

    /// The element as XML that stands anywhere. Its own namespace is the default one, unless something in it has none.
    pub(crate) fn to_xml(&self) -> String {
        let mut prefixes = Prefixes::default();
        let mut some_without = false;
        self.collect(&mut prefixes, &mut some_without);
        if !some_without {
            prefixes.default = self.namespace.to_string();
        }
        let mut xml = String::new();
        self.write(&prefixes, true, &mut xml);
        xml
    }

    /// Adds the namespaces in use to `prefixes`, each once; `some_without` becomes true if an element has none.
    pub(crate) fn collect(&self, prefixes: &mut Prefixes, some_without: &mut bool) {
        *some_without |= self.namespace.is_empty();
        let attributes = self.attributes.iter().map(|attribute| &attribute.namespace);
        for namespace in attributes.chain([&self.namespace]) {
            prefixes.add(namespace);
        }
        self.elements().for_each(|child| child.collect(prefixes, some_without));
    }

    /// Writes the element; `declares` where the namespaces are not declared around it.
    pub(crate) fn write(&self, prefixes: &Prefixes, declares: bool, out: &mut String) {
        out.push('<');
        prefixes.write(&self.namespace, true, out);
        out.push_str(&self.name);
        if declares {
            let is_default = |namespace: &str| namespace == prefixes.default;
            prefixes.declare(&|_, space| !is_default(space) || self.has_attribute_of(space), out);
        }
        for attribute in &self.attributes {
            out.push(' ');
            prefixes.write(&attribute.namespace, false, out);
            out.push_str(&attribute.name);
            out.push_str("=\"");
            escape(&attribute.value, Place::Attribute, false, &mut |piece| out.push_str(piece));
            out.push('"');
        }
        if self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for child in &self.children {
            match child {
                Child::Element(child) => child.write(prefixes, false, out),
                Child::Text(text) => escape(text, Place::Text, false, &mut |piece| out.push_str(piece)),
            }
        }
        out.push_str("</");
        prefixes.write(&self.namespace, true, out);
        out.push_str(&self.name);
        out.push('>');
    }

    /// Whether an attribute of it, or of something in it, is of `namespace`.
    pub(crate) fn has_attribute_of(&self, namespace: &str) -> bool {
        self.attributes.iter().any(|attribute| &*attribute.namespace == namespace)
            || self.elements().any(|child| child.has_attribute_of(namespace))
    }
}

fn interned(text: &str, known: &mut Vec<Arc<str>>) -> Arc<str> {
    if let Some(found) = known.iter().find(|found| &***found == text) {
        return found.clone();
    }
    let new: Arc<str> = text.into();
    known.push(new.clone());
    new
}

/// The namespaces of a text and what stands for them in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefixes {
    /// The default namespace; empty for none.
    pub(crate) default: String,
    known: Vec<Arc<str>>,
}

impl Prefixes {
    /// How many namespaces there are.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Gives `namespace` a prefix.
    pub(crate) fn add(&mut self, namespace: &Arc<str>) {
        if !namespace.is_empty() && **namespace != *XML_NAMESPACE && !self.known.contains(namespace) {
            self.known.push(namespace.clone());
        }
    }

    /// Writes the prefix of `namespace` with its colon.
    pub(crate) fn write(&self, namespace: &str, is_element: bool, out: &mut String) {
        if namespace.is_empty() || (is_element && namespace == self.default) {
        } else if namespace == XML_NAMESPACE {
            out.push_str("xml:");
        } else if let Some(at) = self.known.iter().position(|known| &**known == namespace) {
            out.push_str(&format!("n{at}:"));
        }
    }

    /// Writes the declarations: of the default namespace always, of the others, by their place, those that are needed.
    pub(crate) fn declare(&self, is_needed: &dyn Fn(usize, &str) -> bool, out: &mut String) {
        let quoted = |namespace: &str, out: &mut String| {
            escape(namespace, Place::Attribute, false, &mut |piece| out.push_str(piece));
            out.push('"');
        };
        // Why even where there is none: an element without a namespace must not fall into that of the document around it.
        out.push_str(" xmlns=\"");
        quoted(&self.default, out);
        for (at, namespace) in self.known.iter().enumerate() {
            if is_needed(at, namespace) {
                out.push_str(&format!(" xmlns:n{at}=\""));
                quoted(namespace, out);
            }
        }
    }
}
