//! The end of a transaction: what was read, what is written, audit entries, counters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc, rawdoc};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::documents::draft_failed;
use super::fields;
use super::rules::{date, invalid, refused, within};
use super::{Open, Work, internal, store_failed};
use crate::plugins::declaration::{FieldKind, TypeDeclaration};
use crate::plugins::value::{Failure, bson_to_json};
use crate::store::draft::DraftError;
use crate::store::{
    CollectionSpec, DocKey, DocRead, Draft, FieldPath, IndexSpec, KeyRead, KeySpec, KeyValue, Op,
    Write, WriteSet,
};

/// Who did what (documents.md 6.3).
/// Collection of the audit log.
pub(crate) const AUDIT: &str = "audit_log";
/// Lists whose values are counted by type: field, collection, `schema_version` of the counters.
const COUNTED: [(&str, &str, i32); 2] = [
    ("bucket_list", "bucket_lists", 2),
    ("sectors", "sector_lists", 1),
];

/// The collections that transactions write besides those of the types. They must be declared to the store.
#[must_use]
pub fn collections() -> Vec<CollectionSpec> {
    let counters = COUNTED.iter().map(|(_, collection, _)| CollectionSpec {
        name: (*collection).to_owned(),
        classed: false,
        administrative: false,
        keys: vec![KeySpec {
            fields: vec![FieldPath::literal("name")],
        }],
        indexes: Vec::new(),
    });
    let audit = CollectionSpec {
        name: AUDIT.to_owned(),
        classed: false,
        administrative: false,
        keys: Vec::new(),
        indexes: vec![IndexSpec {
            path: FieldPath::literal("target_id"),
            sortable: false,
            searchable: false,
        }],
    };
    counters
        .chain([audit, super::notify::collection()])
        .collect()
}

