//! What a handler wants changed, and what it had read to decide so.

use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocumentBuf};

use super::draft::{Draft, DraftError};
use super::filter::Filter;
use super::order::equal_bson;
use super::path::FieldPath;
use super::{KeyValue, StoreError};

/// Names a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocKey {
    /// Collection.
    pub collection: String,
    /// `_id`.
    pub id: ObjectId,
}

/// A unit of change. See the contract in [`crate::store`].
#[derive(Debug, Clone, Default)]
pub struct WriteSet {
    /// Documents that were read, or looked for by id.
    pub documents: Vec<DocRead>,
    /// Look-ups by unique key.
    pub keys: Vec<KeyRead>,
    /// Look-ups by condition.
    pub selections: Vec<SelectRead>,
    /// Changes, in order.
    pub writes: Vec<Write>,
}

/// What was read of a document.
#[derive(Debug, Clone)]
pub struct DocRead {
    /// Which one.
    pub document: DocKey,
    /// Its revision when read; none: it did not exist. At commit it must exist, or not, likewise.
    pub revision: Option<u64>,
    /// Paths that were read and what was there. Looked at only if the revision has changed.
    pub values: Vec<(FieldPath, Option<Bson>)>,
    /// Searches in its lists. Looked at only if the revision has changed.
    pub searches: Vec<SearchRead>,
}

/// A search for an element of a list ([`Draft::find`]), and what came of it. Guards the answer and not the list, so
/// that an append elsewhere in the list does not disturb it.
#[derive(Debug, Clone)]
pub struct SearchRead {
    /// List.
    pub path: FieldPath,
    /// Condition on an element.
    pub condition: Filter,
    /// Position the search began at.
    pub start: usize,
    /// Position of the first element that met the condition.
    pub found: Option<usize>,
}

impl DocRead {
    /// The first path at which the document is no longer what was read; none if all of it still holds.
    ///
    /// # Errors
    ///
    /// [`DraftError::Damaged`].
    pub fn broken_by<'a>(&'a self, now: &Draft) -> Result<Option<&'a FieldPath>, DraftError> {
        for (path, seen) in &self.values {
            let same = match (&now.get(path)?, seen) {
                (None, None) => true,
                (Some(now), Some(seen)) => equal_bson(now, seen),
                _ => false,
            };
            if !same {
                return Ok(Some(path));
            }
        }
        for search in &self.searches {
            match now.find(&search.path, &search.condition, search.start) {
                Ok(found) if found == search.found => {}
                Ok(_) | Err(DraftError::NotAList(_) | DraftError::Unreachable(_)) => {
                    return Ok(Some(&search.path));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// Which document had a unique key.
#[derive(Debug, Clone)]
pub struct KeyRead {
    /// The key.
    pub key: KeyValue,
    /// Its holder when looked up.
    pub holder: Option<ObjectId>,
}

/// Which documents met a condition.
#[derive(Debug, Clone)]
pub struct SelectRead {
    /// Collection.
    pub collection: String,
    /// The condition.
    pub filter: Filter,
    /// Only ids above this one.
    pub after: Option<ObjectId>,
    /// At most so many.
    pub limit: u32,
    /// The ids that were answered.
    pub found: Vec<ObjectId>,
}

/// One change.
#[derive(Debug, Clone)]
pub enum Write {
    /// A document that must not exist yet. The body contains `_id`.
    Insert {
        /// Collection.
        collection: String,
        /// The whole document.
        body: Document,
    },
    /// A document that must not exist yet, as a transaction has made it: its bytes come from a [`Draft`] or a literal, so
    /// they are not checked again.
    Make {
        /// Which one; its `_id`.
        document: DocKey,
        /// The whole document, with `_id`.
        body: Arc<RawDocumentBuf>,
    },
    /// A document that must not exist yet, taken over from another store: byte for byte, except that `_id` may be put
    /// first.
    Copy {
        /// Collection.
        collection: String,
        /// The whole document, with `_id`.
        body: Arc<RawDocumentBuf>,
    },
    /// Operations on a document that must exist, in order.
    Change {
        /// Which one.
        document: DocKey,
        /// What to do.
        operations: Vec<Op>,
    },
    /// Removes a document that must exist.
    Remove {
        /// Which one.
        document: DocKey,
    },
}

impl Write {
    /// The collection that is written to.
    #[must_use]
    pub fn collection(&self) -> &str {
        match self {
            Self::Insert { collection, .. } | Self::Copy { collection, .. } => collection,
            Self::Make { document, .. }
            | Self::Change { document, .. }
            | Self::Remove { document } => &document.collection,
        }
    }
}

/// An operation on one path of a document. An operation that finds the document other than it says (`added`,
/// `removed`) is a conflict.
#[derive(Debug, Clone)]
pub enum Op {
    /// Puts a value; missing embedded documents on the way are made. Digits are a position of an existing list.
    Set(FieldPath, Bson),
    /// Removes a field; no change if absent.
    Unset(FieldPath),
    /// Appends; the list is made if absent.
    Push(FieldPath, Bson),
    /// Appends unless an element agrees in all of `keys` (no keys: in the whole value).
    PushUnique {
        /// List.
        path: FieldPath,
        /// Element.
        value: Bson,
        /// Names of the element's fields that make it the same. Dates compare in milliseconds.
        keys: Vec<String>,
        /// Whether the handler saw it appended.
        added: bool,
    },
    /// Removes elements that meet a condition, from the beginning.
    Pull {
        /// List.
        path: FieldPath,
        /// Condition on an element.
        condition: Filter,
        /// At most so many; 0: all.
        limit: u32,
        /// How many the handler saw go.
        removed: u32,
    },
    /// Adds to a number; absent counts as 0.
    Increment(FieldPath, i64),
}

impl Op {
    /// The place it changes.
    #[must_use]
    pub fn path(&self) -> &FieldPath {
        match self {
            Self::Set(path, _)
            | Self::Unset(path)
            | Self::Push(path, _)
            | Self::PushUnique { path, .. }
            | Self::Pull { path, .. }
            | Self::Increment(path, _) => path,
        }
    }
}

/// Why a write set was not applied.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Something that was read has changed, or an operation met another state than the handler saw.
    #[error("changed meanwhile: {0}")]
    Conflict(String),
    /// A unique key is taken by a document that the write set had not looked up.
    #[error("`{}` has this key already in document {holder}", key.collection)]
    Duplicate {
        /// The key.
        key: KeyValue,
        /// Who has it.
        holder: ObjectId,
    },
    /// An operation can't be applied, whatever the state: a push on a text, a document over the size limit of 16 MiB.
    #[error("{0}")]
    Impossible(String),
    /// The engine failed. Whether the change was stored is unknown only if the connection or the process was lost.
    #[error(transparent)]
    Store(#[from] StoreError),
}
