//! Plugins: which are loaded, what they declare, and how they are run. The only part that names `wasmtime`.
//!
//! ```text
//! manifest      plugin-manifest.toml: which plugins, what they may do, their limits
//! declaration   what a plugin says of itself (`describe`), read and checked
//! arguments     a request's parameters checked against a declaration, before any plugin runs
//! analysis      analysis services: their records, tasks, leases, background runs
//! own           resources that belong to no plugin: the audit log
//! registry      an immutable set of loaded plugins: look-ups by resource, type, action
//! perform       a POST or PATCH from its parameters to what is stored: checks, handler, commit, retries
//! loader        a file → a loaded plugin, or a sentence why not
//! examples      a declaration's examples, run before a plugin may serve
//! reload        watches the directory, swaps the registry
//! janitor       takes away files that no document refers to
//! build         core module → component with frozen declaration
//! work          a request's transaction as its handlers see it: documents, rules that all types share
//! runtime       wasmtime: engine, instances, host functions, limits
//! ```

pub mod analysis;
pub mod arguments;
pub mod build;
pub mod declaration;
pub mod examples;
mod janitor;
pub mod loader;
pub mod manifest;
mod own;
pub mod registry;
pub mod reload;
mod runtime;
pub mod value;
pub mod work;

mod perform;
#[cfg(test)]
mod testing;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bson::oid::ObjectId;

use crate::access::Access;
use crate::registers::Registers;
use crate::store::{StagedFile, Store, StoreError};

use self::runtime::lanes::Lanes;
use self::runtime::{Runtime, SharedRuntime};

pub use perform::{Batch, Order};
pub use registry::{ActionEntry, Conflict, Loaded, Registry, ServiceEntry, TypeEntry};
pub use reload::{PluginStatus, Status, declared, read_status, rollback};
pub use runtime::limits::Limits;
pub use value::{Abort, Arg, Failure, Fault, Outcome, Value};
pub use work::Changed;

/// Everything a handler needs besides the request: shared by all requests.
#[derive(Clone)]
pub struct Services {
    /// Documents and files.
    pub store: Arc<dyn Store>,
    /// Rights.
    pub access: Arc<Access>,
    /// Database-managed sets, public suffix list, settings.
    pub registers: Arc<Registers>,
}

/// A parameter as it came in a body: forms give texts, JSON and its like give values.
#[derive(Debug, Clone)]
pub enum Param {
    /// A form field.
    Text(String),
    /// A value of a JSON, XML or YAML body. Dates and ids are texts here.
    Json(serde_json::Value),
    /// A file part of a multipart body.
    File(Arc<StagedFile>),
}

/// The parameters of a request in the order sent, repeats preserved; credentials are already taken out (rule A6).
pub type Params = Vec<(String, Param)>;

/// A change is stored at most so long (ms) after the time it carries as `modified`, the begin of its request: who reads
/// changes in the order of time relies on it (`api::paging`).
pub(crate) const LONGEST_CHANGE: i64 = 60_000;

/// How a request is to be carried out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mode {
    /// Work out what would be stored, store nothing.
    pub dry_run: bool,
    /// Carry it out once, however often it comes.
    pub once: Option<Once>,
}

/// The `Idempotency-Key` of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    /// Digest of the user and the key.
    pub key: [u8; 32],
    /// Digest of what was asked for.
    pub request: [u8; 32],
}

/// One of many objects to be created.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its parameters.
    pub params: Params,
    /// See [`Mode::once`].
    pub once: Option<Once>,
}

/// What becomes of many objects of which one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Together {
    /// The others are stored.
    Each,
    /// None is stored.
    All,
}

/// A successful POST.
#[derive(Debug, Clone)]
pub struct Created {
    /// Type and id of the object concerned, if there is a single one.
    pub document: Option<(String, ObjectId)>,
    /// The object did not exist before.
    pub fresh: bool,
    /// `message`.
    pub message: String,
    /// Further keys of the answer.
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// Sentences for `warnings`.
    pub warnings: Vec<String>,
    /// It had been carried out before ([`Mode::once`]): this is what it was answered then.
    pub is_repeated: bool,
    /// Of a dry run of this POST alone: the documents that would have been written.
    pub changed: Vec<Changed>,
}

/// A successful PATCH.
#[derive(Debug, Clone)]
pub struct Performed {
    /// `detail`.
    pub detail: String,
    /// Further keys of the answer: `object`, …
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// Arguments that the action does not know (rule P12a).
    pub ignored_arguments: Vec<String>,
    /// Sentences for `warnings`.
    pub warnings: Vec<String>,
    /// See [`Created::is_repeated`].
    pub is_repeated: bool,
    /// Of a dry run: the documents that would have been written.
    pub changed: Vec<Changed>,
}

/// A request that was refused; nothing was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Text for the client.
    pub message: String,
    /// Machine-readable `error` of core-api 13.3: `code` and what belongs to it.
    pub error: serde_json::Map<String, serde_json::Value>,
}

/// Why a request was not carried out.
#[derive(Debug)]
pub enum NotDone {
    /// The user asked for something impossible: `return_code` 1.
    Refused(Refusal),
    /// No such document, or not visible: 404.
    NoDocument,
    /// Something failed here: 500 with an error id; the text is for the log.
    Internal(String),
    /// Too busy, no store to be reached, or a conflict that did not resolve: 503 with `Retry-After`.
    Busy(String),
}

