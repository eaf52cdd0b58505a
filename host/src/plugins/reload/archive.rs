//! The last good set on disk: what was serving, by content hash, and the version before it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::plugins::write_whole;

/// Names in the state folder.
const SET: &str = "set.json";
const FILES: &str = "good";
const PINS: &str = "pins";

/// The folder.
#[derive(Debug)]
pub(super) struct Archive {
    state: PathBuf,
    pub(super) set: BTreeMap<String, Good>,
}

/// A plugin that served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Good {
    pub(super) sha256: String,
    pub(super) version: String,
    /// What served before it.
    #[serde(default)]
    pub(super) previous: Option<Before>,
    /// SHA-256 of the file in the directory when this was written.
    #[serde(default)]
    pub(super) in_directory: Option<String>,
}

/// An earlier version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) sha256: String,
    pub(super) version: String,
}

/// An operator's wish to serve something else than what is in the directory, until that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pin {
    pub(super) serve: String,
    pub(super) instead_of: String,
}

impl Archive {
    /// Opens the folder, making it if need be. What can't be read counts as nothing kept.
    ///
    /// # Errors
    ///
    /// It can't be made.
    pub(super) fn open(state: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(state.join(FILES))?;
        std::fs::create_dir_all(state.join(PINS))?;
        Ok(Self {
            state: state.into(),
            set: read_set(state).unwrap_or_default(),
        })
    }

    /// The bytes kept under a hash, if they are what they were.
    pub(super) fn file(&self, sha256: &str) -> Option<Vec<u8>> {
        let bytes = std::fs::read(self.path(sha256)).ok()?;
        (hex::encode(Sha256::digest(&bytes)) == sha256).then_some(bytes)
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.state.join(FILES).join(format!("{sha256}.wasm"))
    }

    /// Keeps bytes under their hash.
    pub(super) fn keep(&self, sha256: &str, bytes: &[u8]) -> std::io::Result<()> {
        let path = self.path(sha256);
        if path.exists() {
            return Ok(());
        }
        write_whole(&path, bytes)
    }

    /// Writes the set and removes files that it no longer refers to.
    pub(super) fn save(&mut self, set: BTreeMap<String, Good>) -> std::io::Result<()> {
        if set == self.set {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(&set)?;
        write_whole(&self.state.join(SET), &text)?;
        self.set = set;
        let referred: BTreeSet<String> = self
            .set
            .values()
            .flat_map(|good| {
                std::iter::once(&good.sha256)
                    .chain(good.previous.as_ref().map(|before| &before.sha256))
            })
            .map(|sha256| format!("{sha256}.wasm"))
            .collect();
        for entry in std::fs::read_dir(self.state.join(FILES))?.flatten() {
            if !entry
                .file_name()
                .to_str()
                .is_some_and(|name| referred.contains(name))
            {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The operator's wish about a plugin.
    pub(super) fn pin(&self, name: &str) -> Option<Pin> {
        let text = std::fs::read(pin_file(&self.state, name)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The wish is done with.
    pub(super) fn unpin(&self, name: &str) {
        if let Err(error) = std::fs::remove_file(pin_file(&self.state, name)) {
            tracing::warn!("{}: {error}", pin_file(&self.state, name).display());
        }
    }
}

fn pin_file(state: &Path, name: &str) -> PathBuf {
    state.join(PINS).join(format!("{name}.json"))
}

fn read_set(state: &Path) -> Result<BTreeMap<String, Good>, String> {
    let text = std::fs::read(state.join(SET)).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// Asks the server whose state folder this is, running or not, to serve the version of a plugin that it served before
/// the present one, until the file in the directory changes. Answers that version.
///
/// # Errors
///
/// A sentence: no such plugin, or no version before.
pub fn rollback(state: &Path, name: &str) -> Result<String, String> {
    let set = read_set(state).map_err(|_| "no server has loaded plugins here yet".to_owned())?;
    let good = set
        .get(name)
        .ok_or_else(|| format!("no plugin `{name}` has served here"))?;
    let before = good
        .previous
        .as_ref()
        .ok_or_else(|| format!("the plugin `{name}` has no version before {}", good.version))?;
    let archive = Archive {
        state: state.into(),
        set: BTreeMap::new(),
    };
    if archive.file(&before.sha256).is_none() {
        return Err(format!(
            "version {} of the plugin `{name}` is no longer on disk",
            before.version
        ));
    }
    let pin = Pin {
        serve: before.sha256.clone(),
        instead_of: good
            .in_directory
            .clone()
            .unwrap_or_else(|| good.sha256.clone()),
    };
    let text = serde_json::to_vec(&pin).map_err(|error| error.to_string())?;
    let file = pin_file(state, name);
    write_whole(&file, &text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(before.version.clone())
}
