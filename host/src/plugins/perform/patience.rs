//! How long a request that meets other changes is run again (rule CON-8).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Job, NotDone, Request};
use crate::registers::Registers;

/// How often a handler is run at least before a conflict is the client's business.
const ATTEMPTS: u32 = 8;
/// For how long at least (rule CON-8), if the setting `patch_lock_timeout` can't be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often and how long a handler has met other changes.
pub(super) struct Patience {
    registers: Arc<Registers>,
    began: Instant,
    pub(super) attempt: u32,
    seed: [u8; 32],
}

impl Patience {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            registers: Arc::clone(&request.services.registers),
            began: Instant::now(),
            attempt: 0,
            seed: request.seed,
        }
    }

    /// Rule CON-8.
    async fn longest(&self) -> Duration {
        let settings = self.registers.current().await.ok();
        settings
            .and_then(|settings| settings.number("patch_lock_timeout"))
            .map_or(PATIENCE, Duration::from_secs)
    }

    /// How long it may still take.
    pub(super) async fn left(&self) -> Duration {
        self.longest().await.saturating_sub(self.began.elapsed())
    }

    /// Waits before the next run; an error if it is at an end.
    pub(super) async fn wait(&mut self, job: &Job, obstacle: &str) -> Result<(), NotDone> {
        self.attempt += 1;
        if self.attempt >= ATTEMPTS && self.began.elapsed() >= self.longest().await {
            return Err(NotDone::Busy(format!(
                "{job} met other changes {} times, at last: {obstacle}",
                self.attempt
            )));
        }
        let chance = self.seed[self.attempt as usize % self.seed.len()];
        tokio::time::sleep(pause(self.attempt, chance)).await;
        Ok(())
    }
}

/// A little longer each time, and not the same for two requests that met.
fn pause(attempt: u32, chance: u8) -> Duration {
    let longest = 1_000_u64 << attempt.min(5);
    Duration::from_micros(longest * u64::from(chance) / 256)
}
