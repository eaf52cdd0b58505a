//! The order of a list, and its first documents.

use std::cmp::Ordering;

use bson::oid::ObjectId;

use super::path::FieldPath;
use super::raw::Malformed;
use super::{Direction, SortKey, StoredDocument, keys, order};

/// A place in an order by one ascending field, ties broken by `_id`: after one document and before the next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The sort key of the document before it.
    key: Vec<u8>,
    /// Its id.
    id: ObjectId,
}

impl Place {
    /// Before all documents.
    #[must_use]
    pub fn start() -> Self {
        Self::new(Vec::new(), ObjectId::from_bytes([0; 12]))
    }

    /// Just after a document, in the order by this field.
    ///
    /// # Errors
    ///
    /// The document is damaged.
    pub fn after(document: &StoredDocument, field: &FieldPath) -> Result<Self, Malformed> {
        let body = document.body.as_bytes();
        Ok(Self::new(keys::sort_key(body, field)?, document.id))
    }

    /// After all documents with dates up to this one (ms since 1970), before those with a later one.
    #[must_use]
    pub fn after_date(date: i64) -> Self {
        let key = order::encode_bson(&bson::DateTime::from_millis(date).into());
        Self::new(key.unwrap_or_default(), ObjectId::from_bytes([0xFF; 12]))
    }

    /// By its parts, as they were answered before.
    #[must_use]
    pub fn new(key: Vec<u8>, id: ObjectId) -> Self {
        Self {
            key: keys::capped(key),
            id,
        }
    }

    /// The key of the document before it: opaque, ordered bytes.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The id of the document before it.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.id
    }
}

/// What sorts.
pub(crate) enum Order<'a> {
    Id(Direction),
    Fields(&'a [SortKey]),
}

/// `_id` decides alone, so what comes after it is dropped.
pub(crate) fn order_of(sort: &[SortKey]) -> Option<Order<'_>> {
    let position = sort.iter().position(|key| key.path.as_str() == "_id");
    match (position, sort) {
        (_, []) => Some(Order::Id(Direction::Ascending)),
        (Some(0), [first, ..]) => Some(Order::Id(first.direction)),
        // A last `_id` ascending is what breaks ties anyway.
        (Some(end), _) if sort[end].direction == Direction::Ascending => {
            Some(Order::Fields(&sort[..end]))
        }
        (Some(end), _) => Some(Order::Fields(&sort[..=end])),
        (None, _) => Some(Order::Fields(sort)),
    }
}

/// Keeps the first `reach` of what is offered.
pub(crate) struct Best<'a> {
    sort: &'a [SortKey],
    reach: usize,
    kept: Vec<(Vec<Vec<u8>>, ObjectId)>,
}

impl<'a> Best<'a> {
    pub(crate) fn new(sort: &'a [SortKey], reach: usize) -> Self {
        Self {
            sort,
            reach,
            kept: Vec::new(),
        }
    }

    pub(crate) fn offer(&mut self, id: ObjectId, keys: Vec<Vec<u8>>) {
        self.kept.push((keys, id));
        if self.kept.len() >= self.reach.saturating_mul(2).max(1024) {
            let sort = self.sort;
            if self.reach < self.kept.len() {
                self.kept
                    .select_nth_unstable_by(self.reach, |a, b| compare(sort, a, b));
                self.kept.truncate(self.reach);
            }
        }
    }

    pub(crate) fn finish(mut self) -> Vec<ObjectId> {
        let sort = self.sort;
        self.kept.sort_unstable_by(|a, b| compare(sort, a, b));
        self.kept.into_iter().map(|(_, id)| id).collect()
    }
}

fn compare(
    sort: &[SortKey],
    a: &(Vec<Vec<u8>>, ObjectId),
    b: &(Vec<Vec<u8>>, ObjectId),
) -> Ordering {
    for (key, (a, b)) in sort.iter().zip(a.0.iter().zip(&b.0)) {
        let order = directed(key.direction, a.cmp(b));
        if order != Ordering::Equal {
            return order;
        }
    }
    a.1.cmp(&b.1)
}

pub(crate) fn directed(direction: Direction, order: Ordering) -> Ordering {
    match direction {
        Direction::Ascending => order,
        Direction::Descending => order.reverse(),
    }
}
