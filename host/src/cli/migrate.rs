//! `migrate`: a store copied into another; `digest`: what is compared in the end.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Failure;
use super::output::{Terminal, grouped, plural};
use super::place::{Place, is_present};
use crate::store::digest::{self, Digest, Kind};
use crate::store::migration::{self, Done, MigrationError, Stage, Watch};
use crate::store::mongo::{self, MongoStore};
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{Store, StoreError};

/// How often a line says how far a long stage has come, where no bar can be shown.
const QUIET: Duration = Duration::from_secs(10);

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Location {
    /// An embedded store.
    Folder(PathBuf),
    /// A database of MongoDB.
    Database(String),
}

impl Location {
    fn of(option: &str, text: &str) -> Result<Self, Failure> {
        if text.starts_with("mongodb://") || text.starts_with("mongodb+srv://") {
            return Ok(Self::Database(text.to_owned()));
        }
        if text.is_empty() || text.contains("://") {
            return Err(Failure::Usage(format!(
                "`{option}` takes the folder of an embedded store, or a URL that begins with mongodb://"
            )));
        }
        let path = Path::new(text);
        let file_of = |path: &Path| path.parent().map(Path::to_path_buf);
        Ok(Self::Folder(match path.file_name() {
            // Who names the file means its folder.
            Some(name) if name == "critd.db" && path.is_file() => file_of(path).unwrap_or_default(),
            _ => path.to_owned(),
        }))
    }

    /// To be shown.
    fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Database(url) => mongo::shown_url(url),
        }
    }

    /// By which a store is known again: the folder without detours, or hosts and database.
    fn identity(&self) -> String {
        match self {
            Self::Folder(folder) => folder
                .canonicalize()
                .unwrap_or_else(|_| folder.clone())
                .display()
                .to_string(),
            Self::Database(url) => {
                let shown = mongo::shown_url(url);
                let bare = shown.split_once('?').map_or(&*shown, |(bare, _)| bare);
                let place = bare
                    .rsplit_once('@')
                    .or_else(|| bare.split_once("://"))
                    .map_or(bare, |(_, place)| place);
                let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
                let mut hosts: Vec<&str> = hosts.split(',').collect();
                hosts.sort_unstable();
                let database = if database.is_empty() {
                    "crits"
                } else {
                    database
                };
                format!("mongodb://{}/{database}", hosts.join(","))
            }
        }
    }

    /// Opens a store that is there.
    async fn open(&self) -> Result<Opened, Failure> {
        let missing = || Failure::refused(format!("there is no store in {}", self.shown()));
        match self {
            Self::Folder(folder) if is_present(folder) => Opened::embedded(folder),
            Self::Folder(_) => Err(missing()),
            Self::Database(url) => {
                let folder = tempfile::tempdir()?;
                let options = mongo::Options::default();
                let store = MongoStore::open_made(url, folder.path(), options).await?;
                Ok(Opened::database(store.ok_or_else(missing)?, folder))
            }
        }
    }

    async fn open_or_make(&self) -> Result<Opened, Failure> {
        match self {
            Self::Folder(folder) => {
                std::fs::create_dir_all(folder)
                    .map_err(|error| Failure::refused(format!("{}: {error}", folder.display())))?;
                Opened::embedded(folder)
            }
            Self::Database(url) => {
                let folder = tempfile::tempdir()?;
                let options = mongo::Options::default();
                let store = MongoStore::open(url, folder.path(), options).await?;
                Ok(Opened::database(store, folder))
            }
        }
    }
}

/// An open store of either kind.
struct Opened {
    store: Arc<dyn Store>,
    embedded: Option<Arc<SqliteStore>>,
    database: Option<Arc<MongoStore>>,
    /// Where files lie on their way into a database; goes with this.
    _staging: Option<tempfile::TempDir>,
}

impl Opened {
    fn embedded(folder: &Path) -> Result<Self, Failure> {
        let store = Arc::new(SqliteStore::open(folder, sqlite::Options::default())?);
        Ok(Self {
            store: Arc::<SqliteStore>::clone(&store),
            embedded: Some(store),
            database: None,
            _staging: None,
        })
    }

    fn database(store: MongoStore, staging: tempfile::TempDir) -> Self {
        let store = Arc::new(store);
        Self {
            store: Arc::<MongoStore>::clone(&store),
            embedded: None,
            database: Some(store),
            _staging: Some(staging),
        }
    }

