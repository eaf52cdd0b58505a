//! Whatever way the planner takes, it finds what the evaluator finds; and it takes all of its ways.
//!
//! The seed is new with each run and printed when something differs; `CRITD_TEST_SEED` repeats a run.

use std::collections::{BTreeMap, HashMap};

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocumentBuf, doc};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::opening::open_at;
use super::*;
use crate::store::conformance::{
    all, any_body, any_filter, any_operation, any_path, any_sort, any_test, apply, by, change,
    compare, declare, eq, id, insert, path, push, remove, seeing, set, source, with_id,
};
use crate::store::draft::{Draft, Effect};
use crate::store::explain::{Considered, CountFrom, Explained, Kind, Rows};
use crate::store::{Direction, FieldPath, Filter, ListQuery, Op, Test, Visible};

const DOCUMENTS: u32 = 400;
const QUERIES: u32 = 500;
/// Each kind of way is taken at least so often.
const OFTEN: usize = 5;

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

/// Fields that every document has, with values that make small and large sets, and whatever comes besides.
fn any_document() -> BoxedStrategy<Document> {
    let words = prop::sample::select(vec![
        "evil.example.com",
        "good.example.com",
        "EVIL.example.org",
        "plain text",
        "tail",
    ]);
    let statuses =
        prop::sample::select(vec!["New", "New", "New", "New", "New", "New", "Old", "Odd"]);
    let sources = prop::sample::select(vec!["s", "s", "s", "s", "s", "s", "s", "s", "t", "rare"]);
    let regular = (words, 0..1000_i32, statuses, sources, 0..500_i32);
    let regular = regular.prop_map(|(word, size, status, name, number)| {
        doc! { "value": format!("{word} {number}"), "size": size, "status": status, "list": [{ "number": number }],
               "other": number % 3, "source": [source(name, &["red"])] }
    });
    let odd = any_body().prop_map(|mut body| {
        body.entry("source".to_owned())
            .or_insert(Bson::Array(Vec::new()));
        body
    });
    prop_oneof![12 => regular, 1 => odd].boxed()
}

fn field(text: &str, test: Test) -> Filter {
    Filter::Field(path(text), test)
}

/// Conditions as people ask, of all the shapes that the planner has ways for.
fn any_condition() -> BoxedStrategy<Filter> {
    let pattern = prop::sample::select(vec![
        "(?i)evil",
        "evil",
        "xam",
        "(?i)ple.com 1",
        "tail 7",
        "^t",
        "[0-9]{3}$",
        "(?i)TEXT 4",
        "zzz",
    ]);
    let matches =
        (prop::sample::select(vec!["value", "status"]), pattern).prop_map(|(text, pattern)| {
            field(
                text,
                Test::Matches(regex::Regex::new(pattern).expect("pattern")),
            )
        });
    let low = (0..1000_i32).prop_map(|bound| field("size", Test::Gte(bound.into())));
    let high = (0..1000_i32).prop_map(|bound| field("size", Test::Lt(bound.into())));
    let span = (0..1000_i32, 0..300_i32).prop_map(|(from, width)| {
        Filter::And(vec![
            field("size", Test::Gt(from.into())),
            field("size", Test::Lte((from + width).into())),
        ])
    });
    let equal = prop_oneof![
        prop::sample::select(vec!["New", "Old", "Odd", "None"])
            .prop_map(|text| field("status", Test::Eq(text.into()))),
        (0..500_i32).prop_map(|number| field("list.number", Test::Eq(number.into()))),
        prop::collection::vec(0..1000_i32, 0..5).prop_map(|sizes| field(
            "size",
            Test::In(sizes.into_iter().map(Bson::from).collect())
        )),
    ];
    let unlike = prop_oneof![
        prop::sample::select(vec!["New", "Old", "None"])
            .prop_map(|text| field("status", Test::Ne(text.into()))),
        Just(field("status", Test::Nin(vec!["New".into(), "Odd".into()]))),
        (
            prop::sample::select(vec!["size", "tags", "value", "list.name"]),
            proptest::bool::ANY
        )
            .prop_map(|(text, there)| field(text, Test::Exists(there))),
    ];
    let bare = (0..3_i32).prop_map(|number| field("other", Test::Eq(number.into())));
    let element = (0..500_i32).prop_map(|number| {
        let inner = vec![
            field("number", Test::Eq(number.into())),
            field("name", Test::Exists(false)),
        ];
        Filter::Element(path("list"), Box::new(Filter::And(inner)))
    });
    let leaf = prop_oneof![
        4 => matches, 2 => low, 2 => high, 2 => span, 4 => equal, 3 => unlike, 2 => bare, 2 => element,
        3 => (any_path(), any_test()).prop_map(|(path, test)| Filter::Field(path, test)),
    ]
    .boxed();
    let several = |leaf: &BoxedStrategy<Filter>| prop::collection::vec(leaf.clone(), 2..4);
    prop_oneof![
        1 => Just(Filter::All),
        1 => Just(Filter::Nothing),
        6 => leaf.clone(),
        4 => several(&leaf).prop_map(Filter::And),
        3 => several(&leaf).prop_map(Filter::Or),
        1 => leaf.clone().prop_map(|condition| Filter::Not(Box::new(condition))),
        2 => any_filter(),
    ]
    .boxed()
}

