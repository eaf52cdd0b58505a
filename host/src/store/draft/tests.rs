//! Operations against a naive model that works on a decoded document.

use bson::{Bson, Document, doc};
use proptest::prelude::*;

use super::*;
use crate::store::class;
use crate::store::conformance::{any_body, any_operation, any_path};

fn segments(path: &FieldPath) -> Vec<&str> {
    path.segments().collect()
}

fn get<'a>(root: &'a Bson, segments: &[&str]) -> Option<&'a Bson> {
    let Some((first, rest)) = segments.split_first() else {
        return Some(root);
    };
    match root {
        Bson::Document(document) => get(document.get(first)?, rest),
        Bson::Array(list) => get(list.get(first.parse::<usize>().ok()?)?, rest),
        _ => None,
    }
}

fn put(root: &mut Bson, segments: &[&str], value: Bson) -> Result<(), ()> {
    let Some((first, rest)) = segments.split_first() else {
        *root = value;
        return Ok(());
    };
    match root {
        Bson::Document(document) => {
            if !document.contains_key(first) {
                let mut inner = Bson::Document(Document::new());
                put(&mut inner, rest, value)?;
                document.insert((*first).to_owned(), inner);
                return Ok(());
            }
            put(document.get_mut(first).unwrap(), rest, value)
        }
        Bson::Array(list) => {
            let position = first.parse::<usize>().map_err(|_| ())?;
            put(list.get_mut(position).ok_or(())?, rest, value)
        }
        _ => Err(()),
    }
}

/// The document afterwards and whether it changed; an error leaves it alone.
fn model(body: &Document, operation: &Op) -> Result<(Document, Effect), ()> {
    let mut root = Bson::Document(body.clone());
    let mut effect = Effect::Changed(1);
    match operation {
        Op::Set(path, value) => {
            if get(&root, &segments(path)).is_some_and(|present| equal_bson(present, value)) {
                return Ok((body.clone(), Effect::Unchanged));
            }
            put(&mut root, &segments(path), value.clone())?;
        }
        Op::Unset(path) => {
            let path = segments(path);
            if get(&root, &path).is_none() {
                return Ok((body.clone(), Effect::Unchanged));
            }
            let (last, way) = path.split_last().unwrap();
            let mut parent = get(&root, way).cloned().unwrap();
            let Bson::Document(document) = &mut parent else {
                return Err(());
            };
            document.remove(last);
            put(&mut root, way, parent)?;
        }
        Op::Push(path, value) => push(&mut root, path, value)?,
        Op::PushUnique {
            path, value, keys, ..
        } => {
            let list = match get(&root, &segments(path)) {
                None => Vec::new(),
                Some(Bson::Array(list)) => list.clone(),
                Some(_) => return Err(()),
            };
            let alike = |element: &Bson| match (element, value) {
                (Bson::Document(element), Bson::Document(value)) if !keys.is_empty() => keys
                    .iter()
                    .all(|key| match (element.get(key), value.get(key)) {
                        (Some(a), Some(b)) => equal_bson(a, b),
                        (a, b) => a.is_none() && b.is_none(),
                    }),
                _ => equal_bson(element, value),
            };
            if list.iter().any(alike) {
                return Ok((body.clone(), Effect::Unchanged));
            }
            push(&mut root, path, value)?;
        }
        Op::Pull {
            path,
            condition,
            limit,
            ..
        } => {
            let mut list = match get(&root, &segments(path)) {
                None => return Ok((body.clone(), Effect::Unchanged)),
                Some(Bson::Array(list)) => list.clone(),
                Some(_) => return Err(()),
            };
            let mut removed = 0;
            list.retain(|element| {
                let goes = (*limit == 0 || removed < *limit)
                    && condition.matches_element(element).unwrap();
                removed += u32::from(goes);
                !goes
            });
            effect = if removed == 0 {
                Effect::Unchanged
            } else {
                Effect::Changed(removed)
            };
            put(&mut root, &segments(path), Bson::Array(list))?;
        }
        Op::Increment(path, by) => {
            let sum = match get(&root, &segments(path)) {
                None => Bson::Int32(i32::try_from(*by).unwrap()),
                Some(Bson::Int32(number)) => Bson::Int32(number + i32::try_from(*by).unwrap()),
                Some(Bson::Int64(number)) => Bson::Int64(number + by),
                Some(Bson::Double(number)) => Bson::Double(number + *by as f64),
                Some(_) => return Err(()),
            };
            if get(&root, &segments(path)).is_some_and(|present| equal_bson(present, &sum)) {
                return Ok((body.clone(), Effect::Unchanged));
            }
            put(&mut root, &segments(path), sum)?;
        }
    }
    let Bson::Document(after) = root else {
        return Err(());
    };
    Ok((after, effect))
}

