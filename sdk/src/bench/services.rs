//! Examples of services: a document with its file, the options → results, the lines of the log, the last line or a fault.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::world::{self, NOW, World};
use super::{Verdict, arguments, list, text};
use crate::{Analysis, Plugin};

/// Runs one example.
pub(super) fn run<P: Plugin>(declaration: &Json, declared: &Json, example: &Json) -> Verdict {
    let mut world = super::build::<P>(declaration, example);
    world.type_name = match text(example, "on") {
        "" => super::first_type(declared),
        named => named.to_owned(),
    };
    super::populate(&mut world, example, false);
    if let Err(reason) = add_files(&mut world, example) {
        return Verdict::Fails(reason);
    }
    let sent = example["args"].as_object().cloned().unwrap_or_default();
    let name = text(declared, "name");
    let (result, world) = world::within(world, || {
        P::accepts(name)?;
        let options = arguments::validate(&declared["options"], &sent, NOW, false)?;
        P::analyse(name, options)
    });
    match &world.unable {
        Some(reason) => Verdict::LeftToHost(reason.clone()),
        None => compare(&example["expect"], &result, &world)
            .map_or_else(Verdict::Fails, |()| Verdict::Holds),
    }
}

/// What the schema does not say: a secret is the administrator's, nobody sends it with a run.
pub(super) fn violations(declaration: &Json) -> Vec<String> {
    let mut found = Vec::new();
    for service in list(declaration, "services") {
        for option in list(service, "options") {
            if option["secret"] == true && option["scope"] != "stored" {
                found.push(format!(
                    "{}: the option {} is a secret, so its scope is `stored`",
                    text(service, "name"),
                    text(option, "name")
                ));
            }
        }
    }
    found
}

/// The stored files of the document: by field a text, or `{"name", "text"}`, or `{"name", "base64"}`.
fn add_files(world: &mut World, example: &Json) -> Result<(), String> {
    for (field, file) in example["files"].as_object().into_iter().flatten() {
        let bytes = match (file.as_str(), file["base64"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(digits)) => STANDARD
                .decode(digits)
                .map_err(|error| format!("the file of `{field}`: {error}"))?,
            (None, None) => text(file, "text").as_bytes().to_vec(),
        };
        let number = u32::try_from(world.uploads.len()).unwrap_or(u32::MAX);
        world.uploads.push((text(file, "name").to_owned(), bytes));
        world.files.push((field.clone(), number));
    }
    Ok(())
}

fn compare(expect: &Json, result: &Analysis, world: &World) -> Result<(), String> {
    match (result, expect.get("fault")) {
        (Err(fault), Some(wanted)) => super::compare_fault(wanted, fault)?,
        (Err(fault), None) => return Err(format!("ends with {fault:?}")),
        (Ok(line), Some(_)) => return Err(format!("ends without a fault: {line:?}")),
        (Ok(line), None) => {
            if let Some(message) = expect["message"].as_str().filter(|wanted| wanted != line) {
                return Err(format!("expected the last line {message:?}, got {line:?}"));
            }
        }
    }
    if expect.get("results").is_some() && !agree(list(expect, "results"), &world.results) {
        return Err(format!(
            "expected the results {}, got {}",
            expect["results"],
            Json::from(world.results.as_slice())
        ));
    }
    if expect.get("log").is_some() && list(expect, "log") != world.log {
        return Err(format!(
            "expected the log {}, got {}",
            expect["log"],
            Json::from(world.log.as_slice())
        ));
    }
    Ok(())
}

/// All and in order; of each, the members that the example names.
fn agree(wanted: &[Json], found: &[Json]) -> bool {
    wanted.len() == found.len()
        && wanted.iter().zip(found).all(|(wanted, found)| {
            let mut members = wanted.as_object().into_iter().flatten();
            members.all(|(name, value)| found.get(name) == Some(value))
        })
}

/// `interface task`
pub(crate) mod task {
    use serde_json::{Map, Value as Json};

    use crate::bench::world::with;
    use crate::{Fault, internal};

    const LEVELS: [&str; 5] = ["debug", "info", "warning", "error", "critical"];

    pub(crate) fn id() -> String {
        "00000000-0000-4000-8000-000000000000".into()
    }

    pub(crate) fn add_result(subtype: &str, text: &str, details: &str) -> Result<(), Fault> {
        let mut result = Map::new();
        result.insert("subtype".into(), subtype.into());
        result.insert("result".into(), text.into());
        if !details.is_empty() {
            let details: Map<String, Json> = serde_json::from_str(details)
                .map_err(|error| internal(format!("details of a result: {error}")))?;
            result.extend(details);
        }
        with(|world| world.results.push(Json::Object(result)));
        Ok(())
    }

    pub(crate) fn note(level: u8, message: &str) -> Result<(), Fault> {
        let level = LEVELS.get(usize::from(level)).copied();
        let level = level.ok_or_else(|| internal("levels are 0 to 4"))?;
        with(|world| world.log.push(serde_json::json!({ level: message })));
        Ok(())
    }

    pub(crate) fn cancelled() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn svc_4_secrets_are_stored() {
        let declaration = |option| json!({"services": [{"name": "s", "options": [option]}]});
        let good = [
            json!({"name": "key", "secret": true, "scope": "stored"}),
            json!({"name": "key"}),
        ];
        for option in good {
            assert_eq!(
                super::violations(&declaration(option)),
                Vec::<String>::new()
            );
        }
        let bad = [
            json!({"name": "key", "secret": true}),
            json!({"name": "key", "secret": true, "scope": "runtime"}),
        ];
        for option in bad {
            assert_eq!(
                super::violations(&declaration(option)),
                ["s: the option key is a secret, so its scope is `stored`"]
            );
        }
    }
}
