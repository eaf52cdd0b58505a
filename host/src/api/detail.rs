//! `GET /api/v1/RESOURCE/ID/` (core-api section 11).

use axum::response::Response;
use bson::oid::ObjectId;

use super::failure::Failure;
use super::format::Wanted;
use super::pipeline::Call;
use super::reading::{self, Reader};
use super::rows::Table;
use super::{answer, download, inline};
use crate::plugins::TypeEntry;
use crate::query;

pub(super) async fn get(
    call: &Call<'_>,
    entry: &TypeEntry,
    id: Option<ObjectId>,
) -> Result<Response, Failure> {
    let reader = Reader::admit(call, entry).await?;
    let wanted = Wanted::of(&call.parameters);
    if wanted == Wanted::Files {
        download::admit(call, &reader.of)?;
    }
    let request = query::detail(
        &reader.model,
        &call.parameters,
        &reader.zones,
        reader.strictness,
    )?;
    // Malformed, unknown and invisible are one answer (rules D-1, S8).
    let id = id.ok_or(Failure::NotFound)?;
    let document = call
        .state
        .store
        .get(&reader.of.collection, id)
        .await?
        .filter(|document| reader.visible.allows(document.class));
    let document = document.ok_or(Failure::NotFound)?;
    let filter = reader.filter(request.filter);
    let holds = reader.meets(&document, &filter).await?;
    request.searches.check()?;
    if !holds {
        return Err(Failure::NotFound);
    }
    let page = std::slice::from_ref(&document);
    let projection = reading::projection(call, request.projection);
    let format = match wanted {
        Wanted::Files => return download::answer(call, &reader, page, &request.warnings).await,
        Wanted::Rows(rows) => {
            let table = Table::new(rows, &reader.model, &call.parameters, &projection);
            return table
                .answer(&reader, page, &projection, &request.warnings)
                .await;
        }
        Wanted::Whole(format) => format,
    };
    let clearance = reader.clearance(page).await?;
    let inlined = inline::of_page(call, &reader, page, &projection).await;
    let shown = reader
        .shown(&document, clearance, &projection)
        .with(&inlined);
    let mut response = answer::detail(format, &shown);
    answer::add_warnings(&mut response, &request.warnings);
    answer::add_warnings(&mut response, &inlined.warnings);
    Ok(response)
}
