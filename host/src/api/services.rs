//! `GET /api/v1/services/` and `GET /api/v1/services/ID or NAME/` (rules SVC-16, SVC-17): which analysis services there are.
//!
//! There are few, and what of a record is shown depends on the reader: so they are read whole, shown, and then searched and put
//! in order. What is not shown so can't be found either.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use bson::oid::ObjectId;
use bson::{Document, RawDocumentBuf, doc};
use serde_json::Value as Json;

use super::failure::{Failure, NO_ACCESS};
use super::format::Format;
use super::pipeline::Call;
use super::render::{self, Content, Sink};
use super::{answer, list, paging};
use crate::access::Cleared;
use crate::plugins::TypeEntry;
use crate::plugins::analysis::records::{self, Record};
use crate::plugins::analysis::tasks;
use crate::plugins::value::json_to_bson;
use crate::query::{self, Field, Kind, Model, Projection, Strictness};
use crate::store::{Direction, FieldPath, Filter, KeyValue, Place, SortKey, StoredDocument};

/// Name of the resource.
pub(super) const RESOURCE: &str = "services";
/// The flag with which options are shown.
const CONFIG: &str = "control_panel_services_read";

/// A record as the caller sees it.
struct Shown {
    name: String,
    document: StoredDocument,
}

fn model() -> Model {
    let text = |name: &str| Field::new(name, Kind::Text);
    Model {
        fields: vec![
            Field::new("id", Kind::Id).stored_as("_id").required(),
            text("name").required(),
            text("version"),
            text("description"),
            text("kind"),
            Field::list_of("supported_types", Kind::Text),
            Field::list_of("required_fields", Kind::Text),
            Field::new("enabled", Kind::Bool),
            Field::new("run_on_triage", Kind::Bool),
            text("status"),
            Field::list_of("runtime_options", Kind::Map),
            Field::new("config", Kind::Map),
            text("resource_uri"),
        ],
        top_level: false,
    }
}

/// Does the caller see or start tasks on objects of any type (rule SVC-16)?
pub(super) fn may_see_tasks(call: &Call<'_>) -> bool {
    let may = |of: &Arc<TypeEntry>| {
        let of = &of.declaration;
        of.top_level && (call.may(&of.name, tasks::READ) || call.may(&of.name, tasks::EXECUTE))
    };
    call.registry.types().any(may)
}

fn admit(call: &Call<'_>) -> Result<(), Failure> {
    match may_see_tasks(call) {
        true => Ok(()),
        false => Err(Failure::Forbidden(NO_ACCESS)),
    }
}

fn shown(call: &Call<'_>, record: &Record) -> Result<Shown, Failure> {
    let failed = |reason: String| Failure::Internal(format!("service {}: {reason}", record.name));
    let bson = |json: Json| json_to_bson(&json).map_err(failed);
    let uri = format!("{}{}/", call.path_of(RESOURCE), record.id.to_hex());
    let mut body: Document = doc! {
        "_id": record.id,
        "name": &record.name,
        "version": &record.version,
        "description": &record.description,
        "kind": record.kind.word(),
        "supported_types": &record.supported_types,
        "required_fields": &record.required_fields,
        "enabled": record.enabled,
        "run_on_triage": record.run_on_triage,
        "status": record.status.word(),
        "runtime_options": bson(record.runtime_options().into())?,
        "resource_uri": uri,
    };
    if call.caller.rights.may(CONFIG) {
        body.insert("config", bson(Json::Object(record.shown_config()))?);
    }
    let body = RawDocumentBuf::try_from(&body).map_err(|error| failed(error.to_string()))?;
    Ok(Shown {
        name: record.name.clone(),
        document: StoredDocument {
            id: record.id,
            class: 0,
            revision: 0,
            body: Arc::new(body),
        },
    })
}

async fn all(call: &Call<'_>) -> Result<Vec<Shown>, Failure> {
    let records = records::all(call.state.store.as_ref()).await?;
    records.iter().map(|record| shown(call, record)).collect()
}

fn strictness(call: &Call<'_>) -> Strictness {
    match call.settings.is_on("strict_queries") {
        true => Strictness::Strict,
        false => Strictness::Lenient,
    }
}

fn meets(shown: &Shown, filter: &Filter) -> Result<bool, Failure> {
    let body = shown.document.body.as_ref();
    filter
        .matches(body)
        .map_err(|error| Failure::Internal(format!("service {}: {error}", shown.name)))
}

