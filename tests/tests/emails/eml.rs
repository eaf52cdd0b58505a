//! `eml` and `raw` (create.md 5.8.1, 5.8.2).

use anyhow::Result;
use critd_tests::{Server, admin, json};

use crate::{file, method, stored, upload, upload_as};

const MAIL: &str = "Received: from a.example (a.example [203.0.113.5]) by mx.example.com; Tue, 14 Jan 2020 10:20:29 +0000\r\n\
    From: =?utf-8?Q?J=C3=B6rg?= <j@example.org>\r\nTo: Victim <victim@example.com>, second+tag@example.net,\r\n\tvictim@example.com\r\n\
    Cc: c1@example.org, \"C, 2\" <c2@example.org>\r\nSubject: =?iso-8859-1?Q?Gr=FC=DFe?=\r\nDate: Tue, 14 Jan 2020 10:20:30 +0000\r\n\
    Message-ID: <abc@example.org>\r\nReply-To: r@example.org\r\nSender: s@example.org\r\nX-Mailer: MadeUp 1.0\r\nX-Originating-IP: [192.0.2.55]\r\n\
    Originating-IP: 192.0.2.56\r\nHelo: a.example\r\nX-Custom-Thing: custom value\r\nSource: forged\r\nSchema-Version: 99\r\n\
    Content-Type: multipart/alternative; boundary=\"B\"\r\n\r\n--B\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n\u{d0}\r\n--B\r\n\
    Content-Type: text/html\r\n\r\n<p>x</p>\r\n--B--\r\n";

/// All fields of a message, as they are stored.
#[tokio::test]
async fn create_5_8_1_eml_is_stored() -> Result<()> {
    let server = Server::start().await?;
    // The one letter above U+007F stands for a byte of KOI8-R.
    let bytes: Vec<u8> = MAIL
        .chars()
        .map(|letter| u8::try_from(letter).unwrap_or(b'?'))
        .collect();
    let form = [
        ("upload_type", "eml"),
        ("source_name", "Alpha"),
        ("source_method", "feed"),
        ("source_reference", "ref 7"),
        ("source_tlp", "Green"),
        ("campaign", "Bear"),
        ("confidence", "high"),
        ("bucket_list", "b1, b2"),
        ("ticket", "INC-1"),
    ];
    let id = upload_as(&server, &admin(), &form, file(&bytes))
        .await?
        .created_id()?;
    let mail = server.document("emails", &id).await?;
    for (field, value) in [
        ("from", json!("Jörg <j@example.org>")),
        (
            "to",
            json!(["victim@example.com", "second+tag@example.net"]),
        ),
        ("cc", json!(["c1@example.org", "c2@example.org"])),
        ("subject", json!("Grüße")),
        ("date", json!("Tue, 14 Jan 2020 10:20:30 +0000")),
        ("isodate", json!("2020-01-14 10:20:30.000000")),
        ("message_id", json!("<abc@example.org>")),
        ("reply_to", json!("r@example.org")),
        ("sender", json!("s@example.org")),
        ("x_mailer", json!("MadeUp 1.0")),
        ("x_originating_ip", json!("192.0.2.55")),
        ("originating_ip", json!("192.0.2.56")),
        ("helo", json!("a.example")),
        ("boundary", json!("B")),
        ("raw_body", json!("п\n<p>x</p>\n")),
        ("schema_version", json!(2)),
        ("status", json!("New")),
        ("tlp", json!("green")),
        ("bucket_list", json!(["b1", "b2"])),
        (
            "unsupported_attrs",
            json!({
                "received": "from a.example (a.example [203.0.113.5]) by mx.example.com; Tue, 14 Jan 2020 10:20:29 +0000",
                "x_custom_thing": "custom value",
                "content_type": "multipart/alternative; boundary=\"B\"",
            }),
        ),
    ] {
        assert_eq!(mail[field], value, "{field}");
    }
    let headers: Vec<&str> = mail["raw_headers"]
        .as_str()
        .unwrap_or_default()
        .lines()
        .skip(1)
        .take(2)
        .collect();
    assert_eq!(
        headers,
        [
            "From: =?utf-8?Q?J=C3=B6rg?= <j@example.org>",
            "To: Victim <victim@example.com>, second+tag@example.net, victim@example.com"
        ]
    );
    let instance = &mail["source"][0]["instances"][0];
    assert_eq!(
        (
            &mail["source"][0]["name"],
            &instance["method"],
            &instance["reference"],
            &instance["tlp"],
            &instance["analyst"]
        ),
        (
            &json!("Alpha"),
            &json!("EML Upload - feed"),
            &json!("ref 7"),
            &json!("green"),
            &json!("admin")
        )
    );
    assert_eq!(
        (
            &mail["campaign"][0]["name"],
            &mail["campaign"][0]["confidence"]
        ),
        (&json!("Bear"), &json!("high"))
    );
    assert_eq!(mail["tickets"][0]["ticket_number"], "INC-1");
    assert_eq!(mail["relationships"], json!([]), "texts are no samples");
    Ok(())
}

