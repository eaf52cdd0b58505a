//! What an X.509 certificate says, and what is weak about it.

mod key;
mod names;
mod weakness;

use critd_sdk::prelude::*;
use critd_x509::Found;
use der::Decode as _;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};
use x509_cert::ext::{Extension, Extensions};

use crate::key::Key;
use crate::weakness::Bounds;

plugin! {
    name = "certificate_facts",
    summary = "Facts about X.509 certificates: validity, key, names, usages, weaknesses.",
    services = [certificate_facts],
}

/// Most extensions that are looked at, and most names and usages that are told of.
const MOST_EXTENSIONS: usize = 100;
const MOST_NAMES: usize = 500;

/// What counts as weak.
#[derive(Debug, Args)]
pub struct Options {
    /// Bits of the shortest key of RSA or DSA that is not weak.
    #[arg(default = 2048)]
    pub rsa_bits: i64,
    /// Bits of the shortest key on an elliptic curve that is not weak.
    #[arg(default = 224)]
    pub curve_bits: i64,
    /// Days of the longest validity, of a certificate of no certification authority, that is not weak.
    #[arg(default = 825)]
    pub days: i64,
}

/// Tells what the X.509 certificate in a file says (DER, PEM, or the first one of a PKCS#7 bundle): validity, key, signature,
/// alternative names, constraints, usages, fingerprints; and what is weak about it: short keys, signatures with MD5 or SHA-1,
/// a long validity.
///
/// Nothing is verified: a certificate whose subject and issuer agree is called self-issued.
///
/// # Errors
///
/// There is no certificate in the file.
#[service(on = "Certificate", requires = "filedata", accepts = is_certificate, limits = { time_ms = 10000 })]
#[example(
    "no certificate",
    files = {"filedata": "hello"},
    fault = {"refused": "unsupported_for_type", "message": "There is no X.509 certificate in the file."}
)]
#[example(
    "a server's certificate",
    files = {"filedata": {"name": "leaf.der", "base64": "MIICSzCCAfKgAwIBAgICAQIwCgYIKoZIzj0EAwIwLTEQMA4GA1UECgwHRXhhbXBsZTEZMBcGA1UEAwwQbGVhZi5leGFtcGxlLmNvbTAeFw0yNjEyMDExMTQ0NTBaFw0yNzAzMDExMTQ0NTBaMC0xEDAOBgNVBAoMB0V4YW1wbGUxGTAXBgNVBAMMEGxlYWYuZXhhbXBsZS5jb20wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQxZnOHtgcrCniarT3Qe2+7z7JMyMp82J68nanlw8H1YLUqIar+cbOcj+jmAW/2zPFFlcaS/qUiTBOAR81dX1Rbo4IBADCB/TAMBgNVHRMBAf8EAjAAMA4GA1UdDwEB/wQEAwIDiDAoBgNVHSUEITAfBggrBgEFBQcDAQYIKwYBBQUHAwIGCSsGAQQBgf1ZATCBkwYDVR0RBIGLMIGIghBsZWFmLmV4YW1wbGUuY29tgg0qLmV4YW1wbGUuY29tgQ1hQGV4YW1wbGUuY29thhNodHRwOi8vZXhhbXBsZS5jb20vhwTAAAIBhxAgAQ24AAAAAAAAAAAAAAABiAMqAwSkEjAQMQ4wDAYDVQQDDAVPdGhlcqAQBgkrBgEEAYH9WQKgAwwBeDAdBgNVHQ4EFgQU43Ou8xXeHkoXNCMc3/K3epZdXBcwCgYIKoZIzj0EAwIDRwAwRAIgGuvRDLXPeEpRdMxtUNZ1ecZDCba8P4MJzYJ9TFK2rIECIH+CMZXF/4Q+JNPEU2owJP1/vos8HpZ+qop3odFidWA3"}},
    args = {"days": 30},
    results = [
        {"subtype": "certificate", "result": "CN=leaf.example.com,O=Example", "issuer": "CN=leaf.example.com,O=Example", "serial_number": "0102", "version": 3,
            "not_before": "2026-12-01 11:44:50.000000", "not_after": "2027-03-01 11:44:50.000000", "days": 90, "state": "not yet valid", "self_issued": true},
        {"subtype": "public_key", "result": "EC secp256r1", "family": "curve", "algorithm": "ecPublicKey", "curve": "secp256r1", "bits": 256},
        {"subtype": "signature_algorithm", "result": "ecdsa-with-SHA256", "oid": "1.2.840.10045.4.3.2"},
        {"subtype": "basic_constraints", "result": "end entity", "authority": false, "critical": true},
        {"subtype": "key_usage", "result": "digitalSignature"},
        {"subtype": "key_usage", "result": "keyAgreement"},
        {"subtype": "extended_key_usage", "result": "serverAuth", "oid": "1.3.6.1.5.5.7.3.1", "critical": false},
        {"subtype": "extended_key_usage", "result": "clientAuth"},
        {"subtype": "extended_key_usage", "result": "1.3.6.1.4.1.32473.1"},
        {"subtype": "alternative_name", "result": "leaf.example.com", "kind": "dns"},
        {"subtype": "alternative_name", "result": "*.example.com", "kind": "dns"},
        {"subtype": "alternative_name", "result": "a@example.com", "kind": "email"},
        {"subtype": "alternative_name", "result": "http://example.com/", "kind": "uri"},
        {"subtype": "alternative_name", "result": "192.0.2.1", "kind": "ip"},
        {"subtype": "alternative_name", "result": "2001:db8::1", "kind": "ip"},
        {"subtype": "alternative_name", "result": "1.2.3.4", "kind": "id"},
        {"subtype": "alternative_name", "result": "CN=Other", "kind": "directory"},
        {"subtype": "alternative_name", "result": "1.3.6.1.4.1.32473.2", "kind": "other"},
        {"subtype": "fingerprint", "algorithm": "md5"},
        {"subtype": "fingerprint", "algorithm": "sha1"},
        {"subtype": "fingerprint", "result": "7e94da4b97ca41f442f4b7ac5f6f96f0619d92d660001933d57550a1527e3daa", "algorithm": "sha256"},
        {"subtype": "weakness", "result": "It is valid for 90 days, more than 30."}
    ],
    log = [],
    message = "1 weakness was found."
)]
pub fn certificate_facts(
    certificate: &Tlo,
    task: &Task,
    call: &Call,
    options: Options,
) -> Analysis {
    let found = read(certificate)?;
    let said = found.certificate.tbs_certificate();
    let (not_before, not_after) = (found.not_before(), found.not_after());
    let days = not_after.millis().saturating_sub(not_before.millis()) / 86_400_000;
    let state = match call.now().millis() {
        now if now < not_before.millis() => "not yet valid",
        now if now > not_after.millis() => "expired",
        _ => "valid",
    };
    let self_issued = said.subject() == said.issuer();
    task.result(
        "certificate",
        found.subject(),
        json!({
            "issuer": found.issuer(),
            "serial_number": found.serial_number(),
            "version": said.version() as u8 + 1,
            "not_before": not_before.to_string(),
            "not_after": not_after.to_string(),
            "days": days,
            "state": state,
            "self_issued": self_issued,
        }),
    )?;

    let key = Key::of(said.subject_public_key_info());
    task.result("public_key", key.to_string(), &key)?;
    let algorithm = found.certificate.signature_algorithm().oid;
    let signature = names::of(&algorithm);
    task.result(
        "signature_algorithm",
        &signature,
        json!({ "oid": algorithm.to_string() }),
    )?;
    let is_authority = tell_extensions(task, said.extensions())?;
    tell_fingerprints(task, &found.der)?;

    let bounds = Bounds {
        rsa_bits: options.rsa_bits,
        curve_bits: options.curve_bits,
        days: options.days,
    };
    let longest = (!is_authority).then_some(days);
    let weaknesses = weakness::of(&bounds, &key, &signature, longest);
    for weakness in &weaknesses {
        task.result("weakness", weakness, ())?;
    }
    Ok(match weaknesses.len() {
        0 => "Nothing weak was found.".into(),
        1 => "1 weakness was found.".into(),
        count => format!("{count} weaknesses were found."),
    })
}

