//! Many POSTs to one resource, in order, in one transaction: as if they had come one after the other, with one commit.

use std::sync::Arc;

use bson::oid::ObjectId;

use super::once::{self, Known};
use super::tasks::tell_of;
use super::{
    Again, Job, NotDone, Patience, Request, Settled, about, budgets, created, failed, is_overdue,
    plugin_of, refusal, refused,
};
use crate::access::Caller;
use crate::dates;
use crate::plugins::arguments::{self, Checked};
use crate::plugins::registry::{Loaded, Registry, TypeEntry};
use crate::plugins::runtime::{self, Entry};
use crate::plugins::value::{Abort, Failure};
use crate::plugins::work::{Item, Refused, Work};
use crate::plugins::{Created, Mode, Object, Once, Plugins, Together};
use crate::store::{DocKey, WriteSet};

/// The answer to each of many POSTs, in their order.
type Answers = Vec<Result<Created, NotDone>>;

/// A POST that passed the checks on arguments and rights.
struct Pending {
    position: usize,
    checked: Checked,
    now: i64,
    once: Option<Once>,
    /// A record of the key that is honoured no more.
    outdated: Option<DocKey>,
}

/// How a run over all of them ended.
enum Ran {
    Through(Box<Work>, Vec<Item>),
    /// The one at this place ended the transaction.
    Broken(usize, Failure),
}

impl Plugins {
    /// Many POSTs to a type's resource, in order. With [`Together::Each`] one that is refused leaves the others as they are;
    /// with [`Together::All`] nothing is stored then.
    pub async fn create_many(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        of: &TypeEntry,
        objects: Vec<Object>,
        mode: Mode,
        together: Together,
    ) -> Answers {
        let count = objects.len();
        if of.declaration.tasks {
            let mut answers = Vec::with_capacity(count);
            for Object { params, .. } in objects {
                let mode = Mode { once: None, ..mode };
                answers.push(self.create(registry, caller, of, params, mode).await);
            }
            return answers;
        }
        match self
            .try_many(registry, caller, of, &objects, mode, together)
            .await
        {
            Ok(answers) => answers,
            // The commit as a whole was refused: each by itself finds out whose fault it was.
            Err(NotDone::Refused(_)) if together == Together::Each => {
                let mut answers = Vec::with_capacity(count);
                for Object { params, once } in objects {
                    let mode = Mode { once, ..mode };
                    answers.push(self.create(registry, caller, of, params, mode).await);
                }
                answers
            }
            Err(reason) => (0..count).map(|_| Err(same(&reason))).collect(),
        }
    }

