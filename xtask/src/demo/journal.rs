//! What has been loaded into the demonstration store, so that an interrupted or repeated run goes on where it was.

use anyhow::{Context as _, Result};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A file with one line for each thing posted: its key, a tab, the object's id.
pub(crate) struct Journal {
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    known: HashMap<String, String>,
}

impl Journal {
    /// Opens the journal; a last line that was cut off counts as not posted.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let text = if path.exists() {
            fs::read_to_string(path)?
        } else {
            String::new()
        };
        let complete = text.rfind('\n').map_or(0, |end| end + 1);
        let known = text[..complete]
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(key, id)| (key.to_owned(), id.to_owned()))
            .collect();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        file.set_len(complete as u64)?;
        Ok(Self {
            inner: Mutex::new(Inner { file, known }),
        })
    }

    /// The id under which something was posted.
    pub(crate) fn find(&self, key: &str) -> Option<String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.known.get(key).cloned()
    }

    /// Notes that something was posted.
    pub(crate) fn note(&self, key: &str, id: &str) -> Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.file.write_all(format!("{key}\t{id}\n").as_bytes())?;
        inner.known.insert(key.to_owned(), id.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_off_line_is_forgotten() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("loaded");
        fs::write(&path, "domain a\t1\ndomain b")?;
        let journal = Journal::open(&path)?;
        assert_eq!(journal.find("domain a").as_deref(), Some("1"));
        assert_eq!(journal.find("domain b"), None);
        journal.note("domain b", "2")?;
        drop(journal);
        assert_eq!(fs::read_to_string(&path)?, "domain a\t1\ndomain b\t2\n");
        Ok(())
    }
}
