//! `cargo xtask run`: a demonstration server with real data, from nothing.

mod journal;
mod load;
mod packages;
mod stix;

use crate::client::Client;
use crate::plugins;
use crate::server::{Serve, Server, Store};
use crate::workspace::{Workspace, step};
use anyhow::{Context as _, Result, bail};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const USER: &str = "demo";
/// The demonstration user's key, readable by its owner alone.
const KEY_FILE: &str = "demo-key";
/// Made first and removed by nobody: says that a folder is ours to replace.
const MARK_FILE: &str = "demonstration";
const JOURNAL_FILE: &str = "demo-loaded";
const LOG_FILE: &str = "server.log";

/// Options of `cargo xtask run`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the server listens; port 0 picks a free port.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// File that receives host:port when the server accepts connections.
    #[arg(long)]
    port_file: Option<PathBuf>,
    /// Folder of the demonstration store.
    #[arg(long, default_value = ".critd/demo")]
    data: PathBuf,
    /// Throw the demonstration store away and start again.
    #[arg(long)]
    fresh: bool,
    /// Stop when everything is loaded.
    #[arg(long)]
    once: bool,
}

/// Sets up, loads, serves.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let stop = stop_on_ctrl_c()?;
    plugins::build_all(workspace)?;
    let folder = workspace.root.join(&options.data);
    let store = Store::new(workspace, workspace.server("debug"), folder.clone());

    step("set up the demonstration store");
    let key = set_up(&store, options.fresh)?;

    step("start the server");
    let port_file = options
        .port_file
        .as_ref()
        .map(|path| workspace.root.join(path));
    let mut server = store.serve(&Serve {
        listen: &options.listen,
        manifest: &workspace.root.join("plugin-manifest.toml"),
        plugins: &workspace.plugins(),
        port_file: port_file.as_deref(),
        log: &folder.join(LOG_FILE),
    })?;
    let result = load_and_serve(workspace, options, &folder, &key, &stop, &mut server);
    eprintln!("\nStopping the server …");
    let stopped = server.stop();
    result?;
    stopped?;
    eprintln!(
        "Stopped. The data stays in {}; run it again and it is still there.",
        workspace.shown(&folder)
    );
    Ok(())
}

fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            // Asked twice: the person does not want to wait.
            std::process::exit(130);
        }
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(stop)
}

fn load_and_serve(
    workspace: &Workspace,
    options: &Options,
    folder: &Path,
    key: &str,
    stop: &AtomicBool,
    server: &mut Server,
) -> Result<()> {
    step("load data through the API");
    let data = packages::data(workspace)?;
    let journal = journal::Journal::open(&folder.join(JOURNAL_FILE))?;
    let address = server.address.clone();
    let target = load::Target {
        address: &address,
        user: USER,
        key,
        stop,
    };
    load::load(&target, &data, &journal)?;

    let client = Client::new(&address, USER, key);
    let mut held = Vec::new();
    for resource in ["domains", "indicators", "events", "campaigns", "actors"] {
        held.push(format!("{} {resource}", client.count(resource)?));
    }
    step("ready");
    println!("The server holds {}.", held.join(", "));
    println!("URL:     http://{address}/api/v1/");
    println!(
        "Data:    {} (log: {LOG_FILE}; the key: {KEY_FILE})",
        workspace.shown(folder)
    );
    println!(
        "Try:     curl -H 'Authorization: ApiKey {USER}:{key}' 'http://{address}/api/v1/domains/?limit=3'"
    );
    if options.once {
        return Ok(());
    }
    println!("Stop:    Ctrl-C");
    while !stop.load(Ordering::Relaxed) {
        if let Some(status) = server.ended()? {
            bail!(
                "the server ended by itself ({status}); it said:\n{}",
                server.last_lines()
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Creates the store with user, key and source unless it is there, and returns the key.
fn set_up(store: &Store<'_>, fresh: bool) -> Result<String> {
    let folder = &store.data;
    let key_file = folder.join(KEY_FILE);
    if fresh {
        clear(folder)?;
    }
    if key_file.is_file() {
        let key = fs::read_to_string(&key_file)
            .with_context(|| format!("cannot read {}", key_file.display()))?;
        eprintln!("found the store of an earlier run in {}", folder.display());
        return Ok(key.trim().to_owned());
    }
    // No key: nothing, or an earlier run that was stopped half-way.
    clear(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::write(
        folder.join(MARK_FILE),
        "Made by `cargo xtask run`; `--fresh` replaces this folder.\n",
    )?;
    store.command(["init"])?;
    store.command(["set", "enable_api=true"])?;
    store.command(["source", "add", load::SOURCE])?;
    store.command(["user", "add", USER, "--role", "UberAdmin"])?;
    let key = store.add_key(USER)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&key_file)?;
    writeln!(file, "{key}")?;
    eprintln!(
        "created a store with user '{USER}', a key and the source '{}' in {}",
        load::SOURCE,
        folder.display()
    );
    Ok(key)
}

/// Removes a folder that an earlier run made; any other folder with something in it is refused.
fn clear(folder: &Path) -> Result<()> {
    let Ok(mut entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    if entries.next().is_some() && !folder.join(MARK_FILE).is_file() {
        bail!(
            "{} holds something that `cargo xtask run` did not make; name another folder with --data",
            folder.display()
        );
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_ours_is_left_alone() -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("letter"), "dear")?;
        let refusal = clear(folder.path()).err().map(|error| error.to_string());
        let expected = format!(
            "{} holds something that `cargo xtask run` did not make; name another folder with --data",
            folder.path().display()
        );
        assert_eq!(refusal.as_deref(), Some(expected.as_str()));
        assert!(folder.path().join("letter").exists());
        Ok(())
    }

    #[test]
    fn a_folder_of_ours_is_cleared() -> Result<()> {
        let parent = tempfile::tempdir()?;
        let folder = parent.path().join("demo");
        fs::create_dir(&folder)?;
        fs::write(folder.join(MARK_FILE), "")?;
        clear(&folder)?;
        assert!(!folder.exists());
        Ok(())
    }
}
