//! Several write sets on their way into one commit.
//!
//! Documents that members touch are held as drafts: later members see what earlier ones did, and a document that many
//! members change is read once and written once. Nothing reaches the tables before [`Group::flush`]. A member works on
//! copies, which become the group's when all of it went well; so a member that conflicts leaves no trace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, RawDocumentBuf};
use rusqlite::{OptionalExtension, params};

use super::connection::{self, Link};
use super::flush::{Row, Rows};
use super::keys;
use super::list;
use super::schema::{Collection, Schema, UniqueKey};
use crate::store::apply::{self, conflict, damaged, describe, name};
use crate::store::draft::Draft;
use crate::store::write::{CommitError, DocKey, DocRead, KeyRead, Op, SelectRead, Write, WriteSet};
use crate::store::{KeyValue, Result, StoreError};

/// A document as the group has it.
struct Held {
    collection: Arc<Collection>,
    /// As it was before the group.
    row: Option<Row>,
    before: Option<Arc<RawDocumentBuf>>,
    /// As it is now.
    draft: Option<Draft>,
    /// Has a member changed it?
    dirty: bool,
}

/// Which documents have a unique key, where that differs from the tables.
type Holders = HashMap<(i64, Vec<u8>), BTreeMap<ObjectId, bool>>;

pub(super) struct Group<'a> {
    link: &'a Link,
    schema: &'a Schema,
    held: HashMap<DocKey, Held>,
    holders: Holders,
}

/// What one member makes of the documents and keys.
#[derive(Default)]
struct Member {
    drafts: BTreeMap<DocKey, Option<Draft>>,
    holders: Holders,
}

impl<'a> Group<'a> {
    pub(super) fn new(link: &'a Link, schema: &'a Schema) -> Self {
        Self {
            link,
            schema,
            held: HashMap::new(),
            holders: HashMap::new(),
        }
    }

    /// Has any member changed anything?
    pub(super) fn is_dirty(&self) -> bool {
        self.held.values().any(|held| held.dirty)
    }

    /// Has any member changed anything in an administrative collection?
    pub(super) fn is_administrative(&self) -> bool {
        self.held
            .values()
            .any(|held| held.dirty && held.collection.administrative)
    }

    /// Takes a write set in, if what it read still holds.
    pub(super) fn admit(&mut self, changes: &WriteSet) -> Result<(), CommitError> {
        for read in &changes.documents {
            self.check_document(read)?;
        }
        for read in &changes.keys {
            self.check_key(read)?;
        }
        for read in &changes.selections {
            self.check_selection(read)?;
        }
        let mut member = Member::default();
        for write in &changes.writes {
            match write {
                Write::Insert { collection, body } => {
                    self.insert(&mut member, &apply::inserted(collection, body)?, || {
                        apply::fresh(collection, body)
                    })?;
                }
                Write::Copy { collection, body } => {
                    self.insert(&mut member, &apply::copied_key(collection, body)?, || {
                        apply::copied(collection, body)
                    })?;
                }
                Write::Change {
                    document,
                    operations,
                } => self.change(&mut member, changes, document, operations)?,
                Write::Remove { document } => self.remove(&mut member, document)?,
            }
        }
        self.check_uniqueness(&mut member)?;
        self.accept(member);
        Ok(())
    }

    fn accept(&mut self, member: Member) {
        for (key, draft) in member.drafts {
            if let Some(held) = self.held.get_mut(&key) {
                held.draft = draft;
                held.dirty = true;
            }
        }
        for (key, changes) in member.holders {
            self.holders.entry(key).or_default().extend(changes);
        }
    }

