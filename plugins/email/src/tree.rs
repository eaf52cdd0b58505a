//! YAML of the safe subset as plain data: no tags, no objects of a language. Aliases are repeated as often as they occur, so
//! what comes out is bounded by what went in.

use std::cell::Cell;
use std::fmt;

use critd_sdk::Json;
use critd_sdk::serde_json::{Map, Number};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// How deep values may be nested.
const DEPTH: usize = 32;
/// Values in a document.
const VALUES: usize = 100_000;

/// Steps that reading may take, as [`steps`] counts them.
const STEPS: usize = 100_000_000;

/// How long reading may take: for each mark in brackets the reader looks at all brackets that are open. What is in quotes is
/// counted too, generously enough for texts.
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

/// Reads a mapping.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn read(bytes: &[u8]) -> Result<Map<String, Json>, String> {
    if steps(bytes) > STEPS {
        return Err("values are nested too deep".to_owned());
    }
    let budget = Budget {
        values: Cell::new(VALUES),
        bytes: Cell::new(bytes.len() + (1 << 16)),
    };
    let root = Node {
        budget: &budget,
        depth: 0,
    };
    let read = root.deserialize(serde_norway::Deserializer::from_slice(bytes));
    match read.map_err(|error| error.to_string())? {
        Json::Object(mapping) => Ok(mapping),
        _ => Err("a mapping of names to values is expected".to_owned()),
    }
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

impl Node<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH {
            return Err(E::custom("values are nested too deep"));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    fn plain<E: Error>(self, value: impl Into<Json>) -> Result<Json, E> {
        self.budget.take(0)?;
        Ok(value.into())
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain data")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        self.plain(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        self.plain(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        self.plain(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?;
        self.plain(number)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        self.budget.take(value.len())?;
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        self.plain(Json::Null)
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
            // Fields can't be named by names with these.
            let name = name.replace(['.', '$', '\0'], "");
            let value = entries.next_value_seed(inner)?;
            map.insert(name, value);
        }
        Ok(Json::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use critd_sdk::json;

    #[test]
    fn create_5_8_4_a_mapping_is_read() {
        let read = read(b"a: [1, 2.5, x, true, ~]\nb: {c: d}\n3: y\n").unwrap();
        assert_eq!(
            Json::Object(read),
            json!({"a": [1, 2.5, "x", true, null], "b": {"c": "d"}, "3": "y"})
        );
    }

    #[test]
    fn create_5_8_4_anything_else_is_not() {
        for text in [
            "",
            "text",
            "- a",
            "a: [",
            "a: .inf",
            "? [a]\n: b",
            "a: b\n---\nc: d",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(b"a: \xff\xfe").is_err());
        // A tag says nothing: what it stands before is data.
        let tagged = read(b"a: !!python/object:os.system x").unwrap();
        assert_eq!(Json::Object(tagged), json!({"a": "x"}));
    }

    #[test]
    fn up_12_aliases_and_nesting_are_bounded() {
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, of) in ('b'..='l').zip('a'..='k') {
            bomb += &format!(
                "{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n"
            );
        }
        let text = format!(
            "t: &t {}\nl: [{}]\n",
            "x".repeat(10_000),
            vec!["*t"; 100].join(", ")
        );
        let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
        let open = format!("a: {}", "[".repeat(100_000));
        let dashes = "- ".repeat(100_000);
        let wide = format!("a: [{}]", "x,".repeat(200_000));
        for yaml in [bomb, text, deep, open, dashes, wide] {
            assert!(read(yaml.as_bytes()).is_err());
        }
    }
}
