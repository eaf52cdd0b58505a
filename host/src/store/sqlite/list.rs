//! Lists, counts and selections: finding ids by the plan, then order, then the page.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use bson::RawDocumentBuf;
use bson::oid::ObjectId;
use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, params};

use super::connection::{self, Link};
use super::keys;
use super::plan::{Plan, plan};
use super::schema::{Collection, Counts, Purpose};
use super::sorted;
use crate::store::filter::Filter;
use crate::store::page::{Best, Order, order_of};
use crate::store::path::FieldPath;
use crate::store::{
    Direction, ListQuery, Page, Result, SortKey, StoreError, StoredDocument, Visible,
};

/// Ids found, beyond which another index is consulted before documents are.
const FEW: usize = 1000;

/// What a list needs besides the connection.
pub(super) struct Listing<'a> {
    pub(super) link: &'a Link,
    pub(super) collection: &'a Collection,
    pub(super) query: &'a ListQuery,
    pub(super) counts: &'a Counts,
}

/// Does the query go through all documents or a whole index?
pub(super) fn is_heavy(collection: &Collection, query: &ListQuery) -> bool {
    let unsorted = order_of(&query.sort).is_some_and(|order| match order {
        Order::Id(_) => true,
        Order::Fields([one]) => collection.field(&one.path, Purpose::Sort).is_some(),
        Order::Fields(_) => false,
    });
    match &query.filter {
        Filter::All => !unsorted,
        filter => is_heavy_condition(collection, filter),
    }
}

pub(super) fn is_heavy_condition(collection: &Collection, filter: &Filter) -> bool {
    !matches!(filter, Filter::All) && plan(collection, filter).is_none_or(|plan| plan.cost() > 1)
}

