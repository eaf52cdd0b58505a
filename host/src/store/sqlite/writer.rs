//! The thread that writes: takes what waits into one commit (group commit), answers after it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::connection::Link;
use super::flush::{self, Rows};
use super::group::Group;
use super::schema::{self, State};
use super::{Options, Shared};
use crate::store::write::{CommitError, WriteSet};
use crate::store::{CollectionSpec, Result, StoreError};

/// Write sets that go into one commit at most.
const GROUP: usize = 64;

/// Bytes of the log after which it is copied into the database (pitfalls P3, P4).
const LOG_SIZE: i64 = 64 << 20;

/// Bytes of the log after which readers are made to wait so that it starts over.
const LOG_LIMIT: i64 = 256 << 20;

/// What the writer is asked for.
pub(super) enum Job {
    Commit(Box<WriteSet>, oneshot::Sender<Result<(), CommitError>>),
    Declare(Vec<CollectionSpec>, oneshot::Sender<Result<Vec<String>>>),
    /// Anything else that changes tables, in a transaction of its own.
    Run(Work, oneshot::Sender<Result<()>>),
    Close(oneshot::Sender<()>),
}

/// Something to be done within a transaction.
pub(super) type Work = Box<dyn FnOnce(&Connection) -> Result<()> + Send>;

type Waiting = (Box<WriteSet>, oneshot::Sender<Result<(), CommitError>>);

/// Works until it is told to close or nobody is left to ask.
pub(super) fn run(mut link: Link, shared: &Shared, jobs: &Receiver<Job>) {
    let mut last_restart = None;
    let mut next = jobs.recv().ok();
    while let Some(job) = next.take() {
        match job {
            Job::Commit(changes, reply) => {
                let mut waiting = vec![(changes, reply)];
                while waiting.len() < GROUP {
                    match jobs.try_recv() {
                        Ok(Job::Commit(changes, reply)) => waiting.push((changes, reply)),
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                commit(&mut link, shared, waiting);
            }
            Job::Declare(specs, reply) => {
                let _ = reply.send(guarded(&link.sql, || declare(&link, shared, &specs)));
            }
            Job::Run(work, reply) => {
                let _ = reply.send(guarded(&link.sql, || {
                    in_transaction(&link.sql, || work(&link.sql))
                }));
            }
            Job::Close(reply) => {
                if let Err(error) = link.sql.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
                    tracing::warn!(%error, "the log could not be emptied on closing");
                }
                drop(link);
                let _ = reply.send(());
                return;
            }
        }
        if let Err(error) = checkpoint(&link.sql, &shared.options, &mut last_restart) {
            tracing::warn!(%error, "the log could not be copied into the database");
        }
        if next.is_none() {
            next = jobs.recv().ok();
        }
    }
}

/// Copies the log into the database when it has grown, between commits and after the answers. A log that readers keep
/// from starting over is tried again only after a second: waiting for them holds up everybody who writes.
fn checkpoint(
    sql: &Connection,
    options: &Options,
    last_restart: &mut Option<Instant>,
) -> rusqlite::Result<()> {
    let pages = |mode: &str| -> rusqlite::Result<i64> {
        sql.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
            .query_row([], |row| row.get(1))
    };
    let page: i64 = sql
        .prepare_cached("PRAGMA page_size")?
        .query_row([], |row| row.get(0))?;
    let log = pages("NOOP")? * page;
    if log > LOG_LIMIT && last_restart.is_none_or(|last| last.elapsed() > Duration::from_secs(1)) {
        sql.busy_timeout(Duration::from_millis(100))?;
        let restarted = pages("RESTART");
        sql.busy_timeout(options.busy)?;
        *last_restart = Some(Instant::now());
        restarted?;
    } else if log > LOG_SIZE {
        pages("PASSIVE")?;
    }
    Ok(())
}

/// A defect in one piece of work must not end the thread that everybody needs.
fn guarded<T>(sql: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        if !sql.is_autocommit() {
            sql.execute_batch("ROLLBACK")?;
        }
        Err(StoreError::Engine(
            "the writer panicked; this is a defect".to_owned(),
        ))
    })
}

fn in_transaction<T>(sql: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    sql.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let done = work().and_then(|answer| {
        sql.prepare_cached("COMMIT")?.execute([])?;
        Ok(answer)
    });
    if done.is_err() && !sql.is_autocommit() {
        let _ = sql.execute_batch("ROLLBACK");
    }
    done
}

