//! Whether a list has an element like another one.

use crate::store::order;
use crate::store::raw::{Malformed, Value, kind};

/// An element that others are compared with.
pub(super) struct Wanted<'a> {
    value: Value<'a>,
    keys: Vec<(&'a str, Option<Value<'a>>)>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(value: Value<'a>, keys: &'a [String]) -> Result<Self, Malformed> {
        let mut fields = Vec::new();
        // A plain value has no fields to agree in: it is the same if it is equal.
        if value.is_document() {
            for key in keys {
                fields.push((key.as_str(), value.field(key)?));
            }
        }
        Ok(Self {
            value,
            keys: fields,
        })
    }

    /// Could the list have such an element? One search for the bytes of the field that tells most: a list of thousands
    /// is passed over without reading its elements.
    pub(super) fn may_be_in(&self, list: &[u8]) -> bool {
        // Values of these kinds are equal only if their bytes are, whatever the stored type says.
        let telling = |kind| matches!(kind, kind::OBJECT_ID | kind::STRING | kind::DATE);
        let longest = self
            .keys
            .iter()
            .filter_map(|(name, value)| {
                value
                    .filter(|value| telling(value.kind))
                    .map(|value| (name, value.bytes))
            })
            .max_by_key(|(_, bytes)| bytes.len());
        // Plain elements are equal as a whole or not at all, so they don't matter here.
        let Some((name, bytes)) = longest else {
            return true;
        };
        let mut needle = Vec::with_capacity(name.len() + 1 + bytes.len());
        needle.extend_from_slice(name.as_bytes());
        needle.push(0);
        needle.extend_from_slice(bytes);
        memchr::memmem::find(list, &needle).is_some()
    }

    pub(super) fn is_like(&self, element: Value<'_>) -> Result<bool, Malformed> {
        if self.keys.is_empty() || !element.is_document() {
            return order::equal(element, self.value);
        }
        for (name, wanted) in &self.keys {
            let same = match (element.field(name)?, wanted) {
                (Some(value), Some(wanted)) => order::equal(value, *wanted)?,
                (None, None) => true,
                _ => false,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
