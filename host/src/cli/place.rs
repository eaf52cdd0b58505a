//! Which store a command is about, and opening it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;

use super::{Failure, migrate};
use crate::access;
use crate::store::Store;
use crate::store::mongo::{self, MongoStore};
use crate::store::sqlite::{self, SqliteStore};

/// URL of a MongoDB store. Shown without its password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct StoreUrl(String);

impl StoreUrl {
    /// The URL itself, for whoever connects.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl FromStr for StoreUrl {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mongo::shown_url(&self.0))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was given on the command line, in the environment or in `critd.toml`.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Folder of the embedded store; with a URL, the folder of what a server keeps beside its store.
    pub(crate) data: Option<PathBuf>,
    /// URL of a MongoDB store.
    pub(crate) store: Option<StoreUrl>,
}

/// A store and where it is.
enum Kind<'a> {
    Embedded(&'a Path),
    MongoDb(&'a StoreUrl),
}

/// An open store.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    /// Where uploads lie if no folder was given; goes with this.
    _scratch: Option<tempfile::TempDir>,
}

impl Place {
    fn kind(&self) -> Result<Kind<'_>, Failure> {
        match (&self.data, &self.store) {
            (_, Some(url))
                if ["mongodb://", "mongodb+srv://"]
                    .iter()
                    .any(|scheme| url.secret().starts_with(scheme)) =>
            {
                Ok(Kind::MongoDb(url))
            }
            (_, Some(_)) => Err(Failure::Usage(
                "`--store` takes a URL that begins with mongodb://".to_owned(),
            )),
            (Some(folder), None) => Ok(Kind::Embedded(folder)),
            (None, None) => Err(Failure::Usage(
                "which store? Give `--data DIR` or set CRITD_DATA; for MongoDB, `--store URL`"
                    .to_owned(),
            )),
        }
    }

    /// The folder in which a server keeps its plugins' state: that of the embedded store, which must have been made, or
    /// the one given beside a URL.
    pub(crate) fn state(&self) -> Result<&Path, Failure> {
        match (self.kind()?, &self.data) {
            (Kind::Embedded(folder), _) => present(folder),
            (Kind::MongoDb(_), Some(folder)) => Ok(folder),
            (Kind::MongoDb(_), None) => Err(Failure::Usage(
                "plugins have their state in a folder, also beside MongoDB: give `--data DIR`, too"
                    .to_owned(),
            )),
        }
    }

    /// Opens the store, which must have been made, and makes the administrative collections usable.
    pub(crate) async fn open(&self) -> Result<Opened, Failure> {
        match self.kind()? {
            Kind::Embedded(folder) => {
                let store = open_embedded(present(folder)?).await?;
                Ok(Opened {
                    store,
                    _scratch: None,
                })
            }
            Kind::MongoDb(url) => {
                let (folder, scratch) = self.folder_beside()?;
                Ok(Opened {
                    store: open_mongodb(url, &folder).await?,
                    _scratch: scratch,
                })
            }
        }
    }

    /// As [`Place::open`], and keeps other servers off the folder as long as the store is open.
    pub(crate) async fn open_to_serve(&self) -> Result<Arc<dyn Store>, Failure> {
        let folder = self.state()?;
        match self.kind()? {
            Kind::Embedded(folder) => {
                let store = open_embedded(present(folder)?).await?;
                store.lock_exclusively()?;
                Ok(store)
            }
            Kind::MongoDb(url) => {
                let store = open_mongodb(url, folder).await?;
                store.lock_exclusively()?;
                Ok(store)
            }
        }
    }

    /// Opens the store, or makes it. Whether it is new, and how it is called.
    pub(crate) async fn make(&self) -> Result<(Opened, bool, String), Failure> {
        match self.kind()? {
            Kind::Embedded(folder) => {
                let fresh = !is_present(folder);
                std::fs::create_dir_all(folder)
                    .map_err(|error| Failure::refused(format!("{}: {error}", folder.display())))?;
                let opened = Opened {
                    store: open_embedded(folder).await?,
                    _scratch: None,
                };
                Ok((opened, fresh, folder.display().to_string()))
            }
            Kind::MongoDb(url) => {
                let (folder, scratch) = self.folder_beside()?;
                let options = mongo::Options::default();
                let store = MongoStore::open(url.secret(), &folder, options).await?;
                let fresh = !store.is_made();
                declare(&store).await?;
                let opened = Opened {
                    store: Arc::new(store),
                    _scratch: scratch,
                };
                Ok((opened, fresh, url.to_string()))
            }
        }
    }

    /// The folder beside a URL; one for a while if none was given.
    fn folder_beside(&self) -> Result<(PathBuf, Option<tempfile::TempDir>), Failure> {
        if let Some(folder) = &self.data {
            return Ok((folder.clone(), None));
        }
        let scratch = tempfile::tempdir()?;
        Ok((scratch.path().to_owned(), Some(scratch)))
    }
}

/// Is there an embedded store in a folder?
pub(super) fn is_present(folder: &Path) -> bool {
    folder.join("critd.db").is_file()
}

fn present(folder: &Path) -> Result<&Path, Failure> {
    if !is_present(folder) {
        return Err(Failure::with_hint(
            format!("there is no store in {}", folder.display()),
            format!("`critd --data {} init` makes one", folder.display()),
        ));
    }
    Ok(folder)
}

