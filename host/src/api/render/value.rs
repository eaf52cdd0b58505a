//! Values that are neither list nor document in the form of the API: rules J3, J4, J6, J7.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::raw::RawBsonRef;
use bson::spec::BinarySubtype;

use crate::dates::{self, Zones};
use crate::query::Kind;

/// A value as every format can write it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plain<'d> {
    /// Text.
    Text(Cow<'d, str>),
    /// Whole number.
    Whole(i64),
    /// Finite number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

impl Plain<'_> {
    fn said(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// A value of a field of this kind (documents 1.2 on what is accepted for a kind). None: unset, or nothing that can be
/// shown.
pub(super) fn plain<'d>(stored: RawBsonRef<'d>, kind: Kind, zones: &Zones) -> Option<Plain<'d>> {
    Some(match (stored, kind) {
        (RawBsonRef::Double(number), Kind::Int)
            if number.fract() == 0.0 && number.abs() < 9.0e15 =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "integral and far within 64 bits"
            )]
            let whole = number as i64;
            Plain::Whole(whole)
        }
        (RawBsonRef::String(text), Kind::Int) => match text.trim().parse() {
            Ok(number) => Plain::Whole(number),
            Err(_) => Plain::Text(text.into()),
        },
        (RawBsonRef::Int32(number @ 0..=1), Kind::Bool) => Plain::Flag(number == 1),
        (RawBsonRef::Int64(number @ 0..=1), Kind::Bool) => Plain::Flag(number == 1),
        (RawBsonRef::String(text), Kind::Uuid) => match uuid::Uuid::try_parse(text) {
            Ok(uuid) => Plain::said(uuid.to_string()),
            Err(_) => Plain::Text(text.into()),
        },
        (RawBsonRef::Int32(number), Kind::Text) => Plain::said(number.to_string()),
        (RawBsonRef::Int64(number), Kind::Text) => Plain::said(number.to_string()),
        (RawBsonRef::Double(number), Kind::Text) => Plain::said(number.to_string()),
        (RawBsonRef::Boolean(flag), Kind::Text) => Plain::said(flag.to_string()),
        (stored, _) => return untyped(stored, zones),
    })
}

fn untyped<'d>(stored: RawBsonRef<'d>, zones: &Zones) -> Option<Plain<'d>> {
    let date = |stored| Plain::said(dates::text(zones.shown(stored)));
    Some(match stored {
        RawBsonRef::String(text) | RawBsonRef::Symbol(text) | RawBsonRef::JavaScriptCode(text) => {
            Plain::Text(text.into())
        }
        RawBsonRef::Int32(number) => Plain::Whole(number.into()),
        RawBsonRef::Int64(number) => Plain::Whole(number),
        RawBsonRef::Double(number) if number.is_finite() => Plain::Number(number),
        RawBsonRef::Boolean(flag) => Plain::Flag(flag),
        RawBsonRef::ObjectId(id) => Plain::said(id.to_hex()),
        RawBsonRef::DateTime(stored) => date(stored.timestamp_millis()),
        RawBsonRef::Timestamp(stamp) => date(i64::from(stamp.time) * 1_000),
        RawBsonRef::Binary(binary) => Plain::said(bytes(binary.subtype, binary.bytes)),
        RawBsonRef::Decimal128(number) => Plain::said(number.to_string()),
        RawBsonRef::RegularExpression(expression) => {
            Plain::Text(expression.pattern.as_str().into())
        }
        RawBsonRef::JavaScriptCodeWithScope(code) => Plain::Text(code.code.into()),
        _ => return None,
    })
}

/// Rule J6: UUIDs as canonical text, other bytes as base64.
pub(super) fn bytes(subtype: BinarySubtype, bytes: &[u8]) -> String {
    let is_uuid = matches!(subtype, BinarySubtype::Uuid | BinarySubtype::UuidOld);
    match uuid::Uuid::from_slice(bytes) {
        Ok(uuid) if is_uuid => uuid.to_string(),
        _ => STANDARD.encode(bytes),
    }
}
