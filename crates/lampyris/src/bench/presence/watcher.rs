//! One simulated watcher, and whether the NOTIFYs it gets come as they must.

use std::num::NonZeroU64;

/// How far a subscription is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its first SUBSCRIBE has not come to an end.
    #[default]
    New,
    Active,
    /// Its last SUBSCRIBE is under way.
    Ending,
    Over,
}

/// A watcher; kept small, as there may be a million.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    pub(crate) presentity: u32,
    pub(crate) flow: u32,
    pub(crate) cseq: u32,
    /// The server's tag.
    pub(crate) tag: Box<[u8]>,
    /// Where requests in the dialog go: a number of [`Targets`].
    pub(crate) target: u32,
    pub(crate) notifies: Sequence,
    /// The newest change it was told of.
    pub(crate) version: u32,
    /// The change it is to be told of; 0 where none.
    pub(crate) awaits: u32,
    /// NOTIFYs that its SUBSCRIBEs ask for (RFC 6665 §4.2.1.2).
    pub(crate) due: u8,
    /// NOTIFYs that may still come because one before did for two.
    pub(crate) credit: u8,
    pub(crate) phase: Phase,
    /// The SUBSCRIBE under way, by its number plus one.
    pub(crate) request: Option<NonZeroU64>,
}

/// The CSeq numbers of the NOTIFYs of one dialog (RFC 3261 §12.2.1.1: each is one more than that before).
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    highest: u32,
    /// Bit n: that `highest - n` was seen.
    seen: u64,
}

/// What a number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Higher than all before, by that many too many.
    New { gap: u32 },
    /// Lower than one before, and not seen.
    Late,
    /// Seen before.
    Again,
}

impl Sequence {
    /// Takes note of a number.
    pub(crate) fn see(&mut self, number: u32) -> Order {
        if self.seen == 0 {
            (self.highest, self.seen) = (number, 1);
            return Order::New { gap: 0 };
        }
        if let Some(ahead) = number.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = number;
            return Order::New { gap: ahead - 1 };
        }
        let behind = self.highest - number;
        match 1_u64.checked_shl(behind) {
            Some(bit) if self.seen & bit == 0 => {
                self.seen |= bit;
                Order::Late
            }
            _ => Order::Again,
        }
    }
}

/// Remote targets of dialogs, each kept once.
#[derive(Default)]
pub(crate) struct Targets {
    all: Vec<Box<[u8]>>,
    by_text: std::collections::HashMap<Box<[u8]>, u32>,
}

impl Targets {
    /// The number of a target.
    pub(crate) fn number(&mut self, target: &[u8]) -> u32 {
        if let Some(number) = self.by_text.get(target) {
            return *number;
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(target.into());
        self.by_text.insert(target.into(), number);
        number
    }

    /// The target of a number.
    pub(crate) fn text(&self, number: u32) -> &[u8] {
        usize::try_from(number).ok().and_then(|at| self.all.get(at)).map_or(b"", |text| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_skip_repeat_or_come_late_are_told_apart() {
        let mut sequence = Sequence::default();
        for (number, order) in [
            (7, Order::New { gap: 0 }),
            (8, Order::New { gap: 0 }),
            (8, Order::Again),
            (11, Order::New { gap: 2 }),
            (9, Order::Late),
            (9, Order::Again),
            (7, Order::Again),
            (10, Order::Late),
            (200, Order::New { gap: 188 }),
            (11, Order::Again),
            (199, Order::Late),
        ] {
            assert_eq!(sequence.see(number), order, "{number}");
        }
    }

    #[test]
    fn targets_are_kept_once() {
        let mut targets = Targets::default();
        assert_eq!([b"a", b"b", b"a"].map(|text| targets.number(text)), [0, 1, 0]);
        assert_eq!((targets.text(1), targets.text(9)), (&b"b"[..], &b""[..]));
    }
}
