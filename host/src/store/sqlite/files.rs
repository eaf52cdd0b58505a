//! Kept files: bytes under `files/ab/cdef…` by their SHA-256, and who they are in the table `file`.
//!
//! Bytes are linked there before the row is written, and removed after the last row has gone. Both look once more
//! within a write transaction, so that a file swept and kept at the same time is there in the end.

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bson::oid::ObjectId;
use rusqlite::{Connection, OptionalExtension, params};

use super::SqliteStore;
use super::connection;
use crate::store::file::{FileId, FileInfo, StagedFile};
use crate::store::staging::at;
use crate::store::{Result, StoreError};

pub(super) fn create_folders(folder: &Path, staging: &Path) -> Result<()> {
    for path in [folder, &folder.join("files"), staging] {
        std::fs::create_dir_all(path).map_err(at(path))?;
    }
    Ok(())
}

/// Where bytes are kept.
fn place(folder: &Path, sha256: &[u8]) -> PathBuf {
    let hex = connection::hex_of(sha256);
    let (first, rest) = hex.split_at_checked(2).unwrap_or(("", &hex));
    folder.join("files").join(first).join(rest)
}

fn sync_folder(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(at(path))
}

/// Links the bytes to their place, durably, unless they are there.
fn link(folder: &Path, staged: &Path, sha256: &[u8], size: u64) -> Result<()> {
    let target = place(folder, sha256);
    let parent = target.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent).map_err(at(parent))?;
    let there = std::fs::metadata(&target).is_ok_and(|there| there.len() == size);
    if !there {
        File::open(staged)
            .and_then(|file| file.sync_all())
            .map_err(at(staged))?;
        // Something of another size is no file of ours; a damaged one is replaced.
        match std::fs::remove_file(&target) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(&target)(error)),
            _ => {}
        }
        match std::fs::hard_link(staged, &target) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(at(&target)(error));
            }
            _ => {}
        }
    }
    sync_folder(parent)?;
    sync_folder(&folder.join("files"))
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

/// Links the staged bytes to their place, then lets `enter` write the row.
async fn keep_row<T: Send + 'static>(
    store: &SqliteStore,
    file: &StagedFile,
    enter: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
) -> Result<T> {
    let folder = store.folder().to_owned();
    let (staged, sha256, size) = (file.path.clone(), file.sha256, file.size);
    {
        let (folder, staged) = (folder.clone(), staged.clone());
        blocking(move || link(&folder, &staged, &sha256, size)).await?;
    }
    store
        .write(move |sql| {
            // A sweep may have taken the bytes meanwhile; from now on it waits for this transaction.
            if !place(&folder, &sha256).exists() {
                link(&folder, &staged, &sha256, size)?;
            }
            enter(sql)
        })
        .await
}

/// What the row of a staged file says, except for its id.
struct Row {
    bucket: String,
    name: String,
    sha256: [u8; 32],
    md5: [u8; 16],
    size: u64,
}

impl Row {
    fn of(bucket: &str, file: &StagedFile) -> Self {
        Self {
            bucket: bucket.to_owned(),
            name: file.name.clone(),
            sha256: file.sha256,
            md5: file.md5,
            size: file.size,
        }
    }

    fn insert(&self, sql: &Connection, id: FileId) -> Result<()> {
        sql.prepare_cached(
            "INSERT INTO file(bucket, id, sha256, md5, size, name, kept_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            self.bucket,
            &id.bytes()[..],
            self.sha256,
            self.md5,
            self.size.cast_signed(),
            self.name,
            now()
        ])?;
        Ok(())
    }
}

pub(super) async fn keep(store: &SqliteStore, bucket: &str, file: &StagedFile) -> Result<FileId> {
    let row = Row::of(bucket, file);
    keep_row(store, file, move |sql| {
        let known: Option<Vec<u8>> = sql
            .prepare_cached(
                "SELECT id FROM file WHERE sha256 = ? AND bucket = ? ORDER BY id LIMIT 1",
            )?
            .query_row(params![row.sha256, row.bucket], |row| row.get(0))
            .optional()?;
        let Some(known) = known else {
            let id = ObjectId::new();
            row.insert(sql, id)?;
            return Ok(id);
        };
        sql.prepare_cached(
            "UPDATE file SET kept_at = max(kept_at, ?) WHERE bucket = ? AND id = ?",
        )?
        .execute(params![now(), row.bucket, known])?;
        connection::object_id(&known)
    })
    .await
}

pub(super) async fn keep_as(
    store: &SqliteStore,
    bucket: &str,
    id: FileId,
    file: &StagedFile,
) -> Result<()> {
    let row = Row::of(bucket, file);
    keep_row(store, file, move |sql| match find(sql, &row.bucket, id)? {
        None => row.insert(sql, id),
        Some(known) if known.sha256 == row.sha256 => Ok(()),
        Some(_) => Err(StoreError::Engine(format!(
            "file {id} of `{}` has other bytes",
            row.bucket
        ))),
    })
    .await
}

pub(super) async fn buckets(store: &SqliteStore) -> Result<Vec<String>> {
    store
        .readers
        .read(|link| {
            let mut statement = link
                .sql
                .prepare_cached("SELECT DISTINCT bucket FROM file ORDER BY bucket")?;
            let names = statement.query_map([], |row| row.get(0))?;
            Ok(names.collect::<rusqlite::Result<_>>()?)
        })
        .await
}

