//! The store for more than one machine: a MongoDB replica set or sharded cluster.
//!
//! Collections and buckets are those of the original (documents, sections 3 to 7), so that an existing database can be
//! taken over: `declare` adds to each document what the store itself needs (`own`). What belongs to no document is in
//!
//! ```text
//! critd.collections   what was declared, by whichever process
//! critd.classes       visibility classes
//! critd.state         the last revision given, the number of commits to administrative collections and of classes
//! critd.guards        what transactions write to meet (`flush`)
//! ```
//!
//! Several processes may serve one database. What one changes, the others see with the next query; new classes when they
//! ask for the number of administrative commits, which every request does; declarations within half a second.

mod abandoned;
mod classes;
mod commands;
mod committer;
mod compile;
mod connect;
mod declare;
mod errors;
mod explain;
mod files;
mod flush;
mod group;
mod list;
mod own;
mod schema;
#[cfg(test)]
pub(crate) mod tests;
mod uncounted;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Document, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;
use mongodb::{Client, ClientSession, Database};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::classes::Administrative;
use self::committer::Waiting;
pub use self::connect::shown_url;
use self::errors::{Trouble, closed};
use self::list::{Look, stored};
use self::schema::{Collection, Schema};
use crate::store::class::{ClassId, ClassTable};
use crate::store::explain::Explained;
use crate::store::file::{FileId, FileInfo, StagedFile};
use crate::store::filter::Filter;
use crate::store::write::{CommitError, DocKey, WriteSet};
use crate::store::{
    CollectionSpec, Declaration, KeyValue, ListQuery, Page, Place, Result, Store, StoreError,
    StoredDocument, staging,
};

/// Collections of the store's own, and documents in them.
mod names {
    pub(super) const COLLECTIONS: &str = "critd.collections";
    pub(super) const CLASSES: &str = "critd.classes";
    pub(super) const STATE: &str = "critd.state";
    pub(super) const GUARDS: &str = "critd.guards";
    /// Document of `critd.state`.
    pub(super) const REVISION: &str = "revision";
    /// Document of `critd.state`.
    pub(super) const ADMINISTRATIVE: &str = "administrative";
    /// Document of `critd.state`.
    pub(super) const NUMBER_OF_CLASSES: &str = "classes";
}

/// Lanes of a collection: processes with different lanes don't meet by writing to it.
const LANES: u32 = 16;

/// Revisions that are taken at a time.
const REVISIONS: u64 = 1_000;

/// How long the store waits for the deployment.
#[derive(Debug, Clone)]
pub struct Options {
    /// Until a node is found that will do.
    pub find_server: Duration,
    /// Between looks at the nodes.
    pub heartbeat: Duration,
    /// For how long a write set is tried again when other processes or an election are in the way.
    pub patience: Duration,
    /// For one try of a transaction.
    pub longest_commit: Duration,
    /// After this a query is given up.
    pub longest_query: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            find_server: Duration::from_secs(5),
            heartbeat: Duration::from_secs(2),
            patience: Duration::from_secs(10),
            longest_commit: Duration::from_secs(30),
            longest_query: Duration::from_secs(30),
        }
    }
}

/// What the committer, the queries and the looks at other processes share.
struct Shared {
    options: Options,
    client: Client,
    database: Database,
    schema: RwLock<Arc<Schema>>,
    /// Collections that are known to be there, with their indexes.
    made: Mutex<HashSet<String>>,
    classes: RwLock<Arc<ClassTable>>,
    administrative: Mutex<Administrative>,
    /// Held by whoever asks for the number of administrative commits.
    asking: tokio::sync::Mutex<()>,
    /// Which of the lanes this process writes with.
    lane: u32,
}

/// Revisions that no other process gives.
#[derive(Debug, Default)]
struct Revisions {
    next: u64,
    end: u64,
}

