//! A request's transaction as its handlers see it: documents by number, reads that are remembered, writes that are
//! buffered as operations, and the rules that all types share (sources, campaigns, buckets, tickets, relationships).
//!
//! Every function of the contract's interface `documents` is a method of [`Work`] with the same name and meaning
//! (`sdk/wit`). The caller's rights are enforced here, whatever a plugin does: a document that is not visible under S1
//! does not exist (exceptions: `make`, `taken`), a source that may not be written can't be added, a field that the host
//! or another plugin keeps can't be set.

//!
//! ```text
//! documents    finding, opening and reading; what was read is remembered
//! changes      writes of plugins: buffered as operations on drafts
//! fields       which fields a type has, and values converted to their kinds
//! conditions   conditions of the contract → filters
//! rules        sources, campaigns, buckets, tickets, status, sectors
//! relate       relationships, on both sides
//! own          calls that are no handler's: actions of the host, analysis services
//! unrelate     taken away and changed, on both sides
//! uploads      bytes of files
//! difference   what would be written, for dry runs
//! registers    entries added to registers
//! freed        files that nothing here refers to any more
//! notify       users who are told of changes
//! finish       the write set, with audit entries and counters
//! ```

mod changes;
mod conditions;
mod difference;
mod documents;
mod fields;
mod finish;
#[cfg(test)]
pub(crate) mod fixture;
mod freed;
mod fuzzy;
mod imports;
mod items;
mod kinds;
mod notify;
mod own;
mod registers;
mod relate;
mod rules;
#[cfg(test)]
mod tests;
mod unrelate;
mod uploads;
mod waits;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bson::Bson;
use bson::oid::ObjectId;
use sha2::{Digest, Sha256};

use self::uploads::Upload;
use super::analysis::Sink;
use super::arguments::{self, qualified};
use super::registry::{ActionEntry, Registry, TypeEntry};
use super::value::{Abort, Arg, Failure, Fault, Outcome, Value};
use super::{NotDone, Refusal, Services};
use crate::access::Caller;
use crate::dates::Zones;
use crate::registers::Register;
use crate::store::{Draft, FieldPath, KeyRead, Op, SearchRead, SelectRead, StagedFile, StoreError};

pub use self::difference::Changed;
pub(super) use self::fields::{common_fields, is_common_field};
pub(crate) use self::finish::AUDIT;
pub use self::finish::collections;
pub(super) use self::freed::FreedFile;
pub(super) use self::items::{Item, Refused};
pub(crate) use self::notify::{DATE, KEPT, NOTIFICATIONS, USERS};
pub use self::own::Eyes;
pub(super) use self::uploads::stage;
pub use self::waits::Waits;

/// Number of a document within one call.
pub type DocNumber = u32;
/// Number of an upload within one call.
pub type UploadNumber = u32;

/// Origin of a document that `make` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Did not exist; will, when the request succeeds. Answered once: who asks again finds it there.
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
    /// Time of the request in UTC, ms since 1970.
    pub now: i64,
    /// The form in which dates are stored, and what dates without a zone mean.
    pub zones: Zones,
    /// Microseconds after that, up to 999: ids of requests within a millisecond are in their order.
    pub micros: u16,
    /// Seed of ids and random bytes: each run of a handler gets the same ones.
    pub seed: [u8; 32],
    /// For log lines.
    pub request_id: String,
    /// Files that validated arguments refer to (`arguments::Checked::files`): the one at position `i` is upload number
    /// `i + 1` of the client's own call.
    pub files: Vec<(String, Arc<StagedFile>)>,
    /// Is it waiting for the store?
    pub waits: Waits,
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
        Self {
            documents: 1_000,
            uploads: 1_000,
            creates: 500,
            depth: 4,
            made_bytes: 256 << 20,
        }
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

/// One plugin call within a request: its own document and upload numbers.
struct Frame {
    plugin: String,
    action: String,
    type_name: String,
    touches: Vec<String>,
    /// The document that an action is about.
    subject: Option<usize>,
    /// It is a call of an analysis service.
    is_service: bool,
    /// Documents by number - 1: positions in [`Work::documents`].
    documents: Vec<usize>,
    /// Uploads by number - 1: positions in [`Work::uploads`].
    uploads: Vec<usize>,
    /// Documents that creates within this call answered.
    created: Vec<usize>,
    /// Why a create must not succeed, unless the plugin refuses it for another reason.
    denied: Option<Refusal>,
}

