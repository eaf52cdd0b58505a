//! Which ways there are to the documents that meet a condition. What they cost is seen when they are taken (`find`).

use std::cmp::Ordering;

use bson::Bson;

use super::keys;
use super::schema::{Collection, Purpose};
use crate::store::filter::{Filter, Test};
use crate::store::literals;
use crate::store::order::{self, Scalar, rank};
use crate::store::path::FieldPath;
use crate::store::raw;

/// A way to the ids of exactly the documents that meet a condition, without a look at all documents.
#[derive(Debug)]
pub(super) enum Plan {
    /// None do.
    Nothing,
    /// All do.
    Everything,
    /// Index rows with one of these keys.
    Equal { index: Index, keys: Vec<Vec<u8>> },
    /// Index rows within bounds.
    Range { index: Index, span: Span },
    /// The same, where a condition sets both bounds: documents with several values may meet one with each of them, so
    /// those are looked at.
    Between {
        index: Index,
        span: Span,
        condition: Filter,
    },
    /// All rows of an index.
    Present { index: Index },
    /// Rows of a trigram table, then a look at those texts.
    Trigrams {
        index: Index,
        query: String,
        expression: regex::Regex,
        condition: Filter,
    },
    /// All texts of an index.
    Texts {
        index: Index,
        expression: regex::Regex,
        condition: Filter,
    },
    /// All documents but these.
    Except(Box<Plan>),
    /// The first, unless it has too many rows.
    Either(Box<Plan>, Box<Plan>),
    /// In all of these; if there is a `rest`, the documents are looked at as well.
    All {
        plans: Vec<Plan>,
        rest: bool,
        condition: Filter,
    },
    /// In any of these.
    Any(Vec<Plan>),
}

/// An index by its number and what it is on.
#[derive(Debug, Clone)]
pub(super) struct Index {
    pub(super) number: i64,
    pub(super) path: FieldPath,
}

/// Keys from one bound to another, all of one kind.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) low: Bound,
    pub(super) high: Bound,
}

#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) key: Vec<u8>,
    pub(super) inclusive: bool,
}

impl Plan {
    /// Whether it may go through a large part of an index: 0 for a few rows, 3 for all.
    pub(super) fn weight(&self) -> u8 {
        match self {
            Self::Nothing | Self::Equal { .. } => 0,
            Self::Trigrams { .. } => 1,
            Self::Range { .. } | Self::Between { .. } => 2,
            Self::Everything | Self::Present { .. } | Self::Texts { .. } | Self::Except(_) => 3,
            Self::Either(first, _) => first.weight(),
            Self::All { plans, .. } => plans.iter().map(Self::weight).min().unwrap_or(3),
            Self::Any(plans) => plans.iter().map(Self::weight).max().unwrap_or(0),
        }
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        let listed = |plans: &[Plan]| {
            let words: Vec<String> = plans
                .iter()
                .map(|plan| match plan {
                    Self::All { .. } | Self::Any(_) => format!("({})", plan.words()),
                    plan => plan.words(),
                })
                .collect();
            words.join("; ")
        };
        match self {
            Self::Nothing => "nothing can meet the condition".to_owned(),
            Self::Everything => "all documents".to_owned(),
            Self::Equal { index, keys } if keys.len() == 1 => {
                format!("index `{}`: equal to one value", index.path)
            }
            Self::Equal { index, keys } => {
                format!(
                    "index `{}`: equal to one of {} values",
                    index.path,
                    keys.len()
                )
            }
            Self::Range { index, .. } => format!("index `{}`: range", index.path),
            Self::Between { index, .. } => {
                format!("index `{}`: range with both ends", index.path)
            }
            Self::Present { index } => format!("index `{}`: all entries", index.path),
            Self::Trigrams { index, .. } => format!("trigrams of `{}`", index.path),
            Self::Texts { index, .. } => format!("index `{}`: all texts", index.path),
            Self::Except(plan) => format!("all but: {}", plan.words()),
            Self::Either(first, _) => first.words(),
            Self::All { plans, rest, .. } => {
                let also = if *rest { "; documents looked at" } else { "" };
                if plans.len() == 1 {
                    format!("{}{also}", listed(plans))
                } else {
                    format!("all of: {}{also}", listed(plans))
                }
            }
            Self::Any(plans) => format!("any of: {}", listed(plans)),
        }
    }
}