impl Revisions {
    /// The first of `count` revisions above another. Revisions that another process has used since these were taken are
    /// higher than all of them; then new ones are taken.
    async fn take(&mut self, shared: &Shared, count: u64, above: u64) -> Result<u64, Trouble> {
        if self.next <= above || self.next + count > self.end {
            let number = count.max(REVISIONS);
            let state = shared
                .database
                .collection::<Document>(names::STATE)
                .find_one_and_update(
                    doc! { "_id": names::REVISION },
                    doc! { "$inc": { "n": number.cast_signed() } },
                )
                .upsert(true)
                .return_document(ReturnDocument::After)
                .await?;
            let last = state.and_then(|state| state.get_i64("n").ok());
            let last = last.unwrap_or_default().unsigned_abs();
            self.next = last.saturating_sub(number) + 1;
            self.end = last + 1;
        }
        let first = self.next;
        self.next += count;
        Ok(first)
    }
}

/// See the module text.
pub struct MongoStore {
    shared: Arc<Shared>,
    folder: PathBuf,
    staging: PathBuf,
    staging_lock: File,
    /// Held by the process that serves.
    serving: Mutex<Option<File>>,
    /// Buckets whose indexes are known to be there.
    buckets: Mutex<HashSet<String>>,
    jobs: Mutex<Option<mpsc::UnboundedSender<Waiting>>>,
    committer: Mutex<Option<JoinHandle<()>>>,
    looking: JoinHandle<()>,
    is_closed: AtomicBool,
}

impl MongoStore {
    /// Connects to the database of a URL (`crits` if it names none). Uploads on their way lie in a folder below
    /// `folder`, which is made if need be. To be called on a runtime that outlives the store.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`] if the URL, the log-in or the kind of deployment is at fault; [`StoreError::Unavailable`]
    /// if nobody answers. No text contains the password.
    pub async fn open(url: &str, folder: &Path, options: Options) -> Result<Self> {
        let (client, database) = connect::connect(url, &options).await?;
        Self::start(client, database, folder, options).await
    }

    /// As [`MongoStore::open`], if anybody has made a store in the database; else nothing is written there.
    ///
    /// # Errors
    ///
    /// See [`MongoStore::open`].
    pub async fn open_made(url: &str, folder: &Path, options: Options) -> Result<Option<Self>> {
        let (client, database) = connect::connect(url, &options).await?;
        let made = database
            .collection::<Document>(names::COLLECTIONS)
            .find_one(doc! {})
            .await
            .map_err(|error| errors::store_error(&error, options.longest_query))?;
        if made.is_none() {
            client.shutdown().immediate(true).await;
            return Ok(None);
        }
        Self::start(client, database, folder, options)
            .await
            .map(Some)
    }

    async fn start(
        client: Client,
        database: Database,
        folder: &Path,
        options: Options,
    ) -> Result<Self> {
        let staging = folder.join("staging");
        std::fs::create_dir_all(&staging).map_err(staging::at(&staging))?;
        let staging_lock = staging::lock_staging(folder, &staging)?;
        let lane = getrandom::u32().unwrap_or_default() % LANES;
        let shared = Arc::new(Shared {
            options,
            client,
            database,
            schema: RwLock::default(),
            made: Mutex::default(),
            classes: RwLock::new(Arc::new(ClassTable::empty())),
            administrative: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            lane,
        });
        shared.prepare().await?;
        let (jobs, receiver) = mpsc::unbounded_channel();
        let committer = tokio::spawn(committer::run(Arc::clone(&shared), receiver));
        let looking = tokio::spawn(classes::keep_looking(Arc::downgrade(&shared)));
        Ok(Self {
            shared,
            folder: folder.to_owned(),
            staging,
            staging_lock,
            serving: Mutex::default(),
            buckets: Mutex::default(),
            jobs: Mutex::new(Some(jobs)),
            committer: Mutex::new(Some(committer)),
            looking,
            is_closed: AtomicBool::new(false),
        })
    }

