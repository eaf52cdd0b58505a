//! The embedded evaluator and MongoDB agree: on random conditions and documents, and on random orders of them.
//!
//! The seed is new with each run and printed when something differs; `CRITD_TEST_SEED` repeats a run.

use std::collections::BTreeMap;

use bson::Bson;
use bson::oid::ObjectId;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::super::compile::compile;
use super::*;
use crate::store::conformance::{
    any_body, any_filter, any_path, any_sort, any_test, compare, id, things, with_id, writes,
};
use crate::store::{SortKey, Visible, Write};

const ROUNDS: u32 = 4;
const DOCUMENTS: u32 = 250;
/// Conditions in each round that the server decides alone; there are about as many others.
const CONDITIONS: u32 = 100;

fn seed() -> u64 {
    match std::env::var("CRITD_TEST_SEED") {
        Ok(seed) => seed.parse().expect("CRITD_TEST_SEED is a number"),
        Err(_) => getrandom::u64().expect("random numbers"),
    }
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::default(), rng)
}

fn any<T: std::fmt::Debug>(runner: &mut TestRunner, of: &BoxedStrategy<T>) -> T {
    of.new_tree(runner).expect("a value").current()
}

/// Single tests as often as conditions made of several: those the server decides more often.
fn any_condition() -> BoxedStrategy<Filter> {
    prop_oneof![
        (any_path(), any_test()).prop_map(|(path, test)| Filter::Field(path, test)),
        any_filter(),
    ]
    .boxed()
}

struct Case {
    filter: Filter,
    sort: Vec<SortKey>,
}

/// What differs between the store's list and the evaluator; none if nothing does.
async fn difference(
    store: &Arc<dyn Store>,
    collection: &str,
    model: &BTreeMap<ObjectId, bson::Document>,
    case: &Case,
) -> Option<String> {
    let mut wanted: Vec<(ObjectId, &bson::Document)> = model
        .iter()
        .filter(|(_, body)| {
            let body = Bson::Document((*body).clone());
            case.filter.matches_element(&body).expect("evaluated")
        })
        .map(|(id, body)| (*id, body))
        .collect();
    wanted.sort_by(|a, b| compare(&case.sort, *a, *b));
    let wanted: Vec<ObjectId> = wanted.into_iter().map(|(id, _)| id).collect();
    let query = ListQuery {
        collection: collection.to_owned(),
        visible: Visible::All,
        filter: case.filter.clone(),
        sort: case.sort.clone(),
        offset: 0,
        limit: DOCUMENTS * 2,
    };
    let page = match store.list(&query).await {
        Ok(page) => page,
        Err(error) => return Some(format!("{error}: {:?}", compile(&case.filter))),
    };
    let found: Vec<ObjectId> = page.documents.iter().map(|document| document.id).collect();
    if found == wanted && page.total == wanted.len() as u64 {
        return None;
    }
    let odd = model
        .iter()
        .find(|(id, _)| found.contains(id) != wanted.contains(id));
    Some(match odd {
        Some((id, body)) => format!(
            "{:?}\nas {:?}\nfinds ({}) {body:?}",
            case.filter,
            compile(&case.filter),
            if wanted.contains(id) {
                "only the evaluator does"
            } else {
                "only MongoDB does"
            }
        ),
        None => format!(
            "the order {:?} differs: {found:?}, not {wanted:?}",
            case.sort
        ),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_evaluator_and_mongodb_agree_on_random_conditions_and_orders() {
    let (_scratch, store) = open().await;
    let seed = seed();
    let mut runner = runner(seed);
    let (bodies, conditions, sorts) = (any_body(), any_condition(), any_sort());
    let (mut conditions_met, mut decided_by_server) = (0_u32, 0_u32);
    let mut differences = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("things{round}");
        let spec = CollectionSpec {
            name: name.clone(),
            keys: Vec::new(),
            ..things()
        };
        store.declare(&[spec]).await.unwrap();
        let mut model = BTreeMap::new();
        let mut inserts = Vec::new();
        for number in 0..DOCUMENTS {
            let body = with_id(number, any(&mut runner, &bodies));
            model.insert(id(number), body.clone());
            inserts.push(Write::Insert {
                collection: name.clone(),
                body,
            });
        }
        store.commit(writes(inserts)).await.unwrap();
        while decided_by_server < CONDITIONS * (round + 1) {
            let case = Case {
                filter: any(&mut runner, &conditions),
                sort: any(&mut runner, &sorts),
            };
            differences.extend(difference(&store, &name, &model, &case).await);
            conditions_met += 1;
            decided_by_server += u32::from(compile(&case.filter).exact);
        }
    }
    assert!(
        differences.is_empty(),
        "CRITD_TEST_SEED={seed}: {} differences\n{}",
        differences.len(),
        differences.join("\n\n")
    );
    let (pairs, decided) = (conditions_met * DOCUMENTS, decided_by_server * DOCUMENTS);
    println!(
        "{pairs} pairs of condition and document, {decided} of them decided by the server; seed {seed}"
    );
    assert!(decided >= 100_000);
    store.close().await.unwrap();
}
