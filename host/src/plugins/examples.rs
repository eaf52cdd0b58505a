//! The examples of a declaration, run with the real code under the real rules before a plugin may serve.
//!
//! Every example has a store of its own in memory: the document before (of an action: the document of the call),
//! the `others`, the caller `example` with the source `Example`, at the first moment of 2026. Its writes are compared
//! with what is expected and thrown away.

mod memory;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, DateTime, doc};
use serde_json::{Value as Json, json};

use self::memory::Memory;
use super::arguments::{self, Checked};
use super::declaration::{Declaration, ExampleDeclaration, TypeDeclaration};
use super::registry::{ActionEntry, Loaded, Registry, TypeEntry};
use super::runtime::{self, Entry};
use super::value::{Fault, Outcome, json_to_bson};
use super::work::{Budgets, Request, Waits, Work};
use super::{NotDone, Param, Services};
use crate::access::{Access, Caller, Rights, SourceRights};
use crate::dates::Zones;
use crate::registers::Registers;
use crate::store::{StagedFile, Store};

/// 2026-01-01T00:00:00Z, ms since 1970.
const NOW: i64 = 1_767_225_600_000;
/// How long all examples of a plugin may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the registers hold.
const REGISTERS: [(&str, &[&str]); 4] = [
    ("actor_threat_identifiers", &["Email Address"]),
    ("raw_data_types", &["Text", "JSON"]),
    ("signature_types", &["Bro", "Snort", "Yara"]),
    (
        "idb_actions",
        &[
            "Blocked Outbound At Firewall",
            "Blocked Outbound At Desktop Firewall",
        ],
    ),
];

/// Runs all examples of a plugin that is part of the registry; answers how many there were.
///
/// # Errors
///
/// A sentence about the first that does not do what it says.
pub(super) async fn run(registry: &Arc<Registry>, loaded: &Arc<Loaded>) -> Result<usize, String> {
    let examples = async {
        let mut count = 0;
        for of in &loaded.declaration.types {
            for example in &of.examples {
                let entry = registry
                    .type_named(&of.name)
                    .ok_or("its types are not in the registry")?;
                let subject = Subject::Create(entry.clone());
                one(registry, loaded, &subject, example)
                    .await
                    .map_err(|reason| {
                        format!(
                            "the example `{}` of type `{}` failed: {reason}",
                            example.name, of.name
                        )
                    })?;
                count += 1;
            }
        }
        for action in &loaded.declaration.actions {
            for example in &action.examples {
                let said = |reason: String| {
                    format!(
                        "the example `{}` of action `{}` failed: {reason}",
                        example.name, action.name
                    )
                };
                let name = subject_of(registry, &action.on);
                let registry = with_types(registry, &name, example, &[]).map_err(said)?;
                let entry = Arc::new(ActionEntry {
                    declaration: Arc::new(action.clone()),
                    plugin: loaded.declaration.name.clone(),
                });
                let on = registry
                    .type_named(&name)
                    .ok_or("its type is not in the registry")?
                    .clone();
                one(&registry, loaded, &Subject::Action(entry, on), example)
                    .await
                    .map_err(said)?;
                count += 1;
            }
        }
        Ok(count + services::run(registry, loaded).await?)
    };
    let late = || {
        format!(
            "its examples took longer than {} seconds",
            PATIENCE.as_secs()
        )
    };
    tokio::time::timeout(PATIENCE, examples)
        .await
        .unwrap_or_else(|_| Err(late()))
}

enum Subject {
    Create(Arc<TypeEntry>),
    Action(Arc<ActionEntry>, Arc<TypeEntry>),
}

/// The type of the document an action's examples are about: the first it names, else an event.
fn subject_of(registry: &Registry, on: &[String]) -> String {
    let named = on
        .iter()
        .find(|pattern| *pattern != "*" && !pattern.starts_with('-'));
    let excluded = |name: &str| {
        on.iter()
            .any(|pattern| pattern.strip_prefix('-') == Some(name))
    };
    named.cloned().unwrap_or_else(|| {
        let mut known = registry
            .types()
            .map(|entry| &entry.declaration.name)
            .filter(|name| !excluded(name));
        known.next().map_or_else(|| "Example".into(), Clone::clone)
    })
}

