//! Create.md 5.17: screenshots.

use anyhow::{Context, Result};
use critd_tests::{Answer, Server, json};

use crate::files::{Fields, download, opened, refusal, send, send_as};

const PNG: &[u8] = include_bytes!("fixtures/pic.png");

/// POST of a picture for an event.
async fn post(
    server: &Server,
    event: &str,
    name: &str,
    bytes: &[u8],
    more: Fields<'_>,
) -> Result<Answer> {
    let fields = [
        ("upload_type", "screenshot"),
        ("source", "Alpha"),
        ("oid", event),
        ("otype", "Event"),
    ];
    let fields: Vec<_> = fields.into_iter().chain(more.iter().copied()).collect();
    send(server, "screenshots", &fields, Some((name, bytes))).await
}

#[tokio::test]
async fn create_5_17_a_picture_is_stored_in_the_originals_shape() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    let more = [
        ("description", "lure document"),
        ("tags", " invoice-lure, ,x,x"),
        ("tlp", "green"),
    ];
    let answer = post(&server, &event, "dir/lure.png", PNG, &more).await?;
    let body = answer.json();
    let id = answer.created_id()?;
    assert_eq!(
        body,
        json!({"return_code": 0, "type": "Screenshot", "id": id, "message": "Screenshot(s) successfully uploaded!", "url": format!("/api/v1/screenshots/{id}/"), "created": true})
    );
    let mut screenshot = server.document("screenshots", &id).await?;
    for field in ["screenshot", "thumb"] {
        assert_eq!(
            screenshot[field].as_str().map(str::len),
            Some(24),
            "J7: {field}"
        );
    }
    assert_ne!(screenshot["screenshot"], screenshot["thumb"]);
    let md5 = screenshot["md5"].as_str().context("md5")?.to_owned();
    assert_eq!(screenshot["source"][0]["name"], "Alpha");
    let object = screenshot.as_object_mut().context("an object")?;
    for varying in [
        "created",
        "modified",
        "screenshot",
        "thumb",
        "source",
        "md5",
    ] {
        assert!(object.remove(varying).is_some(), "{varying}");
    }
    assert_eq!(
        screenshot,
        json!({"_id": id, "schema_version": 1, "analyst": "admin", "description": "lure document", "filename": "lure.png", "width": 200, "height": 100,
            "tags": ["invoice-lure", "x"], "unsupported_attrs": {"tlp": "green"}})
    );
    let event = server.document("events", &event).await?;
    assert_eq!(event["screenshots"], json!([id]));

    // F5: the entry is named as a picture and never transformed.
    let archive = download(
        &server,
        &format!("/api/v1/screenshots/{id}/?file_format=base64"),
    )
    .await?;
    let files = opened(&archive)?;
    let picture = &files[&format!("{md5}.png")];
    assert_eq!(picture[..8], *b"\x89PNG\r\n\x1a\n");
    assert_eq!(picture[16..24], [0, 0, 0, 200, 0, 0, 0, 100]);
    Ok(())
}

#[tokio::test]
async fn create_5_17_pictures_of_all_kinds_become_png() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    let pictures: [(&str, &[u8]); 4] = [
        ("a.png", PNG),
        ("a.jpg", include_bytes!("fixtures/pic.jpeg")),
        ("a.gif", include_bytes!("fixtures/pic.gif")),
        ("a.webp", include_bytes!("fixtures/pic.webp")),
    ];
    for (name, bytes) in pictures {
        let id = post(&server, &event, name, bytes, &[])
            .await?
            .created_id()?;
        let screenshot = server.document("screenshots", &id).await?;
        assert_eq!(screenshot["width"], 200, "{name}");
        let archive = download(&server, &format!("/api/v1/screenshots/{id}/")).await?;
        for (_, picture) in opened(&archive)? {
            assert_eq!(picture[..8], *b"\x89PNG\r\n\x1a\n", "{name}");
        }
    }
    let event = server.document("events", &event).await?;
    assert_eq!(event["screenshots"].as_array().map(Vec::len), Some(4));
    // F5: lists too.
    let files = opened(&download(&server, "/api/v1/screenshots/").await?)?;
    assert_eq!(files.len(), 4);
    Ok(())
}

