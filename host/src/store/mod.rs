//! Documents, files and the rules by which they change: the [`Store`] trait and its implementations.
//!
//! # Contract of a store
//!
//! * A document is BSON in the shape of the specification, kept with a *class* (what its visibility depends on,
//!   see [`class`]) and a *revision* (a number that grows with every change and is never used again).
//! * Readers see committed states only. Everything that one method answers comes from one state.
//! * Changes come as a [`WriteSet`]: operations on paths together with what was read to decide on them. A store
//!   applies a write set as a whole or not at all, and only if every read in it still holds at that moment. So each
//!   committed write set behaves as if nothing else had run between its reads and its writes, although no lock and no
//!   read transaction is held meanwhile. A write set without writes asks only whether its reads still hold.
//! * Operations are applied to the document as it is *at commit*: two write sets that append to one list, or set
//!   different fields, both take effect.
//! * When `commit` answers `Ok`, the change survives the loss of the process and of power.
//!
//! A store knows nothing of users, plugins or HTTP. It never interprets a document, except for the fields that
//! its [`CollectionSpec`] names and for `source` in classed collections.

pub(crate) mod admission;
pub(crate) mod apply;
pub mod class;
#[cfg(test)]
pub(crate) mod conformance;
pub mod digest;
pub mod draft;
pub mod explain;
pub mod file;
pub mod filter;
pub(crate) mod keys;
pub(crate) mod literals;
pub mod migration;
pub mod mongo;
pub mod order;
pub(crate) mod page;
pub mod path;
pub(crate) mod raw;
pub(crate) mod recorder;
pub mod sqlite;
pub(crate) mod staging;
pub mod stepwise;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod walk;
pub mod write;

use std::sync::Arc;

use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, RawDocumentBuf};

pub use class::{ClassId, ClassSet, ClassTable, Visible};
pub use draft::Draft;
pub use explain::Explained;
pub use file::{FileId, FileInfo, StagedFile, StagingWriter};
pub use filter::{Filter, Malformed, Test};
pub use page::Place;
pub use path::FieldPath;
pub use stepwise::Stepwise;
pub use write::{
    CommitError, DocKey, DocRead, KeyRead, Op, SearchRead, SelectRead, Write, WriteSet,
};

/// What a store must know of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionSpec {
    /// Name of the collection: lower-case letters, digits, `_`, `.`; begins with a letter.
    pub name: String,
    /// Documents carry `source` and are kept with the class of their (source, TLP) pairs. Without it: class 0.
    pub classed: bool,
    /// Users, roles, settings: changes to it move [`Store::administrative_revision`].
    pub administrative: bool,
    /// Unique keys. Values of a key's fields are compared exactly; a document lacking one of the fields has no key.
    pub keys: Vec<KeySpec>,
    /// Fields that have an index.
    pub indexes: Vec<IndexSpec>,
}

/// A unique key: stored paths in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeySpec {
    /// Stored paths of the key's parts.
    pub fields: Vec<FieldPath>,
}

/// An index on one stored path. Every value that the path reaches through lists gets an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSpec {
    /// Stored path.
    pub path: FieldPath,
    /// Lists are sorted by it: one further entry for each document, its lowest value, or the lowest of all if absent.
    pub sortable: bool,
    /// Searched by substring: the store may keep trigrams.
    pub searchable: bool,
}

/// A document as it was committed.
#[derive(Debug, Clone)]
pub struct StoredDocument {
    /// `_id`.
    pub id: ObjectId,
    /// What its visibility depends on.
    pub class: ClassId,
    /// Grows with every change of this document; unique within the store.
    pub revision: u64,
    /// The document itself.
    pub body: Arc<RawDocumentBuf>,
}

/// A collection as a store has it, whoever declared what of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// All that was declared so far.
    pub spec: CollectionSpec,
    /// Those of its keys that documents violate, so that they are not enforced.
    pub violated: Vec<KeySpec>,
}

