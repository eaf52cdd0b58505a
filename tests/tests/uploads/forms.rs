//! How files are sent: names of all kinds, several parts, the same bytes many times at once.

use anyhow::{Context, Result};
use critd_tests::{Server, json};
use reqwest::multipart::{Form, Part};

use crate::files::send;
use crate::samples::{FILE, HELLO, methods};

/// Field case: names outside ASCII, in all ways of sending them.
#[tokio::test]
async fn o26_names_of_all_kinds_are_stored() -> Result<()> {
    let server = Server::start().await?;
    let names = ["\u{fc}bung.exe", "\u{53d1}\u{7968}.scr", "\u{1f600}.exe"];
    for (number, name) in names.iter().enumerate() {
        let bytes = format!("file {number}");
        let id = send(&server, "samples", &FILE, Some((name, bytes.as_bytes())))
            .await?
            .created_id()?;
        assert_eq!(server.document("samples", &id).await?["filename"], *name);
    }
    let written: [(&[u8], &str); 4] = [
        (b"filename*=UTF-8''%e2%82%ac.exe", "\u{20ac}.exe"),
        (b"filename=\"raw\xff.exe\"", "raw\u{fffd}.exe"),
        (b"filename=\"..\\..\\up.exe\"", "up.exe"),
        (b"filename=\"..\"", "unknown"),
    ];
    for (header, name) in written {
        let mut body = b"--B\r\nContent-Disposition: form-data; name=\"upload_type\"\r\n\r\nfile\r\n--B\r\nContent-Disposition: form-data; name=\"source\"\r\n\r\nAlpha\r\n--B\r\nContent-Disposition: form-data; name=\"filedata\"; ".to_vec();
        body.extend_from_slice(header);
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"\r\n--B--\r\n");
        let url = format!(
            "{}/api/v1/samples/?username=admin&api_key={}",
            server.url(),
            critd_tests::ADMIN_KEY
        );
        let request = server.client().post(url);
        let request = request
            .header("Content-Type", "multipart/form-data; boundary=B")
            .body(body);
        let id = server.send(request).await?.created_id()?;
        assert_eq!(server.document("samples", &id).await?["filename"], name);
    }
    let list = server.get("/api/v1/samples/").await?.json();
    assert_eq!(list["meta"]["total_count"], names.len() + written.len());
    Ok(())
}

/// Field case: sources of one's own always have method and reference where they were told.
#[tokio::test]
async fn o45_sources_of_others_are_counted_only() -> Result<()> {
    let server = Server::start().await?;
    let id = send(&server, "samples", &FILE, Some(("h", HELLO)))
        .await?
        .created_id()?;
    let fields = [("upload_type", "file"), ("source", "Beta")];
    send(&server, "samples", &fields, Some(("h", HELLO)))
        .await?
        .created_id()?;
    let user = server.add_user(
        "user",
        &["Sample.read"],
        &[("Beta", &["--read", "--tlp", "amber"])],
    )?;
    let sample = server
        .get_as(&user, &format!("/api/v1/samples/{id}/"))
        .await?
        .json();
    assert_eq!(
        methods(&json!({"source": [sample["source"][0]]})),
        ["File Upload"]
    );
    assert_eq!(
        sample["source"][1],
        json!({"name": "Other", "instances": [0]})
    );
    Ok(())
}

/// Field case: every create answers an id.
#[tokio::test]
async fn o52_every_upload_answers_an_id() -> Result<()> {
    let server = Server::start().await?;
    for (resource, fields) in [
        ("samples", &FILE[..]),
        ("pcaps", &FILE[1..]),
        ("certificates", &FILE[1..]),
    ] {
        let answer = send(&server, resource, fields, Some(("h", HELLO))).await?;
        assert_eq!(answer.created_id()?.len(), 24, "{resource}");
    }
    Ok(())
}

/// Checks UP-11: the same bytes many times at once are one document and one file.
#[tokio::test]
async fn up_11_the_same_bytes_at_once_are_one_document() -> Result<()> {
    let server = std::sync::Arc::new(Server::start().await?);
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move {
                let source = if number % 2 == 0 { "Alpha" } else { "Beta" };
                // Those of one millisecond would be one instance of the source otherwise.
                let reference = number.to_string();
                let fields = [
                    ("upload_type", "file"),
                    ("source", source),
                    ("reference", reference.as_str()),
                ];
                send(&server, "samples", &fields, Some(("h", HELLO)))
                    .await?
                    .created_id()
            })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    for task in tasks {
        ids.insert(task.await??);
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(server.count("samples").await?, 1);
    if critd_tests::is_embedded() {
        assert_eq!(crate::files::kept(&server, "files")?.len(), 1);
    }
    let sample = server
        .document("samples", ids.first().context("an id")?)
        .await?;
    let sources = sample["source"].as_array().context("sources")?;
    let counts: Vec<_> = sources
        .iter()
        .map(|source| source["instances"].as_array().map(Vec::len))
        .collect();
    assert_eq!(counts, [Some(50), Some(50)]);
    Ok(())
}

/// Several parts, of which one is the file: the others are parameters of their own.
#[tokio::test]
async fn create_1_1_other_file_parts_are_told() -> Result<()> {
    let server = Server::start().await?;
    let form = Form::new()
        .text("upload_type", "file")
        .text("source", "Alpha")
        .part("filedata", Part::bytes(HELLO.to_vec()).file_name("h"))
        .part("other", Part::bytes(HELLO.to_vec()).file_name("o"));
    let url = format!(
        "{}/api/v1/samples/?username=admin&api_key={}",
        server.url(),
        critd_tests::ADMIN_KEY
    );
    let answer = server
        .send(server.client().post(url).multipart(form))
        .await?;
    answer.created_id()?;
    assert_eq!(
        answer.json()["warnings"],
        json!(["Unknown parameter 'other' was ignored."])
    );
    Ok(())
}
