//! The header `Idempotency-Key`: what comes again is answered again, and carried out once.

use anyhow::{Context, Result};
use critd_tests::{Answer, Json, Server, User, admin, json};

async fn send(
    server: &Server,
    user: &User,
    method: &str,
    path: &str,
    key: &str,
    body: &Json,
) -> Result<Answer> {
    let url = format!("{}{path}", server.url());
    let request = match method {
        "PATCH" => server.client().patch(url),
        _ => server.client().post(url),
    };
    let request = request
        .header(
            "authorization",
            format!("ApiKey {}:{}", user.name, user.key),
        )
        .header("idempotency-key", key)
        .json(body);
    server.send(request).await
}

async fn post(server: &Server, key: &str, body: &Json) -> Result<Answer> {
    send(server, &admin(), "POST", "/api/v1/events/", key, body).await
}

fn event(title: &str) -> Json {
    json!({"title": title, "event_type": "Phishing", "description": "d", "source": "Alpha"})
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

#[tokio::test]
async fn a_post_that_comes_again_makes_no_second_object() -> Result<()> {
    let mut server = Server::start().await?;
    let first = post(&server, "k-1", &event("one")).await?;
    let id = first.created_id()?;
    assert!(!is_replayed(&first));
    let again = post(&server, "k-1", &event("one")).await?;
    assert!(is_replayed(&again));
    assert_eq!(again.json(), first.json());
    assert_eq!(again.header("location"), first.header("location"));

    let other = post(&server, "k-1", &event("two")).await?;
    assert_eq!(
        other.json(),
        json!({"return_code": 1, "type": "Event", "id": "", "message": "This Idempotency-Key came with another request before.", "created": false, "error": {"code": "key_reused"}})
    );
    assert_ne!(post(&server, "k-2", &event("one")).await?.created_id()?, id);

    // The key is the user's own.
    let writer = server.add_user(
        "writer",
        &["Event.read", "Event.write"],
        &[("Alpha", &["--read", "--write", "--tlp", "red,amber,green"])],
    )?;
    let theirs = send(
        &server,
        &writer,
        "POST",
        "/api/v1/events/",
        "k-1",
        &event("one"),
    )
    .await?;
    assert_ne!(theirs.created_id()?, id);

    server.kill()?;
    server.run().await?;
    let again = post(&server, "k-1", &event("one")).await?;
    assert!(is_replayed(&again));
    assert_eq!(again.created_id()?, id);
    assert_eq!(server.count("events").await?, 3);
    Ok(())
}

#[tokio::test]
async fn what_stores_nothing_may_be_sent_again() -> Result<()> {
    let server = Server::start().await?;
    let mut body = event("one");
    body["event_type"] = json!("Party");
    assert_eq!(post(&server, "k", &body).await?.json()["return_code"], 1);
    let dry = send(
        &server,
        &admin(),
        "POST",
        "/api/v1/events/?dry_run=1",
        "k",
        &event("one"),
    )
    .await?;
    assert_eq!(dry.json()["return_code"], 0);
    let stored = post(&server, "k", &event("one")).await?;
    assert!(!is_replayed(&stored));
    stored.created_id()?;
    assert_eq!(server.count("events").await?, 1);
    for key in ["", " ", &"k".repeat(256)] {
        let answer = post(&server, key, &event("one")).await?;
        assert_eq!(
            (answer.status, answer.json()),
            (
                400,
                json!({"error": "Idempotency-Key takes 1 to 255 printable ASCII characters."})
            ),
            "{key:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_patch_that_comes_again_changes_nothing() -> Result<()> {
    let server = Server::start().await?;
    let path = format!("/api/v1/events/{}/", server.event("one").await?);
    let add = json!({"action": "ticket_add", "ticket": {"ticket_number": "T-1", "date": "2020-01-02 03:04:05.000000"}});
    let first = send(&server, &admin(), "PATCH", &path, "k", &add).await?;
    assert_eq!(first.json()["message"], "success!");
    let after = server.get(&path).await?.json();
    let again = send(&server, &admin(), "PATCH", &path, "k", &add).await?;
    assert!(is_replayed(&again));
    assert_eq!(again.json(), first.json());
    assert_eq!(server.get(&path).await?.json(), after);
    let other = json!({"action": "status_update", "value": "Analyzed"});
    let refused = send(&server, &admin(), "PATCH", &path, "k", &other).await?;
    assert_eq!(refused.json()["error"]["code"], "key_reused");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_repeat_themselves_at_once_get_one_object() -> Result<()> {
    let server = Server::start().await?;
    let body = event("one");
    let answers = futures_util::future::join_all((0..16).map(|_| post(&server, "k", &body))).await;
    let mut ids = std::collections::BTreeSet::new();
    for answer in answers {
        ids.insert(answer?.created_id()?);
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(server.count("events").await?, 1);
    Ok(())
}

#[tokio::test]
async fn of_many_objects_each_has_its_own_key() -> Result<()> {
    let server = Server::start().await?;
    let objects = json!([event("a"), {"title": "b"}, event("a"), event("c")]);
    let path = "/api/v1/events/?bulk=1";
    let first = send(&server, &admin(), "POST", path, "k", &objects).await?;
    let lines = |answer: &Answer| -> Result<Vec<Json>> {
        answer
            .text
            .lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    };
    let ids =
        |lines: &[Json]| -> Vec<Json> { lines.iter().map(|line| line["id"].clone()).collect() };
    let first = lines(&first)?;
    assert_eq!(server.count("events").await?, 3);
    // Broken off and sent again, one object mended.
    let mended = json!([event("a"), event("b"), event("a"), event("c")]);
    let second = lines(&send(&server, &admin(), "POST", path, "k", &mended).await?)?;
    assert_eq!(server.count("events").await?, 4);
    let replayed: Vec<bool> = second.iter().map(|line| line["replayed"] == true).collect();
    assert_eq!(replayed, [true, false, true, true]);
    for place in [0, 2, 3] {
        assert_eq!(ids(&second)[place], ids(&first)[place]);
    }
    second[1]["id"]
        .as_str()
        .filter(|id| id.len() == 24)
        .context("an id")?;
    Ok(())
}
