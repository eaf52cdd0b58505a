//! Lists, counts and selections.
//!
//! What the server can decide, filter and order alike, it decides; then a page and its count are two queries in one
//! snapshot. Else the documents that may meet the condition come over as far as it looks at them, are looked at here,
//! and only the page is fetched in full.

use std::collections::HashMap;
use std::time::Instant;

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use futures_util::TryStreamExt as _;
use mongodb::{ClientSession, Collection as Handle, SessionCursor};

use super::Shared;
use super::compile::{self, Compiled, Query};
use super::errors::Trouble;
use super::own;
use super::schema::Collection;
use crate::store::class::Visible;
use crate::store::filter::Filter;
use crate::store::keys;
use crate::store::page::{Best, Order, order_of};
use crate::store::raw::Malformed;
use crate::store::{Direction, ListQuery, Page, SortKey, StoreError, StoredDocument};

/// Ids that are asked for at a time.
const MANY: usize = 1_000;

/// A look at one state of the database.
pub(super) struct Look<'a> {
    pub(super) shared: &'a Shared,
    pub(super) session: &'a mut ClientSession,
}

/// What a condition finds, and where.
pub(super) struct Search<'a> {
    pub(super) collection: &'a Collection,
    pub(super) filter: &'a Filter,
    pub(super) compiled: Compiled,
}

