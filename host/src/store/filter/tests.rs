//! Conditions against a simple reference on decoded documents, and on damaged bytes.

use std::cmp::Ordering;

use bson::{Bson, Document, RawDocument, doc};
use proptest::prelude::*;

use super::*;
use crate::store::conformance::{any_body, any_filter, any_value};
use crate::store::order;

/// What a path comes to.
enum Place {
    Value(Bson),
    /// By its position in a list: a list is not taken apart.
    Element(Bson),
    Nothing,
}

fn places(value: &Bson, segments: &[&str], found: &mut Vec<Place>) {
    let Some((first, rest)) = segments.split_first() else {
        found.push(Place::Value(value.clone()));
        return;
    };
    match value {
        Bson::Document(document) => match document.get(first) {
            Some(value) => places(value, rest, found),
            None => found.push(Place::Nothing),
        },
        Bson::Array(list) if list.is_empty() => found.push(Place::Nothing),
        Bson::Array(list) => {
            let position = first.parse::<usize>().ok();
            if let Some(position) = position {
                match list.get(position) {
                    Some(value) if rest.is_empty() => found.push(Place::Element(value.clone())),
                    Some(value) => places(value, rest, found),
                    None => found.push(Place::Nothing),
                }
            }
            for element in list {
                match element {
                    Bson::Document(document)
                        if position.is_some() && !document.contains_key(first) => {}
                    Bson::Document(_) => places(element, segments, found),
                    _ => {}
                }
            }
        }
        _ => found.push(Place::Nothing),
    }
}

/// Values tested at the end of a path.
fn values(root: &Bson, path: &FieldPath) -> Vec<Option<Bson>> {
    let segments: Vec<&str> = path.segments().collect();
    let mut found = Vec::new();
    places(root, &segments, &mut found);
    let mut all = Vec::new();
    for place in found {
        match place {
            Place::Nothing => all.push(None),
            Place::Value(value) | Place::Element(value) if value == Bson::Array(Vec::new()) => {
                all.extend([None, Some(value)]);
            }
            Place::Value(Bson::Array(list)) => {
                all.extend(list.iter().cloned().map(Some));
                all.push(Some(Bson::Array(list)));
            }
            Place::Value(value) | Place::Element(value) => all.push(Some(value)),
        }
    }
    all
}

fn rank(value: &Bson) -> u8 {
    match value {
        Bson::Null => 1,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => 2,
        Bson::String(_) => 3,
        Bson::Document(_) => 4,
        Bson::Array(_) => 5,
        Bson::ObjectId(_) => 6,
        Bson::Boolean(_) => 7,
        Bson::DateTime(_) => 8,
        other => panic!("{other:?}"),
    }
}

fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Int64(number) => Some(*number as f64),
        Bson::Double(number) => Some(*number),
        _ => None,
    }
}

