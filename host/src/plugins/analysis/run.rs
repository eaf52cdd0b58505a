//! One run of a plugin's service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use serde_json::Value as Json;
use tokio::sync::{Mutex, watch};

use super::runner::{BELIEVED, usable};
use super::sink::Sink;
use super::start::text_of;
use super::tasks::{self, RUN, level, line, path};
use crate::access::Caller;
use crate::dates;
use crate::plugins::perform::new_request;
use crate::plugins::registry::Registry;
use crate::plugins::runtime;
use crate::plugins::value::{Abort, Arg, Failure, Fault, Outcome, json_to_bson};
use crate::plugins::work::{Budgets, Eyes, Relation, Work};
use crate::plugins::{NotDone, Plugins};
use crate::store::{CommitError, DocKey, DocRead, Op, StagedFile, Write, WriteSet};

/// How often the task is looked at: was it cancelled, is it still ours?
const BEAT: Duration = Duration::from_millis(500);
/// So many beats lie between two signs of life.
const BEATS_OF_LIFE: u32 = 10;
/// So long a service may go on when it was cancelled.
const GRACE: Duration = Duration::from_secs(5);
/// Results of a task (contract).
const MOST_RESULTS: usize = 10_000;
/// Bytes of a task's results; documents of a store are not larger than 16 MiB in all.
const MOST_BYTES: usize = 15 << 20;
/// Bytes of a task's log.
const MOST_LOG: usize = 512 << 10;
/// Longest line of the log in bytes.
const LONGEST_LINE: usize = 4 << 10;
/// Results and lines are stored together as long as they come faster than this.
const TOGETHER: Duration = Duration::from_millis(50);
/// Who asks again within this time waits a little.
const OFTEN: Duration = Duration::from_millis(20);
/// How often something is stored in spite of others' changes.
const ATTEMPTS: u32 = 8;

/// A task that this process has taken.
pub(super) struct Taken {
    pub(super) document: DocKey,
    /// As it was before.
    pub(super) body: Document,
    /// The name of this run.
    pub(super) owner: String,
}

/// See the module text.
pub(super) struct Run {
    plugins: Arc<Plugins>,
    /// The set that the run began with; it keeps it, whatever is loaded meanwhile.
    registry: Arc<Registry>,
    task: Taken,
    analyst: Mutex<Option<Arc<Caller>>>,
    /// A line of level error or critical was written.
    has_failed: AtomicBool,
    pending: Mutex<Pending>,
    /// When the service asked last whether it was cancelled.
    asked: Mutex<Option<Instant>>,
}

/// What is not stored yet, and what was stored so far.
#[derive(Default)]
struct Pending {
    operations: Vec<Op>,
    since: Option<Instant>,
    results: usize,
    bytes: usize,
    log: usize,
}

/// Why a run came to no end of its own.
enum Broken {
    /// Told to the user.
    Failed(String),
    /// The task is no longer this run's.
    Lost,
    /// The server stops.
    Stopped,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fault(fault) => Self::Failed(text_of(fault)),
            Failure::Abort(abort) => abort.into(),
        }
    }
}

