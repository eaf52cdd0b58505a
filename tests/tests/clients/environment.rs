//! Python environments with the clients, made once on a machine and kept below the target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// The interpreter of an environment of Python 3 that has what `requirements` lists.
///
/// # Errors
///
/// There is no Python 3 with `venv`, or its client can't get a package.
pub(crate) fn python3(requirements: &str) -> Result<PathBuf> {
    environment(requirements, |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))
    })
}

/// The same of Python 2.7; none: there is no Python 2.7.
///
/// # Errors
///
/// There is one, but its environment can't be made.
pub(crate) fn python2(requirements: &str) -> Result<Option<PathBuf>> {
    let Some(interpreter) = find_python2() else {
        return Ok(None);
    };
    environment(requirements, |folder| {
        let with_virtualenv = python3("virtualenv")?;
        // Without `--no-download` it would look for a newer pip than there is for Python 2.7.
        run(Command::new(with_virtualenv)
            .args(["-m", "virtualenv", "--quiet", "--no-download", "-p"])
            .arg(&interpreter)
            .arg(folder))
    })
    .map(Some)
}

/// A Python 2.7 that runs: the one on the path, or one that pyenv has and did not choose.
fn find_python2() -> Option<PathBuf> {
    let of_pyenv = Command::new("pyenv")
        .args(["whence", "--path", "python2.7"])
        .output();
    let listed = of_pyenv.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    std::iter::once("python2.7")
        .chain(listed.lines())
        .map(PathBuf::from)
        .find(|program| is_running(program))
}

fn is_running(program: &Path) -> bool {
    Command::new(program)
        .args(["-c", ""])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The interpreter of the environment with the packages of `clients/requirements/NAME.txt`, made by `make` if it is not there
/// or has others. Who comes meanwhile waits.
fn environment(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let list = crate::scripts()
        .join("requirements")
        .join(name)
        .with_extension("txt");
    let wanted = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let kept = critd_packages::cache()?.join("clients");
    fs::create_dir_all(&kept)?;
    let lock = File::create(kept.join(name).with_extension("lock"))?;
    lock.lock()?;
    let folder = kept.join(name);
    let python = folder.join("bin/python");
    // Written last: a list of what is there, all of it.
    let complete = folder.join("packages");
    let is_complete = fs::read_to_string(&complete).is_ok_and(|there| there == wanted);
    if is_complete && is_running(&python) {
        return Ok(python);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    make(&folder)?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", "--no-deps"])
        .args(["--require-hashes", "--requirement"])
        .arg(&list))?;
    fs::write(&complete, wanted)?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<()> {
    let shown = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    ensure!(
        output.status.success(),
        "{shown} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