    /// Has anybody declared a collection in the database?
    #[must_use]
    pub fn is_made(&self) -> bool {
        !self.shared.schema.read().collections.is_empty()
    }

    /// Keeps other servers off the folder until the store is dropped. Servers with other folders may use the same database.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another process serves with this folder.
    pub fn lock_exclusively(&self) -> Result<()> {
        let mut serving = self.serving.lock();
        if serving.is_none() {
            *serving = Some(staging::lock_serving(&self.folder)?);
        }
        Ok(())
    }

    /// Names of the collections of the database that have documents although nobody declared them, files apart, ascending.
    ///
    /// # Errors
    ///
    /// Only the database's.
    pub async fn undeclared(&self) -> Result<Vec<String>> {
        self.check_open()?;
        let failed = |error: mongodb::error::Error| {
            errors::store_error(&error, self.shared.options.longest_query)
        };
        self.shared.refresh_schema().await?;
        let schema = Arc::clone(&self.shared.schema.read());
        let mut found = Vec::new();
        let names = self.shared.database.list_collection_names().await;
        for name in names.map_err(failed)? {
            let known = schema.collections.contains_key(&name)
                || name.starts_with("critd.")
                || name.starts_with("system.")
                || name.ends_with(".files")
                || name.ends_with(".chunks");
            let any = self.shared.database.collection::<Document>(&name);
            if !known && any.find_one(doc! {}).await.map_err(failed)?.is_some() {
                found.push(name);
            }
        }
        found.sort();
        Ok(found)
    }

    fn collection(&self, name: &str) -> Result<Arc<Collection>> {
        self.check_open()?;
        self.shared.schema.read().collection(name).cloned()
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }

    fn trouble(&self, trouble: Trouble) -> StoreError {
        trouble.into_store(self.shared.options.longest_query)
    }

    /// Waits for an answer, but not for ever: a node may vanish without closing its connections. Asks again where a
    /// collection was being made while it was read.
    async fn bounded<T, F>(&self, ask: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        self.check_open()?;
        let options = &self.shared.options;
        let longest = options.longest_query + options.find_server;
        let mut patience = errors::Patience::new(options.patience);
        let work = async {
            loop {
                match ask().await {
                    Err(trouble) if trouble.is_transient() && patience.wait().await => {}
                    done => return done,
                }
            }
        };
        match tokio::time::timeout(longest, work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(trouble)) => Err(self.trouble(trouble)),
            Err(_) => Err(StoreError::Unavailable(format!(
                "the database did not answer within {} s",
                longest.as_secs()
            ))),
        }
    }

    /// A session in which all queries see one state.
    async fn snapshot(&self) -> Result<ClientSession, Trouble> {
        Ok(self.shared.client.start_session().snapshot(true).await?)
    }

    /// One document.
    async fn one(
        &self,
        collection: &Collection,
        condition: Document,
    ) -> Result<Option<StoredDocument>> {
        self.bounded(|| async {
            let found = self
                .shared
                .database
                .collection::<RawDocumentBuf>(&collection.name)
                .find_one(condition.clone())
                .sort(doc! { "_id": 1 })
                .await?;
            let Some(found) = found else { return Ok(None) };
            let document = stored(collection, found)?;
            self.shared.know_class(document.class).await?;
            Ok(Some(document))
        })
        .await
    }
}

