//! From and to the `value` of the contract.

use serde_json::Value as Json;

use crate::{Date, ObjectId, Upload, Value};

/// Bytes of a binary field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// What a value of the contract, or a part of a list or map, can be read as.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be read from a value of the contract",
    note = "use String, bool, i64, f64, Date, ObjectId, Json, Upload, Option or Vec of these, or a struct with #[derive(Args)], #[derive(Fields)] or #[derive(Choice)]"
)]
pub trait FromValue: Sized {
    /// None: a value of another kind.
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Json(text) => serde_json::from_str(&text).ok().and_then(Self::from_json),
            _ => None,
        }
    }

    /// None: JSON of another kind.
    fn from_json(json: Json) -> Option<Self>;

    /// What it is when nothing was sent or stored. None: that is not possible.
    fn absent() -> Option<Self> {
        None
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(text) | Value::Id(text) => Some(text),
            // Old documents hold numbers where the model says text (documents.md 1.2).
            Value::Int(number) => Some(number.to_string()),
            Value::Num(number) => Some(Json::from(number).to_string()),
            _ => None,
        }
    }

    fn from_json(json: Json) -> Option<Self> {
        match json {
            Json::String(text) => Some(text),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Flag(flag) => Some(flag),
            Value::Int(number) => Some(number != 0),
            _ => None,
        }
    }

    fn from_json(json: Json) -> Option<Self> {
        json.as_bool()
    }

    fn absent() -> Option<Self> {
        Some(false)
    }
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(number),
            Value::Num(number) => whole(number),
            _ => None,
        }
    }

    fn from_json(json: Json) -> Option<Self> {
        json.as_i64().or_else(|| json.as_f64().and_then(whole))
    }
}

/// Batch jobs of the original wrote counters as floating point numbers.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
}

impl FromValue for f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "integers beyond 2^53 are not used in fields declared as numbers"
    )]
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Num(number) => Some(number),
            Value::Int(number) => Some(number as Self),
            _ => None,
        }
    }

    fn from_json(json: Json) -> Option<Self> {
        json.as_f64()
    }
}

impl FromValue for Date {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Date(millis) => Some(Self::from_millis(millis)),
            _ => None,
        }
    }

    fn from_json(json: Json) -> Option<Self> {
        json.get("$date")?.as_i64().map(Self::from_millis)
    }
}

impl FromValue for ObjectId {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Id(hex) | Value::Text(hex) => Self::parse(&hex),
            _ => None,
        }
    }

    fn from_json(json: Json) -> Option<Self> {
        json.get("$oid")
            .unwrap_or(&json)
            .as_str()
            .and_then(Self::parse)
    }
}

impl FromValue for Bytes {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(Self(bytes)),
            _ => None,
        }
    }

    fn from_json(_: Json) -> Option<Self> {
        None
    }
}

impl FromValue for Upload {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::File(number) => Some(Self::from_number(number)),
            _ => None,
        }
    }

    fn from_json(_: Json) -> Option<Self> {
        None
    }
}

/// Whatever was sent, unread: an argument of the type `any`.
impl FromValue for Value {
    fn from_value(value: Value) -> Option<Self> {
        Some(value)
    }

    fn from_json(json: Json) -> Option<Self> {
        Some(Self::from(&json))
    }

    fn absent() -> Option<Self> {
        Some(Self::Null)
    }
}

impl FromValue for Json {
    fn from_value(value: Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Flag(flag) => flag.into(),
            Value::Int(number) => number.into(),
            Value::Num(number) => number.into(),
            Value::Text(text) => text.into(),
            Value::Date(millis) => serde_json::json!({ "$date": millis }),
            Value::Id(hex) => serde_json::json!({ "$oid": hex }),
            Value::Json(text) => return serde_json::from_str(&text).ok(),
            Value::Bytes(_) | Value::File(_) => return None,
        })
    }

    fn from_json(json: Json) -> Option<Self> {
        Some(json)
    }

    fn absent() -> Option<Self> {
        Some(Self::Null)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }

    fn from_json(json: Json) -> Option<Self> {
        match json {
            Json::Null => Some(None),
            json => T::from_json(json).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_json(json: Json) -> Option<Self> {
        match json {
            Json::Array(items) => items.into_iter().map(T::from_json).collect(),
            _ => None,
        }
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

/// Takes one member out of a map, `null` being the same as absent (rule ACT-12).
///
/// None: it has another kind, or it is absent and the type has no value for that.
#[doc(hidden)]
pub fn take_member<T: FromValue>(map: &mut serde_json::Map<String, Json>, name: &str) -> Option<T> {
    match map.remove(name) {
        None | Some(Json::Null) => T::absent(),
        Some(json) => T::from_json(json),
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Num(number)
    }
}

impl From<Date> for Value {
    fn from(date: Date) -> Self {
        Self::Date(date.millis())
    }
}

impl From<ObjectId> for Value {
    fn from(id: ObjectId) -> Self {
        Self::Id(id.as_str().to_owned())
    }
}

impl From<&ObjectId> for Value {
    fn from(id: &ObjectId) -> Self {
        Self::Id(id.as_str().to_owned())
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes.0)
    }
}

impl From<Upload> for Value {
    fn from(upload: Upload) -> Self {
        Self::File(upload.number())
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Flag(*flag),
            Json::String(text) => Self::Text(text.clone()),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None => Self::Num(number.as_f64().unwrap_or_default()),
            },
            // A wrapped date or id is a plain value of the contract, not an embedded document.
            Json::Object(map)
                if map.len() == 1 && map.keys().all(|key| key == "$date" || key == "$oid") =>
            {
                let date = Date::from_json(json.clone()).map(Self::from);
                let id = || ObjectId::from_json(json.clone()).map(Self::from);
                date.or_else(id)
                    .unwrap_or_else(|| Self::Json(json.to_string()))
            }
            Json::Array(_) | Json::Object(_) => Self::Json(json.to_string()),
        }
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        match json {
            Json::String(text) => Self::Text(text),
            json => Self::from(&json),
        }
    }
}

impl From<Vec<String>> for Value {
    fn from(texts: Vec<String>) -> Self {
        Self::from(&texts)
    }
}

impl From<&Vec<String>> for Value {
    fn from(texts: &Vec<String>) -> Self {
        Self::from(texts.as_slice())
    }
}

impl From<&[String]> for Value {
    fn from(texts: &[String]) -> Self {
        Self::Json(Json::from(texts).to_string())
    }
}

impl From<Vec<Json>> for Value {
    fn from(items: Vec<Json>) -> Self {
        Self::Json(Json::Array(items).to_string())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
