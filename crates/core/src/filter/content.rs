//! What of a document a watcher is shown: the `<what>` of a filter (RFC 4661 §3.5, RFC 4660 §5.3.1).
//!
//! In: a parsed document and what to include and exclude. Out: a document with nothing in it that the first has not, and
//! everything that makes it valid; nothing where nothing is left. It knows what PIDF and its data model cannot do without.

use super::expression::Path;
use super::select::{TooCostly, Tree};
use crate::body::pidf::{DATA_MODEL_NAMESPACE, NAMESPACE};
use crate::body::xml::{Element, Node, XML_NAMESPACE};
use crate::body::xml_writer::{Place, escape};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Selector {
    /// Elements, or attributes.
    Path(Path),
    /// Everything of a namespace.
    Namespace(String),
}

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct What {
    /// These; everything where there is none.
    pub(super) include: Vec<Selector>,
    /// Except these.
    pub(super) exclude: Vec<Selector>,
}

/// How much of an element is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kept {
    /// Nothing.
    Nothing,
    /// That it is there, because something in it or of it is shown.
    Shell,
    /// Its attributes and text.
    Own,
}

/// An attribute of an element.
type AttributeOf<'d> = (usize, &'d str, &'d str);

/// What is kept of a document.
struct Selection<'t, 'd> {
    tree: &'t Tree<'d>,
    kept: Vec<Kept>,
    included: BTreeSet<AttributeOf<'d>>,
    excluded: BTreeSet<AttributeOf<'d>>,
}

impl What {
    /// The document of `tree` with only this in it; `None` where nothing is left.
    pub(super) fn apply(&self, tree: &Tree<'_>) -> Result<Option<String>, TooCostly> {
        let start = if self.include.is_empty() { Kept::Own } else { Kept::Nothing };
        let kept = vec![start; tree.elements.len()];
        let mut selection = Selection { tree, kept, included: BTreeSet::new(), excluded: BTreeSet::new() };
        for selector in &self.include {
            selection.include(selector)?;
        }
        selection.complete();
        for selector in &self.exclude {
            selection.exclude(selector)?;
        }
        Ok((selection.of(0) != Kept::Nothing).then(|| selection.write()))
    }
}

