//! Identifiers of actors: actions.md 3.2 to 3.4.

use anyhow::Result;
use critd_tests::{Server, json};

use crate::actor::{NOT_ATTRIBUTED, actor, identifier};
use crate::{about, not_found, not_of_type};

/// Found by type and value, both trimmed, by those alone who see it.
#[tokio::test]
async fn attribute_actor_identifier_1_by_type_and_value_and_visible() -> Result<()> {
    let server = Server::start().await?;
    let actor = actor(&server).await?;
    let handle = identifier(&server, "Handle", "h1", "Alpha").await?;
    let domain = identifier(&server, "Domain", "h1", "Alpha").await?;
    let hidden = identifier(&server, "Handle", "h2", "Beta").await?;
    let bob = server.add_user(
        "bob",
        &["Actor.read", "Actor.actor_identifiers_add"],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let attribute = |kind: &str, value: &str| json!({"action": "attribute_actor_identifier", "identifier_type": kind, "identifier": value});
    let refused = actor.patch_as(&bob, &attribute("Handle", "h2")).await?;
    let unknown = actor.patch_as(&bob, &attribute("Handle", "h3")).await?;
    assert_eq!(refused, unknown);
    assert_eq!(
        (refused["message"].as_str(), &refused["error"]),
        (Some(NOT_ATTRIBUTED), &not_found())
    );
    let found = actor.patch_as(&bob, &attribute(" Handle", " h1 ")).await?;
    assert_eq!(
        (
            &found["object"]["identifier_id"],
            &found["object"]["analyst"],
            &found["object"]["confidence"]
        ),
        (&json!(handle), &json!("bob"), &json!("low"))
    );
    for (kind, value, id) in [("Domain", "h1", &domain), ("Handle", "h2", &hidden)] {
        let entry = actor
            .done(attribute(kind, value), "Identifier attributed.")
            .await?;
        assert_eq!(entry["identifier_id"], json!(id));
    }
    // The identifiers themselves are as they were.
    let listed = server.get("/api/v1/actoridentifiers/?only=name").await?;
    assert_eq!(listed.json()["meta"]["total_count"], 3, "{}", listed.text);
    Ok(())
}

#[tokio::test]
async fn attribute_actor_identifier_3_attribute_actor_identifier_4_what_is_refused() -> Result<()> {
    let server = Server::start().await?;
    let actor = actor(&server).await?;
    identifier(&server, "Handle", "h1", "Alpha").await?;
    let mut rows = Vec::new();
    for (kind, value) in [
        ("Handle", ""),
        ("", "h1"),
        ("Handle", "H1"),
        ("Telephone", "h1"),
        ("Shoe Size", "h1"),
    ] {
        rows.push((
            json!({"action": "attribute_actor_identifier", "identifier_type": kind, "identifier": value}),
            NOT_ATTRIBUTED,
            not_found(),
        ));
    }
    rows.extend([
        (
            json!({"action": "attribute_actor_identifier", "identifier_type": "Handle"}),
            "Missing required argument 'identifier' for action 'attribute_actor_identifier'.",
            about("missing_argument", "identifier"),
        ),
        (
            json!({"action": "attribute_actor_identifier", "identifier_type": ["Handle"], "identifier": "h1"}),
            "Argument 'identifier_type' must be a string.",
            not_of_type("identifier_type", "string"),
        ),
        (
            json!({"action": "attribute_actor_identifier", "identifier_type": "Handle", "identifier": "h1", "confidence": "sure"}),
            "Invalid confidence: sure.",
            about("invalid_value", "confidence"),
        ),
    ]);
    actor.refuses(rows).await?;
    let entry = actor
        .done(
            json!({"action": "attribute_actor_identifier", "identifier_type": "Handle", "identifier": "h1", "confidence": " HIGH"}),
            "Identifier attributed.",
        )
        .await?;
    assert_eq!(entry["confidence"], "high");
    Ok(())
}

/// CON-4: of many equal requests at once one is done.
#[tokio::test]
async fn con_4_attribute_actor_identifier_2_an_identifier_is_attributed_once() -> Result<()> {
    let server = Server::start().await?;
    let actor = actor(&server).await?;
    identifier(&server, "Handle", "h1", "Alpha").await?;
    let body = json!({"action": "attribute_actor_identifier", "identifier_type": "Handle", "identifier": "h1"});
    let answers = futures_util::future::join_all((0..8).map(|_| actor.patch(&body))).await;
    let mut done = 0;
    for answer in answers {
        let answer = answer?;
        match answer["return_code"].as_i64() {
            Some(0) => done += 1,
            _ => assert_eq!(answer["error"]["code"], "already_exists", "{answer}"),
        }
    }
    assert_eq!(done, 1);
    assert_eq!(
        actor.read().await?["identifiers"].as_array().map(Vec::len),
        Some(1)
    );
    Ok(())
}

/// By id, in any letter case; who attributed it, and when, stays. Removing needs no sight of the identifier.
#[tokio::test]
async fn set_identifier_confidence_and_remove_attribution_go_by_id() -> Result<()> {
    let server = Server::start().await?;
    let actor = actor(&server).await?;
    let hidden = identifier(&server, "Handle", "h1", "Beta").await?;
    let attribute = json!({"action": "attribute_actor_identifier", "identifier_type": "Handle", "identifier": "h1", "confidence": "medium"});
    let entry = actor.done(attribute, "Identifier attributed.").await?;
    let bob = server.add_user(
        "bob",
        &[
            "Actor.read",
            "Actor.actor_identifiers_edit",
            "Actor.actor_identifiers_delete",
        ],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let set = json!({"action": "set_identifier_confidence", "identifier": hidden.to_uppercase(), "confidence": "High"});
    let changed = actor.patch_as(&bob, &set).await?;
    let mut expected = entry.clone();
    expected["confidence"] = json!("high");
    assert_eq!(changed["object"], expected, "{changed}");
    // 9.2, and the default.
    actor.idle(set, "Confidence set.").await?;
    let lowered = actor
        .done(
            json!({"action": "set_identifier_confidence", "identifier": hidden}),
            "Confidence set.",
        )
        .await?;
    assert_eq!(lowered["confidence"], "low");
    actor
        .refuses(vec![
            (
                json!({"action": "set_identifier_confidence", "identifier": hidden, "confidence": "benign"}),
                "Invalid confidence: benign.",
                about("invalid_value", "confidence"),
            ),
            (
                json!({"action": "set_identifier_confidence", "confidence": "low"}),
                "Missing required argument 'identifier' for action 'set_identifier_confidence'.",
                about("missing_argument", "identifier"),
            ),
            (
                json!({"action": "set_identifier_confidence", "identifier": "h1"}),
                "Argument 'identifier' must be an object id.",
                not_of_type("identifier", "object id"),
            ),
            (
                json!({"action": "remove_attribution", "identifier": ""}),
                "Missing required argument 'identifier' for action 'remove_attribution'.",
                about("missing_argument", "identifier"),
            ),
        ])
        .await?;
    let removed = actor
        .patch_as(
            &bob,
            &json!({"action": "remove_attribution", "identifier": hidden}),
        )
        .await?;
    assert_eq!(removed["object"], lowered, "{removed}");
    assert_eq!(actor.read().await?["identifiers"], json!([]));
    // The identifier stays.
    let kept = server.get("/api/v1/actoridentifiers/").await?.json();
    assert_eq!(kept["meta"]["total_count"], 1);
    Ok(())
}
