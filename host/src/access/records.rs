//! Reading and changing administrative records: small documents with one unique name, changed by people.

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document};

use crate::store::{
    CollectionSpec, CommitError, DocKey, DocRead, FieldPath, Filter, KeyRead, KeySpec, KeyValue,
    Op, Store, StoreError, StoredDocument, Test, Write, WriteSet,
};

/// Why an administrative change or look-up was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// A rule forbids it, or what it names does not exist.
    #[error("{message}")]
    Refused {
        /// What is wrong, with which record.
        message: String,
        /// What to do next, if there is something to say.
        hint: Option<String>,
    },
    /// The operating system or the store failed.
    #[error("{0}")]
    Failed(String),
}

impl AdminError {
    /// A refusal without a hint.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
            hint: None,
        }
    }

    /// A refusal and what to do about it.
    pub(crate) fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<getrandom::Error> for AdminError {
    fn from(error: getrandom::Error) -> Self {
        Self::Failed(format!(
            "the operating system has no random numbers: {error}"
        ))
    }
}

/// Result of administrative operations.
pub type AdminResult<T> = Result<T, AdminError>;

/// Often enough for two people at two command lines; a server never gets here.
const ATTEMPTS: u32 = 20;

/// The specification of an administrative collection whose records have a unique name in `key`.
pub(crate) fn named(collection: &str, key: &'static str) -> CollectionSpec {
    CollectionSpec {
        name: collection.to_owned(),
        classed: false,
        administrative: true,
        keys: vec![KeySpec {
            fields: vec![FieldPath::literal(key)],
        }],
        indexes: Vec::new(),
    }
}

pub(crate) fn key(collection: &str, field: &'static str, value: &str) -> KeyValue {
    KeyValue {
        collection: collection.to_owned(),
        parts: vec![(FieldPath::literal(field), Bson::from(value))],
    }
}

/// A record by its name.
pub(crate) async fn find(
    store: &dyn Store,
    collection: &str,
    field: &'static str,
    value: &str,
) -> AdminResult<Option<(StoredDocument, Document)>> {
    let Some(stored) = store.by_key(&key(collection, field, value)).await? else {
        return Ok(None);
    };
    let body = decode(collection, &stored)?;
    Ok(Some((stored, body)))
}

fn decode(collection: &str, stored: &StoredDocument) -> Result<Document, StoreError> {
    Document::try_from(stored.body.as_ref()).map_err(|error| StoreError::Damaged {
        collection: collection.to_owned(),
        id: stored.id.to_hex(),
        reason: error.to_string(),
    })
}

/// All records, oldest `_id` first; damaged ones are logged and left out.
pub(crate) async fn all(store: &dyn Store, collection: &str) -> Result<Vec<Document>, StoreError> {
    const PAGE: u32 = 1_000;
    let mut records = Vec::new();
    let mut after = None;
    loop {
        let ids = store.select(collection, &Filter::All, after, PAGE).await?;
        for stored in store.get_many(collection, &ids).await? {
            match decode(collection, &stored) {
                Ok(body) => records.push(body),
                Err(error) => tracing::error!(%error, "an administrative record is left out"),
            }
        }
        match ids.last() {
            Some(last) if ids.len() == PAGE as usize => after = Some(*last),
            _ => return Ok(records),
        }
    }
}

/// Adds a record that must not exist yet. False: there is one of this name.
pub(crate) async fn insert(
    store: &dyn Store,
    collection: &str,
    field: &'static str,
    name: &str,
    mut body: Document,
) -> AdminResult<bool> {
    let key = key(collection, field, name);
    body.insert("_id", ObjectId::new());
    for _ in 0..ATTEMPTS {
        // Looked up first: in a database with duplicates the store does not enforce the key.
        if store.by_key(&key).await?.is_some() {
            return Ok(false);
        }
        let changes = WriteSet {
            keys: vec![KeyRead {
                key: key.clone(),
                holder: None,
            }],
            writes: vec![Write::Insert {
                collection: collection.to_owned(),
                body: body.clone(),
            }],
            ..WriteSet::default()
        };
        match store.commit(changes).await {
            Ok(()) => return Ok(true),
            Err(CommitError::Conflict(_) | CommitError::Duplicate { .. }) => {}
            Err(error) => return Err(AdminError::Failed(error.to_string())),
        }
    }
    Err(contended(name))
}

/// Adds records that are known to be new, as one change.
pub(crate) async fn insert_all(
    store: &dyn Store,
    collection: &str,
    bodies: impl Iterator<Item = Document>,
) -> AdminResult<()> {
    let writes = bodies
        .map(|mut body| {
            body.insert("_id", ObjectId::new());
            Write::Insert {
                collection: collection.to_owned(),
                body,
            }
        })
        .collect();
    store
        .commit(WriteSet {
            writes,
            ..WriteSet::default()
        })
        .await
        .map_err(|error| AdminError::Failed(error.to_string()))
}