/// The plan for a condition; none: all documents have to be looked at.
pub(super) fn plan(collection: &Collection, filter: &Filter) -> Option<Plan> {
    match filter {
        // What somebody sees of a document is in no index.
        Filter::Seen(_) | Filter::Judged(_) => None,
        Filter::All => Some(Plan::Everything),
        Filter::Nothing => Some(Plan::Nothing),
        Filter::Not(condition) => plan(collection, condition).map(except),
        Filter::Or(conditions) => plan_any(collection, conditions),
        Filter::And(conditions) => plan_all(collection, conditions, filter),
        Filter::Field(path, test) => plan_test(collection, path, test, filter),
        Filter::Element(path, condition) => {
            let mut plans = Vec::new();
            necessary(collection, path, condition, &mut plans);
            (!plans.is_empty()).then(|| Plan::All {
                plans,
                rest: true,
                condition: filter.clone(),
            })
        }
    }
}

fn except(plan: Plan) -> Plan {
    match plan {
        Plan::Nothing => Plan::Everything,
        Plan::Everything => Plan::Nothing,
        Plan::Except(plan) => *plan,
        plan => Plan::Except(Box::new(plan)),
    }
}

fn plan_any(collection: &Collection, conditions: &[Filter]) -> Option<Plan> {
    let mut plans = Vec::with_capacity(conditions.len());
    let mut rest = false;
    for condition in conditions {
        match plan(collection, condition) {
            None => rest = true,
            Some(Plan::Everything) => return Some(Plan::Everything),
            Some(Plan::Nothing) => {}
            Some(Plan::Any(found)) => plans.extend(found),
            Some(found) => plans.push(found),
        }
    }
    if rest {
        return None;
    }
    if plans.is_empty() {
        return Some(Plan::Nothing);
    }
    if plans.len() == 1 {
        return plans.pop();
    }
    Some(Plan::Any(plans))
}

fn plan_all(collection: &Collection, conditions: &[Filter], whole: &Filter) -> Option<Plan> {
    let mut flat = Vec::new();
    flatten(conditions, &mut flat);
    let mut plans = Vec::new();
    let mut rest = false;
    while let Some(condition) = flat.first().copied() {
        if let Filter::Field(path, test) = condition
            && is_bound(test)
        {
            let (bounds, others): (Vec<&Filter>, Vec<&Filter>) = flat.iter().partition(
                |other| matches!(other, Filter::Field(at, test) if at == path && is_bound(test)),
            );
            flat = others;
            match plan_bounds(collection, path, &bounds) {
                Some(Plan::Nothing) => return Some(Plan::Nothing),
                Some(found) => plans.push(found),
                None => rest = true,
            }
            continue;
        }
        flat.remove(0);
        match plan(collection, condition) {
            Some(Plan::Nothing) => return Some(Plan::Nothing),
            Some(Plan::Everything) => {}
            Some(found) => plans.push(found),
            None => rest = true,
        }
    }
    match (plans.len(), rest) {
        (0, true) => None,
        (0, false) => Some(Plan::Everything),
        (1, false) => plans.pop(),
        _ => Some(Plan::All {
            plans,
            rest,
            condition: whole.clone(),
        }),
    }
}

fn flatten<'a>(conditions: &'a [Filter], flat: &mut Vec<&'a Filter>) {
    for condition in conditions {
        match condition {
            Filter::And(inner) => flatten(inner, flat),
            condition => flat.push(condition),
        }
    }
}