/// A unique key with values, in the order of its [`KeySpec`].
#[derive(Debug, Clone, PartialEq)]
pub struct KeyValue {
    /// Collection that declares the key.
    pub collection: String,
    /// Stored paths and the values wanted there.
    pub parts: Vec<(FieldPath, Bson)>,
}

/// Direction of a sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Lowest first.
    Ascending,
    /// Highest first.
    Descending,
}

/// One field of a sort order. `_id`, ascending, is always the last tie-breaker (rule G10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// Stored path; documents lacking it come first when ascending.
    pub path: FieldPath,
    /// Direction.
    pub direction: Direction,
}

/// A page of a collection.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// Collection.
    pub collection: String,
    /// Which classes the reader may see.
    pub visible: Visible,
    /// Further condition.
    pub filter: Filter,
    /// Order; empty: ascending `_id`.
    pub sort: Vec<SortKey>,
    /// Documents to leave out at the beginning.
    pub offset: u64,
    /// Most documents to answer.
    pub limit: u32,
}

/// Answer to a [`ListQuery`].
#[derive(Debug, Clone)]
pub struct Page {
    /// The documents of the page, in order.
    pub documents: Vec<StoredDocument>,
    /// Exact number of visible documents that meet the condition.
    pub total: u64,
}

/// Why a store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine failed: disk full, damaged file, connection lost.
    #[error("the store failed: {0}")]
    Engine(String),
    /// The engine can't be reached or has no node that writes right now: ask again soon. What a commit was to change may
    /// be stored already; nothing of it is half.
    #[error("the store can't be reached: {0}")]
    Unavailable(String),
    /// Another process has the store open in a way that excludes this one.
    #[error("{0}")]
    InUse(String),
    /// The store was written by a newer version, or is none at all.
    #[error("{0}")]
    Unusable(String),
    /// A collection that was never declared.
    #[error("collection `{0}` was not declared")]
    UnknownCollection(String),
    /// A look-up by a unique key that the collection does not declare.
    #[error("collection `{0}` has no unique key ({1})")]
    UnknownKey(String, String),
    /// A stored document can't be read as BSON.
    #[error("document {id} of `{collection}` is damaged: {reason}")]
    Damaged {
        /// Collection.
        collection: String,
        /// `_id` in hex.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// The query took longer than the store allows.
    #[error("the query took longer than {0} ms")]
    TooSlow(u64),
}

