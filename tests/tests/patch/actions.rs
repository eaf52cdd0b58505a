//! `action_add`, `action_update`, `action_remove`

use anyhow::Result;
use critd_tests::{Json, json};

use crate::{World, done, list, refused, without};

const FIREWALL: &str = "Blocked Outbound At Firewall";
const BAD_DATE: &str = "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.";

fn add(more: &Json) -> Json {
    let mut action = json!({"action_type": FIREWALL, "active": "on"});
    for (name, value) in more.as_object().into_iter().flatten() {
        action[name] = value.clone();
    }
    json!({"action": "action_add", "tlo_action": action})
}

fn update(more: &Json) -> Json {
    json!({"action": "action_update", "tlo_action": more})
}

#[tokio::test]
async fn action_add_1_all_types_take_actions() -> Result<()> {
    let world = World::start().await?;
    let target = world
        .make("targets", &[("email_address", "t@example.org")])
        .await?;
    let campaign = world.make("campaigns", &[("name", "Bear")]).await?;
    for (resource, id) in [("targets", &target), ("campaigns", &campaign)] {
        let object = done(
            &world.say(resource, id, add(&json!({}))).await?,
            "Action added.",
        );
        let changed = json!({"date": object["date"], "action_type": FIREWALL, "active": "off"});
        let object = done(
            &world.say(resource, id, update(&changed)).await?,
            "Action updated.",
        );
        assert_eq!(
            world.document(resource, id).await?["actions"],
            json!([object])
        );
        let body =
            json!({"action": "action_remove", "date": object["date"], "action_type": FIREWALL});
        done(&world.say(resource, id, body).await?, "Action removed.");
        assert_eq!(world.document(resource, id).await?["actions"], json!([]));
    }
    Ok(())
}

/// Actions.md 7.2.
#[tokio::test]
async fn action_add_2_dates_and_reason() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let body = json!({"action": "action_add", "tlo_action": {"action_type": "Blocked Outbound At Firewall", "active": "on", "begin_date": "2026-01-15 09:00:00.000000", "end_date": "", "performed_date": "", "reason": "c2"}});
    let object = done(&world.say("events", &event, body).await?, "Action added.");
    let expected = json!({"action_type": "Blocked Outbound At Firewall", "active": "on", "analyst": "alice", "begin_date": "2026-01-15 09:00:00.000000", "reason": "c2"});
    assert_eq!(
        without(&object, &["date", "end_date", "performed_date"]),
        expected
    );
    assert_eq!(
        (&object["end_date"], &object["performed_date"]),
        (&object["date"], &object["date"])
    );
    let stored = world.document("events", &event).await?;
    assert_eq!(stored["actions"], json!([object]));
    assert_eq!(stored["modified"], object["date"]);
    // Published samples send the date of the entry and its analyst; both are the server's.
    let more =
        json!({"date": "2000-01-01 00:00:00.000000", "analyst": "mallory", "begin_date": null});
    let object = done(
        &world.say("events", &event, add(&more)).await?,
        "Action added.",
    );
    assert_eq!(
        (&object["analyst"], &object["begin_date"]),
        (&json!("alice"), &object["date"])
    );
    assert_ne!(object["date"], "2000-01-01 00:00:00.000000");
    assert_eq!(object["reason"], "");
    let answer = world
        .say("events", &event, add(&json!({"begin_date": "2026-01-15"})))
        .await?;
    refused(
        &answer,
        "Argument 'begin_date' must match %Y-%m-%d %H:%M:%S.%f.",
        "invalid_date",
    );
    Ok(())
}

#[tokio::test]
async fn action_add_3_on_and_off() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    for (active, stored) in [
        (json!("on"), "on"),
        (json!("OFF "), "off"),
        (json!(true), "on"),
        (json!(false), "off"),
        (json!("True"), "on"),
        (json!("False"), "off"),
        (json!(1), "on"),
        (json!("no"), "off"),
        (json!(null), "on"),
    ] {
        let answer = world
            .say("events", &event, add(&json!({"active": active})))
            .await?;
        assert_eq!(done(&answer, "Action added.")["active"], stored, "{active}");
    }
    let answer = world
        .say("events", &event, add(&json!({"active": "maybe"})))
        .await?;
    refused(&answer, "Invalid active flag: maybe.", "invalid_value");
    let error = json!({"code": "invalid_value", "argument": "tlo_action", "key": "active"});
    assert_eq!(answer["error"], error);
    Ok(())
}

