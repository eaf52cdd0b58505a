//! Writes the documents of a group, and all that follows from them, to the tables.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{RawDocument, RawDocumentBuf};
use rusqlite::{Connection, params};

use super::bodies::LARGE;
use super::connection;
use super::keys;
use super::pending::{Pending, Table};
use super::schema::{Collection, Counts, Field, Purpose};
use crate::store::class::{self, ClassId, ClassTable, Pairs};
use crate::store::draft::Draft;
use crate::store::raw::{Malformed, Value};
use crate::store::{Result, StoreError};

/// Why rows could not be written.
#[derive(Debug)]
pub(super) enum RowError {
    Store(StoreError),
    Malformed(Malformed),
}

impl From<StoreError> for RowError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for RowError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Malformed> for RowError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl RowError {
    pub(super) fn or_damaged(self, damaged: impl FnOnce(String) -> StoreError) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Malformed(error) => damaged(error.to_string()),
        }
    }
}

/// Where a document is, and its class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) class: ClassId,
}

/// By how much the number of documents of a collection and class changes.
pub(super) type CountChanges = HashMap<(i64, ClassId), i64>;

/// What of the tables is also kept in memory; published after the commit, or dropped.
pub(super) struct Rows<'a> {
    classes: &'a ClassTable,
    new_classes: Vec<Arc<Pairs>>,
    new_numbers: HashMap<Arc<Pairs>, ClassId>,
    changes: CountChanges,
    /// Rows of indexes that are not written yet.
    pending: Pending,
    /// Large documents as they were written, by id and revision.
    large: Vec<(ObjectId, u64, Arc<RawDocumentBuf>)>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(classes: &'a ClassTable) -> Self {
        Self {
            classes,
            new_classes: Vec::new(),
            new_numbers: HashMap::new(),
            changes: HashMap::new(),
            pending: Pending::default(),
            large: Vec::new(),
        }
    }

    /// Large documents that were written: for others to see after the commit.
    pub(super) fn take_large(&mut self) -> Vec<(ObjectId, u64, Arc<RawDocumentBuf>)> {
        std::mem::take(&mut self.large)
    }

    fn wrote(&mut self, oid: &[u8], revision: u64, body: RawDocumentBuf) {
        if let Ok(id) = connection::object_id(oid)
            && body.as_bytes().len() >= LARGE
        {
            self.large.push((id, revision, Arc::new(body)));
        }
    }

    /// New classes, and how the counts change.
    pub(super) fn finish(self) -> (Vec<Arc<Pairs>>, CountChanges) {
        (self.new_classes, self.changes)
    }

    fn intern(&mut self, sql: &Connection, pairs: Pairs) -> Result<ClassId, RowError> {
        if let Some(number) = self.classes.number(&pairs) {
            return Ok(number);
        }
        if let Some(number) = self.new_numbers.get(&pairs) {
            return Ok(*number);
        }
        let number = ClassId::try_from(self.classes.classes.len() + self.new_classes.len())
            .map_err(|_| StoreError::Engine("there are too many visibility classes".to_owned()))?;
        sql.prepare_cached("INSERT INTO class(number, pairs) VALUES (?, ?)")?
            .execute(params![number, class::write_pairs(&pairs)])?;
        let pairs = Arc::new(pairs);
        self.new_classes.push(Arc::clone(&pairs));
        self.new_numbers.insert(pairs, number);
        Ok(number)
    }

    fn class_of(
        &mut self,
        sql: &Connection,
        collection: &Collection,
        body: &RawDocument,
    ) -> Result<ClassId, RowError> {
        if !collection.classed {
            return Ok(0);
        }
        let pairs = class::pairs_of(body)?;
        self.intern(sql, pairs)
    }

    fn count(&mut self, collection: i64, class: ClassId, by: i64) {
        *self.changes.entry((collection, class)).or_default() += by;
    }

    /// Writes what was put off: rows of indexes.
    pub(super) fn write_pending(&mut self, sql: &Connection) -> Result<()> {
        Ok(self.pending.write(sql)?)
    }

    /// Writes what was put off, and the counts that have changed.
    pub(super) fn write_rest(&mut self, sql: &Connection) -> Result<()> {
        self.write_pending(sql)?;
        for ((collection, class), by) in &self.changes {
            if *by != 0 {
                sql.prepare_cached(
                    "INSERT INTO class_count(collection, class, documents) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET documents = documents + ?3",
                )?
                .execute(params![collection, class, by])?;
            }
        }
        Ok(())
    }

    /// A document that was not there.
    pub(super) fn insert(
        &mut self,
        sql: &Connection,
        collection: &Collection,
        oid: &[u8],
        revision: u64,
        draft: &Draft,
    ) -> Result<(), RowError> {
        let body = draft.to_raw();
        let class = self.class_of(sql, collection, &body)?;
        let n = collection.number;
        sql.prepare_cached(&format!(
            "INSERT INTO doc_{n}(oid, class, revision, body) VALUES (?, ?, ?, ?)"
        ))?
        .execute(params![oid, class, revision as i64, body.as_bytes()])?;
        let row = Row {
            id: sql.last_insert_rowid(),
            class,
        };
        for field in &collection.fields {
            self.insert_field(sql, collection, field, row, oid, body.as_bytes())?;
        }
        self.count(n, class, 1);
        self.wrote(oid, revision, body);
        Ok(())
    }

    /// A document that was there.
    pub(super) fn update(
        &mut self,
        sql: &Connection,
        collection: &Collection,
        row: Row,
        oid: &[u8],
        revision: u64,
        draft: &Draft,
    ) -> Result<(), RowError> {
        let body = draft.to_raw();
        let n = collection.number;
        let class = if collection.classed && draft.has_changed("source") {
            self.class_of(sql, collection, &body)?
        } else {
            row.class
        };
        if class == row.class {
            sql.prepare_cached(&format!(
                "UPDATE doc_{n} SET revision = ?, body = ? WHERE id = ?"
            ))?
            .execute(params![revision as i64, body.as_bytes(), row.id])?;
        } else {
            sql.prepare_cached(&format!(
                "UPDATE doc_{n} SET class = ?, revision = ?, body = ? WHERE id = ?"
            ))?
            .execute(params![class, revision as i64, body.as_bytes(), row.id])?;
            self.count(n, row.class, -1);
            self.count(n, class, 1);
        }
        let before = draft.base().as_bytes();
        for field in &collection.fields {
            let changed = draft.has_changed(field.path.root());
            if !changed && class == row.class {
                continue;
            }
            if class == row.class
                && field.purpose == Purpose::Entries
                && self.append_entries(sql, n, field, oid, class, draft)?
            {
                continue;
            }
            self.update_field(
                sql,
                collection,
                field,
                row,
                oid,
                class,
                before,
                body.as_bytes(),
            )?;
        }
        self.wrote(oid, revision, body);
        Ok(())
    }

    /// A document that is to go.
    pub(super) fn remove(
        &mut self,
        sql: &Connection,
        collection: &Collection,
        row: Row,
        oid: &[u8],
        before: &RawDocument,
    ) -> Result<(), RowError> {
        let n = collection.number;
        sql.prepare_cached(&format!("DELETE FROM doc_{n} WHERE id = ?"))?
            .execute([row.id])?;
        for field in &collection.fields {
            remove_field(sql, collection, field, row.id, oid, before.as_bytes())?;
        }
        self.count(n, row.class, -1);
        Ok(())
    }

    /// Moves a document to the class it ought to have.
    pub(super) fn reclass(
        &mut self,
        sql: &Connection,
        collection: &Collection,
        row: i64,
        oid: &[u8],
        before: ClassId,
        body: &RawDocument,
    ) -> Result<(), RowError> {
        let class = self.class_of(sql, collection, body)?;
        if class == before {
            return Ok(());
        }
        let n = collection.number;
        sql.prepare_cached(&format!("UPDATE doc_{n} SET class = ? WHERE id = ?"))?
            .execute(params![class, row])?;
        for field in &collection.fields {
            if field.purpose == Purpose::Text {
                reclass_text(sql, field.number, row, class)?;
                continue;
            }
            remove_field(sql, collection, field, row, oid, body.as_bytes())?;
            let now = Row { id: row, class };
            self.insert_field(sql, collection, field, now, oid, body.as_bytes())?;
        }
        self.count(n, before, -1);
        self.count(n, class, 1);
        Ok(())
    }
}

