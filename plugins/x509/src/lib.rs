//! Finds the X.509 certificate in a file: DER, PEM, the first one of a PKCS#7 bundle. Shared by the plugins about certificates.
//!
//! `x509-cert` reads the certificate itself; the way to the first one of a bundle is short enough to go here (`cms`, which
//! would do it, is a release candidate).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use critd_sdk::{Date, Fault, Upload};
use der::{Decode as _, Reader as _, SliceReader};
use x509_cert::certificate::{CertificateInner, Raw, TbsCertificateInner};

/// Larger files are no certificates.
const LARGEST: u64 = 1 << 20;
/// Longest name that is kept, in bytes.
const LONGEST_NAME: usize = 4 << 10;

/// 1.2.840.113549.1.7.2, signed data, as it is encoded.
const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// The first certificate of a file. Nothing is verified.
#[derive(Debug, Clone)]
pub struct Found {
    /// As it was read; what RFC 5280 forbids may be in it.
    pub certificate: CertificateInner<Raw>,
    /// Its DER form.
    pub der: Vec<u8>,
}

impl Found {
    /// The certificate in a stored or sent file. None: there is none.
    ///
    /// # Errors
    ///
    /// Only the host's.
    pub fn in_file(file: Upload) -> Result<Option<Self>, Fault> {
        Ok(file.read_all(LARGEST)?.and_then(|bytes| find(&bytes)))
    }

    fn said(&self) -> &TbsCertificateInner<Raw> {
        self.certificate.tbs_certificate()
    }

    /// Whose it is: `CN=mail.example.com,O=Example`.
    #[must_use]
    pub fn subject(&self) -> String {
        name(self.said().subject().to_string())
    }

    /// Who issued it.
    #[must_use]
    pub fn issuer(&self) -> String {
        name(self.said().issuer().to_string())
    }

    /// Serial number in hexadecimal digits.
    #[must_use]
    pub fn serial_number(&self) -> String {
        let bytes = self.said().serial_number().as_bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From when it is valid.
    #[must_use]
    pub fn not_before(&self) -> Date {
        date(self.said().validity().not_before.to_unix_duration())
    }

    /// Until when it is valid.
    #[must_use]
    pub fn not_after(&self) -> Date {
        date(self.said().validity().not_after.to_unix_duration())
    }
}

/// The first certificate in the bytes of a file.
#[must_use]
pub fn find(bytes: &[u8]) -> Option<Found> {
    let der = match sections(bytes).find_map(decoded) {
        Some(der) => der,
        None => bytes.to_vec(),
    };
    certificate(&der).or_else(|| certificate(first_of_bundle(&der)?))
}

/// The texts between the lines of PEM that announce a certificate or a bundle.
fn sections(bytes: &[u8]) -> impl Iterator<Item = &str> {
    const LABELS: [&str; 5] = [
        "CERTIFICATE-----",
        "X509 CERTIFICATE-----",
        "TRUSTED CERTIFICATE-----",
        "PKCS7-----",
        "CMS-----",
    ];
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.split("-----BEGIN ").skip(1).filter_map(|section| {
        let rest = LABELS
            .iter()
            .find_map(|label| section.strip_prefix(label))?;
        rest.split_once("-----END ").map(|(body, _)| body)
    })
}

fn decoded(section: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let digits: String = section
        .chars()
        .filter(|letter| !letter.is_ascii_whitespace())
        .collect();
    LENIENT.decode(digits).ok()
}

/// Reads a certificate at the begin of the bytes; what comes after it is left alone.
fn certificate(bytes: &[u8]) -> Option<Found> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let certificate = CertificateInner::<Raw>::decode(&mut reader).ok()?;
    let length = usize::try_from(u32::from(reader.position())).ok()?;
    Some(Found {
        certificate,
        der: bytes.get(..length)?.to_vec(),
    })
}

fn name(mut name: String) -> String {
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

fn date(since_1970: std::time::Duration) -> Date {
    Date::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

/// The first certificate of a PKCS#7 bundle: `ContentInfo { signed data, [0] SignedData { version, digest algorithms, content,
/// [0] certificates, … } }`.
fn first_of_bundle(bytes: &[u8]) -> Option<&[u8]> {
    let (info, _) = element(bytes, 0x30)?;
    let (kind, rest) = element(info.content, 0x06)?;
    if kind.content != SIGNED_DATA {
        return None;
    }
    let (explicit, _) = element(rest, 0xa0)?;
    let (signed, _) = element(explicit.content, 0x30)?;
    let (_version, rest) = element(signed.content, 0x02)?;
    let (_algorithms, rest) = element(rest, 0x31)?;
    let (_content, rest) = element(rest, 0x30)?;
    let (certificates, _) = element(rest, 0xa0)?;
    Some(element(certificates.content, 0x30)?.0.whole)
}

/// One element of DER.
struct Element<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// The element of this tag at the begin, and what follows it. None: another tag, or a length that leads nowhere.
fn element(bytes: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits
                .iter()
                .fold(0, |length, digit| length << 8 | u32::from(*digit));
            (usize::try_from(length).ok()?, rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = &bytes[..bytes.len() - after.len()];
    (found == tag).then_some((Element { whole, content }, after))
}

#[cfg(test)]
mod tests {
    use super::{element, find, first_of_bundle, sections};

    #[test]
    fn create_5_5_what_is_no_certificate_is_no_error() {
        for bytes in [
            &b""[..],
            b"hello",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x80\x00\x00",
            b"\x30\x03\x06\x01\x2a",
        ] {
            assert!(find(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn create_5_5_sections_are_certificates_and_bundles() {
        let text = b"x\n-----BEGIN RSA PRIVATE KEY-----\nA\n-----END RSA PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nB\n-----END CERTIFICATE-----\n-----BEGIN PKCS7-----\nC\n-----END PKCS7-----\n";
        assert_eq!(sections(text).collect::<Vec<_>>(), ["\nB\n", "\nC\n"]);
    }

    #[test]
    fn create_5_5_elements_end_where_they_say() {
        let (found, rest) = element(&[0x04, 0x02, 1, 2, 3], 0x04).unwrap();
        assert_eq!(
            (found.whole, found.content, rest),
            (&[4, 2, 1, 2][..], &[1, 2][..], &[3][..])
        );
        assert!(element(&[0x04, 0x02, 1], 0x04).is_none());
        assert!(element(&[0x05, 0x00], 0x04).is_none());
        assert!(first_of_bundle(&[0x30, 0x00]).is_none());
    }
}
