//! Tasks outlive the processes that work on them.

use anyhow::Result;
use critd_tests::{Server, is_embedded, json};

use crate::world::{
    ended, log, probe, results, run_on, server, server_with_yara, started, task, until,
};

const BEGUN_ANEW: &str = "Begun anew: the server that ran it has ended.";

async fn let_it_come(server: &Server) -> Result<()> {
    let form = [("domain", "found.example.com"), ("source", "Alpha")];
    server.post("/api/v1/domains/", &form).await?.created_id()?;
    Ok(())
}

async fn is_running(server: &Server, id: &str) -> Result<()> {
    let has_results =
        |task: &critd_tests::Json| !task["results"].as_array().is_some_and(Vec::is_empty);
    until(server, id, has_results).await.map(drop)
}

#[tokio::test]
async fn svc_10_a_task_survives_kill_9_of_the_server() -> Result<()> {
    let mut server = server().await?;
    server.cli(&["set", "services_at_once=1"])?;
    let event = server.event("e").await?;
    let runs = probe(&server, &event, "wait").await?;
    is_running(&server, &runs).await?;
    let waits = probe(&server, &event, "find").await?;
    server.kill()?;
    server.run().await?;
    let_it_come(&server).await?;
    let task = ended(&server, &runs).await?;
    assert_eq!(task["status"], "completed", "{task:#}");
    assert!(
        log(&task).contains(&("warning".to_owned(), BEGUN_ANEW.to_owned())),
        "{task:#}"
    );
    // What the first run had found is there once.
    assert_eq!(results(&task).len(), 1, "{task:#}");
    let task = ended(&server, &waits).await?;
    assert_eq!((results(&task).len(), log(&task).len()), (3, 4), "{task:#}");
    Ok(())
}

/// A server that is stopped gives its tasks back, and that is no attempt.
#[tokio::test]
async fn a_stop_puts_tasks_back() -> Result<()> {
    let mut server = server().await?;
    let event = server.event("e").await?;
    let id = probe(&server, &event, "wait").await?;
    for _ in 0..4 {
        is_running(&server, &id).await?;
        assert_eq!(server.stop().await?, Some(0));
        server.run().await?;
    }
    let_it_come(&server).await?;
    let task = ended(&server, &id).await?;
    assert_eq!(
        (&task["status"], results(&task).len()),
        (&json!("completed"), 1),
        "{task:#}"
    );
    assert!(
        !log(&task).iter().any(|(_, text)| text == BEGUN_ANEW),
        "{task:#}"
    );
    Ok(())
}

/// A task over which one server after the other ends is given up.
#[tokio::test]
async fn a_task_that_outlives_too_many_servers_is_given_up() -> Result<()> {
    let mut server = server().await?;
    let event = server.event("e").await?;
    let id = probe(&server, &event, "wait").await?;
    for attempt in 1..=3 {
        until(&server, &id, |task| {
            let begun = log(task)
                .iter()
                .filter(|(_, text)| text == BEGUN_ANEW)
                .count();
            begun + 1 == attempt && !task["results"].as_array().is_some_and(Vec::is_empty)
        })
        .await?;
        server.kill()?;
        server.run().await?;
    }
    let task = ended(&server, &id).await?;
    assert_eq!(task["status"], "error");
    assert_eq!(
        log(&task).last().map(|(_, text)| text.as_str()),
        Some("The server ended 3 times while it ran.")
    );
    Ok(())
}

/// Several processes on one database: a task is run by one of them, and taken over when that one has ended.
#[tokio::test]
async fn of_several_servers_one_runs_a_task_and_another_takes_it_over() -> Result<()> {
    if is_embedded() {
        return Ok(());
    }
    let mut first = crate::world::prepared()?;
    first.run().await?;
    first.cli(&["service", "enable", "probe"])?;
    let event = first.event("e").await?;
    let id = probe(&first, &event, "wait").await?;
    is_running(&first, &id).await?;
    let second = beside(&first).await?;
    let mut others = Vec::new();
    for _ in 0..12 {
        others.push(probe(&second, &event, "find").await?);
    }
    for other in &others {
        let task = ended(&second, other).await?;
        assert_eq!((results(&task).len(), log(&task).len()), (3, 4), "{task:#}");
    }
    first.kill()?;
    let_it_come(&second).await?;
    let task = ended(&second, &id).await?;
    assert_eq!(
        (&task["status"], results(&task).len()),
        (&json!("completed"), 1),
        "{task:#}"
    );
    assert!(
        log(&task).contains(&("warning".to_owned(), BEGUN_ANEW.to_owned())),
        "{task:#}"
    );
    Ok(())
}

/// A second server on the same database, with the same plugins.
async fn beside(first: &Server) -> Result<Server> {
    let mut second = first.beside().await?;
    second.stop().await?;
    second.add_guest("analyst", "grants = [\"create:Domain\", \"create:Event\"]")?;
    second.run().await?;
    first.cli(&["service", "enable", "probe"])?;
    Ok(second)
}

/// Tasks of workers are in the store alone: the server's end does not end a lease.
#[tokio::test]
async fn svc_27_leases_survive_kill_9_of_the_server() -> Result<()> {
    let mut server = server_with_yara(&[]).await?;
    let event = server.event("e").await?;
    let id = started(&run_on(&server, &event, "yara", &json!({})).await?)?;
    let body = json!({"service_name": "yara", "worker": "w"});
    let claimed = server
        .post_json("/api/v1/analysis_results/", &body)
        .await?
        .json();
    server.kill()?;
    server.run().await?;
    assert_eq!(task(&server, &id).await?["lease"]["worker"], "w");
    let token = claimed["lease_token"].as_str().unwrap_or_default();
    let form = [
        ("object_type", "Event"),
        ("object_id", event.as_str()),
        ("analysis_id", id.as_str()),
        ("finish", "1"),
        ("lease_token", token),
    ];
    server
        .post("/api/v1/services/", &form)
        .await?
        .created_id()?;
    assert_eq!(task(&server, &id).await?["status"], "completed");
    Ok(())
}
