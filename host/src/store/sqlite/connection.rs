//! Connections to the database file, and the SQL functions they carry.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::oid::ObjectId;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OpenFlags};

use super::Options;
use super::bodies::Bodies;
use crate::store::filter::Filter;
use crate::store::{Result, StoreError, Visible};

/// SQLite before this can lose commits when several connections write to the log (pitfall P2).
const OLDEST: i32 = 3_051_003;

/// Bytes of a page. The keys of an index come in no order, so that nearly each of them changes a page of its own: small pages
/// are the less to write. Files keep the size that they were made with.
const PAGE: i64 = 4096;

/// Marks our files: "crit".
const APPLICATION: i64 = 0x6372_6974;

/// Layout of the tables that this program reads and writes.
pub(super) const LAYOUT: i64 = 3;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error.to_string())
    }
}

/// A connection, and what its functions `sees(class)` and `holds(body, oid)` answer at the moment. Another one,
/// `lacks(revision)`, says whether a document is not among those in memory.
pub(super) struct Link {
    pub(super) sql: Connection,
    task: Arc<Mutex<Task>>,
    longest: Duration,
    /// For rows that are stepped over outside of SQL.
    steps: Cell<u32>,
    end: Cell<Instant>,
    /// Index rows stepped over and documents looked at since the task began.
    rows: Cell<u64>,
    looks: Cell<u64>,
    /// Shared by all connections of a store.
    pub(super) bodies: Arc<Bodies>,
}

/// What a query may see and looks for.
struct Task {
    visible: Visible,
    filter: Filter,
    end: Instant,
    calls: u32,
    looks: u64,
    failure: Option<Failure>,
}

#[derive(Debug, Clone)]
enum Failure {
    TooSlow,
    Damaged(String, String),
}

#[derive(Debug, thiserror::Error)]
#[error("the query was given up")]
struct GivenUp;

impl Link {
    /// The connection that writes; makes a new file ready.
    pub(super) fn writer(file: &Path, options: &Options, bodies: &Arc<Bodies>) -> Result<Self> {
        if rusqlite::version_number() < OLDEST {
            return Err(StoreError::Unusable(format!(
                "SQLite {} can lose committed data; 3.51.3 or newer is needed",
                rusqlite::version()
            )));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sql = Connection::open_with_flags(file, flags)?;
        sql.busy_timeout(options.busy)?;
        check_layout(&sql, file)?;
        // Only effective before the first table is made (pitfall P5).
        sql.pragma_update(None, "page_size", PAGE)?;
        let mode: String =
            sql.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if !mode.eq_ignore_ascii_case("wal") {
            return Err(StoreError::Unusable(format!(
                "{} can't be opened in WAL mode",
                file.display()
            )));
        }
        sql.pragma_update(None, "synchronous", "FULL")?;
        sql.pragma_update(None, "wal_autocheckpoint", 0)?;
        sql.pragma_update(None, "journal_size_limit", 128 << 20)?;
        sql.pragma_update(None, "cache_size", -(options.writer_cache_kib as i64))?;
        sql.pragma_update(None, "temp_store", "MEMORY")?;
        Self::finish(sql, options, bodies)
    }

    /// A connection that only reads.
    pub(super) fn reader(file: &Path, options: &Options, bodies: &Arc<Bodies>) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sql = Connection::open_with_flags(file, flags)?;
        sql.busy_timeout(options.busy)?;
        sql.pragma_update(None, "query_only", true)?;
        sql.pragma_update(None, "mmap_size", options.mapped_bytes as i64)?;
        sql.pragma_update(None, "cache_size", -(options.reader_cache_kib as i64))?;
        sql.pragma_update(None, "temp_store", "MEMORY")?;
        Self::finish(sql, options, bodies)
    }

    fn finish(sql: Connection, options: &Options, bodies: &Arc<Bodies>) -> Result<Self> {
        sql.set_prepared_statement_cache_capacity(512);
        // Else statements are compiled anew whenever other values are bound to them, for a plan that might suit those better.
        sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        let task = Arc::new(Mutex::new(Task {
            visible: Visible::All,
            filter: Filter::All,
            end: Instant::now(),
            calls: 0,
            looks: 0,
            failure: None,
        }));
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        let state = Arc::clone(&task);
        sql.create_scalar_function("sees", 1, flags, move |context| {
            let class: u32 = context.get(0)?;
            let mut task = state.lock();
            task.tick()?;
            Ok(task.visible.allows(class))
        })?;
        let state = Arc::clone(&task);
        sql.create_scalar_function("holds", 2, flags, move |context| {
            let mut task = state.lock();
            task.tick()?;
            task.looks += 1;
            let body = context.get_raw(0).as_blob().unwrap_or_default();
            match task.filter.matches_stored(body) {
                Ok(holds) => Ok(holds),
                Err(error) => {
                    let id = context.get_raw(1).as_blob().unwrap_or_default();
                    task.failure = Some(Failure::Damaged(hex_of(id), error.to_string()));
                    Err(given_up())
                }
            }
        })?;
        let known = Arc::clone(bodies);
        sql.create_scalar_function("lacks", 1, flags, move |context| {
            let revision: i64 = context.get(0)?;
            Ok(known.lacks(revision.unsigned_abs()))
        })?;
        Ok(Self {
            sql,
            task,
            longest: options.longest_query,
            steps: Cell::new(0),
            end: Cell::new(Instant::now()),
            rows: Cell::new(0),
            looks: Cell::new(0),
            bodies: Arc::clone(bodies),
        })
    }

