//! Create.md 5.16: archives whose members become samples.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use critd_tests::{Answer, Json, Server, json};

use crate::files::{download, opened, pair, refusal, relations, send};
use crate::pcaps::CAPTURE;
use critd_tests::zips::{Entry, archive, file};

const FIRST: &[u8] = b"first member\n";

fn second() -> Vec<u8> {
    b"second member, a longer one\n".repeat(20)
}

/// POST of an archive.
async fn post(
    server: &Server,
    format: &str,
    bytes: &[u8],
    more: &[(&str, &str)],
) -> Result<Answer> {
    let fields = [
        ("upload_type", "file"),
        ("source", "Alpha"),
        ("file_format", format),
    ];
    let fields: Vec<_> = fields.into_iter().chain(more.iter().copied()).collect();
    send(server, "samples", &fields, Some(("archive.bin", bytes))).await
}

/// Name and bytes of every sample.
async fn samples(server: &Server) -> Result<BTreeMap<String, Vec<u8>>> {
    let files = opened(&download(server, "/api/v1/samples/?limit=1000").await?)?;
    let list = server.get("/api/v1/samples/?limit=1000").await?.json();
    let objects = list["objects"].as_array().context("objects")?;
    objects
        .iter()
        .map(|sample| {
            let text = |field: &str| sample[field].as_str().context("a text");
            Ok((text("filename")?.to_owned(), files[text("md5")?].clone()))
        })
        .collect()
}

fn both() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([
        ("first.txt".to_owned(), FIRST.to_vec()),
        ("second.txt".to_owned(), second()),
    ])
}

#[tokio::test]
async fn create_5_16_members_of_a_zip_are_samples() -> Result<()> {
    let server = Server::start().await?;
    let bytes = archive(&[
        file("folder/", b""),
        file("folder/first.txt", FIRST),
        Entry {
            is_deflated: false,
            ..file("second.txt", &second())
        },
        file("folder/copy of first.txt", FIRST),
        file("empty", b""),
    ])?;
    let more = [
        ("campaign", "Bear"),
        ("bucket_list", "b"),
        ("description", "d"),
        ("method", "m"),
    ];
    let answer = post(&server, "zip", &bytes, &more).await?;
    let first = answer.created_id()?;
    let body = answer.json();
    let ids = body["ids"].as_array().context("ids")?;
    assert_eq!((ids.len(), &ids[0]), (2, &json!(first)));
    let said = format!(
        "Success: Added new sample {}. Success: Added new sample {}.",
        md5(&server, &ids[0]).await?,
        md5(&server, &ids[1]).await?
    );
    assert_eq!(body["message"], said);
    assert_eq!(
        body["warnings"],
        json!(["Files without bytes in the archive were left out."])
    );
    assert_eq!(samples(&server).await?, both());
    let sample = server.document("samples", &first).await?;
    assert_eq!(sample["filenames"], json!(["copy of first.txt"]));
    assert_eq!(sample["campaign"][0]["name"], "Bear");
    assert_eq!(sample["bucket_list"], json!(["b"]));
    assert_eq!(sample["description"], "d");
    assert_eq!(
        sample["source"][0]["instances"][0]["method"],
        "File Upload - m"
    );
    Ok(())
}

async fn md5(server: &Server, id: &Json) -> Result<String> {
    let sample = server
        .document("samples", id.as_str().context("an id")?)
        .await?;
    Ok(sample["md5"].as_str().context("md5")?.to_owned())
}

/// Every archive of the fixtures, with the right password, without one where `infected` is right, with a wrong one.
#[tokio::test]
async fn o15_archives_of_all_kinds_and_their_passwords() -> Result<()> {
    let classic = archive(&[
        Entry {
            password: Some("infected"),
            ..file("folder/first.txt", FIRST)
        },
        Entry {
            password: Some("infected"),
            is_deflated: false,
            ..file("second.txt", &second())
        },
    ])?;
    let archives: [(&str, &[u8], bool); 12] = [
        ("zip", &classic, true),
        ("zip", include_bytes!("fixtures/aes128.zip"), true),
        ("zip", include_bytes!("fixtures/aes256.zip"), true),
        ("7z", include_bytes!("fixtures/plain.7z"), false),
        ("7z", include_bytes!("fixtures/lzma.7z"), false),
        ("7z", include_bytes!("fixtures/bcj.7z"), false),
        ("7z", include_bytes!("fixtures/copy.7z"), false),
        ("7z", include_bytes!("fixtures/aes.7z"), true),
        ("7z", include_bytes!("fixtures/hidden.7z"), true),
        ("rar", include_bytes!("fixtures/r5.rar"), false),
        ("rar", include_bytes!("fixtures/r4.rar"), false),
        ("rar", include_bytes!("fixtures/r5aes.rar"), true),
    ];
    for (number, (format, bytes, is_encrypted)) in archives.into_iter().enumerate() {
        let server = Server::start().await?;
        if is_encrypted {
            let answer = post(&server, format, bytes, &[("password", "wrong")]).await?;
            assert_eq!(
                refusal(&answer)?,
                "Error while extracting archive: the password is wrong.",
                "archive {number}"
            );
            assert_eq!(server.count("samples").await?, 0);
        }
        let password: &[(&str, &str)] = if number % 2 == 0 {
            &[]
        } else {
            &[("password", "infected")]
        };
        let answer = post(&server, format, bytes, password).await?;
        answer
            .created_id()
            .with_context(|| format!("archive {number}"))?;
        assert_eq!(samples(&server).await?, both(), "archive {number}");
    }
    Ok(())
}