/// Any text, unless the server is strict: then a registered type that is in use and for this type of objects.
#[tokio::test]
async fn action_add_4_types_of_actions() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    done(
        &world
            .say("events", &event, add(&json!({"action_type": "Anything"})))
            .await?,
        "Action added.",
    );
    world.server.cli(&["set", "strict_action_types=true"])?;
    done(
        &world.say("events", &event, add(&json!({}))).await?,
        "Action added.",
    );
    let before = world.document("events", &event).await?;
    for action_type in ["Anything", "blocked outbound at firewall", ""] {
        let answer = world
            .say("events", &event, add(&json!({"action_type": action_type})))
            .await?;
        let text = format!("Invalid action type: {action_type}.");
        refused(&answer, &text, "invalid_value");
    }
    assert_eq!(world.document("events", &event).await?, before);
    Ok(())
}

/// 9.2: the same again is another entry.
#[tokio::test]
async fn action_add_5_duplicates_are_entries_of_their_own() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    for _ in 0..2 {
        done(
            &world
                .say("events", &event, add(&json!({"reason": "r"})))
                .await?,
            "Action added.",
        );
    }
    let stored = world.document("events", &event).await?;
    let actions = list(&stored, "actions");
    assert_eq!(actions.len(), 2);
    assert_ne!(actions[0]["date"], actions[1]["date"]);
    Ok(())
}

/// Actions.md 7.2.
#[tokio::test]
async fn action_add_6_what_is_missing() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let body = json!({"action": "action_add", "tlo_action": {"active": "on"}});
    let answer = world.say("events", &event, body).await?;
    refused(
        &answer,
        "Missing key 'action_type' in argument 'tlo_action'.",
        "missing_key",
    );
    let answer = world
        .say("events", &event, json!({"action": "action_add"}))
        .await?;
    let text = "Missing required argument 'tlo_action' for action 'action_add'.";
    refused(&answer, text, "missing_argument");
    let body = json!({"action": "action_add", "tlo_action": "action_type"});
    let answer = world.say("events", &event, body).await?;
    refused(
        &answer,
        "Argument 'tlo_action' must be an object.",
        "invalid_type",
    );
    assert_eq!(
        world.document("events", &event).await?["actions"],
        json!([])
    );
    Ok(())
}

#[tokio::test]
async fn action_update_1_act_22_act_23_the_entry_of_date_and_type() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let mut entries = Vec::new();
    for action_type in [FIREWALL, "Watch", FIREWALL] {
        let object = done(
            &world
                .say("events", &event, add(&json!({"action_type": action_type})))
                .await?,
            "Action added.",
        );
        entries.push(object);
    }
    // Actions.md 7.2.
    let body = json!({"action": "action_update", "tlo_action": {"date": entries[0]["date"], "action_type": "Blocked Outbound At Firewall", "active": "off"}});
    let object = done(
        &world.say("events", &event, body.clone()).await?,
        "Action updated.",
    );
    let mut expected = entries[0].clone();
    expected["active"] = json!("off");
    assert_eq!(object, expected);
    let stored = world.document("events", &event).await?;
    assert_eq!(stored["actions"], json!([entries[1], entries[2], object]));
    // 9.2: nothing to do, nothing moves.
    let answer = world.say("events", &event, body).await?;
    assert_eq!(done(&answer, "Action updated."), object);
    assert_eq!(world.document("events", &event).await?, stored);
    // Whoever changes it is its analyst.
    let path = format!("/api/v1/events/{event}/");
    let changed = json!({"date": entries[1]["date"], "action_type": "Watch", "reason": "r"});
    let answer = world.server.patch(&path, &update(&changed)).await?.json();
    assert_eq!(done(&answer, "Action updated.")["analyst"], "admin");
    Ok(())
}

