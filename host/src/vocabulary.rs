//! Closed value sets of the specification (`vocabulary.md`), old names, and inverses of relationships.
