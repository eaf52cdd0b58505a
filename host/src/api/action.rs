//! `PATCH /api/v1/RESOURCE/ID/` (core-api 13.1 to 13.3).

use axum::http::StatusCode;
use axum::response::Response;
use bson::oid::ObjectId;
use serde_json::{Map, Value as Json};

use super::body::Decoded;
use super::create::insert_further;
use super::failure::Failure;
use super::pipeline::Call;
use super::{Patch, answer, difference, once};
use crate::plugins::{Mode, NotDone, Param, Params, TypeEntry};
use crate::query::{Parameters, is_on, is_reading_parameter};

/// Parameters of a PATCH's query that are no arguments, besides those of reading.
const OF_THE_REQUEST: &[&str] = &["action", "created_status", "dry_run"];

pub(super) async fn patch(
    call: &Call<'_>,
    entry: &TypeEntry,
    id: Option<ObjectId>,
    body: Result<Decoded, Failure>,
) -> Result<Response, Failure> {
    let id = id.ok_or(Failure::NotFound)?;
    let body = match body {
        Ok(body) => body,
        Err(failure) => return Err(unless_hidden(call, entry, id, failure).await?),
    };
    let (action, arguments) = arguments(body.params, &call.parameters);
    let what = [
        "PATCH",
        &entry.declaration.resource,
        &id.to_hex(),
        action.as_deref().unwrap_or_default(),
    ];
    let dry_run = is_on(call.parameters.last("dry_run"));
    let mode = Mode {
        dry_run,
        once: once::Key::of(call)?.map(|key| key.once(None, &what, &arguments)),
    };
    let mut is_repeated = false;
    let mut answer = Map::new();
    let mut begin = |return_code: i32, message: Json| {
        answer.insert("return_code".into(), return_code.into());
        answer.insert("type".into(), entry.declaration.name.as_str().into());
        answer.insert("id".into(), id.to_hex().into());
        answer.insert("message".into(), message);
    };
    let request = Patch {
        registry: &call.registry,
        caller: &call.caller,
        on: entry,
        id,
        action: action.as_deref(),
    };
    match call.state.handlers.perform(request, arguments, mode).await {
        Ok(performed) => {
            is_repeated = performed.is_repeated;
            begin(0, "success!".into());
            answer.insert("detail".into(), performed.detail.into());
            if !performed.ignored_arguments.is_empty() {
                answer.insert(
                    "ignored_arguments".into(),
                    performed.ignored_arguments.into(),
                );
            }
            if !performed.warnings.is_empty() {
                answer.insert("warnings".into(), performed.warnings.into());
            }
            insert_further(&mut answer, performed.extra, call.settings.zones());
            if dry_run {
                let difference = difference::of(call, performed.changed).await?;
                answer.insert("difference".into(), difference);
            }
        }
        Err(NotDone::Refused(refusal)) => {
            begin(1, refusal.message.into());
            answer.insert("error".into(), Json::Object(refusal.error));
        }
        Err(reason) => return Err(reason.into()),
    }
    let mut response = answer::json(StatusCode::OK, &Json::Object(answer));
    once::mark(&mut response, is_repeated);
    Ok(response)
}

/// Rule ACT-1: that there is no such document comes before what is wrong with the body.
async fn unless_hidden(
    call: &Call<'_>,
    entry: &TypeEntry,
    id: ObjectId,
    failure: Failure,
) -> Result<Failure, Failure> {
    let of = &entry.declaration;
    let document = call.state.store.get(&of.collection, id).await?;
    let visible = call.state.access.visible(&call.caller, of.sources);
    let Some(document) = document.filter(|document| visible.allows(document.class)) else {
        return Ok(Failure::NotFound);
    };
    let handlers = &call.state.handlers;
    if of.tasks && !handlers.sees_object_of(&call.caller, &document).await? {
        return Ok(Failure::NotFound);
    }
    Ok(failure)
}

/// The action's name and its arguments (rules P4a, P5a, P9a): both from the body; the name else from the query; the
/// arguments, if the body has none at all, too.
fn arguments(body: Params, query: &Parameters) -> (Option<String>, Params) {
    let mut named = None;
    let mut arguments = Params::new();
    for (name, value) in body {
        if name == "action" {
            named = Some(value);
        } else {
            arguments.push((name, value));
        }
    }
    let from_query = query.last("action").map(str::to_owned);
    let action = match named {
        None | Some(Param::Json(Json::Null)) => from_query,
        Some(Param::Text(name)) | Some(Param::Json(Json::String(name))) if name.is_empty() => {
            from_query.or(Some(name))
        }
        Some(Param::Text(name) | Param::Json(Json::String(name))) => Some(name),
        Some(Param::Json(other @ (Json::Number(_) | Json::Bool(_)))) => Some(other.to_string()),
        Some(Param::Json(Json::Array(_) | Json::Object(_)) | Param::File(_)) => None,
    };
    if arguments.is_empty() {
        let of_query = query.pairs().iter().filter(|(name, _)| {
            !is_reading_parameter(name) && !OF_THE_REQUEST.contains(&name.as_str())
        });
        arguments = of_query
            .map(|(name, value)| (name.clone(), Param::Text(value.clone())))
            .collect();
    }
    (action, arguments)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Json, query: &str) -> (Option<String>, Vec<String>) {
        let body = body
            .as_object()
            .unwrap()
            .clone()
            .into_iter()
            .map(|(name, value)| (name, Param::Json(value)))
            .collect();
        let (action, arguments) = arguments(body, &Parameters::parse(query.as_bytes()).unwrap());
        (
            action,
            arguments.into_iter().map(|(name, _)| name).collect(),
        )
    }

    #[test]
    fn p4a_p5a_p9a_action_and_arguments() {
        let rows = [
            (
                json!({"action": "a", "x": 1}),
                "action=b&y=1",
                Some("a"),
                vec!["x"],
            ),
            (json!({"x": 1}), "action=b&y=1", Some("b"), vec!["x"]),
            (
                json!({"action": "a"}),
                "username=u&api_key=k&y=1&c-z=2&format=json&dry_run=1&y=2",
                Some("a"),
                vec!["y", "y"],
            ),
            (json!({}), "action=b&value=New", Some("b"), vec!["value"]),
            (json!({"action": null}), "", None, vec![]),
            (json!({"action": ["a"]}), "action=b", None, vec![]),
            (json!({"action": 7}), "", Some("7"), vec![]),
            (json!({"action": ""}), "", Some(""), vec![]),
            (json!({"action": ""}), "action=b", Some("b"), vec![]),
        ];
        for (body, query, action, arguments) in rows {
            let text = format!("{body} {query}");
            assert_eq!(
                read(body, query),
                (
                    action.map(str::to_owned),
                    arguments.into_iter().map(str::to_owned).collect()
                ),
                "{text}"
            );
        }
    }
}
