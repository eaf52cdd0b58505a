//! The embedded store does what every store must do, and what only it must.

mod opening;
mod planning;

use std::sync::Arc;

use tempfile::TempDir;

use super::{Options, SqliteStore};
use crate::store::Store;

/// An empty store in a folder of its own.
async fn open() -> (TempDir, Arc<dyn Store>) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), Options::default()).unwrap();
    (folder, Arc::new(store))
}

crate::store::conformance::suite!(open);
