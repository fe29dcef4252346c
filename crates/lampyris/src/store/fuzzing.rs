//! What the fuzz target `store` reaches of the store's formats: any bytes must be read to an end.

use super::codec::{self, Row};
use super::structure::Source;
use super::{backup, check, kinds};
use lampyris_core::journal::{Key, Kind};
use lampyris_core::time::UnixTime;
use std::path::Path;

/// Any of the formats; the first byte says which: a row, a record behind a good checksum, a backup, LMDB's file.
pub fn any(data: &[u8]) {
    let Some((&which, bytes)) = data.split_first() else { return };
    match (which % 4, bytes) {
        (0, bytes) => row(bytes),
        (1, [kind, schema, body @ ..]) => record(kind % 9, schema % 4, body),
        (2, bytes) => backup(bytes),
        (_, bytes) => file(bytes),
    }
}

/// A row of every kind under slot 0; what is read as one of this schema is written as the same again.
fn row(bytes: &[u8]) {
    for kind in Kind::ALL {
        let key = Key { kind, slot: 0 };
        if let Row::Live(value) = codec::decode(key, bytes, UnixTime::default()) {
            let again = codec::encode(key, &value).unwrap_or_default();
            assert_eq!(codec::decode(key, &again, UnixTime::default()), Row::Live(value));
        }
    }
}

/// As [`row`], with the head that belongs to a record of these bytes, so that the checksum is no wall.
fn record(kind: u8, schema: u8, body: &[u8]) {
    if let Some(kind) = kinds::of_number(kind) {
        let key = Key { kind, slot: 0 };
        row(&codec::seal_as(key, schema, body));
    }
}

/// A backup.
fn backup(bytes: &[u8]) {
    let _ = backup::read::<backup::BackupFault>(Path::new("fuzz"), bytes, &mut |_, _| Ok(()));
}

struct Bytes<'a>(&'a [u8]);

impl Source for Bytes<'_> {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let range = begin..begin.saturating_add(into.len());
        let found = self.0.get(range).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(found);
        Ok(())
    }
}

/// A store's file.
fn file(bytes: &[u8]) {
    let _ = check::check(&Bytes(bytes), None, UnixTime::default(), &mut |_, _| {});
}

#[cfg(test)]
mod tests {
    /// The seeds of the fuzz target, where there is no libFuzzer, and each with any one of its bytes changed.
    #[test]
    fn the_seeds_are_read_to_their_end() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/store");
        let mut met = 0;
        for entry in std::fs::read_dir(seeds).expect("seeds") {
            let path = entry.expect("a seed").path();
            let seed = std::fs::read(&path).expect("read");
            super::any(&seed);
            for at in (1..seed.len()).step_by(seed.len() / 500 + 1) {
                for change in [1, 0x80, 0xff] {
                    let mut changed = seed.clone();
                    changed[at] ^= change;
                    super::any(&changed);
                }
                super::any(&seed[..at]);
            }
            met += 1;
        }
        assert!(met >= 20, "{met} seeds");
    }
}
