//! Any history of commits, checked against a model that keeps decoded documents in a map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::super::Direction::{Ascending, Descending};
use super::*;
use crate::store::Stepwise;
use crate::store::draft::Effect;

/// Small values, so that they collide.
pub(crate) fn any_scalar() -> BoxedStrategy<Bson> {
    prop_oneof![
        prop::sample::select(vec!["a", "b", "New", "Old", "evil", ""]).prop_map(Bson::from),
        (-2..3_i32).prop_map(Bson::Int32),
        (-2..3_i64).prop_map(Bson::Int64),
        prop::sample::select(vec![-1.0, 0.0, -0.0, 1.5, 2.0, f64::NAN]).prop_map(Bson::Double),
        any::<bool>().prop_map(Bson::Boolean),
        Just(Bson::Null),
        (0..3_i64).prop_map(|millis| bson::DateTime::from_millis(millis).into()),
        (0..3_u32).prop_map(|number| id(number).into()),
    ]
    .boxed()
}

pub(crate) fn any_value() -> BoxedStrategy<Bson> {
    any_scalar()
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Bson::Array),
                prop::collection::vec((any_name(), inner), 0..3)
                    .prop_map(|fields| Bson::Document(fields.into_iter().collect())),
            ]
        })
        .boxed()
}

pub(crate) fn any_name() -> BoxedStrategy<String> {
    prop::sample::select(vec!["name", "number", "value", "0", "tags"])
        .prop_map(str::to_owned)
        .boxed()
}

pub(crate) fn any_path() -> BoxedStrategy<FieldPath> {
    prop::sample::select(vec![
        "value",
        "size",
        "status",
        "tags",
        "list",
        "list.name",
        "list.number",
        "list.0",
        "list.0.name",
        "list.1.number",
        "tags.0",
        "value.name",
        "value.0",
        "relationships.value",
        "other",
        "other.name.number",
        "list.tags.0.name",
    ])
    .prop_map(path)
    .boxed()
}

pub(crate) fn any_body() -> BoxedStrategy<Document> {
    let field = prop::sample::select(vec![
        "value",
        "size",
        "status",
        "tags",
        "list",
        "relationships",
        "other",
    ]);
    let sources = prop::collection::vec(
        (
            prop::sample::select(vec!["s", "t"]),
            prop::collection::vec(prop::sample::select(vec!["red", "white"]), 0..3),
        ),
        0..3,
    );
    (
        prop::collection::vec((field.prop_map(str::to_owned), any_value()), 0..6),
        sources,
    )
        .prop_map(|(fields, sources)| {
            let mut body: Document = fields.into_iter().collect();
            let sources: Vec<Document> = sources
                .into_iter()
                .map(|(name, tlps)| source(name, &tlps))
                .collect();
            body.insert("source", sources);
            body
        })
        .boxed()
}

pub(crate) fn any_test() -> BoxedStrategy<Test> {
    let values = || prop::collection::vec(any_value(), 0..3);
    prop_oneof![
        any_value().prop_map(Test::Eq),
        any_value().prop_map(Test::Ne),
        any_value().prop_map(Test::Gt),
        any_value().prop_map(Test::Gte),
        any_value().prop_map(Test::Lt),
        any_value().prop_map(Test::Lte),
        values().prop_map(Test::In),
        values().prop_map(Test::Nin),
        any::<bool>().prop_map(Test::Exists),
        prop::sample::select(vec!["evil", "(?i)EW|new", "a", "^$", "[bN]"])
            .prop_map(|pattern| Test::Matches(regex::Regex::new(pattern).unwrap())),
        prop::sample::select(vec!["^(?!e)", r"(.)\1", "(?<=e)w"])
            .prop_map(|pattern| Test::MatchesStepwise(Stepwise::new(pattern).unwrap())),
    ]
    .boxed()
}

