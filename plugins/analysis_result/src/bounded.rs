//! JSON of a worker, read within bounds: how many values, how deep. What a hostile text would unfold to is never built.

use std::cell::Cell;
use std::fmt;

use critd_sdk::Json;
use critd_sdk::serde_json::{self, Map};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

/// So many values may a report have, those within maps and lists counted.
pub(crate) const MOST_VALUES: u32 = 100_000;
/// So deep may maps and lists lie in each other.
pub(crate) const DEEPEST: usize = 32;

/// How many more values a report may have.
#[derive(Debug)]
pub(crate) struct Budget(Cell<u32>);

/// There are more values than a report may have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spent;

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Cell::new(MOST_VALUES))
    }

    /// One more value.
    pub(crate) fn spend(&self) -> Result<(), Spent> {
        let left = self.0.get().checked_sub(1).ok_or(Spent)?;
        self.0.set(left);
        Ok(())
    }
}

/// Why a text is not taken as JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is none.
    Malformed,
    /// It is nested too deep.
    Deep,
    /// See [`Spent`].
    Spent,
}

impl From<Spent> for Refused {
    fn from(_: Spent) -> Self {
        Self::Spent
    }
}

/// Reads a JSON text.
///
/// # Errors
///
/// See [`Refused`].
pub(crate) fn parse(text: &str, budget: &Budget) -> Result<Json, Refused> {
    let refused = Cell::new(Refused::Malformed);
    let mut reader = serde_json::Deserializer::from_str(text);
    let seed = Seed {
        budget,
        refused: &refused,
        depth: 0,
    };
    let json = seed.deserialize(&mut reader);
    match json.and_then(|json| reader.end().map(|()| json)) {
        Ok(json) => Ok(json),
        Err(_) => Err(refused.replace(Refused::Malformed)),
    }
}

#[derive(Clone, Copy)]
struct Seed<'b> {
    budget: &'b Budget,
    /// Set where it is not the text's form.
    refused: &'b Cell<Refused>,
    depth: usize,
}

impl Seed<'_> {
    fn refuse<E: Error>(self, why: Refused) -> E {
        self.refused.set(why);
        E::custom("beyond the bounds")
    }

    /// For what is within.
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEEPEST {
            return Err(self.refuse(Refused::Deep));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Json, D::Error> {
        if self.budget.spend().is_err() {
            return Err(self.refuse(Refused::Spent));
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Json, E> {
        Ok(flag.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(number.into())
    }

    /// Stored integers have 63 bits: beyond that the digits are kept as a text.
    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(i64::try_from(number).map_or_else(|_| number.to_string().into(), Json::from))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let within = self.deeper()?;
        let mut elements = Vec::new();
        while let Some(element) = list.next_element_seed(within)? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let within = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            members.insert(name, map.next_value_seed(within)?);
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use critd_sdk::json;

    fn read(text: &str) -> Result<Json, Refused> {
        parse(text, &Budget::new())
    }

    #[test]
    fn json_is_read() {
        for (text, expected) in [
            (
                r#"["a", 1, -2, 1.5, true, null]"#,
                json!(["a", 1, -2, 1.5, true, null]),
            ),
            (r#" {"a": {"b": []}} "#, json!({"a": {"b": []}})),
            ("18446744073709551615", json!("18446744073709551615")),
            (r#""\u0000\ud83d\ude00""#, json!("\0\u{1f600}")),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for text in ["", "{", "[1,]", "[1] 2", "{'a': 1}", "\"\\ud800\"", "nul"] {
            assert_eq!(read(text), Err(Refused::Malformed), "{text}");
        }
    }

    #[test]
    fn bounds_hold() {
        let nested = |levels: usize| [&*"[".repeat(levels), &*"]".repeat(levels)].concat();
        assert!(read(&nested(DEEPEST)).is_ok());
        for levels in [DEEPEST + 1, 100_000] {
            assert_eq!(read(&nested(levels)), Err(Refused::Deep), "{levels}");
        }
        let long = |values: usize| format!("[{}]", vec!["0"; values].join(","));
        let most = MOST_VALUES as usize;
        assert!(read(&long(most - 1)).is_ok());
        assert_eq!(read(&long(most)), Err(Refused::Spent));
        let budget = Budget::new();
        assert!(parse(&long(most - 1), &budget).is_ok());
        assert_eq!(parse("1", &budget), Err(Refused::Spent));
    }
}
