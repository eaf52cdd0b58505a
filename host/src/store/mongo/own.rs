//! The field of the store's own in each document: `_critd`.
//!
//! ```text
//! _critd: { revision: 17, class: 3, form: 1, keys: [digest, …], sort: { modified: "…" }, guard: 5 }
//! ```
//!
//! A root key that begins with `_` is never shown (rule M4), and the original neither shows nor loses it. It lies in the
//! document and not in a collection beside it so that one index can serve condition, order and visibility together,
//! and one write keeps all of it true.
//!
//! `class`, `keys` and `sort` follow from the rest of the document and from what was declared; `form` says by which
//! declaration they were worked out. Documents without the field, or of another form, are brought up to date by
//! `declare` and, while the server runs, by the keeper.

use std::borrow::Cow;

use bson::{Binary, Bson, Document, RawDocument, RawDocumentBuf, doc};
use sha2::{Digest, Sha256};

use super::schema::Collection;
use crate::store::class::{self, ClassId, Pairs};
use crate::store::draft::{Draft, DraftError};
use crate::store::keys;
use crate::store::path::FieldPath;
use crate::store::raw::{self, Elements, Malformed, Value, kind};
use crate::store::{KeySpec, KeyValue};

/// Name of the field.
pub(super) const FIELD: &str = "_critd";
/// Path of the revision.
pub(super) const REVISION: &str = "_critd.revision";
/// Path of the class.
pub(super) const CLASS: &str = "_critd.class";
/// Path of the form.
pub(super) const FORM: &str = "_critd.form";
/// Path of the digests of unique keys.
pub(super) const KEYS: &str = "_critd.keys";
/// Path of what is changed to make two transactions meet.
pub(super) const GUARD: &str = "_critd.guard";

/// Bytes of a sort key beyond which it is cut. MongoDB has no limit for entries of an index; this keeps a document with
/// its largest values from growing much.
const LONGEST_SORT_KEY: usize = 64 << 10;

/// What the field says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Own {
    /// 0 if no write of this store has touched the document.
    pub(super) revision: u64,
    pub(super) class: Option<ClassId>,
    pub(super) form: Option<i32>,
}

impl Own {
    fn read(value: Value<'_>) -> Result<Self, Malformed> {
        let mut own = Self::default();
        if !value.is_document() {
            return Ok(own);
        }
        for element in Elements::new(value.bytes)? {
            let element = element?;
            match element.name {
                b"revision" => {
                    own.revision = integer(element.value)?.unwrap_or_default().unsigned_abs();
                }
                b"class" => {
                    own.class = integer(element.value)?.and_then(|class| class.try_into().ok());
                }
                b"form" => {
                    own.form = integer(element.value)?.and_then(|form| form.try_into().ok());
                }
                _ => {}
            }
        }
        Ok(own)
    }
}

fn integer(value: Value<'_>) -> Result<Option<i64>, Malformed> {
    Ok(match value.kind {
        kind::INT32 => Some(i64::from(i32::from_le_bytes(value.fixed()?))),
        kind::INT64 => Some(i64::from_le_bytes(value.fixed()?)),
        _ => None,
    })
}

/// A document as it lies in the database, taken apart: the field, and the document without it.
pub(super) fn split(stored: RawDocumentBuf) -> Result<(Own, RawDocumentBuf), Malformed> {
    let bytes = stored.as_bytes();
    let mut own = Own::default();
    let mut rest = Vec::with_capacity(bytes.len());
    rest.extend_from_slice(&[0; 4]);
    let mut found = false;
    for element in Elements::new(bytes)? {
        let element = element?;
        if element.name == FIELD.as_bytes() {
            own = Own::read(element.value)?;
            found = true;
        } else {
            rest.extend_from_slice(element.whole);
        }
    }
    if !found {
        return Ok((own, stored));
    }
    rest.push(0);
    raw::set_length(&mut rest, 0)?;
    let rest =
        RawDocumentBuf::from_bytes(rest).map_err(|_| Malformed("a document that can't be read"))?;
    Ok((own, rest))
}

