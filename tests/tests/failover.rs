//! A replica set loses its primary under load: what was acknowledged is there, what was not is said to be not, and it
//! goes on.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use critd_mongod::ReplicaSet;
use critd_tests::{ADMIN_KEY, Json, Server, json};

const WRITERS: usize = 64;

/// What the writers saw.
#[derive(Default)]
struct Seen {
    acknowledged: AtomicUsize,
    unavailable: AtomicUsize,
    after_the_kill: AtomicUsize,
    killed: AtomicBool,
    stop: AtomicBool,
}

/// One writer: hosts and tickets in turn, until told to stop. Names of what was acknowledged.
async fn write(
    client: reqwest::Client,
    url: String,
    event: String,
    writer: usize,
    seen: Arc<Seen>,
) -> Result<Vec<String>> {
    let query = format!("username=admin&api_key={ADMIN_KEY}");
    let mut acknowledged = Vec::new();
    for turn in 0.. {
        if seen.stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("h{turn}.w{writer}.com");
        let request = if writer.is_multiple_of(2) {
            let body = json!({"action": "ticket_add", "ticket": {"ticket_number": name}});
            client
                .patch(format!("{url}/api/v1/events/{event}/?{query}"))
                .json(&body)
        } else {
            client
                .post(format!("{url}/api/v1/indicators/?{query}"))
                .form(&[
                    ("type", "Domain"),
                    ("value", name.as_str()),
                    ("source", "Alpha"),
                ])
        };
        // The client gives up after a minute: a pause that long is none that clients would bear.
        let response = request.send().await.context("a request found no answer")?;
        let status = response.status().as_u16();
        let waits = response.headers().contains_key("retry-after");
        let text = response.text().await?;
        match status {
            200 => {
                let body: Json = serde_json::from_str(&text)?;
                ensure!(body["return_code"] == 0, "{text}");
                acknowledged.push(name);
                seen.acknowledged.fetch_add(1, Ordering::Relaxed);
                if seen.killed.load(Ordering::Relaxed) {
                    seen.after_the_kill.fetch_add(1, Ordering::Relaxed);
                }
            }
            503 if waits => {
                seen.unavailable.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            _ => bail!("{status}: {text}"),
        }
    }
    Ok(acknowledged)
}

fn program() -> Result<String> {
    std::env::var("CRITD_TEST_MONGOD").context(
        "this test needs a mongod: run it with `cargo xtask test`, which finds one and sets CRITD_TEST_MONGOD",
    )
}

fn signal(process: u32, name: &str) -> Result<()> {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(process.to_string())
        .status()?;
    ensure!(sent.success(), "kill failed");
    Ok(())
}

/// Whatever a request waits for in the database, the plugin of a nested create included, is no fault of the server's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rl4_a_database_that_answers_nothing_is_503_and_passes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let set = ReplicaSet::start(Path::new(&program()?), folder.path(), 1)?;
    let mut server = Server::prepare_on(&set.url().replace("/?", "/critd?"))?;
    server.run().await?;
    let event = server.event("stopped").await?;
    let hosts: Vec<String> = (0..20)
        .map(|number| format!("www.host{number}.example{number}.com"))
        .collect();
    let forms: Vec<_> = hosts
        .iter()
        .map(|host| [("domain", host.as_str()), ("source", "Alpha")])
        .collect();
    let ticket = json!({"action": "ticket_add", "ticket": {"ticket_number": "1"}});
    let path = format!("/api/v1/events/{event}/");

    let mongod = set.process_id(0).context("a process")?;
    let posts =
        futures_util::future::join_all(forms.iter().enumerate().map(async |(number, form)| {
            // Some are on their way already, and get stuck at all sorts of places.
            tokio::time::sleep(Duration::from_millis(10 * number as u64)).await;
            server.post("/api/v1/domains/", form).await
        }));
    let rest = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        signal(mongod, "STOP")?;
        let answers = tokio::join!(server.patch(&path, &ticket), server.get(&path));
        Ok::<_, anyhow::Error>([answers.0?, answers.1?])
    };
    let (posts, rest) = tokio::join!(posts, rest);
    signal(mongod, "CONT")?;
    let rest = rest?;
    let mut unavailable = 0;
    let mut acknowledged = Vec::new();
    for (host, answer) in hosts.iter().zip(posts) {
        let answer = answer?;
        match answer.status {
            200 => acknowledged.push(host),
            503 => unavailable += 1,
            _ => bail!("{}: {}\n{}", answer.status, answer.text, server.log()),
        }
    }
    ensure!(unavailable > 0, "the database was stopped too late");
    for answer in &rest {
        ensure!(
            answer.status == 503 && answer.header("retry-after").is_some(),
            "{}: {}",
            answer.status,
            answer.text
        );
    }
    // Nothing has to be started again.
    for _ in 0..100 {
        if server.patch(&path, &ticket).await?.status == 200 {
            for host in acknowledged {
                let path = format!("/api/v1/domains/?c-domain={host}");
                let list = server.get(&path).await?.json();
                ensure!(list["meta"]["total_count"] == 1, "{host}: {list}");
            }
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("no write succeeds after the pause:\n{}", server.log())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rl1_a_lost_primary_under_64_writers_loses_nothing_acknowledged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut set = ReplicaSet::start(Path::new(&program()?), folder.path(), 3)?;
    let url = set.url().replace("/?", "/critd?");
    let mut server = Server::prepare_on(&url)?;
    server.run().await?;
    let event = server.event("failover").await?;

    let seen = Arc::new(Seen::default());
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            tokio::spawn(write(
                server.client().clone(),
                server.url(),
                event.clone(),
                writer,
                Arc::clone(&seen),
            ))
        })
        .collect();
    let wait_for =
        async |count: &AtomicUsize, least: usize, writers: &[tokio::task::JoinHandle<_>]| {
            while count.load(Ordering::Relaxed) < least
                && !writers.iter().any(|writer| writer.is_finished())
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
    wait_for(&seen.acknowledged, 200, &writers).await;
    let primary = set.primary().context("a primary")?;
    set.kill(primary)?;
    seen.killed.store(true, Ordering::Relaxed);
    // What was on its way may still be answered; so many can't all have been.
    wait_for(&seen.after_the_kill, 5 * WRITERS, &writers).await;
    seen.stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.push(writer.await?.with_context(|| server.log())?);
    }
    ensure!(
        set.primary().is_some_and(|node| node != primary),
        "another node took over"
    );
    // The old primary comes back and follows.
    set.restart(primary)?;

    let document = server.document("events", &event).await?;
    let tickets: HashSet<&str> = document["tickets"]
        .as_array()
        .context("tickets")?
        .iter()
        .filter_map(|ticket| ticket["ticket_number"].as_str())
        .collect();
    let total = server.count("indicators").await?;
    let mut values = HashSet::new();
    for offset in (0..total).step_by(1_000) {
        let path = format!("/api/v1/indicators/?limit=1000&offset={offset}&only=value");
        let page = server.get(&path).await?.json();
        for indicator in page["objects"]
            .as_array()
            .with_context(|| format!("{page}"))?
        {
            values.extend(indicator["value"].as_str().map(str::to_owned));
        }
    }
    ensure!(values.len() as u64 == total, "no value twice");
    for (writer, names) in acknowledged.iter().enumerate() {
        for name in names {
            let is_stored = match writer % 2 {
                0 => tickets.contains(name.as_str()),
                _ => values.contains(name),
            };
            ensure!(is_stored, "{name} was acknowledged and is lost");
        }
    }

    // Two of three nodes are gone: whoever comes now is told what is missing.
    set.kill(set.primary().context("a primary")?)?;
    set.kill(primary)?;
    let output = server.cli_output(&["source", "list"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(1)
            && said.contains("the replica set at 127.0.0.1:")
            && said.contains(" has no primary at the moment"),
        "{said}"
    );
    println!(
        "{} writes acknowledged, {} of them after the primary was killed; {} answers of 503",
        seen.acknowledged.load(Ordering::Relaxed),
        seen.after_the_kill.load(Ordering::Relaxed),
        seen.unavailable.load(Ordering::Relaxed),
    );
    Ok(())
}
