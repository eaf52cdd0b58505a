//! The embedded store: one SQLite file, and files beside it.
//!
//! `critd.db` is in WAL mode with `synchronous=FULL`. One thread writes (`writer`, `group`, `flush`), a few read
//! (`readers`, `list`, `plan`, `find`, `sorted`). What both share in memory is published after each commit: the collections,
//! the classes, and how many documents of each class there are. It carries the number of the commit it belongs to;
//! whoever finds another number in the tables (another process has written) reads the tables instead.

mod bodies;
mod connection;
mod files;
mod find;
mod flush;
mod group;
mod keys;
mod list;
mod pending;
mod plan;
mod readers;
mod schema;
mod sorted;
#[cfg(test)]
mod tests;
mod uncounted;
mod writer;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use async_trait::async_trait;
use bson::oid::ObjectId;
use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::{Semaphore, oneshot};

use self::connection::Link;
use self::readers::Readers;
use self::schema::{Counts, Schema, State};
use self::writer::Job;
use crate::store::class::{ClassId, ClassTable, Pairs};
use crate::store::explain::Explained;
use crate::store::file::{FileId, FileInfo, StagedFile};
use crate::store::filter::Filter;
use crate::store::write::{CommitError, DocKey, WriteSet};
use crate::store::{
    CollectionSpec, Declaration, KeyValue, ListQuery, Page, Place, Result, Store, StoreError,
    StoredDocument, staging,
};

/// How the embedded store uses the machine.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that read, each with a connection.
    pub readers: usize,
    /// Queries over whole collections at a time.
    pub scans: usize,
    /// After this a query is given up.
    pub longest_query: Duration,
    /// How long to wait for another process that writes.
    pub busy: Duration,
    /// Bytes of the file that readers map into memory. Scans get up to twice as fast; but an error of the disk then
    /// ends the process, and the mapped part counts as its memory.
    pub mapped_bytes: u64,
    /// Page cache of each reader, KiB.
    pub reader_cache_kib: u32,
    /// Page cache of the writer, KiB.
    pub writer_cache_kib: u32,
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            readers: cores.max(2),
            scans: (cores - 1).max(1),
            longest_query: Duration::from_secs(30),
            busy: Duration::from_secs(10),
            mapped_bytes: 0,
            reader_cache_kib: 16 << 10,
            writer_cache_kib: 32 << 10,
        }
    }
}

/// What the writer publishes and readers use.
struct Shared {
    options: Options,
    schema: RwLock<Arc<Schema>>,
    classes: RwLock<Arc<ClassTable>>,
    counts: RwLock<Arc<Counts>>,
}

impl Shared {
    /// After a commit of this process.
    fn publish(
        &self,
        state: State,
        first_new: usize,
        new_classes: Vec<Arc<Pairs>>,
        count: impl FnOnce(&mut Counts),
    ) {
        if !new_classes.is_empty() {
            let mut classes = self.classes.write();
            let table = Arc::make_mut(&mut classes);
            for (number, pairs) in (first_new..).zip(new_classes) {
                // A reader may have seen the commit and fetched its classes before this.
                if number == table.classes.len() {
                    table.add(pairs);
                }
            }
        }
        let mut counts = self.counts.write();
        let counts = Arc::make_mut(&mut counts);
        count(counts);
        counts.commits = state.commits;
    }

    /// Reads everything anew: another process has written. Within a transaction.
    fn refresh(&self, sql: &Connection, state: State) -> Result<()> {
        let schema = schema::load_schema(sql)?;
        self.refresh_classes(sql)?;
        let counts = schema::load_counts(sql, state.commits)?;
        *self.schema.write() = Arc::new(schema);
        *self.counts.write() = Arc::new(counts);
        Ok(())
    }

    /// Reads the classes that another process has interned. Classes are never changed, so it does not matter who is
    /// first.
    fn refresh_classes(&self, sql: &Connection) -> Result<()> {
        let known = Arc::clone(&self.classes.read());
        let mut table = known.as_ref().clone();
        schema::load_classes(sql, &mut table)?;
        if table.classes.len() > known.classes.len() {
            let mut current = self.classes.write();
            if table.classes.len() > current.classes.len() {
                *current = Arc::new(table);
            }
        }
        Ok(())
    }

