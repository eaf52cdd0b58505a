//! How the server of the database finds a page: its own words, in the layout of every store.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};

use super::compile::compile;
use super::errors::Trouble;
use super::list::{Look, condition, server_order};
use super::schema::Collection;
use super::{MongoStore, own};
use crate::store::explain::{Considered, CountFrom, Explained, Kind, Rows, Step};
use crate::store::page::{Order, order_of};
use crate::store::{Direction, ListQuery};

/// Finds the page of a query, and asks the server how it did that.
pub(super) async fn explain(
    store: &MongoStore,
    collection: &Collection,
    query: &ListQuery,
) -> Result<Explained, Trouble> {
    let begun = Instant::now();
    let compiled = compile(&query.filter);
    let sort = server_order(collection, &query.sort);
    let Some(condition) = condition(&compiled.query, &query.visible, None) else {
        return Ok(Explained {
            engine: "MongoDB",
            way: "nothing can meet the condition".to_owned(),
            order: "as found".to_owned(),
            steps: vec![Step {
                kind: Kind::Nothing,
                what: "nothing can meet the condition".to_owned(),
                found: 0,
            }],
            planning: begun.elapsed(),
            ..Explained::default()
        });
    };
    let by_server = compiled.exact && sort.is_some();
    let mut find = doc! { "find": &collection.name, "filter": condition.clone() };
    if let Some(sort) = &sort {
        find.insert("sort", sort.clone());
    }
    if by_server {
        // The server refuses numbers above 2^63.
        find.insert("skip", i64::try_from(query.offset).unwrap_or(i64::MAX));
        find.insert("limit", i64::from(query.limit.max(1)));
    } else {
        let mut shown = doc! { "_id": 1, own::CLASS: 1 };
        if let Some(Order::Fields(keys)) = order_of(&query.sort) {
            for key in keys {
                shown.insert(key.path.root(), 1);
            }
        }
        find.insert("projection", shown);
    }
    let answer = store
        .shared
        .database
        .run_command(doc! { "explain": find, "verbosity": "executionStats" })
        .await?;
    let planned = begun.elapsed();
    let mut explained = of_answer(&answer);
    explained.planning = planned.saturating_sub(executing(&answer));
    let begun = Instant::now();
    let mut session = store.snapshot().await?;
    let mut look = Look {
        shared: &store.shared,
        session: &mut session,
    };
    if by_server {
        explained.total = look
            .handle(&collection.name)
            .count_documents(condition)
            .max_time(store.shared.options.longest_query)
            .session(&mut *look.session)
            .await?;
        explained.counting = begun.elapsed();
    }
    let begun = Instant::now();
    let page = look.page(collection, query).await?;
    let paging = begun.elapsed();
    explained.total = page.total;
    explained.returned = page.documents.len() as u64;
    if by_server {
        // A page is asked for together with its count.
        explained.paging = paging.saturating_sub(explained.counting);
    } else {
        explained.counting = paging;
        explained.way.push_str("; documents looked at by critd");
        explained.steps.push(Step {
            kind: Kind::Check,
            what: "documents looked at by critd".to_owned(),
            found: page.total,
        });
    }
    explained.order = match (sort, order_of(&query.sort)) {
        (Some(sort), _) => format!("by the server: {}", shown_sort(&sort)),
        (None, Some(Order::Id(Direction::Ascending))) => "as found".to_owned(),
        (None, _) => "documents found looked at".to_owned(),
    };
    explained.count = CountFrom::Found;
    Ok(explained)
}

fn shown_sort(sort: &Document) -> String {
    let fields: Vec<String> = sort
        .iter()
        .map(|(name, way)| {
            let sign = if way.as_i32() == Some(-1) { "-" } else { "" };
            format!("{sign}{name}")
        })
        .collect();
    fields.join(", ")
}

fn executing(answer: &Document) -> Duration {
    let millis = stats(answer).and_then(|stats| number(stats, "executionTimeMillis"));
    Duration::from_millis(millis.unwrap_or_default())
}

/// The figures of the whole; of a cluster, those of its router are sums.
fn stats(answer: &Document) -> Option<&Document> {
    answer.get_document("executionStats").ok()
}

fn number(document: &Document, name: &str) -> Option<u64> {
    match document.get(name)? {
        Bson::Int32(number) => u64::try_from(*number).ok(),
        Bson::Int64(number) => u64::try_from(*number).ok(),
        Bson::Double(number) => Some(*number as u64),
        _ => None,
    }
}

