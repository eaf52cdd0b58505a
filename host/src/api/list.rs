//! `GET /api/v1/RESOURCE/` (core-api section 10).

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value as Json;

use super::answer;
use super::download;
use super::export::{self, Export};
use super::failure::Failure;
use super::format::Wanted;
use super::inline::{self, Inlined};
use super::paging;
use super::pipeline::Call;
use super::reading::{self, Reader};
use super::render::{Content, Sink};
use super::rows::Table;
use crate::access::Clearance;
use crate::plugins::TypeEntry;
use crate::plugins::analysis::tasks;
use crate::query::{self, Limits, Paging, Projection};
use crate::store::{Direction, FieldPath, ListQuery, SortKey, StoredDocument};

pub(super) async fn get(call: &Call<'_>, entry: &TypeEntry) -> Result<Response, Failure> {
    let reader = Reader::admit(call, entry).await?;
    let wanted = Wanted::of(&call.parameters);
    if wanted == Wanted::Files {
        download::admit(call, &reader.of)?;
    }
    let request = query::list(
        &reader.model,
        &call.parameters,
        limits(call),
        &reader.zones,
        reader.strictness,
    )?;
    let mut warnings = request.warnings;
    let mut projection = reading::projection(call, request.projection);
    if reader.of.tasks && !query::is_on(call.parameters.last("full")) {
        projection = projection.without(&tasks::BULKY);
    }
    let confines = reader.confines();
    let filter = reader.filter(request.filter);
    let sort = confines.order(request.sort, &mut warnings);
    query::refuse_if_strict(&call.parameters, reader.strictness, &warnings)?;
    if request.paging == Paging::Changes && !matches!(wanted, Wanted::Whole(_)) {
        return Err(Failure::BadRequest(
            "A cursor needs a format that says where to go on: json, xml or yaml.".to_owned(),
        ));
    }
    if let (Wanted::Rows(rows), None) = (wanted, call.parameters.last("limit")) {
        if !sort.is_empty() {
            warnings.push(export::UNSORTED.to_owned());
            query::refuse_if_strict(&call.parameters, reader.strictness, &warnings)?;
        }
        let table = Table::new(rows, &reader.model, &call.parameters, &projection);
        let export = Export::new(
            reader,
            (filter, request.searches),
            projection,
            request.window.offset,
            table,
        );
        return export.answer(&warnings).await;
    }
    let sort = match sort.is_empty() && reader.of.tasks {
        true => vec![by_start()],
        false => sort,
    };
    let query = ListQuery {
        collection: reader.of.collection.clone(),
        visible: reader.visible.clone(),
        filter,
        sort,
        offset: request.window.offset,
        limit: request.window.limit,
    };
    let page = paging::find(call, &reader, query, request.window, request.paging).await?;
    request.searches.check()?;
    let format = match wanted {
        Wanted::Files => return download::answer(call, &reader, &page.documents, &warnings).await,
        Wanted::Rows(rows) => {
            let table = Table::new(rows, &reader.model, &call.parameters, &projection);
            return table
                .answer(&reader, &page.documents, &projection, &warnings)
                .await;
        }
        Wanted::Whole(format) => format,
    };
    let inlined = inline::of_page(call, &reader, &page.documents, &projection).await;
    warnings.extend(inlined.warnings.iter().cloned());
    let mut meta = page.meta;
    if !warnings.is_empty() {
        meta["warnings"] = warnings.into();
    }
    let list = List {
        meta,
        clearance: reader.clearance(&page.documents).await?,
        reader: &reader,
        documents: &page.documents,
        projection: &projection,
        inlined,
    };
    Ok(answer::rendered(StatusCode::OK, format, &list))
}

/// Rule SVC-18: tasks come in the order in which they were started.
fn by_start() -> SortKey {
    SortKey {
        path: FieldPath::literal(tasks::START),
        direction: Direction::Ascending,
    }
}

/// Rule J1.
struct List<'a> {
    meta: Json,
    reader: &'a Reader,
    documents: &'a [StoredDocument],
    clearance: &'a Clearance,
    projection: &'a Projection,
    inlined: Inlined,
}

impl Content for List<'_> {
    fn write(&self, sink: &mut impl Sink) {
        sink.begin_object();
        sink.key("meta");
        sink.value(&self.meta);
        sink.key("objects");
        sink.begin_list();
        for document in self.documents {
            self.reader
                .shown(document, self.clearance, self.projection)
                .with(&self.inlined)
                .write(sink);
        }
        sink.end_list();
        sink.end_object();
    }

    fn size(&self) -> usize {
        reading::size_of(self.documents)
    }
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
