//! One order over all BSON values, MongoDB's: first by kind, then within the kind. Numbers of all widths are one kind.
//!
//! Two forms that agree: [`Scalar`], compared directly, for the common kinds, and [`encode`], bytes whose order is the
//! order of the values, for index keys and for everything else.

use std::cmp::Ordering;

use bson::Bson;

use super::raw::{Elements, Malformed, OwnedValue, Value, kind};

/// First byte of an encoded value: the kind's place in the order. 0 ends embedded lists and documents.
pub(crate) mod rank {
    pub(crate) const MIN_KEY: u8 = 0x01;
    /// Null, undefined, and fields that are absent.
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const NUMBER: u8 = 0x0A;
    pub(crate) const TEXT: u8 = 0x0F;
    pub(crate) const DOCUMENT: u8 = 0x14;
    pub(crate) const LIST: u8 = 0x19;
    pub(crate) const BINARY: u8 = 0x1E;
    pub(crate) const OBJECT_ID: u8 = 0x23;
    pub(crate) const BOOLEAN: u8 = 0x28;
    pub(crate) const DATE: u8 = 0x2D;
    pub(crate) const TIMESTAMP: u8 = 0x2F;
    pub(crate) const REGEX: u8 = 0x32;
    pub(crate) const DB_POINTER: u8 = 0x37;
    pub(crate) const CODE: u8 = 0x3C;
    pub(crate) const CODE_WITH_SCOPE: u8 = 0x41;
    pub(crate) const MAX_KEY: u8 = 0x7F;
}

/// A number in a form that compares exactly across widths: the nearest double in a sortable form, and what an integer
/// has beyond it. NaN is the lowest number and equal to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number {
    double: u64,
    beyond: i16,
}

impl Number {
    pub(crate) const NAN: Number = Number {
        double: 0,
        beyond: 0,
    };

    pub(crate) fn of_double(value: f64) -> Self {
        if value.is_nan() {
            return Self::NAN;
        }
        // + 0.0 makes the negative zero positive.
        let bits = (value + 0.0).to_bits();
        let double = if bits >> 63 == 0 {
            bits | 1 << 63
        } else {
            !bits
        };
        Self { double, beyond: 0 }
    }

    pub(crate) fn of_integer(value: i64) -> Self {
        let nearest = value as f64;
        // At most half of the distance of two doubles near 2^63: 512.
        let beyond = i128::from(value) - nearest as i128;
        Self {
            double: Self::of_double(nearest).double,
            beyond: beyond as i16,
        }
    }

    fn of_decimal(bytes: [u8; 16]) -> Self {
        // No document of the specification has one; the nearest double is good enough to sort and find it.
        let text = bson::Decimal128::from_bytes(bytes).to_string();
        text.parse().map_or(Self::NAN, Self::of_double)
    }

    fn write(self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.double.to_be_bytes());
        to.extend_from_slice(&(self.beyond as u16 ^ 0x8000).to_be_bytes());
    }
}

