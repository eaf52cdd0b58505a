//! Lists, counts, pages, pulls and details of random documents by random queries, against a reference that is short
//! enough to be believed: rule S1, what the reader sees, and what conditions mean.

use bson::Bson;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

/// Queries of a run: of each set of roles and documents so many.
const QUERIES: usize = 100;

/// Sets of roles and documents: the environment variable `CRITD_PROPERTY_QUERIES`, or 10,000 queries in all; on a store
/// across a network a tenth.
fn sets() -> usize {
    let usual = match crate::store::testing::is_embedded() {
        true => 10_000,
        false => 1_000,
    };
    let queries = std::env::var("CRITD_PROPERTY_QUERIES")
        .ok()
        .and_then(|text| text.parse::<usize>().ok())
        .unwrap_or(usual);
    queries.div_ceil(4 * QUERIES)
}

#[derive(Debug, Clone)]
struct Condition {
    field: &'static str,
    operator: &'static str,
    value: String,
}

#[derive(Debug, Clone)]
struct Query {
    conditions: Vec<Condition>,
    or: bool,
    regex: bool,
    sort: &'static str,
}

const FIELDS: [&str; 9] = [
    "title",
    "size",
    "bucket_list",
    "weird",
    "source.name",
    "source.instances.tlp",
    "source.instances.method",
    "relationships.rel_reason",
    "relationships.value",
];
const TEXTS: [&str; 6] = ["a", "b", "ab", "7", "red", "white"];

fn id(number: u8) -> ObjectId {
    let mut bytes = [7; 12];
    bytes[11] = number;
    ObjectId::from_bytes(bytes)
}

fn any_value(field: &'static str) -> BoxedStrategy<String> {
    match field {
        "size" => (-1..4_i32).prop_map(|number| number.to_string()).boxed(),
        "source.name" => prop::sample::select(vec!["A", "B", "Z", "Other"])
            .prop_map(String::from)
            .boxed(),
        "relationships.value" => (0..12_u8).prop_map(|number| id(number).to_hex()).boxed(),
        _ => prop::sample::select(TEXTS.to_vec())
            .prop_map(String::from)
            .boxed(),
    }
}

fn any_condition() -> BoxedStrategy<Condition> {
    let operators = vec![
        "", "", "", "eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "exists",
    ];
    (
        prop::sample::select(FIELDS.to_vec()),
        prop::sample::select(operators),
    )
        .prop_flat_map(|(field, operator)| {
            let value = match operator {
                "exists" => prop::sample::select(vec!["true", "0"])
                    .prop_map(String::from)
                    .boxed(),
                "in" | "nin" => prop::collection::vec(any_value(field), 1..3)
                    .prop_map(|values| values.join(","))
                    .boxed(),
                _ => any_value(field),
            };
            value.prop_map(move |value| Condition {
                field,
                operator,
                value,
            })
        })
        .boxed()
}

fn any_query() -> BoxedStrategy<Query> {
    (
        prop::collection::vec(any_condition(), 0..4),
        any::<bool>(),
        prop::bool::weighted(0.3),
        prop::sample::select(vec![
            "",
            "",
            "order_by=size",
            "sort=-size",
            "order_by=title",
        ]),
    )
        .prop_map(|(mut conditions, or, regex, sort)| {
            // Of two conditions under one name the last counts (rule G28), which is tested elsewhere.
            let mut names = Vec::new();
            conditions.retain(|condition| {
                let name = (condition.field, condition.operator);
                let is_new = !names.contains(&name);
                names.push(name);
                is_new
            });
            Query {
                conditions,
                or,
                regex,
                sort,
            }
        })
        .boxed()
}

fn any_source() -> BoxedStrategy<Bson> {
    let tlp = prop::sample::select(vec![
        Some("red"),
        Some("amber"),
        Some("green"),
        Some("white"),
        None,
    ]);
    let instance = (tlp, prop::sample::select(TEXTS.to_vec())).prop_map(|(tlp, method)| {
        let mut instance = doc! {"method": method};
        if let Some(tlp) = tlp {
            instance.insert("tlp", tlp);
        }
        instance
    });
    (
        prop::sample::select(vec!["A", "A", "B", "Z"]),
        prop::collection::vec(instance, 0..3),
    )
        .prop_map(|(name, instances)| doc! {"name": name, "instances": instances}.into())
        .boxed()
}

