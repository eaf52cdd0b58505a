//! Claims, leases, releases, cancellation: SVC-20 to SVC-30.

use std::time::Duration;

use anyhow::{Context as _, Result};
use critd_tests::{Answer, Json, Server, admin, json};

use crate::world::{log, refused, run_on, server_with_yara, started, task, until};

async fn patch(server: &Server, id: &str, body: &Json) -> Result<Answer> {
    let path = format!("/api/v1/analysis_results/{id}/");
    server.patch_as(&admin(), &path, body).await
}

async fn claim(server: &Server, id: &str, worker: &str) -> Result<Answer> {
    patch(
        server,
        id,
        &json!({"action": "claim_task", "worker": worker}),
    )
    .await
}

async fn claim_next(server: &Server, worker: &str) -> Result<Json> {
    let body = json!({"service_name": "yara", "worker": worker});
    let answer = server.post_json("/api/v1/analysis_results/", &body).await?;
    anyhow::ensure!(answer.status == 200, "{} {}", answer.status, answer.text);
    Ok(answer.json())
}

fn token(answer: &Answer) -> Result<String> {
    let body = answer.json();
    let token = body["object"]["lease_token"].as_str();
    token
        .map(str::to_owned)
        .with_context(|| format!("no token: {}", answer.text))
}

/// A task of `yara` on a new event: the event and the task.
async fn pending(server: &Server) -> Result<(String, String)> {
    let event = server.event("e").await?;
    let id = started(&run_on(server, &event, "yara", &json!({})).await?)?;
    Ok((event, id))
}

async fn report(server: &Server, event: &str, id: &str, form: &[(&str, &str)]) -> Result<Answer> {
    let mut whole = vec![
        ("object_type", "Event"),
        ("object_id", event),
        ("analysis_id", id),
    ];
    whole.extend(form);
    server.post("/api/v1/services/", &whole).await
}

/// Makes a lease as short as leases are, and waits until the server finds that it has run out.
async fn let_run_out(server: &Server, id: &str, token: &str) -> Result<()> {
    let body = json!({"action": "renew_lease", "lease_token": token, "lease_seconds": 10});
    patch(server, id, &body).await?;
    until(server, id, |task| task["lease"].is_null())
        .await
        .map(drop)
}

#[tokio::test]
async fn svc_20_svc_29_the_oldest_task_is_handed_out_first() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(pending(&server).await?.1);
    }
    for id in &ids {
        let body = claim_next(&server, "w1").await?;
        assert_eq!(body["analysis_id"], json!(id));
        let shown = task(&server, id).await?;
        let expected = json!({
            "return_code": 0, "message": "Task claimed.", "type": "AnalysisResult", "id": shown["_id"], "created": false,
            "url": format!("/api/v1/analysis_results/{}/", shown["_id"].as_str().unwrap_or_default()),
            "analysis_id": id, "object_type": "Event", "object_id": shown["object_id"], "config": {}, "attempt": 1,
            "lease_token": body["lease_token"], "lease_expires": shown["lease"]["expires"],
        });
        assert_eq!(body, expected);
        assert_eq!(
            (
                &shown["status"],
                &shown["lease"]["worker"],
                &shown["attempts"]
            ),
            (&json!("started"), &json!("w1"), &json!(1))
        );
        assert_eq!(shown["lease"].as_object().map(|lease| lease.len()), Some(2));
    }
    let nothing = claim_next(&server, "w1").await?;
    assert_eq!(
        (
            &nothing["return_code"],
            &nothing["message"],
            nothing.get("id")
        ),
        (&json!(0), &json!("No pending task."), None)
    );
    Ok(())
}

#[tokio::test]
async fn svc_20_only_what_is_asked_for_and_what_is_on_is_handed_out() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let (_, id) = pending(&server).await?;
    let next = async |body: Json| -> Result<Json> {
        Ok(server
            .post_json("/api/v1/analysis_results/", &body)
            .await?
            .json())
    };
    let other =
        next(json!({"service_name": "yara", "worker": "w", "object_type": "Sample"})).await?;
    assert_eq!(other["message"], "No pending task.");
    let other = next(json!({"service_name": "nothing", "worker": "w"})).await?;
    assert_eq!(other["message"], "No pending task.");
    for (body, message) in [
        (
            json!({"worker": "w"}),
            "Missing required argument 'service_name'.",
        ),
        (
            json!({"service_name": "yara"}),
            "Missing required argument 'worker'.",
        ),
        (
            json!({"service_name": "yara", "worker": "w", "object_type": "Nonsense"}),
            "Unknown object type: Nonsense.",
        ),
        (
            json!({"service_name": "yara", "worker": "w", "lease_seconds": 9}),
            "Argument 'lease_seconds' must be between 10 and 86400.",
        ),
        (
            json!({"service_name": "yara", "worker": "w", "lease_seconds": 86_401}),
            "Argument 'lease_seconds' must be between 10 and 86400.",
        ),
    ] {
        let answer = next(body).await?;
        assert_eq!(
            (&answer["return_code"], &answer["message"]),
            (&json!(1), &json!(message))
        );
    }
    server.cli(&["service", "disable", "yara"])?;
    assert_eq!(
        claim_next(&server, "w").await?["message"],
        "No pending task."
    );
    refused(
        &claim(&server, &id, "w").await?,
        "Service yara is unknown or not enabled.",
        "unavailable",
    );
    Ok(())
}

