//! The types of the contract (`sdk/wit`, interface `types`) on the host's side, free of the runtime.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document};
use serde_json::{Value as Json, json};

use super::Refusal;
use super::work::{DocNumber, UploadNumber};
use crate::store::StoreError;

/// A value that crosses the contract.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing; in `set` the same as `unset`.
    Null,
    /// A boolean.
    Flag(bool),
    /// An integer.
    Int(i64),
    /// A number.
    Num(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Milliseconds since 1970, UTC.
    Date(i64),
    /// 24 lower-case hex digits.
    Id(String),
    /// A list or an embedded document: JSON text with `$date`, `$oid`, `$binary`.
    Json(String),
    /// An upload of the call.
    File(UploadNumber),
}

/// A named value.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    /// Name.
    pub name: String,
    /// Value.
    pub value: Value,
}

/// What a plugin or a host function says when the user asked for something impossible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Argument and message.
    Invalid(String, String),
    /// Code and message.
    Refused(String, String),
    /// Something named does not exist or may not be seen.
    Missing(String),
    /// A bug; logged in full, the client reads `Internal error.`
    Internal(String),
}

/// What ends a call without the plugin's say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Abort {
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(String),
    /// The store or a place in a queue can't be had right now.
    #[error("{0}")]
    Unavailable(String),
    /// Something that was read has changed: run the handler again.
    #[error("changed meanwhile: {0}")]
    Conflict(String),
    /// Time is up.
    #[error("the plugin `{plugin}` ran longer than {limit_ms} ms")]
    Time {
        /// Plugin.
        plugin: String,
        /// Limit.
        limit_ms: u64,
    },
    /// Memory is used up.
    #[error("the plugin `{plugin}` wanted more than {limit_mib} MiB of memory")]
    Memory {
        /// Plugin.
        plugin: String,
        /// Limit.
        limit_mib: u64,
    },
    /// Another budget of the call is used up.
    #[error("the plugin `{plugin}` used up its budget of {what}")]
    Budget {
        /// Plugin.
        plugin: String,
        /// `host calls`, `documents`, …
        what: String,
    },
    /// The plugin broke: panic, recursion without end, a wrong answer.
    #[error("the plugin `{plugin}` failed: {reason}")]
    Trap {
        /// Plugin.
        plugin: String,
        /// Panic message or trap.
        reason: String,
    },
}

impl From<&StoreError> for Abort {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable(error.to_string()),
            _ => Self::Store(error.to_string()),
        }
    }
}

/// Why a host function did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Returned to the plugin as its contract's `fault`.
    #[error("{0:?}")]
    Fault(Fault),
    /// Ends the call.
    #[error(transparent)]
    Abort(#[from] Abort),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What a successful handler says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// The document concerned, a number of the call that answered.
    pub document: Option<DocNumber>,
    /// POST: `message`; PATCH: `detail`.
    pub message: String,
    /// A JSON object with further keys of the answer, or empty.
    pub extra: String,
}

impl From<Refusal> for Fault {
    /// The refusal of a nested create, for the plugin that asked for it.
    fn from(refusal: Refusal) -> Self {
        let member = |name: &str| {
            refusal
                .error
                .get(name)
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        match member("code").as_str() {
            "not_found" => Self::Missing(refusal.message),
            "missing_argument" | "missing_key" | "invalid_type" | "invalid_date"
            | "invalid_value" => Self::Invalid(member("argument"), refusal.message),
            code => Self::Refused(code.to_owned(), refusal.message),
        }
    }
}

impl Fault {
    /// How the client reads it (core-api 13.3). None: a bug, of which the client reads nothing.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let (message, members) = match self {
            Self::Invalid(argument, message) => (
                message,
                vec![("code", "invalid_value"), ("argument", argument)],
            ),
            Self::Refused(code, message) => (message, vec![("code", code.as_str())]),
            Self::Missing(message) => (message, vec![("code", "not_found")]),
            Self::Internal(_) => return None,
        };
        let error = members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Json::from(value)))
            .collect();
        Some(Refusal {
            message: message.clone(),
            error,
        })
    }
}

impl Value {
    /// As JSON of the contract: `{"$date": …}`, `{"$oid": …}`, `{"$binary": …}` for what JSON lacks. Files have no form.
    ///
    /// # Errors
    ///
    /// A sentence: malformed JSON text, a number that JSON lacks, a file.
    pub fn to_json(&self) -> Result<Json, String> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Flag(flag) => Json::from(*flag),
            Self::Int(number) => Json::from(*number),
            Self::Num(number) => serde_json::Number::from_f64(*number)
                .map(Json::Number)
                .ok_or("not a finite number")?,
            Self::Text(text) => Json::from(text.as_str()),
            Self::Bytes(bytes) => json!({ "$binary": BASE64.encode(bytes) }),
            Self::Date(milliseconds) => json!({ "$date": milliseconds }),
            Self::Id(id) => json!({ "$oid": id }),
            Self::Json(text) => {
                serde_json::from_str(text).map_err(|error| format!("malformed JSON: {error}"))?
            }
            Self::File(_) => return Err("a file can't be part of a value".into()),
        })
    }

    /// A stored value as plugins read it. Null counts as absent.
    #[must_use]
    pub fn from_bson(value: &Bson) -> Option<Self> {
        Some(match value {
            Bson::Null | Bson::Undefined => return None,
            Bson::Boolean(flag) => Self::Flag(*flag),
            Bson::Int32(number) => Self::Int(i64::from(*number)),
            Bson::Int64(number) => Self::Int(*number),
            Bson::Double(number) => Self::Num(*number),
            Bson::String(text) | Bson::Symbol(text) => Self::Text(text.clone()),
            Bson::DateTime(date) => Self::Date(date.timestamp_millis()),
            Bson::ObjectId(id) => Self::Id(id.to_hex()),
            Bson::Binary(binary) => match uuid_text(binary) {
                Some(text) => Self::Text(text),
                None => Self::Bytes(binary.bytes.clone()),
            },
            Bson::Array(_) | Bson::Document(_) => Self::Json(bson_to_json(value).to_string()),
            other => Self::Text(other.to_string()),
        })
    }
}

