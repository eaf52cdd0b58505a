//! The contract as Rust code, generated from `wit/1.1`. Plugins use the types of the crate root instead.
//!
//! Each exported interface has a part of its own here, and a plugin exports the parts that it has; together they are one of the
//! contract's worlds. (Bindings of whole worlds would export what the worlds share under one name.)
//!
//! Outside of WebAssembly the imported functions exist but panic; [`crate::bench`] stands in for them there.

wit_bindgen::generate!({
    path: "wit/1.1",
    inline: "
        package critd:sdk;
        world every-plugin {
            import critd:plugin/types@1.1.0;
            import critd:plugin/call@1.1.0;
            import critd:plugin/documents@1.1.0;
            import critd:plugin/uploads@1.1.0;
            import critd:plugin/registers@1.1.0;
            import critd:plugin/log@1.1.0;
            export critd:plugin/plugin@1.1.0;
        }
    ",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "critd_sdk::bindings",
});

/// What plugins with types or actions export.
pub mod handler {
    wit_bindgen::generate!({
        path: "wit/1.1",
        inline: "
            package critd:sdk;
            world handling-plugin {
                export critd:plugin/handler@1.1.0;
            }
        ",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "critd_sdk::bindings::handler",
        with: { "critd:plugin/types@1.1.0": crate::bindings::critd::plugin::types },
    });
}

/// What plugins with services export, and what is theirs alone.
pub mod service {
    wit_bindgen::generate!({
        path: "wit/1.1",
        inline: "
            package critd:sdk;
            world serving-plugin {
                import critd:plugin/task@1.1.0;
                export critd:plugin/service@1.1.0;
            }
        ",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "critd_sdk::bindings::service",
        with: { "critd:plugin/types@1.1.0": crate::bindings::critd::plugin::types },
    });
}
