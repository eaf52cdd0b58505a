//! What a plugin says of its analysis services (actions.md 8.2).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use super::{ArgDeclaration, ExampleDeclaration};

/// An analysis service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceDeclaration {
    /// How `run_service` names it.
    pub name: String,
    /// Its version: `N.N` or `N.N.N`, perhaps with an `a` or `b` suffix.
    pub version: String,
    /// Description for users.
    #[serde(default)]
    pub summary: String,
    /// Types of the objects it analyses: `*` or `all` all, `Sample`, `-Campaign` not; empty: none.
    pub on: Vec<String>,
    /// Stored fields without which there is nothing to analyse (rule SVC-3).
    #[serde(default)]
    pub requires: Vec<String>,
    /// What an operator, or who runs it, can set.
    #[serde(default)]
    pub options: Vec<ServiceOption>,
    /// What it may write: types it creates, documents it relates.
    #[serde(default)]
    pub touches: Vec<String>,
    /// Kept for whoever shows its results.
    #[serde(default)]
    pub template: Option<String>,
    /// What it wants of the plugin's limits for services; never above the operator's.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
    /// Executable examples.
    #[serde(default)]
    pub examples: Vec<ServiceExample>,
}

/// An executable example of a service.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Json")]
pub struct ServiceExample {
    /// Type of the document; none: the first that the service names.
    pub on: Option<String>,
    /// All else is as of an action, but that `args` are the options and `files` those that the document's fields hold. What
    /// comes out: `message` (the last line), `results`, `log` or `fault`.
    pub example: ExampleDeclaration,
}

impl TryFrom<Json> for ServiceExample {
    type Error = serde_json::Error;

    fn try_from(mut text: Json) -> Result<Self, Self::Error> {
        let on = text
            .as_object_mut()
            .and_then(|members| members.remove("on"));
        Ok(Self {
            on: on.map(serde_json::from_value).transpose()?,
            example: serde_json::from_value(text)?,
        })
    }
}

/// An option of a service, with the text in which it was declared: records of services keep it (rule SVC-16).
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Json")]
pub struct ServiceOption {
    /// As it is checked.
    pub declared: ArgDeclaration,
    /// As it was written.
    pub text: Json,
}

impl TryFrom<Json> for ServiceOption {
    type Error = serde_json::Error;

    fn try_from(text: Json) -> Result<Self, Self::Error> {
        let declared = ArgDeclaration::deserialize(&text)?;
        Ok(Self { declared, text })
    }
}

impl ServiceOption {
    /// May it be sent with a run?
    #[must_use]
    pub fn is_for_runs(&self) -> bool {
        self.declared.scope.as_deref() != Some("stored")
    }

    /// May it be stored by an operator?
    #[must_use]
    pub fn is_for_operators(&self) -> bool {
        self.declared.scope.as_deref() != Some("runtime")
    }
}
