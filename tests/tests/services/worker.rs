//! Actions.md 8.6 as a worker outside of the server meets it: the real server, and the worker of `examples/worker`, run by
//! Python as users run it; also when one of them is killed.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use critd_tests::{Json, Server, User, admin, json, repository};
use reqwest::multipart::{Form, Part};

const SERVICE: &str = "histogram";
/// A few lines; what is found in them is known.
const TEXT: &[u8] = b"\0first text\0\xffthe second, longer text\0short\0";

/// A server with the service, and the user of its workers, who has no more rights than they need.
struct Setting {
    server: Server,
    user: User,
}

impl Setting {
    async fn new() -> Result<Self> {
        let mut server = Server::prepare()?;
        server.run().await?;
        server.cli(&[
            "service",
            "add",
            SERVICE,
            "--version",
            "1.0",
            "--type",
            "Sample",
            "--requires",
            "filedata",
        ])?;
        server.cli(&["service", "enable", SERVICE])?;
        let user = server.add_user(
            "worker",
            &[
                "Sample.read",
                "Sample.download",
                "Sample.services_execute",
                "Sample.services_read",
            ],
            &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
        )?;
        Ok(Self { server, user })
    }

    /// A task on a new sample with these bytes: the identifier of the analysis.
    async fn task(&self, bytes: Vec<u8>) -> Result<String> {
        let form = Form::new()
            .text("username", admin().name)
            .text("api_key", admin().key)
            .text("source", "Alpha")
            .text("upload_type", "file")
            .part("filedata", Part::bytes(bytes).file_name("some.bin"));
        let url = format!("{}/api/v1/samples/", self.server.url());
        let answer = self
            .server
            .send(self.server.client().post(url).multipart(form))
            .await?;
        let id = answer.created_id()?;
        let run = json!({"action": "run_service", "name": SERVICE});
        let answer = self
            .server
            .patch(&format!("/api/v1/samples/{id}/"), &run)
            .await?;
        let task = answer.json()["object"]["analysis_id"]
            .as_str()
            .map(String::from);
        task.with_context(|| format!("no task: {}", answer.text))
    }

    async fn read(&self, task: &str) -> Result<Json> {
        let answer = self
            .server
            .get(&format!("/api/v1/analysis_results/{task}/"))
            .await?;
        ensure!(answer.status == 200, "{}", answer.text);
        Ok(answer.json())
    }

    /// Waits until a task is what the test wants.
    async fn when(&self, task: &str, what: &str, holds: impl Fn(&Json) -> bool) -> Result<Json> {
        let begin = Instant::now();
        loop {
            let found = self.read(task).await?;
            if holds(&found) {
                return Ok(found);
            }
            ensure!(
                begin.elapsed() < Duration::from_secs(90),
                "never {what}: {found}"
            );
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    async fn when_done(&self, task: &str) -> Result<Json> {
        self.when(task, "done", |task| {
            task["status"] == "completed" || task["status"] == "error"
        })
        .await
    }

    fn worker(&self, name: &str, arguments: &[&str]) -> Result<Worker> {
        let log = self.server.folder().join(format!("{name}.log"));
        let process = Command::new("python3")
            .arg(repository().join("examples/worker/worker.py"))
            .args([
                "--service",
                SERVICE,
                "--worker",
                name,
                "--lease-seconds",
                "10",
            ])
            .args(["--poll-seconds", "0.2", "--verbose"])
            .args(arguments)
            .env("CRITS_URL", self.server.url())
            .env("CRITS_USER", &self.user.name)
            .env("CRITS_KEY", &self.user.key)
            .env("no_proxy", "*")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("python3")?;
        Ok(Worker { process, log })
    }

    /// The worker ends by itself; neither it nor the server told the key.
    async fn ends(&self, mut worker: Worker) -> Result<String> {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = worker.process.try_wait()? {
                break status;
            }
            ensure!(
                begin.elapsed() < Duration::from_secs(90),
                "it does not end: {}",
                worker.log()
            );
            tokio::time::sleep(Duration::from_millis(15)).await;
        };
        let log = worker.log();
        ensure!(status.success(), "{status}: {log}");
        for log in [&log, &self.server.log()] {
            ensure!(!log.contains(&self.user.key), "a log has the key: {log}");
        }
        Ok(log)
    }
}

/// A running worker; killed when dropped.
struct Worker {
    process: Child,
    log: PathBuf,
}

impl Worker {
    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status()?;
        ensure!(sent.success(), "kill {signal}");
        Ok(())
    }

