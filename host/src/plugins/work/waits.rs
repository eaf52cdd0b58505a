//! How long a request waits for the store.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// For how long a request has been waiting for slow answers of the store. A call and the calls that it makes share it: at
/// most one of them asks at a time.
#[derive(Debug, Default)]
pub struct Waits(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Since when for the present answer.
    since: Option<Instant>,
    /// For all slow answers before.
    before: Duration,
}

impl Waits {
    /// An answer that takes as long is the store's doing; of many quick ones the plugin asks for too many.
    pub(super) const SLOW: Duration = Duration::from_millis(50);

    /// The store is asked for something.
    pub(crate) fn begin(&self) {
        self.0.lock().since = Some(Instant::now());
    }

    /// It has answered.
    pub(crate) fn end(&self) {
        let mut waiting = self.0.lock();
        let waited = waiting.since.take().map(|since| since.elapsed());
        waiting.before += waited
            .filter(|waited| *waited >= Self::SLOW)
            .unwrap_or_default();
    }

    /// Altogether, the present answer included.
    pub(crate) fn total(&self) -> Duration {
        let waiting = self.0.lock();
        let present = waiting.since.map(|since| since.elapsed());
        waiting.before + present.unwrap_or_default()
    }
}
