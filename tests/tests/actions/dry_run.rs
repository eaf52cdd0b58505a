//! `dry_run=1`: what a request would change.

use anyhow::Result;
use critd_tests::{Json, Server, json};

async fn total(server: &Server) -> Result<Json> {
    Ok(server.get("/api/v1/audit/?limit=1").await?.json()["meta"]["total_count"].clone())
}

#[tokio::test]
async fn dry_runs_of_a_patch_tell_the_difference_and_store_nothing() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("tried").await?;
    let path = format!("/api/v1/events/{event}/");
    server.patch(&path, &json!({"action": "ticket_add", "ticket": {"ticket_number": "1", "date": "2026-01-15 10:20:30.5"}})).await?;
    let (before, entries) = (server.get(&path).await?.json(), total(&server).await?);
    let dry = async |body: Json| -> Result<Json> {
        Ok(server
            .patch(&format!("{path}?dry_run=1"), &body)
            .await?
            .json())
    };

    let added = dry(json!({"action": "ticket_add", "ticket": {"ticket_number": "2", "date": "2026-01-16 00:00:00.0"}})).await?;
    let mut after = before["tickets"].clone();
    let entry =
        json!({"analyst": "admin", "date": "2026-01-16 00:00:00.000000", "ticket_number": "2"});
    after
        .as_array_mut()
        .into_iter()
        .for_each(|tickets| tickets.push(entry.clone()));
    assert_eq!(
        added["difference"],
        json!([{"type": "Event", "id": event, "fields": {"tickets": {"before": before["tickets"], "after": after}}}])
    );
    assert_eq!(
        (&added["return_code"], &added["detail"]),
        (&json!(0), &json!("Ticket added."))
    );

    let nothing = dry(json!({"action": "status_update", "value": "New"})).await?;
    assert_eq!(
        (&nothing["return_code"], &nothing["difference"]),
        (&json!(0), &json!([]))
    );
    let refused = dry(json!({"action": "status_update", "value": "Bad"})).await?;
    assert_eq!(
        (&refused["return_code"], &refused["difference"]),
        (&json!(1), &Json::Null)
    );
    let real = server
        .patch(&path, &json!({"action": "status_update", "value": "New"}))
        .await?
        .json();
    assert_eq!(real["difference"], Json::Null, "{real}");

    assert_eq!(server.get(&path).await?.json(), before);
    assert_eq!(total(&server).await?, entries);
    Ok(())
}

/// What would become of the document that the answer is about.
fn of_answer(answer: &Json) -> Json {
    let changed = answer["difference"].as_array().into_iter().flatten();
    let mut its_own = changed.filter(|changed| changed["id"] == answer["id"]);
    its_own.next().cloned().unwrap_or_default()
}

/// What the caller would not be shown by a GET, a dry run does not show either.
#[tokio::test]
async fn dry_runs_show_what_a_get_shows() -> Result<()> {
    let server = Server::start().await?;
    let all: &[&str] = &["--read", "--write", "--tlp", "red,amber,green"];
    let form = |source, method| {
        [
            ("domain", "www.example.com"),
            ("source", source),
            ("method", method),
        ]
    };
    for (source, method) in [("Alpha", "first"), ("Beta", "secret")] {
        let made = server
            .post("/api/v1/domains/", &form(source, method))
            .await?;
        made.created_id()?;
    }
    let entries = total(&server).await?;
    let tried = async |user: &critd_tests::User| -> Result<Json> {
        let path = "/api/v1/domains/?dry_run=1";
        Ok(server
            .post_as(user, path, &form("Alpha", "second"))
            .await?
            .json())
    };
    let narrow = server.add_user(
        "narrow",
        &["Domain.read", "Domain.write"],
        &[("Alpha", all)],
    )?;
    let answer = tried(&narrow).await?;
    assert_eq!(answer["return_code"], 0, "{answer}");
    assert!(
        !answer["difference"].to_string().contains("secret"),
        "{answer}"
    );
    let changed = of_answer(&answer);
    assert_eq!(changed["type"], "Domain");
    let source = &changed["fields"]["source"];
    let instances = |side: &str| source[side][0]["instances"].as_array().map(Vec::len);
    assert_eq!(
        (instances("before"), instances("after")),
        (Some(1), Some(2)),
        "{source}"
    );
    assert_eq!(source["after"][1]["name"], "Other", "{source}");

    // Of what there is not yet, all is new.
    let form = [("domain", "new.example.com"), ("source", "Alpha")];
    let answer = server
        .post_as(&narrow, "/api/v1/domains/?dry_run=1", &form)
        .await?
        .json();
    let new = of_answer(&answer);
    assert_eq!(new["fields"]["domain"], json!({"after": "new.example.com"}));
    assert_eq!(answer["created"], true);

    // Who may write but not read is told that it would be done, and nothing of what there is.
    let blind = server.add_user("blind", &["Domain.write"], &[("Alpha", all)])?;
    let answer = tried(&blind).await?;
    assert_eq!(
        (&answer["return_code"], &answer["difference"]),
        (&json!(0), &json!([])),
        "{answer}"
    );
    assert_eq!(total(&server).await?, entries);
    Ok(())
}
