//! Values as keys of index tables.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::store::filter;
pub(super) use crate::store::keys::{CAP, capped, sort_key, unique, unique_of};
use crate::store::order::{self, rank};
use crate::store::path::FieldPath;
use crate::store::raw::{Malformed, Value};

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

/// The text that a path reaches, as it is, if it is the only one and not long: the documents tell the others.
pub(super) fn only_text(document: &[u8], path: &FieldPath) -> Result<Option<String>, Malformed> {
    let mut only = None;
    let mut texts = 0;
    filter::each_value(Value::document(document), path.as_str(), &mut |value| {
        if let Some(text) = value.text()? {
            texts += 1;
            only = Some(text);
        }
        Ok(())
    })?;
    let fits = |text: &&str| texts == 1 && text.len() < CAP;
    Ok(only.filter(fits).map(str::to_owned))
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
