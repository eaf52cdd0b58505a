//! What a request with `dry_run=1` would change, as the caller would see it before and after.

use bson::RawDocumentBuf;
use bson::oid::ObjectId;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

use super::failure::Failure;
use super::pipeline::Call;
use super::reading::Reader;
use super::render::{Content, JsonSink};
use crate::plugins::Changed;
use crate::query::Projection;
use crate::store::StoredDocument;

/// For each document its type, its id, and the fields that would differ: `before` and `after`, each left out where there is
/// none. What the caller may not read of a document is not told here either.
pub(super) async fn of(call: &Call<'_>, changed: Vec<Changed>) -> Result<Json, Failure> {
    let mut all = Vec::new();
    for document in changed {
        let reader = match Reader::admit(call, &document.of).await {
            Ok(reader) => reader,
            Err(Failure::Forbidden(_)) => continue,
            Err(failure) => return Err(failure),
        };
        let before = match document.before {
            Some(body) => shown(&reader, document.id, body).await?,
            None => Map::new(),
        };
        let after = match document.after {
            Some(body) => shown(&reader, document.id, body).await?,
            None => Map::new(),
        };
        all.push(json!({
            "type": document.of.declaration.name,
            "id": document.id.to_hex(),
            "fields": differing(before, after),
        }));
    }
    Ok(all.into())
}

/// A document as a GET would show it.
async fn shown(
    reader: &Reader,
    id: ObjectId,
    body: Arc<RawDocumentBuf>,
) -> Result<Map<String, Json>, Failure> {
    let document = StoredDocument {
        id,
        class: Default::default(),
        revision: 0,
        body,
    };
    let clearance = reader.clearance(std::slice::from_ref(&document)).await?;
    let mut sink = JsonSink::with_capacity(1024);
    reader
        .shown(&document, clearance, &Projection::default())
        .write(&mut sink);
    serde_json::from_slice(&sink.into_bytes())
        .map_err(|error| Failure::Internal(format!("a document that is no JSON: {error}")))
}

fn differing(mut before: Map<String, Json>, after: Map<String, Json>) -> Json {
    let mut fields = Map::new();
    for (name, value) in after {
        let old = before.remove(&name);
        if old.as_ref() != Some(&value) {
            let mut change = Map::new();
            change.extend(old.map(|old| ("before".to_owned(), old)));
            change.insert("after".to_owned(), value);
            fields.insert(name, change.into());
        }
    }
    let gone = before
        .into_iter()
        .map(|(name, old)| (name, json!({ "before": old })));
    fields.extend(gone);
    fields.into()
}
