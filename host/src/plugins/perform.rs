//! A POST or PATCH from its parameters to what is stored: checks, handler, commit, and again if something was in the way.

mod bulk;
pub(super) mod once;
mod order;
mod patience;
mod refusals;
mod requests;
mod tasks;
pub(super) mod turns;

use std::sync::Arc;

use bson::oid::ObjectId;
use serde_json::{Map, Value as Json};

pub use self::bulk::Batch;
use self::once::Known;
pub use self::order::Order;
use self::patience::Patience;
use self::refusals::{absent_arguments, as_of_argument};
pub(super) use self::requests::new_request;
use self::tasks::tell_of;
use super::analysis::{self, Made};
use super::arguments::{self, Checked};
use super::declaration::ActionDeclaration;
use super::registry::{ActionEntry, Loaded, Registry, TypeEntry};
use super::runtime::{self, Entry};
use super::value::{Abort, Arg, Failure, Fault, Outcome};
use super::work::{Budgets, Changed, Concerned, FreedFile, Request, Work};
use super::{
    Created, LONGEST_CHANGE, Mode, NotDone, Param, Params, Performed, Plugins, Refusal, janitor,
};
use crate::access::Caller;
use crate::dates::{self, Zones};
use crate::store::{CommitError, StoreError};

/// How often an action may meet others before it takes turns with them.
const UNDISTURBED: u32 = 2;
/// Argument of every action (rule CON-9).
const EXPECTED: &str = "expected_modified";
/// Keys of an answer that the host writes (core-api 12.2, 13.2).
pub(super) const OWN_KEYS: [&str; 14] = [
    "return_code",
    "type",
    "id",
    "message",
    "url",
    "detail",
    "error",
    "created",
    "ignored_arguments",
    "error_id",
    "error_message",
    "dry_run",
    "operations",
    "difference",
];

/// What one handler call is.
#[derive(Clone)]
enum Job {
    Action {
        action: Arc<ActionEntry>,
        on: Arc<TypeEntry>,
        id: ObjectId,
        /// What `modified` of the document must be (rule CON-9): the stored dates that were meant.
        expected: Option<Vec<i64>>,
    },
    Create {
        of: Arc<TypeEntry>,
        /// What the host says in the end if the plugin does not say it earlier.
        denied: Option<Refusal>,
    },
}

impl Job {
    fn plugin(&self) -> &str {
        match self {
            Self::Action { action, .. } => &action.plugin,
            Self::Create { of, .. } => &of.plugin,
        }
    }
}

impl std::fmt::Display for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Action { action, on, id, .. } => write!(
                f,
                "`{}` on {} {id}",
                action.declaration.name, on.declaration.name
            ),
            Self::Create { of, .. } => write!(f, "the POST of {}", of.declaration.name),
        }
    }
}

/// How a run of a handler ended, short of an abort.
enum Run {
    NoDocument,
    Answered(Box<Work>, Result<Outcome, Fault>),
}

/// What a request came to.
struct Settled {
    outcome: Outcome,
    concerned: Option<Concerned>,
    warnings: Vec<String>,
    /// Of a dry run: the operations that would have been stored.
    operations: Option<Vec<Json>>,
    /// Of a dry run: the documents that would have been written.
    changed: Vec<Changed>,
    /// Answered before, and not carried out again.
    is_repeated: bool,
    /// What was made or found by it, for analysis services.
    made: Vec<Made>,
}

/// Why a run is not the last one.
enum Again {
    Conflict(String),
    Final(NotDone),
}

impl From<NotDone> for Again {
    fn from(not_done: NotDone) -> Self {
        Self::Final(not_done)
    }
}

impl Plugins {
    /// A POST to a type's resource: argument and permission checks, the plugin, commit, with retries.
    ///
    /// # Errors
    ///
    /// See [`NotDone`]; nothing was stored then.
    pub async fn create(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        of: &TypeEntry,
        params: Params,
        mode: Mode,
    ) -> Result<Created, NotDone> {
        let name = &of.declaration.name;
        let entry = registry
            .type_named(name)
            .ok_or_else(|| NotDone::Internal(format!("the type `{name}` is not in the set")))?;
        let (now, zones) = (dates::now(), self.services.registers.zones());
        let context = arguments::Context {
            caller,
            registry,
            services: &self.services,
            now: zones.stored(now),
            zones: &zones,
        };
        let Checked {
            args,
            files,
            warnings,
            denied,
            ..
        } = arguments::for_create(context, entry, &params).await?;
        let request = self.request(registry, caller, now, zones, files)?;
        let job = Job::Create {
            of: entry.clone(),
            denied,
        };
        self.before_tasks(entry, now).await?;
        // The answer to a claim holds a token, of which nothing but a digest is kept.
        let mode = match entry.declaration.tasks {
            true => Mode { once: None, ..mode },
            false => mode,
        };
        let mut settled = self.settle(request, job, args, mode).await?;
        let made = std::mem::take(&mut settled.made);
        let mut created = created(settled, &entry.plugin, warnings)?;
        let started = self.triage(registry, caller, made, 1).await;
        tell_of(&mut created, started.into_iter().map(|(_, task)| task));
        Ok(created)
    }