/// Is there a certificate in the file?
///
/// # Errors
///
/// There is none.
fn is_certificate(certificate: &Tlo) -> Result<(), Fault> {
    read(certificate).map(|_| ())
}

fn read(certificate: &Tlo) -> Result<Found, Fault> {
    let Some(file) = Upload::open(certificate, "filedata")? else {
        return Err(missing("The file is not there."));
    };
    Found::in_file(file)?.ok_or_else(|| {
        refused(
            "unsupported_for_type",
            "There is no X.509 certificate in the file.",
        )
    })
}

/// Tells of the extensions. True: it is the certificate of a certification authority.
fn tell_extensions(task: &Task, extensions: Option<&Extensions>) -> Result<bool, Fault> {
    let mut is_authority = false;
    let extensions = extensions.map(Vec::as_slice).unwrap_or_default();
    for extension in extensions.iter().take(MOST_EXTENSIONS) {
        match facts(extension) {
            Ok(facts) => {
                if facts.len() > MOST_NAMES {
                    task.warning(format!(
                        "The extension {} has {} entries: the first {MOST_NAMES} are told of.",
                        names::of(&extension.extn_id),
                        facts.len()
                    ))?;
                }
                for Fact {
                    subtype,
                    text,
                    details,
                } in facts.into_iter().take(MOST_NAMES)
                {
                    is_authority |= details["authority"] == true;
                    task.result(subtype, text, details)?;
                }
            }
            Err(reason) => task.warning(format!(
                "The extension {} can't be read: {reason}.",
                names::of(&extension.extn_id)
            ))?,
        }
    }
    if extensions.len() > MOST_EXTENSIONS {
        task.warning(format!(
            "It has {} extensions: the first {MOST_EXTENSIONS} were looked at.",
            extensions.len()
        ))?;
    }
    Ok(is_authority)
}

