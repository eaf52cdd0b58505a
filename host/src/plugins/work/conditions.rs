//! Conditions of the contract → filters.

use bson::Bson;
use serde_json::Value as Json;

use super::fields::Place;
use crate::dates::Zones;
use crate::plugins::value::json_to_bson;
use crate::store::{FieldPath, Filter, Test};

/// Reads a condition on what is at `place`: on the members of an object, or on the value itself.
///
/// # Errors
///
/// A sentence for the author of the plugin.
pub(super) fn read(text: &str, place: &Place<'_>, zones: &Zones) -> Result<Filter, String> {
    let json: Json =
        serde_json::from_str(text).map_err(|error| format!("malformed condition: {error}"))?;
    let Json::Object(members) = &json else {
        return Ok(Filter::Field(
            FieldPath::itself(),
            Test::Eq(place.condition_value(&json, zones)?),
        ));
    };
    if members.len() == 1 && members.keys().any(|name| name.starts_with('$')) {
        return Ok(Filter::Field(
            FieldPath::itself(),
            Test::Eq(place.condition_value(&json, zones)?),
        ));
    }
    let mut all = Vec::new();
    for (name, wanted) in members {
        let path = FieldPath::parse(name).map_err(|error| format!("`{name}`: {error}"))?;
        let at = place.inner(&path);
        for test in tests(wanted, &at, zones)? {
            all.push(Filter::Field(path.clone(), test));
        }
    }
    Ok(match all.len() {
        0 => Filter::All,
        1 => all.swap_remove(0),
        _ => Filter::And(all),
    })
}

fn tests(wanted: &Json, place: &Place<'_>, zones: &Zones) -> Result<Vec<Test>, String> {
    const NAMES: [&str; 7] = ["gt", "gte", "lt", "lte", "ne", "in", "exists"];
    let Some(members) = wanted.as_object().filter(|members| {
        !members.is_empty() && members.keys().all(|name| NAMES.contains(&name.as_str()))
    }) else {
        return Ok(vec![Test::Eq(place.condition_value(wanted, zones)?)]);
    };
    members
        .iter()
        .map(|(name, wanted)| {
            Ok(match name.as_str() {
                "gt" => Test::Gt(place.condition_value(wanted, zones)?),
                "gte" => Test::Gte(place.condition_value(wanted, zones)?),
                "lt" => Test::Lt(place.condition_value(wanted, zones)?),
                "lte" => Test::Lte(place.condition_value(wanted, zones)?),
                "ne" => Test::Ne(place.condition_value(wanted, zones)?),
                "exists" => Test::Exists(wanted.as_bool().ok_or("`exists` wants true or false")?),
                _ => {
                    let values = wanted.as_array().ok_or("`in` wants a list")?;
                    Test::In(
                        values
                            .iter()
                            .map(|value| place.condition_value(value, zones))
                            .collect::<Result<_, _>>()?,
                    )
                }
            })
        })
        .collect()
}

impl Place<'_> {
    /// A value to compare with: of the declared kind where it can be, else as it is written.
    fn condition_value(&self, json: &Json, zones: &Zones) -> Result<Bson, String> {
        let plain = json_to_bson(json)?;
        Ok(match plain {
            Bson::String(_) | Bson::Int32(_) | Bson::Int64(_) => {
                self.convert_bson(plain.clone(), zones).unwrap_or(plain)
            }
            other => other,
        })
    }
}
