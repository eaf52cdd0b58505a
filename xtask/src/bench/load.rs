//! Load from threads, each with one keep-alive connection. Bounded in number, so it stops by itself.

use anyhow::{Result, bail};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Latencies in ascending order.
pub(super) struct Latencies(Vec<Duration>);

impl Latencies {
    fn new(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self(latencies)
    }

    /// The latency that `percent` of the calls did not exceed.
    pub(super) fn percentile(&self, percent: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let rank = (percent / 100.0 * self.0.len() as f64).ceil() as usize;
        self.0
            .get(rank.saturating_sub(1).min(last))
            .copied()
            .unwrap_or_default()
    }
}

/// What a number of clients achieved together.
pub(super) struct Run {
    calls: usize,
    elapsed: Duration,
    pub(super) latencies: Latencies,
}

impl Run {
    /// Calls a second.
    pub(super) fn rate(&self) -> f64 {
        self.calls as f64 / self.elapsed.as_secs_f64()
    }
}

/// `calls` calls, numbered from 0, by `threads` clients that take the next number when they are done with one.
///
/// # Errors
/// The first call that fails ends the run.
pub(super) fn clients<C>(
    threads: usize,
    calls: usize,
    connect: impl Fn() -> C + Sync,
    call: impl Fn(&C, usize) -> Result<()> + Sync,
) -> Result<Run> {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let one_client = || -> Result<Vec<Duration>> {
        let client = connect();
        let mut latencies = Vec::with_capacity(calls / threads + 1);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= calls {
                return Ok(latencies);
            }
            let sent = Instant::now();
            if let Err(error) = call(&client, number) {
                next.store(calls, Ordering::Relaxed);
                return Err(error);
            }
            latencies.push(sent.elapsed());
        }
    };
    let latencies = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(one_client)).collect();
        let mut all = Vec::with_capacity(calls);
        for worker in workers {
            match worker.join() {
                Ok(latencies) => all.extend(latencies?),
                Err(_) => bail!("a client's thread panicked"),
            }
        }
        Ok(all)
    })?;
    Ok(Run {
        calls,
        elapsed: began.elapsed(),
        latencies: Latencies::new(latencies),
    })
}

/// What is slow is not called so often as was asked.
const PATIENCE: Duration = Duration::from_secs(15);
/// But so often.
const FEWEST: usize = 5;

/// `calls` calls one after the other, fewer if that takes long; the first tenth only warms up.
pub(super) fn repeated(
    calls: usize,
    mut call: impl FnMut(usize) -> Result<()>,
) -> Result<Latencies> {
    let mut latencies = Vec::with_capacity(calls);
    let began = Instant::now();
    for number in 0..calls + calls / 10 {
        if latencies.len() >= FEWEST && began.elapsed() > PATIENCE {
            break;
        }
        let sent = Instant::now();
        call(number)?;
        if number >= calls / 10 {
            latencies.push(sent.elapsed());
        }
    }
    Ok(Latencies::new(latencies))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks() {
        let latencies = Latencies::new((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(latencies.percentile(50.0), Duration::from_millis(50));
        assert_eq!(latencies.percentile(99.0), Duration::from_millis(99));
        assert_eq!(latencies.percentile(100.0), Duration::from_millis(100));
        assert_eq!(Latencies::new(Vec::new()).percentile(50.0), Duration::ZERO);
    }

    #[test]
    fn every_number_is_called_once_and_a_failure_ends_the_run() -> Result<()> {
        let sum = AtomicUsize::new(0);
        let run = clients(
            4,
            100,
            || (),
            |(), number| {
                sum.fetch_add(number, Ordering::Relaxed);
                Ok(())
            },
        )?;
        assert_eq!((run.calls, sum.into_inner()), (100, 4950));
        assert!(
            clients(
                4,
                100,
                || (),
                |(), number| if number == 7 { bail!("no") } else { Ok(()) }
            )
            .is_err()
        );
        Ok(())
    }
}
