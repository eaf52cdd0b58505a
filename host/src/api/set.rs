//! `GET /api/v1/RESOURCE/set/ID;ID;…/` (rule U16).

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::response::Response;
use bson::oid::ObjectId;

use super::answer;
use super::failure::Failure;
use super::pipeline::Call;
use super::reading::{self, Reader};
use super::render::{JsonSink, Sink as _};
use crate::plugins::TypeEntry;
use crate::query::Projection;
use crate::store::StoredDocument;

/// Most ids of a set.
const MOST: usize = 1_000;

pub(super) async fn get(
    call: &Call<'_>,
    entry: &TypeEntry,
    sent: &[String],
) -> Result<Response, Failure> {
    let reader = Reader::admit(call, entry).await?;
    reading::refuse_other_formats(&call.parameters)?;
    if sent.len() > MOST {
        return Err(Failure::BadRequest(format!(
            "Too many ids: at most {MOST} are read."
        )));
    }
    let ids: Vec<Option<ObjectId>> = sent.iter().map(|id| ObjectId::parse_str(id).ok()).collect();
    let mut wanted: Vec<ObjectId> = Vec::new();
    for id in ids.iter().flatten() {
        if !wanted.contains(id) {
            wanted.push(*id);
        }
    }
    let mut documents = call
        .state
        .store
        .get_many(&reader.of.collection, &wanted)
        .await?;
    documents.retain(|document| reader.visible.allows(document.class));
    let clearance = reader.clearance(&documents).await?;
    let found: HashMap<ObjectId, &StoredDocument> = documents
        .iter()
        .map(|document| (document.id, document))
        .collect();
    let mut not_found = Vec::new();
    let mut sink = JsonSink::with_capacity(reading::size_of(&documents));
    sink.begin_object();
    sink.key("objects");
    sink.begin_list();
    for (sent, id) in sent.iter().zip(ids) {
        match id.and_then(|id| found.get(&id)) {
            Some(document) => reader.write(&mut sink, document, clearance, &Projection::default()),
            None => not_found.push(sent.as_str()),
        }
    }
    sink.end_list();
    if !not_found.is_empty() {
        sink.key("not_found");
        sink.value(&not_found.into());
    }
    sink.end_object();
    Ok(answer::written(StatusCode::OK, sink))
}