#[tokio::test]
async fn action_update_2_absent_keys_keep_and_empty_dates_are_now() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let dates = json!({"begin_date": "2026-01-15 09:00:00.0", "end_date": "2026-01-16 09:00:00.0", "performed_date": "2026-01-17 09:00:00.0", "reason": "r"});
    let entry = done(
        &world.say("events", &event, add(&dates)).await?,
        "Action added.",
    );
    let mut changed = json!({"date": entry["date"], "action_type": FIREWALL});
    changed["begin_date"] = json!("2026-01-14 09:00:00.123456");
    let object = done(
        &world.say("events", &event, update(&changed)).await?,
        "Action updated.",
    );
    let mut expected = entry.clone();
    expected["begin_date"] = json!("2026-01-14 09:00:00.123000");
    assert_eq!(object, expected);
    changed["end_date"] = json!("");
    changed["reason"] = json!("");
    let object = done(
        &world.say("events", &event, update(&changed)).await?,
        "Action updated.",
    );
    assert_eq!(
        (&object["reason"], &object["performed_date"]),
        (&json!(""), &entry["performed_date"])
    );
    assert_eq!(
        object["end_date"],
        world.document("events", &event).await?["modified"]
    );
    for (missing, body) in [
        ("date", json!({"action_type": FIREWALL})),
        ("action_type", json!({"date": entry["date"]})),
    ] {
        let answer = world.say("events", &event, update(&body)).await?;
        let text = format!("Missing key '{missing}' in argument 'tlo_action'.");
        refused(&answer, &text, "missing_key");
    }
    Ok(())
}

#[tokio::test]
async fn action_update_3_what_is_not_there_and_wrong_flags() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let entry = done(
        &world.say("events", &event, add(&json!({}))).await?,
        "Action added.",
    );
    let before = world.document("events", &event).await?;
    for body in [
        json!({"date": "2026-01-15 10:20:31.456000", "action_type": FIREWALL, "active": "off"}),
        json!({"date": entry["date"], "action_type": "Watch", "active": "off"}),
    ] {
        refused(
            &world.say("events", &event, update(&body)).await?,
            "Action not found.",
            "not_found",
        );
    }
    let body = json!({"date": entry["date"], "action_type": FIREWALL, "active": "maybe"});
    refused(
        &world.say("events", &event, update(&body)).await?,
        "Invalid active flag: maybe.",
        "invalid_value",
    );
    let body = json!({"date": "yesterday", "action_type": FIREWALL});
    refused(
        &world.say("events", &event, update(&body)).await?,
        BAD_DATE,
        "invalid_date",
    );
    assert_eq!(world.document("events", &event).await?, before);
    Ok(())
}

#[tokio::test]
async fn action_remove_by_date_and_type() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let entry = done(
        &world.say("events", &event, add(&json!({}))).await?,
        "Action added.",
    );
    let other = done(
        &world
            .say("events", &event, add(&json!({"action_type": "Watch"})))
            .await?,
        "Action added.",
    );
    // Actions.md 7.2.
    let body = json!({"action": "action_remove", "date": entry["date"], "action_type": "Other"});
    refused(
        &world.say("events", &event, body).await?,
        "Action not found.",
        "not_found",
    );
    let body = json!({"action": "action_remove", "date": entry["date"], "action_type": FIREWALL});
    assert_eq!(
        done(
            &world.say("events", &event, body.clone()).await?,
            "Action removed."
        ),
        entry
    );
    refused(
        &world.say("events", &event, body).await?,
        "Action not found.",
        "not_found",
    );
    assert_eq!(
        world.document("events", &event).await?["actions"],
        json!([other])
    );
    for (missing, body) in [
        (
            "date",
            json!({"action": "action_remove", "action_type": FIREWALL}),
        ),
        (
            "action_type",
            json!({"action": "action_remove", "date": entry["date"]}),
        ),
    ] {
        let answer = world.say("events", &event, body).await?;
        let text = format!("Missing required argument '{missing}' for action 'action_remove'.");
        refused(&answer, &text, "missing_argument");
    }
    let body = json!({"action": "action_remove", "date": "2026-01-15", "action_type": FIREWALL});
    refused(
        &world.say("events", &event, body).await?,
        BAD_DATE,
        "invalid_date",
    );
    Ok(())
}

/// `status_update` turns actions off (status_update.2).
#[tokio::test]
async fn status_update_2_deprecated_objects_have_no_action_in_force() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    for active in ["on", "off"] {
        done(
            &world
                .say("events", &event, add(&json!({"active": active})))
                .await?,
            "Action added.",
        );
    }
    for status in ["Deprecated", "New"] {
        let body = json!({"action": "status_update", "value": status});
        done(
            &world.say("events", &event, body).await?,
            &format!("Status set to {status}."),
        );
        let stored = world.document("events", &event).await?;
        assert!(
            list(&stored, "actions")
                .iter()
                .all(|action| action["active"] == "off")
        );
    }
    Ok(())
}
