//! Places in a document.

use std::fmt;
use std::sync::Arc;

/// A place in a document by stored field names joined with dots: `source.instances.date`, `tickets.0.date`.
///
/// At most 256 bytes and 20 segments; no segment is empty, contains NUL or begins with `$` (rule S14). The empty
/// path, only made by [`FieldPath::itself`], is the value itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath(Arc<str>);

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Over 256 bytes.
    #[error("the field name is longer than 256 bytes")]
    TooLong,
    /// Over 20 segments.
    #[error("the field name has more than 20 parts")]
    TooDeep,
    /// An empty segment.
    #[error("the field name has an empty part")]
    EmptyPart,
    /// `$` in first place, or NUL.
    #[error("the field name has a part that begins with `$` or contains NUL")]
    Forbidden,
}

impl FieldPath {
    /// Reads a path.
    ///
    /// # Errors
    ///
    /// See [`PathError`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > 256 {
            return Err(PathError::TooLong);
        }
        let mut segments = 0;
        for segment in text.split('.') {
            segments += 1;
            if segment.is_empty() {
                return Err(PathError::EmptyPart);
            }
            if segment.starts_with('$') || segment.contains('\0') {
                return Err(PathError::Forbidden);
            }
        }
        if segments > 20 {
            return Err(PathError::TooDeep);
        }
        Ok(Self(text.into()))
    }

    /// The value itself.
    #[must_use]
    pub fn itself() -> Self {
        Self("".into())
    }

    /// A path known at compile time.
    ///
    /// # Panics
    ///
    /// If the text is no path.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "only literals of this program come here"
    )]
    pub fn literal(text: &'static str) -> Self {
        Self::parse(text).expect("a literal path")
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments from the root on; none for the value itself.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('.').filter(|segment| !segment.is_empty())
    }

    /// The first segment: name of the root field.
    #[must_use]
    pub fn root(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
