//! Copies a store into an empty one, of whatever kind both are, and can be broken off at any moment.
//!
//! The target holds a mark until the copy is complete and verified: which store is being copied, and how far it has come.
//! The mark moves in the same commit as the documents, so that a new try goes on with the first document that is not
//! there; files are compared by their ids. A store with a mark is not to be used for anything else ([`unfinished`]).
//!
//! Documents keep their bytes (`Write::Copy`), files their ids. What a store works out from them — visibility classes, unique
//! keys, indexes — the target works out anew from what the source has declared.

use std::collections::HashMap;
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use super::apply::damaged;
use super::digest::{self, Digest, FILES, Kind, Part};
use super::filter::Filter;
use super::walk::{self, Walk};
use super::{
    CollectionSpec, CommitError, Declaration, DocKey, DocRead, FieldPath, FileId, FileInfo,
    ListQuery, Op, StagedFile, Store, StoreError, StoredDocument, Visible, Write, WriteSet,
};

/// The collection of the mark.
pub const MARKS: &str = "critd_migration";

/// Documents in one commit at most.
const DOCUMENTS: usize = 500;

/// Bytes of documents from which on a commit takes no more.
const BYTES: usize = 4 << 20;

/// A migration into a store that has not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The store that is being copied, as it was called.
    pub source: String,
    /// Documents that are there.
    pub documents: u64,
    /// Collection that was worked on last; none: nothing has been copied yet.
    collection: Option<String>,
    /// The last document of it that is there.
    after: Option<ObjectId>,
}

/// What was copied.
#[derive(Debug)]
pub struct Done {
    /// Of both stores.
    pub digest: Digest,
    /// Unique keys that documents violate, and files whose bytes the source has lost: what to tell the operator.
    pub remarks: Vec<String>,
}

/// What part of the work is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Documents go over.
    Documents,
    /// Files go over.
    Files,
    /// Both stores are read through.
    Verification,
}

/// Is told how far the work has come.
pub trait Watch {
    /// A stage begins: how many documents and files it is about, and how many of them are done already.
    fn stage(&self, stage: Stage, total: u64, done: u64);
    /// So many more are done.
    fn advance(&self, count: u64);
    /// A collection or bucket is complete.
    fn copied(&self, kind: Kind, name: &str, entries: u64);
}

/// Why a store was not copied.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// One of the stores failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The target has something of its own.
    #[error("the target is not empty: {0}")]
    NotEmpty(String),
    /// The source is a copy that was never completed.
    #[error("the source is itself an unfinished copy of {0}")]
    Incomplete(String),
    /// The target was begun as a copy of another store.
    #[error("the target is an unfinished copy of another store: {0}")]
    OtherSource(String),
    /// Somebody else writes to the target.
    #[error("somebody else writes to the target meanwhile ({0})")]
    Disturbed(String),
    /// The target can't have a document.
    #[error("the target can't take a document over: {0}")]
    Refused(String),
    /// Documents that the store can't address.
    #[error(
        "`{collection}` of the source has {missing} documents whose `_id` is no object id: they can't be taken over"
    )]
    ForeignIds {
        /// Collection.
        collection: String,
        /// How many.
        missing: u64,
    },
    /// The digests differ.
    #[error("the copy differs from its source, first in {0}")]
    Differs(String),
}

type Result<T, E = MigrationError> = std::result::Result<T, E>;

fn specification() -> CollectionSpec {
    CollectionSpec {
        name: MARKS.to_owned(),
        classed: false,
        administrative: false,
        keys: Vec::new(),
        indexes: Vec::new(),
    }
}

fn mark() -> DocKey {
    DocKey {
        collection: MARKS.to_owned(),
        id: ObjectId::from_bytes(*b"critd  marks"),
    }
}

