//! Holds a declaration against its schema: as much of JSON Schema as that schema uses, but for `pattern`, which the
//! macros check where the names are written.

use serde_json::Value as Json;

const SCHEMA: &str = include_str!("../../schema/declaration.json");

/// What is wrong with a declaration, each with its place.
pub(super) fn violations(declaration: &Json) -> Vec<String> {
    match serde_json::from_str(SCHEMA) {
        Ok(schema) => {
            let mut found = Vec::new();
            check(&schema, &schema, declaration, "", &mut found);
            found
        }
        Err(error) => vec![format!("the schema itself: {error}")],
    }
}

fn check(root: &Json, schema: &Json, value: &Json, place: &str, found: &mut Vec<String>) {
    let Some(rules) = schema.as_object() else {
        return;
    };
    for (keyword, rule) in rules {
        let holds = match keyword.as_str() {
            "$ref" => {
                let target = rule
                    .as_str()
                    .and_then(|path| root.pointer(path.trim_start_matches('#')));
                target.is_some_and(|target| {
                    check(root, target, value, place, found);
                    true
                })
            }
            "type" => rule.as_str().is_some_and(|kind| has_type(kind, value)),
            "const" => rule == value,
            "enum" => rule
                .as_array()
                .is_some_and(|allowed| allowed.contains(value)),
            "minItems" => value
                .as_array()
                .is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap_or(0)),
            "not" => !holds(root, rule, value),
            "allOf" => all(rule, |part| holds(root, part, value)),
            "oneOf" => rule.as_array().is_some_and(|parts| {
                parts.iter().filter(|part| holds(root, part, value)).count() == 1
            }),
            "required" => all(rule, |name| {
                value
                    .as_object()
                    .is_none_or(|map| name.as_str().is_some_and(|name| map.contains_key(name)))
            }),
            "propertyNames" => value.as_object().is_none_or(|map| {
                map.keys()
                    .all(|name| holds(root, rule, &name.as_str().into()))
            }),
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{place}/{number}"), found);
                }
                true
            }
            "properties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    check(root, &rule[name], member, &format!("{place}/{name}"), found);
                }
                true
            }
            "additionalProperties" if rule.is_object() => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    check(root, rule, member, &format!("{place}/{name}"), found);
                }
                true
            }
            "additionalProperties" => {
                let known = |name: &String| {
                    rules
                        .get("properties")
                        .is_some_and(|known| known.get(name).is_some())
                };
                value.as_object().is_none_or(|map| map.keys().all(known))
            }
            _ => true,
        };
        if !holds {
            found.push(format!("{place}: {value} breaks {keyword} {rule}"));
        }
    }
}

fn holds(root: &Json, schema: &Json, value: &Json) -> bool {
    let mut found = Vec::new();
    check(root, schema, value, "", &mut found);
    found.is_empty()
}

fn all(list: &Json, test: impl Fn(&Json) -> bool) -> bool {
    list.as_array().is_some_and(|parts| parts.iter().all(test))
}

fn has_type(kind: &str, value: &Json) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_good_declaration_passes_and_each_mistake_is_named() {
        let good = json!({
            "format": 1, "contract": "1.0", "name": "x", "version": "1.0.0", "summary": "",
            "actions": [{"name": "a", "on": ["*"], "permission": "p", "args": [{"name": "n", "type": "string"}]}],
        });
        assert_eq!(super::violations(&good), Vec::<String>::new());
        for (pointer, value, rule) in [
            ("/format", json!(2), "const"),
            ("/actions/0/args/0/type", json!("word"), "enum"),
            ("/actions/0/on", json!([]), "minItems"),
            ("/actions/0/args/0/name", json!("user"), "allOf"),
            (
                "/actions/0",
                json!({"name": "a", "unheard": 1}),
                "additionalProperties",
            ),
        ] {
            let mut bad = good.clone();
            if let Some(place) = bad.pointer_mut(pointer) {
                *place = value;
            }
            let found = super::violations(&bad);
            assert!(
                found.iter().any(|violation| violation.contains(rule)),
                "{pointer}: {found:?}"
            );
        }
    }
}