    /// Keeps servers and other migrations off, where the store can.
    fn lock(&self) -> Result<(), Failure> {
        let Some(store) = &self.embedded else {
            return Ok(());
        };
        store.lock_exclusively().map_err(|error| match error {
            StoreError::InUse(message) => Failure::with_hint(
                message,
                "stop it first: neither store is served or migrated otherwise while one is copied into the other",
            ),
            error => error.into(),
        })
    }

    /// Refuses a database with documents of other programs: declaring collections would make them ours.
    async fn refuse_strangers(&self) -> Result<(), Failure> {
        let Some(database) = &self.database else {
            return Ok(());
        };
        let strangers = database.undeclared().await?;
        let Some(first) = strangers.first() else {
            return Ok(());
        };
        Err(not_empty(&format!(
            "the target is not empty: the database has a collection `{first}` that critd did not make"
        )))
    }
}

fn not_empty(message: &str) -> Failure {
    Failure::with_hint(
        message,
        "`--to` takes a folder or database that has nothing yet: two stores are never mixed",
    )
}

/// Refuses a store that is a copy which was never completed.
pub(super) async fn refuse_unfinished(store: &dyn Store) -> Result<(), Failure> {
    match migration::unfinished(store).await? {
        None => Ok(()),
        Some(unfinished) => Err(Failure::with_hint(
            format!(
                "this store is an unfinished copy of {}: {} are there",
                unfinished.source,
                plural(unfinished.documents, "document")
            ),
            "run the same `critd migrate --from … --to …` again: it goes on where it was broken off",
        )),
    }
}

/// `migrate`
pub(super) async fn run(from: &str, to: &str, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let (from, to) = (Location::of("--from", from)?, Location::of("--to", to)?);
    if from.identity() == to.identity() {
        return Err(Failure::Usage(
            "`--from` and `--to` are the same store".to_owned(),
        ));
    }
    let source = from.open().await?;
    source.lock()?;
    let target = to.open_or_make().await?;
    let done = copy(&from, &source, &target, terminal).await;
    source.store.close().await?;
    target.store.close().await?;
    report(&done?, &from, &to, terminal)
}

async fn copy(
    from: &Location,
    source: &Opened,
    target: &Opened,
    terminal: &mut Terminal<'_>,
) -> Result<Done, Failure> {
    target.lock()?;
    let name = from.identity();
    let (source, store) = (source.store.as_ref(), target.store.as_ref());
    match migration::unfinished(store).await? {
        Some(unfinished) if unfinished.source == name => terminal.say(&format!(
            "Going on with an unfinished copy: {} are there",
            plural(unfinished.documents, "document")
        )),
        Some(_) => {}
        None => target.refuse_strangers().await?,
    }
    let progress = Progress::new(terminal);
    let done = migration::migrate(source, store, &name, &progress).await;
    progress.end();
    done.map_err(failure)
}

fn failure(error: MigrationError) -> Failure {
    let message = error.to_string();
    match error {
        MigrationError::Store(error) => error.into(),
        MigrationError::NotEmpty(_) => not_empty(&message),
        MigrationError::Incomplete(_) => {
            Failure::with_hint(message, "complete that copy first, or copy the original")
        }
        MigrationError::OtherSource(_) => Failure::with_hint(
            message,
            "complete that copy, or remove it; `--from` must name its source as it was named then",
        ),
        MigrationError::Disturbed(_) => Failure::with_hint(
            message,
            "is another `critd migrate` at work? Run this one again when it is alone: it goes on where it was broken off",
        ),
        MigrationError::Refused(_) | MigrationError::ForeignIds { .. } => Failure::refused(message),
        MigrationError::Differs(_) => Failure::with_hint(
            message,
            "was the source changed since the copy was begun? Remove the target and start again with all servers stopped",
        ),
    }
}

fn report(
    done: &Done,
    from: &Location,
    to: &Location,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    for remark in &done.remarks {
        terminal.say(&format!("warning: {remark}"));
    }
    terminal.say(&format!(
        "Copied {} to {}; both have the same digest",
        from.shown(),
        to.shown()
    ));
    print(&done.digest, terminal)
}

/// `digest`
pub(super) async fn digest(place: &Place, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let opened = place.open().await?;
    let store = &opened.store;
    let digest = digest::digest(store.as_ref(), &|_| {}).await;
    store.close().await?;
    print(&digest?, terminal)
}

