//! Request bodies decoded into parameters (core-api 12.1).

mod disposition;
mod multipart;
pub(super) mod objects;
mod stream;
#[cfg(test)]
mod tests;
mod xml;
mod yaml;

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::{Map, Value as Json};

use super::credentials::{API_KEY, USERNAME};
use super::failure::Failure;
use crate::plugins::{Param, Params};
use crate::query::Parameters;
use crate::store::StagedFile;

/// Most bytes of a body, or of the text parts of one, that are held in memory.
const MOST_IN_MEMORY: u64 = 64 << 20;
/// Larger bodies are decoded away from the threads that serve requests.
const DECODED_IN_PLACE: usize = 256 << 10;
/// Text of rule B1.
const FILE_IN_FORM: &str = "Filedata only supported in multipart forms.";

/// A decoded body.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    /// Its parameters, credentials taken out (rule A6).
    pub(super) params: Params,
    /// Credentials that were among them: not empty, texts, the last ones.
    pub(super) username: Option<String>,
    /// See `username`.
    pub(super) api_key: Option<String>,
}

/// Where a body may go, and how much of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance<'a> {
    /// Most bytes (setting `max_body_bytes`, rule L1).
    pub(super) most: u64,
    /// Folder for file parts.
    pub(super) folder: &'a Path,
}

/// Does the client announce more than is read (rule L1)?
pub(super) fn announces_too_much(headers: &HeaderMap, most: u64) -> bool {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    announced.is_some_and(|bytes| bytes > most)
}

/// Forms of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Urlencoded,
    Json,
    Xml,
    Yaml,
}

/// Reads a body as its `Content-Type` says; without one it is JSON (rule B4).
pub(super) async fn decode(
    headers: &HeaderMap,
    body: Body,
    allowance: Allowance<'_>,
) -> Result<Decoded, Failure> {
    let sent = headers
        .get(CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let media_type = sent.as_deref().map(|sent| {
        sent.split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    });
    let form = match media_type.as_deref() {
        None | Some("application/json") => Form::Json,
        Some("application/x-www-form-urlencoded") => Form::Urlencoded,
        Some("application/xml" | "text/xml") => Form::Xml,
        Some("text/yaml" | "application/yaml" | "application/x-yaml") => Form::Yaml,
        Some("multipart/form-data") => {
            return multipart::decode(sent.as_deref().unwrap_or_default(), body, allowance).await;
        }
        Some(_) => {
            // An empty body is an empty parameter set, whatever it calls itself.
            let is_empty = stream::read(body, 0).await.is_ok();
            let kind = super::answer::printable(sent.as_deref().unwrap_or_default());
            return if is_empty {
                Ok(Decoded::default())
            } else {
                Err(Failure::UnsupportedType(kind))
            };
        }
    };
    let bytes = stream::read(body, allowance.most.min(MOST_IN_MEMORY)).await?;
    if bytes.len() <= DECODED_IN_PLACE {
        return read(form, &bytes);
    }
    match tokio::task::spawn_blocking(move || read(form, &bytes)).await {
        Ok(decoded) => decoded,
        Err(error) => Err(Failure::Internal(format!("decoding a body: {error}"))),
    }
}

fn read(form: Form, bytes: &[u8]) -> Result<Decoded, Failure> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Decoded::default());
    }
    match form {
        Form::Urlencoded => urlencoded(bytes),
        Form::Json => Ok(Decoded::of_object(json(bytes)?)),
        Form::Xml => Ok(Decoded::of_object(xml::read(bytes).ok_or_else(|| {
            Failure::BadRequest("Request is not valid XML.".into())
        })?)),
        Form::Yaml => Ok(Decoded::of_object(yaml::read(bytes)?)),
    }
}

/// Rules B1, B2, B10.
fn urlencoded(bytes: &[u8]) -> Result<Decoded, Failure> {
    let parameters =
        Parameters::parse(bytes).map_err(|error| Failure::BadRequest(error.to_string()))?;
    if parameters.last("filedata").is_some() {
        return Err(Failure::BadRequest(FILE_IN_FORM.into()));
    }
    Ok(Decoded::of_texts(parameters.into_pairs()))
}

/// Rule B4. Of equal keys the last one counts; nesting is limited to 128 levels.
fn json(bytes: &[u8]) -> Result<Map<String, Json>, Failure> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match serde_json::from_slice(bytes) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(Failure::BadRequest(
            "Request body must be a JSON object.".into(),
        )),
        Err(_) => Err(Failure::BadRequest("Request is not valid JSON.".into())),
    }
}

impl Decoded {
    /// Rule A4: only texts are credentials. Rule A6: whatever has their name goes.
    fn of_object(object: Map<String, Json>) -> Self {
        let mut decoded = Self::default();
        for (name, value) in object {
            let text = value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned);
            match name.as_str() {
                USERNAME => decoded.username = text,
                API_KEY => decoded.api_key = text,
                _ => decoded.params.push((name, Param::Json(value))),
            }
        }
        decoded
    }

    fn of_texts(pairs: Vec<(String, String)>) -> Self {
        let mut decoded = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                USERNAME => decoded.username = Some(value).filter(|value| !value.is_empty()),
                API_KEY => decoded.api_key = Some(value).filter(|value| !value.is_empty()),
                _ => decoded.params.push((name, Param::Text(value))),
            }
        }
        decoded
    }

    /// Rule B3: if there is a file part `filedata`, file parts replace text parts of the same name; otherwise they are ignored.
    fn of_parts(texts: Vec<(String, String)>, files: Vec<(String, StagedFile)>) -> Self {
        let mut decoded = Self::of_texts(texts);
        if files.iter().any(|(name, _)| name == "filedata") {
            decoded
                .params
                .retain(|(name, _)| !files.iter().any(|(file, _)| file == name));
            decoded.params.extend(
                files
                    .into_iter()
                    .map(|(name, file)| (name, Param::File(Arc::new(file)))),
            );
        }
        decoded
    }
}