impl From<Abort> for Broken {
    fn from(abort: Abort) -> Self {
        match abort {
            Abort::Conflict(_) => Self::Lost,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl Run {
    pub(super) fn new(plugins: Arc<Plugins>, registry: Arc<Registry>, task: Taken) -> Arc<Self> {
        Arc::new(Self {
            plugins,
            registry,
            task,
            analyst: Mutex::new(None),
            has_failed: AtomicBool::new(false),
            pending: Mutex::default(),
            asked: Mutex::new(None),
        })
    }

    fn text(&self, field: &str) -> &str {
        self.task.body.get_str(field).unwrap_or_default()
    }

    fn now(&self) -> String {
        let zones = self.plugins.services.registers.zones();
        dates::text(zones.stored(dates::now()))
    }

    /// Runs the service to its end and stores what it came to.
    pub(super) async fn carry_out(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let service = self.text("service_name").to_owned();
        let outcome = tokio::select! {
            outcome = Arc::clone(&self).analyse() => outcome,
            broken = self.keep() => Err(broken),
            _ = stopping.wait_for(|stopping| *stopping) => Err(Broken::Stopped),
        };
        let task = self.id();
        let stored = match &outcome {
            Err(Broken::Lost) => return,
            Err(Broken::Stopped) => self.give_back().await,
            Ok(said) => self.end(Ok(said)).await,
            Err(Broken::Failed(reason)) => {
                tracing::warn!(service, task, "a run failed: {reason}");
                self.end(Err(reason)).await
            }
        };
        if let Err(Failure::Abort(abort)) = stored {
            tracing::error!(
                service,
                task,
                "the end of a run could not be stored: {abort}"
            );
        }
    }

    /// The service's last words.
    async fn analyse(self: Arc<Self>) -> Result<String, Broken> {
        let failed = |text: &str| Broken::Failed(text.to_owned());
        let store = Arc::clone(&self.plugins.services.store);
        let name = self.text("service_name").to_owned();
        let service = self
            .registry
            .service(&name)
            .cloned()
            .ok_or_else(|| failed("Unable to get service class."))?;
        let plugin = self
            .registry
            .plugin(&service.plugin)
            .cloned()
            .ok_or_else(|| failed("Unable to get service class."))?;
        let record = usable(store.as_ref(), &name)
            .await
            .map_err(Broken::Failed)?;
        let analyst = self.text("analyst");
        let caller = self.plugins.services.access.acting_for(analyst).await;
        let caller = caller
            .map_err(|error| Broken::Failed(error.to_string()))?
            .ok_or_else(|| Broken::Failed(format!("The user {analyst} is not active.")))?;
        *self.analyst.lock().await = Some(Arc::clone(&caller));
        let (of, id) = self
            .object()
            .ok_or_else(|| failed("Could not find object."))?;
        let of = self
            .registry
            .type_named(&of)
            .cloned()
            .ok_or_else(|| failed("Unknown CRITs type."))?;
        let request = new_request(&self.plugins.services, &self.registry, &caller, Vec::new());
        let request = request.map_err(|_| failed("The server has no random numbers."))?;
        let options = record
            .resumed(
                &self.registry,
                &request.zones,
                tasks::config_of(&self.task.body),
            )
            .map_err(Broken::Failed)?;
        let budgets = Budgets {
            documents: u32::try_from(service.limits.documents).unwrap_or(u32::MAX),
            uploads: u32::try_from(service.limits.uploads).unwrap_or(u32::MAX),
            ..Budgets::default()
        };
        let sink: Arc<dyn Sink> = Arc::clone(&self) as Arc<dyn Sink>;
        let mut work = Box::new(Work::new(request, budgets));
        if !work
            .begin_service(&service, &of, id, self.eyes(), Some(sink))
            .await?
        {
            return Err(failed("Could not find object."));
        }
        let (_, answer) = runtime::analyse(work, &plugin, &name, options, service.limits).await?;
        answer.map_err(|fault| Broken::Failed(text_of(fault)))
    }

    /// Rule SVC-13: what runs because of a POST asks nobody who may see the object.
    fn eyes(&self) -> Eyes {
        match self.task.body.contains_key("triage_depth") {
            true => Eyes::Hosts,
            false => Eyes::Users,
        }
    }

    fn object(&self) -> Option<(String, ObjectId)> {
        let id = ObjectId::parse_str(self.text(tasks::OBJECT_ID)).ok()?;
        Some((self.text(tasks::OBJECT_TYPE).to_owned(), id))
    }

    /// Says again and again that the task is being run. Returns if it is not to be run any more.
    async fn keep(&self) -> Broken {
        let mut cancelled: Option<Instant> = None;
        for beat in 1_u32.. {
            tokio::time::sleep(BEAT).await;
            let _ = self.flush().await;
            match self.state().await {
                Ok(State::Ours) => {}
                Ok(State::Cancelled) => {
                    let since = *cancelled.get_or_insert_with(Instant::now);
                    if since.elapsed() > GRACE {
                        return Broken::Failed("it did not heed that it was cancelled".to_owned());
                    }
                }
                Ok(State::Lost) => return Broken::Lost,
                // The store may be back before anybody thinks the task abandoned.
                Err(_) => continue,
            }
            if beat % BEATS_OF_LIFE == 0 {
                let until = Op::Set(path("_run.until"), (dates::now() + BELIEVED).into());
                if let Err(Failure::Abort(Abort::Conflict(_))) = self.store(&[until]).await {
                    return Broken::Lost;
                }
            }
        }
        Broken::Lost
    }

    async fn state(&self) -> Result<State, Failure> {
        let DocKey { collection, id } = &self.task.document;
        let store = &self.plugins.services.store;
        let task = store.get(collection, *id).await;
        let task = task.map_err(|error| Failure::from(Abort::from(&error)))?;
        let Some(task) = task else {
            return Ok(State::Lost);
        };
        let run = task.body.get_document(RUN).ok();
        let owner = run.and_then(|run| run.get_str("owner").ok());
        Ok(match task.body.get_str("status") {
            _ if owner != Some(self.task.owner.as_str()) => State::Lost,
            Ok("started") => State::Ours,
            _ => State::Cancelled,
        })
    }

    /// Changes the task, if it is still this run's.
    ///
    /// # Errors
    ///
    /// `Abort::Conflict`: it is not; a budget; the store's.
    async fn store(&self, operations: &[Op]) -> Result<(), Failure> {
        let store = &self.plugins.services.store;
        let mut attempt = 0;
        loop {
            let changes = WriteSet {
                documents: vec![DocRead {
                    document: self.task.document.clone(),
                    // The revision is not known here: what was read is looked at.
                    revision: Some(0),
                    values: vec![(
                        path("_run.owner"),
                        Some(Bson::from(self.task.owner.as_str())),
                    )],
                    searches: Vec::new(),
                }],
                writes: vec![Write::Change {
                    document: self.task.document.clone(),
                    operations: operations.to_vec(),
                }],
                ..WriteSet::default()
            };
            let failed = match store.commit(changes).await {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            attempt += 1;
            match failed {
                CommitError::Conflict(what) => {
                    let is_lost = matches!(self.state().await, Ok(State::Lost));
                    if is_lost || attempt >= ATTEMPTS {
                        return Err(Abort::Conflict(what).into());
                    }
                    tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 5)).await;
                }
                CommitError::Impossible(_) | CommitError::Duplicate { .. } => return Err(full()),
                CommitError::Store(error) => return Err(Abort::from(&error).into()),
            }
        }
    }

    /// Stores what has come together.
    async fn flush(&self) -> Result<(), Failure> {
        let mut pending = self.pending.lock().await;
        pending.since = None;
        let operations = std::mem::take(&mut pending.operations);
        match operations.is_empty() {
            true => Ok(()),
            false => self.store(&operations).await,
        }
    }

    /// Takes an operation up; it is stored soon, together with those that come at the same time.
    async fn add(
        &self,
        mut pending: tokio::sync::MutexGuard<'_, Pending>,
        operation: Op,
    ) -> Result<(), Failure> {
        pending.operations.push(operation);
        let since = *pending.since.get_or_insert_with(Instant::now);
        if since.elapsed() < TOGETHER
            && pending.operations.len() > 1
            && pending.operations.len() < 500
        {
            return Ok(());
        }
        pending.since = Some(Instant::now());
        let operations = std::mem::take(&mut pending.operations);
        self.store(&operations).await
    }

    /// Rules SVC-7, SVC-8.
    async fn end(&self, outcome: Result<&str, &str>) -> Result<(), Failure> {
        let flushed = self.flush().await;
        let now = self.now();
        let mut operations = Vec::new();
        let mut say = |level: &str, text: &str| {
            operations.push(Op::Push(path("log"), line(level, text, &now).into()));
        };
        match outcome {
            Ok(said) => {
                if !said.trim().is_empty() {
                    say("info", cut(said));
                }
                say("info", "Analysis complete");
            }
            Err(reason) => say("error", cut(&format!("Error running service: {reason}"))),
        }
        let is_failure = outcome.is_err() || self.has_failed.load(Ordering::Relaxed);
        // What was cancelled has ended already.
        if matches!(self.state().await?, State::Ours) {
            let status = if is_failure { "error" } else { "completed" };
            operations.push(Op::Set(path("status"), status.into()));
            operations.push(Op::Set(path("finish_date"), now.as_str().into()));
        } else {
            operations.clear();
        }
        operations.push(Op::Unset(path(RUN)));
        let stored = self.store(&operations).await;
        if matches!(stored, Err(Failure::Fault(_))) {
            // There is no room for the last words.
            operations.retain(|operation| !matches!(operation, Op::Push(..)));
            return self.store(&operations).await;
        }
        flushed.and(stored)
    }

    /// For the next process: this attempt does not count.
    async fn give_back(&self) -> Result<(), Failure> {
        let before = self.task.body.get_document(RUN).ok();
        let attempts = before.and_then(|run| run.get_i64("attempts").ok());
        let run = doc! { "until": 0_i64, "attempts": attempts.unwrap_or_default() };
        self.store(&[
            Op::Set(path("results"), Bson::Array(Vec::new())),
            Op::Set(path(RUN), run.into()),
        ])
        .await
    }

    async fn caller(&self) -> Result<Arc<Caller>, Failure> {
        let caller = self.analyst.lock().await.clone();
        caller.ok_or_else(|| Fault::Internal("nobody to act for".to_owned()).into())
    }
}

/// A task holds no more.
fn full() -> Failure {
    let message = "The task has as many results and lines as it can have.";
    Fault::Refused("limit".to_owned(), message.to_owned()).into()
}

/// What has become of the task.
enum State {
    Ours,
    Cancelled,
    Lost,
}

/// At most so much of a line, whole characters.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_LINE)]
}

#[async_trait]
impl Sink for Run {
    fn id(&self) -> String {
        self.text(tasks::ANALYSIS_ID).to_owned()
    }

