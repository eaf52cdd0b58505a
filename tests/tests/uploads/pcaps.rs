//! Create.md 5.14: captures.

use anyhow::{Context, Result};
use critd_tests::{Server, json};

use crate::files::{Fields, download, opened, pair, refusal, relations, send, send_as};

/// A capture of no packets.
pub(crate) const CAPTURE: &[u8] =
    b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0";
/// MD5 of it.
pub(crate) const MD5: &str = "ab487d36057d446b6a8b72091da72f23";

#[tokio::test]
async fn create_5_14_a_capture_is_stored_in_the_originals_shape() -> Result<()> {
    let server = Server::start().await?;
    let fields = [
        ("source", "Alpha"),
        ("method", "m"),
        ("tlp", "green"),
        ("description", "sandbox traffic"),
    ];
    let answer = send(&server, "pcaps", &fields, Some(("dir/c2.pcap", CAPTURE))).await?;
    let body = answer.json();
    let id = answer.created_id()?;
    assert_eq!(
        body,
        json!({"return_code": 0, "type": "PCAP", "id": id, "message": "Uploaded pcap", "url": format!("/api/v1/pcaps/{id}/"), "created": true})
    );
    let mut pcap = server.document("pcaps", &id).await?;
    assert_eq!(pcap["md5"].as_str().map(str::len), Some(32));
    assert_eq!(
        pcap["filedata"].as_str().map(str::len),
        Some(24),
        "J7: {}",
        pcap["filedata"]
    );
    let object = pcap.as_object_mut().context("an object")?;
    for varying in ["created", "modified", "filedata", "source", "md5"] {
        assert!(object.remove(varying).is_some(), "{varying}");
    }
    assert_eq!(
        pcap,
        json!({"_id": id, "schema_version": 3, "status": "New", "tlp": "green", "filename": "c2.pcap", "length": 24,
            "contentType": "pcap capture file, microsecond ts (little-endian) - version 2.4 (Ethernet, capture length 65535)", "description": "sandbox traffic",
            "actions": [], "bucket_list": [], "campaign": [], "locations": [], "objects": [], "relationships": [], "releasability": [],
            "screenshots": [], "sectors": [], "tickets": [], "unsupported_attrs": {}})
    );
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
        &[
            ("source", "Alpha"),
            ("related_id", "5b2c3d4e5f60718293a4b5c6"),
        ],
        Some(CAPTURE),
        "Must specify both related_type and related_id or related_md5.",
    ),
    (
        &[("source", "Alpha"), ("related_md5", "x")],
        Some(CAPTURE),
        "Must specify both related_type and related_id or related_md5.",
    ),
    (&[], Some(CAPTURE), "Missing source information."),
    (
        &[("source", " ")],
        Some(CAPTURE),
        "Missing source information.",
    ),
    (
        &[
            ("source", "Nowhere"),
            ("related_id", "5b2c3d4e5f60718293a4b5c6"),
            ("related_type", "Event"),
        ],
        Some(CAPTURE),
        "Related object not found.",
    ),
    (
        &[
            ("source", "Alpha"),
            ("related_id", "xyz"),
            ("related_type", "Event"),
        ],
        Some(CAPTURE),
        "Related object not found.",
    ),
    (
        &[
            ("source", "Alpha"),
            ("related_id", "xyz"),
            ("related_type", "Nonsense"),
        ],
        Some(CAPTURE),
        "Related object not found.",
    ),
    (
        &[("source", "Nowhere")],
        Some(CAPTURE),
        "User does not have permission to add object using source Nowhere.",
    ),
    (
        &[("source", "Alpha"), ("tlp", "purple")],
        Some(CAPTURE),
        "'purple' is not a valid TLP.",
    ),
    (
        &[
            ("source", "Alpha"),
            ("campaign", "C"),
            ("confidence", "sure"),
        ],
        Some(CAPTURE),
        "Invalid campaign confidence: sure.",
    ),
];

#[tokio::test]
async fn create_5_14_every_refusal_in_its_words() -> Result<()> {
    let server = Server::start().await?;
    for (fields, file, message) in REFUSALS {
        let answer = send(
            &server,
            "pcaps",
            fields,
            file.map(|bytes| ("c.pcap", bytes)),
        )
        .await?;
        assert_eq!(refusal(&answer)?, *message, "{fields:?}");
    }
    let reader = server.add_user("reader", &["PCAP.read"], &[("Alpha", &["--write"])])?;
    let file = Some(("c.pcap", CAPTURE));
    let answer = send_as(&server, &reader, "pcaps", &[("source", "Alpha")], file).await?;
    assert_eq!(
        refusal(&answer)?,
        "User does not have permission to create Object."
    );
    let answer = send_as(&server, &reader, "pcaps", &[("source", "Alpha")], None).await?;
    assert_eq!(
        refusal(&answer)?,
        "Upload type of 'file' but no file uploaded.",
        "(1) comes before (2)"
    );
    assert_eq!(server.count("pcaps").await?, 0);
    Ok(())
}