    async fn try_many(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        of: &TypeEntry,
        objects: &[Object],
        mode: Mode,
        together: Together,
    ) -> Result<Answers, NotDone> {
        let name = &of.declaration.name;
        let entry = registry
            .type_named(name)
            .ok_or_else(|| NotDone::Internal(format!("the type `{name}` is not in the set")))?;
        let (now, zones) = (dates::now(), self.services.registers.zones());
        let mut answers: Vec<Option<Result<Created, NotDone>>> = Vec::with_capacity(objects.len());
        let mut pending = Vec::with_capacity(objects.len());
        for (position, object) in objects.iter().enumerate() {
            // Each has a time of its own, up to the present one.
            let later = i64::try_from(objects.len() - 1 - position).unwrap_or_default();
            let context = arguments::Context {
                caller,
                registry,
                services: &self.services,
                now: zones.stored(now - later),
                zones: &zones,
            };
            match arguments::for_create(context, entry, &object.params).await {
                Ok(checked) => {
                    pending.push(Pending {
                        position,
                        checked,
                        now: context.now,
                        once: object.once.filter(|_| !mode.dry_run),
                        outdated: None,
                    });
                    answers.push(None);
                }
                Err(not_done) => answers.push(Some(Err(not_done))),
            }
        }
        let request = self.request(registry, caller, now, zones, Vec::new())?;
        let job = Job::Create {
            of: entry.clone(),
            denied: None,
        };
        let plugin = plugin_of(registry, &job)?;
        let mut patience = Patience::new(&request);
        loop {
            self.leave_out_known(&mut pending, &mut answers, &plugin, now)
                .await?;
            if together == Together::All && answers.iter().flatten().any(Result::is_err) {
                return Ok(nothing_stored(answers));
            }
            let ran = {
                let _permit = self.lanes.permit().await.map_err(NotDone::Busy)?;
                let parts = pending
                    .iter()
                    .map(|pending| (pending.checked.clone(), pending.now));
                self.lanes
                    .run(run(
                        request.clone(),
                        plugin.clone(),
                        entry.clone(),
                        parts.collect(),
                    ))
                    .await
                    .map_err(NotDone::Internal)?
            };
            let obstacle = match ran {
                Ran::Through(work, items) => {
                    let outcomes = outcomes(&plugin, &job, items, mode);
                    let some_refused = outcomes.iter().any(Result::is_err);
                    let nothing = mode.dry_run || together == Together::All && some_refused;
                    let made = match nothing {
                        true => Vec::new(),
                        false => work.made(),
                    };
                    let stored = if together == Together::All && some_refused {
                        self.check(work.into_read_set(), &job, patience.attempt)
                            .await
                    } else {
                        let done = pending.iter().zip(&outcomes);
                        self.store(work, &job, &plugin, done, mode, patience.attempt)
                            .await
                    };
                    match stored {
                        Ok(()) => {
                            for (pending, outcome) in pending.into_iter().zip(outcomes) {
                                let warnings = pending.checked.warnings;
                                answers[pending.position] =
                                    Some(outcome.and_then(|settled| {
                                        created(settled, &entry.plugin, warnings)
                                    }));
                            }
                            let started = self.triage(registry, caller, made, 1).await;
                            return Ok(match together == Together::All && some_refused {
                                true => nothing_stored(answers),
                                false => telling_of(complete(answers), &started),
                            });
                        }
                        Err(Again::Conflict(what)) => what,
                        Err(Again::Final(not_done)) => return Err(not_done),
                    }
                }
                Ran::Broken(_, Failure::Abort(Abort::Conflict(what))) => what,
                Ran::Broken(at, failure) => match failed(failure, &plugin, &job) {
                    Again::Final(busy @ NotDone::Busy(_)) => return Err(busy),
                    // The others go on without it.
                    Again::Final(not_done) => {
                        let broken = pending.remove(at);
                        answers[broken.position] = Some(Err(not_done));
                        continue;
                    }
                    Again::Conflict(what) => what,
                },
            };
            patience.wait(&job, &obstacle).await?;
        }
    }

    /// Answers those whose key was used before as they were answered then.
    async fn leave_out_known(
        &self,
        pending: &mut Vec<Pending>,
        answers: &mut [Option<Result<Created, NotDone>>],
        plugin: &Loaded,
        now: i64,
    ) -> Result<(), NotDone> {
        let mut others = Vec::with_capacity(pending.len());
        for mut object in std::mem::take(pending) {
            let Some(once) = object.once else {
                others.push(object);
                continue;
            };
            let answer = match once::known(self.services.store.as_ref(), once, now).await {
                Ok(Known::Nothing(outdated)) => {
                    object.outdated = outdated;
                    others.push(object);
                    continue;
                }
                Ok(Known::Answered(settled)) => {
                    created(settled, &plugin.declaration.name, object.checked.warnings)
                }
                Err(refused @ NotDone::Refused(_)) => Err(refused),
                Err(reason) => return Err(reason),
            };
            answers[object.position] = Some(answer);
        }
        *pending = others;
        Ok(())
    }

