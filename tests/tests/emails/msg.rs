//! `msg` (create.md 5.8.3).

use anyhow::Result;
use critd_tests::{Server, json};

use crate::outlook::{self, Attached, Writer};
use crate::{file, method, stored, upload};

const HEADERS: &str = "Received: from relay.example.com (10.0.0.5) by box.example.com; Tue, 14 Jan 2020 10:20:33 +0000\r\n\
    Received: from mail.example.org (mail.example.org [203.0.113.5]) by mx.example.com for <Extra@example.com>; Tue, 14 Jan 2020 10:20:32 +0000\r\n\
    Received: from pc (unknown [198.51.100.9]) by mail.example.org; Tue, 14 Jan 2020 10:20:30 +0000\r\n\
    From: =?utf-8?Q?J=C3=B6rg?= <J@example.org>\r\nTo: Victim@example.com, T2@example.com, undisclosed-recipients:;\r\nCC: C@example.com\r\n\
    Reply-To: r@example.org\r\nDate: Tue, 14 Jan 2020 10:20:30 +0000\r\nMessage-ID: <m@example.org>\r\nX-Mailer: Outlook\r\n";

#[tokio::test]
async fn create_5_8_3_msg_is_stored() -> Result<()> {
    let server = Server::start().await?;
    server.cli(&["set", "mail_domain=example.com"])?;
    let message = Writer::new(&[
        ("0037", "Grüße"),
        ("1000", "Text\r\n"),
        ("007D", HEADERS),
        ("001A", "IPM.Note"),
    ])
    .recipient("VICTIM@example.com")
    .finish();
    let mail = stored(&server, "msg", &message).await?;
    for (field, value) in [
        ("subject", json!("Grüße")),
        ("raw_body", json!("Text\r\n")),
        ("raw_headers", json!(HEADERS)),
        (
            "to",
            json!([
                "victim@example.com",
                "t2@example.com",
                "c@example.com",
                "extra@example.com"
            ]),
        ),
        ("from", json!("Jörg <J@example.org>")),
        ("sender", json!("J@example.org")),
        ("reply_to", json!("r@example.org")),
        ("date", json!("Tue, 14 Jan 2020 10:20:30 +0000")),
        ("isodate", json!("2020-01-14 10:20:30.000000")),
        ("message_id", json!("<m@example.org>")),
        ("x_mailer", json!("Outlook")),
        (
            "helo",
            json!("mail.example.org (mail.example.org [203.0.113.5])"),
        ),
        ("x_originating_ip", json!("198.51.100.9")),
    ] {
        assert_eq!(mail[field], value, "{field}");
    }
    assert_eq!(method(&mail), "Outlook MSG Upload");
    // Nobody has said which domain is the installation's own: the first machine with a public address.
    server.cli(&["set", "mail_domain="])?;
    let mail = stored(&server, "msg", &message).await?;
    assert_eq!(mail["helo"], "pc (unknown [198.51.100.9])");
    Ok(())
}

/// What is not there is an empty text, and a date is now.
#[tokio::test]
async fn create_5_8_3_a_message_without_headers() -> Result<()> {
    let server = Server::start().await?;
    let mail = stored(&server, "msg", &outlook::message(&[("0037", "draft")])).await?;
    for field in [
        "from",
        "sender",
        "reply_to",
        "message_id",
        "x_mailer",
        "x_originating_ip",
    ] {
        assert_eq!(mail[field], "", "{field}");
    }
    assert_eq!(
        (&mail["subject"], &mail["to"], &mail["isodate"]),
        (&json!("draft"), &json!([]), &mail["created"])
    );
    Ok(())
}

/// What stands for a body that is encrypted or signed.
#[tokio::test]
async fn create_5_8_3_bodies_of_smime() -> Result<()> {
    let server = Server::start().await?;
    for (class, body) in [
        ("IPM.Note.SMIME", json!("<ENCRYPTED>")),
        (
            "IPM.Note.SMIME.MultipartSigned",
            json!("<DIGITALLY SIGNED: body in smime.p7m>"),
        ),
        ("IPM.Note", json!(null)),
    ] {
        let mail = stored(
            &server,
            "msg",
            &outlook::message(&[("001A", class), ("0037", "s")]),
        )
        .await?;
        assert_eq!(mail["raw_body"], body, "{class}");
    }
    Ok(())
}

