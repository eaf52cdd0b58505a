//! `GET /api/v1/actions/`, `GET /api/v1/RESOURCE/actions/` and `vocab/Actions`: actions.md section 6.

use anyhow::{Context as _, Result};
use critd_tests::{Json, Server, User, admin, json};

async fn objects(server: &Server, user: &User, path: &str) -> Result<Vec<Json>> {
    let answer = server.get_as(user, path).await?;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    let list = answer.json();
    let objects = list["objects"].as_array().cloned().context("no objects")?;
    if path.contains("limit=0") {
        assert_eq!(list["meta"]["total_count"], objects.len(), "{path}");
    }
    Ok(objects)
}

fn named<'a>(objects: &'a [Json], action: &str) -> &'a Json {
    let found: Vec<_> = objects
        .iter()
        .filter(|object| object["action"] == action)
        .collect();
    assert_eq!(found.len(), 1, "{action}");
    found[0]
}

/// All that a client must know of an action: what the wiki said it would not document.
#[tokio::test]
async fn act_6_1_an_action_is_told_in_full() -> Result<()> {
    let server = Server::start().await?;
    let all = objects(&server, &admin(), "/api/v1/actions/?limit=0").await?;
    let ticket = named(&all, "ticket_add");
    assert_eq!(
        (&ticket["permission"], &ticket["refusal"], &ticket["plugin"]),
        (
            &json!("tickets_add"),
            &json!("User does not have permission to add tickets."),
            &json!("common")
        )
    );
    assert!(
        ticket["version"]
            .as_str()
            .is_some_and(|version| !version.is_empty())
    );
    let types = ticket["types"].as_array().context("types")?;
    assert_eq!(types.len(), 15, "{types:?}");
    assert!(!types.contains(&json!("Comment")), "{types:?}");
    assert_eq!(ticket["allowed_on"], ticket["types"]);
    let keys = &ticket["args"][0]["keys"];
    assert_eq!(
        (
            &ticket["args"][0]["name"],
            &ticket["args"][0]["type"],
            &ticket["args"][0]["required"]
        ),
        (&json!("ticket"), &json!("map"), &json!(true))
    );
    assert_eq!(
        (
            &keys[0]["name"],
            &keys[0]["type"],
            &keys[1]["default"],
            &keys[1]["required"]
        ),
        (
            &json!("ticket_number"),
            &json!("list"),
            &json!("now"),
            &json!(false)
        )
    );
    assert_eq!(
        ticket["request"],
        json!({"action": "ticket_add", "ticket": {"ticket_number": "INC-12345", "date": "2026-01-15 10:20:30.123456"}})
    );
    let example = &ticket["examples"][0];
    assert_eq!(example["request"]["action"], "ticket_add");
    assert_eq!(
        example["answer"]["object"][0]["date"], "2026-01-15 10:20:30.123000",
        "dates are shown as in documents"
    );
    let refused = ticket["examples"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|example| example["answer"]["return_code"] == 1);
    assert_eq!(
        refused.context("no refusal")?["answer"]["error"],
        json!({"code": "invalid_value", "argument": "ticket"})
    );

    // The values of a vocabulary are there; one more is found by its own name.
    let status = named(&all, "status_update");
    assert_eq!(status["args"][0]["vocab"], "Status");
    assert_eq!(
        status["args"][0]["values"],
        json!(["Analyzed", "Deprecated", "In Progress", "New"])
    );
    assert_eq!(status["args"][0]["default"], "In Progress");
    let uri = status["resource_uri"].as_str().context("resource_uri")?;
    assert_eq!(
        objects(&server, &admin(), uri).await?,
        std::slice::from_ref(status)
    );
    assert_eq!(server.get("/api/v1/actions/nope/").await?.status, 404);
    assert_eq!(server.post("/api/v1/actions/", &[]).await?.status, 405);
    let paged = server
        .get("/api/v1/actions/?limit=1&offset=1")
        .await?
        .json();
    assert_eq!(paged["objects"], json!([all[1]]));
    assert_eq!(
        paged["meta"]["previous"]
            .as_str()
            .map(|link| link.starts_with("/api/v1/actions/?")),
        Some(true)
    );
    for format in ["xml", "yaml"] {
        let answer = server
            .get(&format!("/api/v1/actions/?limit=0&format={format}"))
            .await?;
        assert!(
            answer.status == 200 && answer.text.contains("ticket_add"),
            "{format}"
        );
    }
    Ok(())
}