#[tokio::test]
async fn svc_11_svc_20_secrets_go_to_workers_who_may_read_the_control_panel() -> Result<()> {
    let mut server = Server::prepare()?;
    let options = server.folder().join("options.json");
    std::fs::write(
        &options,
        r#"[{"name": "depth", "type": "int", "default": 2}, {"name": "token", "type": "string", "secret": true, "scope": "stored"}]"#,
    )?;
    crate::world::add_yara(&server, &["--options", &options.display().to_string()])?;
    server.cli(&["service", "configure", "yara", "token=f00d"])?;
    server.run().await?;
    let alpha: (&str, &[&str]) = ("Alpha", &["--read", "--tlp", "red,amber,green"]);
    let worker = server.add_user("worker", &["Event.services_execute"], &[alpha])?;
    for (user, config) in [
        (&worker, json!({"depth": 2})),
        (&admin(), json!({"depth": 2, "token": "f00d"})),
    ] {
        pending(&server).await?;
        let form = [("service_name", "yara"), ("worker", "w")];
        let body = server
            .post_as(user, "/api/v1/analysis_results/", &form)
            .await?
            .json();
        assert_eq!(body["config"], config, "{body:#}");
        // Nobody's key is in a task.
        let shown = task(&server, body["analysis_id"].as_str().unwrap_or_default()).await?;
        for key in [critd_tests::ADMIN_KEY, &worker.key, "f00d"] {
            assert!(!shown.to_string().contains(key), "{shown:#}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn svc_23_of_many_simultaneous_claims_one_succeeds() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let (_, id) = pending(&server).await?;
    let workers: Vec<String> = (0..16).map(|number| format!("w{number}")).collect();
    let claims = workers.iter().map(|worker| claim(&server, &id, worker));
    let answers = futures_util::future::try_join_all(claims).await?;
    let (won, lost): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.json()["return_code"] == 0);
    assert_eq!(won.len(), 1, "{answers:#?}");
    lost.into_iter()
        .for_each(|answer| refused(answer, "Task is already claimed.", "conflict"));
    assert_eq!(task(&server, &id).await?["attempts"], 1);
    Ok(())
}

#[tokio::test]
async fn svc_23_simultaneous_claims_of_the_next_get_different_tasks() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(pending(&server).await?.1);
    }
    let workers: Vec<String> = (0..8).map(|number| format!("w{number}")).collect();
    let claims = workers.iter().map(|worker| claim_next(&server, worker));
    let answers = futures_util::future::try_join_all(claims).await?;
    let mut got: Vec<String> = answers
        .iter()
        .filter_map(|answer| answer["analysis_id"].as_str().map(str::to_owned))
        .collect();
    got.sort();
    ids.sort();
    assert_eq!(got, ids, "{answers:#?}");
    Ok(())
}

#[tokio::test]
async fn svc_23_what_is_not_free_can_not_be_claimed() -> Result<()> {
    let server = crate::world::server().await?;
    crate::world::add_yara(&server, &[])?;
    let event = server.event("e").await?;
    let own = started(&run_on(&server, &event, "probe", &json!({"wait": 20})).await?)?;
    refused(
        &claim(&server, &own, "w").await?,
        "Only tasks of external services can be claimed.",
        "conflict",
    );
    let id = started(&run_on(&server, &event, "yara", &json!({})).await?)?;
    report(&server, &event, &id, &[("finish", "1")])
        .await?
        .created_id()?;
    refused(
        &claim(&server, &id, "w").await?,
        "Task has ended already.",
        "conflict",
    );
    let body = json!({"action": "status_update", "value": "New"});
    refused(
        &patch(&server, &id, &body).await?,
        "'status_update' is not a valid action.",
        "unsupported_for_type",
    );
    Ok(())
}

