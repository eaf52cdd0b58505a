//! Many POSTs to one resource, in order, in one transaction: as if they had come one after the other, with one commit. While
//! that is under way the next part of the request may run: see [`super::order`].

use std::sync::Arc;

use bson::oid::ObjectId;

use super::once::{self, Known};
use super::order::{Clock, Order, Turn};
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
use crate::plugins::value::Failure;
use crate::plugins::work::{Item, Refused, Work};
use crate::plugins::{Created, Mode, Object, Once, Params, Plugins, Together};
use crate::store::{DocKey, WriteSet};

/// The answer to each of many POSTs, in their order.
type Answers = Vec<Result<Created, NotDone>>;

/// POSTs that share a commit.
#[derive(Debug)]
pub struct Batch {
    /// In their order.
    pub objects: Vec<Object>,
    /// For all of them; `once` is each object's own.
    pub mode: Mode,
    /// What becomes of the others if one is refused.
    pub together: Together,
    /// Of the request, all batches of which share it.
    pub order: Arc<Order>,
    /// How many batches of the request come before.
    pub before: u64,
}

/// A POST that is to be carried out.
#[derive(Debug, Clone)]
struct Pending {
    position: usize,
    once: Option<Once>,
    /// A record of the key that is honoured no more.
    outdated: Option<DocKey>,
}

/// What a POST came to within a run.
enum Done {
    /// The checks on arguments and rights refused it.
    Refused(NotDone),
    /// The handler answered; with the sentences of the checks for `warnings`.
    Ran(Item, Vec<String>),
}

/// How a run over all of them ended.
enum Ran {
    Through(Box<Work>, Vec<Done>),
    /// The one at this place ended the transaction.
    Broken(usize, Failure),
}

/// What each POST of a run came to, in the order of the run.
type Outcomes = Vec<Result<(Settled, Vec<String>), NotDone>>;

/// What is the same for all runs of a batch.
struct Part<'a> {
    of: &'a Arc<TypeEntry>,
    plugin: Arc<Loaded>,
    job: Job,
    request: Arc<Request>,
    objects: &'a Arc<Vec<Object>>,
    mode: Mode,
    together: Together,
}

impl Plugins {
    /// Many POSTs to a type's resource, in order. With [`Together::Each`] one that is refused leaves the others as they are;
    /// with [`Together::All`] nothing is stored then.
    pub async fn create_many(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        of: &TypeEntry,
        batch: Batch,
    ) -> Answers {
        let Batch {
            objects,
            mode,
            together,
            order,
            before,
        } = batch;
        let count = objects.len();
        if of.declaration.tasks {
            let mut answers = Vec::with_capacity(count);
            for Object { params, .. } in objects {
                let mode = Mode { once: None, ..mode };
                answers.push(self.create(registry, caller, of, params, mode).await);
            }
            return answers;
        }
        let objects = Arc::new(objects);
        let mut turn = match order.turn(before).await {
            Ok(turn) => turn,
            Err(reason) => return (0..count).map(|_| Err(same(&reason))).collect(),
        };
        let tried = self
            .try_many(registry, caller, of, &objects, (mode, together), &mut turn)
            .await;
        match tried {
            Ok(answers) => answers,
            // The commit as a whole was refused: each by itself finds out whose fault it was.
            Err(NotDone::Refused(_)) if together == Together::Each => {
                let mut answers = Vec::with_capacity(count);
                for Object { params, once } in objects.iter() {
                    let mode = Mode {
                        once: *once,
                        ..mode
                    };
                    let created = self.create(registry, caller, of, params.clone(), mode);
                    answers.push(created.await);
                }
                answers
            }
            Err(reason) => {
                if let NotDone::Busy(_) = reason {
                    turn.give_up();
                }
                (0..count).map(|_| Err(same(&reason))).collect()
            }
        }
    }

