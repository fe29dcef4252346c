//! A header's value within the text around it, read by offsets of that text.
//!
//! In: the bytes of a head, or of a value alone, and where the value is. Out: positions in them, none behind the
//! value. Why not the value alone: what is behind it fills the last block of a search ([`crate::block`]). Not here:
//! what values mean.

use crate::block::{Block, Mask, find_before};
use crate::chars::{is_lws, no_token, skip_lws};

/// Offsets of a piece: its first byte, and the one behind it.
pub(crate) type Piece = (usize, usize);

/// The bytes from `start` to `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    /// The value and what is before it.
    bytes: &'a [u8],
    start: usize,
    /// The same, with what is behind it.
    whole: &'a [u8],
}

impl<'a> Field<'a> {
    /// A value on its own.
    #[inline]
    pub(crate) fn all(text: &'a str) -> Self {
        Field { bytes: text.as_bytes(), start: 0, whole: text.as_bytes() }
    }

    /// A value in a head.
    #[inline]
    pub(crate) fn within(whole: &'a [u8], start: usize, end: usize) -> Self {
        Field { bytes: whole.get(..end).unwrap_or(whole), start, whole }
    }

    #[inline]
    pub(crate) fn start(self) -> usize {
        self.start
    }

    #[inline]
    pub(crate) fn end(self) -> usize {
        self.bytes.len()
    }

    /// The bytes up to the end of the value, for what is read byte by byte.
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The byte at this offset of the whole text, if the value goes that far.
    #[inline(always)]
    pub(crate) fn byte(self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// True if these bytes are at this offset.
    #[inline(always)]
    pub(crate) fn has<const N: usize>(self, at: usize, text: &[u8; N]) -> bool {
        self.bytes.get(at..).and_then(<[u8]>::first_chunk) == Some(text)
    }

    /// The first position from `at` on whose byte is in the class; the end if there is none.
    #[inline(always)]
    pub(crate) fn find(self, at: usize, class: impl Fn(Block) -> Mask) -> usize {
        find_before(self.whole, at, self.bytes.len(), class)
    }

    /// Where the characters of `token` that start at `at` end.
    #[inline(always)]
    pub(crate) fn token_end(self, at: usize) -> usize {
        self.find(at, no_token)
    }

    /// The first position from `at` on that is no white space.
    #[inline(always)]
    pub(crate) fn skip_lws(self, at: usize) -> usize {
        // Why: nearly always there is none.
        if self.byte(at).is_some_and(is_lws) { skip_lws(self.bytes(), at) } else { at }
    }

    /// The piece without white space at both ends.
    #[inline(always)]
    pub(crate) fn trim(self, (start, mut end): Piece) -> Piece {
        let start = self.skip_lws(start).min(end);
        while end > start && self.byte(end - 1).is_some_and(is_lws) {
            end -= 1;
        }
        (start, end)
    }
}
