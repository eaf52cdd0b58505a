//! Commands on a real store, with what they print.
