//! Plugins: which are loaded, what they declare, and how they are run. The only part that names `wasmtime`.
//!
//! ```text
//! manifest      plugin-manifest.toml: which plugins, what they may do, their limits
//! declaration   what a plugin says of itself (`describe`), read and checked
//! arguments     a request's parameters checked against a declaration, before any plugin runs
//! registry      an immutable set of loaded plugins: look-ups by resource, type, action
//! loader        a file → a loaded plugin, or a sentence why not
//! reload        watches the directory, swaps the registry
//! build         core module → component with frozen declaration
//! work          a request's transaction as its handlers see it: documents, rules that all types share
//! runtime       wasmtime: engine, instances, host functions, limits
//! ```

pub mod arguments;
pub mod build;
pub mod declaration;
pub mod examples;
pub mod loader;
pub mod manifest;
pub mod registry;
pub mod reload;
mod runtime;
pub mod value;
pub mod work;

use std::sync::Arc;

use bson::oid::ObjectId;

use crate::access::{Access, Caller};
use crate::registers::Registers;
use crate::store::{StagedFile, Store};

pub use registry::{ActionEntry, Registry, TypeEntry};
pub use value::{Abort, Arg, Failure, Fault, Outcome, Value};

/// Everything a handler needs besides the request: shared by all requests.
#[derive(Clone)]
pub struct Services {
    /// Documents and files.
    pub store: Arc<dyn Store>,
    /// Rights.
    pub access: Arc<Access>,
    /// Database-managed sets, public suffix list, settings.
    pub registers: Arc<Registers>,
}

/// A parameter as it came in a body: forms give texts, JSON and its like give values.
#[derive(Debug, Clone)]
pub enum Param {
    /// A form field.
    Text(String),
    /// A value of a JSON, XML or YAML body. Dates and ids are texts here.
    Json(serde_json::Value),
    /// A file part of a multipart body.
    File(Arc<StagedFile>),
}

/// The parameters of a request in the order sent, repeats preserved; credentials are already taken out (rule A6).
pub type Params = Vec<(String, Param)>;

/// How a request is to be carried out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mode {
    /// Work out what would be stored, store nothing.
    pub dry_run: bool,
}

/// A successful POST.
#[derive(Debug, Clone)]
pub struct Created {
    /// Type and id of the object concerned, if there is a single one.
    pub document: Option<(String, ObjectId)>,
    /// The object did not exist before.
    pub fresh: bool,
    /// `message`.
    pub message: String,
    /// Further keys of the answer.
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// Sentences for `warnings`.
    pub warnings: Vec<String>,
}

/// A successful PATCH.
#[derive(Debug, Clone)]
pub struct Performed {
    /// `detail`.
    pub detail: String,
    /// Further keys of the answer: `object`, …
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// Arguments that the action does not know (rule P12a).
    pub ignored_arguments: Vec<String>,
    /// Sentences for `warnings`.
    pub warnings: Vec<String>,
}

/// A request that was refused; nothing was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Text for the client.
    pub message: String,
    /// Machine-readable `error` of core-api 13.3: `code` and what belongs to it.
    pub error: serde_json::Map<String, serde_json::Value>,
}

/// Why a request was not carried out.
#[derive(Debug)]
pub enum NotDone {
    /// The user asked for something impossible: `return_code` 1.
    Refused(Refusal),
    /// No such document, or not visible: 404.
    NoDocument,
    /// Something failed here: 500 with an error id; the text is for the log.
    Internal(String),
    /// Too busy, or a conflict that did not resolve: 503 with `Retry-After`.
    Busy(String),
}

/// The plugin system as the API sees it.
pub struct Plugins {
    // engine, current registry (ArcSwap), permits, services
    _private: (),
}

impl Plugins {
    /// The set of plugins that serves now. Keep it for the whole request.
    #[must_use]
    pub fn current(&self) -> Arc<Registry> {
        todo!()
    }

    /// A POST to a type's resource: argument and permission checks, the plugin, commit, with retries.
    ///
    /// # Errors
    ///
    /// See [`NotDone`]; nothing was stored then.
    pub async fn create(&self, registry: &Arc<Registry>, caller: &Arc<Caller>, of: &TypeEntry, params: Params, mode: Mode) -> Result<Created, NotDone> {
        let _ = (registry, caller, of, params, mode);
        todo!()
    }

    /// A PATCH: look-up of the document under S1 first (else [`NotDone::NoDocument`]), then ACT-2 to ACT-8.
    /// `action`: the name as sent, none if missing or not a text.
    ///
    /// # Errors
    ///
    /// See [`NotDone`]; nothing was stored then.
    pub async fn perform(&self, registry: &Arc<Registry>, caller: &Arc<Caller>, on: &TypeEntry, id: ObjectId, action: Option<&str>, params: Params, mode: Mode) -> Result<Performed, NotDone> {
        let _ = (registry, caller, on, id, action, params, mode);
        todo!()
    }
}
