//! The results of a report: from what was sent to entries of `results` (create.md 5.18).

use critd_sdk::FromValue;
use critd_sdk::prelude::*;
use critd_sdk::serde_json::Map;

use crate::bounded::{self, Budget, Refused};
use crate::literal;

/// So many entries may a report add.
const MOST_ENTRIES: usize = 5_000;
/// So long may they be in all, in bytes of JSON.
const LONGEST: usize = 8 << 20;

const UNEQUAL: &str = "When adding results in batch result, result_type, and result_subtype must have the same length!";
const NO_LISTS: &str = "result, result_type, and result_subtype must be JSON lists.";
/// Of the action `result`: nothing to add, or an entry without one of the three.
pub(crate) const NEEDED: &str = "Need a result, type, and subtype to add a result.";

/// The three arguments, as lists of equal length.
#[derive(Debug)]
pub(crate) struct Sent {
    results: Vec<Json>,
    types: Vec<Json>,
    subtypes: Vec<Json>,
    budget: Budget,
}

/// Reads the three arguments. None: there is no result.
///
/// # Errors
///
/// A part is missing; lists that are none, or not of the same length; more than a report may have.
pub(crate) fn sent(
    result: Option<Value>,
    result_type: Option<Value>,
    subtype: Option<Value>,
    batch: bool,
) -> Result<Option<Sent>, Fault> {
    let Some(result) = result else {
        return Ok(None);
    };
    let (Some(result_type), Some(subtype)) = (result_type, subtype) else {
        return Err(invalid(
            "result",
            "When adding a result, also need type and subtype",
        ));
    };
    let budget = Budget::new();
    let read = if batch { list } else { single };
    let sent = Sent {
        results: read(result, &budget)?,
        types: read(result_type, &budget)?,
        subtypes: read(subtype, &budget)?,
        budget,
    };
    let length = sent.results.len();
    if sent.types.len() != length || sent.subtypes.len() != length {
        return Err(invalid("result", UNEQUAL));
    }
    if length > MOST_ENTRIES {
        return Err(too_much());
    }
    Ok(Some(sent))
}

fn too_much() -> Fault {
    let text = [
        "A report may have at most ",
        &MOST_ENTRIES.to_string(),
        " results of ",
        &(LONGEST >> 20).to_string(),
        " MiB and ",
        &bounded::MOST_VALUES.to_string(),
        " values in all, nested ",
        &bounded::DEEPEST.to_string(),
        " deep.",
    ];
    refused("limit", text.concat())
}

/// One value, as it is.
fn single(value: Value, budget: &Budget) -> Result<Vec<Json>, Fault> {
    let json = match value {
        Value::Json(text) => bounded::parse(&text, budget).map_err(|_| too_much())?,
        other => Json::from_value(other).unwrap_or_default(),
    };
    Ok(vec![json])
}

/// A list: of a JSON body, or as a JSON text.
fn list(value: Value, budget: &Budget) -> Result<Vec<Json>, Fault> {
    let (Value::Json(text) | Value::Text(text)) = value else {
        return Err(invalid("result", NO_LISTS));
    };
    match bounded::parse(&text, budget) {
        Ok(Json::Array(elements)) => Ok(elements),
        Ok(_) | Err(Refused::Malformed) => Err(invalid("result", NO_LISTS)),
        Err(Refused::Deep | Refused::Spent) => Err(too_much()),
    }
}

impl Sent {
    /// The entries. None: there are none, or one lacks a part.
    ///
    /// # Errors
    ///
    /// More than a report may have.
    pub(crate) fn entries(self) -> Result<Option<Vec<Json>>, Fault> {
        let mut entries = Vec::with_capacity(self.results.len());
        let mut length = 0;
        let types = self.types.into_iter().zip(self.subtypes);
        for (result, (kind, subtype)) in self.results.into_iter().zip(types) {
            let Some(entry) = entry(result, kind, subtype, &self.budget)? else {
                return Ok(None);
            };
            length += written(&entry);
            if length > LONGEST {
                return Err(too_much());
            }
            entries.push(entry);
        }
        Ok(Some(entries).filter(|entries| !entries.is_empty()))
    }
}

/// `subtype` and `result`, merged with what the type says.
fn entry(result: Json, kind: Json, subtype: Json, budget: &Budget) -> Result<Option<Json>, Fault> {
    let (Some(subtype), Some(kind)) = (word(&subtype), details(kind, budget)?) else {
        return Ok(None);
    };
    if result.is_null() {
        return Ok(None);
    }
    let mut entry = Map::new();
    entry.insert("subtype".into(), subtype.into());
    entry.insert("result".into(), storable(result));
    for (name, value) in kind {
        if name != "subtype" && name != "result" {
            entry.insert(name, value);
        }
    }
    Ok(Some(Json::Object(entry)))
}

