//! Closed value sets of the specification (`vocabulary.md`), old names, and inverses of relationships.

/// The sixteen categories of `/api/v1/vocab/`, in the order it lists them, and `TLP` as the last.
#[must_use]
pub fn categories() -> &'static [&'static str] {
    todo!()
}

/// The values of a category in the order of code points (TLP: from least to most restrictive). None: unknown category.
#[must_use]
pub fn values(category: &str) -> Option<&'static [&'static str]> {
    let _ = category;
    todo!()
}

/// The current spelling of a value: trimmed, any case, old names. None: not in it, or an unknown category.
#[must_use]
pub fn canonical(category: &str, text: &str) -> Option<&'static str> {
    let _ = (category, text);
    todo!()
}

/// A relationship read from the other side. None: not a relationship.
#[must_use]
pub fn inverse(relationship: &str) -> Option<&'static str> {
    let _ = relationship;
    todo!()
}
