//! The offline test bench: runs a plugin's examples natively, without a server. Not part of plugins.
//!
//! Documents are in memory. What only the host knows (vocabularies, registers, the public suffix list, other plugins,
//! fuzzy digests) the bench can't answer: an example that asks for it, or that expects a fault of the host's own checks, is
//! left to the host, which runs all examples at build and when the plugin is loaded.

mod arguments;
mod document;
mod schema;
mod services;
mod world;

use serde_json::Value as Json;

pub(crate) use services::task;
pub(crate) use world::{call, documents, log, registers, uploads};

use crate::{Answer, Fault, Plugin};
use world::{NOW, World};

/// What became of an example.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does what it says.
    Holds,
    /// Only the host can tell, because of this.
    LeftToHost(String),
    /// It does something else.
    Fails(String),
}

/// Holds a plugin's declaration against its schema and runs its examples.
///
/// # Panics
///
/// If something is wrong, with all that is wrong: this is for tests.
#[expect(clippy::panic, reason = "the way a test fails")]
pub fn check<P: Plugin>() {
    let mut wrong = violations::<P>();
    for (name, verdict) in run_examples::<P>() {
        if let Verdict::Fails(reason) = verdict {
            wrong.push(format!("{name}: {reason}"));
        }
    }
    if !wrong.is_empty() {
        panic!("{}", wrong.join("\n"));
    }
}

/// Where the declaration breaks its schema.
#[must_use]
pub fn violations<P: Plugin>() -> Vec<String> {
    match serde_json::from_str(&P::declaration()) {
        Ok(declaration) => {
            let mut found = schema::violations(&declaration);
            found.extend(services::violations(&declaration));
            found
        }
        Err(error) => vec![format!("the declaration is not JSON: {error}")],
    }
}

/// Runs all examples: the name of each, after that of its action, type or service, and what became of it.
#[must_use]
pub fn run_examples<P: Plugin>() -> Vec<(String, Verdict)> {
    let declaration: Json = serde_json::from_str(&P::declaration()).unwrap_or_default();
    let mut verdicts = Vec::new();
    for kind in ["types", "actions", "services"] {
        for declared in list(&declaration, kind) {
            for example in list(declared, "examples") {
                let name = format!("{}: {}", text(declared, "name"), text(example, "name"));
                let verdict = match kind {
                    "services" => services::run::<P>(&declaration, declared, example),
                    _ => run::<P>(&declaration, declared, example, kind == "types"),
                };
                verdicts.push((name, verdict));
            }
        }
    }
    verdicts
}

fn run<P: Plugin>(declaration: &Json, declared: &Json, example: &Json, creating: bool) -> Verdict {
    let expect = &example["expect"];
    if let Some(reason) = host_only(declared, example) {
        return Verdict::LeftToHost(reason);
    }
    let mut world = build::<P>(declaration, example);
    if creating {
        text(declared, "name").clone_into(&mut world.type_name);
    } else {
        text(declared, "name").clone_into(&mut world.action);
        world.type_name = first_type(declared);
    }
    populate(&mut world, example, creating);
    let sent = example["args"].as_object().cloned().unwrap_or_default();
    let name = text(declared, "name");
    let (result, world) = world::within(world, || {
        let mut args = arguments::validate(&declared["args"], &sent, NOW, creating)?;
        if creating {
            args.extend(arguments::shared(&declared["args"], &sent));
            P::create(name, args)
        } else {
            P::run(name, args)
        }
    });
    if let Some(reason) = world.unable {
        return Verdict::LeftToHost(reason);
    }
    // The host would have brought it into its canonical spelling.
    if let Err(Fault::Invalid((argument, _))) = &result
        && list(declared, "args")
            .iter()
            .any(|arg| arg["name"] == argument.as_str() && arg.get("vocab").is_some())
    {
        return Verdict::LeftToHost("a vocabulary".into());
    }
    let operations = world
        .documents
        .first()
        .map(|document| document.operations.as_slice())
        .filter(|_| !creating);
    compare(expect, result, operations).map_or_else(Verdict::Fails, |()| Verdict::Holds)
}