/// A value of a kind that is compared without further reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar<'a> {
    Null,
    Number(Number),
    Text(&'a [u8]),
    Binary(u8, &'a [u8]),
    ObjectId([u8; 12]),
    Boolean(bool),
    Date(i64),
}

impl<'a> Scalar<'a> {
    #[inline]
    pub(crate) fn of_value(value: Value<'a>) -> Result<Option<Self>, Malformed> {
        Ok(Some(match value.kind {
            kind::STRING | kind::SYMBOL => match value.text_bytes()? {
                Some(bytes) => Self::Text(bytes),
                None => return Ok(None),
            },
            kind::INT32 => Self::Number(Number::of_integer(i64::from(i32::from_le_bytes(
                value.fixed()?,
            )))),
            kind::INT64 => Self::Number(Number::of_integer(i64::from_le_bytes(value.fixed()?))),
            kind::DOUBLE => Self::Number(Number::of_double(f64::from_le_bytes(value.fixed()?))),
            kind::DECIMAL128 => Self::Number(Number::of_decimal(value.fixed()?)),
            kind::NULL | kind::UNDEFINED => Self::Null,
            kind::BOOLEAN => Self::Boolean(value.fixed::<1>()?[0] != 0),
            kind::DATE => Self::Date(i64::from_le_bytes(value.fixed()?)),
            kind::OBJECT_ID => Self::ObjectId(value.fixed()?),
            kind::BINARY => match value.bytes {
                [_, _, _, _, subtype, bytes @ ..] => Self::Binary(*subtype, bytes),
                _ => return Err(Malformed("binary data that is cut off")),
            },
            _ => return Ok(None),
        }))
    }

    #[inline]
    pub(crate) fn of_bson(value: &'a Bson) -> Option<Self> {
        Some(match value {
            Bson::String(text) | Bson::Symbol(text) => Self::Text(text.as_bytes()),
            Bson::Int32(number) => Self::Number(Number::of_integer(i64::from(*number))),
            Bson::Int64(number) => Self::Number(Number::of_integer(*number)),
            Bson::Double(number) => Self::Number(Number::of_double(*number)),
            Bson::Decimal128(number) => Self::Number(Number::of_decimal(number.bytes())),
            Bson::Null | Bson::Undefined => Self::Null,
            Bson::Boolean(value) => Self::Boolean(*value),
            Bson::DateTime(date) => Self::Date(date.timestamp_millis()),
            Bson::ObjectId(id) => Self::ObjectId(id.bytes()),
            // Subtype 2 repeats its length inside; left to the slow way, which sees it as it is stored.
            Bson::Binary(data) if data.subtype != bson::spec::BinarySubtype::BinaryOld => {
                Self::Binary(data.subtype.into(), &data.bytes)
            }
            _ => return None,
        })
    }

    fn rank(self) -> u8 {
        match self {
            Self::Null => rank::NULL,
            Self::Number(_) => rank::NUMBER,
            Self::Text(_) => rank::TEXT,
            Self::Binary(..) => rank::BINARY,
            Self::ObjectId(_) => rank::OBJECT_ID,
            Self::Boolean(_) => rank::BOOLEAN,
            Self::Date(_) => rank::DATE,
        }
    }

    /// Order of two values of the same kind; none if they are of different kinds.
    #[inline]
    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Number(a), Self::Number(b)) => a.cmp(&b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Binary(a_type, a), Self::Binary(b_type, b)) => {
                (a.len(), a_type, a).cmp(&(b.len(), b_type, b))
            }
            (Self::ObjectId(a), Self::ObjectId(b)) => a.cmp(&b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(&b),
            (Self::Date(a), Self::Date(b)) => a.cmp(&b),
            _ => return None,
        })
    }

    fn write(self, to: &mut Vec<u8>, nested: bool) {
        to.push(self.rank());
        match self {
            Self::Null => {}
            Self::Number(number) => number.write(to),
            Self::Text(bytes) => write_text(bytes, to, nested),
            Self::Binary(subtype, bytes) => {
                to.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
                to.push(subtype);
                to.extend_from_slice(bytes);
            }
            Self::ObjectId(id) => to.extend_from_slice(&id),
            Self::Boolean(value) => to.push(u8::from(value)),
            Self::Date(millis) => {
                to.extend_from_slice(&((millis as u64) ^ (1 << 63)).to_be_bytes())
            }
        }
    }
}

/// Inside of something else a text needs an end that sorts before all that could follow.
fn write_text(bytes: &[u8], to: &mut Vec<u8>, nested: bool) {
    if !nested {
        to.extend_from_slice(bytes);
        return;
    }
    for &byte in bytes {
        to.push(byte);
        if byte == 0 {
            to.push(0xFF);
        }
    }
    to.extend_from_slice(&[0, 0]);
}

/// Bytes whose order is the order of the values; equal bytes: equal values.
pub(crate) fn encode(value: Value<'_>) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Vec::with_capacity(24);
    write(value, &mut bytes, false, 0)?;
    Ok(bytes)
}

/// The same of a decoded value.
pub(crate) fn encode_bson(value: &Bson) -> Result<Vec<u8>, Malformed> {
    if let Some(scalar) = Scalar::of_bson(value) {
        let mut bytes = Vec::with_capacity(24);
        scalar.write(&mut bytes, false);
        return Ok(bytes);
    }
    encode(OwnedValue::encode(value)?.as_value())
}

/// What sorts a document that lacks the field.
pub(crate) fn encode_absent() -> Vec<u8> {
    vec![rank::NULL]
}

