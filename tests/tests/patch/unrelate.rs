//! `delete_relationship`, `update_relationship` (actions.md section 10)

use anyhow::Result;
use critd_tests::{Json, json};

use crate::{World, done, list, refused, without};

const NOBODY: &str = "0123456789abcdef01234567";

/// Bodies about a relationship to a domain.
fn relation(action: &str, domain: &str, name: &str, more: &Json) -> Json {
    let mut body =
        json!({"action": action, "right_type": "Domain", "right_id": domain, "rel_type": name});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn new_5_relationships_are_deleted_on_both_sides() -> Result<()> {
    let world = World::start().await?;
    let (event, domain) = (world.event("E").await?, world.domain("example.com").await?);
    for date in ["2026-01-14", "2026-01-15", "2026-01-16"] {
        let body = relation(
            "forge_relationship",
            &domain,
            "Contains",
            &json!({"rel_date": date}),
        );
        done(
            &world.say("events", &event, body).await?,
            "Relationship forged.",
        );
    }
    let dates = |document: &Json| -> Vec<String> {
        let entries = list(document, "relationships").iter();
        entries
            .filter_map(|entry| Some(entry["relationship_date"].as_str()?[..10].to_owned()))
            .collect()
    };
    let delete = |name: &str, more: Json| relation("delete_relationship", &domain, name, &more);
    let removed = "Relationship removed.";
    done(
        &world
            .say(
                "events",
                &event,
                delete("contains", json!({"rel_date": "2026-01-15"})),
            )
            .await?,
        removed,
    );
    for (resource, id) in [("events", &event), ("domains", &domain)] {
        assert_eq!(
            dates(&world.document(resource, id).await?),
            ["2026-01-14", "2026-01-16"]
        );
    }
    let before = world.document("domains", &domain).await?;
    for (name, more) in [
        ("Contains", json!({"rel_date": "2026-01-15"})),
        ("Contained Within", json!({})),
        ("Contains", json!({"right_id": NOBODY})),
        ("Contains", json!({"right_type": "IP"})),
        ("Contains", json!({"right_type": "Role"})),
        ("Contains", json!({"right_id": "x"})),
    ] {
        refused(
            &world.say("events", &event, delete(name, more)).await?,
            "Relationship not found.",
            "not_found",
        );
    }
    refused(
        &world
            .say("events", &event, delete("Foo", json!({})))
            .await?,
        "Could not find relationship type",
        "invalid_value",
    );
    assert_eq!(world.document("domains", &domain).await?, before);
    // From the other side, the first one.
    let body = json!({"action": "delete_relationship", "right_type": "events", "right_id": event, "rel_type": "Contained Within"});
    done(&world.say("domains", &domain, body).await?, removed);
    for (resource, id) in [("events", &event), ("domains", &domain)] {
        assert_eq!(dates(&world.document(resource, id).await?), ["2026-01-16"]);
    }
    Ok(())
}

/// C3: a relationship to what the caller does not see is not shown to be there.
#[tokio::test]
async fn new_5_new_6_c3_relationships_to_hidden_objects() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let form = [("domain", "example.net"), ("source", "Beta")];
    let hidden = world
        .server
        .post("/api/v1/domains/", &form)
        .await?
        .created_id()?;
    let path = format!("/api/v1/events/{event}/");
    let body = relation("forge_relationship", &hidden, "Contains", &json!({}));
    assert_eq!(
        world.server.patch(&path, &body).await?.json()["return_code"],
        0
    );
    let before = world.document("events", &event).await?;
    for (action, more) in [
        ("delete_relationship", json!({})),
        ("update_relationship", json!({"new_reason": "r"})),
    ] {
        let answer = world
            .say(
                "events",
                &event,
                relation(action, &hidden, "Contains", &more),
            )
            .await?;
        refused(&answer, "Relationship not found.", "not_found");
    }
    assert_eq!(world.document("events", &event).await?, before);
    Ok(())
}

#[tokio::test]
async fn new_6_relationships_are_changed_on_both_sides() -> Result<()> {
    let world = World::start().await?;
    let (event, domain) = (world.event("E").await?, world.domain("example.com").await?);
    for (name, date) in [
        ("Contains", "2026-01-14"),
        ("Contains", "2026-01-15"),
        ("Created", "2026-01-14"),
    ] {
        let body = relation(
            "forge_relationship",
            &domain,
            name,
            &json!({"rel_date": date}),
        );
        done(
            &world.say("events", &event, body).await?,
            "Relationship forged.",
        );
    }
    let update = |more: Json| relation("update_relationship", &domain, "Contains", &more);
    let updated = "Relationship updated.";
    let answer = world.say("events", &event, update(json!({}))).await?;
    refused(
        &answer,
        "One of 'new_type', 'new_date', 'new_confidence' and 'new_reason' is needed.",
        "missing_argument",
    );
    for (more, message, code) in [
        (
            json!({"new_type": "Foo"}),
            "Could not find relationship type",
            "invalid_value",
        ),
        (
            json!({"new_confidence": "sure"}),
            "Invalid relationship confidence: sure.",
            "invalid_value",
        ),
        (
            json!({"new_type": "Created"}),
            "Relationship already exists",
            "already_exists",
        ),
        (
            json!({"new_date": "2026-01-15"}),
            "Relationship already exists",
            "already_exists",
        ),
        (
            json!({"new_reason": "r", "rel_date": "2026-01-13"}),
            "Relationship not found.",
            "not_found",
        ),
    ] {
        refused(
            &world.say("events", &event, update(more)).await?,
            message,
            code,
        );
    }
    let more = json!({"rel_date": "2026-01-15", "new_type": "dropped", "new_date": "2026-01-16", "new_confidence": "high", "new_reason": "r"});
    let object = done(&world.say("events", &event, update(more)).await?, updated);
    let expected = json!({"relationship": "Dropped", "type": "Domain", "value": domain, "relationship_date": "2026-01-16 00:00:00.000000", "analyst": "alice", "rel_confidence": "high", "rel_reason": "r"});
    assert_eq!(without(&object, &["date"]), expected);
    let left = world.document("events", &event).await?;
    assert_eq!(list(&left, "relationships")[1], object);
    let mut mirror = object.clone();
    mirror["relationship"] = json!("Dropped By");
    mirror["type"] = json!("Event");
    mirror["value"] = json!(event);
    let right = world.document("domains", &domain).await?;
    assert_eq!(list(&right, "relationships")[1], mirror);
    assert_eq!(
        (
            list(&left, "relationships").len(),
            list(&right, "relationships").len()
        ),
        (3, 3)
    );
    assert_eq!(left["modified"], right["modified"]);
    // ACT-18: what it is already is no change.
    let body = relation(
        "update_relationship",
        &domain,
        "Dropped",
        &json!({"new_confidence": "high", "new_reason": "r"}),
    );
    done(&world.say("events", &event, body).await?, updated);
    assert_eq!(world.document("events", &event).await?, left);
    Ok(())
}
