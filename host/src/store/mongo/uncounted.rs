//! Pages without a count: along an order, up to the end of the page.

use bson::{Document, doc};

use super::compile;
use super::errors::Trouble;
use super::list::{Look, Search, condition, server_order, stored};
use super::own;
use super::schema::Collection;
use crate::store::keys;
use crate::store::page::{Order, Place, order_of};
use crate::store::{ListQuery, SortKey, StoredDocument};

impl Look<'_> {
    pub(super) async fn uncounted(
        &mut self,
        collection: &Collection,
        query: &ListQuery,
        after: Option<&Place>,
    ) -> Result<Vec<StoredDocument>, Trouble> {
        let search = Search {
            collection,
            filter: &query.filter,
            compiled: compile::compile(&query.filter),
        };
        let found = condition(&search.compiled.query, &query.visible, None);
        let is_within = i64::try_from(query.offset).is_ok() && query.limit > 0;
        let (Some(condition), true) = (found, is_within) else {
            return Ok(Vec::new());
        };
        let Some(sort) = server_order(collection, &query.sort) else {
            return self.in_order(&search, query, condition, after).await;
        };
        let condition = match after {
            Some(place) => doc! { "$and": [condition, beyond(query.sort.first(), place)] },
            None => condition,
        };
        if search.compiled.exact {
            let mut found = self
                .handle(&collection.name)
                .find(condition)
                .sort(sort)
                .skip(query.offset)
                .limit(i64::from(query.limit))
                .allow_disk_use(true)
                .max_time(self.shared.options.longest_query)
                .session(&mut *self.session)
                .await?;
            let mut documents = Vec::new();
            while found.advance(self.session).await? {
                documents.push(stored(collection, found.current().to_owned())?);
            }
            return Ok(documents);
        }
        let mut candidates = self.candidates(&search, condition, Some(sort), &[]).await?;
        let (mut ids, mut skipped) = (Vec::new(), 0);
        while ids.len() < query.limit as usize
            && let Some((id, _)) = candidates.next(self.session, &search).await?
        {
            if skipped < query.offset {
                skipped += 1;
            } else {
                ids.push(id);
            }
        }
        drop(candidates);
        self.get_many(collection, &ids).await
    }

    /// The server has no keys for the order: all that meet the condition are put in order here.
    async fn in_order(
        &mut self,
        search: &Search<'_>,
        query: &ListQuery,
        condition: Document,
        after: Option<&Place>,
    ) -> Result<Vec<StoredDocument>, Trouble> {
        let (Some(place), Some(Order::Fields([key]))) = (after, order_of(&query.sort)) else {
            return Ok(self.page(search.collection, query).await?.documents);
        };
        let only = std::slice::from_ref(key);
        let mut candidates = self.candidates(search, condition, None, only).await?;
        let mut places = Vec::new();
        while let Some((id, body)) = candidates.next(self.session, search).await? {
            let sort_key = keys::sort_key(body.as_bytes(), &key.path)
                .map_err(|error| Trouble::damaged(&search.collection.name, id, error))?;
            let found = Place::new(sort_key, id);
            if found > *place {
                places.push(found);
            }
        }
        drop(candidates);
        places.sort_unstable();
        let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
        let page = places.iter().skip(offset).take(query.limit as usize);
        let ids: Vec<_> = page.map(Place::id).collect();
        self.get_many(search.collection, &ids).await
    }
}

/// What comes after a place in an ascending order that the server has keys for.
fn beyond(key: Option<&SortKey>, place: &Place) -> Document {
    let Some(key) = key.filter(|key| key.path.as_str() != "_id") else {
        return doc! { "_id": { "$gt": place.id() } };
    };
    let path = own::sort_path(&key.path);
    let text = own::text_of_key(place.key().to_vec());
    doc! { "$or": [
        { path.clone(): { "$gt": text.clone() } },
        { path: text, "_id": { "$gt": place.id() } },
    ] }
}