/// Documents by their ids, decoded and as bytes.
type Model = BTreeMap<ObjectId, (Document, RawDocumentBuf)>;

fn known(body: Document) -> (Document, RawDocumentBuf) {
    let bytes = body.to_vec().expect("bytes");
    let raw = RawDocumentBuf::from_bytes(bytes).expect("a document");
    (body, raw)
}

/// What a list must answer: ids of the page, and the count.
fn wanted(model: &Model, query: &ListQuery, names: Option<&[&str]>) -> (Vec<ObjectId>, u64) {
    let visible = |body: &Document| {
        let Some(names) = names else { return true };
        body.get_array("source").is_ok_and(|list| {
            list.iter().any(|entry| {
                let name = entry
                    .as_document()
                    .and_then(|entry| entry.get_str("name").ok());
                name.is_some_and(|name| names.contains(&name))
            })
        })
    };
    let mut meeting: Vec<(ObjectId, &Document)> = model
        .iter()
        .filter(|(_, (body, _))| visible(body))
        .filter(|(_, (_, raw))| query.filter.matches(raw).expect("evaluated"))
        .map(|(id, (body, _))| (*id, body))
        .collect();
    meeting.sort_by(|a, b| compare(&query.sort, *a, *b));
    let total = meeting.len() as u64;
    let page = meeting.into_iter().map(|(id, _)| id);
    let page = page.skip(query.offset as usize).take(query.limit as usize);
    (page.collect(), total)
}

