//! Records of analysis services: which there are, on which objects they may run, how an operator has set them up
//! (actions.md 8.1).
//!
//! Those of plugins are made and refreshed whenever plugins are loaded; those of external services are an operator's.

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use serde_json::{Map, Value as Json};

use crate::access::SERVICES;
use crate::access::records::{self, AdminError, AdminResult, truth};
use crate::dates::{self, Zones};
use crate::plugins::arguments;
use crate::plugins::declaration::{ServiceDeclaration, ServiceOption};
use crate::plugins::registry::Registry;
use crate::plugins::value::{Arg, bson_to_json, json_to_bson};
use crate::store::{FieldPath, Op, Store, StoreError};

/// What stands for all types in a record (rule SVC-2).
pub(super) const ALL: &str = "all";
/// So often a task is claimed at most, if the record does not say.
pub(super) const ATTEMPTS: i64 = 3;
/// How a secret is shown.
const HIDDEN: &str = "********";

/// Where a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In a plugin.
    Internal,
    /// Elsewhere: workers claim its tasks.
    External,
}

impl Kind {
    /// As records and answers have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
        }
    }
}

/// Whether a service can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It can.
    Available,
    /// Its options are not as it needs them.
    Misconfigured,
    /// Its plugin is not there.
    Unavailable,
}

impl Status {
    /// As records and answers have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Misconfigured => "misconfigured",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A record, read.
#[derive(Debug, Clone)]
pub struct Record {
    /// `_id`.
    pub id: ObjectId,
    /// Unique.
    pub name: String,
    /// `N.N` or `N.N.N`.
    pub version: String,
    /// For users.
    pub description: String,
    /// Where it runs.
    pub kind: Kind,
    /// Types of objects as [`ServiceDeclaration::on`] has them.
    pub supported_types: Vec<String>,
    /// Stored fields that an object must have.
    pub required_fields: Vec<String>,
    /// The operator's options, secrets included.
    pub config: Map<String, Json>,
    /// Options that there are.
    pub options: Vec<ServiceOption>,
    /// Switched on.
    pub enabled: bool,
    /// Runs on new objects (create.md 3.1).
    pub run_on_triage: bool,
    /// Whether it can be used.
    pub status: Status,
    /// Kept for whoever shows its results.
    pub template: Option<String>,
    /// So often a task is claimed at most (rule SVC-27).
    pub max_attempts: i64,
}

impl Record {
    /// Reads a record, also one of the original's.
    #[must_use]
    pub fn read(body: &Document) -> Option<Self> {
        let text = |name: &str| body.get_str(name).unwrap_or_default().to_owned();
        let texts = |name: &str| -> Option<Vec<String>> {
            let list = body.get_array(name).ok()?;
            Some(
                list.iter()
                    .filter_map(Bson::as_str)
                    .map(str::to_owned)
                    .collect(),
            )
        };
        let is_on = |name: &str| body.get(name).is_some_and(truth);
        let config = match body.get("config").map(bson_to_json) {
            Some(Json::Object(config)) => config,
            _ => Map::new(),
        };
        let options = body.get("options").map(bson_to_json).unwrap_or_default();
        Some(Self {
            id: body.get_object_id("_id").ok()?,
            name: body.get_str("name").ok()?.to_owned(),
            version: text("version"),
            description: text("description"),
            kind: match body.get_str("kind") {
                Ok("external") => Kind::External,
                _ => Kind::Internal,
            },
            supported_types: texts("supported_types").unwrap_or_else(|| vec![ALL.to_owned()]),
            required_fields: texts("required_fields").unwrap_or_default(),
            config,
            options: serde_json::from_value(options).unwrap_or_default(),
            enabled: is_on("enabled"),
            run_on_triage: is_on("run_on_triage"),
            status: match body.get_str("status") {
                Ok("available") => Status::Available,
                Ok("misconfigured") => Status::Misconfigured,
                _ => Status::Unavailable,
            },
            template: body.get_str("template").ok().map(str::to_owned),
            max_attempts: body
                .get("max_attempts")
                .and_then(|number| match number {
                    Bson::Int32(number) => Some(i64::from(*number)),
                    Bson::Int64(number) => Some(*number),
                    _ => None,
                })
                .unwrap_or(ATTEMPTS),
        })
    }

    /// May it be run at all?
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.enabled && self.status == Status::Available
    }

