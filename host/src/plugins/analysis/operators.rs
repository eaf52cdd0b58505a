//! What operators do with records of analysis services: switch them, set them up, register those that run elsewhere.

use bson::{Bson, doc};
use serde_json::{Map, Value as Json, json};

use super::records::{
    ALL, ATTEMPTS, Kind, Record, Status, change, named, set, settle, switched_off, unknown,
};
use crate::access::SERVICES;
use crate::access::records::{self, AdminError, AdminResult};
use crate::dates::{self, Zones};
use crate::plugins::arguments;
use crate::plugins::declaration::Declaration;
use crate::plugins::declaration::check::{is_pattern_of_types, is_service_version};
use crate::plugins::registry::Registry;
use crate::plugins::value::json_to_bson;
use crate::store::{FieldPath, Op, Store};

/// The record of this name.
///
/// # Errors
///
/// There is none; the store's.
pub async fn show(store: &dyn Store, name: &str) -> AdminResult<Record> {
    named(store, name).await?.ok_or_else(|| unknown(name))
}

/// Switches a service on or off; off, it does not run on new objects either.
///
/// # Errors
///
/// It can't be used as it is, or there is none; the store's.
pub async fn enable(store: &dyn Store, name: &str, on: bool) -> AdminResult<()> {
    change(store, name, |record| match on {
        true => {
            refuse_unless_available(record)?;
            Ok(vec![set("enabled", true)])
        }
        false => Ok(switched_off(record)),
    })
    .await
}

/// Says whether a service runs on new objects.
///
/// # Errors
///
/// As for [`enable`].
pub async fn set_triage(store: &dyn Store, name: &str, on: bool) -> AdminResult<()> {
    change(store, name, |record| {
        if on {
            refuse_unless_available(record)?;
        }
        Ok(vec![set("run_on_triage", on)])
    })
    .await
}

fn refuse_unless_available(record: &Record) -> AdminResult<()> {
    let name = &record.name;
    match record.status {
        Status::Available => Ok(()),
        Status::Unavailable => Err(AdminError::refused(format!(
            "the service `{name}` is unavailable: no plugin provides it"
        ))),
        Status::Misconfigured => {
            let objection = record.objection(&Registry::default());
            Err(AdminError::with_hint(
                format!(
                    "the service `{name}` is misconfigured: {}",
                    objection.unwrap_or_default()
                ),
                format!("`critd service configure {name} OPTION=VALUE` sets an option"),
            ))
        }
    }
}

/// Stores options and removes others. What the service has to object to them as they are now.
///
/// # Errors
///
/// An option that there is not, or a value that it does not take; the store's. Nothing is changed then.
pub async fn configure(
    store: &dyn Store,
    name: &str,
    values: &[(String, String)],
    removed: &[String],
) -> AdminResult<Option<String>> {
    change(store, name, |record| {
        let mut config = record.config.clone();
        for option in removed {
            if config.remove(option).is_none() {
                return Err(AdminError::refused(format!(
                    "the option `{option}` of `{name}` is not set"
                )));
            }
        }
        for (option, text) in values {
            let value = stored_value(record, option, text)?;
            config.insert(option.clone(), value);
        }
        let config = json_to_bson(&Json::Object(config)).map_err(AdminError::refused)?;
        Ok(vec![set("config", config)])
    })
    .await?;
    settle(store, &Registry::default(), name).await
}

fn stored_value(record: &Record, name: &str, text: &str) -> AdminResult<Json> {
    let for_operators = record
        .options
        .iter()
        .filter(|option| option.is_for_operators());
    let names: Vec<&str> = for_operators
        .clone()
        .map(|option| option.declared.name.as_str())
        .collect();
    let Some(option) = for_operators
        .into_iter()
        .find(|option| option.declared.name == name)
    else {
        let known = match names.is_empty() {
            true => "it has none to be stored".to_owned(),
            false => format!("it has {}", names.join(", ")),
        };
        return Err(AdminError::refused(format!(
            "the service `{}` has no option `{name}`; {known}",
            record.name
        )));
    };
    let given = Map::from_iter([(name.to_owned(), Json::from(text))]);
    let declared = std::iter::once(&option.declared);
    let checked = arguments::for_service(
        &Registry::default(),
        &Zones::default(),
        dates::now(),
        declared,
        &given,
    );
    // A refusal may quote the value.
    let args = checked.map_err(|refusal| {
        AdminError::refused(match option.declared.secret {
            true => format!("the option `{name}` does not take this value"),
            false => refusal.message,
        })
    })?;
    let value = args.first().map(|arg| arg.value.to_json());
    value
        .transpose()
        .map_err(AdminError::refused)?
        .ok_or_else(|| AdminError::refused(format!("the option `{name}` needs a value")))
}

