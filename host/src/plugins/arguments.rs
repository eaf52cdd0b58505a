//! Arguments of a request, checked against the declaration before any plugin runs.
//!
//! One function for creates and one for actions; both include the check of the permission, in the order the
//! declaration asks for.

use std::sync::Arc;

use super::registry::{ActionEntry, Registry, TypeEntry};
use super::{Arg, NotDone, Params, Services};
use crate::access::Caller;
use crate::store::StagedFile;

/// Who asks, when, and what is known.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// On whose behalf.
    pub caller: &'a Caller,
    /// Types by name.
    pub registry: &'a Registry,
    /// Registers.
    pub services: &'a Services,
    /// Time of the request, ms since 1970.
    pub now: i64,
}

/// Validated arguments.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// In declaration order; absent ones are left out, defaults put in.
    pub args: Vec<Arg>,
    /// Files by argument name; `Value::File(i + 1)` means the one at position `i`. For `Request::files`.
    pub files: Vec<(String, Arc<StagedFile>)>,
    /// Names that the declaration does not know (rule P12a).
    pub ignored: Vec<String>,
    /// Sentences for `warnings`.
    pub warnings: Vec<String>,
}

/// Checks arguments and permission of a POST.
///
/// # Errors
///
/// `Refused` for whatever the client did wrong, `Internal` if the store failed.
pub async fn for_create(context: Context<'_>, of: &TypeEntry, params: &Params) -> Result<Checked, NotDone> {
    let _ = (context, of, params);
    todo!()
}

/// Checks permission and arguments of a PATCH on a document of this type.
///
/// # Errors
///
/// `Refused` for whatever the client did wrong, `Internal` if the store failed.
pub async fn for_action(context: Context<'_>, on: &TypeEntry, action: &ActionEntry, params: &Params) -> Result<Checked, NotDone> {
    let _ = (context, on, action, params);
    todo!()
}