    /// Rule SVC-2: does it analyse objects of this type?
    #[must_use]
    pub fn supports(&self, type_name: &str) -> bool {
        let all = |pattern: &String| matches!(pattern.as_str(), "*" | ALL);
        let is_left_out = |pattern: &String| pattern.strip_prefix('-') == Some(type_name);
        !self.supported_types.iter().any(is_left_out)
            && self
                .supported_types
                .iter()
                .any(|pattern| all(pattern) || pattern == type_name)
    }

    /// The options of a run: defaults, overlaid by what the operator stored, overlaid by what was sent (rule SVC-4).
    ///
    /// # Errors
    ///
    /// A sentence that names the option.
    pub fn effective(
        &self,
        registry: &Registry,
        zones: &Zones,
        sent: &Map<String, Json>,
    ) -> Result<Vec<Arg>, String> {
        for name in sent.keys() {
            let known = self
                .options
                .iter()
                .any(|option| option.declared.name == *name && option.is_for_runs());
            if !known {
                return Err(format!(
                    "Service {} has no run-time option '{name}'.",
                    self.name
                ));
            }
        }
        let mut given = self.config.clone();
        given.extend(sent.clone());
        let declared = self.options.iter().map(|option| &option.declared);
        let now = zones.stored(dates::now());
        arguments::for_service(registry, zones, now, declared, &given)
            .map_err(|refusal| refusal.message)
    }

    /// The options of a run that a task has kept, with the secrets that it has not.
    ///
    /// # Errors
    ///
    /// A sentence that names the option: the service has changed.
    pub(in crate::plugins) fn resumed(
        &self,
        registry: &Registry,
        zones: &Zones,
        kept: Map<String, Json>,
    ) -> Result<Vec<Arg>, String> {
        let secrets = self.config.iter().filter(|(name, _)| self.is_secret(name));
        let mut given: Map<String, Json> = secrets
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        given.extend(kept);
        let declared = self.options.iter().map(|option| &option.declared);
        let now = zones.stored(dates::now());
        arguments::for_service(registry, zones, now, declared, &given)
            .map_err(|refusal| refusal.message)
    }

    /// Is an option a secret?
    #[must_use]
    pub fn is_secret(&self, name: &str) -> bool {
        self.options
            .iter()
            .any(|option| option.declared.name == name && option.declared.secret)
    }

    /// The stored options as they may be shown.
    #[must_use]
    pub fn shown_config(&self) -> Map<String, Json> {
        let shown = |(name, value): (&String, &Json)| match self.is_secret(name) {
            true => (name.clone(), HIDDEN.into()),
            false => (name.clone(), value.clone()),
        };
        self.config.iter().map(shown).collect()
    }

    /// The declarations of the options that a run may send.
    #[must_use]
    pub fn runtime_options(&self) -> Vec<Json> {
        let for_runs = self.options.iter().filter(|option| option.is_for_runs());
        for_runs.map(|option| option.text.clone()).collect()
    }

    /// What is wrong with the stored options, if anything is: what a run must send is not missed.
    pub(super) fn objection(&self, registry: &Registry) -> Option<String> {
        let declared = self
            .options
            .iter()
            .filter(|option| {
                !option.is_for_runs() || self.config.contains_key(&option.declared.name)
            })
            .map(|option| &option.declared);
        let checked = arguments::for_service(
            registry,
            &Zones::default(),
            dates::now(),
            declared,
            &self.config,
        );
        checked.err().map(|refusal| refusal.message)
    }
}

