//! Threads that read, each with its own connection.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::Options;
use super::connection::Link;
use crate::store::{Result, StoreError};

type Job = Box<dyn FnOnce(&Link) + Send>;

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
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub(super) fn start(file: &Path, options: &Options) -> Result<Self> {
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            arrived: Condvar::new(),
        });
        let readers = Self {
            queue,
            threads: Mutex::default(),
        };
        for number in 0..options.readers.max(1) {
            let link = Link::reader(file, options)?;
            let queue = Arc::clone(&readers.queue);
            let thread = std::thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || work(&link, &queue))
                .map_err(|error| StoreError::Engine(format!("no thread for reading: {error}")))?;
            readers.threads.lock().push(thread);
        }
        Ok(readers)
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
            Err(_) => Err(StoreError::Engine(
                "a reader failed; this is a defect".to_owned(),
            )),
        }
    }

    /// Lets the threads end after what they were asked for.
    pub(super) fn close(&self) -> Vec<JoinHandle<()>> {
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
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(link))).is_err() {
            tracing::error!("a reader panicked");
        }
        if !link.sql.is_autocommit()
            && let Err(error) = link.sql.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a read transaction could not be ended");
        }
    }
}
