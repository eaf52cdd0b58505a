//! Replica sets of real `mongod` processes for tests and benchmarks.
//!
//! Ports are free ones of the loopback interface, data lies in a folder of its own. A set ends with its value, and also
//! with the process that holds it, however that ends: each `mongod` has a shell beside it that reads from a pipe of ours
//! and kills its `mongod` when the pipe closes.
//!
//! Needs neither a driver nor MongoDB's shell: the two commands that make a replica set are sent in MongoDB's wire
//! protocol ([`wire`]). So tools that build quickly can use it.

mod wire;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use wire::{Connection, Value};

/// The oldest version of `mongod` that will do.
pub const OLDEST: u32 = 6;
/// Name of the replica sets.
const SET: &str = "critd";
/// Files of dropped or idle collections and indexes are closed within seconds.
const CLOSE_SOON: &str =
    "file_manager=(close_idle_time=5,close_scan_interval=1,close_handle_minimum=100)";
/// How long a node or an election may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);

/// Starts `mongod` beside itself and ends it when told to, or when its own standard input closes. `keep`: the data stays.
const KEEPER: &str = r#"
folder=$1; shift
ulimit -n "$(ulimit -Hn)" 2>/dev/null
trap '' INT TERM HUP
"$@" >/dev/null 2>&1 </dev/null &
echo $!
read -r word
kill -9 $! 2>/dev/null
wait $! 2>/dev/null
[ "$word" = keep ] || { rm -rf -- "${folder:?}"; rmdir -- "${folder%/*}" 2>/dev/null; }
"#;

