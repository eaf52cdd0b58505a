//! Conditions on documents, and their evaluation on raw BSON.
//!
//! Semantics are MongoDB's: a path descends through lists, and a test holds if any value reached satisfies it;
//! `Ne` and `Nin` are the negations of `Eq` and `In`, so documents lacking the field match them (rules G17, G25).
//!
//! In detail: a step into a list takes every embedded document in it, and with digits also the element of that
//! position; lists directly within lists are only entered by position. A list at the end of the path is tested as a
//! whole and element by element, unless the path ends with the position that it has in another list: then as a whole. An empty list is as good as no list (rule M2): at the end of the path it is an absent
//! field, and so is everything below it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use bson::raw::{CString, RawArray, RawBsonRef};
use bson::{Bson, RawDocument, RawDocumentBuf};

use super::order::Operand;
use super::path::FieldPath;
pub use super::raw::Malformed;
use super::raw::{self, Elements, OwnedValue, Value};
use super::stepwise::Stepwise;

/// A condition on a document.
#[derive(Debug, Clone)]
pub enum Filter {
    /// Holds for every document.
    All,
    /// Holds for none (rules G29, G32).
    Nothing,
    /// All of them.
    And(Vec<Filter>),
    /// At least one.
    Or(Vec<Filter>),
    /// A test on what a path reaches. The empty path is the value itself (conditions on elements of plain lists).
    Field(FieldPath, Test),
    /// Some embedded document that the path reaches, lists replaced by their elements, meets the condition as a whole.
    Element(FieldPath, Box<Filter>),
    /// The condition does not hold.
    Not(Box<Filter>),
    /// The condition holds for what somebody sees of a root field (see [`Seen`]).
    Seen(Seen),
    /// Somebody who knows more than the document says so (see [`Judge`]).
    Judged(Arc<dyn Judge>),
}

/// A condition that depends on other documents.
pub trait Judge: Send + Sync + fmt::Debug {
    /// Does it hold?
    fn holds(&self, document: &RawDocument) -> bool;

    /// The root fields of a document that it looks at.
    fn roots(&self) -> &[&'static str];
}

/// A condition on one root field that is not evaluated on what is stored there, but on what a reader sees of it, so that
/// nothing can be learned from it about the rest.
#[derive(Debug, Clone)]
pub struct Seen {
    lens: Arc<dyn Lens>,
    root: CString,
    condition: Box<Filter>,
}

/// How somebody sees lists at the root of documents.
pub trait Lens: Send + Sync + fmt::Debug {
    /// What is seen of a list; none: as if it were not there.
    fn sees<'d>(&self, root: &str, list: &'d RawArray) -> Option<Cow<'d, RawArray>>;
}

impl Seen {
    /// A condition all of whose paths begin with the root field of `path`.
    #[must_use]
    pub fn new(lens: Arc<dyn Lens>, path: &FieldPath, condition: Filter) -> Self {
        Self {
            lens,
            // No path has a NUL in it.
            root: CString::try_from(path.root())
                .unwrap_or_else(|_| CString::from(bson::raw::cstr!(""))),
            condition: Box::new(condition),
        }
    }

    /// Name of the root field.
    #[must_use]
    pub fn root(&self) -> &str {
        self.root.as_str()
    }

    fn holds(&self, document: &[u8]) -> Result<bool, Malformed> {
        let raw = RawDocument::from_bytes(document)
            .map_err(|_| Malformed("a document that can't be read"))?;
        let mut seen = RawDocumentBuf::new();
        // What is no list can't be seen in parts, so it is not seen at all.
        if let Ok(Some(RawBsonRef::Array(list))) = raw.get(self.root())
            && let Some(list) = self.lens.sees(self.root(), list)
        {
            seen.append(&self.root, &*list);
        }
        self.condition.matches(&seen)
    }
}

/// A test on the values that a path reaches.
#[derive(Debug, Clone)]
pub enum Test {
    /// Equal, or a list that contains it. Null is also met by an absent field.
    Eq(Bson),
    /// Not `Eq`.
    Ne(Bson),
    /// Greater, of the same kind (numbers of all widths are one kind; rule G34).
    Gt(Bson),
    /// Greater or equal, of the same kind.
    Gte(Bson),
    /// Less, of the same kind.
    Lt(Bson),
    /// Less or equal, of the same kind.
    Lte(Bson),
    /// Equal to one of them.
    In(Vec<Bson>),
    /// Not `In`.
    Nin(Vec<Bson>),
    /// Whether the path reaches anything. An empty list counts as absent at its own path (rule M2).
    Exists(bool),
    /// A text that the expression finds something in (rule G35).
    ///
    /// Stores look for literal parts in the expression's source: if it was made with `RegexBuilder`, only options that
    /// leave its literals what they are may have been set (`case_insensitive` is fine, `ignore_whitespace` is not).
    Matches(regex::Regex),
    /// The same with an expression that is searched step by step; whoever asks must look whether it was exhausted.
    MatchesStepwise(Stepwise),
}

