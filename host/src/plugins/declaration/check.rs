//! What a declaration must be, beyond its form: names, references from one part to another, closed sets.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ActionDeclaration, ActionPermission, ArgDeclaration, ArgKind, Declaration, FieldDeclaration,
    FieldKind, PermissionCheck, ServiceDeclaration, TypeDeclaration,
};
use crate::plugins::arguments::ACTIVE;
use crate::plugins::perform::OWN_KEYS;
use crate::plugins::runtime::limits::{check_limit, check_service_limit};
use crate::store::FieldPath;
use crate::vocabulary;

/// The versions of the contract that this server offers, the newest last.
const CONTRACTS: [&str; 2] = ["1.0", "1.1"];
/// Names that the host supplies and no plugin may declare (rule ACT-9).
const SUPPLIED: [&str; 3] = ["id_", "type_", "user"];
/// Groups of shared create arguments.
const SHARED: [&str; 7] = [
    "source",
    "campaign",
    "bucket_list",
    "ticket",
    "status",
    "sectors",
    "related",
];
/// Database-managed sets that `vocab` may name, besides the vocabularies.
const MANAGED: [&str; 8] = [
    "TLP",
    "registered-sources",
    "sources",
    "writable-sources",
    "identifier-types",
    "raw-data-types",
    "signature-types",
    "action-types",
];
/// Collections that are not for documents of plugins.
const RESERVED: [&str; 18] = [
    "users",
    "roles",
    "source_access",
    "config",
    "settings",
    "public_suffix_lists",
    "raw_data_types",
    "signature_types",
    "signature_dependency",
    "actor_threat_identifiers",
    "idb_actions",
    "locations",
    "audit_log",
    "bucket_lists",
    "sector_lists",
    "notifications",
    "effective_tlds",
    "services",
];

/// Resources, and the name of the type behind one, that are the host's own.
const OWN_RESOURCES: [&str; 4] = ["actions", "audit", "notifications", "vocab"];
const OWN_TYPES: [&str; 2] = ["AuditEntry", "Notification"];

/// Everything that is wrong, a sentence each.
pub(super) fn problems(declaration: &Declaration) -> Vec<String> {
    let mut found = Found::default();
    if declaration.format != 1 {
        found.add(format!(
            "`format` is {}; this server reads 1",
            declaration.format
        ));
    }
    if !CONTRACTS.contains(&declaration.contract.as_str()) {
        found.add(format!(
            "it was built for contract {}; this server offers {}",
            declaration.contract,
            CONTRACTS.join(", ")
        ));
    }
    if !is_plugin_name(&declaration.name) {
        found.add(format!("`{}` is no plugin name: lower-case letters, digits, `_` and `-`, at most 64, a letter first", declaration.name));
    }
    for (name, value) in &declaration.limits {
        if let Err(reason) = check_limit(name, *value) {
            found.add(format!("`limits`: {reason}"));
        }
    }
    for capability in declaration.needs.keys() {
        check_touch(&mut found, "`needs`", capability);
    }
    unique(
        &mut found,
        "the type",
        declaration.types.iter().map(|of| of.name.as_str()),
    );
    unique(
        &mut found,
        "the resource",
        declaration.types.iter().map(|of| of.resource.as_str()),
    );
    unique(
        &mut found,
        "the collection",
        declaration
            .types
            .iter()
            .filter(|of| of.part_of.is_none())
            .map(|of| of.collection.as_str()),
    );
    for of in &declaration.types {
        found.within(format!("type `{}`", of.name), |found| {
            check_type(found, of);
            check_part(found, of, &declaration.types);
        });
    }
    let mut claimed: BTreeMap<(&str, &str), ()> = BTreeMap::new();
    for action in &declaration.actions {
        for pattern in &action.on {
            if claimed.insert((&action.name, pattern), ()).is_some() {
                found.add(format!(
                    "the action `{}` is declared twice for `{pattern}`",
                    action.name
                ));
            }
        }
        found.within(format!("action `{}`", action.name), |found| {
            check_action(found, action)
        });
    }
    unique(
        &mut found,
        "the service",
        declaration
            .services
            .iter()
            .map(|service| service.name.as_str()),
    );
    for service in &declaration.services {
        found.within(format!("service `{}`", service.name), |found| {
            check_service(found, service)
        });
    }
    found.sentences
}

