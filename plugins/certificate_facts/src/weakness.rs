//! What is weak about a certificate.

use crate::key::{Family, Key};

/// Where weakness begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) rsa_bits: i64,
    pub(crate) curve_bits: i64,
    pub(crate) days: i64,
}

/// A sentence for each weakness. `days`: how long the certificate is valid, if that counts.
pub(crate) fn of(bounds: &Bounds, key: &Key, signature: &str, days: Option<i64>) -> Vec<String> {
    let mut found = Vec::new();
    let least = match key.family {
        Family::Rsa | Family::Dsa => Some(bounds.rsa_bits),
        Family::Curve => Some(bounds.curve_bits),
        Family::Other => None,
    };
    let bits = key.bits.and_then(|bits| i64::try_from(bits).ok());
    if let (Some(bits), Some(least)) = (bits, least)
        && bits < least
    {
        found.push(format!("The key has {bits} bits, fewer than {least}."));
    }
    if let Some(exponent) = key.exponent.filter(|exponent| *exponent < 65_537) {
        found.push(format!("The exponent of the key is {exponent}."));
    }
    let lower = signature.to_lowercase();
    let digest = [
        ("md2", "MD2"),
        ("md4", "MD4"),
        ("md5", "MD5"),
        ("sha1", "SHA-1"),
    ];
    // `sha1` is no part of the other names.
    if let Some((_, name)) = digest.iter().find(|(part, _)| lower.contains(part)) {
        found.push(format!("The signature is made with {name}."));
    }
    if let Some(days) = days.filter(|days| *days > bounds.days) {
        found.push(format!(
            "It is valid for {days} days, more than {}.",
            bounds.days
        ));
    }
    if let Some(days) = days.filter(|days| *days < 0) {
        found.push(format!(
            "Its validity ends {} days before it begins.",
            -days
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        rsa_bits: 2_048,
        curve_bits: 224,
        days: 825,
    };

    fn key(family: Family, bits: usize, exponent: Option<u64>) -> Key {
        Key {
            family,
            algorithm: String::new(),
            curve: None,
            bits: Some(bits),
            exponent,
        }
    }

    #[test]
    fn each_weakness_is_told() {
        let good = key(Family::Rsa, 2_048, Some(65_537));
        let of = |key: &Key, signature, days| of(&BOUNDS, key, signature, days);
        assert!(of(&good, "sha256WithRSAEncryption", Some(825)).is_empty());
        assert!(of(&good, "sha256WithRSAEncryption", None).is_empty());
        assert_eq!(
            of(
                &key(Family::Rsa, 1_024, Some(3)),
                "md5WithRSAEncryption",
                Some(3_650)
            ),
            [
                "The key has 1024 bits, fewer than 2048.",
                "The exponent of the key is 3.",
                "The signature is made with MD5.",
                "It is valid for 3650 days, more than 825.",
            ]
        );
        assert_eq!(
            of(&key(Family::Curve, 192, None), "ecdsa-with-SHA1", Some(-1)),
            [
                "The key has 192 bits, fewer than 224.",
                "The signature is made with SHA-1.",
                "Its validity ends 1 days before it begins.",
            ]
        );
        assert!(of(&key(Family::Other, 1, None), "ecdsa-with-SHA512", None).is_empty());
    }
}
