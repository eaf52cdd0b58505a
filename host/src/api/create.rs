//! `POST /api/v1/RESOURCE/` (core-api 12.2, 12.3).

use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value as Json};

use super::answer;
use super::failure::Failure;
use super::pipeline::Call;
use super::render;
use crate::plugins::{Created, Mode, NotDone, Params, Refusal, TypeEntry};
use crate::query::is_on;

pub(super) async fn post(
    call: &Call<'_>,
    entry: &TypeEntry,
    params: Params,
) -> Result<Response, Failure> {
    let mode = Mode {
        dry_run: is_on(call.parameters.last("dry_run")),
    };
    match call
        .state
        .handlers
        .create(&call.registry, &call.caller, entry, params, mode)
        .await
    {
        Ok(created) => made(call, entry, created).await,
        Err(NotDone::Refused(refusal)) => {
            Ok(answer::json(StatusCode::OK, &refused(call, entry, refusal)))
        }
        Err(reason) => Err(reason.into()),
    }
}

/// Rules B14 to B17, B23.
async fn made(call: &Call<'_>, entry: &TypeEntry, created: Created) -> Result<Response, Failure> {
    let mut body = envelope(0, entry, created.message);
    let document = created.document.map(|(type_name, id)| {
        // The object may be of another type than the resource: a capture that came as a sample (create.md 5.16).
        let of = call
            .registry
            .type_named(&type_name)
            .map_or(entry, |of| of.as_ref());
        body.insert("type".into(), of.declaration.name.as_str().into());
        (
            id.to_hex(),
            format!("{}{id}/", call.path_of(&of.declaration.resource)),
        )
    });
    match &document {
        Some((id, url)) => {
            body.insert("id".into(), id.as_str().into());
            body.insert("url".into(), url.as_str().into());
        }
        None => insert_empty_id(&mut body, entry),
    }
    body.insert("created".into(), created.fresh.into());
    if !created.warnings.is_empty() {
        body.insert("warnings".into(), created.warnings.into());
    }
    insert_further(&mut body, created.extra);
    let status = if created.fresh && wants_201(call) {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = answer::json(status, &Json::Object(body));
    if let Some(location) = document.and_then(|(_, url)| HeaderValue::from_str(&url).ok()) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Rule B22: a refusal is a 200. It carries id and URL where it is about a document that is there (create.md 5.4).
fn refused(call: &Call<'_>, entry: &TypeEntry, refusal: Refusal) -> Json {
    let mut body = envelope(1, entry, refusal.message);
    let member = |name: &str| refusal.error.get(name).and_then(Json::as_str);
    match (
        member("type").and_then(|name| call.registry.type_named(name)),
        member("id"),
    ) {
        (Some(of), Some(id)) => {
            body.insert("id".into(), id.into());
            body.insert(
                "url".into(),
                format!("{}{id}/", call.path_of(&of.declaration.resource)).into(),
            );
        }
        _ => insert_empty_id(&mut body, entry),
    }
    body.insert("created".into(), false.into());
    if !refusal.error.is_empty() {
        body.insert("error".into(), Json::Object(refusal.error));
    }
    Json::Object(body)
}

fn envelope(return_code: i32, entry: &TypeEntry, message: String) -> Map<String, Json> {
    let mut body = Map::new();
    body.insert("return_code".into(), return_code.into());
    body.insert("type".into(), entry.declaration.name.as_str().into());
    body.insert("message".into(), message.into());
    body
}

/// Rule B17: some resources have always answered `id`, empty if there is none.
fn insert_empty_id(body: &mut Map<String, Json>, entry: &TypeEntry) {
    if entry.declaration.empty_id {
        body.insert("id".into(), "".into());
    }
}

/// Further keys of an answer never replace those that every answer has. Dates and ids in them are shown as in documents.
pub(super) fn insert_further(body: &mut Map<String, Json>, further: Map<String, Json>) {
    for (name, value) in further {
        body.entry(name).or_insert_with(|| render::answered(value));
    }
}

/// Rule B23: the setting, the query or the header asks for 201.
fn wants_201(call: &Call<'_>) -> bool {
    call.parameters.last("created_status") == Some("201")
        || prefers_201(&call.headers)
        || call.settings.text("post_created_status") == Some("201")
}

fn prefers_201(headers: &HeaderMap) -> bool {
    let preferences = headers
        .get_all("prefer")
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    preferences
        .flat_map(|value| value.split([',', ';']))
        .any(|preference| {
            preference.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("status")
                    && value.trim().trim_matches('"') == "201"
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b23_prefer_header() {
        for (value, expected) in [
            ("status=201", true),
            ("return=minimal, Status = \"201\"", true),
            ("status=200", false),
            ("status", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", value.parse().unwrap());
            assert_eq!(prefers_201(&headers), expected, "{value}");
        }
    }
}
