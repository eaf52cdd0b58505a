//! What the parts of one request of many POSTs have in common: their order, and one clock.
//!
//! A part may run while those before it are being stored. It runs on what is stored by then, and what it has read is looked at
//! again with its commit, as ever; but nothing of it is stored before the part before is done.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, watch};

use crate::dates;
use crate::plugins::NotDone;

/// So many parts wait for the ones before them after one has met what was being stored.
const CAUTIOUS: u32 = 8;

/// See the module text.
#[derive(Debug, Default)]
pub struct Order {
    /// How many parts have had their turn to run.
    begun: watch::Sender<u64>,
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
    /// Waits until a part may run: after `before` other ones.
    ///
    /// # Errors
    ///
    /// A part before could not be stored.
    pub(super) async fn turn(&self, before: u64) -> Result<Turn<'_>, NotDone> {
        // The sender is there for as long as `self` is.
        let _ = self
            .begun
            .subscribe()
            .wait_for(|begun| *begun == before)
            .await;
        let running = self.running.lock().await;
        self.begun.send_replace(before + 1);
        self.go_on()?;
        let storing = match self.cautious.load(Ordering::Relaxed) {
            0 => self.storing.try_lock().ok(),
            left => {
                self.cautious.store(left - 1, Ordering::Relaxed);
                Some(self.storing.lock().await)
            }
        };
        Ok(Turn {
            order: self,
            running: Some(running),
            was_early: storing.is_none(),
            storing,
            repeated: self.repeated.load(Ordering::Relaxed),
        })
    }

    fn go_on(&self) -> Result<(), NotDone> {
        match self.given_up.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(NotDone::Busy(
                "the objects before could not be stored".into(),
            )),
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

    /// Waits until the part may be stored, and its times have come. True: the part before has been stored only now, so that
    /// whatever this one's commit does not look at again is not certain.
    ///
    /// # Errors
    ///
    /// A part before could not be stored.
    pub(super) async fn may_store(&mut self, clock: Clock) -> Result<bool, NotDone> {
        let waited = self.storing.is_none();
        if waited {
            let mut storing = std::pin::pin!(self.order.storing.lock());
            let storing = match futures_util::poll!(&mut storing) {
                Poll::Ready(storing) => storing,
                Poll::Pending => {
                    // It is the next in the queue, so that the part after it may run meanwhile.
                    self.running = None;
                    storing.await
                }
            };
            self.storing = Some(storing);
        }
        self.order.go_on()?;
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

    /// The part is stored: the next one may be, too.
    pub(super) fn leave(&mut self) {
        self.storing = None;
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
        assert!(is_refused(order.turn(1)).await, "it is the turn of another");
        let mut first = order.turn(0).await.unwrap();
        assert!(is_refused(order.turn(1)).await, "one part runs at a time");
        let mut clock = first.begin();
        clock.part();
        first.end(clock);
        assert!(!first.may_store(clock).await.unwrap());
        first.pass();
        let mut second = order.turn(1).await.unwrap();
        let later = second.begin();
        assert!(later.now() > clock.now());
        {
            let mut stores = std::pin::pin!(second.may_store(later));
            let waited = tokio::time::timeout(Duration::from_millis(20), &mut stores).await;
            assert!(waited.is_err(), "nothing is stored before its turn");
            let third = order.turn(2).await.unwrap();
            assert!(third.was_early, "while one waits the next may run");
            drop(first);
            assert!(stores.await.unwrap());
        }
        assert!(!second.may_store(later).await.unwrap());
        assert!(!second.is_outrun());
        second.repeat();
        assert!(!second.is_outrun(), "that was this part itself");
        assert!(
            is_refused(order.turn(3)).await,
            "then parts wait for those before"
        );
        second.give_up();
        drop(second);
        let given_up = order.turn(4).await;
        assert!(matches!(given_up, Err(NotDone::Busy(_))));
    }

    #[tokio::test]
    async fn a_part_is_told_that_one_before_ran_again() {
        let order = Order::default();
        let mut first = order.turn(0).await.unwrap();
        assert!(!first.may_store(first.begin()).await.unwrap());
        first.pass();
        let mut second = order.turn(1).await.unwrap();
        first.repeat();
        drop(first);
        assert!(second.is_outrun());
        assert!(!second.is_outrun());
    }

    #[tokio::test]
    async fn nothing_is_stored_before_its_time() {
        let order = Order::default();
        let mut turn = order.turn(0).await.unwrap();
        let mut clock = turn.begin();
        (0..30).for_each(|_| clock.part());
        clock.tick();
        turn.may_store(clock).await.unwrap();
        assert!(dates::now() >= clock.now());
    }
}
