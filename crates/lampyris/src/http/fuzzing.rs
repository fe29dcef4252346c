//! What the fuzz target `http` reaches of what is read from browsers and programs: hyper and axum read the rest.

use crate::admin::protocol;
use crate::transport::upgrade;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Any of what is read; the first byte says which: the head of a WebSocket's upgrade, the headers that say whose page asks, a
/// request in JSON.
pub fn any(data: &[u8]) {
    let Some((&which, bytes)) = data.split_first() else { return };
    match which % 3 {
        0 => upgrade_of(bytes),
        1 => asker(bytes),
        _ => request(bytes),
    }
}

/// An answer is a whole head; a page of another host is never let in.
fn upgrade_of(bytes: &[u8]) {
    let origins = ["https://phones.example.com".to_owned()];
    for origins in [&[][..], &origins] {
        let answer = upgrade::accept(bytes, origins).unwrap_or_else(upgrade::Refusal::response);
        assert!(answer.starts_with("HTTP/1.1 ") && answer.contains("\r\n\r\n"), "{answer}");
    }
}

/// Lines of `Origin` and `Host`: whoever is let in is of this host, or configured.
fn asker(bytes: &[u8]) {
    let Some((origin, host)) = bytes.iter().position(|byte| *byte == b'\n').map(|at| bytes.split_at(at))
    else {
        return;
    };
    let mut headers = HeaderMap::new();
    let mut put = |name: HeaderName, value: &[u8]| {
        HeaderValue::from_bytes(value).is_ok_and(|value| headers.insert(name, value).is_none())
    };
    if !put(header::ORIGIN, origin) || !put(header::HOST, &host[1..]) {
        return;
    }
    for is_secure in [false, true] {
        if super::guard::asker(&headers, is_secure, &[]).is_ok() {
            let (origin, host) = (origin.to_ascii_lowercase(), host[1..].to_ascii_lowercase());
            assert!(origin.ends_with(&host) && !host.is_empty(), "{headers:?}");
        }
    }
}

/// A request is read, and read again as it was written, or refused.
fn request(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<protocol::Request>(bytes) {
        let again = serde_json::to_vec(&request).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<protocol::Request>(&again).ok(), Some(request));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_of_the_fuzz_target_run() {
        let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/http");
        let seeds: Vec<_> = std::fs::read_dir(seeds).into_iter().flatten().flatten().collect();
        assert!(seeds.len() > 5);
        for seed in seeds {
            super::any(&std::fs::read(seed.path()).unwrap_or_default());
        }
    }
}
