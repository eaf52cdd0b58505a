//! `cargo xtask test`: every check and every test, cheapest first; the first that fails ends the run.

mod dependencies;
mod imports;
mod layers;
mod rules;
mod suites;
mod text_rules;
pub(crate) mod wit;

use crate::plugins;
use crate::wasm_target;
use crate::workspace::{self, Workspace, output, step};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::time::Instant;

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only the tests that this nextest filter names, such as 'test(ticket_add)'; nothing else is checked.
    #[arg(long)]
    filter: Option<String>,
    /// With --filter: run these tests on MongoDB too, as a full run does.
    #[arg(long, requires = "filter")]
    mongodb: bool,
}

/// Runs the checks and the tests.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let began = Instant::now();
    if let Some(filter) = &options.filter {
        build(workspace)?;
        return suites::run(workspace, Some(filter), options.mongodb);
    }
    step("source rules");
    source_rules(workspace)?;
    step("format");
    workspace::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    step("dependencies");
    dependencies::check(workspace)?;
    build(workspace)?;
    step("doc tests");
    workspace::run(
        workspace
            .linting_cargo()
            .args(["test", "--workspace", "--doc", "--quiet"]),
    )?;
    suites::run(workspace, None, true)?;
    eprintln!(
        "everything passed in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The rules that are read off the sources alone.
fn source_rules(workspace: &Workspace) -> Result<()> {
    let files = tracked_files(workspace)?;
    let mut faults = wit::faults(workspace)?;
    faults.extend(text_rules::faults(&workspace.root, &files)?);
    faults.extend(layers::faults(&workspace.root, &files)?);
    faults.extend(rules::faults(&workspace.root, &files)?);
    if faults.is_empty() {
        eprintln!("{} files keep them", files.len());
        return Ok(());
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    bail!("{} source rules are broken", faults.len())
}

/// The files that git knows or would add, relative to the root.
fn tracked_files(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut git = workspace.program("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let listed = output(&mut git)?;
    let mut files: Vec<PathBuf> = listed
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .filter(|name| workspace.root.join(name).is_file())
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// Builds everything that tests use, once: the same packages, profile and features as the test run.
fn build(workspace: &Workspace) -> Result<()> {
    step("build everything, tests included, and lint it");
    workspace::run(
        workspace
            .linting_cargo()
            .args(["build", "--workspace", "--all-targets"]),
    )?;
    let target = wasm_target::ensure(workspace)?;
    let server = workspace.server("debug");
    plugins::build_components(workspace, &target, &server)?;
    step("plugins import the contract alone");
    for (module, name) in plugins::plugin_modules(workspace, &target)? {
        imports::check(&name, &module)?;
    }
    Ok(())
}