/// Rows of single fields.
impl Rows<'_> {
    fn entry(&mut self, n: i64, field: i64, key: Vec<u8>, oid: &[u8], class: ClassId) {
        self.pending.add(Table::Entry, n, field, key, oid, class);
    }

    fn sort(&mut self, n: i64, field: i64, key: Vec<u8>, oid: &[u8], class: ClassId) {
        self.pending.add(Table::Sort, n, field, key, oid, class);
    }

    /// The rows of one field for a document that had none.
    pub(super) fn insert_field(
        &mut self,
        sql: &Connection,
        collection: &Collection,
        field: &Field,
        Row { id: row, class }: Row,
        oid: &[u8],
        body: &[u8],
    ) -> Result<(), RowError> {
        let n = collection.number;
        match field.purpose {
            Purpose::Entries => {
                let keys = keys::entries(body, &field.path)?;
                if keys.len() > 1 {
                    insert_several(sql, n, field.number, oid, class)?;
                }
                for key in keys {
                    self.entry(n, field.number, key, oid, class);
                }
            }
            Purpose::Sort => {
                let key = keys::capped(keys::sort_key(body, &field.path)?);
                self.sort(n, field.number, key, oid, class);
            }
            Purpose::Text => insert_text(sql, field, row, oid, class, body)?,
        }
        Ok(())
    }

    /// If the field's list has only grown: the entries of what is new, without a look at the rest of the list.
    fn append_entries(
        &mut self,
        sql: &Connection,
        n: i64,
        field: &Field,
        oid: &[u8],
        class: ClassId,
        draft: &Draft,
    ) -> Result<bool, RowError> {
        let positional = field
            .path
            .segments()
            .nth(1)
            .is_some_and(|segment| segment.bytes().all(|b| b.is_ascii_digit()));
        if positional {
            return Ok(false);
        }
        let Some(added) = draft.only_appended(field.path.root()) else {
            return Ok(false);
        };
        let keys = keys::entries(added.as_bytes(), &field.path)?;
        // Whether what was there before has entries is not looked at: one note too many does no harm.
        let stored = Value::document(draft.base().as_bytes()).field(field.path.root())?;
        let had = stored.is_some_and(|list| !list.is_empty_list());
        if keys.len() > 1 || (had && !keys.is_empty()) {
            insert_several(sql, n, field.number, oid, class)?;
        }
        for key in keys {
            self.entry(n, field.number, key, oid, class);
        }
        Ok(true)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a row before and after, in one place only"
    )]
    fn update_field(
        &mut self,
        sql: &Connection,
        collection: &Collection,
        field: &Field,
        row: Row,
        oid: &[u8],
        class: ClassId,
        before: &[u8],
        after: &[u8],
    ) -> Result<(), RowError> {
        let n = collection.number;
        match field.purpose {
            Purpose::Entries => {
                let old: BTreeSet<Vec<u8>> = keys::entries(before, &field.path)?;
                let new = keys::entries(after, &field.path)?;
                for key in old.difference(&new) {
                    remove_entry(sql, n, field.number, key, oid)?;
                }
                if new.len() > 1 {
                    insert_several(sql, n, field.number, oid, class)?;
                } else if old.len() > 1 || class != row.class {
                    remove_several(sql, n, field.number, oid)?;
                }
                for key in new {
                    if class != row.class || !old.contains(&key) {
                        self.entry(n, field.number, key, oid, class);
                    }
                }
            }
            Purpose::Sort => {
                let old = keys::capped(keys::sort_key(before, &field.path)?);
                let new = keys::capped(keys::sort_key(after, &field.path)?);
                if old != new {
                    remove_sort(sql, n, field.number, &old, oid)?;
                }
                if old != new || class != row.class {
                    self.sort(n, field.number, new, oid, class);
                }
            }
            Purpose::Text => {
                let changed = keys::searchable(after, &field.path)?
                    != keys::searchable(before, &field.path)?
                    || keys::only_text(after, &field.path)?
                        != keys::only_text(before, &field.path)?;
                if changed {
                    remove_text(sql, field.number, row.id)?;
                    insert_text(sql, field, row.id, oid, class, after)?;
                } else if class != row.class {
                    reclass_text(sql, field.number, row.id, class)?;
                }
            }
        }
        Ok(())
    }
}

