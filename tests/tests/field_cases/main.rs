//! What users of the original reported in public, and what published clients and real feeds send: each case with its id, whole,
//! over HTTP. Cases of one type alone are with the tests of that type; `xtask/rules.txt` says which have none yet.

mod addresses;
mod lists;
mod parameters;
mod protocol;
mod queries;
mod spellings;

use anyhow::{Context as _, Result};
use critd_tests::{Answer, Json, Server, admin, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Names and values.
type Form = &'static [(&'static str, &'static str)];

/// An object of each resource that lists objects: its form, and the file that goes with it.
const OBJECTS: &[(&str, Form, Option<&[u8]>)] = &[
    ("actors", &[("name", "A"), ("source", "Alpha")], None),
    (
        "actoridentifiers",
        &[
            ("identifier_type", "Handle"),
            ("identifier", "x"),
            ("source", "Alpha"),
        ],
        None,
    ),
    ("backdoors", &[("name", "B"), ("source", "Alpha")], None),
    ("campaigns", &[("name", "C")], None),
    ("certificates", &[("source", "Alpha")], Some(b"certificate")),
    (
        "domains",
        &[("domain", "example.com"), ("source", "Alpha")],
        None,
    ),
    (
        "emails",
        &[
            ("upload_type", "fields"),
            ("subject", "s"),
            ("date", "2020-03-03 10:11:12"),
            ("source", "Alpha"),
        ],
        None,
    ),
    (
        "events",
        &[
            ("title", "E"),
            ("event_type", "Phishing"),
            ("description", "d"),
            ("source", "Alpha"),
        ],
        None,
    ),
    ("exploits", &[("name", "X"), ("source", "Alpha")], None),
    (
        "indicators",
        &[("type", "Mutex"), ("value", "x"), ("source", "Alpha")],
        None,
    ),
    (
        "ips",
        &[
            ("ip", "192.0.2.1"),
            ("ip_type", "IPv4 Address"),
            ("source", "Alpha"),
        ],
        None,
    ),
    ("pcaps", &[("source", "Alpha")], Some(b"packets")),
    (
        "raw_data",
        &[
            ("upload_type", "metadata"),
            ("title", "R"),
            ("data_type", "Text"),
            ("data", "x"),
            ("source", "Alpha"),
        ],
        None,
    ),
    (
        "samples",
        &[
            ("upload_type", "metadata"),
            ("filename", "f"),
            ("md5", "0123456789abcdef0123456789abcdef"),
            ("source", "Alpha"),
        ],
        None,
    ),
    (
        "signatures",
        &[
            ("title", "S"),
            ("data_type", "Yara"),
            ("data", "x"),
            ("source", "Alpha"),
        ],
        None,
    ),
    ("targets", &[("email_address", "t@example.org")], None),
];

/// Credentials of the administrator, as a query has them.
fn credentials() -> String {
    let admin = admin();
    format!("username={}&api_key={}", admin.name, admin.key)
}

/// A URL of the server with a query, credentials included.
fn url(server: &Server, path: &str) -> String {
    let join = if path.contains('?') { '&' } else { '?' };
    format!("{}{path}{join}{}", server.url(), credentials())
}

/// POST of a form, with a file part `filedata` if there is one.
async fn post(
    server: &Server,
    resource: &str,
    form: &[(&str, &str)],
    file: Option<&[u8]>,
) -> Result<Answer> {
    let path = format!("/api/v1/{resource}/");
    let Some(bytes) = file else {
        return server.post(&path, form).await;
    };
    let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name("file.bin");
    let mut parts = reqwest::multipart::Form::new().part("filedata", part);
    for (name, value) in form {
        parts = parts.text((*name).to_owned(), (*value).to_owned());
    }
    let request = server.client().post(url(server, &path)).multipart(parts);
    server.send(request).await
}

/// One of each of [`OBJECTS`]: resource and id.
async fn one_of_each(server: &Server) -> Result<Vec<(&'static str, String)>> {
    let mut made = Vec::new();
    for (resource, form, file) in OBJECTS {
        let answer = post(server, resource, form, *file).await?;
        let id = answer
            .created_id()
            .with_context(|| (*resource).to_owned())?;
        made.push((*resource, id));
    }
    Ok(made)
}

/// The names of what the server offers, as it lists them.
async fn resources(server: &Server) -> Result<Vec<String>> {
    let listing = server.get("/api/v1/").await?.json();
    let listed = listing.as_object().context("a listing")?;
    Ok(listed.keys().cloned().collect())
}

/// What `count` lists need: ids in the order of the answer, which is one of 200.
async fn ids(server: &Server, path: &str) -> Result<Vec<String>> {
    let answer = server.get(path).await?;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    let body = answer.json();
    let objects = body["objects"].as_array().context("objects")?;
    Ok(objects
        .iter()
        .filter_map(|object| object["_id"].as_str().map(str::to_owned))
        .collect())
}

/// `message` of an envelope that says failure.
fn refused(answer: &Answer) -> String {
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["return_code"]),
        (200, &json!(1)),
        "{}",
        answer.text
    );
    assert!(
        matches!(body["id"].as_str(), None | Some("")) && body.get("url").is_none(),
        "{body}"
    );
    body["message"].as_str().unwrap_or_default().to_owned()
}

/// Is this an error with a text, in JSON?
fn is_error(answer: &Answer) -> bool {
    let is_json = answer
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"));
    is_json
        && answer.json()["error"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
}

/// Sends a request as it is written and reads the answer to its end: what HTTP libraries would not send.
async fn raw(server: &Server, request: &[u8]) -> Result<(u16, String)> {
    let address = server.url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    // What refuses a request may do so before it has read all of it.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .with_context(|| format!("no answer: {text:?}"))?;
    Ok((status, text))
}

/// The document behind an envelope of success.
async fn stored(server: &Server, resource: &str, answer: &Answer) -> Result<Json> {
    server.document(resource, &answer.created_id()?).await
}