    /// A PATCH: the document must be there and visible under S1 (else [`NotDone::NoDocument`]), then ACT-2 to ACT-8.
    /// `action`: the name as sent, none if missing or not a text.
    ///
    /// # Errors
    ///
    /// See [`NotDone`]; nothing was stored then.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of a PATCH")]
    pub async fn perform(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        on: &TypeEntry,
        id: ObjectId,
        action: Option<&str>,
        params: Params,
        mode: Mode,
    ) -> Result<Performed, NotDone> {
        let name = &on.declaration.name;
        let on = registry
            .type_named(name)
            .ok_or_else(|| NotDone::Internal(format!("the type `{name}` is not in the set")))?;
        let (now, zones) = (dates::now(), self.services.registers.zones());
        let context = arguments::Context {
            caller,
            registry,
            services: &self.services,
            now: zones.stored(now),
            zones: &zones,
        };
        let checked = match find_action(registry, name, action) {
            Ok(action) => {
                let (params, expected) = expected(&action.declaration, params);
                arguments::for_action(context, on, action, &params)
                    .await
                    .and_then(|checked| {
                        let expected = expected.map(|sent| dates_meant(&sent, &zones));
                        Ok((action.clone(), checked, expected.transpose()?))
                    })
            }
            Err(refusal) => Err(NotDone::Refused(refusal)),
        };
        let (action, checked, expected) = match checked {
            Ok(checked) => checked,
            // ACT-1 comes before all that: whoever may not see the document learns nothing else. When all is well,
            // the transaction itself finds out.
            Err(NotDone::Refused(_)) if !self.visible(caller, on, id).await? => {
                return Err(NotDone::NoDocument);
            }
            Err(not_done) => return Err(not_done),
        };
        let Checked {
            args,
            files,
            ignored,
            warnings,
            ..
        } = checked;
        self.before_tasks(on, now).await?;
        let request = self.request(registry, caller, now, zones, files)?;
        let plugin = action.plugin.clone();
        let is_own = plugin == analysis::HOST;
        let wait = analysis::wait_of(&action, &args).filter(|_| !mode.dry_run);
        let mode = match is_own && analysis::answers_secrets(&action.declaration.name) {
            true => Mode { once: None, ..mode },
            false => mode,
        };
        let absent = absent_arguments(&action, &args);
        let mut settled = self
            .settle(
                request,
                Job::Action {
                    action,
                    on: on.clone(),
                    id,
                    expected,
                },
                args,
                mode,
            )
            .await
            .map_err(|not_done| as_of_argument(not_done, &absent))?;
        if is_own && !mode.dry_run {
            self.desk.wake();
        }
        // What an action creates is as new as what is posted.
        let made = std::mem::take(&mut settled.made);
        self.triage(registry, caller, made, 1).await;
        if let Some(seconds) = wait {
            self.await_in_answer(&mut settled.outcome, seconds).await;
        }
        let (extra, said) = extra_of(&settled, &plugin)?;
        Ok(Performed {
            detail: settled.outcome.message,
            extra,
            ignored_arguments: ignored,
            warnings: warnings
                .into_iter()
                .chain(settled.warnings)
                .chain(said)
                .collect(),
            is_repeated: settled.is_repeated,
            changed: settled.changed,
        })
    }

    /// Runs the handler until its writes are stored or its refusal is certain.
    async fn settle(
        &self,
        request: Arc<Request>,
        job: Job,
        args: Vec<Arg>,
        mode: Mode,
    ) -> Result<Settled, NotDone> {
        let plugin = plugin_of(&request.registry, &job)?;
        let mut patience = Patience::new(&request);
        let mut turn = None;
        loop {
            let obstacle = match self
                .attempt(
                    &request,
                    &plugin,
                    &job,
                    args.clone(),
                    mode,
                    patience.attempt,
                )
                .await
            {
                Ok(settled) => return Ok(settled),
                Err(Again::Final(not_done)) => return Err(not_done),
                Err(Again::Conflict(what)) => what,
            };
            patience.wait(&job, &obstacle).await?;
            if turn.is_none() && patience.attempt >= UNDISTURBED {
                turn = self.turns.take(&job, patience.left().await).await;
            }
        }
    }

