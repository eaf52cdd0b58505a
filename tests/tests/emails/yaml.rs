//! `yaml` (create.md 5.8.4).

use anyhow::Result;
use critd_tests::{Server, admin, json};

use crate::{file, method, stored, upload_as};

#[tokio::test]
async fn create_5_8_4_yaml_is_stored() -> Result<()> {
    let server = Server::start().await?;
    let yaml = "from: yaml.sender@example.org\nto: [y1@example.com, y2@example.com]\ncc: c@example.com\nSubject: yaml subject\n\
        date: 'Thu, 16 Jan 2020 01:02:03 +0000'\nraw_body: yaml body\nraw-header: 'H: v'\nextra key: kept\nx_originating_ip: 'from 192.0.2.9 (x)'\n\
        status: Analyzed\ntlp: white\ncreated: 2001-01-01\nisodate: 2001-01-01\nsource: forged\ncampaign: forged\nticket: forged\n\
        unsupported_attrs: {lost: 1}\nusername: admin\napi_key: secret\n";
    let mail = stored(&server, "yaml", yaml.as_bytes()).await?;
    for (field, value) in [
        ("from", json!("yaml.sender@example.org")),
        ("to", json!(["y1@example.com", "y2@example.com"])),
        ("cc", json!(["c@example.com"])),
        ("subject", json!("yaml subject")),
        ("date", json!("Thu, 16 Jan 2020 01:02:03 +0000")),
        ("isodate", json!("2020-01-16 01:02:03.000000")),
        ("raw_body", json!("yaml body")),
        ("raw_headers", json!("H: v")),
        ("x_originating_ip", json!("192.0.2.9")),
        ("status", json!("New")),
        ("tlp", json!("amber")),
        ("campaign", json!([])),
        ("tickets", json!([])),
        ("unsupported_attrs", json!({"extra_key": "kept"})),
    ] {
        assert_eq!(mail[field], value, "{field}");
    }
    assert_eq!(
        (method(&mail), &mail["source"][0]["name"]),
        ("YAML Upload", &json!("Alpha"))
    );
    assert!(!mail.to_string().contains("secret"));
    let form = [
        ("upload_type", "yaml"),
        ("source", "Alpha"),
        ("save_unsupported", "true"),
    ];
    let id = upload_as(&server, &admin(), &form, file(yaml.as_bytes()))
        .await?
        .created_id()?;
    assert_eq!(
        server.document("emails", &id).await?["unsupported_attrs"],
        json!({"extra_key": "kept", "lost": 1})
    );
    Ok(())
}

/// `email_id`: only what is named is overwritten, sources stay, the answer has the real id.
#[tokio::test]
async fn create_5_8_4_an_email_is_changed() -> Result<()> {
    let server = Server::start().await?;
    let before = stored(&server, "eml", b"Subject: old\nFrom: f@example.org\nX-Kept: yes\nX-Changed: no\nDate: Thu, 16 Jan 2020 01:02:03 +0000\n\nbody").await?;
    let id = before["_id"].as_str().unwrap_or_default();
    server
        .patch(
            &format!("/api/v1/emails/{id}/"),
            &json!({"action": "status_update", "value": "Analyzed"}),
        )
        .await?;
    let form = [
        ("upload_type", "yaml"),
        ("email_id", id),
        ("bucket_list", "b"),
    ];
    let yaml =
        b"subject: new\nto: t@example.com\nX-Changed: [1, 2]\ndate: tomorrow-ish\nstatus: New\n";
    let answer = upload_as(&server, &admin(), &form, file(yaml)).await?;
    let body = answer.json();
    assert_eq!(
        (
            answer.created_id()?.as_str(),
            &body["url"],
            &body["created"],
            &body["message"]
        ),
        (
            id,
            &json!(format!("/api/v1/emails/{id}/")),
            &json!(false),
            &json!("")
        )
    );
    let after = server.document("emails", id).await?;
    for (field, value) in [
        ("subject", json!("new")),
        ("to", json!(["t@example.com"])),
        ("date", json!("tomorrow-ish")),
        ("status", json!("Analyzed")),
        ("bucket_list", json!(["b"])),
        (
            "unsupported_attrs",
            json!({"x_kept": "yes", "x_changed": [1, 2]}),
        ),
    ] {
        assert_eq!(after[field], value, "{field}");
    }
    assert_eq!(after.get("isodate"), None);
    for field in [
        "from",
        "raw_body",
        "raw_headers",
        "source",
        "tlp",
        "created",
    ] {
        assert_eq!(after[field], before[field], "{field}");
    }
    // A source that is named is added.
    let form = [
        ("upload_type", "yaml"),
        ("email_id", id),
        ("source", "Beta"),
        ("method", "m"),
    ];
    upload_as(&server, &admin(), &form, file(b"subject: newer\n"))
        .await?
        .created_id()?;
    let after = server.document("emails", id).await?;
    assert_eq!(
        (
            &after["source"][1]["name"],
            &after["source"][1]["instances"][0]["method"]
        ),
        (&json!("Beta"), &json!("YAML Upload - m"))
    );
    assert_eq!(server.count("emails").await?, 1);
    Ok(())
}

/// Unknown, malformed, and of a source that the user may not read: all the same to whoever asks.
#[tokio::test]
async fn create_5_8_4_unknown_email_id() -> Result<()> {
    let server = Server::start().await?;
    let hidden = stored(&server, "eml", b"Subject: hidden\n\nb").await?;
    let id = hidden["_id"].as_str().unwrap_or_default();
    let stranger = server.add_user(
        "stranger",
        &["Email.write", "Email.read"],
        &[("Beta", &["--read", "--write", "--tlp", "red"])],
    )?;
    for (user, id) in [
        (&admin(), "5b2c3d4e5f60718293a40001"),
        (&admin(), "nonsense"),
        (&stranger, id),
    ] {
        let form = [
            ("upload_type", "yaml"),
            ("email_id", id),
            ("source", "Beta"),
        ];
        let answer = upload_as(&server, user, &form, file(b"subject: forged\n")).await?;
        assert_eq!(
            (&answer.json()["return_code"], &answer.json()["message"]),
            (&json!(1), &json!("Unknown email_id.")),
            "{id}"
        );
    }
    assert_eq!(server.document("emails", id).await?["subject"], "hidden");
    Ok(())
}

/// UP-12 for YAML: aliases that grow, nesting, objects of a language.
#[tokio::test]
async fn up_12_hostile_yaml() -> Result<()> {
    let server = Server::start().await?;
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in ('b'..='l').zip('a'..='k') {
        bomb += &format!(
            "{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n"
        );
    }
    let deep = format!("a: {}", "[".repeat(100_000));
    for yaml in [bomb, deep, "subject: \"\\xff".into()] {
        let form = [("upload_type", "yaml"), ("source", "Alpha")];
        let answer = upload_as(&server, &admin(), &form, file(yaml.as_bytes())).await?;
        let body = answer.json();
        let text = body["message"].as_str().unwrap_or_default();
        assert!(
            answer.status == 200
                && body["return_code"] == 1
                && text.starts_with("Cannot convert data to YAML."),
            "{}",
            answer.text
        );
    }
    Ok(())
}