/// Sets `value` of the records with these names, making those that are missing, as one change.
pub(crate) async fn put_values(
    store: &dyn Store,
    collection: &str,
    values: impl IntoIterator<Item = (&'static str, Bson)> + Clone,
) -> AdminResult<()> {
    for _ in 0..ATTEMPTS {
        let mut changes = WriteSet::default();
        for (name, value) in values.clone() {
            let key = key(collection, "name", name);
            let stored = store.by_key(&key).await?;
            changes.writes.push(match &stored {
                Some(stored) => Write::Change {
                    document: DocKey {
                        collection: collection.to_owned(),
                        id: stored.id,
                    },
                    operations: vec![Op::Set(FieldPath::literal("value"), value)],
                },
                None => Write::Insert {
                    collection: collection.to_owned(),
                    body: bson::doc! { "_id": ObjectId::new(), "name": name, "value": value },
                },
            });
            changes.keys.push(KeyRead {
                key,
                holder: stored.map(|stored| stored.id),
            });
        }
        match store.commit(changes).await {
            Ok(()) => return Ok(()),
            Err(CommitError::Conflict(_) | CommitError::Duplicate { .. }) => {}
            Err(error) => return Err(AdminError::Failed(error.to_string())),
        }
    }
    Err(contended(collection))
}

/// Changes a record: `decide` sees it as it is and says what to do; it is asked again if the record changes meanwhile.
/// None: there is no such record.
pub(crate) async fn change<T>(
    store: &dyn Store,
    collection: &str,
    field: &'static str,
    name: &str,
    mut decide: impl FnMut(&Document) -> AdminResult<(Vec<Op>, T)>,
) -> AdminResult<Option<T>> {
    for _ in 0..ATTEMPTS {
        let Some((stored, body)) = find(store, collection, field, name).await? else {
            return Ok(None);
        };
        let (operations, answer) = decide(&body)?;
        if operations.is_empty() {
            return Ok(Some(answer));
        }
        let document = DocKey {
            collection: collection.to_owned(),
            id: stored.id,
        };
        let changes = WriteSet {
            // The whole record counts as read, so that a rule checked by `decide` still holds at commit.
            documents: vec![DocRead {
                document: document.clone(),
                revision: Some(stored.revision),
                values: body
                    .iter()
                    .filter_map(|(root, value)| {
                        Some((FieldPath::parse(root).ok()?, Some(value.clone())))
                    })
                    .collect(),
                searches: Vec::new(),
            }],
            writes: vec![Write::Change {
                document,
                operations,
            }],
            ..WriteSet::default()
        };
        match store.commit(changes).await {
            Ok(()) => return Ok(Some(answer)),
            Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(AdminError::Failed(error.to_string())),
        }
    }
    Err(contended(name))
}

fn contended(name: &str) -> AdminError {
    AdminError::with_hint(
        format!("`{name}` is being changed by somebody else all the time; nothing was changed"),
        "try again",
    )
}

/// Removes a record.
pub(crate) async fn remove(
    store: &dyn Store,
    collection: &str,
    id: ObjectId,
) -> Result<(), CommitError> {
    let document = DocKey {
        collection: collection.to_owned(),
        id,
    };
    store
        .commit(WriteSet {
            writes: vec![Write::Remove { document }],
            ..WriteSet::default()
        })
        .await
}

/// Marks the users that a condition finds, so that the original server rebuilds what it caches of their rights
/// (documents 6.1 A1). Users that never had such a cache are left alone.
pub(crate) async fn mark_stale(store: &dyn Store, users: Filter) -> AdminResult<()> {
    let cached = Filter::And(vec![
        users,
        Filter::Field(FieldPath::literal("acl"), Test::Exists(true)),
    ]);
    let mut after = None;
    loop {
        let ids = store.select("users", &cached, after, 1_000).await?;
        let Some(last) = ids.last() else {
            return Ok(());
        };
        after = Some(*last);
        let writes = ids
            .iter()
            .map(|id| Write::Change {
                document: DocKey {
                    collection: "users".to_owned(),
                    id: *id,
                },
                operations: vec![Op::Set(
                    FieldPath::literal("acl_needs_update"),
                    Bson::Boolean(true),
                )],
            })
            .collect();
        store
            .commit(WriteSet {
                writes,
                ..WriteSet::default()
            })
            .await
            .map_err(|error| AdminError::Failed(error.to_string()))?;
    }
}

/// A boolean as documents 1.2 accepts it: a boolean, or a number that is not 0.
pub(crate) fn truth(value: &Bson) -> bool {
    match value {
        Bson::Boolean(flag) => *flag,
        Bson::Int32(number) => *number != 0,
        Bson::Int64(number) => *number != 0,
        Bson::Double(number) => *number != 0.0,
        _ => false,
    }
}

/// Is the field this text?
pub(crate) fn has_text(record: &Document, field: &str, text: &str) -> bool {
    record.get_str(field).is_ok_and(|value| value == text)
}

/// Ms since 1970.
pub(crate) fn now() -> i64 {
    DateTime::now().timestamp_millis()
}
