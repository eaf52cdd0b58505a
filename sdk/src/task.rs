//! The task that a service works on: what it found, and what it says of its work.

use serde::Serialize;
use serde_json::Value as Json;

use crate::sys::task;
use crate::{Fault, internal};

/// Result of every service function: the last line of the task's log.
pub type Analysis = Result<String, Fault>;

/// How much a line of a task's log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What happens in detail.
    Debug,
    /// What is done.
    Info,
    /// Something was left out or is not as it should be; the results are good.
    Warning,
    /// The analysis failed: the task ends as `error`.
    Error,
    /// The same, and nothing can be done about it.
    Critical,
}

/// The task that is being worked on. What it is told is stored at once and stays if the service fails later.
#[derive(Debug, Clone, Copy)]
pub struct Task;

impl Task {
    /// Identifier (UUID) of the task.
    #[must_use]
    pub fn id(&self) -> String {
        task::id()
    }

    /// Adds a result: what kind it is, the finding, and its details, a struct or `json!({…})`; `()` is none. Members that are
    /// `null` are left out.
    ///
    /// # Errors
    ///
    /// `refused(limit)`: more results than a task can have. `internal`: the details are no map.
    pub fn result(
        &self,
        subtype: &str,
        finding: impl AsRef<str>,
        details: impl Serialize,
    ) -> Result<(), Fault> {
        task::add_result(subtype, finding.as_ref(), &details_text(details)?)
    }

    /// Adds a line to the task's own log, which users read.
    ///
    /// # Errors
    ///
    /// `refused(limit)`: more than a task can have.
    pub fn note(&self, level: Level, message: impl AsRef<str>) -> Result<(), Fault> {
        task::note(level as u8, message.as_ref())
    }

    /// A line about what is done: [`Task::note`] with [`Level::Info`].
    ///
    /// # Errors
    ///
    /// As [`Task::note`].
    pub fn info(&self, message: impl AsRef<str>) -> Result<(), Fault> {
        self.note(Level::Info, message)
    }

    /// A line about what was left out: [`Task::note`] with [`Level::Warning`].
    ///
    /// # Errors
    ///
    /// As [`Task::note`].
    pub fn warning(&self, message: impl AsRef<str>) -> Result<(), Fault> {
        self.note(Level::Warning, message)
    }

    /// True when the user cancelled the task: return soon.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        task::cancelled()
    }
}

/// Details as the contract wants them: a JSON object or "".
fn details_text(details: impl Serialize) -> Result<String, Fault> {
    match serde_json::to_value(details) {
        Ok(Json::Null) => Ok(String::new()),
        Ok(Json::Object(mut members)) => {
            members.retain(|_, value| !value.is_null());
            if members.is_empty() {
                return Ok(String::new());
            }
            Ok(Json::Object(members).to_string())
        }
        Ok(_) => Err(internal("details of a result are a map")),
        Err(error) => Err(internal(
            ["details of a result: ", &error.to_string()].concat(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::details_text;

    #[test]
    fn details_are_a_map_or_nothing() {
        for (details, text) in [
            (json!(null), ""),
            (json!({}), ""),
            (json!({"a": null}), ""),
            (json!({"a": 1, "b": null}), r#"{"a":1}"#),
        ] {
            let written = details_text(&details).ok();
            assert_eq!(written.as_deref(), Some(text), "{details}");
        }
        assert!(details_text(json!([1])).is_err() && details_text("text").is_err());
    }
}
