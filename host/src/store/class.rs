//! Visibility classes: what rule S1 depends on, interned as a small number.
//!
//! Whether somebody may see a document depends only on the set of (source name, TLP) pairs over all instances of its
//! sources. A source entry without instances still counts for S1 (a); it is kept as a pair without a TLP mark.

use std::collections::HashMap;
use std::sync::Arc;

/// Number of a class. 0 is the class of documents in collections without sources.
pub type ClassId = u32;

/// What one instance of a source contributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// The source entry has no instances.
    NoInstance,
    /// An instance without `tlp`.
    Unmarked,
    /// An instance with `tlp` white.
    White,
    /// An instance with `tlp` green.
    Green,
    /// An instance with `tlp` amber.
    Amber,
    /// An instance with `tlp` red.
    Red,
    /// An instance with some other text as `tlp`: never satisfies S1 (b).
    Other,
}

/// The sorted, distinct pairs of a class. Empty: a document without sources, visible to nobody (rule S3).
pub type Pairs = Vec<(String, Mark)>;

/// All classes of a store, by number. Class 0 is always there, with no pairs.
#[derive(Debug, Clone, Default)]
pub struct ClassTable {
    /// Pairs of each class; index = number.
    pub classes: Vec<Arc<Pairs>>,
    /// Number of each set of pairs (class 0 excepted).
    pub numbers: HashMap<Arc<Pairs>, ClassId>,
}

/// A set of classes. A class that was interned after the set was made is not in it: whoever asks fails closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassSet {
    bits: Vec<u64>,
}

impl ClassSet {
    /// Adds a class.
    pub fn insert(&mut self, class: ClassId) {
        let word = class as usize / 64;
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] |= 1 << (class % 64);
    }

    /// Is the class in the set?
    #[must_use]
    pub fn contains(&self, class: ClassId) -> bool {
        self.bits
            .get(class as usize / 64)
            .is_some_and(|word| word & (1 << (class % 64)) != 0)
    }

    /// The classes of the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ClassId> + '_ {
        self.bits.iter().enumerate().flat_map(|(index, word)| {
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| index as ClassId * 64 + bit)
        })
    }
}

/// Which documents of a collection a reader may see.
#[derive(Debug, Clone)]
pub enum Visible {
    /// All: the collection has no sources (rule S7).
    All,
    /// Those of these classes.
    Classes(Arc<ClassSet>),
}

impl Visible {
    /// May documents of this class be seen?
    #[must_use]
    pub fn allows(&self, class: ClassId) -> bool {
        match self {
            Visible::All => true,
            Visible::Classes(set) => set.contains(class),
        }
    }
}