/// A text that says something; numbers do.
fn word(json: &Json) -> Option<String> {
    let text = match json {
        Json::String(text) => text.trim().to_owned(),
        Json::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// What the type adds to an entry: the members of a map, else itself as `type`. None: it says nothing.
fn details(kind: Json, budget: &Budget) -> Result<Option<Map<String, Json>>, Fault> {
    let text = match kind {
        Json::Object(members) if has_storable_names(&members) => return Ok(Some(members)),
        Json::Object(members) => Json::Object(members).to_string(),
        Json::Bool(flag) => flag.to_string(),
        other => match word(&other) {
            Some(text) => text,
            None => return Ok(None),
        },
    };
    if text.starts_with('{')
        && let Some(members) = map_of(&text, budget)?
    {
        return Ok(Some(members));
    }
    Ok(Some(Map::from_iter([("type".to_owned(), text.into())])))
}

/// The map that a text is, in the notation of JSON or of Python. None: it is none that could be stored.
fn map_of(text: &str, budget: &Budget) -> Result<Option<Map<String, Json>>, Fault> {
    let members = match bounded::parse(text, budget) {
        Ok(Json::Object(members)) => Ok(members),
        Err(Refused::Spent) => Err(Refused::Spent),
        Ok(_) | Err(Refused::Malformed | Refused::Deep) => literal::map(text, budget),
    };
    match members {
        Ok(members) => Ok(Some(members).filter(has_storable_names)),
        Err(Refused::Malformed | Refused::Deep) => Ok(None),
        Err(Refused::Spent) => Err(too_much()),
    }
}

/// What can't be stored as it is is kept as its JSON text.
fn storable(json: Json) -> Json {
    if is_storable(&json) {
        json
    } else {
        json.to_string().into()
    }
}

fn is_storable(json: &Json) -> bool {
    match json {
        Json::Object(members) => has_storable_names(members),
        Json::Array(elements) => elements.iter().all(is_storable),
        _ => true,
    }
}

/// No name of a stored map begins with `$` or has a NUL in it.
fn has_storable_names(members: &Map<String, Json>) -> bool {
    members
        .iter()
        .all(|(name, value)| !name.starts_with('$') && !name.contains('\0') && is_storable(value))
}

/// How long it is as JSON, at least nearly.
fn written(json: &Json) -> usize {
    match json {
        Json::Null | Json::Bool(_) => 5,
        Json::Number(_) => 24,
        Json::String(text) => 2 + text.bytes().map(escaped).sum::<usize>(),
        Json::Array(elements) => {
            2 + elements
                .iter()
                .map(|value| 1 + written(value))
                .sum::<usize>()
        }
        Json::Object(members) => {
            let member = |(name, value): (&String, &Json)| {
                4 + name.bytes().map(escaped).sum::<usize>() + written(value)
            };
            2 + members.iter().map(member).sum::<usize>()
        }
    }
}

fn escaped(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' => 2,
        ..0x20 => 6,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = Result<Option<Vec<Json>>, String>;

    /// What a fault says.
    fn said(fault: Fault) -> String {
        format!("{fault:?}")
    }

    fn read(sent: Result<Option<Sent>, Fault>) -> Read {
        let entries = sent.and_then(|sent| sent.map_or(Ok(None), Sent::entries));
        entries.map_err(said)
    }

    fn one(result: &str, kind: Json) -> Read {
        let kind = Value::from(&kind);
        read(sent(
            Some(result.into()),
            Some(kind),
            Some("s".into()),
            false,
        ))
    }

    fn many(result: Json, kind: Json, subtype: Json) -> Read {
        let value = |json: Json| Some(Value::from(&json));
        read(sent(value(result), value(kind), value(subtype), true))
    }

    #[test]
    fn create_5_18_result_type_is_merged_or_kept() {
        for (kind, expected) in [
            (
                json!("string"),
                json!({"subtype": "s", "result": "r", "type": "string"}),
            ),
            (
                json!(" string "),
                json!({"subtype": "s", "result": "r", "type": "string"}),
            ),
            (json!("{}"), json!({"subtype": "s", "result": "r"})),
            (
                json!("{'type': 'x', 'score': 5}"),
                json!({"subtype": "s", "result": "r", "type": "x", "score": 5}),
            ),
            (
                json!("{\"type\": \"x\", \"ok\": true}"),
                json!({"subtype": "s", "result": "r", "type": "x", "ok": true}),
            ),
            (
                json!({"type": "x", "n": null}),
                json!({"subtype": "s", "result": "r", "type": "x", "n": null}),
            ),
            (
                json!("{'subtype': 'no', 'result': 'no', 'a': (1, 2)}"),
                json!({"subtype": "s", "result": "r", "a": [1, 2]}),
            ),
            // Neither map nor list of values: kept as it came.
            (
                json!("{'type': open('x')}"),
                json!({"subtype": "s", "result": "r", "type": "{'type': open('x')}"}),
            ),
            (
                json!("['a']"),
                json!({"subtype": "s", "result": "r", "type": "['a']"}),
            ),
            (
                json!("{'$where': 1}"),
                json!({"subtype": "s", "result": "r", "type": "{'$where': 1}"}),
            ),
            (
                json!({"$date": 5}),
                json!({"subtype": "s", "result": "r", "type": "{\"$date\":5}"}),
            ),
            (
                json!({"a": [{"b\0": 1}]}),
                json!({"subtype": "s", "result": "r", "type": "{\"a\":[{\"b\\u0000\":1}]}"}),
            ),
            (
                json!(7),
                json!({"subtype": "s", "result": "r", "type": "7"}),
            ),
        ] {
            // A date of the contract does not come as a map from a client's text.
            let sent = Sent {
                results: vec!["r".into()],
                types: vec![kind.clone()],
                subtypes: vec!["s".into()],
                budget: Budget::new(),
            };
            assert_eq!(read(Ok(Some(sent))), Ok(Some(vec![expected])), "{kind}");
        }
        assert_eq!(
            one("r", json!("['a', 'b']")).map(|all| all.map(|all| all.len())),
            Ok(Some(1))
        );
        assert_eq!(one("r", json!(["a"])), Ok(None));
    }

    #[test]
    fn create_5_18_batches() {
        let all = many(
            json!(["a", 2, ""]),
            json!(["t", "{'n': 1}", {"o": 2}]),
            json!(["x", "y", "z"]),
        );
        assert_eq!(
            all,
            Ok(Some(vec![
                json!({"subtype": "x", "result": "a", "type": "t"}),
                json!({"subtype": "y", "result": 2, "n": 1}),
                json!({"subtype": "z", "result": "", "o": 2})
            ]))
        );
        let text = many(json!("[\"a\"]"), json!("[\"{'n': 1}\"]"), json!("[\"x\"]"));
        assert_eq!(
            text,
            Ok(Some(vec![json!({"subtype": "x", "result": "a", "n": 1})]))
        );
        for (result, kind, subtype) in [
            (json!("[]"), json!("[]"), json!("[]")),
            (json!([null]), json!(["t"]), json!(["s"])),
            (json!(["r"]), json!([""]), json!(["s"])),
            (json!(["r"]), json!([null]), json!(["s"])),
            (json!(["r"]), json!([["t"]]), json!(["s"])),
            (json!(["r"]), json!(["t"]), json!([" "])),
            (json!(["r"]), json!(["t"]), json!([{}])),
            (json!(["r", "r"]), json!(["t", "t"]), json!(["s", ""])),
        ] {
            assert_eq!(
                many(result.clone(), kind.clone(), subtype.clone()),
                Ok(None),
                "{result} {kind} {subtype}"
            );
        }
        for bad in [
            json!("a"),
            json!("{}"),
            json!("['a']"),
            json!("[1"),
            json!({}),
            json!(1),
            json!("1"),
        ] {
            for place in 0..3 {
                let at = |here: usize| {
                    if here == place {
                        bad.clone()
                    } else {
                        json!(["a"])
                    }
                };
                assert_eq!(
                    many(at(0), at(1), at(2)),
                    Err(said(invalid("result", NO_LISTS))),
                    "{bad}"
                );
            }
        }
        for (results, kinds, subtypes) in [(1, 2, 2), (2, 1, 2), (2, 2, 1), (0, 1, 1)] {
            let list = |length: usize| json!(vec!["a"; length]).to_string().into();
            assert_eq!(
                many(list(results), list(kinds), list(subtypes)),
                Err(said(invalid("result", UNEQUAL)))
            );
        }
    }

    #[test]
    fn create_5_18_results_within_bounds() {
        let list = |length: usize| json!(vec!["a"; length]);
        let length = |length| many(list(length), list(length), list(length));
        assert_eq!(
            length(MOST_ENTRIES).map(|all| all.map(|all| all.len())),
            Ok(Some(MOST_ENTRIES))
        );
        assert_eq!(length(MOST_ENTRIES + 1), Err(said(too_much())));
        let deep = [&*"[".repeat(100_000), &*"]".repeat(100_000)].concat();
        assert_eq!(many(deep.into(), list(1), list(1)), Err(said(too_much())));
        // Each within the bounds, not so together.
        let one = format!("{{'a': [{}]}}", "0,".repeat(60_000));
        assert!(many(list(1), json!([one]), list(1)).is_ok());
        assert_eq!(
            many(list(2), json!([one, one]), list(2)),
            Err(said(too_much()))
        );
        let long = "\0".repeat(2 << 20);
        assert_eq!(many(json!([long]), list(1), list(1)), Err(said(too_much())));
        assert_eq!(
            said(too_much()),
            said(refused(
                "limit",
                "A report may have at most 5000 results of 8 MiB and 100000 values in all, nested 32 deep."
            ))
        );
    }

    #[test]
    fn a_length_is_that_of_the_json() {
        for json in [
            json!({"a": "x\"\\\u{1}", "b": [1, true, null, {"c": {}}]}),
            json!("\u{e9}"),
        ] {
            let (estimated, real) = (written(&json), json.to_string().len());
            assert!(
                estimated >= real && estimated < real + 60,
                "{json}: {estimated} {real}"
            );
        }
    }
}
