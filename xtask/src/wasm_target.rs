//! Makes sure that crates can be compiled for `wasm32-unknown-unknown`.
//!
//! Normally that is one `rustup target add`. Where the target cannot be fetched, Debian's newer compiler (`rustc-web`),
//! its standard library's source (`rust-web-src`) and its linker are downloaded with `apt-get download` and unpacked into the
//! cache, never installed over the tool chain; cargo then builds the standard library itself.

use crate::workspace::{Workspace, output, run, step, succeeds};
use anyhow::{Context as _, Result, bail};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The only target that plugins are compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// `debian` forces the substitute, to try it on a machine that has the target.
const CHOICE: &str = "CRITD_WASM_TOOLCHAIN";

const PACKAGES: [&str; 5] = [
    "libllvm22",
    "libstd-rust-web-1.96",
    "libstd-rust-web-dev",
    "lld-22",
    "rust-web-src",
];
const COMPILER: &str = "rustc-web";

/// How plugins are compiled on this machine.
pub(crate) enum WasmTarget {
    /// The tool chain has the target.
    Installed,
    /// Debian's compiler, unpacked below this folder.
    Debian(PathBuf),
}

impl fmt::Display for WasmTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed => write!(formatter, "{TARGET} is installed in the tool chain"),
            Self::Debian(folder) => {
                write!(
                    formatter,
                    "{TARGET} is built with Debian's rustc, unpacked in {}",
                    folder.display()
                )
            }
        }
    }
}

impl WasmTarget {
    /// Prepares a `cargo build` so that it compiles for the target.
    pub(crate) fn prepare(&self, workspace: &Workspace, cargo: &mut Command) {
        cargo.args(["--target", TARGET]);
        let Self::Debian(folder) = self else { return };
        let usr = folder.join("usr");
        // Its own target folder: proc macros are compiled by the compiler that loads them.
        cargo
            .args(["-Zbuild-std=std,panic_abort", "--target-dir"])
            .arg(Self::debian_target(workspace))
            .env("RUSTC", usr.join("bin/rustc"))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("LD_LIBRARY_PATH", usr.join("lib/x86_64-linux-gnu"))
            .env(
                "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
                usr.join("bin/wasm-ld-22"),
            )
            .env_remove("RUSTUP_TOOLCHAIN");
    }

    /// Where the core modules end up.
    pub(crate) fn modules(&self, workspace: &Workspace) -> PathBuf {
        let target = match self {
            Self::Installed => workspace.target.clone(),
            Self::Debian(_) => Self::debian_target(workspace),
        };
        target.join(TARGET).join("plugin")
    }

    fn debian_target(workspace: &Workspace) -> PathBuf {
        workspace.target.join("debian-wasm")
    }
}

/// Finds the target, or brings it.
///
/// # Errors
/// When neither rustup nor Debian's packages can bring it: the message says what to do.
pub(crate) fn ensure(workspace: &Workspace) -> Result<WasmTarget> {
    match std::env::var(CHOICE).ok().as_deref() {
        None | Some("") => {}
        Some("debian") => return debian(workspace),
        Some(other) => bail!("{CHOICE} is '{other}'; the only value it takes is 'debian'"),
    }
    if installed(workspace) {
        return Ok(WasmTarget::Installed);
    }
    step("bring the WebAssembly target");
    if let Err(reason) = run(workspace.program("rustup").args(["target", "add", TARGET])) {
        eprintln!("{reason:#}");
    }
    if installed(workspace) {
        return Ok(WasmTarget::Installed);
    }
    debian(workspace).with_context(|| {
        format!(
            "the target {TARGET} is missing, rustup cannot fetch it and Debian's compiler cannot be had either; \
             install the target by hand (`rustup target add {TARGET}`)"
        )
    })
}

fn installed(workspace: &Workspace) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed =
        output(
            workspace
                .program(rustc)
                .args(["--print", "target-libdir", "--target", TARGET]),
        );
    printed.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn debian(workspace: &Workspace) -> Result<WasmTarget> {
    let folder = workspace.cache().join("debian-rustc");
    let complete = folder.join("complete");
    if !complete.is_file() {
        step("unpack Debian's compiler beside the tool chain");
        unpack(workspace, &folder)?;
        fs::write(&complete, "").with_context(|| format!("cannot write {}", complete.display()))?;
    }
    Ok(WasmTarget::Debian(folder))
}

fn unpack(workspace: &Workspace, folder: &Path) -> Result<()> {
    let archives = workspace.cache().join("debian-archives");
    for path in [folder, &archives] {
        if path.exists() {
            fs::remove_dir_all(path).with_context(|| format!("cannot clear {}", path.display()))?;
        }
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
    }
    let mut download = Command::new("apt-get");
    download
        .args(["download", "-q"])
        .args(PACKAGES)
        .arg(COMPILER)
        .current_dir(&archives);
    if !succeeds(&mut download) {
        // A fresh machine has no package lists yet.
        run(Command::new("apt-get").args(["update", "-q"]))?;
        run(&mut download)?;
    }
    for entry in fs::read_dir(&archives)? {
        run(Command::new("dpkg")
            .arg("-x")
            .arg(entry?.path())
            .arg(folder))?;
    }
    fs::remove_dir_all(&archives)?;
    // The standard library needs the sources of the libraries alone; the compiler's are large.
    for source in fs::read_dir(folder.join("usr/src"))? {
        for part in ["compiler", "src"] {
            let path = source.as_ref().map(|entry| entry.path().join(part));
            if let Ok(path) = path
                && path.is_dir()
            {
                fs::remove_dir_all(&path)?;
            }
        }
    }
    Ok(())
}
