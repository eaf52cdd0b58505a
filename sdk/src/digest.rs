//! Digests of texts. Those of files are the host's: [`crate::Upload::digest`].

use md5::{Digest as _, Md5};
use sha2::Sha256;

/// MD5 of some bytes, lower-case hex.
///
/// ```
/// assert_eq!(critd_sdk::digest::md5(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
/// ```
#[must_use]
pub fn md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// SHA-256 of some bytes, lower-case hex.
///
/// ```
/// assert!(critd_sdk::digest::sha256(b"abc").starts_with("ba7816bf8f01cfea414140de5dae2223"));
/// ```
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            hex.push(DIGITS[usize::from(digit)].into());
        }
    }
    hex
}
