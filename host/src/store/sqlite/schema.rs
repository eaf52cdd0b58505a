//! The tables, what is known of them in memory, and how collections are declared.
//!
//! ```text
//! state        one row: commits, commits to administrative collections, last revision
//! collection   number, name, classed, administrative
//! field        number of (collection, path, purpose): entries of an index, sort entries, trigrams
//! unique_key   number of (collection, fields), and whether it is enforced
//! class        number, pairs
//! class_count  how many documents of a collection have a class
//! file         what is kept in files/
//! doc_N        documents of collection N; the index dir_N is their directory: pages, counts, deep offsets; seen_N has
//!              them by class, for readers who see little
//! entry_N      (field, key, oid) with the class: every value that an indexed path reaches; under the negative number of the
//!              field, without a key, the documents that have several (some of them only one by now)
//! sort_N       (field, key, oid) with the class: exactly one row for each document and sortable path (pitfall P9)
//! key_N        (unique key, values, oid)
//! text_F       trigrams of field F
//! value_F      the texts themselves, as far as a document has one and that is short, with id and class
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::connection;
use super::flush::{self, Row, Rows};
use super::keys;
use crate::store::class::{self, ClassTable};
use crate::store::draft::Draft;
use crate::store::path::FieldPath;
use crate::store::{CollectionSpec, Declaration, IndexSpec, KeySpec, Result, StoreError, apply};

/// What a field table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Entries,
    Sort,
    Text,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Sort => "sort",
            Self::Text => "text",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::Entries, Self::Sort, Self::Text]
            .into_iter()
            .find(|purpose| purpose.name() == name)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) number: i64,
    pub(super) path: FieldPath,
    pub(super) purpose: Purpose,
}

#[derive(Debug, Clone)]
pub(super) struct UniqueKey {
    pub(super) number: i64,
    pub(super) fields: Vec<FieldPath>,
    pub(super) enforced: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Collection {
    pub(super) number: i64,
    pub(super) name: String,
    pub(super) classed: bool,
    pub(super) administrative: bool,
    pub(super) fields: Vec<Field>,
    pub(super) keys: Vec<UniqueKey>,
}

impl Collection {
    pub(super) fn field(&self, path: &FieldPath, purpose: Purpose) -> Option<&Field> {
        self.fields
            .iter()
            .find(|field| field.purpose == purpose && field.path == *path)
    }

    pub(super) fn declaration(&self) -> Declaration {
        let entries = self
            .fields
            .iter()
            .filter(|field| field.purpose == Purpose::Entries);
        let indexes = entries.map(|field| IndexSpec {
            path: field.path.clone(),
            sortable: self.field(&field.path, Purpose::Sort).is_some(),
            searchable: self.field(&field.path, Purpose::Text).is_some(),
        });
        let spec = |key: &UniqueKey| KeySpec {
            fields: key.fields.clone(),
        };
        Declaration {
            spec: CollectionSpec {
                name: self.name.clone(),
                classed: self.classed,
                administrative: self.administrative,
                keys: self.keys.iter().map(spec).collect(),
                indexes: indexes.collect(),
            },
            violated: self
                .keys
                .iter()
                .filter(|key| !key.enforced)
                .map(spec)
                .collect(),
        }
    }
}

/// All collections.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) collections: HashMap<String, Arc<Collection>>,
}

impl Schema {
    pub(super) fn collection(&self, name: &str) -> Result<&Arc<Collection>> {
        self.collections
            .get(name)
            .ok_or_else(|| StoreError::UnknownCollection(name.to_owned()))
    }
}

/// How many documents of each collection and class there are, after `commits` commits.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) commits: i64,
    pub(super) by_collection: HashMap<i64, Arc<Vec<u64>>>,
}

impl Counts {
    pub(super) fn change(&mut self, collection: i64, class: u32, by: i64) {
        let counts = Arc::make_mut(self.by_collection.entry(collection).or_default());
        let class = class as usize;
        if class >= counts.len() {
            counts.resize(class + 1, 0);
        }
        counts[class] = counts[class].saturating_add_signed(by);
    }

    pub(super) fn of(&self, collection: i64) -> &[u64] {
        self.by_collection
            .get(&collection)
            .map_or(&[], |counts| counts.as_slice())
    }
}

/// The one row of `state`.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) commits: i64,
    pub(super) administrative: i64,
    pub(super) revision: i64,
}

pub(super) fn read_state(sql: &Connection) -> Result<State> {
    let mut statement =
        sql.prepare_cached("SELECT commits, administrative, revision FROM state")?;
    Ok(statement.query_row([], |row| {
        Ok(State {
            commits: row.get(0)?,
            administrative: row.get(1)?,
            revision: row.get(2)?,
        })
    })?)
}