/// What the server says, read.
fn of_answer(answer: &Document) -> Explained {
    let figure = |name: &str| stats(answer).and_then(|stats| number(stats, name));
    let (keys, documents) = (figure("totalKeysExamined"), figure("totalDocsExamined"));
    let planner = answer.get_document("queryPlanner").ok();
    let winning = planner
        .and_then(|planner| planner.get_document("winningPlan").ok())
        .map(words)
        .unwrap_or_default();
    let rejected = planner
        .and_then(|planner| planner.get_array("rejectedPlans").ok())
        .into_iter()
        .flatten()
        .filter_map(Bson::as_document);
    let mut considered: Vec<Considered> = rejected
        .map(|plan| Considered {
            way: words(plan),
            rows: Rows::Unknown,
            chosen: false,
        })
        .collect();
    if !considered.is_empty() {
        considered.insert(
            0,
            Considered {
                way: winning.clone(),
                rows: Rows::Exactly(keys.unwrap_or_default()),
                chosen: true,
            },
        );
    }
    Explained {
        engine: "MongoDB",
        steps: vec![Step {
            kind: Kind::Server,
            what: winning.clone(),
            found: figure("nReturned").unwrap_or_default(),
        }],
        way: winning,
        considered,
        index_rows: keys.unwrap_or_default(),
        documents: documents.unwrap_or_default(),
        ..Explained::default()
    }
}

/// The stages of a plan from the last to the first, and the indexes they use.
fn words(plan: &Document) -> String {
    // The newer of the server's two engines has what the older one would do inside.
    if let Ok(plan) = plan.get_document("queryPlan") {
        return words(plan);
    }
    if let Ok(shards) = plan.get_array("shards") {
        let plans: Vec<String> = shards
            .iter()
            .filter_map(|shard| shard.as_document()?.get_document("winningPlan").ok())
            .map(words)
            .collect();
        return format!("on {} shards: {}", plans.len(), plans.join(" | "));
    }
    let stage = plan.get_str("stage").unwrap_or("?");
    let own = match plan.get_str("indexName") {
        Ok(index) => format!("{stage} {index}"),
        Err(_) => stage.to_owned(),
    };
    if let Ok(inner) = plan.get_document("inputStage") {
        return format!("{own} < {}", words(inner));
    }
    match plan.get_array("inputStages") {
        Ok(several) => {
            let several: Vec<String> = several
                .iter()
                .filter_map(Bson::as_document)
                .map(words)
                .collect();
            format!("{own} < ({})", several.join("; "))
        }
        Err(_) => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_understood() {
        let scan = doc! { "stage": "IXSCAN", "indexName": "value_1" };
        let fetch = doc! { "stage": "FETCH", "inputStage": scan.clone() };
        let answer = doc! {
            "queryPlanner": {
                "winningPlan": { "stage": "LIMIT", "inputStage": fetch.clone() },
                "rejectedPlans": [{ "stage": "OR", "inputStages": [scan.clone(), { "stage": "COLLSCAN" }] }],
            },
            "executionStats": { "nReturned": 3, "executionTimeMillis": 2_i64, "totalKeysExamined": 40, "totalDocsExamined": 7.0 },
        };
        let explained = of_answer(&answer);
        assert_eq!(explained.way, "LIMIT < FETCH < IXSCAN value_1");
        assert_eq!((explained.index_rows, explained.documents), (40, 7));
        assert_eq!(
            explained.considered,
            [
                Considered {
                    way: "LIMIT < FETCH < IXSCAN value_1".to_owned(),
                    rows: Rows::Exactly(40),
                    chosen: true
                },
                Considered {
                    way: "OR < (IXSCAN value_1; COLLSCAN)".to_owned(),
                    rows: Rows::Unknown,
                    chosen: false
                },
            ]
        );
        assert_eq!(executing(&answer), Duration::from_millis(2));
        let newer = doc! { "queryPlan": fetch, "slotBasedPlan": {} };
        assert_eq!(words(&newer), "FETCH < IXSCAN value_1");
        let cluster = doc! { "stage": "SHARD_MERGE", "shards": [{ "winningPlan": newer }, { "winningPlan": scan }] };
        assert_eq!(
            words(&cluster),
            "on 2 shards: FETCH < IXSCAN value_1 | IXSCAN value_1"
        );
    }
}