    async fn attempt(
        &self,
        request: &Arc<Request>,
        plugin: &Arc<Loaded>,
        job: &Job,
        args: Vec<Arg>,
        mode: Mode,
        attempt: u32,
    ) -> Result<Settled, Again> {
        let once = mode.once.filter(|_| !mode.dry_run);
        let mut outdated = None;
        if let Some(once) = once {
            match once::known(self.services.store.as_ref(), once, request.now).await? {
                Known::Answered(settled) => return Ok(settled),
                Known::Nothing(record) => outdated = record,
            }
        }
        let run = {
            let _permit = self.lanes.permit().await.map_err(NotDone::Busy)?;
            self.lanes
                .run(run(request.clone(), plugin.clone(), job.clone(), args))
                .await
                .map_err(NotDone::Internal)?
        };
        let (mut work, answer) = match run {
            Ok(Run::Answered(work, answer)) => (work, answer),
            Ok(Run::NoDocument) => return Err(NotDone::NoDocument.into()),
            Err(failure) => return Err(failed(failure, plugin, job)),
        };
        let outcome = match answer {
            Ok(outcome) => outcome,
            Err(fault) => {
                // What a handler read may have changed before it said no; then it might not say so now.
                let document = work
                    .about()
                    .map(|(type_name, id)| (type_name.to_owned(), id));
                self.check(work.into_read_set(), job, attempt).await?;
                return Err(about(refused(fault, plugin, job), document).into());
            }
        };
        if let Some(refusal) = work.denied() {
            return Err(NotDone::Refused(refusal.clone()).into());
        }
        let concerned = work
            .concerned(&outcome)
            .map_err(|failure| failed(failure, plugin, job))?;
        let warnings = work.warnings().to_vec();
        let changed = match mode.dry_run {
            true => work
                .changed()
                .map_err(|failure| failed(failure, plugin, job))?,
            false => Vec::new(),
        };
        let settled = Settled {
            outcome,
            concerned,
            warnings,
            operations: mode.dry_run.then(|| work.operations()),
            changed,
            is_repeated: false,
            made: match mode.dry_run {
                true => Vec::new(),
                false => work.made(),
            },
        };
        let record = once.map(|once| (once, work.new_id()));
        let freed = work
            .freed_files()
            .map_err(|failure| failed(failure, plugin, job))?;
        let mut changes = work
            .into_write_set()
            .await
            .map_err(|failure| failed(failure, plugin, job))?;
        if let Some((once, id)) = record {
            once::note(&mut changes, once, id, &settled, outdated, request.now);
        }
        if !mode.dry_run {
            if is_overdue(request.now, dates::now()) {
                return Err(NotDone::Busy(format!("{job} took longer than a change may")).into());
            }
            self.commit(changes, job, attempt).await?;
            self.release(&request.registry, freed).await;
        }
        Ok(settled)
    }

    /// Takes away files that no document refers to any more. What fails here is the janitor's.
    async fn release(&self, registry: &Registry, freed: Vec<FreedFile>) {
        for FreedFile { bucket, md5 } in freed {
            let store = self.services.store.as_ref();
            if let Err(error) = janitor::release(store, registry, &bucket, &md5, dates::now()).await
            {
                tracing::warn!(%error, %bucket, "a file that is not needed any more could not be removed");
            }
        }
    }

    /// Does what was read still hold?
    async fn check(
        &self,
        reads: crate::store::WriteSet,
        job: &Job,
        attempt: u32,
    ) -> Result<(), Again> {
        let is_empty =
            reads.documents.is_empty() && reads.keys.is_empty() && reads.selections.is_empty();
        match is_empty {
            true => Ok(()),
            false => self.commit(reads, job, attempt).await,
        }
    }

    async fn commit(
        &self,
        changes: crate::store::WriteSet,
        job: &Job,
        attempt: u32,
    ) -> Result<(), Again> {
        match self.services.store.commit(changes).await {
            Ok(()) => Ok(()),
            Err(CommitError::Conflict(what)) => Err(Again::Conflict(what)),
            // At first perhaps a race with another request; a handler that never looks the key up meets it again.
            Err(error @ CommitError::Duplicate { .. }) if attempt == 0 => {
                Err(Again::Conflict(error.to_string()))
            }
            Err(CommitError::Duplicate { .. }) => Err(NotDone::Refused(refusal(
                "already_exists",
                "An object with this key exists already.".into(),
            ))
            .into()),
            Err(CommitError::Impossible(reason)) => {
                Err(NotDone::Refused(refusal("limit", sentence(&reason))).into())
            }
            Err(CommitError::Store(error @ StoreError::Unavailable(_))) => {
                Err(NotDone::Busy(format!("{job}: {error}")).into())
            }
            Err(CommitError::Store(error)) => {
                Err(NotDone::Internal(format!("{job}: {error}")).into())
            }
        }
    }
}