fn print(digest: &Digest, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let documents = digest.sums(Kind::Collection);
    let files = digest.sums(Kind::Bucket);
    let number = hex::encode(digest.sha256());
    if terminal.json {
        let parts = |kind| -> Vec<Value> {
            let of_kind = digest.parts.iter().filter(|part| part.kind == kind);
            of_kind
                .map(|part| {
                    json!({
                        "name": part.name,
                        "entries": part.entries,
                        "bytes": part.bytes,
                        "sha256": hex::encode(part.sha256),
                    })
                })
                .collect()
        };
        return terminal.json(&json!({
            "digest": number,
            "documents": documents.entries,
            "files": files.entries,
            "collections": parts(Kind::Collection),
            "buckets": parts(Kind::Bucket),
        }));
    }
    terminal.line(&format!(
        "{} in {}, {} bytes",
        plural(documents.entries, "document"),
        plural(documents.parts, "collection"),
        grouped(documents.bytes)
    ))?;
    terminal.line(&format!(
        "{} in {}, {} bytes",
        plural(files.entries, "file"),
        plural(files.parts, "bucket"),
        grouped(files.bytes)
    ))?;
    terminal.line(&format!("digest {number}"))
}

/// A bar for who looks, lines for who reads later.
struct Progress<'t, 'a> {
    terminal: RefCell<&'t mut Terminal<'a>>,
    bar: Option<ProgressBar>,
    stage: Cell<Stage>,
    total: Cell<u64>,
    done: Cell<u64>,
    said: Cell<Instant>,
}

impl<'t, 'a> Progress<'t, 'a> {
    fn new(terminal: &'t mut Terminal<'a>) -> Self {
        let style = ProgressStyle::with_template(
            "{msg:10} {bar:40} {human_pos}/{human_len}  {per_sec}, {eta} left",
        );
        let bar = terminal.live.then(|| {
            ProgressBar::no_length()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            terminal: RefCell::new(terminal),
            bar,
            stage: Cell::new(Stage::Documents),
            total: Cell::new(0),
            done: Cell::new(0),
            said: Cell::new(Instant::now()),
        }
    }

    fn say(&self, message: &str) {
        let say = || self.terminal.borrow_mut().say(message);
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Documents => "documents",
        Stage::Files => "files",
        Stage::Verification => "verified",
    }
}

impl Watch for Progress<'_, '_> {
    fn stage(&self, stage: Stage, total: u64, done: u64) {
        self.stage.set(stage);
        self.total.set(total);
        self.done.set(done);
        self.said.set(Instant::now());
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_message(name(stage));
            bar.set_length(total);
            bar.set_position(done);
        } else if stage == Stage::Verification {
            self.say("Reading both stores through to compare them");
        }
    }

    fn advance(&self, count: u64) {
        self.done.set(self.done.get() + count);
        if let Some(bar) = &self.bar {
            bar.set_position(self.done.get());
        } else if self.said.get().elapsed() > QUIET {
            self.said.set(Instant::now());
            self.say(&format!(
                "{}: {} of {}",
                name(self.stage.get()),
                grouped(self.done.get()),
                grouped(self.total.get())
            ));
        }
    }

    fn copied(&self, kind: Kind, name: &str, entries: u64) {
        let one = match kind {
            Kind::Collection => "document",
            Kind::Bucket => "file",
        };
        self.say(&format!("`{name}`: {}", plural(entries, one)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_known_again_by_where_they_are() {
        let identity = |text: &str| Location::of("--from", text).map(|place| place.identity());
        let same = [
            ("mongodb://h:1/db?replicaSet=rs", "mongodb://h:1/db"),
            ("mongodb://me:secret@b,a/db", "mongodb://a,b/db"),
            ("mongodb://h:1/?replicaSet=rs", "mongodb://h:1/crits"),
            ("mongodb://h:1", "mongodb://h:1/crits"),
        ];
        for (given, known) in same {
            assert_eq!(identity(given).unwrap(), known, "{given}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        std::fs::write(path.join("critd.db"), "").unwrap();
        for given in ["", ".", "critd.db"] {
            let given = path.join(given);
            assert_eq!(
                identity(given.to_str().unwrap()).unwrap(),
                path.display().to_string()
            );
        }
    }
}