fn any_document() -> BoxedStrategy<Document> {
    let text = || prop::sample::select(TEXTS.to_vec());
    let weird = prop_oneof![text().prop_map(Bson::from), (6..9_i32).prop_map(Bson::from)];
    let relationship = (0..12_u8, text()).prop_map(
        |(partner, reason)| doc! {"value": id(partner), "type": "Event", "rel_reason": reason},
    );
    (
        prop::option::of(text()),
        prop::option::of(-1..4_i32),
        prop::collection::vec(text(), 0..3),
        prop::option::of(weird),
        any::<bool>(),
        prop::collection::vec(any_source(), 0..4),
        prop::collection::vec(relationship, 0..3),
    )
        .prop_map(
            |(title, size, buckets, weird, moved, source, relationships)| {
                let mut document =
                    doc! {"bucket_list": buckets, "source": source, "relationships": relationships};
                if let Some(title) = title {
                    document.insert("title", title);
                }
                if let Some(size) = size {
                    document.insert("size", size);
                }
                match (weird, moved) {
                    (Some(weird), true) => {
                        document.insert("unsupported_attrs", doc! {"weird": weird});
                    }
                    (Some(weird), false) => {
                        document.insert("weird", weird);
                    }
                    (None, _) => {}
                }
                document
            },
        )
        .boxed()
}

fn any_rights() -> BoxedStrategy<SourceRights> {
    any::<[bool; 4]>()
        .prop_map(|[read, red, amber, green]| SourceRights {
            read,
            write: false,
            red,
            amber,
            green,
        })
        .boxed()
}

// The reference.

type Sources = std::collections::BTreeMap<&'static str, SourceRights>;

fn list<'a>(document: &'a Document, name: &str) -> Vec<&'a Document> {
    let list = document.get_array(name).map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(Bson::as_document).collect()
}

/// Rule S1.
fn sees(sources: &Sources, document: &Document) -> bool {
    let entries = list(document, "source");
    let name = |entry: &Document| entry.get_str("name").unwrap().to_owned();
    let a = entries
        .iter()
        .any(|entry| sources.contains_key(name(entry).as_str()));
    let b = entries.iter().any(|entry| {
        let rights = sources.get(name(entry).as_str());
        list(entry, "instances").iter().any(|instance| {
            let may = |flag: fn(&SourceRights) -> bool| {
                rights.is_some_and(|rights| rights.read && flag(rights))
            };
            match instance.get_str("tlp") {
                Ok("white") => true,
                Ok("green") => may(|rights| rights.green),
                Ok("amber") => may(|rights| rights.amber),
                _ => may(|rights| rights.red),
            }
        })
    });
    a && b
}

/// What its reader sees of a visible document (rules C1, C5), without the entry that stands for others.
fn seen(sources: &Sources, all: &[(ObjectId, Document)], document: &Document) -> Document {
    let mut shown = document.clone();
    let keep = |name: &str, keep: &dyn Fn(&Document) -> bool| -> Vec<Bson> {
        let kept = list(document, name).into_iter().filter(|entry| keep(entry));
        kept.map(|entry| Bson::from(entry.clone())).collect()
    };
    let own = |entry: &Document| sources.contains_key(entry.get_str("name").unwrap());
    let partner = |entry: &Document| {
        all.iter().any(|(id, partner)| {
            entry.get_object_id("value").unwrap() == *id && sees(sources, partner)
        })
    };
    shown.insert("source", keep("source", &own));
    shown.insert("relationships", keep("relationships", &partner));
    shown
}

/// The values at a path, lists replaced by their elements.
fn values(value: &Bson, path: &[&str]) -> Vec<Bson> {
    match (value, path) {
        (Bson::Array(elements), _) => elements
            .iter()
            .flat_map(|element| values(element, path))
            .collect(),
        (value, []) => vec![value.clone()],
        (Bson::Document(document), [first, rest @ ..]) => document
            .get(first)
            .map_or_else(Vec::new, |value| values(value, rest)),
        _ => Vec::new(),
    }
}

