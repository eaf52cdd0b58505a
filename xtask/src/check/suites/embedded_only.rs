//! What is not run on MongoDB.

/// Tests among those of what works on any store that are about the embedded store alone, with the reason.
pub(super) const EMBEDDED_ONLY: &[(&str, &str)] = &[];
