//! `c-FIELD[__OPERATOR]=VALUE`, `or`, `regex` (core-api 10.4 to 10.8).

use bson::Bson;

use super::model::{Kind, Model, Resolved};
use super::value::{bounds, equal_to, unquoted};
use super::{Parameters, Unreadable, is_on, spells_off};
use crate::dates::Zones;
use crate::store::stepwise::NoExpression;
use crate::store::{FieldPath, Filter, Stepwise, Test};

/// Most elements of an `in` or `nin`.
const MOST_ELEMENTS: usize = 10_000;
/// Most memory of a compiled expression.
const EXPRESSION_BYTES: usize = 1 << 20;
/// Most expressions of a request.
const MOST_EXPRESSIONS: usize = 50;

/// Operators of rule G19.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Eq,
    Ne,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    Nin,
    Exists,
}

impl Operator {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "gte" => Self::Gte,
            "lt" => Self::Lt,
            "lte" => Self::Lte,
            "in" => Self::In,
            "nin" => Self::Nin,
            "exists" => Self::Exists,
            _ => return None,
        })
    }
}

/// What conditions without operator do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    Equal,
    Search,
}

/// One condition as sent.
struct Condition<'a> {
    /// Name of the parameter.
    key: &'a str,
    /// All its values, trimmed; at least one.
    values: Vec<&'a str>,
    zones: &'a Zones,
}

/// Expressions of a request that are searched step by step, within limits (rule G38).
#[derive(Debug, Clone, Default)]
pub struct Searches(Vec<(String, Stepwise)>);

impl Searches {
    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// To be asked when the condition was evaluated, before what was found is believed.
    ///
    /// # Errors
    ///
    /// A search came to its limit: what was found means nothing.
    pub fn check(&self) -> Result<(), Unreadable> {
        let met = self.0.iter().find(|(_, search)| search.is_exhausted());
        met.map_or(Ok(()), |(key, _)| {
            Err(Unreadable::new(format!(
                "{}: the regular expression takes too long. One with look-around or back-references is searched for at \
                 most {} s, in texts of up to {} KiB: narrow the query down, or do without them.",
                shortened(key),
                Stepwise::LONGEST.as_secs(),
                Stepwise::LONGEST_TEXT >> 10
            )))
        })
    }
}

/// All conditions of a request, combined (rules G27, G39 to G41).
pub(super) fn read(
    model: &Model,
    parameters: &Parameters,
    zones: &Zones,
    warnings: &mut Vec<String>,
) -> Result<(Filter, Searches), Unreadable> {
    let plain = if is_on(parameters.last("regex")) {
        Plain::Search
    } else {
        Plain::Equal
    };
    let mut filters = Vec::new();
    let mut searches = Searches::default();
    let mut expressions = 0;
    for condition in conditions(parameters, zones) {
        expressions += usize::from(plain == Plain::Search && !condition.key.contains("__"));
        if expressions > MOST_EXPRESSIONS {
            return Err(Unreadable::new(format!(
                "Too many regular expressions: at most {MOST_EXPRESSIONS} are searched for."
            )));
        }
        let filter = condition.filter(model, plain, warnings)?;
        searches.0.extend(
            filter
                .iter()
                .flat_map(stepwise)
                .map(|search| (condition.key.to_owned(), search)),
        );
        filters.extend(filter);
    }
    let any = parameters
        .last("or")
        .is_some_and(|value| !spells_off(value));
    let filter = if any {
        any_of(filters)
    } else {
        all_of(filters)
    };
    Ok((filter, searches))
}

/// The step-wise searches of one condition.
fn stepwise(filter: &Filter) -> Vec<Stepwise> {
    match filter {
        Filter::Field(_, Test::MatchesStepwise(search)) => vec![search.clone()],
        Filter::And(parts) | Filter::Or(parts) => parts.iter().flat_map(stepwise).collect(),
        _ => Vec::new(),
    }
}

fn conditions<'a>(parameters: &'a Parameters, zones: &'a Zones) -> Vec<Condition<'a>> {
    let mut conditions: Vec<Condition<'a>> = Vec::new();
    for (name, value) in parameters.pairs() {
        if !name.starts_with("c-") {
            continue;
        }
        match conditions
            .iter_mut()
            .find(|condition| condition.key == name)
        {
            Some(condition) => condition.values.push(value.trim()),
            None => conditions.push(Condition {
                key: name,
                values: vec![value.trim()],
                zones,
            }),
        }
    }
    conditions
}

