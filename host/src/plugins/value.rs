//! The types of the contract (`sdk/wit`, interface `types`) on the host's side, free of the runtime.

use super::work::{DocNumber, UploadNumber};

/// A value that crosses the contract.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing; in `set` the same as `unset`.
    Null,
    /// A boolean.
    Flag(bool),
    /// An integer.
    Int(i64),
    /// A number.
    Num(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Milliseconds since 1970, UTC.
    Date(i64),
    /// 24 lower-case hex digits.
    Id(String),
    /// A list or an embedded document: JSON text with `$date`, `$oid`, `$binary`.
    Json(String),
    /// An upload of the call.
    File(UploadNumber),
}

/// A named value.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    /// Name.
    pub name: String,
    /// Value.
    pub value: Value,
}

/// What a plugin or a host function says when the user asked for something impossible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Argument and message.
    Invalid(String, String),
    /// Code and message.
    Refused(String, String),
    /// Something named does not exist or may not be seen.
    Missing(String),
    /// A bug; logged in full, the client reads `Internal error.`
    Internal(String),
}

/// What ends a call without the plugin's say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Abort {
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(String),
    /// Something that was read has changed: run the handler again.
    #[error("changed meanwhile: {0}")]
    Conflict(String),
    /// Time is up.
    #[error("the plugin `{plugin}` ran longer than {limit_ms} ms")]
    Time {
        /// Plugin.
        plugin: String,
        /// Limit.
        limit_ms: u64,
    },
    /// Memory is used up.
    #[error("the plugin `{plugin}` wanted more than {limit_mib} MiB of memory")]
    Memory {
        /// Plugin.
        plugin: String,
        /// Limit.
        limit_mib: u64,
    },
    /// Another budget of the call is used up.
    #[error("the plugin `{plugin}` used up its budget of {what}")]
    Budget {
        /// Plugin.
        plugin: String,
        /// `host calls`, `documents`, …
        what: String,
    },
    /// The plugin broke: panic, recursion without end, a wrong answer.
    #[error("the plugin `{plugin}` failed: {reason}")]
    Trap {
        /// Plugin.
        plugin: String,
        /// Panic message or trap.
        reason: String,
    },
}

/// Why a host function did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Returned to the plugin as its contract's `fault`.
    #[error("{0:?}")]
    Fault(Fault),
    /// Ends the call.
    #[error(transparent)]
    Abort(#[from] Abort),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What a successful handler says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// The document concerned, a number of the call that answered.
    pub document: Option<DocNumber>,
    /// POST: `message`; PATCH: `detail`.
    pub message: String,
    /// A JSON object with further keys of the answer, or empty.
    pub extra: String,
}
