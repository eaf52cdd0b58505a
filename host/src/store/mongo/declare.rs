//! Declaring collections: what is known of them, their indexes, and documents that were there before.
//!
//! A collection that the database does not have yet is only entered; it is made, with its indexes, before the first commit
//! that writes to it. A server has a hundred collections, most of them empty for long, and a database pays for each index.
//! No rule depends on an index: unique keys are kept by the store itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures_util::future::try_join_all;
use mongodb::error::Error;

use super::commands::{Change, Update, Writer};
use super::errors::{
    self, Trouble, is_duplicate, is_there_by_another_name, is_transient, is_unreachable,
};
use super::own;
use super::schema::Collection;
use super::{Shared, names};
use crate::store::draft::Draft;
use crate::store::path::FieldPath;
use crate::store::{CollectionSpec, Result, StoreError, apply};

/// Collections declared at a time.
const AT_ONCE: usize = 8;

/// Documents brought up to date at a time.
const BATCH: i64 = 200;

/// Batches without effect, after which it is given up: somebody else keeps changing the same documents.
const PATIENCE: u32 = 50;

/// When all processes know of a new declaration, and write by it.
const ALL_KNOW: Duration = Duration::from_secs(3);

impl Shared {
    fn trouble(&self, trouble: Trouble) -> StoreError {
        trouble.into_store(self.options.longest_query)
    }

    fn failed(&self, error: &Error) -> StoreError {
        errors::store_error(error, self.options.longest_query)
    }

    /// Takes over what other processes have declared.
    pub(super) async fn refresh_schema(&self) -> Result<()> {
        let mut cursor = self
            .database
            .collection::<Document>(names::COLLECTIONS)
            .find(doc! {})
            .await
            .map_err(|error| self.failed(&error))?;
        let mut found = Vec::new();
        while cursor
            .advance()
            .await
            .map_err(|error| self.failed(&error))?
        {
            let document = cursor
                .deserialize_current()
                .map_err(|error| self.failed(&error))?;
            found.push(described(&document)?);
        }
        let known = Arc::clone(&self.schema.read());
        let is_news = |collection: &Collection| {
            known
                .collections
                .get(&collection.name)
                .is_none_or(|known| known.version < collection.version)
        };
        if found.iter().any(is_news) {
            let mut schema = self.schema.write();
            let mut next = schema.collections.clone();
            for collection in found {
                let newer = next
                    .get(&collection.name)
                    .is_none_or(|known| known.version < collection.version);
                if newer {
                    next.insert(collection.name.clone(), Arc::new(collection));
                }
            }
            *schema = Arc::new(super::schema::Schema { collections: next });
        }
        Ok(())
    }

    /// Makes collections usable. Answers which unique keys are violated.
    pub(super) async fn declare(self: &Arc<Self>, specs: &[CollectionSpec]) -> Result<Vec<String>> {
        for spec in specs {
            apply::check_name(&spec.name)?;
        }
        self.refresh_schema().await?;
        let there: BTreeSet<String> = self
            .database
            .list_collection_names()
            .await
            .map_err(|error| self.failed(&error))?
            .into_iter()
            .collect();
        // Most of the time is the server's, which waits for its disk.
        let mut reports = Vec::new();
        for some in specs.chunks(AT_ONCE) {
            let declared = some.iter().map(|spec| self.declare_one(spec, &there));
            let done = try_join_all(declared).await?;
            reports.extend(done.into_iter().flatten());
        }
        self.refresh_schema().await?;
        Ok(reports)
    }

    async fn declare_one(
        self: &Arc<Self>,
        spec: &CollectionSpec,
        there: &BTreeSet<String>,
    ) -> Result<Vec<String>> {
        let (collection, changed) = self.enter(spec).await?;
        if !there.contains(&collection.name) {
            if changed {
                tokio::spawn(adopt_later(Arc::downgrade(self), collection.name));
            }
            return Ok(Vec::new());
        }
        let created = self.create(&collection).await;
        created.map_err(|trouble| self.trouble(trouble))?;
        let adopted = self.adopt(&collection).await?;
        let uncertain = changed || adopted > 0 || collection.keys.iter().any(|key| !key.enforced);
        let reports = if uncertain {
            self.check_keys(&collection).await?
        } else {
            Vec::new()
        };
        if changed {
            tokio::spawn(adopt_later(Arc::downgrade(self), collection.name));
        }
        Ok(reports)
    }

    /// Makes the collections that a commit writes to, those that are not known to be there.
    pub(super) async fn make_written(
        &self,
        names: impl Iterator<Item = &str>,
    ) -> Result<(), Trouble> {
        for name in names {
            if self.made.lock().contains(name) {
                continue;
            }
            // What was not declared is refused later, by name.
            let known = self.schema.read().collections.get(name).cloned();
            if let Some(collection) = known {
                self.create(&collection).await?;
            }
        }
        Ok(())
    }

