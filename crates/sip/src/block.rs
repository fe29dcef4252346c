//! Searches over sixteen bytes at a time, which every scan over a head is made of.
//!
//! In: bytes and a class of bytes, given as a function over a block. Out: the first position of the class. A class is
//! written once, and asked for whole blocks only: what is shorter is filled up, and what was filled up is cut off.
//! Not here: what the classes mean ([`crate::chars`], [`crate::uri`]).

use wide::{i8x16, u8x16};

/// Bytes in a block.
pub(crate) const WIDTH: usize = 16;

/// Which bytes of a block are in a class, the first in the lowest bit.
pub(crate) type Mask = u32;

/// All bytes of a block.
pub(crate) const ALL: Mask = 0xffff;

/// Sixteen bytes to be asked about; the answers are blocks again, with `0xff` for yes and 0 for no.
#[derive(Clone, Copy)]
pub(crate) struct Block(u8x16);

impl Block {
    #[inline(always)]
    pub(crate) fn new(bytes: [u8; WIDTH]) -> Self {
        Block(u8x16::new(bytes))
    }

    /// Bytes that are this one.
    #[inline(always)]
    pub(crate) fn is(self, byte: u8) -> Self {
        Block(self.0.simd_eq(u8x16::splat(byte)))
    }

    /// Bytes that are the same in the other block.
    #[inline(always)]
    pub(crate) fn same(self, other: Block) -> Self {
        Block(self.0.simd_eq(other.0))
    }

    /// Bytes from `low` to `high`.
    #[inline(always)]
    pub(crate) fn within(self, low: u8, high: u8) -> Self {
        let above = self.0 - u8x16::splat(low);
        Block(above.min(u8x16::splat(high - low)).simd_eq(above))
    }

    /// Bytes up to `high`.
    #[inline(always)]
    pub(crate) fn up_to(self, high: u8) -> Self {
        Block(self.0.min(u8x16::splat(high)).simd_eq(self.0))
    }

    /// Control characters, and everything beyond ASCII.
    #[inline(always)]
    pub(crate) fn unprintable(self) -> Self {
        let signed = self.0.cast_signed();
        Block((signed.simd_lt(i8x16::splat(0x20)) | signed.simd_eq(i8x16::splat(0x7f))).cast_unsigned())
    }

    /// Letters of either case.
    #[inline(always)]
    pub(crate) fn letters(self) -> Self {
        Block(self.0 | u8x16::splat(0x20)).within(b'a', b'z')
    }

    #[inline(always)]
    pub(crate) fn or(self, other: Block) -> Self {
        Block(self.0 | other.0)
    }

    #[inline(always)]
    pub(crate) fn mask(self) -> Mask {
        self.0.to_bitmask()
    }
}

/// The first position from `at` on whose byte is in the class; the length if there is none.
#[inline(always)]
pub(crate) fn find(bytes: &[u8], at: usize, class: impl Fn(Block) -> Mask) -> usize {
    let len = bytes.len();
    let Some(mut rest) = bytes.get(at..) else { return len };
    while let Some((block, behind)) = rest.split_first_chunk() {
        let mask = class(Block::new(*block));
        if mask != 0 {
            return len - rest.len() + mask.trailing_zeros() as usize;
        }
        rest = behind;
    }
    if rest.is_empty() { len } else { find_at_end(bytes, rest.len(), class) }
}

/// As [`find`] in the last `left` bytes, which are fewer than a block. Why apart: inlined, it slows the loop down.
#[inline(never)]
fn find_at_end(bytes: &[u8], left: usize, class: impl Fn(Block) -> Mask) -> usize {
    let at = bytes.len() - left;
    // Why: the last block of a longer text is read again rather than what is left byte by byte.
    let mask = match bytes.last_chunk() {
        Some(block) => class(Block::new(*block)) >> (WIDTH - left),
        None => class(Block::new(padded(bytes.get(at..).unwrap_or_default()))) & !(ALL << left),
    };
    if mask == 0 { bytes.len() } else { at + mask.trailing_zeros() as usize }
}

/// A block of fewer bytes, filled up with zeros.
#[inline]
fn padded(bytes: &[u8]) -> [u8; WIDTH] {
    // Why: two reads that overlap in the middle make up any length between one of them and both.
    let word = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        u128::from(u64::from_le_bytes(*first))
            | u128::from(u64::from_le_bytes(*last)) << (8 * (bytes.len() - 8))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let shifted = u64::from(u32::from_le_bytes(*last)) << (8 * (bytes.len() - 4));
        u128::from(u64::from(u32::from_le_bytes(*first)) | shifted)
    } else {
        bytes.iter().rev().fold(0, |word, &byte| word << 8 | u128::from(byte))
    };
    word.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_find_what_a_loop_finds(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), b'_'..=b'c', b'X'..=b'['], 0..70), from in 0..80_usize,
        ) {
            let first = |class: &dyn Fn(u8) -> bool| {
                bytes.iter().skip(from).position(|&b| class(b)).map_or(bytes.len(), |step| from + step)
            };
            prop_assert_eq!(find(&bytes, from, |b| b.is(b'a').mask()), first(&|b| b == b'a'));
            prop_assert_eq!(find(&bytes, from, |b| b.is(0).or(b.is(0xff)).mask()), first(&|b| b == 0 || b == 0xff));
            prop_assert_eq!(find(&bytes, from, |b| b.letters().mask()), first(&|b| b.is_ascii_alphabetic()));
            prop_assert_eq!(find(&bytes, from, |b| !b.letters().mask() & ALL), first(&|b| !b.is_ascii_alphabetic()));
            let printable = |b: u8| b == b' ' || b.is_ascii_graphic();
            prop_assert_eq!(find(&bytes, from, |b| b.unprintable().mask()), first(&|b| !printable(b)));
            prop_assert_eq!(find(&bytes, from, |b| b.within(b'X', b'`').mask()), first(&|b| (b'X'..=b'`').contains(&b)));
            prop_assert_eq!(find(&bytes, from, |b| b.up_to(0x1f).mask()), first(&|b| b <= 0x1f));
        }
    }
}
