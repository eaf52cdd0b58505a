//! Services of plugins while they run: limits, cancellation, what they may change (SVC-13, SVC-15).

use anyhow::Result;
use critd_tests::{admin, json};

use crate::world::{
    ended, found_as, log, patch_event, prepared, probe, results, run_on, sample, server, started,
    task, until,
};

#[tokio::test]
async fn a_service_that_never_ends_is_ended_at_its_deadline() -> Result<()> {
    let server = server().await?;
    let event = server.event("e").await?;
    let answer = run_on(&server, &event, "impatient", &json!({"wait": 30})).await?;
    let task = ended(&server, &started(&answer)?).await?;
    assert_eq!(task["status"], "error");
    assert_eq!(results(&task), [("before".into(), "kept".into())]);
    let said = "Error running service: the plugin `analyst` ran longer than 300 ms";
    assert_eq!(
        log(&task).last(),
        Some(&("error".to_owned(), said.to_owned()))
    );
    Ok(())
}

#[tokio::test]
async fn the_operator_limits_services_apart_from_handlers() -> Result<()> {
    let mut server = prepared()?;
    let manifest = server.folder().join("plugin-manifest.toml");
    let text = std::fs::read_to_string(&manifest)?;
    let limited = text.replace(
        "[plugins.analyst]",
        "[plugins.analyst]\nservice_limits = { time_ms = 400 }",
    );
    std::fs::write(&manifest, limited)?;
    server.run().await?;
    server.cli(&["service", "enable", "probe"])?;
    let event = server.event("e").await?;
    let id = probe(&server, &event, "loop").await?;
    let task = ended(&server, &id).await?;
    assert!(
        log(&task)
            .iter()
            .any(|(_, text)| text.contains("longer than 400 ms")),
        "{task:#}"
    );
    Ok(())
}

#[tokio::test]
async fn svc_21_a_cancelled_run_is_told_and_one_that_does_not_heed_is_ended() -> Result<()> {
    let server = server().await?;
    let event = server.event("e").await?;
    let cancel = json!({"action": "cancel_task"});
    let heeds = probe(&server, &event, "wait").await?;
    let loops = probe(&server, &event, "loop").await?;
    until(&server, &heeds, |task| {
        !task["results"].as_array().is_some_and(Vec::is_empty)
    })
    .await?;
    for id in [&heeds, &loops] {
        let path = format!("/api/v1/analysis_results/{id}/");
        let answer = server.patch(&path, &cancel).await?;
        assert_eq!(answer.json()["return_code"], 0, "{}", answer.text);
        assert_eq!(task(&server, id).await?["status"], "error");
    }
    let shown = until(&server, &heeds, |task| {
        log(task).iter().any(|(_, text)| text == "heeded")
    })
    .await?;
    assert_eq!(shown["status"], "error");
    assert!(log(&shown).contains(&("error".to_owned(), "Cancelled by admin.".to_owned())));
    // The place of the one that does not heed is free again: with one at a time another one runs.
    server.cli(&["set", "services_at_once=1"])?;
    let next = probe(&server, &event, "find").await?;
    assert_eq!(ended(&server, &next).await?["status"], "completed");
    Ok(())
}

#[tokio::test]
async fn so_many_run_at_once_and_the_others_wait() -> Result<()> {
    let server = server().await?;
    server.cli(&["set", "services_at_once=1"])?;
    let event = server.event("e").await?;
    let first = probe(&server, &event, "wait").await?;
    until(&server, &first, |task| {
        !task["results"].as_array().is_some_and(Vec::is_empty)
    })
    .await?;
    let second = probe(&server, &event, "find").await?;
    let waiting = run_on(&server, &event, "probe", &json!({"wait": 1})).await?;
    assert_eq!(waiting.json()["object"]["status"], "started");
    assert_eq!(task(&server, &second).await?["results"], json!([]));
    server
        .post(
            "/api/v1/domains/",
            &[("domain", "found.example.com"), ("source", "Alpha")],
        )
        .await?
        .created_id()?;
    for id in [first, second, started(&waiting)?] {
        assert_eq!(ended(&server, &id).await?["status"], "completed");
    }
    Ok(())
}