pub(super) fn write_state(sql: &Connection, state: State) -> Result<()> {
    sql.prepare_cached("UPDATE state SET commits = ?, administrative = ?, revision = ?")?
        .execute(params![state.commits, state.administrative, state.revision])?;
    Ok(())
}

/// Makes the tables that do not belong to a collection.
pub(super) fn create(sql: &Connection) -> Result<()> {
    sql.execute_batch("BEGIN IMMEDIATE")?;
    let made = create_within(sql).and_then(|()| index_files(sql));
    match made {
        Ok(()) => sql.execute_batch("COMMIT")?,
        Err(_) => sql.execute_batch("ROLLBACK")?,
    }
    made
}

/// Files are looked up by MD5; stores of earlier versions lack the index.
fn index_files(sql: &Connection) -> Result<()> {
    sql.execute_batch("CREATE INDEX IF NOT EXISTS file_md5 ON file(md5, bucket, id)")?;
    Ok(())
}

fn create_within(sql: &Connection) -> Result<()> {
    let there: bool = sql.query_row(
        "SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'state'",
        [],
        |row| row.get(0),
    )?;
    if there {
        return raise_layout(sql);
    }
    sql.execute_batch(
        "CREATE TABLE state(one INTEGER PRIMARY KEY CHECK (one = 1), commits INTEGER NOT NULL,
             administrative INTEGER NOT NULL, revision INTEGER NOT NULL);
         INSERT INTO state VALUES (1, 0, 0, 0);
         CREATE TABLE collection(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, classed INTEGER NOT NULL,
             administrative INTEGER NOT NULL);
         CREATE TABLE field(number INTEGER PRIMARY KEY, collection INTEGER NOT NULL, path TEXT NOT NULL,
             purpose TEXT NOT NULL, UNIQUE (collection, path, purpose));
         CREATE TABLE unique_key(number INTEGER PRIMARY KEY, collection INTEGER NOT NULL, fields TEXT NOT NULL,
             enforced INTEGER NOT NULL, UNIQUE (collection, fields));
         CREATE TABLE class(number INTEGER PRIMARY KEY, pairs BLOB NOT NULL UNIQUE);
         CREATE TABLE class_count(collection INTEGER, class INTEGER, documents INTEGER NOT NULL,
             PRIMARY KEY (collection, class)) WITHOUT ROWID;
         CREATE TABLE file(bucket TEXT, id BLOB, sha256 BLOB NOT NULL, md5 BLOB NOT NULL, size INTEGER NOT NULL,
             name TEXT NOT NULL, kept_at INTEGER NOT NULL, PRIMARY KEY (bucket, id)) WITHOUT ROWID;
         CREATE INDEX file_bytes ON file(sha256, bucket, id);",
    )?;
    connection::mark_layout(sql)
}

/// Are the tables those of an earlier version, which [`create`] will bring up to date?
pub(super) fn is_outdated(sql: &Connection) -> Result<bool> {
    let there: bool = sql.query_row(
        "SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'state'",
        [],
        |row| row.get(0),
    )?;
    Ok(there && connection::layout(sql)? < connection::LAYOUT)
}

/// Brings the tables of an earlier version up to date.
fn raise_layout(sql: &Connection) -> Result<()> {
    let layout = connection::layout(sql)?;
    if layout < 2 {
        keep_contents_under_several_ids(sql)?;
    }
    if layout < 3 {
        index_for_planning(sql)?;
    }
    if layout < connection::LAYOUT {
        connection::mark_layout(sql)?;
    }
    Ok(())
}

/// Layout 1 had each content of a bucket under one id only.
fn keep_contents_under_several_ids(sql: &Connection) -> Result<()> {
    sql.execute_batch(
        "CREATE TABLE file_anew(bucket TEXT, id BLOB, sha256 BLOB NOT NULL, md5 BLOB NOT NULL, size INTEGER NOT NULL,
             name TEXT NOT NULL, kept_at INTEGER NOT NULL, PRIMARY KEY (bucket, id)) WITHOUT ROWID;
         INSERT INTO file_anew SELECT bucket, id, sha256, md5, size, name, kept_at FROM file;
         DROP TABLE file;
         ALTER TABLE file_anew RENAME TO file;
         CREATE INDEX file_bytes ON file(sha256, bucket, id);",
    )?;
    Ok(())
}

