//! What all reading of documents has in common: permission, format, cleaning, rendering.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use bson::RawDocument;

use super::answer;
use super::failure::{Failure, NO_ACCESS};
use super::models::OfRegistry;
use super::pipeline::Call;
use super::render::{self, Sink};
use crate::access::Clearance;
use crate::plugins::TypeEntry;
use crate::plugins::declaration::{FieldKind, TypeDeclaration};
use crate::query::{Model, Parameters, Projection, Strictness, is_on};
use crate::store::{StoredDocument, Visible};

/// A type as a caller may read it.
pub(super) struct Reader<'a> {
    call: &'a Call<'a>,
    types: Arc<OfRegistry>,
    pub(super) of: &'a TypeDeclaration,
    pub(super) model: Arc<Model>,
    pub(super) visible: Visible,
    pub(super) strictness: Strictness,
}

impl<'a> Reader<'a> {
    /// Rules S15, S21: who may not read the type gets 403, whatever is asked for.
    pub(super) fn admit(call: &'a Call<'a>, entry: &'a TypeEntry) -> Result<Self, Failure> {
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
        Ok(Self {
            call,
            model: types.model(of),
            types,
            of,
            visible: call.state.access.visible(&call.caller, of.sources),
            strictness,
        })
    }

    /// What the caller may see of the documents of a page (core-api section 7).
    pub(super) async fn clearance<'b>(
        &'b self,
        documents: &[StoredDocument],
    ) -> Result<Clearance<'b>, Failure> {
        let raw: Vec<&RawDocument> = documents.iter().map(raw).collect();
        let access = &self.call.state.access;
        let clearance = access.clearance(&self.call.caller, &raw, &self.types.collections);
        Ok(clearance.await?)
    }

    /// Writes a document of that page in the form of the API (core-api section 8).
    pub(super) fn write(
        &self,
        sink: &mut impl Sink,
        document: &StoredDocument,
        clearance: &Clearance<'_>,
        projection: &Projection,
    ) {
        let stored = raw(document);
        let cleared = clearance.of(stored);
        render::document(sink, &self.model, stored, &cleared, projection);
    }
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
