//! A file → a plugin that may serve, or a sentence why not. The cheap checks come first; no code runs before the
//! file is complete, its declaration sound and its imports allowed.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::build::{check_component_imports, encoding, thaw};
use super::declaration::Declaration;
use super::declaration::compatibility::{broken_promises, may_break, next_breaking};
use super::examples;
use super::manifest::{Entry, Manifest};
use super::registry::{Loaded, Registry};
use super::runtime::{Code, Runtime};

#[cfg(test)]
mod tests;

/// Largest plugin file.
const LARGEST: usize = 128 << 20;

/// Why a file can't serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Rejected {
    /// A sentence.
    pub reason: String,
    /// The file may still be growing: look again before telling anybody.
    pub perhaps_unfinished: bool,
    /// Its version, if that much could be read.
    pub version: Option<String>,
}

impl Rejected {
    fn plain(reason: String) -> Self {
        Self {
            reason,
            perhaps_unfinished: false,
            version: None,
        }
    }
}

/// A file that is complete and whose code is compiled: independent of the manifest and of other plugins.
#[derive(Debug, Clone)]
pub(super) struct Examined {
    pub(super) declaration: Arc<Declaration>,
    pub(super) text: Arc<str>,
    pub(super) sha256: String,
    pub(super) code: Arc<Code>,
}

/// Everything about a file that depends on nothing else.
///
/// # Errors
///
/// The first thing that is wrong.
pub(super) async fn examine(runtime: &Runtime, file: &[u8]) -> Result<Examined, Rejected> {
    if file.len() > LARGEST {
        return Err(Rejected::plain(format!(
            "the file has {} bytes; at most {LARGEST} are read",
            file.len()
        )));
    }
    let frozen = thaw(file).map_err(|reason| Rejected {
        perhaps_unfinished: file.is_empty() || reason.contains("incomplete"),
        ..Rejected::plain(reason)
    })?;
    let declaration = Declaration::read(frozen.text).map_err(Rejected::plain)?;
    let version = declaration.version.to_string();
    let rejected = |reason: String| Rejected {
        version: Some(version.clone()),
        ..Rejected::plain(reason)
    };
    if encoding(frozen.component).map_err(rejected)? == wasmparser::Encoding::Module {
        return Err(rejected(
            "it is a core module; `critd plugin build` makes a plugin of it".into(),
        ));
    }
    check_component_imports(frozen.component).map_err(rejected)?;
    let digest = Sha256::digest(frozen.component).into();
    let code = runtime
        .prepare(frozen.component, &digest)
        .map_err(rejected)?;
    check_exports(&declaration, &code).map_err(rejected)?;
    let described = runtime
        .describe(&declaration.name, &code)
        .await
        .map_err(|abort| rejected(format!("`describe` failed: {abort}")))?;
    if described != frozen.text {
        return Err(rejected(
            "`describe` does not answer what was frozen into the file when it was built".into(),
        ));
    }
    Ok(Examined {
        declaration: Arc::new(declaration),
        text: frozen.text.into(),
        sha256: hex::encode(Sha256::digest(file)),
        code: Arc::new(code),
    })
}

/// What is declared is exported.
///
/// # Errors
///
/// A sentence.
pub(super) fn check_exports(declaration: &Declaration, code: &Code) -> Result<(), String> {
    let handlers = !declaration.types.is_empty() || !declaration.actions.is_empty();
    if handlers && !code.handles() {
        return Err(
            "it declares types or actions, but does not export `critd:plugin/handler@1`".into(),
        );
    }
    let services = !declaration.services.is_empty();
    if services && !code.serves() {
        return Err(
            "it declares services, but does not export `critd:plugin/service@1.0.0`".into(),
        );
    }
    if !handlers && !services {
        return Err("it declares no type, no action and no service".into());
    }
    Ok(())
}

/// Applies the operator's manifest: name, version, grants, limits.
///
/// # Errors
///
/// A sentence.
pub(super) fn admit(
    examined: &Examined,
    name: &str,
    entry: &Entry,
    manifest: &Manifest,
) -> Result<Loaded, Rejected> {
    let declaration = &examined.declaration;
    let version = &declaration.version;
    let rejected = |reason: String| Rejected {
        version: Some(version.to_string()),
        ..Rejected::plain(reason)
    };
    if declaration.name != name {
        return Err(rejected(format!(
            "the file holds the plugin `{}`, not `{name}`",
            declaration.name
        )));
    }
    if let Some(wanted) = &entry.version
        && !wanted.matches(version)
    {
        return Err(rejected(format!(
            "it is version {version}, but the manifest wants {wanted}"
        )));
    }
    check_grants(declaration, entry)?;
    Ok(Loaded {
        declaration: declaration.clone(),
        text: examined.text.clone(),
        sha256: examined.sha256.clone(),
        limits: manifest.limits_of(entry).lowered(&declaration.limits),
        service_limits: manifest.service_limits_of(entry),
        code: Some(examined.code.clone()),
    })
}

