//! Check UP-12: what an e-mail may not be is refused in words, or kept as data.

use std::time::{Duration, Instant};

use anyhow::Result;
use critd_tests::{Answer, Server, json};

use crate::{file, refusal, upload};

/// A refusal with the code `limit`.
async fn limit(server: &Server, answer: &Answer) -> Result<String> {
    assert_eq!(answer.json()["error"]["code"], "limit", "{}", answer.text);
    refusal(server, answer).await
}

#[tokio::test]
async fn up_12_ten_thousand_parts() -> Result<()> {
    let server = Server::start().await?;
    let mail = |parts: usize| {
        format!(
            "Content-Type: multipart/mixed; boundary=B\n\n{}--B--",
            "--B\n\nx\n".repeat(parts)
        )
    };
    let answer = upload(&server, "eml", file(mail(10_000).as_bytes())).await?;
    assert_eq!(
        limit(&server, &answer).await?,
        "The e-mail has more than 2000 parts."
    );
    upload(&server, "eml", file(mail(1_500).as_bytes()))
        .await?
        .created_id()?;
    Ok(())
}

#[tokio::test]
async fn up_12_headers_without_end() -> Result<()> {
    let server = Server::start().await?;
    for (mail, text) in [
        (
            "a: b\n".repeat(1_000_000),
            "The header of the e-mail has more than 5000 fields.",
        ),
        (
            format!("a: {}", "x".repeat(3 << 20)),
            "The header of the e-mail has more than 1048576 bytes.",
        ),
        (
            format!("a: {}\n", "=?utf-8?Q?x?= ".repeat(1 << 18)),
            "The header of the e-mail has more than 1048576 bytes.",
        ),
    ] {
        let answer = upload(&server, "eml", file(mail.as_bytes())).await?;
        assert_eq!(limit(&server, &answer).await?, text);
    }
    // Headers as large as they may be.
    for mail in [
        format!("To: {}\n\nb", "a@example.com, ".repeat(60_000)),
        format!("Subject: {}\n\nb", "=?utf-8?Q?x?= ".repeat(70_000)),
        format!("From: {}\n\nb", "(".repeat(1_000_000)),
        format!(
            "Content-Type: text/plain; {}\n\nb",
            "a*0=x; ".repeat(140_000)
        ),
        format!("Received: {}\n\nb", "from by ; ".repeat(100_000)),
        format!("Date: {}\n\nb", "1 Jan ".repeat(160_000)),
        "A: b\n".repeat(5_000),
    ] {
        let begin = Instant::now();
        let answer = upload(&server, "eml", file(mail.as_bytes())).await?;
        assert!(
            answer.json()["return_code"] == 0,
            "{} {}",
            &mail[..40],
            answer.text
        );
        assert!(
            begin.elapsed() < Duration::from_secs(15),
            "{} {:?}",
            &mail[..40],
            begin.elapsed()
        );
    }
    Ok(())
}

/// Larger than an e-mail may be, and than the memory of the plugin.
#[tokio::test]
async fn up_12_messages_that_are_too_large() -> Result<()> {
    let mut server = Server::prepare()?;
    server.run().await?;
    let mail = |size: usize| [&b"Subject: s\n\n"[..], &vec![b'x'; size - 12]].concat();
    let answer = upload(&server, "eml", file(&mail((32 << 20) + 1))).await?;
    assert_eq!(
        limit(&server, &answer).await?,
        "The e-mail has 33554433 bytes; at most 33554432 are allowed."
    );
    server.stop().await?;
    // An operator who gives it less.
    let manifest = server.folder().join("plugin-manifest.toml");
    let text = std::fs::read_to_string(&manifest)?;
    std::fs::write(
        &manifest,
        text.replace("memory_mib = 256", "memory_mib = 64"),
    )?;
    server.run().await?;
    let answer = upload(&server, "eml", file(&mail(20 << 20))).await?;
    assert_eq!(
        limit(&server, &answer).await?,
        "The e-mail has 20971520 bytes, which is more than the memory of the plugin has room for."
    );
    upload(&server, "eml", file(&mail(4 << 20)))
        .await?
        .created_id()?;
    Ok(())
}

/// As large as it may be: it is stored, its text cut off with a note (documents.md 3.9), in far less time than it has.
#[tokio::test]
async fn documents_3_9_twenty_megabytes_of_text() -> Result<()> {
    let server = Server::start().await?;
    for size in [20 << 20, 32 << 20] {
        let mail = [
            &b"Subject: s\n\n"[..],
            &"0123456789abcdef".repeat(size / 16).as_bytes()[12..],
        ]
        .concat();
        let begin = Instant::now();
        let id = upload(&server, "eml", file(&mail)).await?.created_id()?;
        let taken = begin.elapsed();
        let stored = server.document("emails", &id).await?;
        assert_eq!(stored["raw_body"].as_str().map(str::len), Some(8 << 20));
        let note = stored["unsupported_attrs"]["raw_body_truncated"]
            .as_str()
            .unwrap_or_default();
        assert!(note.ends_with("the first 8388608 are kept."), "{note}");
        eprintln!("{size} bytes: {taken:?}");
        assert!(taken < Duration::from_secs(10), "{taken:?}");
    }
    Ok(())
}

/// Two hundred levels: the inner ones are kept as data.
#[tokio::test]
async fn up_12_deep_nesting_ends_in_an_answer() -> Result<()> {
    let server = Server::start().await?;
    let mut multipart = "Subject: s\n".to_owned();
    for level in 0..20 {
        multipart += &format!("Content-Type: multipart/mixed; boundary=B{level}\n\n--B{level}\n");
    }
    let id = upload(&server, "eml", file((multipart + "\ndeepest").as_bytes()))
        .await?
        .created_id()?;
    assert_eq!(
        server.document("emails", &id).await?["raw_body"],
        "deepest\n"
    );
    Ok(())
}

/// Damaged in a thousand ways, no message ends in anything but an answer.
#[tokio::test]
async fn up_12_damaged_messages() -> Result<()> {
    let server = Server::start().await?;
    let whole = "From: \"a\\\"b\" <x@example.org>\r\nTo: g: a@example.com, b@example.com;\r\nSubject: =?utf-8?B?w7Y=?= =?iso-2022-jp?B?GyRCJCIbKEI=?=\r\n\
        Date: Tue, 14 Jan 2020 10:20:30 +0000\r\nContent-Type: multipart/mixed; boundary=\"B\"; x*0*=utf-8''a; x*1=b\r\n\r\n--B\r\n\
        Content-Type: text/plain; charset=utf-7\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n+AGE-=20=\r\nb\r\n--B\r\n\
        Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntext\r\n--B--\r\n";
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap_or_default()
    };
    let marks = b"\r\n\t \"\\<>()[]{}:;,=?@-_*'%\x00\x7f\x80\xff0aB";
    for round in 0..1_000 {
        let mut damaged = whole.as_bytes().to_vec();
        for _ in 0..=next(8) {
            let place = next(damaged.len());
            match next(3) {
                0 => damaged[place] = marks[next(marks.len())],
                1 => damaged.insert(place, marks[next(marks.len())]),
                _ => drop(damaged.remove(place)),
            }
        }
        let form = if next(2) == 0 { "eml" } else { "raw" };
        let answer = upload(&server, form, file(&damaged)).await?;
        // Where damage makes an attachment of something, the samples decide; nothing is a 500 anyway.
        assert_eq!(
            answer.status,
            200,
            "round {round}: {}\n{}",
            answer.text,
            String::from_utf8_lossy(&damaged)
        );
    }
    assert_ne!(json!(server.count("emails").await?), json!(0));
    Ok(())
}
