//! What public packages contain, by name and exact version, through the ordinary clients of their registries. Nothing of it is
//! kept in this repository.
//!
//! Each function answers a folder below `cache` with the package's content; what is there already is not fetched again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// The cache of the target folder in which the running test lies; xtask has the same one.
///
/// # Errors
///
/// It lies in none.
pub fn cache() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let profile = test
        .ancestors()
        .find(|folder| folder.file_name().is_some_and(|name| name == "deps"))
        .and_then(Path::parent);
    let target = profile
        .and_then(Path::parent)
        .context("the test does not lie in a target folder")?;
    Ok(target.join("xtask-cache"))
}

/// A package of npm.
///
/// # Errors
///
/// There is no `npm`, or it can't get the package.
pub fn npm(cache: &Path, name: &str, version: &str) -> Result<PathBuf> {
    unpacked(cache, name, version, |download| {
        let package = format!("{name}@{version}");
        let mut npm = Command::new("npm");
        npm.args(["pack", "--silent", &package])
            .current_dir(download);
        run(&mut npm).map(drop)
    })
}

/// The source distribution of a package of PyPI: wheels carry no tests.
///
/// # Errors
///
/// There is no `pip`, or it can't get the package.
pub fn pypi(cache: &Path, name: &str, version: &str) -> Result<PathBuf> {
    unpacked(cache, name, version, |download| {
        let requirement = format!("{name}=={version}");
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ])
        .args(["--no-binary", name, &requirement])
        .current_dir(download);
        run(&mut pip).map(drop)
    })
}

/// The source of a crate. It is fetched, not compiled: it may need another Rust than this workspace.
///
/// # Errors
///
/// Cargo can't get the crate.
pub fn crates(cache: &Path, name: &str, version: &str) -> Result<PathBuf> {
    fs::create_dir_all(cache)?;
    let project = tempfile::tempdir_in(cache)?;
    // An empty workspace of its own: the folder lies within another one.
    let manifest = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{name} = \"={version}\"\n"
    );
    fs::write(project.path().join("Cargo.toml"), manifest)?;
    fs::create_dir(project.path().join("src"))?;
    fs::write(project.path().join("src/lib.rs"), "")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata
        .args(["metadata", "--format-version", "1", "--quiet"])
        .current_dir(project.path());
    let metadata: serde_json::Value = serde_json::from_str(&run(&mut metadata)?)?;
    let package = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == name && package["version"] == version);
    let manifest = package
        .and_then(|package| package["manifest_path"].as_str())
        .with_context(|| format!("cargo did not say where {name} {version} is"))?;
    Ok(Path::new(manifest)
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default())
}

/// The folder of a package's content in the cache; `fetch` leaves one archive in the folder that it is given.
fn unpacked(
    cache: &Path,
    name: &str,
    version: &str,
    fetch: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let folder = cache.join(format!("{name}-{version}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(cache)?;
    let work = tempfile::tempdir_in(cache)?;
    fetch(work.path())?;
    let Some(archive) = fs::read_dir(work.path())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .next()
    else {
        bail!("the client left no archive");
    };
    let content = work.path().join("content");
    fs::create_dir(&content)?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf")
        .arg(&archive)
        .args(["--strip-components", "1", "-C"])
        .arg(&content);
    run(&mut tar)?;
    match fs::rename(&content, &folder) {
        Ok(()) => Ok(folder),
        // Somebody else was faster.
        Err(_) if folder.is_dir() => Ok(folder),
        Err(error) => Err(error).with_context(|| format!("cannot keep {}", folder.display())),
    }
}

fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{} failed: {}",
        command.get_program().display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}
