//! What can be done to objects, as the plugins declare it: `GET /api/v1/actions/`, `GET /api/v1/actions/NAME/`,
//! `GET /api/v1/RESOURCE/actions/`, and the category `Actions` of `vocab` (actions.md section 6).
//!
//! Nothing here is written by hand: an action that a plugin brings is listed with all that a client must know to use it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value as Json, json};

use super::failure::{Failure, NO_ACCESS};
use super::format::Format;
use super::pipeline::Call;
use super::{answer, list, paging, render, services};
use crate::dates::Zones;
use crate::plugins::declaration::{
    ActionPermission, ArgDeclaration, ArgKind, ExampleDeclaration, TypeDeclaration,
};
use crate::plugins::{ActionEntry, Registry, TypeEntry};
use crate::{query, vocabulary};

/// Name of the resource, and of a resource's own part of it.
pub(super) const RESOURCE: &str = "actions";
/// Name of the category of `vocab`.
pub(super) const CATEGORY: &str = "Actions";

/// Which actions are listed.
pub(super) enum Which<'a> {
    All,
    On(&'a TypeEntry),
    Named(&'a str),
}

/// The actions of a set of plugins, by name.
pub(super) struct Catalogue(Vec<Described>);

/// An action of one plugin.
struct Described {
    entry: Arc<ActionEntry>,
    /// Types on which it is this one that is carried out.
    on: Vec<Arc<TypeEntry>>,
    /// The declaration in the form of actions.md 6.1, but for `types`.
    declared: Map<String, Json>,
    /// Version of the plugin.
    version: String,
}

impl Catalogue {
    pub(super) fn new(registry: &Registry) -> Self {
        let patched = |of: &&Arc<TypeEntry>| {
            let of = &of.declaration;
            of.part_of.is_none() && of.methods.iter().any(|method| method == "PATCH")
        };
        let described = registry.actions().map(|entry| {
            let name = &entry.declaration.name;
            let is_carried_out = |of: &&Arc<TypeEntry>| {
                let found = registry.action(&of.declaration.name, name);
                found.is_some_and(|found| Arc::ptr_eq(found, entry))
            };
            let on = registry.types().filter(patched).filter(is_carried_out);
            let plugin = registry.plugin(&entry.plugin);
            Described {
                on: on.cloned().collect(),
                declared: declared(entry),
                version: plugin
                    .map(|plugin| plugin.declaration.version.to_string())
                    .unwrap_or_default(),
                entry: Arc::clone(entry),
            }
        });
        Self(described.collect())
    }

    /// What the caller may be told of: actions on types that it may read, each with these.
    fn visible<'a>(
        &'a self,
        call: &'a Call<'_>,
    ) -> impl Iterator<Item = (&'a Described, Vec<&'a TypeDeclaration>)> {
        self.0.iter().filter_map(|described| {
            let on = described.on.iter().map(|of| of.declaration.as_ref());
            let readable: Vec<_> = on.filter(|of| may_read(call, of)).collect();
            (!readable.is_empty()).then_some((described, readable))
        })
    }
}

fn may_read(call: &Call<'_>, of: &TypeDeclaration) -> bool {
    match of.tasks {
        true => services::may_see_tasks(call),
        false => of.is_open() || call.may(&of.name, &of.read_permission),
    }
}

/// The form of actions.md 6.1. `values` are added wherever a vocabulary that does not change is named.
fn declared(entry: &ActionEntry) -> Map<String, Json> {
    let declaration = &entry.declaration;
    let args: Vec<Json> = declaration.args.iter().map(argument).collect();
    let mut declared = Map::new();
    declared.insert("action".into(), declaration.name.as_str().into());
    declared.insert("summary".into(), declaration.summary.as_str().into());
    declared.insert("permission".into(), json!(declaration.permission));
    declared.insert("refusal".into(), json!(declaration.refusal));
    declared.insert("args".into(), args.into());
    declared.insert("touches".into(), json!(declaration.touches));
    declared.insert("answers".into(), json!(declaration.answers));
    declared
}

fn argument(of: &ArgDeclaration) -> Json {
    let mut argument = json!(of);
    if !of.keys.is_empty() {
        argument["keys"] = of.keys.iter().map(self::argument).collect();
    }
    if let Some(values) = of.vocab.as_deref().and_then(vocabulary::values) {
        argument["values"] = json!(values);
    }
    argument
}

/// A body of a PATCH with all that must be sent, made of the examples of the arguments.
fn request(entry: &ActionEntry) -> Json {
    let mut body = Map::new();
    body.insert("action".into(), entry.declaration.name.as_str().into());
    body.extend(sent(&entry.declaration.args));
    Json::Object(body)
}

fn sent(args: &[ArgDeclaration]) -> Map<String, Json> {
    let sent = args.iter().filter_map(|of| {
        let value = match (&of.example, of.kind) {
            (Some(example), _) => example.clone(),
            (None, ArgKind::Map) if !of.keys.is_empty() => Json::Object(sent(&of.keys)),
            (None, _) if of.required => any_value(of)?,
            (None, _) => return None,
        };
        Some((of.name.clone(), value))
    });
    sent.collect()
}

/// A value of an argument that has no example.
fn any_value(of: &ArgDeclaration) -> Option<Json> {
    let of_vocabulary = of.vocab.as_deref().and_then(vocabulary::values);
    let choice = of.choices.first().cloned();
    choice.or_else(|| of_vocabulary?.first().map(|value| Json::from(*value)))
}

