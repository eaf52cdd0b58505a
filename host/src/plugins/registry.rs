//! An immutable set of loaded plugins. A request keeps the set it began with.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::analysis;
use super::declaration::{
    ActionDeclaration, Declaration, FieldDeclaration, FieldKind, ServiceDeclaration,
    TypeDeclaration,
};
use super::own;
use super::runtime::{Code, Limits};
use crate::store::{CollectionSpec, FieldPath, IndexSpec, KeySpec};

/// A type with the plugin that provides it.
#[derive(Debug)]
pub struct TypeEntry {
    /// What the plugin declares.
    pub declaration: Arc<TypeDeclaration>,
    /// Name of the plugin.
    pub plugin: String,
}

/// An action with the plugin that provides it.
#[derive(Debug)]
pub struct ActionEntry {
    /// What the plugin declares.
    pub declaration: Arc<ActionDeclaration>,
    /// Name of the plugin.
    pub plugin: String,
}

/// An analysis service with the plugin that provides it.
#[derive(Debug)]
pub struct ServiceEntry {
    /// What the plugin declares.
    pub declaration: Arc<ServiceDeclaration>,
    /// Name of the plugin.
    pub plugin: String,
    /// What its runs may use.
    pub limits: Limits,
}

/// A plugin that was found good.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says of itself.
    pub declaration: Arc<Declaration>,
    /// The declaration as text, as it is frozen in the file.
    pub text: Arc<str>,
    /// SHA-256 of its file, hex.
    pub sha256: String,
    /// What its calls may use.
    pub limits: Limits,
    /// What the runs of its analysis services may use.
    pub service_limits: Limits,
    /// None in a registry that was made of declarations alone.
    pub(super) code: Option<Arc<Code>>,
}

/// Why two plugins can't serve together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is provided by the plugin `{holder}` already")]
pub struct Conflict {
    /// The plugin that comes later in the order given.
    pub plugin: String,
    /// The one that comes earlier.
    pub holder: String,
    /// What both claim.
    pub what: String,
}

/// Types and actions by name.
#[derive(Debug, Default)]
pub struct Registry {
    types: BTreeMap<String, Arc<TypeEntry>>,
    resources: BTreeMap<String, Arc<TypeEntry>>,
    actions: BTreeMap<String, Vec<Arc<ActionEntry>>>,
    services: BTreeMap<String, Arc<ServiceEntry>>,
    /// The type of the tasks of analysis services.
    tasks: Option<Arc<TypeEntry>>,
    plugins: BTreeMap<String, Arc<Loaded>>,
    /// Resources of the host itself.
    own: Vec<Arc<TypeEntry>>,
    generation: u64,
}

impl Registry {
    /// The set of these plugins. `generation` counts the sets of a server.
    ///
    /// # Errors
    ///
    /// The first conflict, in the order given.
    pub fn of(
        plugins: impl IntoIterator<Item = Arc<Loaded>>,
        generation: u64,
    ) -> Result<Self, Conflict> {
        let mut registry = Self {
            own: own::types(),
            generation,
            ..Self::default()
        };
        for loaded in plugins {
            registry.add(loaded)?;
        }
        registry.add_own_actions();
        registry.check_actions()?;
        Ok(registry)
    }

    /// A set of declarations without code: for documentation and for checks that run nothing.
    ///
    /// # Errors
    ///
    /// The first conflict, in the order given.
    pub fn of_declarations(
        declarations: impl IntoIterator<Item = Declaration>,
    ) -> Result<Self, Conflict> {
        let loaded = |declaration| {
            Arc::new(Loaded {
                declaration: Arc::new(declaration),
                text: "".into(),
                sha256: String::new(),
                limits: Limits::default(),
                service_limits: Limits::OF_SERVICES,
                code: None,
            })
        };
        Self::of(declarations.into_iter().map(loaded), 0)
    }

