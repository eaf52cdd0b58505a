//! `GET /api/v1/vocab/` and `/api/v1/vocab/CATEGORY/`: the closed value sets (rule U10). For every authenticated user.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value as Json, json};

use super::failure::Failure;
use super::format::Format;
use super::pipeline::Call;
use super::{actions, answer, list, paging};
use crate::{query, vocabulary};

/// Name of the resource.
pub(super) const RESOURCE: &str = "vocab";

/// The categories that clients know, and the names of actions as the last; `TLP` is the host's own.
fn categories() -> Vec<&'static str> {
    vocabulary::categories()
        .iter()
        .copied()
        .filter(|category| *category != "TLP")
        .chain([actions::CATEGORY])
        .collect()
}

fn entry(call: &Call<'_>, category: &str) -> Json {
    let uri = format!("{}{category}/", call.path_of(RESOURCE));
    if category == actions::CATEGORY {
        let (names, declarations) = actions::category(call);
        return json!({"category": category, "resource_uri": uri, "values": names, "actions": declarations});
    }
    let mut values = vocabulary::values(category).unwrap_or_default().to_vec();
    values.sort_unstable();
    json!({"category": category, "resource_uri": uri, "values": values})
}

pub(super) async fn list(call: &Call<'_>) -> Result<Response, Failure> {
    let window = query::window(&call.parameters, list::limits(call))?;
    let all = categories();
    let meta = paging::counted(call, &call.path_of(RESOURCE), window, all.len() as u64);
    let page: Vec<Json> = paging::of_all(all, window)
        .map(|category| entry(call, category))
        .collect();
    Ok(answer::rendered(
        StatusCode::OK,
        Format::of(&call.parameters),
        &json!({"meta": meta, "objects": page}),
    ))
}

pub(super) fn detail(call: &Call<'_>, category: &str) -> Result<Response, Failure> {
    if !categories().contains(&category) {
        return Err(Failure::BadRequest(format!(
            "Vocabulary category \"{category}\" does not exist"
        )));
    }
    let format = Format::of(&call.parameters);
    Ok(answer::detail(format, &entry(call, category)))
}