/// Begins a write transaction and makes sure that what is known in memory is what the tables say: another process may
/// have written meanwhile.
fn begin(sql: &Connection, shared: &Shared) -> Result<State> {
    sql.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let state = schema::read_state(sql)?;
    if state.commits != shared.counts.read().commits {
        shared.refresh(sql, state)?;
    }
    Ok(state)
}

fn commit(link: &mut Link, shared: &Shared, waiting: Vec<Waiting>) {
    let many = waiting.len() > 1;
    let mut replies = Vec::with_capacity(waiting.len());
    let done = catch_unwind(AssertUnwindSafe(|| try_commit(link, shared, &waiting)));
    let failed = match done {
        Ok(Ok(answers)) => {
            replies.extend(answers);
            None
        }
        Ok(Err(error)) => Some(error),
        Err(_) => Some(StoreError::Engine(
            "the writer panicked; this is a defect".to_owned(),
        )),
    };
    if !link.sql.is_autocommit() {
        let _ = link.sql.execute_batch("ROLLBACK");
    }
    match failed {
        None => {
            for ((_, reply), answer) in waiting.into_iter().zip(replies) {
                let _ = reply.send(answer);
            }
        }
        // A damaged document must not fail those who happened to come along with it.
        Some(StoreError::Damaged { .. }) if many => {
            for one in waiting {
                commit(link, shared, vec![one]);
            }
        }
        Some(error) => {
            for (_, reply) in waiting {
                let _ = reply.send(Err(CommitError::Store(repeat(&error))));
            }
        }
    }
}

/// One error for each who waits.
fn repeat(error: &StoreError) -> StoreError {
    match error {
        StoreError::Damaged {
            collection,
            id,
            reason,
        } => StoreError::Damaged {
            collection: collection.clone(),
            id: id.clone(),
            reason: reason.clone(),
        },
        other => StoreError::Engine(other.to_string()),
    }
}

/// One transaction for all. An error concerns everybody; what concerns one is among the answers.
fn try_commit(
    link: &mut Link,
    shared: &Shared,
    waiting: &[Waiting],
) -> Result<Vec<Result<(), CommitError>>> {
    let mut state = begin(&link.sql, shared)?;
    let schema = Arc::clone(&shared.schema.read());
    let classes = Arc::clone(&shared.classes.read());
    let mut group = Group::new(link, &schema);
    let mut answers = Vec::with_capacity(waiting.len());
    for (changes, _) in waiting {
        match group.admit(changes) {
            Err(CommitError::Store(error @ StoreError::Engine(_))) => return Err(error),
            answer => answers.push(answer),
        }
    }
    if !group.is_dirty() {
        link.sql.prepare_cached("ROLLBACK")?.execute([])?;
        return Ok(answers);
    }
    let administrative = group.is_administrative();
    let mut rows = Rows::new(&classes);
    group.flush(&mut rows, &mut state.revision)?;
    state.commits += 1;
    state.administrative += i64::from(administrative);
    schema::write_state(&link.sql, state)?;
    let large = rows.take_large();
    let (new_classes, changes) = rows.finish();
    link.sql.prepare_cached("COMMIT")?.execute([])?;
    for (id, revision, body) in &large {
        link.bodies.keep(*id, *revision, body);
    }
    let first_new = classes.classes.len();
    drop(classes);
    shared.publish(state, first_new, new_classes, |counts| {
        flush::count_all(counts, &changes)
    });
    Ok(answers)
}

fn declare(link: &Link, shared: &Shared, specs: &[CollectionSpec]) -> Result<Vec<String>> {
    let reports = in_transaction(&link.sql, || {
        let mut state = schema::read_state(&link.sql)?;
        let mut classes = crate::store::ClassTable::empty();
        schema::load_classes(&link.sql, &mut classes)?;
        let mut rows = Rows::new(&classes);
        let reports = schema::declare(&link.sql, specs, &mut rows)?;
        rows.write_rest(&link.sql)?;
        state.commits += 1;
        schema::write_state(&link.sql, state)?;
        Ok(reports)
    })?;
    shared.refresh(&link.sql, schema::read_state(&link.sql)?)?;
    Ok(reports)
}
