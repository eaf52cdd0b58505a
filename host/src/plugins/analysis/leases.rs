//! Who works on a task of an external service (rules SVC-20 to SVC-30).
//!
//! A lease is the fields `lease` (worker, end), which everybody who sees the task sees, and `_lease` (the digest of the token,
//! worker, length), by which its holder is known. The second stays when a lease ends, until another worker has the task:
//! whoever is late may renew (rule SVC-25), and may report an end once more.

use std::collections::HashMap;
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use serde_json::{Map, Value as Json, json};

use super::records::{self, Record};
use super::start::admin_failed;
use super::tasks::{self, LEASE, digest, is, line, path};
use super::{number, text};
use crate::dates;
use crate::plugins::registry::TypeEntry;
use crate::plugins::value::{Abort, Arg, Failure, Fault, Outcome, Value};
use crate::plugins::work::{DocNumber, Work};
use crate::store::{
    CommitError, Direction, DocKey, DocRead, Filter, ListQuery, Op, SortKey, Store, StoreError,
    StoredDocument, Test, Visible, Write, WriteSet,
};

/// Rule SVC-24, in seconds.
const SHORTEST: i64 = 10;
const LONGEST: i64 = 86_400;
const USUAL: i64 = 300;
/// So many tasks are looked at together.
const PAGE: u32 = 100;
/// The flag with which other users' tasks may be cancelled (rule SVC-22).
const CANCEL: &str = "control_panel_services_edit";
/// The flag with which secrets of services may be read (rule SVC-20).
const SECRETS: &str = "control_panel_services_read";

const CLAIMED: &str = "Task is already claimed.";
const LOST: &str = "Lease lost.";

/// The fields of a task that these rules are about.
struct State {
    number: DocNumber,
    object_type: String,
    object_id: String,
    analysis_id: String,
    service: String,
    status: String,
    is_external: bool,
    /// End of the lease.
    expires: Option<String>,
    attempts: i64,
}

impl State {
    fn read(work: &mut Work, number: DocNumber) -> Result<Self, Failure> {
        Ok(Self {
            number,
            object_type: text_at(work, number, tasks::OBJECT_TYPE)?,
            object_id: text_at(work, number, tasks::OBJECT_ID)?,
            analysis_id: text_at(work, number, tasks::ANALYSIS_ID)?,
            service: text_at(work, number, "service_name")?,
            status: text_at(work, number, "status")?,
            is_external: work.field(number, "distributed")? == Some(Bson::Boolean(true)),
            expires: match work.field(number, "lease.expires")? {
                Some(Bson::String(text)) => Some(text),
                _ => None,
            },
            attempts: work.field(number, "attempts")?.as_ref().map_or(0, whole),
        })
    }

    fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "error")
    }

    /// Rule SVC-23.
    fn is_free(&self, now: &str) -> bool {
        let expired = || self.expires.as_deref().is_some_and(|expires| expires < now);
        self.status == "created" || self.status == "started" && expired()
    }
}

fn text_at(work: &mut Work, number: DocNumber, field: &'static str) -> Result<String, Failure> {
    Ok(match work.field(number, field)? {
        Some(Bson::String(text)) => text,
        _ => String::new(),
    })
}

fn whole(value: &Bson) -> i64 {
    match value {
        Bson::Int32(number) => i64::from(*number),
        Bson::Int64(number) => *number,
        _ => 0,
    }
}

fn conflict(message: &str) -> Failure {
    Work::refused("conflict", message)
}

/// Rule SVC-22, for the task of the call.
fn task_to_work_on(work: &mut Work) -> Result<State, Failure> {
    let number = work.current()?;
    let state = State::read(work, number)?;
    let flag = format!("{}.{}", state.object_type, tasks::EXECUTE);
    if !work.request().caller.rights.may(&flag) {
        return Err(Work::refused(
            "forbidden",
            "User does not have permission to run services.",
        ));
    }
    Ok(state)
}

fn seconds(args: &[Arg], usual: i64) -> Result<i64, Failure> {
    let seconds = number(args, "lease_seconds").unwrap_or(usual);
    if (SHORTEST..=LONGEST).contains(&seconds) {
        return Ok(seconds);
    }
    let message = format!("Argument 'lease_seconds' must be between {SHORTEST} and {LONGEST}.");
    Err(Fault::Invalid("lease_seconds".to_owned(), message).into())
}

