//! Access over a real store.
