//! The bytes of a message, and the same as text where they are UTF-8: then no piece of them needs a check of its own.
//!
//! In: a datagram or a framed message. Out: pieces by offset. Not here: where the pieces are ([`super::scan`]).

use bytes::Bytes;
use bytestring::ByteString;

use super::lines::offset;
use super::{Range, Span};
use crate::field::Field;

/// What came in.
#[derive(Clone, Debug)]
pub(super) enum Store {
    /// All of it is UTF-8.
    Text(ByteString),
    /// Somewhere in it is something else, such as in a binary body.
    Bytes(Bytes),
}

impl Store {
    /// The first `ascii` bytes are known to be ASCII.
    #[inline]
    pub(super) fn new(bytes: Bytes, ascii: usize) -> Self {
        // Why: the conversion does not give back what it refuses, and a copy of the handle may allocate.
        if bytes.get(ascii..).is_some_and(<[u8]>::is_ascii) || std::str::from_utf8(&bytes).is_ok() {
            Store::Text(ByteString::try_from(bytes).unwrap_or_default())
        } else {
            Store::Bytes(bytes)
        }
    }

    #[inline]
    pub(super) fn raw(&self) -> &Bytes {
        match self {
            Store::Text(text) => text.as_bytes(),
            Store::Bytes(bytes) => bytes,
        }
    }

    #[inline]
    pub(super) fn slice(&self, range: Range) -> &[u8] {
        self.raw().get(usize::from(range.0)..usize::from(range.1)).unwrap_or_default()
    }

    /// The piece as text; `None` if it is not UTF-8.
    #[inline]
    pub(super) fn text(&self, range: Range) -> Option<&str> {
        match self {
            Store::Text(text) => text.get(usize::from(range.0)..usize::from(range.1)),
            Store::Bytes(_) => std::str::from_utf8(self.slice(range)).ok(),
        }
    }

    /// A header's value.
    #[inline]
    pub(super) fn value(&self, span: &Span) -> Option<&str> {
        self.text((span.value, span.end))
    }

    /// A header's value, to be read where it stands; `None` if it is not UTF-8.
    #[inline]
    pub(super) fn field(&self, span: &Span) -> Option<Field<'_>> {
        if let Store::Bytes(_) = self {
            self.value(span)?;
        }
        Some(Field::within(self.raw(), span.value.into(), span.end.into()))
    }

    /// A header's value as bytes.
    #[inline]
    pub(super) fn value_bytes(&self, span: &Span) -> &[u8] {
        self.slice((span.value, span.end))
    }

    /// Where a piece of the head is.
    #[inline]
    pub(super) fn range_of(&self, part: &str) -> Range {
        let start = (part.as_ptr() as usize).wrapping_sub(self.raw().as_ptr() as usize);
        if part.is_empty() || start > self.raw().len() {
            return (0, 0);
        }
        (offset(start), offset(start + part.len()))
    }
}
