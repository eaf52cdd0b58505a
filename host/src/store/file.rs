//! Files beside documents: staged while they stream in, then kept by content.

use std::path::PathBuf;

use bson::oid::ObjectId;

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

impl Drop for StagedFile {
    fn drop(&mut self) {
        // Keeping links the file elsewhere; what is left here is rubbish, and the folder is emptied at the next start.
        let _ = std::fs::remove_file(&self.path);
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
    /// When it was kept, ms since 1970.
    pub kept_at: i64,
}
