//! Recorded exchanges, one JSON object a line.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use critd_tests::{Answer, Server};
use serde::Deserialize;

/// A request, and what the original answered.
#[derive(Debug, Deserialize)]
pub(crate) struct Exchange {
    /// Running number.
    pub(crate) n: u32,
    pub(crate) method: String,
    /// With the query. May hold `{{id:NAME}}`.
    pub(crate) path: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    multipart: Option<Vec<Part>>,
    /// The id in the answer gets this name.
    capture: Option<String>,
    pub(crate) response: Recorded,
}

#[derive(Debug, Deserialize)]
struct Part {
    name: String,
    value: Option<String>,
    filename: Option<String>,
    content_type: Option<String>,
    b64: Option<String>,
}

/// The original's answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    /// Some of them.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// None: a page for people, or a ZIP.
    pub(crate) body: Option<String>,
    /// Names of a ZIP's entries.
    pub(crate) zip: Option<serde_json::Value>,
}

/// Ids by the names that the recording gives them.
#[derive(Default)]
pub(crate) struct Ids(HashMap<String, String>);

impl Ids {
    /// Puts ids for `{{id:NAME}}`; one that nobody has for a name that stands for nothing.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{id:") {
            let Some((name, after)) = after.split_once("}}") else {
                break;
            };
            filled.push_str(before);
            filled.push_str(self.0.get(name).map_or(NOBODY, String::as_str));
            rest = after;
        }
        filled + rest
    }

    /// Has the recording a name for it?
    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.values().any(|known| known == id)
    }

    /// Remembers the id that an answer tells of.
    pub(crate) fn capture(&mut self, exchange: &Exchange, answer: &Answer) {
        let (Some(name), Ok(body)) = (
            &exchange.capture,
            serde_json::from_str::<serde_json::Value>(&answer.text),
        ) else {
            return;
        };
        let id = body["id"].as_str().or(body["objects"][0]["_id"].as_str());
        if let Some(id) = id.filter(|id| id.len() == 24) {
            self.0.insert(name.clone(), id.to_owned());
        }
    }
}

const NOBODY: &str = "ffffffffffffffffffffffff";
const BOUNDARY: &str = "recorded-exchange-boundary";

impl Exchange {
    /// Lines of a recording.
    pub(crate) fn all(lines: &str) -> Result<Vec<Self>> {
        lines
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }

    /// Sends the request.
    pub(crate) async fn replay(&self, server: &Server, ids: &Ids) -> Result<Answer> {
        let url = format!("{}{}", server.url(), ids.fill(&self.path));
        let method = self.method.parse()?;
        let mut request = server.client().request(method, url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &self.body {
            request = request.body(ids.fill(body));
        }
        if let Some(parts) = &self.multipart {
            request = request
                .header(
                    "Content-Type",
                    format!("multipart/form-data; boundary={BOUNDARY}"),
                )
                .body(multipart(parts, ids)?);
        }
        server.send(request).await
    }
}

fn multipart(parts: &[Part], ids: &Ids) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for part in parts {
        let mut head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"",
            part.name
        );
        if let Some(name) = &part.filename {
            head += &format!("; filename=\"{name}\"");
        }
        head += "\r\n";
        if let Some(kind) = &part.content_type {
            head += &format!("Content-Type: {kind}\r\n");
        }
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\r\n");
        match (&part.value, &part.b64) {
            (Some(value), _) => body.extend_from_slice(ids.fill(value).as_bytes()),
            (None, Some(bytes)) => body.extend(BASE64.decode(bytes)?),
            (None, None) => {}
        }
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    Ok(body)
}