/// Which archive it is, is found from its content.
#[tokio::test]
async fn create_5_16_the_content_decides_which_archive_it_is() -> Result<()> {
    let server = Server::start().await?;
    let bytes = include_bytes!("fixtures/plain.7z");
    post(&server, "zip", bytes, &[]).await?.created_id()?;
    assert_eq!(samples(&server).await?, both());
    for (bytes, message) in [
        (
            &b"just a text"[..],
            "Error while extracting archive: it is no ZIP, 7z or RAR archive.",
        ),
        (
            &archive(&[])?,
            "Error while extracting archive: there are no files in it.",
        ),
    ] {
        let answer = post(&server, "zip", bytes, &[]).await?;
        assert_eq!(refusal(&answer)?, message);
    }
    // As `raw`, which is the default, it is a sample itself.
    let answer = post(&server, "raw", bytes, &[]).await?;
    let id = answer.created_id()?;
    assert_eq!(
        server.document("samples", &id).await?["filetype"],
        "7-zip archive data"
    );
    assert_eq!(answer.json().get("ids"), None);
    Ok(())
}

/// Field case: RAR of both versions, encrypted names, solid, parts, links that leave the folder.
#[tokio::test]
async fn o57_rar_members_or_a_readable_refusal() -> Result<()> {
    let server = Server::start().await?;
    for bytes in [
        &include_bytes!("fixtures/r5hid.rar")[..],
        include_bytes!("fixtures/r4aes.rar"),
        include_bytes!("fixtures/r5solid.rar"),
    ] {
        let answer = post(&server, "rar", bytes, &[("password", "infected")]).await?;
        answer.created_id()?;
        assert_eq!(samples(&server).await?, both());
    }
    for bytes in [
        &include_bytes!("fixtures/r5hid.rar")[..],
        include_bytes!("fixtures/r4aes.rar"),
    ] {
        let answer = post(&server, "rar", bytes, &[("password", "wrong")]).await?;
        assert_eq!(
            refusal(&answer)?,
            "Error while extracting archive: the password is wrong."
        );
    }
    let answer = post(&server, "rar", include_bytes!("fixtures/volume.rar"), &[]).await?;
    assert_eq!(
        refusal(&answer)?,
        "Error while extracting archive: a part of an archive in several files can't be unpacked here."
    );
    Ok(())
}

#[tokio::test]
async fn create_5_16_members_are_related_to_their_archive() -> Result<()> {
    let server = Server::start().await?;
    let bytes = archive(&[file("first.txt", FIRST)])?;
    let whole = post(&server, "raw", &bytes, &[]).await?.created_id()?;
    let md5 = md5(&server, &json!(whole)).await?;
    let related = [("related_md5", md5.as_str())];
    let member = post(&server, "zip", &bytes, &related).await?.created_id()?;
    let sample = server.document("samples", &member).await?;
    assert_eq!(
        relations(&sample, &whole),
        pair("Compressed Into", "Sample")
    );

    let event = server.event("Wave").await?;
    let related = [("related_id", event.as_str()), ("related_type", "Event")];
    post(&server, "zip", &bytes, &related).await?.created_id()?;
    let sample = server.document("samples", &member).await?;
    assert_eq!(relations(&sample, &event), pair("Related To", "Event"));
    Ok(())
}

/// Members go the way of single files: captures become PCAPs.
#[tokio::test]
async fn create_5_16_a_capture_in_an_archive_is_a_pcap() -> Result<()> {
    let server = Server::start().await?;
    let bytes = archive(&[file("net.pcap", CAPTURE), file("first.txt", FIRST)])?;
    let answer = post(&server, "zip", &bytes, &[]).await?;
    answer.created_id()?;
    assert_eq!(answer.json()["type"], "PCAP");
    assert_eq!(server.count("pcaps").await?, 1);
    assert_eq!(server.count("samples").await?, 1);
    Ok(())
}

/// What decoders there are is told where they don't suffice.
#[tokio::test]
async fn create_5_16_lzma_in_zip_is_unpacked() -> Result<()> {
    let server = Server::start().await?;
    post(&server, "zip", include_bytes!("fixtures/lzma.zip"), &[])
        .await?
        .created_id()?;
    assert_eq!(samples(&server).await?["second.txt"], second());
    Ok(())
}
