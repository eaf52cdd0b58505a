//! A condition or an order must not tell what cleaning hides (check AZ-8): whatever it says about sources and
//! releasability is evaluated on the entries that the caller may see (rules C1, C2, C6).

use std::collections::BTreeMap;

use bson::Bson;

use crate::access::{Rights, SourceRights};
use crate::store::{ClassTable, FieldPath, Filter, SortKey, Test};

/// Lists whose entries are hidden by their `name`.
const LISTS: &[&str] = &["objects.source", "releasability", "source"];
/// Further lists with entries that may be hidden, for orders.
const RELATIONSHIPS: &str = "relationships";

/// What a caller sees of sources.
pub(super) struct Confines<'a> {
    sources: &'a BTreeMap<String, SourceRights>,
    classes: &'a ClassTable,
}

impl<'a> Confines<'a> {
    pub(super) fn new(rights: &'a Rights, classes: &'a ClassTable) -> Self {
        Self {
            sources: &rights.sources,
            classes,
        }
    }

    /// The same condition on what the caller may see.
    pub(super) fn filter(&self, filter: Filter) -> Filter {
        match filter {
            Filter::All => Filter::All,
            Filter::Nothing => Filter::Nothing,
            Filter::And(conditions) => Filter::And(
                conditions
                    .into_iter()
                    .map(|condition| self.filter(condition))
                    .collect(),
            ),
            Filter::Or(conditions) => Filter::Or(
                conditions
                    .into_iter()
                    .map(|condition| self.filter(condition))
                    .collect(),
            ),
            Filter::Not(condition) => Filter::Not(Box::new(self.filter(*condition))),
            // The query language makes none.
            Filter::Element(path, condition) => Filter::Element(path, condition),
            Filter::Field(path, test) => match confined_list(&path) {
                Some((list, rest)) if !self.sees_every_source(list) => {
                    self.entries(list, &rest, test)
                }
                _ => Filter::Field(path, test),
            },
        }
    }

    /// An order without what could tell about hidden entries; each field left out is a warning.
    pub(super) fn order(&self, sort: Vec<SortKey>, warnings: &mut Vec<String>) -> Vec<SortKey> {
        let (kept, left): (Vec<_>, Vec<_>) = sort.into_iter().partition(|key| {
            let is_hidden = key.path.root() == RELATIONSHIPS
                || confined_list(&key.path).is_some_and(|(list, _)| !self.sees_every_source(list));
            !is_hidden
        });
        warnings.extend(left.into_iter().map(|key| {
            format!(
                "sort: '{}' has parts that are not visible, ignored",
                key.path
            )
        }));
        kept
    }

    /// No entry of this list is hidden from the caller, in any document.
    fn sees_every_source(&self, list: &str) -> bool {
        list == "source"
            && self
                .classes
                .classes
                .iter()
                .flat_map(|pairs| pairs.iter())
                .all(|(name, _)| self.sources.contains_key(name))
    }

    /// A test on visible entries of a list. `rest`: the path within an entry; empty: the entry itself.
    fn entries(&self, list: &str, rest: &str, test: Test) -> Filter {
        let (test, is_negated) = positive(test);
        let list = FieldPath::parse(list).unwrap_or_else(|_| FieldPath::itself());
        let names: Vec<&String> = self.sources.keys().collect();
        let text = |name: &&String| Bson::String((*name).clone());
        let found = if rest == "name" {
            // On names alone the test is a set of names, which an index answers.
            let on_name = Filter::Field(FieldPath::itself(), test);
            let meeting = names
                .iter()
                .filter(|name| on_name.matches_element(&text(name)).unwrap_or(false))
                .map(text)
                .collect();
            any_of_names(&list, meeting)
        } else {
            let visible = Filter::Field(
                FieldPath::literal("name"),
                Test::In(names.iter().map(text).collect()),
            );
            let path = if rest.is_empty() {
                FieldPath::itself()
            } else {
                FieldPath::parse(rest).unwrap_or_else(|_| FieldPath::itself())
            };
            Filter::Element(
                list,
                Box::new(Filter::And(vec![visible, Filter::Field(path, test)])),
            )
        };
        if is_negated { negated(found) } else { found }
    }
}

fn any_of_names(list: &FieldPath, mut names: Vec<Bson>) -> Filter {
    let Ok(path) = FieldPath::parse(&format!("{list}.name")) else {
        return Filter::Nothing;
    };
    match names.len() {
        0 => Filter::Nothing,
        1 => Filter::Field(path, Test::Eq(names.remove(0))),
        _ => Filter::Field(path, Test::In(names)),
    }
}

