//! XML patch operations (RFC 5261) on presence documents: applying those of others and finding our own.
//!
//! In: a tree and a document of `<add>`, `<replace>` and `<remove>`; or two trees. Out: the patched tree; or the operations
//! between the two. Operations on comments, processing instructions and white space have nothing to work on here, and
//! prefixes are no part of a tree, so declaring one changes nothing.

pub(crate) mod diff;
mod selector;
#[cfg(test)]
mod tests;

use super::BodyError;
use super::xml::tree::{Child, Tree, TreeAttribute};
use super::xml::{Document, Element, Node, is_name};
use crate::limits;
use selector::{Found, Path, at, find};

/// Applies every operation of namespace `namespace` in `patch`, in order, to `tree`.
///
/// # Errors
/// 400 with the place of the first operation that cannot be done; the tree is then of no use any more.
pub(crate) fn apply(tree: &mut Tree, patch: &Document<'_>, namespace: &str) -> Result<(), BodyError> {
    for (count, operation) in patch.root().children().enumerate() {
        let done = match operation.name() {
            _ if operation.namespace() != namespace => Err("not a patch operation"),
            _ if count >= limits::PATCH_OPERATIONS_MAX => Err("too many patch operations"),
            "add" => add(tree, operation),
            "replace" => replace(tree, operation),
            "remove" => remove(tree, operation),
            _ => Err("not a patch operation"),
        };
        done.map_err(|reason| patch.error(operation, reason))?;
    }
    Ok(())
}

fn selected<'p>(tree: &Tree, operation: Element<'p>) -> Result<Found<'p>, &'static str> {
    find(tree, operation.attr("sel").ok_or("patch operation without sel")?, operation)
}

fn add(tree: &mut Tree, operation: Element<'_>) -> Result<(), &'static str> {
    let found = selected(tree, operation)?;
    if let Some(kind) = operation.attr("type") {
        let Found::Element(path) = found else { return Err("attribute added to no element") };
        if kind.starts_with("namespace::") {
            return Ok(());
        }
        let name = kind.strip_prefix('@').ok_or("type of addition not known")?;
        return add_attribute(tree, &path, name, operation);
    }
    let content = content(operation);
    let pos = operation.attr("pos");
    let (path, index) = match (found, pos) {
        (Found::Element(path), None) => {
            let end = at(tree, &path).map_or(0, |element| element.children.len());
            (path, end)
        }
        (Found::Element(path), Some("prepend")) => (path, 0),
        (Found::Element(path), Some(side)) => {
            let (parent, own) = split(path)?;
            (parent, beside(own, side)?)
        }
        (Found::Text(path, own), Some(side)) => (path, beside(own, side)?),
        _ => return Err("addition has no place there"),
    };
    insert(tree, &path, index, content)
}

fn beside(own: usize, side: &str) -> Result<usize, &'static str> {
    match side {
        "before" => Ok(own),
        "after" => Ok(own + 1),
        _ => Err("pos of addition not known"),
    }
}

fn add_attribute(
    tree: &mut Tree,
    path: &Path,
    name: &str,
    operation: Element<'_>,
) -> Result<(), &'static str> {
    let (prefix, local) = name.split_once(':').unwrap_or(("", name));
    let namespace = if prefix.is_empty() { Some("") } else { operation.namespace_of(prefix) };
    let namespace = namespace.ok_or("prefix in a type not declared")?;
    if !is_name(local) {
        return Err("name of attribute not well-formed");
    }
    let element = at_mut(tree, path).ok_or("selector finds nothing")?;
    if element.attr(namespace, local).is_some() {
        return Err("attribute added twice");
    }
    if element.attributes.len() >= limits::XML_ATTRIBUTES_PER_ELEMENT_MAX {
        return Err("too many attributes");
    }
    let value = operation.text().into();
    element.attributes.push(TreeAttribute { namespace: namespace.into(), name: local.into(), value });
    Ok(())
}

fn replace(tree: &mut Tree, operation: Element<'_>) -> Result<(), &'static str> {
    match selected(tree, operation)? {
        Found::Element(path) => {
            let content = content(operation);
            if !matches!(content.as_slice(), [Child::Element(_)]) {
                return Err("an element is replaced by one element");
            }
            let (parent, own) = split(path)?;
            take(tree, &parent, own)?;
            insert(tree, &parent, own, content)
        }
        Found::Attribute(path, (namespace, name)) => {
            let element = at_mut(tree, &path).ok_or("selector finds nothing")?;
            let mut attributes = element.attributes.iter_mut();
            if let Some(attribute) = attributes.find(|a| &*a.name == name && &*a.namespace == namespace) {
                attribute.value = operation.text().into();
            }
            Ok(())
        }
        Found::Text(path, own) => {
            take(tree, &path, own)?;
            let text = operation.text();
            let content = if text.is_empty() { Vec::new() } else { vec![Child::Text(text.into())] };
            insert(tree, &path, own, content)
        }
    }
}

fn remove(tree: &mut Tree, operation: Element<'_>) -> Result<(), &'static str> {
    match selected(tree, operation)? {
        Found::Element(path) => {
            let (parent, own) = split(path)?;
            take(tree, &parent, own)?;
            insert(tree, &parent, own, Vec::new())
        }
        Found::Attribute(path, (namespace, name)) => {
            let element = at_mut(tree, &path).ok_or("selector finds nothing")?;
            element.attributes.retain(|a| &*a.name != name || &*a.namespace != namespace);
            Ok(())
        }
        Found::Text(path, own) => take(tree, &path, own),
    }
}

/// What stands in an operation.
fn content(operation: Element<'_>) -> Vec<Child> {
    let nodes = operation.nodes().map(|node| match node {
        Node::Element(element) => Child::Element(Tree::of(element)),
        Node::Text(text) => Child::Text(text.into()),
    });
    nodes.collect()
}

/// The parent's place and the place in it.
fn split(mut path: Path) -> Result<(Path, usize), &'static str> {
    let own = path.pop().ok_or("the root element can only be added to")?;
    Ok((path, own))
}

fn at_mut<'t>(tree: &'t mut Tree, path: &[usize]) -> Option<&'t mut Tree> {
    path.iter().try_fold(tree, |element, index| match element.children.get_mut(*index)? {
        Child::Element(child) => Some(child),
        Child::Text(_) => None,
    })
}

fn take(tree: &mut Tree, path: &Path, own: usize) -> Result<(), &'static str> {
    let parent = at_mut(tree, path).ok_or("selector finds nothing")?;
    if own < parent.children.len() {
        parent.children.remove(own);
    }
    Ok(())
}

/// Puts `content` at `index` of the element at `path`; texts that become neighbours become one (RFC 5261 §4.3.5).
fn insert(tree: &mut Tree, path: &Path, index: usize, content: Vec<Child>) -> Result<(), &'static str> {
    let deepest = content.iter().map(|child| match child {
        Child::Element(element) => element.depth(),
        Child::Text(_) => 0,
    });
    if path.len() + 1 + deepest.max().unwrap_or(0) > limits::XML_DEPTH_MAX {
        return Err("elements nested too deep");
    }
    let parent = at_mut(tree, path).ok_or("selector finds nothing")?;
    let index = index.min(parent.children.len());
    parent.children.splice(index..index, content);
    let mut merged: Vec<Child> = Vec::with_capacity(parent.children.len());
    for child in parent.children.drain(..) {
        match (merged.last_mut(), child) {
            (Some(Child::Text(before)), Child::Text(text)) => *before = format!("{before}{text}").into(),
            (_, child) => merged.push(child),
        }
    }
    parent.children = merged;
    Ok(())
}
