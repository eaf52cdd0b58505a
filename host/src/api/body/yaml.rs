//! YAML bodies (rule B6): a mapping of the safe subset, as plain data.
//!
//! Aliases are repeated as often as they occur, so the size of what comes out is limited by the size of what came in.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

use crate::api::failure::Failure;

/// How deep values may be nested.
const DEPTH: usize = 64;

/// Steps that reading may take, as [`steps`] counts them: some tenths of a second.
const STEPS: usize = 50_000_000;

/// How long reading may take: for each mark in brackets the parser looks at all brackets that are open. What is in quotes is
/// counted too, which no text of a report comes near to.
fn steps(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut marks) = (0_usize, 1_usize, 0_usize);
    for byte in bytes {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' | b':' => {}
            _ => continue,
        }
        marks += 1;
        deepest = deepest.max(depth);
    }
    deepest.saturating_mul(marks)
}

/// What may still come out.
struct Budget {
    values: Cell<usize>,
    bytes: Cell<usize>,
}

impl Budget {
    fn take<E: Error>(&self, bytes: usize) -> Result<(), E> {
        let (Some(values), Some(left)) = (
            self.values.get().checked_sub(1),
            self.bytes.get().checked_sub(bytes),
        ) else {
            return Err(E::custom("the document grows too large"));
        };
        self.values.set(values);
        self.bytes.set(left);
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    budget: &'a Budget,
    depth: usize,
}

pub(super) fn read(bytes: &[u8]) -> Result<Map<String, Json>, Failure> {
    let invalid = || Failure::BadRequest("Request is not valid YAML.".into());
    if steps(bytes) > STEPS {
        return Err(Failure::BadRequest(
            "Request body is nested too deep.".into(),
        ));
    }
    // Each value takes a byte at least; what aliases repeat comes on top.
    let budget = Budget {
        values: Cell::new(bytes.len() + 10_000),
        bytes: Cell::new(bytes.len() + (1 << 20)),
    };
    let root = Node {
        budget: &budget,
        depth: 0,
    };
    match root
        .deserialize(serde_norway::Deserializer::from_slice(bytes))
        .map_err(|_| invalid())?
    {
        Json::Object(object) => Ok(object),
        Json::Null => Ok(Map::new()),
        _ => Err(Failure::BadRequest(
            "Request body must be a YAML mapping.".into(),
        )),
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Node<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH {
            return Err(E::custom("nested too deep"));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain data")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        self.budget.take(0)?;
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        self.budget.take(0)?;
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        self.budget.take(0)?;
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        self.budget.take(0)?;
        serde_json::Number::from_f64(value)
            .map(Json::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        self.budget.take(value.len())?;
        Ok(Json::String(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        self.budget.take(0)?;
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
        self.budget.take(0)?;
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            list.push(element);
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        self.budget.take(0)?;
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(name) = entries.next_key_seed(inner)? {
            let name = match name {
                Json::String(name) => name,
                Json::Number(number) => number.to_string(),
                Json::Bool(flag) => flag.to_string(),
                Json::Null | Json::Array(_) | Json::Object(_) => {
                    return Err(A::Error::custom("a name must be a text"));
                }
            };
            let value = entries.next_value_seed(inner)?;
            map.insert(name, value);
        }
        Ok(Json::Object(map))
    }
}