/// The mark of a store, if it is a copy that is not complete.
///
/// # Errors
///
/// The store's.
pub async fn unfinished(store: &dyn Store) -> Result<Option<Unfinished>, StoreError> {
    if !store.collections().await?.iter().any(|name| name == MARKS) {
        return Ok(None);
    }
    let Some(stored) = store.get(MARKS, mark().id).await? else {
        return Ok(None);
    };
    let document =
        Document::try_from(stored.body.as_ref()).map_err(|error| damaged(&mark(), error))?;
    Ok(Some(Unfinished {
        source: document.get_str("source").unwrap_or_default().to_owned(),
        documents: match document.get("documents") {
            Some(Bson::Int64(count)) => count.unsigned_abs(),
            Some(Bson::Int32(count)) => u64::from(count.unsigned_abs()),
            _ => 0,
        },
        collection: document.get_str("collection").ok().map(ToOwned::to_owned),
        after: document.get_object_id("after").ok(),
    }))
}

/// What is in a store, by collections and buckets; those that are empty are left out.
///
/// # Errors
///
/// The store's.
pub async fn contents(store: &dyn Store) -> Result<Vec<(Kind, String, u64)>, StoreError> {
    let mut found = Vec::new();
    for name in store.collections().await? {
        let count = count(store, &name).await?;
        if count > 0 && name != MARKS {
            found.push((Kind::Collection, name, count));
        }
    }
    for name in store.buckets().await? {
        let mut files = 0;
        let mut after = None;
        loop {
            let page = store.files(&name, after, FILES).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            files += page.len() as u64;
        }
        found.push((Kind::Bucket, name, files));
    }
    Ok(found)
}

async fn count(store: &dyn Store, collection: &str) -> Result<u64, StoreError> {
    let query = ListQuery {
        collection: collection.to_owned(),
        visible: Visible::All,
        filter: Filter::All,
        sort: Vec::new(),
        offset: 0,
        limit: 0,
    };
    Ok(store.list(&query).await?.total)
}

/// How contents are told: the first few.
fn told(contents: &[(Kind, String, u64)]) -> String {
    let mut words: Vec<String> = contents
        .iter()
        .take(3)
        .map(|(kind, name, count)| format!("{} in `{name}`", things(*kind, *count)))
        .collect();
    match contents.len().saturating_sub(3) {
        0 => {}
        1 => words.push("1 more".to_owned()),
        more => words.push(format!("{more} more")),
    }
    words.join(", ")
}

fn things(kind: Kind, count: u64) -> String {
    let noun = match (kind, count) {
        (Kind::Collection, 1) => "document",
        (Kind::Collection, _) => "documents",
        (Kind::Bucket, 1) => "file",
        (Kind::Bucket, _) => "files",
    };
    format!("{count} {noun}")
}

/// Copies all documents and files of `source`, which nobody changes meanwhile, to `target`, and compares the digests of
/// both. `name` says which store the source is, so that a later try can tell. Goes on where an earlier try was broken off.
///
/// # Errors
///
/// See [`MigrationError`]. Nothing has been changed in the target if it is not empty; else the mark stays, and another
/// try goes on.
pub async fn migrate(
    source: &dyn Store,
    target: &dyn Store,
    name: &str,
    watch: &dyn Watch,
) -> Result<Done> {
    if let Some(unfinished) = unfinished(source).await? {
        return Err(MigrationError::Incomplete(unfinished.source));
    }
    let state = begin(target, name).await?;
    let holdings = contents(source).await?;
    let sum = |kind| {
        let of_kind = holdings.iter().filter(|(other, ..)| *other == kind);
        of_kind.map(|(.., count)| count).sum::<u64>()
    };
    let (documents, files) = (sum(Kind::Collection), sum(Kind::Bucket));
    let mut copy = Copying {
        source,
        target,
        watch,
        state,
        remarks: Vec::new(),
    };
    watch.stage(Stage::Documents, documents, copy.state.documents);
    copy.documents().await?;
    watch.stage(Stage::Files, files, 0);
    copy.files().await?;
    watch.stage(Stage::Verification, 2 * (documents + files), 0);
    let advance = |count| watch.advance(count);
    let (was, is) = tokio::join!(
        digest::digest(source, &advance),
        digest::digest(target, &advance)
    );
    let (was, is) = (was?, is?);
    if let Some((was, is)) = was.difference(&is) {
        return Err(MigrationError::Differs(differing(was, is)));
    }
    let remove = Write::Remove { document: mark() };
    commit(target, vec![remove], Vec::new()).await?;
    Ok(Done {
        digest: is,
        remarks: copy.remarks,
    })
}

