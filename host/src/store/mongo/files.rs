//! Kept files: GridFS buckets named as those of the original (documents, section 4).
//!
//! ```text
//! BUCKET.files    _id, length, chunkSize, uploadDate, md5 (rule M24), filename; ours: sha256, keptAt, and content: the
//!                 SHA-256 of files that were kept by content, of which there is one each
//! BUCKET.chunks   files_id, n, data
//! ```
//!
//! Chunks are written before the file, and removed after it: what is listed is whole. A file of the original has no
//! `sha256`; it gets one when it is first asked for.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;

use bson::oid::ObjectId;
use bson::{Binary, Bson, DateTime, Document, doc};
use mongodb::IndexModel;
use mongodb::error::Error;
use mongodb::options::IndexOptions;
use sha2::{Digest as _, Sha256};

use super::errors::{is_duplicate, is_there_by_another_name, store_error};
use super::{MongoStore, own};
use crate::store::file::{FileId, FileInfo, StagedFile};
use crate::store::{Result, StoreError};

/// Bytes of a chunk, as drivers have it.
const CHUNK: usize = 261_120;

/// Chunks that are sent at a time.
const CHUNKS: usize = 16;

/// Field of the id of a file in a chunk.
const FILE: &str = "files_id";

/// A bucket of a store.
struct Bucket<'a> {
    store: &'a MongoStore,
    name: &'a str,
}

impl MongoStore {
    fn bucket<'a>(&'a self, name: &'a str) -> Bucket<'a> {
        Bucket { store: self, name }
    }
}

