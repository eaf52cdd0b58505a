//! What operators see: the state of every plugin, in a file that other processes read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::plugins::runtime::Limits;

/// Name of the file in the state folder.
const FILE: &str = "status.json";

/// The plugins of a server as it last saw them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Grows by one with every change of the serving set.
    pub generation: u64,
    /// When this was written, ms since 1970.
    pub updated: i64,
    /// Process that wrote it.
    pub process: u32,
    /// Directory of the plugin files.
    pub directory: PathBuf,
    /// The operator's manifest.
    pub manifest: PathBuf,
    /// Why the manifest as it is now is not in force; an earlier one is.
    pub manifest_error: Option<Problem>,
    /// How instances get their memory.
    pub allocator: String,
    /// The directory is watched; false: looked at every second.
    pub watched: bool,
    /// All plugins that the manifest names, and others that serve.
    pub plugins: Vec<PluginStatus>,
    /// Files of the directory that no entry of the manifest is about.
    pub unlisted: Vec<String>,
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginStatus {
    /// Name.
    pub name: String,
    /// Whether it serves.
    pub state: State,
    /// Version that serves.
    pub version: Option<String>,
    /// SHA-256 of the file that serves.
    pub sha256: Option<String>,
    /// Where it is looked for.
    pub file: PathBuf,
    /// Where what serves came from.
    pub origin: Option<Origin>,
    /// Since when it serves, ms since 1970.
    pub since: Option<i64>,
    /// What it says of itself.
    pub summary: String,
    /// Types it provides.
    pub types: Vec<String>,
    /// Actions it provides.
    pub actions: Vec<String>,
    /// Analysis services it provides.
    #[serde(default)]
    pub services: Vec<String>,
    /// What it may do beyond its own documents.
    pub needs: Vec<String>,
    /// What its calls may use.
    pub limits: Option<Limits>,
    /// The version before, to which `critd plugin rollback` returns.
    pub previous: Option<String>,
    /// Why the file as it is now does not serve.
    pub rejected: Option<Problem>,
}

/// Whether a plugin serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does; perhaps in an earlier version, then `rejected` says why.
    Serving,
    /// There is no version that can.
    Rejected,
    /// The operator wants it so.
    Disabled,
}

/// Where the version that serves came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The plugin directory.
    Directory,
    /// What the server kept of an earlier run.
    LastGood,
    /// An operator's `critd plugin rollback`.
    Rollback,
}

/// Something an operator should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A sentence.
    pub reason: String,
    /// Since when, ms since 1970.
    pub since: i64,
    /// The version concerned, if it could be read.
    #[serde(default)]
    pub version: Option<String>,
}

/// The status that a server wrote into its state folder, perhaps while it runs.
///
/// # Errors
///
/// A sentence: no server has ever run on it, or the file can't be read.
pub fn read_status(state: &Path) -> Result<Status, String> {
    let file = state.join(FILE);
    let text = std::fs::read(&file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "no server has loaded plugins here yet".to_owned(),
        _ => format!("{}: {error}", file.display()),
    })?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Writes the status; a failure is logged, serving goes on.
pub(super) fn write_status(state: &Path, status: &Status) {
    let file = state.join(FILE);
    let written = serde_json::to_vec_pretty(status)
        .map_err(std::io::Error::other)
        .and_then(|text| crate::plugins::write_whole(&file, &text));
    if let Err(error) = written {
        tracing::error!(
            "the state of the plugins could not be written to {}: {error}",
            file.display()
        );
    }
}