#[tokio::test]
async fn svc_24_tokens_are_random_and_kept_as_digests() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let (_, id) = pending(&server).await?;
        let token = token(&claim(&server, &id, "w").await?)?;
        assert!(
            token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{token}"
        );
        let shown = task(&server, &id).await?.to_string();
        assert!(
            !shown.contains(&token) && !shown.contains("token"),
            "{shown}"
        );
        tokens.push(token);
    }
    assert_ne!(tokens[0], tokens[1]);
    // Not even with a key that would answer the same again.
    let (_, id) = pending(&server).await?;
    let url = format!(
        "{}/api/v1/analysis_results/{id}/?username=admin&api_key={}",
        server.url(),
        critd_tests::ADMIN_KEY
    );
    let claim = || {
        server
            .client()
            .patch(&url)
            .header("Idempotency-Key", "k")
            .json(&json!({"action": "claim_task", "worker": "w"}))
    };
    token(&server.send(claim()).await?)?;
    refused(
        &server.send(claim()).await?,
        "Task is already claimed.",
        "conflict",
    );
    Ok(())
}

/// A lease that ran out is taken by another worker; who is late is told so, and nothing of it is stored.
#[tokio::test]
async fn svc_25_svc_26_svc_27_a_lease_that_ran_out_goes_to_another_worker() -> Result<()> {
    let server = server_with_yara(&["--max-attempts", "2"]).await?;
    let (event, id) = pending(&server).await?;
    let first = token(&claim(&server, &id, "w1").await?)?;
    let_run_out(&server, &id, &first).await?;
    let shown = task(&server, &id).await?;
    assert_eq!(
        (&shown["status"], &shown["attempts"]),
        (&json!("created"), &json!(1))
    );
    // Nobody has it yet: whoever was late may go on (SVC-25).
    let renew = json!({"action": "renew_lease", "lease_token": first});
    assert_eq!(patch(&server, &id, &renew).await?.json()["return_code"], 0);
    assert_eq!(task(&server, &id).await?["status"], "started");
    refused(
        &claim(&server, &id, "w2").await?,
        "Task is already claimed.",
        "conflict",
    );
    let_run_out(&server, &id, &first).await?;
    let second = claim_next(&server, "w2").await?;
    assert_eq!(
        (&second["analysis_id"], &second["attempt"]),
        (&json!(id), &json!(2))
    );
    let second = second["lease_token"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    refused(
        &patch(&server, &id, &renew).await?,
        "Lease lost.",
        "conflict",
    );
    let late = [
        ("result", "late"),
        ("result_type", "t"),
        ("result_subtype", "s"),
        ("log_message", "late"),
        ("lease_token", &first),
    ];
    refused(
        &report(&server, &event, &id, &late).await?,
        "Lease lost.",
        "conflict",
    );
    let shown = task(&server, &id).await?;
    assert_eq!((&shown["results"], &shown["log"]), (&json!([]), &json!([])));
    // The successor's counts, and it is given up when it has been tried too often.
    report(
        &server,
        &event,
        &id,
        &[("log_message", "mine"), ("lease_token", &second)],
    )
    .await?
    .created_id()?;
    let_run_out(&server, &id, &second).await?;
    let shown = task(&server, &id).await?;
    assert_eq!(shown["status"], "error");
    assert_eq!(
        log(&shown)
            .last()
            .map(|(level, text)| (level.as_str(), text.as_str())),
        Some(("error", "Lease expired 2 times."))
    );
    assert!(shown["finish_date"].is_string());
    refused(
        &report(
            &server,
            &event,
            &id,
            &[("finish", "1"), ("lease_token", &second)],
        )
        .await?,
        "Lease lost.",
        "conflict",
    );
    assert_eq!(
        claim_next(&server, "w3").await?["message"],
        "No pending task."
    );
    Ok(())
}

#[tokio::test]
async fn svc_25_a_report_with_the_token_renews() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let (event, id) = pending(&server).await?;
    let token = token(&claim(&server, &id, "w1").await?)?;
    let before = task(&server, &id).await?["lease"]["expires"].clone();
    tokio::time::sleep(Duration::from_millis(5)).await;
    report(
        &server,
        &event,
        &id,
        &[("log_message", "m"), ("lease_token", &token)],
    )
    .await?
    .created_id()?;
    let after = task(&server, &id).await?["lease"].clone();
    assert_eq!(after["worker"], "w1");
    assert!(
        after["expires"].as_str() > before.as_str(),
        "{before} {after}"
    );
    Ok(())
}

