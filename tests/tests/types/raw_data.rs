//! create.md 5.15, documents.md 3.15.

use anyhow::Result;
use critd_tests::{Answer, Json, Server, admin, json};

use crate::refusals::{Form, expect, expect_as, made, relationships, sources};

const ONE: &str = "6f1b0c1e-0000-4000-8000-00000000beef";
const OTHER: &str = "00000000-0000-4000-8000-0000000000aa";

const ROWS: &[(Form, &str)] = &[
    (&[("title", "t")], "Must provide an upload type."),
    (
        &[("upload_type", "carrier pigeon")],
        "Not a valid upload type.",
    ),
    (
        &[("upload_type", "file"), ("data", "x")],
        "Upload type of 'file' but no file uploaded.",
    ),
    (&[("upload_type", "metadata")], "Must provide a title."),
    (
        &[("upload_type", "metadata"), ("title", "t"), ("data", "x")],
        "Must provide a data type.",
    ),
    (
        &[
            ("upload_type", "metadata"),
            ("title", "t"),
            ("data_type", "Zoo"),
        ],
        "No data object, title, or data type passed in",
    ),
    (
        &[
            ("upload_type", "metadata"),
            ("title", "t"),
            ("data_type", "Zoo"),
            ("data", "x"),
        ],
        "Missing source information.",
    ),
    (
        &[
            ("upload_type", "metadata"),
            ("title", "t"),
            ("data_type", "Zoo"),
            ("data", "x"),
            ("source", "Nowhere"),
            ("link_id", "no"),
        ],
        "Invalid data type passed in",
    ),
    (
        &[
            ("upload_type", "metadata"),
            ("title", "t"),
            ("data_type", "Text"),
            ("data", "x"),
            ("source", "Nowhere"),
            ("link_id", "no"),
        ],
        "Invalid link_id.",
    ),
    (
        &[
            ("upload_type", "metadata"),
            ("title", "t"),
            ("data_type", "Text"),
            ("data", "x"),
            ("source", "Nowhere"),
        ],
        "User does not have permission to add object using source Nowhere.",
    ),
];

#[tokio::test]
async fn create_5_15_validation_rows() -> Result<()> {
    let server = Server::start().await?;
    expect(&server, "raw_data", ROWS).await?;
    // The right to create comes after what must be provided, before the data is looked at.
    let user = server.add_user(
        "reader",
        &["RawData.read"],
        &[("Alpha", &["--read", "--write"])],
    )?;
    let good: Form = &[
        ("upload_type", "metadata"),
        ("title", "t"),
        ("data_type", "Text"),
        ("data", "x"),
        ("source", "Alpha"),
    ];
    for (form, message) in [
        (&good[..0], "Must provide an upload type."),
        (&good[..1], "Must provide a title."),
        (&good[..2], "Must provide a data type."),
        (
            &good[..3],
            "User does not have permission to create Object.",
        ),
        (good, "User does not have permission to create Object."),
    ] {
        expect_as(&server, &user, "raw_data", form, message).await?;
    }
    assert_eq!(server.count("raw_data").await?, 0);
    Ok(())
}

async fn stored(server: &Server, answer: &Answer) -> Result<Json> {
    let answer = answer.json();
    let id = made(&answer, "Uploaded raw_data")?;
    assert_eq!(
        (&answer["type"], &answer["url"]),
        (&json!("RawData"), &json!(format!("/api/v1/raw_data/{id}/")))
    );
    server.document("raw_data", &id).await
}

async fn post(server: &Server, data: &str, more: &[(&str, &str)]) -> Result<Json> {
    let mut form = vec![
        ("upload_type", "metadata"),
        ("data", data),
        ("title", "Raw"),
        ("data_type", "Text"),
        ("source", "Alpha"),
    ];
    form.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    form.extend(more);
    let answer = server.post("/api/v1/raw_data/", &form).await?;
    stored(server, &answer).await
}

async fn upload(server: &Server, bytes: &[u8]) -> Result<Answer> {
    let file = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name("log.txt");
    let mut form = reqwest::multipart::Form::new().part("filedata", file);
    for (name, value) in [
        ("upload_type", "file"),
        ("title", "Raw"),
        ("data_type", "Text"),
        ("source", "Alpha"),
    ] {
        form = form.text(name, value);
    }
    let user = admin();
    let url = format!(
        "{}/api/v1/raw_data/?username={}&api_key={}",
        server.url(),
        user.name,
        user.key
    );
    server.send(server.client().post(url).multipart(form)).await
}

