//! `source_add_update`

use anyhow::Result;
use critd_tests::{Json, json};

use crate::{World, done, list, refused};

const DATE: &str = "2026-01-15 10:00:00.000000";
const NO_CHANGE: &str = "Could not make source changes. Refresh page and try again.";
const DONE: &str = "Source addition successful!";

fn add(more: &Json) -> Json {
    let mut body = json!({"action": "source_add_update", "action_type": "add", "source": "OSINT", "method": "feed", "reference": "r1", "tlp": "green", "date": DATE});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// The instances of a source of a document.
fn instances(document: &Json, source: &str) -> Vec<Json> {
    let found = list(document, "source")
        .iter()
        .find(|entry| entry["name"] == source);
    found
        .map(|entry| list(entry, "instances").to_vec())
        .unwrap_or_default()
}

/// An event of the source `Alpha`.
async fn event(world: &World) -> Result<String> {
    let form = [
        ("title", "E"),
        ("event_type", "Phishing"),
        ("description", "d"),
        ("source", "Alpha"),
        ("tlp", "green"),
    ];
    world.make("events", &form).await
}

/// Actions.md 7.2.
#[tokio::test]
async fn source_add_update_1_a_new_source_and_a_further_instance() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world).await?;
    let body = json!({"action": "source_add_update", "action_type": "add", "source": "OSINT", "method": "feed", "reference": "r1", "tlp": "green", "date": "2026-01-15 10:00:00.000000"});
    let answer = world.say("events", &event, body).await?;
    let first = json!({"analyst": "alice", "date": DATE, "method": "feed", "reference": "r1", "tlp": "green"});
    let entry = json!({"name": "OSINT", "instances": [first]});
    assert_eq!(done(&answer, DONE), entry);
    let stored = world.document("events", &event).await?;
    assert_eq!(list(&stored, "source")[1], entry);

    let more = json!({"method": " verbatim ", "date": "2026-01-16 10:00:00.000999"});
    let object = done(&world.say("events", &event, add(&more)).await?, DONE);
    let second = json!({"analyst": "alice", "date": "2026-01-16 10:00:00.000000", "method": " verbatim ", "reference": "r1", "tlp": "green"});
    assert_eq!(
        object,
        json!({"name": "OSINT", "instances": [first, second]})
    );
    assert_eq!(
        list(&world.document("events", &event).await?, "source").len(),
        2
    );

    let answer = world
        .say("events", &event, add(&json!({"action_type": "replace"})))
        .await?;
    refused(&answer, "Invalid action_type: replace.", "invalid_value");
    let answer = world
        .say("events", &event, add(&json!({"action_type": null})))
        .await?;
    let text = "Missing required argument 'action_type' for action 'source_add_update'.";
    refused(&answer, text, "missing_argument");
    // The synonym, and the date of the request.
    let body = json!({"action": "source_add_update", "action_type": "Add", "name": "OSINT", "tlp": "white"});
    let object = done(&world.say("events", &event, body).await?, DONE);
    assert_eq!(list(&object, "instances").len(), 3);
    assert_eq!(list(&object, "instances")[2]["method"], "");
    Ok(())
}

/// The same again with its date is no change, whatever the microseconds and the TLP; without a date it is another instance.
#[tokio::test]
async fn source_add_update_2_act_18_the_same_instance_again() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world).await?;
    done(
        &world
            .say(
                "events",
                &event,
                add(&json!({"date": "2026-01-15 10:00:00.123456"})),
            )
            .await?,
        DONE,
    );
    let before = world.document("events", &event).await?;
    for more in [
        json!({"date": "2026-01-15 10:00:00.123456"}),
        json!({"date": "2026-01-15 10:00:00.123"}),
        json!({"date": "2026-01-15 10:00:00.123456", "tlp": "red"}),
    ] {
        done(&world.say("events", &event, add(&more)).await?, DONE);
        assert_eq!(world.document("events", &event).await?, before, "{more}");
    }
    for count in [2, 3] {
        done(
            &world
                .say("events", &event, add(&json!({"date": null})))
                .await?,
            DONE,
        );
        let after = world.document("events", &event).await?;
        assert_eq!(instances(&after, "OSINT").len(), count);
    }
    Ok(())
}

