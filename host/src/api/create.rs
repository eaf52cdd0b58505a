//! `POST /api/v1/RESOURCE/` (core-api 12.2, 12.3).

use std::sync::Arc;

use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value as Json};

use super::failure::Failure;
use super::pipeline::{Call, path_of};
use super::{answer, difference, once, render};
use crate::dates::Zones;
use crate::plugins::{Created, Mode, NotDone, Params, Refusal, Registry, TypeEntry};
use crate::query::is_on;

pub(super) async fn post(
    call: &Call<'_>,
    of: &Arc<TypeEntry>,
    params: Params,
) -> Result<Response, Failure> {
    let what = ["POST", &of.declaration.resource];
    let dry_run = is_on(call.parameters.last("dry_run"));
    let mode = Mode {
        dry_run,
        once: once::Key::of(call)?.map(|key| key.once(None, &what, &params)),
    };
    let envelopes = Envelopes::new(call, of);
    match call
        .state
        .handlers
        .create(&call.registry, &call.caller, of, params, mode)
        .await
    {
        Ok(created) => made(call, &envelopes, created, dry_run).await,
        Err(NotDone::Refused(refusal)) => {
            let body = Json::Object(envelopes.refused(refusal));
            Ok(answer::json(StatusCode::OK, &body))
        }
        Err(reason) => Err(reason.into()),
    }
}

/// Rules B14 to B17, B23.
async fn made(
    call: &Call<'_>,
    envelopes: &Envelopes,
    mut created: Created,
    dry_run: bool,
) -> Result<Response, Failure> {
    let status = if created.fresh && wants_201(call) {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let is_repeated = created.is_repeated;
    let changed = std::mem::take(&mut created.changed);
    let (mut body, url) = envelopes.made(created);
    if dry_run {
        body.insert("difference".into(), difference::of(call, changed).await?);
    }
    let mut response = answer::json(status, &Json::Object(body));
    once::mark(&mut response, is_repeated);
    if let Some(location) = url.and_then(|url| HeaderValue::from_str(&url).ok()) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Words the answers to POSTs to one resource.
pub(super) struct Envelopes {
    registry: Arc<Registry>,
    prefix: String,
    of: Arc<TypeEntry>,
    zones: Zones,
}

impl Envelopes {
    pub(super) fn new(call: &Call<'_>, of: &Arc<TypeEntry>) -> Self {
        Self {
            registry: Arc::clone(&call.registry),
            prefix: call.state.prefix.clone(),
            of: Arc::clone(of),
            zones: call.settings.zones().clone(),
        }
    }

    /// Of a success, and the URL of the object that it is about.
    pub(super) fn made(&self, created: Created) -> (Map<String, Json>, Option<String>) {
        let mut body = self.envelope(0, created.message);
        let mut location = None;
        match created.document {
            Some((type_name, id)) => {
                // The object may be of another type than the resource: a capture that came as a sample (create.md 5.16).
                let of = self.registry.type_named(&type_name).unwrap_or(&self.of);
                body.insert(
                    "type".into(),
                    self.registry.whole(of).declaration.name.as_str().into(),
                );
                let id = id.to_hex();
                location = self.url(of, &id);
                body.insert("id".into(), id.into());
                body.extend(
                    location
                        .iter()
                        .map(|url| ("url".to_owned(), url.as_str().into())),
                );
            }
            None => self.insert_empty_id(&mut body),
        }
        body.extend(self.of.declaration.answer_keys.success.clone());
        body.insert("created".into(), created.fresh.into());
        if !created.warnings.is_empty() {
            body.insert("warnings".into(), created.warnings.into());
        }
        insert_further(&mut body, created.extra, &self.zones);
        (body, location)
    }

    /// Rule B22: a refusal is a 200. It carries id and URL where it is about a document that is there (create.md 5.4).
    pub(super) fn refused(&self, refusal: Refusal) -> Map<String, Json> {
        let mut body = self.envelope(1, refusal.message);
        let member = |name: &str| refusal.error.get(name).and_then(Json::as_str);
        match (
            member("type").and_then(|name| self.registry.type_named(name)),
            member("id"),
        ) {
            (Some(of), Some(id)) => {
                // Rule B15: an object's own type, whatever the resource (create.md 5.18).
                let name = &self.registry.whole(of).declaration.name;
                body.insert("type".into(), name.as_str().into());
                body.insert("id".into(), id.into());
                body.extend(self.url(of, id).map(|url| ("url".to_owned(), url.into())));
            }
            _ => self.insert_empty_id(&mut body),
        }
        let keys = &self.of.declaration.answer_keys;
        let is_forbidden = refusal.error.contains_key("permission");
        let forbidden = keys.forbidden.iter().filter(|_| is_forbidden);
        for (key, value) in keys.failure.iter().chain(forbidden) {
            body.insert(key.clone(), value.clone());
        }
        body.insert("created".into(), false.into());
        if !refusal.error.is_empty() {
            body.insert("error".into(), Json::Object(refusal.error));
        }
        body
    }

    /// Rule B16: where an object can be read; none if that is nowhere (create.md 5.6).
    fn url(&self, of: &TypeEntry, id: &str) -> Option<String> {
        let is_read = of.declaration.methods.iter().any(|method| method == "GET");
        is_read.then(|| format!("{}{id}/", path_of(&self.prefix, &of.declaration.resource)))
    }

    /// Rule B15.
    fn envelope(&self, return_code: i32, message: String) -> Map<String, Json> {
        let of = &self.registry.whole(&self.of).declaration;
        let mut body = Map::new();
        body.insert("return_code".into(), return_code.into());
        body.insert("type".into(), of.name.as_str().into());
        body.insert("message".into(), message.into());
        body
    }

    /// Rule B17: some resources have always answered `id`, empty if there is none.
    fn insert_empty_id(&self, body: &mut Map<String, Json>) {
        if self.of.declaration.empty_id {
            body.insert("id".into(), "".into());
        }
    }
}

/// Further keys of an answer never replace those that every answer has. Dates and ids in them are shown as in documents.
pub(super) fn insert_further(
    body: &mut Map<String, Json>,
    further: Map<String, Json>,
    zones: &Zones,
) {
    for (name, value) in further {
        body.entry(name)
            .or_insert_with(|| render::answered(value, zones));
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