impl Shared {
    /// Makes the store's own collections usable, and reads what is in them.
    async fn prepare(&self) -> Result<()> {
        let failed =
            |error: mongodb::error::Error| errors::store_error(&error, self.options.longest_query);
        let there = self
            .database
            .list_collection_names()
            .await
            .map_err(failed)?;
        // A transaction on a sharded cluster can't make collections.
        for name in [
            names::COLLECTIONS,
            names::CLASSES,
            names::STATE,
            names::GUARDS,
        ] {
            if !there.iter().any(|known| known == name)
                && let Err(error) = self.database.create_collection(name).await
                && !errors::exists_already(&error)
            {
                return Err(failed(error));
            }
        }
        self.database
            .collection::<Document>(names::CLASSES)
            .create_index(classes::index_model())
            .await
            .map_err(failed)?;
        self.look().await
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn declare(&self, collections: &[CollectionSpec]) -> Result<Vec<String>> {
        self.check_open()?;
        self.shared.declare(collections).await
    }

    async fn collections(&self) -> Result<Vec<String>> {
        self.check_open()?;
        self.shared.refresh_schema().await?;
        let schema = Arc::clone(&self.shared.schema.read());
        let mut names: Vec<String> = schema.collections.keys().cloned().collect();
        names.sort();
        Ok(names)
    }

    async fn declarations(&self) -> Result<Vec<Declaration>> {
        self.check_open()?;
        self.shared.refresh_schema().await?;
        let schema = Arc::clone(&self.shared.schema.read());
        let collections = schema.collections.values();
        let mut all: Vec<_> = collections
            .map(|collection| collection.declaration())
            .collect();
        all.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        Ok(all)
    }

    fn classes(&self) -> Arc<ClassTable> {
        Arc::clone(&self.shared.classes.read())
    }

    async fn administrative_revision(&self) -> Result<u64> {
        self.bounded(|| async { Ok(self.shared.administrative_revision().await?) })
            .await
    }

    async fn get(&self, collection: &str, id: ObjectId) -> Result<Option<StoredDocument>> {
        let collection = self.collection(collection)?;
        self.one(&collection, doc! { "_id": id }).await
    }

    async fn get_many(&self, collection: &str, ids: &[ObjectId]) -> Result<Vec<StoredDocument>> {
        let collection = self.collection(collection)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.bounded(|| async {
            let mut session = self.snapshot().await?;
            let mut look = Look {
                shared: &self.shared,
                session: &mut session,
            };
            let found = look.get_many(&collection, ids).await?;
            for document in &found {
                self.shared.know_class(document.class).await?;
            }
            Ok(found)
        })
        .await
    }

    async fn by_key(&self, key: &KeyValue) -> Result<Option<StoredDocument>> {
        let collection = self.collection(&key.collection)?;
        collection.key(key)?;
        // A value that can't be written is held by nobody.
        let Some(digest) = own::digest_of(key) else {
            return Ok(None);
        };
        self.one(&collection, doc! { own::KEYS: own::binary(&digest) })
            .await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let collection = self.collection(&query.collection)?;
        self.bounded(|| async {
            let mut session = self.snapshot().await?;
            let mut look = Look {
                shared: &self.shared,
                session: &mut session,
            };
            let page = look.page(&collection, query).await?;
            for document in &page.documents {
                self.shared.know_class(document.class).await?;
            }
            Ok(page)
        })
        .await
    }

    async fn uncounted(
        &self,
        query: &ListQuery,
        after: Option<&Place>,
    ) -> Result<Vec<StoredDocument>> {
        let collection = self.collection(&query.collection)?;
        self.bounded(|| async {
            let mut session = self.snapshot().await?;
            let mut look = Look {
                shared: &self.shared,
                session: &mut session,
            };
            let documents = look.uncounted(&collection, query, after).await?;
            for document in &documents {
                self.shared.know_class(document.class).await?;
            }
            Ok(documents)
        })
        .await
    }

    async fn explain(&self, query: &ListQuery) -> Result<Explained> {
        let collection = self.collection(&query.collection)?;
        self.bounded(|| explain::explain(self, &collection, query))
            .await
    }

    async fn select(
        &self,
        collection: &str,
        filter: &Filter,
        after: Option<ObjectId>,
        limit: u32,
    ) -> Result<Vec<ObjectId>> {
        let collection = self.collection(collection)?;
        self.bounded(|| async {
            let mut session = self.snapshot().await?;
            let mut look = Look {
                shared: &self.shared,
                session: &mut session,
            };
            look.select(&collection, filter, after, limit).await
        })
        .await
    }

    async fn classes_of(&self, documents: &[DocKey]) -> Result<Vec<Option<ClassId>>> {
        let mut wanted: BTreeMap<&str, Vec<ObjectId>> = BTreeMap::new();
        for document in documents {
            self.collection(&document.collection)?;
            wanted
                .entry(&document.collection)
                .or_default()
                .push(document.id);
        }
        self.bounded(|| async {
            let mut session = self.snapshot().await?;
            let mut look = Look {
                shared: &self.shared,
                session: &mut session,
            };
            let mut classes = std::collections::HashMap::new();
            for (collection, ids) in &wanted {
                let found = look
                    .fields(
                        collection,
                        doc! { "_id": { "$in": ids } },
                        doc! { "_id": 1, own::CLASS: 1 },
                    )
                    .await?;
                for document in found {
                    let class = document
                        .get_document(own::FIELD)
                        .and_then(|field| field.get_i64("class"));
                    let class = ClassId::try_from(class.unwrap_or_default()).unwrap_or_default();
                    self.shared.know_class(class).await?;
                    if let Ok(id) = document.get_object_id("_id") {
                        classes.insert((*collection, id), class);
                    }
                }
            }
            Ok(documents
                .iter()
                .map(|document| {
                    classes
                        .get(&(document.collection.as_str(), document.id))
                        .copied()
                })
                .collect())
        })
        .await
    }

    async fn commit(&self, changes: WriteSet) -> Result<(), CommitError> {
        self.check_open()?;
        let (reply, answer) = oneshot::channel();
        let sent = match self.jobs.lock().as_ref() {
            Some(jobs) => jobs.send(Waiting { changes, reply }).is_ok(),
            None => false,
        };
        if !sent {
            return Err(closed().into());
        }
        answer.await.map_err(|_| {
            CommitError::Store(StoreError::Engine(
                "the writer failed; this is a defect".to_owned(),
            ))
        })?
    }

    fn staging_folder(&self) -> &Path {
        &self.staging
    }

    async fn keep_file(&self, bucket: &str, file: &StagedFile) -> Result<FileId> {
        self.check_open()?;
        files::keep(self, bucket, file).await
    }

    async fn keep_file_as(&self, bucket: &str, id: FileId, file: &StagedFile) -> Result<()> {
        self.check_open()?;
        files::keep_as(self, bucket, id, file).await
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        self.check_open()?;
        files::buckets(self).await
    }

    async fn files(
        &self,
        bucket: &str,
        after: Option<FileId>,
        limit: u32,
    ) -> Result<Vec<(FileId, FileInfo)>> {
        self.check_open()?;
        files::list(self, bucket, after, limit).await
    }

    async fn file(&self, bucket: &str, id: FileId) -> Result<Option<FileInfo>> {
        self.check_open()?;
        files::info(self, bucket, id).await
    }

    async fn file_by_md5(
        &self,
        bucket: &str,
        md5: &[u8; 16],
    ) -> Result<Option<(FileId, FileInfo)>> {
        files::by_md5(self, bucket, md5).await
    }

    async fn read_file(
        &self,
        bucket: &str,
        id: FileId,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>> {
        self.check_open()?;
        files::read(self, bucket, id, offset, length).await
    }

    async fn sweep_files(
        &self,
        bucket: &str,
        referred: &HashSet<FileId>,
        before: i64,
    ) -> Result<u64> {
        self.check_open()?;
        files::sweep(self, bucket, referred, before).await
    }

    async fn close(&self) -> Result<()> {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.jobs.lock().take();
        let committer = self.committer.lock().take();
        if let Some(committer) = committer {
            let _ = committer.await;
        }
        self.looking.abort();
        self.shared.client.clone().shutdown().immediate(true).await;
        *self.serving.lock() = None;
        let _ = self.staging_lock.unlock();
        Ok(())
    }
}

impl Drop for MongoStore {
    fn drop(&mut self) {
        self.looking.abort();
    }
}
