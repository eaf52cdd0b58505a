use std::panic::catch_unwind;

use critd_x509::{Found, find};

use super::*;

/// Made with openssl.
const LEAF: &[u8] = include_bytes!("fixtures/leaf.der");
const WEAK: &[u8] = include_bytes!("fixtures/weak.der");
const WEAK_AUTHORITY: &[u8] = include_bytes!("fixtures/weak_authority.der");
const ED25519: &[u8] = include_bytes!("fixtures/ed25519.der");
const P521: &[u8] = include_bytes!("fixtures/p521.der");
const DSA: &[u8] = include_bytes!("fixtures/dsa.der");
const BAD_EXTENSIONS: &[u8] = include_bytes!("fixtures/bad_extensions.der");

#[test]
fn the_examples_hold() {
    critd_sdk::bench::check::<Plugin>();
    let verdicts = critd_sdk::bench::run_examples::<Plugin>();
    assert!(
        verdicts
            .iter()
            .all(|(_, verdict)| *verdict == critd_sdk::bench::Verdict::Holds),
        "{verdicts:?}"
    );
}

fn found(der: &[u8]) -> Found {
    find(der).unwrap()
}

fn key(der: &[u8]) -> Key {
    let found = found(der);
    Key::of(
        found
            .certificate
            .tbs_certificate()
            .subject_public_key_info(),
    )
}

#[test]
fn keys_are_named_with_their_length() {
    for (der, text, bits) in [
        (LEAF, "EC secp256r1", 256),
        (P521, "EC secp521r1", 521),
        (ED25519, "Ed25519 256", 256),
        (WEAK, "RSA 1024", 1_024),
        (BAD_EXTENSIONS, "RSA 2048", 2_048),
        (DSA, "DSA 1024", 1_024),
    ] {
        let key = key(der);
        assert_eq!((key.to_string().as_str(), key.bits), (text, Some(bits)));
    }
    assert_eq!(key(WEAK).exponent, Some(3));
    assert_eq!(key(BAD_EXTENSIONS).exponent, Some(65_537));
}

/// All that an example would show, as lines.
fn weaknesses(der: &[u8], days: Option<i64>) -> Vec<String> {
    let bounds = Bounds {
        rsa_bits: 2_048,
        curve_bits: 224,
        days: 825,
    };
    let signature = names::of(&found(der).certificate.signature_algorithm().oid);
    weakness::of(&bounds, &key(der), &signature, days)
}

#[test]
fn weak_certificates_are_told_why() {
    assert_eq!(
        weaknesses(WEAK, Some(3_650)),
        [
            "The key has 1024 bits, fewer than 2048.",
            "The exponent of the key is 3.",
            "The signature is made with SHA-1.",
            "It is valid for 3650 days, more than 825.",
        ]
    );
    assert_eq!(
        weaknesses(WEAK_AUTHORITY, None),
        [
            "The key has 1024 bits, fewer than 2048.",
            "The signature is made with MD5.",
        ]
    );
    for good in [LEAF, ED25519, P521] {
        assert_eq!(weaknesses(good, Some(90)), Vec::<String>::new());
    }
}

/// What each extension says, or that it can't be read.
fn said(found: &Found) -> Vec<Result<Vec<Fact>, String>> {
    let extensions = found.certificate.tbs_certificate().extensions();
    let extensions = extensions.map(Vec::as_slice).unwrap_or_default();
    extensions
        .iter()
        .map(|extension| facts(extension).map_err(|error| error.to_string()))
        .collect()
}

#[test]
fn an_authority_says_so() {
    let said: Vec<Fact> = said(&found(WEAK_AUTHORITY))
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    let texts: Vec<_> = said.iter().map(|fact| fact.text.as_str()).collect();
    assert_eq!(texts, ["certification authority", "keyCertSign", "cRLSign"]);
    assert_eq!(
        said[0].details,
        json!({"authority": true, "path_length": 1, "critical": true})
    );
}

#[test]
fn extensions_that_can_not_be_read_are_told_one_by_one() {
    let said = said(&found(BAD_EXTENSIONS));
    assert!(
        said.iter().filter(|said| said.is_err()).count() >= 2,
        "{said:?}"
    );
}

#[test]
fn a_certificate_cut_or_changed_anywhere_does_not_trap() {
    let look = |bytes: &[u8]| {
        if let Some(found) = find(bytes) {
            said(&found);
            let info = found
                .certificate
                .tbs_certificate()
                .subject_public_key_info();
            let _ = Key::of(info).to_string();
            let texts = [found.subject(), found.issuer(), found.serial_number()];
            assert!(texts.iter().all(|text| text.len() <= 4 << 10));
            let _ = (found.not_before(), found.not_after());
        }
    };
    for whole in [LEAF, WEAK, ED25519, P521, DSA, BAD_EXTENSIONS] {
        for length in 0..whole.len() {
            assert!(find(&whole[..length]).is_none(), "{length}");
            look(&whole[..length]);
        }
        for place in 0..whole.len() {
            for value in [0, 1, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = whole.to_vec();
                changed[place] = value;
                assert!(catch_unwind(|| look(&changed)).is_ok(), "{place}: {value}");
            }
        }
    }
}
