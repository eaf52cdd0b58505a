//! The commands on plugins. None of them opens the store: a running server leaves its state in a folder beside it.

use std::path::{Path, PathBuf};

use super::grammar::PluginCommand;
use super::output::{Terminal, time_text};
use super::{Failure, Place};
use crate::plugins::reload::PluginStatus;
use crate::plugins::{self, Status, build, loader};

/// Where a server keeps the last good plugins and their state.
pub(super) fn state_folder(data: &Path) -> PathBuf {
    data.join("plugin-state")
}

/// `plugin …`
pub(super) fn run(
    place: &Place,
    command: PluginCommand,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    match command {
        PluginCommand::List => list(&status(place)?, terminal),
        PluginCommand::Show { name } => {
            let status = status(place)?;
            let plugin = status.plugins.iter().find(|plugin| plugin.name == name);
            let plugin = plugin.ok_or_else(|| {
                Failure::with_hint(
                    format!("there is no plugin `{name}`"),
                    "`critd plugin list` shows the plugins",
                )
            })?;
            show(plugin, terminal)
        }
        PluginCommand::Rollback { name } => {
            let version = plugins::rollback(&state_folder(place.state()?), &name)
                .map_err(Failure::refused)?;
            terminal.say(&format!("The plugin `{name}` goes back to version {version} until its file changes; a running server takes it up by itself"));
            Ok(())
        }
        PluginCommand::Check { file } => check(&file, terminal),
        PluginCommand::Build { path, out } => {
            let declaration = build::build_file(&path, &out).map_err(Failure::refused)?;
            terminal.say(&format!(
                "Made {}: the plugin `{}` in version {}",
                out.display(),
                declaration.name,
                declaration.version
            ));
            Ok(())
        }
    }
}

fn status(place: &Place) -> Result<Status, Failure> {
    plugins::read_status(&state_folder(place.state()?))
        .map_err(|reason| Failure::with_hint(reason, "`critd serve` loads the plugins"))
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(|word| word.replace('_', " ")))
        .unwrap_or_default()
}

fn list(status: &Status, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    if terminal.json {
        let plugins = serde_json::to_value(&status.plugins)
            .map_err(|error| Failure::refused(error.to_string()))?;
        terminal.json(&plugins)?;
    } else {
        let or_dash = |text: Option<&String>| text.cloned().unwrap_or_else(|| "-".to_owned());
        let row = |plugin: &PluginStatus| {
            [
                plugin.name.clone(),
                word(&plugin.state),
                or_dash(plugin.version.as_ref()),
                plugin.types.len().to_string(),
                plugin.actions.len().to_string(),
                plugin.rejected.as_ref().map_or_else(
                    || plugin.summary.clone(),
                    |problem| format!("file rejected: {}", problem.reason),
                ),
            ]
        };
        terminal.table(
            [
                "PLUGIN",
                "STATE",
                "VERSION",
                "TYPES",
                "ACTIONS",
                "WHAT IT IS",
            ],
            &status.plugins.iter().map(row).collect::<Vec<_>>(),
        )?;
    }
    if let Some(problem) = &status.manifest_error {
        terminal.say(&format!(
            "note: the manifest as it is now is not in force: {}",
            problem.reason
        ));
    }
    if !status.unlisted.is_empty() {
        terminal.say(&format!(
            "note: files without an entry in {}: {}",
            status.manifest.display(),
            status.unlisted.join(", ")
        ));
    }
    Ok(())
}

fn show(plugin: &PluginStatus, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    if terminal.json {
        let value =
            serde_json::to_value(plugin).map_err(|error| Failure::refused(error.to_string()))?;
        return terminal.json(&value);
    }
    let version = plugin
        .version
        .as_deref()
        .map(|version| format!(" {version}"))
        .unwrap_or_default();
    let since = plugin
        .since
        .map(|since| format!(" since {}", time_text(since)))
        .unwrap_or_default();
    terminal.line(&format!(
        "{}{version}: {}{since}",
        plugin.name,
        word(&plugin.state)
    ))?;
    if !plugin.summary.is_empty() {
        terminal.line(&plugin.summary)?;
    }
    terminal.line(&format!("file: {}", plugin.file.display()))?;
    let details = [
        ("sha256", plugin.sha256.clone()),
        ("from", plugin.origin.as_ref().map(word)),
        ("types", joined(&plugin.types)),
        ("actions", joined(&plugin.actions)),
        ("services", joined(&plugin.services)),
        ("needs", joined(&plugin.needs)),
        ("version before", plugin.previous.clone()),
        (
            "file rejected",
            plugin
                .rejected
                .as_ref()
                .map(|problem| problem.reason.clone()),
        ),
    ];
    for (name, text) in details {
        if let Some(text) = text {
            terminal.line(&format!("{name}: {text}"))?;
        }
    }
    Ok(())
}

fn joined(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| words.join(", "))
}

fn check(file: &Path, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let name = file.display().to_string();
    let report = loader::check(file).map_err(|reason| {
        // A reason that the system gives names the file already.
        Failure::refused(if reason.starts_with(&name) {
            reason
        } else {
            format!("{name}: {reason}")
        })
    })?;
    if terminal.json {
        let value =
            serde_json::to_value(&report).map_err(|error| Failure::refused(error.to_string()))?;
        return terminal.json(&value);
    }
    terminal.line(&format!(
        "{} {}: sound, built for contract {}, {} bytes",
        report.name, report.version, report.contract, report.bytes
    ))?;
    for (name, words) in [
        ("types", &report.types),
        ("actions", &report.actions),
        ("services", &report.services),
        ("needs", &report.needs),
    ] {
        if let Some(text) = joined(words) {
            terminal.line(&format!("{name}: {text}"))?;
        }
    }
    terminal.line(&format!("examples run: {}", report.examples))
}
