//! Tasks of plugins' services, run in the background: a few at a time, each by one process, ended at its deadline.
//!
//! The queue is the store: a task that has `_run` waits, or is run by the process that `_run` names until the time it says.
//! A process that runs a task says so again and again; a task whose process has gone silent is begun anew by whoever finds it
//! first, so it survives the end of any process. One that has outlived too many is given up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, Document};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::records::{self, Record};
use super::run::{Run, Taken};
use super::tasks::{self, RUN, is, line, path};
use super::triage;
use crate::dates;
use crate::plugins::Plugins;
use crate::store::{
    CommitError, Direction, DocKey, DocRead, Filter, KeyValue, ListQuery, Op, SortKey, Store,
    StoreError, StoredDocument, Test, Visible, Write, WriteSet,
};

/// How often tasks of others are looked for.
const ROUND: Duration = Duration::from_secs(1);
/// So long (ms) a process that runs a task is believed to, after each sign of life.
pub(super) const BELIEVED: i64 = 20_000;
/// So many processes may end over a task.
const MOST_ATTEMPTS: i64 = 3;
/// Tasks that are looked at together.
const PAGE: u32 = 64;

/// What all parts of the server share about tasks.
pub(in crate::plugins) struct Desk {
    /// There may be something to do.
    news: Notify,
    /// The server is to stop.
    stopping: watch::Sender<bool>,
    /// Services that run on new objects, as of one administrative revision.
    triaging: Mutex<Option<(u64, Arc<Vec<Record>>)>>,
    /// Threads for what nobody waits for.
    threads: Option<tokio::runtime::Runtime>,
    /// No other process runs tasks of this store.
    is_alone: bool,
}

impl Desk {
    /// `is_alone`: no other process serves the same store.
    ///
    /// # Errors
    ///
    /// No threads to be had.
    pub(in crate::plugins) fn new(is_alone: bool) -> std::io::Result<Self> {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("critd-service")
            .enable_all()
            .build()?;
        Ok(Self {
            news: Notify::new(),
            stopping: watch::Sender::new(false),
            triaging: Mutex::new(None),
            threads: Some(threads),
            is_alone,
        })
    }

    /// Says that there may be a task to run.
    pub(in crate::plugins) fn wake(&self) {
        self.news.notify_one();
    }

