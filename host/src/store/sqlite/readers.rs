//! Connections that read: some with a thread each, for whatever may take long, and some that whoever asks for a document
//! uses on its own thread, because a look at one document takes less time than a change of threads.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::Options;
use super::bodies::Bodies;
use super::connection::Link;
use crate::store::{Result, StoreError};

type Job = Box<dyn FnOnce(&Link) + Send>;

/// Looking at so many documents takes well under a millisecond.
const FEW: usize = 100;

/// What waits for a reader.
struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// The threads; they end when this is closed or dropped.
pub(super) struct Readers {
    queue: Arc<Queue>,
    /// Connections without a thread that nobody uses at the moment.
    near: Mutex<Vec<Link>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub(super) fn start(file: &Path, options: &Options, bodies: &Arc<Bodies>) -> Result<Self> {
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            arrived: Condvar::new(),
        });
        let readers = Self {
            queue,
            near: Mutex::default(),
            threads: Mutex::default(),
        };
        for number in 0..options.readers.max(1) {
            let link = Link::reader(file, options, bodies)?;
            let queue = Arc::clone(&readers.queue);
            let thread = std::thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || work(&link, &queue))
                .map_err(|error| StoreError::Engine(format!("no thread for reading: {error}")))?;
            readers.threads.lock().push(thread);
            readers
                .near
                .lock()
                .push(Link::reader(file, options, bodies)?);
        }
        Ok(readers)
    }

    /// [`Readers::glance`] if it is about a few documents, else [`Readers::read`].
    pub(super) async fn read_some<T: Send + 'static>(
        &self,
        documents: usize,
        what: impl FnOnce(&Link) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if documents <= FEW {
            self.glance(what).await
        } else {
            self.read(what).await
        }
    }

    /// Runs something in a read transaction, so that all it sees is one state.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Link) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |link| {
            // Whoever asked may have gone while the job waited.
            if reply.is_closed() {
                return;
            }
            let done = transaction(link, what);
            let _ = reply.send(done);
        });
        {
            let mut state = self.queue.state.lock();
            if state.closed {
                return Err(closed());
            }
            state.jobs.push_back(job);
        }
        self.queue.arrived.notify_one();
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(failed()),
        }
    }

    /// As [`Readers::read`], for what looks at a few documents by their ids or keys, or at less: done at once, on the
    /// thread that asks, unless all connections for it are in use.
    pub(super) async fn glance<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Link) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // Not in the condition itself: the lock would be held for as long as the query takes.
        let near = self.near.lock().pop();
        let Some(link) = near else {
            return self.read(what).await;
        };
        if self.queue.state.lock().closed {
            return Err(closed());
        }
        let done = catch_unwind(AssertUnwindSafe(|| transaction(&link, what)));
        end_transaction(&link);
        if !self.queue.state.lock().closed {
            self.near.lock().push(link);
        }
        done.unwrap_or_else(|_| {
            tracing::error!("a reader panicked");
            Err(failed())
        })
    }

    /// Lets the threads end after what they were asked for.
    pub(super) fn close(&self) -> Vec<JoinHandle<()>> {
        self.near.lock().clear();
        self.queue.state.lock().closed = true;
        self.queue.arrived.notify_all();
        std::mem::take(&mut *self.threads.lock())
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.state.lock().closed = true;
        self.queue.arrived.notify_all();
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Engine("the store has been closed".to_owned())
}

fn failed() -> StoreError {
    StoreError::Engine("a reader failed; this is a defect".to_owned())
}

fn transaction<T>(link: &Link, what: impl FnOnce(&Link) -> Result<T>) -> Result<T> {
    link.sql.prepare_cached("BEGIN")?.execute([])?;
    let done = what(link);
    link.sql.prepare_cached("COMMIT")?.execute([])?;
    done
}

fn work(link: &Link, queue: &Queue) {
    loop {
        let job = {
            let mut state = queue.state.lock();
            loop {
                if let Some(job) = state.jobs.pop_front() {
                    break job;
                }
                if state.closed {
                    return;
                }
                queue.arrived.wait(&mut state);
            }
        };
        // A defect in one query must not take the reader from all others.
        if catch_unwind(AssertUnwindSafe(|| job(link))).is_err() {
            tracing::error!("a reader panicked");
        }
        end_transaction(link);
    }
}

/// After a query that failed.
fn end_transaction(link: &Link) {
    if !link.sql.is_autocommit()
        && let Err(error) = link.sql.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a read transaction could not be ended");
    }
}