impl Frame {
    fn is_create(&self) -> bool {
        self.action.is_empty() && !self.is_service
    }
}

/// A document of the request, shared by all frames.
struct Open {
    of: Arc<TypeEntry>,
    id: ObjectId,
    /// Revision when first read; none: made by this request.
    revision: Option<u64>,
    /// With the request's own writes.
    draft: Draft,
    /// What was there at the paths that were read, before own writes.
    reads: BTreeMap<FieldPath, Option<Bson>>,
    /// Searches in its lists, before own writes.
    searches: Vec<SearchRead>,
    /// Exists but is not visible to the caller.
    hidden: bool,
    /// Reached by `make`, in whichever call.
    was_made: bool,
    /// Reached by `make`: if it is hidden, it must end with a source of the caller's.
    claimed: bool,
    /// A source instance was added by the host's own rules.
    source_added: bool,
    /// A field of a unique key was written.
    rekeyed: bool,
    /// Taken back together with the create that made it.
    withdrawn: bool,
    /// Goes when the request succeeds.
    removed: bool,
    /// When an earlier POST of this transaction has written it last: for those after it the document is there.
    settled: Option<i64>,
    /// The same of writes for its own sake: what `modified` will be.
    moved: Option<i64>,
}

/// An effective operation.
struct Logged {
    document: usize,
    operation: Op,
    /// The other side of a relationship that a POST made: its `modified` stays (documents.md L6).
    partner: bool,
    /// The condition of a pull as the plugin wrote it.
    condition: Option<String>,
}

/// To where a create that fails is taken back.
struct Savepoint {
    log: usize,
    documents: usize,
    warnings: usize,
    registered: usize,
    /// What documents were before they were first written after this point.
    before: HashMap<usize, Before>,
}

/// What a document was at a savepoint.
struct Before {
    draft: Draft,
    source_added: bool,
    rekeyed: bool,
    claimed: bool,
}

/// The transaction of one run.
pub struct Work {
    request: Arc<Request>,
    budgets: Budgets,
    /// Of a run of an analysis service: where its results go.
    sink: Option<Arc<dyn Sink>>,
    documents: Vec<Open>,
    by_id: HashMap<(String, ObjectId), usize>,
    /// Unique keys of documents made by this request.
    made_keys: HashMap<Vec<u8>, usize>,
    /// Those that were looked for in the store; all of them are among `keys`.
    looked_up: HashSet<Vec<u8>>,
    uploads: Vec<Upload>,
    frames: Vec<Frame>,
    savepoints: Vec<Savepoint>,
    /// What a refusal is about.
    about: Option<usize>,
    log: Vec<Logged>,
    keys: Vec<KeyRead>,
    selections: Vec<SelectRead>,
    /// Documents that were looked for by id and not found.
    absent: Vec<(String, ObjectId)>,
    /// The public suffix list is that of this transaction.
    pub(in crate::plugins) knows_suffixes: bool,
    /// Entries for registers.
    registered: Vec<(Register, String)>,
    warnings: Vec<String>,
    creates: u32,
    made_bytes: u64,
    random_blocks: u64,
    ids: u16,
    /// Time of the request, or of the present one of several POSTs, in the form of stored dates.
    now: i64,
    /// Audit entries of POSTs that are done, where there are several (see `items`): document and what changed.
    audited: Vec<(usize, String)>,
    /// Documents and uploads of earlier POSTs, which the budgets of the present one leave out.
    earlier_documents: usize,
    earlier_uploads: usize,
}

/// A bug of a plugin, or something it can't know how to handle.
fn internal(reason: impl Into<String>) -> Failure {
    Fault::Internal(reason.into()).into()
}

fn store_failed(error: &StoreError) -> Failure {
    Abort::from(error).into()
}

impl Work {
    /// Gives an empty transaction.
    #[must_use]
    pub fn new(request: Arc<Request>, budgets: Budgets) -> Self {
        Self {
            now: request.zones.stored(request.now),
            request,
            budgets,
            sink: None,
            documents: Vec::new(),
            by_id: HashMap::new(),
            made_keys: HashMap::new(),
            looked_up: HashSet::new(),
            uploads: Vec::new(),
            frames: Vec::new(),
            savepoints: Vec::new(),
            about: None,
            log: Vec::new(),
            keys: Vec::new(),
            selections: Vec::new(),
            absent: Vec::new(),
            knows_suffixes: false,
            registered: Vec::new(),
            warnings: Vec::new(),
            creates: 0,
            made_bytes: 0,
            random_blocks: 0,
            ids: 0,
            audited: Vec::new(),
            earlier_documents: 0,
            earlier_uploads: 0,
        }
    }