    /// The collection as it is to be, and whether that is news.
    async fn enter(&self, spec: &CollectionSpec) -> Result<(Collection, bool)> {
        let known = self.schema.read().collections.get(&spec.name).cloned();
        if let Some(known) = known
            && known.declared(spec) == *known
        {
            return Ok((known.as_ref().clone(), false));
        }
        let handle = self.database.collection::<Document>(names::COLLECTIONS);
        loop {
            let known = handle
                .find_one(doc! { "_id": &spec.name })
                .await
                .map_err(|error| self.failed(&error))?;
            let current = match &known {
                Some(document) => described(document)?,
                None => Collection::blank(&spec.name),
            };
            let next = current.declared(spec);
            if next == current {
                return Ok((next, false));
            }
            let entered = match known {
                None => handle.insert_one(next.to_document()).await.map(|_| 1),
                Some(_) => handle
                    .replace_one(
                        doc! { "_id": &spec.name, "version": current.version },
                        next.to_document(),
                    )
                    .await
                    .map(|done| done.matched_count),
            };
            match entered {
                Ok(0) => {}
                Ok(_) => return Ok((next, true)),
                Err(error) if is_duplicate(&error) => {}
                Err(error) => return Err(self.failed(&error)),
            }
        }
    }

    /// Makes a collection and its indexes, whatever of them is not there yet.
    async fn create(&self, collection: &Collection) -> Result<(), Trouble> {
        self.create_indexes(collection).await?;
        self.made.lock().insert(collection.name.clone());
        Ok(())
    }

