//! BSON read where it lies: a walker that checks every bound and allocates nothing.
//!
//! Stored bytes were checked when they were written, but they come back from a disk: whatever they are, nothing here
//! panics. Values that are not asked for are stepped over by their length.

use bson::{Bson, Document, RawDocumentBuf};

/// How deep values may be nested before they count as damaged.
pub(crate) const MAX_DEPTH: usize = 200;

/// Bytes that are no BSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// BSON element types.
pub(crate) mod kind {
    pub(crate) const DOUBLE: u8 = 0x01;
    pub(crate) const STRING: u8 = 0x02;
    pub(crate) const DOCUMENT: u8 = 0x03;
    pub(crate) const ARRAY: u8 = 0x04;
    pub(crate) const BINARY: u8 = 0x05;
    pub(crate) const UNDEFINED: u8 = 0x06;
    pub(crate) const OBJECT_ID: u8 = 0x07;
    pub(crate) const BOOLEAN: u8 = 0x08;
    pub(crate) const DATE: u8 = 0x09;
    pub(crate) const NULL: u8 = 0x0A;
    pub(crate) const REGEX: u8 = 0x0B;
    pub(crate) const DB_POINTER: u8 = 0x0C;
    pub(crate) const CODE: u8 = 0x0D;
    pub(crate) const SYMBOL: u8 = 0x0E;
    pub(crate) const CODE_WITH_SCOPE: u8 = 0x0F;
    pub(crate) const INT32: u8 = 0x10;
    pub(crate) const TIMESTAMP: u8 = 0x11;
    pub(crate) const INT64: u8 = 0x12;
    pub(crate) const DECIMAL128: u8 = 0x13;
    pub(crate) const MIN_KEY: u8 = 0xFF;
    pub(crate) const MAX_KEY: u8 = 0x7F;
}

/// A value by its type and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    pub(crate) kind: u8,
    pub(crate) bytes: &'a [u8],
}

/// One element of a document or list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: Value<'a>,
    /// Type, name and value together.
    pub(crate) whole: &'a [u8],
}

/// The elements of a document or list, in order. Ends after the first error.
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// Over the bytes of a document or list, which begin with their length.
    pub(crate) fn new(document: &'a [u8]) -> Result<Self, Malformed> {
        let length = read_length(document).ok_or(Malformed("no length"))?;
        if length < 5 || length != document.len() || document.last() != Some(&0) {
            return Err(Malformed("wrong length"));
        }
        Ok(Self {
            rest: &document[4..length - 1],
        })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest;
        let (&kind, after_kind) = rest.split_first()?;
        let Some(name_end) = after_kind.iter().position(|&byte| byte == 0) else {
            self.rest = &[];
            return Some(Err(Malformed("a name without end")));
        };
        let start = name_end + 2;
        let size = match rest.get(start..).and_then(|bytes| value_size(kind, bytes)) {
            Some(size) if size <= rest.len() - start => size,
            _ => {
                self.rest = &[];
                return Some(Err(Malformed("a value that is cut off or of unknown type")));
            }
        };
        self.rest = &rest[start + size..];
        Some(Ok(Element {
            name: &after_kind[..name_end],
            value: Value {
                kind,
                bytes: &rest[start..start + size],
            },
            whole: &rest[..start + size],
        }))
    }
}

fn read_length(bytes: &[u8]) -> Option<usize> {
    let four: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    usize::try_from(i32::from_le_bytes(four)).ok()
}

/// Bytes that a value of this type takes at the beginning of `bytes`.
#[inline]
fn value_size(kind: u8, bytes: &[u8]) -> Option<usize> {
    match kind {
        kind::DOUBLE | kind::DATE | kind::TIMESTAMP | kind::INT64 => Some(8),
        kind::STRING | kind::CODE | kind::SYMBOL => {
            let length = read_length(bytes)?;
            (length >= 1).then_some(length.checked_add(4)?)
        }
        kind::DOCUMENT | kind::ARRAY | kind::CODE_WITH_SCOPE => {
            let length = read_length(bytes)?;
            (length >= 5).then_some(length)
        }
        kind::BINARY => read_length(bytes)?.checked_add(5),
        kind::UNDEFINED | kind::NULL | kind::MIN_KEY | kind::MAX_KEY => Some(0),
        kind::OBJECT_ID => Some(12),
        kind::BOOLEAN => Some(1),
        kind::INT32 => Some(4),
        kind::DECIMAL128 => Some(16),
        kind::REGEX => {
            let pattern = bytes.iter().position(|&byte| byte == 0)? + 1;
            let options = bytes.get(pattern..)?.iter().position(|&byte| byte == 0)? + 1;
            pattern.checked_add(options)
        }
        kind::DB_POINTER => read_length(bytes)?.checked_add(16),
        _ => None,
    }
}

impl<'a> Value<'a> {
    /// A whole document.
    pub(crate) fn document(bytes: &'a [u8]) -> Self {
        Self {
            kind: kind::DOCUMENT,
            bytes,
        }
    }