/// All records by name; those that can't be read are left out.
///
/// # Errors
///
/// Only the store's.
pub async fn all(store: &dyn Store) -> Result<Vec<Record>, StoreError> {
    let mut all: Vec<Record> = records::all(store, SERVICES)
        .await?
        .iter()
        .filter_map(Record::read)
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// The record of this name.
///
/// # Errors
///
/// Only the store's.
pub async fn named(store: &dyn Store, name: &str) -> AdminResult<Option<Record>> {
    let found = records::find(store, SERVICES, "name", name).await?;
    Ok(found.and_then(|(_, body)| Record::read(&body)))
}

/// Rule SVC-1: makes or refreshes the records of a set of plugins' services; switches off those whose plugin is gone.
///
/// # Errors
///
/// The store's.
pub(in crate::plugins) async fn refresh(store: &dyn Store, registry: &Registry) -> AdminResult<()> {
    for service in registry.services() {
        let declared = &service.declaration;
        let fresh = fresh(declared)?;
        if !records::insert(store, SERVICES, "name", &declared.name, fresh).await? {
            update(store, registry, declared).await?;
        }
        settle(store, registry, &declared.name).await?;
    }
    for record in all(store).await? {
        if record.kind == Kind::Internal && registry.service(&record.name).is_none() {
            change(store, &record.name, |record| {
                let mut operations = switched_off(record);
                if record.status != Status::Unavailable {
                    operations.push(set("status", Status::Unavailable.word()));
                }
                Ok(operations)
            })
            .await?;
        }
    }
    Ok(())
}

/// What the declaration says of a record.
fn declared_fields(declared: &ServiceDeclaration) -> AdminResult<Document> {
    let types = declared.on.iter().map(|pattern| match pattern.as_str() {
        "*" => ALL,
        other => other,
    });
    let options: Json = declared
        .options
        .iter()
        .map(|option| option.text.clone())
        .collect();
    let options = json_to_bson(&options).map_err(AdminError::refused)?;
    Ok(doc! {
        "version": &declared.version,
        "description": &declared.summary,
        "supported_types": types.collect::<Vec<_>>(),
        "required_fields": &declared.requires,
        "kind": Kind::Internal.word(),
        "options": options,
        "template": declared.template.as_deref(),
    })
}

fn fresh(declared: &ServiceDeclaration) -> AdminResult<Document> {
    let mut body = doc! {
        "schema_version": 1,
        "name": &declared.name,
        "config": {},
        "enabled": false,
        "run_on_triage": false,
        "status": Status::Available.word(),
        "compatability_mode": false,
        "is_triage_run": false,
    };
    body.extend(declared_fields(declared)?);
    Ok(body)
}

async fn update(
    store: &dyn Store,
    registry: &Registry,
    declared: &ServiceDeclaration,
) -> AdminResult<()> {
    let wanted = declared_fields(declared)?;
    records::change(store, SERVICES, "name", &declared.name, |body| {
        let is_external = Record::read(body).is_some_and(|record| record.kind == Kind::External);
        if is_external {
            return Err(AdminError::refused(format!(
                "the service `{}` of a plugin has the name of an external service",
                declared.name
            )));
        }
        let mut operations = Vec::new();
        for (name, value) in &wanted {
            if body.get(name).unwrap_or(&Bson::Null) != value {
                let path = FieldPath::parse(name)
                    .map_err(|error| AdminError::refused(error.to_string()))?;
                operations.push(Op::Set(path, value.clone()));
            }
        }
        // The service is there again.
        let gone = Record::read(body).is_some_and(|record| record.status == Status::Unavailable);
        if gone && registry.service(&declared.name).is_some() {
            operations.push(set("status", Status::Available.word()));
        }
        Ok((operations, ()))
    })
    .await
    .map(|_| ())
}

/// Asks whether the stored options will do, and says so in the record: an objection switches the service off.
pub(super) async fn settle(
    store: &dyn Store,
    registry: &Registry,
    name: &str,
) -> AdminResult<Option<String>> {
    let mut objection = None;
    change(store, name, |record| {
        objection = record.objection(registry);
        let status = match (&objection, record.status) {
            (_, Status::Unavailable) => Status::Unavailable,
            (Some(_), _) => Status::Misconfigured,
            (None, _) => Status::Available,
        };
        let mut operations = match status {
            Status::Available => Vec::new(),
            Status::Misconfigured | Status::Unavailable => switched_off(record),
        };
        if status != record.status {
            operations.push(set("status", status.word()));
        }
        Ok(operations)
    })
    .await?;
    Ok(objection)
}

pub(super) fn switched_off(record: &Record) -> Vec<Op> {
    let mut operations = Vec::new();
    if record.enabled {
        operations.push(set("enabled", false));
    }
    if record.run_on_triage {
        operations.push(set("run_on_triage", false));
    }
    operations
}

pub(super) fn set(name: &'static str, value: impl Into<Bson>) -> Op {
    Op::Set(FieldPath::literal(name), value.into())
}

/// Changes a record as it is now.
pub(super) async fn change(
    store: &dyn Store,
    name: &str,
    mut decide: impl FnMut(&Record) -> AdminResult<Vec<Op>>,
) -> AdminResult<()> {
    let changed = records::change(store, SERVICES, "name", name, |body| {
        let record = Record::read(body)
            .ok_or_else(|| AdminError::refused(format!("the record of `{name}` can't be read")))?;
        Ok((decide(&record)?, ()))
    })
    .await?;
    changed.ok_or_else(|| unknown(name))
}

pub(super) fn unknown(name: &str) -> AdminError {
    AdminError::with_hint(
        format!("there is no service `{name}`"),
        "`critd service list` lists them; those of plugins come when a server loads the plugin",
    )
}