fn differing(source: Option<&Part>, target: Option<&Part>) -> String {
    let Some(part) = source.or(target) else {
        return String::new();
    };
    let has = |part: Option<&Part>| part.map_or(0, |part| part.entries);
    let (was, is) = (has(source), has(target));
    let what = match part.kind {
        Kind::Collection => "the collection",
        Kind::Bucket => "the bucket",
    };
    let name = &part.name;
    if was == is {
        let things = things(part.kind, was);
        format!("{what} `{name}`: both have {things}, but not the same")
    } else {
        let things = things(part.kind, was);
        format!("{what} `{name}`: {things} in the source, {is} in the target")
    }
}

/// Makes the mark, or takes up the one that is there.
async fn begin(target: &dyn Store, name: &str) -> Result<Unfinished> {
    if let Some(unfinished) = unfinished(target).await? {
        if unfinished.source != name {
            return Err(MigrationError::OtherSource(unfinished.source));
        }
        return Ok(unfinished);
    }
    let contents = contents(target).await?;
    if !contents.is_empty() {
        return Err(MigrationError::NotEmpty(told(&contents)));
    }
    target.declare(&[specification()]).await?;
    let insert = Write::Insert {
        collection: MARKS.to_owned(),
        body: doc! { "_id": mark().id, "source": name, "documents": 0_i64 },
    };
    commit(target, vec![insert], Vec::new()).await?;
    Ok(Unfinished {
        source: name.to_owned(),
        documents: 0,
        collection: None,
        after: None,
    })
}

async fn commit(target: &dyn Store, writes: Vec<Write>, documents: Vec<DocRead>) -> Result<()> {
    let changes = WriteSet {
        documents,
        writes,
        ..WriteSet::default()
    };
    target.commit(changes).await.map_err(|error| match error {
        CommitError::Store(error) => error.into(),
        CommitError::Conflict(what) => MigrationError::Disturbed(what),
        error @ (CommitError::Duplicate { .. } | CommitError::Impossible(_)) => {
            MigrationError::Refused(error.to_string())
        }
    })
}

/// Documents that go over in one commit.
#[derive(Default)]
struct Batch {
    documents: Vec<StoredDocument>,
    bytes: usize,
}

/// The next documents, as many as fit into one commit.
async fn gather(walk: &mut Walk<'_>) -> Result<Batch, StoreError> {
    let mut batch = Batch::default();
    while batch.documents.len() < DOCUMENTS && batch.bytes < BYTES {
        let found = walk.next().await?;
        if found.is_empty() {
            break;
        }
        let bytes = found.iter().map(|found| found.body.as_bytes().len());
        batch.bytes += bytes.sum::<usize>();
        batch.documents.extend(found);
    }
    Ok(batch)
}

struct Copying<'a> {
    source: &'a dyn Store,
    target: &'a dyn Store,
    watch: &'a dyn Watch,
    /// What the mark says.
    state: Unfinished,
    remarks: Vec<String>,
}