    async fn try_many(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        of: &TypeEntry,
        objects: &Arc<Vec<Object>>,
        (mode, together): (Mode, Together),
        turn: &mut Turn<'_>,
    ) -> Result<Answers, NotDone> {
        let name = &of.declaration.name;
        let of = registry
            .type_named(name)
            .ok_or_else(|| NotDone::Internal(format!("the type `{name}` is not in the set")))?;
        let zones = self.services.registers.zones();
        let now = turn.begin().now();
        let request = self.request(registry, caller, now, zones, Vec::new())?;
        let job = Job::Create {
            of: of.clone(),
            denied: None,
        };
        let part = Part {
            of,
            plugin: plugin_of(registry, &job)?,
            job,
            request,
            objects,
            mode,
            together,
        };
        let mut answers: Vec<Option<Result<Created, NotDone>>> = Vec::new();
        answers.resize_with(objects.len(), || None);
        let mut pending: Vec<Pending> = (0..)
            .zip(objects.iter())
            .map(|(position, object)| Pending {
                position,
                once: object.once.filter(|_| !mode.dry_run),
                outdated: None,
            })
            .collect();
        let mut patience = Patience::new(&part.request);
        loop {
            self.leave_out_known(&part, &mut pending, &mut answers)
                .await?;
            let all_or_nothing = part.together == Together::All;
            if all_or_nothing && answers.iter().flatten().any(Result::is_err) {
                return Ok(nothing_stored(answers));
            }
            let mut clock = turn.begin();
            let positions = pending.iter().map(|pending| pending.position);
            let ran = self
                .run_many(&part, positions.collect(), &mut clock)
                .await?;
            turn.end(clock);
            let obstacle = match ran {
                Ran::Through(work, done) => {
                    // What handlers have read is looked at again with the commit, but not what the checks have.
                    let is_checked_out = |done: &Done| matches!(done, Done::Refused(_));
                    let is_unsure =
                        arguments::looks_up(&of.declaration) && done.iter().any(is_checked_out);
                    let outcomes = outcomes(&part, done);
                    let some_refused = outcomes.iter().any(Result::is_err);
                    let is_void = all_or_nothing && some_refused;
                    let made = match mode.dry_run || is_void {
                        true => Vec::new(),
                        false => work.made(),
                    };
                    let changes = match is_void {
                        true => Ok(work.into_read_set()),
                        false => changes(work, &part, pending.iter().zip(&outcomes)).await,
                    };
                    let was_early = turn.may_store(clock).await?;
                    if turn.is_outrun() || was_early && is_unsure {
                        turn.repeat();
                        continue;
                    }
                    turn.pass();
                    let stored = match changes {
                        Ok(changes) if is_void => {
                            self.check(changes, &part.job, patience.attempt).await
                        }
                        Ok(_) if mode.dry_run => Ok(()),
                        Ok(changes) => self.store(changes, &part, patience.attempt).await,
                        Err(again) => Err(again),
                    };
                    match stored {
                        Ok(()) => {
                            turn.leave();
                            for (pending, outcome) in pending.iter().zip(outcomes) {
                                let plugin = &part.of.plugin;
                                let created = outcome.and_then(|(settled, warnings)| {
                                    created(settled, plugin, warnings)
                                });
                                answers[pending.position] = Some(created);
                            }
                            let started = self.triage(registry, caller, made, 1).await;
                            return Ok(match is_void {
                                true => nothing_stored(answers),
                                false => telling_of(complete(answers), &started),
                            });
                        }
                        Err(Again::Conflict(what)) => what,
                        Err(Again::Final(not_done)) => return Err(not_done),
                    }
                }
                Ran::Broken(at, failure) => {
                    let was_early = turn.may_store(clock).await?;
                    if turn.is_outrun() || was_early {
                        turn.repeat();
                        continue;
                    }
                    match failed(failure, &part.plugin, &part.job) {
                        Again::Conflict(what) => what,
                        Again::Final(busy @ NotDone::Busy(_)) => return Err(busy),
                        // The others go on without it.
                        Again::Final(not_done) => {
                            let broken = pending.remove(at);
                            answers[broken.position] = Some(Err(not_done));
                            continue;
                        }
                    }
                }
            };
            turn.repeat();
            patience.wait(&part.job, &obstacle).await?;
        }
    }

    /// Runs the handler for the objects at these positions, one after the other.
    async fn run_many(
        &self,
        part: &Part<'_>,
        positions: Vec<usize>,
        clock: &mut Clock,
    ) -> Result<Ran, NotDone> {
        let _permit = self.lanes.permit().await.map_err(NotDone::Busy)?;
        let running = run(
            Arc::clone(&part.request),
            Arc::clone(&part.plugin),
            Arc::clone(part.of),
            Arc::clone(part.objects),
            positions,
            *clock,
            part.mode.dry_run,
        );
        let (ran, at) = self.lanes.run(running).await.map_err(NotDone::Internal)?;
        *clock = at;
        Ok(ran)
    }