/// The version of a `mongod`, such as `6.0.5`.
///
/// # Errors
///
/// It does not run, or is older than [`OLDEST`].
pub fn version(program: &Path) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let Some(version) = version_in(&said).filter(|_| output.status.success()) else {
        bail!(
            "{} does not run here: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    };
    let major = version.split('.').next().and_then(|n| n.parse().ok());
    ensure!(
        major.is_some_and(|major: u32| major >= OLDEST),
        "{} has version {version}; {OLDEST}.0 is the oldest that will do",
        program.display()
    );
    Ok(version.to_owned())
}

fn version_in(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("db version v")?;
    rest.split_whitespace().next()
}

/// A running `mongod`.
struct Node {
    port: u16,
    folder: PathBuf,
    process: Option<Process>,
}

/// The shell that keeps it, and its own process id.
struct Process {
    keeper: Child,
    id: u32,
}

/// A replica set; ended and removed when dropped.
pub struct ReplicaSet {
    program: PathBuf,
    nodes: Vec<Node>,
    folder: tempfile::TempDir,
}

impl ReplicaSet {
    /// Starts so many nodes with their data in a new folder below `parent` and waits until one is primary and the others
    /// follow it.
    ///
    /// # Errors
    ///
    /// A node ends or does not become ready; the text has the end of its log.
    pub fn start(program: &Path, parent: &Path, nodes: usize) -> Result<Self> {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
        let folder = tempfile::Builder::new()
            .prefix("mongod-")
            .tempdir_in(parent)?;
        let mut set = Self {
            program: program.to_owned(),
            nodes: Vec::new(),
            folder,
        };
        for number in 0..nodes {
            let folder = set.folder.path().join(number.to_string());
            set.nodes.push(Node {
                port: 0,
                folder,
                process: None,
            });
            set.start_node(number)?;
        }
        set.initiate()?;
        let began = Instant::now();
        while set.primary().is_none() || set.followers() + 1 < nodes {
            set.still_starting(began)?;
        }
        Ok(set)
    }

    /// Where clients connect: all nodes, no database.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(Node::host).collect();
        format!("mongodb://{}/?replicaSet={SET}", hosts.join(","))
    }

    /// Number of the node that is primary now, if one says so.
    #[must_use]
    pub fn primary(&self) -> Option<usize> {
        self.nodes
            .iter()
            .position(|node| node.says("isWritablePrimary"))
    }

    fn followers(&self) -> usize {
        self.nodes
            .iter()
            .filter(|node| node.says("secondary"))
            .count()
    }

    /// Process id of a node, while it runs.
    #[must_use]
    pub fn process_id(&self, node: usize) -> Option<u32> {
        let process = self.nodes.get(node)?.process.as_ref()?;
        Some(process.id)
    }

    /// Ends a node at once (`kill -9`); its data stays.
    ///
    /// # Errors
    ///
    /// It is not running.
    pub fn kill(&mut self, node: usize) -> Result<()> {
        let node = self.nodes.get_mut(node).context("no such node")?;
        let process = node.process.take().context("the node is not running")?;
        process.end("keep\n")
    }

    /// Starts a node that was killed, on the same port with the same data.
    ///
    /// # Errors
    ///
    /// It does not become ready.
    pub fn restart(&mut self, node: usize) -> Result<()> {
        self.start_node(node)?;
        let began = Instant::now();
        while !self.nodes[node].says("secondary") && !self.nodes[node].says("isWritablePrimary") {
            self.still_starting(began)?;
        }
        Ok(())
    }

    /// Starts a node and waits until it answers. A port that another program takes in between: once more on another.
    fn start_node(&mut self, number: usize) -> Result<()> {
        let program = self.program.clone();
        let node = self.nodes.get_mut(number).context("no such node")?;
        let fresh = node.port == 0;
        for _ in 0..3 {
            if fresh {
                node.port = free_port()?;
            }
            node.run(&program)?;
            let began = Instant::now();
            loop {
                if Connection::open(node.port).is_ok() {
                    return Ok(());
                }
                if !node.is_running() {
                    break;
                }
                ensure!(
                    began.elapsed() < LIMIT,
                    "mongod did not answer within {LIMIT:?}:\n{}",
                    node.last_lines()
                );
                std::thread::sleep(POLL);
            }
            if let Some(process) = node.process.take() {
                process.end("keep\n")?;
            }
        }
        bail!("{} ends at once:\n{}", program.display(), node.last_lines())
    }

    fn initiate(&self) -> Result<()> {
        let first = self.nodes.first().context("a replica set has nodes")?;
        let members = self.nodes.iter().zip(0_i32..).map(|(node, number)| {
            Value::Document(vec![
                ("_id", Value::Int(number)),
                ("host", Value::Text(node.host())),
            ])
        });
        // Elections are quicker than by default: tests wait for them.
        let settings = vec![
            ("electionTimeoutMillis", Value::Int(2_000)),
            ("heartbeatIntervalMillis", Value::Int(500)),
        ];
        let config = vec![
            ("_id", Value::Text(SET.to_owned())),
            ("members", Value::List(members.collect())),
            ("settings", Value::Document(settings)),
        ];
        let command = vec![("replSetInitiate", Value::Document(config))];
        Connection::open(first.port)?
            .run("admin", command)
            .context("the replica set was not made")?;
        Ok(())
    }

    fn still_starting(&self, began: Instant) -> Result<()> {
        if began.elapsed() > LIMIT {
            let logs: Vec<String> = self.nodes.iter().map(Node::last_lines).collect();
            bail!(
                "the replica set is not ready after {LIMIT:?}:\n{}",
                logs.join("\n")
            );
        }
        std::thread::sleep(POLL);
        Ok(())
    }
}

impl Drop for ReplicaSet {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(process) = node.process.take() {
                // Nothing is left to do about a shell that does not end.
                drop(process.end("remove\n"));
            }
        }
    }
}

impl Node {
    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn log(&self) -> PathBuf {
        self.folder.join("mongod.log")
    }

