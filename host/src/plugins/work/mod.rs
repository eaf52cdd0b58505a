//! A request's transaction as its handlers see it: documents by number, reads that are remembered, writes that are
//! buffered as operations, and the rules that all types share (sources, campaigns, buckets, tickets, relationships).
//!
//! Every function of the contract's interface `documents` is a method of [`Work`] with the same name and meaning
//! (`sdk/wit`). The caller's rights are enforced here, whatever a plugin does: a document that is not visible under S1
//! does not exist (exceptions: `make`, `taken`), a source that may not be written can't be added, a field that the host
//! or another plugin keeps can't be set.

use std::sync::Arc;

use super::registry::Registry;
use super::value::{Arg, Failure, Outcome, Value};
use super::Services;
use crate::access::Caller;
use crate::store::{StagedFile, WriteSet};

/// Number of a document within one call.
pub type DocNumber = u32;
/// Number of an upload within one call.
pub type UploadNumber = u32;

/// Origin of a document that `make` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Did not exist; will, when the request succeeds.
    Fresh,
    /// Existed, visible to the caller.
    Visible,
    /// Exists, not visible to the caller (yet).
    Hidden,
}

/// What `relate` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Both sides written.
    Added,
    /// Was there on both sides.
    Present,
    /// One side was lacking.
    Repaired,
}

/// What stays the same during all runs of a request's handlers: who, what, when.
pub struct Request {
    /// On whose behalf.
    pub caller: Arc<Caller>,
    /// The set of plugins the request began with.
    pub registry: Arc<Registry>,
    /// Store, rights, registers.
    pub services: Services,
    /// Time of the request, ms since 1970.
    pub now: i64,
    /// Seed of ids and random bytes: each run of a handler gets the same ones.
    pub seed: [u8; 32],
    /// For log lines.
    pub request_id: String,
    /// Files sent by the client, by argument name.
    pub files: Vec<(String, Arc<StagedFile>)>,
}

/// One plugin call within a request: its own document and upload numbers, its own budgets.
pub struct Frame {
    /// Plugin that runs.
    pub plugin: String,
    /// Action, or empty in `create`.
    pub action: String,
    /// Type of the document, or of what is to be created.
    pub type_name: String,
    /// 0 for the client's request, 1 for a create within it, …
    pub depth: u32,
    // numbers → documents of the work, budgets, declared `touches`
}

/// The transaction of one run.
pub struct Work {
    request: Arc<Request>,
    // documents with drafts, reads, op log, frames, savepoints, warnings
}

impl Work {
    /// Gives an empty transaction.
    #[must_use]
    pub fn new(request: Arc<Request>) -> Self {
        Self { request }
    }

    /// Who, what, when.
    #[must_use]
    pub fn request(&self) -> &Arc<Request> {
        &self.request
    }

    /// Everything read and to be written, with audit entries and bucket counters; consumes the transaction.
    ///
    /// # Errors
    ///
    /// A rule on the result does not hold (a new document of a restricted type without a source, …).
    pub fn into_write_set(self) -> Result<WriteSet, Failure> {
        todo!()
    }
}

// Signatures the runtime builds on (all `&mut self`, async where they read the store):
//
// frames      begin_action(plugin, action, type_entry, id) -> Result<(), Failure>   the document is loaded under S1
//             begin_create(plugin, type_entry) ; savepoint() -> Savepoint ; roll_back(Savepoint)
//             push_frame(Frame) ; pop_frame(outcome: &Outcome) -> translated document number for the frame below
// documents   current, by_id, by_key, taken, select, make, id, type_of, get, get_many, len, find, set, set_many, unset,
//             push, push_unique, pull, relate, add_source, merge_shared, inherit_sources     exactly as in the WIT
// uploads     upload_name, upload_size, upload_digest, upload_kind, upload_read, upload_make, upload_append, upload_keep, upload_open
// call        may(flag), may_write(source), new_id(), random(len), setting(name), warn(text)
#[expect(unused_imports, reason = "used by the signatures above once written")]
use {Arg as _Arg, Outcome as _Outcome, Value as _Value};