/// Takes the changes over into the counts in memory.
pub(super) fn count_all(counts: &mut Counts, changes: &CountChanges) {
    for ((collection, class), by) in changes {
        if *by != 0 {
            counts.change(*collection, *class, *by);
        }
    }
}

fn remove_entry(
    sql: &Connection,
    n: i64,
    field: i64,
    key: &[u8],
    oid: &[u8],
) -> Result<(), RowError> {
    sql.prepare_cached(&format!(
        "DELETE FROM entry_{n} WHERE field = ? AND key = ? AND oid = ?"
    ))?
    .execute(params![field, key, oid])?;
    Ok(())
}

fn remove_sort(
    sql: &Connection,
    n: i64,
    field: i64,
    key: &[u8],
    oid: &[u8],
) -> Result<(), RowError> {
    sql.prepare_cached(&format!(
        "DELETE FROM sort_{n} WHERE field = ? AND key = ? AND oid = ?"
    ))?
    .execute(params![field, key, oid])?;
    Ok(())
}

/// Notes that a document has several entries of a field: under its number made negative.
fn insert_several(
    sql: &Connection,
    n: i64,
    field: i64,
    oid: &[u8],
    class: ClassId,
) -> Result<(), RowError> {
    sql.prepare_cached(&format!(
        "INSERT INTO entry_{n}(field, key, oid, class) VALUES (?, x'', ?, ?)
         ON CONFLICT DO UPDATE SET class = excluded.class WHERE class <> excluded.class"
    ))?
    .execute(params![-field, oid, class])?;
    Ok(())
}