/// No conditions: no narrowing.
fn all_of(mut filters: Vec<Filter>) -> Filter {
    match filters.len() {
        0 => Filter::All,
        1 => filters.remove(0),
        _ => Filter::And(filters),
    }
}

/// No conditions: no narrowing (rule G41).
fn any_of(mut filters: Vec<Filter>) -> Filter {
    match filters.len() {
        0 => Filter::All,
        1 => filters.remove(0),
        _ => Filter::Or(filters),
    }
}

/// The same test on every path at which the values may be; one is enough.
fn somewhere(paths: &[FieldPath], test: &Test) -> Filter {
    any_of(
        paths
            .iter()
            .map(|path| Filter::Field(path.clone(), test.clone()))
            .collect(),
    )
}

/// The same test on every path at which the values may be; it must hold on all.
fn everywhere(paths: &[FieldPath], test: &Test) -> Filter {
    all_of(
        paths
            .iter()
            .map(|path| Filter::Field(path.clone(), test.clone()))
            .collect(),
    )
}

fn equals(mut values: Vec<Bson>) -> Test {
    if values.len() == 1 {
        Test::Eq(values.remove(0))
    } else {
        Test::In(values)
    }
}

fn differs(mut values: Vec<Bson>) -> Test {
    if values.len() == 1 {
        Test::Ne(values.remove(0))
    } else {
        Test::Nin(values)
    }
}

