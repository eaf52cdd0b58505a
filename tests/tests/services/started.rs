//! `run_service` (actions.md 2.14), and what a task is from then on (8.3).

use anyhow::Result;
use critd_tests::{Server, admin, json};

use crate::world::{
    add_yara, ended, log, patch_event, refused, results, run_on, sample, server, started, task,
};

const EVENTS: [(&str, &str); 2] = [("source", "Alpha"), ("description", "d")];

async fn event(server: &Server, title: &str) -> Result<String> {
    let mut form = vec![("title", title), ("event_type", "Phishing")];
    form.extend(EVENTS);
    server.post("/api/v1/events/", &form).await?.created_id()
}

#[tokio::test]
async fn run_service_1_checks_in_their_order() -> Result<()> {
    let server = server().await?;
    add_yara(&server, &["--type", "Sample"])?;
    server.cli(&["service", "disable", "impatient"])?;
    let fine = event(&server, "fine").await?;
    let odd = event(&server, "odd").await?;
    let trap = event(&server, "trap").await?;
    let none = json!({});
    let rows = [
        (
            &fine,
            "nothing",
            none.clone(),
            "Service nothing is unknown or not enabled.",
            "unavailable",
        ),
        (
            &fine,
            "Probe",
            none.clone(),
            "Service Probe is unknown or not enabled.",
            "unavailable",
        ),
        (
            &fine,
            "impatient",
            none.clone(),
            "Service impatient is unknown or not enabled.",
            "unavailable",
        ),
        (
            &fine,
            "yara",
            none.clone(),
            "Service not supported for type 'Event'",
            "unsupported_for_type",
        ),
        (
            &odd,
            "picky",
            json!({"custom_config": {"a": 1}}),
            "Nothing odd, please.",
            "invalid_value",
        ),
        (
            &trap,
            "picky",
            none.clone(),
            "Service picky failed to say whether the object is something for it.",
            "unavailable",
        ),
        (
            &fine,
            "picky",
            json!({"custom_config": {"a": 1}}),
            "Service picky has no run-time option 'a'.",
            "invalid_value",
        ),
        (
            &fine,
            "probe",
            json!({"wait": 61}),
            "Argument 'wait' must be between 0 and 60.",
            "invalid_value",
        ),
        (
            &fine,
            "probe",
            json!({"wait": "soon"}),
            "Argument 'wait' must be an integer.",
            "invalid_type",
        ),
    ];
    for (event, service, further, message, code) in rows {
        let answer = run_on(&server, event, service, &further).await?;
        refused(&answer, message, code);
    }
    let missing = json!({"action": "run_service"});
    let answer = patch_event(&server, &admin(), &fine, &missing).await?;
    refused(
        &answer,
        "Missing required argument 'name' for action 'run_service'.",
        "missing_argument",
    );
    assert_eq!(server.count("analysis_results").await?, 0);
    Ok(())
}

#[tokio::test]
async fn run_service_1_the_flag_comes_first_and_hidden_objects_are_not_there() -> Result<()> {
    let server = server().await?;
    let event = event(&server, "fine").await?;
    let alpha: (&str, &[&str]) = ("Alpha", &["--read", "--tlp", "red,amber,green"]);
    let reader = server.add_user("reader", &["Event.read"], &[alpha])?;
    let body = json!({"action": "run_service", "name": "nothing"});
    refused(
        &patch_event(&server, &reader, &event, &body).await?,
        "User does not have permission to run services.",
        "forbidden",
    );
    let stranger = server.add_user(
        "stranger",
        &["Event.services_execute"],
        &[("Beta", &["--read"])],
    )?;
    let answer = patch_event(&server, &stranger, &event, &body).await?;
    assert_eq!(answer.status, 404, "{}", answer.text);
    Ok(())
}