fn push(root: &mut Bson, path: &FieldPath, value: &Bson) -> Result<(), ()> {
    let mut list = match get(root, &segments(path)) {
        None => Vec::new(),
        Some(Bson::Array(list)) => list.clone(),
        Some(_) => return Err(()),
    };
    list.push(value.clone());
    put(root, &segments(path), Bson::Array(list))
}

/// Root fields in any order, NaN equal to itself.
fn shown(document: &Document) -> Vec<String> {
    let mut fields: Vec<String> = document
        .iter()
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    fields.sort();
    fields
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn operations_do_what_the_model_does(body in any_body(), operations in prop::collection::vec(any_operation(), 1..8),
                                         probe in any_path()) {
        let mut draft = Draft::fresh(&body).unwrap();
        let mut wanted = body.clone();
        for operation in &operations {
            let before = draft.clone();
            match model(&wanted, operation) {
                Ok((after, effect)) => {
                    prop_assert_eq!(draft.apply(operation).map_err(|error| error.to_string()), Ok(effect), "{:?}", operation);
                    wanted = after;
                }
                Err(()) => {
                    prop_assert!(draft.apply(operation).is_err(), "{:?}", operation);
                    prop_assert_eq!(draft.changed_roots(), before.changed_roots());
                }
            }
            let raw = draft.to_raw();
            let written = Document::try_from(raw.as_ref()).unwrap();
            prop_assert_eq!(shown(&written), shown(&wanted), "{:?}", operation);
            prop_assert!(draft.size_at_most() >= raw.as_bytes().len());
            let root = Bson::Document(wanted.clone());
            let there = get(&root, &segments(&probe));
            prop_assert_eq!(format!("{:?}", draft.get(&probe).unwrap()), format!("{:?}", there.cloned()));
            let length = match there {
                None => Some(0),
                Some(Bson::Array(list)) => Some(list.len()),
                Some(_) => None,
            };
            prop_assert_eq!(draft.len(&probe).ok(), length);
            for name in wanted.keys() {
                let same = body.get(name).is_some_and(|before| before == &wanted[name.as_str()]);
                // NaN is not what it was.
                let odd = format!("{:?}", body.get(name)).contains("NaN");
                prop_assert!(same || odd || draft.has_changed(name));
            }
        }
    }

    #[test]
    fn elements_are_found_where_the_model_finds_them(body in any_body(), added in any_operation(), start in 0..3_usize,
                                                     condition in crate::store::conformance::any_filter()) {
        let mut draft = Draft::fresh(&body).unwrap();
        let _ = draft.apply(&added);
        for name in ["list", "tags", "value"] {
            let path = FieldPath::parse(name).unwrap();
            let wanted = match draft.get(&path).unwrap() {
                None => Ok(None),
                Some(Bson::Array(list)) => Ok(list
                    .iter()
                    .enumerate()
                    .skip(start)
                    .find(|(_, element)| condition.matches_element(element).unwrap())
                    .map(|(position, _)| position)),
                Some(_) => Err(DraftError::NotAList(path.clone())),
            };
            prop_assert_eq!(draft.find(&path, &condition, start), wanted);
        }
    }
}

