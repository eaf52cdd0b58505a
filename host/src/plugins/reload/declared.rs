//! What the plugins of a server declare, read from its state folder without running anything.

use std::path::Path;

use super::archive::Archive;
use super::status::{State, read_status};
use crate::plugins::build::thaw;
use crate::plugins::declaration::Declaration;
use crate::plugins::registry::Registry;

/// The types and actions that a server serves, running or not, as it last left them in its state folder.
///
/// # Errors
///
/// A sentence: no server has ever run on it, or a file is missing or damaged.
pub fn declared(state: &Path) -> Result<Registry, String> {
    let status = read_status(state)?;
    let archive = Archive::open(state).map_err(|error| format!("{}: {error}", state.display()))?;
    let mut declarations = Vec::new();
    for plugin in status.plugins {
        let (State::Serving, Some(sha256)) = (plugin.state, plugin.sha256) else {
            continue;
        };
        let file = archive
            .file(&sha256)
            .ok_or_else(|| format!("the file of the plugin `{}` is not kept", plugin.name))?;
        let frozen = thaw(&file).map_err(|reason| format!("plugin `{}`: {reason}", plugin.name))?;
        declarations.push(
            Declaration::read(frozen.text)
                .map_err(|reason| format!("plugin `{}`: {reason}", plugin.name))?,
        );
    }
    Registry::of_declarations(declarations).map_err(|conflict| conflict.to_string())
}
