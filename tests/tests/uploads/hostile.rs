//! Checks UP: files made to do harm get a readable answer, and leave nothing behind.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use critd_tests::{Server, is_embedded, json};
use tokio::io::AsyncWriteExt as _;

use crate::files::{kept, refusal, send};
use critd_tests::zips::{Entry, archive, file, folders, overlapping};

const ZIP: [(&str, &str); 3] = [
    ("upload_type", "file"),
    ("source", "Alpha"),
    ("file_format", "zip"),
];

/// Nothing was stored, and no temporary file is left.
async fn assert_untouched(server: &Server) -> Result<()> {
    assert_eq!(server.count("samples").await?, 0);
    if is_embedded() {
        assert_eq!(kept(server, "files")?, Vec::<String>::new());
    }
    for _ in 0..100 {
        if kept(server, "staging")?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("left behind: {:?}", kept(server, "staging")?)
}

#[tokio::test]
async fn up_3_archives_that_would_grow_without_end() -> Result<()> {
    let server = Server::start().await?;
    let zeros = vec![0; 20 << 20];
    let many: Vec<_> = (0..501).map(|_| file("a", b"x")).collect();
    let bombs: [(&str, Vec<u8>, &str); 6] = [
        (
            "one large file",
            archive(&[file("zeros", &zeros)])?,
            "its files are more than 200 times as large as itself",
        ),
        (
            "overlapping files",
            overlapping("zeros", &zeros, 30)?,
            "its files overlap",
        ),
        ("many files", archive(&many)?, "it has more than 500 files"),
        (
            "a million folders",
            folders(1_000_000)?,
            "it has more than 10000 entries",
        ),
        (
            "a file that claims to be small",
            archive(&[Entry {
                claimed: Some(10),
                ..file("zeros", &zeros)
            }])?,
            "it is damaged: a file has another size than it says",
        ),
        (
            "a file that claims to be large",
            archive(&[Entry {
                claimed: Some(u32::MAX - 1),
                ..file("zeros", b"none")
            }])?,
            "it is damaged: a file has another size than it says",
        ),
    ];
    for (what, bomb, why) in bombs {
        let began = Instant::now();
        let answer = send(&server, "samples", &ZIP, Some(("bomb.zip", &bomb))).await?;
        assert_eq!(
            refusal(&answer).context(what)?,
            format!("Error while extracting archive: {why}."),
            "{what}"
        );
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        assert_untouched(&server).await?;
    }
    Ok(())
}

/// An archive in an archive is a member like any other: nothing is unpacked twice.
#[tokio::test]
async fn up_3_archives_within_archives_are_not_unpacked() -> Result<()> {
    let server = Server::start().await?;
    let mut bytes = archive(&[file("innermost", &vec![0; 1 << 20])])?;
    for _ in 0..10 {
        bytes = archive(&[file("nested.zip", &bytes)])?;
    }
    let answer = send(&server, "samples", &ZIP, Some(("nested.zip", &bytes))).await?;
    let id = answer.created_id()?;
    assert_eq!(answer.json()["ids"], json!([id]));
    assert_eq!(server.count("samples").await?, 1);
    let sample = server.document("samples", &id).await?;
    assert_eq!(sample["filetype"], "Zip archive data");
    Ok(())
}

#[tokio::test]
async fn up_5_one_bad_member_and_nothing_is_stored() -> Result<()> {
    let server = Server::start().await?;
    let good = file("good", b"good");
    let bad = [
        (
            Entry {
                checksum: Some(1),
                ..file("bad", b"bad")
            },
            "it is damaged: a file has a wrong checksum",
        ),
        (
            Entry {
                password: Some("other"),
                ..file("bad", b"bad")
            },
            "it is encrypted, and not with the usual password",
        ),
    ];
    for (bad, why) in bad {
        let bytes = archive(&[good.clone(), bad])?;
        let answer = send(&server, "samples", &ZIP, Some(("half.zip", &bytes))).await?;
        assert_eq!(
            refusal(&answer)?,
            format!("Error while extracting archive: {why}.")
        );
        assert_untouched(&server).await?;
    }
    Ok(())
}

/// Archives cut at every place, and with every byte changed: an answer each, never a failure of the server.
#[tokio::test]
async fn up_5_damaged_archives_are_answered() -> Result<()> {
    let server = Server::start().await?;
    let zip = archive(&[file("first", b"first member\n"), file("second", &[7; 300])])?;
    let whole: [&[u8]; 6] = [
        &zip,
        include_bytes!("fixtures/aes256.zip"),
        include_bytes!("fixtures/plain.7z"),
        include_bytes!("fixtures/aes.7z"),
        include_bytes!("fixtures/r5.rar"),
        include_bytes!("fixtures/r4.rar"),
    ];
    for (number, bytes) in whole.into_iter().enumerate() {
        for cut in (0..bytes.len()).step_by(9) {
            let answer = send(&server, "samples", &ZIP, Some(("cut", &bytes[..cut]))).await?;
            assert_eq!(
                answer.status, 200,
                "archive {number} cut at {cut}: {}",
                answer.text
            );
        }
        for place in (0..bytes.len()).step_by(5) {
            let mut changed = bytes.to_vec();
            changed[place] ^= 0xff;
            let answer = send(&server, "samples", &ZIP, Some(("changed", &changed))).await?;
            assert_eq!(
                answer.status, 200,
                "archive {number} changed at {place}: {}",
                answer.text
            );
        }
    }
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    Ok(())
}

/// Names that would leave a folder, with zeros, without end; links; what is stored has plain names.
#[tokio::test]
async fn up_3_names_and_links_of_members() -> Result<()> {
    let server = Server::start().await?;
    let long = "n".repeat(5000);
    let bytes = archive(&[
        file("../../../etc/cron.d/evil", b"1"),
        file("..\\..\\windows\\evil.exe", b"2"),
        file("C:/abs\0olute\n", b"3"),
        file("\u{1f600}/\u{202e}cod.exe", b"4"),
        file("..", b"5"),
        file(&long, b"6"),
        Entry {
            name: b"latin \xfc",
            ..file("", b"7")
        },
        Entry {
            mode: 0o120_777,
            ..file("link", b"/etc/passwd")
        },
    ])?;
    let answer = send(&server, "samples", &ZIP, Some(("names.zip", &bytes))).await?;
    answer.created_id()?;
    let list = server
        .get("/api/v1/samples/?limit=100&only=filename")
        .await?
        .json();
    let objects = list["objects"].as_array().context("objects")?;
    let mut names: Vec<_> = objects
        .iter()
        .filter_map(|sample| sample["filename"].as_str())
        .collect();
    names.sort_unstable();
    let mut expected = [
        "evil",
        "evil.exe",
        "absolute",
        "\u{202e}cod.exe",
        "unknown",
        &long[..255],
        "latin \u{fffd}",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    Ok(())
}

/// A body larger than allowed is refused early, whatever it says of its length, and leaves nothing.
/// The status line that a request with this head and body is answered with; the connection stays open meanwhile.
async fn status_of(server: &Server, head: &str, body: &[u8]) -> Result<String> {
    let address = server.url().replace("http://", "");
    let mut stream = tokio::net::TcpStream::connect(&address).await?;
    let path = format!(
        "/api/v1/samples/?username=admin&api_key={}",
        critd_tests::ADMIN_KEY
    );
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\n{head}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    // The server may answer and close before it has all.
    let _ = stream.write_all(body).await;
    let mut answer = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A form whose file has so many bytes; without the boundary at the end if it is not `whole`.
fn form_of(size: usize, whole: bool) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in [("upload_type", "file"), ("source", "Alpha")] {
        let part =
            format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(
        b"--B\r\nContent-Disposition: form-data; name=\"filedata\"; filename=\"x\"\r\n\r\n",
    );
    body.resize(body.len() + size, 7);
    if whole {
        body.extend_from_slice(b"\r\n--B--\r\n");
    }
    body
}

/// The body in chunks, as it is sent by who does not know its length.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut sent = Vec::new();
    for chunk in body.chunks(50_000) {
        sent.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        sent.extend_from_slice(chunk);
        sent.extend_from_slice(b"\r\n");
    }
    sent.extend_from_slice(b"0\r\n\r\n");
    sent
}

#[tokio::test]
async fn up_6_bodies_that_are_too_large() -> Result<()> {
    let server = Server::start().await?;
    server.cli(&["set", "max_body_bytes=1000000"])?;
    // An honest length: refused before it is sent.
    let honest = status_of(&server, "Content-Length: 2147483648", &form_of(0, false)).await?;
    assert_eq!(honest, "HTTP/1.1 413");
    // No length: refused when it has become too long.
    let endless = chunked(&form_of(3_000_000, true));
    let none = status_of(&server, "Transfer-Encoding: chunked", &endless).await?;
    assert_eq!(none, "HTTP/1.1 413");
    // A length that is too short: what follows is no part of the body, and the form has no end.
    let form = form_of(500_000, true);
    let short = status_of(&server, "Content-Length: 400000", &form).await?;
    assert_eq!(short, "HTTP/1.1 400");
    // Two lengths, or a length and chunks: one of them is a lie that another server may believe.
    let two = status_of(&server, "Content-Length: 10\r\nContent-Length: 20", &form).await?;
    assert_eq!(two, "HTTP/1.1 400");
    assert_untouched(&server).await?;
    // At the limit it is taken.
    let form = form_of(900_000, true);
    let taken = status_of(&server, "Transfer-Encoding: chunked", &chunked(&form)).await?;
    assert_eq!(taken, "HTTP/1.1 200");
    assert_eq!(server.count("samples").await?, 1);
    Ok(())
}

/// Many uploads that are broken off: no temporary file stays.
#[tokio::test]
async fn up_6_uploads_that_are_broken_off_leave_nothing() -> Result<()> {
    let server = Server::start().await?;
    let address = server.url().replace("http://", "");
    let path = format!(
        "/api/v1/samples/?username=admin&api_key={}",
        critd_tests::ADMIN_KEY
    );
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = tokio::net::TcpStream::connect(&address).await?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 100000\r\n\r\n--B\r\nContent-Disposition: form-data; name=\"filedata\"; filename=\"x\"\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&[7; 90_000]).await?;
        streams.push(stream);
    }
    drop(streams);
    assert_untouched(&server).await
}

/// Checks UP-9: what is stored is sent as an attachment that no browser shows.
#[tokio::test]
async fn up_9_pages_are_never_shown() -> Result<()> {
    let server = Server::start().await?;
    let page = b"<html><script>alert(1)</script></html>";
    let fields = [("upload_type", "file"), ("source", "Alpha")];
    let id = send(&server, "samples", &fields, Some(("page.html", page)))
        .await?
        .created_id()?;
    let answer = server.get(&format!("/api/v1/samples/{id}/?file=1")).await?;
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename=\"results.zip\"")
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let whole = server.get(&format!("/api/v1/samples/{id}/")).await?;
    assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        whole.header("content-security-policy"),
        answer.header("content-security-policy")
    );
    let policy = whole
        .header("content-security-policy")
        .context("a policy")?;
    assert!(policy.contains("sandbox"), "{policy}");
    Ok(())
}