/// A test, or the test that it is the negation of.
fn positive(test: Test) -> (Test, bool) {
    match test {
        Test::Ne(value) => (Test::Eq(value), true),
        Test::Nin(values) => (Test::In(values), true),
        Test::Exists(false) => (Test::Exists(true), true),
        other => (other, false),
    }
}

fn negated(filter: Filter) -> Filter {
    match filter {
        Filter::All => Filter::Nothing,
        Filter::Nothing => Filter::All,
        other => Filter::Not(Box::new(other)),
    }
}

/// The confined list that a path leads into, and the rest of the path without positions.
fn confined_list(path: &FieldPath) -> Option<(&'static str, String)> {
    let names: Vec<&str> = path
        .segments()
        .filter(|segment| !segment.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    let names = names.join(".");
    LISTS.iter().find_map(|list| {
        let rest = names.strip_prefix(list)?;
        if rest.is_empty() {
            Some((*list, String::new()))
        } else {
            rest.strip_prefix('.').map(|rest| (*list, rest.to_owned()))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bson::{RawDocumentBuf, doc};

    use super::*;
    use crate::store::class::Mark;

    fn classes(names: &[&str]) -> ClassTable {
        let mut table = ClassTable::default();
        table.classes.push(Arc::new(
            names
                .iter()
                .map(|name| ((*name).to_owned(), Mark::Red))
                .collect(),
        ));
        table
    }

    fn rights(names: &[&str]) -> Rights {
        Rights {
            sources: names
                .iter()
                .map(|name| ((*name).to_owned(), SourceRights::default()))
                .collect(),
            ..Rights::default()
        }
    }

    /// AZ-8: on a document shared by A and B, nothing that somebody who has only A can ask tells that B is there.
    #[test]
    fn az8_conditions_see_only_entries_that_the_caller_sees() {
        let classes = classes(&["A", "B"]);
        let rights = rights(&["A"]);
        let confines = Confines::new(&rights, &classes);
        let shared = doc! {
            "source": [{"name": "A", "instances": [{"method": "m"}]}, {"name": "B", "instances": [{"method": "secret"}]}],
            "releasability": [{"name": "B", "instances": []}],
            "objects": [{"type": "Mutex", "source": [{"name": "B", "instances": [{"reference": "hidden"}]}]}],
        };
        let shared = RawDocumentBuf::from_bytes(shared.to_vec().unwrap()).unwrap();
        let eq = |value: &str| Test::Eq(Bson::from(value));
        let ne = |value: &str| Test::Ne(Bson::from(value));
        let rows = [
            ("source.name", eq("A"), true),
            ("source.name", eq("B"), false),
            ("source.name", ne("B"), true),
            ("source.name", ne("A"), false),
            ("source.name", Test::Nin(vec!["B".into()]), true),
            ("source.name", Test::In(vec!["B".into(), "A".into()]), true),
            (
                "source.name",
                Test::Matches(regex::Regex::new("^B").unwrap()),
                false,
            ),
            ("source.name", Test::Gt("A".into()), false),
            ("source.1.name", eq("B"), false),
            ("source.instances.method", eq("m"), true),
            ("source.instances.method", eq("secret"), false),
            ("source.instances.method", ne("secret"), true),
            ("source.instances.method", ne("m"), false),
            ("releasability.name", Test::Exists(true), false),
            ("releasability.name", Test::Exists(false), true),
            ("releasability", Test::Exists(true), false),
            ("objects.source.instances.reference", eq("hidden"), false),
            ("objects.source.name", eq("B"), false),
            ("objects.type", eq("Mutex"), true),
        ];
        for (path, test, expected) in rows {
            let filter = confines.filter(Filter::Field(FieldPath::literal(path), test.clone()));
            assert_eq!(
                filter.matches(&shared).unwrap(),
                expected,
                "{path} {test:?} became {filter:?}"
            );
        }
    }

    #[test]
    fn az8_orders_by_hidden_parts_are_left_out() {
        let classes = classes(&["A", "B"]);
        let key = |path| SortKey {
            path: FieldPath::literal(path),
            direction: crate::store::Direction::Ascending,
        };
        let mut warnings = Vec::new();
        let one = rights(&["A"]);
        let kept = Confines::new(&one, &classes).order(
            vec![key("source.name"), key("title"), key("relationships.date")],
            &mut warnings,
        );
        assert_eq!(kept, [key("title")]);
        assert_eq!(
            warnings,
            [
                "sort: 'source.name' has parts that are not visible, ignored",
                "sort: 'relationships.date' has parts that are not visible, ignored"
            ]
        );
        let both = rights(&["A", "B"]);
        assert_eq!(
            Confines::new(&both, &classes).order(vec![key("source.name")], &mut Vec::new()),
            [key("source.name")]
        );
    }
}
