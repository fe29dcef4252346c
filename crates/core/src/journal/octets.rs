//! Shared bytes in a record: as a list of bytes would be, but copied at once.

use bytes::Bytes;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::ser::Serializer;
use std::fmt;

pub(super) fn serialize<S: Serializer>(octets: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(octets)
}

pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Bytes, D::Error> {
    deserializer.deserialize_byte_buf(Octets)
}

struct Octets;

impl<'d> Visitor<'d> for Octets {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, octets: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(octets))
    }

    fn visit_byte_buf<E: Error>(self, octets: Vec<u8>) -> Result<Bytes, E> {
        Ok(octets.into())
    }

    fn visit_seq<A: SeqAccess<'d>>(self, mut list: A) -> Result<Bytes, A::Error> {
        let mut octets = Vec::new();
        while let Some(octet) = list.next_element()? {
            octets.push(octet);
        }
        Ok(octets.into())
    }
}
