//! Lists, counts and selections: finding ids, then order, then the page.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use bson::RawDocumentBuf;
use bson::oid::ObjectId;
use rusqlite::OptionalExtension;
use rusqlite::types::ValueRef;

use super::bodies::LARGE;
use super::connection::{self, Link};
use super::find::{Finder, Trace};
use super::keys;
use super::plan::{Plan, plan};
use super::schema::{Collection, Counts, Purpose};
use super::sorted;
use crate::store::explain::{CountFrom, Explained};
use crate::store::filter::Filter;
use crate::store::page::{Best, Order, order_of};
use crate::store::path::FieldPath;
use crate::store::{
    Direction, ListQuery, Page, Result, SortKey, StoreError, StoredDocument, Visible,
};

/// Fewer documents than these are looked at, to sort them, whatever there is besides.
const FEW: u64 = 1000;

/// A look at a document costs about as much as so many steps along the sort entries.
const LOOK: u64 = 20;

/// What a list needs besides the connection.
pub(super) struct Listing<'a> {
    link: &'a Link,
    collection: &'a Collection,
    query: &'a ListQuery,
    finder: Finder<'a>,
}

/// Does the query go through all documents or a whole index?
pub(super) fn is_heavy(collection: &Collection, query: &ListQuery) -> bool {
    let unsorted = order_of(&query.sort).is_some_and(|order| match order {
        Order::Id(_) => true,
        Order::Fields([one]) => collection.field(&one.path, Purpose::Sort).is_some(),
        Order::Fields(_) => false,
    });
    match plan(collection, &query.filter) {
        Some(Plan::Everything) => !unsorted,
        plan => plan.is_none_or(|plan| plan.weight() > 1),
    }
}

pub(super) fn is_heavy_condition(collection: &Collection, filter: &Filter) -> bool {
    !matches!(filter, Filter::All) && plan(collection, filter).is_none_or(|plan| plan.weight() > 1)
}

/// The page of a query. To be called within a read transaction, with the counts of that state.
pub(super) fn page(
    link: &Link,
    collection: &Collection,
    query: &ListQuery,
    counts: &Counts,
) -> Result<Page> {
    Listing::new(link, collection, query, counts, None)
        .answer()
        .map(|(page, _)| page)
}

/// How the page of a query is found. See [`page`].
pub(super) fn explain(
    link: &Link,
    collection: &Collection,
    query: &ListQuery,
    counts: &Counts,
) -> Result<Explained> {
    let trace = RefCell::new(Trace::default());
    let listing = Listing::new(link, collection, query, counts, Some(&trace));
    let (visible, all) = (
        listing.finder.visible_documents(),
        listing.finder.documents(),
    );
    let (_, mut explained) = listing.answer()?;
    let trace = trace.take();
    explained.steps = trace.steps;
    explained.considered = trace.considered;
    explained.order = trace.order;
    explained.visible = Some(visible);
    explained.all = Some(all);
    Ok(explained)
}

impl<'a> Listing<'a> {
    fn new(
        link: &'a Link,
        collection: &'a Collection,
        query: &'a ListQuery,
        counts: &'a Counts,
        trace: Option<&'a RefCell<Trace>>,
    ) -> Self {
        Self {
            link,
            collection,
            query,
            finder: Finder::among_visible(link, collection, &query.visible, counts, trace),
        }
    }

    fn answer(&self) -> Result<(Page, Explained)> {
        self.link
            .begin_task(&self.query.visible, &self.query.filter);
        let answer = self.try_answer();
        answer.map_err(|error| self.link.explain(&self.collection.name, error))
    }

    fn try_answer(&self) -> Result<(Page, Explained)> {
        let begun = Instant::now();
        let plan = plan(self.collection, &self.query.filter);
        let planned = Instant::now();
        let (found, total, count) = match &plan {
            // The count is known without a look at anything.
            Some(Plan::Everything) => (None, self.finder.visible_documents(), CountFrom::Classes),
            Some(plan) => self.counted(self.finder.find(plan)?),
            None => self.counted(self.finder.scan(&self.query.filter)?),
        };
        let counted = Instant::now();
        let (index_rows, documents_seen) = self.link.examined();
        let ids = match found {
            Some(found) => self.page_of(found)?,
            None => self.page_of_all()?,
        };
        let mut documents = Vec::with_capacity(ids.len());
        for id in ids {
            documents.extend(get(self.link, self.collection, id)?);
        }
        let (all_rows, all_seen) = self.link.examined();
        let explained = Explained {
            engine: "SQLite",
            way: plan
                .as_ref()
                .map_or_else(|| "look at every document".to_owned(), Plan::words),
            count,
            index_rows: all_rows.max(index_rows),
            documents: all_seen.max(documents_seen),
            total,
            returned: documents.len() as u64,
            planning: planned - begun,
            counting: counted - planned,
            paging: counted.elapsed(),
            ..Explained::default()
        };
        Ok((Page { documents, total }, explained))
    }