pub(super) async fn list(
    store: &SqliteStore,
    bucket: &str,
    after: Option<FileId>,
    limit: u32,
) -> Result<Vec<(FileId, FileInfo)>> {
    let bucket = bucket.to_owned();
    let after = after.map_or_else(Vec::new, |id| id.bytes().to_vec());
    store
        .readers
        .read(move |link| {
            let mut statement = link.sql.prepare_cached(
                "SELECT name, size, sha256, md5, kept_at, id FROM file WHERE bucket = ? AND id > ? ORDER BY id LIMIT ?",
            )?;
            let mut rows = statement.query(params![bucket, after, limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let id: Vec<u8> = row.get(5)?;
                found.push((connection::object_id(&id)?, info_of(row)?));
            }
            Ok(found)
        })
        .await
}

fn now() -> i64 {
    bson::DateTime::now().timestamp_millis()
}

/// Of a row that begins with name, size, sha256, md5, kept_at.
fn info_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<FileInfo> {
    let size: i64 = row.get(1)?;
    Ok(FileInfo {
        name: row.get(0)?,
        size: size.unsigned_abs(),
        sha256: row.get(2)?,
        md5: row.get(3)?,
        kept_at: row.get(4)?,
    })
}

fn find(sql: &Connection, bucket: &str, id: FileId) -> Result<Option<FileInfo>> {
    let mut statement = sql.prepare_cached(
        "SELECT name, size, sha256, md5, kept_at FROM file WHERE bucket = ? AND id = ?",
    )?;
    Ok(statement
        .query_row(params![bucket, &id.bytes()[..]], info_of)
        .optional()?)
}

async fn row(store: &SqliteStore, bucket: &str, id: FileId) -> Result<Option<FileInfo>> {
    let bucket = bucket.to_owned();
    store
        .readers
        .read(move |link| find(&link.sql, &bucket, id))
        .await
}

pub(super) async fn info(
    store: &SqliteStore,
    bucket: &str,
    id: FileId,
) -> Result<Option<FileInfo>> {
    match row(store, bucket, id).await? {
        Some(info) => if_there(store, info).await,
        None => Ok(None),
    }
}

pub(super) async fn by_md5(
    store: &SqliteStore,
    bucket: &str,
    md5: &[u8; 16],
) -> Result<Option<(FileId, FileInfo)>> {
    let (bucket, md5) = (bucket.to_owned(), *md5);
    let found = store
        .readers
        .read(move |link| {
            let mut statement = link.sql.prepare_cached(
                "SELECT name, size, sha256, md5, kept_at, id FROM file WHERE md5 = ? AND bucket = ? ORDER BY id",
            )?;
            let mut rows = statement.query(params![md5, bucket])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let id: Vec<u8> = row.get(5)?;
                found.push((connection::object_id(&id)?, info_of(row)?));
            }
            Ok(found)
        })
        .await?;
    for (id, info) in found {
        if let Some(info) = if_there(store, info).await? {
            return Ok(Some((id, info)));
        }
    }
    Ok(None)
}

/// The same if its bytes are there.
async fn if_there(store: &SqliteStore, info: FileInfo) -> Result<Option<FileInfo>> {
    let path = place(store.folder(), &info.sha256);
    blocking(move || match std::fs::metadata(&path) {
        Ok(there) if there.len() == info.size => Ok(Some(info)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(&path)(error)),
    })
    .await
}

pub(super) async fn read(
    store: &SqliteStore,
    bucket: &str,
    id: FileId,
    offset: u64,
    length: u32,
) -> Result<Vec<u8>> {
    let Some(info) = row(store, bucket, id).await? else {
        return Err(StoreError::Engine(format!(
            "there is no file {id} in `{bucket}`"
        )));
    };
    let path = place(store.folder(), &info.sha256);
    blocking(move || {
        let mut file = File::open(&path).map_err(at(&path))?;
        let left = info.size.saturating_sub(offset).min(u64::from(length));
        file.seek(SeekFrom::Start(offset.min(info.size)))
            .map_err(at(&path))?;
        let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or_default());
        file.take(left).read_to_end(&mut bytes).map_err(at(&path))?;
        if (bytes.len() as u64) < left {
            return Err(StoreError::Engine(format!(
                "{} is shorter than it was",
                path.display()
            )));
        }
        Ok(bytes)
    })
    .await
}

pub(super) async fn sweep(
    store: &SqliteStore,
    bucket: &str,
    referred: &HashSet<FileId>,
    before: i64,
) -> Result<u64> {
    let (bucket, referred) = (bucket.to_owned(), referred.clone());
    let gone: Vec<[u8; 32]> = store
        .write(move |sql| {
            let old: Vec<(Vec<u8>, [u8; 32])> = sql
                .prepare_cached("SELECT id, sha256 FROM file WHERE bucket = ? AND kept_at < ?")?
                .query_map(params![bucket, before], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let mut gone = Vec::new();
            for (id, sha256) in old {
                if referred.contains(&connection::object_id(&id)?) {
                    continue;
                }
                sql.prepare_cached("DELETE FROM file WHERE bucket = ? AND id = ?")?
                    .execute(params![bucket, id])?;
                gone.push(sha256);
            }
            Ok(gone)
        })
        .await?;
    let count = gone.len() as u64;
    let folder = store.folder().to_owned();
    store
        .write(move |sql| {
            for sha256 in gone {
                let kept: bool = sql
                    .prepare_cached("SELECT count(*) > 0 FROM file WHERE sha256 = ?")?
                    .query_row([sha256], |row| row.get(0))?;
                let path = place(&folder, &sha256);
                if !kept
                    && let Err(error) = std::fs::remove_file(&path)
                    && error.kind() != ErrorKind::NotFound
                {
                    return Err(at(&path)(error));
                }
            }
            Ok(())
        })
        .await?;
    Ok(count)
}
