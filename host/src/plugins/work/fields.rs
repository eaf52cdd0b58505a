//! Which fields documents of a type have, and values converted to their kinds (documents.md 1.2, 2).

use std::sync::LazyLock;

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime};

use crate::dates::{self, Zones};
use crate::plugins::declaration::{FieldDeclaration, FieldKind, TypeDeclaration};
use crate::plugins::value::{Value, integer, json_to_bson};
use crate::store::FieldPath;

/// Fields that only the host writes. `source` is a special case: actions on sources may edit it; `unsupported_attrs` another:
/// a type that declares it itself may write it.
pub(super) const KEPT: [&str; 6] = [
    "_id",
    "schema_version",
    "created",
    "modified",
    "relationships",
    "unsupported_attrs",
];

/// The fields of every top-level object (documents.md 2).
static COMMON: LazyLock<Vec<FieldDeclaration>> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "the text is a literal, and every test of this module reads it"
    )]
    let fields = serde_json::from_str(DECLARATIONS).expect("valid declarations");
    fields
});

const DECLARATIONS: &str = r#"[
  {"name": "schema_version", "kind": "int"},
  {"name": "created", "kind": "date"},
  {"name": "modified", "kind": "date"},
  {"name": "status", "kind": "text"},
  {"name": "tlp", "kind": "text"},
  {"name": "analyst", "kind": "text"},
  {"name": "source", "kind": "list", "of": "map", "fields": [
    {"name": "name", "kind": "text"},
    {"name": "instances", "kind": "list", "of": "map", "fields": [
      {"name": "analyst", "kind": "text"}, {"name": "date", "kind": "date"}, {"name": "method", "kind": "text"},
      {"name": "reference", "kind": "text"}, {"name": "tlp", "kind": "text"}]}]},
  {"name": "campaign", "kind": "list", "of": "map", "fields": [
    {"name": "name", "kind": "text"}, {"name": "confidence", "kind": "text"}, {"name": "analyst", "kind": "text"},
    {"name": "date", "kind": "date"}, {"name": "description", "kind": "text"}]},
  {"name": "bucket_list", "kind": "list", "of": "text"},
  {"name": "sectors", "kind": "list", "of": "text"},
  {"name": "tickets", "kind": "list", "of": "map", "fields": [
    {"name": "ticket_number", "kind": "text"}, {"name": "analyst", "kind": "text"}, {"name": "date", "kind": "date"}]},
  {"name": "actions", "kind": "list", "of": "map", "fields": [
    {"name": "action_type", "kind": "text"}, {"name": "active", "kind": "text"}, {"name": "analyst", "kind": "text"},
    {"name": "begin_date", "kind": "date"}, {"name": "end_date", "kind": "date"}, {"name": "performed_date", "kind": "date"},
    {"name": "date", "kind": "date"}, {"name": "reason", "kind": "text"}]},
  {"name": "locations", "kind": "list", "of": "map", "fields": [
    {"name": "location_type", "kind": "text"}, {"name": "location", "kind": "text"}, {"name": "analyst", "kind": "text"},
    {"name": "date", "kind": "date"}, {"name": "description", "kind": "text"}, {"name": "latitude", "kind": "text"},
    {"name": "longitude", "kind": "text"}]},
  {"name": "releasability", "kind": "list", "of": "map", "fields": [
    {"name": "name", "kind": "text"}, {"name": "analyst", "kind": "text"},
    {"name": "instances", "kind": "list", "of": "map", "fields": [
      {"name": "analyst", "kind": "text"}, {"name": "date", "kind": "date"}, {"name": "note", "kind": "text"}]}]},
  {"name": "screenshots", "kind": "list", "of": "text"},
  {"name": "objects", "kind": "list", "of": "map", "fields": [
    {"name": "type", "kind": "text"}, {"name": "value", "kind": "text", "bucket": "objects"}, {"name": "analyst", "kind": "text"},
    {"name": "date", "kind": "date"},
    {"name": "source", "kind": "list", "of": "map", "fields": [
      {"name": "name", "kind": "text"},
      {"name": "instances", "kind": "list", "of": "map", "fields": [
        {"name": "analyst", "kind": "text"}, {"name": "date", "kind": "date"}, {"name": "method", "kind": "text"},
        {"name": "reference", "kind": "text"}, {"name": "tlp", "kind": "text"}]}]}]},
  {"name": "relationships", "kind": "list", "of": "map", "fields": [
    {"name": "relationship", "kind": "text"}, {"name": "value", "kind": "id"}, {"name": "type", "kind": "text"},
    {"name": "relationship_date", "kind": "date"}, {"name": "date", "kind": "date"}, {"name": "analyst", "kind": "text"},
    {"name": "rel_reason", "kind": "text"}, {"name": "rel_confidence", "kind": "text"}]},
  {"name": "description", "kind": "text"},
  {"name": "unsupported_attrs", "kind": "map"}
]"#;