/// Expectations about what the host checks before a plugin runs.
fn host_only(declared: &Json, example: &Json) -> Option<String> {
    let invalid = example["expect"]["fault"]["invalid"].as_str();
    let by_vocabulary = |arg: &&Json| arg.get("vocab").is_some() && invalid == arg["name"].as_str();
    if list(declared, "args").iter().any(|arg| by_vocabulary(&arg)) {
        return Some("a vocabulary".into());
    }
    let forbidden =
        example["expect"]["fault"]["refused"] == "forbidden" && example.get("may").is_some();
    if forbidden {
        return Some("a permission".into());
    }
    example.get("files").map(|_| "files".into())
}

/// A world without documents.
fn build<P: Plugin>(declaration: &Json, example: &Json) -> World {
    let texts = |value: &Json| {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .map(String::from)
            .collect()
    };
    World {
        may: example.get("may").map(texts),
        sources: example
            .get("sources")
            .map_or_else(|| vec!["Example".into()], texts),
        types: declaration["types"].clone(),
        create: Some(P::create),
        ..World::default()
    }
}

/// The type of the document that the examples of an action or a service are about.
fn first_type(declared: &Json) -> String {
    let mut on = list(declared, "on").iter().filter_map(Json::as_str);
    on.find(|name| !name.starts_with(['*', '-']))
        .unwrap_or("Event")
        .to_owned()
}

/// The documents of an example.
fn populate(world: &mut World, example: &Json, creating: bool) {
    let type_name = world.type_name.clone();
    match example.get("before") {
        Some(before) => world.current = Some(world.add(&type_name, true, before.clone())),
        None if !creating => {
            world.current = Some(world.add(&type_name, true, serde_json::json!({})))
        }
        None => {}
    }
    if creating {
        world.current = None;
    }
    for other in list(example, "others") {
        world.add(
            text(other, "type"),
            other["visible"] != false,
            other["document"].clone(),
        );
    }
}

fn compare(
    expect: &Json,
    result: Result<Answer, Fault>,
    operations: Option<&[Json]>,
) -> Result<(), String> {
    let outcome = match (result, expect.get("fault")) {
        (Err(fault), Some(wanted)) => return compare_fault(wanted, &fault),
        (Err(fault), None) => return Err(format!("ends with {fault:?}")),
        (Ok(answer), Some(_)) => return Err(format!("ends without a fault: {answer:?}")),
        (Ok(answer), None) => answer.into_wire(),
    };
    if let Some(message) = expect["message"]
        .as_str()
        .filter(|message| *message != outcome.message)
    {
        return Err(format!(
            "expected the message {message:?}, got {:?}",
            outcome.message
        ));
    }
    let extra: Json = serde_json::from_str(&outcome.extra).unwrap_or_default();
    for (key, wanted) in expect["extra"].as_object().into_iter().flatten() {
        if extra[key] != *wanted {
            return Err(format!("expected {key} {wanted}, got {}", extra[key]));
        }
    }
    match (expect["operations"].as_array(), operations) {
        (Some(wanted), Some(made)) if wanted != made => Err(format!(
            "expected the operations {}, got {}",
            Json::from(wanted.clone()),
            Json::from(made)
        )),
        _ => Ok(()),
    }
}

fn compare_fault(wanted: &Json, fault: &Fault) -> Result<(), String> {
    let (kind, subject, message) = match fault {
        Fault::Invalid((argument, message)) => ("invalid", argument, message),
        Fault::Refused((code, message)) => ("refused", code, message),
        Fault::Missing(message) => ("missing", message, message),
        Fault::Internal(message) => ("internal", message, message),
    };
    let same_message = wanted["message"]
        .as_str()
        .is_none_or(|wanted| wanted == message);
    if wanted[kind] == subject.as_str() && same_message {
        Ok(())
    } else {
        Err(format!("expected {wanted}, got {fault:?}"))
    }
}

fn list<'a>(value: &'a Json, key: &str) -> &'a [Json] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Json, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
