//! What all reading of documents has in common: permission, format, cleaning, rendering.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use bson::RawDocument;

use super::answer;
use super::confine::Confines;
use super::failure::{Failure, NO_ACCESS};
use super::pipeline::Call;
use super::render::{self, Sink};
use crate::access::{Clearance, Learned};
use crate::plugins::TypeEntry;
use crate::plugins::declaration::{FieldKind, TypeDeclaration};
use crate::query::{Model, Parameters, Projection, Strictness, is_on};
use crate::store::{Filter, ListQuery, Page, StoredDocument, Visible};

/// A type as a caller may read it.
pub(super) struct Reader<'a> {
    call: &'a Call<'a>,
    pub(super) of: &'a TypeDeclaration,
    pub(super) model: Arc<Model>,
    pub(super) visible: Visible,
    pub(super) strictness: Strictness,
    /// What the caller may see of a document.
    clearance: Arc<Clearance>,
}

/// How often a condition on relationships is evaluated: partners that were met for the first time are looked up, and it
/// is evaluated again. Twice, unless relationships are made meanwhile.
const ROUNDS: usize = 5;

impl<'a> Reader<'a> {
    /// Rules S15, S21: who may not read the type gets 403, whatever is asked for.
    pub(super) async fn admit(call: &'a Call<'a>, entry: &'a TypeEntry) -> Result<Self, Failure> {
        let of = entry.declaration.as_ref();
        if !call.may(&of.name, &of.read_permission) {
            return Err(Failure::Forbidden(NO_ACCESS));
        }
        let types = call.state.models.of(&call.registry);
        let strictness = if call.settings.is_on("strict_queries") {
            Strictness::Strict
        } else {
            Strictness::Lenient
        };
        let access = &call.state.access;
        let clearance = access
            .clearance(&call.caller, &of.name, &types.collections)
            .await?;
        Ok(Self {
            call,
            clearance: Arc::new(clearance),
            model: types.model(of),
            of,
            visible: call.state.access.visible(&call.caller, of.sources),
            strictness,
        })
    }

    /// How conditions and orders are kept to what the caller may see (check AZ-8).
    pub(super) fn confines(&self) -> Confines {
        Confines::new(Arc::clone(&self.clearance), self.call.state.store.classes())
    }

    /// The page of a list.
    pub(super) async fn list(&self, query: &ListQuery) -> Result<Page, Failure> {
        for _ in 0..ROUNDS {
            let page = self.call.state.store.list(query).await?;
            if self.is_settled().await? {
                return Ok(page);
            }
        }
        Err(unsettled())
    }

    /// Does a document meet a condition?
    pub(super) async fn meets(
        &self,
        document: &StoredDocument,
        filter: &Filter,
    ) -> Result<bool, Failure> {
        for _ in 0..ROUNDS {
            let holds = filter.matches(raw(document)).map_err(|error| {
                Failure::Internal(format!("{} {}: {error}", self.of.collection, document.id))
            })?;
            if self.is_settled().await? {
                return Ok(holds);
            }
        }
        Err(unsettled())
    }

    /// Has a condition been evaluated with all that it needed to know of the partners of relationships?
    async fn is_settled(&self) -> Result<bool, Failure> {
        match self.clearance.learn(self.call.state.store.as_ref()).await? {
            Ok(learned) => Ok(learned == Learned::Nothing),
            Err(error) => Err(Failure::BadRequest(format!(
                "The query takes too long: {error}. Narrow it down."
            ))),
        }
    }

    /// What the caller may see of the documents of a page (core-api section 7): their partners are looked up at once.
    pub(super) async fn clearance(
        &self,
        documents: &[StoredDocument],
    ) -> Result<&Clearance, Failure> {
        let raw: Vec<&RawDocument> = documents.iter().map(raw).collect();
        let store = self.call.state.store.as_ref();
        self.clearance.meet(store, &raw).await?;
        Ok(&self.clearance)
    }

    /// Writes a document of that page in the form of the API (core-api section 8).
    pub(super) fn write(
        &self,
        sink: &mut impl Sink,
        document: &StoredDocument,
        clearance: &Clearance,
        projection: &Projection,
    ) {
        let stored = raw(document);
        let cleared = clearance.of(stored);
        render::document(sink, &self.model, stored, &cleared, projection);
    }
}

fn unsettled() -> Failure {
    Failure::Busy("relationships changed while a condition on them was evaluated".to_owned())
}

fn raw(document: &StoredDocument) -> &RawDocument {
    document.body.as_ref().as_ref()
}

/// About how many bytes an answer with these documents takes.
pub(super) fn size_of(documents: &[StoredDocument]) -> usize {
    let stored: usize = documents
        .iter()
        .map(|document| raw(document).as_bytes().len())
        .sum();
    stored + stored / 2 + 512
}

/// Rules Q1 to Q3: `json` and unknown formats mean JSON.
pub(super) fn refuse_other_formats(parameters: &Parameters) -> Result<(), Failure> {
    match parameters.last("format") {
        Some(format @ ("xml" | "yaml")) => Err(Failure::BadRequest(format!(
            "This server does not write the format '{format}': use json."
        ))),
        _ => Ok(()),
    }
}

/// A download was asked for (rules F12, Q5), and `format` does not win over it (rule Q4): permission (F11), then the
/// answer of a type whose documents have no files (F10).
pub(super) fn download(call: &Call<'_>, of: &TypeDeclaration) -> Result<Option<Response>, Failure> {
    let format = call.parameters.last("format");
    let is_wanted = match format {
        Some("json" | "xml" | "yaml") => false,
        Some("file") => true,
        _ => is_on(call.parameters.last("file")),
    };
    if !is_wanted {
        return Ok(None);
    }
    if call.settings.is_on("api_require_download_flag") && !call.may(&of.name, "download") {
        return Err(Failure::Forbidden(NO_ACCESS));
    }
    if of
        .fields
        .iter()
        .any(|field| field.kind == FieldKind::File || field.bucket.is_some())
    {
        return Err(Failure::BadRequest(
            "This server does not offer files for download.".into(),
        ));
    }
    Ok(Some(answer::response(
        StatusCode::OK,
        "application/octet-stream; charset=utf-8",
        "No files found!",
    )))
}
