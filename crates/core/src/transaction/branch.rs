//! Our Via branches: the magic cookie, then a slot number and 64 random bits in 16 characters.
//!
//! The slot finds the client transaction of a response without hashing; the random bits tell this transaction from
//! earlier users of the slot and from a guess by somebody who did not see the request (RFC 3261 §8.1.1.7).

/// What every branch made by RFC 3261 begins with.
pub(crate) const COOKIE: &str = "z9hG4bK";

const ALPHABET: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
const DIGITS: usize = 16;
const LEN: usize = COOKIE.len() + DIGITS;

/// The branch of a client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(super) slot: u32,
    pub(super) random: u64,
    text: [u8; LEN],
}

impl Branch {
    pub(super) fn new(slot: u32, random: u64) -> Self {
        let mut text = [0; LEN];
        text[..COOKIE.len()].copy_from_slice(COOKIE.as_bytes());
        let mut bits = u128::from(slot) << 64 | u128::from(random);
        for digit in text[COOKIE.len()..].iter_mut().rev() {
            *digit = ALPHABET[(bits & 63) as usize];
            bits >>= 6;
        }
        Self { slot, random, text }
    }

    /// The branch parameter's value, cookie included; a `token`.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or(COOKIE)
    }

    /// Reads a branch that [`Branch::new`] could have made; the proxy puts a dot and more behind it.
    pub(super) fn parse(text: &str) -> Option<(u32, u64)> {
        let digits = text.strip_prefix(COOKIE)?;
        let digits = digits.split_once('.').map_or(digits, |(digits, _)| digits).as_bytes();
        if digits.len() != DIGITS {
            return None;
        }
        let mut bits = 0u128;
        for digit in digits {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'A'..=b'Z' => digit - b'A' + 10,
                b'a'..=b'z' => digit - b'a' + 36,
                b'-' => 62,
                b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u128::from(value);
        }
        let random = u64::try_from(bits & u128::from(u64::MAX)).ok()?;
        Some((u32::try_from(bits >> 64).ok()?, random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (slot, random) in [(0, 0), (1, 2), (u32::MAX, u64::MAX), (77, 0x0123_4567_89ab_cdef)] {
            let branch = Branch::new(slot, random);
            assert_eq!(branch.as_str().len(), 23);
            assert!(branch.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
            assert_eq!(Branch::parse(branch.as_str()), Some((slot, random)), "{}", branch.as_str());
            assert_eq!(Branch::parse(&format!("{}.loop.tag", branch.as_str())), Some((slot, random)));
        }
    }

    #[test]
    fn other_branches_are_not_ours() {
        for text in ["", "z9hG4bK", "z9hG4bKabc", "z9hg4bk0000000000000000", "z9hG4bK000000000000000!", "0"] {
            assert_eq!(Branch::parse(text), None, "{text}");
        }
    }
}
