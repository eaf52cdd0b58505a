//! `fields` (create.md 5.8.5).

use anyhow::Result;
use critd_tests::{Server, json};

use crate::method;

#[tokio::test]
async fn create_5_8_5_fields_are_stored() -> Result<()> {
    let server = Server::start().await?;
    let form = [
        ("upload_type", "fields"),
        ("source_name", "Alpha"),
        ("source_reference", "eref"),
        ("date", "2020-01-13 08:00:00"),
        ("to", "t1@example.com, ,t2@example.com"),
        ("cc", "c1@example.com"),
        ("from_address", "f1@example.org"),
        ("sender", "f1@example.org"),
        ("subject", " Subject one "),
        ("reply_to", "r@example.org"),
        ("helo", "h"),
        ("boundary", "b"),
        ("message_id", "<m1@example.org>"),
        ("raw_header", "H: v\n"),
        ("raw_body", " body one\n"),
        ("originating_ip", "192.0.2.7"),
        ("x_originating_ip", "192.0.2.8"),
        ("x_mailer", "xm"),
        ("description", "d"),
        ("campaign", "Bad Guys"),
        ("campaign_confidence", "medium"),
        ("something_else", "x"),
    ];
    let answer = server.post("/api/v1/emails/", &form).await?;
    let mail = server.document("emails", &answer.created_id()?).await?;
    for (field, value) in [
        ("date", json!("2020-01-13 08:00:00")),
        ("isodate", json!("2020-01-13 08:00:00.000000")),
        ("to", json!(["t1@example.com", "t2@example.com"])),
        ("cc", json!(["c1@example.com"])),
        ("from", json!("f1@example.org")),
        ("sender", json!("f1@example.org")),
        ("subject", json!("Subject one")),
        ("reply_to", json!("r@example.org")),
        ("helo", json!("h")),
        ("boundary", json!("b")),
        ("message_id", json!("<m1@example.org>")),
        ("raw_headers", json!("H: v\n")),
        ("raw_body", json!(" body one\n")),
        ("originating_ip", json!("192.0.2.7")),
        ("x_originating_ip", json!("192.0.2.8")),
        ("x_mailer", json!("xm")),
        ("description", json!("d")),
        ("unsupported_attrs", json!({})),
    ] {
        assert_eq!(mail[field], value, "{field}");
    }
    assert_eq!(
        (method(&mail), &mail["campaign"][0]["confidence"]),
        ("Fields Upload", &json!("medium"))
    );
    let warnings = answer.json()["warnings"].to_string();
    assert!(warnings.contains("something_else"), "{warnings}");
    Ok(())
}

/// No date: now. Lists as JSON; `from` for `from_address`.
#[tokio::test]
async fn create_5_8_5_little_is_enough() -> Result<()> {
    let server = Server::start().await?;
    let body = json!({"upload_type": "fields", "source": "Alpha", "from": "f@example.org", "to": ["a@example.com", "b@example.com"]});
    let id = server
        .post_json("/api/v1/emails/", &body)
        .await?
        .created_id()?;
    let mail = server.document("emails", &id).await?;
    assert_eq!(
        (&mail["from"], &mail["to"], &mail["cc"]),
        (
            &json!("f@example.org"),
            &json!(["a@example.com", "b@example.com"]),
            &json!([])
        )
    );
    assert_eq!(
        (&mail["date"], &mail["isodate"]),
        (&mail["created"], &mail["created"])
    );
    Ok(())
}

/// Field case O49 and create.md 1.1: repeated keys of a form.
#[tokio::test]
async fn o49_repeated_keys_are_one_list() -> Result<()> {
    let server = Server::start().await?;
    let form = [
        ("upload_type", "fields"),
        ("source", "Alpha"),
        ("bucket_list", "a"),
        ("bucket_list", "b c"),
        ("to", "x@example.com"),
        ("to", "y@example.com"),
    ];
    let id = server.post("/api/v1/emails/", &form).await?.created_id()?;
    let mail = server.document("emails", &id).await?;
    assert_eq!(
        (&mail["bucket_list"], &mail["to"]),
        (
            &json!(["a", "b c"]),
            &json!(["x@example.com", "y@example.com"])
        )
    );
    Ok(())
}

/// Create.md 5.8: a date that can't be read is kept, without a time.
#[tokio::test]
async fn create_5_8_5_odd_dates_are_kept() -> Result<()> {
    let server = Server::start().await?;
    let form = [
        ("upload_type", "fields"),
        ("source", "Alpha"),
        ("date", "the other day"),
    ];
    let id = server.post("/api/v1/emails/", &form).await?.created_id()?;
    let mail = server.document("emails", &id).await?;
    assert_eq!(
        (&mail["date"], mail.get("isodate")),
        (&json!("the other day"), None)
    );
    Ok(())
}

/// Create.md 2.6: an object that the e-mail is related to.
#[tokio::test]
async fn create_2_6_related_objects() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Wave").await?;
    let form = [
        ("upload_type", "fields"),
        ("source", "Alpha"),
        ("related_id", &event),
        ("related_type", "Event"),
        ("relationship", "Related To"),
    ];
    let id = server.post("/api/v1/emails/", &form).await?.created_id()?;
    let mail = server.document("emails", &id).await?;
    assert_eq!(
        (
            &mail["relationships"][0]["value"],
            &mail["relationships"][0]["type"]
        ),
        (&json!(event), &json!("Event"))
    );
    Ok(())
}
