//! The contract as Rust code, generated from `sdk/wit/1.0`. `mod.rs` and `imports.rs` translate to and from
//! [`crate::plugins::value`].

wasmtime::component::bindgen!({
    world: "full-plugin",
    path: "../sdk/wit/1.0",
    imports: { default: async | trappable },
    exports: { default: async },
});
