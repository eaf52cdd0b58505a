//! Bytes of files inside documents: samples of the original show them as base64, and published clients decode them (rule J7
//! and the decision of the specification). Only in the formats of the original.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::oid::ObjectId;

use super::download::{self, Known};
use super::pipeline::Call;
use super::reading::{self, Reader};
use crate::query::Projection;
use crate::store::{FileId, Store, StoreError, StoredDocument};

/// Bytes of a file that are read at a time.
const PART: u32 = 1 << 20;

/// What the documents of a page show instead of the ids of their files.
#[derive(Debug, Default)]
pub(super) struct Inlined {
    /// Stored name.
    field: String,
    texts: HashMap<ObjectId, String>,
    /// Why some of it is empty.
    pub(super) warnings: Vec<String>,
}

impl Inlined {
    /// Field and text of a document.
    pub(super) fn of(&self, document: ObjectId) -> Option<(&str, &str)> {
        let text = self.texts.get(&document)?;
        Some((&self.field, text))
    }

    fn warn(&mut self, warning: &str) {
        let warning = format!("{}: {warning}", self.field);
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// Of the types that the setting names, for callers who may download, up to the limit of a page, and unless the projection
/// leaves the field out.
pub(super) async fn of_page(
    call: &Call<'_>,
    reader: &Reader,
    documents: &[StoredDocument],
    projection: &Projection,
) -> Inlined {
    let mut inlined = Inlined::default();
    let of = &reader.of;
    let resources = call.settings.text("inline_filedata_of").unwrap_or_default();
    let is_meant = call.settings.is_on("inline_filedata")
        && resources.split(',').any(|name| name.trim() == of.resource);
    let Some(field) = download::file_field(of).filter(|_| is_meant) else {
        return inlined;
    };
    if projection.root(field.stored_name()).is_none() {
        return inlined;
    }
    inlined.field = field.stored_name().to_owned();
    let bucket = field.bucket.as_deref().unwrap_or(&of.collection);
    let may = download::admit(call, of).is_ok();
    let limit = call.settings.number("inline_file_limit").unwrap_or(0);
    let mut left = limit;
    for document in documents {
        let known = Known::of(reading::raw(document), field.stored_name());
        let (Some(id), false) = (known.id, inlined.texts.contains_key(&document.id)) else {
            continue;
        };
        let text = if may {
            text(reader.store.as_ref(), bucket, id, &mut left).await
        } else {
            Err(Absent::Forbidden)
        };
        if let Err(reason) = &text {
            inlined.warn(&reason.said(&of.name, limit));
        }
        inlined.texts.insert(document.id, text.unwrap_or_default());
    }
    inlined
}

/// Why a text is empty.
#[derive(Debug)]
enum Absent {
    Forbidden,
    TooLarge,
    Gone,
    Failed(StoreError),
}

impl Absent {
    fn said(&self, type_name: &str, limit: u64) -> String {
        match self {
            Self::Forbidden => format!("left empty without the permission {type_name}.download"),
            Self::TooLarge => format!(
                "left empty where the files of the page have more than {limit} bytes together, use file=1"
            ),
            Self::Gone => "left empty where the file is gone".to_owned(),
            // Rule J10: one file does not spoil the page.
            Self::Failed(error) => {
                tracing::error!(%error, "a file could not be read for a document that shows it");
                "left empty where the file can't be read".to_owned()
            }
        }
    }
}

async fn text(
    store: &dyn Store,
    bucket: &str,
    id: FileId,
    left: &mut u64,
) -> Result<String, Absent> {
    let info = store.file(bucket, id).await.map_err(Absent::Failed)?;
    let size = info.ok_or(Absent::Gone)?.size;
    *left = left.checked_sub(size).ok_or(Absent::TooLarge)?;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < size {
        let part = store
            .read_file(bucket, id, bytes.len() as u64, PART)
            .await
            .map_err(Absent::Failed)?;
        if part.is_empty() {
            return Err(Absent::Gone);
        }
        bytes.extend(part);
    }
    Ok(STANDARD.encode(bytes))
}