/// An executable example as an exchange: the body of the PATCH and the answer to it.
fn exchange(action: &str, example: &ExampleDeclaration, zones: &Zones) -> Json {
    let mut body = Map::new();
    body.insert("action".into(), action.into());
    body.extend(example.args.as_object().cloned().unwrap_or_default());
    let mut exchange = Map::new();
    exchange.insert("name".into(), example.name.as_str().into());
    exchange.extend(
        example
            .before
            .clone()
            .map(|before| ("before".into(), before)),
    );
    exchange.insert("request".into(), body.into());
    exchange.insert("answer".into(), expected(&example.expect));
    render::answered(exchange.into(), zones)
}

fn expected(expect: &Json) -> Json {
    let Some(fault) = expect.get("fault") else {
        let mut answer = json!({"return_code": 0, "message": "success!"});
        if let Some(detail) = expect.get("message") {
            answer["detail"] = detail.clone();
        }
        for (name, value) in expect["extra"].as_object().into_iter().flatten() {
            answer[name] = value.clone();
        }
        return answer;
    };
    let error = match (fault.get("invalid"), fault.get("refused")) {
        (Some(argument), _) => json!({"code": "invalid_value", "argument": argument}),
        (None, Some(code)) => json!({"code": code}),
        (None, None) => json!({"code": "not_found"}),
    };
    let mut answer = json!({"return_code": 1, "error": error});
    if let Some(message) = fault.get("message").or_else(|| fault.get("missing")) {
        answer["message"] = message.clone();
    }
    answer
}

/// An action as the caller may know it.
fn object(call: &Call<'_>, of: &Described, on: &[&TypeDeclaration]) -> Json {
    let name = &of.entry.declaration.name;
    let mut object = of.declared.clone();
    object.insert("types".into(), names(on.iter().copied()).into());
    let allowed = on.iter().copied().filter(|on| may_use(call, of, on));
    object.insert("allowed_on".into(), names(allowed).into());
    object.insert("plugin".into(), of.entry.plugin.as_str().into());
    object.insert("version".into(), of.version.as_str().into());
    object.insert("request".into(), request(&of.entry));
    let examples = of.entry.declaration.examples.iter();
    let zones = call.settings.zones();
    object.insert(
        "examples".into(),
        examples
            .map(|example| exchange(name, example, zones))
            .collect(),
    );
    let uri = format!("{}{name}/", call.path_of(RESOURCE));
    object.insert("resource_uri".into(), uri.into());
    object.into()
}

fn names<'a>(of: impl Iterator<Item = &'a TypeDeclaration>) -> Vec<&'a str> {
    of.map(|of| of.name.as_str()).collect()
}

/// Does the caller hold the flag, or one of those that an argument decides between?
fn may_use(call: &Call<'_>, of: &Described, on: &TypeDeclaration) -> bool {
    match &of.entry.declaration.permission {
        ActionPermission::Flag(flag) => call.may(&on.name, flag),
        ActionPermission::By { map, .. } => map.values().any(|flag| call.may(&on.name, flag)),
    }
}

/// The list of actions: all, those on one type, or those of one name (one for each plugin that has it).
pub(super) fn get(call: &Call<'_>, which: Which<'_>) -> Result<Response, Failure> {
    let (type_name, name, path) = match which {
        Which::All => (None, None, call.path_of(RESOURCE)),
        Which::On(of) => {
            let whole = &call.registry.whole(of).declaration;
            if !may_read(call, whole) {
                return Err(Failure::Forbidden(NO_ACCESS));
            }
            let path = format!("{}{RESOURCE}/", call.path_of(&of.declaration.resource));
            (Some(&whole.name), None, path)
        }
        Which::Named(name) => {
            let path = format!("{}{name}/", call.path_of(RESOURCE));
            (None, Some(name), path)
        }
    };
    let types = call.state.models.of(&call.registry);
    let mut found: Vec<_> = types.actions.visible(call).collect();
    if let Some(type_name) = type_name {
        found
            .iter_mut()
            .for_each(|(_, on)| on.retain(|on| on.name == *type_name));
        found.retain(|(_, on)| !on.is_empty());
    }
    if let Some(name) = name {
        found.retain(|(of, _)| of.entry.declaration.name == name);
        if found.is_empty() {
            return Err(Failure::NotFound);
        }
    }
    let window = query::window(&call.parameters, list::limits(call))?;
    let meta = paging::counted(call, &path, window, found.len() as u64);
    let page = paging::of_all(found, window);
    let objects: Vec<Json> = page.map(|(of, on)| object(call, of, &on)).collect();
    Ok(answer::rendered(
        StatusCode::OK,
        Format::of(&call.parameters),
        &json!({"meta": meta, "objects": objects}),
    ))
}

/// The names, and the declarations in the form of actions.md 6.1, of the actions that the caller may know of.
pub(super) fn category(call: &Call<'_>) -> (Vec<String>, Vec<Json>) {
    let types = call.state.models.of(&call.registry);
    let (mut all, mut declarations) = (BTreeSet::new(), Vec::new());
    for (of, on) in types.actions.visible(call) {
        all.insert(of.entry.declaration.name.clone());
        let mut declared = of.declared.clone();
        declared.insert("types".into(), names(on.into_iter()).into());
        declarations.push(declared.into());
    }
    (all.into_iter().collect(), declarations)
}
