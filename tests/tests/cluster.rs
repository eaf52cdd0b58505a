//! Several servers on one MongoDB database: none of them knows anything that the others don't.

use anyhow::{Context, Result, ensure};
use critd_tests::{Json, Server, database, json};

/// A server on a database of the test's own, whatever the store of other tests is.
async fn first(name: &str) -> Result<Server> {
    let name = format!("critd_test_{}_{name}", std::process::id());
    let mut server = Server::prepare_on(&database(&name)?)?;
    server.run().await?;
    Ok(server)
}

#[tokio::test]
async fn what_one_server_stores_the_other_answers_at_once() -> Result<()> {
    let one = first("answers").await?;
    let two = one.beside().await?;
    for turn in 0..20 {
        let name = format!("h{turn}.example.com");
        let (writes, reads) = if turn % 2 == 0 {
            (&one, &two)
        } else {
            (&two, &one)
        };
        let form = [("domain", name.as_str()), ("source", "Alpha")];
        let id = writes.post("/api/v1/domains/", &form).await?.created_id()?;
        let read = reads.document("domains", &id).await?;
        ensure!(read["domain"] == name.as_str(), "{read}");
        let list = reads
            .get(&format!("/api/v1/domains/?c-domain={name}"))
            .await?
            .json();
        ensure!(list["meta"]["total_count"] == 1, "{list}");
    }
    // 20 hosts and their root, which both servers have added to.
    ensure!(one.count("domains").await? == 21);
    ensure!(two.count("domains").await? == 21);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_two_servers_lose_nothing() -> Result<()> {
    let one = first("writers").await?;
    let two = one.beside().await?;
    let event = one.event("both").await?;
    let work = async |server: &Server, name: &str| -> Result<usize> {
        let mut stored = 0;
        while stored < 40 {
            let body = json!({"action": "ticket_add", "ticket": {"ticket_number": format!("{name}{stored}")}});
            let answer = server
                .patch(&format!("/api/v1/events/{event}/"), &body)
                .await?;
            // Two that met too often are told to come again.
            if answer.status == 503 {
                continue;
            }
            ensure!(answer.json()["return_code"] == 0, "{}", answer.text);
            stored += 1;
        }
        Ok(stored)
    };
    let (first, second) = tokio::join!(work(&one, "a"), work(&two, "b"));
    ensure!(first? + second? == 80);
    let document = two.document("events", &event).await?;
    let tickets: std::collections::HashSet<&str> = document["tickets"]
        .as_array()
        .context("tickets")?
        .iter()
        .filter_map(|ticket| ticket["ticket_number"].as_str())
        .collect();
    ensure!(tickets.len() == 80, "{} tickets", tickets.len());
    Ok(())
}

/// Settings, keys and roles reach all servers with the next request.
#[tokio::test]
async fn k10_changes_of_rights_and_settings_reach_every_server() -> Result<()> {
    let one = first("rights").await?;
    let two = one.beside().await?;
    let user = one.add_user(
        "reader",
        &["Event.read"],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let event = one.event("seen").await?;
    let path = format!("/api/v1/events/{event}/");
    let both = async |status: u16| -> Result<()> {
        for server in [&one, &two] {
            let answer = server.get_as(&user, &path).await?;
            ensure!(answer.status == status, "{} {}", answer.status, answer.text);
        }
        Ok(())
    };
    both(200).await?;
    one.cli(&["role", "revoke", "role-reader", "Event.read"])?;
    both(403).await?;
    two.cli(&["role", "grant", "role-reader", "Event.read"])?;
    both(200).await?;
    one.cli(&["set", "api_limit_per_page=1"])?;
    for server in [&one, &two] {
        let list: Json = server.get("/api/v1/events/").await?.json();
        ensure!(list["meta"]["limit"] == 1, "{list}");
    }
    two.cli(&["key", "revoke", "reader", "default"])?;
    both(401).await
}
