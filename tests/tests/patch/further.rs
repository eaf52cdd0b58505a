//! Actions that the original's API did not have (actions.md section 10).

use anyhow::Result;
use critd_tests::{Json, json};

use crate::{World, done, list, refused, without};

const NOBODY: &str = "0123456789abcdef01234567";

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
