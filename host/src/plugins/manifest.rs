//! `plugin-manifest.toml`: which plugins this server runs, what they may do, their limits. The operator's file.
//!
//! ```toml
//! unlisted = "deny"              # or "allow": also run files of the plugin directory that have no entry here
//!
//! [defaults.limits]              # for every plugin; these are the server's own
//! time_ms = 2000
//!
//! [plugins.domain]
//! path = "domain.wasm"           # relative to the plugin directory; without it: NAME.wasm
//! version = "^1"                 # which versions may serve; without it: any
//! enabled = true                 # false: not served, even if the file is there
//! grants = ["create:IP"]         # what it may do beyond its own documents; "*" for whatever it asks for
//! limits = { time_ms = 500 }
//! service_limits = { time_ms = 600000 }   # of its analysis services, which run in the background
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::declaration::check::is_plugin_name;
use super::runtime::limits::{Limits, check_limit, check_service_limit};

/// The operator's file, read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What becomes of files in the plugin directory that have no entry.
    #[serde(default)]
    pub unlisted: Unlisted,
    /// For every plugin.
    #[serde(default)]
    pub defaults: Defaults,
    /// Plugins by name.
    #[serde(default, deserialize_with = "named")]
    pub plugins: BTreeMap<String, Entry>,
}

/// What becomes of a file without an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unlisted {
    /// It is not loaded.
    #[default]
    Deny,
    /// It is loaded under its file's name, with no grants.
    Allow,
}

/// For every plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// Limits by name.
    #[serde(default, deserialize_with = "limits")]
    pub limits: BTreeMap<String, u64>,
    /// Limits of analysis services by name.
    #[serde(default, deserialize_with = "service_limits")]
    pub service_limits: BTreeMap<String, u64>,
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its file, relative to the plugin directory.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// Which versions may serve.
    #[serde(default)]
    pub version: Option<semver::VersionReq>,
    /// Whether it is served at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What it may do beyond its own documents.
    #[serde(default)]
    pub grants: Vec<String>,
    /// Limits by name; above the defaults too.
    #[serde(default, deserialize_with = "limits")]
    pub limits: BTreeMap<String, u64>,
    /// Limits of its analysis services by name; above the defaults too.
    #[serde(default, deserialize_with = "service_limits")]
    pub service_limits: BTreeMap<String, u64>,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            path: None,
            version: None,
            enabled: true,
            grants: Vec::new(),
            limits: BTreeMap::new(),
            service_limits: BTreeMap::new(),
        }
    }
}

fn yes() -> bool {
    true
}

fn limits<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, u64>, D::Error> {
    checked(from, check_limit)
}

fn service_limits<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, u64>, D::Error> {
    checked(from, check_service_limit)
}

fn checked<'de, D: Deserializer<'de>>(
    from: D,
    check: fn(&str, u64) -> Result<(), String>,
) -> Result<BTreeMap<String, u64>, D::Error> {
    let limits = BTreeMap::<String, u64>::deserialize(from)?;
    for (name, value) in &limits {
        check(name, *value).map_err(serde::de::Error::custom)?;
    }
    Ok(limits)
}

fn named<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Entry>, D::Error> {
    let plugins = BTreeMap::<String, Entry>::deserialize(from)?;
    if let Some(wrong) = plugins.keys().find(|name| !is_plugin_name(name)) {
        return Err(serde::de::Error::custom(format!(
            "`{wrong}` is no plugin name: lower-case letters, digits, `_` and `-`, at most 64, a letter first"
        )));
    }
    Ok(plugins)
}

/// Why a manifest can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The file can't be read.
    #[error("{}: {reason}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// Its text is wrong.
    #[error("{}, line {line}: {}{reason}", file.display(), key.as_ref().map(|key| format!("`{key}`: ")).unwrap_or_default())]
    Wrong {
        /// The file.
        file: PathBuf,
        /// Line, from 1 on.
        line: usize,
        /// The key of that line, with the table it is in.
        key: Option<String>,
        /// What is wrong.
        reason: String,
    },
}

impl Manifest {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// See [`ManifestError`].
    pub fn read(file: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(file).map_err(|error| ManifestError::Unreadable {
            file: file.into(),
            reason: error.to_string(),
        })?;
        Self::parse(&text, file)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// See [`ManifestError`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, ManifestError> {
        toml::from_str(text).map_err(|error| {
            let place = error.span().map_or(0, |span| span.start).min(text.len());
            let line = text.as_bytes()[..place]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            ManifestError::Wrong {
                file: file.into(),
                line: line + 1,
                key: key_at(text, line),
                reason: first_line(error.message()),
            }
        })
    }

    /// The file of a plugin.
    #[must_use]
    pub fn file_of(&self, name: &str, directory: &Path) -> PathBuf {
        let path = self.plugins.get(name).and_then(|entry| entry.path.clone());
        directory.join(path.unwrap_or_else(|| format!("{name}.wasm").into()))
    }

