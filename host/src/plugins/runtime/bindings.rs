//! The contract as Rust code, generated from `sdk/wit/1.1`, the newest; plugins built for an
//! older one find all of it here. `mod.rs` and `imports.rs` translate to and from
//! [`crate::plugins::value`].

wasmtime::component::bindgen!({
    world: "full-plugin",
    path: "../sdk/wit/1.1",
    imports: { default: async | trappable },
    exports: { default: async },
});