    fn run(&mut self, program: &Path) -> Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let mut keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "mongod"])
            .arg(&self.folder)
            .arg(program)
            .arg("--dbpath")
            .arg(&self.folder)
            .arg("--logpath")
            .arg(self.log())
            .args(["--port", &self.port.to_string()])
            .args(["--replSet", SET, "--bind_ip", "127.0.0.1", "--nounixsocket"])
            .args(["--oplogSize", "128", "--wiredTigerCacheSizeGB", "0.4"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            // Tests make and drop many databases, whose files stay open for five minutes otherwise.
            .args(["--setParameter", "minSnapshotHistoryWindowInSeconds=5"])
            .args(["--syncdelay", "10"])
            // What it does about files that are open grows with their number.
            .args(["--wiredTigerEngineConfigString", CLOSE_SOON])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start /bin/sh")?;
        let mut line = String::new();
        let said = keeper.stdout.take().context("no pipe from the shell")?;
        BufReader::new(said).read_line(&mut line)?;
        let id = line
            .trim()
            .parse()
            .with_context(|| format!("the shell said {line:?} instead of a process id"))?;
        self.process = Some(Process { keeper, id });
        Ok(())
    }

    /// A process that ended stays a zombie until its shell is told to end.
    fn is_running(&self) -> bool {
        let Some(process) = &self.process else {
            return false;
        };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id));
        stat.is_ok_and(|stat| {
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| !rest.starts_with('Z'))
        })
    }

    /// Whether the node says so of itself.
    fn says(&self, what: &str) -> bool {
        if self.process.is_none() {
            return false;
        }
        Connection::open(self.port)
            .and_then(|mut connection| connection.run("admin", vec![("hello", Value::Int(1))]))
            .is_ok_and(|answer| answer.is_true(what))
    }

    fn last_lines(&self) -> String {
        let text = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

impl Process {
    /// Tells the shell to kill its `mongod`, and waits for both.
    fn end(mut self, word: &str) -> Result<()> {
        if let Some(mut pipe) = self.keeper.stdin.take() {
            // A shell that is gone has killed it already.
            drop(pipe.write_all(word.as_bytes()));
        }
        self.keeper.wait().context("the shell of mongod")?;
        Ok(())
    }
}

/// Names of the databases of a deployment on this machine.
///
/// # Errors
///
/// None of the URL's hosts is a primary that answers.
pub fn databases(url: &str) -> Result<Vec<String>> {
    // Their sizes, which it would work out from every file, are of no interest.
    let command = vec![
        ("listDatabases", Value::Int(1)),
        ("nameOnly", Value::Int(1)),
    ];
    let answer = primary_of(url)?.run("admin", command)?;
    Ok(answer.texts("databases", "name"))
}

/// Drops a database of a deployment on this machine; one that is not there is no error.
///
/// # Errors
///
/// None of the URL's hosts is a primary that answers, or it refuses.
pub fn drop_database(url: &str, name: &str) -> Result<()> {
    let command = vec![("dropDatabase", Value::Int(1))];
    primary_of(url)?.run(name, command)?;
    Ok(())
}

fn primary_of(url: &str) -> Result<Connection> {
    for port in ports(url)? {
        if let Ok(mut connection) = Connection::open(port)
            && connection
                .run("admin", vec![("hello", Value::Int(1))])
                .is_ok_and(|answer| answer.is_true("isWritablePrimary"))
        {
            return Ok(connection);
        }
    }
    bail!("no host of {url} is a primary that answers")
}

/// The ports of a URL as [`ReplicaSet::url`] makes it, with or without a database.
fn ports(url: &str) -> Result<Vec<u16>> {
    let hosts = url
        .strip_prefix("mongodb://")
        .and_then(|rest| rest.split('/').next())
        .with_context(|| format!("{url} is no URL of MongoDB"))?;
    let port = |host: &str| {
        host.strip_prefix("127.0.0.1:")
            .and_then(|port| port.parse().ok())
            .with_context(|| format!("{host} is no port of this machine"))
    };
    hosts.split(',').map(port).collect()
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_mongod_prints() {
        let said = "db version v6.0.5\nBuild Info: {\n    \"version\": \"6.0.5\"";
        assert_eq!(version_in(said), Some("6.0.5"));
        assert_eq!(version_in("MySQL"), None);
    }

    #[test]
    fn the_ports_of_a_url_are_those_of_its_hosts() {
        let url = "mongodb://127.0.0.1:27017,127.0.0.1:5/name?replicaSet=critd";
        assert_eq!(
            ports(url).map_err(|error| error.to_string()),
            Ok(vec![27017, 5])
        );
        let refusal = |url: &str| ports(url).map_err(|error| error.to_string());
        assert_eq!(
            refusal("mongodb://example.com:1/"),
            Err("example.com:1 is no port of this machine".to_owned())
        );
        assert_eq!(refusal("x"), Err("x is no URL of MongoDB".to_owned()));
    }

    #[test]
    fn a_program_that_is_no_mongod_is_named() {
        let refusal = version(Path::new("/bin/false")).map_err(|error| error.to_string());
        assert_eq!(refusal, Err("/bin/false does not run here: ".to_owned()));
        let refusal = version(Path::new("/no/such/mongod")).map_err(|error| error.to_string());
        assert_eq!(refusal, Err("cannot start /no/such/mongod".to_owned()));
    }
}
