//! The `wasi:*` that run-time libraries of some languages need: answers harmlessly. No files, no network, no
//! environment; a clock stopped at the request's time, random bytes fixed by the request's seed, and a stderr of 16 KiB
//! that ends up in the log.

use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView};

/// Longest stderr.
const STDERR_BYTES: usize = 16 << 10;

/// The context of one call; made when the guest first asks for something of `wasi:*`, so others pay nothing.
pub(super) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    stderr: MemoryOutputPipe,
}

impl Wasi {
    /// `now`: ms since 1970.
    pub(super) fn new(now: i64, seed: [u8; 32]) -> Self {
        let stderr = MemoryOutputPipe::new(STDERR_BYTES);
        let stopped = StoppedClock(u64::try_from(now).unwrap_or(0));
        let mut number = [0; 16];
        number.copy_from_slice(&seed[..16]);
        let context = WasiCtx::builder()
            .stderr(stderr.clone())
            .wall_clock(stopped)
            .monotonic_clock(stopped)
            .secure_random(Deterministic::new(seed.to_vec()))
            .insecure_random(Deterministic::new(seed.to_vec()))
            .insecure_random_seed(u128::from_le_bytes(number))
            .max_random_size(64 << 10)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        Self {
            context,
            table: ResourceTable::new(),
            stderr,
        }
    }

    pub(super) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.context,
            table: &mut self.table,
        }
    }

    /// What the guest wrote to stderr.
    pub(super) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.contents())
            .trim()
            .to_owned()
    }
}

#[derive(Clone, Copy)]
struct StoppedClock(u64);

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl HostMonotonicClock for StoppedClock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        self.0.saturating_mul(1_000_000)
    }
}