    /// Carries something out on threads of its own, whether or not anybody waits for it.
    pub(super) fn background<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        Some(self.threads.as_ref()?.spawn(work))
    }

    /// The services that run on new objects, by name. What can't be read is logged: there are none then.
    pub(super) async fn triaging(&self, store: &dyn Store) -> Arc<Vec<Record>> {
        let known = async {
            let revision = store.administrative_revision().await?;
            if let Some((of, records)) = &*self.triaging.lock()
                && *of == revision
            {
                return Ok(Arc::clone(records));
            }
            let records = Arc::new(triage::triaging(store).await?);
            *self.triaging.lock() = Some((revision, Arc::clone(&records)));
            Ok::<_, StoreError>(records)
        };
        known.await.unwrap_or_else(|error| {
            tracing::warn!("no analysis of new objects: {error}");
            Arc::default()
        })
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Waiting for the threads here would stop whoever drops the last handle, perhaps a thread of a runtime.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

impl Plugins {
    /// Runs tasks until [`Plugins::stop_tasks`].
    pub async fn run_tasks(self: Arc<Self>) {
        let mut stopping = self.desk.stopping.subscribe();
        let mut running = JoinSet::new();
        let mut queue = Queue {
            is_first: self.desk.is_alone,
            waiting: VecDeque::new(),
        };
        loop {
            while let Some(done) = running.try_join_next() {
                log_broken(done);
            }
            if let Err(error) = self.begin_some(&mut queue, &mut running).await {
                tracing::warn!("no task of a service was begun: {error}");
            }
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => break,
                Some(done) = running.join_next(), if !running.is_empty() => log_broken(done),
                () = self.desk.news.notified() => {}
                () = tokio::time::sleep(ROUND) => {}
            }
        }
        // Each gives its task back: the next process begins it anew.
        while let Some(done) = running.join_next().await {
            log_broken(done);
        }
    }

    /// Ends what runs in the background; [`Plugins::run_tasks`] returns soon.
    pub fn stop_tasks(&self) {
        self.desk.stopping.send_replace(true);
    }

    /// Begins as many tasks as may run at once.
    async fn begin_some(
        self: &Arc<Self>,
        queue: &mut Queue,
        running: &mut JoinSet<()>,
    ) -> Result<(), StoreError> {
        let settings = self.services.registers.current().await?;
        let most = settings.number("services_at_once").unwrap_or(1);
        while (running.len() as u64) < most {
            let Some(task) = self.next(queue).await? else {
                return Ok(());
            };
            let Some(run) = self.take(&task).await? else {
                continue;
            };
            let stopping = self.desk.stopping.subscribe();
            if let Some(threads) = &self.desk.threads {
                running.spawn_on(run.carry_out(stopping), threads.handle());
            }
        }
        Ok(())
    }

    /// The next task that seems to wait, the oldest first.
    async fn next(&self, queue: &mut Queue) -> Result<Option<StoredDocument>, StoreError> {
        if let Some(task) = queue.waiting.pop_front() {
            return Ok(Some(task));
        }
        let registry = self.current();
        let Some(of) = registry.tasks() else {
            return Ok(None);
        };
        let mut waiting = vec![
            is("status", "started"),
            Filter::Field(path("_run.until"), Test::Exists(true)),
        ];
        if !std::mem::take(&mut queue.is_first) {
            waiting.push(Filter::Field(
                path("_run.until"),
                Test::Lt(dates::now().into()),
            ));
        }
        let query = ListQuery {
            collection: of.declaration.collection.clone(),
            visible: Visible::All,
            filter: Filter::And(waiting),
            sort: vec![SortKey {
                path: path(tasks::START),
                direction: Direction::Ascending,
            }],
            offset: 0,
            limit: PAGE,
        };
        queue.waiting = self.services.store.uncounted(&query, None).await?.into();
        Ok(queue.waiting.pop_front())
    }

    /// Makes this process the one that runs a task; none if another was faster, or the task can't be run.
    async fn take(self: &Arc<Self>, task: &StoredDocument) -> Result<Option<Arc<Run>>, StoreError> {
        let registry = self.current();
        let Some(of) = registry.tasks().cloned() else {
            return Ok(None);
        };
        let Ok(body) = Document::try_from(task.body.as_ref()) else {
            return Ok(None);
        };
        let run = body.get_document(RUN).ok();
        let before = run.and_then(|run| run.get_i64("attempts").ok());
        let attempts = before.unwrap_or_default() + 1;
        let zones = self.services.registers.zones();
        let now = dates::text(zones.stored(dates::now()));
        let document = DocKey {
            collection: of.declaration.collection.clone(),
            id: task.id,
        };
        let owner = random_name();
        let mut operations = Vec::new();
        let is_given_up = attempts > MOST_ATTEMPTS;
        if is_given_up {
            let said = format!("The server ended {} times while it ran.", attempts - 1);
            operations.push(Op::Push(path("log"), line("error", &said, &now).into()));
            operations.push(Op::Set(path("status"), "error".into()));
            operations.push(Op::Set(path("finish_date"), now.as_str().into()));
            operations.push(Op::Unset(path(RUN)));
        } else {
            let until = dates::now() + BELIEVED;
            let run = bson::doc! { "owner": &owner, "until": until, "attempts": attempts };
            operations.push(Op::Set(path(RUN), run.into()));
            if attempts > 1 {
                // What the run before has found, it will find again.
                let said = "Begun anew: the server that ran it has ended.";
                operations.push(Op::Set(path("results"), Bson::Array(Vec::new())));
                operations.push(Op::Push(path("log"), line("warning", said, &now).into()));
            }
        }
        let seen = |field: &'static str| (path(field), body.get(field).cloned());
        let changes = WriteSet {
            documents: vec![DocRead {
                document: document.clone(),
                revision: Some(task.revision),
                values: vec![seen("status"), seen(RUN)],
                searches: Vec::new(),
            }],
            writes: vec![Write::Change {
                document: document.clone(),
                operations,
            }],
            ..WriteSet::default()
        };
        match self.services.store.commit(changes).await {
            Ok(()) if is_given_up => return Ok(None),
            Ok(()) => {}
            Err(CommitError::Store(error)) => return Err(error),
            Err(CommitError::Conflict(_)) => return Ok(None),
            Err(error) => {
                tracing::error!(task = %task.id, "a task could not be begun: {error}");
                return Ok(None);
            }
        }
        Ok(Some(Run::new(
            Arc::clone(self),
            registry,
            Taken {
                document,
                body,
                owner,
            },
        )))
    }

    /// Waits until a task has ended, or the time is up; its status then.
    pub(super) async fn await_task(&self, analysis_id: &str, seconds: u64) -> Option<String> {
        let registry = self.current();
        let key = KeyValue {
            collection: registry.tasks()?.declaration.collection.clone(),
            parts: vec![(path(tasks::ANALYSIS_ID), analysis_id.into())],
        };
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
        let mut pause = Duration::from_millis(5);
        loop {
            let task = self.services.store.by_key(&key).await.ok()??;
            let status = task.body.get_str("status").unwrap_or_default().to_owned();
            let is_over = tokio::time::Instant::now() + pause > end;
            if is_over || matches!(status.as_str(), "completed" | "error") {
                return Some(status);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }
}

/// Tasks that were found waiting.
struct Queue {
    /// What runs by now was begun by a process that has ended.
    is_first: bool,
    waiting: VecDeque<StoredDocument>,
}

fn log_broken(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done {
        tracing::error!("a run of a service broke the host: {error}");
    }
}

/// What distinguishes one run from all others.
fn random_name() -> String {
    let mut bytes = [0; 16];
    // Without random numbers the time has to do.
    if getrandom::fill(&mut bytes).is_err() {
        bytes[..8].copy_from_slice(&dates::now().to_be_bytes());
    }
    hex::encode(bytes)
}

/// The record of a task's service, if it may run.
pub(super) async fn usable(store: &dyn Store, name: &str) -> Result<Record, String> {
    let record = records::named(store, name).await;
    let record = record.map_err(|error| error.to_string())?;
    record
        .filter(Record::is_usable)
        .ok_or_else(|| format!("Service {name} is unknown or not enabled."))
}
