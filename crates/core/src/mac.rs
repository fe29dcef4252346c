//! What only we can have made: a keyed MAC, and its bytes as text that fits everywhere in SIP.
//!
//! Nonces, tags and temporary GRUUs are made of these: they are checked, not remembered.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The URL alphabet of base64.
pub(crate) const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// HMAC-SHA256, one domain per use.
pub(crate) fn keyed(key: &[u8; 32], domain: &[u8]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(domain);
    mac
}

/// Unpadded base64 with the URL alphabet: also fit for a token, and for the user part of a URI.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity((bytes.len() * 4).div_ceil(3));
    let (mut bits, mut have) = (0u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        have += 8;
        while have >= 6 {
            have -= 6;
            text.push(char::from(ALPHABET[(bits >> have & 63) as usize]));
        }
    }
    if have > 0 {
        text.push(char::from(ALPHABET[(bits << (6 - have) & 63) as usize]));
    }
    text
}

/// `N` bytes as [`encode`] wrote them; each has one spelling only, so that a replay cannot hide behind another.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 4).div_ceil(3) {
        return None;
    }
    let mut bytes = [0; N];
    let mut out = bytes.iter_mut();
    let (mut bits, mut have) = (0u32, 0);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        have += 6;
        if have >= 8 {
            have -= 8;
            *out.next()? = u8::try_from(bits >> have & 0xff).ok()?;
        }
    }
    (bits & ((1 << have) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_spelling() {
        let bytes = [0x00, 0xff, 0x10, 0x83];
        let text = encode(&bytes);
        assert_eq!(decode::<4>(&text), Some(bytes));
        assert_eq!(decode::<3>(&text), None);
        // Two bits of the last character are beyond the bytes.
        let other = format!("{}x", &text[..text.len() - 1]);
        assert_eq!(decode::<4>(&other), None);
        assert_eq!(decode::<4>("AP8Qg!"), None);
    }
}