/// Field case O22: texts that are neither UTF-16 nor ASCII, with and without a word on what they are.
#[tokio::test]
async fn o22_odd_character_sets() -> Result<()> {
    let server = Server::start().await?;
    let russian = b"\xcf\xf0\xe8\xe2\xe5\xf2, \xea\xe0\xea \xe4\xe5\xeb\xe0? \xcd\xe0\xe4\xe5\xfe\xf1\xfc, \xf5\xee\xf0\xee\xf8\xee.";
    for (page, bytes, text) in [
        (
            Some(1251),
            &russian[..],
            "Привет, как дела? Надеюсь, хорошо.",
        ),
        (None, &russian[..], "Привет, как дела? Надеюсь, хорошо."),
        (Some(1252), b"gr\xfcn", "grün"),
        (Some(932), b"\x93\xfa\x96\x7b", "日本"),
        (Some(65001), "grün".as_bytes(), "grün"),
        (Some(1252), "grün".as_bytes(), "grün"),
    ] {
        let message = Writer::new(&[("0037", "s")])
            .narrow("1000", bytes, page)
            .finish();
        assert_eq!(
            stored(&server, "msg", &message).await?["raw_body"],
            text,
            "{page:?}"
        );
    }
    Ok(())
}

/// Field case O23: a message within the message is part of the text, and told of; objects of other programs are told of.
#[tokio::test]
async fn o23_messages_within_the_message() -> Result<()> {
    let server = Server::start().await?;
    let inner = [
        ("0037", "inner subject"),
        ("1000", "inner text"),
        ("007D", "From: i@example.org\r\nTo: j@example.org\r\n"),
    ];
    let message = Writer::new(&[("0037", "outer"), ("1000", "outer text")])
        .attach("inner.msg", "", &Attached::Message(&inner))
        .attach("drawing", "", &Attached::Object)
        .attach(
            "smime.p7m",
            "application/pkcs7-mime",
            &Attached::Bytes(b"x"),
        )
        .attach("nothing", "", &Attached::Bytes(b""))
        .finish();
    let answer = upload(&server, "msg", file(&message)).await?;
    let mail = server.document("emails", &answer.created_id()?).await?;
    assert_eq!(mail["subject"], "outer");
    let body = mail["raw_body"].as_str().unwrap_or_default();
    assert_eq!(
        body,
        "outer text\n----- Embedded message: inner.msg -----\nFrom: i@example.org\r\nTo: j@example.org\n\ninner text\n"
    );
    assert_eq!(
        answer.json()["message"],
        "inner.msg: Embedded message; its text is part of the body, its attachments were added on their own.\n\
         drawing: Embedded object of another program; it was not added.\n\
         smime.p7m: Cannot decrypt attachment (pkcs7).\n\
         nothing: The attachment is empty."
    );
    // With markup, as of old.
    server.cli(&["set", "html_messages=true"])?;
    let message = Writer::new(&[("0037", "s")])
        .attach("a&b", "", &Attached::Object)
        .attach("c", "", &Attached::Object)
        .finish();
    assert_eq!(
        upload(&server, "msg", file(&message)).await?.json()["message"],
        "a&amp;b: Embedded object of another program; it was not added.<br/>c: Embedded object of another program; it was not added."
    );
    Ok(())
}

/// UP-12 for Outlook files: a thousand damaged ones; none ends in anything but an answer.
#[tokio::test]
async fn up_12_damaged_outlook_files() -> Result<()> {
    let server = Server::start().await?;
    let whole = Writer::new(&[
        ("0037", "outer"),
        ("1000", &"text ".repeat(2_000)),
        ("007D", HEADERS),
    ])
    .recipient("a@example.com")
    .attach(
        "inner.msg",
        "",
        &Attached::Message(&[("0037", "inner"), ("1000", &"x".repeat(5_000))]),
    )
    .finish();
    // Numbers of a generator that is always the same.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap_or_default()
    };
    for round in 0..1_000 {
        let mut damaged = whole.clone();
        for _ in 0..=next(6) {
            // Header, allocation table and directory are where damage matters.
            let place = if next(2) == 0 {
                next(512)
            } else {
                next(damaged.len())
            };
            damaged[place] = [0, 1, 0xff, 0xfe, 0x7f, 0x80][next(6)];
        }
        if next(10) == 0 {
            damaged.truncate(next(whole.len()));
        }
        let answer = upload(&server, "msg", file(&damaged)).await?;
        assert_eq!(answer.status, 200, "round {round}: {}", answer.text);
    }
    Ok(())
}
