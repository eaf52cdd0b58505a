//! `GET /api/v1/`: the resources, also a connection test (rule U14). Answers without authentication.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value as Json, json};

use super::failure::Failure;
use super::format::Format;
use super::models::model;
use super::{State, actions, answer, schema, vocabulary};
use crate::plugins::Registry;
use crate::query::Parameters;

pub(super) fn get(
    state: &State,
    registry: &Registry,
    parameters: &Parameters,
) -> Result<Response, Failure> {
    let is_full = parameters
        .last("fullschema")
        .is_some_and(|value| !value.is_empty() && !value.eq_ignore_ascii_case("false"));
    let mut resources = BTreeMap::new();
    for entry in registry.types().chain(registry.own()) {
        let of = &entry.declaration;
        let path = format!("{}/api/v1/{}/", state.prefix, of.resource);
        let schema = if is_full {
            let whole = &registry.whole(entry).declaration;
            schema::of_type(of, whole, &model(whole))
        } else {
            Json::from(format!("{path}schema/"))
        };
        resources.insert(
            of.resource.clone(),
            json!({"list_endpoint": path, "schema": schema}),
        );
    }
    for name in [actions::RESOURCE, vocabulary::RESOURCE] {
        let path = format!("{}/api/v1/{name}/", state.prefix);
        resources.insert(name.to_owned(), json!({"list_endpoint": path}));
    }
    let format = Format::of(parameters);
    Ok(answer::rendered(
        StatusCode::OK,
        format,
        &Json::Object(resources.into_iter().collect()),
    ))
}