fn is_bound(test: &Test) -> bool {
    matches!(
        test,
        Test::Gt(_) | Test::Gte(_) | Test::Lt(_) | Test::Lte(_)
    )
}

/// Bounds on one path, each of which some value must keep.
fn plan_bounds(collection: &Collection, path: &FieldPath, bounds: &[&Filter]) -> Option<Plan> {
    let mut plans = Vec::new();
    let mut rest = false;
    for bound in bounds {
        match plan(collection, bound) {
            Some(found) => plans.push(found),
            None => rest = true,
        }
    }
    if plans.len() < 2 && !rest {
        return plans.pop();
    }
    let condition = Filter::And(bounds.iter().map(|bound| (*bound).clone()).collect());
    let index = index(collection, path)?;
    let mut spans = plans.iter().map(|plan| match plan {
        Plan::Range { span, .. } => Some(span),
        _ => None,
    });
    let merged = spans.next().flatten().cloned();
    let merged = spans.fold(merged, |merged, span| merge(&merged?, span?));
    if plans.is_empty() {
        return None;
    }
    let each = Plan::All {
        plans,
        rest,
        condition: condition.clone(),
    };
    match merged.filter(|_| !rest) {
        Some(span) => Some(Plan::Either(
            Box::new(Plan::Between {
                index,
                span,
                condition,
            }),
            Box::new(each),
        )),
        None => Some(each),
    }
}

/// What is within both; none if they are of different kinds.
fn merge(a: &Span, b: &Span) -> Option<Span> {
    if a.low.key.first() != b.low.key.first() {
        return None;
    }
    // Of two bounds with one key, the one without the key is narrower.
    let low = match a.low.key.cmp(&b.low.key) {
        Ordering::Less => &b.low,
        Ordering::Greater => &a.low,
        Ordering::Equal if a.low.inclusive => &b.low,
        Ordering::Equal => &a.low,
    };
    let high = match a.high.key.cmp(&b.high.key) {
        Ordering::Less => &a.high,
        Ordering::Greater => &b.high,
        Ordering::Equal if a.high.inclusive => &b.high,
        Ordering::Equal => &a.high,
    };
    Some(Span {
        low: low.clone(),
        high: high.clone(),
    })
}

/// Conditions that a document meets if one of its elements meets all of these.
fn necessary(collection: &Collection, list: &FieldPath, condition: &Filter, plans: &mut Vec<Plan>) {
    match condition {
        Filter::And(conditions) => {
            for condition in conditions {
                necessary(collection, list, condition, plans);
            }
        }
        Filter::Nothing => plans.push(Plan::Nothing),
        Filter::Field(path, test) => {
            // That an element does not have something says nothing about the others.
            if matches!(test, Test::Ne(_) | Test::Nin(_) | Test::Exists(false)) {
                return;
            }
            let whole = if path.as_str().is_empty() {
                Ok(list.clone())
            } else {
                FieldPath::parse(&format!("{list}.{path}"))
            };
            let Ok(whole) = whole else { return };
            let on_document = Filter::Field(whole.clone(), test.clone());
            plans.extend(plan_test(collection, &whole, test, &on_document));
        }
        Filter::All
        | Filter::Or(_)
        | Filter::Not(_)
        | Filter::Element(..)
        | Filter::Seen(_)
        | Filter::Judged(_) => {}
    }
}

fn index(collection: &Collection, path: &FieldPath) -> Option<Index> {
    let field = collection.field(path, Purpose::Entries)?;
    Some(Index {
        number: field.number,
        path: field.path.clone(),
    })
}

