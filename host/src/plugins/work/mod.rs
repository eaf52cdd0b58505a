//! A request's transaction as its handlers see it: documents by number, reads that are remembered, writes that are
//! buffered as operations, and the rules that all types share (sources, campaigns, buckets, tickets, relationships).
//!
//! Every function of the contract's interface `documents` is a method of [`Work`] with the same name and meaning
//! (`sdk/wit`). The caller's rights are enforced here, whatever a plugin does: a document that is not visible under S1
//! does not exist (exceptions: `make`, `taken`), a source that may not be written can't be added, a field that the host
//! or another plugin keeps can't be set.

use std::sync::Arc;

use bson::oid::ObjectId;

use super::Services;
use super::registry::{ActionEntry, Registry, TypeEntry};
use super::value::{Arg, Failure, Fault, Outcome, Value};
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
    /// Files that validated arguments refer to (`arguments::Checked::files`): the one at position `i` is upload number
    /// `i + 1` of the client's own call.
    pub files: Vec<(String, Arc<StagedFile>)>,
}

/// What one request may use. The runtime sets it from the operator's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// Documents open in a request.
    pub documents: u32,
    /// Uploads open in a request.
    pub uploads: u32,
    /// Nested creates in a request.
    pub creates: u32,
    /// How deep creates may be nested.
    pub depth: u32,
    /// Bytes of all files that plugins make in a request.
    pub made_bytes: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        Self { documents: 1_000, uploads: 1_000, creates: 500, depth: 4, made_bytes: 256 << 20 }
    }
}

/// A nested create that may begin: its frame is already the innermost one.
pub struct Nested {
    /// What is to be created.
    pub of: Arc<TypeEntry>,
    /// Validated arguments; upload numbers are those of the new frame.
    pub args: Vec<Arg>,
}

/// The document a successful create answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concerned {
    /// Type name.
    pub type_name: String,
    /// `_id`.
    pub id: ObjectId,
    /// Did not exist before.
    pub fresh: bool,
}

/// The transaction of one run.
pub struct Work {
    request: Arc<Request>,
}

impl Work {
    /// Gives an empty transaction.
    #[must_use]
    pub fn new(request: Arc<Request>, budgets: Budgets) -> Self {
        let _ = budgets;
        Self { request }
    }

    /// Who, what, when.
    #[must_use]
    pub fn request(&self) -> &Arc<Request> {
        &self.request
    }

    /// Opens the frame of a client's PATCH. Answers false, and opens nothing, if there is no such document or the
    /// caller may not see it (404).
    pub async fn begin_action(&mut self, action: &Arc<ActionEntry>, on: &Arc<TypeEntry>, id: ObjectId) -> Result<bool, Failure> {
        let _ = (action, on, id);
        todo!()
    }

    /// Opens the frame of a client's POST. Arguments and permission were checked before ([`super::arguments`]).
    pub fn begin_create(&mut self, of: &Arc<TypeEntry>) {
        let _ = of;
        todo!()
    }

    /// `documents.create`, first half: checks `touches`, depth, budget, permission and arguments, takes a savepoint and
    /// pushes the frame in which the other plugin is then run. After it, whatever the outcome, [`Work::end_create`] must
    /// be called (unless the whole request is aborted).
    pub async fn nest_create(&mut self, type_name: &str, args: Vec<Arg>) -> Result<Nested, Failure> {
        let _ = (type_name, args);
        todo!()
    }

    /// `documents.create`, second half: pops the frame. A success is translated into numbers of the frame below; a fault
    /// takes back what was written since the savepoint and is passed on.
    pub fn end_create(&mut self, result: Result<Outcome, Fault>) -> Result<Outcome, Failure> {
        let _ = result;
        todo!()
    }

    /// The document an outcome of the innermost frame names. Fault `internal`: an unknown number.
    pub fn concerned(&self, outcome: &Outcome) -> Result<Option<Concerned>, Failure> {
        let _ = outcome;
        todo!()
    }