#[tokio::test]
async fn svc_15_what_a_service_makes_is_its_analysts_and_stays_when_it_fails() -> Result<()> {
    let server = server().await?;
    let rights: &[&str] = &["--read", "--write", "--tlp", "red,amber,green"];
    let flags = [
        "Event.services_execute",
        "Event.services_read",
        "Domain.write",
        "Domain.read",
    ];
    let analyst = server.add_user("analyst", &flags, &[("Alpha", rights)])?;
    let event = server.event("e").await?;
    let body = json!({"action": "run_service", "name": "probe", "custom_config": {"task": "create"}, "wait": 30});
    let id = started(&patch_event(&server, &analyst, &event, &body).await?)?;
    let task = ended(&server, &id).await?;
    assert_eq!(
        (&task["status"], &task["analyst"]),
        (&json!("error"), &json!("analyst"))
    );
    assert_eq!(
        task["results"],
        json!([{"user": "analyst", "subtype": "domain", "result": "found.example.com"}]),
        "{task:#}"
    );
    let domains = server
        .get("/api/v1/domains/?c-domain=found.example.com")
        .await?
        .json();
    let domain = &domains["objects"][0];
    assert_eq!(domain["source"][0]["instances"][0]["analyst"], "analyst");
    let related = server.document("events", &event).await?;
    assert_eq!(
        related["relationships"][0]["value"], domain["_id"],
        "{related:#}"
    );
    assert_eq!(related["relationships"][0]["analyst"], "analyst");
    // Who may not create domains does not by way of a service.
    let weak = server.add_user("weak", &["Event.services_execute"], &[("Alpha", rights)])?;
    let mut body = body.clone();
    body["custom_config"]["name"] = json!("other.example.com");
    let id = started(&patch_event(&server, &weak, &event, &body).await?)?;
    let task = ended(&server, &id).await?;
    assert!(
        log(&task)
            .iter()
            .any(|(_, text)| text.contains("User does not have permission to create Object.")),
        "{task:#}"
    );
    assert_eq!(
        server
            .get("/api/v1/domains/?c-domain=other.example.com")
            .await?
            .json()["meta"]["total_count"],
        0
    );
    Ok(())
}

#[tokio::test]
async fn services_read_documents_and_change_none_but_by_what_they_declare() -> Result<()> {
    let server = server().await?;
    let event = server.event("e").await?;
    let before = server.document("events", &event).await?;
    let task = ended(&server, &probe(&server, &event, "write").await?).await?;
    assert_eq!(
        results(&task),
        [
            ("write".into(), "refused".into()),
            ("undeclared".into(), "refused".into())
        ],
        "{task:#}"
    );
    assert_eq!(server.document("events", &event).await?, before);
    assert_eq!(server.count("ips").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_flood_of_results_ends_at_what_a_task_can_hold() -> Result<()> {
    let server = server().await?;
    let event = server.event("e").await?;
    let task = ended(&server, &probe(&server, &event, "flood").await?).await?;
    assert_eq!(task["status"], "error");
    let said = "Error running service: The task has as many results and lines as it can have.";
    assert_eq!(log(&task).last().map(|(_, text)| text.as_str()), Some(said));
    assert!(results(&task).len() > 100);
    Ok(())
}

#[tokio::test]
async fn a_service_reads_the_file_of_its_object() -> Result<()> {
    let server = server().await?;
    let sample = sample(&server).await?;
    // Without `Sample.download`: what the service says of the file is the operator's business.
    let rights: &[&str] = &["--read", "--tlp", "red,amber,green"];
    let user = server.add_user(
        "u",
        &["Sample.services_execute", "Sample.services_read"],
        &[("Alpha", rights)],
    )?;
    let body = json!({"action": "run_service", "name": "reads_file", "wait": 30});
    let path = format!("/api/v1/samples/{sample}/");
    let id = started(&server.patch_as(&user, &path, &body).await?)?;
    assert_eq!(
        results(&ended(&server, &id).await?),
        [("size".into(), "11".into())]
    );
    assert_eq!(found_as(&server, &user, "").await?, [id]);
    Ok(())
}

/// A user who is locked out while the task waits acts no more.
#[tokio::test]
async fn a_task_of_a_locked_out_user_does_not_run() -> Result<()> {
    let server = server().await?;
    server.cli(&["set", "services_at_once=1"])?;
    let event = server.event("e").await?;
    let first = probe(&server, &event, "wait").await?;
    let rights: &[&str] = &["--read", "--tlp", "red,amber,green"];
    let user = server.add_user("gone", &["Event.services_execute"], &[("Alpha", rights)])?;
    let body = json!({"action": "run_service", "name": "probe"});
    let id = started(&patch_event(&server, &user, &event, &body).await?)?;
    server.cli(&["user", "deactivate", "gone"])?;
    let cancel = json!({"action": "cancel_task"});
    server
        .patch(&format!("/api/v1/analysis_results/{first}/"), &cancel)
        .await?;
    let task = ended(&server, &id).await?;
    assert_eq!(
        log(&task).last().map(|(_, text)| text.as_str()),
        Some("Error running service: The user gone is not active.")
    );
    assert_eq!(
        found_as(&server, &admin(), "c-status=completed")
            .await?
            .len(),
        0
    );
    Ok(())
}

#[tokio::test]
async fn a_run_ends_on_the_set_of_plugins_it_began_with() -> Result<()> {
    let server = server().await?;
    let event = server.event("e").await?;
    let id = probe(&server, &event, "wait").await?;
    until(&server, &id, |task| {
        !task["results"].as_array().is_some_and(Vec::is_empty)
    })
    .await?;
    let manifest = server.folder().join("plugin-manifest.toml");
    let text = std::fs::read_to_string(&manifest)?;
    std::fs::write(
        &manifest,
        text.replace("[plugins.analyst]", "[plugins.analyst]\nenabled = false"),
    )?;
    for _ in 0..400 {
        if server
            .cli(&["service", "show", "probe"])?
            .contains("unavailable")
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    server
        .post(
            "/api/v1/domains/",
            &[("domain", "found.example.com"), ("source", "Alpha")],
        )
        .await?
        .created_id()?;
    let task = ended(&server, &id).await?;
    assert_eq!(task["status"], "completed", "{task:#}");
    Ok(())
}
