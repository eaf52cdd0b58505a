//! A document while it is being changed.
//!
//! Shared by the writers of the stores, which apply operations to what is stored, and by the transactions of handlers,
//! which must see their own writes. The stored bytes are not decoded as a whole: each root field is decoded when it is
//! first changed, and a list that is only appended to stays raw, so that adding the 10,000th relationship of a document
//! costs a copy and not a parse.

use std::sync::Arc;

use bson::{Bson, Document, RawDocumentBuf};

use super::filter::Filter;
use super::path::FieldPath;
use super::write::Op;

/// A document with changes that are not stored yet. Cloning is cheap as long as few fields were changed.
#[derive(Debug, Clone)]
pub struct Draft {
    base: Arc<RawDocumentBuf>,
    // the fields changed so far
}

/// What an operation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The document is as before.
    Unchanged,
    /// Something is different now; for a pull, how many elements went, else 1.
    Changed(u32),
}

/// Why an operation can't be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// `push`, `pull`, `len`, `find` on something that is not a list.
    #[error("`{0}` is not a list")]
    NotAList(FieldPath),
    /// The path goes through a plain value, or a position outside of a list.
    #[error("`{0}` can't be reached")]
    Unreachable(FieldPath),
    /// `Increment` of something that is not a number.
    #[error("`{0}` is not a number")]
    NotANumber(FieldPath),
    /// The stored bytes are damaged.
    #[error("damaged document: {0}")]
    Damaged(String),
}

impl Draft {
    /// A document as it is stored.
    #[must_use]
    pub fn stored(base: Arc<RawDocumentBuf>) -> Self {
        Self { base }
    }

    /// A new document.
    ///
    /// # Errors
    ///
    /// [`DraftError::Damaged`] if it can't be written as BSON (a key with NUL).
    pub fn fresh(body: &Document) -> Result<Self, DraftError> {
        let _ = body;
        todo!()
    }

    /// What is at a path; digits are a position of a list. None: absent.
    ///
    /// # Errors
    ///
    /// [`DraftError::Damaged`].
    pub fn get(&self, path: &FieldPath) -> Result<Option<Bson>, DraftError> {
        let _ = path;
        todo!()
    }

    /// Number of elements of a list; 0 if absent.
    ///
    /// # Errors
    ///
    /// [`DraftError::NotAList`].
    pub fn len(&self, path: &FieldPath) -> Result<usize, DraftError> {
        let _ = path;
        todo!()
    }

    /// Position of the first element from `start` on that meets the condition.
    ///
    /// # Errors
    ///
    /// [`DraftError::NotAList`].
    pub fn find(&self, path: &FieldPath, condition: &Filter, start: usize) -> Result<Option<usize>, DraftError> {
        let _ = (path, condition, start);
        todo!()
    }

    /// Applies an operation. `added` and `removed` of the operation are not looked at: the caller compares them with
    /// the effect.
    ///
    /// # Errors
    ///
    /// See [`DraftError`]; the draft is as before then.
    pub fn apply(&mut self, operation: &Op) -> Result<Effect, DraftError> {
        let _ = operation;
        todo!()
    }

    /// Names of the root fields changed so far, sorted.
    #[must_use]
    pub fn changed_roots(&self) -> Vec<String> {
        todo!()
    }

    /// The document with its changes.
    #[must_use]
    pub fn to_raw(&self) -> RawDocumentBuf {
        todo!()
    }
}
