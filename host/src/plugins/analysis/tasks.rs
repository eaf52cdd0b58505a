//! Tasks of analysis services (documents.md 3.19, actions.md 8.3): their shape, and who may see them.
//!
//! Fields that begin with `_` are never shown: the digest of a lease's token, and which process runs a task.

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};

use super::records::{Kind, Record};
use crate::plugins::registry::TypeEntry;
use crate::plugins::value::{bson_to_json, json_to_bson};
use crate::store::{FieldPath, Filter, StoredDocument, Test};

/// Fields that lists leave out unless they are asked for (rule SVC-18).
pub const BULKY: [&str; 2] = ["log", "results"];
/// Stored name of the type of a task's object.
pub const OBJECT_TYPE: &str = "object_type";
/// Stored name of a task's object.
pub const OBJECT_ID: &str = "object_id";
/// By which tasks are sorted unless a list says otherwise.
pub const START: &str = "start_date";
/// The task: a UUID.
pub const ANALYSIS_ID: &str = "analysis_id";
/// The flag that lets a user see tasks of a type.
pub const READ: &str = "services_read";
/// The flag that lets a user start and work on tasks of a type.
pub const EXECUTE: &str = "services_execute";

/// Which process runs a task of a plugin, and until when it is believed to.
pub(super) const RUN: &str = "_run";
/// Who holds a lease.
pub(super) const LEASE: &str = "_lease";

/// A path of a task.
pub(super) fn path(text: &'static str) -> FieldPath {
    FieldPath::literal(text)
}

/// A condition on one field of a task.
pub(super) fn is(field: &'static str, value: impl Into<Bson>) -> Filter {
    Filter::Field(path(field), Test::Eq(value.into()))
}

/// A line of a task's log.
pub(super) fn line(level: &str, message: &str, now: &str) -> Document {
    doc! { "message": message, "level": level, "datetime": now }
}

/// Names of the contract's levels.
pub(super) fn level(number: u8) -> &'static str {
    match number {
        0 => "debug",
        1 => "info",
        2 => "warning",
        3 => "error",
        _ => "critical",
    }
}

/// What is kept of a token.
pub(super) fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token.trim().as_bytes()))
}

/// Everything that a new task is made of.
pub(super) struct NewTask<'a> {
    pub(super) id: ObjectId,
    /// 16 random bytes.
    pub(super) random: &'a [u8],
    pub(super) record: &'a Record,
    pub(super) of: &'a TypeEntry,
    pub(super) tasks: &'a TypeEntry,
    pub(super) object: ObjectId,
    pub(super) analyst: &'a str,
    /// Options without secrets.
    pub(super) config: Map<String, Json>,
    /// So many creates by services lie between a client's request and the object; none: nobody counts, a user asked for it.
    pub(super) triage_depth: Option<i64>,
    /// In the form of stored dates.
    pub(super) now: &'a str,
}

impl NewTask<'_> {
    /// The task's UUID.
    pub(super) fn analysis_id(&self) -> String {
        let mut bytes = [0; 16];
        for (byte, random) in bytes.iter_mut().zip(self.random) {
            *byte = *random;
        }
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string()
    }

    /// The document (rules SVC-6, SVC-9, SVC-30): a plugin's task is started, another one waits for a worker.
    pub(super) fn document(&self) -> Result<Document, String> {
        let is_external = self.record.kind == Kind::External;
        let mut body = doc! {
            "_id": self.id,
            "schema_version": self.tasks.declaration.schema_version,
            ANALYSIS_ID: self.analysis_id(),
            OBJECT_TYPE: &self.of.declaration.name,
            OBJECT_ID: self.object.to_hex(),
            "service_name": &self.record.name,
            "version": &self.record.version,
            "analyst": self.analyst,
            "distributed": is_external,
            "status": status_of(self.record),
            "config": json_to_bson(&Json::Object(self.config.clone()))?,
            START: self.now,
            "log": [],
            "results": [],
        };
        if let Some(template) = &self.record.template {
            body.insert("template", template);
        }
        if let Some(depth) = self.triage_depth {
            body.insert("triage_depth", depth);
        }
        if is_external {
            body.insert("attempts", 0);
        } else {
            body.insert("log", vec![line("info", "Starting Analysis", self.now)]);
            body.insert(RUN, doc! { "until": 0_i64, "attempts": 0 });
        }
        Ok(body)
    }
}

/// Status of a new task of a service.
pub(super) fn status_of(record: &Record) -> &'static str {
    match record.kind {
        Kind::Internal => "started",
        Kind::External => "created",
    }
}

/// The identifier of a task as clients write it: the forms in which it may be stored.
#[must_use]
pub fn spellings(text: &str) -> Vec<String> {
    let mut all = match uuid::Uuid::try_parse(text.trim()) {
        Ok(id) => vec![id.to_string(), id.to_string().to_ascii_uppercase()],
        Err(_) => Vec::new(),
    };
    if !all.iter().any(|known| known == text) {
        all.push(text.to_owned());
    }
    all
}

/// Type and id of a stored task's object.
#[must_use]
pub fn object_of(task: &StoredDocument) -> Option<(String, ObjectId)> {
    let of = task.body.get_str(OBJECT_TYPE).ok()?;
    let id = task.body.get_str(OBJECT_ID).ok()?;
    Some((of.to_owned(), ObjectId::parse_str(id).ok()?))
}

/// The options that a task keeps.
pub(super) fn config_of(body: &Document) -> Map<String, Json> {
    match body.get("config").map(bson_to_json) {
        Some(Json::Object(config)) => config,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn svc_19_identifiers_are_compared_as_uuids() {
        const ID: &str = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";
        for text in [
            ID,
            "1B9D6BCD-BBFD-4B2D-9B5D-AB8DFBBD4BED",
            "{1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed}",
        ] {
            assert_eq!(spellings(text)[0], ID, "{text}");
        }
        assert_eq!(spellings("x"), ["x"]);
    }

    #[test]
    fn levels_have_names() {
        assert_eq!(
            [0, 1, 2, 3, 4, 9].map(level),
            ["debug", "info", "warning", "error", "critical", "critical"]
        );
    }
}