/// Layout 2 had neither documents by class, nor those with several values, nor texts beside their trigrams.
fn index_for_planning(sql: &Connection) -> Result<()> {
    for collection in load_schema(sql)?.collections.values() {
        let n = collection.number;
        sql.execute_batch(&format!(
            "CREATE INDEX IF NOT EXISTS seen_{n} ON doc_{n}(class, oid)"
        ))?;
        let mut texts = Vec::new();
        for field in &collection.fields {
            match field.purpose {
                Purpose::Entries => {
                    sql.prepare_cached(&format!(
                        "INSERT OR REPLACE INTO entry_{n} SELECT -field, x'', oid, max(class) FROM entry_{n}
                         WHERE field = ? GROUP BY oid HAVING count(*) > 1"
                    ))?
                    .execute([field.number])?;
                }
                Purpose::Sort => {}
                Purpose::Text => {
                    create_values(sql, field.number)?;
                    texts.push(field);
                }
            }
        }
        if !texts.is_empty() {
            fill_values(sql, collection, &texts)?;
        }
    }
    Ok(())
}

fn fill_values(sql: &Connection, collection: &Collection, texts: &[&Field]) -> Result<()> {
    let n = collection.number;
    let mut last = i64::MIN;
    loop {
        let batch = documents_after(sql, n, last)?;
        let Some((id, ..)) = batch.last() else {
            return Ok(());
        };
        last = *id;
        for (row, oid, class, body) in batch {
            for field in texts {
                let damaged = |reason: String| StoreError::Damaged {
                    collection: collection.name.clone(),
                    id: connection::hex_of(&oid),
                    reason,
                };
                let texts = keys::searchable(&body, &field.path)
                    .map_err(|error| damaged(error.to_string()))?;
                if !texts.is_empty() {
                    flush::insert_value(sql, field, row, &oid, class, &body)
                        .map_err(|error| error.or_damaged(damaged))?;
                }
            }
        }
    }
}

/// Some documents in the order of their rows: row, id, class, body. In steps: statements that write must not disturb the
/// one that reads.
fn documents_after(
    sql: &Connection,
    n: i64,
    last: i64,
) -> Result<Vec<(i64, Vec<u8>, u32, Vec<u8>)>> {
    Ok(sql
        .prepare_cached(&format!(
            "SELECT id, oid, class, body FROM doc_{n} WHERE id > ? ORDER BY id LIMIT 64"
        ))?
        .query_map([last], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<rusqlite::Result<_>>()?)
}

pub(super) fn load_schema(sql: &Connection) -> Result<Schema> {
    let mut collections = HashMap::new();
    let mut statement =
        sql.prepare_cached("SELECT number, name, classed, administrative FROM collection")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        let collection = Collection {
            number,
            name: row.get(1)?,
            classed: row.get(2)?,
            administrative: row.get(3)?,
            fields: load_fields(sql, number)?,
            keys: load_keys(sql, number)?,
        };
        collections.insert(collection.name.clone(), Arc::new(collection));
    }
    Ok(Schema { collections })
}

fn load_fields(sql: &Connection, collection: i64) -> Result<Vec<Field>> {
    let mut statement = sql.prepare_cached(
        "SELECT number, path, purpose FROM field WHERE collection = ? ORDER BY number",
    )?;
    let mut rows = statement.query([collection])?;
    let mut fields = Vec::new();
    while let Some(row) = rows.next()? {
        let (path, purpose): (String, String) = (row.get(1)?, row.get(2)?);
        // What a newer version keeps under other purposes would have raised the layout.
        let purpose = Purpose::of_name(&purpose).ok_or_else(|| {
            StoreError::Unusable(format!("the database has fields for `{purpose}`"))
        })?;
        fields.push(Field {
            number: row.get(0)?,
            path: stored_path(&path)?,
            purpose,
        });
    }
    Ok(fields)
}

fn load_keys(sql: &Connection, collection: i64) -> Result<Vec<UniqueKey>> {
    let mut statement = sql.prepare_cached(
        "SELECT number, fields, enforced FROM unique_key WHERE collection = ? ORDER BY number",
    )?;
    let mut rows = statement.query([collection])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let fields: String = row.get(1)?;
        let fields = fields.split('\n').map(stored_path).collect::<Result<_>>()?;
        found.push(UniqueKey {
            number: row.get(0)?,
            fields,
            enforced: row.get(2)?,
        });
    }
    Ok(found)
}

fn stored_path(text: &str) -> Result<FieldPath> {
    FieldPath::parse(text)
        .map_err(|error| StoreError::Engine(format!("the database has a field `{text}`: {error}")))
}