impl Copying<'_> {
    async fn documents(&mut self) -> Result<()> {
        let mut declarations = self.source.declarations().await?;
        declarations.retain(|declaration| declaration.spec.name != MARKS);
        let first: Vec<CollectionSpec> = declarations.iter().map(without_violated).collect();
        self.target.declare(&first).await?;
        for declaration in &declarations {
            self.collection(&declaration.spec.name).await?;
        }
        let violated = declarations
            .iter()
            .filter(|declaration| !declaration.violated.is_empty());
        let whole: Vec<CollectionSpec> = violated
            .map(|declaration| declaration.spec.clone())
            .collect();
        self.remarks.extend(self.target.declare(&whole).await?);
        Ok(())
    }

    async fn collection(&mut self, name: &str) -> Result<()> {
        let after = match self.state.collection.as_deref() {
            Some(last) if name < last => return Ok(()),
            Some(last) if name == last => self.state.after,
            _ => None,
        };
        let mut walk = Walk::new(self.source, name, after);
        let mut batch = gather(&mut walk).await?;
        while !batch.documents.is_empty() {
            let (kept, next) = tokio::join!(self.keep(name, batch), gather(&mut walk));
            kept?;
            batch = next?;
        }
        let (was, is) = (
            count(self.source, name).await?,
            count(self.target, name).await?,
        );
        if was > is {
            let collection = name.to_owned();
            let missing = was - is;
            return Err(MigrationError::ForeignIds {
                collection,
                missing,
            });
        }
        if is > 0 {
            self.watch.copied(Kind::Collection, name, is);
        }
        Ok(())
    }

    /// Writes documents, and how far that brings the copy, in one commit.
    async fn keep(&mut self, collection: &str, batch: Batch) -> Result<()> {
        let mut writes = Vec::with_capacity(batch.documents.len() + 1);
        let mut after = self.state.after;
        for document in &batch.documents {
            let key = DocKey {
                collection: collection.to_owned(),
                id: document.id,
            };
            let body = walk::id_first(&document.body).map_err(|error| damaged(&key, error))?;
            writes.push(Write::Copy {
                collection: key.collection,
                body: Arc::new(body),
            });
            after = Some(document.id);
        }
        let count = batch.documents.len() as u64;
        let next = Unfinished {
            source: self.state.source.clone(),
            documents: self.state.documents + count,
            collection: Some(collection.to_owned()),
            after,
        };
        writes.push(Write::Change {
            document: mark(),
            operations: values(&next)
                .into_iter()
                .filter_map(|(path, value)| Some(Op::Set(path, value?)))
                .collect(),
        });
        let read = DocRead {
            document: mark(),
            revision: Some(0),
            values: values(&self.state),
            searches: Vec::new(),
        };
        commit(self.target, writes, vec![read]).await?;
        self.state = next;
        self.watch.advance(count);
        Ok(())
    }

    async fn files(&mut self) -> Result<()> {
        for bucket in self.source.buckets().await? {
            let mut after = None;
            let mut entries = 0;
            loop {
                let files = self.source.files(&bucket, after, FILES).await?;
                let Some((last, _)) = files.last() else { break };
                let there = self.target.files(&bucket, after, FILES).await?;
                let there: HashMap<FileId, FileInfo> = there.into_iter().collect();
                after = Some(*last);
                for (id, info) in files {
                    let same = there.get(&id).is_some_and(|there| {
                        there.sha256 == info.sha256 && there.size == info.size
                    });
                    if same || self.file(&bucket, id, &info).await? {
                        entries += 1;
                    }
                    self.watch.advance(1);
                }
            }
            self.watch.copied(Kind::Bucket, &bucket, entries);
        }
        Ok(())
    }

    /// Copies a file. False: its bytes are gone.
    async fn file(&mut self, bucket: &str, id: FileId, info: &FileInfo) -> Result<bool> {
        if self.source.file(bucket, id).await?.is_none() {
            self.remarks.push(format!(
                "the source has lost the bytes of file {id} in `{bucket}`; it is left out"
            ));
            return Ok(false);
        }
        let folder = self.target.staging_folder();
        let staging =
            |error: std::io::Error| StoreError::Engine(format!("{}: {error}", folder.display()));
        let mut writer = StagedFile::create(folder, &info.name).map_err(staging)?;
        walk::read_through(self.source, bucket, id, info, |part| {
            writer.write(part).map_err(staging)
        })
        .await?;
        let file = writer.finish().map_err(staging)?;
        if file.sha256 != info.sha256 || file.size != info.size {
            return Err(StoreError::Engine(format!(
                "file {id} of `{bucket}` is damaged in the source: it has other bytes than were kept"
            ))
            .into());
        }
        self.target.keep_file_as(bucket, id, &file).await?;
        Ok(true)
    }
}

/// The fields of the mark that move.
fn values(state: &Unfinished) -> Vec<(FieldPath, Option<Bson>)> {
    let documents = Bson::Int64(state.documents.cast_signed());
    vec![
        (
            FieldPath::literal("collection"),
            state.collection.clone().map(Bson::String),
        ),
        (FieldPath::literal("after"), state.after.map(Bson::ObjectId)),
        (FieldPath::literal("documents"), Some(documents)),
    ]
}

/// Keys that documents violate are declared when all of these are there.
fn without_violated(declaration: &Declaration) -> CollectionSpec {
    let mut spec = declaration.spec.clone();
    spec.keys.retain(|key| !declaration.violated.contains(key));
    spec
}