pub(crate) fn any_filter() -> BoxedStrategy<Filter> {
    let leaf = prop_oneof![
        20 => (any_path(), any_test()).prop_map(|(path, test)| Filter::Field(path, test)),
        1 => Just(Filter::All),
        1 => Just(Filter::Nothing),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Or),
            (any_path(), inner.clone())
                .prop_map(|(path, condition)| Filter::Element(path, Box::new(condition))),
            inner.prop_map(|condition| Filter::Not(Box::new(condition))),
        ]
    })
    .boxed()
}

pub(crate) fn any_operation() -> BoxedStrategy<Op> {
    prop_oneof![
        4 => (any_path(), any_value()).prop_map(|(path, value)| Op::Set(path, value)),
        2 => any_path().prop_map(Op::Unset),
        4 => (any_path(), any_value()).prop_map(|(path, value)| Op::Push(path, value)),
        3 => (any_path(), any_value(), prop::collection::vec(any_name(), 0..3), any::<bool>())
            .prop_map(|(path, value, keys, added)| Op::PushUnique { path, value, keys, added }),
        3 => (any_path(), any_filter(), 0..3_u32, 0..3_u32)
            .prop_map(|(path, condition, limit, removed)| Op::Pull { path, condition, limit, removed }),
        2 => (any_path(), -2..3_i64).prop_map(|(path, by)| Op::Increment(path, by)),
        1 => any_path().prop_map(|path| Op::Set(path, Bson::Array(vec![doc! { "name": "a" }.into()]))),
    ]
    .boxed()
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u32, Document),
    Change(u32, Vec<Op>),
    Remove(u32),
    List(Filter, Vec<SortKey>, u64, u32, Vec<&'static str>),
}

pub(crate) fn any_sort() -> BoxedStrategy<Vec<SortKey>> {
    let sort_path = prop::sample::select(vec![
        "size",
        "status",
        "value",
        "tags",
        "other",
        "_id",
        "list.number",
    ]);
    let sort = prop::collection::vec((sort_path, any::<bool>()), 0..3).prop_map(|keys| {
        keys.into_iter()
            .map(|(text, up)| SortKey {
                path: path(text),
                direction: if up { Ascending } else { Descending },
            })
            .collect::<Vec<_>>()
    });
    sort.boxed()
}

fn any_step() -> BoxedStrategy<Step> {
    let number = || 0..24_u32;
    let names = prop::sample::subsequence(vec!["s", "t"], 0..=2);
    prop_oneof![
        6 => (number(), any_body()).prop_map(|(number, body)| Step::Insert(number, body)),
        6 => (number(), prop::collection::vec(any_operation(), 1..4))
            .prop_map(|(number, operations)| Step::Change(number, operations)),
        1 => number().prop_map(Step::Remove),
        6 => (any_filter(), any_sort(), 0..6_u64, 0..8_u32, names)
            .prop_map(|(filter, sort, offset, limit, names)| Step::List(filter, sort, offset, limit, names)),
    ]
    .boxed()
}

/// `added` and `removed` as a handler would have seen them; operations that would be refused are left out.
fn as_seen(body: &Document, operations: Vec<Op>) -> (Vec<Op>, Document) {
    let mut draft = Draft::fresh(body).unwrap();
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
    (seen, Document::try_from(draft.to_raw().as_ref()).unwrap())
}

async fn check_list(
    store: &Shared,
    model: &BTreeMap<ObjectId, Document>,
    query: &ListQuery,
    names: &[&str],
) -> Result<(), String> {
    let visible = |body: &Document| {
        body.get_array("source").is_ok_and(|list| {
            list.iter().any(|entry| {
                let name = entry
                    .as_document()
                    .and_then(|entry| entry.get_str("name").ok());
                name.is_some_and(|name| names.contains(&name))
            })
        })
    };
    let mut wanted: Vec<(ObjectId, &Document)> = model
        .iter()
        .filter(|(_, body)| visible(body))
        .filter(|(_, body)| {
            query
                .filter
                .matches_element(&Bson::Document((*body).clone()))
                .unwrap()
        })
        .map(|(id, body)| (*id, body))
        .collect();
    wanted.sort_by(|a, b| compare(&query.sort, *a, *b));
    let total = wanted.len() as u64;
    let ids: Vec<ObjectId> = wanted
        .iter()
        .skip(query.offset as usize)
        .take(query.limit as usize)
        .map(|(id, _)| *id)
        .collect();
    let answer = page(store, query).await;
    if answer == (ids.clone(), total) {
        Ok(())
    } else {
        Err(format!("{query:?}: {answer:?}, not {:?}", (ids, total)))
    }
}

