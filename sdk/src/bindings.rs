//! The contract as Rust code, generated from `wit/1.1`. Plugins use the types of the crate root instead.
//!
//! Outside of WebAssembly the imported functions exist but panic; [`crate::bench`] stands in for them there.

wit_bindgen::generate!({
    path: "wit/1.1",
    world: "object-plugin",
    pub_export_macro: true,
    default_bindings_module: "critd_sdk::bindings",
});