fn plugin_of(registry: &Registry, job: &Job) -> Result<Arc<Loaded>, NotDone> {
    registry.plugin(job.plugin()).cloned().ok_or_else(|| {
        NotDone::Internal(format!("the plugin `{}` is not in the set", job.plugin()))
    })
}

fn budgets(plugin: &Loaded) -> Budgets {
    Budgets {
        documents: u32::try_from(plugin.limits.documents).unwrap_or(u32::MAX),
        uploads: u32::try_from(plugin.limits.uploads).unwrap_or(u32::MAX),
        ..Budgets::default()
    }
}

/// One run of a handler on a transaction of its own.
async fn run(
    request: Arc<Request>,
    plugin: Arc<Loaded>,
    job: Job,
    args: Vec<Arg>,
) -> Result<Run, Failure> {
    let denied = match &job {
        Job::Create { denied, .. } => denied.clone(),
        Job::Action { .. } => None,
    };
    let mut work = Box::new(Work::new(request, budgets(&plugin)));
    let entry = match &job {
        Job::Action {
            action,
            on,
            id,
            expected,
        } => {
            if !work.begin_action(action, on, *id).await? {
                return Ok(Run::NoDocument);
            }
            if on.declaration.tasks && !analysis::sees_object(&mut work).await? {
                return Ok(Run::NoDocument);
            }
            if let Some(expected) = expected
                && !work.was_modified_at(expected)?
            {
                let changed = Fault::Refused("conflict".into(), "Document has changed.".into());
                return Ok(Run::Answered(work, Err(changed)));
            }
            if action.plugin == analysis::HOST {
                let (work, answer) = analysis::act(work, &action.declaration.name, &args).await?;
                return Ok(Run::Answered(work, answer));
            }
            Entry::Run(action.declaration.name.clone())
        }
        Job::Create { of, .. } => {
            work.begin_create(of, denied);
            if of.declaration.tasks {
                let (work, answer) = analysis::claim_next(work, &args).await?;
                return Ok(Run::Answered(work, answer));
            }
            Entry::Create(of.declaration.name.clone())
        }
    };
    let (work, answer) = runtime::call(work, &plugin, entry, args).await?;
    Ok(Run::Answered(work, answer))
}

/// Rules ACT-2, ACT-3, P9a.
fn find_action<'a>(
    registry: &'a Registry,
    type_name: &str,
    action: Option<&str>,
) -> Result<&'a Arc<ActionEntry>, Refusal> {
    let name = action.unwrap_or("None");
    if let Some(entry) = action.and_then(|name| registry.action(type_name, name)) {
        return Ok(entry);
    }
    let elsewhere = action.is_some_and(|name| !registry.actions_named(name).is_empty());
    let code = if elsewhere {
        "unsupported_for_type"
    } else {
        "unknown_action"
    };
    Err(refusal(code, format!("'{name}' is not a valid action.")))
}

/// Rule CON-9: takes the argument that every action has out of the parameters, unless the action has declared it itself.
fn expected(action: &ActionDeclaration, params: Params) -> (Params, Option<Param>) {
    if action.args.iter().any(|arg| arg.name == EXPECTED) {
        return (params, None);
    }
    let (mut expected, params): (Vec<_>, Vec<_>) =
        params.into_iter().partition(|(name, _)| name == EXPECTED);
    let expected = expected.pop().map(|(_, value)| value);
    let is_absent = |value: &Param| match value {
        Param::Json(value) => value.is_null() || value == "",
        Param::Text(text) => text.is_empty(),
        Param::File(_) => false,
    };
    (params, expected.filter(|value| !is_absent(value)))
}

/// The stored dates that a text from an answer may mean: two in an hour that occurs twice.
fn dates_meant(sent: &Param, zones: &Zones) -> Result<Vec<i64>, NotDone> {
    let text = match sent {
        Param::Json(Json::String(text)) | Param::Text(text) => Some(text),
        Param::Json(_) | Param::File(_) => None,
    };
    if let Some(written) = text.and_then(|text| dates::strict(text)) {
        return Ok(zones.read_all(written));
    }
    let mut refusal = refusal(
        "invalid_date",
        format!("Argument '{EXPECTED}' must match %Y-%m-%d %H:%M:%S.%f."),
    );
    refusal.error.insert("argument".into(), EXPECTED.into());
    Err(NotDone::Refused(refusal))
}