/// Order of a value against a text of a query; none: they are of different kinds.
fn against(value: &Bson, text: &str) -> Option<std::cmp::Ordering> {
    match value {
        Bson::String(value) => Some(value.as_str().cmp(text)),
        Bson::Int32(value) => text.parse().ok().map(|number| value.cmp(&number)),
        Bson::ObjectId(value) => ObjectId::parse_str(text).ok().map(|id| value.cmp(&id)),
        _ => None,
    }
}

fn holds(shown: &Document, condition: &Condition, regex: bool) -> bool {
    let path: Vec<&str> = condition.field.split('.').collect();
    let mut found = values(&Bson::from(shown.clone()), &path);
    if condition.field == "weird" {
        found.extend(values(
            &Bson::from(shown.clone()),
            &["unsupported_attrs", "weird"],
        ));
    }
    let text = condition.value.as_str();
    let any = |test: &dyn Fn(std::cmp::Ordering) -> bool| {
        found
            .iter()
            .any(|value| against(value, text).is_some_and(test))
    };
    let among = || {
        found.iter().any(|value| {
            text.split(',')
                .any(|text| against(value, text).is_some_and(std::cmp::Ordering::is_eq))
        })
    };
    let is_searched = !matches!(
        condition.field,
        "size" | "source.name" | "relationships.value"
    );
    match condition.operator {
        "" if regex && is_searched => found
            .iter()
            .any(|value| value.as_str().is_some_and(|value| value.contains(text))),
        "" | "eq" => any(&std::cmp::Ordering::is_eq),
        "ne" => !any(&std::cmp::Ordering::is_eq),
        "gt" => any(&std::cmp::Ordering::is_gt),
        "gte" => any(&std::cmp::Ordering::is_ge),
        "lt" => any(&std::cmp::Ordering::is_lt),
        "lte" => any(&std::cmp::Ordering::is_le),
        "in" => among(),
        "nin" => !among(),
        _ => found.is_empty() == (text == "0"),
    }
}

fn expected(sources: &Sources, all: &[(ObjectId, Document)], query: &Query) -> Vec<ObjectId> {
    let mut found: Vec<&(ObjectId, Document)> = all
        .iter()
        .filter(|(_, document)| {
            let shown = seen(sources, all, document);
            let mut outcomes = query
                .conditions
                .iter()
                .map(|condition| holds(&shown, condition, query.regex));
            let meets = match query.or {
                true => query.conditions.is_empty() || outcomes.any(|holds| holds),
                false => outcomes.all(|holds| holds),
            };
            sees(sources, document) && meets
        })
        .collect();
    let key = |document: &Document| match query.sort {
        "" => (None, None),
        "order_by=title" => (None, document.get_str("title").ok().map(str::to_owned)),
        _ => (document.get_i32("size").ok(), None),
    };
    found.sort_by(|(a_id, a), (b_id, b)| {
        let order = match query.sort {
            "sort=-size" => key(b).cmp(&key(a)),
            _ => key(a).cmp(&key(b)),
        };
        order.then(a_id.cmp(b_id))
    });
    found.into_iter().map(|(id, _)| *id).collect()
}

// The test.

impl Query {
    fn text(&self) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        for condition in &self.conditions {
            let name = match condition.operator {
                "" => format!("c-{}", condition.field),
                operator => format!("c-{}__{operator}", condition.field),
            };
            text.append_pair(&name, &condition.value);
        }
        if self.or {
            text.append_pair("or", "1");
        }
        if self.regex {
            text.append_pair("regex", "1");
        }
        format!("{}&{}", text.finish(), self.sort)
    }
}