/// An external service as an operator describes it.
#[derive(Debug, Clone, Default)]
pub struct External {
    /// `N.N` or `N.N.N`.
    pub version: String,
    /// For users.
    pub description: String,
    /// Types of objects; none: all.
    pub types: Vec<String>,
    /// Stored fields that an object must have.
    pub required_fields: Vec<String>,
    /// Declarations of options, as plugins write them.
    pub options: Json,
    /// So often a task is claimed at most.
    pub max_attempts: Option<u32>,
}

/// Registers an external service, or describes a registered one anew; it is switched off at first.
///
/// # Errors
///
/// The description is wrong, or a plugin's service has this name; the store's.
pub async fn register(store: &dyn Store, name: &str, external: &External) -> AdminResult<()> {
    let options = checked_options(name, external)?;
    let types = match external.types.is_empty() {
        true => vec![ALL.to_owned()],
        false => external.types.clone(),
    };
    let described = doc! {
        "version": &external.version,
        "description": &external.description,
        "supported_types": types,
        "required_fields": &external.required_fields,
        "kind": Kind::External.word(),
        "options": options,
        "max_attempts": external.max_attempts.map_or(ATTEMPTS, i64::from),
    };
    let mut body = doc! {
        "schema_version": 1,
        "name": name,
        "config": {},
        "enabled": false,
        "run_on_triage": false,
        "status": Status::Available.word(),
    };
    body.extend(described.clone());
    if records::insert(store, SERVICES, "name", name, body).await? {
        settle(store, &Registry::default(), name).await?;
        return Ok(());
    }
    change(store, name, |record| {
        refuse_unless_external(record)?;
        let changed = described.iter().map(|(field, value)| {
            let path =
                FieldPath::parse(field).map_err(|error| AdminError::refused(error.to_string()))?;
            Ok(Op::Set(path, value.clone()))
        });
        changed.collect()
    })
    .await?;
    settle(store, &Registry::default(), name).await?;
    Ok(())
}

/// Options in the form in which a record keeps them.
fn checked_options(name: &str, external: &External) -> AdminResult<Bson> {
    let declaration = json!({
        "format": 1, "contract": "1.0", "name": "external", "version": "1.0.0", "summary": "",
        "services": [{
            "name": name, "version": external.version, "summary": external.description, "on": external.types,
            "requires": external.required_fields, "options": match &external.options { Json::Null => json!([]), other => other.clone() },
        }],
    });
    if !is_service_version(&external.version) {
        return Err(AdminError::refused(format!(
            "`{}` is no version of a service: N.N or N.N.N, perhaps followed by a or b and a number",
            external.version
        )));
    }
    if let Some(wrong) = external
        .types
        .iter()
        .find(|pattern| !is_pattern_of_types(pattern))
    {
        return Err(AdminError::refused(format!("`{wrong}` is no type")));
    }
    let read = Declaration::read(&declaration.to_string());
    let read = read.map_err(|reason| {
        AdminError::refused(reason.replace("the declaration", "the description"))
    })?;
    let options: Json = read
        .services
        .iter()
        .flat_map(|service| &service.options)
        .map(|option| option.text.clone())
        .collect();
    json_to_bson(&options).map_err(AdminError::refused)
}

/// Removes an external service. Its tasks stay.
///
/// # Errors
///
/// There is none, or it is a plugin's; the store's.
pub async fn remove(store: &dyn Store, name: &str) -> AdminResult<()> {
    let record = show(store, name).await?;
    refuse_unless_external(&record)?;
    records::remove(store, SERVICES, record.id)
        .await
        .map_err(|error| AdminError::Failed(error.to_string()))
}

fn refuse_unless_external(record: &Record) -> AdminResult<()> {
    match record.kind {
        Kind::External => Ok(()),
        Kind::Internal => Err(AdminError::with_hint(
            format!(
                "`{}` is no external service: a plugin provides it, or did",
                record.name
            ),
            "the manifest says which plugins are loaded; `critd service disable` switches a service off",
        )),
    }
}
