//! A row's bytes: schema, checksum, expiry, then the record in postcard's encoding.
//!
//! ```text
//! | schema u8 | crc32 u32 le | expiry ms u64 le, 0 = none | postcard(the record of the row's kind) ... |
//! ```
//! The checksum covers the key too, so a row that ended up in another's place is found out. LMDB has no checksums of
//! its own. Rows of earlier schemas are read by `older`.

use super::{kinds, older};
use lampyris_core::journal::{Key, Kind, Value};
use lampyris_core::time::UnixTime;

/// The schema written; read are this one and all before it.
pub const SCHEMA: u8 = 2;

const CRC: std::ops::Range<usize> = 1..5;
const EXPIRY: std::ops::Range<usize> = 5..13;
const HEAD_BYTES: usize = 13;

/// What a row turned out to be.
#[derive(Debug, PartialEq)]
pub(crate) enum Row {
    /// A value that still means something.
    Live(Value),
    /// It expired before the time given.
    Expired,
    /// It cannot be what was written.
    Damaged,
    /// It has a schema of the future.
    Newer(u8),
}

/// The row of a value under a key.
pub(crate) fn encode(key: Key, value: &Value) -> Result<Vec<u8>, postcard::Error> {
    let mut row = Vec::with_capacity(512);
    append(&mut row, key, value)?;
    Ok(row)
}

/// Writes the row of a value under a key behind other rows.
pub(crate) fn append(rows: &mut Vec<u8>, key: Key, value: &Value) -> Result<(), postcard::Error> {
    let start = rows.len();
    rows.push(SCHEMA);
    rows.extend_from_slice(&[0; 4]);
    rows.extend_from_slice(&value.expires_at().map_or(0, UnixTime::as_millis).to_le_bytes());
    if let Err(error) = append_record(rows, value) {
        rows.truncate(start);
        return Err(error);
    }
    let row = rows.get_mut(start..).unwrap_or_default();
    let crc = checksum(key, row).to_le_bytes();
    row[CRC].copy_from_slice(&crc);
    Ok(())
}

/// Where postcard writes to.
struct Behind<'r>(&'r mut Vec<u8>);

impl Extend<u8> for Behind<'_> {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        self.0.extend(bytes);
    }
}

fn append_record(rows: &mut Vec<u8>, value: &Value) -> Result<(), postcard::Error> {
    let behind = Behind(rows);
    let written = match value {
        Value::Subscription(record) => postcard::to_extend(record, behind),
        Value::Publication(record) => postcard::to_extend(record, behind),
        Value::Bindings(record) => postcard::to_extend(record, behind),
        Value::Device(record) => postcard::to_extend(record, behind),
        Value::Mailbox(record) => postcard::to_extend(record, behind),
        Value::Resource(record) => postcard::to_extend(record, behind),
        Value::Call(record) => postcard::to_extend(record, behind),
        Value::Features(record) => postcard::to_extend(record, behind),
        Value::Status(record) => postcard::to_extend(record, behind),
        Value::Rules(record) => postcard::to_extend(record, behind),
        Value::Answer(record) => postcard::to_extend(record, behind),
        Value::Gateway(record) => postcard::to_extend(record, behind),
        Value::Document(record) => postcard::to_extend(record, behind),
    };
    written.map(drop)
}

/// The row of a record's bytes as a program of this schema would have written it; for fuzzing.
pub(crate) fn seal_as(key: Key, schema: u8, body: &[u8]) -> Vec<u8> {
    let mut row = vec![schema, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    row.extend_from_slice(body);
    let crc = checksum(key, &row).to_le_bytes();
    row[CRC].copy_from_slice(&crc);
    row
}

/// What can be said of a row without reading its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// It is as it was written, by this schema, and means something until its expiry, if it has one.
    Whole { schema: u8 },
    /// It expired before the time given.
    Expired,
    /// It cannot be what was written.
    Damaged,
    /// It has a schema of the future.
    Newer(u8),
}