impl Bucket<'_> {
    fn files(&self) -> mongodb::Collection<Document> {
        let name = format!("{}.files", self.name);
        self.store.shared.database.collection(&name)
    }

    fn chunks(&self) -> mongodb::Collection<Document> {
        let name = format!("{}.chunks", self.name);
        self.store.shared.database.collection(&name)
    }

    fn failed(&self, error: &Error) -> StoreError {
        store_error(error, self.store.shared.options.longest_query)
    }

    /// Makes the indexes, once for each bucket and process.
    async fn prepare(&self) -> Result<()> {
        if self.store.buckets.lock().contains(self.name) {
            return Ok(());
        }
        let index = |name: &str, keys: Document, unique: bool, partial: Option<Document>| {
            let mut options = IndexOptions::default();
            options.name = Some(name.to_owned());
            options.unique = unique.then_some(true);
            options.partial_filter_expression = partial;
            IndexModel::builder().keys(keys).options(options).build()
        };
        let there = doc! { "content": { "$exists": true } };
        self.files()
            .create_indexes([
                index("critd sha256", doc! { "sha256": 1, "_id": 1 }, false, None),
                index("critd content", doc! { "content": 1 }, true, Some(there)),
            ])
            .await
            .map_err(|error| self.failed(&error))?;
        // An existing database has it.
        let by_md5 = index("critd md5", doc! { "md5": 1 }, false, None);
        match self.files().create_index(by_md5).await {
            Err(error) if !is_there_by_another_name(&error) => return Err(self.failed(&error)),
            _ => {}
        }
        // The name that drivers give it.
        self.chunks()
            .create_index(index(
                "files_id_1_n_1",
                doc! { FILE: 1, "n": 1 },
                true,
                None,
            ))
            .await
            .map_err(|error| self.failed(&error))?;
        self.store.buckets.lock().insert(self.name.to_owned());
        Ok(())
    }

    /// The lowest id under which these bytes are kept; from now on it counts as kept now.
    async fn touch(&self, sha256: &[u8; 32]) -> Result<Option<FileId>> {
        loop {
            let known = self
                .files()
                .find_one(doc! { "sha256": own::binary(sha256) })
                .sort(doc! { "_id": 1 })
                .projection(doc! { "_id": 1 })
                .await
                .map_err(|error| self.failed(&error))?;
            let Some(id) = known.and_then(|known| known.get_object_id("_id").ok()) else {
                return Ok(None);
            };
            let touched = self
                .files()
                .update_one(
                    doc! { "_id": id },
                    doc! { "$max": { "keptAt": DateTime::now() } },
                )
                .await
                .map_err(|error| self.failed(&error))?;
            // Else a sweep was quicker.
            if touched.matched_count > 0 {
                return Ok(Some(id));
            }
        }
    }

    /// Sends the bytes.
    async fn upload(&self, id: FileId, file: &StagedFile) -> Result<()> {
        // What is left of an earlier try.
        self.remove_chunks(id).await?;
        let mut number = 0_i32;
        let mut from = 0_u64;
        while from < file.size {
            let path = file.path.clone();
            let bytes = blocking(move || read_part(&path, from, CHUNK * CHUNKS)).await?;
            if bytes.is_empty() {
                return Err(StoreError::Engine(format!(
                    "{} is shorter than it was",
                    file.path.display()
                )));
            }
            from += bytes.len() as u64;
            let mut chunks = Vec::with_capacity(CHUNKS);
            for part in bytes.chunks(CHUNK) {
                chunks.push(doc! { FILE: id, "n": number, "data": own::binary(part) });
                number += 1;
            }
            self.chunks()
                .insert_many(chunks)
                .await
                .map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    async fn remove_chunks(&self, id: FileId) -> Result<()> {
        self.chunks()
            .delete_many(doc! { FILE: id })
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(())
    }

    /// Enters a file whose chunks are there. False: an id or content like this is there already.
    async fn enter(&self, id: FileId, file: &StagedFile, by_content: bool) -> Result<bool> {
        let now = DateTime::now();
        let mut document = doc! {
            "_id": id,
            "length": file.size.cast_signed(),
            "chunkSize": CHUNK as i32,
            "uploadDate": now,
            "md5": hex::encode(file.md5),
            "filename": &file.name,
            "sha256": own::binary(&file.sha256),
            "keptAt": now,
        };
        if by_content {
            document.insert("content", own::binary(&file.sha256));
        }
        match self.files().insert_one(document).await {
            Ok(_) => Ok(true),
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn entry(&self, id: FileId) -> Result<Option<Document>> {
        self.files()
            .find_one(doc! { "_id": id })
            .await
            .map_err(|error| self.failed(&error))
    }

    /// What is known of a file; a digest that is missing is worked out and noted.
    async fn info(&self, document: &Document) -> Result<(FileId, FileInfo)> {
        let id = document.get_object_id("_id").map_err(|_| {
            StoreError::Engine(format!(
                "`{}` has a file whose id is no object id",
                self.name
            ))
        })?;
        let date = |name| {
            document
                .get_datetime(name)
                .map(|date| date.timestamp_millis())
                .ok()
        };
        let md5 = document
            .get_str("md5")
            .ok()
            .and_then(|text| hex::decode(text).ok())
            .and_then(|bytes| bytes.try_into().ok());
        let sha256 = match document.get("sha256") {
            Some(Bson::Binary(Binary { bytes, .. })) => bytes.as_slice().try_into().ok(),
            _ => None,
        };
        let (md5, sha256) = match (md5, sha256) {
            (Some(md5), Some(sha256)) => (md5, sha256),
            _ => self.digest(id, document).await?,
        };
        let info = FileInfo {
            name: document.get_str("filename").unwrap_or_default().to_owned(),
            size: length(document),
            sha256,
            md5,
            kept_at: date("keptAt").or(date("uploadDate")).unwrap_or_default(),
        };
        Ok((id, info))
    }

    /// Works out the digests of a file that came without, from the bytes that are there.
    async fn digest(&self, id: FileId, document: &Document) -> Result<([u8; 16], [u8; 32])> {
        let (mut md5, mut sha256) = (md5::Md5::new(), Sha256::new());
        let mut cursor = self
            .chunks()
            .find(doc! { FILE: id })
            .sort(doc! { "n": 1 })
            .await
            .map_err(|error| self.failed(&error))?;
        let mut size = 0;
        while cursor
            .advance()
            .await
            .map_err(|error| self.failed(&error))?
        {
            let chunk = cursor
                .deserialize_current()
                .map_err(|error| self.failed(&error))?;
            if let Some(Bson::Binary(data)) = chunk.get("data") {
                md5.update(&data.bytes);
                sha256.update(&data.bytes);
                size += data.bytes.len() as u64;
            }
        }
        let (md5, sha256): ([u8; 16], [u8; 32]) = (md5.finalize().into(), sha256.finalize().into());
        if size == length(document) {
            self.files()
                .update_one(
                    doc! { "_id": id },
                    doc! { "$set": { "md5": hex::encode(md5), "sha256": own::binary(&sha256) } },
                )
                .await
                .map_err(|error| self.failed(&error))?;
        }
        Ok((md5, sha256))
    }

    /// Are all bytes of a file there?
    async fn is_whole(&self, id: FileId, document: &Document) -> Result<bool> {
        let chunks = self
            .chunks()
            .count_documents(doc! { FILE: id })
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(chunks == length(document).div_ceil(chunk_size(document)))
    }
}

fn length(document: &Document) -> u64 {
    match document.get("length") {
        Some(Bson::Int64(length)) => length.unsigned_abs(),
        Some(Bson::Int32(length)) => u64::from(length.unsigned_abs()),
        Some(Bson::Double(length)) => *length as u64,
        _ => 0,
    }
}

fn chunk_size(document: &Document) -> u64 {
    let size = match document.get("chunkSize") {
        Some(Bson::Int32(size)) => u64::from(size.unsigned_abs()),
        Some(Bson::Int64(size)) => size.unsigned_abs(),
        _ => CHUNK as u64,
    };
    size.max(1)
}

fn read_part(path: &Path, from: u64, most: usize) -> Result<Vec<u8>> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(StoreError::Engine(
            "work on a file failed; this is a defect".to_owned(),
        ))
    })
}

