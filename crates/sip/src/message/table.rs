//! The header lines of a message in their order, and the first of each name without a search.
//!
//! In: spans as the scan finds them. Out: spans by name. Not here: what they hold.

use super::Span;
use crate::name::Name;

/// How many lines are kept in the message itself; most have fewer.
const NEAR: usize = 24;
/// No line of this name.
const NONE: u8 = u8::MAX;
/// The first line of this name is not among the first [`NEAR`].
const FAR: u8 = NONE - 1;

#[derive(Clone, Debug)]
pub(super) struct Table {
    near: [Span; NEAR],
    /// How many of `near` there are.
    count: u8,
    /// True if there are two lines of one known name.
    repeats: bool,
    /// Where the first line of each known name is.
    first: [u8; Name::COUNT],
    /// The lines behind them.
    far: Vec<Span>,
}

impl Table {
    #[inline(always)]
    pub(super) fn new() -> Self {
        const NO_SPAN: Span = Span { start: 0, value: 0, end: 0, name: None };
        Table { near: [NO_SPAN; NEAR], count: 0, repeats: false, first: [NONE; Name::COUNT], far: Vec::new() }
    }

    /// Adds a line of a known name.
    #[inline(always)]
    pub(super) fn push_known(&mut self, name: Name, start: u16, value: u16, end: u16) {
        let place = self.near.get_mut(usize::from(self.count));
        if let (Some(place), Some(first)) = (place, self.first.get_mut(name as usize)) {
            place.start = start;
            place.value = value;
            place.end = end;
            place.name = Some(name);
            if *first == NONE {
                *first = self.count;
            } else {
                self.repeats = true;
            }
            self.count += 1;
        } else {
            self.push(Span { start, value, end, name: Some(name) });
        }
    }

    /// Adds a line.
    #[inline(never)]
    pub(super) fn push(&mut self, span: Span) {
        let count = self.count;
        let near = self.near.get_mut(usize::from(count));
        let place = if near.is_some() { count } else { FAR };
        if let Some(first) = span.name.and_then(|name| self.first.get_mut(name as usize)) {
            if *first == NONE {
                *first = place;
            } else {
                self.repeats = true;
            }
        }
        match near {
            Some(near) => {
                *near = span;
                self.count += 1;
            }
            None => self.far.push(span),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All lines.
    #[inline]
    pub(super) fn lines(&self) -> impl Iterator<Item = &Span> {
        self.near.get(..usize::from(self.count)).unwrap_or_default().iter().chain(&self.far)
    }

    /// True if two lines have one known name.
    #[inline]
    pub(super) fn repeats(&self) -> bool {
        self.repeats
    }

    #[inline]
    pub(super) fn first(&self, name: Name) -> Option<&Span> {
        match *self.first.get(name as usize)? {
            NONE => None,
            FAR => self.all(name).next(),
            first => self.near.get(usize::from(first)),
        }
    }

    /// The line of this name, if there is only one.
    #[inline]
    pub(super) fn lone(&self, name: Name) -> Option<&Span> {
        self.first(name).filter(|_| !self.repeats || self.all(name).nth(1).is_none())
    }

    /// The lines of this name in their order.
    #[inline]
    pub(super) fn all(&self, name: Name) -> impl Iterator<Item = &Span> {
        let first = self.first.get(name as usize).copied().unwrap_or(NONE);
        let from = usize::from(first);
        let near = match first {
            NONE | FAR => None,
            // Why: where no name comes twice, what is behind the first need not be looked at.
            _ if !self.repeats => self.near.get(from..=from),
            _ => self.near.get(from..usize::from(self.count)),
        };
        let far = (first == FAR || self.repeats).then_some(&self.far);
        let lines = near.unwrap_or_default().iter().chain(far.into_iter().flatten());
        lines.filter(move |span| span.name == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_wherever_they_are() {
        let mut table = Table::new();
        let span = |at: u16, name| Span { start: at, value: at, end: at, name };
        for at in 0..300 {
            table.push(span(at, (at == 1 || at == 299).then_some(Name::To)));
        }
        table.push(span(300, Some(Name::From)));
        let found = |name| table.all(name).map(|span| span.start).collect::<Vec<_>>();
        assert_eq!((found(Name::To), found(Name::From), found(Name::Via)), (vec![1, 299], vec![300], vec![]));
        let first = |name| table.first(name).map(|span| span.start);
        assert!(table.lone(Name::To).is_none() && table.lone(Name::From).is_some());
        assert_eq!((first(Name::To), first(Name::From), first(Name::Via)), (Some(1), Some(300), None));
    }
}