fn write(value: Value<'_>, to: &mut Vec<u8>, nested: bool, depth: usize) -> Result<(), Malformed> {
    if depth > super::raw::MAX_DEPTH {
        return Err(Malformed("values nested too deeply"));
    }
    if let Some(scalar) = Scalar::of_value(value)? {
        scalar.write(to, nested);
        return Ok(());
    }
    match value.kind {
        kind::DOCUMENT => {
            to.push(rank::DOCUMENT);
            write_document(value.bytes, to, depth)?;
        }
        kind::ARRAY => {
            to.push(rank::LIST);
            for element in Elements::new(value.bytes)? {
                write(element?.value, to, true, depth + 1)?;
            }
            to.push(0);
        }
        kind::TIMESTAMP => {
            to.push(rank::TIMESTAMP);
            to.extend_from_slice(&u64::from_le_bytes(value.fixed()?).to_be_bytes());
        }
        kind::REGEX => {
            to.push(rank::REGEX);
            to.extend_from_slice(value.bytes);
        }
        kind::DB_POINTER => {
            to.push(rank::DB_POINTER);
            to.extend_from_slice(value.bytes);
        }
        kind::CODE => {
            to.push(rank::CODE);
            write_text(value.bytes.get(4..).unwrap_or_default(), to, nested);
        }
        kind::CODE_WITH_SCOPE => {
            to.push(rank::CODE_WITH_SCOPE);
            to.extend_from_slice(value.bytes);
        }
        kind::MAX_KEY => to.push(rank::MAX_KEY),
        kind::MIN_KEY => to.push(rank::MIN_KEY),
        _ => return Err(Malformed("a value of unknown type")),
    }
    Ok(())
}

/// Documents compare field by field: by kind, then name, then value.
fn write_document(bytes: &[u8], to: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
    let mut inner = Vec::new();
    for element in Elements::new(bytes)? {
        let element = element?;
        inner.clear();
        write(element.value, &mut inner, true, depth + 1)?;
        let (first, rest) = inner.split_first().ok_or(Malformed("an empty value"))?;
        to.push(*first);
        write_text(element.name, to, true);
        to.extend_from_slice(rest);
    }
    to.push(0);
    Ok(())
}

/// A value to compare with, prepared once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operand<'a> {
    bson: &'a Bson,
    scalar: Option<Scalar<'a>>,
}

impl<'a> Operand<'a> {
    #[inline]
    pub(crate) fn new(bson: &'a Bson) -> Self {
        Self {
            bson,
            scalar: Scalar::of_bson(bson),
        }
    }

    pub(crate) fn is_null(self) -> bool {
        self.scalar == Some(Scalar::Null)
    }

    /// Order of a value against the operand, if they are of the same kind.
    #[inline]
    pub(crate) fn compare(self, value: Value<'_>) -> Result<Option<Ordering>, Malformed> {
        let scalar = Scalar::of_value(value)?;
        match (scalar, self.scalar) {
            (Some(value), Some(operand)) => Ok(value.compare(operand)),
            (None, None) => {
                let (value, operand) = (encode(value)?, encode_bson(self.bson)?);
                Ok((value.first() == operand.first()).then(|| value.cmp(&operand)))
            }
            // Binary data of the old subtype has no prepared form.
            (Some(Scalar::Binary(..)), None) if matches!(self.bson, Bson::Binary(_)) => {
                Ok(Some(encode(value)?.cmp(&encode_bson(self.bson)?)))
            }
            _ => Ok(None),
        }
    }

    /// NaN is equal to itself, and neither above nor below anything.
    #[inline]
    pub(crate) fn is_nan_pair(self, value: Value<'_>) -> bool {
        let nan = |scalar: Option<Scalar<'_>>| scalar == Some(Scalar::Number(Number::NAN));
        nan(self.scalar) || (value.kind == kind::DOUBLE && Scalar::of_value(value).is_ok_and(nan))
    }
}

/// Are two stored values equal?
pub(crate) fn equal(a: Value<'_>, b: Value<'_>) -> Result<bool, Malformed> {
    if a.kind == b.kind && a.bytes == b.bytes {
        return Ok(true);
    }
    match (Scalar::of_value(a)?, Scalar::of_value(b)?) {
        (Some(a), Some(b)) => Ok(a.compare(b) == Some(Ordering::Equal)),
        (None, None) => Ok(encode(a)? == encode(b)?),
        _ => Ok(false),
    }
}

/// Are two values equal? Numbers by value, dates in milliseconds, documents field by field in their order.
#[must_use]
pub fn equal_bson(a: &Bson, b: &Bson) -> bool {
    if a == b {
        return true;
    }
    match (Scalar::of_bson(a), Scalar::of_bson(b)) {
        (Some(a), Some(b)) => a.compare(b) == Some(Ordering::Equal),
        (None, None) => match (encode_bson(a), encode_bson(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        },
        _ => false,
    }
}