#[derive(Default)]
struct Found {
    place: Vec<String>,
    sentences: Vec<String>,
}

impl Found {
    fn add(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        self.sentences.push(if self.place.is_empty() {
            sentence
        } else {
            format!("{}: {sentence}", self.place.join(", "))
        });
    }

    fn within(&mut self, place: String, check: impl FnOnce(&mut Self)) {
        self.place.push(place);
        check(self);
        self.place.pop();
    }
}

fn is_word(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && characters.all(|other| other.is_ascii_alphanumeric() || other == '_')
        && text.len() <= 64
}

/// Also the form of names in manifests.
pub(crate) fn is_plugin_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase())
        && characters.all(|other| {
            other.is_ascii_lowercase() || other.is_ascii_digit() || matches!(other, '_' | '-')
        })
        && text.len() <= 64
}

fn is_snake(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .chars()
            .all(|other| other.is_ascii_lowercase() || other == '_')
}

fn unique<'a>(found: &mut Found, what: &str, names: impl Iterator<Item = &'a str>) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            found.add(format!("{what} `{name}` is declared twice"));
        }
    }
}

fn check_type(found: &mut Found, of: &TypeDeclaration) {
    if !is_word(&of.name) {
        found.add("the name is no word of letters, digits and `_`");
    }
    if !is_snake(&of.resource) {
        found.add(format!(
            "the resource `{}` is not made of lower-case letters and `_`",
            of.resource
        ));
    }
    if OWN_RESOURCES.contains(&of.resource.as_str()) {
        found.add(format!(
            "the resource `{}` is the server's own",
            of.resource
        ));
    }
    if OWN_TYPES.contains(&of.name.as_str()) {
        found.add(format!("the type `{}` is the server's own", of.name));
    }
    let collection = of.collection.as_str();
    let legal = collection.starts_with(|first: char| first.is_ascii_lowercase())
        && collection.chars().all(|other| {
            other.is_ascii_lowercase() || other.is_ascii_digit() || matches!(other, '_' | '.')
        });
    if of.part_of.is_none()
        && (!legal || RESERVED.contains(&collection) || collection.starts_with("system."))
    {
        found.add(format!("the collection `{collection}` can't be a type's"));
    }
    for method in &of.methods {
        if !["GET", "POST", "PATCH"].contains(&method.as_str()) {
            found.add(format!("there is no method `{method}`"));
        }
    }
    for group in &of.shared {
        if !SHARED.contains(&group.as_str()) {
            found.add(format!("`shared`: there is no group `{group}`"));
        }
    }
    if of.shared.iter().any(|group| group == "source") && !of.sources {
        found.add("`shared` has `source`, but the type has no sources");
    }
    check_permission(found, of);
    if !of.read_permission.is_empty() {
        check_flag(found, &of.read_permission);
    }
    if of.author_source && (!of.sources || of.shared.iter().any(|group| group == "source")) {
        found.add("`author_source` is for types with sources that `shared` does not have");
    }
    for keys in [
        &of.answer_keys.success,
        &of.answer_keys.failure,
        &of.answer_keys.forbidden,
    ] {
        for own in OWN_KEYS.iter().filter(|own| keys.contains_key(**own)) {
            found.add(format!("`answer_keys`: `{own}` is answered by the host"));
        }
    }
    check_fields(found, &of.fields);
    let stored: BTreeSet<&str> = of
        .fields
        .iter()
        .map(FieldDeclaration::stored_name)
        .collect();
    for field in ["_id", "schema_version"] {
        if stored.contains(field) {
            found.add(format!("the field `{field}` is kept by the host"));
        }
    }
    for key in &of.keys {
        if key.is_empty() {
            found.add("a key without fields");
        }
        for field in key {
            if !stored.contains(field.as_str()) {
                found.add(format!(
                    "a key names the field `{field}`, which is not declared"
                ));
            }
        }
    }
    if let Some(lookup) = &of.lookup
        && !stored.contains(lookup.as_str())
    {
        found.add(format!(
            "`lookup` names the field `{lookup}`, which is not declared"
        ));
    }
    check_args(found, &of.args);
    for capability in &of.touches {
        check_touch(found, "`touches`", capability);
    }
}