    /// The bytes of a text (a symbol is one, too).
    #[inline]
    pub(crate) fn text_bytes(self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.kind {
            kind::STRING | kind::SYMBOL => {
                if self.bytes.len() < 5 {
                    return Err(Malformed("a text that is cut off"));
                }
                Ok(Some(&self.bytes[4..self.bytes.len() - 1]))
            }
            _ => Ok(None),
        }
    }

    /// The text, if it is one.
    #[inline]
    pub(crate) fn text(self) -> Result<Option<&'a str>, Malformed> {
        match self.text_bytes()? {
            Some(bytes) => std::str::from_utf8(bytes)
                .map(Some)
                .map_err(|_| Malformed("a text that is not UTF-8")),
            None => Ok(None),
        }
    }

    pub(crate) fn fixed<const N: usize>(self) -> Result<[u8; N], Malformed> {
        self.bytes
            .try_into()
            .map_err(|_| Malformed("a value of wrong size"))
    }

    pub(crate) fn is_document(self) -> bool {
        self.kind == kind::DOCUMENT
    }

    pub(crate) fn is_list(self) -> bool {
        self.kind == kind::ARRAY
    }

    /// A list without elements.
    pub(crate) fn is_empty_list(self) -> bool {
        self.kind == kind::ARRAY && self.bytes.len() == 5
    }

    /// The field of a document.
    #[inline]
    pub(crate) fn field(self, name: &str) -> Result<Option<Value<'a>>, Malformed> {
        if !self.is_document() {
            return Ok(None);
        }
        for element in Elements::new(self.bytes)? {
            let element = element?;
            if element.name == name.as_bytes() {
                return Ok(Some(element.value));
            }
        }
        Ok(None)
    }

    /// The element of a list at a position.
    pub(crate) fn at(self, position: usize) -> Result<Option<Value<'a>>, Malformed> {
        if !self.is_list() {
            return Ok(None);
        }
        match Elements::new(self.bytes)?.nth(position) {
            Some(element) => Ok(Some(element?.value)),
            None => Ok(None),
        }
    }

    /// One step along a path that addresses a single place: a field of a document, a position of a list.
    pub(crate) fn step(self, segment: &str) -> Result<Option<Value<'a>>, Malformed> {
        if self.is_document() {
            return self.field(segment);
        }
        match position(segment) {
            Some(position) => self.at(position),
            None => Ok(None),
        }
    }

    /// Decoded.
    pub(crate) fn decode(self) -> Result<Bson, Malformed> {
        let mut bytes = Vec::with_capacity(self.bytes.len() + 7);
        bytes.extend_from_slice(&[0, 0, 0, 0, self.kind, 0]);
        bytes.extend_from_slice(self.bytes);
        bytes.push(0);
        set_length(&mut bytes, 0)?;
        check_depth(self, 0)?;
        let raw = RawDocumentBuf::from_bytes(bytes)
            .map_err(|_| Malformed("a value that can't be read"))?;
        let mut elements = raw.iter();
        match elements.next() {
            Some(Ok((_, value))) => {
                Bson::try_from(value).map_err(|_| Malformed("a value that can't be read"))
            }
            _ => Err(Malformed("a value that can't be read")),
        }
    }
}

/// Decoding recurses: refuse what would exhaust the stack.
fn check_depth(value: Value<'_>, depth: usize) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed("values nested too deeply"));
    }
    if value.is_document() || value.is_list() {
        for element in Elements::new(value.bytes)? {
            let element = element?;
            if element.value.is_document() || element.value.is_list() {
                check_depth(element.value, depth + 1)?;
            }
        }
    }
    Ok(())
}

/// A path segment that is a position of a list.
pub(crate) fn position(segment: &str) -> Option<usize> {
    (segment.len() <= 9 && segment.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| segment.parse().ok())
        .flatten()
}

/// Writes the length of the document that begins at `start` and ends at the end.
pub(crate) fn set_length(bytes: &mut [u8], start: usize) -> Result<(), Malformed> {
    let length = i32::try_from(bytes.len() - start).map_err(|_| Malformed("too long"))?;
    bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// A value with its own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedValue {
    pub(crate) kind: u8,
    pub(crate) bytes: Vec<u8>,
}

impl OwnedValue {
    /// Writes a value as BSON. Fails on names with NUL and on absurd depth.
    pub(crate) fn encode(value: &Bson) -> Result<Self, Malformed> {
        check_encodable(value, 0)?;
        let mut bytes = Vec::new();
        let kind = write_value(value, &mut bytes)?;
        Ok(Self { kind, bytes })
    }

