//! How long a changed plugin file takes until it answers, and whether a request fails meanwhile.

use super::report::{self, Goal, Report};
use crate::client::{Client, Posted};
use crate::plugins;
use crate::wasm_target::WasmTarget;
use crate::workspace::{Workspace, output};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The plugin that is replaced, and a text that one of its actions answers with.
const PLUGIN: &str = "common";
const ANSWER: &str = "Ticket already present.";
/// As long as the answer, so that the module stays well-formed when one takes the other's place.
const NEW_ANSWER: &str = "Ticket already THERE!!!";
const LIMIT: Duration = Duration::from_secs(30);
const CALLERS: usize = 4;

/// Replaces the plugin while clients call it.
pub(super) fn measure(
    workspace: &Workspace,
    target: &WasmTarget,
    server: &Path,
    served: &Path,
    connect: &(dyn Fn() -> Client + Sync),
    report: &mut Report,
) -> Result<()> {
    let work = tempfile::tempdir_in(&workspace.target)?;
    let component = changed_plugin(workspace, target, server, work.path())?;
    let client = connect();
    let id = match client.post(
        "indicators",
        &[
            ("type", "Mutex"),
            ("value", "reload"),
            ("source", super::SEEN),
        ],
    )? {
        Posted::Stored(id) => id,
        Posted::Refused { message, .. } => bail!("the server refused: {message}"),
    };
    let before = answer(&client, &id).and_then(|_| answer(&client, &id))?;
    ensure!(
        before == ANSWER,
        "ticket_add answered '{before}', '{ANSWER}' is expected"
    );

    let stop = AtomicBool::new(false);
    let calls = Mutex::new(Calls::default());
    let took = std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| call_until(&stop, &connect(), &id, &calls));
        }
        // Beside the folder first: a rename is how an operator's tool should replace a file.
        let arriving = served.join(format!(".{PLUGIN}.arriving"));
        let result = fs::copy(&component, &arriving)
            .map_err(anyhow::Error::from)
            .and_then(|_| {
                let saved = Instant::now();
                fs::rename(&arriving, served.join(format!("{PLUGIN}.wasm")))?;
                while saved.elapsed() < LIMIT {
                    if answer(&client, &id)? == NEW_ANSWER {
                        return Ok(saved.elapsed());
                    }
                }
                bail!("the new version does not serve after {LIMIT:?}")
            });
        stop.store(true, Ordering::Relaxed);
        result
    })?;
    report.below(
        "file saved → new plugin version serving",
        report::seconds(took),
        Goal::seconds(0.5),
        "",
    );
    let calls = calls.into_inner().unwrap_or_default();
    report.note(
        "… requests meanwhile",
        format!("{} answered, {} failed", calls.answered, calls.failed),
    );
    Ok(())
}

#[derive(Default)]
struct Calls {
    answered: usize,
    failed: usize,
}

fn call_until(stop: &AtomicBool, client: &Client, id: &str, calls: &Mutex<Calls>) {
    let mut mine = Calls::default();
    while !stop.load(Ordering::Relaxed) {
        match answer(client, id) {
            Ok(_) => mine.answered += 1,
            Err(_) => mine.failed += 1,
        }
    }
    if let Ok(mut calls) = calls.lock() {
        calls.answered += mine.answered;
        calls.failed += mine.failed;
    }
}

/// What ticket_add says in detail when the ticket may be there already.
fn answer(client: &Client, id: &str) -> Result<String> {
    let ticket = json!({"ticket_number": "reload", "date": "2026-01-15 10:00:00"});
    let answer = client.act_whole(
        "indicators",
        id,
        &json!({"action": "ticket_add", "ticket": ticket}),
    )?;
    ensure!(
        answer["return_code"] == 0,
        "ticket_add was refused: {answer}"
    );
    Ok(answer["detail"].as_str().unwrap_or_default().to_owned())
}

/// The plugin with another version number and another answer, without compiling it again.
fn changed_plugin(
    workspace: &Workspace,
    target: &WasmTarget,
    server: &Path,
    folder: &Path,
) -> Result<std::path::PathBuf> {
    let modules = plugins::plugin_modules(workspace, target)?;
    let module = modules
        .iter()
        .find(|(_, name)| name == PLUGIN)
        .map(|(path, _)| path);
    let bytes = fs::read(module.with_context(|| format!("there is no plugin '{PLUGIN}'"))?)?;
    let (bytes, answers) = replaced(&bytes, ANSWER.as_bytes(), NEW_ANSWER.as_bytes());
    let version = env!("CARGO_PKG_VERSION");
    let next = next_version(version)
        .with_context(|| format!("the version {version} has no one-digit successor"))?;
    let (bytes, versions) = replaced(&bytes, version.as_bytes(), next.as_bytes());
    ensure!(
        answers > 0 && versions > 0,
        "the plugin '{PLUGIN}' holds its answer {answers} times and its version {versions} times"
    );
    let module = folder.join("changed.wasm");
    fs::write(&module, bytes)?;
    let component = folder.join(format!("{PLUGIN}.wasm"));
    output(
        workspace
            .program(server)
            .args(["plugin", "build"])
            .arg(&module)
            .arg("--out")
            .arg(&component),
    )?;
    Ok(component)
}

/// The next patch version, if it is as long as the version.
fn next_version(version: &str) -> Option<String> {
    let (front, patch) = version.rsplit_once('.')?;
    let next = patch.parse::<u32>().ok()? + 1;
    (next.to_string().len() == patch.len()).then(|| format!("{front}.{next}"))
}

/// `bytes` with every `from` replaced by `to`, which is as long, and how many there were.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> (Vec<u8>, usize) {
    let mut bytes = bytes.to_vec();
    let mut found = 0;
    let mut at = 0;
    while let Some(next) = bytes[at..]
        .windows(from.len())
        .position(|window| window == from)
    {
        at += next;
        bytes[at..at + from.len()].copy_from_slice(to);
        at += from.len();
        found += 1;
    }
    (bytes, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_keeps_the_length() {
        assert_eq!(ANSWER.len(), NEW_ANSWER.len());
        assert_eq!(replaced(b"xabyab", b"ab", b"cd"), (b"xcdycd".to_vec(), 2));
        assert_eq!(next_version("0.1.0").as_deref(), Some("0.1.1"));
        assert_eq!(next_version("0.1.9"), None);
    }
}
