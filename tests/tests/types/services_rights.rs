//! create.md 5.18, core-api 9: who may report, and on what.

use anyhow::Result;
use critd_tests::{Server, json};

use crate::tasks::{
    TASK, make_task, refused, report_as, server_with, server_with_task, task, tasks,
};

const NOBODY: &str = "0123456789abcdef01234567";
const ALSO: &str = "When adding a result, also need type and subtype";
const NO_OBJECT: &str = "Could not find object to add results to.";
const NO_LOG_TASK: &str = "Could not find task to add log to.";

/// S18: the flag is that of the object's type, asked for before the object is looked for. Nothing else is needed.
#[tokio::test]
async fn s18_reports_need_services_execute_of_the_objects_type() -> Result<()> {
    let (server, event) = server_with_task("started").await?;
    let alpha: (&str, &[&str]) = ("Alpha", &["--read", "--tlp", "amber"]);
    let writer = server.add_user(
        "writer",
        &["Event.read", "Event.write", "Domain.services_execute"],
        &[("Alpha", &["--read", "--write", "--tlp", "red,amber,green"])],
    )?;
    let log = [("log_message", "m")];
    for id in [event.as_str(), NOBODY] {
        let form = [("log_message", "m"), ("object_id", id)];
        let body = refused(
            &report_as(&server, &writer, &event, &form).await?,
            "User does not have permission to create Object.",
        );
        assert_eq!(
            (&body["error"]["code"], body.get("url")),
            (&json!("forbidden"), None)
        );
    }
    // What is missing in the report is said first.
    refused(
        &report_as(&server, &writer, &event, &[("result", "r")]).await?,
        ALSO,
    );
    let worker = server.add_user("worker", &["Event.services_execute"], &[alpha])?;
    report_as(&server, &worker, &event, &log)
        .await?
        .created_id()?;
    assert_eq!(task(&server, &event).await?["log"][0]["message"], "m");
    Ok(())
}

/// S1, S9, AZ-12: whoever does not see the object can't report on it, and learns no more than of one that is not there.
#[tokio::test]
async fn s1_az_12_tasks_of_an_invisible_object_are_invisible() -> Result<()> {
    let (server, event) = server_with_task("started").await?;
    let flags = ["Event.services_execute"];
    let green = [
        ("title", "green"),
        ("event_type", "Phishing"),
        ("description", "d"),
        ("source", "Alpha"),
        ("tlp", "green"),
    ];
    // The event is as amber as its source instance; see who sees what.
    let green = server.post("/api/v1/events/", &green).await?.created_id()?;
    let stranger = server.add_user(
        "stranger",
        &flags,
        &[("Beta", &["--read", "--write", "--tlp", "red,amber,green"])],
    )?;
    let low = server.add_user("low", &flags, &[("Alpha", &["--read", "--tlp", "green"])])?;
    for user in [&stranger, &low] {
        let hidden = refused(
            &report_as(&server, user, &event, &[("log_message", "m")]).await?,
            NO_OBJECT,
        );
        let unknown = refused(
            &report_as(&server, user, NOBODY, &[("log_message", "m")]).await?,
            NO_OBJECT,
        );
        assert_eq!(hidden, unknown);
    }
    // It is the TLP: what is green is seen, and then it is the task that is lacking.
    refused(
        &report_as(&server, &low, &green, &[("log_message", "m")]).await?,
        NO_LOG_TASK,
    );
    assert_eq!(task(&server, &event).await?["log"], json!([]));
    Ok(())
}

/// S7: objects without sources are everybody's; results and lines on them are no fault of the server's.
#[tokio::test]
async fn s7_create_5_18_objects_without_sources() -> Result<()> {
    const OTHER: &str = "00000000-0000-4000-8000-000000000002";
    let (server, (campaign, target)) = server_with(async |server| {
        let campaign = server
            .post("/api/v1/campaigns/", &[("name", "Bear")])
            .await?
            .created_id()?;
        let form = [
            ("email_address", "victim@example.org"),
            ("firstname", "Vic"),
        ];
        let target = server.post("/api/v1/targets/", &form).await?.created_id()?;
        make_task(server, TASK, "Campaign", &campaign, &[]).await?;
        make_task(server, OTHER, "Target", &target, &[]).await?;
        Ok((campaign, target))
    })
    .await?;
    let flags = ["Campaign.services_execute", "Target.services_execute"];
    let worker = server.add_user("worker", &flags, &[])?;
    for (of, resource, object, id) in [
        ("Campaign", "campaigns", &campaign, TASK),
        ("Target", "targets", &target, OTHER),
    ] {
        let form = [
            ("object_type", of),
            ("object_id", object),
            ("analysis_id", id),
            ("result", "r"),
            ("result_type", "t"),
            ("result_subtype", "s"),
            ("log_message", "m"),
            ("finish", "1"),
        ];
        let answer = server.post_as(&worker, "/api/v1/services/", &form).await?;
        assert_eq!(
            (&answer.created_id()?, &answer.json()["type"]),
            (object, &json!(of))
        );
        let all = tasks(&server, resource, object).await?;
        assert_eq!(
            (&all[0]["status"], &all[0]["results"]),
            (
                &json!("completed"),
                &json!([{"subtype": "s", "result": "r", "type": "t"}])
            )
        );
    }
    Ok(())
}

/// What is posted to `services` is part of tasks, which are read elsewhere; what is read there are services.
#[tokio::test]
async fn u12_services_and_their_tasks_are_resources_of_their_own() -> Result<()> {
    let server = Server::start().await?;
    let patch = server.patch("/api/v1/services/", &json!({})).await?;
    assert_eq!(
        (patch.status, patch.header("allow")),
        (405, Some("GET, POST"))
    );
    let post = server
        .post_json("/api/v1/services/file_facts/", &json!({}))
        .await?;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET")));
    let schema = server.get("/api/v1/services/schema/").await?.json();
    assert_eq!(schema["allowed_list_http_methods"], json!(["post"]));
    let listing = server.get("/api/v1/").await?.json();
    assert_eq!(listing["services"]["list_endpoint"], "/api/v1/services/");
    assert_eq!(
        listing["analysis_results"]["schema"],
        "/api/v1/analysis_results/schema/"
    );
    Ok(())
}