    /// What the operator lets a plugin use.
    #[must_use]
    pub fn limits_of(&self, entry: &Entry) -> Limits {
        Limits::default()
            .overridden(&self.defaults.limits)
            .overridden(&entry.limits)
    }
}

impl Manifest {
    /// What the operator lets a plugin's analysis services use.
    #[must_use]
    pub fn service_limits_of(&self, entry: &Entry) -> Limits {
        Limits::OF_SERVICES
            .overridden(&self.defaults.service_limits)
            .overridden(&entry.service_limits)
    }
}

impl Entry {
    /// Is this capability granted?
    #[must_use]
    pub fn grants(&self, capability: &str) -> bool {
        self.grants.iter().any(|grant| {
            grant == "*"
                || grant == capability
                || grant
                    .strip_suffix('*')
                    .is_some_and(|start| capability.starts_with(start))
        })
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The key of a line, with its table: `plugins.domain.version`.
fn key_at(text: &str, line: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.get(line)?.trim();
    let table = lines[..=line]
        .iter()
        .rev()
        .map(|line| line.trim())
        .find(|line| line.starts_with('['));
    let table = table.map(|table| table.trim_matches(|bracket| matches!(bracket, '[' | ']')));
    if shown.starts_with('[') {
        return table.map(str::to_owned);
    }
    let key = shown.split_once('=')?.0.trim();
    Some(match table {
        Some(table) => format!("{table}.{key}"),
        None => key.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest, String> {
        Manifest::parse(text, Path::new("plugin-manifest.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_entry_may_be_empty() {
        let manifest = parse("[plugins.domain]\n").unwrap();
        assert_eq!(manifest.unlisted, Unlisted::Deny);
        assert_eq!(manifest.plugins["domain"], Entry::default());
        assert_eq!(
            manifest.file_of("domain", Path::new("/p")),
            Path::new("/p/domain.wasm")
        );
    }

    #[test]
    fn the_plugins_entry_wins_over_the_defaults() {
        let manifest = parse("[defaults.limits]\ntime_ms = 100\nlog_lines = 5\n[plugins.a]\npath = \"x/a.wasm\"\nlimits = { time_ms = 3000 }\n").unwrap();
        let limits = manifest.limits_of(&manifest.plugins["a"]);
        assert_eq!(
            (limits.time_ms, limits.log_lines, limits.memory_mib),
            (3_000, 5, 64)
        );
        assert_eq!(
            manifest.file_of("a", Path::new("/p")),
            Path::new("/p/x/a.wasm")
        );
    }

    #[test]
    fn grants_are_exact_or_end_in_a_star() {
        let entry = Entry {
            grants: vec!["create:IP".into(), "other:*".into()],
            ..Entry::default()
        };
        assert!(entry.grants("create:IP") && entry.grants("other:Domain"));
        assert!(!entry.grants("create:IPv6") && !entry.grants("registry:source"));
        assert!(
            Entry {
                grants: vec!["*".into()],
                ..Entry::default()
            }
            .grants("registry:source")
        );
    }

    #[test]
    fn mistakes_are_named_with_file_line_and_key() {
        for (text, sentence) in [
            (
                "[plugins.a]\nversion = \"one\"\n",
                "plugin-manifest.toml, line 2: `plugins.a.version`: unexpected character 'o' while parsing major version number",
            ),
            (
                "[plugins.a]\n\nenabld = true\n",
                "plugin-manifest.toml, line 3: `plugins.a.enabld`: unknown field `enabld`, expected one of `path`, `version`, `enabled`, `grants`, `limits`, `service_limits`",
            ),
            (
                "[plugins.a]\nenabled = 1\n",
                "plugin-manifest.toml, line 2: `plugins.a.enabled`: invalid type: integer `1`, expected a boolean",
            ),
            (
                "[plugins.a]\nlimits = { time = 1 }\n",
                "plugin-manifest.toml, line 2: `plugins.a.limits`: there is no limit `time`; known are time_ms, memory_mib, host_calls, documents, uploads, bytes, log_lines",
            ),
            (
                "unlisted = \"maybe\"\n",
                "plugin-manifest.toml, line 1: `unlisted`: unknown variant `maybe`, expected `deny` or `allow`",
            ),
            (
                "[defaults]\nlimits.memory_mib = 1000\n",
                "plugin-manifest.toml, line 2: `defaults.limits.memory_mib`: the limit `memory_mib` must be between 1 and 256, not 1000",
            ),
        ] {
            assert_eq!(parse(text), Err(sentence.into()));
        }
        let error = parse("[plugins.a\n").unwrap_err();
        assert!(
            error.starts_with("plugin-manifest.toml, line 1: "),
            "{error}"
        );
        let error = parse("[plugins.A]\n").unwrap_err();
        assert!(error.contains("`A` is no plugin name: lower-case letters, digits, `_` and `-`, at most 64, a letter first"), "{error}");
        let missing = Manifest::read(Path::new("/nowhere/plugin-manifest.toml"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            missing,
            "/nowhere/plugin-manifest.toml: No such file or directory (os error 2)"
        );
    }
}
