//! What the parts of one request of many POSTs have in common: their order, and one clock.
//!
//! A part may run while the one before is being stored. It runs on what is stored by then, and what it has read is looked at
//! again with its commit, as ever; but nothing of it is stored, and no refusal believed, before the part before is done.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use crate::dates;
use crate::plugins::NotDone;

/// So many parts wait for the ones before them after one has met what was being stored.
const CAUTIOUS: u32 = 8;

/// See the module text. Whoever asks for the next turn first has to wait for it in the order of the parts.
#[derive(Debug, Default)]
pub struct Order {
    running: Mutex<()>,
    storing: Mutex<()>,
    clock: parking_lot::Mutex<Clock>,
    /// Parts that are not to run early.
    cautious: AtomicU32,
    /// How often a part had to run once more while the next one may have been running.
    repeated: AtomicU32,
    /// A part could not be stored: neither may those after it.
    given_up: AtomicBool,
}

/// Times of POSTs, in ms since 1970. A POST is never earlier than one before it, and later than one that wrote to a document
/// that it writes to: so it would be if they had come one by one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock {
    now: i64,
    /// By how much it goes on with each POST: not at all until two of them meet.
    step: i64,
}

impl Clock {
    pub(super) fn now(self) -> i64 {
        self.now
    }

    /// Between two POSTs.
    pub(super) fn tick(&mut self) {
        self.now += self.step;
    }

    /// A POST has met another one of the same time.
    pub(super) fn part(&mut self) {
        self.now += 1;
        self.step = 1;
    }
}

/// The right of a part to run, and in the end to be stored.
pub(super) struct Turn<'a> {
    order: &'a Order,
    running: Option<MutexGuard<'a, ()>>,
    storing: Option<MutexGuard<'a, ()>>,
    /// It has run before the one before was stored.
    was_early: bool,
    /// [`Order::repeated`] at its beginning.
    repeated: u32,
}

impl Order {
    /// Waits until the next part may run.
    pub(super) async fn turn(&self) -> Turn<'_> {
        let running = self.running.lock().await;
        let storing = match self.cautious.load(Ordering::Relaxed) {
            0 => self.storing.try_lock().ok(),
            left => {
                self.cautious.store(left - 1, Ordering::Relaxed);
                Some(self.storing.lock().await)
            }
        };
        Turn {
            order: self,
            running: Some(running),
            was_early: storing.is_none(),
            storing,
            repeated: self.repeated.load(Ordering::Relaxed),
        }
    }
}

impl Turn<'_> {
    /// The request's clock, for a run of the part.
    pub(super) fn begin(&self) -> Clock {
        let before = *self.order.clock.lock();
        Clock {
            now: dates::now().max(before.now + 1),
            ..before
        }
    }

    /// The run is over, by this clock.
    pub(super) fn end(&self, clock: Clock) {
        let mut latest = self.order.clock.lock();
        latest.now = latest.now.max(clock.now);
        latest.step = latest.step.max(clock.step);
    }

    /// Waits until the part may be stored, and its times have come. True: the part before has been stored only now, so that a
    /// refusal of this one is not certain.
    ///
    /// # Errors
    ///
    /// A part before could not be stored.
    pub(super) async fn may_store(&mut self, clock: Clock) -> Result<bool, NotDone> {
        let waited = self.storing.is_none();
        if waited {
            self.storing = Some(self.order.storing.lock().await);
        }
        if self.order.given_up.load(Ordering::Relaxed) {
            return Err(NotDone::Busy(
                "the objects before could not be stored".into(),
            ));
        }
        let ahead = clock.now.saturating_sub(dates::now());
        if let Ok(ahead @ 1..) = u64::try_from(ahead) {
            tokio::time::sleep(Duration::from_millis(ahead)).await;
        }
        Ok(waited)
    }

    /// Has a part before been carried out once more since this one began, and so perhaps at a later time?
    pub(super) fn is_outrun(&mut self) -> bool {
        let now = self.order.repeated.load(Ordering::Relaxed);
        std::mem::replace(&mut self.repeated, now) != now
    }

    /// From now on the next part may run.
    pub(super) fn pass(&mut self) {
        self.running = None;
    }

    /// Something that the part relied on has changed since it ran: it runs once more.
    pub(super) fn repeat(&mut self) {
        self.repeated = self.order.repeated.fetch_add(1, Ordering::Relaxed) + 1;
        if self.was_early {
            self.order.cautious.store(CAUTIOUS, Ordering::Relaxed);
        }
    }

    /// The part could not be stored, and neither must those after it.
    pub(super) fn give_up(&self) {
        self.order.given_up.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_refused<T>(waits: impl Future<Output = T>) -> bool {
        let waited = tokio::time::timeout(Duration::from_millis(20), waits).await;
        waited.is_err()
    }

    #[tokio::test]
    async fn the_next_part_runs_early_and_is_stored_after() {
        let order = Order::default();
        let mut first = order.turn().await;
        assert!(is_refused(order.turn()).await, "one part runs at a time");
        let mut clock = first.begin();
        clock.part();
        first.end(clock);
        assert!(!first.may_store(clock).await.unwrap());
        first.pass();
        let mut second = order.turn().await;
        let clock_of_second = second.begin();
        assert!(clock_of_second.now() > clock.now());
        let stores = second.may_store(clock_of_second);
        assert!(is_refused(stores).await, "nothing is stored before its turn");
        drop(first);
        assert!(second.may_store(clock_of_second).await.unwrap());
        assert!(!second.may_store(clock_of_second).await.unwrap());
        assert!(!second.is_outrun());
        second.repeat();
        assert!(!second.is_outrun(), "that was this part itself");
        second.pass();
        assert!(is_refused(order.turn()).await, "then parts wait for those before");
        second.give_up();
        drop(second);
        let mut third = order.turn().await;
        let refused = third.may_store(third.begin()).await;
        assert!(matches!(refused, Err(NotDone::Busy(_))));
    }

    #[tokio::test]
    async fn a_part_is_told_that_one_before_ran_again() {
        let order = Order::default();
        let mut first = order.turn().await;
        assert!(!first.may_store(first.begin()).await.unwrap());
        first.pass();
        let mut second = order.turn().await;
        first.repeat();
        drop(first);
        assert!(second.is_outrun());
        assert!(!second.is_outrun());
    }

    #[tokio::test]
    async fn nothing_is_stored_before_its_time() {
        let order = Order::default();
        let mut turn = order.turn().await;
        let mut clock = turn.begin();
        (0..30).for_each(|_| clock.part());
        clock.tick();
        turn.may_store(clock).await.unwrap();
        assert!(dates::now() >= clock.now());
    }
}
