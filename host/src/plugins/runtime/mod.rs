//! wasmtime: engine, instances, host functions, limits.
