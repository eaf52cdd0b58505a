//! Analysis services: what looks at objects in the background, in a plugin or elsewhere (actions.md section 8).
//!
//! ```text
//! records    which services there are, and how they are set up
//! operators  what operators do with the records
//! tasks      the documents that say what became of a run, and who may see them
//! start      run_service: from a request to a task
//! leases     who works on a task of an external service: claims, renewals, releases; cancellation
//! triage     tasks because of a POST
//! sink       what a service says and does while it runs
//! runner     the queue of plugins' tasks, and who runs them
//! run        one run of a service
//! ```
//!
//! Invariants: a task is handed out, or run, once at a time, by whichever process: each change of hands is a write set
//! that holds only if the task is still what it was. A secret option reaches the service and nobody else, but for workers whose
//! user may read the control panel's services.

mod leases;
pub mod operators;
pub mod records;
mod run;
mod runner;
mod sink;
mod start;
pub mod tasks;
mod triage;

use std::sync::{Arc, LazyLock};

use bson::Bson;
use bson::oid::ObjectId;
use serde::Deserialize;
use serde_json::Value as Json;

use super::Plugins;
use super::declaration::{ActionDeclaration, ArgDeclaration, Declaration};
use super::registry::{ActionEntry, Loaded, TypeEntry};
use super::runtime::Limits;
use super::value::{Abort, Arg, Failure, Fault, Outcome};
use super::work::Work;
use crate::store::StoreError;

pub(in crate::plugins) use self::run::not_done;
pub(in crate::plugins) use self::runner::Desk;
pub(in crate::plugins) use self::sink::Sink;
pub(in crate::plugins) use self::triage::Made;

/// The name under which the host provides actions.
pub const HOST: &str = "critd";

/// The host's own declarations.
#[derive(Deserialize)]
struct Declared {
    actions: Vec<ActionDeclaration>,
    /// Arguments of the POST that claims the next task.
    claim: Vec<ArgDeclaration>,
}

#[expect(clippy::expect_used, reason = "the text is part of this program")]
static DECLARED: LazyLock<Declared> =
    LazyLock::new(|| serde_json::from_str(include_str!("declared.json")).expect("a declaration"));

/// The host's actions, where `tasks` is the name of the type of tasks.
pub(in crate::plugins) fn actions(tasks: &str) -> Vec<ActionDeclaration> {
    let mut actions = DECLARED.actions.clone();
    for pattern in actions.iter_mut().flat_map(|action| &mut action.on) {
        if pattern == "{tasks}" {
            tasks.clone_into(pattern);
        }
    }
    actions
}

/// Arguments of the POST that claims the next task (rule SVC-20).
pub(in crate::plugins) fn claim_arguments() -> Vec<ArgDeclaration> {
    DECLARED.claim.clone()
}

/// The host, as the plugin that provides its actions.
pub(in crate::plugins) fn host() -> &'static Arc<Loaded> {
    static LOADED: LazyLock<Arc<Loaded>> = LazyLock::new(|| {
        let version = semver::Version::parse(env!("CARGO_PKG_VERSION"));
        Arc::new(Loaded {
            declaration: Arc::new(Declaration {
                format: 1,
                contract: "1.0".to_owned(),
                name: HOST.to_owned(),
                version: version.unwrap_or(semver::Version::new(0, 0, 0)),
                summary: "The server itself.".to_owned(),
                types: Vec::new(),
                actions: Vec::new(),
                services: Vec::new(),
                needs: Default::default(),
                limits: Default::default(),
            }),
            text: "".into(),
            sha256: String::new(),
            limits: Limits::default(),
            service_limits: Limits::OF_SERVICES,
            code: None,
        })
    });
    &LOADED
}

/// How the host's own handler ended.
pub(in crate::plugins) type Ended = (Box<Work>, Result<Outcome, Fault>);