/// The registry, with stand-ins for types of the example's documents that no plugin of it provides. `files`: fields of the
/// subject that hold files.
fn with_types(
    registry: &Arc<Registry>,
    subject: &str,
    example: &ExampleDeclaration,
    files: &[&str],
) -> Result<Arc<Registry>, String> {
    let others = example.others.iter().map(|other| {
        (
            other["type"].as_str().unwrap_or_default(),
            Some(&other["document"]),
        )
    });
    let mut types: Vec<TypeDeclaration> = Vec::new();
    for (name, fields) in std::iter::once((subject, example.before.as_ref())).chain(others) {
        let is_known = registry.type_named(name).is_some()
            || types.iter().any(|stand_in| stand_in.name == name);
        if !is_known {
            let files = if name == subject { files } else { &[] };
            types.push(stand_in(name, types.len(), fields, files)?);
        }
    }
    if types.is_empty() {
        return Ok(registry.clone());
    }
    let declaration = Declaration {
        format: 1,
        contract: "1.0".into(),
        name: "stand-in".into(),
        version: semver::Version::new(1, 0, 0),
        summary: String::new(),
        types,
        actions: Vec::new(),
        services: Vec::new(),
        needs: BTreeMap::new(),
        limits: BTreeMap::new(),
    };
    let stand_in = Loaded {
        declaration: Arc::new(declaration),
        text: "".into(),
        sha256: String::new(),
        limits: runtime::Limits::default(),
        service_limits: runtime::Limits::OF_SERVICES,
        code: None,
    };
    let all = registry.plugins().cloned().chain([Arc::new(stand_in)]);
    Registry::of(all, 0)
        .map(Arc::new)
        .map_err(|conflict| conflict.to_string())
}

/// A type with the fields that a document of the example has.
fn stand_in(
    name: &str,
    number: usize,
    document: Option<&Json>,
    files: &[&str],
) -> Result<TypeDeclaration, String> {
    let mut fields = vec![json!({"name": "description", "kind": "text"})];
    let held = files
        .iter()
        .map(|field| json!({"name": field, "kind": "file", "bucket": "stand_in"}));
    fields.extend(held);
    let own = document
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
        .map(|(field, _)| field)
        .filter(|field| !["description", "_id"].contains(&field.as_str()))
        .filter(|field| !files.contains(&field.as_str()))
        .filter(|field| !super::work::is_common_field(field));
    fields.extend(own.map(|field| json!({"name": field, "kind": "any"})));
    serde_json::from_value(json!({
        "name": name, "resource": format!("stand_in_{number}"), "collection": format!("stand_in_{number}"),
        "sources": true, "fields": fields, "args": []
    }))
    .map_err(|error| error.to_string())
}

async fn one(
    registry: &Arc<Registry>,
    loaded: &Arc<Loaded>,
    subject: &Subject,
    example: &ExampleDeclaration,
) -> Result<(), String> {
    let (of, nothing) = match subject {
        Subject::Create(of) => (of, None),
        Subject::Action(_, of) => (of, Some(json!({}))),
    };
    let mut store = empty_store()?;
    let before = example.before.as_ref().or(nothing.as_ref());
    let before = fill(&mut store, registry, &of.declaration, before, example)?;
    let services = services_on(store);
    let caller = Arc::new(caller(example));
    let params = params(example, &services).await?;
    let context = arguments::Context {
        caller: &caller,
        registry,
        services: &services,
        now: NOW,
        zones: &Zones::default(),
    };
    let checked = match subject {
        Subject::Create(of) => arguments::for_create(context, of, &params).await,
        Subject::Action(action, on) => arguments::for_action(context, on, action, &params).await,
    };
    let Checked {
        args,
        files,
        denied,
        ..
    } = match checked {
        Ok(checked) => checked,
        Err(NotDone::Refused(refusal)) => return compare_fault(&example.expect, &refusal.into()),
        Err(NotDone::Internal(reason) | NotDone::Busy(reason)) => return Err(reason),
        Err(NotDone::NoDocument) => return Err("no document".into()),
    };
    let request = request(&caller, registry, &services, files);
    let mut work = Box::new(Work::new(request, Budgets::default()));
    let entry = match subject {
        Subject::Create(of) => {
            work.begin_create(of, denied);
            Entry::Create(of.declaration.name.clone())
        }
        Subject::Action(action, on) => {
            let id = before.ok_or("no document")?;
            if !work
                .begin_action(action, on, id)
                .await
                .map_err(|failure| failure.to_string())?
            {
                return Err("the user of the example may not see its document".into());
            }
            Entry::Run(action.declaration.name.clone())
        }
    };
    let (work, answer) = runtime::call(work, loaded, entry, args)
        .await
        .map_err(|abort| abort.to_string())?;
    let outcome = match (answer, work.denied()) {
        (Ok(_), Some(refusal)) => {
            return compare_fault(&example.expect, &refusal.clone().into());
        }
        (Ok(outcome), None) => outcome,
        (Err(fault), _) => return compare_fault(&example.expect, &fault),
    };
    compare(&example.expect, &outcome)?;
    if let (Subject::Action(..), Some(wanted)) = (subject, example.expect["operations"].as_array())
    {
        let made = work.operations();
        if *wanted != made {
            return Err(format!(
                "expected the operations {}, got {}",
                Json::from(wanted.clone()),
                Json::from(made)
            ));
        }
    }
    work.into_write_set()
        .await
        .map_err(|failure| format!("what it wrote can't be stored: {failure}"))?;
    Ok(())
}

