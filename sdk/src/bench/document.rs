//! Documents as JSON: paths, conditions, and the operations that were made on them.

use serde_json::{Map, Value as Json, json};

use crate::{Fault, internal};

/// A document of the bench.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Its type.
    pub(super) type_name: String,
    /// The user may see it.
    pub(super) visible: bool,
    /// Stored fields.
    pub(super) fields: Json,
    /// What was written, in order.
    pub(super) operations: Vec<Json>,
}

impl Document {
    pub(super) fn get(&self, path: &str) -> Option<&Json> {
        path.split('.')
            .try_fold(&self.fields, |place, part| step(place, part))
            .filter(|value| !value.is_null())
    }

    /// A list; empty if absent.
    pub(super) fn list(&self, path: &str) -> Result<&[Json], Fault> {
        match self.get(path) {
            None => Ok(&[]),
            Some(Json::Array(items)) => Ok(items),
            Some(_) => Err(internal(format!("{path} is not a list"))),
        }
    }

    pub(super) fn set(&mut self, path: &str, value: Json) -> Result<(), Fault> {
        if value.is_null() {
            return self.unset(path);
        }
        if self.get(path) != Some(&value) {
            self.operations.push(json!({ "set": [path, value] }));
            *self.place(path)? = value;
        }
        Ok(())
    }

    pub(super) fn unset(&mut self, path: &str) -> Result<(), Fault> {
        if self.get(path).is_some() {
            self.operations.push(json!({ "unset": [path] }));
            *self.place(path)? = Json::Null;
        }
        Ok(())
    }

    pub(super) fn push(&mut self, path: &str, value: Json) -> Result<(), Fault> {
        self.list(path)?;
        self.operations.push(json!({ "push": [path, value] }));
        self.change_list(path, |items| items.push(value))
    }

    /// Removes the elements that meet the condition, at most `limit` (0: all).
    pub(super) fn pull(&mut self, path: &str, condition: &Json, limit: u32) -> Result<u32, Fault> {
        self.list(path)?;
        let mut gone = 0;
        self.change_list(path, |items| {
            items.retain(|item| {
                let goes = (limit == 0 || gone < limit) && meets(item, condition);
                gone += u32::from(goes);
                !goes
            });
        })?;
        if gone > 0 {
            self.operations
                .push(json!({ "pull": [path, condition, gone] }));
        }
        Ok(gone)
    }

    fn change_list(
        &mut self,
        path: &str,
        change: impl FnOnce(&mut Vec<Json>),
    ) -> Result<(), Fault> {
        let place = self.place(path)?;
        if place.is_null() {
            *place = json!([]);
        }
        match place {
            Json::Array(items) => {
                change(items);
                Ok(())
            }
            _ => Err(internal(format!("{path} is not a list"))),
        }
    }

    /// The place of a path; embedded documents on the way are made.
    fn place(&mut self, path: &str) -> Result<&mut Json, Fault> {
        let mut place = &mut self.fields;
        for part in path.split('.') {
            if place.is_null() {
                *place = Json::Object(Map::new());
            }
            let next = match place {
                Json::Object(map) => Some(map.entry(part).or_insert(Json::Null)),
                Json::Array(items) => part
                    .parse()
                    .ok()
                    .and_then(|number: usize| items.get_mut(number)),
                _ => None,
            };
            place = next.ok_or_else(|| internal(format!("malformed path {path}")))?;
        }
        Ok(place)
    }
}

fn step<'a>(place: &'a Json, part: &str) -> Option<&'a Json> {
    match place {
        Json::Object(map) => map.get(part),
        Json::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Does a value meet a condition of the contract?
pub(super) fn meets(value: &Json, condition: &Json) -> bool {
    let wrapped = |map: &Map<String, Json>| map.keys().any(|key| key.starts_with('$'));
    match condition {
        Json::Object(members) if !wrapped(members) => members.iter().all(|(path, wanted)| {
            member_meets(
                path.split('.')
                    .try_fold(value, |place, part| step(place, part)),
                wanted,
            )
        }),
        plain => value == plain,
    }
}

fn member_meets(found: Option<&Json>, wanted: &Json) -> bool {
    const OPERATORS: [&str; 7] = ["gt", "gte", "lt", "lte", "ne", "in", "exists"];
    let found = found.filter(|value| !value.is_null());
    let Some(operators) = wanted
        .as_object()
        .filter(|map| map.keys().any(|key| OPERATORS.contains(&key.as_str())))
    else {
        return found.is_some_and(|value| {
            value == wanted || value.as_array().is_some_and(|items| items.contains(wanted))
        });
    };
    operators
        .iter()
        .all(|(operator, operand)| match operator.as_str() {
            "exists" => found.is_some() == operand.as_bool().unwrap_or(true),
            "ne" => found != Some(operand),
            "in" => operand
                .as_array()
                .is_some_and(|allowed| found.is_some_and(|value| allowed.contains(value))),
            comparison => {
                let order = found.and_then(|value| compare(value, operand));
                order.is_some_and(|order| match comparison {
                    "gt" => order.is_gt(),
                    "gte" => order.is_ge(),
                    "lt" => order.is_lt(),
                    _ => order.is_le(),
                })
            }
        })
}

fn compare(left: &Json, right: &Json) -> Option<std::cmp::Ordering> {
    let number = |value: &Json| value.get("$date").unwrap_or(value).as_f64();
    match (left.as_str(), right.as_str()) {
        (Some(left), Some(right)) => Some(left.cmp(right)),
        _ => number(left)?.partial_cmp(&number(right)?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Document, meets};

    #[test]
    fn conditions_compare_dates_numbers_and_lists() {
        let value = json!({"n": 5, "d": {"$date": 7}, "l": ["a"], "m": {"x": "y"}});
        for (condition, expected) in [
            (json!({"n": 5, "d": {"$date": 7}}), true),
            (json!({"n": {"gte": 5, "lt": 6}}), true),
            (json!({"d": {"lt": {"$date": 7}}}), false),
            (json!({"l": "a"}), true),
            (json!({"m.x": {"ne": "y"}}), false),
            (json!({"absent": {"exists": false}}), true),
            (json!({"absent": "a"}), false),
        ] {
            assert_eq!(meets(&value, &condition), expected, "{condition}");
        }
    }

    #[test]
    fn act_18_writing_what_is_there_is_no_operation() {
        let mut document = Document {
            fields: json!({"a": {"b": 1}}),
            ..Document::default()
        };
        assert!(document.set("a.b", json!(1)).is_ok() && document.operations.is_empty());
        assert!(document.set("x.y", json!(2)).is_ok() && document.fields["x"]["y"] == 2);
        assert!(
            document.push("list", json!("e")).is_ok() && document.fields["list"] == json!(["e"])
        );
        assert!(matches!(document.pull("list", &json!("e"), 1), Ok(1)));
        assert_eq!(document.operations.len(), 3);
    }
}
