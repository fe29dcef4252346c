//! A row's bytes: schema, checksum, expiry, then the value in postcard's encoding.
//!
//! ```text
//! | schema u8 | crc32 u32 le | expiry ms u64 le, 0 = none | postcard(journal::Value) ... |
//! ```
//! The checksum covers the key too, so a row that ended up in another's place is found out. LMDB has no checksums of
//! its own.

use lampyris_core::journal::{Key, Kind, Value};
use lampyris_core::time::UnixTime;

/// The schema written; read are this one and all before it.
pub(crate) const SCHEMA: u8 = 1;

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
    row.push(SCHEMA);
    row.extend_from_slice(&[0; 4]);
    row.extend_from_slice(&value.expires_at().map_or(0, UnixTime::as_millis).to_le_bytes());
    let mut row = postcard::to_extend(value, row)?;
    let crc = checksum(key, &row).to_le_bytes();
    row[CRC].copy_from_slice(&crc);
    Ok(row)
}

/// What the row under `key` says at `now`.
pub(crate) fn decode(key: Key, row: &[u8], now: UnixTime) -> Row {
    let (Some(&schema), Some(crc), Some(expiry)) = (row.first(), read(row, CRC), read(row, EXPIRY)) else {
        return Row::Damaged;
    };
    // Why: the schema is looked at first, since a later one may compute its checksum otherwise.
    if schema > SCHEMA {
        return Row::Newer(schema);
    }
    if schema != SCHEMA || u32::from_le_bytes(crc) != checksum(key, row) {
        return Row::Damaged;
    }
    let expiry = u64::from_le_bytes(expiry);
    if expiry != 0 && expiry <= now.as_millis() {
        return Row::Expired;
    }
    match postcard::from_bytes::<Value>(row.get(HEAD_BYTES..).unwrap_or_default()) {
        Ok(value) if value.kind() == key.kind => Row::Live(value),
        _ => Row::Damaged,
    }
}

fn read<const N: usize>(row: &[u8], at: std::ops::Range<usize>) -> Option<[u8; N]> {
    row.get(at)?.try_into().ok()
}

fn checksum(key: Key, row: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[kind_number(key.kind), row.first().copied().unwrap_or_default()]);
    crc.update(&key.slot.to_le_bytes());
    crc.update(row.get(EXPIRY.start..).unwrap_or_default());
    crc.finalize()
}

const fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Subscription => 1,
        Kind::Publication => 2,
        Kind::Bindings => 3,
        Kind::Device => 4,
        Kind::Mailbox => 5,
        Kind::Resource => 6,
        Kind::Call => 8,
        Kind::Features => 7,
        Kind::Status => 9,
        Kind::Rules => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