    /// Says what `sees` and `holds` answer from now on, and starts the clock.
    pub(super) fn begin_task(&self, visible: &Visible, filter: &Filter) {
        let mut task = self.task.lock();
        task.visible = visible.clone();
        task.filter = filter.clone();
        self.end.set(Instant::now() + self.longest);
        task.end = self.end.get();
        task.calls = 0;
        task.looks = 0;
        task.failure = None;
        self.rows.set(0);
        self.looks.set(0);
    }

    /// Index rows stepped over and documents looked at since the task began.
    pub(super) fn examined(&self) -> (u64, u64) {
        (self.rows.get(), self.looks.get() + self.task.lock().looks)
    }

    /// To be called for every document that is looked at outside of SQL.
    #[inline]
    pub(super) fn looked(&self) {
        self.looks.set(self.looks.get() + 1);
    }

    /// Another condition for `holds`; the clock goes on.
    pub(super) fn look_for(&self, filter: &Filter) {
        self.task.lock().filter = filter.clone();
    }

    /// To be called for every row that is stepped over outside of SQL.
    #[inline]
    pub(super) fn tick(&self) -> Result<()> {
        self.rows.set(self.rows.get() + 1);
        self.watch()
    }

    /// To be called again and again by whatever takes long: fails when the time is up.
    #[inline]
    pub(super) fn watch(&self) -> Result<()> {
        let steps = self.steps.get().wrapping_add(1);
        self.steps.set(steps);
        if steps.is_multiple_of(256) && Instant::now() > self.end.get() {
            return Err(self.too_slow());
        }
        Ok(())
    }

    fn too_slow(&self) -> StoreError {
        StoreError::TooSlow(u64::try_from(self.longest.as_millis()).unwrap_or(u64::MAX))
    }

    /// What really went wrong when a query failed.
    pub(super) fn explain(&self, collection: &str, error: StoreError) -> StoreError {
        match self.task.lock().failure.take() {
            Some(Failure::TooSlow) => self.too_slow(),
            Some(Failure::Damaged(id, reason)) => StoreError::Damaged {
                collection: collection.to_owned(),
                id,
                reason,
            },
            None => error,
        }
    }
}

impl Task {
    #[inline]
    fn tick(&mut self) -> rusqlite::Result<()> {
        self.calls = self.calls.wrapping_add(1);
        if self.calls.is_multiple_of(256) && Instant::now() > self.end {
            self.failure = Some(Failure::TooSlow);
            return Err(given_up());
        }
        Ok(())
    }
}

fn given_up() -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(Box::new(GivenUp))
}

/// An id, or whatever is kept in its place, in hex.
pub(super) fn hex_of(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An id as it is kept.
pub(super) fn object_id(bytes: &[u8]) -> Result<ObjectId> {
    bytes
        .try_into()
        .map(ObjectId::from_bytes)
        .map_err(|_| StoreError::Engine("an id in the database has the wrong length".to_owned()))
}

fn check_layout(sql: &Connection, file: &Path) -> Result<()> {
    let unusable = |text: &str| Err(StoreError::Unusable(format!("{}: {text}", file.display())));
    let application: i64 = match sql.pragma_query_value(None, "application_id", |row| row.get(0)) {
        Ok(application) => application,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            return unusable("is no database");
        }
        Err(error) => return Err(error.into()),
    };
    let layout = layout(sql)?;
    let tables: i64 = sql.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && application != APPLICATION {
        return unusable("is a database of some other program");
    }
    if layout > LAYOUT {
        return unusable("was written by a newer version of critd");
    }
    Ok(())
}

/// The layout that a file has.
pub(super) fn layout(sql: &Connection) -> Result<i64> {
    Ok(sql.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Marks a file as ours, of the current layout.
pub(super) fn mark_layout(sql: &Connection) -> Result<()> {
    sql.pragma_update(None, "application_id", APPLICATION)?;
    sql.pragma_update(None, "user_version", LAYOUT)?;
    Ok(())
}