    fn counted(&self, found: Vec<ObjectId>) -> (Option<Vec<ObjectId>>, u64, CountFrom) {
        let total = found.len() as u64;
        (Some(found), total, CountFrom::Found)
    }

    /// How many ids the page and what is before it have.
    fn reach(&self) -> usize {
        usize::try_from(self.query.offset)
            .unwrap_or(usize::MAX)
            .saturating_add(self.query.limit as usize)
    }

    fn slice(&self, ids: Vec<ObjectId>) -> Vec<ObjectId> {
        let offset = usize::try_from(self.query.offset).unwrap_or(usize::MAX);
        ids.into_iter()
            .skip(offset)
            .take(self.query.limit as usize)
            .collect()
    }

    fn page_of_all(&self) -> Result<Vec<ObjectId>> {
        let visible = self.finder.visible_documents();
        if self.query.limit == 0 || self.query.offset >= visible {
            return Ok(Vec::new());
        }
        // Whoever sees little would go a long way until a page is full.
        let classes = matches!(self.query.visible, Visible::Classes(_));
        let way = (self.reach() as u64)
            .min(visible)
            .saturating_mul(self.finder.documents() / visible.max(1));
        match order_of(&self.query.sort) {
            None => Ok(Vec::new()),
            Some(Order::Id(_)) if classes && visible.saturating_mul(2) < way => {
                self.page_of(self.finder.ids_by_class()?)
            }
            Some(Order::Id(direction)) => self.walk_directory(direction),
            Some(Order::Fields(_)) if classes && visible.saturating_mul(2 * LOOK) < way => {
                self.page_of(self.finder.ids_by_class()?)
            }
            Some(Order::Fields([key]))
                if self.collection.field(&key.path, Purpose::Sort).is_some() =>
            {
                Ok(self.walk_sorted(key, None, u64::MAX)?.unwrap_or_default())
            }
            Some(Order::Fields(keys)) => {
                self.finder
                    .ordered(|| "every visible document looked at".to_owned());
                let n = self.collection.number;
                let mut statement = self
                    .link
                    .sql
                    .prepare_cached(&format!("SELECT oid, body FROM doc_{n} WHERE sees(class)"))?;
                let mut rows = statement.query([])?;
                let mut best = Best::new(keys, self.reach());
                while let Some(row) = rows.next()? {
                    self.link.looked();
                    let id = connection::object_id(blob(row.get_ref(0)?))?;
                    best.offer(id, self.sort_keys(id, blob(row.get_ref(1)?), keys)?);
                }
                Ok(self.slice(best.finish()))
            }
        }
    }