    fn hold(&mut self, document: &DocKey) -> Result<&Held> {
        if !self.held.contains_key(document) {
            let collection = Arc::clone(self.schema.collection(&document.collection)?);
            let n = collection.number;
            let found: Option<(i64, u32, i64, Vec<u8>)> = self
                .link
                .sql
                .prepare_cached(&format!(
                    "SELECT id, class, revision, body FROM doc_{n} WHERE oid = ?"
                ))?
                .query_row([&document.id.bytes()[..]], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })
                .optional()?;
            let mut held = Held {
                collection,
                row: None,
                before: None,
                draft: None,
                dirty: false,
            };
            if let Some((id, class, revision, body)) = found {
                let body =
                    RawDocumentBuf::from_bytes(body).map_err(|error| damaged(document, error))?;
                let body = Arc::new(body);
                held.row = Some(Row {
                    id,
                    class,
                    revision: revision.unsigned_abs(),
                });
                held.draft = Some(Draft::stored(Arc::clone(&body)));
                held.before = Some(body);
            }
            self.held.insert(document.clone(), held);
        }
        self.held
            .get(document)
            .ok_or_else(|| StoreError::Engine("a document was lost".to_owned()))
    }

    fn check_document(&mut self, read: &DocRead) -> Result<(), CommitError> {
        let held = self.hold(&read.document)?;
        let (draft, revision) = match (&held.draft, read.revision) {
            (None, None) => return Ok(()),
            (Some(draft), Some(revision)) => (draft, revision),
            (None, Some(_)) => return Err(conflict(format!("{} is gone", name(&read.document)))),
            (Some(_), None) => {
                return Err(conflict(format!(
                    "{} has come into being",
                    name(&read.document)
                )));
            }
        };
        if !held.dirty && held.row.is_some_and(|row| row.revision == revision) {
            return Ok(());
        }
        match read.broken_by(draft) {
            Ok(None) => Ok(()),
            Ok(Some(path)) => Err(conflict(format!("`{path}` of {}", name(&read.document)))),
            Err(error) => Err(damaged(&read.document, error).into()),
        }
    }

    fn check_key(&mut self, read: &KeyRead) -> Result<(), CommitError> {
        let collection = self.schema.collection(&read.key.collection)?;
        let key = declared_key(collection, &read.key)?;
        let value = key_value(&read.key)?;
        let holder = match value {
            Some(value) => self
                .holders_of(collection, key.number, &value, None)?
                .first()
                .copied(),
            None => None,
        };
        if holder == read.holder {
            return Ok(());
        }
        Err(conflict(format!(
            "who has the key ({}) in `{}`",
            describe(&read.key),
            read.key.collection
        )))
    }

    /// All documents with a unique key, oldest first.
    fn holders_of(
        &self,
        collection: &Collection,
        number: i64,
        value: &[u8],
        member: Option<&Member>,
    ) -> Result<BTreeSet<ObjectId>> {
        let n = collection.number;
        let mut statement = self.link.sql.prepare_cached(&format!(
            "SELECT oid FROM key_{n} WHERE number = ? AND key = ?"
        ))?;
        let mut rows = statement.query(params![number, value])?;
        let mut found = BTreeSet::new();
        while let Some(row) = rows.next()? {
            found.insert(connection::object_id(
                row.get_ref(0)?.as_blob().unwrap_or_default(),
            )?);
        }
        let place = (number, value.to_vec());
        for holders in [Some(&self.holders), member.map(|member| &member.holders)]
            .into_iter()
            .flatten()
        {
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

    fn check_selection(&mut self, read: &SelectRead) -> Result<(), CommitError> {
        let collection = Arc::clone(self.schema.collection(&read.collection)?);
        let changed: Vec<(ObjectId, Option<Draft>)> = self
            .held
            .iter()
            .filter(|(key, held)| held.dirty && key.collection == read.collection)
            .map(|(key, held)| (key.id, held.draft.clone()))
            .collect();
        let room = read
            .limit
            .saturating_add(u32::try_from(changed.len()).unwrap_or(u32::MAX));
        let stored = list::select(self.link, &collection, &read.filter, read.after, room)?;
        let mut found: BTreeSet<ObjectId> = stored.into_iter().collect();
        for (id, draft) in changed {
            let holds = match draft {
                Some(draft) if read.after.is_none_or(|after| id > after) => {
                    let document = DocKey {
                        collection: read.collection.clone(),
                        id,
                    };
                    draft
                        .matches(&read.filter)
                        .map_err(|error| damaged(&document, error))?
                }
                _ => false,
            };
            if holds {
                found.insert(id);
            } else {
                found.remove(&id);
            }
        }
        if found
            .into_iter()
            .take(read.limit as usize)
            .eq(read.found.iter().copied())
        {
            return Ok(());
        }
        Err(conflict(format!(
            "which documents of `{}` meet a condition",
            read.collection
        )))
    }

    /// The member's copy of a document.
    fn draft(&mut self, member: &Member, document: &DocKey) -> Result<Option<Draft>> {
        match member.drafts.get(document) {
            Some(draft) => Ok(draft.clone()),
            None => Ok(self.hold(document)?.draft.clone()),
        }
    }

    fn insert(
        &mut self,
        member: &mut Member,
        document: &DocKey,
        made: impl FnOnce() -> Result<(DocKey, Draft), CommitError>,
    ) -> Result<(), CommitError> {
        if self.draft(member, document)?.is_some() {
            return Err(conflict(format!("{} exists already", name(document))));
        }
        let (document, draft) = made()?;
        member.drafts.insert(document, Some(draft));
        Ok(())
    }

    fn change(
        &mut self,
        member: &mut Member,
        changes: &WriteSet,
        document: &DocKey,
        operations: &[Op],
    ) -> Result<(), CommitError> {
        let Some(mut draft) = self.draft(member, document)? else {
            return Err(conflict(format!("{} is gone", name(document))));
        };
        let as_read = || self.is_as_read(changes, document);
        if apply::change(document, &mut draft, operations, as_read)? {
            member.drafts.insert(document.clone(), Some(draft));
        }
        Ok(())
    }

    /// Is the document as the handler read it, or did it not look?
    fn is_as_read(&self, changes: &WriteSet, document: &DocKey) -> bool {
        let mut reads = changes
            .documents
            .iter()
            .filter(|read| read.document == *document);
        let held = self.held.get(document);
        reads.all(|read| {
            held.is_some_and(|held| {
                !held.dirty && held.row.map(|row| row.revision) == read.revision
            })
        })
    }

    fn remove(&mut self, member: &mut Member, document: &DocKey) -> Result<(), CommitError> {
        if self.draft(member, document)?.is_none() {
            return Err(conflict(format!("{} is gone", name(document))));
        }
        member.drafts.insert(document.clone(), None);
        Ok(())
    }

    /// Works out who has which key after the member, and refuses what somebody else has.
    fn check_uniqueness(&self, member: &mut Member) -> Result<(), CommitError> {
        let mut gained = Vec::new();
        for (document, draft) in &member.drafts {
            let Some(held) = self.held.get(document) else {
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
                        .holders
                        .entry((key.number, old))
                        .or_default()
                        .insert(document.id, false);
                }
                if let Some(new) = new {
                    member
                        .holders
                        .entry((key.number, new.clone()))
                        .or_default()
                        .insert(document.id, true);
                    gained.push((document, &held.collection, key, new));
                }
            }
        }
        for (document, collection, key, value) in gained {
            if !key.enforced {
                continue;
            }
            let holders = self.holders_of(collection, key.number, &value, Some(member))?;
            if let Some(holder) = holders.into_iter().find(|holder| *holder != document.id) {
                let key = key_shown(member, document, collection, key)?;
                return Err(CommitError::Duplicate { key, holder });
            }
        }
        Ok(())
    }

    /// Writes everything to the tables.
    pub(super) fn flush(self, rows: &mut Rows<'_>, revision: &mut i64) -> Result<()> {
        let sql = &self.link.sql;
        for (document, held) in &self.held {
            if !held.dirty {
                continue;
            }
            let oid = document.id.bytes();
            let done = match (&held.draft, held.row, &held.before) {
                (None, None, _) => Ok(()),
                (None, Some(row), Some(before)) => {
                    rows.remove(sql, &held.collection, row, &oid, before)
                }
                (Some(draft), None, _) => {
                    *revision += 1;
                    rows.insert(sql, &held.collection, &oid, revision.unsigned_abs(), draft)
                }
                (Some(draft), Some(row), Some(before)) => {
                    *revision += 1;
                    let revision = revision.unsigned_abs();
                    if Arc::ptr_eq(before, draft.base()) {
                        rows.update(sql, &held.collection, row, &oid, revision, draft)
                    } else {
                        // Removed and made anew within the group.
                        rows.remove(sql, &held.collection, row, &oid, before)
                            .and_then(|()| {
                                rows.insert(sql, &held.collection, &oid, revision, draft)
                            })
                    }
                }
                (_, Some(_), None) => {
                    Err(StoreError::Engine("a document was lost".to_owned()).into())
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
        rows.write_counts(sql)
    }
}

fn key_shown(
    member: &Member,
    document: &DocKey,
    collection: &Collection,
    key: &UniqueKey,
) -> Result<KeyValue, CommitError> {
    let mut parts = Vec::new();
    if let Some(Some(draft)) = member.drafts.get(document) {
        for field in &key.fields {
            let value = draft.get(field).map_err(|error| damaged(document, error))?;
            parts.push((field.clone(), value.unwrap_or(Bson::Null)));
        }
    }
    Ok(KeyValue {
        collection: collection.name.clone(),
        parts,
    })
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
