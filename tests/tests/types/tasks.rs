//! Tasks of analysis services as a database that was taken over has them: a guest makes them before the server runs with
//! the plugin, another shows them as they are stored.

use anyhow::{Context, Result, ensure};
use critd_tests::{Answer, Json, Server, User, admin, json};

/// The plugin's entry of the manifest.
const ENTRY: &str =
    "[plugins.analysis_result]\npath = \"analysis_result.wasm\"\nversion = \"^0.1\"\n";

/// A task of the tests that need one only.
pub(crate) const TASK: &str = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";

/// A server on which there is what `make` made.
pub(crate) async fn server_with<T>(
    make: impl AsyncFnOnce(&Server) -> Result<T>,
) -> Result<(Server, T)> {
    let mut server = Server::prepare()?;
    let path = server.folder().join("plugin-manifest.toml");
    let manifest = std::fs::read_to_string(&path)?;
    ensure!(manifest.contains(ENTRY), "the entry has another form");
    std::fs::write(&path, manifest.replace(ENTRY, ""))?;
    server.add_guest("tasks", "")?;
    server.run().await?;
    let made = make(&server).await?;
    server.stop().await?;
    std::fs::write(&path, manifest)?;
    server.add_guest("reader", "")?;
    server.run().await?;
    Ok((server, made))
}

/// A server with an event and a task on it in this state.
pub(crate) async fn server_with_task(status: &str) -> Result<(Server, String)> {
    server_with(async |server| {
        let event = server.event("e").await?;
        make_task(server, TASK, "Event", &event, &[("status", status)]).await?;
        Ok(event)
    })
    .await
}

/// A task on an object.
pub(crate) async fn make_task(
    server: &Server,
    analysis_id: &str,
    object_type: &str,
    object_id: &str,
    further: &[(&str, &str)],
) -> Result<()> {
    let mut form = vec![
        ("analysis_id", analysis_id),
        ("object_type", object_type),
        ("object_id", object_id),
    ];
    form.extend(further);
    let answer = server.post("/api/v1/tasks/", &form).await?;
    answer.created_id().map(|_| ())
}

/// The tasks on an object of a resource, without their ids.
pub(crate) async fn tasks(server: &Server, resource: &str, id: &str) -> Result<Vec<Json>> {
    let path = format!("/api/v1/{resource}/{id}/");
    let answer = server
        .patch(&path, &json!({"action": "show_tasks"}))
        .await?;
    let body = answer.json();
    body["object"]
        .as_array()
        .cloned()
        .with_context(|| format!("no tasks: {} {}", answer.status, answer.text))
}

/// The only task on an event.
pub(crate) async fn task(server: &Server, event: &str) -> Result<Json> {
    let mut all = tasks(server, "events", event).await?;
    ensure!(all.len() == 1, "{all:?}");
    Ok(all.remove(0))
}

/// A report on the task of an event.
pub(crate) async fn report(server: &Server, event: &str, form: &[(&str, &str)]) -> Result<Answer> {
    report_as(server, &admin(), event, form).await
}

/// The same of a user.
pub(crate) async fn report_as(
    server: &Server,
    user: &User,
    event: &str,
    form: &[(&str, &str)],
) -> Result<Answer> {
    let mut whole = vec![
        ("object_type", "Event"),
        ("object_id", event),
        ("analysis_id", TASK),
    ];
    whole.extend(form);
    server.post_as(user, "/api/v1/services/", &whole).await
}

/// A report that is refused with this text.
pub(crate) fn refused(answer: &Answer, message: &str) -> Json {
    let body = answer.json();
    assert_eq!(
        (
            answer.status,
            &body["return_code"],
            body["message"].as_str()
        ),
        (200, &json!(1), Some(message)),
        "{}",
        answer.text
    );
    body
}
