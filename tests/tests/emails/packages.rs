//! Messages that other people made, from public packages: mails of malware with damaged structure (field case O56), files of
//! Outlook (O22, O23). None may end in anything but an answer.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use critd_tests::{Server, json};

use crate::{File, upload};

/// A package's folder; none, said loudly, where there is no registry.
fn fetched(name: &str, version: &str) -> Option<PathBuf> {
    let folder =
        critd_packages::cache().and_then(|cache| critd_packages::pypi(&cache, name, version));
    folder
        .map_err(|reason| eprintln!("SKIPPED: PyPI's {name} {version} cannot be had: {reason:#}"))
        .ok()
}

/// The files of a folder by name.
fn files(folder: &Path, ending: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_file() && name.ends_with(ending) {
            files.push((name, fs::read(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

/// How many samples each mail brings, as Python's own parser counts: leaves with a name, the disposition `attachment` or a type other than text;
/// equal bytes once, empty ones not. But for `mail_malformed_1`, which has its archive
/// behind the end of its parts, where Python does not look and the mail parser does; for `mail_malformed_2`, a report on a delivery
/// whose parts of the types `message/delivery-status` and `message/rfc822-headers` Python takes apart; and for `mail_malformed_3`, whose parts begin nowhere: Python makes the whole body one leaf of
/// the type multipart, here it is text.
const O56: &[(&str, usize)] = &[
    ("mail_malformed_1", 1),
    ("mail_malformed_2", 2),
    ("mail_malformed_3", 0),
    ("mail_test_1", 1),
    ("mail_test_10", 4),
    ("mail_test_11", 1),
    ("mail_test_12", 0),
    ("mail_test_13", 0),
    ("mail_test_14", 1),
    ("mail_test_15", 1),
    ("mail_test_16", 0),
    ("mail_test_17", 0),
    ("mail_test_18", 0),
    ("mail_test_19", 0),
    ("mail_test_2", 3),
    ("mail_test_3", 1),
    ("mail_test_4", 2),
    ("mail_test_5", 5),
    ("mail_test_6", 4),
    ("mail_test_7", 8),
    ("mail_test_8", 0),
    ("mail_test_9", 0),
];

#[tokio::test]
async fn o56_mails_of_malware() -> Result<()> {
    let Some(folder) = fetched("mail-parser", "4.8.0") else {
        return Ok(());
    };
    let all = files(&folder.join("tests/mails"), "")?;
    assert!(all.len() > 20, "{} mails", all.len());
    let server = Server::start().await?;
    let mut differences = Vec::new();
    for (name, bytes) in &all {
        if name == "mail_outlook_1" {
            let answer = upload(&server, "msg", File { name, bytes }).await?;
            answer
                .created_id()
                .map_err(|error| error.context(name.clone()))?;
            continue;
        }
        let expected = O56.iter().find(|(known, _)| known == name);
        let (_, expected) = expected.with_context(|| format!("{name} has no row"))?;
        for form in ["eml", "raw"] {
            let answer = upload(&server, form, File { name, bytes }).await?;
            let id = answer
                .created_id()
                .map_err(|error| error.context(format!("{name} as {form}")))?;
            let mail = server.document("emails", &id).await?;
            let samples = mail["relationships"].as_array().map_or(0, Vec::len);
            if samples != *expected {
                differences.push(format!("{name} as {form}: {samples}, not {expected}"));
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

#[tokio::test]
async fn o22_o23_files_of_outlook() -> Result<()> {
    let server = Server::start().await?;
    for (package, version, inner) in [
        ("parse-emails", "0.2.1", "parse_emails/tests/test_data"),
        ("msg-parser", "1.2.0", "tests/files"),
    ] {
        let Some(folder) = fetched(package, version) else {
            continue;
        };
        let all = files(&folder.join(inner), ".msg")?;
        assert!(all.len() > 2, "{} files in {package}", all.len());
        for (name, bytes) in &all {
            let answer = upload(&server, "msg", File { name, bytes }).await?;
            let id = answer
                .created_id()
                .map_err(|error| error.context(name.clone()))?;
            let mail = server.document("emails", &id).await?;
            let message = answer.json()["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let samples = mail["relationships"].as_array().map_or(0, Vec::len);
            eprintln!(
                "{name}: {:?}, {samples} samples, {message:?}",
                mail["subject"]
            );
            let body = mail["raw_body"].as_str().unwrap_or_default();
            assert!(!body.contains('\u{fffd}'), "{name}: {body}");
            match name.as_str() {
                "outer.msg" | "msg_contains_eml.msg" => {
                    assert!(
                        message.contains("Embedded message") || samples > 0,
                        "{name}: {message}"
                    );
                }
                "utf_subject.msg" => assert_ne!(mail["subject"], json!(""), "{name}"),
                _ => {}
            }
        }
    }
    Ok(())
}
