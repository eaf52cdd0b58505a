//! Conditions as queries of MongoDB.
//!
//! A query never leaves out a document that meets the condition. Most are exact; where the two differ or might (regular
//! expressions, conditions on one element as a whole), the query only narrows down and the shared evaluator decides.
//! That both agree where a query is called exact is tested on random conditions and documents.

use std::collections::BTreeSet;

use bson::{Bson, Document, doc};

use crate::store::filter::{Filter, Test};
use crate::store::literals;
use crate::store::path::FieldPath;

/// Literal texts of an expression that are looked for, the longest first.
const MOST_LITERALS: usize = 4;

/// Which documents to ask for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Query {
    Everything,
    Nothing,
    Some(Document),
}

/// A condition as a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compiled {
    pub(super) query: Query,
    /// Every document that the query finds meets the condition.
    pub(super) exact: bool,
}

impl Compiled {
    fn exact(query: Document) -> Self {
        Self {
            query: Query::Some(query),
            exact: true,
        }
    }

    fn wider(query: Document) -> Self {
        Self {
            query: Query::Some(query),
            exact: false,
        }
    }

    /// Nothing is known of where such documents are.
    const ANYWHERE: Self = Self {
        query: Query::Everything,
        exact: false,
    };

    const EVERYTHING: Self = Self {
        query: Query::Everything,
        exact: true,
    };

    const NOTHING: Self = Self {
        query: Query::Nothing,
        exact: true,
    };

    fn negated(self) -> Self {
        match (self.query, self.exact) {
            (_, false) => Self::ANYWHERE,
            (Query::Everything, true) => Self::NOTHING,
            (Query::Nothing, true) => Self::EVERYTHING,
            (Query::Some(query), true) => Self::exact(doc! { "$nor": [query] }),
        }
    }

    fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut queries = Vec::new();
        let mut exact = true;
        for part in parts {
            match part.query {
                // Nothing meets the part, so nothing meets the whole.
                Query::Nothing => return Self::NOTHING,
                Query::Everything => {}
                Query::Some(query) => queries.push(query),
            }
            exact &= part.exact;
        }
        Self {
            query: joined("$and", queries).map_or(Query::Everything, Query::Some),
            exact,
        }
    }

    fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut queries = Vec::new();
        let (mut exact, mut everything) = (true, false);
        for part in parts {
            match part.query {
                Query::Nothing => {}
                Query::Everything if part.exact => return Self::EVERYTHING,
                Query::Everything => everything = true,
                Query::Some(query) => queries.push(query),
            }
            exact &= part.exact;
        }
        if everything {
            return Self::ANYWHERE;
        }
        Self {
            query: joined("$or", queries).map_or(Query::Nothing, Query::Some),
            exact,
        }
    }
}

/// Several queries as one; none if there is none.
fn joined(operator: &str, mut queries: Vec<Document>) -> Option<Document> {
    match queries.len() {
        0 | 1 => queries.pop(),
        _ => Some(doc! { operator: queries }),
    }
}

/// The query for a condition on whole documents.
pub(super) fn compile(filter: &Filter) -> Compiled {
    within("", filter)
}

