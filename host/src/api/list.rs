//! `GET /api/v1/RESOURCE/` (core-api section 10).

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value as Json, json};

use super::answer;
use super::failure::Failure;
use super::pipeline::Call;
use super::reading::{self, Reader};
use super::render::{JsonSink, Sink as _};
use crate::plugins::TypeEntry;
use crate::query::{self, Limits, Window};
use crate::store::ListQuery;

pub(super) async fn get(call: &Call<'_>, entry: &TypeEntry) -> Result<Response, Failure> {
    let reader = Reader::admit(call, entry).await?;
    reading::refuse_other_formats(&call.parameters)?;
    if let Some(file) = reading::download(call, reader.of)? {
        return Ok(file);
    }
    let request = query::list(
        &reader.model,
        &call.parameters,
        limits(call),
        reader.strictness,
    )?;
    let mut warnings = request.warnings;
    let confines = reader.confines();
    let page = reader
        .list(&ListQuery {
            collection: reader.of.collection.clone(),
            visible: reader.visible.clone(),
            filter: confines.filter(request.filter),
            sort: confines.order(request.sort, &mut warnings),
            offset: request.window.offset,
            limit: request.window.limit,
        })
        .await?;
    request.searches.check()?;
    let clearance = reader.clearance(&page.documents).await?;
    let meta = meta(
        call,
        &reader.of.resource,
        request.window,
        page.total,
        &warnings,
    );
    let mut sink = JsonSink::with_capacity(reading::size_of(&page.documents));
    sink.begin_object();
    sink.key("meta");
    sink.value(&meta);
    sink.key("objects");
    sink.begin_list();
    for document in &page.documents {
        reader.write(&mut sink, document, clearance, &request.projection);
    }
    sink.end_list();
    sink.end_object();
    Ok(answer::written(StatusCode::OK, sink))
}

/// `meta` of a list (rules J1, G5 to G8, G43).
pub(super) fn meta(
    call: &Call<'_>,
    resource: &str,
    window: Window,
    total: u64,
    warnings: &[String],
) -> Json {
    let link =
        |query: Option<String>| query.map(|query| format!("{}?{query}", call.path_of(resource)));
    let mut meta = json!({
        "limit": window.limit,
        "next": link(window.next(total, &call.parameters)),
        "offset": window.offset,
        "previous": link(window.previous(&call.parameters)),
        "total_count": total,
    });
    if !warnings.is_empty() {
        meta["warnings"] = warnings.into();
    }
    meta
}

/// Rules G1, G2 with the settings of limit L4.
pub(super) fn limits(call: &Call<'_>) -> Limits {
    let usual = Limits::default();
    let limit = |name: &str| u32::try_from(call.settings.number(name)?).ok();
    Limits {
        default: limit("api_limit_per_page").unwrap_or(usual.default),
        most: limit("api_max_limit").unwrap_or(usual.most),
    }
}
