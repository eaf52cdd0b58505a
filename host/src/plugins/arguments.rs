//! Parameters of a request checked against a declaration, before any plugin runs.
