//! The binary: see [`critd::cli`].

fn main() {}
