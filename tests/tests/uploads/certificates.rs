//! Create.md 5.5: certificates.

use anyhow::{Context, Result};
use critd_tests::{Server, json};

use crate::files::{Fields, download, opened, pair, refusal, relations, send, send_as};

const PEM: &[u8] = include_bytes!("fixtures/cert.pem");
const DER: &[u8] = include_bytes!("fixtures/cert.der");
const BUNDLE: &[u8] = include_bytes!("fixtures/cert.p7b");

#[tokio::test]
async fn create_5_5_a_certificate_is_stored_in_the_originals_shape() -> Result<()> {
    let server = Server::start().await?;
    let fields = [
        ("source", "Alpha"),
        ("reference", "r"),
        ("description", "of a C2 host"),
        ("campaign", "Bear"),
        ("ticket", "T1"),
        ("bucket_list", "b"),
    ];
    let answer = send(&server, "certificates", &fields, Some(("server.pem", PEM))).await?;
    let body = answer.json();
    let id = answer.created_id()?;
    assert_eq!(
        body,
        json!({"return_code": 0, "type": "Certificate", "id": id, "message": "Uploaded certificate", "url": format!("/api/v1/certificates/{id}/"), "created": true})
    );
    let mut certificate = server.document("certificates", &id).await?;
    assert_eq!(
        certificate["filedata"].as_str().map(str::len),
        Some(24),
        "J7"
    );
    assert_eq!(certificate["campaign"][0]["name"], "Bear");
    assert_eq!(certificate["tickets"][0]["ticket_number"], "T1");
    let md5 = certificate["md5"].as_str().context("md5")?.to_owned();
    let object = certificate.as_object_mut().context("an object")?;
    for varying in [
        "created", "modified", "filedata", "source", "md5", "x509", "campaign", "tickets",
    ] {
        assert!(object.remove(varying).is_some(), "{varying}");
    }
    assert_eq!(
        certificate,
        json!({"_id": id, "schema_version": 2, "status": "New", "tlp": "amber", "filename": "server.pem", "size": PEM.len(),
            "filetype": "PEM certificate", "description": "of a C2 host",
            "actions": [], "bucket_list": ["b"], "locations": [], "objects": [], "relationships": [], "releasability": [],
            "screenshots": [], "sectors": [], "unsupported_attrs": {}})
    );
    let archive = download(&server, &format!("/api/v1/certificates/{id}/")).await?;
    assert_eq!(opened(&archive)?[&md5], PEM);
    Ok(())
}

/// The values that openssl shows.
#[tokio::test]
async fn create_5_5_x509_is_read_from_der_pem_and_pkcs7() -> Result<()> {
    let server = Server::start().await?;
    for (name, bytes) in [("c.pem", PEM), ("c.der", DER), ("c.p7b", BUNDLE)] {
        let id = send(
            &server,
            "certificates",
            &[("source", "Alpha")],
            Some((name, bytes)),
        )
        .await?
        .created_id()?;
        let certificate = server.document("certificates", &id).await?;
        assert_eq!(
            certificate["x509"],
            json!({
                "subject": "O=Example,CN=mail.example.com",
                "issuer": "O=Example,CN=mail.example.com",
                "serial_number": "0102030405",
                "not_before": "2026-11-30 21:38:04.000000",
                "not_after": "2036-11-27 21:38:04.000000",
                "sha1": "2f214c530b7137ae3375de44da8cb59df035042c",
                "sha256": "23fa31cd9a90ac10760a6c9a61b64277bd627a8105962a2e5fabf058bf15a42c",
            }),
            "{name}"
        );
    }
    let found = server
        .get("/api/v1/certificates/?c-x509.serial_number=0102030405")
        .await?
        .json();
    assert_eq!(found["meta"]["total_count"], 3);
    Ok(())
}

#[tokio::test]
async fn create_5_5_what_is_no_certificate_is_stored_all_the_same() -> Result<()> {
    let server = Server::start().await?;
    let truncated = [
        &DER[..DER.len() / 2],
        b"\x30\x84\xff\xff\xff\xff",
        b"\0",
        &PEM[..300],
    ];
    for bytes in truncated {
        let id = send(
            &server,
            "certificates",
            &[("source", "Alpha")],
            Some(("x", bytes)),
        )
        .await?
        .created_id()?;
        let certificate = server.document("certificates", &id).await?;
        assert_eq!(certificate.get("x509"), None);
        assert_eq!(certificate["size"], bytes.len());
    }
    Ok(())
}