/// ACT-10: what only looks like an argument is none, also on a document with objects of its own.
#[tokio::test]
async fn run_service_2_an_object_with_objects_is_analysed_itself() -> Result<()> {
    let server = server().await?;
    let event = event(&server, "fine").await?;
    let further = json!({"obj": [1], "is_triage_run": true, "wait": 20});
    let answer = run_on(&server, &event, "picky", &further).await?;
    assert_eq!(
        answer.json()["ignored_arguments"],
        json!(["obj", "is_triage_run"])
    );
    let task = ended(&server, &started(&answer)?).await?;
    assert_eq!(results(&task), [("title".into(), "fine".into())]);
    Ok(())
}

#[tokio::test]
async fn run_service_3_the_answer_names_the_task() -> Result<()> {
    let server = server().await?;
    add_yara(&server, &[])?;
    let event = event(&server, "fine").await?;
    let answer = run_on(&server, &event, "yara", &json!({"execute": "process_pool"})).await?;
    let body = answer.json();
    let id = started(&answer)?;
    assert_eq!(
        (&body["message"], &body["detail"], &body["object"]),
        (
            &json!("success!"),
            &json!("Service yara started."),
            &json!({"analysis_id": id, "service_name": "yara", "status": "created"})
        )
    );
    assert_eq!(id.len(), 36, "{id}");
    // With `wait` the answer says how it ended.
    let answer = run_on(&server, &event, "picky", &json!({"wait": 30})).await?;
    assert_eq!(
        answer.json()["object"]["status"],
        "completed",
        "{}",
        answer.text
    );
    // A dry run starts nothing.
    let count = server.count("analysis_results").await?;
    let path = format!("/api/v1/events/{event}/?dry_run=1");
    let answer = server
        .patch(
            &path,
            &json!({"action": "run_service", "name": "picky", "wait": 30}),
        )
        .await?;
    assert_eq!(answer.json()["return_code"], 0, "{}", answer.text);
    assert_eq!(server.count("analysis_results").await?, count);
    Ok(())
}

#[tokio::test]
async fn run_service_4_the_object_stays_as_it_is_and_each_run_is_a_task() -> Result<()> {
    let server = server().await?;
    let event = event(&server, "fine").await?;
    let before = server.document("events", &event).await?;
    let first = started(&run_on(&server, &event, "picky", &json!({"wait": 20})).await?)?;
    let second = started(&run_on(&server, &event, "picky", &json!({"wait": 20})).await?)?;
    assert_ne!(first, second);
    assert_eq!(server.document("events", &event).await?, before);
    assert_eq!(server.count("analysis_results").await?, 2);
    // The same request, by its key: one task.
    let url = format!(
        "{}/api/v1/events/{event}/?username=admin&api_key={}",
        server.url(),
        critd_tests::ADMIN_KEY
    );
    for _ in 0..2 {
        let request = server.client().patch(&url).header("Idempotency-Key", "k");
        let body = json!({"action": "run_service", "name": "picky"});
        started(&server.send(request.json(&body)).await?)?;
    }
    assert_eq!(server.count("analysis_results").await?, 3);
    Ok(())
}

#[tokio::test]
async fn svc_6_svc_7_a_task_of_a_plugin_begins_started_and_tells_its_course() -> Result<()> {
    let server = server().await?;
    let event = event(&server, "fine").await?;
    let answer = run_on(
        &server,
        &event,
        "probe",
        &json!({"custom_config": {"count": 2}}),
    )
    .await?;
    assert_eq!(answer.json()["object"]["status"], "started");
    let task = ended(&server, &started(&answer)?).await?;
    assert_eq!(
        log(&task),
        [
            ("info", "Starting Analysis"),
            ("info", "looking"),
            ("info", "looked"),
            ("info", "Analysis complete")
        ]
        .map(|(level, text)| (level.to_owned(), text.to_owned()))
    );
    assert_eq!(
        task["results"],
        json!([{"of": 2, "subtype": "number", "result": "0"}, {"of": 2, "subtype": "number", "result": "1"}])
    );
    let facts = [
        "object_type",
        "object_id",
        "service_name",
        "version",
        "analyst",
        "distributed",
        "status",
        "template",
    ]
    .map(|name| task[name].clone());
    assert_eq!(
        facts,
        [
            json!("Event"),
            json!(event),
            json!("probe"),
            json!(env!("CARGO_PKG_VERSION")),
            json!("admin"),
            json!(false),
            json!("completed"),
            json!("probe.html")
        ]
    );
    let (begin, end) = (task["start_date"].as_str(), task["finish_date"].as_str());
    assert!(
        begin.is_some_and(|date| date.len() == 26) && begin <= end,
        "{task:#}"
    );
    // Nothing of how it was run is shown.
    assert!(
        task.as_object()
            .is_some_and(|task| task.keys().all(|key| !key.starts_with("_") || key == "_id"))
    );
    assert!(task["unsupported_attrs"].is_null(), "{task:#}");
    Ok(())
}

