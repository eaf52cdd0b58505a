//! Requests that are carried out once however often they come: the header `Idempotency-Key`.
//!
//! What a keyed request was answered is stored in the commit that stores its changes, so that the two are there together or
//! not at all. A refusal changes nothing and is not kept: the request may be sent again.

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use super::{Settled, refusal};
use crate::plugins::value::Outcome;
use crate::plugins::work::Concerned;
use crate::plugins::{NotDone, Once};
use crate::store::{
    CollectionSpec, DocKey, FieldPath, Filter, IndexSpec, KeySpec, KeyValue, Result, Store,
    StoredDocument, Test, Write, WriteSet,
};

const COLLECTION: &str = "request_keys";
/// So long (ms) a key is honoured.
const HONOURED: i64 = 24 * 60 * 60 * 1000;
/// Keys that are forgotten in one commit.
const PAGE: u32 = 500;

pub(in crate::plugins) fn collection() -> CollectionSpec {
    CollectionSpec {
        name: COLLECTION.to_owned(),
        classed: false,
        administrative: false,
        keys: vec![KeySpec {
            fields: vec![FieldPath::literal("key")],
        }],
        indexes: vec![IndexSpec {
            path: FieldPath::literal("date"),
            sortable: false,
            searchable: false,
        }],
    }
}

/// What a store knows of a key.
pub(super) enum Known {
    /// The request was carried out: its answer.
    Answered(Settled),
    /// Nothing that counts; a record that has run out has to go when the key is used again.
    Nothing(Option<DocKey>),
}

/// Looks a key up.
///
/// # Errors
///
/// Refused: it came with another request. The store's.
pub(super) async fn known(store: &dyn Store, once: Once, now: i64) -> Result<Known, NotDone> {
    let key = KeyValue {
        collection: COLLECTION.to_owned(),
        parts: vec![(FieldPath::literal("key"), hex::encode(once.key).into())],
    };
    let Some(stored) = store.by_key(&key).await.map_err(NotDone::from)? else {
        return Ok(Known::Nothing(None));
    };
    let id = stored.id;
    let record = Record::read(&stored)
        .ok_or_else(|| NotDone::Internal(format!("the record {id} of a request can't be read")))?;
    if record.date < now - HONOURED {
        return Ok(Known::Nothing(Some(DocKey {
            collection: COLLECTION.to_owned(),
            id,
        })));
    }
    if record.request != hex::encode(once.request) {
        return Err(NotDone::Refused(refusal(
            "key_reused",
            "This Idempotency-Key came with another request before.".into(),
        )));
    }
    Ok(Known::Answered(record.settled))
}

/// Adds to a request's changes that it was carried out.
pub(super) fn note(
    changes: &mut WriteSet,
    once: Once,
    id: ObjectId,
    settled: &Settled,
    outdated: Option<DocKey>,
    now: i64,
) {
    changes
        .writes
        .extend(outdated.map(|document| Write::Remove { document }));
    let concerned = settled.concerned.as_ref().map(|concerned| {
        doc! { "type": &concerned.type_name, "id": concerned.id, "fresh": concerned.fresh }
    });
    changes.writes.push(Write::Insert {
        collection: COLLECTION.to_owned(),
        body: doc! {
            "_id": id, "schema_version": 1, "key": hex::encode(once.key), "request": hex::encode(once.request),
            "date": bson::DateTime::from_millis(now), "message": &settled.outcome.message, "extra": &settled.outcome.extra,
            "warnings": &settled.warnings, "concerned": concerned,
        },
    });
}

struct Record {
    request: String,
    date: i64,
    settled: Settled,
}

impl Record {
    fn read(stored: &StoredDocument) -> Option<Self> {
        let body = Document::try_from(stored.body.as_ref()).ok()?;
        let text = |name| body.get_str(name).ok().map(str::to_owned);
        let concerned = match body.get("concerned") {
            Some(Bson::Document(of)) => Some(Concerned {
                type_name: of.get_str("type").ok()?.to_owned(),
                id: of.get_object_id("id").ok()?,
                fresh: of.get_bool("fresh").ok()?,
            }),
            _ => None,
        };
        let warnings = body.get_array("warnings").ok()?;
        Some(Self {
            request: text("request")?,
            date: body.get_datetime("date").ok()?.timestamp_millis(),
            settled: Settled {
                outcome: Outcome {
                    document: None,
                    message: text("message")?,
                    extra: text("extra")?,
                },
                concerned,
                warnings: warnings
                    .iter()
                    .filter_map(Bson::as_str)
                    .map(str::to_owned)
                    .collect(),
                operations: None,
                changed: Vec::new(),
                is_repeated: true,
                made: Vec::new(),
            },
        })
    }
}