/// The fields that every top-level object has.
pub(crate) fn common_fields() -> &'static [FieldDeclaration] {
    &COMMON
}

/// Does every top-level object have this field?
pub(crate) fn is_common_field(name: &str) -> bool {
    COMMON.iter().any(|field| field.name == name)
}

/// The lists that every top-level object has, in the order in which a new document gets them.
pub(super) const LISTS: [&str; 10] = [
    "campaign",
    "bucket_list",
    "sectors",
    "tickets",
    "actions",
    "locations",
    "releasability",
    "screenshots",
    "objects",
    "relationships",
];

/// What the declaration says of a place in a document.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// The document itself.
    Root(&'a TypeDeclaration),
    /// A field.
    Field(&'a FieldDeclaration),
    /// An element of a list field.
    Element(&'a FieldDeclaration),
    /// Below something that may hold anything.
    Free,
    /// Nothing is declared there.
    Unknown,
}

/// The place that a path leads to.
pub(super) fn place<'a>(of: &'a TypeDeclaration, path: &FieldPath) -> Place<'a> {
    Place::Root(of).inner(path)
}

/// The field at a path, if it is a declared one.
pub(super) fn declared<'a>(
    of: &'a TypeDeclaration,
    path: &FieldPath,
) -> Option<&'a FieldDeclaration> {
    match place(of, path) {
        Place::Field(field) => Some(field),
        _ => None,
    }
}

/// A root field: the type's own declaration goes before the common one.
pub(super) fn root_field<'a>(of: &'a TypeDeclaration, name: &str) -> Option<&'a FieldDeclaration> {
    if let Some(own) = of.fields.iter().find(|field| field.stored_name() == name) {
        return Some(own);
    }
    let has_common = if name == "source" {
        of.sources
    } else {
        of.top_level || name == "schema_version" || name == "unsupported_attrs"
    };
    COMMON.iter().find(|field| has_common && field.name == name)
}

