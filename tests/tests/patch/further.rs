//! Actions that the original's API did not have (actions.md section 10): buckets, sectors, locations, TLP, releases.

use anyhow::Result;
use critd_tests::{Json, json};

use crate::{World, done, list, refused};

/// How many events the counter of a bucket or sector counts.
async fn found(world: &World, field: &str, value: &str) -> Result<Json> {
    let path = format!("/api/v1/events/?c-{field}={value}");
    Ok(world.server.get(&path).await?.json()["meta"]["total_count"].clone())
}

#[tokio::test]
async fn new_1_buckets() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let say = |more: Json| {
        let mut body = json!({"action": "modify_bucket_list"});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        world.say("events", &event, body)
    };
    for (more, list) in [
        (json!({"buckets": "a, b,,a"}), json!(["a", "b"])),
        (
            json!({"bucket_list": ["b", "c d"]}),
            json!(["a", "b", "c d"]),
        ),
        (
            json!({"tags": "x", "mode": "Add"}),
            json!(["a", "b", "c d", "x"]),
        ),
        (
            json!({"buckets": ["a", "nothing"], "mode": "remove"}),
            json!(["b", "c d", "x"]),
        ),
        (
            json!({"buckets": ["x", "b"], "mode": "replace"}),
            json!(["x", "b"]),
        ),
    ] {
        let object = done(&say(more.clone()).await?, "Bucket list updated.");
        assert_eq!(object, json!({"bucket_list": list}), "{more}");
        let stored = world.document("events", &event).await?;
        assert_eq!(stored["bucket_list"], list);
        // 9.2: the same again is no change.
        done(&say(more).await?, "Bucket list updated.");
        assert_eq!(world.document("events", &event).await?, stored);
    }
    assert_eq!(
        (
            found(&world, "bucket_list", "x").await?,
            found(&world, "bucket_list", "a").await?
        ),
        (json!(1), json!(0))
    );
    refused(
        &say(json!({"buckets": "a", "mode": "toggle"})).await?,
        "Invalid mode: toggle.",
        "invalid_value",
    );
    let answer = say(json!({})).await?;
    refused(
        &answer,
        "Missing required argument 'buckets' for action 'modify_bucket_list'.",
        "missing_argument",
    );
    refused(
        &say(json!({"buckets": {"a": 1}})).await?,
        "Argument 'buckets' must be a list of strings.",
        "invalid_type",
    );
    let object = done(
        &say(json!({"buckets": "", "mode": "replace"})).await?,
        "Bucket list updated.",
    );
    assert_eq!(object, json!({"bucket_list": []}));
    Ok(())
}

#[tokio::test]
async fn new_8_sectors() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let say = |more: Json| {
        let mut body = json!({"action": "modify_sector_list"});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        world.say("events", &event, body)
    };
    for (more, list) in [
        (
            json!({"sectors": "energy, Dams"}),
            json!(["Energy", "Dams"]),
        ),
        (
            json!({"sectors": ["Chemical", "Dams"]}),
            json!(["Energy", "Dams", "Chemical"]),
        ),
        (
            json!({"sectors": "ENERGY", "mode": "remove"}),
            json!(["Dams", "Chemical"]),
        ),
        (json!({"sectors": [], "mode": "replace"}), json!([])),
    ] {
        assert_eq!(
            done(&say(more.clone()).await?, "Sector list updated."),
            json!({"sectors": list}),
            "{more}"
        );
        assert_eq!(world.document("events", &event).await?["sectors"], list);
    }
    refused(
        &say(json!({"sectors": "Energy, Fun"})).await?,
        "Invalid sector: Fun.",
        "invalid_value",
    );
    assert_eq!(
        world.document("events", &event).await?["sectors"],
        json!([])
    );
    Ok(())
}

#[tokio::test]
async fn new_9_locations() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let place = |action: &str, more: Json| {
        let mut body = json!({"action": action, "location": "Iceland", "location_type": "Originated From", "date": "2026-01-15 10:20:30.000000"});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        world.say("events", &event, body)
    };
    let added = "Location added.";
    let object = done(
        &place(
            "location_add",
            json!({"description": "d", "latitude": 64.1, "longitude": "-21.9"}),
        )
        .await?,
        added,
    );
    let expected = json!({"location": "Iceland", "location_type": "Originated From", "analyst": "alice", "date": "2026-01-15 10:20:30.000000", "description": "d", "latitude": "64.1", "longitude": "-21.9"});
    assert_eq!(object, expected);
    assert_eq!(
        world.document("events", &event).await?["locations"],
        json!([object])
    );
    refused(
        &place("location_add", json!({"description": "other"})).await?,
        "This location is already assigned.",
        "already_exists",
    );
    done(
        &place("location_add", json!({"location_type": "destined for"})).await?,
        added,
    );
    let now = done(&place("location_add", json!({"date": null})).await?, added);
    assert!(
        now["date"]
            .as_str()
            .is_some_and(|date| date.ends_with(".000000")),
        "whole seconds: {now}"
    );
    refused(
        &place("location_add", json!({"location_type": "Nearby"})).await?,
        "Invalid location type: Nearby.",
        "invalid_value",
    );
    refused(
        &place("location_add", json!({"location": ""})).await?,
        "Argument 'location' must not be empty.",
        "invalid_value",
    );

    let object = done(
        &place(
            "location_edit",
            json!({"description": "", "longitude": "0"}),
        )
        .await?,
        "Location updated.",
    );
    assert_eq!(
        (
            &object["description"],
            &object["latitude"],
            &object["longitude"]
        ),
        (&json!(""), &json!("64.1"), &json!("0"))
    );
    for action in ["location_edit", "location_remove"] {
        for more in [
            json!({"date": "2026-01-15 10:20:31.0"}),
            json!({"location": "Norway"}),
        ] {
            refused(
                &place(action, more).await?,
                "Location not found.",
                "not_found",
            );
        }
        let text = format!("Missing required argument 'date' for action '{action}'.");
        refused(
            &place(action, json!({"date": null})).await?,
            &text,
            "missing_argument",
        );
    }
    assert_eq!(
        done(
            &place("location_remove", json!({})).await?,
            "Location removed."
        ),
        object
    );
    assert_eq!(
        list(&world.document("events", &event).await?, "locations").len(),
        2
    );
    Ok(())
}

