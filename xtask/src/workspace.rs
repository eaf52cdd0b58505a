//! Where things are, and how other programs are run.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folders of this repository.
pub(crate) struct Workspace {
    /// The folder that holds the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
}

/// A package of the workspace that compiles to a core module.
pub(crate) struct Guest {
    /// Name of the package, such as `critd-plugin-domain`.
    pub(crate) package: String,
}

impl Workspace {
    /// Finds the repository from the folder that Cargo says this program's package is in,
    /// else from the current folder upwards.
    pub(crate) fn find() -> Result<Self> {
        let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(folder) => PathBuf::from(folder),
            None => std::env::current_dir().context("the current folder is not readable")?,
        };
        let root = start
            .ancestors()
            .find(|folder| folder.join("xtask/Cargo.toml").is_file())
            .with_context(|| format!("{} is not inside this repository", start.display()))?
            .to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// What is fetched from package registries stays here, so that a second run needs no network.
    pub(crate) fn cache(&self) -> PathBuf {
        self.target.join("xtask-cache")
    }

    /// Finished plugins.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// Finished guests of the tests.
    pub(crate) fn guests(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// The server's binary of a profile (`debug`, `release`).
    pub(crate) fn server(&self, profile: &str) -> PathBuf {
        self.target.join(profile).join("critd")
    }

    /// The cargo that runs this program.
    pub(crate) fn cargo(&self) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root);
        // What cargo set for this program must not reach the packages that are built by it.
        for (name, _) in std::env::vars_os() {
            let Some(text) = name.to_str() else { continue };
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        command
    }

    /// The same, with Clippy in the compiler's place for the packages of this workspace: what tests need is compiled once, and
    /// linted on the way (`cargo clippy` would check all dependencies a second time). A warning is an error.
    pub(crate) fn linting_cargo(&self) -> Command {
        let mut command = self.cargo();
        command
            .env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver")
            // As `cargo clippy` hands on what stands behind its `--`.
            .env(
                "CLIPPY_ARGS",
                "--deny__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
            );
        command
    }

    /// A program, started in the repository's root.
    pub(crate) fn program(&self, name: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(name);
        command.current_dir(&self.root);
        command
    }

    /// The packages below `folder` (relative to the root) that compile to a core module.
    pub(crate) fn guests_below(&self, folder: &str) -> Result<Vec<Guest>> {
        let text = output(
            self.cargo()
                .args(["metadata", "--no-deps", "--format-version", "1"]),
        )?;
        let metadata: Value =
            serde_json::from_str(&text).context("cargo metadata printed no JSON")?;
        let below = self.root.join(folder);
        let mut guests = Vec::new();
        for package in metadata["packages"].as_array().into_iter().flatten() {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
            let is_module = package["targets"]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(|target| target["kind"].as_array().into_iter().flatten())
                .any(|kind| kind == "cdylib");
            if let (Some(parent), Some(name)) = (manifest.parent(), package["name"].as_str())
                && is_module
                && parent.starts_with(&below)
            {
                guests.push(Guest {
                    package: name.to_owned(),
                });
            }
        }
        guests.sort_by(|left, right| left.package.cmp(&right.package));
        Ok(guests)
    }

    /// A path as people know it: relative to the repository's root.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// Says on standard error which step begins.
pub(crate) fn step(name: &str) {
    eprintln!("\n== {name}");
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// Runs a command whose output the person sees; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if status.success() {
        return Ok(());
    }
    bail!("`{}` failed: {status}", shown(command))
}

/// Runs a command and returns what it printed on standard output; on failure the error holds its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let result = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if result.status.success() {
        return Ok(String::from_utf8_lossy(&result.stdout).into_owned());
    }
    bail!(
        "`{}` failed: {}\n{}",
        shown(command),
        result.status,
        String::from_utf8_lossy(&result.stderr).trim_end()
    )
}

/// Whether a command can be started and succeeds; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// SHA-256 of some bytes, in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}
