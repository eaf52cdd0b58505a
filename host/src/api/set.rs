//! `GET /api/v1/RESOURCE/set/ID;ID;…/` (rule U16).

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::response::Response;
use bson::oid::ObjectId;
use serde_json::json;

use super::answer;
use super::failure::Failure;
use super::pipeline::Call;
use super::reading::{self, Reader};
use crate::plugins::TypeEntry;
use crate::query::Projection;

/// Most ids of a set.
const MOST: usize = 1_000;

pub(super) async fn get(
    call: &Call<'_>,
    entry: &TypeEntry,
    sent: &[String],
) -> Result<Response, Failure> {
    let reader = Reader::admit(call, entry)?;
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
    let rendered = reader.render(&documents, &Projection::default()).await?;
    let found: HashMap<ObjectId, _> = documents
        .iter()
        .map(|document| document.id)
        .zip(rendered)
        .collect();
    let mut objects = Vec::new();
    let mut not_found = Vec::new();
    for (sent, id) in sent.iter().zip(ids) {
        match id.and_then(|id| found.get(&id)) {
            Some(document) => objects.push(document.clone()),
            None => not_found.push(sent.as_str()),
        }
    }
    let body = if not_found.is_empty() {
        json!({"objects": objects})
    } else {
        json!({"objects": objects, "not_found": not_found})
    };
    Ok(answer::json(StatusCode::OK, &body))
}
