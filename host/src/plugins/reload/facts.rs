//! Files as a look finds them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What tells that a file has changed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) path: PathBuf,
    size: u64,
    pub(super) modified: Option<SystemTime>,
    inode: u64,
}

impl Facts {
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let facts = std::fs::metadata(path)?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&facts);
        #[cfg(not(unix))]
        let inode = 0;
        if !facts.is_file() {
            return Err(std::io::Error::other("it is no file"));
        }
        Ok(Self {
            path: path.into(),
            size: facts.len(),
            modified: facts.modified().ok(),
            inode,
        })
    }
}
