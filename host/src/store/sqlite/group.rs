//! Several write sets on their way into one commit: see `admission`. Nothing reaches the tables before
//! [`Group::flush`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bson::oid::ObjectId;
use rusqlite::{Connection, params};

use super::connection::{self, Link};
use super::flush::{Row, Rows};
use super::keys;
use super::list;
use super::schema::{Collection, Schema, UniqueKey};
use crate::store::admission::{self, Before, Documents, Drafts, Held};
use crate::store::apply::{damaged, describe};
use crate::store::draft::Draft;
use crate::store::write::{CommitError, DocKey, KeyRead, SelectRead, WriteSet};
use crate::store::{KeyValue, Result, StoreError};

/// Which documents have a unique key, where that differs from the tables.
type Holders = HashMap<(i64, Vec<u8>), BTreeMap<ObjectId, bool>>;

pub(super) struct Group<'a> {
    link: &'a Link,
    schema: &'a Schema,
    documents: Documents<Collection, Row>,
    holders: Holders,
    /// Who has which key by the tables, as far as it was asked: nothing reaches them before the group's end.
    stored: HashMap<(i64, Vec<u8>), BTreeSet<ObjectId>>,
}

impl<'a> Group<'a> {
    pub(super) fn new(link: &'a Link, schema: &'a Schema) -> Self {
        Self {
            link,
            schema,
            documents: Documents::default(),
            holders: HashMap::new(),
            stored: HashMap::new(),
        }
    }

    /// Has any member changed anything?
    pub(super) fn is_dirty(&self) -> bool {
        self.documents.changed().next().is_some()
    }

    /// Has any member changed anything in an administrative collection?
    pub(super) fn is_administrative(&self) -> bool {
        self.documents
            .changed()
            .any(|(_, held)| held.collection.administrative)
    }

    /// Takes a write set in, if what it read still holds.
    pub(super) fn admit(&mut self, changes: &WriteSet) -> Result<(), CommitError> {
        for document in admission::named(changes) {
            self.hold(document)?;
        }
        for read in &changes.documents {
            self.documents.check(read)?;
        }
        for read in &changes.keys {
            self.check_key(read)?;
        }
        for read in &changes.selections {
            self.check_selection(read)?;
        }
        let drafts = self.documents.write(changes, |_, _| Ok(()))?;
        let holders = self.check_uniqueness(&drafts)?;
        self.documents.accept(drafts);
        for (key, changes) in holders {
            self.holders.entry(key).or_default().extend(changes);
        }
        Ok(())
    }

    fn hold(&mut self, document: DocKey) -> Result<()> {
        if self.documents.get(&document).is_some() {
            return Ok(());
        }
        let collection = Arc::clone(self.schema.collection(&document.collection)?);
        let found = list::get_row(self.link, &collection, document.id)?;
        let before = found.map(|(id, stored)| Before {
            place: Row {
                id,
                class: stored.class,
            },
            revision: stored.revision,
            body: stored.body,
        });
        self.documents.hold(document, Held::new(collection, before));
        Ok(())
    }

    fn check_key(&mut self, read: &KeyRead) -> Result<(), CommitError> {
        let collection = Arc::clone(self.schema.collection(&read.key.collection)?);
        let key = declared_key(&collection, &read.key)?;
        let value = key_value(&read.key)?;
        let holder = match value {
            Some(value) => self
                .holders_of(collection.number, key.number, &value, None)?
                .first()
                .copied(),
            None => None,
        };
        if holder == read.holder {
            return Ok(());
        }
        Err(admission::key_moved(&read.key))
    }

    /// All documents with a unique key, oldest first. `member`: what a member changes of that.
    fn holders_of(
        &mut self,
        collection: i64,
        number: i64,
        value: &[u8],
        member: Option<&Holders>,
    ) -> Result<BTreeSet<ObjectId>> {
        let place = (number, value.to_vec());
        let mut found = match self.stored.get(&place) {
            Some(stored) => stored.clone(),
            None => {
                let stored = stored_holders(&self.link.sql, collection, &place)?;
                self.stored.insert(place.clone(), stored.clone());
                stored
            }
        };
        for holders in [Some(&self.holders), member].into_iter().flatten() {
            for (id, holds) in holders.get(&place).into_iter().flatten() {
                if *holds {
                    found.insert(*id);
                } else {
                    found.remove(id);
                }
            }
        }
        Ok(found)
    }

    fn check_selection(&self, read: &SelectRead) -> Result<(), CommitError> {
        let collection = self.schema.collection(&read.collection)?;
        let room = self.documents.room_for(read);
        let stored = list::select(self.link, collection, &read.filter, read.after, room)?;
        self.documents.check_selection(read, stored)
    }

