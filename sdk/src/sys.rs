//! The one place where the SDK reaches the host: the imported interfaces, or on other targets the test bench.

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::{
    critd::plugin::{call, documents, log, registers, uploads},
    service::critd::plugin::task,
};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::bench::{call, documents, log, registers, task, uploads};
