//! `GET /api/v1/RESOURCE/ID/` (core-api section 11).

use axum::http::StatusCode;
use axum::response::Response;
use bson::oid::ObjectId;

use super::answer;
use super::failure::Failure;
use super::pipeline::Call;
use super::reading::{self, Reader};
use super::render::JsonSink;
use crate::plugins::TypeEntry;
use crate::query;

pub(super) async fn get(
    call: &Call<'_>,
    entry: &TypeEntry,
    id: Option<ObjectId>,
) -> Result<Response, Failure> {
    let reader = Reader::admit(call, entry).await?;
    reading::refuse_other_formats(&call.parameters)?;
    let request = query::detail(&reader.model, &call.parameters, reader.strictness)?;
    // Malformed, unknown and invisible are one answer (rules D-1, S8).
    let id = id.ok_or(Failure::NotFound)?;
    let document = call
        .state
        .store
        .get(&reader.of.collection, id)
        .await?
        .filter(|document| reader.visible.allows(document.class));
    let document = document.ok_or(Failure::NotFound)?;
    let filter = reader.confines().filter(request.filter);
    let holds = reader.meets(&document, &filter).await?;
    request.searches.check()?;
    if !holds {
        return Err(Failure::NotFound);
    }
    if let Some(file) = reading::download(call, reader.of)? {
        return Ok(file);
    }
    let page = [document];
    let clearance = reader.clearance(&page).await?;
    let mut sink = JsonSink::with_capacity(reading::size_of(&page));
    for document in &page {
        reader.write(&mut sink, document, clearance, &request.projection);
    }
    let mut response = answer::written(StatusCode::OK, sink);
    answer::add_warnings(&mut response, &request.warnings);
    Ok(response)
}