#[tokio::test]
async fn create_5_15_stored_form_and_second_post() -> Result<()> {
    let server = Server::start().await?;
    let data = " line one\nline two ";
    let mut first = post(
        &server,
        data,
        &[
            ("upload_type", "METADATA"),
            ("description", " d "),
            ("tool_name", "grep"),
            ("tool_version", "3.1"),
        ],
    )
    .await?;
    let (id, link, now) = (
        first["_id"].clone(),
        first["link_id"].clone(),
        first["created"].clone(),
    );
    assert_eq!(link.as_str().map(str::len), Some(36));
    assert_eq!(
        first["source"],
        json!([{"name": "Alpha", "instances": [{"analyst": "admin", "date": now, "method": "Upload", "reference": "", "tlp": "amber"}]}])
    );
    for varying in ["created", "modified", "source"] {
        first.as_object_mut().map(|object| object.remove(varying));
    }
    assert_eq!(
        first,
        json!({"_id": id, "schema_version": 2, "status": "New", "tlp": "amber", "title": "Raw", "data_type": "Text", "data": data,
            "md5": "7c4e6d897e1d7e91053b2b5735d348df", "link_id": link, "version": 1, "tool": {"name": "grep", "version": "3.1", "details": ""},
            "description": "d", "highlights": [], "inlines": [],
            "actions": [], "bucket_list": [], "campaign": [], "locations": [], "objects": [], "relationships": [], "releasability": [],
            "screenshots": [], "sectors": [], "tickets": [], "unsupported_attrs": {}})
    );
    let second = post(
        &server,
        data,
        &[
            ("title", "Other"),
            ("data_type", "JSON"),
            ("description", "other"),
            ("tool_name", "sed"),
            ("source", "Beta"),
            ("method", ""),
            ("bucket_list", "b"),
            ("campaign", "Bear"),
            ("ticket", "T-1"),
        ],
    )
    .await?;
    assert_eq!(second["_id"], id);
    assert_eq!(
        sources(&second),
        [("Alpha".to_owned(), 1), ("Beta".to_owned(), 1)]
    );
    assert_eq!(second["source"][1]["instances"][0]["method"], "Upload");
    for unchanged in [
        "title",
        "data_type",
        "description",
        "tool",
        "link_id",
        "version",
    ] {
        assert_eq!(second[unchanged], first[unchanged], "{unchanged}");
    }
    assert_eq!(
        (
            &second["bucket_list"],
            &second["campaign"][0]["name"],
            &second["tickets"][0]["ticket_number"]
        ),
        (&json!(["b"]), &json!("Bear"), &json!("T-1"))
    );
    assert_eq!(server.count("raw_data").await?, 1);
    Ok(())
}

/// Somebody else's data that is posted again becomes visible to whoever had it too.
#[tokio::test]
async fn create_5_15_equal_bytes_are_one_object_for_everybody() -> Result<()> {
    let server = Server::start().await?;
    let hidden = post(&server, "line", &[]).await?;
    let bob = server.add_user(
        "bob",
        &["RawData.read", "RawData.write"],
        &[("Beta", &["--read", "--write", "--tlp", "amber"])],
    )?;
    let id = hidden["_id"].as_str().unwrap_or_default();
    let path = format!("/api/v1/raw_data/{id}/");
    assert_eq!(server.get_as(&bob, &path).await?.status, 404);
    let form = [
        ("upload_type", "metadata"),
        ("data", "line"),
        ("title", "Mine"),
        ("data_type", "Text"),
        ("source", "Beta"),
    ];
    let again = server.post_as(&bob, "/api/v1/raw_data/", &form).await?;
    assert_eq!(again.created_id()?, id);
    assert_eq!(server.get_as(&bob, &path).await?.json()["title"], "Raw");
    Ok(())
}