/// The query for a condition on what lies below a path; not exact unless the path is empty.
fn within(prefix: &str, filter: &Filter) -> Compiled {
    match filter {
        Filter::All => Compiled::EVERYTHING,
        Filter::Nothing => Compiled::NOTHING,
        Filter::And(conditions) => {
            Compiled::all(conditions.iter().map(|condition| within(prefix, condition)))
        }
        Filter::Or(conditions) => {
            Compiled::any(conditions.iter().map(|condition| within(prefix, condition)))
        }
        Filter::Not(condition) => within(prefix, condition).negated(),
        Filter::Seen(_) | Filter::Judged(_) => Compiled::ANYWHERE,
        Filter::Field(path, _) if path.as_str().is_empty() => Compiled::ANYWHERE,
        Filter::Field(path, test) if prefix.is_empty() => on_path(path.as_str(), test),
        Filter::Field(path, test) => {
            // What an element has below a path, the document has below the longer path; what an element lacks, says
            // nothing about the others.
            if is_about_presence(test) {
                Compiled {
                    exact: false,
                    ..on_path(&format!("{prefix}.{path}"), test)
                }
            } else {
                Compiled::ANYWHERE
            }
        }
        Filter::Element(path, condition) => {
            let path = path.as_str();
            if path.is_empty() {
                return Compiled::ANYWHERE;
            }
            let prefix = if prefix.is_empty() {
                path.to_owned()
            } else {
                format!("{prefix}.{path}")
            };
            match within(&prefix, condition).query {
                Query::Nothing => Compiled::NOTHING,
                Query::Everything => Compiled::wider(doc! { prefix: { "$exists": true } }),
                Query::Some(query) => Compiled::wider(query),
            }
        }
    }
}

/// Can the test only hold because of a value that is there?
fn is_about_presence(test: &Test) -> bool {
    let not_null = |value: &Bson| !matches!(value, Bson::Null | Bson::Undefined);
    match test {
        Test::Eq(value)
        | Test::Gt(value)
        | Test::Gte(value)
        | Test::Lt(value)
        | Test::Lte(value) => not_null(value),
        Test::In(values) => values.iter().all(not_null),
        Test::Exists(wanted) => *wanted,
        Test::Matches(_) | Test::MatchesStepwise(_) => true,
        Test::Ne(_) | Test::Nin(_) => false,
    }
}

fn on_path(path: &str, test: &Test) -> Compiled {
    match test {
        Test::Eq(value) => equal(path, value),
        Test::In(values) => equal_any(path, values),
        Test::Ne(value) => equal(path, value).negated(),
        Test::Nin(values) => equal_any(path, values).negated(),
        Test::Gt(value) => compared(path, "$gt", false, value),
        Test::Gte(value) => compared(path, "$gte", true, value),
        Test::Lt(value) => compared(path, "$lt", false, value),
        Test::Lte(value) => compared(path, "$lte", true, value),
        Test::Exists(true) => present(path),
        Test::Exists(false) => present(path).negated(),
        Test::Matches(expression) => matching(path, expression),
        // The server's engine has other rules and no limit: the evaluator decides.
        Test::MatchesStepwise(_) => any_text(path),
    }
}

fn equal(path: &str, value: &Bson) -> Compiled {
    match value {
        Bson::Null | Bson::Undefined => absent(path),
        value if is_plain(value) => Compiled::exact(doc! { path: { "$eq": value } }),
        _ => Compiled::ANYWHERE,
    }
}

fn equal_any(path: &str, values: &[Bson]) -> Compiled {
    let (null, values): (Vec<&Bson>, Vec<&Bson>) = values
        .iter()
        .partition(|value| matches!(value, Bson::Null | Bson::Undefined));
    let rest = if values.is_empty() {
        Compiled::NOTHING
    } else if values.iter().all(|value| is_plain(value)) {
        let values: Vec<Bson> = values.into_iter().cloned().collect();
        Compiled::exact(doc! { path: { "$in": values } })
    } else {
        Compiled::ANYWHERE
    };
    if null.is_empty() {
        rest
    } else {
        Compiled::any([absent(path), rest])
    }
}

/// Does the server compare it as the evaluator does?
fn is_plain(value: &Bson) -> bool {
    match value {
        Bson::Double(_)
        | Bson::String(_)
        | Bson::Boolean(_)
        | Bson::Null
        | Bson::Int32(_)
        | Bson::Int64(_)
        | Bson::ObjectId(_)
        | Bson::DateTime(_) => true,
        Bson::Binary(data) => data.subtype != bson::spec::BinarySubtype::BinaryOld,
        Bson::Array(values) => values.iter().all(is_plain),
        Bson::Document(document) => document.values().all(is_plain),
        _ => false,
    }
}

