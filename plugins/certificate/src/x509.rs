//! X.509 certificates, read without a judgement: DER, PEM, the first one of a PKCS#7 bundle.
//!
//! What can't be read is no error, the file is kept all the same. `x509-cert` reads the certificate itself; the way to the
//! first one of a bundle is short enough to go here (`cms`, which would do it, is a release candidate).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use critd_sdk::prelude::*;
use der::{Decode as _, Reader as _, SliceReader};
use x509_cert::certificate::{CertificateInner, Raw};

/// Larger files are no certificates.
const LARGEST: u64 = 1 << 20;
/// Longest name that is kept, in bytes.
const LONGEST_NAME: usize = 4 << 10;

/// 1.2.840.113549.1.7.2, signed data, as it is encoded.
const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// What the X.509 certificate in a file says, as the field `x509` keeps it. None: there is none.
///
/// # Errors
///
/// Only the host's.
pub(crate) fn read(file: Upload) -> Result<Option<Json>, Fault> {
    let Some(bytes) = file.read_all(LARGEST)? else {
        return Ok(None);
    };
    let Some((said, der)) = find(&bytes) else {
        return Ok(None);
    };
    let der = Upload::make("", &der)?;
    Ok(Some(json!({
        "subject": said.subject,
        "issuer": said.issuer,
        "serial_number": said.serial_number,
        "not_before": said.not_before,
        "not_after": said.not_after,
        "sha1": der.digest("sha1")?,
        "sha256": der.digest("sha256")?,
    })))
}

/// What a certificate says.
#[derive(Debug)]
struct Said {
    subject: String,
    issuer: String,
    serial_number: String,
    not_before: Date,
    not_after: Date,
}

/// The first certificate of a file, and its DER form.
fn find(bytes: &[u8]) -> Option<(Said, Vec<u8>)> {
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
fn certificate(bytes: &[u8]) -> Option<(Said, Vec<u8>)> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let certificate = CertificateInner::<Raw>::decode(&mut reader).ok()?;
    let length = usize::try_from(u32::from(reader.position())).ok()?;
    let said = certificate.tbs_certificate();
    let validity = said.validity();
    Some((
        Said {
            subject: name(said.subject().to_string()),
            issuer: name(said.issuer().to_string()),
            serial_number: said
                .serial_number()
                .as_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            not_before: date(validity.not_before.to_unix_duration()),
            not_after: date(validity.not_after.to_unix_duration()),
        },
        bytes.get(..length)?.to_vec(),
    ))
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
