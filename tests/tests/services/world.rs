//! A server with services of a plugin and of workers elsewhere.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use critd_tests::{Answer, Json, Server, User, admin, json};
use reqwest::multipart::{Form, Part};

/// Grants of the test guest.
const GRANTS: &str = "grants = [\"create:Domain\", \"create:Event\"]";
/// The services of the guest.
const SERVICES: [&str; 6] = [
    "probe",
    "picky",
    "impatient",
    "reads_file",
    "breeder",
    "peinfo",
];

/// A server, started, whose plugin `analyst` has all its services on.
pub(crate) async fn server() -> Result<Server> {
    let mut server = prepared()?;
    server.run().await?;
    for service in SERVICES {
        server.cli(&["service", "enable", service])?;
    }
    Ok(server)
}

/// The same, not started, and with its services off.
pub(crate) fn prepared() -> Result<Server> {
    let server = Server::prepare()?;
    server.add_guest("analyst", GRANTS)?;
    Ok(server)
}

/// A server, started, with the external service `yara`.
pub(crate) async fn server_with_yara(further: &[&str]) -> Result<Server> {
    let mut server = Server::prepare()?;
    add_yara(&server, further)?;
    server.run().await?;
    Ok(server)
}

pub(crate) fn add_yara(server: &Server, further: &[&str]) -> Result<()> {
    let mut command = vec!["service", "add", "yara", "--version", "1.2"];
    command.extend(further);
    server.cli(&command)?;
    server.cli(&["service", "enable", "yara"])?;
    Ok(())
}

/// A sample with a file, as the administrator posts it; its id.
pub(crate) async fn sample(server: &Server) -> Result<String> {
    let url = format!(
        "{}/api/v1/samples/?username=admin&api_key={}",
        server.url(),
        critd_tests::ADMIN_KEY
    );
    let file = Part::bytes(b"MZ and more".as_slice()).file_name("a.bin");
    let form = Form::new()
        .text("upload_type", "file")
        .text("source", "Alpha")
        .part("filedata", file);
    let request = server.client().post(url).multipart(form);
    server.send(request).await?.created_id()
}

/// A PATCH on an event.
pub(crate) async fn patch_event(
    server: &Server,
    user: &User,
    event: &str,
    body: &Json,
) -> Result<Answer> {
    let path = format!("/api/v1/events/{event}/");
    server.patch_as(user, &path, body).await
}

/// `run_service` on an event, with further arguments.
pub(crate) async fn run_on(
    server: &Server,
    event: &str,
    service: &str,
    further: &Json,
) -> Result<Answer> {
    let mut body = json!({"action": "run_service", "name": service});
    if let (Some(body), Some(further)) = (body.as_object_mut(), further.as_object()) {
        body.extend(further.clone());
    }
    patch_event(server, &admin(), event, &body).await
}

/// The identifier of the task that was started.
pub(crate) fn started(answer: &Answer) -> Result<String> {
    let body = answer.json();
    ensure!(body["return_code"] == 0, "not started: {}", answer.text);
    let id = body["object"]["analysis_id"].as_str();
    id.map(str::to_owned)
        .with_context(|| format!("no task: {}", answer.text))
}

/// A task that `probe` does on an event.
pub(crate) async fn probe(server: &Server, event: &str, task: &str) -> Result<String> {
    let options = json!({"custom_config": {"task": task}});
    started(&run_on(server, event, "probe", &options).await?)
}

/// A task as the administrator reads it.
pub(crate) async fn task(server: &Server, id: &str) -> Result<Json> {
    let answer = server
        .get(&format!("/api/v1/analysis_results/{id}/"))
        .await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text);
    Ok(answer.json())
}

/// Waits until a task is as wanted.
pub(crate) async fn until(
    server: &Server,
    id: &str,
    wanted: impl Fn(&Json) -> bool,
) -> Result<Json> {
    let mut last = Json::Null;
    for _ in 0..1_200 {
        last = task(server, id).await?;
        if wanted(&last) {
            return Ok(last);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("it did not come to that: {last:#}")
}

/// Waits until a task has ended.
pub(crate) async fn ended(server: &Server, id: &str) -> Result<Json> {
    until(server, id, |task| {
        matches!(task["status"].as_str(), Some("completed" | "error"))
    })
    .await
}

/// Messages of a task's log with their levels.
pub(crate) fn log(task: &Json) -> Vec<(String, String)> {
    let lines = task["log"].as_array().into_iter().flatten();
    let text = |line: &Json, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    lines
        .map(|line| (text(line, "level"), text(line, "message")))
        .collect()
}

/// What was found: kind and finding.
pub(crate) fn results(task: &Json) -> Vec<(String, String)> {
    let results = task["results"].as_array().into_iter().flatten();
    let text = |result: &Json, name: &str| result[name].as_str().unwrap_or_default().to_owned();
    results
        .map(|result| (text(result, "subtype"), text(result, "result")))
        .collect()
}

/// The list of tasks that a query finds.
pub(crate) async fn list_as(server: &Server, user: &User, query: &str) -> Result<Json> {
    let path = format!("/api/v1/analysis_results/?{query}");
    let answer = server.get_as(user, &path).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text);
    Ok(answer.json())
}

/// Identifiers of the tasks that a query finds.
pub(crate) async fn found_as(server: &Server, user: &User, query: &str) -> Result<Vec<String>> {
    let list = list_as(server, user, query).await?;
    let found = list["objects"].as_array().into_iter().flatten();
    Ok(found
        .map(|task| task["analysis_id"].as_str().unwrap_or_default().to_owned())
        .collect())
}

/// A refusal with this text and code.
pub(crate) fn refused(answer: &Answer, message: &str, code: &str) {
    let body = answer.json();
    assert_eq!(
        (
            answer.status,
            &body["return_code"],
            body["message"].as_str(),
            body["error"]["code"].as_str()
        ),
        (200, &json!(1), Some(message), Some(code)),
        "{}",
        answer.text
    );
}