/// `claim_task`.
pub(super) async fn claim(work: &mut Work, args: &[Arg]) -> Result<Outcome, Failure> {
    let state = task_to_work_on(work)?;
    let seconds = seconds(args, USUAL)?;
    let now = dates::text(work.now());
    if !state.is_external {
        return Err(conflict("Only tasks of external services can be claimed."));
    }
    if state.has_ended() {
        return Err(conflict("Task has ended already."));
    }
    if !state.is_free(&now) {
        return Err(conflict(CLAIMED));
    }
    let store = Arc::clone(&work.request().services.store);
    let record = records::named(store.as_ref(), &state.service)
        .await
        .map_err(admin_failed)?;
    let Some(record) = record.filter(Record::is_usable) else {
        let message = format!("Service {} is unknown or not enabled.", state.service);
        return Err(Work::refused("unavailable", message));
    };
    if state.attempts >= record.max_attempts {
        // A sweep will say so in the task.
        return Err(conflict("Task has been tried too often."));
    }
    let object = take(work, &state, &record, args, seconds)?;
    Ok(Outcome {
        document: None,
        message: "Task claimed.".to_owned(),
        extra: json!({ "object": object }).to_string(),
    })
}

/// Gives a free task to a worker; what it needs to know.
fn take(
    work: &mut Work,
    state: &State,
    record: &Record,
    args: &[Arg],
    seconds: i64,
) -> Result<Map<String, Json>, Failure> {
    let worker = text(args, "worker").unwrap_or_default();
    let token = hex::encode(work.random(16));
    let attempt = state.attempts + 1;
    let expires = lend(work, state.number, worker, seconds)?;
    let now = dates::text(work.now());
    work.put(
        state.number,
        Op::Set(
            path(LEASE),
            doc! { "token": digest(&token), "worker": worker, "seconds": seconds }.into(),
        ),
    )?;
    work.put(state.number, Op::Set(path("status"), "started".into()))?;
    work.put(state.number, Op::Set(path("attempts"), attempt.into()))?;
    work.put(state.number, Op::Set(path("claimed_date"), now.into()))?;
    let mut config = match work.get(state.number, "config")? {
        Some(Value::Json(text)) => serde_json::from_str(&text).unwrap_or_default(),
        _ => Map::new(),
    };
    if work.request().caller.rights.may(SECRETS) {
        let secrets = record
            .config
            .iter()
            .filter(|(name, _)| record.is_secret(name));
        config.extend(secrets.map(|(name, value)| (name.clone(), value.clone())));
    }
    Ok(Map::from_iter([
        ("analysis_id".to_owned(), state.analysis_id.as_str().into()),
        ("object_type".to_owned(), state.object_type.as_str().into()),
        ("object_id".to_owned(), state.object_id.as_str().into()),
        ("config".to_owned(), Json::Object(config)),
        ("lease_token".to_owned(), token.into()),
        ("lease_expires".to_owned(), expires.into()),
        ("attempt".to_owned(), attempt.into()),
    ]))
}

/// Writes a lease that ends so many seconds from now; when that is.
fn lend(work: &mut Work, number: DocNumber, worker: &str, seconds: i64) -> Result<String, Failure> {
    let expires = dates::text(work.now() + seconds * 1_000);
    let lease = doc! { "worker": worker, "expires": &expires };
    work.put(number, Op::Set(path("lease"), lease.into()))?;
    Ok(expires)
}

/// The holder of the present token, or of the last one, if this is it.
fn holder(work: &mut Work, state: &State, args: &[Arg]) -> Result<(String, i64), Failure> {
    let token = text(args, "lease_token").unwrap_or_default();
    let is_held = text_at(work, state.number, "_lease.token")? == digest(token);
    if !is_held || state.has_ended() {
        return Err(conflict(LOST));
    }
    let worker = text_at(work, state.number, "_lease.worker")?;
    let seconds = work.field(state.number, "_lease.seconds")?;
    Ok((worker, seconds.as_ref().map_or(USUAL, whole)))
}