/// The order of all values. NaN is the lowest number.
fn compare(a: &Bson, b: &Bson) -> Ordering {
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a
            .partial_cmp(&b)
            .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()));
    }
    match (a, b) {
        (Bson::String(a), Bson::String(b)) => a.cmp(b),
        (Bson::Boolean(a), Bson::Boolean(b)) => a.cmp(b),
        (Bson::ObjectId(a), Bson::ObjectId(b)) => a.cmp(b),
        (Bson::DateTime(a), Bson::DateTime(b)) => a.cmp(b),
        (Bson::Array(a), Bson::Array(b)) => {
            for (a, b) in a.iter().zip(b) {
                let order = compare(a, b);
                if order != Ordering::Equal {
                    return order;
                }
            }
            a.len().cmp(&b.len())
        }
        (Bson::Document(a), Bson::Document(b)) => {
            for ((a_name, a), (b_name, b)) in a.iter().zip(b) {
                let order = rank(a)
                    .cmp(&rank(b))
                    .then(a_name.cmp(b_name))
                    .then_with(|| compare(a, b));
                if order != Ordering::Equal {
                    return order;
                }
            }
            a.len().cmp(&b.len())
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn is_nan(value: &Bson) -> bool {
    number(value).is_some_and(f64::is_nan)
}

fn equals(value: &Option<Bson>, wanted: &Bson) -> bool {
    match value {
        Some(value) => compare(value, wanted) == Ordering::Equal,
        None => *wanted == Bson::Null,
    }
}

fn against(value: &Option<Bson>, bound: &Bson, wanted: fn(Ordering) -> bool) -> bool {
    if equals(value, bound) {
        return wanted(Ordering::Equal);
    }
    value.as_ref().is_some_and(|value| {
        rank(value) == rank(bound)
            && !is_nan(value)
            && !is_nan(bound)
            && wanted(compare(value, bound))
    })
}

fn reference(filter: &Filter, root: &Bson) -> bool {
    let Filter::Field(path, test) = filter else {
        return match filter {
            Filter::All => true,
            Filter::Nothing => false,
            Filter::And(filters) => filters.iter().all(|filter| reference(filter, root)),
            Filter::Or(filters) => filters.iter().any(|filter| reference(filter, root)),
            Filter::Element(path, condition) => values(root, path)
                .iter()
                .flatten()
                .any(|value| matches!(value, Bson::Document(_)) && reference(condition, value)),
            Filter::Not(condition) => !reference(condition, root),
            Filter::Field(..) | Filter::Seen(_) | Filter::Judged(_) => {
                unreachable!("handled above, or not made here")
            }
        };
    };
    let values = values(root, path);
    let any = |test: &dyn Fn(&Option<Bson>) -> bool| values.iter().any(test);
    match test {
        Test::Eq(wanted) => any(&|value| equals(value, wanted)),
        Test::Ne(wanted) => !any(&|value| equals(value, wanted)),
        Test::In(wanted) => any(&|value| wanted.iter().any(|wanted| equals(value, wanted))),
        Test::Nin(wanted) => !any(&|value| wanted.iter().any(|wanted| equals(value, wanted))),
        Test::Gt(bound) => any(&|value| against(value, bound, Ordering::is_gt)),
        Test::Gte(bound) => any(&|value| against(value, bound, Ordering::is_ge)),
        Test::Lt(bound) => any(&|value| against(value, bound, Ordering::is_lt)),
        Test::Lte(bound) => any(&|value| against(value, bound, Ordering::is_le)),
        Test::Exists(wanted) => {
            let segments: Vec<&str> = path.segments().collect();
            let mut found = Vec::new();
            places(root, &segments, &mut found);
            let exists = found.iter().any(|place| match place {
                Place::Value(value) | Place::Element(value) => *value != Bson::Array(Vec::new()),
                Place::Nothing => false,
            });
            exists == *wanted
        }
        Test::Matches(expression) => {
            any(&|value| matches!(value, Some(Bson::String(text)) if expression.is_match(text)))
        }
        Test::MatchesStepwise(expression) => {
            any(&|value| matches!(value, Some(Bson::String(text)) if expression.finds_in(text)))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conditions_hold_as_in_the_reference(body in any_body(), filter in any_filter()) {
        let bytes = body.to_vec().unwrap();
        let raw = RawDocument::from_bytes(&bytes).unwrap();
        prop_assert_eq!(filter.matches(raw).unwrap(), reference(&filter, &Bson::Document(body)));
    }

    #[test]
    fn the_order_of_keys_is_the_order_of_values(a in any_value(), b in any_value()) {
        let (a_key, b_key) = (order::encode_bson(&a).unwrap(), order::encode_bson(&b).unwrap());
        prop_assert_eq!(a_key.cmp(&b_key), compare(&a, &b));
        prop_assert_eq!(order::equal_bson(&a, &b), compare(&a, &b) == Ordering::Equal);
    }

    #[test]
    fn numbers_of_all_widths_are_in_one_order(a in any::<i64>(), b in any::<i64>(), d in any::<f64>()) {
        let key = |value: Bson| order::encode_bson(&value).unwrap();
        prop_assert_eq!(key(a.into()).cmp(&key(b.into())), a.cmp(&b));
        for integer in [a, b, d as i64, i64::MAX, i64::MIN, (d as i64).wrapping_add(1)] {
            let exact = if d.is_nan() {
                Ordering::Greater
            } else if d >= 9_223_372_036_854_775_808.0 {
                Ordering::Less
            } else if d < -9_223_372_036_854_775_808.0 {
                Ordering::Greater
            } else {
                integer.cmp(&(d.floor() as i64)).then(if d.fract() == 0.0 { Ordering::Equal } else { Ordering::Less })
            };
            prop_assert_eq!(key(integer.into()).cmp(&key(d.into())), exact, "{} {}", integer, d);
        }
    }

    /// Whatever the bytes are: an answer or an error, never a panic.
    #[test]
    fn damaged_bytes_do_no_harm(body in any_body(), filter in any_filter(), place in any::<prop::sample::Index>(),
                                byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = body.to_vec().unwrap();
        let index = place.index(bytes.len());
        bytes[index] = byte;
        let _ = filter.matches_stored(&bytes);
        let _ = Value::document(&bytes).decode();
        let _ = order::encode(Value::document(&bytes));
        let _ = filter.matches_stored(&bytes[..cut.index(bytes.len())]);
    }
}

fn holds(filter: &Filter, body: &Document) -> bool {
    let bytes = body.to_vec().unwrap();
    filter
        .matches(RawDocument::from_bytes(&bytes).unwrap())
        .unwrap()
}

#[test]
fn g17_g18_a_condition_on_a_list_holds_if_any_element_satisfies_it() {
    let body = doc! { "source": [{ "name": "A", "instances": [{ "m": "x" }, { "m": "y" }] },
    { "name": "B", "instances": [] }] };
    let field = |path: &str, test| Filter::Field(FieldPath::parse(path).unwrap(), test);
    let cases = [
        ("source.name", Test::Eq("B".into()), true),
        ("source.instances.m", Test::Eq("y".into()), true),
        ("source.1.name", Test::Eq("A".into()), false),
        ("source.0.instances.1.m", Test::Eq("y".into()), true),
        ("source.name", Test::Ne("A".into()), false),
        ("source.name", Test::Nin(vec!["C".into()]), true),
        ("source.gone", Test::Ne("A".into()), true),
        ("source.1.instances", Test::Exists(true), false),
        ("source.instances", Test::Exists(true), true),
        ("source.name", Test::Gt(0.into()), false),
        ("gone", Test::Eq(Bson::Null), true),
        ("source.0.name", Test::Eq(Bson::Null), false),
        ("source.7.name", Test::Eq(Bson::Null), true),
    ];
    for (path, test, wanted) in cases {
        assert_eq!(
            holds(&field(path, test.clone()), &body),
            wanted,
            "{path} {test:?}"
        );
    }
    let both = Filter::And(vec![
        field("source.name", Test::Eq("B".into())),
        field("source.instances.m", Test::Eq("x".into())),
    ]);
    assert!(holds(&both, &body));
}

#[test]
fn a_list_reached_by_position_is_tested_as_a_whole() {
    let body = doc! { "list": [["a", ["b"]], "c"] };
    let holds = |path: &'static str, value: Bson| {
        Filter::Field(FieldPath::literal(path), Test::Eq(value))
            .matches_element(&Bson::Document(body.clone()))
            .unwrap()
    };
    assert!(!holds("list.0", "a".into()));
    assert!(holds("list.0", bson::bson!(["a", ["b"]])));
    assert!(holds("list.0.0", "a".into()));
    assert!(holds("list.1", "c".into()));
    assert!(holds("list", "c".into()));
}

#[test]
fn m2_an_empty_list_is_as_good_as_none() {
    for path in ["tags", "tags.name"] {
        let exists = |wanted| Filter::Field(FieldPath::literal(path), Test::Exists(wanted));
        for body in [doc! {}, doc! { "tags": [] }] {
            assert!(
                holds(&exists(false), &body) && !holds(&exists(true), &body),
                "{path} {body}"
            );
            assert!(holds(
                &Filter::Field(FieldPath::literal(path), Test::Eq(Bson::Null)),
                &body
            ));
        }
    }
}

#[test]
fn conditions_on_elements_of_plain_lists_use_the_value_itself() {
    let itself = Filter::Field(FieldPath::itself(), Test::Eq("a".into()));
    assert!(itself.matches_element(&"a".into()).unwrap());
    assert!(!itself.matches_element(&doc! { "a": "a" }.into()).unwrap());
}