/// Something that an extension says.
#[derive(Debug, PartialEq)]
struct Fact {
    subtype: &'static str,
    text: String,
    details: Json,
}

impl Fact {
    fn new(
        subtype: &'static str,
        text: impl Into<String>,
        mut details: Json,
        critical: bool,
    ) -> Self {
        details["critical"] = critical.into();
        Self {
            subtype,
            text: text.into(),
            details,
        }
    }
}

/// What an extension says, if it is one of those that are told of.
fn facts(extension: &Extension) -> Result<Vec<Fact>, der::Error> {
    use der::oid::AssociatedOid as _;

    let bytes = extension.extn_value.as_bytes();
    let critical = extension.critical;
    let fact = |subtype, text: String, details| Fact::new(subtype, text, details, critical);
    Ok(match extension.extn_id {
        SubjectAltName::OID => SubjectAltName::from_der(bytes)?
            .0
            .iter()
            .map(|name| {
                let (kind, text) = names::general(name);
                fact("alternative_name", text, json!({ "kind": kind }))
            })
            .collect(),
        BasicConstraints::OID => {
            let BasicConstraints {
                ca,
                path_len_constraint,
            } = BasicConstraints::from_der(bytes)?;
            let text = if ca {
                "certification authority"
            } else {
                "end entity"
            };
            let details = json!({ "authority": ca, "path_length": path_len_constraint });
            vec![fact("basic_constraints", text.into(), details)]
        }
        KeyUsage::OID => names::usages(KeyUsage::from_der(bytes)?)
            .map(|usage| fact("key_usage", usage.into(), json!({})))
            .collect(),
        ExtendedKeyUsage::OID => ExtendedKeyUsage::from_der(bytes)?
            .0
            .iter()
            .map(|purpose| {
                let details = json!({ "oid": purpose.to_string() });
                fact("extended_key_usage", names::of(purpose), details)
            })
            .collect(),
        _ => Vec::new(),
    })
}

fn tell_fingerprints(task: &Task, der: &[u8]) -> Result<(), Fault> {
    let der = Upload::make("", der)?;
    for algorithm in ["md5", "sha1", "sha256"] {
        if let Some(digest) = der.digest(algorithm)? {
            task.result("fingerprint", digest, json!({ "algorithm": algorithm }))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