/// The document with the field, to be written as a whole: `_id` first, then the field.
pub(super) fn join(body: &RawDocument, own: &Document) -> Result<RawDocumentBuf, Malformed> {
    let own = raw::OwnedValue::encode(&Bson::Document(own.clone()))?;
    let mut bytes = Vec::with_capacity(body.as_bytes().len() + own.bytes.len() + 16);
    bytes.extend_from_slice(&[0; 4]);
    for element in Elements::new(body.as_bytes())? {
        let element = element?;
        if element.name == b"_id" {
            bytes.extend_from_slice(element.whole);
        }
    }
    bytes.push(own.kind);
    bytes.extend_from_slice(FIELD.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&own.bytes);
    for element in Elements::new(body.as_bytes())? {
        let element = element?;
        if element.name != b"_id" {
            bytes.extend_from_slice(element.whole);
        }
    }
    bytes.push(0);
    raw::set_length(&mut bytes, 0)?;
    RawDocumentBuf::from_bytes(bytes).map_err(|_| Malformed("a document that can't be read"))
}

/// Under which a unique key with values is looked up.
pub(super) type KeyDigest = [u8; 32];

/// Two keys of a collection have different digests even with the same values.
fn digest(fields: &[&str], key: &[u8]) -> KeyDigest {
    let mut hash = Sha256::new();
    hash.update(fields.join("\n").as_bytes());
    hash.update([0]);
    hash.update(key);
    hash.finalize().into()
}

/// The digest of a key with values; none if such a key is held by nobody.
pub(super) fn digest_of(key: &KeyValue) -> Option<KeyDigest> {
    let fields: Vec<&str> = key.parts.iter().map(|(path, _)| path.as_str()).collect();
    let values = keys::unique_of(key.parts.iter().map(|(_, value)| value));
    Some(digest(&fields, &values.ok()??))
}

/// The digest of a document's key; none if it lacks one of the fields.
pub(super) fn key_of(draft: &Draft, key: &KeySpec) -> Result<Option<KeyDigest>, DraftError> {
    let fields: Vec<&str> = key.fields.iter().map(FieldPath::as_str).collect();
    Ok(keys::unique(draft, &key.fields)?.map(|bytes| digest(&fields, &bytes)))
}

/// As it is stored.
pub(super) fn binary(digest: &[u8]) -> Bson {
    Bson::Binary(Binary {
        subtype: bson::spec::BinarySubtype::Generic,
        bytes: digest.to_vec(),
    })
}

/// The digests of all keys of a document, as they are stored.
pub(super) fn keys_of(collection: &Collection, draft: &Draft) -> Result<Bson, DraftError> {
    let mut digests = Vec::new();
    for key in &collection.keys {
        if let Some(digest) = key_of(draft, &key.spec)? {
            digests.push(binary(&digest));
        }
    }
    Ok(Bson::Array(digests))
}

/// What a document is sorted by: the shared key, as a text that MongoDB puts in the same order, since it compares texts
/// by their bytes and UTF-8 keeps the order of code points.
pub(super) fn sort_text(body: &[u8], path: &FieldPath) -> Result<String, Malformed> {
    Ok(text_of_key(keys::sort_key(body, path)?))
}

/// A sort key as the text that is stored for it.
pub(super) fn text_of_key(mut key: Vec<u8>) -> String {
    if key.len() > LONGEST_SORT_KEY {
        let digest = Sha256::digest(&key);
        key.truncate(LONGEST_SORT_KEY);
        key.extend_from_slice(&digest);
    }
    key.into_iter().map(char::from).collect()
}