fn plan_test(
    collection: &Collection,
    path: &FieldPath,
    test: &Test,
    whole: &Filter,
) -> Option<Plan> {
    let index = index(collection, path)?;
    match test {
        Test::Eq(value) => equal(index, std::slice::from_ref(value)),
        Test::In(values) => equal(index, values),
        Test::Ne(value) => equal(index, std::slice::from_ref(value)).map(except),
        Test::Nin(values) => equal(index, values).map(except),
        Test::Gt(value) => above(index, value, false),
        Test::Gte(value) => above(index, value, true),
        Test::Lt(value) => below(index, value, false),
        Test::Lte(value) => below(index, value, true),
        // An empty list at a position has an entry, although it counts as absent.
        Test::Exists(_) if ends_with_position(path) => None,
        Test::Exists(true) => Some(Plan::Present { index }),
        Test::Exists(false) => Some(except(Plan::Present { index })),
        Test::Matches(expression) => Some(matching(collection, index, expression, whole)),
        // Such a search looks at few texts, found by other conditions.
        Test::MatchesStepwise(_) => None,
    }
}

fn ends_with_position(path: &FieldPath) -> bool {
    path.segments()
        .last()
        .is_some_and(|segment| raw::position(segment).is_some())
}

fn matching(
    collection: &Collection,
    index: Index,
    expression: &regex::Regex,
    whole: &Filter,
) -> Plan {
    let texts = Plan::Texts {
        index: index.clone(),
        expression: expression.clone(),
        condition: whole.clone(),
    };
    let literals = literals::required(expression);
    match collection.field(&index.path, Purpose::Text) {
        Some(text) if !literals.is_empty() => {
            let trigrams = Plan::Trigrams {
                index: Index {
                    number: text.number,
                    path: index.path,
                },
                query: literals::query(&literals),
                expression: expression.clone(),
                condition: whole.clone(),
            };
            Plan::Either(Box::new(trigrams), Box::new(texts))
        }
        _ => texts,
    }
}

fn equal(index: Index, values: &[Bson]) -> Option<Plan> {
    let mut keys = values
        .iter()
        .map(equality_key)
        .collect::<Option<Vec<_>>>()?;
    if keys.is_empty() {
        return Some(Plan::Nothing);
    }
    keys.sort();
    keys.dedup();
    Some(Plan::Equal { index, keys })
}

/// The key of a value that only index rows can equal: null is also met by absence, a list as a whole is in no index.
fn equality_key(value: &Bson) -> Option<Vec<u8>> {
    if matches!(value, Bson::Null | Bson::Undefined | Bson::Array(_)) {
        return None;
    }
    order::encode_bson(value).ok().map(keys::capped)
}

/// The key of a bound, if keys decide alone.
fn bound_key(value: &Bson) -> Option<Vec<u8>> {
    let ordered = matches!(
        Scalar::of_bson(value)?,
        Scalar::Number(_)
            | Scalar::Text(_)
            | Scalar::ObjectId(_)
            | Scalar::Boolean(_)
            | Scalar::Date(_)
    );
    let key = order::encode_bson(value)
        .ok()
        .filter(|key| ordered && !keys::is_capped(key))?;
    // Nothing is above or below NaN.
    (key != nan()).then_some(key)
}

fn nan() -> Vec<u8> {
    order::encode_bson(&Bson::Double(f64::NAN)).unwrap_or_default()
}

fn above(index: Index, value: &Bson, inclusive: bool) -> Option<Plan> {
    let key = bound_key(value)?;
    let end = vec![key.first()? + 1];
    Some(Plan::Range {
        index,
        span: Span {
            low: Bound { key, inclusive },
            high: Bound {
                key: end,
                inclusive: false,
            },
        },
    })
}

fn below(index: Index, value: &Bson, inclusive: bool) -> Option<Plan> {
    let key = bound_key(value)?;
    let low = match key.first()? {
        &rank::NUMBER => Bound {
            key: nan(),
            inclusive: false,
        },
        first => Bound {
            key: vec![*first],
            inclusive: true,
        },
    };
    Some(Plan::Range {
        index,
        span: Span {
            low,
            high: Bound { key, inclusive },
        },
    })
}