/// Looks at the seal of the row under `key`.
pub(crate) fn seal(key: Key, row: &[u8], now: UnixTime) -> Seal {
    let (Some(&schema), Some(crc), Some(expiry)) = (row.first(), read(row, CRC), read(row, EXPIRY)) else {
        return Seal::Damaged;
    };
    // Why: the schema is looked at first, since a later one may compute its checksum otherwise.
    if schema > SCHEMA {
        return Seal::Newer(schema);
    }
    if schema == 0 || u32::from_le_bytes(crc) != checksum(key, row) {
        return Seal::Damaged;
    }
    let expiry = u64::from_le_bytes(expiry);
    if expiry != 0 && expiry <= now.as_millis() { Seal::Expired } else { Seal::Whole { schema } }
}

/// What the row under `key` says at `now`.
pub(crate) fn decode(key: Key, row: &[u8], now: UnixTime) -> Row {
    let schema = match seal(key, row, now) {
        Seal::Whole { schema } => schema,
        Seal::Expired => return Row::Expired,
        Seal::Damaged => return Row::Damaged,
        Seal::Newer(found) => return Row::Newer(found),
    };
    let body = row.get(HEAD_BYTES..).unwrap_or_default();
    let value = match schema {
        1 => older::schema_1(key.kind, body),
        _ => current(key.kind, body),
    };
    value.map_or(Row::Damaged, Row::Live)
}

fn current(kind: Kind, body: &[u8]) -> Option<Value> {
    match kind {
        Kind::Subscription => older::whole(body).map(Value::Subscription),
        Kind::Publication => older::whole(body).map(Value::Publication),
        Kind::Bindings => older::whole(body).map(Value::Bindings),
        Kind::Device => older::whole(body).map(Value::Device),
        Kind::Mailbox => older::whole(body).map(Value::Mailbox),
        Kind::Resource => older::whole(body).map(Value::Resource),
        Kind::Call => older::whole(body).map(Value::Call),
        Kind::Features => older::whole(body).map(Value::Features),
        Kind::Status => older::whole(body).map(Value::Status),
        Kind::Rules => older::whole(body).map(Value::Rules),
        Kind::Answer => older::whole(body).map(Value::Answer),
        Kind::Gateway => older::whole(body).map(Value::Gateway),
        Kind::Document => older::whole(body).map(Value::Document),
    }
}

fn read<const N: usize>(row: &[u8], at: std::ops::Range<usize>) -> Option<[u8; N]> {
    row.get(at)?.try_into().ok()
}