/// The name of a sort key: a path without dots.
pub(super) fn sort_name(path: &FieldPath) -> String {
    let text = path.as_str();
    let text: Cow<'_, str> = if text.contains(['~', '/']) {
        text.replace('~', "~0").replace('/', "~1").into()
    } else {
        text.into()
    };
    text.replace('.', "/")
}

/// Where the sort key of a path lies.
pub(super) fn sort_path(path: &FieldPath) -> String {
    format!("{FIELD}.sort.{}", sort_name(path))
}

/// The pairs that make the class; none in a collection without sources.
pub(super) fn pairs_of(
    collection: &Collection,
    body: &RawDocument,
) -> Result<Option<Pairs>, Malformed> {
    if collection.classed {
        class::pairs_of(body).map(Some)
    } else {
        Ok(None)
    }
}

/// All of the field for a document that is written as a whole.
pub(super) fn whole(
    collection: &Collection,
    draft: &Draft,
    body: &RawDocument,
    class: ClassId,
    revision: u64,
) -> Result<Document, DraftError> {
    let mut sort = Document::new();
    for path in &collection.sortable {
        sort.insert(sort_name(path), sort_text(body.as_bytes(), path)?);
    }
    Ok(doc! {
        "revision": revision.cast_signed(),
        "class": i64::from(class),
        "form": collection.form,
        "keys": keys_of(collection, draft)?,
        "sort": sort,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw_of(document: &Document) -> RawDocumentBuf {
        RawDocumentBuf::try_from(document).unwrap()
    }

    #[test]
    fn the_field_comes_off_wherever_it_lies() {
        let body = doc! { "a": 1, "_id": 7, "b": ["x"] };
        let own = doc! { "revision": 5_i64, "class": 3, "form": 2, "keys": [], "guard": 9 };
        let joined = join(&raw_of(&body), &own).unwrap();
        let names: Vec<String> = Document::try_from(joined.as_ref())
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(names, ["_id", "_critd", "a", "b"]);
        let (read, rest) = split(joined).unwrap();
        let wanted = Own {
            revision: 5,
            class: Some(3),
            form: Some(2),
        };
        assert_eq!(read, wanted);
        assert_eq!(
            Document::try_from(rest.as_ref()).unwrap(),
            doc! { "_id": 7, "a": 1, "b": ["x"] }
        );
        let (read, rest) = split(raw_of(&body)).unwrap();
        assert_eq!(read, Own::default());
        assert_eq!(Document::try_from(rest.as_ref()).unwrap(), body);
        let (read, _) = split(raw_of(&doc! { "_id": 1, "_critd": "odd" })).unwrap();
        assert_eq!(read, Own::default());
    }

    #[test]
    fn sort_texts_are_in_the_order_of_the_values() {
        let values = [
            Bson::Null,
            Bson::Double(f64::NEG_INFINITY),
            Bson::Int32(-5),
            Bson::Int64(7),
            Bson::Double(7.5),
            "".into(),
            "a".into(),
            "a\0".into(),
            "aa".into(),
            "z".into(),
            "\u{e4}".into(),
            "\u{ffff}".into(),
            "\u{1f600}".into(),
            bson::DateTime::from_millis(-1).into(),
            bson::DateTime::from_millis(1).into(),
        ];
        let texts: Vec<String> = values
            .iter()
            .map(|value| {
                let body = raw_of(&doc! { "a": { "b": [value.clone()] } });
                sort_text(body.as_bytes(), &FieldPath::parse("a.b").unwrap()).unwrap()
            })
            .collect();
        assert!(texts.is_sorted_by(|a, b| a < b), "{texts:?}");
    }

    #[test]
    fn sort_names_are_distinct_and_have_no_dots() {
        let names = ["a.b", "a/b", "a~1b", "a~0b", "a~b"]
            .map(|text| sort_name(&FieldPath::parse(text).unwrap()));
        assert_eq!(names, ["a/b", "a~1b", "a~01b", "a~00b", "a~0b"]);
    }
}