/// Conditions are equal when written alike; expressions by their source.
impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) | (Self::Nothing, Self::Nothing) => true,
            (Self::And(a), Self::And(b)) | (Self::Or(a), Self::Or(b)) => a == b,
            (Self::Field(a_path, a), Self::Field(b_path, b)) => a_path == b_path && a == b,
            (Self::Element(a_path, a), Self::Element(b_path, b)) => a_path == b_path && a == b,
            (Self::Not(a), Self::Not(b)) => a == b,
            (Self::Seen(a), Self::Seen(b)) => {
                Arc::ptr_eq(&a.lens, &b.lens) && a.root == b.root && a.condition == b.condition
            }
            (Self::Judged(a), Self::Judged(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl PartialEq for Test {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Eq(a), Self::Eq(b))
            | (Self::Ne(a), Self::Ne(b))
            | (Self::Gt(a), Self::Gt(b))
            | (Self::Gte(a), Self::Gte(b))
            | (Self::Lt(a), Self::Lt(b))
            | (Self::Lte(a), Self::Lte(b)) => a == b,
            (Self::In(a), Self::In(b)) | (Self::Nin(a), Self::Nin(b)) => a == b,
            (Self::Exists(a), Self::Exists(b)) => a == b,
            (Self::Matches(a), Self::Matches(b)) => a.as_str() == b.as_str(),
            (Self::MatchesStepwise(a), Self::MatchesStepwise(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

/// What a path came to.
#[derive(Clone, Copy)]
enum Reached<'a> {
    Value(Value<'a>),
    /// By its position in a list: not replaced by its elements.
    Element(Value<'a>),
    Nothing,
}

impl<'a> Reached<'a> {
    fn value(self) -> Option<Value<'a>> {
        match self {
            Self::Value(value) | Self::Element(value) => Some(value),
            Self::Nothing => None,
        }
    }
}

impl Filter {
    /// Is there an expression in it that is searched step by step, up to a limit?
    #[must_use]
    pub fn is_searched_stepwise(&self) -> bool {
        match self {
            Self::And(conditions) | Self::Or(conditions) => {
                conditions.iter().any(Self::is_searched_stepwise)
            }
            Self::Not(condition) | Self::Element(_, condition) => condition.is_searched_stepwise(),
            Self::Seen(seen) => seen.condition.is_searched_stepwise(),
            Self::Field(_, test) => matches!(test, Test::MatchesStepwise(_)),
            Self::All | Self::Nothing | Self::Judged(_) => false,
        }
    }

    /// Does the condition hold for a document?
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the bytes are damaged at a place that had to be looked at.
    pub fn matches(&self, document: &RawDocument) -> Result<bool, Malformed> {
        self.matches_stored(document.as_bytes())
    }

    /// Does the condition hold for a value, such as an element of a list? Paths begin in it;
    /// [`FieldPath::itself`] is the value.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the value can't be written as BSON.
    pub fn matches_element(&self, element: &Bson) -> Result<bool, Malformed> {
        self.holds(OwnedValue::encode(element)?.as_value())
    }

    /// On the bytes of a document, whatever they are.
    pub(crate) fn matches_stored(&self, document: &[u8]) -> Result<bool, Malformed> {
        self.holds(Value::document(document))
    }

    pub(crate) fn holds(&self, value: Value<'_>) -> Result<bool, Malformed> {
        match self {
            Self::All => Ok(true),
            Self::Nothing => Ok(false),
            Self::And(conditions) => {
                for condition in conditions {
                    if !condition.holds(value)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(conditions) => {
                for condition in conditions {
                    if condition.holds(value)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Field(path, test) => test.holds(value, path),
            Self::Element(path, condition) => {
                let mut holds = false;
                each_value(value, path.as_str(), &mut |element| {
                    if !holds && element.is_document() {
                        holds = condition.holds(element)?;
                    }
                    Ok(())
                })?;
                Ok(holds)
            }
            Self::Not(condition) => condition.holds(value).map(|holds| !holds),
            Self::Seen(seen) => seen.holds(value.bytes),
            Self::Judged(judge) => RawDocument::from_bytes(value.bytes)
                .map(|document| judge.holds(document))
                .map_err(|_| Malformed("a document that can't be read")),
        }
    }
}

impl Test {
    fn holds(&self, root: Value<'_>, path: &FieldPath) -> Result<bool, Malformed> {
        match self {
            Self::Eq(wanted) => equals(root, path, wanted),
            Self::Ne(wanted) => equals(root, path, wanted).map(|holds| !holds),
            Self::In(wanted) => equals_any(root, path, wanted),
            Self::Nin(wanted) => equals_any(root, path, wanted).map(|holds| !holds),
            Self::Gt(bound) => compares(root, path, bound, |order| order == Ordering::Greater),
            Self::Gte(bound) => compares(root, path, bound, |order| order != Ordering::Less),
            Self::Lt(bound) => compares(root, path, bound, |order| order == Ordering::Less),
            Self::Lte(bound) => compares(root, path, bound, |order| order != Ordering::Greater),
            Self::Exists(wanted) => {
                let exists = any_place(root, path.as_str(), &mut |place| {
                    Ok(place.value().is_some_and(|value| !value.is_empty_list()))
                })?;
                Ok(exists == *wanted)
            }
            Self::Matches(expression) => any_value(root, path, &mut |reached| match reached {
                Some(value) => Ok(value.text()?.is_some_and(|text| expression.is_match(text))),
                None => Ok(false),
            }),
            Self::MatchesStepwise(expression) => {
                any_value(root, path, &mut |reached| match reached {
                    Some(value) => Ok(value.text()?.is_some_and(|text| expression.finds_in(text))),
                    None => Ok(false),
                })
            }
        }
    }
}

fn equals(root: Value<'_>, path: &FieldPath, wanted: &Bson) -> Result<bool, Malformed> {
    let operand = Operand::new(wanted);
    any_value(root, path, &mut |reached| match reached {
        Some(value) => Ok(operand.compare(value)? == Some(Ordering::Equal)),
        None => Ok(operand.is_null()),
    })
}

fn equals_any(root: Value<'_>, path: &FieldPath, wanted: &[Bson]) -> Result<bool, Malformed> {
    any_value(root, path, &mut |reached| {
        for wanted in wanted {
            let operand = Operand::new(wanted);
            let holds = match reached {
                Some(value) => operand.compare(value)? == Some(Ordering::Equal),
                None => operand.is_null(),
            };
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

fn compares(
    root: Value<'_>,
    path: &FieldPath,
    bound: &Bson,
    wanted: fn(Ordering) -> bool,
) -> Result<bool, Malformed> {
    let operand = Operand::new(bound);
    any_value(root, path, &mut |reached| match reached {
        Some(value) => Ok(match operand.compare(value)? {
            Some(Ordering::Equal) => wanted(Ordering::Equal),
            Some(order) => wanted(order) && !operand.is_nan_pair(value),
            None => false,
        }),
        None => Ok(operand.is_null() && wanted(Ordering::Equal)),
    })
}

/// Is there a value at the end of the path that meets the test, or nothing that does? Lists there are tested whole and by
/// element.
fn any_value(
    root: Value<'_>,
    path: &FieldPath,
    test: &mut dyn FnMut(Option<Value<'_>>) -> Result<bool, Malformed>,
) -> Result<bool, Malformed> {
    any_place(root, path.as_str(), &mut |place| {
        let Some(value) = place.value() else {
            return test(None);
        };
        if test(Some(value))? {
            return Ok(true);
        }
        if value.is_empty_list() {
            return test(None);
        }
        if !value.is_list() || matches!(place, Reached::Element(_)) {
            return Ok(false);
        }
        for element in Elements::new(value.bytes)? {
            if test(Some(element?.value))? {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// Is there a place that the path leads to and that meets the test? `rest` is what is left of the path.
fn any_place(
    value: Value<'_>,
    rest: &str,
    test: &mut dyn FnMut(Reached<'_>) -> Result<bool, Malformed>,
) -> Result<bool, Malformed> {
    if rest.is_empty() {
        return test(Reached::Value(value));
    }
    let (segment, after) = rest.split_once('.').unwrap_or((rest, ""));
    if value.is_document() {
        return match value.field(segment)? {
            Some(field) => any_place(field, after, test),
            None => test(Reached::Nothing),
        };
    }
    if !value.is_list() || value.is_empty_list() {
        return test(Reached::Nothing);
    }
    let position = raw::position(segment);
    if let Some(position) = position {
        let holds = match value.at(position)? {
            Some(element) if after.is_empty() => test(Reached::Element(element))?,
            Some(element) => any_place(element, after, test)?,
            None => test(Reached::Nothing)?,
        };
        if holds {
            return Ok(true);
        }
    }
    for element in Elements::new(value.bytes)? {
        let element = element?.value;
        if !element.is_document() {
            continue;
        }
        let holds = match element.field(segment)? {
            Some(field) => any_place(field, after, test)?,
            // Digits mean the position; that an element lacks a field of this name says nothing.
            None => position.is_none() && test(Reached::Nothing)?,
        };
        if holds {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Calls back for every value at the end of the path, lists replaced by their elements unless the path ends with their
/// position: what an index holds.
pub(crate) fn each_value<'a>(
    value: Value<'a>,
    rest: &str,
    found: &mut dyn FnMut(Value<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    if rest.is_empty() {
        if !value.is_list() {
            return found(value);
        }
        for element in Elements::new(value.bytes)? {
            found(element?.value)?;
        }
        return Ok(());
    }
    let (segment, after) = rest.split_once('.').unwrap_or((rest, ""));
    if value.is_document() {
        return match value.field(segment)? {
            Some(field) => each_value(field, after, found),
            None => Ok(()),
        };
    }
    if !value.is_list() {
        return Ok(());
    }
    if let Some(position) = raw::position(segment)
        && let Some(element) = value.at(position)?
    {
        if after.is_empty() {
            found(element)?;
        } else {
            each_value(element, after, found)?;
        }
    }
    for element in Elements::new(value.bytes)? {
        let element = element?.value;
        if element.is_document() {
            each_value(element, rest, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