    fn add(&mut self, loaded: Arc<Loaded>) -> Result<(), Conflict> {
        let plugin = loaded.declaration.name.clone();
        let conflict = |holder: &str, what: String| Conflict {
            plugin: plugin.clone(),
            holder: holder.into(),
            what,
        };
        if plugin == analysis::HOST || self.plugins.contains_key(&plugin) {
            return Err(conflict(&plugin, format!("the name `{plugin}`")));
        }
        for of in &loaded.declaration.types {
            if let Some(holder) = self.types.get(&of.name) {
                return Err(conflict(&holder.plugin, format!("the type `{}`", of.name)));
            }
            if let Some(holder) = self.resources.get(&of.resource) {
                return Err(conflict(
                    &holder.plugin,
                    format!("the resource `{}`", of.resource),
                ));
            }
            if let Some(holder) = self
                .types
                .values()
                .find(|entry| of.part_of.is_none() && entry.declaration.collection == of.collection)
            {
                return Err(conflict(
                    &holder.plugin,
                    format!("the collection `{}`", of.collection),
                ));
            }
            let mut of = of.clone();
            if of.tasks {
                of.args = analysis::claim_arguments();
            }
            let entry = Arc::new(TypeEntry {
                declaration: Arc::new(of.clone()),
                plugin: plugin.clone(),
            });
            if of.tasks {
                if let Some(holder) = &self.tasks {
                    return Err(conflict(&holder.plugin, "the type of tasks".into()));
                }
                self.tasks = Some(entry.clone());
            }
            self.types.insert(of.name.clone(), entry.clone());
            self.resources.insert(of.resource.clone(), entry);
        }
        for action in &loaded.declaration.actions {
            let entry = ActionEntry {
                declaration: Arc::new(action.clone()),
                plugin: plugin.clone(),
            };
            self.actions
                .entry(action.name.clone())
                .or_default()
                .push(Arc::new(entry));
        }
        for service in &loaded.declaration.services {
            if let Some(holder) = self.services.get(&service.name) {
                let what = format!("the service `{}`", service.name);
                return Err(conflict(&holder.plugin, what));
            }
            let entry = ServiceEntry {
                declaration: Arc::new(service.clone()),
                plugin: plugin.clone(),
                limits: loaded.service_limits.lowered(&service.limits),
            };
            self.services.insert(service.name.clone(), Arc::new(entry));
        }
        self.plugins.insert(plugin, loaded);
        Ok(())
    }

    /// What the host itself does with tasks, where there are any.
    fn add_own_actions(&mut self) {
        let Some(tasks) = &self.tasks else { return };
        for action in analysis::actions(&tasks.declaration.name) {
            let entry = ActionEntry {
                declaration: Arc::new(action.clone()),
                plugin: analysis::HOST.to_owned(),
            };
            self.actions
                .entry(action.name)
                .or_default()
                .push(Arc::new(entry));
        }
    }