impl<'d> Selection<'_, 'd> {
    fn of(&self, at: usize) -> Kept {
        self.kept.get(at).copied().unwrap_or(Kept::Nothing)
    }

    fn raise(&mut self, at: usize, to: Kept) {
        if let Some(kept) = self.kept.get_mut(at) {
            *kept = to.max(*kept);
        }
        let mut at = at;
        while let Some(parent) = self.tree.parent(at) {
            if self.of(parent) >= Kept::Shell {
                break;
            }
            if let Some(kept) = self.kept.get_mut(parent) {
                *kept = Kept::Shell;
            }
            at = parent;
        }
    }

    fn include(&mut self, selector: &Selector) -> Result<(), TooCostly> {
        match selector {
            Selector::Namespace(namespace) => {
                for (at, element) in self.tree.elements.iter().enumerate() {
                    if element.namespace() == namespace {
                        self.raise(at, Kept::Own);
                    }
                }
            }
            Selector::Path(path) => {
                for at in self.tree.select(path, true)? {
                    match self.attribute(at, path) {
                        Some(attribute) => {
                            self.raise(at, Kept::Shell);
                            self.included.insert(attribute);
                        }
                        None => self.tree.inside(at).for_each(|inner| self.raise(inner, Kept::Own)),
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds what the schema wants of what is kept (RFC 4660 §5.3.1).
    fn complete(&mut self) {
        for at in 1..self.tree.elements.len() {
            if self.of(at) == Kept::Nothing && self.is_needed(at) {
                self.tree.inside(at).for_each(|inner| self.raise(inner, Kept::Own));
            }
        }
    }

    /// Whether an element whose parent is kept cannot be missed.
    fn is_needed(&self, at: usize) -> bool {
        let Some(parent) = self.tree.parent(at) else { return true };
        if self.of(parent) == Kept::Nothing {
            return false;
        }
        let both = self.tree.elements.get(at).zip(self.tree.elements.get(parent));
        both.is_some_and(|(element, parent)| {
            let of = |namespace, outer, inner| parent.is(namespace, outer) && element.is(namespace, inner);
            of(NAMESPACE, "tuple", "status") || of(DATA_MODEL_NAMESPACE, "device", "deviceID")
        })
    }

    fn exclude(&mut self, selector: &Selector) -> Result<(), TooCostly> {
        let found = match selector {
            Selector::Namespace(namespace) => {
                let all = self.tree.elements.iter().enumerate();
                all.filter(|(_, element)| element.namespace() == namespace).map(|(at, _)| at).collect()
            }
            Selector::Path(path) => self.tree.select(path, true)?,
        };
        for at in found {
            if let Selector::Path(path) = selector
                && let Some(attribute) = self.attribute(at, path)
            {
                self.excluded.insert(attribute);
            } else if !self.is_needed(at) {
                // RFC 4661 §3.5.2: what makes the document invalid is not done.
                for inner in self.tree.inside(at) {
                    if let Some(kept) = self.kept.get_mut(inner) {
                        *kept = Kept::Nothing;
                    }
                }
            }
        }
        Ok(())
    }

    fn attribute(&self, at: usize, path: &Path) -> Option<AttributeOf<'d>> {
        let name = path.attribute.as_ref()?;
        let namespace = name.namespace.as_deref().unwrap_or("");
        let mut attributes = self.tree.elements.get(at)?.attrs();
        let found = attributes.find(|a| a.name == name.local && a.namespace == namespace)?;
        Some((at, found.namespace, found.name))
    }

    fn shows(&self, at: usize, namespace: &'d str, name: &'d str) -> bool {
        // PIDF and its data model: what is mandatory of their elements is called so.
        let is_needed = namespace.is_empty() && matches!(name, "id" | "entity");
        let key = (at, namespace, name);
        is_needed
            || !self.excluded.contains(&key) && (self.of(at) == Kept::Own || self.included.contains(&key))
    }

    fn write(&self) -> String {
        let kept = |at: &usize| self.of(*at) != Kept::Nothing;
        let mut prefixes: Vec<&str> = Vec::new();
        for at in (0..self.tree.elements.len()).filter(kept) {
            let Some(element) = self.tree.elements.get(at) else { continue };
            let attributes =
                element.attrs().filter(|a| self.shows(at, a.namespace, a.name)).map(|a| a.namespace);
            for namespace in attributes.chain([element.namespace()]) {
                if namespace != XML_NAMESPACE && !namespace.is_empty() && !prefixes.contains(&namespace) {
                    prefixes.push(namespace);
                }
            }
        }
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write_element(0, &prefixes, "", &mut out);
        out
    }

    // Invariant: the depth of a parsed document is bounded, so the recursion here is.
    fn write_element(&self, at: usize, prefixes: &[&str], scope: &str, out: &mut String) {
        let Some(element) = self.tree.elements.get(at).copied() else { return };
        let default = self.tree.elements.first().map_or("", |root| root.namespace());
        let name = |namespace: &str, local: &str, is_element: bool, out: &mut String| {
            let known = prefixes.iter().position(|known| *known == namespace);
            match known {
                _ if is_element && namespace == default => {}
                Some(at) => out.push_str(&format!("n{at}:")),
                None if namespace == XML_NAMESPACE => out.push_str("xml:"),
                None => {}
            }
            out.push_str(local);
        };
        let value = |text: &str, out: &mut String| {
            escape(text, Place::Attribute, false, &mut |piece| out.push_str(piece));
        };
        out.push('<');
        name(element.namespace(), element.name(), true, out);
        // Why: an element without a namespace must not fall into the default one, nor what is in it out of that.
        let own = if [default, ""].contains(&element.namespace()) { element.namespace() } else { scope };
        if own != scope {
            out.push_str(" xmlns=\"");
            value(own, out);
            out.push('"');
        }
        if at == 0 {
            for (index, namespace) in prefixes.iter().enumerate().filter(|(_, n)| self.is_typed(n, default)) {
                out.push_str(&format!(" xmlns:n{index}=\""));
                value(namespace, out);
                out.push('"');
            }
        }
        for attribute in element.attrs().filter(|a| self.shows(at, a.namespace, a.name)) {
            out.push(' ');
            name(attribute.namespace, attribute.name, false, out);
            out.push_str("=\"");
            value(attribute.value, out);
            out.push('"');
        }
        out.push('>');
        self.write_inside(at, element, (prefixes, own), out);
        out.push_str("</");
        name(element.namespace(), element.name(), true, out);
        out.push('>');
    }

    fn write_inside(
        &self,
        at: usize,
        element: Element<'_>,
        (prefixes, scope): (&[&str], &str),
        out: &mut String,
    ) {
        let mut child = at + 1;
        for node in element.nodes() {
            match node {
                Node::Element(_) => {
                    if self.of(child) != Kept::Nothing {
                        self.write_element(child, prefixes, scope, out);
                    }
                    child = self.tree.inside(child).end;
                }
                Node::Text(text) if self.of(at) == Kept::Own => {
                    escape(text, Place::Text, false, &mut |piece| out.push_str(piece));
                }
                Node::Text(_) => {}
            }
        }
    }

    /// Whether a namespace is written with a prefix: the default one only where attributes are of it.
    fn is_typed(&self, namespace: &str, default: &str) -> bool {
        let of_attribute = |element: &Element<'_>| element.attrs().any(|a| a.namespace == namespace);
        namespace != default || self.tree.elements.iter().any(of_attribute)
    }
}