    async fn store<'p>(
        &self,
        mut work: Box<Work>,
        job: &Job,
        plugin: &Loaded,
        done: impl Iterator<Item = (&'p Pending, &'p Result<Settled, NotDone>)>,
        mode: Mode,
        attempt: u32,
    ) -> Result<(), Again> {
        let now = work.request().now;
        let mut records = WriteSet::default();
        for (pending, outcome) in done {
            if let (Some(once), Ok(settled)) = (pending.once, outcome) {
                let (id, outdated) = (work.new_id(), pending.outdated.clone());
                once::note(&mut records, once, id, settled, outdated, now);
            }
        }
        let mut changes = work
            .into_write_set()
            .await
            .map_err(|failure| failed(failure, plugin, job))?;
        if mode.dry_run {
            return Ok(());
        }
        if is_overdue(now, dates::now()) {
            let reason = format!("many times {job} took longer than a change may");
            return Err(NotDone::Busy(reason).into());
        }
        changes.writes.append(&mut records.writes);
        self.commit(changes, job, attempt).await
    }
}

/// Runs the handler for one after the other on one transaction.
async fn run(
    request: Arc<Request>,
    plugin: Arc<Loaded>,
    of: Arc<TypeEntry>,
    parts: Vec<(Checked, i64)>,
) -> Ran {
    let mut work = Box::new(Work::new(request, budgets(&plugin)));
    let mut items = Vec::with_capacity(parts.len());
    for (at, (part, now)) in parts.into_iter().enumerate() {
        work.begin_item(&of, &part.files, part.denied, now);
        let entry = Entry::Create(of.declaration.name.clone());
        let answer;
        (work, answer) = match runtime::call(work, &plugin, entry, part.args).await {
            Ok(ended) => ended,
            Err(abort) => return Ran::Broken(at, abort.into()),
        };
        match work.end_item(answer) {
            Ok(item) => items.push(item),
            Err(failure) => return Ran::Broken(at, failure),
        }
    }
    Ran::Through(work, items)
}

/// What a run came to, for each.
fn outcomes(
    plugin: &Loaded,
    job: &Job,
    items: Vec<Item>,
    mode: Mode,
) -> Vec<Result<Settled, NotDone>> {
    let outcomes = items.into_iter().map(|item| match item.answer {
        Ok((outcome, concerned)) => Ok(Settled {
            outcome,
            concerned,
            warnings: item.warnings,
            operations: mode.dry_run.then_some(item.operations),
            changed: Vec::new(),
            is_repeated: false,
            made: Vec::new(),
        }),
        Err(Refused::Fault(fault, document)) => Err(about(refused(fault, plugin, job), document)),
        Err(Refused::Denied(refusal)) => Err(NotDone::Refused(refusal)),
    });
    outcomes.collect()
}

/// Each answer with the tasks that were started on its object (rule SVC-14).
fn telling_of(mut answers: Answers, started: &[(ObjectId, String)]) -> Answers {
    if !started.is_empty() {
        for created in answers.iter_mut().flatten() {
            let id = created.document.as_ref().map(|(_, id)| *id);
            let own = started.iter().filter(|(object, _)| Some(*object) == id);
            tell_of(created, own.map(|(_, task)| task.clone()));
        }
    }
    answers
}

fn complete(answers: Vec<Option<Result<Created, NotDone>>>) -> Answers {
    let lost = || Err(NotDone::Internal("an object of many got no answer".into()));
    answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(lost))
        .collect()
}

/// Of many that are stored together or not at all: those that were refused say why, the others that they were not stored.
fn nothing_stored(answers: Vec<Option<Result<Created, NotDone>>>) -> Answers {
    answers
        .into_iter()
        .map(|answer| match answer {
            Some(Err(not_done)) => Err(not_done),
            _ => Err(NotDone::Refused(refusal(
                "not_stored",
                "Not stored, because another object was refused.".into(),
            ))),
        })
        .collect()
}

fn same(reason: &NotDone) -> NotDone {
    match reason {
        NotDone::Refused(refusal) => NotDone::Refused(refusal.clone()),
        NotDone::NoDocument => NotDone::NoDocument,
        NotDone::Internal(text) => NotDone::Internal(text.clone()),
        NotDone::Busy(text) => NotDone::Busy(text.clone()),
    }
}
