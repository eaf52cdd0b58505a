//! The store that examples run on: in memory, read only once it is filled. An example's writes are compared and thrown
//! away, so nothing is ever committed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Document, RawDocumentBuf};

use crate::store::class::pairs_of;
use crate::store::{
    ClassTable, CollectionSpec, CommitError, Declaration, DocKey, Explained, FileId, FileInfo,
    Filter, KeyValue, ListQuery, Page, Result, StagedFile, Store, StoreError, StoredDocument, Test,
    WriteSet,
};

/// Documents of one example.
pub(super) struct Memory {
    documents: HashMap<String, BTreeMap<ObjectId, StoredDocument>>,
    classes: Arc<ClassTable>,
    staging: tempfile::TempDir,
    files: parking_lot::Mutex<HashMap<FileId, (FileInfo, Vec<u8>)>>,
}

impl Memory {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            documents: HashMap::new(),
            classes: Arc::new(ClassTable::empty()),
            staging: tempfile::tempdir()?,
            files: parking_lot::Mutex::default(),
        })
    }

    /// Adds a document; `classed`: its visibility depends on its sources.
    pub(super) fn add(
        &mut self,
        collection: &str,
        classed: bool,
        document: &Document,
    ) -> Result<(), String> {
        let body = RawDocumentBuf::try_from(document).map_err(|error| error.to_string())?;
        let id = document
            .get_object_id("_id")
            .map_err(|error| error.to_string())?;
        let class = if classed {
            let pairs = pairs_of(&body).map_err(|error| error.to_string())?;
            let table = Arc::make_mut(&mut self.classes);
            table
                .number(&pairs)
                .unwrap_or_else(|| table.add(Arc::new(pairs)))
        } else {
            0
        };
        let stored = StoredDocument {
            id,
            class,
            revision: 1,
            body: Arc::new(body),
        };
        self.documents
            .entry(collection.to_owned())
            .or_default()
            .insert(id, stored);
        Ok(())
    }

    fn meeting<'a>(
        &'a self,
        collection: &str,
        filter: &'a Filter,
    ) -> impl Iterator<Item = &'a StoredDocument> {
        let documents = self
            .documents
            .get(collection)
            .into_iter()
            .flat_map(BTreeMap::values);
        documents.filter(move |stored| filter.matches(&stored.body).unwrap_or(false))
    }
}

#[async_trait]
impl Store for Memory {
    async fn declare(&self, _: &[CollectionSpec]) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn collections(&self) -> Result<Vec<String>> {
        Ok(self.documents.keys().cloned().collect())
    }

    async fn declarations(&self) -> Result<Vec<Declaration>> {
        Ok(Vec::new())
    }

    fn classes(&self) -> Arc<ClassTable> {
        self.classes.clone()
    }

    async fn administrative_revision(&self) -> Result<u64> {
        Ok(1)
    }

    async fn get(&self, collection: &str, id: ObjectId) -> Result<Option<StoredDocument>> {
        Ok(self
            .documents
            .get(collection)
            .and_then(|documents| documents.get(&id))
            .cloned())
    }

    async fn get_many(&self, collection: &str, ids: &[ObjectId]) -> Result<Vec<StoredDocument>> {
        let documents = self.documents.get(collection);
        Ok(ids
            .iter()
            .filter_map(|id| documents.and_then(|documents| documents.get(id)))
            .cloned()
            .collect())
    }

    async fn by_key(&self, key: &KeyValue) -> Result<Option<StoredDocument>> {
        let parts = key
            .parts
            .iter()
            .map(|(path, value)| Filter::Field(path.clone(), Test::Eq(value.clone())));
        let filter = Filter::And(parts.collect());
        Ok(self.meeting(&key.collection, &filter).next().cloned())
    }

    async fn explain(&self, query: &ListQuery) -> Result<Explained> {
        let page = self.list(query).await?;
        Ok(Explained {
            engine: "memory",
            way: "look at every document".to_owned(),
            total: page.total,
            returned: page.documents.len() as u64,
            ..Explained::default()
        })
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let found: Vec<_> = self
            .meeting(&query.collection, &query.filter)
            .filter(|stored| query.visible.allows(stored.class))
            .collect();
        let page = found
            .iter()
            .skip(query.offset as usize)
            .take(query.limit as usize);
        Ok(Page {
            documents: page.map(|stored| (*stored).clone()).collect(),
            total: found.len() as u64,
        })
    }

    async fn select(
        &self,
        collection: &str,
        filter: &Filter,
        after: Option<ObjectId>,
        limit: u32,
    ) -> Result<Vec<ObjectId>> {
        let ids = self.meeting(collection, filter).map(|stored| stored.id);
        Ok(ids
            .filter(|id| after.is_none_or(|after| *id > after))
            .take(limit as usize)
            .collect())
    }

    async fn classes_of(&self, documents: &[DocKey]) -> Result<Vec<Option<u32>>> {
        let class = |key: &DocKey| Some(self.documents.get(&key.collection)?.get(&key.id)?.class);
        Ok(documents.iter().map(class).collect())
    }

    async fn commit(&self, _: WriteSet) -> Result<(), CommitError> {
        Err(StoreError::Unusable("examples store nothing".into()).into())
    }

    fn staging_folder(&self) -> &Path {
        self.staging.path()
    }

    async fn keep_file(&self, bucket: &str, file: &StagedFile) -> Result<FileId> {
        let mut id = [0; 12];
        id.copy_from_slice(&file.sha256[..12]);
        let id = ObjectId::from_bytes(id);
        self.keep_file_as(bucket, id, file).await?;
        Ok(id)
    }

    async fn keep_file_as(&self, _: &str, id: FileId, file: &StagedFile) -> Result<()> {
        let bytes =
            std::fs::read(&file.path).map_err(|error| StoreError::Engine(error.to_string()))?;
        let info = FileInfo {
            name: file.name.clone(),
            size: file.size,
            sha256: file.sha256,
            md5: file.md5,
            kept_at: 0,
        };
        self.files.lock().insert(id, (info, bytes));
        Ok(())
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn files(&self, _: &str, _: Option<FileId>, _: u32) -> Result<Vec<(FileId, FileInfo)>> {
        Ok(Vec::new())
    }

    async fn file(&self, _: &str, id: FileId) -> Result<Option<FileInfo>> {
        Ok(self.files.lock().get(&id).map(|(info, _)| info.clone()))
    }

    async fn file_by_md5(&self, _: &str, md5: &[u8; 16]) -> Result<Option<(FileId, FileInfo)>> {
        let files = self.files.lock();
        let found = files.iter().filter(|(_, (info, _))| info.md5 == *md5);
        let lowest = found.min_by_key(|(id, _)| **id);
        Ok(lowest.map(|(id, (info, _))| (*id, info.clone())))
    }

    async fn read_file(&self, _: &str, id: FileId, offset: u64, length: u32) -> Result<Vec<u8>> {
        let files = self.files.lock();
        let (_, bytes) = files
            .get(&id)
            .ok_or_else(|| StoreError::Engine(format!("there is no file {id}")))?;
        Ok(bytes
            .iter()
            .skip(offset as usize)
            .take(length as usize)
            .copied()
            .collect())
    }

    async fn sweep_files(&self, _: &str, _: &HashSet<FileId>, _: i64) -> Result<u64> {
        Ok(0)
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