impl From<StoreError> for NotDone {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Busy(error.to_string()),
            _ => Self::Internal(error.to_string()),
        }
    }
}

/// How the plugin system of a server is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of the plugin files.
    pub directory: PathBuf,
    /// The operator's `plugin-manifest.toml`.
    pub manifest: PathBuf,
    /// Folder for the last good set, the status and, if not set otherwise, the compiled code. Only this server's.
    pub state: PathBuf,
    /// Folder of compiled code; servers may share it.
    pub compile_cache: Option<PathBuf>,
    /// How many requests run handlers at once; none: a few for each processor.
    pub permits: Option<usize>,
    /// No other process serves the same store: tasks of analysis services that seem to be run are not.
    pub is_alone: bool,
}

/// Why the plugin system did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The manifest can't be used.
    #[error(transparent)]
    Manifest(#[from] manifest::ManifestError),
    /// The machine or a folder can't be used.
    #[error("{0}")]
    Unusable(String),
    /// The store could not take up the types' collections.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

/// How deep instances of one request can be at once: the client's call and the creates within it.
const DEPTH: usize = 5;

/// How many analysis services an operator may let run at once (setting `services_at_once`).
const MOST_SERVICES: usize = 32;

/// The plugin system as the API sees it.
pub struct Plugins {
    services: Services,
    lanes: Lanes,
    turns: perform::turns::Turns,
    desk: Arc<analysis::Desk>,
    current: Arc<ArcSwap<Registry>>,
    watch: reload::Watch,
}

impl Plugins {
    /// Loads the plugins, declares their collections to the store and begins to watch the directory and the manifest.
    /// A plugin that can't serve does not prevent the start: its last good version serves, or it is missing, and the
    /// log and [`read_status`] say why.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub async fn start(services: Services, options: Options) -> Result<Self, StartError> {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let permits = options.permits.unwrap_or(processors * 8).clamp(1, 256);
        let lanes = Lanes::new(permits, permits * 16)
            .map_err(|error| StartError::Unusable(format!("threads for plugins: {error}")))?;
        let desk = analysis::Desk::new(options.is_alone)
            .map_err(|error| StartError::Unusable(format!("threads for services: {error}")))?;
        let current = Arc::new(ArcSwap::from_pointee(Registry::default()));
        let watch = {
            let (services, current) = (services.clone(), current.clone());
            let start = move || -> Result<reload::Watch, StartError> {
                let cache = options
                    .compile_cache
                    .clone()
                    .unwrap_or_else(|| options.state.join("compiled"));
                // A few more for the examples of plugins that are being loaded, and those of analysis services.
                let instances = permits * DEPTH + 16 + MOST_SERVICES;
                let instances = u32::try_from(instances).unwrap_or(u32::MAX);
                let runtime = Runtime::pooling(instances, &cache).map_err(StartError::Unusable)?;
                tracing::info!("plugins: memory of instances: {}", runtime.allocator);
                let runtime: SharedRuntime = Arc::new(runtime);
                reload::Watch::begin(runtime, services.store.clone(), current, options)
            };
            tokio::task::spawn_blocking(start).await.map_err(|error| {
                StartError::Unusable(format!("loading the plugins broke: {error}"))
            })??
        };
        Ok(Self {
            services,
            lanes,
            turns: Default::default(),
            desk: Arc::new(desk),
            current,
            watch,
        })
    }

    /// The set of plugins that serves now. Keep it for the whole request.
    #[must_use]
    pub fn current(&self) -> Arc<Registry> {
        self.current.load_full()
    }

    /// Removes the records of `Idempotency-Key`s that are honoured no more. How many.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn forget_request_keys(&self) -> Result<u64, StoreError> {
        perform::once::forget(self.services.store.as_ref(), crate::dates::now()).await
    }

    /// Removes notifications of long ago (documents.md section 7). How many.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn forget_notifications(&self) -> Result<u64, StoreError> {
        let store = self.services.store.as_ref();
        let before = self.services.registers.zones().stored(crate::dates::now()) - work::KEPT;
        perform::once::remove_before(store, work::NOTIFICATIONS, before).await
    }

    /// Takes away files that no document has come to refer to within a day. How many there were.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn sweep_files(&self) -> Result<u64, StoreError> {
        let now = crate::dates::now();
        janitor::sweep(self.services.store.as_ref(), &self.current(), now).await
    }

    /// The plugins as operators see them: what serves, what was rejected and why.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.watch.status()
    }
}

/// Runs a future to its end, from anywhere: inside or outside of an asynchronous runtime.
///
/// # Errors
///
/// No thread to be had, or it panicked.
fn blocking<T: Send>(future: impl Future<Output = T> + Send) -> Result<T, String> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        Ok(runtime.block_on(future))
    };
    std::thread::scope(|scope| {
        scope
            .spawn(run)
            .join()
            .map_err(|_| "a plugin broke the host: it panicked".to_owned())?
    })
}

/// Writes a file so that whoever reads it finds all of the old or all of the new content.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
