//! Analysis on create: create.md 3.1, SVC-12 to SVC-14, SVC-31.

use anyhow::Result;
use critd_tests::{Json, Server, json};

use crate::world::{add_yara, ended, found_as, results, sample, server, task};

/// Waits until there are so many tasks; their services and objects, by begin.
async fn tasks(server: &Server, count: usize) -> Result<Vec<(String, String)>> {
    for _ in 0..400 {
        let list = server
            .get("/api/v1/analysis_results/?limit=100")
            .await?
            .json();
        let found: Vec<(String, String)> = list["objects"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|task| {
                let text = |name: &str| task[name].as_str().unwrap_or_default().to_owned();
                (text("service_name"), text("object_id"))
            })
            .collect();
        if found.len() >= count {
            return Ok(found);
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    anyhow::bail!("there are not {count} tasks")
}

/// The same when no more can come: whatever was to be started was started by then.
async fn settled(server: &Server, count: usize) -> Result<()> {
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(server.count("analysis_results").await?, count as u64);
    Ok(())
}

async fn triaging(services: &[&str]) -> Result<Server> {
    let server = server().await?;
    add_yara(&server, &["--type", "Event", "--type", "Sample"])?;
    for service in services {
        server.cli(&["service", "triage", service, "on"])?;
    }
    Ok(server)
}

async fn event(server: &Server, title: &str) -> Result<Json> {
    let form = [
        ("title", title),
        ("event_type", "Phishing"),
        ("description", "d"),
        ("source", "Alpha"),
    ];
    let answer = server.post("/api/v1/events/", &form).await?;
    answer.created_id()?;
    Ok(answer.json())
}

#[tokio::test]
async fn svc_12_svc_14_a_new_object_is_analysed_by_all_that_are_on_and_fit() -> Result<()> {
    let server = triaging(&["yara", "picky", "probe"]).await?;
    let body = event(&server, "fine").await?;
    let ids: Vec<&str> = body["analysis_ids"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let found = tasks(&server, 3).await?;
    let mut names: Vec<&str> = found.iter().map(|(service, _)| service.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["picky", "probe", "yara"]);
    // What was started by then is told, in the order of names.
    let mut told = Vec::new();
    for id in &ids {
        told.push(
            task(&server, id).await?["service_name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        );
    }
    assert!(told.is_sorted(), "{told:?}");
    // One refuses, one breaks: the POST is answered as ever, the others run.
    for title in ["odd", "trap"] {
        let before = server.count("analysis_results").await? as usize;
        event(&server, title).await?;
        tasks(&server, before + 2).await?;
        settled(&server, before + 2).await?;
    }
    // Off is off.
    for service in ["probe", "picky"] {
        server.cli(&["service", "triage", service, "off"])?;
    }
    server.cli(&["service", "disable", "yara"])?;
    let before = server.count("analysis_results").await? as usize;
    let body = event(&server, "fine").await?;
    assert_eq!(body.get("analysis_ids"), None);
    settled(&server, before).await
}

#[tokio::test]
async fn triage_is_for_new_objects_and_for_files_without_any_result() -> Result<()> {
    let server = triaging(&[]).await?;
    let domain = [("domain", "a.example.com"), ("source", "Alpha")];
    sample(&server).await?;
    server
        .post("/api/v1/domains/", &domain)
        .await?
        .created_id()?;
    server.cli(&["service", "triage", "probe", "on"])?;
    server
        .post("/api/v1/domains/", &domain)
        .await?
        .created_id()?;
    settled(&server, 0).await?;
    let again = sample(&server).await?;
    assert_eq!(tasks(&server, 1).await?, [("probe".to_owned(), again)]);
    sample(&server).await?;
    settled(&server, 1).await
}

#[tokio::test]
async fn triage_of_objects_made_on_the_way_and_of_many_at_once() -> Result<()> {
    let server = triaging(&["probe"]).await?;
    // The root domain comes with it.
    let answer = server
        .post(
            "/api/v1/domains/",
            &[("domain", "www.example.com"), ("source", "Alpha")],
        )
        .await?;
    answer.created_id()?;
    let found = tasks(&server, 2).await?;
    assert_ne!(found[0].1, found[1].1);
    let objects: Json = (0..30)
        .map(|number| json!({"title": number.to_string(), "event_type": "Phishing", "description": "d", "source": "Alpha"}))
        .collect();
    let answer = server.post_json("/api/v1/events/?bulk=1", &objects).await?;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(tasks(&server, 32).await?.len(), 32);
    settled(&server, 32).await?;
    // Neither a dry run nor a refused POST starts anything.
    server
        .post(
            "/api/v1/events/?dry_run=1",
            &[
                ("title", "t"),
                ("event_type", "Phishing"),
                ("description", "d"),
                ("source", "Alpha"),
            ],
        )
        .await?;
    server.post("/api/v1/events/", &[("title", "t")]).await?;
    settled(&server, 32).await
}

/// An action that creates something creates it as a POST would.
#[tokio::test]
async fn triage_of_what_an_action_creates() -> Result<()> {
    let server = triaging(&[]).await?;
    let body = event(&server, "fine").await?;
    server.cli(&["service", "triage", "probe", "on"])?;
    let path = format!(
        "/api/v1/events/{}/",
        body["id"].as_str().unwrap_or_default()
    );
    let action = json!({
        "action": "add_object", "object_type": "Mutex", "value": "x", "source": "Alpha", "add_indicator": true,
    });
    let answer = server.patch(&path, &action).await?.json();
    assert_eq!(answer["return_code"], 0, "{answer:#}");
    let indicator = answer["object"]["indicator_id"]
        .as_str()
        .unwrap_or_default();
    assert_eq!(
        tasks(&server, 1).await?,
        [("probe".to_owned(), indicator.to_owned())]
    );
    settled(&server, 1).await
}

/// SVC-13: who posts what it may not read has it analysed all the same, and does not see the task.
#[tokio::test]
async fn svc_13_triage_asks_nobody_who_may_see_the_object() -> Result<()> {
    let server = triaging(&["picky"]).await?;
    let rights: &[&str] = &["--write"];
    let writer = server.add_user(
        "writer",
        &["Event.write", "Event.services_read"],
        &[("Alpha", rights)],
    )?;
    let form = [
        ("title", "blind"),
        ("event_type", "Phishing"),
        ("description", "d"),
        ("source", "Alpha"),
    ];
    server
        .post_as(&writer, "/api/v1/events/", &form)
        .await?
        .created_id()?;
    tasks(&server, 1).await?;
    let ids = found_as(&server, &critd_tests::admin(), "c-analyst=writer").await?;
    let task = ended(&server, &ids[0]).await?;
    assert_eq!(
        results(&task),
        [("title".into(), "blind".into())],
        "{task:#}"
    );
    assert!(found_as(&server, &writer, "").await?.is_empty());
    Ok(())
}

/// What a service makes is analysed in turn, but not without end.
#[tokio::test]
async fn svc_31_triage_stops_at_its_depth() -> Result<()> {
    for (depth, count) in [("2", 2), ("0", 0), ("3", 3)] {
        let server = triaging(&["breeder"]).await?;
        server.cli(&["set", &format!("triage_max_depth={depth}")])?;
        event(&server, "breed").await?;
        let found = tasks(&server, count).await?;
        assert!(found.iter().all(|(service, _)| service == "breeder"));
        settled(&server, count).await?;
    }
    Ok(())
}
