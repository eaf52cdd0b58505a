//! Pages without a count: along an order, up to the end of the page.

use bson::oid::ObjectId;
use rusqlite::{ToSql, params};

use super::connection::{self, Link};
use super::list::{blob, get, is_heavy_condition, select, sort_key_of};
use super::schema::{Collection, Purpose};
use crate::store::filter::Filter;
use crate::store::page::{Order, Place, order_of};
use crate::store::{Direction, ListQuery, Result, StoredDocument};

/// How a page is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As if it were counted: the count costs nothing, or everything has to be looked at anyway.
    Counted,
    /// Few documents meet the condition: they are found first, then put in order.
    Found,
    /// In the order of ids, until the page is full.
    Ids(Direction),
    /// Along the entries of a sorted field, until the page is full.
    Sorted(i64, Direction),
}

pub(super) fn way(collection: &Collection, query: &ListQuery, after: Option<&Place>) -> Way {
    let is_cheap = !is_heavy_condition(collection, &query.filter);
    let order = order_of(&query.sort);
    let field = match &order {
        Some(Order::Fields([key])) => collection
            .field(&key.path, Purpose::Sort)
            .map(|field| (field.number, key.direction)),
        _ => None,
    };
    let is_narrow = is_cheap && !matches!(query.filter, Filter::All);
    match (after, field, order) {
        (Some(_), None, Some(Order::Id(Direction::Ascending))) if !is_narrow => {
            Way::Ids(Direction::Ascending)
        }
        (Some(_), None, _) => Way::Found,
        (Some(_), Some(_), _) if is_narrow => Way::Found,
        (Some(_), Some((field, direction)), _) => Way::Sorted(field, direction),
        (None, ..) if is_cheap => Way::Counted,
        (None, Some((field, direction)), _) => Way::Sorted(field, direction),
        (None, None, Some(Order::Id(direction))) => Way::Ids(direction),
        (None, None, _) => Way::Counted,
    }
}

/// The page. To be called within a read transaction.
pub(super) fn page(
    link: &Link,
    collection: &Collection,
    query: &ListQuery,
    after: Option<&Place>,
) -> Result<Vec<StoredDocument>> {
    let found = match way(collection, query, after) {
        Way::Found | Way::Counted => found(link, collection, query, after),
        Way::Ids(direction) => {
            link.begin_task(&query.visible, &query.filter);
            along_ids(link, collection, query, after, direction)
        }
        Way::Sorted(field, direction) => {
            link.begin_task(&query.visible, &query.filter);
            along_entries(link, collection, query, after, field, direction)
        }
    };
    let ids = found.map_err(|error| link.explain(&collection.name, error))?;
    let mut documents = Vec::with_capacity(ids.len());
    for id in ids {
        documents.extend(get(link, collection, id)?);
    }
    Ok(documents)
}

fn found(
    link: &Link,
    collection: &Collection,
    query: &ListQuery,
    after: Option<&Place>,
) -> Result<Vec<ObjectId>> {
    let mut places = Vec::new();
    for id in select(link, collection, &query.filter, None, u32::MAX)? {
        link.tick()?;
        let Some(document) = get(link, collection, id)? else {
            continue;
        };
        if !query.visible.allows(document.class) {
            continue;
        }
        let key = match query.sort.first() {
            Some(key) => sort_key_of(collection, id, document.body.as_bytes(), &key.path)?,
            None => Vec::new(),
        };
        let place = Place::new(key, id);
        if after.is_none_or(|after| place > *after) {
            places.push(place);
        }
    }
    places.sort_unstable();
    let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
    let page = places.into_iter().skip(offset).take(query.limit as usize);
    Ok(page.map(|place| place.id()).collect())
}

fn along_ids(
    link: &Link,
    collection: &Collection,
    query: &ListQuery,
    after: Option<&Place>,
    direction: Direction,
) -> Result<Vec<ObjectId>> {
    let n = collection.number;
    let way = word(direction);
    // The empty blob is before every id.
    let after = after.map_or_else(Vec::new, |place| place.id().bytes().to_vec());
    // CASE, since SQL does not promise that the cheap test comes first (pitfall P6).
    let text = format!(
        "SELECT oid FROM doc_{n} INDEXED BY dir_{n} WHERE oid > ? AND CASE WHEN sees(class) THEN holds(body, oid) ELSE 0 END
         ORDER BY oid {way} LIMIT ? OFFSET ?"
    );
    ids(link, &text, params![after, query.limit, offset(query)])
}

fn along_entries(
    link: &Link,
    collection: &Collection,
    query: &ListQuery,
    after: Option<&Place>,
    field: i64,
    direction: Direction,
) -> Result<Vec<ObjectId>> {
    let n = collection.number;
    let way = word(direction);
    let holds = format!(
        "CASE WHEN sees(s.class) THEN (SELECT holds(d.body, d.oid) FROM doc_{n} d WHERE d.oid = s.oid) ELSE 0 END"
    );
    match after {
        None => {
            let text = format!(
                "SELECT s.oid FROM sort_{n} s WHERE s.field = ? AND {holds} ORDER BY s.key {way}, s.oid LIMIT ? OFFSET ?"
            );
            ids(link, &text, params![field, query.limit, offset(query)])
        }
        Some(place) => {
            let text = format!(
                "SELECT s.oid FROM sort_{n} s WHERE s.field = ?1 AND s.key >= ?2 AND (s.key > ?2 OR s.oid > ?3) AND {holds}
                 ORDER BY s.key {way}, s.oid LIMIT ?4 OFFSET ?5"
            );
            let id = place.id().bytes();
            let values = params![field, place.key(), &id[..], query.limit, offset(query)];
            ids(link, &text, values)
        }
    }
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Ascending => "ASC",
        Direction::Descending => "DESC",
    }
}

fn offset(query: &ListQuery) -> i64 {
    i64::try_from(query.offset).unwrap_or(i64::MAX)
}

fn ids(link: &Link, text: &str, values: &[&dyn ToSql]) -> Result<Vec<ObjectId>> {
    let mut statement = link.sql.prepare_cached(text)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(connection::object_id(blob(row.get_ref(0)?))?);
    }
    Ok(found)
}
