//! All documents of a collection, or bytes of a file, in steps that take little memory.

use std::collections::VecDeque;

use bson::RawDocumentBuf;
use bson::oid::ObjectId;

use super::filter::Filter;
use super::raw::{self, Elements, Malformed};
use super::{FileId, FileInfo, Result, Store, StoreError, StoredDocument};

/// Ids that are asked for at a time.
const IDS: u32 = 2_000;

/// Documents that are read at a time, if they are small.
const STEP: usize = 64;

/// Bytes that one step should not exceed by much.
const BYTES: usize = 1 << 20;

/// Bytes of a file that are read at a time.
const PART: u32 = 1 << 20;

/// On its way through a collection, by ascending ids.
pub(crate) struct Walk<'a> {
    store: &'a dyn Store,
    collection: &'a str,
    /// The last id that was asked for.
    after: Option<ObjectId>,
    ids: VecDeque<ObjectId>,
    step: usize,
}

impl<'a> Walk<'a> {
    /// Begins after `after`.
    pub(crate) fn new(store: &'a dyn Store, collection: &'a str, after: Option<ObjectId>) -> Self {
        Self {
            store,
            collection,
            after,
            ids: VecDeque::new(),
            step: STEP,
        }
    }

    /// The next documents; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Vec<StoredDocument>> {
        loop {
            if self.ids.is_empty() {
                let found = self
                    .store
                    .select(self.collection, &Filter::All, self.after, IDS)
                    .await?;
                let Some(last) = found.last() else {
                    return Ok(Vec::new());
                };
                self.after = Some(*last);
                self.ids.extend(found);
            }
            let step = self.step.min(self.ids.len());
            let ids: Vec<ObjectId> = self.ids.drain(..step).collect();
            let documents = self.store.get_many(self.collection, &ids).await?;
            // Else they have all gone meanwhile.
            if !documents.is_empty() {
                let bytes: usize = documents.iter().map(size).sum();
                let mean = (bytes / documents.len()).max(1);
                self.step = (BYTES / mean).clamp(1, STEP);
                return Ok(documents);
            }
        }
    }
}

fn size(document: &StoredDocument) -> usize {
    document.body.as_bytes().len()
}

/// Reads a kept file from beginning to end.
///
/// # Errors
///
/// The store's, and those of `take`; also if the file ends early.
pub(crate) async fn read_through(
    store: &dyn Store,
    bucket: &str,
    id: FileId,
    info: &FileInfo,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut from = 0;
    while from < info.size {
        let part = store.read_file(bucket, id, from, PART).await?;
        if part.is_empty() {
            return Err(StoreError::Engine(format!(
                "file {id} of `{bucket}` ends after {from} of {} bytes",
                info.size
            )));
        }
        from += part.len() as u64;
        take(&part)?;
    }
    Ok(())
}

/// A document with `_id` first and everything else as it lies: the form in which every store can keep it.
///
/// # Errors
///
/// [`Malformed`] if the bytes are no document.
pub(crate) fn id_first(body: &RawDocumentBuf) -> Result<RawDocumentBuf, Malformed> {
    let bytes = body.as_bytes();
    let mut sorted = Vec::with_capacity(bytes.len());
    sorted.extend_from_slice(&[0; 4]);
    for wanted in [true, false] {
        for element in Elements::new(bytes)? {
            let element = element?;
            if (element.name == b"_id") == wanted {
                sorted.extend_from_slice(element.whole);
            }
        }
    }
    sorted.push(0);
    raw::set_length(&mut sorted, 0)?;
    RawDocumentBuf::from_bytes(sorted).map_err(|_| Malformed("a document that can't be read"))
}
