//! A text of a query as the values it may stand for (core-api 10.6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime};

use super::model::Kind;
use crate::dates::{self, Zones};

/// Rule G21: the outer quotes go, once; they need not be of the same kind, and a lone one counts as both.
pub(super) fn unquoted(text: &str) -> &str {
    let is_quote = |c: char| c == '"' || c == '\'';
    if !text.starts_with(is_quote) || !text.ends_with(is_quote) {
        return text;
    }
    text.get(1..text.len() - 1).unwrap_or_default()
}

/// The stored values that a text is equal to, for a field of some kind; the error says what it is not.
pub(super) fn equal_to(text: &str, kind: Kind, zones: &Zones) -> Result<Vec<Bson>, &'static str> {
    match kind {
        Kind::Text => Ok(spellings(text).into_iter().map(Bson::String).collect()),
        Kind::Int => whole_number(text)
            .map(|number| vec![number])
            .ok_or("not a whole number"),
        Kind::Num => number(text)
            .map(|number| vec![number])
            .ok_or("not a number"),
        Kind::Bool => match flag(text) {
            // Stored by other software as 0 or 1 (documents 1.2).
            Some(flag) => Ok(vec![Bson::Boolean(flag), Bson::Int32(flag.into())]),
            None => Err("neither true nor false"),
        },
        Kind::Date => dates_shown_as(text, zones).ok_or("not a date"),
        Kind::Id | Kind::File => match ObjectId::parse_str(text.trim()) {
            // Some old documents have ids as text (documents 1.2).
            Ok(id) => Ok(vec![Bson::ObjectId(id), Bson::String(id.to_hex())]),
            Err(_) => Err("not an object id"),
        },
        Kind::Uuid => uuid(text).ok_or("not a UUID"),
        Kind::Binary => match STANDARD.decode(text) {
            Ok(bytes) => Ok(vec![Bson::Binary(Binary {
                subtype: BinarySubtype::Generic,
                bytes,
            })]),
            Err(_) => Err("not base64"),
        },
        Kind::List | Kind::Map | Kind::Any => Ok(spelled(text, zones)),
    }
}

/// The bounds that a text is in comparisons with stored values; the error says what it is not.
pub(super) fn bounds(text: &str, kind: Kind, zones: &Zones) -> Result<Vec<Bson>, &'static str> {
    match kind {
        Kind::Text => Ok(vec![Bson::String(text.to_owned())]),
        // `c-size__gte=1.5` has one meaning only.
        Kind::Int => whole_number(text)
            .or_else(|| number(text))
            .map(|number| vec![number])
            .ok_or("not a whole number"),
        Kind::Any | Kind::List | Kind::Map => {
            let mut bounds = vec![Bson::String(text.to_owned())];
            bounds.extend(number(text));
            bounds.extend(dates_shown_as(text, zones).into_iter().flatten());
            bounds.extend(ObjectId::parse_str(text).map(Bson::ObjectId));
            Ok(bounds)
        }
        Kind::Id | Kind::File => ObjectId::parse_str(text.trim())
            .map(|id| vec![Bson::ObjectId(id)])
            .map_err(|_| "not an object id"),
        Kind::Num | Kind::Bool | Kind::Date | Kind::Uuid | Kind::Binary => {
            equal_to(text, kind, zones)
        }
    }
}

/// Rule G30, fields that nobody declared: the text, and the number, boolean, date, id or UUID that it spells.
fn spelled(text: &str, zones: &Zones) -> Vec<Bson> {
    let mut values: Vec<Bson> = spellings(text).into_iter().map(Bson::String).collect();
    values.extend(whole_number(text).or_else(|| number(text)));
    match text {
        "true" | "True" => values.push(Bson::Boolean(true)),
        "false" | "False" => values.push(Bson::Boolean(false)),
        _ => {}
    }
    values.extend(dates_shown_as(text, zones).into_iter().flatten());
    values.extend(ObjectId::parse_str(text).map(Bson::ObjectId));
    let binary = uuid(text)
        .into_iter()
        .flatten()
        .filter(|value| matches!(value, Bson::Binary(_)));
    values.extend(binary);
    values
}

/// A text, and the form in which the same address or host name is stored: IPv6 in RFC 5952 form (decision of the
/// specification), host names as A-labels (create.md 5.7).
fn spellings(text: &str) -> Vec<String> {
    let mut spellings = vec![text.to_owned()];
    let canonical = if text.contains(':') {
        text.parse::<std::net::Ipv6Addr>()
            .ok()
            .map(|address| address.to_string())
    } else if !text.is_ascii() && text.contains('.') && !text.contains(char::is_whitespace) {
        idna::domain_to_ascii(text).ok()
    } else {
        None
    };
    spellings.extend(canonical.filter(|canonical| canonical != text));
    spellings
}

fn whole_number(text: &str) -> Option<Bson> {
    text.trim().parse::<i64>().ok().map(Bson::Int64)
}

fn number(text: &str) -> Option<Bson> {
    let text = text.trim();
    let first = text
        .bytes()
        .find(|byte| !matches!(byte, b'-' | b'+' | b'.'))?;
    // Not `nan`, not `infinity`.
    let number = first
        .is_ascii_digit()
        .then(|| text.parse::<f64>().ok())
        .flatten()?;
    number.is_finite().then_some(Bson::Double(number))
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The stored dates that answers show as a text says (rule D1): mostly one.
fn dates_shown_as(text: &str, zones: &Zones) -> Option<Vec<Bson>> {
    let dates = zones.read_all(dates::lenient(text)?).into_iter();
    Some(dates.map(|ms| DateTime::from_millis(ms).into()).collect())
}

/// All forms in which a UUID is stored (documents 1.2).
fn uuid(text: &str) -> Option<Vec<Bson>> {
    let uuid = uuid::Uuid::try_parse(text).ok()?;
    let binary = |subtype| {
        Bson::Binary(Binary {
            subtype,
            bytes: uuid.as_bytes().to_vec(),
        })
    };
    Some(vec![
        binary(BinarySubtype::UuidOld),
        binary(BinarySubtype::Uuid),
        Bson::String(uuid.to_string()),
    ])
}
