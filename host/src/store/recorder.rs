//! A store in front of another one that explains what is listed instead of listing it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bson::oid::ObjectId;
use parking_lot::Mutex;

use super::class::{ClassId, ClassTable};
use super::explain::Explained;
use super::{
    CollectionSpec, CommitError, Declaration, DocKey, FileId, FileInfo, Filter, KeyValue,
    ListQuery, Page, Result, StagedFile, Store, StoreError, StoredDocument, WriteSet,
};

/// Reads from the store behind it; a list is explained, and answered without documents. Nothing is written.
pub(crate) struct Recorder {
    store: Arc<dyn Store>,
    lists: Mutex<Vec<(ListQuery, Explained)>>,
}

impl Recorder {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            lists: Mutex::default(),
        }
    }

    /// The first list that was asked for since the last call.
    pub(crate) fn first(&self) -> Option<(ListQuery, Explained)> {
        std::mem::take(&mut *self.lists.lock()).into_iter().next()
    }
}

fn refused() -> StoreError {
    StoreError::Engine("nothing is written while something is explained".to_owned())
}

#[async_trait]
impl Store for Recorder {
    async fn declare(&self, _: &[CollectionSpec]) -> Result<Vec<String>> {
        Err(refused())
    }

    async fn collections(&self) -> Result<Vec<String>> {
        self.store.collections().await
    }

    async fn declarations(&self) -> Result<Vec<Declaration>> {
        self.store.declarations().await
    }

    fn classes(&self) -> Arc<ClassTable> {
        self.store.classes()
    }

    async fn administrative_revision(&self) -> Result<u64> {
        self.store.administrative_revision().await
    }

    async fn get(&self, collection: &str, id: ObjectId) -> Result<Option<StoredDocument>> {
        self.store.get(collection, id).await
    }

    async fn get_many(&self, collection: &str, ids: &[ObjectId]) -> Result<Vec<StoredDocument>> {
        self.store.get_many(collection, ids).await
    }

    async fn by_key(&self, key: &KeyValue) -> Result<Option<StoredDocument>> {
        self.store.by_key(key).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let explained = self.store.explain(query).await?;
        let total = explained.total;
        self.lists.lock().push((query.clone(), explained));
        Ok(Page {
            documents: Vec::new(),
            total,
        })
    }

    async fn explain(&self, query: &ListQuery) -> Result<Explained> {
        self.store.explain(query).await
    }

    async fn select(
        &self,
        collection: &str,
        filter: &Filter,
        after: Option<ObjectId>,
        limit: u32,
    ) -> Result<Vec<ObjectId>> {
        self.store.select(collection, filter, after, limit).await
    }

    async fn classes_of(&self, documents: &[DocKey]) -> Result<Vec<Option<ClassId>>> {
        self.store.classes_of(documents).await
    }

    async fn commit(&self, _: WriteSet) -> Result<(), CommitError> {
        Err(refused().into())
    }

    fn staging_folder(&self) -> &Path {
        self.store.staging_folder()
    }

    async fn keep_file(&self, _: &str, _: &StagedFile) -> Result<FileId> {
        Err(refused())
    }

    async fn keep_file_as(&self, _: &str, _: FileId, _: &StagedFile) -> Result<()> {
        Err(refused())
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        self.store.buckets().await
    }

    async fn files(
        &self,
        bucket: &str,
        after: Option<FileId>,
        limit: u32,
    ) -> Result<Vec<(FileId, FileInfo)>> {
        self.store.files(bucket, after, limit).await
    }

    async fn file(&self, bucket: &str, id: FileId) -> Result<Option<FileInfo>> {
        self.store.file(bucket, id).await
    }

    async fn file_by_md5(
        &self,
        bucket: &str,
        md5: &[u8; 16],
    ) -> Result<Option<(FileId, FileInfo)>> {
        self.store.file_by_md5(bucket, md5).await
    }

    async fn read_file(
        &self,
        bucket: &str,
        id: FileId,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>> {
        self.store.read_file(bucket, id, offset, length).await
    }

    async fn sweep_files(&self, _: &str, _: &HashSet<FileId>, _: i64) -> Result<u64> {
        Err(refused())
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}