/// Ids of a page, and its `meta`.
async fn page(server: &Server, query: &str) -> (Vec<ObjectId>, Json) {
    let answer = server.get(&format!("/api/v1/events/?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    let body = answer.json();
    let ids = body["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| ObjectId::parse_str(object["_id"].as_str().unwrap()).unwrap())
        .collect();
    (ids, body["meta"].clone())
}

fn draw<T: std::fmt::Debug>(runner: &mut TestRunner, strategy: BoxedStrategy<T>) -> T {
    strategy.new_tree(runner).unwrap().current()
}

async fn whole(server: &Server, wanted: &[ObjectId], query: &Query) {
    let text = query.text();
    let (all, meta) = page(server, &text).await;
    assert_eq!(all, wanted, "{text}");
    assert_eq!(meta["total_count"], wanted.len(), "{text}");
    assert!(meta.get("warnings").is_none(), "{text}: {meta}");
}

async fn pages(server: &Server, wanted: &[ObjectId], query: &Query) {
    let text = query.text();
    let (mut counted, mut uncounted, mut offset) = (Vec::new(), Vec::new(), 0);
    while offset < wanted.len() + 1 {
        let part = format!("{text}&limit=3&offset={offset}");
        let (ids, meta) = page(server, &part).await;
        assert_eq!(meta["total_count"], wanted.len(), "{part}");
        counted.extend(ids);
        let (ids, meta) = page(server, &format!("{part}&skip_total=1")).await;
        assert_eq!(meta["next"].is_null(), offset + 3 >= wanted.len(), "{part}");
        uncounted.extend(ids);
        offset += 3;
    }
    assert_eq!((&counted[..], &uncounted[..]), (wanted, wanted), "{text}");
}

/// As many tests as there are seeds, so that they run beside each other.
macro_rules! seeds {
    ($($name:ident $seed:literal)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            agree($seed).await;
        }
    )*};
}

seeds! {
    s1_g39_qy7_lists_counts_and_pages_are_those_of_the_reference_1 1
    s1_g39_qy7_lists_counts_and_pages_are_those_of_the_reference_2 2
    s1_g39_qy7_lists_counts_and_pages_are_those_of_the_reference_3 3
    s1_g39_qy7_lists_counts_and_pages_are_those_of_the_reference_4 4
}

async fn agree(seed: u8) {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]),
    );
    let mut server = None;
    for set in 0..sets() {
        // A source can't be taken from a role again, so now and then all begins anew.
        if set % 10 == 0 {
            server = Some((Server::start().await, false));
        }
        let Some((server, has_b)) = server.as_mut() else {
            continue;
        };
        let rights = [
            draw(&mut runner, any_rights()),
            draw(&mut runner, any_rights()),
        ];
        let documents = prop::collection::vec(any_document(), 1..10).boxed();
        let documents = draw(&mut runner, documents);
        let mut sources = Sources::from([("A", rights[0])]);
        *has_b |= set % 10 > 4;
        if *has_b {
            sources.insert("B", rights[1]);
        }
        for (name, rights) in &sources {
            roles::set_source(server.store.as_ref(), "reader", name, *rights)
                .await
                .unwrap();
        }
        let all: Vec<(ObjectId, Document)> = (0..).map(id).zip(documents).collect();
        replace(server, &all).await;
        for number in 0..QUERIES {
            let query = draw(&mut runner, any_query());
            let wanted = expected(&sources, &all, &query);
            whole(server, &wanted, &query).await;
            // What follows from a list costs more.
            if number % 10 == 0 {
                pages(server, &wanted, &query).await;
                details(server, &wanted, &all, &query).await;
            }
        }
    }
}

/// Each document alone is found exactly if the list has it.
async fn details(
    server: &Server,
    wanted: &[ObjectId],
    all: &[(ObjectId, Document)],
    query: &Query,
) {
    for (id, _) in all {
        let path = format!("/api/v1/events/{id}/?{}", query.text());
        let status = server.get(&path).await.status;
        let expected = if wanted.contains(id) { 200 } else { 404 };
        assert_eq!(status, expected, "{path}");
    }
}

/// Makes these all documents that there are.
async fn replace(server: &Server, all: &[(ObjectId, Document)]) {
    let key = |id: ObjectId| crate::store::DocKey {
        collection: "events".into(),
        id,
    };
    let old = server
        .store
        .select("events", &crate::store::Filter::All, None, 100)
        .await
        .unwrap();
    let mut writes: Vec<Write> = old
        .into_iter()
        .map(|id| Write::Remove { document: key(id) })
        .collect();
    server
        .store
        .commit(WriteSet {
            writes: std::mem::take(&mut writes),
            ..WriteSet::default()
        })
        .await
        .unwrap();
    for (id, document) in all {
        let mut body = doc! {"_id": *id};
        body.extend(document.clone());
        writes.push(Write::Insert {
            collection: "events".into(),
            body,
        });
    }
    server
        .store
        .commit(WriteSet {
            writes,
            ..WriteSet::default()
        })
        .await
        .unwrap();
}
