//! What users of the original reported in public, and what published clients and real feeds send: each case with its id, whole,
//! over HTTP. Cases of one type alone are with the tests of that type; `xtask/rules.txt` says which have none yet.

mod actions;
mod addresses;
mod lists;
mod parameters;
mod protocol;
mod queries;
mod spellings;

use anyhow::{Context as _, Result};
use critd_tests::objects::{Form, OBJECTS, one_of_each, post};
use critd_tests::{Answer, Json, Server, admin, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

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
