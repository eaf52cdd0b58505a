//! Builds the plugins: one cargo invocation for all core modules, then the server's own `plugin build` for each.

use crate::wasm_target::{self, WasmTarget};
use crate::workspace::{Guest, Workspace, digest, output, run, step};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Folder of the plugins' crates, and of the tests' guests.
const PLUGINS: &str = "plugins";
const GUESTS: &str = "tests/guests";
const PLUGIN_PREFIX: &str = "critd_plugin_";
const GUEST_PREFIX: &str = "critd_guest_";

/// Builds the server (dev profile), all plugins and the tests' guests.
pub(crate) fn build_all(workspace: &Workspace) -> Result<WasmTarget> {
    let target = wasm_target::ensure(workspace)?;
    step("build the server");
    run(workspace
        .cargo()
        .args(["build", "--workspace", "--bin", "critd"]))?;
    build_components(workspace, &target, &workspace.server("debug"))?;
    Ok(target)
}

/// Builds all plugins and guests with a server binary that is already there.
pub(crate) fn build_components(
    workspace: &Workspace,
    target: &WasmTarget,
    server: &Path,
) -> Result<()> {
    let plugins = workspace.guests_below(PLUGINS)?;
    let guests = workspace.guests_below(GUESTS)?;
    step(&format!(
        "compile {} plugins and {} test guests",
        plugins.len(),
        guests.len()
    ));
    compile(workspace, target, plugins.iter().chain(&guests))?;
    let modules = target.modules(workspace);
    assemble(
        workspace,
        server,
        &modules,
        &plugins,
        PLUGIN_PREFIX,
        &workspace.plugins(),
    )?;
    assemble(
        workspace,
        server,
        &modules,
        &guests,
        GUEST_PREFIX,
        &workspace.guests(),
    )
}

fn compile<'g>(
    workspace: &Workspace,
    target: &WasmTarget,
    guests: impl Iterator<Item = &'g Guest>,
) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--profile", "plugin", "--lib"]);
    for guest in guests {
        cargo.args(["--package", &guest.package]);
    }
    target.prepare(workspace, &mut cargo);
    run(&mut cargo)
}

/// The core modules of `packages` as Cargo left them, with the name each component gets.
fn modules_of(modules: &Path, packages: &[Guest], prefix: &str) -> Vec<(PathBuf, String)> {
    packages
        .iter()
        .map(|guest| {
            let file = guest.package.replace('-', "_");
            let name = file.strip_prefix(prefix).unwrap_or(&file).to_owned();
            (modules.join(format!("{file}.wasm")), name)
        })
        .collect()
}

/// The core modules of all plugins, with their names.
pub(crate) fn plugin_modules(
    workspace: &Workspace,
    target: &WasmTarget,
) -> Result<Vec<(PathBuf, String)>> {
    let plugins = workspace.guests_below(PLUGINS)?;
    Ok(modules_of(
        &target.modules(workspace),
        &plugins,
        PLUGIN_PREFIX,
    ))
}

fn assemble(
    workspace: &Workspace,
    server: &Path,
    modules: &Path,
    packages: &[Guest],
    prefix: &str,
    folder: &Path,
) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let expected = modules_of(modules, packages, prefix);
    remove_strangers(folder, &expected)?;
    let mut built = 0;
    for (module, name) in &expected {
        let component = folder.join(format!("{name}.wasm"));
        let stamp = folder.join(format!(".{name}.inputs"));
        let inputs = inputs(module, server)?;
        if component.is_file() && fs::read_to_string(&stamp).is_ok_and(|known| known == inputs) {
            continue;
        }
        let unfinished = folder.join(format!(".{name}.unfinished"));
        output(
            workspace
                .program(server)
                .args(["plugin", "build"])
                .arg(module)
                .arg("--out")
                .arg(&unfinished),
        )
        .with_context(|| format!("{name} does not become a plugin"))?;
        fs::rename(&unfinished, &component)
            .with_context(|| format!("cannot write {}", component.display()))?;
        fs::write(&stamp, inputs)?;
        built += 1;
    }
    eprintln!(
        "{}: {} components, {built} built now, the others unchanged",
        workspace.shown(folder),
        expected.len()
    );
    Ok(())
}

/// A component whose crate is gone would be served on.
fn remove_strangers(folder: &Path, expected: &[(PathBuf, String)]) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let known = path
            .file_stem()
            .is_some_and(|stem| expected.iter().any(|(_, name)| stem == name.as_str()));
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
            && !known
        {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// What a component is made of: the core module's content, and the server that assembles it.
fn inputs(module: &Path, server: &Path) -> Result<String> {
    let Ok(bytes) = fs::read(module) else {
        bail!(
            "cargo left no {}; does the package declare crate-type cdylib?",
            module.display()
        );
    };
    let facts =
        fs::metadata(server).with_context(|| format!("there is no {}", server.display()))?;
    let changed = facts.modified()?.duration_since(std::time::UNIX_EPOCH)?;
    Ok(format!(
        "{} {} {}",
        digest(&bytes),
        facts.len(),
        changed.as_nanos()
    ))
}
