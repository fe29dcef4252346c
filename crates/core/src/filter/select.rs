//! Which elements of a document an expression means.
//!
//! In: a parsed document and a [`Path`]. Out: the elements, by their place in document order. One pass over the document per
//! path; what conditions cost beyond that is counted, and there is an end to it.

use super::expression::{Comparison, Name, Operator, Path, Step, Test, number};
use crate::body::xml::{Document, Element};
use crate::limits;
use std::cell::Cell;

/// Evaluating costs too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooCostly;

/// The elements of a document in the order they stand.
pub(super) struct Tree<'d> {
    pub(super) elements: Vec<Element<'d>>,
    /// The element each stands in; its own place for the root.
    pub(super) parents: Vec<usize>,
    /// The place after the last element inside each.
    pub(super) ends: Vec<usize>,
    left: Cell<usize>,
}

impl<'d> Tree<'d> {
    /// The elements of `document`.
    pub(super) fn new(document: &'d Document<'d>) -> Self {
        let mut tree = Self {
            elements: Vec::new(),
            parents: Vec::new(),
            ends: Vec::new(),
            left: Cell::new(limits::FILTER_COST_MAX),
        };
        tree.add(document.root(), 0);
        tree
    }

    // Invariant: the depth of a parsed document is bounded, so the recursion here is.
    fn add(&mut self, element: Element<'d>, parent: usize) {
        let at = self.elements.len();
        self.elements.push(element);
        self.parents.push(parent);
        self.ends.push(at + 1);
        for child in element.children() {
            self.add(child, at);
        }
        let end = self.elements.len();
        if let Some(own) = self.ends.get_mut(at) {
            *own = end;
        }
    }

    /// What stands in an element, itself first.
    pub(super) fn inside(&self, at: usize) -> std::ops::Range<usize> {
        at..self.ends.get(at).copied().unwrap_or(at)
    }

    pub(super) fn parent(&self, at: usize) -> Option<usize> {
        self.parents.get(at).copied().filter(|parent| *parent != at)
    }

    fn pay(&self, cost: usize) -> Result<(), TooCostly> {
        self.left.set(self.left.get().checked_sub(cost).ok_or(TooCostly)?);
        Ok(())
    }

    /// The elements that a path means; those with its attribute where it means one. Without `conditions` the ones it has
    /// are not looked at.
    pub(super) fn select(&self, path: &Path, conditions: bool) -> Result<Vec<usize>, TooCostly> {
        self.pay(self.elements.len() * path.steps.len())?;
        let last = path.steps.len().saturating_sub(1);
        let mut found = Vec::new();
        // For each element which steps end at it, and which at an element around it.
        let mut ends_here = vec![0_u32; self.elements.len()];
        let mut ends_above = vec![0_u32; self.elements.len()];
        for (at, element) in self.elements.iter().enumerate() {
            let parent = self.parent(at);
            let of_parent = |masks: &[u32]| parent.and_then(|p| masks.get(p)).copied().unwrap_or(0);
            let (direct, above) = (of_parent(&ends_here), of_parent(&ends_here) | of_parent(&ends_above));
            let mut here = 0;
            for (index, step) in path.steps.iter().enumerate() {
                let comes = match (index, step.deep) {
                    (0, deep) => deep || parent.is_none(),
                    (_, true) => above >> (index - 1) & 1 == 1,
                    (_, false) => direct >> (index - 1) & 1 == 1,
                };
                if comes && self.is(*element, &step.test) && (!conditions || self.holds(at, step)?) {
                    here |= 1 << index;
                }
            }
            for (masks, mask) in [(&mut ends_here, here), (&mut ends_above, above)] {
                if let Some(own) = masks.get_mut(at) {
                    *own = mask;
                }
            }
            let has = path.attribute.as_ref().is_none_or(|name| self.attribute(*element, name).is_some());
            if here >> last & 1 == 1 && has {
                found.push(at);
            }
        }
        Ok(found)
    }

    /// The value a path means at an element: its attribute, or the text in it.
    pub(super) fn value(&self, at: usize, attribute: Option<&Name>) -> Option<String> {
        let element = *self.elements.get(at)?;
        match attribute {
            Some(name) => self.attribute(element, name).map(str::to_owned),
            None => Some(element.trimmed().into_owned()),
        }
    }