impl<'a> Place<'a> {
    /// Further down.
    pub(super) fn inner(self, path: &FieldPath) -> Place<'a> {
        path.segments()
            .fold(self, |place, segment| place.step(segment))
    }

    fn step(self, segment: &str) -> Place<'a> {
        let position = segment.bytes().all(|byte| byte.is_ascii_digit());
        let named = |fields: &'a [FieldDeclaration]| match fields
            .iter()
            .find(|field| field.stored_name() == segment)
        {
            Some(field) => Place::Field(field),
            None => Place::Free,
        };
        match self {
            Place::Root(of) => root_field(of, segment).map_or(Place::Unknown, Place::Field),
            Place::Field(field) => match field.kind {
                FieldKind::List if position => Place::Element(field),
                // In conditions a path goes through lists without positions.
                FieldKind::List | FieldKind::Map => named(&field.fields),
                FieldKind::Any => Place::Free,
                _ => Place::Unknown,
            },
            Place::Element(field) => match field.of.as_deref() {
                Some("map" | "any") | None => named(&field.fields),
                Some(_) => Place::Unknown,
            },
            Place::Free => Place::Free,
            Place::Unknown => Place::Unknown,
        }
    }

    /// Is it a list, as far as declared?
    pub(super) fn is_list(self) -> bool {
        match self {
            Place::Field(field) => matches!(field.kind, FieldKind::List | FieldKind::Any),
            Place::Free => true,
            Place::Element(_) | Place::Root(_) | Place::Unknown => false,
        }
    }

    /// An element of the list that is here.
    pub(super) fn element(self) -> Place<'a> {
        match self {
            Place::Field(field) if field.kind == FieldKind::List => Place::Element(field),
            _ => Place::Free,
        }
    }

    /// A value of the contract as it is stored here.
    ///
    /// # Errors
    ///
    /// What the place wants: `a date`.
    pub(super) fn convert(self, value: &Value, zones: &Zones) -> Result<Bson, String> {
        let plain = match value {
            Value::Null => Bson::Null,
            Value::Flag(flag) => Bson::Boolean(*flag),
            Value::Int(number) => integer(*number),
            Value::Num(number) => Bson::Double(*number),
            Value::Text(text) => Bson::String(text.clone()),
            Value::Bytes(bytes) => Bson::Binary(Binary {
                subtype: BinarySubtype::Generic,
                bytes: bytes.clone(),
            }),
            Value::Date(milliseconds) => Bson::DateTime(DateTime::from_millis(*milliseconds)),
            Value::Id(id) => Bson::ObjectId(ObjectId::parse_str(id).map_err(|_| "an object id")?),
            Value::Json(text) => {
                json_to_bson(&serde_json::from_str(text).map_err(|error| error.to_string())?)?
            }
            Value::File(_) => return Err("no file (use `keep`)".into()),
        };
        self.convert_bson(plain, zones)
    }

    /// The same for what is BSON already.
    pub(super) fn convert_bson(self, value: Bson, zones: &Zones) -> Result<Bson, String> {
        match self {
            Place::Field(field) => of_kind(field.kind, Some(field), value, zones),
            Place::Element(field) => match element_kind(field) {
                FieldKind::Map => members(field, value, zones),
                kind => of_kind(kind, None, value, zones),
            },
            Place::Free | Place::Root(_) | Place::Unknown => Ok(value),
        }
    }
}

fn element_kind(field: &FieldDeclaration) -> FieldKind {
    match field.of.as_deref() {
        Some("text" | "string") => FieldKind::Text,
        Some("int") => FieldKind::Int,
        Some("num") => FieldKind::Num,
        Some("bool") => FieldKind::Bool,
        Some("date") => FieldKind::Date,
        Some("id") => FieldKind::Id,
        Some("map") => FieldKind::Map,
        _ if field.fields.is_empty() => FieldKind::Any,
        _ => FieldKind::Map,
    }
}

fn members(field: &FieldDeclaration, value: Bson, zones: &Zones) -> Result<Bson, String> {
    let Bson::Document(document) = value else {
        return Err("an object".into());
    };
    let converted = document
        .into_iter()
        .filter(|(_, value)| *value != Bson::Null)
        .map(|(name, value)| {
            let value = match field
                .fields
                .iter()
                .find(|field| field.stored_name() == name)
            {
                Some(field) => of_kind(field.kind, Some(field), value, zones)
                    .map_err(|wanted| format!("{wanted} in `{name}`"))?,
                None => value,
            };
            Ok::<_, String>((name, value))
        });
    Ok(Bson::Document(converted.collect::<Result<_, _>>()?))
}

