//! Multipart bodies: any bytes are parts or an error, and parts written again are read as they were. The first line of the
//! input is the Content-Type.
#![no_main]

use bytes::Bytes;
use lampyris_sip::multipart::{self, Writer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let Ok(content_type) = std::str::from_utf8(&data[..end]) else { return };
    let Ok(parts) = multipart::parse_as(content_type, &Bytes::copy_from_slice(&data[end + 1..])) else {
        return;
    };
    assert!(parts.len() <= multipart::PARTS_MAX);
    // Why: a boundary that occurs in no part.
    let boundary = "5f1c2e-lampyris-fuzz";
    if data.windows(boundary.len()).any(|window| window == boundary.as_bytes()) {
        return;
    }
    let mut writer = Writer::new(boundary);
    for part in &parts {
        let _ = (part.content_type(), part.content_id(), part.headers().count());
        writer.part(&[("Content-Type", "application/octet-stream")], &part.body);
    }
    let again = multipart::parse(boundary, &Bytes::from(writer.finish()));
    if !parts.is_empty() {
        let again = again.expect("what was written is read");
        assert!(parts.iter().map(|part| &part.body).eq(again.iter().map(|part| &part.body)));
    }
});