fn refusal(code: &str, message: String) -> Refusal {
    Refusal {
        message,
        error: Map::from_iter([("code".to_owned(), Json::from(code))]),
    }
}

/// A transaction that did not come to an answer.
fn failed(failure: Failure, plugin: &Loaded, job: &Job) -> Again {
    match failure {
        Failure::Abort(Abort::Conflict(what)) => Again::Conflict(what),
        Failure::Abort(abort @ Abort::Unavailable(_)) => {
            Again::Final(NotDone::Busy(format!("{abort}, in {job}")))
        }
        Failure::Abort(abort) => Again::Final(NotDone::Internal(format!("{abort}, in {job}"))),
        Failure::Fault(fault) => Again::Final(refused(fault, plugin, job)),
    }
}

/// A fault as the client reads it.
fn refused(fault: Fault, plugin: &Loaded, job: &Job) -> NotDone {
    let name = &plugin.declaration.name;
    if let Fault::Refused(code, _) = &fault {
        let word = !code.is_empty()
            && code.len() <= 64
            && code
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !word {
            return NotDone::Internal(format!(
                "the plugin `{name}` refused with the code {code:?}, which is no word of a-z and _, in {job}"
            ));
        }
    }
    match fault.refusal() {
        Some(mut refusal) => {
            if refusal.message.trim().is_empty() {
                refusal.message = "The request was refused.".into();
            }
            NotDone::Refused(refusal)
        }
        None => {
            let Fault::Internal(reason) = fault else {
                return NotDone::Internal(format!("the plugin `{name}` failed, in {job}"));
            };
            NotDone::Internal(format!("the plugin `{name}` failed: {reason}, in {job}"))
        }
    }
}

/// A successful POST, as it is answered. `warnings`: what was said about its arguments.
fn created(settled: Settled, plugin: &str, warnings: Vec<String>) -> Result<Created, NotDone> {
    let (extra, said) = extra_of(&settled, plugin)?;
    Ok(Created {
        fresh: settled
            .concerned
            .as_ref()
            .is_some_and(|concerned| concerned.fresh),
        document: settled
            .concerned
            .map(|concerned| (concerned.type_name, concerned.id)),
        message: settled.outcome.message,
        extra,
        warnings: warnings
            .into_iter()
            .chain(settled.warnings)
            .chain(said)
            .collect(),
        is_repeated: settled.is_repeated,
        changed: settled.changed,
    })
}

/// What a refusal is about, for whoever asked.
fn about(mut not_done: NotDone, document: Option<(String, ObjectId)>) -> NotDone {
    if let (NotDone::Refused(refusal), Some((type_name, id))) = (&mut not_done, document) {
        refusal.error.insert("type".into(), type_name.into());
        refusal.error.insert("id".into(), id.to_hex().into());
    }
    not_done
}

/// Further keys of the answer, and warnings among them. A plugin can't write what the host says.
fn extra_of(settled: &Settled, plugin: &str) -> Result<(Map<String, Json>, Vec<String>), NotDone> {
    let wrong = |what: String| {
        NotDone::Internal(format!("the plugin `{plugin}` gave a wrong answer: {what}"))
    };
    let mut extra = match settled.outcome.extra.trim() {
        "" => Map::new(),
        text => match serde_json::from_str(text) {
            Ok(Json::Object(extra)) => extra,
            Ok(_) => return Err(wrong("`extra` is no JSON object".into())),
            Err(error) => return Err(wrong(format!("`extra` is no JSON: {error}"))),
        },
    };
    if let Some(own) = extra.keys().find(|key| OWN_KEYS.contains(&key.as_str())) {
        return Err(wrong(format!(
            "`extra` has the key `{own}`, which is the host's"
        )));
    }
    let said = match extra.remove("warnings") {
        None => Vec::new(),
        Some(warnings) => serde_json::from_value(warnings)
            .map_err(|_| wrong("`warnings` is no list of texts".into()))?,
    };
    if let Some(operations) = &settled.operations {
        extra.insert("operations".into(), operations.clone().into());
    }
    Ok((extra, said))
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters
        .next()
        .map(|first| first.to_uppercase().collect::<String>())
        .unwrap_or_default();
    format!("{first}{}.", characters.as_str().trim_end_matches('.'))
}

/// See [`LONGEST_CHANGE`].
fn is_overdue(began: i64, now: i64) -> bool {
    now.saturating_sub(began) > LONGEST_CHANGE
}

#[cfg(test)]
mod tests;
