//! PATCH over HTTP: the worked example, concurrent actions, texts and codes for bad arguments.

use anyhow::Result;
use critd_tests::{Json, Server, json};

/// actions.md 7.1: the wiki's example in full, and its failures.
#[tokio::test]
async fn ticket_add_the_wikis_example() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("wiki").await?;
    let path = format!("/api/v1/events/{event}/");
    let before = server.get(&path).await?.json();

    let body = json!({"action": "ticket_add", "ticket": {"ticket_number": 12345, "date": "2026-01-15 10:20:30.123456"}});
    let answer = server.patch(&path, &body).await?;
    assert_eq!(answer.status, 200);
    let entry = json!([{"analyst": "admin", "date": "2026-01-15 10:20:30.123000", "ticket_number": "12345"}]);
    let mut expected = json!({"return_code": 0, "type": "Event", "id": event, "message": "success!", "detail": "Ticket added."});
    expected["object"] = entry.clone();
    assert_eq!(answer.json(), expected);

    let mut after = server.get(&path).await?.json();
    assert_eq!(after["tickets"], entry);
    assert_ne!(after["modified"], before["modified"]);
    after["tickets"] = json!([]);
    after["modified"] = before["modified"].clone();
    assert_eq!(after, before, "nothing else changes");

    let again = server.patch(&path, &body).await?.json();
    assert_eq!(
        (again["message"].as_str(), again["detail"].as_str()),
        (Some("success!"), Some("Ticket already present."))
    );
    let found = server
        .get("/api/v1/events/?c-tickets.ticket_number=12345")
        .await?
        .json();
    assert_eq!(found["meta"]["total_count"], 1);
    Ok(())
}

/// Two PATCHes at once on one event: both tickets stored (must show of the foundation).
#[tokio::test]
async fn con_two_ticket_adds_at_once_are_both_stored() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("race").await?;
    let path = format!("/api/v1/events/{event}/");
    for round in 0..20 {
        let (first, second) = (format!("{round}-a"), format!("{round}-b"));
        let (first, second) = (
            json!({"action": "ticket_add", "ticket": {"ticket_number": first}}),
            json!({"action": "ticket_add", "ticket": {"ticket_number": second}}),
        );
        let (one, two) = tokio::join!(server.patch(&path, &first), server.patch(&path, &second));
        assert_eq!(
            (&one?.json()["return_code"], &two?.json()["return_code"]),
            (&json!(0), &json!(0))
        );
    }
    let tickets = server.get(&path).await?.json()["tickets"]
        .as_array()
        .map(Vec::len);
    assert_eq!(tickets, Some(40));
    Ok(())
}

/// One row: request body, message, `error`.
fn refusals(event: &str) -> Vec<(Json, &'static str, Json)> {
    vec![
        (
            json!({"action": "ticket_add"}),
            "Missing required argument 'ticket' for action 'ticket_add'.",
            json!({"code": "missing_argument", "argument": "ticket"}),
        ),
        (
            json!({"action": "ticket_add", "ticket": {"date": "2026-01-15 10:20:30.1"}}),
            "Missing key 'ticket_number' in argument 'ticket'.",
            json!({"code": "missing_key", "argument": "ticket", "key": "ticket_number"}),
        ),
        (
            json!({"action": "ticket_update", "ticket": {"ticket_number": "1"}}),
            "Missing key 'date' in argument 'ticket'.",
            json!({"code": "missing_key", "argument": "ticket", "key": "date"}),
        ),
        (
            json!({"action": "description_update", "description": ["a"]}),
            "Argument 'description' must be a string.",
            json!({"code": "invalid_type", "argument": "description", "expected": "string"}),
        ),
        (
            json!({"action": "description_update", "description": {"a": 1}}),
            "Argument 'description' must be a string.",
            json!({"code": "invalid_type", "argument": "description", "expected": "string"}),
        ),
        (
            json!({"action": "ticket_add", "ticket": "ticket_number"}),
            "Argument 'ticket' must be an object.",
            json!({"code": "invalid_type", "argument": "ticket", "expected": "object"}),
        ),
        (
            json!({"action": "ticket_add", "ticket": {"ticket_number": "1", "date": "2026-01-15"}}),
            "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.",
            json!({"code": "invalid_date", "argument": "ticket", "key": "date"}),
        ),
        (
            json!({"action": "ticket_remove", "date": "yesterday"}),
            "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.",
            json!({"code": "invalid_date", "argument": "date"}),
        ),
        (
            json!({"action": "ticket_remove", "date": "2026-01-15 10:20:30.1"}),
            "Ticket not found.",
            json!({"code": "not_found"}),
        ),
        (
            json!({"action": "ticket_add", "ticket": {"ticket_number": " , "}}),
            "Argument 'ticket' has no ticket number.",
            json!({"code": "invalid_value", "argument": "ticket"}),
        ),
        (
            json!({"action": "status_update", "value": "Bad"}),
            "Invalid status: Bad.",
            json!({"code": "invalid_value", "argument": "value"}),
        ),
        (
            json!({"action": "nosuch", "id_": event}),
            "'nosuch' is not a valid action.",
            json!({"code": "unknown_action"}),
        ),
        (
            json!({"value": "New"}),
            "'None' is not a valid action.",
            json!({"code": "unknown_action"}),
        ),
        (
            json!({"action": ["status_update"]}),
            "'None' is not a valid action.",
            json!({"code": "unknown_action"}),
        ),
        (
            json!({"action": "set_actor_name", "name": "x"}),
            "'set_actor_name' is not a valid action.",
            json!({"code": "unsupported_for_type"}),
        ),
    ]
}

