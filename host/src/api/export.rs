//! All documents that meet a condition, as rows: read in parts as fast as they are taken, whatever their number.

use std::collections::VecDeque;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;
use bson::oid::ObjectId;
use futures_util::stream;

use super::answer;
use super::failure::Failure;
use super::reading::{self, Reader};
use super::rows::Table;
use crate::query::{Projection, Searches};
use crate::store::{DocKey, Filter, StoredDocument, Visible};

/// Warning where an order was asked for.
pub(super) const UNSORTED: &str =
    "order: without a limit, rows come in ascending order of _id, ignored";

/// Ids that are looked for at a time.
const IDS: u32 = 1_000;
/// About how many bytes of documents are read at a time.
const PART: usize = 1 << 20;
/// Documents of the first part, whose size is not known.
const FIRST: usize = 32;

/// What is still to be written.
pub(super) struct Export {
    reader: Reader,
    filter: Filter,
    searches: Searches,
    projection: Projection,
    table: Table,
    /// Documents that are left out at the beginning.
    skip: u64,
    /// Found, visible and not yet read.
    ids: VecDeque<ObjectId>,
    after: Option<ObjectId>,
    is_complete: bool,
    /// Documents that make a part.
    batch: usize,
}

impl Export {
    pub(super) fn new(
        reader: Reader,
        (filter, searches): (Filter, Searches),
        projection: Projection,
        skip: u64,
        table: Table,
    ) -> Self {
        Self {
            reader,
            filter,
            searches,
            projection,
            table,
            skip,
            ids: VecDeque::new(),
            after: None,
            is_complete: false,
            batch: FIRST,
        }
    }

    /// The answer. What fails at the beginning is told; what fails later breaks the transfer off, which clients notice.
    pub(super) async fn answer(mut self, warnings: &[String]) -> Result<Response, Failure> {
        let content_type = self.table.content_type();
        let mut first = self.table.header();
        if let Some(part) = self.part().await? {
            first.extend(part);
        }
        let rest = stream::try_unfold(self, |mut export| async move {
            match export.part().await {
                Ok(Some(part)) => Ok(Some((Bytes::from(part), export))),
                Ok(None) => Ok(None),
                Err(failure) => {
                    tracing::error!(?failure, "an export was broken off");
                    Err(std::io::Error::other("the store failed"))
                }
            }
        });
        let first = stream::once(async { Ok(Bytes::from(first)) });
        let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
        let mut response = answer::response(StatusCode::OK, content_type, body);
        answer::add_warnings(&mut response, warnings);
        Ok(response)
    }

    /// Some rows; none: that was all.
    async fn part(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if self.ids.is_empty() && !self.find().await? {
                return Ok(None);
            }
            let ids: Vec<ObjectId> = self.ids.drain(..self.batch.min(self.ids.len())).collect();
            let collection = &self.reader.of.collection;
            let mut documents = self.reader.store.get_many(collection, &ids).await?;
            self.batch = batch(&documents);
            // They may have changed since they were found.
            documents.retain(|document| self.reader.visible.allows(document.class));
            let mut documents = self.reader.meeting(documents, &self.filter).await?;
            self.searches.check()?;
            let skipped = usize::try_from(self.skip)
                .unwrap_or(usize::MAX)
                .min(documents.len());
            documents.drain(..skipped);
            self.skip -= skipped as u64;
            if documents.is_empty() {
                continue;
            }
            let clearance = self.reader.clearance(&documents).await?;
            let mut written = Vec::with_capacity(reading::size_of(&documents));
            for document in &documents {
                let shown = self.reader.shown(document, clearance, &self.projection);
                self.table.row(&mut written, &shown);
            }
            self.reader.forget();
            return Ok(Some(written));
        }
    }

    /// Looks for further ids. False: there are none.
    async fn find(&mut self) -> Result<bool, Failure> {
        let store = &self.reader.store;
        let collection = &self.reader.of.collection;
        while self.ids.is_empty() {
            if self.is_complete {
                return Ok(false);
            }
            let (filter, after) = (&self.filter, self.after);
            // A search that came to its limit on a document that is not visible would tell of it.
            let found = match self.searches.is_empty() {
                true => self.reader.select(filter, after, IDS).await?,
                false => self.reader.select_visible(filter, after, IDS).await?,
            };
            self.searches.check()?;
            self.is_complete = found.len() < IDS as usize;
            self.after = found.last().copied().or(self.after);
            if matches!(self.reader.visible, Visible::All) {
                self.ids.extend(found);
                continue;
            }
            let keys: Vec<DocKey> = found
                .iter()
                .map(|id| DocKey {
                    collection: collection.clone(),
                    id: *id,
                })
                .collect();
            let classes = store.classes_of(&keys).await?;
            let visible = found
                .into_iter()
                .zip(classes)
                .filter(|(_, class)| class.is_some_and(|class| self.reader.visible.allows(class)));
            self.ids.extend(visible.map(|(id, _)| id));
        }
        Ok(true)
    }
}

/// How many documents like these make a part.
fn batch(documents: &[StoredDocument]) -> usize {
    let bytes: usize = documents
        .iter()
        .map(|document| reading::raw(document).as_bytes().len())
        .sum();
    let each = bytes / documents.len().max(1);
    (PART / each.max(1)).clamp(1, IDS as usize)
}
