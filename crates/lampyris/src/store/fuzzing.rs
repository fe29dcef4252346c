//! What fuzz targets and benchmarks may reach of the store's formats: each takes any bytes and must come to an end.

use super::codec::{self, Row};
use super::structure::Source;
use super::{backup, check, kinds};
use lampyris_core::journal::{Key, Kind};
use lampyris_core::time::UnixTime;
use std::path::Path;

/// A row of every kind under slot 0; what is read as one of this schema is written as the same again.
pub fn row(bytes: &[u8]) {
    for kind in Kind::ALL {
        let key = Key { kind, slot: 0 };
        if let Row::Live(value) = codec::decode(key, bytes, UnixTime::default()) {
            let again = codec::encode(key, &value).unwrap_or_default();
            assert_eq!(codec::decode(key, &again, UnixTime::default()), Row::Live(value));
        }
    }
}

/// As [`row`], with the head that belongs to a record of these bytes, so that the checksum is no wall.
pub fn record(kind: u8, schema: u8, body: &[u8]) {
    if let Some(kind) = kinds::of_number(kind) {
        let key = Key { kind, slot: 0 };
        row(&codec::seal_as(key, schema, body));
    }
}

/// A backup.
pub fn backup(bytes: &[u8]) {
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
pub fn file(bytes: &[u8]) {
    let _ = check::check(&Bytes(bytes), None, UnixTime::default());
}
