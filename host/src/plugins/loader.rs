//! A file → a loaded plugin, or a sentence why not.