fn compare(expect: &Json, outcome: &Outcome) -> Result<(), String> {
    if let Some(fault) = expect.get("fault") {
        return Err(format!(
            "expected the fault {fault}, got the answer {:?}",
            outcome.message
        ));
    }
    if let Some(wanted) = expect["message"].as_str()
        && wanted != outcome.message
    {
        return Err(format!(
            "expected the message {wanted:?}, got {:?}",
            outcome.message
        ));
    }
    let extra: Json = match outcome.extra.as_str() {
        "" => Json::Null,
        text => {
            serde_json::from_str(text).map_err(|error| format!("`extra` is no JSON: {error}"))?
        }
    };
    for (key, wanted) in expect["extra"].as_object().into_iter().flatten() {
        if extra[key] != *wanted {
            return Err(format!("expected {key} {wanted}, got {}", extra[key]));
        }
    }
    Ok(())
}

fn compare_fault(expect: &Json, fault: &Fault) -> Result<(), String> {
    let (kind, subject, message) = match fault {
        Fault::Invalid(argument, message) => ("invalid", argument, message),
        Fault::Refused(code, message) => ("refused", code, message),
        Fault::Missing(message) => ("missing", message, message),
        Fault::Internal(message) => ("internal", message, message),
    };
    let Some(wanted) = expect.get("fault") else {
        return Err(format!(
            "it ended with the fault {kind} {subject:?}: {message:?}"
        ));
    };
    let same_message = wanted["message"]
        .as_str()
        .is_none_or(|wanted| wanted == message);
    if wanted[kind] == subject.as_str() && same_message {
        return Ok(());
    }
    Err(format!(
        "expected the fault {wanted}, got {kind} {subject:?}: {message:?}"
    ))
}

fn caller(example: &ExampleDeclaration) -> Caller {
    let flags: BTreeSet<String> = match &example.may {
        Some(flags) => flags.iter().cloned().collect(),
        None => BTreeSet::from(["*".into()]),
    };
    let all = SourceRights {
        read: true,
        write: true,
        red: true,
        amber: true,
        green: true,
    };
    let named = example
        .sources
        .clone()
        .unwrap_or_else(|| vec!["Example".into()]);
    let sources = named.into_iter().map(|name| (name, all)).collect();
    Caller {
        user: "example".into(),
        organization: "Example".into(),
        rights: Arc::new(Rights { flags, sources }),
        read_only: false,
    }
}

fn empty_store() -> Result<Memory, String> {
    Memory::new().map_err(|error| format!("no temporary folder: {error}"))
}

fn services_on(store: Memory) -> Services {
    let store: Arc<dyn Store> = Arc::new(store);
    Services {
        access: Arc::new(Access::new(store.clone())),
        registers: Arc::new(Registers::new(store.clone())),
        store,
    }
}

fn request(
    caller: &Arc<Caller>,
    registry: &Arc<Registry>,
    services: &Services,
    files: Vec<(String, Arc<StagedFile>)>,
) -> Arc<Request> {
    Arc::new(Request {
        caller: caller.clone(),
        registry: registry.clone(),
        services: services.clone(),
        now: NOW,
        zones: Zones::default(),
        seed: [7; 32],
        request_id: "example".into(),
        files,
        micros: 0,
        waits: Waits::default(),
    })
}