/// Each POST is a new e-mail; both spellings of the source's parameters work, the wiki's wins.
#[tokio::test]
async fn create_5_8_emails_have_no_key() -> Result<()> {
    let server = Server::start().await?;
    let form = [
        ("upload_type", "EML"),
        ("source", "Beta"),
        ("source_name", "Alpha"),
        ("method", "m"),
        ("source_method", "n"),
    ];
    let first = upload_as(&server, &admin(), &form, file(b"Subject: s\n\n"))
        .await?
        .created_id()?;
    let second = upload_as(&server, &admin(), &form, file(b"Subject: s\n\n"))
        .await?
        .created_id()?;
    assert_ne!(first, second);
    let mail = server.document("emails", &second).await?;
    assert_eq!(
        (&mail["source"][0]["name"], method(&mail), &mail["tlp"]),
        (&json!("Beta"), "EML Upload - m", &json!("amber"))
    );
    Ok(())
}

/// Step 1: what a recorded dialogue says of the message is kept beside it.
#[tokio::test]
async fn create_5_8_1_dialogues_are_taken_off() -> Result<()> {
    let server = Server::start().await?;
    let smtp = "220 mx\r\nHELO a\r\n250 ok\r\nMAIL FROM:<x@example.org>\r\n250 ok\r\nRCPT TO:<v@example.com>\r\n250 ok\r\nDATA\r\n354 go\r\nSubject: s\r\n\r\n250 stays\r\n.\r\n250 bye\r\n";
    let mail = stored(&server, "eml", smtp.as_bytes()).await?;
    assert_eq!(
        (&mail["subject"], &mail["raw_body"]),
        (&json!("s"), &json!("250 stays\r\n\n"))
    );
    assert_eq!(
        mail["unsupported_attrs"],
        json!({"mailfrom": "<x@example.org>", "rcptto": "<v@example.com>"})
    );
    let imap = "* 1 FETCH (BODY[] {16}\r\nSubject: t\r\n\r\nb\r)\r\na OK UID FETCH completed\r\n";
    let mail = stored(&server, "eml", imap.as_bytes()).await?;
    assert_eq!(
        (&mail["subject"], &mail["raw_body"]),
        (&json!("t"), &json!("b\r\n"))
    );
    Ok(())
}

/// Field case O21, create.md 5.8.2: as a file and as a plain text part; folds that were lost.
#[tokio::test]
async fn o21_raw_as_file_and_as_text() -> Result<()> {
    let server = Server::start().await?;
    let text = "Received: from a\nby b; Tue, 14 Jan 2020 10:20:29 +0000\nSubject: a\nb\nContent-Type: multipart/mixed;\nboundary=B\n\nno: header\n--B\n\nkept: as it is\nline\n--B--\n";
    let as_file = stored(&server, "raw", text.as_bytes()).await?;
    let form = reqwest::multipart::Form::new()
        .text("upload_type", "raw")
        .text("source", "Alpha")
        .text("filedata", text);
    let url = format!(
        "{}/api/v1/emails/?username=admin&api_key={}",
        server.url(),
        admin().key
    );
    let id = server
        .send(server.client().post(url).multipart(form))
        .await?
        .created_id()?;
    let as_text = server.document("emails", &id).await?;
    let body = json!({"upload_type": "raw", "source": "Alpha", "filedata": text});
    let id = server
        .post_json("/api/v1/emails/", &body)
        .await?
        .created_id()?;
    let as_json = server.document("emails", &id).await?;
    for mail in [&as_file, &as_text, &as_json] {
        assert_eq!(
            (
                &mail["subject"],
                &mail["raw_body"],
                &mail["boundary"],
                method(mail)
            ),
            (
                &json!("a b"),
                &json!("kept: as it is\nline\n"),
                &json!("B"),
                "Raw Upload"
            )
        );
        assert_eq!(
            mail["unsupported_attrs"]["received"],
            "from a by b; Tue, 14 Jan 2020 10:20:29 +0000"
        );
    }
    assert_eq!(
        as_file["raw_headers"],
        as_text["raw_headers"]
            .as_str()
            .unwrap_or_default()
            .replace('\r', "")
    );
    // Text in place of a file is accepted where it is an e-mail, for `eml` too (create.md 1.1).
    let body = json!({"upload_type": "eml", "source": "Alpha", "filedata": "Subject: s\n\nb"});
    server
        .post_json("/api/v1/emails/", &body)
        .await?
        .created_id()?;
    Ok(())
}