    /// Who, what, when.
    #[must_use]
    pub fn request(&self) -> &Arc<Request> {
        &self.request
    }

    fn frame(&self) -> Option<&Frame> {
        self.frames.last()
    }

    fn budget(&self, what: &str) -> Failure {
        let plugin = self
            .frame()
            .map(|frame| frame.plugin.clone())
            .unwrap_or_default();
        Abort::Budget {
            plugin,
            what: what.to_owned(),
        }
        .into()
    }

    fn push_frame(
        &mut self,
        plugin: &str,
        action: &str,
        type_name: &str,
        touches: &[String],
    ) -> &mut Frame {
        self.frames.push(Frame {
            plugin: plugin.to_owned(),
            action: action.to_owned(),
            type_name: type_name.to_owned(),
            touches: touches.to_vec(),
            subject: None,
            is_service: false,
            documents: Vec::new(),
            uploads: Vec::new(),
            created: Vec::new(),
            denied: None,
        });
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// The client's files are the first uploads of its own call.
    fn number_files(&mut self, files: &[(String, Arc<StagedFile>)]) {
        for (_, file) in files {
            let index = self.add_staged(Arc::clone(file));
            if let Some(frame) = self.frames.last_mut() {
                frame.uploads.push(index);
            }
        }
    }

    /// Opens the frame of a client's PATCH. Answers false, and opens nothing, if there is no such document or the
    /// caller may not see it (404).
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn begin_action(
        &mut self,
        action: &Arc<ActionEntry>,
        on: &Arc<TypeEntry>,
        id: ObjectId,
    ) -> Result<bool, Failure> {
        let Some(subject) = self.open_by_id(on, id).await? else {
            return Ok(false);
        };
        let declaration = &action.declaration;
        let frame = self.push_frame(
            &action.plugin,
            &declaration.name,
            &on.declaration.name,
            &declaration.touches,
        );
        frame.subject = Some(subject);
        let request = Arc::clone(&self.request);
        self.number_files(&request.files);
        Ok(true)
    }

    /// Is `modified` of the document that the action is about one of these dates? What it is counts as read.
    ///
    /// # Errors
    ///
    /// The store holds something unreadable.
    pub fn was_modified_at(&mut self, dates: &[i64]) -> Result<bool, Failure> {
        let Some(subject) = self.frame().and_then(|frame| frame.subject) else {
            return Ok(false);
        };
        let modified = self.read(subject, &FieldPath::literal("modified"))?;
        let modified = modified.and_then(|date| date.as_datetime().copied());
        Ok(modified.is_some_and(|date| dates.contains(&date.timestamp_millis())))
    }

    /// Opens the frame of a client's POST. Arguments and permission were checked before ([`super::arguments`]); `denied`
    /// is what that check found where the plugin makes it too.
    pub fn begin_create(&mut self, of: &Arc<TypeEntry>, denied: Option<Refusal>) {
        let frame = self.push_frame(
            &of.plugin,
            "",
            &of.declaration.name,
            &of.declaration.touches,
        );
        frame.denied = denied;
        let request = Arc::clone(&self.request);
        self.number_files(&request.files);
    }

    /// Why the create of the innermost frame must not succeed.
    #[must_use]
    pub fn denied(&self) -> Option<&Refusal> {
        self.frame()?.denied.as_ref()
    }

    /// `documents.create`, first half: checks `touches`, depth, budget, permission and arguments, takes a savepoint and
    /// pushes the frame in which the other plugin is then run. When it has answered `Ok`, [`Work::end_create`] must
    /// follow, whatever the outcome (unless the whole request is aborted).
    ///
    /// # Errors
    ///
    /// A fault as for one's own POST; `internal` if the create is not declared; an abort if a budget is used up.
    pub async fn nest_create(
        &mut self,
        type_name: &str,
        args: Vec<Arg>,
    ) -> Result<Nested, Failure> {
        let of = self.type_entry(type_name)?;
        let name = &of.declaration.name;
        let frame = self
            .frame()
            .ok_or_else(|| internal("no call is under way"))?;
        if !frame.touches.iter().any(|touched| {
            touched
                .strip_prefix("create:")
                .is_some_and(|touched| touched == name || touched == "*")
        }) {
            return Err(internal(format!(
                "`{}` creates a `{name}` without declaring `create:{name}`",
                frame.plugin
            )));
        }
        if of.declaration.tasks || !of.declaration.methods.iter().any(|method| method == "POST") {
            return Err(Fault::Missing(format!("{name} can't be created.")).into());
        }
        if self.frames.len() > self.budgets.depth as usize {
            return Err(self.budget("creates within one another"));
        }
        self.creates += 1;
        if self.creates > self.budgets.creates {
            return Err(self.budget("creates"));
        }
        let request = Arc::clone(&self.request);
        let context = arguments::Context {
            caller: &request.caller,
            registry: &request.registry,
            services: &request.services,
            now: self.now,
            zones: &request.zones,
        };
        let checked = arguments::for_nested_create(context, &of, args)
            .await
            .map_err(|refused| match refused {
                NotDone::Refused(refusal) => Failure::Fault(refusal.into()),
                NotDone::Internal(reason) => Abort::Store(reason).into(),
                NotDone::Busy(reason) => Abort::Unavailable(reason).into(),
                NotDone::NoDocument => Fault::Missing("Not found.".into()).into(),
            })?;
        checked
            .warnings
            .iter()
            .for_each(|warning| self.warn(warning));
        // Files change their numbers with the call.
        let mut args = checked.args;
        let mut uploads = Vec::new();
        for arg in &mut args {
            if let Value::File(number) = &mut arg.value {
                uploads.push(self.upload_index(*number)?);
                *number = uploads.len() as u32;
            }
        }
        self.savepoints.push(Savepoint {
            log: self.log.len(),
            documents: self.documents.len(),
            warnings: self.warnings.len(),
            registered: self.registered.len(),
            before: HashMap::new(),
        });
        let frame = self.push_frame(&of.plugin, "", name, &of.declaration.touches);
        frame.uploads = uploads;
        frame.denied = checked.denied;
        Ok(Nested {
            of: Arc::clone(&of),
            args,
        })
    }

    /// `documents.create`, second half: pops the frame. A success is translated into numbers of the frame below; a fault
    /// takes back what was written since the savepoint and is passed on.
    ///
    /// # Errors
    ///
    /// The fault of the create; `internal` if its outcome names an unknown document.
    pub fn end_create(&mut self, result: Result<Outcome, Fault>) -> Result<Outcome, Failure> {
        let result = match (result, self.denied()) {
            (Ok(_), Some(refusal)) => Err(refusal.clone().into()),
            (result, _) => result,
        };
        let named = result.and_then(|outcome| match self.named(&outcome) {
            Ok(document) => Ok((outcome, document)),
            Err(Failure::Fault(fault)) => Err(fault),
            Err(Failure::Abort(abort)) => Err(Fault::Internal(abort.to_string())),
        });
        let (Some(_), Some(savepoint)) = (self.frames.pop(), self.savepoints.pop()) else {
            return Err(internal("no create is under way"));
        };
        let (mut outcome, document) = match named {
            Ok(named) => named,
            Err(fault) => {
                self.roll_back(savepoint);
                return Err(fault.into());
            }
        };
        // What this create wrote is the outer one's to take back.
        if let Some(outer) = self.savepoints.last_mut() {
            for (index, before) in savepoint.before {
                if index < outer.documents {
                    outer.before.entry(index).or_insert(before);
                }
            }
        }
        outcome.document = match document {
            Some(index) => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.created.push(index);
                }
                Some(self.number(index)?)
            }
            None => None,
        };
        Ok(outcome)
    }

    fn roll_back(&mut self, savepoint: Savepoint) {
        self.log.truncate(savepoint.log);
        self.warnings.truncate(savepoint.warnings);
        self.registered.truncate(savepoint.registered);
        for (index, before) in savepoint.before {
            let document = &mut self.documents[index];
            document.draft = before.draft;
            document.source_added = before.source_added;
            document.rekeyed = before.rekeyed;
            document.claimed = before.claimed;
        }
        for document in &mut self.documents[savepoint.documents..] {
            document.withdrawn = true;
        }
        self.by_id.retain(|_, index| *index < savepoint.documents);
        self.made_keys
            .retain(|_, index| *index < savepoint.documents);
    }

    /// To be called before anything about a document changes: keeps what it was for the innermost savepoint.
    fn touch(&mut self, index: usize) -> &mut Open {
        let document = &mut self.documents[index];
        if let Some(savepoint) = self.savepoints.last_mut()
            && index < savepoint.documents
        {
            savepoint.before.entry(index).or_insert_with(|| Before {
                draft: document.draft.clone(),
                source_added: document.source_added,
                rekeyed: document.rekeyed,
                claimed: document.claimed,
            });
        }
        document
    }

    fn named(&self, outcome: &Outcome) -> Result<Option<usize>, Failure> {
        outcome
            .document
            .map(|number| self.document(number))
            .transpose()
    }

    /// The document an outcome of the innermost frame names.
    ///
    /// # Errors
    ///
    /// Fault `internal`: an unknown number.
    pub fn concerned(&self, outcome: &Outcome) -> Result<Option<Concerned>, Failure> {
        Ok(self.named(outcome)?.map(|index| {
            let Open {
                of,
                id,
                revision,
                settled,
                ..
            } = &self.documents[index];
            Concerned {
                type_name: of.declaration.name.clone(),
                id: *id,
                fresh: revision.is_none() && settled.is_none(),
            }
        }))
    }

    /// `documents.concerns`.
    ///
    /// # Errors
    ///
    /// Fault `internal`: an unknown number.
    pub fn concerns(&mut self, document: DocNumber) -> Result<(), Failure> {
        let index = self.document(document)?;
        if self.frames.len() == 1 {
            self.about = Some(index);
        }
        Ok(())
    }

    /// Type and id of the document that a refusal is about, if the caller may see it.
    #[must_use]
    pub fn about(&self) -> Option<(&str, ObjectId)> {
        let open = self.documents.get(self.about?)?;
        (!open.hidden && (open.revision.is_some() || open.settled.is_some()))
            .then(|| (open.of.declaration.name.as_str(), open.id))
    }

    /// Sentences for `warnings` of the answer, in order, without duplicates.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
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
        self.frame().map_or("", |frame| &frame.action)
    }

    /// `call.type-name`.
    #[must_use]
    pub fn type_name(&self) -> &str {
        self.frame().map_or("", |frame| &frame.type_name)
    }

    /// `call.now`.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now
    }

    /// `call.depth`.
    #[must_use]
    pub fn depth(&self) -> u32 {
        (self.frames.len() as u32).saturating_sub(1)
    }

    /// `call.new-id`: the same sequence in every run of a request. Ids of one request ascend (up to 65,535 of them), and
    /// those of later requests are higher, to 16 µs.
    pub fn new_id(&mut self) -> ObjectId {
        let now = self.request.now;
        let seconds = u32::try_from(now.div_euclid(1000)).unwrap_or_default();
        let micros = now.rem_euclid(1000) * 1000 + i64::from(self.request.micros.min(999));
        let part = u16::try_from(micros * 65_536 / 1_000_000).unwrap_or(u16::MAX);
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[4..6].copy_from_slice(&part.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.ids.to_be_bytes());
        self.ids = self.ids.saturating_add(1);
        bytes[8..].copy_from_slice(&self.random(4));
        ObjectId::from_bytes(bytes)
    }

    /// `call.random`: the same sequence in every run of a request. Fewer than asked when over 1,024.
    pub fn random(&mut self, len: u32) -> Vec<u8> {
        let len = len.min(1024) as usize;
        let mut bytes = Vec::with_capacity(len + 32);
        while bytes.len() < len {
            let block = Sha256::new()
                .chain_update(self.request.seed)
                .chain_update(self.random_blocks.to_be_bytes());
            bytes.extend_from_slice(&block.finalize());
            self.random_blocks += 1;
        }
        bytes.truncate(len);
        bytes
    }

    /// `call.may`.
    #[must_use]
    pub fn may(&self, flag: &str) -> bool {
        self.request
            .caller
            .rights
            .may(&qualified(flag, self.type_name()))
            || self.request.caller.rights.may(flag)
    }

    /// `call.may-write`.
    #[must_use]
    pub fn may_write(&self, source: &str) -> bool {
        self.request.caller.rights.may_write(source)
    }

    /// `call.setting`: of those that the operator made readable for plugins.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn setting(&mut self, name: &str) -> Result<Option<String>, Failure> {
        self.request
            .services
            .registers
            .setting_for_plugins(name)
            .await
            .map_err(|error| store_failed(&error))
    }

    /// `call.warn`: at most 100, each 500 bytes.
    pub fn warn(&mut self, message: &str) {
        let mut end = message.len().min(500);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let message = message[..end].to_owned();
        if self.warnings.len() < 100 && !self.warnings.contains(&message) {
            self.warnings.push(message);
        }
    }
}