fn checksum(key: Key, row: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[kinds::number(key.kind), row.first().copied().unwrap_or_default()]);
    crc.update(&key.slot.to_le_bytes());
    crc.update(row.get(EXPIRY.start..).unwrap_or_default());
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples::samples;
    use lampyris_core::journal::{Counts, DeviceRecord, MailboxRecord};

    fn device(until: Option<u64>) -> Value {
        Value::Device(DeviceRecord {
            device: "Custom:night".into(),
            state: "INUSE".into(),
            until: until.map(UnixTime::from_millis),
            set_at: UnixTime::from_millis(5),
        })
    }

    #[test]
    fn a_row_reads_back_until_it_expires() {
        let key = Key { kind: Kind::Device, slot: 7 };
        for (until, now, live) in [
            (None, u64::MAX, true),
            (Some(1000), 999, true),
            (Some(1000), 1000, false),
            (Some(1000), 5000, false),
        ] {
            let row = encode(key, &device(until)).expect("encodes");
            let expected = if live { Row::Live(device(until)) } else { Row::Expired };
            assert_eq!(decode(key, &row, UnixTime::from_millis(now)), expected, "until {until:?} at {now}");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let key = Key { kind: Kind::Device, slot: 7 };
        let row = encode(key, &device(Some(9000))).expect("encodes");
        let now = UnixTime::from_millis(0);
        for bit in 0..row.len() * 8 {
            let mut bad = row.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match decode(key, &bad, now) {
                Row::Damaged => {}
                Row::Newer(found) => assert!(bit < 8 && found > SCHEMA, "bit {bit}"),
                other => panic!("bit {bit} went unnoticed: {other:?}"),
            }
        }
        for len in 0..row.len() {
            assert_eq!(decode(key, &row[..len], now), Row::Damaged, "cut to {len}");
        }
    }

    #[test]
    fn a_row_in_anothers_place_is_damaged() {
        let key = Key { kind: Kind::Device, slot: 7 };
        let row = encode(key, &device(None)).expect("encodes");
        for other in [Key { slot: 8, ..key }, Key { kind: Kind::Mailbox, ..key }] {
            assert_eq!(decode(other, &row, UnixTime::from_millis(0)), Row::Damaged);
        }
        let mailbox =
            Value::Mailbox(MailboxRecord { mailbox: "100@default".into(), counts: Counts::default() });
        let row = encode(key, &mailbox).expect("encodes");
        assert_eq!(decode(key, &row, UnixTime::from_millis(0)), Row::Damaged, "a mailbox among the devices");
    }

    #[test]
    fn a_newer_schema_is_told_from_damage() {
        let key = Key { kind: Kind::Device, slot: 7 };
        let mut row = encode(key, &device(None)).expect("encodes");
        row[0] = SCHEMA + 1;
        assert_eq!(decode(key, &row, UnixTime::from_millis(0)), Row::Newer(SCHEMA + 1));
    }

    /// The rows of `fixtures/schema-N.txt`.
    fn fixture(text: &str) -> impl Iterator<Item = (Key, Vec<u8>)> {
        text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let [kind, slot, hex] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
            let kind = kinds::of_name(kind).expect("a kind");
            (Key { kind, slot: slot.parse().expect("a slot") }, bytes.collect::<Result<_, _>>().expect("hex"))
        })
    }

    /// A record without what schema 1 could not say.
    fn known_to_schema_1(value: &Value) -> Value {
        let mut value = value.clone();
        match &mut value {
            Value::Subscription(record) => (record.rates, record.sleeps) = (String::new(), false),
            Value::Bindings(record) => record.bindings.iter_mut().for_each(|binding| binding.gruu = None),
            _ => {}
        }
        value
    }

    #[test]
    fn a_store_of_schema_1_reads_as_it_was_meant() {
        let now = UnixTime::from_millis(0);
        let (late, early) = (samples(";call-id=\"a\""), samples(""));
        let mut met = 0;
        for (key, row) in fixture(include_str!("fixtures/schema-1.txt")) {
            let values = if key.slot < 10 { &late } else { &early };
            let expected = values.iter().find(|value| value.kind() == key.kind).expect("a sample");
            assert_eq!(decode(key, &row, now), Row::Live(known_to_schema_1(expected)), "{key:?}");
            for at in HEAD_BYTES..row.len() {
                let mut bad = row.clone();
                bad[at] ^= 0x55;
                assert_eq!(decode(key, &bad, now), Row::Damaged, "{key:?} at {at}");
            }
            met += 1;
        }
        assert_eq!(met, 10);
    }

    /// Fails when a record changes and the schema does not. `LAMPYRIS_WRITE_STORE_FIXTURE=1` writes the fixture of a new
    /// schema; that of one that was released stays as it is.
    #[test]
    fn rows_of_this_schema_are_written_as_before() {
        let text: String = (0..)
            .zip(samples(";call-id=\"a\""))
            .map(|(slot, value)| {
                let key = Key { kind: value.kind(), slot };
                let row = encode(key, &value).expect("encodes");
                assert_eq!(decode(key, &row, UnixTime::from_millis(0)), Row::Live(value));
                let hex: String = row.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{} {slot} {hex}\n", kinds::name(key.kind))
            })
            .collect();
        let path = format!("{}/src/store/fixtures/schema-{SCHEMA}.txt", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("LAMPYRIS_WRITE_STORE_FIXTURE").is_some() {
            std::fs::write(&path, &text).expect("written");
        }
        let pinned = std::fs::read_to_string(&path).expect("the fixture of this schema");
        assert_eq!(
            text, pinned,
            "a record changed: if schema {SCHEMA} was released, raise it and keep the old shape in older.rs"
        );
    }
}
