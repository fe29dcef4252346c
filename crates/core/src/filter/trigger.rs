//! When a watcher is told: the `<trigger>`s of a filter (RFC 4661 §3.6, RFC 4660 §5.3.2).
//!
//! In: the whole document the watcher was last sent something of, and the one of now. Out: whether what has happened between
//! them is what it waits for. An element is the same one in both where its `id`, or its place among its like, is.

use super::expression::{Path, number};
use super::select::{TooCostly, Tree};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One thing that may happen to a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Happening {
    /// A value changed: from this, to this, by at least so much, where given.
    Changed { path: Path, from: Option<String>, to: Option<String>, by: Option<String> },
    /// An element or attribute is there that was not.
    Added(Path),
    /// An element or attribute is gone.
    Removed(Path),
}

/// Things that all have to happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trigger {
    pub(super) all: Vec<Happening>,
}

impl Trigger {
    /// Whether all of it happened between two documents.
    pub(super) fn fires(&self, before: &Tree<'_>, now: &Tree<'_>) -> Result<bool, TooCostly> {
        for happening in &self.all {
            if !happening.happened(before, now)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Happening {
    fn happened(&self, before: &Tree<'_>, now: &Tree<'_>) -> Result<bool, TooCostly> {
        match self {
            // Why: the conditions of a path say which elements of now are meant; what those were before is another matter.
            Self::Added(path) => {
                let old = values(before, path, false)?;
                Ok(values(now, path, true)?.keys().any(|key| !old.contains_key(key)))
            }
            Self::Removed(path) => {
                let new = values(now, path, false)?;
                Ok(values(before, path, true)?.keys().any(|key| !new.contains_key(key)))
            }
            Self::Changed { path, from, to, by } => {
                let old = values(before, path, false)?;
                let new = values(now, path, true)?;
                let both = new.iter().filter_map(|(key, new)| Some((old.get(key)?, new)));
                let is = |value: &str, wanted: &Option<String>| {
                    wanted.as_ref().is_none_or(|wanted| is_same(value, wanted))
                };
                let far = |old: &str, new: &str| match by.as_deref().map(number) {
                    None => true,
                    Some(by) => {
                        let numbers = number(old).zip(number(new)).zip(by);
                        numbers.is_some_and(|((old, new), by)| (new - old).abs() >= by)
                    }
                };
                let mut changed = both.filter(|(old, new)| old != new);
                Ok(changed.any(|(old, new)| is(old, from) && is(new, to) && far(old, new)))
            }
        }
    }
}

/// Interop: RFC 4661's own example (§6.2) waits for `OPEN`, which PIDF writes `open`.
fn is_same(value: &str, wanted: &str) -> bool {
    let wanted = wanted.trim();
    value.eq_ignore_ascii_case(wanted) || number(value).zip(number(wanted)).is_some_and(|(a, b)| a == b)
}

/// The values a path means, by which element they are of.
fn values(tree: &Tree<'_>, path: &Path, conditions: bool) -> Result<BTreeMap<String, String>, TooCostly> {
    let found = tree.select(path, conditions)?;
    let value = |at: usize| match path.attribute {
        Some(_) => tree.value(at, path.attribute.as_ref()),
        None => Some(text_inside(tree, at)),
    };
    Ok(found.into_iter().filter_map(|at| Some((key(tree, at), value(at)?))).collect())
}

/// All that an element says: its text, or that of the elements in it.
fn text_inside(tree: &Tree<'_>, at: usize) -> String {
    let mut text = String::new();
    for inner in tree.inside(at) {
        if inner != at
            && let Some(element) = tree.elements.get(inner)
        {
            text.push('\n');
            text.push_str(element.name());
            text.push('\t');
        }
        text.push_str(&tree.value(inner, None).unwrap_or_default());
    }
    text
}

/// What names an element in every version of its document.
fn key(tree: &Tree<'_>, at: usize) -> String {
    let mut parts = Vec::new();
    let mut next = Some(at);
    while let Some(here) = next {
        let Some(element) = tree.elements.get(here) else { break };
        let parent = tree.parent(here);
        let like = |other: &usize| {
            tree.parent(*other) == parent
                && tree.elements.get(*other).is_some_and(|o| o.is(element.namespace(), element.name()))
        };
        let place = match element.attr("id") {
            Some(id) => format!("#{id}"),
            None => parent.map_or(0, |parent| (parent + 1..here).filter(like).count()).to_string(),
        };
        parts.push(format!("{}}}{} {place}", element.namespace(), element.name()));
        next = parent;
    }
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::xml::Document;

    fn presence(tuples: &str) -> String {
        format!("<presence xmlns='urn:p'>{tuples}</presence>")
    }

    fn tuple(id: &str, basic: &str, more: &str) -> String {
        format!("<tuple id='{id}'><status><basic>{basic}</basic></status>{more}</tuple>")
    }

    fn changed(path: &str, from: &str, to: &str, by: &str) -> Happening {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let path = Path::parse(path, &[]).unwrap();
        Happening::Changed { path, from: given(from), to: given(to), by: given(by) }
    }

    #[test]
    fn rfc4661_3_6_what_fires_a_trigger() {
        let closed = tuple("a", "closed", "");
        let open = tuple("a", "open", "");
        let number = |n: i32| tuple("a", "open", &format!("<n v='{n}'>{n}</n>"));
        let added = |path| Happening::Added(Path::parse(path, &[]).unwrap());
        let removed = |path| Happening::Removed(Path::parse(path, &[]).unwrap());
        let basic = "/presence/tuple/status/basic";
        let b = tuple("b", "open", "");
        for (happening, before, now, fires) in [
            (changed(basic, "", "", ""), &closed, &closed, false),
            (changed(basic, "", "", ""), &closed, &open, true),
            (changed(basic, "CLOSED", "OPEN", ""), &closed, &open, true),
            (changed(basic, "CLOSED", "OPEN", ""), &open, &closed, false),
            (changed(basic, "", "open", ""), &closed, &open, true),
            (changed(basic, "", "closed", ""), &closed, &open, false),
            (changed(basic, "open", "", ""), &open, &closed, true),
            // Another tuple is another element, whatever it says.
            (changed(basic, "", "", ""), &closed, &b, false),
            (changed("//tuple", "", "", ""), &closed, &open, true),
            (changed("//tuple[status/basic='open']", "", "", ""), &open, &closed, false),
            (changed("//n", "", "", "2"), &number(6), &number(7), false),
            (changed("//n", "", "", "2"), &number(6), &number(8), true),
            (changed("//n", "", "", "2"), &number(6), &number(4), true),
            (changed("//n/@v", "6", "", "2"), &number(6), &number(9), true),
            (changed("//n/@v", "5", "", "2"), &number(6), &number(9), false),
            (changed("//n", "", "", "2"), &number(6), &tuple("a", "open", "<n>x</n>"), false),
            (added("//tuple"), &closed, &open, false),
            (added("//tuple"), &closed, &b, true),
            (added("//tuple[status/basic='closed']"), &closed, &b, false),
            (added("//tuple[status/basic='open']"), &closed, &open, false),
            (removed("//tuple"), &closed, &b, true),
            (removed("//n"), &number(1), &open, true),
            (removed("//n/@v"), &number(1), &tuple("a", "open", "<n>1</n>"), true),
            (removed("//n"), &open, &number(1), false),
        ] {
            let texts = [presence(before), presence(now)];
            let documents = texts.each_ref().map(|text| Document::parse(text.as_bytes()).unwrap());
            let trees = documents.each_ref().map(Tree::new);
            let trigger = Trigger { all: vec![happening] };
            assert_eq!(trigger.fires(&trees[0], &trees[1]), Ok(fires), "{trigger:?} {before} {now}");
        }
    }

    #[test]
    fn all_of_a_trigger_has_to_happen() {
        let texts = [presence(&tuple("a", "closed", "")), presence(&tuple("a", "open", ""))];
        let documents = texts.each_ref().map(|text| Document::parse(text.as_bytes()).unwrap());
        let trees = documents.each_ref().map(Tree::new);
        let happens = changed("//basic", "", "open", "");
        let not = Happening::Added(Path::parse("//note", &[]).unwrap());
        for (all, fires) in [(vec![happens.clone()], true), (vec![happens, not], false)] {
            assert_eq!(Trigger { all }.fires(&trees[0], &trees[1]), Ok(fires));
        }
    }
}
