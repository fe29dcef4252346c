//! Selectors of XML patch operations (RFC 5261 §4.1): the part of XPath that names one node.
//!
//! In: the text of `sel` and the element it stands in, whose declarations its prefixes mean (RFC 5261 §4.2). Out: the place
//! of the one node it finds. Comments, processing instructions and namespaces are not in our trees and cannot be found.

use super::super::xml::Element;
use super::super::xml::tree::{Child, Tree};
use crate::limits;

/// A name with its namespace resolved.
type Name<'s> = (&'s str, &'s str);

/// Where an element is: which child of which child of the root.
pub(super) type Path = Vec<usize>;

/// What a selector finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'s> {
    /// An element.
    Element(Path),
    /// An attribute of an element, by its namespace and name.
    Attribute(Path, Name<'s>),
    /// A text of an element, by its place among the children.
    Text(Path, usize),
}

enum Predicate<'s> {
    Position(usize),
    Attribute(Name<'s>, &'s str),
    Child(Name<'s>, &'s str),
    Own(&'s str),
}

struct Step<'s> {
    /// `None` is `*`.
    name: Option<Name<'s>>,
    predicates: Vec<Predicate<'s>>,
}

/// The characters of a selector not read yet.
struct Cursor<'s> {
    rest: &'s str,
    scope: Element<'s>,
}

const MALFORMED: &str = "selector not understood";

/// The one node that `selector` finds in `tree`.
///
/// # Errors
/// Why not: it is not understood, or finds nothing, or more than one node.
pub(super) fn find<'s>(
    tree: &Tree,
    selector: &'s str,
    scope: Element<'s>,
) -> Result<Found<'s>, &'static str> {
    let selector = selector.trim();
    let mut cursor = Cursor { rest: selector.strip_prefix('/').unwrap_or(selector), scope };
    let mut found: Vec<Path>;
    if let Some(id) = cursor.id()? {
        found = Vec::new();
        with_id(tree, id, &mut Vec::new(), &mut found);
    } else {
        let step = cursor.step()?;
        let named = step.name.is_none_or(|name| is_root(tree, name));
        let all = step.predicates.iter().all(|predicate| holds(tree, predicate).unwrap_or(true));
        let first = |predicate: &Predicate<'_>| !matches!(predicate, Predicate::Position(at) if *at != 1);
        found = if named && all && step.predicates.iter().all(first) { vec![Vec::new()] } else { Vec::new() };
    }
    while cursor.take("/") {
        if cursor.take("@") {
            let name = cursor.name(false)?;
            let path = cursor.end(found)?;
            let exists = at(tree, &path).is_some_and(|element| element.attr(name.0, name.1).is_some());
            return if exists {
                Ok(Found::Attribute(path, name))
            } else {
                Err("selector finds no attribute")
            };
        }
        if cursor.take("text()") {
            let nth = cursor.position()?.unwrap_or(1);
            let path = cursor.end(found)?;
            let children = at(tree, &path).map_or(&[][..], |element| &element.children);
            let texts = children.iter().enumerate().filter(|(_, child)| matches!(child, Child::Text(_)));
            let index = texts.map(|(index, _)| index).nth(nth - 1).ok_or("selector finds no text")?;
            return Ok(Found::Text(path, index));
        }
        let step = cursor.step()?;
        found =
            found.iter().flat_map(|path| below(tree, path, &step)).take(limits::SELECTED_MAX + 1).collect();
        if found.len() > limits::SELECTED_MAX {
            return Err("selector finds too much");
        }
    }
    cursor.end(found).map(Found::Element)
}

/// The element at `path`.
pub(super) fn at<'t>(tree: &'t Tree, path: &[usize]) -> Option<&'t Tree> {
    path.iter().try_fold(tree, |element, index| match element.children.get(*index)? {
        Child::Element(child) => Some(child),
        Child::Text(_) => None,
    })
}

/// Why both: what is patched is a presence document, whichever of its two wrappings it came in (RFC 5262 §3).
fn is_root(tree: &Tree, name: Name<'_>) -> bool {
    (&*tree.namespace, &*tree.name) == name || matches!(name.1, "presence" | "pidf-full")
}

/// The elements in the one at `path` that `step` finds.
fn below(tree: &Tree, path: &Path, step: &Step<'_>) -> Vec<Path> {
    let Some(element) = at(tree, path) else { return Vec::new() };
    let children = element.children.iter().enumerate().filter_map(|(index, child)| match child {
        Child::Element(child) => Some((index, child)),
        Child::Text(_) => None,
    });
    let is = |child: &Tree| step.name.is_none_or(|name| (&*child.namespace, &*child.name) == name);
    let mut named: Vec<_> = children.filter(|(_, child)| is(child)).collect();
    for predicate in &step.predicates {
        if let Predicate::Position(nth) = predicate {
            named = named.into_iter().nth(nth - 1).into_iter().collect();
        } else {
            named.retain(|(_, child)| holds(child, predicate).unwrap_or(false));
        }
    }
    let path_to = |index| path.iter().copied().chain([index]).collect();
    named.into_iter().map(|(index, _)| path_to(index)).collect()
}