/// One row: fields, file, message.
type Row = (Fields<'static>, Option<&'static [u8]>, &'static str);

const REFUSALS: &[Row] = &[
    (
        &[("source", "Alpha")],
        None,
        "Upload type of 'file' but no file uploaded.",
    ),
    (
        &[("source", "Alpha")],
        Some(b""),
        "No data object passed in",
    ),
    (
        &[("source", "Alpha"), ("related_type", "Event")],
        Some(PEM),
        "Must specify both related_type and related_id or related_md5.",
    ),
    (
        &[
            ("source", "Alpha"),
            ("related_id", "5b2c3d4e5f60718293a4b5c6"),
        ],
        Some(PEM),
        "Must specify both related_type and related_id or related_md5.",
    ),
    (
        &[
            ("source", "Nowhere"),
            ("related_md5", "www.example.com"),
            ("related_type", "Domain"),
        ],
        Some(PEM),
        "Related object not found.",
    ),
    (
        &[("source", "Nowhere")],
        Some(PEM),
        "User does not have permission to add objects using source Nowhere.",
    ),
    (&[], Some(PEM), "Missing source information."),
    (
        &[("source", "Alpha"), ("tlp", "purple")],
        Some(PEM),
        "'purple' is not a valid TLP.",
    ),
];

#[tokio::test]
async fn create_5_5_every_refusal_in_its_words() -> Result<()> {
    let server = Server::start().await?;
    for (fields, file, message) in REFUSALS {
        let file = file.map(|bytes| ("c.pem", bytes));
        let answer = send(&server, "certificates", fields, file).await?;
        assert_eq!(refusal(&answer)?, *message, "{fields:?}");
    }
    let reader = server.add_user("reader", &["Certificate.read"], &[("Alpha", &["--write"])])?;
    let fields = [("source", "Alpha")];
    let answer = send_as(&server, &reader, "certificates", &fields, Some(("c", b""))).await?;
    assert_eq!(
        refusal(&answer)?,
        "User does not have permission to create Object.",
        "(2) comes before (3)"
    );
    assert_eq!(server.count("certificates").await?, 0);
    Ok(())
}

#[tokio::test]
async fn create_5_5_a_second_post_adds_source_and_buckets() -> Result<()> {
    let server = Server::start().await?;
    let first = [
        ("source", "Alpha"),
        ("bucket_list", "a"),
        ("description", "first"),
    ];
    let id = send(&server, "certificates", &first, Some(("first.pem", PEM)))
        .await?
        .created_id()?;
    let second = [
        ("source", "Beta"),
        ("bucket_list", "b"),
        ("description", "second"),
    ];
    let again = send(&server, "certificates", &second, Some(("second.pem", PEM))).await?;
    assert_eq!(again.created_id()?, id);
    let certificate = server.document("certificates", &id).await?;
    assert_eq!(certificate["filename"], "first.pem");
    assert_eq!(certificate["description"], "first");
    assert_eq!(certificate["bucket_list"], json!(["a", "b"]));
    assert_eq!(certificate["source"].as_array().map(Vec::len), Some(2));
    Ok(())
}

/// The relationship is read from the certificate's side, other than with captures.
#[tokio::test]
async fn create_5_5_a_relationship_is_read_from_the_certificate() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    let fields = [
        ("source", "Alpha"),
        ("related_id", event.as_str()),
        ("related_type", "Event"),
        ("relationship", "Contained Within"),
    ];
    let id = send(&server, "certificates", &fields, Some(("c.pem", PEM)))
        .await?
        .created_id()?;
    let certificate = server.document("certificates", &id).await?;
    assert_eq!(
        relations(&certificate, &event),
        pair("Contained Within", "Event")
    );
    let event = server.document("events", &event).await?;
    assert_eq!(relations(&event, &id), pair("Contains", "Certificate"));
    Ok(())
}