    /// Answers those whose key was used before as they were answered then.
    async fn leave_out_known(
        &self,
        part: &Part<'_>,
        pending: &mut Vec<Pending>,
        answers: &mut [Option<Result<Created, NotDone>>],
    ) -> Result<(), NotDone> {
        if pending.iter().all(|pending| pending.once.is_none()) {
            return Ok(());
        }
        let mut others = Vec::with_capacity(pending.len());
        for mut object in std::mem::take(pending) {
            let Some(once) = object.once else {
                others.push(object);
                continue;
            };
            let now = part.request.now;
            let answer = match once::known(self.services.store.as_ref(), once, now).await {
                Ok(Known::Nothing(outdated)) => {
                    object.outdated = outdated;
                    others.push(object);
                    continue;
                }
                Ok(Known::Answered(settled)) => {
                    let params = &part.objects[object.position].params;
                    let checked = checked(&part.request, part.of, params, now).await;
                    checked.and_then(|checked| {
                        created(settled, &part.plugin.declaration.name, checked.warnings)
                    })
                }
                Err(refused @ NotDone::Refused(_)) => Err(refused),
                Err(reason) => return Err(reason),
            };
            answers[object.position] = Some(answer);
        }
        *pending = others;
        Ok(())
    }

    async fn store(&self, changes: WriteSet, part: &Part<'_>, attempt: u32) -> Result<(), Again> {
        if is_overdue(part.request.now, dates::now()) {
            let reason = format!("many times {} took longer than a change may", part.job);
            return Err(NotDone::Busy(reason).into());
        }
        self.commit(changes, &part.job, attempt).await
    }
}

/// What is to be written, with a record of each POST that has a key.
async fn changes<'p>(
    mut work: Box<Work>,
    part: &Part<'_>,
    done: impl Iterator<Item = (&'p Pending, &'p Result<(Settled, Vec<String>), NotDone>)>,
) -> Result<WriteSet, Again> {
    let now = part.request.now;
    let mut records = WriteSet::default();
    for (pending, outcome) in done {
        if let (Some(once), Ok((settled, _))) = (pending.once, outcome) {
            let (id, outdated) = (work.new_id(), pending.outdated.clone());
            once::note(&mut records, once, id, settled, outdated, now);
        }
    }
    let mut changes = work
        .into_write_set()
        .await
        .map_err(|failure| failed(failure, &part.plugin, &part.job))?;
    changes.writes.append(&mut records.writes);
    Ok(changes)
}

/// The checks on arguments and rights of a POST at a time.
async fn checked(
    request: &Request,
    of: &TypeEntry,
    params: &Params,
    now: i64,
) -> Result<Checked, NotDone> {
    let context = arguments::Context {
        caller: &request.caller,
        registry: &request.registry,
        services: &request.services,
        now: request.zones.stored(now),
        zones: &request.zones,
    };
    arguments::for_create(context, of, params).await
}

/// Runs the handler for one object after the other on one transaction. With the time at the end.
async fn run(
    request: Arc<Request>,
    plugin: Arc<Loaded>,
    of: Arc<TypeEntry>,
    objects: Arc<Vec<Object>>,
    positions: Vec<usize>,
    mut clock: Clock,
    tells: bool,
) -> (Ran, Clock) {
    let mut work = Box::new(Work::new(Arc::clone(&request), budgets(&plugin)));
    let mut all = Vec::with_capacity(positions.len());
    for (at, position) in positions.into_iter().enumerate() {
        let params = &objects[position].params;
        let done = loop {
            let checked = match checked(&request, &of, params, clock.now()).await {
                Ok(checked) => checked,
                Err(refused) => break Done::Refused(refused),
            };
            let now = request.zones.stored(clock.now());
            work.begin_item(&of, &checked.files, checked.denied, now);
            let entry = Entry::Create(of.declaration.name.clone());
            let answer;
            (work, answer) = match runtime::call(work, &plugin, entry, checked.args).await {
                Ok(ended) => ended,
                Err(abort) => return (Ran::Broken(at, abort.into()), clock),
            };
            match work.end_item(answer, tells) {
                Ok(Some(item)) => break Done::Ran(item, checked.warnings),
                Ok(None) => clock.part(),
                Err(failure) => return (Ran::Broken(at, failure), clock),
            }
        };
        all.push(done);
        clock.tick();
    }
    (Ran::Through(work, all), clock)
}

/// What a run came to, for each.
fn outcomes(part: &Part<'_>, all: Vec<Done>) -> Outcomes {
    let outcomes = all.into_iter().map(|done| {
        let (item, warnings) = match done {
            Done::Refused(not_done) => return Err(not_done),
            Done::Ran(item, warnings) => (item, warnings),
        };
        match item.answer {
            Ok((outcome, concerned)) => {
                let settled = Settled {
                    outcome,
                    concerned,
                    warnings: item.warnings,
                    operations: part.mode.dry_run.then_some(item.operations),
                    changed: Vec::new(),
                    is_repeated: false,
                    made: Vec::new(),
                };
                Ok((settled, warnings))
            }
            Err(Refused::Fault(fault, document)) => {
                Err(about(refused(fault, &part.plugin, &part.job), document))
            }
            Err(Refused::Denied(refusal)) => Err(NotDone::Refused(refusal)),
        }
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