/// One row: fields besides those of a good upload that they replace, file, message.
type Row = (Fields<'static>, Option<&'static [u8]>, &'static str);

const REFUSALS: &[Row] = &[
    (
        &[("upload_type", "")],
        Some(PNG),
        "Must provide an upload type.",
    ),
    (
        &[("upload_type", "nonsense")],
        Some(PNG),
        "Not a valid upload type.",
    ),
    (
        &[("oid", "")],
        None,
        "Upload type of 'screenshot' but no file uploaded.",
    ),
    (
        &[("oid", "")],
        Some(PNG),
        "You must provide a valid set of information.",
    ),
    (
        &[("otype", "")],
        Some(PNG),
        "You must provide a valid set of information.",
    ),
    (
        &[("source", "")],
        Some(PNG),
        "You must provide a valid set of information.",
    ),
    (
        &[("upload_type", "ids")],
        Some(PNG),
        "You must provide a valid set of information.",
    ),
    (
        &[("otype", "Nonsense")],
        Some(PNG),
        "Could not find the top-level object.",
    ),
    (
        &[("oid", "5b2c3d4e5f60718293a4b5c6")],
        Some(PNG),
        "Could not find the top-level object.",
    ),
    (
        &[("oid", "xyz")],
        Some(PNG),
        "Could not find the top-level object.",
    ),
    (&[], Some(b"no picture"), "Invalid image file."),
    (&[], Some(b""), "Invalid image file."),
    (
        &[("source", "Nowhere")],
        Some(PNG),
        "User does not have permission to add object using source Nowhere.",
    ),
    (
        &[
            ("upload_type", "ids"),
            ("screenshot_ids", "5b2c3d4e5f60718293a4b5c6, xyz"),
        ],
        None,
        "No valid screenshots found.",
    ),
];

#[tokio::test]
async fn create_5_17_every_refusal_in_its_words() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    for (fields, file, message) in REFUSALS {
        let good = [
            ("upload_type", "screenshot"),
            ("source", "Alpha"),
            ("oid", event.as_str()),
            ("otype", "Event"),
        ];
        let kept = good
            .into_iter()
            .filter(|(name, _)| !fields.iter().any(|(other, _)| other == name));
        let sent: Vec<_> = kept.chain(fields.iter().copied()).collect();
        let file = file.map(|bytes| ("lure.png", bytes));
        let answer = send(&server, "screenshots", &sent, file).await?;
        assert_eq!(refusal(&answer)?, *message, "{fields:?}");
    }
    assert_eq!(server.count("screenshots").await?, 0);
    assert_eq!(
        server.document("events", &event).await?["screenshots"],
        json!([])
    );
    Ok(())
}

/// The flag is that of the object's type; reading needs none, but S1 holds.
#[tokio::test]
async fn create_5_17_the_flag_is_that_of_the_object() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    let fields = [
        ("upload_type", "screenshot"),
        ("source", "Alpha"),
        ("oid", event.as_str()),
        ("otype", "events"),
    ];
    let rights: &[(&str, &[&str])] = &[("Alpha", &["--read", "--write", "--tlp", "amber"])];
    let may_not = server.add_user("maynot", &["Event.read", "Event.write"], rights)?;
    let answer = send_as(&server, &may_not, "screenshots", &fields, Some(("a", PNG))).await?;
    assert_eq!(
        refusal(&answer)?,
        "User does not have permission to create Object."
    );
    let may = server.add_user("may", &["Event.screenshots_add"], rights)?;
    let id = send_as(&server, &may, "screenshots", &fields, Some(("a", PNG)))
        .await?
        .created_id()?;
    let path = format!("/api/v1/screenshots/{id}/");
    assert_eq!(server.get_as(&may_not, &path).await?.status, 200);
    assert_eq!(
        server
            .get_as(&may_not, &format!("{path}?file=1"))
            .await?
            .status,
        200
    );
    Ok(())
}

/// Rule S9.
#[tokio::test]
async fn s9_screenshots_of_foreign_sources_are_not_seen() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    let id = post(&server, &event, "a.png", PNG, &[])
        .await?
        .created_id()?;
    let stranger = server.add_user(
        "stranger",
        &["Event.read"],
        &[("Beta", &["--read", "--tlp", "amber"])],
    )?;
    for path in [
        format!("/api/v1/screenshots/{id}/"),
        format!("/api/v1/screenshots/{id}/?file=1"),
    ] {
        assert_eq!(server.get_as(&stranger, &path).await?.status, 404, "{path}");
    }
    let list = server
        .get_as(&stranger, "/api/v1/screenshots/")
        .await?
        .json();
    assert_eq!(list["meta"]["total_count"], 0);
    Ok(())
}