/// Order of two documents in a list.
pub(crate) fn compare(
    sort: &[SortKey],
    a: (ObjectId, &Document),
    b: (ObjectId, &Document),
) -> std::cmp::Ordering {
    for key in sort {
        let order = lowest(a.1, &key.path).cmp(&lowest(b.1, &key.path));
        let order = match key.direction {
            Ascending => order,
            Descending => order.reverse(),
        };
        if order != std::cmp::Ordering::Equal {
            return order;
        }
    }
    a.0.cmp(&b.0)
}

/// Where a document sorts, worked out on the decoded document.
fn lowest(body: &Document, path: &FieldPath) -> Vec<u8> {
    let mut values = Vec::new();
    let segments: Vec<&str> = path.segments().collect();
    reach(&Bson::Document(body.clone()), &segments, &mut values);
    let keys = values
        .iter()
        .map(|value| crate::store::order::encode_bson(value).unwrap());
    keys.min()
        .unwrap_or_else(crate::store::order::encode_absent)
}

fn reach(value: &Bson, segments: &[&str], found: &mut Vec<Bson>) {
    match (value, segments) {
        (Bson::Array(list), []) => found.extend(list.iter().cloned()),
        (value, []) => found.push(value.clone()),
        (Bson::Document(document), [first, rest @ ..]) => {
            if let Some(value) = document.get(first) {
                reach(value, rest, found);
            }
        }
        (Bson::Array(list), [first, rest @ ..]) => {
            if let Some(value) = first
                .parse::<usize>()
                .ok()
                .and_then(|position| list.get(position))
            {
                if rest.is_empty() {
                    found.push(value.clone());
                } else {
                    reach(value, rest, found);
                }
            }
            for value in list
                .iter()
                .filter(|value| matches!(value, Bson::Document(_)))
            {
                reach(value, segments, found);
            }
        }
        _ => {}
    }
}

pub(crate) async fn any_history_gives_what_the_model_gives(store: Shared) {
    declare(&store).await;
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    });
    let mut model: BTreeMap<ObjectId, Document> = BTreeMap::new();
    let steps = prop::collection::vec(any_step(), 400)
        .new_tree(&mut runner)
        .unwrap()
        .current();
    for step in steps {
        match step.clone() {
            Step::Insert(number, body) => {
                let written = store
                    .commit(writes(vec![insert(number, body.clone())]))
                    .await;
                assert_eq!(
                    written.is_ok(),
                    !model.contains_key(&id(number)),
                    "{step:?}"
                );
                model
                    .entry(id(number))
                    .or_insert_with(|| with_id(number, body));
            }
            Step::Change(number, operations) => {
                let Some(body) = model.get(&id(number)) else {
                    continue;
                };
                let (operations, after) = as_seen(body, operations);
                store
                    .commit(writes(vec![change(number, operations)]))
                    .await
                    .unwrap();
                model.insert(id(number), after);
            }
            Step::Remove(number) => {
                let removed = store.commit(writes(vec![remove(number)])).await;
                assert_eq!(removed.is_ok(), model.remove(&id(number)).is_some());
            }
            Step::List(filter, sort, offset, limit, names) => {
                let visible = seeing(&store, &names);
                let query = ListQuery {
                    collection: "things".to_owned(),
                    visible,
                    filter,
                    sort,
                    offset,
                    limit,
                };
                check_list(&store, &model, &query, &names)
                    .await
                    .unwrap_or_else(|error| panic!("{error}\n{model:?}"));
            }
        }
    }
    for (id, body) in &model {
        let stored = store.get("things", *id).await.unwrap().unwrap();
        let stored = Document::try_from(stored.body.as_ref()).unwrap();
        assert_eq!(format!("{stored:?}"), format!("{body:?}"));
    }
}
