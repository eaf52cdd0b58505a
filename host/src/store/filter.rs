//! Conditions on documents, and their evaluation on raw BSON.
//!
//! Semantics are MongoDB's: a path descends through lists, and a test holds if any value reached satisfies it;
//! `Ne` and `Nin` are the negations of `Eq` and `In`, so documents lacking the field match them (rules G17, G25).

use bson::Bson;

use super::path::FieldPath;

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
    Matches(regex::Regex),
}