#[test]
fn a_list_that_is_only_appended_to_stays_raw() {
    let body = doc! { "a": 1, "list": [{ "n": 1 }], "z": 1 };
    let mut draft = Draft::fresh(&body).unwrap();
    let path = FieldPath::literal("list");
    for number in [2, 3] {
        let value = doc! { "n": number }.into();
        let unique = Op::PushUnique {
            path: path.clone(),
            value,
            keys: vec!["n".to_owned()],
            added: true,
        };
        assert_eq!(draft.apply(&unique).unwrap(), Effect::Changed(1));
        assert_eq!(draft.apply(&unique).unwrap(), Effect::Unchanged);
    }
    let added = draft.only_appended("list").unwrap();
    assert_eq!(
        Document::try_from(added.as_ref()).unwrap(),
        doc! { "list": [{ "n": 2 }, { "n": 3 }] }
    );
    assert_eq!(
        draft.get(&FieldPath::literal("list.2.n")).unwrap(),
        Some(Bson::Int32(3))
    );
    assert_eq!(draft.get(&FieldPath::literal("list.3")).unwrap(), None);
    assert_eq!(draft.get(&FieldPath::literal("list.n")).unwrap(), None);
    let written = Document::try_from(draft.to_raw().as_ref()).unwrap();
    assert_eq!(
        written,
        doc! { "a": 1, "list": [{ "n": 1 }, { "n": 2 }, { "n": 3 }], "z": 1 }
    );
    draft
        .apply(&Op::Set(FieldPath::literal("list.0.n"), 9.into()))
        .unwrap();
    assert_eq!(draft.only_appended("list"), None);
    assert_eq!(draft.changed_roots(), ["list"]);
}

#[test]
fn clones_part_company() {
    let mut one = Draft::fresh(&doc! { "list": [1] }).unwrap();
    one.apply(&Op::Push(FieldPath::literal("list"), 2.into()))
        .unwrap();
    let mut two = one.clone();
    two.apply(&Op::Push(FieldPath::literal("list"), 3.into()))
        .unwrap();
    assert_eq!(one.len(&FieldPath::literal("list")).unwrap(), 2);
    assert_eq!(two.len(&FieldPath::literal("list")).unwrap(), 3);
}

#[test]
fn lists_within_lists_grow_without_being_decoded() {
    let body = doc! {
        "_id": 1, "source": [{"name": "A", "instances": [{"n": 1}], "last": 1}, {"name": "B", "instances": []}], "after": "x",
    };
    let path = |text: &str| FieldPath::parse(text).unwrap();
    let mut draft = Draft::fresh(&body).unwrap();
    for number in 2..=12 {
        draft
            .apply(&Op::Push(
                path("source.0.instances"),
                doc! {"n": number}.into(),
            ))
            .unwrap();
    }
    draft
        .apply(&Op::Push(path("source.1.instances"), "first".into()))
        .unwrap();
    assert!(matches!(draft.changed["source"].as_ref(), Root::Grown(_)));
    let before = draft.clone();
    assert_eq!(draft.len(&path("source.0.instances")).unwrap(), 12);
    assert_eq!(
        draft.get(&path("source.0.instances.11.n")).unwrap(),
        Some(12.into())
    );
    assert_eq!(
        draft.apply(&Op::Push(path("source.0.name"), 1.into())),
        Err(DraftError::NotAList(path("source.0.name")))
    );
    draft
        .apply(&Op::Set(path("source.0.last"), 2.into()))
        .unwrap();
    let mut expected = body;
    let sources = expected.get_array_mut("source").unwrap();
    let first = sources[0].as_document_mut().unwrap();
    first.insert("last", 2);
    first
        .get_array_mut("instances")
        .unwrap()
        .extend((2..=12).map(|number| Bson::from(doc! {"n": number})));
    let second = sources[1].as_document_mut().unwrap();
    second.insert("instances", vec![Bson::from("first")]);
    assert_eq!(Document::try_from(draft.to_raw()).unwrap(), expected);
    assert_eq!(
        before.get(&path("source.0.last")).unwrap(),
        Some(1.into()),
        "a copy made before is as it was"
    );
}

