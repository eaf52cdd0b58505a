//! The page of a list and what `meta` says of it: counted, uncounted (`skip_total=1`), or the changes after a cursor.
//!
//! # Why a pull by cursor misses no change
//!
//! A pull reads documents in the order of (`modified`, `_id`). A change carries the time at which its request began, and is
//! seen some time after that: so a document may turn up *behind* a place that a reader has passed. How late is bounded:
//! [`plugins::LONGEST_CHANGE`] is the longest time after which a change is still handed to the store, and [`SETTLED`]
//! leaves as much again for the commit itself, clocks of several servers that differ, and reads of an older state. So
//! whatever is read now is complete up to `now - SETTLED`.
//!
//! * As long as the pages of a pull end before that, nothing can turn up behind them, and the place is all that a cursor says.
//! * With the first page that comes nearer to the present, the cursor takes down that point in time: changes after it may be
//!   missed. At the end the pull is continued from there, not from where it ended: what changed since is delivered again
//!   rather than lost, and so is what changes during a pull.
//!
//! Where dates are stored in a zone whose clocks are set back, a change may carry a time before that of an earlier one. So
//! during the hour before that moment nothing is settled that the hour after it may date back to.
//!
//! It would not hold if a clock were set back by more than half of [`SETTLED`]. The revisions of a store were no help: on
//! MongoDB they are taken before a commit, by several processes, so they have the same fault.
//!
//! [`plugins::LONGEST_CHANGE`]: crate::plugins::LONGEST_CHANGE

use serde_json::{Value as Json, json};

use super::failure::Failure;
use super::pipeline::Call;
use super::reading::Reader;
use crate::dates;
use crate::query::{CHANGED, Conditions, Cursor, Paging, Window};
use crate::store::{Direction, FieldPath, ListQuery, Place, SortKey, StoredDocument};

/// What was changed longer ago than this (ms) is seen by everybody who reads now.
const SETTLED: i64 = 2 * crate::plugins::LONGEST_CHANGE;

/// A page.
pub(super) struct Found {
    /// Its documents.
    pub(super) documents: Vec<StoredDocument>,
    /// What `meta` says of it, warnings excepted.
    pub(super) meta: Json,
}

/// Finds the page.
pub(super) async fn find(
    call: &Call<'_>,
    reader: &Reader,
    query: ListQuery,
    window: Window,
    paging: Paging,
) -> Result<Found, Failure> {
    let path = call.path_of(&reader.of.resource);
    let link = |query: Option<String>| query.map(|query| format!("{path}?{query}"));
    match paging {
        Paging::Counted => {
            let page = reader.list(&query).await?;
            Ok(Found {
                documents: page.documents,
                meta: counted(call, &path, window, page.total),
            })
        }
        Paging::Uncounted => {
            let (documents, more) = one_more(reader, query, None).await?;
            let meta = json!({
                "limit": window.limit,
                "next": link(window.next_of_uncounted(more, &call.parameters)),
                "offset": window.offset,
                "previous": link(window.previous(&call.parameters)),
                "total_count": null,
            });
            Ok(Found { documents, meta })
        }
        Paging::Changes => {
            let conditions = Conditions::of(&reader.of.resource, &call.parameters);
            let sent = call.parameters.last("cursor").unwrap_or_default();
            let cursor = Cursor::read(sent, conditions)?;
            let changed = FieldPath::literal(CHANGED);
            let query = ListQuery {
                sort: vec![SortKey {
                    path: changed.clone(),
                    direction: Direction::Ascending,
                }],
                offset: 0,
                ..query
            };
            // Before the state that is read.
            let settled = dates::now().saturating_sub(SETTLED);
            let settled = reader.zones.least_stored_from(settled);
            let (documents, more) = one_more(reader, query, Some(&cursor.place)).await?;
            let place = match documents.last() {
                Some(last) => Place::after(last, &changed).map_err(|error| {
                    Failure::Internal(format!("{} {}: {error}", reader.of.collection, last.id))
                })?,
                None => cursor.place,
            };
            let next = advance(place, cursor.unsettled, settled, more).text(conditions);
            let following = more.then(|| window.next_after(&next, &call.parameters));
            let meta = json!({
                "limit": window.limit,
                "next": link(following),
                "offset": 0,
                "previous": null,
                "total_count": null,
                "cursor": next,
                "at_end": !more,
            });
            Ok(Found { documents, meta })
        }
    }
}

/// `meta` of a page of a list that has so many elements in all. `path`: that of the list.
pub(super) fn counted(call: &Call<'_>, path: &str, window: Window, total: u64) -> Json {
    let link = |query: Option<String>| query.map(|query| format!("{path}?{query}"));
    json!({
        "limit": window.limit,
        "next": link(window.next(total, &call.parameters)),
        "offset": window.offset,
        "previous": link(window.previous(&call.parameters)),
        "total_count": total,
    })
}

/// The page of a list that is there as a whole.
pub(super) fn of_all<T>(all: Vec<T>, window: Window) -> impl Iterator<Item = T> {
    let first = usize::try_from(window.offset).unwrap_or(usize::MAX);
    all.into_iter().skip(first).take(window.limit as usize)
}

/// The cursor after a page that ended at `place`. `settled`: up to then the state it was read from is complete.
fn advance(place: Place, unsettled: Option<i64>, settled: i64, more: bool) -> Cursor {
    let is_near = place > Place::after_date(settled);
    let unsettled = unsettled.or(is_near.then_some(settled));
    if more {
        return Cursor { place, unsettled };
    }
    Cursor {
        place: match unsettled {
            Some(date) => place.min(Place::after_date(date)),
            None => place,
        },
        unsettled: None,
    }
}

/// The documents of a page, and whether there are more.
async fn one_more(
    reader: &Reader,
    query: ListQuery,
    after: Option<&Place>,
) -> Result<(Vec<StoredDocument>, bool), Failure> {
    let limit = query.limit as usize;
    let query = ListQuery {
        limit: query.limit.saturating_add(1),
        ..query
    };
    let mut documents = reader.uncounted(&query, after).await?;
    let more = documents.len() > limit;
    documents.truncate(limit);
    Ok((documents, more))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(date: i64) -> Place {
        Place::after_date(date)
    }

    #[test]
    fn a_pull_goes_on_before_what_it_may_have_missed() {
        let cursor = |place, unsettled| Cursor { place, unsettled };
        // Long ago: the place is all.
        assert_eq!(advance(at(50), None, 100, true), cursor(at(50), None));
        assert_eq!(advance(at(50), None, 100, false), cursor(at(50), None));
        // Near to the present: the first such point in time is kept to the end of the pull.
        assert_eq!(
            advance(at(150), None, 100, true),
            cursor(at(150), Some(100))
        );
        assert_eq!(
            advance(at(250), Some(100), 200, true),
            cursor(at(250), Some(100))
        );
        assert_eq!(
            advance(at(250), Some(100), 500, false),
            cursor(at(100), None)
        );
        assert_eq!(advance(at(150), None, 100, false), cursor(at(100), None));
        // Nothing was there at all.
        assert_eq!(
            advance(Place::start(), None, 100, false),
            cursor(Place::start(), None)
        );
    }
}