    /// The counts of the state that a read transaction sees.
    fn counts_at(&self, sql: &Connection, before: Arc<Counts>) -> Result<Arc<Counts>> {
        let state = schema::read_state(sql)?;
        if before.commits == state.commits {
            return Ok(before);
        }
        let now = Arc::clone(&self.counts.read());
        if now.commits == state.commits {
            return Ok(now);
        }
        self.refresh_classes(sql)?;
        Ok(Arc::new(schema::load_counts(sql, state.commits)?))
    }
}

/// See the module text.
pub struct SqliteStore {
    folder: PathBuf,
    staging: PathBuf,
    shared: Arc<Shared>,
    readers: Readers,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    scans: Semaphore,
    /// Held in common by all processes that have the store open; who gets it alone empties the staging folder.
    staging_lock: File,
    /// Held by the process that serves.
    serving: Mutex<Option<File>>,
}

impl SqliteStore {
    /// Opens the store in a folder, which is made if need be.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`] if the file is none of ours or of a newer version; [`StoreError::Engine`] if the disk
    /// refuses.
    pub fn open(folder: &Path, options: Options) -> Result<Self> {
        let staging = folder.join("staging");
        files::create_folders(folder, &staging)?;
        let staging_lock = staging::lock_staging(folder, &staging)?;
        let file = folder.join("critd.db");
        let bodies = Arc::default();
        let link = Link::writer(&file, &options, &bodies)?;
        // What serves meanwhile would be of the earlier version and not keep the new tables up.
        let alone = match schema::is_outdated(&link.sql)? {
            true => Some(staging::lock_serving(folder).map_err(|error| served(folder, error))?),
            false => None,
        };
        schema::create(&link.sql)?;
        drop(alone);
        let shared = Arc::new(Shared {
            options: options.clone(),
            schema: RwLock::default(),
            classes: RwLock::new(Arc::new(ClassTable::empty())),
            counts: RwLock::default(),
        });
        link.sql.execute_batch("BEGIN")?;
        shared.refresh(&link.sql, schema::read_state(&link.sql)?)?;
        link.sql.execute_batch("COMMIT")?;
        let readers = Readers::start(&file, &options, &bodies)?;
        let (jobs, receiver) = mpsc::channel();
        let writing = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer::run(link, &writing, &receiver))
            .map_err(|error| StoreError::Engine(format!("no thread for writing: {error}")))?;
        Ok(Self {
            folder: folder.to_owned(),
            staging,
            shared,
            readers,
            jobs: Mutex::new(Some(jobs)),
            scans: Semaphore::new(options.scans.max(1)),
            staging_lock,
            serving: Mutex::new(None),
        })
    }

    /// Keeps other servers off this store until it is dropped. Commands that only look or change something at once
    /// don't need it.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another process serves it.
    pub fn lock_exclusively(&self) -> Result<()> {
        let mut serving = self.serving.lock();
        if serving.is_none() {
            *serving = Some(staging::lock_serving(&self.folder)?);
        }
        Ok(())
    }

    /// The folder of the store.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn ask_writer(&self, job: Job) -> Result<()> {
        match self.jobs.lock().as_ref() {
            Some(jobs) => jobs.send(job).map_err(|_| readers::closed()),
            None => Err(readers::closed()),
        }
    }

    /// Runs something in a write transaction of its own.
    async fn write<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let slot = Arc::new(Mutex::new(None));
        let result = Arc::clone(&slot);
        let work = Box::new(move |sql: &Connection| {
            *result.lock() = Some(what(sql)?);
            Ok(())
        });
        self.ask_writer(Job::Run(work, reply))?;
        answer.await.map_err(|_| writer_failed())??;
        let value = slot.lock().take();
        value.ok_or_else(writer_failed)
    }

    fn collection(&self, name: &str) -> Result<Arc<schema::Collection>> {
        self.shared.schema.read().collection(name).cloned()
    }

    /// A permit for queries over whole collections; waiting counts against their time.
    async fn scan_permit(&self, heavy: bool) -> Result<Option<tokio::sync::SemaphorePermit<'_>>> {
        if !heavy {
            return Ok(None);
        }
        let longest = self.shared.options.longest_query;
        match tokio::time::timeout(longest, self.scans.acquire()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) => Err(readers::closed()),
            Err(_) => Err(StoreError::TooSlow(
                u64::try_from(longest.as_millis()).unwrap_or(u64::MAX),
            )),
        }
    }
}