/// Operations as a handler would have sent them, and what they make of a document.
fn changed(body: &Document, operations: Vec<Op>) -> (Vec<Op>, Document) {
    let mut draft = Draft::fresh(body).expect("body");
    let mut seen = Vec::new();
    for mut operation in operations {
        let Ok(effect) = draft.apply(&operation) else {
            continue;
        };
        match (&mut operation, effect) {
            (Op::PushUnique { added, .. }, effect) => *added = effect != Effect::Unchanged,
            (Op::Pull { removed, .. }, Effect::Changed(count)) => *removed = count,
            (Op::Pull { removed, .. }, Effect::Unchanged) => *removed = 0,
            _ => {}
        }
        seen.push(operation);
    }
    let after = Document::try_from(draft.to_raw().as_ref()).expect("document");
    (seen, after)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_finds_what_the_evaluator_finds() {
    let (_folder, store) = open().await;
    declare(&store).await;
    let seed = seed();
    let mut runner = runner(seed);
    let (documents, conditions, sorts) = (any_document(), any_condition(), any_sort());
    let operations = prop::collection::vec(any_operation(), 1..4).boxed();
    let mut model = Model::new();
    let mut inserts = Vec::new();
    for number in 0..DOCUMENTS {
        let body = any(&mut runner, &documents);
        model.insert(id(number), known(with_id(number, body.clone())));
        inserts.push(insert(number, body));
    }
    apply(&store, inserts).await;
    let mut met: HashMap<Kind, usize> = HashMap::new();
    let readers: [Option<&[&str]>; 4] = [None, Some(&["s", "t"]), Some(&["rare"]), Some(&[])];
    for number in 0..QUERIES {
        if number % 5 == 0 {
            let number = number * 7 % DOCUMENTS;
            let Some((body, _)) = model.get(&id(number)).cloned() else {
                continue;
            };
            if number.is_multiple_of(50) {
                apply(&store, vec![remove(number)]).await;
                model.remove(&id(number));
                continue;
            }
            let (operations, after) = changed(&body, any(&mut runner, &operations));
            apply(&store, vec![change(number, operations)]).await;
            model.insert(id(number), known(after));
        }
        let names = readers[number as usize % 4];
        let visible = names.map_or(Visible::All, |names| seeing(&store, names));
        let query = ListQuery {
            visible,
            sort: any(&mut runner, &sorts),
            offset: [0, 3, 40, 300][number as usize / 4 % 4],
            limit: [20, 7, 1000][number as usize % 3],
            ..all(any(&mut runner, &conditions))
        };
        let explained = store.explain(&query).await.expect("explained");
        let page = store.list(&query).await.expect("a page");
        let found: Vec<ObjectId> = page.documents.iter().map(|document| document.id).collect();
        let right = wanted(&model, &query, names);
        assert_eq!(
            (found, page.total),
            right,
            "CRITD_TEST_SEED={seed}: {query:?}\n{explained:?}"
        );
        assert_eq!(
            (explained.returned, explained.total),
            (right.0.len() as u64, right.1)
        );
        if matches!(query.visible, Visible::All) {
            let selected = store
                .select("things", &query.filter, Some(id(100)), 50)
                .await
                .expect("a selection");
            let behind = ListQuery {
                sort: Vec::new(),
                offset: 0,
                limit: u32::MAX,
                ..query.clone()
            };
            let behind = wanted(&model, &behind, None)
                .0
                .into_iter()
                .filter(|found| *found > id(100));
            assert_eq!(
                selected,
                behind.take(50).collect::<Vec<_>>(),
                "CRITD_TEST_SEED={seed}: {:?}",
                query.filter
            );
        }
        for step in explained.steps {
            *met.entry(step.kind).or_default() += 1;
        }
    }
    let kinds = [
        Kind::Nothing,
        Kind::Directory,
        Kind::Classes,
        Kind::Equal,
        Kind::Range,
        Kind::Between,
        Kind::Present,
        Kind::Trigrams,
        Kind::Texts,
        Kind::Except,
        Kind::Intersection,
        Kind::Union,
        Kind::Check,
        Kind::Scan,
    ];
    for kind in kinds {
        let times = met.get(&kind).copied().unwrap_or_default();
        assert!(
            times >= OFTEN,
            "CRITD_TEST_SEED={seed}: {kind:?} {times} times"
        );
    }
}

/// Two thousand documents: all `New`, three of them with `needle` in their value, sizes from 0 on.
async fn two_thousand(store: &Arc<dyn Store>) {
    declare(store).await;
    let documents = (0..2000).map(|number| {
        let word = if number % 700 == 5 { "needle" } else { "straw" };
        let name = if number % 500 == 0 { "rare" } else { "usual" };
        insert(
            number,
            doc! { "value": format!("{word} {number}"), "status": "New", "size": number as i32,
            "source": [source(name, &["red"])] },
        )
    });
    apply(store, documents.collect()).await;
}

async fn explained(store: &Arc<dyn Store>, query: &ListQuery) -> Explained {
    store.explain(query).await.expect("explained")
}

fn needle() -> Filter {
    field(
        "value",
        Test::Matches(regex::Regex::new("(?i)needle").expect("pattern")),
    )
}

fn considered(way: &str, rows: Rows, chosen: bool) -> Considered {
    Considered {
        way: way.to_owned(),
        rows,
        chosen,
    }
}

#[tokio::test]
async fn the_smallest_index_comes_first() {
    let (_folder, store) = open().await;
    two_thousand(&store).await;
    let found = explained(
        &store,
        &all(Filter::And(vec![eq("status", "New"), needle()])),
    )
    .await;
    assert_eq!(found.total, 3);
    assert_eq!(
        found.way,
        "all of: index `status`: equal to one value; trigrams of `value`"
    );
    let first = &found.considered[0];
    assert_eq!(
        *first,
        considered("trigrams of `value`", Rows::Exactly(3), true)
    );
    assert!(
        found.considered.contains(&considered(
            "index `status`: equal to one value",
            Rows::AtLeast(64),
            false
        )),
        "{:?}",
        found.considered
    );
    // Three texts and three documents instead of two thousand entries.
    assert_eq!((found.index_rows, found.documents), (3, 3));
    let found = explained(
        &store,
        &all(Filter::And(vec![eq("other", Bson::Null), eq("size", 7)])),
    )
    .await;
    assert_eq!((found.total, found.index_rows, found.documents), (1, 1, 1));
    assert_eq!(
        found.way,
        "index `size`: equal to one value; documents looked at"
    );
}

#[tokio::test]
async fn a_range_with_both_ends_is_one_range() {
    let (_folder, store) = open().await;
    two_thousand(&store).await;
    let span = |from: i32, to: i32| {
        all(Filter::And(vec![
            field("size", Test::Gte(from.into())),
            field("size", Test::Lt(to.into())),
        ]))
    };
    let found = explained(&store, &span(990, 1010)).await;
    assert_eq!(
        (found.total, found.index_rows, found.documents),
        (20, 20, 0)
    );
    assert_eq!(found.way, "index `size`: range with both ends");
    // A document that keeps each bound with another value.
    apply(&store, vec![change(5, vec![set("size", vec![1, 1500])])]).await;
    let found = explained(&store, &span(990, 1010)).await;
    assert_eq!(
        (found.total, found.index_rows, found.documents),
        (21, 21, 1)
    );
    apply(&store, vec![change(6, vec![set("size", vec![3])])]).await;
    apply(&store, vec![change(6, vec![push("size", 1600)])]).await;
    assert_eq!(explained(&store, &span(990, 1010)).await.total, 22);
    apply(&store, vec![change(5, vec![set("size", 1)]), remove(6)]).await;
    let found = explained(&store, &span(990, 1010)).await;
    assert_eq!(
        (found.total, found.index_rows, found.documents),
        (20, 20, 0)
    );
}

#[tokio::test]
async fn what_is_not_there_is_found_by_what_is() {
    let (_folder, store) = open().await;
    two_thousand(&store).await;
    apply(
        &store,
        vec![change(
            9,
            vec![set("status", "Old"), set("tags", vec!["a"])],
        )],
    )
    .await;
    for (filter, total) in [
        (field("status", Test::Ne("New".into())), 1),
        (field("status", Test::Nin(vec!["Old".into()])), 1999),
        (field("tags", Test::Exists(true)), 1),
        (field("tags", Test::Exists(false)), 1999),
        (Filter::Not(Box::new(eq("status", "Old"))), 1999),
    ] {
        let found = explained(&store, &all(filter.clone())).await;
        assert_eq!((found.total, found.documents), (total, 0), "{filter:?}");
    }
    // With a condition that few meet, the few are compared with the others.
    let both = Filter::And(vec![field("status", Test::Ne("Old".into())), needle()]);
    let found = explained(&store, &all(both)).await;
    assert_eq!((found.total, found.documents), (3, 0));
    assert_eq!(
        found.steps.last().map(|step| step.what.as_str()),
        Some("without index `status`: equal to one value")
    );
}

#[tokio::test]
async fn who_sees_little_looks_at_little() {
    let (_folder, store) = open().await;
    two_thousand(&store).await;
    let query = |filter, sort| ListQuery {
        visible: seeing(&store, &["rare"]),
        sort,
        ..all(filter)
    };
    let found = explained(&store, &query(Filter::All, Vec::new())).await;
    assert_eq!((found.total, found.index_rows, found.documents), (4, 4, 0));
    assert_eq!((found.visible, found.all), (Some(4), Some(2000)));
    assert_eq!(found.count, CountFrom::Classes);
    let found = explained(
        &store,
        &query(Filter::All, by("value", Direction::Descending)),
    )
    .await;
    assert_eq!((found.total, found.index_rows, found.documents), (4, 4, 4));
    assert_eq!(found.order, "documents found looked at");
    let found = explained(&store, &query(eq("other", Bson::Null), Vec::new())).await;
    assert_eq!((found.total, found.index_rows, found.documents), (4, 4, 4));
    assert_eq!(
        found.considered,
        [
            considered(
                "visible classes; documents looked at",
                Rows::Exactly(4),
                true
            ),
            considered("look at every document", Rows::Exactly(2000), false)
        ]
    );
}

#[tokio::test]
async fn a_page_is_reached_from_the_nearer_end() {
    let (_folder, store) = open().await;
    two_thousand(&store).await;
    let query = |offset, direction| ListQuery {
        sort: by("_id", direction),
        offset,
        limit: 20,
        ..all(Filter::All)
    };
    for (offset, direction, rows, order) in [
        (
            0,
            Direction::Ascending,
            20,
            "along the directory from its beginning",
        ),
        (
            1970,
            Direction::Ascending,
            30,
            "along the directory from its end",
        ),
        (
            1990,
            Direction::Descending,
            10,
            "along the directory from its end",
        ),
        (
            50,
            Direction::Descending,
            70,
            "along the directory from its beginning",
        ),
    ] {
        let query = query(offset, direction);
        let found = explained(&store, &query).await;
        assert_eq!(
            (found.index_rows, found.order.as_str()),
            (rows, order),
            "{offset} {direction:?}"
        );
        let page = store.list(&query).await.expect("page");
        let first = match direction {
            Direction::Ascending => offset as u32,
            Direction::Descending => 1999 - offset as u32,
        };
        assert_eq!(
            page.documents.first().map(|document| document.id),
            Some(id(first))
        );
    }
    let sorted = ListQuery {
        sort: by("size", Direction::Descending),
        limit: 5,
        ..all(Filter::All)
    };
    let found = explained(&store, &sorted).await;
    assert_eq!(found.order, "along the order of `size`");
    assert!(found.index_rows < 10, "{}", found.index_rows);
}

/// Those found lie at one end of the order: from there the page is full at once, from the other the walk costs more than a
/// look at each of them.
#[tokio::test]
async fn a_walk_that_goes_too_far_is_given_up() {
    const DOCUMENTS: u32 = 21_100;
    const FOUND: u32 = 1_001;
    let (_folder, store) = open().await;
    declare(&store).await;
    for first in (0..DOCUMENTS).step_by(1_000) {
        let documents = (first..DOCUMENTS.min(first + 1_000)).map(|number| {
            let status = match number < DOCUMENTS - FOUND {
                true => "New",
                false => "Old",
            };
            insert(number, doc! { "status": status, "size": number as i32 })
        });
        apply(&store, documents.collect()).await;
    }
    for (direction, order, first) in [
        (
            Direction::Descending,
            "along the order of `size`, of those found",
            DOCUMENTS - 1,
        ),
        (
            Direction::Ascending,
            "documents found looked at",
            DOCUMENTS - FOUND,
        ),
    ] {
        let query = ListQuery {
            sort: by("size", direction),
            limit: 3,
            ..all(eq("status", "Old"))
        };
        assert_eq!(explained(&store, &query).await.order, order);
        let page = store.list(&query).await.expect("page");
        let ids: Vec<_> = page.documents.iter().map(|document| document.id).collect();
        let wanted = (0..3).map(|place| match direction {
            Direction::Ascending => id(first + place),
            Direction::Descending => id(first - place),
        });
        assert_eq!(ids, wanted.collect::<Vec<_>>());
        assert_eq!(page.total, u64::from(FOUND));
    }
}

/// The tables that layout 3 added are made of what is there, in place.
#[tokio::test]
async fn a_store_of_layout_2_is_raised() {
    let (folder, store) = open().await;
    two_thousand(&store).await;
    apply(
        &store,
        vec![
            change(
                5,
                vec![
                    set("size", vec![1, 1500]),
                    set("value", vec!["a needle", "b"]),
                ],
            ),
            change(6, vec![set("value", "NEEDLE ".repeat(400))]),
        ],
    )
    .await;
    let queries: Vec<ListQuery> = [
        Filter::And(vec![
            field("size", Test::Gte(990.into())),
            field("size", Test::Lt(1010.into())),
        ]),
        needle(),
        eq("other", Bson::Null),
    ]
    .into_iter()
    .flat_map(|filter| {
        [
            Visible::All,
            seeing(&store, &["rare"]),
            seeing(&store, &["usual"]),
        ]
        .map(|visible| ListQuery {
            visible,
            ..all(filter.clone())
        })
    })
    .collect();
    let mut before = Vec::new();
    for query in &queries {
        let found = explained(&store, query).await;
        before.push((found.total, found.index_rows, found.documents, found.steps));
    }
    store.close().await.expect("closed");
    drop(store);
    let sql = rusqlite::Connection::open(folder.path().join("critd.db")).expect("database");
    let values: Vec<String> = sql
        .prepare("SELECT name FROM sqlite_schema WHERE name GLOB 'value_[0-9]*'")
        .and_then(|mut statement| {
            let names = statement.query_map([], |row| row.get(0))?;
            names.collect()
        })
        .expect("names");
    assert!(!values.is_empty());
    for table in values {
        sql.execute_batch(&format!("DROP TABLE {table}"))
            .expect("dropped");
    }
    sql.execute_batch(
        "DROP INDEX seen_1; DROP INDEX seen_2; DELETE FROM entry_1 WHERE field < 0; PRAGMA user_version = 2",
    )
    .expect("as layout 2");
    drop(sql);
    let store = open_at(&folder);
    for (query, before) in queries.iter().zip(before) {
        let found = explained(&store, query).await;
        assert_eq!(
            (found.total, found.index_rows, found.documents, found.steps),
            before
        );
    }
    let verdict: String = rusqlite::Connection::open(folder.path().join("critd.db"))
        .and_then(|sql| sql.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .expect("checked");
    assert_eq!(verdict, "ok");
}

#[tokio::test]
async fn a_store_that_is_served_is_not_raised() {
    let (folder, store) = open().await;
    declare(&store).await;
    let serving = SqliteStore::open(folder.path(), Options::default()).expect("opened");
    serving.lock_exclusively().expect("locked");
    let sql = rusqlite::Connection::open(folder.path().join("critd.db")).expect("database");
    sql.execute_batch("PRAGMA user_version = 2")
        .expect("as layout 2");
    let refused = SqliteStore::open(folder.path(), Options::default()).err();
    assert_eq!(
        refused.map(|error| error.to_string()),
        Some(format!(
            "{} is served by an earlier version of critd: stop it first, so that the store can be brought up to date",
            folder.path().display()
        ))
    );
}

#[test]
fn conditions_on_one_field_are_merged_only_if_of_one_kind() {
    let sizes = |bounds: Vec<Test>| {
        Filter::And(
            bounds
                .into_iter()
                .map(|test| Filter::Field(FieldPath::literal("size"), test))
                .collect(),
        )
    };
    let collection = crate::store::sqlite::schema::Collection {
        number: 1,
        name: "things".to_owned(),
        classed: true,
        administrative: false,
        fields: vec![crate::store::sqlite::schema::Field {
            number: 1,
            path: path("size"),
            purpose: crate::store::sqlite::schema::Purpose::Entries,
        }],
        keys: Vec::new(),
    };
    let words = |filter: &Filter| {
        crate::store::sqlite::plan::plan(&collection, filter).map(|plan| plan.words())
    };
    let rows = [
        (
            sizes(vec![Test::Gt(1.into()), Test::Lt(5.into())]),
            "index `size`: range with both ends",
        ),
        (
            sizes(vec![Test::Gt(1.into()), Test::Lt("5".into())]),
            "all of: index `size`: range; index `size`: range",
        ),
        (
            sizes(vec![Test::Gt(1.into()), Test::Lt(Bson::Null)]),
            "index `size`: range; documents looked at",
        ),
        (sizes(vec![Test::Gt(1.into())]), "index `size`: range"),
    ];
    for (filter, wanted) in rows {
        assert_eq!(words(&filter).as_deref(), Some(wanted), "{filter:?}");
    }
    assert_eq!(
        words(&Filter::Or(vec![eq("size", 1), eq("other", 1)])),
        None
    );
}