    /// Waits until its log says so.
    async fn says(&self, text: &str) -> Result<()> {
        let begin = Instant::now();
        while !self.log().contains(text) {
            if begin.elapsed() > Duration::from_secs(60) {
                bail!("it never said {text:?}: {}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Bytes that don't compress, so that a worker needs its time for them: the archive's encryption is slow in Python.
fn many_bytes() -> Vec<u8> {
    let mut state = 5_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as u8
    };
    (0..4_000_000).map(|_| next()).collect()
}

fn held_by(task: &Json, worker: &str) -> bool {
    task["status"] == "started" && task["lease"]["worker"] == worker
}

/// How many results are of this kind.
fn count(task: &Json, subtype: &str) -> usize {
    let results = task["results"].as_array().into_iter().flatten();
    results
        .filter(|result| result["subtype"] == subtype)
        .count()
}

#[tokio::test]
async fn svc_20_a_worker_claims_a_task_reports_and_finishes() -> Result<()> {
    let setting = Setting::new().await?;
    let task = setting.task(TEXT.to_vec()).await?;
    assert_eq!(setting.read(&task).await?["status"], "created", "SVC-9");
    let worker = setting.worker("w1", &["--once"])?;
    let log = setting.ends(worker).await?;
    let done = setting.read(&task).await?;
    assert_eq!(done["status"], "completed", "{log}");
    assert!(done["finish_date"].is_string() && done["lease"].is_null());
    let results = done["results"].as_array().context("results")?;
    let told: Vec<_> = results
        .iter()
        .map(|found| {
            (
                found["subtype"].as_str(),
                found["result"].as_str(),
                &found["offset"],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some("bytes"), Some("43"), &Json::Null),
            (Some("string"), Some("the second, longer text"), &json!(13)),
            (Some("string"), Some("first text"), &json!(1)),
        ]
    );
    assert_eq!(results[0]["printable"], 38);
    let last = done["log"]
        .as_array()
        .and_then(|log| log.last())
        .context("log")?;
    assert_eq!(
        (&last["message"], &last["level"]),
        (&json!("3 results."), &json!("info"))
    );
    Ok(())
}

#[tokio::test]
async fn svc_23_workers_beside_each_other_share_the_tasks() -> Result<()> {
    let setting = Setting::new().await?;
    let mut tasks = Vec::new();
    for number in 0..12_u8 {
        tasks.push(setting.task([TEXT, &[number]].concat()).await?);
    }
    let workers = ["w1", "w2", "w3"].map(|name| setting.worker(name, &["--once"]));
    for worker in workers {
        setting.ends(worker?).await?;
    }
    for task in tasks {
        let done = setting.read(&task).await?;
        assert_eq!(done["status"], "completed");
        assert_eq!(
            (count(&done, "bytes"), count(&done, "string")),
            (1, 2),
            "{done}"
        );
        assert_eq!(done["attempts"], 1);
    }
    Ok(())
}

#[tokio::test]
async fn svc_27_the_task_of_a_killed_worker_is_taken_over() -> Result<()> {
    let setting = Setting::new().await?;
    let task = setting.task(many_bytes()).await?;
    let first = setting.worker("w1", &[])?;
    setting
        .when(&task, "claimed", |task| held_by(task, "w1"))
        .await?;
    first.signal("-KILL")?;
    drop(first);
    let second = setting.worker("w2", &[])?;
    setting
        .when(&task, "taken over", |task| held_by(task, "w2"))
        .await?;
    let done = setting.when_done(&task).await?;
    assert_eq!(
        (&done["status"], &done["attempts"]),
        (&json!("completed"), &json!(2))
    );
    assert_eq!(count(&done, "bytes"), 1);
    second.signal("-TERM")?;
    setting.ends(second).await?;
    Ok(())
}

#[tokio::test]
async fn svc_26_a_worker_that_comes_too_late_stores_nothing() -> Result<()> {
    let setting = Setting::new().await?;
    let task = setting.task(many_bytes()).await?;
    let first = setting.worker("w1", &["--once"])?;
    setting
        .when(&task, "claimed", |task| held_by(task, "w1"))
        .await?;
    // It sleeps until its lease has run out and another worker has done the task.
    first.signal("-STOP")?;
    let second = setting.worker("w2", &[])?;
    let done = setting.when_done(&task).await?;
    second.signal("-TERM")?;
    setting.ends(second).await?;
    first.signal("-CONT")?;
    let log = setting.ends(first).await?;
    assert!(log.contains("another worker has it now"), "{log}");
    assert_eq!(setting.read(&task).await?, done);
    assert_eq!(count(&done, "bytes"), 1);
    Ok(())
}

#[tokio::test]
async fn svc_25_a_worker_survives_the_server() -> Result<()> {
    let mut setting = Setting::new().await?;
    let task = setting.task(many_bytes()).await?;
    let worker = setting.worker("w1", &[])?;
    // In the middle of a task.
    setting
        .when(&task, "claimed", |task| held_by(task, "w1"))
        .await?;
    setting.server.kill()?;
    worker.says("trying again").await?;
    setting.server.run_again().await?;
    let done = setting.when_done(&task).await?;
    assert_eq!(
        (&done["status"], &done["attempts"]),
        (&json!("completed"), &json!(1)),
        "{}",
        worker.log()
    );
    assert_eq!(count(&done, "bytes"), 1);
    // While it waits for one.
    let said = worker.log().len();
    setting.server.kill()?;
    while !worker.log()[said..].contains("trying again") {
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    setting.server.run_again().await?;
    let task = setting.task(TEXT.to_vec()).await?;
    assert_eq!(setting.when_done(&task).await?["status"], "completed");
    worker.signal("-TERM")?;
    setting.ends(worker).await?;
    Ok(())
}

#[tokio::test]
async fn svc_28_a_worker_that_is_stopped_gives_its_task_back() -> Result<()> {
    let setting = Setting::new().await?;
    let task = setting.task(many_bytes()).await?;
    let worker = setting.worker("w1", &[])?;
    setting
        .when(&task, "claimed", |task| held_by(task, "w1"))
        .await?;
    worker.signal("-TERM")?;
    let log = setting.ends(worker).await?;
    assert!(log.contains("given back"), "{log}");
    let back = setting.read(&task).await?;
    assert_eq!(
        (&back["status"], &back["attempts"]),
        (&json!("created"), &json!(0)),
        "{back}"
    );
    assert!(back["lease"].is_null());
    Ok(())
}

#[tokio::test]
async fn svc_22_a_worker_without_rights_ends_with_the_reason() -> Result<()> {
    let mut setting = Setting::new().await?;
    setting.user = setting.server.add_user("guest", &[], &[])?;
    let mut worker = setting.worker("w1", &["--once"])?;
    let status = worker.process.wait()?;
    assert_eq!(status.code(), Some(1), "{}", worker.log());
    assert!(worker.log().contains("ERROR"), "{}", worker.log());
    assert!(!worker.log().contains(&setting.user.key));
    Ok(())
}
