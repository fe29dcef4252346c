//! What a store's file holds, row by row: the report of `store check`, and of the walk before a start.
//!
//! In: a file, or a snapshot of one that is in use. Out: [`Findings`]. Nothing is changed, and nothing of LMDB's is used.

use super::backup::Progress;
use super::codec::{self, Row};
use super::structure::{self, Flaw, Source};
use super::{StoreFault, kinds};
use lampyris_core::journal::{Key, Kind};
use lampyris_core::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What was found in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// Pages of the file.
    pub pages: u64,
    /// Pages that hold something.
    pub used: u64,
    /// Pages that wait to be used again.
    pub free: u64,
    /// Rows by the name of their kind.
    pub kinds: BTreeMap<String, Rows>,
    /// The newest schema met that this program does not read.
    pub newer_schema: Option<u8>,
    /// What cannot be in the file's structure; `None` where it is sound.
    pub structure: Option<String>,
}

/// Rows of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// That mean something.
    pub live: u64,
    /// That have expired.
    pub expired: u64,
    /// Whose checksum or content is wrong; they are left out at a start.
    pub damaged: u64,
    /// Live ones that an earlier schema wrote.
    pub older: u64,
}

impl Findings {
    /// All kinds together.
    pub fn rows(&self) -> Rows {
        self.kinds.values().fold(Rows::default(), |sum, rows| Rows {
            live: sum.live + rows.live,
            expired: sum.expired + rows.expired,
            damaged: sum.damaged + rows.damaged,
            older: sum.older + rows.older,
        })
    }

    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.structure.is_none() && self.newer_schema.is_none() && self.rows().damaged == 0
    }
}

/// A source that tells how much of it was read, in KiB.
struct Measured<'a> {
    source: &'a dyn Source,
    /// Bytes read, and whom it is told.
    told: RefCell<(u64, Progress<'a>)>,
}

impl Source for Measured<'_> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        let (read, progress) = &mut *self.told.borrow_mut();
        *read += into.len() as u64;
        progress((*read).min(self.len()) / 1024, self.len() / 1024);
        self.source.read(offset, into)
    }
}

/// Walks everything; `snapshot` names one that a reader holds, where the file is in use.
///
/// # Errors
/// The file cannot be read, or the snapshot is gone. What is wrong with it stands in the findings.
pub(crate) fn check(
    source: &dyn Source,
    snapshot: Option<u64>,
    now: UnixTime,
    progress: Progress<'_>,
) -> Result<Findings, Flaw> {
    let source = &Measured { source, told: RefCell::new((0, progress)) };
    let mut findings = Findings::default();
    if usize::BITS != 64 {
        // Why: there LMDB lays its pages out otherwise; what remains is that the child reads it through LMDB.
        return Ok(findings);
    }
    let mut by_kind: BTreeMap<Kind, Rows> = BTreeMap::new();
    let walked = structure::walk(source, snapshot, &mut |name, slot, row| {
        let kind = std::str::from_utf8(name).ok().and_then(kinds::of_name);
        let (Some(kind), Ok(slot)) = (kind, <[u8; 8]>::try_from(slot)) else { return };
        let key = Key { kind, slot: u64::from_ne_bytes(slot) };
        let rows = by_kind.entry(kind).or_default();
        match codec::decode(key, row, now) {
            Row::Live(_) => {
                rows.live += 1;
                rows.older += u64::from(row.first() != Some(&codec::SCHEMA));
            }
            Row::Expired => rows.expired += 1,
            Row::Damaged => rows.damaged += 1,
            Row::Newer(found) => findings.newer_schema = findings.newer_schema.max(Some(found)),
        }
    });
    match walked {
        Ok(walked) => {
            findings.pages = walked.pages;
            findings.used = walked.used;
            findings.free = walked.free;
        }
        Err(flaw @ Flaw::Damaged { .. }) => findings.structure = Some(flaw.to_string()),
        Err(other) => return Err(other),
    }
    findings.kinds = by_kind.into_iter().map(|(kind, rows)| (kinds::name(kind).to_owned(), rows)).collect();
    Ok(findings)
}

/// As [`check`], for a store that nobody uses.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn check_file(
    path: &std::path::Path,
    now: UnixTime,
    progress: Progress<'_>,
) -> Result<Findings, StoreFault> {
    let unreadable = |cause| StoreFault::Unreadable { path: path.to_owned(), cause };
    let source = structure::FileSource::open(path).map_err(unreadable)?;
    check(&source, None, now, progress).map_err(|flaw| match flaw {
        Flaw::Unreadable(cause) => unreadable(cause),
        other => unreadable(std::io::Error::other(other.to_string())),
    })
}