fn remove_several(sql: &Connection, n: i64, field: i64, oid: &[u8]) -> Result<(), RowError> {
    remove_entry(sql, n, -field, &[], oid)
}

fn insert_text(
    sql: &Connection,
    field: &Field,
    row: i64,
    oid: &[u8],
    class: ClassId,
    body: &[u8],
) -> Result<(), RowError> {
    let searchable = keys::searchable(body, &field.path)?;
    if searchable.is_empty() {
        return Ok(());
    }
    let field_number = field.number;
    sql.prepare_cached(&format!(
        "INSERT INTO text_{field_number}(rowid, text) VALUES (?, ?)"
    ))?
    .execute(params![row, searchable])?;
    insert_value(sql, field, row, oid, class, body)
}

/// The text itself beside its trigrams, to be looked at instead of the document.
pub(super) fn insert_value(
    sql: &Connection,
    field: &Field,
    row: i64,
    oid: &[u8],
    class: ClassId,
    body: &[u8],
) -> Result<(), RowError> {
    let field_number = field.number;
    let text = keys::only_text(body, &field.path)?;
    sql.prepare_cached(&format!(
        "INSERT OR REPLACE INTO value_{field_number}(id, oid, class, text) VALUES (?, ?, ?, ?)"
    ))?
    .execute(params![row, oid, class, text])?;
    Ok(())
}

fn remove_text(sql: &Connection, field: i64, row: i64) -> Result<(), RowError> {
    for table in ["text", "value"] {
        let id = if table == "text" { "rowid" } else { "id" };
        sql.prepare_cached(&format!("DELETE FROM {table}_{field} WHERE {id} = ?"))?
            .execute([row])?;
    }
    Ok(())
}

fn reclass_text(sql: &Connection, field: i64, row: i64, class: ClassId) -> Result<(), RowError> {
    sql.prepare_cached(&format!("UPDATE value_{field} SET class = ? WHERE id = ?"))?
        .execute(params![class, row])?;
    Ok(())
}

fn remove_field(
    sql: &Connection,
    collection: &Collection,
    field: &Field,
    row: i64,
    oid: &[u8],
    before: &[u8],
) -> Result<(), RowError> {
    let n = collection.number;
    match field.purpose {
        Purpose::Entries => {
            for key in keys::entries(before, &field.path)? {
                remove_entry(sql, n, field.number, &key, oid)?;
            }
            remove_several(sql, n, field.number, oid)?;
        }
        Purpose::Sort => {
            let key = keys::capped(keys::sort_key(before, &field.path)?);
            remove_sort(sql, n, field.number, &key, oid)?;
        }
        Purpose::Text => remove_text(sql, field.number, row)?,
    }
    Ok(())
}
