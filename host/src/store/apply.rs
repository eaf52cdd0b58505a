//! What the writers of the stores share: operations applied with what the handler saw of them, and how refusals read.

use std::sync::Arc;

use bson::{Bson, RawDocument, RawDocumentBuf};

use super::draft::{Draft, DraftError, Effect};
use super::raw::Value;
use super::write::{CommitError, DocKey, Op};
use super::{KeyValue, StoreError};

/// The largest document: MongoDB's limit, so that every document could be moved there.
pub(crate) const LARGEST: usize = 16 << 20;

/// Applies the operations of a change. Answers whether the document is another one now.
///
/// # Errors
///
/// [`CommitError::Conflict`] if an operation finds another state than the handler saw; [`CommitError::Impossible`] if
/// one can't be applied although the document is `as_read`.
pub(crate) fn change(
    document: &DocKey,
    draft: &mut Draft,
    operations: &[Op],
    as_read: impl Fn() -> bool,
) -> Result<bool, CommitError> {
    let mut changed = false;
    for operation in operations {
        if operation.path().root() == "_id" {
            return Err(CommitError::Impossible("`_id` can't be changed".to_owned()));
        }
        let effect = match draft.apply(operation) {
            Ok(effect) => effect,
            // The handler may have decided on another state: let it look again.
            Err(error) if !as_read() => {
                return Err(conflict(format!("{}: {error}", name(document))));
            }
            Err(error) => return Err(impossible(document, error)),
        };
        changed |= effect != Effect::Unchanged;
        if !is_as_seen(operation, effect) {
            return Err(conflict(format!(
                "`{}` of {}",
                operation.path(),
                name(document)
            )));
        }
    }
    if changed {
        check_size(document, draft)?;
    }
    Ok(changed)
}

fn is_as_seen(operation: &Op, effect: Effect) -> bool {
    match operation {
        Op::PushUnique { added, .. } => (effect != Effect::Unchanged) == *added,
        Op::Pull { removed: 0, .. } => effect == Effect::Unchanged,
        Op::Pull { removed, .. } => effect == Effect::Changed(*removed),
        Op::Set(..) | Op::Unset(_) | Op::Push(..) | Op::Increment(..) => true,
    }
}

/// A new document: its id and its draft.
///
/// # Errors
///
/// [`CommitError::Impossible`] if its `_id` is no object id, or it can't be written, or is too large.
pub(crate) fn fresh(
    collection: &str,
    body: &bson::Document,
) -> Result<(DocKey, Draft), CommitError> {
    let document = inserted(collection, body)?;
    let draft = Draft::fresh(body).map_err(|error| impossible(&document, error))?;
    check_size(&document, &draft)?;
    Ok((document, draft))
}

/// Which document an insert makes.
///
/// # Errors
///
/// [`CommitError::Impossible`] if its `_id` is no object id.
pub(crate) fn inserted(collection: &str, body: &bson::Document) -> Result<DocKey, CommitError> {
    let Some(Bson::ObjectId(id)) = body.get("_id") else {
        return Err(without_id(collection));
    };
    Ok(DocKey {
        collection: collection.to_owned(),
        id: *id,
    })
}

/// A document taken over: its id and its draft.
///
/// # Errors
///
/// [`CommitError::Impossible`] if its `_id` is no object id, or it is too large; [`StoreError::Damaged`] if it can't be
/// read.
pub(crate) fn copied(
    collection: &str,
    body: &Arc<RawDocumentBuf>,
) -> Result<(DocKey, Draft), CommitError> {
    let document = copied_key(collection, body)?;
    Value::document(body.as_bytes())
        .decode()
        .map_err(|error| damaged(&document, error))?;
    let draft = Draft::stored(Arc::clone(body));
    check_size(&document, &draft)?;
    Ok((document, draft))
}

/// Which document a copy makes.
///
/// # Errors
///
/// [`CommitError::Impossible`] if its `_id` is no object id.
pub(crate) fn copied_key(collection: &str, body: &RawDocument) -> Result<DocKey, CommitError> {
    match body.get_object_id("_id") {
        Ok(id) => Ok(DocKey {
            collection: collection.to_owned(),
            id,
        }),
        Err(_) => Err(without_id(collection)),
    }
}

fn without_id(collection: &str) -> CommitError {
    CommitError::Impossible(format!(
        "a document of `{collection}` needs an object id as `_id`"
    ))
}

pub(crate) fn describe(key: &KeyValue) -> String {
    key.parts
        .iter()
        .map(|(path, _)| path.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

pub(crate) fn check_size(document: &DocKey, draft: &Draft) -> Result<(), CommitError> {
    if draft.size_at_most() > LARGEST && draft.to_raw().as_bytes().len() > LARGEST {
        return Err(too_large(document));
    }
    Ok(())
}

pub(crate) fn too_large(document: &DocKey) -> CommitError {
    CommitError::Impossible(format!("{} would be larger than 16 MiB", name(document)))
}

/// May a collection be called so? Names of the engine's own collections have `critd.` or `system.` in front.
///
/// # Errors
///
/// [`StoreError::Unusable`] if not.
pub(crate) fn check_name(collection: &str) -> Result<(), StoreError> {
    let fine = collection.starts_with(|first: char| first.is_ascii_lowercase())
        && collection
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'))
        && !collection.starts_with("critd.")
        && !collection.starts_with("system.");
    if fine {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "`{collection}` is no name for a collection"
    )))
}

/// What a declaration says of a unique key that existing documents violate.
pub(crate) fn violation(collection: &str, groups: u64, fields: &str, first: &str) -> String {
    format!(
        "`{collection}` has {groups} values of ({fields}) in more than one document, the first in {first}: the key is not enforced"
    )
}

pub(crate) fn conflict(what: String) -> CommitError {
    CommitError::Conflict(what)
}

pub(crate) fn impossible(document: &DocKey, error: DraftError) -> CommitError {
    CommitError::Impossible(format!("{}: {error}", name(document)))
}

pub(crate) fn damaged(document: &DocKey, error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged {
        collection: document.collection.clone(),
        id: document.id.to_hex(),
        reason: error.to_string(),
    }
}

pub(crate) fn name(document: &DocKey) -> String {
    format!("`{}` {}", document.collection, document.id.to_hex())
}
