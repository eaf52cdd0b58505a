//! The embedded store: one SQLite file, group commit, files beside it.
