//! A stored document as answers show it: rules J2 to J8 and J10, M1 to M6.
//!
//! The result is a JSON tree whose leaves are already in the form of the API, so that every format is written from it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document};
use serde_json::{Map, Value as Json};

use crate::dates;
use crate::plugins::value::json_to_bson;
use crate::query::{Field, Kind, Model, Projection};

const UNSUPPORTED: &str = "unsupported_attrs";
/// An artefact of the original that may be stored below `unsupported_attrs` (rule M6).
const ARTEFACT: &str = "get_tlp_display";

/// A document, already cleaned for its reader, in the form of the API.
pub(super) fn document(model: &Model, mut stored: Document, projection: &Projection) -> Json {
    shape(model, &mut stored);
    projection.apply(&mut stored);
    let unsupported = stored.remove(UNSUPPORTED);
    let mut shown = fields(stored, &model.fields);
    if let Some(unsupported) = unsupported {
        shown.insert(
            UNSUPPORTED.to_owned(),
            unsupported_value(unsupported).unwrap_or(Json::Null),
        );
    }
    Json::Object(shown)
}

/// JSON of the contract (`{"$date": …}`, `{"$oid": …}`, `{"$binary": …}`) in the form of the API.
pub(super) fn answered(value: Json) -> Json {
    match value {
        Json::Array(elements) => Json::Array(elements.into_iter().map(answered).collect()),
        Json::Object(members) => {
            let wrapped = members.len() == 1 && members.keys().all(|name| name.starts_with('$'));
            let unwrapped = wrapped
                .then(|| {
                    json_to_bson(&Json::Object(members.clone()))
                        .ok()
                        .and_then(untyped)
                })
                .flatten();
            unwrapped.unwrap_or_else(|| {
                Json::Object(
                    members
                        .into_iter()
                        .map(|(name, value)| (name, answered(value)))
                        .collect(),
                )
            })
        }
        plain => plain,
    }
}

/// Moves unknown keys below `unsupported_attrs` (rules J8, M4 to M6), adds absent lists (rules J5, M2, M3) and a missing
/// `tlp` (decision of the specification). Nothing else is invented.
fn shape(model: &Model, stored: &mut Document) {
    let mut unsupported = match stored.remove(UNSUPPORTED) {
        Some(Bson::Document(attributes)) => attributes,
        _ => Document::new(),
    };
    unsupported.remove(ARTEFACT);
    let unknown: Vec<String> = stored
        .keys()
        .filter(|key| model.stored_field(key).is_none())
        .cloned()
        .collect();
    for key in unknown {
        if let Some(value) = stored.remove(&key)
            && !key.starts_with('_')
        {
            unsupported.insert(key, value);
        }
    }
    for field in model.fields.iter().filter(|field| field.kind == Kind::List) {
        if matches!(stored.get(&field.stored), None | Some(Bson::Null)) {
            stored.insert(field.stored.clone(), Bson::Array(Vec::new()));
        }
    }
    if model.top_level && matches!(stored.get("tlp"), None | Some(Bson::Null)) {
        stored.insert("tlp", "red");
    }
    if model.top_level || !unsupported.is_empty() {
        stored.insert(UNSUPPORTED, unsupported);
    }
}

/// Unset values are absent (rule J5).
fn fields(document: Document, known: &[Field]) -> Map<String, Json> {
    let mut shown = Map::new();
    for (name, stored) in document {
        let field = known.iter().find(|field| field.stored == name);
        if let Some(value) = value(stored, field) {
            shown.insert(name, value);
        }
    }
    shown
}

/// None: unset, or nothing that JSON can show.
fn value(stored: Bson, field: Option<&Field>) -> Option<Json> {
    let kind = field.map_or(Kind::Any, |field| field.kind);
    match stored {
        Bson::Document(document) => Some(Json::Object(fields(
            document,
            field.map_or(&[], |field| &field.fields),
        ))),
        Bson::Array(list) => {
            let element = |stored| match stored {
                Bson::Document(document) => Some(Json::Object(fields(
                    document,
                    field.map_or(&[], |field| &field.fields),
                ))),
                other => plain(other, field.map_or(Kind::Any, |field| field.element)),
            };
            Some(Json::Array(
                list.into_iter()
                    .map(|stored| element(stored).unwrap_or(Json::Null))
                    .collect(),
            ))
        }
        other => plain(other, kind),
    }
}