impl Condition<'_> {
    /// None: dropped, with a warning.
    fn filter(
        &self,
        model: &Model,
        plain: Plain,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Filter>, Unreadable> {
        let key = self.key;
        let (field, operator) = match key["c-".len()..].split_once("__") {
            Some((field, operator)) => (field, Some(operator)),
            None => (&key["c-".len()..], None),
        };
        if field.is_empty() {
            warnings.push(format!("{key}: no field name, matches nothing"));
            return Ok(Some(Filter::Nothing));
        }
        let resolved = match model.resolve(field) {
            Ok(resolved) => resolved,
            Err(error) => {
                return Err(Unreadable::new(format!(
                    "Invalid field name in '{}': {error}.",
                    shortened(key)
                )));
            }
        };
        let operator = match operator {
            None => None,
            Some(name) => match Operator::named(name) {
                Some(operator) => Some(operator),
                None => {
                    warnings.push(format!("{key}: unknown operator, condition ignored"));
                    return Ok(None);
                }
            },
        };
        let is_list = matches!(operator, Some(Operator::In | Operator::Nin));
        if self.values.len() > 1 && !is_list {
            warnings.push(format!(
                "{key}: given more than once, the last value counts"
            ));
        }
        let value = self.values.last().copied().unwrap_or_default();
        if value.is_empty() && operator.is_some() && !is_list {
            warnings.push(format!("{key}: empty value, condition ignored"));
            return Ok(None);
        }
        // Quotes mean nothing in numbers and dates (decision of the specification on rule G22).
        let typed = if resolved.kind.is_scalar() && resolved.kind != Kind::Text {
            unquoted(value)
        } else {
            value
        };
        Ok(match operator {
            None if plain == Plain::Search && is_searchable(&resolved) => {
                Some(self.search(unquoted(value), &resolved, warnings))
            }
            None => Some(self.equality(unquoted(value), &resolved, warnings)),
            Some(Operator::Eq) => Some(self.equality(typed, &resolved, warnings)),
            Some(Operator::Ne) => self.inequality(typed, &resolved, warnings),
            Some(Operator::Gt) => self.comparison(typed, &resolved, Test::Gt, warnings),
            Some(Operator::Gte) => self.comparison(typed, &resolved, Test::Gte, warnings),
            Some(Operator::Lt) => self.comparison(typed, &resolved, Test::Lt, warnings),
            Some(Operator::Lte) => self.comparison(typed, &resolved, Test::Lte, warnings),
            Some(Operator::In) => match self.elements(&resolved, warnings)? {
                values if values.is_empty() => {
                    warnings.push(format!("{key}: no usable value, matches nothing"));
                    Some(Filter::Nothing)
                }
                values => Some(somewhere(&resolved.paths, &Test::In(values))),
            },
            Some(Operator::Nin) => match self.elements(&resolved, warnings)? {
                values if values.is_empty() => {
                    warnings.push(format!("{key}: no usable value, condition ignored"));
                    None
                }
                values => Some(everywhere(&resolved.paths, &Test::Nin(values))),
            },
            Some(Operator::Exists) => Some(self.existence(value, &resolved, warnings)),
        })
    }

    /// Rules G16, G30, G32.
    fn equality(&self, value: &str, resolved: &Resolved, warnings: &mut Vec<String>) -> Filter {
        match equal_to(value, resolved.kind, self.zones) {
            Ok(values) => somewhere(&resolved.paths, &equals(values)),
            Err(reason) => {
                warnings.push(format!("{}: {reason}, matches nothing", self.key));
                Filter::Nothing
            }
        }
    }

    /// Rule G25: what can't be equal to anything differs from everything.
    fn inequality(
        &self,
        value: &str,
        resolved: &Resolved,
        warnings: &mut Vec<String>,
    ) -> Option<Filter> {
        match equal_to(value, resolved.kind, self.zones) {
            Ok(values) => Some(everywhere(&resolved.paths, &differs(values))),
            Err(reason) => {
                warnings.push(format!("{}: {reason}, condition ignored", self.key));
                None
            }
        }
    }

    /// Rules G33, G34. An unreadable number drops the condition, an unreadable date or id matches nothing (core-api 10.6).
    fn comparison(
        &self,
        value: &str,
        resolved: &Resolved,
        test: fn(Bson) -> Test,
        warnings: &mut Vec<String>,
    ) -> Option<Filter> {
        match bounds(value, resolved.kind, self.zones) {
            Ok(bounds) => Some(any_of(
                bounds
                    .into_iter()
                    .map(|bound| somewhere(&resolved.paths, &test(bound)))
                    .collect(),
            )),
            Err(reason) if matches!(resolved.kind, Kind::Int | Kind::Num | Kind::Bool) => {
                warnings.push(format!("{}: {reason}, condition ignored", self.key));
                None
            }
            Err(reason) => {
                warnings.push(format!("{}: {reason}, matches nothing", self.key));
                Some(Filter::Nothing)
            }
        }
    }

    /// Rule G23: the values of `in` and `nin` that can be used.
    fn elements(
        &self,
        resolved: &Resolved,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Bson>, Unreadable> {
        let mut values = Vec::new();
        for (number, element) in self
            .values
            .iter()
            .flat_map(|value| value.split(','))
            .enumerate()
        {
            if number == MOST_ELEMENTS {
                return Err(Unreadable::new(format!(
                    "Too many values in '{}': at most {MOST_ELEMENTS} are read.",
                    shortened(self.key)
                )));
            }
            match equal_to(unquoted(element), resolved.kind, self.zones) {
                Ok(alternatives) => values.extend(alternatives),
                Err(reason) => warnings.push(format!(
                    "{}: '{element}' is {reason}, value ignored",
                    self.key
                )),
            }
        }
        Ok(values)
    }

    /// Rule G24.
    fn existence(&self, value: &str, resolved: &Resolved, warnings: &mut Vec<String>) -> Filter {
        let wanted = match value {
            "true" | "True" | "1" => true,
            "false" | "False" | "0" => false,
            _ => {
                warnings.push(format!(
                    "{}: neither true nor false, read as true",
                    self.key
                ));
                true
            }
        };
        if wanted {
            somewhere(&resolved.paths, &Test::Exists(true))
        } else {
            everywhere(&resolved.paths, &Test::Exists(false))
        }
    }

    /// Rules G35, G38.
    fn search(&self, expression: &str, resolved: &Resolved, warnings: &mut Vec<String>) -> Filter {
        let built = regex::RegexBuilder::new(expression)
            .case_insensitive(true)
            .size_limit(EXPRESSION_BYTES)
            .build();
        let test = match built {
            Ok(expression) => Ok(Test::Matches(expression)),
            Err(regex::Error::CompiledTooBig(_)) => Err(NoExpression::TooLarge),
            // What the linear-time engine does not know, the other may.
            Err(_) => Stepwise::new(expression).map(Test::MatchesStepwise),
        };
        match test {
            Ok(test) => somewhere(&resolved.paths, &test),
            Err(reason) => {
                warnings.push(format!("{}: {reason}, matches nothing", self.key));
                Filter::Nothing
            }
        }
    }
}

/// Rule G36: ids, numbers, dates and names of sources are compared, not searched.
fn is_searchable(resolved: &Resolved) -> bool {
    let is_source = resolved
        .paths
        .iter()
        .any(|path| path.as_str() == "source.name");
    matches!(resolved.kind, Kind::Text | Kind::Any) && !is_source
}

/// A name for a message that must not grow with the request.
fn shortened(key: &str) -> String {
    if key.chars().count() <= 60 {
        key.to_owned()
    } else {
        format!("{}…", key.chars().take(60).collect::<String>())
    }
}