/// Carries out one of the host's actions on the document of the call.
///
/// # Errors
///
/// The transaction is gone.
pub(in crate::plugins) async fn act(
    mut work: Box<Work>,
    action: &str,
    args: &[Arg],
) -> Result<Ended, Abort> {
    let answer = match action {
        "run_service" => start::run_service(&mut work, args).await,
        "claim_task" => leases::claim(&mut work, args).await,
        "renew_lease" => leases::renew(&mut work, args).await,
        "release_task" => leases::release(&mut work, args),
        "cancel_task" => leases::cancel(&mut work),
        other => Err(Fault::Internal(format!("the host has no action `{other}`")).into()),
    };
    ended(work, answer)
}

/// The POST that claims the next task.
///
/// # Errors
///
/// The transaction is gone.
pub(in crate::plugins) async fn claim_next(
    mut work: Box<Work>,
    args: &[Arg],
) -> Result<Ended, Abort> {
    let answer = leases::claim_next(&mut work, args).await;
    ended(work, answer)
}

fn ended(work: Box<Work>, answer: Result<Outcome, Failure>) -> Result<Ended, Abort> {
    match answer {
        Ok(outcome) => Ok((work, Ok(outcome))),
        Err(Failure::Fault(fault)) => Ok((work, Err(fault))),
        Err(Failure::Abort(abort)) => Err(abort),
    }
}

/// Does the answer of an action hold what must not be kept with an `Idempotency-Key`?
pub(in crate::plugins) fn answers_secrets(action: &str) -> bool {
    action == "claim_task"
}

/// May the caller see the object of the task that the call is about (rule SVC-19)?
///
/// # Errors
///
/// The store's; a budget.
pub(in crate::plugins) async fn sees_object(work: &mut Work) -> Result<bool, Failure> {
    let number = work.current()?;
    let of = work.field(number, tasks::OBJECT_TYPE)?;
    let id = work.field(number, tasks::OBJECT_ID)?;
    let (Some(Bson::String(of)), Some(Bson::String(id))) = (of, id) else {
        return Ok(false);
    };
    let registry = Arc::clone(&work.request().registry);
    match (registry.type_named(&of), ObjectId::parse_str(id)) {
        (Some(of), Ok(id)) => Ok(work.opened(of, id).await?.is_some()),
        _ => Ok(false),
    }
}

/// So many seconds an action's answer waits for the end of the task that it starts.
pub(in crate::plugins) fn wait_of(action: &ActionEntry, args: &[Arg]) -> Option<u64> {
    let is_own = action.plugin == HOST;
    let seconds = number(args, "wait").filter(|_| is_own)?;
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)
}

impl Plugins {
    /// Waits for the end of the task that an answer tells of, and puts its status then into the answer.
    pub(in crate::plugins) async fn await_in_answer(&self, outcome: &mut Outcome, seconds: u64) {
        let Ok(mut extra) = serde_json::from_str::<Json>(&outcome.extra) else {
            return;
        };
        let Some(task) = extra["object"]["analysis_id"].as_str() else {
            return;
        };
        self.desk.wake();
        if let Some(status) = self.await_task(task, seconds).await {
            extra["object"]["status"] = status.into();
            outcome.extra = extra.to_string();
        }
    }

    /// Rule SVC-27, before tasks are looked at; `now` in UTC.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn sweep_leases(&self, of: &TypeEntry, now: i64) -> Result<(), StoreError> {
        let now = self.services.registers.zones().stored(now);
        leases::sweep(self.services.store.as_ref(), of, now).await
    }
}

/// A text argument.
fn text<'a>(args: &'a [Arg], name: &str) -> Option<&'a str> {
    use super::value::Value;
    args.iter().find_map(|arg| match &arg.value {
        Value::Text(text) if arg.name == name => Some(text.as_str()),
        _ => None,
    })
}

/// A whole number.
fn number(args: &[Arg], name: &str) -> Option<i64> {
    use super::value::Value;
    args.iter().find_map(|arg| match arg.value {
        Value::Int(number) if arg.name == name => Some(number),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_declarations_are_sound() {
        let actions = actions("Task");
        let names: Vec<&str> = actions.iter().map(|action| action.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "run_service",
                "claim_task",
                "renew_lease",
                "release_task",
                "cancel_task"
            ]
        );
        assert!(actions[1].is_specific_to("Task") && actions[0].applies_to("Event"));
        assert_eq!(claim_arguments().len(), 4);
        assert_eq!(host().declaration.name, HOST);
    }
}