    fn attribute(&self, element: Element<'d>, name: &Name) -> Option<&'d str> {
        element.attr_of(name.namespace.as_deref().unwrap_or(""), &name.local)
    }

    fn is(&self, element: Element<'_>, test: &Test) -> bool {
        match test {
            Test::Any => true,
            Test::Name(name) => {
                let root = self.elements.first().map_or("", |root| root.namespace());
                element.is(name.namespace.as_deref().unwrap_or(root), &name.local)
            }
        }
    }

    fn holds(&self, at: usize, step: &Step) -> Result<bool, TooCostly> {
        let mut any = step.conditions.is_empty();
        for all in &step.conditions {
            let mut every = true;
            for comparison in all {
                every = every && self.compares(at, comparison)?;
            }
            any |= every;
        }
        Ok(any)
    }

    fn compares(&self, at: usize, comparison: &Comparison) -> Result<bool, TooCostly> {
        let start = if comparison.up { self.parent(at) } else { Some(at) };
        let mut reached: Vec<usize> = start.into_iter().collect();
        for step in &comparison.steps {
            let mut next = Vec::new();
            for from in reached {
                let inside = self.inside(from);
                self.pay(inside.len())?;
                let steps = inside.skip(1).filter(|to| step.deep || self.parent(*to) == Some(from));
                let fits = |to: &usize| self.elements.get(*to).is_some_and(|e| self.is(*e, &step.test));
                next.extend(steps.filter(fits));
            }
            reached = next;
        }
        self.pay(reached.len())?;
        let values = reached.iter().filter_map(|at| self.value(*at, comparison.attribute.as_ref()));
        let wanted = number(&comparison.value);
        let fits = |value: String| match (comparison.operator, number(&value).zip(wanted)) {
            (Operator::Equal, Some((value, wanted))) => value == wanted,
            (Operator::Equal, None) => value == comparison.value,
            (Operator::Less, numbers) => numbers.is_some_and(|(value, wanted)| value < wanted),
            (Operator::Greater, numbers) => numbers.is_some_and(|(value, wanted)| value > wanted),
        };
        Ok(values.into_iter().any(fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "<presence xmlns='urn:p' xmlns:r='urn:r' entity='sip:a@b'>\
        <tuple id='t1'><status><basic>closed</basic></status><r:class>IM</r:class></tuple>\
        <tuple id='t2'><status><basic>open</basic></status><r:class>voice</r:class><contact priority='0.5'>tel:1</contact>\
        </tuple><note>x</note></presence>";

    #[test]
    fn rfc4661_5_what_an_expression_means() {
        let document = Document::parse(DOCUMENT.as_bytes()).unwrap();
        let tree = Tree::new(&document);
        for (text, means) in [
            ("/presence", "presence"),
            ("/p:presence/p:tuple", "tuple#t1 tuple#t2"),
            ("/tuple", ""),
            ("//tuple/status/basic", "basic basic"),
            ("//tuple[@id='t2']/status/basic", "basic"),
            ("/*/*", "tuple#t1 tuple#t2 note"),
            ("//r:class", "class class"),
            ("//class", ""),
            ("//*[status/basic=\"open\"]", "tuple#t2"),
            ("/presence/tuple[*/basic=\"open\"]", "tuple#t2"),
            ("//tuple[status/basic=\"open\" and r:class=\"IM\"]", ""),
            ("//tuple[status/basic=\"open\" or r:class=\"IM\"]", "tuple#t1 tuple#t2"),
            ("//tuple[r:class='IM' or r:class='voice' and status/basic='closed']", "tuple#t1"),
            ("//contact[@priority<0.6]", "contact"),
            ("//contact[@priority>0.5]", ""),
            ("//contact[@priority=0.50]", "contact"),
            ("//basic[.='open']", "basic"),
            ("//status[../r:class='voice']/basic", "basic"),
            ("/presence[.//basic='open']/note", "note"),
            ("//@id", "tuple#t1 tuple#t2"),
            ("//contact/@priority", "contact"),
            ("/presence/@id", ""),
            ("/presence[..='x']", ""),
        ] {
            let path = Path::parse(text, &[("p", "urn:p"), ("r", "urn:r")]).unwrap();
            let found = tree.select(&path, true).unwrap();
            let names = found.iter().map(|at| {
                let element = tree.elements[*at];
                element
                    .attr("id")
                    .map_or_else(|| element.name().to_owned(), |id| format!("{}#{id}", element.name()))
            });
            assert_eq!(names.collect::<Vec<_>>().join(" "), means, "{text}");
        }
    }

    #[test]
    fn what_costs_too_much_ends() {
        let many = format!("<a>{}</a>", "<b>1</b>".repeat(2000));
        let document = Document::parse(many.as_bytes()).unwrap();
        let path = Path::parse("//*[..//*//*='2' or ..//b='3' or ..//b='4']", &[]).unwrap();
        assert_eq!(Tree::new(&document).select(&path, true), Err(TooCostly));
    }
}