pub(super) async fn keep(store: &MongoStore, bucket: &str, file: &StagedFile) -> Result<FileId> {
    let bucket = store.bucket(bucket);
    bucket.prepare().await?;
    loop {
        if let Some(known) = bucket.touch(&file.sha256).await? {
            return Ok(known);
        }
        let id = ObjectId::new();
        bucket.upload(id, file).await?;
        if bucket.enter(id, file, true).await? {
            return Ok(id);
        }
        // Somebody else was quicker with the same bytes.
        bucket.remove_chunks(id).await?;
    }
}

pub(super) async fn keep_as(
    store: &MongoStore,
    bucket: &str,
    id: FileId,
    file: &StagedFile,
) -> Result<()> {
    let bucket = store.bucket(bucket);
    bucket.prepare().await?;
    loop {
        if let Some(entry) = bucket.entry(id).await? {
            let (_, info) = bucket.info(&entry).await?;
            if info.sha256 == file.sha256 && info.size == file.size {
                return Ok(());
            }
            return Err(StoreError::Engine(format!(
                "file {id} of `{}` has other bytes",
                bucket.name
            )));
        }
        bucket.upload(id, file).await?;
        if bucket.enter(id, file, false).await? {
            return Ok(());
        }
    }
}

pub(super) async fn buckets(store: &MongoStore) -> Result<Vec<String>> {
    let names = store
        .shared
        .database
        .list_collection_names()
        .await
        .map_err(|error| store_error(&error, store.shared.options.longest_query))?;
    let mut found = Vec::new();
    for name in names {
        let Some(name) = name.strip_suffix(".files") else {
            continue;
        };
        let bucket = store.bucket(name);
        let any = bucket
            .files()
            .find_one(doc! {})
            .await
            .map_err(|error| bucket.failed(&error))?;
        if any.is_some() {
            found.push(name.to_owned());
        }
    }
    found.sort();
    Ok(found)
}

pub(super) async fn list(
    store: &MongoStore,
    bucket: &str,
    after: Option<FileId>,
    limit: u32,
) -> Result<Vec<(FileId, FileInfo)>> {
    let bucket = store.bucket(bucket);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let condition = match after {
        Some(after) => doc! { "_id": { "$gt": after } },
        None => doc! { "_id": { "$type": "objectId" } },
    };
    let mut cursor = bucket
        .files()
        .find(condition)
        .sort(doc! { "_id": 1 })
        .limit(i64::from(limit))
        .await
        .map_err(|error| bucket.failed(&error))?;
    let mut found = Vec::new();
    while cursor
        .advance()
        .await
        .map_err(|error| bucket.failed(&error))?
    {
        let document = cursor
            .deserialize_current()
            .map_err(|error| bucket.failed(&error))?;
        found.push(bucket.info(&document).await?);
    }
    Ok(found)
}

