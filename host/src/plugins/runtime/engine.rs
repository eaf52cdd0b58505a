//! The engine: how plugin code is compiled and in what memory it runs. The settings are those that were measured
//! (`docs/PERFORMANCE.md`).

use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, OptLevel,
    PoolingAllocationConfig,
};

/// How often the engine asks running code whether its time is up, and lets other requests have the thread.
const TICK: Duration = Duration::from_millis(5);
/// Largest memory of one instance, MiB; no limit of an operator can be above.
pub(crate) const LARGEST_MEMORY_MIB: u64 = 256;
/// Elements of one table.
pub(super) const TABLE_ELEMENTS: usize = 100_000;

/// How instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allocator {
    /// Slots made beforehand. `pagemap_scan`: the kernel tells which pages a call has touched (Linux 6.7 and later).
    Pooling {
        /// The kernel has it.
        pagemap_scan: bool,
    },
    /// Mapped anew for each call.
    OnDemand,
}

impl std::fmt::Display for Allocator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pooling { pagemap_scan: true } => "pooling, with pagemap_scan",
            Self::Pooling {
                pagemap_scan: false,
            } => "pooling, without pagemap_scan",
            Self::OnDemand => "on demand",
        })
    }
}

/// Makes an engine whose pool has room for `instances` at once, else one without a pool.
///
/// # Errors
///
/// The machine can't run compiled WebAssembly at all.
pub(super) fn pooling(instances: u32) -> wasmtime::Result<(Engine, Allocator)> {
    let pagemap_scan = PoolingAllocationConfig::is_pagemap_scan_available();
    let mut config = base();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(
        instances,
        pagemap_scan,
    )));
    match Engine::new(&config) {
        Ok(engine) => Ok((ticking(engine)?, Allocator::Pooling { pagemap_scan })),
        Err(error) => {
            tracing::warn!(
                "plugins run without a memory pool, which is slower under load: {error:#}"
            );
            on_demand()
        }
    }
}

/// Makes an engine without a pool: for the command line, which runs a few calls and ends.
///
/// # Errors
///
/// As [`pooling`].
pub(super) fn on_demand() -> wasmtime::Result<(Engine, Allocator)> {
    Ok((ticking(Engine::new(&base())?)?, Allocator::OnDemand))
}

fn base() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20)
        .memory_reservation(LARGEST_MEMORY_MIB << 20)
        .memory_guard_size(64 << 10);
    config
}

fn pool(instances: u32, pagemap_scan: bool) -> PoolingAllocationConfig {
    // Without the kernel's help a kept page is cleared byte by byte: a loss from some 256 KiB on.
    let resident = if pagemap_scan { 1 << 20 } else { 0 };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(8))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(4))
        .total_stacks(instances)
        .max_memory_size((LARGEST_MEMORY_MIB << 20) as usize)
        .table_elements(TABLE_ELEMENTS)
        .max_core_instances_per_component(64)
        .max_memories_per_component(8)
        .max_tables_per_component(32)
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(4 << 20)
        .linear_memory_keep_resident(resident)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10)
        .max_unused_warm_slots(64)
        .pagemap_scan(if pagemap_scan {
            Enabled::Yes
        } else {
            Enabled::No
        });
    pool
}

/// Starts the engine's clock: a thread that ends when the engine is gone.
fn ticking(engine: Engine) -> wasmtime::Result<Engine> {
    let weak: EngineWeak = engine.weak();
    std::thread::Builder::new()
        .name("critd-epoch".into())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })?;
    Ok(engine)
}
