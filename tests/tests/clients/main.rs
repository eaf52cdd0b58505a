//! Published clients of the API, as their registry has them, driven by the scripts in `tests/clients`: whatever worked with
//! the original works here, quirks included.

mod environment;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use critd_tests::Server;

/// Folder of the scripts.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// A server as a client of an analyst finds it, and the environment of its script.
async fn server() -> Result<(Server, Vec<(&'static str, String)>)> {
    let server = Server::start().await?;
    server.cli(&["role", "add", "of-alpha"])?;
    let rights = ["--read", "--write", "--tlp", "red,amber,green"];
    let grant = [&["role", "source", "of-alpha", "Alpha"], &rights[..]].concat();
    server.cli(&grant)?;
    let roles = ["--role", "Analyst", "--role", "of-alpha"];
    server.cli(&[&["user", "add", "analyst"], &roles[..]].concat())?;
    let key = server.cli(&["key", "add", "analyst"])?.trim().to_owned();
    let environment = vec![
        ("CRITS_URL", server.url()),
        ("CRITS_USER", "analyst".to_owned()),
        ("CRITS_KEY", key),
        ("CRITS_SOURCE", "Alpha".to_owned()),
        ("CRITS_RAW_TYPE", "Text".to_owned()),
        ("CRITS_SIG_TYPE", "Snort".to_owned()),
    ];
    Ok((server, environment))
}

/// What a script prints: steps that passed, those that failed, the line with the numbers of both.
#[derive(Debug, Default, PartialEq, Eq)]
struct Printed<'a> {
    passed: usize,
    failed: BTreeSet<&'a str>,
    total: Option<&'a str>,
}

fn read(text: &str) -> Printed<'_> {
    let mut printed = Printed::default();
    for line in text.lines() {
        if line.starts_with("ok   ") {
            printed.passed += 1;
        } else if let Some(step) = line.strip_prefix("FAIL ") {
            let name = step.split_once("   <- ").map_or(step, |(name, _)| name);
            printed.failed.insert(name.trim());
        } else if line.starts_with("-- ") {
            printed.total = Some(line);
        }
    }
    printed
}

/// Runs a script against a fresh server. It passes `passed` steps, and all of its steps but those in `awaited`: steps that
/// need what the server does not have yet, which must be taken from the list when it does.
async fn expect(python: &Path, script: &str, passed: usize, awaited: &[&str]) -> Result<()> {
    let (server, environment) = server().await?;
    let output = Command::new(python)
        .arg(scripts().join(script))
        .envs(environment)
        // Files that the script makes go when the server's folder goes; none are left beside the scripts.
        .env("TMPDIR", server.folder())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .output()
        .context("cannot run the script")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let all = format!(
        "{text}\n{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        server.log()
    );
    let total = format!("-- {passed} ok, {} failed", awaited.len());
    let expected = Printed {
        passed,
        failed: awaited.iter().copied().collect(),
        total: Some(&total),
    };
    assert_eq!(read(&text), expected, "{all}");
    let code = i32::from(!awaited.is_empty());
    assert_eq!(output.status.code(), Some(code), "{all}");
    eprintln!("{script}: {passed} steps passed, {} awaited", awaited.len());
    Ok(())
}

/// The interpreter for the clients of Python 2.7; none is told aloud.
fn python2() -> Result<Option<PathBuf>> {
    let python = environment::python2("python2")?;
    if python.is_none() {
        eprintln!(
            "SKIPPED: there is no Python 2.7 here, and this client runs on no other; have `python2.7` on the path or in pyenv"
        );
    }
    Ok(python)
}

#[tokio::test]
async fn the_published_critsapi_works() -> Result<()> {
    let python = environment::python3("critsapi")?;
    expect(&python, "smoke_critsapi.py", 29, &[]).await
}

#[tokio::test]
async fn the_published_pycrits_works() -> Result<()> {
    match python2()? {
        Some(python) => expect(&python, "smoke_pycrits.py", 44, &[]).await,
        None => Ok(()),
    }
}

#[tokio::test]
async fn the_published_phishme_intelligence_works() -> Result<()> {
    match python2()? {
        Some(python) => expect(&python, "smoke_phishme.py", 8, &[]).await,
        None => Ok(()),
    }
}

#[test]
fn a_script_that_tests_nothing_is_no_success() {
    let text = "ok   a\nFAIL   b   <- {'c': 1}\nFAIL c\n-- 1 ok, 2 failed\n";
    let expected = Printed {
        passed: 1,
        failed: ["b", "c"].into(),
        total: Some("-- 1 ok, 2 failed"),
    };
    assert_eq!(read(text), expected);
    assert_eq!(read("Traceback\n"), Printed::default());
}
