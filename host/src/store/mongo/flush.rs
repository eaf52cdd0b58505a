//! Writes the documents of a group, and what makes other transactions meet it.
//!
//! ```text
//! document that was only read   $inc _critd.guard
//! id that was absent            a document of this id is made and removed again
//! unique key                    $inc a document of critd.guards, by a part of the key's digest: whoever read it and
//!                               writes, and whoever takes or loses it
//! selection                     $inc all lanes of the collection in critd.guards; whoever writes to the collection
//!                               does so with the lane of its process
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bson::{Bson, Document, RawDocumentBuf, doc};
use sha2::{Digest, Sha256};

use super::commands::{Change, Update, Writer};
use super::errors::{Trouble, is_duplicate};
use super::group::{Group, Held, Place};
use super::own;
use super::schema::Collection;
use super::{LANES, Revisions, names};
use crate::store::admission::Documents;
use crate::store::apply::{damaged, impossible};
use crate::store::class::ClassId;
use crate::store::draft::{Draft, DraftError};
use crate::store::write::{CommitError, DocKey};

/// Bits of a digest that choose the guard of a unique key: so many that two keys rarely share one, so few that the
/// guards take little room.
const KEY_GUARD_BITS: u32 = 20;

/// What is known after the writes, to be published after the commit.
pub(super) struct Outcome {
    /// Commits to administrative collections, this one counted.
    pub(super) administrative: Option<u64>,
}

/// Writes to one collection.
#[derive(Default)]
struct Batch {
    inserts: Vec<RawDocumentBuf>,
    updates: Vec<Update>,
    deletes: Vec<Document>,
}

impl Group<'_> {
    pub(super) async fn flush(mut self, revisions: &mut Revisions) -> Result<Outcome, Trouble> {
        let mut batches: BTreeMap<String, Batch> = BTreeMap::new();
        let documents = std::mem::take(&mut self.documents);
        let dirty: Vec<(&DocKey, &Held)> = documents.changed().collect();
        let administrative = dirty.iter().any(|(_, held)| held.collection.administrative);
        let mut lanes: BTreeSet<(String, u32)> = BTreeSet::new();
        let above = dirty
            .iter()
            .filter_map(|(_, held)| held.before.as_ref().map(|before| before.revision))
            .max()
            .unwrap_or_default();
        let mut revision = revisions
            .take(self.look.shared, dirty.len() as u64, above)
            .await?;
        for (document, held) in dirty {
            lanes.insert((document.collection.clone(), self.look.shared.lane));
            let batch = batches.entry(document.collection.clone()).or_default();
            let which = doc! { "_id": document.id };
            let Some(draft) = &held.draft else {
                if held.before.is_some() {
                    batch.deletes.push(which);
                }
                continue;
            };
            let body = draft.to_raw();
            let pairs =
                own::pairs_of(&held.collection, &body).map_err(|error| damaged(document, error))?;
            let class = self.look.shared.class_of(&held.collection, pairs).await?;
            let field = field(document, &held.collection, draft, &body, class, revision)?;
            revision += 1;
            match &held.before {
                Some(before) if Arc::ptr_eq(&before.body, draft.base()) => {
                    let operators =
                        operators(draft, field).map_err(|error| damaged(document, error))?;
                    batch.updates.push(Update {
                        which,
                        change: Change::Operators(operators),
                        upsert: false,
                    });
                }
                before => {
                    let whole =
                        own::join(&body, &field).map_err(|error| damaged(document, error))?;
                    if before.is_some() {
                        // Removed and made anew within the group.
                        batch.updates.push(Update {
                            which,
                            change: Change::Whole(whole),
                            upsert: false,
                        });
                    } else {
                        batch.inserts.push(whole);
                    }
                }
            }
        }
        let absent = self.guard_documents(&documents, &mut batches);
        for collection in &self.guards.selections {
            lanes.extend((0..LANES).map(|lane| (collection.clone(), lane)));
        }
        let guards = guard_updates(self.guards.keys.union(&self.moved_keys), &lanes);
        self.write(batches, absent, guards).await?;
        let administrative = if administrative {
            Some(self.count_administrative().await?)
        } else {
            None
        };
        Ok(Outcome { administrative })
    }

    /// Guards of documents that were read and are not written anyway. Answers the ids that must stay absent.
    fn guard_documents(
        &self,
        documents: &Documents<Collection, ()>,
        batches: &mut BTreeMap<String, Batch>,
    ) -> Vec<DocKey> {
        let mut absent = Vec::new();
        for document in &self.guards.documents {
            // What comes and goes within the group is not written.
            let is_written =
                |held: &Held| held.dirty && (held.before.is_some() || held.draft.is_some());
            let Some(held) = documents.get(document).filter(|held| !is_written(held)) else {
                continue;
            };
            if held.before.is_none() {
                absent.push(document.clone());
                continue;
            }
            let batch = batches.entry(document.collection.clone()).or_default();
            batch.updates.push(Update {
                which: doc! { "_id": document.id },
                change: Change::Operators(doc! { "$inc": { own::GUARD: 1_i64 } }),
                upsert: false,
            });
        }
        absent
    }

    async fn write(
        &mut self,
        batches: BTreeMap<String, Batch>,
        absent: Vec<DocKey>,
        guards: Vec<Update>,
    ) -> Result<(), Trouble> {
        let mut writer = Writer {
            database: &self.look.shared.database,
            session: Some(&mut *self.look.session),
        };
        for (collection, batch) in batches {
            let wanted = batch.updates.len() as u64;
            if writer.update(&collection, batch.updates).await? != wanted {
                return Err(Trouble::Again("a document has gone"));
            }
            writer.delete(&collection, batch.deletes).await?;
            insert(&mut writer, &collection, &batch.inserts).await?;
        }
        for document in absent {
            let made = RawDocumentBuf::try_from(&doc! { "_id": document.id })
                .map_err(mongodb::error::Error::from)?;
            insert(&mut writer, &document.collection, &[made]).await?;
            let which = vec![doc! { "_id": document.id }];
            writer.delete(&document.collection, which).await?;
        }
        writer.update(names::GUARDS, guards).await?;
        Ok(())
    }

    async fn count_administrative(&mut self) -> Result<u64, Trouble> {
        let state = self
            .look
            .shared
            .database
            .collection::<Document>(names::STATE)
            .find_one_and_update(
                doc! { "_id": names::ADMINISTRATIVE },
                doc! { "$inc": { "n": 1_i64 } },
            )
            .upsert(true)
            .return_document(mongodb::options::ReturnDocument::After)
            .session(&mut *self.look.session)
            .await
            .map_err(duplicate_again)?;
        let revision = state.and_then(|state| state.get_i64("n").ok());
        Ok(revision.unwrap_or_default().unsigned_abs())
    }
}

