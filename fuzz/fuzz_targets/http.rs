//! What is read from browsers and programs (`http/fuzzing.rs`): heads of WebSocket upgrades, whose page asks, requests in JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| lampyris::http::fuzzing::any(data));
