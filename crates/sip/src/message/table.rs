//! The header lines of a message in their order, and the first of each name without a search.
//!
//! In: spans as the scan finds them. Out: spans by name. Not here: what they hold.

use smallvec::SmallVec;

use super::Span;
use crate::name::Name;

/// No line of this name.
const NONE: u8 = u8::MAX;
/// The first line of this name is this one or comes behind it.
const LAST: u8 = NONE - 1;

#[derive(Clone, Debug)]
pub(super) struct Table {
    spans: SmallVec<[Span; 24]>,
    /// Where the first line of each known name is.
    first: [u8; Name::COUNT],
    /// True if there are two lines of one known name.
    repeats: bool,
}

impl Table {
    #[inline]
    pub(super) fn new() -> Self {
        Table { spans: SmallVec::new(), first: [NONE; Name::COUNT], repeats: false }
    }

    #[inline]
    pub(super) fn push(&mut self, span: Span) {
        if let Some(first) = span.name.and_then(|name| self.first.get_mut(name as usize)) {
            if *first == NONE {
                *first = u8::try_from(self.spans.len().min(usize::from(LAST))).unwrap_or(LAST);
            } else {
                self.repeats = true;
            }
        }
        self.spans.push(span);
    }

    #[inline]
    pub(super) fn lines(&self) -> &[Span] {
        &self.spans
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
            LAST => self.all(name).next(),
            first => self.spans.get(usize::from(first)),
        }
    }

    /// The lines of this name in their order.
    #[inline]
    pub(super) fn all(&self, name: Name) -> impl Iterator<Item = &Span> {
        let first = self.first.get(name as usize).copied().unwrap_or(NONE);
        let from = usize::from(first);
        let lines = match first {
            NONE => None,
            // Why: where no name comes twice, what is behind the first need not be looked at.
            _ if first != LAST && !self.repeats => self.spans.get(from..=from),
            _ => self.spans.get(from..),
        };
        lines.unwrap_or_default().iter().filter(move |span| span.name == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_beyond_what_one_byte_counts() {
        let mut table = Table::new();
        let span = |at: u16, name| Span { start: at, name_end: at, value: at, end: at, name };
        for at in 0..300 {
            table.push(span(at, (at == 1 || at == 299).then_some(Name::To)));
        }
        table.push(span(300, Some(Name::From)));
        let found = |name| table.all(name).map(|span| span.start).collect::<Vec<_>>();
        assert_eq!((found(Name::To), found(Name::From), found(Name::Via)), (vec![1, 299], vec![300], vec![]));
        let first = |name| table.first(name).map(|span| span.start);
        assert_eq!((first(Name::To), first(Name::From), first(Name::Via)), (Some(1), Some(300), None));
    }
}