/// Core-api 13.3: texts and codes; a refusal stores nothing and never says "success".
#[tokio::test]
async fn p13_bad_arguments_are_answered_with_text_and_code() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("bad arguments").await?;
    let path = format!("/api/v1/events/{event}/");
    let before = server.get(&path).await?.text;
    for (body, message, error) in refusals(&event) {
        let answer = server.patch(&path, &body).await?;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        let json = answer.json();
        assert_eq!(json["message"], message, "{body}");
        assert_eq!(json["return_code"], 1, "{body}");
        assert_eq!(json["error"], error, "{body}");
        assert_eq!(
            (&json["type"], &json["id"]),
            (&json!("Event"), &json!(event)),
            "{body}"
        );
        assert!(!message.contains("success"));
    }
    assert_eq!(server.get(&path).await?.text, before);
    Ok(())
}

/// ACT-9, P10a: `id_`, `type_`, `user` from the client are dropped; the injected values win. AZ-3.
#[tokio::test]
async fn act9_injected_values_win() -> Result<()> {
    let server = Server::start().await?;
    let (mine, other) = (server.event("mine").await?, server.event("other").await?);
    let untouched = server.get(&format!("/api/v1/events/{other}/")).await?.text;
    let body = json!({"action": "ticket_add", "ticket": {"ticket_number": "7", "analyst": "mallory"}, "id_": other, "_id": other, "object_id": other, "oid": other, "type_": "Domain", "user": "mallory"});
    let answer = server
        .patch(&format!("/api/v1/events/{mine}/"), &body)
        .await?
        .json();
    assert_eq!(answer["return_code"], 0);
    assert_eq!(answer["object"][0]["analyst"], "admin");
    assert_eq!(
        answer["ignored_arguments"],
        json!(["_id", "object_id", "oid"])
    );
    assert_eq!(
        server.get(&format!("/api/v1/events/{mine}/")).await?.json()["tickets"][0]["ticket_number"],
        "7"
    );
    assert_eq!(
        server.get(&format!("/api/v1/events/{other}/")).await?.text,
        untouched
    );
    Ok(())
}

/// Core-api 13.5: without the flag the action's own refusal text; nothing changes. AZ-5.
#[tokio::test]
async fn s17_p13_5_permission_is_required_on_the_documents_type() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("flags").await?;
    let path = format!("/api/v1/events/{event}/");
    let user = server.add_user(
        "weak",
        &["Event.read", "Domain.tickets_add", "Event.tickets_edit"],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let before = server.get(&path).await?.text;
    let rows = [
        (
            json!({"action": "ticket_add", "ticket": {"ticket_number": "1"}}),
            "User does not have permission to add tickets.",
            "Event.tickets_add",
        ),
        (
            json!({"action": "ticket_remove", "date": "2026-01-15 10:20:30.1"}),
            "User does not have permission to delete tickets.",
            "Event.tickets_delete",
        ),
        (
            json!({"action": "status_update", "value": "New"}),
            "User does not have permission to edit status.",
            "Event.status_edit",
        ),
        (
            json!({"action": "description_update", "description": ""}),
            "User does not have permission to edit description.",
            "Event.description_edit",
        ),
    ];
    for (body, message, flag) in rows {
        let answer = server.patch_as(&user, &path, &body).await?.json();
        assert_eq!(answer["message"], message);
        assert_eq!(
            answer["error"],
            json!({"code": "forbidden", "permission": flag})
        );
    }
    assert_eq!(server.get(&path).await?.text, before);
    Ok(())
}

