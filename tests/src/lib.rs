//! A real critd for tests: the built binary, the built plugins, a store of its own in a temporary folder, a free port.
//!
//! Everything goes the way users go: the command line sets the store up, requests go over HTTP. Where the binaries are:
//! beside the test's own (`target/debug/critd`), plugins in `target/plugins`, test guests in `target/guests`;
//! `cargo xtask test` builds all three first.

pub mod objects;
pub mod zips;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
pub use serde_json::{Value as Json, json};

/// Key of the administrator that every test server has.
pub const ADMIN_KEY: &str = "0123456789abcdef0123456789abcdef01234567";

/// A server under test; stopped when dropped.
pub struct Server {
    folder: tempfile::TempDir,
    /// Names the store, besides the folder: a database's URL, if it is not in the folder.
    store: Vec<String>,
    process: Option<Child>,
    address: String,
    client: reqwest::Client,
}

/// What a request was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or(Json::Null)
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// `id` of an envelope that says success.
    ///
    /// # Errors
    ///
    /// Anything else, with the whole answer as the text.
    pub fn created_id(&self) -> Result<String> {
        let body = self.json();
        ensure!(
            self.status == 200 && body["return_code"] == 0,
            "not created: {} {}",
            self.status,
            self.text
        );
        body["id"]
            .as_str()
            .map(String::from)
            .with_context(|| format!("no id: {}", self.text))
    }
}

/// Who makes a request.
#[derive(Debug, Clone)]
pub struct User {
    /// Name.
    pub name: String,
    /// API key.
    pub key: String,
}

/// The administrator that every test server has: role `UberAdmin`.
#[must_use]
pub fn admin() -> User {
    User {
        name: "admin".into(),
        key: ADMIN_KEY.into(),
    }
}

/// The store of a test's servers, as the command line has it: the one of the data folder, or a database of its own where
/// `CRITD_TEST_STORE` says `mongodb`. `cargo xtask test` runs the tests once with each.
fn store() -> Result<Vec<String>> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    match std::env::var("CRITD_TEST_STORE").as_deref() {
        Err(_) => Ok(Vec::new()),
        Ok("mongodb") => {
            // The name tells which process may use it: `cargo xtask test` drops those of processes that have ended.
            let name = format!(
                "critd_test_{}_server{}",
                std::process::id(),
                NUMBER.fetch_add(1, Ordering::Relaxed)
            );
            Ok(vec!["--store".to_owned(), database(&name)?])
        }
        Ok(other) => bail!("CRITD_TEST_STORE is {other:?}; the only value it takes is \"mongodb\""),
    }
}

/// Is the store of this test's servers the embedded one?
#[must_use]
pub fn is_embedded() -> bool {
    std::env::var_os("CRITD_TEST_STORE").is_none()
}

/// The URL of a database of the replica set that `cargo xtask test` started.
///
/// # Errors
///
/// The test was not started by it.
pub fn database(name: &str) -> Result<String> {
    let deployment = std::env::var("CRITD_TEST_MONGODB").context(
        "this test needs a replica set: run it with `cargo xtask test`, which starts one and sets CRITD_TEST_MONGODB",
    )?;
    let (hosts, options) = deployment.split_once("/?").unwrap_or((&deployment, ""));
    Ok(format!("{}/{name}?{options}", hosts.trim_end_matches('/')))
}

fn target_folder() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let profile = test
        .ancestors()
        .find(|folder| folder.file_name().is_some_and(|name| name == "deps"))
        .and_then(Path::parent)
        .context("the test does not lie in a target folder")?;
    Ok(profile.to_path_buf())
}

/// The binary under test.
///
/// # Errors
///
/// It has not been built.
pub fn binary() -> Result<PathBuf> {
    let path = target_folder()?.join("critd");
    ensure!(
        path.exists(),
        "{} is missing: run `cargo xtask test`, which builds it first",
        path.display()
    );
    Ok(path)
}

/// Folder of the built plugins (`plugins`) or of the test guests (`guests`).
///
/// # Errors
///
/// They have not been built.
pub fn built(what: &str) -> Result<PathBuf> {
    let path = target_folder()?
        .parent()
        .context("no target folder")?
        .join(what);
    ensure!(
        path.exists(),
        "{} is missing: run `cargo xtask test`, which builds it first",
        path.display()
    );
    Ok(path)
}

/// The repository's root.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

impl Server {
    /// A fresh store with sources `Alpha`, `Beta`, the user [`admin`], the API on, all plugins of the repository; started.
    ///
    /// # Errors
    ///
    /// A command failed or the server did not start.
    pub async fn start() -> Result<Self> {
        let mut server = Self::prepare()?;
        server.run().await?;
        Ok(server)
    }

    /// As [`Server::start`], not yet running.
    ///
    /// # Errors
    ///
    /// A command failed.
    pub fn prepare() -> Result<Self> {
        Self::prepare_in(store()?)
    }