/// The classes from `table.classes.len()` on.
pub(super) fn load_classes(sql: &Connection, table: &mut ClassTable) -> Result<()> {
    let mut statement =
        sql.prepare_cached("SELECT number, pairs FROM class WHERE number >= ? ORDER BY number")?;
    let mut rows = statement.query([table.classes.len() as i64])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        let bytes: Vec<u8> = row.get(1)?;
        let pairs = class::read_pairs(&bytes)
            .filter(|_| number == table.classes.len() as i64)
            .ok_or_else(|| {
                StoreError::Engine(format!("class {number} in the database is damaged"))
            })?;
        table.add(Arc::new(pairs));
    }
    Ok(())
}

pub(super) fn load_counts(sql: &Connection, commits: i64) -> Result<Counts> {
    let mut all: HashMap<i64, Vec<u64>> = HashMap::new();
    let mut statement =
        sql.prepare_cached("SELECT collection, class, documents FROM class_count")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (collection, class, documents): (i64, u32, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let counts = all.entry(collection).or_default();
        let class = class as usize;
        if class >= counts.len() {
            counts.resize(class + 1, 0);
        }
        counts[class] = documents.unsigned_abs();
    }
    let by_collection = all
        .into_iter()
        .map(|(collection, counts)| (collection, Arc::new(counts)))
        .collect();
    Ok(Counts {
        commits,
        by_collection,
    })
}

/// Makes collections usable, within the transaction of the caller. Answers which unique keys are violated.
pub(super) fn declare(
    sql: &Connection,
    specs: &[CollectionSpec],
    rows: &mut Rows<'_>,
) -> Result<Vec<String>> {
    let mut reports = Vec::new();
    for spec in specs {
        apply::check_name(&spec.name)?;
        let known: Option<(i64, bool)> = sql
            .prepare_cached("SELECT number, classed FROM collection WHERE name = ?")?
            .query_row([&spec.name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (number, classed) = match known {
            Some((number, classed)) => (number, classed),
            None => (create_collection(sql, spec)?, spec.classed),
        };
        sql.execute(
            "UPDATE collection SET classed = ?, administrative = ? WHERE number = ?",
            params![spec.classed, spec.administrative, number],
        )?;
        let new_fields = declare_fields(sql, number, spec)?;
        let new_keys = declare_keys(sql, number, spec)?;
        let collection = Collection {
            number,
            name: spec.name.clone(),
            classed: spec.classed,
            administrative: spec.administrative,
            fields: load_fields(sql, number)?,
            keys: load_keys(sql, number)?,
        };
        if known.is_some()
            && (!new_fields.is_empty() || !new_keys.is_empty() || classed != spec.classed)
        {
            fill(
                sql,
                &collection,
                &new_fields,
                &new_keys,
                classed != spec.classed,
                rows,
            )?;
        }
        for key in &collection.keys {
            let violated = violation(sql, &collection, key)?;
            sql.execute(
                "UPDATE unique_key SET enforced = ? WHERE number = ?",
                params![violated.is_none(), key.number],
            )?;
            reports.extend(violated);
        }
    }
    Ok(reports)
}

fn create_collection(sql: &Connection, spec: &CollectionSpec) -> Result<i64> {
    sql.execute(
        "INSERT INTO collection(name, classed, administrative) VALUES (?, ?, ?)",
        params![spec.name, spec.classed, spec.administrative],
    )?;
    let n = sql.last_insert_rowid();
    sql.execute_batch(&format!(
        "CREATE TABLE doc_{n}(id INTEGER PRIMARY KEY, oid BLOB NOT NULL, class INTEGER NOT NULL,
             revision INTEGER NOT NULL, body BLOB NOT NULL);
         CREATE UNIQUE INDEX dir_{n} ON doc_{n}(oid, class);
         CREATE INDEX seen_{n} ON doc_{n}(class, oid);
         CREATE TABLE entry_{n}(field INTEGER, key BLOB, oid BLOB, class INTEGER NOT NULL,
             PRIMARY KEY (field, key, oid)) WITHOUT ROWID;
         CREATE TABLE sort_{n}(field INTEGER, key BLOB, oid BLOB, class INTEGER NOT NULL,
             PRIMARY KEY (field, key, oid)) WITHOUT ROWID;
         CREATE TABLE key_{n}(number INTEGER, key BLOB, oid BLOB, PRIMARY KEY (number, key, oid)) WITHOUT ROWID;"
    ))?;
    Ok(n)
}

/// Answers the numbers of the fields that were not there before.
fn declare_fields(sql: &Connection, collection: i64, spec: &CollectionSpec) -> Result<Vec<i64>> {
    let mut added = Vec::new();
    for index in &spec.indexes {
        let purposes = [
            (Purpose::Entries, true),
            (Purpose::Sort, index.sortable),
            (Purpose::Text, index.searchable),
        ];
        for (purpose, wanted) in purposes {
            if !wanted {
                continue;
            }
            let made = sql.execute(
                "INSERT OR IGNORE INTO field(collection, path, purpose) VALUES (?, ?, ?)",
                params![collection, index.path.as_str(), purpose.name()],
            )?;
            if made == 0 {
                continue;
            }
            let number = sql.last_insert_rowid();
            if purpose == Purpose::Text {
                sql.execute_batch(&format!(
                    "CREATE VIRTUAL TABLE text_{number} USING fts5(text, content = '', contentless_delete = 1,
                         detail = none, tokenize = 'trigram case_sensitive 1')"
                ))?;
                create_values(sql, number)?;
            }
            added.push(number);
        }
    }
    Ok(added)
}

