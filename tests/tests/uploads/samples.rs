//! Create.md 5.16: samples, raw or known by their digests.

use anyhow::{Context, Result};
use critd_tests::{Json, Server, json};

use crate::files::{Fields, download, opened, pair, refusal, relations, send, send_as};
use crate::pcaps::{self, CAPTURE};

pub(crate) const HELLO: &[u8] = b"hello\n";
const MD5: &str = "b1946ac92492d2347c6235b4d2611184";
const SHA1: &str = "f572d396fae9206628714fb2ce00f72e94f2258f";
const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

/// The fields of a raw upload.
pub(crate) const FILE: [(&str, &str); 2] = [("upload_type", "file"), ("source", "Alpha")];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    FILE.into_iter().chain(more.iter().copied()).collect()
}

/// A metadata upload of [`MD5`].
fn metadata<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let fields = [
        ("upload_type", "metadata"),
        ("source", "Alpha"),
        ("md5", MD5),
    ];
    fields.into_iter().chain(more.iter().copied()).collect()
}

/// The names of the sources, and the methods of their instances.
pub(crate) fn methods(document: &Json) -> Vec<String> {
    let sources = document["source"].as_array().into_iter().flatten();
    sources
        .flat_map(|source| source["instances"].as_array().into_iter().flatten())
        .map(|instance| instance["method"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn create_5_16_a_file_is_stored_in_the_originals_shape() -> Result<()> {
    let server = Server::start().await?;
    let fields = with(&[
        ("method", "mail gateway"),
        ("description", "d"),
        ("md5", "ignored, as bytes speak for themselves"),
        ("mimetype", "text/html"),
    ]);
    let answer = send(&server, "samples", &fields, Some(("a/b/hello.txt", HELLO))).await?;
    let body = answer.json();
    let id = answer.created_id()?;
    assert_eq!(
        body,
        json!({"return_code": 0, "type": "Sample", "id": id, "message": format!("Success: Added new sample {MD5}."), "url": format!("/api/v1/samples/{id}/"), "created": true})
    );
    let mut sample = server.document("samples", &id).await?;
    // J7: the live original shows a sample's bytes.
    assert_eq!(sample["filedata"], "aGVsbG8K");
    assert_eq!(methods(&sample), ["File Upload - mail gateway"]);
    let object = sample.as_object_mut().context("an object")?;
    for varying in ["created", "modified", "filedata", "source"] {
        assert!(object.remove(varying).is_some(), "{varying}");
    }
    assert_eq!(
        sample,
        json!({"_id": id, "schema_version": 5, "status": "New", "tlp": "amber", "filename": "hello.txt", "filenames": [], "size": 6,
            "filetype": "ASCII text", "mimetype": "text/plain", "md5": MD5, "sha1": SHA1, "sha256": SHA256, "ssdeep": "3:iKv:B", "description": "d",
            "actions": [], "bucket_list": [], "campaign": [], "locations": [], "objects": [], "relationships": [], "releasability": [],
            "screenshots": [], "sectors": [], "tickets": [], "unsupported_attrs": {}})
    );
    let archive = download(&server, &format!("/api/v1/samples/{id}/")).await?;
    assert_eq!(opened(&archive)?[MD5], HELLO);
    Ok(())
}

/// One row: fields, file, message.
type Row = (Fields<'static>, Option<&'static [u8]>, &'static str);

const REFUSALS: &[Row] = &[
    (
        &[("source", "Alpha")],
        Some(HELLO),
        "Must provide an upload type.",
    ),
    (
        &[("source", "Alpha"), ("upload_type", "nonsense")],
        Some(HELLO),
        "Not a valid upload type.",
    ),
    (&FILE, None, "Upload type of 'file' but no file uploaded."),
    (
        &[
            ("upload_type", "file"),
            ("source", "Alpha"),
            ("related_id", "5b2c3d4e5f60718293a4b5c6"),
        ],
        Some(HELLO),
        "Must specify related_type and related_id",
    ),
    (
        &[
            ("upload_type", "file"),
            ("source", "Alpha"),
            ("related_type", "Event"),
        ],
        Some(HELLO),
        "Must specify related_type and related_id",
    ),
    (
        &[("upload_type", "file")],
        Some(HELLO),
        "Missing source information.",
    ),
    (&FILE, Some(b""), "At least MD5 hash is required."),
    (
        &[
            ("upload_type", "metadata"),
            ("source", "Alpha"),
            ("sha1", SHA1),
        ],
        None,
        "At least MD5 hash is required.",
    ),
    (
        &[
            ("upload_type", "metadata"),
            ("source", "Alpha"),
            ("md5", "b1946ac92492d2347c6235b4d261118"),
        ],
        None,
        "The MD5 digest needs to be 32 hex characters.",
    ),
    (
        &[
            ("upload_type", "metadata"),
            ("source", "Alpha"),
            ("md5", MD5),
            ("sha1", "xyz"),
        ],
        None,
        "The SHA1 digest needs to be 40 hex characters.",
    ),
    (
        &[
            ("upload_type", "metadata"),
            ("source", "Alpha"),
            ("md5", MD5),
            ("sha256", SHA1),
        ],
        None,
        "The SHA256 digest needs to be 64 hex characters.",
    ),
    (
        &[
            ("upload_type", "file"),
            ("source", "Nowhere"),
            ("related_id", "5b2c3d4e5f60718293a4b5c6"),
            ("related_type", "Event"),
        ],
        Some(HELLO),
        " Related 5b2c3d4e5f60718293a4b5c6 not found. Sample not uploaded.",
    ),
    (
        &[
            ("upload_type", "file"),
            ("source", "Alpha"),
            ("related_md5", SHA1),
        ],
        Some(HELLO),
        " Related f572d396fae9206628714fb2ce00f72e94f2258f not found. Sample not uploaded.",
    ),
    (
        &[("upload_type", "file"), ("source", "Nowhere")],
        Some(HELLO),
        "User does not have permission to add object using source Nowhere.",
    ),
    (
        &[
            ("upload_type", "metadata"),
            ("source", "Alpha"),
            ("md5", MD5),
            ("size", "many"),
        ],
        None,
        "Argument 'size' must be an integer.",
    ),
    (
        &[
            ("upload_type", "file"),
            ("source", "Alpha"),
            ("file_format", "arj"),
        ],
        Some(HELLO),
        "'arj' is not a valid file format.",
    ),
    (
        &[
            ("upload_type", "file"),
            ("source", "Alpha"),
            ("tlp", "purple"),
        ],
        Some(HELLO),
        "'purple' is not a valid TLP.",
    ),
];

#[tokio::test]
async fn create_5_16_every_refusal_in_its_words() -> Result<()> {
    let server = Server::start().await?;
    for (fields, file, message) in REFUSALS {
        let file = file.map(|bytes| ("hello.txt", bytes));
        let answer = send(&server, "samples", fields, file).await?;
        assert_eq!(refusal(&answer)?, *message, "{fields:?}");
    }
    let reader = server.add_user("reader", &["Sample.read"], &[("Alpha", &["--write"])])?;
    let answer = send_as(&server, &reader, "samples", &FILE, Some(("h", HELLO))).await?;
    assert_eq!(
        refusal(&answer)?,
        "User does not have permission to create Object."
    );
    assert_eq!(server.count("samples").await?, 0);
    Ok(())
}

#[tokio::test]
async fn o29_metadata_has_all_digests() -> Result<()> {
    let server = Server::start().await?;
    let upper = SHA1.to_uppercase();
    let fields = metadata(&[
        ("sha1", &upper),
        ("sha256", SHA256),
        ("size", "6"),
        ("filename", "hello.txt"),
        ("mimetype", "text/x-greeting"),
        ("method", "feed"),
    ]);
    let answer = send(&server, "samples", &fields, None).await?;
    let id = answer.created_id()?;
    let sample = server.document("samples", &id).await?;
    for (field, value) in [
        ("md5", json!(MD5)),
        ("sha1", json!(SHA1)),
        ("sha256", json!(SHA256)),
        ("size", json!(6)),
        ("filename", json!("hello.txt")),
        ("mimetype", json!("text/x-greeting")),
    ] {
        assert_eq!(sample[field], value, "{field}");
    }
    assert_eq!(methods(&sample), ["Metadata Upload - feed"]);
    assert_eq!(sample.get("filedata"), None);

    // A client calls it `meta`; without a size, none is lost.
    let fields = [("upload_type", "meta"), ("source", "Alpha"), ("md5", MD5)];
    let again = send(&server, "samples", &fields, None).await?;
    assert_eq!(again.created_id()?, id);
    assert_eq!(
        again.json()["message"],
        format!("Success: Updated sample {MD5}.")
    );
    assert_eq!(server.document("samples", &id).await?["size"], 6);

    let fields = [
        ("upload_type", "metadata"),
        ("source", "Alpha"),
        ("sha256", SHA256),
    ];
    let answer = send(&server, "samples", &fields, None).await?;
    assert_eq!(refusal(&answer)?, "At least MD5 hash is required.");
    Ok(())
}

#[tokio::test]
async fn o37_a_sample_without_bytes_has_no_file() -> Result<()> {
    let server = Server::start().await?;
    let id = send(&server, "samples", &metadata(&[]), None)
        .await?
        .created_id()?;
    let path = format!("/api/v1/samples/{id}/");
    assert_eq!(download(&server, &path).await?, b"No files found!");
    let other = send(&server, "samples", &FILE, Some(("other", b"other")))
        .await?
        .created_id()?;
    let files = opened(&download(&server, "/api/v1/samples/").await?)?;
    let other = server.document("samples", &other).await?;
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        [other["md5"].as_str().context("md5")?]
    );
    Ok(())
}

#[tokio::test]
async fn create_5_16_a_second_post_adds_what_is_new() -> Result<()> {
    let server = Server::start().await?;
    let id = send(
        &server,
        "samples",
        &metadata(&[("filename", "first.txt"), ("size", "99")]),
        None,
    )
    .await?
    .created_id()?;
    // Bytes are added where there were none, and what was told of them is corrected.
    let fields = with(&[
        ("description", "one"),
        ("campaign", "Bear"),
        ("bucket_list", "a"),
    ]);
    let again = send(&server, "samples", &fields, Some(("second.txt", HELLO))).await?;
    assert_eq!(again.created_id()?, id);
    assert_eq!(again.json()["created"], false);
    let sample = server.document("samples", &id).await?;
    assert_eq!(sample["filename"], "first.txt");
    assert_eq!(sample["filenames"], json!(["second.txt"]));
    assert_eq!(sample["size"], 6);
    assert_eq!(sample["sha256"], SHA256);
    assert_eq!(sample["filedata"], "aGVsbG8K");
    assert_eq!(sample["description"], "one");

    // The same again, and what metadata say of bytes that are there: no change; another description: a line of its own.
    let fields = metadata(&[
        ("filename", "second.txt"),
        ("sha1", "0123456789abcdef0123456789abcdef01234567"),
        ("size", "1"),
        ("description", "two"),
        ("campaign", "Bear"),
        ("confidence", "high"),
        ("bucket_list", "a,b"),
        ("ticket", "T"),
    ]);
    send(&server, "samples", &fields, None)
        .await?
        .created_id()?;
    let sample = server.document("samples", &id).await?;
    assert_eq!(sample["filenames"], json!(["second.txt"]));
    assert_eq!(sample["sha1"], SHA1);
    assert_eq!(sample["size"], 6);
    assert_eq!(sample["description"], "one\ntwo");
    assert_eq!(sample["campaign"][0]["confidence"], "high");
    assert_eq!(sample["bucket_list"], json!(["a", "b"]));
    assert_eq!(sample["tickets"][0]["ticket_number"], "T");
    assert_eq!(
        methods(&sample),
        ["Metadata Upload", "File Upload", "Metadata Upload"]
    );
    Ok(())
}

#[tokio::test]
async fn create_5_16_a_name_goes_before_that_of_the_part() -> Result<()> {
    let server = Server::start().await?;
    let fields = with(&[("filename", "invoice.exe")]);
    let id = send(&server, "samples", &fields, Some(("upload.bin", HELLO)))
        .await?
        .created_id()?;
    assert_eq!(
        server.document("samples", &id).await?["filename"],
        "invoice.exe"
    );
    Ok(())
}

#[tokio::test]
async fn create_5_16_related_objects_and_backdoors() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    let fields = with(&[
        ("related_id", event.as_str()),
        ("related_type", "Event"),
        // None is made, and absence is no error.
        ("backdoor_name", "NoSuchRAT"),
        ("backdoor_version", "1"),
    ]);
    let id = send(&server, "samples", &fields, Some(("h", HELLO)))
        .await?
        .created_id()?;
    let sample = server.document("samples", &id).await?;
    assert_eq!(relations(&sample, &event), pair("Related To", "Event"));
    let event = server.document("events", &event).await?;
    assert_eq!(relations(&event, &id), pair("Related To", "Sample"));

    // An MD5 alone is that of a sample; a relationship may be named; nothing is related to itself.
    let fields = with(&[("related_md5", MD5), ("relationship", "Downloaded By")]);
    let second = send(&server, "samples", &fields, Some(("o", b"other")))
        .await?
        .created_id()?;
    let sample = server.document("samples", &second).await?;
    assert_eq!(relations(&sample, &id), pair("Downloaded By", "Sample"));
    for own in [("related_md5", MD5), ("related_id", id.as_str())] {
        let fields = with(&[own, ("related_type", "Sample")]);
        let again = send(&server, "samples", &fields, Some(("h", HELLO))).await?;
        assert_eq!(again.created_id()?, id);
    }
    let sample = server.document("samples", &id).await?;
    assert_eq!(relations(&sample, &id), []);
    Ok(())
}

#[tokio::test]
async fn create_5_16_a_capture_becomes_one_pcap() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    let fields = with(&[
        ("related_id", event.as_str()),
        ("related_type", "Event"),
        ("relationship", "Contained Within"),
        ("campaign", "Bear"),
        ("bucket_list", "b"),
        ("ticket", "T"),
        ("tlp", "green"),
        ("filename", "net.pcap"),
    ]);
    let answer = send(&server, "samples", &fields, Some(("upload", CAPTURE))).await?;
    let body = answer.json();
    let id = answer.created_id()?;
    assert_eq!(body["type"], "PCAP");
    assert_eq!(
        body["message"],
        format!("Detected a PCAP! New PCAP: {}.", pcaps::MD5)
    );
    assert_eq!(body["url"], format!("/api/v1/pcaps/{id}/"));
    let pcap = server.document("pcaps", &id).await?;
    assert_eq!(pcap["filename"], "net.pcap");
    assert_eq!(pcap["tlp"], "green");
    assert_eq!(pcap["campaign"], json!([]));
    assert_eq!(pcap["bucket_list"], json!(["b"]));
    assert_eq!(pcap["tickets"][0]["ticket_number"], "T");
    assert_eq!(relations(&pcap, &event), pair("Contained Within", "Event"));
    assert_eq!(server.count("samples").await?, 0);

    // A refusal of the PCAP is the answer.
    let fields = with(&[
        ("related_id", "5b2c3d4e5f60718293a4b5c6"),
        ("related_type", "Event"),
    ]);
    let answer = send(&server, "samples", &fields, Some(("n", CAPTURE))).await?;
    assert_eq!(refusal(&answer)?, "Related object not found.");

    // Whoever may not write PCAPs stores a sample.
    let user = server.add_user(
        "user",
        &["Sample.write", "Sample.read"],
        &[("Alpha", &["--read", "--write", "--tlp", "amber"])],
    )?;
    let answer = send_as(&server, &user, "samples", &FILE, Some(("n", CAPTURE))).await?;
    assert_eq!(answer.json()["type"], "Sample", "{}", answer.text);
    assert_eq!(server.count("samples").await?, 1);
    Ok(())
}

/// What `impfuzzy` is made of is a matter of the host's own tests; here: programs have one, other files don't.
#[tokio::test]
async fn create_3_5_other_files_have_no_import_digest() -> Result<()> {
    let server = Server::start().await?;
    let mut program = [0; 64];
    program[..2].copy_from_slice(b"MZ");
    let id = send(&server, "samples", &FILE, Some(("h", &program)))
        .await?
        .created_id()?;
    let sample = server.document("samples", &id).await?;
    assert_eq!(sample.get("impfuzzy"), None);
    assert_eq!(sample["mimetype"], "application/x-dosexec");
    Ok(())
}