fn compared(path: &str, operator: &str, inclusive: bool, value: &Bson) -> Compiled {
    match value {
        Bson::Null | Bson::Undefined if inclusive => absent(path),
        Bson::Null | Bson::Undefined => Compiled::NOTHING,
        Bson::Double(number) if number.is_nan() && inclusive => equal(path, value),
        Bson::Double(number) if number.is_nan() => Compiled::NOTHING,
        Bson::Double(_)
        | Bson::String(_)
        | Bson::Boolean(_)
        | Bson::Int32(_)
        | Bson::Int64(_)
        | Bson::ObjectId(_)
        | Bson::DateTime(_) => Compiled::exact(doc! { path: { operator: value } }),
        // Rules for lists and documents as bounds are left to the evaluator.
        _ => Compiled::ANYWHERE,
    }
}

/// Null, or nothing there: an empty list, here or on the way, is as good as no list (rule M2).
fn absent(path: &str) -> Compiled {
    // Where a path has positions the server sees it otherwise: `a.0` is null if the first element of `a` is a document
    // without a field `0`, and `a.0.b` is not if that element is a number.
    let positional = path
        .split('.')
        .any(|segment| segment.bytes().all(|byte| byte.is_ascii_digit()));
    if positional {
        return Compiled::ANYWHERE;
    }
    let mut queries = vec![doc! { path: Bson::Null }];
    let ends = path.match_indices('.').map(|(end, _)| end);
    for end in ends.chain([path.len()]) {
        let prefix = path.get(..end).unwrap_or(path);
        queries.push(doc! { prefix: { "$size": 0 } });
    }
    Compiled::any(queries.into_iter().map(Compiled::exact))
}

/// A value that is no list, or a list that is not empty.
fn present(path: &str) -> Compiled {
    // All kinds but lists (4).
    let kinds = [
        -1, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 127,
    ];
    Compiled::any([
        Compiled::exact(doc! { path: { "$type": kinds.to_vec() } }),
        Compiled::exact(doc! { path: { "$elemMatch": { "$nin": [] } } }),
    ])
}

fn matching(path: &str, expression: &regex::Regex) -> Compiled {
    let mut texts = literals::required(expression);
    texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    texts.truncate(MOST_LITERALS);
    let queries: Vec<Document> = texts
        .iter()
        .map(|text| doc! { path: { "$regex": any_case(text) } })
        .collect();
    if queries.is_empty() {
        return any_text(path);
    }
    Compiled::all(queries.into_iter().map(Compiled::wider))
}

fn any_text(path: &str) -> Compiled {
    Compiled::wider(doc! { path: { "$type": ["string", "symbol"] } })
}

/// An expression of the server for a literal in any case, also in the letters that are ASCII letters when folded.
fn any_case(text: &str) -> String {
    let mut expression = String::new();
    for letter in text.chars() {
        match letter {
            'k' => expression.push_str(r"[kK\x{212A}]"),
            's' => expression.push_str(r"[sS\x{17F}]"),
            'a'..='z' => {
                expression.extend(['[', letter, letter.to_ascii_uppercase(), ']']);
            }
            '0'..='9' => expression.push(letter),
            other => expression.extend(['\\', other]),
        }
    }
    expression
}

/// The root fields that a condition looks at; none: it may look at all.
pub(super) fn roots(filter: &Filter) -> Option<BTreeSet<&str>> {
    let mut found = BTreeSet::new();
    collect_roots(filter, &mut found).then_some(found)
}

