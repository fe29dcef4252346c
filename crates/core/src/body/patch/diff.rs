//! What changed between two trees, as patch operations (RFC 5261).
//!
//! In: an older and a newer tree. Out: the operations that make one of the other, as XML to stand in a document whose root
//! declares the namespaces; `None` where they cannot be said or are not worth it. Of selectors it uses names, `[@id='...']` and
//! `[n]`, so that any reader understands them.

use super::super::xml::is_name;
use super::super::xml::tree::{Child, Prefixes, Tree};
use crate::limits;

/// Changes, and the namespaces they name.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The declarations that the root of their document needs, but that of the prefix `p`.
    pub(crate) declarations: String,
    /// The operations, with the prefix `p` for their own names.
    pub(crate) xml: String,
}

/// What is in the one list and not the other, by place.
struct Pairing {
    /// For each of the older: its place among the newer.
    old_to_new: Vec<Option<usize>>,
}

/// The operations that turn `old` into `new`.
pub(crate) fn between(old: &Tree, new: &Tree, default: &str) -> Option<Changes> {
    let (mut prefixes, mut some_without) = (Prefixes::default(), false);
    prefixes.default = default.to_owned();
    old.collect(&mut prefixes, &mut some_without);
    new.collect(&mut prefixes, &mut some_without);
    let same_root =
        (&old.namespace, &old.name, &old.attributes) == (&new.namespace, &new.name, &new.attributes);
    // Why: below the default namespace there is no way to write an element that has none.
    if some_without || !same_root || prefixes.len() > limits::PATCH_NAMESPACES_MAX {
        return None;
    }
    let mut xml = String::new();
    children(old, new, "*", &prefixes, &mut xml)?;
    let mut declarations = String::new();
    prefixes.declare(&|at, _| xml.contains(&format!("n{at}:")), &mut declarations);
    Some(Changes { declarations, xml })
}

/// Operations for what is in `old` and `new`, which `path` selects.
fn children(old: &Tree, new: &Tree, path: &str, prefixes: &Prefixes, out: &mut String) -> Option<()> {
    if has_text(old) || has_text(new) {
        return None;
    }
    let mut work: Vec<&Tree> = old.elements().collect();
    let newer: Vec<&Tree> = new.elements().collect();
    let Pairing { old_to_new } = pair(&work, &newer)?;
    for at in (0..work.len()).rev().filter(|at| old_to_new.get(*at).is_some_and(Option::is_none)) {
        operation("remove", &step(path, &work, at, prefixes), "", None, prefixes, out);
        work.remove(at);
    }
    let paired: Vec<usize> = old_to_new.into_iter().flatten().collect();
    for (at, child) in newer.into_iter().enumerate() {
        if !paired.contains(&at) {
            let (place, pos) = match at {
                _ if at == work.len() => (path.to_owned(), ""),
                0 => (path.to_owned(), "prepend"),
                _ => (step(path, &work, at - 1, prefixes), "after"),
            };
            operation("add", &place, pos, Some(child), prefixes, out);
            work.insert(at, child);
            continue;
        }
        let before = *work.get(at)?;
        if before != child {
            change(before, child, &step(path, &work, at, prefixes), prefixes, out);
            *work.get_mut(at)? = child;
        }
    }
    Some(())
}

/// Operations for one element that is another now: for what changed in it, or for all of it where that is shorter.
fn change(old: &Tree, new: &Tree, path: &str, prefixes: &Prefixes, out: &mut String) {
    let mut whole = String::new();
    operation("replace", path, "", Some(new), prefixes, &mut whole);
    let mut parts = String::new();
    let in_parts =
        old.attributes == new.attributes && children(old, new, path, prefixes, &mut parts).is_some();
    out.push_str(if in_parts && parts.len() < whole.len() { &parts } else { &whole });
}

fn has_text(tree: &Tree) -> bool {
    tree.children.iter().any(|child| matches!(child, Child::Text(_)))
}

/// Which elements of two lists are the same, in the same order in both: as many equal ones as can be, then as many as can
/// be that only have the same name and id.
fn pair(old: &[&Tree], new: &[&Tree]) -> Option<Pairing> {
    let (rows, columns) = (old.len() + 1, new.len() + 1);
    if rows.checked_mul(columns)? > limits::PATCH_PAIRS_MAX {
        return None;
    }
    let worth = |a: &Tree, b: &Tree| {
        let same = (&a.namespace, &a.name, a.attr("", "id")) == (&b.namespace, &b.name, b.attr("", "id"));
        if a == b { 1024 } else { u32::from(same) }
    };
    // Worth of the best pairing of what follows in both lists.
    let mut best = vec![0_u32; rows * columns];
    let cell = |row: usize, column: usize| row * columns + column;
    let get = |best: &[u32], row, column| best.get(cell(row, column)).copied().unwrap_or(0);
    for (row, a) in old.iter().enumerate().rev() {
        for (column, b) in new.iter().enumerate().rev() {
            let pairs = match worth(a, b) {
                0 => 0,
                worth => worth + get(&best, row + 1, column + 1),
            };
            let value = pairs.max(get(&best, row + 1, column)).max(get(&best, row, column + 1));
            *best.get_mut(cell(row, column))? = value;
        }
    }
    let mut old_to_new = vec![None; old.len()];
    let (mut row, mut column) = (0, 0);
    while let Some((a, b)) = old.get(row).zip(new.get(column)) {
        let (here, worth) = (get(&best, row, column), worth(a, b));
        if worth > 0 && here == worth + get(&best, row + 1, column + 1) {
            *old_to_new.get_mut(row)? = Some(column);
            (row, column) = (row + 1, column + 1);
        } else if here == get(&best, row + 1, column) {
            row += 1;
        } else {
            column += 1;
        }
    }
    Some(Pairing { old_to_new })
}

/// The selector of the element at `at` among its siblings.
fn step(path: &str, siblings: &[&Tree], at: usize, prefixes: &Prefixes) -> String {
    let mut selector = format!("{path}/");
    let Some(element) = siblings.get(at) else { return selector };
    prefixes.write(&element.namespace, true, &mut selector);
    selector.push_str(&element.name);
    let same = |other: &&&Tree| (&other.namespace, &other.name) == (&element.namespace, &element.name);
    let id = element.attr("", "id").filter(|id| is_name(id));
    let is_unique =
        |id: &str| siblings.iter().filter(same).filter(|o| o.attr("", "id") == Some(id)).count() == 1;
    match id.filter(|id| is_unique(id)) {
        Some(id) => selector.push_str(&format!("[@id='{id}']")),
        None if siblings.iter().filter(same).count() > 1 => {
            let before = siblings.iter().take(at).filter(same).count();
            selector.push_str(&format!("[{}]", before + 1));
        }
        None => {}
    }
    selector
}

fn operation(
    name: &str,
    selector: &str,
    pos: &str,
    content: Option<&Tree>,
    prefixes: &Prefixes,
    out: &mut String,
) {
    // Why unescaped: a selector is made of names and numbers.
    out.push_str(&format!("<p:{name} sel=\"{selector}\""));
    if !pos.is_empty() {
        out.push_str(&format!(" pos=\"{pos}\""));
    }
    match content {
        Some(content) => {
            out.push('>');
            content.write(prefixes, false, out);
            out.push_str(&format!("</p:{name}>"));
        }
        None => out.push_str("/>"),
    }
}
