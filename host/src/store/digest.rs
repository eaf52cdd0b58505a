//! One number for everything that is in a store, the same whichever store has it.
//!
//! ```text
//! digest      SHA-256 of all parts: kind (1 collection, 2 bucket), name, 0, entries (8 bytes), SHA-256 of the part
//! collection  of each document, by ascending id: its bytes, `_id` first (`walk::id_first`), without what a store adds
//! bucket      of each file, by ascending id: id, length of the name (8 bytes), name, size (8 bytes), SHA-256 of its bytes
//! ```
//!
//! Numbers are little-endian; parts without entries are left out; collections come first, then buckets, each ascending by
//! name. Files are read from beginning to end: their digest is of what is there. A file whose bytes are gone is no entry.
//! What a store works out from the documents (classes, keys, indexes, revisions) plays no part.

use sha2::{Digest as _, Sha256};

use super::apply::damaged;
use super::migration::MARKS;
use super::walk::{self, Walk};
use super::{DocKey, Result, Store};

/// Files that are asked for at a time.
pub(crate) const FILES: u32 = 200;

/// What a part of a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Documents.
    Collection,
    /// Files.
    Bucket,
}

/// Digest of a collection or bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// Name of the collection or bucket.
    pub name: String,
    /// Documents or files.
    pub entries: u64,
    /// Bytes of the documents or files.
    pub bytes: u64,
    /// SHA-256, see the module text.
    pub sha256: [u8; 32],
}

/// Digest of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Its parts: collections by name, then buckets by name.
    pub parts: Vec<Part>,
}

impl Digest {
    /// Entries and bytes of all parts of a kind, and how many parts these are.
    #[must_use]
    pub fn sums(&self, kind: Kind) -> Sums {
        let mut sums = Sums::default();
        for part in self.parts.iter().filter(|part| part.kind == kind) {
            sums.parts += 1;
            sums.entries += part.entries;
            sums.bytes += part.bytes;
        }
        sums
    }

    /// The number for everything.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in &self.parts {
            hash.update([match part.kind {
                Kind::Collection => 1,
                Kind::Bucket => 2,
            }]);
            hash.update(part.name.as_bytes());
            hash.update([0]);
            hash.update(part.entries.to_le_bytes());
            hash.update(part.sha256);
        }
        hash.finalize().into()
    }

    /// The first part in which two stores differ, as it is in each of them.
    #[must_use]
    pub fn difference<'a>(
        &'a self,
        other: &'a Self,
    ) -> Option<(Option<&'a Part>, Option<&'a Part>)> {
        let key = |part: &Part| (part.kind, part.name.clone());
        let mut keys: Vec<_> = self.parts.iter().chain(&other.parts).map(key).collect();
        keys.sort();
        keys.dedup();
        let find = |digest: &'a Self, wanted: &(Kind, String)| {
            digest.parts.iter().find(|part| key(part) == *wanted)
        };
        keys.iter()
            .map(|wanted| (find(self, wanted), find(other, wanted)))
            .find(|(here, there)| here != there)
    }
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Collections or buckets.
    pub parts: u64,
    /// Documents or files.
    pub entries: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Reads a store through. `advance` hears of each bunch of documents and each file, by their number.
///
/// # Errors
///
/// The store's.
pub async fn digest(store: &dyn Store, advance: &dyn Fn(u64)) -> Result<Digest> {
    let mut parts = Vec::new();
    for name in store.collections().await? {
        if name != MARKS {
            parts.push(collection(store, name, advance).await?);
        }
    }
    for name in store.buckets().await? {
        parts.push(bucket(store, name, advance).await?);
    }
    parts.retain(|part| part.entries > 0);
    parts.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(Digest { parts })
}

async fn collection(store: &dyn Store, name: String, advance: &dyn Fn(u64)) -> Result<Part> {
    let mut hash = Sha256::new();
    let (mut entries, mut bytes) = (0, 0);
    let mut walk = Walk::new(store, &name, None);
    loop {
        let documents = walk.next().await?;
        if documents.is_empty() {
            break;
        }
        for document in &documents {
            let body = walk::id_first(&document.body).map_err(|error| {
                let key = DocKey {
                    collection: name.clone(),
                    id: document.id,
                };
                damaged(&key, error)
            })?;
            hash.update(body.as_bytes());
            bytes += body.as_bytes().len() as u64;
        }
        entries += documents.len() as u64;
        advance(documents.len() as u64);
    }
    Ok(Part {
        kind: Kind::Collection,
        name,
        entries,
        bytes,
        sha256: hash.finalize().into(),
    })
}

async fn bucket(store: &dyn Store, name: String, advance: &dyn Fn(u64)) -> Result<Part> {
    let mut hash = Sha256::new();
    let (mut entries, mut bytes) = (0, 0);
    let mut after = None;
    loop {
        let files = store.files(&name, after, FILES).await?;
        let Some((last, _)) = files.last() else { break };
        after = Some(*last);
        for (id, info) in files {
            advance(1);
            if store.file(&name, id).await?.is_none() {
                continue;
            }
            let mut content = Sha256::new();
            walk::read_through(store, &name, id, &info, |part| {
                content.update(part);
                Ok(())
            })
            .await?;
            hash.update(id.bytes());
            hash.update((info.name.len() as u64).to_le_bytes());
            hash.update(info.name.as_bytes());
            hash.update(info.size.to_le_bytes());
            hash.update(content.finalize());
            entries += 1;
            bytes += info.size;
        }
    }
    Ok(Part {
        kind: Kind::Bucket,
        name,
        entries,
        bytes,
        sha256: hash.finalize().into(),
    })
}