/// Whether a predicate holds that is no position.
fn holds(element: &Tree, predicate: &Predicate<'_>) -> Option<bool> {
    match predicate {
        Predicate::Position(_) => None,
        Predicate::Attribute((namespace, name), value) => Some(element.attr(namespace, name) == Some(value)),
        Predicate::Own(value) => Some(is_text(element, value)),
        Predicate::Child(name, value) => {
            let mut named = element.elements().filter(|child| (&*child.namespace, &*child.name) == *name);
            Some(named.any(|child| is_text(child, value)))
        }
    }
}

/// Whether all the text in an element is `value`.
fn is_text(element: &Tree, value: &str) -> bool {
    fn rest<'v>(element: &Tree, value: &'v str) -> Option<&'v str> {
        element.children.iter().try_fold(value, |value, child| match child {
            Child::Element(child) => rest(child, value),
            Child::Text(text) => value.strip_prefix(&**text),
        })
    }
    rest(element, value) == Some("")
}

fn with_id(element: &Tree, id: &str, path: &mut Path, found: &mut Vec<Path>) {
    if element.attr("", "id") == Some(id) {
        found.push(path.clone());
    }
    for (index, child) in element.children.iter().enumerate() {
        if let Child::Element(child) = child {
            path.push(index);
            with_id(child, id, path, found);
            path.pop();
        }
    }
}

impl<'s> Cursor<'s> {
    fn take(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// The end of the selector, and the one place found.
    fn end(&self, found: Vec<Path>) -> Result<Path, &'static str> {
        if !self.rest.is_empty() {
            return Err(MALFORMED);
        }
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err("selector finds nothing"),
            _ => Err("selector finds more than one node"),
        }
    }

    fn id(&mut self) -> Result<Option<&'s str>, &'static str> {
        if !self.take("id(") {
            return Ok(None);
        }
        let id = self.quoted()?;
        if self.take(")") { Ok(Some(id)) } else { Err(MALFORMED) }
    }

    fn quoted(&mut self) -> Result<&'s str, &'static str> {
        let quote = if self.take("'") {
            '\''
        } else if self.take("\"") {
            '"'
        } else {
            return Err(MALFORMED);
        };
        let (value, rest) = self.rest.split_once(quote).ok_or(MALFORMED)?;
        self.rest = rest;
        Ok(value)
    }

    /// A name; without a prefix an element is of the default namespace (RFC 5261 §4.2.1) and an attribute of none.
    fn name(&mut self, is_element: bool) -> Result<Name<'s>, &'static str> {
        let is_part = |c: char| c.is_alphanumeric() || "-._:\u{b7}".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if local.is_empty() || local.contains(':') {
            return Err(MALFORMED);
        }
        if prefix.is_empty() && !is_element {
            return Ok(("", local));
        }
        let namespace = self.scope.namespace_of(prefix).ok_or("prefix in a selector not declared")?;
        Ok((namespace, local))
    }

    fn position(&mut self) -> Result<Option<usize>, &'static str> {
        let Some(inside) = self.rest.strip_prefix('[') else { return Ok(None) };
        let (digits, rest) = inside.split_once(']').ok_or(MALFORMED)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        self.rest = rest;
        match digits.parse() {
            Ok(0) | Err(_) => Err("selector finds nothing"),
            Ok(position) => Ok(Some(position)),
        }
    }

    fn step(&mut self) -> Result<Step<'s>, &'static str> {
        let name = if self.take("*") { None } else { Some(self.name(true)?) };
        let mut predicates = Vec::new();
        while self.rest.starts_with('[') {
            if predicates.len() >= limits::PREDICATES_MAX {
                return Err(MALFORMED);
            }
            if let Some(position) = self.position()? {
                predicates.push(Predicate::Position(position));
                continue;
            }
            self.take("[");
            let (is_attribute, is_own) = (self.take("@"), self.take("."));
            let name = if is_own { ("", "") } else { self.name(!is_attribute)? };
            if !self.take("=") {
                return Err(MALFORMED);
            }
            let value = self.quoted()?;
            predicates.push(match (is_attribute, is_own) {
                (true, _) => Predicate::Attribute(name, value),
                (false, true) => Predicate::Own(value),
                (false, false) => Predicate::Child(name, value),
            });
            if !self.take("]") {
                return Err(MALFORMED);
            }
        }
        Ok(Step { name, predicates })
    }
}
