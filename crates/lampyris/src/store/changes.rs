//! Changes on their way to the committing thread: rows encoded one behind the other.
//!
//! In: records under tickets. Out: the same as rows. They are encoded where they are made: a record is a dozen strings, and
//! what one thread has allocated and another drops costs both far more than the encoding.

use super::codec;
use lampyris_core::journal::{Key, Kind, Record};
use lampyris_core::output::Ticket;
use std::ops::Range;

/// What the next commit is to do, in order.
#[derive(Default)]
pub(crate) struct Changes {
    rows: Vec<u8>,
    list: Vec<(Ticket, Kept)>,
}

enum Kept {
    Put(Key, Range<usize>),
    Delete(Key),
    Unencodable(Key, String),
}

/// One change.
pub(crate) enum Change<'r> {
    Put(Key, &'r [u8]),
    Delete(Key),
    /// It cannot be stored, for this reason.
    Unencodable(&'r str),
}

impl Change<'_> {
    /// How much of a commit it takes.
    pub(crate) const fn bytes(&self) -> usize {
        match self {
            Self::Put(_, row) => row.len(),
            Self::Delete(_) | Self::Unencodable(_) => 0,
        }
    }
}

impl Changes {
    /// Encodes one more.
    pub(crate) fn push(&mut self, ticket: Ticket, record: &Record) {
        let kept = match record {
            Record::Upsert(key, value) => {
                let start = self.rows.len();
                match codec::append(&mut self.rows, *key, value) {
                    Ok(()) => Kept::Put(*key, start..self.rows.len()),
                    Err(cause) => Kept::Unencodable(*key, cause.to_string()),
                }
            }
            Record::Delete(key) => Kept::Delete(*key),
        };
        self.list.push((ticket, kept));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Their tickets, in order.
    pub(crate) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.list.iter().map(|(ticket, _)| *ticket)
    }

    /// Whether no answer waits for any of them.
    pub(crate) fn is_patient(&self) -> bool {
        let key = |kept: &Kept| match kept {
            Kept::Put(key, _) | Kept::Delete(key) | Kept::Unencodable(key, _) => *key,
        };
        self.list.iter().all(|(_, kept)| key(kept).kind == Kind::Call)
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, Change<'_>)> {
        self.list.iter().map(|(ticket, kept)| {
            let change = match kept {
                Kept::Put(key, place) => Change::Put(*key, &self.rows[place.clone()]),
                Kept::Delete(key) => Change::Delete(*key),
                Kept::Unencodable(_, reason) => Change::Unencodable(reason),
            };
            (*ticket, change)
        })
    }
}
