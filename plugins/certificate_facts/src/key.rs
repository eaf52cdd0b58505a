//! The public key of a certificate.

use std::fmt;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{ID_DSA, ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_521_R_1};
use const_oid::db::rfc8410::{ID_ED_448, ID_ED_25519};
use critd_sdk::serde::Serialize;
use der::asn1::UintRef;
use der::{Decode as _, Reader as _, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::names;

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(crate = "critd_sdk::serde", rename_all = "lowercase")]
pub(crate) enum Family {
    Rsa,
    Dsa,
    Curve,
    Other,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(crate = "critd_sdk::serde")]
pub(crate) struct Key {
    pub(crate) family: Family,
    /// Name of the algorithm.
    pub(crate) algorithm: String,
    /// Name of the curve.
    pub(crate) curve: Option<String>,
    /// Its length; none if the key can't be read.
    pub(crate) bits: Option<usize>,
    /// The public exponent of RSA, if it is short.
    pub(crate) exponent: Option<u64>,
}

impl Key {
    pub(crate) fn of(info: &SubjectPublicKeyInfoOwned) -> Self {
        let oid = info.algorithm.oid;
        let bytes = info.subject_public_key.raw_bytes();
        let mut key = Self {
            family: Family::Other,
            algorithm: names::of(&oid),
            curve: None,
            bits: None,
            exponent: None,
        };
        match oid {
            RSA_ENCRYPTION => {
                key.family = Family::Rsa;
                if let Ok((modulus, exponent)) = rsa(bytes) {
                    key.bits = Some(modulus);
                    key.exponent = exponent;
                }
            }
            ID_DSA => {
                key.family = Family::Dsa;
                let parameters = info.algorithm.parameters.as_ref();
                // The prime is the first of the parameters.
                key.bits = parameters.and_then(|any| first_bits(any.value()));
            }
            ID_EC_PUBLIC_KEY => {
                key.family = Family::Curve;
                let curve = info.algorithm.parameters.as_ref();
                let curve = curve.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
                key.curve = curve.as_ref().map(names::of);
                key.bits = match curve {
                    Some(SECP_521_R_1) => Some(521),
                    _ => point_bits(bytes),
                };
            }
            ID_ED_25519 | ID_ED_448 => {
                key.family = Family::Curve;
                key.bits = Some(bytes.len() * 8).filter(|bits| *bits > 0);
            }
            _ => {}
        }
        key
    }
}

/// `RSA 2048`, `EC secp256r1`
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::Rsa => f.write_str("RSA")?,
            Family::Dsa => f.write_str("DSA")?,
            Family::Curve if self.curve.is_some() => f.write_str("EC")?,
            Family::Curve | Family::Other => f.write_str(&self.algorithm)?,
        }
        match (&self.curve, self.bits) {
            (Some(curve), _) => write!(f, " {curve}"),
            (None, Some(bits)) => write!(f, " {bits}"),
            (None, None) => Ok(()),
        }
    }
}

/// Bits of the modulus, and the exponent: `SEQUENCE { modulus, exponent }`.
fn rsa(bytes: &[u8]) -> der::Result<(usize, Option<u64>)> {
    let mut reader = SliceReader::new(bytes)?;
    reader.sequence(|reader| {
        let modulus = UintRef::decode(reader)?;
        let exponent = UintRef::decode(reader)?;
        Ok((bits(modulus), short(exponent)))
    })
}

fn first_bits(bytes: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(bytes).ok()?;
    UintRef::decode(&mut reader).ok().map(bits)
}

fn bits(number: UintRef<'_>) -> usize {
    let bytes = number.as_bytes();
    let zeros = bytes.first().map_or(0, |first| first.leading_zeros());
    (bytes.len() * 8).saturating_sub(zeros as usize)
}

fn short(number: UintRef<'_>) -> Option<u64> {
    let bytes = number.as_bytes();
    (bytes.len() <= 8).then(|| {
        bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    })
}

/// Of a point on a curve: 4 and two coordinates, or 2 or 3 and one.
fn point_bits(point: &[u8]) -> Option<usize> {
    match point.split_first()? {
        (4, rest) if rest.len().is_multiple_of(2) => Some(rest.len() * 4),
        (2 | 3, rest) => Some(rest.len() * 8),
        _ => None,
    }
    .filter(|bits| *bits > 0)
}

#[cfg(test)]
mod tests {
    use super::{point_bits, rsa};

    #[test]
    fn keys_have_the_length_of_their_numbers() {
        // SEQUENCE { INTEGER 0x00ff, INTEGER 3 }
        let key = [0x30, 0x07, 0x02, 0x02, 0x00, 0xff, 0x02, 0x01, 0x03];
        assert_eq!(rsa(&key).ok(), Some((8, Some(3))));
        for cut in 0..key.len() {
            assert!(rsa(&key[..cut]).is_err(), "{cut}");
        }
        assert_eq!(point_bits(&[4; 65]), Some(256));
        assert_eq!(point_bits(&[2; 33]), Some(256));
        for bad in [&[][..], &[4], &[4, 1], &[9, 1]] {
            assert_eq!(point_bits(bad), None, "{bad:?}");
        }
    }
}