fn served(folder: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::InUse(_) => StoreError::InUse(format!(
            "{} is served by an earlier version of critd: stop it first, so that the store can be brought up to date",
            folder.display()
        )),
        error => error,
    }
}

fn writer_failed() -> StoreError {
    StoreError::Engine("the writer failed; this is a defect".to_owned())
}

#[async_trait]
impl Store for SqliteStore {
    async fn declare(&self, collections: &[CollectionSpec]) -> Result<Vec<String>> {
        let (reply, answer) = oneshot::channel();
        self.ask_writer(Job::Declare(collections.to_vec(), reply))?;
        answer.await.map_err(|_| writer_failed())?
    }

    async fn collections(&self) -> Result<Vec<String>> {
        self.readers
            .glance(|link| {
                let mut statement = link
                    .sql
                    .prepare_cached("SELECT name FROM collection ORDER BY name")?;
                let names = statement.query_map([], |row| row.get(0))?;
                Ok(names.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn declarations(&self) -> Result<Vec<Declaration>> {
        self.readers
            .glance(|link| {
                let schema = schema::load_schema(&link.sql)?;
                let mut all: Vec<_> = schema
                    .collections
                    .values()
                    .map(|collection| collection.declaration())
                    .collect();
                all.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
                Ok(all)
            })
            .await
    }

    fn classes(&self) -> Arc<ClassTable> {
        Arc::clone(&self.shared.classes.read())
    }

    async fn administrative_revision(&self) -> Result<u64> {
        let shared = Arc::clone(&self.shared);
        self.readers
            .glance(move |link| {
                let state = schema::read_state(&link.sql)?;
                // A good moment to notice classes of another process: without them its documents can't be seen here.
                if state.commits > shared.counts.read().commits {
                    shared.refresh_classes(&link.sql)?;
                }
                Ok(state.administrative.unsigned_abs())
            })
            .await
    }

    async fn get(&self, collection: &str, id: ObjectId) -> Result<Option<StoredDocument>> {
        let collection = self.collection(collection)?;
        self.readers
            .glance(move |link| list::get(link, &collection, id))
            .await
    }

    async fn get_many(&self, collection: &str, ids: &[ObjectId]) -> Result<Vec<StoredDocument>> {
        let collection = self.collection(collection)?;
        let ids = ids.to_vec();
        self.readers
            .read_some(ids.len(), move |link| {
                let mut found = Vec::with_capacity(ids.len());
                for id in ids {
                    found.extend(list::get(link, &collection, id)?);
                }
                Ok(found)
            })
            .await
    }

    async fn by_key(&self, key: &KeyValue) -> Result<Option<StoredDocument>> {
        let collection = self.collection(&key.collection)?;
        let number = group::declared_key(&collection, key)?.number;
        let Some(value) = group::key_value(key)? else {
            return Ok(None);
        };
        self.readers
            .glance(move |link| {
                let n = collection.number;
                let oldest: Option<Vec<u8>> = link
                    .sql
                    .prepare_cached(&format!(
                        "SELECT oid FROM key_{n} WHERE number = ? AND key = ? ORDER BY oid LIMIT 1"
                    ))?
                    .query_row(rusqlite::params![number, value], |row| row.get(0))
                    .optional()?;
                match oldest {
                    Some(oldest) => list::get(link, &collection, connection::object_id(&oldest)?),
                    None => Ok(None),
                }
            })
            .await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let collection = self.collection(&query.collection)?;
        let _permit = self.scan_permit(list::is_heavy(&collection, query)).await?;
        let shared = Arc::clone(&self.shared);
        let query = query.clone();
        self.readers
            .read(move |link| {
                let before = Arc::clone(&shared.counts.read());
                let counts = shared.counts_at(&link.sql, before)?;
                list::page(link, &collection, &query, &counts)
            })
            .await
    }

    async fn explain(&self, query: &ListQuery) -> Result<Explained> {
        let collection = self.collection(&query.collection)?;
        let shared = Arc::clone(&self.shared);
        let query = query.clone();
        self.readers
            .read(move |link| {
                let before = Arc::clone(&shared.counts.read());
                let counts = shared.counts_at(&link.sql, before)?;
                list::explain(link, &collection, &query, &counts)
            })
            .await
    }

    async fn uncounted(
        &self,
        query: &ListQuery,
        after: Option<&Place>,
    ) -> Result<Vec<StoredDocument>> {
        let collection = self.collection(&query.collection)?;
        let way = uncounted::way(&collection, query, after);
        if way == uncounted::Way::Counted {
            return Ok(self.list(query).await?.documents);
        }
        let _permit = self.scan_permit(true).await?;
        let (query, after) = (query.clone(), after.cloned());
        self.readers
            .read(move |link| uncounted::page(link, &collection, &query, after.as_ref()))
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
        let _permit = self
            .scan_permit(list::is_heavy_condition(&collection, filter))
            .await?;
        let filter = filter.clone();
        self.readers
            .read(move |link| list::select(link, &collection, &filter, after, limit))
            .await
    }

    async fn classes_of(&self, documents: &[DocKey]) -> Result<Vec<Option<ClassId>>> {
        let mut wanted = Vec::with_capacity(documents.len());
        for document in documents {
            wanted.push((self.collection(&document.collection)?.number, document.id));
        }
        self.readers
            .read_some(wanted.len(), move |link| {
                let mut classes = Vec::with_capacity(wanted.len());
                for (n, id) in wanted {
                    let mut statement = link.sql.prepare_cached(&format!(
                        "SELECT class FROM doc_{n} INDEXED BY dir_{n} WHERE oid = ?"
                    ))?;
                    classes.push(
                        statement
                            .query_row([&id.bytes()[..]], |row| row.get(0))
                            .optional()?,
                    );
                }
                Ok(classes)
            })
            .await
    }

    async fn commit(&self, changes: WriteSet) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.ask_writer(Job::Commit(Box::new(changes), reply))?;
        answer
            .await
            .map_err(|_| CommitError::Store(writer_failed()))?
    }

    fn staging_folder(&self) -> &Path {
        &self.staging
    }

    async fn keep_file(&self, bucket: &str, file: &StagedFile) -> Result<FileId> {
        files::keep(self, bucket, file).await
    }

    async fn keep_file_as(&self, bucket: &str, id: FileId, file: &StagedFile) -> Result<()> {
        files::keep_as(self, bucket, id, file).await
    }

    async fn buckets(&self) -> Result<Vec<String>> {
        files::buckets(self).await
    }

    async fn files(
        &self,
        bucket: &str,
        after: Option<FileId>,
        limit: u32,
    ) -> Result<Vec<(FileId, FileInfo)>> {
        files::list(self, bucket, after, limit).await
    }

    async fn file(&self, bucket: &str, id: FileId) -> Result<Option<FileInfo>> {
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
        files::read(self, bucket, id, offset, length).await
    }

    async fn sweep_files(
        &self,
        bucket: &str,
        referred: &HashSet<FileId>,
        before: i64,
    ) -> Result<u64> {
        files::sweep(self, bucket, referred, before).await
    }

    async fn close(&self) -> Result<()> {
        self.scans.close();
        // Readers first: they could keep the writer from emptying the log.
        let threads = self.readers.close();
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().for_each(|thread| drop(thread.join()))
        });
        let _ = joined.await;
        let jobs = self.jobs.lock().take();
        if let Some(jobs) = jobs {
            let (reply, answer) = oneshot::channel();
            if jobs.send(Job::Close(reply)).is_ok() {
                let _ = answer.await;
            }
        }
        *self.serving.lock() = None;
        let _ = self.staging_lock.unlock();
        Ok(())
    }
}