/// How often a value came and went: (collection, value, type) → difference.
type Counts = BTreeMap<(&'static str, String, String), i64>;

impl Work {
    /// The effective writes so far as the examples of declarations write them: `{"push": [path, value]}`,
    /// `{"set": [path, value]}`, `{"unset": [path]}`, `{"pull": [path, condition, how many]}`. Without what the host adds
    /// at the end. `of` names the type when it is not the subject of the action.
    #[must_use]
    pub fn operations(&self) -> Vec<Json> {
        let mut operations = self.operations_from(0);
        let removed = self.documents.iter().filter(|document| document.removed);
        let removed = removed.map(|document| {
            json!({ "remove": [bson_to_json(&document.id.into())], "of": document.of.declaration.name })
        });
        let registered = self
            .registered
            .iter()
            .map(|(register, name)| json!({ "register": [register.name(), name] }));
        operations.extend(removed.chain(registered));
        operations
    }

    /// The same, of what was written from a position of the log on.
    pub(super) fn operations_from(&self, first: usize) -> Vec<Json> {
        let subject = self.frames.first().and_then(|frame| frame.subject);
        let written = self.log.iter().skip(first).map(|entry| {
            let (name, mut operands) = match &entry.operation {
                Op::Set(path, value) => ("set", vec![json!(path.as_str()), bson_to_json(value)]),
                Op::Unset(path) => ("unset", vec![json!(path.as_str())]),
                Op::Push(path, value) | Op::PushUnique { path, value, .. } => {
                    ("push", vec![json!(path.as_str()), bson_to_json(value)])
                }
                Op::Pull { path, removed, .. } => {
                    ("pull", vec![json!(path.as_str()), json!(removed)])
                }
                Op::Increment(path, by) => ("increment", vec![json!(path.as_str()), json!(by)]),
            };
            if let Some(condition) = &entry.condition {
                operands.insert(1, serde_json::from_str(condition).unwrap_or_default());
            }
            let mut operation = serde_json::Map::new();
            operation.insert(name.to_owned(), Json::Array(operands));
            if subject != Some(entry.document) {
                operation.insert(
                    "of".into(),
                    json!(self.documents[entry.document].of.declaration.name),
                );
            }
            Json::Object(operation)
        });
        written.collect()
    }

    /// Everything read and to be written, with audit entries and bucket counters; consumes the transaction.
    ///
    /// # Errors
    ///
    /// A rule on the result does not hold: a new document of a restricted type without a source, a required field that
    /// is lacking, a hidden document that got no source, a source instance that the caller may not write.
    pub async fn into_write_set(mut self) -> Result<WriteSet, Failure> {
        let mut set = WriteSet::default();
        let mut counts = Counts::new();
        // Of several POSTs each has noted its own.
        let of_items = std::mem::take(&mut self.audited);
        let mut audited = Vec::new();
        for (index, operations) in self.operations_by_document().into_iter().enumerate() {
            if self.documents[index].withdrawn {
                continue;
            }
            if self.documents[index].removed {
                let removal = self.removal(index)?;
                set.writes.extend(removal);
                continue;
            }
            // What each of several POSTs leaves behind was looked at when it was done.
            if of_items.is_empty() {
                self.check_result(index)?;
            }
            let document = &self.documents[index];
            let of = &document.of.declaration;
            match document.revision {
                None => {
                    let body = document
                        .draft
                        .to_raw_ranked(|name| rank(of, name))
                        .map_err(draft_failed)?;
                    set.writes.push(Write::Make {
                        document: DocKey {
                            collection: of.collection.clone(),
                            id: document.id,
                        },
                        body: Arc::new(body),
                    });
                    audited.push((index, "new document".to_owned()));
                }
                Some(_)
                    if operations.is_empty() || leaves_all_as_it_was(document, &operations)? =>
                {
                    continue;
                }
                Some(_) => {
                    let changed = self.change(index, operations)?;
                    set.writes.push(changed);
                    audited.push((index, self.documents[index].draft.changed_roots().join(",")));
                }
            }
            count(&self.documents[index], &mut counts)?;
        }
        if !of_items.is_empty() {
            audited = of_items;
        }
        for (index, value) in audited {
            let entry = self.audit_entry(index, "save()", &value);
            set.writes.push(entry);
            set.writes.extend(self.notifications(index, &value)?);
        }
        self.add_registered(&mut set);
        self.add_counters(counts, &mut set).await?;
        set.documents = self.reads();
        set.keys.append(&mut self.keys);
        set.selections = self.selections;
        Ok(set)
    }

    /// What was written to each document that was there before.
    fn operations_by_document(&self) -> Vec<Vec<Op>> {
        let mut operations = vec![Vec::new(); self.documents.len()];
        for entry in &self.log {
            if self.documents[entry.document].revision.is_some() {
                operations[entry.document].push(entry.operation.clone());
            }
        }
        operations
    }

    /// Everything read and nothing to be written: whether a fault of the handler still holds. Consumes the transaction.
    #[must_use]
    pub fn into_read_set(mut self) -> WriteSet {
        WriteSet {
            documents: self.reads(),
            keys: std::mem::take(&mut self.keys),
            selections: self.selections,
            writes: Vec::new(),
        }
    }

    /// Operations on an existing document, and `modified` (ACT-16), but not for what a POST merely relates to
    /// (documents.md L6).
    fn change(&self, index: usize, mut operations: Vec<Op>) -> Result<Write, Failure> {
        let document = &self.documents[index];
        let of = &document.of.declaration;
        let version = FieldPath::literal("schema_version");
        if document
            .draft
            .get(&version)
            .map_err(draft_failed)?
            .is_none()
        {
            // A stub that a batch job left (documents.md 3.5): it becomes a document like any other.
            for (name, value) in self.initial(of, document.id, None)? {
                let path = FieldPath::parse(name).map_err(|error| internal(error.to_string()))?;
                if name != "_id" && document.draft.get(&path).map_err(draft_failed)?.is_none() {
                    operations.push(Op::Set(path, value));
                }
            }
        }
        let for_its_own_sake = self
            .log
            .iter()
            .any(|entry| entry.document == index && !entry.partner);
        if document.has_modified() && for_its_own_sake {
            let moved = document.moved.unwrap_or(self.now);
            operations.push(Op::Set(FieldPath::literal("modified"), date(moved)));
        }
        let key = DocKey {
            collection: of.collection.clone(),
            id: document.id,
        };
        Ok(Write::Change {
            document: key,
            operations,
        })
    }

    /// The document goes; what its audit entry names is its natural key.
    fn removal(&mut self, index: usize) -> Result<[Write; 2], Failure> {
        let document = &self.documents[index];
        let of = &document.of.declaration;
        let name = match &of.lookup {
            None => String::new(),
            Some(field) => {
                let path = FieldPath::parse(field).map_err(|error| internal(error.to_string()))?;
                match document.draft.get(&path).map_err(draft_failed)? {
                    Some(Bson::String(name)) => name,
                    _ => String::new(),
                }
            }
        };
        let document = DocKey {
            collection: of.collection.clone(),
            id: document.id,
        };
        let entry = self.audit_entry(index, "delete()", &name);
        Ok([Write::Remove { document }, entry])
    }

    fn audit_entry(&mut self, index: usize, method: &str, value: &str) -> Write {
        let id = self.new_id();
        let document = &self.documents[index];
        let body = rawdoc! {
            "_id": id, "schema_version": 1, "user": self.user(), "type": document.of.declaration.name.as_str(),
            "target_id": document.id, "value": value, "method": method, "date": DateTime::from_millis(self.now),
        };
        Write::Make {
            document: DocKey {
                collection: AUDIT.to_owned(),
                id,
            },
            body: Arc::new(body),
        }
    }

    fn reads(&mut self) -> Vec<DocRead> {
        let opened = self.documents.iter_mut().filter_map(|document| {
            Some(DocRead {
                document: DocKey {
                    collection: document.of.declaration.collection.clone(),
                    id: document.id,
                },
                revision: Some(document.revision?),
                values: std::mem::take(&mut document.reads).into_iter().collect(),
                searches: std::mem::take(&mut document.searches),
            })
        });
        let absent = self.absent.iter().map(|(collection, id)| DocRead {
            document: DocKey {
                collection: collection.clone(),
                id: *id,
            },
            revision: None,
            values: Vec::new(),
            searches: Vec::new(),
        });
        opened.chain(absent).collect()
    }

    /// Rules on the result of all calls.
    pub(super) fn check_result(&self, index: usize) -> Result<(), Failure> {
        let document = &self.documents[index];
        let of = &document.of.declaration;
        if document.hidden && document.claimed && !document.source_added {
            return Err(internal(format!(
                "a `{}` that the user may not see was left without a source of the user's",
                of.name
            )));
        }
        if document.revision.is_none() {
            if of.sources
                && document
                    .draft
                    .is_empty(&FieldPath::literal("source"))
                    .map_err(draft_failed)?
            {
                return Err(invalid("source", "Missing source information."));
            }
            for field in of.fields.iter().filter(|field| field.required) {
                let path = FieldPath::parse(field.stored_name())
                    .map_err(|error| internal(error.to_string()))?;
                if document.draft.get(&path).map_err(draft_failed)?.is_none() {
                    return Err(internal(format!(
                        "a new `{}` lacks the required field `{path}`",
                        of.name
                    )));
                }
            }
        }
        if of.sources
            && self
                .log
                .iter()
                .any(|entry| entry.document == index && entry.operation.path().root() == "source")
        {
            self.check_sources(document)?;
        }
        Ok(())
    }

    /// Rule S6 for what a plugin wrote into `source` itself: no source may gain instances that the caller may not write.
    fn check_sources(&self, document: &Open) -> Result<(), Failure> {
        let before = instances(&Draft::stored(document.draft.base().clone()))?;
        for (source, count) in instances(&document.draft)? {
            let gained = before.get(&source).is_none_or(|before| count > *before);
            if gained && !self.request.caller.rights.may_write(&source) {
                return Err(refused(
                    "forbidden",
                    format!("User does not have permission to add object using source {source}."),
                ));
            }
        }
        Ok(())
    }

    /// Counters of buckets and sectors (documents.md 5.3). They never make two requests wait for each other: an existing
    /// counter is incremented whatever it is, only two that make the same new one meet, and then one runs again.
    async fn add_counters(&mut self, counts: Counts, set: &mut WriteSet) -> Result<(), Failure> {
        let store = self.request.services.store.clone();
        let mut fresh: BTreeMap<(&'static str, String), Document> = BTreeMap::new();
        let mut absent: BTreeSet<(&'static str, String)> = BTreeSet::new();
        for ((collection, value, type_name), difference) in counts {
            if difference == 0 {
                continue;
            }
            let of_value = (collection, value.clone());
            let key = KeyValue {
                collection: collection.to_owned(),
                parts: vec![(FieldPath::literal("name"), value.as_str().into())],
            };
            if !absent.contains(&of_value) {
                if let Some(counter) = store
                    .by_key(&key)
                    .await
                    .map_err(|error| store_failed(&error))?
                {
                    let path = FieldPath::parse(&type_name)
                        .map_err(|error| internal(error.to_string()))?;
                    let document = DocKey {
                        collection: collection.to_owned(),
                        id: counter.id,
                    };
                    set.writes.push(Write::Change {
                        document,
                        operations: vec![Op::Increment(path, difference)],
                    });
                    continue;
                }
                self.keys.push(KeyRead { key, holder: None });
                absent.insert(of_value.clone());
            }
            if difference < 0 {
                continue;
            }
            let body = fresh
                .entry(of_value)
                .or_insert_with(|| self.new_counter(collection, &value));
            body.insert(type_name, i32::try_from(difference).unwrap_or(i32::MAX));
        }
        let inserts = fresh
            .into_iter()
            .map(|((collection, _), body)| Write::Insert {
                collection: collection.to_owned(),
                body,
            });
        set.writes.extend(inserts);
        Ok(())
    }

    fn new_counter(&self, collection: &str, value: &str) -> Document {
        let version = COUNTED
            .iter()
            .find(|(_, name, _)| *name == collection)
            .map_or(1, |(_, _, version)| *version);
        let mut body =
            doc! { "_id": counter_id(collection, value), "schema_version": version, "name": value };
        for entry in self
            .request
            .registry
            .types()
            .filter(|entry| entry.declaration.top_level)
        {
            body.insert(&entry.declaration.name, 0);
        }
        body
    }
}

/// The same id wherever a counter is made, so that there is one of each even without a unique key.
fn counter_id(collection: &str, value: &str) -> ObjectId {
    let digest = Sha256::new()
        .chain_update(collection)
        .chain_update([0])
        .chain_update(value)
        .finalize();
    let mut bytes = [0; 12];
    bytes.copy_from_slice(&digest[..12]);
    ObjectId::from_bytes(bytes)
}

impl Open {
    /// Does its type keep the time of the last change?
    pub(super) fn has_modified(&self) -> bool {
        let of = &self.of.declaration;
        let mut fields = of.fields.iter();
        of.top_level || fields.any(|field| field.stored_name() == "modified")
    }
}

/// Instances by source, those of an entry without a name under the empty one. Counted without decoding them: there may be
/// thousands.
fn instances(draft: &Draft) -> Result<BTreeMap<String, usize>, Failure> {
    // What is no list has no elements; damage is an error.
    let count = |list: &FieldPath| match draft.len(list) {
        Err(DraftError::NotAList(_)) => Ok(0),
        counted => counted.map_err(draft_failed),
    };
    let mut counts = BTreeMap::new();
    let list = FieldPath::literal("source");
    for position in 0..count(&list)? {
        let entry = within(&list, position)?;
        let name = match draft.get(&within(&entry, "name")?).map_err(draft_failed)? {
            Some(Bson::String(name)) => name,
            _ => String::new(),
        };
        *counts.entry(name).or_default() += count(&within(&entry, "instances")?)?;
    }
    Ok(counts)
}

/// A field that was set to something else and back is no change (ACT-18).
pub(super) fn leaves_all_as_it_was(document: &Open, operations: &[Op]) -> Result<bool, Failure> {
    if !operations
        .iter()
        .all(|operation| matches!(operation, Op::Set(..) | Op::Unset(_)))
    {
        return Ok(false);
    }
    let before = Draft::stored(document.draft.base().clone());
    for root in document.draft.changed_roots() {
        let path = FieldPath::parse(&root).map_err(|error| internal(error.to_string()))?;
        if before.get(&path).map_err(draft_failed)?
            != document.draft.get(&path).map_err(draft_failed)?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn count(document: &Open, counts: &mut Counts) -> Result<(), Failure> {
    let before = Draft::stored(document.draft.base().clone());
    for (field, collection, _) in COUNTED {
        if !document.draft.has_changed(field) {
            continue;
        }
        let path = FieldPath::literal(field);
        let texts = |draft: &Draft| -> Result<BTreeSet<String>, Failure> {
            let Some(Bson::Array(values)) = draft.get(&path).map_err(draft_failed)? else {
                return Ok(BTreeSet::new());
            };
            Ok(values
                .iter()
                .filter_map(Bson::as_str)
                .map(str::to_owned)
                .collect())
        };
        let (before, after) = (texts(&before)?, texts(&document.draft)?);
        let mut add = |value: &String, by: i64| {
            let key = (
                collection,
                value.clone(),
                document.of.declaration.name.clone(),
            );
            *counts.entry(key).or_default() += by;
        };
        after.difference(&before).for_each(|value| add(value, 1));
        before.difference(&after).for_each(|value| add(value, -1));
    }
    Ok(())
}

/// Where in a new document a field goes: what lists look at first, big texts last.
fn rank(of: &TypeDeclaration, name: &str) -> usize {
    let own = of.fields.iter().find(|field| field.stored_name() == name);
    let is_key = of.keys.iter().flatten().any(|part| part == name);
    match name {
        "_id" => 0,
        "schema_version" => 1,
        _ if is_key => 2,
        "created" | "modified" | "status" | "tlp" => 3,
        "source" => 5,
        "description" => 9,
        "unsupported_attrs" => 10,
        _ => match own {
            Some(field) if field.indexed || field.sortable => 4,
            Some(field)
                if matches!(
                    field.kind,
                    FieldKind::Int
                        | FieldKind::Num
                        | FieldKind::Bool
                        | FieldKind::Date
                        | FieldKind::Id
                        | FieldKind::File
                ) =>
            {
                4
            }
            Some(field) if matches!(field.kind, FieldKind::List | FieldKind::Map) => 6,
            Some(_) => 8,
            None if fields::LISTS.contains(&name) => 7,
            None => 6,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn s6_instances_are_counted_for_every_entry() {
        let body = doc! {"source": [
            {"name": "A", "instances": [{"n": 1}, {"n": 2}]}, {"instances": [{"n": 3}]}, {"name": "A", "instances": [{"n": 4}]},
            {"name": "B", "instances": "odd"}, 5,
        ]};
        let raw = bson::RawDocumentBuf::try_from(&body).unwrap();
        let counted = instances(&Draft::stored(Arc::new(raw))).unwrap();
        // A nameless entry must not pass the check of who may write a source.
        let expected = [("", 1), ("A", 3), ("B", 0)].map(|(name, count)| (name.to_owned(), count));
        assert_eq!(counted, BTreeMap::from(expected));
        let none = bson::RawDocumentBuf::try_from(&doc! {"source": "odd"}).unwrap();
        assert!(
            instances(&Draft::stored(Arc::new(none)))
                .unwrap()
                .is_empty()
        );
    }
}
