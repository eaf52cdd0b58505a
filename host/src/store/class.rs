//! Visibility classes: what rule S1 depends on, interned as a small number.
//!
//! Whether somebody may see a document depends only on the set of (source name, TLP) pairs over all instances of its
//! sources. A source entry without instances still counts for S1 (a); it is kept as a pair without a TLP mark.

use std::collections::HashMap;
use std::sync::Arc;

use bson::RawDocument;

use super::raw::{Elements, Malformed, Value, kind};

/// The field with a document's sources.
pub(crate) const SOURCE: &str = "source";

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
            (0..64)
                .filter(move |bit| word & (1 << bit) != 0)
                .map(move |bit| index as ClassId * 64 + bit)
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

impl Mark {
    fn of_tlp(tlp: Option<&[u8]>) -> Self {
        match tlp {
            None => Self::Unmarked,
            Some(b"white") => Self::White,
            Some(b"green") => Self::Green,
            Some(b"amber") => Self::Amber,
            Some(b"red") => Self::Red,
            Some(_) => Self::Other,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::NoInstance => 0,
            Self::Unmarked => 1,
            Self::White => 2,
            Self::Green => 3,
            Self::Amber => 4,
            Self::Red => 5,
            Self::Other => 6,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::NoInstance,
            1 => Self::Unmarked,
            2 => Self::White,
            3 => Self::Green,
            4 => Self::Amber,
            5 => Self::Red,
            6 => Self::Other,
            _ => return None,
        })
    }
}

/// The pairs of a document, from its `source`. Entries without a name as text count for nothing; an instance whose
/// `tlp` is null has none.
///
/// # Errors
///
/// [`Malformed`] if the bytes are damaged.
pub fn pairs_of(document: &RawDocument) -> Result<Pairs, Malformed> {
    match Value::document(document.as_bytes()).field(SOURCE)? {
        Some(source) => pairs_of_source(source),
        None => Ok(Pairs::new()),
    }
}

/// The same from the field's value alone.
///
/// # Errors
///
/// As [`pairs_of`].
pub(crate) fn pairs_of_source(source: Value<'_>) -> Result<Pairs, Malformed> {
    let mut pairs = Pairs::new();
    if !source.is_list() {
        return Ok(pairs);
    }
    for entry in Elements::new(source.bytes)? {
        let entry = entry?.value;
        let Some(name) = entry.field("name")? else {
            continue;
        };
        let Some(name) = name.text()? else { continue };
        let mut instances = 0;
        if let Some(list) = entry.field("instances")?.filter(|value| value.is_list()) {
            for instance in Elements::new(list.bytes)? {
                let instance = instance?.value;
                let mark = match instance.field("tlp")? {
                    None => Mark::Unmarked,
                    Some(tlp) if matches!(tlp.kind, kind::NULL | kind::UNDEFINED) => Mark::Unmarked,
                    Some(tlp) => tlp
                        .text_bytes()?
                        .map_or(Mark::Other, |text| Mark::of_tlp(Some(text))),
                };
                instances += 1;
                // Thousands of instances of one source mostly say the same.
                if pairs
                    .last()
                    .is_none_or(|last| last.0 != name || last.1 != mark)
                {
                    pairs.push((name.to_owned(), mark));
                }
            }
        }
        if instances == 0 {
            pairs.push((name.to_owned(), Mark::NoInstance));
        }
    }
    pairs.sort();
    pairs.dedup();
    Ok(pairs)
}

impl ClassTable {
    /// A table with class 0 only.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            classes: vec![Arc::new(Pairs::new())],
            numbers: HashMap::new(),
        }
    }

    /// The number of a set of pairs, if it has one. No pairs is a class like any other, apart from class 0.
    #[must_use]
    pub fn number(&self, pairs: &Pairs) -> Option<ClassId> {
        self.numbers.get(pairs).copied()
    }

    /// Adds a class under the next number.
    pub fn add(&mut self, pairs: Arc<Pairs>) -> ClassId {
        let number = ClassId::try_from(self.classes.len()).unwrap_or(ClassId::MAX);
        self.classes.push(Arc::clone(&pairs));
        self.numbers.insert(pairs, number);
        number
    }
}

/// Pairs as bytes, to be kept.
pub(crate) fn write_pairs(pairs: &Pairs) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, mark) in pairs {
        bytes.extend_from_slice(&(name.len() as u32).to_be_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(mark.number());
    }
    bytes
}

/// Reads what [`write_pairs`] wrote.
pub(crate) fn read_pairs(mut bytes: &[u8]) -> Option<Pairs> {
    let mut pairs = Pairs::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let (mark, rest) = rest.split_first()?;
        pairs.push((
            std::str::from_utf8(name).ok()?.to_owned(),
            Mark::of_number(*mark)?,
        ));
        bytes = rest;
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    fn pairs(body: &Document) -> Pairs {
        let bytes = body.to_vec().unwrap();
        pairs_of(RawDocument::from_bytes(&bytes).unwrap()).unwrap()
    }

    #[test]
    fn s1_pairs_are_all_that_visibility_depends_on() {
        let body = doc! { "_id": 1, "tlp": "white", "source": [
            { "name": "B", "instances": [{ "tlp": "red" }, { "tlp": "white" }, { "tlp": "red" }] },
            { "name": "A", "instances": [{ "analyst": "x" }, { "tlp": null }, { "tlp": "green" }, { "tlp": "amber" }] },
            { "name": "C", "instances": [] },
            { "name": "D" },
            { "name": "E", "instances": [{ "tlp": "RED" }, { "tlp": 5 }] },
            { "instances": [{ "tlp": "white" }] },
            "no entry",
        ] };
        let wanted = [
            ("A", Mark::Unmarked),
            ("A", Mark::Green),
            ("A", Mark::Amber),
            ("B", Mark::White),
            ("B", Mark::Red),
            ("C", Mark::NoInstance),
            ("D", Mark::NoInstance),
            ("E", Mark::Other),
        ];
        let found = pairs(&body);
        assert_eq!(found, wanted.map(|(name, mark)| (name.to_owned(), mark)));
        assert_eq!(read_pairs(&write_pairs(&found)), Some(found.clone()));
        assert_eq!(read_pairs(&write_pairs(&found)[1..]), None);
    }

    #[test]
    fn s3_documents_without_sources_have_no_pairs() {
        for body in [
            doc! {},
            doc! { "source": [] },
            doc! { "source": "A" },
            doc! { "source": { "name": "A" } },
        ] {
            assert_eq!(pairs(&body), Pairs::new());
        }
    }
}