/// UUIDs are text for plugins, as in answers.
fn uuid_text(binary: &Binary) -> Option<String> {
    if !matches!(binary.subtype, BinarySubtype::Uuid | BinarySubtype::UuidOld) {
        return None;
    }
    uuid::Uuid::from_slice(&binary.bytes)
        .ok()
        .map(|uuid| uuid.to_string())
}

/// A stored value as JSON of the contract.
#[must_use]
pub fn bson_to_json(value: &Bson) -> Json {
    match value {
        Bson::Array(elements) => elements.iter().map(bson_to_json).collect(),
        Bson::Document(members) => Json::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), bson_to_json(value)))
                .collect(),
        ),
        Bson::Double(number) if !number.is_finite() => Json::Null,
        other => match Value::from_bson(other).map(|value| value.to_json()) {
            Some(Ok(json)) => json,
            _ => Json::Null,
        },
    }
}

/// JSON of the contract as it is stored when no declaration says otherwise: integers in 32 bits where they fit.
///
/// # Errors
///
/// A sentence: a malformed `$date`, `$oid` or `$binary`, a name that can't be stored.
pub fn json_to_bson(json: &Json) -> Result<Bson, String> {
    Ok(match json {
        Json::Null => Bson::Null,
        Json::Bool(flag) => Bson::Boolean(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(number) => integer(number),
            None => Bson::Double(number.as_f64().ok_or("a number out of range")?),
        },
        Json::String(text) => Bson::String(text.clone()),
        Json::Array(elements) => Bson::Array(
            elements
                .iter()
                .map(json_to_bson)
                .collect::<Result<_, _>>()?,
        ),
        Json::Object(members) => match special(members)? {
            Some(value) => value,
            None => {
                let mut document = Document::new();
                for (name, value) in members {
                    if name.starts_with('$') || name.contains('\0') {
                        return Err(format!("`{name}` can't be stored as a name"));
                    }
                    document.insert(name, json_to_bson(value)?);
                }
                Bson::Document(document)
            }
        },
    })
}

/// `{"$date": …}`, `{"$oid": …}`, `{"$binary": …}`.
fn special(members: &serde_json::Map<String, Json>) -> Result<Option<Bson>, String> {
    let mut all = members.iter();
    let (Some((name, value)), None) = (all.next(), all.next()) else {
        return Ok(None);
    };
    Ok(Some(match name.as_str() {
        "$date" => {
            let milliseconds = value
                .as_i64()
                .ok_or("`$date` wants milliseconds since 1970")?;
            Bson::DateTime(bson::DateTime::from_millis(milliseconds))
        }
        "$oid" => {
            let id = value
                .as_str()
                .and_then(|text| ObjectId::parse_str(text).ok());
            Bson::ObjectId(id.ok_or("`$oid` wants 24 hex digits")?)
        }
        "$binary" => {
            let bytes = value
                .as_str()
                .and_then(|text| BASE64.decode(text).ok())
                .ok_or("`$binary` wants base64")?;
            Bson::Binary(Binary {
                subtype: BinarySubtype::Generic,
                bytes,
            })
        }
        _ => return Ok(None),
    }))
}

/// Integers (documents.md 1.2): `i32` if it fits, else `i64`.
#[must_use]
pub fn integer(number: i64) -> Bson {
    i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_lacks_survives_both_directions() {
        let json = json!({"d": {"$date": 5}, "i": {"$oid": "0123456789abcdef01234567"}, "b": {"$binary": "AQI="}, "n": [1, 5_000_000_000_i64, 1.5, true, null, "x"]});
        let stored = json_to_bson(&json).unwrap();
        assert_eq!(bson_to_json(&stored), json);
        let document = stored.as_document().unwrap();
        assert_eq!(
            document.get("d"),
            Some(&Bson::DateTime(bson::DateTime::from_millis(5)))
        );
        assert_eq!(document.get_array("n").unwrap()[0], Bson::Int32(1));
        assert_eq!(
            document.get_array("n").unwrap()[1],
            Bson::Int64(5_000_000_000)
        );
    }

    #[test]
    fn malformed_special_values_are_told() {
        for (json, message) in [
            (
                json!({"$date": "x"}),
                "`$date` wants milliseconds since 1970",
            ),
            (json!({"$oid": "x"}), "`$oid` wants 24 hex digits"),
            (json!({"$binary": "~"}), "`$binary` wants base64"),
            (
                json!({"$where": 1, "x": 2}),
                "`$where` can't be stored as a name",
            ),
        ] {
            assert_eq!(json_to_bson(&json), Err(message.into()));
        }
    }

    #[test]
    fn faults_and_refusals_translate_into_one_another() {
        let invalid = Fault::Invalid("ticket.date".into(), "No.".into());
        let refusal = invalid.refusal().unwrap();
        assert_eq!(
            Json::Object(refusal.error.clone()),
            json!({"code": "invalid_value", "argument": "ticket.date"})
        );
        assert_eq!(Fault::from(refusal), invalid);
        assert_eq!(Fault::Internal("x".into()).refusal(), None);
        let refused = Fault::Refused("already_exists".into(), "There.".into());
        assert_eq!(Fault::from(refused.refusal().unwrap()), refused);
        let missing = Fault::Missing("Gone.".into());
        assert_eq!(Fault::from(missing.refusal().unwrap()), missing);
    }
}