#[test]
fn s1_the_pairs_are_those_of_the_whole_document() {
    let source = |name: &str, tlp: &str| doc! {"name": name, "instances": [{"tlp": tlp}]};
    let path = |text: &str| FieldPath::parse(text).unwrap();
    let set = |value: Bson| Op::Set(path("source"), value);
    let changes = [
        vec![],
        vec![Op::Push(path("source"), source("B", "red").into())],
        vec![Op::Push(
            path("source.0.instances"),
            doc! {"tlp": "green"}.into(),
        )],
        vec![set(vec![Bson::from(source("C", "white"))].into())],
        vec![set("odd".into())],
        vec![Op::Unset(path("source"))],
        vec![Op::Set(path("name"), "other".into())],
    ];
    for body in [
        doc! {"_id": 1, "source": [source("A", "amber")]},
        doc! {"_id": 1},
    ] {
        for operations in &changes {
            let mut draft = Draft::fresh(&body).unwrap();
            for operation in operations {
                // A list in a list that is not there can't be reached; the draft stays as it was.
                let _ = draft.apply(operation);
            }
            assert_eq!(
                draft.pairs().unwrap(),
                class::pairs_of(&draft.to_raw()).unwrap(),
                "{body} {operations:?}"
            );
        }
    }
}

#[test]
fn root_fields_are_put_in_the_order_of_their_ranks() {
    let mut draft = Draft::fresh(&doc! {"c": [1, 2], "_id": 5, "b": {"x": 1}}).unwrap();
    draft
        .apply(&Op::Set(FieldPath::literal("a"), "new".into()))
        .unwrap();
    let ranked = |draft: &Draft, order: &str| {
        let rank = |name: &str| order.find(name).unwrap_or(order.len());
        Document::try_from(draft.to_raw_ranked(rank).unwrap()).unwrap()
    };
    let names = |document: &Document| document.keys().cloned().collect::<Vec<_>>();
    let all = ranked(&draft, "_id a b c");
    assert_eq!(all, doc! {"_id": 5, "a": "new", "b": {"x": 1}, "c": [1, 2]});
    assert_eq!(names(&all), ["_id", "a", "b", "c"]);
    // Those of one rank stay as they were.
    assert_eq!(names(&ranked(&draft, "_id")), ["_id", "c", "b", "a"]);
}

#[test]
fn values_are_written_as_the_library_writes_them() {
    use bson::spec::BinarySubtype;
    let body = doc! {
        "double": 1.5, "text": "a\0b é", "document": {"x": {"y": [1, {"z": Bson::Null}]}}, "list": [[], [true], {}],
        "bytes": bson::Binary { subtype: BinarySubtype::UuidOld, bytes: vec![1; 16] }, "undefined": Bson::Undefined,
        "id": bson::oid::ObjectId::from_bytes([7; 12]), "flag": false, "date": bson::DateTime::from_millis(-5),
        "regex": bson::Regex { pattern: bson::raw::CString::try_from("^a".to_owned()).unwrap(), options: bson::raw::CString::try_from("i".to_owned()).unwrap() },
        "code": Bson::JavaScriptCode("f()".into()), "symbol": Bson::Symbol("s".into()), "int": 7, "long": 7_i64,
        "stamp": bson::Timestamp { time: 1, increment: 2 }, "min": Bson::MinKey, "max": Bson::MaxKey,
        "decimal": bson::Decimal128::from_bytes([3; 16]),
    };
    let draft = Draft::fresh(&body).unwrap();
    assert_eq!(draft.base().as_bytes(), body.to_vec().unwrap());
}
