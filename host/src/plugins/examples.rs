//! Runs the examples of a declaration.