#[tokio::test]
async fn svc_26_reports_without_a_token() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let (event, id) = pending(&server).await?;
    let said = [("log_message", "m")];
    report(&server, &event, &id, &said).await?.created_id()?;
    let (event, id) = pending(&server).await?;
    claim(&server, &id, "w1").await?;
    report(&server, &event, &id, &said).await?.created_id()?;
    server.cli(&["set", "services_require_lease=true"])?;
    refused(
        &report(&server, &event, &id, &said).await?,
        "Lease lost.",
        "conflict",
    );
    refused(
        &report(
            &server,
            &event,
            &id,
            &[("log_message", "m"), ("lease_token", "0123")],
        )
        .await?,
        "Lease lost.",
        "conflict",
    );
    let (event, id) = pending(&server).await?;
    report(&server, &event, &id, &said).await?.created_id()?;
    Ok(())
}

/// PL-14: who was not told that the end was heard says it again, and nothing more is stored.
#[tokio::test]
async fn svc_28_pl_14_finish_ends_the_lease_and_may_be_repeated() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let (event, id) = pending(&server).await?;
    let token = token(&claim(&server, &id, "w1").await?)?;
    let end = [
        ("finish", "1"),
        ("status", "completed"),
        ("lease_token", token.as_str()),
    ];
    report(&server, &event, &id, &end).await?.created_id()?;
    let first = task(&server, &id).await?;
    assert_eq!(
        (&first["status"], &first["lease"]),
        (&json!("completed"), &json!(null))
    );
    report(&server, &event, &id, &end).await?.created_id()?;
    assert_eq!(task(&server, &id).await?, first);
    // Another end than before is recorded, also without a token (8.3).
    report(
        &server,
        &event,
        &id,
        &[("finish", "1"), ("status", "error")],
    )
    .await?
    .created_id()?;
    let shown = task(&server, &id).await?;
    assert_eq!(shown["status"], "error");
    assert_eq!(
        log(&shown).last().map(|(_, text)| text.as_str()),
        Some("Finished again: error.")
    );
    Ok(())
}

#[tokio::test]
async fn svc_28_a_released_task_is_free_and_the_attempt_does_not_count() -> Result<()> {
    let server = server_with_yara(&["--max-attempts", "1"]).await?;
    let (_, id) = pending(&server).await?;
    for _ in 0..3 {
        let token = token(&claim(&server, &id, "w1").await?)?;
        let release = json!({"action": "release_task", "lease_token": token});
        assert_eq!(
            patch(&server, &id, &release).await?.json()["object"]["status"],
            "created"
        );
        let shown = task(&server, &id).await?;
        assert_eq!(
            (&shown["status"], &shown["attempts"], &shown["lease"]),
            (&json!("created"), &json!(0), &json!(null))
        );
        refused(
            &patch(&server, &id, &release).await?,
            "Lease lost.",
            "conflict",
        );
    }
    Ok(())
}

#[tokio::test]
async fn svc_30_the_last_claims_time_is_kept_beside_the_begin() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let (_, id) = pending(&server).await?;
    let before = task(&server, &id).await?;
    assert!(before["claimed_date"].is_null());
    claim(&server, &id, "w1").await?;
    let after = task(&server, &id).await?;
    assert_eq!(after["start_date"], before["start_date"]);
    assert!(after["claimed_date"].as_str() >= after["start_date"].as_str());
    Ok(())
}

#[tokio::test]
async fn svc_21_cancelled_tasks_end_as_error_and_their_worker_is_told() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let (event, id) = pending(&server).await?;
    let token = token(&claim(&server, &id, "w1").await?)?;
    let cancel = json!({"action": "cancel_task"});
    let answer = patch(&server, &id, &cancel).await?;
    assert_eq!(
        answer.json()["object"]["status"],
        "error",
        "{}",
        answer.text
    );
    let shown = task(&server, &id).await?;
    assert_eq!(
        (&shown["status"], &shown["lease"]),
        (&json!("error"), &json!(null))
    );
    assert_eq!(
        log(&shown),
        [("error".to_owned(), "Cancelled by admin.".to_owned())]
    );
    refused(
        &report(
            &server,
            &event,
            &id,
            &[("log_message", "m"), ("lease_token", &token)],
        )
        .await?,
        "Lease lost.",
        "conflict",
    );
    refused(
        &patch(&server, &id, &cancel).await?,
        "Task has ended already.",
        "conflict",
    );
    Ok(())
}
