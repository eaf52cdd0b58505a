//! Files that documents of a transaction cease to refer to (documents.md 4.1).

use std::collections::BTreeSet;

use bson::Bson;

use super::documents::draft_failed;
use super::{Work, fields, internal};
use crate::plugins::declaration::FieldKind;
use crate::plugins::value::Failure;
use crate::store::{Draft, FieldPath};

/// A file that a document referred to by its MD5, and does no more.
pub(crate) struct FreedFile {
    pub(crate) bucket: String,
    pub(crate) md5: [u8; 16],
}

/// The digests that a field of a list's entries holds.
fn digests(draft: &Draft, list: &str, field: &str) -> Result<BTreeSet<[u8; 16]>, Failure> {
    let path = FieldPath::parse(list).map_err(|error| internal(error.to_string()))?;
    let Some(Bson::Array(entries)) = draft.get(&path).map_err(draft_failed)? else {
        return Ok(BTreeSet::new());
    };
    let texts = entries
        .iter()
        .filter_map(Bson::as_document)
        .filter_map(|entry| entry.get_str(field).ok());
    Ok(texts.filter_map(super::uploads::digest_of).collect())
}

impl Work {
    /// Files of lists (documents.md 4.1) that documents of this transaction do not refer to any more.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub(crate) fn freed_files(&self) -> Result<Vec<FreedFile>, Failure> {
        let mut freed = Vec::new();
        let existing = self
            .documents
            .iter()
            .filter(|document| document.revision.is_some() && !document.withdrawn);
        for document in existing {
            let of = &document.of.declaration;
            let common = fields::common_fields().iter().filter(|_| of.top_level);
            let lists = of.fields.iter().chain(common);
            for list in lists.filter(|list| document.draft.has_changed(list.stored_name())) {
                let file = list.fields.iter().find_map(|field| {
                    let is_text = field.kind == FieldKind::Text;
                    Some((
                        field.stored_name(),
                        field.bucket.clone().filter(|_| is_text)?,
                    ))
                });
                let Some((field, bucket)) = file else {
                    continue;
                };
                let before = Draft::stored(document.draft.base().clone());
                let before = digests(&before, list.stored_name(), field)?;
                let after = digests(&document.draft, list.stored_name(), field)?;
                freed.extend(before.difference(&after).map(|md5| FreedFile {
                    bucket: bucket.clone(),
                    md5: *md5,
                }));
            }
        }
        Ok(freed)
    }
}