impl Listing<'_> {
    /// The page. To be called within a read transaction, with the counts of that state.
    pub(super) fn page(&self) -> Result<Page> {
        self.link
            .begin_task(&self.query.visible, &self.query.filter);
        let answer = self.try_page();
        answer.map_err(|error| self.link.explain(&self.collection.name, error))
    }

    fn try_page(&self) -> Result<Page> {
        let (ids, total) = match &self.query.filter {
            Filter::All => (self.page_of_all()?, self.visible_count()),
            Filter::Nothing => (Vec::new(), 0),
            filter => {
                let found = self.find(filter)?;
                let total = found.len() as u64;
                (self.page_of(found)?, total)
            }
        };
        let mut documents = Vec::with_capacity(ids.len());
        for id in ids {
            documents.extend(get(self.link, self.collection, id)?);
        }
        Ok(Page { documents, total })
    }

    /// From the class counts, without a look at documents.
    fn visible_count(&self) -> u64 {
        let counts = self.counts.of(self.collection.number);
        match &self.query.visible {
            Visible::All => counts.iter().sum(),
            Visible::Classes(set) => set
                .iter()
                .map_while(|class| counts.get(class as usize))
                .sum(),
        }
    }

    fn all_count(&self) -> u64 {
        self.counts.of(self.collection.number).iter().sum()
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
        if self.query.limit == 0 || self.query.offset >= self.visible_count() {
            return Ok(Vec::new());
        }
        match order_of(&self.query.sort) {
            None => Ok(Vec::new()),
            Some(Order::Id(direction)) => self.walk_directory(direction),
            Some(Order::Fields([key]))
                if self.collection.field(&key.path, Purpose::Sort).is_some() =>
            {
                self.walk_sorted(key, None)
            }
            Some(Order::Fields(keys)) => {
                let n = self.collection.number;
                let mut statement = self
                    .link
                    .sql
                    .prepare_cached(&format!("SELECT oid, body FROM doc_{n} WHERE sees(class)"))?;
                let mut rows = statement.query([])?;
                let mut best = Best::new(keys, self.reach());
                while let Some(row) = rows.next()? {
                    let id = connection::object_id(blob(row.get_ref(0)?))?;
                    best.offer(id, self.sort_keys(id, blob(row.get_ref(1)?), keys)?);
                }
                Ok(self.slice(best.finish()))
            }
        }
    }

    /// In the order of ids, over the directory.
    fn walk_directory(&self, direction: Direction) -> Result<Vec<ObjectId>> {
        let n = self.collection.number;
        let way = match direction {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        };
        let mut statement = self.link.sql.prepare_cached(&format!(
            "SELECT oid, class FROM doc_{n} INDEXED BY dir_{n} ORDER BY oid {way}"
        ))?;
        let mut rows = statement.query([])?;
        let mut page = Vec::new();
        let mut skip = self.query.offset;
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
            if page.len() >= self.query.limit as usize {
                break;
            }
        }
        Ok(page)
    }

    fn walk_sorted(
        &self,
        key: &SortKey,
        among: Option<&HashSet<ObjectId>>,
    ) -> Result<Vec<ObjectId>> {
        let Some(field) = self.collection.field(&key.path, Purpose::Sort) else {
            return Ok(Vec::new());
        };
        let walk = sorted::Walk {
            link: self.link,
            collection: self.collection,
            field: field.number,
            key,
            visible: &self.query.visible,
            among,
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
            Some(Order::Id(Direction::Ascending)) => return Ok(self.slice(found)),
            Some(Order::Id(Direction::Descending)) => {
                found.reverse();
                return Ok(self.slice(found));
            }
            Some(Order::Fields(keys)) => keys,
        };
        // A look at a document costs about as much as twenty steps along the sort entries.
        if let [key] = keys
            && self.collection.field(&key.path, Purpose::Sort).is_some()
            && found.len() > FEW
            && found.len() as u64 * 20 > self.all_count()
        {
            let among: HashSet<ObjectId> = found.into_iter().collect();
            return self.walk_sorted(key, Some(&among));
        }
        let mut best = Best::new(keys, self.reach());
        for id in found {
            self.link.tick()?;
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

    /// Ids of the visible documents that meet the condition, ascending.
    fn find(&self, filter: &Filter) -> Result<Vec<ObjectId>> {
        match plan(self.collection, filter) {
            Some(plan) => find(
                self.link,
                self.collection,
                &self.query.visible,
                &plan,
                self.all_count(),
            ),
            None => scan(self.link, self.collection, filter),
        }
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
    let n = collection.number;
    let found: Option<(u32, i64, Vec<u8>)> = link
        .sql
        .prepare_cached(&format!(
            "SELECT class, revision, body FROM doc_{n} WHERE oid = ?"
        ))?
        .query_row([&id.bytes()[..]], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((class, revision, body)) = found else {
        return Ok(None);
    };
    let body = RawDocumentBuf::from_bytes(body).map_err(|error| damaged(collection, id, error))?;
    Ok(Some(StoredDocument {
        id,
        class,
        revision: revision.unsigned_abs(),
        body: Arc::new(body),
    }))
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
    match rows.next()? {
        Some(row) => Ok(Some(look(blob(row.get_ref(0)?)))),
        None => Ok(None),
    }
}

/// Looks at every visible document.
fn scan(link: &Link, collection: &Collection, filter: &Filter) -> Result<Vec<ObjectId>> {
    link.look_for(filter);
    let n = collection.number;
    // CASE, since SQL does not promise that the cheap test comes first (pitfall P6).
    let mut statement = link.sql.prepare_cached(&format!(
        "SELECT oid FROM doc_{n} NOT INDEXED WHERE CASE WHEN sees(class) THEN holds(body, oid) ELSE 0 END"
    ))?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(connection::object_id(blob(row.get_ref(0)?))?);
    }
    found.sort_unstable();
    Ok(found)
}

/// Ids of the visible documents that meet the condition, ascending, by its plan.
fn find(
    link: &Link,
    collection: &Collection,
    visible: &Visible,
    plan: &Plan,
    documents: u64,
) -> Result<Vec<ObjectId>> {
    let n = collection.number;
    let mut found = Vec::new();
    match plan {
        Plan::Nothing => {}
        Plan::Equal { field, keys } => {
            let mut statement = link.sql.prepare_cached(&format!(
                "SELECT oid, class FROM entry_{n} WHERE field = ? AND key = ?"
            ))?;
            for key in keys {
                let mut rows = statement.query(params![field, key])?;
                while let Some(row) = rows.next()? {
                    link.tick()?;
                    if visible.allows(row.get(1)?) {
                        found.push(connection::object_id(blob(row.get_ref(0)?))?);
                    }
                }
            }
        }
        Plan::Range { field, low, high } => {
            let from = if low.inclusive { ">=" } else { ">" };
            let to = if high.inclusive { "<=" } else { "<" };
            let mut statement = link.sql.prepare_cached(&format!(
                "SELECT oid, class FROM entry_{n} WHERE field = ? AND key {from} ? AND key {to} ?"
            ))?;
            let mut rows = statement.query(params![field, low.key, high.key])?;
            while let Some(row) = rows.next()? {
                link.tick()?;
                if visible.allows(row.get(1)?) {
                    found.push(connection::object_id(blob(row.get_ref(0)?))?);
                }
            }
        }
        Plan::Trigrams {
            field,
            query,
            condition,
        } => {
            link.look_for(condition);
            let mut statement = link.sql.prepare_cached(&format!(
                "SELECT d.oid FROM text_{field} t CROSS JOIN doc_{n} d ON d.id = t.rowid
                 WHERE text_{field} MATCH ? AND CASE WHEN sees(d.class) THEN holds(d.body, d.oid) ELSE 0 END"
            ))?;
            let mut rows = statement.query([query])?;
            while let Some(row) = rows.next()? {
                found.push(connection::object_id(blob(row.get_ref(0)?))?);
            }
        }
        Plan::Texts {
            field,
            expression,
            condition,
        } => {
            find_texts(
                link, collection, visible, *field, expression, condition, &mut found,
            )?;
        }
        Plan::Any(plans) => {
            for plan in plans {
                found.extend(find(link, collection, visible, plan, documents)?);
            }
        }
        Plan::All {
            plans,
            exact,
            condition,
        } => {
            return find_all(
                link, collection, visible, condition, plans, *exact, documents,
            );
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn find_texts(
    link: &Link,
    collection: &Collection,
    visible: &Visible,
    field: i64,
    expression: &regex::Regex,
    condition: &Filter,
    found: &mut Vec<ObjectId>,
) -> Result<()> {
    use crate::store::order::rank;
    let n = collection.number;
    let mut statement = link.sql.prepare_cached(&format!(
        "SELECT key, oid, class FROM entry_{n} WHERE field = ? AND key >= ? AND key < ?"
    ))?;
    let mut rows = statement.query(params![field, [rank::TEXT], [rank::TEXT + 1]])?;
    // Texts cut off in the index, and (never yet seen) such as are no UTF-8: their documents decide.
    let mut unsure = BTreeSet::new();
    while let Some(row) = rows.next()? {
        link.tick()?;
        if !visible.allows(row.get(2)?) {
            continue;
        }
        let key = blob(row.get_ref(0)?);
        let text = keys::text(key)
            .filter(|_| !keys::is_capped(key))
            .map(std::str::from_utf8);
        match text {
            Some(Ok(text)) if expression.is_match(text) => {
                found.push(connection::object_id(blob(row.get_ref(1)?))?)
            }
            Some(Ok(_)) => {}
            _ => {
                unsure.insert(connection::object_id(blob(row.get_ref(1)?))?);
            }
        }
    }
    for id in unsure {
        if meets(link, collection, id, condition)? {
            found.push(id);
        }
    }
    Ok(())
}

fn find_all(
    link: &Link,
    collection: &Collection,
    visible: &Visible,
    condition: &Filter,
    plans: &[Plan],
    exact: bool,
    documents: u64,
) -> Result<Vec<ObjectId>> {
    let Some((first, others)) = plans.split_first() else {
        return scan(link, collection, condition);
    };
    let mut found = find(link, collection, visible, first, documents)?;
    let mut complete = exact;
    for plan in others {
        // Few are sooner looked at than another index gone through.
        if found.is_empty() || (found.len() <= FEW && plan.cost() > 0) {
            complete = false;
            break;
        }
        let also = find(link, collection, visible, plan, documents)?;
        found.retain(|id| also.binary_search(id).is_ok());
    }
    if complete || found.is_empty() {
        return Ok(found);
    }
    if found.len() as u64 * 6 > documents && found.len() > FEW {
        return scan(link, collection, condition);
    }
    let mut kept = Vec::with_capacity(found.len());
    for id in found {
        link.tick()?;
        if meets(link, collection, id, condition)? {
            kept.push(id);
        }
    }
    Ok(kept)
}

fn meets(link: &Link, collection: &Collection, id: ObjectId, condition: &Filter) -> Result<bool> {
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
    if matches!(filter, Filter::All) {
        let text = format!(
            "SELECT oid FROM doc_{n} INDEXED BY dir_{n} WHERE oid > ? ORDER BY oid LIMIT ?"
        );
        return ids(&text, &[&after_bytes, &limit]);
    }
    match plan(collection, filter) {
        None => {
            let text = format!(
                "SELECT oid FROM doc_{n} INDEXED BY dir_{n} WHERE oid > ? AND holds(body, oid) ORDER BY oid LIMIT ?"
            );
            ids(&text, &[&after_bytes, &limit])
        }
        Some(Plan::Equal { field, keys }) if keys.len() == 1 => {
            let text = format!(
                "SELECT oid FROM entry_{n} WHERE field = ? AND key = ? AND oid > ? ORDER BY oid LIMIT ?"
            );
            ids(&text, &[&field, &keys[0], &after_bytes, &limit])
        }
        Some(plan) => {
            let mut found = find(link, collection, &Visible::All, &plan, u64::MAX)?;
            found.retain(|id| after.is_none_or(|after| *id > after));
            found.truncate(limit as usize);
            Ok(found)
        }
    }
}