pub(super) async fn list(call: &Call<'_>) -> Result<Response, Failure> {
    admit(call)?;
    let model = model();
    let request = query::list(
        &model,
        &call.parameters,
        list::limits(call),
        call.settings.zones(),
        strictness(call),
    )?;
    let mut found = Vec::new();
    for shown in all(call).await? {
        if meets(&shown, &request.filter)? {
            found.push(shown.document);
        }
    }
    request.searches.check()?;
    sort(&mut found, &request.sort)?;
    let path = call.path_of(RESOURCE);
    let mut meta = paging::counted(call, &path, request.window, found.len() as u64);
    if !request.warnings.is_empty() {
        meta["warnings"] = request.warnings.into();
    }
    let list = List {
        call,
        meta,
        page: paging::of_all(found, request.window).collect(),
        model,
        projection: request.projection,
    };
    let format = Format::of(&call.parameters);
    Ok(answer::rendered(StatusCode::OK, format, &list))
}

/// `_id` breaks ties.
fn sort(documents: &mut [StoredDocument], by: &[SortKey]) -> Result<(), Failure> {
    documents.sort_by_key(|document| document.id);
    for key in by.iter().rev() {
        let mut keyed = Vec::with_capacity(documents.len());
        for document in documents.iter() {
            let place = Place::after(document, &key.path)
                .map_err(|error| Failure::Internal(error.to_string()))?;
            keyed.push((place.key().to_vec(), document.clone()));
        }
        keyed.sort_by(|(one, _), (other, _)| match key.direction {
            Direction::Ascending => one.cmp(other),
            Direction::Descending => other.cmp(one),
        });
        for (place, (_, document)) in documents.iter_mut().zip(keyed) {
            *place = document;
        }
    }
    Ok(())
}

pub(super) async fn detail(call: &Call<'_>, name: &str) -> Result<Response, Failure> {
    admit(call)?;
    let model = model();
    let request = query::detail(
        &model,
        &call.parameters,
        call.settings.zones(),
        strictness(call),
    )?;
    let all = all(call).await?;
    let id = ObjectId::parse_str(name).ok();
    let by_id = all.iter().find(|shown| Some(shown.document.id) == id);
    let found = by_id
        .or_else(|| all.iter().find(|shown| shown.name == name))
        .ok_or(Failure::NotFound)?;
    let holds = meets(found, &request.filter)?;
    request.searches.check()?;
    if !holds {
        return Err(Failure::NotFound);
    }
    let one = One {
        call,
        document: &found.document,
        model: &model,
        projection: &request.projection,
    };
    let mut response = answer::detail(Format::of(&call.parameters), &one);
    answer::add_warnings(&mut response, &request.warnings);
    Ok(response)
}

struct One<'a> {
    call: &'a Call<'a>,
    document: &'a StoredDocument,
    model: &'a Model,
    projection: &'a Projection,
}

impl Content for One<'_> {
    fn write(&self, sink: &mut impl Sink) {
        let stored = self.document.body.as_ref();
        let zones = self.call.settings.zones();
        let cleared = Cleared::default();
        render::document(
            sink,
            self.model,
            stored,
            &cleared,
            self.projection,
            None,
            zones,
        );
    }

    fn size(&self) -> usize {
        self.document.body.as_bytes().len()
    }
}

/// Rule J1.
struct List<'a> {
    call: &'a Call<'a>,
    meta: Json,
    page: Vec<StoredDocument>,
    model: Model,
    projection: Projection,
}

impl Content for List<'_> {
    fn write(&self, sink: &mut impl Sink) {
        sink.begin_object();
        sink.key("meta");
        sink.value(&self.meta);
        sink.key("objects");
        sink.begin_list();
        for document in &self.page {
            One {
                call: self.call,
                document,
                model: &self.model,
                projection: &self.projection,
            }
            .write(sink);
        }
        sink.end_list();
        sink.end_object();
    }

    fn size(&self) -> usize {
        self.page
            .iter()
            .map(|document| document.body.as_bytes().len())
            .sum()
    }
}

/// The id of a task that a path names by its UUID (rule SVC-19); of other types only ids are names.
pub(super) async fn id_of_task(
    call: &Call<'_>,
    of: &TypeEntry,
    sent: &str,
) -> Result<Option<ObjectId>, Failure> {
    if !of.declaration.tasks {
        return Ok(None);
    }
    for spelling in tasks::spellings(sent) {
        let key = KeyValue {
            collection: of.declaration.collection.clone(),
            parts: vec![(FieldPath::literal(tasks::ANALYSIS_ID), spelling.into())],
        };
        if let Some(task) = call.state.store.by_key(&key).await? {
            return Ok(Some(task.id));
        }
    }
    Ok(None)
}
