//! Names as people know them: of algorithms, usages, and the kinds of names in a certificate.

use std::net::{Ipv4Addr, Ipv6Addr};

use const_oid::ObjectIdentifier;
use const_oid::db::DB;
use x509_cert::ext::pkix::KeyUsage;
use x509_cert::ext::pkix::name::GeneralName;

/// What the list of names lacks.
const MORE: [(ObjectIdentifier, &str); 3] = [
    (
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.1"),
        "ecdsa-with-SHA1",
    ),
    (ObjectIdentifier::new_unwrap("1.3.132.0.10"), "secp256k1"),
    (
        ObjectIdentifier::new_unwrap("2.5.29.37.0"),
        "anyExtendedKeyUsage",
    ),
];

/// The name of an identifier, or its numbers: `sha256WithRSAEncryption`, `serverAuth`.
pub(crate) fn of(oid: &ObjectIdentifier) -> String {
    let more = MORE.iter().find(|(known, _)| known == oid);
    let name = more.map(|(_, name)| *name).or_else(|| DB.by_oid(oid));
    match name {
        Some(name) => ["id-kp-", "id-ce-", "id-"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name)
            .to_owned(),
        None => oid.to_string(),
    }
}

/// The kind of a name, and the name.
pub(crate) fn general(name: &GeneralName) -> (&'static str, String) {
    match name {
        GeneralName::OtherName(other) => ("other", of(&other.type_id)),
        GeneralName::Rfc822Name(text) => ("email", text.to_string()),
        GeneralName::DnsName(text) => ("dns", text.to_string()),
        GeneralName::DirectoryName(name) => ("directory", name.to_string()),
        GeneralName::EdiPartyName(_) => ("edi", String::new()),
        GeneralName::UniformResourceIdentifier(text) => ("uri", text.to_string()),
        GeneralName::IpAddress(bytes) => ("ip", address(bytes.as_bytes())),
        GeneralName::RegisteredId(oid) => ("id", of(oid)),
    }
}

fn address(bytes: &[u8]) -> String {
    if let Ok(parts) = <[u8; 4]>::try_from(bytes) {
        Ipv4Addr::from(parts).to_string()
    } else if let Ok(parts) = <[u8; 16]>::try_from(bytes) {
        Ipv6Addr::from(parts).to_string()
    } else {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a key may be used for, in the words of RFC 5280.
pub(crate) fn usages(usage: KeyUsage) -> impl Iterator<Item = &'static str> {
    [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ]
    .into_iter()
    .filter_map(|(is_set, name)| is_set.then_some(name))
}