    /// As [`Server::prepare`], in the database of a URL.
    ///
    /// # Errors
    ///
    /// A command failed.
    pub fn prepare_on(url: &str) -> Result<Self> {
        Self::prepare_in(vec!["--store".to_owned(), url.to_owned()])
    }

    fn prepare_in(store: Vec<String>) -> Result<Self> {
        let server = Self::unprepared(store)?;
        server.cli(&["init"])?;
        server.cli(&["source", "add", "Alpha", "Beta"])?;
        server.cli(&[
            "user",
            "add",
            "admin",
            "--role",
            "UberAdmin",
            "--organization",
            "Alpha",
        ])?;
        server.cli(&["key", "add", "admin", "--value", ADMIN_KEY])?;
        server.cli(&["set", "enable_api=true"])?;
        Ok(server)
    }

    /// A second server on the database of this one, started.
    ///
    /// # Errors
    ///
    /// This one's store is the embedded one, or the second does not start.
    pub async fn beside(&self) -> Result<Self> {
        ensure!(
            !self.store.is_empty(),
            "an embedded store has one server only"
        );
        let mut server = Self::unprepared(self.store.clone())?;
        server.run().await?;
        Ok(server)
    }

    fn unprepared(store: Vec<String>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins)?;
        for entry in std::fs::read_dir(built("plugins")?)? {
            let path = entry?.path();
            if let (Some(name), Some("wasm")) =
                (path.file_name(), path.extension().and_then(|e| e.to_str()))
            {
                std::fs::copy(&path, plugins.join(name))?;
            }
        }
        std::fs::copy(
            repository().join("plugin-manifest.toml"),
            folder.path().join("plugin-manifest.toml"),
        )?;
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(64)
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()?;
        Ok(Self {
            folder,
            store,
            process: None,
            address: String::new(),
            client,
        })
    }

    /// The temporary folder: `data/`, `plugins/`, `plugin-manifest.toml`, `server.log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Adds a built test guest to the plugin folder and the manifest (before or while the server runs).
    ///
    /// # Errors
    ///
    /// The guest has not been built.
    pub fn add_guest(&self, name: &str, extra: &str) -> Result<()> {
        let file = format!("{name}.wasm");
        std::fs::copy(
            built("guests")?.join(&file),
            self.folder().join("plugins").join(&file),
        )?;
        let mut manifest = std::fs::OpenOptions::new()
            .append(true)
            .open(self.folder().join("plugin-manifest.toml"))?;
        write!(manifest, "\n[plugins.{name}]\npath = \"{file}\"\n{extra}\n")?;
        Ok(())
    }

    /// Starts the process and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// It ended or did not answer within a minute; the text is its log.
    pub async fn run(&mut self) -> Result<()> {
        self.run_at("127.0.0.1:0").await
    }

    /// Starts the process again, at the address that it had.
    ///
    /// # Errors
    ///
    /// As [`Server::run`].
    pub async fn run_again(&mut self) -> Result<()> {
        let address = self.address.clone();
        self.run_at(&address).await
    }

    async fn run_at(&mut self, address: &str) -> Result<()> {
        let ports = self.folder().join("port");
        let _ = std::fs::remove_file(&ports);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder().join("server.log"))?;
        let mut process = Command::new(binary()?)
            .arg("--data")
            .arg(self.folder().join("data"))
            .args(&self.store)
            .args(["serve", "--listen", address])
            .arg("--manifest")
            .arg(self.folder().join("plugin-manifest.toml"))
            .arg("--plugins")
            .arg(self.folder().join("plugins"))
            .arg("--port-file")
            .arg(&ports)
            .env("CRITD_COMPILE_CACHE", built("plugins")?.join("compiled"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let begin = Instant::now();
        loop {
            if let Ok(address) = std::fs::read_to_string(&ports) {
                self.address = address.trim().to_owned();
                break;
            }
            if let Some(status) = process.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.log());
            }
            if begin.elapsed() > Duration::from_secs(60) {
                let _ = process.kill();
                bail!("the server did not start within a minute:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.process = Some(process);
        Ok(())
    }

    /// What the server wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("server.log")).unwrap_or_default()
    }

    /// Ends the process at once (`kill -9`).
    ///
    /// # Errors
    ///
    /// It is not running.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("not running")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// Process id, while running.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Ends the process as an operator does (SIGTERM) and answers its exit code.
    ///
    /// # Errors
    ///
    /// It is not running or did not end within 30 seconds.
    pub async fn stop(&mut self) -> Result<Option<i32>> {
        let mut process = self.process.take().context("not running")?;
        let sent = Command::new("kill")
            .arg("-TERM")
            .arg(process.id().to_string())
            .status()?;
        ensure!(sent.success(), "kill failed");
        let begin = Instant::now();
        loop {
            if let Some(status) = process.try_wait()? {
                return Ok(status.code());
            }
            if begin.elapsed() > Duration::from_secs(30) {
                process.kill()?;
                bail!("the server did not stop within 30 seconds:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs a command of the command line on the store; its standard output.
    ///
    /// # Errors
    ///
    /// The exit code is not 0; the text is what it wrote.
    pub fn cli(&self, arguments: &[&str]) -> Result<String> {
        let output = self.cli_output(arguments)?;
        ensure!(
            output.status.success(),
            "critd {}: {}{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// As [`Server::cli`], whatever the exit code.
    ///
    /// # Errors
    ///
    /// The binary is missing.
    pub fn cli_output(&self, arguments: &[&str]) -> Result<Output> {
        Ok(Command::new(binary()?)
            .arg("--data")
            .arg(self.folder().join("data"))
            .args(&self.store)
            .args(arguments)
            .stdin(Stdio::null())
            .output()?)
    }

    /// Makes a user with a role of its own that has the API and these flags and (source, rights) pairs; rights as the
    /// command line takes them: `--read`, `--write`, `--tlp red,amber`.
    ///
    /// # Errors
    ///
    /// A command failed.
    pub fn add_user(
        &self,
        name: &str,
        flags: &[&str],
        sources: &[(&str, &[&str])],
    ) -> Result<User> {
        let role = format!("role-{name}");
        self.cli(&["role", "add", &role])?;
        let mut grant = vec!["role", "grant", &role, "api_interface"];
        grant.extend(flags);
        self.cli(&grant)?;
        for (source, rights) in sources {
            let mut command = vec!["role", "source", &role, source];
            command.extend(*rights);
            self.cli(&command)?;
        }
        self.cli(&["user", "add", name, "--role", &role])?;
        let key = self.cli(&["key", "add", name])?.trim().to_owned();
        Ok(User {
            name: name.into(),
            key,
        })
    }

    fn at(&self, user: &User, path: &str) -> String {
        let join = if path.contains('?') { '&' } else { '?' };
        format!(
            "{}{path}{join}username={}&api_key={}",
            self.url(),
            user.name,
            user.key
        )
    }

    async fn answer(request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        Ok(Answer {
            status,
            headers,
            text: response.text().await?,
        })
    }

    /// The HTTP client, for requests out of the ordinary.
    #[must_use]
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Sends a request made with [`Server::client`].
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        Self::answer(request).await
    }

    /// GET as a user; `path` begins with `/`.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn get_as(&self, user: &User, path: &str) -> Result<Answer> {
        Self::answer(self.client.get(self.at(user, path))).await
    }

    /// GET as the administrator.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.get_as(&admin(), path).await
    }

    /// POST of a form as a user; credentials in the query.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn post_as(&self, user: &User, path: &str, form: &[(&str, &str)]) -> Result<Answer> {
        Self::answer(self.client.post(self.at(user, path)).form(form)).await
    }

    /// POST of a form as the administrator.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Answer> {
        self.post_as(&admin(), path, form).await
    }

    /// POST of JSON as the administrator.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn post_json(&self, path: &str, body: &Json) -> Result<Answer> {
        Self::answer(self.client.post(self.at(&admin(), path)).json(body)).await
    }

    /// PATCH of JSON as a user.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn patch_as(&self, user: &User, path: &str, body: &Json) -> Result<Answer> {
        Self::answer(self.client.patch(self.at(user, path)).json(body)).await
    }

    /// PATCH of JSON as the administrator.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn patch(&self, path: &str, body: &Json) -> Result<Answer> {
        self.patch_as(&admin(), path, body).await
    }

    /// A new event of the administrator under source `Alpha`; its id.
    ///
    /// # Errors
    ///
    /// It was refused.
    pub async fn event(&self, title: &str) -> Result<String> {
        self.post(
            "/api/v1/events/",
            &[
                ("title", title),
                ("event_type", "Phishing"),
                ("description", "made by a test"),
                ("source", "Alpha"),
            ],
        )
        .await?
        .created_id()
    }

    /// The document behind an id, as the administrator reads it.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn document(&self, resource: &str, id: &str) -> Result<Json> {
        Ok(self.get(&format!("/api/v1/{resource}/{id}/")).await?.json())
    }

    /// `total_count` of a resource.
    ///
    /// # Errors
    ///
    /// The list is refused.
    pub async fn count(&self, resource: &str) -> Result<u64> {
        let answer = self.get(&format!("/api/v1/{resource}/?limit=1")).await?;
        answer.json()["meta"]["total_count"]
            .as_u64()
            .with_context(|| format!("{resource}: {}", answer.text))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.iter().skip(lines.len().saturating_sub(40));
            eprintln!("--- the end of the server's log ---");
            last.for_each(|line| eprintln!("{line}"));
        }
    }
}
