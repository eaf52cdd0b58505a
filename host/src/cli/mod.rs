//! The command line: an interface that operators script.