/// Fills the store of an example; the id of the document before, if there is one.
fn fill(
    store: &mut Memory,
    registry: &Registry,
    of: &TypeDeclaration,
    before: Option<&Json>,
    example: &ExampleDeclaration,
) -> Result<Option<ObjectId>, String> {
    let mut ids = 0u32;
    let mut next = || {
        ids += 1;
        let mut bytes = [0; 12];
        bytes[8..].copy_from_slice(&ids.to_be_bytes());
        ObjectId::from_bytes(bytes)
    };
    let before = before
        .map(|fields| add(store, of, fields, true, &mut next))
        .transpose()?;
    for other in &example.others {
        let name = other["type"].as_str().unwrap_or_default();
        let entry = registry
            .type_named(name)
            .ok_or_else(|| format!("`others` names the type `{name}`, which no plugin provides"))?;
        add(
            store,
            &entry.declaration,
            &other["document"],
            other["visible"] != false,
            &mut next,
        )?;
    }
    let sources = example
        .sources
        .clone()
        .unwrap_or_else(|| vec!["Example".into()]);
    let registers = REGISTERS.into_iter().map(|(collection, names)| {
        (
            collection,
            names.iter().map(|name| (*name).to_owned()).collect(),
        )
    });
    for (collection, names) in registers.chain([("source_access", sources)]) {
        for name in names {
            store.add(
                collection,
                false,
                &doc! { "_id": next(), "name": name, "active": "on" },
            )?;
        }
    }
    Ok(before)
}

/// A document with the fields that every one of its type has, over them those of the example.
fn add(
    store: &mut Memory,
    of: &TypeDeclaration,
    fields: &Json,
    visible: bool,
    next: &mut dyn FnMut() -> ObjectId,
) -> Result<ObjectId, String> {
    let mut document = doc! { "_id": next(), "schema_version": of.schema_version };
    let date = Bson::DateTime(DateTime::from_millis(NOW));
    if of.top_level {
        document.extend(doc! { "created": date.clone(), "modified": date.clone(), "status": "New", "tlp": "white" });
        for list in [
            "actions",
            "bucket_list",
            "campaign",
            "locations",
            "objects",
            "relationships",
            "releasability",
            "screenshots",
            "sectors",
            "tickets",
        ] {
            document.insert(list, Bson::Array(Vec::new()));
        }
    }
    if of.sources {
        let name = if visible { "Example" } else { "Hidden" };
        let instance = doc! { "analyst": "example", "date": date, "method": "", "reference": "", "tlp": "white" };
        document.insert(
            "source",
            vec![doc! { "name": name, "instances": [instance] }],
        );
    }
    for field in &of.fields {
        if let Some(default) = &field.default {
            document.insert(field.stored_name(), json_to_bson(default)?);
        }
    }
    let fields = fields
        .as_object()
        .ok_or("the document before is no object")?;
    for (name, value) in fields {
        document.insert(name, json_to_bson(value)?);
    }
    store.add(&of.collection, of.sources, &document)?;
    document
        .get_object_id("_id")
        .map_err(|error| error.to_string())
}

/// Arguments as a client sends them; `files`: each by argument.
async fn params(
    example: &ExampleDeclaration,
    services: &Services,
) -> Result<super::Params, String> {
    let args = example.args.as_object().ok_or("`args` is no object")?;
    let mut params: super::Params = args
        .iter()
        .map(|(name, value)| (name.clone(), Param::Json(value.clone())))
        .collect();
    for (name, file) in example.files.iter().filter_map(Json::as_object).flatten() {
        let staged = staged(services.store.as_ref(), file).await?;
        params.push((name.clone(), Param::File(Arc::new(staged))));
    }
    Ok(params)
}

/// A file of an example: a text, or its name with a text or, in base64, the bytes.
async fn staged(store: &dyn Store, file: &Json) -> Result<StagedFile, String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let member = |name: &str| file[name].as_str().unwrap_or_default();
    let (name, bytes) = match (file.as_str(), file["base64"].as_str()) {
        (Some(text), _) => ("example.txt", text.as_bytes().to_vec()),
        (None, Some(digits)) => {
            let bytes = STANDARD.decode(digits);
            (member("name"), bytes.map_err(|error| error.to_string())?)
        }
        (None, None) => (member("name"), member("text").as_bytes().to_vec()),
    };
    super::work::stage(store, name, bytes).await
}