/// Result of store operations.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A place where documents and files are kept. See the module text for what it promises.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes collections usable: creates what is missing, fills new indexes from existing documents. Nothing is ever
    /// dropped. Idempotent.
    ///
    /// A unique key that existing documents violate is not enforced for new documents of the same key either; the
    /// oldest `_id` counts as "the" document, and the keys concerned are reported in the answer.
    async fn declare(&self, collections: &[CollectionSpec]) -> Result<Vec<String>>;

    /// Names of all collections that were declared, ascending.
    async fn collections(&self) -> Result<Vec<String>>;

    /// What was declared, ascending by name.
    async fn declarations(&self) -> Result<Vec<Declaration>>;

    /// The classes interned so far. Cheap: no I/O.
    fn classes(&self) -> Arc<ClassTable>;

    /// A number that changes with every commit to an administrative collection, by whichever process (rule K10).
    async fn administrative_revision(&self) -> Result<u64>;

    /// The document with this id.
    async fn get(&self, collection: &str, id: ObjectId) -> Result<Option<StoredDocument>>;

    /// The documents with these ids, in the same order; unknown ones are left out.
    async fn get_many(&self, collection: &str, ids: &[ObjectId]) -> Result<Vec<StoredDocument>>;

    /// The document with this unique key.
    async fn by_key(&self, key: &KeyValue) -> Result<Option<StoredDocument>>;

    /// A page with its exact count, both from one state.
    async fn list(&self, query: &ListQuery) -> Result<Page>;

    /// The documents of a page without their count, so that nothing has to be looked at beyond it. `after`: only those
    /// that come after this place; the order must then be that of ids, or one ascending field. Values longer than 1,000
    /// bytes that begin alike may be in another order than in [`Store::list`].
    async fn uncounted(
        &self,
        query: &ListQuery,
        after: Option<&Place>,
    ) -> Result<Vec<StoredDocument>> {
        let Some(place) = after else {
            return Ok(self.list(query).await?.documents);
        };
        let everything = ListQuery {
            offset: 0,
            limit: u32::MAX,
            ..query.clone()
        };
        let mut documents = self.list(&everything).await?.documents;
        documents.retain(|document| match query.sort.first() {
            Some(key) => Place::after(document, &key.path).is_ok_and(|found| found > *place),
            None => document.id > place.id(),
        });
        let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
        let page = documents.into_iter().skip(offset);
        Ok(page.take(query.limit as usize).collect())
    }

    /// How [`Store::list`] would find the page, found out by finding it.
    async fn explain(&self, query: &ListQuery) -> Result<Explained>;

    /// Ids of all documents meeting the condition, ascending, at most `limit`, after `after` if given. Class plays no part.
    async fn select(
        &self,
        collection: &str,
        filter: &Filter,
        after: Option<ObjectId>,
        limit: u32,
    ) -> Result<Vec<ObjectId>>;

    /// The class of each document, in the order asked; none where there is no such document. For a page's relationship
    /// partners in one go (rule C5).
    async fn classes_of(&self, documents: &[DocKey]) -> Result<Vec<Option<ClassId>>>;

    /// Applies a write set. See the module text.
    ///
    /// # Errors
    ///
    /// [`CommitError::Conflict`]: something read has changed; nothing was written; run the handler again.
    async fn commit(&self, changes: WriteSet) -> Result<(), CommitError>;

    /// A folder for temporary files on the same file system as the files, emptied when the store is opened.
    fn staging_folder(&self) -> &std::path::Path;

    /// Keeps the bytes of a staged file in a bucket, durably, and answers the id under which documents refer to it.
    /// Equal bytes in one bucket are kept once and give the same id, the lowest under which they are there. A file that no document comes to refer to is
    /// swept later by [`Store::sweep_files`].
    async fn keep_file(&self, bucket: &str, file: &StagedFile) -> Result<FileId>;

    /// Keeps the bytes of a staged file under an id that documents refer to already: files taken over from elsewhere.
    /// Equal bytes may be in the bucket under other ids. If the id is taken, nothing changes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Engine`] if the id has other bytes.
    async fn keep_file_as(&self, bucket: &str, id: FileId, file: &StagedFile) -> Result<()>;

    /// Names of the buckets that have files, ascending.
    async fn buckets(&self) -> Result<Vec<String>>;

    /// Files of a bucket by their ids, ascending, at most `limit`, after `after` if given. Also those whose bytes are gone.
    async fn files(
        &self,
        bucket: &str,
        after: Option<FileId>,
        limit: u32,
    ) -> Result<Vec<(FileId, FileInfo)>>;

    /// What is known of a kept file; none if there is none or its bytes are gone.
    async fn file(&self, bucket: &str, id: FileId) -> Result<Option<FileInfo>>;

    /// The file of a bucket with this MD5 digest whose bytes are there, of several the one with the lowest id: documents of
    /// old refer to their files by it only (rule M26). Files that came without a digest are not found.
    async fn file_by_md5(&self, bucket: &str, md5: &[u8; 16])
    -> Result<Option<(FileId, FileInfo)>>;

    /// At most `length` bytes of a kept file from `offset`; fewer only at the end.
    ///
    /// # Errors
    ///
    /// [`StoreError::Engine`] if there is no such file.
    async fn read_file(
        &self,
        bucket: &str,
        id: FileId,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>>;

    /// Removes the files of a bucket that were kept before `before` (ms since 1970) and are not in `referred`. How many went.
    async fn sweep_files(
        &self,
        bucket: &str,
        referred: &std::collections::HashSet<FileId>,
        before: i64,
    ) -> Result<u64>;

    /// Waits for the commits under way and closes. Later calls fail.
    async fn close(&self) -> Result<()>;
}