/// Decision of the specification's README: amber (a published client sends none).
#[tokio::test]
async fn source_add_update_3_without_tlp_amber_is_added() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world).await?;
    let object = done(
        &world
            .say("events", &event, add(&json!({"tlp": null})))
            .await?,
        DONE,
    );
    assert_eq!(list(&object, "instances")[0]["tlp"], "amber");
    Ok(())
}

#[tokio::test]
async fn source_add_update_4_a_wrong_tlp_is_red() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world).await?;
    let answer = world
        .say("events", &event, add(&json!({"tlp": "purple"})))
        .await?;
    assert_eq!(list(&done(&answer, DONE), "instances")[0]["tlp"], "red");
    assert_eq!(
        answer["warnings"],
        json!(["'purple' is not a valid TLP; red is used."])
    );
    for (tlp, stored) in [
        (json!("purple"), "red"),
        (json!(" GREEN "), "green"),
        (json!("purple"), "red"),
        (json!("green"), "green"),
        (json!(null), "red"),
    ] {
        let answer = world
            .say(
                "events",
                &event,
                add(&json!({"action_type": "update", "tlp": tlp})),
            )
            .await?;
        assert_eq!(
            list(&done(&answer, DONE), "instances")[0]["tlp"],
            stored,
            "{tlp}"
        );
    }
    let answer = world
        .say("events", &event, add(&json!({"tlp": ["green"]})))
        .await?;
    refused(&answer, "Argument 'tlp' must be a string.", "invalid_type");
    Ok(())
}

/// The first source gives an object its TLP; later ones don't.
#[tokio::test]
async fn source_add_update_5_later_sources_leave_the_objects_tlp() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world).await?;
    assert_eq!(world.document("events", &event).await?["tlp"], "green");
    done(
        &world
            .say("events", &event, add(&json!({"tlp": "red"})))
            .await?,
        DONE,
    );
    assert_eq!(world.document("events", &event).await?["tlp"], "green");
    Ok(())
}

#[tokio::test]
async fn source_add_update_6_all_instances_of_the_date_are_replaced() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world).await?;
    done(&world.say("events", &event, add(&json!({}))).await?, DONE);
    done(
        &world
            .say(
                "events",
                &event,
                add(&json!({"date": "2026-01-16 10:00:00.0"})),
            )
            .await?,
        DONE,
    );
    // Actions.md 7.2.
    let body = json!({"action": "source_add_update", "action_type": "update", "source": "OSINT", "tlp": "amber", "date": "2026-01-15 10:00:00.000000"});
    let object = done(&world.say("events", &event, body.clone()).await?, DONE);
    let changed =
        json!({"analyst": "alice", "date": DATE, "method": "", "reference": "", "tlp": "amber"});
    assert_eq!(list(&object, "instances")[0], changed);
    assert_eq!(list(&object, "instances")[1]["method"], "feed");
    let before = world.document("events", &event).await?;
    assert_eq!(instances(&before, "OSINT"), list(&object, "instances"));
    // 9.2: the same again is no change.
    done(&world.say("events", &event, body).await?, DONE);
    for (more, message, code) in [
        (
            json!({"date": "2026-01-17 10:00:00.0"}),
            NO_CHANGE,
            "not_found",
        ),
        (json!({"source": "Alpha"}), NO_CHANGE, "not_found"),
        (
            json!({"date": "2026-01-15"}),
            "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.",
            "invalid_date",
        ),
        (
            json!({"date": null}),
            "Missing required argument 'date' for action 'source_add_update'.",
            "missing_argument",
        ),
        (
            json!({"date": ""}),
            "Missing required argument 'date' for action 'source_add_update'.",
            "missing_argument",
        ),
    ] {
        let mut body = add(&more);
        body["action_type"] = json!("update");
        let answer = world.say("events", &event, body).await?;
        refused(&answer, message, code);
        if code == "missing_argument" {
            assert_eq!(answer["error"]["argument"], "date");
        }
    }
    assert_eq!(world.document("events", &event).await?, before);
    // The name in the instance is that of whoever changed it last.
    let path = format!("/api/v1/events/{event}/");
    let mut body = add(&json!({"method": "again"}));
    body["action_type"] = json!("update");
    world.server.cli(&["role", "add", "of-osint"])?;
    world
        .server
        .cli(&[&["role", "source", "of-osint", "OSINT"], crate::ALL].concat())?;
    world.server.cli(&[
        "user",
        "set",
        "admin",
        "--role",
        "UberAdmin",
        "--role",
        "of-osint",
    ])?;
    done(&world.server.patch(&path, &body).await?.json(), DONE);
    let changed = instances(&world.document("events", &event).await?, "OSINT");
    assert_eq!(
        (&changed[0]["analyst"], &changed[0]["method"]),
        (&json!("admin"), &json!("again"))
    );
    assert_eq!(changed[1]["analyst"], "alice");
    Ok(())
}

