//! What survives: `kill -9` under writers, restarts, failed requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use critd_tests::{ADMIN_KEY, Json, Server, json};

/// RL-1: 20 × `kill -9` under 64 writing clients. Every acknowledged write is there, none is half: each domain POST
/// makes a root, a host and their relationship on both sides; each ticket an entry of an event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rl1_kill_under_64_writers_loses_nothing_acknowledged() -> Result<()> {
    let mut server = Server::start().await?;
    let event = server.event("tickets").await?;
    let mut tickets: Vec<String> = Vec::new();
    let mut hosts: Vec<String> = Vec::new();
    for round in 0..20 {
        let stop = Arc::new(AtomicBool::new(false));
        let through = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let mut writers = Vec::new();
        for writer in 0..64 {
            let (client, url, event, stop, through) = (
                server.client().clone(),
                server.url(),
                event.clone(),
                stop.clone(),
                through.clone(),
            );
            writers.push(tokio::spawn(async move {
                let (mut tickets, mut hosts) = (Vec::new(), Vec::new());
                for turn in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let name = format!("{round}-{writer}-{turn}");
                    let query = format!("username=admin&api_key={ADMIN_KEY}");
                    let request = if writer % 2 == 0 {
                        let body =
                            json!({"action": "ticket_add", "ticket": {"ticket_number": name}});
                        client
                            .patch(format!("{url}/api/v1/events/{event}/?{query}"))
                            .json(&body)
                    } else {
                        let host = format!("h{name}.r{writer}.com");
                        client
                            .post(format!("{url}/api/v1/domains/?{query}"))
                            .form(&[("domain", host.as_str()), ("source", "Alpha")])
                    };
                    // A refused connection or a cut answer is no acknowledgement; neither is a 503.
                    let Ok(response) = request.send().await else {
                        break;
                    };
                    let Ok(answer) = response.json::<Json>().await else {
                        break;
                    };
                    if answer["return_code"] == 0 {
                        through[writer % 2].fetch_add(1, Ordering::Relaxed);
                        if writer % 2 == 0 {
                            tickets.push(name)
                        } else {
                            hosts.push(format!("h{name}.r{writer}.com"))
                        }
                    }
                }
                (tickets, hosts)
            }));
        }
        tokio::time::sleep(Duration::from_millis(150 + round * 20)).await;
        // On MongoDB, what the killed server had begun is in the way for a few seconds.
        for _ in 0..2_000 {
            if through
                .iter()
                .all(|count| count.load(Ordering::Relaxed) > 0)
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.kill()?;
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            let (new_tickets, new_hosts) = writer.await?;
            tickets.extend(new_tickets);
            hosts.extend(new_hosts);
        }
        server
            .run()
            .await
            .with_context(|| format!("round {round}"))?;
    }
    assert!(
        tickets.len() > 20 && hosts.len() > 20,
        "the writers got through: {} tickets, {} hosts",
        tickets.len(),
        hosts.len()
    );

    let stored = server
        .get(&format!("/api/v1/events/{event}/"))
        .await?
        .json();
    let stored: std::collections::HashSet<String> = stored["tickets"]
        .as_array()
        .context("tickets")?
        .iter()
        .filter_map(|t| t["ticket_number"].as_str().map(String::from))
        .collect();
    let lost: Vec<_> = tickets
        .iter()
        .filter(|ticket| !stored.contains(*ticket))
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");

    let domains = all(&server, "domains").await?;
    let by_id: std::collections::HashMap<&str, &Json> = domains
        .iter()
        .filter_map(|d| Some((d["_id"].as_str()?, d)))
        .collect();
    let names: std::collections::HashSet<&str> = domains
        .iter()
        .filter_map(|d| d["domain"].as_str())
        .collect();
    let lost: Vec<_> = hosts
        .iter()
        .filter(|host| !names.contains(host.as_str()))
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert_eq!(names.len(), domains.len(), "no name twice");
    for domain in &domains {
        assert!(
            domain["source"][0]["instances"]
                .as_array()
                .is_some_and(|i| !i.is_empty()),
            "half a document: {domain}"
        );
        let relationships = domain["relationships"]
            .as_array()
            .context("relationships")?;
        assert!(
            !relationships.is_empty(),
            "a host without root or a root without host: {domain}"
        );
        for relationship in relationships {
            let partner = by_id
                .get(relationship["value"].as_str().unwrap_or_default())
                .with_context(|| format!("one-sided: {domain}"))?;
            let back = partner["relationships"]
                .as_array()
                .context("relationships")?
                .iter()
                .any(|r| r["value"] == domain["_id"]);
            assert!(back, "one-sided: {domain}");
        }
    }
    Ok(())
}

