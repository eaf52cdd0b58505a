//! Where calls run: at first on the thread that asked, so that a quick call costs no change of threads; a call that is
//! not done after a few milliseconds goes on among other slow ones, on threads of their own, so that plain reads never
//! wait behind it (check PL-6).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::task::AbortOnDropHandle;

/// How long a call may use the thread that asked.
const QUICK: Duration = Duration::from_millis(10);
/// How long a request waits for its permit.
const PATIENCE: Duration = Duration::from_secs(10);

/// Threads for slow calls, and the permits without which no call begins.
pub(crate) struct Lanes {
    slow: Option<Runtime>,
    permits: Semaphore,
    waiting: AtomicUsize,
    most_waiting: usize,
}

impl Lanes {
    /// `permits`: requests that run handlers at once. `most_waiting`: further ones that may wait for that.
    ///
    /// # Errors
    ///
    /// No threads to be had.
    pub(crate) fn new(permits: usize, most_waiting: usize) -> std::io::Result<Self> {
        let threads = std::thread::available_parallelism()
            .map_or(2, usize::from)
            .max(2);
        let slow = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("critd-slow-call")
            .enable_all()
            .build()?;
        Ok(Self {
            slow: Some(slow),
            permits: Semaphore::new(permits),
            waiting: AtomicUsize::new(0),
            most_waiting,
        })
    }

    /// One permit a request, not one an instance: nested creates would wait for each other.
    ///
    /// # Errors
    ///
    /// A sentence: too many wait already, or it took too long.
    pub(crate) async fn permit(&self) -> Result<SemaphorePermit<'_>, String> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let waiting = Waiting::enter(&self.waiting);
        if waiting.before >= self.most_waiting {
            return Err(format!(
                "{} requests wait for plugins already",
                waiting.before
            ));
        }
        match tokio::time::timeout(PATIENCE, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err("the server is stopping".into()),
            Err(_) => Err(format!(
                "no plugin call could begin within {} seconds",
                PATIENCE.as_secs()
            )),
        }
    }

    /// Carries out a call.
    ///
    /// # Errors
    ///
    /// The host itself broke: a panic.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        let mut call = Box::pin(call);
        if let Ok(done) = tokio::time::timeout(QUICK, &mut call).await {
            return Ok(done);
        }
        let Some(slow) = &self.slow else {
            return Ok(call.await);
        };
        AbortOnDropHandle::new(slow.spawn(call))
            .await
            .map_err(|error| format!("a call of a plugin broke the host: {error}"))
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        // Waiting for the threads here would stop whoever drops the last handle, perhaps a thread of a runtime.
        if let Some(slow) = self.slow.take() {
            slow.shutdown_background();
        }
    }
}

struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        Self {
            count,
            before: count.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pl_6_a_full_queue_refuses_at_once() {
        let lanes = Lanes::new(1, 1).unwrap();
        let first = lanes.permit().await.unwrap();
        let (second, third) = tokio::join!(
            async {
                let permit = lanes.permit().await;
                permit.is_ok()
            },
            async {
                let refused = lanes.permit().await.map(drop);
                drop(first);
                refused
            }
        );
        assert!(second);
        assert_eq!(third, Err("1 requests wait for plugins already".into()));
    }

    #[tokio::test]
    async fn pl_6_a_slow_call_goes_on_elsewhere() {
        let lanes = Lanes::new(1, 1).unwrap();
        let call = async {
            let at_first = std::thread::current().name().map(str::to_owned);
            tokio::time::sleep(Duration::from_millis(50)).await;
            (at_first, std::thread::current().name().map(str::to_owned))
        };
        let (at_first, later) = lanes.run(call).await.unwrap();
        assert_ne!(at_first, later);
        assert_eq!(later.as_deref(), Some("critd-slow-call"));
    }
}
