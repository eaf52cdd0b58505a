//! `GET /api/v1/RESOURCE/set/ID;ID;…/` (rule U16).

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::response::Response;
use bson::oid::ObjectId;

use super::failure::Failure;
use super::format::Wanted;
use super::inline::{self, Inlined};
use super::pipeline::Call;
use super::reading::{self, Reader};
use super::render::{Content, Sink};
use super::rows::Table;
use super::{answer, download};
use crate::access::Clearance;
use crate::plugins::TypeEntry;
use crate::query::{self, Projection};
use crate::store::StoredDocument;

/// Most ids of a set.
const MOST: usize = 1_000;

pub(super) async fn get(
    call: &Call<'_>,
    entry: &TypeEntry,
    sent: &[String],
) -> Result<Response, Failure> {
    let reader = Reader::admit(call, entry).await?;
    let wanted = Wanted::of(&call.parameters);
    if wanted == Wanted::Files {
        download::admit(call, &reader.of)?;
    }
    if sent.len() > MOST {
        return Err(Failure::BadRequest(format!(
            "Too many ids: at most {MOST} are read."
        )));
    }
    let request = query::detail(
        &reader.model,
        &call.parameters,
        &reader.zones,
        reader.strictness,
    )?;
    let filter = reader.filter(request.filter);
    let ids: Vec<Option<ObjectId>> = sent.iter().map(|id| ObjectId::parse_str(id).ok()).collect();
    let mut asked: Vec<ObjectId> = Vec::new();
    for id in ids.iter().flatten() {
        if !asked.contains(id) {
            asked.push(*id);
        }
    }
    let mut documents = call
        .state
        .store
        .get_many(&reader.of.collection, &asked)
        .await?;
    documents.retain(|document| reader.visible.allows(document.class));
    // As for one document (rule D-2): what does not meet a condition is not found.
    let documents = reader.meeting(documents, &filter).await?;
    request.searches.check()?;
    let found: HashMap<ObjectId, &StoredDocument> = documents
        .iter()
        .map(|document| (document.id, document))
        .collect();
    let mut set = Vec::new();
    let mut not_found = Vec::new();
    for (sent, id) in sent.iter().zip(ids) {
        match id.and_then(|id| found.get(&id)) {
            Some(document) => set.push(*document),
            None => not_found.push(sent.as_str()),
        }
    }
    // What has no place for them says so in headers.
    let warnings = request.warnings;
    let missing = || -> Vec<String> {
        let missing = not_found
            .iter()
            .map(|id| format!("set: '{id}' was not found"));
        warnings.iter().cloned().chain(missing).collect()
    };
    let projection = &reading::projection(call, request.projection);
    let format = match wanted {
        Wanted::Files => return download::answer(call, &reader, &documents, &missing()).await,
        Wanted::Rows(rows) => {
            let set: Vec<StoredDocument> = set.into_iter().cloned().collect();
            let table = Table::new(rows, &reader.model, &call.parameters, projection);
            return table.answer(&reader, &set, projection, &missing()).await;
        }
        Wanted::Whole(format) => format,
    };
    let inlined = inline::of_page(call, &reader, &documents, projection).await;
    let warnings = [warnings.as_slice(), &inlined.warnings].concat();
    let set = Set {
        clearance: reader.clearance(&documents).await?,
        reader: &reader,
        documents: set,
        not_found: not_found.into(),
        projection,
        size: reading::size_of(&documents),
        inlined,
    };
    let mut response = answer::rendered(StatusCode::OK, format, &set);
    answer::add_warnings(&mut response, &warnings);
    Ok(response)
}

/// Rule U16.
struct Set<'a> {
    reader: &'a Reader,
    documents: Vec<&'a StoredDocument>,
    not_found: serde_json::Value,
    clearance: &'a Clearance,
    projection: &'a Projection,
    size: usize,
    inlined: Inlined,
}

impl Content for Set<'_> {
    fn write(&self, sink: &mut impl Sink) {
        sink.begin_object();
        sink.key("objects");
        sink.begin_list();
        for document in &self.documents {
            self.reader
                .shown(document, self.clearance, self.projection)
                .with(&self.inlined)
                .write(sink);
        }
        sink.end_list();
        if self
            .not_found
            .as_array()
            .is_some_and(|missing| !missing.is_empty())
        {
            sink.key("not_found");
            sink.value(&self.not_found);
        }
        sink.end_object();
    }

    fn size(&self) -> usize {
        self.size
    }
}
