//! Users are told of changes (rule ACT-16; create.md 2.8, 5.6).

use anyhow::{Context as _, Result};
use critd_tests::{Json, Server, User, json};

const ALL: &[&str] = &["--read", "--write", "--tlp", "red,amber,green"];

async fn told(server: &Server, user: &User) -> Result<Vec<(String, String)>> {
    let list = server
        .get_as(user, "/api/v1/notifications/?limit=0")
        .await?
        .json();
    let objects = list["objects"].as_array().context("no objects")?;
    assert_eq!(list["meta"]["total_count"], objects.len());
    let text = |object: &Json, name: &str| object[name].as_str().unwrap_or_default().to_owned();
    Ok(objects
        .iter()
        .map(|object| (text(object, "notification"), text(object, "obj_id")))
        .collect())
}

fn of(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter()
        .map(|(what, id)| ((*what).to_owned(), (*id).to_owned()))
        .collect()
}

#[tokio::test]
async fn act_16_subscribers_of_an_object_and_of_a_source_are_told() -> Result<()> {
    let server = Server::start().await?;
    let (one, other) = (server.event("one").await?, server.event("other").await?);
    let flags = &["Event.read", "Event.tickets_add", "Domain.read"];
    let reader = server.add_user("reader", flags, &[("Alpha", ALL)])?;
    let watcher = server.add_user("watcher", flags, &[("Alpha", ALL)])?;
    let outsider = server.add_user("outsider", flags, &[("Beta", ALL)])?;
    for (name, what) in [
        ("reader", ["--object", &format!("Event/{one}")]),
        ("outsider", ["--object", &format!("Event/{one}")]),
        ("watcher", ["--source", "Alpha"]),
    ] {
        server.cli(&["user", "subscribe", name, what[0], what[1]])?;
    }
    let patch = async |id: &str, body: Json| -> Result<Json> {
        let path = format!("/api/v1/events/{id}/");
        Ok(server.patch(&path, &body).await?.json())
    };
    patch(
        &one,
        json!({"action": "status_update", "value": "Analyzed"}),
    )
    .await?;
    patch(
        &other,
        json!({"action": "status_update", "value": "Analyzed"}),
    )
    .await?;
    // What changes nothing, is only tried or refused is no news.
    patch(
        &one,
        json!({"action": "status_update", "value": "Analyzed"}),
    )
    .await?;
    patch(&one, json!({"action": "status_update", "value": "Bad"})).await?;
    let tried = format!("/api/v1/events/{one}/?dry_run=1");
    server
        .patch(&tried, &json!({"action": "status_update", "value": "New"}))
        .await?;
    let added = server
        .post(
            "/api/v1/domains/",
            &[("domain", "example.com"), ("source", "Alpha")],
        )
        .await?
        .created_id()?;

    let changed = "admin changed status.";
    assert_eq!(told(&server, &reader).await?, of(&[(changed, &one)]));
    assert_eq!(
        told(&server, &watcher).await?,
        of(&[
            (changed, &one),
            (changed, &other),
            ("admin added it.", &added)
        ])
    );
    assert_eq!(
        told(&server, &outsider).await?,
        [],
        "S1: not of what it may not see"
    );

    // The caller's own change is none; a user reads only what is for it.
    let ticket = json!({"action": "ticket_add", "ticket": {"ticket_number": 1}});
    let path = format!("/api/v1/events/{one}/");
    server.patch_as(&reader, &path, &ticket).await?;
    assert_eq!(told(&server, &reader).await?.len(), 1);
    assert_eq!(told(&server, &watcher).await?.len(), 4);
    let list = server
        .get_as(&reader, "/api/v1/notifications/")
        .await?
        .json();
    let object = &list["objects"][0];
    assert_eq!(
        (
            &object["link_url"],
            &object["status"],
            &object["analyst"],
            &object["users"]
        ),
        (
            &json!(path),
            &json!("new"),
            &json!("admin"),
            &json!(["reader"])
        )
    );
    let id = object["_id"].as_str().unwrap_or_default();
    let detail = format!("/api/v1/notifications/{id}/");
    assert_eq!(server.get_as(&reader, &detail).await?.status, 200);
    assert_eq!(server.get_as(&watcher, &detail).await?.status, 404);
    let set = format!("/api/v1/notifications/set/{id}/");
    let of_others = server.get_as(&watcher, &set).await?;
    assert!(!of_others.text.contains(&one), "{}", of_others.text);
    let asked = server
        .get_as(&outsider, "/api/v1/notifications/?c-users=reader")
        .await?;
    assert_eq!(asked.json()["meta"]["total_count"], 0);

    // And no longer.
    server.cli(&["user", "unsubscribe", "watcher", "--source", "Alpha"])?;
    patch(&one, json!({"action": "status_update", "value": "New"})).await?;
    assert_eq!(told(&server, &watcher).await?.len(), 4);
    assert_eq!(told(&server, &reader).await?.len(), 2);
    for wrong in [
        ["--object", "Event"],
        ["--object", "Source/000000000000000000000000"],
    ] {
        let refused = server.cli_output(&["user", "subscribe", "reader", wrong[0], wrong[1]])?;
        assert!(!refused.status.success());
    }
    Ok(())
}

/// Whom a comment names, and who has subscribed to what it is about.
#[tokio::test]
async fn create_5_6_comments_are_told_of() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("discussed").await?;
    let flags = &["Event.read"];
    let named = server.add_user("named", flags, &[("Alpha", ALL)])?;
    let subscribed = server.add_user("subscribed", flags, &[("Alpha", ALL)])?;
    let stranger = server.add_user("stranger", flags, &[("Beta", ALL)])?;
    server.cli(&[
        "user",
        "subscribe",
        "subscribed",
        "--object",
        &format!("Event/{event}"),
    ])?;
    let form = [
        ("object_type", "Event"),
        ("object_id", event.as_str()),
        ("comment", "look @named, @stranger and @nobody: <b>this</b>"),
    ];
    let made = server.post("/api/v1/comments/", &form).await?;
    assert_eq!(made.json()["return_code"], 0, "{}", made.text);
    let row = of(&[("admin added a comment.", &event)]);
    assert_eq!(told(&server, &named).await?, row);
    assert_eq!(told(&server, &subscribed).await?, row);
    assert_eq!(told(&server, &stranger).await?, []);
    Ok(())
}