/// `{NAME}` in a permission is a required argument of kind `type`, which is known only when arguments are. A plugin that
/// asks for the permission itself may also answer itself that the argument is missing.
fn check_permission(found: &mut Found, of: &TypeDeclaration) {
    let Some((before, after)) = of.permission.split_once('{') else {
        return check_flag(found, &of.permission);
    };
    let Some((name, flag)) = after.split_once("}.") else {
        return check_flag(found, &of.permission);
    };
    let is_within = of.permission_check == PermissionCheck::Within;
    let is_type = |arg: &&ArgDeclaration| {
        arg.name == name && arg.kind == ArgKind::Type && (arg.required || is_within)
    };
    if !before.is_empty() || !is_word(flag) || !of.args.iter().any(|arg| is_type(&arg)) {
        found.add(format!(
            "`{}` is no permission: `{{NAME}}.flag` names a required argument of kind `type`",
            of.permission
        ));
    }
    if of.permission_check == PermissionCheck::First {
        found.add("the permission depends on an argument, so it can't be checked first");
    }
}

/// What is part of another type has nothing of its own but arguments.
fn check_part(found: &mut Found, of: &TypeDeclaration, types: &[TypeDeclaration]) {
    let Some(whole) = &of.part_of else { return };
    if !types
        .iter()
        .any(|other| other.name == *whole && other.part_of.is_none())
    {
        found.add(format!(
            "`part_of` names `{whole}`, which is no type of this plugin"
        ));
    }
    let own = of.sources
        || of.top_level
        || of.author_source
        || !of.collection.is_empty()
        || !of.fields.is_empty()
        || !of.keys.is_empty()
        || of.lookup.is_some()
        || of.family.is_some()
        || !of.shared.is_empty();
    if own {
        found.add("is part of another type, so it has no collection, fields, keys, sources or shared arguments");
    }
    if of.methods != ["POST"] {
        found.add("is part of another type, so its only method is POST");
    }
}

fn check_fields(found: &mut Found, fields: &[FieldDeclaration]) {
    unique(
        found,
        "the field",
        fields.iter().map(|field| field.name.as_str()),
    );
    unique(
        found,
        "the stored field",
        fields.iter().map(FieldDeclaration::stored_name),
    );
    for field in fields {
        found.within(format!("field `{}`", field.name), |found| {
            for name in [field.name.as_str(), field.stored_name()] {
                if FieldPath::parse(name).is_err() || name.contains('.') {
                    found.add(format!("`{name}` is no field name"));
                }
            }
            check_vocabulary(found, field.vocab.as_deref());
            let embeds = field.of.as_deref() == Some("map")
                || matches!(field.kind, FieldKind::Map | FieldKind::Any);
            if !field.fields.is_empty() && !embeds {
                found.add("has fields, but is no embedded document or list of them");
            }
            if field.of.is_some() && field.kind != FieldKind::List {
                found.add("`of` is for lists");
            }
            if let Some(of) = &field.of {
                let known = [
                    "text", "int", "num", "bool", "date", "id", "uuid", "binary", "list", "map",
                    "any", "file",
                ];
                if !known.contains(&of.as_str()) {
                    found.add(format!("there is no kind `{of}`"));
                }
            }
            if field.bucket.is_some()
                && !matches!(
                    field.kind,
                    FieldKind::File | FieldKind::Id | FieldKind::Text
                )
            {
                found.add("has a bucket, but can't refer to a file");
            }
            check_fields(found, &field.fields);
        });
    }
}

