//! `plugin-manifest.toml`: the operator's file.
