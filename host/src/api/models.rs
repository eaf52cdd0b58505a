//! The fields of each type as queries and answers need them: what every document has, and what the type declares.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::actions::Catalogue;
use crate::access::Collections;
use crate::plugins::Registry;
use crate::plugins::declaration::{FieldDeclaration, FieldKind, TypeDeclaration};
use crate::query::{Field, Kind, Model};

/// What answers need to know of all types of a registry, worked out once for each set of plugins.
pub(super) struct Models {
    current: ArcSwapOption<OfRegistry>,
}

/// The models of one registry.
pub(super) struct OfRegistry {
    registry: Arc<Registry>,
    by_type: HashMap<String, Arc<Model>>,
    /// Type name → (collection, has sources), for the partners of relationships.
    pub(super) collections: Arc<Collections>,
    /// What can be done to objects.
    pub(super) actions: Catalogue,
}

impl Models {
    pub(super) fn new() -> Self {
        Self {
            current: ArcSwapOption::empty(),
        }
    }

    pub(super) fn of(&self, registry: &Arc<Registry>) -> Arc<OfRegistry> {
        if let Some(current) = self
            .current
            .load_full()
            .filter(|current| Arc::ptr_eq(&current.registry, registry))
        {
            return current;
        }
        let fresh = Arc::new(OfRegistry::new(Arc::clone(registry)));
        self.current.store(Some(Arc::clone(&fresh)));
        fresh
    }
}

impl OfRegistry {
    fn new(registry: Arc<Registry>) -> Self {
        let mut by_type = HashMap::new();
        let mut collections = Collections::new();
        for own in registry.own() {
            let of = &own.declaration;
            by_type.insert(of.name.clone(), Arc::new(model(of)));
        }
        for entry in registry.types() {
            let of = &entry.declaration;
            by_type.insert(of.name.clone(), Arc::new(model(of)));
            if of.part_of.is_some() {
                continue;
            }
            collections.insert(of.name.clone(), (of.collection.clone(), of.sources));
        }
        Self {
            actions: Catalogue::new(&registry),
            registry,
            by_type,
            collections: Arc::new(collections),
        }
    }

    /// The fields of a type of this registry.
    pub(super) fn model(&self, of: &TypeDeclaration) -> Arc<Model> {
        self.by_type
            .get(&of.name)
            .cloned()
            .unwrap_or_else(|| Arc::new(model(of)))
    }
}

/// The fields of a type. What a type declares takes precedence over what every type has.
pub(super) fn model(of: &TypeDeclaration) -> Model {
    let mut fields: Vec<Field> = of.fields.iter().map(declared).collect();
    let mut shared = vec![
        Field::new("id", Kind::Id).stored_as("_id").required(),
        Field::new("schema_version", Kind::Int).required(),
    ];
    if of.sources {
        shared.push(source().required());
    }
    if of.top_level {
        shared.extend(of_every_top_level_object());
    }
    shared.push(Field::new("unsupported_attrs", Kind::Map));
    shared.retain(|field| !fields.iter().any(|own| own.stored == field.stored));
    shared.append(&mut fields);
    Model {
        fields: shared,
        top_level: of.top_level,
    }
}

fn declared(field: &FieldDeclaration) -> Field {
    Field {
        name: field.name.clone(),
        stored: field.stored_name().to_owned(),
        kind: kind(field.kind),
        element: element(field),
        fields: field.fields.iter().map(declared).collect(),
        required: field.required,
    }
}

fn element(field: &FieldDeclaration) -> Kind {
    match field.of.as_deref() {
        Some("text" | "string") => Kind::Text,
        Some("int") => Kind::Int,
        Some("num") => Kind::Num,
        Some("bool") => Kind::Bool,
        Some("date") => Kind::Date,
        Some("id") => Kind::Id,
        Some("uuid") => Kind::Uuid,
        Some("binary") => Kind::Binary,
        Some("file") => Kind::File,
        _ if !field.fields.is_empty() => Kind::Map,
        _ => Kind::Any,
    }
}

fn kind(kind: FieldKind) -> Kind {
    match kind {
        FieldKind::Text => Kind::Text,
        FieldKind::Int => Kind::Int,
        FieldKind::Num => Kind::Num,
        FieldKind::Bool => Kind::Bool,
        FieldKind::Date => Kind::Date,
        FieldKind::Id => Kind::Id,
        FieldKind::Uuid => Kind::Uuid,
        FieldKind::Binary => Kind::Binary,
        FieldKind::List => Kind::List,
        FieldKind::Map => Kind::Map,
        FieldKind::Any => Kind::Any,
        FieldKind::File => Kind::File,
    }
}

fn texts(names: &[&str]) -> Vec<Field> {
    names
        .iter()
        .map(|name| Field::new(name, Kind::Text))
        .collect()
}

fn with_dates(names: &[&str], dates: &[&str]) -> Vec<Field> {
    let mut fields = texts(names);
    fields.extend(dates.iter().map(|name| Field::new(name, Kind::Date)));
    fields
}

/// documents.md 2.2.
fn source() -> Field {
    let instances = with_dates(&["analyst", "method", "reference", "tlp"], &["date"]);
    Field::list_with(
        "source",
        vec![
            Field::new("name", Kind::Text),
            Field::list_with("instances", instances),
        ],
    )
}

/// documents.md 2.1 to 2.9, without `source`.
fn of_every_top_level_object() -> Vec<Field> {
    let mut objects = with_dates(&["value", "analyst"], &["date"]);
    objects.push(Field::new("object_type", Kind::Text).stored_as("type"));
    objects.push(source());
    let mut relationships = with_dates(
        &["relationship", "analyst", "rel_reason", "rel_confidence"],
        &["relationship_date", "date"],
    );
    relationships.push(Field::new("object_id", Kind::Id).stored_as("value"));
    relationships.push(Field::new("rel_type", Kind::Text).stored_as("type"));
    let mut releasability = texts(&["name", "analyst"]);
    releasability.push(Field::list_with(
        "instances",
        with_dates(&["analyst", "note"], &["date"]),
    ));
    let mut fields = with_dates(
        &["status", "tlp", "analyst", "description"],
        &["created", "modified"],
    );
    fields.extend([
        Field::list_with(
            "actions",
            with_dates(
                &["action_type", "active", "analyst", "reason"],
                &["begin_date", "date", "end_date", "performed_date"],
            ),
        ),
        Field::list_of("bucket_list", Kind::Text),
        Field::list_with(
            "campaign",
            with_dates(&["analyst", "confidence", "description", "name"], &["date"]),
        ),
        Field::list_with(
            "locations",
            with_dates(
                &[
                    "location_type",
                    "location",
                    "description",
                    "latitude",
                    "longitude",
                    "analyst",
                ],
                &["date"],
            ),
        ),
        Field::list_with("obj", objects).stored_as("objects"),
        Field::list_with("relationships", relationships),
        Field::list_with("releasability", releasability),
        Field::list_of("screenshots", Kind::Text),
        Field::list_of("sectors", Kind::Text),
        Field::list_with(
            "tickets",
            with_dates(&["analyst", "ticket_number"], &["date"]),
        ),
    ]);
    fields
}
