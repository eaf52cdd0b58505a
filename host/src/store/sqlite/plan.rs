//! Which indexes answer a condition.

use bson::Bson;

use super::keys;
use super::schema::{Collection, Purpose};
use crate::store::filter::{Filter, Test};
use crate::store::literals;
use crate::store::order::{self, Scalar, rank};
use crate::store::path::FieldPath;

/// A way to the ids of exactly the documents that meet a condition, without a look at all documents.
#[derive(Debug)]
pub(super) enum Plan {
    /// None do.
    Nothing,
    /// Index rows with one of these keys.
    Equal { field: i64, keys: Vec<Vec<u8>> },
    /// Index rows from one key on (or after it) and below another (or up to it).
    Range { field: i64, low: Bound, high: Bound },
    /// Rows of a trigram table, then a look at those documents.
    Trigrams {
        field: i64,
        query: String,
        condition: Filter,
    },
    /// All texts of an index.
    Texts {
        field: i64,
        expression: regex::Regex,
        condition: Filter,
    },
    /// In all of these, cheapest first; unless that is `exact`, the documents are looked at as well.
    All {
        plans: Vec<Plan>,
        exact: bool,
        condition: Filter,
    },
    /// In any of these.
    Any(Vec<Plan>),
}

#[derive(Debug)]
pub(super) struct Bound {
    pub(super) key: Vec<u8>,
    pub(super) inclusive: bool,
}

impl Plan {
    /// How dear it is: 0 for a few rows, 3 for a whole index.
    pub(super) fn cost(&self) -> u8 {
        match self {
            Self::Nothing | Self::Equal { .. } => 0,
            Self::Trigrams { .. } => 1,
            Self::Range { .. } => 2,
            Self::Texts { .. } => 3,
            Self::All { plans, .. } => plans.iter().map(Self::cost).min().unwrap_or(3),
            Self::Any(plans) => plans.iter().map(Self::cost).max().unwrap_or(0),
        }
    }
}

/// The plan for a condition; none: all documents have to be looked at.
pub(super) fn plan(collection: &Collection, filter: &Filter) -> Option<Plan> {
    match filter {
        Filter::All | Filter::Element(..) | Filter::Not(_) | Filter::Seen(_) => None,
        Filter::Nothing => Some(Plan::Nothing),
        Filter::Or(conditions) => conditions
            .iter()
            .map(|condition| plan(collection, condition))
            .collect::<Option<Vec<_>>>()
            .map(Plan::Any),
        Filter::And(conditions) => {
            let mut plans = Vec::new();
            let mut rest = false;
            for condition in conditions {
                match plan(collection, condition) {
                    Some(found) => plans.push(found),
                    None => rest |= !matches!(condition, Filter::All),
                }
            }
            if plans.is_empty() {
                return None;
            }
            plans.sort_by_key(Plan::cost);
            Some(Plan::All {
                plans,
                exact: !rest,
                condition: filter.clone(),
            })
        }
        Filter::Field(path, test) => plan_test(collection, path, test, filter),
    }
}

fn plan_test(
    collection: &Collection,
    path: &FieldPath,
    test: &Test,
    whole: &Filter,
) -> Option<Plan> {
    let field = collection.field(path, Purpose::Entries)?.number;
    match test {
        Test::Eq(value) => Some(Plan::Equal {
            field,
            keys: vec![equality_key(value)?],
        }),
        Test::In(values) => {
            let mut keys = values
                .iter()
                .map(equality_key)
                .collect::<Option<Vec<_>>>()?;
            keys.sort();
            keys.dedup();
            Some(Plan::Equal { field, keys })
        }
        Test::Gt(value) => above(field, value, false),
        Test::Gte(value) => above(field, value, true),
        Test::Lt(value) => below(field, value, false),
        Test::Lte(value) => below(field, value, true),
        Test::Matches(expression) => {
            let literals = literals::required(expression);
            match collection.field(path, Purpose::Text) {
                Some(text) if !literals.is_empty() => Some(Plan::Trigrams {
                    field: text.number,
                    query: literals::query(&literals),
                    condition: whole.clone(),
                }),
                _ => Some(Plan::Texts {
                    field,
                    expression: expression.clone(),
                    condition: whole.clone(),
                }),
            }
        }
        // What is not there is in no index; a step-wise search looks at few texts, found by other conditions.
        Test::Ne(_) | Test::Nin(_) | Test::Exists(_) | Test::MatchesStepwise(_) => None,
    }
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

fn above(field: i64, value: &Bson, inclusive: bool) -> Option<Plan> {
    let key = bound_key(value)?;
    let end = vec![key.first()? + 1];
    Some(Plan::Range {
        field,
        low: Bound { key, inclusive },
        high: Bound {
            key: end,
            inclusive: false,
        },
    })
}

fn below(field: i64, value: &Bson, inclusive: bool) -> Option<Plan> {
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
        field,
        low,
        high: Bound { key, inclusive },
    })
}