    async fn add_result(&self, subtype: &str, text: &str, details: &str) -> Result<(), Failure> {
        let mut result = match details.trim() {
            "" => Document::new(),
            details => details_of(details)?,
        };
        result.insert("subtype", subtype);
        result.insert("result", text);
        let mut pending = self.pending.lock().await;
        pending.results += 1;
        pending.bytes += subtype.len() + text.len() + details.len() + 64;
        if pending.results > MOST_RESULTS || pending.bytes > MOST_BYTES {
            return Err(full());
        }
        self.add(pending, Op::Push(path("results"), result.into()))
            .await
    }

    async fn note(&self, number: u8, message: &str) -> Result<(), Failure> {
        if number >= 3 {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        let message = cut(message);
        let mut pending = self.pending.lock().await;
        pending.log += message.len() + 128;
        if pending.log > MOST_LOG {
            return Err(full());
        }
        let said = line(level(number), message, &self.now());
        self.add(pending, Op::Push(path("log"), said.into())).await
    }

    async fn is_cancelled(&self) -> Result<bool, Failure> {
        // Whoever asks without end asks no more than a thousand times a second.
        let asked = self.asked.lock().await.replace(Instant::now());
        if asked.is_some_and(|asked| asked.elapsed() < OFTEN) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.flush().await?;
        match self.state().await? {
            State::Ours => Ok(false),
            State::Cancelled => Ok(true),
            State::Lost => Err(Abort::Conflict("the task".to_owned()).into()),
        }
    }

    async fn create(
        &self,
        type_name: &str,
        args: Vec<Arg>,
        files: Vec<Arc<StagedFile>>,
    ) -> Result<(Outcome, Option<(String, ObjectId)>), Failure> {
        let caller = self.caller().await?;
        let depth = self
            .task
            .body
            .get("triage_depth")
            .map_or(0, |depth| match depth {
                Bson::Int32(depth) => i64::from(*depth),
                Bson::Int64(depth) => *depth,
                _ => 0,
            });
        self.plugins
            .create_in_service(&self.registry, &caller, type_name, args, files, depth + 1)
            .await
    }

    async fn relate(
        &self,
        left: (String, ObjectId),
        relationship: &str,
        right: (String, ObjectId),
        details: Vec<Arg>,
    ) -> Result<Relation, Failure> {
        let caller = self.caller().await?;
        let services = &self.plugins.services;
        let request = new_request(services, &self.registry, &caller, Vec::new());
        let request = request.map_err(not_done)?;
        for attempt in 1..=ATTEMPTS {
            let mut work = Work::new(Arc::clone(&request), Budgets::default());
            work.begin_own(&["other:*".to_owned()]);
            let mut numbers = Vec::new();
            for object in [&left, &right] {
                let eyes = match self.object().as_ref() == Some(object) {
                    true => self.eyes(),
                    false => Eyes::Users,
                };
                numbers.push(work.opened_with(eyes, &object.0, object.1).await?);
            }
            let relation = work
                .relate(numbers[0], relationship, numbers[1], &details)
                .await?;
            let changes = work.into_write_set().await?;
            match services.store.commit(changes).await {
                Ok(()) => return Ok(relation),
                Err(CommitError::Conflict(_)) => {
                    tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 5)).await;
                }
                Err(CommitError::Store(error)) => return Err(Abort::from(&error).into()),
                Err(error) => return Err(Abort::Store(error.to_string()).into()),
            }
        }
        Err(
            Abort::Unavailable("a relationship met other changes again and again".to_owned())
                .into(),
        )
    }
}

/// Details of a result: a JSON object.
fn details_of(text: &str) -> Result<Document, Failure> {
    let wrong = |reason: String| Failure::from(Fault::Invalid("details".to_owned(), reason));
    let details: Json = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    match json_to_bson(&details) {
        Ok(Bson::Document(details)) => Ok(details),
        Ok(_) => Err(wrong(
            "The details of a result are a JSON object.".to_owned(),
        )),
        Err(reason) => Err(wrong(reason)),
    }
}

/// A request within a run that was not carried out.
pub(in crate::plugins) fn not_done(not_done: NotDone) -> Failure {
    match not_done {
        NotDone::Refused(refusal) => Failure::Fault(refusal.into()),
        NotDone::NoDocument => Fault::Missing("Not found.".to_owned()).into(),
        NotDone::Internal(reason) => Abort::Store(reason).into(),
        NotDone::Busy(reason) => Abort::Unavailable(reason).into(),
    }
}