    /// Sentences for `warnings` of the answer, in order, without duplicates.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        todo!()
    }

    /// The effective writes so far as the examples of declarations write them: `{"push": [path, value]}`, `{"set": …}`.
    /// Without what the host adds at the end. Of other documents than the subject: with a third member, `TYPE/ID`.
    #[must_use]
    pub fn operations(&self) -> Vec<serde_json::Value> {
        todo!()
    }

    /// Everything read and to be written, with audit entries and bucket counters; consumes the transaction.
    ///
    /// # Errors
    ///
    /// A rule on the result does not hold (a new document of a restricted type without a source, …).
    pub async fn into_write_set(self) -> Result<WriteSet, Failure> {
        todo!()
    }

    // ---- call ----

    /// `call.user`.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.request.caller.user
    }

    /// `call.action`.
    #[must_use]
    pub fn action(&self) -> &str {
        todo!()
    }

    /// `call.type-name`.
    #[must_use]
    pub fn type_name(&self) -> &str {
        todo!()
    }

    /// `call.now`.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.request.now
    }

    /// `call.depth`.
    #[must_use]
    pub fn depth(&self) -> u32 {
        todo!()
    }

    /// `call.new-id`: the same sequence in every run of a request.
    pub fn new_id(&mut self) -> ObjectId {
        todo!()
    }

    /// `call.random`: the same sequence in every run of a request. Fewer than asked when over 1,024.
    pub fn random(&mut self, len: u32) -> Vec<u8> {
        let _ = len;
        todo!()
    }

    /// `call.may`.
    #[must_use]
    pub fn may(&self, flag: &str) -> bool {
        let _ = flag;
        todo!()
    }

    /// `call.may-write`.
    #[must_use]
    pub fn may_write(&self, source: &str) -> bool {
        let _ = source;
        todo!()
    }

    /// `call.setting`.
    pub async fn setting(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let _ = name;
        todo!()
    }

    /// `call.warn`.
    pub fn warn(&mut self, message: &str) {
        let _ = message;
        todo!()
    }

    // ---- documents ----

    /// `documents.current`.
    pub fn current(&mut self) -> Result<DocNumber, Failure> {
        todo!()
    }

    /// `documents.by-id`.
    pub async fn by_id(&mut self, type_name: &str, id: &str) -> Result<DocNumber, Failure> {
        let _ = (type_name, id);
        todo!()
    }

    /// `documents.by-key`.
    pub async fn by_key(&mut self, type_name: &str, key: &[Arg]) -> Result<Option<DocNumber>, Failure> {
        let _ = (type_name, key);
        todo!()
    }

    /// `documents.taken`.
    pub async fn taken(&mut self, type_name: &str, key: &[Arg]) -> Result<bool, Failure> {
        let _ = (type_name, key);
        todo!()
    }

    /// `documents.select`.
    pub async fn select(&mut self, type_name: &str, condition: &str, after: &str, limit: u32) -> Result<Vec<DocNumber>, Failure> {
        let _ = (type_name, condition, after, limit);
        todo!()
    }

    /// `documents.make`.
    pub async fn make(&mut self, type_name: &str, key: &[Arg]) -> Result<(DocNumber, Origin), Failure> {
        let _ = (type_name, key);
        todo!()
    }

    /// `documents.id`.
    pub fn id(&self, document: DocNumber) -> Result<String, Failure> {
        let _ = document;
        todo!()
    }

    /// `documents.type-of`.
    pub fn type_of(&self, document: DocNumber) -> Result<String, Failure> {
        let _ = document;
        todo!()
    }

    /// `documents.get`.
    pub fn get(&mut self, document: DocNumber, path: &str) -> Result<Option<Value>, Failure> {
        let _ = (document, path);
        todo!()
    }

    /// `documents.get-many`.
    pub fn get_many(&mut self, document: DocNumber, paths: &[String]) -> Result<Vec<Option<Value>>, Failure> {
        let _ = (document, paths);
        todo!()
    }

    /// `documents.len`.
    pub fn len(&mut self, document: DocNumber, path: &str) -> Result<u32, Failure> {
        let _ = (document, path);
        todo!()
    }

    /// `documents.find`.
    pub fn find(&mut self, document: DocNumber, path: &str, condition: &str, start: u32) -> Result<Option<u32>, Failure> {
        let _ = (document, path, condition, start);
        todo!()
    }

    /// `documents.set`.
    pub fn set(&mut self, document: DocNumber, path: &str, value: &Value) -> Result<(), Failure> {
        let _ = (document, path, value);
        todo!()
    }

    /// `documents.set-many`.
    pub fn set_many(&mut self, document: DocNumber, values: &[Arg]) -> Result<(), Failure> {
        let _ = (document, values);
        todo!()
    }

    /// `documents.unset`.
    pub fn unset(&mut self, document: DocNumber, path: &str) -> Result<(), Failure> {
        let _ = (document, path);
        todo!()
    }

    /// `documents.push`.
    pub fn push(&mut self, document: DocNumber, path: &str, value: &Value) -> Result<(), Failure> {
        let _ = (document, path, value);
        todo!()
    }

    /// `documents.push-unique`.
    pub fn push_unique(&mut self, document: DocNumber, path: &str, value: &Value, keys: &[String]) -> Result<bool, Failure> {
        let _ = (document, path, value, keys);
        todo!()
    }

    /// `documents.pull`.
    pub fn pull(&mut self, document: DocNumber, path: &str, condition: &str, limit: u32) -> Result<u32, Failure> {
        let _ = (document, path, condition, limit);
        todo!()
    }

    /// `documents.relate`.
    pub async fn relate(&mut self, left: DocNumber, relationship: &str, right: DocNumber, details: &[Arg]) -> Result<Relation, Failure> {
        let _ = (left, relationship, right, details);
        todo!()
    }

    /// `documents.add-source`.
    pub async fn add_source(&mut self, document: DocNumber, source: &str, details: &[Arg]) -> Result<bool, Failure> {
        let _ = (document, source, details);
        todo!()
    }

    /// `documents.merge-shared`.
    pub async fn merge_shared(&mut self, document: DocNumber, args: &[Arg]) -> Result<(), Failure> {
        let _ = (document, args);
        todo!()
    }

    /// `documents.inherit-sources`.
    pub async fn inherit_sources(&mut self, origin: DocNumber, target: DocNumber) -> Result<u32, Failure> {
        let _ = (origin, target);
        todo!()
    }

    // ---- uploads ----

    /// `uploads.name`.
    pub fn upload_name(&self, upload: UploadNumber) -> Result<String, Failure> {
        let _ = upload;
        todo!()
    }

    /// `uploads.size`.
    pub fn upload_size(&mut self, upload: UploadNumber) -> Result<u64, Failure> {
        let _ = upload;
        todo!()
    }

    /// `uploads.digest`.
    pub async fn upload_digest(&mut self, upload: UploadNumber, algorithm: &str) -> Result<Option<String>, Failure> {
        let _ = (upload, algorithm);
        todo!()
    }

    /// `uploads.kind`: (description, MIME type).
    pub async fn upload_kind(&mut self, upload: UploadNumber) -> Result<(String, String), Failure> {
        let _ = upload;
        todo!()
    }

    /// `uploads.read`.
    pub async fn upload_read(&mut self, upload: UploadNumber, offset: u64, len: u32) -> Result<Vec<u8>, Failure> {
        let _ = (upload, offset, len);
        todo!()
    }

    /// `uploads.make`.
    pub fn upload_make(&mut self, name: &str) -> Result<UploadNumber, Failure> {
        let _ = name;
        todo!()
    }

    /// `uploads.append`.
    pub async fn upload_append(&mut self, upload: UploadNumber, bytes: &[u8]) -> Result<(), Failure> {
        let _ = (upload, bytes);
        todo!()
    }

    /// `uploads.keep`: the file's id.
    pub async fn upload_keep(&mut self, upload: UploadNumber, document: DocNumber, path: &str) -> Result<String, Failure> {
        let _ = (upload, document, path);
        todo!()
    }

    /// `uploads.open`.
    pub async fn upload_open(&mut self, document: DocNumber, path: &str) -> Result<Option<UploadNumber>, Failure> {
        let _ = (document, path);
        todo!()
    }
}