impl Look<'_> {
    pub(super) fn handle(&self, collection: &str) -> Handle<RawDocumentBuf> {
        self.shared.database.collection(collection)
    }

    pub(super) async fn page(
        &mut self,
        collection: &Collection,
        query: &ListQuery,
    ) -> Result<Page, Trouble> {
        let empty = Page {
            documents: Vec::new(),
            total: 0,
        };
        let search = Search {
            collection,
            filter: &query.filter,
            compiled: compile::compile(&query.filter),
        };
        let Some(condition) = condition(&search.compiled.query, &query.visible, None) else {
            return Ok(empty);
        };
        let sort = server_order(collection, &query.sort);
        if search.compiled.exact
            && let Some(sort) = sort
        {
            return self
                .page_by_server(collection, query, condition, sort)
                .await;
        }
        let (ids, total) = self
            .page_by_looking(&search, query, condition, sort)
            .await?;
        let documents = self.get_many(collection, &ids).await?;
        Ok(Page { documents, total })
    }

    async fn page_by_server(
        &mut self,
        collection: &Collection,
        query: &ListQuery,
        condition: Document,
        sort: Document,
    ) -> Result<Page, Trouble> {
        let handle = self.handle(&collection.name);
        let mut documents = Vec::new();
        let offset = i64::try_from(query.offset).ok();
        if let Some(offset) = offset.filter(|_| query.limit > 0) {
            let mut found = handle
                .find(condition.clone())
                .sort(sort)
                .skip(query.offset)
                .limit(i64::from(query.limit))
                .allow_disk_use(true)
                .max_time(self.shared.options.longest_query)
                .session(&mut *self.session)
                .await?;
            while found.advance(self.session).await? {
                documents.push(stored(collection, found.current().to_owned())?);
            }
            // The end was reached: no need to count.
            let reached = documents.len() < query.limit as usize && !documents.is_empty();
            if reached || (offset == 0 && documents.is_empty()) {
                let total = query.offset + documents.len() as u64;
                return Ok(Page { documents, total });
            }
        }
        let total = handle
            .count_documents(condition)
            .max_time(self.shared.options.longest_query)
            .session(&mut *self.session)
            .await?;
        Ok(Page { documents, total })
    }

    /// Ids of the page, and the count.
    async fn page_by_looking(
        &mut self,
        search: &Search<'_>,
        query: &ListQuery,
        condition: Document,
        sort: Option<Document>,
    ) -> Result<(Vec<ObjectId>, u64), Trouble> {
        let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
        let limit = query.limit as usize;
        if let Some(sort) = sort {
            let mut candidates = self.candidates(search, condition, Some(sort), &[]).await?;
            let (mut ids, mut total) = (Vec::new(), 0_u64);
            while let Some((id, _)) = candidates.next(self.session, search).await? {
                if total >= query.offset && ids.len() < limit {
                    ids.push(id);
                }
                total += 1;
            }
            return Ok((ids, total));
        }
        let keys: &[SortKey] = match order_of(&query.sort) {
            Some(Order::Fields(keys)) => keys,
            _ => &[],
        };
        let mut candidates = self.candidates(search, condition, None, keys).await?;
        let mut best = Best::new(keys, offset.saturating_add(limit));
        let mut total = 0_u64;
        while let Some((id, body)) = candidates.next(self.session, search).await? {
            total += 1;
            let keys = keys
                .iter()
                .map(|key| keys::sort_key(body.as_bytes(), &key.path))
                .collect::<Result<_, Malformed>>()
                .map_err(|error| Trouble::damaged(&search.collection.name, id, error))?;
            best.offer(id, keys);
        }
        let ids = best.finish().into_iter().skip(offset).take(limit).collect();
        Ok((ids, total))
    }

    pub(super) async fn candidates(
        &mut self,
        search: &Search<'_>,
        condition: Document,
        sort: Option<Document>,
        keys: &[SortKey],
    ) -> Result<Candidates, Trouble> {
        let handle = self.handle(&search.collection.name);
        let longest = self.shared.options.longest_query;
        let mut find = handle
            .find(condition)
            .allow_disk_use(true)
            .max_time(longest)
            .session(&mut *self.session);
        if let Some(sort) = sort {
            find = find.sort(sort);
        }
        let roots = if search.compiled.exact {
            Some(Default::default())
        } else {
            compile::roots(search.filter)
        };
        if let Some(roots) = roots {
            let mut projection = doc! { "_id": 1 };
            for root in roots
                .into_iter()
                .chain(keys.iter().map(|key| key.path.root()))
            {
                projection.insert(root, 1);
            }
            find = find.projection(projection);
        }
        Ok(Candidates {
            cursor: find.await?,
            end: Instant::now() + longest,
            longest,
        })
    }

    /// The documents with these ids, in the order asked.
    pub(super) async fn get_many(
        &mut self,
        collection: &Collection,
        ids: &[ObjectId],
    ) -> Result<Vec<StoredDocument>, Trouble> {
        let mut found: HashMap<ObjectId, StoredDocument> = HashMap::new();
        for part in ids.chunks(MANY) {
            let mut cursor = self
                .handle(&collection.name)
                .find(doc! { "_id": { "$in": part.to_vec() } })
                .session(&mut *self.session)
                .await?;
            while cursor.advance(self.session).await? {
                let document = stored(collection, cursor.current().to_owned())?;
                found.insert(document.id, document);
            }
        }
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }

    /// Ids of the documents that meet a condition, ascending.
    pub(super) async fn select(
        &mut self,
        collection: &Collection,
        filter: &Filter,
        after: Option<ObjectId>,
        limit: u32,
    ) -> Result<Vec<ObjectId>, Trouble> {
        let search = Search {
            collection,
            filter,
            compiled: compile::compile(filter),
        };
        let mut ids = Vec::new();
        let Some(condition) = condition(&search.compiled.query, &Visible::All, after) else {
            return Ok(ids);
        };
        if limit == 0 {
            return Ok(ids);
        }
        let sort = doc! { "_id": 1 };
        if search.compiled.exact {
            let mut found = self
                .handle(&collection.name)
                .find(condition)
                .sort(sort)
                .limit(i64::from(limit))
                .projection(doc! { "_id": 1 })
                .max_time(self.shared.options.longest_query)
                .session(&mut *self.session)
                .await?;
            while found.advance(self.session).await? {
                ids.extend(id_of(found.current()));
            }
            return Ok(ids);
        }
        let mut candidates = self.candidates(&search, condition, Some(sort), &[]).await?;
        while let Some((id, _)) = candidates.next(self.session, &search).await? {
            ids.push(id);
            if ids.len() >= limit as usize {
                break;
            }
        }
        Ok(ids)
    }

    /// Documents as they are stored, with what the store keeps in them.
    pub(super) async fn fields(
        &mut self,
        collection: &str,
        condition: Document,
        projection: Document,
    ) -> Result<Vec<Document>, Trouble> {
        let mut cursor: SessionCursor<Document> = self
            .shared
            .database
            .collection::<Document>(collection)
            .find(condition)
            .projection(projection)
            .session(&mut *self.session)
            .await?;
        Ok(cursor.stream(self.session).try_collect().await?)
    }
}

/// Documents that may meet a condition.
pub(super) struct Candidates {
    cursor: SessionCursor<RawDocumentBuf>,
    end: Instant,
    longest: std::time::Duration,
}

