//! `source_remove`

use anyhow::Result;
use critd_tests::{Json, json};

use crate::{ALL, World, done, list, refused};

const LAST: &str = "Must leave at least one source for access controls.  If you wish to change the source, please assign a new source and then remove the old.";
const DATE: &str = "2026-01-15 10:00:00.000000";

fn remove(more: &Json) -> Json {
    let mut body = json!({"action": "source_remove", "name": "OSINT", "date": DATE});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// An event of the source `Alpha` with instances of `OSINT` of these dates.
async fn event(world: &World, dates: &[&str]) -> Result<String> {
    let form = [
        ("title", "E"),
        ("event_type", "Phishing"),
        ("description", "d"),
        ("source", "Alpha"),
    ];
    let event = world.make("events", &form).await?;
    for date in dates {
        let body = json!({"action": "source_add_update", "action_type": "add", "source": "OSINT", "method": "feed", "reference": "r1", "tlp": "green", "date": date});
        done(
            &world.say("events", &event, body).await?,
            "Source addition successful!",
        );
    }
    Ok(event)
}

fn names(document: &Json) -> Vec<&str> {
    list(document, "source")
        .iter()
        .filter_map(|entry| entry["name"].as_str())
        .collect()
}

/// Actions.md 7.2.
#[tokio::test]
async fn source_remove_1_an_instance_and_the_last_one() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world, &[DATE, "2026-01-16 10:00:00.0"]).await?;
    let body =
        json!({"action": "source_remove", "name": "OSINT", "date": "2026-01-15 10:00:00.000000"});
    let instance = json!({"name": "OSINT", "analyst": "alice", "date": DATE, "method": "feed", "reference": "r1", "tlp": "green"});
    assert_eq!(
        done(
            &world.say("events", &event, body.clone()).await?,
            "Deleted instance of OSINT"
        ),
        instance
    );
    let stored = world.document("events", &event).await?;
    assert_eq!(names(&stored), ["Alpha", "OSINT"]);
    assert_eq!(list(&list(&stored, "source")[1], "instances").len(), 1);
    refused(
        &world.say("events", &event, body).await?,
        "Source not found.",
        "not_found",
    );
    // The synonym; microseconds don't count (D4).
    let body =
        json!({"action": "source_remove", "source": "OSINT", "date": "2026-01-16 10:00:00.000999"});
    let object = done(
        &world.say("events", &event, body).await?,
        "Deleted source OSINT",
    );
    assert_eq!(object["date"], "2026-01-16 10:00:00.000000");
    assert_eq!(names(&world.document("events", &event).await?), ["Alpha"]);

    // All instances at once.
    for date in [DATE, "2026-01-16 10:00:00.0"] {
        let body = json!({"action": "source_add_update", "action_type": "add", "source": "OSINT", "tlp": "green", "date": date});
        done(
            &world.say("events", &event, body).await?,
            "Source addition successful!",
        );
    }
    let body = json!({"action": "source_remove", "name": "OSINT", "remove_all": "true"});
    let object = done(
        &world.say("events", &event, body).await?,
        "Deleted source OSINT",
    );
    assert_eq!(list(&object, "instances").len(), 2);
    assert_eq!(names(&world.document("events", &event).await?), ["Alpha"]);
    Ok(())
}

/// The last source stays; the caller may take away the last one through which the object is seen.
#[tokio::test]
async fn source_remove_2_the_last_source_stays() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world, &[DATE]).await?;
    let body = json!({"action": "source_remove", "name": "Alpha", "remove_all": true});
    done(
        &world.say("events", &event, body).await?,
        "Deleted source Alpha",
    );
    let before = world.document("events", &event).await?;
    for body in [
        json!({"action": "source_remove", "name": "OSINT", "remove_all": true}),
        json!({"action": "source_remove", "name": "OSINT", "date": DATE}),
    ] {
        refused(&world.say("events", &event, body).await?, LAST, "conflict");
    }
    assert_eq!(world.document("events", &event).await?, before);

    world.server.cli(&["role", "add", "of-closed"])?;
    world
        .server
        .cli(&[&["role", "source", "of-closed", "Closed"], ALL].concat())?;
    world.server.cli(&[
        "user",
        "set",
        "admin",
        "--role",
        "UberAdmin",
        "--role",
        "of-closed",
    ])?;
    let path = format!("/api/v1/events/{event}/");
    let body = json!({"action": "source_add_update", "action_type": "add", "source": "Closed", "tlp": "green"});
    done(
        &world.server.patch(&path, &body).await?.json(),
        "Source addition successful!",
    );
    done(
        &world.say("events", &event, remove(&json!({}))).await?,
        "Deleted source OSINT",
    );
    assert_eq!(world.server.get_as(&world.alice, &path).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn source_remove_3_the_name_before_the_date() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world, &[DATE]).await?;
    let missing =
        |name: &str| format!("Missing required argument '{name}' for action 'source_remove'.");
    for (more, message, code) in [
        (
            json!({"name": null, "date": null}),
            missing("name"),
            "missing_argument",
        ),
        (
            json!({"name": "", "date": null}),
            "No source to locate".to_owned(),
            "invalid_value",
        ),
        (
            json!({"name": " "}),
            "No source to locate".to_owned(),
            "invalid_value",
        ),
        (json!({"date": null}), missing("date"), "missing_argument"),
        (json!({"date": ""}), missing("date"), "missing_argument"),
        (
            json!({"date": null, "remove_all": "false"}),
            missing("date"),
            "missing_argument",
        ),
        (
            json!({"date": "2026-01-15"}),
            "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.".to_owned(),
            "invalid_date",
        ),
    ] {
        refused(
            &world.say("events", &event, remove(&more)).await?,
            &message,
            code,
        );
    }
    Ok(())
}

/// Neither what is not there nor what the caller may not see.
#[tokio::test]
async fn source_remove_4_what_is_not_there() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world, &[DATE]).await?;
    let path = format!("/api/v1/events/{event}/");
    let body = json!({"action": "source_add_update", "action_type": "add", "source": "Beta", "tlp": "green", "date": DATE});
    done(
        &world.server.patch(&path, &body).await?.json(),
        "Source addition successful!",
    );
    let before = world.document("events", &event).await?;
    for more in [
        json!({"date": "2026-01-15 10:00:00.001"}),
        json!({"name": "Nobody"}),
        json!({"name": "Nobody", "remove_all": true}),
        json!({"name": "Beta"}),
        json!({"name": "Beta", "remove_all": true}),
        json!({"name": "osint"}),
    ] {
        refused(
            &world.say("events", &event, remove(&more)).await?,
            "Source not found.",
            "not_found",
        );
    }
    assert_eq!(world.document("events", &event).await?, before);
    Ok(())
}

#[tokio::test]
async fn source_remove_5_the_objects_tlp_stays() -> Result<()> {
    let world = World::start().await?;
    let event = event(&world, &[DATE]).await?;
    assert_eq!(world.document("events", &event).await?["tlp"], "amber");
    let body = json!({"action": "source_remove", "name": "Alpha", "remove_all": true});
    done(
        &world.say("events", &event, body).await?,
        "Deleted source Alpha",
    );
    assert_eq!(world.document("events", &event).await?["tlp"], "amber");
    Ok(())
}
