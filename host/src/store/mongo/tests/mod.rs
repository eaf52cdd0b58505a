//! Tests on a real replica set: `cargo xtask test` starts one and says where it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::*;

mod agreement;
mod opening;
mod processes;

mod conformance {
    crate::store::conformance::suite! { super::open }
}

/// A database of a test's own; dropped in the end.
pub(crate) struct Scratch {
    url: String,
    name: String,
    folder: TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "critd_test_{}_{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        Self {
            url: crate::store::testing::database(&name),
            name,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// URL of the database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    async fn open(&self) -> Arc<dyn Store> {
        let opened = MongoStore::open(&self.url, self.folder.path(), Options::default()).await;
        Arc::new(opened.unwrap_or_else(|error| panic!("{}: {error}", self.url)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let client = Client::with_uri_str(&url)
                    .await
                    .map_err(std::io::Error::other)?;
                client
                    .database(&name)
                    .drop()
                    .await
                    .map_err(std::io::Error::other)
            })
        });
        let done = dropped.join();
        if !matches!(done, Ok(Ok(()))) {
            eprintln!("the database {} could not be dropped", self.name);
        }
    }
}

async fn open() -> (Scratch, Arc<dyn Store>) {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    (scratch, store)
}
