//! Values as keys of index tables.
//!
//! A key is the value in the order-preserving form of [`order`]. What is longer than [`CAP`] is cut there and a digest
//! appended (pitfall P10): equal keys still mean equal values, and keys still sort right unless both are cut at the
//! same prefix. Whoever depends on that looks at the documents.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bson::Bson;
use sha2::{Digest, Sha256};

use crate::store::draft::{Draft, DraftError};
use crate::store::filter;
use crate::store::order::{self, rank};
use crate::store::path::FieldPath;
use crate::store::raw::{Malformed, Value};

/// Bytes of a key that are kept as they are.
pub(super) const CAP: usize = 1001;

pub(super) fn capped(mut key: Vec<u8>) -> Vec<u8> {
    if key.len() > CAP {
        let digest = Sha256::digest(&key);
        key.truncate(CAP);
        key.extend_from_slice(&digest);
    }
    key
}

pub(super) fn is_capped(key: &[u8]) -> bool {
    key.len() > CAP
}

/// Keys that share it sort right only by their documents, if they are capped.
pub(super) fn prefix(key: &[u8]) -> &[u8] {
    &key[..key.len().min(CAP)]
}

/// The keys of an index on a path, for one document.
pub(super) fn entries(document: &[u8], path: &FieldPath) -> Result<BTreeSet<Vec<u8>>, Malformed> {
    let mut keys = BTreeSet::new();
    filter::each_value(Value::document(document), path.as_str(), &mut |value| {
        keys.insert(capped(order::encode(value)?));
        Ok(())
    })?;
    Ok(keys)
}

/// By what a document is sorted, in full: its lowest value, or the lowest of all if absent.
pub(super) fn sort_key(document: &[u8], path: &FieldPath) -> Result<Vec<u8>, Malformed> {
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
pub(super) fn unique(draft: &Draft, fields: &[FieldPath]) -> Result<Option<Vec<u8>>, DraftError> {
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
pub(super) fn unique_of<'a>(
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

/// The text of a capped or whole key, if it is a text.
pub(super) fn text(key: &[u8]) -> Option<&[u8]> {
    match key.split_first() {
        Some((&rank::TEXT, text)) => Some(text),
        _ => None,
    }
}

/// All texts that a path reaches, one after the other, for the trigram index: folded as [`fold`] says.
pub(super) fn searchable(document: &[u8], path: &FieldPath) -> Result<String, Malformed> {
    let mut all = String::new();
    filter::each_value(Value::document(document), path.as_str(), &mut |value| {
        if let Some(text) = value.text()? {
            if !all.is_empty() {
                all.push('\n');
            }
            all.push_str(&fold(text));
        }
        Ok(())
    })?;
    Ok(all)
}

/// Letters that a case-insensitive expression takes for an ASCII letter, replaced by it. NUL, at which the tokenizer
/// would stop, becomes another control character; no literal with control characters is ever looked for.
fn fold(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase() && byte != 0)
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(|letter| match letter {
                '\0' => '\u{1}',
                '\u{212A}' => 'k',
                '\u{17F}' => 's',
                other => other.to_ascii_lowercase(),
            })
            .collect(),
    )
}
