//! `cargo xtask test`: every check and every test, cheapest first; the first that fails ends the run.

mod dependencies;
mod imports;
mod layers;
mod text_rules;
pub(crate) mod wit;

use crate::plugins;
use crate::wasm_target;
use crate::workspace::{self, Workspace, output, step, succeeds};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only the tests that this nextest filter names, such as 'test(ticket_add)'; nothing else is checked.
    #[arg(long)]
    filter: Option<String>,
}

/// Runs the checks and the tests.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let began = Instant::now();
    if let Some(filter) = &options.filter {
        build(workspace)?;
        return nextest(workspace, Some(filter));
    }
    step("source rules");
    source_rules(workspace)?;
    step("format");
    run_cargo(workspace, &["fmt", "--all", "--check"])?;
    step("clippy");
    run_cargo(
        workspace,
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ],
    )?;
    step("dependencies");
    dependencies::check(workspace)?;
    build(workspace)?;
    step("doc tests");
    run_cargo(workspace, &["test", "--workspace", "--doc", "--quiet"])?;
    nextest(workspace, None)?;
    eprintln!(
        "everything passed in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

fn run_cargo(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    workspace::run(workspace.cargo().args(arguments))
}

/// The rules that are read off the sources alone.
fn source_rules(workspace: &Workspace) -> Result<()> {
    let files = tracked_files(workspace)?;
    let mut faults = wit::faults(workspace)?;
    faults.extend(text_rules::faults(&workspace.root, &files)?);
    faults.extend(layers::faults(&workspace.root, &files)?);
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
    step("build everything, tests included");
    run_cargo(workspace, &["build", "--workspace", "--all-targets"])?;
    let target = wasm_target::ensure(workspace)?;
    let server = workspace.server("debug");
    plugins::build_components(workspace, &target, &server)?;
    step("plugins import the contract alone");
    for (module, name) in plugins::plugin_modules(workspace, &target)? {
        imports::check(&name, &module)?;
    }
    Ok(())
}

fn nextest(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    if !succeeds(workspace.cargo().args(["nextest", "--version"])) {
        step("install cargo-nextest");
        run_cargo(workspace, &["install", "cargo-nextest", "--locked"])?;
    }
    step("tests");
    // nextest keeps its reports here, wherever Cargo builds.
    let report = workspace.root.join("target/nextest/default/junit.xml");
    if report.exists() {
        fs::remove_file(&report)?;
    }
    let mut cargo = workspace.cargo();
    cargo.args(["nextest", "run", "--workspace", "--all-targets"]);
    if let Some(filter) = filter {
        cargo.args(["--filterset", filter]);
    }
    let result = workspace::run(&mut cargo);
    let totals = totals(&report).map(|(passed, failed)| {
        println!("{passed} passed, {failed} failed");
    });
    result.and(totals)
}

/// Passed and failed tests, as nextest reported them.
fn totals(report: &Path) -> Result<(u64, u64)> {
    let text = fs::read_to_string(report)
        .with_context(|| format!("nextest left no {}", report.display()))?;
    totals_of(&text).with_context(|| format!("{} names no totals", report.display()))
}

fn totals_of(report: &str) -> Option<(u64, u64)> {
    let (_, rest) = report.split_once("<testsuites ")?;
    let (attributes, _) = rest.split_once('>')?;
    let number = |name: &str| -> Option<u64> {
        let (_, rest) = attributes.split_once(&format!("{name}=\""))?;
        rest.split_once('"')?.0.parse().ok()
    };
    let failed = number("failures")? + number("errors")?;
    Some((number("tests")?.checked_sub(failed)?, failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_those_of_the_report() {
        let report = r#"<?xml version="1.0"?>
            <testsuites name="nextest-run" tests="12" failures="2" errors="1" uuid="x"><testsuite tests="3"/>"#;
        assert_eq!(totals_of(report), Some((9, 3)));
        assert_eq!(totals_of("<other/>"), None);
    }
}
