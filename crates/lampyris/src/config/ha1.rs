//! HA1s from what was typed: a password, or hex digits.

use super::raw::{RawHa1, Secret};
use lampyris_sip::digest::{self, Algorithm, Ha1};

/// The HA1 of a password (RFC 3261 §22.4, RFC 8760 §2.2).
pub(crate) fn of_secret(algorithm: Algorithm, user: &str, realm: &str, secret: &Secret) -> Ha1 {
    digest::ha1(algorithm, user, realm, &secret.0)
}

/// The HA1 typed; `None` where it has the wrong length or is not hex.
pub(crate) fn of_hex(typed: &RawHa1) -> Option<Ha1> {
    let hex = &typed.hex.0;
    let fits = hex.len() == digits(typed.algorithm) && hex.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| Ha1::from_hex(typed.algorithm, hex)).flatten()
}

/// How many hex digits an HA1 has.
pub(crate) fn digits(algorithm: Algorithm) -> usize {
    algorithm.digest_bytes() * 2
}