/// Values of attributes nobody declared stay as they are, nulls included (rule J8).
fn unsupported_value(stored: Bson) -> Option<Json> {
    match stored {
        Bson::Document(document) => Some(Json::Object(
            document
                .into_iter()
                .map(|(name, stored)| (name, unsupported_value(stored).unwrap_or(Json::Null)))
                .collect(),
        )),
        Bson::Array(list) => Some(Json::Array(
            list.into_iter()
                .map(|stored| unsupported_value(stored).unwrap_or(Json::Null))
                .collect(),
        )),
        other => plain(other, Kind::Any),
    }
}

/// A value that is neither list nor document (rules J3, J4, J6, J7; documents 1.2 on what is accepted for a kind).
fn plain(stored: Bson, kind: Kind) -> Option<Json> {
    match (stored, kind) {
        (Bson::Double(number), Kind::Int) if number.fract() == 0.0 && number.abs() < 9.0e15 => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "integral and far within 64 bits"
            )]
            let whole = number as i64;
            Some(whole.into())
        }
        (Bson::String(text), Kind::Int) => Some(
            text.trim()
                .parse::<i64>()
                .map_or(Json::String(text), Json::from),
        ),
        (Bson::Int32(number @ 0..=1), Kind::Bool) => Some(Json::Bool(number == 1)),
        (Bson::Int64(number @ 0..=1), Kind::Bool) => Some(Json::Bool(number == 1)),
        (Bson::String(text), Kind::Uuid) => Some(Json::String(
            uuid::Uuid::try_parse(&text).map_or(text, |uuid| uuid.to_string()),
        )),
        (Bson::Int32(number), Kind::Text) => Some(Json::String(number.to_string())),
        (Bson::Int64(number), Kind::Text) => Some(Json::String(number.to_string())),
        (Bson::Double(number), Kind::Text) => Some(Json::String(number.to_string())),
        (Bson::Boolean(flag), Kind::Text) => Some(Json::String(flag.to_string())),
        (stored, _) => untyped(stored),
    }
}

fn untyped(stored: Bson) -> Option<Json> {
    match stored {
        Bson::String(text) | Bson::Symbol(text) | Bson::JavaScriptCode(text) => {
            Some(Json::String(text))
        }
        Bson::Int32(number) => Some(number.into()),
        Bson::Int64(number) => Some(number.into()),
        Bson::Double(number) => serde_json::Number::from_f64(number).map(Json::Number),
        Bson::Boolean(flag) => Some(Json::Bool(flag)),
        Bson::ObjectId(id) => Some(Json::String(id.to_hex())),
        Bson::DateTime(date) => Some(Json::String(dates::text(date.timestamp_millis()))),
        Bson::Timestamp(stamp) => Some(Json::String(dates::text(i64::from(stamp.time) * 1_000))),
        Bson::Binary(binary) => Some(Json::String(bytes(&binary))),
        Bson::Decimal128(number) => Some(Json::String(number.to_string())),
        Bson::RegularExpression(expression) => Some(Json::String(expression.pattern.to_string())),
        Bson::JavaScriptCodeWithScope(code) => Some(Json::String(code.code)),
        Bson::Array(list) => Some(Json::Array(
            list.into_iter()
                .map(|stored| untyped(stored).unwrap_or(Json::Null))
                .collect(),
        )),
        Bson::Document(document) => Some(Json::Object(
            document
                .into_iter()
                .filter_map(|(name, stored)| Some((name, untyped(stored)?)))
                .collect(),
        )),
        Bson::Null | Bson::Undefined | Bson::MinKey | Bson::MaxKey | Bson::DbPointer(_) => None,
    }
}