    async fn create_indexes(&self, collection: &Collection) -> Result<(), Trouble> {
        let handle = self.database.collection::<Document>(&collection.name);
        // Each by itself, so that one that exists under another name keeps none of the others away.
        let models = collection.index_models();
        if handle.create_indexes(models.clone()).await.is_ok() {
            return Ok(());
        }
        for model in models {
            match handle.create_index(model).await {
                Ok(_) => {}
                Err(error) if is_there_by_another_name(&error) => {}
                Err(error)
                    if errors::code_of(&error).is_some()
                        && !is_transient(&error)
                        && !is_unreachable(&error) =>
                {
                    return Err(StoreError::Unusable(format!(
                        "`{}` of the database can't have an index that critd needs: {}",
                        collection.name,
                        errors::said(&error)
                    ))
                    .into());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Works out what the store keeps in each document that lacks it or has it by another declaration. How many.
    async fn adopt(&self, collection: &Collection) -> Result<u64> {
        let (mut adopted, mut idle) = (0, 0);
        loop {
            let batch = self.strangers(collection).await?;
            if batch.is_empty() {
                return Ok(adopted);
            }
            let mut updates = Vec::new();
            for document in batch {
                updates.push(self.adoption(collection, document).await?);
            }
            let mut writer = Writer {
                database: &self.database,
                session: None,
            };
            let done = writer
                .update(&collection.name, updates)
                .await
                .map_err(|trouble| self.trouble(trouble))?;
            adopted += done;
            idle = if done == 0 { idle + 1 } else { 0 };
            if idle > PATIENCE {
                return Err(StoreError::Engine(format!(
                    "documents of `{}` can't be brought up to date: another program changes them all the time",
                    collection.name
                )));
            }
        }
    }

    async fn strangers(&self, collection: &Collection) -> Result<Vec<RawDocumentBuf>> {
        let mut projection = doc! { "_id": 1, own::FIELD: 1 };
        let keys = collection.keys.iter().flat_map(|key| &key.spec.fields);
        for path in keys.chain(&collection.sortable) {
            projection.insert(path.root(), 1);
        }
        if collection.classed {
            projection.insert("source", 1);
        }
        let mut cursor = self
            .database
            .collection::<RawDocumentBuf>(&collection.name)
            .find(doc! { own::FORM: { "$ne": collection.form } })
            .projection(projection)
            .limit(BATCH)
            .await
            .map_err(|error| self.failed(&error))?;
        let mut found = Vec::new();
        while cursor
            .advance()
            .await
            .map_err(|error| self.failed(&error))?
        {
            found.push(cursor.current().to_owned());
        }
        Ok(found)
    }

    /// Sets the field, if the document is still as it was read.
    async fn adoption(&self, collection: &Collection, document: RawDocumentBuf) -> Result<Update> {
        let id: Bson = match document.get("_id") {
            Ok(Some(id)) => Bson::try_from(id).unwrap_or(Bson::Null),
            _ => Bson::Null,
        };
        let damaged = |reason: String| StoreError::Damaged {
            collection: collection.name.clone(),
            id: id.to_string(),
            reason,
        };
        let (was, body) = own::split(document).map_err(|error| damaged(error.to_string()))?;
        let pairs = own::pairs_of(collection, &body).map_err(|error| damaged(error.to_string()))?;
        let class = self.class_of(collection, pairs).await?;
        let draft = Draft::stored(Arc::new(body.clone()));
        let field = own::whole(collection, &draft, &body, class, was.revision)
            .map_err(|error| damaged(error.to_string()))?;
        let revision = match was.form {
            Some(_) => Bson::Int64(was.revision.cast_signed()),
            None => doc! { "$exists": false }.into(),
        };
        Ok(Update {
            which: doc! { "_id": id, own::REVISION: revision },
            change: Change::Operators(doc! { "$set": { own::FIELD: field } }),
            upsert: false,
        })
    }

    /// Finds values of unique keys that several documents have, and stops or begins to enforce the keys.
    async fn check_keys(&self, collection: &Collection) -> Result<Vec<String>> {
        if collection.keys.is_empty() {
            return Ok(Vec::new());
        }
        let violated = self.violated(collection).await?;
        let mut next = collection.clone();
        let mut reports = Vec::new();
        for (number, key) in next.keys.iter_mut().enumerate() {
            key.enforced = !violated.contains_key(&number);
            if let Some((groups, first)) = violated.get(&number) {
                let fields: Vec<&str> = key.spec.fields.iter().map(FieldPath::as_str).collect();
                reports.push(apply::violation(
                    &collection.name,
                    *groups,
                    &fields.join(", "),
                    &first.to_hex(),
                ));
            }
        }
        if next != *collection {
            next.version += 1;
            let done = self
                .database
                .collection::<Document>(names::COLLECTIONS)
                .replace_one(
                    doc! { "_id": &collection.name, "version": collection.version },
                    next.to_document(),
                )
                .await
                .map_err(|error| self.failed(&error))?;
            if done.matched_count == 0 {
                tracing::debug!(collection = %collection.name, "another process has declared it meanwhile");
            }
        }
        Ok(reports)
    }

    /// By the number of the key: how many values, and the oldest document that has one of them.
    async fn violated(&self, collection: &Collection) -> Result<BTreeMap<usize, (u64, ObjectId)>> {
        let pipeline = [
            doc! { "$match": { own::KEYS: { "$exists": true } } },
            doc! { "$project": { "key": format!("${}", own::KEYS) } },
            doc! { "$unwind": "$key" },
            doc! { "$group": { "_id": "$key", "documents": { "$sum": 1 }, "first": { "$min": "$_id" } } },
            doc! { "$match": { "documents": { "$gt": 1 } } },
        ];
        let handle = self.database.collection::<Document>(&collection.name);
        let mut cursor = handle
            .aggregate(pipeline)
            .allow_disk_use(true)
            .await
            .map_err(|error| self.failed(&error))?;
        let mut doubled = Vec::new();
        while cursor
            .advance()
            .await
            .map_err(|error| self.failed(&error))?
        {
            let group = cursor
                .deserialize_current()
                .map_err(|error| self.failed(&error))?;
            if let (Some(Bson::Binary(digest)), Ok(first)) =
                (group.get("_id"), group.get_object_id("first"))
            {
                doubled.push((digest.bytes.clone(), first));
            }
        }
        let mut violated: BTreeMap<usize, (u64, ObjectId)> = BTreeMap::new();
        for (digest, first) in doubled {
            let Some(number) = self.key_with(collection, &digest, first).await? else {
                continue;
            };
            let entry = violated.entry(number).or_insert((0, first));
            entry.0 += 1;
            entry.1 = entry.1.min(first);
        }
        Ok(violated)
    }

    /// Which of the keys of a document has this digest.
    async fn key_with(
        &self,
        collection: &Collection,
        digest: &[u8],
        holder: ObjectId,
    ) -> Result<Option<usize>> {
        let document = self
            .database
            .collection::<RawDocumentBuf>(&collection.name)
            .find_one(doc! { "_id": holder })
            .await
            .map_err(|error| self.failed(&error))?;
        let Some(document) = document else {
            return Ok(None);
        };
        let draft = Draft::stored(Arc::new(document));
        for (number, key) in collection.keys.iter().enumerate() {
            let found = own::key_of(&draft, &key.spec).map_err(|error| {
                apply::damaged(
                    &crate::store::DocKey {
                        collection: collection.name.clone(),
                        id: holder,
                    },
                    error,
                )
            })?;
            if found.is_some_and(|found| found[..] == *digest) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }
}

fn described(document: &Document) -> Result<Collection> {
    Collection::of_document(document).ok_or_else(|| {
        StoreError::Engine(format!(
            "what the database says of the collection {} is damaged",
            document.get("_id").unwrap_or(&Bson::Null)
        ))
    })
}

/// Once more, for what others have written by the declaration before.
async fn adopt_later(shared: Weak<Shared>, name: String) {
    tokio::time::sleep(ALL_KNOW).await;
    let Some(shared) = shared.upgrade() else {
        return;
    };
    let collection = shared.schema.read().collections.get(&name).cloned();
    if let Some(collection) = collection
        && let Err(error) = shared.adopt(&collection).await
    {
        tracing::warn!(%error, collection = %name, "documents could not be brought up to date; the next start does it");
    }
}