/// Opens the embedded store in a folder, or makes it.
async fn open_embedded(folder: &Path) -> Result<Arc<SqliteStore>, Failure> {
    let store = SqliteStore::open(folder, sqlite::Options::default())?;
    declare(&store).await?;
    Ok(Arc::new(store))
}

/// Opens a MongoDB store that was made.
async fn open_mongodb(url: &StoreUrl, folder: &Path) -> Result<Arc<MongoStore>, Failure> {
    let options = mongo::Options::default();
    let Some(store) = MongoStore::open_made(url.secret(), folder, options).await? else {
        return Err(Failure::with_hint(
            format!("there is no store in {url}"),
            format!("`critd --store '{url}' init` makes one"),
        ));
    };
    declare(&store).await?;
    Ok(Arc::new(store))
}

/// Makes the administrative collections usable, unless the store is a copy that was never completed.
async fn declare(store: &dyn Store) -> Result<(), Failure> {
    migrate::refuse_unfinished(store).await?;
    for doubled in store.declare(&access::specifications()).await? {
        tracing::warn!(key = %doubled, "existing records have the same unique key; the oldest one counts");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::output::Terminal;
    use super::super::run;
    use super::*;
    use crate::store::mongo::tests::Scratch;

    /// Exit code, standard output, standard error.
    fn critd(arguments: &[&str]) -> (u8, String, String) {
        let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), std::io::empty());
        let arguments = std::iter::once("critd")
            .chain(arguments.iter().copied())
            .map(OsString::from);
        let code = run(
            arguments,
            &mut Terminal::new(&mut out, &mut err, &mut input),
        );
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (code, text(out), text(err))
    }

    #[test]
    fn urls_of_other_engines_are_no_usage() {
        assert_eq!(
            critd(&["--store", "postgres://x", "user", "list"]),
            (
                2,
                String::new(),
                "error: `--store` takes a URL that begins with mongodb://\n".to_owned()
            )
        );
    }

    #[test]
    fn a_database_that_does_not_answer_is_said_without_the_password() {
        let (code, out, err) = critd(&[
            "--store",
            "mongodb://me:geheim@127.0.0.1:1/crits",
            "user",
            "list",
        ]);
        assert_eq!((code, out.as_str()), (1, ""));
        assert_eq!(
            err,
            "error: the store can't be reached: nobody answers as MongoDB at 127.0.0.1:1: does it run, and is the address in the URL right?\n"
        );
    }

    #[test]
    fn debug_output_has_no_password() {
        let place = Place {
            data: None,
            store: Some(StoreUrl("mongodb://me:geheim@h/crits".to_owned())),
        };
        assert_eq!(
            format!("{place:?}"),
            "Place { data: None, store: Some(mongodb://me:…@h/crits) }"
        );
    }

    #[test]
    fn all_commands_work_on_mongodb() {
        let scratch = Scratch::new();
        let url = scratch.url();
        let on_mongodb = |arguments: &[&str]| critd(&[&["--store", url], arguments].concat());
        let (code, out, err) = on_mongodb(&["source", "list"]);
        assert_eq!((code, out.as_str()), (1, ""));
        assert_eq!(
            err,
            format!(
                "error: there is no store in {url}\nhint: `critd --store '{url}' init` makes one\n"
            )
        );
        let (code, _, err) = on_mongodb(&["init"]);
        assert_eq!(code, 0, "{err}");
        assert!(
            err.starts_with(&format!(
                "Made a store in {url} with the roles UberAdmin, Read Only, Analyst\n"
            )),
            "{err}"
        );
        let (code, _, err) = on_mongodb(&["init"]);
        assert_eq!(
            (code, err),
            (
                0,
                format!("There is a store in {url} already; what was missing has been added\n")
            )
        );
        for (arguments, said) in [
            (
                &["source", "add", "Example CERT"][..],
                "Added the source `Example CERT`\n",
            ),
            (
                &["source", "add", "Example CERT"],
                "There is a source `Example CERT` already\n",
            ),
        ] {
            assert_eq!(
                on_mongodb(arguments),
                (0, String::new(), said.to_owned()),
                "{arguments:?}"
            );
        }
        let (code, out, _) = on_mongodb(&["source", "list"]);
        assert_eq!((code, out.contains("Example CERT")), (0, true), "{out}");
        assert_eq!(
            on_mongodb(&["user", "add", "alice", "--role", "UberAdmin"]).0,
            0
        );
        let (code, key, err) = on_mongodb(&["key", "add", "alice"]);
        assert_eq!((code, key.trim_end().len()), (0, 40), "{err}");
        assert_eq!(on_mongodb(&["set", "enable_api=true"]).0, 0);
        let (_, out, _) = on_mongodb(&["get", "enable_api"]);
        assert!(out.contains("true"), "{out}");
        let wanting = "error: plugins have their state in a folder, also beside MongoDB: give `--data DIR`, too\n";
        for arguments in [&["plugin", "list"][..], &["serve", "--log", "off"]] {
            let (code, _, err) = on_mongodb(arguments);
            assert_eq!((code, err.as_str()), (2, wanting));
        }
    }
}