#[tokio::test]
async fn svc_8_what_went_wrong_ends_the_task_as_error_and_results_stay() -> Result<()> {
    let server = server().await?;
    let event = event(&server, "fine").await?;
    for (what, found, line) in [
        ("fail", Some("kept"), "Error running service: no more"),
        ("trap", Some("kept"), "on purpose"),
        ("note", None, "something is wrong"),
        ("nonsense", None, "Error running service: What is nonsense?"),
    ] {
        let options = json!({"custom_config": {"task": what}, "wait": 30});
        let task = ended(
            &server,
            &started(&run_on(&server, &event, "probe", &options).await?)?,
        )
        .await?;
        assert_eq!(task["status"], "error", "{what}: {task:#}");
        assert!(task["finish_date"].is_string(), "{what}");
        let findings: Vec<String> = results(&task)
            .into_iter()
            .map(|(_, finding)| finding)
            .collect();
        assert_eq!(findings, Vec::from_iter(found), "{what}");
        assert!(
            log(&task)
                .iter()
                .any(|(level, text)| level == "error" && text.contains(line)),
            "{what}: {task:#}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn svc_9_a_task_of_an_external_service_waits_for_a_worker() -> Result<()> {
    let server = server().await?;
    add_yara(&server, &[])?;
    let event = event(&server, "fine").await?;
    let id = started(&run_on(&server, &event, "yara", &json!({"wait": 1})).await?)?;
    let waiting = task(&server, &id).await?;
    assert_eq!(
        (
            &waiting["status"],
            &waiting["distributed"],
            &waiting["finish_date"]
        ),
        (&json!("created"), &json!(true), &json!(null))
    );
    // Without a claim the first report starts it (8.3).
    let form = [
        ("object_type", "Event"),
        ("object_id", event.as_str()),
        ("analysis_id", id.as_str()),
        ("log_message", "m"),
    ];
    server
        .post("/api/v1/services/", &form)
        .await?
        .created_id()?;
    assert_eq!(task(&server, &id).await?["status"], "started");
    Ok(())
}

/// The examples of actions.md 7.2: these requests, these answers.
#[tokio::test]
async fn actions_7_2_examples_of_run_service() -> Result<()> {
    let server = server().await?;
    let sample = sample(&server).await?;
    let path = format!("/api/v1/samples/{sample}/");
    let body =
        json!({"action": "run_service", "name": "peinfo", "custom_config": {"resource": true}});
    let answer = server.patch(&path, &body).await?.json();
    let id = answer["object"]["analysis_id"].clone();
    assert_eq!(
        answer,
        json!({
            "return_code": 0, "type": "Sample", "id": sample, "message": "success!", "detail": "Service peinfo started.",
            "object": {"analysis_id": id, "service_name": "peinfo", "status": "started"},
        })
    );
    let nope = json!({"action": "run_service", "name": "nope"});
    let answer = server.patch(&path, &nope).await?.json();
    assert_eq!(
        answer,
        json!({
            "return_code": 1, "type": "Sample", "id": sample, "message": "Service nope is unknown or not enabled.",
            "error": {"code": "unavailable"},
        })
    );
    Ok(())
}