impl Candidates {
    /// The next that does.
    pub(super) async fn next(
        &mut self,
        session: &mut ClientSession,
        search: &Search<'_>,
    ) -> Result<Option<(ObjectId, &RawDocument)>, Trouble> {
        loop {
            if Instant::now() > self.end {
                return Err(StoreError::TooSlow(
                    u64::try_from(self.longest.as_millis()).unwrap_or(u64::MAX),
                )
                .into());
            }
            if !self.cursor.advance(session).await? {
                return Ok(None);
            }
            let body = self.cursor.current();
            // What has another kind of id is no document of ours.
            let Some(id) = id_of(body) else { continue };
            let holds = search.compiled.exact
                || search
                    .filter
                    .matches(body)
                    .map_err(|error| Trouble::damaged(&search.collection.name, id, error))?;
            if holds {
                break;
            }
        }
        let body = self.cursor.current();
        Ok(id_of(body).map(|id| (id, body)))
    }
}

fn id_of(document: &RawDocument) -> Option<ObjectId> {
    document.get_object_id("_id").ok()
}

/// A document as it lies in the database, taken apart.
pub(super) fn stored(
    collection: &Collection,
    raw: RawDocumentBuf,
) -> Result<StoredDocument, Trouble> {
    let id = id_of(&raw).unwrap_or(ObjectId::from_bytes([0; 12]));
    let (own, body) =
        own::split(raw).map_err(|error| Trouble::damaged(&collection.name, id, error))?;
    Ok(StoredDocument {
        id,
        class: own.class.unwrap_or_default(),
        revision: own.revision,
        body: std::sync::Arc::new(body),
    })
}

/// Condition, visibility and where to begin as one query; none: nothing can be found.
pub(super) fn condition(
    query: &Query,
    visible: &Visible,
    after: Option<ObjectId>,
) -> Option<Document> {
    let mut parts = Vec::new();
    match query {
        Query::Nothing => return None,
        Query::Everything => {}
        Query::Some(query) => parts.push(query.clone()),
    }
    if let Visible::Classes(set) = visible {
        parts.push(doc! { own::CLASS: seen(set)? });
    }
    if let Some(after) = after {
        parts.push(doc! { "_id": { "$gt": after } });
    }
    Some(match parts.len() {
        0 => doc! {},
        1 => parts.remove(0),
        _ => doc! { "$and": parts },
    })
}

/// The classes of a set, in the shortest form; none for an empty set. A class above the highest of the set is never
/// seen (pitfall P1).
fn seen(set: &crate::store::ClassSet) -> Option<Document> {
    let classes: Vec<i64> = set.iter().map(i64::from).collect();
    let (first, last) = (*classes.first()?, *classes.last()?);
    let between = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
    let missing = between.saturating_sub(classes.len());
    if missing == 0 && first == last {
        return Some(doc! { "$eq": first });
    }
    if missing < classes.len() / 2 {
        let mut bounds = doc! { "$gte": first, "$lte": last };
        if missing > 0 {
            let gaps: Vec<Bson> = (first..=last)
                .filter(|class| classes.binary_search(class).is_err())
                .map(Bson::from)
                .collect();
            bounds.insert("$nin", gaps);
        }
        return Some(bounds);
    }
    Some(doc! { "$in": classes })
}

/// The order as the server knows it; none if it has no keys for it.
pub(super) fn server_order(collection: &Collection, sort: &[SortKey]) -> Option<Document> {
    let way = |direction: Direction| match direction {
        Direction::Ascending => 1,
        Direction::Descending => -1,
    };
    match order_of(sort)? {
        Order::Id(direction) => Some(doc! { "_id": way(direction) }),
        Order::Fields(keys) => {
            let mut order = Document::new();
            for key in keys {
                if key.path.as_str() == "_id" {
                    order.insert("_id", way(key.direction));
                    return Some(order);
                }
                if !collection.is_sortable(&key.path) {
                    return None;
                }
                let path = own::sort_path(&key.path);
                // The same path again decides nothing.
                if !order.contains_key(&path) {
                    order.insert(path, way(key.direction));
                }
            }
            order.insert("_id", 1);
            Some(order)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ClassSet;

    #[test]
    fn classes_are_asked_for_in_the_shortest_form() {
        let shown = |classes: &[u32]| {
            let mut set = ClassSet::default();
            classes.iter().for_each(|class| set.insert(*class));
            seen(&set)
        };
        assert_eq!(shown(&[]), None);
        assert_eq!(shown(&[7]), Some(doc! { "$eq": 7_i64 }));
        assert_eq!(
            shown(&[1, 2, 3, 4]),
            Some(doc! { "$gte": 1_i64, "$lte": 4_i64 })
        );
        assert_eq!(
            shown(&[1, 2, 4, 5, 6]),
            Some(doc! { "$gte": 1_i64, "$lte": 6_i64, "$nin": [3_i64] })
        );
        assert_eq!(shown(&[1, 9]), Some(doc! { "$in": [1_i64, 9_i64] }));
    }
}