    /// No two actions of one name are for the same type, unless one names the type and the other is for all (rule P7a).
    fn check_actions(&self) -> Result<(), Conflict> {
        for (name, entries) in &self.actions {
            for (place, later) in entries.iter().enumerate() {
                for earlier in &entries[..place] {
                    if let Some(type_name) =
                        self.contested(&earlier.declaration, &later.declaration)
                    {
                        let what = format!("the action `{name}` on `{type_name}`");
                        return Err(Conflict {
                            plugin: later.plugin.clone(),
                            holder: earlier.plugin.clone(),
                            what,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn contested(&self, one: &ActionDeclaration, other: &ActionDeclaration) -> Option<String> {
        let named = one
            .on
            .iter()
            .filter(|pattern| *pattern != "*" && !pattern.starts_with('-'));
        if let Some(both) = named
            .into_iter()
            .find(|pattern| other.is_specific_to(pattern))
        {
            return Some(both.clone());
        }
        let all = |action: &ActionDeclaration| action.on.iter().any(|pattern| pattern == "*");
        if !all(one) || !all(other) {
            return None;
        }
        if self.types.is_empty() {
            return Some("*".into());
        }
        self.types
            .keys()
            .find(|name| one.applies_to(name) && other.applies_to(name))
            .cloned()
    }

    /// All types by name.
    pub fn types(&self) -> impl Iterator<Item = &Arc<TypeEntry>> {
        self.types.values()
    }

    /// Resources of the host itself, which are no types of objects.
    pub fn own(&self) -> impl Iterator<Item = &Arc<TypeEntry>> {
        self.own.iter()
    }

    /// All actions by name, every declaration.
    pub fn actions(&self) -> impl Iterator<Item = &Arc<ActionEntry>> {
        self.actions.values().flatten()
    }

    /// All analysis services by name.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceEntry>> {
        self.services.values()
    }

    /// An analysis service by name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Arc<ServiceEntry>> {
        self.services.get(name)
    }

    /// The type of the tasks of analysis services.
    #[must_use]
    pub fn tasks(&self) -> Option<&Arc<TypeEntry>> {
        self.tasks.as_ref()
    }

    /// All plugins by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Loaded>> {
        self.plugins.values()
    }

    /// A plugin by name; by its own name the host, which provides the actions on tasks.
    #[must_use]
    pub fn plugin(&self, name: &str) -> Option<&Arc<Loaded>> {
        match name {
            analysis::HOST => Some(analysis::host()),
            _ => self.plugins.get(name),
        }
    }

    /// Which set this is: grows by one with every change since the server's start.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A type by its exact name.
    #[must_use]
    pub fn type_named(&self, name: &str) -> Option<&Arc<TypeEntry>> {
        self.types.get(name)
    }

    /// A type as clients name it: exact, any case, or by resource (vocabulary.md section 15). What is only part of a type
    /// is none.
    #[must_use]
    pub fn type_as_written(&self, name: &str) -> Option<&Arc<TypeEntry>> {
        let is_named = |entry: &&Arc<TypeEntry>| {
            entry.declaration.name.eq_ignore_ascii_case(name)
                || entry.declaration.resource.eq_ignore_ascii_case(name)
        };
        let of_its_own = |entry: &&Arc<TypeEntry>| entry.declaration.part_of.is_none();
        let exact = self.types.get(name);
        exact
            .or_else(|| self.types.values().find(is_named))
            .filter(of_its_own)
    }

    /// The type whose documents a resource is about: the resource's own, or the one that it is a part of.
    #[must_use]
    pub fn whole<'a>(&'a self, entry: &'a TypeEntry) -> &'a TypeEntry {
        let whole = entry.declaration.part_of.as_ref();
        whole
            .and_then(|name| self.types.get(name))
            .map_or(entry, |whole| whole.as_ref())
    }

    /// The type behind a resource of the URL.
    #[must_use]
    pub fn resource(&self, resource: &str) -> Option<&Arc<TypeEntry>> {
        let own = || {
            let mut own = self.own.iter();
            own.find(|own| own.declaration.resource == resource)
        };
        self.resources.get(resource).or_else(own)
    }

    /// All declarations of an action name, whatever types they are for.
    #[must_use]
    pub fn actions_named(&self, name: &str) -> &[Arc<ActionEntry>] {
        self.actions.get(name).map_or(&[], Vec::as_slice)
    }

    /// The action of this name for this type: one for this type alone first, then a common one (rules P7a, ACT-2).
    #[must_use]
    pub fn action(&self, type_name: &str, name: &str) -> Option<&Arc<ActionEntry>> {
        let candidates = self.actions_named(name);
        // What is meant for objects is not for tasks.
        let is_task = self
            .tasks
            .as_ref()
            .is_some_and(|tasks| tasks.declaration.name == type_name);
        candidates
            .iter()
            .find(|entry| entry.declaration.is_specific_to(type_name))
            .or_else(|| {
                candidates
                    .iter()
                    .find(|entry| !is_task && entry.declaration.applies_to(type_name))
            })
    }

    /// What the store must know before this set may serve: the types' collections with their keys and indexes
    /// (documents.md section 7), and the collections that the host itself writes for every type.
    #[must_use]
    pub fn collection_specs(&self) -> Vec<CollectionSpec> {
        let own = self
            .types
            .values()
            .filter(|entry| entry.declaration.part_of.is_none());
        super::work::collections()
            .into_iter()
            .chain([super::perform::once::collection()])
            .chain(own.map(|entry| collection_of(&entry.declaration)))
            .collect()
    }
}

fn plain(path: FieldPath) -> IndexSpec {
    IndexSpec {
        path,
        sortable: false,
        searchable: false,
    }
}

fn collection_of(of: &TypeDeclaration) -> CollectionSpec {
    let keys = of.keys.iter().filter_map(|key| {
        let fields = key
            .iter()
            .map(|field| FieldPath::parse(field).ok())
            .collect::<Option<Vec<_>>>()?;
        Some(KeySpec { fields })
    });
    let mut indexes = Vec::new();
    add_declared(&mut indexes, "", &of.fields);
    if of.top_level {
        for path in ["created", "modified", "status"] {
            add(
                &mut indexes,
                IndexSpec {
                    path: FieldPath::literal(path),
                    sortable: true,
                    searchable: false,
                },
            );
        }
        for path in [
            "campaign.name",
            "bucket_list",
            "relationships.value",
            "objects.value",
            "tickets.ticket_number",
        ] {
            add(&mut indexes, plain(FieldPath::literal(path)));
        }
    }
    if of.sources {
        add(&mut indexes, plain(FieldPath::literal("source.name")));
    }
    if let Some(path) = of
        .lookup
        .as_ref()
        .and_then(|lookup| FieldPath::parse(lookup).ok())
    {
        add(&mut indexes, plain(path));
    }
    CollectionSpec {
        name: of.collection.clone(),
        classed: of.sources,
        administrative: false,
        keys: keys.collect(),
        indexes,
    }
}

fn add_declared(indexes: &mut Vec<IndexSpec>, prefix: &str, fields: &[FieldDeclaration]) {
    for field in fields {
        let path = format!("{prefix}{}", field.stored_name());
        // A file that nobody refers to is found by its id (`janitor`).
        let is_file = field.kind == FieldKind::File;
        if (is_file || field.indexed || field.sortable || field.searchable)
            && let Ok(path) = FieldPath::parse(&path)
        {
            add(
                indexes,
                IndexSpec {
                    path,
                    sortable: field.sortable,
                    searchable: field.searchable,
                },
            );
        }
        add_declared(indexes, &format!("{path}."), &field.fields);
    }
}

/// One index a path, able to do all that was asked of it.
fn add(indexes: &mut Vec<IndexSpec>, index: IndexSpec) {
    match indexes.iter_mut().find(|known| known.path == index.path) {
        Some(known) => {
            known.sortable |= index.sortable;
            known.searchable |= index.searchable;
        }
        None => indexes.push(index),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plugin(name: &str, types: &serde_json::Value, actions: &serde_json::Value) -> Declaration {
        let text = json!({"format": 1, "contract": "1.0", "name": name, "version": "1.0.0", "summary": "", "types": types, "actions": actions});
        Declaration::read(&text.to_string()).unwrap()
    }

    fn of(name: &str, resource: &str, collection: &str) -> serde_json::Value {
        json!([{"name": name, "resource": resource, "collection": collection, "sources": true, "keys": [["name"]],
            "fields": [{"name": "name", "kind": "text", "sortable": true, "indexed": true}, {"name": "status", "kind": "text", "searchable": true},
                {"name": "parts", "kind": "list", "of": "map", "fields": [{"name": "at", "kind": "date", "indexed": true}]}],
            "args": []}])
    }

    fn action(name: &str, on: &[&str]) -> serde_json::Value {
        json!([{"name": name, "on": on, "permission": "write", "args": []}])
    }

    #[test]
    fn what_two_plugins_claim_is_named() {
        let none = json!([]);
        let ours = plugin("ours", &of("Event", "events", "events"), &none);
        for (theirs, sentence) in [
            (
                plugin("theirs", &of("Event", "happenings", "happenings"), &none),
                "the type `Event` is provided by the plugin `ours` already",
            ),
            (
                plugin("theirs", &of("Party", "events", "happenings"), &none),
                "the resource `events` is provided by the plugin `ours` already",
            ),
            (
                plugin("theirs", &of("Party", "parties", "events"), &none),
                "the collection `events` is provided by the plugin `ours` already",
            ),
            (
                plugin("ours", &none, &none),
                "the name `ours` is provided by the plugin `ours` already",
            ),
        ] {
            let conflict = Registry::of_declarations([ours.clone(), theirs]).unwrap_err();
            assert_eq!(conflict.to_string(), sentence);
        }
    }

    #[test]
    fn p7a_a_specific_action_stands_beside_a_common_one() {
        let ours = |on: &[&str]| {
            plugin(
                "ours",
                &of("Event", "events", "events"),
                &action("mark", on),
            )
        };
        let theirs = |on: &[&str]| plugin("theirs", &json!([]), &action("mark", on));
        let registry = Registry::of_declarations([ours(&["Event"]), theirs(&["*"])]).unwrap();
        assert_eq!(registry.action("Event", "mark").unwrap().plugin, "ours");
        assert_eq!(registry.action("Domain", "mark").unwrap().plugin, "theirs");
        assert!(Registry::of_declarations([ours(&["*", "-Event"]), theirs(&["*"])]).is_ok());
        let conflict = Registry::of_declarations([ours(&["*"]), theirs(&["*"])]).unwrap_err();
        assert_eq!(
            conflict.to_string(),
            "the action `mark` on `Event` is provided by the plugin `ours` already"
        );
        let conflict =
            Registry::of_declarations([ours(&["Party"]), theirs(&["Party"])]).unwrap_err();
        assert_eq!(
            conflict.to_string(),
            "the action `mark` on `Party` is provided by the plugin `ours` already"
        );
    }

    #[test]
    fn the_store_learns_keys_and_indexes() {
        let registry = Registry::of_declarations([plugin(
            "ours",
            &of("Event", "events", "events"),
            &json!([]),
        )])
        .unwrap();
        let specs = registry.collection_specs();
        let names: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "bucket_lists",
                "sector_lists",
                "audit_log",
                "notifications",
                "request_keys",
                "events"
            ]
        );
        let events = &specs[5];
        assert!(events.classed && !events.administrative);
        assert_eq!(
            events.keys,
            [KeySpec {
                fields: vec![FieldPath::literal("name")]
            }]
        );
        let shown: Vec<_> = events
            .indexes
            .iter()
            .map(|index| (index.path.as_str(), index.sortable, index.searchable))
            .collect();
        assert_eq!(
            shown,
            [
                ("name", true, false),
                ("status", true, true),
                ("parts.at", false, false),
                ("created", true, false),
                ("modified", true, false),
                ("campaign.name", false, false),
                ("bucket_list", false, false),
                ("relationships.value", false, false),
                ("objects.value", false, false),
                ("tickets.ticket_number", false, false),
                ("source.name", false, false),
            ]
        );
    }
}
