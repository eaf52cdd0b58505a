//! What one call may use.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

use super::engine::{LARGEST_MEMORY_MIB, TABLE_ELEMENTS};

/// Names of the limits, as manifests and declarations write them.
pub(crate) const LIMIT_NAMES: [&str; 7] = [
    "time_ms",
    "memory_mib",
    "host_calls",
    "documents",
    "uploads",
    "bytes",
    "log_lines",
];

/// Longest time (ms) that an operator can give a call of a handler, and a run of a service.
const LONGEST_CALL: u64 = 600_000;
const LONGEST_RUN: u64 = 86_400_000;

/// Limits of a call. `documents` and `uploads` hold for the whole request, nested creates included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall-clock time in ms, waits for the store included.
    pub time_ms: u64,
    /// Memory of the instance in MiB, tables included.
    pub memory_mib: u64,
    /// Calls of host functions.
    pub host_calls: u64,
    /// Documents open.
    pub documents: u64,
    /// Uploads open.
    pub uploads: u64,
    /// Bytes handed to host functions, and bytes of the answer.
    pub bytes: u64,
    /// Lines written to the log.
    pub log_lines: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time_ms: 2_000,
            memory_mib: 64,
            host_calls: 20_000,
            documents: 1_000,
            uploads: 1_000,
            bytes: 16 << 20,
            log_lines: 200,
        }
    }
}

impl Limits {
    /// Of analysis services, which run in the background.
    pub(crate) const OF_SERVICES: Self = Self {
        time_ms: 300_000,
        memory_mib: LARGEST_MEMORY_MIB,
        host_calls: 5_000_000,
        documents: 10_000,
        uploads: 10_000,
        bytes: 256 << 20,
        log_lines: 2_000,
    };

    fn named(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "time_ms" => &mut self.time_ms,
            "memory_mib" => &mut self.memory_mib,
            "host_calls" => &mut self.host_calls,
            "documents" => &mut self.documents,
            "uploads" => &mut self.uploads,
            "bytes" => &mut self.bytes,
            "log_lines" => &mut self.log_lines,
            _ => return None,
        })
    }

    /// The operator's limits: what the manifest names replaces what was there.
    #[must_use]
    pub fn overridden(mut self, by: &BTreeMap<String, u64>) -> Self {
        for (name, value) in by {
            if let Some(limit) = self.named(name) {
                *limit = *value;
            }
        }
        self
    }

    /// A plugin's own wishes: they only lower.
    #[must_use]
    pub fn lowered(mut self, by: &BTreeMap<String, u64>) -> Self {
        for (name, value) in by {
            if let Some(limit) = self.named(name) {
                *limit = (*limit).min(*value);
            }
        }
        self
    }
}

/// Is there such a limit, and may it have this value?
///
/// # Errors
///
/// A sentence.
pub(crate) fn check_limit(name: &str, value: u64) -> Result<(), String> {
    check(name, value, LONGEST_CALL)
}

/// The same of a limit of analysis services.
///
/// # Errors
///
/// A sentence.
pub(crate) fn check_service_limit(name: &str, value: u64) -> Result<(), String> {
    check(name, value, LONGEST_RUN)
}

fn check(name: &str, value: u64, longest: u64) -> Result<(), String> {
    if !LIMIT_NAMES.contains(&name) {
        return Err(format!(
            "there is no limit `{name}`; known are {}",
            LIMIT_NAMES.join(", ")
        ));
    }
    let highest = match name {
        "time_ms" => longest,
        "memory_mib" => LARGEST_MEMORY_MIB,
        "bytes" => 1 << 30,
        _ => u64::from(u32::MAX),
    };
    if value == 0 || value > highest {
        return Err(format!(
            "the limit `{name}` must be between 1 and {highest}, not {value}"
        ));
    }
    Ok(())
}

/// Counts the memory of a store over all its memories and tables, and remembers that it refused.
#[derive(Debug)]
pub(super) struct Meter {
    used: usize,
    limit: usize,
    /// Growth was refused: what the guest then makes of it, most often a trap, comes from that.
    pub(super) denied: bool,
}

impl Meter {
    pub(super) fn new(limit_mib: u64) -> Self {
        let limit = usize::try_from(limit_mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX);
        Self {
            used: 0,
            limit,
            denied: false,
        }
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current);
        if self.used.saturating_add(more) > self.limit {
            self.denied = true;
            return false;
        }
        self.used += more;
        true
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            self.denied = true;
            return Ok(false);
        }
        Ok(self.grow(current, desired))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow(current.saturating_mul(8), desired.saturating_mul(8)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_can_lower_its_limits_and_never_raise_them() {
        let operator = Limits::default().overridden(&BTreeMap::from([
            ("time_ms".into(), 500),
            ("log_lines".into(), 1_000),
        ]));
        assert_eq!((operator.time_ms, operator.log_lines), (500, 1_000));
        let wishes = BTreeMap::from([
            ("time_ms".into(), 9_000),
            ("log_lines".into(), 3),
            ("memory_mib".into(), 16),
        ]);
        let limits = operator.lowered(&wishes);
        assert_eq!(
            (limits.time_ms, limits.log_lines, limits.memory_mib),
            (500, 3, 16)
        );
    }

    #[test]
    fn limits_have_names_and_ranges() {
        assert_eq!(check_limit("time_ms", 2_000), Ok(()));
        assert_eq!(
            check_limit("time", 1),
            Err("there is no limit `time`; known are time_ms, memory_mib, host_calls, documents, uploads, bytes, log_lines".into())
        );
        assert_eq!(
            check_limit("memory_mib", 257),
            Err("the limit `memory_mib` must be between 1 and 256, not 257".into())
        );
        assert_eq!(
            check_limit("host_calls", 0),
            Err("the limit `host_calls` must be between 1 and 4294967295, not 0".into())
        );
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut meter = Meter::new(1);
        assert!(meter.memory_growing(0, 600 << 10, None).unwrap());
        assert!(!meter.memory_growing(0, 600 << 10, None).unwrap());
        assert!(meter.denied);
        assert!(meter.memory_growing(600 << 10, 1 << 20, None).unwrap());
    }
}
