//! Values as keys: of an order, of unique keys.
//!
//! A key is the value in the order-preserving form of [`order`]. What is longer than [`CAP`] is cut there and a digest
//! appended (pitfall P10): equal keys still mean equal values, and keys still sort right unless both are cut at the
//! same prefix. Whoever depends on that looks at the documents.

use bson::Bson;
use sha2::{Digest, Sha256};

use super::draft::{Draft, DraftError};
use super::filter;
use super::order;
use super::path::FieldPath;
use super::raw::{Malformed, Value};

/// Bytes of a key that are kept as they are.
pub(crate) const CAP: usize = 1001;

pub(crate) fn capped(mut key: Vec<u8>) -> Vec<u8> {
    if key.len() > CAP {
        let digest = Sha256::digest(&key);
        key.truncate(CAP);
        key.extend_from_slice(&digest);
    }
    key
}

/// By what a document is sorted, in full: its lowest value, or the lowest of all if absent.
pub(crate) fn sort_key(document: &[u8], path: &FieldPath) -> Result<Vec<u8>, Malformed> {
    let mut lowest: Option<Vec<u8>> = None;
    filter::each_value(Value::document(document), path.as_str(), &mut |value| {
        let key = order::encode(value)?;
        if lowest.as_ref().is_none_or(|lowest| key < *lowest) {
            lowest = Some(key);
        }
        Ok(())
    })?;
    Ok(lowest.unwrap_or_else(order::encode_absent))
}

/// A unique key of a document; none if it lacks one of the fields.
pub(crate) fn unique(draft: &Draft, fields: &[FieldPath]) -> Result<Option<Vec<u8>>, DraftError> {
    let mut parts = Vec::with_capacity(fields.len());
    for field in fields {
        match draft.get(field)? {
            None | Some(Bson::Null | Bson::Undefined) => return Ok(None),
            Some(value) => parts.push(value),
        }
    }
    Ok(unique_of(parts.iter())?)
}

/// A unique key by the values of its parts.
pub(crate) fn unique_of<'a>(
    parts: impl Iterator<Item = &'a Bson>,
) -> Result<Option<Vec<u8>>, Malformed> {
    let mut key = Vec::new();
    for part in parts {
        if matches!(part, Bson::Null | Bson::Undefined) {
            return Ok(None);
        }
        let bytes = order::encode_bson(part)?;
        key.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        key.extend_from_slice(&bytes);
    }
    Ok(Some(capped(key)))
}