/// Checks UP-13: a server killed while files come in has, when it is back, no document without bytes.
#[tokio::test]
async fn up_13_a_killed_server_has_no_document_without_bytes() -> Result<()> {
    let mut server = Server::start().await?;
    let url = server.url();
    let client = server.client().clone();
    let posts: Vec<_> = (0..40)
        .map(|number| {
            let (url, client) = (url.clone(), client.clone());
            tokio::spawn(async move {
                let bytes = vec![number; 200_000];
                let form = reqwest::multipart::Form::new()
                    .text("upload_type", "file")
                    .text("source", "Alpha")
                    .part(
                        "filedata",
                        reqwest::multipart::Part::bytes(bytes).file_name("f"),
                    );
                let url = format!(
                    "{url}/api/v1/samples/?username=admin&api_key={}",
                    critd_tests::ADMIN_KEY
                );
                client.post(url).multipart(form).send().await.is_ok()
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(150)).await;
    server.kill()?;
    for post in posts {
        post.await?;
    }
    server.run().await?;
    let list = server.get("/api/v1/samples/?limit=1000").await?.json();
    for sample in list["objects"].as_array().context("objects")? {
        let bytes = sample["filedata"].as_str().context("bytes")?;
        assert_eq!(bytes.len(), 266_668, "{}", sample["md5"]);
    }
    assert!(kept(&server, "staging")?.is_empty());
    Ok(())
}
