//! The fields of a type as queries and answers need them.

use crate::store::FieldPath;
use crate::store::path::PathError;

/// Kind of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Whole number.
    Int,
    /// Number.
    Num,
    /// Yes or no.
    Bool,
    /// Point in time.
    Date,
    /// Object id.
    Id,
    /// UUID.
    Uuid,
    /// Bytes.
    Binary,
    /// Id of a kept file.
    File,
    /// List of plain values or of documents.
    List,
    /// Embedded document.
    Map,
    /// Not known: whatever the value spells.
    Any,
}

impl Kind {
    /// Values of it are no lists and no documents.
    #[must_use]
    pub fn is_scalar(self) -> bool {
        !matches!(self, Self::List | Self::Map | Self::Any)
    }
}

/// A field of a document or of an embedded document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name in the model: `ind_type`.
    pub name: String,
    /// Name in the store and in answers: `type`.
    pub stored: String,
    /// Kind of its values.
    pub kind: Kind,
    /// Kind of a list's elements.
    pub element: Kind,
    /// Fields of an embedded document or of a list's elements.
    pub fields: Vec<Field>,
    /// Always part of a projection (rule G46).
    pub required: bool,
}

impl Field {
    /// A field called the same in model and store.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.into(),
            stored: name.into(),
            kind,
            element: Kind::Any,
            fields: Vec::new(),
            required: false,
        }
    }

    /// A list of plain values.
    #[must_use]
    pub fn list_of(name: &str, element: Kind) -> Self {
        Self {
            element,
            ..Self::new(name, Kind::List)
        }
    }

    /// A list of documents.
    #[must_use]
    pub fn list_with(name: &str, fields: Vec<Field>) -> Self {
        Self {
            element: Kind::Map,
            fields,
            ..Self::new(name, Kind::List)
        }
    }

    /// Under another name in the store.
    #[must_use]
    pub fn stored_as(self, stored: &str) -> Self {
        Self {
            stored: stored.into(),
            ..self
        }
    }

    /// Always part of a projection.
    #[must_use]
    pub fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }
}

/// The field of this name among others: by its stored name, else by its model name (core-api 10.5).
#[must_use]
pub(super) fn field_named<'a>(fields: &'a [Field], name: &str) -> Option<&'a Field> {
    fields
        .iter()
        .find(|field| field.stored == name)
        .or_else(|| fields.iter().find(|field| field.name == name))
}

/// All fields of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Root fields.
    pub fields: Vec<Field>,
    /// A top-level object: `unsupported_attrs` is always shown (rule J8).
    pub top_level: bool,
}

/// What a name in a query stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Where the values may be: one stored path, or two for an attribute that the model does not know (core-api 10.5).
    pub paths: Vec<FieldPath>,
    /// Kind of the values there; of a list, that of its elements.
    pub kind: Kind,
}

/// Longest name of a field in a query, in bytes (core-api 10.5).
const LONGEST_NAME: usize = 200;

/// Why a name can't be one of a field (core-api 10.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoField {
    /// The stored path would be longer than the store's own limit, or the name is longer than ours.
    #[error("the field name is longer than {LONGEST_NAME} bytes")]
    TooLong,
    /// Over 20 segments.
    #[error("the field name has more than 20 parts")]
    TooDeep,
    /// An empty segment.
    #[error("the field name has an empty part")]
    EmptyPart,
    /// `$` in first place, or NUL (rule S14).
    #[error("the field name has a part that begins with `$` or contains NUL")]
    Forbidden,
}

impl From<PathError> for NoField {
    fn from(error: PathError) -> Self {
        match error {
            PathError::TooLong => Self::TooLong,
            PathError::TooDeep => Self::TooDeep,
            PathError::EmptyPart => Self::EmptyPart,
            PathError::Forbidden => Self::Forbidden,
        }
    }
}

/// Root field below which keys unknown to the model are shown (rules M5, M6).
pub(super) const UNSUPPORTED: &str = "unsupported_attrs";

impl Model {
    /// A root field by either of its names.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        field_named(&self.fields, name)
    }

    /// A root field by its stored name only.
    #[must_use]
    pub fn stored_field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.stored == name)
    }

    /// Where among [`Model::fields`] the field of this stored name is.
    #[must_use]
    pub fn position(&self, stored: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.stored == stored)
    }

    /// Is this the model name of a root field (rule Q9)?
    #[must_use]
    pub fn has_model_name(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// Translates a name as sent, with dots, to stored paths (core-api 10.5).
    ///
    /// # Errors
    ///
    /// The name is no path: what is wrong with it.
    pub fn resolve(&self, name: &str) -> Result<Resolved, NoField> {
        if name.len() > LONGEST_NAME {
            return Err(NoField::TooLong);
        }
        FieldPath::parse(name)?;
        let (root, rest) = name
            .split_once('.')
            .map_or((name, None), |(root, rest)| (root, Some(rest)));
        if root == UNSUPPORTED
            && let Some(below) = rest
        {
            let first = below.split('.').next().unwrap_or_default();
            let mut paths = vec![FieldPath::parse(name)?];
            if self.stored_field(first).is_none() {
                paths.insert(0, FieldPath::parse(below)?);
            }
            return Ok(Resolved {
                paths,
                kind: Kind::Any,
            });
        }
        let Some(field) = self.field(root) else {
            let mut paths = vec![FieldPath::parse(name)?];
            if !root.starts_with('_') {
                paths.push(FieldPath::parse(&format!("{UNSUPPORTED}.{name}"))?);
            }
            return Ok(Resolved {
                paths,
                kind: Kind::Any,
            });
        };
        let mut stored = field.stored.clone();
        let mut current = Some(field);
        // `source.0` is an element of the list, `source` the list itself: both have values of the element's kind.
        for segment in rest.into_iter().flat_map(|rest| rest.split('.')) {
            let is_position = segment.bytes().all(|byte| byte.is_ascii_digit());
            let is_list = current.is_some_and(|field| field.kind == Kind::List);
            stored.push('.');
            if is_position && is_list {
                stored.push_str(segment);
                continue;
            }
            current = current.and_then(|field| field_named(&field.fields, segment));
            stored.push_str(current.map_or(segment, |field| &field.stored));
        }
        let kind = match current {
            Some(field) if field.kind == Kind::List => field.element,
            Some(field) => field.kind,
            None => Kind::Any,
        };
        Ok(Resolved {
            paths: vec![FieldPath::parse(&stored)?],
            kind: if kind.is_scalar() { kind } else { Kind::Any },
        })
    }
}