    /// In the order of ids, over the directory, from whichever end is nearer.
    fn walk_directory(&self, direction: Direction) -> Result<Vec<ObjectId>> {
        let visible = self.finder.visible_documents();
        let limit = (self.query.limit as u64).min(visible - self.query.offset);
        let behind = visible - self.query.offset - limit;
        let backwards = behind < self.query.offset;
        let skipped = if backwards { behind } else { self.query.offset };
        let way = match (direction, backwards) {
            (Direction::Ascending, false) | (Direction::Descending, true) => "ASC",
            (Direction::Descending, false) | (Direction::Ascending, true) => "DESC",
        };
        self.finder.ordered(|| {
            let end = if backwards { "end" } else { "beginning" };
            format!("along the directory from its {end}")
        });
        let n = self.collection.number;
        let mut statement = self.link.sql.prepare_cached(&format!(
            "SELECT oid, class FROM doc_{n} INDEXED BY dir_{n} ORDER BY oid {way}"
        ))?;
        let mut rows = statement.query([])?;
        let mut page = Vec::new();
        let mut skip = skipped;
        while let Some(row) = rows.next()? {
            self.link.tick()?;
            if !self.query.visible.allows(row.get(1)?) {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            page.push(connection::object_id(blob(row.get_ref(0)?))?);
            if page.len() as u64 >= limit {
                break;
            }
        }
        if backwards {
            page.reverse();
        }
        Ok(page)
    }

    fn walk_sorted(
        &self,
        key: &SortKey,
        among: Option<&HashSet<ObjectId>>,
        most: u64,
    ) -> Result<Option<Vec<ObjectId>>> {
        self.finder.ordered(|| match among {
            None => format!("along the order of `{}`", key.path),
            Some(_) => format!("along the order of `{}`, of those found", key.path),
        });
        let Some(field) = self.collection.field(&key.path, Purpose::Sort) else {
            return Ok(Some(Vec::new()));
        };
        let walk = sorted::Walk {
            link: self.link,
            collection: self.collection,
            field: field.number,
            key,
            visible: &self.query.visible,
            among,
            most,
            steps: Cell::new(0),
        };
        walk.page(self.query.offset, self.query.limit as usize)
    }

    /// The page of documents that were found, given in the order of ids.
    fn page_of(&self, mut found: Vec<ObjectId>) -> Result<Vec<ObjectId>> {
        if self.query.limit == 0 || self.query.offset >= found.len() as u64 {
            return Ok(Vec::new());
        }
        let keys = match order_of(&self.query.sort) {
            None => return Ok(Vec::new()),
            Some(Order::Id(direction)) => {
                if direction == Direction::Descending {
                    found.reverse();
                }
                self.finder.ordered(|| "as found".to_owned());
                return Ok(self.slice(found));
            }
            Some(Order::Fields(keys)) => keys,
        };
        let many = found.len() as u64;
        if let [key] = keys
            && self.collection.field(&key.path, Purpose::Sort).is_some()
            && many > FEW
        {
            // If those found lie evenly along the order, the page is full after so many entries. If not, the walk is given up
            // when it has cost as much as a look at each of them.
            let way = (self.reach() as u64).saturating_mul(self.finder.documents() / many);
            let looks = many.saturating_mul(LOOK);
            if way < looks || self.finder.documents() < looks {
                let among: HashSet<ObjectId> = found.iter().copied().collect();
                if let Some(page) = self.walk_sorted(key, Some(&among), looks)? {
                    return Ok(page);
                }
            }
        }
        self.finder
            .ordered(|| "documents found looked at".to_owned());
        let mut best = Best::new(keys, self.reach());
        for id in found {
            self.link.watch()?;
            let key = with_body(self.link, self.collection, id, |body| {
                self.sort_keys(id, body, keys)
            })?;
            best.offer(id, key.transpose()?.unwrap_or_default());
        }
        Ok(self.slice(best.finish()))
    }

    fn sort_keys(&self, id: ObjectId, body: &[u8], keys: &[SortKey]) -> Result<Vec<Vec<u8>>> {
        keys.iter()
            .map(|key| sort_key_of(self.collection, id, body, &key.path))
            .collect()
    }
}

pub(super) fn sort_key_of(
    collection: &Collection,
    id: ObjectId,
    body: &[u8],
    path: &FieldPath,
) -> Result<Vec<u8>> {
    keys::sort_key(body, path).map_err(|error| damaged(collection, id, error))
}

fn damaged(collection: &Collection, id: ObjectId, error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged {
        collection: collection.name.clone(),
        id: id.to_hex(),
        reason: error.to_string(),
    }
}

pub(super) fn blob(value: ValueRef<'_>) -> &[u8] {
    value.as_blob().unwrap_or_default()
}

/// The document with this id.
pub(super) fn get(
    link: &Link,
    collection: &Collection,
    id: ObjectId,
) -> Result<Option<StoredDocument>> {
    Ok(get_row(link, collection, id)?.map(|(_, document)| document))
}

/// The same, with its row.
pub(super) fn get_row(
    link: &Link,
    collection: &Collection,
    id: ObjectId,
) -> Result<Option<(i64, StoredDocument)>> {
    let n = collection.number;
    // The length is known without the body; a large one is perhaps in memory.
    let found: Option<(i64, u32, i64, Option<Vec<u8>>)> = link
        .sql
        .prepare_cached(&format!(
            "SELECT id, class, revision, CASE WHEN length(body) < {LARGE} OR lacks(revision) THEN body END
             FROM doc_{n} WHERE oid = ?"
        ))?
        .query_row([&id.bytes()[..]], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((row, class, revision, body)) = found else {
        return Ok(None);
    };
    let revision = revision.unsigned_abs();
    let known = match &body {
        None => link.bodies.get(revision),
        Some(_) => None,
    };
    let body = match (known, body) {
        (Some(known), _) => known,
        (None, body) => {
            let bytes = match body {
                Some(body) => Some(body),
                // It has been given up since.
                None => with_body(link, collection, id, <[u8]>::to_vec)?,
            };
            let body = RawDocumentBuf::from_bytes(bytes.unwrap_or_default())
                .map_err(|error| damaged(collection, id, error))?;
            let body = Arc::new(body);
            link.bodies.keep(id, revision, &body);
            body
        }
    };
    let document = StoredDocument {
        id,
        class,
        revision,
        body,
    };
    Ok(Some((row, document)))
}

/// Lets `look` see the bytes of a document.
pub(super) fn with_body<T>(
    link: &Link,
    collection: &Collection,
    id: ObjectId,
    look: impl FnOnce(&[u8]) -> T,
) -> Result<Option<T>> {
    let n = collection.number;
    let mut statement = link
        .sql
        .prepare_cached(&format!("SELECT body FROM doc_{n} WHERE oid = ?"))?;
    let mut rows = statement.query([&id.bytes()[..]])?;
    link.looked();
    match rows.next()? {
        Some(row) => Ok(Some(look(blob(row.get_ref(0)?)))),
        None => Ok(None),
    }
}

pub(super) fn meets(
    link: &Link,
    collection: &Collection,
    id: ObjectId,
    condition: &Filter,
) -> Result<bool> {
    match with_body(link, collection, id, |body| condition.matches_stored(body))? {
        Some(Ok(holds)) => Ok(holds),
        Some(Err(error)) => Err(damaged(collection, id, error)),
        None => Ok(false),
    }
}

/// Ids of all documents that meet the condition, ascending, at most `limit`, after `after`.
pub(super) fn select(
    link: &Link,
    collection: &Collection,
    filter: &Filter,
    after: Option<ObjectId>,
    limit: u32,
) -> Result<Vec<ObjectId>> {
    link.begin_task(&Visible::All, filter);
    try_select(link, collection, filter, after, limit)
        .map_err(|error| link.explain(&collection.name, error))
}

fn try_select(
    link: &Link,
    collection: &Collection,
    filter: &Filter,
    after: Option<ObjectId>,
    limit: u32,
) -> Result<Vec<ObjectId>> {
    let n = collection.number;
    // The empty blob is before every id.
    let after_bytes = after.map_or_else(Vec::new, |id| id.bytes().to_vec());
    let ids = |text: &str, parameters: &[&dyn rusqlite::ToSql]| -> Result<Vec<ObjectId>> {
        let mut statement = link.sql.prepare_cached(text)?;
        let mut rows = statement.query(parameters)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(connection::object_id(blob(row.get_ref(0)?))?);
        }
        Ok(found)
    };
    match plan(collection, filter) {
        None => {
            let text = format!(
                "SELECT oid FROM doc_{n} INDEXED BY dir_{n} WHERE oid > ? AND holds(body, oid) ORDER BY oid LIMIT ?"
            );
            ids(&text, &[&after_bytes, &limit])
        }
        Some(Plan::Everything) => {
            let text = format!(
                "SELECT oid FROM doc_{n} INDEXED BY dir_{n} WHERE oid > ? ORDER BY oid LIMIT ?"
            );
            ids(&text, &[&after_bytes, &limit])
        }
        Some(Plan::Equal { index, keys }) if keys.len() == 1 => {
            let text = format!(
                "SELECT oid FROM entry_{n} WHERE field = ? AND key = ? AND oid > ? ORDER BY oid LIMIT ?"
            );
            ids(&text, &[&index.number, &keys[0], &after_bytes, &limit])
        }
        Some(plan) => {
            let mut found = Finder::among_all(link, collection)?.find(&plan)?;
            found.retain(|id| after.is_none_or(|after| *id > after));
            found.truncate(limit as usize);
            Ok(found)
        }
    }
}
