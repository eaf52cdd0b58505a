//! A condition or an order must not tell what cleaning hides (check AZ-8): whatever it says about sources, releasability,
//! relationships and lists that are shown as empty is evaluated on what the caller sees of them (rules C1, C2, C5, C6, S4,
//! S22).

use std::sync::Arc;

use bson::Bson;

use crate::access::Clearance;
use crate::store::filter::{Lens, Seen};
use crate::store::{ClassTable, FieldPath, Filter, SortKey, Test};

/// Root fields with parts that may be hidden.
const ROOTS: &[&str] = &["objects", "relationships", "releasability", "source"];
/// Names in them by which entries are hidden.
const NAMES: &[&str] = &["objects.source.name", "releasability.name", "source.name"];

/// What a caller sees of documents, for conditions and orders.
pub(super) struct Confines {
    clearance: Arc<Clearance>,
    classes: Arc<ClassTable>,
}

impl Confines {
    pub(super) fn new(clearance: Arc<Clearance>, classes: Arc<ClassTable>) -> Self {
        Self { clearance, classes }
    }

    /// The same condition on what the caller may see.
    pub(super) fn filter(&self, filter: Filter) -> Filter {
        match filter {
            Filter::All | Filter::Nothing | Filter::Seen(_) | Filter::Judged(_) => filter,
            Filter::And(conditions) => Filter::And(self.each(conditions)),
            Filter::Or(conditions) => Filter::Or(self.each(conditions)),
            Filter::Not(condition) => Filter::Not(Box::new(self.filter(*condition))),
            Filter::Element(path, condition) if self.may_hide(&path) => {
                self.seen(&path.clone(), Filter::Element(path, condition))
            }
            Filter::Field(path, test) if self.may_hide(&path) => self.field(path, test),
            Filter::Element(..) | Filter::Field(..) => filter,
        }
    }

    /// What looks at single entries comes last: it costs more.
    fn each(&self, conditions: Vec<Filter>) -> Vec<Filter> {
        let mut conditions: Vec<Filter> = conditions
            .into_iter()
            .map(|condition| self.filter(condition))
            .collect();
        conditions.sort_by_key(has_seen);
        conditions
    }

    /// An order without what could tell about hidden entries; each field left out is a warning.
    pub(super) fn order(&self, sort: Vec<SortKey>, warnings: &mut Vec<String>) -> Vec<SortKey> {
        let (left, kept): (Vec<_>, Vec<_>) =
            sort.into_iter().partition(|key| self.may_hide(&key.path));
        warnings.extend(left.into_iter().map(|key| {
            format!(
                "sort: '{}' has parts that are not visible, ignored",
                key.path
            )
        }));
        kept
    }

    /// May there be something at this path that the caller does not see?
    fn may_hide(&self, path: &FieldPath) -> bool {
        let root = path.root();
        if self.clearance.is_emptied(root) {
            return true;
        }
        ROOTS.contains(&root)
            && (root != "objects" || path.segments().any(|segment| segment == "source"))
            && !self.clearance.is_clear(root, &self.classes)
    }

    fn seen(&self, path: &FieldPath, condition: Filter) -> Filter {
        let lens = Arc::clone(&self.clearance) as Arc<dyn Lens>;
        Filter::Seen(Seen::new(lens, path, condition))
    }

    /// A test on what is seen at a path.
    fn field(&self, path: FieldPath, test: Test) -> Filter {
        let is_empty = self.clearance.is_emptied(path.root());
        if NAMES.contains(&path.as_str()) && !is_empty {
            return self.on_names(path, test);
        }
        // What is seen is a part of what is stored: who is not found there is not found here. An index may know.
        let narrower =
            (!is_empty && narrows(&path, &test)).then(|| Filter::Field(path.clone(), test.clone()));
        let seen = self.seen(&path.clone(), Filter::Field(path, test));
        match narrower {
            Some(narrower) => Filter::And(vec![narrower, seen]),
            None => seen,
        }
    }

    /// On names alone the test is a set of names, which an index answers.
    fn on_names(&self, path: FieldPath, test: Test) -> Filter {
        let (test, is_negated) = positive(test);
        let on_name = Filter::Field(FieldPath::itself(), test);
        let mut names: Vec<Bson> = self
            .clearance
            .sources_of_reader()
            .map(Bson::from)
            .filter(|name| on_name.matches_element(name).unwrap_or(false))
            .collect();
        let found = match names.len() {
            0 => Filter::Nothing,
            1 => Filter::Field(path, Test::Eq(names.remove(0))),
            _ => Filter::Field(path, Test::In(names)),
        };
        match (is_negated, found) {
            (false, found) => found,
            (true, Filter::Nothing) => Filter::All,
            (true, found) => Filter::Not(Box::new(found)),
        }
    }
}

fn has_seen(filter: &Filter) -> bool {
    match filter {
        Filter::Seen(_) => true,
        Filter::And(conditions) | Filter::Or(conditions) => conditions.iter().any(has_seen),
        Filter::Not(condition) => has_seen(condition),
        Filter::All
        | Filter::Nothing
        | Filter::Field(..)
        | Filter::Element(..)
        | Filter::Judged(_) => false,
    }
}

/// Does the test, on what is stored, find every document that it finds on a part of it? A step-wise search does not: it
/// would come to its limit because of a text that is not seen.
fn narrows(path: &FieldPath, test: &Test) -> bool {
    let is_plain = |value: &Bson| {
        !matches!(
            value,
            Bson::Null | Bson::Undefined | Bson::Array(_) | Bson::Document(_)
        )
    };
    let has_positions = path
        .segments()
        .any(|segment| segment.bytes().all(|byte| byte.is_ascii_digit()));
    !has_positions
        && match test {
            Test::Eq(value)
            | Test::Gt(value)
            | Test::Gte(value)
            | Test::Lt(value)
            | Test::Lte(value) => is_plain(value),
            Test::In(values) => values.iter().all(is_plain),
            Test::Exists(wanted) => *wanted,
            Test::Matches(_) => true,
            Test::Ne(_) | Test::Nin(_) | Test::MatchesStepwise(_) => false,
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

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, doc};

    use super::*;
    use crate::access::{Collections, Rights, SourceRights};
    use crate::store::class::Mark;

    fn confines(rights: &Rights, classes: &ClassTable) -> Confines {
        let clearance = Clearance::without_partners(rights, &Collections::new());
        Confines::new(Arc::new(clearance), Arc::new(classes.clone()))
    }

    fn classes(names: &[&str]) -> ClassTable {
        let mut table = ClassTable::default();
        // Class 0 is that of documents without sources.
        table.classes.push(Arc::default());
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
        let confines = confines(&rights, &classes);
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
        let kept = confines(&one, &classes).order(
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
        // Who sees all there is may still not know that, unless it may do everything.
        let both = rights(&["A", "B"]);
        assert_eq!(
            confines(&both, &classes).order(vec![key("source.name")], &mut Vec::new()),
            []
        );
        let both = Rights {
            flags: ["*".to_owned()].into(),
            ..both
        };
        assert_eq!(
            confines(&both, &classes).order(vec![key("source.name")], &mut Vec::new()),
            [key("source.name")]
        );
    }
}
