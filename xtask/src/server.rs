//! A server of our own as a child process, and its command line.

use crate::workspace::{Workspace, output};
use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it accepts connections: the first start compiles every plugin.
const START_LIMIT: Duration = Duration::from_secs(180);
/// How long a server may take to finish its requests and close its store.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// The server's command line on one store.
pub(crate) struct Store<'w> {
    workspace: &'w Workspace,
    binary: PathBuf,
    /// The store's folder.
    pub(crate) data: PathBuf,
    /// The database, if the store is not in the folder.
    url: Option<String>,
}

impl<'w> Store<'w> {
    pub(crate) fn new(workspace: &'w Workspace, binary: PathBuf, data: PathBuf) -> Self {
        Self {
            workspace,
            binary,
            data,
            url: None,
        }
    }

    /// The same, in a database of MongoDB.
    pub(crate) fn on_mongodb(self, url: String) -> Self {
        Self {
            url: Some(url),
            ..self
        }
    }

    fn named(&self, command: &mut Command) {
        command.arg("--data").arg(&self.data);
        if let Some(url) = &self.url {
            command.args(["--store", url]);
        }
    }

    /// Runs one command on the store and returns what it printed.
    pub(crate) fn command<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        let mut command = self.workspace.program(&self.binary);
        self.named(&mut command);
        output(command.args(arguments))
    }

    /// Makes an API key and returns it: a key is 40 hexadecimal digits wherever it stands in the output.
    pub(crate) fn add_key(&self, user: &str) -> Result<String> {
        let printed = self.command(["key", "add", user, "--name", "xtask"])?;
        printed
            .split(|character: char| !character.is_ascii_hexdigit())
            .find(|word| word.len() == 40)
            .map(str::to_owned)
            .with_context(|| format!("`critd key add {user}` printed no key"))
    }

    /// Starts the server and waits until it accepts connections.
    pub(crate) fn serve(&self, how: &Serve<'_>) -> Result<Server> {
        let port_file = how
            .port_file
            .map_or_else(|| self.data.join("port"), Path::to_owned);
        if port_file.exists() {
            fs::remove_file(&port_file)?;
        }
        let log =
            File::create(how.log).with_context(|| format!("cannot write {}", how.log.display()))?;
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.workspace.root);
        self.named(&mut command);
        command
            .args(["serve", "--listen", how.listen, "--manifest"])
            .arg(how.manifest)
            .arg("--plugins")
            .arg(how.plugins)
            .arg("--port-file")
            .arg(&port_file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        let mut server = Server {
            child,
            address: String::new(),
            log: how.log.to_owned(),
        };
        server.address = server.wait_for_address(&port_file, started)?;
        Ok(server)
    }
}

/// How to serve.
pub(crate) struct Serve<'a> {
    /// `host:port`; port 0 picks a free one.
    pub(crate) listen: &'a str,
    pub(crate) manifest: &'a Path,
    pub(crate) plugins: &'a Path,
    /// Where the server writes its address; a file in the store's folder by default.
    pub(crate) port_file: Option<&'a Path>,
    /// Where the server's output goes.
    pub(crate) log: &'a Path,
}

/// A running server. Dropping it ends the process.
pub(crate) struct Server {
    child: Child,
    /// `host:port`.
    pub(crate) address: String,
    log: PathBuf,
}

impl Server {
    fn wait_for_address(&mut self, port_file: &Path, started: Instant) -> Result<String> {
        loop {
            if let Ok(text) = fs::read_to_string(port_file)
                && text.trim().contains(':')
            {
                return Ok(text.trim().to_owned());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the server ended at once ({status}); it said:\n{}",
                    self.last_lines()
                );
            }
            if started.elapsed() > START_LIMIT {
                bail!(
                    "the server accepts no connection after {START_LIMIT:?}; it said:\n{}",
                    self.last_lines()
                );
            }
            std::thread::sleep(POLL);
        }
    }

    /// The server's process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the server has ended, and how.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// The end of the server's log.
    pub(crate) fn last_lines(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Memory in use (resident set), in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.id());
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line
            .and_then(|line| line.split_whitespace().next())
            .and_then(|number| number.parse().ok());
        kilobytes
            .map(|number: u64| number * 1024)
            .with_context(|| format!("{path} names no VmRSS"))
    }

    /// Asks the server to finish its requests and waits for its end. Ctrl-C in a terminal has asked it already; it is no harm
    /// to ask twice.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = i32::try_from(self.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let id = id.context("the server's process id is out of range")?;
        if self.ended()?.is_some() {
            return Ok(());
        }
        rustix::process::kill_process(id, rustix::process::Signal::TERM)
            .context("cannot stop the server")?;
        let asked = Instant::now();
        while asked.elapsed() < STOP_LIMIT {
            if let Some(status) = self.ended()? {
                if status.success() {
                    return Ok(());
                }
                bail!(
                    "the server ended with {status}; it said:\n{}",
                    self.last_lines()
                );
            }
            std::thread::sleep(POLL);
        }
        bail!(
            "the server did not end within {STOP_LIMIT:?} and was killed; it said:\n{}",
            self.last_lines()
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Nothing is left to do about a process that cannot be ended.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