pub(super) async fn info(store: &MongoStore, bucket: &str, id: FileId) -> Result<Option<FileInfo>> {
    let bucket = store.bucket(bucket);
    match bucket.entry(id).await? {
        Some(entry) if bucket.is_whole(id, &entry).await? => Ok(Some(bucket.info(&entry).await?.1)),
        _ => Ok(None),
    }
}

pub(super) async fn by_md5(
    store: &MongoStore,
    bucket: &str,
    md5: &[u8; 16],
) -> Result<Option<(FileId, FileInfo)>> {
    let bucket = store.bucket(bucket);
    let mut cursor = bucket
        .files()
        .find(doc! { "md5": hex::encode(md5), "_id": { "$type": "objectId" } })
        .sort(doc! { "_id": 1 })
        .await
        .map_err(|error| bucket.failed(&error))?;
    while cursor
        .advance()
        .await
        .map_err(|error| bucket.failed(&error))?
    {
        let document = cursor
            .deserialize_current()
            .map_err(|error| bucket.failed(&error))?;
        let (id, info) = bucket.info(&document).await?;
        if bucket.is_whole(id, &document).await? {
            return Ok(Some((id, info)));
        }
    }
    Ok(None)
}

pub(super) async fn read(
    store: &MongoStore,
    bucket: &str,
    id: FileId,
    offset: u64,
    wanted: u32,
) -> Result<Vec<u8>> {
    let bucket = store.bucket(bucket);
    let Some(entry) = bucket.entry(id).await? else {
        return Err(StoreError::Engine(format!(
            "there is no file {id} in `{}`",
            bucket.name
        )));
    };
    let (size, chunk) = (length(&entry), chunk_size(&entry));
    let left = size.saturating_sub(offset).min(u64::from(wanted));
    if left == 0 {
        return Ok(Vec::new());
    }
    let (first, last) = (offset / chunk, (offset + left - 1) / chunk);
    let mut cursor = bucket
        .chunks()
        .find(doc! { FILE: id, "n": { "$gte": first.cast_signed(), "$lte": last.cast_signed() } })
        .sort(doc! { "n": 1 })
        .await
        .map_err(|error| bucket.failed(&error))?;
    let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or_default());
    let mut skip = usize::try_from(offset - first * chunk).unwrap_or_default();
    while cursor
        .advance()
        .await
        .map_err(|error| bucket.failed(&error))?
    {
        let document = cursor
            .deserialize_current()
            .map_err(|error| bucket.failed(&error))?;
        if let Some(Bson::Binary(data)) = document.get("data") {
            bytes.extend_from_slice(data.bytes.get(skip..).unwrap_or_default());
        }
        skip = 0;
    }
    bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
    if (bytes.len() as u64) < left {
        return Err(StoreError::Engine(format!(
            "parts of the file {id} of `{}` are missing",
            bucket.name
        )));
    }
    Ok(bytes)
}

pub(super) async fn sweep(
    store: &MongoStore,
    bucket: &str,
    referred: &HashSet<FileId>,
    before: i64,
) -> Result<u64> {
    let bucket = store.bucket(bucket);
    let old = doc! { "$or": [
        { "keptAt": { "$lt": DateTime::from_millis(before) } },
        { "keptAt": { "$exists": false }, "uploadDate": { "$lt": DateTime::from_millis(before) } },
    ] };
    let mut cursor = bucket
        .files()
        .find(old.clone())
        .projection(doc! { "_id": 1 })
        .await
        .map_err(|error| bucket.failed(&error))?;
    let mut gone = 0;
    while cursor
        .advance()
        .await
        .map_err(|error| bucket.failed(&error))?
    {
        let document = cursor
            .deserialize_current()
            .map_err(|error| bucket.failed(&error))?;
        let Ok(id) = document.get_object_id("_id") else {
            continue;
        };
        if referred.contains(&id) {
            continue;
        }
        // Unless somebody has kept it again meanwhile.
        let removed = bucket
            .files()
            .delete_one(doc! { "$and": [{ "_id": id }, old.clone()] })
            .await
            .map_err(|error| bucket.failed(&error))?;
        if removed.deleted_count > 0 {
            bucket.remove_chunks(id).await?;
            gone += 1;
        }
    }
    Ok(gone)
}