/// Does the manifest's entry give all that the plugin needs?
///
/// # Errors
///
/// A sentence that names what it does not give, and what the plugin needs it for.
pub(super) fn check_grants(declaration: &Declaration, entry: &Entry) -> Result<(), Rejected> {
    let refused: Vec<String> = declaration
        .capabilities()
        .into_iter()
        .filter(|capability| !entry.grants(capability))
        .map(|capability| match declaration.needs.get(capability) {
            Some(reason) => format!("`{capability}` ({})", reason.trim_end_matches('.')),
            None => format!("`{capability}`"),
        })
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    let name = &declaration.name;
    let reason = format!(
        "it needs {}, which `grants` of [plugins.{name}] in the manifest does not give",
        refused.join(", ")
    );
    Err(Rejected {
        version: Some(declaration.version.to_string()),
        ..Rejected::plain(reason)
    })
}

/// May this version take the place of the one that serves? A lower version is a return to what was there before and may.
///
/// # Errors
///
/// A sentence.
pub(super) fn check_replacement(old: &Loaded, new: &Loaded) -> Result<(), Rejected> {
    let (before, after) = (&old.declaration.version, &new.declaration.version);
    if old.text == new.text || after < before || may_break(before, after) {
        return Ok(());
    }
    let broken = broken_promises(&old.declaration, &new.declaration);
    if broken.is_empty() {
        return Ok(());
    }
    Err(Rejected {
        version: Some(after.to_string()),
        ..Rejected::plain(format!(
            "version {after} breaks what {before} promised: {}. Such a change needs version {} or higher",
            broken.join("; "),
            next_breaking(before)
        ))
    })
}

/// What `critd plugin check` says of a sound file.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Name of the plugin.
    pub name: String,
    /// Version.
    pub version: String,
    /// Contract it was built for.
    pub contract: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Bytes of the file.
    pub bytes: usize,
    /// Types it provides.
    pub types: Vec<String>,
    /// Actions it provides.
    pub actions: Vec<String>,
    /// Analysis services it provides.
    pub services: Vec<String>,
    /// What an operator has to grant.
    pub needs: Vec<String>,
    /// How many examples were run.
    pub examples: usize,
    /// The declaration.
    #[serde(skip)]
    pub declaration: Arc<Declaration>,
}

/// Examines a file as a server would, its examples included, without a store. Plugins that it creates through are taken
/// from the same folder.
///
/// # Errors
///
/// A sentence.
pub fn check(path: &Path) -> Result<Report, String> {
    let file = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    super::blocking(check_file(path, &file))?
}

async fn check_file(path: &Path, file: &[u8]) -> Result<Report, String> {
    let runtime = Runtime::on_demand()?;
    let examined = examine(&runtime, file)
        .await
        .map_err(|rejected| rejected.reason)?;
    let (manifest, entry) = (
        Manifest::default(),
        Entry {
            grants: vec!["*".into()],
            ..Entry::default()
        },
    );
    let name = &examined.declaration.name;
    let loaded =
        Arc::new(admit(&examined, name, &entry, &manifest).map_err(|rejected| rejected.reason)?);
    let mut set = vec![loaded.clone()];
    if loaded
        .declaration
        .capabilities()
        .iter()
        .any(|capability| capability.starts_with("create:"))
    {
        set.extend(neighbours(&runtime, path, name).await);
    }
    // A neighbour that does not fit is no fault of this file.
    let registry = (1..=set.len())
        .rev()
        .find_map(|length| Registry::of(set[..length].iter().cloned(), 0).ok());
    let registry = Arc::new(registry.ok_or("it conflicts with itself")?);
    let examples = examples::run(&registry, &loaded).await?;
    let declaration = examined.declaration;
    Ok(Report {
        name: declaration.name.clone(),
        version: declaration.version.to_string(),
        contract: declaration.contract.clone(),
        sha256: examined.sha256,
        bytes: file.len(),
        types: declaration.types.iter().map(|of| of.name.clone()).collect(),
        actions: declaration
            .actions
            .iter()
            .map(|action| action.name.clone())
            .collect(),
        services: declaration
            .services
            .iter()
            .map(|service| service.name.clone())
            .collect(),
        needs: declaration
            .capabilities()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        examples,
        declaration,
    })
}

async fn neighbours(runtime: &Runtime, path: &Path, name: &str) -> Vec<Arc<Loaded>> {
    let mut found = Vec::new();
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let other = entry.path();
        if other
            .extension()
            .is_none_or(|extension| extension != "wasm")
            || other.file_name() == path.file_name()
        {
            continue;
        }
        let Ok(file) = std::fs::read(&other) else {
            continue;
        };
        let Ok(examined) = examine(runtime, &file).await else {
            continue;
        };
        let all = Entry {
            grants: vec!["*".into()],
            ..Entry::default()
        };
        if examined.declaration.name != name
            && let Ok(loaded) = admit(
                &examined,
                &examined.declaration.name,
                &all,
                &Manifest::default(),
            )
        {
            found.push(Arc::new(loaded));
        }
    }
    found
}