/// A document that somebody else has made since the transaction began.
fn duplicate_again(error: mongodb::error::Error) -> Trouble {
    if is_duplicate(&error) {
        Trouble::Again("others write the same documents all the time")
    } else {
        error.into()
    }
}

async fn insert(
    writer: &mut Writer<'_>,
    collection: &str,
    documents: &[RawDocumentBuf],
) -> Result<(), Trouble> {
    match writer.insert(collection, documents).await {
        Err(Trouble::Driver(error)) => Err(duplicate_again(error)),
        done => done,
    }
}

fn field(
    document: &DocKey,
    collection: &Collection,
    draft: &Draft,
    body: &RawDocumentBuf,
    class: ClassId,
    revision: u64,
) -> Result<Document, CommitError> {
    own::whole(collection, draft, body, class, revision).map_err(|error| match error {
        DraftError::Damaged(_) => damaged(document, error).into(),
        other => impossible(document, other),
    })
}

/// What brings the stored document to the state of the draft, so that a long list that only grew is not sent.
fn operators(draft: &Draft, field: Document) -> Result<Document, DraftError> {
    let (mut set, mut unset, mut push) =
        (doc! { own::FIELD: field }, Document::new(), Document::new());
    for root in draft.changed_roots() {
        if let Some(added) = draft.only_appended(&root) {
            let added = Document::try_from(added.as_ref())
                .map_err(|error| DraftError::Damaged(error.to_string()))?;
            let elements = added.get(&root).cloned().unwrap_or(Bson::Null);
            push.insert(root, doc! { "$each": elements });
            continue;
        }
        let path = crate::store::FieldPath::parse(&root)
            .map_err(|error| DraftError::Damaged(error.to_string()))?;
        match draft.get(&path)? {
            Some(value) => set.insert(root, value),
            None => unset.insert(root, ""),
        };
    }
    let mut operators = doc! { "$set": set };
    if !unset.is_empty() {
        operators.insert("$unset", unset);
    }
    if !push.is_empty() {
        operators.insert("$push", push);
    }
    Ok(operators)
}

fn guard_updates<'p>(
    keys: impl Iterator<Item = &'p Place>,
    lanes: &BTreeSet<(String, u32)>,
) -> Vec<Update> {
    let keys: BTreeSet<i32> = keys.map(key_guard).collect();
    let keys = keys.into_iter().map(Bson::Int32);
    let lanes = lanes
        .iter()
        .map(|(collection, lane)| Bson::String(format!("{collection} {lane}")));
    keys.chain(lanes)
        .map(|id| Update {
            which: doc! { "_id": id },
            change: Change::Operators(doc! { "$inc": { "n": 1_i64 } }),
            upsert: true,
        })
        .collect()
}

fn key_guard(place: &Place) -> i32 {
    let mut hash = Sha256::new();
    hash.update(place.0.as_bytes());
    hash.update([0]);
    hash.update(place.1);
    let digest: [u8; 32] = hash.finalize().into();
    let first = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    (first >> (32 - KEY_GUARD_BITS)).cast_signed()
}
