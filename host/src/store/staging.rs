//! Folders that processes share: where files lie while they come in, and what one server keeps beside its store.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::{Result, StoreError};

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Engine(error.to_string())
    }
}

pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + '_ {
    move |error| StoreError::Engine(format!("{}: {error}", path.display()))
}

pub(crate) fn open_lock(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(path)
        .map_err(at(path))
}

/// Takes part in the lock on the staging folder, and empties the folder if nobody else has the store open.
pub(crate) fn lock_staging(folder: &Path, staging: &Path) -> Result<File> {
    let path = folder.join("staging.lock");
    let lock = open_lock(&path)?;
    match lock.try_lock() {
        Ok(()) => {
            for entry in std::fs::read_dir(staging).map_err(at(staging))? {
                let path = entry.map_err(at(staging))?.path();
                std::fs::remove_file(&path).map_err(at(&path))?;
            }
            lock.unlock().map_err(at(&path))?;
        }
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
    }
    lock.lock_shared().map_err(at(&path))?;
    Ok(lock)
}

/// The lock of the process that serves.
pub(crate) fn lock_serving(folder: &Path) -> Result<File> {
    let path = folder.join("serve.lock");
    let lock = open_lock(&path)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(format!(
            "another critd serves {} already",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(at(&path)(error)),
    }
}