    pub(crate) fn as_value(&self) -> Value<'_> {
        Value {
            kind: self.kind,
            bytes: &self.bytes,
        }
    }

    /// Appends an element to the list that a path within this value leads to. False, and nothing done, if it leads to
    /// no list.
    pub(crate) fn append<'s>(
        &mut self,
        path: impl Iterator<Item = &'s str>,
        element: &OwnedValue,
    ) -> Result<bool, Malformed> {
        // Where the containers begin that hold the new element; each of them grows by it.
        let mut containers = vec![0];
        let mut value = self.as_value();
        let mut start = 0;
        for segment in path {
            let Some(next) = value.step(segment)? else {
                return Ok(false);
            };
            start += next.bytes.as_ptr().addr() - value.bytes.as_ptr().addr();
            containers.push(start);
            value = next;
        }
        if !value.is_list() {
            return Ok(false);
        }
        let mut position = 0;
        for element in Elements::new(value.bytes)? {
            element?;
            position += 1;
        }
        let end = start + value.bytes.len() - 1;
        let mut addition = Vec::with_capacity(element.bytes.len() + 12);
        write_element(&position.to_string(), element, &mut addition);
        for container in &containers {
            let grown = read_length(&self.bytes[*container..])
                .and_then(|length| i32::try_from(length + addition.len()).ok())
                .ok_or(Malformed("too long"))?;
            self.bytes[*container..*container + 4].copy_from_slice(&grown.to_le_bytes());
        }
        self.bytes.splice(end..end, addition);
        Ok(true)
    }
}

/// Writes a field that is [encodable](check_encodable): type, name, value.
pub(crate) fn write_field(name: &str, value: &Bson, to: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = to.len();
    to.push(0);
    to.extend_from_slice(name.as_bytes());
    to.push(0);
    to[start] = write_value(value, to)?;
    Ok(())
}

/// Writes a value that is encodable, and answers its type.
fn write_value(value: &Bson, to: &mut Vec<u8>) -> Result<u8, Malformed> {
    Ok(match value {
        Bson::Null => kind::NULL,
        Bson::Boolean(flag) => {
            to.push(u8::from(*flag));
            kind::BOOLEAN
        }
        Bson::Int32(number) => {
            to.extend_from_slice(&number.to_le_bytes());
            kind::INT32
        }
        Bson::Int64(number) => {
            to.extend_from_slice(&number.to_le_bytes());
            kind::INT64
        }
        Bson::Double(number) => {
            to.extend_from_slice(&number.to_le_bytes());
            kind::DOUBLE
        }
        Bson::DateTime(date) => {
            to.extend_from_slice(&date.timestamp_millis().to_le_bytes());
            kind::DATE
        }
        Bson::ObjectId(id) => {
            to.extend_from_slice(&id.bytes());
            kind::OBJECT_ID
        }
        Bson::String(text) => {
            let length = i32::try_from(text.len() + 1).map_err(|_| Malformed("too long"))?;
            to.extend_from_slice(&length.to_le_bytes());
            to.extend_from_slice(text.as_bytes());
            to.push(0);
            kind::STRING
        }
        Bson::Document(members) => {
            let start = to.len();
            to.extend_from_slice(&[0; 4]);
            for (name, value) in members {
                write_field(name, value, to)?;
            }
            to.push(0);
            set_length(to, start)?;
            kind::DOCUMENT
        }
        Bson::Array(values) => {
            let start = to.len();
            to.extend_from_slice(&[0; 4]);
            for (position, value) in values.iter().enumerate() {
                write_field(&position.to_string(), value, to)?;
            }
            to.push(0);
            set_length(to, start)?;
            kind::ARRAY
        }
        other => {
            let mut document = Document::new();
            document.insert("", other.clone());
            let bytes = document
                .to_vec()
                .map_err(|_| Malformed("a value that can't be written"))?;
            // Between the length, the type and the name without a letter, and the end.
            let value = bytes.get(6..bytes.len().saturating_sub(1));
            to.extend_from_slice(value.ok_or(Malformed("a value that can't be written"))?);
            bytes[4]
        }
    })
}

/// Writes an element of a document or list: type, name, value.
pub(crate) fn write_element(name: &str, value: &OwnedValue, to: &mut Vec<u8>) {
    to.push(value.kind);
    to.extend_from_slice(name.as_bytes());
    to.push(0);
    to.extend_from_slice(&value.bytes);
}

/// Names with NUL can't be written, nor can nesting that no reader would accept.
pub(crate) fn check_encodable(value: &Bson, depth: usize) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed("values nested too deeply"));
    }
    match value {
        Bson::Document(document) => {
            for (name, value) in document {
                if name.contains('\0') {
                    return Err(Malformed("a name with NUL"));
                }
                check_encodable(value, depth + 1)?;
            }
        }
        Bson::Array(values) => {
            for value in values {
                check_encodable(value, depth + 1)?;
            }
        }
        Bson::JavaScriptCodeWithScope(code) => {
            for (name, value) in &code.scope {
                if name.contains('\0') {
                    return Err(Malformed("a name with NUL"));
                }
                check_encodable(value, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}