/// All documents of a resource, page by page.
async fn all(server: &Server, resource: &str) -> Result<Vec<Json>> {
    let mut found = Vec::new();
    let mut path = format!("/api/v1/{resource}/?limit=1000&username=admin&api_key={ADMIN_KEY}");
    loop {
        let answer = server
            .send(server.client().get(format!("{}{path}", server.url())))
            .await?;
        let page = answer.json();
        found.extend(
            page["objects"]
                .as_array()
                .with_context(|| answer.text.clone())?
                .iter()
                .cloned(),
        );
        match page["meta"]["next"].as_str() {
            Some(next) => path = next.to_owned(),
            None => return Ok(found),
        }
    }
}

/// A POST that fails after half its work stores nothing: the address of `add_ip` is refused after the domain's own
/// checks; the caller may write the domain's source but not the address's.
#[tokio::test]
async fn create_3_2_a_failed_post_stores_nothing() -> Result<()> {
    let server = Server::start().await?;
    let user = server.add_user(
        "half",
        &["Domain.read", "Domain.write", "IP.write", "IP.read"],
        &[("Alpha", &["--read", "--write", "--tlp", "red,amber,green"])],
    )?;
    let base = [
        ("domain", "www.half-done.com"),
        ("source", "Alpha"),
        ("add_ip", "1"),
        ("ip_type", "IPv4 Address"),
    ];
    let rows: [&[(&str, &str)]; 4] = [
        &[("ip", "10.0.0.256"), ("same_source", "1")],
        &[("ip", "10.0.0.1"), ("ip_source", "Beta")],
        &[
            ("ip", "10.0.0.1"),
            ("same_source", "1"),
            ("add_indicators", "1"),
        ], // no Indicator.write
        &[
            ("ip", "10.0.0.1"),
            ("same_source", "1"),
            ("confidence", "certain"),
            ("campaign", "X"),
        ],
    ];
    for row in rows {
        let form: Vec<(&str, &str)> = base.iter().chain(row.iter()).copied().collect();
        let answer = server.post_as(&user, "/api/v1/domains/", &form).await?;
        assert_eq!(
            (answer.status, &answer.json()["return_code"]),
            (200, &json!(1)),
            "{}",
            answer.text
        );
        assert!(
            !answer.json()["message"]
                .as_str()
                .unwrap_or_default()
                .is_empty()
        );
    }
    for resource in ["domains", "ips", "indicators"] {
        assert_eq!(server.count(resource).await?, 0, "{resource}");
    }
    Ok(())
}

/// Stopping is clean and nothing is lost over a restart; a second server on the same store is refused (RL-6).
#[tokio::test]
async fn rl6_restart_keeps_everything_and_a_second_server_is_refused() -> Result<()> {
    let mut server = Server::start().await?;
    let event = server.event("kept").await?;
    let path = format!("/api/v1/events/{event}/");
    let before = server.get(&path).await?.text;
    let second = server.cli_output(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--plugins",
        &server.folder().join("plugins").display().to_string(),
        "--manifest",
        &server
            .folder()
            .join("plugin-manifest.toml")
            .display()
            .to_string(),
    ])?;
    assert_eq!(
        second.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&second.stderr)
    );
    assert!(
        String::from_utf8_lossy(&second.stderr).contains("another critd serves"),
        "{}",
        String::from_utf8_lossy(&second.stderr)
    );
    assert_eq!(server.stop().await?, Some(0));
    server.run().await?;
    assert_eq!(server.get(&path).await?.text, before);
    Ok(())
}