/// Rule J6: UUIDs as canonical text, other bytes as base64.
fn bytes(binary: &Binary) -> String {
    let is_uuid = matches!(binary.subtype, BinarySubtype::Uuid | BinarySubtype::UuidOld);
    match uuid::Uuid::from_slice(&binary.bytes) {
        Ok(uuid) if is_uuid => uuid.to_string(),
        _ => STANDARD.encode(&binary.bytes),
    }
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;
    use bson::{DateTime, doc};
    use serde_json::json;

    use super::*;

    fn model(top_level: bool) -> Model {
        let instances = vec![
            Field::new("date", Kind::Date),
            Field::new("method", Kind::Text),
        ];
        Model {
            fields: vec![
                Field::new("id", Kind::Id).stored_as("_id"),
                Field::new("schema_version", Kind::Int),
                Field::new("tlp", Kind::Text),
                Field::new("name", Kind::Text),
                Field::new("size", Kind::Int),
                Field::new("active", Kind::Bool),
                Field::new("event_id", Kind::Uuid),
                Field::new("link_id", Kind::Uuid),
                Field::new("created", Kind::Date),
                Field::list_of("bucket_list", Kind::Text),
                Field::list_of("counts", Kind::Int),
                Field::list_with(
                    "source",
                    vec![
                        Field::new("name", Kind::Text),
                        Field::list_with("instances", instances),
                    ],
                ),
                Field::new("unsupported_attrs", Kind::Map),
            ],
            top_level,
        }
    }

    fn shown(top_level: bool, stored: Document) -> Json {
        document(&model(top_level), stored, &Projection::default())
    }

    const ID: &str = "5b2c3d4e5f60718293a4b5c6";

    #[test]
    fn j2_to_j6_values() {
        let uuid = uuid::Uuid::parse_str("12345678-1234-1234-1234-1234567890ab").unwrap();
        let binary = |subtype, bytes: &[u8]| {
            Bson::Binary(Binary {
                subtype,
                bytes: bytes.to_vec(),
            })
        };
        let stored = doc! {
            "_id": ObjectId::parse_str(ID).unwrap(), "schema_version": 3.0, "tlp": "amber", "name": "é\u{202e}", "size": "42", "active": 1,
            "event_id": binary(BinarySubtype::UuidOld, uuid.as_bytes()), "link_id": "123456781234123412341234567890AB",
            "created": DateTime::from_millis(1_577_934_245_006), "bucket_list": ["a"], "counts": [1.0, 2_i64],
            "source": [{"name": "A", "instances": [{"date": DateTime::from_millis(0), "method": Bson::Null, "reference": ""}]}, {"name": "Other", "instances": [0]}],
            "unsupported_attrs": {},
        };
        assert_eq!(
            shown(true, stored),
            json!({
                "_id": ID, "schema_version": 3, "tlp": "amber", "name": "é\u{202e}", "size": 42, "active": true,
                "event_id": "12345678-1234-1234-1234-1234567890ab", "link_id": "12345678-1234-1234-1234-1234567890ab",
                "created": "2020-01-02 03:04:05.006000", "bucket_list": ["a"], "counts": [1, 2],
                "source": [{"name": "A", "instances": [{"date": "1970-01-01 00:00:00.000000", "reference": ""}]}, {"name": "Other", "instances": [0]}],
                "unsupported_attrs": {},
            })
        );
    }

    #[test]
    fn j5_j10_m2_m3_unset_is_absent_lists_are_there_and_only_tlp_is_made_up() {
        assert_eq!(
            shown(
                true,
                doc! {"_id": ObjectId::parse_str(ID).unwrap(), "name": Bson::Null, "bucket_list": Bson::Null}
            ),
            json!({"_id": ID, "bucket_list": [], "counts": [], "source": [], "tlp": "red", "unsupported_attrs": {}})
        );
        assert_eq!(
            shown(
                true,
                doc! {"size": "large", "created": "yesterday", "source": "odd"}
            )["size"],
            "large"
        );
    }

    #[test]
    fn j8_m4_m5_m6_unknown_keys_go_below_unsupported_attrs() {
        let stored = doc! {"weird": {"a": Bson::Null, "b": [1.5]}, "_cls": "X", "tlp": "red", "unsupported_attrs": {"old": 1, "get_tlp_display": Bson::Null}};
        assert_eq!(
            shown(true, stored)["unsupported_attrs"],
            json!({"old": 1, "weird": {"a": null, "b": [1.5]}})
        );
        let identifier = shown(
            false,
            doc! {"name": "x", "unsupported_attrs": {"tlp": "amber"}},
        );
        assert_eq!(
            (&identifier["unsupported_attrs"], identifier.get("tlp")),
            (&json!({"tlp": "amber"}), None)
        );
        assert_eq!(
            shown(false, doc! {"name": "x"}).get("unsupported_attrs"),
            None
        );
    }

    #[test]
    fn j6_other_kinds() {
        let stored = doc! {"unsupported_attrs": {
            "bytes": Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2, 255] }, "nan": f64::NAN, "big": i64::MAX, "symbol": Bson::Symbol("s".into()),
            "short": Binary { subtype: BinarySubtype::Uuid, bytes: vec![1] }, "min": Bson::MinKey,
        }};
        assert_eq!(
            shown(true, stored)["unsupported_attrs"],
            json!({"bytes": "AQL/", "nan": null, "big": i64::MAX, "symbol": "s", "short": "AQ==", "min": null})
        );
    }
}