/// O25: bytes of any kind are kept, and their MD5 is that of what was sent.
#[tokio::test]
async fn o25_files_that_are_no_utf_8_lose_nothing() -> Result<()> {
    let server = Server::start().await?;
    for (bytes, data, encoding, md5) in [
        (
            "grün 发票\n".as_bytes(),
            "grün 发票\n",
            Json::Null,
            "cf6134d1a3a189880d69a5cbcdc9a544",
        ),
        (
            b"gr\xfcn",
            "grün",
            json!("iso-8859-1"),
            "3b3c723fdc3b91ac2084b67e93e1a5e8",
        ),
        (
            b"a\0b",
            "a\0b",
            Json::Null,
            "70350f6027bce3713f6b76473084309b",
        ),
        (
            b"\xff\xfe\0\x80",
            "\u{ff}\u{fe}\0\u{80}",
            json!("iso-8859-1"),
            "befdd6d5dd41ec321ab57139806edbb1",
        ),
    ] {
        let document = stored(&server, &upload(&server, bytes).await?).await?;
        assert_eq!(
            (
                &document["data"],
                &document["md5"],
                &document["data_encoding"]
            ),
            (&json!(data), &json!(md5), &encoding),
            "{bytes:?}"
        );
        // The text in the argument `data` is that of its UTF-8 bytes: another object, if the file was no UTF-8.
        let as_text = post(&server, data, &[]).await?;
        assert_eq!(
            as_text["_id"] == document["_id"],
            encoding == Json::Null,
            "{bytes:?}"
        );
    }
    let empty = upload(&server, b"").await?.json();
    assert_eq!(
        empty["message"],
        "No data object, title, or data type passed in"
    );
    let large = upload(&server, &vec![b'a'; (4 << 20) + 1]).await?.json();
    assert_eq!(
        (&large["return_code"], large["message"].as_str()),
        (&json!(1), Some("Raw data can't be longer than 4 MiB."))
    );
    let largest = upload(&server, &vec![b'a'; 4 << 20]).await?;
    assert_eq!(
        stored(&server, &largest).await?["data"]
            .as_str()
            .map(str::len),
        Some(4 << 20)
    );
    Ok(())
}

/// Chains of versions: who joins, who stays, who moves, and what is copied.
#[tokio::test]
async fn create_5_15_version_chains() -> Result<()> {
    let server = Server::start().await?;
    let (event, domain) = (
        server.event("Invoice wave").await?,
        server
            .post(
                "/api/v1/domains/",
                &[("domain", "example.com"), ("source", "Alpha")],
            )
            .await?
            .created_id()?,
    );
    let version = |document: &Json| (document["link_id"].clone(), document["version"].clone());
    let one = post(
        &server,
        "one",
        &[
            ("link_id", ONE),
            ("related_id", &event),
            ("related_type", "Event"),
            ("relationship", "Related To"),
        ],
    )
    .await?;
    assert_eq!(version(&one), (json!(ONE), json!(1)));
    let two = post(
        &server,
        "two",
        &[
            ("link_id", ONE),
            ("copy_relationships", "1"),
            ("related_id", &domain),
            ("related_type", "Domain"),
            ("relationship", "Connected To"),
        ],
    )
    .await?;
    assert_eq!(version(&two), (json!(ONE), json!(2)));
    assert_eq!(
        relationships(&two),
        [
            ("Related To", event.as_str()),
            ("Connected To", domain.as_str())
        ]
    );
    // Both sides, with the date of the copied one.
    assert_eq!(
        two["relationships"][0]["relationship_date"],
        one["relationships"][0]["relationship_date"]
    );
    let partner = server.document("events", &event).await?;
    assert_eq!(partner["relationships"].as_array().map(Vec::len), Some(2));
    // From the highest version, not from the first.
    let three = post(
        &server,
        "three",
        &[("link_id", ONE), ("copy_relationships", "1")],
    )
    .await?;
    assert_eq!(version(&three), (json!(ONE), json!(3)));
    assert_eq!(relationships(&three).len(), 2);
    // A member stays where it is, with and without the link.
    for more in [&[("link_id", ONE)][..], &[]] {
        assert_eq!(
            version(&post(&server, "one", more).await?),
            (json!(ONE), json!(1))
        );
    }
    // Another link moves it to the end of that chain.
    let other = post(&server, "four", &[("link_id", OTHER)]).await?;
    assert_eq!(version(&other), (json!(OTHER), json!(1)));
    let moved = post(&server, "two", &[("link_id", OTHER)]).await?;
    assert_eq!(
        (moved["_id"].clone(), version(&moved)),
        (two["_id"].clone(), (json!(OTHER), json!(2)))
    );
    // Highest + 1, not the number of members.
    let next = post(&server, "five", &[("link_id", ONE)]).await?;
    assert_eq!(version(&next), (json!(ONE), json!(4)));
    // Without a link: a chain of its own, nothing to copy.
    let alone = post(&server, "six", &[("copy_relationships", "1")]).await?;
    assert_eq!(alone["version"], 1);
    assert!(relationships(&alone).is_empty());
    assert_ne!(alone["link_id"], json!(ONE));
    Ok(())
}

/// A long chain: the highest version is found without opening all of them.
#[tokio::test]
async fn create_5_15_forty_versions() -> Result<()> {
    let server = Server::start().await?;
    for number in 1..=40 {
        let made = post(&server, &format!("line {number}"), &[("link_id", ONE)]).await?;
        assert_eq!(made["version"], number);
    }
    Ok(())
}