/// `renew_lease`: also of a lease that has run out, as long as nobody else has the task (rule SVC-25).
pub(super) async fn renew(work: &mut Work, args: &[Arg]) -> Result<Outcome, Failure> {
    let state = task_to_work_on(work)?;
    let (worker, before) = holder(work, &state, args)?;
    let seconds = seconds(args, before)?;
    let expires = lend(work, state.number, &worker, seconds)?;
    if seconds != before {
        work.put(
            state.number,
            Op::Set(path("_lease.seconds"), seconds.into()),
        )?;
    }
    // It was put back when it ran out.
    if state.status == "created" {
        work.put(state.number, Op::Set(path("status"), "started".into()))?;
    }
    Ok(Outcome {
        document: None,
        message: "Lease renewed.".to_owned(),
        extra: json!({"object": {"analysis_id": state.analysis_id, "lease_expires": expires}})
            .to_string(),
    })
}

/// `release_task`: the attempt does not count (rule SVC-28).
pub(super) fn release(work: &mut Work, args: &[Arg]) -> Result<Outcome, Failure> {
    let state = task_to_work_on(work)?;
    holder(work, &state, args)?;
    let attempts = (state.attempts - 1).max(0);
    for operation in [
        Op::Set(path("status"), "created".into()),
        Op::Set(path("attempts"), attempts.into()),
        Op::Unset(path("lease")),
        Op::Unset(path(LEASE)),
    ] {
        work.put(state.number, operation)?;
    }
    Ok(ended_as("Task released.", &state, "created"))
}

/// `cancel_task` (rule SVC-22): the task's own analyst, or whoever manages services.
pub(super) fn cancel(work: &mut Work) -> Result<Outcome, Failure> {
    let number = work.current()?;
    let state = State::read(work, number)?;
    let analyst = text_at(work, number, "analyst")?;
    let user = work.user().to_owned();
    if analyst != user && !work.request().caller.rights.may(CANCEL) {
        return Err(Work::refused(
            "forbidden",
            "User does not have permission to cancel the task.",
        ));
    }
    if state.has_ended() {
        return Err(conflict("Task has ended already."));
    }
    let now = dates::text(work.now());
    let said = line("error", &format!("Cancelled by {user}."), &now);
    for operation in [
        Op::Set(path("status"), "error".into()),
        Op::Set(path("finish_date"), now.as_str().into()),
        Op::Push(path("log"), said.into()),
        Op::Unset(path("lease")),
        Op::Unset(path(LEASE)),
    ] {
        work.put(number, operation)?;
    }
    Ok(ended_as("Task cancelled.", &state, "error"))
}

fn ended_as(message: &str, state: &State, status: &str) -> Outcome {
    Outcome {
        document: None,
        message: message.to_owned(),
        extra: json!({"object": {"analysis_id": state.analysis_id, "status": status}}).to_string(),
    }
}

/// The POST that claims the next task of a service (rules SVC-20, SVC-29): the oldest that the caller may work on.
pub(super) async fn claim_next(work: &mut Work, args: &[Arg]) -> Result<Outcome, Failure> {
    let seconds = seconds(args, USUAL)?;
    let request = Arc::clone(work.request());
    let store = request.services.store.as_ref();
    let service = text(args, "service_name").unwrap_or_default();
    let nothing = || Outcome {
        message: "No pending task.".to_owned(),
        ..Outcome::default()
    };
    let wanted = text(args, "object_type");
    let workable: Vec<&Arc<TypeEntry>> = request
        .registry
        .types()
        .filter(|of| {
            let name = &of.declaration.name;
            let flag = format!("{name}.{}", tasks::EXECUTE);
            of.declaration.top_level
                && wanted.is_none_or(|wanted| wanted == name)
                && request.caller.rights.may(&flag)
        })
        .collect();
    if workable.is_empty() {
        return Err(Work::refused(
            "forbidden",
            "User does not have permission to run services.",
        ));
    }
    let record = records::named(store, service).await.map_err(admin_failed)?;
    let Some(record) = record.filter(Record::is_usable) else {
        return Ok(nothing());
    };
    let tasks = Arc::clone(
        request
            .registry
            .tasks()
            .ok_or_else(|| Fault::Internal("there is no type of tasks".to_owned()))?,
    );
    let now = dates::text(work.now());
    let names = workable
        .iter()
        .map(|of| Bson::from(of.declaration.name.as_str()));
    let pending = Filter::And(vec![
        is("status", "created"),
        is("service_name", service),
        is("distributed", true),
        Filter::Field(path(tasks::OBJECT_TYPE), Test::In(names.collect())),
    ]);
    let mut query = ListQuery {
        collection: tasks.declaration.collection.clone(),
        visible: Visible::All,
        filter: pending,
        sort: vec![SortKey {
            path: path(tasks::START),
            direction: Direction::Ascending,
        }],
        offset: 0,
        limit: PAGE,
    };
    loop {
        let page = store.uncounted(&query, None).await.map_err(store_failed)?;
        for task in &page {
            let Some((type_name, object)) = tasks::object_of(task) else {
                continue;
            };
            let Some(of) = request.registry.type_named(&type_name) else {
                continue;
            };
            if work.opened(of, object).await?.is_none() {
                continue;
            }
            let Some(number) = work.opened(&tasks, task.id).await? else {
                continue;
            };
            let state = State::read(work, number)?;
            if !state.is_free(&now) || state.attempts >= record.max_attempts {
                continue;
            }
            let object = take(work, &state, &record, args, seconds)?;
            return Ok(Outcome {
                document: Some(number),
                message: "Task claimed.".to_owned(),
                extra: Json::Object(object).to_string(),
            });
        }
        if page.len() < PAGE as usize {
            return Ok(nothing());
        }
        query.offset += u64::from(PAGE);
    }
}

