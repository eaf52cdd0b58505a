//! `campaign_add`, `campaign_edit`, `campaign_remove` (actions.md section 10)

use anyhow::Result;
use critd_tests::{Json, json};

use crate::{World, done, list, refused, without};

#[tokio::test]
async fn new_2_campaigns_are_added_and_confidence_raised() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let detail = "Campaign assigned successfully!";
    let add = |more: Json| {
        let mut body = json!({"action": "campaign_add", "name": "Bear"});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        world.say("events", &event, body)
    };
    let object = done(
        &add(json!({"confidence": "Medium", "description": " d "})).await?,
        detail,
    );
    let expected =
        json!({"name": "Bear", "confidence": "medium", "analyst": "alice", "description": " d "});
    assert_eq!(without(&object, &["date"]), expected);
    for (confidence, stored) in [
        ("low", "medium"),
        ("medium", "medium"),
        ("high", "high"),
        ("low", "high"),
    ] {
        let object = done(&add(json!({"confidence": confidence})).await?, detail);
        assert_eq!(
            (&object["confidence"], &object["description"]),
            (&json!(stored), &json!(" d "))
        );
    }
    assert_eq!(
        list(&world.document("events", &event).await?, "campaign").len(),
        1
    );
    refused(
        &add(json!({"confidence": "sure"})).await?,
        "Invalid campaign confidence: sure.",
        "invalid_value",
    );
    refused(
        &add(json!({"name": " "})).await?,
        "Argument 'name' must not be empty.",
        "invalid_value",
    );
    Ok(())
}

/// With `related` what is related, visible and permitted is attributed too.
#[tokio::test]
async fn new_2_related_objects_are_attributed_too() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let domain = world.domain("example.com").await?;
    let form = [("domain", "example.net"), ("source", "Beta")];
    let hidden = world
        .server
        .post("/api/v1/domains/", &form)
        .await?
        .created_id()?;
    let target = world
        .make("targets", &[("email_address", "t@example.org")])
        .await?;
    let campaign = world.make("campaigns", &[("name", "Bear")]).await?;
    let path = format!("/api/v1/events/{event}/");
    for (of, id) in [
        ("Domain", &domain),
        ("Domain", &hidden),
        ("Target", &target),
        ("Campaign", &campaign),
    ] {
        for name in ["Contains", "Related To"] {
            let body = json!({"action": "forge_relationship", "right_type": of, "right_id": id, "rel_type": name});
            assert_eq!(
                world.server.patch(&path, &body).await?.json()["return_code"],
                0
            );
        }
    }
    let weak = world.server.add_user(
        "weak",
        &[
            "Event.read",
            "Event.campaigns_add",
            "Domain.read",
            "Domain.campaigns_add",
        ],
        &[("OSINT", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let body = json!({"action": "campaign_add", "name": "Bear", "related": true});
    let object = done(
        &world.say_as(&weak, "events", &event, &body).await?,
        "Campaign assigned successfully!",
    );
    assert_eq!(object["related"], 1);
    for (resource, id, count) in [
        ("domains", &domain, 1),
        ("domains", &hidden, 0),
        ("targets", &target, 0),
        ("campaigns", &campaign, 0),
    ] {
        assert_eq!(
            list(&world.document(resource, id).await?, "campaign").len(),
            count,
            "{resource}"
        );
    }
    let object = done(
        &world.say_as(&world.alice, "events", &event, &body).await?,
        "Campaign assigned successfully!",
    );
    assert_eq!(object["related"], 1);
    assert_eq!(
        world.document("targets", &target).await?["campaign"][0]["analyst"],
        "alice"
    );
    Ok(())
}

#[tokio::test]
async fn new_3_new_4_campaigns_are_edited_and_removed() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    for name in ["Bear", "Fox"] {
        let body = json!({"action": "campaign_add", "name": name, "confidence": "high", "description": "d"});
        done(
            &world.say("events", &event, body).await?,
            "Campaign assigned successfully!",
        );
    }
    let body = json!({"action": "campaign_edit", "name": "Bear", "confidence": "low", "date": "2026-01-15 10:20:30.123456"});
    let object = done(
        &world.say("events", &event, body.clone()).await?,
        "Campaign updated.",
    );
    let expected = json!({"name": "Bear", "confidence": "low", "analyst": "alice", "date": "2026-01-15 10:20:30.123000", "description": "d"});
    assert_eq!(object, expected);
    let stored = world.document("events", &event).await?;
    assert_eq!(list(&stored, "campaign")[1], expected);
    done(
        &world.say("events", &event, body).await?,
        "Campaign updated.",
    );
    assert_eq!(world.document("events", &event).await?, stored);
    let body = json!({"action": "campaign_edit", "name": "Bear", "description": ""});
    assert_eq!(
        done(
            &world.say("events", &event, body).await?,
            "Campaign updated."
        )["description"],
        ""
    );
    for action in ["campaign_edit", "campaign_remove"] {
        let answer = world
            .say("events", &event, json!({"action": action, "name": "Owl"}))
            .await?;
        refused(&answer, "Campaign not found.", "not_found");
    }
    let body = json!({"action": "campaign_remove", "name": "Bear"});
    assert_eq!(
        done(
            &world.say("events", &event, body.clone()).await?,
            "Campaign removed."
        )["name"],
        "Bear"
    );
    refused(
        &world.say("events", &event, body).await?,
        "Campaign not found.",
        "not_found",
    );
    assert_eq!(
        list(&world.document("events", &event).await?, "campaign").len(),
        1
    );
    Ok(())
}