#[tokio::test]
async fn create_5_17_a_second_post_adds_tags_and_source_and_no_second_id() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    let first = [("tags", "a"), ("description", "first")];
    let id = post(&server, &event, "a.png", PNG, &first)
        .await?
        .created_id()?;
    let second = [("tags", "a,b"), ("description", "second"), ("method", "m")];
    let again = post(&server, &event, "b.png", PNG, &second).await?;
    assert_eq!(again.created_id()?, id);
    let screenshot = server.document("screenshots", &id).await?;
    assert_eq!(screenshot["tags"], json!(["a", "b"]));
    assert_eq!(screenshot["description"], "first");
    assert_eq!(screenshot["filename"], "a.png");
    assert_eq!(
        screenshot["source"][0]["instances"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_ne!(screenshot["modified"], screenshot["created"]);
    let event = server.document("events", &event).await?;
    assert_eq!(event["screenshots"], json!([id]));
    Ok(())
}

#[tokio::test]
async fn create_5_17_ids_give_screenshots_to_another_object() -> Result<()> {
    let server = Server::start().await?;
    let (first, other) = (server.event("Wave").await?, server.event("Other").await?);
    let png = post(&server, &first, "a.png", PNG, &[])
        .await?
        .created_id()?;
    let gif = include_bytes!("fixtures/pic.gif");
    let gif = post(&server, &first, "a.gif", gif, &[])
        .await?
        .created_id()?;
    let ids = format!(
        " {} ,5b2c3d4e5f60718293a4b5c6,{gif}, nonsense",
        png.to_uppercase()
    );
    let fields = [
        ("upload_type", "ids"),
        ("screenshot_ids", ids.as_str()),
        ("source", "Beta"),
        ("oid", other.as_str()),
        ("otype", "Event"),
        ("tags", "t"),
    ];
    for _ in 0..2 {
        let answer = send(&server, "screenshots", &fields, None).await?;
        assert_eq!(answer.created_id()?, gif, "the last one");
    }
    let other = server.document("events", &other).await?;
    assert_eq!(other["screenshots"], json!([png, gif]));
    let screenshot = server.document("screenshots", &png).await?;
    assert_eq!(screenshot["tags"], json!(["t"]));
    assert_eq!(screenshot["source"][1]["name"], "Beta");
    Ok(())
}

/// Checks UP-10: sizes are looked at before anything is decoded; what a picture hides is not kept.
#[tokio::test]
async fn up_10_pictures_that_are_none() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    let mut large = PNG.to_vec();
    large[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let mut crc = flate2::Crc::new();
    crc.update(&large[12..29]);
    large[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
    let gif = b"GIF89a/*<svg/onload=alert(1)>*/=1;";
    for bytes in [&large[..], svg, gif, &PNG[..60], b"\xff\xd8\xff\xe0"] {
        let answer = post(&server, &event, "a.png", bytes, &[]).await?;
        assert_eq!(refusal(&answer)?, "Invalid image file.");
    }
    assert_eq!(server.count("screenshots").await?, 0);

    // A picture with a page behind it: what is kept is drawn anew.
    let polyglot = [PNG, b"<script>alert(1)</script>"].concat();
    let id = post(&server, &event, "a.png", &polyglot, &[])
        .await?
        .created_id()?;
    let archive = download(&server, &format!("/api/v1/screenshots/{id}/")).await?;
    for (_, picture) in opened(&archive)? {
        assert!(!picture.windows(8).any(|part| part == b"<script>"));
    }
    Ok(())
}

/// Objects that have no screenshots.
#[tokio::test]
async fn create_5_17_not_every_object_has_screenshots() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    let id = post(&server, &event, "a.png", PNG, &[])
        .await?
        .created_id()?;
    let fields = [
        ("upload_type", "screenshot"),
        ("source", "Alpha"),
        ("oid", id.as_str()),
        ("otype", "Screenshot"),
    ];
    let answer = send(&server, "screenshots", &fields, Some(("a", PNG))).await?;
    assert_eq!(refusal(&answer)?, "Could not find the top-level object.");
    Ok(())
}