fn store_failed(error: StoreError) -> Failure {
    Abort::from(&error).into()
}

/// Rule SVC-27: tasks whose leases have run out are there for others again, or have been tried too often. To be called
/// before tasks are looked at; `now`: in the form of stored dates.
///
/// # Errors
///
/// The store's.
pub(in crate::plugins) async fn sweep(
    store: &dyn Store,
    of: &TypeEntry,
    now: i64,
) -> Result<(), StoreError> {
    let now = dates::text(now);
    let expired = Filter::And(vec![
        Filter::Field(path("lease.expires"), Test::Lt(now.as_str().into())),
        is("status", "started"),
    ]);
    let collection = &of.declaration.collection;
    let mut limits: HashMap<String, i64> = HashMap::new();
    let mut after: Option<ObjectId> = None;
    loop {
        let ids = store.select(collection, &expired, after, PAGE).await?;
        for task in store.get_many(collection, &ids).await? {
            let service = task.body.get_str("service_name").unwrap_or_default();
            if !limits.contains_key(service) {
                let record = records::named(store, service).await.ok().flatten();
                let most = record.map_or(3, |record| record.max_attempts);
                limits.insert(service.to_owned(), most);
            }
            let most = limits.get(service).copied().unwrap_or_default();
            match store.commit(expire(collection, &task, most, &now)).await {
                // Somebody else was faster: the worker, or another process that swept.
                Ok(()) | Err(CommitError::Conflict(_)) => {}
                Err(CommitError::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::error!(task = %task.id, "a lease could not be ended: {error}")
                }
            }
        }
        match ids.last() {
            Some(last) if ids.len() == PAGE as usize => after = Some(*last),
            _ => return Ok(()),
        }
    }
}

/// What becomes of a task whose lease has run out.
fn expire(collection: &str, task: &StoredDocument, most: i64, now: &str) -> WriteSet {
    let body = Document::try_from(task.body.as_ref()).unwrap_or_default();
    let document = DocKey {
        collection: collection.to_owned(),
        id: task.id,
    };
    let attempts = body.get("attempts").map_or(0, whole);
    let operations = if attempts < most {
        vec![
            Op::Set(path("status"), "created".into()),
            Op::Unset(path("lease")),
        ]
    } else {
        let said = format!("Lease expired {attempts} times.");
        vec![
            Op::Set(path("status"), "error".into()),
            Op::Set(path("finish_date"), now.into()),
            Op::Push(path("log"), line("error", &said, now).into()),
            Op::Unset(path("lease")),
            Op::Unset(path(LEASE)),
        ]
    };
    let lease = body.get("lease").cloned();
    WriteSet {
        documents: vec![DocRead {
            document: document.clone(),
            revision: Some(task.revision),
            values: vec![
                (path("status"), body.get("status").cloned()),
                (path("lease"), lease),
            ],
            searches: Vec::new(),
        }],
        writes: vec![Write::Change {
            document,
            operations,
        }],
        ..WriteSet::default()
    }
}