fn check_action(found: &mut Found, action: &ActionDeclaration) {
    if !is_word(&action.name) {
        found.add("the name is no word of letters, digits and `_`");
    }
    if action.on.is_empty() {
        found.add("`on` is empty");
    }
    for pattern in &action.on {
        if pattern != "*" && !is_word(pattern.strip_prefix('-').unwrap_or(pattern)) {
            found.add(format!("`on`: `{pattern}` is no type"));
        }
    }
    match &action.permission {
        ActionPermission::Flag(flag) => check_flag(found, flag),
        ActionPermission::By { by, map, .. } => {
            if !action.args.iter().any(|arg| arg.name == *by) {
                found.add(format!(
                    "the permission depends on the argument `{by}`, which is not declared"
                ));
            }
            if map.is_empty() {
                found.add("the permission depends on an argument, but names no flag");
            }
            map.values().for_each(|flag| check_flag(found, flag));
        }
    }
    check_args(found, &action.args);
    for capability in &action.touches {
        check_touch(found, "`touches`", capability);
    }
}

/// Rules SVC-1 to SVC-4.
fn check_service(found: &mut Found, service: &ServiceDeclaration) {
    if !is_word(&service.name) {
        found.add("the name is no word of letters, digits and `_`");
    }
    if !is_service_version(&service.version) {
        found.add(format!(
            "`{}` is no version of a service: N.N or N.N.N, perhaps followed by a or b and a number",
            service.version
        ));
    }
    for pattern in &service.on {
        if !is_pattern_of_types(pattern) {
            found.add(format!("`on`: `{pattern}` is no type"));
        }
    }
    for field in &service.requires {
        if FieldPath::parse(field).is_err() || field.contains('.') {
            found.add(format!("`requires`: `{field}` is no field name"));
        }
    }
    let options = service.options.iter().map(|option| &option.declared);
    check_args(found, &options.clone().cloned().collect::<Vec<_>>());
    for option in options {
        found.within(format!("option `{}`", option.name), |found| {
            if !matches!(option.scope.as_deref(), None | Some("stored" | "runtime")) {
                found.add("`scope` is `stored` or `runtime`");
            }
            if option.secret && option.scope.as_deref() != Some("stored") {
                found.add("a secret has the scope `stored`");
            }
            if option.kind == ArgKind::File {
                found.add("an option can be no file");
            }
            let managed = option.vocab.as_deref();
            if managed.is_some_and(|name| vocabulary::values(name).is_none()) {
                found.add("`vocab` of an option is one of the closed vocabularies");
            }
        });
    }
    for (name, value) in &service.limits {
        if let Err(reason) = check_service_limit(name, *value) {
            found.add(format!("`limits`: {reason}"));
        }
    }
    for capability in &service.touches {
        check_touch(found, "`touches`", capability);
        if capability.starts_with("self.") && capability != "self.relationships" {
            found.add(format!(
                "`touches`: `{capability}`, but a service only creates and relates"
            ));
        }
    }
}

/// `*`, `all`, `Sample` or `-Sample`.
pub(crate) fn is_pattern_of_types(pattern: &str) -> bool {
    matches!(pattern, "*" | "all") || is_word(pattern.strip_prefix('-').unwrap_or(pattern))
}

