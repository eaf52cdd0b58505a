//! Pages without a count.

use super::super::Direction::{Ascending, Descending};
use super::*;
use crate::store::Place;

fn ids_of(documents: &[StoredDocument]) -> Vec<ObjectId> {
    documents.iter().map(|document| document.id).collect()
}

async fn fill(store: &Shared) {
    declare(store).await;
    let documents = (0..120).map(|number| {
        let status = if number % 2 == 0 { "New" } else { "Old" };
        let mut body = doc! { "status": status, "odd": (number % 3) as i32, "value": format!("value {number}"), "unindexed": (number * 7 % 11) as i32,
                              "source": [source(if number % 5 == 0 { "b" } else { "a" }, &["red"])] };
        // Some lack it, and many have the same.
        if number % 4 != 0 {
            body.insert("size", (number % 10) as i32);
        }
        insert(number, body)
    });
    apply(store, documents.collect()).await;
}

fn filters() -> Vec<Filter> {
    vec![
        Filter::All,
        Filter::Nothing,
        eq("status", "New"),
        eq("odd", 1),
        Filter::And(vec![eq("status", "Old"), eq("odd", 2)]),
        Filter::Field(
            path("value"),
            Test::Matches(regex::Regex::new("1[0-4]$").unwrap()),
        ),
        Filter::Not(Box::new(eq("unindexed", 3))),
    ]
}

pub(crate) async fn pages_without_a_count_are_those_of_the_list(store: Shared) {
    fill(&store).await;
    let orders = [
        vec![],
        by("_id", Descending),
        by("size", Ascending),
        by("size", Descending),
        by("unindexed", Ascending),
        [by("status", Ascending), by("size", Descending)].concat(),
    ];
    for filter in filters() {
        for sort in &orders {
            for (offset, limit) in [(0, 7), (5, 7), (90, 40), (u64::MAX, 3), (0, 0)] {
                let query = ListQuery {
                    visible: seeing(&store, &["a"]),
                    sort: sort.clone(),
                    offset,
                    limit,
                    ..all(filter.clone())
                };
                let counted = store.list(&query).await.unwrap().documents;
                let uncounted = store.uncounted(&query, None).await.unwrap();
                assert_eq!(
                    ids_of(&uncounted),
                    ids_of(&counted),
                    "{filter:?} {sort:?} {offset} {limit}"
                );
            }
        }
    }
}

pub(crate) async fn an_order_continues_after_a_place(store: Shared) {
    fill(&store).await;
    for filter in filters() {
        for field in ["size", "unindexed", "status", "_id", ""] {
            let sort = match field {
                "" => Vec::new(),
                field => by(field, Ascending),
            };
            let whole = ListQuery {
                visible: seeing(&store, &["a"]),
                sort,
                ..all(filter.clone())
            };
            let expected = ids_of(&store.list(&whole).await.unwrap().documents);
            let query = ListQuery { limit: 9, ..whole };
            let (mut found, mut place) = (Vec::new(), Place::start());
            loop {
                let page = store.uncounted(&query, Some(&place)).await.unwrap();
                let Some(last) = page.last() else { break };
                place = match field {
                    "" => Place::new(Vec::new(), last.id),
                    field => Place::after(last, &path(field)).unwrap(),
                };
                found.extend(ids_of(&page));
            }
            assert_eq!(found, expected, "{filter:?} {field}");
        }
    }
}