#[tokio::test]
async fn new_10_the_tlp_of_an_object() -> Result<()> {
    let world = World::start().await?;
    let form = [
        ("title", "E"),
        ("event_type", "Phishing"),
        ("description", "d"),
        ("source", "OSINT"),
        ("tlp", "amber"),
    ];
    let event = world.make("events", &form).await?;
    let set = |tlp: &str| {
        world.say(
            "events",
            &event,
            json!({"action": "modify_tlp", "tlp": tlp}),
        )
    };
    assert_eq!(
        done(&set("Red").await?, "TLP set to red."),
        json!({"tlp": "red"})
    );
    assert_eq!(world.document("events", &event).await?["tlp"], "red");
    for tlp in ["white", "green"] {
        refused(&set(tlp).await?, "Cannot set this TLP level.", "conflict");
    }
    done(&set("amber").await?, "TLP set to amber.");
    let body = json!({"action": "source_add_update", "action_type": "add", "source": "Alpha", "tlp": "green"});
    done(
        &world.say("events", &event, body).await?,
        "Source addition successful!",
    );
    done(&set("green").await?, "TLP set to green.");
    refused(
        &set("white").await?,
        "Cannot set this TLP level.",
        "conflict",
    );
    refused(
        &set("purple").await?,
        "'purple' is not a valid TLP.",
        "invalid_value",
    );
    Ok(())
}

/// Releases: what is noted of them, and that an entry with some stays.
#[tokio::test]
async fn remove_releasability_and_instances() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let say = |action: &str, more: Json| {
        let mut body = json!({"action": action, "name": "Partner"});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        world.say("events", &event, body)
    };
    for action in ["remove_releasability", "add_releasability_instance"] {
        refused(
            &say(action, json!({})).await?,
            "Releasability not found.",
            "not_found",
        );
    }
    done(
        &say("add_releasability", json!({})).await?,
        "Releasability added.",
    );
    let date = json!({"date": "2026-01-15 10:20:30.0", "note": " by mail "});
    let object = done(
        &say("add_releasability_instance", date.clone()).await?,
        "Releasability instance added.",
    );
    let first =
        json!({"analyst": "alice", "date": "2026-01-15 10:20:30.000000", "note": " by mail "});
    assert_eq!(
        object,
        json!({"name": "Partner", "analyst": "alice", "instances": [first]})
    );
    let object = done(
        &say("add_releasability_instance", date).await?,
        "Releasability instance added.",
    );
    assert_eq!(object["instances"][1]["date"], "2026-01-15 10:20:30.001000");
    assert_eq!(
        world.document("events", &event).await?["releasability"],
        json!([object])
    );
    refused(
        &say("remove_releasability", json!({})).await?,
        "Releasability with instances can't be removed.",
        "conflict",
    );
    let remove = |date: &str| say("remove_releasability_instance", json!({"date": date}));
    refused(
        &remove("2026-01-15 10:20:31.0").await?,
        "Releasability instance not found.",
        "not_found",
    );
    assert_eq!(
        done(
            &remove("2026-01-15 10:20:30.0").await?,
            "Releasability instance removed."
        ),
        first
    );
    done(
        &remove("2026-01-15 10:20:30.001").await?,
        "Releasability instance removed.",
    );
    let object = done(
        &say("remove_releasability", json!({})).await?,
        "Releasability removed.",
    );
    assert_eq!(
        object,
        json!({"name": "Partner", "analyst": "alice", "instances": []})
    );
    assert_eq!(
        world.document("events", &event).await?["releasability"],
        json!([])
    );
    // C2: what others released to sources that are not the caller's is not shown to be there.
    let path = format!("/api/v1/events/{event}/");
    let body = json!({"action": "add_releasability", "name": "Partner"});
    done(
        &world.server.patch(&path, &body).await?.json(),
        "Releasability added.",
    );
    for action in ["remove_releasability", "add_releasability_instance"] {
        refused(
            &say(action, json!({})).await?,
            "Releasability not found.",
            "not_found",
        );
    }
    Ok(())
}