#[tokio::test]
async fn create_5_14_a_second_post_adds_source_and_buckets() -> Result<()> {
    let server = Server::start().await?;
    let first = [
        ("source", "Alpha"),
        ("bucket_list", "a"),
        ("description", "first"),
    ];
    let id = send(&server, "pcaps", &first, Some(("first.pcap", CAPTURE)))
        .await?
        .created_id()?;
    let second = [
        ("source", "Beta"),
        ("bucket_list", "a,b"),
        ("description", "second"),
    ];
    let again = send(&server, "pcaps", &second, Some(("second.pcap", CAPTURE))).await?;
    assert_eq!(again.created_id()?, id);
    assert_eq!(again.json()["created"], false);
    let pcap = server.document("pcaps", &id).await?;
    assert_eq!(pcap["filename"], "first.pcap");
    assert_eq!(pcap["description"], "first");
    assert_eq!(pcap["bucket_list"], json!(["a", "b"]));
    let sources = pcap["source"].as_array().context("sources")?;
    let names: Vec<_> = sources.iter().map(|source| &source["name"]).collect();
    assert_eq!(names, ["Alpha", "Beta"]);
    assert_eq!(server.count("pcaps").await?, 1);
    Ok(())
}

/// The relationship is read from the other side, and both sides have it.
#[tokio::test]
async fn create_5_14_a_relationship_is_read_from_the_related_object() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    let fields = [
        ("source", "Alpha"),
        ("related_id", event.as_str()),
        ("related_type", "Event"),
        ("relationship", "Contains"),
    ];
    let id = send(&server, "pcaps", &fields, Some(("c.pcap", CAPTURE)))
        .await?
        .created_id()?;
    let pcap = server.document("pcaps", &id).await?;
    assert_eq!(relations(&pcap, &event), pair("Contained Within", "Event"));
    let event = server.document("events", &event).await?;
    assert_eq!(relations(&event, &id), pair("Contains", "PCAP"));

    // By natural key, and by default `Related To`.
    let domain = [("domain", "www.example.com"), ("source", "Alpha")];
    let domain = server
        .post("/api/v1/domains/", &domain)
        .await?
        .created_id()?;
    let fields = [
        ("source", "Alpha"),
        ("related_md5", "www.example.com"),
        ("related_type", "Domain"),
    ];
    send(&server, "pcaps", &fields, Some(("c.pcap", CAPTURE)))
        .await?
        .created_id()?;
    let pcap = server.document("pcaps", &id).await?;
    assert_eq!(relations(&pcap, &domain), pair("Related To", "Domain"));

    // A type alone is ignored.
    let fields = [("source", "Alpha"), ("related_type", "Event")];
    send(&server, "pcaps", &fields, Some(("d.pcap", b"other")))
        .await?
        .created_id()?;
    Ok(())
}

#[tokio::test]
async fn o01_a_file_part_is_taken_and_comes_back() -> Result<()> {
    let server = Server::start().await?;
    let id = send(
        &server,
        "pcaps",
        &[("source", "Alpha")],
        Some(("c.pcap", CAPTURE)),
    )
    .await?
    .created_id()?;
    let pcap = server.document("pcaps", &id).await?;
    let archive = download(&server, &format!("/api/v1/pcaps/{id}/")).await?;
    let md5 = pcap["md5"].as_str().context("md5")?;
    assert_eq!(opened(&archive)?[md5], CAPTURE);
    Ok(())
}

#[tokio::test]
async fn o17_campaign_ticket_and_buckets_are_stored() -> Result<()> {
    let server = Server::start().await?;
    let fields = [
        ("source", "Alpha"),
        ("campaign", "Test"),
        ("confidence", "high"),
        ("ticket", "45678"),
        ("bucket_list", "test,delete"),
    ];
    let id = send(&server, "pcaps", &fields, Some(("c.pcap", CAPTURE)))
        .await?
        .created_id()?;
    let pcap = server.document("pcaps", &id).await?;
    assert_eq!(pcap["campaign"][0]["name"], "Test");
    assert_eq!(pcap["campaign"][0]["confidence"], "high");
    assert_eq!(pcap["tickets"][0]["ticket_number"], "45678");
    assert_eq!(pcap["bucket_list"], json!(["test", "delete"]));
    Ok(())
}

/// Any bytes, of any kind; as a text they have no name.
#[tokio::test]
async fn create_5_14_any_bytes_are_a_capture() -> Result<()> {
    let server = Server::start().await?;
    let fields = [("source", "Alpha"), ("filedata", "just a text")];
    let id = send(&server, "pcaps", &fields, None).await?.created_id()?;
    let pcap = server.document("pcaps", &id).await?;
    assert_eq!(pcap["contentType"], "ASCII text, with no line terminators");
    assert_eq!(pcap["filename"], "unknown");
    assert_eq!(pcap["length"], 11);
    Ok(())
}
