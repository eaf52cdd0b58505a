//! How a store came to the answer of a query.

use std::time::Duration;

/// A page as [`Store::list`](super::Store::list) would answer it, and how it was found.
#[derive(Debug, Clone, Default)]
pub struct Explained {
    /// What answered, such as `SQLite`.
    pub engine: &'static str,
    /// The way that was taken to the documents that meet the condition.
    pub way: String,
    /// What this way is made of, in the order taken; for one of one piece, that piece.
    pub steps: Vec<Step>,
    /// Where there was a choice: all that could have been taken.
    pub considered: Vec<Considered>,
    /// How the page came into its order.
    pub order: String,
    /// Where the exact count is from.
    pub count: CountFrom,
    /// Rows of indexes that were stepped over, those of estimates not among them.
    pub index_rows: u64,
    /// Documents that were looked at to decide; those of the page not among them.
    pub documents: u64,
    /// Visible documents that meet the condition.
    pub total: u64,
    /// Documents of the page.
    pub returned: u64,
    /// How many visible documents there are at all, if the store knows without looking.
    pub visible: Option<u64>,
    /// How many documents there are at all, if the store knows without looking.
    pub all: Option<u64>,
    /// Time for the choice of a way.
    pub planning: Duration,
    /// Time for finding and counting.
    pub counting: Duration,
    /// Time for the order and the documents of the page.
    pub paging: Duration,
}

/// Where a count is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CountFrom {
    /// Sums of the visible classes: nothing was looked at.
    Classes,
    /// All that meet the condition were found.
    #[default]
    Found,
}

/// A piece of a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What kind of way it is.
    pub kind: Kind,
    /// In words.
    pub what: String,
    /// Visible documents that were left after it.
    pub found: u64,
}

/// Kinds of ways to documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing can meet the condition.
    Nothing,
    /// All visible documents, by the directory.
    Directory,
    /// All visible documents, by their classes.
    Classes,
    /// Index rows with one of several keys.
    Equal,
    /// Index rows from one key to another.
    Range,
    /// Index rows between two bounds, documents with several values looked at.
    Between,
    /// All rows of an index.
    Present,
    /// Trigrams of texts.
    Trigrams,
    /// All texts of an index.
    Texts,
    /// All but those found otherwise.
    Except,
    /// What is in several sets.
    Intersection,
    /// What is in any of several sets.
    Union,
    /// Documents found by an index are looked at.
    Check,
    /// All visible documents are looked at.
    Scan,
    /// Decided by the server of the database.
    Server,
}

impl Kind {
    /// In JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Directory => "directory",
            Self::Classes => "classes",
            Self::Equal => "equal",
            Self::Range => "range",
            Self::Between => "between",
            Self::Present => "present",
            Self::Trigrams => "trigrams",
            Self::Texts => "texts",
            Self::Except => "except",
            Self::Intersection => "intersection",
            Self::Union => "union",
            Self::Check => "check",
            Self::Scan => "scan",
            Self::Server => "server",
        }
    }
}

/// A way that could have been taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    /// In words.
    pub way: String,
    /// How many rows it has.
    pub rows: Rows,
    /// Was it taken?
    pub chosen: bool,
}

/// A number of rows as far as it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// So many.
    Exactly(u64),
    /// So many or more.
    AtLeast(u64),
    /// Not counted.
    Unknown,
}