/// Field case O24: dates that are none are kept as they are, and nothing fails.
#[tokio::test]
async fn o24_mails_without_a_usable_date() -> Result<()> {
    let server = Server::start().await?;
    for (date, text, time) in [
        ("Date: yesterday-ish\n", Some("yesterday-ish"), None),
        (
            "Date: yesterday-ish\nReceived: from a; nonsense\nReceived: from b; 14 Jan 20 10:20:29 EST\n",
            Some("yesterday-ish"),
            Some("2020-01-14 15:20:29.000000"),
        ),
        (
            "Date: Fri, 31 Feb 2020 10:00:00 +0000\n",
            Some("Fri, 31 Feb 2020 10:00:00 +0000"),
            None,
        ),
        (
            "Date: 14 Jan 2020 10:20:30 -0500 (EST)\n",
            Some("14 Jan 2020 10:20:30 -0500 (EST)"),
            Some("2020-01-14 15:20:30.000000"),
        ),
        ("Date: \n", None, None),
        ("", None, None),
    ] {
        let mail = stored(&server, "eml", format!("Subject: s\n{date}\nb").as_bytes()).await?;
        match text {
            Some(text) => {
                assert_eq!(mail["date"], text);
                assert_eq!(mail["isodate"].as_str(), time, "{date}");
            }
            // Without one: now.
            None => assert_eq!(
                (&mail["date"], &mail["isodate"]),
                (&mail["created"], &mail["created"])
            ),
        }
    }
    Ok(())
}

/// Field case O18: a ticket is a ticket; the list of campaigns is as it was.
#[tokio::test]
async fn o18_a_ticket_is_no_campaign() -> Result<()> {
    let server = Server::start().await?;
    let form = [
        ("upload_type", "eml"),
        ("source", "Alpha"),
        ("ticket", "INC-1"),
    ];
    let id = upload_as(&server, &admin(), &form, file(b"Subject: s\n\nb"))
        .await?
        .created_id()?;
    let mail = server.document("emails", &id).await?;
    assert_eq!(
        (&mail["tickets"][0]["ticket_number"], &mail["campaign"]),
        (&json!("INC-1"), &json!([]))
    );
    assert_eq!(
        (
            server.count("campaigns").await?,
            server.get("/api/v1/campaigns/").await?.status
        ),
        (0, 200)
    );
    Ok(())
}

/// Core-api G30 and 10.5: e-mails are found by both names of their fields, by time, and by what no field is for.
#[tokio::test]
async fn core_api_10_emails_are_found() -> Result<()> {
    let server = Server::start().await?;
    let first = upload(&server, "eml", file(b"Subject: one\nFrom: a@example.org\nTo: x@example.com, y@example.com\nX-Kind: odd\nDate: Tue, 14 Jan 2020 10:20:30 +0000\n\nb")).await?.created_id()?;
    upload(
        &server,
        "eml",
        file(b"Subject: two\nFrom: b@example.org\nDate: Tue, 14 Jan 2025 10:20:30 +0000\n\nb"),
    )
    .await?
    .created_id()?;
    for query in [
        "c-from=a@example.org",
        "c-from_address=a@example.org",
        "c-to=y@example.com",
        "c-unsupported_attrs.x_kind=odd",
        "c-x_kind=odd",
        "c-isodate__lt=2022-01-01",
        "regex=1&c-subject=^ON",
        "regex=1&c-raw_headers=x-kind",
    ] {
        let page = server
            .get(&format!("/api/v1/emails/?{query}"))
            .await?
            .json();
        assert_eq!(
            (&page["meta"]["total_count"], &page["objects"][0]["_id"]),
            (&json!(1), &json!(first)),
            "{query}: {page}"
        );
    }
    let page = server
        .get("/api/v1/emails/?order_by=-isodate&only=subject")
        .await?
        .json();
    let mut only: Vec<&String> = page["objects"][0]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
        .collect();
    only.sort();
    assert_eq!(page["objects"][0]["subject"], "two");
    assert_eq!(only, ["_id", "date", "schema_version", "source", "subject"]);
    Ok(())
}

/// Field case O51: an id of the sender's own is not taken.
#[tokio::test]
async fn o51_ids_of_the_senders_own_are_ignored() -> Result<()> {
    let server = Server::start().await?;
    let own = "5b2c3d4e5f60718293a40001";
    for upload_type in ["eml", "fields", "yaml"] {
        let form = [
            ("upload_type", upload_type),
            ("source", "Alpha"),
            ("_id", own),
            ("id", own),
            ("stix_id", "x:1"),
        ];
        let id = upload_as(
            &server,
            &admin(),
            &form,
            file(b"subject: s\n_id: 5b2c3d4e5f60718293a40001\n"),
        )
        .await?
        .created_id()?;
        assert_ne!(id, own);
        let mail = server.document("emails", &id).await?.to_string();
        assert!(
            !mail.contains(own) || upload_type == "eml" && mail.contains("raw_headers"),
            "{mail}"
        );
        assert!(!mail.contains("x:1"), "{mail}");
    }
    Ok(())
}
