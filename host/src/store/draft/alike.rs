//! Whether a list has an element like another one, or one that meets a condition.
//!
//! Lists grow to tens of thousands of elements (the hosts under a root domain), and most questions about them are
//! answered with no. One search for the bytes of the value that tells most then passes over the list without reading
//! its elements.

use bson::Bson;
use memchr::memmem;

use crate::store::filter::{Filter, Test};
use crate::store::order;
use crate::store::raw::{Malformed, OwnedValue, Value, kind};

/// How much a value tells elements apart. None: equal values may be written in different bytes.
///
/// Ids before dates before texts: a relationship's partner is rarely there twice, its name in every element.
fn tells(value: Value<'_>) -> Option<(u8, usize)> {
    let rank = match value.kind {
        kind::OBJECT_ID => 2,
        kind::DATE => 1,
        kind::STRING => 0,
        _ => return None,
    };
    Some((rank, value.bytes.len()))
}

/// Could an element of the list meet the condition?
pub(super) fn may_be_met_in(condition: &Filter, list: &[u8]) -> bool {
    telling(condition).is_none_or(|value| memmem::find(list, &value.bytes).is_some())
}

/// The value that tells most of those that an element must have somewhere to meet the condition.
fn telling(condition: &Filter) -> Option<OwnedValue> {
    match condition {
        Filter::Field(
            _,
            Test::Eq(value @ (Bson::ObjectId(_) | Bson::DateTime(_) | Bson::String(_))),
        ) => OwnedValue::encode(value).ok(),
        Filter::And(parts) => parts
            .iter()
            .filter_map(telling)
            .max_by_key(|value| tells(value.as_value())),
        _ => None,
    }
}

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

    /// Could the list have such an element?
    pub(super) fn may_be_in(&self, list: &[u8]) -> bool {
        let telling = self
            .keys
            .iter()
            .filter_map(|(name, value)| {
                let value = (*value)?;
                Some((tells(value)?, name, value.bytes))
            })
            .max_by_key(|(rank, ..)| *rank);
        // Plain elements are equal as a whole or not at all, so they don't matter here.
        let Some((_, name, bytes)) = telling else {
            return true;
        };
        let mut needle = Vec::with_capacity(name.len() + 1 + bytes.len());
        needle.extend_from_slice(name.as_bytes());
        needle.push(0);
        needle.extend_from_slice(bytes);
        memmem::find(list, &needle).is_some()
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

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;
    use bson::{Document, RawDocumentBuf, doc};

    use super::*;
    use crate::store::path::FieldPath;

    fn list(elements: &[Document]) -> RawDocumentBuf {
        RawDocumentBuf::try_from(&doc! { "list": elements }).unwrap()
    }

    fn is(field: &'static str, value: impl Into<Bson>) -> Filter {
        Filter::Field(FieldPath::literal(field), Test::Eq(value.into()))
    }

    #[test]
    fn a_list_is_searched_for_the_value_that_tells_most() {
        let (here, elsewhere) = (ObjectId::new(), ObjectId::new());
        let stored = list(&[doc! { "value": here, "relationship": "Sub-domain Of", "n": 1 }]);
        let asked = |value: ObjectId| {
            Filter::And(vec![
                is("relationship", "Sub-domain Of"),
                is("value", value),
            ])
        };
        assert!(may_be_met_in(&asked(here), stored.as_bytes()));
        assert!(!may_be_met_in(&asked(elsewhere), stored.as_bytes()));
        // Numbers of different widths are equal; conditions of other kinds may hold for anything.
        assert!(may_be_met_in(&is("n", 1.0), stored.as_bytes()));
        let differs = Filter::Field(FieldPath::literal("value"), Test::Ne(elsewhere.into()));
        assert!(may_be_met_in(&differs, stored.as_bytes()));

        let keys = ["value", "relationship"].map(str::to_owned);
        for (partner, expected) in [(here, true), (elsewhere, false)] {
            let wanted = doc! { "relationship": "Sub-domain Of", "value": partner };
            let wanted = OwnedValue::encode(&wanted.into()).unwrap();
            let wanted = Wanted::new(wanted.as_value(), &keys).unwrap();
            assert_eq!(wanted.may_be_in(stored.as_bytes()), expected);
        }
    }

    #[test]
    fn a_value_within_a_list_of_an_element_is_found_too() {
        let partner = ObjectId::new();
        let stored = list(&[doc! { "values": ["x", partner] }]);
        assert!(may_be_met_in(&is("values", partner), stored.as_bytes()));
        assert!(may_be_met_in(&is("values", "x"), stored.as_bytes()));
        assert!(!may_be_met_in(&is("values", "y"), stored.as_bytes()));
    }
}
