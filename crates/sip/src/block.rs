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
        // One more makes 0x7f the lowest of the signed numbers, and keeps the order of the others.
        let signed = (self.0 + u8x16::splat(1)).cast_signed();
        Block(signed.simd_lt(i8x16::splat(0x21)).cast_unsigned())
    }

    /// The bytes with these bits cleared.
    #[inline(always)]
    pub(crate) fn without(self, bits: u8) -> Self {
        Block(self.0 & u8x16::splat(!bits))
    }

    /// Bytes of ASCII from `low` on.
    #[inline(always)]
    pub(crate) fn ascii_from(self, low: i8) -> Self {
        Block(self.0.cast_signed().simd_gt(i8x16::splat(low - 1)).cast_unsigned())
    }

    /// These but not those.
    #[inline(always)]
    pub(crate) fn but(self, other: Block) -> Self {
        Block(self.0 & !other.0)
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

/// As [`find`] in the bytes before `end` alone: those behind it are loaded with the block, and their answers cut off.
/// Why: most of what is read ends a little before the next thing to read, so that no block is too short.
#[inline(always)]
pub(crate) fn find_before(bytes: &[u8], at: usize, end: usize, class: impl Fn(Block) -> Mask) -> usize {
    // Why the first block apart: most searches end in it, and a loop makes ready for more.
    match bytes.get(at..).and_then(<[u8]>::first_chunk) {
        Some(block) if at < end => match class(Block::new(*block)) {
            0 if at + WIDTH >= end => end,
            0 => find_behind(bytes, at + WIDTH, end, class),
            mask => end.min(at + mask.trailing_zeros() as usize),
        },
        _ => find_behind(bytes, at, end, class),
    }
}

/// As [`find_before`], in any number of blocks.
#[inline(never)]
fn find_behind(bytes: &[u8], at: usize, end: usize, class: impl Fn(Block) -> Mask) -> usize {
    let Some(mut rest) = bytes.get(at..).filter(|_| at < end) else { return end };
    while let Some((block, behind)) = rest.split_first_chunk() {
        let mask = class(Block::new(*block));
        if mask != 0 {
            return end.min(bytes.len() - rest.len() + mask.trailing_zeros() as usize);
        }
        if bytes.len() - behind.len() >= end {
            return end;
        }
        rest = behind;
    }
    if rest.is_empty() { end } else { end.min(find_at_end(bytes, rest.len(), class)) }
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

/// The positions of a class in a text, in their order.
pub(crate) struct Marks<'a, C> {
    /// What is not looked at yet.
    rest: &'a [u8],
    /// Where the bits of `mask` begin.
    base: usize,
    /// Positions that are not given out yet.
    mask: u64,
    class: C,
}

/// Bytes that are asked about at once for [`Marks`]: as many as one word has bits.
const STRIDE: usize = 4 * WIDTH;

impl<'a, C: Fn(Block) -> Mask + Copy> Marks<'a, C> {
    #[inline(always)]
    pub(crate) fn new(bytes: &'a [u8], class: C) -> Self {
        let mut marks = Marks { rest: bytes, base: 0, mask: 0, class };
        marks.look();
        marks
    }

    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<usize> {
        while self.mask == 0 {
            self.base += STRIDE;
            self.rest = self.rest.get(STRIDE..).filter(|rest| !rest.is_empty())?;
            self.look();
        }
        let at = self.base + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        Some(at)
    }

    /// Leaves the next position out, unless it has to be looked for.
    #[inline(always)]
    pub(crate) fn pass(&mut self) {
        self.mask &= self.mask.wrapping_sub(1);
    }

    /// Asks about the next [`STRIDE`] bytes.
    #[inline(always)]
    fn look(&mut self) {
        self.mask = match self.rest.first_chunk() {
            Some(bytes) => ask(bytes, self.class),
            None => ask_short(self.rest, self.class),
        };
    }
}

#[inline(always)]
fn ask(bytes: &[u8; STRIDE], class: impl Fn(Block) -> Mask) -> u64 {
    let (blocks, _) = bytes.as_chunks();
    blocks.iter().rev().fold(0, |mask, block| mask << WIDTH | u64::from(class(Block::new(*block))))
}

/// As [`ask`] for fewer bytes. Why apart, and not of [`Marks`]: those are kept in registers as long as none points there.
#[inline(never)]
fn ask_short(short: &[u8], class: impl Fn(Block) -> Mask) -> u64 {
    let mut bytes = [0; STRIDE];
    let len = short.len().min(STRIDE);
    if let (Some(to), Some(from)) = (bytes.get_mut(..len), short.get(..len)) {
        to.copy_from_slice(from);
    }
    // Fewer than STRIDE: none of the bits that are kept is shifted out.
    ask(&bytes, class) & !(u64::MAX << len)
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
            prop_assert_eq!(find(&bytes, from, |b| b.without(2).is(b'a').mask()), first(&|b| b & !2 == b'a'));
            prop_assert_eq!(find(&bytes, from, |b| b.ascii_from(0x41).mask()), first(&|b| (0x41..0x80).contains(&b)));
            let upper = |b: Block| b.letters().but(b.ascii_from(0x61));
            prop_assert_eq!(find(&bytes, from, |b| upper(b).mask()), first(&|b| b.is_ascii_uppercase()));
        }

        #[test]
        fn what_is_behind_the_end_is_not_found(
            bytes in prop::collection::vec(b'`'..=b'h', 0..70), from in 0..80_usize, end in 0..80_usize,
        ) {
            let end = end.min(bytes.len());
            let class = |b: Block| b.is(b'a').mask();
            prop_assert_eq!(find_before(&bytes, from, end, class), find(&bytes[..end], from, class));
        }

        #[test]
        fn marks_are_all_that_a_loop_finds(bytes in prop::collection::vec(b'_'..=b'c', 0..200)) {
            let mut marks = Marks::new(&bytes, |b| b.is(b'a').mask());
            let found: Vec<_> = std::iter::from_fn(|| marks.next()).collect();
            let all: Vec<_> = (0..bytes.len()).filter(|&at| bytes[at] == b'a').collect();
            prop_assert_eq!(found, all);
        }
    }
}
