//! Sending files as clients do, and reading what comes back.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use critd_tests::{Answer, Json, Server, User, admin};
use reqwest::multipart::{Form, Part};

/// Names and values of a form.
pub(crate) type Fields<'a> = &'a [(&'a str, &'a str)];

/// POST of a multipart form with a part `filedata`, if there is a file.
pub(crate) async fn send_as(
    server: &Server,
    user: &User,
    resource: &str,
    fields: Fields<'_>,
    file: Option<(&str, &[u8])>,
) -> Result<Answer> {
    let mut form = Form::new()
        .text("username", user.name.clone())
        .text("api_key", user.key.clone());
    for (name, value) in fields {
        form = form.text((*name).to_owned(), (*value).to_owned());
    }
    if let Some((name, bytes)) = file {
        form = form.part(
            "filedata",
            Part::bytes(bytes.to_vec()).file_name(name.to_owned()),
        );
    }
    let url = format!("{}/api/v1/{resource}/", server.url());
    server.send(server.client().post(url).multipart(form)).await
}

/// The same as the administrator.
pub(crate) async fn send(
    server: &Server,
    resource: &str,
    fields: Fields<'_>,
    file: Option<(&str, &[u8])>,
) -> Result<Answer> {
    send_as(server, &admin(), resource, fields, file).await
}

/// `message` of a refusal with `return_code` 1.
pub(crate) fn refusal(answer: &Answer) -> Result<String> {
    let body = answer.json();
    ensure!(
        answer.status == 200 && body["return_code"] == 1,
        "not refused: {} {}",
        answer.status,
        answer.text
    );
    let message = body["message"].as_str().context("a message")?;
    // O52: a published client looks for the word.
    ensure!(!message.contains("success"), "{message}");
    Ok(message.to_owned())
}

/// What `file=1` answers.
pub(crate) async fn download(server: &Server, path: &str) -> Result<Vec<u8>> {
    let join = if path.contains('?') { '&' } else { '?' };
    let admin = admin();
    let url = format!(
        "{}{path}{join}file=1&username={}&api_key={}",
        server.url(),
        admin.name,
        admin.key
    );
    let response = server.client().get(url).send().await?;
    ensure!(response.status().as_u16() == 200, "{}", response.status());
    Ok(response.bytes().await?.to_vec())
}

/// UP-8: the files of a downloaded archive, as Python opens it with the password `infected`.
pub(crate) fn opened(archive: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    const SCRIPT: &str = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nz.setpassword(b'infected')\nfor n in z.namelist(): print(n, z.read(n).hex())";
    let mut file = tempfile::NamedTempFile::new()?;
    std::io::Write::write_all(&mut file, archive)?;
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(file.path())
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    text.lines()
        .map(|line| {
            let (name, hex) = line.split_once(' ').context("a name and bytes")?;
            let bytes = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16))
                .collect::<Result<_, _>>()?;
            Ok((name.to_owned(), bytes))
        })
        .collect()
}

/// (relationship, type) of all entries that point to this id.
pub(crate) fn relations(document: &Json, partner: &str) -> Vec<(String, String)> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    document["relationships"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["value"] == partner)
        .map(|entry| (text(&entry["relationship"]), text(&entry["type"])))
        .collect()
}

/// A pair of them.
pub(crate) fn pair(relationship: &str, partner: &str) -> Vec<(String, String)> {
    vec![(relationship.to_owned(), partner.to_owned())]
}

/// Names of the files in a folder of the server's data, all levels.
pub(crate) fn kept(server: &Server, folder: &str) -> Result<Vec<String>> {
    fn walk(folder: &std::path::Path, found: &mut Vec<String>) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                walk(&path, found)?;
            } else {
                found.push(path.display().to_string());
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    let folder = server.folder().join("data").join(folder);
    if folder.exists() {
        walk(&folder, &mut found)?;
    }
    found.sort();
    Ok(found)
}