/// The request that is shown for an action has all that must be sent, and is understood: of every action on every type.
#[tokio::test]
async fn act_6_1_the_requests_shown_are_complete() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("subject").await?;
    let all = objects(&server, &admin(), "/api/v1/events/actions/?limit=0").await?;
    assert!(all.len() >= 5, "{}", all.len());
    for action in &all {
        assert_eq!(action["types"], json!(["Event"]));
        let path = format!("/api/v1/events/{event}/?dry_run=1");
        let answer = server.patch(&path, &action["request"]).await?;
        let answer = answer.json();
        let code = answer["error"]["code"].as_str().unwrap_or_default();
        assert!(
            !matches!(
                code,
                "missing_argument"
                    | "missing_key"
                    | "invalid_type"
                    | "invalid_date"
                    | "unknown_action"
            ),
            "{}: {answer}",
            action["request"]
        );
        assert_eq!(answer["ignored_arguments"], Json::Null, "{answer}");
    }
    Ok(())
}

/// Who may not read a type is not told what can be done to it; what may not be done is told apart.
#[tokio::test]
async fn act_6_1_the_list_is_the_callers() -> Result<()> {
    let server = Server::start().await?;
    let user = server.add_user(
        "reader",
        &["Event.read", "Event.tickets_add", "Actor.name_edit"],
        &[],
    )?;
    let all = objects(&server, &user, "/api/v1/actions/?limit=0").await?;
    for action in &all {
        assert_eq!(action["types"], json!(["Event"]), "{action}");
    }
    assert_eq!(named(&all, "ticket_add")["allowed_on"], json!(["Event"]));
    assert_eq!(named(&all, "ticket_remove")["allowed_on"], json!([]));
    assert!(
        !all.iter()
            .any(|action| action["action"] == "set_actor_name")
    );
    assert_eq!(
        server
            .get_as(&user, "/api/v1/actions/set_actor_name/")
            .await?
            .status,
        404
    );
    let actors = server.get_as(&user, "/api/v1/actors/actions/").await?;
    let domains = server.get_as(&user, "/api/v1/domains/").await?;
    assert_eq!((actors.status, actors.text), (403, domains.text));
    let nobody = User {
        name: "nobody".into(),
        key: "0".repeat(40),
    };
    assert_eq!(
        server.get_as(&nobody, "/api/v1/actions/").await?.status,
        401
    );
    Ok(())
}

/// The category `Actions`: names, and the declarations in the form of 6.1.
#[tokio::test]
async fn act_6_1_actions_are_a_vocabulary() -> Result<()> {
    let server = Server::start().await?;
    let user = server.add_user("reader", &["Event.read"], &[])?;
    let entry = server.get_as(&user, "/api/v1/vocab/Actions/").await?.json();
    let names = entry["values"].as_array().context("values")?;
    assert!(
        names.contains(&json!("ticket_add")) && !names.contains(&json!("set_actor_name")),
        "{names:?}"
    );
    let declarations = entry["actions"].as_array().context("actions")?;
    let ticket = named(declarations, "ticket_add");
    assert_eq!(
        (&ticket["types"], &ticket["permission"]),
        (&json!(["Event"]), &json!("tickets_add"))
    );
    assert_eq!(ticket["touches"], json!(["self.tickets"]));
    let list = server.get_as(&user, "/api/v1/vocab/?limit=0").await?.json();
    assert_eq!(list["meta"]["total_count"], 17);
    assert_eq!(list["objects"][16]["category"], "Actions");
    Ok(())
}