fn of_kind(
    kind: FieldKind,
    field: Option<&FieldDeclaration>,
    value: Bson,
    zones: &Zones,
) -> Result<Bson, String> {
    match (kind, value) {
        (FieldKind::Any, value) => Ok(value),
        (FieldKind::Text, Bson::String(text)) => Ok(Bson::String(text)),
        (FieldKind::Text, Bson::Int32(number)) => Ok(number.to_string().into()),
        (FieldKind::Text, Bson::Int64(number)) => Ok(number.to_string().into()),
        (FieldKind::Text, Bson::Double(number)) => Ok(number.to_string().into()),
        (FieldKind::Text, Bson::Boolean(flag)) => Ok(flag.to_string().into()),
        (FieldKind::Text, Bson::ObjectId(id)) => Ok(id.to_hex().into()),
        (FieldKind::Text, _) => Err("a text".into()),
        (FieldKind::Int, Bson::Int32(number)) => Ok(Bson::Int32(number)),
        (FieldKind::Int, Bson::Int64(number)) => Ok(integer(number)),
        (FieldKind::Int, Bson::Double(number))
            if number.fract() == 0.0 && number.abs() < 9.2e18 =>
        {
            Ok(integer(number as i64))
        }
        (FieldKind::Int, Bson::String(text)) => text
            .trim()
            .parse()
            .map(integer)
            .map_err(|_| "an integer".into()),
        (FieldKind::Int, _) => Err("an integer".into()),
        (FieldKind::Num, Bson::Double(number)) => Ok(Bson::Double(number)),
        (FieldKind::Num, Bson::Int32(number)) => Ok(Bson::Double(f64::from(number))),
        (FieldKind::Num, Bson::Int64(number)) => Ok(Bson::Double(number as f64)),
        (FieldKind::Num, Bson::String(text)) => text
            .trim()
            .parse()
            .map(Bson::Double)
            .map_err(|_| "a number".into()),
        (FieldKind::Num, _) => Err("a number".into()),
        (FieldKind::Bool, Bson::Boolean(flag)) => Ok(Bson::Boolean(flag)),
        (FieldKind::Bool, Bson::Int32(number @ (0 | 1))) => Ok(Bson::Boolean(number == 1)),
        (FieldKind::Bool, _) => Err("true or false".into()),
        (FieldKind::Date, Bson::DateTime(date)) => Ok(Bson::DateTime(date)),
        (FieldKind::Date, Bson::String(text)) => {
            let date = dates::strict(&text).or_else(|| dates::lenient(&text));
            date.map(|date| Bson::DateTime(DateTime::from_millis(zones.read(date))))
                .ok_or_else(|| "a date".into())
        }
        (FieldKind::Date, _) => Err("a date".into()),
        (FieldKind::Id | FieldKind::File, Bson::ObjectId(id)) => Ok(Bson::ObjectId(id)),
        (FieldKind::Id, Bson::String(text)) => ObjectId::parse_str(&text)
            .map(Bson::ObjectId)
            .map_err(|_| "an object id".into()),
        (FieldKind::Id | FieldKind::File, _) => Err("an object id".into()),
        (FieldKind::Uuid, Bson::String(text)) => uuid::Uuid::parse_str(text.trim())
            .map(|uuid| uuid_value(uuid.as_bytes()))
            .map_err(|_| "a UUID".into()),
        (FieldKind::Uuid, Bson::Binary(binary)) if binary.bytes.len() == 16 => {
            Ok(uuid_value(&binary.bytes))
        }
        (FieldKind::Uuid, _) => Err("a UUID".into()),
        (FieldKind::Binary, Bson::Binary(binary)) => Ok(Bson::Binary(binary)),
        (FieldKind::Binary, _) => Err("bytes".into()),
        (FieldKind::List, Bson::Array(elements)) => {
            let Some(field) = field else {
                return Ok(Bson::Array(elements));
            };
            let convert = |element| Place::Element(field).convert_bson(element, zones);
            elements
                .into_iter()
                .map(convert)
                .collect::<Result<_, _>>()
                .map(Bson::Array)
        }
        (FieldKind::List, _) => Err("a list".into()),
        (FieldKind::Map, value) => match field {
            Some(field) => members(field, value, zones),
            None => Ok(value),
        },
    }
}

/// Documents.md 1.2: UUIDs are binary of subtype 3, in the order of RFC 4122.
fn uuid_value(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::UuidOld,
        bytes: bytes.to_vec(),
    })
}
