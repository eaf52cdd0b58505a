//! The store of tests that care not which one they have: the embedded one, or MongoDB where `CRITD_TEST_STORE` says so.
//! `cargo xtask test` runs them once with each.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::Store;
use super::mongo::{self, MongoStore};
use super::sqlite::{self, SqliteStore};

/// Opens the store that lies in a folder; on MongoDB, the database that belongs to the folder. Opened again, it is the
/// same store.
pub(crate) async fn open(folder: &Path) -> Arc<dyn Store> {
    match std::env::var("CRITD_TEST_STORE").as_deref() {
        Err(_) => {
            let opened = SqliteStore::open(folder, sqlite::Options::default());
            Arc::new(opened.unwrap_or_else(|error| panic!("{}: {error}", folder.display())))
        }
        Ok("mongodb") => {
            let url = url_of(folder);
            let opened = MongoStore::open(&url, folder, mongo::Options::default()).await;
            Arc::new(opened.unwrap_or_else(|error| panic!("{url}: {error}")))
        }
        Ok(other) => {
            panic!("CRITD_TEST_STORE is {other:?}; the only value it takes is \"mongodb\"")
        }
    }
}

/// Is the store of these tests the embedded one?
pub(crate) fn is_embedded() -> bool {
    std::env::var_os("CRITD_TEST_STORE").is_none()
}

/// A database whose name tells which process may use it: `cargo xtask test` drops those of processes that have ended.
fn url_of(folder: &Path) -> String {
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let name = format!(
        "critd_test_{}_{}",
        std::process::id(),
        hex::encode(&digest[..8])
    );
    database(&name)
}

/// The URL of a database of the replica set that `cargo xtask test` started.
pub(crate) fn database(name: &str) -> String {
    let deployment = deployment();
    let (hosts, options) = deployment.split_once("/?").unwrap_or((&deployment, ""));
    format!("{}/{name}?{options}", hosts.trim_end_matches('/'))
}

/// The replica set itself.
pub(crate) fn deployment() -> String {
    std::env::var("CRITD_TEST_MONGODB").unwrap_or_else(|_| {
        panic!("this test needs a replica set: run it with `cargo xtask test`, which starts one and sets CRITD_TEST_MONGODB")
    })
}
