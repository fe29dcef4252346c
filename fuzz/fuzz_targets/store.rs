//! The store's formats (`store/fuzzing.rs`): any bytes are read to an end, and a record that is read is written as the same
//! again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| lampyris::store::fuzzing::any(data));