/// AZ-4: an id of another type under a resource is unknown; the other document is untouched.
#[tokio::test]
async fn az4_the_type_of_the_url_is_the_type_of_the_document() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("typed").await?;
    for resource in ["actors", "campaigns", "domains", "indicators", "ips"] {
        let path = format!("/api/v1/{resource}/{event}/");
        let answer = server
            .patch(
                &path,
                &json!({"action": "status_update", "value": "Analyzed"}),
            )
            .await?;
        assert_eq!(
            (answer.status, answer.json()),
            (404, json!({"error": "Not found."}))
        );
        assert_eq!(server.get(&path).await?.status, 404);
    }
    assert_eq!(
        server
            .get(&format!("/api/v1/events/{event}/"))
            .await?
            .json()["status"],
        "New"
    );
    Ok(())
}

/// Rules of the other actions of the foundation, over HTTP.
#[tokio::test]
async fn tickets_status_description_and_names_of_actors() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("all actions").await?;
    let path = format!("/api/v1/events/{event}/");
    let say = async |body: Json| -> Result<Json> { Ok(server.patch(&path, &body).await?.json()) };

    say(json!({"action": "ticket_add", "ticket": {"ticket_number": "1, 2,, 1", "date": "2026-01-15 10:20:30.5"}})).await?;
    let updated = say(json!({"action": "ticket_update", "ticket": {"ticket_number": "3", "date": "2026-01-15 10:20:30.500999"}})).await?;
    assert_eq!(
        (&updated["return_code"], &updated["object"]["ticket_number"]),
        (&json!(0), &json!("3"))
    );
    let taken = say(json!({"action": "ticket_update", "ticket": {"ticket_number": "3", "date": "2026-01-15 10:20:30.500"}})).await?;
    assert_eq!(
        (taken["message"].as_str(), &taken["error"]["code"]),
        (Some("Ticket 3 already exists."), &json!("already_exists"))
    );
    let removed = say(
        json!({"action": "ticket_remove", "date": "2026-01-15 10:20:30.500", "ticket_number": "3"}),
    )
    .await?;
    assert_eq!(removed["object"]["ticket_number"], "3");
    let numbers: Vec<Json> = server.get(&path).await?.json()["tickets"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|t| t["ticket_number"].clone())
        .collect();
    assert_eq!(numbers, [json!("2")]);

    let status = say(json!({"action": "status_update", "value": " deprecated"})).await?;
    assert_eq!(
        (status["detail"].as_str(), &status["object"]),
        (
            Some("Status set to Deprecated."),
            &json!({"status": "Deprecated"})
        )
    );
    let text =
        say(json!({"action": "description_update", "description": "a &lt;b&gt; &amp;amp; "}))
            .await?;
    assert_eq!(
        (text["detail"].as_str(), &text["object"]["description"]),
        (Some("Description set."), &json!("a <b> &amp; "))
    );
    let modified = server.get(&path).await?.json()["modified"].clone();
    say(json!({"action": "description_update", "description": "a &lt;b&gt; &amp;amp; "})).await?;
    assert_eq!(
        server.get(&path).await?.json()["modified"],
        modified,
        "ACT-18: a no-op changes nothing"
    );

    let actor = server
        .post(
            "/api/v1/actors/",
            &[("name", "Bear"), ("source", "Alpha"), ("aliases", "a, b")],
        )
        .await?
        .created_id()?;
    server
        .post("/api/v1/actors/", &[("name", "Panda"), ("source", "Alpha")])
        .await?
        .created_id()?;
    let path = format!("/api/v1/actors/{actor}/");
    let taken = server
        .patch(
            &path,
            &json!({"action": "set_actor_name", "name": " Panda "}),
        )
        .await?
        .json();
    assert_eq!(
        (taken["message"].as_str(), &taken["error"]["code"]),
        (
            Some("An Actor named 'Panda' already exists."),
            &json!("conflict")
        )
    );
    let blank = server
        .patch(&path, &json!({"action": "set_actor_name", "name": "  "}))
        .await?
        .json();
    assert_eq!(blank["message"], "Argument 'name' must not be empty.");
    server
        .patch(&path, &json!({"action": "set_actor_name", "name": "Fox"}))
        .await?;
    server
        .patch(
            &path,
            &json!({"action": "update_actor_aliases", "aliases": "c,,c ", "mode": "add"}),
        )
        .await?;
    let actor = server.get(&path).await?.json();
    assert_eq!(
        (&actor["name"], &actor["aliases"]),
        (&json!("Fox"), &json!(["a", "b", "c"]))
    );
    Ok(())
}