    /// Works out who has which key after the member, and refuses what somebody else has.
    fn check_uniqueness(&mut self, drafts: &Drafts) -> Result<Holders, CommitError> {
        let mut member = Holders::new();
        let mut gained = Vec::new();
        for (document, draft) in drafts {
            let Some(held) = self.documents.get(document) else {
                continue;
            };
            for key in &held.collection.keys {
                let value = |draft: &Option<Draft>| match draft {
                    Some(draft) => {
                        keys::unique(draft, &key.fields).map_err(|error| damaged(document, error))
                    }
                    None => Ok(None),
                };
                let (old, new) = (value(&held.draft)?, value(draft)?);
                if old == new {
                    continue;
                }
                if let Some(old) = old {
                    member
                        .entry((key.number, old))
                        .or_default()
                        .insert(document.id, false);
                }
                if let Some(new) = new {
                    member
                        .entry((key.number, new.clone()))
                        .or_default()
                        .insert(document.id, true);
                    if key.enforced {
                        gained.push((document, held.collection.number, key.number, new));
                    }
                }
            }
        }
        for (document, collection, number, value) in gained {
            let holders = self.holders_of(collection, number, &value, Some(&member))?;
            if let Some(holder) = holders.into_iter().find(|holder| *holder != document.id) {
                let keys = &self.schema.collection(&document.collection)?.keys;
                let key = keys.iter().find(|key| key.number == number);
                let fields = key.map(|key| key.fields.as_slice()).unwrap_or_default();
                let key = admission::key_shown(drafts, document, fields)?;
                return Err(CommitError::Duplicate { key, holder });
            }
        }
        Ok(member)
    }

    /// Writes everything to the tables.
    pub(super) fn flush(self, rows: &mut Rows<'_>, revision: &mut i64) -> Result<()> {
        let sql = &self.link.sql;
        // Rows lie in the order of ids, as far as documents are made in it.
        let mut changed: Vec<_> = self.documents.changed().collect();
        changed.sort_unstable_by_key(|(document, _)| *document);
        for (document, held) in changed {
            let oid = document.id.bytes();
            let done = match (&held.draft, &held.before) {
                (None, None) => Ok(()),
                (None, Some(before)) => {
                    rows.remove(sql, &held.collection, before.place, &oid, &before.body)
                }
                (Some(draft), None) => {
                    *revision += 1;
                    rows.insert(sql, &held.collection, &oid, revision.unsigned_abs(), draft)
                }
                (Some(draft), Some(before)) => {
                    *revision += 1;
                    let (revision, row) = (revision.unsigned_abs(), before.place);
                    if Arc::ptr_eq(&before.body, draft.base()) {
                        rows.update(sql, &held.collection, row, &oid, revision, draft)
                    } else {
                        // Removed and made anew within the group.
                        rows.remove(sql, &held.collection, row, &oid, &before.body)
                            .and_then(|()| {
                                rows.insert(sql, &held.collection, &oid, revision, draft)
                            })
                    }
                }
            };
            done.map_err(|error| error.or_damaged(|reason| damaged(document, reason)))?;
        }
        let numbers: HashMap<i64, i64> = self
            .schema
            .collections
            .values()
            .flat_map(|collection| {
                collection
                    .keys
                    .iter()
                    .map(|key| (key.number, collection.number))
            })
            .collect();
        for ((number, value), changes) in &self.holders {
            let Some(n) = numbers.get(number) else {
                continue;
            };
            for (id, holds) in changes {
                let text = if *holds {
                    format!("INSERT OR IGNORE INTO key_{n}(number, key, oid) VALUES (?, ?, ?)")
                } else {
                    format!("DELETE FROM key_{n} WHERE number = ? AND key = ? AND oid = ?")
                };
                sql.prepare_cached(&text)?
                    .execute(params![number, value, &id.bytes()[..]])?;
            }
        }
        rows.write_rest(sql)
    }
}

/// All documents that have a unique key by the tables.
fn stored_holders(
    sql: &Connection,
    n: i64,
    (number, value): &(i64, Vec<u8>),
) -> Result<BTreeSet<ObjectId>> {
    let mut statement = sql.prepare_cached(&format!(
        "SELECT oid FROM key_{n} WHERE number = ? AND key = ?"
    ))?;
    let mut rows = statement.query(params![number, value])?;
    let mut found = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_blob().unwrap_or_default();
        found.insert(connection::object_id(id)?);
    }
    Ok(found)
}

/// The declared key that a look-up means.
pub(super) fn declared_key<'a>(
    collection: &'a Collection,
    key: &KeyValue,
) -> Result<&'a UniqueKey> {
    collection
        .keys
        .iter()
        .find(|known| {
            known
                .fields
                .iter()
                .eq(key.parts.iter().map(|(path, _)| path))
        })
        .ok_or_else(|| StoreError::UnknownKey(collection.name.clone(), describe(key)))
}

pub(super) fn key_value(key: &KeyValue) -> Result<Option<Vec<u8>>> {
    // A value that can't be written is held by nobody.
    Ok(keys::unique_of(key.parts.iter().map(|(_, value)| value)).unwrap_or_default())
}
