//! Dependencies: licences, sources, doubtful crates and known faults, by cargo-deny and the rules in `deny.toml`.

use crate::workspace::{Workspace, run, succeeds};
use anyhow::Result;

/// Runs cargo-deny. Where the tool or its list of advisories cannot be had, says so loudly instead.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    if !succeeds(workspace.cargo().args(["deny", "--version"])) {
        eprintln!(
            "NOT CHECKED: licences, sources, advisories. Install the tool: cargo install cargo-deny --locked"
        );
        return Ok(());
    }
    run(workspace.cargo().args([
        "deny",
        "--log-level",
        "error",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))?;
    if !succeeds(workspace.cargo().args(["deny", "fetch", "db"])) {
        eprintln!("NOT CHECKED: advisories. Their list cannot be fetched from here.");
        return Ok(());
    }
    run(workspace
        .cargo()
        .args(["deny", "--log-level", "error", "check", "advisories"]))
}