fn collect_roots<'a>(filter: &'a Filter, found: &mut BTreeSet<&'a str>) -> bool {
    match filter {
        Filter::All | Filter::Nothing => true,
        Filter::And(conditions) | Filter::Or(conditions) => conditions
            .iter()
            .all(|condition| collect_roots(condition, found)),
        Filter::Not(condition) => collect_roots(condition, found),
        Filter::Seen(seen) => {
            found.insert(seen.root());
            true
        }
        Filter::Judged(judge) => {
            found.extend(judge.roots());
            true
        }
        Filter::Field(path, _) | Filter::Element(path, _) => {
            found.insert(FieldPath::root(path));
            !path.as_str().is_empty()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(path: &str, test: Test) -> Filter {
        Filter::Field(FieldPath::parse(path).unwrap(), test)
    }

    #[test]
    fn what_the_server_can_decide_is_left_to_it() {
        let cases = [
            (
                field("a.b", Test::Eq("x".into())),
                doc! { "a.b": { "$eq": "x" } },
            ),
            (
                field("a", Test::In(vec![1.into(), 2.into()])),
                doc! { "a": { "$in": [1, 2] } },
            ),
            (
                field("a", Test::Ne(1.into())),
                doc! { "$nor": [{ "a": { "$eq": 1 } }] },
            ),
            (
                Filter::And(vec![
                    Filter::All,
                    field("a", Test::Gt(1.into())),
                    field("a", Test::Lte(5.into())),
                ]),
                doc! { "$and": [{ "a": { "$gt": 1 } }, { "a": { "$lte": 5 } }] },
            ),
            (
                field("a.b", Test::Eq(Bson::Null)),
                doc! { "$or": [{ "a.b": null }, { "a": { "$size": 0 } }, { "a.b": { "$size": 0 } }] },
            ),
        ];
        for (filter, wanted) in cases {
            assert_eq!(compile(&filter), Compiled::exact(wanted), "{filter:?}");
        }
    }

    #[test]
    fn expressions_and_elements_are_narrowed_down() {
        let expression = regex::Regex::new(r"(?i)Sk-1\.").unwrap();
        let cases = [
            (
                field("a", Test::Matches(expression)),
                doc! { "a": { "$regex": r"[sS\x{17F}][kK\x{212A}]\-1\." } },
            ),
            (
                field("a", Test::Matches(regex::Regex::new("a|b").unwrap())),
                doc! { "a": { "$type": ["string", "symbol"] } },
            ),
            (
                Filter::Element(
                    FieldPath::parse("a").unwrap(),
                    Box::new(Filter::And(vec![
                        field("b", Test::Eq(1.into())),
                        field("c", Test::Ne(1.into())),
                    ])),
                ),
                doc! { "a.b": { "$eq": 1 } },
            ),
            (
                Filter::Element(
                    FieldPath::parse("a").unwrap(),
                    Box::new(field("b", Test::Exists(false))),
                ),
                doc! { "a": { "$exists": true } },
            ),
        ];
        for (filter, wanted) in cases {
            assert_eq!(compile(&filter), Compiled::wider(wanted), "{filter:?}");
        }
        let not = Filter::Not(Box::new(field(
            "a",
            Test::Matches(regex::Regex::new("abc").unwrap()),
        )));
        assert_eq!(compile(&not), Compiled::ANYWHERE);
    }

    #[test]
    fn nothing_and_everything_are_seen_through() {
        let one = || field("a", Test::Eq(1.into()));
        let nan = || field("a", Test::Gt(f64::NAN.into()));
        let cases = [
            (Filter::And(vec![one(), Filter::Nothing]), Query::Nothing),
            (Filter::And(vec![]), Query::Everything),
            (Filter::Or(vec![]), Query::Nothing),
            (Filter::Or(vec![one(), Filter::All]), Query::Everything),
            (Filter::Not(Box::new(nan())), Query::Everything),
            (field("a", Test::In(vec![])), Query::Nothing),
        ];
        for (filter, query) in cases {
            let compiled = compile(&filter);
            assert_eq!(
                (compiled.query, compiled.exact),
                (query, true),
                "{filter:?}"
            );
        }
    }
}