/// N.N or N.N.N, perhaps followed by a or b and a number (actions.md 8.1).
pub(crate) fn is_service_version(text: &str) -> bool {
    let end = text.find(['a', 'b']).unwrap_or(text.len());
    let (numbers, suffix) = text.split_at(end);
    let is_number = |part: &str| {
        !part.is_empty() && part.len() <= 9 && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let parts: Vec<&str> = numbers.split('.').collect();
    matches!(parts.len(), 2 | 3)
        && parts.iter().all(|part| is_number(part))
        && (suffix.len() <= 1 || is_number(&suffix[1..]))
}

/// Names within one list of arguments or keys, synonyms included, are different.
fn check_args(found: &mut Found, args: &[ArgDeclaration]) {
    let names = args
        .iter()
        .flat_map(|arg| std::iter::once(&arg.name).chain(&arg.synonyms));
    unique(found, "the argument", names.map(String::as_str));
    for arg in args {
        found.within(format!("argument `{}`", arg.name), |found| {
            check_arg(found, arg)
        });
    }
}

fn check_arg(found: &mut Found, arg: &ArgDeclaration) {
    for name in std::iter::once(&arg.name).chain(&arg.synonyms) {
        if SUPPLIED.contains(&name.as_str()) {
            found.add(format!("`{name}` is supplied by the host (id_, type_ and user always are) and can't be declared"));
        } else if !is_word(name) {
            found.add(format!("`{name}` is no word of letters, digits and `_`"));
        }
    }
    check_vocabulary(found, arg.vocab.as_deref());
    if arg.required && arg.default.is_some() {
        found.add("is required and has a default");
    }
    if arg.empty.is_some() && !matches!(arg.kind, ArgKind::Date | ArgKind::Ldate) {
        found.add("`empty` is for dates");
    }
    if arg.of.is_some() && arg.kind != ArgKind::List {
        found.add("`of` is for lists");
    }
    if let Some(of) = arg.of
        && !matches!(
            of,
            ArgKind::String | ArgKind::Text | ArgKind::Int | ArgKind::Id | ArgKind::Map
        )
    {
        found.add("a list can be of string, text, int, id or map");
    }
    let has_maps = arg.kind == ArgKind::Map || arg.of == Some(ArgKind::Map);
    if !arg.keys.is_empty() && !has_maps {
        found.add("has keys, but is no map or list of maps");
    }
    if arg
        .keys
        .iter()
        .any(|key| matches!(key.kind, ArgKind::Map | ArgKind::File))
    {
        found.add("a key can be no map and no file");
    }
    check_args(found, &arg.keys);
}

fn check_vocabulary(found: &mut Found, name: Option<&str>) {
    let Some(name) = name else { return };
    let active = name.strip_prefix(ACTIVE).is_some_and(|of| !of.is_empty());
    if !active && !MANAGED.contains(&name) && vocabulary::values(name).is_none() {
        found.add(format!("there is no vocabulary `{name}`"));
    }
}

/// `flag`, or `Type.flag`.
fn check_flag(found: &mut Found, flag: &str) {
    let (of, name) = flag.split_once('.').unwrap_or(("Type", flag));
    if !is_word(of) || !is_word(name) {
        found.add(format!(
            "`{flag}` is no permission: `flag` of the document's type, or `Type.flag`"
        ));
    }
}

fn check_touch(found: &mut Found, place: &str, capability: &str) {
    let path = |text: &str| !text.is_empty() && FieldPath::parse(text).is_ok();
    let legal = match capability.split_once(['.', ':']) {
        Some(("self", field)) if capability.starts_with("self.") => path(field),
        Some(("other", of)) if capability.starts_with("other:") => of == "*" || is_word(of),
        Some(("create", of)) if capability.starts_with("create:") => is_word(of),
        Some(("registry", set)) if capability.starts_with("registry:") => {
            !set.is_empty()
                && set
                    .chars()
                    .all(|other| other.is_ascii_lowercase() || other == '-')
        }
        _ => false,
    };
    if !legal {
        found.add(format!(
            "{place}: `{capability}` is none of self.FIELD, other:TYPE, create:TYPE, registry:SET"
        ));
    }
}
