//! Files beside documents: staged while they stream in, then kept by content.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bson::oid::ObjectId;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Under which a document refers to a kept file.
pub type FileId = ObjectId;

/// A complete file in the staging folder; removed from there when the value is dropped.
#[derive(Debug)]
pub struct StagedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Base name as given by the client or the maker; any Unicode, never used as a path. May be empty.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Digest by which it is kept.
    pub sha256: [u8; 32],
    /// Digest that documents show.
    pub md5: [u8; 16],
    /// Digest that documents show.
    pub sha1: [u8; 20],
}

impl StagedFile {
    /// Begins a file in a staging folder.
    ///
    /// # Errors
    ///
    /// If the file can't be made.
    pub fn create(folder: &Path, name: &str) -> std::io::Result<StagingWriter> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{}-{number}.part", ObjectId::new().to_hex()));
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok(StagingWriter {
            file,
            place: Place(path),
            name: name.to_owned(),
            size: 0,
            sha256: Sha256::new(),
            md5: Md5::new(),
            sha1: Sha1::new(),
        })
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // Keeping links the file elsewhere; what is left here is rubbish, and the folder is emptied at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A file on its way into the staging folder: all digests are computed as it comes. Dropped before
/// [`StagingWriter::finish`], it is removed.
///
/// Writing goes to the page cache and the digests cost about 5 ms for a megabyte: give it parts of at most some
/// hundred kilobytes when on an async thread.
#[derive(Debug)]
pub struct StagingWriter {
    file: File,
    place: Place,
    name: String,
    size: u64,
    sha256: Sha256,
    md5: Md5,
    sha1: Sha1,
}

/// A file that is removed unless its path is taken.
#[derive(Debug)]
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

impl StagingWriter {
    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)?;
        self.sha256.update(bytes);
        self.md5.update(bytes);
        self.sha1.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The complete file.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn finish(mut self) -> std::io::Result<StagedFile> {
        self.file.flush()?;
        Ok(StagedFile {
            path: std::mem::take(&mut self.place.0),
            name: self.name,
            size: self.size,
            sha256: self.sha256.finalize().into(),
            md5: self.md5.finalize().into(),
            sha1: self.sha1.finalize().into(),
        })
    }
}

/// A kept file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Name it was first kept under.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Digest.
    pub sha256: [u8; 32],
    /// Digest.
    pub md5: [u8; 16],
    /// When it was last kept, ms since 1970: keeping equal bytes again counts, so that what is about to be referred to
    /// is not swept.
    pub kept_at: i64,
}