/// Removes the keys that are honoured no more at this time (ms). How many.
///
/// # Errors
///
/// The store's.
pub(in crate::plugins) async fn forget(store: &dyn Store, now: i64) -> Result<u64> {
    remove_before(store, COLLECTION, now - HONOURED).await
}

/// Removes the documents of a collection whose `date` is before a time (ms). How many.
///
/// # Errors
///
/// The store's.
pub(in crate::plugins) async fn remove_before(
    store: &dyn Store,
    collection: &str,
    time: i64,
) -> Result<u64> {
    let before = bson::DateTime::from_millis(time);
    let outdated = Filter::Field(FieldPath::literal("date"), Test::Lt(before.into()));
    let mut gone = 0;
    loop {
        let ids = store.select(collection, &outdated, None, PAGE).await?;
        if ids.is_empty() {
            return Ok(gone);
        }
        let before = gone;
        for id in ids {
            let document = DocKey {
                collection: collection.to_owned(),
                id,
            };
            let changes = WriteSet {
                writes: vec![Write::Remove { document }],
                ..WriteSet::default()
            };
            // Whoever else removed it, or used the key again, was faster.
            gone += u64::from(store.commit(changes).await.is_ok());
        }
        if gone == before {
            return Ok(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn once(key: u8) -> Once {
        Once {
            key: [key; 32],
            request: [7; 32],
        }
    }

    async fn carried_out(store: &dyn Store, key: u8, outdated: Option<DocKey>, now: i64) {
        let settled = Settled {
            outcome: Outcome {
                message: "made".to_owned(),
                ..Outcome::default()
            },
            concerned: None,
            warnings: vec!["careful".to_owned()],
            operations: None,
            changed: Vec::new(),
            is_repeated: false,
            made: Vec::new(),
        };
        let mut changes = WriteSet::default();
        note(
            &mut changes,
            once(key),
            ObjectId::new(),
            &settled,
            outdated,
            now,
        );
        store.commit(changes).await.unwrap();
    }

    #[tokio::test]
    async fn a_key_is_honoured_for_a_day_and_can_then_be_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::testing::open(folder.path()).await;
        let store = store.as_ref();
        store.declare(&[collection()]).await.unwrap();
        carried_out(store, 1, None, NOW).await;
        let known_at = async |now| match known(store, once(1), now).await.unwrap() {
            Known::Answered(settled) => {
                assert_eq!(settled.outcome.message, "made");
                assert_eq!(settled.warnings, ["careful"]);
                assert!(settled.is_repeated);
                None
            }
            Known::Nothing(outdated) => Some(outdated.expect("the record that has run out")),
        };
        assert_eq!(known_at(NOW + HONOURED).await, None);
        let outdated = known_at(NOW + HONOURED + 1).await.expect("run out");
        carried_out(store, 1, Some(outdated), NOW + HONOURED + 1).await;
        assert_eq!(known_at(NOW + HONOURED + 2).await, None);

        let other = Once {
            request: [8; 32],
            ..once(1)
        };
        let refused = known(store, other, NOW + HONOURED + 2).await;
        assert!(matches!(refused, Err(NotDone::Refused(_))));
    }

    #[tokio::test]
    async fn keys_that_are_honoured_no_more_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::testing::open(folder.path()).await;
        let store = store.as_ref();
        store.declare(&[collection()]).await.unwrap();
        for key in 0..5 {
            carried_out(store, key, None, NOW + i64::from(key)).await;
        }
        assert_eq!(forget(store, NOW + HONOURED).await.unwrap(), 0);
        assert_eq!(forget(store, NOW + HONOURED + 3).await.unwrap(), 3);
        let left = store
            .select(COLLECTION, &Filter::All, None, 10)
            .await
            .unwrap();
        assert_eq!(left.len(), 2);
    }
}