fn create_values(sql: &Connection, field: i64) -> Result<()> {
    sql.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS value_{field}(id INTEGER PRIMARY KEY, oid BLOB NOT NULL, class INTEGER NOT NULL, text TEXT)"
    ))?;
    Ok(())
}

fn declare_keys(sql: &Connection, collection: i64, spec: &CollectionSpec) -> Result<Vec<i64>> {
    let mut added = Vec::new();
    for key in &spec.keys {
        let fields = key
            .fields
            .iter()
            .map(FieldPath::as_str)
            .collect::<Vec<_>>()
            .join("\n");
        let made = sql.execute(
            "INSERT OR IGNORE INTO unique_key(collection, fields, enforced) VALUES (?, ?, 1)",
            params![collection, fields],
        )?;
        if made > 0 {
            added.push(sql.last_insert_rowid());
        }
    }
    Ok(added)
}

/// Gives existing documents the rows of new fields and keys, and their class if that has become a matter.
fn fill(
    sql: &Connection,
    collection: &Collection,
    new_fields: &[i64],
    new_keys: &[i64],
    reclass: bool,
    rows: &mut Rows<'_>,
) -> Result<()> {
    let n = collection.number;
    let mut last = i64::MIN;
    loop {
        rows.write_pending(sql)?;
        let batch = documents_after(sql, n, last)?;
        let Some((id, ..)) = batch.last() else {
            return Ok(());
        };
        last = *id;
        for (row, oid, class, body) in batch {
            let damaged = |reason: String| StoreError::Damaged {
                collection: collection.name.clone(),
                id: connection::hex_of(&oid),
                reason,
            };
            let document = bson::RawDocumentBuf::from_bytes(body)
                .map_err(|error| damaged(error.to_string()))?;
            let bytes = document.as_bytes();
            for field in collection
                .fields
                .iter()
                .filter(|field| new_fields.contains(&field.number))
            {
                rows.insert_field(sql, collection, field, Row { id: row, class }, &oid, bytes)
                    .map_err(|error| error.or_damaged(damaged))?;
            }
            if reclass {
                rows.reclass(sql, collection, row, &oid, class, &document)
                    .map_err(|error| error.or_damaged(damaged))?;
            }
            if new_keys.is_empty() {
                continue;
            }
            let draft = Draft::stored(Arc::new(document));
            for key in collection
                .keys
                .iter()
                .filter(|key| new_keys.contains(&key.number))
            {
                let value = keys::unique(&draft, &key.fields)
                    .map_err(|error| damaged(error.to_string()))?;
                if let Some(value) = value {
                    sql.prepare_cached(&format!(
                        "INSERT OR IGNORE INTO key_{n}(number, key, oid) VALUES (?, ?, ?)"
                    ))?
                    .execute(params![key.number, value, oid])?;
                }
            }
        }
    }
}

/// A report, if several documents have the same values.
fn violation(sql: &Connection, collection: &Collection, key: &UniqueKey) -> Result<Option<String>> {
    let n = collection.number;
    let (groups, oldest): (i64, Option<Vec<u8>>) = sql.query_row(
        &format!(
            "SELECT count(*), min(first) FROM
                 (SELECT min(oid) AS first FROM key_{n} WHERE number = ? GROUP BY key HAVING count(*) > 1)"
        ),
        [key.number],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some(oldest) = oldest else {
        return Ok(None);
    };
    let fields = key
        .fields
        .iter()
        .map(FieldPath::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    Ok(Some(apply::violation(
        &collection.name,
        groups.unsigned_abs(),
        &fields,
        &connection::hex_of(&oldest),
    )))
}