/// Rule S6: the source is a known one that the caller may write with; to change it needs to be the caller's.
#[tokio::test]
async fn source_add_update_7_s6_sources_of_others() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world).await?;
    let before = world.document("events", &event).await?;
    let denied = |source: &str| {
        format!("User does not have permission to add object using source {source}.")
    };
    for (action_type, source, message, code) in [
        (
            "add",
            "Nobody",
            "Source not found.".to_owned(),
            "invalid_value",
        ),
        (
            "update",
            "Nobody",
            "Source not found.".to_owned(),
            "invalid_value",
        ),
        ("add", "", "Source not found.".to_owned(), "invalid_value"),
        ("add", "Partner", denied("Partner"), "forbidden"),
        ("add", "Reading", denied("Reading"), "forbidden"),
        ("update", "Partner", NO_CHANGE.to_owned(), "not_found"),
        ("update", "Reading", NO_CHANGE.to_owned(), "not_found"),
    ] {
        let more = json!({"action_type": action_type, "source": source});
        let answer = world.say("events", &event, add(&more)).await?;
        refused(&answer, &message, code);
    }
    assert_eq!(world.document("events", &event).await?, before);
    // What is there already is not shown to be there.
    world.server.cli(&["role", "add", "of-partner"])?;
    world
        .server
        .cli(&[&["role", "source", "of-partner", "Partner"], crate::ALL].concat())?;
    world.server.cli(&[
        "user",
        "set",
        "admin",
        "--role",
        "UberAdmin",
        "--role",
        "of-partner",
    ])?;
    let path = format!("/api/v1/events/{event}/");
    done(
        &world
            .server
            .patch(&path, &add(&json!({"source": "Partner"})))
            .await?
            .json(),
        DONE,
    );
    let more = json!({"action_type": "update", "source": "Partner"});
    refused(
        &world.say("events", &event, add(&more)).await?,
        NO_CHANGE,
        "not_found",
    );
    Ok(())
}

/// The answer has the source as it is now; where readers don't see all of a source, the caller's own part (rule S4).
#[tokio::test]
async fn source_add_update_8_s4_what_is_answered() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world).await?;
    let path = format!("/api/v1/events/{event}/");
    let body = add(&json!({"source": "Alpha", "tlp": "red"}));
    let object = done(&world.server.patch(&path, &body).await?.json(), DONE);
    assert_eq!(list(&object, "instances").len(), 2);
    assert_eq!(object["name"], "Alpha");
    world
        .server
        .cli(&["set", "hide_unreadable_instances=true"])?;
    let body = add(&json!({"source": "Alpha", "method": "mine"}));
    let object = done(&world.say("events", &event, body).await?, DONE);
    let analysts: Vec<&Json> = list(&object, "instances")
        .iter()
        .map(|instance| &instance["analyst"])
        .collect();
    assert_eq!(analysts, ["alice", "alice"]);
    Ok(())
}

/// ACT-21: the date is the handle within a source; a date that is taken moves on.
#[tokio::test]
async fn act_21_dates_of_instances_are_unique_within_their_source() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world).await?;
    for (method, date) in [("a", "000"), ("b", "001"), ("c", "002")] {
        let object = done(
            &world
                .say("events", &event, add(&json!({"method": method})))
                .await?,
            DONE,
        );
        let instances = list(&object, "instances");
        let last = instances.last().map(|instance| instance["date"].clone());
        assert_eq!(last, Some(json!(format!("2026-01-15 10:00:00.{date}000"))));
    }
    // The same again is found where it was moved to.
    let before = world.document("events", &event).await?;
    done(
        &world
            .say("events", &event, add(&json!({"method": "b"})))
            .await?,
        DONE,
    );
    assert_eq!(world.document("events", &event).await?, before);
    // Another source has dates of its own.
    let object = done(
        &world
            .say("events", &event, add(&json!({"source": "Alpha"})))
            .await?,
        DONE,
    );
    assert_eq!(list(&object, "instances")[1]["date"], DATE);
    Ok(())
}
